//! Why something ended, and who ended it (domain-model §6).

use crate::id::LegSeq;

/// What a leg is in its conversation; kept over a redirection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// The party that asked for the call, or called in.
    Caller,
    /// The party that was asked for.
    Callee,
    /// A party added to a talk.
    Third,
    /// A customer of a contact centre.
    Customer,
    /// An agent of a contact centre.
    Agent,
    /// A supervisor listening to, or joining, an agent's call.
    Supervisor,
    /// The platform itself.
    Platform,
}

/// Who ended a leg or a conversation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum By {
    /// A party of the conversation.
    Party(LegSeq, Role),
    /// A supervisor.
    Supervisor,
    /// A command of the application's back end.
    Api,
    /// A timer of the platform.
    Timer,
    /// The network between us and a party.
    Network,
    /// The platform: shut-down, restart, an internal failure.
    System,
}

/// Why a leg or a conversation ended. The table of domain-model §6.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Cause {
    /// A party hung up, or the program ran to its end.
    Normal,
    /// Given up before the answer.
    Cancelled,
    /// It rang and nobody answered.
    NoAnswer,
    /// Nothing was heard from the far side.
    SetupTimeout,
    /// 486, 600.
    Busy,
    /// 603, or 403 after ringing.
    Rejected,
    /// 480 without ringing, or a device that is not registered.
    Unregistered,
    /// 404, 410, 484, 485, 604.
    InvalidNumber,
    /// 403 without ringing, black list, display number not usable.
    Forbidden,
    /// 5xx, no trunk, congestion.
    NoRoute,
    /// 488, 606, or an answer without usable media.
    IncompatibleMedia,
    /// Nothing received on a leg that should send.
    MediaFailure,
    /// The transport or the dialog was lost.
    NetworkLost,
    /// The conversation's time was up.
    MaxDuration,
    /// Another device answered.
    AnsweredElsewhere,
    /// The leg was replaced by another one after a 3xx.
    Redirected,
    /// The party handed its talk over, and another leg has its place.
    Transferred,
    /// An API command or an administrator.
    Admin,
    /// The process died or failed.
    SystemError,
    /// Any other final response.
    Failed,
    /// The caller left while it was guided.
    AbandonedIvr,
    /// The caller left while it waited in a queue.
    AbandonedQueue,
    /// The caller left while it rang at an agent.
    AbandonedRinging,
    /// It waited in a queue for too long.
    QueueTimeout,
    /// Its queue was full, or nobody served it.
    QueueFull,
    /// The caller asked to be called back.
    CallbackAccepted,
    /// The caller left a message.
    VoicemailLeft,
    /// An answering machine answered, and was not wanted.
    AnsweredByMachine,
    /// A fax machine answered.
    AnsweredByFax,
}

impl Cause {
    /// The stable name, as journalled and shown by the native API.
    pub const fn name(self) -> &'static str {
        match self {
            Cause::Normal => "normal",
            Cause::Cancelled => "cancelled",
            Cause::NoAnswer => "no-answer",
            Cause::SetupTimeout => "setup-timeout",
            Cause::Busy => "busy",
            Cause::Rejected => "rejected",
            Cause::Unregistered => "unregistered",
            Cause::InvalidNumber => "invalid-number",
            Cause::Forbidden => "forbidden",
            Cause::NoRoute => "no-route",
            Cause::IncompatibleMedia => "incompatible-media",
            Cause::MediaFailure => "media-failure",
            Cause::NetworkLost => "network-lost",
            Cause::MaxDuration => "max-duration",
            Cause::AnsweredElsewhere => "answered-elsewhere",
            Cause::Redirected => "redirected",
            Cause::Transferred => "transferred",
            Cause::Admin => "admin",
            Cause::SystemError => "system-error",
            Cause::Failed => "failed",
            Cause::AbandonedIvr => "abandoned-ivr",
            Cause::AbandonedQueue => "abandoned-queue",
            Cause::AbandonedRinging => "abandoned-ringing",
            Cause::QueueTimeout => "queue-timeout",
            Cause::QueueFull => "queue-full",
            Cause::CallbackAccepted => "callback-accepted",
            Cause::VoicemailLeft => "voicemail-left",
            Cause::AnsweredByMachine => "answered-by-machine",
            Cause::AnsweredByFax => "answered-by-fax",
        }
    }

    /// Every cause, for tables and tests.
    pub const ALL: [Cause; 29] = [
        Cause::Normal,
        Cause::Cancelled,
        Cause::NoAnswer,
        Cause::SetupTimeout,
        Cause::Busy,
        Cause::Rejected,
        Cause::Unregistered,
        Cause::InvalidNumber,
        Cause::Forbidden,
        Cause::NoRoute,
        Cause::IncompatibleMedia,
        Cause::MediaFailure,
        Cause::NetworkLost,
        Cause::MaxDuration,
        Cause::AnsweredElsewhere,
        Cause::Redirected,
        Cause::Transferred,
        Cause::Admin,
        Cause::SystemError,
        Cause::Failed,
        Cause::AbandonedIvr,
        Cause::AbandonedQueue,
        Cause::AbandonedRinging,
        Cause::QueueTimeout,
        Cause::QueueFull,
        Cause::CallbackAccepted,
        Cause::VoicemailLeft,
        Cause::AnsweredByMachine,
        Cause::AnsweredByFax,
    ];

    /// The cause with this [`name`](Cause::name).
    pub fn from_name(name: &str) -> Option<Cause> {
        Cause::ALL.into_iter().find(|c| c.name() == name)
    }

    /// The cause of a final response to an outgoing INVITE. 480, 403 and 408 mean different things before and after
    /// ringing (K51).
    pub const fn of_status(status: u16, rang: bool) -> Cause {
        match (status, rang) {
            (486 | 600, _) => Cause::Busy,
            (603, _) | (403, true) => Cause::Rejected,
            (403, false) => Cause::Forbidden,
            (480 | 408, true) => Cause::NoAnswer,
            (408, false) => Cause::SetupTimeout,
            (480, false) => Cause::Unregistered,
            (404 | 410 | 484 | 485 | 604, _) => Cause::InvalidNumber,
            (488 | 606, _) => Cause::IncompatibleMedia,
            (487, _) => Cause::Cancelled,
            (401 | 407, _) | (500..=599, _) => Cause::NoRoute,
            _ => Cause::Failed,
        }
    }

    /// The final response that a caller gets when its call fails for this reason, and the Q.850 cause beside it.
    pub const fn to_status(self) -> (u16, u8) {
        match self {
            Cause::Busy => (486, 17),
            Cause::Rejected => (603, 21),
            Cause::NoAnswer => (480, 19),
            Cause::SetupTimeout => (408, 102),
            Cause::Unregistered => (480, 20),
            Cause::InvalidNumber => (404, 1),
            Cause::Forbidden => (403, 21),
            Cause::IncompatibleMedia => (488, 88),
            Cause::Cancelled => (487, 16),
            Cause::NoRoute => (503, 34),
            Cause::QueueTimeout => (480, 19),
            Cause::QueueFull => (486, 17),
            Cause::Failed => (480, 31),
            _ => (500, 41),
        }
    }

    /// The Q.850 cause that our BYE carries for this reason.
    pub const fn q850(self) -> u8 {
        match self {
            Cause::Normal
            | Cause::Cancelled
            | Cause::Admin
            | Cause::AnsweredElsewhere
            | Cause::Transferred
            | Cause::AbandonedIvr
            | Cause::AbandonedQueue
            | Cause::AbandonedRinging
            | Cause::CallbackAccepted
            | Cause::VoicemailLeft
            | Cause::AnsweredByMachine
            | Cause::AnsweredByFax => 16,
            Cause::MediaFailure | Cause::NetworkLost | Cause::SystemError => 41,
            Cause::MaxDuration => 102,
            other => other.to_status().1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_resolve() {
        for c in Cause::ALL {
            assert_eq!(Cause::from_name(c.name()), Some(c));
        }
    }

    #[test]
    fn the_same_status_means_different_things_before_and_after_ringing() {
        assert_eq!(Cause::of_status(480, true), Cause::NoAnswer);
        assert_eq!(Cause::of_status(480, false), Cause::Unregistered);
        assert_eq!(Cause::of_status(403, true), Cause::Rejected);
        assert_eq!(Cause::of_status(403, false), Cause::Forbidden);
        assert_eq!(Cause::of_status(408, true), Cause::NoAnswer);
        assert_eq!(Cause::of_status(408, false), Cause::SetupTimeout);
    }
}
