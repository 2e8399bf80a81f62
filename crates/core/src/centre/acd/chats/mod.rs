//! Chats in the distributor: which chat is offered to which agent, and what becomes of it (domain-model §4.5, §5.6).
//!
//! All that is known of a chat is a fold of the facts that are made here, and all that is counted beside it (who waits
//! where, what an agent has) follows from the difference that a fact makes, in [`Acd::moved`]. So a restarted process counts
//! as the one before did.
//!
//! Facts only mark agents and queues as touched; [`Acd::settle_chats`] looks at them afterwards, until nothing is left to do.
//!
//! Cost: an offer looks at the free agents of one queue in the order of its strategy, and at the first 64 chats that wait.

mod book;
mod command;
#[cfg(test)]
mod random;
#[cfg(test)]
mod tests;

pub(super) use book::Book;

use super::line::{Key, Line, Order};
use super::{Acd, Output, Post, Strategy, Wake};
use crate::centre::agent::{DeviceMode, Input as AgentInput, State as AgentState};
use crate::centre::resource::{Overflow, Queue};
use crate::chat::{Chat, CloseBy, End, Entry, Fact, IDLE_SECS, Missed, Release, SILENT_SECS, State, What};
use crate::id::{AgentId, ConversationId, QueueId};
use crate::time::Stamp;
use std::collections::BTreeSet;

/// How soon a queue is looked at again whose chats no free agent may have yet.
const AGAIN_MS: u64 = 1_000;
/// Chats behind the first that are looked at if nobody may have the first ones.
const LOOKED_AT: usize = 64;
/// Agents that one chat is offered to at once.
const OFFERED_AT_ONCE: usize = 64;
/// Queues that a chat is passed on through before it is ended: two that overflow into one another must not turn for ever.
const HOPS: u8 = 8;
/// Misses in a row after which an agent is offered chats no more (C6).
const MISSES: u8 = 3;

/// What an agent has in its chat slot.
#[derive(Clone, Debug, Default)]
pub(super) struct Load {
    /// Chats that it has.
    pub open: BTreeSet<ConversationId>,
    /// Chats that it is offered.
    pub offered: BTreeSet<ConversationId>,
    /// Where it stands among the free agents of its queues.
    keys: Vec<(QueueId, u8, Key)>,
    /// When it took or left a chat last.
    at: Stamp,
    offered_at: Stamp,
    taken: u32,
    misses: u8,
}

/// The chat slot of an agent, as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChatLoad {
    /// Chats that it has.
    pub open: u32,
    /// Chats that it is offered.
    pub offered: u32,
    /// Chats that it may have at once.
    pub capacity: u8,
    /// Takes chats at all.
    pub takes: bool,
    /// Could be offered one now.
    pub free: bool,
}

/// Where a chat is counted.
struct Footprint {
    waits: Option<(QueueId, u8, Order)>,
    offered_in: Option<QueueId>,
    offered: Vec<AgentId>,
    agent: Option<AgentId>,
}

fn order(chat: &Chat) -> Order {
    (!chat.front, chat.since, chat.id)
}

fn footprint(chat: &Chat) -> Footprint {
    let state = chat.state();
    let open = state != State::Ended;
    Footprint {
        waits: chat
            .queue
            .filter(|_| state == State::Queued)
            .map(|q| (q, chat.opening.priority, order(chat))),
        offered_in: chat.queue.filter(|_| state == State::Offered),
        offered: if open {
            chat.offers.iter().map(|o| o.agent).collect()
        } else {
            Vec::new()
        },
        agent: chat.agent.filter(|_| open),
    }
}

/// Where an agent stands in a queue's order of chats. Chats are spread: what counts as idle is the time since the newest one.
fn key(queue: &Queue, post: &Post, level: u8) -> Key {
    let id = post.config.id;
    let idle = post.machine.idle_since().max(post.chats.at).0;
    match queue.strategy {
        Strategy::MostSkilled | Strategy::RingAll => (-i64::from(level), idle, id),
        Strategy::LongestIdle => (0, idle, id),
        Strategy::RoundRobin => (0, post.chats.offered_at.0, id),
        Strategy::FewestCalls => (i64::from(post.chats.taken), idle, id),
        Strategy::Sequential => (post.config.extension.parse().unwrap_or(i64::MAX), 0, id),
    }
}

impl Acd {
    // --- what may be offered ---------------------------------------------------------------------------------------

    fn capacity(&self, post: &Post) -> usize {
        let own = post.config.chat_capacity;
        usize::from(own.unwrap_or_else(|| self.settings(post.config.application).chat_capacity))
    }

    /// C1, C2, C4: a new chat may be offered, room left aside.
    fn may_take(&self, post: &Post) -> bool {
        let (m, o) = (&post.machine, post.machine.overlays());
        let there = m.has_client() && !o.lost && o.mode == DeviceMode::Devices && !o.call_only && !o.no_chats;
        let talking = self.settings(post.config.application).chat_while_talking;
        there
            && match m.state() {
                AgentState::Ready => true,
                AgentState::WrapUp => talking,
                s if s.is_engaged() => talking && m.state_before() == AgentState::Ready,
                _ => false,
            }
    }

    /// C5: what is offered already may stay while a call is only offered too.
    fn may_keep(&self, post: &Post) -> bool {
        let (m, o) = (&post.machine, post.machine.overlays());
        let rung = matches!(m.state(), AgentState::Reserved | AgentState::Ringing);
        let offered = m.ticket().is_some_and(|(_, part)| part.is_offer());
        self.may_take(post)
            || rung && offered && m.state_before() == AgentState::Ready && !o.lost && !o.call_only && !o.no_chats
    }

    fn has_room(&self, post: &Post) -> bool {
        post.chats.open.len() + post.chats.offered.len() < self.capacity(post)
    }

    /// C3: with this setting off, a call is offered only to an agent without chats.
    pub(super) fn chats_bar_calls(&self, post: &Post) -> bool {
        !post.chats.open.is_empty() && !self.settings(post.config.application).voice_during_chat
    }

    /// The chat slot of an agent.
    pub fn chat_load(&self, agent: AgentId) -> Option<ChatLoad> {
        let post = self.agents.get(&agent)?;
        Some(ChatLoad {
            open: post.chats.open.len() as u32,
            offered: post.chats.offered.len() as u32,
            capacity: self.capacity(post) as u8,
            takes: !post.machine.overlays().no_chats,
            free: self.may_take(post) && self.has_room(post),
        })
    }

    /// A chat that is open.
    pub fn chat(&self, id: ConversationId) -> Option<&Chat> {
        self.book.chats.get(&id).map(|e| &e.chat)
    }

    /// The chats that are open, in no order.
    pub fn chats(&self) -> impl Iterator<Item = &Chat> {
        self.book.chats.values().map(|e| &e.chat)
    }

    /// Chats that wait in a queue, and that are offered from it.
    pub fn chats_waiting(&self, queue: QueueId) -> (u32, u32) {
        let line = self.book.lines.get(&queue);
        line.map_or((0, 0), |l| (l.len() as u32, l.offered))
    }

    // --- facts -----------------------------------------------------------------------------------------------------

    /// The next fact of a chat; its number.
    fn chat_fact(&mut self, id: ConversationId, what: What, now: Stamp) -> u64 {
        let Some(entry) = self.book.chats.get_mut(&id) else {
            return 0;
        };
        let before = footprint(&entry.chat);
        let seq = entry.chat.seq + 1;
        let fact = Fact {
            chat: id,
            seq,
            at: now,
            what,
        };
        entry.chat.apply(&fact);
        let after = footprint(&entry.chat);
        let over = entry.chat.ended.is_some();
        self.out.push(Output::Chat(Box::new(fact)));
        self.moved(id, Some(before), &after);
        self.wake_chat(id);
        if over && let Some(entry) = self.book.chats.remove(&id) {
            self.out.push(Output::ChatEnded(Box::new(entry.chat)));
        }
        seq
    }

    /// Counts a chat where it is now and no longer where it was.
    fn moved(&mut self, id: ConversationId, before: Option<Footprint>, after: &Footprint) {
        if let Some(b) = &before {
            if let Some((queue, priority, order)) = &b.waits
                && let Some(line) = self.book.lines.get_mut(queue)
            {
                line.take(*priority, order);
            }
            if let Some(line) = b.offered_in.and_then(|q| self.book.lines.get_mut(&q)) {
                line.offered = line.offered.saturating_sub(1);
            }
        }
        if let Some((queue, priority, order)) = &after.waits
            && let Some(line) = self.book.lines.get_mut(queue)
        {
            line.add(*priority, *order);
            self.book.stale.insert(*queue);
        }
        if let Some(line) = after.offered_in.and_then(|q| self.book.lines.get_mut(&q)) {
            line.offered += 1;
        }
        let b = before.as_ref();
        let mut touched: BTreeSet<AgentId> = b.iter().flat_map(|b| b.offered.iter().copied()).collect();
        touched.extend(after.offered.iter().copied());
        touched.extend(b.and_then(|b| b.agent));
        touched.extend(after.agent);
        for agent in touched {
            if let Some(post) = self.agents.get_mut(&agent) {
                if after.offered.contains(&agent) {
                    post.chats.offered.insert(id);
                } else {
                    post.chats.offered.remove(&id);
                }
                if after.agent == Some(agent) {
                    post.chats.open.insert(id);
                } else {
                    post.chats.open.remove(&id);
                }
            }
            self.book.touched.insert(agent);
        }
    }

    fn wake_chat(&mut self, id: ConversationId) {
        let Some(entry) = self.book.chats.get(&id) else { return };
        let chat = &entry.chat;
        let due = match chat.state() {
            State::Ended => None,
            State::Offered => chat.offers.iter().map(|o| o.until).min(),
            State::Active => Some(chat.heard_at.plus_secs(SILENT_SECS)),
            State::Suspended => Some(chat.heard_at.plus_secs(IDLE_SECS)),
            State::Queued => {
                let line = chat.queue.and_then(|q| self.book.lines.get(&q));
                let secs = line.map_or(0, |l| l.config.max_wait_secs);
                (secs > 0).then(|| chat.entered_at.plus_secs(secs.into()))
            }
        };
        if entry.wake == due {
            return;
        }
        if let Some(at) = entry.wake {
            self.wakes.remove(&(at, Wake::Chat(id)));
        }
        if let Some(at) = due {
            self.wakes.insert((at, Wake::Chat(id)));
        }
        if let Some(entry) = self.book.chats.get_mut(&id) {
            entry.wake = due;
        }
    }

    /// A moment that a chat waited for has come.
    pub(super) fn chat_due(&mut self, id: ConversationId, now: Stamp) {
        let Some(entry) = self.book.chats.get_mut(&id) else {
            return;
        };
        entry.wake = None;
        match entry.chat.state() {
            State::Offered => {
                let offers = entry.chat.offers.iter();
                let late: Vec<AgentId> = offers.filter(|o| o.until <= now).map(|o| o.agent).collect();
                for agent in late {
                    self.unoffer(id, agent, Missed::Expired, now);
                    self.missed_chat(agent, now);
                }
            }
            State::Active => {
                self.chat_fact(id, What::Suspended, now);
            }
            State::Suspended => self.end_chat(id, CloseBy::Timer, End::Idle, now),
            State::Queued => self.chat_overflows(id, End::QueueTimeout, 0, now),
            State::Ended => {}
        }
        self.wake_chat(id);
    }

    /// C6: the third miss in a row, and the agent is offered chats no more until it says so.
    fn missed_chat(&mut self, agent: AgentId, now: Stamp) {
        let Some(post) = self.agents.get_mut(&agent) else {
            return;
        };
        post.chats.misses += 1;
        if post.chats.misses < MISSES {
            return;
        }
        post.chats.misses = 0;
        if let Ok(changed) = post.machine.handle(AgentInput::TakesChats(false), now) {
            self.take_in(agent, changed, now);
        }
    }

    /// Ends an open offer; without another one the chat waits again.
    fn unoffer(&mut self, id: ConversationId, agent: AgentId, why: Missed, now: Stamp) {
        let Some(chat) = self.chat(id) else { return };
        let Some(offer) = chat.offers.iter().find(|o| o.agent == agent).copied() else {
            return;
        };
        let queue = chat.queue;
        self.chat_fact(id, What::Unoffered { agent, why }, now);
        if offer.direct {
            // Who serves the agent's group has it, as with a call (§8).
            match self.fallback(agent, queue) {
                Some(queue) => self.queue_chat(id, queue, true, Entry::Unanswered, 0, now),
                None => self.end_chat(id, CloseBy::Admin, End::Unstaffed, now),
            }
        }
    }

    /// The queue for chats that an agent did not take: the one that they came from, if it serves it.
    fn fallback(&self, agent: AgentId, from: Option<QueueId>) -> Option<QueueId> {
        let serves = |queue: &QueueId| {
            let group = self.book.lines.get(queue).map(|l| l.config.group);
            let post = self.agents.get(&agent);
            group.is_some_and(|g| post.is_some_and(|p| p.config.level(g).is_some()))
        };
        let known = from.filter(|q| self.book.lines.contains_key(q));
        let own = || self.book.lines.keys().filter(|q| serves(q)).min().copied();
        known.filter(serves).or_else(own).or(known)
    }

    // --- queues ----------------------------------------------------------------------------------------------------

    fn is_staffed(&self, queue: &Queue) -> bool {
        let levels = self.on_duty.get(&queue.group);
        levels.is_some_and(|l| l.iter().any(|n| *n > 0))
    }

    /// Lets a chat wait, or passes it on at once if the queue cannot keep it.
    fn queue_chat(&mut self, id: ConversationId, queue: QueueId, front: bool, why: Entry, hops: u8, now: Stamp) {
        let Some(line) = self.book.lines.get(&queue) else {
            return self.end_chat(id, CloseBy::Admin, End::QueueClosed, now);
        };
        let most = line.config.max_length as usize;
        // What was in the queue before has its place in it.
        let full = most > 0 && line.len() >= most && matches!(why, Entry::New | Entry::Overflowed);
        let unstaffed = !self.is_staffed(&line.config) && (line.config.overflow_unstaffed || why == Entry::SignedOut);
        self.chat_fact(id, What::Queued { queue, front, why }, now);
        if full {
            self.chat_overflows(id, End::QueueFull, hops, now);
        } else if unstaffed {
            self.chat_overflows(id, End::Unstaffed, hops, now);
        }
    }

    /// A chat can wait no longer: it goes to the queue's overflow if that is a queue, and ends otherwise.
    fn chat_overflows(&mut self, id: ConversationId, why: End, hops: u8, now: Stamp) {
        let Some(queue) = self.chat(id).and_then(|c| c.queue) else {
            return;
        };
        let to = match self.book.lines.get(&queue).map(|l| &l.config.overflow) {
            Some(Overflow::Queue(to)) if *to != queue && hops < HOPS && self.book.lines.contains_key(to) => *to,
            _ => {
                let by = if why == End::QueueTimeout {
                    CloseBy::Timer
                } else {
                    CloseBy::Admin
                };
                return self.end_chat(id, by, why, now);
            }
        };
        self.queue_chat(id, to, false, Entry::Overflowed, hops + 1, now);
    }

    fn end_chat(&mut self, id: ConversationId, by: CloseBy, why: End, now: Stamp) {
        let Some(chat) = self.chat(id) else { return };
        let offered: Vec<AgentId> = chat.offers.iter().map(|o| o.agent).collect();
        let holder = chat.agent;
        for agent in offered {
            let why = Missed::Withdrawn;
            self.chat_fact(id, What::Unoffered { agent, why }, now);
        }
        if let Some(agent) = holder {
            self.left_chat(agent, now);
            let why = Release::Ended;
            self.chat_fact(id, What::Released { agent, why }, now);
        }
        self.chat_fact(id, What::Ended { by, why }, now);
    }

    fn left_chat(&mut self, agent: AgentId, now: Stamp) {
        if let Some(post) = self.agents.get_mut(&agent) {
            post.chats.at = now;
        }
    }

    // --- offers ----------------------------------------------------------------------------------------------------

    /// Looks at what was touched, until nothing is left to do.
    pub(super) fn settle_chats(&mut self, now: Stamp) {
        loop {
            if let Some(agent) = self.book.touched.pop_first() {
                self.look_at_chats_of(agent, now);
            } else if let Some(queue) = self.book.stale.pop_first() {
                self.route_chats(queue, now);
            } else {
                return;
            }
        }
    }

    /// An agent, or what it has, is another one.
    fn look_at_chats_of(&mut self, id: AgentId, now: Stamp) {
        let Some(post) = self.agents.get(&id) else { return };
        if !post.machine.is_on_duty() {
            // C4, and 37 after the grace time.
            let open: Vec<ConversationId> = post.chats.open.iter().copied().collect();
            for chat in open {
                self.hand_back(chat, id, now);
            }
        }
        let Some(post) = self.agents.get(&id) else { return };
        let room = self.capacity(post).saturating_sub(post.chats.open.len());
        let keep = if self.may_keep(post) { room } else { 0 };
        let surplus: Vec<ConversationId> = post.chats.offered.iter().skip(keep).copied().collect();
        for chat in surplus {
            self.unoffer(chat, id, Missed::Withdrawn, now);
        }
        self.index_chats(id);
        let Some(post) = self.agents.get(&id) else { return };
        if !self.settings(post.config.application).voice_during_chat {
            // C3: the last chat is over, or the first one begun.
            let free = post.machine.is_offerable();
            self.index(id, now);
            if free {
                self.match_agent(id, now);
            }
        }
    }

    fn index_chats(&mut self, id: AgentId) {
        let Some(post) = self.agents.get(&id) else { return };
        let mut keys = Vec::new();
        if self.may_take(post) && self.has_room(post) {
            for group in post.machine.groups() {
                let Some(level) = post.config.level(*group) else {
                    continue;
                };
                for queue in self.served.get(group).into_iter().flatten() {
                    let Some(line) = self.book.lines.get(queue) else {
                        continue;
                    };
                    keys.push((*queue, level, key(&line.config, post, level)));
                }
            }
        }
        let Some(post) = self.agents.get_mut(&id) else { return };
        if keys == post.chats.keys {
            return;
        }
        let old = std::mem::replace(&mut post.chats.keys, keys.clone());
        for (queue, level, key) in old {
            if let Some(line) = self.book.lines.get_mut(&queue) {
                line.free.remove(level, &key);
            }
        }
        for (queue, level, key) in keys {
            if let Some(line) = self.book.lines.get_mut(&queue) {
                line.free.insert(level, key);
            }
            self.book.stale.insert(queue);
        }
    }

    /// An agent that went off duty gives a chat back: it is the first that the next one is offered.
    fn hand_back(&mut self, id: ConversationId, agent: AgentId, now: Stamp) {
        let queue = self.chat(id).and_then(|c| c.queue);
        let queue = queue.filter(|q| self.book.lines.contains_key(q));
        self.left_chat(agent, now);
        let why = Release::SignedOut;
        self.chat_fact(id, What::Released { agent, why }, now);
        match queue.or_else(|| self.fallback(agent, None)) {
            Some(queue) => self.queue_chat(id, queue, true, Entry::SignedOut, 0, now),
            None => self.end_chat(id, CloseBy::Admin, End::QueueClosed, now),
        }
    }

    /// Chats of a queue to its free agents, while both are there.
    fn route_chats(&mut self, queue: QueueId, now: Stamp) {
        let Some(line) = self.book.lines.get(&queue) else {
            return;
        };
        if line.len() == 0 {
            return;
        }
        if line.config.overflow_unstaffed && !self.is_staffed(&line.config) {
            for id in line.in_order() {
                self.chat_overflows(id, End::Unstaffed, 0, now);
            }
            return;
        }
        'next: loop {
            let Some(line) = self.book.lines.get(&queue) else {
                return;
            };
            if line.len() == 0 || line.free.is_empty() {
                return;
            }
            let heads: Vec<ConversationId> = line.best_first(now).take(LOOKED_AT).collect();
            for id in heads {
                if self.offer_chat(id, now) {
                    continue 'next;
                }
            }
            break;
        }
        // Chats wait and agents are free, but they may not have one another yet: time will change that.
        if let Some(line) = self.book.lines.get_mut(&queue)
            && line.again.is_none()
        {
            let at = now.plus_ms(AGAIN_MS);
            line.again = Some(at);
            self.wakes.insert((at, Wake::ChatsAgain(queue)));
        }
    }

    pub(super) fn route_chats_again(&mut self, queue: QueueId) {
        if let Some(line) = self.book.lines.get_mut(&queue) {
            line.again = None;
        }
        self.book.stale.insert(queue);
    }

    fn is_barred(&self, line: &Line, chat: &Chat, agent: AgentId, now: Stamp) -> bool {
        let Some((_, at)) = chat.excluded.iter().find(|(a, _)| *a == agent) else {
            return false;
        };
        let settings = self.settings(line.config.application);
        let levels = self.on_duty.get(&line.config.group);
        let secs = if levels.is_some_and(|l| l.iter().sum::<u32>() <= 1) {
            settings.exclusion_alone_secs
        } else {
            settings.exclusion_secs
        };
        now.ms_since(*at) < u64::from(secs) * 1000
    }

    /// Whom a waiting chat is offered to, by its queue's strategy.
    fn choose_for(&self, line: &Line, chat: &Chat, now: Stamp) -> Vec<AgentId> {
        let demanded = self.demanded(line, chat.since, now);
        let fits = |id: &AgentId| !self.is_barred(line, chat, *id, now);
        if let Some(last) = self.last_chat_agent(line, chat, now) {
            return vec![last];
        }
        let most = match line.config.strategy {
            Strategy::RingAll => OFFERED_AT_ONCE,
            _ => 1,
        };
        line.free.from(demanded).filter(fits).take(most).collect()
    }

    /// The agent that had this customer's last call or chat, if it may have this one.
    fn last_chat_agent(&self, line: &Line, chat: &Chat, now: Stamp) -> Option<AgentId> {
        let sticky = u64::from(line.config.sticky_secs) * 1000;
        if sticky == 0 || chat.opening.customer.is_empty() {
            return None;
        }
        let name = (line.config.application, chat.opening.customer.clone());
        let (agent, at) = self.last_agents.get(&name)?;
        let free = line.free.iter().any(|a| a == *agent);
        (now.ms_since(*at) <= sticky && free && !self.is_barred(line, chat, *agent, now)).then_some(*agent)
    }

    /// Offers a waiting chat; false if nobody may have it now.
    fn offer_chat(&mut self, id: ConversationId, now: Stamp) -> bool {
        let Some(chat) = self.chat(id).filter(|c| c.state() == State::Queued) else {
            return false;
        };
        let Some(line) = chat.queue.and_then(|q| self.book.lines.get(&q)) else {
            return false;
        };
        let chosen = self.choose_for(line, chat, now);
        for agent in &chosen {
            self.make_offer(id, *agent, false, now);
        }
        !chosen.is_empty()
    }

    fn make_offer(&mut self, id: ConversationId, agent: AgentId, direct: bool, now: Stamp) {
        let Some(post) = self.agents.get(&agent) else { return };
        let settings = self.settings(post.config.application);
        let queue = self.chat(id).and_then(|c| c.queue);
        let own = queue.and_then(|q| self.book.lines.get(&q)?.config.ring_secs);
        let secs = u64::from(own.unwrap_or(settings.ring_secs)).clamp(5, 600);
        if let Some(post) = self.agents.get_mut(&agent) {
            post.chats.offered_at = now;
        }
        let until = now.plus_secs(secs);
        self.chat_fact(id, What::Offered { agent, until, direct }, now);
        // The next one sees what this one left.
        self.index_chats(agent);
    }
}
