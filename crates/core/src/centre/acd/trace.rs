//! Why a call was offered to whom: kept with the decision, so that it can be explained, and asked again of another
//! configuration.

use crate::id::{AgentId, ConversationId, QueueId};
use crate::time::Stamp;

/// Agents that a trace names besides the chosen ones.
pub(super) const NAMED: usize = 32;

/// One decision of the router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The call.
    pub conversation: ConversationId,
    /// Its queue.
    pub queue: QueueId,
    /// When.
    pub at: Stamp,
    /// Milliseconds that it had waited.
    pub waited_ms: u64,
    /// The lowest level that could have it at that moment.
    pub demanded: u8,
    /// Who was chosen, and why it came first.
    pub chosen: Vec<(AgentId, Verdict)>,
    /// Members of the group that were not, at most 32 of them.
    pub passed: Vec<Passed>,
}

/// A member of the group that was not chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed {
    /// Who.
    pub agent: AgentId,
    /// Why not.
    pub why: Verdict,
}

/// Why an agent was chosen, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It had this caller's last call.
    LastAgent,
    /// First by the queue's strategy.
    First,
    /// Everybody free is rung.
    All,
    /// Another one comes before it.
    After,
    /// It cannot be offered a call now.
    Busy,
    /// It takes no inbound calls.
    CallOnly,
    /// Its device cannot be reached.
    DeviceLost,
    /// Its level is too low for so short a wait.
    Level,
    /// It missed this call a moment ago.
    Excluded,
}

impl Verdict {
    /// As the native API writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Verdict::LastAgent => "last-agent",
            Verdict::First => "first",
            Verdict::All => "all",
            Verdict::After => "after",
            Verdict::Busy => "busy",
            Verdict::CallOnly => "call-only",
            Verdict::DeviceLost => "device-lost",
            Verdict::Level => "level",
            Verdict::Excluded => "excluded",
        }
    }
}
