//! Measures what a call costs: one endpoint calls another over UDP on loopback, every call is answered at once and hung up.
//!
//! `cargo run --release -p strowger-sip --example callrate -- [calls] [calls/s] [thread|task] [callee address|-] \
//! [udp|tcp|tls|ws|wss]`
//!
//! With an address, something else answers there, for example `sipp -sn uas`. All calls share one connection.
//!
//! Prints CPU µs per call for both sides together (the callee alone costs about half), INVITE → 200 at p50 and p99, and
//! what failed.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};
use strowger_sip::core::*;
use strowger_sip::{ClientCertificates, Endpoint, EndpointConfig, EndpointHandle, Placement, TlsSettings, Verify};

const SDP: &[u8] = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8 0 101\r\n\
a=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n";

/// CPU time of the process in µs, user and system.
fn cpu() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/schedstat").ok();
    // schedstat of the main thread alone would not do: sum over all threads.
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let sum: u64 = tasks
        .filter_map(|task| std::fs::read_to_string(task.path().join("schedstat")).ok())
        .filter_map(|text| text.split_ascii_whitespace().next()?.parse::<u64>().ok())
        .sum();
    if stat.is_some() { sum / 1_000 } else { 0 }
}

fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap_or_default();
    line.split_ascii_whitespace()
        .nth(1)
        .and_then(|v| v.parse().ok())
        .unwrap_or(0)
}

/// A certificate that signs itself, in a folder that is left behind for the system to clear.
fn certificate() -> Arc<TlsSettings> {
    static MADE: OnceLock<Arc<TlsSettings>> = OnceLock::new();
    let make = || {
        let folder = tempfile::tempdir().expect("a folder").keep();
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
        let (certificate, key) = (folder.join("own.pem"), folder.join("own.key"));
        std::fs::write(&certificate, made.cert.pem()).expect("a file");
        std::fs::write(&key, made.signing_key.serialize_pem()).expect("a file");
        Arc::new(TlsSettings {
            certificate: certificate.clone(),
            key,
            clients: ClientCertificates::Ignored,
            verify: Verify::Authorities(certificate),
        })
    };
    MADE.get_or_init(make).clone()
}

fn invite(n: u64, to: SocketAddr, transport: Transport) -> Command {
    Command::Invite(Box::new(Invite {
        handle: DialogHandle(n),
        call_id: format!("{n:032x}@callrate"),
        local_tag: format!("{n:016x}"),
        branch_stem: format!("{n:016x}"),
        request_uri: format!("sip:+8613800138000@{to}"),
        to: Party::new(format!("sip:+8613800138000@{to}")),
        from: Party::new("sip:+861087654321@127.0.0.1"),
        headers: vec![("P-Asserted-Identity".into(), "<sip:+861087654321@127.0.0.1>".into())],
        destination: Target {
            transport,
            addr: to,
            flow: None,
        },
        local: None,
        sdp: Some(bytes::Bytes::from_static(SDP)),
        credentials: None,
        ack: AckMode::Automatic,
        route: Vec::new(),
        contact_user: None,
        reliable: Default::default(),
    }))
}

#[derive(Default)]
struct Tally {
    done: AtomicU64,
    failed: AtomicU64,
    started: Mutex<std::collections::HashMap<u64, Instant>>,
    delays: Mutex<Vec<u64>>,
}

fn start(
    (placement, transport): (Placement, Transport),
    seed: u8,
    sink: impl Fn(DialogHandle, SipEvent) + Send + Sync + 'static,
) -> EndpointHandle {
    let mut config = EndpointConfig::udp(SocketAddr::from(([127, 0, 0, 1], 0)), [seed; 16]);
    config.placement = placement;
    config.binds[0].transport = transport;
    if matches!(transport, Transport::Tls | Transport::Wss) {
        config.binds[0].tls = Some(certificate());
    }
    // Bursts of thousands of calls share one connection here.
    config.limits.write_queue = 64 << 20;
    config.commands = 65_536;
    Endpoint::start(config, Arc::new(sink)).expect("an endpoint on loopback")
}

fn callee(how: (Placement, Transport)) -> EndpointHandle {
    let handle: Arc<OnceLock<EndpointHandle>> = Arc::default();
    let own = handle.clone();
    let endpoint = start(how, 2, move |dialog, event| {
        if let (SipEvent::Incoming(_), Some(endpoint)) = (event, own.get()) {
            for (status, sdp) in [(180, None), (200, Some(bytes::Bytes::from_static(SDP)))] {
                let respond = Command::Respond {
                    handle: dialog,
                    status,
                    reason_phrase: None,
                    headers: Vec::new(),
                    sdp,
                    reliable: false,
                };
                let _ = endpoint.send(respond);
            }
        }
    });
    let _ = handle.set(endpoint.clone());
    endpoint
}

fn caller(how: (Placement, Transport), tally: Arc<Tally>) -> EndpointHandle {
    let handle: Arc<OnceLock<EndpointHandle>> = Arc::default();
    let own = handle.clone();
    let endpoint = start(how, 1, move |dialog, event| match event {
        SipEvent::Answered { .. } => {
            let begun = tally.started.lock().expect("no panic").remove(&dialog.0);
            if let Some(begun) = begun {
                tally
                    .delays
                    .lock()
                    .expect("no panic")
                    .push(begun.elapsed().as_micros() as u64);
            }
            if let Some(endpoint) = own.get() {
                let _ = endpoint.send(Command::Bye {
                    handle: dialog,
                    reason: None,
                });
            }
        }
        event @ (SipEvent::Failed(_) | SipEvent::ByeReceived { .. }) => {
            eprintln!("call {}: {event:?}", dialog.0);
            tally.failed.fetch_add(1, Ordering::Relaxed);
        }
        SipEvent::Ended { .. } => {
            tally.done.fetch_add(1, Ordering::Relaxed);
        }
        _ => {}
    });
    let _ = handle.set(endpoint.clone());
    endpoint
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut args = std::env::args().skip(1);
    let calls: u64 = args.next().and_then(|v| v.parse().ok()).unwrap_or(20_000);
    let rate: u64 = args.next().and_then(|v| v.parse().ok()).unwrap_or(2_000);
    let placement = if args.next().as_deref() == Some("task") {
        Placement::Task
    } else {
        Placement::Thread
    };
    let external: Option<SocketAddr> = args.next().and_then(|v| v.parse().ok());
    let transport = match args.next().as_deref() {
        Some("tcp") => Transport::Tcp,
        Some("tls") => Transport::Tls,
        Some("ws") => Transport::Ws,
        Some("wss") => Transport::Wss,
        _ => Transport::Udp,
    };
    let tally = Arc::new(Tally::default());
    let b = callee((placement, transport));
    let a = caller((placement, transport), tally.clone());
    let to = external.unwrap_or(b.local_addrs()[0]);
    let (cpu_before, begun, memory) = (cpu(), Instant::now(), resident_kb());
    let mut tick = tokio::time::interval(Duration::from_millis(5));
    let (mut n, mut refused) = (0, 0);
    while n < calls {
        tick.tick().await;
        let due = (begun.elapsed().as_micros() as u64 * rate / 1_000_000).min(calls);
        while n < due {
            n += 1;
            tally.started.lock().expect("no panic").insert(n, Instant::now());
            if a.send(invite(n, to, transport)).is_err() {
                refused += 1;
            }
        }
    }
    let sent = begun.elapsed();
    while tally.done.load(Ordering::Relaxed) + tally.failed.load(Ordering::Relaxed) + refused < calls
        && begun.elapsed() < sent + Duration::from_secs(40)
    {
        tick.tick().await;
    }
    let spent = cpu() - cpu_before;
    let mut delays = std::mem::take(&mut *tally.delays.lock().expect("no panic"));
    delays.sort_unstable();
    let at = |p: usize| {
        delays
            .get((delays.len().saturating_sub(1)) * p / 100)
            .copied()
            .unwrap_or(0)
    };
    let done = tally.done.load(Ordering::Relaxed);
    println!(
        "{placement:?}, {transport:?}: {done} of {calls} calls at {:.0}/s, {refused} refused, {} failed",
        done as f64 / sent.as_secs_f64(),
        tally.failed.load(Ordering::Relaxed)
    );
    println!(
        "CPU {:.1} us a call (both sides, {} messages)",
        spent as f64 / done.max(1) as f64,
        a.stats().sent + b.stats().sent
    );
    println!("INVITE -> 200 p50 {} us, p99 {} us", at(50), at(99));
    println!(
        "retransmitted {} + {}, memory +{} kB for {} + {} transactions",
        a.stats().stack.retransmitted,
        b.stats().stack.retransmitted,
        resident_kb() - memory.min(resident_kb()),
        a.stats().stack.transactions,
        b.stats().stack.transactions
    );
}
