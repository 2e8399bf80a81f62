//! The native API: what operators and the command line use.
//!
//! [`admin_router`] is served on the local socket of the data folder, whose mode is its only guard: whoever may open the
//! socket owns the installation. [`public_router`] is for users and programs of tenants, who show who they are; it has
//! health, readiness and metrics beside it. Both are made from one table of operations, and so is the OpenAPI file.
//!
//! Every error is `application/problem+json` (RFC 9457) with a code from one table, [`error::Code`].
//!
//! Invariant: no handler holds a use case. It reads a request into domain types, calls the store or the runtime, and
//! writes the answer; every wire type is here, and none is in `core`.

mod accounts;
mod applications;
mod backup;
mod batches;
mod call_notes;
mod calls;
mod centre;
mod configuration;
mod deliveries;
mod desk;
mod devices;
pub mod error;
pub mod events;
mod flows;
#[doc(hidden)]
pub mod fuzzing;
mod guard;
mod health;
mod ice_servers;
mod identity;
mod notice_settings;
mod numbers;
mod op;
pub mod operations;
mod prompts;
mod recordings;
mod reports;
mod request;
mod routes;
mod routing;
mod speech;
mod table;
mod tenants;
mod time;
mod trunks;
mod webhooks;

use axum::Router;
use guard::Face;
use std::path::PathBuf;
use std::sync::Arc;
use strowger_blobs::Blobs;
use strowger_core::Stamp;
use strowger_core::resource::ApplicationSettings;
use strowger_runtime::Calls;
use strowger_runtime::centre::Desks;
use strowger_store::Store;

pub use centre::follow as follow_centre;
pub use error::{Code, Problem};
pub use ice_servers::IceServers;
pub use identity::Identity;
pub use operations::{BanInfo, Direction, LadderStep, Operations, RegistrationInfo, Reply};
pub use recordings::serve as serve_recording;
pub use speech::{Speech, TranscriptEntry, TranscriptKind, Transcription, TranscriptionError, TranscriptionStats};
pub use time::rfc3339;
pub use webhooks::{WebhookProjector, follow as follow_webhooks};

/// Largest file of a prompt that can be uploaded: three minutes of stereo PCM at 44.1 kHz fit.
pub const PROMPT_LIMIT: usize = 32 << 20;

/// Named settings that a new application is seeded from.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Name, as requests write it.
    pub name: String,
    /// The settings.
    pub settings: ApplicationSettings,
}

/// A figure on the metrics page.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// Name in Prometheus' form, with the prefix `strowger_` and the unit at its end.
    pub name: &'static str,
    /// What it counts, in one sentence.
    pub help: &'static str,
    /// Rises only, or goes up and down.
    pub kind: MetricKind,
    /// Labels, in order; values are escaped by the page. Never a number, a name or an id of a person.
    pub labels: Vec<(&'static str, String)>,
    /// The value.
    pub value: f64,
}

/// Kinds of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Rises only.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A bucket of a histogram: values up to the label `le`.
    Bucket,
    /// The sum of a histogram's values.
    Sum,
    /// The number of a histogram's values.
    Count,
}

/// Everything that the handlers work with.
#[derive(Clone)]
pub struct Api {
    /// Resources, records and deliveries.
    pub store: Store,
    /// Running conversations.
    pub calls: Arc<dyn Calls>,
    /// Agents at work.
    pub desks: Arc<dyn Desks>,
    /// The process.
    pub operations: Arc<dyn Operations>,
    /// The wall clock, passed in so that tests can set it.
    pub now: Arc<dyn Fn() -> Stamp + Send + Sync>,
    /// Folder of the uploaded prompts.
    pub prompts: PathBuf,
    /// The recordings.
    pub blobs: Arc<Blobs>,
    /// How prompts are taken in, and what can be said and heard.
    pub speech: Arc<Speech>,
    /// Servers that browsers' media may go through.
    pub ice: Arc<IceServers>,
    /// What new applications may be seeded from. The first is the default.
    pub profiles: Arc<[Profile]>,
    /// Who may ask.
    pub identity: Arc<Identity>,
    /// Whom clients of the WebSocket follow.
    pub events: Arc<events::Events>,
    /// One change of an existing resource at a time: a change reads the resource, alters it and puts it back.
    pub changing: Arc<tokio::sync::Mutex<()>>,
}

impl Api {
    /// Reads what tokens are signed with. Once, before requests are taken.
    ///
    /// # Errors
    /// [`Problem`] if the store cannot be read or written.
    pub async fn prepare(&self) -> Result<(), Problem> {
        self.identity.signer.load(self).await
    }
}

/// The admin API, for the local socket.
pub fn admin_router(api: Api) -> Router {
    let v1 = op::router(table::operations(), &api, Face::Admin);
    Router::new()
        .nest("/api/v1", v1)
        .merge(health::routes())
        .fallback(error::no_such_path)
        .method_not_allowed_fallback(error::no_such_method)
        .with_state(api)
}

/// The native API for users and programs of tenants, with health, readiness and metrics, for the public listener. Needs
/// [`Api::prepare`] before it, and the peers' addresses as `ConnectInfo<SocketAddr>`.
pub fn public_router(api: Api) -> Router {
    let v1 = op::router(table::operations(), &api, Face::Public);
    let v1 = Router::new().nest("/api/v1", v1).with_state(api.clone());
    // Commands that come over a WebSocket go the way of requests.
    let commands = axum::Extension(events::socket::Commands(v1.clone()));
    v1.layer(commands).merge(health::routes().with_state(api))
}

/// The OpenAPI 3.1 file of the public listener's operations, as JSON.
pub fn openapi() -> String {
    let mut text = op::document(table::operations()).to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

/// `GET /api/v1/openapi.json`.
async fn openapi_file() -> impl axum::response::IntoResponse {
    static FILE: std::sync::LazyLock<String> = std::sync::LazyLock::new(openapi);
    ([(axum::http::header::CONTENT_TYPE, "application/json")], FILE.as_str())
}
