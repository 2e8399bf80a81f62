//! Users, keys and logins: who somebody is, and how they show it.
//!
//! A user logs in with name, password and, if set, a one-time password, and gets an access token (a JWT of fifteen
//! minutes, HMAC-SHA-256) and a refresh token that is good once. A program sends an API key. What a user may do is read
//! from the user as it is now, not from the token: a role that was taken away is gone at once, and so is a login that was
//! revoked.

pub(crate) mod audit;
pub(crate) mod keys;
pub(crate) mod login;
pub(crate) mod me;
mod passwords;
mod rates;
mod second_factor;
mod throttle;
mod tokens;
pub(crate) mod users;

use crate::Api;
use crate::desk::{Principal, Views};
use crate::error::{Code, Problem};
use axum::http::{HeaderMap, header};
use rates::Rates;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use strowger_core::{KeyId, Stamp};
use subtle::ConstantTimeEq;
use throttle::Throttle;
use tokens::Signer;

/// How API keys begin, so that one that was left somewhere is found.
const KEY_PREFIX: &str = "swk_";

/// What the identity of principals is decided with. Settings, and memory that a restart may forget: how often somebody
/// tried to log in, how fast a key asks, which logins were revoked while their tokens are valid.
pub struct Identity {
    /// Requests per second of a key or user that has no limit of its own; 0 is no limit.
    rate: u32,
    pub(crate) views: Views,
    pub(crate) rates: Rates,
    pub(crate) throttle: Throttle,
    pub(crate) signer: Signer,
    pub(crate) hashing: Arc<tokio::sync::Semaphore>,
}

impl Default for Identity {
    fn default() -> Identity {
        Identity::new(50)
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity")
            .field("rate", &self.rate)
            .finish_non_exhaustive()
    }
}

impl Identity {
    /// With this many requests per second for a key or user that has no limit of its own; 0 is no limit.
    pub fn new(rate: u32) -> Identity {
        Identity {
            rate,
            views: Views::default(),
            rates: Rates::new(rate),
            throttle: Throttle::default(),
            signer: Signer::default(),
            // A hash takes 19 MiB and some ten milliseconds of a core: two at once leave cores for calls.
            hashing: Arc::new(tokio::sync::Semaphore::new(2)),
        }
    }
}

fn unauthenticated(detail: &str) -> Problem {
    Problem::new(Code::Unauthenticated, detail)
}

/// Who the header `Authorization` says and shows that it is.
pub(crate) fn identify(api: &Api, headers: &HeaderMap) -> Result<Principal, Problem> {
    // A browser cannot set headers of a WebSocket; it names the token as a protocol.
    if !headers.contains_key(header::AUTHORIZATION)
        && let Some(token) = crate::events::socket::token(headers)
    {
        return shown(api, token);
    }
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (value, None) = (values.next(), values.next()) else {
        return Err(unauthenticated("send one Authorization header"));
    };
    let text = value.and_then(|v| v.to_str().ok()).unwrap_or_default();
    let token = match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => {
            return Err(unauthenticated(
                "send 'Authorization: Bearer …' with an API key, or with the access token of a login",
            ));
        }
    };
    shown(api, token)
}

fn shown(api: &Api, token: &str) -> Result<Principal, Problem> {
    let now = (api.now)();
    match token.strip_prefix(KEY_PREFIX) {
        Some(rest) => key(api, rest, now),
        None => tokens::verify(api, token, now),
    }
}

/// SHA-256 of a random secret.
pub(crate) fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret).into()
}

fn key(api: &Api, text: &str, now: Stamp) -> Result<Principal, Problem> {
    // One answer whatever is wrong: an id that exists is not told from one that does not.
    let bad = || unauthenticated("the API key is not valid: it is mistyped, over, switched off or removed");
    let (id, secret) = text.split_once('_').ok_or_else(bad)?;
    let id: KeyId = id.parse().map_err(|_| bad())?;
    let config = api.store.snapshot();
    let key = config.key(id).ok_or_else(bad)?;
    let fits: bool = key.digest.ct_eq(&digest(secret)).into();
    let valid = !key.disabled && key.expires_at.is_none_or(|end| now < end);
    let tenant = config.tenant(key.tenant).is_some_and(|t| !t.disabled);
    if !(fits && valid && tenant) {
        return Err(bad());
    }
    Ok(Principal::Key {
        tenant: key.tenant,
        id,
        name: key.name.clone(),
        scopes: key.scopes.clone().into(),
        max_rate: key.max_rate,
    })
}
