//! What is shown of a desk.

use strowger_core::centre::acd::{Board, ChatLoad, QueueFact};
use strowger_core::centre::agent::{Change, Client, Overlays, State, Verb};
use strowger_core::event::AnsweredBy;
use strowger_core::{AgentId, ApplicationId, ConversationId, GroupId, LegSeq, QueueId, Stamp, TenantId};

/// An agent as it is now.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentView {
    /// Who.
    pub agent: AgentId,
    /// Its application.
    pub application: ApplicationId,
    /// Where it stands.
    pub state: State,
    /// Since when.
    pub since: Stamp,
    /// Why on break or not ready.
    pub reason: String,
    /// When wrap-up ends by itself.
    pub wrap_up_until: Option<Stamp>,
    /// What is shown beside the state.
    pub overlays: Overlays,
    /// The groups that it serves.
    pub groups: Vec<GroupId>,
    /// The call that it has.
    pub conversation: Option<ConversationId>,
    /// Its chat slot.
    pub chats: Option<ChatLoad>,
    /// What it may ask now: exactly what would be accepted (I23).
    pub allowed: Vec<Verb>,
    /// Position of its newest change.
    pub seq: u64,
}

/// A queue as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueView {
    /// Its figures.
    pub board: Board,
    /// Its application.
    pub application: ApplicationId,
}

/// A desk as it is now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// Agents by id.
    pub agents: Vec<AgentView>,
    /// Queues by id.
    pub queues: Vec<QueueView>,
}

impl Snapshot {
    /// An agent.
    pub fn agent(&self, id: AgentId) -> Option<&AgentView> {
        self.agents.iter().find(|a| a.agent == id)
    }

    /// A queue.
    pub fn queue(&self, id: QueueId) -> Option<&QueueView> {
        self.queues.iter().find(|q| q.board.queue == id)
    }
}

/// Something that happened at a desk.
#[derive(Clone, Debug, PartialEq)]
pub enum CentreEvent {
    /// An agent changed.
    Agent {
        /// Whose.
        tenant: TenantId,
        /// Who.
        agent: AgentId,
        /// Position in its log.
        seq: u64,
        /// What.
        change: Change,
        /// The call that it has.
        conversation: Option<ConversationId>,
    },
    /// A client lost its place to a newer one of the same kind.
    Kicked {
        /// Whose.
        tenant: TenantId,
        /// The agent of both.
        agent: AgentId,
        /// The older client.
        client: Client,
        /// When.
        at: Stamp,
    },
    /// Something happened in a chat. Told when it is written.
    Chat {
        /// Whose.
        tenant: TenantId,
        /// The agent that it is about, or that has the chat.
        agent: Option<AgentId>,
        /// What.
        fact: strowger_core::chat::Fact,
    },
    /// It was judged who has answered a call of a contact centre. Told when it is handed to the journal.
    AnsweredBy {
        /// Whose.
        tenant: TenantId,
        /// The call.
        conversation: ConversationId,
        /// Number of the leg in it.
        leg: LegSeq,
        /// An agent that takes part.
        agent: Option<AgentId>,
        /// Who.
        who: AnsweredBy,
        /// How sure that is: 0-100.
        confidence: u8,
        /// When.
        at: Stamp,
    },
    /// A queue changed.
    Queue {
        /// Whose.
        tenant: TenantId,
        /// What.
        fact: QueueFact,
        /// Its figures afterwards; `None` for one that is gone.
        board: Option<Board>,
    },
}

impl CentreEvent {
    /// Whose it is.
    pub const fn tenant(&self) -> TenantId {
        match self {
            CentreEvent::Agent { tenant, .. }
            | CentreEvent::Kicked { tenant, .. }
            | CentreEvent::Chat { tenant, .. }
            | CentreEvent::AnsweredBy { tenant, .. }
            | CentreEvent::Queue { tenant, .. } => *tenant,
        }
    }
}
