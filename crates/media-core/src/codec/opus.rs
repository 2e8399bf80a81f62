//! Opus by libopus, at 8 kHz mono on our side: telephones and carriers hear no more, and nothing is resampled.

use ::opus::{Application, Bitrate, Channels, Signal};

use super::{CodecError, EncoderSettings, MAX_PACKET_SAMPLES};

/// Samples of 2.5 ms: libopus conceals and recovers in whole numbers of these.
const QUANTUM: usize = 20;

fn failed(error: ::opus::Error) -> CodecError {
    CodecError {
        codec: "opus",
        reason: error.description().to_owned(),
    }
}

/// How long a packet lasts, by its first two octets (RFC 6716 section 3.1); 0 for what is no packet.
pub(super) fn samples(payload: &[u8]) -> usize {
    let Some(&toc) = payload.first() else { return 0 };
    let config = toc >> 3;
    // In units of 2.5 ms.
    let frame = match config {
        0..=11 => [4, 8, 16, 24][usize::from(config & 3)],
        12..=15 => [4, 8][usize::from(config & 1)],
        _ => [1, 2, 4, 8][usize::from(config & 3)],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => payload.get(1).map_or(0, |&o| usize::from(o & 0x3F)),
    };
    let samples = frame * frames * QUANTUM;
    if samples > MAX_PACKET_SAMPLES { 0 } else { samples }
}

pub(super) struct Decoder {
    inner: ::opus::Decoder,
    pausing: bool,
}

impl Decoder {
    pub(super) fn new() -> Result<Decoder, CodecError> {
        Ok(Decoder {
            inner: ::opus::Decoder::new(crate::RATE, Channels::Mono).map_err(failed)?,
            pausing: false,
        })
    }

    /// Decode into `room` more samples of `out`, and keep as many as came.
    fn run(&mut self, payload: &[u8], room: usize, fec: bool, out: &mut Vec<i16>) -> usize {
        let before = out.len();
        out.resize(before + room, 0);
        let decoded = self.inner.decode(payload, &mut out[before..], fec).unwrap_or(0);
        out.truncate(before + decoded);
        decoded
    }
}

impl super::Decoder for Decoder {
    fn decode(&mut self, payload: &[u8], out: &mut Vec<i16>) {
        // Nothing, to libopus, means a lost packet.
        if payload.is_empty() {
            return;
        }
        // A packet of at most two octets carries no frame: discontinuous transmission (RFC 6716 section 2.1.9).
        self.pausing = payload.len() <= 2;
        self.run(payload, MAX_PACKET_SAMPLES, false, out);
    }

    fn samples(&self, payload: &[u8]) -> usize {
        samples(payload)
    }

    fn conceal(&mut self, samples: usize, out: &mut Vec<i16>) -> bool {
        let before = out.len();
        let room = samples.next_multiple_of(QUANTUM).min(MAX_PACKET_SAMPLES);
        let made = self.run(&[], room, false, out);
        out.truncate(before + made.min(samples));
        made > 0
    }

    fn recover(&mut self, following: &[u8], wanted: usize, out: &mut Vec<i16>) -> bool {
        let possible = !following.is_empty() && wanted.is_multiple_of(QUANTUM) && wanted <= MAX_PACKET_SAMPLES;
        possible && self.run(following, wanted, true, out) == wanted
    }

    fn pausing(&self) -> bool {
        self.pausing
    }
}

pub(super) struct Encoder {
    inner: ::opus::Encoder,
    loss: u8,
}

impl Encoder {
    pub(super) fn new(settings: EncoderSettings) -> Result<Encoder, CodecError> {
        let mut inner = ::opus::Encoder::new(crate::RATE, Channels::Mono, Application::Voip).map_err(failed)?;
        inner.set_signal(Signal::Voice).map_err(failed)?;
        inner
            .set_complexity(i32::from(settings.complexity.min(10)))
            .map_err(failed)?;
        let bitrate = settings.bitrate.clamp(6_000, 64_000) as i32;
        inner.set_bitrate(Bitrate::Bits(bitrate)).map_err(failed)?;
        Ok(Encoder { inner, loss: 0 })
    }
}

impl super::Encoder for Encoder {
    fn encode(&mut self, samples: &[i16], out: &mut [u8]) -> usize {
        self.inner.encode(samples, out).unwrap_or(0)
    }

    fn expect_loss(&mut self, percent: u8) {
        let percent = percent.min(100);
        if percent != self.loss {
            self.loss = percent;
            // Refused, it goes on as it was: both are advice.
            let _ = self.inner.set_inband_fec(percent > 0);
            let _ = self.inner.set_packet_loss_perc(i32::from(percent));
        }
    }
}
