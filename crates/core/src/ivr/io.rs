//! What goes into a run of a flow and what comes out of it.

use super::flow::{Flow, Hearing, Method, Name};
use crate::cause::Cause;
use crate::id::ConversationId;
use crate::number::Number;
use crate::route::{Region, Shelf};
use crate::spoken::{Kind, Language};
use crate::time::Stamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a run refers to, as it was when the call came in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Library {
    /// The published flows of the application.
    pub flows: BTreeMap<Name, Arc<Flow>>,
    /// Its calendars and lists.
    pub shelf: Shelf,
}

/// The call that is in a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Which.
    pub conversation: ConversationId,
    /// Who calls; `None` if the number is withheld.
    pub caller: Option<Number>,
    /// What was called.
    pub called: Number,
    /// Where the caller is from, if that is known.
    pub region: Option<Region>,
}

/// What can happen to a run.
#[derive(Clone, PartialEq, Eq)]
pub enum Input {
    /// What was played is over, or could not be played.
    PlayEnded(u32),
    /// A text of what was to be played cannot be spoken: the flow has failed.
    Unspoken(u32),
    /// A key was pressed.
    Key(char),
    /// What was said; `None` if nothing was understood.
    Heard(u32, Option<String>),
    /// The answer to a request; `None` if there was none.
    Answered(u32, Option<Answer>),
    /// What the call was handed over to gives it back.
    Back(Outcome),
    /// The deadline is over.
    Time,
    /// The caller has hung up, or the call left the flow by a command.
    Gone,
}

impl std::fmt::Debug for Input {
    /// Without keys, speech and answers: they may be codes and names.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Input::PlayEnded(_) => "PlayEnded",
            Input::Unspoken(_) => "Unspoken",
            Input::Key(_) => "Key(…)",
            Input::Heard(_, Some(_)) => "Heard(…)",
            Input::Heard(_, None) => "Heard(nothing)",
            Input::Answered(_, Some(_)) => "Answered(…)",
            Input::Answered(_, None) => "Answered(nothing)",
            Input::Back(Outcome::Done) => "Back(Done)",
            Input::Back(Outcome::Failed) => "Back(Failed)",
            Input::Time => "Time",
            Input::Gone => "Gone",
        })
    }
}

/// An answer of the tenant's server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// What is at the pointers that were asked for, as text; what is not there is left out.
    pub values: BTreeMap<String, String>,
}

/// How a call comes back to its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// What was asked for is done, and the caller is still there: a message taken, a call back noted.
    Done,
    /// It could not be done: queue full or given up, nobody answered, request refused.
    Failed,
}

/// Something to be heard, with its values in it.
#[derive(Clone, PartialEq, Eq)]
pub enum Said {
    /// A prompt, by name.
    Prompt(Name),
    /// A text for text to speech.
    Text(String),
    /// Something read out from recorded units.
    Spoken(Kind, String),
    /// Silence, in milliseconds.
    Pause(u32),
}

impl std::fmt::Debug for Said {
    /// Without the texts: they may hold what a caller keyed in.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Said::Prompt(name) => write!(f, "Prompt({name:?})"),
            Said::Text(_) => f.write_str("Text(…)"),
            Said::Spoken(kind, _) => write!(f, "Spoken({}, …)", kind.name()),
            Said::Pause(ms) => write!(f, "Pause({ms})"),
        }
    }
}

/// To what a call is handed over. It comes back by [`Input::Back`], or ends by [`Input::Gone`].
#[derive(Clone, PartialEq, Eq)]
pub enum HandOver {
    /// Into a queue.
    Queue {
        /// By name or id.
        queue: String,
        /// Added to the queue's own; see [`Queue::moved`](crate::centre::resource::Queue::moved).
        priority: i16,
    },
    /// To an agent.
    Agent {
        /// By login name or id.
        agent: String,
        /// How long it rings.
        ring_seconds: u16,
    },
    /// To a device.
    Device {
        /// By name or id.
        device: String,
        /// How long it rings.
        ring_seconds: u16,
    },
    /// To a telephone number, as it was written.
    Number {
        /// The number.
        number: String,
        /// How long it rings.
        ring_seconds: u16,
    },
    /// A request to be called back.
    Callback {
        /// The queue, by name or id.
        queue: String,
        /// The number, as it was written.
        number: String,
    },
    /// A message.
    Voicemail {
        /// The owner, by name or id.
        mailbox: String,
        /// Heard before the tone.
        say: Vec<Said>,
        /// The longest message.
        max_seconds: u16,
    },
}

impl std::fmt::Debug for HandOver {
    /// Without numbers.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            HandOver::Queue { queue, .. } => write!(f, "Queue({queue:?})"),
            HandOver::Agent { agent, .. } => write!(f, "Agent({agent:?})"),
            HandOver::Device { device, .. } => write!(f, "Device({device:?})"),
            HandOver::Number { .. } => f.write_str("Number(…)"),
            HandOver::Callback { queue, .. } => write!(f, "Callback({queue:?}, …)"),
            HandOver::Voicemail { mailbox, .. } => write!(f, "Voicemail({mailbox:?})"),
        }
    }
}

/// A request to the tenant's server, ready to be sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// To be given back with the answer.
    pub id: u32,
    /// How.
    pub method: Method,
    /// Where to.
    pub url: String,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// Body, JSON.
    pub body: Option<String>,
    /// What is wanted of the answer: JSON pointers (RFC 6901).
    pub pointers: Vec<String>,
    /// How long it may take.
    pub timeout_ms: u32,
}

impl std::fmt::Debug for Outgoing {
    /// Without URL, headers and body: values are in them.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Outgoing({}, {})", self.id, self.method.name())
    }
}

/// A text that an engine is to speak.
#[derive(Clone, PartialEq, Eq)]
pub struct Utterance {
    /// To be given back with the sound.
    pub id: u32,
    /// The text.
    pub text: String,
    /// Its language.
    pub language: Language,
}

impl std::fmt::Debug for Utterance {
    /// Without the text: it may hold what a caller keyed in.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Utterance({})", self.id)
    }
}

/// Speech that an engine is to listen to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listening {
    /// To be given back with what was said.
    pub id: u32,
    /// The language.
    pub language: Language,
    /// How long the caller may be silent, in milliseconds.
    pub wait_ms: u32,
    /// How long it may speak, in milliseconds.
    pub max_ms: u32,
}

/// What is to be done, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Plays these, instead of what is playing; ends with [`Input::PlayEnded`] and this number.
    Play(u32, Vec<Said>),
    /// Stops what is playing; nothing is reported.
    Stop,
    /// Listens; ends with [`Input::Heard`] and this number.
    Listen {
        /// To be given back.
        id: u32,
        /// For what; a recogniser may use the phrases as hints. What they mean is judged here.
        hearing: Hearing,
        /// The language.
        language: Language,
        /// How long the caller may be silent.
        wait_ms: u32,
        /// How long it may speak.
        max_ms: u32,
    },
    /// Listens no more; nothing is reported.
    StopListening,
    /// Sends a request; ends with [`Input::Answered`].
    Send(Outgoing),
    /// Hands the call over.
    HandOver(HandOver),
    /// Ends the call. The run is over.
    HangUp(Cause),
}

/// What happened in a flow, for the journal. No digits and nothing that was said: what a flow means to keep, it attaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A node was entered.
    Entered {
        /// The flow.
        flow: Name,
        /// The node.
        node: Name,
    },
    /// A key of a menu.
    Pressed(Pressed),
    /// Digits were taken.
    Collected {
        /// The value they became.
        into: Name,
        /// How many.
        digits: usize,
    },
    /// Speech was understood.
    Understood {
        /// The value it became.
        into: Name,
    },
    /// The caller did not do as it was asked.
    Missed {
        /// It did something else; false if it did nothing.
        invalid: bool,
    },
    /// A branch was taken.
    Branched {
        /// Which exit.
        exit: String,
        /// Why.
        why: String,
    },
    /// A value goes with the call.
    Attached {
        /// Its name.
        name: Name,
        /// The value; stars for a secret.
        value: String,
    },
    /// The tenant's server answered, or did not.
    Answered {
        /// Its status.
        status: Option<u16>,
    },
    /// A survey's question was answered.
    Scored {
        /// What it is filed under.
        name: Name,
        /// The score.
        score: i16,
    },
    /// The call was handed over.
    HandedOver,
    /// It came back.
    CameBack(Outcome),
    /// The flow failed.
    Fault(String),
    /// The run is over.
    Over(Over),
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// The flow ended the call.
    HungUp(Cause),
    /// The caller left, or the call left the flow by a command.
    Gone,
}

/// A key that was pressed in a menu.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pressed {
    /// The key.
    pub key: char,
    /// What it means.
    pub label: String,
}

/// What came of one input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// To be done, in order.
    pub actions: Vec<Action>,
    /// What happened.
    pub facts: Vec<Fact>,
    /// When to call with [`Input::Time`], unless something else happens before.
    pub deadline: Option<Stamp>,
}
