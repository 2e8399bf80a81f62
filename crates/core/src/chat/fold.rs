//! A chat as its facts have made it.

use super::{CloseBy, End, Fact, Missed, Opening, Release, Side, What};
use crate::id::{AgentId, ConversationId, QueueId};
use crate::time::Stamp;
use std::collections::VecDeque;

/// Names of messages that are remembered.
const KEYS: usize = 64;
/// Agents whose part in a chat is kept in its record.
const PARTS: usize = 256;

/// Where a chat stands (§5.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// It waits.
    Queued,
    /// An agent is asked, or several.
    Offered,
    /// An agent has it.
    Active,
    /// An agent has it, and the customer is silent or away.
    Suspended,
    /// It is over.
    Ended,
}

impl State {
    /// As shown.
    pub const fn name(self) -> &'static str {
        match self {
            State::Queued => "queued",
            State::Offered => "offered",
            State::Active => "active",
            State::Suspended => "suspended",
            State::Ended => "ended",
        }
    }
}

/// An offer that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Its name.
    pub seq: u64,
    /// Who is asked.
    pub agent: AgentId,
    /// Until when.
    pub until: Stamp,
    /// Meant for this agent.
    pub direct: bool,
}

/// What an agent had to do with a chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Who.
    pub agent: AgentId,
    /// When it was asked.
    pub offered_at: Stamp,
    /// When it took it.
    pub accepted_at: Option<Stamp>,
    /// When its part was over.
    pub left_at: Option<Stamp>,
    /// How the offer failed, if it did.
    pub missed: Option<Missed>,
    /// How it left the chat, if it had it.
    pub released: Option<Release>,
}

/// A chat. Texts of messages are in its facts only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chat {
    /// Id.
    pub id: ConversationId,
    /// What was known at first.
    pub opening: Opening,
    /// The newest fact.
    pub seq: u64,
    /// When it began, which is its place in every queue.
    pub since: Stamp,
    /// When it was answered first.
    pub answered_at: Option<Stamp>,
    /// The end.
    pub ended: Option<(Stamp, CloseBy, End)>,
    /// The queue that it waits in, or came from.
    pub queue: Option<QueueId>,
    /// It goes before those that have not been answered yet.
    pub front: bool,
    /// When it entered its queue.
    pub entered_at: Stamp,
    /// Open offers.
    pub offers: Vec<Offer>,
    /// Who has it.
    pub agent: Option<AgentId>,
    /// The customer is silent, or away.
    pub suspended: bool,
    /// When the customer wrote, or came, last; or the chat was accepted.
    pub heard_at: Stamp,
    /// Who missed it or handed it over, and when.
    pub excluded: Vec<(AgentId, Stamp)>,
    /// Messages of the customer.
    pub from_customer: u32,
    /// Messages of agents.
    pub from_agents: u32,
    /// Parts of agents, in order of their offers; at most 256, the oldest go first.
    pub parts: VecDeque<Part>,
    keys: VecDeque<(Side, String, u64)>,
}

impl Chat {
    /// The chat that a first fact begins; `None` for another fact.
    pub fn opened(fact: &Fact) -> Option<Chat> {
        let What::Opened(opening) = &fact.what else { return None };
        Some(Chat {
            id: fact.chat,
            opening: opening.clone(),
            seq: fact.seq,
            since: fact.at,
            answered_at: None,
            ended: None,
            queue: None,
            front: false,
            entered_at: fact.at,
            offers: Vec::new(),
            agent: None,
            suspended: false,
            heard_at: fact.at,
            excluded: Vec::new(),
            from_customer: 0,
            from_agents: 0,
            parts: VecDeque::new(),
            keys: VecDeque::new(),
        })
    }

    /// The chat that these facts make; `None` if they are not one chat's, from the first on and without gaps.
    pub fn folded<'f>(facts: impl IntoIterator<Item = &'f Fact>) -> Option<Chat> {
        let mut facts = facts.into_iter();
        let mut chat = Chat::opened(facts.next()?)?;
        for fact in facts {
            if fact.chat != chat.id || fact.seq != chat.seq + 1 {
                return None;
            }
            chat.apply(fact);
        }
        Some(chat)
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        match (self.ended, self.agent) {
            (Some(_), _) => State::Ended,
            (None, Some(_)) if self.suspended => State::Suspended,
            (None, Some(_)) => State::Active,
            (None, None) if self.offers.is_empty() => State::Queued,
            (None, None) => State::Offered,
        }
    }

    /// Takes the next fact.
    pub fn apply(&mut self, fact: &Fact) {
        self.seq = fact.seq;
        let at = fact.at;
        match &fact.what {
            What::Opened(_) => {}
            What::Queued { queue, front, .. } => {
                self.queue = Some(*queue);
                self.front = *front;
                self.entered_at = at;
            }
            What::Offered { agent, until, direct } => {
                self.offers.push(Offer {
                    seq: fact.seq,
                    agent: *agent,
                    until: *until,
                    direct: *direct,
                });
                if self.parts.len() == PARTS {
                    self.parts.pop_front();
                }
                self.parts.push_back(Part {
                    agent: *agent,
                    offered_at: at,
                    accepted_at: None,
                    left_at: None,
                    missed: None,
                    released: None,
                });
            }
            What::Unoffered { agent, why } => {
                self.offers.retain(|o| o.agent != *agent);
                if matches!(why, Missed::Expired | Missed::Refused) {
                    self.exclude(*agent, at);
                }
                self.part(*agent, |p| (p.left_at, p.missed) = (Some(at), Some(*why)));
            }
            What::Accepted(agent) => {
                self.offers.clear();
                self.agent = Some(*agent);
                self.suspended = false;
                self.heard_at = at;
                self.answered_at.get_or_insert(at);
                self.part(*agent, |p| p.accepted_at = Some(at));
            }
            What::Said(message) => {
                match message.from {
                    Side::Customer => {
                        self.from_customer += 1;
                        self.heard_at = at;
                    }
                    Side::Agent(_) => self.from_agents += 1,
                }
                if !message.key.is_empty() {
                    if self.keys.len() == KEYS {
                        self.keys.pop_front();
                    }
                    self.keys.push_back((message.from, message.key.clone(), fact.seq));
                }
            }
            What::Suspended => self.suspended = true,
            What::Resumed => {
                self.suspended = false;
                self.heard_at = at;
            }
            What::Released { agent, why } => {
                self.agent = None;
                self.suspended = false;
                if *why == Release::Transferred {
                    self.exclude(*agent, at);
                }
                self.part(*agent, |p| (p.left_at, p.released) = (Some(at), Some(*why)));
            }
            What::Ended { by, why } => self.ended = Some((at, *by, *why)),
        }
    }

    /// The number of a message that was said before under this name.
    pub fn said(&self, from: Side, key: &str) -> Option<u64> {
        let mut known = self.keys.iter();
        let found = known.find(|(f, k, _)| *f == from && k == key && !key.is_empty());
        found.map(|(_, _, seq)| *seq)
    }

    /// Messages of both sides.
    pub fn messages(&self) -> u32 {
        self.from_customer + self.from_agents
    }

    fn exclude(&mut self, agent: AgentId, at: Stamp) {
        self.excluded.retain(|(a, _)| *a != agent);
        self.excluded.push((agent, at));
    }

    fn part(&mut self, agent: AgentId, change: impl FnOnce(&mut Part)) {
        let open = self.parts.iter_mut().rev();
        if let Some(part) = open.filter(|p| p.left_at.is_none()).find(|p| p.agent == agent) {
            change(part);
        }
    }
}
