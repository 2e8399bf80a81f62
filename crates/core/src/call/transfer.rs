//! A party hands its talk over to somebody else (RFC 3515): blind, or to a party that it spoke to before (RFC 3891).
//!
//! The new leg is called while the other party of the talk waits and hears it ring. When it answers, it has the
//! transferor's place and the transferor's leg is ended; when it fails, the talk goes on as before. The transferor may
//! hang up at any time; then a failure ends the conversation.

use super::layout::{Builtin, LegLayout, Play, PlayId, Sound, waiting};
use super::{By, Cause, Conversation, Effect, LegSeq, LegState, Phase, Ringback, Role, TransferPlan};
use crate::event::Fact;
use crate::time::Stamp;

/// What a party that may not transfer now is told.
const DECLINE: u16 = 603;
/// What a party is told while another change of the talk runs.
const PENDING: u16 = 491;

/// Legs of a conversation after which nobody moves it on any more: a device that asks for transfers without end must not
/// fill the journal.
pub(super) const MAX_MOVED_LEGS: usize = 32;

/// A transfer in progress.
#[derive(Clone, Copy, Debug)]
pub(super) struct Transfer {
    /// The leg that asked for it.
    pub by: LegSeq,
    /// The leg that is called, or that picked it up.
    pub leg: LegSeq,
    /// The leg that was called.
    pub called: LegSeq,
    /// Identity of the tone that the waiting party hears.
    pub ringback: PlayId,
}

impl Conversation {
    fn present_transfer(&self) -> Option<Transfer> {
        match &self.phase {
            Phase::Talking(talk) => talk.transfer,
            _ => None,
        }
    }

    fn set_transfer(&mut self, transfer: Option<Transfer>) {
        if let Phase::Talking(talk) = &mut self.phase {
            talk.transfer = transfer;
        }
    }

    /// Why a party may not hand its talk over now; `None` if it may.
    fn transfer_barred(&self, by: LegSeq) -> Option<u16> {
        let Phase::Talking(talk) = &self.phase else {
            return Some(DECLINE);
        };
        let alive = self.leg(by).is_some_and(super::leg::Leg::is_live);
        if !alive || !talk.members.contains(&by) || self.legs.len() >= MAX_MOVED_LEGS {
            return Some(DECLINE);
        }
        if talk.add.is_some() || talk.transfer.is_some() {
            return Some(PENDING);
        }
        (talk.members.len() != 2).then_some(DECLINE)
    }

    /// A party asks to hand its talk over: allowed while exactly two talk.
    pub(super) fn transfer(&mut self, by: LegSeq, plan: &TransferPlan, now: Stamp) {
        // A leg that is over has nobody to answer.
        if self.leg(by).is_none_or(|l| l.state == LegState::Ended) {
            return;
        }
        if matches!(self.phase, Phase::Centre(_)) {
            return self.centre_transfer(by, plan, now);
        }
        if let Some(status) = self.transfer_barred(by) {
            return self.effect(Effect::AnswerRefer { leg: by, status });
        }
        // The acceptance leaves with the commit that the new INVITE waits for. The first NOTIFY goes with it.
        self.effect(Effect::AnswerRefer { leg: by, status: 202 });
        let timeout = self.ring_secs();
        let ringback = self.new_play();
        let leg = self.dial(Role::Third, &plan.party, timeout, now);
        self.emit(
            Fact::LegTransferring {
                leg,
                by,
                attended: plan.attended,
            },
            now,
        );
        self.set_transfer(Some(Transfer {
            by,
            leg,
            called: leg,
            ringback,
        }));
    }

    /// Tells the transferor, as long as it is there.
    fn notify(&mut self, by: LegSeq, status: u16, finished: bool) {
        if self.leg(by).is_some_and(super::leg::Leg::is_live) {
            self.effect(Effect::NotifyRefer {
                leg: by,
                status,
                finished,
            });
        }
    }

    pub(super) fn transfer_rings(&mut self, seq: LegSeq) {
        if let Some(t) = self.present_transfer().filter(|t| t.leg == seq) {
            self.notify(t.by, 180, false);
        }
    }

    /// True if the leg was the one that a transfer calls: it takes the transferor's place.
    pub(super) fn transfer_answered(&mut self, seq: LegSeq, now: Stamp) -> bool {
        let Some(t) = self.present_transfer().filter(|t| t.leg == seq) else {
            return false;
        };
        self.notify(t.by, 200, true);
        self.emit(
            Fact::LegTransferred {
                leg: t.called,
                by: t.by,
            },
            now,
        );
        self.set_transfer(None);
        self.bridge(seq, now);
        self.take_place(t.by, seq);
        self.release_transferor(t.by, now);
        true
    }

    /// Puts a leg where another one was in the talk, or beside the rest if that one has left already.
    pub(super) fn take_place(&mut self, old: LegSeq, new: LegSeq) {
        let Phase::Talking(talk) = &mut self.phase else { return };
        match talk.members.iter_mut().find(|m| **m == old) {
            Some(place) => *place = new,
            None => talk.members.push(new),
        }
        if talk.anchor == old {
            talk.anchor = new;
        }
    }

    pub(super) fn release_transferor(&mut self, by: LegSeq, now: Stamp) {
        let party = By::Party(by, self.role(by));
        self.release(by, Cause::Transferred, party, now);
    }

    /// A leg is gone while a transfer runs; false if that is not the transfer's affair.
    pub(super) fn transfer_gone(&mut self, seq: LegSeq, cause: Cause, by: By, now: Stamp) -> bool {
        let Some(t) = self.present_transfer() else { return false };
        if seq == t.leg {
            let status = match self.record.leg(seq).map_or(0, |l| l.sip_status) {
                status @ 300..=699 => status,
                _ => cause.to_status().0,
            };
            self.fail_transfer(t, status, now);
            // With the transferor gone there is nobody left to talk to.
            if !self.is_member(t.by) {
                self.end_all(cause, by, now);
            }
            return true;
        }
        if seq == t.by {
            // It need not wait for the end of what it asked for.
            if let Phase::Talking(talk) = &mut self.phase {
                talk.members.retain(|m| *m != seq);
            }
            return true;
        }
        // The party that was to be handed over has left: nobody waits for the new leg any more.
        self.fail_transfer(t, 487, now);
        self.end_all(cause, by, now);
        true
    }

    fn fail_transfer(&mut self, t: Transfer, status: u16, now: Stamp) {
        self.notify(t.by, status, true);
        self.emit(
            Fact::LegTransferFailed {
                leg: t.called,
                by: t.by,
                status,
            },
            now,
        );
        self.set_transfer(None);
    }

    pub(super) fn is_member(&self, leg: LegSeq) -> bool {
        matches!(&self.phase, Phase::Talking(talk) if talk.members.contains(&leg))
    }

    /// A conversation that is taken down leaves no transfer without a result in its record.
    pub(super) fn end_transfer(&mut self, now: Stamp) {
        if let Some(t) = self.present_transfer() {
            self.fail_transfer(t, 487, now);
        }
    }

    /// The waiting party hears the new leg's network, or the tone while it rings; the transferor hears music. They do
    /// not hear one another: the talk is handed over.
    pub(super) fn layout_transfer(&self, transfer: &Transfer, music: PlayId, legs: &mut [LegLayout]) {
        let Some(far) = self.leg(transfer.leg) else { return };
        for l in legs {
            let held = self.leg(l.leg).is_some_and(|leg| leg.state == LegState::Held);
            if l.leg == transfer.by {
                l.hears.clear();
                if !held {
                    l.play = Some(Play {
                        id: music,
                        sound: Sound::Builtin(Builtin::HoldMusic),
                        repeat: true,
                        recorded: false,
                    });
                }
                continue;
            }
            (l.hears, l.play) = if held {
                (Vec::new(), None)
            } else {
                waiting(
                    &Ringback::Transparent,
                    far.rang,
                    far.early,
                    transfer.leg,
                    transfer.ringback,
                )
            };
            if let Some(play) = &mut l.play {
                play.recorded = false;
            }
        }
    }
}
