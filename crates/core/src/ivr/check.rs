//! What is wrong with a flow, before a caller finds out: every finding with its node, why, and what to do.

use super::flow::{
    Exit, Flow, Hearing, MAX_FLOW_DEPTH, MAX_NODES, Method, Name, Node, Party, Request, Say, Tries, is_key,
};
use super::template::{Template, is_name};
use crate::route::Condition;
use crate::route::condition::{MAX_DEPTH, MAX_PARTS};
use std::collections::{BTreeMap, BTreeSet};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The flow cannot be published.
    Error,
    /// It can, but it is probably not what was meant.
    Warning,
}

/// Something wrong with a flow.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// The node, unless it is the flow as a whole.
    pub node: Option<Name>,
    /// A stable code, docs/ivr.md explains each.
    pub code: &'static str,
    /// What is wrong.
    pub why: String,
    /// What to do.
    pub fix: String,
}

/// Kinds of things that a flow refers to by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thing {
    /// A prompt of the application.
    Prompt,
    /// Another flow.
    Flow,
    /// A queue.
    Queue,
    /// An agent.
    Agent,
    /// A device.
    Device,
    /// A queue or an agent, as the owner of messages.
    Mailbox,
    /// Business hours.
    Calendar,
    /// A list of numbers.
    List,
}

impl Thing {
    /// In words.
    pub const fn word(self) -> &'static str {
        match self {
            Thing::Prompt => "prompt",
            Thing::Flow => "flow",
            Thing::Queue => "queue",
            Thing::Agent => "agent",
            Thing::Device => "device",
            Thing::Mailbox => "mailbox",
            Thing::Calendar => "calendar",
            Thing::List => "list",
        }
    }
}

/// Tells whether there is such a thing; `None` if it cannot be told here.
pub type Known<'a> = &'a dyn Fn(Thing, &str) -> Option<bool>;

/// Values that every call has.
pub const GIVEN_VALUES: [&str; 6] = ["caller", "called", "conversation", "province", "city", "http.status"];

/// The most findings of one check; more of them help nobody.
const MAX_FINDINGS: usize = 200;

struct Check<'a> {
    flow: &'a Flow,
    known: Known<'a>,
    found: Vec<Finding>,
}

/// Checks a flow by itself. Sorted: errors first, then by node.
pub fn check(flow: &Flow, known: Known<'_>) -> Vec<Finding> {
    let mut check = Check {
        flow,
        known,
        found: Vec::new(),
    };
    check.whole();
    for (name, node) in &flow.nodes {
        check.node(name, node);
    }
    let mut found = check.found;
    found.sort();
    found.dedup();
    found.truncate(MAX_FINDINGS);
    found
}

/// True if there is no error among the findings.
pub fn may_publish(findings: &[Finding]) -> bool {
    findings.iter().all(|f| f.level != Level::Error)
}

/// Finds flows that call themselves, directly or through others, or that call too deep. The findings name the flow and
/// the node in it.
pub fn check_calls(flows: &BTreeMap<Name, Flow>) -> Vec<(Name, Finding)> {
    let calls = |flow: &Flow| -> Vec<(Name, Name)> {
        let of = flow.nodes.iter().filter_map(|(at, node)| match node {
            Node::Call { flow, .. } => Some((at.clone(), flow.clone())),
            _ => None,
        });
        of.collect()
    };
    let mut found = Vec::new();
    for (name, flow) in flows {
        for (at, first) in calls(flow) {
            // Breadth first over the flows that are called from here on, with their depth.
            let mut seen = BTreeMap::from([(first.clone(), 2usize)]);
            let mut next = vec![first];
            while let Some(called) = next.pop() {
                let depth = seen.get(&called).copied().unwrap_or(2);
                if called == *name || depth > MAX_FLOW_DEPTH {
                    break;
                }
                for (_, deeper) in flows.get(&called).map(calls).unwrap_or_default() {
                    let known = seen.entry(deeper.clone()).or_insert(0);
                    if *known <= depth {
                        *known = depth + 1;
                        next.push(deeper);
                    }
                }
            }
            let finding = |code, why: String, fix: &str| Finding {
                level: Level::Error,
                node: Some(at.clone()),
                code,
                why,
                fix: fix.to_owned(),
            };
            if seen.contains_key(name) {
                let why = format!("flow {name:?} calls itself through this node");
                let fix = "lead back by a way inside the flow instead of calling the flow again";
                found.push((name.clone(), finding("flow.recursion", why, fix)));
            } else if seen.values().any(|depth| *depth > MAX_FLOW_DEPTH) {
                let why = format!("more than {MAX_FLOW_DEPTH} flows call one another from here");
                found.push((name.clone(), finding("flow.depth", why, "put some of them together")));
            }
        }
    }
    found
}

impl<'a> Check<'a> {
    fn add(&mut self, level: Level, node: Option<&str>, code: &'static str, why: String, fix: impl Into<String>) {
        // One more than is kept, so that a flow of nothing but errors costs no more than this.
        if self.found.len() < 2 * MAX_FINDINGS {
            self.found.push(Finding {
                level,
                node: node.map(str::to_owned),
                code,
                why,
                fix: fix.into(),
            });
        }
    }

    fn error(&mut self, node: &str, code: &'static str, why: String, fix: impl Into<String>) {
        self.add(Level::Error, Some(node), code, why, fix);
    }

    fn warn(&mut self, node: &str, code: &'static str, why: String, fix: impl Into<String>) {
        self.add(Level::Warning, Some(node), code, why, fix);
    }

    fn range(&mut self, node: Option<&str>, member: &str, value: u32, bounds: std::ops::RangeInclusive<u32>) {
        if !bounds.contains(&value) {
            let (from, to) = (bounds.start(), bounds.end());
            let why = format!("{member} is {value}");
            self.add(
                Level::Error,
                node,
                "node.range",
                why,
                format!("set it to {from} to {to}"),
            );
        }
    }

    /// A reference to something outside the flow.
    fn refer(&mut self, node: &str, thing: Thing, name: &str) {
        if (self.known)(thing, name) == Some(false) {
            let word = thing.word();
            let why = format!("there is no {word} {name:?}");
            self.error(
                node,
                "reference.unknown",
                why,
                format!("create the {word} first, or name another"),
            );
        }
    }

    /// The same, where the name may hold values; then it is only known in a call.
    fn refer_template(&mut self, node: &str, thing: Thing, name: &Template) {
        if name.is_empty() {
            let why = format!("the {} is not named", thing.word());
            self.error(node, "reference.missing", why, "name it");
        } else if name.problem().is_none() && name.names().next().is_none() {
            self.refer(node, thing, &name.render(super::template::Place::Text, |_| None));
        }
    }

    fn whole(&mut self) {
        let flow = self.flow;
        if flow.nodes.is_empty() {
            let why = "the flow has no nodes".to_owned();
            return self.add(
                Level::Error,
                None,
                "flow.empty",
                why,
                "add at least a node that hangs up",
            );
        }
        if flow.nodes.len() > MAX_NODES {
            let why = format!("the flow has {} nodes", flow.nodes.len());
            let fix = format!("move parts of it into flows of their own: at most {MAX_NODES} nodes are allowed");
            self.add(Level::Error, None, "flow.size", why, fix);
        }
        self.range(None, "max_seconds", flow.max_seconds, 10..=7200);
        for (member, name) in [("start", Some(&flow.start)), ("on_fault", flow.on_fault.as_ref())] {
            if let Some(name) = name.filter(|n| !flow.nodes.contains_key(*n)) {
                let why = format!("{member} leads to {name:?}, which is no node of the flow");
                self.add(Level::Error, None, "flow.start", why, "name a node that is there");
            }
        }
        let reached = self.reached();
        for name in flow.nodes.keys().filter(|n| !reached.contains(n.as_str())) {
            let why = "no way leads to this node".to_owned();
            self.warn(name, "node.unreachable", why, "lead a way to it, or remove it");
        }
        let leaves = self.leaves();
        for name in reached.iter().filter(|n| !leaves.contains(*n)) {
            let why = "from here a call never leaves the flow".to_owned();
            let fix = "lead some way from here to a queue, a transfer, a return or a hang-up";
            self.error(name, "node.trap", why, fix);
        }
        self.circles();
    }

    fn exits(&self, name: &str) -> Vec<Exit<'a>> {
        self.flow.nodes.get(name).map(Node::exits).unwrap_or_default()
    }

    fn reached(&self) -> BTreeSet<&'a str> {
        let first = [Some(&self.flow.start), self.flow.on_fault.as_ref()];
        let mut next: Vec<&str> = first.into_iter().flatten().map(String::as_str).collect();
        let mut seen = BTreeSet::new();
        while let Some(name) = next.pop() {
            if self.flow.nodes.contains_key(name) && seen.insert(name) {
                next.extend(self.exits(name).iter().map(|e| e.to));
            }
        }
        seen
    }

    /// The nodes from which some way leads out.
    fn leaves(&self) -> BTreeSet<&'a str> {
        let mut back: BTreeMap<&str, Vec<&'a str>> = BTreeMap::new();
        let mut next = Vec::new();
        for (name, node) in &self.flow.nodes {
            for exit in node.exits() {
                back.entry(exit.to).or_default().push(name);
            }
            let out = matches!(
                node,
                Node::Return
                    | Node::HangUp { .. }
                    | Node::Queue { .. }
                    | Node::Transfer { .. }
                    | Node::Voicemail { .. }
            );
            if out {
                next.push(name.as_str());
            }
        }
        let mut seen = BTreeSet::new();
        while let Some(name) = next.pop() {
            if seen.insert(name) {
                next.extend(back.get(name).into_iter().flatten());
            }
        }
        seen
    }

    /// Finds ways that lead back to their beginning without anything that the caller does.
    fn circles(&mut self) {
        let mut done: BTreeSet<&str> = BTreeSet::new();
        let flow = self.flow;
        for start in flow.nodes.keys() {
            // Depth first; the way from the start to here, and what is left to follow at each of its nodes.
            let mut way: Vec<(&str, Vec<&str>)> = Vec::new();
            let mut enter = Some(start.as_str());
            loop {
                if let Some(name) = enter.take() {
                    if let Some(at) = way.iter().position(|(n, _)| *n == name) {
                        let circle: Vec<&str> = way.iter().skip(at).map(|(n, _)| *n).collect();
                        let why = format!(
                            "the way {} → {name} turns in a circle without anything that the caller does",
                            circle.join(" → ")
                        );
                        let fix = "put a menu or another question into the circle, or lead a way out of it";
                        self.error(name, "flow.circle", why, fix);
                    } else if flow.nodes.contains_key(name) && !done.contains(name) {
                        let exits = self.exits(name);
                        let on = exits.iter().filter(|e| !e.patient).map(|e| e.to).collect();
                        way.push((name, on));
                    }
                }
                match way.last_mut() {
                    None => break,
                    Some((name, on)) => match on.pop() {
                        Some(next) => enter = Some(next),
                        None => {
                            done.insert(name);
                            way.pop();
                        }
                    },
                }
            }
        }
    }

    fn node(&mut self, name: &str, node: &Node) {
        if !is_name(name) {
            let why = "the name of the node is not made of 1 to 64 letters, digits, _, - and .".to_owned();
            self.error(name, "node.name", why, "give it another name");
        }
        for exit in node.exits() {
            if !self.flow.nodes.contains_key(exit.to) {
                let why = format!("{} leads to {:?}, which is no node of the flow", exit.name, exit.to);
                self.error(name, "node.target", why, "name a node that is there, or add this one");
            }
        }
        for value in node.sets() {
            if !is_name(value) || GIVEN_VALUES.contains(&value) {
                let why = format!("{value:?} cannot be the name of a value");
                let fix = "use 1 to 64 letters, digits, _, - and ., and none of the names that every call has";
                self.error(name, "value.name", why, fix);
            }
        }
        for (place, template) in node.templates() {
            self.template(name, place, template);
        }
        for (place, say) in node.says() {
            self.say(name, place, say);
        }
        if let Some(tries) = node.tries() {
            self.tries(name, tries);
        }
        self.own(name, node);
    }

    fn template(&mut self, node: &str, place: &str, template: &Template) {
        if let Some(problem) = template.problem() {
            let why = format!("{place} is no template: {problem}");
            return self.error(node, "template", why, "correct it; a value is written ${name}");
        }
        for value in template.names() {
            let set = |n: &Node| n.sets().contains(&value);
            if !GIVEN_VALUES.contains(&value) && !self.flow.nodes.values().any(set) {
                let why = format!("{place} uses the value {value:?}, which nothing in this flow sets");
                self.warn(
                    node,
                    "value.unknown",
                    why,
                    "set it before, unless a flow that calls this one does",
                );
            }
        }
    }

    fn say(&mut self, node: &str, place: &str, say: &[Say]) {
        if say.len() > 32 {
            let why = format!("{place} has {} parts", say.len());
            self.error(node, "node.range", why, "put at most 32 in a place");
        }
        for part in say {
            match part {
                Say::Prompt(prompt) => self.refer(node, Thing::Prompt, prompt),
                Say::Pause(ms) => self.range(Some(node), "a pause, in milliseconds,", *ms, 0..=10_000),
                Say::Text(text) | Say::Spoken(_, text) if text.is_empty() => {
                    let why = format!("a text in {place} is empty");
                    self.error(node, "say.empty", why, "write what is to be heard, or remove it");
                }
                Say::Text(_) | Say::Spoken(..) => {}
            }
        }
    }

    fn question(&mut self, node: &str, say: &[Say]) {
        if say.is_empty() {
            let why = "the caller is asked something and hears nothing".to_owned();
            self.error(node, "say.missing", why, "add a prompt or a text to 'say'");
        }
    }

    fn tries(&mut self, node: &str, tries: &Tries) {
        self.range(Some(node), "tries.count", u32::from(tries.count), 1..=10);
        self.range(Some(node), "tries.wait_ms", tries.wait_ms, 500..=120_000);
    }

    fn keys(&mut self, node: &str, keys: impl Iterator<Item = (char, usize)>) {
        let mut seen = BTreeSet::new();
        for (key, label) in keys {
            if !is_key(key) {
                let why = format!("{key:?} is no key of a telephone");
                self.error(node, "key.unknown", why, "use 0 to 9, * or #");
            }
            if !seen.insert(key) {
                let why = format!("the key {key} is there twice");
                self.error(node, "key.twice", why, "give one of them another key");
            }
            if label > 64 {
                let why = format!("the label of the key {key} has {label} characters");
                self.error(node, "key.label", why, "shorten it to 64");
            }
        }
        if seen.is_empty() {
            let why = "there is no key to press".to_owned();
            self.error(node, "key.missing", why, "add at least one");
        }
    }

    /// What only this kind of node has.
    fn own(&mut self, name: &str, node: &Node) {
        let at = Some(name);
        match node {
            Node::Play { say, .. } if say.is_empty() => {
                let why = "it plays nothing".to_owned();
                self.error(
                    name,
                    "say.missing",
                    why,
                    "add a prompt or a text to 'say', or remove the node",
                );
            }
            Node::Collect {
                say,
                min,
                max,
                finish,
                between_ms,
                ..
            } => {
                self.question(name, say);
                self.range(at, "max", u32::from(*max), 1..=64);
                self.range(at, "min", u32::from(*min), 1..=u32::from(*max).max(1));
                self.range(at, "between_ms", *between_ms, 500..=60_000);
                if let Some(key) = finish.filter(|k| !is_key(*k)) {
                    let why = format!("{key:?} is no key of a telephone");
                    self.error(name, "key.unknown", why, "use 0 to 9, * or # for 'finish'");
                }
            }
            Node::Speech {
                say, hearing, max_ms, ..
            } => {
                self.question(name, say);
                self.range(at, "max_ms", *max_ms, 1000..=120_000);
                self.hearing(name, hearing);
            }
            Node::Menu { say, choices, .. } => {
                self.question(name, say);
                self.keys(name, choices.iter().map(|c| (c.key, c.label.chars().count())));
            }
            Node::Survey { say, keys, .. } => {
                self.question(name, say);
                self.keys(name, keys.iter().map(|(k, label, _)| (*k, label.chars().count())));
            }
            Node::Branch { cases, .. } => {
                self.range(at, "the number of cases", cases.len() as u32, 1..=64);
                for (condition, _) in cases {
                    self.condition(name, condition);
                }
            }
            Node::Set { values, .. } => self.range(at, "the number of values", values.len() as u32, 1..=64),
            Node::Http { request, .. } => self.request(name, request),
            Node::Queue { queue, priority, .. } => {
                self.refer_template(name, Thing::Queue, queue);
                self.range(
                    at,
                    "priority (without its sign)",
                    u32::from(priority.unsigned_abs()),
                    0..=100,
                );
            }
            Node::Transfer { to, ring_seconds, .. } => {
                self.range(at, "ring_seconds", u32::from(*ring_seconds), 5..=300);
                match to {
                    Party::Agent(agent) => self.refer_template(name, Thing::Agent, agent),
                    Party::Device(device) => self.refer_template(name, Thing::Device, device),
                    Party::Number(number) if number.is_empty() => {
                        let why = "the number is not given".to_owned();
                        self.error(name, "reference.missing", why, "write the number, or ${name}");
                    }
                    Party::Number(_) => {}
                }
            }
            Node::Callback { queue, number, .. } => {
                self.refer_template(name, Thing::Queue, queue);
                if number.is_empty() {
                    let why = "the number to call is not given".to_owned();
                    self.error(
                        name,
                        "reference.missing",
                        why,
                        "write ${caller}, or a value that was asked for",
                    );
                }
            }
            Node::Voicemail {
                mailbox, max_seconds, ..
            } => {
                self.refer_template(name, Thing::Mailbox, mailbox);
                self.range(at, "max_seconds", u32::from(*max_seconds), 5..=600);
            }
            Node::Call { flow, .. } => self.refer(name, Thing::Flow, flow),
            Node::Play { .. } | Node::Return | Node::HangUp { .. } => {}
        }
    }

    fn hearing(&mut self, node: &str, hearing: &Hearing) {
        let Hearing::Grammar(values) = hearing else { return };
        self.range(Some(node), "the number of values", values.len() as u32, 1..=100);
        let mut seen = BTreeSet::new();
        for (value, phrases) in values {
            self.range(Some(node), "the number of phrases", phrases.len() as u32, 1..=100);
            for phrase in phrases {
                let heard = super::run::plain(phrase);
                if heard.is_empty() {
                    let why = format!("a phrase of {value:?} is empty");
                    self.error(node, "phrase.empty", why, "write what callers say, or remove it");
                } else if !seen.insert(heard) {
                    let why = format!("the phrase {phrase:?} is there twice");
                    self.error(node, "phrase.twice", why, "leave it with one value");
                }
            }
        }
    }

    fn condition(&mut self, node: &str, condition: &Condition) {
        let parts = condition.parts();
        if parts.len() > MAX_PARTS || parts.iter().any(|(_, depth)| *depth > MAX_DEPTH) {
            let why = "the condition is too large".to_owned();
            let fix = format!("use at most {MAX_PARTS} parts, {MAX_DEPTH} deep; or several nodes");
            return self.error(node, "condition.size", why, fix);
        }
        for (part, _) in parts {
            match part {
                Condition::Open(name) => self.refer(node, Thing::Calendar, name),
                Condition::CallerListed(name) => self.refer(node, Thing::List, name),
                Condition::Share(percent) => self.range(Some(node), "share", u32::from(*percent), 0..=100),
                Condition::Value { name, .. } if !is_name(name) => {
                    let why = format!("{name:?} cannot be the name of a value");
                    self.error(node, "value.name", why, "use 1 to 64 letters, digits, _, - and .");
                }
                _ => {}
            }
        }
    }

    fn request(&mut self, node: &str, request: &Request) {
        self.range(Some(node), "timeout_ms", request.timeout_ms, 100..=10_000);
        self.range(
            Some(node),
            "the number of headers",
            request.headers.len() as u32,
            0..=32,
        );
        self.range(
            Some(node),
            "the number of values to take",
            request.take.len() as u32,
            0..=64,
        );
        if request.url.problem().is_none() && !has_fixed_host(request.url.head()) {
            let why = "the URL does not begin with a fixed http:// or https:// and host".to_owned();
            let fix = "write scheme, host and the / after it as text; values may come in the path and the query";
            self.error(node, "http.url", why, fix);
        }
        if request.method == Method::Get && request.body.is_some() {
            let why = "a GET has no body".to_owned();
            self.error(node, "http.body", why, "use POST, or put the values into the URL");
        }
        for (header, _) in &request.headers {
            // RFC 9110 §5.6.2; and the headers that the platform itself writes.
            let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
            let own = [
                "host",
                "content-length",
                "connection",
                "transfer-encoding",
                "te",
                "upgrade",
            ];
            if header.is_empty() || !header.bytes().all(token) || own.contains(&&*header.to_ascii_lowercase()) {
                let why = format!("{header:?} is no header that can be set");
                self.error(node, "http.header", why, "use a header name of your own server");
            }
        }
        for (value, pointer) in &request.take {
            if !(pointer.is_empty() || pointer.starts_with('/')) || pointer.len() > 256 {
                let why = format!("what {value:?} is taken from is no JSON pointer");
                self.error(node, "http.take", why, "write it as /member/0/member (RFC 6901)");
            }
        }
    }
}

/// True if the beginning of a URL fixes its scheme and its whole host.
fn has_fixed_host(head: &str) -> bool {
    let rest = head.strip_prefix("https://").or_else(|| head.strip_prefix("http://"));
    let Some((host, _)) = rest.and_then(|r| r.split_once('/')) else {
        return false;
    };
    let (host, port) = match host.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (host, None),
    };
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-.[]:".contains(&b);
    !host.is_empty() && host.bytes().all(plain) && port.is_none_or(|p| p.parse::<u16>().is_ok_and(|p| p > 0))
}
