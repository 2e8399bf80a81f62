//! One leg as the conversation sees it (domain-model §5.2).

use super::{By, Cause, Conversation, Deadline, Effect, Flow, HOLD_BOUND_MS, Phase, RELEASE_BOUND_MS};
use crate::cause::Role;
use crate::event::{AnsweredBy, DialogRef, Direction, Fact, OneWay, Quality, Via};
use crate::id::LegSeq;
use crate::time::Stamp;

/// Where a leg stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LegState {
    /// Being called, or calling; nothing heard yet.
    Trying,
    /// Alerting.
    Ringing,
    /// Answered, not joined to another party.
    Answered,
    /// Joined, both ways.
    Bridged,
    /// Joined, but its device holds us.
    Held,
    /// A BYE or CANCEL of ours awaits its confirmation.
    Releasing,
    /// Over.
    Ended,
}

/// What can happen to a leg.
#[derive(Clone, Debug)]
pub enum LegFact {
    /// An INVITE is about to leave; committed before it does.
    Attempt {
        /// Over which trunk or to which device.
        via: Via,
        /// The dialog that a restarted process would cancel.
        dialog: Box<DialogRef>,
    },
    /// An attempt failed and another one follows.
    AttemptFailed {
        /// Which.
        via: Via,
        /// SIP status, 0 if nothing came.
        status: u16,
        /// Call-ID of the attempt's dialog.
        call_id: String,
    },
    /// A device sent the call on (RFC 3261 §8.1.3.4); its new attempts follow.
    Diverted {
        /// The device.
        via: Via,
        /// Its SIP status.
        status: u16,
        /// The URI that it named.
        to: String,
    },
    /// First 180 or 183.
    Ringing,
    /// Media of the far side arrives before its answer.
    EarlyMedia,
    /// Answered.
    Answered {
        /// The confirmed dialog.
        dialog: Option<Box<DialogRef>>,
    },
    /// An outgoing leg failed before its answer.
    Failed(Failure),
    /// The far side cancelled its own call before our answer.
    Cancelled,
    /// The far side hung up.
    HungUp {
        /// Q.850 cause of its Reason header, 0 if none.
        q850: u8,
    },
    /// The dialog is lost: 481, no ACK, transport gone.
    Lost,
    /// Our BYE or CANCEL is confirmed.
    Released,
    /// The device put us on hold.
    Held,
    /// The device took us back.
    Retrieved,
    /// Nothing received for the media time-out.
    Silent,
    /// The dialog has a session timer (RFC 4028), or has it no more: while it has one, a device that is gone is found
    /// out even on hold.
    Watched(bool),
    /// A digit was pressed.
    Digit(char),
    /// Who has answered, and how sure that is: 0-100.
    AnsweredBy(AnsweredBy, u8),
    /// The beep of an answering machine is over.
    Beep,
    /// The party began to talk, or ended.
    Talking(bool),
    /// One side hears nothing, and this is why.
    OneWay(OneWay),
    /// Media figures at the end.
    Quality(Quality),
}

/// How an outgoing leg failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A final response.
    Status {
        /// SIP status.
        status: u16,
        /// Q.850 cause of its Reason header, 0 if none.
        q850: u8,
    },
    /// Nothing came back.
    NoResponse,
    /// No trunk can carry the number.
    NoRoute,
    /// The number may not be called.
    Forbidden,
    /// The answer has no media that we can use.
    Media,
    /// Whoever asked for the call took it back before it was made.
    Withdrawn,
}

#[derive(Clone, Debug)]
pub(super) struct Leg {
    pub seq: LegSeq,
    pub role: Role,
    pub direction: Direction,
    pub state: LegState,
    pub rang: bool,
    pub early: bool,
    pub answered: bool,
    /// The device holds us, although the leg is not joined yet.
    holds: bool,
    /// Its dialog has a session timer.
    pub watched: bool,
    /// Set while releasing: what the leg's end fact will say.
    release: Option<(Stamp, Cause, By)>,
}

impl Leg {
    pub fn new(seq: LegSeq, role: Role, direction: Direction) -> Leg {
        Leg {
            seq,
            role,
            direction,
            state: LegState::Trying,
            rang: false,
            early: false,
            answered: false,
            holds: false,
            watched: false,
            release: None,
        }
    }

    pub fn is_live(&self) -> bool {
        !matches!(self.state, LegState::Releasing | LegState::Ended)
    }

    /// It was called in.
    pub fn is_incoming(&self) -> bool {
        self.direction == Direction::Incoming
    }

    /// Its device holds us, although it is in no talk now.
    pub fn set_holds(&mut self) {
        self.holds = true;
    }

    fn party(&self) -> By {
        By::Party(self.seq, self.role)
    }
}

impl Conversation {
    pub(super) fn leg_fact(&mut self, seq: LegSeq, fact: LegFact, now: Stamp) {
        let Some(leg) = self.legs.get_mut(usize::from(seq.0)) else {
            return;
        };
        let by = leg.party();
        match (leg.state, fact) {
            (_, LegFact::Quality(quality)) => self.emit(Fact::LegQuality { leg: seq, quality }, now),
            // Terminal states are final (I18).
            (LegState::Ended, _) => {}
            // Both sides hung up: each leg's own cause is normal, by its own party (§5.7).
            (LegState::Releasing, LegFact::HungUp { .. }) if leg.answered => {
                let stopped = leg.release.map_or(now, |r| r.0);
                leg.release = Some((stopped, Cause::Normal, by));
                self.leg_released(seq, now);
            }
            (
                LegState::Releasing,
                LegFact::Released | LegFact::Failed(_) | LegFact::HungUp { .. } | LegFact::Lost | LegFact::Cancelled,
            ) => self.leg_released(seq, now),
            // A 200 that crossed our CANCEL is acknowledged and ended below us; the leg is never bridged (§5.2).
            (LegState::Releasing, _) => {}
            // We alert and answer an incoming leg ourselves, and nothing was dialled for it.
            (
                _,
                LegFact::Attempt { .. }
                | LegFact::AttemptFailed { .. }
                | LegFact::Diverted { .. }
                | LegFact::Ringing
                | LegFact::EarlyMedia
                | LegFact::Answered { .. },
            ) if leg.direction == Direction::Incoming => {}
            (_, LegFact::Attempt { via, dialog }) => self.emit(Fact::LegAttempt { leg: seq, via, dialog }, now),
            (_, LegFact::AttemptFailed { via, status, call_id }) => {
                let leg = seq;
                self.emit(
                    Fact::LegAttemptFailed {
                        leg,
                        via,
                        status,
                        call_id,
                    },
                    now,
                );
            }
            (LegState::Trying | LegState::Ringing, LegFact::Diverted { via, status, to }) => {
                self.emit(
                    Fact::LegDiverted {
                        leg: seq,
                        via,
                        status,
                        to,
                    },
                    now,
                );
            }
            (_, LegFact::Watched(watched)) => {
                leg.watched = watched;
                let held = leg.state == LegState::Held;
                self.clear_deadline(Deadline::Hold(seq));
                if held {
                    self.bound_hold(seq, now);
                }
            }
            (LegState::Trying, LegFact::Ringing) => {
                leg.rang = true;
                leg.state = LegState::Ringing;
                self.emit(Fact::LegRinging { leg: seq }, now);
                self.on_ringing(seq, now);
            }
            (LegState::Trying | LegState::Ringing, LegFact::EarlyMedia) => {
                leg.early = true;
                self.on_early_media(seq);
            }
            (LegState::Trying | LegState::Ringing, LegFact::Answered { dialog }) => {
                leg.state = LegState::Answered;
                leg.answered = true;
                self.clear_deadline(Deadline::Ring(seq));
                self.emit(Fact::LegAnswered { leg: seq, dialog }, now);
                self.listen_to_answer(seq);
                self.on_answered(seq, now);
            }
            (LegState::Trying | LegState::Ringing, LegFact::Failed(failure)) => {
                let (cause, by, status, q850) = failure_of(failure, leg.rang, by);
                self.leg_ended(seq, now, cause, by, (status, q850), now);
                self.on_gone(seq, cause, by, now);
            }
            (LegState::Trying | LegState::Ringing, LegFact::Cancelled) => {
                self.leg_ended(seq, now, Cause::Cancelled, by, (487, 0), now);
                self.on_gone(seq, Cause::Cancelled, by, now);
            }
            (LegState::Trying | LegState::Ringing, LegFact::Lost | LegFact::Released) => {
                self.leg_ended(seq, now, Cause::NetworkLost, By::Network, (0, 0), now);
                self.on_gone(seq, Cause::NetworkLost, By::Network, now);
            }
            // The caller's CANCEL crossed our 200 on its way through the commit: it has left an answered call.
            (LegState::Answered | LegState::Bridged | LegState::Held, LegFact::Cancelled) => {
                self.leg_ended(seq, now, Cause::Normal, by, (487, 0), now);
                self.on_gone(seq, Cause::Normal, by, now);
            }
            (LegState::Answered | LegState::Bridged | LegState::Held, LegFact::HungUp { q850 }) => {
                self.leg_ended(seq, now, Cause::Normal, by, (0, q850), now);
                self.on_gone(seq, Cause::Normal, by, now);
            }
            (LegState::Answered | LegState::Bridged | LegState::Held, LegFact::Lost | LegFact::Released) => {
                self.leg_ended(seq, now, Cause::NetworkLost, By::Network, (0, 0), now);
                self.on_gone(seq, Cause::NetworkLost, By::Network, now);
            }
            (LegState::Answered | LegState::Bridged, LegFact::Failed(Failure::Media)) => {
                self.release(seq, Cause::IncompatibleMedia, By::Network, now);
                self.on_gone(seq, Cause::IncompatibleMedia, By::Network, now);
            }
            (LegState::Answered | LegState::Bridged, LegFact::Silent) => {
                self.release(seq, Cause::MediaFailure, By::Network, now);
                self.on_gone(seq, Cause::MediaFailure, By::Network, now);
            }
            (LegState::Bridged, LegFact::Held) => {
                leg.state = LegState::Held;
                self.emit(Fact::LegHeld { leg: seq }, now);
                self.bound_hold(seq, now);
            }
            // A device may hold us while it hears a greeting; the leg is held as soon as it is joined.
            (LegState::Answered, LegFact::Held) => leg.holds = true,
            (LegState::Answered, LegFact::Retrieved) => leg.holds = false,
            (LegState::Held, LegFact::Retrieved) => {
                leg.state = LegState::Bridged;
                self.clear_deadline(Deadline::Hold(seq));
                self.emit(Fact::LegRetrieved { leg: seq }, now);
            }
            // While it is set up there may be nothing to hear yet, and on hold there is nothing to be missed.
            (LegState::Answered | LegState::Bridged, LegFact::OneWay(cause)) => {
                let known = self.record.leg(seq).is_none_or(|l| l.one_way.contains(&cause));
                if !known {
                    self.emit(Fact::LegOneWay { leg: seq, cause }, now);
                }
            }
            (LegState::Answered | LegState::Bridged, LegFact::AnsweredBy(who, confidence)) => {
                self.answered_by(seq, who, confidence, now);
            }
            (LegState::Answered | LegState::Bridged, LegFact::Beep) => self.beep(seq, now),
            (LegState::Answered | LegState::Bridged, LegFact::Talking(talking)) => self.greeting_goes_on(talking, now),
            (_, LegFact::Digit(digit)) if leg.answered && matches!(self.flow, Flow::Notice(_)) => {
                self.program_key(seq, digit, now);
            }
            (_, LegFact::Digit(digit)) if leg.answered => {
                self.flow_key(seq, digit, now);
                // No flow of this kind asks to keep digits: they pass through and only their number is kept.
                let digit = if digit.is_ascii() { 'x' } else { '?' };
                self.emit(Fact::Digit { leg: seq, digit }, now);
            }
            // Everything else does not fit its state and is dropped: a second 180, media facts of a held leg, a hold
            // before the answer.
            (_, _) => {}
        }
    }

    /// Ends a leg from our side; its end fact follows when the far side confirms, at most 2 s later.
    pub(super) fn release(&mut self, seq: LegSeq, cause: Cause, by: By, now: Stamp) {
        let Some(leg) = self.leg_mut(seq) else { return };
        if !leg.is_live() {
            return;
        }
        let (answered, incoming) = (leg.answered, leg.direction == Direction::Incoming);
        leg.state = LegState::Releasing;
        leg.release = Some((now, cause, by));
        self.clear_deadline(Deadline::Ring(seq));
        if answered {
            self.effect(Effect::Hangup { leg: seq, cause });
        } else if incoming {
            self.effect(Effect::Refuse { leg: seq, cause });
            // A refusal is final when it is sent; its retransmissions are the transaction's.
            self.leg_released(seq, now);
            return;
        } else {
            self.effect(Effect::Cancel { leg: seq, cause });
        }
        self.set_deadline(now.plus_ms(RELEASE_BOUND_MS), Deadline::Release(seq));
    }

    pub(super) fn leg_released(&mut self, seq: LegSeq, now: Stamp) {
        self.clear_deadline(Deadline::Release(seq));
        let Some(leg) = self.leg(seq) else { return };
        if let (LegState::Releasing, Some((stopped, cause, by))) = (leg.state, leg.release) {
            let status = if leg.answered || leg.direction == Direction::Incoming {
                0
            } else {
                487
            };
            self.leg_ended(seq, stopped, cause, by, (status, 0), now);
        }
    }

    fn leg_ended(&mut self, seq: LegSeq, stopped: Stamp, cause: Cause, by: By, sip: (u16, u8), now: Stamp) {
        let Some(leg) = self.leg_mut(seq) else { return };
        leg.state = LegState::Ended;
        self.clear_deadline(Deadline::Ring(seq));
        self.clear_deadline(Deadline::Release(seq));
        self.clear_deadline(Deadline::Hold(seq));
        // The displayed order start ≤ ring ≤ answer ≤ stop holds because stamps of one conversation never run back.
        let fact = Fact::LegEnded {
            leg: seq,
            stopped_at: stopped,
            cause,
            by,
            sip_status: sip.0,
            q850: sip.1,
        };
        self.emit(fact, now);
        self.effect(Effect::Release { leg: seq });
    }

    pub(super) fn ring_timeout(&mut self, seq: LegSeq, now: Stamp) {
        let Some(leg) = self.leg(seq) else { return };
        if !matches!(leg.state, LegState::Trying | LegState::Ringing) {
            return;
        }
        let cause = if leg.rang { Cause::NoAnswer } else { Cause::SetupTimeout };
        self.release(seq, cause, By::Timer, now);
        self.on_gone(seq, cause, By::Timer, now);
    }

    /// A leg that is held sends no media that could be missed: nothing else would end one whose device is gone.
    pub(super) fn hold_timeout(&mut self, seq: LegSeq, now: Stamp) {
        if self.leg(seq).is_some_and(|l| l.state == LegState::Held) {
            self.release(seq, Cause::MediaFailure, By::Timer, now);
            self.on_gone(seq, Cause::MediaFailure, By::Timer, now);
        }
    }

    /// Joins a leg to the bridge, once.
    pub(super) fn bridge(&mut self, seq: LegSeq, now: Stamp) {
        let Some(leg) = self.leg_mut(seq) else { return };
        if leg.state != LegState::Answered {
            return;
        }
        let holds = std::mem::take(&mut leg.holds);
        leg.state = if holds { LegState::Held } else { LegState::Bridged };
        self.emit(Fact::LegBridged { leg: seq }, now);
        if holds {
            self.emit(Fact::LegHeld { leg: seq }, now);
            self.bound_hold(seq, now);
        }
    }

    /// A hold ends some day, unless the session timer tells whether the device is still there.
    fn bound_hold(&mut self, seq: LegSeq, now: Stamp) {
        if self.leg(seq).is_some_and(|l| !l.watched) {
            self.set_deadline(now.plus_ms(HOLD_BOUND_MS), Deadline::Hold(seq));
        }
    }

    fn on_ringing(&mut self, seq: LegSeq, now: Stamp) {
        match self.phase {
            Phase::CallingSecond { .. } if seq == self.callee => self.second_rings(now),
            Phase::Talking(_) => self.transfer_rings(seq),
            Phase::Centre(_) => self.centre_rings(seq, now),
            _ => {}
        }
    }

    fn on_early_media(&mut self, seq: LegSeq) {
        if matches!(self.phase, Phase::CallingSecond { .. }) && seq == self.callee {
            self.second_sends_early_media();
        }
        self.centre_early_media(seq);
    }

    fn on_answered(&mut self, seq: LegSeq, now: Stamp) {
        match self.phase {
            Phase::CallingFirst if seq == self.caller => self.first_answered(now),
            Phase::CallingSecond { .. } if seq == self.callee => self.second_answered(now),
            Phase::Talking(_) => self.added_answered(seq, now),
            Phase::Centre(_) => self.centre_answered(seq, now),
            _ => {}
        }
    }

    /// A leg left without our doing, or failed to come: what the conversation makes of it.
    fn on_gone(&mut self, seq: LegSeq, cause: Cause, by: By, now: Stamp) {
        match &self.phase {
            Phase::Ending | Phase::Ended => {}
            Phase::CallingSecond { .. } if seq == self.callee => self.second_failed(cause, by, now),
            Phase::FailNotice { .. } => self.fail_notice_over(now),
            Phase::Talking(_) => self.member_gone(seq, cause, by, now),
            Phase::Centre(_) => self.centre_gone(seq, cause, by, now),
            _ => self.end_all(cause, by, now),
        }
    }
}

/// Cause, originator, SIP status and Q.850 cause of a failed set-up.
fn failure_of(failure: Failure, rang: bool, party: By) -> (Cause, By, u16, u8) {
    match failure {
        Failure::Status { status, q850 } => {
            let cause = Cause::of_status(status, rang);
            let by = if matches!(cause, Cause::NoRoute | Cause::SetupTimeout) {
                By::Network
            } else {
                party
            };
            (cause, by, status, q850)
        }
        Failure::NoResponse if rang => (Cause::NoAnswer, By::Network, 0, 0),
        Failure::NoResponse => (Cause::SetupTimeout, By::Network, 0, 0),
        Failure::NoRoute => (Cause::NoRoute, By::System, 0, 0),
        Failure::Forbidden => (Cause::Forbidden, By::System, 0, 0),
        Failure::Media => (Cause::IncompatibleMedia, By::Network, 0, 0),
        Failure::Withdrawn => (Cause::Cancelled, By::Api, 0, 0),
    }
}
