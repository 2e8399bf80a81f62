//! A caller that is guided by a flow: the flow's machine says what is heard and where the call goes, this carries it out.

use super::super::layout::{Play, PlayId, Sound, Spoken, Tone};
use super::{By, Cause, CentreCommand, Conversation, Effect, Fact, LegSeq, Refusal, Stamp, Survey, Wait, Whom};
use crate::call::Deadline;
use crate::ivr::io::{HandOver, Listening, Utterance};
use crate::ivr::{self, Action, Input as FlowInput, Outcome as Back, Run, Said};
use crate::spoken::{Language, Manner};
use std::collections::VecDeque;
use std::sync::Arc;

/// An engine has so long to speak a text.
const SPEAK_MS: u64 = 15_000;
/// The tone before a message is taken as over after so long.
const BEEP_BOUND_MS: u32 = 2_000;

/// A sound of a flow is taken as over after so long, whatever the engine says.
const SOUND_BOUND_MS: u32 = 600_000;

/// A call in a flow, with what it hears now.
#[derive(Clone)]
pub(in crate::call) struct Guide {
    run: Run,
    language: Language,
    /// What plays for the flow: its number there, what is still to come, and the sound that plays now.
    playing: Option<Playing>,
    /// A message that is taken.
    message: Option<Message>,
    /// How long whom the flow calls may ring, in seconds.
    ring_secs: Option<u32>,
    /// Numbers the texts that were given to an engine.
    texts: u32,
    /// A message was left.
    left_message: bool,
}

/// A message: its announcement, the tone, the caller's voice.
#[derive(Clone)]
struct Message {
    mailbox: String,
    max_seconds: u16,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Announcement,
    Tone,
    Voice,
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
    /// The text that is waited for.
    text: Option<u32>,
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
                message: None,
                ring_secs: None,
                texts: 0,
                left_message: false,
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
                        text: None,
                    });
                }
                self.next_flow_sound(now);
            }
            Action::Stop => self.stop_flow_sound(),
            Action::Listen {
                id,
                language,
                wait_ms,
                max_ms,
                ..
            } => self.effect(Effect::Hear(Box::new(Listening {
                id,
                language,
                wait_ms,
                max_ms,
            }))),
            Action::StopListening => self.effect(Effect::StopHearing),
            Action::Send(request) => self.effect(Effect::Request(Box::new(request))),
            Action::HandOver(HandOver::Voicemail {
                mailbox,
                say,
                max_seconds,
            }) => self.take_message(mailbox, say, max_seconds, now),
            Action::HandOver(to) => {
                self.stop_flow_sound();
                let secs = match &to {
                    HandOver::Agent { ring_seconds, .. }
                    | HandOver::Device { ring_seconds, .. }
                    | HandOver::Number { ring_seconds, .. } => Some(u32::from(*ring_seconds)),
                    _ => None,
                };
                if let Some(g) = self.guide() {
                    g.ring_secs = secs;
                }
                self.effect(Effect::HandOver(Box::new(to)));
            }
            Action::HangUp(Cause::Normal) if self.is_called_back() => {
                self.end_all(Cause::CallbackAccepted, By::System, now);
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
        let Some(g) = self.guide() else { return };
        let language = g.language;
        let Some(playing) = &mut g.playing else { return };
        playing.now = None;
        let Some(said) = playing.rest.pop_front() else {
            let id = playing.id;
            g.playing = None;
            return match g.message {
                Some(_) => self.message_goes_on(now),
                None => self.tell_flow(FlowInput::PlayEnded(id), now),
            };
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
            Said::Text(text) => {
                g.texts += 1;
                let id = g.texts;
                playing.text = Some(id);
                self.set_deadline(now.plus_ms(SPEAK_MS), Deadline::FlowPause);
                return self.effect(Effect::Speak(Box::new(Utterance { id, text, language })));
            }
        };
        let id = self.new_prompt(SOUND_BOUND_MS, now);
        if let Some(playing) = self.guide().and_then(|g| g.playing.as_mut()) {
            playing.now = Some((id, sound));
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
        match self.guide().and_then(|g| g.playing.as_ref()).and_then(|p| p.text) {
            Some(_) => self.unspoken(now),
            None => self.next_flow_sound(now),
        }
    }

    /// An engine has spoken a text, or cannot.
    fn spoke(&mut self, id: u32, name: Option<String>, now: Stamp) {
        let waits = |g: &mut Guide| g.playing.as_ref().is_some_and(|p| p.text == Some(id));
        if !self.guide().is_some_and(waits) {
            // The caller is elsewhere by now.
            return self.refuse_state();
        }
        self.accept(None);
        self.clear_deadline(Deadline::FlowPause);
        let Some(name) = name else { return self.unspoken(now) };
        let play = self.new_prompt(SOUND_BOUND_MS, now);
        if let Some(playing) = self.guide().and_then(|g| g.playing.as_mut()) {
            playing.text = None;
            playing.now = Some((play, Sound::Synthesised(name)));
        }
    }

    fn unspoken(&mut self, now: Stamp) {
        let Some(g) = self.guide() else { return };
        let Some(playing) = g.playing.take() else { return };
        if g.message.is_some() {
            // The tone says what the announcement would have said.
            return self.message_goes_on(now);
        }
        self.tell_flow(FlowInput::Unspoken(playing.id), now);
    }

    // --- messages ------------------------------------------------------------------------------------------------

    /// The caller leaves a message: announcement, tone, and its voice until a key, the greatest length, or its hang-up.
    fn take_message(&mut self, mailbox: String, say: Vec<Said>, max_seconds: u16, now: Stamp) {
        self.stop_flow_sound();
        let Some(g) = self.guide() else { return };
        g.message = Some(Message {
            mailbox,
            max_seconds,
            stage: Stage::Announcement,
        });
        g.playing = Some(Playing {
            id: 0,
            rest: say.into(),
            now: None,
            text: None,
        });
        self.next_flow_sound(now);
    }

    fn message_goes_on(&mut self, now: Stamp) {
        let Some(message) = self.guide().and_then(|g| g.message.as_mut()) else {
            return;
        };
        match message.stage {
            Stage::Announcement => {
                message.stage = Stage::Tone;
                let play = self.new_prompt(BEEP_BOUND_MS, now);
                if let Some(g) = self.guide() {
                    g.playing = Some(Playing {
                        id: 0,
                        rest: VecDeque::new(),
                        now: Some((play, Sound::Tone(Tone::Beep))),
                        text: None,
                    });
                }
            }
            Stage::Tone => {
                message.stage = Stage::Voice;
                let (mailbox, seconds) = (message.mailbox.clone(), message.max_seconds);
                // A recording of the talk before ends here: the message is one of its own.
                self.recording = false;
                self.start_recording(now);
                if let Some(g) = self.guide() {
                    g.left_message = true;
                }
                let recording = self.record.recordings.len().saturating_sub(1) as u16;
                self.emit(Fact::Message { mailbox, recording }, now);
                self.set_deadline(now.plus_secs(u64::from(seconds)), Deadline::Message);
            }
            Stage::Voice => {}
        }
    }

    /// The message is taken, and the flow goes on.
    pub(in crate::call) fn message_over(&mut self, now: Stamp) {
        let Some(message) = self.guide().and_then(|g| g.message.take()) else {
            return;
        };
        self.clear_deadline(Deadline::Message);
        if message.stage == Stage::Voice {
            self.recording = false;
        }
        self.tell_flow(FlowInput::Back(Back::Done), now);
    }

    /// How long whom the flow calls may ring.
    pub(super) fn flow_ring_secs(&self) -> Option<u32> {
        self.centre_state()?.guide.as_ref()?.ring_secs
    }

    /// Brings a customer whose agent has hung up into the flow after the talk; false if there is none.
    pub(super) fn enter_survey(&mut self, now: Stamp) -> bool {
        let Some(survey) = self.plan().and_then(|p| p.survey.clone()) else {
            return false;
        };
        let again = self.room(|r| std::mem::replace(&mut r.surveyed, true));
        if again {
            return false;
        }
        self.recording = false;
        for leg in self.centre_state().map(|c| c.room.clone()).unwrap_or_default() {
            self.unbridge(leg, now);
        }
        self.room(|r| r.hold = None);
        let Survey { library, flow, call } = *survey;
        self.enter_flow(library, &flow, call, now);
        true
    }

    pub(in crate::call) fn flow_time(&mut self, now: Stamp) {
        self.tell_flow(FlowInput::Time, now);
    }

    /// A key of the caller's is the flow's while it leads.
    pub(in crate::call) fn flow_key(&mut self, leg: LegSeq, key: char, now: Stamp) {
        if self.callback_key(leg, key) {
            return;
        }
        let leads = self
            .centre_state()
            .is_some_and(|c| c.wait == Wait::Flow && c.room.contains(&leg));
        let message = self.guide().and_then(|g| g.message.as_ref()).map(|m| m.stage);
        match message {
            _ if !leads => {}
            None => self.tell_flow(FlowInput::Key(key), now),
            // Any key ends a message; before the tone it means nothing.
            Some(Stage::Voice) => self.message_over(now),
            Some(_) => {}
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
        if self.is_called_back() {
            return Some(Cause::CallbackAccepted);
        }
        self.centre_state()
            // Who has left a message, or talked, has what it came for.
            .filter(|c| c.wait == Wait::Flow && !c.talked)
            .filter(|c| c.guide.as_ref().is_none_or(|g| !g.left_message))
            .map(|_| Cause::AbandonedIvr)
    }

    pub(super) fn flow_command(&mut self, command: CentreCommand, now: Stamp) {
        match command {
            CentreCommand::Answered(id, answer) => self.flow_answered(id, answer, now),
            CentreCommand::Spoke(id, name) => self.spoke(id, name, now),
            CentreCommand::Heard(heard) => {
                self.accept(None);
                self.tell_flow(heard, now);
            }
            CentreCommand::HandTo { to, priority } => self.handed_over(to, priority, now),
            _ => self.refuse_state(),
        }
    }
}
