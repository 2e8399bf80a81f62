//! A call in a flow: a pure machine. It never waits for ever: every state but that of a call that was handed over has a
//! deadline, and a flow that turns in a circle is stopped.

use super::flow::{Flow, MAX_FLOW_DEPTH, Name, Node};
use super::io::{Action, Call, Fact, Input, Library, Outgoing, Over, Pressed, Step};
use super::template::Place;
use crate::cause::Cause;
use crate::route::Scene;
use crate::time::Stamp;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// No sound of a flow is longer; in milliseconds.
const PLAY_MS: u64 = 600_000;
/// What an engine may be late with its answer, in milliseconds.
const GRACE_MS: u64 = 2_000;
/// Nodes that may be entered while the caller does nothing and is nowhere else.
const CIRCLE: u32 = 100;
/// Nodes that may be entered in all.
const ENTERED: u32 = 10_000;
/// Keys that may be pressed ahead.
const AHEAD: usize = 32;
/// Keys that are kept in the path.
const PATH: usize = 256;
/// Values of a call, and their length in characters.
const VALUES: usize = 256;
const VALUE_LENGTH: usize = 1024;
/// A queue, a transfer or a message that took so long was no failure at once; in milliseconds.
const PATIENT_MS: u64 = 1_000;

mod ask;
mod outside;

pub(super) use ask::plain;
use outside::given;

#[derive(Clone, Debug)]
struct Frame {
    name: Name,
    flow: Arc<Flow>,
    node: Name,
}

#[derive(Clone, PartialEq, Eq)]
enum State {
    /// Plays something; then hangs up, or goes on.
    Playing {
        play: u32,
        until: Stamp,
        end: Option<Cause>,
    },
    Asking(Asking),
    Requesting {
        request: u32,
        until: Stamp,
    },
    Away {
        since: Stamp,
    },
    Over,
}

#[derive(Clone, PartialEq, Eq)]
struct Asking {
    asked: u8,
    /// The question, while it plays.
    play: Option<u32>,
    listen: Option<u32>,
    digits: String,
    until: Stamp,
}

/// What a run waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waits {
    /// The end of a sound, with this number; `key` if a key would be listened to.
    Sound {
        /// The number of the sound.
        play: u32,
        /// A key counts while it plays.
        key: bool,
    },
    /// A key.
    Key,
    /// Speech, with this number.
    Speech(u32),
    /// An answer of the tenant's server, with this number.
    Answer(u32),
    /// What the call was handed over to.
    Back,
    /// Nothing: the run is over.
    Nothing,
}

/// A call in a flow.
#[derive(Clone)]
pub struct Run {
    library: Arc<Library>,
    call: Call,
    frames: Vec<Frame>,
    state: State,
    values: BTreeMap<Name, String>,
    secrets: BTreeSet<Name>,
    attached: BTreeMap<Name, String>,
    path: Vec<Pressed>,
    ahead: VecDeque<char>,
    ends_at: Stamp,
    next_id: u32,
    circle: u32,
    entered: u32,
    faulted: bool,
}

impl Run {
    /// Brings a call into a flow of the library.
    pub fn begin(library: Arc<Library>, flow: &str, call: Call, now: Stamp) -> (Run, Step) {
        let found = library.flows.get(flow).cloned();
        let seconds = found.as_ref().map_or(0, |f| f.max_seconds);
        let mut run = Run {
            values: given(&call),
            library,
            call,
            frames: Vec::new(),
            state: State::Over,
            secrets: BTreeSet::new(),
            attached: BTreeMap::new(),
            path: Vec::new(),
            ahead: VecDeque::new(),
            ends_at: now.plus_secs(u64::from(seconds)),
            next_id: 0,
            circle: 0,
            entered: 0,
            faulted: false,
        };
        let mut step = Step::default();
        match found {
            Some(found) => {
                let start = found.start.clone();
                run.frames.push(Frame {
                    name: flow.to_owned(),
                    flow: found,
                    node: start.clone(),
                });
                run.go(start, now, &mut step);
            }
            None => {
                let next = run.fault(format!("there is no flow {flow:?}"), &mut step);
                debug_assert!(next.is_none(), "without a flow there is nowhere to go");
            }
        }
        step.deadline = run.deadline();
        (run, step)
    }

    /// Tells the run what happened.
    pub fn handle(&mut self, input: Input, now: Stamp) -> Step {
        let mut step = Step::default();
        let away = matches!(self.state, State::Away { .. });
        match input {
            _ if self.state == State::Over => {}
            Input::Gone => self.over(Over::Gone, &mut step),
            _ if !away && now >= self.ends_at => self.hang_up(Cause::MaxDuration, &mut step),
            Input::Key(key) => self.key(key, now, &mut step),
            Input::Time => self.time(now, &mut step),
            Input::PlayEnded(play) => self.play_ended(play, now, &mut step),
            Input::Unspoken(play) => self.unspoken(play, now, &mut step),
            Input::Heard(listen, text) => self.heard(listen, text.as_deref(), now, &mut step),
            Input::Answered(request, answer) => {
                if matches!(self.state, State::Requesting { request: r, .. } if r == request) {
                    self.answered(answer, now, &mut step);
                }
            }
            Input::Back(outcome) => self.back(outcome, now, &mut step),
        }
        step.deadline = self.deadline();
        step
    }

    /// The keys that were pressed in menus, with what they mean, in order.
    pub fn path(&self) -> &[Pressed] {
        &self.path
    }

    /// What goes with the call to the agent.
    pub fn attached(&self) -> &BTreeMap<Name, String> {
        &self.attached
    }

    /// The flow and the node in which the call is.
    pub fn place(&self) -> Option<(&str, &str)> {
        self.frames.last().map(|f| (f.name.as_str(), f.node.as_str()))
    }

    /// What it waits for.
    pub fn waits(&self) -> Waits {
        match &self.state {
            State::Playing { play, end, .. } => Waits::Sound {
                play: *play,
                key: end.is_none() && matches!(self.node(), Some(Node::Play { skip: true, .. })),
            },
            State::Asking(asking) => match (asking.play, asking.listen) {
                (Some(play), _) => Waits::Sound {
                    play,
                    key: !matches!(self.node(), Some(Node::Speech { .. })),
                },
                (None, Some(listen)) => Waits::Speech(listen),
                (None, None) => Waits::Key,
            },
            State::Requesting { request, .. } => Waits::Answer(*request),
            State::Away { .. } => Waits::Back,
            State::Over => Waits::Nothing,
        }
    }

    /// True when the run is over.
    pub fn is_over(&self) -> bool {
        self.state == State::Over
    }

    fn deadline(&self) -> Option<Stamp> {
        match &self.state {
            State::Playing { until, .. } | State::Requesting { until, .. } => Some((*until).min(self.ends_at)),
            State::Asking(asking) => Some(asking.until.min(self.ends_at)),
            State::Away { .. } | State::Over => None,
        }
    }

    fn flow(&self) -> Option<Arc<Flow>> {
        self.frames.last().map(|f| f.flow.clone())
    }

    fn node(&self) -> Option<&Node> {
        let frame = self.frames.last()?;
        frame.flow.nodes.get(&frame.node)
    }

    fn id(&mut self) -> u32 {
        self.next_id = self.next_id.wrapping_add(1);
        self.next_id
    }

    // ---- going from node to node

    fn go(&mut self, to: Name, now: Stamp, step: &mut Step) {
        let mut next = Some(to);
        while let Some(to) = next {
            next = self.enter(to, now, step);
        }
    }

    /// Enters a node; the next one, if it goes on at once.
    fn enter(&mut self, to: Name, now: Stamp, step: &mut Step) -> Option<Name> {
        self.circle += 1;
        self.entered += 1;
        if self.circle > CIRCLE || self.entered > ENTERED {
            return self.fault("the flow turns in a circle".to_owned(), step);
        }
        let Some(frame) = self.frames.last_mut() else {
            return self.fault("the call is in no flow".to_owned(), step);
        };
        frame.node.clone_from(&to);
        let flow = frame.flow.clone();
        step.facts.push(Fact::Entered {
            flow: frame.name.clone(),
            node: to.clone(),
        });
        let Some(node) = flow.nodes.get(&to) else {
            return self.fault(format!("there is no node {to:?}"), step);
        };
        match node {
            Node::Play { say, skip, next } => {
                if *skip && !self.ahead.is_empty() {
                    return Some(next.clone());
                }
                self.play(say, None, now, step);
                None
            }
            Node::Collect { .. } | Node::Speech { .. } | Node::Menu { .. } | Node::Survey { .. } => {
                self.ask(node, now, step)
            }
            Node::Branch { cases, otherwise } => Some(self.branch(&to, cases, otherwise, now, step)),
            Node::Set { values, next } => {
                for assign in values {
                    let secret = assign.value.names().any(|n| self.secrets.contains(n));
                    let value = self.render(&assign.value, Place::Text);
                    self.set(&assign.name, &value, secret);
                    if assign.attach {
                        self.attach(&assign.name, step);
                    }
                }
                Some(next.clone())
            }
            Node::Http { request, .. } => {
                let id = self.id();
                let outgoing = Outgoing {
                    id,
                    method: request.method,
                    url: self.render(&request.url, Place::Url),
                    headers: request
                        .headers
                        .iter()
                        .map(|(name, value)| (name.clone(), self.render(value, Place::Header)))
                        .collect(),
                    body: request.body.as_ref().map(|b| self.render(b, Place::Json)),
                    pointers: request.take.iter().map(|(_, pointer)| pointer.clone()).collect(),
                    timeout_ms: request.timeout_ms,
                };
                step.actions.push(Action::Send(outgoing));
                self.state = State::Requesting {
                    request: id,
                    until: now.plus_ms(u64::from(request.timeout_ms) + GRACE_MS),
                };
                None
            }
            Node::Call { flow: name, .. } => self.call(name, step),
            Node::Return => self.come_back(step),
            Node::HangUp { say, cause } if say.is_empty() => {
                self.hang_up(*cause, step);
                None
            }
            Node::HangUp { say, cause } => {
                self.play(say, Some(*cause), now, step);
                None
            }
            Node::Queue { .. } | Node::Transfer { .. } | Node::Callback { .. } | Node::Voicemail { .. } => {
                self.hand_over(node, now, step);
                None
            }
        }
    }

    fn branch(
        &mut self,
        at: &str,
        cases: &[(crate::route::Condition, Name)],
        otherwise: &Name,
        now: Stamp,
        step: &mut Step,
    ) -> Name {
        let scene = Scene {
            at: now,
            conversation: self.call.conversation,
            caller: self.call.caller.as_ref(),
            region: self.call.region.as_ref(),
            called: &self.call.called,
            values: &self.values,
            shelf: &self.library.shelf,
        };
        // A share belongs to its node, and to its flow.
        let place = format!("{}/{at}", self.frames.last().map_or("", |f| f.name.as_str()));
        for (n, (condition, to)) in cases.iter().enumerate() {
            let verdict = condition.ask(&scene, &place);
            if verdict.holds {
                step.facts.push(Fact::Branched {
                    exit: format!("case {}", n + 1),
                    why: verdict.why,
                });
                return to.clone();
            }
        }
        step.facts.push(Fact::Branched {
            exit: "otherwise".to_owned(),
            why: "no case holds".to_owned(),
        });
        otherwise.clone()
    }

    fn call(&mut self, name: &str, step: &mut Step) -> Option<Name> {
        if self.frames.len() >= MAX_FLOW_DEPTH {
            return self.fault(format!("more than {MAX_FLOW_DEPTH} flows call one another"), step);
        }
        let Some(flow) = self.library.flows.get(name).cloned() else {
            return self.fault(format!("there is no flow {name:?}"), step);
        };
        let start = flow.start.clone();
        self.frames.push(Frame {
            name: name.to_owned(),
            flow,
            node: start.clone(),
        });
        Some(start)
    }

    fn come_back(&mut self, step: &mut Step) -> Option<Name> {
        if self.frames.len() <= 1 {
            self.hang_up(Cause::Normal, step);
            return None;
        }
        self.frames.pop();
        match self.node() {
            Some(Node::Call { next, .. }) => Some(next.clone()),
            _ => self.fault("the flow that called this one is not where it was".to_owned(), step),
        }
    }

    /// The flow failed: its way for that, once, else the end of the call.
    fn fault(&mut self, why: String, step: &mut Step) -> Option<Name> {
        step.facts.push(Fact::Fault(why));
        self.frames.truncate(1);
        let way = self.frames.first().and_then(|f| f.flow.on_fault.clone());
        match way.filter(|_| !self.faulted) {
            Some(way) => {
                self.faulted = true;
                self.circle = 0;
                self.entered = 0;
                Some(way)
            }
            None => {
                self.hang_up(Cause::SystemError, step);
                None
            }
        }
    }

    fn hang_up(&mut self, cause: Cause, step: &mut Step) {
        self.quiet(step);
        step.actions.push(Action::HangUp(cause));
        self.over(Over::HungUp(cause), step);
    }

    fn over(&mut self, how: Over, step: &mut Step) {
        self.state = State::Over;
        step.facts.push(Fact::Over(how));
    }
}
