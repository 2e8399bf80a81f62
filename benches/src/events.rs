//! Events to many clients over WebSockets: how long after it happened an event has come to each of them. The clients are a
//! process of their own, on plain sockets: it does not share the server's WebSocket library.

use crate::process;
use mio::net::TcpStream;
use mio::{Interest, Poll, Token};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use strowger_tests::hall::Hall;
use strowger_tests::server::Options;
use strowger_tests::wait;

/// Agents whose changes are told.
const AGENTS: usize = 20;
/// The aim for the p99.
const AIM_MS: f64 = 50.0;
const DAY_MS: i64 = 86_400_000;

/// One client's connection.
struct Client {
    socket: TcpStream,
    rest: Vec<u8>,
    open: bool,
}

/// What the clients count.
#[derive(Default)]
struct Seen {
    open: usize,
    lost: usize,
    delays: Vec<u32>,
}

/// Milliseconds since midnight, UTC.
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(0) % DAY_MS
}

/// Milliseconds since midnight of `…T12:34:56.789Z`.
fn stamp_ms(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    let (_, time) = text.split_once('T')?;
    let part = |from: usize, to: usize| time.get(from..to)?.parse::<i64>().ok();
    Some(((part(0, 2)? * 60 + part(3, 5)?) * 60 + part(6, 8)?) * 1000 + part(9, 12)?)
}

impl Client {
    /// Takes what has come; false if the connection is over.
    fn read(&mut self, seen: &mut Seen) -> bool {
        let mut buffer = [0; 16_384];
        loop {
            match self.socket.read(&mut buffer) {
                Ok(0) => return false,
                Ok(n) => self.rest.extend_from_slice(&buffer[..n]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(_) => return false,
            }
        }
        let now = now_ms();
        if !self.open {
            let Some(end) = self.rest.windows(4).position(|w| w == b"\r\n\r\n") else {
                return true;
            };
            if !self.rest.starts_with(b"HTTP/1.1 101") {
                return false;
            }
            self.rest.drain(..end + 4);
            self.open = true;
            seen.open += 1;
        }
        let mut taken = 0;
        while let Some((code, payload)) = frame(&self.rest[taken..]) {
            match code {
                1 => note(payload, now, seen),
                8 => return false,
                // An empty pong with a mask of zeros (RFC 6455 §5.5.3).
                9 => drop(self.socket.write(&[0x8A, 0x80, 0, 0, 0, 0])),
                _ => {}
            }
            let head = payload.as_ptr() as usize - self.rest[taken..].as_ptr() as usize;
            taken += head + payload.len();
        }
        self.rest.drain(..taken);
        true
    }
}

/// The code and payload of a whole frame, not masked, at the beginning of these bytes.
fn frame(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let (code, short) = (bytes.first()? & 15, usize::from(bytes.get(1)? & 127));
    let (from, len) = match short {
        126 => (4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
        127 => (
            10,
            usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?,
        ),
        len => (2, len),
    };
    Some((code, bytes.get(from..from + len)?))
}

fn note(payload: &[u8], now: i64, seen: &mut Seen) {
    const AT: &[u8] = b"\"at\":\"";
    if !payload.windows(15).any(|w| w == b"\"agent.changed\"") {
        return;
    }
    let found = payload.windows(AT.len()).position(|w| w == AT);
    let at = found.and_then(|at| stamp_ms(payload.get(at + AT.len()..at + AT.len() + 24)?));
    if let Some(at) = at {
        seen.delays
            .push(u32::try_from((now - at).rem_euclid(DAY_MS)).unwrap_or(u32::MAX));
    }
}

/// As many descriptors as the process may have.
fn more_files() {
    // SAFETY: the limit is a plain value that lives through both calls.
    unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit);
        limit.rlim_cur = limit.rlim_max;
        libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
    }
}

/// The clients' own side: `followers ADDRESS KEY COUNT`. It says when all are connected; each line that comes is answered with
/// what was seen since the one before.
pub fn followers_main(words: &[String]) {
    more_files();
    let address: SocketAddr = words[0].parse().expect("an address");
    let count: usize = words[2].parse().expect("a number");
    let (lines, asked) = std::sync::mpsc::sync_channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if lines.send(line).is_err() {
                return;
            }
        }
    });
    let mut poll = Poll::new().expect("the kernel has epoll");
    let mut happened = mio::Events::with_capacity(1024);
    let mut clients: Vec<Client> = Vec::new();
    let mut seen = Seen::default();
    let mut told = false;
    loop {
        // Some at a time, so that the listener's backlog suffices.
        while clients.len() < count && clients.len() < seen.open + seen.lost + 50 {
            let made = std::net::TcpStream::connect(address).expect("the server listens");
            made.set_nonblocking(true).expect("a socket can be non-blocking");
            let mut socket = TcpStream::from_std(made);
            let request = format!(
                "GET /api/v1/events HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer {}\r\n\r\n",
                words[1]
            );
            socket
                .write_all(request.as_bytes())
                .expect("a new connection takes a request");
            poll.registry()
                .register(&mut socket, Token(clients.len()), Interest::READABLE)
                .expect("epoll takes a socket");
            clients.push(Client {
                socket,
                rest: Vec::new(),
                open: false,
            });
        }
        if !told && seen.open + seen.lost == count {
            told = true;
            println!("{}", json!({ "open": seen.open }));
        }
        let _ = poll.poll(&mut happened, Some(Duration::from_millis(5)));
        for event in &happened {
            let Some(client) = clients.get_mut(event.token().0) else {
                continue;
            };
            if !client.read(&mut seen) {
                seen.lost += 1;
                let _ = poll.registry().deregister(&mut client.socket);
            }
        }
        if asked.try_recv().is_ok() {
            let mut delays = std::mem::take(&mut seen.delays);
            delays.sort_unstable();
            let at =
                |share: f64| delays.get(((delays.len() as f64 * share) as usize).min(delays.len().saturating_sub(1)));
            let cpu = process::cpu(std::process::id()).as_secs_f64();
            println!(
                "{}",
                json!({ "received": delays.len(), "lost": seen.lost, "p50": at(0.5), "p99": at(0.99), "max": delays.last(), "cpu": cpu })
            );
        }
    }
}

/// Prints the table.
pub fn run(short: bool) {
    let count = if short { 1_000 } else { 5_000 };
    more_files();
    let options = Options {
        launcher: process::pinned(0),
        ..strowger_tests::hall::options(0)
    };
    // They have no telephones, and are not to be signed out for that.
    let settings = json!({ "wrap_up": "off", "device_grace_secs": 3600 });
    let hall = Hall::start(options, AGENTS, &settings, &json!({}));
    hall.sign_in();
    let server = &hall.office.bed.server;
    let mut words = process::pinned(1);
    let own = std::env::current_exe().expect("a process knows its file");
    words.extend([
        own.display().to_string(),
        "followers".to_owned(),
        server.http().to_string(),
    ]);
    words.extend([hall.key.clone(), count.to_string()]);
    let memory = process::resident_kb(server.pid());
    let mut child = Command::new(&words[0])
        .args(&words[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("our own program can be run");
    let mut input = child.stdin.take().expect("a pipe");
    let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = move || {
        let mut text = String::new();
        output.read_line(&mut text).expect("the clients answer");
        serde_json::from_str::<Value>(&text).expect("the clients answer in JSON")
    };
    let open = line()["open"].as_u64().unwrap_or(0);
    let grown = process::resident_kb(server.pid()).saturating_sub(memory) as f64;
    println!(
        "\nEvents to {count} WebSocket clients, {open} of them connected ({:.1} KB each in the server): an agent goes on break or \
         is ready again, which every client is told. From the event's time, in whole milliseconds, to its receipt.",
        grown / open.max(1) as f64
    );
    println!(
        "{:>9} {:>8} {:>10} {:>10} {:>6} {:>8} {:>8} {:>8} {:>14} {:>6}",
        "events/s", "events", "expected", "received", "lost", "p50 ms", "p99 ms", "max ms", "CPU us a push", "gen %"
    );
    let seconds = if short { 5 } else { 20 };
    let mut good = true;
    for rate in [1u32, 5, 10] {
        let (begun, cpu) = (Instant::now(), process::cpu_exact(server.pid()));
        let mut ask = |input: &mut std::process::ChildStdin| {
            writeln!(input, "report").expect("the clients listen");
            line()
        };
        let before = ask(&mut input);
        let events = rate * seconds;
        for n in 0..events {
            let due = begun + Duration::from_secs_f64(f64::from(n) / f64::from(rate));
            wait::pause(due.saturating_duration_since(Instant::now()));
            let agent = &hall.agents[n as usize % AGENTS];
            let duty = if (n as usize / AGENTS).is_multiple_of(2) {
                json!({ "state": "break", "reason": "lunch" })
            } else {
                json!({ "state": "ready" })
            };
            let answer = server.admin("PATCH", &format!("/agents/{agent}/duty"), Some(&duty));
            assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        }
        wait::pause(Duration::from_secs(1));
        let seen = ask(&mut input);
        let took = process::cpu_exact(server.pid()) - cpu;
        let received = seen["received"].as_u64().unwrap_or(0);
        let n = |name: &str| seen[name].as_u64().unwrap_or(0);
        let busy = seen["cpu"].as_f64().unwrap_or(0.0) - before["cpu"].as_f64().unwrap_or(0.0);
        println!(
            "{rate:>9} {events:>8} {:>10} {received:>10} {:>6} {:>8} {:>8} {:>8} {:>14.1} {:>6.0}",
            u64::from(events) * open,
            n("lost"),
            n("p50"),
            n("p99"),
            n("max"),
            took.as_secs_f64() * 1e6 / received.max(1) as f64,
            busy / begun.elapsed().as_secs_f64() * 100.0,
        );
        good &= received >= u64::from(events) * open && (n("p99") as f64) < AIM_MS;
        // Everybody is ready again.
        for agent in &hall.agents {
            server.admin(
                "PATCH",
                &format!("/agents/{agent}/duty"),
                Some(&json!({ "state": "ready" })),
            );
        }
        wait::pause(Duration::from_millis(500));
    }
    println!(
        "=> every event at every client, p99 below {AIM_MS} ms: {}",
        if good { "yes" } else { "NO" }
    );
    let _ = child.kill();
    let _ = child.wait();
}
