//! One leg on its shard: sockets, latch, outgoing stream, statistics.

use std::net::SocketAddr;
use std::time::Duration;

use strowger_media_core::FRAME;
use strowger_media_core::dtmf::{DtmfReceiver, DtmfSender};
use strowger_media_core::g711::Law;
use strowger_media_core::playout::{Playout, Pulled};
use strowger_media_core::rewrite::{Rewriter, Stamp};
use strowger_media_core::rtp::{self, Header};
use strowger_media_core::stats::ReceiverStats;

use crate::api::{CallKey, CodecKind, LegConfig, LegStats};
use crate::latch::Latch;
use crate::ports::Pair;
use crate::queue::{Counters, bump};

/// Largest payload that leaves a leg at once: 60 ms of G.711.
const MAX_GENERATED: usize = 480;

/// Where packets of a leg are relayed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route {
    /// The slot of the leg that hears.
    pub(super) target: u32,
    /// G.711 laws to translate between, when they differ.
    pub(super) transcode: Option<(Law, Law)>,
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
    pub(super) law: Law,
    /// The frame of the present tick.
    pub(super) frame: [i16; FRAME],
    pub(super) pulled: Pulled,
}

/// What a `Configure` brought.
pub(super) struct Configured {
    pub(super) config: LegConfig,
    /// `None` for an opaque codec.
    pub(super) law: Option<Law>,
    pub(super) clock: u32,
    pub(super) latch: Latch,
    /// When it came, in µs; inactivity counts from here at the earliest.
    pub(super) at: u64,
    pub(super) inactive_reported: bool,
}

impl Configured {
    pub(super) fn new(config: LegConfig, latch: Latch, at: u64) -> Configured {
        let law = match config.codec.kind {
            CodecKind::Pcma => Some(Law::A),
            CodecKind::Pcmu => Some(Law::Mu),
            CodecKind::Opaque { .. } => None,
        };
        let clock = config.codec.kind.clock();
        Configured {
            config,
            law,
            clock,
            latch,
            at,
            inactive_reported: false,
        }
    }

    /// Samples in a packet that we send.
    fn packet_samples(&self) -> usize {
        usize::from(self.config.ptime_ms.clamp(10, 60) / 10) * 80
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
    /// Packets sent when the last report was made: without new ones it is a receiver report.
    pub(super) packets_reported: u64,
}

/// Digits on their way out.
pub(super) struct SendingDigits {
    pub(super) sender: DtmfSender,
    /// Timestamp of the present event.
    pub(super) timestamp: u32,
}

pub(super) struct Leg {
    pub(super) call: CallKey,
    pub(super) number: u16,
    pub(super) pair: Pair,
    pub(super) configured: Option<Configured>,
    pub(super) routes: Vec<Route>,
    pub(super) output: Output,
    pub(super) decoded: Option<Box<Decoded>>,
    pub(super) stats: ReceiverStats,
    pub(super) dtmf_in: DtmfReceiver,
    pub(super) dtmf_out: Option<Box<SendingDigits>>,
    pub(super) reports: Reports,
    pub(super) rewriter: Rewriter,
    pub(super) ssrc: u32,
    /// Encoded samples that do not fill a packet yet.
    pending: Vec<u8>,
    pub(super) opened_at: u64,
    pub(super) first_at: Option<u64>,
    pub(super) last_at: u64,
    pub(super) bytes_in: u64,
    pub(super) packets_out: u64,
    pub(super) bytes_out: u64,
    pub(super) discarded_source: u64,
    pub(super) discarded_invalid: u64,
}

impl Leg {
    pub(super) fn new(call: CallKey, number: u16, pair: Pair, now: u64, random: [u64; 2]) -> Leg {
        Leg {
            call,
            number,
            pair,
            configured: None,
            routes: Vec::new(),
            output: Output::Idle,
            decoded: None,
            stats: ReceiverStats::default(),
            dtmf_in: DtmfReceiver::default(),
            dtmf_out: None,
            reports: Reports::default(),
            rewriter: Rewriter::new(random[0] as u16, random[1] as u32),
            ssrc: (random[0] >> 32) as u32,
            pending: Vec::new(),
            opened_at: now,
            first_at: None,
            last_at: now,
            bytes_in: 0,
            packets_out: 0,
            bytes_out: 0,
            discarded_source: 0,
            discarded_invalid: 0,
        }
    }

    pub(super) fn law(&self) -> Option<Law> {
        self.configured.as_ref().and_then(|c| c.law)
    }

    /// Set what is sent from now on; half-filled packets of a mix that ends are dropped.
    pub(super) fn set_output(&mut self, output: Output) {
        if self.output != output {
            self.output = output;
            self.pending.clear();
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
        let header = Header {
            marker: stamp.marker,
            payload_type,
            sequence: stamp.sequence,
            timestamp: stamp.timestamp,
            ssrc: self.ssrc,
        };
        let start = offset - rtp::HEADER_LEN;
        buffer[start..offset].copy_from_slice(&header.to_bytes());
        match self.pair.rtp.send_to(&buffer[start..], configured.latch.destination()) {
            Ok(_) => {
                self.packets_out += 1;
                self.bytes_out += (buffer.len() - offset) as u64;
                bump(&counters.packets_out, 1);
            }
            // Full buffers and unreachable networks lose a packet, as any network does; counted, never retried.
            Err(_) => bump(&counters.send_errors, 1),
        }
    }

    /// Send 20 ms of encoded audio that was made for the instant `micros`, in packets of the negotiated length.
    pub(super) fn send_frame(&mut self, encoded: &[u8; FRAME], micros: u64, counters: &Counters) {
        let Some(configured) = &self.configured else { return };
        let size = configured.packet_samples();
        let payload_type = configured.config.codec.payload_type_send;
        let mut wall = rtp::clock_units(micros, configured.clock);
        let mut buffer = [0u8; rtp::HEADER_LEN + MAX_GENERATED];
        if size == FRAME && self.pending.is_empty() {
            buffer[rtp::HEADER_LEN..rtp::HEADER_LEN + FRAME].copy_from_slice(encoded);
            let stamp = self.rewriter.generate(wall, FRAME as u32);
            self.send(
                &mut buffer[..rtp::HEADER_LEN + FRAME],
                rtp::HEADER_LEN,
                payload_type,
                stamp,
                counters,
            );
            return;
        }
        self.pending.extend_from_slice(encoded);
        while self.pending.len() >= size {
            buffer[rtp::HEADER_LEN..rtp::HEADER_LEN + size].copy_from_slice(&self.pending[..size]);
            self.pending.drain(..size);
            let stamp = self.rewriter.generate(wall, size as u32);
            self.send(
                &mut buffer[..rtp::HEADER_LEN + size],
                rtp::HEADER_LEN,
                payload_type,
                stamp,
                counters,
            );
            wall = wall.wrapping_add(size as u32);
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
            source: self.configured.as_ref().and_then(|c| c.latch.source()),
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

    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }
}
