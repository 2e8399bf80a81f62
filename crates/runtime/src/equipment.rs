//! What flows and plans need of the outside: the tenants' servers, and where numbers are from. The layers above give it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use strowger_core::ivr::flow::Method;
use strowger_core::ivr::io::Listening;
use strowger_core::route::Regions;
use strowger_core::spoken::Language;
use strowger_core::{ConversationId, TenantId};

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

/// A text as sound; `None` if it cannot be spoken.
pub type Said = Pin<Box<dyn Future<Output = Option<Vec<i16>>> + Send>>;

/// Speaks texts.
pub trait Speaker: Send + Sync {
    /// Samples of a text, linear at 8 kHz.
    fn speak(&self, text: String, language: Language) -> Said;
}

/// What a caller said; `None` if nothing was understood in time.
pub type Heard = Pin<Box<dyn Future<Output = Option<String>> + Send>>;

/// Listens to callers.
pub trait Listener: Send + Sync {
    /// Listens to the first party of a conversation. Dropping the answer ends it.
    fn listen(&self, conversation: ConversationId, listening: Listening) -> Heard;
}

/// What flows and plans ask for.
#[derive(Clone, Default)]
pub struct Equipment {
    /// The way to tenants' servers; without it there is no answer.
    pub web: Option<Arc<dyn Web>>,
    /// What speaks texts; without it flows with texts fail.
    pub speaker: Option<Arc<dyn Speaker>>,
    /// What listens to callers; without it nothing is understood.
    pub listener: Option<Arc<dyn Listener>>,
    /// Where numbers are from; empty without a table.
    pub regions: Arc<Regions>,
}
