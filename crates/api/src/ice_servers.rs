//! STUN and TURN servers for browsers, with credentials that expire, in the form that coturn's `use-auth-secret` checks
//! (draft-uberti-behave-turn-rest-00): the user name is the second at which it ends and whose it is, the password the
//! HMAC-SHA1 of that name under the secret that both servers know.

use crate::Api;
use crate::desk::Desk;
use crate::error::{Code, Problem};
use crate::identity;
use crate::request::{self, Answer, Query};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use strowger_core::{AccountId, Stamp};
use strowger_store::Secret;
use strowger_store::config::Config;
use utoipa::{IntoParams, ToSchema};

/// Longest header value that is looked at; a name and a password fit several times over.
const MAX_HEADER: usize = 1024;
/// Wrong passwords under one name after which it is not looked at for the rest of [`WINDOW_MS`].
const MAX_FAILURES: u32 = 10;
const WINDOW_MS: i64 = 60_000;
/// Names whose failures are counted; beyond it the oldest count is forgotten.
const MAX_NAMES: usize = 4096;

/// What pages are told (`[turn]`).
#[derive(Default)]
pub struct IceServers {
    /// URIs of the servers: `stun:`, `stuns:`, `turn:` and `turns:` (RFC 7064, RFC 7065). Empty answers `turn.off`.
    pub uris: Vec<String>,
    /// The secret that the TURN servers know (coturn: `static-auth-secret`); `None` gives no credentials.
    pub secret: Option<Secret>,
    /// How long credentials are good for.
    pub lifetime: Duration,
    /// Origins of the pages that may ask; empty for any.
    pub origins: Vec<String>,
    failures: Failures,
}

impl IceServers {
    /// With these servers.
    pub fn new(uris: Vec<String>, secret: Option<Secret>, lifetime: Duration, origins: Vec<String>) -> IceServers {
        IceServers {
            uris,
            secret,
            lifetime,
            origins,
            failures: Failures::default(),
        }
    }
}

/// As `RTCPeerConnection` takes it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = IceServers)]
pub(crate) struct View {
    ice_servers: Vec<Server>,
    /// Seconds for which the credentials are good. An allocation that was made meanwhile lives on.
    ttl: u64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = IceServer)]
pub(crate) struct Server {
    urls: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<String>,
}

/// The password of a TURN user name.
fn credential(secret: &Secret, username: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.expose().as_bytes());
    STANDARD.encode(hmac::sign(&key, username.as_bytes()))
}

fn view(settings: &IceServers, user: &str, now: Stamp) -> Result<View, Problem> {
    if settings.uris.is_empty() {
        return Err(Problem::new(
            Code::TurnOff,
            "no STUN or TURN server is configured; set turn.servers and turn.secret, and restart",
        ));
    }
    let ttl = settings.lifetime.as_secs();
    let is_turn = |uri: &String| uri.starts_with("turn");
    let (turn, stun): (Vec<String>, Vec<String>) = settings.uris.iter().cloned().partition(is_turn);
    let mut ice_servers = Vec::with_capacity(2);
    if !stun.is_empty() {
        ice_servers.push(Server {
            urls: stun,
            username: None,
            credential: None,
        });
    }
    if let (false, Some(secret)) = (turn.is_empty(), &settings.secret) {
        let username = format!("{}:{user}", now.0.div_euclid(1000).saturating_add_unsigned(ttl));
        ice_servers.push(Server {
            urls: turn,
            credential: Some(credential(secret, &username)),
            username: Some(username),
        });
    }
    Ok(View { ice_servers, ttl })
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct For {
    /// Whose credentials they are, for the TURN server's log and limits.
    user: Option<String>,
}

impl For {
    /// The name asked for, else another one.
    fn or(self, own: impl FnOnce() -> String) -> Result<String, Problem> {
        let Some(user) = self.user else { return Ok(own()) };
        let good =
            (1..=64).contains(&user.len()) && user.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        good.then_some(user)
            .ok_or_else(|| Problem::parameter("user", "user has 1 to 64 letters, digits, '-', '_' or '.'"))
    }
}

/// For operators, on the admin socket.
pub(crate) async fn show(api: Desk, Query(of): Query<For>) -> Answer {
    let user = of.or(|| "operator".into())?;
    request::ok(view(&api.ice, &user, (api.now)())?)
}

/// For a page's server, with an account's id and token, and for a signed-in device, with its user name and password.
pub(crate) async fn ask(State(api): State<Api>, Query(of): Query<For>, headers: HeaderMap) -> Response {
    let mut response = match answer(&api, of, &headers) {
        Ok(view) => axum::Json(view).into_response(),
        Err(problem) => {
            let challenge = problem.code == Code::Unauthorized;
            let mut response = problem.into_response();
            if challenge {
                let value = HeaderValue::from_static("Basic realm=\"strowger\", charset=\"UTF-8\"");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
            }
            response
        }
    };
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    allow_origin(&api.ice, &headers, &mut response);
    response
}

/// What a browser asks before it sends a password to another origin.
pub(crate) async fn preflight(State(api): State<Api>, headers: HeaderMap) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let answer = response.headers_mut();
    answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET"));
    answer.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("authorization"),
    );
    answer.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    allow_origin(&api.ice, &headers, &mut response);
    response
}

/// Lets the pages read the answer that may open a WebSocket. Nothing is told without a password that the page itself knows.
fn allow_origin(settings: &IceServers, headers: &HeaderMap, response: &mut Response) {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return;
    };
    let known = |known: &String| known.as_bytes().eq_ignore_ascii_case(origin.as_bytes());
    if settings.origins.is_empty() || settings.origins.iter().any(known) {
        let answer = response.headers_mut();
        answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        answer.insert(header::VARY, HeaderValue::from_static("Origin"));
    }
}

fn answer(api: &Api, of: For, headers: &HeaderMap) -> Result<View, Problem> {
    let now = (api.now)();
    let refused = || {
        Problem::new(
            Code::Unauthorized,
            "sign in by HTTP Basic with an account's id and token, or a device's user name and password; or send the \
             access token of a login, or an API key",
        )
    };
    if let Ok(known) = identity::identify(api, headers) {
        // Only its own: nobody else pays for what it relays.
        return view(&api.ice, &known.described().1, now);
    }
    let (name, password) = basic(headers).ok_or_else(refused)?;
    let failures = &api.ice.failures;
    if failures.is_closed(&name, now) {
        return Err(Problem {
            retry_after: Some((WINDOW_MS / 1000) as u32),
            ..Problem::new(
                Code::Attempts,
                "too many wrong passwords under this name; wait a minute",
            )
        });
    }
    let Some(principal) = principal(&api.store.snapshot(), &name, &password, now) else {
        failures.count(name, now);
        return Err(refused());
    };
    let user = match principal {
        Principal::Account(id) => of.or(|| id.to_string())?,
        // Only its own: nobody else pays for what it relays.
        Principal::Device(name) => name,
    };
    view(&api.ice, &user, now)
}

/// Who asks.
enum Principal {
    Account(AccountId),
    Device(String),
}

/// Name and password of the one credential that a request has.
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next()?;
    // Two credentials are none: a proxy and we would disagree about which one counts.
    if values.next().is_some() || value.len() > MAX_HEADER {
        return None;
    }
    let (scheme, encoded) = value.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("Basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (name, password) = text.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

fn principal(config: &Config, name: &str, password: &str, now: Stamp) -> Option<Principal> {
    let in_service = |tenant| config.tenant(tenant).is_some_and(|t| !t.disabled);
    if let Some(account) = name.parse().ok().and_then(|id| config.account(id)) {
        let good = account.accepts(password, now) && !account.disabled && in_service(account.tenant);
        return good.then_some(Principal::Account(account.id));
    }
    let found = match name.rsplit_once('@') {
        Some((username, domain)) => config.device_in_domain(domain, username),
        None => config.device_by_username_anywhere(name),
    }?;
    let good = found.password.as_ref().is_some_and(|p| p.matches(password))
        && !found.disabled
        && in_service(found.device.tenant);
    good.then(|| Principal::Device(found.device.username.clone()))
}

/// Wrong passwords by name. By name and not by address: pages come through proxies.
#[derive(Default)]
struct Failures(Mutex<HashMap<String, (u32, Stamp)>>);

impl Failures {
    fn is_closed(&self, name: &str, now: Stamp) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(name)
            .is_some_and(|(n, since)| *n >= MAX_FAILURES && now.0 - since.0 < WINDOW_MS)
    }

    fn count(&self, name: String, now: Stamp) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MAX_NAMES && !all.contains_key(&name) {
            all.retain(|_, (_, since)| now.0 - since.0 < WINDOW_MS);
            if all.len() >= MAX_NAMES
                && let Some(oldest) = all.iter().min_by_key(|(_, (_, since))| *since).map(|(n, _)| n.clone())
            {
                all.remove(&oldest);
            }
        }
        let entry = all.entry(name).or_insert((0, now));
        if now.0 - entry.1.0 >= WINDOW_MS {
            *entry = (0, now);
        }
        entry.0 += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_what_coturn_computes() {
        // printf '1735689600:alice' | openssl dgst -sha1 -hmac north -binary | base64
        let secret = Secret::new("north");
        assert_eq!(credential(&secret, "1735689600:alice"), "HbvWA6hGDtdv3wflBolXLhvzs0w=");
    }

    #[test]
    fn what_is_counted_is_bounded_and_forgotten() {
        let failures = Failures::default();
        for n in 0..MAX_NAMES + 10 {
            failures.count(n.to_string(), Stamp(n as i64));
        }
        assert_eq!(failures.0.lock().unwrap().len(), MAX_NAMES);
        for _ in 0..MAX_FAILURES {
            assert!(!failures.is_closed("x", Stamp(10_000)));
            failures.count("x".into(), Stamp(10_000));
        }
        assert!(failures.is_closed("x", Stamp(10_000 + WINDOW_MS - 1)));
        assert!(!failures.is_closed("x", Stamp(10_000 + WINDOW_MS)));
        failures.count("x".into(), Stamp(10_000 + WINDOW_MS));
        assert!(!failures.is_closed("x", Stamp(10_000 + WINDOW_MS)), "it counts anew");
    }
}
