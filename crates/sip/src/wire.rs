//! What is on a connection: bytes cut by Content-Length, or WebSocket messages (RFC 7118).

use crate::connections::Close;
use crate::outbox::{Full, Outbox};
use bytes::{Buf, Bytes};
use futures_util::{Sink, Stream};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use strowger_sip_core::frame::{self, Frame, Framer};
use strowger_sip_core::message::MAX_MESSAGE;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message, Utf8Bytes};

/// Bytes read at once.
const SCRATCH: usize = 32 << 10;
/// Messages written by one system call.
const GATHER: usize = 16;
/// Longest WebSocket message that is taken at all; more than a SIP message may have, so that one that is a little too
/// long is answered.
const MAX_WS_MESSAGE: usize = 2 * MAX_MESSAGE;
/// Answers to WebSocket keep-alives that may wait.
const MAX_REPLIES: usize = 16;

thread_local! {
    /// Where every connection of the thread reads into: an idle one needs no buffer.
    static READ: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH].into_boxed_slice());
}

/// A TCP connection, with or without TLS, that counts its bytes.
pub(crate) struct Io {
    inner: Inner,
    read: u64,
    written: u64,
}

enum Inner {
    Plain(TcpStream),
    Tls(Box<tokio_rustls::TlsStream<TcpStream>>),
}

impl Io {
    pub(crate) fn plain(stream: TcpStream) -> Io {
        Io {
            inner: Inner::Plain(stream),
            read: 0,
            written: 0,
        }
    }

    pub(crate) fn tls(stream: tokio_rustls::TlsStream<TcpStream>) -> Io {
        Io {
            inner: Inner::Tls(Box::new(stream)),
            read: 0,
            written: 0,
        }
    }
}

impl AsyncRead for Io {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        ready!(match &mut this.inner {
            Inner::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Inner::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        })?;
        this.read += (buffer.filled().len() - before) as u64;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Io {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let n = ready!(match &mut this.inner {
            Inner::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Inner::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        })?;
        this.written += n as u64;
        Poll::Ready(Ok(n))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().inner {
            Inner::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Inner::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().inner {
            Inner::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Inner::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// Something whole that was read.
pub(crate) enum Item {
    Message(Bytes),
    KeepAlive { answer: Option<Answer> },
}

/// How a keep-alive is answered: in the kind of frame that it came in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Raw,
    Text,
    Binary,
}

/// A connection as a sequence of messages.
pub(crate) enum Wire {
    Raw(Raw),
    Ws(Box<Ws>),
}

impl Wire {
    pub(crate) fn raw(io: Io) -> Wire {
        Wire::Raw(Raw {
            io,
            framer: Framer::new(),
            writing: VecDeque::new(),
            unflushed: false,
        })
    }

    pub(crate) fn ws(stream: WebSocketStream<Io>) -> Wire {
        let read = stream.get_ref().read;
        Wire::Ws(Box::new(Ws {
            stream,
            replies: VecDeque::new(),
            seen: read,
            whole: read,
            unflushed: None,
        }))
    }

    /// Writes what waits. Pending while there is nothing more to do, also when all is written; ready when nothing will
    /// follow, or with an error.
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, outbox: &Outbox) -> Poll<io::Result<()>> {
        match self {
            Wire::Raw(raw) => raw.poll_write(cx, outbox),
            Wire::Ws(ws) => ws.poll_write(cx, outbox),
        }
    }

    /// Reads once and appends what is whole. Ready after any progress, even if nothing is whole; an error is final, what
    /// was appended with it is good. `discard` throws away what is read.
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        items: &mut Vec<Item>,
        discard: bool,
    ) -> Poll<Result<(), Close>> {
        match self {
            Wire::Raw(raw) => raw.poll_read(cx, items, discard),
            Wire::Ws(ws) => ws.poll_read(cx, items, discard),
        }
    }

    /// Answers a keep-alive.
    pub(crate) fn reply(&mut self, answer: Answer, outbox: &Outbox) -> Result<(), Full> {
        match self {
            Wire::Raw(_) => outbox.push(Bytes::from_static(frame::PONG)),
            Wire::Ws(ws) => {
                // Whoever sends keep-alives without reading the answers goes without some.
                if ws.replies.len() < MAX_REPLIES {
                    ws.replies.push_back(match answer {
                        Answer::Binary => Message::Binary(Bytes::from_static(frame::PONG)),
                        Answer::Text | Answer::Raw => Message::Text(Utf8Bytes::from_static("\r\n")),
                    });
                }
                Ok(())
            }
        }
    }

    /// Our own keep-alive.
    pub(crate) fn ping(&self) -> Bytes {
        Bytes::from_static(frame::PING)
    }

    /// Something taken from the outbox has not reached the kernel.
    pub(crate) fn is_writing(&self) -> bool {
        match self {
            Wire::Raw(raw) => !raw.writing.is_empty() || raw.unflushed,
            Wire::Ws(ws) => ws.unflushed.is_some(),
        }
    }

    /// A message has begun and is not whole.
    pub(crate) fn is_partial(&self) -> bool {
        match self {
            Wire::Raw(raw) => raw.framer.is_partial(),
            Wire::Ws(ws) => ws.stream.get_ref().read != ws.whole,
        }
    }

    /// Bytes that the kernel or TLS has taken so far.
    pub(crate) fn written(&self) -> u64 {
        match self {
            Wire::Raw(raw) => raw.io.written,
            Wire::Ws(ws) => ws.stream.get_ref().written,
        }
    }

    /// Says goodbye as the protocols ask.
    pub(crate) async fn shutdown(&mut self) {
        // The connection ends either way.
        let _ = match self {
            Wire::Raw(raw) => raw.io.shutdown().await,
            Wire::Ws(ws) => {
                let _ = ws.stream.close(None).await;
                ws.stream.get_mut().shutdown().await
            }
        };
    }
}

/// A stream cut by Content-Length.
pub(crate) struct Raw {
    io: Io,
    framer: Framer,
    writing: VecDeque<Bytes>,
    /// TLS may hold back what it has taken.
    unflushed: bool,
}

impl Raw {
    fn poll_write(&mut self, cx: &mut Context<'_>, outbox: &Outbox) -> Poll<io::Result<()>> {
        loop {
            let mut finished = false;
            while self.writing.len() < GATHER {
                match outbox.poll_next(cx) {
                    Poll::Ready(Some(message)) => self.writing.push_back(message),
                    Poll::Ready(None) => {
                        finished = true;
                        break;
                    }
                    Poll::Pending => break,
                }
            }
            if self.writing.is_empty() {
                self.writing = VecDeque::new();
                if self.unflushed {
                    ready!(Pin::new(&mut self.io).poll_flush(cx))?;
                    self.unflushed = false;
                }
                return if finished { Poll::Ready(Ok(())) } else { Poll::Pending };
            }
            let mut slices = [IoSlice::new(&[]); GATHER];
            for (slice, message) in slices.iter_mut().zip(&self.writing) {
                *slice = IoSlice::new(message);
            }
            let count = self.writing.len().min(GATHER);
            let mut n = ready!(Pin::new(&mut self.io).poll_write_vectored(cx, &slices[..count]))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unflushed = true;
            outbox.written(n);
            while let Some(first) = self.writing.front_mut() {
                let part = n.min(first.len());
                first.advance(part);
                n -= part;
                if !first.is_empty() {
                    break;
                }
                self.writing.pop_front();
            }
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, items: &mut Vec<Item>, discard: bool) -> Poll<Result<(), Close>> {
        let read = READ.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer))?;
            if !discard {
                self.framer.push(buffer.filled());
            }
            Poll::Ready(Ok::<usize, io::Error>(buffer.filled().len()))
        });
        match ready!(read) {
            Err(_) => return Poll::Ready(Err(Close::Error)),
            Ok(0) if self.framer.is_partial() => return Poll::Ready(Err(Close::Error)),
            Ok(0) => return Poll::Ready(Err(Close::Peer)),
            Ok(_) if discard => return Poll::Ready(Ok(())),
            Ok(_) => {}
        }
        while let Some(frame) = self.framer.next_frame() {
            match frame {
                Ok(Frame::Message(bytes)) => items.push(Item::Message(bytes)),
                Ok(Frame::Ping) => items.push(Item::KeepAlive {
                    answer: Some(Answer::Raw),
                }),
                Ok(Frame::Junk) => {}
                Err(_) => return Poll::Ready(Err(Close::Framing)),
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Bounds of the WebSocket library: small buffers, since most connections are idle.
pub(crate) fn ws_config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(4 << 10)
        .write_buffer_size(0)
        .max_write_buffer_size(MAX_WS_MESSAGE + (64 << 10))
        .max_message_size(Some(MAX_WS_MESSAGE))
        .max_frame_size(Some(MAX_WS_MESSAGE))
}

/// One SIP message in one WebSocket message (RFC 7118 §4).
pub(crate) struct Ws {
    stream: WebSocketStream<Io>,
    replies: VecDeque<Message>,
    /// Bytes read when reading last made progress.
    seen: u64,
    /// Bytes read when the last message was whole.
    whole: u64,
    /// Bytes of the outbox that are in the library's hands.
    unflushed: Option<usize>,
}

impl Ws {
    fn poll_write(&mut self, cx: &mut Context<'_>, outbox: &Outbox) -> Poll<io::Result<()>> {
        let failed = |error: tungstenite::Error| match error {
            tungstenite::Error::Io(error) => error,
            other => io::Error::other(other),
        };
        loop {
            if self.unflushed.is_some() {
                ready!(Pin::new(&mut self.stream).poll_flush(cx)).map_err(failed)?;
                outbox.written(self.unflushed.take().unwrap_or_default());
            }
            ready!(Pin::new(&mut self.stream).poll_ready(cx)).map_err(failed)?;
            let (message, len) = match self.replies.pop_front() {
                Some(reply) => (reply, 0),
                None => match ready!(outbox.poll_next(cx)) {
                    None => return Poll::Ready(Ok(())),
                    Some(bytes) => {
                        let len = bytes.len();
                        // A text frame must hold UTF-8 (RFC 6455 §8.1), which a SIP message need not be.
                        let message = match Utf8Bytes::try_from(bytes.clone()) {
                            Ok(text) => Message::Text(text),
                            Err(_) => Message::Binary(bytes),
                        };
                        (message, len)
                    }
                },
            };
            self.unflushed = Some(len);
            Pin::new(&mut self.stream).start_send(message).map_err(failed)?;
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, items: &mut Vec<Item>, discard: bool) -> Poll<Result<(), Close>> {
        let (bytes, answer) = match Pin::new(&mut self.stream).poll_next(cx) {
            Poll::Pending if self.stream.get_ref().read != self.seen => {
                // Part of a message has come: that counts as a sign of life, and begins the time for the rest.
                self.seen = self.stream.get_ref().read;
                return Poll::Ready(Ok(()));
            }
            Poll::Pending => return Poll::Pending,
            Poll::Ready(None) => return Poll::Ready(Err(Close::Peer)),
            Poll::Ready(Some(Err(tungstenite::Error::Io(_)))) => return Poll::Ready(Err(Close::Error)),
            Poll::Ready(Some(Err(tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed))) => {
                return Poll::Ready(Err(Close::Peer));
            }
            Poll::Ready(Some(Err(_))) => return Poll::Ready(Err(Close::Framing)),
            Poll::Ready(Some(Ok(message))) => {
                self.seen = self.stream.get_ref().read;
                self.whole = self.seen;
                match message {
                    Message::Text(text) => (Bytes::from(text), Answer::Text),
                    Message::Binary(bytes) => (bytes, Answer::Binary),
                    // The library answers pings and closes.
                    Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => {
                        return Poll::Ready(Ok(()));
                    }
                }
            }
        };
        if discard {
            return Poll::Ready(Ok(()));
        }
        if frame::is_keep_alive(&bytes) {
            // A single CRLF is the answer to ours.
            let answer = (bytes.len() >= frame::PING.len()).then_some(answer);
            items.push(Item::KeepAlive { answer });
        } else {
            // One that is too long is answered: cut, its Content-Length is wrong.
            items.push(Item::Message(bytes.slice(..bytes.len().min(MAX_MESSAGE))));
        }
        Poll::Ready(Ok(()))
    }
}
