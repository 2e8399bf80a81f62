//! What a contact centre knows of a call: its queues, its agents' parts, and what was written down.

use crate::calls;
use crate::desk::{Desk, Principal};
use crate::error::Problem;
use crate::events::Audience;
use crate::request::{self, Answer, Body, Path};
use crate::rfc3339;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use strowger_core::call::Note;
use strowger_core::centre::resource::Agent;
use strowger_core::participation::{DispositionRecord, PartRecord, QueueRecord};
use strowger_core::record::PauseRecord;
use strowger_core::{AgentId, ConversationRecord};
use strowger_store::config::Config;
use strowger_store::identity::Scope;
use utoipa::ToSchema;

/// Longest code of a disposition, and longest name of a value, in characters.
const CODE: usize = 64;
/// Longest note, and longest value, in characters.
const TEXT: usize = 2_000;
/// Most values of a call.
const VALUES: usize = 50;

/// An agent's part in a call.
#[derive(Serialize, ToSchema)]
#[schema(as = CallPart)]
pub(crate) struct PartView {
    /// Id of the agent.
    agent: String,
    login: Option<String>,
    /// Its leg.
    leg: u16,
    /// `queue`, `direct`, `consult`, `own`, `off-duty` or `monitor`.
    kind: &'static str,
    /// Id of the queue that it was offered from.
    queue: Option<String>,
    /// How the call looks from its side, as a state of the agent; `null` before anything rings, and when it is over.
    state: Option<&'static str>,
    offered_at: String,
    rang_at: Option<String>,
    accepted_at: Option<String>,
    left_at: Option<String>,
    /// `ended`, `transferred`, `dropped`, `expired`, `rejected`, `unreachable`, `withdrawn` or `lost`.
    outcome: Option<&'static str>,
    talk_seconds: i64,
    hold_seconds: i64,
    /// `null` while it lasts, and where there was none.
    wrap_up_seconds: Option<u64>,
}

/// A stay in a queue.
#[derive(Serialize, ToSchema)]
#[schema(as = CallQueue)]
pub(crate) struct QueueView {
    /// Id of the queue.
    queue: String,
    name: Option<String>,
    entered_at: String,
    left_at: Option<String>,
    /// `answered`, `abandoned`, `timed-out`, `full`, `unstaffed` or `closed`.
    how: Option<&'static str>,
}

/// What somebody wrote down of a call.
#[derive(Serialize, ToSchema)]
#[schema(as = CallDisposition)]
pub(crate) struct DispositionView {
    at: String,
    /// Id of the agent that wrote it; `null` for a supervisor or a program.
    agent: Option<String>,
    code: String,
    note: String,
}

/// A span that is not in a recording, or is silence there.
#[derive(Serialize, ToSchema)]
#[schema(as = CallPause)]
pub(crate) struct PauseView {
    /// Number of the recording, from 0.
    recording: u16,
    /// True if the span is in the file, as silence.
    masked: bool,
    from: String,
    until: Option<String>,
}

/// What a contact centre knows of a call.
#[derive(Serialize, ToSchema)]
#[schema(as = CallCentre)]
pub(crate) struct CentreView {
    /// Agents that took part, or were asked to, in order.
    parts: Vec<PartView>,
    /// Stays in queues, in order.
    queues: Vec<QueueView>,
    /// What was written down of it, oldest first; the newest counts.
    dispositions: Vec<DispositionView>,
    /// Spans in which recording was paused.
    pauses: Vec<PauseView>,
}

fn part(p: &PartRecord, config: &Config) -> PartView {
    PartView {
        agent: p.agent.to_string(),
        login: config.centre().agent(p.agent).map(|a| a.login.clone()),
        leg: p.leg.0,
        kind: p.kind.name(),
        queue: p.queue.map(|q| q.to_string()),
        state: p.engagement.filter(|_| p.left.is_none()).map(|e| e.state().name()),
        offered_at: rfc3339(p.offered),
        rang_at: p.rang.map(rfc3339),
        accepted_at: p.accepted.map(rfc3339),
        left_at: p.left.map(rfc3339),
        outcome: p.outcome.map(|o| o.name()),
        talk_seconds: p.talk_seconds(),
        hold_seconds: p.hold_seconds(),
        wrap_up_seconds: p.wrap_up_ms.map(|ms| (ms + 500) / 1000),
    }
}

fn queue(q: &QueueRecord, config: &Config) -> QueueView {
    QueueView {
        queue: q.queue.to_string(),
        name: config.centre().queue(q.queue).map(|q| q.name.clone()),
        entered_at: rfc3339(q.entered),
        left_at: q.left.map(|(at, _)| rfc3339(at)),
        how: q.left.map(|(_, left)| left.name()),
    }
}

fn disposition(d: &DispositionRecord) -> DispositionView {
    DispositionView {
        at: rfc3339(d.at),
        agent: d.agent.map(|a| a.to_string()),
        code: d.code.clone(),
        note: d.note.clone(),
    }
}

fn pause(p: &PauseRecord) -> PauseView {
    PauseView {
        recording: p.recording,
        masked: p.masked,
        from: rfc3339(p.from),
        until: p.until.map(rfc3339),
    }
}

impl CentreView {
    pub fn of(r: &ConversationRecord, config: &Config) -> CentreView {
        CentreView {
            parts: r.parts.iter().map(|p| part(p, config)).collect(),
            queues: r.queues.iter().map(|q| queue(q, config)).collect(),
            dispositions: r.dispositions.iter().map(disposition).collect(),
            pauses: r.pauses.iter().map(pause).collect(),
        }
    }
}

/// What came of a call.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Dispose)]
pub(crate) struct Dispose {
    /// The tenant's own code of it, such as `sold`: 1 to 64 characters.
    #[schema(min_length = 1, max_length = 64)]
    code: String,
    /// In words: at most 2,000 characters.
    #[schema(max_length = 2000)]
    note: Option<String>,
}

/// The agent that writes about a call: the one that the user is bound to, if it had a part in it.
fn writer(api: &Desk, record: &ConversationRecord) -> Result<Option<AgentId>, Problem> {
    let config = api.config();
    let user = match &api.principal {
        Principal::User { id, .. } => Some(*id),
        _ => None,
    };
    let own = |a: &&std::sync::Arc<Agent>| user.is_some() && a.user == user;
    let mut bound = config.centre().agents().filter(own);
    if let Some(agent) = bound.find(|a| record.parts.iter().any(|p| p.agent == a.id)) {
        return Ok(Some(agent.id));
    }
    if api.principal.may(Scope::CallsWrite) {
        return Ok(None);
    }
    Err(Problem::not_found("call of yours", record.id))
}

fn printable(member: &'static str, text: &str, most: usize) -> Result<(), Problem> {
    let control = |c: char| c.is_control() && c != '\n';
    if text.chars().count() > most || text.chars().any(control) {
        let says = format!("{member} has at most {most} printable characters");
        return Err(Problem::parameter(member, says));
    }
    Ok(())
}

pub(crate) async fn dispose(api: Desk, Path(id): Path<String>, Body(body): Body<Dispose>) -> Answer {
    let id = request::id("conversation", &id)?;
    let record = calls::find(&api, id).await?;
    let agent = writer(&api, &record)?;
    printable("code", &body.code, CODE)?;
    if body.code.trim().is_empty() {
        return Err(Problem::parameter("code", "code has at least one character"));
    }
    let note = body.note.unwrap_or_default();
    printable("note", &note, TEXT)?;
    let (tenant, code) = (record.head.tenant, body.code);
    let data = json!({
        "conversation": id.to_string(),
        "agent": agent.map(|a| a.to_string()),
        "code": code,
    });
    api.desks.note(tenant, id, Note::Disposed { agent, code, note }).await?;
    if let Some(hub) = &api.events.hub {
        let config = api.config();
        let user = agent.and_then(|a| config.centre().agent(a)?.user);
        let audience = user.map_or(Audience::Tenant, Audience::User);
        hub.publish(tenant, (api.now)(), "call.disposed", audience, data.to_string());
    }
    request::done()
}

/// Values that go with a call.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Attach)]
pub(crate) struct Attach {
    /// At most 50 values by name. Names have 1 to 64 characters, values at most 2,000; a value that is there is replaced.
    #[serde(default)]
    data: BTreeMap<String, String>,
}

pub(crate) async fn attach(api: Desk, Path(id): Path<String>, Body(body): Body<Attach>) -> Answer {
    let id = request::id("conversation", &id)?;
    let record = calls::find(&api, id).await?;
    writer(&api, &record)?;
    for (name, value) in &body.data {
        printable("data", name, CODE)?;
        printable("data", value, TEXT)?;
        if name.is_empty() {
            return Err(Problem::parameter("data", "a name has at least one character"));
        }
    }
    let known = |name: &&String| record.attached.iter().any(|(n, _)| n == *name);
    let new = body.data.keys().filter(|n| !known(n)).count();
    if record.attached.len() + new > VALUES {
        let says = format!("a call has at most {VALUES} values; replace one that is there");
        return Err(Problem::parameter("data", says));
    }
    if body.data.is_empty() {
        return Err(Problem::parameter("data", "name at least one value in data"));
    }
    let values = body.data.into_iter().collect();
    api.desks.note(record.head.tenant, id, Note::Attached(values)).await?;
    request::done()
}
