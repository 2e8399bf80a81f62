//! G.722 at 64 kbit/s. Of what comes in, the lower half band is decoded: 8 kHz samples. What we send is our sound at 16 kHz.

use crate::resample::Doubler;
use audio_codec::g722::{Bitrate, G722Decoder, G722Encoder};
use audio_codec::{Decoder as _, Encoder as _};

/// One octet is one sample of each half band.
pub(super) struct Decoder(G722Decoder);

impl Decoder {
    pub(super) fn new() -> Decoder {
        Decoder(G722Decoder::with_options(Bitrate::Mode1_64000, false, true))
    }
}

impl super::Decoder for Decoder {
    fn decode(&mut self, payload: &[u8], out: &mut Vec<i16>) {
        let before = out.len();
        let payload = &payload[..payload.len().min(super::MAX_PACKET_SAMPLES)];
        out.resize(before + payload.len(), 0);
        let decoded = self.0.decode_into(payload, &mut out[before..]).unwrap_or(0);
        out.truncate(before + decoded);
    }

    fn samples(&self, payload: &[u8]) -> usize {
        payload.len().min(super::MAX_PACKET_SAMPLES)
    }
}

/// Largest packet time that is encoded, in samples of ours.
const MAX_SAMPLES: usize = 480;

pub(super) struct Encoder {
    inner: G722Encoder,
    doubler: Doubler,
}

impl Encoder {
    pub(super) fn new() -> Encoder {
        Encoder {
            inner: G722Encoder::new(),
            doubler: Doubler::default(),
        }
    }
}

impl super::Encoder for Encoder {
    fn encode(&mut self, samples: &[i16], out: &mut [u8]) -> usize {
        let samples = &samples[..samples.len().min(MAX_SAMPLES)];
        let mut wide = [0i16; 2 * MAX_SAMPLES];
        let wide = &mut wide[..2 * samples.len()];
        self.doubler.convert(samples, wide);
        self.inner.encode_into(wide, out).unwrap_or(0)
    }
}
