//! What the legs do: answers, failures, departures (domain-model §4.2 rows 12 to 67, §5.7).

use super::{
    AgentFact, By, Cause, Centre, Conversation, Entry, Left, LegSeq, Outcome, Part, Role, Stamp, Variant, Wait,
};
use crate::centre::resource::{AgentLost, ConsultFailure};
use crate::event::RecordMode;

impl Conversation {
    /// A leg rings: whoever called in hears of it as long as it has not been answered.
    pub(in crate::call) fn centre_rings(&mut self, seq: LegSeq, now: Stamp) {
        let caller_waits = self
            .leg(LegSeq(0))
            .is_some_and(|l| l.is_live() && !l.answered && !l.rang);
        let wanted = self
            .centre_state()
            .map(|c| c.wait)
            .is_some_and(|w| matches!(w, Wait::Party { leg, .. } if leg == seq));
        if wanted && caller_waits && self.leg(LegSeq(0)).is_some_and(super::super::leg::Leg::is_incoming) {
            self.alert_first(now);
        }
    }

    /// Early media reaches a caller that has not been answered.
    pub(in crate::call) fn centre_early_media(&mut self, seq: LegSeq) {
        let wanted = self
            .centre_state()
            .map(|c| c.wait)
            .is_some_and(|w| matches!(w, Wait::Party { leg, .. } if leg == seq));
        let first = LegSeq(0);
        if wanted
            && self
                .leg(first)
                .is_some_and(|l| l.is_incoming() && l.is_live() && !l.answered)
        {
            self.effect(super::Effect::Alert {
                leg: first,
                early_media: true,
            });
        }
    }

    pub(in crate::call) fn centre_answered(&mut self, seq: LegSeq, now: Stamp) {
        let Some(c) = self.centre_state() else { return };
        let consulted = c.consult.is_some_and(|k| k.third == seq);
        let wait = c.wait;
        let supervises = self.seat_of(seq).is_some_and(|s| s.supervision.is_some());
        if supervises {
            return self.supervisor_answered(seq, now);
        }
        match wait {
            _ if consulted => {
                self.accept_seat(seq);
                self.bridge(seq, now);
                let referred = self.room(|r| {
                    let k = r.consult.as_mut()?;
                    k.answered = true;
                    k.referred.then_some(*k)
                });
                if let Some(k) = referred {
                    self.referred(k, now);
                }
            }
            Wait::OwnDevice { leg } if leg == seq => {
                self.accept_seat(seq);
                self.room(|r| r.room.push(seq));
                let to = match self.plan().map(|p| &p.entry) {
                    Some(Entry::Dial { to, .. }) => to.clone(),
                    _ => return,
                };
                self.dial_wanted(to, now);
            }
            Wait::Party { leg, .. } if leg == seq => self.joins(seq, now),
            Wait::Queue(_) if self.is_agent(seq) && self.awaits_agent() => self.call_customer(seq, now),
            Wait::Queue(_) if self.is_agent(seq) => {
                let agent = self.seat_of(seq).map(|s| s.agent);
                if let Some(agent) = agent {
                    self.leave_queue(Left::Answered(agent), now);
                }
                self.joins(seq, now);
                self.give_up_offers(Some(seq), Cause::AnsweredElsewhere, now);
            }
            // Nobody waits for it any more.
            _ => {
                let by = By::System;
                self.let_go(seq, Cause::Cancelled, by, Outcome::Withdrawn, now);
            }
        }
    }

    pub(super) fn accept_seat(&mut self, seq: LegSeq) {
        if let Some(seat) = self.seat_mut(seq) {
            seat.accepted = true;
        }
    }

    /// Somebody that the room waited for is there: they talk.
    fn joins(&mut self, seq: LegSeq, now: Stamp) {
        self.answer_caller(now);
        self.accept_seat(seq);
        // The agent whose device placed the call has its part from here on.
        if !matches!(self.plan().map(|p| &p.entry), Some(Entry::Callback { .. })) {
            self.accept_seat(LegSeq(0));
        }
        self.leave_flow(now);
        self.room(|r| {
            r.wait = Wait::No;
            r.room.push(seq);
        });
        self.talk(now);
    }

    /// Everybody in the room talks with everybody.
    pub(super) fn talk(&mut self, now: Stamp) {
        for leg in self.centre_state().map(|c| c.room.clone()).unwrap_or_default() {
            self.bridge(leg, now);
        }
        let first = self.room(|r| !std::mem::replace(&mut r.talked, true));
        if first {
            if self.record_mode() != RecordMode::None {
                self.start_recording(now);
            }
            self.start_talk_clocks(now);
        }
    }

    fn supervisor_answered(&mut self, seq: LegSeq, now: Stamp) {
        let of = self.seat_of(seq).and_then(|s| s.supervision).map(|s| s.of);
        let there = of.is_some_and(|of| self.centre_state().is_some_and(|c| c.room.contains(&of)));
        if there {
            self.accept_seat(seq);
            self.bridge(seq, now);
        } else {
            self.let_go(seq, Cause::Normal, By::System, Outcome::Withdrawn, now);
        }
    }

    /// A leg left without our doing, or failed to come.
    pub(in crate::call) fn centre_gone(&mut self, seq: LegSeq, cause: Cause, by: By, now: Stamp) {
        let rang = self.leg(seq).is_some_and(|l| l.rang);
        if let Some(seat) = self.seat_mut(seq) {
            if seat.accepted {
                let lost = matches!(cause, Cause::NetworkLost | Cause::MediaFailure);
                seat.outcome
                    .get_or_insert(if lost { Outcome::Lost } else { Outcome::Ended });
            } else {
                let (fact, outcome) = refusal_of(cause, rang);
                seat.failed.get_or_insert(fact);
                seat.outcome.get_or_insert(outcome);
            }
        }
        let Some(c) = self.centre_state() else { return };
        let (wait, consult, there) = (c.wait, c.consult, c.room.contains(&seq));
        if self.seat_of(seq).is_some_and(|s| s.supervision.is_some()) {
            return;
        }
        match (wait, consult) {
            (Wait::OwnDevice { leg }, _) if leg == seq => self.end_all(cause, by, now),
            (Wait::Party { leg, fallback }, _) if leg == seq => self.wanted_failed(fallback, cause, by, now),
            (_, Some(k)) if k.third == seq => self.third_gone(now),
            (Wait::Party { .. } | Wait::Reservation(_), _) if !there && seq == LegSeq(0) => {
                // Whoever called in has given up before the answer.
                self.abandon(seq, cause, by, now);
            }
            _ if there => self.left(seq, cause, by, now),
            (Wait::Queue(_), _) if self.awaits_agent() => self.offer_failed(seq, cause, by, now),
            // An offer of a queue that failed is the distributor's affair.
            _ => {}
        }
    }

    /// The party that the room waited for does not come.
    fn wanted_failed(&mut self, fallback: Option<crate::id::QueueId>, cause: Cause, by: By, now: Stamp) {
        let someone = self.centre_state().is_some_and(|c| !c.room.is_empty())
            || self.leg(LegSeq(0)).is_some_and(super::super::leg::Leg::is_live);
        if fallback.is_none() && someone && self.back_to_flow(now) {
            return;
        }
        match fallback {
            Some(queue) if someone => self.enter_queue(queue, None, false, now),
            _ => self.end_all(cause, by, now),
        }
    }

    /// Somebody of the room has left.
    pub(super) fn left(&mut self, seq: LegSeq, cause: Cause, by: By, now: Stamp) {
        let was_agent = self.is_agent(seq);
        let Some(c) = self.centre_state() else { return };
        let (wait, consult, queue) = (c.wait, c.consult, c.queue);
        self.drop_supervisors_of(seq, now);
        self.room(|r| {
            r.room.retain(|l| *l != seq);
            if r.hold == Some(seq) {
                r.hold = None;
            }
        });
        if let Some(k) = consult {
            return if k.host == seq {
                self.host_gone(k, cause, by, now)
            } else {
                self.first_gone(k, now)
            };
        }
        match wait {
            Wait::Queue(_)
            | Wait::Party { .. }
            | Wait::OwnDevice { .. }
            | Wait::Reservation(_)
            | Wait::Flow
            | Wait::Parked => {
                return self.abandon(seq, cause, by, now);
            }
            Wait::No => {}
        }
        let rest: Vec<LegSeq> = self.centre_state().map(|c| c.room.clone()).unwrap_or_default();
        match rest[..] {
            [only] => {
                let lost = matches!(cause, Cause::NetworkLost | Cause::MediaFailure);
                let inbound = self.record.leg(only).is_some_and(|l| l.role == Role::Customer)
                    && matches!(
                        self.plan().map(|p| &p.entry),
                        Some(Entry::Queue { .. } | Entry::Direct { .. } | Entry::Flow { .. } | Entry::Callback { .. })
                    );
                let requeues = self.centre_settings().agent_lost == AgentLost::RequeueFront;
                match queue {
                    Some(queue) if was_agent && lost && inbound && requeues => {
                        self.enter_queue(queue, None, true, now);
                    }
                    // The agent is done, and the customer is asked how it was.
                    _ if was_agent && !lost && inbound && self.enter_survey(now) => {}
                    // One party alone is never kept.
                    _ => self.end_all(cause, by, now),
                }
            }
            [] => self.end_all(cause, by, now),
            // A conference without an agent is a talk of outside parties that nobody leads.
            _ if !rest.iter().any(|l| self.is_agent(*l)) && was_agent && rest.len() < 2 => {
                self.end_all(cause, by, now);
            }
            _ => self.settle_variants(),
        }
    }

    /// 29: a conference of which two are left is a talk as each part began; between two agents it is internal.
    pub(super) fn settle_variants(&mut self) {
        let Some(c) = self.centre_state() else { return };
        let room = c.room.clone();
        if room.len() != 2 {
            return;
        }
        let agents = room.iter().filter(|l| self.is_agent(**l)).count();
        self.room(|r| {
            for seat in r.seats.iter_mut().filter(|s| room.contains(&s.leg)) {
                seat.variant = match (agents, seat.began) {
                    (2, _) => Variant::Internal,
                    // It has the call now.
                    (_, Variant::Consulted) => Variant::In,
                    (_, began) => began,
                };
            }
        });
    }

    /// Whoever waited has given up: the call is over.
    fn abandon(&mut self, seq: LegSeq, cause: Cause, by: By, now: Stamp) {
        let normal = matches!(cause, Cause::Normal | Cause::Cancelled);
        let Some(c) = self.centre_state() else { return };
        let rings = c
            .seats
            .iter()
            .any(|s| !s.over && !s.accepted && self.leg(s.leg).is_some_and(|l| l.rang));
        let waits = matches!(c.wait, Wait::Queue(_));
        let customer = self.record.leg(seq).is_some_and(|l| l.role == Role::Customer);
        let guided = self.guide_cause();
        let cause = match (normal && customer, rings, waits) {
            (true, false, false) if guided.is_some() => guided.unwrap_or(cause),
            (true, true, _) => Cause::AbandonedRinging,
            (true, false, true) => Cause::AbandonedQueue,
            _ => cause,
        };
        self.end_all(cause, by, now);
    }

    // --- consultations -------------------------------------------------------------------------------------------

    /// 22a, 49: the third party failed or left.
    fn third_gone(&mut self, now: Stamp) {
        if let Some(k) = self.centre_state().and_then(|c| c.consult).filter(|k| k.referred) {
            let told = self.record.leg(k.third).map_or(0, |l| l.sip_status);
            let status = if (300..700).contains(&told) { told } else { 480 };
            let (leg, finished) = (k.host, true);
            self.effect(super::Effect::NotifyRefer { leg, status, finished });
        }
        let stays = self.centre_settings().consult_failure == ConsultFailure::StayHeld;
        self.room(|r| {
            let Some(k) = r.consult.take() else { return };
            let talks_to_first = k.swapped;
            r.hold = (stays && !talks_to_first).then_some(k.host);
        });
        self.talk(now);
    }

    /// The consulting agent is gone: hung up, or lost.
    fn host_gone(&mut self, k: super::Consult, cause: Cause, by: By, now: Stamp) {
        self.room(|r| r.consult = None);
        let queue = self.centre_state().and_then(|c| c.queue);
        let lost = matches!(cause, Cause::NetworkLost | Cause::MediaFailure);
        if k.answered {
            return self.hand_over(k.third, now);
        }
        match queue {
            // §8 "agent lost during consult".
            Some(queue) if lost => {
                self.give_up(k.third, now);
                self.enter_queue(queue, None, true, now);
            }
            _ if lost => {
                self.give_up(k.third, now);
                self.end_all(cause, by, now);
            }
            // 51: as if it had been handed over before the answer.
            _ => self.await_third(k.third, queue, now),
        }
    }

    /// The first party has left: the agent talks on with the third, or waits for it (24, 25, 50).
    fn first_gone(&mut self, k: super::Consult, now: Stamp) {
        let left = self.centre_state().is_some_and(|c| c.room.iter().any(|l| *l != k.host));
        if left {
            return;
        }
        self.room(|r| {
            r.consult = None;
            r.hold = None;
        });
        if let Some(host) = self.seat_mut(k.host) {
            (host.variant, host.began) = (Variant::Out, Variant::Out);
        }
        if k.answered {
            self.room(|r| r.room.push(k.third));
            self.talk(now);
        } else {
            self.unbridge(k.host, now);
            let leg = k.third;
            self.room(|r| r.wait = Wait::Party { leg, fallback: None });
        }
    }

    /// The room and the third party talk without the agent that brought them together (45).
    pub(super) fn hand_over(&mut self, third: LegSeq, now: Stamp) {
        self.room(|r| {
            r.hold = None;
            r.room.push(third);
        });
        if let Some(seat) = self.seat_mut(third) {
            (seat.variant, seat.began) = (Variant::In, Variant::In);
        }
        self.talk(now);
    }

    /// The room waits for the third party to answer.
    pub(super) fn await_third(&mut self, third: LegSeq, fallback: Option<crate::id::QueueId>, now: Stamp) {
        let room = self.centre_state().map(|c| c.room.clone()).unwrap_or_default();
        for leg in room {
            self.unbridge(leg, now);
        }
        if let Some(seat) = self.seat_mut(third) {
            (seat.variant, seat.began, seat.kind) = (Variant::In, Variant::In, Part::Direct);
        }
        let leg = third;
        self.room(|r| {
            r.hold = None;
            r.wait = Wait::Party { leg, fallback };
        });
    }

    fn give_up(&mut self, leg: LegSeq, now: Stamp) {
        if let Some(seat) = self.seat_mut(leg).filter(|s| !s.accepted) {
            seat.failed.get_or_insert(AgentFact::CallerGone);
        }
        self.let_go(leg, Cause::Cancelled, By::System, Outcome::Withdrawn, now);
    }

    /// Who listens to an agent listens no longer than that agent is there (K8, M30).
    pub(super) fn drop_supervisors_of(&mut self, of: LegSeq, now: Stamp) {
        let watches = |c: &Centre| -> Vec<LegSeq> {
            let its = |s: &&super::Seat| !s.over && s.supervision.is_some_and(|v| v.of == of);
            c.seats.iter().filter(its).map(|s| s.leg).collect()
        };
        for leg in self.centre_state().map(watches).unwrap_or_default() {
            self.let_go(leg, Cause::Normal, By::System, Outcome::Ended, now);
        }
    }
}

/// What an offer's failure means to the agent (13, 41).
fn refusal_of(cause: Cause, rang: bool) -> (AgentFact, Outcome) {
    match (cause, rang) {
        (Cause::NoAnswer, _) => (AgentFact::Expired, Outcome::Expired),
        (Cause::Rejected, _) | (Cause::Busy | Cause::Cancelled, true) => (AgentFact::Rejected, Outcome::Rejected),
        (Cause::IncompatibleMedia | Cause::MediaFailure, true) => (AgentFact::MediaFailed, Outcome::Unreachable),
        _ => (AgentFact::DeviceFailed, Outcome::Unreachable),
    }
}
