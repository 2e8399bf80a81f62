//! Calls that the stack starts, against a far side that behaves in every way there is.

mod kit;

use kit::*;
use strowger_sip_core::*;

const ONE: DialogHandle = DialogHandle(1);
const CONTACT: &str = "Contact: <sip:peer@192.0.2.9:5070>\r\n";

fn started() -> Ua {
    let mut ua = Ua::new();
    ua.command(Command::Invite(Box::new(our_invite())));
    ua
}

fn with_credentials() -> Ua {
    let mut ua = Ua::new();
    let credentials = Some(Credentials {
        username: "trunk".into(),
        password: "secret".into(),
    });
    ua.command(Command::Invite(Box::new(Invite {
        credentials,
        ..our_invite()
    })));
    ua
}

fn methods(ua: &Ua, from: usize) -> Vec<String> {
    ua.sent[from..]
        .iter()
        .map(|(_, t)| t.split(' ').next().unwrap().to_owned())
        .collect()
}

#[test]
fn the_invite_carries_what_it_must_and_nothing_injected() {
    let ua = started();
    let invite = ua.last();
    assert!(invite.starts_with("INVITE sip:peer@192.0.2.9:5070 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKstem-1;rport\r\nMax-Forwards: 70\r\n"), "{invite}");
    assert_eq!(
        header(invite, "From"),
        Some("\"A \\\"B\\\"Evil: x\" <sip:us@192.0.2.1>;tag=ours")
    );
    assert_eq!(header(invite, "P-Asserted-Identity"), Some("<sip:us@192.0.2.1>Evil: y"));
    assert!(!invite.contains("\r\nEvil"));
    for line in [
        "To: <sip:peer@192.0.2.9>",
        "Call-ID: call@us",
        "CSeq: 1 INVITE",
        "Contact: <sip:192.0.2.1:5060>",
        "User-Agent: test",
        "Content-Type: application/sdp",
    ] {
        assert!(invite.contains(&format!("\r\n{line}\r\n")), "{line}");
    }
}

#[test]
fn an_advertised_address_is_written_and_the_bound_one_used() {
    let mut ua = Ua::with(|c| {
        c.interfaces[0].advertised = Some("203.0.113.5:5099".parse().unwrap());
        c.contact_user = Some("pbx".into());
    });
    ua.command(Command::Invite(Box::new(our_invite())));
    assert!(
        header(ua.last(), "Via")
            .unwrap()
            .starts_with("SIP/2.0/UDP 203.0.113.5:5099;")
    );
    assert_eq!(header(ua.last(), "Contact"), Some("<sip:pbx@203.0.113.5:5099>"));
}

#[test]
fn ack_to_a_refusal_is_that_of_the_transaction() {
    let mut ua = started();
    let invite = ua.last().to_owned();
    let refusal = response(&invite, 486, "x", "Reason: Q.850;cause=17;text=\"busy\"\r\n", "");
    let sent = ua.hear(&refusal);
    let ack = &sent[0];
    assert!(ack.starts_with("ACK sip:peer@192.0.2.9:5070 "));
    for name in ["Via", "From", "Call-ID"] {
        assert_eq!(header(ack, name), header(&invite, name));
    }
    assert_eq!(
        (header(ack, "CSeq"), header(ack, "To")),
        (Some("1 ACK"), header(&refusal, "To"))
    );
    let SipEvent::Failed(failure) = ua.event() else {
        panic!()
    };
    assert_eq!((failure.kind, failure.status), (FailureKind::Response, 486));
    assert_eq!(failure.reasons, [Reason::q850(17, "busy")]);
    // Repeated, the refusal is acknowledged again and reported no more.
    assert_eq!(ua.hear(&refusal), sent);
    assert_eq!(ua.events.len(), 1);
    ua.assert_empty_at_last();
}

#[test]
fn the_first_2xx_wins_and_the_others_are_hung_up() {
    let mut ua = started();
    let invite = ua.last().to_owned();
    for branch in ["one", "two", "three"] {
        ua.hear(&response(&invite, 183, branch, CONTACT, SDP));
    }
    let tags: Vec<_> = ua
        .events
        .iter()
        .filter_map(|(_, e)| {
            if let SipEvent::Provisional { tag, .. } = e {
                Some(tag.as_str())
            } else {
                None
            }
        })
        .collect();
    assert_eq!(tags, ["one", "two", "three"]);
    let first = response(&invite, 200, "two", CONTACT, SDP);
    ua.hear(&first);
    assert!(matches!(ua.event(), SipEvent::Answered { tag, .. } if tag == "two"));
    let second = response(
        &invite,
        200,
        "one",
        "Contact: <sip:other@192.0.2.33>\r\nRecord-Route: <sip:192.0.2.7;lr>\r\n",
        SDP,
    );
    let at = ua.sent.len();
    ua.hear(&second);
    assert_eq!(methods(&ua, at), ["ACK", "BYE"]);
    let (to, bye) = ua.sent.last().unwrap().clone();
    assert_eq!(to, "192.0.2.7:5060".parse().unwrap());
    assert!(
        bye.starts_with("BYE sip:other@192.0.2.33 ") && bye.contains(";tag=one\r\n") && bye.contains("CSeq: 1001 BYE"),
        "{bye}"
    );
    // Both answers are repeated, because their ACKs were lost.
    let at = ua.sent.len();
    ua.hear(&first);
    ua.hear(&second);
    assert_eq!(methods(&ua, at), ["ACK", "ACK"]);
    assert!(ua.sent[at].1.contains(";tag=two\r\n") && ua.sent[at + 1].1.contains(";tag=one\r\n"));
    ua.hear(&response(&bye, 200, "", "", ""));
    assert_eq!(ua.events.len(), 4, "the application hears of one answer");
    ua.command(Command::Bye {
        handle: ONE,
        reason: None,
    });
    let bye = ua.last().to_owned();
    assert!(bye.contains(";tag=two\r\n"));
    ua.hear(&response(&bye, 481, "", "", ""));
    assert!(matches!(
        ua.event(),
        SipEvent::Ended {
            cause: EndCause::Bye { status: Some(481) }
        }
    ));
    ua.assert_empty_at_last();
}

#[test]
fn a_challenge_is_answered_once() {
    let mut ua = with_credentials();
    let first = ua.last().to_owned();
    let challenge = "WWW-Authenticate: Unknown x=y\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"n1\", qop=\"auth\", algorithm=SHA-256, opaque=\"o\"\r\n\
                     WWW-Authenticate: Digest realm=\"r\", nonce=\"n2\"\r\n";
    let sent = ua.hear(&response(&first, 401, "x", challenge, ""));
    assert!(sent[0].starts_with("ACK "));
    let second = sent[1].clone();
    assert!(second.starts_with("INVITE ") && second.contains("branch=z9hG4bKstem-2;") && second.ends_with(SDP));
    assert_eq!(
        (header(&second, "CSeq"), header(&second, "To")),
        (Some("2 INVITE"), Some("<sip:peer@192.0.2.9>"))
    );
    let answer = header(&second, "Authorization").unwrap();
    for part in [
        "username=\"trunk\"",
        "realm=\"r\"",
        "nonce=\"n1\"",
        "algorithm=SHA-256",
        "qop=auth",
        "nc=00000001",
        "opaque=\"o\"",
        "uri=\"sip:peer@192.0.2.9:5070\"",
    ] {
        assert!(answer.contains(part), "{part} in {answer}");
    }
    assert!(!second.contains("secret"));
    assert!(matches!(ua.event(), SipEvent::Challenged { status: 401 }));
    let mut again = ua;
    let sent = again.hear(&response(
        &second,
        407,
        "y",
        &challenge.replace("WWW-Authenticate", "Proxy-Authenticate"),
        "",
    ));
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert!(matches!(again.event(), SipEvent::Failed(f) if f.status == 407));
    again.assert_empty_at_last();
}

#[test]
fn a_proxy_is_answered_in_its_own_header_and_the_ack_repeats_it() {
    let mut ua = with_credentials();
    let first = ua.last().to_owned();
    let sent = ua.hear(&response(
        &first,
        407,
        "x",
        "Proxy-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n",
        "",
    ));
    let second = sent[1].clone();
    let answer = header(&second, "Proxy-Authorization").unwrap().to_owned();
    ua.hear(&response(&second, 200, "z", CONTACT, SDP));
    assert!(ua.last().starts_with("ACK ") && header(ua.last(), "Proxy-Authorization") == Some(&answer));
    // BYE is challenged too.
    ua.command(Command::Bye {
        handle: ONE,
        reason: Some(Reason::q850(16, "x")),
    });
    let bye = ua.last().to_owned();
    let sent = ua.hear(&response(
        &bye,
        407,
        "",
        "Proxy-Authenticate: Digest realm=\"r\", nonce=\"m\"\r\n",
        "",
    ));
    assert!(sent[0].starts_with("BYE ") && sent[0].contains("nonce=\"m\"") && sent[0].contains("Reason: Q.850"));
    assert_ne!(header(&sent[0], "CSeq"), header(&bye, "CSeq"));
    ua.hear(&response(&sent[0], 200, "", "", ""));
    assert!(matches!(ua.event(), SipEvent::Ended { .. }));
    ua.assert_empty_at_last();
}

#[test]
fn without_credentials_a_challenge_is_a_failure() {
    let mut ua = started();
    let invite = ua.last().to_owned();
    ua.hear(&response(
        &invite,
        401,
        "x",
        "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n",
        "",
    ));
    assert!(matches!(ua.event(), SipEvent::Failed(f) if f.status == 401));
    ua.assert_empty_at_last();
}

#[test]
fn cancel_after_a_challenge_cancels_the_second_request() {
    let mut ua = with_credentials();
    let first = ua.last().to_owned();
    let second = ua.hear(&response(
        &first,
        401,
        "x",
        "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n",
        "",
    ))[1]
        .clone();
    ua.command(Command::Cancel {
        handle: ONE,
        reason: Some(Reason::sip(200, "elsewhere")),
    });
    let sent = ua.hear(&response(&second, 180, "y", CONTACT, ""));
    assert!(
        sent[0].starts_with("CANCEL ")
            && sent[0].contains("CSeq: 2 CANCEL")
            && sent[0].contains("branch=z9hG4bKstem-2;")
    );
    assert!(sent[0].contains("Reason: SIP;cause=200;text=\"elsewhere\""));
    ua.hear(&response(&sent[0], 200, "y", "", ""));
    ua.hear(&response(&second, 487, "y", "", ""));
    assert!(matches!(
        ua.event(),
        SipEvent::Ended {
            cause: EndCause::Cancelled { status: Some(487) }
        }
    ));
    ua.assert_empty_at_last();
}

#[test]
fn a_cancel_without_final_response_ends_by_itself() {
    let mut ua = started();
    let invite = ua.last().to_owned();
    ua.hear(&response(&invite, 180, "y", CONTACT, ""));
    ua.command(Command::Cancel {
        handle: ONE,
        reason: None,
    });
    let cancel = ua.last().to_owned();
    ua.hear(&response(&cancel, 200, "y", "", ""));
    ua.wait(31 * S);
    assert!(!ua.event().is_terminal());
    ua.wait(2 * S);
    assert!(matches!(
        ua.event(),
        SipEvent::Ended {
            cause: EndCause::Cancelled { status: None }
        }
    ));
    ua.assert_empty_at_last();
}

#[test]
fn a_transport_error_fails_what_has_had_no_response() {
    let mut ua = started();
    ua.fail(Target::udp("192.0.2.200:5060".parse().unwrap()));
    assert!(ua.events.is_empty());
    ua.fail(Target::udp(them()));
    assert!(matches!(ua.event(), SipEvent::Failed(f) if f.kind == FailureKind::TransportError && f.status == 503));
    ua.assert_empty_at_last();
}

#[test]
fn the_application_may_hold_the_ack_back() {
    let mut ua = Ua::new();
    ua.command(Command::Invite(Box::new(Invite {
        ack: AckMode::OnCommand,
        ..our_invite()
    })));
    let invite = ua.last().to_owned();
    let answer = response(&invite, 200, "z", CONTACT, SDP);
    let at = ua.sent.len();
    ua.hear(&answer);
    ua.hear(&answer);
    assert!(matches!(ua.event(), SipEvent::Answered { ack_needed: true, .. }));
    assert_eq!((ua.sent.len(), ua.events.len()), (at, 1));
    ua.command(Command::Ack { handle: ONE, sdp: None });
    ua.hear(&answer);
    assert_eq!(methods(&ua, at), ["ACK", "ACK"]);
    // Hung up instead, both leave.
    let mut ua = Ua::new();
    ua.command(Command::Invite(Box::new(Invite {
        ack: AckMode::OnCommand,
        ..our_invite()
    })));
    ua.hear(&answer);
    let at = ua.sent.len();
    ua.command(Command::Bye {
        handle: ONE,
        reason: None,
    });
    assert_eq!(methods(&ua, at), ["ACK", "BYE"]);
}

/// A process dies at each stage of an unanswered call; its successor ends it with nothing but the snapshot.
#[test]
fn an_imported_attempt_is_cancelled_at_once() {
    let import_with = |credentials: Option<Credentials>| {
        let mut ua = Ua::with(|c| c.seed = [9; 16]);
        let snapshot = Box::new(DialogSnapshot::Inviting(our_invite().snapshot()));
        ua.command(Command::Import { snapshot, credentials });
        ua
    };
    let import = || {
        import_with(Some(Credentials {
            username: "u".into(),
            password: "p".into(),
        }))
    };
    // Without credentials no second INVITE can have left.
    assert_eq!(methods(&import_with(None), 0), ["CANCEL"]);
    let original = started().last().to_owned();
    // CANCEL for both requests that may be out there, each like its INVITE.
    let ua = import();
    assert_eq!(methods(&ua, 0), ["CANCEL", "CANCEL"]);
    for name in ["Via", "From", "To", "Call-ID"] {
        assert_eq!(header(&ua.sent[0].1, name), header(&original, name), "{name}");
    }
    assert!(
        ua.sent[0].1.starts_with("CANCEL sip:peer@192.0.2.9:5070 ") && ua.sent[1].1.contains("branch=z9hG4bKstem-2;")
    );
    // Ringing: 487 comes and is acknowledged.
    let mut ua = import();
    let cancel = [ua.sent[0].1.clone(), ua.sent[1].1.clone()];
    ua.hear(&response(&cancel[0], 200, "y", "", ""));
    ua.hear(&response(&cancel[1], 481, "y", "", ""));
    let sent = ua.hear(&response(&original, 487, "y", "", ""));
    assert!(sent[0].starts_with("ACK ") && sent[0].contains("CSeq: 1 ACK"));
    assert!(matches!(
        ua.event(),
        SipEvent::Ended {
            cause: EndCause::Cancelled { status: Some(487) }
        }
    ));
    ua.assert_empty_at_last();
    // The INVITE was still on its way and arrives behind its CANCEL: the CANCEL is sent again.
    let mut ua = import();
    for cancel in &cancel {
        ua.hear(&response(cancel, 481, "y", "", ""));
    }
    let sent = ua.hear(&response(&original, 180, "y", CONTACT, ""));
    assert!(sent.len() == 1 && sent[0].starts_with("CANCEL ") && sent[0].contains("CSeq: 1 CANCEL"));
    assert!(ua.hear(&response(&original, 180, "y", CONTACT, "")).is_empty());
    ua.hear(&response(&original, 487, "y", "", ""));
    ua.assert_empty_at_last();
    // Answered in between: the 200 is acknowledged and hung up.
    let mut ua = import();
    let at = ua.sent.len();
    ua.hear(&response(&original, 200, "y", CONTACT, SDP));
    assert_eq!(methods(&ua, at), ["ACK", "BYE"]);
    let bye = ua.last().to_owned();
    ua.hear(&response(&bye, 200, "", "", ""));
    assert!(matches!(
        ua.event(),
        SipEvent::Ended {
            cause: EndCause::Cancelled { status: Some(200) }
        }
    ));
    ua.assert_empty_at_last();
    // Nobody there: it ends after 64·T1.
    let mut ua = import();
    ua.wait(33 * S);
    assert_eq!(ua.events.len(), 1);
    assert!(matches!(
        ua.event(),
        SipEvent::Ended {
            cause: EndCause::Cancelled { status: None }
        }
    ));
    ua.assert_empty_at_last();
}

#[test]
fn an_imported_dialog_goes_on() {
    let mut ua = started();
    let invite = ua.last().to_owned();
    ua.hear(&response(&invite, 200, "z", CONTACT, SDP));
    let SipEvent::Answered { snapshot, .. } = ua.event() else {
        panic!()
    };
    let snapshot = DialogSnapshot::Confirmed((**snapshot).clone());
    let mut heir = Ua::with(|c| c.seed = [9; 16]);
    heir.command(Command::Import {
        snapshot: Box::new(snapshot.clone()),
        credentials: None,
    });
    // Requests of the peer find it.
    let theirs = |method: &str, cseq: u32| {
        format!(
            "{method} sip:us@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bK{cseq};rport\r\nFrom: <sip:peer@192.0.2.9>;tag=z\r\n\
             To: <sip:us@192.0.2.1>;tag=ours\r\nCall-ID: call@us\r\nCSeq: {cseq} {method}\r\nContact: <sip:peer@192.0.2.9:5071>\r\n\r\n"
        )
    };
    heir.hear(&theirs("INVITE", 70));
    assert!(matches!(heir.event(), SipEvent::ReInviteReceived { sdp: None }));
    heir.command(respond(ONE, 200, true));
    heir.hear(&theirs("ACK", 70));
    // Ours go to where the peer is now, with a number that was not used.
    heir.command(Command::ReInvite {
        handle: ONE,
        sdp: Some(SDP.into()),
    });
    let (to, text) = heir.sent.last().unwrap().clone();
    assert_eq!(to, "192.0.2.9:5071".parse().unwrap());
    assert!(
        text.contains("CSeq: 1002 INVITE\r\n") && text.contains("From: \"A") && text.contains(";tag=z\r\n"),
        "{text}"
    );
    heir.hear(&response(&text, 200, "", "", SDP));
    assert!(matches!(
        heir.event(),
        SipEvent::ReInviteAnswered { ack_needed: false, .. }
    ));
    assert!(heir.last().starts_with("ACK ") && heir.last().contains("CSeq: 1002 ACK"));
    heir.hear(&theirs("BYE", 71));
    assert!(matches!(heir.event(), SipEvent::ByeReceived { .. }));
    heir.assert_empty_at_last();
    // Twice is once.
    let mut twice = Ua::new();
    for _ in 0..2 {
        twice.command(Command::Import {
            snapshot: Box::new(snapshot.clone()),
            credentials: None,
        });
    }
    assert!(matches!(
        twice.event(),
        SipEvent::CommandRefused {
            why: Refusal::DuplicateHandle,
            ..
        }
    ));
}

#[test]
fn a_peer_that_lost_the_dialog_ends_it() {
    for (answer, reported) in [(Some(481), 481), (Some(408), 408), (None, 408)] {
        let mut ua = started();
        let invite = ua.last().to_owned();
        ua.hear(&response(&invite, 200, "z", CONTACT, SDP));
        ua.command(Command::ReInvite {
            handle: ONE,
            sdp: Some(SDP.into()),
        });
        let reinvite = ua.last().to_owned();
        match answer {
            Some(status) => drop(ua.hear(&response(&reinvite, status, "", "", ""))),
            None => ua.wait(33 * S),
        }
        assert!(matches!(ua.event(), SipEvent::ReInviteFailed { status, .. } if *status == reported));
        assert!(ua.last().starts_with("BYE "));
        ua.wait(40 * S);
        assert!(matches!(
            ua.event(),
            SipEvent::Ended {
                cause: EndCause::PeerLost
            }
        ));
        ua.assert_empty_at_last();
    }
}

#[test]
fn a_refused_reinvite_leaves_the_session_as_it_was() {
    let mut ua = started();
    let invite = ua.last().to_owned();
    ua.hear(&response(&invite, 200, "z", CONTACT, SDP));
    ua.command(Command::ReInvite {
        handle: ONE,
        sdp: Some(SDP.into()),
    });
    let reinvite = ua.last().to_owned();
    ua.hear(&response(&reinvite, 488, "", "", ""));
    assert!(ua.last().starts_with("ACK "));
    assert!(matches!(
        ua.event(),
        SipEvent::ReInviteFailed {
            status: 488,
            retry_in: None
        }
    ));
    ua.command(Command::Bye {
        handle: ONE,
        reason: None,
    });
    assert!(ua.last().contains("CSeq: 3 BYE"));
}

#[test]
fn foreign_responses_change_nothing() {
    let mut ua = started();
    let invite = ua.last().to_owned();
    let answer = response(&invite, 200, "z", CONTACT, SDP);
    for text in [
        answer.replace("z9hG4bKstem-1", "z9hG4bKother-1"),
        answer.replace("CSeq: 1 INVITE", "CSeq: 1 BYE"),
        // §8.1.3.3: more than one Via.
        answer.replace("From:", "Via: SIP/2.0/UDP 1.2.3.4;branch=z9hG4bKx\r\nFrom:"),
        answer.replace("Call-ID: call@us\r\n", ""),
    ] {
        assert!(ua.hear(&text).is_empty() && ua.events.is_empty(), "{text}");
    }
}
