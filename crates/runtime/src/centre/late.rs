//! What is written down about a call: by its owner while it runs, into its log when it is over. Each of these after the end
//! is a new version of the record (domain-model §9).

use crate::calls::{CallError, Live};
use crate::clock::wall_now;
use crate::commit::batch_of;
use crate::mailbox::Mail;
use crate::switch::Switch;
use std::sync::Arc;
use std::time::Duration;
use strowger_core::call::{Command, Note, Refusal};
use strowger_core::{ConversationId, ConversationRecord, Event, TenantId};
use tokio::sync::{mpsc, oneshot};

/// How often a call is looked for that is neither running nor closed: its last facts are on their way to the journal.
const TRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(100);

/// Writes notes one after the other, until the desk is gone.
pub(super) async fn run(switch: Arc<Switch>, tenant: TenantId, mut notes: mpsc::Receiver<(ConversationId, Note)>) {
    while let Some((conversation, note)) = notes.recv().await {
        if let Err(error) = switch.note(tenant, conversation, note).await {
            tracing::debug!(%tenant, %conversation, "a note could not be written: {error}");
        }
    }
}

impl Switch {
    /// Writes something down about a call, whether it runs or is over.
    ///
    /// # Errors
    /// [`CallError`].
    pub(crate) async fn note(
        &self,
        tenant: TenantId,
        conversation: ConversationId,
        note: Note,
    ) -> Result<(), CallError> {
        for _ in 0..TRIES {
            match self.tell_owner(tenant, conversation, &note).await {
                Told::Answered(answer) => return answer,
                Told::Another => return Err(CallError::NotFound),
                Told::Nobody => {}
            }
            match self.append_late(tenant, conversation, &note).await? {
                true => return Ok(()),
                false => tokio::time::sleep(PAUSE).await,
            }
        }
        Err(CallError::Overloaded { retry_after_secs: 1 })
    }

    async fn tell_owner(&self, tenant: TenantId, conversation: ConversationId, note: &Note) -> Told {
        let (reply, answer) = oneshot::channel();
        if self.conversations.post(conversation, Mail::Inspect(reply)).is_err() {
            return Told::Nobody;
        }
        match answer.await {
            Ok(Live { record, .. }) if record.head.tenant == tenant => {}
            Ok(_) => return Told::Another,
            Err(_) => return Told::Nobody,
        }
        let (reply, answer) = oneshot::channel();
        let command = Command::Note(Box::new(note.clone()));
        let mail = Mail::Command(Box::new((command, None)), reply);
        if self.conversations.post(conversation, mail).is_err() {
            return Told::Nobody;
        }
        match answer.await {
            Ok(answer) => Told::Answered(answer.map(|_| ())),
            Err(_) => Told::Nobody,
        }
    }

    /// Appends to the log of a call that is over; false if it is not yet, or somebody else wrote at the same time.
    async fn append_late(&self, tenant: TenantId, id: ConversationId, note: &Note) -> Result<bool, CallError> {
        let store = self.store();
        let events = store.load_events(tenant, id).await.map_err(unreadable)?;
        let record = ConversationRecord::fold(&events).map_err(unreadable)?;
        let record = record.ok_or(CallError::NotFound)?;
        if record.ended_at.is_none() || record.recording_pending() {
            return Ok(false);
        }
        if let Note::WrappedUp { agent, .. } = note
            && !record.parts.iter().any(|p| p.agent == *agent)
        {
            return Err(CallError::Refused(Refusal::NoSuchLeg));
        }
        let row = store.record_row(tenant, id).await.map_err(unreadable)?;
        let mut version = row.map_or(1, |r| r.version);
        let at = wall_now().max(record.last_at);
        let facts = note.clone().facts().into_iter();
        let events = facts.zip(record.seq + 1..).map(|(fact, seq)| Event {
            conversation: id,
            seq,
            at,
            fact,
        });
        let events = events.collect();
        let Some(batch) = batch_of(&mut Some(record), &mut version, events, self.projectors()) else {
            return Ok(true);
        };
        Ok(store.append_ref(&batch).await.is_ok())
    }
}

fn unreadable(error: impl std::fmt::Display) -> CallError {
    CallError::Journal(error.to_string())
}

enum Told {
    Answered(Result<(), CallError>),
    /// It is another tenant's.
    Another,
    /// Nobody owns it any more.
    Nobody,
}
