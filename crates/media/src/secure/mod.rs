//! Legs whose media is encrypted: SRTP with keys from the description (RFC 4568), and WebRTC legs (RFC 8835): ICE, DTLS and
//! SRTP on one UDP port that all WebRTC legs of a shard share.

mod peer;
mod srtp;

use std::net::SocketAddr;
use std::sync::Arc;

use aws_lc_rs::digest;

pub(crate) use peer::{Change, Peer};
pub use srtp::{Context, MAX_OVERHEAD, MasterKey, Suite};

/// How a leg's media is protected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Security {
    /// Not at all: RTP.
    #[default]
    None,
    /// SRTP on the leg's own port pair, with keys from both descriptions.
    Sdes {
        /// What we send with.
        send: MasterKey,
        /// What we receive with.
        receive: MasterKey,
    },
    /// ICE, DTLS and SRTP on the shard's port.
    WebRtc(Arc<WebRtc>),
}

/// User name fragment and password of one side (RFC 8445 section 5.3).
#[derive(Clone, PartialEq, Eq)]
pub struct IceCredentials {
    /// `a=ice-ufrag`.
    pub ufrag: String,
    /// `a=ice-pwd`; not shown by `Debug`.
    pub pwd: String,
}

impl std::fmt::Debug for IceCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IceCredentials").field("ufrag", &self.ufrag).finish()
    }
}

/// The hash of a certificate (RFC 8122).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// Name of the hash function, for example `sha-256`.
    pub hash: String,
    /// The hash in hexadecimal with colons, for example `4A:AD:…`.
    pub value: String,
}

impl Fingerprint {
    /// The fingerprint of a certificate; `None` for a hash function that is unknown or too weak (RFC 8122 section 5).
    pub fn of(certificate: &[u8], hash: &str) -> Option<Fingerprint> {
        let algorithm = match hash.to_ascii_lowercase().as_str() {
            "sha-256" => &digest::SHA256,
            "sha-384" => &digest::SHA384,
            "sha-512" => &digest::SHA512,
            _ => return None,
        };
        let octets = digest::digest(algorithm, certificate);
        let value: Vec<String> = octets.as_ref().iter().map(|o| format!("{o:02X}")).collect();
        Some(Fingerprint {
            hash: hash.to_ascii_lowercase(),
            value: value.join(":"),
        })
    }

    fn is_of(&self, certificate: &[u8]) -> bool {
        Fingerprint::of(certificate, &self.hash).is_some_and(|f| f.value.eq_ignore_ascii_case(&self.value))
    }
}

/// A candidate of ours, as its line in the description says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalCandidate {
    /// Where the far side sends to.
    pub address: SocketAddr,
    /// The address behind the translator, for a server-reflexive candidate; `None` for a host candidate.
    pub base: Option<SocketAddr>,
}

/// Our side of a WebRTC leg, for the description: made outside of the shard, so that signalling never waits for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalWebRtc {
    /// Made for this description.
    pub credentials: IceCredentials,
    /// Of the certificate that all legs of the process share.
    pub fingerprint: Fingerprint,
    /// At least one.
    pub candidates: Vec<LocalCandidate>,
    /// We answer checks and make none (`a=ice-lite`).
    pub lite: bool,
    /// Sources for the packets of a video that the leg may get, and for their repetitions.
    pub video: [u32; 2],
}

/// What was agreed for a WebRTC leg. The same credentials again change nothing; other ones restart ICE (RFC 8445 section
/// 9) and media flows on meanwhile; another fingerprint, or another role, begins a new session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebRtc {
    /// What our description said.
    pub local: IceCredentials,
    /// What the far side's description said.
    pub remote: IceCredentials,
    /// The far side's certificate.
    pub fingerprint: Fingerprint,
    /// The far side's candidates, each as its attribute: `candidate:…`. Those that cannot be read are left out.
    pub candidates: Vec<String>,
    /// We begin the DTLS handshake: the far side is `passive`.
    pub active: bool,
    /// We nominate: the far side is `ice-lite`, or we offered and have full ICE.
    pub controlling: bool,
}

/// The certificate of the process, which all WebRTC legs share.
pub(crate) struct Identity {
    certificate: dimpl::DtlsCertificate,
    config: Arc<dimpl::Config>,
    pub(crate) fingerprint: Fingerprint,
}

impl Identity {
    /// Makes a key and a certificate, which live as long as the process.
    pub(crate) fn new() -> Result<Identity, String> {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(|e| e.to_string())?;
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, "WebRTC");
        // A browser may keep certificates by their serial number.
        let mut serial = [0u8; 16];
        getrandom::fill(&mut serial).map_err(|e| e.to_string())?;
        serial[0] &= 0x7F;
        params.serial_number = Some(rcgen::SerialNumber::from_slice(&serial));
        let certificate = params.self_signed(&key).map_err(|e| e.to_string())?.der().to_vec();
        let fingerprint = Fingerprint::of(&certificate, "sha-256").ok_or("no SHA-256")?;
        // ICE has proved that the far side is where it says it is: a cookie would prove it a second time.
        let config = dimpl::Config::builder()
            .use_server_cookie(false)
            .mtu(1200)
            .build()
            .map_err(|e| e.to_string())?;
        Ok(Identity {
            certificate: dimpl::DtlsCertificate {
                certificate,
                private_key: key.serialize_der(),
            },
            config: Arc::new(config),
            fingerprint,
        })
    }
}

/// New credentials: 48 bits of user name and 144 of password (RFC 8445 section 5.3 asks for 24 and 128).
///
/// # Errors
/// The system has no randomness.
pub(crate) fn mint_credentials() -> Result<IceCredentials, String> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut random = [0u8; 32];
    getrandom::fill(&mut random).map_err(|e| e.to_string())?;
    let text = |octets: &[u8]| {
        octets
            .iter()
            .map(|o| char::from(LETTERS[usize::from(o % 64)]))
            .collect()
    };
    Ok(IceCredentials {
        ufrag: text(&random[..8]),
        pwd: text(&random[8..]),
    })
}

/// Two sources for a leg's video (RFC 3550 section 8).
///
/// # Errors
/// The system has no randomness.
pub(crate) fn mint_sources() -> Result<[u32; 2], String> {
    let mut random = [0u8; 8];
    getrandom::fill(&mut random).map_err(|e| e.to_string())?;
    let both = u64::from_le_bytes(random);
    let (first, second) = (both as u32, (both >> 32) as u32);
    Ok([
        first,
        if first == second {
            second.wrapping_add(1)
        } else {
            second
        },
    ])
}

/// What a datagram on a shared port is (RFC 7983).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Datagram {
    Stun,
    Dtls,
    Rtp,
    Rtcp,
}

impl Datagram {
    pub(crate) fn of(packet: &[u8]) -> Option<Datagram> {
        match packet {
            [0..=3, ..] => Some(Datagram::Stun),
            [20..=63, ..] => Some(Datagram::Dtls),
            // RFC 5761 section 4.
            [128..=191, second, ..] if (64..96).contains(&(second & 0x7F)) => Some(Datagram::Rtcp),
            [128..=191, _, ..] => Some(Datagram::Rtp),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_are_told_apart() {
        assert_eq!(Datagram::of(&[0, 1]), Some(Datagram::Stun));
        assert_eq!(Datagram::of(&[22, 254]), Some(Datagram::Dtls));
        assert_eq!(Datagram::of(&[0x80, 0x80 | 111]), Some(Datagram::Rtp));
        assert_eq!(Datagram::of(&[0x81, 201]), Some(Datagram::Rtcp));
        assert_eq!(Datagram::of(&[64, 0]), None);
        assert_eq!(Datagram::of(&[]), None);
        assert_eq!(Datagram::of(&[0x80]), None);
    }

    #[test]
    fn passwords_are_not_shown_and_never_the_same() {
        let (a, b) = (mint_credentials().unwrap(), mint_credentials().unwrap());
        assert_ne!(a, b);
        assert_eq!((a.ufrag.len(), a.pwd.len()), (8, 24));
        assert!(!format!("{a:?}").contains(&a.pwd));
    }

    #[test]
    fn weak_hashes_are_no_proof() {
        let identity = Identity::new().unwrap();
        let der = &identity.certificate.certificate;
        assert!(identity.fingerprint.is_of(der));
        assert!(Fingerprint::of(der, "SHA-512").unwrap().is_of(der));
        assert!(Fingerprint::of(der, "sha-1").is_none());
        assert!(!Identity::new().unwrap().fingerprint.is_of(der));
    }
}
