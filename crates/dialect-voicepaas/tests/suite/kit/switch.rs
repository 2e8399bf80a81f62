//! The runtime in virtual time: the real machine, scripted far sides, sounds that take their length, recordings that
//! finish, and a journal in memory with the pushes that are frozen with each event.

use super::party::Party;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard};
use strowger_core::call::{
    Accepted, ClickPlan, Command, Conversation, Effect, Failure, Input, Layout, LegFact, LegState, NoticeBatch,
    NoticePlan, PlayId, RecordingFile, Refusal, Sound, Step, Target,
};
use strowger_core::event::{Created, Event};
use strowger_core::project::{Batching, Projector, Topic};
use strowger_core::{ConversationId, ConversationRecord, LegSeq, Stamp, TenantId};
use strowger_dialect_voicepaas::{NoticeProjector, VoicePaasProjector};
use strowger_runtime::{Answer, CallError, Calls, Live, Notices};
use strowger_store::{CommandId, Throttle};

/// The virtual day begins here: 2025-06-15T02:00:00Z, ten o'clock in the application's zone.
pub const START: Stamp = Stamp(1_749_952_800_000);

/// A push, as the outbox would hold it.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    pub event: u32,
    pub subscription: usize,
    pub topic: Topic,
    pub url: String,
    pub key: String,
    pub bytes: Vec<u8>,
    pub batch: Option<Batching>,
}

/// One conversation with everything that was seen of it.
pub struct Conv {
    pub machine: Conversation,
    pub started: Stamp,
    pub events: Vec<Event>,
    pub deliveries: Vec<Delivery>,
    pub layouts: Vec<(Stamp, Layout)>,
    pub effects: Vec<(Stamp, Effect)>,
    /// The record as folded from the journal alone.
    pub fold: ConversationRecord,
    parties: HashMap<LegSeq, Party>,
    playing: BTreeMap<PlayId, bool>,
    recording_since: Option<Stamp>,
}

enum What {
    Feed(ConversationId, Input),
    Act(ConversationId, LegSeq, LegFact),
    Played(ConversationId, PlayId),
}

/// The world that the conversations live in.
pub struct World {
    pub now: Stamp,
    pub convs: BTreeMap<ConversationId, Conv>,
    pub parties: HashMap<String, Party>,
    pub sounds: HashMap<String, u64>,
    /// Milliseconds from the end of a recording to its file; `None` loses it, and says so only when asked.
    pub file_after: Option<u64>,
    /// The recorder fails instead of delivering a file.
    pub file_fails: bool,
    /// What the next call for a conversation is refused with.
    pub refuse: Option<CallError>,
    /// Named commands: the conversation that they started, or the leg that they added to one.
    once: Vec<(CommandId, ConversationId, Option<Accepted>)>,
    throttles: Vec<(String, Stamp)>,
    /// Conversations of batches, in order.
    pub batched: Vec<ConversationId>,
    queue: BTreeMap<(Stamp, u64), What>,
    order: u64,
    minted: u64,
}

/// Built-in sounds last this long.
pub const BUILTIN_MS: u64 = 3_000;

pub struct VirtualSwitch(Mutex<World>);

impl VirtualSwitch {
    pub fn new() -> VirtualSwitch {
        VirtualSwitch(Mutex::new(World {
            now: START,
            convs: BTreeMap::new(),
            parties: HashMap::new(),
            sounds: HashMap::new(),
            file_after: Some(2_000),
            file_fails: false,
            refuse: None,
            once: Vec::new(),
            throttles: Vec::new(),
            batched: Vec::new(),
            queue: BTreeMap::new(),
            order: 0,
            minted: 0,
        }))
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl World {
    fn schedule(&mut self, at: Stamp, what: What) {
        self.order += 1;
        self.queue.insert((at, self.order), what);
    }

    /// Feeds an input to a conversation at a later moment.
    pub fn feed_at(&mut self, at: Stamp, id: ConversationId, input: Input) {
        self.schedule(at, What::Feed(id, input));
    }

    /// Feeds an input now.
    pub fn feed(&mut self, id: ConversationId, input: Input) -> Option<Result<Accepted, Refusal>> {
        let now = self.now;
        let step = self.convs.get_mut(&id)?.machine.handle(input, now);
        self.carry_out(id, step)
    }

    /// The next moment at which something happens.
    pub fn next(&self) -> Option<Stamp> {
        let queued = self.queue.keys().next().map(|k| k.0);
        let due = self
            .convs
            .values()
            .filter_map(|c| c.machine.next_deadline().map(|d| d.0))
            .min();
        queued.into_iter().chain(due).min()
    }

    /// Lets time pass up to a moment.
    pub fn run_until(&mut self, end: Stamp) {
        let mut steps = 0;
        while let Some(at) = self.next().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            steps += 1;
            assert!(steps < 200_000, "the world does not come to rest");
            // What happened comes before what was waited for, when both are due at once.
            if let Some((key, _)) = self.queue.first_key_value()
                && key.0 <= self.now
            {
                let (_, what) = self.queue.pop_first().unwrap();
                self.happen(what);
                continue;
            }
            let due: Vec<ConversationId> = self
                .convs
                .iter()
                .filter(|(_, c)| c.machine.next_deadline().is_some_and(|d| d.0 <= self.now))
                .map(|(id, _)| *id)
                .collect();
            for id in due {
                self.feed(id, Input::Tick);
            }
        }
        self.now = self.now.max(end);
    }

    /// Lets time pass until nothing more is expected, at most a day.
    pub fn run(&mut self) {
        let limit = self.now.plus_secs(86_400);
        while let Some(at) = self.next() {
            assert!(at < limit, "something is still expected after a day");
            self.run_until(at);
        }
    }

    fn happen(&mut self, what: What) {
        match what {
            What::Feed(id, input) => {
                self.feed(id, input);
            }
            What::Act(id, leg, fact) => {
                let Some(c) = self.convs.get(&id) else { return };
                let state = c.machine.leg_state(leg);
                if state.is_none_or(|s| s == LegState::Ended) {
                    return;
                }
                if let LegFact::Answered { .. } = fact
                    && matches!(state, Some(LegState::Trying | LegState::Ringing))
                {
                    let later = c.parties.get(&leg).map(|p| p.after.clone()).unwrap_or_default();
                    for (ms, fact) in later {
                        self.schedule(self.now.plus_ms(ms), What::Act(id, leg, fact));
                    }
                }
                self.feed(id, Input::Leg(leg, fact));
            }
            What::Played(id, play) => {
                let playing = self.convs.get_mut(&id).and_then(|c| c.playing.remove(&play));
                if playing.is_some() {
                    self.feed(id, Input::Played(play));
                }
            }
        }
    }

    /// What the runtime does with a step: commit events with their pushes, then the effects.
    fn carry_out(&mut self, id: ConversationId, step: Step) -> Option<Result<Accepted, Refusal>> {
        let now = self.now;
        let c = self.convs.get_mut(&id)?;
        c.commit(step.events);
        for effect in step.effects {
            let c = self.convs.get_mut(&id)?;
            c.effects.push((now, effect.clone()));
            match effect {
                Effect::Dial { leg, target, .. } => {
                    let Target::Number(number) = target else { continue };
                    let party = self
                        .parties
                        .get(number.as_str())
                        .cloned()
                        .unwrap_or_else(|| Party::rejects(0, 404));
                    for (ms, fact) in &party.before {
                        self.schedule(now.plus_ms(*ms), What::Act(id, leg, fact.clone()));
                    }
                    self.convs.get_mut(&id)?.parties.insert(leg, party);
                }
                Effect::Cancel { leg, .. } | Effect::Hangup { leg, .. } => {
                    if let Some(ms) = c.parties.get(&leg).and_then(|p| p.confirms) {
                        self.schedule(now.plus_ms(ms), What::Act(id, leg, LegFact::Released));
                    }
                }
                Effect::Layout(layout) => self.lay_out(id, layout),
                Effect::Alert { .. }
                | Effect::Answer { .. }
                | Effect::Refuse { .. }
                | Effect::AnswerRefer { .. }
                | Effect::NotifyRefer { .. }
                | Effect::Listen { .. }
                | Effect::Release { .. } => {}
                // No call of this dialect is a contact centre's.
                Effect::Enqueue { .. }
                | Effect::Dequeue
                | Effect::Reserve { .. }
                | Effect::Request(_)
                | Effect::CallBack { .. }
                | Effect::HandOver(_)
                | Effect::Speak(_)
                | Effect::Hear(_)
                | Effect::StopHearing
                | Effect::Agent { .. } => {}
            }
        }
        step.reply
    }

    /// What the media engine does with a layout: starts and drops sounds, starts and ends the recording.
    fn lay_out(&mut self, id: ConversationId, layout: Layout) {
        let now = self.now;
        let Some(c) = self.convs.get_mut(&id) else { return };
        let plays: Vec<_> = layout
            .legs
            .iter()
            .filter_map(|l| l.play.clone())
            .chain(layout.announce.clone())
            .collect();
        c.playing.retain(|p, _| plays.iter().any(|n| n.id == *p));
        let fresh: Vec<_> = plays.into_iter().filter(|p| !c.playing.contains_key(&p.id)).collect();
        for p in &fresh {
            c.playing.insert(p.id, p.repeat);
        }
        let mut file = None;
        match (&layout.record, c.recording_since) {
            (Some(_), None) => c.recording_since = Some(now),
            (None, Some(since)) => {
                c.recording_since = None;
                file = Some((c.fold.recordings.len().saturating_sub(1) as u16, now.ms_since(since)));
            }
            _ => {}
        }
        c.layouts.push((now, layout));
        for p in fresh.into_iter().filter(|p| !p.repeat) {
            let ms = match &p.sound {
                Sound::Prompt(name) => self.sounds.get(name).copied().unwrap_or(1_000),
                Sound::Builtin(_) | Sound::Tone(_) | Sound::Spoken(_) | Sound::Synthesised(_) => BUILTIN_MS,
            };
            self.schedule(now.plus_ms(ms), What::Played(id, p.id));
        }
        if let (Some((recording, millis)), Some(after)) = (file, self.file_after) {
            let result = if self.file_fails {
                Err("the disk is full".to_owned())
            } else {
                Ok(RecordingFile {
                    name: format!("RE{:032x}.wav", id.0.rotate_left(31)),
                    millis,
                    bytes: 44 + millis * 32,
                    checksum: String::new(),
                })
            };
            let input = Input::RecordingDone { recording, result };
            self.schedule(now.plus_ms(after), What::Feed(id, input));
        }
    }

    /// What a named command did: the one that started a conversation, or one within `conversation`.
    fn known(
        &self,
        once: &CommandId,
        conversation: Option<ConversationId>,
    ) -> Option<Result<(ConversationId, Option<Accepted>), CallError>> {
        let mut all = self.once.iter();
        let (id, started, accepted) = all.find(|(id, of, accepted)| {
            id.name() == once.name()
                && accepted.is_some() == conversation.is_some()
                && conversation.is_none_or(|c| c == *of)
        })?;
        Some(if id.request() == once.request() {
            Ok((*started, *accepted))
        } else {
            Err(CallError::KeyReused)
        })
    }

    /// Starts a conversation as the runtime does.
    pub fn start(&mut self, head: Created, plan: ClickPlan) -> ConversationId {
        let id = self.mint();
        let (machine, step) = Conversation::click_to_call(id, head, plan, self.now);
        self.begin(id, machine, step);
        id
    }

    fn mint(&mut self) -> ConversationId {
        self.minted += 1;
        let random = self.minted.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        ConversationId::mint(self.now.0 as u64, random)
    }

    fn begin(&mut self, id: ConversationId, machine: Conversation, step: Step) {
        let fold = ConversationRecord::open(&step.events[0]).unwrap();
        let conv = Conv {
            machine,
            started: self.now,
            events: vec![],
            deliveries: vec![],
            layouts: vec![],
            effects: vec![],
            fold,
            parties: HashMap::new(),
            playing: BTreeMap::new(),
            recording_since: None,
        };
        self.convs.insert(id, conv);
        self.carry_out(id, step);
    }
}

impl Conv {
    fn commit(&mut self, events: Vec<Event>) {
        for event in events {
            if event.seq > 1 {
                self.fold.apply(&event).expect("the log continues");
            }
            self.deliveries.extend(pushes(&self.fold, &event));
            self.events.push(event);
        }
        assert_eq!(
            &self.fold,
            self.machine.record(),
            "the record is the fold of the journal"
        );
    }
}

/// The pushes that an event means, one at most for each subscription.
pub fn pushes(record: &ConversationRecord, event: &Event) -> Vec<Delivery> {
    let subscriptions = record.head.subscriptions.iter().enumerate();
    subscriptions
        .filter_map(|(n, s)| {
            let all: [&dyn Projector; 2] = [&VoicePaasProjector, &NoticeProjector];
            let projector = all.into_iter().find(|p| p.name() == s.projector);
            let body = projector.expect("a known projector").project(s, record, event)?;
            Some(Delivery {
                event: event.seq,
                subscription: n,
                topic: s.topic,
                url: s.url.clone(),
                key: body.key,
                bytes: body.bytes,
                batch: body.batch,
            })
        })
        .collect()
}

/// The pushes of a whole log, made again from the log alone.
pub fn replay(events: &[Event]) -> Vec<Delivery> {
    let mut record = ConversationRecord::open(&events[0]).unwrap();
    let mut all = pushes(&record, &events[0]);
    for event in &events[1..] {
        record.apply(event).unwrap();
        all.extend(pushes(&record, event));
    }
    all
}

impl Notices for VirtualSwitch {
    fn batch(&self, batch: NoticeBatch) -> Answer<'_, ()> {
        let mut world = self.world();
        for (n, callee) in batch.callees.iter().enumerate() {
            let (head, plan) = batch.call(n as u32).unwrap();
            let id = world.mint();
            world.batched.push(id);
            let (machine, step) = if callee.closed {
                Conversation::notice_undialled(id, head, plan, Failure::Forbidden, world.now)
            } else {
                Conversation::notice(id, head, plan, world.now)
            };
            world.begin(id, machine, step);
        }
        Box::pin(std::future::ready(Ok(())))
    }

    fn notice(&self, head: Created, plan: NoticePlan, limit: Option<Throttle>) -> Answer<'_, ConversationId> {
        let mut world = self.world();
        let often = limit.as_ref().is_some_and(|t| {
            t.limits.iter().any(|(window, most)| {
                let recent = |(name, at): &&(String, Stamp)| *name == t.name && t.at.ms_since(*at) < *window;
                world.throttles.iter().filter(recent).count() >= *most as usize
            })
        });
        let answer = match world.refuse.clone() {
            Some(error) => Err(error),
            None if often => Err(CallError::Throttled),
            None => {
                world.throttles.extend(limit.map(|t| (t.name, t.at)));
                let id = world.mint();
                let (machine, step) = Conversation::notice(id, head, plan, world.now);
                world.begin(id, machine, step);
                Ok(id)
            }
        };
        Box::pin(std::future::ready(answer))
    }
}

impl Calls for VirtualSwitch {
    fn click_to_call(&self, head: Created, plan: ClickPlan, once: Option<CommandId>) -> Answer<'_, ConversationId> {
        let mut world = self.world();
        let known = once.as_ref().and_then(|o| world.known(o, None));
        let answer = match (known, world.refuse.clone()) {
            (Some(known), _) => known.map(|(id, _)| id),
            (None, Some(error)) => Err(error),
            (None, None) => {
                let id = world.start(head, plan);
                world.once.extend(once.map(|o| (o, id, None)));
                Ok(id)
            }
        };
        Box::pin(std::future::ready(answer))
    }

    fn started<'a>(&'a self, once: &'a CommandId) -> Answer<'a, Option<ConversationId>> {
        let known = self.world().known(once, None).transpose();
        Box::pin(std::future::ready(known.map(|k| k.map(|(id, _)| id))))
    }

    fn command(
        &self,
        tenant: TenantId,
        conversation: ConversationId,
        command: Command,
        once: Option<CommandId>,
    ) -> Answer<'_, Accepted> {
        let mut world = self.world();
        if let Some(known) = once.as_ref().and_then(|o| world.known(o, Some(conversation))) {
            let answer = known.map(|(_, accepted)| accepted.expect("a command was accepted"));
            return Box::pin(std::future::ready(answer));
        }
        let known = world
            .convs
            .get(&conversation)
            .is_some_and(|c| c.fold.head.tenant == tenant);
        let answer = if known {
            let reply = world.feed(conversation, Input::Command(command));
            let reply = reply.expect("a command has a reply").map_err(CallError::from);
            if let (Ok(accepted), Some(once)) = (&reply, once) {
                world.once.push((once, conversation, Some(*accepted)));
            }
            reply
        } else {
            Err(CallError::NotFound)
        };
        Box::pin(std::future::ready(answer))
    }

    fn inspect(&self, tenant: TenantId, conversation: ConversationId) -> Answer<'_, Live> {
        let world = self.world();
        let answer = world
            .convs
            .get(&conversation)
            .filter(|c| c.fold.head.tenant == tenant && !c.machine.has_ended())
            .map(|c| Live {
                record: c.fold.clone(),
                legs: (0..c.fold.legs.len())
                    .filter_map(|n| c.machine.leg_state(LegSeq(n as u16)))
                    .collect(),
            })
            .ok_or(CallError::NotFound);
        Box::pin(std::future::ready(answer))
    }
}
