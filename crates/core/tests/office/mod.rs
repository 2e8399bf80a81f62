//! A contact centre in virtual time: the distributor and its calls wired to one another as the runtime wires them, with
//! every telephone in the hands of the test.

#![allow(dead_code, reason = "each test uses its part of the kit")]

mod callbacks;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use strowger_core::call::centre::{AgentPlan, CentreCommand, CentrePlan, Entry, Whom};
use strowger_core::call::{
    Command, Conversation, Effect, Input, Layout, LegFact, LegState, PartyPlan, Refusal, Step, Target,
};
use strowger_core::cause::Role;
use strowger_core::centre::acd::{self, Acd, Enqueue, Offer, Output, QueueFact, Setup};
use strowger_core::centre::agent::{self, Change, Choice, Client, DeviceMode, Engagement, Part, State, Ticket, Verb};
use strowger_core::centre::resource::{Agent, CentreSettings, Overflow, Queue, Skill, WrapUp};
use strowger_core::event::{Created, DialogRef, Event, Fact, Kind, RecordMode};
use strowger_core::ivr::HandOver;
use strowger_core::number::{CHINA, Number};
use strowger_core::record::ConversationRecord;
use strowger_core::{
    AgentId, ApplicationId, CallbackId, Cause, ConversationId, GroupId, LegSeq, QueueId, Stamp, TenantId,
};

pub const T0: Stamp = Stamp(1_749_952_800_000);
pub const TENANT: TenantId = TenantId(1);
pub const APP: ApplicationId = ApplicationId(1);
pub const SALES: GroupId = GroupId(1);
pub const CARE: GroupId = GroupId(2);
pub const Q_SALES: QueueId = QueueId(1);
pub const Q_CARE: QueueId = QueueId(2);

pub fn agent(n: u128, skills: &[(GroupId, u8)]) -> Agent {
    let skills = skills.iter().map(|(group, level)| Skill {
        group: *group,
        level: *level,
    });
    Agent {
        skills: skills.collect(),
        extension: format!("{}", 8000 + n),
        ..Agent::new(AgentId(n), TENANT, APP, format!("agent{n}"))
    }
}

pub fn queue(id: QueueId, group: GroupId) -> Queue {
    Queue::new(id, TENANT, APP, format!("queue {}", id.0), group)
}

pub fn number(text: &str) -> PartyPlan {
    PartyPlan {
        target: Target::Number(Number::parse(text, CHINA).unwrap()),
        text: text.to_owned(),
        cli: None,
    }
}

/// What a telephone is asked to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Asked {
    Dial(Target),
    Hangup(Cause),
    Cancel(Cause),
    Refuse(Cause),
    Answer,
    Alert,
}

/// One call with what was seen of it.
pub struct Call {
    pub machine: Conversation,
    pub log: Vec<Event>,
    pub layout: Layout,
    pub asked: Vec<(LegSeq, Asked)>,
    due: Option<Stamp>,
}

/// A letter between the distributor and a call.
enum Letter {
    Acd(acd::Input),
    Reserve(ConversationId, AgentId, Part),
    Call(ConversationId, CentreCommand),
    CallBack(ConversationId, QueueId, String),
    Place(CallbackId),
}

/// The whole office.
pub struct Office {
    pub acd: Acd,
    pub settings: CentreSettings,
    pub setup: Setup,
    pub calls: BTreeMap<ConversationId, Call>,
    pub ended: Vec<(ConversationRecord, Vec<Event>)>,
    pub now: Stamp,
    pub agent_log: Vec<(AgentId, Change)>,
    pub queue_log: Vec<QueueFact>,
    pub alerts: Vec<(AgentId, agent::Alert)>,
    /// Requests to telephones that nobody has looked at yet.
    pub requests: Vec<(ConversationId, LegSeq, Asked)>,
    pub offers: Vec<Offer>,
    /// What is kept of requests to be called back.
    pub callbacks: BTreeMap<CallbackId, acd::Callback>,
    /// Legs confirm their release at once, as a telephone that works does.
    pub prompt_release: bool,
    next: u64,
    dues: BTreeSet<(Stamp, ConversationId)>,
    mail: VecDeque<Letter>,
    pumping: bool,
}

impl Office {
    pub fn new(settings: CentreSettings, agents: Vec<Agent>, queues: Vec<Queue>) -> Office {
        let setup = Setup {
            applications: vec![(APP, settings)],
            agents,
            queues,
        };
        let mut office = Office {
            acd: Acd::new(1),
            settings,
            setup: setup.clone(),
            calls: BTreeMap::new(),
            ended: Vec::new(),
            now: T0,
            agent_log: Vec::new(),
            queue_log: Vec::new(),
            alerts: Vec::new(),
            requests: Vec::new(),
            offers: Vec::new(),
            callbacks: BTreeMap::new(),
            prompt_release: true,
            next: 1,
            dues: BTreeSet::new(),
            mail: VecDeque::new(),
            pumping: false,
        };
        office.tell_acd(acd::Input::Configure(Box::new(setup)));
        office
    }

    // --- agents --------------------------------------------------------------------------------------------------

    pub fn try_agent(&mut self, n: u128, input: agent::Input) -> Result<(), agent::Refusal> {
        let out = self.acd.handle(acd::Input::Agent(AgentId(n), input), self.now)?;
        self.carry_out(out);
        Ok(())
    }

    pub fn agent(&mut self, n: u128, input: agent::Input) {
        let told = format!("{input:?}");
        let done = self.try_agent(n, input);
        assert_eq!(done, Ok(()), "{told} in {:?}", self.state(n));
    }

    pub fn sign_in(&mut self, n: u128) {
        self.agent(
            n,
            agent::Input::Connect {
                client: Client { id: n, face: 0 },
                needs_device: false,
            },
        );
        self.agent(
            n,
            agent::Input::SignIn {
                groups: Vec::new(),
                mode: DeviceMode::Devices,
                choice: Some(Choice::Ready),
            },
        );
    }

    pub fn state(&self, n: u128) -> State {
        self.acd.agent(AgentId(n)).unwrap().state()
    }

    /// The states that an agent went through, without repetitions.
    pub fn path(&self, n: u128) -> Vec<State> {
        let mut path: Vec<State> = Vec::new();
        for (id, change) in &self.agent_log {
            if *id == AgentId(n) && path.last() != Some(&change.to) {
                path.push(change.to);
            }
        }
        path
    }

    pub fn ticket(&self, n: u128) -> Ticket {
        self.acd.engaged(AgentId(n)).unwrap().0
    }

    fn party(n: AgentId) -> PartyPlan {
        PartyPlan {
            target: Target::Agent(n),
            text: format!("{}", 8000 + n.0),
            cli: None,
        }
    }

    pub fn plan(ticket: Ticket, agent: AgentId, part: Part) -> AgentPlan {
        AgentPlan {
            ticket,
            agent,
            part,
            party: Office::party(agent),
            ring_secs: 30,
        }
    }

    /// A reservation of an agent that no queue asked for.
    pub fn reserve(&mut self, n: u128, part: Part, call: ConversationId) -> Result<AgentPlan, Option<agent::Refusal>> {
        let secs = self.settings.ring_secs;
        let (ticket, out) = self.acd.begin(AgentId(n), part, call, secs, self.now);
        self.carry_out(out);
        ticket.map(|t| Office::plan(t, AgentId(n), part))
    }

    // --- calls ---------------------------------------------------------------------------------------------------

    pub fn id(&mut self) -> ConversationId {
        self.next += 1;
        ConversationId::mint(1_000 + self.next, self.next)
    }

    fn head(kind: Kind, ani: &str, dnis: &str) -> Created {
        Created {
            tenant: TENANT,
            application: APP,
            account: None,
            kind,
            ani: ani.to_owned(),
            dnis: dnis.to_owned(),
            user_data: String::new(),
            max_duration: None,
            record: RecordMode::None,
            subscriptions: vec![],
        }
    }

    pub fn open(&mut self, id: ConversationId, kind: Kind, entry: Entry) {
        let (from, to) = ("13800138000", "02161230000");
        let plan = CentrePlan {
            entry,
            from: from.to_owned(),
            to: to.to_owned(),
            settings: self.settings,
            music: None,
            record_wait: 60,
            routed: None,
            survey: None,
        };
        let (machine, step) = Conversation::centre(id, Office::head(kind, from, to), plan, self.now);
        self.calls.insert(
            id,
            Call {
                machine,
                log: Vec::new(),
                layout: Layout::default(),
                asked: Vec::new(),
                due: None,
            },
        );
        self.apply(id, step);
        self.pump();
    }

    /// A customer calls in, to a queue.
    pub fn call_in(&mut self, queue: QueueId) -> ConversationId {
        let id = self.id();
        let dialog = DialogRef::default();
        self.open(id, Kind::Inbound, Entry::Queue { dialog, queue });
        id
    }

    /// An agent dials a party outside; its own device is called first.
    pub fn dial(&mut self, n: u128, to: Whom) -> Option<ConversationId> {
        let id = self.id();
        let own = self.reserve(n, Part::Own, id).ok()?;
        self.open(id, Kind::Outbound, Entry::Dial { own, to });
        Some(id)
    }

    /// A whom for another agent, reserved for this call.
    pub fn colleague(&mut self, n: u128, part: Part, call: ConversationId) -> Option<Whom> {
        let plan = self.reserve(n, part, call).ok()?;
        Some(Whom::Agent(plan, Some(Q_SALES)))
    }

    pub fn command(&mut self, id: ConversationId, command: CentreCommand) -> Result<(), Refusal> {
        let step = self.input(id, Input::Command(Command::Centre(Box::new(command))));
        step.unwrap_or(Err(Refusal::Ended)).map(|_| ())
    }

    /// Whatever an agent asks: first of its machine, then of its call.
    pub fn verb(&mut self, n: u128, verb: Verb, command: impl FnOnce(Ticket) -> CentreCommand) -> bool {
        if self.acd.check(AgentId(n), verb).is_err() {
            return false;
        }
        let Some((ticket, _, call)) = self.acd.engaged(AgentId(n)) else {
            return false;
        };
        self.command(call, command(ticket)).is_ok()
    }

    pub fn leg(&mut self, id: ConversationId, leg: u16, fact: LegFact) {
        self.input(id, Input::Leg(LegSeq(leg), fact));
    }

    pub fn ring(&mut self, id: ConversationId, leg: u16) {
        self.leg(id, leg, LegFact::Ringing);
    }

    pub fn pick_up(&mut self, id: ConversationId, leg: u16) {
        self.leg(id, leg, LegFact::Answered { dialog: None });
    }

    pub fn ring_and_answer(&mut self, id: ConversationId, leg: u16) {
        self.ring(id, leg);
        self.pick_up(id, leg);
    }

    pub fn hang_up(&mut self, id: ConversationId, leg: u16) {
        self.leg(id, leg, LegFact::HungUp { q850: 16 });
    }

    /// The leg of an agent that is called or talks in a call.
    pub fn leg_of(&self, id: ConversationId, n: u128) -> u16 {
        let record = self.calls[&id].machine.record();
        record.parts.iter().rev().find(|p| p.agent == AgentId(n)).unwrap().leg.0
    }

    pub fn record(&self, id: ConversationId) -> ConversationRecord {
        match self.calls.get(&id) {
            Some(c) => c.machine.record().clone(),
            None => self.ended.iter().find(|(r, _)| r.id == id).unwrap().0.clone(),
        }
    }

    pub fn is_over(&self, id: ConversationId) -> bool {
        !self.calls.contains_key(&id)
    }

    /// Legs that a leg hears now.
    pub fn hears(&self, id: ConversationId, leg: u16) -> Vec<u16> {
        let layout = &self.calls[&id].layout;
        let found = layout.legs.iter().find(|l| l.leg == LegSeq(leg));
        let mut hears: Vec<u16> = found.map(|l| l.hears.iter().map(|l| l.0).collect()).unwrap_or_default();
        hears.sort_unstable();
        hears
    }

    /// True if a sound of ours is played to a leg.
    pub fn plays(&self, id: ConversationId, leg: u16) -> bool {
        let layout = &self.calls[&id].layout;
        layout.legs.iter().any(|l| l.leg == LegSeq(leg) && l.play.is_some())
    }

    // --- wiring --------------------------------------------------------------------------------------------------

    pub fn tell_acd(&mut self, input: acd::Input) {
        self.mail.push_back(Letter::Acd(input));
        self.pump();
    }

    /// Delivers letters one after the other, as mailboxes do.
    fn pump(&mut self) {
        if std::mem::replace(&mut self.pumping, true) {
            return;
        }
        while let Some(letter) = self.mail.pop_front() {
            match letter {
                Letter::Acd(input) => {
                    let out = self.acd.handle(input, self.now).unwrap();
                    self.take_out(out);
                }
                Letter::Reserve(id, agent, part) => {
                    let talks = |s: State| s.is_own_talk() || s == State::Held;
                    if part == Part::Own && self.acd.agent(agent).is_some_and(|a| talks(a.state())) {
                        self.mail.push_back(Letter::Call(id, CentreCommand::SecondLine(agent)));
                        continue;
                    }
                    let secs = self.settings.ring_secs;
                    let (ticket, out) = self.acd.begin(agent, part, id, secs, self.now);
                    self.take_out(out);
                    let plan = ticket.map(|t| Office::plan(t, agent, part)).map_err(|_| Cause::Busy);
                    self.mail.push_back(Letter::Call(id, CentreCommand::Reserved(plan)));
                }
                Letter::CallBack(id, queue, number) => self.ask_callback(id, queue, &number),
                Letter::Place(request) => self.place_callback(request),
                Letter::Call(id, command) => {
                    let input = Input::Command(Command::Centre(Box::new(command)));
                    let now = self.now;
                    if let Some(call) = self.calls.get_mut(&id) {
                        let step = call.machine.handle(input, now);
                        self.apply(id, step);
                    }
                }
            }
        }
        self.pumping = false;
    }

    fn carry_out(&mut self, out: Vec<Output>) {
        self.take_out(out);
        self.pump();
    }

    pub fn input(&mut self, id: ConversationId, input: Input) -> Option<Result<(), Refusal>> {
        let now = self.now;
        let call = self.calls.get_mut(&id)?;
        let step = call.machine.handle(input, now);
        let reply = step.reply;
        self.apply(id, step);
        self.pump();
        reply.map(|r| r.map(|_| ()))
    }

    fn apply(&mut self, id: ConversationId, step: Step) {
        let call = self.calls.get_mut(&id).unwrap();
        call.log.extend(step.events);
        for effect in step.effects {
            self.effect(id, effect);
        }
        let Some(call) = self.calls.get_mut(&id) else { return };
        let due = call.machine.next_deadline().map(|(at, _)| at);
        let before = std::mem::replace(&mut call.due, due);
        let over = call.machine.is_over();
        if before != due {
            before.map(|at| self.dues.remove(&(at, id)));
            due.map(|at| self.dues.insert((at, id)));
        }
        if over && let Some(call) = self.calls.remove(&id) {
            call.due.map(|at| self.dues.remove(&(at, id)));
            self.ended.push((call.machine.record().clone(), call.log));
            self.mail.push_back(Letter::Acd(acd::Input::Gone(id)));
        }
    }

    fn effect(&mut self, id: ConversationId, effect: Effect) {
        let ask = |leg: LegSeq, what: Asked| Some((leg, what));
        let mut released = None;
        let asked = match effect {
            Effect::Dial { leg, target, .. } => ask(leg, Asked::Dial(target)),
            Effect::Hangup { leg, cause } => {
                released = Some(leg);
                ask(leg, Asked::Hangup(cause))
            }
            Effect::Cancel { leg, cause } => {
                released = Some(leg);
                ask(leg, Asked::Cancel(cause))
            }
            Effect::Refuse { leg, cause } => ask(leg, Asked::Refuse(cause)),
            Effect::Answer { leg } => ask(leg, Asked::Answer),
            Effect::Alert { leg, .. } => ask(leg, Asked::Alert),
            Effect::Layout(layout) => {
                if let Some(call) = self.calls.get_mut(&id) {
                    call.layout = layout;
                }
                None
            }
            Effect::Enqueue {
                queue,
                priority,
                since,
                front,
                not,
            } => {
                self.mail.push_back(Letter::Acd(acd::Input::Enqueue(Enqueue {
                    conversation: id,
                    queue,
                    caller: String::new(),
                    priority,
                    since: Some(since),
                    front,
                    not,
                })));
                None
            }
            Effect::Reserve { agent, part } => {
                self.mail.push_back(Letter::Reserve(id, agent, part));
                None
            }
            Effect::HandOver(to) => {
                if let HandOver::Callback { number, .. } = &*to {
                    self.mail.push_back(Letter::CallBack(id, Q_SALES, number.clone()));
                    return;
                }
                let to = match *to {
                    HandOver::Queue { queue, .. } if queue == "sales" => Some(Whom::Queue(Q_SALES)),
                    HandOver::Agent { agent, .. } => agent.parse().ok().map(|n| Whom::Colleague(AgentId(n))),
                    HandOver::Number { number: n, .. } => Some(Whom::Party(number(&n))),
                    _ => None,
                };
                self.mail
                    .push_back(Letter::Call(id, CentreCommand::HandTo { to, priority: None }));
                None
            }
            Effect::CallBack { queue, number } => {
                self.mail.push_back(Letter::CallBack(id, queue, number));
                None
            }
            Effect::Request(request) => {
                self.mail
                    .push_back(Letter::Call(id, CentreCommand::Answered(request.id, None)));
                None
            }
            Effect::Dequeue => {
                self.mail.push_back(Letter::Acd(acd::Input::Leave(id)));
                None
            }
            Effect::Agent { ticket, fact } => {
                self.mail.push_back(Letter::Acd(acd::Input::Fact(ticket, fact)));
                None
            }
            _ => None,
        };
        if let Some((leg, what)) = asked {
            self.requests.push((id, leg, what.clone()));
            if let Some(call) = self.calls.get_mut(&id) {
                call.asked.push((leg, what));
            }
        }
        if let Some(leg) = released.filter(|_| self.prompt_release) {
            let now = self.now;
            if let Some(call) = self.calls.get_mut(&id) {
                let step = call.machine.handle(Input::Leg(leg, LegFact::Released), now);
                self.apply(id, step);
            }
        }
    }

    fn take_out(&mut self, out: Vec<Output>) {
        for output in out {
            match output {
                Output::Agent(id, change) => self.agent_log.push((id, *change)),
                Output::Queue(fact) => self.queue_log.push(fact),
                Output::Alert(id, alert) => self.alerts.push((id, alert)),
                Output::Offer(offer) => {
                    self.offers.push(offer.clone());
                    self.open_callback(offer.conversation);
                    let plan = Office::plan(offer.ticket, offer.agent, Part::Queue);
                    let command = CentreCommand::Offer(plan, offer.queue);
                    self.mail.push_back(Letter::Call(offer.conversation, command));
                }
                Output::End {
                    conversation,
                    ticket,
                    cause,
                } => {
                    let command = CentreCommand::End { ticket, cause };
                    self.mail.push_back(Letter::Call(conversation, command));
                }
                Output::Overflow {
                    conversation, why, to, ..
                } => {
                    let to = match to {
                        Overflow::End => None,
                        Overflow::Queue(q) => Some(Whom::Queue(q)),
                        Overflow::Number(n) => Some(Whom::Party(PartyPlan {
                            text: n.as_str().to_owned(),
                            target: Target::Number(n),
                            cli: None,
                        })),
                    };
                    let command = CentreCommand::Overflow { why, to };
                    self.mail.push_back(Letter::Call(conversation, command));
                }
                Output::Callback(kept) => {
                    self.callbacks.insert(kept.id, *kept);
                }
                Output::CallbackDue(id) => self.mail.push_back(Letter::Place(id)),
                Output::OfferCallback { conversation, queue } => self.offer_callback(conversation, queue),
                Output::Announce { .. }
                | Output::Kicked(..)
                | Output::Decided(_)
                | Output::Chat(_)
                | Output::ChatEnded(_) => {}
            }
        }
    }

    /// The next moment at which anything is due.
    pub fn next_deadline(&self) -> Option<Stamp> {
        let call = self.dues.first().map(|(at, _)| *at);
        call.into_iter().chain(self.acd.next_deadline()).min()
    }

    pub fn tick(&mut self) {
        let now = self.now;
        let due: Vec<ConversationId> = self
            .dues
            .iter()
            .take_while(|(at, _)| *at <= now)
            .map(|(_, id)| *id)
            .collect();
        for id in due {
            self.input(id, Input::Tick);
        }
        if self.acd.next_deadline().is_some_and(|at| at <= now) {
            self.tell_acd(acd::Input::Tick);
        }
    }

    /// The process dies: every call is closed as recovery closes it, and the agents go on from what was kept.
    pub fn crash(&mut self) {
        let kept: Vec<(AgentId, agent::Kept)> = self.acd.agents().map(|(c, m)| (c.id, m.keep())).collect();
        for (_, mut call) in std::mem::take(&mut self.calls) {
            let step = call.machine.handle(Input::SystemEnd, self.now);
            call.log.extend(step.events);
            for leg in 0..call.machine.record().legs.len() {
                let step = call
                    .machine
                    .handle(Input::Leg(LegSeq(leg as u16), LegFact::Released), self.now);
                call.log.extend(step.events);
            }
            self.ended.push((call.machine.record().clone(), call.log));
        }
        self.dues.clear();
        self.requests.clear();
        self.mail.clear();
        self.acd = Acd::new(1_000_000_000 + self.now.0.unsigned_abs());
        self.tell_acd(acd::Input::Configure(Box::new(self.setup.clone())));
        for (id, kept) in kept {
            self.tell_acd(acd::Input::Restore(id, Box::new(kept)));
        }
        for kept in self.callbacks.clone().into_values() {
            let out = self.acd.restore_callback(kept, self.now);
            self.carry_out(out);
        }
    }

    pub fn pass(&mut self, secs: u64) {
        let end = self.now.plus_secs(secs);
        while let Some(at) = self.next_deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.tick();
        }
        self.now = end;
    }
}

/// An agent in a talk with a customer that came from the queue; the call, the agent's leg.
pub fn talking(office: &mut Office, n: u128) -> (ConversationId, u16) {
    let id = office.call_in(Q_SALES);
    let leg = office.leg_of(id, n);
    office.ring_and_answer(id, leg);
    assert_eq!(office.state(n), State::TalkIn);
    (id, leg)
}

/// Everything that a finished call must be.
pub fn sound(record: &ConversationRecord, log: &[Event]) {
    let id = record.id;
    assert_eq!(log.iter().filter(|e| e.fact == Fact::Ended).count(), 1, "{id}: one end");
    let folded = ConversationRecord::fold(log).unwrap().unwrap();
    assert_eq!(&folded, record, "{id}: the record is the fold of its facts");
    for leg in &record.legs {
        assert!(
            leg.end.is_some() && leg.stop.is_some(),
            "{id}: leg {} has an end",
            leg.seq
        );
        let stages = [Some(leg.start), leg.ring, leg.answer, leg.bridge, leg.stop];
        let present: Vec<Stamp> = stages.into_iter().flatten().collect();
        assert!(present.windows(2).all(|w| w[0] <= w[1]), "{id}: {present:?}");
    }
    for part in &record.parts {
        assert!(part.outcome.is_some(), "{id}: every part has one outcome");
        if let (Some(a), Some(l)) = (part.accepted, part.left) {
            assert_eq!(
                part.talk_seconds() + part.hold_seconds(),
                l.secs() - a.secs(),
                "{id}: I7"
            );
        } else {
            assert_eq!(part.talk_seconds(), 0);
        }
    }
    assert!(
        record.queues.iter().all(|q| q.left.is_some()),
        "{id}: no stay without an end"
    );
}

pub fn role(record: &ConversationRecord, leg: u16) -> Role {
    record.legs[usize::from(leg)].role
}

pub fn leg_state(office: &Office, id: ConversationId, leg: u16) -> Option<LegState> {
    office.calls.get(&id)?.machine.leg_state(LegSeq(leg))
}

/// How an agent saw its part in a call.
pub fn looks(record: &ConversationRecord, log: &[Event], part: u16) -> Vec<Engagement> {
    let _ = record;
    let of = |e: &Event| match e.fact {
        Fact::PartEngaged { part: p, engagement } if p == part => Some(engagement),
        _ => None,
    };
    log.iter().filter_map(of).collect()
}

pub fn settings() -> CentreSettings {
    CentreSettings {
        wrap_up: WrapUp::Seconds(15),
        ..CentreSettings::default()
    }
}

pub fn office_of(settings: CentreSettings, signed_in: u128) -> Office {
    let agents = (1..=4).map(|n| agent(n, &[(SALES, 5), (CARE, 5)])).collect();
    let mut office = Office::new(settings, agents, vec![queue(Q_SALES, SALES), queue(Q_CARE, CARE)]);
    for n in 1..=signed_in {
        office.sign_in(n);
    }
    office
}

pub fn office_with(signed_in: u128) -> Office {
    office_of(settings(), signed_in)
}

pub fn finish(office: &mut Office, id: ConversationId) {
    office.pass(120);
    assert!(office.is_over(id));
    let (record, log) = office.ended.iter().find(|(r, _)| r.id == id).unwrap();
    sound(record, log);
}

/// An agent that talks to a customer and asks a colleague, who has answered: the call, the legs of agent and colleague.
pub fn consulting(office: &mut Office) -> (ConversationId, u16, u16) {
    let (id, leg, third) = consult_dialing(office);
    office.ring_and_answer(id, third);
    assert_eq!(office.state(1), State::Consulting);
    assert_eq!(office.state(2), State::TalkConsulted);
    (id, leg, third)
}

pub fn consult_dialing(office: &mut Office) -> (ConversationId, u16, u16) {
    let (id, leg) = talking(office, 1);
    let whom = office.colleague(2, Part::Consult, id).unwrap();
    assert!(office.verb(1, Verb::Consult, |t| CentreCommand::Consult(t, whom)));
    assert_eq!(office.state(1), State::ConsultDialing);
    let third = office.leg_of(id, 2);
    (id, leg, third)
}
