//! The routes, and the conversation family's handlers.

use crate::auth::{self, Caller};
use crate::code::{Code, Failure};
use crate::dial::{self, Agents};
use crate::directory::{Directory, Ledger};
use crate::ids::{call_sid, conversation_sid, resolve_sid};
use crate::notice;
use crate::params::{Params, invalid};
use crate::plan::{Planner, leg_of};
use crate::records;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http_body_util::LengthLimitError;
use serde::Serialize;
use std::error::Error;
use std::sync::Arc;
use strowger_core::ConversationId;
use strowger_core::call::{Command, Refusal};
use strowger_core::number::{CHINA, NumberPlan};
use strowger_runtime::{CallError, Calls, Notices};
use strowger_store::CommandId;

/// Settings of the face.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Labels of API versions that are routed; empty routes every well-formed one.
    pub versions: Vec<String>,
    /// URL that a recording's name is put behind, such as `https://calls.example.com/recordings`.
    pub recording_base: String,
    /// Largest body in bytes.
    pub max_body: usize,
    /// How numbers without a country code are read.
    pub plan: NumberPlan,
    /// Most items of a notice.
    pub max_contents: usize,
    /// Most numbers of a batch of notices.
    pub max_numbers: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            versions: Vec::new(),
            recording_base: String::new(),
            max_body: 256 * 1024,
            plan: CHINA,
            max_contents: 50,
            max_numbers: 1000,
        }
    }
}

/// Everything that the handlers use.
#[derive(Clone)]
pub struct VoicePaas {
    /// The runtime.
    pub calls: Arc<dyn Calls>,
    /// The runtime, for voice notices.
    pub notices: Arc<dyn Notices>,
    /// Contact centres, for dial links.
    pub agents: Arc<dyn Agents>,
    /// Resources.
    pub directory: Arc<dyn Directory>,
    /// Records.
    pub ledger: Arc<dyn Ledger>,
    /// Settings.
    pub settings: Arc<Settings>,
}

/// The dialect's routes. An unknown path is 404 and a wrong method 405, without a body.
pub fn router(state: VoicePaas) -> Router {
    let app = "/{version}/Accounts/{account}/Applications/{application}";
    Router::new()
        .route(&format!("{app}/ctc/Conversations"), post(conversations))
        .route(&format!("{app}/ctc/Conversations/{{sid}}"), post(conversation))
        .route(&format!("{app}/cc/Calls/{{sid}}"), get(records::call))
        .route(&format!("{app}/cc/dial"), get(dial::link))
        .route(&format!("{app}/cc/Cdrs"), get(records::list))
        .route(&format!("{app}/cc/Cdrs/repush"), post(records::repush))
        .route(&format!("{app}/cc/Cdrs/{{sid}}"), get(records::one))
        .merge(notice::routes())
        .with_state(state)
}

/// The segments of a path; one that is not UTF-8 after decoding is an unknown path.
pub(crate) type Segments<T> = Result<Path<T>, PathRejection>;
/// Version, account, application.
pub(crate) type Base = (String, String, String);
/// Version, account, application, id.
pub(crate) type Item = (String, String, String, String);

/// Why a handler has no body to answer with.
pub(crate) enum Stop {
    NotFound,
    TooLarge,
    /// The body broke off.
    Incomplete,
    Failed(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Stop {
        Stop::Failed(failure)
    }
}

impl From<CallError> for Stop {
    fn from(error: CallError) -> Stop {
        if let CallError::Journal(why) = &error {
            tracing::error!(code = error.code(), why, "a request failed");
        }
        Stop::Failed(error.into())
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome<'a> {
    status_code: &'static str,
    status_msg: &'a str,
}

impl IntoResponse for Stop {
    fn into_response(self) -> Response {
        let failure = match self {
            Stop::NotFound => return StatusCode::NOT_FOUND.into_response(),
            Stop::TooLarge => return StatusCode::PAYLOAD_TOO_LARGE.into_response(),
            Stop::Incomplete => return StatusCode::BAD_REQUEST.into_response(),
            Stop::Failed(failure) => failure,
        };
        let message = failure.message();
        match failure {
            Failure::Business { code, .. } => json(
                StatusCode::OK,
                &Outcome {
                    status_code: code.digits(),
                    status_msg: &message,
                },
            ),
            Failure::Unavailable { retry_after } => {
                let body = Outcome {
                    status_code: Code::Internal.digits(),
                    status_msg: &message,
                };
                let mut response = json(StatusCode::SERVICE_UNAVAILABLE, &body);
                response
                    .headers_mut()
                    .insert(header::RETRY_AFTER, HeaderValue::from(retry_after));
                response
            }
        }
    }
}

/// A JSON response in the dialect's media type.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => {
            let kind = HeaderValue::from_static("application/json;charset=utf-8");
            (status, [(header::CONTENT_TYPE, kind)], bytes).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

impl VoicePaas {
    /// The label of the API version: opaque, but not any text (voice-paas §1.1).
    pub(crate) fn version(&self, label: &str) -> Result<(), Stop> {
        let formed = (1..=16).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        let known = self.settings.versions.is_empty() || self.settings.versions.iter().any(|v| v == label);
        if formed && known { Ok(()) } else { Err(Stop::NotFound) }
    }

    /// Reads a body up to the limit.
    pub(crate) async fn read(&self, headers: &HeaderMap, body: Body) -> Result<Vec<u8>, Stop> {
        let announced = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|n| n > self.settings.max_body as u64) {
            return Err(Stop::TooLarge);
        }
        match to_bytes(body, self.settings.max_body).await {
            Ok(bytes) => Ok(bytes.into()),
            Err(e) if e.source().is_some_and(|s| s.is::<LengthLimitError>()) => Err(Stop::TooLarge),
            Err(_) => Err(Stop::Incomplete),
        }
    }

    pub(crate) fn authenticate(&self, headers: &HeaderMap, account: &str, app: &str) -> Result<Caller, Failure> {
        auth::check(&*self.directory, headers, account, app)
    }

    /// Makes sure that a running conversation belongs to the caller's account and application. One that has ended, or
    /// was never there, ends the request.
    async fn owned(&self, caller: &Caller, id: ConversationId) -> Result<(), Stop> {
        let tenant = caller.account.tenant;
        match self.calls.inspect(tenant, id).await {
            Ok(live) if records::is_of(caller, &live.record) => return Ok(()),
            Ok(_) => return Err(Failure::plain(Code::ConversationNotFound).into()),
            Err(CallError::NotFound | CallError::Refused(Refusal::Ended)) => {}
            Err(e) => return Err(e.into()),
        }
        match self.ledger.record(tenant, id).await {
            Ok(Some(record)) if records::is_of(caller, &record) => Err(Failure::plain(Code::ConversationEnded).into()),
            Ok(_) => Err(Failure::plain(Code::ConversationNotFound).into()),
            Err(e) => Err(records::unreadable(&e)),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Started {
    conversation_sid: String,
    status_code: &'static str,
    status_msg: &'static str,
}

/// `POST …/ctc/Conversations`: `click2call`.
async fn conversations(
    State(state): State<VoicePaas>,
    path: Segments<Base>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Stop> {
    let Path((version, account, app)) = path.map_err(|_| Stop::NotFound)?;
    state.version(&version)?;
    let body = state.read(&headers, body).await?;
    let caller = state.authenticate(&headers, &account, &app)?;
    let params = Params::parse(&body)?;
    if params.required("action")? != "click2call" {
        return Err(Failure::plain(Code::UnknownAction).into());
    }
    let once = once(&headers, &caller, "click2call", &params)?;
    // What was done is answered before anything is checked that may have changed since.
    let known = match &once {
        Some(once) => state.calls.started(once).await?,
        None => None,
    };
    let id = match known {
        Some(id) => id,
        None => {
            let (head, plan) = state.planner(&caller, &version).click(&params)?;
            state.calls.click_to_call(head, plan, once).await?
        }
    };
    Ok(json(
        StatusCode::OK,
        &Started {
            conversation_sid: conversation_sid(id),
            status_code: Code::Success.digits(),
            status_msg: Code::Success.text(),
        },
    ))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Done {
    status_code: &'static str,
    status_msg: &'static str,
    /// Extension: the leg that `addCall` made.
    #[serde(skip_serializing_if = "Option::is_none")]
    call_sid: Option<String>,
}

/// `POST …/ctc/Conversations/{conversationSid}`: `cancelCall` and `addCall`.
async fn conversation(
    State(state): State<VoicePaas>,
    path: Segments<Item>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Stop> {
    let Path((version, account, app, sid)) = path.map_err(|_| Stop::NotFound)?;
    state.version(&version)?;
    let body = state.read(&headers, body).await?;
    let caller = state.authenticate(&headers, &account, &app)?;
    let params = Params::parse(&body)?;
    let action = params.required("action")?;
    if !matches!(action, "cancelCall" | "addCall") {
        return Err(Failure::plain(Code::UnknownAction).into());
    }
    let once = match action {
        "addCall" => once(&headers, &caller, "addCall", &params)?,
        // Ending what has ended is refused by the state, whoever asks how often.
        _ => None,
    };
    let add = match action {
        "addCall" => Some(state.planner(&caller, &version).add(&params)?),
        _ => None,
    };
    let (id, _) = resolve_sid(&sid).ok_or(Failure::plain(Code::ConversationNotFound))?;
    let command = match add {
        Some(plan) => Command::Add(Box::new(plan)),
        None => Command::Cancel {
            leg: leg_of(&params, id)?,
        },
    };
    state.owned(&caller, id).await?;
    let accepted = state.calls.command(caller.account.tenant, id, command, once).await?;
    Ok(json(
        StatusCode::OK,
        &Done {
            status_code: Code::Success.digits(),
            status_msg: Code::Success.text(),
            call_sid: accepted.leg.map(|leg| call_sid(id, leg)),
        },
    ))
}

/// Extension: the client's name for this request, so that it is carried out once. Two requests are the same if their
/// application and the members of their bodies are.
fn once(headers: &HeaderMap, caller: &Caller, action: &str, params: &Params) -> Result<Option<CommandId>, Failure> {
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(key) = values.next() else { return Ok(None) };
    let application = caller.application.id.0.to_be_bytes();
    let body = params.canonical();
    let request = [action.as_bytes(), &application, &body];
    let (tenant, account) = (caller.account.tenant, Some(caller.account.id));
    CommandId::new(tenant, account, key.as_bytes(), &request)
        .filter(|_| values.next().is_none())
        .map(Some)
        .ok_or_else(|| {
            invalid(
                "Idempotency-Key",
                "must be one header of 1 to 255 visible ASCII characters",
            )
        })
}

impl VoicePaas {
    fn planner<'a>(&'a self, caller: &'a Caller, version: &'a str) -> Planner<'a> {
        Planner {
            directory: &*self.directory,
            settings: &self.settings,
            caller,
            version,
        }
    }
}
