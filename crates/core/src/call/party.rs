//! The talk, and parties that are added to it (voice-paas §10).

use super::layout::{Builtin, PlayId, Sound};
use super::transfer::Transfer;
use super::{AddPlan, By, Cause, Conversation, Deadline, LegSeq, MAX_LEGS, Phase, Refusal, Ringback, Role};
use crate::time::Stamp;

/// The most parties of one talk.
const MAX_PARTIES: usize = 3;
const BUILTIN_MS: u32 = 20_000;

/// Parties that talk, and the one that is being added.
#[derive(Clone, Debug)]
pub(super) struct Talk {
    /// Joined legs.
    pub members: Vec<LegSeq>,
    /// The called party: the talk ends when it leaves (A1). Whoever takes its place takes this over.
    pub anchor: LegSeq,
    /// The add in progress.
    pub add: Option<Box<Add>>,
    /// The transfer in progress; never beside an add.
    pub transfer: Option<Transfer>,
    /// Identity of the hold music, so that it goes on undisturbed.
    pub music: PlayId,
}

/// An add in progress.
#[derive(Clone, Debug)]
pub(super) struct Add {
    pub plan: AddPlan,
    pub stage: Stage,
}

/// Where the add stands; the host is the original caller, or the callee if the caller has left (A5).
#[derive(Clone, Debug)]
pub(super) enum Stage {
    /// The host hears the greeting.
    Greeting { play: PlayId },
    /// The party is dialled.
    Calling { leg: LegSeq, ringback: PlayId },
    /// The party answered; it and the host hear their prompts.
    Private {
        leg: LegSeq,
        host: Option<PlayId>,
        party: Option<PlayId>,
    },
    /// The party failed and the host hears why.
    Failed { play: PlayId, sound: Sound },
}

impl Add {
    fn leg(&self) -> Option<LegSeq> {
        match self.stage {
            Stage::Calling { leg, .. } | Stage::Private { leg, .. } => Some(leg),
            Stage::Greeting { .. } | Stage::Failed { .. } => None,
        }
    }
}

impl Talk {
    /// Who hears the sounds around an add.
    pub fn host(&self) -> Option<LegSeq> {
        self.members.first().copied()
    }
}

impl Conversation {
    /// `addCall`: allowed when exactly two parties talk and no add is pending (A4).
    pub(super) fn add(&mut self, plan: AddPlan, now: Stamp) {
        let talk = match &self.phase {
            Phase::Ended | Phase::Ending => return self.refuse(Refusal::Ended),
            Phase::Talking(talk) => talk,
            _ => return self.refuse(Refusal::State),
        };
        // A failure notice to the host is only a sound: the party limit is free again.
        let pending = talk
            .add
            .as_ref()
            .is_some_and(|a| !matches!(a.stage, Stage::Failed { .. }));
        let pending = pending || talk.transfer.is_some();
        if talk.members.len() >= MAX_PARTIES || pending || self.legs.len() >= usize::from(MAX_LEGS) {
            return self.refuse(Refusal::PartyLimit);
        }
        if plan.record {
            self.start_recording(now);
        }
        let leg = LegSeq(self.legs.len() as u16);
        match plan.greeting.as_ref().map(|g| g.millis) {
            Some(millis) => {
                let play = self.new_prompt(millis, now);
                self.set_add(Some(Add {
                    plan,
                    stage: Stage::Greeting { play },
                }));
            }
            None => self.dial_added(plan, now),
        }
        // The number of the leg is known although it may be dialled only after the greeting: nothing else can create
        // a leg while an add is pending.
        self.accept(Some(leg));
    }

    fn set_add(&mut self, add: Option<Add>) {
        if let Phase::Talking(talk) = &mut self.phase {
            talk.add = add.map(Box::new);
        }
    }

    fn take_add(&mut self) -> Option<Add> {
        match &mut self.phase {
            Phase::Talking(talk) => talk.add.take().map(|a| *a),
            _ => None,
        }
    }

    fn dial_added(&mut self, plan: AddPlan, now: Stamp) {
        let ringback = self.new_play();
        let leg = self.dial(Role::Third, &plan.party.clone(), plan.ring_timeout, now);
        self.set_add(Some(Add {
            plan,
            stage: Stage::Calling { leg, ringback },
        }));
    }

    pub(super) fn added_answered(&mut self, seq: LegSeq, now: Stamp) {
        if self.transfer_answered(seq, now) {
            return;
        }
        let Some(mut add) = self.take_add() else { return };
        if !matches!(add.stage, Stage::Calling { leg, .. } if leg == seq) {
            self.set_add(Some(add));
            return;
        }
        let host = add
            .plan
            .caller_voice
            .as_ref()
            .map(|v| v.millis)
            .map(|ms| self.new_prompt(ms, now));
        let party = add
            .plan
            .callee_voice
            .as_ref()
            .map(|v| v.millis)
            .map(|ms| self.new_prompt(ms, now));
        if host.is_none() && party.is_none() {
            self.join(seq, now);
        } else {
            add.stage = Stage::Private { leg: seq, host, party };
            self.set_add(Some(add));
        }
    }

    fn join(&mut self, seq: LegSeq, now: Stamp) {
        self.bridge(seq, now);
        if let Phase::Talking(talk) = &mut self.phase {
            talk.members.push(seq);
        }
    }

    /// A sound around an add came to its end.
    pub(super) fn add_sound_over(&mut self, over: PlayId, now: Stamp) {
        let Some(mut add) = self.take_add() else { return };
        match &mut add.stage {
            Stage::Greeting { play } if *play == over => return self.dial_added(add.plan, now),
            Stage::Failed { play, .. } if *play == over => return,
            Stage::Private { leg, host, party } => {
                for slot in [&mut *host, &mut *party] {
                    if *slot == Some(over) {
                        *slot = None;
                    }
                }
                if host.is_none() && party.is_none() {
                    let leg = *leg;
                    return self.join(leg, now);
                }
            }
            _ => {}
        }
        self.set_add(Some(add));
    }

    /// `cancelCall` with a leg: only the added party can be ended alone.
    pub(super) fn cancel_added(&mut self, seq: LegSeq, now: Stamp) {
        if self.cancel_greeting(seq) {
            return self.accept(None);
        }
        let added = self.leg(seq).is_some_and(|l| l.role == Role::Third && l.is_live());
        if !added {
            return self.refuse(Refusal::NoSuchLeg);
        }
        self.accept(None);
        let answered = self.leg(seq).is_some_and(|l| l.answered);
        let cause = if answered { Cause::Admin } else { Cause::Cancelled };
        self.release(seq, cause, By::Api, now);
        self.member_gone(seq, cause, By::Api, now);
    }

    /// Gives up an add whose party is not dialled yet: its number was promised when the add was accepted.
    fn cancel_greeting(&mut self, seq: LegSeq) -> bool {
        let next = self.legs.len() == usize::from(seq.0);
        match self.take_add() {
            Some(add) if next && matches!(add.stage, Stage::Greeting { .. }) => {
                if let Stage::Greeting { play } = add.stage {
                    self.clear_deadline(Deadline::Sound(play));
                }
                true
            }
            other => {
                self.set_add(other);
                false
            }
        }
    }

    /// A leg of the talk, or of the add, is gone.
    pub(super) fn member_gone(&mut self, seq: LegSeq, cause: Cause, by: By, now: Stamp) {
        if self.transfer_gone(seq, cause, by, now) {
            return;
        }
        let Phase::Talking(talk) = &mut self.phase else { return };
        if talk.add.as_ref().is_some_and(|a| a.leg() == Some(seq)) {
            return self.added_gone(cause, now);
        }
        talk.members.retain(|m| *m != seq);
        let anchor = talk.anchor;
        // The callee is the anchor: its leaving ends everything (A1). Otherwise the rest goes on while it is at least
        // a pair (A2, A8); one party alone is never kept.
        if seq == anchor || talk_size(&self.phase) < 2 {
            self.end_all(cause, by, now);
        }
    }

    /// The party that was being added did not come: the two are unaffected (A7).
    fn added_gone(&mut self, cause: Cause, now: Stamp) {
        let Some(add) = self.take_add() else { return };
        let was_called = matches!(add.stage, Stage::Calling { .. });
        let Ringback::Custom { fail, .. } = &add.plan.ringback else {
            return;
        };
        if !was_called || cause == Cause::Cancelled {
            return;
        }
        let (sound, millis) = match fail {
            Some(p) => (Sound::Prompt(p.name.clone()), p.millis),
            None => (Sound::Builtin(Builtin::for_failure(cause)), BUILTIN_MS),
        };
        let play = self.new_prompt(millis, now);
        self.set_add(Some(Add {
            plan: add.plan,
            stage: Stage::Failed { play, sound },
        }));
    }
}

fn talk_size(phase: &Phase) -> usize {
    match phase {
        Phase::Talking(talk) => talk.members.len(),
        _ => 0,
    }
}
