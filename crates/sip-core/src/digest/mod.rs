//! Digest authentication (RFC 3261 §22, RFC 7616, RFC 8760): [`client`] answers challenges, [`server`] makes them and
//! checks the answers. Hashes are MD5, SHA-256 and SHA-512-256, protection is `auth` or `auth-int`.

pub mod client;
pub mod server;

pub use client::{Challenge, ClientSession};
pub use server::{Authenticator, Secret, ServerSettings, Verdict};

use md5::Md5;
use sha2::{Digest, Sha256, Sha512_256};
use std::fmt::Write as _;

/// Hash of a challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// `MD5` and where nothing is written.
    Md5,
    /// `MD5-sess`.
    Md5Session,
    /// `SHA-256`.
    Sha256,
    /// `SHA-256-sess`.
    Sha256Session,
    /// `SHA-512-256`.
    Sha512_256,
    /// `SHA-512-256-sess`.
    Sha512_256Session,
}

impl Algorithm {
    const ALL: [Algorithm; 6] = [
        Algorithm::Md5,
        Algorithm::Md5Session,
        Algorithm::Sha256,
        Algorithm::Sha256Session,
        Algorithm::Sha512_256,
        Algorithm::Sha512_256Session,
    ];

    /// The token on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Algorithm::Md5 => "MD5",
            Algorithm::Md5Session => "MD5-sess",
            Algorithm::Sha256 => "SHA-256",
            Algorithm::Sha256Session => "SHA-256-sess",
            Algorithm::Sha512_256 => "SHA-512-256",
            Algorithm::Sha512_256Session => "SHA-512-256-sess",
        }
    }

    /// Recognises a token in any case.
    pub fn parse(token: &str) -> Option<Algorithm> {
        Algorithm::ALL
            .into_iter()
            .find(|a| a.as_str().eq_ignore_ascii_case(token))
    }

    /// The algorithm without `-sess`.
    pub const fn base(self) -> Algorithm {
        match self {
            Algorithm::Md5 | Algorithm::Md5Session => Algorithm::Md5,
            Algorithm::Sha256 | Algorithm::Sha256Session => Algorithm::Sha256,
            Algorithm::Sha512_256 | Algorithm::Sha512_256Session => Algorithm::Sha512_256,
        }
    }

    /// True for the variants whose key is bound to nonce and cnonce.
    pub const fn is_session(self) -> bool {
        matches!(
            self,
            Algorithm::Md5Session | Algorithm::Sha256Session | Algorithm::Sha512_256Session
        )
    }

    /// MD5 is the weakest; the two members of the SHA-2 family count as equal.
    const fn strength(self) -> u8 {
        match self.base() {
            Algorithm::Md5 => 0,
            _ => 1,
        }
    }

    /// The hash of the parts with a colon between them, in lower-case hexadecimal digits.
    fn hash(self, parts: &[&[u8]]) -> String {
        fn run<D: Digest>(parts: &[&[u8]]) -> String {
            let mut digest = D::new();
            for (i, part) in parts.iter().enumerate() {
                if i > 0 {
                    digest.update(b":");
                }
                digest.update(part);
            }
            hex(&digest.finalize())
        }
        match self.base() {
            Algorithm::Md5 => run::<Md5>(parts),
            Algorithm::Sha256 => run::<Sha256>(parts),
            _ => run::<Sha512_256>(parts),
        }
    }

    /// H(username:realm:password), which a server may store in place of the password (RFC 7616 §3.4.2). The `-sess`
    /// variants share the value of their base.
    pub fn ha1(self, username: &str, realm: &str, password: &str) -> String {
        self.hash(&[username.as_bytes(), realm.as_bytes(), password.as_bytes()])
    }
}

/// Quality of protection (RFC 7616 §3.4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Qop {
    /// The form of RFC 2069, without a client nonce.
    None,
    /// Method and URI are covered.
    Auth,
    /// The body is covered too.
    AuthInt,
}

impl Qop {
    /// The token on the wire; empty for [`Qop::None`].
    pub const fn as_str(self) -> &'static str {
        match self {
            Qop::None => "",
            Qop::Auth => "auth",
            Qop::AuthInt => "auth-int",
        }
    }
}

/// What the response value is computed from, apart from the secret.
struct Inputs<'a> {
    algorithm: Algorithm,
    qop: Qop,
    nonce: &'a str,
    cnonce: &'a str,
    /// As written, eight hexadecimal digits.
    count: &'a str,
    method: &'a [u8],
    uri: &'a str,
    body: &'a [u8],
}

impl Inputs<'_> {
    /// RFC 7616 §3.4.1.
    fn response(&self, ha1: &str) -> String {
        let hash = |parts: &[&[u8]]| self.algorithm.hash(parts);
        let session;
        let ha1 = if self.algorithm.is_session() {
            session = hash(&[ha1.as_bytes(), self.nonce.as_bytes(), self.cnonce.as_bytes()]);
            &session
        } else {
            ha1
        };
        let ha2 = match self.qop {
            Qop::AuthInt => hash(&[self.method, self.uri.as_bytes(), hash(&[self.body]).as_bytes()]),
            Qop::None | Qop::Auth => hash(&[self.method, self.uri.as_bytes()]),
        };
        match self.qop {
            Qop::None => hash(&[ha1.as_bytes(), self.nonce.as_bytes(), ha2.as_bytes()]),
            qop => hash(&[
                ha1.as_bytes(),
                self.nonce.as_bytes(),
                self.count.as_bytes(),
                self.cnonce.as_bytes(),
                qop.as_str().as_bytes(),
                ha2.as_bytes(),
            ]),
        }
    }
}

/// The `name=value` items behind `Digest `, unquoted; `None` for another scheme.
fn items(value: &[u8]) -> Option<impl Iterator<Item = (&[u8], String)>> {
    let (scheme, rest) = value.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"Digest") || !rest.first()?.is_ascii_whitespace() {
        return None;
    }
    Some(crate::headers::CommaList::new(rest).filter_map(|item| {
        let eq = item.iter().position(|b| *b == b'=')?;
        Some((
            item[..eq].trim_ascii(),
            crate::headers::unquote(item[eq + 1..].trim_ascii()),
        ))
    }))
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
            let _ = write!(out, "{byte:02x}");
            out
        })
}
