//! What the distributor takes in and gives out.

use super::Setup;
use super::callbacks::Callback;
use super::trace::Decision;
use crate::cause::Cause;
use crate::centre::agent::{self, Change, Fact, Ticket, Unanswered};
use crate::centre::resource::Overflow;
use crate::id::{AgentId, CallbackId, ConversationId, QueueId};
use crate::time::Stamp;
use std::collections::HashSet;

/// A call that is to wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enqueue {
    /// The call.
    pub conversation: ConversationId,
    /// Where.
    pub queue: QueueId,
    /// Who calls, for the agent that it had last; empty if unknown.
    pub caller: String,
    /// Its priority in place of the queue's.
    pub priority: Option<u8>,
    /// When it first entered a queue; now if it never did (I17).
    pub since: Option<Stamp>,
    /// Before all that wait: its agent was lost.
    pub front: bool,
    /// Who is not to be offered it for a while: the agent that handed it over.
    pub not: Option<AgentId>,
}

/// What comes in.
#[derive(Clone, Debug)]
pub enum Input {
    /// The configuration, whole. Calls and agents go on.
    Configure(Box<Setup>),
    /// What an earlier process kept of an agent. Before anything else is said of it.
    Restore(AgentId, Box<agent::Kept>),
    /// Something about an agent.
    Agent(AgentId, agent::Input),
    /// A call waits from now on.
    Enqueue(Enqueue),
    /// A call waits no more: its caller left, or it was sent elsewhere.
    Leave(ConversationId),
    /// What a call says about a participation.
    Fact(Ticket, Fact),
    /// A conversation is over, or was lost: nothing of it is left.
    Gone(ConversationId),
    /// Those of [`Acd::conversations`] that run. What is known of others is repaired.
    Audit(HashSet<ConversationId>),
    /// Time passed.
    Tick,
}

/// What goes out.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// An agent changed.
    Agent(AgentId, Box<Change>),
    /// A queue changed.
    Queue(QueueFact),
    /// An agent is offered a call: ring its devices.
    Offer(Offer),
    /// An offer, or another participation, is to be ended.
    End {
        /// The call.
        conversation: ConversationId,
        /// The participation.
        ticket: Ticket,
        /// Why: decides what the device is told.
        cause: Cause,
    },
    /// A call cannot wait any longer and goes elsewhere.
    Overflow {
        /// The call.
        conversation: ConversationId,
        /// The queue that it waited in.
        queue: QueueId,
        /// Why.
        why: Left,
        /// Where to.
        to: Overflow,
        /// When it first entered a queue.
        since: Stamp,
        /// Its priority.
        priority: u8,
    },
    /// It is time to tell a caller its place.
    Announce {
        /// The call.
        conversation: ConversationId,
        /// Place in the queue, from 1.
        place: u32,
        /// Seconds that it may still take, if there is something to judge by.
        wait_secs: Option<u32>,
    },
    /// A client lost its place.
    Kicked(AgentId, agent::Client),
    /// An operator should look.
    Alert(AgentId, agent::Alert),
    /// It is time to offer a caller that it be called back.
    OfferCallback {
        /// The call.
        conversation: ConversationId,
        /// The queue that it waits in.
        queue: QueueId,
    },
    /// A request to be called back is new, or has changed.
    Callback(Box<Callback>),
    /// A request needs a place: answered by `Acd::place_callback`.
    CallbackDue(CallbackId),
    /// Why a call was offered to whom.
    Decided(Box<Decision>),
    /// The next fact of a chat.
    Chat(Box<crate::chat::Fact>),
    /// A chat is over; nothing of it is left here.
    ChatEnded(Box<crate::chat::Chat>),
}

/// One offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The call.
    pub conversation: ConversationId,
    /// Names the participation.
    pub ticket: Ticket,
    /// Who is to be rung.
    pub agent: AgentId,
    /// The queue that the call waits in.
    pub queue: QueueId,
    /// Seconds that it may ring.
    pub ring_secs: u32,
}

/// A change of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueFact {
    /// The queue.
    pub queue: QueueId,
    /// The call.
    pub conversation: ConversationId,
    /// When.
    pub at: Stamp,
    /// What.
    pub what: Queued,
    /// The place is that of a customer who is called back.
    pub callback: bool,
}

/// What may happen to a call in a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Queued {
    /// It waits. `since` is when it first entered a queue.
    Entered {
        /// Its priority.
        priority: u8,
        /// First enqueue time.
        since: Stamp,
    },
    /// It is offered to an agent.
    Offered(AgentId),
    /// The offer failed and it waits again.
    Returned(AgentId, Unanswered),
    /// It left.
    Left(Left),
}

/// How a call left its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Left {
    /// An agent answered.
    Answered(AgentId),
    /// The caller gave up, or was sent elsewhere.
    Abandoned,
    /// It waited too long.
    TimedOut,
    /// Too many waited.
    Full,
    /// Nobody was on duty.
    Unstaffed,
    /// There is no such queue any more.
    Closed,
    /// The caller is called back and does not wait.
    Callback,
}

impl Left {
    /// As journalled and shown; the agent of an answer is told beside it.
    pub const fn name(self) -> &'static str {
        match self {
            Left::Answered(_) => "answered",
            Left::Abandoned => "abandoned",
            Left::TimedOut => "timed-out",
            Left::Full => "full",
            Left::Unstaffed => "unstaffed",
            Left::Closed => "closed",
            Left::Callback => "callback",
        }
    }

    /// Of a name, and the agent if somebody answered.
    pub fn of_name(name: &str, agent: Option<AgentId>) -> Option<Left> {
        let others = [
            Left::Abandoned,
            Left::TimedOut,
            Left::Full,
            Left::Unstaffed,
            Left::Closed,
            Left::Callback,
        ];
        let answered = agent.map(Left::Answered);
        answered.into_iter().chain(others).find(|l| l.name() == name)
    }
}

/// The state of a queue, for boards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Board {
    /// The queue.
    pub queue: QueueId,
    /// Calls that wait.
    pub waiting: u32,
    /// Calls that ring at an agent.
    pub offered: u32,
    /// Since when the first of them waits.
    pub oldest: Option<Stamp>,
    /// Agents on duty.
    pub on_duty: u32,
    /// Agents that could be offered a call now.
    pub free: u32,
    /// Customers that are to be called back, wherever their requests stand.
    pub callbacks: u32,
}
