//! A user agent that answers everything: rings, answers, accepts re-INVITEs, and hangs up after the given time. A
//! counterpart for SIPp and for trying things out.
//!
//! `cargo run --release -p strowger-sip --example answerer -- 127.0.0.1:5070 [hang up after ms, 0 never] [status, 200]`

use std::sync::{Arc, OnceLock};
use std::time::Duration;
use strowger_sip::core::*;
use strowger_sip::{Endpoint, EndpointConfig, EndpointHandle};

fn answer(offer: Option<&bytes::Bytes>) -> Option<bytes::Bytes> {
    let local = sdp::LocalMedia::g711("127.0.0.1:40000".parse().ok()?, 1);
    let session = match offer {
        Some(offer) => sdp::answer(&sdp::parse(offer).ok()?, &local).ok()?.0,
        None => sdp::offer(&local),
    };
    Some(session.to_string().into())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let addr = args.next().unwrap_or_else(|| "127.0.0.1:5070".into()).parse()?;
    let hang_up: u64 = args.next().and_then(|v| v.parse().ok()).unwrap_or(0);
    let status: u16 = args.next().and_then(|v| v.parse().ok()).unwrap_or(200);
    let endpoint: Arc<OnceLock<EndpointHandle>> = Arc::default();
    let (own, runtime) = (endpoint.clone(), tokio::runtime::Handle::current());
    let sink = move |handle, event: SipEvent| {
        let Some(endpoint) = own.get() else { return };
        let respond = |status, sdp| {
            let command = Command::Respond {
                handle,
                status,
                reason_phrase: None,
                headers: Vec::new(),
                sdp,
                reliable: false,
            };
            let _ = endpoint.send(command);
        };
        match event {
            SipEvent::Incoming(incoming) => {
                respond(180, None);
                match answer(incoming.sdp.as_ref()) {
                    Some(sdp) if status < 300 => respond(status, Some(sdp)),
                    Some(_) => respond(status, None),
                    None => respond(488, None),
                }
            }
            SipEvent::ReInviteReceived { sdp } => match answer(sdp.as_ref()) {
                Some(sdp) => respond(200, Some(sdp)),
                None => respond(488, None),
            },
            SipEvent::AckReceived { .. } if hang_up > 0 => {
                let endpoint = endpoint.clone();
                runtime.spawn(async move {
                    tokio::time::sleep(Duration::from_millis(hang_up)).await;
                    let _ = endpoint.submit(Command::Bye { handle, reason: None }).await;
                });
            }
            _ => {}
        }
    };
    let config = EndpointConfig::udp(addr, std::array::from_fn(|i| (std::process::id() >> (i % 4 * 8)) as u8));
    let _ = endpoint.set(Endpoint::start(config, Arc::new(sink))?);
    loop {
        tokio::time::sleep(Duration::from_secs(5)).await;
        if let Some(endpoint) = endpoint.get() {
            println!("{:?}", endpoint.stats());
        }
    }
}
