use super::{OnRepeat, OnTimer};
use crate::api::{Time, Timers};

/// §13.3.1.1: a call that rings or waits for long repeats its provisional response every minute, or proxies on the way
/// cancel it (timer C is three minutes).
const REMINDER: u64 = 60_000_000;

/// INVITE server transaction (RFC 3261 §17.2.1, RFC 6026 §8.5).
///
/// The repetition of a 2xx until its ACK is the transaction user's task (§13.3.1.4). It is driven from the Accepted
/// state all the same, because it lives exactly as long.
///
/// ```text
///          INVITE
///            │ 100
///       ┌────▼─────┐
///       │Proceeding│ INVITE, or a minute without another one: repeat the last 1xx
///       └─┬──────┬─┘
///  300-699│      │ 2xx
///    ┌────▼────┐ └──────► Accepted: repeat 2xx at T1, doubled up to T2, until ACK
/// G: │Completed│              │ L without ACK: timed out · L after ACK: done
///    └─┬─────┬─┘              │
///  ACK │     │ H: done        │
///  ┌───▼─────┐│               │
///  │Confirmed││               │
///  └───┬─────┘│               │
///    I ▼      ▼               ▼
///      Terminated ◄───────────┘
/// ```
#[derive(Debug, Clone, Copy)]
pub struct ServerInvite {
    state: State,
    timers: Timers,
    reliable: bool,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// `remind_at` is set once a response other than 100 has left.
    Proceeding {
        remind_at: Option<Time>,
    },
    Completed {
        resend_at: Option<Time>,
        interval: u64,
        until: Time,
    },
    Confirmed {
        until: Time,
    },
    /// `resend_at` is `None` once the ACK has come.
    Accepted {
        resend_at: Option<Time>,
        interval: u64,
        until: Time,
    },
    Terminated,
}

impl ServerInvite {
    /// The request has just arrived.
    pub fn new(timers: Timers, reliable: bool) -> Self {
        ServerInvite {
            state: State::Proceeding { remind_at: None },
            timers,
            reliable,
        }
    }

    /// True until a final response is sent.
    pub fn is_proceeding(&self) -> bool {
        matches!(self.state, State::Proceeding { .. })
    }

    /// True after a 2xx was sent.
    pub fn is_accepted(&self) -> bool {
        matches!(self.state, State::Accepted { .. })
    }

    /// A response with this status is being sent; final ones only once.
    pub fn respond(&mut self, status: u16, now: Time) {
        let Timers { t1, .. } = self.timers;
        self.state = match (self.state, status) {
            (State::Proceeding { .. }, 200..=299) => State::Accepted {
                resend_at: Some(now.plus(t1)),
                interval: t1,
                until: now.plus(64 * t1),
            },
            (State::Proceeding { .. }, 101..=199) => State::Proceeding {
                remind_at: Some(now.plus(REMINDER)),
            },
            // Timers G and H.
            (State::Proceeding { .. }, 300..) => {
                let resend_at = (!self.reliable).then(|| now.plus(t1));
                State::Completed {
                    resend_at,
                    interval: t1,
                    until: now.plus(64 * t1),
                }
            }
            (state, _) => state,
        };
    }

    /// The INVITE arrived again.
    pub fn repeat(&mut self) -> OnRepeat {
        match self.state {
            State::Proceeding { .. } | State::Completed { .. } => OnRepeat::Resend,
            State::Accepted { .. } | State::Confirmed { .. } | State::Terminated => OnRepeat::Absorb,
        }
    }

    /// ACK to a 300-699, which belongs to the transaction.
    pub fn ack(&mut self, now: Time) {
        if let State::Completed { .. } = self.state {
            // Timer I: T4 on unreliable transports, zero on reliable ones.
            let until = if self.reliable { now } else { now.plus(self.timers.t4) };
            self.state = State::Confirmed { until };
        }
    }

    /// ACK to a 2xx, which belongs to the dialog. Returns true if it is the first one.
    pub fn ack_2xx(&mut self) -> bool {
        match &mut self.state {
            State::Accepted { resend_at, .. } => resend_at.take().is_some(),
            _ => false,
        }
    }

    /// Time has passed. [`OnTimer::TimedOut`] means that a 2xx was never acknowledged.
    pub fn timer(&mut self, now: Time) -> OnTimer {
        let t2 = self.timers.t2;
        match &mut self.state {
            State::Accepted { resend_at, until, .. } if *until <= now => {
                let acknowledged = resend_at.is_none();
                self.state = State::Terminated;
                if acknowledged { OnTimer::Done } else { OnTimer::TimedOut }
            }
            State::Completed { until, .. } | State::Confirmed { until } if *until <= now => {
                self.state = State::Terminated;
                OnTimer::Done
            }
            State::Proceeding { remind_at: Some(at) } if *at <= now => {
                *at = now.plus(REMINDER);
                OnTimer::Resend
            }
            // Timer G, and the repetition of a 2xx: doubled up to T2.
            State::Completed {
                resend_at: Some(at),
                interval,
                ..
            }
            | State::Accepted {
                resend_at: Some(at),
                interval,
                ..
            } if *at <= now => {
                *interval = (*interval * 2).min(t2);
                *at = now.plus(*interval);
                OnTimer::Resend
            }
            _ => OnTimer::Nothing,
        }
    }

    /// When [`ServerInvite::timer`] is due.
    pub fn deadline(&self) -> Option<Time> {
        match self.state {
            State::Completed { resend_at, until, .. } | State::Accepted { resend_at, until, .. } => {
                Some(resend_at.map_or(until, |at| at.min(until)))
            }
            State::Confirmed { until } => Some(until),
            State::Proceeding { remind_at } => remind_at,
            State::Terminated => None,
        }
    }
}
