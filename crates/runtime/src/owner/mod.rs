//! The owner of one conversation: the pure machine of the core, bound to SIP dialogs and media legs.
//!
//! Pure in the same sense as the core: an input and a time go in, a [`Turn`] comes out. What it needs from its
//! surroundings in between (a media port, a route, an id) it asks of a [`World`]. The async shell around it only commits
//! the turn's events and then carries its commands out in order; so the whole owner runs in virtual time in tests.

mod answer;
mod leg;
pub mod recover;
mod sound;

use crate::calls::CallError;
use leg::LegIo;
use std::collections::VecDeque;
use std::net::SocketAddr;
use strowger_core::call::{
    Accepted, ClickPlan, Conversation, Effect, Failure, ForwardPlan, Input, LegFact, PlayId, Recorder, RecordingFile,
    Refusal, Sound, Step, Target,
};
use strowger_core::event::{Created, Event, Quality, Via};
use strowger_core::{ApplicationId, ConversationId, LegSeq, Stamp, TenantId};
use strowger_media::{CallKey, Command as MediaCommand, Event as MediaEvent, MediaError, SoundRef};
use strowger_sip_core::{Command as SipCommand, Credentials, DialogHandle, IncomingInvite, Reason, SipEvent};

/// One way to reach a target: a trunk or a device, and how the call is written there.
#[derive(Clone, Debug)]
pub struct Way {
    /// The trunk or device.
    pub via: Via,
    /// First hop.
    pub destination: SocketAddr,
    /// Request-URI and To.
    pub uri: String,
    /// Codec names in order of preference; empty takes the default.
    pub codecs: Vec<String>,
    /// For a challenge.
    pub credentials: Option<Credentials>,
}

/// A place on a trunk, given back when it is dropped.
pub type Permit = Box<dyn Send + Sync>;

/// What an owner asks of its surroundings. Every call returns at once.
pub trait World: Send + Sync {
    /// Takes a media port pair for a leg and returns the address for its SDP.
    fn open_media(&self, call: CallKey, leg: u16) -> Result<SocketAddr, MediaError>;
    /// Ways to a target, best first.
    fn ways(&self, tenant: TenantId, target: &Target) -> Vec<Way>;
    /// Takes a place on a trunk or device; `None` if it is full (I27).
    fn claim(&self, via: Via) -> Option<Permit>;
    /// A sound by name; `None` if there is none.
    fn sound(&self, tenant: TenantId, application: ApplicationId, sound: &Sound) -> Option<SoundRef>;
    /// 128 random bits.
    fn random(&self) -> u128;
    /// A handle that no live dialog has.
    fn dialog_handle(&self) -> DialogHandle;
    /// Host part of our own URIs.
    fn host(&self) -> String;
}

/// What can come to an owner.
#[derive(Debug)]
pub enum OwnerInput {
    /// A command of a face.
    Command(strowger_core::call::Command),
    /// From a SIP dialog of the conversation.
    Sip(DialogHandle, SipEvent),
    /// From the media engine.
    Media(MediaEvent),
    /// A deadline has come.
    Tick,
    /// End it: shut-down, or a mailbox that overflowed.
    SystemEnd,
}

/// A command for an engine.
#[derive(Debug)]
pub enum Out {
    /// To the SIP stack. Events of `handle` belong to this conversation from now on.
    Sip(SipCommand),
    /// The SIP stack's events about this handle belong to this conversation.
    Claim(DialogHandle),
    /// To the media engine.
    Media(MediaCommand),
}

/// What came of one input.
#[derive(Debug, Default)]
pub struct Turn {
    /// Facts to commit, in one batch.
    pub events: Vec<Event>,
    /// Commands, in order, after the commit if `wait` is set.
    pub out: Vec<Out>,
    /// Answer to a command, after the commit.
    pub reply: Option<Result<Accepted, Refusal>>,
    /// The commands must not leave before the commit.
    pub wait: bool,
}

/// Milliseconds without any response to an INVITE after which the next trunk is tried.
const FIRST_RESPONSE_MS: u64 = 4_000;

/// The owner of one conversation.
pub struct Owner {
    machine: Conversation,
    tenant: TenantId,
    application: ApplicationId,
    legs: Vec<LegIo>,
    recording: Option<Recorder>,
    stem: String,
    closed_media: usize,
    turn: Turn,
}

/// A call that came in, as the owner needs it.
pub struct Incoming {
    /// The dialog.
    pub handle: DialogHandle,
    /// The INVITE.
    pub invite: IncomingInvite,
    /// What it came over.
    pub via: Via,
    /// Its place on the trunk.
    pub permit: Option<Permit>,
}

impl Owner {
    fn new(machine: Conversation) -> Owner {
        let head = &machine.record().head;
        Owner {
            tenant: head.tenant,
            application: head.application,
            machine,
            legs: Vec::with_capacity(2),
            recording: None,
            stem: String::new(),
            closed_media: 0,
            turn: Turn::default(),
        }
    }

    /// Starts a click-to-call conversation.
    pub fn click_to_call(
        id: ConversationId,
        head: Created,
        plan: ClickPlan,
        world: &dyn World,
        now: Stamp,
    ) -> (Owner, Turn) {
        let (machine, step) = Conversation::click_to_call(id, head, plan, now);
        let mut owner = Owner::new(machine);
        owner.absorb(step, world, now);
        let turn = std::mem::take(&mut owner.turn);
        (owner, turn)
    }

    /// Starts a forwarded call.
    ///
    /// # Errors
    /// [`CallError::Overloaded`] if no media port is free; nothing was done and the INVITE is still to be refused.
    pub fn forward(
        id: ConversationId,
        head: Created,
        plan: ForwardPlan,
        incoming: Incoming,
        world: &dyn World,
        now: Stamp,
    ) -> Result<(Owner, Turn), CallError> {
        let media = world
            .open_media(CallKey(id.0), 0)
            .map_err(|_| CallError::Overloaded { retry_after_secs: 5 })?;
        let (machine, step) = Conversation::forward(id, head, plan, now);
        let mut owner = Owner::new(machine);
        owner.turn.out.push(Out::Claim(incoming.handle));
        owner.legs.push(LegIo::incoming(incoming, media, world.random() as u64));
        owner.absorb(step, world, now);
        let turn = std::mem::take(&mut owner.turn);
        Ok((owner, turn))
    }

    /// The conversation machine, for looking at it.
    pub fn machine(&self) -> &Conversation {
        &self.machine
    }

    /// The owner's tenant.
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// The next moment at which [`OwnerInput::Tick`] is due.
    pub fn next_deadline(&self) -> Option<Stamp> {
        let machine = self.machine.next_deadline().map(|(at, _)| at);
        self.legs
            .iter()
            .filter_map(|l| l.first_response_by)
            .chain(machine)
            .min()
    }

    /// True when the record is closed, nothing late is expected and every leg's media has reported its figures.
    pub fn is_over(&self) -> bool {
        self.machine.is_over() && self.closed_media >= self.legs.len()
    }

    /// Takes one input.
    pub fn handle(&mut self, input: OwnerInput, world: &dyn World, now: Stamp) -> Turn {
        match input {
            OwnerInput::Command(command) => self.feed(Input::Command(command), world, now),
            OwnerInput::Sip(handle, event) => {
                if let Some(i) = self.legs.iter().position(|l| l.handle == handle) {
                    self.sip_event(i, event, world, now);
                }
            }
            OwnerInput::Media(event) => self.media_event(event, world, now),
            OwnerInput::Tick => {
                for i in 0..self.legs.len() {
                    if self.legs[i].first_response_by.is_some_and(|at| at <= now) {
                        self.no_first_response(i, world, now);
                    }
                }
                self.feed(Input::Tick, world, now);
            }
            OwnerInput::SystemEnd => self.feed(Input::SystemEnd, world, now),
        }
        std::mem::take(&mut self.turn)
    }

    fn key(&self) -> CallKey {
        CallKey(self.machine.id().0)
    }

    fn feed(&mut self, input: Input, world: &dyn World, now: Stamp) {
        let step = self.machine.handle(input, now);
        self.absorb(step, world, now);
    }

    fn fact(&mut self, leg: usize, fact: LegFact, world: &dyn World, now: Stamp) {
        self.feed(Input::Leg(LegSeq(leg as u16), fact), world, now);
    }

    /// Takes over a step of the machine and carries its effects to the engines' commands. An effect may feed the
    /// machine again (a dial that finds no trunk); those steps queue up behind the present one.
    fn absorb(&mut self, step: Step, world: &dyn World, now: Stamp) {
        let mut inputs = VecDeque::new();
        self.absorb_one(step, &mut inputs, world, now);
        while let Some(input) = inputs.pop_front() {
            let step = self.machine.handle(input, now);
            self.absorb_one(step, &mut inputs, world, now);
        }
    }

    fn absorb_one(&mut self, step: Step, inputs: &mut VecDeque<Input>, world: &dyn World, now: Stamp) {
        self.turn.events.extend(step.events);
        self.turn.wait |= step.wait;
        if step.reply.is_some() {
            self.turn.reply = step.reply;
        }
        for effect in step.effects {
            match effect {
                Effect::Dial { leg, target, cli } => self.dial(leg, &target, cli, inputs, world, now),
                Effect::Alert { leg, early_media } => self.alert(leg, early_media),
                Effect::Answer { leg } => self.answer(leg, inputs),
                Effect::Refuse { leg, cause } => {
                    let (status, q850) = cause.to_status();
                    let reason = format!("Q.850;cause={q850}");
                    self.respond(leg, status, vec![("Reason".into(), reason)], None);
                }
                Effect::Cancel { leg, cause } => {
                    if let Some(io) = self.legs.get_mut(usize::from(leg.0)) {
                        io.first_response_by = None;
                        io.ways.clear();
                    }
                    let command = self.leg_command(leg, |handle| SipCommand::Cancel {
                        handle,
                        reason: Some(Reason::q850(u16::from(cause.q850()), cause.name())),
                    });
                    // Between two attempts there is nothing to cancel.
                    if !command {
                        inputs.push_back(Input::Leg(leg, LegFact::Released));
                    }
                }
                Effect::Hangup { leg, cause } => {
                    self.leg_command(leg, |handle| SipCommand::Bye {
                        handle,
                        reason: Some(Reason::q850(u16::from(cause.q850()), cause.name())),
                    });
                }
                Effect::Layout(layout) => self.show(&layout, inputs, world),
                Effect::Release { leg } => {
                    if let Some(io) = self.legs.get_mut(usize::from(leg.0)) {
                        io.permit = None;
                        io.first_response_by = None;
                        if io.media.is_some() {
                            self.turn.out.push(Out::Media(MediaCommand::CloseLeg { leg: leg.0 }));
                        } else {
                            self.closed_media += 1;
                        }
                    }
                }
            }
        }
    }

    /// Gives a command for a leg's dialog; false if the leg has none.
    fn leg_command(&mut self, leg: LegSeq, make: impl FnOnce(DialogHandle) -> SipCommand) -> bool {
        match self.legs.get(usize::from(leg.0)) {
            Some(io) if io.in_dialog => {
                let command = make(io.handle);
                self.turn.out.push(Out::Sip(command));
                true
            }
            _ => false,
        }
    }

    fn media_event(&mut self, event: MediaEvent, world: &dyn World, now: Stamp) {
        match event {
            MediaEvent::PlayFinished { id, .. }
            | MediaEvent::AnnounceFinished { id }
            | MediaEvent::PlayFailed { id, .. } => self.feed(Input::Played(PlayId(id)), world, now),
            MediaEvent::Dtmf { leg, digit, .. } => self.fact(usize::from(leg), LegFact::Digit(digit), world, now),
            MediaEvent::Inactive { leg } => self.fact(usize::from(leg), LegFact::Silent, world, now),
            MediaEvent::FirstPacket { leg } => self.fact(usize::from(leg), LegFact::EarlyMedia, world, now),
            MediaEvent::RecordingFinished {
                id,
                path,
                millis,
                bytes,
                sha256,
                error,
                ..
            } => {
                let recording = (id & 0xffff) as u16;
                let name = path.file_name().map(|n| n.to_string_lossy().into_owned());
                let result = match (error, name) {
                    (None, Some(name)) => Ok(RecordingFile {
                        name,
                        millis,
                        bytes,
                        checksum: sha256.map(hex).unwrap_or_default(),
                    }),
                    (error, _) => Err(error.unwrap_or_else(|| "the file has no name".into())),
                };
                self.feed(Input::RecordingDone { recording, result }, world, now);
            }
            MediaEvent::LegClosed { leg, stats } => {
                self.closed_media += 1;
                let quality = Quality {
                    packets_in: stats.packets_in,
                    packets_out: stats.packets_out,
                    lost: stats.lost_in,
                    jitter_us: (stats.jitter_ms * 1000.0) as u32,
                    round_trip_us: stats
                        .round_trip
                        .map_or(0, |d| d.as_micros().min(u128::from(u32::MAX)) as u32),
                };
                self.fact(usize::from(leg), LegFact::Quality(quality), world, now);
            }
            MediaEvent::DtmfFailed { .. } | MediaEvent::DtmfSent { .. } => {}
        }
    }

    fn failed(&mut self, leg: usize, failure: Failure, world: &dyn World, now: Stamp) {
        self.fact(leg, LegFact::Failed(failure), world, now);
    }
}

fn hex(bytes: [u8; 32]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
