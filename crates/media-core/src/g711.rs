//! G.711 A-law and µ-law: companding tables, and direct tables from one law to the other.
//!
//! Encoders take 16-bit linear samples. A-law carries 13 significant bits, µ-law 14 (ITU-T G.711, tables 1 and 2). The
//! inversion of even bits (A-law) and of all bits (µ-law) of the recommendation is part of the octets here.

/// A-law octet of digital silence.
pub const ALAW_SILENCE: u8 = 0xD5;

/// µ-law octet of digital silence.
pub const ULAW_SILENCE: u8 = 0xFF;

const fn alaw_decode_slow(octet: u8) -> i16 {
    let x = octet ^ 0x55;
    let exponent = (x >> 4) & 7;
    let mantissa = (x & 15) as i16;
    let magnitude = if exponent == 0 {
        (mantissa << 4) + 8
    } else {
        ((mantissa << 4) + 0x108) << (exponent - 1)
    };
    if x & 0x80 != 0 { magnitude } else { -magnitude }
}

const fn ulaw_decode_slow(octet: u8) -> i16 {
    let x = !octet;
    let exponent = (x >> 4) & 7;
    let magnitude = (((((x & 15) as i32) << 3) + 0x84) << exponent) - 0x84;
    if x & 0x80 != 0 {
        -magnitude as i16
    } else {
        magnitude as i16
    }
}

const fn alaw_encode_slow(sample: i16) -> u8 {
    // One's complement of negative values, as in G.711 A-law: -1 belongs to the smallest negative interval.
    let sign: u8 = if sample >= 0 { 0x80 } else { 0 };
    let magnitude = (if sample >= 0 { sample } else { !sample }) >> 4; // 11 bits
    let code = if magnitude < 16 {
        magnitude as u8
    } else {
        let exponent = 15 - (magnitude as u16).leading_zeros() - 3; // 16..31 → 1
        ((exponent as u8) << 4) | ((magnitude >> (exponent - 1)) & 15) as u8
    };
    (sign | code) ^ 0x55
}

const fn ulaw_encode_slow(sample: i16) -> u8 {
    let sign: u8 = if sample < 0 { 0x80 } else { 0 };
    let magnitude = if sample < 0 { -(sample as i32) } else { sample as i32 };
    let magnitude = (if magnitude > 32635 { 32635 } else { magnitude }) + 0x84;
    let exponent = 31 - (magnitude as u32).leading_zeros() - 7;
    !(sign | ((exponent as u8) << 4) | ((magnitude >> (exponent + 3)) & 15) as u8)
}

const fn decode_table(alaw: bool) -> [i16; 256] {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        table[i] = if alaw {
            alaw_decode_slow(i as u8)
        } else {
            ulaw_decode_slow(i as u8)
        };
        i += 1;
    }
    table
}

/// Indexed by the sample shifted right by 2 (as unsigned): 14 bits are all that either law can tell apart.
const fn encode_table(alaw: bool) -> [u8; 16384] {
    let mut table = [0; 16384];
    let mut i = 0;
    while i < 16384 {
        let sample = ((i as u16) << 2) as i16;
        table[i] = if alaw {
            alaw_encode_slow(sample)
        } else {
            // The middle of the four samples that share the index, so that rounding is the same on both sides of zero.
            ulaw_encode_slow(if sample < 0 { sample + 3 } else { sample })
        };
        i += 1;
    }
    table
}

const fn cross_table(from_alaw: bool) -> [u8; 256] {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        table[i] = if from_alaw {
            ulaw_encode_slow(alaw_decode_slow(i as u8))
        } else {
            alaw_encode_slow(ulaw_decode_slow(i as u8))
        };
        i += 1;
    }
    table
}

static ALAW_DECODE: [i16; 256] = decode_table(true);
static ULAW_DECODE: [i16; 256] = decode_table(false);
static ALAW_ENCODE: [u8; 16384] = encode_table(true);
static ULAW_ENCODE: [u8; 16384] = encode_table(false);
static ALAW_TO_ULAW: [u8; 256] = cross_table(true);
static ULAW_TO_ALAW: [u8; 256] = cross_table(false);

/// One A-law octet to a linear sample.
#[inline]
pub fn alaw_decode(octet: u8) -> i16 {
    ALAW_DECODE[octet as usize]
}

/// One µ-law octet to a linear sample.
#[inline]
pub fn ulaw_decode(octet: u8) -> i16 {
    ULAW_DECODE[octet as usize]
}

/// One linear sample to A-law.
#[inline]
pub fn alaw_encode(sample: i16) -> u8 {
    ALAW_ENCODE[(sample as u16 >> 2) as usize]
}

/// One linear sample to µ-law.
#[inline]
pub fn ulaw_encode(sample: i16) -> u8 {
    ULAW_ENCODE[(sample as u16 >> 2) as usize]
}

/// Transcode a payload in place from A-law to µ-law, without linear samples in between.
pub fn alaw_to_ulaw(payload: &mut [u8]) {
    for octet in payload {
        *octet = ALAW_TO_ULAW[*octet as usize];
    }
}

/// Transcode a payload in place from µ-law to A-law.
pub fn ulaw_to_alaw(payload: &mut [u8]) {
    for octet in payload {
        *octet = ULAW_TO_ALAW[*octet as usize];
    }
}

/// The two companding laws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Law {
    /// A-law (PCMA).
    A,
    /// µ-law (PCMU).
    Mu,
}

impl Law {
    /// The octet of digital silence.
    pub fn silence(self) -> u8 {
        match self {
            Law::A => ALAW_SILENCE,
            Law::Mu => ULAW_SILENCE,
        }
    }

    /// One octet to a linear sample.
    #[inline]
    pub fn decode(self, octet: u8) -> i16 {
        match self {
            Law::A => alaw_decode(octet),
            Law::Mu => ulaw_decode(octet),
        }
    }

    /// One linear sample to an octet.
    #[inline]
    pub fn encode(self, sample: i16) -> u8 {
        match self {
            Law::A => alaw_encode(sample),
            Law::Mu => ulaw_encode(sample),
        }
    }

    /// Encode `samples` into the front of `out`; the shorter length wins.
    pub fn encode_into(self, samples: &[i16], out: &mut [u8]) {
        for (octet, &sample) in out.iter_mut().zip(samples) {
            *octet = self.encode(sample);
        }
    }

    /// Transcode in place to another law; nothing happens when it is the same.
    pub fn transcode(self, to: Law, payload: &mut [u8]) {
        match (self, to) {
            (Law::A, Law::Mu) => alaw_to_ulaw(payload),
            (Law::Mu, Law::A) => ulaw_to_alaw(payload),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_octet_survives_decode_and_encode() {
        for octet in 0..=255u8 {
            assert_eq!(alaw_encode(alaw_decode(octet)), octet, "A-law {octet:#x}");
            // µ-law has two zeros; the negative one (0x7F) becomes the positive one.
            let expected = if octet == 0x7F { 0xFF } else { octet };
            assert_eq!(ulaw_encode(ulaw_decode(octet)), expected, "µ-law {octet:#x}");
        }
    }

    #[test]
    fn known_values_of_the_recommendation() {
        assert_eq!(alaw_decode(0xD5), 8);
        assert_eq!(alaw_decode(0x55), -8);
        assert_eq!(alaw_decode(0xAA), 32256);
        assert_eq!(alaw_decode(0x2A), -32256);
        assert_eq!(ulaw_decode(0xFF), 0);
        assert_eq!(ulaw_decode(0x80), 32124);
        assert_eq!(ulaw_decode(0x00), -32124);
        assert_eq!(ulaw_encode(0), ULAW_SILENCE);
        assert_eq!(alaw_encode(0), ALAW_SILENCE);
    }

    #[test]
    fn companding_error_stays_within_the_interval() {
        for sample in (i16::MIN..=i16::MAX).step_by(7) {
            let clipped = f64::from(sample).clamp(-32256.0, 32256.0);
            // Half an interval is 1/32 of the value in the upper segments, and 8 (A) or 4 (µ) near zero.
            let a = (f64::from(alaw_decode(alaw_encode(sample))) - clipped).abs();
            assert!(a <= clipped.abs() / 32.0 + 12.0, "A-law {sample}: off by {a}");
            let clipped = f64::from(sample).clamp(-32124.0, 32124.0);
            let u = (f64::from(ulaw_decode(ulaw_encode(sample))) - clipped).abs();
            assert!(u <= clipped.abs() / 32.0 + 8.0, "µ-law {sample}: off by {u}");
        }
    }

    #[test]
    fn the_direct_tables_equal_the_way_over_linear_samples() {
        for octet in 0..=255u8 {
            let mut one = [octet];
            Law::A.transcode(Law::Mu, &mut one);
            assert_eq!(one[0], ulaw_encode(alaw_decode(octet)));
            let mut one = [octet];
            Law::Mu.transcode(Law::A, &mut one);
            assert_eq!(one[0], alaw_encode(ulaw_decode(octet)));
        }
    }
}
