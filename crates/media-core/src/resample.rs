//! Rate conversion 16 kHz → 8 kHz by a polyphase half-band filter.

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
