//! An RTP peer and an event collector for tests: the far side of a leg that says a tone, presses digits and measures what
//! it hears. Every wait ends as soon as its condition holds, and panics with what was seen when it does not.

pub mod web;

use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use strowger_media_core::codec::{Encoder, EncoderSettings, Kind, MAX_PAYLOAD};
use strowger_media_core::dtmf::{DtmfSender, Sending};
use strowger_media_core::g711::Law;
use strowger_media_core::probe;
use strowger_media_core::rtp::{HEADER_LEN, Header, Packet};
use strowger_media_core::tone::{Cadence, ToneGenerator};

use crate::api::{CallKey, Codec, CodecKind, Event, EventSink};

/// How long a wait lasts before it panics: far more than anything needs, so that a busy machine does not fail a test.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Payload type of telephone events of a peer.
pub const EVENTS_TYPE: u8 = 101;

/// Packets over which levels are measured: 200 ms.
const PROBE_PACKETS: usize = 10;

/// A packet that a peer received.
#[derive(Clone, Debug)]
pub struct Received {
    /// When.
    pub at: Instant,
    /// From where.
    pub from: SocketAddr,
    /// Its header.
    pub header: Header,
    /// Its payload.
    pub payload: Vec<u8>,
    /// What it decodes to at 8 kHz; nothing for events.
    pub samples: Vec<i16>,
}

struct State {
    kind: Kind,
    encoder: Box<dyn Encoder>,
    ptime_ms: u16,
    remote: Option<SocketAddr>,
    tone: Option<ToneGenerator>,
    digits: DtmfSender,
    event_timestamp: u32,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
    /// Leave out every n-th packet (0 = none).
    drop_every: u16,
    received: Vec<Received>,
    stopped: bool,
}

struct Shared {
    state: Mutex<State>,
    arrived: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The far side of a leg.
pub struct Peer {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

fn payload_type(kind: Kind) -> u8 {
    match kind {
        Kind::Pcmu => 0,
        Kind::Pcma => 8,
        Kind::G722 => 9,
        Kind::G729 => 18,
        Kind::Opus => 111,
    }
}

fn kind_of(law: Law) -> Kind {
    if law == Law::A { Kind::Pcma } else { Kind::Pcmu }
}

impl Peer {
    /// A peer on loopback with packets of 20 ms that says nothing yet.
    ///
    /// # Panics
    /// When the system gives no socket or thread.
    pub fn start(law: Law) -> Peer {
        Peer::with_ptime(law, 20)
    }

    /// A peer that sends packets of `ptime_ms`.
    ///
    /// # Panics
    /// When the system gives no socket or thread.
    pub fn with_ptime(law: Law, ptime_ms: u16) -> Peer {
        Peer::with_codec(kind_of(law), ptime_ms)
    }

    /// A peer with another codec.
    ///
    /// # Panics
    /// When the system gives no socket, thread or coder.
    pub fn with_codec(kind: Kind, ptime_ms: u16) -> Peer {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket for a test peer");
        let address = socket.local_addr().expect("the address of a bound socket");
        let state = State {
            kind,
            encoder: kind.encoder(EncoderSettings::default()).expect("an encoder"),
            ptime_ms,
            remote: None,
            tone: None,
            digits: DtmfSender::new(kind.clock()),
            event_timestamp: 0,
            // Near the wrap, so that every test crosses it.
            sequence: 65_520,
            timestamp: u32::MAX - 1_000,
            ssrc: u32::from(address.port()) << 8,
            drop_every: 0,
            received: Vec::new(),
            stopped: false,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            arrived: Condvar::new(),
        });
        let thread = std::thread::Builder::new()
            .name("test-peer".into())
            .spawn({
                let shared = Arc::clone(&shared);
                move || live(&socket, &shared)
            })
            .expect("a thread for a test peer");
        Peer {
            address,
            shared,
            thread: Some(thread),
        }
    }

    /// Its RTP address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its G.711 law.
    ///
    /// # Panics
    /// When it has another codec.
    pub fn law(&self) -> Law {
        self.kind().law().expect("a peer with G.711")
    }

    /// Its codec.
    pub fn kind(&self) -> Kind {
        self.shared.lock().kind
    }

    /// Its codec as a leg is configured with it.
    pub fn codec(&self) -> Codec {
        let kind = self.kind();
        let payload_type = payload_type(kind);
        Codec {
            payload_type_send: payload_type,
            payload_type_recv: payload_type,
            kind: CodecKind::named(kind.name(), kind.clock(), if kind == Kind::Opus { 2 } else { 1 }),
        }
    }

    /// Say a tone of `hz` at -10 dBFS to `remote` from now on.
    pub fn say(&self, hz: u16, remote: SocketAddr) {
        let mut state = self.shared.lock();
        state.remote = Some(remote);
        state.tone = Some(ToneGenerator::new(Cadence::sine(hz, -10.0)));
    }

    /// Say a cadence of tones, once or for ever, and silence after it, from now on.
    pub fn say_cadence(&self, cadence: Cadence, remote: SocketAddr) {
        let mut state = self.shared.lock();
        state.remote = Some(remote);
        state.tone = Some(ToneGenerator::new(cadence));
    }

    /// Stop sending.
    pub fn hush(&self) {
        self.shared.lock().tone = None;
    }

    /// Press digits, instead of audio, one after another.
    pub fn press(&self, digits: &str, duration_ms: u16, remote: SocketAddr) {
        let mut state = self.shared.lock();
        state.remote = Some(remote);
        assert!(state.digits.push(digits, duration_ms), "too many digits");
    }

    /// Lose every n-th packet on the way (0 = none).
    pub fn lose_every(&self, n: u16) {
        self.shared.lock().drop_every = n;
    }

    /// Everything received since the start or the last [`Peer::forget`].
    pub fn received(&self) -> Vec<Received> {
        self.shared.lock().received.clone()
    }

    /// Forget what was received.
    pub fn forget(&self) {
        self.shared.lock().received.clear();
    }

    /// Wait until what was received fulfils a condition.
    ///
    /// # Panics
    /// After [`PATIENCE`].
    pub fn wait(&self, what: &str, condition: impl Fn(&[Received]) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.shared.lock();
        while !condition(&state.received) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "waited for: {what}; received {} packets",
                state.received.len()
            );
            state = match self.shared.arrived.wait_timeout(state, left) {
                Ok((guard, _)) => guard,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }

    /// Wait for `count` more packets.
    ///
    /// # Panics
    /// After [`PATIENCE`].
    pub fn wait_packets(&self, count: usize) {
        let present = self.shared.lock().received.len();
        self.wait("packets", |r| r.len() >= present + count);
    }

    /// Wait until `hz` is heard above -30 dBFS over the last 200 ms.
    ///
    /// # Panics
    /// After [`PATIENCE`].
    pub fn wait_hears(&self, hz: u16) {
        self.wait(&format!("hears {hz} Hz"), |r| last_level(r, hz) > -30.0);
    }

    /// Wait until all of `present` are heard and none of `absent` is (below -40 dBFS), in the same 200 ms.
    ///
    /// # Panics
    /// After [`PATIENCE`].
    pub fn wait_hears_only(&self, present: &[u16], absent: &[u16]) {
        self.wait(&format!("hears {present:?} and not {absent:?}"), |r| {
            r.len() >= PROBE_PACKETS
                && present.iter().all(|&hz| last_level(r, hz) > -30.0)
                && absent.iter().all(|&hz| last_level(r, hz) < -40.0)
        });
    }

    /// Level of `hz` in dBFS over all audio received since the last [`Peer::forget`].
    pub fn level(&self, hz: u16) -> f32 {
        let state = self.shared.lock();
        probe::level(&heard(&state.received), f32::from(hz))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.shared.lock().stopped = true;
        if let Some(thread) = self.thread.take() {
            // A peer that panicked has printed why.
            let _ = thread.join();
        }
    }
}

/// The audio of packets, decoded, in the order of arrival; events are left out.
pub fn audio(received: &[Received], law: Law) -> Vec<i16> {
    let of_law = payload_type(kind_of(law));
    let audio = received.iter().filter(|r| r.header.payload_type == of_law);
    audio.flat_map(|r| r.payload.iter().map(|&o| law.decode(o))).collect()
}

/// What packets decoded to, in the order of arrival.
fn heard(received: &[Received]) -> Vec<i16> {
    received.iter().flat_map(|r| r.samples.iter().copied()).collect()
}

fn last_level(received: &[Received], hz: u16) -> f32 {
    let from = received.len().saturating_sub(PROBE_PACKETS);
    probe::level(&heard(&received[from..]), f32::from(hz))
}

/// The peer's thread: receive until the next packet is due, then send it.
fn live(socket: &UdpSocket, shared: &Shared) {
    let mut next = Instant::now();
    let mut buffer = [0u8; 2048];
    let kind = shared.lock().kind;
    let mut decoder = kind.decoder().expect("a decoder");
    loop {
        let now = Instant::now();
        if now >= next {
            let mut state = shared.lock();
            if state.stopped {
                return;
            }
            next += Duration::from_millis(u64::from(state.ptime_ms));
            state.send(socket);
            continue;
        }
        socket.set_read_timeout(Some(next - now)).expect("a timeout above zero");
        let Ok((length, from)) = socket.recv_from(&mut buffer) else {
            continue;
        };
        let Ok(packet) = Packet::parse(&buffer[..length]) else {
            continue;
        };
        let header = Header {
            marker: packet.marker,
            payload_type: packet.payload_type,
            sequence: packet.sequence,
            timestamp: packet.timestamp,
            ssrc: packet.ssrc,
        };
        let mut samples = Vec::new();
        if packet.payload_type == payload_type(kind) {
            decoder.decode(packet.payload, &mut samples);
        }
        let received = Received {
            at: Instant::now(),
            from,
            header,
            payload: packet.payload.to_vec(),
            samples,
        };
        shared.lock().received.push(received);
        shared.arrived.notify_all();
    }
}

impl State {
    fn send(&mut self, socket: &UdpSocket) {
        let samples = usize::from(self.ptime_ms) * 8;
        let mut packet = vec![0; HEADER_LEN];
        let (mut marker, mut kind, mut timestamp) = (false, payload_type(self.kind), self.timestamp);
        match self.digits.tick() {
            Sending::Packet { begin, payload, .. } => {
                if begin {
                    self.event_timestamp = self.timestamp;
                }
                (marker, kind, timestamp) = (begin, EVENTS_TYPE, self.event_timestamp);
                packet.extend_from_slice(&payload);
            }
            Sending::Pause => {}
            Sending::Idle => {
                if let Some(tone) = &mut self.tone {
                    let mut pcm = vec![0i16; samples];
                    tone.fill(&mut pcm);
                    packet.resize(HEADER_LEN + MAX_PAYLOAD, 0);
                    let length = self.encoder.encode(&pcm, &mut packet[HEADER_LEN..]);
                    packet.truncate(HEADER_LEN + length);
                }
            }
        }
        let units = samples as u32 * self.kind.units_per_sample();
        self.timestamp = self.timestamp.wrapping_add(units);
        let (true, Some(remote)) = (packet.len() > HEADER_LEN, self.remote) else {
            return;
        };
        let header = Header {
            marker,
            payload_type: kind,
            sequence: self.sequence,
            timestamp,
            ssrc: self.ssrc,
        };
        self.sequence = self.sequence.wrapping_add(1);
        packet[..HEADER_LEN].copy_from_slice(&header.to_bytes());
        if self.drop_every == 0 || !self.sequence.is_multiple_of(self.drop_every) {
            // A refused packet is a lost packet, as on any network.
            let _ = socket.send_to(&packet, remote);
        }
    }
}

/// Collects the engine's events.
#[derive(Default)]
pub struct Events {
    seen: Mutex<Vec<(CallKey, Event)>>,
    arrived: Condvar,
}

impl Events {
    /// A shared collector.
    pub fn shared() -> Arc<Events> {
        Arc::new(Events::default())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(CallKey, Event)>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything so far.
    pub fn all(&self) -> Vec<(CallKey, Event)> {
        self.lock().clone()
    }

    /// Wait for an event that `pick` turns into a value.
    ///
    /// # Panics
    /// After [`PATIENCE`].
    pub fn wait<T>(&self, what: &str, pick: impl Fn(CallKey, &Event) -> Option<T>) -> T {
        self.wait_all(what, |seen| seen.iter().find_map(|(call, event)| pick(*call, event)))
    }

    /// Wait until everything so far gives a value.
    ///
    /// # Panics
    /// After [`PATIENCE`].
    pub fn wait_all<T>(&self, what: &str, pick: impl Fn(&[(CallKey, Event)]) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        let mut seen = self.lock();
        loop {
            if let Some(found) = pick(&seen) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited for the event: {what}; saw {seen:?}");
            seen = match self.arrived.wait_timeout(seen, left) {
                Ok((guard, _)) => guard,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }
}

impl EventSink for Events {
    fn event(&self, call: CallKey, event: Event) {
        self.lock().push((call, event));
        self.arrived.notify_all();
    }
}

/// A port range that no other test uses at the same time, on any process of this machine: the lowest of a hundred ports
/// is held as a lock by the socket, which must be kept as long as the range is used.
///
/// # Panics
/// If every range is taken.
pub fn port_block() -> (std::ops::RangeInclusive<u16>, UdpSocket) {
    for base in (12_000..19_000).step_by(100) {
        let Ok(lock) = UdpSocket::bind(("127.0.0.1", base)) else {
            continue;
        };
        // A process that is just ending may have let its lock go before the rest.
        if (base + 1..base + 100).all(|port| UdpSocket::bind(("127.0.0.1", port)).is_ok()) {
            return (base + 2..=base + 99, lock);
        }
    }
    panic!("no range of ports is free");
}
