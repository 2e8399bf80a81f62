//! Offers and answers as devices write them (RFC 3264): hold in every spelling, several streams, answers that break the
//! rules.

use strowger_sip_core::sdp::{
    Carriage, Direction, LocalMedia, NegotiateError, Negotiated, Session, answer, answer_again, apply_answer,
    check_offer, offer, parse,
};

fn local() -> LocalMedia {
    LocalMedia::g711("192.0.2.1:4000".parse().unwrap(), 77)
}

fn description(connection: &str, session: &str, media: &str) -> Session {
    let text = format!("v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\n{connection}t=0 0\r\n{session}{media}");
    parse(text.as_bytes()).unwrap()
}

const C: &str = "c=IN IP4 192.0.2.9\r\n";
const AUDIO: &str = "m=audio 9000 RTP/AVP 8 0\r\n";

/// Our direction, whether we are held, and the answer's port.
fn answered(offer: &Session) -> (Direction, bool, u16) {
    let (session, negotiated) = answer_again(offer, &local()).unwrap();
    let written = parse(session.to_string().as_bytes()).unwrap();
    assert_eq!(
        written.media.len(),
        offer.media.len(),
        "as many streams as were offered"
    );
    if written.media[0].port != 0 {
        assert_eq!(written.direction_of(&written.media[0]), negotiated.direction);
    }
    (negotiated.direction, negotiated.held, written.media[0].port)
}

#[test]
fn hold_in_every_spelling() {
    use Direction::{Inactive, RecvOnly, SendOnly, SendRecv};
    let with = |attribute: &str| AUDIO.to_owned() + attribute;
    for (what, connection, session, media, expected) in [
        ("nothing is written", C, "", with(""), (SendRecv, false, 4000)),
        ("sendrecv", C, "", with("a=sendrecv\r\n"), (SendRecv, false, 4000)),
        ("sendonly", C, "", with("a=sendonly\r\n"), (RecvOnly, true, 4000)),
        ("inactive", C, "", with("a=inactive\r\n"), (Inactive, true, 4000)),
        (
            "recvonly is no hold",
            C,
            "",
            with("a=recvonly\r\n"),
            (SendOnly, false, 4000),
        ),
        ("for the session", C, "a=sendonly\r\n", with(""), (RecvOnly, true, 4000)),
        (
            "the stream's word counts",
            C,
            "a=inactive\r\n",
            with("a=sendrecv\r\n"),
            (SendRecv, false, 4000),
        ),
        ("capitals", C, "", with("a=SendOnly\r\n"), (RecvOnly, true, 4000)),
        ("a space behind", C, "", with("a=sendonly \r\n"), (RecvOnly, true, 4000)),
        ("0.0.0.0", "c=IN IP4 0.0.0.0\r\n", "", with(""), (RecvOnly, true, 4000)),
        (
            "0.0.0.0 and sendrecv",
            "c=IN IP4 0.0.0.0\r\n",
            "",
            with("a=sendrecv\r\n"),
            (RecvOnly, true, 4000),
        ),
        (
            "0.0.0.0 and inactive",
            "c=IN IP4 0.0.0.0\r\n",
            "",
            with("a=inactive\r\n"),
            (Inactive, true, 4000),
        ),
        (
            "0.0.0.0 for the stream",
            C,
            "",
            with("c=IN IP4 0.0.0.0\r\n"),
            (RecvOnly, true, 4000),
        ),
        (
            "an address for the stream",
            "c=IN IP4 0.0.0.0\r\n",
            "",
            with(C),
            (SendRecv, false, 4000),
        ),
        ("::", "c=IN IP6 ::\r\n", "", with(""), (RecvOnly, true, 4000)),
        (
            "port 0",
            C,
            "",
            "m=audio 0 RTP/AVP 8\r\n".to_owned(),
            (Inactive, true, 0),
        ),
        (
            "port 0 and sendrecv",
            C,
            "",
            "m=audio 0 RTP/AVP 8\r\na=sendrecv\r\n".to_owned(),
            (Inactive, true, 0),
        ),
    ] {
        assert_eq!(answered(&description(connection, session, &media)), expected, "{what}");
    }
}

#[test]
fn port_0_opens_no_call() {
    let offered = description(C, "", "m=audio 0 RTP/AVP 8\r\n");
    assert_eq!(answer(&offered, &local()).unwrap_err(), NegotiateError::NoAudio);
    // And what is nonsense stays nonsense inside a dialog.
    for media in ["", "m=video 0 RTP/AVP 96\r\n", "m=audio 0 RTP/SAVP 8\r\n"] {
        let offered = description(C, "", media);
        assert_eq!(
            answer_again(&offered, &local()).unwrap_err(),
            NegotiateError::NoAudio,
            "{media}"
        );
    }
    let offered = description(C, "", "m=audio 9000 RTP/AVP 18\r\nm=audio 0 RTP/AVP 8\r\n");
    assert_eq!(answer_again(&offered, &local()).unwrap_err(), NegotiateError::NoCodec);
}

#[test]
fn of_several_streams_one_is_taken() {
    for (what, media, ports) in [
        (
            "video behind",
            "m=audio 9000 RTP/AVP 8\r\nm=video 9002 RTP/AVP 96\r\n",
            vec![4000, 0],
        ),
        (
            "video before",
            "m=video 9002 RTP/AVP 96\r\nm=audio 9000 RTP/AVP 8\r\n",
            vec![0, 4000],
        ),
        (
            "two audios",
            "m=audio 9000 RTP/AVP 8\r\nm=audio 9002 RTP/AVP 8\r\n",
            vec![4000, 0],
        ),
        (
            "the first has no codec of ours",
            "m=audio 9000 RTP/AVP 18\r\nm=audio 9002 RTP/AVP 8\r\n",
            vec![0, 4000],
        ),
        (
            "the first is encrypted",
            "m=audio 9000 RTP/SAVP 8\r\nm=audio 9002 RTP/AVP 8\r\n",
            vec![0, 4000],
        ),
        (
            "the first is refused",
            "m=audio 0 RTP/AVP 8\r\nm=audio 9002 RTP/AVP 8\r\n",
            vec![0, 4000],
        ),
        (
            "image and application",
            "m=image 9000 udptl t38\r\nm=audio 9002 RTP/AVP 8\r\nm=application 9 UDP/BFCP *\r\n",
            vec![0, 4000, 0],
        ),
        (
            "with feedback",
            "m=audio 9000 RTP/AVPF 8\r\na=rtcp-fb:* nack\r\n",
            vec![4000],
        ),
    ] {
        let offered = description(C, "", media);
        let (session, _) = answer(&offered, &local()).unwrap();
        let found: Vec<u16> = session.media.iter().map(|m| m.port).collect();
        assert_eq!(found, ports, "{what}");
        for (ours, theirs) in session.media.iter().zip(&offered.media) {
            assert_eq!((&ours.kind, &ours.protocol), (&theirs.kind, &theirs.protocol), "{what}");
            assert!(!ours.formats.is_empty(), "{what}");
        }
    }
}

#[test]
fn what_we_do_not_speak_is_left_out_of_the_answer() {
    let media = "m=audio 9000 RTP/AVP 111 8 0 101 8\r\na=mid:a1\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 useinbandfec=1\r\n\
                 a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:40\r\na=maxptime:60\r\n\
                 a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj\r\n\
                 a=ice-ufrag:abcd\r\na=ice-pwd:0123456789abcdef012345\r\na=candidate:1 1 UDP 1 192.0.2.9 9000 typ host\r\n\
                 a=fingerprint:sha-256 00\r\na=setup:actpass\r\n\
                 m=video 0 RTP/AVP 96\r\na=mid:v1\r\na=bundle-only\r\n";
    let (session, agreed) = answer(
        &description(C, "a=group:BUNDLE a1 v1\r\na=ice-lite\r\n", media),
        &local(),
    )
    .unwrap();
    let text = session.to_string();
    for absent in [
        "crypto",
        "ice",
        "candidate",
        "fingerprint",
        "setup",
        "opus",
        "BUNDLE",
        "bundle-only",
        "maxptime",
        "fmtp:111",
    ] {
        assert!(!text.contains(absent), "{absent} in {text}");
    }
    for present in [
        "m=audio 4000 RTP/AVP 8 0 101\r\n",
        "a=mid:a1",
        "a=mid:v1",
        "a=fmtp:101 0-15",
        "m=video 0 RTP/AVP 96\r\n",
    ] {
        assert!(text.contains(present), "{present} not in {text}");
    }
    assert_eq!(
        (agreed.ptime, agreed.codecs.len(), agreed.dtmf.unwrap().send),
        (40, 2, 101)
    );
}

#[test]
fn codecs_and_packet_times() {
    let agreed = |media: &str| -> Result<Negotiated, NegotiateError> {
        answer(&description(C, "", media), &local()).map(|(_, n)| n)
    };
    for (media, names) in [
        ("m=audio 9000 RTP/AVP 0 8\r\n", vec!["PCMU", "PCMA"]),
        (
            "m=audio 9000 RTP/AVP 97 8\r\na=rtpmap:97 pcmu/8000\r\n",
            vec!["pcmu", "PCMA"],
        ),
        ("m=audio 9000 RTP/AVP 97 8\r\na=rtpmap:97 PCMU/16000\r\n", vec!["PCMA"]),
        ("m=audio 9000 RTP/AVP 97 8\r\na=rtpmap:97 PCMU/8000/2\r\n", vec!["PCMA"]),
        ("m=audio 9000 RTP/AVP 8 200 -1 x\r\n", vec!["PCMA"]),
        ("m=audio 9000/2 RTP/AVP 8\r\n", vec!["PCMA"]),
        ("m=audio 9000 RTP/AVP 0\r\na=rtpmap:0 PCMA/8000\r\n", vec!["PCMA"]),
    ] {
        let found: Vec<String> = agreed(media)
            .unwrap()
            .codecs
            .into_iter()
            .map(|c| c.codec.name)
            .collect();
        assert_eq!(found, names, "{media}");
    }
    for (ptime, expected) in [
        ("30", 30),
        ("20.5", 20),
        ("0", 10),
        ("1000", 200),
        ("-5", 10),
        ("x", 20),
        ("", 20),
        ("NaN", 20),
    ] {
        let media = format!("{AUDIO}a=ptime:{ptime}\r\n");
        assert_eq!(agreed(&media).unwrap().ptime, expected, "{ptime}");
    }
    for media in [
        "m=audio 9000 RTP/AVP 18\r\n",
        "m=audio 9000 RTP/AVP\r\n",
        "m=audio 9000 RTP/AVP 96\r\n",
        "m=audio 9000 RTP/AVP 13\r\n",
    ] {
        assert_eq!(agreed(media).unwrap_err(), NegotiateError::NoCodec, "{media}");
    }
}

#[test]
fn where_nobody_says_where_to_send() {
    let (_, agreed) = answer(&description("", "", AUDIO), &local()).unwrap();
    assert_eq!((agreed.remote.port(), agreed.remote.ip().is_unspecified()), (0, true));
    let (_, agreed) = answer(&description("c=IN IP4 media.example\r\n", "", AUDIO), &local()).unwrap();
    assert_eq!(agreed.remote.port(), 0, "names are not resolved here");
    for bad in [
        "c=IN IP4\r\n",
        "c=ATM NSAP 1\r\n",
        "c=\r\n",
        "m=audio\r\n",
        "m=audio x RTP/AVP 0\r\n",
        "m=audio 70000 RTP/AVP 0\r\n",
    ] {
        let text = format!("v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nt=0 0\r\n{bad}");
        assert!(parse(text.as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn answers_that_break_the_rules() {
    use NegotiateError::{Mismatch, NoAudio, NoCodec};
    let ours = offer(&local());
    for (what, media, expected) in [
        ("no stream", "", Err(Mismatch)),
        ("another kind", "m=video 9000 RTP/AVP 8\r\n", Err(Mismatch)),
        ("encrypted", "m=audio 9000 RTP/SAVP 8\r\n", Err(Mismatch)),
        ("refused", "m=audio 0 RTP/AVP 8\r\n", Err(NoAudio)),
        (
            "a codec that was not offered",
            "m=audio 9000 RTP/AVP 18\r\n",
            Err(NoCodec),
        ),
        (
            "digits only",
            "m=audio 9000 RTP/AVP 101\r\na=rtpmap:101 telephone-event/8000\r\n",
            Err(NoCodec),
        ),
        (
            "a codec too many",
            "m=audio 9000 RTP/AVP 18 8\r\n",
            Ok((vec![(8, 8)], None)),
        ),
        (
            "other numbers",
            "m=audio 9000 RTP/AVP 96 97\r\na=rtpmap:96 PCMU/8000\r\na=rtpmap:97 telephone-event/8000\r\n",
            Ok((vec![(96, 0)], Some((97, 101)))),
        ),
        (
            "a stream too many",
            "m=audio 9000 RTP/AVP 8\r\nm=video 9002 RTP/AVP 96\r\n",
            Ok((vec![(8, 8)], None)),
        ),
    ] {
        let found = apply_answer(&ours, &description(C, "", media)).map(|n| {
            let codecs: Vec<_> = n
                .codecs
                .iter()
                .map(|c| (c.codec.payload_type, c.receive_payload_type))
                .collect();
            (codecs, n.dtmf.map(|d| (d.send, d.receive)))
        });
        assert_eq!(found, expected, "{what}");
    }
    // A direction that was not offered does not open it: offered, answered, ours.
    for (offered, answered, expected) in [
        (Direction::SendOnly, "sendrecv", Direction::SendOnly),
        (Direction::SendOnly, "recvonly", Direction::SendOnly),
        (Direction::SendOnly, "sendonly", Direction::Inactive),
        (Direction::Inactive, "sendrecv", Direction::Inactive),
        (Direction::RecvOnly, "sendrecv", Direction::RecvOnly),
        (Direction::SendRecv, "sendonly", Direction::RecvOnly),
        (Direction::SendRecv, "inactive", Direction::Inactive),
    ] {
        let ours = offer(&LocalMedia {
            direction: offered,
            ..local()
        });
        let theirs = description(C, "", &format!("{AUDIO}a={answered}\r\n"));
        assert_eq!(
            apply_answer(&ours, &theirs).unwrap().direction,
            expected,
            "{offered:?} {answered}"
        );
    }
}

#[test]
fn it_is_known_before_anybody_rings_that_an_offer_has_no_plain_audio() {
    let offer = |media: &str| {
        parse(format!("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n{media}").as_bytes())
            .unwrap()
    };
    let browser = "m=audio 9 UDP/TLS/RTP/SAVPF 111 8\r\na=rtpmap:111 opus/48000/2\r\n";
    assert_eq!(check_offer(&offer(browser)), Err(NegotiateError::NoAudio));
    assert_eq!(
        check_offer(&offer("m=video 4000 RTP/AVP 96\r\n")),
        Err(NegotiateError::NoAudio)
    );
    assert_eq!(
        check_offer(&offer("m=audio 0 RTP/AVP 8\r\n")),
        Err(NegotiateError::NoAudio)
    );
    // What cannot be decoded may be relayed, and one plain stream beside an encrypted one is enough.
    assert_eq!(
        check_offer(&offer("m=audio 4000 RTP/AVP 111\r\na=rtpmap:111 opus/48000/2\r\n")),
        Ok(Carriage::Rtp)
    );
    let both = "m=audio 4000 RTP/SAVP 8\r\nm=audio 4002 RTP/AVP 8\r\n";
    assert_eq!(check_offer(&offer(both)), Ok(Carriage::Rtp));
}

/// Found by fuzzing: an answer repeats the line of a stream that it refuses, control characters and all.
#[test]
fn a_media_line_that_cannot_be_written_is_not_read() {
    let found = b"v=0\r\no=\xb1 IP4<\r\nm=audio 4000 RTP/AVP 8 0 101\r\nm=i#o 0000 \0\0\t\t\t\t\n";
    let answered = parse(found).ok().and_then(|session| answer(&session, &local()).ok());
    if let Some((answered, _)) = answered {
        let text = answered.to_string();
        assert!(parse(text.as_bytes()).is_ok(), "{text:?}");
    }
    assert!(parse(b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\nm=a\x01b 9 x y\r\n").is_err());
}

/// Found by fuzzing: one stream too many was read if its line was the last, and the answer was one that we do not read.
#[test]
fn there_are_no_more_streams_than_an_answer_can_have() {
    let with = |n: usize| {
        let media = "m=audio 4000 RTP/AVP 8\r\n".repeat(n);
        format!("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n{media}")
    };
    assert!(parse(with(32).as_bytes()).is_ok());
    assert!(parse(with(33).as_bytes()).is_err());
}
