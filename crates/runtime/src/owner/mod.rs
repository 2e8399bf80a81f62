//! The owner of one conversation: the pure machine of the core, bound to SIP dialogs and media legs.
//!
//! Pure in the same sense as the core: an input and a time go in, a [`Turn`] comes out. What it needs from its
//! surroundings in between (a media port, a route, an id) it asks of a [`World`]. The async shell around it only commits
//! the turn's events and then carries its commands out in order; so the whole owner runs in virtual time in tests.

mod align;
mod answer;
mod branch;
mod codecs;
mod dial;
mod digits;
mod ends;
mod leg;
mod presentation;
mod quality;
pub mod recover;
mod refer;
mod sound;
mod video;
mod way;

pub use codecs::{CODECS, codec};
pub use way::{Diversion, Way, WayMedia, diversion_headers};

use crate::calls::CallError;
use crate::centre::ToCentre;
use leg::{LegIo, Place};
use presentation::Presentation;
use std::collections::VecDeque;
use std::net::SocketAddr;
use strowger_core::call::{
    Accepted, CentrePlan, ClickPlan, Conversation, Effect, Failure, ForwardPlan, Input, LegFact, NoticePlan, PlayId,
    Recorder, RecordingFile, Refusal, Sound, Step, Target,
};
use strowger_core::event::{Created, Event, OneWay, Via};
use strowger_core::ivr::HandOver;
use strowger_core::resource::{DigitsBy, RecordingSettings};
use strowger_core::{AgentId, ApplicationId, Cause, ConversationId, DeviceId, LegSeq, Stamp, TenantId};
use strowger_media::{CallKey, Command as MediaCommand, Event as MediaEvent, LocalWebRtc, MediaError, SoundRef};
use strowger_media_core::press;
use strowger_sip_core::sdp::Codec;
use strowger_sip_core::{
    Command as SipCommand, DialogHandle, IncomingInvite, Reason, ReferTo, Replaces, SipEvent, Target as SipTarget,
};

/// A place on a trunk, given back when it is dropped.
pub type Permit = Box<dyn Send + Sync>;

/// What an owner asks of its surroundings. Every call returns at once.
pub trait World: Send + Sync {
    /// Takes a media port pair for a leg and returns the address for its SDP.
    fn open_media(&self, call: CallKey, leg: u16) -> Result<SocketAddr, MediaError>;
    /// Makes our side of a WebRTC description for a leg.
    ///
    /// # Errors
    /// [`MediaError::WebRtcOff`] unless there is a media engine that has it.
    fn open_webrtc(&self, call: CallKey, leg: u16) -> Result<LocalWebRtc, MediaError> {
        let _ = (call, leg);
        Err(MediaError::WebRtcOff)
    }
    /// Seconds for which a browser that is not heard any more may come back.
    fn browser_grace_secs(&self) -> u64 {
        20
    }
    /// How a trunk or device is sent digits.
    fn digits_by(&self, via: Via) -> DigitsBy {
        let _ = via;
        DigitsBy::Auto
    }
    /// Counts a diagnosis of one-way audio.
    fn one_way(&self, cause: OneWay) {
        let _ = cause;
    }
    /// Ways to a target, best first.
    fn ways(&self, tenant: TenantId, target: &Target) -> Vec<Way>;
    /// A destination did not answer, cannot be reached, or has no room (RFC 3263 §4.3): for a while others are tried first.
    fn unreachable(&self, target: SipTarget) {
        let _ = target;
    }
    /// Takes a place on a trunk or device; `None` if it is full (I27).
    fn claim(&self, via: Via) -> Option<Permit>;
    /// Whom a device sent a call on to may be called instead, best first, with the header fields that tell of it
    /// ([`diversion_headers`]): a number by the tenant's routing and toll rules, a device of the tenant, or a foreign
    /// URI where the tenant allows that. Empty refuses.
    fn divert(&self, tenant: TenantId, application: ApplicationId, diversion: &Diversion<'_>) -> Vec<Way>;
    /// Whom a party may hand its talk over to by this URI, and the number or name as the record shows it.
    ///
    /// # Errors
    /// The SIP status that the party is refused with: 403 by the toll rules, 404 for nobody.
    fn transfer_to(&self, tenant: TenantId, application: ApplicationId, uri: &str) -> Result<(Target, String), u16>;
    /// The agent that has this device.
    fn agent_of(&self, device: DeviceId) -> Option<AgentId> {
        let _ = device;
        None
    }
    /// The way to our own SIP address if the Replaces names a dialog of another conversation of the same tenant; `None`
    /// if the dialog is somebody else's. The owner adds the header fields.
    fn self_way(&self, tenant: TenantId, refer_to: &ReferTo, replaces: &Replaces) -> Option<Way>;
    /// A sound by name; `None` if there is none.
    fn sound(&self, tenant: TenantId, application: ApplicationId, sound: &Sound) -> Option<SoundRef>;
    /// Codecs that are offered to devices, and over trunks without a list of their own, most preferred first.
    fn codecs(&self) -> Vec<Codec> {
        codecs::g711()
    }
    /// The form of an application's recordings.
    fn recording(&self, application: ApplicationId) -> RecordingSettings {
        let _ = application;
        RecordingSettings::default()
    }
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
    /// An INVITE that takes the place of a leg (RFC 3891).
    Replace(Box<Replacing>),
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
    Claim(DialogHandle, DialogName),
    /// To the media engine.
    Media(MediaCommand),
    /// To the desk of the tenant's contact centre.
    Centre(ToCentre),
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
    /// The transfer that is being asked for.
    asking: Option<refer::Asking>,
    /// Who called, as trunks are to be told.
    presented: Option<Box<Presentation>>,
    /// What is offered where a trunk does not say otherwise.
    codecs: Vec<Codec>,
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
    /// What it says of who calls is believed.
    pub trusted: bool,
    /// What its side is offered where the offer is ours; [`WayMedia::SrtpRequired`] takes nothing else either.
    pub media: WayMedia,
}

/// An INVITE that takes the place of a leg, for the leg's owner.
pub struct Replacing {
    /// The call.
    pub incoming: Incoming,
    /// The dialog that it replaces.
    pub replaced: DialogHandle,
    /// Whose call it is; an owner of another tenant does not know the dialog (I20).
    pub tenant: TenantId,
    /// Calling number as received.
    pub from: String,
    /// Called number as received.
    pub to: String,
}

impl std::fmt::Debug for Replacing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replacing").field("replaced", &self.replaced).finish()
    }
}

/// The half of a dialog's name that we know from the start; a Replaces that comes to us has it as Call-ID and to-tag, an
/// INVITE of ours as Call-ID and From tag.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DialogName {
    /// Call-ID.
    pub call_id: String,
    /// Our tag.
    pub local_tag: String,
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
            asking: None,
            presented: None,
            codecs: codecs::g711(),
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
        owner.codecs = world.codecs();
        owner.absorb(step, world, now);
        let turn = owner.finish(world);
        (owner, turn)
    }

    /// Starts a voice notice.
    pub fn notice(id: ConversationId, head: Created, plan: NoticePlan, world: &dyn World, now: Stamp) -> (Owner, Turn) {
        let (machine, step) = Conversation::notice(id, head, plan, now);
        let mut owner = Owner::new(machine);
        owner.codecs = world.codecs();
        owner.absorb(step, world, now);
        let turn = owner.finish(world);
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
        let ends = ends::open(
            ends::asked_for(&incoming.invite),
            incoming.media,
            CallKey(id.0),
            0,
            world,
        )
        .map_err(|_| CallError::Overloaded { retry_after_secs: 5 })?;
        let (machine, step) = Conversation::forward(id, head, plan, now);
        let mut owner = Owner::new(machine);
        owner.codecs = world.codecs();
        owner.turn.out.push(claim_of(&incoming));
        owner.presented = Some(Box::new(Presentation::of(&incoming)));
        owner.legs.push(LegIo::incoming(incoming, ends, world.random() as u64));
        owner.absorb(step, world, now);
        let turn = owner.finish(world);
        Ok((owner, turn))
    }

    /// Starts a call of a contact centre: one that came in, or one that an agent asked for.
    ///
    /// # Errors
    /// [`CallError::Overloaded`] if no media port is free; nothing was done and an INVITE is still to be refused.
    pub fn centre(
        id: ConversationId,
        head: Created,
        plan: CentrePlan,
        incoming: Option<Incoming>,
        world: &dyn World,
        now: Stamp,
    ) -> Result<(Owner, Turn), CallError> {
        let ends = match &incoming {
            Some(incoming) => Some(
                ends::open(
                    ends::asked_for(&incoming.invite),
                    incoming.media,
                    CallKey(id.0),
                    0,
                    world,
                )
                .map_err(|_| CallError::Overloaded { retry_after_secs: 5 })?,
            ),
            None => None,
        };
        let (machine, step) = Conversation::centre(id, head, plan, now);
        let mut owner = Owner::new(machine);
        owner.codecs = world.codecs();
        if let (Some(incoming), Some(ends)) = (incoming, ends) {
            owner.turn.out.push(claim_of(&incoming));
            owner.presented = Some(Box::new(Presentation::of(&incoming)));
            owner.legs.push(LegIo::incoming(incoming, ends, world.random() as u64));
        }
        owner.absorb(step, world, now);
        let turn = std::mem::take(&mut owner.turn);
        Ok((owner, turn))
    }

    /// True for a call of a contact centre.
    pub fn is_of_centre(&self) -> bool {
        self.machine.is_of_centre()
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
        self.legs.iter().filter_map(LegIo::next_deadline).chain(machine).min()
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
                if let Some((i, place)) = self.find(handle) {
                    match place {
                        Place::Dialog => self.sip_event(i, event, world, now),
                        Place::Branch(b) => self.branch_event(i, b, event, world, now),
                        Place::Lost(b) => self.lost_event(i, b, event, world, now),
                    }
                }
            }
            OwnerInput::Replace(replacing) => self.replace(*replacing, world, now),
            OwnerInput::Media(event) => self.media_event(event, world, now),
            OwnerInput::Tick => {
                for i in 0..self.legs.len() {
                    self.leg_tick(i, world, now);
                }
                self.feed(Input::Tick, world, now);
            }
            OwnerInput::SystemEnd => self.feed(Input::SystemEnd, world, now),
        }
        self.finish(world)
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
                    // Between two attempts there is nothing to cancel.
                    if !self.cancel_branches(usize::from(leg.0), &reason_of(cause)) {
                        inputs.push_back(Input::Leg(leg, LegFact::Released));
                    }
                }
                Effect::Hangup { leg, cause } => {
                    self.leg_command(leg, |handle| SipCommand::Bye {
                        handle,
                        reason: Some(reason_of(cause)),
                    });
                }
                Effect::AnswerRefer { leg, status } => self.answer_refer(leg, status),
                Effect::NotifyRefer { leg, status, finished } => self.notify_refer(leg, status, finished),
                Effect::Listen { leg, to } => self.listen_to(leg, to),
                Effect::Layout(layout) => self.show(&layout, inputs, world),
                Effect::Enqueue {
                    queue,
                    priority,
                    since,
                    front,
                    not,
                } => {
                    let caller = self.machine.record().head.ani.clone();
                    self.turn.out.push(Out::Centre(ToCentre::Enqueue {
                        queue,
                        priority,
                        since,
                        front,
                        not,
                        caller,
                    }));
                }
                Effect::Request(request) => self.turn.out.push(Out::Centre(ToCentre::Request(request))),
                Effect::Speak(text) => self.turn.out.push(Out::Centre(ToCentre::Speak(text))),
                Effect::Hear(listening) => self.turn.out.push(Out::Centre(ToCentre::Hear(listening))),
                Effect::StopHearing => self.turn.out.push(Out::Centre(ToCentre::StopHearing)),
                Effect::CallBack { queue, number } => {
                    self.call_back(queue.to_string(), number);
                }
                Effect::HandOver(to) => {
                    if let HandOver::Callback { queue, number } = *to {
                        self.call_back(queue, number);
                        continue;
                    }
                    let letter = ToCentre::HandOver(self.application, to);
                    self.turn.out.push(Out::Centre(letter));
                }
                Effect::Dequeue => self.turn.out.push(Out::Centre(ToCentre::Leave)),
                Effect::Agent { ticket, fact } => self.turn.out.push(Out::Centre(ToCentre::Fact(ticket, fact))),
                Effect::Reserve { agent, part } => self.turn.out.push(Out::Centre(ToCentre::Reserve(agent, part))),
                Effect::Release { leg } => {
                    if let Some(io) = self.legs.get_mut(usize::from(leg.0)) {
                        io.release();
                        if io.opened {
                            self.turn.out.push(Out::Media(MediaCommand::CloseLeg { leg: leg.0 }));
                        } else {
                            self.closed_media += 1;
                        }
                    }
                }
            }
        }
    }

    /// Asks the desk to have the caller called back.
    fn call_back(&mut self, queue: String, number: String) {
        self.turn.out.push(Out::Centre(ToCentre::CallBack {
            application: self.application,
            queue,
            number,
            since: self.machine.queued_since(),
        }));
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
            MediaEvent::PlayFinished { id, .. } | MediaEvent::AnnounceFinished { id } => {
                self.feed(Input::Played(PlayId(id)), world, now);
            }
            MediaEvent::PlayFailed { id, .. } => self.feed(Input::Unplayed(PlayId(id)), world, now),
            MediaEvent::Dtmf {
                leg,
                digit,
                duration_ms,
            } => {
                self.pressed(usize::from(leg), press::Way::Event, digit, duration_ms, world, now);
            }
            MediaEvent::DigitToSignal {
                leg,
                digit,
                duration_ms,
            } => self.send_info(LegSeq(leg), digit, duration_ms),
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
                let quality = quality::of(&stats);
                self.fact(usize::from(leg), LegFact::Quality(quality), world, now);
            }
            MediaEvent::OneWay { leg, cause } => self.one_way(usize::from(leg), cause, world, now),
            MediaEvent::TransportFailed { leg, why } => {
                tracing::info!(conversation = %self.machine.id(), leg, "no media with a browser: {why}");
                self.browser_gone(usize::from(leg), world, now);
            }
            MediaEvent::TransportLost { leg } => self.browser_gone(usize::from(leg), world, now),
            MediaEvent::TransportConnected { leg } | MediaEvent::TransportFound { leg } => {
                self.browser_back(usize::from(leg), world, now);
            }
            MediaEvent::Voice { leg, talking } => self.fact(usize::from(leg), LegFact::Talking(talking), world, now),
            MediaEvent::Answered { leg, verdict } => {
                self.fact(usize::from(leg), digits::answered_by(verdict), world, now);
            }
            MediaEvent::Fax { leg, .. } => self.fact(usize::from(leg), digits::FAX_TONE, world, now),
            MediaEvent::Beep { leg } => self.fact(usize::from(leg), LegFact::Beep, world, now),
            MediaEvent::DtmfFailed { .. } | MediaEvent::DtmfSent { .. } => {}
        }
    }

    fn failed(&mut self, leg: usize, failure: Failure, world: &dyn World, now: Stamp) {
        self.fact(leg, LegFact::Failed(failure), world, now);
    }
}

/// What we say when we end a leg.
fn reason_of(cause: Cause) -> Reason {
    match cause {
        // RFC 3326 §3.1: the devices that lose show no missed call.
        Cause::AnsweredElsewhere => Reason::sip(200, "Call completed elsewhere"),
        cause => Reason::q850(u16::from(cause.q850()), cause.name()),
    }
}

fn claim_of(incoming: &Incoming) -> Out {
    let snapshot = &incoming.invite.snapshot;
    Out::Claim(
        incoming.handle,
        DialogName {
            call_id: snapshot.call_id.clone(),
            local_tag: snapshot.local_tag.clone(),
        },
    )
}

fn hex(bytes: [u8; 32]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
