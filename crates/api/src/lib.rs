//! The native API: what operators and the command line use.
//!
//! [`admin_router`] is served on the local socket of the data folder, whose mode is its only guard: whoever may open the
//! socket owns the installation. [`public_router`] has health, readiness and metrics, and no data of any
//! tenant; ICE servers only for those who sign in.
//!
//! Every error is `application/problem+json` (RFC 9457) with a code from one table, [`error::Code`].
//!
//! Invariant: no handler holds a use case. It reads a request into domain types, calls the store or the runtime, and
//! writes the answer; every wire type is here, and none is in `core`.

mod accounts;
mod applications;
mod backup;
mod batches;
mod calls;
mod deliveries;
mod devices;
pub mod error;
mod health;
mod ice_servers;
mod notice_settings;
mod numbers;
pub mod operations;
mod prompts;
mod recordings;
mod request;
mod routes;
mod speech;
mod tenants;
mod time;
mod trunks;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{delete, get, post};
use std::path::PathBuf;
use std::sync::Arc;
use strowger_core::Stamp;
use strowger_core::resource::ApplicationSettings;
use strowger_runtime::Calls;
use strowger_store::Store;

pub use error::{Code, Problem};
pub use ice_servers::IceServers;
pub use operations::{BanInfo, Direction, LadderStep, Operations, RegistrationInfo, Reply};
pub use speech::{Speech, TranscriptEntry, TranscriptKind, Transcription, TranscriptionError, TranscriptionStats};
pub use time::rfc3339;

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
    /// The process.
    pub operations: Arc<dyn Operations>,
    /// The wall clock, passed in so that tests can set it.
    pub now: Arc<dyn Fn() -> Stamp + Send + Sync>,
    /// Folder of the uploaded prompts.
    pub prompts: PathBuf,
    /// How prompts are taken in, and what can be said and heard.
    pub speech: Arc<Speech>,
    /// Servers that browsers' media may go through.
    pub ice: Arc<IceServers>,
    /// What new applications may be seeded from. The first is the default.
    pub profiles: Arc<[Profile]>,
    /// One change of an existing resource at a time: a change reads the resource, alters it and puts it back.
    pub changing: Arc<tokio::sync::Mutex<()>>,
}

/// The admin API, for the local socket.
pub fn admin_router(api: Api) -> Router {
    let v1 = Router::new()
        .route("/tenants", get(tenants::list).post(tenants::create))
        .route(
            "/tenants/{id}",
            get(tenants::show).patch(tenants::change).delete(tenants::remove),
        )
        .route("/accounts", get(accounts::list).post(accounts::create))
        .route(
            "/accounts/{id}",
            get(accounts::show).patch(accounts::change).delete(accounts::remove),
        )
        .route("/accounts/{id}/tokens", post(accounts::rotate))
        .route("/applications", get(applications::list).post(applications::create))
        .route(
            "/applications/{id}",
            get(applications::show)
                .patch(applications::change)
                .delete(applications::remove),
        )
        .route("/trunks", get(trunks::list).post(trunks::create))
        .route(
            "/trunks/{id}",
            get(trunks::show).patch(trunks::change).delete(trunks::remove),
        )
        .route("/numbers", get(numbers::list).post(numbers::create))
        .route(
            "/numbers/{number}",
            get(numbers::show).patch(numbers::change).delete(numbers::remove),
        )
        .route("/routes", get(routes::list).post(routes::create))
        .route("/routes/{id}", get(routes::show).delete(routes::remove))
        .route("/devices", get(devices::list).post(devices::create))
        .route(
            "/devices/{id}",
            get(devices::show).patch(devices::change).delete(devices::remove),
        )
        .route(
            "/prompts",
            // The handler counts what it takes in, up to `PROMPT_LIMIT`.
            get(prompts::list)
                .post(prompts::upload)
                .layer(DefaultBodyLimit::disable()),
        )
        .route("/prompts/{name}", delete(prompts::remove).patch(prompts::review))
        .route("/speech/prompts", post(speech::synthesise))
        .route("/batches", get(batches::list))
        .route("/batches/{id}", get(batches::show))
        .route("/batches/{id}/cancel", post(batches::cancel))
        .route("/deliveries", get(deliveries::list))
        .route("/deliveries/repush", post(deliveries::repush))
        .route("/calls", get(calls::list).post(calls::place))
        .route("/calls/{id}", get(calls::show).delete(calls::cancel))
        .route("/calls/{id}/recording", post(recordings::change))
        .route("/calls/{id}/ladder", get(operations::ladder))
        .route("/calls/{id}/transcription", post(speech::start).delete(speech::stop))
        .route("/calls/{id}/transcript", get(speech::transcript))
        .route("/registrations", get(operations::registrations))
        .route("/registrations/{username}", delete(operations::unregister))
        .route("/bans", get(operations::bans).post(operations::ban))
        .route("/bans/{*source}", delete(operations::unban))
        .route("/certificates/reload", post(operations::reload_certificates))
        .route("/ice-servers", get(ice_servers::show))
        .route("/backup", post(backup::make));
    Router::new()
        .nest("/api/v1", v1)
        .merge(health::routes())
        .fallback(error::no_such_path)
        .method_not_allowed_fallback(error::no_such_method)
        .with_state(api)
}

/// Health, readiness and metrics, and ICE servers for those who sign in, for the public listener.
pub fn public_router(api: Api) -> Router {
    let ice = get(ice_servers::ask).options(ice_servers::preflight);
    health::routes().route("/api/v1/ice-servers", ice).with_state(api)
}
