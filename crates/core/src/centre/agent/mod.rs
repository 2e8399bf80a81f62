//! One agent's machine (domain-model §4).
//!
//! Everything about an agent follows from three things: is it on duty, is a participation of it open, and what did it
//! choose to do otherwise. The participation speaks through [`Fact::Engaged`]: which of the states of a call is shown is
//! the conversation's knowledge, not this machine's. So no counter can go wrong, and an agent is never stuck in a call
//! that is over.
//!
//! A participation has a [`Ticket`], minted by the owner of the agents for each reservation. What comes with another
//! ticket is about something that is over, and is dropped.
//!
//! Invariant: every state that waits for something outside has a deadline (§4.2.1).

mod machine;
mod state;
#[cfg(test)]
mod tests;

pub use machine::Agent;
pub use state::{Engagement, State, Variant, Verb, allows};

use crate::cause::Cause;
use crate::id::{DeviceId, GroupId};
use crate::time::Stamp;

/// Names one participation of one agent: a number that its owner never uses twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What kind of participation it is: decides where the agent goes afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// A call of a queue.
    Queue,
    /// A call to this agent: direct, internal, or a transfer to it.
    Direct,
    /// Another agent asks it for help.
    Consult,
    /// A call that it placed.
    Own,
    /// A call that the platform made to its telephone (56).
    OffDuty,
    /// It listens in.
    Monitor,
}

impl Part {
    /// All of them.
    pub const ALL: [Part; 6] = [
        Part::Queue,
        Part::Direct,
        Part::Consult,
        Part::Own,
        Part::OffDuty,
        Part::Monitor,
    ];

    /// True if somebody else wants the agent.
    pub const fn is_offer(self) -> bool {
        matches!(self, Part::Queue | Part::Direct | Part::Consult)
    }

    /// Of a name.
    pub fn of_name(name: &str) -> Option<Part> {
        Part::ALL.into_iter().find(|p| p.name() == name)
    }

    /// As journalled.
    pub const fn name(self) -> &'static str {
        match self {
            Part::Queue => "queue",
            Part::Direct => "direct",
            Part::Consult => "consult",
            Part::Own => "own",
            Part::OffDuty => "off-duty",
            Part::Monitor => "monitor",
        }
    }
}

/// A client of an agent: a page, a program, a desk phone's log-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Client {
    /// Its id.
    pub id: u128,
    /// Clients of the same face are the same kind of program: a new one takes the place of the old one. Those of other
    /// faces share the duty (K52).
    pub face: u8,
}

/// What the agent is reached by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum DeviceMode {
    /// Its devices.
    #[default]
    Devices,
    /// Its mobile number, without a client.
    Mobile,
}

/// A choice of what to do outside calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Take calls.
    Ready,
    /// A break.
    Break(String),
    /// No calls.
    NotReady(String),
    /// Go off duty.
    SignOut,
}

/// What comes in.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A client connects. `needs_device` waits for [`Input::DeviceUp`].
    Connect {
        /// Which.
        client: Client,
        /// Its device registers before it can be used.
        needs_device: bool,
    },
    /// A client's connection is cut.
    Disconnected(Client),
    /// It is back.
    Resumed(Client),
    /// A client is closed for good.
    Closed(Client),
    /// A device of the agent can be reached.
    DeviceUp,
    /// No device of the agent can be reached any more.
    DeviceLost,
    /// The device's registration failed.
    DeviceFailed,
    /// Go on duty.
    SignIn {
        /// In which groups; all of its groups if empty.
        groups: Vec<GroupId>,
        /// Reached by what.
        mode: DeviceMode,
        /// What to do then; the application's setting if `None`.
        choice: Option<Choice>,
    },
    /// What to do outside calls. In a call it is remembered, if the application lets it.
    Choose(Choice),
    /// "Not ready" and "outbound only" are over.
    StopNotReady,
    /// Outbound only, or not any more.
    CallOnly(bool),
    /// After-call work by command.
    AfterCall,
    /// The agent is not heard, or heard again; shown only.
    Muted(bool),
    /// Takes chats, or none any more.
    TakesChats(bool),
    /// Only this device rings from now on, or all of them again (K52).
    RingAt(Option<DeviceId>),
    /// Everything about the agent is taken down (40).
    Reset,
    /// An administrator's choice (39).
    Force {
        /// The choice.
        choice: Choice,
        /// Calls are ended first.
        hang_up: bool,
    },
    /// The router assigns a call, or a call begins otherwise.
    Begin {
        /// Its name.
        ticket: Ticket,
        /// What it is.
        part: Part,
        /// Seconds that an offer may ring.
        ring_secs: u32,
    },
    /// The call that the agent was reserved for wants it no more.
    Withdraw(Ticket),
    /// Something about a participation.
    Call(Ticket, Fact),
    /// Time passed.
    Tick,
}

/// What a conversation says about a participation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// It stands like this now.
    Engaged(Engagement),
    /// The agent's device failed before it alerted, or was lost while it did (41, 57).
    DeviceFailed,
    /// The agent, or its device, refused (13).
    Rejected,
    /// It rang out (13).
    Expired,
    /// The other side is gone before the answer (11, 14, 44).
    CallerGone,
    /// Answered, but media did not come up (16).
    MediaFailed,
    /// The participation is over.
    Ended,
}

/// Where a duty has got to when a call ends, and other things that the owner must know.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// The state, its reason, or an overlay is another one now.
    Changed(Box<Change>),
    /// The offer failed: the call goes back to where it came from.
    Unanswered {
        /// Which.
        ticket: Ticket,
        /// Why.
        why: Unanswered,
    },
    /// The participation's legs are to be ended.
    End {
        /// Which.
        ticket: Ticket,
        /// Why.
        cause: Cause,
    },
    /// A client lost its place to another one.
    Kicked(Client),
    /// An operator should look at this agent.
    Alert(Alert),
}

/// Why an offer failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unanswered {
    /// Nobody answered: RONA.
    Expired,
    /// It was refused.
    Rejected,
    /// The device cannot be reached; no fault of the agent's.
    Device,
    /// Media did not come up.
    Media,
    /// The agent turned to something else before anything rang (43).
    Withdrawn,
}

/// What of an agent outlives the process (60): written with its changes, and given back to a new machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The state.
    pub state: State,
    /// Why on break or not ready.
    pub reason: String,
    /// The participation that was open, and whether it had been a talk.
    pub open: Option<(Part, bool)>,
    /// The state before it, with its reason.
    pub before: (State, String),
    /// When wrap-up ends by itself.
    pub wrap_up_until: Option<Stamp>,
    /// What is shown beside the state.
    pub overlays: Overlays,
    /// The groups that it serves.
    pub groups: Vec<GroupId>,
    /// Since when it could take calls.
    pub idle_since: Stamp,
    /// Since when it is in its state.
    pub since: Stamp,
    /// Offers that it missed in a row.
    pub misses: u8,
}

/// What an operator should know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Alert {
    /// A telephone that works without a client missed three calls in a row, and its agent was taken off duty (61).
    MobileMisses,
    /// A state did not follow from what is known of the agent's calls, and was repaired.
    Repaired,
}

/// A change of what is known of an agent.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The state before.
    pub from: State,
    /// The state now.
    pub to: State,
    /// Why on break or not ready; empty otherwise.
    pub reason: String,
    /// When wrap-up ends by itself.
    pub until: Option<Stamp>,
    /// Everything that is shown beside the state.
    pub overlays: Overlays,
    /// When.
    pub at: Stamp,
}

/// What is shown beside the state.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Overlays {
    /// No inbound calls.
    pub call_only: bool,
    /// Reached by.
    pub mode: DeviceMode,
    /// Not heard.
    pub muted: bool,
    /// What begins after the call.
    pub pending: Option<Choice>,
    /// The client's connection is cut.
    pub lost: bool,
    /// No device can be reached.
    pub device_lost: bool,
    /// Somebody listens.
    pub supervised: bool,
    /// The only one of its devices that rings: that of the client that signed in last (K52); `None` for all of them.
    pub device: Option<DeviceId>,
    /// Takes no chats: by its own word, or after three that it missed (C6).
    pub no_chats: bool,
}

/// Why an agent's, or its client's, wish is refused. Nothing changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The state does not allow it.
    #[error("the agent's state is {}, which does not allow {}", .state.name(), .verb.name())]
    State {
        /// The state.
        state: State,
        /// What was asked.
        verb: Verb,
    },
    /// Too many skill groups.
    #[error("a sign-in may name at most 20 skill groups")]
    Groups,
    /// In no skill group.
    #[error("the agent is in none of these skill groups; give it a skill first")]
    NoGroup,
    /// Another client has the duty, in a call.
    #[error("the agent is in a call at another client; end the call there first")]
    Elsewhere,
    /// The agent is in a call, or cannot be reached.
    #[error("the agent cannot be offered a call now")]
    NotOfferable,
}
