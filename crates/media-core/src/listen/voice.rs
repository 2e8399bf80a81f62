//! Voice activity: when a party begins and ends to talk, against a floor of noise that is followed.

use crate::{FRAME, probe};

/// A voice is at least this much above the noise, in dB.
const ABOVE: f32 = 9.0;
/// And at least this loud: about -42 dBm0.
const LEAST_DBFS: f32 = -45.0;
/// The floor rises by so many dB in 20 ms: 3 dB a second, so that a talker does not lift it before the next pause.
const RISE: f32 = 0.06;
/// The floor is never taken to be higher than this.
const HIGHEST_FLOOR: f32 = -30.0;
/// Frames of 20 ms with voice before it counts, and without before it has ended.
const BEGIN: u32 = 3;
const END: u32 = 25;

/// A change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voice {
    /// The party began to talk, about 60 ms ago.
    Began,
    /// It has been silent for half a second.
    Ended,
}

/// Tells frames with a voice from those without.
#[derive(Clone, Debug)]
pub(super) struct Energy {
    floor: f32,
}

impl Default for Energy {
    fn default() -> Self {
        Energy { floor: -60.0 }
    }
}

impl Energy {
    /// Whether 20 ms hold a voice.
    pub(super) fn is_voice(&mut self, frame: &[i16; FRAME]) -> bool {
        let level = probe::rms(frame);
        self.floor = if level < self.floor {
            // Quieter: believed soon, but not for one frame of digital silence.
            self.floor + (level.max(-75.0) - self.floor) * 0.2
        } else {
            (self.floor + RISE).min(HIGHEST_FLOOR)
        };
        level > LEAST_DBFS && level > self.floor + ABOVE
    }
}

/// Finds beginnings and ends of talking.
#[derive(Clone, Debug, Default)]
pub struct VoiceDetector {
    energy: Energy,
    talking: bool,
    /// Frames in a row that say otherwise.
    against: u32,
}

impl VoiceDetector {
    /// Hear 20 ms.
    pub fn hear(&mut self, frame: &[i16; FRAME]) -> Option<Voice> {
        let voice = self.energy.is_voice(frame);
        if voice == self.talking {
            self.against = 0;
            return None;
        }
        self.against += 1;
        let (needed, change) = if voice {
            (BEGIN, Voice::Began)
        } else {
            (END, Voice::Ended)
        };
        if self.against < needed {
            return None;
        }
        self.against = 0;
        self.talking = voice;
        Some(change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noise at a level in dBFS, as a sine measures.
    fn noise(seed: &mut u32, dbfs: f32, frames: usize) -> Vec<[i16; FRAME]> {
        let amplitude = 32767.0 * 10f32.powf(dbfs / 20.0) * 1.5f32.sqrt() / 2f32.sqrt() * 2f32.sqrt();
        (0..frames)
            .map(|_| {
                std::array::from_fn(|_| {
                    *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (((*seed >> 8) as f32 / 8_388_608.0 - 1.0) * amplitude) as i16
                })
            })
            .collect()
    }

    #[test]
    fn talk_spurts_are_found_over_silence_and_over_noise() {
        for floor in [-80.0, -50.0, -38.0] {
            let mut seed = 3;
            let mut detector = VoiceDetector::default();
            let mut changes = Vec::new();
            let mut at = 0;
            // Ten seconds to get used to the noise, then two spurts of a second.
            for (dbfs, frames) in [(floor, 500), (-18.0, 50), (floor, 100), (-18.0, 50), (floor, 100)] {
                for frame in noise(&mut seed, dbfs, frames) {
                    at += 1;
                    changes.extend(detector.hear(&frame).map(|c| (c, at)));
                }
            }
            let kinds: Vec<Voice> = changes.iter().map(|c| c.0).collect();
            assert_eq!(
                kinds[kinds.len() - 4..],
                [Voice::Began, Voice::Ended, Voice::Began, Voice::Ended],
                "{floor}: {changes:?}"
            );
            let last = &changes[changes.len() - 4..];
            assert!((502..=505).contains(&last[0].1), "{floor}: {changes:?}");
            assert!((570..=580).contains(&last[1].1), "{floor}: {changes:?}");
        }
    }

    #[test]
    fn a_click_is_no_voice() {
        let mut detector = VoiceDetector::default();
        let mut seed = 1;
        for i in 0..200 {
            let level = if i % 50 == 10 { -10.0 } else { -70.0 };
            let [frame] = noise(&mut seed, level, 1)[..] else {
                panic!()
            };
            assert_eq!(detector.hear(&frame), None);
        }
    }
}
