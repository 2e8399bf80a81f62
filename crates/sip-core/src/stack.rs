//! The user agent core. See the crate documentation for the calling contract.

use crate::api::*;

/// A SIP user agent without I/O.
pub struct Stack {
    config: StackConfig,
}

impl Stack {
    /// A stack with nothing in it.
    pub fn new(config: StackConfig) -> Stack {
        Stack { config }
    }

    /// Digests one input. Afterwards call [`Stack::poll`] until it returns `None`.
    pub fn handle(&mut self, _input: Input, _now: Time) {}

    /// The next output, in order.
    pub fn poll(&mut self) -> Option<Output> {
        None
    }

    /// When [`Input::Tick`] is due.
    pub fn next_deadline(&self) -> Option<Time> {
        None
    }

    /// Opens or closes the door for new incoming calls.
    pub fn set_overload(&mut self, _overload: Overload) {}

    /// Sizes and counters.
    pub fn stats(&self) -> StackStats {
        let _ = &self.config;
        StackStats::default()
    }
}
