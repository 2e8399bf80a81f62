//! Measuring levels of single frequencies (Goertzel): for detectors, and for the audio probes of tests.

/// What a silent span measures as.
pub const SILENCE_DBFS: f32 = -120.0;

/// The level of frequency `hz` over a span of 8 kHz samples, in dBFS: a full-scale sine measures 0. A Hann window keeps
/// other frequencies out: over 100 ms, those 40 Hz away are at least 30 dB down.
pub fn level(samples: &[i16], hz: f32) -> f32 {
    level_at_rate(samples, hz, crate::RATE as f32)
}

/// [`level`] for another sample rate in Hz.
pub fn level_at_rate(samples: &[i16], hz: f32, rate: f32) -> f32 {
    if samples.len() < 2 {
        return SILENCE_DBFS;
    }
    let n = samples.len() as f64;
    let coefficient = 2.0 * (std::f64::consts::TAU * f64::from(hz) / f64::from(rate)).cos();
    let window_step = std::f64::consts::TAU / n;
    let (mut s1, mut s2) = (0.0f64, 0.0f64);
    for (i, &sample) in samples.iter().enumerate() {
        let window = 0.5 - 0.5 * ((i as f64 + 0.5) * window_step).cos();
        let s0 = f64::from(sample) * window + coefficient * s1 - s2;
        s2 = s1;
        s1 = s0;
    }
    let power = (s1 * s1 + s2 * s2 - coefficient * s1 * s2).max(0.0);
    // A sine of amplitude A gives A·n/2 without a window; Hann halves it.
    let amplitude = power.sqrt() * 4.0 / n / 32767.0;
    decibels(amplitude)
}

/// Root mean square of a span in dBFS, where a full-scale sine measures 0 (as in [`level`]).
pub fn rms(samples: &[i16]) -> f32 {
    if samples.is_empty() {
        return SILENCE_DBFS;
    }
    let sum: f64 = samples.iter().map(|&s| f64::from(s) * f64::from(s)).sum();
    decibels((2.0 * sum / samples.len() as f64).sqrt() / 32767.0)
}

fn decibels(amplitude: f64) -> f32 {
    if amplitude <= 1e-6 {
        SILENCE_DBFS
    } else {
        (20.0 * amplitude.log10()) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(hz: f64, amplitude: f64, n: usize) -> Vec<i16> {
        (0..n)
            .map(|i| (amplitude * (std::f64::consts::TAU * hz * i as f64 / 8000.0).sin()) as i16)
            .collect()
    }

    #[test]
    fn a_sine_measures_its_own_level_and_little_elsewhere() {
        let samples = sine(1000.0, 32767.0 / 10.0, 800);
        assert!(
            (level(&samples, 1000.0) + 20.0).abs() < 0.1,
            "{}",
            level(&samples, 1000.0)
        );
        assert!((rms(&samples) + 20.0).abs() < 0.1);
        assert!(level(&samples, 1040.0) < -50.0);
        assert!(level(&samples, 2000.0) < -70.0);
    }

    #[test]
    fn silence_and_nothing_are_silence() {
        assert_eq!(level(&[0; 800], 440.0), SILENCE_DBFS);
        assert_eq!(level(&[], 440.0), SILENCE_DBFS);
        assert_eq!(rms(&[]), SILENCE_DBFS);
    }
}
