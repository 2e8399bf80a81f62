//! Chats: the customer's side, for the tenant's own server, and the agent's.

use super::duty;
use crate::desk::{Desk, Principal};
use crate::error::{Code, Problem};
use crate::request::{self, Answer, Body, Path, Query};
use crate::time::rfc3339;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use strowger_core::centre::agent::Input;
use strowger_core::chat::{Chat, Command, Fact, Message, Opening, Party, Refusal, Side, Target, What};
use strowger_core::{ConversationId, TenantId};
use strowger_store::identity::Scope;
use utoipa::{IntoParams, ToSchema};

/// Most chats of a page.
const CHATS: usize = 100;
/// Most facts of a page.
const LINES: usize = 500;

/// A chat.
#[derive(Serialize, ToSchema)]
#[schema(as = Chat)]
pub(crate) struct View {
    id: String,
    application: String,
    /// `queued`, `offered`, `active`, `suspended` (the customer is silent, or away) or `ended`.
    state: &'static str,
    /// The tenant's own name for the customer.
    customer: Option<String>,
    /// What agents see.
    name: Option<String>,
    /// As it was given.
    data: Option<String>,
    priority: u8,
    /// Id of the queue that it waits in, or came from.
    queue: Option<String>,
    /// Id of the agent that has it.
    agent: Option<String>,
    /// Whom it is offered to.
    offers: Vec<Offer>,
    /// The newest fact.
    seq: u64,
    /// RFC 3339, like all times here.
    created_at: String,
    answered_at: Option<String>,
    ended_at: Option<String>,
    /// `client`, `seat`, `admin` or `timer`.
    closed_by: Option<&'static str>,
    /// `wish`, `idle`, `queue-timeout`, `queue-full`, `unstaffed` or `queue-closed`.
    why: Option<&'static str>,
    /// Messages of the customer, and of agents.
    messages: [u32; 2],
    /// What each agent had to do with it, in order of offers.
    parts: Vec<Part>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ChatOffer)]
pub(crate) struct Offer {
    /// Its number: given with `accept`, a late answer to an older offer is refused.
    offer: u64,
    agent: String,
    until: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ChatPart)]
pub(crate) struct Part {
    agent: String,
    offered_at: String,
    accepted_at: Option<String>,
    left_at: Option<String>,
    /// `expired`, `refused`, `elsewhere`, `withdrawn`; `transferred`, `signed-out` or `ended` for one that had it.
    how: Option<&'static str>,
}

impl View {
    fn of(c: &Chat) -> View {
        let text = |t: &str| (!t.is_empty()).then(|| t.to_owned());
        View {
            id: c.id.to_string(),
            application: c.opening.application.to_string(),
            state: c.state().name(),
            customer: text(&c.opening.customer),
            name: text(&c.opening.name),
            data: text(&c.opening.data),
            priority: c.opening.priority,
            queue: c.queue.map(|q| q.to_string()),
            agent: c.agent.map(|a| a.to_string()),
            offers: c
                .offers
                .iter()
                .map(|o| Offer {
                    offer: o.seq,
                    agent: o.agent.to_string(),
                    until: rfc3339(o.until),
                })
                .collect(),
            seq: c.seq,
            created_at: rfc3339(c.since),
            answered_at: c.answered_at.map(rfc3339),
            ended_at: c.ended.map(|e| rfc3339(e.0)),
            closed_by: c.ended.map(|e| e.1.name()),
            why: c.ended.map(|e| e.2.name()),
            messages: [c.from_customer, c.from_agents],
            parts: c
                .parts
                .iter()
                .map(|p| Part {
                    agent: p.agent.to_string(),
                    offered_at: rfc3339(p.offered_at),
                    accepted_at: p.accepted_at.map(rfc3339),
                    left_at: p.left_at.map(rfc3339),
                    how: p.missed.map(|m| m.name()).or(p.released.map(|r| r.name())),
                })
                .collect(),
        }
    }
}

/// Something that happened in a chat.
#[derive(Serialize, ToSchema)]
#[schema(as = ChatFact)]
pub(crate) struct Line {
    /// Its number in the chat, from 1 without gaps.
    seq: u64,
    at: String,
    /// `opened`, `queued`, `offered`, `unoffered`, `accepted`, `message`, `suspended`, `resumed`, `released` or `ended`.
    what: &'static str,
    /// `customer` or `agent`, of a message.
    from: Option<&'static str>,
    /// The message.
    text: Option<String>,
    /// What its sender called it.
    key: Option<String>,
    /// Id of the agent that it is about.
    agent: Option<String>,
    queue: Option<String>,
    /// Until when an offer may be answered.
    until: Option<String>,
    why: Option<&'static str>,
    closed_by: Option<&'static str>,
}

impl Line {
    fn of(f: &Fact) -> Line {
        let mut line = Line {
            seq: f.seq,
            at: rfc3339(f.at),
            what: "",
            from: None,
            text: None,
            key: None,
            agent: None,
            queue: None,
            until: None,
            why: None,
            closed_by: None,
        };
        line.what = match &f.what {
            What::Opened(_) => "opened",
            What::Queued { queue, why, .. } => {
                (line.queue, line.why) = (Some(queue.to_string()), Some(why.name()));
                "queued"
            }
            What::Offered { agent, until, .. } => {
                (line.agent, line.until) = (Some(agent.to_string()), Some(rfc3339(*until)));
                "offered"
            }
            What::Unoffered { agent, why } => {
                (line.agent, line.why) = (Some(agent.to_string()), Some(why.name()));
                "unoffered"
            }
            What::Accepted(agent) => {
                line.agent = Some(agent.to_string());
                "accepted"
            }
            What::Said(m) => {
                line.text = Some(m.text.clone());
                line.key = (!m.key.is_empty()).then(|| m.key.clone());
                line.from = Some(match m.from {
                    Side::Customer => "customer",
                    Side::Agent(agent) => {
                        line.agent = Some(agent.to_string());
                        "agent"
                    }
                });
                "message"
            }
            What::Suspended => "suspended",
            What::Resumed => "resumed",
            What::Released { agent, why } => {
                (line.agent, line.why) = (Some(agent.to_string()), Some(why.name()));
                "released"
            }
            What::Ended { by, why } => {
                (line.closed_by, line.why) = (Some(by.name()), Some(why.name()));
                "ended"
            }
        };
        line
    }
}

/// A fact as it is pushed: its topic and its data.
pub(super) fn pushed(fact: &Fact) -> (&'static str, Value) {
    let topic = match fact.what {
        What::Said(_) => "chat.message",
        _ => "chat.changed",
    };
    let line = serde_json::to_value(Line::of(fact)).unwrap_or_default();
    let mut data = json!({ "chat": fact.chat.to_string() });
    if let (Some(data), Value::Object(line)) = (data.as_object_mut(), line) {
        data.extend(line.into_iter().filter(|(_, v)| !v.is_null()));
    }
    (topic, data)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ChatOpen)]
pub(crate) struct Open {
    /// Id or name of the queue.
    queue: String,
    /// By name or id; may be left out if there is only one.
    application: Option<String>,
    /// The tenant's own name for the customer, at most 64 characters: the agent that it had last may come first.
    customer: Option<String>,
    /// What agents see, at most 64 characters.
    name: Option<String>,
    /// Given to the agent as it is, at most 4000 characters.
    data: Option<String>,
    /// 0 to 9 in place of the queue's; higher is sooner.
    priority: Option<u8>,
    /// The first message.
    text: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ChatSay)]
pub(crate) struct Say {
    /// 1 to 4000 characters.
    text: String,
    /// What the sender calls it, at most 64 characters: the same one again is the same message.
    key: Option<String>,
    /// Id or login of the agent that writes; without it the customer does.
    agent: Option<String>,
}

/// What became of a message.
#[derive(Serialize, ToSchema)]
#[schema(as = ChatSaid)]
pub(crate) struct Said {
    chat: String,
    /// Its number in the chat.
    seq: u64,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ChatAction)]
pub(crate) struct Act {
    /// `accept`, `refuse`, `transfer`, `end`; `away` and `back` of the customer.
    action: String,
    /// Id or login of the agent that does it; for `accept` and `refuse` always.
    agent: Option<String>,
    /// The customer does it.
    customer: Option<bool>,
    /// For `accept` and `refuse`: which offer is meant.
    offer: Option<u64>,
    /// For `transfer`: `{"agent": …}` or `{"queue": …}`.
    to: Option<To>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ChatTarget)]
pub(crate) struct To {
    /// Id, login or extension of an agent.
    agent: Option<String>,
    /// Id or name of a queue.
    queue: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ChatTakes)]
pub(crate) struct Takes {
    /// Whether the agent is offered chats; has to be said.
    takes: Option<bool>,
}

#[derive(Deserialize, IntoParams)]
pub(crate) struct Pages {
    /// `next` of the page before.
    after: Option<String>,
    /// Chats of a page, 1 to 100; 100 without it.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<usize>,
}

#[derive(Deserialize, IntoParams)]
pub(crate) struct Lines {
    /// What came behind this number; from the first without it.
    after: Option<u64>,
    /// At most so many, 1 to 500; 500 without it.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
}

/// What a refused wish is answered with.
pub(super) fn refused(refusal: Refusal) -> Problem {
    let text = refusal.to_string();
    match refusal {
        Refusal::NotFound | Refusal::NoQueue => Problem::new(Code::NotFound, text),
        Refusal::Text => Problem::parameter("text", text),
        Refusal::Full => Problem::new(Code::CallLimit, text),
        Refusal::NotYours | Refusal::NotOffered | Refusal::NotOfferable | Refusal::Long | Refusal::Taken => {
            Problem::new(Code::ChatState, text)
        }
    }
}

fn within(member: &str, limit: Option<usize>, most: usize) -> Result<usize, Problem> {
    let limit = limit.unwrap_or(most);
    if (1..=most).contains(&limit) {
        return Ok(limit);
    }
    Err(Problem::parameter(member, format!("{member} is 1 to {most}")))
}

fn customers(api: &Desk) -> Result<(), Problem> {
    if api.principal.may(Scope::ChatsWrite) {
        return Ok(());
    }
    Err(Problem::new(
        Code::Forbidden,
        "speaking for customers needs the scope chats:write",
    ))
}

/// The chat of a path, with its tenant. What whoever asks may not see is not there.
async fn find(api: &Desk, text: &str) -> Result<(TenantId, Chat), Problem> {
    let id: ConversationId = request::id("chat", text)?;
    let tenants: Vec<TenantId> = api.config().tenants().map(|t| t.id).collect();
    for tenant in tenants {
        if let Some(chat) = api.store.chat(tenant, id).await? {
            if may_see(api, &chat) {
                return Ok((tenant, chat));
            }
            break;
        }
    }
    Err(Problem::not_found("chat", format!("{text:?}")))
}

/// Who may read a chat: the customer's side, who sees calls, supervisors, and the agents that it was offered to.
fn may_see(api: &Desk, chat: &Chat) -> bool {
    let scopes = [Scope::ChatsWrite, Scope::CallsRead, Scope::CentreSupervise];
    if scopes.into_iter().any(|s| api.principal.may(s)) {
        return true;
    }
    let Principal::User { id, .. } = &api.principal else {
        return false;
    };
    let config = api.config();
    let mut own = config.centre().agents().filter(|a| a.user == Some(*id));
    own.any(|a| chat.parts.iter().any(|p| p.agent == a.id))
}

pub(crate) async fn open(api: Desk, Body(body): Body<Open>) -> Answer {
    let config = api.config();
    let application = super::application(&config, body.application.as_deref())?;
    let mut own = config.centre().queues().filter(|q| q.application == application.id);
    let queue = own.find(|q| q.name == body.queue || q.id.to_string() == body.queue);
    let queue = queue.ok_or_else(|| Problem::not_found("queue", format!("{:?}", body.queue)))?;
    let priority = body.priority.unwrap_or(queue.priority);
    if priority > 9 {
        return Err(Problem::parameter("priority", "priority is 0 to 9"));
    }
    let tenant = application.tenant;
    let id = api.desks.new_chat();
    let command = Command::Open {
        chat: id,
        queue: queue.id,
        opening: Opening {
            application: application.id,
            customer: body.customer.unwrap_or_default(),
            name: body.name.unwrap_or_default(),
            data: body.data.unwrap_or_default(),
            priority,
        },
        text: body.text,
    };
    api.desks.chat(tenant, command).await?;
    let chat = api.store.chat(tenant, id).await?;
    let chat = chat.ok_or_else(|| Problem::not_found("chat", id.to_string()))?;
    request::created(View::of(&chat))
}

pub(crate) async fn list(api: Desk, Query(pages): Query<Pages>) -> Answer {
    let limit = within("limit", pages.limit, CHATS)?;
    let before = match pages.after.as_deref() {
        None => None,
        Some(text) => {
            let id = text.parse::<ConversationId>();
            Some(id.map_err(|_| Problem::parameter("after", "after is the 'next' of a page"))?)
        }
    };
    let mut all = Vec::new();
    let tenants: Vec<TenantId> = api.config().tenants().map(|t| t.id).collect();
    for tenant in tenants {
        all.extend(api.store.chats(tenant, before, limit + 1).await?);
    }
    all.sort_by_key(|c| std::cmp::Reverse(c.id));
    let more = all.len() > limit;
    all.truncate(limit);
    let next = all.last().filter(|_| more).map(|c| c.id.to_string());
    request::listed(all.iter().map(View::of).collect(), next)
}

pub(crate) async fn show(api: Desk, Path(id): Path<String>) -> Answer {
    let (_, chat) = find(&api, &id).await?;
    request::ok(View::of(&chat))
}

pub(crate) async fn lines(api: Desk, Path(id): Path<String>, Query(lines): Query<Lines>) -> Answer {
    let limit = within("limit", lines.limit, LINES)?;
    let (tenant, chat) = find(&api, &id).await?;
    let facts = api.store.chat_facts(tenant, chat.id, lines.after.unwrap_or(0), limit);
    let facts = facts.await?;
    let next = facts.last().filter(|f| f.seq < chat.seq).map(|f| f.seq.to_string());
    request::listed(facts.iter().map(Line::of).collect(), next)
}

pub(crate) async fn say(api: Desk, Path(id): Path<String>, Body(body): Body<Say>) -> Answer {
    // What is another tenant's is not there, whatever the key may do.
    let (tenant, chat) = find(&api, &id).await?;
    let from = match &body.agent {
        Some(agent) => Side::Agent(duty::acting(&api, agent)?.id),
        None => {
            customers(&api)?;
            Side::Customer
        }
    };
    let message = Message {
        from,
        text: body.text,
        key: body.key.unwrap_or_default(),
    };
    let done = api.desks.chat(tenant, Command::Say(chat.id, message)).await?;
    request::ok(Said {
        chat: done.chat.to_string(),
        seq: done.seq,
    })
}

fn target(api: &Desk, chat: &Chat, to: Option<To>) -> Result<Target, Problem> {
    let config = api.config();
    let application = chat.opening.application;
    match to {
        Some(To {
            agent: Some(text),
            queue: None,
        }) => {
            let mut own = config.centre().agents().filter(|a| a.application == application);
            let found = own.find(|a| a.login == text || a.extension == text || a.id.to_string() == text);
            let found = found.ok_or_else(|| Problem::not_found("agent", format!("{text:?}")))?;
            Ok(Target::Agent(found.id))
        }
        Some(To {
            agent: None,
            queue: Some(text),
        }) => {
            let mut own = config.centre().queues().filter(|q| q.application == application);
            let found = own.find(|q| q.name == text || q.id.to_string() == text);
            let found = found.ok_or_else(|| Problem::not_found("queue", format!("{text:?}")))?;
            Ok(Target::Queue(found.id))
        }
        _ => Err(Problem::parameter("to", "to has exactly one of agent and queue")),
    }
}

pub(crate) async fn act(api: Desk, Path(id): Path<String>, Body(body): Body<Act>) -> Answer {
    let (tenant, found) = find(&api, &id).await?;
    let party = match (&body.agent, body.customer) {
        (Some(agent), None | Some(false)) => Party::Agent(duty::acting(&api, agent)?.id),
        (None, Some(true)) => {
            customers(&api)?;
            Party::Customer
        }
        (None, None | Some(false)) if api.principal.may(Scope::CentreSupervise) => Party::Supervisor,
        (None, None | Some(false)) => {
            return Err(Problem::new(
                Code::Forbidden,
                "name the agent that does it, or say customer: true; steering others' chats needs centre:supervise",
            ));
        }
        (Some(_), Some(true)) => {
            return Err(Problem::parameter("customer", "give agent or customer, not both"));
        }
    };
    let (chat, offer) = (found.id, body.offer);
    let command = match (body.action.as_str(), party) {
        ("accept", Party::Agent(agent)) => Command::Accept { chat, agent, offer },
        ("refuse", Party::Agent(agent)) => Command::Refuse { chat, agent, offer },
        ("accept" | "refuse", _) => return Err(Problem::parameter("agent", "name the agent that does it")),
        ("transfer", by) => Command::Transfer {
            chat,
            by,
            to: target(&api, &found, body.to)?,
        },
        ("end", by) => Command::End(chat, by),
        (word @ ("away" | "back"), Party::Customer) => Command::Present(chat, word == "back"),
        ("away" | "back", _) => {
            return Err(Problem::parameter(
                "customer",
                "away and back are the customer's: say customer: true",
            ));
        }
        _ => {
            return Err(Problem::parameter(
                "action",
                "action is accept, refuse, transfer, end, away or back",
            ));
        }
    };
    api.desks.chat(tenant, command).await?;
    let chat = api.store.chat(tenant, chat).await?.unwrap_or(found);
    request::ok(View::of(&chat))
}

pub(crate) async fn takes(api: Desk, Path(id): Path<String>, Body(body): Body<Takes>) -> Answer {
    let agent = duty::acting(&api, &id)?;
    let takes = body
        .takes
        .ok_or_else(|| Problem::parameter("takes", "say takes: true or false"))?;
    let input = Input::TakesChats(takes);
    api.desks.agent(agent.tenant, agent.id, input).await?;
    duty::shown(&api, &agent).await
}
