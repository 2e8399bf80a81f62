//! Supervisory tones: cadences and their generator; the countries' are in [`tone_plan`].

use crate::tone_plan;

/// One part of a cadence: up to two frequencies at once, or silence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Segment {
    /// Length in ms.
    pub millis: u32,
    /// Frequencies in Hz; 0 = unused. Both 0 = silence.
    pub frequencies: [u16; 2],
}

impl Segment {
    pub(crate) const fn on(millis: u32, first: u16, second: u16) -> Segment {
        Segment {
            millis,
            frequencies: [first, second],
        }
    }

    pub(crate) const fn off(millis: u32) -> Segment {
        Segment {
            millis,
            frequencies: [0, 0],
        }
    }
}

/// A tone with its cadence.
#[derive(Clone, Debug, PartialEq)]
pub struct Cadence {
    /// The parts, in order. Parts of length 0 are skipped.
    pub segments: Vec<Segment>,
    /// Begin again after the last part.
    pub cycles: bool,
    /// Peak level of each frequency in dBFS (0 dBFS = full-scale sine, which is +3.14 dBm0 in G.711).
    pub level_dbfs: f32,
}

/// Level of supervisory tones: about -10 dBm0 (ITU-T E.180 recommends -10 ± 5 dBm0).
pub const SUPERVISORY_DBFS: f32 = -13.0;

impl Cadence {
    fn supervisory(segments: &[Segment]) -> Cadence {
        Cadence {
            segments: segments.to_vec(),
            cycles: true,
            level_dbfs: SUPERVISORY_DBFS,
        }
    }

    /// A steady sine until it is replaced.
    pub fn sine(hz: u16, level_dbfs: f32) -> Cadence {
        // One second holds a whole number of periods, so the repetition is seamless.
        Cadence {
            segments: vec![Segment::on(1000, hz, 0)],
            cycles: true,
            level_dbfs,
        }
    }

    /// One sine of `millis`, then the end: a recording beep, for example.
    pub fn beep(hz: u16, millis: u32, level_dbfs: f32) -> Cadence {
        Cadence {
            segments: vec![Segment::on(millis, hz, 0)],
            cycles: false,
            level_dbfs,
        }
    }

    /// Two sines at once for `millis`, silence for `pause_ms`, then the end.
    pub fn once(millis: u32, frequencies: [u16; 2], pause_ms: u32, level_dbfs: f32) -> Cadence {
        let [first, second] = frequencies;
        Cadence {
            segments: vec![Segment::on(millis, first, second), Segment::off(pause_ms)],
            cycles: false,
            level_dbfs,
        }
    }

    /// Ringing tone of a country (ISO 3166-1 alpha-2, any case); unknown countries get the ITU-T E.180 tone.
    pub fn ringback(country: &str) -> Cadence {
        Cadence::supervisory(tone_plan::of(country).ringback)
    }

    /// Busy tone of a country.
    pub fn busy(country: &str) -> Cadence {
        Cadence::supervisory(tone_plan::of(country).busy)
    }

    /// Congestion (reorder) tone of a country.
    pub fn congestion(country: &str) -> Cadence {
        Cadence::supervisory(tone_plan::of(country).congestion)
    }

    /// Dial tone of a country.
    pub fn dial(country: &str) -> Cadence {
        Cadence::supervisory(tone_plan::of(country).dial)
    }
}

/// A quarter of the accuracy of `i16` is enough for tones: 2,048 points with linear interpolation.
const TABLE: usize = 2048;

fn sine_table() -> &'static [f32; TABLE + 1] {
    static TABLE_CELL: std::sync::OnceLock<Box<[f32; TABLE + 1]>> = std::sync::OnceLock::new();
    TABLE_CELL.get_or_init(|| {
        let mut table = Box::new([0.0; TABLE + 1]);
        for (i, value) in table.iter_mut().enumerate() {
            *value = (i as f64 * std::f64::consts::TAU / TABLE as f64).sin() as f32;
        }
        table
    })
}

/// The sine of a phase where 2^32 is a full turn.
fn sine(phase: u32) -> f32 {
    let table = sine_table();
    let index = (phase >> 21) as usize;
    let fraction = (phase & 0x1F_FFFF) as f32 / 2_097_152.0;
    table[index] + (table[index + 1] - table[index]) * fraction
}

/// Produces a cadence's samples at 8 kHz. The phase is an integer, so it does not drift however long the tone lasts.
#[derive(Clone, Debug)]
pub struct ToneGenerator {
    cadence: Cadence,
    amplitude: f32,
    segment: usize,
    /// Samples already produced of the present segment.
    position: u32,
}

impl ToneGenerator {
    /// Start at the cadence's beginning.
    pub fn new(cadence: Cadence) -> ToneGenerator {
        let amplitude = 32767.0 * 10f32.powf(cadence.level_dbfs.min(0.0) / 20.0);
        ToneGenerator {
            cadence,
            amplitude,
            segment: 0,
            position: 0,
        }
    }

    /// Fill `out` and return how many samples the cadence still had; fewer than `out.len()` means that it ended, and the
    /// rest is silence.
    pub fn fill(&mut self, out: &mut [i16]) -> usize {
        let mut done = 0;
        let mut empty_segments = 0;
        while done < out.len() {
            let Some(&segment) = self.cadence.segments.get(self.segment) else {
                if !self.cadence.cycles || empty_segments >= self.cadence.segments.len() {
                    break;
                }
                self.segment = 0;
                continue;
            };
            let length = segment.millis.saturating_mul(8);
            let count = (length.saturating_sub(self.position) as usize).min(out.len() - done);
            if count == 0 {
                empty_segments += usize::from(length == 0);
                self.segment += 1;
                self.position = 0;
                continue;
            }
            self.generate(segment, &mut out[done..done + count]);
            done += count;
            self.position += count as u32;
            empty_segments = 0;
        }
        out[done..].fill(0);
        done
    }

    fn generate(&self, segment: Segment, out: &mut [i16]) {
        let step = |hz: u16| ((u64::from(hz) << 32) / u64::from(crate::RATE)) as u32;
        let [a, b] = segment.frequencies.map(step);
        if a == 0 && b == 0 {
            return out.fill(0);
        }
        let (mut phase_a, mut phase_b) = (a.wrapping_mul(self.position), b.wrapping_mul(self.position));
        for sample in out {
            let mut value = 0.0;
            if a != 0 {
                value += sine(phase_a);
            }
            if b != 0 {
                value += sine(phase_b);
            }
            *sample = (value * self.amplitude).clamp(-32768.0, 32767.0) as i16;
            phase_a = phase_a.wrapping_add(a);
            phase_b = phase_b.wrapping_add(b);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::level;

    #[test]
    fn chinese_ringback_is_450_hz_one_second_on_four_off() {
        let mut generator = ToneGenerator::new(Cadence::ringback("cn"));
        let mut samples = vec![0i16; 8000 * 12];
        assert_eq!(generator.fill(&mut samples), samples.len());
        for cycle in [0, 40000] {
            assert!((level(&samples[cycle..cycle + 8000], 450.0) - SUPERVISORY_DBFS).abs() < 0.2);
            assert!(samples[cycle + 8000..cycle + 40000].iter().all(|&s| s == 0));
        }
        assert!(level(&samples[80000..88000], 450.0) > -14.0);
    }

    #[test]
    fn two_frequencies_of_the_american_tone() {
        let mut generator = ToneGenerator::new(Cadence::ringback("US"));
        let mut samples = vec![0i16; 8000];
        generator.fill(&mut samples);
        assert!(level(&samples, 440.0) > -14.0 && level(&samples, 480.0) > -14.0);
        assert!(level(&samples, 600.0) < -50.0);
    }

    #[test]
    fn a_beep_ends_and_frames_of_any_size_give_the_same_samples() {
        let mut whole = vec![0i16; 2000];
        assert_eq!(
            ToneGenerator::new(Cadence::beep(1000, 200, -10.0)).fill(&mut whole),
            1600
        );
        let mut generator = ToneGenerator::new(Cadence::beep(1000, 200, -10.0));
        let mut pieces = Vec::new();
        for _ in 0..20 {
            let mut piece = [0i16; 100];
            generator.fill(&mut piece);
            pieces.extend_from_slice(&piece);
        }
        assert_eq!(pieces, whole);
    }

    #[test]
    fn a_cadence_without_length_ends_instead_of_looping() {
        let cadence = Cadence {
            segments: vec![Segment::off(0), Segment::off(0)],
            cycles: true,
            level_dbfs: 0.0,
        };
        assert_eq!(ToneGenerator::new(cadence).fill(&mut [0; 160]), 0);
        let cadence = Cadence {
            segments: vec![],
            cycles: true,
            level_dbfs: 0.0,
        };
        assert_eq!(ToneGenerator::new(cadence).fill(&mut [0; 160]), 0);
    }

    #[test]
    fn a_sine_does_not_drift_in_an_hour() {
        let mut generator = ToneGenerator::new(Cadence::sine(1000, -10.0));
        let mut first = [0i16; 160];
        generator.fill(&mut first);
        let mut frame = [0i16; 160];
        for _ in 0..50 * 3600 {
            generator.fill(&mut frame);
        }
        assert_eq!(frame, first);
    }
}
