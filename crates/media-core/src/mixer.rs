//! Mixing with gains and saturation.

/// A linear gain in Q12: 4096 is unity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gain(i16);

impl Gain {
    /// Unchanged: a leg that hears one other leg at unity can be relayed.
    pub const UNITY: Gain = Gain(4096);

    /// Nothing is heard.
    pub const MUTE: Gain = Gain(0);

    /// From decibels, limited to -72..+18 dB; anything below is [`Gain::MUTE`].
    pub fn from_db(db: f32) -> Gain {
        if db.is_nan() || db < -72.0 {
            return Gain::MUTE;
        }
        Gain((4096.0 * 10f32.powf(db.min(18.0) / 20.0)).round() as i16)
    }

    /// The factor in Q12.
    pub fn q12(self) -> i16 {
        self.0
    }
}

impl Default for Gain {
    fn default() -> Self {
        Gain::UNITY
    }
}

/// Add `samples` at `gain` to an accumulator. Sums of up to 4,096 full-scale sources at the highest gain fit in `i32`
/// after the shift, so saturation happens once, in [`saturate`].
#[inline]
pub fn add(accumulator: &mut [i32], samples: &[i16], gain: Gain) {
    if gain == Gain::UNITY {
        for (a, &s) in accumulator.iter_mut().zip(samples) {
            *a += i32::from(s);
        }
    } else if gain != Gain::MUTE {
        for (a, &s) in accumulator.iter_mut().zip(samples) {
            *a += (i32::from(s) * i32::from(gain.0)) >> 12;
        }
    }
}

/// Bring an accumulator back to 16 bits; what is too loud is limited to the range, never wrapped.
#[inline]
pub fn saturate(accumulator: &[i32], out: &mut [i16]) {
    for (o, &a) in out.iter_mut().zip(accumulator) {
        *o = a.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loud_sources_saturate_instead_of_wrapping() {
        let mut sum = [0i32; 2];
        for _ in 0..3 {
            add(&mut sum, &[30000, -30000], Gain::UNITY);
        }
        let mut out = [0i16; 2];
        saturate(&sum, &mut out);
        assert_eq!(out, [i16::MAX, i16::MIN]);
    }

    #[test]
    fn gains_scale_and_mute() {
        let mut sum = [0i32; 1];
        add(&mut sum, &[10000], Gain::from_db(-6.0206));
        assert!((sum[0] - 5000).abs() <= 3, "{}", sum[0]);
        add(&mut sum, &[10000], Gain::MUTE);
        assert!((sum[0] - 5000).abs() <= 3);
        assert_eq!(Gain::from_db(0.0), Gain::UNITY);
        assert_eq!(Gain::from_db(f32::NAN), Gain::MUTE);
        assert_eq!(Gain::from_db(f32::NEG_INFINITY), Gain::MUTE);
    }
}
