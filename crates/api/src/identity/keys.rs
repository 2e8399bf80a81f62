//! API keys: shown once, kept as digests.

use super::{KEY_PREFIX, digest};
use crate::desk::Desk;
use crate::error::{Code, Problem};
use crate::request::{self, Answer, Body, Listing, Path, Query};
use crate::{rfc3339, time};
use serde::{Deserialize, Serialize};
use strowger_core::{KeyId, Stamp};
use strowger_store::identity::{ApiKey, Scope};
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
#[schema(as = Key)]
pub(crate) struct View {
    id: String,
    tenant: String,
    name: String,
    scopes: Vec<&'static str>,
    /// Requests per second; 0 for the listener's limit.
    max_rate: u32,
    created_at: String,
    expires_at: Option<String>,
    disabled: bool,
    /// Shown once, when it is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

impl View {
    fn of(k: &ApiKey) -> View {
        View {
            id: k.id.to_string(),
            tenant: k.tenant.to_string(),
            name: k.name.clone(),
            scopes: k.scopes.iter().map(|s| s.name()).collect(),
            max_rate: k.max_rate,
            created_at: rfc3339(k.created_at),
            expires_at: k.expires_at.map(rfc3339),
            disabled: k.disabled,
            key: None,
        }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = KeyCreate)]
pub(crate) struct Create {
    name: String,
    tenant: Option<String>,
    /// What it may do, such as `calls:write`; none that the one who makes it does not have.
    scopes: Vec<String>,
    max_rate: Option<u32>,
    /// A time in UTC; without it the key is good until it is removed.
    expires_at: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = KeyChange)]
pub(crate) struct Change {
    name: Option<String>,
    scopes: Option<Vec<String>>,
    max_rate: Option<u32>,
    /// Empty for none.
    expires_at: Option<String>,
    disabled: Option<bool>,
}

/// A key may do no more than the one who makes it.
fn scopes(api: &Desk, texts: &[String]) -> Result<Vec<Scope>, Problem> {
    let mut found = Vec::new();
    for text in texts {
        let scope = Scope::of_name(text).ok_or_else(|| {
            let known: Vec<&str> = Scope::ALL.iter().map(|s| s.name()).collect();
            Problem::parameter("scopes", format!("a scope is one of {}", known.join(", ")))
        })?;
        if !api.principal.may(scope) {
            return Err(Problem::new(
                Code::Forbidden,
                format!("you do not have the scope {text}, so you cannot give it"),
            ));
        }
        if !found.contains(&scope) {
            found.push(scope);
        }
    }
    if found.is_empty() {
        return Err(Problem::parameter("scopes", "a key without a scope could do nothing"));
    }
    Ok(found)
}

fn expiry(text: &str, now: Stamp) -> Result<Option<Stamp>, Problem> {
    if text.is_empty() {
        return Ok(None);
    }
    match time::parse_rfc3339(text) {
        Some(at) if at > now => Ok(Some(at)),
        _ => Err(Problem::parameter(
            "expires_at",
            "expires_at is a time in UTC that is to come, such as 2030-01-31T09:30:00Z",
        )),
    }
}

fn find(api: &Desk, text: &str) -> Result<ApiKey, Problem> {
    let id: KeyId = request::id("key", text)?;
    let config = api.config();
    Ok(ApiKey::clone(
        config.key(id).ok_or_else(|| Problem::not_found("key", id))?,
    ))
}

pub(crate) async fn list(api: Desk, Query(asked): Query<Listing>) -> Answer {
    let filter = asked.tenant(&api)?;
    let config = api.config();
    let keys = config.keys().filter(|k| request::shows(filter, k.tenant));
    asked.page(keys.map(|k| (k.id.to_string(), View::of(k))))
}

pub(crate) async fn show(api: Desk, Path(id): Path<String>) -> Answer {
    let key = find(&api, &id)?;
    let view = View::of(&key);
    api.shown(key, view)
}

pub(crate) async fn create(api: Desk, Body(create): Body<Create>) -> Answer {
    let tenant = request::tenant(&api.config(), create.tenant.as_deref())?;
    let now = (api.now)();
    let id = KeyId(request::mint(&api)?);
    let secret = request::random_hex::<24>()?;
    let key = ApiKey {
        id,
        tenant,
        name: request::name("name", &create.name)?,
        digest: digest(&secret),
        scopes: scopes(&api, &create.scopes)?,
        max_rate: create.max_rate.unwrap_or(0),
        created_at: now,
        expires_at: expiry(create.expires_at.as_deref().unwrap_or_default(), now)?,
        disabled: false,
    };
    let view = View {
        key: Some(format!("{KEY_PREFIX}{id}_{secret}")),
        ..View::of(&key)
    };
    api.create(key, view).await
}

pub(crate) async fn change(api: Desk, Path(id): Path<String>, Body(change): Body<Change>) -> Answer {
    let _one = api.changing.lock().await;
    let mut key = find(&api, &id)?;
    api.expects(&key)?;
    if let Some(text) = &change.name {
        key.name = request::name("name", text)?;
    }
    if let Some(texts) = &change.scopes {
        key.scopes = scopes(&api, texts)?;
    }
    if let Some(text) = &change.expires_at {
        key.expires_at = expiry(text, (api.now)())?;
    }
    key.max_rate = change.max_rate.unwrap_or(key.max_rate);
    key.disabled = change.disabled.unwrap_or(key.disabled);
    let view = View::of(&key);
    api.replace(key, view).await
}

pub(crate) async fn remove(api: Desk, Path(id): Path<String>) -> Answer {
    let _one = api.changing.lock().await;
    let key = find(&api, &id)?;
    api.remove(&key).await
}

/// Makes a new key that access tokens are signed with.
pub(crate) async fn rotate_signing(api: Desk) -> Answer {
    api.identity.signer.rotate(&api).await?;
    request::done()
}
