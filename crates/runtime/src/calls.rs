//! What the faces may ask of the runtime: place a call, command a running one, look at it.

use std::future::Future;
use std::pin::Pin;
use strowger_core::call::{Accepted, ClickPlan, Command, LegState, Refusal};
use strowger_core::event::Created;
use strowger_core::{ConversationId, ConversationRecord, TenantId};
use strowger_store::CommandId;

/// A boxed answer, so that faces can hold the runtime behind `dyn`.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, CallError>> + Send + 'a>>;

/// The runtime as the faces see it. Every answer comes after the commit of what it says.
pub trait Calls: Send + Sync {
    /// Starts a click-to-call conversation. The plan's prompts and numbers were checked by the caller.
    ///
    /// With a name in `once` it is executed once (domain-model I11): the same command again, at the same time, later or
    /// after a restart, gets the id of the conversation that it started, whatever became of that. The same name for
    /// another request is [`CallError::KeyReused`].
    fn click_to_call(&self, head: Created, plan: ClickPlan, once: Option<CommandId>) -> Answer<'_, ConversationId>;

    /// The conversation that the command of this name started, if it is remembered. Asked before a plan is made: what
    /// has been done needs no number, prompt or limit any more.
    ///
    /// # Errors
    /// [`CallError::KeyReused`] if it was another request.
    fn started<'a>(&'a self, once: &'a CommandId) -> Answer<'a, Option<ConversationId>>;

    /// Commands a running conversation. One of another tenant is not found (I20); one that has ended is refused with
    /// [`Refusal::Ended`].
    ///
    /// With a name in `once`, a command that this conversation has accepted under it gets the same answer again and
    /// changes nothing. Such names hold within the conversation and as long as it runs.
    fn command(
        &self,
        tenant: TenantId,
        conversation: ConversationId,
        command: Command,
        once: Option<CommandId>,
    ) -> Answer<'_, Accepted>;

    /// A running conversation's record as folded so far, with the state of each leg.
    fn inspect(&self, tenant: TenantId, conversation: ConversationId) -> Answer<'_, Live>;
}

/// A running conversation.
#[derive(Clone, Debug)]
pub struct Live {
    /// Its record so far.
    pub record: ConversationRecord,
    /// The state of each leg, by number.
    pub legs: Vec<LegState>,
}

/// Why the runtime did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No such conversation for this tenant.
    #[error("there is no such conversation")]
    NotFound,
    /// The conversation's state does not allow it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The command's name was given to another request.
    #[error("the idempotency key was used for another request; use a new key for each request")]
    KeyReused,
    /// The application has as many conversations as it may.
    #[error("the application has reached its limit of concurrent conversations; retry when one has ended")]
    Concurrency,
    /// The application starts conversations faster than it may.
    #[error("the application starts conversations faster than its limit; retry after a second")]
    Rate,
    /// The tenant or the account has spent what it may today.
    #[error("what calls may cost today is spent; wait for the next day, or have the cap raised")]
    Spent,
    /// No trunk can carry the first party's number now.
    #[error("no trunk in service can carry this number; check the trunks' health and prefix rules")]
    NoRoute,
    /// Trunks carry the number, but none of them is in service.
    #[error("the trunks that carry this number do not answer; look at their health and retry when one is up")]
    TrunkDown,
    /// A verification code was sent to this number as often as it may be.
    #[error("verification codes were sent to this number as often as they may be; wait before the next one")]
    Throttled,
    /// The item of a batch was begun before.
    #[error("this number of the batch was begun before")]
    ItemBegun,
    /// The batch was cancelled.
    #[error("the batch was cancelled; no further number of it is called")]
    BatchCancelled,
    /// The platform has more work than it can do.
    #[error("the platform is overloaded; retry after {retry_after_secs} s")]
    Overloaded {
        /// When to come back.
        retry_after_secs: u32,
    },
    /// The process is shutting down.
    #[error("this node is being drained and takes no new calls")]
    Draining,
    /// The journal does not take the facts; nothing was done.
    #[error("the call could not be recorded and was not started: {0}")]
    Journal(String),
}

impl CallError {
    /// The stable code of the native API.
    pub const fn code(&self) -> &'static str {
        match self {
            CallError::NotFound => "call.not_found",
            CallError::Refused(Refusal::Ended) => "call.ended",
            CallError::Refused(Refusal::State) => "call.state",
            CallError::Refused(Refusal::PartyLimit) => "call.party_limit",
            CallError::Refused(Refusal::NoSuchLeg) => "call.no_such_leg",
            CallError::Refused(Refusal::NoRecording) => "call.no_recording",
            CallError::KeyReused => "call.key_reused",
            CallError::Concurrency => "call.concurrency",
            CallError::Rate => "call.rate",
            CallError::Spent => "call.spend_limit",
            CallError::NoRoute => "call.no_route",
            CallError::TrunkDown => "call.trunk_down",
            CallError::Throttled => "call.throttled",
            CallError::ItemBegun => "call.item_begun",
            CallError::BatchCancelled => "call.batch_cancelled",
            CallError::Overloaded { .. } => "call.overloaded",
            CallError::Draining => "call.draining",
            CallError::Journal(_) => "call.journal",
        }
    }
}
