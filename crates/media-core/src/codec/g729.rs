//! G.729: frames of 10 ms in 10 octets. Silence descriptors of Annex B (2 octets at the end of a packet) are read, so is
//! their absence; what we send has no silence suppression.

use g729_sys::{FRAME_SAMPLES, VOICE_FRAME_BYTES};

const SILENCE_DESCRIPTOR: usize = 2;

/// How long a payload lasts: its whole frames, and one for a silence descriptor (RFC 3551 section 4.5.6).
pub(super) fn samples(payload: &[u8]) -> usize {
    let descriptor = usize::from(payload.len() % VOICE_FRAME_BYTES == SILENCE_DESCRIPTOR);
    ((payload.len() / VOICE_FRAME_BYTES + descriptor) * FRAME_SAMPLES).min(super::MAX_PACKET_SAMPLES)
}

pub(super) struct Decoder {
    inner: g729_sys::Decoder,
    pausing: bool,
}

impl Decoder {
    pub(super) fn new() -> Decoder {
        Decoder {
            inner: g729_sys::Decoder::new(),
            pausing: false,
        }
    }
}

impl super::Decoder for Decoder {
    fn decode(&mut self, payload: &[u8], out: &mut Vec<i16>) {
        let mut left = samples(payload) / FRAME_SAMPLES;
        for frame in payload.chunks(VOICE_FRAME_BYTES) {
            if left == 0 {
                break;
            }
            match frame.len() {
                VOICE_FRAME_BYTES => {
                    out.extend_from_slice(&self.inner.decode(frame, false, false, false));
                    self.pausing = false;
                }
                SILENCE_DESCRIPTOR => {
                    out.extend_from_slice(&self.inner.decode(frame, false, true, false));
                    self.pausing = true;
                }
                _ => break,
            }
            left -= 1;
        }
    }

    fn samples(&self, payload: &[u8]) -> usize {
        samples(payload)
    }

    fn conceal(&mut self, samples: usize, out: &mut Vec<i16>) -> bool {
        let target = out.len() + samples;
        while out.len() < target {
            // No payload: noise while the sender pauses, an erased frame (clause 4.4 of the recommendation) otherwise.
            out.extend_from_slice(&self.inner.decode(&[], !self.pausing, self.pausing, false));
        }
        out.truncate(target);
        true
    }

    fn pausing(&self) -> bool {
        self.pausing
    }
}

pub(super) struct Encoder(g729_sys::Encoder);

impl Encoder {
    pub(super) fn new() -> Encoder {
        Encoder(g729_sys::Encoder::new(false))
    }
}

impl super::Encoder for Encoder {
    fn encode(&mut self, samples: &[i16], out: &mut [u8]) -> usize {
        let mut written = 0;
        let frames = samples.as_chunks::<FRAME_SAMPLES>().0;
        for (frame, octets) in frames.iter().zip(out.as_chunks_mut::<VOICE_FRAME_BYTES>().0) {
            written += usize::from(self.0.encode_into(frame, octets));
        }
        written
    }
}
