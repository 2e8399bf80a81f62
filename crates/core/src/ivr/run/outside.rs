//! What a run asks of others, and the values that it keeps.

use super::super::flow::{Name, Node, Party};
use super::super::io::{Action, Answer, Call, Fact, HandOver, Outcome, Step};
use super::super::template::{Place, Template};
use super::{PATIENT_MS, Run, State, VALUE_LENGTH, VALUES};
use crate::time::Stamp;
use std::borrow::Cow;
use std::collections::BTreeMap;

impl Run {
    pub(super) fn answered(&mut self, answer: Option<Answer>, now: Stamp, step: &mut Step) {
        let Some(Node::Http { request, next, failed }) = self.node().cloned() else {
            return;
        };
        let status = answer.as_ref().map(|a| a.status);
        step.facts.push(Fact::Answered { status });
        let text = status.map(|s| s.to_string()).unwrap_or_default();
        self.set("http.status", &text, false);
        let good = status.is_some_and(|s| (200..300).contains(&s));
        // What is not in the answer is not left over from another.
        let values = answer.map(|a| a.values).unwrap_or_default();
        for (name, pointer) in &request.take {
            let value = values.get(pointer).map(String::as_str).unwrap_or_default();
            self.set(name, value, false);
        }
        self.go(if good { next } else { failed }, now, step);
    }

    pub(super) fn hand_over(&mut self, node: &Node, now: Stamp, step: &mut Step) {
        let text = |t: &Template| self.render(t, Place::Text);
        let over = match node {
            Node::Queue { queue, priority, .. } => HandOver::Queue {
                queue: text(queue),
                priority: *priority,
            },
            Node::Transfer { to, ring_seconds, .. } => {
                let ring_seconds = *ring_seconds;
                match to {
                    Party::Agent(agent) => HandOver::Agent {
                        agent: text(agent),
                        ring_seconds,
                    },
                    Party::Device(device) => HandOver::Device {
                        device: text(device),
                        ring_seconds,
                    },
                    Party::Number(number) => HandOver::Number {
                        number: text(number),
                        ring_seconds,
                    },
                }
            }
            Node::Callback { queue, number, .. } => HandOver::Callback {
                queue: text(queue),
                number: text(number),
            },
            Node::Voicemail {
                mailbox,
                say,
                max_seconds,
                ..
            } => HandOver::Voicemail {
                mailbox: text(mailbox),
                say: self.said(say),
                max_seconds: *max_seconds,
            },
            _ => return,
        };
        self.ahead.clear();
        step.facts.push(Fact::HandedOver);
        step.actions.push(Action::HandOver(over));
        self.state = State::Away { since: now };
    }

    pub(super) fn back(&mut self, outcome: Outcome, now: Stamp, step: &mut Step) {
        let State::Away { since } = self.state else { return };
        // Time elsewhere is not time in the flow.
        let away = now.ms_since(since);
        self.ends_at = self.ends_at.plus_ms(away);
        if away >= PATIENT_MS {
            self.acted();
        }
        step.facts.push(Fact::CameBack(outcome));
        let to = match (self.node(), outcome) {
            (Some(Node::Callback { next, .. }), Outcome::Done) => Some(next.clone()),
            (Some(Node::Voicemail { next, .. }), _) => Some(next.clone()),
            (Some(Node::Queue { failed, .. } | Node::Transfer { failed, .. } | Node::Callback { failed, .. }), _) => {
                Some(failed.clone())
            }
            _ => None,
        };
        let to = to.or_else(|| self.fault("the call came back from nowhere".to_owned(), step));
        if let Some(to) = to {
            self.go(to, now, step);
        }
    }

    pub(super) fn render(&self, template: &Template, place: Place) -> String {
        template.render(place, |name| self.values.get(name).map(|v| Cow::Borrowed(v.as_str())))
    }

    pub(super) fn set(&mut self, name: &str, value: &str, secret: bool) {
        if self.values.len() >= VALUES && !self.values.contains_key(name) {
            return;
        }
        let value = value.chars().take(VALUE_LENGTH).collect();
        self.values.insert(name.to_owned(), value);
        if secret {
            self.secrets.insert(name.to_owned());
        } else {
            self.secrets.remove(name);
        }
    }

    pub(super) fn attach(&mut self, name: &str, step: &mut Step) {
        let value = self.values.get(name).map(String::as_str).unwrap_or_default();
        let value = if self.secrets.contains(name) {
            "*".repeat(value.chars().count())
        } else {
            value.to_owned()
        };
        self.attached.insert(name.to_owned(), value.clone());
        step.facts.push(Fact::Attached {
            name: name.to_owned(),
            value,
        });
    }
}

/// The values that every call has.
pub(super) fn given(call: &Call) -> BTreeMap<Name, String> {
    let text = |n: &crate::number::Number| n.as_str().to_owned();
    let all = [
        ("caller", call.caller.as_ref().map(text)),
        ("called", Some(text(&call.called))),
        ("conversation", Some(call.conversation.to_string())),
        ("province", call.region.as_ref().map(|r| r.province.clone())),
        ("city", call.region.as_ref().map(|r| r.city.clone())),
    ];
    let there = all.into_iter().filter_map(|(name, v)| Some((name.to_owned(), v?)));
    there.collect()
}
