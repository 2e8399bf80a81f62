//! What happens before and after every handler: the request's id, who asks, how often they may, whether they may do this,
//! whether it was done before, and the audit log.

use crate::Api;
use crate::desk::{About, Principal};
use crate::error::{Code, Problem};
use crate::events::Audience;
use crate::identity;
use crate::op::{Meta, Needs};
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::SocketAddr;
use std::sync::Arc;
use strowger_core::TenantId;
use strowger_store::config::PLATFORM;
use strowger_store::{AuditEntry, Earlier, Named};

/// Which listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Face {
    /// The local socket: whoever may open it owns the installation.
    Admin,
    /// HTTP.
    Public,
}

/// What [`guard`] works with.
#[derive(Clone)]
pub(crate) struct Guard {
    pub api: Api,
    pub meta: Arc<Meta>,
    pub face: Face,
}

/// Largest body of a request whose answer is kept under an idempotency key, and largest answer that is kept.
const KEPT: usize = 1 << 20;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

tokio::task_local! {
    static REQUEST: String;
}

/// The id of the request that is being answered.
pub(crate) fn request_id() -> Option<String> {
    REQUEST.try_with(Clone::clone).ok()
}

/// Where a request came from, as the audit log has it.
#[derive(Clone, Debug)]
pub(crate) struct Source(pub String);

/// Gives the request an id: the client's, if it is 1 to 128 visible ASCII characters, else a random one.
pub(crate) async fn named(request: Request, next: Next) -> Response {
    let given = request.headers().get(&REQUEST_ID).and_then(|v| v.to_str().ok());
    let given = given.filter(|v| (1..=128).contains(&v.len()) && v.bytes().all(|b| b.is_ascii_graphic()));
    let id = match given {
        Some(id) => id.to_owned(),
        None => crate::request::random_hex::<16>().unwrap_or_default(),
    };
    REQUEST
        .scope(id.clone(), async move {
            let mut response = next.run(request).await;
            if let Ok(value) = HeaderValue::try_from(id) {
                response.headers_mut().insert(REQUEST_ID, value);
            }
            response
        })
        .await
}

/// Everything between the router and the handler.
pub(crate) async fn guard(State(guard): State<Guard>, mut request: Request, next: Next) -> Response {
    let source = match (guard.face, request.extensions().get::<ConnectInfo<SocketAddr>>()) {
        (Face::Admin, _) => "local".to_owned(),
        (Face::Public, Some(ConnectInfo(peer))) => peer.ip().to_canonical().to_string(),
        (Face::Public, None) => "unknown".to_owned(),
    };
    let principal = match allowed(&guard, request.headers()) {
        Ok(principal) => principal,
        Err((who, problem)) => {
            if problem.code == Code::Forbidden {
                let path = request.uri().path().to_owned();
                audit(&guard, &who, None, &path, source, problem.code.text()).await;
            }
            return problem.into_response();
        }
    };
    request.extensions_mut().insert(principal.clone());
    request.extensions_mut().insert(Source(source.clone()));
    let path = request.uri().path().to_owned();
    let changes = guard.meta.audited && request.method() != Method::HEAD;
    let response = match once(&guard, &principal, request).await {
        Ok((request, None)) => next.run(request).await,
        Ok((request, Some(name))) => {
            let response = next.run(request).await;
            keep(&guard.api, name, response).await
        }
        Err(answered) => *answered,
    };
    let code = response.extensions().get::<Code>().copied();
    if let Some(code) = code {
        debug_assert!(
            guard.meta.codes.contains(&code),
            "{} answers {}, which its description does not name",
            guard.meta.id,
            code.text()
        );
    }
    let worth = response.status().is_success() || response.status().is_server_error();
    if changes && worth && response.extensions().get::<Replayed>().is_none() {
        let about = response.extensions().get::<About>().cloned();
        let outcome = code.map_or("done", Code::text);
        if code.is_none() {
            changed(&guard, &principal, about.as_ref(), &path);
        }
        audit(&guard, &principal, about, &path, source, outcome).await;
    }
    response
}

/// Who asks, if they may.
#[allow(clippy::result_large_err, reason = "made once for a request that is refused")]
fn allowed(guard: &Guard, headers: &HeaderMap) -> Result<Principal, (Principal, Problem)> {
    let (api, needs) = (&guard.api, guard.meta.needs);
    let principal = match (guard.face, needs) {
        (Face::Admin, _) => return Ok(Principal::Platform),
        (Face::Public, Needs::Nothing) => Principal::Nobody,
        (Face::Public, _) => identity::identify(api, headers).map_err(|p| (Principal::Nobody, p))?,
    };
    if principal != Principal::Nobody
        && let Err(seconds) = api.identity.rates.take(&principal, (api.now)())
    {
        let problem = Problem {
            retry_after: Some(seconds),
            ..Problem::new(
                Code::RateLimited,
                "more requests than this key or user may send; send them more slowly, or have the limit raised",
            )
        };
        return Err((principal, problem));
    }
    let forbidden = |why: String| Err((principal.clone(), Problem::new(Code::Forbidden, why)));
    match needs {
        Needs::Scope(scope) if !principal.may(scope) => forbidden(format!(
            "this needs the scope {}; ask an owner for a role or a key that has it",
            scope.name()
        )),
        Needs::User if !matches!(principal, Principal::User { .. }) => {
            forbidden("this is for users; log in, and send the access token".to_owned())
        }
        Needs::Platform => forbidden("this is for the installation's owner".to_owned()),
        _ => Ok(principal),
    }
}

/// A name that was taken for a request.
struct Kept {
    tenant: TenantId,
    id: u64,
}

/// Marks an answer that was given before.
#[derive(Clone, Copy)]
struct Replayed;

fn refused(problem: Problem) -> Box<Response> {
    Box::new(problem.into_response())
}

/// Looks whether a named request was carried out before.
async fn once(
    guard: &Guard,
    principal: &Principal,
    request: Request,
) -> Result<(Request, Option<Kept>), Box<Response>> {
    let mut values = request.headers().get_all("idempotency-key").iter();
    let (Some(key), true) = (values.next(), guard.meta.once) else {
        return Ok((request, None));
    };
    let good = (1..=255).contains(&key.len()) && key.as_bytes().iter().all(u8::is_ascii_graphic);
    if !good || values.next().is_some() {
        return Err(refused(Problem::parameter(
            "Idempotency-Key",
            "Idempotency-Key is one header of 1 to 255 visible ASCII characters",
        )));
    }
    let name = String::from_utf8_lossy(key.as_bytes()).into_owned();
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, KEPT).await else {
        return Err(refused(Problem::new(
            Code::TooLarge,
            format!("a request with an Idempotency-Key has at most {KEPT} bytes"),
        )));
    };
    let tenant = principal.tenant().unwrap_or(PLATFORM);
    let (kind, id, _) = principal.described();
    let head = format!("{} {}\n", parts.method, parts.uri);
    let named = Named {
        tenant,
        principal: format!("{kind} {id}"),
        name,
        request: [head.as_bytes(), &body].concat(),
    };
    let earlier = guard.api.store.take_name(named, (guard.api.now)()).await;
    let kept = match earlier.map_err(|e| refused(e.into()))? {
        Earlier::Taken(id) => Kept { tenant, id },
        Earlier::Answered(status, body) => return Err(Box::new(replayed(status, body))),
        Earlier::Begun => {
            return Err(refused(Problem::new(
                Code::Unfinished,
                "the same request is being carried out, or was cut off before its answer was kept; look whether it was \
                 done before you send it with another key",
            )));
        }
        Earlier::Other => {
            return Err(refused(Problem::new(
                Code::KeyReused,
                "this Idempotency-Key named another request; take a new one for each request",
            )));
        }
    };
    Ok((Request::from_parts(parts, Body::from(body)), Some(kept)))
}

fn replayed(status: u16, body: Vec<u8>) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let mut response = (status, [(header::CONTENT_TYPE, "application/json")], body).into_response();
    response.extensions_mut().insert(Replayed);
    response
}

/// Keeps the answer of a named request. One that failed did nothing, so its name is free again.
async fn keep(api: &Api, name: Kept, response: Response) -> Response {
    if !response.status().is_success() {
        if let Err(error) = api.store.answer_name(name.tenant, name.id, None).await {
            tracing::warn!(%error, "an idempotency key stays taken although its request failed");
        }
        return response;
    }
    let (parts, body) = response.into_parts();
    // Answers of resources are small; one that is not is given whole and not kept.
    let body = to_bytes(body, KEPT).await.unwrap_or_else(|_| Bytes::new());
    let answer = Some((parts.status.as_u16(), &body[..]));
    if let Err(error) = api.store.answer_name(name.tenant, name.id, answer).await {
        tracing::warn!(%error, "the answer of a named request was not kept");
    }
    Response::from_parts(parts, Body::from(body))
}

/// Tells those who follow that something was changed, so that they read it again.
fn changed(guard: &Guard, principal: &Principal, about: Option<&About>, path: &str) {
    let tenant = principal.tenant().or(about.and_then(|a| a.tenant));
    let (Some(tenant), Some(hub)) = (tenant, &guard.api.events.hub) else {
        return;
    };
    // Without the prefix, which the router has taken off.
    let path = path.strip_prefix("/api/v1").unwrap_or(path).trim_start_matches('/');
    let family = path.split('/').next().unwrap_or_default();
    let data = serde_json::json!({ "resource": family, "action": guard.meta.id, "request": request_id() });
    let now = (guard.api.now)();
    hub.publish(tenant, now, "resources.changed", Audience::Tenant, data.to_string());
}

async fn audit(guard: &Guard, principal: &Principal, about: Option<About>, path: &str, source: String, outcome: &str) {
    let tenant = principal.tenant().or(about.as_ref().and_then(|a| a.tenant));
    let path = path.strip_prefix("/api/v1").unwrap_or(path).trim_start_matches('/');
    let made = about
        .map(|a| a.id)
        .filter(|id| !id.is_empty() && !path.ends_with(id.as_str()));
    let resource = match made {
        Some(id) => format!("{path}/{id}"),
        None => path.to_owned(),
    };
    write(&guard.api, principal, tenant, guard.meta.id, resource, source, outcome).await;
}

/// Writes a row of the audit log. What was done is not undone if that fails, but it is said loudly.
pub(crate) async fn write(
    api: &Api,
    principal: &Principal,
    tenant: Option<TenantId>,
    action: &str,
    resource: String,
    source: String,
    outcome: &str,
) {
    let (actor, actor_id, actor_name) = principal.described();
    let entry = AuditEntry {
        actor: actor.to_owned(),
        actor_id,
        actor_name,
        action: action.to_owned(),
        resource,
        source,
        outcome: outcome.to_owned(),
        request: request_id().unwrap_or_default(),
    };
    // A tenant that was just erased has no log any more.
    let known = tenant.filter(|t| api.store.snapshot().tenant(*t).is_some());
    if let Err(error) = api.store.audit(known.unwrap_or(PLATFORM), (api.now)(), &entry).await {
        tracing::error!(%error, action, "a row of the audit log was not written");
    }
}
