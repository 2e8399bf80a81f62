//! What is asked of a floor, and what came of it.

use std::collections::BTreeMap;
use std::time::Duration;

/// When a customer leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Leaves {
    /// It stays; the agent hangs up.
    Never,
    /// With a CANCEL behind its INVITE, which crosses the answer.
    AtOnce,
    /// As soon as it hears the music.
    Waiting,
    /// When an agent's telephone begins to ring.
    Ringing,
    /// When the agent's telephone answers: its BYE crosses the 200.
    Answering,
    /// When it has talked for as long as agents do.
    Talking,
}

impl Leaves {
    /// All of them.
    pub const ALL: [Leaves; 6] = [
        Leaves::Never,
        Leaves::AtOnce,
        Leaves::Waiting,
        Leaves::Ringing,
        Leaves::Answering,
        Leaves::Talking,
    ];
}

/// How agents are.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// From the INVITE to the answer; a telephone rings in between.
    pub rings: Duration,
    /// From the answer until somebody hangs up.
    pub talks: Duration,
    /// Nobody answers before this many telephones ring for the same call; then they all do in one moment.
    pub together: usize,
}

impl Default for Manner {
    fn default() -> Self {
        Manner {
            rings: Duration::ZERO,
            talks: Duration::from_millis(100),
            together: 1,
        }
    }
}

/// What customers do.
#[derive(Clone, Copy, Debug)]
pub struct Load<'a> {
    /// What they call.
    pub number: &'a str,
    /// How many.
    pub calls: u64,
    /// A second; without it each calls when the one before has been answered.
    pub rate: Option<f64>,
    /// When the nth leaves: each in its turn.
    pub leaves: &'a [Leaves],
    /// Time for what is left after the last call was begun.
    pub patience: Duration,
}

/// What came of a load.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Customers that called.
    pub started: u64,
    /// Calls that the platform answered.
    pub accepted: u64,
    /// Calls that were over on every telephone, each as its customer's way of leaving has it.
    pub well: u64,
    /// The others, with what was odd about them.
    pub odd: Vec<String>,
    /// Requests that were sent again.
    pub repeated: u64,
    /// INVITE to 200 at the customer.
    pub setup: Vec<Duration>,
    /// INVITE of the customer to the first INVITE at an agent.
    pub to_ring: Vec<Duration>,
    /// 200 at the customer to the first INVITE at an agent; zero if it came before.
    pub ring_after_answer: Vec<Duration>,
    /// How late calls were begun.
    pub lateness: Vec<Duration>,
    /// The calls' numbers in the order in which agents were rung.
    pub rung: Vec<u64>,
    /// Agents that a call rang at, and how each telephone was told that it was over.
    pub ends: BTreeMap<u64, Vec<Ended>>,
}

/// How a ringing or talking telephone was told that it was over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The agent.
    pub agent: String,
    /// `CANCEL` or `BYE`; empty if the agent hung up itself.
    pub by: String,
    /// Its header Reason, or that of a CANCEL that came after the telephone had answered.
    pub reason: String,
}

/// A share of delays in milliseconds; 0 of none.
pub fn share_ms(delays: &mut [Duration], share: f64) -> f64 {
    delays.sort_unstable();
    let at = ((delays.len() as f64 * share) as usize).min(delays.len().saturating_sub(1));
    delays.get(at).map_or(0.0, |d| d.as_secs_f64() * 1e3)
}
