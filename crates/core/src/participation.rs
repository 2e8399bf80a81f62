//! Agents and queues in the call record: what each part took, folded from the facts.

use crate::centre::acd::Left;
use crate::centre::agent::{Engagement, Part};
use crate::event::Outcome;
use crate::id::{AgentId, LegSeq, QueueId};
use crate::time::Stamp;

/// An agent's part in a conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct PartRecord {
    /// Who.
    pub agent: AgentId,
    /// Its leg.
    pub leg: LegSeq,
    /// How it came to it.
    pub kind: Part,
    /// The queue that it was offered from.
    pub queue: Option<QueueId>,
    /// When it was asked, or began.
    pub offered: Stamp,
    /// When its device first alerted.
    pub rang: Option<Stamp>,
    /// When it first talked.
    pub accepted: Option<Stamp>,
    /// When its part was over.
    pub left: Option<Stamp>,
    /// How.
    pub outcome: Option<Outcome>,
    /// Milliseconds for which it had the other party on hold without talking to a third.
    pub hold_ms: u64,
    /// Milliseconds of after-call work; `None` while it lasts, and where there was none.
    pub wrap_up_ms: Option<u64>,
    /// How it looks now.
    pub engagement: Option<Engagement>,
    held_since: Option<Stamp>,
}

impl PartRecord {
    pub(crate) fn new(agent: AgentId, leg: LegSeq, kind: Part, queue: Option<QueueId>, at: Stamp) -> PartRecord {
        PartRecord {
            agent,
            leg,
            kind,
            queue,
            offered: at,
            rang: None,
            accepted: None,
            left: None,
            outcome: None,
            hold_ms: 0,
            wrap_up_ms: None,
            engagement: None,
            held_since: None,
        }
    }

    pub(crate) fn engage(&mut self, engagement: Engagement, at: Stamp) {
        if let Some(since) = self.held_since.take() {
            self.hold_ms += at.ms_since(since);
        }
        match engagement {
            Engagement::Alerting => self.rang = self.rang.or(Some(at)),
            Engagement::Held => self.held_since = Some(at),
            _ => {}
        }
        if engagement.is_talk() {
            self.accepted = self.accepted.or(Some(at));
        }
        self.engagement = Some(engagement);
    }

    pub(crate) fn end(&mut self, outcome: Outcome, at: Stamp) {
        if let Some(since) = self.held_since.take() {
            self.hold_ms += at.ms_since(since);
        }
        self.left = Some(at);
        self.outcome = Some(outcome);
    }

    /// Whole seconds of talk: from accepted to left, less the hold; 0 for one that was not accepted (I7, §9).
    pub fn talk_seconds(&self) -> i64 {
        match (self.accepted, self.left) {
            (Some(a), Some(l)) => (l.secs() - a.secs() - self.hold_seconds()).max(0),
            _ => 0,
        }
    }

    /// Whole seconds of hold.
    pub fn hold_seconds(&self) -> i64 {
        (self.hold_ms / 1000) as i64
    }
}

/// A stay in a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueRecord {
    /// Which.
    pub queue: QueueId,
    /// When the call came in.
    pub entered: Stamp,
    /// When and how it left.
    pub left: Option<(Stamp, Left)>,
}

/// What somebody wrote down of a conversation.
#[derive(Clone, PartialEq, Eq)]
pub struct DispositionRecord {
    /// When.
    pub at: Stamp,
    /// The agent that wrote it; `None` for a supervisor or a program.
    pub agent: Option<AgentId>,
    /// The tenant's own code of it.
    pub code: String,
    /// In words; may be empty.
    pub note: String,
}

impl std::fmt::Debug for DispositionRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Notes are about people.
        f.debug_struct("DispositionRecord")
            .field("at", &self.at)
            .field("agent", &self.agent)
            .finish_non_exhaustive()
    }
}
