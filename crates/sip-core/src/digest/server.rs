//! Digest authentication as a server (RFC 7616 §3.3-3.6): makes challenges and checks what comes back.
//!
//! A nonce is its own birth time under a keyed hash, so that challenges cost no memory: only nonces that somebody has
//! answered correctly are remembered, in a table of a fixed size, to refuse the same nonce count twice.

use super::{Algorithm, Inputs, Qop, hex, items};
use crate::api::Time;
use crate::message::{HeaderName, Message};
use crate::uri::Uri;
use crate::write::quote_into;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::collections::BTreeMap;
use std::fmt;
use subtle::ConstantTimeEq;

/// Bytes of a nonce: eight of time, sixteen of keyed hash; twice as many hexadecimal digits on the wire.
const NONCE: usize = 24;
/// Most Authorization values that are looked at in one request.
const MAX_VALUES: usize = 8;

/// How an [`Authenticator`] behaves.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// What is offered, best first. A client's answer with anything else is [`Verdict::Malformed`].
    pub algorithms: Vec<Algorithm>,
    /// How long a nonce is good for, in microseconds; 5 minutes.
    pub nonce_lifetime: u64,
    /// Answered nonces that are remembered. When it is full the oldest is forgotten, and all nonces as old or older
    /// are stale from then on, so that nothing can be replayed.
    pub max_nonces: usize,
    /// Whether clients that ignore qop, as RFC 2069 has it, are accepted; each nonce then serves once.
    pub allow_without_qop: bool,
}

impl Default for ServerSettings {
    fn default() -> Self {
        ServerSettings {
            algorithms: vec![Algorithm::Sha256, Algorithm::Sha512_256, Algorithm::Md5],
            nonce_lifetime: 300 * 1_000_000,
            max_nonces: 100_000,
            allow_without_qop: true,
        }
    }
}

/// What the server knows of a user. `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// The password.
    Password(String),
    /// [`Algorithm::ha1`] values, as many as there are algorithms to be accepted.
    Ha1(Vec<(Algorithm, String)>),
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What the credentials of a request are worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// There are none: challenge.
    Absent,
    /// They cannot be read, name another Request-URI, or use what was not offered: 400.
    Malformed,
    /// Nobody has this name in this realm. To the outside this must look like [`Verdict::WrongPassword`]: 401 with a new
    /// challenge, and it counts as a failure.
    UnknownUser,
    /// The response value is wrong.
    WrongPassword,
    /// The password is right but the nonce is old, or was minted with another secret: 401 with `stale=true`, no failure.
    Stale,
    /// The password is right but the nonce count has been seen: 401 with `stale=true`. A client that retransmits does
    /// not come here, because its transaction absorbs that.
    Replayed,
    /// All is well.
    Accepted {
        /// The user name of the credentials.
        username: String,
        /// Their realm.
        realm: String,
    },
}

/// The nonce counts that were used with one nonce.
#[derive(Debug, Clone, Copy, Default)]
struct Window {
    highest: u32,
    /// Bit n stands for `highest - n`.
    seen: u64,
}

impl Window {
    /// True if the count is new; a count more than 63 below the highest one is taken for a repetition.
    fn admit(&mut self, count: u32) -> bool {
        if count > self.highest {
            let step = count - self.highest;
            self.seen = if step < 64 { self.seen << step } else { 0 } | 1;
            self.highest = count;
            return true;
        }
        let back = self.highest - count;
        if back >= 64 || self.seen >> back & 1 == 1 {
            return false;
        }
        self.seen |= 1 << back;
        true
    }
}

/// Makes challenges and checks the answers. One for each process, or one for all that share a secret and a clock.
pub struct Authenticator {
    key: Hmac<Sha256>,
    settings: ServerSettings,
    /// Answered nonces by their birth, so that the oldest is the first.
    used: BTreeMap<u64, Window>,
    /// Nonces born at or before this time are stale.
    floor: u64,
    last: u64,
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authenticator({} nonces in use)", self.used.len())
    }
}

/// The parameters of an Authorization value.
#[derive(Default)]
struct Answer {
    username: Option<String>,
    realm: String,
    nonce: String,
    uri: String,
    response: String,
    algorithm: Option<String>,
    qop: Option<String>,
    cnonce: String,
    count: String,
    userhash: bool,
}

impl Answer {
    fn parse(value: &[u8]) -> Option<Answer> {
        let mut answer = Answer::default();
        for (name, value) in items(value)? {
            match name.to_ascii_lowercase().as_slice() {
                b"username" => answer.username = Some(value),
                b"username*" => answer.username = Some(extended(&value)?),
                b"realm" => answer.realm = value,
                b"nonce" => answer.nonce = value,
                b"uri" => answer.uri = value,
                b"response" => answer.response = value,
                b"algorithm" => answer.algorithm = Some(value),
                b"qop" => answer.qop = Some(value),
                b"cnonce" => answer.cnonce = value,
                b"nc" => answer.count = value,
                b"userhash" => answer.userhash = value.eq_ignore_ascii_case("true"),
                _ => {}
            }
        }
        Some(answer)
    }
}

/// An ext-value of RFC 5987, `UTF-8''J%C3%A4s%C3%B8n`.
fn extended(value: &str) -> Option<String> {
    let rest = value
        .get(..7)
        .filter(|p| p.eq_ignore_ascii_case("UTF-8''"))
        .and(value.get(7..))?;
    Some(crate::uri::unescape(rest.as_bytes()))
}

impl Authenticator {
    /// An authenticator without memory. Draw `secret` at random: whoever knows it can mint nonces. If several processes
    /// share it, `now` must be a common clock everywhere below, and a nonce count is refused only where it was seen.
    pub fn new(secret: &[u8; 32], settings: ServerSettings) -> Authenticator {
        Authenticator {
            // A key of the block length cannot be refused.
            key: Hmac::new_from_slice(secret).unwrap_or_else(|_| unreachable!("HMAC takes keys of any length")),
            settings,
            used: BTreeMap::new(),
            floor: 0,
            last: 0,
        }
    }

    /// Answered nonces that are remembered.
    pub fn remembered(&self) -> usize {
        self.used.len()
    }

    fn mac(&self, purpose: &[u8], realm: &str, birth: u64) -> [u8; 16] {
        let mut mac = self.key.clone();
        mac.update(purpose);
        mac.update(&birth.to_be_bytes());
        mac.update(realm.as_bytes());
        let mut out = [0; 16];
        out.copy_from_slice(&mac.finalize().into_bytes()[..16]);
        out
    }

    /// The values of WWW-Authenticate (with 401) or Proxy-Authenticate (with 407), one header field each, best algorithm
    /// first (RFC 8760 §2.3). `stale` after [`Verdict::Stale`] and [`Verdict::Replayed`].
    pub fn challenge(&mut self, realm: &str, stale: bool, now: Time) -> Vec<String> {
        // Every nonce has a birth of its own, so that two clients never share a nonce count.
        let birth = now.0.max(self.last.saturating_add(1));
        self.last = birth;
        let mut nonce = [0; NONCE];
        nonce[..8].copy_from_slice(&birth.to_be_bytes());
        nonce[8..].copy_from_slice(&self.mac(b"nonce", realm, birth));
        let nonce = hex(&nonce);
        let opaque = hex(&self.mac(b"opaque", realm, 0)[..8]);
        let one = |algorithm: &Algorithm| {
            let mut out = String::with_capacity(192);
            out.push_str("Digest realm=");
            quote_into(&mut out, realm);
            out.push_str(", qop=\"auth,auth-int\", algorithm=");
            out.push_str(algorithm.as_str());
            for (name, value) in [(", nonce=\"", &nonce), ("\", opaque=\"", &opaque)] {
                out.push_str(name);
                out.push_str(value);
            }
            out.push('"');
            if stale {
                out.push_str(", stale=true");
            }
            out
        };
        self.settings.algorithms.iter().map(one).collect()
    }

    /// Checks the credentials of a request, in Authorization or Proxy-Authorization; of several, the ones that carry a
    /// nonce of ours. `lookup` gets user name and realm.
    pub fn check(&mut self, request: &Message, lookup: impl Fn(&str, &str) -> Option<Secret>, now: Time) -> Verdict {
        let values = request
            .raw_values(HeaderName::Authorization)
            .chain(request.raw_values(HeaderName::ProxyAuthorization));
        let mut chosen: Option<(Answer, Option<u64>)> = None;
        let mut present = false;
        for value in values.take(MAX_VALUES) {
            present = true;
            let Some(answer) = Answer::parse(value) else { continue };
            let birth = self.birth(&answer);
            if birth.is_some() || chosen.is_none() {
                chosen = Some((answer, birth));
                if birth.is_some() {
                    break;
                }
            }
        }
        match chosen {
            Some((answer, birth)) => self.judge(request, &answer, birth, lookup, now),
            // Credentials of another scheme are for somebody else (RFC 4475 §3.3.7).
            None if present && request_has_digest(request) => Verdict::Malformed,
            None => Verdict::Absent,
        }
    }

    /// When the nonce was minted, if we minted it.
    fn birth(&self, answer: &Answer) -> Option<u64> {
        let mut bytes = [0; NONCE];
        if answer.nonce.len() != 2 * NONCE {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(answer.nonce.as_bytes().chunks_exact(2)) {
            let digit = |b: u8| (b as char).to_digit(16);
            *byte = (digit(pair[0])? * 16 + digit(pair[1])?) as u8;
        }
        let mut time = [0; 8];
        time.copy_from_slice(&bytes[..8]);
        let birth = u64::from_be_bytes(time);
        let ours: bool = self.mac(b"nonce", &answer.realm, birth).ct_eq(&bytes[8..]).into();
        ours.then_some(birth)
    }

    fn judge(
        &mut self,
        request: &Message,
        answer: &Answer,
        birth: Option<u64>,
        lookup: impl Fn(&str, &str) -> Option<Secret>,
        now: Time,
    ) -> Verdict {
        let algorithm = match &answer.algorithm {
            Some(token) => Algorithm::parse(token),
            None => Some(Algorithm::Md5),
        };
        let Some(algorithm) = algorithm.filter(|a| self.settings.algorithms.contains(a)) else {
            return Verdict::Malformed;
        };
        let qop = match answer.qop.as_deref() {
            None if self.settings.allow_without_qop => Qop::None,
            Some(q) if q.eq_ignore_ascii_case("auth") => Qop::Auth,
            Some(q) if q.eq_ignore_ascii_case("auth-int") => Qop::AuthInt,
            _ => return Verdict::Malformed,
        };
        let count = match qop {
            Qop::None => 1,
            _ => match u32::from_str_radix(&answer.count, 16) {
                Ok(count) if answer.count.len() == 8 && count > 0 && !answer.cnonce.is_empty() => count,
                _ => return Verdict::Malformed,
            },
        };
        let Some(username) = answer.username.as_ref().filter(|u| !u.is_empty() && !answer.userhash) else {
            return Verdict::Malformed;
        };
        if answer.response.is_empty() || !same_resource(&answer.uri, &request.request_uri()) {
            return Verdict::Malformed;
        }
        let body = if qop == Qop::AuthInt {
            request.body()
        } else {
            Default::default()
        };
        let inputs = Inputs {
            algorithm,
            qop,
            nonce: &answer.nonce,
            cnonce: &answer.cnonce,
            count: &answer.count,
            method: request.method_name(),
            uri: &answer.uri,
            body: &body,
        };
        let secret = lookup(username, &answer.realm);
        let known = secret.is_some();
        let right = matches(&inputs, username, &answer.realm, secret, &answer.response);
        if !known {
            return Verdict::UnknownUser;
        }
        if !right {
            return Verdict::WrongPassword;
        }
        let lifetime = self.settings.nonce_lifetime;
        let Some(birth) = birth.filter(|b| *b > self.floor && now.0.saturating_sub(*b) <= lifetime) else {
            return Verdict::Stale;
        };
        if !self.count_is_new(birth, count, qop, now) {
            return Verdict::Replayed;
        }
        Verdict::Accepted {
            username: username.clone(),
            realm: answer.realm.clone(),
        }
    }

    fn count_is_new(&mut self, birth: u64, count: u32, qop: Qop, now: Time) -> bool {
        // Nonces that are stale by their age need no memory.
        let horizon = now.0.saturating_sub(self.settings.nonce_lifetime);
        while let Some(oldest) = self.used.first_entry().filter(|e| *e.key() < horizon) {
            oldest.remove();
        }
        if !self.used.contains_key(&birth) && self.used.len() >= self.settings.max_nonces.max(1) {
            if let Some((oldest, _)) = self.used.pop_first() {
                self.floor = self.floor.max(oldest);
            }
            if birth <= self.floor {
                return false;
            }
        }
        let window = self.used.entry(birth).or_default();
        match qop {
            // Without a count a nonce serves once, and never after it was counted.
            Qop::None => {
                let unused = window.highest == 0;
                *window = Window {
                    highest: u32::MAX,
                    seen: u64::MAX,
                };
                unused
            }
            _ => window.admit(count),
        }
    }
}

fn request_has_digest(request: &Message) -> bool {
    request
        .raw_values(HeaderName::Authorization)
        .chain(request.raw_values(HeaderName::ProxyAuthorization))
        .take(MAX_VALUES)
        .any(|v| v.len() >= 6 && v[..6].eq_ignore_ascii_case(b"Digest"))
}

/// Compares in constant time. An unknown user costs what a known one does: the same hashes over a password of nobody.
fn matches(inputs: &Inputs<'_>, username: &str, realm: &str, secret: Option<Secret>, response: &str) -> bool {
    let base = inputs.algorithm.base();
    let (password, stored) = match &secret {
        Some(Secret::Password(password)) => (password.as_str(), None),
        Some(Secret::Ha1(values)) => ("correct horse", values.iter().find(|(a, _)| a.base() == base)),
        None => ("correct horse", None),
    };
    let fresh = std::hint::black_box(base.ha1(username, realm, password));
    let usable = match &secret {
        Some(Secret::Password(_)) => true,
        Some(Secret::Ha1(_)) => stored.is_some(),
        None => false,
    };
    let ha1 = stored.map_or(fresh, |(_, value)| value.to_ascii_lowercase());
    let expected = inputs.response(&ha1);
    let given = response.to_ascii_lowercase();
    let same: bool = expected.as_bytes().ct_eq(given.as_bytes()).into();
    same & usable
}

/// RFC 7616 §3.4.6: the URI of the credentials must mean the resource of the request. Port and parameters are often
/// left out or added by clients and by proxies on the way, so user and host decide.
fn same_resource(claimed: &str, request_uri: &str) -> bool {
    if claimed == request_uri {
        return !claimed.is_empty();
    }
    match (Uri::parse(claimed), Uri::parse(request_uri)) {
        (Ok(a), Ok(b)) => {
            let named = !(a.host().is_empty() && a.user().is_empty());
            named && a.user() == b.user() && a.host().eq_ignore_ascii_case(b.host()) && is_sip(&a) == is_sip(&b)
        }
        _ => false,
    }
}

fn is_sip(uri: &Uri) -> bool {
    use crate::uri::Scheme;
    matches!(uri.scheme(), Scheme::Sip | Scheme::Sips)
}

#[cfg(test)]
mod tests;
