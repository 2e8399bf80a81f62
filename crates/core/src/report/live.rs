//! What boards show just now, from the same facts as the reports.

use super::{Ledger, Slot};
use crate::centre::agent::State;
use crate::id::{AgentId, ConversationId, QueueId};
use crate::time::Stamp;
use std::collections::BTreeMap;

/// A queue just now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueNow {
    /// Calls that wait, those being offered included.
    pub waiting: usize,
    /// How long the first of them has waited, in milliseconds.
    pub longest_ms: u64,
}

/// An agent just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AgentNow {
    /// Its state.
    pub state: State,
    /// How long it has had it, in milliseconds.
    pub for_ms: u64,
}

impl Ledger {
    /// A queue just now.
    pub fn queue_now(&self, queue: QueueId, now: Stamp) -> QueueNow {
        let Some(line) = self.line.get(&queue) else {
            return QueueNow::default();
        };
        QueueNow {
            waiting: line.len(),
            longest_ms: line.first().map_or(0, |(since, _)| now.ms_since(*since)),
        }
    }

    /// The calls that wait in a queue, longest first, with the time since when.
    pub fn line_now(&self, queue: QueueId) -> impl Iterator<Item = (ConversationId, Stamp)> + '_ {
        let line = self.line.get(&queue).into_iter().flatten();
        line.map(|(since, conversation)| (*conversation, *since))
    }

    /// An agent just now; `None` if nothing was heard of it.
    pub fn agent_now(&self, agent: AgentId, now: Stamp) -> Option<AgentNow> {
        let (state, since) = *self.states.get(&agent)?;
        Some(AgentNow {
            state,
            for_ms: now.ms_since(since),
        })
    }

    /// How many of these agents are in each slot. One of which nothing was heard is off duty.
    pub fn agents_now(&self, agents: impl IntoIterator<Item = AgentId>) -> BTreeMap<Slot, usize> {
        let mut all = BTreeMap::new();
        for agent in agents {
            let slot = self.states.get(&agent).map_or(Slot::OffDuty, |(s, _)| Slot::of(*s));
            *all.entry(slot).or_insert(0) += 1;
        }
        all
    }
}
