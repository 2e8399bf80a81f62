//! Envelope encryption: a data key a tenant, wrapped by the master key.
//!
//! Every value is sealed with AES-256-GCM under its tenant's data key, with the place where it is stored as associated
//! data, so that a row cannot be moved to another conversation or tenant. Destroying a tenant's wrapped key erases all
//! that was ever sealed for it, in every backup that is made afterwards.
//!
//! Layout of a sealed value: one byte of format (1), 12 bytes of nonce, the ciphertext, 16 bytes of tag. Nonces are
//! random; NIST SP 800-38D §8.3 allows 2^32 of them a key, more than ten years of 100 sealed values a second.

use hmac::{Hmac, Mac};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use sha2::Sha256;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, RwLock};
use strowger_core::TenantId;

const FORMAT: u8 = 1;
const NONCE: usize = 12;
const TAG: usize = 16;

/// Bytes that sealing adds to a value.
pub const OVERHEAD: usize = 1 + NONCE + TAG;

/// A sealed value that cannot be opened: another key, another place, or damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sealed value does not open with this key at this place")]
pub struct Unsealable;

/// The key that wraps the data keys. It is never stored.
#[derive(Clone)]
pub struct MasterKey([u8; 32]);

impl MasterKey {
    /// Takes 32 bytes.
    pub const fn new(bytes: [u8; 32]) -> MasterKey {
        MasterKey(bytes)
    }

    /// Reads 64 hexadecimal digits, with white space around them.
    pub fn from_hex(text: &str) -> Option<MasterKey> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text.trim(), &mut bytes).ok()?;
        Some(MasterKey(bytes))
    }

    /// A new random key and its 64 hexadecimal digits, for the file that it will live in.
    pub fn generate() -> (MasterKey, String) {
        let bytes = random::<32>();
        (MasterKey(bytes), hex::encode(bytes))
    }

    pub(crate) fn cipher(&self) -> Cipher {
        Cipher::new(&self.0)
    }
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

/// `N` bytes from the system's generator. A system without one cannot run any of this, so its failure ends the
/// process.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system's random generator works");
    bytes
}

/// Nonces are drawn in blocks: one system call for 64 of them.
fn nonce() -> [u8; NONCE] {
    const BLOCK: usize = 64 * NONCE;
    thread_local! {
        static POOL: RefCell<([u8; BLOCK], usize)> = const { RefCell::new(([0; BLOCK], BLOCK)) };
    }
    POOL.with_borrow_mut(|(block, used)| {
        if *used + NONCE > BLOCK {
            *block = random::<BLOCK>();
            *used = 0;
        }
        let mut out = [0; NONCE];
        out.copy_from_slice(&block[*used..*used + NONCE]);
        *used += NONCE;
        out
    })
}

/// What a sealed value is and where it lives: the associated data.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    bytes: [u8; 41],
}

impl Place {
    /// A value of `kind` (one letter) of a tenant; `major` and `minor` are the rest of its key.
    pub(crate) fn new(kind: u8, tenant: TenantId, major: u128, minor: u64) -> Place {
        let mut bytes = [0; 41];
        bytes[0] = kind;
        bytes[1..17].copy_from_slice(&tenant.0.to_be_bytes());
        bytes[17..33].copy_from_slice(&major.to_be_bytes());
        bytes[33..].copy_from_slice(&minor.to_be_bytes());
        Place { bytes }
    }
}

/// AES-256-GCM with its key schedule computed once.
pub(crate) struct Cipher(LessSafeKey);

impl Cipher {
    pub(crate) fn new(key: &[u8; 32]) -> Cipher {
        Cipher(LessSafeKey::new(
            UnboundKey::new(&AES_256_GCM, key).expect("a key of AES-256 has 32 bytes"),
        ))
    }

    /// Seals what `write` puts into the buffer, in place.
    pub(crate) fn seal_with(&self, place: Place, capacity: usize, write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::with_capacity(capacity + OVERHEAD);
        out.push(FORMAT);
        let nonce = nonce();
        out.extend_from_slice(&nonce);
        write(&mut out);
        let tag = self
            .0
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(&place.bytes),
                &mut out[1 + NONCE..],
            )
            .expect("a value is shorter than 64 GiB");
        out.extend_from_slice(tag.as_ref());
        out
    }

    pub(crate) fn seal(&self, place: Place, plain: &[u8]) -> Vec<u8> {
        self.seal_with(place, plain.len(), |out| out.extend_from_slice(plain))
    }

    pub(crate) fn open(&self, place: Place, sealed: &[u8]) -> Result<Vec<u8>, Unsealable> {
        if sealed.len() < OVERHEAD || sealed[0] != FORMAT {
            return Err(Unsealable);
        }
        let nonce: [u8; NONCE] = sealed[1..1 + NONCE].try_into().map_err(|_| Unsealable)?;
        let mut plain = sealed[1 + NONCE..].to_vec();
        let (nonce, place) = (Nonce::assume_unique_for_key(nonce), Aad::from(&place.bytes));
        let length = self
            .0
            .open_in_place(nonce, place, &mut plain)
            .map_err(|_| Unsealable)?
            .len();
        plain.truncate(length);
        Ok(plain)
    }
}

/// A tenant's local number and its open data key.
pub(crate) struct TenantKey {
    /// The row number that stands for the tenant in every table.
    pub no: i64,
    pub cipher: Cipher,
    /// The data key itself, for wrapping it again.
    raw: [u8; 32],
}

impl TenantKey {
    /// A new random data key.
    pub(crate) fn generate(no: i64) -> TenantKey {
        TenantKey::from_raw(no, random())
    }

    fn from_raw(no: i64, raw: [u8; 32]) -> TenantKey {
        TenantKey {
            no,
            cipher: Cipher::new(&raw),
            raw,
        }
    }

    /// A digest of `parts` that only a holder of the data key can make: equal values are found by it, and who has the
    /// file alone cannot try numbers out.
    pub(crate) fn digest(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(&self.raw).expect("HMAC takes a key of any length");
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    /// The data key, sealed under the master key for this tenant.
    pub(crate) fn wrap(&self, tenant: TenantId, master: &Cipher) -> Vec<u8> {
        master.seal(Place::new(b'K', tenant, 0, 0), &self.raw)
    }

    /// Opens a wrapped data key.
    pub(crate) fn unwrap(no: i64, tenant: TenantId, wrapped: &[u8], master: &Cipher) -> Result<TenantKey, Unsealable> {
        let raw = master.open(Place::new(b'K', tenant, 0, 0), wrapped)?;
        Ok(TenantKey::from_raw(no, raw.try_into().map_err(|_| Unsealable)?))
    }
}

/// The open data keys of all tenants.
#[derive(Default)]
pub(crate) struct Keys {
    by_tenant: RwLock<HashMap<TenantId, Arc<TenantKey>>>,
}

impl Keys {
    pub(crate) fn get(&self, tenant: TenantId) -> Option<Arc<TenantKey>> {
        self.by_tenant
            .read()
            .unwrap_or_else(|e| e.into_inner())
            .get(&tenant)
            .cloned()
    }

    pub(crate) fn insert(&self, tenant: TenantId, key: Arc<TenantKey>) {
        self.by_tenant
            .write()
            .unwrap_or_else(|e| e.into_inner())
            .insert(tenant, key);
    }

    pub(crate) fn remove(&self, tenant: TenantId) {
        self.by_tenant
            .write()
            .unwrap_or_else(|e| e.into_inner())
            .remove(&tenant);
    }

    pub(crate) fn all(&self) -> Vec<(TenantId, Arc<TenantKey>)> {
        let map = self.by_tenant.read().unwrap_or_else(|e| e.into_inner());
        map.iter().map(|(t, k)| (*t, k.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_another_implementation_sealed_opens() {
        // Sealed with OpenSSL: files outlive the library that wrote them.
        let sealed =
            hex::decode("01000102030405060708090a0b29b2d1402d38ea714782d5b4f8d1ae13387a1cd7d517d2aba03dee").unwrap();
        let place = Place::new(b'J', TenantId(1), 2, 3);
        assert_eq!(Cipher::new(&[7; 32]).open(place, &sealed).unwrap(), b"13800138000");
    }

    #[test]
    fn a_value_opens_at_its_own_place_only() {
        let cipher = Cipher::new(&[7; 32]);
        let here = Place::new(b'J', TenantId(1), 2, 3);
        let sealed = cipher.seal(here, b"13800138000");
        assert_eq!(sealed.len(), 11 + OVERHEAD);
        assert_eq!(cipher.open(here, &sealed).unwrap(), b"13800138000");
        for other in [
            Place::new(b'D', TenantId(1), 2, 3),
            Place::new(b'J', TenantId(2), 2, 3),
            Place::new(b'J', TenantId(1), 2, 4),
        ] {
            assert_eq!(cipher.open(other, &sealed), Err(Unsealable));
        }
        assert_eq!(Cipher::new(&[8; 32]).open(here, &sealed), Err(Unsealable));
        for n in 0..sealed.len() {
            assert_eq!(cipher.open(here, &sealed[..n]), Err(Unsealable));
        }
        assert_ne!(cipher.seal(here, b"x"), cipher.seal(here, b"x"), "nonces differ");
    }
}
