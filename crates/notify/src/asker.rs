//! Requests of flows and plans to the tenants' own servers: one attempt, a bounded answer, and the same policy of addresses
//! as pushes have.

use crate::client;
use crate::policy::Policy;
use crate::send::{AGENT, Failure, Sender, failure};
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use rustls::ClientConfig;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use strowger_core::TenantId;
use strowger_store::Store;
use tokio::sync::Semaphore;

/// Requests of one tenant at the same time. One more is not sent: a server that hangs holds its own tenant's flows up only.
const AT_ONCE: usize = 128;

/// A request.
#[derive(Clone)]
pub struct Question {
    /// Such as `GET`.
    pub method: &'static str,
    /// Where to.
    pub url: String,
    /// Headers; one that no request can have is left out.
    pub headers: Vec<(String, String)>,
    /// A JSON body.
    pub body: Option<String>,
    /// How long it may take, the body of the answer included.
    pub timeout: Duration,
    /// The longest answer that is read, in bytes; a longer one is none.
    pub most: usize,
}

/// A tenant's clients and turns.
struct Tenant {
    sender: Arc<Sender>,
    turns: Arc<Semaphore>,
}

/// Asks tenants' servers.
pub struct Asker {
    store: Store,
    tls: Option<Arc<ClientConfig>>,
    tenants: Mutex<HashMap<TenantId, Tenant>>,
}

impl Asker {
    /// One that trusts the authorities that pushes trust too.
    pub fn new(store: Store) -> Asker {
        Asker {
            store,
            tls: client::roots(&[]),
            tenants: Mutex::default(),
        }
    }

    /// The client of a tenant; a new one when its policy has changed, so that no pooled connection outlives that.
    fn tenant(&self, id: TenantId) -> Option<(Arc<Sender>, Arc<Semaphore>)> {
        let policy = Policy {
            allowed: self.store.snapshot().tenant(id)?.push_allowed.clone(),
        };
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = tenants.get(&id).filter(|t| t.sender.policy == policy) {
            return Some((known.sender.clone(), known.turns.clone()));
        }
        let sender = Arc::new(Sender::new(policy, Duration::from_secs(10), self.tls.as_ref()?));
        let turns = tenants.get(&id).map(|t| t.turns.clone());
        let turns = turns.unwrap_or_else(|| Arc::new(Semaphore::new(AT_ONCE)));
        let tenant = Tenant {
            sender: sender.clone(),
            turns: turns.clone(),
        };
        tenants.insert(id, tenant);
        Some((sender, turns))
    }

    /// Sends a request for a tenant: the status and the body of the answer, or `None` if there was none in time, it was too
    /// long, or the address is not allowed. Redirects are not followed: their status is the answer.
    pub async fn ask(&self, tenant: TenantId, question: Question) -> Option<(u16, Vec<u8>)> {
        let (sender, turns) = self.tenant(tenant)?;
        let Ok(_turn) = turns.try_acquire() else {
            tracing::warn!(%tenant, "a flow's request was not sent: {AT_ONCE} of the tenant's are under way");
            return None;
        };
        let whole = Box::pin(one(&sender, &question));
        match tokio::time::timeout(question.timeout, whole).await {
            Ok(Ok(answer)) => Some(answer),
            Ok(Err(why)) => {
                tracing::info!(%tenant, "a flow's request had no answer: {why}");
                None
            }
            Err(_) => {
                tracing::info!(%tenant, "a flow's request had no answer in time");
                None
            }
        }
    }
}

async fn one(sender: &Sender, question: &Question) -> Result<(u16, Vec<u8>), String> {
    let said = |e: Failure| e.to_string();
    let target = sender.target(&question.url).map_err(said)?;
    sender.check(&target.url).map_err(said)?;
    let body = question.body.clone().unwrap_or_default();
    let mut request = Request::new(Full::new(Bytes::from(body)));
    *request.method_mut() =
        Method::from_bytes(question.method.as_bytes()).map_err(|_| "there is no such method".to_owned())?;
    *request.uri_mut() = target.uri.clone();
    let headers = request.headers_mut();
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    if let Some(authorization) = &target.authorization {
        headers.insert(AUTHORIZATION, authorization.clone());
    }
    if question.body.is_some() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    for (name, value) in &question.headers {
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
            headers.insert(name, value);
        }
    }
    let response = sender.client().send(request).await.map_err(|e| said(failure(&e)))?;
    let status = response.status().as_u16();
    let mut incoming = response.into_body();
    let mut read = Vec::new();
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|_| said(Failure::Lost))?;
        let Some(chunk) = frame.data_ref() else { continue };
        if read.len() + chunk.len() > question.most {
            return Err("it is too long".to_owned());
        }
        read.extend_from_slice(chunk);
    }
    Ok((status, read))
}
