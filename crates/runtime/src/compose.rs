//! Spoken data as sounds: recorded units joined without clicks, at one level.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use strowger_core::spoken::{Language, Piece};
use strowger_media::Sound;

/// The units of all languages, and what was joined from them before.
#[derive(Default)]
pub(crate) struct Units {
    /// Linear samples at 8 kHz.
    recorded: HashMap<(Language, &'static str), Box<[i16]>>,
    joined: RwLock<Joined>,
}

/// Joined sounds in memory, with what they take.
#[derive(Default)]
struct Joined {
    sounds: HashMap<(Language, Box<[Piece]>), Arc<Sound>>,
    bytes: usize,
}

/// Why pieces could not be made into a sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ComposeError {
    /// A unit has no recording; the item that needs it fails (voice-paas P13).
    #[error("there is no recording of the unit {code}/units/{unit}.wav", code = .language.code())]
    Missing {
        /// Whose unit.
        language: Language,
        /// Stem of the file's name.
        unit: &'static str,
    },
    /// Nobody listens that long, and memory is bounded.
    #[error("what is to be said lasts longer than {} seconds", MAX_SAMPLES / SAMPLES_A_MS / 1000)]
    TooLong,
}

const SAMPLES_A_MS: usize = 8;
/// Ends of a unit are faded over this many samples (5 ms), and units that follow one another overlap by as much.
const FADE: usize = 5 * SAMPLES_A_MS;
/// Five minutes.
const MAX_SAMPLES: usize = 300_000 * SAMPLES_A_MS;
/// Memory for joined sounds, about ten minutes of them; beyond it the cache starts anew.
const MAX_JOINED_BYTES: usize = 20 << 20;
/// A joined sample: linear, A-law and µ-law.
const BYTES_A_SAMPLE: usize = 4;
/// The level of each unit, RMS of full scale: -21 dBFS.
const LEVEL: f64 = 0.0891 * 32768.0;
/// No sample is raised above this: -3 dBFS.
const PEAK: f64 = 0.7079 * 32768.0;

impl Units {
    /// Takes in a recording, brought to the common level.
    pub(crate) fn add(&mut self, language: Language, unit: &'static str, recording: &Sound) {
        self.recorded.insert((language, unit), levelled(recording.pcm()));
    }

    /// The pieces as one sound.
    pub(crate) fn compose(&self, language: Language, pieces: &[Piece]) -> Result<Arc<Sound>, ComposeError> {
        let key = (language, pieces.into());
        let joined = self.joined.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(sound) = joined.sounds.get(&key) {
            return Ok(sound.clone());
        }
        drop(joined);
        let sound = Arc::new(Sound::from_samples(self.join(language, pieces)?));
        let size = sound.pcm().len() * BYTES_A_SAMPLE + size_of_val(pieces);
        let mut joined = self.joined.write().unwrap_or_else(PoisonError::into_inner);
        if joined.bytes + size > MAX_JOINED_BYTES {
            *joined = Joined::default();
        }
        joined.bytes += size;
        joined.sounds.insert(key, sound.clone());
        Ok(sound)
    }

    fn join(&self, language: Language, pieces: &[Piece]) -> Result<Vec<i16>, ComposeError> {
        let mut out: Vec<i16> = Vec::new();
        let mut after_unit = false;
        for &piece in pieces {
            let more = match piece {
                Piece::Pause(ms) => {
                    after_unit = false;
                    out.resize(out.len() + usize::from(ms) * SAMPLES_A_MS, 0);
                    continue;
                }
                Piece::Unit(unit) => self
                    .recorded
                    .get(&(language, unit))
                    .ok_or(ComposeError::Missing { language, unit })?,
            };
            let overlap = if after_unit { FADE.min(out.len()) } else { 0 };
            let start = out.len() - overlap;
            out.resize(start + more.len().max(overlap), 0);
            let fade = FADE.min(more.len() / 2).max(1);
            for (i, &sample) in more.iter().enumerate() {
                let edge = (i + 1).min(more.len() - i).min(fade);
                let faded = i32::from(sample) * edge as i32 / fade as i32;
                let sum = i32::from(out[start + i]) + faded;
                out[start + i] = sum.clamp(i16::MIN.into(), i16::MAX.into()) as i16;
            }
            after_unit = true;
            if out.len() > MAX_SAMPLES {
                return Err(ComposeError::TooLong);
            }
        }
        if out.len() > MAX_SAMPLES {
            return Err(ComposeError::TooLong);
        }
        Ok(out)
    }
}

/// The samples at the common level, or as near to it as their peak allows; silence as it is.
fn levelled(samples: &[i16]) -> Box<[i16]> {
    let energy: f64 = samples.iter().map(|&s| f64::from(s) * f64::from(s)).sum();
    let peak = samples.iter().map(|&s| f64::from(s).abs()).fold(0.0, f64::max);
    if peak < 1.0 {
        return samples.into();
    }
    let rms = (energy / samples.len() as f64).sqrt();
    let gain = (LEVEL / rms).min(PEAK / peak);
    samples.iter().map(|&s| (f64::from(s) * gain) as i16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(amplitude: f64, ms: usize) -> Sound {
        let sample = |i: usize| (amplitude * (std::f64::consts::TAU * 700.0 * i as f64 / 8000.0).cos()) as i16;
        Sound::from_samples((0..ms * SAMPLES_A_MS).map(sample).collect())
    }

    fn units() -> Units {
        let mut units = Units::default();
        // One that a studio cut loud and without a fade, and one that is far too soft.
        units.add(Language::English, "1", &tone(30_000.0, 100));
        units.add(Language::English, "2", &tone(900.0, 100));
        units
    }

    fn rms(samples: &[i16]) -> f64 {
        let sum: f64 = samples.iter().map(|&s| f64::from(s).powi(2)).sum();
        (sum / samples.len() as f64).sqrt()
    }

    #[test]
    fn units_come_at_one_level_and_meet_without_a_step() {
        let units = units();
        let pieces = [Piece::Unit("1"), Piece::Unit("2"), Piece::Pause(100), Piece::Unit("1")];
        let sound = units.compose(Language::English, &pieces).unwrap();
        let pcm = sound.pcm();
        // 100 + 100 - 5 + 100 + 100 ms.
        assert_eq!(pcm.len(), 395 * SAMPLES_A_MS);
        let middle = |ms: usize| rms(&pcm[ms * SAMPLES_A_MS..(ms + 60) * SAMPLES_A_MS]);
        for at in [20, 115, 315] {
            assert!((20.0 * (middle(at) / LEVEL).log10()).abs() < 0.5, "{}", middle(at));
        }
        assert!(pcm[196 * SAMPLES_A_MS..294 * SAMPLES_A_MS].iter().all(|&s| s == 0));
        // A 700 Hz tone of this level never moves by more between two samples; a click would.
        let steepest = LEVEL * 2f64.sqrt() * std::f64::consts::TAU * 700.0 / 8000.0;
        let step = pcm.windows(2).map(|w| f64::from(w[1]) - f64::from(w[0])).map(f64::abs);
        assert!(step.fold(0.0, f64::max) <= steepest * 1.05);
        assert!(f64::from(pcm[0]).abs() < LEVEL / 10.0 && f64::from(pcm[pcm.len() - 1]).abs() < LEVEL / 10.0);
    }

    #[test]
    fn what_was_joined_is_kept_within_bounds() {
        let units = units();
        let once = units.compose(Language::English, &[Piece::Unit("1")]).unwrap();
        let twice = units.compose(Language::English, &[Piece::Unit("1")]).unwrap();
        assert!(Arc::ptr_eq(&once, &twice));
        for length in 1..60 {
            let pieces = [Piece::Unit("1"), Piece::Pause(60_000 + length)];
            units.compose(Language::English, &pieces).unwrap();
            assert!(units.joined.read().unwrap().bytes <= MAX_JOINED_BYTES);
        }
        let endless = [Piece::Pause(u16::MAX); 5];
        assert_eq!(
            units.compose(Language::English, &endless).err(),
            Some(ComposeError::TooLong)
        );
    }

    #[test]
    fn a_missing_unit_is_named() {
        let error = units().compose(Language::Chinese, &[Piece::Unit("2-liang")]).err();
        assert!(error.unwrap().to_string().contains("zh/units/2-liang.wav"));
    }

    #[test]
    fn silent_and_very_short_recordings_are_no_fault() {
        let mut units = Units::default();
        for samples in [0, 1, 3] {
            units.add(Language::English, "1", &Sound::from_samples(vec![7; samples]));
            units.add(Language::English, "2", &Sound::from_samples(vec![0; samples]));
            units.joined = RwLock::default();
            let pieces = [Piece::Unit("1"), Piece::Unit("2"), Piece::Unit("1")];
            assert!(units.compose(Language::English, &pieces).is_ok());
        }
    }
}
