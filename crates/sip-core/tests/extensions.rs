//! Reliable responses, UPDATE and session timers, line by line (RFC 3262, RFC 3311, RFC 4028).

mod kit;

use bytes::Bytes;
use kit::*;
use strowger_sip_core::*;

const ONE: DialogHandle = DialogHandle(1);
const CONTACT: &str = "Contact: <sip:peer@192.0.2.9:5070>\r\n";

fn sdp() -> Option<Bytes> {
    Some(Bytes::from_static(SDP.as_bytes()))
}

fn reliably(handle: DialogHandle, status: u16, sdp: Option<Bytes>) -> Command {
    Command::Respond {
        handle,
        status,
        reason_phrase: None,
        headers: Vec::new(),
        sdp,
        reliable: true,
    }
}

fn to_tag(text: &str) -> String {
    tag(header(text, "To").unwrap()).to_owned()
}

/// A call to us by a peer with these header lines, in its early dialog; returns handle and our tag.
fn ringing(ua: &mut Ua, extra: &str, body: &str) -> (DialogHandle, String) {
    ua.hear(&request("INVITE", "i1", 1, "", extra, body));
    let handle = ua.events.last().unwrap().0;
    ua.command(reliably(handle, 183, sdp()));
    let tag = to_tag(ua.last());
    (handle, tag)
}

fn rack(text: &str) -> String {
    format!("RAck: {} 1 INVITE\r\n", header(text, "RSeq").unwrap())
}

#[test]
fn a_reliable_response_is_repeated_until_its_prack_and_holds_the_2xx() {
    let mut ua = Ua::new();
    let (handle, tag) = ringing(&mut ua, "Supported: 100rel\r\n", SDP);
    let first = ua.last().to_owned();
    assert!(first.contains("Require: 100rel\r\n") && first.ends_with(SDP), "{first}");
    ua.command(reliably(handle, 180, None));
    ua.command(respond(handle, 200, true));
    assert_eq!(
        ua.last(),
        first,
        "one at a time, and no 2xx before the answer is acknowledged"
    );
    let count = ua.sent.len();
    ua.wait(4 * S);
    assert_eq!(ua.sent.len() - count, 3, "0.5, 1.5, 3.5 s");
    let wrong = ua.hear(&request("PRACK", "p0", 2, &tag, "RAck: 7 1 INVITE\r\n", ""));
    assert_eq!(status(&wrong[0]), 481);
    let sent = ua.hear(&request("PRACK", "p1", 3, &tag, &rack(&first), ""));
    // The 180 says less than the 2xx behind it and is left out.
    assert_eq!(sent.iter().map(|t| status(t)).collect::<Vec<_>>(), [200, 200]);
    assert!(matches!(
        ua.event(),
        SipEvent::PrackReceived {
            sdp: None,
            answer_needed: false
        }
    ));
    ua.hear(&request("ACK", "a", 1, &tag, "", ""));
    ua.hear(&request("BYE", "b", 5, &tag, "", ""));
    ua.assert_empty_at_last();
}

#[test]
fn reliable_responses_follow_one_another() {
    let mut ua = Ua::new();
    let (handle, tag) = ringing(&mut ua, "Supported: 100rel\r\n", SDP);
    let first = ua.last().to_owned();
    ua.command(reliably(handle, 180, None));
    let number = |text: &str| header(text, "RSeq").unwrap().parse::<u32>().unwrap();
    let sent = ua.hear(&request("PRACK", "p1", 2, &tag, &rack(&first), ""));
    assert_eq!(sent.iter().map(|t| status(t)).collect::<Vec<_>>(), [200, 180]);
    assert_eq!(number(&sent[1]), number(&first) + 1);
    // What is outstanding has no description, so the 2xx leaves, and the PRACK that comes too late is taken all the same.
    ua.command(respond(handle, 200, true));
    assert_eq!(status(ua.last()), 200);
    let late = ua.hear(&request("PRACK", "p2", 3, &tag, &rack(&sent[1]), ""));
    assert_eq!(status(&late[0]), 200);
    ua.hear(&request("ACK", "a", 1, &tag, "", ""));
    ua.hear(&request("BYE", "b", 5, &tag, "", ""));
    ua.assert_empty_at_last();
}

#[test]
fn without_any_prack_the_call_is_refused() {
    let mut ua = Ua::new();
    ringing(&mut ua, "Require: 100rel\r\n", SDP);
    ua.wait(33 * S);
    assert_eq!(status(ua.last()), 500);
    assert!(matches!(
        ua.event(),
        SipEvent::Ended {
            cause: EndCause::Rejected { status: 500 }
        }
    ));
    ua.assert_empty_at_last();
}

#[test]
fn who_cannot_gets_an_ordinary_response_and_who_must_gets_no_other() {
    let mut ua = Ua::new();
    ringing(&mut ua, "", SDP);
    assert!(!ua.last().contains("RSeq"));
    let mut ua = Ua::new();
    ua.hear(&request("INVITE", "i1", 1, "", "Require: 100rel\r\n", SDP));
    ua.command(respond(ua.events[0].0, 180, false));
    assert!(ua.last().contains("RSeq"));
}

#[test]
fn an_offer_in_a_prack_is_the_applications_to_answer() {
    let mut ua = Ua::new();
    let (handle, tag) = ringing(&mut ua, "Supported: 100rel\r\n", SDP);
    let rack = rack(ua.last());
    assert!(ua.hear(&request("PRACK", "p1", 2, &tag, &rack, SDP)).is_empty());
    assert!(matches!(
        ua.event(),
        SipEvent::PrackReceived {
            sdp: Some(_),
            answer_needed: true
        }
    ));
    // Another offer meanwhile waits for that answer.
    let update = ua.hear(&request("UPDATE", "u1", 3, &tag, "", SDP));
    assert_eq!(
        (status(&update[0]), header(&update[0], "Retry-After").is_some()),
        (500, true)
    );
    ua.command(Command::RespondPrack {
        handle,
        status: 200,
        sdp: sdp(),
    });
    assert!(ua.last().contains("CSeq: 2 PRACK\r\n") && ua.last().ends_with(SDP));
    ua.hear(&request("CANCEL", "i1", 1, "", "", ""));
    ua.assert_empty_at_last();
}

#[test]
fn a_late_offer_in_a_reliable_response() {
    let mut ua = Ua::new();
    let (handle, tag) = ringing(&mut ua, "Supported: 100rel\r\n", "");
    let rack = rack(ua.last());
    let update = ua.hear(&request("UPDATE", "u1", 2, &tag, "", SDP));
    assert_eq!(status(&update[0]), 491, "our offer is open");
    ua.hear(&request("PRACK", "p1", 3, &tag, &rack, SDP));
    assert!(matches!(
        ua.event(),
        SipEvent::PrackReceived {
            sdp: Some(_),
            answer_needed: false
        }
    ));
    ua.command(respond(handle, 200, true));
    assert!(ua.last().ends_with("\r\n\r\n"), "no second offer");
    ua.hear(&request("ACK", "a", 1, &tag, "", ""));
    assert!(matches!(ua.event(), SipEvent::AckReceived { sdp: None }));
}

#[test]
fn each_fork_gets_its_own_prack_and_update() {
    let mut ua = Ua::new();
    ua.command(Command::Invite(Box::new(Invite {
        reliable: Reliable::Supported,
        route: vec!["<sip:192.0.2.9:5070;lr>".into()],
        contact_user: Some("desk".into()),
        ..our_invite()
    })));
    let invite = ua.last().to_owned();
    assert!(invite.contains("Supported: 100rel, timer, replaces, norefersub\r\n"));
    assert!(
        invite.contains("Route: <sip:192.0.2.9:5070;lr>\r\n") && invite.contains("Contact: <sip:desk@192.0.2.1:5060>")
    );
    let early = |tag: &str, rseq: u32, hop: &str| {
        let extra = format!("{CONTACT}Require: 100rel\r\nRSeq: {rseq}\r\nRecord-Route: <sip:{hop};lr>\r\n");
        response(&invite, 183, tag, &extra, SDP)
    };
    let one = ua.hear(&early("one", 100, "192.0.2.51"));
    let two = ua.hear(&early("two", 7, "192.0.2.52"));
    for (prack, tag, rseq) in [(&one[0], "one", 100), (&two[0], "two", 7)] {
        assert!(
            prack.starts_with("PRACK ") && prack.contains(&format!(";tag={tag}\r\n")),
            "{prack}"
        );
        assert!(prack.contains("CSeq: 2 PRACK\r\n") && prack.contains(&format!("RAck: {rseq} 1 INVITE\r\n")));
    }
    assert_ne!(header(&one[0], "Via"), header(&two[0], "Via"));
    let hops: Vec<String> = ua.sent[1..].iter().map(|(to, _)| to.ip().to_string()).collect();
    assert_eq!(hops, ["192.0.2.51", "192.0.2.52"]);
    // Repeated, and ahead of its turn: neither is reported nor acknowledged.
    let events = ua.events.len();
    assert!(ua.hear(&early("one", 100, "192.0.2.51")).is_empty());
    assert!(ua.hear(&early("one", 102, "192.0.2.51")).is_empty());
    assert_eq!(ua.events.len(), events);
    ua.hear(&response(&one[0], 200, "", "", ""));
    // A PRACK that got out of order is sent again when the response comes again.
    ua.hear(&response(&two[0], 500, "", "", ""));
    let again = ua.hear(&early("two", 7, "192.0.2.52"));
    assert!(again[0].contains("CSeq: 3 PRACK"));
    ua.command(Command::Update {
        handle: ONE,
        tag: Some("one".into()),
        sdp: sdp(),
    });
    let update = ua.last().to_owned();
    assert!(update.contains("CSeq: 3 UPDATE") && update.contains(";tag=one\r\n") && update.contains("<sip:desk@"));
    ua.hear(&response(&update, 200, "", CONTACT, SDP));
    assert!(matches!(ua.event(), SipEvent::UpdateAnswered { tag, sdp: Some(_) } if tag == "one"));
    // One answers; its numbers go on, and Two gets ACK and BYE.
    ua.hear(&response(&invite, 200, "one", CONTACT, ""));
    assert!(matches!(ua.event(), SipEvent::Answered { ack_needed: false, .. }));
    let at = ua.sent.len();
    ua.hear(&response(&invite, 200, "two", CONTACT, SDP));
    assert!(ua.sent[at].1.starts_with("ACK ") && ua.sent[at + 1].1.starts_with("BYE "));
    let bye = ua.last().to_owned();
    assert!(bye.contains("CSeq: 1001 BYE"), "its PRACKs used 2 and 3: {bye}");
    ua.hear(&response(&bye, 200, "", "", ""));
    ua.command(Command::Bye {
        handle: ONE,
        reason: None,
    });
    let bye = ua.last().to_owned();
    assert!(bye.contains("CSeq: 4 BYE") && bye.contains(";tag=one\r\n"), "{bye}");
    ua.hear(&response(&bye, 200, "", "", ""));
    ua.assert_empty_at_last();
}

/// A request of the callee in the dialog of our INVITE.
fn theirs(method: &str, cseq: u32, tag: &str, extra: &str, body: &str) -> String {
    let kind = if body.is_empty() {
        ""
    } else {
        "Content-Type: application/sdp\r\n"
    };
    format!(
        "{method} sip:us@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bKt{cseq}{method}{tag};rport\r\n\
         From: <sip:peer@192.0.2.9>;tag={tag}\r\nTo: <sip:us@192.0.2.1>;tag=ours\r\nCall-ID: call@us\r\n\
         CSeq: {cseq} {method}\r\n{CONTACT}{extra}{kind}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn requests_before_the_answer_are_never_silent() {
    let mut ua = Ua::new();
    ua.command(Command::Invite(Box::new(our_invite())));
    let invite = ua.last().to_owned();
    // From a branch whose response is still on its way.
    let ahead = ua.hear(&theirs("UPDATE", 1, "z", "", SDP));
    assert_eq!((status(&ahead[0]), header(&ahead[0], "Retry-After")), (500, Some("1")));
    ua.hear(&response(&invite, 183, "z", CONTACT, ""));
    assert_eq!(status(&ua.hear(&theirs("INFO", 2, "z", "", ""))[0]), 200);
    assert_eq!(
        status(&ua.hear(&theirs("UPDATE", 3, "z", "", SDP))[0]),
        491,
        "our offer is open"
    );
    assert_eq!(status(&ua.hear(&theirs("UPDATE", 4, "z", "", ""))[0]), 200);
    assert_eq!(status(&ua.hear(&theirs("REFER", 5, "z", "", ""))[0]), 403);
    assert_eq!(status(&ua.hear(&theirs("BYE", 6, "z", "", ""))[0]), 481);
    ua.hear(&response(&invite, 486, "z", "", ""));
    ua.assert_empty_at_last();
}

/// Our call to a peer, answered with these header lines; returns the INVITE.
fn called(ua: &mut Ua, extra: &str) -> String {
    ua.command(Command::Invite(Box::new(our_invite())));
    let invite = ua.last().to_owned();
    ua.hear(&response(&invite, 200, "z", &format!("{CONTACT}{extra}"), SDP));
    assert!(matches!(ua.event(), SipEvent::Answered { .. }));
    invite
}

#[test]
fn offers_that_cross_are_refused() {
    let mut ua = Ua::new();
    called(&mut ua, "");
    ua.command(Command::Update {
        handle: ONE,
        tag: None,
        sdp: sdp(),
    });
    let update = ua.last().to_owned();
    assert_eq!(status(&ua.hear(&theirs("UPDATE", 1, "z", "", SDP))[0]), 491);
    assert_eq!(status(&ua.hear(&theirs("INVITE", 2, "z", "", SDP))[0]), 491);
    assert_eq!(status(&ua.hear(&theirs("UPDATE", 3, "z", "", ""))[0]), 200);
    ua.command(Command::ReInvite {
        handle: ONE,
        sdp: sdp(),
    });
    assert!(matches!(
        ua.event(),
        SipEvent::ReInviteFailed {
            status: 491,
            retry_in: Some(_)
        }
    ));
    ua.hear(&response(&update, 491, "", "", ""));
    let SipEvent::UpdateFailed {
        status: 491,
        retry_in: Some(wait),
        ..
    } = ua.event()
    else {
        panic!("{:?}", ua.event())
    };
    assert!((2_100_000..=4_000_000).contains(wait), "{wait}");
    // Theirs waits for us: 500 for every other one.
    assert!(ua.hear(&theirs("UPDATE", 4, "z", "", SDP)).is_empty());
    assert_eq!(status(&ua.hear(&theirs("UPDATE", 5, "z", "", SDP))[0]), 500);
    assert_eq!(status(&ua.hear(&theirs("INVITE", 6, "z", "", SDP))[0]), 500);
    ua.command(Command::RespondUpdate {
        handle: ONE,
        tag: None,
        status: 488,
        sdp: None,
    });
    assert!(ua.last().contains("CSeq: 4 UPDATE") && status(ua.last()) == 488);
    // Nobody answers the next one, so the stack does.
    ua.hear(&theirs("UPDATE", 7, "z", "", SDP));
    ua.wait(11 * S);
    assert_eq!((status(ua.last()), header(ua.last(), "CSeq")), (504, Some("7 UPDATE")));
    let bye = ua.hear(&theirs("BYE", 8, "z", "", ""));
    assert_eq!(status(&bye[0]), 200);
    ua.assert_empty_at_last();
}

// ---- session timers ----

#[test]
fn a_short_interval_is_refused_both_ways() {
    let mut ua = Ua::new();
    let short = "Supported: timer\r\nSession-Expires: 60\r\n";
    let sent = ua.hear(&request("INVITE", "i1", 1, "", short, SDP));
    assert_eq!((status(&sent[0]), header(&sent[0], "Min-SE")), (422, Some("90")));
    assert_eq!(ua.stack.stats().dialogs, 0);
    ua.command(Command::Invite(Box::new(our_invite())));
    let invite = ua.last().to_owned();
    assert_eq!(header(&invite, "Session-Expires"), Some("1800"));
    let sent = ua.hear(&response(&invite, 422, "z", "Min-SE: 3600\r\n", ""));
    let second = &sent[1];
    assert_eq!(
        (
            header(second, "Session-Expires"),
            header(second, "Min-SE"),
            header(second, "CSeq")
        ),
        (Some("3600"), Some("3600"), Some("2 INVITE"))
    );
    assert!(second.ends_with(SDP) && header(second, "Call-ID") == header(&invite, "Call-ID"));
    let again = ua.hear(&response(second, 422, "z", "Min-SE: 7200\r\n", ""));
    assert!(again.len() == 1 && matches!(ua.event(), SipEvent::Failed(f) if f.status == 422));
    ua.assert_empty_at_last();
}

#[test]
fn the_callee_agrees_to_an_interval_and_hangs_up_when_nobody_refreshes() {
    let mut ua = Ua::new();
    ua.hear(&request(
        "INVITE",
        "i1",
        1,
        "",
        "Supported: timer\r\nSession-Expires: 100\r\n",
        SDP,
    ));
    let handle = ua.events[0].0;
    ua.command(respond(handle, 200, true));
    let answer = ua.last().to_owned();
    assert_eq!(header(&answer, "Session-Expires"), Some("100;refresher=uac"));
    assert!(answer.contains("Require: timer\r\n"));
    let tag = to_tag(&answer);
    ua.hear(&request("ACK", "a", 1, &tag, "", ""));
    // An UPDATE refreshes without the application.
    ua.wait(50 * S);
    let sent = ua.hear(&request(
        "UPDATE",
        "u",
        2,
        &tag,
        "Supported: timer\r\nSession-Expires: 100;refresher=uac\r\n",
        "",
    ));
    assert_eq!(header(&sent[0], "Session-Expires"), Some("100;refresher=uac"));
    assert!(matches!(ua.event(), SipEvent::SessionRefreshed { sdp: None }));
    ua.wait(67 * S);
    assert!(matches!(ua.event(), SipEvent::SessionRefreshed { .. }));
    ua.wait(2 * S);
    assert!(ua.last().starts_with("BYE "));
    ua.hear(&response(ua.last(), 200, "", "", ""));
    assert!(matches!(
        ua.event(),
        SipEvent::Ended {
            cause: EndCause::SessionExpired
        }
    ));
    ua.assert_empty_at_last();
}

#[test]
fn the_refresher_repeats_its_description_where_update_is_unknown() {
    let mut ua = Ua::new();
    let invite = called(&mut ua, "Session-Expires: 200;refresher=uac\r\n");
    ua.wait(101 * S);
    let refresh = ua.last().to_owned();
    assert!(refresh.starts_with("INVITE ") && refresh.ends_with(SDP), "{refresh}");
    assert_eq!(header(&refresh, "Session-Expires"), Some("200;refresher=uac"));
    assert_eq!(header(&invite, "Contact"), header(&refresh, "Contact"));
    // Refused for glare, it comes again.
    ua.hear(&response(&refresh, 491, "", "", ""));
    ua.wait(5 * S);
    let refresh = ua.last().to_owned();
    assert!(refresh.contains("CSeq: 3 INVITE"));
    ua.hear(&response(
        &refresh,
        200,
        "",
        "Session-Expires: 200;refresher=uac\r\nAllow: INVITE, UPDATE\r\n",
        SDP,
    ));
    assert!(matches!(ua.event(), SipEvent::SessionRefreshed { sdp: Some(_) }));
    assert!(ua.last().starts_with("ACK "));
    // A peer that has lost the dialog ends it.
    ua.wait(101 * S);
    let refresh = ua.last().to_owned();
    ua.hear(&response(&refresh, 481, "", "", ""));
    assert!(ua.last().starts_with("BYE "));
    ua.assert_empty_at_last();
}

/// RFC 4028 table 2 and §7.2: against a peer that knows nothing of session timers we are the refresher, whoever called.
#[test]
fn a_peer_without_session_timers_is_asked_for_a_sign_of_life() {
    let mut ua = Ua::new();
    ua.hear(&request("INVITE", "i1", 1, "", "", SDP));
    let handle = ua.events[0].0;
    ua.command(respond(handle, 200, true));
    let answer = ua.last().to_owned();
    assert_eq!(header(&answer, "Session-Expires"), Some("1800;refresher=uas"));
    assert_eq!(
        header(&answer, "Require"),
        None,
        "nothing is asked of a peer that cannot"
    );
    ua.hear(&request("ACK", "a", 1, &to_tag(&answer), "", ""));
    ua.wait(901 * S);
    let refresh = ua.last().to_owned();
    assert!(refresh.starts_with("INVITE ") && refresh.ends_with(SDP), "{refresh}");
    ua.hear(&response(&refresh, 200, "", "", SDP));
    // The next one finds nobody: the dialog ends long before somebody notices the silence.
    ua.wait(901 * S);
    assert!(ua.last().starts_with("INVITE ") && ua.last() != refresh);
    ua.hear(&response(ua.last(), 408, "", "", ""));
    assert!(ua.last().starts_with("BYE "), "{}", ua.last());
    ua.assert_empty_at_last();

    let mut ua = Ua::new();
    called(&mut ua, "");
    ua.wait(901 * S);
    assert!(
        ua.last().starts_with("INVITE "),
        "the callee said nothing, so the caller asks"
    );
    ua.hear(&response(ua.last(), 481, "", "", ""));
    ua.assert_empty_at_last();
}

#[test]
fn an_heir_goes_on_refreshing() {
    let mut ua = Ua::new();
    called(
        &mut ua,
        "Session-Expires: 200;refresher=uac\r\nAllow: INVITE, UPDATE\r\n",
    );
    let snapshot = ua.stack.snapshot(ONE).unwrap();
    assert_eq!(
        snapshot.extras.session,
        Some(SessionTimer {
            expires: 200,
            we_refresh: true
        })
    );
    let mut heir = Ua::with(|c| c.seed = [9; 16]);
    heir.command(Command::Import {
        snapshot: Box::new(DialogSnapshot::Confirmed(snapshot)),
        credentials: None,
    });
    heir.wait(25 * S);
    let refresh = heir.sent[0].1.clone();
    assert!(refresh.starts_with("UPDATE ") && refresh.contains("Session-Expires: 200;refresher=uac\r\n"));
    heir.hear(&response(
        &refresh,
        200,
        "",
        "Session-Expires: 200;refresher=uas\r\n",
        "",
    ));
    // The roles have changed: now the peer refreshes, and its silence ends the session.
    let count = heir.sent.len();
    heir.wait(140 * S);
    assert_eq!(heir.sent.len(), count);
    heir.wait(40 * S);
    assert!(heir.last().starts_with("BYE "));
    heir.assert_empty_at_last();
}
