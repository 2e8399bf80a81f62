//! A caller that is guided by a flow: the flow's machine says what is heard and where the call goes, this carries it out.

use super::super::layout::{Play, PlayId, Sound, Spoken};
use super::{By, Cause, CentreCommand, Conversation, Effect, Fact, LegSeq, Refusal, Stamp, Wait, Whom};
use crate::call::Deadline;
use crate::ivr::{self, Action, Input as FlowInput, Outcome as Back, Run, Said};
use crate::spoken::{Language, Manner};
use std::collections::VecDeque;
use std::sync::Arc;

/// A sound of a flow is taken as over after so long, whatever the engine says.
const SOUND_BOUND_MS: u32 = 600_000;

/// A call in a flow, with what it hears now.
#[derive(Clone)]
pub(in crate::call) struct Guide {
    run: Run,
    language: Language,
    /// What plays for the flow: its number there, what is still to come, and the sound that plays now.
    playing: Option<Playing>,
}

impl std::fmt::Debug for Guide {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Values of a flow are what callers keyed in.
        f.debug_struct("Guide")
            .field("place", &self.run.place())
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Debug)]
struct Playing {
    id: u32,
    rest: VecDeque<Said>,
    now: Option<(PlayId, Sound)>,
}

impl Conversation {
    /// Brings the caller into a flow.
    pub(super) fn enter_flow(&mut self, library: Arc<ivr::Library>, flow: &str, call: ivr::Call, now: Stamp) {
        let language = library.flows.get(flow).map_or(Language::Chinese, |f| f.language);
        let (run, step) = Run::begin(library, flow, call, now);
        self.room(|r| {
            r.wait = Wait::Flow;
            r.guide = Some(Box::new(Guide {
                run,
                language,
                playing: None,
            }));
        });
        self.flow_step(step, now);
    }

    fn guide(&mut self) -> Option<&mut Guide> {
        match &mut self.phase {
            super::Phase::Centre(c) => c.guide.as_deref_mut(),
            _ => None,
        }
    }

    /// True while a flow leads the call, or waits for it to come back.
    pub(super) fn has_guide(&self) -> bool {
        self.centre_state()
            .is_some_and(|c| c.guide.as_ref().is_some_and(|g| !g.run.is_over()))
    }

    /// Tells the flow what happened.
    pub(super) fn tell_flow(&mut self, input: FlowInput, now: Stamp) {
        let Some(guide) = self.guide() else { return };
        let step = guide.run.handle(input, now);
        self.flow_step(step, now);
    }

    fn flow_step(&mut self, step: ivr::Step, now: Stamp) {
        self.clear_deadline(Deadline::Flow);
        if let Some(at) = step.deadline {
            self.set_deadline(at, Deadline::Flow);
        }
        for fact in step.facts {
            let fact = match fact {
                ivr::Fact::Pressed(pressed) => Fact::FlowKey {
                    key: pressed.key,
                    label: pressed.label,
                },
                ivr::Fact::Attached { name, value } => Fact::Attached { name, value },
                ivr::Fact::Scored { name, score } => Fact::Scored { name, score },
                ivr::Fact::Entered { flow, node } => Fact::FlowEntered { flow, node },
                // What else a flow does is told by what comes of it.
                _ => continue,
            };
            self.emit(fact, now);
        }
        for action in step.actions {
            if self.is_ending() {
                return;
            }
            self.flow_action(action, now);
        }
    }

    fn flow_action(&mut self, action: Action, now: Stamp) {
        match action {
            Action::Play(id, said) => {
                self.stop_flow_sound();
                if let Some(g) = self.guide() {
                    g.playing = Some(Playing {
                        id,
                        rest: said.into(),
                        now: None,
                    });
                }
                self.next_flow_sound(now);
            }
            Action::Stop => self.stop_flow_sound(),
            // There is no recogniser at this place yet: nothing is understood, and the flow goes on as its author wrote it
            // for that case.
            Action::Listen { id, .. } => self.tell_flow(FlowInput::Heard(id, None), now),
            Action::StopListening => {}
            Action::Send(request) => self.effect(Effect::Request(Box::new(request))),
            Action::HandOver(to) => {
                self.stop_flow_sound();
                self.effect(Effect::HandOver(Box::new(to)));
            }
            Action::HangUp(cause) => self.end_all(cause, By::System, now),
        }
    }

    fn stop_flow_sound(&mut self) {
        let Some(g) = self.guide() else { return };
        let playing = g.playing.take();
        self.clear_deadline(Deadline::FlowPause);
        if let Some((id, _)) = playing.and_then(|p| p.now) {
            self.clear_deadline(Deadline::Sound(id));
        }
    }

    /// Plays what comes next, or tells the flow that it is over.
    fn next_flow_sound(&mut self, now: Stamp) {
        loop {
            let Some(g) = self.guide() else { return };
            let language = g.language;
            let Some(playing) = &mut g.playing else { return };
            playing.now = None;
            let Some(said) = playing.rest.pop_front() else {
                let id = playing.id;
                g.playing = None;
                return self.tell_flow(FlowInput::PlayEnded(id), now);
            };
            let sound = match said {
                Said::Pause(ms) => {
                    return self.set_deadline(now.plus_ms(u64::from(ms)), Deadline::FlowPause);
                }
                Said::Prompt(name) => Sound::Prompt(name),
                Said::Spoken(kind, text) => Sound::Spoken(Box::new(Spoken {
                    kind,
                    text,
                    language,
                    manner: Manner::default(),
                    code: false,
                })),
                // Texts are made into prompts before a flow is published; one with values in it cannot be said here.
                Said::Text(_) => continue,
            };
            let id = self.new_prompt(SOUND_BOUND_MS, now);
            if let Some(playing) = self.guide().and_then(|g| g.playing.as_mut()) {
                playing.now = Some((id, sound));
            }
            return;
        }
    }

    /// A sound came to its end: an announcement, or one of a flow.
    pub(in crate::call) fn flow_sound_over(&mut self, play: PlayId, now: Stamp) {
        if self.announced(play) {
            return;
        }
        let its = |g: &mut Guide| {
            let playing = g.playing.as_ref().and_then(|p| p.now.as_ref());
            playing.is_some_and(|(id, _)| *id == play)
        };
        if self.guide().is_some_and(its) {
            self.next_flow_sound(now);
        }
    }

    pub(in crate::call) fn flow_pause_over(&mut self, now: Stamp) {
        self.next_flow_sound(now);
    }

    pub(in crate::call) fn flow_time(&mut self, now: Stamp) {
        self.tell_flow(FlowInput::Time, now);
    }

    /// A key of the caller's is the flow's while it leads.
    pub(in crate::call) fn flow_key(&mut self, leg: LegSeq, key: char, now: Stamp) {
        let leads = self
            .centre_state()
            .is_some_and(|c| c.wait == Wait::Flow && c.room.contains(&leg));
        if leads {
            self.tell_flow(FlowInput::Key(key), now);
        }
    }

    /// What a guided caller hears.
    pub(super) fn flow_play(&self) -> Option<Play> {
        let guide = self.centre_state()?.guide.as_ref()?;
        let (id, sound) = guide.playing.as_ref()?.now.clone()?;
        Some(Play {
            id,
            sound,
            repeat: false,
            recorded: false,
        })
    }

    /// The tenant's server answered, or did not.
    pub(super) fn flow_answered(&mut self, id: u32, answer: Option<ivr::Answer>, now: Stamp) {
        self.accept(None);
        self.tell_flow(FlowInput::Answered(id, answer), now);
    }

    /// Where a flow hands the call over to, found by name; `None` if there is no such thing, or it is not to be had.
    pub(super) fn handed_over(&mut self, to: Option<Whom>, priority: Option<u8>, now: Stamp) {
        if self.centre_state().is_none_or(|c| c.wait != Wait::Flow) {
            return self.refuse(Refusal::State);
        }
        self.accept(None);
        match to {
            None => self.tell_flow(FlowInput::Back(Back::Failed), now),
            Some(Whom::Queue(queue)) => {
                self.room(|r| r.priority = priority.or(r.priority));
                self.enter_queue(queue, None, false, now);
            }
            Some(Whom::Colleague(agent)) => self.want(agent, super::Part::Direct, now),
            Some(whom) => self.send_on(whom, None, now),
        }
    }

    /// What a flow handed the call over to gives it back; false if no flow waits for it.
    pub(super) fn back_to_flow(&mut self, now: Stamp) -> bool {
        if !self.has_guide() {
            return false;
        }
        for leg in self.centre_state().map(|c| c.room.clone()).unwrap_or_default() {
            self.unbridge(leg, now);
        }
        self.room(|r| {
            r.wait = Wait::Flow;
            r.hold = None;
        });
        self.tell_flow(FlowInput::Back(Back::Failed), now);
        true
    }

    /// The call leaves the flow for good: an agent talks to it.
    pub(super) fn leave_flow(&mut self, now: Stamp) {
        if self.has_guide() {
            self.tell_flow(FlowInput::Gone, now);
        }
        self.clear_deadline(Deadline::Flow);
        self.room(|r| r.guide = None);
    }

    pub(super) fn guide_cause(&self) -> Option<Cause> {
        self.centre_state()
            .filter(|c| c.wait == Wait::Flow)
            .map(|_| Cause::AbandonedIvr)
    }

    pub(super) fn flow_command(&mut self, command: CentreCommand, now: Stamp) {
        match command {
            CentreCommand::Answered(id, answer) => self.flow_answered(id, answer, now),
            CentreCommand::HandTo { to, priority } => self.handed_over(to, priority, now),
            _ => self.refuse_state(),
        }
    }
}
