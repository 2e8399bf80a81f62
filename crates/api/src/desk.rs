//! Who asks, and what they can see.
//!
//! A handler works at a [`Desk`]: the [`Api`] with the principal of this request. [`Desk::config`] has nothing in it of
//! another tenant, so what a handler does not find there does not exist for this principal (domain-model I20).

use crate::Api;
use crate::error::{Code, Problem};
use crate::request::Answer;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex};
use strowger_core::{KeyId, LoginId, TenantId, UserId};
use strowger_store::config::{Config, PLATFORM, Resource};
use strowger_store::identity::{Role, Scope};

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Principal {
    /// Somebody who need not show who they are, as this route is open.
    Nobody,
    /// The installation's owner, over the admin socket.
    Platform,
    /// A user with an access token.
    User {
        tenant: TenantId,
        id: UserId,
        name: String,
        role: Role,
        login: LoginId,
    },
    /// A program with an API key.
    Key {
        tenant: TenantId,
        id: KeyId,
        name: String,
        scopes: Arc<[Scope]>,
        max_rate: u32,
    },
}

impl Principal {
    /// The tenant that it is confined to.
    pub fn tenant(&self) -> Option<TenantId> {
        match self {
            Principal::Nobody | Principal::Platform => None,
            Principal::User { tenant, .. } | Principal::Key { tenant, .. } => Some(*tenant),
        }
    }

    /// What it may do.
    pub fn scopes(&self) -> &[Scope] {
        match self {
            Principal::Nobody => &[],
            Principal::Platform => Scope::ALL,
            Principal::User { role, .. } => role.scopes(),
            Principal::Key { scopes, .. } => scopes,
        }
    }

    /// True if it may do this.
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes().contains(&scope)
    }

    /// Kind, id and name, as the audit log has them. The id tells principals of all tenants apart.
    pub fn described(&self) -> (&'static str, String, String) {
        match self {
            Principal::Nobody => ("nobody", String::new(), String::new()),
            Principal::Platform => ("platform", String::new(), String::new()),
            Principal::User { id, name, .. } => ("user", id.to_string(), name.clone()),
            Principal::Key { id, name, .. } => ("key", id.to_string(), name.clone()),
        }
    }
}

/// What each tenant sees of one version of the configuration. As many as there are tenants that ask.
#[derive(Default)]
pub(crate) struct Views(Mutex<HashMap<TenantId, Arc<Config>>>);

impl Views {
    fn of(&self, all: Arc<Config>, tenant: TenantId) -> Arc<Config> {
        let mut views = self.0.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(view) = views.get(&tenant).filter(|v| v.version() == all.version()) {
            return view.clone();
        }
        // What tenants that are gone saw goes with them.
        views.retain(|t, _| all.tenant(*t).is_some());
        let view = Arc::new(all.confined(tenant));
        views.insert(tenant, view.clone());
        view
    }
}

/// The API with the principal of a request.
pub(crate) struct Desk {
    api: Api,
    /// Who asks.
    pub principal: Principal,
    if_match: Option<String>,
}

impl Deref for Desk {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.api
    }
}

impl FromRequestParts<Api> for Desk {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Desk, Problem> {
        let principal = parts.extensions.get::<Principal>().cloned();
        let principal =
            principal.ok_or_else(|| Problem::new(Code::Internal, "the request came past the check of who asks"))?;
        Ok(Desk {
            api: api.clone(),
            principal,
            if_match: if_match(&parts.headers)?,
        })
    }
}

/// `If-Match` (RFC 9110 §13.1.1): one strong tag, or `*`.
pub(crate) fn if_match(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(header::IF_MATCH) else {
        return Ok(None);
    };
    let bad = || {
        Problem::parameter(
            "If-Match",
            "If-Match is one ETag as it was answered, with its quotation marks, or *",
        )
    };
    let text = value.to_str().map_err(|_| bad())?.trim();
    if text == "*" {
        return Ok(None);
    }
    let tag = text.strip_prefix('"').and_then(|t| t.strip_suffix('"'));
    match tag {
        Some(tag) if !tag.is_empty() && !tag.contains('"') => Ok(Some(tag.to_owned())),
        _ => Err(bad()),
    }
}

/// What a response says of the resource that it is about, for the audit log.
#[derive(Clone, Debug)]
pub(crate) struct About {
    /// The resource's tenant, if it has one.
    pub tenant: Option<TenantId>,
    /// Id or name of what was made.
    pub id: String,
}

impl Desk {
    /// All that the principal can see.
    pub fn config(&self) -> Arc<Config> {
        let all = self.api.store.snapshot();
        match self.principal.tenant() {
            Some(tenant) => self.api.identity.views.of(all, tenant),
            None => all,
        }
    }

    /// The only tenant that the principal can see.
    pub fn only(&self) -> Option<TenantId> {
        self.principal.tenant()
    }

    /// True if something of this tenant exists for the principal.
    pub fn sees(&self, owner: TenantId) -> bool {
        self.principal.tenant().is_none_or(|t| t == owner)
    }

    /// Refuses a change that was made from an older version than the one that is stored.
    pub fn expects<T: Clone + Into<Resource>>(&self, stored: &T) -> Result<(), Problem> {
        let Some(tag) = &self.if_match else { return Ok(()) };
        if self.api.store.tag(&stored.clone().into())? == *tag {
            return Ok(());
        }
        Err(Problem::new(
            Code::Stale,
            "it has changed since that ETag was answered; read it again, and send the change with the new ETag",
        ))
    }

    /// 200 with the resource's ETag.
    pub fn shown(&self, resource: impl Into<Resource>, view: impl Serialize) -> Answer {
        self.tagged(StatusCode::OK, resource, view)
    }

    /// Stores a new resource: 201 with its ETag.
    pub async fn create(&self, resource: impl Into<Resource>, view: impl Serialize) -> Answer {
        let resource = resource.into();
        self.api.store.create(resource.clone()).await?;
        self.tagged(StatusCode::CREATED, resource, view)
    }

    /// Stores a changed resource: 200 with its new ETag.
    pub async fn replace(&self, resource: impl Into<Resource>, view: impl Serialize) -> Answer {
        let resource = resource.into();
        self.api.store.put(resource.clone()).await?;
        self.tagged(StatusCode::OK, resource, view)
    }

    /// Removes a resource that is as it was expected: 204.
    pub async fn remove<T: Clone + Into<Resource>>(&self, stored: &T) -> Answer {
        self.expects(stored)?;
        let resource: Resource = stored.clone().into();
        let owner = self.api.store.snapshot().owner(&resource.id());
        self.api.store.remove(resource.id()).await?;
        let mut response = StatusCode::NO_CONTENT.into_response();
        response.extensions_mut().insert(About {
            tenant: owner.filter(|t| *t != PLATFORM),
            id: String::new(),
        });
        Ok(response)
    }

    fn tagged(&self, status: StatusCode, resource: impl Into<Resource>, view: impl Serialize) -> Answer {
        let resource = resource.into();
        let owner = self.api.store.snapshot().owner(&resource.id());
        let tag = self.api.store.tag(&resource)?;
        let view = serde_json::to_value(view)
            .map_err(|e| Problem::new(Code::Internal, format!("the answer cannot be written: {e}")))?;
        let named = ["id", "number", "name"].iter().find_map(|m| view[*m].as_str());
        let about = About {
            tenant: owner.filter(|t| *t != PLATFORM),
            id: named.unwrap_or_default().to_owned(),
        };
        let mut response: Response = (status, axum::Json(view)).into_response();
        if let Ok(value) = HeaderValue::try_from(format!("\"{tag}\"")) {
            response.headers_mut().insert(header::ETAG, value);
        }
        response.extensions_mut().insert(about);
        Ok(response)
    }
}
