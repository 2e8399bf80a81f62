//! Contact centres at work: one task a tenant owns its agents and queues, and talks to the owners of calls by letters.
//!
//! ```text
//!   faces ── commands ──►┌──────┐── offers, ends ──► owners of calls
//!                        │ desk │◄── queues, what became of parts
//!   agent_log ◄─ writer ─└──────┘
//! ```
//!
//! Invariant: what a client is told about an agent is written before it is told. What a call does to an agent does not
//! wait for a disk; it is written in order, and a restarted process goes on from what was written last.

mod callbacks;
mod desk;
mod late;
mod presence;
mod view;
mod writer;

pub(crate) use desk::music_of;
pub use view::{AgentView, CentreEvent, QueueView, Snapshot};

use crate::calls::CallError;
use crate::switch::{Switch, SwitchCalls};
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use strowger_core::call::Note;
use strowger_core::centre::acd::{CallbackRefusal, Decision};
use strowger_core::centre::agent::{self, Fact, Part, Refusal, Ticket};
use strowger_core::chat;
use strowger_core::ivr::HandOver;
use strowger_core::ivr::io::{Listening, Outgoing, Utterance};
use strowger_core::route::display::NoNumber;
use strowger_core::{AgentId, ApplicationId, CallbackId, ConversationId, Number, QueueId, Stamp, TenantId};
use tokio::sync::{broadcast, mpsc, oneshot};

/// Letters that a tenant's desk may have waiting. A busy centre has some thousand a second; more than this at once means
/// that the event loop stands still. What does not fit is lost, and the auditor repairs what came of it.
const CAPACITY: usize = 65_536;
/// Changes that a slow listener may be behind before it is cut off.
const LISTENERS: usize = 8_192;

/// What a call tells the desk.
#[derive(Debug)]
pub enum ToCentre {
    /// It waits for an agent.
    Enqueue {
        /// In which queue.
        queue: QueueId,
        /// Its priority in place of the queue's.
        priority: Option<u8>,
        /// When it first entered a queue.
        since: Stamp,
        /// Before all that wait.
        front: bool,
        /// Who is not to have it for a while.
        not: Option<AgentId>,
        /// Who calls.
        caller: String,
    },
    /// It waits no more.
    Leave,
    /// What has become of a participation.
    Fact(Ticket, Fact),
    /// It wants an agent.
    Reserve(AgentId, Part),
    /// Its flow asks the tenant's server.
    Request(Box<Outgoing>),
    /// Its flow has a text spoken.
    Speak(Box<Utterance>),
    /// Its flow listens to the caller.
    Hear(Box<Listening>),
    /// It listens no more.
    StopHearing,
    /// Its caller wants to be called back.
    CallBack {
        /// The application that the queue is of.
        application: ApplicationId,
        /// By name or id.
        queue: String,
        /// Who is to be called, as it was received or written.
        number: String,
        /// When it first entered a queue.
        since: Option<Stamp>,
    },
    /// Its flow hands it over to something that it names, of this application.
    HandOver(ApplicationId, Box<HandOver>),
}

/// Whom an agent means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dialled {
    /// A number as it is dialled.
    Number(String),
    /// The same, showing this number.
    Showing(String, Number),
    /// Another agent.
    Agent(AgentId),
    /// Whoever serves a queue.
    Queue(QueueId),
}

/// What an agent does with its call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Place one.
    Dial(Dialled),
    /// Place one with data of the integrator's, which are in its record.
    DialWith(Dialled, String),
    /// Reject, or hang up.
    HangUp,
    /// The other party on hold.
    Hold,
    /// Back from hold, from a consultation, or without the third party.
    Retrieve,
    /// Hand it over.
    Transfer(Dialled),
    /// Ask somebody.
    Consult(Dialled),
    /// Leave the other party waiting for whoever picks it up.
    Park,
    /// Pick a parked call up.
    PickUp(ConversationId),
    /// Hand it over to who was asked.
    Complete,
    /// Talk to the one who waits.
    Swap,
    /// All three talk.
    Merge,
    /// Not heard, or heard again.
    Mute(bool),
    /// Listen to another agent's call.
    Monitor {
        /// Whose.
        agent: AgentId,
        /// It hears who listens.
        whisper: bool,
    },
    /// Whether the agent that is listened to hears it.
    Whisper(bool),
    /// Join the call that is listened to.
    Barge,
    /// Have it for itself.
    TakeOver,
    /// The same, if this is the call that the agent has; refused if it has another one by now.
    In(ConversationId, Box<Action>),
}

/// Why a desk did not do what was asked. Nothing has changed then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CentreError {
    /// No such agent, queue or call for this tenant.
    #[error("there is no such agent, queue or call")]
    NotFound,
    /// The agent's state, or the one whom it wants, does not allow it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Its call does not allow it.
    #[error(transparent)]
    Call(#[from] CallError),
    /// It has another call than the one that is meant.
    #[error("the agent has another call, or none; look at what it is doing and name the call that it has")]
    OtherCall,
    /// A number that is none.
    #[error("{0} cannot be dialled: give a number such as 13800138000 or +861064386438")]
    Number(&'static str),
    /// The toll rules close the number.
    #[error("the tenant's toll rules close this number; open its prefix first")]
    Forbidden,
    /// The callback does not allow it.
    #[error(transparent)]
    Callback(#[from] CallbackRefusal),
    /// The chat does not allow it.
    #[error(transparent)]
    Chat(#[from] chat::Refusal),
    /// No number can be shown.
    #[error(transparent)]
    Display(#[from] NoNumber),
    /// The platform has more work than it can do.
    #[error("the desk has more work than it can do; retry in a second")]
    Overloaded,
}

impl CentreError {
    /// The stable code of the native API.
    pub const fn code(&self) -> &'static str {
        match self {
            CentreError::NotFound => "centre.not_found",
            CentreError::Refused(_) => "centre.state",
            CentreError::Call(e) => e.code(),
            CentreError::OtherCall => "centre.other_call",
            CentreError::Number(_) => "centre.number",
            CentreError::Forbidden => "centre.forbidden",
            CentreError::Callback(CallbackRefusal::NotFound) => "centre.not_found",
            CentreError::Callback(_) => "centre.callback",
            CentreError::Chat(_) => "centre.chat",
            CentreError::Display(_) => "centre.display",
            CentreError::Overloaded => "centre.overloaded",
        }
    }
}

/// Answer to whoever asked, after what it says is written.
type Reply<T> = oneshot::Sender<Result<T, CentreError>>;

/// A letter to a desk.
pub(crate) enum Letter {
    Agent(AgentId, agent::Input, Option<Reply<()>>),
    Do(AgentId, Action, Reply<Option<ConversationId>>),
    Call(ConversationId, ToCentre),
    Chat(Box<chat::Command>, Reply<chat::Done>),
    Gone(ConversationId),
    Look(oneshot::Sender<Snapshot>),
    LookAt(AgentId, oneshot::Sender<Option<AgentView>>),
    Explain(ConversationId, oneshot::Sender<Option<Decision>>),
    CancelCallback(CallbackId, Reply<()>),
    /// Answered when all that was done before is written.
    Settle(Reply<()>),
}

/// The desks of all tenants.
pub struct Centres {
    desks: Mutex<HashMap<TenantId, mpsc::Sender<Letter>>>,
    events: broadcast::Sender<Arc<CentreEvent>>,
}

impl Default for Centres {
    fn default() -> Self {
        Centres {
            desks: Mutex::default(),
            events: broadcast::Sender::new(LISTENERS),
        }
    }
}

/// A boxed answer, so that faces can hold the desks behind `dyn`.
pub type DeskAnswer<'a, T> = Pin<Box<dyn Future<Output = Result<T, CentreError>> + Send + 'a>>;

/// The desks as the faces see them. Every answer comes after what it says is written.
pub trait Desks: Send + Sync {
    /// An agent, or somebody for it, says what it does outside calls.
    fn agent(&self, tenant: TenantId, agent: AgentId, input: agent::Input) -> DeskAnswer<'_, ()>;

    /// An agent does something with its call; the call's id.
    fn act(&self, tenant: TenantId, agent: AgentId, action: Action) -> DeskAnswer<'_, Option<ConversationId>>;

    /// Agents and queues as they are now.
    fn look(&self, tenant: TenantId) -> DeskAnswer<'_, Snapshot>;

    /// One agent as it is now: a large centre's others are not looked at for that. [`CentreError::NotFound`] for one that is
    /// not at work.
    fn look_at(&self, tenant: TenantId, agent: AgentId) -> DeskAnswer<'_, AgentView> {
        Box::pin(async move {
            let all = self.look(tenant).await?;
            all.agent(agent).cloned().ok_or(CentreError::NotFound)
        })
    }

    /// Writes something down about a call, whether it runs or is over.
    fn note(&self, tenant: TenantId, conversation: ConversationId, note: Note) -> DeskAnswer<'_, ()>;

    /// Why a waiting call is where it is; [`CentreError::NotFound`] for one that does not wait.
    fn explain(&self, tenant: TenantId, conversation: ConversationId) -> DeskAnswer<'_, Decision>;

    /// Takes a customer's request to be called back from its queue.
    fn cancel_callback(&self, tenant: TenantId, request: CallbackId) -> DeskAnswer<'_, ()>;

    /// Somebody wants something of a chat.
    fn chat(&self, tenant: TenantId, command: chat::Command) -> DeskAnswer<'_, chat::Done>;

    /// An id for a new chat.
    fn new_chat(&self) -> ConversationId;
}

impl Desks for SwitchCalls {
    fn agent(&self, tenant: TenantId, agent: AgentId, input: agent::Input) -> DeskAnswer<'_, ()> {
        Box::pin(self.0.agent(tenant, agent, input))
    }

    fn act(&self, tenant: TenantId, agent: AgentId, action: Action) -> DeskAnswer<'_, Option<ConversationId>> {
        Box::pin(self.0.act(tenant, agent, action))
    }

    fn look(&self, tenant: TenantId) -> DeskAnswer<'_, Snapshot> {
        Box::pin(self.0.look(tenant))
    }

    fn look_at(&self, tenant: TenantId, agent: AgentId) -> DeskAnswer<'_, AgentView> {
        Box::pin(self.0.look_at(tenant, agent))
    }

    fn note(&self, tenant: TenantId, conversation: ConversationId, note: Note) -> DeskAnswer<'_, ()> {
        Box::pin(async move { Ok(self.0.note(tenant, conversation, note).await?) })
    }

    fn explain(&self, tenant: TenantId, conversation: ConversationId) -> DeskAnswer<'_, Decision> {
        Box::pin(self.0.explain(tenant, conversation))
    }

    fn cancel_callback(&self, tenant: TenantId, request: CallbackId) -> DeskAnswer<'_, ()> {
        Box::pin(self.0.ask(tenant, move |reply| Letter::CancelCallback(request, reply)))
    }

    fn chat(&self, tenant: TenantId, command: chat::Command) -> DeskAnswer<'_, chat::Done> {
        Box::pin(self.0.chat(tenant, command))
    }

    fn new_chat(&self) -> ConversationId {
        self.0.mint_conversation()
    }
}

impl Switch {
    /// The desk of a tenant, begun if it is not there yet.
    fn desk(self: &Arc<Self>, tenant: TenantId) -> mpsc::Sender<Letter> {
        let mut desks = self.centres.desks.lock().unwrap_or_else(PoisonError::into_inner);
        let begin = || {
            let (tx, rx) = mpsc::channel(CAPACITY);
            let task = desk::run(self.clone(), tenant, rx, tx.clone());
            self.runtime().spawn(task);
            tx
        };
        desks.entry(tenant).or_insert_with(begin).clone()
    }

    /// Begins the desks of all tenants that have agents, whose agents of an earlier process go on at once, and watches the
    /// agents' devices from now on. Once.
    pub fn open_desks(self: &Arc<Self>) {
        let config = self.store().snapshot();
        let mut tenants: Vec<TenantId> = config.centre().agents().map(|a| a.tenant).collect();
        tenants.sort_unstable();
        tenants.dedup();
        for tenant in tenants {
            self.desk(tenant);
        }
        self.runtime().spawn(presence::watch(self.clone()));
    }

    /// Gives a desk a letter of a call.
    pub(crate) fn tell_desk(self: &Arc<Self>, tenant: TenantId, letter: Letter) {
        if self.desk(tenant).try_send(letter).is_err() {
            tracing::error!(%tenant, "a letter of a call to its contact centre was lost");
        }
    }

    async fn ask<T>(
        self: &Arc<Self>,
        tenant: TenantId,
        make: impl FnOnce(Reply<T>) -> Letter,
    ) -> Result<T, CentreError> {
        let (reply, answer) = oneshot::channel();
        let sent = self.desk(tenant).try_send(make(reply));
        sent.map_err(|_| CentreError::Overloaded)?;
        answer.await.unwrap_or(Err(CentreError::Overloaded))
    }

    /// An agent, or somebody for it, says what it does outside calls.
    ///
    /// # Errors
    /// [`CentreError`].
    pub async fn agent(
        self: &Arc<Self>,
        tenant: TenantId,
        agent: AgentId,
        input: agent::Input,
    ) -> Result<(), CentreError> {
        self.ask(tenant, |reply| Letter::Agent(agent, input, Some(reply))).await
    }

    /// An agent does something with its call; the call's id.
    ///
    /// # Errors
    /// [`CentreError`].
    pub async fn act(
        self: &Arc<Self>,
        tenant: TenantId,
        agent: AgentId,
        action: Action,
    ) -> Result<Option<ConversationId>, CentreError> {
        self.ask(tenant, |reply| Letter::Do(agent, action, reply)).await
    }

    /// Somebody wants something of a chat.
    ///
    /// # Errors
    /// [`CentreError`].
    pub async fn chat(self: &Arc<Self>, tenant: TenantId, command: chat::Command) -> Result<chat::Done, CentreError> {
        self.ask(tenant, |reply| Letter::Chat(Box::new(command), reply)).await
    }

    /// Agents and queues as they are now.
    ///
    /// # Errors
    /// [`CentreError::Overloaded`].
    pub async fn look(self: &Arc<Self>, tenant: TenantId) -> Result<Snapshot, CentreError> {
        let (reply, answer) = oneshot::channel();
        let sent = self.desk(tenant).try_send(Letter::Look(reply));
        sent.map_err(|_| CentreError::Overloaded)?;
        answer.await.map_err(|_| CentreError::Overloaded)
    }

    /// One agent as it is now.
    ///
    /// # Errors
    /// [`CentreError::NotFound`] for one that is not at work.
    pub async fn look_at(self: &Arc<Self>, tenant: TenantId, agent: AgentId) -> Result<AgentView, CentreError> {
        let (reply, answer) = oneshot::channel();
        let sent = self.desk(tenant).try_send(Letter::LookAt(agent, reply));
        sent.map_err(|_| CentreError::Overloaded)?;
        let found = answer.await.map_err(|_| CentreError::Overloaded)?;
        found.ok_or(CentreError::NotFound)
    }

    /// Why a waiting call is where it is.
    ///
    /// # Errors
    /// [`CentreError::NotFound`] for a call that does not wait.
    pub async fn explain(
        self: &Arc<Self>,
        tenant: TenantId,
        conversation: ConversationId,
    ) -> Result<Decision, CentreError> {
        let (reply, answer) = oneshot::channel();
        let sent = self.desk(tenant).try_send(Letter::Explain(conversation, reply));
        sent.map_err(|_| CentreError::Overloaded)?;
        let found = answer.await.map_err(|_| CentreError::Overloaded)?;
        found.ok_or(CentreError::NotFound)
    }

    /// Waits until what the desks have done is written.
    pub async fn settle_desks(&self) {
        let desks: Vec<_> = {
            let all = self.centres.desks.lock().unwrap_or_else(PoisonError::into_inner);
            all.values().cloned().collect()
        };
        for desk in desks {
            let (reply, answer) = oneshot::channel();
            if desk.send(Letter::Settle(reply)).await.is_ok() {
                // A desk without a writer has said so itself.
                let _ = answer.await;
            }
        }
    }

    /// What happens at the desks from now on. A listener that is too slow is told how much it missed.
    pub fn centre_events(&self) -> broadcast::Receiver<Arc<CentreEvent>> {
        self.centres.events.subscribe()
    }

    /// Passes a change on to whoever listens.
    pub(crate) fn publish_centre(&self, event: CentreEvent) {
        // Nobody listens: nobody is told.
        let _ = self.centres.events.send(Arc::new(event));
    }
}
