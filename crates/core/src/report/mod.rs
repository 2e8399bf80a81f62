//! Reports and boards of a contact centre: folds of what was journalled, so that they can be made again from the journal
//! alone. Every formula is written down, with an example, in docs/reports.md.
//!
//! A [`Ledger`] takes facts in the order of the journal and keeps a row for each queue, agent and number in each
//! interval. Counts of a queued call are filed in the interval in which it entered its queue, those of an agent's part in a
//! call in the interval in which it was offered or placed; the time of agents' states is divided among the intervals in
//! which it passed.

pub mod csv;
pub mod fact;
pub mod feed;
pub mod interval;
pub mod journal;
pub mod live;
pub mod rows;
#[cfg(test)]
mod tests;

pub use fact::{AgentFact, CallEvent, CallFact, Exit, Fact, PartEvent, PartFact, QueueEvent, QueueFact, Thresholds};
pub use feed::Feed;
pub use interval::{Interval, Slice};
pub use rows::{AgentRow, NumberRow, QueueRow, Slot};

use crate::centre::agent::State;
use crate::id::{AgentId, ConversationId, QueueId};
use crate::number::Number;
use crate::route::Zone;
use crate::time::Stamp;
use std::collections::{BTreeMap, BTreeSet};

/// A call in a queue.
#[derive(Clone, Debug, PartialEq)]
struct Waiting {
    since: Stamp,
    filed: Slice,
    thresholds: Thresholds,
}

/// An agent's part in a call.
#[derive(Clone, Debug, PartialEq)]
struct Part {
    queue: Option<QueueId>,
    filed: Slice,
    accepted: Option<Stamp>,
    held_since: Option<Stamp>,
    hold_ms: u64,
    left: Option<Stamp>,
}

/// A call of a number.
#[derive(Clone, Debug, PartialEq)]
struct Open {
    number: Number,
    filed: Slice,
    began: Stamp,
    answered: Option<Stamp>,
}

/// The fold.
#[derive(Clone, Debug)]
pub struct Ledger {
    interval: Interval,
    zone: Zone,
    queues: BTreeMap<(Slice, QueueId), QueueRow>,
    agents: BTreeMap<(Slice, AgentId), AgentRow>,
    numbers: BTreeMap<(Slice, Number), NumberRow>,
    waiting: BTreeMap<(QueueId, ConversationId), Waiting>,
    line: BTreeMap<QueueId, BTreeSet<(Stamp, ConversationId)>>,
    parts: BTreeMap<(AgentId, ConversationId), Part>,
    states: BTreeMap<AgentId, (State, Stamp)>,
    calls: BTreeMap<ConversationId, Open>,
    /// Rows of earlier intervals are forgotten.
    first: Option<Slice>,
}

impl Ledger {
    /// A ledger without rows, for intervals of this length in this zone.
    pub fn new(interval: Interval, zone: Zone) -> Ledger {
        Ledger {
            interval,
            zone,
            queues: BTreeMap::new(),
            agents: BTreeMap::new(),
            numbers: BTreeMap::new(),
            waiting: BTreeMap::new(),
            line: BTreeMap::new(),
            parts: BTreeMap::new(),
            states: BTreeMap::new(),
            calls: BTreeMap::new(),
            first: None,
        }
    }

    /// Takes in what happened next.
    pub fn add(&mut self, fact: &Fact) {
        match fact {
            Fact::Queue(fact) => self.queue(fact),
            Fact::Part(fact) => self.part(fact),
            Fact::Agent(fact) => self.agent(fact),
            Fact::Call(fact) => self.call(fact),
        }
    }

    fn slice(&self, at: Stamp) -> Slice {
        Slice::of(at, self.interval, &self.zone)
    }

    fn queue(&mut self, fact: &QueueFact) {
        let key = (fact.queue, fact.conversation);
        let filed = self.slice(fact.at);
        match fact.what {
            QueueEvent::Entered(thresholds) => {
                if self.waiting.contains_key(&key) {
                    // Returned to its place after an offer that came to nothing: it never left.
                    return;
                }
                self.queues.entry((filed, fact.queue)).or_default().offered += 1;
                let line = self.line.entry(fact.queue).or_default();
                line.insert((fact.at, fact.conversation));
                let since = fact.at;
                let waiting = Waiting {
                    since,
                    filed,
                    thresholds,
                };
                self.waiting.insert(key, waiting);
            }
            QueueEvent::Answered | QueueEvent::Left(_) => {
                let Some(waiting) = self.waiting.remove(&key) else {
                    return;
                };
                if let Some(line) = self.line.get_mut(&fact.queue) {
                    line.remove(&(waiting.since, fact.conversation));
                }
                let waited = fact.at.ms_since(waiting.since);
                let row = self.queues.entry((waiting.filed, fact.queue)).or_default();
                row.longest_wait_ms = row.longest_wait_ms.max(waited);
                match fact.what {
                    QueueEvent::Answered => {
                        row.answered += 1;
                        row.wait_answered_ms += waited;
                        row.in_time += u64::from(waited <= waiting.thresholds.service_ms);
                    }
                    QueueEvent::Left(Exit::Abandoned) if waited < waiting.thresholds.short_ms => row.short += 1,
                    QueueEvent::Left(Exit::Abandoned) => {
                        row.abandoned += 1;
                        row.wait_abandoned_ms += waited;
                    }
                    QueueEvent::Left(Exit::TimedOut) => row.timed_out += 1,
                    QueueEvent::Left(Exit::Full) => row.full += 1,
                    QueueEvent::Left(Exit::Unstaffed) => row.unstaffed += 1,
                    QueueEvent::Left(Exit::Callback) => row.callbacks += 1,
                    QueueEvent::Left(Exit::Moved) => row.moved += 1,
                    QueueEvent::Entered(_) => {}
                }
            }
        }
    }

    fn part(&mut self, fact: &PartFact) {
        let at = fact.at;
        let begins = matches!(fact.what, PartEvent::Offered | PartEvent::Placed);
        if begins {
            let part = Part {
                queue: fact.queue,
                filed: self.slice(at),
                accepted: None,
                held_since: None,
                hold_ms: 0,
                left: None,
            };
            let row = self.agents.entry((part.filed, fact.agent)).or_default();
            match fact.what {
                PartEvent::Offered => row.offers += 1,
                _ => row.placed += 1,
            }
            // The telephone of an offer that was given up may confirm that when its agent is at the next one already; a part
            // that was left has no wrap-up to come any more.
            self.parts
                .retain(|(agent, _), p| *agent != fact.agent || p.left.is_none());
            self.parts.insert((fact.agent, fact.conversation), part);
            return;
        }
        let Some(part) = self.parts.get_mut(&(fact.agent, fact.conversation)) else {
            return;
        };
        let row = self.agents.entry((part.filed, fact.agent)).or_default();
        let mut none = QueueRow::default();
        let of_queue = match part.queue {
            Some(queue) => self.queues.entry((part.filed, queue)).or_default(),
            None => &mut none,
        };
        let over = match fact.what {
            PartEvent::Offered | PartEvent::Placed => false,
            PartEvent::Missed => {
                row.missed += 1;
                of_queue.missed += 1;
                true
            }
            PartEvent::Rejected => {
                row.rejected += 1;
                of_queue.rejected += 1;
                true
            }
            PartEvent::Withdrawn => true,
            PartEvent::Accepted => {
                if part.accepted.is_none() {
                    part.accepted = Some(at);
                    row.handled += 1;
                    of_queue.handled += 1;
                }
                false
            }
            PartEvent::Held => {
                part.held_since = part.held_since.or(Some(at));
                false
            }
            PartEvent::Retrieved => {
                if let Some(since) = part.held_since.take() {
                    part.hold_ms += at.ms_since(since);
                }
                false
            }
            PartEvent::Left { transferred } => {
                if let Some(since) = part.held_since.take() {
                    part.hold_ms += at.ms_since(since);
                }
                if let (Some(accepted), None) = (part.accepted, part.left) {
                    let whole = at.ms_since(accepted);
                    let hold = part.hold_ms.min(whole);
                    for (talk_ms, hold_ms) in [
                        (&mut row.talk_ms, &mut row.hold_ms),
                        (&mut of_queue.talk_ms, &mut of_queue.hold_ms),
                    ] {
                        *talk_ms += whole - hold;
                        *hold_ms += hold;
                    }
                    row.transfers += u64::from(transferred);
                    of_queue.transfers += u64::from(transferred);
                }
                part.left = Some(at);
                // Kept for its wrap-up, if the call was taken.
                part.accepted.is_none()
            }
            PartEvent::WrappedUp => {
                if let Some(left) = part.left {
                    let wrap = at.ms_since(left);
                    row.wrap_ms += wrap;
                    of_queue.wrap_ms += wrap;
                }
                true
            }
        };
        if over {
            self.parts.remove(&(fact.agent, fact.conversation));
        }
    }

    fn agent(&mut self, fact: &AgentFact) {
        if let Some((state, since)) = self.states.insert(fact.agent, (fact.state, fact.at)) {
            // A stamp that runs backwards takes no time away.
            if fact.at < since {
                self.states.insert(fact.agent, (fact.state, since));
            }
            spend(
                &mut self.agents,
                (self.interval, &self.zone),
                fact.agent,
                state,
                (since, fact.at),
            );
        }
    }

    fn call(&mut self, fact: &CallFact) {
        match &fact.what {
            CallEvent::Began { number, incoming } => {
                let filed = self.slice(fact.at);
                let row = self.numbers.entry((filed, number.clone())).or_default();
                if *incoming {
                    row.incoming += 1;
                } else {
                    row.outgoing += 1;
                }
                let open = Open {
                    number: number.clone(),
                    filed,
                    began: fact.at,
                    answered: None,
                };
                self.calls.insert(fact.conversation, open);
            }
            CallEvent::Answered => {
                if let Some(open) = self.calls.get_mut(&fact.conversation).filter(|o| o.answered.is_none()) {
                    open.answered = Some(fact.at);
                    let row = self.numbers.entry((open.filed, open.number.clone())).or_default();
                    row.answered += 1;
                    row.wait_ms += fact.at.ms_since(open.began);
                }
            }
            CallEvent::Ended => {
                let Some(open) = self.calls.remove(&fact.conversation) else {
                    return;
                };
                let row = self.numbers.entry((open.filed, open.number)).or_default();
                match open.answered {
                    Some(answered) => row.talk_ms += fact.at.ms_since(answered),
                    None => row.unanswered += 1,
                }
            }
        }
    }

    /// What is filed under a forgotten interval later is a part of its row only, and not shown.
    fn kept(&self, slice: Slice) -> bool {
        self.first.is_none_or(|first| first <= slice)
    }

    /// The rows of queues, by interval and queue.
    pub fn queues(&self) -> impl Iterator<Item = ((Slice, QueueId), &QueueRow)> {
        let all = self.queues.iter().filter(|((slice, _), _)| self.kept(*slice));
        all.map(|(key, row)| (*key, row))
    }

    /// The rows of all queues together, by interval.
    pub fn hours(&self) -> BTreeMap<Slice, QueueRow> {
        let mut all: BTreeMap<Slice, QueueRow> = BTreeMap::new();
        for ((slice, _), row) in self.queues() {
            all.entry(slice).or_default().merge(row);
        }
        all
    }

    /// The rows of agents, by interval and agent, as they are at `now`: the time of the present states is in them.
    pub fn agents(&self, now: Stamp) -> BTreeMap<(Slice, AgentId), AgentRow> {
        let mut rows = self.agents.clone();
        for (agent, (state, since)) in &self.states {
            spend(&mut rows, (self.interval, &self.zone), *agent, *state, (*since, now));
        }
        rows.retain(|(slice, _), _| self.kept(*slice));
        rows
    }

    /// The rows of numbers, by interval and number.
    pub fn numbers(&self) -> impl Iterator<Item = (Slice, &Number, &NumberRow)> {
        let all = self.numbers.iter().filter(|((slice, _), _)| self.kept(*slice));
        all.map(|((slice, number), row)| (*slice, number, row))
    }

    /// Forgets the rows of intervals that are over at a time; what is still going on stays.
    pub fn forget_before(&mut self, at: Stamp) {
        let first = self.slice(at).max(self.first.unwrap_or(Slice::MIN));
        self.first = Some(first);
        self.queues.retain(|(slice, _), _| *slice >= first);
        self.agents.retain(|(slice, _), _| *slice >= first);
        self.numbers.retain(|(slice, _), _| *slice >= first);
    }
}

/// Puts the time of a state into the intervals in which it passed.
fn spend(
    rows: &mut BTreeMap<(Slice, AgentId), AgentRow>,
    (interval, zone): (Interval, &Zone),
    agent: AgentId,
    state: State,
    (from, to): (Stamp, Stamp),
) {
    let slot = Slot::of(state);
    for (slice, ms) in interval::split(from, to, interval, zone) {
        let row = rows.entry((slice, agent)).or_default();
        row.state_ms[slot as usize] += ms;
    }
}
