//! Registrations at the real server, with digest, over UDP: a closed loop that keeps a number of requests under way.

use crate::calls::Rig;
use crate::process;
use crate::uas::socket;
use crate::web::NAP;
use bytes::Bytes;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use strowger_sip_core::digest::Challenge;
use strowger_sip_core::{Credentials, Message};
use strowger_tests::wait;

/// Contacts of one device, as many as the server takes.
const CONTACTS: usize = 10;
/// Requests under way.
const WINDOW: usize = 64;
/// A request is sent again after so long.
const REPEAT: Duration = Duration::from_millis(500);
const PASSWORD: &str = "a long enough password";

/// A telephone.
struct Phone {
    cseq: u32,
    /// The server's last challenge, and how often it was answered.
    challenge: Option<(Challenge, u32)>,
}

struct Asked {
    phone: usize,
    text: String,
    sent: Instant,
    begun: Instant,
}

struct Load {
    server: SocketAddr,
    phones: Vec<Phone>,
    repeated: u64,
    delays: Vec<u32>,
}

impl Load {
    fn register(&mut self, n: usize, me: SocketAddr) -> String {
        let (user, contact) = (n / CONTACTS, n % CONTACTS);
        let host = self.server.ip();
        let phone = &mut self.phones[n];
        phone.cseq += 1;
        let cseq = phone.cseq;
        let uri = format!("sip:{host}");
        let authorization = phone.challenge.as_mut().map_or(String::new(), |(challenge, count)| {
            *count += 1;
            let who = Credentials {
                username: format!("device{user}"),
                password: PASSWORD.into(),
            };
            let cnonce = format!("{n:08x}{count:04x}");
            let value = challenge.answer_body(&who, "REGISTER", &uri, b"", &cnonce, *count);
            format!("Authorization: {value}\r\n")
        });
        format!(
            "REGISTER {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bKr{n:x}-{cseq};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:device{user}@{host}>;tag=t{n:x}\r\nTo: <sip:device{user}@{host}>\r\nCall-ID: r{n}@{me}\r\n\
             CSeq: {cseq} REGISTER\r\nContact: <sip:device{user}@{me};line={contact}>;expires=3600\r\n{authorization}\
             User-Agent: bench\r\nContent-Length: 0\r\n\r\n"
        )
    }

    /// Every telephone registers once; gives back how many did.
    fn round(&mut self) -> usize {
        let socket = socket();
        socket.set_nonblocking(true).expect("a socket can be non-blocking");
        let me = socket.local_addr().expect("a bound socket has an address");
        let mut under_way: HashMap<usize, Asked> = HashMap::new();
        let (mut next, mut well, mut over, total) = (0, 0, 0, self.phones.len());
        let mut buffer = [0; 4096];
        let mut looked = Instant::now();
        while over < total {
            while under_way.len() < WINDOW && next < total {
                let text = self.register(next, me);
                let now = Instant::now();
                let _ = socket.send_to(text.as_bytes(), self.server);
                under_way.insert(
                    next,
                    Asked {
                        phone: next,
                        text,
                        sent: now,
                        begun: now,
                    },
                );
                next += 1;
            }
            if looked.elapsed() > Duration::from_millis(100) {
                looked = Instant::now();
                for asked in under_way.values_mut().filter(|a| a.sent.elapsed() > REPEAT) {
                    asked.sent = looked;
                    self.repeated += 1;
                    let _ = socket.send_to(asked.text.as_bytes(), self.server);
                }
            }
            let Ok((size, _)) = socket.recv_from(&mut buffer) else {
                wait::pause(NAP);
                continue;
            };
            let Ok(message) = Message::parse(Bytes::copy_from_slice(&buffer[..size])) else {
                continue;
            };
            let id = message.call_id();
            let Some(n) = id
                .strip_prefix('r')
                .and_then(|r| r.split('@').next()?.parse::<usize>().ok())
            else {
                continue;
            };
            let Some(asked) = under_way.remove(&n) else { continue };
            if message.cseq().map(|c| c.number) != Some(self.phones[n].cseq) {
                under_way.insert(n, asked);
                continue;
            }
            let first_time = self.phones[n].challenge.is_none();
            match (message.status(), Challenge::of(&message)) {
                (Some(401), Some(challenge)) if first_time || challenge.stale => {
                    self.phones[n].challenge = Some((challenge, 0));
                    let text = self.register(asked.phone, me);
                    let _ = socket.send_to(text.as_bytes(), self.server);
                    under_way.insert(
                        n,
                        Asked {
                            text,
                            sent: Instant::now(),
                            ..asked
                        },
                    );
                }
                (status, _) => {
                    over += 1;
                    if status == Some(200) {
                        well += 1;
                        self.delays.push(asked.begun.elapsed().as_micros() as u32);
                    }
                }
            }
        }
        well
    }

    fn delay(&mut self, share: f64) -> f64 {
        self.delays.sort_unstable();
        let at = ((self.delays.len() as f64 * share) as usize).min(self.delays.len().saturating_sub(1));
        self.delays.get(at).map_or(0.0, |us| f64::from(*us) / 1000.0)
    }
}

/// Prints the table.
pub fn run(short: bool) {
    let bindings = if short { 5_000 } else { 50_000 };
    println!(
        "\nRegistrations at the whole server, digest, UDP, {bindings} bindings of {} devices",
        bindings / CONTACTS
    );
    let rig = Rig::start("process", "[guard]\nexempt = [\"127.0.0.0/8\"]\n");
    rig.devices(bindings / CONTACTS, PASSWORD);
    let phone = |_| Phone {
        cseq: 0,
        challenge: None,
    };
    let mut load = Load {
        server: rig.sip(),
        phones: (0..bindings).map(phone).collect(),
        repeated: 0,
        delays: Vec::new(),
    };
    let memory = process::resident_kb(rig.pid());
    println!(
        "{:<44} {:>8} {:>10} {:>8} {:>8} {:>8} {:>8} {:>10}",
        "round", "well", "a second", "CPU us", "p50 ms", "p99 ms", "repeats", "grown KB"
    );
    for name in [
        "first, challenged (two requests each)",
        "refresh, by nonce count",
        "refresh once more",
    ] {
        if process::can_pin() {
            process::pin_self(1);
        }
        let before = process::cpu_exact(rig.pid());
        let begun = Instant::now();
        let well = load.round();
        let seconds = begun.elapsed().as_secs_f64();
        let cpu = process::cpu_exact(rig.pid()) - before;
        let grown = process::resident_kb(rig.pid()) as f64 - memory as f64;
        println!(
            "{name:<44} {well:>8} {:>10.0} {:>8.1} {:>8.1} {:>8.1} {:>8} {:>10.0}",
            well as f64 / seconds,
            cpu.as_secs_f64() * 1e6 / well.max(1) as f64,
            load.delay(0.5),
            load.delay(0.99),
            std::mem::take(&mut load.repeated),
            grown,
        );
        load.delays.clear();
    }
    if !short {
        // Transactions absorb repetitions for 32 s; what is left after that is bindings and nonces.
        wait::pause(Duration::from_secs(36));
    }
    let left = process::resident_kb(rig.pid()) as f64 - memory as f64;
    println!(
        "{} bindings are held; with them the server is {:.1} KB a binding larger",
        rig.bindings(),
        left / bindings as f64
    );
}
