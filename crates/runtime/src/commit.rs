//! From an owner's facts to committed batches: the record, the deliveries and the call record's row are folds of the
//! same events, made here once and frozen with them.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use strowger_core::project::Projector;
use strowger_core::record::ConversationRecord;
use strowger_core::{Event, Fact, Stamp};
use strowger_store::{Append, AppendError, Batch, Committed, Deadline, Journal, NewDelivery, RecordRow};

/// Projectors by name.
pub type Projectors = Arc<HashMap<&'static str, Arc<dyn Projector>>>;

/// A commit on its way.
type InFlight = std::pin::Pin<Box<dyn Future<Output = Result<Committed, AppendError>> + Send>>;

/// How long a conversation's facts may wait for a journal that refuses them before its owner stops holding its
/// effects back. The facts themselves are kept and tried on.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pause between tries.
const PAUSE: Duration = Duration::from_millis(100);

/// Commits one conversation's facts, in order.
pub struct Committer {
    journal: Journal,
    projectors: Projectors,
    published: Option<ConversationRecord>,
    version: u32,
    /// Batches not yet known to be committed.
    unconfirmed: VecDeque<Batch>,
    in_flight: VecDeque<InFlight>,
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
                    not_before: Stamp(0),
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
        kind: match record.head.kind {
            strowger_core::event::Kind::ClickToCall => "click-to-call".into(),
            strowger_core::event::Kind::Inbound => "inbound".into(),
        },
        start,
        end,
        version,
        body: Vec::new(),
    }
}

impl Committer {
    /// For a new conversation.
    pub fn new(journal: Journal, projectors: Projectors) -> Committer {
        Committer {
            journal,
            projectors,
            published: None,
            version: 0,
            unconfirmed: VecDeque::new(),
            in_flight: VecDeque::new(),
        }
    }

    /// Hands new events to the journal; they are queued in order and not waited for.
    pub fn submit(&mut self, events: Vec<Event>) {
        let batch = batch_of(&mut self.published, &mut self.version, events, &self.projectors);
        if let Some(batch) = batch {
            self.send(batch);
        }
    }

    fn send(&mut self, batch: Batch) {
        self.in_flight.push_back(Box::pin(self.journal.append(batch.clone())));
        self.unconfirmed.push_back(batch);
    }

    /// True if nothing waits for the journal.
    pub fn is_idle(&self) -> bool {
        self.in_flight.is_empty() && self.unconfirmed.is_empty()
    }

    /// Waits until the oldest batch on its way is settled. Cancel-safe: a dropped wait is taken up again.
    pub async fn settle_one(&mut self) -> Result<(), AppendError> {
        let Some(oldest) = self.in_flight.front_mut() else {
            return Ok(());
        };
        let result = oldest.as_mut().await;
        self.in_flight.pop_front();
        match result {
            Ok(_) => {
                self.unconfirmed.pop_front();
                Ok(())
            }
            Err(error) => {
                // What follows in the queue cannot be accepted without this one: let it fail, then try all as one.
                while let Some(next) = self.in_flight.pop_front() {
                    let _ = next.await;
                }
                Err(error)
            }
        }
    }

    /// Waits until everything is committed. The first batch of a conversation is not tried twice: it is refused, and
    /// so is the call. Later ones are tried for as long as an effect may be held back.
    pub async fn settle(&mut self) -> Result<(), AppendError> {
        let started = tokio::time::Instant::now();
        loop {
            let error = match self.settle_one().await {
                Ok(()) if self.is_idle() => return Ok(()),
                Ok(()) => continue,
                Err(error) => error,
            };
            let opening = self.unconfirmed.front().is_some_and(Batch::opens);
            if opening || !retryable(&error) || started.elapsed() > PATIENCE {
                return Err(error);
            }
            tokio::time::sleep(PAUSE).await;
            self.resend();
        }
    }

    /// Gives the journal everything that it has not confirmed, as one batch.
    pub fn resend(&mut self) {
        if !self.in_flight.is_empty() {
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
        self.send(merged);
    }
}

/// A conflict follows from an earlier failure of the same conversation; the merged batch starts where the journal is.
fn retryable(error: &AppendError) -> bool {
    error.may_retry() || matches!(error, AppendError::Conflict { .. })
}
