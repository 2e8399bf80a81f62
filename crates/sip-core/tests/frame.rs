//! Streams put together at random: cut alike however they arrive, and as the parser of messages understands them. The
//! fuzz target `sip_frame` holds the same without end.

use strowger_sip_core::frame::{Frame, FrameError, Framer};
use strowger_sip_core::message::{Defect, HeaderName, Message};

/// A generator that needs no dependency: the same seed, the same stream.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % n
    }
}

const PARTS: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\r",
    b"\r\n\r\n",
    b" ",
    b"\t",
    b":",
    b"INVITE sip:a@b SIP/2.0\r\n",
    b"OPTIONS sip:a SIP/2.0\n",
    b"SIP/2.0 200 OK\r\n",
    b"Content-Length: 5\r\n",
    b"l : 3\r\n",
    b"content-length:\r\n 2\r\n",
    b"Content-Length: 70000\r\n",
    b"Content-Length: -1\r\n",
    b"Content-Length: 18446744073709551615\r\n",
    b"Content-Type: application/sdp\r\n",
    b"Via: SIP/2.0/TCP a;branch=z9hG4bK1\r\nFrom: <sip:a>;tag=1\r\nTo: <sip:b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n",
    b"v=0\r\n",
    b"\0",
    b"\xff",
    b"x",
];

fn cut(stream: &[u8], mut piece: impl FnMut() -> usize) -> Vec<Result<Frame, FrameError>> {
    let (mut framer, mut out, mut rest) = (Framer::new(), Vec::new(), stream);
    while !rest.is_empty() {
        let len = piece().clamp(1, rest.len());
        framer.push(&rest[..len]);
        rest = &rest[len..];
        while let Some(frame) = framer.next_frame() {
            let failed = frame.is_err();
            out.push(frame);
            if failed {
                return out;
            }
        }
    }
    out
}

#[test]
fn streams_at_random() {
    let mut random = Random(0x5743_11ce);
    let (mut messages, mut framed) = (0, 0);
    for _ in 0..20_000 {
        let mut stream = Vec::new();
        // Most begin well, or they would end at once.
        if random.below(8) > 0 {
            stream.extend_from_slice(PARTS[7 + random.below(3)]);
        }
        for _ in 0..random.below(30) {
            stream.extend_from_slice(PARTS[random.below(PARTS.len())]);
        }
        let whole = cut(&stream, || usize::MAX);
        let pieces = cut(&stream, || 1 + random.below(9));
        assert_eq!(whole, pieces, "{}", String::from_utf8_lossy(&stream));
        for frame in whole {
            let Ok(Frame::Message(bytes)) = frame else { continue };
            messages += 1;
            let Ok(message) = Message::parse(bytes.clone()) else {
                continue;
            };
            // A first defect hides a second one: two lengths that differ, or one that is too long.
            let lengths: Vec<_> = message.raw_values(HeaderName::ContentLength).collect();
            if let [length] = lengths[..]
                && message.defect() != Some(Defect::ContentLength)
                && let Some(n) = std::str::from_utf8(length)
                    .ok()
                    .and_then(|l| l.trim().parse::<usize>().ok())
                && n < 60_000
            {
                framed += 1;
                assert_eq!(n, message.body().len(), "{}", String::from_utf8_lossy(&bytes));
            }
        }
    }
    assert!(
        messages > 5_000 && framed > 1_000,
        "{messages} messages, {framed} of them by length"
    );
}
