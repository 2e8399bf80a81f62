//! What happens at the desks, pushed to those who follow a tenant's events.

use crate::events::{Audience, EventHub, PushedEvent};
use crate::time::rfc3339;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use strowger_core::centre::acd::{Board, Left, QueueFact, Queued};
use strowger_core::centre::agent::{Change, Unanswered};
use strowger_core::centre::resource::Agent;
use strowger_core::{AgentId, ConversationId, LoginId, Stamp};
use strowger_runtime::centre::CentreEvent;
use strowger_store::Store;
use strowger_store::config::Config;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

/// How long changes gather that come soon after another: a busy floor makes thousands a second, and to be woken for each
/// costs more than to push it.
const GATHER: Duration = Duration::from_millis(5);

/// Publishes what a listener hears, until the desks are gone.
pub async fn follow(hub: Arc<EventHub>, store: Store, mut events: broadcast::Receiver<Arc<CentreEvent>>) {
    let push = |event: &CentreEvent, config: &Config| {
        let (at, topic, audience, data) = pushed(event, config);
        hub.publish(event.tenant(), at, topic, audience, data.to_string());
    };
    // The process was so busy that changes were dropped here; agents and queues can be asked for.
    let dropped = |missed: u64| tracing::warn!(missed, "changes of agents and queues were not pushed");
    loop {
        match events.recv().await {
            Ok(event) => push(&event, &store.snapshot()),
            Err(RecvError::Lagged(missed)) => dropped(missed),
            Err(RecvError::Closed) => return,
        }
        // One that comes alone was pushed at once. The next are not waited for, so that none of them wakes this task.
        tokio::time::sleep(GATHER).await;
        let config = store.snapshot();
        loop {
            match events.try_recv() {
                Ok(event) => push(&event, &config),
                Err(TryRecvError::Lagged(missed)) => dropped(missed),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Closed) => return,
            }
        }
    }
}

/// An event as it is pushed: an agent's own user sees what the agent does, supervisors see all.
fn pushed(event: &CentreEvent, config: &Config) -> (Stamp, &'static str, Audience, Value) {
    match event {
        CentreEvent::Agent {
            agent,
            seq,
            change,
            conversation,
            ..
        } => {
            let found = config.centre().agent(*agent);
            let user = found.and_then(|a| a.user);
            let data = agent_data(found.map(|a| &**a), *agent, *seq, change, *conversation);
            let audience = user.map_or(Audience::Tenant, Audience::User);
            (change.at, "agent.changed", audience, data)
        }
        CentreEvent::Kicked { agent, client, at, .. } => {
            let user = config.centre().agent(*agent).and_then(|a| a.user);
            let data = json!({ "agent": agent.to_string(), "client": LoginId(client.id).to_string() });
            (
                *at,
                PushedEvent::REPLACED,
                user.map_or(Audience::Tenant, Audience::User),
                data,
            )
        }
        CentreEvent::Queue { fact, board, .. } => {
            let data = queue(fact, board.as_ref());
            (fact.at, "queue.changed", Audience::Tenant, data)
        }
        CentreEvent::AnsweredBy {
            conversation,
            leg,
            agent,
            who,
            confidence,
            at,
            ..
        } => {
            let user = agent.and_then(|a| config.centre().agent(a)).and_then(|a| a.user);
            let data = json!({
                "conversation": conversation.to_string(),
                "leg": leg.0,
                "agent": agent.map(|a| a.to_string()),
                "who": who.name(),
                "confidence": confidence,
            });
            (
                *at,
                "leg.answered-by",
                user.map_or(Audience::Tenant, Audience::User),
                data,
            )
        }
        CentreEvent::Chat { agent, fact, .. } => {
            let (topic, data) = super::chats::pushed(fact);
            let user = agent.and_then(|a| config.centre().agent(a)).and_then(|a| a.user);
            (fact.at, topic, user.map_or(Audience::Tenant, Audience::User), data)
        }
    }
}

/// What is told of a change of an agent.
pub(crate) fn agent_data(
    found: Option<&Agent>,
    agent: AgentId,
    seq: u64,
    change: &Change,
    conversation: Option<ConversationId>,
) -> Value {
    json!({
        "agent": agent.to_string(),
        "login": found.map(|a| a.login.clone()),
        "seq": seq,
        "from": change.from.name(),
        "state": change.to.name(),
        "reason": (!change.reason.is_empty()).then_some(&change.reason),
        "wrap_up_until": change.until.map(rfc3339),
        "call_only": change.overlays.call_only,
        "device": change.overlays.device.map(|d| d.to_string()),
        "connection_lost": change.overlays.lost,
        "device_lost": change.overlays.device_lost,
        "muted": change.overlays.muted,
        "conversation": conversation.map(|c| c.to_string()),
    })
}

fn queue(fact: &QueueFact, board: Option<&Board>) -> Value {
    let mut data = json!({ "queue": fact.queue.to_string(), "conversation": fact.conversation.to_string() });
    let (what, agent, why) = match &fact.what {
        Queued::Entered { priority, since } => {
            data["priority"] = json!(priority);
            data["since"] = json!(rfc3339(*since));
            ("entered", None, None)
        }
        Queued::Offered(agent) => ("offered", Some(agent), None),
        Queued::Returned(agent, why) => ("returned", Some(agent), Some(name_of(*why))),
        Queued::Left(Left::Answered(agent)) => ("answered", Some(agent), None),
        Queued::Left(left) => ("left", None, Some(left.name())),
    };
    if let Some(board) = board {
        data["waiting"] = json!(board.waiting);
        data["ringing"] = json!(board.offered);
        data["callbacks"] = json!(board.callbacks);
        data["oldest"] = json!(board.oldest.map(rfc3339));
    }
    data["what"] = json!(what);
    data["agent"] = json!(agent.map(ToString::to_string));
    data["why"] = json!(why);
    data
}

const fn name_of(why: Unanswered) -> &'static str {
    match why {
        Unanswered::Expired => "expired",
        Unanswered::Rejected => "rejected",
        Unanswered::Device => "device",
        Unanswered::Media => "media",
        Unanswered::Withdrawn => "withdrawn",
    }
}
