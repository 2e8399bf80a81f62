//! G.711 behind the common traits: a table look-up a sample, no state.

use super::{Decoder, Encoder};
use crate::g711::Law;

impl Decoder for Law {
    fn decode(&mut self, payload: &[u8], out: &mut Vec<i16>) {
        out.extend(payload.iter().map(|&o| Law::decode(*self, o)));
    }

    fn samples(&self, payload: &[u8]) -> usize {
        payload.len()
    }
}

impl Encoder for Law {
    fn encode(&mut self, samples: &[i16], out: &mut [u8]) -> usize {
        self.encode_into(samples, out);
        samples.len().min(out.len())
    }
}
