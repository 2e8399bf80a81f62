//! Errors: each has a stable code, a sentence for the operator, and knows whether trying again can help.

use strowger_core::{ConversationId, TenantId};

/// Why a batch was not committed. Nothing of a failed batch is in the journal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The conversation has moved on since the batch was made: the owner reloads and decides again.
    #[error("conversation {conversation} is at event {actual}, the batch expected {expected}")]
    Conflict {
        /// The conversation.
        conversation: ConversationId,
        /// What the batch expected.
        expected: u32,
        /// What the journal has.
        actual: u32,
    },
    /// A command of this name was executed before.
    #[error("the command was executed before, by conversation {conversation}")]
    Duplicate {
        /// The conversation that it started.
        conversation: ConversationId,
        /// False if the name was given to another request.
        same_request: bool,
    },
    /// The item of a batch of notices was begun before.
    #[error("the item of the batch was begun before")]
    ItemBegun,
    /// The batch of notices was cancelled, or is not there.
    #[error("the batch of notices is cancelled or unknown; none of its items begins any more")]
    BatchClosed,
    /// It was done as often as it may be.
    #[error("this was done to the same number as often as it may be; wait before it is done again")]
    Throttled,
    /// The writer's queue has no room. New calls are refused at three quarters of the queue, so that running ones can
    /// still be recorded.
    #[error("the journal's queue is full; new calls are refused until the disk has caught up")]
    Overloaded,
    /// The disk is full, or less is free than the setting asks for.
    #[error("the disk that holds the journal is full; free some space, calls are taken again by themselves")]
    DiskFull,
    /// The store is shutting down.
    #[error("the store is closed")]
    Closed,
    /// The tenant does not exist, or its key was destroyed.
    #[error("tenant {0} is not known")]
    UnknownTenant(TenantId),
    /// The batch contradicts itself, for example an event that does not follow the one before.
    #[error("the batch is not well formed: {0}")]
    Malformed(&'static str),
    /// Anything else that the database reported.
    #[error("the database failed: {0}")]
    Storage(String),
}

impl AppendError {
    /// The stable code, for metrics and logs.
    pub const fn code(&self) -> &'static str {
        match self {
            AppendError::Conflict { .. } => "journal.conflict",
            AppendError::Duplicate { .. } => "journal.duplicate",
            AppendError::ItemBegun => "journal.item-begun",
            AppendError::BatchClosed => "journal.batch-closed",
            AppendError::Throttled => "journal.throttled",
            AppendError::Overloaded => "journal.overloaded",
            AppendError::DiskFull => "journal.disk-full",
            AppendError::Closed => "journal.closed",
            AppendError::UnknownTenant(_) => "journal.unknown-tenant",
            AppendError::Malformed(_) => "journal.malformed",
            AppendError::Storage(_) => "journal.storage",
        }
    }

    /// True if the same batch may be accepted a moment later.
    pub const fn may_retry(&self) -> bool {
        matches!(
            self,
            AppendError::Overloaded | AppendError::DiskFull | AppendError::Storage(_)
        )
    }
}

/// Why a store could not be opened, checked or backed up.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder or a file in it cannot be used.
    #[error("cannot use {path}: {source}")]
    Io {
        /// The path.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another process has the folder open.
    #[error("{0} is in use by another strowger process; stop that one, or choose another folder")]
    Locked(String),
    /// The file was written by a newer version.
    #[error(
        "the database has schema {found}, this version knows {known}; start the newer version, or restore a backup"
    )]
    NewerSchema {
        /// Schema in the file.
        found: u32,
        /// Newest schema that this build knows.
        known: u32,
    },
    /// The master key does not open this database.
    #[error("the master key does not fit this database; set the key that it was created with")]
    WrongMasterKey,
    /// The file is damaged.
    #[error("the database is damaged: {0}; restore a backup")]
    Damaged(String),
    /// The database reported something else.
    #[error("the database failed: {0}")]
    Database(String),
}

impl From<rusqlite::Error> for OpenError {
    fn from(e: rusqlite::Error) -> OpenError {
        OpenError::Database(e.to_string())
    }
}

impl OpenError {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            OpenError::Io { .. } => "store.io",
            OpenError::Locked(_) => "store.locked",
            OpenError::NewerSchema { .. } => "store.newer-schema",
            OpenError::WrongMasterKey => "store.wrong-master-key",
            OpenError::Damaged(_) => "store.damaged",
            OpenError::Database(_) => "store.database",
        }
    }
}

/// Why a read or an administrative write failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No such thing for this tenant. Another tenant's id gives the same answer (domain-model I20).
    #[error("{0} not found")]
    NotFound(&'static str),
    /// The thing exists already, or its number or name is taken.
    #[error("{0} exists already")]
    Exists(&'static str),
    /// Something else refers to it, or it refers to something that is not there.
    #[error("{0}")]
    Reference(&'static str),
    /// A stored value could not be read back.
    #[error("a stored {0} cannot be read: {1}")]
    Unreadable(&'static str, String),
    /// The write was not committed.
    #[error(transparent)]
    Write(#[from] AppendError),
    /// The database reported something else.
    #[error("the database failed: {0}")]
    Database(String),
}

impl StoreError {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            StoreError::NotFound(_) => "store.not-found",
            StoreError::Exists(_) => "store.exists",
            StoreError::Reference(_) => "store.reference",
            StoreError::Unreadable(..) => "store.unreadable",
            StoreError::Write(e) => e.code(),
            StoreError::Database(_) => "store.database",
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(e: rusqlite::Error) -> StoreError {
        StoreError::Database(e.to_string())
    }
}
