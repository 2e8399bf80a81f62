//! What is kept of chats, and how it follows the configuration.

use super::super::line::Line;
use super::super::{Acd, Output};
use super::{footprint, order};
use crate::centre::resource::Queue;
use crate::chat::{Chat, CloseBy, End, State};
use crate::id::{AgentId, ConversationId, QueueId};
use crate::time::Stamp;
use std::collections::{BTreeSet, HashMap, HashSet};

/// A chat that is open.
#[derive(Clone, Debug)]
pub(in super::super) struct Entered {
    pub chat: Chat,
    pub wake: Option<Stamp>,
}

/// All that is kept of chats.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Book {
    pub chats: HashMap<ConversationId, Entered>,
    /// The queues, with the chats that wait and the agents that have room.
    pub lines: HashMap<QueueId, Line>,
    /// Agents to look at.
    pub touched: BTreeSet<AgentId>,
    /// Queues to look at.
    pub stale: BTreeSet<QueueId>,
}

impl Acd {
    /// Queues are those of the configuration; what waited in others is over.
    pub(in super::super) fn configure_chats(&mut self, queues: &[Queue], now: Stamp) {
        let kept: HashSet<QueueId> = queues.iter().map(|q| q.id).collect();
        let closed: Vec<QueueId> = self.book.lines.keys().filter(|q| !kept.contains(q)).copied().collect();
        for queue in closed {
            let waits = |c: &&Chat| c.queue == Some(queue) && matches!(c.state(), State::Queued | State::Offered);
            let waiting: Vec<ConversationId> = self.chats().filter(waits).map(|c| c.id).collect();
            for id in waiting {
                self.end_chat(id, CloseBy::Admin, End::QueueClosed, now);
            }
            self.book.lines.remove(&queue);
            for post in self.agents.values_mut() {
                post.chats.keys.retain(|(q, _, _)| *q != queue);
            }
        }
        for queue in queues {
            match self.book.lines.get_mut(&queue.id) {
                Some(line) => line.config = queue.clone(),
                None => {
                    self.book.lines.insert(queue.id, Line::new(queue.clone()));
                }
            }
        }
        self.book.stale.extend(kept);
        self.book.touched.extend(self.agents.keys().copied());
    }

    /// An agent that is no longer configured has been reset: its chats are back. It is free in no queue.
    pub(in super::super) fn forget_chats_of(&mut self, id: AgentId, now: Stamp) {
        self.settle_chats(now);
        let keys = self.agents.get_mut(&id).map(|p| std::mem::take(&mut p.chats.keys));
        for (queue, level, key) in keys.unwrap_or_default() {
            if let Some(line) = self.book.lines.get_mut(&queue) {
                line.free.remove(level, &key);
            }
        }
    }

    /// Goes on with a chat of an earlier process. After the configuration and the agents.
    pub fn restore_chat(&mut self, chat: Chat, now: Stamp) -> Vec<Output> {
        if chat.ended.is_none() && !self.book.chats.contains_key(&chat.id) {
            let id = chat.id;
            let after = footprint(&chat);
            debug_assert!(after.waits.is_none_or(|w| w.2 == order(&chat)));
            let gone = |agent: &AgentId| !self.agents.contains_key(agent);
            let lost = chat.agent.filter(gone);
            let unasked: Vec<AgentId> = chat.offers.iter().map(|o| o.agent).filter(gone).collect();
            let nowhere = chat.queue.is_none_or(|q| !self.book.lines.contains_key(&q));
            let waits = matches!(chat.state(), State::Queued | State::Offered);
            self.book.chats.insert(id, Entered { chat, wake: None });
            self.moved(id, None, &after);
            self.wake_chat(id);
            for agent in unasked {
                self.unoffer(id, agent, crate::chat::Missed::Withdrawn, now);
            }
            if let Some(agent) = lost {
                self.hand_back(id, agent, now);
            } else if nowhere && waits {
                self.end_chat(id, CloseBy::Admin, End::QueueClosed, now);
            }
            self.settle_chats(now);
        }
        std::mem::take(&mut self.out)
    }
}
