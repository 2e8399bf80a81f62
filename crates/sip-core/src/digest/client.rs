//! Digest authentication as a client: reads challenges, chooses one and answers it.

use super::{Algorithm, Inputs, Qop, items};
use crate::api::Credentials;
use crate::message::{HeaderName, Message};
use crate::write::quote_into;
use std::fmt::Write as _;

/// Most challenges that are read from one response.
const MAX_CHALLENGES: usize = 16;

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
    /// What the answer will use: `auth` where it is offered, `auth-int` where nothing else is, the form of RFC 2069
    /// where the server names no qop.
    pub qop: Qop,
    /// The nonce was too old, the password was right.
    pub stale: bool,
    /// True for Proxy-Authenticate.
    pub proxy: bool,
}

impl Challenge {
    /// Parses one WWW-Authenticate or Proxy-Authenticate value; `None` if it cannot be answered: another scheme, an
    /// unknown hash, or no known qop.
    pub fn parse(value: &[u8], proxy: bool) -> Option<Challenge> {
        let mut challenge = Challenge {
            realm: String::new(),
            nonce: String::new(),
            opaque: None,
            algorithm: Algorithm::Md5,
            qop: Qop::None,
            stale: false,
            proxy,
        };
        let mut has_nonce = false;
        for (name, value) in items(value)? {
            match name {
                n if n.eq_ignore_ascii_case(b"realm") => challenge.realm = value,
                n if n.eq_ignore_ascii_case(b"nonce") => {
                    challenge.nonce = value;
                    has_nonce = true;
                }
                n if n.eq_ignore_ascii_case(b"opaque") => challenge.opaque = Some(value),
                n if n.eq_ignore_ascii_case(b"stale") => challenge.stale = value.eq_ignore_ascii_case("true"),
                n if n.eq_ignore_ascii_case(b"algorithm") => challenge.algorithm = Algorithm::parse(&value)?,
                n if n.eq_ignore_ascii_case(b"qop") => {
                    let offers = |token: &str| value.split(',').any(|q| q.trim().eq_ignore_ascii_case(token));
                    challenge.qop = if offers("auth") {
                        Qop::Auth
                    } else if offers("auth-int") {
                        Qop::AuthInt
                    } else {
                        return None;
                    };
                }
                _ => {}
            }
        }
        has_nonce.then_some(challenge)
    }

    /// The challenges of a 401 or 407 that should be answered: for each realm, and apart for Proxy-Authenticate, the one
    /// with the strongest hash, else the topmost (RFC 8760 §2.4). A forking proxy joins the challenges of several
    /// servers, so there can be more than one (RFC 3261 §22.3).
    pub fn all_of(response: &Message) -> Vec<Challenge> {
        let www = response.raw_values(HeaderName::WwwAuthenticate).map(|v| (v, false));
        let proxy = response.raw_values(HeaderName::ProxyAuthenticate).map(|v| (v, true));
        let mut best: Vec<Challenge> = Vec::new();
        for (value, proxy) in www.chain(proxy).take(MAX_CHALLENGES) {
            let Some(challenge) = Challenge::parse(value, proxy) else {
                continue;
            };
            match best.iter_mut().find(|b| b.proxy == proxy && b.realm == challenge.realm) {
                Some(held) if challenge.algorithm.strength() > held.algorithm.strength() => *held = challenge,
                Some(_) => {}
                None => best.push(challenge),
            }
        }
        best
    }

    /// The first of [`Challenge::all_of`].
    pub fn of(response: &Message) -> Option<Challenge> {
        Challenge::all_of(response).into_iter().next()
    }

    /// The header field that carries the answer.
    pub const fn answer_header(&self) -> HeaderName {
        if self.proxy {
            HeaderName::ProxyAuthorization
        } else {
            HeaderName::Authorization
        }
    }

    /// The value of Authorization or Proxy-Authorization for a request without a body; see
    /// [`Challenge::answer_body`].
    pub fn answer(&self, who: &Credentials, method: &str, uri: &str, cnonce: &str, nonce_count: u32) -> String {
        self.answer_body(who, method, uri, b"", cnonce, nonce_count)
    }

    /// The value of Authorization or Proxy-Authorization. `cnonce` must differ with every use of a nonce, or
    /// `nonce_count` must grow. `body` counts where only `auth-int` is offered.
    pub fn answer_body(
        &self,
        who: &Credentials,
        method: &str,
        uri: &str,
        body: &[u8],
        cnonce: &str,
        nonce_count: u32,
    ) -> String {
        let count = format!("{nonce_count:08x}");
        let inputs = Inputs {
            algorithm: self.algorithm,
            qop: self.qop,
            nonce: &self.nonce,
            cnonce,
            count: &count,
            method: method.as_bytes(),
            uri,
            body,
        };
        let response = inputs.response(&self.algorithm.ha1(&who.username, &self.realm, &who.password));
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
        if self.qop != Qop::None {
            let _ = write!(out, ", qop={}, nc={count}", self.qop.as_str());
        }
        if self.qop != Qop::None || self.algorithm.is_session() {
            out.push_str(", cnonce=");
            quote_into(&mut out, cnonce);
        }
        if let Some(opaque) = &self.opaque {
            out.push_str(", opaque=");
            quote_into(&mut out, opaque);
        }
        out
    }
}

/// A challenge that is answered again and again without waiting for the next 401, as for every refresh of a
/// registration: it counts the uses of the nonce. `nextnonce` of Authentication-Info is not followed; a nonce that has
/// grown old comes back as a challenge with `stale`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientSession {
    challenge: Challenge,
    used: u32,
}

impl ClientSession {
    /// Begins with a challenge that nobody has answered yet.
    pub fn new(challenge: Challenge) -> ClientSession {
        ClientSession { challenge, used: 0 }
    }

    /// The challenge.
    pub fn challenge(&self) -> &Challenge {
        &self.challenge
    }

    /// The header field and value for the next request, with a nonce count one higher than before; `None` when the
    /// count is exhausted, and for a challenge without qop after its first use.
    pub fn next(
        &mut self,
        who: &Credentials,
        method: &str,
        uri: &str,
        body: &[u8],
        cnonce: &str,
    ) -> Option<(HeaderName, String)> {
        if self.challenge.qop == Qop::None && self.used > 0 {
            return None;
        }
        self.used = self.used.checked_add(1)?;
        let value = self.challenge.answer_body(who, method, uri, body, cnonce, self.used);
        Some((self.challenge.answer_header(), value))
    }

    /// What a 401 or 407 to an answered request means.
    pub fn challenged_again(&self, next: &Challenge) -> Rechallenge {
        if next.realm != self.challenge.realm || next.proxy != self.challenge.proxy {
            Rechallenge::AnotherRealm
        } else if next.stale || self.used > 1 && next.nonce != self.challenge.nonce {
            // Servers that forget to say stale are common. A nonce that has served before was right once, so one more
            // attempt with the new one is harmless; it is the first use of that nonce and will not come here again.
            Rechallenge::Stale
        } else {
            Rechallenge::Rejected
        }
    }
}

/// Why a request that carries an answer is challenged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rechallenge {
    /// The nonce is old; the same credentials with the new nonce will do.
    Stale,
    /// Another server on the way asks too: answer it as well (RFC 3261 §22.3).
    AnotherRealm,
    /// The credentials are wrong; do not try again.
    Rejected,
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

    /// RFC 7616 §3.9.2 with the values of erratum 4897: the ones in the text use a truncated SHA-512.
    #[test]
    fn the_example_of_sha_512_256() {
        let value = "Digest realm=\"api@example.org\", qop=\"auth\", algorithm=SHA-512-256, \
                     nonce=\"5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK\", charset=UTF-8, userhash=true";
        let challenge = Challenge::parse(value.as_bytes(), false).unwrap();
        let who = Credentials {
            username: "J\u{e4}s\u{f8}n Doe".into(),
            password: "Secret, or not?".into(),
        };
        let answer = challenge.answer(
            &who,
            "GET",
            "/doe.json",
            "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v",
            1,
        );
        let expected = "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5";
        assert!(answer.contains(expected), "{answer}");
    }

    /// RFC 2617 §3.5 computes this value without qop in the way of RFC 2069.
    #[test]
    fn without_qop() {
        let value = b"Digest realm=\"testrealm@host.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\"";
        let challenge = Challenge::parse(value, true).unwrap();
        let answer = challenge.answer(&mufasa(), "GET", "/dir/index.html", "x", 1);
        let expected = {
            let h = |p: &[&str]| Algorithm::Md5.hash(&p.iter().map(|s| s.as_bytes()).collect::<Vec<_>>());
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
            "Digest nonce=\"x\", qop=\"auth-conf\"",
            "Digest nonce=\"x\", algorithm=SHA-1",
            "",
        ] {
            assert_eq!(Challenge::parse(value.as_bytes(), false), None, "{value}");
        }
    }

    fn refusal(headers: &str) -> Message {
        let text = format!(
            "SIP/2.0 401 Unauthorized\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\nFrom: <sip:a@h>;tag=1\r\n\
             To: <sip:b@h>;tag=2\r\nCall-ID: c\r\nCSeq: 1 REGISTER\r\n{headers}Content-Length: 0\r\n\r\n"
        );
        Message::parse(text.into_bytes().into()).unwrap()
    }

    #[test]
    fn the_strongest_challenge_of_each_realm_is_chosen() {
        let response = refusal(
            "WWW-Authenticate: Digest realm=\"a\", nonce=\"1\", algorithm=SHA-1\r\n\
             WWW-Authenticate: Digest realm=\"a\", nonce=\"2\", algorithm=MD5\r\n\
             WWW-Authenticate: Digest realm=\"a\", nonce=\"3\", algorithm=SHA-512-256, qop=\"auth-int\"\r\n\
             WWW-Authenticate: Digest realm=\"a\", nonce=\"4\", algorithm=SHA-256\r\n\
             WWW-Authenticate: Digest realm=\"b\", nonce=\"5\"\r\n\
             Proxy-Authenticate: Digest realm=\"a\", nonce=\"6\"\r\n",
        );
        let chosen: Vec<(String, bool)> = Challenge::all_of(&response)
            .into_iter()
            .map(|c| (c.nonce, c.proxy))
            .collect();
        assert_eq!(chosen, [("3".into(), false), ("5".into(), false), ("6".into(), true)]);
        assert_eq!(Challenge::of(&response).unwrap().qop, Qop::AuthInt);
    }

    #[test]
    fn the_nonce_count_goes_past_255_in_hexadecimal_digits() {
        let challenge = Challenge::parse(b"Digest realm=\"r\", nonce=\"n\", qop=\"auth\"", false).unwrap();
        let mut session = ClientSession::new(challenge.clone());
        for n in 1..=300u32 {
            let (_, value) = session.next(&mufasa(), "REGISTER", "sip:r", b"", "c").unwrap();
            assert!(value.contains(&format!("nc={n:08x}")), "{value}");
        }
        let stale = Challenge {
            nonce: "m".into(),
            stale: true,
            ..challenge.clone()
        };
        assert_eq!(session.challenged_again(&stale), Rechallenge::Stale);
        let mut fresh = ClientSession::new(challenge.clone());
        fresh.next(&mufasa(), "REGISTER", "sip:r", b"", "c").unwrap();
        assert_eq!(fresh.challenged_again(&challenge), Rechallenge::Rejected);
    }
}
