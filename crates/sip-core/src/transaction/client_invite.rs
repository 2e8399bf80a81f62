use super::{OnResponse, OnTimer};
use crate::api::{Time, Timers};

/// INVITE client transaction (RFC 3261 §17.1.1, RFC 6026 §8.4).
///
/// ```text
///            send                       1xx
///             │                    ┌───────────┐
///         ┌───▼────┐   1xx    ┌────┴─────┐     │
///    A: ┌─┤Calling ├──────────►Proceeding◄─────┘
///  send └─►        │          └─┬──────┬─┘ give-up after CANCEL (§9.1): timed out
///         └┬──┬──┬─┘            │      │
///  B: timed│  │  │ 300-699: ACK │      │ 2xx
///   out    │  │  └────────────┬─┘      │
///          │  └───────────────│──┬─────┘
///          │           ┌──────▼──┐  ┌──▼─────┐
///          │   repeat: │Completed│  │Accepted│ repeat or another 2xx: to the user
///          │      ACK  └────┬────┘  └───┬────┘
///          ▼         D      ▼     M     ▼
///      Terminated ◄─────────┴───────────┘
/// ```
#[derive(Debug, Clone, Copy)]
pub struct ClientInvite {
    state: State,
    timers: Timers,
    reliable: bool,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// `resend_at` is `None` on reliable transports and after the user stopped the repetition.
    Calling {
        resend_at: Option<Time>,
        interval: u64,
        give_up: Time,
    },
    Proceeding {
        give_up: Option<Time>,
    },
    Completed {
        until: Time,
    },
    Accepted {
        until: Time,
    },
    Terminated,
}

impl ClientInvite {
    /// The request is being sent now.
    pub fn new(timers: Timers, reliable: bool, now: Time) -> Self {
        // Timer A starts at T1 and timer B at 64·T1 (§17.1.1.2).
        let resend_at = (!reliable).then(|| now.plus(timers.t1));
        let state = State::Calling {
            resend_at,
            interval: timers.t1,
            give_up: now.plus(64 * timers.t1),
        };
        ClientInvite {
            state,
            timers,
            reliable,
        }
    }

    /// The request was sent in a former life (import of an unanswered call), and is being cancelled.
    pub fn resumed(timers: Timers, reliable: bool, now: Time) -> Self {
        let state = State::Proceeding {
            give_up: Some(now.plus(64 * timers.t1)),
        };
        ClientInvite {
            state,
            timers,
            reliable,
        }
    }

    /// A response with this status arrived.
    pub fn response(&mut self, status: u16, now: Time) -> OnResponse {
        match (self.state, status) {
            (State::Calling { .. }, 100..=199) => {
                self.state = State::Proceeding { give_up: None };
                OnResponse::Pass
            }
            (State::Proceeding { .. }, 100..=199) => OnResponse::Pass,
            // RFC 6026 §8.4: 2xx no longer ends the transaction, timer M does.
            (State::Calling { .. } | State::Proceeding { .. }, 200..=299) => {
                self.state = State::Accepted {
                    until: now.plus(64 * self.timers.t1),
                };
                OnResponse::Pass
            }
            (State::Accepted { .. }, 200..=299) => OnResponse::Pass,
            // Timer D is at least 32 s on unreliable transports and zero on reliable ones (§17.1.1.2).
            (State::Calling { .. } | State::Proceeding { .. }, _) => {
                let until = if self.reliable {
                    now
                } else {
                    now.plus((64 * self.timers.t1).max(32_000_000))
                };
                self.state = State::Completed { until };
                OnResponse::PassAndAck
            }
            (State::Completed { .. }, 300..) => OnResponse::Ack,
            (State::Completed { .. } | State::Accepted { .. } | State::Terminated, _) => OnResponse::Absorb,
        }
    }

    /// Time has passed.
    pub fn timer(&mut self, now: Time) -> OnTimer {
        match &mut self.state {
            // Timer B, or the end of the wait after a CANCEL (§9.1).
            State::Calling { give_up, .. } | State::Proceeding { give_up: Some(give_up) } if *give_up <= now => {
                self.state = State::Terminated;
                OnTimer::TimedOut
            }
            // Timer A doubles without a limit.
            State::Calling {
                resend_at: Some(at),
                interval,
                ..
            } if *at <= now => {
                *interval *= 2;
                *at = now.plus(*interval);
                OnTimer::Resend
            }
            // Timers D and M.
            State::Completed { until } | State::Accepted { until } if *until <= now => {
                self.state = State::Terminated;
                OnTimer::Done
            }
            _ => OnTimer::Nothing,
        }
    }

    /// When [`ClientInvite::timer`] is due.
    pub fn deadline(&self) -> Option<Time> {
        match self.state {
            State::Calling { resend_at, give_up, .. } => Some(resend_at.map_or(give_up, |at| at.min(give_up))),
            State::Proceeding { give_up } => give_up,
            State::Completed { until } | State::Accepted { until } => Some(until),
            State::Terminated => None,
        }
    }

    /// True while no response has come.
    pub fn is_calling(&self) -> bool {
        matches!(self.state, State::Calling { .. })
    }

    /// True while no final response has come.
    pub fn is_pending(&self) -> bool {
        matches!(self.state, State::Calling { .. } | State::Proceeding { .. })
    }

    /// True in Accepted.
    pub fn is_accepted(&self) -> bool {
        matches!(self.state, State::Accepted { .. })
    }

    /// Stops timer A; the transaction goes on listening until timer B.
    pub fn stop_resending(&mut self) {
        if let State::Calling { resend_at, .. } = &mut self.state {
            *resend_at = None;
        }
    }

    /// CANCEL has left: a final response must come within 64·T1, or the transaction counts as cancelled (§9.1).
    pub fn cancelled(&mut self, now: Time) {
        if let State::Proceeding { give_up } = &mut self.state {
            *give_up = Some(now.plus(64 * self.timers.t1));
        }
    }
}
