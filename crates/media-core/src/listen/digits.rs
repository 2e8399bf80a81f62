//! Digits as tones (ITU-T Q.23), detected with the tolerances of Q.24, and protected against speech that resembles them.

use super::Goertzel;
use crate::dtmf_tone::{HIGH, LOW, digit_at};

/// Samples of a block: 12.75 ms, at which the eight frequencies lie near the middle of their bins.
const BLOCK: usize = 102;
/// Blocks in a row that must agree before a digit counts, and that must disagree before it has ended: a tone of 40 ms is
/// found wherever it begins (Q.24 table A-1), one of 23 ms is not; a break of 25 ms does not cut a digit in two.
const BEGIN: u32 = 2;
const END: u32 = 3;
/// The weakest digit: -29 dBm0 a frequency, as amplitude of a sine.
const LEAST_AMPLITUDE: f32 = 820.0;
/// The high group may be up to 8 dB weaker than the low one (it suffers on the line), and 4 dB stronger; 1 dB more each way
/// for what the two leak into each other in so short a block.
const TWIST_LOW: f32 = 9.0;
const TWIST_HIGH: f32 = 3.16;
/// Within its group a frequency is this much (8 dB) above the others.
const PEAK: f32 = 6.31;
/// Both frequencies make up this share of the sound. Speech has more in it: this is what keeps it out.
const SHARE: f32 = 0.72;
/// The second harmonic of the high one stays below this share of it: a voice has harmonics, a generator has not. Those of
/// the low group lie beside the high group and tell nothing.
const HARMONIC: f32 = 0.06;

/// A digit that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToneDigit {
    /// `0-9 * # A-D`.
    pub digit: char,
    /// About how long it sounded.
    pub duration_ms: u32,
}

/// Finds digits in the sound of one party.
#[derive(Clone, Debug)]
pub struct DigitDetector {
    low: [Goertzel; 4],
    high: [Goertzel; 4],
    harmonics: [Goertzel; 4],
    energy: f32,
    filled: usize,
    /// What the last block held, and how many blocks in a row did.
    candidate: Option<char>,
    agreed: u32,
    /// The digit that sounds, its blocks, and the blocks in a row without it.
    sounding: Option<(char, u32)>,
    missing: u32,
}

impl Default for DigitDetector {
    fn default() -> Self {
        let bank = |hz: [u16; 4]| hz.map(|f| Goertzel::new(f32::from(f)));
        DigitDetector {
            low: bank(LOW),
            high: bank(HIGH),
            harmonics: HIGH.map(|f| Goertzel::new(2.0 * f32::from(f))),
            energy: 0.0,
            filled: 0,
            candidate: None,
            agreed: 0,
            sounding: None,
            missing: 0,
        }
    }
}

impl DigitDetector {
    /// Hear samples. A digit comes out when it has ended; at most one does in 20 ms.
    pub fn hear(&mut self, samples: &[i16]) -> Option<ToneDigit> {
        let mut ended = None;
        for &sample in samples {
            let sample = f32::from(sample);
            self.energy += sample * sample;
            for filter in self.low.iter_mut().chain(&mut self.high).chain(&mut self.harmonics) {
                filter.add(sample);
            }
            self.filled += 1;
            if self.filled == BLOCK {
                self.filled = 0;
                let found = self.judge();
                ended = self.follow(found).or(ended);
            }
        }
        ended
    }

    /// The digit in the block that is full, if it is nothing else.
    fn judge(&mut self) -> Option<char> {
        let low = self.low.each_mut().map(Goertzel::take);
        let high = self.high.each_mut().map(Goertzel::take);
        let harmonics = self.harmonics.each_mut().map(Goertzel::take);
        let energy = std::mem::take(&mut self.energy);
        let (row, x) = strongest(&low)?;
        let (column, y) = strongest(&high)?;
        let n = BLOCK as f32;
        let least = (LEAST_AMPLITUDE * n / 2.0).powi(2);
        // For one sine the block's energy is A²n/2, and the filter gives (An/2)²: n/2 times as much.
        let share = (x + y) / (energy * n / 2.0);
        let digit = x > least
            && y > least
            && x < y * TWIST_LOW
            && y < x * TWIST_HIGH
            && share > SHARE
            && harmonics[column] < y * HARMONIC;
        digit.then(|| digit_at(row, column)).flatten()
    }

    fn follow(&mut self, found: Option<char>) -> Option<ToneDigit> {
        self.agreed = if found == self.candidate { self.agreed + 1 } else { 1 };
        self.candidate = found;
        if let Some((digit, blocks)) = &mut self.sounding {
            if found == Some(*digit) {
                *blocks += 1 + std::mem::take(&mut self.missing);
                return None;
            }
            self.missing += 1;
            let another = found.is_some() && self.agreed >= BEGIN;
            if self.missing < END && !another {
                return None;
            }
            let ended = ToneDigit {
                digit: *digit,
                duration_ms: *blocks * BLOCK as u32 / 8,
            };
            self.missing = 0;
            self.sounding = found.filter(|_| another).map(|digit| (digit, BEGIN));
            return Some(ended);
        }
        if let Some(digit) = found.filter(|_| self.agreed >= BEGIN) {
            self.sounding = Some((digit, BEGIN));
            self.missing = 0;
        }
        None
    }
}

/// The strongest of a group, if it stands out.
fn strongest(group: &[f32; 4]) -> Option<(usize, f32)> {
    let (at, &peak) = group.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1))?;
    let stands_out = group.iter().enumerate().all(|(i, &p)| i == at || p * PEAK < peak);
    stands_out.then_some((at, peak))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtmf_tone::frequencies;

    const DIGITS: &str = "0123456789*#ABCD";

    /// Tones of a digit: shifted by a share of their frequency, at two amplitudes.
    fn tone(digit: char, millis: usize, shift: f32, amplitudes: [f32; 2], out: &mut Vec<i16>) {
        let pair = frequencies(digit).unwrap();
        for i in 0..millis * 8 {
            let value: f32 = pair
                .iter()
                .zip(amplitudes)
                .map(|(&hz, a)| a * (std::f32::consts::TAU * f32::from(hz) * (1.0 + shift) * i as f32 / 8000.0).sin())
                .sum();
            out.push(value as i16);
        }
    }

    fn found(samples: &[i16]) -> String {
        let mut detector = DigitDetector::default();
        let mut out: String = samples
            .chunks(160)
            .filter_map(|f| detector.hear(f))
            .map(|d| d.digit)
            .collect();
        out.extend((0..5).filter_map(|_| detector.hear(&[0; 160])).map(|d| d.digit));
        out
    }

    #[test]
    fn every_digit_of_40_ms_with_pauses_of_60_wherever_it_begins() {
        for offset in (0..102).step_by(7) {
            let mut samples = vec![0; offset];
            for digit in DIGITS.chars() {
                tone(digit, 40, 0.0, [4000.0, 4000.0], &mut samples);
                samples.resize(samples.len() + 480, 0);
            }
            assert_eq!(found(&samples), DIGITS, "offset {offset}");
        }
    }

    #[test]
    fn levels_twist_and_frequencies_within_the_tolerances() {
        let one = |shift, amplitudes| {
            let mut samples = Vec::new();
            for digit in DIGITS.chars() {
                tone(digit, 70, shift, amplitudes, &mut samples);
                samples.resize(samples.len() + 560, 0);
            }
            found(&samples)
        };
        for (shift, amplitudes) in [
            (0.0, [1000.0, 1000.0]),
            (0.0, [14_000.0, 14_000.0]),
            (0.0, [4000.0, 2000.0]),
            (0.0, [5000.0, 2000.0]),
            (0.0, [3000.0, 4500.0]),
            (0.015, [4000.0, 4000.0]),
            (-0.015, [4000.0, 4000.0]),
        ] {
            assert_eq!(one(shift, amplitudes), DIGITS, "{shift}, {amplitudes:?}");
        }
        for (shift, amplitudes) in [
            (0.0, [200.0, 200.0]),
            (0.0, [6000.0, 1500.0]),
            (0.0, [1500.0, 6000.0]),
            (0.07, [4000.0, 4000.0]),
        ] {
            assert_eq!(one(shift, amplitudes), "", "{shift}, {amplitudes:?}");
        }
    }

    #[test]
    fn a_long_press_is_one_digit_also_with_a_short_break() {
        let mut samples = Vec::new();
        tone('7', 1500, 0.0, [4000.0, 4000.0], &mut samples);
        samples[4000..4160].fill(0);
        samples.resize(samples.len() + 800, 0);
        let mut detector = DigitDetector::default();
        let digits: Vec<ToneDigit> = samples.chunks(160).filter_map(|f| detector.hear(f)).collect();
        assert_eq!(digits.len(), 1);
        assert!((1450..=1500).contains(&digits[0].duration_ms), "{digits:?}");
        // 20 ms are no digit.
        let mut short = Vec::new();
        tone('7', 20, 0.0, [4000.0, 4000.0], &mut short);
        assert_eq!(found(&short), "");
    }

    #[test]
    fn two_digits_without_a_pause_are_two() {
        let mut samples = Vec::new();
        tone('1', 100, 0.0, [4000.0, 4000.0], &mut samples);
        tone('2', 100, 0.0, [4000.0, 4000.0], &mut samples);
        assert_eq!(found(&samples), "12");
    }

    #[test]
    fn digits_are_found_in_noise_and_noise_is_none() {
        let mut seed = 1u32;
        let mut noise = |amplitude: i32| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((seed >> 16) as i32 % (2 * amplitude) - amplitude) as i16
        };
        let mut samples = Vec::new();
        for digit in DIGITS.chars() {
            tone(digit, 80, 0.0, [4000.0, 4000.0], &mut samples);
            samples.resize(samples.len() + 640, 0);
        }
        // 18 dB below the tones.
        samples.iter_mut().for_each(|s| *s += noise(850));
        assert_eq!(found(&samples), DIGITS);
        let alone: Vec<i16> = (0..8000 * 60).map(|_| noise(8000)).collect();
        assert_eq!(found(&alone), "");
    }

    #[test]
    fn supervisory_tones_are_no_digits() {
        use crate::tone::{Cadence, ToneGenerator};
        for country in ["CN", "US", "GB", "DE", "FR", "JP"] {
            for cadence in [
                Cadence::ringback(country),
                Cadence::busy(country),
                Cadence::congestion(country),
            ] {
                let mut samples = vec![0; 8000 * 10];
                ToneGenerator::new(cadence).fill(&mut samples);
                assert_eq!(found(&samples), "", "{country}");
            }
        }
    }
}
