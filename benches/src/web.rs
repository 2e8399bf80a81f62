//! The HTTP side of the load: click2call requests over kept connections, and the receiver of call records.
//!
//! Nobody here sleeps in a socket. On loopback the sender of a packet pays for waking its receiver, which no network would
//! charge to the server; so the generator naps for [`NAP`] and then looks at what has arrived.

use crate::tally::count;
use crate::uas::Shared;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How long the generator looks away.
pub const NAP: Duration = Duration::from_micros(150);
/// Patience for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most connections that carry click2call requests.
const CONNECTIONS: usize = 96;

/// A click2call load.
pub struct Click {
    /// The integrators' API.
    pub http: SocketAddr,
    /// Path of the requests.
    pub path: String,
    /// Authorization header.
    pub authorization: String,
    /// Body, with `{n}` for the last digits of both numbers.
    pub body: String,
}

/// One connection and what has arrived on it.
struct Conn {
    stream: TcpStream,
    taken: Vec<u8>,
}

impl Conn {
    fn new(poll: &Poll, mut stream: TcpStream, token: usize) -> std::io::Result<Conn> {
        poll.registry()
            .register(&mut stream, Token(token), Interest::READABLE)?;
        let _ = stream.set_nodelay(true);
        Ok(Conn {
            stream,
            taken: Vec::new(),
        })
    }

    /// Reads what is there; false when the far side is gone.
    fn fill(&mut self) -> bool {
        let mut buffer = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return false,
                Ok(n) => self.taken.extend_from_slice(&buffer[..n]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return true,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
    }

    /// Gives one whole message, head and body, to `each`, and drops it; false if there is none yet.
    fn next(&mut self, each: impl FnOnce(&str, &[u8])) -> bool {
        let Some(head) = self.taken.windows(4).position(|w| w == b"\r\n\r\n") else {
            return false;
        };
        let text = std::str::from_utf8(&self.taken[..head]).unwrap_or_default();
        let length = text.split("\r\n").skip(1).find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse::<usize>().ok())?
        });
        let end = head + 4 + length.unwrap_or(0);
        if self.taken.len() < end {
            return false;
        }
        each(text, &self.taken[head + 4..end]);
        self.taken.drain(..end);
        true
    }
}

/// A request under way.
struct Asked {
    at: Instant,
}

/// Sends `rate` requests a second for a time.
pub fn click(shared: &Shared, click: &Click, rate: f64, length: Duration) {
    let mut poll = Poll::new().expect("the system has epoll");
    let mut events = Events::with_capacity(256);
    let mut conns: Vec<Option<(Conn, Option<Asked>)>> = Vec::new();
    let begin = Instant::now();
    let total = (length.as_secs_f64() * rate) as u64;
    let (mut n, mut out) = (0, String::new());
    loop {
        while n < total && begin + Duration::from_secs_f64(n as f64 / rate) <= Instant::now() {
            let Some(free) = free_connection(&poll, &mut conns, click.http) else {
                break;
            };
            let due = begin + Duration::from_secs_f64(n as f64 / rate);
            shared.tally.lateness.add(due.elapsed());
            count(&shared.tally.started);
            let body = click.body.replace("{n}", &format!("{:07}", n % 10_000_000));
            out.clear();
            let _ = write!(
                out,
                "POST {} HTTP/1.1\r\nHost: {}\r\nAuthorization: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                click.path,
                click.http,
                click.authorization,
                body.len()
            );
            n += 1;
            let Some((conn, asked)) = &mut conns[free] else {
                continue;
            };
            if conn.stream.write_all(out.as_bytes()).is_err() {
                count(&shared.tally.failed);
                conns[free] = None;
                continue;
            }
            *asked = Some(Asked { at: Instant::now() });
        }
        strowger_tests::wait::pause(NAP);
        if poll.poll(&mut events, Some(Duration::ZERO)).is_err() {
            continue;
        }
        for event in &events {
            let i = event.token().0;
            let Some(Some((conn, asked))) = conns.get_mut(i) else {
                continue;
            };
            let alive = conn.fill();
            conn.next(|head, body| {
                let Some(asked) = asked.take() else { return };
                let well = head.starts_with("HTTP/1.1 200") && body.windows(7).any(|w| w == b"\"00000\"");
                if well {
                    count(&shared.tally.accepted);
                    shared.tally.setup.add(asked.at.elapsed());
                } else {
                    count(&shared.tally.failed);
                }
            });
            if !alive {
                if asked.is_some() {
                    count(&shared.tally.failed);
                }
                conns[i] = None;
            }
        }
        for slot in &mut conns {
            if let Some((_, Some(asked))) = slot
                && asked.at.elapsed() > PATIENCE
            {
                count(&shared.tally.failed);
                *slot = None;
            }
        }
        if n == total && conns.iter().flatten().all(|(_, asked)| asked.is_none()) {
            return;
        }
    }
}

/// A connection without a request under way; a new one if there is room for it.
fn free_connection(poll: &Poll, conns: &mut Vec<Option<(Conn, Option<Asked>)>>, to: SocketAddr) -> Option<usize> {
    let idle = |slot: &Option<(Conn, Option<Asked>)>| slot.as_ref().is_some_and(|(_, asked)| asked.is_none());
    if let Some(i) = conns.iter().position(idle) {
        return Some(i);
    }
    let i = match conns.iter().position(Option::is_none) {
        Some(i) => i,
        None if conns.len() < CONNECTIONS => {
            conns.push(None);
            conns.len() - 1
        }
        None => return None,
    };
    // Loopback connects at once; a connection that is still on its way would refuse the first write.
    let stream = std::net::TcpStream::connect(to).ok()?;
    stream.set_nonblocking(true).ok()?;
    conns[i] = Some((Conn::new(poll, TcpStream::from_std(stream), i).ok()?, None));
    Some(i)
}

/// Takes call records for ever, and counts each conversation once.
pub fn receive(shared: &Shared, listener: std::net::TcpListener) {
    listener.set_nonblocking(true).expect("a listener can be non-blocking");
    let mut listener = TcpListener::from_std(listener);
    let mut poll = Poll::new().expect("the system has epoll");
    let mut events = Events::with_capacity(256);
    poll.registry()
        .register(&mut listener, Token(0), Interest::READABLE)
        .expect("a listener can be watched");
    let mut conns: HashMap<usize, Conn> = HashMap::new();
    let mut seen: HashSet<[u8; 16]> = HashSet::new();
    let mut next = 1;
    loop {
        strowger_tests::wait::pause(NAP);
        if poll.poll(&mut events, Some(Duration::ZERO)).is_err() {
            continue;
        }
        for event in &events {
            let token = event.token().0;
            if token == 0 {
                while let Ok((stream, _)) = listener.accept() {
                    if let Ok(conn) = Conn::new(&poll, stream, next) {
                        conns.insert(next, conn);
                        next += 1;
                    }
                }
                continue;
            }
            let Some(conn) = conns.get_mut(&token) else { continue };
            let mut alive = conn.fill();
            loop {
                let record = |_: &str, body: &[u8]| {
                    // {"conversationSid":"CV" and 32 digits; half of them tell conversations apart.
                    let id = body
                        .windows(3)
                        .position(|w| w == b"\"CV")
                        .and_then(|at| body.get(at + 19..at + 35));
                    if let Some(id) = id.and_then(|id| id.try_into().ok())
                        && seen.insert(id)
                    {
                        count(&shared.tally.records);
                    }
                };
                if !conn.next(record) {
                    break;
                }
                alive &= conn
                    .stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                    .is_ok();
            }
            if !alive {
                conns.remove(&token);
            }
        }
    }
}
