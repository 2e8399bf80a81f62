//! SRTP and SRTCP (RFC 3711; suites of RFC 4568, RFC 6188 and RFC 7714), in place and without allocation.
//!
//! A [`Context`] is one direction: packets are protected by it, or unprotected, never both. Its state per source is the
//! packet index with, for a receiver, a replay window of 64 packets.

use aws_lc_rs::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;

/// The most octets that protection adds to a packet: an authentication tag of 16, and the index of SRTCP.
pub const MAX_OVERHEAD: usize = 20;
/// Sources whose state is kept in one context; beyond it the one that was heard longest ago is forgotten.
const MAX_SOURCES: usize = 32;
/// Authentication key and tag of HMAC-SHA1.
const AUTH_KEY: usize = 20;
/// The header of an RTCP packet that stays readable.
const RTCP_HEADER: usize = 8;
/// The flag of an encrypted SRTCP packet, in front of its index.
const ENCRYPTED: u32 = 1 << 31;

/// A crypto suite, by its name in SDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Suite {
    /// `AES_CM_128_HMAC_SHA1_80` (RFC 4568): what everybody has.
    AesCm128Sha1_80,
    /// `AES_CM_128_HMAC_SHA1_32` (RFC 4568): a short tag on RTP.
    AesCm128Sha1_32,
    /// `AES_256_CM_HMAC_SHA1_80` (RFC 6188).
    AesCm256Sha1_80,
    /// `AES_256_CM_HMAC_SHA1_32` (RFC 6188).
    AesCm256Sha1_32,
    /// `AEAD_AES_128_GCM` (RFC 7714).
    AeadAes128Gcm,
    /// `AEAD_AES_256_GCM` (RFC 7714).
    AeadAes256Gcm,
}

impl Suite {
    /// All of them, strongest first.
    pub const ALL: [Suite; 6] = [
        Suite::AeadAes256Gcm,
        Suite::AeadAes128Gcm,
        Suite::AesCm256Sha1_80,
        Suite::AesCm128Sha1_80,
        Suite::AesCm256Sha1_32,
        Suite::AesCm128Sha1_32,
    ];

    /// The name in `a=crypto`.
    pub const fn name(self) -> &'static str {
        match self {
            Suite::AesCm128Sha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Suite::AesCm128Sha1_32 => "AES_CM_128_HMAC_SHA1_32",
            Suite::AesCm256Sha1_80 => "AES_256_CM_HMAC_SHA1_80",
            Suite::AesCm256Sha1_32 => "AES_256_CM_HMAC_SHA1_32",
            Suite::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Suite::AeadAes256Gcm => "AEAD_AES_256_GCM",
        }
    }

    /// The suite of a name, compared without case.
    pub fn of_name(name: &str) -> Option<Suite> {
        Suite::ALL.into_iter().find(|s| s.name().eq_ignore_ascii_case(name))
    }

    const fn is_aead(self) -> bool {
        matches!(self, Suite::AeadAes128Gcm | Suite::AeadAes256Gcm)
    }

    /// Length of the master key in octets.
    pub const fn key_len(self) -> usize {
        match self {
            Suite::AesCm128Sha1_80 | Suite::AesCm128Sha1_32 | Suite::AeadAes128Gcm => 16,
            Suite::AesCm256Sha1_80 | Suite::AesCm256Sha1_32 | Suite::AeadAes256Gcm => 32,
        }
    }

    /// Length of the master salt in octets.
    pub const fn salt_len(self) -> usize {
        if self.is_aead() { 12 } else { 14 }
    }

    const fn rtp_tag(self) -> usize {
        match self {
            Suite::AesCm128Sha1_80 | Suite::AesCm256Sha1_80 => 10,
            Suite::AesCm128Sha1_32 | Suite::AesCm256Sha1_32 => 4,
            Suite::AeadAes128Gcm | Suite::AeadAes256Gcm => 16,
        }
    }

    /// SRTCP keeps 80 bits where the tag of SRTP is short (RFC 4568 section 6.2.2).
    const fn rtcp_tag(self) -> usize {
        if self.is_aead() { 16 } else { 10 }
    }
}

/// A master key and its salt. Not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct MasterKey {
    suite: Suite,
    /// Key, then salt.
    octets: [u8; 46],
}

impl MasterKey {
    /// From key and salt one after the other, as `inline:` of SDP and the exporter of DTLS give them.
    pub fn new(suite: Suite, key_and_salt: &[u8]) -> Option<MasterKey> {
        if key_and_salt.len() != suite.key_len() + suite.salt_len() {
            return None;
        }
        let mut octets = [0; 46];
        octets[..key_and_salt.len()].copy_from_slice(key_and_salt);
        Some(MasterKey { suite, octets })
    }

    /// From the material that both sides of a DTLS handshake export (RFC 5764 section 4.2): the client's key, the
    /// server's, the client's salt, the server's. Returns the key of the client and that of the server.
    pub fn pair_of_dtls(suite: Suite, material: &[u8]) -> Option<(MasterKey, MasterKey)> {
        let (k, s) = (suite.key_len(), suite.salt_len());
        let of = |key: usize, salt: usize| {
            let both = [material.get(key..key + k)?, material.get(salt..salt + s)?].concat();
            MasterKey::new(suite, &both)
        };
        Some((of(0, 2 * k)?, of(k, 2 * k + s)?))
    }

    /// The suite that it is for.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// Key and salt one after the other, for `inline:`.
    pub fn key_and_salt(&self) -> &[u8] {
        &self.octets[..self.suite.key_len() + self.suite.salt_len()]
    }

    /// A session key (RFC 3711 section 4.3.1): the keystream under the master key, beginning at the salt that the label
    /// is mixed into. A salt of 96 bits counts as one of 112 with zeros behind it (RFC 7714 section 11).
    fn derive<const N: usize>(&self, label: u8) -> [u8; N] {
        let (key, salt) = self.key_and_salt().split_at(self.suite.key_len());
        let mut iv = [0u8; 16];
        iv[..salt.len()].copy_from_slice(salt);
        iv[7] ^= label;
        let mut out = [0u8; N];
        counter_key(key).apply(iv, &mut out);
        out
    }
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("MasterKey").field(&self.suite).finish()
    }
}

/// AES in counter mode.
struct Counter(EncryptingKey);

fn counter_key(key: &[u8]) -> Counter {
    let algorithm = if key.len() == 32 { &AES_256 } else { &AES_128 };
    let key = UnboundCipherKey::new(algorithm, key).and_then(EncryptingKey::ctr);
    // The length is that of the algorithm, which is the only thing that can be wrong.
    Counter(key.expect("a key of 16 or 32 octets"))
}

impl Counter {
    fn apply(&self, iv: [u8; 16], data: &mut [u8]) {
        let context = EncryptionContext::Iv128(FixedLength::from(iv));
        let done = self.0.less_safe_encrypt(data, context);
        debug_assert!(done.is_ok(), "counter mode takes any length");
    }
}

/// The session keys of RTP or of RTCP. A leg has four, behind a pointer of its own.
#[allow(
    clippy::large_enum_variant,
    reason = "the key schedules are where the packets are worked on"
)]
enum Transform {
    Cm {
        cipher: Counter,
        auth: hmac::Key,
        salt: [u8; 14],
    },
    Gcm {
        cipher: LessSafeKey,
        salt: [u8; 12],
    },
}

impl Transform {
    /// Labels of encryption, authentication and salt follow one another from `first`.
    fn derive(master: &MasterKey, first: u8) -> Transform {
        let suite = master.suite;
        let key: [u8; 32] = master.derive(first);
        let key = &key[..suite.key_len()];
        if suite.is_aead() {
            let algorithm = if key.len() == 32 {
                &aead::AES_256_GCM
            } else {
                &aead::AES_128_GCM
            };
            let cipher = UnboundKey::new(algorithm, key).expect("a key of the algorithm's length");
            return Transform::Gcm {
                cipher: LessSafeKey::new(cipher),
                salt: master.derive(first + 2),
            };
        }
        let auth: [u8; AUTH_KEY] = master.derive(first + 1);
        Transform::Cm {
            cipher: counter_key(key),
            auth: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &auth),
            salt: master.derive(first + 2),
        }
    }
}

/// RFC 3711 section 4.1.1: the salt, with the source from the fifth octet and the index of 48 bits behind it.
fn counter_iv(salt: &[u8; 14], ssrc: u32, index: u64) -> [u8; 16] {
    let mut iv = [0u8; 16];
    iv[..14].copy_from_slice(salt);
    for (at, octet) in ssrc.to_be_bytes().into_iter().enumerate() {
        iv[4 + at] ^= octet;
    }
    for (at, octet) in index.to_be_bytes()[2..].iter().enumerate() {
        iv[8 + at] ^= octet;
    }
    iv
}

/// RFC 7714 sections 8.1 and 9.1: two zero octets, the source, the index of 48 bits, all mixed with the salt.
fn gcm_nonce(salt: &[u8; 12], ssrc: u32, index: u64) -> Nonce {
    let mut iv = *salt;
    for (at, octet) in ssrc.to_be_bytes().into_iter().enumerate() {
        iv[2 + at] ^= octet;
    }
    for (at, octet) in index.to_be_bytes()[2..].iter().enumerate() {
        iv[6 + at] ^= octet;
    }
    Nonce::assume_unique_for_key(iv)
}

/// What is known of one source.
#[derive(Clone, Copy)]
struct Source {
    ssrc: u32,
    /// The highest index of RTP so far: roll-over counter and sequence number.
    rtp: Option<u64>,
    rtp_seen: u64,
    /// The highest index of RTCP received, or the last one sent.
    rtcp: Option<u64>,
    rtcp_seen: u64,
    /// When it was last used, in packets of the context.
    used: u64,
}

impl Source {
    /// The index of a sequence number: the roll-over counter with which it lies closest to the highest one
    /// (RFC 3711 section 3.3.1).
    fn index_of(&self, sequence: u16) -> u64 {
        let Some(highest) = self.rtp else {
            return u64::from(sequence);
        };
        let ahead = sequence.wrapping_sub(highest as u16) as i16;
        // Before the first roll-over there is nothing to go back to.
        highest
            .checked_add_signed(i64::from(ahead))
            .unwrap_or(u64::from(sequence))
    }
}

/// Whether an index was not seen yet and is not too old.
fn is_fresh(highest: Option<u64>, seen: u64, index: u64) -> bool {
    match highest {
        None => true,
        Some(highest) if index > highest => true,
        Some(highest) => {
            let age = highest - index;
            age < 64 && seen & (1 << age) == 0
        }
    }
}

fn mark(highest: &mut Option<u64>, seen: &mut u64, index: u64) {
    match *highest {
        Some(before) if index <= before => *seen |= 1 << (before - index).min(63),
        Some(before) => {
            let by = index - before;
            *seen = if by < 64 { *seen << by | 1 } else { 1 };
            *highest = Some(index);
        }
        None => {
            *seen = 1;
            *highest = Some(index);
        }
    }
}

/// One direction of a session.
pub struct Context {
    suite: Suite,
    rtp: Transform,
    rtcp: Transform,
    sources: Vec<Source>,
    packets: u64,
}

impl Context {
    /// Session keys of a master key; no re-keying by key derivation rate.
    pub fn new(master: &MasterKey) -> Context {
        Context {
            suite: master.suite,
            rtp: Transform::derive(master, 0),
            rtcp: Transform::derive(master, 3),
            sources: Vec::with_capacity(2),
            packets: 0,
        }
    }

    /// The state of a source; it is kept by [`Context::keep`] once a packet has proved to be genuine.
    fn source(&mut self, ssrc: u32) -> Source {
        self.packets += 1;
        let known = self.sources.iter().find(|s| s.ssrc == ssrc);
        known.copied().unwrap_or(Source {
            ssrc,
            rtp: None,
            rtp_seen: 0,
            rtcp: None,
            rtcp_seen: 0,
            used: 0,
        })
    }

    fn keep(&mut self, source: Source) {
        let source = Source {
            used: self.packets,
            ..source
        };
        if let Some(known) = self.sources.iter_mut().find(|s| s.ssrc == source.ssrc) {
            *known = source;
        } else if self.sources.len() < MAX_SOURCES {
            self.sources.push(source);
        } else if let Some(oldest) = self.sources.iter_mut().min_by_key(|s| s.used) {
            *oldest = source;
        }
    }

    /// Protects the RTP packet of `length` octets at the beginning of `buffer`, which has room for [`MAX_OVERHEAD`] more,
    /// and returns the new length. `None` if it is no RTP packet or there is no room.
    pub fn protect_rtp(&mut self, buffer: &mut [u8], length: usize) -> Option<usize> {
        let header = header_len(buffer.get(..length)?)?;
        let tag_len = self.suite.rtp_tag();
        let total = length + tag_len;
        if buffer.len() < total {
            return None;
        }
        let (sequence, ssrc) = rtp_fields(buffer);
        let mut source = self.source(ssrc);
        let index = source.index_of(sequence);
        mark(&mut source.rtp, &mut source.rtp_seen, index);
        self.keep(source);
        match &self.rtp {
            Transform::Cm { cipher, auth, salt } => {
                cipher.apply(counter_iv(salt, ssrc, index), &mut buffer[header..length]);
                let tag = rtp_tag(auth, &buffer[..length], index);
                buffer[length..total].copy_from_slice(&tag.as_ref()[..tag_len]);
            }
            Transform::Gcm { cipher, salt } => {
                let (aad, rest) = buffer.split_at_mut(header);
                let (payload, tail) = rest.split_at_mut(length - header);
                let nonce = gcm_nonce(salt, ssrc, index);
                let tag = cipher
                    .seal_in_place_separate_tag(nonce, Aad::from(&*aad), payload)
                    .ok()?;
                tail[..tag_len].copy_from_slice(tag.as_ref());
            }
        }
        Some(total)
    }

    /// Unprotects an SRTP packet in place and returns the length of the RTP packet. `None` if it is not genuine, was
    /// there before, or is too old.
    pub fn unprotect_rtp(&mut self, packet: &mut [u8]) -> Option<usize> {
        let length = packet.len().checked_sub(self.suite.rtp_tag())?;
        let header = header_len(packet.get(..length)?)?;
        let (sequence, ssrc) = rtp_fields(packet);
        let mut source = self.source(ssrc);
        let index = source.index_of(sequence);
        if !is_fresh(source.rtp, source.rtp_seen, index) {
            return None;
        }
        match &self.rtp {
            Transform::Cm { cipher, auth, salt } => {
                let tag = rtp_tag(auth, &packet[..length], index);
                same(&tag.as_ref()[..packet.len() - length], &packet[length..])?;
                cipher.apply(counter_iv(salt, ssrc, index), &mut packet[header..length]);
            }
            Transform::Gcm { cipher, salt } => {
                let (aad, sealed) = packet.split_at_mut(header);
                cipher
                    .open_in_place(gcm_nonce(salt, ssrc, index), Aad::from(&*aad), sealed)
                    .ok()?;
            }
        }
        mark(&mut source.rtp, &mut source.rtp_seen, index);
        self.keep(source);
        Some(length)
    }

    /// Protects the RTCP packet of `length` octets at the beginning of `buffer`, as [`Context::protect_rtp`] does.
    pub fn protect_rtcp(&mut self, buffer: &mut [u8], length: usize) -> Option<usize> {
        let tag_len = self.suite.rtcp_tag();
        let total = length + 4 + tag_len;
        if length < RTCP_HEADER || buffer.len() < total {
            return None;
        }
        let ssrc = u32_at(buffer, 4);
        let mut source = self.source(ssrc);
        let index = source.rtcp.map_or(1, |last| (last + 1) & u64::from(!ENCRYPTED));
        source.rtcp = Some(index);
        self.keep(source);
        let word = (ENCRYPTED | index as u32).to_be_bytes();
        match &self.rtcp {
            Transform::Cm { cipher, auth, salt } => {
                cipher.apply(counter_iv(salt, ssrc, index), &mut buffer[RTCP_HEADER..length]);
                buffer[length..length + 4].copy_from_slice(&word);
                let tag = hmac::sign(auth, &buffer[..length + 4]);
                buffer[length + 4..total].copy_from_slice(&tag.as_ref()[..tag_len]);
            }
            Transform::Gcm { cipher, salt } => {
                let mut aad = [0u8; RTCP_HEADER + 4];
                aad[..RTCP_HEADER].copy_from_slice(&buffer[..RTCP_HEADER]);
                aad[RTCP_HEADER..].copy_from_slice(&word);
                let (body, tail) = buffer[RTCP_HEADER..].split_at_mut(length - RTCP_HEADER);
                let nonce = gcm_nonce(salt, ssrc, index);
                let tag = cipher.seal_in_place_separate_tag(nonce, Aad::from(aad), body).ok()?;
                tail[..tag_len].copy_from_slice(tag.as_ref());
                tail[tag_len..tag_len + 4].copy_from_slice(&word);
            }
        }
        Some(total)
    }

    /// Unprotects an SRTCP packet in place and returns the length of the RTCP packet, as [`Context::unprotect_rtp`] does.
    pub fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Option<usize> {
        let tag_len = self.suite.rtcp_tag();
        let length = packet.len().checked_sub(4 + tag_len)?;
        if length < RTCP_HEADER {
            return None;
        }
        let ssrc = u32_at(packet, 4);
        let aead = self.suite.is_aead();
        let word = u32_at(packet, if aead { length + tag_len } else { length });
        let index = u64::from(word & !ENCRYPTED);
        let mut source = self.source(ssrc);
        if !is_fresh(source.rtcp, source.rtcp_seen, index) {
            return None;
        }
        match &self.rtcp {
            Transform::Cm { cipher, auth, salt } => {
                let tag = hmac::sign(auth, &packet[..length + 4]);
                same(&tag.as_ref()[..tag_len], &packet[length + 4..])?;
                if word & ENCRYPTED != 0 {
                    cipher.apply(counter_iv(salt, ssrc, index), &mut packet[RTCP_HEADER..length]);
                }
            }
            // What is only authenticated has another layout (RFC 7714 section 9.3), and nobody sends it.
            Transform::Gcm { .. } if word & ENCRYPTED == 0 => return None,
            Transform::Gcm { cipher, salt } => {
                let mut aad = [0u8; RTCP_HEADER + 4];
                aad[..RTCP_HEADER].copy_from_slice(&packet[..RTCP_HEADER]);
                aad[RTCP_HEADER..].copy_from_slice(&word.to_be_bytes());
                let sealed = &mut packet[RTCP_HEADER..length + tag_len];
                cipher
                    .open_in_place(gcm_nonce(salt, ssrc, index), Aad::from(aad), sealed)
                    .ok()?;
            }
        }
        mark(&mut source.rtcp, &mut source.rtcp_seen, index);
        self.keep(source);
        Some(length)
    }
}

/// Compares tags in constant time.
fn same(expected: &[u8], given: &[u8]) -> Option<()> {
    aws_lc_rs::constant_time::verify_slices_are_equal(expected, given).ok()
}

fn rtp_tag(auth: &hmac::Key, packet: &[u8], index: u64) -> hmac::Tag {
    let mut context = hmac::Context::with_key(auth);
    context.update(packet);
    context.update(&((index >> 16) as u32).to_be_bytes());
    context.sign()
}

fn u32_at(packet: &[u8], at: usize) -> u32 {
    packet
        .get(at..at + 4)
        .map_or(0, |w| u32::from_be_bytes([w[0], w[1], w[2], w[3]]))
}

/// Sequence number and source of a packet whose header was checked.
fn rtp_fields(packet: &[u8]) -> (u16, u32) {
    (u16::from_be_bytes([packet[2], packet[3]]), u32_at(packet, 8))
}

/// The length of an RTP header with its sources and its extension.
fn header_len(packet: &[u8]) -> Option<usize> {
    let first = *packet.first()?;
    if first >> 6 != 2 {
        return None;
    }
    let mut length = 12 + 4 * usize::from(first & 0x0F);
    if first & 0x10 != 0 {
        let words = packet.get(length + 2..length + 4)?;
        length += 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]));
    }
    (length <= packet.len()).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    fn master(suite: Suite) -> MasterKey {
        let octets: Vec<u8> = (1..=(suite.key_len() + suite.salt_len()) as u8).collect();
        MasterKey::new(suite, &octets).unwrap()
    }

    #[test]
    fn session_keys_are_those_of_rfc_3711() {
        // Appendix B.3.
        let both = hex("E1F97A0D3E018BE0D64FA32C06DE4139 0EC675AD498AFEEBB6960B3AABE6");
        let master = MasterKey::new(Suite::AesCm128Sha1_80, &both).unwrap();
        assert_eq!(master.derive::<16>(0).to_vec(), hex("C61E7A93744F39EE10734AFE3FF7A087"));
        assert_eq!(master.derive::<14>(2).to_vec(), hex("30CBBC08863D8C85D49DB34A9AE1"));
        assert_eq!(
            master.derive::<20>(1).to_vec(),
            hex("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4")
        );
    }

    #[test]
    fn the_keystream_is_that_of_rfc_3711() {
        // Appendix B.2: SSRC, roll-over counter and sequence number are zero.
        let cipher = counter_key(&hex("2B7E151628AED2A6ABF7158809CF4F3C"));
        let salt: [u8; 14] = hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD").try_into().unwrap();
        let mut data = [0u8; 48];
        cipher.apply(counter_iv(&salt, 0, 0), &mut data);
        let expected =
            "E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB 41E95B3BB0A2E8DD477901E4FCA894C0";
        assert_eq!(data.to_vec(), hex(expected));
    }

    fn packet(sequence: u16, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x90, 8];
        packet.extend(sequence.to_be_bytes());
        packet.extend([0, 0, 1, 0, 0xDE, 0xAD, 0xBE, 0xEF]);
        // An extension of one word stays readable.
        packet.extend([0xBE, 0xDE, 0, 1, 0x10, 7, 0, 0]);
        packet.extend(payload);
        packet
    }

    fn protected(context: &mut Context, sequence: u16, payload: &[u8]) -> Vec<u8> {
        let mut packet = packet(sequence, payload);
        let length = packet.len();
        packet.resize(length + MAX_OVERHEAD, 0);
        let total = context.protect_rtp(&mut packet, length).unwrap();
        packet.truncate(total);
        packet
    }

    #[test]
    fn every_suite_protects_across_the_roll_over_and_refuses_what_was_changed() {
        for suite in Suite::ALL {
            assert_eq!(Suite::of_name(suite.name()), Some(suite));
            let (mut sender, mut receiver) = (Context::new(&master(suite)), Context::new(&master(suite)));
            for sequence in (65_500..=65_535).chain(0..100).chain(200..300) {
                let plain = packet(sequence, &[sequence as u8; 160]);
                let sealed = protected(&mut sender, sequence, &[sequence as u8; 160]);
                assert_eq!(sealed.len(), plain.len() + suite.rtp_tag());
                assert_eq!(sealed[..20], plain[..20]);
                assert_ne!(sealed[20..180], plain[20..180]);
                for at in [1, 9, 25, sealed.len() - 1] {
                    let mut changed = sealed.clone();
                    changed[at] ^= 1;
                    assert_eq!(receiver.unprotect_rtp(&mut changed), None, "{suite:?} octet {at}");
                }
                let mut opened = sealed.clone();
                let length = receiver.unprotect_rtp(&mut opened).unwrap();
                assert_eq!(opened[..length], plain, "{suite:?} {sequence}");
                assert_eq!(receiver.unprotect_rtp(&mut sealed.clone()), None, "a packet came twice");
            }
        }
    }

    #[test]
    fn packets_out_of_order_are_taken_once_and_old_ones_never() {
        let suite = Suite::AesCm128Sha1_80;
        let (mut sender, mut receiver) = (Context::new(&master(suite)), Context::new(&master(suite)));
        let sealed: Vec<Vec<u8>> = (0..100)
            .map(|n| protected(&mut sender, 65_530u16.wrapping_add(n), &[1]))
            .collect();
        let mut take = |n: usize| receiver.unprotect_rtp(&mut sealed[n].clone()).is_some();
        assert!(take(0) && take(30) && take(10) && take(29));
        assert!(!take(10) && !take(30));
        assert!(take(99));
        assert!(!take(34), "older than the window");
        assert!(take(40));
    }

    #[test]
    fn reports_are_protected_too() {
        for suite in Suite::ALL {
            let (mut sender, mut receiver) = (Context::new(&master(suite)), Context::new(&master(suite)));
            for n in 0..5u8 {
                let plain = [&[0x81, 201, 0, 7, 0, 0, 0, 9][..], &[n; 24]].concat();
                let mut sealed = plain.clone();
                sealed.resize(plain.len() + MAX_OVERHEAD, 0);
                let total = sender.protect_rtcp(&mut sealed, plain.len()).unwrap();
                sealed.truncate(total);
                for at in [5, 9, total - 1, total - 17] {
                    let mut changed = sealed.clone();
                    changed[at] ^= 1;
                    assert_eq!(receiver.unprotect_rtcp(&mut changed), None, "{suite:?} octet {at}");
                }
                let mut opened = sealed.clone();
                let length = receiver.unprotect_rtcp(&mut opened).unwrap();
                assert_eq!(opened[..length], plain);
                assert_eq!(receiver.unprotect_rtcp(&mut sealed.clone()), None);
            }
        }
    }

    #[test]
    fn no_datagram_panics_and_sources_are_bounded() {
        for suite in Suite::ALL {
            let mut context = Context::new(&master(suite));
            for length in 0..80 {
                for first in [0x80, 0x9F, 0xBF, 0] {
                    let mut datagram = vec![first; length];
                    assert_eq!(context.unprotect_rtp(&mut datagram), None);
                    assert_eq!(context.unprotect_rtcp(&mut datagram), None);
                }
            }
            assert!(context.sources.is_empty());
            for ssrc in 0..100u32 {
                let mut packet = packet(1, &[1; 8]);
                packet[8..12].copy_from_slice(&ssrc.to_be_bytes());
                let length = packet.len();
                packet.resize(length + MAX_OVERHEAD, 0);
                assert!(context.protect_rtp(&mut packet, length).is_some());
            }
            assert_eq!(context.sources.len(), MAX_SOURCES);
        }
    }

    #[test]
    fn keys_of_dtls_are_cut_as_rfc_5764_says() {
        let material: Vec<u8> = (0..60).collect();
        let (client, server) = MasterKey::pair_of_dtls(Suite::AesCm128Sha1_80, &material).unwrap();
        assert_eq!(client.key_and_salt()[..16], material[..16]);
        assert_eq!(client.key_and_salt()[16..], material[32..46]);
        assert_eq!(server.key_and_salt()[..16], material[16..32]);
        assert_eq!(server.key_and_salt()[16..], material[46..60]);
        assert!(!format!("{client:?}").contains("1, 2"));
    }
}
