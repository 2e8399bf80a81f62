//! Plans: what a conversation was asked to do, with every name resolved before it starts.

use super::layout::Sound;
use super::program::Rules;
use crate::event::{Created, DialogRef, Routed};
use crate::id::{AgentId, DeviceId, NoticeBatchId, TrunkId};
use crate::number::Number;
use crate::resource::AnswerRule;

/// Whom to call.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// A number, over the trunks.
    Number(Number),
    /// A device of the tenant.
    Device(DeviceId),
    /// An agent: all of its devices ring, or its mobile if that is what it is reached by.
    Agent(AgentId),
    /// One of the places where a device of the tenant is signed in, by its instance id (RFC 5627).
    Instance(DeviceId, String),
    /// A number, over this trunk only.
    Trunk(TrunkId, Number),
    /// A dialog of another conversation of ours, to take the place of a leg of it; its owner knows the way.
    Dialog,
}

/// One party of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct PartyPlan {
    /// Whom to call.
    pub target: Target,
    /// The number as the request spelled it; echoed in pushes and records.
    pub text: String,
    /// The number to show, as the request or the application's default spells it.
    pub cli: Option<String>,
}

/// A sound of the application's, found and measured when the command was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// Its name.
    pub name: String,
    /// Its length; bounds the wait for its end.
    pub millis: u32,
}

/// What the waiting party hears while another one is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ringback {
    /// The far network's own tones and announcements; a standard tone while it sends none.
    Transparent,
    /// The platform's sounds.
    Custom {
        /// Looped while it rings; a standard tone if absent.
        voice: Option<Prompt>,
        /// Played once if the call fails; a prompt by cause if absent.
        fail: Option<Prompt>,
    },
}

/// The platform dials one party, then the other.
#[derive(Clone, Debug, PartialEq)]
pub struct ClickPlan {
    /// Dialled first.
    pub caller: PartyPlan,
    /// Dialled when the first has answered and heard the greeting.
    pub callee: PartyPlan,
    /// To the caller before the callee is dialled.
    pub greeting: Option<Prompt>,
    /// To the caller while the callee is called.
    pub ringback: Ringback,
    /// To the caller when both have answered, before the bridge.
    pub caller_voice: Option<Prompt>,
    /// To the callee when both have answered, before the bridge.
    pub callee_voice: Option<Prompt>,
    /// To all, a minute before the end of a limited talk; a built-in prompt if absent.
    pub last_minute: Option<Prompt>,
    /// Seconds that each party may ring.
    pub ring_timeout: u32,
    /// Seconds that the record's first publication waits for its recording.
    pub record_wait: u32,
    /// What is done when a machine answers.
    pub answer: AnswerRule,
}

impl Ringback {
    fn prompts(&self) -> impl Iterator<Item = &Prompt> {
        let (voice, fail) = match self {
            Ringback::Transparent => (None, None),
            Ringback::Custom { voice, fail } => (voice.as_ref(), fail.as_ref()),
        };
        voice.into_iter().chain(fail)
    }
}

impl ClickPlan {
    /// Every prompt that the plan may play.
    pub fn prompts(&self) -> impl Iterator<Item = &Prompt> {
        let own = [
            &self.greeting,
            &self.caller_voice,
            &self.callee_voice,
            &self.last_minute,
        ];
        own.into_iter().flatten().chain(self.ringback.prompts())
    }
}

impl AddPlan {
    /// Every prompt that the plan may play.
    pub fn prompts(&self) -> impl Iterator<Item = &Prompt> {
        let own = [&self.greeting, &self.caller_voice, &self.callee_voice];
        own.into_iter().flatten().chain(self.ringback.prompts())
    }
}

/// A party is added to a talk.
#[derive(Clone, Debug, PartialEq)]
pub struct AddPlan {
    /// Whom.
    pub party: PartyPlan,
    /// To the host before the party is dialled.
    pub greeting: Option<Prompt>,
    /// To the host while the party is called.
    pub ringback: Ringback,
    /// To the host when the party has answered.
    pub caller_voice: Option<Prompt>,
    /// To the party before it joins.
    pub callee_voice: Option<Prompt>,
    /// Start a recording if none runs.
    pub record: bool,
    /// Seconds that the party may ring.
    pub ring_timeout: u32,
}

/// A call that came in goes to a target.
#[derive(Clone, Debug, PartialEq)]
pub struct ForwardPlan {
    /// The dialog of the incoming leg.
    pub dialog: DialogRef,
    /// Calling number as received.
    pub from: String,
    /// Called number as received.
    pub to: String,
    /// Where the call goes.
    pub party: PartyPlan,
    /// Seconds that the target may ring.
    pub ring_timeout: u32,
    /// Seconds that the record's first publication waits for its recording.
    pub record_wait: u32,
    /// The decision that sent it there, if rules did.
    pub routed: Option<Box<Routed>>,
}

/// A sound of a program.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// What is heard.
    pub sound: Sound,
    /// Its length, or a bound of it; bounds the wait for its end.
    pub millis: u32,
}

/// The platform calls one party and plays a program (voice-paas §4).
#[derive(Clone, Debug, PartialEq)]
pub struct NoticePlan {
    /// Whom.
    pub party: PartyPlan,
    /// What is heard, in order; all of it is one round.
    pub items: Vec<Item>,
    /// How often, and with which keys.
    pub rules: Rules,
    /// Heard after the finish key.
    pub finish_voice: Option<Item>,
    /// Seconds that the party may ring.
    pub ring_timeout: u32,
    /// Seconds from the answer to the forced end.
    pub max_secs: u32,
    /// What is done when a machine answers.
    pub answer: AnswerRule,
}

impl NoticePlan {
    /// Every sound that the plan may play.
    pub fn sounds(&self) -> impl Iterator<Item = &Sound> {
        self.items.iter().chain(&self.finish_voice).map(|item| &item.sound)
    }
}

/// One callee of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callee {
    /// Whom.
    pub number: Number,
    /// The number as the request spelled it.
    pub text: String,
    /// The toll rules close it: it is reported, and not dialled.
    pub closed: bool,
}

/// The same notice to many, each of whom is called at most once.
#[derive(Clone, PartialEq)]
pub struct NoticeBatch {
    /// Its id, which is also that of the request.
    pub id: NoticeBatchId,
    /// The head of each call, but for the number called.
    pub head: Created,
    /// The plan of each call, but for the number called.
    pub plan: NoticePlan,
    /// Who is called, in order.
    pub callees: Vec<Callee>,
}

impl NoticeBatch {
    /// The call to the callee with this position; `None` behind the last one.
    pub fn call(&self, n: u32) -> Option<(Created, NoticePlan)> {
        let callee = self.callees.get(n as usize)?;
        let (mut head, mut plan) = (self.head.clone(), self.plan.clone());
        head.dnis.clone_from(&callee.text);
        plan.party.text.clone_from(&callee.text);
        plan.party.target = Target::Number(callee.number.clone());
        Some((head, plan))
    }
}

impl std::fmt::Debug for NoticeBatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // It holds numbers by the thousand.
        f.debug_struct("NoticeBatch")
            .field("id", &self.id)
            .field("callees", &self.callees.len())
            .finish_non_exhaustive()
    }
}

/// A party hands its talk over.
#[derive(Clone, Debug, PartialEq)]
pub struct TransferPlan {
    /// To whom, by the tenant's routing and toll rules.
    pub party: PartyPlan,
    /// The party had a call of its own with the target before, and the new leg takes its place (RFC 3891).
    pub attended: bool,
}

/// A call that came in and takes the place of a leg.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplacePlan {
    /// The dialog of the incoming leg.
    pub dialog: DialogRef,
    /// Calling number as received.
    pub from: String,
    /// Called number as received.
    pub to: String,
}
