//! What happens on arrival of a packet: checks, statistics, relay, digits, reports.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use strowger_media_core::rtcp::{self, Item};
use strowger_media_core::rtp::{self, HEADER_LEN, Packet};

use super::leg::{Heard, Output};
use super::{MAX_DATAGRAM, Shard};
use crate::api::Event;
use crate::queue::bump;

/// Comfort noise (RFC 3389): allowed from everybody, not passed on.
const COMFORT_NOISE: u8 = 13;

/// What a packet is to the leg that received it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Audio,
    Digit,
    Noise,
}

/// A parsed packet without its borrow of the buffer.
#[derive(Clone, Copy)]
struct Parsed {
    kind: Kind,
    marker: bool,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
    start: usize,
    end: usize,
}

impl Parsed {
    fn view(&self) -> Packet<'static> {
        Packet {
            marker: self.marker,
            payload_type: 0,
            sequence: self.sequence,
            timestamp: self.timestamp,
            ssrc: self.ssrc,
            payload_offset: self.start,
            payload: &[],
        }
    }
}

impl Shard {
    /// A packet waits on an RTP socket.
    pub(super) fn on_rtp(&mut self, slot: u32, generation: u32) {
        let Some(leg) = self.legs.current(slot, generation) else {
            return;
        };
        let Some((length, from)) = leg.pair.as_ref().and_then(|p| receive(&p.rtp, &mut self.buffer)) else {
            return;
        };
        bump(&self.parts.queue.counters.packets_in, 1);
        // What comes here is nothing that a browser sends.
        if !leg.link.is_peer() {
            self.take_rtp(slot, length, from);
        }
    }

    /// The datagram in the buffer is a leg's RTP packet, still as it travelled.
    #[inline]
    pub(super) fn take_rtp(&mut self, slot: u32, length: usize, from: SocketAddr) {
        let now = self.now();
        let Some(leg) = self.legs.get_mut(slot) else { return };
        let Some(length) = leg.link.open_rtp(&mut self.buffer[..length]) else {
            leg.discarded_invalid += 1;
            return;
        };
        if leg.is_video(&self.buffer[..length]) {
            return self.take_video(slot, length, now);
        }
        if let Some(packet) = self.accept(slot, length, from, now) {
            self.relay(slot, packet, now);
        }
    }

    /// Check a packet against what was negotiated and where the leg is locked to, and count it. `None`: go no further.
    fn accept(&mut self, slot: u32, length: usize, from: SocketAddr, now: u64) -> Option<Parsed> {
        let leg = self.legs.get_mut(slot)?;
        let configured = leg.configured.as_mut()?;
        let buffer = &self.buffer[..length];
        let Ok(packet) = Packet::parse(buffer) else {
            leg.discarded_invalid += 1;
            return None;
        };
        let config = &configured.config;
        let kind = match packet.payload_type {
            t if t == config.codec.payload_type_recv => Kind::Audio,
            t if config.dtmf.is_some_and(|(_, recv)| recv == t) => Kind::Digit,
            COMFORT_NOISE => Kind::Noise,
            _ => {
                leg.discarded_invalid += 1;
                leg.discarded_unknown += 1;
                return None;
            }
        };
        if !leg.link.is_peer() && !configured.latch.accepts(from, now) {
            leg.discarded_source += 1;
            return None;
        }
        leg.last_at = now;
        let arrival = rtp::clock_units(now, configured.clock);
        leg.stats
            .received(packet.ssrc, packet.sequence, packet.timestamp, arrival);
        leg.bytes_in += packet.payload.len() as u64;
        let receiving = config.recv;
        let mut pressed = None;
        if leg.first_at.is_none() {
            leg.first_at = Some(now);
            self.parts.sink.event(leg.call, Event::FirstPacket { leg: leg.number });
        }
        if !receiving {
            return None;
        }
        match kind {
            Kind::Audio => {
                if leg.heard != Heard::Sound {
                    let silence = configured.coded.and_then(|k| k.is_silence(packet.payload));
                    leg.heard.note(silence);
                }
                if let Some(decoded) = &mut leg.decoded {
                    decoded.playout.push(packet.timestamp, packet.marker, packet.payload);
                }
            }
            Kind::Digit => {
                let arrival = rtp::clock_units(now, configured.dtmf_clock);
                pressed = leg.dtmf_in.received(packet.timestamp, packet.payload, arrival);
            }
            Kind::Noise => {
                if let Some(decoded) = &mut leg.decoded {
                    decoded.playout.push_noise(packet.timestamp, packet.payload);
                }
            }
        }
        let parsed = Parsed {
            kind,
            marker: packet.marker,
            sequence: packet.sequence,
            timestamp: packet.timestamp,
            ssrc: packet.ssrc,
            start: packet.payload_offset,
            end: packet.payload_offset + packet.payload.len(),
        };
        if let Some(press) = pressed {
            self.on_press(slot, press);
        }
        Some(parsed)
    }

    /// Pass a packet on to the legs that are relayed from this one, rewritten for each.
    fn relay(&mut self, slot: u32, packet: Parsed, now: u64) {
        let mut index = 0;
        while let Some(&route) = self.legs.get(slot).and_then(|l| l.routes.get(index)) {
            index += 1;
            let Some(target) = self.legs.get_mut(route.target) else {
                continue;
            };
            let Some(configured) = &target.configured else { continue };
            let payload_type = match packet.kind {
                Kind::Audio => Some(configured.config.codec.payload_type_send),
                Kind::Digit => configured.config.dtmf.filter(|_| route.events).map(|(send, _)| send),
                Kind::Noise => None,
            };
            // What the target did not negotiate, and audio while digits are being sent, leaves no gap in its numbers.
            let (Some(payload_type), None, Output::Relay) = (payload_type, &target.dtmf_out, target.output) else {
                target.rewriter.skip(&packet.view());
                continue;
            };
            let wall = rtp::clock_units(now, configured.clock);
            let duration = match (packet.kind, configured.coded) {
                (Kind::Audio, Some(kind)) => {
                    let samples = kind.samples(&self.buffer[packet.start..packet.end]);
                    samples as u32 * kind.units_per_sample()
                }
                _ => 0,
            };
            let Some(stamp) = target.rewriter.relay(wall, slot, &packet.view(), duration) else {
                continue;
            };
            let counters = &self.parts.queue.counters;
            match route.transcode {
                Some((source, law)) if packet.kind == Kind::Audio => {
                    self.scratch.clear();
                    self.scratch.resize(HEADER_LEN, 0);
                    self.scratch.extend_from_slice(&self.buffer[packet.start..packet.end]);
                    source.transcode(law, &mut self.scratch[HEADER_LEN..]);
                    target.send(&mut self.scratch, HEADER_LEN, payload_type, stamp, counters);
                }
                // The payload stays where it is, the new header is written in front of it.
                _ => target.send(
                    &mut self.buffer[..packet.end],
                    packet.start,
                    payload_type,
                    stamp,
                    counters,
                ),
            }
        }
    }

    /// A packet waits on an RTCP socket.
    pub(super) fn on_rtcp(&mut self, slot: u32, generation: u32) {
        let Some(leg) = self.legs.current(slot, generation) else {
            return;
        };
        let Some((length, from)) = leg.pair.as_ref().and_then(|p| receive(&p.rtcp, &mut self.buffer)) else {
            return;
        };
        if !leg.link.is_peer() {
            self.take_rtcp(slot, length, from);
        }
    }

    /// The datagram in the buffer is a leg's RTCP packet, still as it travelled.
    pub(super) fn take_rtcp(&mut self, slot: u32, length: usize, from: SocketAddr) {
        let now = self.now();
        let ntp = self.ntp(now);
        let Some(leg) = self.legs.get_mut(slot) else { return };
        // Reports may come from any port, but only from the host that the audio comes from.
        let host = leg.configured.as_ref().map(|c| c.latch.destination().ip());
        if !leg.link.is_peer() && host != Some(from.ip()) {
            leg.discarded_source += 1;
            return;
        }
        let Some(length) = leg.link.open_rtcp(&mut self.buffer[..length]) else {
            leg.discarded_invalid += 1;
            return;
        };
        let own = leg.ssrc;
        let reports = &mut leg.reports;
        let video = &mut leg.video;
        let mut fraction = None;
        rtcp::parse(&self.buffer[..length], |item| match item {
            Item::Sender { ssrc, info } if video.as_ref().is_some_and(|v| v.is_heard(ssrc)) => {
                if let Some(video) = video {
                    video.sender_report(rtcp::ntp_middle(info.ntp), now);
                }
            }
            Item::Sender { info, .. } => reports.last_sr = Some((rtcp::ntp_middle(info.ntp), now)),
            Item::Report { block, .. } if block.ssrc == own => {
                reports.lost_out = Some(block.cumulative_lost.max(0) as u32);
                fraction = Some(block.fraction_lost);
                reports.far = Some((block.fraction_lost, block.jitter));
                reports.max_far_jitter = reports.max_far_jitter.max(block.jitter);
                if let Some(micros) = rtcp::round_trip_micros(ntp, &block) {
                    reports.round_trip = Some(Duration::from_micros(micros));
                }
            }
            Item::Report { block, .. } => {
                if let Some(video) = video {
                    video.reported(&block);
                }
            }
            // The end of a stream is signalled by SIP; a BYE alone changes nothing.
            Item::Bye { .. } => {}
        });
        if let Some(fraction) = fraction {
            leg.loss_reported(fraction);
        }
        if leg.video.is_some() {
            self.take_feedback(slot, length);
        }
    }
}

/// Take one datagram. One that is longer than the buffer is cut; what is left of it does not parse as audio of ours.
pub(super) fn receive(socket: &std::net::UdpSocket, buffer: &mut [u8; MAX_DATAGRAM]) -> Option<(usize, SocketAddr)> {
    match socket.recv_from(buffer) {
        Ok(received) => Some(received),
        Err(error) => {
            if !matches!(
                error.kind(),
                ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::ConnectionRefused
            ) {
                tracing::debug!(%error, "receiving on a media socket failed");
            }
            None
        }
    }
}
