//! A dry run: takes a flow without a call through a list of what a caller and the servers would do, and says what happens.

use super::flow::Name;
use super::io::{Action, Answer, Call, Fact, HandOver, Input, Library, Outcome, Over, Pressed, Said, Step};
use super::run::{Run, Waits};
use crate::time::Stamp;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// The most inputs of a dry run.
pub const MAX_INPUTS: usize = 500;
/// The most lines of a trace.
pub const MAX_LINES: usize = 5_000;
/// How long a sound takes in a dry run, in milliseconds: its true length is not known here.
const SOUND_MS: u64 = 1_000;
/// How long a caller takes to press a key.
const KEY_MS: u64 = 200;

/// What a dry run is given, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// Keys, pressed one after the other as soon as they count.
    Keys(String),
    /// The caller does nothing until it is asked again or the flow goes on.
    Silence,
    /// The caller says this.
    Says(String),
    /// The tenant's server answers this, or nothing.
    Answers(Option<Answer>),
    /// What the call was handed over to gives it back.
    Back(Outcome),
    /// So many milliseconds pass where the call was handed over to.
    Passes(u64),
    /// The caller hangs up.
    Gone,
}

/// A line of the trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Milliseconds since the call came in; sounds count a second each.
    pub at_ms: u64,
    /// The flow.
    pub flow: Name,
    /// The node.
    pub node: Name,
    /// What happens there.
    pub what: String,
}

/// How a dry run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The run was over.
    Over(Over),
    /// The inputs were used up; what the run waits for.
    Waits(&'static str),
    /// The next input is not what the run waits for: the input's number from 0, and what it waits for.
    Unfit(usize, &'static str),
    /// The trace became too long.
    Long,
}

/// What happened in a dry run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// In order.
    pub lines: Vec<Line>,
    /// The keys pressed in menus.
    pub path: Vec<Pressed>,
    /// What would go with the call.
    pub attached: BTreeMap<Name, String>,
    /// How it ended.
    pub end: End,
    /// Inputs that were not used.
    pub unused: usize,
}

struct Walk {
    run: Run,
    outermost: Name,
    begun: Stamp,
    now: Stamp,
    deadline: Option<Stamp>,
    over: Option<Over>,
    lines: Vec<Line>,
    keys: VecDeque<char>,
    inputs: VecDeque<Given>,
    used: usize,
}

/// Takes a call through a flow. Of the inputs, [`MAX_INPUTS`] count.
pub fn walk(library: Arc<Library>, flow: &str, call: Call, begun: Stamp, inputs: &[Given]) -> Trace {
    let (run, step) = Run::begin(library, flow, call, begun);
    let mut walk = Walk {
        run,
        outermost: flow.to_owned(),
        begun,
        now: begun,
        deadline: None,
        over: None,
        lines: Vec::new(),
        keys: VecDeque::new(),
        inputs: inputs.iter().take(MAX_INPUTS).cloned().collect(),
        used: 0,
    };
    walk.note(step);
    let end = loop {
        if let Some(over) = walk.over {
            break End::Over(over);
        }
        if walk.lines.len() >= MAX_LINES {
            break End::Long;
        }
        if let Err(waits) = walk.next() {
            break match walk.inputs.is_empty() {
                true => End::Waits(waits),
                false => End::Unfit(walk.used, waits),
            };
        }
    };
    Trace {
        lines: walk.lines,
        path: walk.run.path().to_vec(),
        attached: walk.run.attached().clone(),
        end,
        unused: walk.inputs.len(),
    }
}

impl Walk {
    fn feed(&mut self, after_ms: u64, input: Input) {
        self.now = self.now.plus_ms(after_ms);
        let step = self.run.handle(input, self.now);
        self.note(step);
    }

    /// Lets time pass until the run does something by itself.
    fn silence(&mut self) {
        let after = self.deadline.map_or(0, |d| d.ms_since(self.now));
        self.feed(after, Input::Time);
    }

    fn take(&mut self) -> Option<Given> {
        self.used += 1;
        self.inputs.pop_front()
    }

    /// One input, or the end of a sound.
    ///
    /// # Errors
    /// What the run waits for, if the next input is not that.
    fn next(&mut self) -> Result<(), &'static str> {
        let waits = self.run.waits();
        if self.keys.is_empty() {
            match self.inputs.front() {
                Some(Given::Keys(keys)) if matches!(waits, Waits::Key | Waits::Sound { key: true, .. }) => {
                    self.keys = keys.chars().collect();
                    self.take();
                    return Ok(());
                }
                Some(Given::Gone) => {
                    self.take();
                    self.feed(KEY_MS, Input::Gone);
                    return Ok(());
                }
                _ => {}
            }
        }
        let next = self.inputs.front().cloned();
        match (waits, next) {
            (Waits::Sound { key: true, .. } | Waits::Key, _) if !self.keys.is_empty() => {
                let key = self.keys.pop_front().unwrap_or('0');
                self.feed(KEY_MS, Input::Key(key));
                return Ok(());
            }
            (Waits::Sound { play, .. }, _) => {
                self.feed(SOUND_MS, Input::PlayEnded(play));
                return Ok(());
            }
            (Waits::Key | Waits::Speech(_) | Waits::Answer(_), Some(Given::Silence)) => self.silence(),
            (Waits::Speech(listen), Some(Given::Says(text))) => self.feed(SOUND_MS, Input::Heard(listen, Some(text))),
            (Waits::Answer(request), Some(Given::Answers(answer))) => {
                self.feed(KEY_MS, Input::Answered(request, answer));
            }
            (Waits::Back, Some(Given::Back(outcome))) => self.feed(KEY_MS, Input::Back(outcome)),
            (Waits::Back, Some(Given::Passes(ms))) => self.now = self.now.plus_ms(ms),
            (Waits::Key, _) => return Err("a key: give keys or silence"),
            (Waits::Speech(_), _) => return Err("speech: give what is said, or silence"),
            (Waits::Answer(_), _) => return Err("an answer of the server: give one, or silence"),
            (Waits::Back, _) => return Err("the call's return from where it was handed over to: give back or gone"),
            (Waits::Nothing, _) => return Err("nothing"),
        }
        self.take();
        Ok(())
    }

    fn note(&mut self, step: Step) {
        self.deadline = step.deadline;
        let mut flow = self.lines.last().map_or(&self.outermost, |l| &l.flow).clone();
        let mut node = self.lines.last().map_or("", |l| &l.node).to_owned();
        let at_ms = self.now.ms_since(self.begun);
        for fact in step.facts {
            if let Fact::Entered { flow: f, node: n } = &fact {
                flow.clone_from(f);
                node.clone_from(n);
            }
            if let Fact::Over(over) = fact {
                self.over = Some(over);
            }
            self.lines.push(Line {
                at_ms,
                flow: flow.clone(),
                node: node.clone(),
                what: happened(&fact),
            });
        }
        for action in step.actions {
            if let Some(what) = done(&action) {
                self.lines.push(Line {
                    at_ms,
                    flow: flow.clone(),
                    node: node.clone(),
                    what,
                });
            }
        }
    }
}

fn happened(fact: &Fact) -> String {
    match fact {
        Fact::Entered { .. } => "enters".to_owned(),
        Fact::Pressed(p) => format!("key {}: {}", p.key, p.label),
        Fact::Collected { into, digits } => format!("{digits} digits become {into}"),
        Fact::Understood { into } => format!("what was said becomes {into}"),
        Fact::Missed { invalid: true } => "the answer does not fit".to_owned(),
        Fact::Missed { invalid: false } => "there is no answer".to_owned(),
        Fact::Branched { exit, why } => format!("{exit}: {why}"),
        Fact::Attached { name, value } => format!("attaches {name} = {value:?}"),
        Fact::Answered { status: Some(status) } => format!("the server answers {status}"),
        Fact::Answered { status: None } => "the server does not answer".to_owned(),
        Fact::Scored { name, score } => format!("{name} scores {score}"),
        Fact::HandedOver => "hands the call over".to_owned(),
        Fact::CameBack(Outcome::Done) => "the call comes back: done".to_owned(),
        Fact::CameBack(Outcome::Failed) => "the call comes back: failed".to_owned(),
        Fact::Fault(why) => format!("the flow fails: {why}"),
        Fact::Over(Over::Gone) => "the caller is gone".to_owned(),
        Fact::Over(Over::HungUp(cause)) => format!("the call ends: {}", cause.name()),
    }
}

fn heard(said: &[Said]) -> String {
    let one = |s: &Said| match s {
        Said::Prompt(name) => format!("prompt {name}"),
        Said::Text(text) => format!("{text:?}"),
        Said::Spoken(kind, text) => format!("{} {text:?}", kind.name()),
        Said::Pause(ms) => format!("{ms} ms of silence"),
    };
    said.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn done(action: &Action) -> Option<String> {
    Some(match action {
        Action::Play(_, said) => format!("plays {}", heard(said)),
        Action::Listen { .. } => "listens".to_owned(),
        Action::Send(out) => format!("asks {} {}", out.method.name(), out.url),
        Action::HandOver(over) => match over {
            HandOver::Queue { queue, priority } => format!("to queue {queue} with priority {priority}"),
            HandOver::Agent { agent, .. } => format!("to agent {agent}"),
            HandOver::Device { device, .. } => format!("to device {device}"),
            HandOver::Number { number, .. } => format!("to number {number}"),
            HandOver::Callback { queue, number } => format!("call back to {number} from queue {queue}"),
            HandOver::Voicemail { mailbox, .. } => format!("a message for {mailbox}"),
        },
        Action::Stop | Action::StopListening | Action::HangUp(_) => return None,
    })
}
