//! Framing of streams.

use strowger_sip_core::frame::{Frame, FrameError, Framer};
use strowger_sip_core::message::{Defect, HeaderName, MAX_MESSAGE, Message};

fn cut(stream: &[u8], piece: usize) -> Vec<Result<Frame, FrameError>> {
    let (mut framer, mut out) = (Framer::new(), Vec::new());
    for piece in stream.chunks(piece.max(1)) {
        framer.push(piece);
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

/// Any stream is cut into the same messages however it arrives, in bounded memory, and each message that was found by its
/// length holds exactly its body. The first byte is the length of the pieces of the second pass.
pub fn frame(data: &[u8]) {
    let Some((&piece, stream)) = data.split_first() else {
        return;
    };
    let whole = cut(stream, stream.len());
    assert_eq!(whole, cut(stream, usize::from(piece)));
    for frame in whole {
        let Ok(Frame::Message(bytes)) = frame else { continue };
        assert!(bytes.len() <= MAX_MESSAGE);
        let Ok(message) = Message::parse(bytes) else { continue };
        // A first defect hides a second one: two lengths that differ, or one that is too long or no number. A broken line
        // may be a length to the framer and none to the parser: then the one ends the stream and the other says 400.
        let lengths: Vec<_> = message.raw_values(HeaderName::ContentLength).collect();
        if let [length] = lengths[..]
            && !matches!(message.defect(), Some(Defect::ContentLength | Defect::HeaderLine))
            && let Some(n) = std::str::from_utf8(length).ok().and_then(|l| l.parse::<usize>().ok())
            && n < 60_000
        {
            assert_eq!(n, message.body().len());
        }
    }
}
