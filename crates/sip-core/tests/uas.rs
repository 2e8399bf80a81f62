//! What the stack answers to requests, line by line.

mod kit;

use kit::*;
use strowger_sip_core::*;

/// Rings and answers; returns the handle and our tag.
fn answered(ua: &mut Ua) -> (DialogHandle, String) {
    ua.hear(&invite_from_peer());
    let handle = ua.events.last().unwrap().0;
    ua.command(respond(handle, 200, true));
    let tag = tag(header(ua.last(), "To").unwrap()).to_owned();
    ua.hear(&request("ACK", "a1", 1, &tag, "", ""));
    assert!(matches!(ua.event(), SipEvent::AckReceived { sdp: None }));
    (handle, tag)
}

#[test]
fn an_invite_is_answered_with_everything_a_dialog_needs() {
    let mut ua = Ua::new();
    let route = "Record-Route: <sip:p2@192.0.2.7;lr>, <sip:p1@192.0.2.8;lr>\r\n";
    let first = ua.hear(&request("INVITE", "i1", 1, "", route, SDP));
    assert_eq!(first.len(), 1);
    assert_eq!(status(&first[0]), 100);
    assert!(!first[0].contains(";tag=theirs;tag") && !header(&first[0], "To").unwrap().contains("tag"));
    let SipEvent::Incoming(incoming) = ua.event() else {
        panic!()
    };
    assert_eq!(incoming.request_uri, "sip:us@192.0.2.1");
    assert_eq!(incoming.sdp.as_deref(), Some(SDP.as_bytes()));
    assert_eq!(
        incoming.snapshot.route_set,
        ["<sip:p2@192.0.2.7;lr>", "<sip:p1@192.0.2.8;lr>"]
    );
    let handle = ua.events[0].0;
    assert!(handle.is_incoming());
    ua.command(respond(handle, 180, false));
    let ringing = ua.last().to_owned();
    ua.command(respond(handle, 200, true));
    let answer = ua.last().to_owned();
    for text in [&ringing, &answer] {
        assert_eq!(
            header(text, "Via").unwrap(),
            "SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bKi1;rport=5070;received=192.0.2.9"
        );
        assert_eq!(header(text, "Contact").unwrap(), "<sip:192.0.2.1:5060>");
        assert!(text.contains("Record-Route: <sip:p2@192.0.2.7;lr>, <sip:p1@192.0.2.8;lr>\r\n"));
        assert_eq!(header(text, "Server"), Some("test"));
    }
    assert_eq!(header(&ringing, "To"), header(&answer, "To"));
    assert!(
        answer.contains("Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, PRACK, UPDATE, REFER, NOTIFY\r\n")
            && answer.ends_with(SDP)
    );
    // Our BYE follows the route set, with the far side's Contact as Request-URI.
    ua.hear(&request("ACK", "a1", 1, tag(header(&answer, "To").unwrap()), "", ""));
    ua.command(Command::Bye {
        handle,
        reason: Some(Reason::q850(16, "done \"now\"")),
    });
    let (to, bye) = ua.sent.last().unwrap().clone();
    assert_eq!(to, "192.0.2.7:5060".parse().unwrap());
    assert!(bye.starts_with("BYE sip:peer@192.0.2.9:5070 SIP/2.0\r\n"), "{bye}");
    assert!(bye.contains("Route: <sip:p2@192.0.2.7;lr>\r\nRoute: <sip:p1@192.0.2.8;lr>\r\n"));
    assert!(
        bye.contains("From: <sip:us@192.0.2.1>;tag=")
            && bye.contains("To: \"Peer\" <sip:peer@192.0.2.9>;tag=theirs\r\n")
    );
    assert!(bye.contains("Reason: Q.850;cause=16;text=\"done \\\"now\\\"\"\r\n"));
    ua.hear(&response(&bye, 200, "", "", ""));
    assert!(matches!(
        ua.event(),
        SipEvent::Ended {
            cause: EndCause::Bye { status: Some(200) }
        }
    ));
    ua.assert_empty_at_last();
}

#[test]
fn a_strict_router_gets_the_old_form() {
    let mut ua = Ua::new();
    ua.hear(&request(
        "INVITE",
        "i1",
        1,
        "",
        "Record-Route: <sip:old@192.0.2.7>, <sip:p1@192.0.2.8;lr>\r\n",
        SDP,
    ));
    let handle = ua.events[0].0;
    ua.command(respond(handle, 200, true));
    let tag = tag(header(ua.last(), "To").unwrap()).to_owned();
    ua.hear(&request("ACK", "a1", 1, &tag, "", ""));
    ua.command(Command::Bye { handle, reason: None });
    let bye = ua.last();
    assert!(bye.starts_with("BYE sip:old@192.0.2.7 SIP/2.0\r\n"), "{bye}");
    assert!(
        bye.contains("Route: <sip:p1@192.0.2.8;lr>\r\nRoute: <sip:peer@192.0.2.9:5070>\r\n"),
        "{bye}"
    );
}

#[test]
fn responses_go_where_rfc_3581_says() {
    let with = |via: &str| invite_from_peer().replace("SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bKi1;rport", via);
    for (via, source, expected, written) in [
        (
            "SIP/2.0/UDP 10.1.1.1;branch=z9hG4bKx;rport",
            "192.0.2.9:1234",
            "192.0.2.9:1234",
            ";rport=1234;received=192.0.2.9",
        ),
        (
            "SIP/2.0/UDP 10.1.1.1:5080;branch=z9hG4bKx",
            "192.0.2.9:1234",
            "192.0.2.9:5080",
            ";received=192.0.2.9",
        ),
        (
            "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKx",
            "192.0.2.9:1234",
            "192.0.2.9:5060",
            ";branch=z9hG4bKx",
        ),
        (
            "SIP/2.0/UDP 192.0.2.9;received=1.2.3.4;branch=z9hG4bKx;rport=9",
            "192.0.2.9:1234",
            "192.0.2.9:1234",
            ";branch=z9hG4bKx;rport=1234;received=192.0.2.9",
        ),
    ] {
        let mut ua = Ua::new();
        let source = source.parse().unwrap();
        let sent = ua.hear_bytes(source, with(via).as_bytes());
        assert_eq!(ua.sent[0].0, expected.parse().unwrap(), "{via}");
        assert!(header(&sent[0], "Via").unwrap().ends_with(written), "{}", sent[0]);
    }
}

#[test]
fn every_via_is_returned_in_order() {
    let mut ua = Ua::new();
    let more = "rport, SIP/2.0/UDP two.example;branch=z9hG4bK2\r\nv: SIP/2.0/TCP three.example;branch=z9hG4bK3";
    let sent = ua.hear(&invite_from_peer().replace("rport", more));
    let vias: Vec<&str> = sent[0].lines().filter_map(|l| l.strip_prefix("Via: ")).collect();
    assert_eq!(vias.len(), 3, "{}", sent[0]);
    assert!(vias[1].starts_with("SIP/2.0/UDP two.example") && vias[2].starts_with("SIP/2.0/TCP three.example"));
}

#[test]
fn repeated_requests_are_absorbed() {
    let mut ua = Ua::new();
    ua.hear(&invite_from_peer());
    assert_eq!(
        ua.hear(&invite_from_peer())
            .iter()
            .map(|t| status(t))
            .collect::<Vec<_>>(),
        [100]
    );
    let handle = ua.events[0].0;
    ua.command(respond(handle, 183, true));
    assert_eq!(
        ua.hear(&invite_from_peer())
            .iter()
            .map(|t| status(t))
            .collect::<Vec<_>>(),
        [183]
    );
    ua.command(respond(handle, 486, false));
    assert_eq!(
        ua.hear(&invite_from_peer())
            .iter()
            .map(|t| status(t))
            .collect::<Vec<_>>(),
        [486]
    );
    let tag = tag(header(ua.last(), "To").unwrap()).to_owned();
    // The ACK of a 486 has the INVITE's branch and ends the repetition.
    assert!(ua.hear(&request("ACK", "i1", 1, &tag, "", "")).is_empty());
    let count = ua.sent.len();
    ua.assert_empty_at_last();
    assert_eq!(ua.sent.len(), count);
    assert_eq!(ua.events.len(), 2);
}

#[test]
fn a_refusal_without_ack_is_repeated_until_timer_h() {
    let mut ua = Ua::new();
    ua.hear(&invite_from_peer());
    ua.command(respond(ua.events[0].0, 486, false));
    let before = ua.sent.len();
    ua.wait(40 * S);
    // 0.5, 1.5, 3.5, then every 4 s up to 32 s.
    assert_eq!(ua.sent.len() - before, 10);
    ua.assert_empty_at_last();
}

#[test]
fn each_mistake_gets_its_answer() {
    let ok = || request("INVITE", "i1", 1, "", "", SDP);
    let options = request("OPTIONS", "o1", 1, "", "", "");
    for (text, expected, mark) in [
        (options.clone(), 200, "Accept: application/sdp"),
        (request("BYE", "b", 1, "nobody", "", ""), 481, ""),
        (request("BYE", "b", 1, "", "", ""), 481, ""),
        (request("INVITE", "b", 1, "nobody", "", SDP), 481, ""),
        (request("CANCEL", "b", 1, "", "", ""), 481, ""),
        (request("INFO", "b", 1, "nobody", "", ""), 481, ""),
        (request("REGISTER", "b", 1, "", "", ""), 405, "Allow: INVITE"),
        (request("SUBSCRIBE", "b", 1, "", "", ""), 405, "Allow: INVITE"),
        (request("NEWMETHOD", "b", 1, "", "", ""), 501, "Allow: INVITE"),
        (
            request("INVITE", "b", 1, "", "Require: 100rel, foo\r\n", SDP),
            420,
            "Unsupported: foo\r\n",
        ),
        (
            ok().replace(
                "INVITE sip:us@192.0.2.1 ",
                "INVITE nobodyKnowsThisScheme:totallyopaque ",
            ),
            416,
            "",
        ),
        (ok().replace("INVITE sip:us@192.0.2.1 ", "INVITE sip: "), 400, ""),
        (
            ok().replace("INVITE sip:us@192.0.2.1 ", "INVITE <sip:us@192.0.2.1> "),
            400,
            "",
        ),
        (
            ok().replace("INVITE sip:us@192.0.2.1 ", "INVITE sip:us@192.0.2.1; lr "),
            400,
            "",
        ),
        (ok().replace("192.0.2.1 SIP/2.0", "192.0.2.1 SIP/7.0"), 505, ""),
        (ok().replace("CSeq: 1 INVITE", "CSeq: 1 BYE"), 400, ""),
        (
            ok().replace("CSeq: 1 INVITE", "CSeq: 36893488147419103232 INVITE"),
            400,
            "",
        ),
        (ok().replace("CSeq: 1 INVITE\r\n", ""), 400, ""),
        (ok().replace("Call-ID: c1\r\n", ""), 400, ""),
        (ok().replace("Max-Forwards", "To: <sip:x@y>\r\nMax-Forwards"), 400, ""),
        (ok().replace("Max-Forwards", "no colon here\r\nMax-Forwards"), 400, ""),
        (ok().replace("Content-Length: ", "Content-Length: 9"), 400, ""),
        (ok().replace("Content-Length: ", "Content-Length: -"), 400, ""),
        (
            ok().replace("Content-Length: ", "Content-Length: 184467440737095516"),
            400,
            "",
        ),
        (ok().replace("Contact: <sip:peer@192.0.2.9:5070>\r\n", ""), 400, ""),
        (
            ok().replace("application/sdp", "text/plain"),
            415,
            "Accept: application/sdp",
        ),
        (
            request("INVITE", "b", 1, "", "Content-Encoding: gzip\r\n", SDP),
            415,
            "",
        ),
        (ok().replace("\r\n\r\n", "\r\n"), 400, ""),
        (ok().replace("Via: SIP/2.0/UDP", "Via: nonsense"), 400, ""),
    ] {
        let mut ua = Ua::new();
        let sent = ua.hear(&text);
        assert_eq!(sent.iter().map(|t| status(t)).collect::<Vec<_>>(), [expected], "{text}");
        assert!(sent[0].contains(mark), "{}", sent[0]);
        assert!(ua.events.is_empty(), "{text}");
        // No state, and the same answer again, tag included.
        assert_eq!(ua.stack.stats().transactions, 0, "{text}");
        assert_eq!(ua.hear(&text), sent);
    }
}

#[test]
fn what_must_not_be_answered_is_dropped() {
    let ok = request("INVITE", "i1", 1, "", "", SDP);
    for text in [
        "\r\n\r\n".to_owned(),
        String::new(),
        "\0\0\0\0".into(),
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n".into(),
        request("ACK", "x", 1, "nobody", "", ""),
        request("ACK", "x", 1, "", "", "").replace("CSeq: 1 ACK", "CSeq: x"),
        "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKunknown\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>;tag=2\r\nCall-ID: q\r\nCSeq: 1 INVITE\r\n\r\n".into(),
        "SIP/2.0 200\r\n\r\n".into(),
        "SIP/2.0 999 X\r\n\r\n".into(),
        ok[..20].to_owned(),
    ] {
        let mut ua = Ua::new();
        assert!(ua.hear(&text).is_empty(), "{text}");
        assert!(ua.events.is_empty());
    }
}

#[test]
fn tolerated_spellings() {
    let folded = invite_from_peer().replace(
        "From: \"Peer\" <sip:peer@192.0.2.9>;tag=theirs",
        "f:\r\n  \"Peer\"\r\n\t<sip:peer@192.0.2.9>\r\n ;tag=theirs",
    );
    let compact = invite_from_peer()
        .replace("Call-ID:", "i :")
        .replace("Via:", "V\t:")
        .replace("Content-Length:", "l   :")
        .replace("Content-Type:", "c:")
        .replace("Contact:", "m:");
    let bare_lines = invite_from_peer().replace(SDP, "").replace("\r\n", "\n") + SDP;
    let leading = format!("\r\n\r\n{}", invite_from_peer());
    let trailing = format!("{}garbage after the body", invite_from_peer());
    let quoted = invite_from_peer().replace("\"Peer\"", "\"P <sip:x@y>;tag=no, \\\" r\"");
    for text in [folded, compact, bare_lines, leading, trailing, quoted] {
        let mut ua = Ua::new();
        let sent = ua.hear(&text);
        assert_eq!(status(&sent[0]), 100, "{text}\n{}", sent[0]);
        let SipEvent::Incoming(incoming) = ua.event() else {
            panic!("{text}")
        };
        assert_eq!(incoming.snapshot.remote_tag, "theirs", "{text}");
        assert!(incoming.sdp.as_deref().unwrap().starts_with(b"v=0"), "{text}");
    }
    // Bytes that are no UTF-8 spoil their own line only.
    let mut bytes = invite_from_peer()
        .replace("Max-Forwards: 70", "Subject: ###\r\nMax-Forwards: 70")
        .into_bytes();
    let at = bytes.windows(3).position(|w| w == b"###").unwrap();
    bytes[at] = 0xff;
    let mut ua = Ua::new();
    ua.hear_bytes(them(), &bytes);
    assert!(matches!(ua.event(), SipEvent::Incoming(_)));
}

#[test]
fn a_fork_that_arrives_twice_is_a_loop() {
    let mut ua = Ua::new();
    ua.hear(&invite_from_peer());
    let sent = ua.hear(&request("INVITE", "other", 1, "", "", SDP));
    assert_eq!(status(&sent[0]), 482);
    assert_eq!(ua.events.len(), 1);
}

#[test]
fn overload_is_refused_before_state_exists() {
    let mut ua = Ua::with(|c| c.max_dialogs = 1);
    ua.hear(&invite_from_peer());
    let second = |n: u32| {
        invite_from_peer()
            .replace("c1", &format!("c{}", n + 10))
            .replace("i1", &format!("j{n}"))
    };
    let sent = ua.hear(&second(1));
    assert_eq!((status(&sent[0]), header(&sent[0], "Retry-After")), (503, Some("5")));
    assert_eq!(ua.stack.stats().dialogs, 1);
    let mut ua = Ua::new();
    ua.stack.set_overload(Overload::Refuse { retry_after: 17 });
    let sent = ua.hear(&second(2));
    assert_eq!((status(&sent[0]), header(&sent[0], "Retry-After")), (503, Some("17")));
    assert_eq!((ua.stack.stats().transactions, ua.stack.stats().refused), (0, 1));
    // What is not a new call goes on.
    assert_eq!(status(&ua.hear(&request("OPTIONS", "o", 1, "", "", ""))[0]), 200);
}

#[test]
fn cancel_gets_both_answers() {
    let mut ua = Ua::new();
    ua.hear(&invite_from_peer());
    let cancel = request(
        "CANCEL",
        "i1",
        1,
        "",
        "Reason: SIP;cause=200;text=\"Call completed elsewhere\"\r\n",
        "",
    );
    let sent = ua.hear(&cancel);
    assert_eq!(
        sent.iter()
            .map(|t| (status(t), header(t, "CSeq").unwrap()))
            .collect::<Vec<_>>(),
        [(200, "1 CANCEL"), (487, "1 INVITE")]
    );
    let SipEvent::CancelledByPeer { reasons } = ua.event() else {
        panic!()
    };
    assert_eq!(reasons, &[Reason::sip(200, "Call completed elsewhere")]);
    // A CANCEL after the final response still gets its 200 and changes nothing.
    assert_eq!(ua.hear(&cancel).iter().map(|t| status(t)).collect::<Vec<_>>(), [200]);
    assert_eq!(ua.events.len(), 2);
    ua.assert_empty_at_last();
}

#[test]
fn bye_before_the_answer_ends_the_attempt() {
    let mut ua = Ua::new();
    ua.hear(&invite_from_peer());
    ua.command(respond(ua.events[0].0, 180, false));
    let tag = tag(header(ua.last(), "To").unwrap()).to_owned();
    let sent = ua.hear(&request("BYE", "b1", 2, &tag, "", ""));
    assert_eq!(sent.iter().map(|t| status(t)).collect::<Vec<_>>(), [200, 487]);
    assert!(matches!(ua.event(), SipEvent::CancelledByPeer { .. }));
}

#[test]
fn inside_a_dialog() {
    let mut ua = Ua::new();
    let (_, tag) = answered(&mut ua);
    assert_eq!(status(&ua.hear(&request("OPTIONS", "o", 2, &tag, "", ""))[0]), 200);
    assert_eq!(status(&ua.hear(&request("SUBSCRIBE", "u", 3, &tag, "", ""))[0]), 405);
    assert_eq!(status(&ua.hear(&request("WHAT", "w", 4, &tag, "", ""))[0]), 501);
    assert_eq!(
        status(&ua.hear(&request("INFO", "x", 5, &tag, "Require: y\r\n", ""))[0]),
        420
    );
    // Numbers go up only.
    let late = ua.hear(&request("INFO", "late", 3, &tag, "", ""));
    assert_eq!((status(&late[0]), header(&late[0], "Retry-After")), (500, Some("0")));
    let info = request("INFO", "n", 9, &tag, "", "");
    assert_eq!(status(&ua.hear(&info)[0]), 200);
    let events = ua.events.len();
    assert_eq!(status(&ua.hear(&info)[0]), 200);
    assert_eq!(ua.events.len(), events, "a repeated INFO is no second digit");
    let bye = request("BYE", "b", 10, &tag, "Reason: Q.850;cause=31\r\n", "");
    assert_eq!(status(&ua.hear(&bye)[0]), 200);
    assert!(matches!(ua.event(), SipEvent::ByeReceived { reasons } if reasons[0].cause == Some(31)));
    assert_eq!(status(&ua.hear(&bye)[0]), 200);
    assert_eq!(status(&ua.hear(&request("BYE", "b2", 11, &tag, "", ""))[0]), 481);
    ua.assert_empty_at_last();
}

#[test]
fn reinvites_of_the_peer() {
    let mut ua = Ua::new();
    let (handle, tag) = answered(&mut ua);
    ua.hear(&request("INVITE", "r1", 2, &tag, "", SDP));
    assert!(matches!(ua.event(), SipEvent::ReInviteReceived { sdp: Some(_) }));
    // A second one before the first is answered.
    let sent = ua.hear(&request("INVITE", "r2", 3, &tag, "", SDP));
    assert_eq!(
        (status(&sent[0]), header(&sent[0], "Retry-After").is_some()),
        (500, true)
    );
    let sent = ua.hear(&request("CANCEL", "r1", 2, "", "", ""));
    assert_eq!(sent.iter().map(|t| status(t)).collect::<Vec<_>>(), [200, 487]);
    assert!(matches!(ua.event(), SipEvent::ReInviteCancelled));
    // The next one is answered; its ACK is lost, and the one after it proves that the 200 arrived.
    ua.hear(&request("INVITE", "r3", 4, &tag, "", SDP));
    ua.command(respond(handle, 200, true));
    let sent = ua.hear(&request("INVITE", "r4", 5, &tag, "", SDP));
    assert_eq!(status(&sent[0]), 100);
    assert!(matches!(ua.event(), SipEvent::ReInviteReceived { .. }));
    ua.command(respond(handle, 488, false));
    assert_eq!(status(ua.last()), 488);
    // Ours is under way: glare.
    ua.command(Command::ReInvite { handle, sdp: None });
    let ours = ua.last().to_owned();
    assert!(ours.starts_with("INVITE sip:peer@192.0.2.9:5070 "));
    assert_eq!(status(&ua.hear(&request("INVITE", "r5", 6, &tag, "", SDP))[0]), 491);
    // A late offer of theirs in the 200 wants its answer in our ACK.
    ua.hear(&response(&ours, 200, "", "", SDP));
    assert!(matches!(
        ua.event(),
        SipEvent::ReInviteAnswered {
            ack_needed: true,
            sdp: Some(_)
        }
    ));
    ua.command(Command::Ack {
        handle,
        sdp: Some(SDP.into()),
    });
    assert!(ua.last().starts_with("ACK ") && ua.last().ends_with(SDP));
    // A BYE of theirs while their re-INVITE is open answers both.
    ua.hear(&request("INVITE", "r6", 7, &tag, "", ""));
    let sent = ua.hear(&request("BYE", "b", 8, &tag, "", ""));
    assert_eq!(sent.iter().map(|t| status(t)).collect::<Vec<_>>(), [200, 487]);
    ua.assert_empty_at_last();
}

#[test]
fn old_clients_without_magic_branches() {
    let old = |text: String| {
        text.replace(";branch=z9hG4bKi1;rport", "")
            .replace(";branch=z9hG4bKa1;rport", "")
    };
    let mut ua = Ua::new();
    ua.hear(&old(invite_from_peer()));
    assert_eq!(
        ua.hear(&old(invite_from_peer()))
            .iter()
            .map(|t| status(t))
            .collect::<Vec<_>>(),
        [100]
    );
    let handle = ua.events[0].0;
    ua.command(respond(handle, 200, true));
    let tag = tag(header(ua.last(), "To").unwrap()).to_owned();
    ua.hear(&old(request("ACK", "a1", 1, &tag, "", "")));
    assert!(matches!(ua.event(), SipEvent::AckReceived { .. }));
    ua.command(Command::Bye { handle, reason: None });
    ua.assert_empty_at_last();
}

#[test]
fn a_bye_that_overtakes_the_ack_stops_the_repetition() {
    let mut ua = Ua::new();
    ua.hear(&invite_from_peer());
    ua.command(respond(ua.events[0].0, 200, true));
    let tag = tag(header(ua.last(), "To").unwrap()).to_owned();
    ua.hear(&request("BYE", "b", 2, &tag, "", ""));
    assert!(matches!(ua.event(), SipEvent::ByeReceived { .. }));
    let count = ua.sent.len();
    ua.assert_empty_at_last();
    assert_eq!(ua.sent.len(), count);
    assert!(ua.event().is_terminal());
}

#[test]
fn a_call_that_waits_for_long_says_so_every_minute() {
    let mut ua = Ua::new();
    ua.hear(&invite_from_peer());
    ua.wait(300 * S);
    assert_eq!(ua.sent.len(), 1, "100 is not repeated");
    ua.command(respond(ua.events[0].0, 182, false));
    ua.wait(300 * S);
    assert_eq!(ua.sent.len(), 2 + 5);
    assert_eq!(status(ua.last()), 182);
    ua.command(respond(ua.events[0].0, 603, false));
    ua.assert_empty_at_last();
}
