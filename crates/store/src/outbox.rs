//! The outbox: what the notifier takes, what it reports, and what operators see.
//!
//! A delivery is `Ready` when it is the oldest unfinished one of its (tenant, conversation, subscription); the ones
//! behind it are `Waiting` and are released one by one. So a failing receiver holds up its own conversation's
//! subscription and nothing else.

use strowger_core::project::Topic;
use strowger_core::{ApplicationId, ConversationId, Stamp, TenantId};

/// A delivery that may be sent now. It is leased to the taker until its [`Attempt`] is reported, or the process ends.
#[derive(Clone, PartialEq)]
pub struct Delivery {
    /// Id, unique in the installation.
    pub id: u64,
    /// Owner.
    pub tenant: TenantId,
    /// The conversation that it is about.
    pub conversation: ConversationId,
    /// The application, whose secret signs the body.
    pub application: ApplicationId,
    /// Position of its event.
    pub seq: u32,
    /// Index of the subscription.
    pub subscription: u16,
    /// What the subscription is for.
    pub topic: Topic,
    /// Destination group: a digest of tenant, scheme, host and port. Fairness and limits are per group.
    pub destination: u64,
    /// Where it goes.
    pub url: String,
    /// Media type.
    pub content_type: String,
    /// The bytes on the wire.
    pub body: Vec<u8>,
    /// What the receiver de-duplicates on.
    pub key: String,
    /// Attempts made over its whole life; the next one is `attempts + 1`.
    pub attempts: u32,
    /// Attempts made since it was queued, or queued again by an operator.
    pub tries: u32,
    /// When it could first go: it was queued, or queued again by an operator, or the one before it was done.
    pub queued_at: Stamp,
    /// May be sent together with others.
    pub together: Option<Together>,
}

/// Which deliveries may share a request: those of the same group that were not tried yet, or that failed together. Each
/// is the head of its own order, so no two of a group are about the same subscription of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Together {
    /// A digest of tenant, application, topic, URL and media type.
    pub group: u64,
    /// Most in one request.
    pub most: u32,
    /// When it is due: its window closes, or it is tried again with those that it failed with.
    pub due: Stamp,
}

impl Delivery {
    /// True if the two may share a request.
    pub fn fits(&self, other: &Delivery) -> bool {
        let (Some(a), Some(b)) = (self.together, other.together) else {
            return false;
        };
        a.group == b.group
            && self.tries == other.tries
            && (self.tries == 0 || a.due == b.due)
            && (self.tenant, self.application, self.topic) == (other.tenant, other.application, other.topic)
            && (&self.url, &self.content_type) == (&other.url, &other.content_type)
            && self.conversation != other.conversation
    }
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Delivery")
            .field("id", &self.id)
            .field("tenant", &self.tenant)
            .field("conversation", &self.conversation)
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}

/// The report on an attempt. Ends the lease when it is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The delivery.
    pub id: u64,
    /// When the attempt ended.
    pub at: Stamp,
    /// How it ended.
    pub outcome: Outcome,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver answered 2xx.
    Delivered,
    /// It failed and is tried again.
    Retry {
        /// Next attempt.
        next_at: Stamp,
        /// What went wrong, without URL and body.
        error: String,
    },
    /// It failed for the last time; the next one of the conversation goes.
    Dead {
        /// What went wrong, without URL and body.
        error: String,
    },
}

/// State of a delivery as operators see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeliveryState {
    /// Head of its order: due at its next time.
    Ready,
    /// Behind an earlier one of the same conversation and subscription.
    Waiting,
    /// Acknowledged.
    Delivered,
    /// Given up; [`Store::repush`](crate::Store::repush) queues it again.
    Dead,
}

impl DeliveryState {
    pub(crate) const fn code(self) -> i64 {
        match self {
            DeliveryState::Ready => 0,
            DeliveryState::Waiting => 1,
            DeliveryState::Delivered => 2,
            DeliveryState::Dead => 3,
        }
    }

    pub(crate) const fn from_code(code: i64) -> DeliveryState {
        match code {
            0 => DeliveryState::Ready,
            1 => DeliveryState::Waiting,
            2 => DeliveryState::Delivered,
            _ => DeliveryState::Dead,
        }
    }

    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            DeliveryState::Ready => "ready",
            DeliveryState::Waiting => "waiting",
            DeliveryState::Delivered => "delivered",
            DeliveryState::Dead => "dead",
        }
    }
}

/// A delivery as operators see it, with its body.
#[derive(Clone, Debug, PartialEq)]
pub struct DeliveryInfo {
    /// The delivery.
    pub delivery: Delivery,
    /// Its state.
    pub state: DeliveryState,
    /// Next attempt, if it is ready or waiting.
    pub next_at: Stamp,
    /// End of the newest attempt.
    pub last_at: Option<Stamp>,
    /// Why the newest attempt failed; empty if it did not.
    pub last_error: String,
}

/// Which deliveries to list. Newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// In this state only.
    pub state: Option<DeliveryState>,
    /// About this conversation only.
    pub conversation: Option<ConversationId>,
    /// Of this topic only.
    pub topic: Option<Topic>,
    /// With a smaller id than this: the smallest of the page before.
    pub before: Option<u64>,
    /// At most so many; 0 stands for 100, and 1000 is the most.
    pub limit: u32,
}

/// Numbers of unfinished deliveries over all tenants, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutboxCounts {
    /// Heads of their order: each stands for a conversation's subscription that is not up to date.
    pub ready: u64,
    /// Given up.
    pub dead: u64,
}

/// What to queue again. Of a call record always the newest version is sent, byte for byte as it was frozen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Repush {
    /// These deliveries: a call record's newest version for the same subscription, a status event itself.
    Deliveries(Vec<u64>),
    /// The call records of these conversations, to each of their subscriptions.
    Conversations(Vec<ConversationId>),
    /// The call records of conversations that started in `[from, to)`.
    Started {
        /// First moment.
        from: Stamp,
        /// First moment that is too late.
        to: Stamp,
    },
}

/// What the notifier asks for.
#[derive(Clone, Debug)]
pub struct Take {
    /// Now.
    pub now: Stamp,
    /// At most so many in all.
    pub limit: usize,
    /// At most so many of a destination group that is not in `room`.
    pub per_destination: usize,
    /// How many more of a destination group can be taken; 0 leaves it out.
    pub room: std::collections::HashMap<u64, usize>,
}

/// What the notifier gets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Taken {
    /// Leased deliveries, the longest due first within a destination.
    pub deliveries: Vec<Delivery>,
    /// When to ask again if nothing else happens: the next moment at which something is due that was not taken. `None`
    /// if nothing is pending outside the destinations without room.
    pub next_at: Option<Stamp>,
}
