//! Digest authentication as a client (RFC 3261 §22, RFC 7616, RFC 8760): MD5, SHA-256, their session variants, qop auth.

use crate::api::Credentials;
use crate::headers::unquote;
use crate::message::{HeaderName, Message};
use crate::write::quote_into;
use md5::Md5;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// Hash of a challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// `MD5` and where nothing is written.
    Md5,
    /// `MD5-sess`.
    Md5Session,
    /// `SHA-256`.
    Sha256,
    /// `SHA-256-sess`.
    Sha256Session,
}

impl Algorithm {
    const ALL: [Algorithm; 4] = [
        Algorithm::Md5,
        Algorithm::Md5Session,
        Algorithm::Sha256,
        Algorithm::Sha256Session,
    ];

    /// The token on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Algorithm::Md5 => "MD5",
            Algorithm::Md5Session => "MD5-sess",
            Algorithm::Sha256 => "SHA-256",
            Algorithm::Sha256Session => "SHA-256-sess",
        }
    }

    fn hash(self, parts: &[&str]) -> String {
        fn run<D: Digest>(parts: &[&str]) -> String {
            let mut digest = D::new();
            for (i, part) in parts.iter().enumerate() {
                if i > 0 {
                    digest.update(b":");
                }
                digest.update(part.as_bytes());
            }
            digest
                .finalize()
                .iter()
                .fold(String::with_capacity(64), |mut hex, byte| {
                    let _ = write!(hex, "{byte:02x}");
                    hex
                })
        }
        match self {
            Algorithm::Md5 | Algorithm::Md5Session => run::<Md5>(parts),
            Algorithm::Sha256 | Algorithm::Sha256Session => run::<Sha256>(parts),
        }
    }

    const fn is_session(self) -> bool {
        matches!(self, Algorithm::Md5Session | Algorithm::Sha256Session)
    }
}

/// A challenge that can be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// Protection domain.
    pub realm: String,
    /// Server nonce.
    pub nonce: String,
    /// Returned as it came.
    pub opaque: Option<String>,
    /// Hash.
    pub algorithm: Algorithm,
    /// True if the server offers qop `auth`; without any qop the form of RFC 2069 is used.
    pub qop_auth: bool,
    /// The nonce was too old, the password was right.
    pub stale: bool,
    /// True for Proxy-Authenticate.
    pub proxy: bool,
}

impl Challenge {
    /// Parses one WWW-Authenticate or Proxy-Authenticate value; `None` if it cannot be answered: another scheme, an
    /// unknown hash, or qop without `auth`.
    pub fn parse(value: &[u8], proxy: bool) -> Option<Challenge> {
        let (scheme, rest) = value.split_at_checked(6)?;
        if !scheme.eq_ignore_ascii_case(b"Digest") || !rest.first()?.is_ascii_whitespace() {
            return None;
        }
        let mut challenge = Challenge {
            realm: String::new(),
            nonce: String::new(),
            opaque: None,
            algorithm: Algorithm::Md5,
            qop_auth: false,
            stale: false,
            proxy,
        };
        let mut has_nonce = false;
        for item in crate::headers::CommaList::new(rest) {
            let Some(eq) = item.iter().position(|b| *b == b'=') else {
                continue;
            };
            let (name, value) = (item[..eq].trim_ascii(), unquote(item[eq + 1..].trim_ascii()));
            match name {
                n if n.eq_ignore_ascii_case(b"realm") => challenge.realm = value,
                n if n.eq_ignore_ascii_case(b"nonce") => {
                    challenge.nonce = value;
                    has_nonce = true;
                }
                n if n.eq_ignore_ascii_case(b"opaque") => challenge.opaque = Some(value),
                n if n.eq_ignore_ascii_case(b"stale") => challenge.stale = value.eq_ignore_ascii_case("true"),
                n if n.eq_ignore_ascii_case(b"algorithm") => {
                    challenge.algorithm = Algorithm::ALL
                        .into_iter()
                        .find(|a| a.as_str().eq_ignore_ascii_case(&value))?;
                }
                n if n.eq_ignore_ascii_case(b"qop") => {
                    challenge.qop_auth = value.split(',').any(|q| q.trim().eq_ignore_ascii_case("auth"));
                    if !challenge.qop_auth {
                        return None;
                    }
                }
                _ => {}
            }
        }
        has_nonce.then_some(challenge)
    }

    /// The topmost challenge of a 401 or 407 that can be answered (RFC 8760 §2.4).
    pub fn of(response: &Message) -> Option<Challenge> {
        let www = response.raw_values(HeaderName::WwwAuthenticate).map(|v| (v, false));
        let proxy = response.raw_values(HeaderName::ProxyAuthenticate).map(|v| (v, true));
        www.chain(proxy)
            .find_map(|(value, proxy)| Challenge::parse(value, proxy))
    }

    /// The header field that carries the answer.
    pub const fn answer_header(&self) -> HeaderName {
        if self.proxy {
            HeaderName::ProxyAuthorization
        } else {
            HeaderName::Authorization
        }
    }

    /// The value of Authorization or Proxy-Authorization. `cnonce` must differ with every use of a nonce, or
    /// `nonce_count` must grow.
    pub fn answer(&self, who: &Credentials, method: &str, uri: &str, cnonce: &str, nonce_count: u32) -> String {
        let hash = |parts: &[&str]| self.algorithm.hash(parts);
        let mut ha1 = hash(&[&who.username, &self.realm, &who.password]);
        if self.algorithm.is_session() {
            ha1 = hash(&[&ha1, &self.nonce, cnonce]);
        }
        let ha2 = hash(&[method, uri]);
        let count = format!("{nonce_count:08x}");
        let response = if self.qop_auth {
            hash(&[&ha1, &self.nonce, &count, cnonce, "auth", &ha2])
        } else {
            hash(&[&ha1, &self.nonce, &ha2])
        };
        let mut out = String::with_capacity(320);
        out.push_str("Digest username=");
        quote_into(&mut out, &who.username);
        for (name, value) in [
            ("realm", self.realm.as_str()),
            ("nonce", &self.nonce),
            ("uri", uri),
            ("response", &response),
        ] {
            let _ = write!(out, ", {name}=");
            quote_into(&mut out, value);
        }
        let _ = write!(out, ", algorithm={}", self.algorithm.as_str());
        if self.qop_auth {
            let _ = write!(out, ", qop=auth, nc={count}");
        }
        if self.qop_auth || self.algorithm.is_session() {
            let _ = write!(out, ", cnonce=\"{cnonce}\"");
        }
        if let Some(opaque) = &self.opaque {
            out.push_str(", opaque=");
            quote_into(&mut out, opaque);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mufasa() -> Credentials {
        Credentials {
            username: "Mufasa".into(),
            password: "Circle of Life".into(),
        }
    }

    /// RFC 7616 §3.9.1, both hashes.
    #[test]
    fn the_example_of_rfc_7616() {
        for (algorithm, response) in [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            (
                "SHA-256",
                "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
            ),
        ] {
            let value = format!(
                "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm={algorithm}, \
                 nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
            );
            let challenge = Challenge::parse(value.as_bytes(), false).unwrap();
            let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
            let answer = challenge.answer(&mufasa(), "GET", "/dir/index.html", cnonce, 1);
            assert!(answer.contains(&format!("response=\"{response}\"")), "{answer}");
            assert!(answer.contains("nc=00000001") && answer.contains("opaque=\"FQhe"));
        }
    }

    /// RFC 2617 §3.5 computes this value without qop in the way of RFC 2069.
    #[test]
    fn without_qop() {
        let value = b"Digest realm=\"testrealm@host.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\"";
        let challenge = Challenge::parse(value, true).unwrap();
        let answer = challenge.answer(&mufasa(), "GET", "/dir/index.html", "x", 1);
        let expected = {
            let h = |p: &[&str]| Algorithm::Md5.hash(p);
            h(&[
                &h(&["Mufasa", "testrealm@host.com", "Circle of Life"]),
                "dcd98b7102dd2f0e8b11d0f600bfb0c093",
                &h(&["GET", "/dir/index.html"]),
            ])
        };
        assert!(answer.contains(&expected) && !answer.contains("cnonce") && !answer.contains("qop"));
        assert_eq!(challenge.answer_header(), HeaderName::ProxyAuthorization);
    }

    #[test]
    fn what_cannot_be_answered_is_left() {
        for value in [
            "Basic realm=\"x\"",
            "Digest realm=\"x\"",
            "Digest nonce=\"x\", qop=\"auth-int\"",
            "Digest nonce=\"x\", algorithm=SHA-1",
            "",
        ] {
            assert_eq!(Challenge::parse(value.as_bytes(), false), None, "{value}");
        }
    }
}
