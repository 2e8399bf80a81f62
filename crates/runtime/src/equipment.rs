//! What flows and plans need of the outside: the tenants' servers, and where numbers are from. The layers above give it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use strowger_core::TenantId;
use strowger_core::ivr::flow::Method;
use strowger_core::route::Regions;

/// A request to a tenant's own server.
#[derive(Clone)]
pub struct WebRequest {
    /// How.
    pub method: Method,
    /// Where to.
    pub url: String,
    /// Headers beside the content type.
    pub headers: Vec<(String, String)>,
    /// A JSON body.
    pub body: Option<String>,
    /// How long it may take, the body of the answer included.
    pub timeout: Duration,
    /// The longest answer that is read, in bytes; a longer one is none.
    pub most: usize,
}

/// What the server answered.
#[derive(Clone, PartialEq, Eq)]
pub struct WebAnswer {
    /// HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

/// The answer when it is there; `None` if there is none in time, or the request may not be sent.
pub type WebReply = Pin<Box<dyn Future<Output = Option<WebAnswer>> + Send>>;

/// Sends requests to tenants' servers, to addresses that the tenant's policy allows and to no others.
pub trait Web: Send + Sync {
    /// Sends one for a tenant.
    fn send(&self, tenant: TenantId, request: WebRequest) -> WebReply;
}

/// What flows and plans ask for.
#[derive(Clone, Default)]
pub struct Equipment {
    /// The way to tenants' servers; without it there is no answer.
    pub web: Option<Arc<dyn Web>>,
    /// Where numbers are from; empty without a table.
    pub regions: Arc<Regions>,
}
