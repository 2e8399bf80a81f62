//! The called side of the load: answers every INVITE at once, and for click2call hangs the callee up after a while.
//! Messages are built from the lines of the request, so that the generator costs little beside what it measures.

use crate::tally::{Tally, count};
use crate::web::NAP;
use std::collections::{HashMap, VecDeque};
use std::fmt::Write as _;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The generator's media description. Nothing is sent there, and nothing listens.
pub const SDP: &str = "v=0\r\no=load 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 39998 RTP/AVP 8 101\r\n\
                       a=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n";

/// What the threads share.
pub struct Shared {
    /// Counts.
    pub tally: Tally,
    /// The callee hangs up: click2call. Otherwise it waits to be hung up on.
    pub hangs_up: AtomicBool,
    /// Milliseconds of talk.
    pub hold_ms: AtomicU64,
}

/// A UDP socket on loopback with room for bursts.
pub fn socket() -> UdpSocket {
    use std::os::fd::AsRawFd;
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port on loopback");
    let size: libc::c_int = 8 << 20;
    for option in [libc::SO_RCVBUFFORCE, libc::SO_SNDBUFFORCE] {
        // SAFETY: the option's value is an int that lives through the call. Without the right to it the default stays.
        unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                option,
                (&raw const size).cast(),
                size_of_val(&size) as libc::socklen_t,
            );
        }
    }
    socket
}

/// A header's value.
pub fn header<'a>(text: &'a str, name: &str) -> &'a str {
    let found = text
        .split("\r\n")
        .skip(1)
        .take_while(|l| !l.is_empty())
        .find_map(|line| {
            let (n, value) = line.split_once(':')?;
            n.eq_ignore_ascii_case(name).then(|| value.trim())
        });
    found.unwrap_or_default()
}

/// A response with the request's headers.
pub fn respond(out: &mut String, request: &str, line: &str, tag: &str, contact: SocketAddr, sdp: bool) {
    out.clear();
    let _ = write!(out, "SIP/2.0 {line}\r\n");
    for l in request.split("\r\n").skip(1).take_while(|l| !l.is_empty()) {
        if l.starts_with("Via:") || l.starts_with("From:") || l.starts_with("Call-ID:") || l.starts_with("CSeq:") {
            let _ = write!(out, "{l}\r\n");
        } else if l.starts_with("To:") {
            let tagged = l.contains(";tag=");
            let _ = if tagged {
                write!(out, "{l}\r\n")
            } else {
                write!(out, "{l};tag={tag}\r\n")
            };
        }
    }
    if sdp {
        let _ = write!(
            out,
            "Contact: <sip:load@{contact}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{SDP}",
            SDP.len()
        );
    } else {
        out.push_str("Content-Length: 0\r\n\r\n");
    }
}

struct Leg {
    /// The BYE that will be sent, or was.
    bye: Option<String>,
    to: SocketAddr,
    tries: u32,
    acked: bool,
}

/// The answering side: one socket, one thread.
pub struct Uas {
    socket: UdpSocket,
    shared: Arc<Shared>,
    legs: HashMap<String, Leg>,
    /// When to look at a leg again: constant delays keep these in order.
    hang_ups: VecDeque<(Instant, String)>,
    repeats: VecDeque<(Instant, String)>,
    out: String,
    address: SocketAddr,
}

const REPEAT: Duration = Duration::from_millis(1000);

impl Uas {
    /// On a socket of its own.
    pub fn new(shared: Arc<Shared>) -> Uas {
        let socket = socket();
        Uas {
            address: socket.local_addr().expect("a bound socket has an address"),
            socket,
            shared,
            legs: HashMap::new(),
            hang_ups: VecDeque::new(),
            repeats: VecDeque::new(),
            out: String::new(),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves for ever.
    pub fn run(mut self) {
        self.socket.set_nonblocking(true).expect("a socket can be non-blocking");
        let mut buffer = [0; 4096];
        loop {
            while let Ok((n, from)) = self.socket.recv_from(&mut buffer) {
                if let Ok(text) = std::str::from_utf8(&buffer[..n]) {
                    self.message(text, from);
                }
            }
            self.timers();
            // As in `web`: a receiver that sleeps in its socket is woken at the server's expense.
            strowger_tests::wait::pause(NAP);
        }
    }

    fn message(&mut self, text: &str, from: SocketAddr) {
        let mut out = std::mem::take(&mut self.out);
        let id = header(text, "Call-ID");
        let method = text.split(' ').next().unwrap_or_default();
        match method {
            "INVITE" => {
                respond(&mut out, text, "200 OK", id.get(..12).unwrap_or(id), self.address, true);
                let _ = self.socket.send_to(out.as_bytes(), from);
                if self.legs.contains_key(id) {
                    count(&self.shared.tally.repeated);
                } else {
                    let callee = text.starts_with("INVITE sip:+86139");
                    let hangs_up = callee && self.shared.hangs_up.load(Ordering::Relaxed);
                    let leg = Leg {
                        bye: hangs_up.then(|| self.bye(text, id)),
                        to: from,
                        tries: 0,
                        acked: false,
                    };
                    self.legs.insert(id.to_owned(), leg);
                }
            }
            "ACK" => {
                if let Some(leg) = self.legs.get_mut(id)
                    && !std::mem::replace(&mut leg.acked, true)
                    && leg.bye.is_some()
                {
                    let hold = Duration::from_millis(self.shared.hold_ms.load(Ordering::Relaxed));
                    self.hang_ups.push_back((Instant::now() + hold, id.to_owned()));
                }
            }
            "BYE" | "OPTIONS" | "CANCEL" => {
                respond(&mut out, text, "200 OK", "t", self.address, false);
                let _ = self.socket.send_to(out.as_bytes(), from);
                if method == "BYE" {
                    self.legs.remove(id);
                }
                if method == "CANCEL" && self.legs.remove(id).is_some() {
                    count(&self.shared.tally.failed);
                }
            }
            // The answer to a BYE of ours.
            "SIP/2.0" if self.legs.remove(id).is_some() => count(&self.shared.tally.completed),
            _ => {}
        }
        self.out = out;
    }

    fn bye(&self, invite: &str, id: &str) -> String {
        let contact = header(invite, "Contact").trim_start_matches('<');
        let target = contact.split('>').next().unwrap_or_default();
        format!(
            "BYE {target} SIP/2.0\r\nVia: SIP/2.0/UDP {};branch=z9hG4bKb{}\r\nFrom: {};tag={}\r\nTo: {}\r\nCall-ID: {id}\r\n\
             CSeq: 1 BYE\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
            self.address,
            id.get(..24).unwrap_or(id),
            header(invite, "To"),
            id.get(..12).unwrap_or(id),
            header(invite, "From"),
        )
    }

    fn timers(&mut self) {
        let now = Instant::now();
        for _ in 0..2 {
            while self.hang_ups.front().is_some_and(|(due, _)| *due <= now) {
                let Some((_, id)) = self.hang_ups.pop_front() else {
                    break;
                };
                let Some(leg) = self.legs.get_mut(&id) else { continue };
                if leg.tries == 8 {
                    self.legs.remove(&id);
                    count(&self.shared.tally.failed);
                    continue;
                }
                if let Some(bye) = &leg.bye {
                    let _ = self.socket.send_to(bye.as_bytes(), leg.to);
                }
                if leg.tries > 0 {
                    count(&self.shared.tally.repeated);
                }
                leg.tries += 1;
                self.repeats.push_back((now + REPEAT, id));
            }
            std::mem::swap(&mut self.hang_ups, &mut self.repeats);
        }
    }
}
