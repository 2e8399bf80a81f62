//! Transfers, Replaces, registering, requests outside dialogs, and the switch to TCP, line by line.

mod kit;

use bytes::Bytes;
use kit::*;
use strowger_sip_core::*;

const ONE: DialogHandle = DialogHandle(1);

/// Answers a call of the peer; returns the handle and our tag.
fn answered(ua: &mut Ua) -> (DialogHandle, String) {
    ua.hear(&invite_from_peer());
    let handle = ua.events.last().unwrap().0;
    ua.command(respond(handle, 200, true));
    let tag = tag(header(ua.last(), "To").unwrap()).to_owned();
    ua.hear(&request("ACK", "a1", 1, &tag, "", ""));
    (handle, tag)
}

#[test]
fn a_transfer_asked_of_us() {
    let mut ua = Ua::new();
    let (handle, tag) = answered(&mut ua);
    assert_eq!(status(&ua.hear(&request("REFER", "r0", 2, &tag, "", ""))[0]), 400);
    let target = "Refer-To: <sip:third@192.0.2.50?Replaces=x%40y%3Bto-tag%3D1%3Bfrom-tag%3D2>\r\n\
                  Referred-By: <sip:peer@192.0.2.9>\r\n";
    assert!(ua.hear(&request("REFER", "r1", 3, &tag, target, "")).is_empty());
    let SipEvent::ReferReceived {
        id,
        refer_to,
        referred_by,
    } = ua.event().clone()
    else {
        panic!()
    };
    assert_eq!((id, refer_to.uri.as_str()), (3, "sip:third@192.0.2.50"));
    assert_eq!(refer_to.replaces.as_ref().map(|r| r.call_id.as_str()), Some("x@y"));
    assert_eq!(referred_by.as_deref(), Some("<sip:peer@192.0.2.9>"));
    let at = ua.sent.len();
    ua.command(Command::AnswerRefer {
        handle,
        id,
        status: 202,
    });
    assert_eq!(status(&ua.sent[at].1), 202);
    let notify = ua.last().to_owned();
    for line in [
        "Event: refer;id=3",
        "Subscription-State: active;expires=60",
        "Content-Type: message/sipfrag;version=2.0",
    ] {
        assert!(notify.contains(&format!("\r\n{line}\r\n")), "{notify}");
    }
    assert!(notify.starts_with("NOTIFY ") && notify.ends_with("SIP/2.0 100 Trying\r\n"));
    ua.hear(&response(&notify, 200, "", "", ""));
    ua.command(Command::NotifyRefer {
        handle,
        id,
        status: 200,
        phrase: Some("Fine\r\nEvil: x".into()),
        finished: true,
    });
    assert!(ua.last().contains("Subscription-State: terminated;reason=noresource"));
    assert!(ua.last().ends_with("SIP/2.0 200 FineEvil: x\r\n"));
    // One that lasts too long is ended by the stack.
    ua.hear(&request("REFER", "r2", 4, &tag, "Refer-To: sip:x@y.example\r\n", ""));
    ua.command(Command::AnswerRefer {
        handle,
        id: 4,
        status: 202,
    });
    let notify = ua.last().to_owned();
    ua.hear(&response(&notify, 200, "", "", ""));
    ua.wait(61 * S);
    assert!(ua.last().contains("terminated;reason=timeout") && ua.last().contains("refer;id=4"));
    // And one without notifications has none (RFC 4488).
    ua.hear(&request(
        "REFER",
        "r3",
        5,
        &tag,
        "Refer-To: sip:x@y.example\r\nRefer-Sub: false\r\n",
        "",
    ));
    ua.command(Command::AnswerRefer {
        handle,
        id: 5,
        status: 202,
    });
    assert!(status(ua.last()) == 202 && ua.last().contains("Refer-Sub: false\r\n"));
    // Nobody answers: the stack does, before the peer gives up.
    ua.hear(&request("REFER", "r4", 6, &tag, "Refer-To: sip:x@y.example\r\n", ""));
    ua.wait(11 * S);
    assert!(
        ua.sent
            .iter()
            .any(|(_, t)| t.starts_with("SIP/2.0 504") && t.contains("CSeq: 6 REFER"))
    );
    ua.hear(&request("BYE", "b", 7, &tag, "", ""));
    ua.assert_empty_at_last();
}

#[test]
fn a_transfer_that_we_ask_for() {
    let mut ua = Ua::new();
    let (handle, tag) = answered(&mut ua);
    let refer = |uri: &str| Command::Refer {
        handle,
        refer_to: uri.into(),
        referred_by: Some("<sip:us@192.0.2.1>".into()),
    };
    ua.command(refer("sip:x y"));
    assert!(matches!(
        ua.event(),
        SipEvent::CommandRefused {
            why: Refusal::BadArgument,
            ..
        }
    ));
    ua.command(refer("sip:third@192.0.2.50"));
    let first = ua.last().to_owned();
    assert!(first.contains("Refer-To: <sip:third@192.0.2.50>\r\n") && first.contains("Contact: <"));
    // NOTIFY overtakes the 202.
    let notify = |cseq: u32, id: u32, state: &str, line: &str| {
        let body = format!("SIP/2.0 {line}\r\n");
        let extra = format!("Event: refer;id={id}\r\nSubscription-State: {state}\r\n");
        request("NOTIFY", &format!("n{cseq}"), cseq, &tag, &extra, &body).replace("application/sdp", "message/sipfrag")
    };
    let sent = ua.hear(&notify(2, 1, "active;expires=60", "180 Ringing"));
    assert_eq!(status(&sent[0]), 200);
    assert!(matches!(
        ua.event(),
        SipEvent::ReferProgress {
            id: 1,
            status: 180,
            finished: false
        }
    ));
    ua.hear(&response(&first, 202, "", "", ""));
    assert!(matches!(ua.event(), SipEvent::ReferResult { id: 1, status: 202 }));
    ua.hear(&notify(3, 1, "terminated;reason=noresource", "200 OK"));
    assert!(matches!(
        ua.event(),
        SipEvent::ReferProgress {
            status: 200,
            finished: true,
            ..
        }
    ));
    assert_eq!(status(&ua.hear(&notify(4, 1, "active", "200 OK"))[0]), 481);
    let other = notify(5, 1, "active", "200 OK").replace("Event: refer", "Event: dialog");
    assert_eq!(status(&ua.hear(&other)[0]), 489);
    // Refused, nothing more comes of it; a peer that falls silent is not waited for without end.
    ua.command(refer("sip:third@192.0.2.50"));
    ua.hear(&response(ua.last(), 603, "", "", ""));
    assert!(matches!(ua.event(), SipEvent::ReferResult { status: 603, .. }));
    ua.command(refer("sip:third@192.0.2.50"));
    ua.hear(&response(ua.last(), 202, "", "", ""));
    ua.wait(181 * S);
    assert!(matches!(
        ua.event(),
        SipEvent::ReferProgress {
            status: 408,
            finished: true,
            ..
        }
    ));
    ua.hear(&request("BYE", "b", 9, &tag, "", ""));
    ua.assert_empty_at_last();
}

#[test]
fn which_dialogs_can_be_replaced() {
    let invite = |n: u32, value: &str| {
        request(
            "INVITE",
            &format!("x{n}"),
            1,
            "",
            &format!("{value}Require: replaces\r\n"),
            SDP,
        )
        .replace("Call-ID: c1", &format!("Call-ID: other{n}"))
    };
    let mut ua = Ua::new();
    let (handle, tag) = answered(&mut ua);
    let fits = format!("Replaces: c1;to-tag={tag};from-tag=theirs\r\n");
    for (n, value, expected) in [
        (1, fits.replace("theirs", "nobody"), 481),
        (2, fits.replace("theirs", "theirs;early-only"), 486),
        (3, format!("{fits}{fits}"), 400),
        (4, "Replaces: c1\r\n".into(), 400),
        (5, fits.clone(), 100),
    ] {
        assert_eq!(status(&ua.hear(&invite(n, &value))[0]), expected, "{value}");
    }
    let SipEvent::Incoming(incoming) = ua.event() else {
        panic!()
    };
    assert_eq!(
        incoming.replaces,
        Some(Replaced {
            handle,
            early_only: false
        })
    );
    assert_eq!(status(&ua.hear(&request("OPTIONS", "o", 1, "", &fits, ""))[0]), 400);
    // Ended lately, it is declined.
    ua.hear(&request("BYE", "b", 9, &tag, "", ""));
    assert_eq!(status(&ua.hear(&invite(6, &fits))[0]), 603);
    ua.wait(40 * S);
    assert_eq!(status(&ua.hear(&invite(7, &fits))[0]), 481);
    // An early dialog of ours can be, one of theirs cannot.
    let mut ua = Ua::new();
    ua.hear(&invite_from_peer());
    ua.command(respond(ua.events[0].0, 180, false));
    let early = fits.replace(&tag, kit::tag(header(ua.last(), "To").unwrap()));
    assert_eq!(status(&ua.hear(&invite(8, &early))[0]), 481);
    ua.command(Command::Invite(Box::new(our_invite())));
    ua.hear(&response(ua.last(), 180, "z", "", ""));
    ua.hear(&invite(9, "Replaces: call@us;to-tag=ours;from-tag=z;early-only\r\n"));
    assert!(
        matches!(ua.event(), SipEvent::Incoming(i) if i.replaces == Some(Replaced { handle: ONE, early_only: true }))
    );
}

#[test]
fn requests_that_the_application_answers() {
    let mut ua = Ua::with(|c| {
        c.outside = vec![Method::Register];
        c.max_requests = 1;
    });
    let text = request("REGISTER", "g1", 1, "", "Require: path, outbound\r\n", "");
    assert!(
        ua.hear(&text).is_empty() && ua.hear(&text).is_empty(),
        "a repetition is absorbed"
    );
    let (handle, SipEvent::Request(registration)) = ua.events[0].clone() else {
        panic!()
    };
    assert_eq!((ua.events.len(), registration.method), (1, Method::Register));
    let second = ua.hear(&request("REGISTER", "g2", 2, "", "", ""));
    assert_eq!(
        (status(&second[0]), header(&second[0], "Retry-After")),
        (503, Some("5"))
    );
    ua.command(Command::Reply {
        handle,
        status: 200,
        phrase: Some("Welcome".into()),
        headers: vec![("Contact".into(), "<sip:peer@192.0.2.9:5070>;expires=60".into())],
        body: Some(("text/plain".into(), Bytes::from_static(b"hi"))),
    });
    let reply = ua.last().to_owned();
    assert!(reply.starts_with("SIP/2.0 200 Welcome\r\n") && reply.ends_with("\r\n\r\nhi"));
    assert!(reply.contains("Contact: <sip:peer@192.0.2.9:5070>;expires=60\r\n"));
    assert_eq!(ua.hear(&text), [reply]);
    // Nobody replies.
    ua.hear(&request("REGISTER", "g3", 3, "", "", ""));
    ua.wait(11 * S);
    assert_eq!(status(ua.last()), 503);
    assert!(matches!(ua.event(), SipEvent::RequestExpired));
    assert_eq!(status(&ua.hear(&request("REFER", "f", 4, "", "", ""))[0]), 403);
    ua.assert_empty_at_last();
}

fn register() -> Register {
    Register {
        handle: ONE,
        call_id: "reg@us".into(),
        local_tag: "ours".into(),
        branch_stem: "stem".into(),
        seq: 10,
        request_uri: "sip:carrier.example".into(),
        aor: Party::new("sip:trunk@carrier.example"),
        contact_user: Some("line1".into()),
        expires: 3600,
        instance: Some("urn:uuid:0".into()),
        reg_id: Some(1),
        destination: Target::udp(them()),
        local: None,
        route: vec!["<sip:edge.example;lr>".into()],
        credentials: Some(Credentials {
            username: "u".into(),
            password: "p".into(),
        }),
        headers: Vec::new(),
    }
}

#[test]
fn a_trunk_registers() {
    let mut ua = Ua::new();
    ua.command(Command::Register(Box::new(register())));
    let first = ua.last().to_owned();
    assert!(first.starts_with("REGISTER sip:carrier.example SIP/2.0\r\n") && first.contains("CSeq: 10 REGISTER"));
    assert!(
        first.contains("Contact: <sip:line1@192.0.2.1:5060>;expires=3600;+sip.instance=\"<urn:uuid:0>\";reg-id=1\r\n")
    );
    assert!(first.contains("Route: <sip:edge.example;lr>\r\n"));
    let challenge = "WWW-Authenticate: Digest realm=\"r\", nonce=\"n1\"\r\n";
    let second = ua.hear(&response(&first, 401, "x", challenge, ""))[0].clone();
    assert!(second.contains("CSeq: 11 REGISTER") && second.contains("nonce=\"n1\""));
    let stale = "WWW-Authenticate: Digest realm=\"r\", nonce=\"n2\", stale=true\r\n";
    let third = ua.hear(&response(&second, 401, "x", stale, ""))[0].clone();
    assert!(third.contains("nonce=\"n2\"") && !third.contains("nonce=\"n1\""));
    let fields = "Contact: <sip:line1@192.0.2.1:5060>;expires=600, <sip:other@192.0.2.77>;expires=20\r\n\
                  Service-Route: <sip:a;lr>, <sip:b;lr>\r\nPath: <sip:p;lr>\r\nP-Associated-URI: <sip:+1@c>, <tel:+2>\r\n";
    ua.hear(&response(&third, 200, "x", fields, ""));
    let SipEvent::RegisterResult(result) = ua.event() else {
        panic!()
    };
    assert_eq!(
        (result.status, result.expires, result.granted.len()),
        (Some(200), Some(600), 2)
    );
    assert_eq!(result.service_route, ["<sip:a;lr>", "<sip:b;lr>"]);
    assert_eq!(result.associated, ["sip:+1@c", "tel:+2"]);
    ua.command(Command::Register(Box::new(register())));
    ua.hear(&response(ua.last(), 423, "x", "Min-Expires: 7200\r\n", ""));
    assert!(matches!(ua.event(), SipEvent::RegisterResult(r) if r.status == Some(423) && r.min_expires == Some(7200)));
    ua.command(Command::Register(Box::new(register())));
    ua.wait(33 * S);
    assert!(matches!(ua.event(), SipEvent::RegisterResult(r) if r.status.is_none()));
    ua.assert_empty_at_last();
}

#[test]
fn what_is_too_long_for_a_datagram_goes_by_tcp_first() {
    let tcp = |c: &mut StackConfig| {
        let mut interface = c.interfaces[0].clone();
        interface.transport = Transport::Tcp;
        c.interfaces.push(interface);
    };
    let long = || {
        Command::Invite(Box::new(Invite {
            headers: vec![("Subject".into(), "x".repeat(1300))],
            ..our_invite()
        }))
    };
    let mut ua = Ua::new();
    ua.command(long());
    assert!(
        ua.last().contains("Via: SIP/2.0/UDP "),
        "without an interface for TCP nothing changes"
    );
    let mut ua = Ua::with(tcp);
    ua.command(Command::Invite(Box::new(our_invite())));
    assert!(ua.last().contains("Via: SIP/2.0/UDP "));
    let mut ua = Ua::with(tcp);
    ua.command(long());
    let over_tcp = ua.last().to_owned();
    assert!(
        over_tcp.contains("Via: SIP/2.0/TCP 192.0.2.1:5060;branch=z9hG4bKstem-1;rport\r\n"),
        "{over_tcp}"
    );
    assert!(over_tcp.contains("Contact: <sip:192.0.2.1:5060>\r\n"));
    let count = ua.sent.len();
    ua.wait(2 * S);
    assert_eq!(ua.sent.len(), count, "TCP repeats by itself");
    ua.fail(Target {
        transport: Transport::Tcp,
        addr: them(),
        flow: None,
    });
    let over_udp = ua.last().to_owned();
    assert_eq!(over_udp, over_tcp.replace("SIP/2.0/TCP", "SIP/2.0/UDP"));
    assert!(ua.events.is_empty());
    ua.wait(S);
    assert!(ua.sent.len() > count + 1, "UDP does not");
    ua.hear(&response(
        &over_udp,
        200,
        "z",
        "Contact: <sip:peer@192.0.2.9:5070>\r\n",
        SDP,
    ));
    ua.command(Command::Bye {
        handle: ONE,
        reason: None,
    });
    assert!(ua.last().starts_with("BYE ") && ua.last().contains("SIP/2.0/UDP"));
    ua.hear(&response(ua.last(), 200, "", "", ""));
    ua.assert_empty_at_last();
}
