use super::{OnRepeat, OnTimer};
use crate::api::{Time, Timers};

/// Server transaction of all requests but INVITE and ACK (RFC 3261 §17.2.2).
///
/// ```text
///  request ──► Trying ──1xx──► Proceeding ──200-699──► Completed ──J──► Terminated
///              repeat: absorb  repeat: 1xx again       repeat: response again
///              nobody answers in time: timed out
/// ```
#[derive(Debug, Clone, Copy)]
pub struct ServerOther {
    state: State,
    timers: Timers,
    reliable: bool,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// `give_up` is when whoever should answer is asked no longer.
    Trying {
        give_up: Option<Time>,
    },
    Proceeding,
    Completed {
        until: Time,
    },
    Terminated,
}

impl ServerOther {
    /// The request has just arrived.
    pub fn new(timers: Timers, reliable: bool) -> Self {
        ServerOther {
            state: State::Trying { give_up: None },
            timers,
            reliable,
        }
    }

    /// The request has just arrived, and somebody else has until `give_up` to answer it.
    pub fn awaiting(timers: Timers, reliable: bool, give_up: Time) -> Self {
        ServerOther {
            state: State::Trying { give_up: Some(give_up) },
            timers,
            reliable,
        }
    }

    /// A response with this status is being sent.
    pub fn respond(&mut self, status: u16, now: Time) {
        self.state = match (self.state, status) {
            (State::Trying { .. } | State::Proceeding, 100..=199) => State::Proceeding,
            // Timer J: 64·T1 on unreliable transports, zero on reliable ones.
            (State::Trying { .. } | State::Proceeding, _) => State::Completed {
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
            State::Trying { .. } | State::Terminated => OnRepeat::Absorb,
        }
    }

    /// Time has passed. [`OnTimer::TimedOut`] means that a response is overdue; the transaction goes on.
    pub fn timer(&mut self, now: Time) -> OnTimer {
        match self.state {
            State::Trying { give_up: Some(at) } if at <= now => {
                self.state = State::Trying { give_up: None };
                OnTimer::TimedOut
            }
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
            State::Trying { give_up } => give_up,
            State::Proceeding | State::Terminated => None,
        }
    }
}
