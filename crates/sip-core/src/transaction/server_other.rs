use super::{OnRepeat, OnTimer};
use crate::api::{Time, Timers};

/// Server transaction of all requests but INVITE and ACK (RFC 3261 §17.2.2).
///
/// ```text
///  request ──► Trying ──1xx──► Proceeding ──200-699──► Completed ──J──► Terminated
///              repeat: absorb  repeat: 1xx again       repeat: response again
/// ```
#[derive(Debug, Clone, Copy)]
pub struct ServerOther {
    state: State,
    timers: Timers,
    reliable: bool,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Trying,
    Proceeding,
    Completed { until: Time },
    Terminated,
}

impl ServerOther {
    /// The request has just arrived.
    pub fn new(timers: Timers, reliable: bool) -> Self {
        ServerOther {
            state: State::Trying,
            timers,
            reliable,
        }
    }

    /// A response with this status is being sent.
    pub fn respond(&mut self, status: u16, now: Time) {
        self.state = match (self.state, status) {
            (State::Trying | State::Proceeding, 100..=199) => State::Proceeding,
            // Timer J: 64·T1 on unreliable transports, zero on reliable ones.
            (State::Trying | State::Proceeding, _) => State::Completed {
                until: if self.reliable {
                    now
                } else {
                    now.plus(64 * self.timers.t1)
                },
            },
            (state, _) => state,
        };
    }

    /// The request arrived again.
    pub fn repeat(&mut self) -> OnRepeat {
        match self.state {
            State::Proceeding | State::Completed { .. } => OnRepeat::Resend,
            State::Trying | State::Terminated => OnRepeat::Absorb,
        }
    }

    /// Time has passed.
    pub fn timer(&mut self, now: Time) -> OnTimer {
        match self.state {
            State::Completed { until } if until <= now => {
                self.state = State::Terminated;
                OnTimer::Done
            }
            _ => OnTimer::Nothing,
        }
    }

    /// When [`ServerOther::timer`] is due.
    pub fn deadline(&self) -> Option<Time> {
        match self.state {
            State::Completed { until } => Some(until),
            State::Trying | State::Proceeding | State::Terminated => None,
        }
    }
}
