//! What protects a stream: keys in the description (RFC 4568), or ICE and DTLS as browsers have them (RFC 8829).

use super::{Media, Session, attribute};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt;

/// Most `a=crypto` lines and `a=candidate` lines that are read of one stream.
const MAX_LINES: usize = 64;
/// Octets of random material that [`Srtp`] takes keys from: the longest key and salt.
pub const KEY_MATERIAL: usize = 46;

/// An `a=crypto` line. The key is not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Crypto {
    /// Ties an answer to its offer.
    pub tag: u32,
    /// Name of the suite as in RFC 4568, RFC 6188 and RFC 7714.
    pub suite: &'static str,
    /// Master key and master salt, one after the other.
    pub key: Vec<u8>,
}

impl fmt::Debug for Crypto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crypto")
            .field("tag", &self.tag)
            .field("suite", &self.suite)
            .finish()
    }
}

impl fmt::Display for Crypto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} inline:{}", self.tag, self.suite, STANDARD.encode(&self.key))
    }
}

/// Suites in the order in which they are offered, with the octets of key and salt. The first one is what every telephone
/// has; stronger ones come before short tags.
const SUITES: [(&str, usize); 6] = [
    ("AES_CM_128_HMAC_SHA1_80", 30),
    ("AEAD_AES_256_GCM", 44),
    ("AEAD_AES_128_GCM", 28),
    ("AES_256_CM_HMAC_SHA1_80", 46),
    ("AES_CM_128_HMAC_SHA1_32", 30),
    ("AES_256_CM_HMAC_SHA1_32", 46),
];

impl Crypto {
    /// Reads the value of an `a=crypto` line. `None` for a suite that we do not have, a key of another length, and
    /// parameters that change the session (RFC 4568 section 6.3): none of ours may be ignored.
    pub fn parse(value: &str) -> Option<Crypto> {
        let mut parts = value.split_ascii_whitespace();
        let tag = parts.next()?.parse().ok()?;
        let name = parts.next()?;
        let &(suite, length) = SUITES.iter().find(|(n, _)| n.eq_ignore_ascii_case(name))?;
        let keys = parts.next()?;
        // Several keys need an identifier in each packet, and so does one that has an identifier.
        let (method, rest) = keys.split_once(':')?;
        if !method.eq_ignore_ascii_case("inline") || keys.contains(';') {
            return None;
        }
        let mut rest = rest.split('|');
        let inline = rest.next()?;
        // A lifetime is an upper bound that no call reaches; an identifier has a colon.
        if rest.any(|p| p.contains(':')) {
            return None;
        }
        let padded = format!("{}{}", inline, &"=="[..(4 - inline.len() % 4) % 4 % 3]);
        let key = STANDARD.decode(inline).or_else(|_| STANDARD.decode(padded)).ok()?;
        let session = parts.next();
        (key.len() == length && session.is_none_or(|p| p.starts_with('-') || p.starts_with("WSH="))).then_some(Crypto {
            tag,
            suite,
            key,
        })
    }
}

/// What we do about SRTP with keys in the description.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum Srtp {
    /// It is neither offered nor taken.
    #[default]
    Off,
    /// It is taken where it is offered, and not offered.
    Accepted([u8; KEY_MATERIAL]),
    /// It is offered beside RTP: keys on a plain stream, as telephones do that may do without.
    Optional([u8; KEY_MATERIAL]),
    /// Nothing else is offered or taken.
    Required([u8; KEY_MATERIAL]),
}

impl fmt::Debug for Srtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Srtp::Off => "Off",
            Srtp::Accepted(_) => "Accepted",
            Srtp::Optional(_) => "Optional",
            Srtp::Required(_) => "Required",
        })
    }
}

impl Srtp {
    fn material(&self) -> Option<&[u8; KEY_MATERIAL]> {
        match self {
            Srtp::Off => None,
            Srtp::Accepted(m) | Srtp::Optional(m) | Srtp::Required(m) => Some(m),
        }
    }

    fn key(&self, tag: u32, suite: &'static str) -> Option<Crypto> {
        let (_, length) = SUITES.iter().find(|(n, _)| *n == suite)?;
        Some(Crypto {
            tag,
            suite,
            key: self.material()?[..*length].to_vec(),
        })
    }

    /// The lines of an offer. Every suite has the same key: only one of them is ever used.
    pub(super) fn offered(&self) -> Vec<Crypto> {
        let lines = SUITES.iter().zip(1..);
        lines.filter_map(|((suite, _), tag)| self.key(tag, suite)).collect()
    }
}

/// Who begins the DTLS handshake (RFC 4145, RFC 8842).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setup {
    /// Whoever answers decides.
    ActPass,
    /// The author does.
    Active,
    /// The other side does.
    Passive,
}

impl Setup {
    /// The attribute's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Setup::ActPass => "actpass",
            Setup::Active => "active",
            Setup::Passive => "passive",
        }
    }

    fn parse(value: &str) -> Option<Setup> {
        [Setup::ActPass, Setup::Active, Setup::Passive]
            .into_iter()
            .find(|s| s.as_str().eq_ignore_ascii_case(value))
    }
}

/// One side of a stream as browsers describe it. The password is not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct IceDtls {
    /// `a=ice-ufrag`.
    pub ufrag: String,
    /// `a=ice-pwd`.
    pub pwd: String,
    /// `a=ice-lite`: it answers checks and makes none.
    pub lite: bool,
    /// Hash function and hash of its certificate.
    pub fingerprint: (String, String),
    /// Its role in the handshake.
    pub setup: Setup,
    /// Its candidates, as the attribute's name and value.
    pub candidates: Vec<String>,
}

impl fmt::Debug for IceDtls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IceDtls")
            .field("ufrag", &self.ufrag)
            .field("lite", &self.lite)
            .field("fingerprint", &self.fingerprint)
            .field("setup", &self.setup)
            .field("candidates", &self.candidates.len())
            .finish()
    }
}

impl IceDtls {
    /// Reads what a description says of a stream; `None` if something is missing that nothing can be done without.
    pub fn of(session: &Session, media: &Media) -> Option<IceDtls> {
        let find = |name: &str| attribute(&media.attributes, name).or_else(|| attribute(&session.attributes, name));
        let token = |name: &str| {
            find(name)
                .filter(|v| !v.is_empty() && v.len() <= 256)
                .map(str::to_owned)
        };
        let fingerprints = media.attributes.iter().chain(&session.attributes);
        let fingerprint = fingerprints
            .filter_map(|a| a.strip_prefix("fingerprint:")?.trim().split_once(' '))
            .find(|(hash, _)| {
                ["sha-256", "sha-384", "sha-512"]
                    .iter()
                    .any(|h| h.eq_ignore_ascii_case(hash))
            })?;
        let candidates = media.attributes.iter().filter(|a| a.starts_with("candidate:"));
        Some(IceDtls {
            ufrag: token("ice-ufrag")?,
            pwd: token("ice-pwd")?,
            lite: attribute(&session.attributes, "ice-lite").is_some(),
            fingerprint: (
                fingerprint.0.to_ascii_lowercase(),
                fingerprint.1.trim().to_ascii_uppercase(),
            ),
            // RFC 5763 section 5: an offer without it would be `active`; browsers always say it.
            setup: find("setup").and_then(Setup::parse).unwrap_or(Setup::Active),
            candidates: candidates.take(MAX_LINES).cloned().collect(),
        })
    }

    /// Writes it into a stream; `ice-lite` belongs to the session.
    pub(super) fn write(&self, setup: Setup, attributes: &mut Vec<String>) {
        attributes.push(format!("ice-ufrag:{}", self.ufrag));
        attributes.push(format!("ice-pwd:{}", self.pwd));
        let (hash, value) = &self.fingerprint;
        attributes.push(format!("fingerprint:{hash} {value}"));
        attributes.push(format!("setup:{}", setup.as_str()));
        attributes.push("rtcp-mux".into());
        attributes.extend(self.candidates.iter().cloned());
        attributes.push("end-of-candidates".into());
    }
}

/// What protects a stream, as both sides agreed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Protection {
    /// Nothing.
    #[default]
    None,
    /// SRTP: what we send with, and what we receive with.
    Srtp {
        /// Our line.
        send: Crypto,
        /// The far side's.
        receive: Crypto,
    },
    /// ICE and DTLS.
    WebRtc {
        /// The far side.
        remote: Box<IceDtls>,
        /// We begin the handshake.
        active: bool,
        /// The description that began it was ours.
        offered: bool,
    },
}

/// What an m-line asks for, by its protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carriage {
    /// `RTP/AVP` and `RTP/AVPF`.
    Rtp,
    /// `RTP/SAVP` and `RTP/SAVPF` with keys in the description.
    Srtp,
    /// `UDP/TLS/RTP/SAVPF` and its like.
    WebRtc,
}

impl Carriage {
    /// Of a protocol as written.
    pub fn of(protocol: &str) -> Option<Carriage> {
        let is = |name: &str| protocol.eq_ignore_ascii_case(name);
        if is("RTP/AVP") || is("RTP/AVPF") {
            Some(Carriage::Rtp)
        } else if is("RTP/SAVP") || is("RTP/SAVPF") {
            Some(Carriage::Srtp)
        } else if is("UDP/TLS/RTP/SAVPF") || is("UDP/TLS/RTP/SAVP") {
            Some(Carriage::WebRtc)
        } else {
            None
        }
    }
}

/// The `a=crypto` lines of a stream that we can use, in its order.
pub(super) fn cryptos(media: &Media) -> Vec<Crypto> {
    let lines = media.attributes.iter().filter_map(|a| a.strip_prefix("crypto:"));
    lines.take(MAX_LINES).filter_map(|v| Crypto::parse(v.trim())).collect()
}

/// What answers the lines of an offer: ours with the tag and the suite of theirs, and theirs.
pub(super) fn answer_crypto(srtp: &Srtp, media: &Media) -> Option<(Crypto, Crypto)> {
    let theirs = cryptos(media).into_iter().next()?;
    Some((srtp.key(theirs.tag, theirs.suite)?, theirs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crypto_lines_are_read_and_written() {
        let line = "1 AES_CM_128_HMAC_SHA1_80 inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR|2^20|1:4";
        assert_eq!(Crypto::parse(line), None, "an identifier in every packet");
        let line = "1 AES_CM_128_HMAC_SHA1_80 inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR|2^20";
        let crypto = Crypto::parse(line).unwrap();
        assert_eq!((crypto.tag, crypto.key.len()), (1, 30));
        assert_eq!(Crypto::parse(&crypto.to_string()), Some(crypto.clone()));
        assert!(!format!("{crypto:?}").contains("PS1"));
        for (suite, length) in SUITES {
            let crypto = Crypto {
                tag: 9,
                suite,
                key: vec![7; length],
            };
            assert_eq!(Crypto::parse(&crypto.to_string()), Some(crypto.clone()));
            // Telephones that leave the padding out.
            let bare = crypto.to_string().replace('=', "");
            assert_eq!(Crypto::parse(&bare), Some(crypto), "{bare}");
        }
        for bad in [
            "",
            "1",
            "x AES_CM_128_HMAC_SHA1_80 inline:AAAA",
            "1 NULL inline:AAAA",
            "1 AES_CM_128_HMAC_SHA1_80 inline:AAAA",
            "1 AES_CM_128_HMAC_SHA1_80 PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR",
            "1 AES_CM_128_HMAC_SHA1_80 inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR UNENCRYPTED_SRTP",
            "1 AES_CM_128_HMAC_SHA1_80 inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR;inline:AAAA",
        ] {
            assert_eq!(Crypto::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_offer_has_every_suite_once() {
        let offered = Srtp::Required([3; KEY_MATERIAL]).offered();
        let tags: Vec<u32> = offered.iter().map(|c| c.tag).collect();
        assert_eq!(tags, [1, 2, 3, 4, 5, 6]);
        assert!(Srtp::Off.offered().is_empty());
    }
}
