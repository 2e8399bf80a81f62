//! The media side of a test party: it sends a tone in G.711, and keeps what it hears and every packet that brought it.

use crate::sound::{AMPLITUDE, Sound, now_ms};
use std::collections::VecDeque;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use strowger_media_core::FRAME;
use strowger_media_core::dtmf::{DtmfReceiver, DtmfSender, Sending};
use strowger_media_core::g711::Law;
use strowger_media_core::rtp::{Header, Packet};

/// Payload type of telephone events that test parties offer.
pub const EVENT_PT: u8 = 101;
const TICK: Duration = Duration::from_millis(20);

/// What came with a packet.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// Milliseconds since the epoch.
    pub at_ms: usize,
    /// Payload type.
    pub payload_type: u8,
    /// Marker bit.
    pub marker: bool,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
}

#[derive(Default)]
struct State {
    hz: Option<f32>,
    remote: Option<SocketAddr>,
    sound: Sound,
    seen: Vec<Seen>,
    digits: String,
    dtmf: Option<DtmfSender>,
    /// Said before anything else.
    speech: VecDeque<i16>,
}

struct Inner {
    socket: UdpSocket,
    law: Law,
    state: Mutex<State>,
    stop: AtomicBool,
}

/// A line; its thread ends when the last handle is dropped or [`Line::stop`] is called.
#[derive(Clone)]
pub struct Line(Arc<Inner>);

impl Line {
    /// Opens a socket and begins to listen. Nothing is sent before a remote address is set.
    pub fn open(law: Law, hz: Option<f32>) -> Line {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port on loopback");
        let state = State {
            hz,
            sound: Sound {
                from_ms: now_ms(),
                samples: Vec::new(),
            },
            ..State::default()
        };
        let line = Line(Arc::new(Inner {
            socket,
            law,
            state: Mutex::new(state),
            stop: AtomicBool::new(false),
        }));
        let inner = Arc::downgrade(&line.0);
        std::thread::spawn(move || run(&inner));
        line
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.state.lock().expect("no test thread panicked here")
    }

    /// Port of the socket.
    pub fn port(&self) -> u16 {
        self.0
            .socket
            .local_addr()
            .expect("a bound socket has an address")
            .port()
    }

    /// The law that it sends in.
    pub fn law(&self) -> Law {
        self.0.law
    }

    /// Sends there from now on; `None` is silence.
    pub fn send_to(&self, remote: Option<SocketAddr>) {
        self.state().remote = remote;
    }

    /// Sends this tone from now on; `None` sends silence.
    pub fn play(&self, hz: Option<f32>) {
        self.state().hz = hz;
    }

    /// Says this, 8 kHz samples, in place of its tone.
    pub fn say(&self, samples: &[i16]) {
        self.state().speech.extend(samples);
    }

    /// Presses keys, 100 ms each.
    pub fn press(&self, digits: &str) {
        let mut state = self.state();
        let sender = state.dtmf.get_or_insert_with(|| DtmfSender::new(8000));
        assert!(sender.push(digits, 100), "too many digits at once");
    }

    /// Digits received as telephone events, one for each press.
    pub fn digits(&self) -> String {
        self.state().digits.clone()
    }

    /// Everything heard so far.
    pub fn heard(&self) -> Sound {
        self.state().sound.clone()
    }

    /// Whether a frequency is heard just now.
    pub fn hears(&self, hz: f32) -> bool {
        self.state().sound.hears_now(hz, now_ms())
    }

    /// Every packet received so far.
    pub fn packets(&self) -> Vec<Seen> {
        self.state().seen.clone()
    }

    /// Ends the thread.
    pub fn stop(&self) {
        self.0.stop.store(true, Ordering::Relaxed);
    }
}

struct Sender {
    header: Header,
    phase: f64,
    event_timestamp: u32,
}

fn run(weak: &std::sync::Weak<Inner>) {
    let mut sender = Sender {
        header: Header {
            marker: true,
            payload_type: 8,
            sequence: 1000,
            timestamp: 160_000,
            ssrc: 0x5157_0000 | std::process::id(),
        },
        phase: 0.0,
        event_timestamp: 0,
    };
    let mut receiver = Receiver::default();
    let mut next = Instant::now() + TICK;
    let mut buffer = [0; 2048];
    loop {
        let Some(inner) = weak.upgrade() else { return };
        if inner.stop.load(Ordering::Relaxed) {
            return;
        }
        let left = next.saturating_duration_since(Instant::now());
        if left.is_zero() {
            sender.tick(&inner);
            next += TICK;
            continue;
        }
        let _ = inner.socket.set_read_timeout(Some(left));
        if let Ok((n, _)) = inner.socket.recv_from(&mut buffer) {
            let mut state = inner.state.lock().expect("no test thread panicked here");
            receiver.received(&mut state, &buffer[..n]);
        }
    }
}

impl Sender {
    fn tick(&mut self, inner: &Inner) {
        let mut state = inner.state.lock().expect("no test thread panicked here");
        let timestamp = self.header.timestamp;
        self.header.timestamp = timestamp.wrapping_add(FRAME as u32);
        let Some(remote) = state.remote else { return };
        let event = state.dtmf.as_mut().map_or(Sending::Idle, DtmfSender::tick);
        let mut packet = Vec::with_capacity(172);
        let mut header = self.header;
        header.timestamp = timestamp;
        match event {
            Sending::Pause => return,
            Sending::Packet { begin, payload, .. } => {
                if begin {
                    self.event_timestamp = timestamp;
                }
                header.marker = begin;
                header.payload_type = EVENT_PT;
                header.timestamp = self.event_timestamp;
                packet.extend_from_slice(&header.to_bytes());
                packet.extend_from_slice(&payload);
            }
            Sending::Idle => {
                header.payload_type = if inner.law == Law::A { 8 } else { 0 };
                packet.extend_from_slice(&header.to_bytes());
                let step = state
                    .hz
                    .map_or(0.0, |hz| std::f64::consts::TAU * f64::from(hz) / 8000.0);
                for _ in 0..FRAME {
                    let sample = if let Some(said) = state.speech.pop_front() {
                        said
                    } else if state.hz.is_some() {
                        (AMPLITUDE * self.phase.sin()) as i16
                    } else {
                        0
                    };
                    self.phase = (self.phase + step) % std::f64::consts::TAU;
                    packet.push(inner.law.encode(sample));
                }
            }
        }
        drop(state);
        self.header.marker = false;
        self.header.sequence = self.header.sequence.wrapping_add(1);
        let _ = inner.socket.send_to(&packet, remote);
    }
}

/// Puts packets on the timeline: by their timestamps as long as those agree with the arrival to 60 ms, so that a tone
/// stays whole, and by the arrival otherwise.
#[derive(Default)]
struct Receiver {
    anchor: Option<(u32, u32, usize)>,
    dtmf: DtmfReceiver,
}

impl Receiver {
    fn received(&mut self, state: &mut State, datagram: &[u8]) {
        let Ok(packet) = Packet::parse(datagram) else { return };
        let at_ms = now_ms();
        state.seen.push(Seen {
            at_ms,
            payload_type: packet.payload_type,
            marker: packet.marker,
            sequence: packet.sequence,
            timestamp: packet.timestamp,
            ssrc: packet.ssrc,
        });
        let law = match packet.payload_type {
            8 => Law::A,
            0 => Law::Mu,
            EVENT_PT => {
                let clock = (at_ms as u32).wrapping_mul(8);
                state.digits.extend(
                    self.dtmf
                        .received(packet.timestamp, packet.payload, clock)
                        .map(|p| p.digit),
                );
                return;
            }
            _ => return,
        };
        let samples: Vec<i16> = packet.payload.iter().map(|&o| law.decode(o)).collect();
        let arrived = (at_ms - state.sound.from_ms) * 8;
        let at = match self.anchor {
            Some((ssrc, timestamp, at)) if ssrc == packet.ssrc => {
                let expected = at as i64 + i64::from(packet.timestamp.wrapping_sub(timestamp) as i32);
                if (expected - arrived as i64).abs() < 480 {
                    expected.max(0) as usize
                } else {
                    arrived
                }
            }
            _ => arrived,
        };
        self.anchor = Some((packet.ssrc, packet.timestamp, at));
        state.sound.put(at, &samples);
    }
}
