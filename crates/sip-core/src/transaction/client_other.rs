use super::{OnResponse, OnTimer};
use crate::api::{Time, Timers};

/// Client transaction of all requests but INVITE and ACK (RFC 3261 §17.1.2).
///
/// ```text
///          send
///           │
///       ┌───▼──┐  1xx   ┌──────────┐
///  E: ┌─┤Trying├────────►Proceeding├─┐ E: send every T2
///     └─►      │        │          ◄─┘
///       └─┬──┬─┘        └──┬─────┬─┘
///         │  └─200-699─────┤     │ F: timed out
/// F: timed│         ┌──────▼──┐  │
///     out │         │Completed│  │
///         ▼         └────┬────┘  ▼
///     Terminated ◄───K───┴───────┘
/// ```
#[derive(Debug, Clone, Copy)]
pub struct ClientOther {
    state: State,
    timers: Timers,
    reliable: bool,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Trying {
        resend_at: Option<Time>,
        interval: u64,
        give_up: Time,
    },
    Proceeding {
        resend_at: Option<Time>,
        give_up: Time,
    },
    Completed {
        until: Time,
    },
    Terminated,
}

impl ClientOther {
    /// The request is being sent now.
    pub fn new(timers: Timers, reliable: bool, now: Time) -> Self {
        let resend_at = (!reliable).then(|| now.plus(timers.t1));
        let state = State::Trying {
            resend_at,
            interval: timers.t1,
            give_up: now.plus(64 * timers.t1),
        };
        ClientOther {
            state,
            timers,
            reliable,
        }
    }

    /// A response with this status arrived.
    pub fn response(&mut self, status: u16, now: Time) -> OnResponse {
        match (self.state, status) {
            (State::Trying { give_up, .. } | State::Proceeding { give_up, .. }, 100..=199) => {
                let resend_at = (!self.reliable).then(|| now.plus(self.timers.t2));
                self.state = State::Proceeding { resend_at, give_up };
                OnResponse::Pass
            }
            (State::Trying { .. } | State::Proceeding { .. }, _) => {
                // Timer K: T4 on unreliable transports, zero on reliable ones (§17.1.2.2).
                let until = if self.reliable { now } else { now.plus(self.timers.t4) };
                self.state = State::Completed { until };
                OnResponse::Pass
            }
            (State::Completed { .. } | State::Terminated, _) => OnResponse::Absorb,
        }
    }

    /// Time has passed.
    pub fn timer(&mut self, now: Time) -> OnTimer {
        let t2 = self.timers.t2;
        match &mut self.state {
            // Timer F.
            State::Trying { give_up, .. } | State::Proceeding { give_up, .. } if *give_up <= now => {
                self.state = State::Terminated;
                OnTimer::TimedOut
            }
            // Timer E doubles up to T2.
            State::Trying {
                resend_at: Some(at),
                interval,
                ..
            } if *at <= now => {
                *interval = (*interval * 2).min(t2);
                *at = now.plus(*interval);
                OnTimer::Resend
            }
            State::Proceeding {
                resend_at: Some(at), ..
            } if *at <= now => {
                *at = now.plus(t2);
                OnTimer::Resend
            }
            // Timer K.
            State::Completed { until } if *until <= now => {
                self.state = State::Terminated;
                OnTimer::Done
            }
            _ => OnTimer::Nothing,
        }
    }

    /// When [`ClientOther::timer`] is due.
    pub fn deadline(&self) -> Option<Time> {
        match self.state {
            State::Trying { resend_at, give_up, .. } | State::Proceeding { resend_at, give_up } => {
                Some(resend_at.map_or(give_up, |at| at.min(give_up)))
            }
            State::Completed { until } => Some(until),
            State::Terminated => None,
        }
    }

    /// True while no final response has come.
    pub fn is_pending(&self) -> bool {
        matches!(self.state, State::Trying { .. } | State::Proceeding { .. })
    }
}
