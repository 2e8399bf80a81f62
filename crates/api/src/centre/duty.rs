//! Agents at work: signing in, what they do outside calls and with them, and the boards.

use super::agents;
use crate::desk::{Desk, Principal};
use crate::error::{Code, Problem};
use crate::events::presence;
use crate::request::{self, Answer, Body, Path, Query};
use crate::time::rfc3339;
use serde::{Deserialize, Serialize};
use strowger_core::centre::agent::{Choice, Client, DeviceMode, Input, Refusal, Verb};
use strowger_core::centre::resource::Agent;
use strowger_core::route::display::NoNumber;
use strowger_core::{ConversationId, DeviceId, LoginId, TenantId};
use strowger_runtime::centre::{Action, AgentView, CentreError, Dialled, QueueView, Snapshot};
use strowger_store::identity::Scope;
use utoipa::ToSchema;

/// What an agent is doing.
#[derive(Serialize, ToSchema)]
#[schema(as = AgentDuty)]
pub(crate) struct View {
    /// Id of the agent.
    agent: String,
    login: String,
    application: String,
    /// `offline`, `connecting`, `signed-out`, `signed-in`, `ready`, `break`, `not-ready`, `reserved`, `ringing`, `answering`,
    /// `dialing`, `talk-in`, `talk-out`, `talk-internal`, `talk-consulted`, `held`, `consult-dialing`, `consulting`,
    /// `consult-swapped`, `consult-retrieving`, `conference`, `monitoring`, `releasing` or `wrap-up`.
    state: &'static str,
    /// Since when (RFC 3339).
    since: String,
    /// Why on break or not ready.
    reason: Option<String>,
    /// When wrap-up ends by itself (RFC 3339); `null` for one that the agent ends.
    wrap_up_until: Option<String>,
    /// Takes no inbound calls although it is ready.
    call_only: bool,
    /// `devices` or `mobile`.
    reached_by: &'static str,
    /// Id of the only device that rings; null for all of its devices.
    device: Option<String>,
    muted: bool,
    /// What begins after the call.
    pending: Option<State>,
    /// The client's connection is cut.
    connection_lost: bool,
    /// No device can be reached.
    device_lost: bool,
    /// Ids of the skill groups that it serves now.
    groups: Vec<String>,
    /// The call that it has.
    conversation: Option<String>,
    /// Chats that it has, that it is offered, and that it may have at once.
    chats: [u32; 3],
    /// Is offered chats when it is ready.
    takes_chats: bool,
    /// What would be accepted now.
    allowed: Vec<&'static str>,
    /// Position of the newest change in the agent's log.
    seq: u64,
}

/// What an agent chooses to do outside calls.
#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = AgentState)]
pub(crate) enum State {
    /// Take calls.
    Ready,
    /// A break.
    Break,
    /// No calls.
    NotReady,
    /// Go off duty.
    SignedOut,
}

impl State {
    fn of(choice: &Choice) -> State {
        match choice {
            Choice::Ready => State::Ready,
            Choice::Break(_) => State::Break,
            Choice::NotReady(_) => State::NotReady,
            Choice::SignOut => State::SignedOut,
        }
    }

    fn choice(self, reason: Option<String>) -> Result<Choice, Problem> {
        let reason = reason.unwrap_or_default();
        if reason.chars().count() > 64 || reason.chars().any(char::is_control) {
            return Err(Problem::parameter(
                "reason",
                "reason has at most 64 printable characters",
            ));
        }
        Ok(match self {
            State::Ready => Choice::Ready,
            State::Break => Choice::Break(reason),
            State::NotReady => Choice::NotReady(reason),
            State::SignedOut => Choice::SignOut,
        })
    }
}

impl View {
    fn of(view: &AgentView, config: &Agent) -> View {
        let o = &view.overlays;
        View {
            agent: view.agent.to_string(),
            login: config.login.clone(),
            application: view.application.to_string(),
            state: view.state.name(),
            since: rfc3339(view.since),
            reason: Some(view.reason.clone()).filter(|r| !r.is_empty()),
            wrap_up_until: view.wrap_up_until.map(rfc3339),
            call_only: o.call_only,
            reached_by: match o.mode {
                DeviceMode::Devices => "devices",
                DeviceMode::Mobile => "mobile",
            },
            device: o.device.map(|d| d.to_string()),
            muted: o.muted,
            pending: o.pending.as_ref().map(State::of),
            connection_lost: o.lost,
            device_lost: o.device_lost,
            groups: view.groups.iter().map(ToString::to_string).collect(),
            conversation: view.conversation.map(|c| c.to_string()),
            chats: view
                .chats
                .map_or([0; 3], |c| [c.open, c.offered, u32::from(c.capacity)]),
            takes_chats: !o.no_chats,
            allowed: view.allowed.iter().map(|v| v.name()).collect(),
            seq: view.seq,
        }
    }
}

/// A queue as it is now.
#[derive(Serialize, ToSchema)]
#[schema(as = QueueBoard)]
pub(crate) struct Board {
    /// Id of the queue.
    queue: String,
    name: String,
    application: String,
    /// Calls that wait.
    waiting: u32,
    /// Calls that ring at an agent.
    offered: u32,
    /// Since when the first of them waits (RFC 3339).
    oldest: Option<String>,
    /// Agents on duty.
    on_duty: u32,
    /// Agents that could be offered a call now.
    free: u32,
    /// Customers that are to be called back; those whose turn may come now wait too, and count there.
    callbacks: u32,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AgentSignIn)]
pub(crate) struct SignIn {
    /// Ids or names of the skill groups that it serves, at most 20; all of its groups without it.
    groups: Option<Vec<String>>,
    /// `devices`, or `mobile` for a telephone that works without a client.
    reached_by: Option<String>,
    /// The one of its devices that rings, by id or name; all of them without it.
    device: Option<String>,
    /// What to do then; the application's setting decides without it.
    state: Option<State>,
    /// Why on break or not ready.
    reason: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AgentChoice)]
pub(crate) struct Choose {
    state: Option<State>,
    /// Why on break or not ready.
    reason: Option<String>,
    /// No inbound calls although it is ready, or all again.
    call_only: Option<bool>,
    /// After-call work without an end of its own.
    after_call: Option<bool>,
    /// The one of its devices that rings from now on, by id or name; empty for all of them.
    device: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AgentForce)]
pub(crate) struct Force {
    /// Absent resets the agent: its calls end, and it is signed out.
    state: Option<State>,
    reason: Option<String>,
    /// Its calls are ended first; otherwise the state begins after them.
    hang_up: Option<bool>,
}

/// Whom an agent calls: exactly one member.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CallTarget)]
pub(crate) struct To {
    /// A number as it is dialled.
    number: Option<String>,
    /// What stands for a number that may not be seen: `token` of the agent's call.
    token: Option<String>,
    /// Id or login of another agent.
    agent: Option<String>,
    /// Id or name of a queue.
    queue: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AgentAction)]
pub(crate) struct Act {
    /// `dial`, `hang-up`, `hold`, `retrieve`, `transfer`, `consult`, `complete`, `swap`, `merge`, `park`, `pick-up`, `mute`, `unmute`,
    /// `monitor`, `whisper`, `listen`, `barge` or `take-over`.
    action: String,
    /// For `dial`, `transfer` and `consult`.
    to: Option<To>,
    /// For calls to numbers: the number that is shown, one of the agent's own or of its groups'; chosen by their pools without it.
    from: Option<String>,
    /// Id or login of the agent to listen to, for `monitor`.
    agent: Option<String>,
    /// Id of the parked call, for `pick-up`. For other actions the call that is meant: if the agent has another one, or none, the
    /// action is refused.
    call: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = AgentActed)]
pub(crate) struct Acted {
    /// The call that it is about.
    conversation: Option<String>,
}

/// Why a call is offered to whom.
#[derive(Serialize, ToSchema)]
#[schema(as = RoutingDecision)]
pub(crate) struct Decision {
    conversation: String,
    queue: String,
    at: String,
    waited_ms: u64,
    /// The lowest level that may have the call now.
    demanded_level: u8,
    /// Who would be offered it now.
    chosen: Vec<Weighed>,
    /// Who would not, at most 32.
    passed: Vec<Weighed>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = RoutingVerdict)]
pub(crate) struct Weighed {
    /// Id of the agent.
    agent: String,
    /// `last-agent`, `first`, `all`, `after`, `busy`, `call-only`, `device-lost`, `level` or `excluded`.
    why: &'static str,
}

impl From<CentreError> for Problem {
    fn from(error: CentreError) -> Problem {
        let text = error.to_string();
        match error {
            CentreError::NotFound => Problem::new(Code::NotFound, text),
            CentreError::Refused(Refusal::Groups | Refusal::NoGroup) => Problem::parameter("groups", text),
            CentreError::Refused(_) => Problem::new(Code::AgentState, text),
            CentreError::Call(error) => error.into(),
            CentreError::OtherCall => Problem::new(Code::CallState, text),
            CentreError::Number(_) => Problem::parameter("to.number", text),
            CentreError::Forbidden => Problem::new(Code::NumberDenied, text),
            CentreError::Display(NoNumber::Foreign | NoNumber::Unbound) => Problem::parameter("from", text),
            CentreError::Display(NoNumber::NamedFull | NoNumber::Full) => Problem::new(Code::CallLimit, text),
            CentreError::Callback(refusal) => super::callbacks::refused(refusal),
            CentreError::Chat(refusal) => super::chats::refused(refusal),
            CentreError::Overloaded => Problem::new(Code::Overloaded, text),
        }
    }
}

/// The agent that a path names, if whoever asks may act for it: its own user, or a supervisor.
pub(super) fn acting(api: &Desk, text: &str) -> Result<Agent, Problem> {
    let agent = agents::find(api, text)?;
    let own = matches!(&api.principal, Principal::User { id, .. } if agent.user == Some(*id));
    if own || api.principal.may(Scope::CentreSupervise) {
        return Ok(agent);
    }
    Err(Problem::new(
        Code::Forbidden,
        "you may act for the agent that is bound to you, and for no other",
    ))
}

/// The client of whoever asks: the same one from request to request.
fn client_of(api: &Desk, agent: &Agent) -> Client {
    match &api.principal {
        Principal::User { login, .. } => presence::client_of(*login),
        _ => presence::client_of(LoginId(agent.id.0)),
    }
}

async fn snapshot(api: &Desk, tenant: TenantId) -> Result<Snapshot, Problem> {
    Ok(api.desks.look(tenant).await?)
}

pub(super) async fn shown(api: &Desk, agent: &Agent) -> Answer {
    let view = match api.desks.look_at(agent.tenant, agent.id).await {
        Err(CentreError::NotFound) => return Err(Problem::not_found("agent at work", format!("{:?}", agent.login))),
        found => found?,
    };
    request::ok(View::of(&view, agent))
}

pub(crate) async fn show(api: Desk, Path(id): Path<String>) -> Answer {
    let agent = agents::find(&api, &id)?;
    let own = matches!(&api.principal, Principal::User { id, .. } if agent.user == Some(*id));
    if !own && !api.principal.may(Scope::CallsRead) {
        return Err(Problem::new(
            Code::Forbidden,
            "you may look at the agent that is bound to you",
        ));
    }
    shown(&api, &agent).await
}

pub(crate) async fn sign_in(api: Desk, Path(id): Path<String>, Body(body): Body<SignIn>) -> Answer {
    let agent = acting(&api, &id)?;
    let mode = match body.reached_by.as_deref() {
        None | Some("devices") => DeviceMode::Devices,
        Some("mobile") if agent.mobile.is_some() => DeviceMode::Mobile,
        Some("mobile") => {
            return Err(Problem::parameter(
                "reached_by",
                "the agent has no mobile number; give it one first: strowger agent set AGENT --mobile NUMBER",
            ));
        }
        Some(_) => return Err(Problem::parameter("reached_by", "reached_by is devices or mobile")),
    };
    let config = api.config();
    let mut groups = Vec::new();
    for text in body.groups.unwrap_or_default() {
        groups.push(super::group(&config, agent.application, &text)?.id);
    }
    let choice = body.state.map(|s| s.choice(body.reason)).transpose()?;
    let device = device(&api, &agent, body.device.as_deref())?;
    if mode == DeviceMode::Devices {
        let connect = Input::Connect {
            client: client_of(&api, &agent),
            needs_device: false,
        };
        api.desks.agent(agent.tenant, agent.id, connect).await?;
        let only = Input::RingAt(device.flatten());
        api.desks.agent(agent.tenant, agent.id, only).await?;
    }
    let sign_in = Input::SignIn { groups, mode, choice };
    api.desks.agent(agent.tenant, agent.id, sign_in).await?;
    shown(&api, &agent).await
}

/// The device of an agent that a text means; an empty one means all of them.
fn device(api: &Desk, agent: &Agent, text: Option<&str>) -> Result<Option<Option<DeviceId>>, Problem> {
    let Some(text) = text else { return Ok(None) };
    if text.is_empty() {
        return Ok(Some(None));
    }
    let config = api.config();
    let mut own = agent.devices.iter().filter_map(|d| config.device(*d));
    let found = own.find(|d| d.device.username == text || d.device.id.to_string() == text);
    let found = found.ok_or_else(|| Problem::not_found("device of the agent", format!("{text:?}")))?;
    Ok(Some(Some(found.device.id)))
}

pub(crate) async fn choose(api: Desk, Path(id): Path<String>, Body(body): Body<Choose>) -> Answer {
    let agent = acting(&api, &id)?;
    let mut inputs = Vec::new();
    if let Some(state) = body.state {
        inputs.push(Input::Choose(state.choice(body.reason)?));
    }
    if let Some(on) = body.call_only {
        inputs.push(Input::CallOnly(on));
    }
    if body.after_call == Some(true) {
        inputs.push(Input::AfterCall);
    }
    if let Some(only) = device(&api, &agent, body.device.as_deref())? {
        inputs.push(Input::RingAt(only));
    }
    if inputs.is_empty() {
        return Err(Problem::parameter(
            "state",
            "name state, call_only, after_call or device",
        ));
    }
    for input in inputs {
        api.desks.agent(agent.tenant, agent.id, input).await?;
    }
    shown(&api, &agent).await
}

pub(crate) async fn sign_out(api: Desk, Path(id): Path<String>) -> Answer {
    let agent = acting(&api, &id)?;
    let out = Input::Choose(Choice::SignOut);
    api.desks.agent(agent.tenant, agent.id, out).await?;
    let client = client_of(&api, &agent);
    // One that still follows events is there, off duty.
    if !api.events.present.is_here(agent.id, LoginId(client.id)) {
        api.desks.agent(agent.tenant, agent.id, Input::Closed(client)).await?;
    }
    shown(&api, &agent).await
}

pub(crate) async fn force(api: Desk, Path(id): Path<String>, Body(body): Body<Force>) -> Answer {
    let agent = agents::find(&api, &id)?;
    let input = match body.state {
        None => Input::Reset,
        Some(state) => Input::Force {
            choice: state.choice(body.reason)?,
            hang_up: body.hang_up.unwrap_or(false),
        },
    };
    api.desks.agent(agent.tenant, agent.id, input).await?;
    shown(&api, &agent).await
}

/// Whom a text means.
fn target(api: &Desk, agent: &Agent, to: Option<To>, from: Option<&str>) -> Result<Dialled, Problem> {
    let config = api.config();
    let to = to.ok_or_else(|| {
        Problem::parameter(
            "to",
            "this action needs to: {\"number\": …}, {\"agent\": …} or {\"queue\": …}",
        )
    })?;
    let hidden = |token: String| {
        let number = api.store.hidden_number(agent.tenant, agent.application, &token);
        let number = number.map(|n| n.as_str().to_owned());
        number.ok_or_else(|| Problem::parameter("to.token", "to.token is no token of this application"))
    };
    let number = match (to.number, to.token) {
        (number, None) => number,
        (None, Some(token)) => Some(hidden(token)?),
        (Some(_), Some(_)) => {
            return Err(Problem::parameter(
                "to",
                "to has exactly one of number, token, agent and queue",
            ));
        }
    };
    match (number, to.agent, to.queue) {
        (Some(number), None, None) => match from {
            Some(shown) => Ok(Dialled::Showing(number, request::number("from", shown)?)),
            None => Ok(Dialled::Number(number)),
        },
        _ if from.is_some() => Err(Problem::parameter("from", "only a call to a number shows one")),
        (None, Some(text), None) => {
            let mut own = config.centre().agents().filter(|a| a.application == agent.application);
            let found = own.find(|a| a.login == text || a.extension == text || a.id.to_string() == text);
            let found = found.ok_or_else(|| Problem::not_found("agent", format!("{text:?}")))?;
            Ok(Dialled::Agent(found.id))
        }
        (None, None, Some(text)) => {
            let mut own = config.centre().queues().filter(|q| q.application == agent.application);
            let found = own.find(|q| q.name == text || q.id.to_string() == text);
            let found = found.ok_or_else(|| Problem::not_found("queue", format!("{text:?}")))?;
            Ok(Dialled::Queue(found.id))
        }
        _ => Err(Problem::parameter(
            "to",
            "to has exactly one of number, token, agent and queue",
        )),
    }
}

/// A running call of the agent's tenant.
async fn parked(api: &Desk, agent: &Agent, text: Option<&str>) -> Result<ConversationId, Problem> {
    let text = text.ok_or_else(|| Problem::parameter("call", "this action needs call: the id of the parked call"))?;
    let id = request::body_id("call", text)?;
    match api.calls.inspect(agent.tenant, id).await {
        Ok(live) if live.record.head.application == agent.application => Ok(id),
        _ => Err(Problem::not_found("call", format!("{text:?}"))),
    }
}

pub(crate) async fn act(api: Desk, Path(id): Path<String>, Body(body): Body<Act>) -> Answer {
    let agent = acting(&api, &id)?;
    let from = body.from.as_deref();
    let action = match body.action.as_str() {
        "dial" => Action::Dial(target(&api, &agent, body.to, from)?),
        "transfer" => Action::Transfer(target(&api, &agent, body.to, from)?),
        "consult" => Action::Consult(target(&api, &agent, body.to, from)?),
        "hang-up" => Action::HangUp,
        "hold" => Action::Hold,
        "retrieve" => Action::Retrieve,
        "complete" => Action::Complete,
        "park" => Action::Park,
        "pick-up" => Action::PickUp(parked(&api, &agent, body.call.as_deref()).await?),
        "swap" => Action::Swap,
        "merge" => Action::Merge,
        "mute" => Action::Mute(true),
        "unmute" => Action::Mute(false),
        "monitor" => {
            supervises(&api)?;
            let text = body.agent.unwrap_or_default();
            let mut own = api.config().centre().agents().cloned().collect::<Vec<_>>();
            own.retain(|a| a.application == agent.application);
            let found = own.iter().find(|a| a.login == text || a.id.to_string() == text);
            let found = found.ok_or_else(|| Problem::not_found("agent", format!("{text:?}")))?;
            Action::Monitor {
                agent: found.id,
                whisper: false,
            }
        }
        "whisper" => Action::Whisper(true),
        "listen" => Action::Whisper(false),
        "barge" => Action::Barge,
        "take-over" => {
            supervises(&api)?;
            Action::TakeOver
        }
        _ => {
            let all: Vec<&str> = Verb::ALL[8..].iter().map(|v| v.name()).collect();
            return Err(Problem::parameter(
                "action",
                format!("action is one of {}, unmute and listen", all.join(", ")),
            ));
        }
    };
    let action = match body.call.as_deref() {
        Some(text) if !matches!(action, Action::PickUp(_)) => {
            Action::In(request::body_id("call", text)?, Box::new(action))
        }
        _ => action,
    };
    let conversation = api.desks.act(agent.tenant, agent.id, action).await?;
    request::ok(Acted {
        conversation: conversation.map(|c| c.to_string()),
    })
}

fn supervises(api: &Desk) -> Result<(), Problem> {
    if api.principal.may(Scope::CentreSupervise) {
        return Ok(());
    }
    Err(Problem::new(Code::Forbidden, "this is for leaders and administrators"))
}

pub(crate) async fn agents_now(api: Desk, Query(asked): Query<super::OfApplication>) -> Answer {
    let only = asked.resolve(&api)?;
    let config = api.config();
    let mut tenants: Vec<TenantId> = config.centre().agents().map(|a| a.tenant).collect();
    tenants.sort_unstable();
    tenants.dedup();
    let mut views = Vec::new();
    for tenant in tenants {
        let all = snapshot(&api, tenant).await?;
        for view in all.agents.iter().filter(|a| only.is_none_or(|id| a.application == id)) {
            if let Some(agent) = config.centre().agent(view.agent) {
                views.push((view.agent.to_string(), View::of(view, agent)));
            }
        }
    }
    asked.page(views)
}

pub(crate) async fn queues_now(api: Desk, Query(asked): Query<super::OfApplication>) -> Answer {
    let only = asked.resolve(&api)?;
    let config = api.config();
    let mut tenants: Vec<TenantId> = config.centre().queues().map(|q| q.tenant).collect();
    tenants.sort_unstable();
    tenants.dedup();
    let mut boards = Vec::new();
    for tenant in tenants {
        let all = snapshot(&api, tenant).await?;
        for QueueView { board, application } in &all.queues {
            let shown = only.is_none_or(|id| *application == id);
            let Some(queue) = config.centre().queue(board.queue).filter(|_| shown) else {
                continue;
            };
            boards.push((
                board.queue.to_string(),
                Board {
                    queue: board.queue.to_string(),
                    name: queue.name.clone(),
                    application: application.to_string(),
                    waiting: board.waiting,
                    offered: board.offered,
                    oldest: board.oldest.map(rfc3339),
                    on_duty: board.on_duty,
                    free: board.free,
                    callbacks: board.callbacks,
                },
            ));
        }
    }
    asked.page(boards)
}

pub(crate) async fn explain(api: Desk, Path(id): Path<String>) -> Answer {
    let conversation: ConversationId = request::id("waiting call", &id)?;
    let tenants: Vec<TenantId> = api.config().tenants().map(|t| t.id).collect();
    for tenant in tenants {
        match api.desks.explain(tenant, conversation).await {
            Ok(d) => {
                let weighed = |(agent, why): (strowger_core::AgentId, &'static str)| Weighed {
                    agent: agent.to_string(),
                    why,
                };
                return request::ok(Decision {
                    conversation: d.conversation.to_string(),
                    queue: d.queue.to_string(),
                    at: rfc3339(d.at),
                    waited_ms: d.waited_ms,
                    demanded_level: d.demanded,
                    chosen: d.chosen.iter().map(|(a, v)| weighed((*a, v.name()))).collect(),
                    passed: d.passed.iter().map(|p| weighed((p.agent, p.why.name()))).collect(),
                });
            }
            Err(CentreError::NotFound) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Problem::not_found("waiting call", format!("{id:?}")))
}
