//! Digest authentication as a telephone answers it (RFC 7616, RFC 8760). Written here, and not taken from the server's
//! stack, so that a misunderstanding of that stack is not shared by its peer.

use md5::Md5;
use sha2::{Digest, Sha256, Sha512_256};

/// A challenge of a 401 or 407.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// Protection domain.
    pub realm: String,
    /// Nonce.
    pub nonce: String,
    /// Hash; `MD5` where none is named.
    pub algorithm: String,
    /// What is offered: `auth`, `auth-int`.
    pub qop: Vec<String>,
    /// Returned as it came.
    pub opaque: Option<String>,
    /// The nonce was too old, or used up.
    pub stale: bool,
}

impl Challenge {
    /// Reads the value of a WWW-Authenticate or Proxy-Authenticate header; `None` if it is not of Digest.
    pub fn parse(value: &str) -> Option<Challenge> {
        let rest = value.strip_prefix("Digest ")?;
        let item = |name: &str| {
            split(rest).into_iter().find_map(|item| {
                let (n, v) = item.split_once('=')?;
                n.trim()
                    .eq_ignore_ascii_case(name)
                    .then(|| v.trim().trim_matches('"').to_owned())
            })
        };
        Some(Challenge {
            realm: item("realm")?,
            nonce: item("nonce")?,
            algorithm: item("algorithm").unwrap_or_else(|| "MD5".to_owned()),
            qop: item("qop").map_or_else(Vec::new, |q| q.split(',').map(|t| t.trim().to_owned()).collect()),
            opaque: item("opaque"),
            stale: item("stale").is_some_and(|s| s.eq_ignore_ascii_case("true")),
        })
    }
}

/// Items between commas that are not in quotes.
fn split(text: &str) -> Vec<&str> {
    let mut quoted = false;
    text.split(|c| {
        quoted ^= c == '"';
        c == ',' && !quoted
    })
    .collect()
}

fn hash(algorithm: &str, text: &str) -> String {
    let bytes = match algorithm {
        "SHA-256" => Sha256::digest(text).to_vec(),
        "SHA-512-256" => Sha512_256::digest(text).to_vec(),
        _ => Md5::digest(text).to_vec(),
    };
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Who signs in.
#[derive(Clone, Debug)]
pub struct User {
    /// Name.
    pub name: String,
    /// Password.
    pub password: String,
}

/// The request that is signed.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    /// Method.
    pub method: &'a str,
    /// Request-URI.
    pub uri: &'a str,
    /// Body, for `auth-int`.
    pub body: &'a str,
}

/// The `response` of an Authorization header. `qop` is `auth`, `auth-int`, or empty for the form of RFC 2069.
pub fn response(
    challenge: &Challenge,
    user: &User,
    request: Signed<'_>,
    qop: &str,
    count: &str,
    cnonce: &str,
) -> String {
    let h = |text: &str| hash(&challenge.algorithm, text);
    let a1 = h(&format!("{}:{}:{}", user.name, challenge.realm, user.password));
    let a2 = match qop {
        "auth-int" => h(&format!("{}:{}:{}", request.method, request.uri, h(request.body))),
        _ => h(&format!("{}:{}", request.method, request.uri)),
    };
    let nonce = &challenge.nonce;
    match qop {
        "" => h(&format!("{a1}:{nonce}:{a2}")),
        _ => h(&format!("{a1}:{nonce}:{count}:{cnonce}:{qop}:{a2}")),
    }
}

/// The value of an Authorization header. `count` counts the requests with this nonce.
pub fn answer(challenge: &Challenge, user: &User, request: Signed<'_>, qop: &str, count: u32) -> String {
    let (cnonce, count) = ("0a4f113b", format!("{count:08x}"));
    let response = response(challenge, user, request, qop, &count, cnonce);
    let more = match qop {
        "" => String::new(),
        _ => format!(", qop={qop}, nc={count}, cnonce=\"{cnonce}\""),
    };
    let opaque = challenge
        .opaque
        .as_ref()
        .map_or_else(String::new, |o| format!(", opaque=\"{o}\""));
    format!(
        "Digest username=\"{}\", realm=\"{}\", nonce=\"{}\", uri=\"{}\", response=\"{response}\", algorithm={}{more}{opaque}",
        user.name, challenge.realm, challenge.nonce, request.uri, challenge.algorithm
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_standards_come_out() {
        let user = User {
            name: "Mufasa".into(),
            password: "Circle Of Life".into(),
        };
        // RFC 2617 section 3.5.
        let value = "Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", \
                     opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"";
        let challenge = Challenge::parse(value).unwrap();
        assert_eq!(challenge.qop, ["auth", "auth-int"]);
        let request = Signed {
            method: "GET",
            uri: "/dir/index.html",
            body: "",
        };
        let answered = answer(&challenge, &user, request, "auth", 1);
        assert!(answered.contains("response=\"6629fae49393a05397450978507c4ef1\""));
    }
}
