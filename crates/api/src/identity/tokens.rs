//! Access tokens: JWTs (RFC 7519) signed with HMAC-SHA-256. The keys are in the store, sealed, and replaced every month.

use super::unauthenticated;
use crate::Api;
use crate::desk::Principal;
use crate::error::{Code, Problem};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::{Mutex, RwLock};
use strowger_core::{LoginId, Stamp, UserId};
use strowger_store::SigningKey;
use strowger_store::identity::User;

/// Seconds that an access token is valid.
pub(crate) const ACCESS_SECONDS: u64 = 900;
/// A signing key is replaced after so many milliseconds: 30 days.
const KEY_AGE: u64 = 30 * 86_400_000;

const ISSUER: &str = "strowger";
const AUDIENCE: &str = "strowger-api";

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    /// User.
    sub: String,
    /// Login.
    lid: String,
    iat: i64,
    exp: i64,
    jti: String,
}

/// The signing keys, and the logins that were revoked while their tokens may still be about.
#[derive(Default)]
pub(crate) struct Signer {
    keys: RwLock<Vec<SigningKey>>,
    /// One reads or makes keys at a time.
    reading: tokio::sync::Mutex<()>,
    revoked: Mutex<HashMap<LoginId, Stamp>>,
}

impl Signer {
    /// Reads the keys and the revoked logins, and makes the first key. Called before requests are taken.
    pub async fn load(&self, api: &Api) -> Result<(), Problem> {
        let now = (api.now)();
        let since = Stamp(now.0.saturating_sub_unsigned(ACCESS_SECONDS * 1000));
        for (login, at) in api.store.revoked_logins(since).await? {
            self.revoke(login, at);
        }
        self.current(api).await.map(drop)
    }

    fn newest(&self) -> Option<SigningKey> {
        self.keys.read().unwrap_or_else(|e| e.into_inner()).first().cloned()
    }

    fn of_id(&self, id: u128) -> Option<SigningKey> {
        let keys = self.keys.read().unwrap_or_else(|e| e.into_inner());
        keys.iter().find(|k| k.id == id).cloned()
    }

    /// The key to sign with, made anew when its time is over.
    async fn current(&self, api: &Api) -> Result<SigningKey, Problem> {
        let now = (api.now)();
        let good = |k: &SigningKey| now.ms_since(k.at) < KEY_AGE;
        if let Some(key) = self.newest().filter(good) {
            return Ok(key);
        }
        let _one = self.reading.lock().await;
        if let Some(key) = self.newest().filter(good) {
            return Ok(key);
        }
        let mut keys = api.store.signing_keys().await?;
        if !keys.first().is_some_and(good) {
            self.make(api, now).await?;
            keys = api.store.signing_keys().await?;
        }
        let key = keys.first().cloned();
        *self.keys.write().unwrap_or_else(|e| e.into_inner()) = keys;
        key.ok_or_else(|| Problem::new(Code::Internal, "the signing key that was just made is not there"))
    }

    async fn make(&self, api: &Api, now: Stamp) -> Result<(), Problem> {
        let before = Stamp(now.0.saturating_sub_unsigned(ACCESS_SECONDS * 1000));
        api.store.add_signing_key(now, before).await?;
        Ok(())
    }

    /// Makes a new key now; what the one before signed stays valid for its time.
    pub async fn rotate(&self, api: &Api) -> Result<(), Problem> {
        let _one = self.reading.lock().await;
        self.make(api, (api.now)()).await?;
        let keys = api.store.signing_keys().await?;
        *self.keys.write().unwrap_or_else(|e| e.into_inner()) = keys;
        Ok(())
    }

    /// Refuses the tokens of a login from now on.
    pub fn revoke(&self, login: LoginId, now: Stamp) {
        let mut revoked = self.revoked.lock().unwrap_or_else(|e| e.into_inner());
        // After this time its tokens are over by themselves.
        revoked.retain(|_, at| now.ms_since(*at) <= ACCESS_SECONDS * 1000);
        revoked.insert(login, now);
    }

    fn is_revoked(&self, login: LoginId) -> bool {
        let revoked = self.revoked.lock().unwrap_or_else(|e| e.into_inner());
        revoked.contains_key(&login)
    }
}

/// A new access token of a login.
pub(crate) async fn sign(api: &Api, user: &User, login: LoginId) -> Result<String, Problem> {
    let key = api.identity.signer.current(api).await?;
    let now = (api.now)().secs();
    let claims = Claims {
        iss: ISSUER.to_owned(),
        aud: AUDIENCE.to_owned(),
        sub: user.id.to_string(),
        lid: login.to_string(),
        iat: now,
        exp: now.saturating_add_unsigned(ACCESS_SECONDS),
        jti: crate::request::random_hex::<16>()?,
    };
    let header = Header {
        kid: Some(format!("{:032x}", key.id)),
        ..Header::new(Algorithm::HS256)
    };
    encode(&header, &claims, &EncodingKey::from_secret(&key.secret))
        .map_err(|e| Problem::new(Code::Internal, format!("the access token could not be signed: {e}")))
}

/// The user that a token shows.
pub(crate) fn verify(api: &Api, token: &str, now: Stamp) -> Result<Principal, Problem> {
    let bad = || unauthenticated("the access token is not valid; log in, or refresh the login");
    let header = decode_header(token).map_err(|_| bad())?;
    let id = header
        .kid
        .and_then(|k| u128::from_str_radix(&k, 16).ok())
        .ok_or_else(bad)?;
    let key = api.identity.signer.of_id(id).ok_or_else(bad)?;
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[AUDIENCE]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    // Our own clock decides, below.
    validation.validate_exp = false;
    let decoded = decode::<Claims>(token, &DecodingKey::from_secret(&key.secret), &validation);
    let claims = decoded.map_err(|_| bad())?.claims;
    if now.secs() >= claims.exp {
        return Err(unauthenticated("the access token is over; refresh the login"));
    }
    let login: LoginId = claims.lid.parse().map_err(|_| bad())?;
    let user: UserId = claims.sub.parse().map_err(|_| bad())?;
    if api.identity.signer.is_revoked(login) {
        return Err(unauthenticated("the login was ended; log in again"));
    }
    let config = api.store.snapshot();
    let user = config.user(user).filter(|u| !u.disabled).ok_or_else(bad)?;
    if config.tenant(user.tenant).is_none_or(|t| t.disabled) {
        return Err(bad());
    }
    Ok(Principal::User {
        tenant: user.tenant,
        id: user.id,
        name: user.name.clone(),
        role: user.role,
        login,
    })
}
