//! What is heard: a timeline of samples, and probes of single frequencies in it.

use std::sync::OnceLock;
use std::time::{Duration, Instant};
use strowger_media_core::{probe, wav};

/// Samples of a millisecond.
const PER_MS: usize = 8;
/// Length of a probed window.
const WINDOW_MS: usize = 60;
/// A frequency at or above this level, in dBFS, is heard. Parties and prompts of the tests are about -16 dBFS, so that a
/// mix of three does not saturate.
const HEARD_DBFS: f32 = -30.0;
/// Amplitude of the tests' own tones: -16 dBFS.
pub const AMPLITUDE: f64 = 5193.0;

/// The moment from which all timelines of this process count.
pub fn epoch() -> Instant {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    *EPOCH.get_or_init(Instant::now)
}

/// Milliseconds since the [`epoch`].
pub fn now_ms() -> usize {
    epoch().elapsed().as_millis() as usize
}

/// A sine of the tests' level: 8 kHz samples.
pub fn tone(hz: f32, length: Duration) -> Vec<i16> {
    let n = length.as_millis() as usize * PER_MS;
    let step = std::f64::consts::TAU * f64::from(hz) / 8000.0;
    (0..n).map(|i| (AMPLITUDE * (step * i as f64).sin()) as i16).collect()
}

/// A mono 8 kHz PCM file.
pub fn wav_file(samples: &[i16]) -> Vec<u8> {
    let mut file = wav::header(1, 8000, samples.len() as u64 * 2).to_vec();
    file.extend(samples.iter().flat_map(|s| s.to_le_bytes()));
    file
}

/// A stretch of sound, from a moment on.
#[derive(Clone, Debug, Default)]
pub struct Sound {
    /// Milliseconds since the epoch of the first sample.
    pub from_ms: usize,
    /// 8 kHz samples.
    pub samples: Vec<i16>,
}

impl Sound {
    /// Puts samples where they belong; gaps are silence.
    pub fn put(&mut self, at_sample: usize, samples: &[i16]) {
        let end = at_sample + samples.len();
        if self.samples.len() < end {
            self.samples.resize(end, 0);
        }
        self.samples[at_sample..end].copy_from_slice(samples);
    }

    /// The level of a frequency in the window that begins at this time, in dBFS.
    fn level(&self, hz: f32, at_ms: usize) -> f32 {
        let from = at_ms.saturating_sub(self.from_ms) * PER_MS;
        let end = (from + WINDOW_MS * PER_MS).min(self.samples.len());
        probe::level(self.samples.get(from..end).unwrap_or_default(), hz)
    }

    /// Time of the last sample.
    pub fn end_ms(&self) -> usize {
        self.from_ms + self.samples.len() / PER_MS
    }

    /// The spans in which a frequency is heard, in milliseconds since the epoch, to 20 ms. Gaps below 100 ms are joined:
    /// a lost packet does not make two spans.
    pub fn spans(&self, hz: f32) -> Vec<(usize, usize)> {
        let mut spans: Vec<(usize, usize)> = Vec::new();
        let mut at = self.from_ms;
        while at + WINDOW_MS <= self.end_ms() {
            if self.level(hz, at) >= HEARD_DBFS {
                match spans.last_mut() {
                    Some(last) if at < last.1 + 100 => last.1 = at + WINDOW_MS,
                    _ => spans.push((at, at + WINDOW_MS)),
                }
            }
            at += 20;
        }
        spans
    }

    /// Milliseconds for which a frequency is heard.
    pub fn heard_ms(&self, hz: f32) -> usize {
        self.spans(hz).iter().map(|(a, b)| b - a).sum()
    }

    /// Milliseconds for which a frequency is heard between two moments.
    pub fn heard_between(&self, hz: f32, from: usize, to: usize) -> usize {
        let spans = self.spans(hz);
        spans
            .iter()
            .map(|(a, b)| (*b).min(to).saturating_sub((*a).max(from)))
            .sum()
    }

    /// Whether a frequency is heard in the last 200 ms.
    pub fn hears_now(&self, hz: f32, now_ms: usize) -> bool {
        let from = now_ms.saturating_sub(200).max(self.from_ms);
        (0..4).any(|i| from + i * 40 + WINDOW_MS <= self.end_ms() && self.level(hz, from + i * 40) >= HEARD_DBFS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_is_heard_where_it_is_and_no_other() {
        let mut sound = Sound::default();
        sound.put(8000, &tone(600.0, Duration::from_secs(1)));
        sound.put(24_000, &[0; 8000]);
        assert_eq!(sound.spans(750.0), []);
        let [(from, to)] = sound.spans(600.0)[..] else {
            panic!("one span expected: {:?}", sound.spans(600.0));
        };
        assert!(
            (920..=1020).contains(&from) && (1980..=2080).contains(&to),
            "{from}-{to}"
        );
        assert!(sound.hears_now(600.0, 1900));
        assert!(!sound.hears_now(600.0, 2500));
    }
}
