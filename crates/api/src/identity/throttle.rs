//! How often somebody may try to log in.
//!
//! Five wrong tries in a row lock a name for half a minute, and each further one doubles that, up to a quarter of an
//! hour. Twenty wrong tries lock an address the same way, whatever the names. Names that do not exist are counted like
//! those that do, so that a lock tells nothing. A restart forgets: who can make us restart has no need to guess.

use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::Mutex;
use strowger_core::Stamp;

const FREE: u32 = 5;
const FREE_OF_SOURCE: u32 = 20;
const FIRST_LOCK: u64 = 30_000;
const LONGEST_LOCK: u64 = 900_000;
/// Tries are forgotten so long after the last one.
const MEMORY: u64 = 3_600_000;
/// Most names and addresses that are remembered; beyond, the ones that are longest quiet are forgotten.
const CAPACITY: usize = 20_000;

#[derive(Clone, Copy)]
struct Tries {
    wrong: u32,
    at: Stamp,
    until: Stamp,
}

#[derive(Default)]
pub(crate) struct Throttle(Mutex<HashMap<[u8; 32], Tries>>);

/// What is counted: a name at a tenant, or an address.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counted {
    key: [u8; 32],
    free: u32,
}

impl Counted {
    pub fn name(tenant: &str, name: &str) -> Counted {
        let key = Sha256::new()
            .chain_update("name\0")
            .chain_update(tenant)
            .chain_update([0]);
        Counted {
            key: key.chain_update(name.to_lowercase()).finalize().into(),
            free: FREE,
        }
    }

    pub fn source(source: &str) -> Counted {
        Counted {
            key: Sha256::new()
                .chain_update("source\0")
                .chain_update(source)
                .finalize()
                .into(),
            free: FREE_OF_SOURCE,
        }
    }
}

impl Throttle {
    /// The error is the seconds until the next try is listened to.
    pub fn check(&self, counted: Counted, now: Stamp) -> Result<(), u32> {
        let tries = self.0.lock().unwrap_or_else(|e| e.into_inner());
        match tries.get(&counted.key) {
            Some(t) if now < t.until => Err(t.until.ms_since(now).div_ceil(1000) as u32),
            _ => Ok(()),
        }
    }

    /// Counts a wrong try; answers true if it locked.
    pub fn wrong(&self, counted: Counted, now: Stamp) -> bool {
        let mut tries = self.0.lock().unwrap_or_else(|e| e.into_inner());
        if tries.len() >= CAPACITY {
            tries.retain(|_, t| now.ms_since(t.at) < MEMORY);
            if tries.len() >= CAPACITY {
                let mut times: Vec<Stamp> = tries.values().map(|t| t.at).collect();
                times.sort_unstable();
                let median = times[times.len() / 2];
                tries.retain(|_, t| t.at > median);
            }
        }
        let t = tries.entry(counted.key).or_insert(Tries {
            wrong: 0,
            at: now,
            until: now,
        });
        if now.ms_since(t.at) >= MEMORY {
            t.wrong = 0;
        }
        t.wrong += 1;
        t.at = now;
        let beyond = t.wrong.saturating_sub(counted.free);
        let locks = t.wrong >= counted.free;
        if locks {
            t.until = now.plus_ms((FIRST_LOCK << beyond.min(10)).min(LONGEST_LOCK));
        }
        locks
    }

    /// The right password: what was wrong before is forgotten.
    pub fn right(&self, counted: Counted) {
        self.0.lock().unwrap_or_else(|e| e.into_inner()).remove(&counted.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_tries_lock_longer_and_longer_and_are_forgotten() {
        let throttle = Throttle::default();
        let name = Counted::name("acme", "Li");
        let mut now = Stamp(0);
        for n in 0..4 {
            assert!(!throttle.wrong(name, now), "try {n}");
            assert_eq!(throttle.check(name, now), Ok(()));
        }
        let mut locks = Vec::new();
        for _ in 0..8 {
            assert!(throttle.wrong(Counted::name("acme", "li"), now));
            let seconds = throttle.check(name, now).unwrap_err();
            locks.push(seconds);
            now = now.plus_secs(u64::from(seconds));
            assert_eq!(throttle.check(name, now), Ok(()));
        }
        assert_eq!(locks, [30, 60, 120, 240, 480, 900, 900, 900]);
        assert_eq!(throttle.check(Counted::name("other", "li"), now), Ok(()));
        now = now.plus_secs(3600);
        assert!(!throttle.wrong(name, now));
        throttle.right(name);
        let source = Counted::source("192.0.2.7");
        assert!((0..19).all(|_| !throttle.wrong(source, now)) && throttle.wrong(source, now));
    }

    #[test]
    fn memory_is_bounded() {
        let throttle = Throttle::default();
        for n in 0..3 * CAPACITY {
            throttle.wrong(Counted::source(&n.to_string()), Stamp(n as i64));
        }
        let held = throttle.0.lock().unwrap().len();
        assert!(held <= CAPACITY, "{held}");
        assert!(held > CAPACITY / 4, "{held}");
    }
}
