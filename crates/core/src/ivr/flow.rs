//! A flow as data: nodes with names, and the ways between them.

use super::template::Template;
use crate::cause::Cause;
use crate::route::Condition;
use crate::spoken::{Kind, Language};
use std::collections::BTreeMap;

/// The most nodes of a flow.
pub const MAX_NODES: usize = 500;
/// How deep flows may call one another.
pub const MAX_FLOW_DEPTH: usize = 8;

/// The name of a node, of a flow, or of something that a flow refers to.
pub type Name = String;

/// A dialogue with a caller: nodes, of which one is the first.
#[derive(Clone, Debug, PartialEq)]
pub struct Flow {
    /// Where a call enters.
    pub start: Name,
    /// Where a call goes once when the flow itself fails, as by turning in a circle. Without it, the call ends.
    pub on_fault: Option<Name>,
    /// Language of what is spoken, and of speech that is listened to.
    pub language: Language,
    /// The longest that a call stays in the flow, waiting in queues and transfers left out; in seconds.
    pub max_seconds: u32,
    /// The nodes.
    pub nodes: BTreeMap<Name, Node>,
}

/// Something that is heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Say {
    /// A prompt, by name.
    Prompt(Name),
    /// A text for text to speech.
    Text(Template),
    /// A date, an amount, a number or digits, read out from recorded units.
    Spoken(Kind, Template),
    /// Silence, in milliseconds.
    Pause(u32),
}

/// How often a caller is asked, and what it hears when it did not do as it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tries {
    /// How often it is asked in all, at least 1.
    pub count: u8,
    /// How long it may be silent after the question, in milliseconds.
    pub wait_ms: u32,
    /// Heard before the question is repeated, after a wrong answer.
    pub invalid: Vec<Say>,
    /// The same, after none.
    pub no_input: Vec<Say>,
}

impl Default for Tries {
    fn default() -> Tries {
        Tries {
            count: 3,
            wait_ms: 5000,
            invalid: Vec::new(),
            no_input: Vec::new(),
        }
    }
}

/// A key of a menu.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// `0-9`, `*` or `#`.
    pub key: char,
    /// What it means, kept in the path that was pressed.
    pub label: String,
    /// Where it leads.
    pub next: Name,
}

/// What speech is listened for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hearing {
    /// Whatever is said, as text.
    Free,
    /// One of these values; each is meant when one of its phrases is in what was said.
    Grammar(Vec<(String, Vec<String>)>),
}

/// HTTP methods that a flow may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET.
    Get,
    /// POST.
    Post,
    /// PUT.
    Put,
    /// PATCH.
    Patch,
    /// DELETE.
    Delete,
}

impl Method {
    /// All, for tables and tests.
    pub const ALL: [Method; 5] = [Method::Get, Method::Post, Method::Put, Method::Patch, Method::Delete];

    /// As it is written in a request.
    pub const fn name(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        }
    }

    /// The method with this [`name`](Method::name).
    pub fn from_name(name: &str) -> Option<Method> {
        Method::ALL.into_iter().find(|m| m.name() == name)
    }
}

/// A request to the tenant's own server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// How.
    pub method: Method,
    /// Where to; scheme and host are fixed text.
    pub url: Template,
    /// Headers.
    pub headers: Vec<(String, Template)>,
    /// The body, sent as JSON; none for GET.
    pub body: Option<Template>,
    /// Values to take from the answer: the name, and a JSON pointer (RFC 6901) into the body.
    pub take: Vec<(Name, String)>,
    /// How long it may take, in milliseconds.
    pub timeout_ms: u32,
}

/// To whom a call is transferred.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Party {
    /// An agent, by login name or id.
    Agent(Template),
    /// A device, by name or id.
    Device(Template),
    /// A telephone number.
    Number(Template),
}

/// A step of the dialogue.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// Plays something.
    Play {
        /// What.
        say: Vec<Say>,
        /// A key ends it, and counts as the first key of what follows.
        skip: bool,
        /// What comes after.
        next: Name,
    },
    /// Takes digits.
    Collect {
        /// The question.
        say: Vec<Say>,
        /// The value that they become.
        into: Name,
        /// At least so many.
        min: u8,
        /// At most so many; the last one ends it.
        max: u8,
        /// The key that ends it, not part of the value.
        finish: Option<char>,
        /// How long the next digit may take, in milliseconds.
        between_ms: u32,
        /// The value is a secret: no fact, trace or attached data shows it.
        secret: bool,
        /// How often.
        tries: Tries,
        /// With the value.
        next: Name,
        /// When all tries are used up.
        failed: Name,
    },
    /// Listens to speech.
    Speech {
        /// The question.
        say: Vec<Say>,
        /// For what.
        hearing: Hearing,
        /// The value that it becomes.
        into: Name,
        /// How long the caller may speak, in milliseconds.
        max_ms: u32,
        /// How often.
        tries: Tries,
        /// With the value.
        next: Name,
        /// When all tries are used up.
        failed: Name,
    },
    /// Offers keys.
    Menu {
        /// The question.
        say: Vec<Say>,
        /// The keys.
        choices: Vec<Choice>,
        /// How often.
        tries: Tries,
        /// When all tries are used up.
        failed: Name,
    },
    /// Goes on by the first condition that holds.
    Branch {
        /// In order.
        cases: Vec<(Condition, Name)>,
        /// When none holds.
        otherwise: Name,
    },
    /// Sets values.
    Set {
        /// In order; a later one may use an earlier one.
        values: Vec<Assign>,
        /// What comes after.
        next: Name,
    },
    /// Asks the tenant's own server.
    Http {
        /// What.
        request: Request,
        /// After an answer with a status of 200 to 299.
        next: Name,
        /// After any other answer, and after none in time.
        failed: Name,
    },
    /// Puts the call into a queue.
    Queue {
        /// Which, by name or id.
        queue: Template,
        /// Above 0 is before, below is after the others.
        priority: i16,
        /// When the queue has given up: full, closed, nobody there, waited too long.
        failed: Name,
    },
    /// Transfers the call.
    Transfer {
        /// To whom.
        to: Party,
        /// How long it may ring, in seconds.
        ring_seconds: u16,
        /// When nobody answered.
        failed: Name,
    },
    /// Takes a request for a call back, and keeps the place in the queue for it.
    Callback {
        /// The queue, by name or id.
        queue: Template,
        /// The number to call.
        number: Template,
        /// When it was taken.
        next: Name,
        /// When it was not: no such number, or one is open already.
        failed: Name,
    },
    /// Takes a message.
    Voicemail {
        /// The queue or agent whose it is, by name or id.
        mailbox: Template,
        /// Heard before the tone.
        say: Vec<Say>,
        /// The longest message, in seconds.
        max_seconds: u16,
        /// When it was taken and the caller is still there.
        next: Name,
    },
    /// Asks how it was.
    Survey {
        /// What the score is filed under.
        name: Name,
        /// The question.
        say: Vec<Say>,
        /// Keys, what they are called, and what they score.
        keys: Vec<(char, String, i16)>,
        /// How often.
        tries: Tries,
        /// With or without a score.
        next: Name,
    },
    /// Runs another flow, and goes on when it returns.
    Call {
        /// Which.
        flow: Name,
        /// What comes after.
        next: Name,
    },
    /// Ends a flow that another one called; ends the call in the outermost one.
    Return,
    /// Ends the call.
    HangUp {
        /// Heard before.
        say: Vec<Say>,
        /// Why.
        cause: Cause,
    },
}

/// A value that is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assign {
    /// Its name.
    pub name: Name,
    /// What it becomes.
    pub value: Template,
    /// It goes with the call to the agent (accompanying data).
    pub attach: bool,
}

/// A way out of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit<'a> {
    /// Its name, as the trace and the findings have it.
    pub name: String,
    /// The node it leads to.
    pub to: &'a str,
    /// It is taken only after the caller did something, or after real time has passed elsewhere.
    pub patient: bool,
}

impl Node {
    /// What kind of node it is, in one word of the wire form.
    pub const fn kind(&self) -> &'static str {
        match self {
            Node::Play { .. } => "play",
            Node::Collect { .. } => "collect",
            Node::Speech { .. } => "speech",
            Node::Menu { .. } => "menu",
            Node::Branch { .. } => "branch",
            Node::Set { .. } => "set",
            Node::Http { .. } => "http",
            Node::Queue { .. } => "queue",
            Node::Transfer { .. } => "transfer",
            Node::Callback { .. } => "callback",
            Node::Voicemail { .. } => "voicemail",
            Node::Survey { .. } => "survey",
            Node::Call { .. } => "flow",
            Node::Return => "return",
            Node::HangUp { .. } => "hang_up",
        }
    }

    /// The ways out of it, in the order in which they are written.
    pub fn exits(&self) -> Vec<Exit<'_>> {
        let exit = |name: &str, to, patient| Exit {
            name: name.to_owned(),
            to,
            patient,
        };
        match self {
            Node::Play { next, .. } | Node::Set { next, .. } | Node::Call { next, .. } => {
                vec![exit("next", next, false)]
            }
            Node::Collect { next, failed, .. } | Node::Speech { next, failed, .. } => {
                vec![exit("next", next, true), exit("failed", failed, false)]
            }
            Node::Http { next, failed, .. } | Node::Callback { next, failed, .. } => {
                vec![exit("next", next, false), exit("failed", failed, false)]
            }
            Node::Menu { choices, failed, .. } => {
                let keys = choices.iter().map(|c| exit(&format!("key {}", c.key), &c.next, true));
                keys.chain([exit("failed", failed, false)]).collect()
            }
            Node::Branch { cases, otherwise } => {
                let of = cases.iter().enumerate();
                let of = of.map(|(n, (_, to))| exit(&format!("case {}", n + 1), to, false));
                of.chain([exit("otherwise", otherwise, false)]).collect()
            }
            Node::Queue { failed, .. } | Node::Transfer { failed, .. } => vec![exit("failed", failed, true)],
            Node::Voicemail { next, .. } => vec![exit("next", next, true)],
            Node::Survey { next, .. } => vec![exit("next", next, false)],
            Node::Return | Node::HangUp { .. } => Vec::new(),
        }
    }

    /// Everything it may say, with a word for the place.
    pub fn says(&self) -> Vec<(&'static str, &[Say])> {
        match self {
            Node::Play { say, .. } | Node::Voicemail { say, .. } | Node::HangUp { say, .. } => vec![("say", say)],
            Node::Collect { say, tries, .. }
            | Node::Speech { say, tries, .. }
            | Node::Menu { say, tries, .. }
            | Node::Survey { say, tries, .. } => {
                vec![("say", say), ("invalid", &tries.invalid), ("no_input", &tries.no_input)]
            }
            _ => Vec::new(),
        }
    }

    /// How often it asks, if it asks.
    pub const fn tries(&self) -> Option<&Tries> {
        match self {
            Node::Collect { tries, .. }
            | Node::Speech { tries, .. }
            | Node::Menu { tries, .. }
            | Node::Survey { tries, .. } => Some(tries),
            _ => None,
        }
    }

    /// The templates in it, with a word for the place; what it says is among them.
    pub fn templates(&self) -> Vec<(&'static str, &Template)> {
        let mut all = Vec::new();
        for (place, say) in self.says() {
            all.extend(say.iter().filter_map(|s| match s {
                Say::Text(t) | Say::Spoken(_, t) => Some((place, t)),
                Say::Prompt(_) | Say::Pause(_) => None,
            }));
        }
        match self {
            Node::Set { values, .. } => all.extend(values.iter().map(|a| ("values", &a.value))),
            Node::Http { request, .. } => {
                all.push(("url", &request.url));
                all.extend(request.headers.iter().map(|(_, t)| ("headers", t)));
                all.extend(request.body.iter().map(|t| ("body", t)));
            }
            Node::Queue { queue, .. } => all.push(("queue", queue)),
            Node::Transfer { to, .. } => match to {
                Party::Agent(t) | Party::Device(t) | Party::Number(t) => all.push(("to", t)),
            },
            Node::Callback { queue, number, .. } => all.extend([("queue", queue), ("number", number)]),
            Node::Voicemail { mailbox, .. } => all.push(("mailbox", mailbox)),
            _ => {}
        }
        all
    }

    /// The names of the values that it may set.
    pub fn sets(&self) -> Vec<&str> {
        match self {
            Node::Collect { into, .. } | Node::Speech { into, .. } => vec![into],
            Node::Set { values, .. } => values.iter().map(|a| a.name.as_str()).collect(),
            Node::Http { request, .. } => request.take.iter().map(|(name, _)| name.as_str()).collect(),
            Node::Survey { name, .. } => vec![name],
            _ => Vec::new(),
        }
    }
}

/// The keys of a telephone. A to D are events of RFC 4733, but no telephone has them.
pub const fn is_key(c: char) -> bool {
    matches!(c, '0'..='9' | '*' | '#')
}
