//! Changes of the session by the far side, before and after the answer: reliable responses, UPDATE, several early dialogs.

mod kit;

use bytes::Bytes;
use kit::{Party, Rig, party_sdp};
use std::net::SocketAddr;
use strowger_core::call::Command;
use strowger_runtime::owner::OwnerInput;
use strowger_sim::{Link, NodeId};
use strowger_sip_core::{Command as Sip, DialogHandle, Reliable, SipEvent};

fn respond(handle: DialogHandle, status: u16, sdp: Option<Bytes>, reliable: bool) -> Sip {
    Sip::Respond {
        handle,
        status,
        reason_phrase: None,
        headers: vec![],
        sdp,
        reliable,
    }
}

/// Where a leg's media goes.
fn remote(rig: &Rig, leg: u16) -> Option<SocketAddr> {
    rig.media.iter().rev().find_map(|c| match c {
        strowger_media::Command::Configure { leg: l, config } if *l == leg => Some(config.remote),
        _ => None,
    })
}

fn media_of(n: usize, port: u16) -> Option<SocketAddr> {
    Some(([10, 0, 0, n as u8 + 1], port).into())
}

fn at_port(node: NodeId, version: u64, port: u16) -> Bytes {
    let text = String::from_utf8(party_sdp(node, version, "sendrecv").to_vec()).unwrap();
    text.replace("audio 4000", &format!("audio {port}")).into()
}

fn hang_up(rig: &mut Rig) {
    rig.give(OwnerInput::Command(Command::Cancel { leg: None }));
    rig.run(1_000);
    rig.assert_clean();
}

// RFC 3262
#[test]
fn early_media_reaches_a_caller_reliably_and_can_be_changed_before_the_answer() {
    let mut rig = Rig::new(Link::CLEAN, 5);
    let caller = rig.net.add_node();
    rig.party("1002", Party::EarlyMedia(200, 2_000));
    let mut invite = rig.net.invite(caller, rig.platform, 7);
    invite.reliable = Reliable::Supported;
    invite.sdp = Some(party_sdp(caller, 1, "sendrecv"));
    let handle = invite.handle;
    rig.net.command(caller, Sip::Invite(Box::new(invite)));
    rig.run(100);
    rig.forward("1002");
    rig.run(400);
    // The first packet of the callee's network lets its media through.
    rig.give(OwnerInput::Media(strowger_media::Event::FirstPacket { leg: 1 }));
    rig.run(300);
    let reliably = rig.net.events_of(caller).any(|e| {
        matches!(
            e,
            SipEvent::Provisional {
                status: 183,
                reliable: true,
                sdp: Some(_),
                ..
            }
        )
    });
    assert!(reliably, "{}", rig.net.ladder());
    assert_eq!(rig.net.sent(caller, "PRACK 2"), 1);
    let update = Sip::Update {
        handle,
        tag: None,
        sdp: Some(at_port(caller, 2, 4100)),
    };
    rig.net.command(caller, update);
    rig.run(300);
    assert_eq!(remote(&rig, 0), media_of(caller.0, 4100), "{}", rig.net.ladder());
    rig.run(3_000);
    assert_eq!((rig.hears(0), rig.hears(1)), (vec![1], vec![0]));
    hang_up(&mut rig);
}

#[test]
fn a_callee_rings_reliably_and_changes_its_early_session() {
    let mut rig = Rig::new(Link::CLEAN, 5);
    rig.party("1001", Party::Answers(100, 0));
    let callee = rig.party("1002", Party::Rings);
    let script = move |handle, e: &SipEvent| match e {
        SipEvent::Incoming(_) => vec![
            (0, respond(handle, 183, Some(at_port(callee, 1, 4000)), true)),
            (
                400_000,
                Sip::Update {
                    handle,
                    tag: None,
                    sdp: Some(at_port(callee, 2, 4200)),
                },
            ),
            (900_000, respond(handle, 200, None, false)),
        ],
        _ => vec![],
    };
    rig.net.script(callee, Box::new(script));
    rig.click(|_, _| {});
    rig.run(350);
    assert_eq!(remote(&rig, 1), media_of(callee.0, 4000));
    rig.run(400);
    let answered = rig
        .net
        .events_of(callee)
        .any(|e| matches!(e, SipEvent::UpdateAnswered { sdp: Some(_), .. }));
    assert!(answered, "{}", rig.net.ladder());
    assert_eq!(remote(&rig, 1), media_of(callee.0, 4200));
    rig.run(1_000);
    assert_eq!(
        (rig.hears(0), rig.hears(1)),
        (vec![1], vec![0]),
        "its answer came before its 200"
    );
    assert_eq!(remote(&rig, 1), media_of(callee.0, 4200), "the 200 said nothing new");
    hang_up(&mut rig);
}

// RFC 3262 §5
#[test]
fn a_prack_may_bring_a_new_offer() {
    let mut rig = Rig::new(Link::CLEAN, 5);
    let caller = rig.net.add_node();
    rig.party("1002", Party::Rings);
    let mut invite = rig.net.invite(caller, rig.platform, 7);
    invite.sdp = Some(party_sdp(caller, 1, "sendrecv"));
    rig.net.command(caller, Sip::Invite(Box::new(invite)));
    rig.run(100);
    let handle = rig.incoming.as_ref().map(|(handle, _)| *handle).unwrap();
    rig.forward("1002");
    rig.run(100);
    rig.give(OwnerInput::Media(strowger_media::Event::FirstPacket { leg: 1 }));
    assert_eq!(
        remote(&rig, 0),
        media_of(caller.0, 4000),
        "the 183 answered the INVITE's offer"
    );
    let offer = SipEvent::PrackReceived {
        sdp: Some(at_port(caller, 2, 4400)),
        answer_needed: true,
    };
    rig.give(OwnerInput::Sip(handle, offer));
    assert_eq!(remote(&rig, 0), media_of(caller.0, 4400));
    hang_up(&mut rig);
}

// RFC 3311
#[test]
fn hold_and_retrieve_by_update() {
    let mut rig = Rig::new(Link::CLEAN, 5);
    rig.party("1001", Party::Answers(100, 0));
    let callee = rig.party("1002", Party::Answers(100, 0));
    rig.click(|_, _| {});
    rig.run(1_000);
    let handle = rig.net.events().iter().find(|l| l.node == callee).unwrap().handle;
    for (version, direction, held) in [(2, "sendonly", true), (3, "sendrecv", false), (4, "inactive", true)] {
        let sdp = Some(party_sdp(callee, version, direction));
        rig.net.command(callee, Sip::Update { handle, tag: None, sdp });
        rig.run(300);
        assert_eq!(rig.record().legs[1].held, held, "{direction}");
        assert_eq!(rig.plays(0), held, "the other side hears music while it is held");
    }
    hang_up(&mut rig);
}

#[test]
fn an_update_that_cannot_be_answered_changes_nothing() {
    let mut rig = Rig::new(Link::CLEAN, 5);
    rig.party("1001", Party::Answers(100, 0));
    let callee = rig.party("1002", Party::Answers(100, 0));
    rig.click(|_, _| {});
    rig.run(1_000);
    let handle = rig.net.events().iter().find(|l| l.node == callee).unwrap().handle;
    let before = remote(&rig, 1);
    let video = String::from_utf8(at_port(callee, 2, 4300).to_vec())
        .unwrap()
        .replace("m=audio", "m=video");
    let update = Sip::Update {
        handle,
        tag: None,
        sdp: Some(video.into()),
    };
    rig.net.command(callee, update);
    rig.run(300);
    let refused = rig
        .net
        .events_of(callee)
        .any(|e| matches!(e, SipEvent::UpdateFailed { status: 488, .. }));
    assert!(refused, "{}", rig.net.ladder());
    assert_eq!((remote(&rig, 1), rig.hears(0)), (before, vec![1]));
    hang_up(&mut rig);
}

/// A proxy forks our INVITE: responses with several To tags come back (RFC 3261 §13.2.2.4). Gives the text of one.
fn response(invite: &strowger_sip_core::Message, line: &str, tag: &str, sdp: &Bytes) -> Bytes {
    let text = String::from_utf8_lossy(invite.raw()).into_owned();
    let mut out = format!("SIP/2.0 {line}\r\n");
    for header in text.lines().skip(1).take_while(|l| !l.is_empty()) {
        let name = header.split(':').next().unwrap_or("").to_ascii_lowercase();
        match name.as_str() {
            "via" | "from" | "call-id" | "cseq" => out += &format!("{header}\r\n"),
            "to" => out += &format!("{header};tag={tag}\r\n"),
            _ => {}
        }
    }
    let sdp = String::from_utf8_lossy(sdp);
    out += &format!(
        "Contact: <sip:x@10.0.0.3:5060>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
        sdp.len()
    );
    out.into()
}

#[test]
fn of_several_early_dialogs_the_first_is_heard_and_then_the_one_that_answers() {
    let mut rig = Rig::new(Link::CLEAN, 5);
    rig.party("1001", Party::Answers(100, 0));
    let proxy = rig.party("1002", Party::Rings);
    rig.net.script(proxy, Box::new(|_, _: &SipEvent| vec![]));
    rig.click(|_, _| {});
    rig.run(300);
    let invite = rig.net.events_of(proxy).find_map(|e| match e {
        SipEvent::Incoming(i) => Some(i.message.clone()),
        _ => None,
    });
    let invite = invite.expect("the proxy has the INVITE");
    let (from, to) = (rig.net.addr(proxy), rig.platform);
    for (tag, port) in [("one", 4100), ("two", 4200)] {
        let early = response(&invite, "183 Session Progress", tag, &at_port(proxy, 1, port));
        rig.net.inject(to, from, early);
        rig.run(100);
        assert_eq!(remote(&rig, 1), media_of(proxy.0, 4100), "the first one is heard");
    }
    rig.net
        .inject(to, from, response(&invite, "200 OK", "two", &at_port(proxy, 1, 4200)));
    rig.run(200);
    assert_eq!(remote(&rig, 1), media_of(proxy.0, 4200));
    assert_eq!((rig.hears(0), rig.hears(1)), (vec![1], vec![0]));
    // A second 2xx is ended by the stack and changes nothing here.
    rig.net
        .inject(to, from, response(&invite, "200 OK", "one", &at_port(proxy, 1, 4100)));
    rig.run(200);
    assert_eq!(remote(&rig, 1), media_of(proxy.0, 4200));
}
