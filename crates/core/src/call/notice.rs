//! A voice notice: the platform calls one party, plays a program and hangs up (voice-paas §2 to §4, §7).

use super::layout::{LegLayout, Play, PlayId};
use super::leg::{Failure, LegFact};
use super::program::{Cue, Happening, Program};
use super::{By, Cause, Conversation, Deadline, Direction, Flow, Leg, NoticePlan, Phase, Role, Step};
use crate::event::{Created, Fact};
use crate::id::{ConversationId, LegSeq};
use crate::time::Stamp;

/// A program that runs, with what is heard of it now.
#[derive(Clone, Debug)]
pub(super) struct Running {
    pub(super) program: Program,
    cue: Cue,
    /// The sound that is being played; none in a silence.
    pub(super) play: Option<PlayId>,
    /// A machine has answered, and its beep is awaited.
    wait: Option<Wait>,
}

/// The wait for the beep of an answering machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wait {
    /// It ends then at the latest.
    pub(super) latest: Stamp,
}

impl Conversation {
    /// Creates a notice and dials its callee.
    pub fn notice(id: ConversationId, head: Created, plan: NoticePlan, now: Stamp) -> (Conversation, Step) {
        let (party, timeout) = (plan.party.clone(), plan.ring_timeout);
        let mut c = Conversation::new(id, head, Flow::Notice(Box::new(plan)), Phase::CallingFirst, now);
        c.dial(Role::Callee, &party, timeout, now);
        let step = c.finish(now);
        (c, step)
    }

    /// The facts of a notice that is not dialled: its callee cannot be called, or it was withdrawn. It has begun and
    /// ended, so that it has its record and its result like every other one.
    pub fn notice_undialled(
        id: ConversationId,
        head: Created,
        plan: NoticePlan,
        why: Failure,
        now: Stamp,
    ) -> (Conversation, Step) {
        let party = plan.party.clone();
        let mut c = Conversation::new(id, head, Flow::Notice(Box::new(plan)), Phase::CallingFirst, now);
        let leg = LegSeq(0);
        c.legs.push(Leg::new(leg, Role::Callee, Direction::Outgoing));
        c.emit(
            Fact::LegCreated {
                leg,
                role: Role::Callee,
                direction: Direction::Outgoing,
                from: party.cli.unwrap_or_default(),
                to: party.text,
            },
            now,
        );
        c.leg_fact(leg, LegFact::Failed(why), now);
        let step = c.finish(now);
        (c, step)
    }

    /// P1: the program starts after the answer, never in early media.
    pub(super) fn start_program(&mut self, now: Stamp) {
        let Flow::Notice(plan) = &self.flow else { return };
        let cap = now.plus_secs(u64::from(plan.max_secs));
        self.set_deadline(cap, Deadline::MaxDuration);
        self.run_program(now);
    }

    /// Runs the program from its first item.
    fn run_program(&mut self, now: Stamp) {
        let Flow::Notice(plan) = &self.flow else { return };
        let (program, cue) = Program::start(plan.rules, plan.items.len(), plan.finish_voice.is_some());
        self.phase = Phase::Program(Box::new(Running {
            program,
            cue,
            play: None,
            wait: None,
        }));
        self.cue(cue, now);
    }

    /// Stops the program, to run it from its begin at `until` or when [`Conversation::program_time`] is called.
    pub(super) fn hold_program(&mut self, wait: Wait, until: Stamp) {
        let Phase::Program(running) = &mut self.phase else {
            return;
        };
        running.wait = Some(wait);
        running.cue = Cue::Silence(0);
        if let Some(play) = running.play.take() {
            self.clear_deadline(Deadline::Sound(play));
        }
        self.clear_deadline(Deadline::Program);
        self.set_deadline(until, Deadline::Program);
    }

    /// The wait that the program is held for.
    pub(super) fn program_waits(&self) -> Option<Wait> {
        match &self.phase {
            Phase::Program(running) => running.wait,
            _ => None,
        }
    }

    /// A sound of the program is over, or could not be played.
    pub(super) fn program_sound_over(&mut self, play: PlayId, played: bool, now: Stamp) {
        if matches!(&self.phase, Phase::Program(running) if running.play == Some(play)) {
            self.program_goes_on(Happening::Over { played }, now);
        }
    }

    /// A silence of the program is over, or the wait for a machine.
    pub(super) fn program_time(&mut self, now: Stamp) {
        if self.program_waits().is_some() {
            self.run_program(now);
            return;
        }
        self.program_goes_on(Happening::Time, now);
    }

    /// A key was pressed. Only the finish key is kept: nobody asks for the others.
    pub(super) fn program_key(&mut self, leg: LegSeq, key: char, now: Stamp) {
        self.answered_by_a_person(leg, now);
        let Phase::Program(running) = &mut self.phase else {
            return;
        };
        if running.wait.is_some() {
            // It was a person after all.
            self.beep(leg, now);
            return;
        }
        let reaction = running.program.handle(Happening::Key(key));
        if let Some(digit) = reaction.key {
            self.emit(Fact::Digit { leg, digit }, now);
        }
        if let Some(cue) = reaction.cue {
            self.cue(cue, now);
        }
    }

    fn program_goes_on(&mut self, happening: Happening, now: Stamp) {
        let Phase::Program(running) = &mut self.phase else {
            return;
        };
        if let Some(cue) = running.program.handle(happening).cue {
            self.cue(cue, now);
        }
    }

    fn cue(&mut self, cue: Cue, now: Stamp) {
        self.clear_deadline(Deadline::Program);
        if let Phase::Program(running) = &self.phase
            && let Some(play) = running.play
        {
            self.clear_deadline(Deadline::Sound(play));
        }
        let Flow::Notice(plan) = &self.flow else { return };
        let play = match cue {
            Cue::Silence(ms) => {
                self.set_deadline(now.plus_ms(u64::from(ms)), Deadline::Program);
                None
            }
            Cue::Item(n) => {
                let millis = plan.items.get(n).map_or(0, |item| item.millis);
                Some(self.new_prompt(millis, now))
            }
            Cue::FinishVoice => {
                let millis = plan.finish_voice.as_ref().map_or(0, |item| item.millis);
                Some(self.new_prompt(millis, now))
            }
            Cue::End { heard } => {
                // P13: a callee that heard nothing was not reached.
                let cause = if heard { Cause::Normal } else { Cause::Failed };
                self.end_all(cause, By::System, now);
                return;
            }
        };
        if let Phase::Program(running) = &mut self.phase {
            running.cue = cue;
            running.play = play;
        }
    }

    /// What the callee hears of the program.
    pub(super) fn layout_program(&self, running: &Running) -> Option<LegLayout> {
        let Flow::Notice(plan) = &self.flow else { return None };
        let item = match running.cue {
            Cue::Item(n) => plan.items.get(n),
            Cue::FinishVoice => plan.finish_voice.as_ref(),
            Cue::Silence(_) | Cue::End { .. } => None,
        };
        let play = running.play.zip(item).map(|(id, item)| Play {
            id,
            sound: item.sound.clone(),
            repeat: false,
            recorded: false,
        });
        Some(LegLayout {
            leg: self.caller,
            hears: vec![],
            play,
        })
    }
}
