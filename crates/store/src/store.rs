//! The handle: opening, appending, recovery, call records.

use crate::batch::{Batch, CommandId, Committed, Executed, RecordRow};
use crate::codec;
use crate::config::{Config, PLATFORM};
use crate::crypto::{Cipher, Keys, MasterKey, TenantKey};
use crate::error::{AppendError, OpenError, StoreError};
use crate::records::{RecordPage, RecordQuery};
use crate::sealed::{SealedDelivery, command_digests, frame_place, record_place, seal_batch};
use crate::sqlite::queue::{Job, Queue};
use crate::sqlite::reader::{self, Readers};
use crate::sqlite::writer::{Leases, Shared};
use crate::sqlite::{files, in_transaction, records, writer};
use rusqlite::Connection;
use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;
use strowger_core::{ConversationId, ConversationRecord, Event, Stamp, TenantId};
use tokio::sync::{mpsc, oneshot, watch};

/// Rows of the journal that are read at once.
const STEP: usize = 4000;

/// Sealed frames of a log, each with the position of its first event.
type Frames = Vec<(u32, Vec<u8>)>;

/// When a write counts as done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// When the disk has it: survives a power cut. One sync a group commit.
    #[default]
    Power,
    /// When the operating system has it: survives the death of the process (`kill -9`), not of the machine.
    Process,
}

/// Settings of the store.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// Folder of the database; created if it is missing. One process at a time.
    pub path: PathBuf,
    /// When a write counts as done.
    pub durability: Durability,
    /// Wraps the tenants' data keys.
    pub master_key: MasterKey,
    /// Batches that may wait for the writer. The last quarter is kept for running conversations.
    pub queue: usize,
    /// How long a busy writer lets batches gather before it commits. More saves processor time, less saves latency.
    pub group_window: Duration,
    /// New conversations are refused while less than this many bytes are free; 0 switches the check off.
    pub min_free: u64,
    /// Read-only connections.
    pub readers: usize,
    /// Most pages (4096 bytes) of the database file; `None` is no limit. For tests of a full disk.
    pub max_pages: Option<u32>,
    /// Deliveries that may wait for the notifier in memory; the rest wait in the table.
    pub offers: usize,
}

impl StoreConfig {
    /// Settings with their defaults.
    pub fn new(path: impl Into<PathBuf>, master_key: MasterKey) -> StoreConfig {
        StoreConfig {
            path: path.into(),
            durability: Durability::default(),
            master_key,
            queue: 8192,
            group_window: Duration::from_millis(1),
            min_free: 256 << 20,
            readers: 2,
            max_pages: None,
            offers: 1024,
        }
    }
}

/// What the store counts since it was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Group commits.
    pub groups: u64,
    /// Batches in them.
    pub batches: u64,
    /// Batches that failed.
    pub failures: u64,
    /// Failed batches that nobody waited for: facts that are missing in the journal.
    pub lost: u64,
    /// Batches that wait now.
    pub waiting: usize,
    /// Deliveries that are being sent now.
    pub leased: usize,
    /// Less space is free than [`StoreConfig::min_free`].
    pub disk_full: bool,
}

/// A batch that [`Store::append_nowait`] did not take, given back.
#[derive(Debug)]
pub struct Rejected {
    /// Why.
    pub error: AppendError,
    /// The batch.
    pub batch: Batch,
}

/// A conversation to recover after a restart.
#[derive(Clone, PartialEq)]
pub struct OpenConversation {
    /// Owner.
    pub tenant: TenantId,
    /// The conversation.
    pub id: ConversationId,
    /// Its log.
    pub events: Vec<Event>,
    /// Its journalled deadline.
    pub deadline: Option<Stamp>,
}

impl std::fmt::Debug for OpenConversation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenConversation")
            .field("tenant", &self.tenant)
            .field("id", &self.id)
            .field("events", &self.events.len())
            .field("deadline", &self.deadline)
            .finish()
    }
}

/// The storage of this process. Clones share everything.
#[derive(Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub shared: Arc<Shared>,
    pub readers: Arc<Readers>,
    pub keys: Arc<Keys>,
    /// The newest master key's cipher, for keys of tenants that are created later.
    pub master: Mutex<Arc<Cipher>>,
    pub config: watch::Sender<Arc<Config>>,
    /// One change of the resources at a time: each is checked against the snapshot before it.
    pub changing: tokio::sync::Mutex<()>,
    pub offers: Mutex<Option<mpsc::Receiver<SealedDelivery>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.queue.close();
        // What was accepted is written before the last handle is gone; this takes one group commit.
        if let Some(thread) = self.thread.lock().unwrap_or_else(|e| e.into_inner()).take() {
            let _ = thread.join();
        }
    }
}

/// Passes the answers of group commits on; see [`Store::relay_answers`].
pub struct Answers {
    receiver: mpsc::Receiver<Vec<writer::Answer>>,
}

impl Answers {
    /// Runs until the store is gone.
    pub async fn run(mut self) {
        while let Some(group) = self.receiver.recv().await {
            for (reply, result) in group {
                // Whoever gave up waiting is told nothing.
                let _ = reply.send(result);
            }
        }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the folder, creates or upgrades the database, and starts the writer. Blocks for some milliseconds.
    ///
    /// # Errors
    /// [`OpenError`] says what is wrong with the folder, the file or the key. An upgrade leaves the older file beside
    /// the new one as `strowger.schema-<n>.db`.
    pub fn open(config: StoreConfig) -> Result<Store, OpenError> {
        let lock = files::lock(&config.path)?;
        let file = config.path.join(files::DATABASE);
        let conn = files::open_writer(&file, config.durability == Durability::Power)?;
        if let Some(pages) = config.max_pages {
            conn.pragma_update(None, "max_page_count", pages)?;
        }
        let master = config.master_key.cipher();
        files::check_master(&conn, &master)?;
        let keys = files::load_keys(&conn, &master, PLATFORM)?;
        let resources = crate::resources::load(&conn, &keys)?;
        let position = files::position(&conn)?;
        let (offers, receiver) = mpsc::channel(config.offers.max(1));
        let shared = Arc::new(Shared {
            queue: Queue::new(config.queue.clamp(16, 1 << 20), config.group_window),
            counters: writer::Counters::default(),
            leases: Leases::default(),
            // What an earlier process left is found by the first scan.
            rescan: true.into(),
            rescan_wake: tokio::sync::Notify::new(),
            offers,
            answers: OnceLock::new(),
            folder: config.path,
            min_free: config.min_free,
        });
        let thread = std::thread::Builder::new().name("store-writer".into()).spawn({
            let (shared, written) = (shared.clone(), file.clone());
            move || {
                if let Err(error) = writer::run(&conn, &written, &shared, position) {
                    tracing::error!(%error, "the store's writer could not start");
                }
                // Without a writer nothing can be accepted, and who waits has to learn it.
                shared.queue.close();
                drop(conn);
                drop(lock);
            }
        });
        let thread = thread.map_err(|source| OpenError::Io {
            path: "a thread".into(),
            source,
        })?;
        Ok(Store {
            inner: Arc::new(Inner {
                shared,
                readers: Arc::new(Readers::open(&file, config.readers.clamp(1, 16))?),
                keys: Arc::new(keys),
                master: Mutex::new(Arc::new(master)),
                config: watch::Sender::new(Arc::new(resources)),
                changing: tokio::sync::Mutex::new(()),
                offers: Mutex::new(Some(receiver)),
                thread: Mutex::new(Some(thread)),
            }),
        })
    }

    /// Appends a batch; the future resolves after its commit.
    ///
    /// The batch takes its place in the queue when this is called, so calls of one owner are committed in their order
    /// even if the futures are awaited later, or dropped: a dropped future does not take the batch back. Only when the
    /// queue is full does a batch of running conversations wait for a place inside the future; one that opens a
    /// conversation is refused from three quarters on.
    ///
    /// # Errors
    /// [`AppendError`]; nothing of the batch is in the journal then.
    pub fn append(&self, batch: Batch) -> impl Future<Output = Result<Committed, AppendError>> + Send + 'static {
        self.append_ref(&batch)
    }

    /// As [`Store::append`], for a caller that keeps the batch until it is confirmed.
    ///
    /// # Errors
    /// As [`Store::append`].
    pub fn append_ref(
        &self,
        batch: &Batch,
    ) -> impl Future<Output = Result<Committed, AppendError>> + Send + use<> + 'static {
        let (reply, answer) = oneshot::channel();
        let shared = self.inner.shared.clone();
        let place = self.place(batch.opens());
        let sealed = match &place {
            Err(AppendError::Overloaded) if !batch.opens() => seal_batch(batch, &self.inner.keys),
            Err(error) => Err(error.clone()),
            Ok(()) => seal_batch(batch, &self.inner.keys).inspect_err(|_| self.inner.shared.queue.room.add_permits(1)),
        };
        let queued = sealed.and_then(|sealed| {
            let job = Job::Batch(sealed, Some(reply));
            match place {
                Ok(()) => shared.queue.push(job).map(|()| None),
                Err(_) => Ok(Some(job)),
            }
        });
        async move {
            if let Some(job) = queued? {
                let place = shared.queue.room.acquire().await;
                place.map_err(|_| AppendError::Closed)?.forget();
                shared.queue.push(job)?;
            }
            answer.await.unwrap_or(Err(AppendError::Closed))
        }
    }

    /// Hands the answers of [`Store::append`] to a relay that the caller runs on the event loop where they are awaited:
    /// a group commit then wakes that loop once and not once a batch. Without a relay, or while it is behind, answers
    /// are given directly. There is one relay; the second call gets `None`.
    pub fn relay_answers(&self) -> Option<Answers> {
        let (sender, receiver) = mpsc::channel(64);
        self.inner.shared.answers.set(sender).ok()?;
        Some(Answers { receiver })
    }

    /// Appends a batch of facts that nobody waits for (ringing, digits, quality), in order with all other appends.
    /// Several may gather for a few milliseconds.
    ///
    /// # Errors
    /// The batch comes back if it was not queued; [`Store::append`] can wait for a place. A batch that was queued and
    /// then failed is counted in [`Stats::lost`], and the conversation's next batch fails with a conflict.
    #[allow(clippy::result_large_err, reason = "the batch is given back without a copy")]
    pub fn append_nowait(&self, batch: Batch) -> Result<(), Rejected> {
        if let Err(error) = self.place(batch.opens()) {
            return Err(Rejected { error, batch });
        }
        let queue = &self.inner.shared.queue;
        match seal_batch(&batch, &self.inner.keys) {
            Ok(sealed) => queue.push(Job::Batch(sealed, None)),
            Err(error) => {
                queue.room.add_permits(1);
                Err(error)
            }
        }
        .map_err(|error| Rejected { error, batch })
    }

    /// Takes a place in the queue.
    fn place(&self, opens: bool) -> Result<(), AppendError> {
        let queue = &self.inner.shared.queue;
        if opens && queue.room.available_permits() <= queue.capacity / 4 {
            return Err(if queue.room.is_closed() {
                AppendError::Closed
            } else {
                AppendError::Overloaded
            });
        }
        match queue.room.try_acquire() {
            Ok(place) => {
                place.forget();
                Ok(())
            }
            Err(tokio::sync::TryAcquireError::Closed) => Err(AppendError::Closed),
            Err(tokio::sync::TryAcquireError::NoPermits) => Err(AppendError::Overloaded),
        }
    }

    /// Queues a job, waiting for a place.
    pub(crate) async fn submit(&self, job: Job) -> Result<(), AppendError> {
        let queue = &self.inner.shared.queue;
        queue.room.acquire().await.map_err(|_| AppendError::Closed)?.forget();
        queue.push(job)
    }

    /// Runs an administrative write in a transaction of its own, behind all that was queued before.
    pub(crate) async fn admin<T: Send + 'static>(
        &self,
        run: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.submit(Job::Admin(Box::new(move |conn| {
            drop(reply.send(in_transaction(conn, run)))
        })))
        .await?;
        answer.await.unwrap_or(Err(StoreError::Write(AppendError::Closed)))
    }

    /// Writes rows in the transaction of the next group, and waits for its commit. Rows that are not `urgent` wait a few
    /// milliseconds for others.
    pub(crate) async fn rows(
        &self,
        urgent: bool,
        write: impl Fn(&Connection) -> rusqlite::Result<()> + Send + 'static,
    ) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        let write = Box::new(write);
        self.submit(Job::Rows { write, urgent, reply }).await?;
        let written = answer.await.unwrap_or(Err(AppendError::Closed));
        written.map_err(StoreError::Write)
    }

    /// Runs a query on a blocking thread.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let readers = self.inner.readers.clone();
        let run = tokio::task::spawn_blocking(move || readers.with(query)).await;
        run.unwrap_or_else(|_| Err(StoreError::Database("the query was cancelled".into())))
    }

    /// The local number of a tenant whose key exists.
    pub(crate) fn tenant_no(&self, tenant: TenantId) -> Result<i64, StoreError> {
        let key = self.inner.keys.get(tenant);
        key.map(|k| k.no).ok_or(StoreError::NotFound("tenant"))
    }

    /// The conversations that were running when the process ended, or that still wait for a late fact: one after the
    /// other, through a short channel. Call it before new conversations are accepted.
    pub fn open_conversations(&self) -> mpsc::Receiver<Result<OpenConversation, StoreError>> {
        let (tx, rx) = mpsc::channel(64);
        let (readers, keys) = (self.inner.readers.clone(), self.inner.keys.clone());
        tokio::task::spawn_blocking(move || {
            let rows = readers.with(reader::open_rows).map_err(StoreError::from);
            let rows = match rows {
                Ok(rows) => rows,
                Err(error) => return drop(tx.blocking_send(Err(error))),
            };
            for (tenant, id, deadline) in rows {
                let events = readers.with(|conn| load_events(conn, &keys, tenant, id));
                let found = events.map(|events| OpenConversation {
                    tenant,
                    id,
                    events,
                    deadline,
                });
                if tx.blocking_send(found).is_err() {
                    return;
                }
            }
        });
        rx
    }

    /// Journalled deadlines of open conversations, in no order.
    pub async fn deadlines(&self) -> Result<Vec<(TenantId, ConversationId, Stamp)>, StoreError> {
        let rows = self.read(|conn| Ok(reader::open_rows(conn)?)).await?;
        Ok(rows.into_iter().filter_map(|(t, c, at)| Some((t, c, at?))).collect())
    }

    /// Notes that the node was alive at `at`. A conversation that recovery closes ends at the newest of these.
    pub async fn stamp_alive(&self, at: Stamp) -> Result<(), AppendError> {
        self.submit(Job::Alive(at)).await
    }

    /// The newest alive stamp.
    pub async fn last_alive(&self) -> Result<Option<Stamp>, StoreError> {
        self.read(|conn| Ok(reader::last_alive(conn)?)).await
    }

    /// The log of a conversation; empty if the tenant has no such conversation.
    pub async fn load_events(&self, tenant: TenantId, id: ConversationId) -> Result<Vec<Event>, StoreError> {
        let keys = self.inner.keys.clone();
        self.read(move |conn| load_events(conn, &keys, tenant, id)).await
    }

    /// Makes something of the log of each conversation of a tenant that began within a span, in the order of their ids. A
    /// log that is being taken away by retention is left out. Reads in steps, so that a long span keeps no reader from
    /// others.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn each_call<T: Send + 'static>(
        &self,
        tenant: TenantId,
        from: Stamp,
        until: Stamp,
        make: impl Fn(&[Event], &mut Vec<T>) + Send + Sync + 'static,
    ) -> Result<Vec<T>, StoreError> {
        let key = self.inner.keys.get(tenant).ok_or(StoreError::NotFound("tenant"))?;
        let first = |at: Stamp| ConversationId::mint(at.0.max(0).unsigned_abs(), 0);
        let (mut next, end) = (first(from), first(until));
        let make = Arc::new(make);
        let mut made = Vec::new();
        while next < end {
            let (key, make) = (key.clone(), make.clone());
            let step = self.read(move |conn| {
                let rows = reader::frames_between(conn, key.no, next, end, STEP)?;
                let full = rows.len() == STEP;
                let mut calls: Vec<(ConversationId, Frames)> = Vec::new();
                for (id, seq, sealed) in rows {
                    match calls.last_mut() {
                        Some((last, frames)) if *last == id => frames.push((seq, sealed)),
                        _ => calls.push((id, vec![(seq, sealed)])),
                    }
                }
                // The last one may not be whole.
                let rest = if full && calls.len() > 1 {
                    calls.pop().map(|(id, _)| id)
                } else if let (true, Some((id, frames))) = (full, calls.first_mut()) {
                    *frames = reader::frames(conn, key.no, *id)?;
                    Some(ConversationId(id.0 + 1))
                } else {
                    None
                };
                let mut out = Vec::new();
                for (id, frames) in calls {
                    make(&decode(&key, tenant, id, frames)?, &mut out);
                }
                Ok((out, rest))
            });
            let (out, rest) = step.await?;
            made.extend(out);
            next = rest.unwrap_or(end);
        }
        Ok(made)
    }

    /// The call record of a conversation, folded from its log; `None` if the tenant has no such conversation.
    pub async fn load_record(
        &self,
        tenant: TenantId,
        id: ConversationId,
    ) -> Result<Option<ConversationRecord>, StoreError> {
        let events = self.load_events(tenant, id).await?;
        ConversationRecord::fold(&events).map_err(|e| StoreError::Unreadable("conversation", e.to_string()))
    }

    /// What the command of this name did, if it was executed and is remembered.
    pub async fn executed(&self, command: &CommandId) -> Result<Option<Executed>, StoreError> {
        let key = self.inner.keys.get(command.tenant());
        let key = key.ok_or(StoreError::NotFound("tenant"))?;
        let (name, request) = command_digests(command, &key);
        self.read(move |conn| {
            let found = reader::command(conn, key.no, &name)?;
            Ok(found.map(|(conversation, before)| Executed {
                conversation,
                same_request: before == request,
            }))
        })
        .await
    }

    /// A page of call records.
    pub async fn query_records(&self, tenant: TenantId, query: RecordQuery) -> Result<RecordPage, StoreError> {
        let key = self.inner.keys.get(tenant).ok_or(StoreError::NotFound("tenant"))?;
        self.read(move |conn| {
            let (mut rows, total, as_of) = records::query(conn, (key.no, tenant), &query)?;
            rows.iter_mut().try_for_each(|row| open_row(row, &key.cipher))?;
            Ok(RecordPage { rows, total, as_of })
        })
        .await
    }

    /// The newest row of one call record.
    pub async fn record_row(&self, tenant: TenantId, id: ConversationId) -> Result<Option<RecordRow>, StoreError> {
        let key = self.inner.keys.get(tenant).ok_or(StoreError::NotFound("tenant"))?;
        self.read(move |conn| {
            let mut row = records::one(conn, (key.no, tenant), id)?;
            row.iter_mut().try_for_each(|row| open_row(row, &key.cipher))?;
            Ok(row)
        })
        .await
    }

    /// What the store counts.
    pub fn stats(&self) -> Stats {
        let Shared {
            queue,
            counters,
            leases,
            ..
        } = &*self.inner.shared;
        Stats {
            groups: counters.groups.load(Relaxed),
            batches: counters.batches.load(Relaxed),
            failures: counters.failures.load(Relaxed),
            lost: counters.lost.load(Relaxed),
            waiting: queue.capacity.saturating_sub(queue.room.available_permits()),
            leased: leases.len(),
            disk_full: counters.disk_full.load(Relaxed),
        }
    }

    /// Resolves when all that was queued before this call is committed.
    pub async fn flush(&self) -> Result<(), StoreError> {
        self.admin(|_| Ok(())).await
    }
}

fn open_row(row: &mut RecordRow, cipher: &Cipher) -> Result<(), StoreError> {
    let place = record_place(row.tenant, row.conversation, row.version);
    let body = cipher.open(place, &row.body);
    row.body = body.map_err(|e| StoreError::Unreadable("call record", e.to_string()))?;
    Ok(())
}

fn load_events(conn: &Connection, keys: &Keys, tenant: TenantId, id: ConversationId) -> Result<Vec<Event>, StoreError> {
    // An unknown tenant has no conversations: the same answer as for an id of another tenant.
    let Some(key) = keys.get(tenant) else {
        return Ok(Vec::new());
    };
    let frames = reader::frames(conn, key.no, id)?;
    decode(&key, tenant, id, frames)
}

/// Opens the frames of a log; none if it has no beginning.
fn decode(key: &TenantKey, tenant: TenantId, id: ConversationId, frames: Frames) -> Result<Vec<Event>, StoreError> {
    let mut events = Vec::new();
    // Retention works in steps: a log without its beginning is one that is being taken away.
    if frames.first().is_some_and(|(first, _)| *first != 1) {
        return Ok(Vec::new());
    }
    for (first, sealed) in frames {
        let plain = key.cipher.open(frame_place(tenant, id, first), &sealed);
        let plain = plain.map_err(|e| StoreError::Unreadable("event", e.to_string()))?;
        codec::decode_frame(id, &plain, &mut events).map_err(|e| StoreError::Unreadable("event", e.to_string()))?;
    }
    Ok(events)
}
