//! The beep after which an answering machine records: one steady tone of any pitch, and then silence.

use super::Goertzel;
use crate::FRAME;

/// Weakest level of the tone: about -38 dBm0, as RMS of the samples.
const LEAST_RMS: f32 = 205.0;
/// Share of a frame that one sine of the pitch makes up. Companding leaves 98 % of a beep; two tones have half of it each.
const SHARE: f32 = 0.88;
/// Pitches in Hz.
const LOWEST: f32 = 350.0;
const HIGHEST: f32 = 2_600.0;
/// How far a frame's pitch may be from the one before it, and from the first one, as a share.
const STEADY: f32 = 0.012;
/// Frames of 20 ms: 120 ms to 2 s. Shorter ones are speech, longer ones tones of the network.
const SHORTEST: u32 = 6;
const LONGEST: u32 = 100;
/// Frames of silence that make it the end of the greeting.
const SILENCE: u32 = 5;
/// The tone is gone when the level has fallen to this share of it.
const FALLEN: f32 = 0.1;

/// Frames between the tone and the silence: the one in which it ends, and one of echo.
const EDGE: u32 = 2;

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Nothing,
    /// A steady tone lasts.
    Tone { pitch: f32, rms: f32, frames: u32 },
    /// One of the right length is over.
    Over { rms: f32, edge: u32, silence: u32 },
}

/// Finds beeps, each when it is over.
#[derive(Clone, Debug, Default)]
pub struct BeepDetector {
    state: State,
}

/// Pitch and RMS of a frame that is one sine.
fn sine(frame: &[i16; FRAME]) -> Option<(f32, f32)> {
    // x[n+1] + x[n-1] = 2 cos(w) x[n] holds for a sine; the least squares give cos(w).
    let (mut product, mut energy) = (0.0f32, 0.0f32);
    for w in frame.windows(3) {
        let (before, here, after) = (f32::from(w[0]), f32::from(w[1]), f32::from(w[2]));
        product += here * (before + after);
        energy += here * here;
    }
    let n = (FRAME - 2) as f32;
    let rms = (energy / n).sqrt();
    if rms < LEAST_RMS {
        return None;
    }
    let radians = (product / energy / 2.0).clamp(-1.0, 1.0).acos();
    let pitch = radians * crate::RATE as f32 / std::f32::consts::TAU;
    if !(LOWEST..HIGHEST).contains(&pitch) {
        return None;
    }
    let mut filter = Goertzel::new(pitch);
    for &sample in &frame[1..FRAME - 1] {
        filter.add(f32::from(sample));
    }
    // All of the energy of a sine is n/2 times the squared magnitude of its one line, halved.
    (filter.take() > SHARE * energy * n / 2.0).then_some((pitch, rms))
}

impl BeepDetector {
    /// Hear 20 ms; true when a beep is over: who wants to be recorded may begin to talk.
    pub fn hear(&mut self, frame: &[i16; FRAME]) -> bool {
        if let Some((now, level)) = sine(frame) {
            self.state = match self.state {
                State::Tone { pitch, rms, frames } if (now - pitch).abs() < STEADY * pitch && level > rms * 0.5 => {
                    State::Tone {
                        pitch,
                        rms,
                        frames: frames.saturating_add(1),
                    }
                }
                _ => State::Tone {
                    pitch: now,
                    rms: level,
                    frames: 1,
                },
            };
            return false;
        }
        let quiet = |rms: f32| {
            let energy: f32 = frame.iter().map(|&s| f32::from(s) * f32::from(s)).sum();
            (energy / FRAME as f32).sqrt() < rms * FALLEN
        };
        self.state = match self.state {
            State::Tone { rms, frames, .. } if (SHORTEST..=LONGEST).contains(&frames) => {
                let silence = u32::from(quiet(rms));
                State::Over {
                    rms,
                    edge: 1 - silence,
                    silence,
                }
            }
            State::Over { rms, edge, silence } if quiet(rms) => {
                if silence + 1 == SILENCE {
                    self.state = State::Nothing;
                    return true;
                }
                State::Over {
                    rms,
                    edge,
                    silence: silence + 1,
                }
            }
            State::Over { rms, edge, silence: 0 } if edge < EDGE => State::Over {
                rms,
                edge: edge + 1,
                silence: 0,
            },
            _ => State::Nothing,
        };
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::g711::Law;
    use crate::tone::{Cadence, ToneGenerator};

    /// At which ms beeps were found in a tone of this pitch, length and level after half a second of silence.
    fn found(hz: u16, ms: u32, dbfs: f32, law: Option<Law>) -> Vec<u32> {
        let mut samples = vec![0; 4000];
        let mut tone = vec![0; ms as usize * 8];
        ToneGenerator::new(Cadence::once(ms, [hz, 0], 0, dbfs)).fill(&mut tone);
        samples.extend(tone);
        samples.resize(samples.len() + 8000, 0);
        if let Some(law) = law {
            for s in &mut samples {
                *s = law.decode(law.encode(*s));
            }
        }
        let mut detector = BeepDetector::default();
        let frames = samples.as_chunks::<FRAME>().0.iter().enumerate();
        frames
            .filter(|(_, f)| detector.hear(f))
            .map(|(i, _)| (i as u32 + 1) * 20)
            .collect()
    }

    #[test]
    fn a_beep_is_found_when_it_is_over() {
        for hz in [400, 440, 853, 1000, 1400, 2000, 2500] {
            for (ms, dbfs) in [(150, -10.0), (200, -20.0), (400, -30.0), (1000, -12.0), (1900, -20.0)] {
                for law in [None, Some(Law::A), Some(Law::Mu)] {
                    let at = found(hz, ms, dbfs, law);
                    assert_eq!(at.len(), 1, "{hz} Hz, {ms} ms, {dbfs} dB, {law:?}: {at:?}");
                    assert!(
                        (500 + ms + 80..=500 + ms + 160).contains(&at[0]),
                        "{hz} Hz, {ms} ms: {at:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn tones_that_are_too_short_too_long_too_low_or_two_are_none() {
        assert_eq!(found(1000, 60, -20.0, None), []);
        assert_eq!(found(1000, 2500, -20.0, None), []);
        assert_eq!(found(200, 400, -20.0, None), []);
        assert_eq!(found(1000, 400, -50.0, None), []);
        let mut detector = BeepDetector::default();
        let mut keys = crate::dtmf_tone::DtmfTones::default();
        keys.push("159*", 200);
        let mut frame = [0; FRAME];
        for _ in 0..200 {
            keys.next(&mut frame);
            assert!(!detector.hear(&frame), "keys are no beep");
        }
    }
}
