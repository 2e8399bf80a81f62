//! Finding messages in a stream of bytes (RFC 3261 §18.3), with the keep-alives of RFC 5626 §3.5.1 between them.
//!
//! A [`Framer`] is fed with what a connection brings, in pieces of any size, and returns frames. Its memory is bounded by
//! [`MAX_MESSAGE`] and one piece. A message that breaks a rule is returned like any other, because the stack can answer
//! it; only when nobody can know where it ends does the stream end too, after the message, with a [`FrameError`].
//!
//! Where a length is missing or wrong, guessing the end would let whoever wrote the body forge the next message of
//! somebody else behind the same proxy. So no end is guessed.

use crate::message::MAX_MESSAGE;
use bytes::{Buf, Bytes, BytesMut};
use memchr::memchr;

/// Longest body that is skipped, in bytes, when a message is too long to be kept.
pub const MAX_SKIP: u64 = 16 << 20;
/// Pieces in a row that do not begin with a SIP start line, before the stream is given up.
const MAX_JUNK: u8 = 16;

/// Something whole in a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// One message, without the line ends before it. Of a message that is too long only the header section, or its
    /// beginning, is kept; parsed, it has a defect.
    Message(Bytes),
    /// CRLF CRLF: answer with [`PONG`] (RFC 5626 §4.4.1).
    Ping,
    /// Something up to an empty line that does not begin like a SIP message.
    Junk,
}

/// The answer to [`Frame::Ping`].
pub const PONG: &[u8] = b"\r\n";
/// The keep-alive of a client.
pub const PING: &[u8] = b"\r\n\r\n";

/// Why no further message can be found in a stream. Whoever has sent it is answered first, then the connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum FrameError {
    /// The stream does not begin with SIP, or has brought too much that is none.
    #[error("not SIP")]
    NotSip,
    /// The header section is longer than [`MAX_MESSAGE`].
    #[error("header section too long")]
    HeadTooLong,
    /// The body is longer than [`MAX_SKIP`].
    #[error("body too long")]
    BodyTooLong,
    /// Content-Length is no number, or there are two that differ.
    #[error("unusable Content-Length")]
    BadLength,
    /// There is a Content-Type and no Content-Length: a body of unknown length.
    #[error("body without Content-Length")]
    NoLength,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Between messages; so many bytes of CRLF CRLF have been seen.
    Between(u8),
    /// In the header section. `line` is where the current line begins, `scanned` how far line ends have been looked for.
    Head {
        line: usize,
        scanned: usize,
    },
    /// In a body; the message ends at this position.
    Body(usize),
    /// In a body that is not kept; so many bytes of it are to come.
    Skip(u64),
    Failed(FrameError),
}

/// Cuts a stream into messages. See the [module](self).
#[derive(Debug)]
pub struct Framer {
    buffer: BytesMut,
    state: State,
    /// A message has been found.
    proven: bool,
    junk: u8,
}

impl Default for Framer {
    fn default() -> Self {
        Framer::new()
    }
}

impl Framer {
    /// At the beginning of a stream. Takes no memory of its own until something arrives.
    pub fn new() -> Framer {
        Framer {
            buffer: BytesMut::new(),
            state: State::Between(0),
            proven: false,
            junk: 0,
        }
    }

    /// Takes the next bytes of the stream. Call [`Framer::next_frame`] until it returns `None` before more is pushed.
    pub fn push(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::Failed(_) => {}
            // What is skipped is not copied first.
            State::Skip(left) if self.buffer.is_empty() => {
                let skipped = (*left).min(bytes.len() as u64);
                *left -= skipped;
                self.buffer.extend_from_slice(&bytes[skipped as usize..]);
            }
            _ => self.buffer.extend_from_slice(bytes),
        }
    }

    /// True if a message has begun and is not whole.
    pub fn is_partial(&self) -> bool {
        matches!(self.state, State::Head { .. } | State::Body(_) | State::Skip(1..))
    }

    /// The next frame; `None` if more bytes are needed. An error is final: all later calls return it again.
    ///
    /// # Errors
    /// See [`FrameError`].
    pub fn next_frame(&mut self) -> Option<Result<Frame, FrameError>> {
        loop {
            match self.state {
                State::Failed(error) => return Some(Err(error)),
                State::Between(seen) => {
                    if let Some(ping) = self.between(seen)? {
                        return Some(Ok(ping));
                    }
                }
                State::Head { line, scanned } => {
                    if let Some(frame) = self.head(line, scanned)? {
                        return Some(Ok(frame));
                    }
                }
                State::Body(end) => {
                    if self.buffer.len() < end {
                        return None;
                    }
                    return Some(Ok(self.take(end)));
                }
                State::Skip(left) => {
                    let skipped = left.min(self.buffer.len() as u64);
                    self.buffer.advance(skipped as usize);
                    if skipped < left {
                        self.state = State::Skip(left - skipped);
                        return None;
                    }
                    self.state = State::Between(0);
                }
            }
        }
    }

    /// Passes line ends before a message (§7.5). The outer `None` asks for more bytes, the inner one goes on.
    fn between(&mut self, mut seen: u8) -> Option<Option<Frame>> {
        let mut used = 0;
        for byte in &self.buffer {
            seen = match (*byte, seen) {
                (b'\n', 1 | 3) => seen + 1,
                (b'\r', 0 | 2) => seen + 1,
                (b'\r', _) => 1,
                (b'\n', _) => 0,
                _ => {
                    self.buffer.advance(used);
                    self.state = State::Head { line: 0, scanned: 0 };
                    return Some(None);
                }
            };
            used += 1;
            if seen == 4 {
                self.buffer.advance(used);
                self.state = State::Between(0);
                return Some(Some(Frame::Ping));
            }
        }
        // An idle connection holds no memory.
        self.buffer = BytesMut::new();
        self.state = State::Between(seen);
        None
    }

    /// Looks for the end of the header section. The outer `None` asks for more bytes, the inner one goes on.
    fn head(&mut self, mut line: usize, mut scanned: usize) -> Option<Option<Frame>> {
        if !self.proven && !self.buffer.first().is_some_and(u8::is_ascii_graphic) {
            // A TLS client at the wrong port, for instance: there is no line end to wait for.
            return Some(self.fail(FrameError::NotSip));
        }
        while let Some(found) = memchr(b'\n', &self.buffer[scanned..]) {
            let line_end = scanned + found;
            if line == 0 && !self.proven && !looks_like_sip(&self.buffer[..line_end]) {
                return Some(self.fail(FrameError::NotSip));
            }
            let empty = match line_end - line {
                0 => true,
                1 => self.buffer[line] == b'\r',
                _ => false,
            };
            (line, scanned) = (line_end + 1, line_end + 1);
            if line > MAX_MESSAGE {
                break;
            }
            if empty {
                return Some(self.measure(line));
            }
        }
        if self.buffer.len() > MAX_MESSAGE {
            let head = self.buffer.split_to(MAX_MESSAGE).freeze();
            self.fail(FrameError::HeadTooLong);
            return Some((line > 0).then_some(Frame::Message(head)));
        }
        self.state = State::Head {
            line,
            scanned: self.buffer.len(),
        };
        None
    }

    /// The header section is whole: decides where the message ends.
    fn measure(&mut self, head_len: usize) -> Option<Frame> {
        let head = &self.buffer[..head_len];
        let first_line = head.iter().position(|b| *b == b'\n').unwrap_or(head_len);
        let sip = looks_like_sip(&head[..first_line]);
        let length = content_length(head);
        if sip {
            (self.proven, self.junk) = (true, 0);
        } else {
            self.junk += 1;
            if self.junk > MAX_JUNK {
                return self.fail(FrameError::NotSip);
            }
        }
        let next = match length {
            Length::Known(n) if n <= (MAX_MESSAGE - head_len) as u64 => {
                self.state = State::Body(head_len + n as usize);
                return None;
            }
            Length::Known(n) if n <= MAX_SKIP => State::Skip(n),
            Length::Known(_) => State::Failed(FrameError::BodyTooLong),
            Length::Bad => State::Failed(FrameError::BadLength),
            // The stack answers it with 400; nothing says that a body follows.
            Length::Missing { typed: false } => State::Between(0),
            Length::Missing { typed: true } => State::Failed(FrameError::NoLength),
        };
        let frame = self.take(head_len);
        self.state = next;
        Some(frame)
    }

    /// Takes the first `end` bytes as a message.
    fn take(&mut self, end: usize) -> Frame {
        let message = if self.buffer.len() == end {
            // The buffer goes with the message, so that nothing is kept while the connection is idle.
            std::mem::take(&mut self.buffer).freeze()
        } else {
            self.buffer.split_to(end).freeze()
        };
        self.state = State::Between(0);
        if self.junk > 0 {
            Frame::Junk
        } else {
            Frame::Message(message)
        }
    }

    fn fail(&mut self, error: FrameError) -> Option<Frame> {
        self.buffer = BytesMut::new();
        self.state = State::Failed(error);
        None
    }
}

/// True for a line that begins or ends with the protocol's name, as every status line and request line does, however
/// broken it is otherwise.
fn looks_like_sip(line: &[u8]) -> bool {
    let line = line.trim_ascii_end();
    let is_version = |text: &[u8]| text.len() >= 4 && text[..4].eq_ignore_ascii_case(b"SIP/");
    let last = line.iter().rposition(u8::is_ascii_whitespace).map_or(0, |at| at + 1);
    is_version(line) || last > 0 && is_version(&line[last..])
}

/// The header lines of a message as it is on the wire, as (name, value); the value includes folded lines.
fn header_lines(head: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = match memchr(b'\n', head) {
        Some(at) => &head[at + 1..],
        None => &[],
    };
    std::iter::from_fn(move || {
        loop {
            let mut end = memchr(b'\n', rest)?;
            if matches!(&rest[..end], b"" | b"\r") {
                return None;
            }
            while matches!(rest.get(end + 1), Some(b' ' | b'\t')) {
                end += 1 + memchr(b'\n', &rest[end + 1..]).unwrap_or(rest.len() - end - 2);
                if end + 1 >= rest.len() {
                    break;
                }
            }
            let line;
            (line, rest) = rest.split_at((end + 1).min(rest.len()));
            if let Some(colon) = memchr(b':', line) {
                // §7.3.1 allows white space before the colon.
                return Some((line[..colon].trim_ascii_end(), line[colon + 1..].trim_ascii()));
            }
        }
    })
}

enum Length {
    Known(u64),
    Bad,
    Missing {
        /// There is a Content-Type.
        typed: bool,
    },
}

fn content_length(head: &[u8]) -> Length {
    let mut length = None;
    let mut typed = false;
    for (name, value) in header_lines(head) {
        if name.eq_ignore_ascii_case(b"Content-Length") || name.eq_ignore_ascii_case(b"l") {
            let digits = !value.is_empty() && value.len() <= 19 && value.iter().all(u8::is_ascii_digit);
            let n = value.iter().fold(0u64, |n, d| {
                n.wrapping_mul(10).wrapping_add(u64::from(d.wrapping_sub(b'0')))
            });
            if !digits || length.is_some_and(|other| other != n) {
                return Length::Bad;
            }
            length = Some(n);
        }
        typed |= name.eq_ignore_ascii_case(b"Content-Type") || name.eq_ignore_ascii_case(b"c");
    }
    length.map_or(Length::Missing { typed }, Length::Known)
}

/// The Call-ID of a message as it is on the wire, without parsing the rest.
pub fn call_id(message: &[u8]) -> Option<&[u8]> {
    // Every message is asked for it: lines that begin with another letter are not taken apart. A folded line begins with
    // white space.
    let mut at = 0;
    loop {
        let next = at + memchr(b'\n', &message[at..])? + 1;
        match message.get(next..)? {
            [b'C' | b'c' | b'I' | b'i', ..] => break,
            [b'\n', ..] | [b'\r', b'\n', ..] => return None,
            _ => at = next,
        }
    }
    header_lines(&message[at..])
        .find(|(name, _)| name.eq_ignore_ascii_case(b"Call-ID") || name.eq_ignore_ascii_case(b"i"))
        .map(|(_, value)| value)
        .filter(|value| !value.is_empty())
}

/// True for a datagram or a WebSocket message that holds nothing but line ends.
pub fn is_keep_alive(bytes: &[u8]) -> bool {
    bytes.iter().all(|b| matches!(b, b'\r' | b'\n'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Defect, Message};

    #[test]
    fn a_call_id_is_found_without_parsing() {
        for (message, expected) in [
            ("A b SIP/2.0\r\nVia: x\r\nCall-ID: 1@h\r\n\r\n", Some("1@h")),
            (
                "A b SIP/2.0\r\nContact: c\r\n folded\r\nI : 2\r\nCall-ID: 3\r\n\r\n",
                Some("2"),
            ),
            ("A b SIP/2.0\ncall-id:\r\n 4\r\n\r\n", Some("4")),
            ("A b SIP/2.0\r\nVia: x\r\n Call-ID: 5\r\n\r\n", None),
            ("A b SIP/2.0\r\nVia: x\r\n\r\nCall-ID: 6\r\n\r\n", None),
            ("A b SIP/2.0\r\nCall-ID: \r\n\r\n", None),
            ("Call-ID: 7", None),
            ("", None),
            ("A\n", None),
            ("A\nCall-ID: 8", None),
        ] {
            let found = call_id(message.as_bytes());
            assert_eq!(found, expected.map(str::as_bytes), "{message:?}");
        }
    }

    /// What a framer makes of a stream that comes in pieces of these lengths, the last of which repeats.
    fn cut(stream: &[u8], pieces: &[usize]) -> Vec<Result<Frame, FrameError>> {
        let (mut framer, mut out, mut rest) = (Framer::new(), Vec::new(), stream);
        let mut piece = 0;
        while !rest.is_empty() {
            let len = pieces[piece.min(pieces.len() - 1)].clamp(1, rest.len());
            piece += 1;
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

    fn message(text: &[u8]) -> Result<Frame, FrameError> {
        Ok(Frame::Message(Bytes::copy_from_slice(text)))
    }

    const OPTIONS: &str = "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP c;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n\
To: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n";

    fn with(lines: &str, body: &str) -> Vec<u8> {
        format!("{OPTIONS}{lines}\r\n{body}").into_bytes()
    }

    #[test]
    fn the_same_however_it_is_split() {
        let first = with("Content-Length : 3\r\n", "v=0");
        let second = with("l:\r\n  4\r\nX: folded\r\n\tl: 7\r\n", "\r\n\r\n");
        let third = b"SIP/2.0 200 OK\nContent-Length:0\n\n".to_vec();
        let fourth = with("CONTENT-LENGTH: 2\r\nContent-Length: 02\r\n", "ab");
        let stream = [
            b"\r\n\r\n\r\n".as_slice(),
            &first,
            &second,
            b"\r\n",
            &third,
            b"\r\n\r\n\r\n\r\n",
            &fourth,
        ]
        .concat();
        let expected = vec![
            Ok(Frame::Ping),
            message(&first),
            message(&second),
            message(&third),
            Ok(Frame::Ping),
            Ok(Frame::Ping),
            message(&fourth),
        ];
        assert_eq!(cut(&stream, &[stream.len()]), expected);
        for len in 1..40 {
            assert_eq!(cut(&stream, &[len]), expected, "pieces of {len}");
        }
        for at in 1..stream.len() {
            assert_eq!(cut(&stream, &[at, stream.len()]), expected, "split at {at}");
        }
    }

    #[test]
    fn lengths_that_cannot_be_used_are_answered_and_end_the_stream() {
        let next = with("l: 0\r\n", "");
        for (lines, error) in [
            ("Content-Length: -1\r\n", FrameError::BadLength),
            ("Content-Length: 18446744073709551615\r\n", FrameError::BadLength),
            ("Content-Length: 9999999999999999999\r\n", FrameError::BodyTooLong),
            ("Content-Length: 3, 3\r\n", FrameError::BadLength),
            ("Content-Length: 3\r\nl: 4\r\n", FrameError::BadLength),
            ("Content-Length:\r\n", FrameError::BadLength),
            ("Content-Length: 1 2\r\n", FrameError::BadLength),
            ("Content-Type: application/sdp\r\n", FrameError::NoLength),
        ] {
            let bad = with(lines, "");
            let stream = [bad.as_slice(), &next].concat();
            for piece in [1, 7, stream.len()] {
                assert_eq!(cut(&stream, &[piece]), vec![message(&bad), Err(error)], "{lines}");
            }
        }
    }

    #[test]
    fn a_bad_message_whose_end_is_known_harms_nobody() {
        let next = with("l: 0\r\n", "");
        let head = with("Content-Length: 70000\r\n", "");
        let long = [head.as_slice(), &vec![b'x'; 70_000]].concat();
        let broken = b"OPTIONS sip:a@b SIP/2.0\r\n:::\r\n\x00\xff\r\nl: 1\r\n\r\nx".to_vec();
        let bodyless = with("", "");
        let stream = [next.as_slice(), &long, &next, &broken, &next, &bodyless, &next].concat();
        let expected = vec![
            message(&next),
            message(&head),
            message(&next),
            message(&broken),
            message(&next),
            message(&bodyless),
            message(&next),
        ];
        for piece in [1, 1_000, 32_768, stream.len()] {
            assert_eq!(cut(&stream, &[piece]), expected, "pieces of {piece}");
        }
        let kept = Message::parse(head.into()).unwrap();
        assert_eq!(kept.defect(), Some(Defect::ContentLength), "it is answered with 400");
        let junk = b"HELO there\r\nl: 2\r\n\r\nab".as_slice();
        let stream = [&next, junk, &next].concat();
        assert_eq!(
            cut(&stream, &[5]),
            vec![message(&next), Ok(Frame::Junk), message(&next)]
        );
        let stream = [next.as_slice(), &junk.repeat(17)].concat();
        assert_eq!(cut(&stream, &[50]).last(), Some(&Err(FrameError::NotSip)));
    }

    #[test]
    fn what_is_no_sip_from_the_start_ends_at_once() {
        for stream in [
            b"\x16\x03\x01\x02\x00".as_slice(),
            b"GET / HTTP/1.1\r\n",
            b"\0",
            b"\r\n SIP/2.0\r\n",
        ] {
            assert_eq!(cut(stream, &[1]), vec![Err(FrameError::NotSip)], "{stream:?}");
        }
    }

    #[test]
    fn an_endless_head_is_cut_and_costs_linear_time() {
        let mut stream = OPTIONS.as_bytes().to_vec();
        while stream.len() <= MAX_MESSAGE + 100 {
            stream.extend_from_slice(b"X: y\r\n");
        }
        let frames = cut(&stream, &[1]);
        assert!(
            matches!(&frames[..], [Ok(Frame::Message(head)), Err(FrameError::HeadTooLong)] if head.len() == MAX_MESSAGE)
        );
        let line = [b"OPTIONS ".as_slice(), &vec![b'x'; MAX_MESSAGE]].concat();
        assert_eq!(cut(&line, &[100]), vec![Err(FrameError::HeadTooLong)]);
    }

    #[test]
    fn an_idle_stream_holds_no_memory() {
        let mut framer = Framer::new();
        framer.push(&with("l: 0\r\n", ""));
        framer.push(b"\r\n");
        assert!(framer.next_frame().is_some_and(|f| f.is_ok()));
        assert!(!framer.is_partial());
        assert!(framer.next_frame().is_none());
        assert_eq!(framer.buffer.capacity(), 0);
        framer.push(b"O");
        assert!(framer.next_frame().is_none());
        assert!(framer.is_partial());
    }

    #[test]
    fn the_call_of_a_message() {
        assert_eq!(call_id(&with("", "")), Some(b"1".as_slice()));
        assert_eq!(
            call_id(b"SIP/2.0 200 OK\r\nX: i: 5\r\ni:\r\n a@b \r\n\r\n"),
            Some(b"a@b".as_slice())
        );
        for none in [
            b"".as_slice(),
            b"x",
            b"SIP/2.0 200 OK\r\n\r\ni: 1\r\n",
            b"a\n \n",
            b"a\nb\n ",
        ] {
            assert_eq!(call_id(none), None, "{none:?}");
        }
    }
}
