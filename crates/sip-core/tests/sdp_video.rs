//! Video beside the audio of browsers: what one has is offered to the other, and comes back as the other answered.

use std::net::SocketAddr;
use strowger_sip_core::sdp::*;

/// As Chromium writes it, with the lines that matter.
const OFFER: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n\
    m=audio 50000 UDP/TLS/RTP/SAVPF 111 8 126\r\nc=IN IP4 192.0.2.9\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789abcdef012345\r\n\
    a=fingerprint:sha-256 4A:AD\r\na=setup:actpass\r\na=mid:0\r\na=sendrecv\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\n\
    a=rtpmap:126 telephone-event/8000\r\n\
    m=video 9 UDP/TLS/RTP/SAVPF 96 97 98 99 100 35 36 103 104 116 117\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:abcd\r\n\
    a=ice-pwd:0123456789abcdef012345\r\na=fingerprint:sha-256 4A:AD\r\na=setup:actpass\r\na=mid:1\r\n\
    a=extmap:14 urn:ietf:params:rtp-hdrext:toffset\r\n\
    a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time\r\na=extmap:13 urn:3gpp:video-orientation\r\n\
    a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n\
    a=extmap:9 urn:ietf:params:rtp-hdrext:sdes:mid\r\na=sendrecv\r\na=rtcp-mux\r\na=rtcp-rsize\r\n\
    a=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 goog-remb\r\na=rtcp-fb:96 transport-cc\r\na=rtcp-fb:96 ccm fir\r\na=rtcp-fb:96 nack\r\n\
    a=rtcp-fb:96 nack pli\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n\
    a=rtpmap:98 VP9/90000\r\na=fmtp:98 profile-id=0\r\na=rtpmap:99 rtx/90000\r\na=fmtp:99 apt=98\r\n\
    a=rtpmap:100 VP9/90000\r\na=fmtp:100 profile-id=2\r\n\
    a=rtpmap:35 AV1/90000\r\na=rtpmap:36 rtx/90000\r\na=fmtp:36 apt=35\r\n\
    a=rtpmap:103 H264/90000\r\na=fmtp:103 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r\n\
    a=rtpmap:104 rtx/90000\r\na=fmtp:104 apt=103\r\na=rtpmap:116 red/90000\r\na=rtpmap:117 ulpfec/90000\r\n";

fn session(text: &str) -> Session {
    parse(text.as_bytes()).unwrap()
}

fn ours(video: Option<LocalVideo>) -> LocalMedia {
    LocalMedia {
        webrtc: Some(Box::new(IceDtls {
            ufrag: "wxyz".into(),
            pwd: "p".repeat(24),
            lite: true,
            fingerprint: ("sha-256".into(), "00:11".into()),
            setup: Setup::ActPass,
            candidates: vec!["candidate:1 1 udp 1 192.0.2.1 4000 typ host".into()],
        })),
        video: video.map(Box::new),
        codecs: vec![Codec {
            channels: 2,
            ..Codec::new(111, "opus", 48_000)
        }],
        ..LocalMedia::g711(SocketAddr::from(([192, 0, 2, 1], 4000)), 7)
    }
}

fn of(side: &VideoSide) -> LocalVideo {
    LocalVideo {
        codecs: side.codecs.clone(),
        extensions: side.extensions.clone(),
        direction: side.direction,
        ssrcs: [11, 12],
    }
}

fn again(session: &Session) -> Session {
    parse(session.to_string().as_bytes()).unwrap()
}

fn video(session: &Session) -> &Media {
    session.media.iter().find(|m| m.kind == "video").unwrap()
}

#[test]
fn what_can_be_passed_on_is_read() {
    let side = VideoSide::of(&session(OFFER)).unwrap();
    let names: Vec<(&str, u8, Option<u8>)> = side
        .codecs
        .iter()
        .map(|c| (c.codec.name.as_str(), c.codec.payload_type, c.rtx))
        .collect();
    assert_eq!(
        names,
        [
            ("VP8", 96, Some(97)),
            ("VP9", 98, Some(99)),
            ("VP9", 100, None),
            ("AV1", 35, Some(36)),
            ("H264", 103, Some(104))
        ]
    );
    assert_eq!(side.codecs[0].feedback, ["nack", "nack pli", "ccm fir", "goog-remb"]);
    let numbers: Vec<u8> = side.extensions.iter().map(|e| e.0).collect();
    assert_eq!(
        numbers,
        [14, 2, 13],
        "feedback of one hop and names of streams are not passed on"
    );
    for gone in [
        OFFER.replace("m=video 9", "m=video 0"),
        OFFER.replace("BUNDLE 0 1", "BUNDLE 0"),
        OFFER.replace("m=video 9 UDP/TLS/RTP/SAVPF", "m=video 9 RTP/AVP"),
        OFFER.replace("90000", "8000"),
    ] {
        assert_eq!(VideoSide::of(&session(&gone)), None);
    }
    let only = OFFER
        .replace("m=video 9", "m=video 0")
        .replace("a=mid:1\r\n", "a=mid:1\r\na=bundle-only\r\n");
    assert!(VideoSide::of(&session(&only)).is_some());
}

#[test]
fn an_offer_goes_to_the_other_side_and_its_answer_comes_back() {
    let theirs = session(OFFER);
    let side = VideoSide::of(&theirs).unwrap();
    let offered = again(&offer(&ours(Some(of(&side)))));
    assert!(offered.attributes.contains(&"group:BUNDLE 0 1".to_owned()));
    let text = offered.to_string();
    // 96 is telephone-event/48000 of the audio, so VP8 and what follows are called otherwise.
    let audio: Vec<&String> = offered.media[0].formats.iter().collect();
    let clash = offered.media[1].formats.iter().any(|f| audio.contains(&f));
    assert!(!clash, "{text}");
    assert!(
        text.contains("a=ssrc-group:FID 11 12\r\na=ssrc:11 cname:strowger\r\na=ssrc:12 cname:strowger"),
        "{text}"
    );
    assert!(!text.contains("transport-cc") && !text.contains("sdes:mid"), "{text}");
    // The other browser has VP9 and H.264, and no camera.
    let there = VideoSide::of(&offered).unwrap();
    let some = LocalVideo {
        codecs: there
            .codecs
            .iter()
            .filter(|c| c.codec.name == "H264" || c.codec.fmtp.as_deref() == Some("profile-id=0"))
            .rev()
            .cloned()
            .collect(),
        direction: Direction::RecvOnly,
        ..of(&there)
    };
    let (answered, _) = answer(&offered, &ours(Some(some))).unwrap();
    let agreed = apply_answer(&offered, &again(&answered)).unwrap().video.unwrap();
    assert_eq!(
        (agreed.direction, agreed.wanted),
        (Direction::SendOnly, Direction::RecvOnly)
    );
    let names: Vec<&str> = agreed.codecs.iter().map(|c| c.theirs.codec.name.as_str()).collect();
    assert_eq!(names, ["H264", "VP9"]);
    // What the first one hears of it: the second one's choice, in its own numbers.
    let (answered, negotiated) = answer(&theirs, &ours(Some(of(&agreed.side())))).unwrap();
    let video_line = video(&answered);
    assert_eq!(video_line.formats, ["103", "104", "98", "99"]);
    assert_eq!(video_line.attribute("recvonly"), Some(""), "{answered}");
    assert!(answered.attributes.contains(&"group:BUNDLE 0 1".to_owned()));
    let mine = negotiated.video.unwrap();
    assert_eq!(
        (mine.direction, mine.wanted),
        (Direction::RecvOnly, Direction::SendRecv)
    );
    assert_eq!(mine.codecs[0].theirs.codec.payload_type, 103);
    assert_eq!((mine.codecs[0].receive, mine.codecs[0].receive_rtx), (103, Some(104)));
    assert!(
        mine.codecs
            .iter()
            .all(|m| agreed.codecs.iter().any(|a| a.theirs.matches(&m.theirs)))
    );
}

#[test]
fn of_two_streams_the_one_that_is_sent_is_taken() {
    let (head, stream) = OFFER.split_at(OFFER.find("m=video").unwrap());
    let left = stream.replace("a=sendrecv", "a=recvonly");
    let second = stream.replace("a=mid:1", "a=mid:2");
    let theirs = session(&(head.replace("BUNDLE 0 1", "BUNDLE 0 1 2") + &left + &second));
    let side = VideoSide::of(&theirs).unwrap();
    assert_eq!(side.direction, Direction::SendRecv);
    let (answered, _) = answer(&theirs, &ours(Some(of(&side)))).unwrap();
    let ports: Vec<bool> = answered.media.iter().map(|m| m.port != 0).collect();
    assert_eq!(ports, [true, false, true], "{answered}");
    // Ours goes on where it is.
    let local = LocalMedia {
        version: 9,
        ..ours(Some(of(&side)))
    };
    let renewed = offer_again(&local, &answered);
    let ports: Vec<bool> = renewed.media.iter().map(|m| m.port != 0).collect();
    assert_eq!(ports, [true, false, true], "{renewed}");
    assert_eq!(renewed.media[2].attribute("mid"), Some("2"));
}

#[test]
fn a_stream_that_nobody_takes_is_refused() {
    let (answered, negotiated) = answer(&session(OFFER), &ours(None)).unwrap();
    assert_eq!((video(&answered).port, negotiated.video), (0, None));
    assert!(answered.attributes.contains(&"group:BUNDLE 0".to_owned()), "{answered}");
    let mut nothing = of(&VideoSide::of(&session(OFFER)).unwrap());
    nothing
        .codecs
        .retain(|c| c.codec.fmtp.as_deref() == Some("profile-id=2"));
    nothing.codecs[0].codec.fmtp = Some("profile-id=3".into());
    let (answered, negotiated) = answer(&session(OFFER), &ours(Some(nothing))).unwrap();
    assert_eq!((video(&answered).port, negotiated.video), (0, None));
    // Refused in an answer to us.
    let side = VideoSide::of(&session(OFFER)).unwrap();
    let offered = offer(&ours(Some(of(&side))));
    let (refusal, _) = answer(&offered, &ours(None)).unwrap();
    assert_eq!(apply_answer(&offered, &refusal).unwrap().video, None);
}

#[test]
fn video_comes_and_goes_within_a_session() {
    let side = VideoSide::of(&session(OFFER)).unwrap();
    let bare = offer(&ours(None));
    assert_eq!(bare.media.len(), 1);
    let version = |version, video| LocalMedia { version, ..ours(video) };
    let with = offer_again(&version(2, Some(of(&side))), &bare);
    assert!(with.attributes.contains(&"group:BUNDLE 0 v2".to_owned()), "{with}");
    let numbers = video(&with).formats.clone();
    // It stays as it is, also in another order.
    let mut turned = of(&side);
    turned.codecs.reverse();
    let same = offer_again(&version(3, Some(turned)), &with);
    assert!(same.attributes.contains(&"group:BUNDLE 0 v2".to_owned()), "{same}");
    let mut sorted = [numbers, video(&same).formats.clone()];
    sorted.iter_mut().for_each(|n| n.sort());
    assert_eq!(sorted[0], sorted[1]);
    for (before, after) in VideoSide::of(&with)
        .unwrap()
        .codecs
        .iter()
        .zip(VideoSide::of(&same).unwrap().codecs.iter().rev())
    {
        assert_eq!(before, after);
    }
    let without = offer_again(&version(4, None), &same);
    assert_eq!((without.media.len(), video(&without).port), (2, 0));
    assert!(without.attributes.contains(&"group:BUNDLE 0".to_owned()), "{without}");
    // It comes back in its place, under a new name.
    let back = offer_again(&version(5, Some(of(&side))), &without);
    assert_eq!(back.media.len(), 2);
    assert!(back.attributes.contains(&"group:BUNDLE 0 v5".to_owned()), "{back}");
}

#[test]
fn parameters_cannot_bring_lines_of_their_own_to_the_other_side() {
    // A carriage return alone ends a line for some readers.
    let evil = OFFER.replace("profile-id=0", "profile-id=0\ra=setup:active");
    let side = VideoSide::of(&session(&evil)).unwrap();
    let offered = offer(&ours(Some(of(&side)))).to_string();
    assert!(offered.split("\r\n").all(|line| !line.contains('\r')), "{offered:?}");
    // Nor those of a codec that is relayed as it is.
    let evil = "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 9 RTP/AVP 97 98 99\r\n\
        a=rtpmap:97 iLBC/8000\r\na=fmtp:97 mode=20\ra=x\r\na=rtpmap:98 sp\reex/8000\r\na=rtpmap:99 GSM EFR/8000\r\n";
    let codecs = session(evil).media[0].codecs();
    assert_eq!(codecs.len(), 1, "{codecs:?}");
    assert_eq!((codecs[0].name.as_str(), &codecs[0].fmtp), ("iLBC", &None));
}
