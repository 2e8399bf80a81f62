//! SipHash-1-3 with 128-bit results: hash tables whose keys the network chooses, and identifiers that nobody can guess
//! without the seed (Aumasson and Bernstein, "SipHash: a fast short-input PRF").

use std::hash::{BuildHasherDefault, Hasher};

/// A keyed hash under construction.
#[derive(Clone)]
pub(crate) struct Keyed {
    v: [u64; 4],
    tail: u64,
    len: u64,
}

impl Keyed {
    pub(crate) fn new(seed: &[u8; 16]) -> Keyed {
        let k0 = u64::from_le_bytes(seed[..8].try_into().unwrap_or_default());
        let k1 = u64::from_le_bytes(seed[8..].try_into().unwrap_or_default());
        Keyed {
            v: [
                k0 ^ 0x736f6d6570736575,
                k1 ^ 0x646f72616e646f6d ^ 0xee,
                k0 ^ 0x6c7967656e657261,
                k1 ^ 0x7465646279746573,
            ],
            tail: 0,
            len: 0,
        }
    }

    fn round(&mut self) {
        let [a, b, c, d] = &mut self.v;
        *a = a.wrapping_add(*b);
        *b = b.rotate_left(13) ^ *a;
        *a = a.rotate_left(32);
        *c = c.wrapping_add(*d);
        *d = d.rotate_left(16) ^ *c;
        *a = a.wrapping_add(*d);
        *d = d.rotate_left(21) ^ *a;
        *c = c.wrapping_add(*b);
        *b = b.rotate_left(17) ^ *c;
        *c = c.rotate_left(32);
    }

    fn word(&mut self, word: u64) {
        self.v[3] ^= word;
        self.round();
        self.v[0] ^= word;
    }

    /// Adds a field. Fields are separated, so that ("ab", "c") and ("a", "bc") differ.
    pub(crate) fn field(mut self, mut bytes: &[u8]) -> Keyed {
        let fill = (self.len % 8) as usize;
        self.len += bytes.len() as u64 + 1;
        // The separator is a byte that header values do not contain.
        let mut used = fill;
        if used > 0 {
            while used < 8 {
                let Some((first, rest)) = bytes.split_first() else {
                    break;
                };
                self.tail |= u64::from(*first) << (8 * used);
                bytes = rest;
                used += 1;
            }
            if used == 8 {
                let tail = self.tail;
                self.word(tail);
                self.tail = 0;
                used = 0;
            }
        }
        if used == 0 {
            let mut chunks = bytes.chunks_exact(8);
            for chunk in &mut chunks {
                self.word(u64::from_le_bytes(chunk.try_into().unwrap_or_default()));
            }
            for b in chunks.remainder() {
                self.tail |= u64::from(*b) << (8 * used);
                used += 1;
            }
        }
        self.tail |= 0xffu64 << (8 * used);
        if used == 7 {
            let tail = self.tail;
            self.word(tail);
            self.tail = 0;
        }
        self
    }

    pub(crate) fn finish(mut self) -> u128 {
        let last = self.tail | (self.len << 56);
        self.word(last);
        self.v[2] ^= 0xee;
        for _ in 0..3 {
            self.round();
        }
        let low = self.v[0] ^ self.v[1] ^ self.v[2] ^ self.v[3];
        self.v[1] ^= 0xdd;
        for _ in 0..3 {
            self.round();
        }
        u128::from(low) | u128::from(self.v[0] ^ self.v[1] ^ self.v[2] ^ self.v[3]) << 64
    }
}

/// Takes the low half of a key that is a keyed hash already.
#[derive(Default, Clone, Copy)]
pub(crate) struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for b in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*b);
        }
    }
    fn write_u128(&mut self, n: u128) {
        self.0 = n as u64;
    }
    fn write_u64(&mut self, n: u64) {
        // Handles are counters or minted above; spread them over the high bits that the table looks at.
        self.0 = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// A map whose keys are keyed hashes, or handles that the application chose.
pub(crate) type KeyedMap<K, V> = std::collections::HashMap<K, V, BuildHasherDefault<Identity>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_separated_and_keyed() {
        let h = |seed: u8, fields: &[&str]| {
            fields
                .iter()
                .fold(Keyed::new(&[seed; 16]), |k, f| k.field(f.as_bytes()))
                .finish()
        };
        let mut seen = std::collections::HashSet::new();
        for fields in [
            &["ab", "c"][..],
            &["a", "bc"],
            &["abc"],
            &["abc", ""],
            &["", "abc"],
            &["12345678", "x"],
            &["1234567", "8x"],
        ] {
            assert!(seen.insert(h(1, fields)), "{fields:?}");
            assert!(seen.insert(h(2, fields)), "{fields:?}");
            assert_eq!(h(1, fields), h(1, fields));
        }
    }
}
