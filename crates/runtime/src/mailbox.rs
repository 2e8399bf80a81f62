//! Mailboxes: how engines and faces reach the owner task of a conversation.

use crate::calls::{CallError, Live};
use crate::owner::OwnerInput;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use strowger_core::call::{Accepted, Command};
use strowger_store::CommandId;
use tokio::sync::{mpsc, oneshot};

/// Capacity of a mailbox. A conversation sees a few dozen inputs in its life; more than this at once means that its
/// owner is stuck behind the journal.
const CAPACITY: usize = 256;

/// A letter. Kept small, because a mailbox has room for many: what is large is boxed.
#[derive(Debug)]
pub enum Mail {
    /// From an engine.
    Input(Box<OwnerInput>),
    /// From a face, with the client's name for it if it has one.
    Command(
        Box<(Command, Option<CommandId>)>,
        oneshot::Sender<Result<Accepted, CallError>>,
    ),
    /// A look at the conversation.
    Inspect(oneshot::Sender<Live>),
}

impl Mail {
    /// A letter from an engine.
    pub fn input(input: OwnerInput) -> Mail {
        Mail::Input(Box::new(input))
    }
}

/// The sending side. Never blocks: if the box is full, the letter is lost, the box is marked, and its owner ends the
/// conversation, because it can no longer know what happened.
#[derive(Clone, Debug)]
pub struct Mailbox {
    tx: mpsc::Sender<Mail>,
    overflowed: Arc<AtomicBool>,
}

/// The receiving side.
#[derive(Debug)]
pub struct Inbox {
    /// Letters in order.
    pub rx: mpsc::Receiver<Mail>,
    overflowed: Arc<AtomicBool>,
}

impl Mailbox {
    /// A new pair.
    pub fn new() -> (Mailbox, Inbox) {
        let (tx, rx) = mpsc::channel(CAPACITY);
        let overflowed = Arc::new(AtomicBool::new(false));
        (
            Mailbox {
                tx,
                overflowed: overflowed.clone(),
            },
            Inbox { rx, overflowed },
        )
    }

    /// Puts a letter in.
    ///
    /// # Errors
    /// [`Undelivered`]. A lost letter of an engine marks the box; one of a face is the face's to repeat.
    pub fn post(&self, mail: Mail) -> Result<(), Undelivered> {
        self.tx.try_send(mail).map_err(|error| match error {
            mpsc::error::TrySendError::Full(mail) => {
                if matches!(mail, Mail::Input(_)) {
                    self.overflowed.store(true, Ordering::Release);
                }
                Undelivered::Full
            }
            mpsc::error::TrySendError::Closed(_) => Undelivered::Gone,
        })
    }
}

/// Why a letter was not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undelivered {
    /// The box is full: its owner waits for the journal.
    Full,
    /// There is no such owner, or not any more.
    Gone,
}

impl Inbox {
    /// True once if a letter was lost.
    pub fn overflowed(&self) -> bool {
        self.overflowed.swap(false, Ordering::AcqRel)
    }
}

const SHARDS: usize = 16;

/// A map that many threads read and write for a moment each.
#[derive(Debug)]
pub struct Directory<K> {
    shards: [Mutex<HashMap<K, Mailbox>>; SHARDS],
    hasher: RandomState,
}

impl<K: Hash + Eq> Default for Directory<K> {
    fn default() -> Self {
        Directory {
            shards: Default::default(),
            hasher: RandomState::new(),
        }
    }
}

impl<K: Hash + Eq + Copy> Directory<K> {
    fn with<T>(&self, key: K, f: impl FnOnce(&mut HashMap<K, Mailbox>) -> T) -> T {
        let shard = self.hasher.hash_one(key) as usize % SHARDS;
        f(&mut self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds an entry.
    pub fn insert(&self, key: K, mailbox: Mailbox) {
        self.with(key, |m| m.insert(key, mailbox));
    }

    /// Gives a second key to whoever has the first one; false if nobody has it.
    pub fn alias(&self, key: K, second: K) -> bool {
        let mailbox = self.with(key, |m| m.get(&key).cloned());
        mailbox.map(|m| self.insert(second, m)).is_some()
    }

    /// Removes an entry.
    pub fn remove(&self, key: K) {
        self.with(key, |m| m.remove(&key));
    }

    /// True if there is an entry.
    pub fn has(&self, key: K) -> bool {
        self.with(key, |m| m.contains_key(&key))
    }

    /// Posts to an entry.
    ///
    /// # Errors
    /// [`Undelivered`].
    pub fn post(&self, key: K, mail: Mail) -> Result<(), Undelivered> {
        let mailbox = self.with(key, |m| m.get(&key).cloned());
        mailbox.ok_or(Undelivered::Gone)?.post(mail)
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.shards
            .iter()
            .map(|s| s.lock().unwrap_or_else(PoisonError::into_inner).len())
            .sum()
    }

    /// True without entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All mailboxes at this moment.
    pub fn all(&self) -> Vec<(K, Mailbox)> {
        let mut all = Vec::new();
        for s in &self.shards {
            let s = s.lock().unwrap_or_else(PoisonError::into_inner);
            all.extend(s.iter().map(|(k, m)| (*k, m.clone())));
        }
        all
    }
}
