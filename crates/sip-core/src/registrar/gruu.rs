//! Globally routable user agent URIs (RFC 5627). A public one names the instance. A temporary one hides who it is: what
//! it means is encrypted into it, so that any number of them costs no memory.
//!
//! The cipher is deterministic with a synthetic initialisation vector: the vector is the keyed hash of the plain text,
//! and authenticates it too; the key stream is the keyed hash of the vector. Plain texts never repeat, because each has a
//! number of its own.

use super::Aor;
use crate::uri::escape_user;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

const PREFIX: &str = "tgruu.";
/// Key of the address of record, hash of the instance, hash of the Call-ID, number.
const PLAIN: usize = 16 + 4 + 4 + 4;
const VECTOR: usize = 12;

pub(super) struct GruuKey {
    mac: Hmac<Sha256>,
}

/// What a temporary GRUU says of its binding.
pub(super) struct Meaning {
    instance: [u8; 4],
    call_id: [u8; 4],
    mac: Hmac<Sha256>,
}

impl Meaning {
    /// RFC 5627 §5.3: it is valid while the instance is registered under the same Call-ID.
    pub fn is(&self, instance: &str, call_id: u64) -> bool {
        self.instance == short(&self.mac, instance) && self.call_id == (call_id as u32).to_le_bytes()
    }
}

fn run(mac: &Hmac<Sha256>, purpose: u8, bytes: &[u8]) -> [u8; 32] {
    let mut mac = mac.clone();
    mac.update(&[purpose]);
    mac.update(bytes);
    mac.finalize().into_bytes().into()
}

fn short(mac: &Hmac<Sha256>, instance: &str) -> [u8; 4] {
    let mut out = [0; 4];
    out.copy_from_slice(&run(mac, 3, instance.as_bytes())[..4]);
    out
}

impl GruuKey {
    pub fn new(seed: &[u8; 16]) -> GruuKey {
        GruuKey {
            mac: Hmac::new_from_slice(seed).unwrap_or_else(|_| unreachable!("HMAC takes keys of any length")),
        }
    }

    fn vector(&self, plain: &[u8]) -> [u8; VECTOR] {
        let mut out = [0; VECTOR];
        out.copy_from_slice(&run(&self.mac, 1, plain)[..VECTOR]);
        out
    }

    fn stream(&self, vector: &[u8], text: &mut [u8]) {
        for (byte, key) in text.iter_mut().zip(run(&self.mac, 2, vector)) {
            *byte ^= key;
        }
    }

    pub fn temporary(&self, aor: &Aor, key: u128, instance: &str, call_id: u64, number: u32) -> String {
        let mut bytes = [0; VECTOR + PLAIN];
        let (vector, plain) = bytes.split_at_mut(VECTOR);
        plain[..16].copy_from_slice(&key.to_le_bytes());
        plain[16..20].copy_from_slice(&short(&self.mac, instance));
        plain[20..24].copy_from_slice(&(call_id as u32).to_le_bytes());
        plain[24..].copy_from_slice(&number.to_le_bytes());
        vector.copy_from_slice(&self.vector(plain));
        self.stream(vector, plain);
        format!("sip:{PREFIX}{}@{};gr", URL_SAFE_NO_PAD.encode(bytes), aor.domain())
    }

    /// The key of the address of record and the rest, if we made it.
    pub fn open(&self, user: &str) -> Option<(u128, Meaning)> {
        let mut bytes = [0; VECTOR + PLAIN];
        let read = URL_SAFE_NO_PAD
            .decode_slice(user.strip_prefix(PREFIX)?.as_bytes(), &mut bytes)
            .ok()?;
        if read != bytes.len() {
            return None;
        }
        let (vector, plain) = bytes.split_at_mut(VECTOR);
        self.stream(vector, plain);
        if !bool::from(self.vector(plain).ct_eq(vector)) {
            return None;
        }
        let (mut key, mut instance, mut call_id) = ([0; 16], [0; 4], [0; 4]);
        key.copy_from_slice(&plain[..16]);
        instance.copy_from_slice(&plain[16..20]);
        call_id.copy_from_slice(&plain[20..24]);
        let meaning = Meaning {
            instance,
            call_id,
            mac: self.mac.clone(),
        };
        Some((u128::from_le_bytes(key), meaning))
    }
}

/// RFC 5627 §5.1 allows any form that the registrar understands; the instance in `gr` is the common one.
pub(super) fn public(aor: &Aor, instance: &str) -> String {
    let gr = crate::uri::escape(instance, |b| b"-_.!~*'()[]/:&+$".contains(&b));
    format!("sip:{}@{};gr={gr}", escape_user(aor.user()), aor.domain())
}
