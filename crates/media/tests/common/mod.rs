//! A running engine with its events, a folder for recordings, and shorthands for layouts.
#![allow(dead_code)] // each test program uses its part

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use strowger_media::testkit::{EVENTS_TYPE, Events, Peer};
use strowger_media::*;

pub const CALL: CallKey = CallKey(7);

pub struct Bench {
    pub engine: Option<Engine>,
    pub handle: Handle,
    pub events: Arc<Events>,
    pub dir: tempfile::TempDir,
    /// Keeps its ports from other tests; let go of after the engine.
    _lock: UdpSocket,
}

impl Bench {
    pub fn start() -> Bench {
        Bench::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut Config)) -> Bench {
        let (ports, lock) = strowger_media::testkit::port_block();
        let dir = tempfile::tempdir().unwrap();
        let events = Events::shared();
        let mut config = Config {
            shards: 1,
            pin: false,
            ports,
            ready_pairs: 4,
            recording_dir: dir.path().to_owned(),
            ..Config::default()
        };
        change(&mut config);
        let engine = Engine::start(config, events.clone()).unwrap();
        Bench {
            handle: engine.handle(),
            engine: Some(engine),
            events,
            dir,
            _lock: lock,
        }
    }

    pub fn command(&self, command: Command) {
        self.handle.command(CALL, command).unwrap();
    }

    /// Open a leg and configure it for a peer; returns its address.
    pub fn leg(&self, leg: u16, peer: &Peer) -> SocketAddr {
        let address = self.handle.open_leg(CALL, leg).unwrap();
        self.command(Command::Configure {
            leg,
            config: config(peer),
        });
        address
    }

    /// Open a leg and leave it without configuration.
    pub fn command_open(&self, leg: u16) {
        self.handle.open_leg(CALL, leg).unwrap();
    }

    pub fn layout(&self, legs: Vec<LegLayout>) {
        self.command(Command::Layout(Layout { legs, announce: None }));
    }

    /// Both legs hear each other.
    pub fn talk(&self) {
        self.layout(vec![hears(0, &[1]), hears(1, &[0])]);
    }
}

pub fn config(peer: &Peer) -> LegConfig {
    LegConfig {
        security: Default::default(),
        remote: peer.address(),
        codec: peer.codec(),
        dtmf: Some((EVENTS_TYPE, EVENTS_TYPE)),
        dtmf_clock: 0,
        ptime_ms: 20,
        send: true,
        recv: true,
    }
}

pub fn hears(leg: u16, from: &[u16]) -> LegLayout {
    LegLayout {
        leg,
        hears: from.iter().map(|&f| (f, Gain::UNITY)).collect(),
        play: None,
    }
}

pub fn plays(leg: u16, play: Play) -> LegLayout {
    LegLayout {
        leg,
        hears: vec![],
        play: Some(play),
    }
}

/// A tone as a decoded sound of `millis`.
pub fn sound(id: u32, hz: u16, millis: u32) -> Play {
    let mut samples = vec![0; millis as usize * 8];
    strowger_media_core::tone::ToneGenerator::new(Cadence::sine(hz, -10.0)).fill(&mut samples);
    let sound = SoundRef::Sound(Arc::new(Sound::from_samples(samples)));
    Play {
        id,
        sound,
        repeat: false,
        recorded: false,
        lead_in_ms: 0,
    }
}

pub fn tone(id: u32, cadence: Cadence) -> Play {
    Play {
        id,
        sound: SoundRef::Tone(cadence),
        repeat: true,
        recorded: false,
        lead_in_ms: 0,
    }
}
