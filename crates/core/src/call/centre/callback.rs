//! Customers that are called back: the call in which one asks for it, and the one in which it is called (domain-model §10.1,
//! M51).

use super::{By, CallbackId, Cause, Conversation, Effect, Entry, Fact, Left, LegSeq, QueueId, Role, Stamp, Wait};
use crate::call::layout::Sound;
use crate::call::{Deadline, Prompt};
use crate::ivr::{Input as FlowInput, Outcome as Back};

/// The key that accepts the offer of a queue.
const KEY: char = '1';

impl Conversation {
    // --- the call in which it is asked for ---------------------------------------------------------------------------

    /// Says to the caller that it may be called back; the key holds as long as it waits in this queue.
    pub(super) fn offer_callback(&mut self, queue: QueueId, prompt: Prompt, now: Stamp) {
        if self.centre_state().is_none_or(|c| c.wait != Wait::Queue(queue)) {
            return self.refuse_state();
        }
        self.accept(None);
        let id = self.new_prompt(prompt.millis, now);
        let older = self.room(|r| {
            r.callback_offer = Some(queue);
            r.announcement.replace((id, Sound::Prompt(prompt.name)))
        });
        if let Some((older, _)) = older {
            self.clear_deadline(Deadline::Sound(older));
        }
    }

    /// True if the key accepts the offer of the queue that the caller waits in.
    pub(super) fn callback_key(&mut self, leg: LegSeq, key: char) -> bool {
        let offered = |c: &super::Centre| match c.wait {
            Wait::Queue(queue) => c.callback_offer.filter(|q| *q == queue && c.room.contains(&leg)),
            _ => None,
        };
        let Some(queue) = self.centre_state().and_then(offered).filter(|_| key == KEY) else {
            return false;
        };
        // Pressed once more it asks for nothing.
        self.room(|r| r.callback_offer = None);
        let number = self.record.head.ani.clone();
        self.effect(Effect::CallBack { queue, number });
        true
    }

    /// Whether the caller is called back. One that waited has left its queue then, and one that a flow leads goes on there.
    pub(super) fn called_back(&mut self, queue: QueueId, request: Option<CallbackId>, now: Stamp) {
        let wait = self.centre_state().map(|c| c.wait);
        if !matches!(wait, Some(Wait::Flow)) && wait != Some(Wait::Queue(queue)) {
            return self.refuse_state();
        }
        self.accept(None);
        let waited = wait == Some(Wait::Queue(queue));
        let Some(request) = request else {
            if !waited {
                self.tell_flow(FlowInput::Back(Back::Failed), now);
            }
            return;
        };
        self.room(|r| r.called_back = true);
        if waited {
            self.leave_queue(Left::Callback, now);
            self.give_up_offers(None, Cause::Cancelled, now);
        } else {
            // It goes through the queue as one that waited does, for those who count.
            let priority = self.centre_state().and_then(|c| c.priority);
            let front = false;
            self.emit(Fact::Queued { queue, priority, front }, now);
            let left = Left::Callback;
            self.emit(Fact::Unqueued { queue, left }, now);
        }
        self.emit(Fact::CalledBack { request, first: None }, now);
        if waited {
            self.end_all(Cause::CallbackAccepted, By::System, now);
        } else {
            self.tell_flow(FlowInput::Back(Back::Done), now);
        }
    }

    /// The caller has asked to be called back, and has not talked to anybody since.
    pub(super) fn is_called_back(&self) -> bool {
        self.centre_state().is_some_and(|c| c.called_back && !c.talked)
    }

    /// When the caller first entered a queue.
    pub fn queued_since(&self) -> Option<Stamp> {
        self.centre_state()?.queued_at
    }

    // --- the one in which it is called -------------------------------------------------------------------------------

    /// The place is the distributor's already; the offer follows.
    pub(super) fn begin_callback(&mut self, now: Stamp) {
        let Some(Entry::Callback {
            request,
            first,
            queue,
            since,
            priority,
            ..
        }) = self.plan().map(|p| p.entry.clone())
        else {
            return;
        };
        let first = Some(first);
        self.emit(Fact::CalledBack { request, first }, now);
        self.room(|r| {
            r.wait = Wait::Queue(queue);
            r.queue = Some(queue);
            r.queued_at = Some(since);
            r.priority = Some(priority);
        });
        let (priority, front) = (Some(priority), false);
        self.emit(Fact::Queued { queue, priority, front }, now);
        self.set_deadline(now.plus_secs(super::RESERVATION_SECS), Deadline::Reservation);
    }

    /// A conversation that calls a customer back, and whose agent has not answered.
    pub(super) fn awaits_agent(&self) -> bool {
        let calls = matches!(self.plan().map(|p| &p.entry), Some(Entry::Callback { .. }));
        let waits = |c: &super::Centre| matches!(c.wait, Wait::Queue(_)) && c.room.is_empty() && !c.talked;
        calls && self.centre_state().is_some_and(waits)
    }

    /// As above, and nobody has been offered it.
    pub(super) fn awaits_offer(&self) -> bool {
        self.awaits_agent() && self.legs.is_empty()
    }

    /// An agent is there: now the customer is called, and nobody else rings.
    pub(super) fn call_customer(&mut self, agent: LegSeq, now: Stamp) {
        let Some(Entry::Callback { customer, .. }) = self.plan().map(|p| p.entry.clone()) else {
            return;
        };
        if let Some(who) = self.seat_of(agent).map(|s| s.agent) {
            self.leave_queue(Left::Answered(who), now);
        }
        self.accept_seat(agent);
        self.give_up_offers(Some(agent), Cause::AnsweredElsewhere, now);
        let secs = self.centre_settings().dial_secs;
        let leg = self.dial(Role::Customer, &customer, secs, now);
        self.room(|r| {
            r.room.push(agent);
            r.wait = Wait::Party { leg, fallback: None };
        });
    }

    /// An offer failed. With the last one this conversation is over, and the request waits on without it.
    pub(super) fn offer_failed(&mut self, failed: LegSeq, cause: Cause, by: By, now: Stamp) {
        let rings = |s: &super::Seat| !s.over && s.leg != failed && self.leg(s.leg).is_some_and(|l| l.is_live());
        if self.centre_state().is_some_and(|c| c.seats.iter().any(rings)) {
            return;
        }
        let Some(Wait::Queue(queue)) = self.centre_state().map(|c| c.wait) else {
            return;
        };
        // The distributor knows: it is not told that the call has left.
        self.room(|r| r.wait = Wait::No);
        let left = Left::Callback;
        self.emit(Fact::Unqueued { queue, left }, now);
        self.end_all(cause, by, now);
    }
}
