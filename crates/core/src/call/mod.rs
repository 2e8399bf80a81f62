//! The conversation machine.
//!
//! Calling contract, the same for every kind of conversation:
//!
//! 1. [`Conversation::click_to_call`], [`Conversation::notice`] or [`Conversation::forward`] creates the machine and returns its first [`Step`].
//! 2. For each [`Step`]: commit its `events` in one batch, then carry out its `effects` in order.
//! 3. Feed what happens back through [`Conversation::handle`], one input at a time, in order of arrival.
//! 4. Call [`Conversation::handle`] with [`Input::Tick`] when [`Conversation::next_deadline`] has come.
//! 5. Drop the machine when [`Conversation::is_over`].
//!
//! Invariant: the machine never waits for ever. Every state that depends on something outside has a deadline, or a live
//! leg whose signalling or media watchdog ends it.

mod answered;
pub mod centre;
mod click;
mod end;
mod forward;
mod layout;
mod leg;
mod notice;
mod party;
mod plan;
mod program;
mod recording;
mod replace;
#[cfg(test)]
mod tests;
mod transfer;

pub use answered::Listening;
pub use centre::{AgentPlan, CentreCommand, CentrePlan, Entry, Whom};
pub use layout::{Builtin, Layout, LegLayout, Play, PlayId, Recorder, RecordingPause, Sound, Spoken, Tone};
pub use leg::{Failure, LegFact, LegState};
pub use plan::{
    AddPlan, Callee, ClickPlan, ForwardPlan, Item, NoticeBatch, NoticePlan, PartyPlan, Prompt, ReplacePlan, Ringback,
    Target, TransferPlan,
};
pub use program::{KeyRule, Rules};
pub use recording::RecordingCommand;

use crate::cause::{By, Cause, Role};
use crate::centre::agent::Ticket;
use crate::event::{Created, DialogRef, Direction, Event, Fact, RecordMode};
use crate::id::{AgentId, ConversationId, LegSeq, MAX_LEGS, QueueId};
use crate::record::ConversationRecord;
use crate::time::Stamp;
use leg::Leg;

/// The bound on a leg's release: after this the model takes it as ended, whatever its signalling does (§5.2).
pub const RELEASE_BOUND_MS: u64 = 2_000;
/// The longest hold: as long as a held leg cannot be seen to be alive, it is not kept for ever.
pub const HOLD_BOUND_MS: u64 = 4 * 3_600_000;
/// What a prompt may last beyond its length before the machine goes on without it.
const PROMPT_GRACE_MS: u64 = 10_000;
/// How long after its record was published without a link a recording may still come.
const RECORDING_BOUND_MS: u64 = 3_600_000;
/// How long before the end of a limited talk the announcement comes.
const LAST_MINUTE_SECS: u32 = 60;

/// What comes in.
#[derive(Clone, Debug)]
pub enum Input {
    /// A command of the application.
    Command(Command),
    /// Something happened to a leg's signalling or media.
    Leg(LegSeq, LegFact),
    /// The party of a leg asks to hand its talk over (RFC 3515). Answered by [`Effect::AnswerRefer`].
    Transfer {
        /// The leg that asks.
        by: LegSeq,
        /// To whom.
        plan: Box<TransferPlan>,
    },
    /// A call came in that takes the place of a leg (RFC 3891). Dropped unless [`Conversation::may_replace`] allows it.
    Replace {
        /// The leg that loses its place.
        leg: LegSeq,
        /// The call.
        plan: Box<ReplacePlan>,
    },
    /// A sound was played to its end.
    Played(PlayId),
    /// A sound could not be played; the flow goes on without it.
    Unplayed(PlayId),
    /// A recording's file is complete.
    RecordingDone {
        /// The recording's number.
        recording: u16,
        /// The file, or what went wrong.
        result: Result<RecordingFile, String>,
    },
    /// Time passed.
    Tick,
    /// The platform ends the conversation: shut-down, or an internal failure.
    SystemEnd,
}

/// A finished recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingFile {
    /// Name under which it is served.
    pub name: String,
    /// Length.
    pub millis: u64,
    /// Size.
    pub bytes: u64,
    /// SHA-256, hexadecimal.
    pub checksum: String,
}

/// What an application may ask of a running conversation.
#[derive(Clone, Debug)]
pub enum Command {
    /// End it, or only the leg that is being added.
    Cancel {
        /// The added leg to end; `None` ends the conversation.
        leg: Option<LegSeq>,
    },
    /// Add a party.
    Add(Box<AddPlan>),
    /// Begin, pause, go on with or end the recording.
    Recording(RecordingCommand),
    /// Something that only a call of a contact centre knows.
    Centre(Box<CentreCommand>),
    /// Write something down about it, in whatever state it is.
    Note(Box<Note>),
}

/// Something that is written down about a conversation while it runs, or after its end.
#[derive(Clone, PartialEq, Eq)]
pub enum Note {
    /// Values that go with it; one that is there already is replaced.
    Attached(Vec<(String, String)>),
    /// What came of it.
    Disposed {
        /// The agent that says so; `None` for a supervisor or a program.
        agent: Option<AgentId>,
        /// The tenant's own code of it.
        code: String,
        /// In words; may be empty.
        note: String,
    },
    /// An agent's after-call work for it is over.
    WrappedUp {
        /// Who.
        agent: AgentId,
        /// How long it took, in milliseconds.
        ms: u64,
    },
}

impl std::fmt::Debug for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // What is written down is about people.
        f.write_str(match self {
            Note::Attached(_) => "Attached",
            Note::Disposed { .. } => "Disposed",
            Note::WrappedUp { .. } => "WrappedUp",
        })
    }
}

impl Note {
    /// The facts that it is.
    pub fn facts(self) -> Vec<Fact> {
        match self {
            Note::Attached(values) => {
                let fact = |(name, value)| Fact::Attached { name, value };
                values.into_iter().map(fact).collect()
            }
            Note::Disposed { agent, code, note } => vec![Fact::Disposed { agent, code, note }],
            Note::WrappedUp { agent, ms } => vec![Fact::WrappedUp { agent, ms }],
        }
    }
}

/// A command that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The leg that the command created, if any.
    pub leg: Option<LegSeq>,
}

/// Why a command was refused. A refused command changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The conversation has ended.
    #[error("the conversation has ended; nothing can be done to it any more")]
    Ended,
    /// Not now.
    #[error("the conversation's present state does not allow this; wait until two parties talk")]
    State,
    /// Three parties, or an add in progress.
    #[error("there are three parties or one is being added; wait until one has left or the add has failed")]
    PartyLimit,
    /// No such leg, or one that cannot be ended alone.
    #[error("only a party that was added, or is being added, can be ended alone")]
    NoSuchLeg,
    /// Nothing is being recorded.
    #[error("nothing is being recorded; start a recording first")]
    NoRecording,
}

/// What goes out, after the commit of the step's events.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Call a party. The first attempt's facts belong to the same batch (see [`LegFact::Attempt`]).
    Dial {
        /// The leg.
        leg: LegSeq,
        /// Whom.
        target: Target,
        /// Number to show; `None` lets the trunk decide.
        cli: Option<String>,
    },
    /// Tell an incoming leg that the far side alerts.
    Alert {
        /// The leg.
        leg: LegSeq,
        /// True: with media (183 and SDP). False: 180.
        early_media: bool,
    },
    /// Answer an incoming leg.
    Answer {
        /// The leg.
        leg: LegSeq,
    },
    /// Refuse an incoming leg that was not answered.
    Refuse {
        /// The leg.
        leg: LegSeq,
        /// Why; [`Cause::to_status`] gives the response.
        cause: Cause,
    },
    /// Give up an outgoing leg that was not answered.
    Cancel {
        /// The leg.
        leg: LegSeq,
        /// Why.
        cause: Cause,
    },
    /// Hang up an answered leg.
    Hangup {
        /// The leg.
        leg: LegSeq,
        /// Why; [`Cause::q850`] gives the Reason header.
        cause: Cause,
    },
    /// Answer a party that asked to hand its talk over: 202, or why not.
    AnswerRefer {
        /// The leg that asked.
        leg: LegSeq,
        /// SIP status.
        status: u16,
    },
    /// Tell a party how its transfer goes on.
    NotifyRefer {
        /// The leg that asked.
        leg: LegSeq,
        /// SIP status of the new leg.
        status: u16,
        /// Nothing follows.
        finished: bool,
    },
    /// Listen to a leg. Replaces what it was listened to for before.
    Listen {
        /// The leg.
        leg: LegSeq,
        /// For what.
        to: Listening,
    },
    /// Who hears what from now on. Sent when it differs from the last one.
    Layout(Layout),
    /// The leg is over: release its media.
    Release {
        /// The leg.
        leg: LegSeq,
    },
    /// The call waits for an agent of a queue: the distributor's affair from now on.
    Enqueue {
        /// Which queue.
        queue: QueueId,
        /// Its priority in place of the queue's.
        priority: Option<u8>,
        /// When it first entered a queue.
        since: Stamp,
        /// Before all that wait.
        front: bool,
        /// Who is not to be offered it for a while.
        not: Option<AgentId>,
    },
    /// A flow asks the tenant's server; answered by [`CentreCommand::Answered`].
    Request(Box<crate::ivr::io::Outgoing>),
    /// A flow has a text spoken; answered by [`CentreCommand::Spoke`].
    Speak(Box<crate::ivr::io::Utterance>),
    /// A flow listens to the caller; answered by [`CentreCommand::Heard`].
    Hear(Box<crate::ivr::io::Listening>),
    /// It listens no more.
    StopHearing,
    /// A flow hands the call over to something that it names; answered by [`CentreCommand::HandTo`].
    HandOver(Box<crate::ivr::HandOver>),
    /// The caller that waits in this queue wants to be called back: answered by [`CentreCommand::CalledBack`].
    CallBack {
        /// Which queue.
        queue: QueueId,
        /// The caller's number as received.
        number: String,
    },
    /// It waits no more.
    Dequeue,
    /// An agent is wanted: reserve it, and answer with [`CentreCommand::Reserved`].
    Reserve {
        /// Who.
        agent: AgentId,
        /// What for: a call to it, or one that its device has placed.
        part: crate::centre::agent::Part,
    },
    /// An agent's machine learns what has become of its participation.
    Agent {
        /// Which.
        ticket: Ticket,
        /// What.
        fact: crate::centre::agent::Fact,
    },
}

/// The result of one input.
#[derive(Clone, Debug, Default)]
pub struct Step {
    /// Facts to commit, in order.
    pub events: Vec<Event>,
    /// What to do after the commit, in order.
    pub effects: Vec<Effect>,
    /// Answer to a command.
    pub reply: Option<Result<Accepted, Refusal>>,
    /// True if the effects and the reply must not leave before the commit (design: "What waits for the commit").
    pub wait: bool,
}

/// Why a deadline was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadline {
    /// A dialled party did not answer in time.
    Ring(LegSeq),
    /// A leg that is being released has not confirmed.
    Release(LegSeq),
    /// A device has held us for longer than anybody does.
    Hold(LegSeq),
    /// A sound should have ended long ago.
    Sound(PlayId),
    /// The announcement before the end of a limited talk.
    LastMinute,
    /// The conversation's time is up.
    MaxDuration,
    /// The record waits no longer for its recording.
    Record,
    /// The recording is taken as lost.
    RecordingLost,
    /// A silence of a notice's program is over.
    Program,
    /// The distributor has not said whether an agent can be called.
    Reservation,
    /// A flow waits no longer.
    Flow,
    /// A silence of a flow is over, or a text was not spoken in time.
    FlowPause,
    /// Nobody has picked a parked call up.
    Parked,
    /// A message has its greatest length.
    Message,
}

/// Where the conversation stands; data sits inside the state.
#[derive(Clone, Debug)]
enum Phase {
    /// Click-to-call: leg 0 is dialled.
    CallingFirst,
    /// Click-to-call: leg 0 hears the greeting.
    Greeting { play: PlayId },
    /// Leg 1 is dialled; leg 0 is answered (click-to-call) or waits (forwarded call).
    CallingSecond { ringback: PlayId },
    /// Leg 1 failed and leg 0 hears why.
    FailNotice { play: PlayId, sound: Sound },
    /// Both answered; each hears its own prompt.
    Private {
        caller: Option<PlayId>,
        callee: Option<PlayId>,
        ringback: PlayId,
    },
    /// Two or three parties talk.
    Talking(party::Talk),
    /// A notice: the callee hears the program.
    Program(Box<notice::Running>),
    /// A call of a contact centre.
    Centre(Box<centre::Centre>),
    /// All legs are being released.
    Ending,
    /// The record is closed; only late facts may follow.
    Ended,
}

/// What kind of conversation this is, with its plan.
#[derive(Clone, Debug)]
enum Flow {
    Click(Box<ClickPlan>),
    Forward(Box<ForwardPlan>),
    Notice(Box<NoticePlan>),
    Centre(Box<CentrePlan>),
}

/// One conversation.
#[derive(Clone, Debug)]
pub struct Conversation {
    record: ConversationRecord,
    flow: Flow,
    phase: Phase,
    legs: Vec<Leg>,
    /// The leg that calls and the one that is called, or whichever took their places.
    caller: LegSeq,
    callee: LegSeq,
    deadlines: Vec<(Stamp, Deadline)>,
    last_minute: Option<PlayId>,
    next_play: u32,
    recording: bool,
    recording_pause: Option<RecordingPause>,
    shown: Layout,
    /// Agents' seats when the conversation began to end.
    last_seats: Vec<centre::Seat>,
    step: Step,
}

impl Conversation {
    fn new(id: ConversationId, head: Created, flow: Flow, phase: Phase, now: Stamp) -> Conversation {
        let first = Event {
            conversation: id,
            seq: 1,
            at: now,
            fact: Fact::Created(Box::new(head.clone())),
        };
        Conversation {
            record: ConversationRecord {
                id,
                head,
                seq: 1,
                created_at: now,
                last_at: now,
                legs: Vec::with_capacity(2),
                recordings: Vec::new(),
                pauses: Vec::new(),
                parts: Vec::new(),
                queues: Vec::new(),
                routed: None,
                messages: Vec::new(),
                path: Vec::new(),
                attached: Vec::new(),
                scores: Vec::new(),
                callback: None,
                dispositions: Vec::new(),
                end: None,
                ended_at: None,
                record_due: false,
            },
            flow,
            phase,
            legs: Vec::with_capacity(2),
            caller: LegSeq(0),
            callee: LegSeq(1),
            deadlines: Vec::with_capacity(4),
            last_minute: None,
            next_play: 1,
            recording: false,
            recording_pause: None,
            shown: Layout::default(),
            last_seats: Vec::new(),
            step: Step {
                events: vec![first],
                wait: true,
                ..Step::default()
            },
        }
    }

    /// The conversation's id.
    pub fn id(&self) -> ConversationId {
        self.record.id
    }

    /// The record as folded so far.
    pub fn record(&self) -> &ConversationRecord {
        &self.record
    }

    /// State of a leg, for boards and queries.
    pub fn leg_state(&self, leg: LegSeq) -> Option<LegState> {
        self.legs.get(usize::from(leg.0)).map(|l| l.state)
    }

    /// The next moment at which [`Input::Tick`] is due, and why.
    pub fn next_deadline(&self) -> Option<(Stamp, Deadline)> {
        self.deadlines.iter().min_by_key(|(at, _)| *at).copied()
    }

    /// True when the record is closed and nothing late is expected.
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Ended) && !self.record.recording_pending()
    }

    /// True when the record is closed.
    pub fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended)
    }

    /// Takes one input. Inputs of one conversation are applied one at a time, in order of arrival; a fact about a leg
    /// that has ended is dropped, a command that does not fit is refused.
    ///
    /// A `now` before the newest event counts as that event's stamp, so that I6 and I7 hold whatever the clock does.
    pub fn handle(&mut self, input: Input, now: Stamp) -> Step {
        let now = now.max(self.record.last_at);
        match input {
            Input::Command(Command::Cancel { leg }) => self.cancel(leg, now),
            Input::Command(Command::Recording(command)) => self.recording_command(command, now),
            Input::Command(Command::Add(plan)) => self.add(*plan, now),
            Input::Command(Command::Centre(command)) => self.centre_command(*command, now),
            Input::Command(Command::Note(note)) => self.note(*note, now),
            Input::Leg(leg, fact) => self.leg_fact(leg, fact, now),
            Input::Transfer { by, plan } => self.transfer(by, &plan, now),
            Input::Replace { leg, plan } => self.replace(leg, *plan, now),
            Input::Played(play) => self.sound_over(play, true, now),
            Input::Unplayed(play) => self.sound_over(play, false, now),
            Input::RecordingDone { recording, result } => self.recording_done(recording, result, now),
            Input::Tick => self.tick(now),
            Input::SystemEnd => {
                if !self.is_ending() {
                    self.end_all(Cause::SystemError, By::System, now);
                }
            }
        }
        self.finish(now)
    }

    /// Writes something down. An agent that has had no part in the conversation has had no after-call work.
    fn note(&mut self, note: Note, now: Stamp) {
        if let Note::WrappedUp { agent, .. } = note
            && !self.record.parts.iter().any(|p| p.agent == agent)
        {
            return self.refuse(Refusal::NoSuchLeg);
        }
        for fact in note.facts() {
            self.emit(fact, now);
        }
        self.accept(None);
    }

    /// Closes the step: the record if the last leg is gone, and the layout if it changed.
    fn finish(&mut self, now: Stamp) -> Step {
        self.show_parts(now);
        if matches!(self.phase, Phase::Ending) && self.legs.iter().all(|l| l.state == LegState::Ended) {
            self.close(now);
        }
        let layout = self.layout();
        if layout != self.shown {
            self.shown = layout.clone();
            self.step.effects.push(Effect::Layout(layout));
        }
        // Answers to API callers, INVITEs and the 200 to an incoming INVITE wait for the commit (design: "What waits
        // for the commit"); hanging up, alerting and switching media do not.
        let waits = |e: &Effect| matches!(e, Effect::Dial { .. } | Effect::Answer { .. });
        self.step.wait |= self.step.reply.is_some() || self.step.effects.iter().any(waits);
        std::mem::take(&mut self.step)
    }

    fn emit(&mut self, fact: Fact, now: Stamp) {
        let event = Event {
            conversation: self.record.id,
            seq: self.record.seq + 1,
            at: now,
            fact,
        };
        match self.record.apply(&event) {
            Ok(()) => self.step.events.push(event),
            // The machine's own facts always continue its own record; a failure here is a defect of the machine, and
            // dropping the fact keeps the journal readable.
            Err(broken) => debug_assert!(false, "{broken}"),
        }
    }

    fn effect(&mut self, effect: Effect) {
        self.step.effects.push(effect);
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.step.reply = Some(Err(refusal));
    }

    fn accept(&mut self, leg: Option<LegSeq>) {
        self.step.reply = Some(Ok(Accepted { leg }));
    }

    fn is_ending(&self) -> bool {
        matches!(self.phase, Phase::Ending | Phase::Ended)
    }

    /// The leg that this one talks to, or is called for: of several the first. A party that is handing its talk over
    /// counts no more.
    pub fn peer(&self, leg: LegSeq) -> Option<LegSeq> {
        let there = |l: &LegSeq| *l != leg && self.leg(*l).is_some_and(Leg::is_live);
        match &self.phase {
            Phase::Centre(c) => self.centre_peer(c, leg),
            Phase::Talking(talk) => {
                let leaving = talk.transfer.map(|t| t.by).filter(|by| *by != leg);
                let mut members = talk.members.iter().copied();
                members.find(|m| there(m) && leaving != Some(*m))
            }
            _ => [self.caller, self.callee].into_iter().find(there),
        }
    }

    fn leg(&self, leg: LegSeq) -> Option<&Leg> {
        self.legs.get(usize::from(leg.0))
    }

    fn leg_mut(&mut self, leg: LegSeq) -> Option<&mut Leg> {
        self.legs.get_mut(usize::from(leg.0))
    }

    fn role(&self, leg: LegSeq) -> Role {
        self.leg(leg).map_or(Role::Platform, |l| l.role)
    }

    fn new_play(&mut self) -> PlayId {
        let id = PlayId(self.next_play);
        self.next_play += 1;
        id
    }

    /// Starts a sound that the flow waits for, bounded by its length.
    fn new_prompt(&mut self, millis: u32, now: Stamp) -> PlayId {
        let id = self.new_play();
        self.set_deadline(now.plus_ms(u64::from(millis) + PROMPT_GRACE_MS), Deadline::Sound(id));
        id
    }

    fn set_deadline(&mut self, at: Stamp, why: Deadline) {
        self.deadlines.push((at, why));
    }

    fn clear_deadline(&mut self, why: Deadline) {
        self.deadlines.retain(|(_, w)| *w != why);
    }

    /// Creates an outgoing leg and dials it.
    fn dial(&mut self, role: Role, party: &PartyPlan, timeout_secs: u32, now: Stamp) -> LegSeq {
        let leg = LegSeq(self.legs.len().min(usize::from(MAX_LEGS)) as u16);
        self.legs.push(Leg::new(leg, role, Direction::Outgoing));
        let from = party.cli.clone().unwrap_or_default();
        let fact = Fact::LegCreated {
            leg,
            role,
            direction: Direction::Outgoing,
            from,
            to: party.text.clone(),
        };
        self.emit(fact, now);
        self.set_deadline(now.plus_secs(u64::from(timeout_secs)), Deadline::Ring(leg));
        self.effect(Effect::Dial {
            leg,
            target: party.target.clone(),
            cli: party.cli.clone(),
        });
        leg
    }

    fn tick(&mut self, now: Stamp) {
        while let Some((at, why)) = self.next_deadline() {
            if at > now {
                return;
            }
            self.clear_deadline(why);
            match why {
                Deadline::Ring(leg) => self.ring_timeout(leg, now),
                Deadline::Release(leg) => self.leg_released(leg, now),
                Deadline::Hold(leg) => self.hold_timeout(leg, now),
                Deadline::Sound(play) => self.sound_over(play, true, now),
                Deadline::Program => self.program_time(now),
                Deadline::Reservation => self.reservation_timeout(now),
                Deadline::Flow => self.flow_time(now),
                Deadline::FlowPause => self.flow_pause_over(now),
                Deadline::Parked => self.parked_for_long(now),
                Deadline::Message => self.message_over(now),
                Deadline::LastMinute => self.start_last_minute(now),
                Deadline::MaxDuration => {
                    if !self.is_ending() {
                        self.end_all(Cause::MaxDuration, By::Timer, now);
                    }
                }
                Deadline::Record => {
                    if self.record.recording_pending() {
                        self.emit(Fact::RecordDue, now);
                        self.set_deadline(now.plus_ms(RECORDING_BOUND_MS), Deadline::RecordingLost);
                    }
                }
                Deadline::RecordingLost => self.give_recordings_up(now),
            }
        }
    }

    fn start_last_minute(&mut self, now: Stamp) {
        if matches!(self.phase, Phase::Talking(_) | Phase::Private { .. } | Phase::Centre(_)) {
            let millis = match &self.flow {
                Flow::Click(p) => p.last_minute.as_ref().map_or(0, |v| v.millis),
                Flow::Forward(_) | Flow::Notice(_) | Flow::Centre(_) => 0,
            };
            self.last_minute = Some(self.new_prompt(millis.max(1), now));
        }
    }

    /// The clocks that run from the moment the second party answers.
    fn start_talk_clocks(&mut self, now: Stamp) {
        if let Some(max) = self.record.head.max_duration {
            self.set_deadline(now.plus_secs(u64::from(max)), Deadline::MaxDuration);
            if max > LAST_MINUTE_SECS {
                self.set_deadline(now.plus_secs(u64::from(max - LAST_MINUTE_SECS)), Deadline::LastMinute);
            }
        }
    }

    /// The incoming dialog of a leg, for the event of its answer.
    fn incoming_dialog(&self) -> Option<Box<DialogRef>> {
        match &self.flow {
            Flow::Forward(p) => Some(Box::new(p.dialog.clone())),
            Flow::Click(_) | Flow::Notice(_) | Flow::Centre(_) => None,
        }
    }
}
