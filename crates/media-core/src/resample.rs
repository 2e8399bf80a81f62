//! Rate conversion between 16 kHz and 8 kHz by a polyphase half-band filter.

/// Taps on each side of the centre; a half-band filter's even taps are zero, so half of them cost nothing.
const SIDE: usize = 47;

/// Coefficients of a Kaiser-windowed half-band low-pass (β = 8: about 80 dB in the stop band), odd offsets only.
fn taps() -> &'static [f32; SIDE.div_ceil(2)] {
    static TAPS: std::sync::OnceLock<[f32; SIDE.div_ceil(2)]> = std::sync::OnceLock::new();
    TAPS.get_or_init(|| {
        let mut taps = [0.0; SIDE.div_ceil(2)];
        let beta = 8.0;
        for (i, tap) in taps.iter_mut().enumerate() {
            let offset = (2 * i + 1) as f64;
            let x = offset / (SIDE as f64 + 1.0);
            let window = bessel_i0(beta * (1.0 - x * x).sqrt()) / bessel_i0(beta);
            let angle = std::f64::consts::FRAC_PI_2 * offset;
            *tap = (0.5 * angle.sin() / angle * window) as f32;
        }
        taps
    })
}

/// Modified Bessel function of the first kind, order 0, by its power series.
fn bessel_i0(x: f64) -> f64 {
    let (mut sum, mut term) = (1.0, 1.0);
    for k in 1..50 {
        term *= (x / 2.0 / f64::from(k)).powi(2);
        sum += term;
    }
    sum
}

/// A 2:1 decimator.
pub struct Halver;

impl Halver {
    /// Convert a whole sound; the ends are padded with silence, and the filter's delay is taken out.
    pub fn convert(input: &[i16]) -> Vec<i16> {
        let at = |i: isize| {
            usize::try_from(i)
                .ok()
                .and_then(|i| input.get(i))
                .map_or(0.0, |&s| f32::from(s))
        };
        (0..input.len() / 2)
            .map(|n| {
                let centre = 2 * n as isize;
                let mut sum = 0.5 * at(centre);
                for (i, tap) in taps().iter().enumerate() {
                    let offset = 2 * i as isize + 1;
                    sum += tap * (at(centre - offset) + at(centre + offset));
                }
                sum.round().clamp(-32768.0, 32767.0) as i16
            })
            .collect()
    }
}

/// Samples of 8 kHz that one output of the interpolator looks at.
const SPAN: usize = SIDE + 1;

/// A 1:2 interpolator for a stream: what goes in comes out with a delay of 3 ms.
pub struct Doubler {
    /// The last inputs, the oldest first.
    history: [f32; SPAN],
}

impl Default for Doubler {
    fn default() -> Self {
        Doubler { history: [0.0; SPAN] }
    }
}

impl Doubler {
    /// Convert a span; two outputs come for each input, and the shorter of the two lengths wins.
    pub fn convert(&mut self, input: &[i16], out: &mut [i16]) {
        for (&sample, pair) in input.iter().zip(out.as_chunks_mut::<2>().0) {
            self.history.copy_within(1.., 0);
            self.history[SPAN - 1] = f32::from(sample);
            // Between the two samples in the middle; the zeros that were put in halve the level.
            let middle = SPAN / 2;
            let mut sum = 0.0;
            for (i, tap) in taps().iter().enumerate() {
                sum += tap * (self.history[middle - 1 - i] + self.history[middle + i]);
            }
            let clip = |value: f32| value.round().clamp(-32768.0, 32767.0) as i16;
            *pair = [clip(self.history[middle - 1]), clip(2.0 * sum)];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::level_at_rate;

    #[test]
    fn a_doubled_sine_has_its_level_and_no_image() {
        for hz in [200.0f32, 1000.0, 3000.0] {
            let input: Vec<i16> = (0..8000)
                .map(|i| (10_000.0 * (std::f32::consts::TAU * hz * i as f32 / 8000.0).sin()) as i16)
                .collect();
            let mut out = vec![0i16; 16_000];
            let mut doubler = Doubler::default();
            // In pieces, as packets come.
            for (input, out) in input.chunks(80).zip(out.chunks_mut(160)) {
                doubler.convert(input, out);
            }
            let steady = &out[1600..];
            let expected = 20.0 * (10_000.0f32 / 32767.0).log10();
            assert!((level_at_rate(steady, hz, 16_000.0) - expected).abs() < 0.1, "{hz} Hz");
            assert!(level_at_rate(steady, 8000.0 - hz, 16_000.0) < -70.0, "image of {hz} Hz");
        }
    }
}
