//! Calls between two user agents on a clean network: who says what to whom, and what the application hears.

use bytes::Bytes;
use strowger_sim::{Link, NodeId, SipNet};
use strowger_sip_core::*;

const MS: u64 = 1_000;
const S: u64 = 1_000_000;
const SDP: &[u8] = b"v=0\r\no=- 2 1 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\nm=audio 5000 RTP/AVP 8\r\n";

fn sdp() -> Option<Bytes> {
    Some(Bytes::from_static(SDP))
}

fn respond(handle: DialogHandle, status: u16) -> Command {
    let sdp = if (200..300).contains(&status) { sdp() } else { None };
    Command::Respond {
        handle,
        status,
        reason_phrase: None,
        headers: Vec::new(),
        sdp,
        reliable: false,
    }
}

fn bye(handle: DialogHandle) -> Command {
    Command::Bye {
        handle,
        reason: Some(Reason::q850(16, "Normal call clearing")),
    }
}

fn cancel(handle: DialogHandle) -> Command {
    Command::Cancel { handle, reason: None }
}

/// Short names of a node's events, in order.
fn names(net: &SipNet, node: NodeId) -> String {
    let name = |event: &SipEvent| match event {
        SipEvent::Trying => "trying".to_owned(),
        SipEvent::Provisional { status, .. } => format!("{status}"),
        SipEvent::Challenged { .. } => "challenged".into(),
        SipEvent::Answered { .. } => "answered".into(),
        SipEvent::Failed(f) => format!("failed({})", f.status),
        SipEvent::Incoming(_) => "incoming".into(),
        SipEvent::CancelledByPeer { .. } => "cancelled-by-peer".into(),
        SipEvent::AckReceived { .. } => "ack".into(),
        SipEvent::NoAck => "no-ack".into(),
        SipEvent::ReInviteReceived { .. } => "reinvite".into(),
        SipEvent::ReInviteCancelled => "reinvite-cancelled".into(),
        SipEvent::ReInviteAnswered { .. } => "reinvite-answered".into(),
        SipEvent::ReInviteFailed { status, .. } => format!("reinvite-failed({status})"),
        SipEvent::InfoReceived { .. } => "info".into(),
        SipEvent::InfoResult { status } => format!("info-result({status:?})"),
        SipEvent::ByeReceived { .. } => "bye".into(),
        SipEvent::Ended { cause } => format!("ended({cause:?})"),
        SipEvent::OptionsResult { status } => format!("options({status:?})"),
        SipEvent::PrackReceived { answer_needed, .. } => format!("prack({answer_needed})"),
        SipEvent::UpdateReceived { .. } => "update".into(),
        SipEvent::UpdateAnswered { .. } => "update-answered".into(),
        SipEvent::UpdateFailed { status, .. } => format!("update-failed({status})"),
        SipEvent::ReferReceived { .. } => "refer".into(),
        SipEvent::ReferResult { status, .. } => format!("refer-result({status})"),
        SipEvent::ReferProgress { status, finished, .. } => format!("refer-progress({status},{finished})"),
        SipEvent::SessionRefreshed { .. } => "refreshed".into(),
        SipEvent::Request(_) => "request".into(),
        SipEvent::RequestExpired => "request-expired".into(),
        SipEvent::RegisterResult(r) => format!("registered({:?})", r.status),
        SipEvent::CommandRefused { why, .. } => format!("refused({why:?})"),
    };
    net.events_of(node).map(name).collect::<Vec<_>>().join(" ")
}

/// Two nodes; B rings after 100 ms and gives `status` after a second.
fn pair(link: Link, status: Option<u16>) -> (SipNet, NodeId, NodeId) {
    let mut net = SipNet::new(7, link);
    let (a, b) = (net.add_node(), net.add_node());
    net.script(b, move |handle, event| match event {
        SipEvent::Incoming(_) => {
            let mut plan = vec![(100 * MS, respond(handle, 180))];
            plan.extend(status.map(|status| (S, respond(handle, status))));
            plan
        }
        SipEvent::ReInviteReceived { .. } => vec![(50 * MS, respond(handle, 200))],
        _ => Vec::new(),
    });
    (net, a, b)
}

fn incoming_handle(net: &SipNet, node: NodeId) -> DialogHandle {
    net.events()
        .iter()
        .find(|e| e.node == node && matches!(e.event, SipEvent::Incoming(_)))
        .unwrap()
        .handle
}

#[test]
fn a_normal_call() {
    let (mut net, a, b) = pair(Link::CLEAN, Some(200));
    net.command(a, Command::Invite(Box::new(net.invite(a, b, 1))));
    net.run_for(5 * S);
    net.command(a, bye(DialogHandle(1)));
    assert!(net.run_to_quiet(), "{}", net.ladder());
    assert_eq!(names(&net, a), "trying 180 answered ended(Bye { status: Some(200) })");
    assert_eq!(names(&net, b), "incoming ack bye");
    let SipEvent::ByeReceived { reasons } = net.events_of(b).last().unwrap() else {
        panic!()
    };
    assert_eq!(reasons[0].cause, Some(16));
    assert!(reasons[0].is_q850());
    // One message of each kind: nothing is repeated on a clean network.
    assert_eq!(net.trace().len(), 7, "{}", net.ladder());
}

#[test]
fn the_callee_hangs_up() {
    let (mut net, a, b) = pair(Link::CLEAN, Some(200));
    net.command(a, Command::Invite(Box::new(net.invite(a, b, 1))));
    net.run_for(5 * S);
    let handle = incoming_handle(&net, b);
    net.command(b, bye(handle));
    assert!(net.run_to_quiet(), "{}", net.ladder());
    assert_eq!(names(&net, a), "trying 180 answered bye");
    assert_eq!(names(&net, b), "incoming ack ended(Bye { status: Some(200) })");
}

#[test]
fn busy() {
    let (mut net, a, b) = pair(Link::CLEAN, Some(486));
    net.command(a, Command::Invite(Box::new(net.invite(a, b, 1))));
    assert!(net.run_to_quiet(), "{}", net.ladder());
    assert_eq!(names(&net, a), "trying 180 failed(486)");
    assert_eq!(names(&net, b), "incoming ended(Rejected { status: 486 })");
    assert_eq!(net.sent(a, "ACK 1"), 1);
}

#[test]
fn a_redirection_lists_contacts_by_preference() {
    let (mut net, a, b) = pair(Link::CLEAN, None);
    net.script(b, |handle, event| match event {
        SipEvent::Incoming(_) => {
            let contact = "<sip:low@h>;q=0.1, <sip:high@h>;q=0.9, sip:top@h";
            let headers = vec![
                ("Contact".to_owned(), contact.to_owned()),
                ("Retry-After".to_owned(), "30 (later)".to_owned()),
            ];
            vec![(
                0,
                Command::Respond {
                    handle,
                    status: 302,
                    reason_phrase: Some("Elsewhere".into()),
                    headers,
                    sdp: None,
                    reliable: false,
                },
            )]
        }
        _ => Vec::new(),
    });
    net.command(a, Command::Invite(Box::new(net.invite(a, b, 1))));
    assert!(net.run_to_quiet());
    let Some(SipEvent::Failed(failure)) = net.events_of(a).last() else {
        panic!("{}", names(&net, a))
    };
    assert_eq!(failure.contacts, ["sip:top@h", "sip:high@h", "sip:low@h"]);
    assert_eq!(
        (failure.status, failure.phrase.as_str(), failure.retry_after),
        (302, "Elsewhere", Some(30))
    );
}

#[test]
fn cancel_while_ringing() {
    let (mut net, a, b) = pair(Link::CLEAN, None);
    net.command(a, Command::Invite(Box::new(net.invite(a, b, 1))));
    net.after(2 * S, a, cancel(DialogHandle(1)));
    assert!(net.run_to_quiet(), "{}", net.ladder());
    assert_eq!(names(&net, a), "trying 180 ended(Cancelled { status: Some(487) })");
    assert_eq!(names(&net, b), "incoming cancelled-by-peer");
}

#[test]
fn cancel_waits_for_a_provisional_response() {
    let (mut net, a, b) = pair(Link::CLEAN, None);
    net.command(a, Command::Invite(Box::new(net.invite(a, b, 1))));
    net.command(a, cancel(DialogHandle(1)));
    assert_eq!(net.sent(a, "CANCEL 1"), 0);
    assert!(net.run_to_quiet(), "{}", net.ladder());
    assert_eq!(net.sent(a, "CANCEL 1"), 1);
    assert_eq!(names(&net, a), "ended(Cancelled { status: Some(487) })");
}

#[test]
fn cancel_that_crosses_the_answer_is_never_answered() {
    let (mut net, a, b) = pair(Link::CLEAN, Some(200));
    net.command(a, Command::Invite(Box::new(net.invite(a, b, 1))));
    // B answers at 1,010 ms; the 200 is on the wire when A gives up.
    net.after(1_015 * MS, a, cancel(DialogHandle(1)));
    assert!(net.run_to_quiet(), "{}", net.ladder());
    assert_eq!(names(&net, a), "trying 180 ended(Cancelled { status: Some(200) })");
    assert_eq!(names(&net, b), "incoming ack bye");
}

#[test]
fn cancel_after_the_answer_hangs_up() {
    let (mut net, a, b) = pair(Link::CLEAN, Some(200));
    net.command(a, Command::Invite(Box::new(net.invite(a, b, 1))));
    net.after(3 * S, a, cancel(DialogHandle(1)));
    assert!(net.run_to_quiet(), "{}", net.ladder());
    assert_eq!(names(&net, a), "trying 180 answered ended(Bye { status: Some(200) })");
}

#[test]
fn both_hang_up_at_once() {
    let (mut net, a, b) = pair(Link::CLEAN, Some(200));
    net.command(a, Command::Invite(Box::new(net.invite(a, b, 1))));
    net.run_for(5 * S);
    let handle = incoming_handle(&net, b);
    net.command(a, bye(DialogHandle(1)));
    net.command(b, bye(handle));
    assert!(net.run_to_quiet(), "{}", net.ladder());
    assert_eq!(names(&net, a), "trying 180 answered ended(Bye { status: Some(200) })");
    assert_eq!(names(&net, b), "incoming ack ended(Bye { status: Some(200) })");
}

#[test]
fn a_lost_ack_is_sent_again_for_every_repeated_answer() {
    let (mut net, a, b) = pair(Link::CLEAN, Some(200));
    let mut acks = 0;
    net.lose_if(move |packet| {
        packet.summary == "ACK 1" && {
            acks += 1;
            acks <= 3
        }
    });
    net.command(a, Command::Invite(Box::new(net.invite(a, b, 1))));
    net.run_for(20 * S);
    assert_eq!(names(&net, b), "incoming ack");
    assert_eq!(net.sent(b, "200 INVITE 1"), 4, "{}", net.ladder());
    net.command(a, bye(DialogHandle(1)));
    assert!(net.run_to_quiet());
}

#[test]
fn an_answer_that_is_never_acknowledged_ends_with_bye() {
    let (mut net, a, b) = pair(Link::CLEAN, Some(200));
    net.lose_if(|packet| packet.summary == "ACK 1");
    net.command(a, Command::Invite(Box::new(net.invite(a, b, 1))));
    assert!(net.run_to_quiet(), "{}", net.ladder());
    assert_eq!(names(&net, a), "trying 180 answered bye");
    assert_eq!(names(&net, b), "incoming no-ack ended(NoAck)");
}

#[test]
fn bye_waits_for_the_ack() {
    let (mut net, a, b) = pair(Link::CLEAN, None);
    net.script(b, |handle, event| match event {
        SipEvent::Incoming(_) => vec![(0, respond(handle, 200)), (0, bye(handle))],
        _ => Vec::new(),
    });
    net.command(a, Command::Invite(Box::new(net.invite(a, b, 1))));
    assert!(net.run_to_quiet(), "{}", net.ladder());
    assert_eq!(names(&net, a), "trying answered bye");
    assert_eq!(names(&net, b), "incoming ack ended(Bye { status: Some(200) })");
}

#[test]
fn hold_by_reinvite_in_both_directions() {
    let (mut net, a, b) = pair(Link::CLEAN, Some(200));
    net.script(a, |handle, event| match event {
        SipEvent::ReInviteReceived { .. } => vec![(0, respond(handle, 200))],
        _ => Vec::new(),
    });
    net.command(a, Command::Invite(Box::new(net.invite(a, b, 1))));
    net.run_for(5 * S);
    let handle = incoming_handle(&net, b);
    net.command(
        a,
        Command::ReInvite {
            handle: DialogHandle(1),
            sdp: sdp(),
        },
    );
    net.run_for(5 * S);
    net.command(b, Command::ReInvite { handle, sdp: sdp() });
    net.run_for(5 * S);
    net.command(b, bye(handle));
    assert!(net.run_to_quiet(), "{}", net.ladder());
    assert_eq!(names(&net, a), "trying 180 answered reinvite-answered reinvite ack bye");
    assert_eq!(
        names(&net, b),
        "incoming ack reinvite ack reinvite-answered ended(Bye { status: Some(200) })"
    );
}

#[test]
fn reinvites_that_cross_get_491_with_different_waits() {
    let (mut net, a, b) = pair(Link::CLEAN, Some(200));
    net.command(a, Command::Invite(Box::new(net.invite(a, b, 1))));
    net.run_for(5 * S);
    let handle = incoming_handle(&net, b);
    net.command(
        a,
        Command::ReInvite {
            handle: DialogHandle(1),
            sdp: sdp(),
        },
    );
    net.command(b, Command::ReInvite { handle, sdp: sdp() });
    net.run_for(5 * S);
    let wait = |node| {
        net.events_of(node).find_map(|e| match e {
            SipEvent::ReInviteFailed { status: 491, retry_in } => *retry_in,
            _ => None,
        })
    };
    // RFC 3261 §14.1: the owner of the Call-ID waits longer.
    assert!((2_100 * MS..=4_000 * MS).contains(&wait(a).unwrap()));
    assert!((0..=2_000 * MS).contains(&wait(b).unwrap()));
    net.command(a, bye(DialogHandle(1)));
    assert!(net.run_to_quiet(), "{}", net.ladder());
}

#[test]
fn late_offer_is_answered_in_the_ack() {
    let (mut net, a, b) = pair(Link::CLEAN, Some(200));
    net.script(a, |handle, event| match event {
        SipEvent::Answered {
            ack_needed: true,
            sdp: Some(_),
            ..
        } => vec![(0, Command::Ack { handle, sdp: sdp() })],
        _ => Vec::new(),
    });
    let invite = Invite {
        sdp: None,
        ..net.invite(a, b, 1)
    };
    net.command(a, Command::Invite(Box::new(invite)));
    net.run_for(5 * S);
    let SipEvent::AckReceived { sdp: Some(answer) } = net.events_of(b).last().unwrap() else {
        panic!("{}", names(&net, b))
    };
    assert_eq!(&answer[..], SDP);
    net.command(a, bye(DialogHandle(1)));
    assert!(net.run_to_quiet());
}

#[test]
fn nobody_responds() {
    let (mut net, a, b) = pair(Link::CLEAN, None);
    net.lose_if(|_| true);
    net.command(a, Command::Invite(Box::new(net.invite(a, b, 1))));
    assert!(net.run_to_quiet());
    let Some(SipEvent::Failed(failure)) = net.events_of(a).last() else {
        panic!()
    };
    assert_eq!(
        (failure.kind, failure.status, failure.after),
        (FailureKind::TransactionTimeout, 408, 32 * S)
    );
    // Timer A: 0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5 s.
    assert_eq!(net.sent(a, "INVITE 1"), 7);
}

#[test]
fn an_abandoned_attempt_that_is_answered_late_is_hung_up() {
    for (late, status) in [("200 INVITE 1", Some(200)), ("180 INVITE 1", Some(487))] {
        let (mut net, a, b) = pair(Link::CLEAN, if status == Some(200) { Some(200) } else { None });
        // Every response is lost until the caller has abandoned the attempt.
        net.lose_if(move |packet| {
            packet.to == Some(NodeId(0))
                && packet.summary.ends_with("INVITE 1")
                && packet.summary != late
                && !packet.summary.starts_with("487")
        });
        net.command(a, Command::Invite(Box::new(net.invite(a, b, 1))));
        net.run_for(10 * MS);
        net.command(
            a,
            Command::Abandon {
                handle: DialogHandle(1),
            },
        );
        assert!(net.run_to_quiet(), "{}", net.ladder());
        assert_eq!(
            names(&net, a),
            format!("ended({:?})", EndCause::Abandoned { status }),
            "{}",
            net.ladder()
        );
        assert_eq!(net.sent(a, "INVITE 1"), 1);
    }
}

#[test]
fn an_abandoned_attempt_that_stays_silent() {
    let (mut net, a, b) = pair(Link::CLEAN, None);
    net.lose_if(|_| true);
    net.command(a, Command::Invite(Box::new(net.invite(a, b, 1))));
    net.run_for(4 * S);
    let before = net.sent(a, "INVITE 1");
    net.command(
        a,
        Command::Abandon {
            handle: DialogHandle(1),
        },
    );
    assert!(net.run_to_quiet());
    assert_eq!(names(&net, a), "ended(Abandoned { status: None })");
    assert_eq!(net.sent(a, "INVITE 1"), before);
}

#[test]
fn options_finds_out_who_is_alive() {
    let (mut net, a, b) = pair(Link::CLEAN, None);
    let ping = |n: u64, net: &SipNet| {
        let invite = net.invite(a, b, n);
        Command::Options(Box::new(OptionsPing {
            handle: invite.handle,
            call_id: invite.call_id,
            local_tag: invite.local_tag,
            branch_stem: invite.branch_stem,
            request_uri: invite.request_uri,
            from: invite.from,
            destination: invite.destination,
            local: None,
        }))
    };
    net.command(a, ping(1, &net));
    net.run_for(S);
    net.lose_if(|_| true);
    net.command(a, ping(2, &net));
    assert!(net.run_to_quiet());
    assert_eq!(names(&net, a), "options(Some(200)) options(None)");
}

#[test]
fn info_inside_a_call() {
    let (mut net, a, b) = pair(Link::CLEAN, Some(200));
    net.command(a, Command::Invite(Box::new(net.invite(a, b, 1))));
    net.run_for(5 * S);
    let info = Command::Info {
        handle: DialogHandle(1),
        content_type: "application/dtmf-relay".into(),
        body: Bytes::from_static(b"Signal=5\r\n"),
    };
    net.command(a, info);
    net.run_for(S);
    net.command(a, bye(DialogHandle(1)));
    assert!(net.run_to_quiet());
    let body = net.events_of(b).find_map(|e| match e {
        SipEvent::InfoReceived { content_type, body } if content_type == "application/dtmf-relay" => Some(body.clone()),
        _ => None,
    });
    assert_eq!(&body.unwrap()[..], b"Signal=5\r\n");
    assert!(names(&net, a).contains("info-result(Some(200))"));
}

#[test]
fn commands_in_the_wrong_place_are_refused_by_name() {
    let (mut net, a, b) = pair(Link::CLEAN, None);
    net.command(a, bye(DialogHandle(9)));
    net.command(a, Command::Invite(Box::new(net.invite(a, b, 1))));
    net.command(a, Command::Invite(Box::new(net.invite(a, b, 1))));
    net.command(
        a,
        Command::ReInvite {
            handle: DialogHandle(1),
            sdp: None,
        },
    );
    net.command(a, respond(DialogHandle(1), 200));
    assert_eq!(
        names(&net, a),
        "refused(UnknownHandle) refused(DuplicateHandle) refused(WrongState) refused(WrongState)"
    );
    let bad = Invite {
        request_uri: "sip:x y\r\nEvil: 1".into(),
        ..net.invite(a, b, 2)
    };
    net.command(a, Command::Invite(Box::new(bad)));
    assert!(names(&net, a).ends_with("failed(503)"));
}
