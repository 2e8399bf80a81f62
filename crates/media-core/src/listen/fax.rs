//! Tones of fax machines (ITU-T T.30): the calling tone of 1,100 Hz, half a second every 3.5 s, and the answering tone of
//! 2,100 Hz of 2.6 to 4 s.

use super::Goertzel;
use crate::FRAME;

/// Share of the sound that the tone makes up, where the filter hears it: 38 Hz beside its frequency it loses 40 %.
const SHARE: f32 = 0.5;
/// Samples of a block: so short that the tone may be that far off.
const BLOCK: usize = 80;
/// Weakest amplitude of the tone: about -38 dBm0.
const LEAST_AMPLITUDE: f32 = 290.0;
/// Frames of 20 ms in a row: 425 ms of the calling tone (T.30 allows 15 % less than half a second), 1 s of the other.
const CALLING_FRAMES: u32 = 20;
const ANSWERING_FRAMES: u32 = 50;

/// Which fax machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaxTone {
    /// CNG: the machine that called.
    Calling,
    /// CED: the machine that was called. Modems answer with the same tone.
    Answering,
}

/// Finds the tones. Each is reported once while it lasts.
#[derive(Clone, Debug)]
pub struct FaxDetector {
    calling: Goertzel,
    answering: Goertzel,
    frames: [u32; 2],
}

impl Default for FaxDetector {
    fn default() -> Self {
        FaxDetector {
            calling: Goertzel::new(1100.0),
            answering: Goertzel::new(2100.0),
            frames: [0; 2],
        }
    }
}

impl FaxDetector {
    /// Hear 20 ms.
    pub fn hear(&mut self, frame: &[i16; FRAME]) -> Option<FaxTone> {
        let n = BLOCK as f32;
        let least = (LEAST_AMPLITUDE * n / 2.0).powi(2) * SHARE;
        let mut sounds = [true; 2];
        for block in frame.as_chunks::<BLOCK>().0 {
            let mut energy = 0.0;
            for &sample in block {
                let sample = f32::from(sample);
                energy += sample * sample;
                self.calling.add(sample);
                self.answering.add(sample);
            }
            let powers = [self.calling.take(), self.answering.take()];
            for (sounds, power) in sounds.iter_mut().zip(powers) {
                *sounds &= power > least && power > SHARE * energy * n / 2.0;
            }
        }
        for (frames, sounds) in self.frames.iter_mut().zip(sounds) {
            *frames = if sounds { frames.saturating_add(1) } else { 0 };
        }
        match self.frames {
            [CALLING_FRAMES, _] => Some(FaxTone::Calling),
            [_, ANSWERING_FRAMES] => Some(FaxTone::Answering),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tone::{Cadence, ToneGenerator};

    fn found(cadence: Cadence, seconds: usize) -> Vec<FaxTone> {
        let mut generator = ToneGenerator::new(cadence);
        let mut detector = FaxDetector::default();
        let mut frame = [0; FRAME];
        let frames = (0..seconds * 50).filter_map(|_| {
            generator.fill(&mut frame);
            detector.hear(&frame)
        });
        frames.collect()
    }

    #[test]
    fn both_machines_are_told_apart_and_each_tone_counts_once() {
        let calling = |hz| Cadence::once(500, [hz, 0], 3000, -25.0);
        for hz in [1062, 1100, 1138] {
            assert_eq!(found(calling(hz), 3), [FaxTone::Calling], "{hz} Hz");
        }
        for hz in [2085, 2100, 2115] {
            assert_eq!(
                found(Cadence::once(3000, [hz, 0], 0, -25.0), 4),
                [FaxTone::Answering],
                "{hz} Hz"
            );
        }
    }

    #[test]
    fn beeps_and_other_tones_are_none() {
        assert!(found(Cadence::beep(1100, 250, -10.0), 2).is_empty());
        assert!(found(Cadence::sine(1000, -10.0), 5).is_empty());
        assert!(found(Cadence::sine(2225, -10.0), 5).is_empty());
        assert!(found(Cadence::busy("CN"), 10).is_empty());
    }
}
