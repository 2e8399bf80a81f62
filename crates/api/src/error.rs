//! One table of errors: code → category → HTTP status → place in docs/errors.md.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use strowger_runtime::CallError;
use strowger_store::{AppendError, StoreError};
use utoipa::ToSchema;

/// Whose fault it is, which decides what a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// The request is wrong; the same request fails again.
    Request,
    /// The request contradicts the present state; look, then decide.
    State,
    /// The platform cannot just now; the same request may succeed later.
    Later,
    /// A fault of the platform, for its operator.
    Platform,
}

macro_rules! codes {
    ($($variant:ident, $code:literal, $category:ident, $status:literal, $title:literal;)*) => {
        /// Stable codes of the native API.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code {
            $(#[doc = $title] $variant,)*
        }

        impl Code {
            /// Every code, for the documentation and its test.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)*];

            /// The stable text.
            pub const fn text(self) -> &'static str {
                match self { $(Code::$variant => $code,)* }
            }

            /// Whose fault it is.
            pub const fn category(self) -> Category {
                match self { $(Code::$variant => Category::$category,)* }
            }

            /// The HTTP status.
            pub const fn status(self) -> u16 {
                match self { $(Code::$variant => $status,)* }
            }

            /// What it means, the same for every occurrence.
            pub const fn title(self) -> &'static str {
                match self { $(Code::$variant => $title,)* }
            }
        }
    };
}

codes! {
    BadBody, "request.body", Request, 400, "The body is not the JSON object that is expected";
    BadParameter, "request.parameter", Request, 400, "A parameter is missing or has a wrong value";
    TenantRequired, "request.tenant", Request, 400, "There are several tenants and none was named";
    MediaType, "request.media-type", Request, 415, "The body has a type that is not accepted here";
    Unfinished, "request.unfinished", State, 409, "What became of the request with this idempotency key is not known";
    Unauthenticated, "auth.required", Request, 401, "No valid key or access token was sent";
    SecondFactor, "auth.second-factor", Request, 401, "A one-time password is needed";
    RefreshToken, "auth.refresh", Request, 401, "The refresh token is not valid";
    Forbidden, "auth.forbidden", Request, 403, "The role or the key does not allow this";
    RateLimited, "rate-limited", Later, 429, "More requests than this key or user may send";
    Stale, "stale", State, 412, "It has changed since it was read";
    TooLarge, "request.too-large", Request, 413, "The body is larger than allowed";
    NoPath, "request.path", Request, 404, "There is nothing at this path";
    NoMethod, "request.method", Request, 405, "The path does not know this method";
    OutOfRange, "request.range", Request, 416, "The recording has no such octets";
    Unauthorized, "request.credentials", Request, 401, "The name or the password is wrong";
    BadPrompt, "prompt.format", Request, 422, "The file is no sound that can be played";
    BadCertificate, "certificate", Request, 422, "The certificate files cannot be used";
    Invalid, "routing.invalid", Request, 422, "The flow or the plan has errors";
    NumberDenied, "call.denied", Request, 403, "The number may not be called";
    Emergency, "call.emergency", Request, 403, "The emergency number cannot be reached from here";
    NotFound, "not-found", State, 404, "There is no such thing";
    Exists, "exists", State, 409, "It exists already, or its name is taken";
    InUse, "in-use", State, 409, "Something else refers to it, or it refers to something that is not there";
    Disabled, "disabled", State, 409, "It is switched off";
    KeyReused, "call.key-reused", State, 409, "The idempotency key was used for another request";
    AgentState, "agent.state", State, 409, "The agent's state does not allow this";
    ChatState, "chat.state", State, 409, "The chat's state, or the agent's, does not allow this";
    CallEnded, "call.ended", State, 409, "The conversation has ended";
    CallState, "call.state", State, 409, "The conversation's state does not allow this";
    SpeechOff, "speech.off", State, 409, "No speech engine is configured";
    TurnOff, "turn.off", State, 409, "No STUN or TURN server is configured";
    Attempts, "request.attempts", Later, 429, "Too many wrong passwords under this name";
    NoRoute, "call.no-route", Later, 503, "No trunk in service can carry the number";
    TrunkDown, "call.trunk-down", Later, 503, "The trunks that carry the number do not answer";
    CallLimit, "call.limit", Later, 429, "A limit of the application is reached";
    SpendLimit, "call.spend-limit", Later, 429, "What calls may cost today is spent";
    SpeechEngine, "speech.engine", Later, 503, "A speech engine cannot be reached, or failed";
    RecordingStore, "recording.store", Later, 503, "The store of recordings cannot be reached, or failed";
    Overloaded, "overloaded", Later, 503, "The platform has more work than it can do";
    Draining, "draining", Later, 503, "The process is shutting down and takes nothing new";
    DiskFull, "disk-full", Later, 507, "The disk is full";
    Storage, "storage", Platform, 500, "The database failed";
    Internal, "internal", Platform, 500, "The platform failed";
}

impl Code {
    /// The heading in docs/errors.md.
    pub fn anchor(self) -> String {
        self.text().replace('.', "")
    }
}

/// An error as it is answered (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {detail}", code.text())]
pub struct Problem {
    /// Which.
    pub code: Code,
    /// What happened this time, why, and what to do, in a sentence or two.
    pub detail: String,
    /// The parameter that is wrong.
    pub parameter: Option<String>,
    /// Seconds after which trying again makes sense.
    pub retry_after: Option<u32>,
}

impl Problem {
    /// A problem of this code.
    pub fn new(code: Code, detail: impl Into<String>) -> Problem {
        Problem {
            code,
            detail: detail.into(),
            parameter: None,
            retry_after: (code.category() == Category::Later).then_some(1),
        }
    }

    /// A parameter has a wrong value.
    pub fn parameter(name: &str, detail: impl Into<String>) -> Problem {
        Problem {
            parameter: Some(name.to_owned()),
            ..Problem::new(Code::BadParameter, detail)
        }
    }

    /// There is no such thing.
    pub fn not_found(what: &str, name: impl std::fmt::Display) -> Problem {
        Problem::new(Code::NotFound, format!("there is no {what} {name}"))
    }
}

/// A problem as it is written (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody {
    /// Where the code is explained.
    r#type: String,
    /// What the code means.
    title: &'static str,
    status: u16,
    /// The stable code.
    code: &'static str,
    /// What happened this time, why, and what to do.
    detail: String,
    /// The parameter that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<String>,
    /// Seconds after which trying again makes sense.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u32>,
    /// The request's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<String>,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        if self.code.category() == Category::Platform {
            tracing::error!(code = self.code.text(), detail = self.detail, "a request failed");
        }
        let wire = ProblemBody {
            r#type: format!("docs/errors.md#{}", self.code.anchor()),
            title: self.code.title(),
            status: self.code.status(),
            code: self.code.text(),
            detail: self.detail,
            parameter: self.parameter,
            retry_after: self.retry_after,
            request: crate::guard::request_id(),
        };
        let body = serde_json::to_vec(&wire).unwrap_or_default();
        let status = StatusCode::from_u16(wire.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
        if let Some(seconds) = self.retry_after {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            let headers = response.headers_mut();
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(self.code);
        response
    }
}

impl From<StoreError> for Problem {
    fn from(e: StoreError) -> Problem {
        let text = e.to_string();
        match e {
            StoreError::NotFound(_) => Problem::new(Code::NotFound, text),
            StoreError::Exists(_) => Problem::new(Code::Exists, text),
            StoreError::Reference(_) => Problem::new(Code::InUse, text),
            StoreError::Write(e) => e.into(),
            StoreError::Unreadable(..) | StoreError::Database(_) => Problem::new(Code::Storage, text),
        }
    }
}

impl From<AppendError> for Problem {
    fn from(e: AppendError) -> Problem {
        let text = e.to_string();
        match e {
            AppendError::Overloaded => Problem::new(Code::Overloaded, text),
            AppendError::DiskFull => Problem::new(Code::DiskFull, text),
            AppendError::Closed => Problem::new(Code::Draining, text),
            AppendError::UnknownTenant(_) => Problem::new(Code::NotFound, text),
            _ => Problem::new(Code::Storage, text),
        }
    }
}

impl From<CallError> for Problem {
    fn from(e: CallError) -> Problem {
        use strowger_core::call::Refusal;
        let text = e.to_string();
        match e {
            CallError::NotFound => Problem::new(Code::NotFound, text),
            CallError::Refused(Refusal::Ended) => Problem::new(Code::CallEnded, text),
            CallError::Refused(_) => Problem::new(Code::CallState, text),
            CallError::KeyReused => Problem::new(Code::KeyReused, text),
            CallError::Concurrency | CallError::Rate => Problem::new(Code::CallLimit, text),
            CallError::Spent => Problem {
                retry_after: Some(60),
                ..Problem::new(Code::SpendLimit, text)
            },
            CallError::NoRoute => Problem::new(Code::NoRoute, text),
            CallError::TrunkDown => Problem::new(Code::TrunkDown, text),
            CallError::Throttled => Problem::new(Code::CallLimit, text),
            CallError::ItemBegun | CallError::BatchCancelled => Problem::new(Code::CallState, text),
            CallError::Overloaded { retry_after_secs } => Problem {
                retry_after: Some(retry_after_secs),
                ..Problem::new(Code::Overloaded, text)
            },
            CallError::Draining => Problem::new(Code::Draining, text),
            CallError::Journal(_) => Problem::new(Code::Storage, text),
        }
    }
}

/// The answer at a path that does not exist.
pub(crate) async fn no_such_path() -> Problem {
    Problem::new(
        Code::NoPath,
        "check the path; every path of this API begins with /api/v1/",
    )
}

/// The answer to a method that the path does not know.
pub(crate) async fn no_such_method() -> Problem {
    Problem::new(Code::NoMethod, "the header Allow lists what this path knows")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_explained_in_the_documentation() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors.md");
        let page = std::fs::read_to_string(page).unwrap();
        for code in Code::ALL {
            let row = format!("| [`{}`](#{}) | {} |", code.text(), code.anchor(), code.status());
            assert!(page.contains(&row), "docs/errors.md lacks the row {row}");
            assert!(
                page.contains(&format!("\n## {}\n", code.text())),
                "docs/errors.md lacks the heading of {}",
                code.text()
            );
        }
        assert_eq!(
            page.matches("\n## ").count(),
            Code::ALL.len(),
            "a heading without a code"
        );
    }

    #[test]
    fn codes_are_unique() {
        let mut texts: Vec<_> = Code::ALL.iter().map(|c| c.anchor()).collect();
        texts.sort();
        texts.dedup();
        assert_eq!(texts.len(), Code::ALL.len());
    }
}
