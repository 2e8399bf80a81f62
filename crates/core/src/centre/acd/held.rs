//! Participations that are open, by ticket and by call.

use super::Ticket;
use crate::id::{AgentId, ConversationId, QueueId};
use crate::time::Stamp;
use std::collections::HashMap;

/// A participation that is open.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub agent: AgentId,
    pub conversation: ConversationId,
    pub queue: Option<QueueId>,
    pub at: Stamp,
}

/// All of them. Those of one call are found without a look at the others: a call that ends asks for them.
#[derive(Clone, Debug, Default)]
pub(super) struct AllHeld {
    by_ticket: HashMap<Ticket, Held>,
    by_call: HashMap<ConversationId, Vec<Ticket>>,
}

impl AllHeld {
    pub fn get(&self, ticket: Ticket) -> Option<&Held> {
        self.by_ticket.get(&ticket)
    }

    pub fn insert(&mut self, ticket: Ticket, held: Held) {
        if self.by_ticket.insert(ticket, held).is_none() {
            self.by_call.entry(held.conversation).or_default().push(ticket);
        }
    }

    /// It is no offer of a queue any more.
    pub fn clear_queue(&mut self, ticket: Ticket) {
        if let Some(held) = self.by_ticket.get_mut(&ticket) {
            held.queue = None;
        }
    }

    pub fn remove(&mut self, ticket: Ticket) -> Option<Held> {
        let held = self.by_ticket.remove(&ticket)?;
        if let Some(tickets) = self.by_call.get_mut(&held.conversation) {
            tickets.retain(|t| *t != ticket);
            if tickets.is_empty() {
                self.by_call.remove(&held.conversation);
            }
        }
        Some(held)
    }

    /// The tickets of a call, in the order in which they were made.
    pub fn of(&self, conversation: ConversationId) -> Vec<Ticket> {
        self.by_call.get(&conversation).cloned().unwrap_or_default()
    }

    /// The calls that have some.
    pub fn conversations(&self) -> impl Iterator<Item = ConversationId> {
        self.by_call.keys().copied()
    }

    /// Those for which `wanted` holds, oldest ticket first. Looks at all.
    pub fn find(&self, wanted: impl Fn(&Held) -> bool) -> Vec<(Ticket, Held)> {
        let found = self.by_ticket.iter().filter(|(_, h)| wanted(h));
        let mut found: Vec<(Ticket, Held)> = found.map(|(t, h)| (*t, *h)).collect();
        found.sort_unstable_by_key(|(t, _)| *t);
        found
    }

    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.by_ticket.is_empty() && self.by_call.is_empty()
    }
}
