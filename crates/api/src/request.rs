//! Reading requests: bodies, ids, tenants, secrets; and answering lists.

use crate::Api;
use crate::error::{Code, Problem};
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use strowger_core::number::CHINA;
use strowger_core::{Number, TenantId};
use strowger_store::config::Config;

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

/// A list of everything.
pub(crate) fn list<T: Serialize>(items: impl IntoIterator<Item = T>) -> Answer {
    #[derive(Serialize)]
    struct List<T> {
        items: Vec<T>,
    }
    ok(List {
        items: items.into_iter().collect(),
    })
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
#[derive(Deserialize)]
pub(crate) struct OfTenant {
    pub tenant: Option<String>,
}

impl OfTenant {
    /// The tenant named, if one is.
    pub fn resolve(&self, config: &Config) -> Result<Option<TenantId>, Problem> {
        self.tenant.as_deref().map(|t| tenant(config, Some(t))).transpose()
    }
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
