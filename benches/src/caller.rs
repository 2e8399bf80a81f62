//! The calling side over connections: an endpoint of the `sip` crate. It is no part of what is measured.

use bytes::Bytes;
use serde_json::json;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};
use strowger_sip::core::{
    AckMode, Command, DialogHandle, Interface, Invite, Party, SipEvent, StackConfig, Target, Transport,
};
use strowger_sip::{
    Bind, ClientCertificates, Endpoint, EndpointConfig, EndpointHandle, Placement, TlsSettings, Verify,
};

use crate::tally::{Tally, count};
use crate::uas::SDP;

/// Patience for the last calls.
const SETTLING: Duration = Duration::from_secs(20);

fn invite(n: u64, to: SocketAddr, transport: Transport) -> Command {
    let name = format!("{:x}-{n:x}", std::process::id());
    Command::Invite(Box::new(Invite {
        handle: DialogHandle(n),
        call_id: format!("{name}@caller"),
        local_tag: name.clone(),
        branch_stem: name,
        request_uri: format!("sip:1000@{to}"),
        to: Party::new(format!("sip:1000@{to}")),
        from: Party::new("sip:caller@127.0.0.1"),
        headers: Vec::new(),
        destination: Target {
            transport,
            addr: to,
            flow: None,
        },
        local: None,
        sdp: Some(Bytes::from_static(SDP.as_bytes())),
        credentials: None,
        ack: AckMode::Automatic,
        route: Vec::new(),
        contact_user: None,
        reliable: Default::default(),
    }))
}

#[derive(Default)]
struct Shared {
    endpoint: OnceLock<EndpointHandle>,
    tally: Tally,
    begun: Mutex<HashMap<u64, Instant>>,
}

fn happened(shared: &Shared, handle: DialogHandle, event: &SipEvent) {
    match event {
        SipEvent::Answered { .. } => {
            let begun = shared.begun.lock().expect("no thread panicked").remove(&handle.0);
            if let Some(begun) = begun {
                shared.tally.setup.add(begun.elapsed());
            }
            if let Some(endpoint) = shared.endpoint.get() {
                let _ = endpoint.send(Command::Bye { handle, reason: None });
            }
        }
        SipEvent::Failed(_) | SipEvent::ByeReceived { .. } => count(&shared.tally.failed),
        SipEvent::Ended { .. } => count(&shared.tally.completed),
        _ => {}
    }
}

/// `caller ADDRESS TRANSPORT RATE SECONDS CERTIFICATE KEY`; prints its tally.
pub fn main(words: &[String]) {
    let word = |n: usize| words.get(n).map_or("", String::as_str);
    let to: SocketAddr = word(0).parse().expect("an address");
    let transport = match word(1) {
        "tcp" => Transport::Tcp,
        "tls" => Transport::Tls,
        "ws" => Transport::Ws,
        "wss" => Transport::Wss,
        _ => Transport::Udp,
    };
    let (rate, seconds): (f64, f64) = (word(2).parse().expect("a number"), word(3).parse().expect("a number"));
    let local = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut bind = Bind::new(transport, local);
    bind.tls = Some(Arc::new(TlsSettings {
        certificate: word(4).into(),
        key: word(5).into(),
        clients: ClientCertificates::Ignored,
        verify: Verify::Authorities(word(4).into()),
    }));
    let mut config = EndpointConfig::udp(local, [1; 16]);
    config.stack = StackConfig::new([1; 16], Interface::new(transport, local));
    config.binds = vec![bind];
    config.placement = Placement::Thread;
    config.commands = 65_536;
    config.limits.write_queue = 64 << 20;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let _inside = runtime.enter();
    let shared: Arc<Shared> = Arc::default();
    let own = Arc::clone(&shared);
    let sink = move |handle: DialogHandle, event: SipEvent| happened(&own, handle, &event);
    let endpoint = Endpoint::start(config, Arc::new(sink)).expect("an endpoint on loopback");
    let _ = shared.endpoint.set(endpoint.clone());
    let begin = Instant::now();
    let total = (rate * seconds) as u64;
    let cpu = crate::process::cpu(std::process::id());
    let mut n = 0;
    let settled =
        |n: u64| shared.tally.completed.load(Ordering::Relaxed) + shared.tally.failed.load(Ordering::Relaxed) >= n;
    while n < total || !settled(total) {
        let due = begin + Duration::from_secs_f64(n as f64 / rate);
        let now = Instant::now();
        if n < total && due <= now {
            n += 1;
            shared.begun.lock().expect("no thread panicked").insert(n, now);
            shared.tally.lateness.add(now - due);
            count(&shared.tally.started);
            if endpoint.send(invite(n, to, transport)).is_err() {
                count(&shared.tally.failed);
            }
        } else if n == total && now > due + SETTLING {
            break;
        } else {
            strowger_tests::wait::pause(crate::web::NAP);
        }
    }
    let busy = (crate::process::cpu(std::process::id()) - cpu).as_secs_f64() / begin.elapsed().as_secs_f64();
    let mut tally = shared.tally.take();
    tally["busy"] = json!(busy);
    println!("{tally}");
}
