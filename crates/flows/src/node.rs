//! Flows and their nodes.

use crate::condition;
use crate::json::{Malformed, strict, typed};
use crate::text::{CauseWord, Key, KindWord, LanguageWord, MethodWord};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use strowger_core::cause::Cause;
use strowger_core::ivr::flow::{Assign, Choice, Hearing, Method, Party, Request, Say, Tries};
use strowger_core::ivr::{Flow, Node, Template};
use strowger_core::spoken::Language;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireFlow {
    start: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    on_fault: Option<String>,
    #[serde(default = "chinese")]
    language: LanguageWord,
    #[serde(default = "half_an_hour")]
    max_seconds: u32,
    nodes: BTreeMap<String, Value>,
}

fn chinese() -> LanguageWord {
    LanguageWord(Language::Chinese)
}

const fn half_an_hour() -> u32 {
    1800
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum WireSay {
    Prompt(String),
    Text(String),
    Spoken { kind: KindWord, text: String },
    PauseMs(u32),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WireTries {
    count: u8,
    wait_ms: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    invalid: Vec<WireSay>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    no_input: Vec<WireSay>,
}

impl Default for WireTries {
    fn default() -> WireTries {
        WireTries::from(&Tries::default())
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireChoice {
    key: Key,
    #[serde(default)]
    label: String,
    next: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WirePhrases {
    value: String,
    phrases: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireCase {
    when: condition::Wire,
    next: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireAssign {
    name: String,
    value: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    attach: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireScore {
    key: Key,
    #[serde(default)]
    label: String,
    score: i16,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum WireParty {
    Agent(String),
    Device(String),
    Number(String),
}

const fn one() -> u8 {
    1
}

const fn three_seconds() -> u32 {
    3000
}

const fn ten_seconds() -> u32 {
    10_000
}

const fn ring() -> u16 {
    30
}

const fn message() -> u16 {
    180
}

fn caller() -> String {
    "${caller}".to_owned()
}

fn get() -> MethodWord {
    MethodWord(Method::Get)
}

fn normal() -> CauseWord {
    CauseWord(Cause::Normal)
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum WireNode {
    Play {
        say: Vec<WireSay>,
        #[serde(default)]
        skip: bool,
        next: String,
    },
    Collect {
        say: Vec<WireSay>,
        into: String,
        #[serde(default = "one")]
        min: u8,
        max: u8,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        finish: Option<Key>,
        #[serde(default = "three_seconds")]
        between_ms: u32,
        #[serde(default)]
        secret: bool,
        #[serde(default)]
        tries: WireTries,
        next: String,
        failed: String,
    },
    Speech {
        say: Vec<WireSay>,
        /// Without: whatever is said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        phrases: Option<Vec<WirePhrases>>,
        into: String,
        #[serde(default = "ten_seconds")]
        max_ms: u32,
        #[serde(default)]
        tries: WireTries,
        next: String,
        failed: String,
    },
    Menu {
        say: Vec<WireSay>,
        choices: Vec<WireChoice>,
        #[serde(default)]
        tries: WireTries,
        failed: String,
    },
    Branch {
        cases: Vec<WireCase>,
        otherwise: String,
    },
    Set {
        values: Vec<WireAssign>,
        next: String,
    },
    Http {
        #[serde(default = "get")]
        method: MethodWord,
        url: String,
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        headers: Map<String, Value>,
        /// JSON, in whose texts values may be; or one text that becomes JSON when the values are in it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<Value>,
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        take: BTreeMap<String, String>,
        #[serde(default = "three_seconds")]
        timeout_ms: u32,
        next: String,
        failed: String,
    },
    Queue {
        queue: String,
        #[serde(default)]
        priority: i16,
        failed: String,
    },
    Transfer {
        to: WireParty,
        #[serde(default = "ring")]
        ring_seconds: u16,
        failed: String,
    },
    Callback {
        queue: String,
        #[serde(default = "caller")]
        number: String,
        next: String,
        failed: String,
    },
    Voicemail {
        mailbox: String,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        say: Vec<WireSay>,
        #[serde(default = "message")]
        max_seconds: u16,
        next: String,
    },
    Survey {
        name: String,
        say: Vec<WireSay>,
        keys: Vec<WireScore>,
        #[serde(default)]
        tries: WireTries,
        next: String,
    },
    Flow {
        flow: String,
        next: String,
    },
    Return {},
    HangUp {
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        say: Vec<WireSay>,
        #[serde(default = "normal")]
        cause: CauseWord,
    },
}

/// Reads a flow from a text.
///
/// # Errors
/// What is wrong with the text, and where.
pub fn flow_text(text: &str) -> Result<Flow, Malformed> {
    flow(strict(text)?)
}

/// Reads a flow from a value, which is to come from a [`Strict`](crate::Strict) one.
///
/// # Errors
/// What is wrong with it, and where.
pub fn flow(value: Value) -> Result<Flow, Malformed> {
    let wire: WireFlow = typed(value)?;
    let mut nodes = BTreeMap::new();
    for (name, value) in wire.nodes {
        let node = node(value).map_err(|e| e.under(&format!("nodes.{name}")))?;
        nodes.insert(name, node);
    }
    Ok(Flow {
        start: wire.start,
        on_fault: wire.on_fault,
        language: wire.language.0,
        max_seconds: wire.max_seconds,
        nodes,
    })
}

/// `{"type": "menu", …}` is `{"menu": {…}}` to serde, which then knows the place of an error inside.
fn node(value: Value) -> Result<Node, Malformed> {
    let here = |problem: &str| Malformed {
        place: String::new(),
        problem: problem.to_owned(),
    };
    let Value::Object(mut members) = value else {
        return Err(here("an object with the member `type` is expected"));
    };
    let kind = match members.remove("type") {
        Some(Value::String(kind)) => kind,
        Some(_) => return Err(here("the member `type` is a text").under("type")),
        None => return Err(here("the member `type` is missing")),
    };
    let mut outer = Map::new();
    outer.insert(kind.clone(), Value::Object(members));
    let wire: WireNode = typed(Value::Object(outer)).map_err(|mut e| {
        // The place begins with the kind, which is not written there.
        e.place = match e.place.strip_prefix(kind.as_str()) {
            Some(inner) => inner.trim_start_matches('.').to_owned(),
            None => e.place,
        };
        e
    })?;
    wire.into_node()
}

fn says(wire: Vec<WireSay>) -> Vec<Say> {
    let one = |say| match say {
        WireSay::Prompt(name) => Say::Prompt(name),
        WireSay::Text(text) => Say::Text(Template::new(text)),
        WireSay::Spoken { kind, text } => Say::Spoken(kind.0, Template::new(text)),
        WireSay::PauseMs(ms) => Say::Pause(ms),
    };
    wire.into_iter().map(one).collect()
}

fn says_of(say: &[Say]) -> Vec<WireSay> {
    let one = |say: &Say| match say {
        Say::Prompt(name) => WireSay::Prompt(name.clone()),
        Say::Text(text) => WireSay::Text(text.source().to_owned()),
        Say::Spoken(kind, text) => WireSay::Spoken {
            kind: KindWord(*kind),
            text: text.source().to_owned(),
        },
        Say::Pause(ms) => WireSay::PauseMs(*ms),
    };
    say.iter().map(one).collect()
}

impl From<WireTries> for Tries {
    fn from(wire: WireTries) -> Tries {
        Tries {
            count: wire.count,
            wait_ms: wire.wait_ms,
            invalid: says(wire.invalid),
            no_input: says(wire.no_input),
        }
    }
}

impl From<&Tries> for WireTries {
    fn from(tries: &Tries) -> WireTries {
        WireTries {
            count: tries.count,
            wait_ms: tries.wait_ms,
            invalid: says_of(&tries.invalid),
            no_input: says_of(&tries.no_input),
        }
    }
}

impl WireNode {
    fn into_node(self) -> Result<Node, Malformed> {
        let t = Template::new;
        Ok(match self {
            WireNode::Play { say, skip, next } => Node::Play {
                say: says(say),
                skip,
                next,
            },
            WireNode::Collect {
                say,
                into,
                min,
                max,
                finish,
                between_ms,
                secret,
                tries,
                next,
                failed,
            } => Node::Collect {
                say: says(say),
                into,
                min,
                max,
                finish: finish.map(|k| k.0),
                between_ms,
                secret,
                tries: tries.into(),
                next,
                failed,
            },
            WireNode::Speech {
                say,
                phrases,
                into,
                max_ms,
                tries,
                next,
                failed,
            } => Node::Speech {
                say: says(say),
                hearing: phrases.map_or(Hearing::Free, |all| {
                    Hearing::Grammar(all.into_iter().map(|p| (p.value, p.phrases)).collect())
                }),
                into,
                max_ms,
                tries: tries.into(),
                next,
                failed,
            },
            WireNode::Menu {
                say,
                choices,
                tries,
                failed,
            } => Node::Menu {
                say: says(say),
                choices: choices
                    .into_iter()
                    .map(|c| Choice {
                        key: c.key.0,
                        label: c.label,
                        next: c.next,
                    })
                    .collect(),
                tries: tries.into(),
                failed,
            },
            WireNode::Branch { cases, otherwise } => Node::Branch {
                cases: cases.into_iter().map(|c| (c.when.into(), c.next)).collect(),
                otherwise,
            },
            WireNode::Set { values, next } => Node::Set {
                values: values
                    .into_iter()
                    .map(|a| Assign {
                        name: a.name,
                        value: t(a.value),
                        attach: a.attach,
                    })
                    .collect(),
                next,
            },
            WireNode::Http {
                method,
                url,
                headers,
                body,
                take,
                timeout_ms,
                next,
                failed,
            } => Node::Http {
                request: Request {
                    method: method.0,
                    url: t(url),
                    headers: header_templates(headers)?,
                    body: body.map(|b| match b {
                        Value::String(text) => t(text),
                        json => t(json.to_string()),
                    }),
                    take: take.into_iter().collect(),
                    timeout_ms,
                },
                next,
                failed,
            },
            WireNode::Queue {
                queue,
                priority,
                failed,
            } => Node::Queue {
                queue: t(queue),
                priority,
                failed,
            },
            WireNode::Transfer {
                to,
                ring_seconds,
                failed,
            } => Node::Transfer {
                to: match to {
                    WireParty::Agent(agent) => Party::Agent(t(agent)),
                    WireParty::Device(device) => Party::Device(t(device)),
                    WireParty::Number(number) => Party::Number(t(number)),
                },
                ring_seconds,
                failed,
            },
            WireNode::Callback {
                queue,
                number,
                next,
                failed,
            } => Node::Callback {
                queue: t(queue),
                number: t(number),
                next,
                failed,
            },
            WireNode::Voicemail {
                mailbox,
                say,
                max_seconds,
                next,
            } => Node::Voicemail {
                mailbox: t(mailbox),
                say: says(say),
                max_seconds,
                next,
            },
            WireNode::Survey {
                name,
                say,
                keys,
                tries,
                next,
            } => Node::Survey {
                name,
                say: says(say),
                keys: keys.into_iter().map(|k| (k.key.0, k.label, k.score)).collect(),
                tries: tries.into(),
                next,
            },
            WireNode::Flow { flow, next } => Node::Call { flow, next },
            WireNode::Return {} => Node::Return,
            WireNode::HangUp { say, cause } => Node::HangUp {
                say: says(say),
                cause: cause.0,
            },
        })
    }
}

fn header_templates(headers: Map<String, Value>) -> Result<Vec<(String, Template)>, Malformed> {
    let one = |(name, value): (String, Value)| match value {
        Value::String(text) => Ok((name, Template::new(text))),
        _ => Err(Malformed {
            place: format!("headers.{name}"),
            problem: "a text is expected".to_owned(),
        }),
    };
    headers.into_iter().map(one).collect()
}

/// Writes a flow. Read again, it is the same.
pub fn flow_of(flow: &Flow) -> Value {
    let nodes = flow.nodes.iter().map(|(name, node)| (name.clone(), node_of(node)));
    let wire = WireFlow {
        start: flow.start.clone(),
        on_fault: flow.on_fault.clone(),
        language: LanguageWord(flow.language),
        max_seconds: flow.max_seconds,
        nodes: nodes.collect(),
    };
    // A type of texts, numbers and lists always becomes JSON.
    serde_json::to_value(wire).unwrap_or_default()
}

fn node_of(node: &Node) -> Value {
    let outer = serde_json::to_value(wire_of(node)).unwrap_or_default();
    let mut members = match outer {
        Value::Object(outer) => match outer.into_iter().next() {
            Some((_, Value::Object(members))) => members,
            _ => Map::new(),
        },
        _ => Map::new(),
    };
    members.insert("type".to_owned(), json!(node.kind()));
    Value::Object(members)
}

/// Only what is written as it was read is shown as JSON.
fn body_of(template: &Template) -> Value {
    let source = template.source();
    if let Ok(json @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str::<Value>(source) {
        let written: String = json.to_string();
        if written == source {
            return json;
        }
    }
    Value::String(source.to_owned())
}

fn wire_of(node: &Node) -> WireNode {
    let s = |t: &Template| t.source().to_owned();
    match node {
        Node::Play { say, skip, next } => WireNode::Play {
            say: says_of(say),
            skip: *skip,
            next: next.clone(),
        },
        Node::Collect {
            say,
            into,
            min,
            max,
            finish,
            between_ms,
            secret,
            tries,
            next,
            failed,
        } => WireNode::Collect {
            say: says_of(say),
            into: into.clone(),
            min: *min,
            max: *max,
            finish: finish.map(Key),
            between_ms: *between_ms,
            secret: *secret,
            tries: tries.into(),
            next: next.clone(),
            failed: failed.clone(),
        },
        Node::Speech {
            say,
            hearing,
            into,
            max_ms,
            tries,
            next,
            failed,
        } => WireNode::Speech {
            say: says_of(say),
            phrases: match hearing {
                Hearing::Free => None,
                Hearing::Grammar(all) => Some(
                    all.iter()
                        .map(|(value, phrases)| WirePhrases {
                            value: value.clone(),
                            phrases: phrases.clone(),
                        })
                        .collect(),
                ),
            },
            into: into.clone(),
            max_ms: *max_ms,
            tries: tries.into(),
            next: next.clone(),
            failed: failed.clone(),
        },
        Node::Menu {
            say,
            choices,
            tries,
            failed,
        } => WireNode::Menu {
            say: says_of(say),
            choices: choices
                .iter()
                .map(|c| WireChoice {
                    key: Key(c.key),
                    label: c.label.clone(),
                    next: c.next.clone(),
                })
                .collect(),
            tries: tries.into(),
            failed: failed.clone(),
        },
        Node::Branch { cases, otherwise } => WireNode::Branch {
            cases: cases
                .iter()
                .map(|(when, next)| WireCase {
                    when: when.into(),
                    next: next.clone(),
                })
                .collect(),
            otherwise: otherwise.clone(),
        },
        Node::Set { values, next } => WireNode::Set {
            values: values
                .iter()
                .map(|a| WireAssign {
                    name: a.name.clone(),
                    value: s(&a.value),
                    attach: a.attach,
                })
                .collect(),
            next: next.clone(),
        },
        Node::Http { request, next, failed } => WireNode::Http {
            method: MethodWord(request.method),
            url: s(&request.url),
            headers: request
                .headers
                .iter()
                .map(|(n, t)| (n.clone(), json!(t.source())))
                .collect(),
            body: request.body.as_ref().map(body_of),
            take: request.take.iter().cloned().collect(),
            timeout_ms: request.timeout_ms,
            next: next.clone(),
            failed: failed.clone(),
        },
        Node::Queue {
            queue,
            priority,
            failed,
        } => WireNode::Queue {
            queue: s(queue),
            priority: *priority,
            failed: failed.clone(),
        },
        Node::Transfer {
            to,
            ring_seconds,
            failed,
        } => WireNode::Transfer {
            to: match to {
                Party::Agent(t) => WireParty::Agent(s(t)),
                Party::Device(t) => WireParty::Device(s(t)),
                Party::Number(t) => WireParty::Number(s(t)),
            },
            ring_seconds: *ring_seconds,
            failed: failed.clone(),
        },
        Node::Callback {
            queue,
            number,
            next,
            failed,
        } => WireNode::Callback {
            queue: s(queue),
            number: s(number),
            next: next.clone(),
            failed: failed.clone(),
        },
        Node::Voicemail {
            mailbox,
            say,
            max_seconds,
            next,
        } => WireNode::Voicemail {
            mailbox: s(mailbox),
            say: says_of(say),
            max_seconds: *max_seconds,
            next: next.clone(),
        },
        Node::Survey {
            name,
            say,
            keys,
            tries,
            next,
        } => WireNode::Survey {
            name: name.clone(),
            say: says_of(say),
            keys: keys
                .iter()
                .map(|(key, label, score)| WireScore {
                    key: Key(*key),
                    label: label.clone(),
                    score: *score,
                })
                .collect(),
            tries: tries.into(),
            next: next.clone(),
        },
        Node::Call { flow, next } => WireNode::Flow {
            flow: flow.clone(),
            next: next.clone(),
        },
        Node::Return => WireNode::Return {},
        Node::HangUp { say, cause } => WireNode::HangUp {
            say: says_of(say),
            cause: CauseWord(*cause),
        },
    }
}
