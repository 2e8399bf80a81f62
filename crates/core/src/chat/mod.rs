//! Chats: conversations in writing between a customer and an agent (domain-model §4.5, §5.6).
//!
//! A chat is a fold of its facts: [`Chat::opened`] takes the first, [`Chat::apply`] each later one. Whoever decides (the
//! distributor, [`crate::centre::acd`]) makes facts and nothing else, so what a restarted process reads back from the
//! journal is the chat as it was.
//!
//! A chat never touches the state of an agent (I33): its slot is a load beside the agent's machine.

mod fold;
#[cfg(test)]
mod tests;

pub use fold::{Chat, Part, State};

use crate::id::{AgentId, ApplicationId, ConversationId, QueueId};
use crate::time::Stamp;
use crate::words;

/// Characters of one message.
pub const MAX_TEXT: usize = 4_000;
/// Messages of one chat.
pub const MAX_MESSAGES: u32 = 10_000;
/// Chats of one tenant that are open at once.
pub const MAX_OPEN: usize = 20_000;
/// Characters of a customer's name, of what a message is called by its sender, and so on.
pub const MAX_NAME: usize = 64;
/// Characters of what the tenant's server gives a chat on its way.
pub const MAX_DATA: usize = 4_000;
/// Seconds without a word of the customer after which a chat counts as suspended.
pub const SILENT_SECS: u64 = 300;
/// Seconds without a word of the customer after which a chat is ended (§5.6).
pub const IDLE_SECS: u64 = 1_800;

/// What is known of a chat when it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// Whose agents it is for.
    pub application: ApplicationId,
    /// Who writes: the tenant's own name for the customer. Empty if it has none.
    pub customer: String,
    /// What agents see.
    pub name: String,
    /// Given to the agent as it came.
    pub data: String,
    /// Before chats with a lower one.
    pub priority: u8,
}

/// Who wrote a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The customer.
    Customer,
    /// An agent.
    Agent(AgentId),
}

/// A message. Its place in the chat is the number of its fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who wrote it.
    pub from: Side,
    /// 1 to [`MAX_TEXT`] characters.
    pub text: String,
    /// What its sender calls it: the same one again is the same message. Empty if it has no name.
    pub key: String,
}

/// One fact of a chat. Numbers begin with 1 and have no gaps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Which chat.
    pub chat: ConversationId,
    /// Its place in the chat.
    pub seq: u64,
    /// When.
    pub at: Stamp,
    /// What.
    pub what: What,
}

/// What may happen to a chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// It began. Always the first fact.
    Opened(Opening),
    /// It waits from now on. A chat that goes back keeps the time at which it began.
    Queued {
        /// Where.
        queue: QueueId,
        /// Before those that were not waited on yet.
        front: bool,
        /// Why.
        why: Entry,
    },
    /// An agent is asked. The number of this fact names the offer.
    Offered {
        /// Who.
        agent: AgentId,
        /// Until when it may answer.
        until: Stamp,
        /// Meant for this agent, not for whoever serves the queue.
        direct: bool,
    },
    /// An offer is over without an answer.
    Unoffered {
        /// Whose.
        agent: AgentId,
        /// Why.
        why: Missed,
    },
    /// The agent has it.
    Accepted(AgentId),
    /// Somebody wrote.
    Said(Message),
    /// The customer is silent, or away.
    Suspended,
    /// It is back.
    Resumed,
    /// The agent has it no more.
    Released {
        /// Who.
        agent: AgentId,
        /// Why.
        why: Release,
    },
    /// It is over. Always the last fact.
    Ended {
        /// Who ended it.
        by: CloseBy,
        /// Why.
        why: End,
    },
}

words! {
    /// Why a chat waits.
    Entry {
        /// It is new.
        New = "new",
        /// An agent handed it over.
        Transferred = "transferred",
        /// The agent for whom it was meant did not take it.
        Unanswered = "unanswered",
        /// Its agent went off duty (C4).
        SignedOut = "signed-out",
        /// The queue before could not keep it.
        Overflowed = "overflowed",
    }
}

words! {
    /// Why an offer came to nothing.
    Missed {
        /// The agent let it run out.
        Expired = "expired",
        /// The agent refused.
        Refused = "refused",
        /// Another agent was quicker.
        Elsewhere = "elsewhere",
        /// The agent turned to something else, or is gone; or the chat is over.
        Withdrawn = "withdrawn",
    }
}

words! {
    /// Why an agent has a chat no more.
    Release {
        /// It handed it over.
        Transferred = "transferred",
        /// It went off duty.
        SignedOut = "signed-out",
        /// The chat is over.
        Ended = "ended",
    }
}

words! {
    /// Who ended a chat (§5.6).
    CloseBy {
        /// The customer.
        Client = "client",
        /// The agent.
        Seat = "seat",
        /// The platform, or a supervisor.
        Admin = "admin",
        /// A clock.
        Timer = "timer",
    }
}

words! {
    /// Why a chat ended.
    End {
        /// Somebody wished it.
        Wish = "wish",
        /// The customer was silent for too long.
        Idle = "idle",
        /// Nobody took it in time.
        QueueTimeout = "queue-timeout",
        /// Too many waited.
        QueueFull = "queue-full",
        /// Nobody was on duty.
        Unstaffed = "unstaffed",
        /// Its queue is gone.
        QueueClosed = "queue-closed",
    }
}

/// Who asks for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Party {
    /// The customer, or the tenant's server for it.
    Customer,
    /// An agent.
    Agent(AgentId),
    /// A supervisor.
    Supervisor,
}

/// Where a chat is handed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// Whoever serves a queue.
    Queue(QueueId),
    /// This agent, if it can be offered a chat now.
    Agent(AgentId),
}

/// What may be asked of a chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// A new one.
    Open {
        /// Its id, minted by whoever asks.
        chat: ConversationId,
        /// Where it waits.
        queue: QueueId,
        /// Who.
        opening: Opening,
        /// The customer's first message.
        text: Option<String>,
    },
    /// A message.
    Say(ConversationId, Message),
    /// Take what is offered. `offer` is the number of the fact that offers it; without one, whatever is offered now.
    Accept {
        /// Which.
        chat: ConversationId,
        /// Who.
        agent: AgentId,
        /// Which offer.
        offer: Option<u64>,
    },
    /// Do not take it.
    Refuse {
        /// Which.
        chat: ConversationId,
        /// Who.
        agent: AgentId,
        /// Which offer.
        offer: Option<u64>,
    },
    /// Hand it over.
    Transfer {
        /// Which.
        chat: ConversationId,
        /// Who asks.
        by: Party,
        /// Where to.
        to: Target,
    },
    /// The customer's client came or went.
    Present(ConversationId, bool),
    /// End it.
    End(ConversationId, Party),
}

/// Why a wish is refused. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No open chat of this id.
    #[error("there is no open chat of this id; it may be over")]
    NotFound,
    /// No such queue.
    #[error("there is no such queue")]
    NoQueue,
    /// It has another agent, or none yet.
    #[error("the chat is not this agent's")]
    NotYours,
    /// It is not offered to this agent, or not any more.
    #[error("the chat is not offered to this agent, or not any more")]
    NotOffered,
    /// The target can take no chat now.
    #[error("this agent can be offered no chat now: it is not ready, has enough chats, or takes none")]
    NotOfferable,
    /// A text that is empty or too long, or has control characters.
    #[error(
        "a message has 1 to 4000 characters and no control characters but line ends and tabs; a name has at most 64"
    )]
    Text,
    /// Too many messages.
    #[error("the chat has 10000 messages; end it and open another")]
    Long,
    /// Too many chats.
    #[error("the tenant has 20000 open chats; end some first")]
    Full,
    /// The id is taken.
    #[error("there is a chat of this id already")]
    Taken,
}

/// What came of a wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done {
    /// Which chat.
    pub chat: ConversationId,
    /// The number of the fact that it became; of the first one, for a message that was said before.
    pub seq: u64,
}

/// True for a text that may be a message.
pub fn is_text(text: &str) -> bool {
    let plain = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    !text.is_empty() && text.chars().count() <= MAX_TEXT && text.chars().all(plain)
}

/// True for what may be a name.
pub fn is_name(text: &str) -> bool {
    text.chars().count() <= MAX_NAME && !text.chars().any(char::is_control)
}
