//! One queue: who waits, and who is free for it.

use super::ranks::{Free, Waiting};
use super::{Post, Strategy};
use crate::centre::agent::Ticket;
use crate::centre::resource::Queue;
use crate::id::{AgentId, ConversationId, QueueId};
use crate::time::Stamp;
use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};

/// Handled calls that an estimate is judged by (§10.1).
const JUDGED_BY: usize = 20;

/// Order of a free agent: what comes first by the strategy, and the agent.
pub(super) type Key = (i64, i64, AgentId);

/// Order of a waiting call among those of its priority: the front first, then by first enqueue time.
pub(super) type Order = (bool, Stamp, ConversationId);

/// What decides between calls of several queues: the front, the aged priority, the age.
pub(super) type Rank = (bool, Reverse<u64>, Stamp);

/// A call in a queue, waiting or offered.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub queue: QueueId,
    pub caller: String,
    pub priority: u8,
    pub order: Order,
    /// When it entered this queue.
    pub entered: Stamp,
    /// Open offers; empty while it waits.
    pub offers: Vec<Ticket>,
    /// Who missed it, or handed it over, and when.
    pub excluded: Vec<(AgentId, Stamp)>,
    pub max_wait: Option<Stamp>,
    pub announce: Option<Stamp>,
    /// When it is offered to be called back.
    pub offer_callback: Option<Stamp>,
    /// It is the place of a customer who is called back.
    pub callback: bool,
}

impl Call {
    /// Since when it waits, over all queues.
    pub fn since(&self) -> Stamp {
        self.order.1
    }
}

/// A queue as it is now.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub config: Queue,
    waiting: BTreeMap<u8, Waiting>,
    len: usize,
    /// Calls that ring at an agent.
    pub offered: u32,
    /// Agents that could be offered a call, in the order of the strategy.
    pub free: Free,
    /// When the newest calls were answered.
    answered: VecDeque<Stamp>,
    /// Calls wait that free agents may not have yet: look again then.
    pub again: Option<Stamp>,
    /// Of those that wait, customers who are called back.
    pub callbacks: u32,
}

/// Place in the queue, and what is left of the wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// Place, from 1.
    pub place: u32,
    /// Seconds; `None` before two calls of the queue were answered.
    pub wait_secs: Option<u32>,
}

/// Where an agent stands in a queue's order.
pub(super) fn key(queue: &Queue, post: &Post, level: u8) -> Key {
    let id = post.config.id;
    let idle = post.machine.idle_since().0;
    match queue.strategy {
        Strategy::MostSkilled | Strategy::RingAll => (-i64::from(level), idle, id),
        Strategy::LongestIdle => (0, idle, id),
        Strategy::RoundRobin => (0, post.offered_at.0, id),
        Strategy::FewestCalls => (i64::from(post.calls), idle, id),
        Strategy::Sequential => (post.config.extension.parse().unwrap_or(i64::MAX), 0, id),
    }
}

impl Line {
    pub fn new(config: Queue) -> Line {
        Line {
            config,
            waiting: BTreeMap::new(),
            len: 0,
            offered: 0,
            free: Free::default(),
            answered: VecDeque::new(),
            again: None,
            callbacks: 0,
        }
    }

    /// Calls that wait.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn add(&mut self, priority: u8, order: Order) {
        if self.waiting.entry(priority).or_default().insert(order) {
            self.len += 1;
        }
    }

    pub fn take(&mut self, priority: u8, order: &Order) -> bool {
        let Some(class) = self.waiting.get_mut(&priority) else {
            return false;
        };
        let found = class.remove(order);
        if class.is_empty() {
            self.waiting.remove(&priority);
        }
        self.len -= usize::from(found);
        found
    }

    pub fn oldest(&self) -> Option<Stamp> {
        self.waiting.values().filter_map(Waiting::oldest).min()
    }

    /// The priority that waiting has made of the one that it came with.
    pub fn aged(&self, priority: u8, since: Stamp, now: Stamp) -> u64 {
        let ageing = u64::from(self.config.ageing_secs) * 1000;
        u64::from(priority) + now.ms_since(since).checked_div(ageing).unwrap_or(0)
    }

    /// The calls of each priority in their order, and the priority.
    pub fn classes(&self) -> impl Iterator<Item = (u8, &Waiting)> {
        self.waiting.iter().rev().map(|(p, c)| (*p, c))
    }

    /// Those that wait, best first: the front, the aged priority, the age. No more is looked at than is taken: within a
    /// class the order of the ages is the order of the ranks.
    pub fn best_first(&self, now: Stamp) -> impl Iterator<Item = ConversationId> {
        let mut classes: Vec<_> = self.classes().map(|(p, c)| (p, c.iter().peekable())).collect();
        std::iter::from_fn(move || {
            let mut best: Option<(Rank, ConversationId, usize)> = None;
            for (n, (priority, class)) in classes.iter_mut().enumerate() {
                let Some(order) = class.peek() else { continue };
                let head = (self.rank(*priority, order, now), order.2, n);
                if best.is_none_or(|b| head < b) {
                    best = Some(head);
                }
            }
            let (_, _, n) = best?;
            classes.get_mut(n)?.1.next().map(|o| o.2)
        })
    }

    /// What decides between calls of several classes, and of several queues.
    pub fn rank(&self, priority: u8, order: &Order, now: Stamp) -> Rank {
        (order.0, Reverse(self.aged(priority, order.1, now)), order.1)
    }

    /// All that wait, in order of priority and age.
    pub fn in_order(&self) -> Vec<ConversationId> {
        self.classes().flat_map(|(_, c)| c.iter().map(|o| o.2)).collect()
    }

    pub fn was_answered(&mut self, now: Stamp) {
        if self.answered.len() == JUDGED_BY {
            self.answered.pop_front();
        }
        self.answered.push_back(now);
    }

    /// The wait is the place times the time between the newest answers.
    pub fn estimate(&self, call: &Call) -> Option<Estimate> {
        let mut place = 1u32;
        for (priority, class) in self.classes() {
            if priority > call.priority {
                place += class.len() as u32;
            } else if priority == call.priority {
                place += class.before(&call.order) as u32;
            }
        }
        let span = match (self.answered.front(), self.answered.back()) {
            (Some(a), Some(b)) if self.answered.len() > 1 => {
                Some(b.ms_since(*a) / (self.answered.len() as u64 - 1) * u64::from(place) / 1000)
            }
            _ => None,
        };
        call.offers.is_empty().then_some(Estimate {
            place,
            wait_secs: span.map(|s| s.min(u64::from(u32::MAX)) as u32),
        })
    }
}
