//! What is written: batches of events, deliveries and call records.

use sha2::{Digest, Sha256};
use strowger_core::project::{Batching, Topic};
use strowger_core::{AccountId, ApplicationId, ConversationId, Event, NoticeBatchId, Stamp, TenantId};

/// An atomic write over any number of conversations: all of it is committed or none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// New events, one entry a conversation.
    pub appends: Vec<Append>,
    /// Bodies to push, in the order in which their receivers shall get them.
    pub deliveries: Vec<NewDelivery>,
    /// New versions of call records.
    pub records: Vec<RecordRow>,
    /// The command that the first append carries out. If a command of this name is known already, the batch is refused
    /// with [`AppendError::Duplicate`](crate::AppendError::Duplicate).
    pub command: Option<CommandId>,
    /// The item of a batch of notices that the first append begins. If it was begun before, the batch is refused with
    /// [`AppendError::ItemBegun`](crate::AppendError::ItemBegun).
    pub item: Option<ItemStart>,
    /// How often the first append may be made. If it was too often, the batch is refused with
    /// [`AppendError::Throttled`](crate::AppendError::Throttled).
    pub throttle: Option<Throttle>,
}

/// That an item of a batch of notices begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItemStart {
    /// The batch.
    pub batch: NoticeBatchId,
    /// Position of the item, from 0.
    pub item: u32,
    /// It is called. False only accounts for it, which a cancelled batch allows too.
    pub dialled: bool,
}

/// How often something may be done to one name, over any time behind its last occurrence. What was done is remembered
/// across restarts, as a digest under the tenant's key.
#[derive(Clone, PartialEq, Eq)]
pub struct Throttle {
    /// The name, such as a number that is called.
    pub name: String,
    /// When it is done.
    pub at: Stamp,
    /// Most occurrences within so many milliseconds.
    pub limits: Vec<(u64, u32)>,
}

impl std::fmt::Debug for Throttle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Names are numbers.
        f.debug_struct("Throttle")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Batch {
    /// A batch of one append.
    pub fn one(append: Append) -> Batch {
        Batch {
            appends: vec![append],
            ..Batch::default()
        }
    }

    /// True if the batch starts a conversation; such a batch is refused first when the queue fills.
    pub fn opens(&self) -> bool {
        self.appends.iter().any(|a| a.expected_seq == 0)
    }
}

/// A client's own name for a command that creates something, so that it is executed once however often it is sent
/// (domain-model I11). Names of one tenant and account do not repeat; those of others do not matter.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CommandId {
    tenant: TenantId,
    account: Option<AccountId>,
    key: String,
    request: [u8; 32],
}

impl CommandId {
    /// Longest key in bytes.
    pub const MAX_KEY: usize = 255;

    /// The command named `key` by the account, or by the native API if there is none. `request` is all that makes two
    /// requests the same; a digest of it is kept. `None` if the key is not 1 to 255 visible ASCII characters.
    pub fn new(tenant: TenantId, account: Option<AccountId>, key: &[u8], request: &[&[u8]]) -> Option<CommandId> {
        if key.is_empty() || key.len() > Self::MAX_KEY || !key.iter().all(u8::is_ascii_graphic) {
            return None;
        }
        let mut digest = Sha256::new();
        for part in request {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        Some(CommandId {
            tenant,
            account,
            key: String::from_utf8(key.to_vec()).ok()?,
            request: digest.finalize().into(),
        })
    }

    /// Owner.
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// The name without the request: equal for two commands of which one at most is executed.
    pub fn name(&self) -> (TenantId, Option<AccountId>, &str) {
        (self.tenant, self.account, &self.key)
    }

    /// Digest of the request.
    pub fn request(&self) -> &[u8; 32] {
        &self.request
    }
}

impl std::fmt::Debug for CommandId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Clients make keys of what they like, numbers included.
        f.debug_struct("CommandId")
            .field("tenant", &self.tenant)
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

/// What a command of this name did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Executed {
    /// The conversation that it started.
    pub conversation: ConversationId,
    /// False if the name was given to another request.
    pub same_request: bool,
}

/// New events of one conversation.
#[derive(Clone, PartialEq)]
pub struct Append {
    /// Owner of the conversation.
    pub tenant: TenantId,
    /// The conversation.
    pub conversation: ConversationId,
    /// Position of the newest event that the owner knows; 0 for a new conversation.
    pub expected_seq: u32,
    /// The events, numbered from `expected_seq + 1` without gaps. May be empty to change the other fields only.
    pub events: Vec<Event>,
    /// True while the conversation has to be recovered after a restart. An append with `false` takes it, and its
    /// deadline, off the recovery list; late events may still be appended.
    pub open: bool,
    /// What happens to the conversation's journalled deadline.
    pub deadline: Deadline,
}

impl std::fmt::Debug for Append {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Events hold numbers.
        f.debug_struct("Append")
            .field("tenant", &self.tenant)
            .field("conversation", &self.conversation)
            .field("expected_seq", &self.expected_seq)
            .field("kinds", &self.events.iter().map(|e| e.fact.kind()).collect::<Vec<_>>())
            .field("open", &self.open)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// A change of the journalled deadline of a conversation: the one timer that has to survive a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Deadline {
    /// As it was.
    #[default]
    Keep,
    /// Set, or moved, to this moment.
    Set(Stamp),
    /// None any more.
    Clear,
}

/// A body to push, frozen now.
#[derive(Clone, PartialEq)]
pub struct NewDelivery {
    /// Owner.
    pub tenant: TenantId,
    /// The conversation that it is about.
    pub conversation: ConversationId,
    /// The application, whose secret signs the body.
    pub application: ApplicationId,
    /// Position of the event that it was made from.
    pub seq: u32,
    /// Index of the subscription in the conversation's head. Each (conversation, subscription) has its own order.
    pub subscription: u16,
    /// What the subscription is for.
    pub topic: Topic,
    /// Where it goes. May hold credentials, so it is stored encrypted and never logged.
    pub url: String,
    /// Media type.
    pub content_type: String,
    /// The bytes on the wire.
    pub body: Vec<u8>,
    /// What the receiver de-duplicates on.
    pub key: String,
    /// Not sent before this moment.
    pub not_before: Stamp,
    /// May be sent together with others of its tenant, application, topic, URL and media type, and waits for them.
    pub batch: Option<Batching>,
}

impl std::fmt::Debug for NewDelivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Bodies hold numbers and URLs hold credentials: neither may reach a log through a debug print.
        f.debug_struct("NewDelivery")
            .field("tenant", &self.tenant)
            .field("conversation", &self.conversation)
            .field("seq", &self.seq)
            .field("subscription", &self.subscription)
            .finish_non_exhaustive()
    }
}

/// The searchable row of a call record. The record itself is the fold of the journal
/// ([`Store::load_record`](crate::Store::load_record)).
#[derive(Clone, PartialEq, Eq)]
pub struct RecordRow {
    /// Owner.
    pub tenant: TenantId,
    /// The conversation.
    pub conversation: ConversationId,
    /// The application that it belongs to.
    pub application: ApplicationId,
    /// The API principal that asked for it.
    pub account: Option<AccountId>,
    /// Kind of the conversation, as the native API names it.
    pub kind: String,
    /// Earliest start of a leg, or the creation.
    pub start: Stamp,
    /// The end.
    pub end: Stamp,
    /// Counts from 1; a late fact makes the next version. A lower version never replaces a higher one.
    pub version: u32,
    /// An encoded summary of the owner's choice, stored encrypted; may be empty.
    pub body: Vec<u8>,
}

impl std::fmt::Debug for RecordRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordRow")
            .field("tenant", &self.tenant)
            .field("conversation", &self.conversation)
            .field("start", &self.start)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// The answer to a committed batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The installation's global position of the batch. Rises with every batch.
    pub position: u64,
}
