//! The decisions: which call for an agent, which agent for a call.

use super::line::{Call, Line, Rank};
use super::trace::{Decision, NAMED, Passed, Verdict};
use super::{Acd, Enqueue, Held, Left, Offer, Output, Post, QueueFact, Queued, REMEMBERED, Strategy, Wake};
use crate::cause::Cause;
use crate::centre::agent::{self, Part, Ticket, Unanswered};
use crate::centre::resource::Overflow;
use crate::id::{AgentId, ConversationId, QueueId};
use crate::time::Stamp;

/// Calls behind the first that an agent looks at if it may not have the first ones.
const LOOKED_AT: usize = 64;
/// Agents that one call rings at once.
const RUNG_AT_ONCE: usize = 64;
/// A caller that rings at an agent is offered a callback so much later.
const OFFERED_AGAIN_SECS: u64 = 5;
/// How soon a queue is looked at again whose calls no free agent may have yet.
const AGAIN_MS: u64 = 1_000;

impl Acd {
    pub(super) fn queue_fact(&mut self, queue: QueueId, conversation: ConversationId, what: Queued, at: Stamp) {
        let callback = self.callback_of(conversation).is_some();
        self.out.push(Output::Queue(QueueFact {
            queue,
            conversation,
            at,
            what,
            callback,
        }));
    }

    // --- in and out ----------------------------------------------------------------------------------------------

    pub(super) fn enqueue(&mut self, new: Enqueue, now: Stamp) {
        // I16: in one queue at a time.
        if self.calls.contains_key(&new.conversation) {
            self.leave(new.conversation, Left::Abandoned, now);
        }
        let since = new.since.unwrap_or(now);
        let Some(line) = self.lines.get_mut(&new.queue) else {
            self.out.push(Output::Overflow {
                conversation: new.conversation,
                queue: new.queue,
                why: Left::Closed,
                to: Overflow::End,
                since,
                priority: new.priority.unwrap_or(0),
            });
            return;
        };
        let config = line.config.clone();
        let priority = new.priority.unwrap_or(config.priority);
        let call = Call {
            queue: config.id,
            caller: new.caller,
            priority,
            order: (!new.front, since, new.conversation),
            entered: now,
            offers: Vec::new(),
            excluded: new.not.map(|a| (a, now)).into_iter().collect(),
            max_wait: (config.max_wait_secs > 0).then(|| now.plus_secs(config.max_wait_secs.into())),
            announce: (config.announce_secs > 0).then(|| now.plus_secs(config.announce_secs.into())),
            offer_callback: config.callback_after().map(|secs| now.plus_secs(secs.into())),
            callback: false,
        };
        // Who is called back holds no line.
        let lines = line.len().saturating_sub(line.callbacks as usize);
        let full = config.max_length > 0 && lines >= config.max_length as usize;
        line.add(priority, call.order);
        if let Some(at) = call.max_wait {
            self.wakes.insert((at, Wake::MaxWait(new.conversation)));
        }
        if let Some(at) = call.announce {
            self.wakes.insert((at, Wake::Announce(new.conversation)));
        }
        if let Some(at) = call.offer_callback {
            self.wakes.insert((at, Wake::OfferCallback(new.conversation)));
        }
        self.calls.insert(new.conversation, call);
        self.queue_fact(config.id, new.conversation, Queued::Entered { priority, since }, now);
        let staffed = self
            .on_duty
            .get(&config.group)
            .is_some_and(|l| l.iter().any(|n| *n > 0));
        if full {
            return self.overflow(new.conversation, Left::Full, now);
        }
        if !staffed && config.overflow_unstaffed {
            return self.overflow(new.conversation, Left::Unstaffed, now);
        }
        self.route(config.id, now);
    }

    /// Takes a call off its queue; its offers are withdrawn.
    pub(super) fn leave(&mut self, conversation: ConversationId, how: Left, now: Stamp) {
        let Some(call) = self.calls.remove(&conversation) else {
            return;
        };
        if let Some(at) = call.max_wait {
            self.wakes.remove(&(at, Wake::MaxWait(conversation)));
        }
        if let Some(at) = call.announce {
            self.wakes.remove(&(at, Wake::Announce(conversation)));
        }
        if let Some(at) = call.offer_callback {
            self.wakes.remove(&(at, Wake::OfferCallback(conversation)));
        }
        if let Some(line) = self.lines.get_mut(&call.queue) {
            let waited = line.take(call.priority, &call.order);
            line.callbacks -= u32::from(waited && call.callback);
            line.offered -= u32::from(!call.offers.is_empty()).min(line.offered);
            if matches!(how, Left::Answered(_)) {
                line.was_answered(now);
            }
        }
        self.queue_fact(call.queue, conversation, Queued::Left(how), now);
        let cause = match how {
            Left::Answered(_) => Cause::AnsweredElsewhere,
            _ => Cause::Cancelled,
        };
        for ticket in call.offers {
            self.withdraw(ticket, conversation, cause, now);
        }
    }

    /// Ends an offer that is not wanted any more.
    fn withdraw(&mut self, ticket: Ticket, conversation: ConversationId, cause: Cause, now: Stamp) {
        let Some(held) = self.held.remove(ticket) else { return };
        self.out.push(Output::End {
            conversation,
            ticket,
            cause,
        });
        if let Some(post) = self.agents.get_mut(&held.agent)
            && let Ok(changed) = post.machine.handle(agent::Input::Withdraw(ticket), now)
        {
            self.take_in(held.agent, changed, now);
        }
    }

    pub(super) fn overflow(&mut self, conversation: ConversationId, why: Left, now: Stamp) {
        let Some(call) = self.calls.get(&conversation) else {
            return;
        };
        let (queue, since, priority) = (call.queue, call.since(), call.priority);
        let to = match self.lines.get(&queue) {
            // A queue that is its own overflow would turn for ever.
            Some(line) if why != Left::Closed && line.config.overflow != Overflow::Queue(queue) => {
                line.config.overflow.clone()
            }
            _ => Overflow::End,
        };
        self.leave(conversation, why, now);
        self.out.push(Output::Overflow {
            conversation,
            queue,
            why,
            to,
            since,
            priority,
        });
    }

    pub(super) fn waited_too_long(&mut self, conversation: ConversationId, now: Stamp) {
        let Some(call) = self.calls.get_mut(&conversation) else {
            return;
        };
        call.max_wait = None;
        // While it rings it has hope; see `unanswered`.
        if call.offers.is_empty() {
            self.overflow(conversation, Left::TimedOut, now);
        }
    }

    pub(super) fn announce(&mut self, conversation: ConversationId, now: Stamp) {
        let Some(call) = self.calls.get_mut(&conversation) else {
            return;
        };
        let Some(line) = self.lines.get(&call.queue) else {
            return;
        };
        let every = u64::from(line.config.announce_secs.max(5));
        let at = now.plus_secs(every);
        call.announce = Some(at);
        self.wakes.insert((at, Wake::Announce(conversation)));
        if let Some(estimate) = line.estimate(call) {
            self.out.push(Output::Announce {
                conversation,
                place: estimate.place,
                wait_secs: estimate.wait_secs,
            });
        }
    }

    /// It is time to offer a caller that it be called back; one that rings at an agent is not disturbed.
    pub(super) fn offer_callback(&mut self, conversation: ConversationId, now: Stamp) {
        let Some(call) = self.calls.get_mut(&conversation) else {
            return;
        };
        call.offer_callback = None;
        if !call.offers.is_empty() {
            let at = now.plus_secs(OFFERED_AGAIN_SECS);
            call.offer_callback = Some(at);
            self.wakes.insert((at, Wake::OfferCallback(conversation)));
        } else {
            let queue = call.queue;
            self.out.push(Output::OfferCallback { conversation, queue });
        }
    }

    // --- offers --------------------------------------------------------------------------------------------------

    /// The level that a call demands: the highest on duty, lower the longer it waits (§10.1).
    pub(super) fn demanded(&self, line: &Line, since: Stamp, now: Stamp) -> u8 {
        let levels = self.on_duty.get(&line.config.group);
        let highest = levels.and_then(|l| l.iter().rposition(|n| *n > 0)).unwrap_or(0) as u64;
        let relaxed = match u64::from(line.config.relax_secs) * 1000 {
            0 => u64::MAX,
            relax => now.ms_since(since) / relax,
        };
        highest.saturating_sub(relaxed) as u8
    }

    /// True if the agent missed this call so lately that it is not offered it again (I36).
    fn is_excluded(&self, line: &Line, call: &Call, agent: AgentId, now: Stamp) -> bool {
        let Some((_, at)) = call.excluded.iter().find(|(a, _)| *a == agent) else {
            return false;
        };
        let settings = self.settings(line.config.application);
        let alone = self
            .on_duty
            .get(&line.config.group)
            .is_some_and(|l| l.iter().sum::<u32>() <= 1);
        let secs = if alone {
            settings.exclusion_alone_secs
        } else {
            settings.exclusion_secs
        };
        now.ms_since(*at) < u64::from(secs) * 1000
    }

    /// Calls of a queue to its free agents, while both are there.
    pub(super) fn route(&mut self, queue: QueueId, now: Stamp) {
        loop {
            let Some(line) = self.lines.get(&queue) else { return };
            if line.len() == 0 || line.free.is_empty() {
                return;
            }
            let mut heads = line.best_first(now).take(LOOKED_AT);
            let Some(decision) = heads.find_map(|c| self.decide(c, now)) else {
                break;
            };
            drop(heads);
            self.offer(decision, now);
        }
        self.look_again(queue, now);
    }

    /// Calls wait and agents are free, but they may not have one another yet: time will change that.
    fn look_again(&mut self, queue: QueueId, now: Stamp) {
        if let Some(line) = self.lines.get_mut(&queue)
            && line.len() > 0
            && !line.free.is_empty()
            && line.again.is_none()
        {
            let at = now.plus_ms(AGAIN_MS);
            line.again = Some(at);
            self.wakes.insert((at, Wake::Again(queue)));
        }
    }

    /// A call for an agent that has become free: the best of its queues.
    pub(super) fn match_agent(&mut self, id: AgentId, now: Stamp) {
        let Some(post) = self.agents.get(&id) else { return };
        let mut best: Option<(Rank, ConversationId)> = None;
        let mut later = Vec::new();
        for (queue, level, _) in &post.keys {
            let Some(line) = self.lines.get(queue) else { continue };
            for (priority, class) in line.classes() {
                let mut passed = false;
                for order in class.iter().take(LOOKED_AT) {
                    if self.demanded(line, order.1, now) > *level {
                        passed = true;
                        // Those behind it are younger, and demand no less; only the front is in an order of its own.
                        if order.0 {
                            break;
                        }
                        continue;
                    }
                    let Some(call) = self.calls.get(&order.2) else { continue };
                    if self.is_excluded(line, call, id, now) {
                        passed = true;
                        continue;
                    }
                    let rank = line.rank(priority, order, now);
                    if best.as_ref().is_none_or(|(b, _)| rank < *b) {
                        best = Some((rank, order.2));
                    }
                    break;
                }
                if passed {
                    later.push(*queue);
                }
            }
        }
        match best.and_then(|(_, conversation)| self.decide(conversation, now)) {
            Some(decision) => self.offer(decision, now),
            None => {
                for queue in later {
                    self.look_again(queue, now);
                }
            }
        }
    }

    /// Offers a waiting call to whom its queue prefers.
    fn offer(&mut self, decision: Decision, now: Stamp) {
        let conversation = decision.conversation;
        let Some(line) = self.lines.get_mut(&decision.queue) else {
            return;
        };
        let settings = self.settings.get(&line.config.application).copied().unwrap_or_default();
        let ring_secs = line.config.ring_secs.unwrap_or(settings.ring_secs);
        let queue = line.config.id;
        let Some(call) = self.calls.get_mut(&conversation) else {
            return;
        };
        line.take(call.priority, &call.order);
        line.callbacks -= u32::from(call.callback);
        line.offered += 1;
        let first = self.next_ticket;
        let chosen: Vec<AgentId> = decision.chosen.iter().map(|(a, _)| *a).collect();
        call.offers = (0..chosen.len() as u64).map(|n| Ticket(first + n)).collect();
        let tickets = call.offers.clone();
        self.next_ticket += tickets.len() as u64;
        self.out.push(Output::Decided(Box::new(decision)));
        self.callback_offered(conversation, now);
        for (ticket, agent) in tickets.into_iter().zip(chosen) {
            if let Some(post) = self.agents.get_mut(&agent) {
                post.offered_at = now;
            }
            self.queue_fact(queue, conversation, Queued::Offered(agent), now);
            let begun = self.begin_at(agent, Part::Queue, conversation, Some(queue), ticket, ring_secs, now);
            debug_assert!(begun.is_ok(), "an agent in the order of a queue can be offered a call");
            if begun.is_err() {
                self.back_to_queue(ticket, conversation, now);
                continue;
            }
            self.out.push(Output::Offer(Offer {
                conversation,
                ticket,
                agent,
                queue,
                ring_secs,
            }));
        }
    }

    /// Who is offered a waiting call now, and why; `None` if nobody may have it.
    fn decide(&self, conversation: ConversationId, now: Stamp) -> Option<Decision> {
        let call = self.calls.get(&conversation).filter(|c| c.offers.is_empty())?;
        let line = self.lines.get(&call.queue)?;
        let chosen = self.choose(line, call, now);
        (!chosen.is_empty()).then(|| self.trace(conversation, line, call, chosen, now))
    }

    /// Whom a waiting call would be offered to.
    fn choose(&self, line: &Line, call: &Call, now: Stamp) -> Vec<(AgentId, Verdict)> {
        let mut chosen: Vec<(AgentId, Verdict)> = Vec::new();
        if line.config.sticky_secs > 0
            && let Some(agent) = self.last_agent(line, call, now)
        {
            chosen.push((agent, Verdict::LastAgent));
        }
        let demanded = self.demanded(line, call.since(), now);
        let fit = line.free.from(demanded);
        let mut fit = fit.filter(|a| !self.is_excluded(line, call, *a, now));
        if line.config.strategy == Strategy::RingAll {
            let last = chosen.first().map(|(a, _)| *a);
            let others = fit.filter(|a| Some(*a) != last).take(RUNG_AT_ONCE - chosen.len());
            chosen.extend(others.map(|a| (a, Verdict::All)));
        } else if chosen.is_empty() {
            chosen.extend(fit.next().map(|a| (a, Verdict::First)));
        }
        chosen
    }

    /// A decision with the free agents that were passed, as many of them as are named.
    fn trace(
        &self,
        conversation: ConversationId,
        line: &Line,
        call: &Call,
        chosen: Vec<(AgentId, Verdict)>,
        now: Stamp,
    ) -> Decision {
        let demanded = self.demanded(line, call.since(), now);
        let why = |agent| {
            let level = self.agents.get(&agent).and_then(|p| p.config.level(line.config.group));
            if level.unwrap_or(0) < demanded {
                Verdict::Level
            } else if self.is_excluded(line, call, agent, now) {
                Verdict::Excluded
            } else {
                Verdict::After
            }
        };
        let others = line.free.iter().filter(|a| chosen.iter().all(|(c, _)| c != a));
        let passed = others.take(NAMED).map(|agent| Passed { agent, why: why(agent) });
        Decision {
            conversation,
            queue: line.config.id,
            at: now,
            waited_ms: now.ms_since(call.since()),
            demanded,
            passed: passed.collect(),
            chosen,
        }
    }

    /// Why each agent of a call's group may, or may not, have it now: for the operator who asks. With a copy of the
    /// distributor whose configuration was changed, it says what would be different.
    pub fn explain(&self, conversation: ConversationId, now: Stamp) -> Option<Decision> {
        let call = self.calls.get(&conversation)?;
        let line = self.lines.get(&call.queue)?;
        // One that rings is not decided again.
        let chosen = if call.offers.is_empty() {
            self.choose(line, call, now)
        } else {
            Vec::new()
        };
        let mut decision = self.trace(conversation, line, call, chosen, now);
        let mut rest: Vec<&Post> = self
            .agents
            .values()
            .filter(|p| p.machine.groups().contains(&line.config.group))
            .collect();
        rest.sort_by_key(|p| p.config.id);
        for post in rest {
            let id = post.config.id;
            let known = decision.chosen.iter().any(|(a, _)| *a == id) || decision.passed.iter().any(|p| p.agent == id);
            if known || decision.passed.len() >= NAMED {
                continue;
            }
            let o = post.machine.overlays();
            let why = if o.device_lost {
                Verdict::DeviceLost
            } else if o.call_only {
                Verdict::CallOnly
            } else if post.machine.is_offerable() {
                Verdict::After
            } else {
                Verdict::Busy
            };
            decision.passed.push(Passed { agent: id, why });
        }
        Some(decision)
    }

    /// The agent that had this caller's last call, if it may have this one.
    fn last_agent(&self, line: &Line, call: &Call, now: Stamp) -> Option<AgentId> {
        let name = (line.config.application, call.caller.clone());
        let (agent, at) = self.last_agents.get(&name)?;
        let fresh = now.ms_since(*at) <= u64::from(line.config.sticky_secs) * 1000;
        let post = self.agents.get(agent)?;
        let free = post.keys.iter().any(|(q, _, _)| *q == line.config.id);
        (fresh && free && !call.caller.is_empty() && !self.is_excluded(line, call, *agent, now)).then_some(*agent)
    }

    /// An agent answered: the call has left its queue, and rings nowhere else.
    pub(super) fn answered(&mut self, ticket: Ticket, held: Held, now: Stamp) {
        let Some(call) = self.calls.get_mut(&held.conversation) else {
            return;
        };
        if !call.offers.contains(&ticket) {
            return;
        }
        call.offers.retain(|t| *t != ticket);
        let (caller, queue) = (call.caller.clone(), call.queue);
        // The line counts it as offered until it leaves.
        let alone = call.offers.is_empty();
        self.held.clear_queue(ticket);
        if let Some(post) = self.agents.get_mut(&held.agent) {
            post.calls += 1;
        }
        let application = self.lines.get(&queue).map(|l| l.config.application);
        if let Some(line) = self.lines.get_mut(&queue).filter(|_| alone) {
            line.offered = line.offered.saturating_sub(1);
        }
        self.leave(held.conversation, Left::Answered(held.agent), now);
        if let (Some(application), false) = (application, caller.is_empty()) {
            self.remember(application, caller, held.agent, now);
        }
    }

    pub(super) fn remember(&mut self, application: crate::ApplicationId, caller: String, agent: AgentId, now: Stamp) {
        self.counter += 1;
        self.last_agents.insert((application, caller.clone()), (agent, now));
        self.last_order.insert((now, self.counter), (application, caller));
        while self.last_order.len() > REMEMBERED {
            let Some(((at, _), name)) = self.last_order.pop_first() else {
                break;
            };
            if self.last_agents.get(&name).is_some_and(|(_, since)| *since == at) {
                self.last_agents.remove(&name);
            }
        }
    }

    /// An offer failed: the call is where it was, and its agent is left out for a while.
    pub(super) fn unanswered(&mut self, ticket: Ticket, why: Unanswered, now: Stamp) {
        let Some(held) = self.held.remove(ticket) else { return };
        let cause = match why {
            Unanswered::Expired => Cause::NoAnswer,
            Unanswered::Rejected => Cause::Rejected,
            Unanswered::Device => Cause::Unregistered,
            Unanswered::Media => Cause::IncompatibleMedia,
            Unanswered::Withdrawn => Cause::Cancelled,
        };
        self.out.push(Output::End {
            conversation: held.conversation,
            ticket,
            cause,
        });
        let Some(queue) = held.queue else { return };
        self.queue_fact(queue, held.conversation, Queued::Returned(held.agent, why), now);
        let application = self.lines.get(&queue).map(|l| l.config.application);
        let settings = application
            .and_then(|a| self.settings.get(&a))
            .copied()
            .unwrap_or_default();
        let kept_ms = u64::from(settings.exclusion_secs.max(settings.exclusion_alone_secs)) * 1000;
        if let Some(call) = self.calls.get_mut(&held.conversation) {
            // What is over is forgotten: a call that rings for an hour is not to know everybody whom it rang.
            let lasts = |at: Stamp| now.ms_since(at) < kept_ms;
            call.excluded.retain(|(a, at)| *a != held.agent && lasts(*at));
            call.excluded.push((held.agent, now));
        }
        self.back_to_queue(ticket, held.conversation, now);
    }

    /// Takes an offer off a call; with the last one gone the call waits again.
    pub(super) fn back_to_queue(&mut self, ticket: Ticket, conversation: ConversationId, now: Stamp) {
        let Some(call) = self.calls.get_mut(&conversation) else {
            return;
        };
        let had = call.offers.contains(&ticket);
        call.offers.retain(|t| *t != ticket);
        if !had || !call.offers.is_empty() {
            return;
        }
        let (queue, priority, order, late) = (call.queue, call.priority, call.order, call.max_wait.is_none());
        let Some(line) = self.lines.get_mut(&queue) else { return };
        if call.callback {
            // Its conversation ends with the last of its offers: it waits on under another id.
            let excluded = std::mem::take(&mut call.excluded);
            self.leave(conversation, Left::Callback, now);
            return self.callback_returned(conversation, excluded, now);
        }
        line.offered = line.offered.saturating_sub(1);
        line.add(priority, order);
        let bounded = line.config.max_wait_secs > 0;
        if late && bounded {
            return self.overflow(conversation, Left::TimedOut, now);
        }
        self.route(queue, now);
    }
}
