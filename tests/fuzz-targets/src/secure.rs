//! Descriptions of streams with keys, of browsers and of their video, and the feedback of those who see it.

use std::hint::black_box;
use strowger_media_core::{feedback as fb, rtp};
use strowger_sip_core::sdp::*;

const KEY: &str = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR|2^20\r\n";
const BROWSER: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n\
    m=audio 9 UDP/TLS/RTP/SAVPF 111 8 126\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789abcdef012345\r\n\
    a=fingerprint:sha-256 4A:AD:B9\r\na=setup:actpass\r\na=mid:0\r\na=sendrecv\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\n\
    a=fmtp:111 minptime=10;useinbandfec=1\r\na=rtpmap:126 telephone-event/8000\r\n\
    a=candidate:1 1 udp 2130706431 192.0.2.9 50000 typ host generation 0\r\n\
    m=video 9 UDP/TLS/RTP/SAVPF 96 97 103 104\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789abcdef012345\r\n\
    a=fingerprint:sha-256 4A:AD:B9\r\na=setup:actpass\r\na=mid:1\r\na=sendrecv\r\na=rtcp-mux\r\n\
    a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time\r\na=extmap:13/sendonly urn:3gpp:video-orientation\r\n\
    a=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 goog-remb\r\na=rtcp-fb:* nack pli\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n\
    a=rtpmap:103 H264/90000\r\na=fmtp:103 packetization-mode=1;profile-level-id=42e01f\r\na=rtpmap:104 rtx/90000\r\n\
    a=fmtp:104 apt=103\r\na=ssrc-group:FID 1 2\r\na=ssrc:1 cname:x\r\n";

fn local(srtp: Srtp, video: Option<LocalVideo>) -> LocalMedia {
    LocalMedia {
        srtp,
        webrtc: Some(Box::new(IceDtls {
            ufrag: "wxyz".into(),
            pwd: "p".repeat(24),
            lite: true,
            fingerprint: ("sha-256".into(), "00:11".into()),
            setup: Setup::ActPass,
            candidates: vec!["candidate:1 1 udp 1 127.0.0.1 4000 typ host".into()],
        })),
        video: video.map(Box::new),
        ..LocalMedia::g711(([127, 0, 0, 1], 4000).into(), 1)
    }
}

fn of(side: &VideoSide) -> LocalVideo {
    LocalVideo {
        codecs: side.codecs.clone(),
        extensions: side.extensions.clone(),
        direction: Direction::SendRecv,
        ssrcs: [1, 2],
    }
}

/// Any text is keys or none, and keys are written as they were read. Any bytes are a description or an error; what it says of
/// protection and video can be answered, and offered to somebody else, in lines that are ours.
pub fn descriptions(data: &[u8]) {
    if let Some(crypto) = std::str::from_utf8(data).ok().and_then(Crypto::parse) {
        assert_eq!(Crypto::parse(&crypto.to_string()), Some(crypto));
    }
    let Ok(session) = parse(data) else { return };
    for media in &session.media {
        if let Some(side) = black_box(IceDtls::of(&session, media)) {
            assert!(side.candidates.len() <= 64 && side.ufrag.len() <= 256 && side.pwd.len() <= 256);
        }
    }
    let side = VideoSide::of(&session);
    let keys = [7; KEY_MATERIAL];
    for srtp in [
        Srtp::Off,
        Srtp::Accepted(keys),
        Srtp::Optional(keys),
        Srtp::Required(keys),
    ] {
        let ours = local(srtp.clone(), side.as_ref().map(of));
        for answered in [answer(&session, &ours), answer_again(&session, &ours)] {
            let Ok((answer, agreed)) = answered else { continue };
            assert_eq!(answer.media.len(), session.media.len());
            assert!(
                parse(answer.to_string().as_bytes()).is_ok(),
                "our answer cannot be read: {answer}"
            );
            if let (Srtp::Required(_), Protection::None) = (&srtp, &agreed.protection) {
                panic!("media in the clear was agreed to");
            }
            agreed
                .video
                .iter()
                .for_each(|v| assert!(!v.codecs.is_empty() && side.is_some()));
        }
        let _ = black_box(apply_answer(&offer(&ours), &session));
    }
    let Some(side) = side else { return };
    let offered = offer(&local(Srtp::Off, Some(of(&side))));
    let text = offered.to_string();
    let plain = text.split("\r\n").all(|line| !line.chars().any(char::is_control));
    assert!(plain, "lines of a stranger: {text:?}");
    let Ok(read) = parse(text.as_bytes()) else {
        panic!("our offer cannot be read: {text}");
    };
    let mut numbers: Vec<&String> = read.media.iter().flat_map(|m| &m.formats).collect();
    numbers.sort();
    assert!(
        numbers.windows(2).all(|n| n[0] != n[1]),
        "a number with two meanings: {text}"
    );
    let again = VideoSide::of(&read).map(|s| s.codecs.len());
    assert!(again.is_some_and(|n| n > 0 && n <= side.codecs.len()), "{text}");
}

pub fn description_seeds() -> Vec<Vec<u8>> {
    let plain = "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 4000 RTP/SAVP 8\r\n";
    let texts = [
        KEY.trim_start_matches("a=crypto:").trim_end().to_owned(),
        format!("{plain}{KEY}"),
        format!("{plain}{KEY}").replace("SAVP", "AVP"),
        BROWSER.to_owned(),
        BROWSER
            .replace("video 9", "video 0")
            .replace("a=mid:1\r\n", "a=mid:1\r\na=bundle-only\r\n"),
        BROWSER.replace("sendrecv", "recvonly").replace("actpass", "passive"),
    ];
    texts.map(String::into_bytes).to_vec()
}

/// Any bytes are feedback or nothing, and what is passed on of it is bounded. Any packet has its extensions renumbered without
/// a change of its length or its payload.
pub fn feedback(data: &[u8]) {
    let passage = fb::Passage {
        ours: [100, 101],
        asking: 55,
        theirs: 7,
        ahead: 1000,
    };
    let mut out = Vec::new();
    let heard = fb::pass_on(data, &passage, &mut out);
    assert!(out.len() <= 1_100 && heard.is_passed() == (out.len() > 8));
    let mut packet = data.to_vec();
    rtp::renumber_extensions(&mut packet, &[0, 5, 4, 3, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0]);
    assert_eq!(packet.len(), data.len());
    if let (Ok(before), Ok(after)) = (rtp::Packet::parse(data), rtp::Packet::parse(&packet)) {
        assert_eq!(before, after);
    }
}

pub fn feedback_seeds() -> Vec<Vec<u8>> {
    let receiver = fb::Passage {
        ours: [0, 0],
        asking: 9,
        theirs: 100,
        ahead: 0,
    };
    let (mut picture, mut limit) = (Vec::new(), Vec::new());
    fb::key_frame(&receiver, &mut picture);
    fb::limit(&receiver, 300_000, &mut limit);
    let mut other = picture[..8].to_vec();
    other.extend([0x84, 206, 0, 4, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 100, 3, 0, 0, 0]);
    other.extend([
        0x81, 205, 0, 4, 0, 0, 0, 9, 0, 0, 0, 100, 3, 0xE8, 0x80, 1, 3, 0xE7, 0, 0,
    ]);
    let mut packet = vec![0x90, 96, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0xBE, 0xDE, 0, 2];
    packet.extend([0x22, 1, 2, 3, 0x10, 9, 0, 0, 1, 2, 3, 4]);
    vec![picture, limit, other, packet]
}
