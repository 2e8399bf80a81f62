//! When a failed delivery is tried again. Pure: time and chance come in.

use std::time::Duration;
use strowger_core::Stamp;

/// Waiting times between attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Wait after the first failure, after the second, and so on.
    pub steps: Vec<Duration>,
    /// Wait after each failure behind the steps; `None` gives up there.
    pub then_every: Option<Duration>,
    /// No attempt is planned later than this after the delivery could first go.
    pub give_up_after: Duration,
    /// Most that is added to a wait, in thousandths of it: spreads the retries of a receiver that was down.
    pub jitter_permille: u32,
}

impl Default for Schedule {
    /// 5 s, 30 s, 2 min, 10 min, 30 min, 1 h, then hourly to 24 h (voice-paas §6), each up to 5 % longer.
    fn default() -> Schedule {
        Schedule {
            steps: [5, 30, 120, 600, 1800, 3600].map(Duration::from_secs).to_vec(),
            then_every: Some(Duration::from_secs(3600)),
            give_up_after: Duration::from_secs(24 * 3600),
            jitter_permille: 50,
        }
    }
}

/// What follows a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Another attempt at this moment.
    At(Stamp),
    /// Nothing: the delivery is dead.
    GiveUp,
}

impl Schedule {
    /// What follows the failure at `now` of attempt number `tries` (from 1) of a delivery that could first go at
    /// `since`. `random` is any number that differs from one delivery to the next.
    pub fn after_failure(&self, tries: u32, since: Stamp, now: Stamp, random: u64) -> Next {
        let step = self.steps.get(tries.saturating_sub(1) as usize).copied();
        let Some(wait) = step.or(self.then_every) else {
            return Next::GiveUp;
        };
        let wait = wait.as_millis() as u64;
        let most = wait / 1000 * u64::from(self.jitter_permille);
        let end = since.plus_ms(self.give_up_after.as_millis() as u64);
        if now.plus_ms(wait) > end {
            return Next::GiveUp;
        }
        // The jitter does not push the last attempt over the end.
        Next::At(now.plus_ms(wait + mix(random) % (most + 1)).min(end))
    }
}

/// Spreads consecutive numbers over the whole range (SplitMix64's finaliser).
fn mix(n: u64) -> u64 {
    let n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Attempts of a delivery whose receiver is down for good, in seconds from its queueing.
    fn attempts(schedule: &Schedule, random: u64) -> Vec<i64> {
        let start = Stamp(1_700_000_000_000);
        let (mut now, mut at) = (start, Vec::new());
        loop {
            at.push(now.ms_since(start) as i64 / 1000);
            match schedule.after_failure(at.len() as u32, start, now, random ^ at.len() as u64) {
                Next::At(next) => {
                    assert!(next > now);
                    now = next;
                }
                Next::GiveUp => return at,
            }
        }
    }

    // accept: voice-paas 84
    #[test]
    fn a_day_of_failures() {
        let exact = Schedule {
            jitter_permille: 0,
            ..Schedule::default()
        };
        let at = attempts(&exact, 0);
        assert_eq!(at[..7], [0, 5, 35, 155, 755, 2555, 6155]);
        assert!(at[6..].windows(2).all(|w| w[1] - w[0] == 3600));
        let last = *at.last().unwrap();
        assert!(last <= 86_400 && last > 86_400 - 3600, "{last}");
        assert_eq!(at.len(), 29);
    }

    #[test]
    fn a_dialect_may_stop_early() {
        let receipts = Schedule {
            steps: [60, 300, 600].map(Duration::from_secs).to_vec(),
            then_every: None,
            jitter_permille: 0,
            ..Schedule::default()
        };
        assert_eq!(attempts(&receipts, 0), [0, 60, 360, 960]);
    }

    #[test]
    fn jitter_spreads_those_who_failed_together() {
        let schedule = Schedule::default();
        let at = |random| schedule.after_failure(3, Stamp(0), Stamp(0), random);
        let different: std::collections::HashSet<_> = (0..100).map(at).map(|n| format!("{n:?}")).collect();
        assert!(different.len() > 90);
    }

    proptest! {
        #[test]
        fn waits_stay_within_their_bounds(random: u64) {
            let at = attempts(&Schedule::default(), random);
            let exact = attempts(&Schedule { jitter_permille: 0, ..Schedule::default() }, 0);
            prop_assert!(*at.last().unwrap() <= 86_400);
            prop_assert!(at.len() >= exact.len() - 2 && at.len() <= exact.len());
            for (a, e) in at.windows(2).zip(exact.windows(2)).rev().skip(1) {
                let (wait, least) = (a[1] - a[0], e[1] - e[0]);
                prop_assert!(wait >= least - 1 && wait <= least + least / 20 + 1, "{wait} for {least}");
            }
        }

        #[test]
        fn any_input_has_an_answer(tries: u32, since: i32, now: i32, random: u64) {
            let (since, now) = (Stamp(since.into()), Stamp(now.into()));
            if let Next::At(at) = Schedule::default().after_failure(tries, since, now, random) {
                prop_assert!(at >= now);
            }
        }
    }
}
