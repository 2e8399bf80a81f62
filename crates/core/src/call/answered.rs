//! Who has answered: a person, a machine or a fax machine, and what the conversation does then.

use super::notice::Wait;
use super::{By, Cause, Conversation, Effect, Flow, Phase};
use crate::event::{AnsweredBy, Direction, Fact};
use crate::id::LegSeq;
use crate::resource::{AnswerRule, OnMachine};
use crate::time::Stamp;

/// What a leg is listened to for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listening {
    /// Nothing.
    Nothing,
    /// Who has answered.
    Answer,
    /// When a machine begins to record: its beep, or that it is silent.
    Beep,
}

/// A verdict that rests on what a party has done, not on how it sounds.
const CERTAIN: u8 = 100;
/// The longest greeting of a machine that is waited for.
const GREETING_MS: u64 = 45_000;
/// A machine that is silent for so long records, also if no beep was heard.
const SILENCE_MS: u64 = 3_000;

impl Conversation {
    fn answer_rule(&self) -> AnswerRule {
        match &self.flow {
            Flow::Click(p) => p.answer,
            Flow::Notice(p) => p.answer,
            Flow::Forward(_) | Flow::Centre(_) => AnswerRule::default(),
        }
    }

    /// A party has answered: listens who it is, if anybody wants to know.
    pub(super) fn listen_to_answer(&mut self, leg: LegSeq) {
        let ours = leg == self.caller || leg == self.callee;
        let called = self.leg(leg).is_some_and(|l| l.direction == Direction::Outgoing);
        if ours && called && self.answer_rule().on_machine != OnMachine::Ignore {
            self.effect(Effect::Listen {
                leg,
                to: Listening::Answer,
            });
        }
    }

    /// The media engine knows who has answered.
    pub(super) fn answered_by(&mut self, leg: LegSeq, who: AnsweredBy, confidence: u8, now: Stamp) {
        let rule = self.answer_rule();
        if rule.on_machine == OnMachine::Ignore || !self.tell_answered_by(leg, who, confidence, now) {
            return;
        }
        let notice = matches!(self.flow, Flow::Notice(_));
        let is_machine = who == AnsweredBy::Machine && confidence >= rule.least_confidence;
        let cause = match (who, rule.on_machine) {
            (AnsweredBy::Fax, OnMachine::HangUp) => Some(Cause::AnsweredByFax),
            (AnsweredBy::Fax, _) if notice => Some(Cause::AnsweredByFax),
            (_, OnMachine::HangUp) if is_machine => Some(Cause::AnsweredByMachine),
            _ => None,
        };
        if let Some(cause) = cause {
            self.release(leg, cause, By::System, now);
            self.end_all(cause, By::System, now);
            return;
        }
        if is_machine && rule.on_machine == OnMachine::AwaitBeep && self.await_beep(now) {
            self.effect(Effect::Listen {
                leg,
                to: Listening::Beep,
            });
            return;
        }
        self.effect(Effect::Listen {
            leg,
            to: Listening::Nothing,
        });
    }

    /// A key was pressed: no machine does that.
    pub(super) fn answered_by_a_person(&mut self, leg: LegSeq, now: Stamp) {
        let told = self.record.leg(leg).is_none_or(|l| l.answered_by.is_some());
        if self.answer_rule().on_machine != OnMachine::Ignore && !told {
            self.answered_by(leg, AnsweredBy::Human, CERTAIN, now);
        }
    }

    /// Makes it a fact, once; false if it is known already. A fax tone may follow another verdict.
    fn tell_answered_by(&mut self, leg: LegSeq, who: AnsweredBy, confidence: u8, now: Stamp) -> bool {
        let known = match self.record.leg(leg) {
            Some(l) => l.answered_by.map(|(who, _)| who),
            None => return false,
        };
        let new = known.is_none() || (who == AnsweredBy::Fax && known != Some(AnsweredBy::Fax));
        if new {
            self.emit(Fact::LegAnsweredBy { leg, who, confidence }, now);
        }
        new
    }

    /// The program is silent until the machine records; false if none runs.
    fn await_beep(&mut self, now: Stamp) -> bool {
        if !matches!(self.phase, Phase::Program(_)) {
            return false;
        }
        let wait = Wait {
            latest: now.plus_ms(GREETING_MS),
        };
        self.hold_program(wait, now.plus_ms(SILENCE_MS));
        true
    }

    /// The party of a leg began or ended to talk while its machine's beep is awaited.
    pub(super) fn greeting_goes_on(&mut self, talking: bool, now: Stamp) {
        if let Some(wait) = self.program_waits() {
            let until = if talking {
                wait.latest
            } else {
                wait.latest.min(now.plus_ms(SILENCE_MS))
            };
            self.hold_program(wait, until);
        }
    }

    /// A machine's beep was heard.
    pub(super) fn beep(&mut self, leg: LegSeq, now: Stamp) {
        if self.program_waits().is_some() {
            self.effect(Effect::Listen {
                leg,
                to: Listening::Nothing,
            });
            self.program_time(now);
        }
    }
}
