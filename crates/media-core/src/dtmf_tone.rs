//! Digits as tones in the sound (ITU-T Q.23): what is sent to those who negotiated no telephone events.

use std::collections::VecDeque;

use crate::FRAME;
use crate::dtmf::{MAX_WAITING, event_of};
use crate::tone::{Cadence, ToneGenerator};

/// Frequencies of the rows and of the columns in Hz.
pub const LOW: [u16; 4] = [697, 770, 852, 941];
/// See [`LOW`].
pub const HIGH: [u16; 4] = [1209, 1336, 1477, 1633];

/// The keys, row by row.
const KEYS: [[char; 4]; 4] = [
    ['1', '2', '3', 'A'],
    ['4', '5', '6', 'B'],
    ['7', '8', '9', 'C'],
    ['*', '0', '#', 'D'],
];

/// Level of each of the two frequencies: about -7 dBm0 (ITU-T Q.24 table A-1 lets receivers expect 0 to -25).
const LEVEL_DBFS: f32 = -10.0;
/// Silence between two digits, in ms.
const PAUSE_MS: u32 = 80;

/// The digit of a row and a column, both 0-3.
pub fn digit_at(row: usize, column: usize) -> Option<char> {
    KEYS.get(row)?.get(column).copied()
}

/// The two frequencies of a digit in Hz; letters in either case.
pub fn frequencies(digit: char) -> Option<[u16; 2]> {
    let digit = digit.to_ascii_uppercase();
    KEYS.iter().zip(LOW).find_map(|(row, low)| {
        row.iter()
            .zip(HIGH)
            .find(|(key, _)| **key == digit)
            .map(|(_, high)| [low, high])
    })
}

/// Plays digits one after another, 80 ms apart.
#[derive(Clone, Debug, Default)]
pub struct DtmfTones {
    waiting: VecDeque<(char, u16)>,
    playing: Option<ToneGenerator>,
}

impl DtmfTones {
    /// Add digits of `duration_ms` each (40-5,000); characters that are none are skipped. Returns false, and adds nothing,
    /// when too many would wait.
    pub fn push(&mut self, digits: &str, duration_ms: u16) -> bool {
        let duration = duration_ms.clamp(40, 5000);
        let digits = digits.chars().filter(|&d| event_of(d).is_some());
        if self.waiting.len() + digits.clone().count() > MAX_WAITING {
            return false;
        }
        self.waiting.extend(digits.map(|d| (d, duration)));
        true
    }

    /// The next 20 ms; false, with silence, when nothing is left.
    pub fn next(&mut self, out: &mut [i16; FRAME]) -> bool {
        out.fill(0);
        let mut at = 0;
        while at < FRAME {
            let Some(tone) = &mut self.playing else {
                let Some((digit, duration)) = self.waiting.pop_front() else {
                    return at > 0;
                };
                let pair = frequencies(digit).unwrap_or_default();
                let cadence = Cadence::once(u32::from(duration), pair, PAUSE_MS, LEVEL_DBFS);
                self.playing = Some(ToneGenerator::new(cadence));
                continue;
            };
            let made = tone.fill(&mut out[at..]);
            at += made;
            if at < FRAME {
                self.playing = None;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::level;

    #[test]
    fn two_digits_sound_one_after_the_other() {
        let mut tones = DtmfTones::default();
        assert!(tones.push("1x#", 100));
        let mut heard = Vec::new();
        let mut frame = [0; FRAME];
        while tones.next(&mut frame) {
            heard.extend_from_slice(&frame);
        }
        // Twice 100 ms and 80 ms of silence.
        assert_eq!(heard.len(), 8 * 360);
        for (start, digit) in [(0, '1'), (8 * 180, '#')] {
            let span = &heard[start..start + 800];
            for hz in frequencies(digit).unwrap() {
                assert!((level(span, f32::from(hz)) - LEVEL_DBFS).abs() < 0.5, "{digit}: {hz}");
            }
            assert!(heard[start + 800..start + 1440].iter().all(|&s| s == 0));
        }
        assert_eq!(frequencies('d'), Some([941, 1633]));
        assert!(frequencies('E').is_none());
    }

    #[test]
    fn the_waiting_line_is_bounded() {
        let mut tones = DtmfTones::default();
        assert!(tones.push(&"1".repeat(MAX_WAITING), 100));
        assert!(!tones.push("2", 100));
    }
}
