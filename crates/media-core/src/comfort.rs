//! Comfort noise that a sender describes while it pauses (RFC 3389).

/// Reflection coefficients that are used; more describe nothing that 8 kHz noise would need.
const MAX_ORDER: usize = 12;

/// Noise of the described level and colour, without end.
#[derive(Clone, Debug)]
pub struct ComfortNoise {
    /// Standard deviation of the white noise that is filtered.
    excitation: f32,
    reflection: [f32; MAX_ORDER],
    order: usize,
    /// State of the lattice filter.
    backward: [f32; MAX_ORDER + 1],
    seed: u32,
}

impl ComfortNoise {
    /// From the payload of payload type 13: its level in -dBov, then quantised reflection coefficients (section 3).
    /// `None` for an empty payload.
    pub fn parse(payload: &[u8]) -> Option<ComfortNoise> {
        let (&level, coefficients) = payload.split_first()?;
        let mut noise = ComfortNoise {
            excitation: 0.0,
            reflection: [0.0; MAX_ORDER],
            order: coefficients.len().min(MAX_ORDER),
            backward: [0.0; MAX_ORDER + 1],
            seed: 0x2545_F491,
        };
        // The filter amplifies white noise by the inverse of this product.
        let mut product = 1.0f32;
        for (k, &octet) in noise.reflection.iter_mut().zip(coefficients) {
            *k = ((f32::from(octet) - 127.0) / 128.0).clamp(-0.98, 0.98);
            product *= 1.0 - *k * *k;
        }
        let rms = 32768.0 * 10f32.powf(-f32::from(level & 0x7F) / 20.0);
        noise.excitation = rms * product.sqrt();
        Some(noise)
    }

    /// Take over another description; the sound goes on without a step.
    pub fn update(&mut self, next: ComfortNoise) {
        self.excitation = next.excitation;
        self.reflection = next.reflection;
        self.order = next.order;
    }

    /// Fill a span.
    pub fn fill(&mut self, out: &mut [i16]) {
        // A uniform distribution of width 1 has a standard deviation of 1/√12.
        let scale = self.excitation * 12f32.sqrt();
        for sample in out {
            self.seed = self.seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let uniform = (self.seed >> 8) as f32 / 16_777_216.0 - 0.5;
            let mut forward = uniform * scale;
            for i in (0..self.order).rev() {
                forward -= self.reflection[i] * self.backward[i];
                self.backward[i + 1] = self.backward[i] + self.reflection[i] * forward;
            }
            self.backward[0] = forward;
            *sample = forward.clamp(-32768.0, 32767.0) as i16;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(payload: &[u8]) -> Vec<i16> {
        let mut out = vec![0; 16_000];
        ComfortNoise::parse(payload).unwrap().fill(&mut out);
        out
    }

    fn dbov(samples: &[i16]) -> f64 {
        let power: f64 = samples.iter().map(|&s| f64::from(s).powi(2)).sum::<f64>() / samples.len() as f64;
        10.0 * (power / 32768f64.powi(2)).log10()
    }

    #[test]
    fn the_level_is_the_described_one_with_and_without_colour() {
        for level in [30u8, 50, 70] {
            assert!((dbov(&made(&[level])) + f64::from(level)).abs() < 1.0);
            let coloured = made(&[level, 60, 180, 100, 140]);
            assert!((dbov(&coloured) + f64::from(level)).abs() < 2.0, "{}", dbov(&coloured));
        }
        assert!(made(&[127]).iter().all(|s| s.abs() <= 1), "the lowest level is silence");
    }

    #[test]
    fn a_negative_first_coefficient_is_low_noise() {
        let low = made(&[40, 10]);
        let difference: Vec<i16> = low.windows(2).map(|w| w[1].saturating_sub(w[0])).collect();
        assert!(dbov(&difference) < dbov(&low) - 3.0);
    }

    #[test]
    fn any_payload_gives_noise_or_nothing() {
        assert!(ComfortNoise::parse(&[]).is_none());
        let loudest = made(&[0, 0, 255, 0, 255, 0, 255, 0, 255, 0, 255, 0, 255, 0, 255]);
        assert_eq!(loudest.len(), 16_000);
        assert!(made(&[200; 500]).iter().any(|&s| s != 0));
    }
}
