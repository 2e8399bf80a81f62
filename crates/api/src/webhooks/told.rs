//! What webhooks are told.

use crate::calls;
use crate::rfc3339;
use serde_json::{Value, json};
use strowger_core::centre::acd::Left;
use strowger_core::event::{Fact, Outcome};
use strowger_core::participation::PartRecord;
use strowger_core::project::{Body, Projector, Subscription};
use strowger_core::{ConversationRecord, Event};
use strowger_store::config::Config;

/// Topics of the events that a webhook may be told of.
pub(crate) const TOPICS: [&str; 14] = [
    "agent.changed",
    "call.started",
    "leg.ringing",
    "leg.answered",
    "leg.answered-by",
    "leg.ended",
    "queue.changed",
    "part.began",
    "part.ended",
    "part.wrapped-up",
    "recording.finished",
    "call.data",
    "call.disposed",
    "call.ended",
];

/// Makes the bodies of calls' events for webhooks. A pure function of the log (domain-model I24): names of other resources
/// are not looked up.
#[derive(Clone, Copy, Debug)]
pub struct WebhookProjector;

impl Projector for WebhookProjector {
    fn name(&self) -> &'static str {
        strowger_runtime::WEBHOOKS
    }

    fn project(&self, subscription: &Subscription, record: &ConversationRecord, event: &Event) -> Option<Body> {
        let (topic, data) = told(record, &event.fact)?;
        let wanted = subscription.get("events");
        if !wanted.is_empty() && wanted.split(' ').all(|w| w != topic) {
            return None;
        }
        let mut body = json!({
            "type": "event",
            "id": format!("{}-{}", record.id, event.seq),
            "seq": event.seq,
            "at": rfc3339(event.at),
            "topic": topic,
            "conversation": record.id.to_string(),
            "application": record.head.application.to_string(),
            "data": data,
        });
        // The whole of it when it is over, and again with what comes later.
        if record.ended_at.is_some() {
            body["call"] = serde_json::to_value(calls::View::of(record, &Config::default())).ok()?;
        }
        Some(Body {
            content_type: "application/json",
            bytes: body.to_string().into_bytes(),
            key: format!("{}.{}.{}", subscription.get("webhook"), record.id, event.seq),
            batch: None,
        })
    }
}

/// A leg, and the numbers on it.
fn leg(record: &ConversationRecord, leg: strowger_core::LegSeq) -> Value {
    let found = record.legs.get(usize::from(leg.0));
    json!({
        "leg": leg.0,
        "from": found.map(|l| l.from.clone()),
        "to": found.map(|l| l.to.clone()),
    })
}

fn told(record: &ConversationRecord, fact: &Fact) -> Option<(&'static str, Value)> {
    let part_of = |part: u16| record.parts.get(usize::from(part));
    let with = |mut value: Value, more: &[(&str, Value)]| {
        for (name, v) in more {
            value[*name] = v.clone();
        }
        value
    };
    Some(match fact {
        Fact::Created(head) => {
            let kind = strowger_store::codec::kind_name(head.kind);
            let data = json!({ "kind": kind, "from": head.ani, "to": head.dnis, "user_data": head.user_data });
            ("call.started", data)
        }
        Fact::LegRinging { leg: l } => ("leg.ringing", leg(record, *l)),
        Fact::LegAnswered { leg: l, .. } => ("leg.answered", leg(record, *l)),
        Fact::LegAnsweredBy {
            leg: l,
            who,
            confidence,
        } => {
            let more = [("who", json!(who.name())), ("confidence", json!(confidence))];
            ("leg.answered-by", with(leg(record, *l), &more))
        }
        Fact::LegEnded {
            leg: l,
            cause,
            sip_status,
            ..
        } => {
            let more = [("cause", json!(cause.name())), ("sip_status", json!(sip_status))];
            ("leg.ended", with(leg(record, *l), &more))
        }
        Fact::Queued { queue, priority, .. } => (
            "queue.changed",
            json!({ "queue": queue.to_string(), "what": "entered", "agent": null, "why": null, "priority": priority }),
        ),
        Fact::Unqueued { queue, left } => {
            let (what, agent, why) = match left {
                Left::Answered(agent) => ("answered", Some(agent.to_string()), None),
                other => ("left", None, Some(other.name())),
            };
            let data = json!({ "queue": queue.to_string(), "what": what, "agent": agent, "why": why });
            ("queue.changed", data)
        }
        Fact::PartBegan { part, .. } => {
            let part = part_of(*part)?;
            match part.queue {
                Some(queue) => (
                    "queue.changed",
                    json!({
                        "queue": queue.to_string(),
                        "what": "offered",
                        "agent": part.agent.to_string(),
                        "why": null,
                        "leg": part.leg.0,
                    }),
                ),
                None => ("part.began", participation(part)),
            }
        }
        Fact::PartEnded { part, outcome } => {
            let part = part_of(*part)?;
            let unanswered = !matches!(outcome, Outcome::Ended | Outcome::Transferred | Outcome::Dropped);
            match part.queue.filter(|_| unanswered && part.accepted.is_none()) {
                Some(queue) => (
                    "queue.changed",
                    json!({
                        "queue": queue.to_string(),
                        "what": "returned",
                        "agent": part.agent.to_string(),
                        "why": outcome.name(),
                        "leg": part.leg.0,
                    }),
                ),
                None => (
                    "part.ended",
                    with(participation(part), &[("outcome", json!(outcome.name()))]),
                ),
            }
        }
        Fact::WrappedUp { agent, ms } => ("part.wrapped-up", json!({ "agent": agent.to_string(), "ms": ms })),
        Fact::RecordingFinished { name, millis, .. } => {
            ("recording.finished", json!({ "name": name, "millis": millis }))
        }
        Fact::Attached { name, value } => ("call.data", json!({ "name": name, "value": value })),
        Fact::Disposed { agent, code, note } => (
            "call.disposed",
            json!({ "agent": agent.map(|a| a.to_string()), "code": code, "note": note }),
        ),
        Fact::Ended => (
            "call.ended",
            json!({ "cause": record.end.as_ref().map(|(cause, _)| cause.name()) }),
        ),
        _ => return None,
    })
}

fn participation(part: &PartRecord) -> Value {
    json!({
        "agent": part.agent.to_string(),
        "leg": part.leg.0,
        "kind": part.kind.name(),
        "queue": part.queue.map(|q| q.to_string()),
    })
}
