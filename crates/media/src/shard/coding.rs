//! Decoders and encoders of legs: they exist only while samples are needed of a leg, or made for it.

use strowger_media_core::FRAME;
use strowger_media_core::codec::{Encoder, EncoderSettings, Kind, MAX_PAYLOAD};
use strowger_media_core::playout::{Playout, Pulled};
use strowger_media_core::rtp;

use super::leg::{Decoded, Leg};
use crate::queue::Counters;

/// An encoder and the samples that do not fill a packet yet.
pub(super) struct Outgoing {
    kind: Kind,
    encoder: Box<dyn Encoder>,
    pending: Vec<i16>,
}

impl Outgoing {
    pub(super) fn clear(&mut self) {
        self.pending.clear();
    }
}

impl Leg {
    /// Have a decoder while samples of this leg are needed, and none otherwise.
    pub(super) fn attach_decoder(&mut self, needed: bool) {
        let Some(kind) = self.coded().filter(|_| needed) else {
            self.decoded = None;
            return;
        };
        if self.decoded.as_ref().is_some_and(|d| d.kind == kind) {
            return;
        }
        self.decoded = match kind.decoder() {
            Ok(decoder) => Some(Box::new(Decoded {
                playout: Playout::with_units(kind.units_per_sample()),
                kind,
                decoder,
                frame: [0; FRAME],
                pulled: Pulled::Silence,
            })),
            Err(error) => {
                tracing::error!(leg = self.number, %error, "a party cannot be heard");
                None
            }
        };
    }

    /// Have an encoder while frames are made for this leg, unless G.711 does without.
    pub(super) fn attach_encoder(&mut self, needed: bool, settings: EncoderSettings) {
        let Some(kind) = self.coded().filter(|k| needed && k.law().is_none()) else {
            self.outgoing = None;
            return;
        };
        if self.outgoing.as_ref().is_some_and(|o| o.kind == kind) {
            return;
        }
        self.outgoing = match kind.encoder(settings) {
            Ok(mut encoder) => {
                encoder.expect_loss(self.reports.loss_percent);
                Some(Box::new(Outgoing {
                    kind,
                    encoder,
                    pending: Vec::with_capacity(6 * FRAME),
                }))
            }
            Err(error) => {
                tracing::error!(leg = self.number, %error, "a party cannot be sent anything");
                None
            }
        };
    }

    /// The far side reported loss of what we send (a fraction in 1/256, RFC 3550 section 6.4.1). A rise counts at once, a
    /// fall slowly, so that forward error correction does not come and go with every report.
    pub(super) fn loss_reported(&mut self, fraction: u8) {
        let percent = (u16::from(fraction) * 100).div_ceil(256) as u8;
        let before = self.reports.loss_percent;
        let next = percent.max(before - before.div_ceil(4));
        self.reports.loss_percent = next;
        if let Some(outgoing) = self.outgoing.as_mut().filter(|_| next != before) {
            outgoing.encoder.expect_loss(next);
        }
    }

    /// Send 20 ms of samples that were made for the instant `micros`.
    pub(super) fn send_samples(&mut self, samples: &[i16; FRAME], micros: u64, counters: &Counters) {
        if let Some(law) = self.law() {
            let mut encoded = [0u8; FRAME];
            law.encode_into(samples, &mut encoded);
            return self.send_frame(&encoded, micros, counters);
        }
        let Some(configured) = &self.configured else { return };
        let size = configured.packet_samples();
        let payload_type = configured.config.codec.payload_type_send;
        let mut wall = rtp::clock_units(micros, configured.clock);
        let Some(mut outgoing) = self.outgoing.take() else {
            return;
        };
        let units = size as u32 * outgoing.kind.units_per_sample();
        let mut buffer = [0u8; rtp::HEADER_LEN + MAX_PAYLOAD];
        outgoing.pending.extend_from_slice(samples);
        while outgoing.pending.len() >= size {
            let Outgoing { encoder, pending, .. } = &mut *outgoing;
            let length = encoder.encode(&pending[..size], &mut buffer[rtp::HEADER_LEN..]);
            pending.drain(..size);
            if length > 0 {
                let stamp = self.rewriter.generate(wall, units);
                let end = rtp::HEADER_LEN + length;
                self.send(&mut buffer[..end], rtp::HEADER_LEN, payload_type, stamp, counters);
            }
            wall = wall.wrapping_add(units);
        }
        self.outgoing = Some(outgoing);
    }

    /// Send 20 ms of G.711 that was made for the instant `micros`, in packets of the negotiated length.
    pub(super) fn send_frame(&mut self, encoded: &[u8; FRAME], micros: u64, counters: &Counters) {
        let Some(configured) = &self.configured else { return };
        let size = configured.packet_samples();
        let payload_type = configured.config.codec.payload_type_send;
        let mut wall = rtp::clock_units(micros, configured.clock);
        let mut buffer = [0u8; rtp::HEADER_LEN + MAX_PAYLOAD];
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
}
