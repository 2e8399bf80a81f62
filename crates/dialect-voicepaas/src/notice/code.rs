//! The status codes of the notice family (voice-paas §2.3).

use crate::http::json;
use crate::ids::request_sid;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use strowger_core::Stamp;
use strowger_runtime::CallError;

/// A business outcome of a notice request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NoticeCode {
    /// Accepted: the call was started, or queued.
    Success,
    /// Missing, malformed, unknown, mismatched or disabled credentials.
    Authentication,
    /// The body is not a JSON object in UTF-8.
    Malformed,
    /// The application is unknown, another account's, or disabled.
    Application,
    /// A member is missing, ill-typed or out of range.
    Parameter,
    /// Refused by the platform before signalling.
    Refused,
    /// Signalling failed at once.
    Signalling,
}

impl NoticeCode {
    /// The text on the wire.
    pub const fn text(self) -> &'static str {
        match self {
            NoticeCode::Success => "0",
            NoticeCode::Authentication => "-1",
            NoticeCode::Malformed => "-2",
            NoticeCode::Application => "-3",
            NoticeCode::Parameter => "-4",
            NoticeCode::Refused => "-5",
            NoticeCode::Signalling => "-6",
        }
    }
}

/// A request that was not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub code: NoticeCode,
    /// For people; never a value out of the request.
    pub text: String,
    /// Answered with HTTP 503 and `Retry-After`, in seconds: drained or overloaded.
    pub retry_after: Option<u32>,
}

impl Failure {
    pub fn new(code: NoticeCode, text: impl Into<String>) -> Failure {
        Failure {
            code,
            text: text.into(),
            retry_after: None,
        }
    }

    /// A required member that is absent or empty.
    pub fn missing(name: &str) -> Failure {
        Failure::new(NoticeCode::Parameter, format!("missing {name}"))
    }

    /// A member with a wrong type or value.
    pub fn invalid(name: &str, why: impl std::fmt::Display) -> Failure {
        Failure::new(NoticeCode::Parameter, format!("invalid {name}: {why}"))
    }

    pub fn refused(why: impl Into<String>) -> Failure {
        Failure::new(NoticeCode::Refused, why)
    }
}

/// Seconds after which a client of a node that is being drained may come back; a balancer has moved it by then.
const DRAIN_RETRY_SECS: u32 = 5;

impl From<CallError> for Failure {
    fn from(error: CallError) -> Failure {
        let (code, retry_after) = match &error {
            CallError::TrunkDown => (NoticeCode::Signalling, None),
            CallError::Overloaded { retry_after_secs } => (NoticeCode::Refused, Some((*retry_after_secs).max(1))),
            CallError::Draining => (NoticeCode::Refused, Some(DRAIN_RETRY_SECS)),
            CallError::Journal(why) => {
                tracing::error!(code = error.code(), why, "a notice could not be recorded");
                return Failure::refused("the call could not be recorded and was not started");
            }
            _ => (NoticeCode::Refused, None),
        };
        Failure {
            code,
            text: error.to_string(),
            retry_after,
        }
    }
}

/// The answer to every request of the family; all values are texts (§1.3).
#[derive(Serialize)]
struct Envelope<'a> {
    #[serde(rename = "statusCode")]
    status_code: &'static str,
    statusmsg: &'a str,
    requestid: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    callid: Option<&'a str>,
}

/// The answer to a request that was carried out.
pub(crate) fn success(text: &str, requestid: &str, callid: Option<&str>) -> Response {
    let body = Envelope {
        status_code: NoticeCode::Success.text(),
        statusmsg: text,
        requestid,
        callid,
    };
    json(StatusCode::OK, &body)
}

impl Failure {
    /// The answer; a failed request has an id too (D3).
    pub fn answer(&self, now: Stamp) -> Response {
        let body = Envelope {
            status_code: self.code.text(),
            statusmsg: &self.text,
            requestid: &request_sid(now),
            callid: None,
        };
        let Some(seconds) = self.retry_after else {
            return json(StatusCode::OK, &body);
        };
        let mut response = json(StatusCode::SERVICE_UNAVAILABLE, &body).into_response();
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        response
    }
}
