//! Conversion of a stream from 8-48 kHz to 8 kHz by a windowed sinc, evaluated at the phases that the two rates have.

use std::collections::VecDeque;

/// The engine's rate.
const TO: u32 = 8000;
/// Zero crossings on each side of the centre, counted at 8 kHz.
const CROSSINGS: usize = 32;
/// The -6 dB point in Hz: with this window 3.4 kHz passes and 4 kHz is 70 dB down.
const CUTOFF: f64 = 3700.0;
/// Kaiser's β: about 80 dB in the stop band.
const BETA: f64 = 8.0;

/// A converter of one stream. Its delay is taken out: the first sample out is the first in.
pub(super) struct Converter {
    /// Input samples for `down` outputs.
    up: usize,
    /// Outputs for `up` input samples; one phase each.
    down: usize,
    /// Input samples on each side of an output.
    side: usize,
    /// For each phase the weights of the inputs from `-side` to `side`.
    phases: Vec<f32>,
    /// Inputs that outputs to come look at.
    window: VecDeque<f32>,
    /// Which output of the period comes next.
    phase: usize,
    /// Inputs by which the next output's window begins later than `window`.
    ahead: usize,
}

impl Converter {
    /// From this rate, 8,000 to 48,000 Hz.
    pub(super) fn new(from: u32) -> Converter {
        let divisor = gcd(from, TO);
        let (up, down) = ((from / divisor) as usize, (TO / divisor) as usize);
        if from == TO {
            return Converter {
                up,
                down,
                side: 0,
                phases: vec![1.0],
                window: VecDeque::new(),
                phase: 0,
                ahead: 0,
            };
        }
        let side = (CROSSINGS * from as usize).div_ceil(TO as usize);
        let scale = 2.0 * CUTOFF / f64::from(from);
        let edge = bessel_i0(BETA);
        let mut phases = Vec::with_capacity(down * (2 * side + 1));
        for phase in 0..down {
            // The output lies this far behind an input.
            let fraction = (phase * up % down) as f64 / down as f64;
            phases.extend((0..=2 * side).map(|i| {
                let at = i as f64 - side as f64 - fraction;
                let x = at / (side as f64 + 1.0);
                let window = bessel_i0(BETA * (1.0 - x * x).max(0.0).sqrt()) / edge;
                (scale * sinc(scale * at) * window) as f32
            }));
        }
        Converter {
            up,
            down,
            side,
            phases,
            window: std::iter::repeat_n(0.0, side).collect(),
            phase: 0,
            ahead: 0,
        }
    }

    /// Appends what the samples, in -1.0 to 1.0, let be known.
    pub(super) fn convert(&mut self, samples: impl Iterator<Item = f32>, out: &mut Vec<i16>) {
        for sample in samples {
            // A decoder may hand out infinities for a damaged file.
            self.window.push_back(if sample.is_finite() {
                sample.clamp(-2.0, 2.0)
            } else {
                0.0
            });
            self.produce(out);
        }
    }

    fn produce(&mut self, out: &mut Vec<i16>) {
        let taps = 2 * self.side + 1;
        loop {
            let dropped = self.ahead.min(self.window.len());
            self.window.drain(..dropped);
            self.ahead -= dropped;
            if self.ahead > 0 || self.window.len() < taps {
                return;
            }
            let weights = &self.phases[self.phase * taps..(self.phase + 1) * taps];
            let sum: f32 = self.window.iter().zip(weights).map(|(s, w)| s * w).sum();
            out.push((sum * 32768.0).round().clamp(-32768.0, 32767.0) as i16);
            // Where the next output lies, in whole inputs.
            let here = self.phase * self.up / self.down;
            let next = (self.phase + 1) * self.up / self.down;
            self.ahead = next - here;
            self.phase = (self.phase + 1) % self.down;
        }
    }

    /// Appends the rest, as if silence followed.
    pub(super) fn finish(mut self, out: &mut Vec<i16>) {
        let silence = self.side;
        self.convert(std::iter::repeat_n(0.0, silence), out);
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn sinc(x: f64) -> f64 {
    let x = std::f64::consts::PI * x;
    if x.abs() < 1e-9 { 1.0 } else { x.sin() / x }
}

/// Modified Bessel function of the first kind, order 0, by its power series.
fn bessel_i0(x: f64) -> f64 {
    let (mut sum, mut term) = (1.0, 1.0);
    for k in 1..30 {
        term *= (x / 2.0 / f64::from(k)).powi(2);
        sum += term;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use strowger_media_core::probe;

    fn tone(hz: f64, rate: u32, ms: usize) -> Vec<f32> {
        let step = std::f64::consts::TAU * hz / f64::from(rate);
        let count = rate as usize * ms / 1000;
        (0..count).map(|i| (0.3 * (step * i as f64).sin()) as f32).collect()
    }

    fn converted(input: &[f32], rate: u32) -> Vec<i16> {
        let (mut converter, mut out) = (Converter::new(rate), Vec::new());
        for part in input.chunks(777) {
            converter.convert(part.iter().copied(), &mut out);
        }
        converter.finish(&mut out);
        out
    }

    #[test]
    fn a_voice_passes_and_what_would_fold_back_does_not() {
        for rate in [
            8000, 8001, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 47_999, 48_000,
        ] {
            for hz in [300.0, 1000.0, 3300.0] {
                let out = converted(&tone(hz, rate, 500), rate);
                assert!(out.len().abs_diff(4000) <= 1, "{rate}: {} samples", out.len());
                let level = probe::level(&out[400..3600], hz as f32);
                // 0.3 of full scale.
                assert!((level + 10.45).abs() < 0.5, "{rate}: {hz} Hz at {level} dB");
            }
            if rate > 12_000 {
                let out = converted(&tone(5000.0, rate, 500), rate);
                let folded = probe::level(&out[400..3600], 3000.0);
                assert!(folded < -60.0, "{rate}: {folded} dB");
            }
        }
    }

    #[test]
    fn nothing_moves_in_time() {
        for rate in [16_000, 44_100] {
            let mut input = vec![0.0; rate as usize];
            input[rate as usize / 2] = 1.0;
            let out = converted(&input, rate);
            let loudest = (0..out.len()).max_by_key(|&i| out[i].unsigned_abs()).unwrap();
            assert!(loudest.abs_diff(4000) <= 1, "{rate}: {loudest}");
        }
    }

    #[test]
    fn values_that_are_no_numbers_do_no_harm() {
        let odd = [f32::NAN, f32::INFINITY, -1e30, 1.0];
        for rate in [8000, 44_100] {
            assert!(converted(&odd.repeat(500), rate).len() > 300);
        }
    }
}
