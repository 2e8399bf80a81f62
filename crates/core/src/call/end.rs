//! The end of a conversation.

use super::{By, Cause, Conversation, Deadline, Fact, Flow, LegSeq, Phase, Refusal};
use crate::event::Direction;
use crate::time::Stamp;

impl Conversation {
    /// Fixes cause and originator and releases every leg that is still up.
    pub(super) fn end_all(&mut self, cause: Cause, by: By, now: Stamp) {
        if self.is_ending() {
            return;
        }
        self.end_transfer(now);
        self.end_centre(now);
        self.fix_end(cause, by, now);
        self.phase = Phase::Ending;
        self.last_minute = None;
        self.recording = false;
        self.recording_pause = None;
        let live: Vec<(LegSeq, bool, Direction)> = self
            .legs
            .iter()
            .filter(|l| l.is_live())
            .map(|l| (l.seq, l.answered, l.direction))
            .collect();
        for (leg, answered, direction) in live {
            let (leg_cause, leg_by) = match (cause, by, answered) {
                (Cause::MaxDuration | Cause::SystemError | Cause::Admin, _, true) => (cause, by),
                (Cause::SystemError, _, false) => (cause, by),
                // A caller that waits for a target that failed learns the target's cause.
                (_, _, false) if direction == Direction::Incoming => (cause, by),
                (_, _, false) => (Cause::Cancelled, by),
                // The program ran to its end because another leg failed to come up.
                (_, By::Party(who, _), true) if self.leg(who).is_some_and(|l| !l.answered) => {
                    (Cause::Normal, By::System)
                }
                (_, By::Timer | By::Network, true) => (Cause::Normal, By::System),
                (_, _, true) => (Cause::Normal, by),
            };
            self.release(leg, leg_cause, leg_by, now);
        }
    }

    /// The pair of the conversation is that of the leg whose end started the take-down; it is fixed once.
    pub(super) fn fix_end(&mut self, cause: Cause, by: By, now: Stamp) {
        if self.record.end.is_none() {
            self.emit(Fact::Ending { cause, by }, now);
        }
    }

    /// All legs are gone: closes the record.
    pub(super) fn close(&mut self, now: Stamp) {
        self.phase = Phase::Ended;
        self.deadlines.clear();
        self.emit(Fact::Ended, now);
        if self.record.recording_pending() {
            let wait = match &self.flow {
                Flow::Click(p) => p.record_wait,
                Flow::Forward(p) => p.record_wait,
                Flow::Centre(p) => p.record_wait,
                // A notice is not recorded.
                Flow::Notice(_) => 0,
            };
            self.set_deadline(now.plus_secs(u64::from(wait)), Deadline::Record);
        }
    }

    /// The application's cancel.
    pub(super) fn cancel(&mut self, leg: Option<LegSeq>, now: Stamp) {
        match (&self.phase, leg) {
            (Phase::Ended, _) => self.refuse(Refusal::Ended),
            // Repeating the request while the legs are being released is no error.
            (Phase::Ending, _) => self.accept(None),
            (_, None) => {
                self.accept(None);
                self.end_all(Cause::Admin, By::Api, now);
            }
            (_, Some(leg)) => self.cancel_added(leg, now),
        }
    }
}
