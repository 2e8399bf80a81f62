//! What reports are made of. The runtime makes these from the journal's events.

use crate::centre::agent::State;
use crate::id::{AgentId, ConversationId, QueueId};
use crate::number::Number;
use crate::time::Stamp;

/// What a queue promises, as it was set when a call entered it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// An answer after at most so long is in time; in milliseconds.
    pub service_ms: u64,
    /// A caller that leaves earlier is a short abandon; in milliseconds.
    pub short_ms: u64,
}

/// How a call left a queue without an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The caller hung up.
    Abandoned,
    /// It had waited too long.
    TimedOut,
    /// The queue was full.
    Full,
    /// Nobody was on duty.
    Unstaffed,
    /// The caller chose to be called back.
    Callback,
    /// A command took it elsewhere.
    Moved,
}

/// What happened to a call in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueEvent {
    /// It entered. A return to its place after an offer that came to nothing is no event, or this one once more.
    Entered(Thresholds),
    /// An agent has it.
    Answered,
    /// It left without.
    Left(Exit),
}

/// What happened to a call in a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueFact {
    /// When.
    pub at: Stamp,
    /// In which.
    pub queue: QueueId,
    /// The call.
    pub conversation: ConversationId,
    /// What.
    pub what: QueueEvent,
}

/// What happened to an agent's part in a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartEvent {
    /// The call is offered to it.
    Offered,
    /// It calls.
    Placed,
    /// It let the offer run out (RONA).
    Missed,
    /// It turned the offer down.
    Rejected,
    /// The offer was taken back: the caller left, or the device was not there.
    Withdrawn,
    /// It took the call; or, of a call that it placed, the other side did.
    Accepted,
    /// It put the other party on hold.
    Held,
    /// It took it back.
    Retrieved,
    /// Its part is over.
    Left {
        /// The call went on to somebody else by its doing.
        transferred: bool,
    },
    /// Its after-call work is over.
    WrappedUp,
}

/// What happened to an agent's part in a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartFact {
    /// When.
    pub at: Stamp,
    /// Whose.
    pub agent: AgentId,
    /// The call.
    pub conversation: ConversationId,
    /// The queue that the call came from; told when the part begins.
    pub queue: Option<QueueId>,
    /// What.
    pub what: PartEvent,
}

/// An agent has another state from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentFact {
    /// When.
    pub at: Stamp,
    /// Which.
    pub agent: AgentId,
    /// The state.
    pub state: State,
}

/// What happened to a call as a number of the tenant sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallEvent {
    /// It began.
    Began {
        /// The tenant's number: the called one of an incoming call, the shown one of an outgoing call.
        number: Number,
        /// It came in.
        incoming: bool,
    },
    /// A person talks: an agent has taken an incoming call, the called party an outgoing one.
    Answered,
    /// It is over.
    Ended,
}

/// What happened to a call as a number of the tenant sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallFact {
    /// When.
    pub at: Stamp,
    /// The call.
    pub conversation: ConversationId,
    /// What.
    pub what: CallEvent,
}

/// Something that reports count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// Of a queue.
    Queue(QueueFact),
    /// Of an agent in a call.
    Part(PartFact),
    /// Of an agent.
    Agent(AgentFact),
    /// Of a number.
    Call(CallFact),
}

impl Fact {
    /// When it happened.
    pub const fn at(&self) -> Stamp {
        match self {
            Fact::Queue(f) => f.at,
            Fact::Part(f) => f.at,
            Fact::Agent(f) => f.at,
            Fact::Call(f) => f.at,
        }
    }
}
