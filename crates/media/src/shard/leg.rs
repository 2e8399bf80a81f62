//! One leg on its shard: sockets, latch, outgoing stream, statistics.

use std::net::SocketAddr;
use std::time::Duration;

use strowger_media_core::FRAME;
use strowger_media_core::codec::{self, Kind};
use strowger_media_core::dtmf::DtmfReceiver;
use strowger_media_core::g711::Law;
use strowger_media_core::listen::Listener;
use strowger_media_core::meter::Meter;
use strowger_media_core::playout::{Playout, Pulled};
use strowger_media_core::press::Presses;
use strowger_media_core::rewrite::{Rewriter, Stamp};
use strowger_media_core::rtp::{self, Header};
use strowger_media_core::stats::ReceiverStats;

use super::coding::Outgoing;
use super::digits::SendingDigits;
use crate::api::{CallKey, DigitsBy, LegConfig, LegStats};
use crate::latch::Latch;
use crate::ports::Pair;
use crate::queue::{Counters, bump};

use super::link::Link;
use super::video::VideoLeg;

/// Where packets of a leg are relayed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route {
    /// The slot of the leg that hears.
    pub(super) target: u32,
    /// G.711 laws to translate between, when they differ.
    pub(super) transcode: Option<(Law, Law)>,
    /// Digits are relayed too: both sides count their lengths with the same clock.
    pub(super) events: bool,
}

/// What a leg is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Output {
    /// Nothing.
    Idle,
    /// Packets of one other leg, as they arrive.
    Relay,
    /// Frames made every 20 ms.
    Mix,
}

/// The decoded side of a leg; exists only while a mix or a recording needs its samples.
pub(super) struct Decoded {
    pub(super) playout: Playout,
    pub(super) kind: Kind,
    pub(super) decoder: Box<dyn codec::Decoder>,
    /// The frame of the present tick.
    pub(super) frame: [i16; FRAME],
    pub(super) pulled: Pulled,
}

/// What a `Configure` brought.
pub(super) struct Configured {
    pub(super) config: LegConfig,
    /// `None` for an opaque codec.
    pub(super) coded: Option<Kind>,
    pub(super) clock: u32,
    /// In which durations of digits count.
    pub(super) dtmf_clock: u32,
    pub(super) latch: Latch,
    /// When it came, in µs; inactivity counts from here at the earliest.
    pub(super) at: u64,
    pub(super) inactive_reported: bool,
}

impl Configured {
    pub(super) fn new(config: LegConfig, latch: Latch, at: u64) -> Configured {
        let coded = config.codec.kind.coded();
        let clock = config.codec.kind.clock();
        let dtmf_clock = match config.dtmf_clock {
            0 => clock,
            written => written,
        };
        Configured {
            config,
            coded,
            clock,
            dtmf_clock,
            latch,
            at,
            inactive_reported: false,
        }
    }

    /// Samples in a packet that we send.
    pub(super) fn packet_samples(&self) -> usize {
        let wanted = self.config.ptime_ms;
        let ms = self.coded.map_or(wanted, |kind| kind.packet_ms(wanted));
        usize::from(ms) * 8
    }
}

/// State of reports in both directions.
#[derive(Default)]
pub(super) struct Reports {
    /// When the next one is due, in µs.
    pub(super) due: u64,
    /// The far side's last sender report: the middle of its NTP time, and when it came (µs).
    pub(super) last_sr: Option<(u32, u64)>,
    pub(super) round_trip: Option<Duration>,
    pub(super) lost_out: Option<u32>,
    /// Its last report on our stream since the last assessment: fraction lost in 1/256, jitter in timestamp units.
    pub(super) far: Option<(u8, u32)>,
    /// The highest jitter that it reported.
    pub(super) max_far_jitter: u32,
    /// What the encoder is told about the far side's losses, in percent.
    pub(super) loss_percent: u8,
    /// Packets sent when the last report was made: without new ones it is a receiver report.
    pub(super) packets_reported: u64,
}

/// What of a leg's sound was looked at since the last assessment. Nothing more is, once something was heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Heard {
    /// Nothing was looked at, or only pauses.
    #[default]
    Unknown,
    /// Digital silence.
    Silence,
    /// Sound.
    Sound,
}

impl Heard {
    #[inline]
    pub(super) fn note(&mut self, silence: Option<bool>) {
        match silence {
            Some(false) => *self = Heard::Sound,
            Some(true) => *self = Heard::Silence,
            None => {}
        }
    }
}

pub(super) struct Leg {
    pub(super) call: CallKey,
    pub(super) number: u16,
    /// Its own sockets; a leg that was only ever a browser's has none.
    pub(super) pair: Option<Pair>,
    /// How packets are protected, and where they go.
    pub(super) link: Link,
    pub(super) configured: Option<Configured>,
    pub(super) routes: Vec<Route>,
    pub(super) output: Output,
    pub(super) decoded: Option<Box<Decoded>>,
    pub(super) stats: ReceiverStats,
    pub(super) dtmf_in: DtmfReceiver,
    pub(super) dtmf_out: Option<Box<SendingDigits>>,
    /// How it is sent digits.
    pub(super) digits_by: DigitsBy,
    /// What was pressed, however it was reported.
    pub(super) presses: Presses,
    /// Detectors, while something is listened for.
    pub(super) listener: Option<Box<Listener>>,
    pub(super) reports: Reports,
    pub(super) rewriter: Rewriter,
    pub(super) ssrc: u32,
    /// The video beside it.
    pub(super) video: Option<Box<VideoLeg>>,
    /// When its link's next deadline is, in µs of the shard's clock, if it has one.
    pub(super) timer_at: Option<u64>,
    /// Encoded samples of G.711 that do not fill a packet yet.
    pub(super) pending: Vec<u8>,
    /// The encoder of any other codec, while frames are made for the leg.
    pub(super) outgoing: Option<Box<Outgoing>>,
    pub(super) opened_at: u64,
    pub(super) first_at: Option<u64>,
    pub(super) last_at: u64,
    pub(super) bytes_in: u64,
    pub(super) packets_out: u64,
    pub(super) bytes_out: u64,
    pub(super) discarded_source: u64,
    pub(super) discarded_invalid: u64,
    /// Of those, with a payload type that was not negotiated.
    pub(super) discarded_unknown: u64,
    /// Packets that were to be sent.
    pub(super) offered: u64,
    pub(super) heard: Heard,
    pub(super) meter: Meter,
}

impl Leg {
    pub(super) fn new(call: CallKey, number: u16, pair: Option<Pair>, now: u64, random: [u64; 2]) -> Leg {
        Leg {
            call,
            number,
            pair,
            link: Link::Plain,
            configured: None,
            routes: Vec::new(),
            output: Output::Idle,
            decoded: None,
            stats: ReceiverStats::default(),
            dtmf_in: DtmfReceiver::default(),
            dtmf_out: None,
            digits_by: DigitsBy::default(),
            presses: Presses::default(),
            listener: None,
            reports: Reports::default(),
            rewriter: Rewriter::new(random[0] as u16, random[1] as u32),
            ssrc: (random[0] >> 32) as u32,
            video: None,
            timer_at: None,
            pending: Vec::new(),
            outgoing: None,
            opened_at: now,
            first_at: None,
            last_at: now,
            bytes_in: 0,
            packets_out: 0,
            bytes_out: 0,
            discarded_source: 0,
            discarded_invalid: 0,
            discarded_unknown: 0,
            offered: 0,
            heard: Heard::default(),
            meter: Meter::default(),
        }
    }

    /// The leg's codec, if it can be decoded and encoded.
    pub(super) fn coded(&self) -> Option<Kind> {
        self.configured.as_ref().and_then(|c| c.coded)
    }

    /// Its companding law, if it is G.711.
    pub(super) fn law(&self) -> Option<Law> {
        self.coded().and_then(Kind::law)
    }

    /// Set what is sent from now on; half-filled packets of a mix that ends are dropped.
    pub(super) fn set_output(&mut self, output: Output) {
        if self.output != output {
            self.output = output;
            self.pending.clear();
            if let Some(outgoing) = &mut self.outgoing {
                outgoing.clear();
            }
        }
    }

    /// Send one packet whose payload starts at `offset` (≥ 12) of `buffer`; the header is written in front of it.
    #[inline]
    pub(super) fn send(
        &mut self,
        buffer: &mut [u8],
        offset: usize,
        payload_type: u8,
        stamp: Stamp,
        counters: &Counters,
    ) {
        let Some(configured) = &self.configured else { return };
        self.offered += 1;
        let header = Header {
            marker: stamp.marker,
            payload_type,
            sequence: stamp.sequence,
            timestamp: stamp.timestamp,
            ssrc: self.ssrc,
        };
        let start = offset - rtp::HEADER_LEN;
        buffer[start..offset].copy_from_slice(&header.to_bytes());
        let to = configured.latch.destination();
        match self.link.send_rtp(self.pair.as_ref(), &buffer[start..], to) {
            Ok(false) => {}
            Ok(true) => {
                self.packets_out += 1;
                self.bytes_out += (buffer.len() - offset) as u64;
                bump(&counters.packets_out, 1);
            }
            // Full buffers and unreachable networks lose a packet, as any network does; counted, never retried.
            Err(_) => bump(&counters.send_errors, 1),
        }
    }

    /// Where reports go: the port after the RTP port (RFC 3550 section 11).
    pub(super) fn rtcp_destination(&self) -> Option<SocketAddr> {
        let mut to = self.configured.as_ref()?.latch.destination();
        to.set_port(to.port().checked_add(1)?);
        Some(to)
    }

    /// The leg's totals.
    pub(super) fn totals(&self) -> LegStats {
        let clock = self.configured.as_ref().map_or(8000, |c| c.clock);
        let (jitter_ms, max_jitter_ms) = self.stats.jitter_ms(clock);
        let since_open = |at: u64| Duration::from_micros(at.saturating_sub(self.opened_at));
        LegStats {
            packets_in: self.stats.packets(),
            bytes_in: self.bytes_in,
            packets_out: self.packets_out,
            bytes_out: self.bytes_out,
            lost_in: self.stats.lost().max(0) as u64,
            lost_out: self.reports.lost_out,
            jitter_ms,
            max_jitter_ms,
            first_packet: self.first_at.map(since_open),
            last_packet: self.first_at.map(|_| since_open(self.last_at)),
            discarded_source: self.discarded_source,
            discarded_invalid: self.discarded_invalid,
            round_trip: self.reports.round_trip,
            far_jitter_ms: f64::from(self.reports.max_far_jitter) * 1000.0 / f64::from(clock.max(1)),
            mos_in: self.meter.inward().scores(),
            mos_out: self.meter.outward().scores(),
            video: self.video.as_deref().map(VideoLeg::totals),
            source: match &self.link {
                Link::Peer(shared) => shared.peer.destination(),
                Link::Plain | Link::Sdes(_) => self.configured.as_ref().and_then(|c| c.latch.source()),
            },
        }
    }
}

/// The legs of a shard. A slot's generation tells its present leg from earlier ones in events that come late.
#[derive(Default)]
pub(super) struct Legs {
    slots: Vec<(u32, Option<Box<Leg>>)>,
    free: Vec<u32>,
}

impl Legs {
    pub(super) fn insert(&mut self, leg: Leg) -> (u32, u32) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push((0, None));
            (self.slots.len() - 1) as u32
        });
        let entry = &mut self.slots[slot as usize];
        entry.1 = Some(Box::new(leg));
        (slot, entry.0)
    }

    pub(super) fn remove(&mut self, slot: u32) -> Option<Box<Leg>> {
        let entry = self.slots.get_mut(slot as usize)?;
        let leg = entry.1.take()?;
        entry.0 = entry.0.wrapping_add(1);
        self.free.push(slot);
        Some(leg)
    }

    #[inline]
    pub(super) fn get(&self, slot: u32) -> Option<&Leg> {
        self.slots.get(slot as usize)?.1.as_deref()
    }

    #[inline]
    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut Leg> {
        self.slots.get_mut(slot as usize)?.1.as_deref_mut()
    }

    /// The leg of an event, unless the slot has changed hands since.
    #[inline]
    pub(super) fn current(&mut self, slot: u32, generation: u32) -> Option<&mut Leg> {
        let entry = self.slots.get_mut(slot as usize)?;
        if entry.0 == generation {
            entry.1.as_deref_mut()
        } else {
            None
        }
    }

    /// The generation of a slot's present leg.
    pub(super) fn generation(&self, slot: u32) -> u32 {
        self.slots.get(slot as usize).map_or(0, |s| s.0)
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }
}
