//! Click-to-call: the platform dials the caller, then the callee, then joins them (voice-paas §8.4).

use super::layout::{Builtin, PlayId, Sound};
use super::party::Talk;
use super::{
    By, Cause, ClickPlan, Conversation, Created, Deadline, Effect, Flow, Phase, RecordMode, Ringback, Role, Step,
};
use crate::event::Fact;
use crate::id::ConversationId;
use crate::time::Stamp;

/// Bound on a built-in prompt, whose length the machine does not know.
const BUILTIN_MS: u32 = 20_000;

impl Conversation {
    /// Creates a click-to-call conversation and dials the caller.
    pub fn click_to_call(id: ConversationId, head: Created, plan: ClickPlan, now: Stamp) -> (Conversation, Step) {
        let (caller, timeout) = (plan.caller.clone(), plan.ring_timeout);
        let mut c = Conversation::new(id, head, Flow::Click(Box::new(plan)), Phase::CallingFirst, now);
        c.dial(Role::Caller, &caller, timeout, now);
        let step = c.finish(now);
        (c, step)
    }

    /// Step 4 to 5: the caller answered; the greeting is heard in full before the callee is dialled.
    pub(super) fn first_answered(&mut self, now: Stamp) {
        let plan = match &self.flow {
            Flow::Click(plan) => plan,
            Flow::Notice(_) => return self.start_program(now),
            Flow::Forward(_) | Flow::Centre(_) => return,
        };
        match plan.greeting.as_ref().map(|g| g.millis) {
            Some(millis) => {
                let play = self.new_prompt(millis, now);
                self.phase = Phase::Greeting { play };
            }
            None => self.dial_second(now),
        }
    }

    /// Step 6: the callee is dialled (I12: never before the caller answered).
    pub(super) fn dial_second(&mut self, now: Stamp) {
        let (party, timeout) = match &self.flow {
            Flow::Click(p) => (p.callee.clone(), p.ring_timeout),
            Flow::Forward(p) => (p.party.clone(), p.ring_timeout),
            // Its only party is the first one.
            Flow::Notice(_) | Flow::Centre(_) => return,
        };
        let ringback = self.new_play();
        self.phase = Phase::CallingSecond { ringback };
        self.callee = self.dial(Role::Callee, &party, timeout, now);
    }

    /// Step 7: the callee rings.
    pub(super) fn second_rings(&mut self, now: Stamp) {
        if self.record_mode() == RecordMode::FromRinging {
            self.start_recording(now);
        }
        if let Flow::Forward(_) = self.flow {
            self.alert_first(now);
        }
    }

    pub(super) fn second_sends_early_media(&mut self) {
        if let Flow::Forward(_) = self.flow {
            self.effect(Effect::Alert {
                leg: self.caller,
                early_media: true,
            });
        }
    }

    /// Step 9: the callee answered.
    pub(super) fn second_answered(&mut self, now: Stamp) {
        if let Flow::Forward(_) = self.flow {
            self.answer_first(now);
        }
        if self.record_mode() != RecordMode::None {
            self.start_recording(now);
        }
        self.start_talk_clocks(now);
        let Phase::CallingSecond { ringback } = self.phase else {
            return;
        };
        let (caller, callee) = match &self.flow {
            Flow::Click(p) => (
                p.caller_voice.as_ref().map(|v| v.millis),
                p.callee_voice.as_ref().map(|v| v.millis),
            ),
            Flow::Forward(_) | Flow::Notice(_) | Flow::Centre(_) => (None, None),
        };
        if caller.is_none() && callee.is_none() {
            self.start_talk(now);
            return;
        }
        let caller = caller.map(|ms| self.new_prompt(ms, now));
        let callee = callee.map(|ms| self.new_prompt(ms, now));
        self.phase = Phase::Private {
            caller,
            callee,
            ringback,
        };
    }

    /// Step 11: the bridge.
    fn start_talk(&mut self, now: Stamp) {
        let members = vec![self.caller, self.callee];
        for leg in &members {
            self.bridge(*leg, now);
        }
        let music = self.new_play();
        self.phase = Phase::Talking(Talk {
            members,
            anchor: self.callee,
            add: None,
            transfer: None,
            music,
        });
    }

    /// Step 8a: the callee did not come. The conversation's pair is the callee's, whatever happens during the notice.
    pub(super) fn second_failed(&mut self, cause: Cause, by: By, now: Stamp) {
        let custom = match &self.flow {
            Flow::Click(p) => match &p.ringback {
                Ringback::Custom { fail, .. } => Some(fail.clone()),
                Ringback::Transparent => None,
            },
            Flow::Forward(_) | Flow::Notice(_) | Flow::Centre(_) => None,
        };
        let Some(fail) = custom else {
            self.end_all(cause, by, now);
            return;
        };
        let (sound, millis) = match fail {
            Some(p) => (Sound::Prompt(p.name), p.millis),
            None => (Sound::Builtin(Builtin::for_failure(cause)), BUILTIN_MS),
        };
        self.fix_end(cause, by, now);
        let play = self.new_prompt(millis, now);
        self.phase = Phase::FailNotice { play, sound };
    }

    pub(super) fn fail_notice_over(&mut self, now: Stamp) {
        let (cause, by) = self.record.end.unwrap_or((Cause::Failed, By::System));
        self.end_all(cause, by, now);
    }

    /// A sound came to its end, or was given up.
    pub(super) fn sound_over(&mut self, play: PlayId, played: bool, now: Stamp) {
        self.clear_deadline(Deadline::Sound(play));
        if self.last_minute == Some(play) {
            self.last_minute = None;
            return;
        }
        match &mut self.phase {
            Phase::Greeting { play: p } if *p == play => self.dial_second(now),
            Phase::FailNotice { play: p, .. } if *p == play => self.fail_notice_over(now),
            Phase::Private { caller, callee, .. } => {
                for slot in [caller, callee] {
                    if *slot == Some(play) {
                        *slot = None;
                    }
                }
                if let Phase::Private {
                    caller: None,
                    callee: None,
                    ..
                } = self.phase
                {
                    self.start_talk(now);
                }
            }
            Phase::Talking(_) => self.add_sound_over(play, now),
            Phase::Program(_) => self.program_sound_over(play, played, now),
            Phase::Centre(_) => self.flow_sound_over(play, now),
            _ => {}
        }
    }

    /// Facts of the incoming leg of a forwarded call follow the outgoing one's.
    pub(super) fn alert_first(&mut self, now: Stamp) {
        self.effect(Effect::Alert {
            leg: self.caller,
            early_media: false,
        });
        if let Some(leg) = self.leg_mut(self.caller) {
            leg.rang = true;
            leg.state = super::LegState::Ringing;
        }
        self.emit(Fact::LegRinging { leg: self.caller }, now);
    }
}
