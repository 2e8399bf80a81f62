//! The distributor of one tenant: its agents, its queues, and which call is offered to whom (domain-model §10).
//!
//! Calling contract: one owner feeds [`Acd::handle`] one input at a time and carries the outputs out in order;
//! [`Acd::next_deadline`] says when [`Input::Tick`] is due. An offer is a reservation with a [`Ticket`]: the agent's machine
//! lets one be open at a time, so no agent is ever offered two calls (I1), and whatever a call says with an older ticket is
//! about nothing.
//!
//! A call that waits keeps its place by (front, priority, first enqueue time), which no offer changes: an offer that fails
//! puts it back where it was (I17).
//!
//! Cost: an agent that becomes free looks at the head of each priority of its queues; a call that arrives looks at the
//! free agents of one group in the order of its queue's strategy, from the level that it demands up. Neither looks at all
//! calls or all agents, and a call that ends finds its participations by itself. What looks at all are a change of the
//! configuration and the audit. `make bench ARGS=routing` measures it.

mod callbacks;
mod chats;
mod held;
mod io;
mod line;
#[cfg(test)]
mod random;
mod ranks;
mod router;
#[cfg(test)]
mod tests;
mod trace;

pub use callbacks::{
    AskCallback, CALLBACK_ATTEMPTS, CALLBACK_PAUSE_SECS, Callback, CallbackRefusal, CallbackState, MAX_CALLBACKS,
};
pub use chats::ChatLoad;
pub use io::{Board, Enqueue, Input, Left, Offer, Output, QueueFact, Queued};
pub use line::Estimate;
pub use trace::{Decision, Passed, Verdict};

use super::agent::{self, Agent as Machine, Fact, Part, Refusal, Ticket, Verb};
use super::resource::{Agent, CentreSettings, Queue, Strategy};
use crate::id::{AgentId, ApplicationId, ConversationId, GroupId, QueueId};
use crate::time::Stamp;
use held::{AllHeld, Held};
use line::{Call, Line};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Everything about a tenant's contact centre that is configured.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Setup {
    /// Settings of the applications.
    pub applications: Vec<(ApplicationId, CentreSettings)>,
    /// All agents in service.
    pub agents: Vec<Agent>,
    /// All queues.
    pub queues: Vec<Queue>,
}

/// An agent with what is kept beside its machine.
#[derive(Clone, Debug)]
struct Post {
    config: Agent,
    machine: Machine,
    /// Where it stands among the free agents of its queues, and its level there.
    keys: Vec<(QueueId, u8, line::Key)>,
    /// Its levels in the groups that it serves, as counted among those on duty.
    counted: Vec<(GroupId, u8)>,
    wake: Option<Stamp>,
    offered_at: Stamp,
    calls: u32,
    chats: chats::Load,
}

/// Why a moment is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wake {
    Agent(AgentId),
    MaxWait(ConversationId),
    Announce(ConversationId),
    Again(QueueId),
    OfferCallback(ConversationId),
    Callback(crate::id::CallbackId),
    Chat(ConversationId),
    ChatsAgain(QueueId),
}

/// The most callers whose last agent is remembered.
const REMEMBERED: usize = 200_000;

/// The distributor of a tenant.
#[derive(Clone, Debug, Default)]
pub struct Acd {
    settings: HashMap<ApplicationId, CentreSettings>,
    agents: HashMap<AgentId, Post>,
    lines: HashMap<QueueId, Line>,
    /// Queues by the group whose agents serve them.
    served: HashMap<GroupId, Vec<QueueId>>,
    /// Agents on duty by group and level.
    on_duty: HashMap<GroupId, [u32; 11]>,
    calls: HashMap<ConversationId, Call>,
    held: AllHeld,
    last_agents: HashMap<(ApplicationId, String), (AgentId, Stamp)>,
    last_order: BTreeMap<(Stamp, u64), (ApplicationId, String)>,
    next_ticket: u64,
    counter: u64,
    wakes: BTreeSet<(Stamp, Wake)>,
    book: chats::Book,
    requests: callbacks::Requests,
    out: Vec<Output>,
}

impl Acd {
    /// A distributor without agents and queues. `first_ticket` is above every ticket of an earlier process.
    pub fn new(first_ticket: u64) -> Acd {
        Acd {
            next_ticket: first_ticket.max(1),
            ..Acd::default()
        }
    }

    /// When [`Input::Tick`] is due.
    pub fn next_deadline(&self) -> Option<Stamp> {
        self.wakes.first().map(|(at, _)| *at)
    }

    /// An agent's machine.
    pub fn agent(&self, id: AgentId) -> Option<&Machine> {
        self.agents.get(&id).map(|p| &p.machine)
    }

    /// An agent as configured.
    pub fn config(&self, id: AgentId) -> Option<&Agent> {
        self.agents.get(&id).map(|p| &p.config)
    }

    /// All agents.
    pub fn agents(&self) -> impl Iterator<Item = (&Agent, &Machine)> {
        self.agents.values().map(|p| (&p.config, &p.machine))
    }

    /// A queue as configured.
    pub fn queue(&self, id: QueueId) -> Option<&Queue> {
        self.lines.get(&id).map(|l| &l.config)
    }

    /// The settings of an application.
    pub fn settings(&self, id: ApplicationId) -> CentreSettings {
        self.settings.get(&id).copied().unwrap_or_default()
    }

    /// Whose participation a ticket is, and in which call.
    pub fn holder(&self, ticket: Ticket) -> Option<(AgentId, ConversationId)> {
        self.held.get(ticket).map(|h| (h.agent, h.conversation))
    }

    /// The conversations that it knows of: calls that wait, and those that agents take part in. One may come twice.
    pub fn conversations(&self) -> impl Iterator<Item = ConversationId> {
        self.calls.keys().copied().chain(self.held.conversations())
    }

    /// The participation that an agent has open.
    pub fn engaged(&self, agent: AgentId) -> Option<(Ticket, Part, ConversationId)> {
        let (ticket, part) = self.agents.get(&agent)?.machine.ticket()?;
        self.held.get(ticket).map(|h| (ticket, part, h.conversation))
    }

    /// True if what `verb` asks would be accepted of this agent now.
    ///
    /// # Errors
    /// Why not; `None` for an unknown agent.
    pub fn check(&self, agent: AgentId, verb: Verb) -> Result<(), Option<Refusal>> {
        let post = self.agents.get(&agent).ok_or(None)?;
        post.machine.check(verb).map_err(Some)
    }

    /// The queue that a call waits in.
    pub fn waits_in(&self, conversation: ConversationId) -> Option<QueueId> {
        self.calls.get(&conversation).map(|c| c.queue)
    }

    /// The boards of all queues.
    pub fn boards(&self) -> impl Iterator<Item = Board> {
        self.lines.values().map(|l| self.board(l))
    }

    /// The board of one queue.
    pub fn board_of(&self, queue: QueueId) -> Option<Board> {
        self.lines.get(&queue).map(|l| self.board(l))
    }

    fn board(&self, line: &Line) -> Board {
        let levels = self.on_duty.get(&line.config.group);
        Board {
            queue: line.config.id,
            waiting: line.len() as u32,
            offered: line.offered,
            oldest: line.oldest(),
            on_duty: levels.map_or(0, |l| l.iter().sum()),
            free: line.free.len() as u32,
            callbacks: self.requests.count(line.config.id),
        }
    }

    /// Place of a waiting call, from 1, and the wait that is left if there is something to judge by.
    pub fn estimate(&self, conversation: ConversationId) -> Option<Estimate> {
        let call = self.calls.get(&conversation)?;
        self.lines.get(&call.queue)?.estimate(call)
    }

    /// Opens a participation that no queue asked for: a direct call, a consultation, a call of the agent's own, a
    /// monitoring. The conversation may not exist yet.
    ///
    /// # Errors
    /// Why the agent cannot have it; `None` for an unknown agent.
    pub fn begin(
        &mut self,
        agent: AgentId,
        part: Part,
        conversation: ConversationId,
        ring_secs: u32,
        now: Stamp,
    ) -> (Result<Ticket, Option<Refusal>>, Vec<Output>) {
        let ticket = Ticket(self.next_ticket);
        let result = self.begin_at(agent, part, conversation, None, ticket, ring_secs, now);
        self.settle_chats(now);
        (result.map(|()| ticket), std::mem::take(&mut self.out))
    }

    #[allow(clippy::too_many_arguments, reason = "all of them name the one reservation")]
    fn begin_at(
        &mut self,
        agent: AgentId,
        part: Part,
        conversation: ConversationId,
        queue: Option<QueueId>,
        ticket: Ticket,
        ring_secs: u32,
        now: Stamp,
    ) -> Result<(), Option<Refusal>> {
        let post = self.agents.get(&agent).ok_or(None)?;
        if part.is_offer() && self.chats_bar_calls(post) {
            return Err(Some(Refusal::NotOfferable));
        }
        let post = self.agents.get_mut(&agent).ok_or(None)?;
        let input = agent::Input::Begin {
            ticket,
            part,
            ring_secs,
        };
        let changed = post.machine.handle(input, now).map_err(Some)?;
        self.next_ticket = self.next_ticket.max(ticket.0 + 1);
        self.held.insert(
            ticket,
            Held {
                agent,
                conversation,
                queue,
                at: now,
            },
        );
        self.take_in(agent, changed, now);
        Ok(())
    }

    /// Takes one input.
    ///
    /// # Errors
    /// Why an agent's wish is refused; nothing has changed then. Other inputs are never refused.
    pub fn handle(&mut self, input: Input, now: Stamp) -> Result<Vec<Output>, Refusal> {
        match input {
            Input::Configure(setup) => self.configure(*setup, now),
            Input::Restore(id, kept) => {
                if let Some(post) = self.agents.get_mut(&id) {
                    let changed = post.machine.restore(*kept, now);
                    self.take_in(id, changed, now);
                }
            }
            Input::Agent(id, input) => {
                if let Some(post) = self.agents.get_mut(&id) {
                    let changed = post.machine.handle(input, now)?;
                    self.take_in(id, changed, now);
                }
            }
            Input::Enqueue(call) => self.enqueue(call, now),
            Input::Leave(conversation) => self.leave(conversation, Left::Abandoned, now),
            Input::Fact(ticket, fact) => self.fact(ticket, fact, now),
            Input::Gone(conversation) => self.gone(conversation, now),
            Input::Audit(running) => self.audit(&running, now),
            Input::Tick => self.tick(now),
        }
        self.settle_chats(now);
        Ok(std::mem::take(&mut self.out))
    }

    // --- configuration -------------------------------------------------------------------------------------------

    fn configure(&mut self, setup: Setup, now: Stamp) {
        self.settings = setup.applications.into_iter().collect();
        let kept: HashSet<QueueId> = setup.queues.iter().map(|q| q.id).collect();
        let closed: Vec<QueueId> = self.lines.keys().copied().filter(|q| !kept.contains(q)).collect();
        for queue in closed {
            self.close(queue, now);
        }
        self.configure_chats(&setup.queues, now);
        self.served.clear();
        for queue in setup.queues {
            self.served.entry(queue.group).or_default().push(queue.id);
            match self.lines.get_mut(&queue.id) {
                Some(line) => line.config = queue,
                None => {
                    self.lines.insert(queue.id, Line::new(queue));
                }
            }
        }
        let present: HashSet<AgentId> = setup.agents.iter().map(|a| a.id).collect();
        let removed: Vec<AgentId> = self.agents.keys().copied().filter(|a| !present.contains(a)).collect();
        for id in removed {
            self.remove(id, now);
        }
        let mut changed: Vec<AgentId> = Vec::new();
        for config in setup.agents {
            let settings = self.settings(config.application);
            let wrap_up = config.wrap_up.unwrap_or(settings.wrap_up);
            let skills: Vec<GroupId> = config.skills.iter().map(|s| s.group).collect();
            changed.push(config.id);
            match self.agents.get_mut(&config.id) {
                Some(post) => {
                    post.machine.configure(settings, wrap_up, skills);
                    post.config = config;
                }
                None => {
                    let machine = Machine::new(settings, wrap_up, skills, now);
                    self.agents.insert(
                        config.id,
                        Post {
                            config,
                            machine,
                            keys: Vec::new(),
                            counted: Vec::new(),
                            wake: None,
                            offered_at: Stamp(0),
                            calls: 0,
                            chats: chats::Load::default(),
                        },
                    );
                }
            }
        }
        for id in changed {
            self.index(id, now);
            self.book.touched.insert(id);
        }
        let queues: Vec<QueueId> = self.lines.keys().copied().collect();
        for queue in queues {
            self.route(queue, now);
        }
    }

    fn close(&mut self, queue: QueueId, now: Stamp) {
        self.close_callbacks(queue, now);
        let waiting: Vec<ConversationId> = self
            .calls
            .iter()
            .filter(|(_, c)| c.queue == queue)
            .map(|(id, _)| *id)
            .collect();
        for conversation in waiting {
            self.overflow(conversation, Left::Closed, now);
        }
        for post in self.agents.values_mut() {
            post.keys.retain(|(q, _, _)| *q != queue);
        }
        self.lines.remove(&queue);
    }

    fn remove(&mut self, id: AgentId, now: Stamp) {
        if let Some(post) = self.agents.get_mut(&id)
            && let Ok(changed) = post.machine.handle(agent::Input::Reset, now)
        {
            self.take_in(id, changed, now);
        }
        self.forget_chats_of(id, now);
        let Some(post) = self.agents.get_mut(&id) else { return };
        // A machine that is gone cannot be told that its participation has ended.
        for (queue, level, key) in std::mem::take(&mut post.keys) {
            if let Some(line) = self.lines.get_mut(&queue) {
                line.free.remove(level, &key);
            }
        }
        self.count(id, &[]);
        if let Some(post) = self.agents.remove(&id)
            && let Some(at) = post.wake
        {
            self.wakes.remove(&(at, Wake::Agent(id)));
        }
        for (ticket, _) in self.held.find(|h| h.agent == id) {
            self.held.remove(ticket);
        }
    }

    // --- agents --------------------------------------------------------------------------------------------------

    /// Passes on what an agent's machine said, and lets the queues know.
    fn take_in(&mut self, id: AgentId, changed: Vec<agent::Output>, now: Stamp) {
        for output in changed {
            match output {
                agent::Output::Changed(change) => self.out.push(Output::Agent(id, change)),
                agent::Output::Unanswered { ticket, why } => self.unanswered(ticket, why, now),
                agent::Output::End { ticket, cause } => {
                    if let Some(h) = self.held.get(ticket) {
                        let conversation = h.conversation;
                        self.out.push(Output::End {
                            conversation,
                            ticket,
                            cause,
                        });
                    }
                }
                agent::Output::Kicked(client) => self.out.push(Output::Kicked(id, client)),
                agent::Output::Alert(alert) => self.out.push(Output::Alert(id, alert)),
            }
        }
        self.index(id, now);
        self.book.touched.insert(id);
        let free = self.agents.get(&id).is_some_and(|p| p.machine.is_offerable());
        if free {
            self.match_agent(id, now);
        }
    }

    /// Brings what is kept about an agent beside its machine up to date.
    fn index(&mut self, id: AgentId, now: Stamp) {
        let Some(post) = self.agents.get(&id) else { return };
        let barred = self.chats_bar_calls(post);
        let Some(post) = self.agents.get_mut(&id) else { return };
        let due = post.machine.next_deadline();
        if post.wake != due {
            if let Some(at) = post.wake {
                self.wakes.remove(&(at, Wake::Agent(id)));
            }
            if let Some(at) = due {
                self.wakes.insert((at, Wake::Agent(id)));
            }
            post.wake = due;
        }
        // A participation whose machine has let it go is over.
        let duty: Vec<(GroupId, u8)> = if post.machine.is_on_duty() {
            let served = post.machine.groups().iter();
            served.filter_map(|g| Some((*g, post.config.level(*g)?))).collect()
        } else {
            Vec::new()
        };
        let mut keys = Vec::new();
        if post.machine.is_offerable() && !barred {
            for (group, level) in &duty {
                for queue in self.served.get(group).into_iter().flatten() {
                    let Some(line) = self.lines.get(queue) else { continue };
                    keys.push((*queue, *level, line::key(&line.config, post, *level)));
                }
            }
        }
        if keys != post.keys {
            let old = std::mem::replace(&mut post.keys, keys.clone());
            for (queue, level, key) in old {
                if let Some(line) = self.lines.get_mut(&queue) {
                    line.free.remove(level, &key);
                }
            }
            for (queue, level, key) in keys {
                if let Some(line) = self.lines.get_mut(&queue) {
                    line.free.insert(level, key);
                }
            }
        }
        let emptied = self.count(id, &duty);
        for group in emptied {
            self.unstaffed(group, now);
        }
    }

    /// Counts an agent on duty in these groups and no others; gives the groups that nobody serves any more.
    fn count(&mut self, id: AgentId, duty: &[(GroupId, u8)]) -> Vec<GroupId> {
        let Some(post) = self.agents.get_mut(&id) else {
            return Vec::new();
        };
        if post.counted == duty {
            return Vec::new();
        }
        let old = std::mem::replace(&mut post.counted, duty.to_vec());
        for (group, level) in duty {
            self.on_duty.entry(*group).or_default()[usize::from((*level).min(10))] += 1;
        }
        let mut emptied = Vec::new();
        for (group, level) in old {
            if let Some(levels) = self.on_duty.get_mut(&group) {
                let n = &mut levels[usize::from(level.min(10))];
                *n = n.saturating_sub(1);
                if levels.iter().all(|n| *n == 0) {
                    emptied.push(group);
                }
            }
        }
        emptied
    }

    fn unstaffed(&mut self, group: GroupId, now: Stamp) {
        for queue in self.served.get(&group).cloned().unwrap_or_default() {
            self.book.stale.insert(queue);
            let Some(line) = self.lines.get(&queue) else { continue };
            if !line.config.overflow_unstaffed {
                continue;
            }
            for conversation in line.in_order() {
                // Who is called back loses nothing by waiting.
                if self.calls.get(&conversation).is_some_and(|c| c.callback) {
                    continue;
                }
                self.overflow(conversation, Left::Unstaffed, now);
            }
        }
    }

    // --- participations ------------------------------------------------------------------------------------------

    fn fact(&mut self, ticket: Ticket, fact: Fact, now: Stamp) {
        let Some(held) = self.held.get(ticket).copied() else {
            return;
        };
        let Some(post) = self.agents.get_mut(&held.agent) else {
            self.held.remove(ticket);
            return;
        };
        if held.queue.is_some()
            && let Fact::Engaged(e) = fact
            && (e == agent::Engagement::Answering || e.is_talk())
            && post.machine.ticket().is_some_and(|(t, _)| t == ticket)
        {
            self.answered(ticket, held, now);
        }
        if matches!(fact, Fact::Engaged(e) if e.is_talk()) {
            self.callback_reached(held.conversation, now);
        }
        let Some(post) = self.agents.get_mut(&held.agent) else {
            return;
        };
        if let Ok(changed) = post.machine.handle(agent::Input::Call(ticket, fact), now) {
            self.take_in(held.agent, changed, now);
        }
        // A participation that its machine has let go is over. An offer that ended otherwise than by an answer or a
        // refusal leaves its call waiting, until the call says that it is gone.
        let open = self.agents.get(&held.agent).and_then(|p| p.machine.ticket());
        if fact == Fact::Ended || open.is_none_or(|(t, _)| t != ticket) {
            self.held.remove(ticket);
            self.back_to_queue(ticket, held.conversation, now);
        }
    }

    fn gone(&mut self, conversation: ConversationId, now: Stamp) {
        self.leave(conversation, Left::Abandoned, now);
        for ticket in self.held.of(conversation) {
            self.fact(ticket, Fact::Ended, now);
        }
        self.callback_failed(conversation, now);
    }

    /// Finds what does not follow from the conversations that run, repairs it, and says so.
    fn audit(&mut self, running: &HashSet<ConversationId>, now: Stamp) {
        // What was begun a moment ago may not run yet.
        let settled = |at: Stamp| now.ms_since(at) > 10_000;
        let lost = self.held.find(|h| !running.contains(&h.conversation) && settled(h.at));
        for (ticket, held) in lost {
            let open = self.engaged(held.agent).is_some_and(|(t, _, _)| t == ticket);
            self.fact(ticket, Fact::Ended, now);
            if open {
                self.out.push(Output::Alert(held.agent, agent::Alert::Repaired));
            }
        }
        let stale: Vec<ConversationId> = self
            .calls
            .iter()
            .filter(|(id, c)| !running.contains(id) && settled(c.entered) && !c.callback)
            .map(|(id, _)| *id)
            .collect();
        for conversation in stale {
            self.leave(conversation, Left::Abandoned, now);
        }
        for conversation in self.lost_attempts(|id, at| !running.contains(&id) && settled(at)) {
            self.gone(conversation, now);
        }
    }

    fn tick(&mut self, now: Stamp) {
        while let Some((at, wake)) = self.wakes.first().copied() {
            if at > now {
                return;
            }
            self.wakes.pop_first();
            match wake {
                Wake::Agent(id) => {
                    let Some(post) = self.agents.get_mut(&id) else { continue };
                    post.wake = None;
                    if let Ok(changed) = post.machine.handle(agent::Input::Tick, now) {
                        self.take_in(id, changed, now);
                    }
                }
                Wake::MaxWait(conversation) => self.waited_too_long(conversation, now),
                Wake::Announce(conversation) => self.announce(conversation, now),
                Wake::OfferCallback(conversation) => self.offer_callback(conversation, now),
                Wake::Callback(id) => self.callback_due(id, now),
                Wake::Chat(id) => self.chat_due(id, now),
                Wake::ChatsAgain(queue) => self.route_chats_again(queue),
                Wake::Again(queue) => {
                    if let Some(line) = self.lines.get_mut(&queue) {
                        line.again = None;
                    }
                    self.route(queue, now);
                }
            }
        }
    }
}
