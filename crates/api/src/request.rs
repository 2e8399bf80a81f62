//! Reading requests: bodies, ids, tenants, secrets; and answering lists.

use crate::Api;
use crate::desk::Desk;
use crate::error::{Code, Problem};
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use strowger_core::number::CHINA;
use strowger_core::{Number, TenantId};
use strowger_store::config::Config;
use utoipa::{IntoParams, ToSchema};

/// What every handler returns.
pub(crate) type Answer = Result<Response, Problem>;

/// A JSON body. What is wrong with it is answered as a problem that names the member and what was expected.
pub(crate) struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match axum::Json::<T>::from_request(request, state).await {
            Ok(axum::Json(body)) => Ok(Body(body)),
            Err(JsonRejection::MissingJsonContentType(_)) => Err(Problem::new(
                Code::MediaType,
                "send the header 'Content-Type: application/json'",
            )),
            Err(e) if e.status() == StatusCode::PAYLOAD_TOO_LARGE => Err(Problem::new(Code::TooLarge, e.body_text())),
            Err(e) => Err(Problem::new(Code::BadBody, e.body_text())),
        }
    }
}

/// The parameters of a query. What is wrong with them is answered as a problem.
pub(crate) struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Query::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(query)) => Ok(Query(query)),
            Err(e) => Err(Problem::parameter("query", e.body_text())),
        }
    }
}

/// The variable parts of a path. One that is no text names nothing.
pub(crate) struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(path)) => Ok(Path(path)),
            Err(e) => Err(Problem::new(Code::NotFound, e.body_text())),
        }
    }
}

/// Most items of a page, and as many as there are without a limit.
const PAGE: usize = 1000;

/// Which part of a list.
#[derive(Deserialize, IntoParams)]
pub(crate) struct Listing {
    /// Only of this tenant, by name or id.
    tenant: Option<String>,
    /// `next` of the page before.
    after: Option<String>,
    /// Items of a page, 1 to 1000; 1000 without it.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

impl Listing {
    /// The tenant that the list is confined to, if it is.
    pub fn tenant(&self, api: &Desk) -> Result<Option<TenantId>, Problem> {
        let named = self.tenant.as_deref();
        let named = named.map(|t| tenant(&api.config(), Some(t))).transpose()?;
        Ok(named.or(api.only()))
    }

    /// A page of items, each with the key that it is sorted by; no two have the same key.
    pub fn page<T: Serialize>(&self, items: impl IntoIterator<Item = (String, T)>) -> Answer {
        page(self.after.as_deref(), self.limit, items)
    }
}

/// A page of items, each with the key that it is sorted by; no two have the same key.
pub(crate) fn page<T: Serialize>(
    after: Option<&str>,
    limit: Option<usize>,
    items: impl IntoIterator<Item = (String, T)>,
) -> Answer {
    let limit = limit.unwrap_or(PAGE);
    if !(1..=PAGE).contains(&limit) {
        return Err(Problem::parameter("limit", format!("limit is 1 to {PAGE}")));
    }
    let after = match after {
        None => None,
        Some(text) => {
            let key = hex::decode(text).ok().and_then(|k| String::from_utf8(k).ok());
            Some(key.ok_or_else(|| Problem::parameter("after", "after is the 'next' of a page"))?)
        }
    };
    let mut items: Vec<(String, T)> = items
        .into_iter()
        .filter(|(key, _)| after.as_ref().is_none_or(|a| key > a))
        .collect();
    items.sort_by(|a, b| a.0.cmp(&b.0));
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(|(key, _)| hex::encode(key));
    listed(items.into_iter().map(|(_, item)| item).collect(), next)
}

/// A page of a list, with what to ask for to get the next one.
pub(crate) fn listed<T: Serialize>(items: Vec<T>, next: Option<String>) -> Answer {
    #[derive(Serialize)]
    struct List<T> {
        items: Vec<T>,
        #[serde(skip_serializing_if = "Option::is_none")]
        next: Option<String>,
    }
    ok(List { items, next })
}

/// A list of everything.
pub(crate) fn list<T: Serialize>(items: impl IntoIterator<Item = T>) -> Answer {
    listed(items.into_iter().collect(), None)
}

/// 200 with a body.
pub(crate) fn ok(body: impl Serialize) -> Answer {
    Ok(axum::Json(body).into_response())
}

/// 201 with a body.
pub(crate) fn created(body: impl Serialize) -> Answer {
    Ok((StatusCode::CREATED, axum::Json(body)).into_response())
}

/// 204.
pub(crate) fn done() -> Answer {
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// An id in a path: 32 hexadecimal digits. Anything else names nothing.
pub(crate) fn id<T: std::str::FromStr>(what: &str, text: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| Problem::not_found(what, format!("{text:?}")))
}

/// An id in a body.
pub(crate) fn body_id<T: std::str::FromStr>(member: &str, text: &str) -> Result<T, Problem> {
    text.parse()
        .map_err(|_| Problem::parameter(member, format!("{member} is not an id: 32 hexadecimal digits expected")))
}

/// A telephone number in a body.
pub(crate) fn number(member: &str, text: &str) -> Result<Number, Problem> {
    Number::parse(text, CHINA).map_err(|e| Problem::parameter(member, format!("{member}: {e}")))
}

/// A name for people: 1 to 64 characters that can be shown.
pub(crate) fn name(member: &str, text: &str) -> Result<String, Problem> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > 64 || text.chars().any(char::is_control) {
        return Err(Problem::parameter(
            member,
            format!("{member} has 1 to 64 printable characters"),
        ));
    }
    Ok(text.to_owned())
}

/// True for a host name (RFC 1123 §2.1) that is no IPv4 address.
pub(crate) fn is_host_name(text: &str) -> bool {
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    let last = text.rsplit('.').next().unwrap_or("");
    text.len() <= 253 && text.split('.').all(label) && !last.bytes().all(|b| b.is_ascii_digit())
}

/// The tenant that a request means: the named one by id or name, else the only one.
pub(crate) fn tenant(config: &Config, named: Option<&str>) -> Result<TenantId, Problem> {
    let mut all = config.tenants();
    match named {
        Some(text) => all
            .find(|t| t.name == text || t.id.to_string() == text)
            .map(|t| t.id)
            .ok_or_else(|| Problem::not_found("tenant", format!("{text:?}"))),
        None => match (all.next(), all.next()) {
            (Some(only), None) => Ok(only.id),
            (None, _) => Err(Problem::new(
                Code::TenantRequired,
                "there is no tenant yet; create one first: strowger tenant create NAME",
            )),
            _ => {
                let mut names: Vec<&str> = config.tenants().map(|t| t.name.as_str()).collect();
                names.sort_unstable();
                Err(Problem::new(
                    Code::TenantRequired,
                    format!("name one of the tenants ({}) in 'tenant'", names.join(", ")),
                ))
            }
        },
    }
}

/// Restricts a list to a tenant.
#[derive(Deserialize, IntoParams)]
pub(crate) struct OfTenant {
    /// Tenant, by name or id; needed only by who can see several.
    pub tenant: Option<String>,
}

impl OfTenant {
    /// The tenant named, or the only one that the principal can see.
    pub fn resolve(&self, api: &Desk) -> Result<Option<TenantId>, Problem> {
        let named = self.tenant.as_deref();
        let named = named.map(|t| tenant(&api.config(), Some(t))).transpose()?;
        Ok(named.or(api.only()))
    }
}

/// An id that was made.
#[derive(Serialize, ToSchema)]
#[schema(as = Made)]
pub(crate) struct Made {
    pub id: String,
}

/// How many things it did.
#[derive(Serialize, ToSchema)]
#[schema(as = Queued)]
pub(crate) struct Queued {
    pub queued: u64,
}

/// True if a list of this filter shows something of `owner`.
pub(crate) fn shows(filter: Option<TenantId>, owner: TenantId) -> bool {
    filter.is_none_or(|f| f == owner)
}

/// Random bytes, hexadecimal.
pub(crate) fn random_hex<const N: usize>() -> Result<String, Problem> {
    let mut bytes = [0u8; N];
    getrandom::fill(&mut bytes).map_err(|e| Problem::new(Code::Internal, format!("no randomness: {e}")))?;
    Ok(hex::encode(bytes))
}

/// A new time-ordered id: 48 bits of wall time in milliseconds, then randomness.
pub(crate) fn mint(api: &Api) -> Result<u128, Problem> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).map_err(|e| Problem::new(Code::Internal, format!("no randomness: {e}")))?;
    let at = (api.now)().0.max(0) as u128;
    Ok((at << 80) | (u128::from_be_bytes(bytes) >> 48))
}
