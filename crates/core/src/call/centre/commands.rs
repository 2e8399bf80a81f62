//! What agents and the distributor ask (domain-model §8).

use super::{
    AgentFact, AgentPlan, By, Cause, CentreCommand, Consult, Conversation, Effect, Left, LegSeq, MAX_CALL_LEGS,
    Outcome, Part, Refusal, Role, Seat, Stamp, Supervision, Ticket, Variant, Wait, Whom,
};
use crate::call::layout::{PlayId, Sound, Spoken};
use crate::call::{Deadline, Target, TransferPlan};
use crate::spoken::{Kind, Language, Manner};

/// An announcement is taken as over after so long, whatever the engine says.
const ANNOUNCEMENT_BOUND_MS: u32 = 20_000;

impl Conversation {
    pub(in crate::call) fn centre_command(&mut self, command: CentreCommand, now: Stamp) {
        if self.is_ending() {
            return self.refuse(Refusal::Ended);
        }
        if self.centre_state().is_none() {
            return self.refuse_state();
        }
        match command {
            CentreCommand::Offer(plan, queue) => self.offer(&plan, queue, now),
            CentreCommand::Answered(..)
            | CentreCommand::HandTo { .. }
            | CentreCommand::Spoke(..)
            | CentreCommand::Heard(_) => self.flow_command(command, now),
            CentreCommand::Reserved(answer) => self.reserved(answer, now),
            CentreCommand::SecondLine(agent) => self.second_line(agent, now),
            CentreCommand::End { ticket, cause } => self.end_part(ticket, cause, now),
            CentreCommand::OfferCallback(queue, prompt) => self.offer_callback(queue, prompt, now),
            CentreCommand::CalledBack { queue, request } => self.called_back(queue, request, now),
            CentreCommand::Overflow { why, to } => self.overflow(why, to, now),
            CentreCommand::Monitor { plan, of, whisper } => self.monitor(&plan, of, whisper, now),
            CentreCommand::Announce {
                place,
                wait_secs,
                language,
            } => self.announce(place, wait_secs, language, now),
            CentreCommand::Music(queue, prompt) => {
                if self.centre_state().is_none_or(|c| c.wait != Wait::Queue(queue)) {
                    return self.refuse_state();
                }
                self.room(|r| r.queue_music = Some(prompt));
                self.accept(None);
            }
            CentreCommand::Hold(t) => self.with(t, now, Conversation::hold),
            CentreCommand::Retrieve(t) => self.with(t, now, Conversation::take_back),
            CentreCommand::HangUp(t) => self.with(t, now, Conversation::hang_up),
            CentreCommand::Complete(t) => self.with(t, now, Conversation::complete),
            CentreCommand::Swap(t) => self.with(t, now, Conversation::swap),
            CentreCommand::Merge(t) => self.with(t, now, Conversation::merge),
            CentreCommand::Barge(t) => self.with(t, now, Conversation::barge),
            CentreCommand::TakeOver(t) => self.with(t, now, Conversation::take_over),
            CentreCommand::Consult(t, whom) => self.with(t, now, |c, s, now| c.consult(&s, whom, now)),
            CentreCommand::Transfer(t, whom) => self.with(t, now, |c, s, now| c.hand_on(&s, whom, now)),
            CentreCommand::Park(t) => self.with(t, now, Conversation::park),
            CentreCommand::PickUp(plan) => self.fetch(&plan, now),
            CentreCommand::Mute(t, on) => self.with(t, now, |c, s, _| {
                if let Some(seat) = c.seat_mut(s.leg) {
                    seat.muted = on;
                }
                c.accept(None);
            }),
            CentreCommand::Whisper(t, on) => self.with(t, now, |c, s, _| {
                match c.seat_mut(s.leg).and_then(|s| s.supervision.as_mut()) {
                    Some(v) => {
                        v.whisper = on;
                        c.accept(None);
                    }
                    None => c.refuse_state(),
                }
            }),
        }
    }

    /// Runs a command of the agent with this ticket, if it has a part in the call.
    fn with(&mut self, ticket: Ticket, now: Stamp, run: impl FnOnce(&mut Conversation, Seat, Stamp)) {
        match self.by_ticket(ticket).cloned() {
            Some(seat) => run(self, seat, now),
            None => self.refuse(Refusal::NoSuchLeg),
        }
    }

    /// A talk of the agent with exactly one other party, without a consultation.
    fn has_talk(&self, leg: LegSeq) -> bool {
        self.centre_state()
            .is_some_and(|c| c.room.contains(&leg) && c.room.len() == 2 && c.wait == Wait::No && c.consult.is_none())
    }

    fn has_room(&self) -> bool {
        self.legs.len() < MAX_CALL_LEGS
    }

    fn offer(&mut self, plan: &AgentPlan, queue: crate::id::QueueId, now: Stamp) {
        let waits = self.centre_state().is_some_and(|c| c.wait == Wait::Queue(queue));
        if !waits || !self.has_room() {
            return self.refuse_state();
        }
        let variant = if self.awaits_agent() { Variant::Out } else { Variant::In };
        self.clear_deadline(Deadline::Reservation);
        self.dial_agent(plan, Part::Queue, variant, Some(queue), now);
        self.accept(None);
    }

    /// Says to those who wait where they stand; the music goes on behind it.
    fn announce(&mut self, place: u32, wait_secs: Option<u32>, language: Language, now: Stamp) {
        let waits = |c: &super::Centre| matches!(c.wait, Wait::Queue(_)) && c.announcement.is_none();
        if !self.centre_state().is_some_and(waits) {
            return self.refuse_state();
        }
        let place = place.clamp(1, 9_999);
        let minutes = wait_secs.map(|s| s.div_ceil(60).clamp(1, 9_999));
        let spoken = Spoken {
            kind: Kind::Place,
            text: minutes.map_or_else(|| place.to_string(), |m| format!("{place} {m}")),
            language,
            manner: Manner::default(),
            code: false,
        };
        let id = self.new_prompt(ANNOUNCEMENT_BOUND_MS, now);
        self.room(|r| r.announcement = Some((id, Sound::Spoken(Box::new(spoken)))));
        self.accept(None);
    }

    /// An announcement came to its end; false if the sound was another one.
    pub(super) fn announced(&mut self, play: PlayId) -> bool {
        let said = self.centre_state().and_then(|c| c.announcement.as_ref());
        let its = said.is_some_and(|(id, _)| *id == play);
        if its {
            self.room(|r| r.announcement = None);
            self.clear_deadline(Deadline::Sound(play));
        }
        its
    }

    fn end_part(&mut self, ticket: Ticket, cause: Cause, now: Stamp) {
        let Some(seat) = self.by_ticket(ticket).cloned() else {
            return self.refuse(Refusal::NoSuchLeg);
        };
        self.accept(None);
        let outcome = match cause {
            Cause::NoAnswer => Outcome::Expired,
            Cause::Rejected => Outcome::Rejected,
            Cause::Unregistered | Cause::IncompatibleMedia => Outcome::Unreachable,
            _ if seat.accepted => Outcome::Ended,
            _ => Outcome::Withdrawn,
        };
        let by = if cause == Cause::NoAnswer {
            By::Timer
        } else {
            By::System
        };
        self.let_go(seat.leg, cause, by, outcome, now);
        self.part_leaves(&seat, cause, by, now);
    }

    /// What becomes of the call without a leg that we have let go.
    fn part_leaves(&mut self, seat: &Seat, cause: Cause, by: By, now: Stamp) {
        let leg = seat.leg;
        if let Some(s) = self.seat_mut(leg).filter(|s| s.accepted) {
            s.outcome.get_or_insert(Outcome::Ended);
        }
        self.centre_gone(leg, cause, by, now);
    }

    fn overflow(&mut self, why: Left, to: Option<Whom>, now: Stamp) {
        let Some(Wait::Queue(_)) = self.centre_state().map(|c| c.wait) else {
            return self.refuse_state();
        };
        self.accept(None);
        self.leave_queue(why, now);
        self.give_up_offers(None, Cause::Cancelled, now);
        match to {
            None if self.back_to_flow(now) => {}
            None => {
                let (cause, by) = match why {
                    Left::TimedOut => (Cause::QueueTimeout, By::Timer),
                    Left::Full | Left::Unstaffed => (Cause::QueueFull, By::System),
                    _ => (Cause::Normal, By::System),
                };
                self.end_all(cause, by, now);
            }
            Some(Whom::Queue(queue)) => self.enter_queue(queue, None, false, now),
            Some(whom) => self.send_on(whom, None, now),
        }
    }

    /// The room waits for somebody else from now on.
    pub(super) fn send_on(&mut self, whom: Whom, fallback: Option<crate::id::QueueId>, now: Stamp) {
        let leg = match &whom {
            Whom::Agent(plan, _) => self.dial_agent(plan, Part::Direct, Variant::In, None, now),
            Whom::Party(party) => {
                let secs = self.flow_ring_secs().unwrap_or(self.centre_settings().dial_secs);
                self.dial(Role::Third, party, secs, now)
            }
            Whom::Queue(queue) => return self.enter_queue(*queue, None, false, now),
            Whom::Colleague(_) => return self.end_all(Cause::SystemError, By::System, now),
        };
        let fallback = match whom {
            Whom::Agent(_, own) => own.or(fallback),
            _ => fallback,
        };
        self.await_third(leg, fallback, now);
    }

    // --- the agent's own verbs -----------------------------------------------------------------------------------

    fn hold(&mut self, seat: Seat, _now: Stamp) {
        let free = self.centre_state().is_some_and(|c| c.hold.is_none());
        if !self.has_talk(seat.leg) || !free {
            return self.refuse_state();
        }
        self.room(|r| r.hold = Some(seat.leg));
        self.accept(None);
    }

    fn take_back(&mut self, seat: Seat, now: Stamp) {
        let Some(c) = self.centre_state() else { return };
        let (hold, consult, room) = (c.hold, c.consult, c.room.clone());
        if let Some(k) = consult.filter(|k| k.host == seat.leg) {
            // 23.
            self.accept(None);
            self.room(|r| {
                r.consult = None;
                r.hold = None;
            });
            self.drop_leg(k.third, now);
            return self.talk(now);
        }
        if hold == Some(seat.leg) {
            self.room(|r| r.hold = None);
            return self.accept(None);
        }
        // 52: the one who joined last, but not the customer that the call is about.
        let dropped = room.iter().rev().find(|l| **l != seat.leg && **l != room[0]).copied();
        match dropped {
            Some(third) if room.contains(&seat.leg) && room.len() > 2 => {
                self.accept(None);
                self.drop_leg(third, now);
                self.room(|r| r.room.retain(|l| *l != third));
                self.drop_supervisors_of(third, now);
                self.settle_variants();
            }
            _ => self.refuse_state(),
        }
    }

    fn drop_leg(&mut self, leg: LegSeq, now: Stamp) {
        if let Some(seat) = self.seat_mut(leg).filter(|s| !s.accepted) {
            seat.failed.get_or_insert(AgentFact::CallerGone);
        }
        self.let_go(leg, Cause::Normal, By::System, Outcome::Dropped, now);
    }

    fn hang_up(&mut self, seat: Seat, now: Stamp) {
        let consults = self
            .centre_state()
            .is_some_and(|c| c.consult.is_some_and(|k| k.host == seat.leg));
        if consults {
            // Dialects in which it means to hand over say so (K40).
            return self.take_back(seat, now);
        }
        self.accept(None);
        let by = By::Party(seat.leg, self.role(seat.leg));
        if seat.accepted || seat.kind == Part::Own {
            let cause = if seat.accepted { Cause::Normal } else { Cause::Cancelled };
            self.let_go(seat.leg, cause, by, Outcome::Ended, now);
            if !seat.accepted {
                return self.end_all(cause, by, now);
            }
            self.part_leaves(&seat, cause, by, now);
        } else {
            if let Some(s) = self.seat_mut(seat.leg) {
                s.failed.get_or_insert(AgentFact::Rejected);
            }
            self.let_go(seat.leg, Cause::Rejected, by, Outcome::Rejected, now);
            self.part_leaves(&seat, Cause::Rejected, by, now);
        }
    }

    fn consult(&mut self, seat: &Seat, whom: Whom, now: Stamp) {
        if !self.has_talk(seat.leg) || !self.has_room() {
            return self.refuse_state();
        }
        let third = match &whom {
            Whom::Agent(plan, _) => self.dial_agent(plan, Part::Consult, Variant::Consulted, None, now),
            Whom::Party(party) => {
                let secs = self.centre_settings().dial_secs;
                self.dial(Role::Third, party, secs, now)
            }
            Whom::Queue(_) | Whom::Colleague(_) => return self.refuse_state(),
        };
        let host = seat.leg;
        self.room(|r| {
            r.hold = None;
            r.consult = Some(Consult {
                host,
                third,
                answered: false,
                swapped: false,
                referred: false,
            });
        });
        self.accept(Some(third));
    }

    fn consult_of(&self, leg: LegSeq) -> Option<Consult> {
        self.centre_state()?.consult.filter(|k| k.host == leg)
    }

    fn complete(&mut self, seat: Seat, now: Stamp) {
        let Some(k) = self.consult_of(seat.leg) else {
            return self.refuse_state();
        };
        let queue = self.centre_state().and_then(|c| c.queue);
        self.accept(None);
        self.leave_for(&seat, now);
        self.room(|r| r.consult = None);
        if k.answered {
            self.hand_over(k.third, now);
        } else {
            // 51.
            self.await_third(k.third, queue, now);
        }
    }

    /// Whom a telephone has handed its talk over to is there.
    pub(super) fn referred(&mut self, k: Consult, now: Stamp) {
        self.effect(Effect::NotifyRefer {
            leg: k.host,
            status: 200,
            finished: true,
        });
        if let Some(seat) = self.seat_of(k.host).cloned() {
            self.leave_for(&seat, now);
        }
        self.room(|r| r.consult = None);
        self.hand_over(k.third, now);
    }

    /// The agent leaves its talk to others.
    fn leave_for(&mut self, seat: &Seat, now: Stamp) {
        let leg = seat.leg;
        self.room(|r| {
            r.room.retain(|l| *l != leg);
            r.hold = None;
        });
        self.drop_supervisors_of(leg, now);
        let by = By::Party(leg, self.role(leg));
        self.let_go(leg, Cause::Transferred, by, Outcome::Transferred, now);
    }

    fn swap(&mut self, seat: Seat, _now: Stamp) {
        match self.consult_of(seat.leg) {
            Some(k) if k.answered => {
                self.room(|r| {
                    if let Some(k) = &mut r.consult {
                        k.swapped = !k.swapped;
                    }
                });
                self.accept(None);
            }
            _ => self.refuse_state(),
        }
    }

    fn merge(&mut self, seat: Seat, now: Stamp) {
        match self.consult_of(seat.leg) {
            Some(k) if k.answered => {
                self.room(|r| {
                    r.consult = None;
                    r.hold = None;
                    r.room.push(k.third);
                });
                self.accept(None);
                self.talk(now);
            }
            _ => self.refuse_state(),
        }
    }

    fn park(&mut self, seat: Seat, now: Stamp) {
        if !self.has_talk(seat.leg) {
            return self.refuse_state();
        }
        self.accept(None);
        self.leave_for(&seat, now);
        for leg in self.centre_state().map(|c| c.room.clone()).unwrap_or_default() {
            self.unbridge(leg, now);
        }
        self.room(|r| r.wait = Wait::Parked);
        self.set_deadline(now.plus_secs(super::PARKED_SECS), Deadline::Parked);
    }

    fn fetch(&mut self, plan: &AgentPlan, now: Stamp) {
        let parked = self.centre_state().is_some_and(|c| c.wait == Wait::Parked);
        if !parked || !self.has_room() {
            return self.refuse_state();
        }
        self.clear_deadline(Deadline::Parked);
        let leg = self.dial_agent(plan, Part::Direct, Variant::In, None, now);
        let queue = self.centre_state().and_then(|c| c.queue);
        self.await_third(leg, queue, now);
        self.accept(None);
    }

    /// Nobody picked it up: back to the queue that it came from, in front.
    pub(in crate::call) fn parked_for_long(&mut self, now: Stamp) {
        let Some(c) = self.centre_state().filter(|c| c.wait == Wait::Parked) else {
            return;
        };
        match c.queue {
            Some(queue) => self.enter_queue(queue, None, true, now),
            None => self.end_all(Cause::NoAnswer, By::Timer, now),
        }
    }

    fn hand_on(&mut self, seat: &Seat, whom: Whom, now: Stamp) {
        if !self.has_talk(seat.leg) || !self.has_room() {
            return self.refuse_state();
        }
        let queue = self.centre_state().and_then(|c| c.queue);
        self.accept(None);
        self.leave_for(seat, now);
        match whom {
            Whom::Colleague(agent) => self.want(agent, Part::Direct, now),
            Whom::Queue(to) => self.enter_queue(to, Some(seat.agent), false, now),
            whom => self.send_on(whom, queue, now),
        }
    }

    /// A desk telephone hands its talk over (RFC 3515): the same as the command. To whom it has spoken on a line of its own
    /// (RFC 3891), it does as a consultation that is completed at once.
    pub(in crate::call) fn centre_transfer(&mut self, by: LegSeq, plan: &TransferPlan, now: Stamp) {
        let seat = self.seat_of(by).filter(|s| s.accepted && !s.over).cloned();
        // What it asked on a line that is not ours is not known here.
        let known = !plan.attended || plan.party.target == Target::Dialog;
        let may = known && self.has_talk(by) && self.has_room();
        let Some(seat) = seat.filter(|_| may) else {
            return self.effect(Effect::AnswerRefer { leg: by, status: 603 });
        };
        self.effect(Effect::AnswerRefer { leg: by, status: 202 });
        if plan.attended {
            let secs = self.centre_settings().dial_secs;
            let third = self.dial(Role::Third, &plan.party, secs, now);
            return self.room(|r| {
                r.hold = None;
                r.consult = Some(Consult {
                    host: by,
                    third,
                    answered: false,
                    swapped: false,
                    referred: true,
                });
            });
        }
        self.effect(Effect::NotifyRefer {
            leg: by,
            status: 200,
            finished: true,
        });
        let whom = match &plan.party.target {
            Target::Agent(agent) => Whom::Colleague(*agent),
            _ => Whom::Party(plan.party.clone()),
        };
        self.hand_on(&seat, whom, now);
    }

    /// The agent's device calls somebody beside its talk.
    fn second_line(&mut self, agent: crate::id::AgentId, now: Stamp) {
        let to = match self.plan().map(|p| &p.entry) {
            Some(super::Entry::FromDevice { agent: own, to, .. }) if *own == agent => to.clone(),
            _ => return self.refuse_state(),
        };
        if self.centre_state().is_none_or(|c| c.wait != Wait::Reservation(agent)) {
            return self.refuse_state();
        }
        self.accept(None);
        self.clear_deadline(Deadline::Reservation);
        self.dial_wanted(to, now);
    }

    /// An agent's own device that is in a talk without being the agent's part of it.
    pub(in crate::call) fn is_second_line(&self, leg: LegSeq) -> bool {
        let device = matches!(self.plan().map(|p| &p.entry), Some(super::Entry::FromDevice { .. })) && leg == LegSeq(0);
        let talks = |c: &super::Centre| c.room.contains(&leg) && c.wait == Wait::No && c.consult.is_none();
        device && !self.is_agent(leg) && self.centre_state().is_some_and(talks)
    }

    /// The party that an agent has handed over has the place of the agent's line: whoever was asked has it now.
    pub(in crate::call) fn replace_line(&mut self, old: LegSeq, new: LegSeq, now: Stamp) {
        self.bridge(new, now);
        self.room(|r| {
            for place in r.room.iter_mut().filter(|l| **l == old) {
                *place = new;
            }
            for seat in r.seats.iter_mut().filter(|s| !s.over) {
                (seat.variant, seat.began) = (Variant::In, Variant::In);
            }
        });
    }

    // --- supervision ---------------------------------------------------------------------------------------------

    fn monitor(&mut self, plan: &AgentPlan, of: Ticket, whisper: bool, now: Stamp) {
        let watched = self.by_ticket(of).map(|s| s.leg);
        let talks = watched.is_some_and(|leg| {
            self.centre_state()
                .is_some_and(|c| c.room.contains(&leg) && c.room.len() > 1 && c.wait == Wait::No)
        });
        let (Some(of), true, true) = (watched, talks, self.has_room()) else {
            return self.refuse_state();
        };
        let leg = self.dial_agent(plan, Part::Monitor, Variant::In, None, now);
        if let Some(seat) = self.seat_mut(leg) {
            seat.supervision = Some(Supervision { of, whisper });
        }
        self.accept(Some(leg));
    }

    fn supervision_of(&self, seat: &Seat) -> Option<Supervision> {
        seat.supervision.filter(|_| seat.accepted)
    }

    fn barge(&mut self, seat: Seat, now: Stamp) {
        let consults = self.centre_state().is_some_and(|c| c.consult.is_some());
        if self.supervision_of(&seat).is_none() || consults {
            return self.refuse_state();
        }
        if let Some(s) = self.seat_mut(seat.leg) {
            s.supervision = None;
        }
        self.room(|r| {
            // 53: a party on hold is taken back first.
            r.hold = None;
            r.room.push(seat.leg);
        });
        self.accept(None);
        self.talk(now);
    }

    /// 54.
    fn take_over(&mut self, seat: Seat, now: Stamp) {
        let Some(c) = self.centre_state() else { return };
        let barged = seat.kind == Part::Monitor && c.room.contains(&seat.leg);
        let agents = c.room.iter().filter(|l| **l != seat.leg && self.is_agent(**l));
        let of = match self.supervision_of(&seat) {
            Some(v) => Some(v.of),
            None if barged => agents.copied().next(),
            None => None,
        };
        let watched = of.and_then(|of| self.seat_of(of).cloned());
        let (Some(watched), None) = (watched, c.consult) else {
            return self.refuse_state();
        };
        if let Some(s) = self.seat_mut(seat.leg) {
            s.supervision = None;
        }
        self.room(|r| {
            if !r.room.contains(&seat.leg) {
                r.room.push(seat.leg);
            }
        });
        self.accept(None);
        self.leave_for(&watched, now);
        self.talk(now);
        self.settle_variants();
    }
}
