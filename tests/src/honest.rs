//! Honest calls beside an attack: one after another, some forty a second, trunk to trunk, each timed. There is no media and no thread per call,
//! so that the attack has the machine.

use crate::bed::Bed;
use crate::msg::{Message, uri_of};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Calls to this number at the platform go to the called side.
const ENTRY: &str = "02161009999";
const SDP: &str = "v=0\r\no=honest 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 39994 RTP/AVP 8\r\n\
                   a=rtpmap:8 PCMA/8000\r\na=sendrecv\r\n";
/// T1 of RFC 3261.
const REPEAT: Duration = Duration::from_millis(500);
/// A call that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two calls: media ports rest for a while after each.
const PACE: Duration = Duration::from_millis(20);

/// What became of the calls.
#[derive(Debug, Default)]
pub struct Outcome {
    /// INVITE to 200 of each call that went well, sorted.
    pub setups: Vec<Duration>,
    /// What went wrong, for each that did not.
    pub failures: Vec<String>,
}

impl Outcome {
    /// Every call went well, there were at least so many, and 99 of 100 were answered within the bound.
    ///
    /// # Panics
    /// Otherwise.
    pub fn expect_well(&self, least: usize, p99: Duration) {
        assert!(self.failures.is_empty(), "{:?}", self.failures);
        let calls = self.setups.len();
        assert!(calls >= least, "only {calls} honest calls");
        let at = self.setups[calls * 99 / 100];
        assert!(at <= p99, "p99 of {calls} honest calls is {at:?}");
    }
}

/// Running calls.
pub struct Honest {
    stop: Arc<AtomicBool>,
    caller: Option<JoinHandle<Outcome>>,
    callee: Option<JoinHandle<()>>,
}

impl Honest {
    /// Makes both trunks and begins.
    pub fn start(bed: &Bed) -> Honest {
        let socket = || {
            let socket = UdpSocket::bind("127.0.0.1:0").expect("a port on loopback");
            let patience = Some(Duration::from_millis(20));
            socket.set_read_timeout(patience).expect("a timeout above zero");
            socket
        };
        let (a, b) = (socket(), socket());
        let at = |s: &UdpSocket| s.local_addr().expect("a bound socket has an address");
        bed.caller_at(at(&a));
        bed.callee_at(at(&b));
        bed.route(ENTRY, crate::bed::CALLEE);
        let stop = Arc::new(AtomicBool::new(false));
        let (platform, own) = (bed.server.sip(), Arc::clone(&stop));
        let callee = std::thread::spawn(move || answer(&b, &own));
        let own = Arc::clone(&stop);
        let caller = std::thread::spawn(move || {
            let mut outcome = Outcome::default();
            for n in 0.. {
                if own.load(Ordering::Relaxed) {
                    break;
                }
                match call(&a, platform, n) {
                    Ok(setup) => outcome.setups.push(setup),
                    Err(why) => outcome.failures.push(format!("call {n}: {why}")),
                }
                crate::wait::pause(PACE);
            }
            outcome.setups.sort_unstable();
            outcome
        });
        Honest {
            stop,
            caller: Some(caller),
            callee: Some(callee),
        }
    }

    /// Ends after the call that is under way.
    ///
    /// # Panics
    /// If one of its threads did.
    pub fn finish(mut self) -> Outcome {
        self.stop.store(true, Ordering::Relaxed);
        let outcome = self
            .caller
            .take()
            .expect("started")
            .join()
            .expect("the caller ends well");
        self.callee
            .take()
            .expect("started")
            .join()
            .expect("the callee ends well");
        outcome
    }
}

impl Drop for Honest {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn answer(socket: &UdpSocket, stop: &AtomicBool) {
    let me = socket.local_addr().expect("a bound socket has an address");
    let mut buffer = [0; 8192];
    while !stop.load(Ordering::Relaxed) {
        let Ok((size, from)) = socket.recv_from(&mut buffer) else {
            continue;
        };
        let Some(request) = Message::parse(&buffer[..size]) else {
            continue;
        };
        let contact = format!("Contact: <sip:b@{me}>\r\n");
        if request.status().is_some() {
            continue;
        }
        let answer = match request.method() {
            "INVITE" => request.answer("200 OK", Some("b"), &contact, Some(SDP)),
            "ACK" => continue,
            _ => request.answer("200 OK", None, "", None),
        };
        let _ = socket.send_to(answer.as_bytes(), from);
    }
}

/// Sends a request until a final response comes.
fn ask(socket: &UdpSocket, to: SocketAddr, request: &str, key: &str, method: &str) -> Result<Message, String> {
    let begun = Instant::now();
    let mut sent: Option<Instant> = None;
    let mut buffer = [0; 8192];
    while begun.elapsed() < PATIENCE {
        if sent.is_none_or(|at| at.elapsed() >= REPEAT) {
            sent = Some(Instant::now());
            let _ = socket.send_to(request.as_bytes(), to);
        }
        let Ok((size, from)) = socket.recv_from(&mut buffer) else {
            continue;
        };
        let Some(message) = Message::parse(&buffer[..size]) else {
            continue;
        };
        match message.status() {
            Some(100..200) => {}
            Some(_) if message.get("Call-ID") == key && message.method() == method => {
                return Ok(message);
            }
            Some(_) => {}
            // The platform asks whether the trunk lives.
            None => {
                let _ = socket.send_to(message.answer("200 OK", None, "", None).as_bytes(), from);
            }
        }
    }
    Err(format!("no answer to {method}"))
}

fn call(socket: &UdpSocket, platform: SocketAddr, n: u32) -> Result<Duration, String> {
    let me = socket.local_addr().expect("a bound socket has an address");
    let key = format!("honest-{n}@{me}");
    let from = format!("<sip:13800000001@{me}>;tag=f{n}");
    let head = |method: &str, uri: &str, to: &str, seq: u32| {
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bK{method}{n};rport\r\nMax-Forwards: 70\r\n\
             From: {from}\r\nTo: {to}\r\nCall-ID: {key}\r\nCSeq: {seq} {method}\r\nContact: <sip:a@{me}>\r\n"
        )
    };
    let target = format!("sip:{ENTRY}@{platform}");
    let invite = head("INVITE", &target, &format!("<{target}>"), 1);
    let invite = format!(
        "{invite}Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{SDP}",
        SDP.len()
    );
    let begun = Instant::now();
    let answer = ask(socket, platform, &invite, &key, "INVITE")?;
    let setup = begun.elapsed();
    if answer.status() != Some(200) {
        return Err(format!("INVITE was answered {:?}", answer.status()));
    }
    let to = answer.get("To").to_owned();
    let target = uri_of(answer.get("Contact")).to_owned();
    let empty = "Content-Length: 0\r\n\r\n";
    let _ = socket.send_to(format!("{}{empty}", head("ACK", &target, &to, 1)).as_bytes(), platform);
    let bye = format!("{}{empty}", head("BYE", &target, &to, 2));
    match ask(socket, platform, &bye, &key, "BYE")?.status() {
        Some(200) => Ok(setup),
        other => Err(format!("BYE was answered {other:?}")),
    }
}
