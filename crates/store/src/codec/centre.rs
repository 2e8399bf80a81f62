//! The facts of queues and of agents' parts.

use super::{DecodeError, Text, parse, rest, text};
use serde::{Deserialize, Serialize};
use strowger_core::centre::acd::Left;
use strowger_core::centre::agent::{Engagement, Part};
use strowger_core::event::{Outcome, Routed};
use strowger_core::route::rules::Looked;
use strowger_core::{Fact, LegSeq};

#[derive(Serialize, Deserialize)]
struct QueuedV1<'a> {
    #[serde(borrow)]
    queue: Text<'a>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    priority: Option<u8>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    front: bool,
}

#[derive(Serialize, Deserialize)]
struct FlowEnteredV1<'a> {
    #[serde(borrow)]
    flow: Text<'a>,
    node: Text<'a>,
}

#[derive(Serialize, Deserialize)]
struct FlowKeyV1<'a> {
    key: char,
    #[serde(borrow)]
    label: Text<'a>,
}

#[derive(Serialize, Deserialize)]
struct AttachedV1<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    value: Text<'a>,
}

#[derive(Serialize, Deserialize)]
struct ScoredV1<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    score: i16,
}

#[derive(Serialize, Deserialize)]
struct MessageV1<'a> {
    #[serde(borrow)]
    mailbox: Text<'a>,
    recording: u16,
}

#[derive(Serialize, Deserialize)]
struct LookedV1<'a> {
    #[serde(borrow)]
    rule: Text<'a>,
    holds: bool,
    why: Text<'a>,
}

#[derive(Serialize, Deserialize)]
struct RoutedV1<'a> {
    #[serde(borrow)]
    plan: Text<'a>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rule: Option<Text<'a>>,
    to: Text<'a>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    asked: Option<bool>,
    #[serde(borrow)]
    looked: Vec<LookedV1<'a>>,
}

#[derive(Serialize, Deserialize)]
struct DisposedV1<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    agent: Option<String>,
    #[serde(borrow)]
    code: Text<'a>,
    #[serde(borrow, default)]
    note: Text<'a>,
}

#[derive(Serialize, Deserialize)]
struct WrappedUpV1<'a> {
    #[serde(borrow)]
    agent: Text<'a>,
    ms: u64,
}

#[derive(Serialize, Deserialize)]
struct UnqueuedV1<'a> {
    #[serde(borrow)]
    queue: Text<'a>,
    left: Text<'a>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    agent: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct PartBeganV1<'a> {
    part: u16,
    #[serde(borrow)]
    agent: Text<'a>,
    leg: u16,
    part_kind: Text<'a>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    queue: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct PartEngagedV1<'a> {
    part: u16,
    #[serde(borrow)]
    engagement: Text<'a>,
}

#[derive(Serialize, Deserialize)]
struct PartEndedV1<'a> {
    part: u16,
    #[serde(borrow)]
    outcome: Text<'a>,
}

#[derive(Serialize, Deserialize)]
struct CalledBackV1 {
    request: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first: Option<String>,
}

/// Appends the rest of the object; nothing for other facts.
pub(super) fn encode(fact: &Fact, out: &mut Vec<u8>) {
    match fact {
        Fact::FlowEntered { flow, node } => rest(
            out,
            &FlowEnteredV1 {
                flow: text(flow),
                node: text(node),
            },
        ),
        Fact::FlowKey { key, label } => rest(
            out,
            &FlowKeyV1 {
                key: *key,
                label: text(label),
            },
        ),
        Fact::Attached { name, value } => rest(
            out,
            &AttachedV1 {
                name: text(name),
                value: text(value),
            },
        ),
        Fact::Scored { name, score } => rest(
            out,
            &ScoredV1 {
                name: text(name),
                score: *score,
            },
        ),
        Fact::Message { mailbox, recording } => rest(
            out,
            &MessageV1 {
                mailbox: text(mailbox),
                recording: *recording,
            },
        ),
        Fact::Routed(r) => rest(
            out,
            &RoutedV1 {
                plan: text(&r.plan),
                rule: r.rule.as_deref().map(text),
                to: text(&r.to),
                asked: r.asked,
                looked: r
                    .looked
                    .iter()
                    .map(|l| LookedV1 {
                        rule: text(&l.rule),
                        holds: l.holds,
                        why: text(&l.why),
                    })
                    .collect(),
            },
        ),
        Fact::Disposed { agent, code, note } => rest(
            out,
            &DisposedV1 {
                agent: agent.map(|a| a.to_string()),
                code: text(code),
                note: text(note),
            },
        ),
        Fact::WrappedUp { agent, ms } => rest(
            out,
            &WrappedUpV1 {
                agent: agent.to_string().into(),
                ms: *ms,
            },
        ),
        Fact::CalledBack { request, first } => rest(
            out,
            &CalledBackV1 {
                request: request.to_string(),
                first: first.map(|f| f.to_string()),
            },
        ),
        Fact::Queued { queue, priority, front } => rest(
            out,
            &QueuedV1 {
                queue: queue.to_string().into(),
                priority: *priority,
                front: *front,
            },
        ),
        Fact::Unqueued { queue, left } => rest(
            out,
            &UnqueuedV1 {
                queue: queue.to_string().into(),
                left: text(left.name()),
                agent: match left {
                    Left::Answered(agent) => Some(agent.to_string()),
                    _ => None,
                },
            },
        ),
        Fact::PartBegan {
            part,
            agent,
            leg,
            kind,
            queue,
        } => rest(
            out,
            &PartBeganV1 {
                part: *part,
                agent: agent.to_string().into(),
                leg: leg.0,
                part_kind: text(kind.name()),
                queue: queue.map(|q| q.to_string()),
            },
        ),
        Fact::PartEngaged { part, engagement } => rest(
            out,
            &PartEngagedV1 {
                part: *part,
                engagement: text(engagement.name()),
            },
        ),
        Fact::PartEnded { part, outcome } => rest(
            out,
            &PartEndedV1 {
                part: *part,
                outcome: text(outcome.name()),
            },
        ),
        _ => {}
    }
}

fn id<T: std::str::FromStr>(text: &str, member: &'static str) -> Result<T, DecodeError> {
    text.parse().map_err(|_| DecodeError::Value(member))
}

/// The fact of this kind; `None` for a kind of another group.
pub(super) fn decode(kind: &str, json: &str) -> Result<Option<Fact>, DecodeError> {
    Ok(Some(match kind {
        "flow.entered" => {
            let f: FlowEnteredV1 = parse(json)?;
            Fact::FlowEntered {
                flow: f.flow.into_owned(),
                node: f.node.into_owned(),
            }
        }
        "flow.key" => {
            let f: FlowKeyV1 = parse(json)?;
            Fact::FlowKey {
                key: f.key,
                label: f.label.into_owned(),
            }
        }
        "flow.attached" => {
            let f: AttachedV1 = parse(json)?;
            Fact::Attached {
                name: f.name.into_owned(),
                value: f.value.into_owned(),
            }
        }
        "survey.scored" => {
            let f: ScoredV1 = parse(json)?;
            Fact::Scored {
                name: f.name.into_owned(),
                score: f.score,
            }
        }
        "message.left" => {
            let f: MessageV1 = parse(json)?;
            Fact::Message {
                mailbox: f.mailbox.into_owned(),
                recording: f.recording,
            }
        }
        "call.routed" => {
            let f: RoutedV1 = parse(json)?;
            let looked = f.looked.into_iter().map(|l| Looked {
                rule: l.rule.into_owned(),
                holds: l.holds,
                why: l.why.into_owned(),
            });
            Fact::Routed(Box::new(Routed {
                plan: f.plan.into_owned(),
                rule: f.rule.map(Text::into_owned),
                to: f.to.into_owned(),
                asked: f.asked,
                looked: looked.collect(),
            }))
        }
        "call.disposed" => {
            let f: DisposedV1 = parse(json)?;
            Fact::Disposed {
                agent: f.agent.map(|a| id(&a, "agent")).transpose()?,
                code: f.code.into_owned(),
                note: f.note.into_owned(),
            }
        }
        "part.wrapped-up" => {
            let f: WrappedUpV1 = parse(json)?;
            Fact::WrappedUp {
                agent: id(&f.agent, "agent")?,
                ms: f.ms,
            }
        }
        "callback.asked" => {
            let f: CalledBackV1 = parse(json)?;
            Fact::CalledBack {
                request: id(&f.request, "request")?,
                first: f.first.as_deref().map(|c| id(c, "first")).transpose()?,
            }
        }
        "queue.entered" => {
            let f: QueuedV1 = parse(json)?;
            Fact::Queued {
                queue: id(&f.queue, "queue")?,
                priority: f.priority,
                front: f.front,
            }
        }
        "queue.left" => {
            let f: UnqueuedV1 = parse(json)?;
            let agent = f.agent.as_deref().map(|a| id(a, "agent")).transpose()?;
            Fact::Unqueued {
                queue: id(&f.queue, "queue")?,
                left: Left::of_name(&f.left, agent).ok_or(DecodeError::Value("left"))?,
            }
        }
        "part.began" => {
            let f: PartBeganV1 = parse(json)?;
            Fact::PartBegan {
                part: f.part,
                agent: id(&f.agent, "agent")?,
                leg: LegSeq(f.leg),
                kind: Part::of_name(&f.part_kind).ok_or(DecodeError::Value("part_kind"))?,
                queue: f.queue.as_deref().map(|q| id(q, "queue")).transpose()?,
            }
        }
        "part.engaged" => {
            let f: PartEngagedV1 = parse(json)?;
            Fact::PartEngaged {
                part: f.part,
                engagement: Engagement::of_name(&f.engagement).ok_or(DecodeError::Value("engagement"))?,
            }
        }
        "part.ended" => {
            let f: PartEndedV1 = parse(json)?;
            Fact::PartEnded {
                part: f.part,
                outcome: Outcome::of_name(&f.outcome).ok_or(DecodeError::Value("outcome"))?,
            }
        }
        _ => return Ok(None),
    }))
}
