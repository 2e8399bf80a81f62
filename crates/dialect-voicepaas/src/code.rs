//! The status codes of the conversation family (voice-paas §8.3): one table from code to text and to HTTP.

use strowger_core::call::Refusal;
use strowger_runtime::CallError;

/// A business outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// Done.
    Success,
    /// Missing, malformed, unknown, mismatched or disabled credentials.
    AuthenticationFailed,
    /// The body is not a JSON object in UTF-8.
    JsonMalformed,
    /// The application does not exist, is another tenant's, or is disabled.
    ApplicationUnknown,
    /// A required member is absent or empty.
    ParameterMissing,
    /// A member has a wrong type or value.
    ParameterInvalid,
    /// An unknown `action`, or one that belongs to another URL.
    UnknownAction,
    /// A number that cannot be dialled.
    NumberInvalid,
    /// Caller and callee are the same line.
    CallerEqualsCallee,
    /// The display number does not belong to the application.
    DisplayNumberNotOwned,
    /// No sound of this name.
    VoiceFileNotFound,
    /// `userData` is too long or has other characters than allowed.
    UserDataInvalid,
    /// No such conversation, or another account's.
    ConversationNotFound,
    /// The conversation has ended.
    ConversationEnded,
    /// Not in this state of the conversation.
    StateNotAllowed,
    /// Three parties, or an add in progress.
    PartyLimit,
    /// No such agent in the application.
    AgentUnknown,
    /// The agent is not on duty.
    AgentNotSignedIn,
    /// Not in the agent's present state.
    AgentState,
    /// The agent has a call.
    AgentBusy,
    /// Too many conversations at once.
    ConcurrencyLimit,
    /// Too many new conversations per second.
    RateLimit,
    /// No trunk can carry the call.
    NoRoute,
    /// The number is closed by the toll rules.
    NumberNotPermitted,
    /// A failure of ours.
    Internal,
}

impl Code {
    /// The five digits on the wire.
    pub const fn digits(self) -> &'static str {
        match self {
            Code::Success => "00000",
            Code::AuthenticationFailed => "10001",
            Code::JsonMalformed => "10002",
            Code::ApplicationUnknown => "10003",
            Code::ParameterMissing => "10004",
            Code::ParameterInvalid => "10005",
            Code::UnknownAction => "10006",
            Code::NumberInvalid => "10007",
            Code::CallerEqualsCallee => "10008",
            Code::DisplayNumberNotOwned => "10009",
            Code::VoiceFileNotFound => "10010",
            Code::UserDataInvalid => "10011",
            Code::ConversationNotFound => "20001",
            Code::ConversationEnded => "20002",
            Code::StateNotAllowed => "20003",
            Code::PartyLimit => "20004",
            Code::AgentUnknown => "40001",
            Code::AgentNotSignedIn => "40003",
            Code::AgentState => "40004",
            Code::AgentBusy => "40007",
            Code::ConcurrencyLimit => "30001",
            Code::RateLimit => "30002",
            Code::NoRoute => "30004",
            Code::NumberNotPermitted => "30005",
            Code::Internal => "50000",
        }
    }

    /// What the code means, for people.
    pub const fn text(self) -> &'static str {
        match self {
            Code::Success => "success",
            Code::AuthenticationFailed => "authentication failed",
            Code::JsonMalformed => "the body is not a JSON object in UTF-8",
            Code::ApplicationUnknown => "application unknown or disabled",
            Code::ParameterMissing => "parameter missing",
            Code::ParameterInvalid => "parameter invalid",
            Code::UnknownAction => "unknown action, or action not valid at this URL",
            Code::NumberInvalid => "number format invalid",
            Code::CallerEqualsCallee => "caller equals callee",
            Code::DisplayNumberNotOwned => "display number not owned by the application",
            Code::VoiceFileNotFound => "voice file not found",
            Code::UserDataInvalid => "userData invalid",
            Code::ConversationNotFound => "conversation not found",
            Code::ConversationEnded => "conversation already ended",
            Code::StateNotAllowed => "not allowed in the present conversation state",
            Code::PartyLimit => "party limit reached or an add is in progress",
            Code::AgentUnknown => "agent unknown",
            Code::AgentNotSignedIn => "agent not signed in",
            Code::AgentState => "not allowed in the present agent state",
            Code::AgentBusy => "agent already has a call",
            Code::ConcurrencyLimit => "concurrency limit reached",
            Code::RateLimit => "rate limit reached",
            Code::NoRoute => "no route, or trunk unavailable",
            Code::NumberNotPermitted => "number not permitted",
            Code::Internal => "internal error",
        }
    }
}

/// A request that was not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Answered with HTTP 200 and the code.
    Business {
        /// The code.
        code: Code,
        /// What exactly, appended to the code's text; never a value out of the request.
        detail: String,
    },
    /// Answered with HTTP 503 and `Retry-After`: drained or overloaded.
    Unavailable {
        /// Seconds.
        retry_after: u32,
    },
}

impl Failure {
    /// A failure whose text says it all.
    pub const fn plain(code: Code) -> Failure {
        Failure::Business {
            code,
            detail: String::new(),
        }
    }

    /// A failure that names what it is about.
    pub fn about(code: Code, detail: impl Into<String>) -> Failure {
        Failure::Business {
            code,
            detail: detail.into(),
        }
    }

    /// The text on the wire.
    pub fn message(&self) -> String {
        match self {
            Failure::Business { code, detail } if detail.is_empty() => code.text().to_owned(),
            Failure::Business { code, detail } => format!("{}: {detail}", code.text()),
            Failure::Unavailable { .. } => "the service takes no new calls now".to_owned(),
        }
    }
}

/// Seconds after which a client of a node that is being drained may come back; a balancer has moved it by then.
const DRAIN_RETRY_SECS: u32 = 5;

impl From<CallError> for Failure {
    fn from(error: CallError) -> Failure {
        Failure::plain(match error {
            CallError::NotFound => Code::ConversationNotFound,
            CallError::Refused(Refusal::Ended) => Code::ConversationEnded,
            CallError::Refused(Refusal::State | Refusal::NoRecording) => Code::StateNotAllowed,
            CallError::Refused(Refusal::PartyLimit) => Code::PartyLimit,
            CallError::Refused(Refusal::NoSuchLeg) => {
                return Failure::about(
                    Code::StateNotAllowed,
                    "only a party that was added, or is being added, can be ended alone",
                );
            }
            CallError::KeyReused => {
                return Failure::about(Code::ParameterInvalid, "Idempotency-Key was used for another request");
            }
            // The last two are of batches and never of a conversation.
            CallError::Concurrency | CallError::ItemBegun | CallError::BatchCancelled => Code::ConcurrencyLimit,
            CallError::Rate | CallError::Throttled => Code::RateLimit,
            // The dialect has no code of its own for money: the number may not be called today.
            CallError::Spent => {
                return Failure::about(Code::NumberNotPermitted, "what calls may cost today is spent");
            }
            CallError::NoRoute | CallError::TrunkDown => Code::NoRoute,
            CallError::Journal(_) => Code::Internal,
            CallError::Overloaded { retry_after_secs } => {
                return Failure::Unavailable {
                    retry_after: retry_after_secs.max(1),
                };
            }
            CallError::Draining => {
                return Failure::Unavailable {
                    retry_after: DRAIN_RETRY_SECS,
                };
            }
        })
    }
}
