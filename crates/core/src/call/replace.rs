//! A call that came in takes the place of a leg (RFC 3891): the second half of an attended transfer, or a pick-up of a
//! leg that still rings.

use super::leg::Leg;
use super::party::Stage;
use super::transfer::MAX_MOVED_LEGS;
use super::{By, Cause, Conversation, Effect, Flow, LegSeq, LegState, Phase, ReplacePlan};
use crate::event::{Direction, Fact};
use crate::time::Stamp;

impl Conversation {
    /// The number that the new leg will have, or the SIP status that the incoming call is to be refused with.
    ///
    /// # Errors
    /// 603 for a leg that is over (RFC 3891 §3), 491 while another change of the talk runs, 486 for a leg whose place
    /// cannot be taken in the present state.
    pub fn may_replace(&self, leg: LegSeq) -> Result<LegSeq, u16> {
        let Some(old) = self.leg(leg).filter(|l| l.is_live()) else {
            return Err(603);
        };
        if self.legs.len() >= MAX_MOVED_LEGS {
            return Err(486);
        }
        let rings = old.direction == Direction::Outgoing && !old.answered;
        let may = match &self.phase {
            Phase::CallingSecond { .. } if leg == self.callee => rings,
            // The caller of a click-to-call has answered and waits; that of a forwarded call has not.
            Phase::CallingSecond { .. } => leg == self.caller && old.answered,
            Phase::Talking(talk) if talk.members.contains(&leg) => {
                if talk.add.is_some() || talk.transfer.is_some() {
                    return Err(491);
                }
                true
            }
            Phase::Talking(talk) => {
                let transferred = talk.transfer.as_ref().is_some_and(|t| t.leg == leg);
                let added = talk
                    .add
                    .as_ref()
                    .is_some_and(|a| matches!(a.stage, Stage::Calling { leg: l, .. } if l == leg));
                rings && (transferred || added)
            }
            // The line beside its agent's talk: nobody's part ends with it.
            Phase::Centre(_) => self.is_second_line(leg),
            _ => false,
        };
        may.then_some(LegSeq(self.legs.len() as u16)).ok_or(486)
    }

    /// Creates the new leg, answered, and lets the old one go.
    pub(super) fn replace(&mut self, old: LegSeq, plan: ReplacePlan, now: Stamp) {
        let Ok(new) = self.may_replace(old) else { return };
        let role = self.role(old);
        let mut leg = Leg::new(new, role, Direction::Incoming);
        leg.state = LegState::Answered;
        leg.answered = true;
        self.legs.push(leg);
        self.emit(
            Fact::LegCreated {
                leg: new,
                role,
                direction: Direction::Incoming,
                from: plan.from,
                to: plan.to,
            },
            now,
        );
        let dialog = Some(Box::new(plan.dialog));
        self.emit(Fact::LegAnswered { leg: new, dialog }, now);
        self.emit(Fact::LegReplaced { leg: old, with: new }, now);
        self.effect(Effect::Answer { leg: new });
        if self.leg(old).is_some_and(|l| l.answered) {
            self.replace_answered(old, new, now);
        } else {
            self.pick_up(old, new, now);
        }
    }

    fn replace_answered(&mut self, old: LegSeq, new: LegSeq, now: Stamp) {
        if self.caller == old {
            self.caller = new;
        }
        if self.callee == old {
            self.callee = new;
        }
        match self.phase {
            Phase::Talking(_) => {
                self.bridge(new, now);
                self.take_place(old, new);
            }
            Phase::Centre(_) => self.replace_line(old, new, now),
            _ => {}
        }
        self.release_transferor(old, now);
    }

    /// The leg that rings stops ringing, and the new one is what it would have become.
    fn pick_up(&mut self, old: LegSeq, new: LegSeq, now: Stamp) {
        match &mut self.phase {
            Phase::CallingSecond { .. } => self.callee = new,
            Phase::Talking(talk) => {
                if let Some(t) = talk.transfer.as_mut().filter(|t| t.leg == old) {
                    // The transfer goes on to whoever answered; its record is that of the leg that was called.
                    t.leg = new;
                    t.called = old;
                }
                if let Some(add) = &mut talk.add
                    && let Stage::Calling { leg, .. } = &mut add.stage
                {
                    *leg = new;
                }
            }
            _ => {}
        }
        let by = By::Party(new, self.role(new));
        self.release(old, Cause::AnsweredElsewhere, by, now);
        match self.phase {
            Phase::CallingSecond { .. } => self.second_answered(now),
            Phase::Talking(_) => self.added_answered(new, now),
            _ => {}
        }
    }

    /// The ring time-out of a called party.
    pub(super) fn ring_secs(&self) -> u32 {
        match &self.flow {
            Flow::Click(p) => p.ring_timeout,
            Flow::Forward(p) => p.ring_timeout,
            Flow::Centre(p) => p.settings.dial_secs,
            Flow::Notice(p) => p.ring_timeout,
        }
    }
}
