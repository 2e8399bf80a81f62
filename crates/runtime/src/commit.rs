//! From an owner's facts to committed batches: the record, the deliveries and the call record's row are folds of the
//! same events, made here once and frozen with them.

use crate::clock::wall_now;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use strowger_core::project::Projector;
use strowger_core::record::ConversationRecord;
use strowger_core::{Event, Fact};
use strowger_store::{
    Append, AppendError, Batch, CommandId, Committed, Deadline, ItemStart, NewDelivery, RecordRow, Store, Throttle,
};
use tokio::time::Instant;

/// Projectors by name.
pub type Projectors = Arc<HashMap<&'static str, Arc<dyn Projector>>>;

/// What must hold for the first commit of a conversation; nothing is written otherwise.
#[derive(Debug, Default)]
pub struct Conditions {
    /// No command of this name was executed.
    pub once: Option<CommandId>,
    /// This item of a batch of notices was not begun.
    pub item: Option<ItemStart>,
    /// It is not done too often.
    pub throttle: Option<Throttle>,
}

impl From<Option<CommandId>> for Conditions {
    fn from(once: Option<CommandId>) -> Conditions {
        Conditions {
            once,
            ..Conditions::default()
        }
    }
}

/// A commit on its way.
type InFlight = std::pin::Pin<Box<dyn Future<Output = Result<Committed, AppendError>> + Send>>;

/// How long a conversation's facts may wait for a journal that refuses them before its owner stops holding its
/// effects back. The facts themselves are kept and tried on.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long events that nobody waits for are kept back to share a batch with what follows.
pub(crate) const GATHER: Duration = Duration::from_millis(25);
/// Held events of all conversations become due together, at multiples of this: one wake-up and one group commit for all.
const BEAT: Duration = Duration::from_millis(5);
/// Pause between tries.
const PAUSE: Duration = Duration::from_millis(100);

/// Commits one conversation's facts, in order.
///
/// Batches are kept until a later success proves them committed: the journal takes a batch only if it follows the one
/// before, so the success of one confirms all that were sent earlier.
pub struct Committer {
    store: Store,
    projectors: Projectors,
    published: Option<ConversationRecord>,
    version: u32,
    /// Batches not yet known to be committed, oldest first.
    unconfirmed: VecDeque<Batch>,
    /// Commits on their way, each with the number of batches that its success confirms.
    in_flight: VecDeque<(usize, InFlight)>,
    /// A commit failed and its batches were not offered again yet.
    failed: bool,
    /// Where the journal said it stands, if a commit failed for not following it.
    journal_at: u32,
    /// Events that nobody waits for, not sent yet.
    held: Vec<Event>,
    held_until: Option<Instant>,
    /// The journal took longer than effects may be held back.
    impatient: bool,
}

/// Makes the batch of new events: advances `published` and freezes what they mean for each subscription.
pub fn batch_of(
    published: &mut Option<ConversationRecord>,
    version: &mut u32,
    events: Vec<Event>,
    projectors: &HashMap<&'static str, Arc<dyn Projector>>,
) -> Option<Batch> {
    let first = events.first()?;
    let expected_seq = first.seq - 1;
    let mut deliveries = Vec::new();
    let mut records = Vec::new();
    let mut deadline = Deadline::Keep;
    for event in &events {
        let folded = match published {
            None => ConversationRecord::open(event).map(|r| *published = Some(r)),
            Some(record) => record.apply(event),
        };
        if let Err(broken) = folded {
            // The owner's machine folds the same events with the same code; this cannot differ.
            tracing::error!("{broken}");
            debug_assert!(false, "{broken}");
            return None;
        }
        let Some(record) = published.as_ref() else { continue };
        for (i, s) in record.head.subscriptions.iter().enumerate() {
            let Some(projector) = projectors.get(s.projector.as_str()) else {
                continue;
            };
            if let Some(body) = projector.project(s, record, event) {
                deliveries.push(NewDelivery {
                    tenant: record.head.tenant,
                    conversation: record.id,
                    application: record.head.application,
                    seq: event.seq,
                    subscription: i as u16,
                    topic: s.topic,
                    url: s.url.clone(),
                    content_type: body.content_type.into(),
                    body: body.bytes,
                    key: body.key,
                    batch: body.batch,
                    // The retries of a day count from here, and not from the event: that of a call which recovery
                    // closes may be as old as the crash.
                    not_before: wall_now(),
                });
            }
        }
        if record.ended_at.is_some() {
            deadline = if record.recording_pending() {
                Deadline::Keep
            } else {
                Deadline::Clear
            };
            if !matches!(event.fact, Fact::LegQuality { .. }) {
                *version += 1;
                records = vec![row_of(record, *version)];
            }
        }
    }
    let record = published.as_ref()?;
    let open = record.ended_at.is_none() || record.recording_pending();
    let append = Append {
        tenant: record.head.tenant,
        conversation: record.id,
        expected_seq,
        events,
        open,
        deadline,
    };
    Some(Batch {
        appends: vec![append],
        deliveries,
        records,
        ..Batch::default()
    })
}

fn row_of(record: &ConversationRecord, version: u32) -> RecordRow {
    let start = record.legs.iter().map(|l| l.start).min().unwrap_or(record.created_at);
    let end = record
        .legs
        .iter()
        .filter_map(|l| l.stop)
        .max()
        .unwrap_or(record.last_at);
    RecordRow {
        tenant: record.head.tenant,
        conversation: record.id,
        application: record.head.application,
        account: record.head.account,
        kind: strowger_store::codec::kind_name(record.head.kind).into(),
        start,
        end,
        version,
        body: Vec::new(),
    }
}

impl Committer {
    /// For a new conversation.
    pub fn new(store: Store, projectors: Projectors) -> Committer {
        Committer {
            store,
            projectors,
            published: None,
            version: 0,
            unconfirmed: VecDeque::new(),
            in_flight: VecDeque::new(),
            failed: false,
            journal_at: 0,
            held: Vec::new(),
            held_until: None,
            impatient: false,
        }
    }

    /// Hands the first events of a conversation to the journal, with what must hold for them.
    pub fn open(&mut self, events: Vec<Event>, on: Conditions) {
        if let Some(batch) = batch_of(&mut self.published, &mut self.version, events, &self.projectors) {
            self.send(Batch {
                command: on.once,
                item: on.item,
                throttle: on.throttle,
                ..batch
            });
        }
    }

    /// Takes new events, in order and without waiting. They go to the journal at once if somebody waits for them; if
    /// nobody does, they gather for [`GATHER`] with what follows, so that a hang-up of both sides costs one batch.
    pub fn submit(&mut self, events: Vec<Event>, urgent: bool) {
        self.held.extend(events);
        if urgent {
            self.flush();
        } else if !self.held.is_empty() {
            self.held_until.get_or_insert_with(|| on_beat(Instant::now() + GATHER));
        }
    }

    /// When held events are due.
    pub fn held_until(&self) -> Option<Instant> {
        self.held_until
    }

    /// Sends what is held.
    pub fn flush(&mut self) {
        self.held_until = None;
        let events = std::mem::take(&mut self.held);
        let Some(batch) = batch_of(&mut self.published, &mut self.version, events, &self.projectors) else {
            return;
        };
        if self.failed {
            // It joins what is offered again.
            self.unconfirmed.push_back(batch);
        } else {
            self.send(batch);
        }
    }

    fn send(&mut self, batch: Batch) {
        let commit = Box::pin(self.store.append_ref(&batch));
        self.unconfirmed.push_back(batch);
        let covered: usize = self.in_flight.iter().map(|(n, _)| n).sum();
        self.in_flight.push_back((self.unconfirmed.len() - covered, commit));
    }

    /// True if nothing waits for the journal.
    pub fn is_idle(&self) -> bool {
        self.in_flight.is_empty() && !self.failed
    }

    /// Waits until the oldest commit on its way is settled. Cancel-safe: a dropped wait is taken up again.
    ///
    /// # Errors
    /// The journal's. [`resend`](Committer::resend) offers everything again.
    pub async fn settle_one(&mut self) -> Result<(), AppendError> {
        if self.failed {
            return Err(AppendError::Overloaded);
        }
        let Some((_, oldest)) = self.in_flight.front_mut() else {
            return Ok(());
        };
        let result = oldest.as_mut().await;
        let Some((confirmed, _)) = self.in_flight.pop_front() else {
            return Ok(());
        };
        match result {
            Ok(_) => {
                self.impatient = false;
                self.unconfirmed.drain(..confirmed.min(self.unconfirmed.len()));
                Ok(())
            }
            Err(error) => {
                // What follows in the queue is refused as not following the log; all of it is offered again as one.
                self.in_flight.clear();
                self.failed = true;
                if let AppendError::Conflict { actual, .. } = error {
                    self.journal_at = actual;
                }
                Err(error)
            }
        }
    }

    /// Waits until everything is committed. The first batch of a conversation is not tried twice: it is refused, and
    /// so is the call. For later ones effects are held back for [`PATIENCE`] at most, also when the disk says nothing at
    /// all; after that not again until the journal takes something.
    ///
    /// # Errors
    /// The journal's, or [`AppendError::Overloaded`] when patience ran out. The facts are kept in either case.
    pub async fn settle(&mut self) -> Result<(), AppendError> {
        self.flush();
        let started = Instant::now();
        loop {
            let opening = self.unconfirmed.front().is_some_and(Batch::opens);
            let patience = if self.impatient { Duration::ZERO } else { PATIENCE };
            let settled = if opening {
                self.settle_one().await
            } else {
                // Nothing is lost by giving up the wait: the commit stays on its way.
                tokio::time::timeout_at(started + patience, self.settle_one())
                    .await
                    .unwrap_or(Err(AppendError::Overloaded))
            };
            let error = match settled {
                Ok(()) if self.is_idle() => return Ok(()),
                Ok(()) => continue,
                Err(error) => error,
            };
            if opening || !retryable(&error) {
                return Err(error);
            }
            if started.elapsed() >= patience {
                self.impatient = true;
                return Err(error);
            }
            tokio::time::sleep(PAUSE).await;
            self.resend();
        }
    }

    /// Gives the journal everything that it has not confirmed, as one batch.
    pub fn resend(&mut self) {
        if !std::mem::take(&mut self.failed) {
            return;
        }
        let mut all = self.unconfirmed.drain(..);
        let Some(mut merged) = all.next() else { return };
        for batch in all {
            merged.deliveries.extend(batch.deliveries);
            merged.records = if batch.records.is_empty() {
                merged.records
            } else {
                batch.records
            };
            for append in batch.appends {
                if let Some(first) = merged.appends.first_mut() {
                    first.events.extend(append.events);
                    first.open = append.open;
                    first.deadline = append.deadline;
                }
            }
        }
        // Facts that the journal has already, because only a later batch of theirs failed, are not offered twice.
        let at = std::mem::take(&mut self.journal_at);
        merged.deliveries.retain(|d| d.seq > at);
        for append in &mut merged.appends {
            append.events.retain(|e| e.seq > at);
            append.expected_seq = append.expected_seq.max(at);
        }
        self.send(merged);
    }
}

/// The next multiple of [`BEAT`] from `at` on, counted from the first call.
pub(crate) fn on_beat(at: Instant) -> Instant {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    let origin = *ORIGIN.get_or_init(|| at);
    let since = at.saturating_duration_since(origin).as_micros() as u64;
    let over = since % BEAT.as_micros() as u64;
    match over {
        0 => at,
        over => at + BEAT - Duration::from_micros(over),
    }
}

/// A conflict follows from an earlier failure of the same conversation; the merged batch starts where the journal is.
fn retryable(error: &AppendError) -> bool {
    error.may_retry() || matches!(error, AppendError::Conflict { .. })
}
