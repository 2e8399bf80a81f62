//! Offers and answers with keys, and as browsers write them.

use strowger_sip_core::sdp::{
    Carriage, Direction, IceDtls, LocalMedia, NegotiateError, Protection, Session, Setup, Srtp, answer, answer_again,
    apply_answer, check_offer, offer, offer_again, parse,
};

/// As Chromium 120 writes it, shortened in its codecs: no candidate yet, so the address is unspecified.
const BROWSER: &str = "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n\
    a=extmap-allow-mixed\r\na=msid-semantic: WMS s\r\n\
    m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n\
    a=ice-ufrag:Vwls\r\na=ice-pwd:h8Pj1vzHLxQsZpZCDYVzN9wJ\r\na=ice-options:trickle\r\n\
    a=fingerprint:sha-256 6B:8B:F0:65:5F:78:E2:51:3B:AC:6F:F3:3F:46:1B:35:DC:B8:5F:64:1A:24:C2:43:F0:A1:58:D0:A1:2C:19:08\r\n\
    a=setup:actpass\r\na=mid:0\r\na=sendrecv\r\na=msid:s t\r\na=rtcp-mux\r\n\
    a=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\na=rtpmap:63 red/48000/2\r\n\
    a=rtpmap:9 G722/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:13 CN/8000\r\n\
    a=rtpmap:110 telephone-event/48000\r\na=rtpmap:126 telephone-event/8000\r\n\
    a=candidate:1 1 udp 2113937151 192.0.2.77 51234 typ host generation 0\r\n\
    m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\na=rtpmap:96 VP8/90000\r\n";

fn ours(setup: Setup) -> LocalMedia {
    LocalMedia {
        srtp: Srtp::Accepted([5; 46]),
        webrtc: Some(Box::new(IceDtls {
            ufrag: "ourfragm".into(),
            pwd: "ourpasswordourpassword00".into(),
            lite: true,
            fingerprint: ("sha-256".into(), "AA:BB".into()),
            setup,
            candidates: vec!["candidate:1 1 udp 2130706431 192.0.2.1 20000 typ host".into()],
        })),
        ..LocalMedia::g711("192.0.2.1:20000".parse().unwrap(), 7)
    }
}

fn reread(session: &Session) -> Session {
    parse(session.to_string().as_bytes()).unwrap()
}

#[test]
fn a_browsers_offer_is_answered() {
    let theirs = parse(BROWSER.as_bytes()).unwrap();
    assert_eq!(check_offer(&theirs), Ok(Carriage::WebRtc));
    let (answered, agreed) = answer(&theirs, &ours(Setup::ActPass)).unwrap();
    let text = answered.to_string();
    for line in [
        "a=ice-lite\r\n",
        "a=group:BUNDLE 0\r\n",
        "m=audio 20000 UDP/TLS/RTP/SAVPF 0 8 126\r\n",
        "a=mid:0\r\n",
        "a=ice-ufrag:ourfragm\r\n",
        "a=fingerprint:sha-256 AA:BB\r\n",
        "a=setup:passive\r\n",
        "a=rtcp-mux\r\n",
        "a=candidate:1 1 udp 2130706431 192.0.2.1 20000 typ host\r\n",
        "a=sendrecv\r\n",
        "m=video 0 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\n",
    ] {
        assert!(text.contains(line), "{line}{text}");
    }
    // An unspecified address is no hold where ICE finds the way.
    assert_eq!((agreed.direction, agreed.held), (Direction::SendRecv, false));
    assert_eq!(agreed.dtmf.unwrap().send, 126, "the events of the codec's clock");
    let Protection::WebRtc {
        remote,
        active,
        offered,
    } = &agreed.protection
    else {
        panic!("{agreed:?}");
    };
    assert_eq!(
        (remote.ufrag.as_str(), remote.lite, *active, *offered),
        ("Vwls", false, false, false)
    );
    assert_eq!(remote.candidates.len(), 1);
    assert!(!format!("{agreed:?}").contains("h8Pj1"), "passwords are not shown");
    // Held by the browser.
    let hold = BROWSER.replace("a=sendrecv", "a=sendonly");
    let (held, agreed) = answer_again(&parse(hold.as_bytes()).unwrap(), &ours(Setup::Passive)).unwrap();
    assert!(agreed.held && held.to_string().contains("a=recvonly"));
}

#[test]
fn roles_in_the_handshake() {
    for (theirs, role, line, active) in [
        ("actpass", Setup::ActPass, "a=setup:passive", false),
        ("actpass", Setup::Passive, "a=setup:passive", false),
        ("actpass", Setup::Active, "a=setup:active", true),
        ("active", Setup::ActPass, "a=setup:passive", false),
        ("passive", Setup::ActPass, "a=setup:active", true),
    ] {
        let text = BROWSER.replace("setup:actpass", &format!("setup:{theirs}"));
        let (answered, agreed) = answer(&parse(text.as_bytes()).unwrap(), &ours(role)).unwrap();
        assert!(answered.to_string().contains(line), "{theirs} {role:?}");
        assert!(matches!(agreed.protection, Protection::WebRtc { active: a, .. } if a == active));
    }
}

#[test]
fn what_a_browser_must_say_is_missing() {
    for missing in ["a=ice-ufrag", "a=ice-pwd", "a=fingerprint:sha-256"] {
        let text = BROWSER.replace(missing, "a=nothing");
        let theirs = parse(text.as_bytes()).unwrap();
        assert_eq!(check_offer(&theirs), Err(NegotiateError::NoAudio), "{missing}");
        assert_eq!(
            answer(&theirs, &ours(Setup::ActPass)).unwrap_err(),
            NegotiateError::NoAudio
        );
    }
    // A leg that has no side of its own cannot answer.
    let plain = LocalMedia::g711("192.0.2.1:4000".parse().unwrap(), 7);
    let theirs = parse(BROWSER.as_bytes()).unwrap();
    assert_eq!(answer(&theirs, &plain).unwrap_err(), NegotiateError::NoAudio);
}

#[test]
fn our_offer_to_a_browser_and_the_next_one() {
    let first = reread(&offer(&ours(Setup::ActPass)));
    let text = first.to_string();
    assert!(text.contains("a=setup:actpass") && text.contains("a=mid:0") && text.contains("a=group:BUNDLE 0"));
    let answered = BROWSER
        .replace("setup:actpass", "setup:active")
        .replace("111 63 9 0 8 13 110 126", "8 0 101")
        .replace("a=rtpmap:126 telephone-event/8000", "a=rtpmap:101 telephone-event/8000");
    let answered = &answered[..answered.find("m=video").unwrap()];
    let agreed = apply_answer(&first, &parse(answered.as_bytes()).unwrap()).unwrap();
    assert!(matches!(
        agreed.protection,
        Protection::WebRtc {
            active: false,
            offered: true,
            ..
        }
    ));
    assert_eq!(agreed.codecs[0].codec.name, "PCMA");
    // A browser that answers without encryption would be heard by everybody.
    let plain = "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 9000 RTP/AVP 8\r\n";
    let plain = parse(plain.as_bytes()).unwrap();
    assert_eq!(apply_answer(&first, &plain).unwrap_err(), NegotiateError::Mismatch);
    // Our next offer in a session that the browser began keeps its streams and their names.
    let theirs = parse(BROWSER.replace("a=mid:0", "a=mid:voice").as_bytes()).unwrap();
    let (answered, _) = answer(&theirs, &ours(Setup::ActPass)).unwrap();
    let again = offer_again(&ours(Setup::Passive), &reread(&answered)).to_string();
    assert!(again.contains("m=audio 20000 UDP/TLS/RTP/SAVPF 8 0 101"), "{again}");
    assert!(
        again.contains("a=mid:voice") && again.contains("a=group:BUNDLE voice"),
        "{again}"
    );
    assert!(again.contains("m=video 0 UDP/TLS/RTP/SAVPF 96\r\na=mid:1"), "{again}");
    assert!(again.contains("a=setup:actpass"), "{again}");
}

#[test]
fn keys_in_descriptions() {
    let keyed = |srtp| LocalMedia {
        srtp,
        ..LocalMedia::g711("192.0.2.1:4000".parse().unwrap(), 7)
    };
    let base = "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n";
    let line = "a=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR\r\n";
    let all = [
        (Srtp::Off, "AVP", "", Some(false)),
        (Srtp::Off, "AVP", line, Some(false)),
        (Srtp::Off, "SAVP", line, None),
        (Srtp::Accepted([1; 46]), "AVP", "", Some(false)),
        (Srtp::Accepted([1; 46]), "AVP", line, Some(true)),
        (Srtp::Accepted([1; 46]), "SAVP", line, Some(true)),
        (Srtp::Accepted([1; 46]), "SAVP", "", None),
        (Srtp::Required([1; 46]), "AVP", "", None),
        (Srtp::Required([1; 46]), "SAVP", line, Some(true)),
    ];
    for (srtp, protocol, attribute, protected) in all {
        let text = format!("{base}m=audio 9000 RTP/{protocol} 8\r\n{attribute}");
        let answered = answer(&parse(text.as_bytes()).unwrap(), &keyed(srtp.clone()));
        let seen = answered.as_ref().ok().map(|(session, agreed)| {
            let protected = matches!(&agreed.protection, Protection::Srtp { send, .. } if send.tag == 3);
            assert_eq!(
                session
                    .to_string()
                    .contains("a=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:"),
                protected
            );
            protected
        });
        assert_eq!(seen, protected, "{srtp:?} {protocol} {attribute}");
    }
    // Offered, both sides agree on each other's keys.
    for (srtp, protocol) in [
        (Srtp::Optional([1; 46]), "RTP/AVP"),
        (Srtp::Required([1; 46]), "RTP/SAVP"),
    ] {
        let sent = reread(&offer(&keyed(srtp)));
        assert_eq!(sent.media[0].protocol, protocol);
        let (answered, theirs) = answer(&sent, &keyed(Srtp::Accepted([2; 46]))).unwrap();
        let agreed = apply_answer(&sent, &reread(&answered)).unwrap();
        let (Protection::Srtp { send: a, receive: b }, Protection::Srtp { send: c, receive: d }) =
            (&agreed.protection, &theirs.protection)
        else {
            panic!("{agreed:?} {theirs:?}");
        };
        assert_eq!((a, b), (d, c));
        assert_ne!(a.key, b.key);
        // An answer without keys is an answer to one of them only.
        let bare = parse(format!("{base}m=audio 9000 {protocol} 8\r\n").as_bytes()).unwrap();
        let agreed = apply_answer(&sent, &bare);
        assert_eq!(agreed.is_ok(), protocol == "RTP/AVP", "{agreed:?}");
    }
}
