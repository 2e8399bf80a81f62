//! Flows in virtual time: every node, the check, the dry run, and random flows with random callers.

mod checks;
mod nodes;
mod random;

use super::flow::{Assign, Choice, Flow, Hearing, Method, Node, Party, Request, Say, Tries};
use super::io::{Call, Library};
use super::template::Template;
use super::walk::{Given, Trace, walk};
use crate::cause::Cause;
use crate::id::ConversationId;
use crate::number::{CHINA, Number};
use crate::route::Region;
use crate::spoken::Language;
use crate::time::Stamp;
use std::sync::Arc;

fn text(t: &str) -> Vec<Say> {
    vec![Say::Text(Template::new(t))]
}

fn prompt(name: &str) -> Vec<Say> {
    vec![Say::Prompt(name.to_owned())]
}

fn hang_up() -> Node {
    Node::HangUp {
        say: vec![],
        cause: Cause::Normal,
    }
}

fn play(what: &str, next: &str) -> Node {
    Node::Play {
        say: text(what),
        skip: false,
        next: next.to_owned(),
    }
}

fn choice(key: char, label: &str, next: &str) -> Choice {
    Choice {
        key,
        label: label.to_owned(),
        next: next.to_owned(),
    }
}

fn tries(count: u8) -> Tries {
    Tries {
        count,
        wait_ms: 5000,
        invalid: text("that is no choice"),
        no_input: text("nothing was pressed"),
    }
}

fn menu(choices: Vec<Choice>, failed: &str) -> Node {
    Node::Menu {
        say: prompt("menu"),
        choices,
        tries: tries(3),
        failed: failed.to_owned(),
    }
}

fn queue(name: &str, failed: &str) -> Node {
    Node::Queue {
        queue: Template::new(name),
        priority: 0,
        failed: failed.to_owned(),
    }
}

fn flow(nodes: Vec<(&str, Node)>) -> Flow {
    Flow {
        start: nodes.first().map_or("start", |(n, _)| n).to_owned(),
        on_fault: None,
        language: Language::English,
        max_seconds: 600,
        nodes: nodes.into_iter().map(|(n, node)| (n.to_owned(), node)).collect(),
    }
}

fn call() -> Call {
    Call {
        conversation: ConversationId(99 << 16),
        caller: Some(Number::parse("13800138000", CHINA).unwrap()),
        called: Number::parse("95588", CHINA).unwrap(),
        region: Some(Region {
            province: "北京市".into(),
            city: String::new(),
        }),
    }
}

fn library(flows: Vec<(&str, Flow)>) -> Arc<Library> {
    Arc::new(Library {
        flows: flows.into_iter().map(|(n, f)| (n.to_owned(), Arc::new(f))).collect(),
        ..Library::default()
    })
}

/// A dry run of one flow.
fn dry(nodes: Vec<(&str, Node)>, inputs: &[Given]) -> Trace {
    walk(library(vec![("main", flow(nodes))]), "main", call(), Stamp(0), inputs)
}

/// The lines of a trace but for "enters", as `node: what`.
fn lines(trace: &Trace) -> Vec<String> {
    let told = trace.lines.iter().filter(|l| l.what != "enters");
    told.map(|l| format!("{}: {}", l.node, l.what)).collect()
}

fn request(method: Method, url: &str) -> Request {
    Request {
        method,
        url: Template::new(url),
        headers: vec![],
        body: None,
        take: vec![],
        timeout_ms: 3000,
    }
}

fn assign(name: &str, value: &str, attach: bool) -> Assign {
    Assign {
        name: name.to_owned(),
        value: Template::new(value),
        attach,
    }
}

fn transfer(to: Party, failed: &str) -> Node {
    Node::Transfer {
        to,
        ring_seconds: 30,
        failed: failed.to_owned(),
    }
}

fn grammar() -> Hearing {
    let values = |v: &str, phrases: &[&str]| (v.to_owned(), phrases.iter().map(|p| (*p).to_owned()).collect());
    Hearing::Grammar(vec![
        values("sales", &["sales", "buy something", "买"]),
        values("no", &["no"]),
        values("service", &["customer service", "service"]),
    ])
}
