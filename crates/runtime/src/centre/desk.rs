//! A tenant's desk: the pure distributor of the core, bound to the tenant's calls.

mod acts;
mod callbacks;
mod chats;
mod outside;

use super::writer::{self, Job};
use super::{Action, AgentView, CentreError, CentreEvent, Dialled, Letter, QueueView, Reply, Snapshot, ToCentre};
use super::{callbacks as kept, late, presence};
use crate::clock::Clock;
use crate::commit::{Conditions, GATHER, on_beat};
use crate::mailbox::{Mail, Undelivered};
use crate::owner::{Owner, OwnerInput};
use crate::switch::Switch;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use strowger_core::call::centre::{AgentPlan, CentreCommand, CentrePlan, Entry, Whom};
use strowger_core::call::{Command, Note, PartyPlan, Prompt, Target};
use strowger_core::cause::Cause;
use strowger_core::centre::acd::{self, Acd, Enqueue, Output, Setup};
use strowger_core::centre::agent::{self, DeviceMode, Fact, Part, Refusal, State, Ticket, Verb};
use strowger_core::centre::resource::{Agent, CentreSettings, Overflow};
use strowger_core::event::{Created, Kind, RecordMode};
use strowger_core::ivr::HandOver;
use strowger_core::number::CHINA;
use strowger_core::spoken::Language;
use strowger_core::{AgentId, ApplicationId, CallbackId, ConversationId, Number, QueueId, Stamp, TenantId};
use strowger_store::AgentWrite;
use strowger_store::config::Config;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

/// How often what is known of agents is compared with the calls that run.
const AUDIT: Duration = Duration::from_secs(30);
/// Letters that are taken at once before what they changed is handed to the writer.
const AT_ONCE: usize = 256;
/// Lengths of wrap-ups that may wait to be written into records; one more is lost, with a warning.
const LATE: usize = 16_384;

struct Desk {
    switch: Arc<Switch>,
    tenant: TenantId,
    acd: Acd,
    clock: Clock,
    setup: Setup,
    seqs: HashMap<AgentId, u64>,
    job: Job,
    own: mpsc::Sender<Letter>,
    /// The call of each agent that is in one, or was last.
    talks: HashMap<AgentId, ConversationId>,
    /// The call that each agent in wrap-up works for, and since when.
    wrapping: HashMap<AgentId, (ConversationId, Stamp)>,
    late: mpsc::Sender<(ConversationId, Note)>,
    /// What is to be kept of requests to be called back, and who is told of it then.
    callbacks: mpsc::Sender<kept::Work>,
    /// Callers that flows listen to.
    listening: HashMap<ConversationId, AbortHandle>,
}

/// Runs a desk as long as its tenant exists.
pub(super) async fn run(
    switch: Arc<Switch>,
    tenant: TenantId,
    mut letters: mpsc::Receiver<Letter>,
    own: mpsc::Sender<Letter>,
) {
    let clock = Clock::start();
    let mut config = switch.store().watch();
    let (jobs, work) = mpsc::channel(1);
    switch.runtime().spawn(writer::run(switch.clone(), tenant, work));
    let (late, notes) = mpsc::channel(LATE);
    switch.runtime().spawn(late::run(switch.clone(), tenant, notes));
    let (callbacks, work) = mpsc::channel(kept::WAITING);
    switch.runtime().spawn(kept::run(switch.clone(), tenant, work));
    let mut desk = Desk {
        acd: Acd::new(clock.now().0.unsigned_abs() << 20),
        clock,
        setup: Setup::default(),
        seqs: HashMap::new(),
        job: Job::default(),
        listening: HashMap::new(),
        switch,
        tenant,
        own,
        talks: HashMap::new(),
        wrapping: HashMap::new(),
        late,
        callbacks,
    };
    desk.configure();
    desk.restore().await;
    desk.restore_chats().await;
    desk.restore_callbacks().await;
    let mut audit = tokio::time::interval(AUDIT);
    let mut gathers_until = None;
    loop {
        let due = desk.acd.next_deadline().map(|at| desk.clock.instant(at));
        let ready = !desk.job.is_empty();
        if !ready {
            gathers_until = None;
        }
        // A busy agent changes several times a second; together that is one row of its state.
        let written_at = match desk.job.is_urgent() {
            true => tokio::time::Instant::now(),
            false => *gathers_until.get_or_insert_with(|| on_beat(tokio::time::Instant::now() + GATHER)),
        };
        tokio::select! {
            biased;
            // Before any letter: whoever has changed a setting and then asks for something asks it of the new setting.
            changed = config.changed() => {
                if changed.is_err() {
                    return;
                }
                config.mark_unchanged();
                desk.configure();
            }
            letter = letters.recv() => {
                let Some(letter) = letter else { return };
                desk.letter(letter);
                for _ in 0..AT_ONCE {
                    if config.has_changed().unwrap_or(true) {
                        break;
                    }
                    let Ok(letter) = letters.try_recv() else { break };
                    desk.letter(letter);
                }
            }
            () = at(due) => desk.handle(acd::Input::Tick),
            permit = place_at(&jobs, written_at), if ready => {
                let Ok(permit) = permit else { return };
                permit.send(std::mem::take(&mut desk.job));
            }
            _ = audit.tick() => {
                // Other tenants' calls are not looked at.
                let runs = |c: &ConversationId| desk.switch.conversations.has(*c);
                let running = desk.acd.conversations().filter(runs).collect();
                desk.handle(acd::Input::Audit(running));
            }
        }
    }
}

async fn place_at(
    jobs: &mpsc::Sender<Job>,
    at: tokio::time::Instant,
) -> Result<mpsc::Permit<'_, Job>, mpsc::error::SendError<()>> {
    tokio::time::sleep_until(at).await;
    jobs.reserve().await
}

async fn at(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

impl Desk {
    // --- configuration and restart -------------------------------------------------------------------------------

    fn configure(&mut self) {
        let config = self.switch.store().snapshot();
        let setup = setup_of(&config, self.tenant);
        if setup != self.setup {
            self.setup = setup.clone();
            self.handle(acd::Input::Configure(Box::new(setup)));
        }
    }

    /// What an earlier process kept of the agents (60).
    async fn restore(&mut self) {
        match self.switch.store().agent_states(self.tenant).await {
            Ok(states) => {
                for state in states {
                    self.seqs.insert(state.agent, state.seq);
                    self.handle(acd::Input::Restore(state.agent, Box::new(state.kept)));
                }
            }
            Err(error) => {
                tracing::error!(tenant = %self.tenant, "agents begin signed out, what was kept of them cannot be read: {error}");
            }
        }
    }

    fn settings(&self, application: ApplicationId) -> CentreSettings {
        self.acd.settings(application)
    }

    // --- letters -------------------------------------------------------------------------------------------------

    fn letter(&mut self, letter: Letter) {
        match letter {
            Letter::Agent(agent, input, reply) => self.agent(agent, input, reply),
            Letter::Do(agent, action, reply) => self.act(agent, action, reply),
            Letter::Call(conversation, what) => self.call(conversation, what),
            Letter::Chat(command, reply) => self.chat(*command, reply),
            Letter::Settle(reply) => self.job.replies.push(reply),
            Letter::Gone(conversation) => self.handle(acd::Input::Gone(conversation)),
            Letter::Look(reply) => {
                let _ = reply.send(self.look());
            }
            Letter::LookAt(agent, reply) => {
                let found = self.acd.config(agent).zip(self.acd.agent(agent));
                let _ = reply.send(found.map(|(config, machine)| self.view(config, machine)));
            }
            Letter::CancelCallback(request, reply) => self.cancel_callback(request, reply),
            Letter::Explain(conversation, reply) => {
                // A request is explained by the place that it has now.
                let place = self.acd.callback_place(CallbackId(conversation.0));
                let _ = reply.send(self.acd.explain(place.unwrap_or(conversation), self.clock.now()));
            }
        }
    }

    fn agent(&mut self, agent: AgentId, input: agent::Input, reply: Option<Reply<()>>) {
        let known = self.acd.agent(agent).is_some();
        let signs_in = matches!(&input, agent::Input::SignIn { mode, .. } if *mode == DeviceMode::Devices);
        let done = match self.acd.handle(acd::Input::Agent(agent, input), self.clock.now()) {
            _ if !known => Err(CentreError::NotFound),
            Ok(out) => {
                self.carry_out(out);
                if signs_in && self.is_out_of_reach(agent) {
                    self.handle(acd::Input::Agent(agent, agent::Input::DeviceLost));
                }
                Ok(())
            }
            Err(refusal) => Err(refusal.into()),
        };
        match (done, reply) {
            // Told when it is written.
            (Ok(()), Some(reply)) => self.job.replies.push(reply),
            (Err(error), Some(reply)) => drop(reply.send(Err(error))),
            (_, None) => {}
        }
    }

    /// True for an agent with devices of which none can be rung.
    fn is_out_of_reach(&self, agent: AgentId) -> bool {
        let Some(agent) = self.acd.config(agent) else {
            return false;
        };
        let config = self.switch.store().snapshot();
        !agent.devices.is_empty() && !presence::is_reached(&self.switch, &config, agent)
    }

    fn call(&mut self, conversation: ConversationId, what: ToCentre) {
        let input = match what {
            ToCentre::Enqueue {
                queue,
                priority,
                since,
                front,
                not,
                caller,
            } => {
                self.play_music(conversation, queue);
                acd::Input::Enqueue(Enqueue {
                    conversation,
                    queue,
                    caller,
                    priority,
                    since: Some(since),
                    front,
                    not,
                })
            }
            ToCentre::CallBack {
                application,
                queue,
                number,
                since,
            } => return self.call_back(conversation, application, &queue, &number, since),
            ToCentre::Leave => acd::Input::Leave(conversation),
            ToCentre::Fact(ticket, fact) => acd::Input::Fact(ticket, fact),
            ToCentre::Reserve(agent, part) => return self.reserve(conversation, agent, part),
            ToCentre::HandOver(application, to) => return self.hand_over(conversation, application, *to),
            ToCentre::Request(request) => return self.ask_outside(conversation, *request),
            ToCentre::Speak(text) => return self.speak(conversation, *text),
            ToCentre::Hear(listening) => return self.hear(conversation, *listening),
            ToCentre::StopHearing => {
                if let Some(task) = self.listening.remove(&conversation) {
                    task.abort();
                }
                return;
            }
        };
        self.handle(input);
    }

    /// The queue's own music, where it has one.
    fn play_music(&mut self, conversation: ConversationId, queue: QueueId) {
        let config = self.switch.store().snapshot();
        if let (Some(music), Some(of)) = (music_of(&config, queue), self.acd.queue(queue)) {
            self.switch.warm(self.tenant, of.application, std::iter::once(&music));
            self.post(conversation, CentreCommand::Music(queue, music));
        }
    }

    /// A call wants an agent: the answer goes back as a letter.
    fn reserve(&mut self, conversation: ConversationId, agent: AgentId, part: Part) {
        // A telephone that calls while its agent talks asks somebody before it hands the talk over.
        let talks = self
            .acd
            .agent(agent)
            .is_some_and(|a| a.state().is_own_talk() || a.state() == State::Held);
        if part == Part::Own && talks {
            return self.post(conversation, CentreCommand::SecondLine(agent));
        }
        let mut plan = self.begin(agent, part, conversation);
        let off_duty = self.acd.agent(agent).is_some_and(|a| a.state().is_off_duty());
        if plan.is_err() && part == Part::Own && off_duty && self.may_off_duty(agent) {
            plan = self.begin(agent, Part::OffDuty, conversation);
        }
        let answer = plan.map_err(|_| if off_duty { Cause::Unregistered } else { Cause::Busy });
        let answer = match (answer, part) {
            (Err(_), Part::Own) if off_duty => Err(Cause::Forbidden),
            (answer, _) => answer,
        };
        self.post(conversation, CentreCommand::Reserved(answer));
    }

    /// Finds whom a flow means. Its names are those of the call's application; what is not there is told to the flow.
    fn hand_over(&mut self, conversation: ConversationId, application: ApplicationId, to: HandOver) {
        let queue = |text: &str| self.named_queue(application, text);
        let mut priority = None;
        let whom = match to {
            HandOver::Queue {
                queue: text,
                priority: p,
            } => {
                let found = queue(&text);
                priority = found.and_then(|q| self.acd.queue(q)).and_then(|q| q.moved(p));
                found.map(Whom::Queue)
            }
            HandOver::Agent { agent, .. } => {
                let id = agent.parse().ok();
                let mut all = self.setup.agents.iter().filter(|a| a.application == application);
                let found = all.find(|a| a.login == agent || a.extension == agent || Some(a.id) == id);
                found.map(|a| Whom::Colleague(a.id))
            }
            HandOver::Device { device, .. } => {
                let config = self.switch.store().snapshot();
                let by_id = device.parse().ok().and_then(|id| config.device(id));
                let found = by_id
                    .filter(|d| d.device.tenant == self.tenant)
                    .or_else(|| config.device_by_name(self.tenant, &device));
                found.map(|d| {
                    Whom::Party(PartyPlan {
                        target: Target::Device(d.device.id),
                        text: d.device.username.clone(),
                        cli: None,
                    })
                })
            }
            HandOver::Number { number, .. } => self.outside(conversation, application, &number),
            // They have ways of their own.
            HandOver::Callback { .. } | HandOver::Voicemail { .. } => None,
        };
        self.post(conversation, CentreCommand::HandTo { to: whom, priority });
    }

    /// A queue of an application, by name or id.
    fn named_queue(&self, application: ApplicationId, text: &str) -> Option<QueueId> {
        let id = text.parse().ok();
        let mut all = self.setup.queues.iter().filter(|q| q.application == application);
        all.find(|q| q.name == text || Some(q.id) == id).map(|q| q.id)
    }

    /// A party outside that a flow names, by the tenant's toll rules.
    fn outside(&self, conversation: ConversationId, application: ApplicationId, text: &str) -> Option<Whom> {
        let number = Number::parse(text, CHINA).ok()?;
        let config = self.switch.store().snapshot();
        self.switch.permitted(&config, self.tenant, &number).ok()?;
        let target = Target::Number(number.clone());
        self.switch.may_spend(self.tenant, None, &[&target]).ok()?;
        let of = (self.tenant, application);
        let shown = self.switch.display_of_call(of, None, &number, conversation).ok()?;
        Some(Whom::Party(PartyPlan {
            target,
            text: text.to_owned(),
            cli: shown.map(|n| n.as_str().to_owned()),
        }))
    }

    /// The number that a queue overflows to. It is called also when no number can be shown: who waits is not turned away.
    fn overflow_to(&self, conversation: ConversationId, queue: QueueId, number: Number) -> Whom {
        let of = self.acd.queue(queue);
        let shown = of.and_then(|q| {
            let application = (self.tenant, q.application);
            let chosen = self
                .switch
                .display_of_call(application, Some(q.group), &number, conversation);
            chosen.ok().flatten()
        });
        Whom::Party(PartyPlan {
            text: number.as_str().to_owned(),
            target: Target::Number(number),
            cli: shown.map(|n| n.as_str().to_owned()),
        })
    }

    fn may_off_duty(&self, agent: AgentId) -> bool {
        let application = self.acd.config(agent).map(|a| a.application);
        application.is_some_and(|a| self.settings(a).off_duty_calls)
    }

    fn begin(&mut self, agent: AgentId, part: Part, conversation: ConversationId) -> Result<AgentPlan, CentreError> {
        let config = self.acd.config(agent).ok_or(CentreError::NotFound)?;
        let ring_secs = self.settings(config.application).ring_secs;
        let now = self.clock.now();
        let (ticket, out) = self.acd.begin(agent, part, conversation, ring_secs, now);
        self.carry_out(out);
        let ticket = ticket.map_err(|refusal| refusal.map_or(CentreError::NotFound, CentreError::Refused))?;
        self.plan(ticket, agent, part, ring_secs).ok_or(CentreError::NotFound)
    }

    /// The device that the agent has chosen, if it can be rung; all of its devices otherwise.
    fn rung_at(&self, agent: &Agent) -> Target {
        let chosen = self.acd.agent(agent.id).and_then(|m| m.overlays().device);
        let Some(device) = chosen.filter(|d| agent.devices.contains(d)) else {
            return Target::Agent(agent.id);
        };
        let config = self.switch.store().snapshot();
        let alone = Agent {
            devices: vec![device],
            ..agent.clone()
        };
        if presence::is_reached(&self.switch, &config, &alone) {
            Target::Device(device)
        } else {
            Target::Agent(agent.id)
        }
    }

    /// How an agent is rung.
    fn plan(&self, ticket: Ticket, agent: AgentId, part: Part, ring_secs: u32) -> Option<AgentPlan> {
        let config = self.acd.config(agent)?;
        let mobile = self.acd.agent(agent)?.overlays().mode == DeviceMode::Mobile;
        let (target, text) = match &config.mobile {
            Some(number) if mobile => (Target::Number(number.clone()), number.as_str().to_owned()),
            _ => (self.rung_at(config), name_of(config)),
        };
        // Over a trunk a masked number cannot be shown: one of ours is.
        let masked = mobile && self.settings(config.application).mask_numbers;
        let cli = masked.then(|| {
            let all = self.switch.store().snapshot();
            let application = all.application(config.application);
            let own = application.and_then(|a| a.settings.default_cli.clone());
            own.map_or_else(|| "anonymous".to_owned(), |n| n.as_str().to_owned())
        });
        Some(AgentPlan {
            ticket,
            agent,
            part,
            party: PartyPlan { target, text, cli },
            ring_secs,
        })
    }

    // --- what the distributor says -------------------------------------------------------------------------------

    fn handle(&mut self, input: acd::Input) {
        match self.acd.handle(input, self.clock.now()) {
            Ok(out) => self.carry_out(out),
            // Only an agent's wish is refused, and that has its own way.
            Err(refusal) => tracing::debug!(tenant = %self.tenant, "{refusal}"),
        }
    }

    fn carry_out(&mut self, out: Vec<Output>) {
        for output in out {
            match output {
                Output::Agent(agent, change) => self.changed(agent, *change),
                Output::Queue(fact) => {
                    let tenant = self.tenant;
                    let board = self.acd.board_of(fact.queue);
                    self.switch.publish_centre(CentreEvent::Queue { tenant, fact, board });
                }
                Output::Callback(request) => self.keep_callback(kept::Work::Write(request)),
                Output::CallbackDue(request) => self.place_callback(request),
                Output::OfferCallback { conversation, queue } => self.offer_callback(conversation, queue),
                Output::Offer(offer) if !self.is_open_for(offer.conversation) => {}
                Output::Offer(offer) => {
                    let plan = self.plan(offer.ticket, offer.agent, Part::Queue, offer.ring_secs);
                    if let Some(plan) = plan {
                        self.post(offer.conversation, CentreCommand::Offer(plan, offer.queue));
                    }
                }
                Output::End {
                    conversation,
                    ticket,
                    cause,
                } => self.post(conversation, CentreCommand::End { ticket, cause }),
                Output::Overflow {
                    conversation,
                    queue: from,
                    why,
                    to,
                    ..
                } => {
                    let to = match to {
                        Overflow::End => None,
                        Overflow::Queue(queue) => Some(Whom::Queue(queue)),
                        Overflow::Number(number) => Some(self.overflow_to(conversation, from, number)),
                    };
                    self.post(conversation, CentreCommand::Overflow { why, to });
                }
                Output::Alert(agent, alert) => {
                    tracing::warn!(tenant = %self.tenant, %agent, ?alert, "an agent needs a look");
                }
                Output::Decided(decision) => {
                    tracing::debug!(tenant = %self.tenant, conversation = %decision.conversation, chosen = decision.chosen.len(), "routed");
                }
                Output::Kicked(agent, client) => {
                    let tenant = self.tenant;
                    self.switch.publish_centre(CentreEvent::Kicked {
                        tenant,
                        agent,
                        client,
                        at: self.clock.now(),
                    });
                }
                Output::Announce {
                    conversation,
                    place,
                    wait_secs,
                } => {
                    let language = self.language_of(conversation);
                    self.post(
                        conversation,
                        CentreCommand::Announce {
                            place,
                            wait_secs,
                            language,
                        },
                    );
                }
                Output::Chat(fact) => self.chat_fact(*fact),
                Output::ChatEnded(_) => {}
            }
        }
    }

    /// The language of the application whose queue a call waits in.
    fn language_of(&self, conversation: ConversationId) -> Language {
        let queue = self.acd.waits_in(conversation).and_then(|q| self.acd.queue(q));
        let config = self.switch.store().snapshot();
        let application = queue.and_then(|q| config.application(q.application));
        application.map_or(Language::Chinese, |a| a.settings.notices.language)
    }

    /// What belongs to a call whose agent talks, or has talked, and is told to it when its wrap-up is over.
    fn note_wrap_up(&mut self, agent: AgentId, change: &agent::Change) {
        if let (State::WrapUp, Some((conversation, since))) = (change.from, self.wrapping.remove(&agent)) {
            let ms = change.at.ms_since(since);
            let note = Note::WrappedUp { agent, ms };
            if self.late.try_send((conversation, note)).is_err() {
                tracing::warn!(tenant = %self.tenant, %conversation, "the length of a wrap-up is missing in a record");
            }
        }
        if let (State::WrapUp, Some(conversation)) = (change.to, self.talks.remove(&agent)) {
            self.wrapping.insert(agent, (conversation, change.at));
        }
        if let (true, Some((_, _, conversation))) = (change.to.is_engaged(), self.acd.engaged(agent)) {
            self.talks.insert(agent, conversation);
        }
    }

    fn changed(&mut self, agent: AgentId, change: agent::Change) {
        if change.from != change.to {
            self.note_wrap_up(agent, &change);
        }
        let seq = self.seqs.entry(agent).or_default();
        *seq += 1;
        let seq = *seq;
        if let Some(machine) = self.acd.agent(agent) {
            self.job.add(AgentWrite {
                agent,
                seq,
                change: Some(change.clone()),
                kept: machine.keep(),
            });
        }
        self.switch.publish_centre(CentreEvent::Agent {
            tenant: self.tenant,
            agent,
            seq,
            change,
            conversation: self.acd.engaged(agent).map(|(_, _, c)| c),
        });
    }

    /// A letter to the owner of a call. One that has ended is forgotten.
    fn post(&mut self, conversation: ConversationId, command: CentreCommand) {
        let command = Command::Centre(Box::new(command));
        let mail = Mail::input(OwnerInput::Command(command));
        if self.switch.conversations.post(conversation, mail) == Err(Undelivered::Gone) {
            // It learns of that behind the letters that are on their way.
            let _ = self.own.try_send(Letter::Gone(conversation));
        }
    }

    // --- what is shown -------------------------------------------------------------------------------------------

    fn look(&self) -> Snapshot {
        let mut agents: Vec<AgentView> = self.acd.agents().map(|(c, m)| self.view(c, m)).collect();
        agents.sort_unstable_by_key(|a| a.agent);
        let application = |queue| self.acd.queue(queue).map_or(ApplicationId(0), |q| q.application);
        let mut queues: Vec<QueueView> = self
            .acd
            .boards()
            .map(|board| QueueView {
                application: application(board.queue),
                board,
            })
            .collect();
        queues.sort_unstable_by_key(|q| q.board.queue);
        Snapshot { agents, queues }
    }

    fn view(&self, config: &Agent, machine: &agent::Agent) -> AgentView {
        let kept = machine.keep();
        AgentView {
            agent: config.id,
            application: config.application,
            state: machine.state(),
            since: machine.since(),
            reason: machine.reason().to_owned(),
            wrap_up_until: kept.wrap_up_until,
            overlays: machine.overlays().clone(),
            groups: machine.groups().to_vec(),
            conversation: self.acd.engaged(config.id).map(|(_, _, c)| c),
            chats: self.acd.chat_load(config.id),
            allowed: Verb::ALL.into_iter().filter(|v| machine.check(*v).is_ok()).collect(),
            seq: self.seqs.get(&config.id).copied().unwrap_or(0),
        }
    }
}

fn name_of(agent: &Agent) -> String {
    if agent.extension.is_empty() {
        agent.login.clone()
    } else {
        agent.extension.clone()
    }
}

/// A tenant's part of the configuration.
fn setup_of(config: &Config, tenant: TenantId) -> Setup {
    let centre = config.centre();
    let mine = |id: TenantId| id == tenant;
    let mut applications: Vec<(ApplicationId, CentreSettings)> = centre
        .centres()
        .filter(|c| mine(c.tenant))
        .map(|c| (c.application, c.settings))
        .collect();
    applications.sort_unstable_by_key(|a| a.0);
    Setup {
        applications,
        agents: centre
            .agents()
            .filter(|a| mine(a.tenant) && !a.disabled)
            .map(|a| Agent::clone(a))
            .collect(),
        queues: centre
            .queues()
            .filter(|q| mine(q.tenant))
            .map(|q| strowger_core::centre::resource::Queue::clone(q))
            .collect(),
    }
}

/// What a caller hears while it waits in this queue.
pub(crate) fn music_of(config: &Config, queue: QueueId) -> Option<Prompt> {
    let queue = config.centre().queue(queue)?;
    let name = queue.music.clone()?;
    let prompt = config.prompt(queue.tenant, queue.application, &name)?;
    Some(Prompt {
        name,
        millis: u32::try_from(prompt.duration_ms).unwrap_or(u32::MAX),
    })
}
