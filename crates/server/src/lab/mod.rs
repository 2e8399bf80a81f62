//! `strowger lab`: a simulated carrier on loopback, a trunk like any other.
//!
//! It has SIP and media engines of its own and registers nowhere. It shares the platform's SIP stack, so it shows that
//! the platform works as a whole; it proves no interoperability, which the tests with other stacks do.

mod call;
mod echo;
pub mod numbers;

use crate::cli::{self, exit};
use crate::config::Language;
use crate::sounds::Sound as Shipped;
use call::Call;
use std::collections::HashMap;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use strowger_media::{Engine, Sound};
use strowger_sip::{Endpoint, EndpointConfig, EndpointHandle};
use strowger_sip_core::{DialogHandle, SipEvent};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

/// Events of one call that may wait for its task. A caller that sends more than this loses the excess.
const EVENTS: usize = 32;
/// Calls at once; the stack refuses more with 503.
const CALLS: usize = 5_000;

/// Settings of a lab.
#[derive(Clone, Debug)]
pub struct LabConfig {
    /// Address of the signalling. Port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Ports of the media.
    pub ports: RangeInclusive<u16>,
    /// Language of what is spoken.
    pub language: Language,
}

/// Why the lab did not start.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// It is for trials on one machine.
    #[error("the lab answers every call, so it listens on loopback only; {0} is another address")]
    NotLoopback(IpAddr),
    /// The SIP address.
    #[error("{0}. Another lab may be running; choose another address with --listen")]
    Sip(#[from] strowger_sip::StartError),
    /// The media engine.
    #[error("media: {0}")]
    Media(#[from] strowger_media::MediaError),
    /// A shipped sound.
    #[error("the sound {0} cannot be read")]
    Sound(&'static str),
    /// Anything of the system.
    #[error("the system refuses what the lab needs: {0}")]
    System(#[from] std::io::Error),
}

/// The calls that run, by dialog.
type Board = Mutex<HashMap<DialogHandle, mpsc::Sender<SipEvent>>>;

trait BoardOps {
    fn put(&self, handle: DialogHandle, sender: mpsc::Sender<SipEvent>);
    fn remove(&self, handle: DialogHandle);
    fn find(&self, handle: DialogHandle) -> Option<mpsc::Sender<SipEvent>>;
}

impl BoardOps for Board {
    fn put(&self, handle: DialogHandle, sender: mpsc::Sender<SipEvent>) {
        self.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(handle, sender);
    }

    fn remove(&self, handle: DialogHandle) {
        self.lock().unwrap_or_else(PoisonError::into_inner).remove(&handle);
    }

    fn find(&self, handle: DialogHandle) -> Option<mpsc::Sender<SipEvent>> {
        let board = self.lock().unwrap_or_else(PoisonError::into_inner);
        board.get(&handle).cloned()
    }
}

/// What the calls share.
struct Lab {
    endpoint: OnceLock<EndpointHandle>,
    media: strowger_media::Handle,
    sounds: HashMap<Shipped, Arc<Sound>>,
    ip: IpAddr,
    board: Board,
}

/// A running lab.
pub struct Running {
    /// Address of the signalling.
    pub sip: SocketAddr,
    /// An address that takes everything and never answers: a carrier that is dead.
    pub dead: SocketAddr,
    lab: Arc<Lab>,
    engine: Engine,
    _dead: UdpSocket,
}

/// Starts a lab. To be called inside a tokio runtime.
///
/// # Errors
/// [`LabError`]; nothing is left running.
pub async fn start(config: LabConfig) -> Result<Running, LabError> {
    let ip = config.listen.ip();
    if !ip.is_loopback() {
        return Err(LabError::NotLoopback(ip));
    }
    // Bound and never read: the kernel takes what comes until its buffer is full, then drops it. Nobody answers, and no
    // port-unreachable tells the sender.
    let dead_port = config
        .listen
        .port()
        .checked_add(1)
        .filter(|_| config.listen.port() != 0)
        .unwrap_or(0);
    let dead = UdpSocket::bind((ip, dead_port)).await?;
    let mut sounds = HashMap::new();
    for sound in Shipped::ALL {
        let wav = sound.shipped(config.language);
        let read = Sound::from_wav(wav).map_err(|_| LabError::Sound(sound.file(config.language)))?;
        sounds.insert(sound, Arc::new(read));
    }
    let media = strowger_media::Config {
        shards: 1,
        // The lab must not take a processor away from what it is there to try.
        pin: false,
        realtime: false,
        bind: ip,
        advertised: ip,
        ports: config.ports,
        ready_pairs: 8,
        recording_dir: std::env::temp_dir().join(format!("strowger-lab-{}", std::process::id())),
        // The carrier that it plays has no browsers.
        webrtc: false,
        ..strowger_media::Config::default()
    };
    let recordings = media.recording_dir.clone();
    let engine = Engine::start(media, Arc::new(Deaf))?;
    // It never records; the engine wants the folder all the same.
    let _ = std::fs::remove_dir(recordings);
    let lab = Arc::new(Lab {
        endpoint: OnceLock::new(),
        media: engine.handle(),
        sounds,
        ip,
        board: Board::default(),
    });
    let mut sip = EndpointConfig::udp(config.listen, strowger_runtime::mint::random().to_le_bytes());
    sip.stack.product = concat!("strowger-lab/", env!("CARGO_PKG_VERSION")).into();
    sip.stack.contact_user = Some("lab".into());
    sip.stack.max_dialogs = CALLS;
    let sink = {
        let (lab, runtime) = (lab.clone(), tokio::runtime::Handle::current());
        move |handle, event| dispatch(&lab, &runtime, handle, event)
    };
    let endpoint = Endpoint::start(sip, Arc::new(sink))?;
    let local = endpoint.local_addrs().first().copied().unwrap_or(config.listen);
    let _ = lab.endpoint.set(endpoint);
    Ok(Running {
        sip: local,
        dead: dead.local_addr()?,
        lab,
        engine,
        _dead: dead,
    })
}

/// The lab wants to know nothing of its media.
struct Deaf;

impl strowger_media::EventSink for Deaf {
    fn event(&self, _: strowger_media::CallKey, _: strowger_media::Event) {}
}

fn dispatch(lab: &Arc<Lab>, runtime: &tokio::runtime::Handle, handle: DialogHandle, event: SipEvent) {
    match event {
        SipEvent::Incoming(incoming) => {
            let (sender, receiver) = mpsc::channel(EVENTS);
            lab.board.put(handle, sender);
            let steps = numbers::script(called(&incoming.request_uri));
            runtime.spawn(Call::new(lab.clone(), handle, incoming.sdp, steps).run(receiver));
        }
        event => {
            let terminal = event.is_terminal();
            if let Some(sender) = lab.board.find(handle) {
                let _ = sender.try_send(event);
            }
            // The task ends when its channel does, also if the channel was full.
            if terminal {
                lab.board.remove(handle);
            }
        }
    }
}

/// The user part of a SIP URI.
fn called(uri: &str) -> &str {
    let rest = uri.split_once(':').map_or(uri, |(_, rest)| rest);
    rest.split(['@', ';', '?']).next().unwrap_or("")
}

impl Running {
    /// Calls that are up.
    pub fn calls(&self) -> usize {
        self.lab.board.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Ends the lab; calls that are up get a moment to be ended by the platform.
    pub async fn stop(self) {
        if let Some(endpoint) = self.lab.endpoint.get() {
            endpoint.shutdown(Duration::from_secs(1)).await;
        }
        self.engine.shutdown();
    }
}

/// Runs the lab until a signal stops it.
pub fn main(options: &cli::Lab) -> ExitCode {
    if options.list {
        print!("{}", numbers::list());
        return exit::OK.into();
    }
    let fail = |why: &dyn std::fmt::Display, code: u8| -> ExitCode {
        eprintln!("error: {why}");
        code.into()
    };
    let Some(ports) = crate::config::parse_ports(&options.ports) else {
        return fail(
            &"--ports is an even first and an odd last port, such as 30000-30999",
            exit::USAGE,
        );
    };
    crate::log::start(&crate::config::Config::default().log);
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => return fail(&e, exit::FAILED),
    };
    let config = LabConfig {
        listen: options.listen,
        ports,
        language: options.language.into(),
    };
    runtime.block_on(async move {
        let running = match start(config).await {
            Ok(running) => running,
            Err(e) => return fail(&e, exit::FAILED),
        };
        let text = format!(
            "strowger lab {} is ready\n  SIP      udp {}\n  dead     udp {} (takes everything, never answers)\n{}",
            env!("CARGO_PKG_VERSION"),
            running.sip,
            running.dead,
            numbers::list()
        );
        let _ = std::io::stdout().write_all(text.as_bytes());
        match crate::serve::signals() {
            Ok((mut terminate, mut interrupt)) => {
                crate::serve::first_signal(&mut terminate, &mut interrupt).await;
                running.stop().await;
                exit::OK.into()
            }
            Err(e) => fail(&e, exit::FAILED),
        }
    })
}
