//! The calling side of a trunk. It is an open loop, as `web` is: a request leaves when its time has come, whatever became of
//! those before it.

use crate::tally::count;
use crate::uas::{SDP, Shared, header, socket};
use crate::web::NAP;
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Patience for an answer to an INVITE or a BYE.
const PATIENCE: Duration = Duration::from_secs(10);
const REPEAT: Duration = Duration::from_millis(1000);

struct Call {
    begun: Instant,
    request: String,
    answered: bool,
    tries: u32,
}

/// What a timer means.
#[derive(Clone, Copy, PartialEq)]
enum Due {
    HangUp,
    Again,
}

/// Calls a number at the platform `rate` times a second for a time, talks for the shared time, hangs up.
pub fn trunk(shared: &Arc<Shared>, platform: SocketAddr, number: &str, rate: f64, length: Duration) {
    let socket = socket();
    socket.set_nonblocking(true).expect("a socket can be non-blocking");
    let me = socket.local_addr().expect("a bound socket has an address");
    let begin = Instant::now();
    let total = (length.as_secs_f64() * rate) as u64;
    let run = begin.elapsed().as_nanos() as u64 ^ u64::from(std::process::id()) << 20 ^ u64::from(me.port());
    let hold = Duration::from_millis(shared.hold_ms.load(Ordering::Relaxed));
    let mut calls: HashMap<u64, Call> = HashMap::new();
    let mut hang_ups: VecDeque<(Instant, u64)> = VecDeque::new();
    let mut repeats: VecDeque<(Instant, u64)> = VecDeque::new();
    let (mut n, mut buffer) = (0, [0; 4096]);
    let send = |text: &str| {
        let _ = socket.send_to(text.as_bytes(), platform);
    };
    while n < total || !calls.is_empty() {
        let due = begin + Duration::from_secs_f64(n as f64 / rate);
        let now = Instant::now();
        if n == total && now > due + hold + PATIENCE {
            // Neither answered nor refused.
            shared.tally.failed.fetch_add(calls.len() as u64, Ordering::Relaxed);
            return;
        }
        if n < total && due <= now {
            let request = format!(
                "INVITE sip:{number}@{platform} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bKi{run:x}-{n}\r\nFrom: <sip:13800000001@{me}>;tag=f{n}\r\n\
                 To: <sip:{number}@{platform}>\r\nCall-ID: {n}-{run:x}@{me}\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContact: <sip:load@{me}>\r\n\
                 Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{SDP}",
                SDP.len()
            );
            count(&shared.tally.started);
            shared.tally.lateness.add(now - due);
            send(&request);
            let call = Call {
                begun: now,
                request,
                answered: false,
                tries: 1,
            };
            calls.insert(n, call);
            repeats.push_back((now + REPEAT, n));
            n += 1;
            continue;
        }
        let timers = [(&mut hang_ups, Due::HangUp), (&mut repeats, Due::Again)];
        let mut again = Vec::new();
        for (queue, kind) in timers {
            while queue.front().is_some_and(|(due, _)| *due <= now) {
                let Some((_, id)) = queue.pop_front() else { break };
                let Some(call) = calls.get_mut(&id) else { continue };
                // Something came back to it.
                if kind == Due::Again && call.tries == 0 {
                    continue;
                }
                if call.tries > (PATIENCE.as_secs() as u32) {
                    calls.remove(&id);
                    count(&shared.tally.failed);
                    continue;
                }
                if kind == Due::Again {
                    count(&shared.tally.repeated);
                }
                if kind == Due::HangUp {
                    call.tries = 0;
                }
                call.tries += 1;
                send(&call.request);
                again.push((now + REPEAT, id));
            }
        }
        repeats.extend(again);
        let next = if n < total { due } else { now + Duration::from_millis(2) };
        let left = next
            .saturating_duration_since(Instant::now())
            .min(Duration::from_millis(2));
        let Ok((size, _)) = socket.recv_from(&mut buffer) else {
            // As in `web`: a receiver that sleeps in its socket is woken at the server's expense.
            strowger_tests::wait::pause(left.min(NAP));
            continue;
        };
        let Ok(text) = std::str::from_utf8(&buffer[..size]) else {
            continue;
        };
        let id = header(text, "Call-ID").split('-').next().and_then(|t| t.parse().ok());
        let Some((id, call)) = id.and_then(|id| Some((id, calls.get_mut(&id)?))) else {
            continue;
        };
        let Some(status) = text
            .strip_prefix("SIP/2.0 ")
            .and_then(|t| t.get(..3)?.parse::<u16>().ok())
        else {
            continue;
        };
        let invite = header(text, "CSeq").ends_with("INVITE");
        match status {
            100..200 => call.tries = 0,
            200..300 if invite => {
                let contact = header(text, "Contact").trim_start_matches('<');
                let target = contact.split('>').next().unwrap_or_default();
                let inside = |method: &str, number: u32| {
                    format!(
                        "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bK{method}{run:x}-{id}\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\n\
                         CSeq: {number} {method}\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
                        header(text, "From"),
                        header(text, "To"),
                        header(text, "Call-ID")
                    )
                };
                send(&inside("ACK", 1));
                if !call.answered {
                    call.answered = true;
                    call.tries = 0;
                    call.request = inside("BYE", 2);
                    shared.tally.setup.add(call.begun.elapsed());
                    count(&shared.tally.accepted);
                    hang_ups.push_back((Instant::now() + hold, id));
                }
            }
            200..300 => {
                calls.remove(&id);
                count(&shared.tally.completed);
            }
            _ => {
                calls.remove(&id);
                count(&shared.tally.failed);
            }
        }
    }
}
