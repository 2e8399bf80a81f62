use super::OnTimer;
use crate::api::{Time, Timers};

/// A provisional response that is sent reliably (RFC 3262 §3): repeated at T1, doubled each time, until its PRACK comes
/// or 64·T1 have passed. Whoever holds it drops it when the PRACK comes.
#[derive(Debug, Clone, Copy)]
pub struct Provisional {
    resend_at: Time,
    interval: u64,
    give_up: Time,
}

impl Provisional {
    /// The response is being sent now.
    pub fn new(timers: Timers, now: Time) -> Self {
        Provisional {
            resend_at: now.plus(timers.t1),
            interval: timers.t1,
            give_up: now.plus(64 * timers.t1),
        }
    }

    /// Time has passed. [`OnTimer::TimedOut`] means that no PRACK came.
    pub fn timer(&mut self, now: Time) -> OnTimer {
        if self.give_up <= now {
            return OnTimer::TimedOut;
        }
        if self.resend_at <= now {
            self.interval = self.interval.saturating_mul(2);
            self.resend_at = now.plus(self.interval);
            return OnTimer::Resend;
        }
        OnTimer::Nothing
    }

    /// When [`Provisional::timer`] is due.
    pub fn deadline(&self) -> Option<Time> {
        Some(self.resend_at.min(self.give_up))
    }
}
