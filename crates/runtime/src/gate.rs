//! Limits: concurrent calls and new calls per second, on trunks and for applications.
//!
//! A place is a value; it is given back when it is dropped, so no path can forget it (I27).

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Places and rates by key.
#[derive(Debug)]
pub struct Gates<K> {
    gates: Mutex<HashMap<K, Arc<Gate>>>,
}

impl<K> Default for Gates<K> {
    fn default() -> Self {
        Gates {
            gates: Mutex::default(),
        }
    }
}

#[derive(Debug, Default)]
struct Gate {
    used: AtomicU32,
    bucket: Mutex<Bucket>,
}

/// A token bucket that holds one second's worth.
#[derive(Debug, Default)]
struct Bucket {
    /// Thousandths of a token that are missing.
    debt: u64,
    /// Milliseconds of the caller's clock.
    at: u64,
}

/// A place that is given back when it is dropped.
#[derive(Debug)]
pub struct Place(Arc<Gate>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.used.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Which limit was hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// Concurrent calls.
    Concurrency,
    /// New calls per second.
    Rate,
}

impl<K: Eq + Hash + Clone> Gates<K> {
    /// Takes a place. `max` concurrent, `rate` a second, 0 for no limit; `now_ms` is any monotonic clock.
    pub fn claim(&self, key: &K, max: u32, rate: u32, now_ms: u64) -> Result<Place, Full> {
        let gate = {
            let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
            match gates.get(key) {
                Some(gate) => gate.clone(),
                None => gates.entry(key.clone()).or_default().clone(),
            }
        };
        let taken = gate.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| {
            (max == 0 || n < max).then_some(n + 1)
        });
        if taken.is_err() {
            return Err(Full::Concurrency);
        }
        let place = Place(gate);
        if rate > 0
            && !place
                .0
                .bucket
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(rate, now_ms)
        {
            return Err(Full::Rate);
        }
        Ok(place)
    }

    /// Places in use.
    pub fn used(&self, key: &K) -> u32 {
        let gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        gates.get(key).map_or(0, |g| g.used.load(Ordering::Acquire))
    }
}

impl Bucket {
    fn take(&mut self, rate: u32, now_ms: u64) -> bool {
        let elapsed = now_ms.saturating_sub(self.at);
        self.at = self.at.max(now_ms);
        self.debt = self.debt.saturating_sub(elapsed.saturating_mul(u64::from(rate)));
        if self.debt + 1000 > u64::from(rate) * 1000 {
            return false;
        }
        self.debt += 1000;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // accept: domain-model I27
    #[test]
    fn places_are_limited_and_come_back() {
        let gates = Gates::default();
        let held: Vec<_> = (0..3).map(|_| gates.claim(&1, 3, 0, 0).unwrap()).collect();
        assert_eq!(gates.claim(&1, 3, 0, 0).unwrap_err(), Full::Concurrency);
        assert!(gates.claim(&2, 3, 0, 0).is_ok(), "another trunk has its own places");
        drop(held);
        assert_eq!(gates.used(&1), 0);
        assert!(gates.claim(&1, 3, 0, 0).is_ok());
    }

    #[test]
    fn places_hold_under_contention() {
        let gates = Arc::new(Gates::default());
        std::thread::scope(|s| {
            for _ in 0..4 {
                s.spawn(|| {
                    for _ in 0..2_000 {
                        if let Ok(place) = gates.claim(&(), 2, 0, 0) {
                            assert!(gates.used(&()) <= 2);
                            drop(place);
                        }
                    }
                });
            }
        });
        assert_eq!(gates.used(&()), 0);
    }

    #[test]
    fn rates_refill_with_time_and_a_refusal_gives_its_place_back() {
        let gates = Gates::default();
        let taken = (0..10).filter(|_| gates.claim(&(), 0, 5, 1_000).is_ok()).count();
        assert_eq!(taken, 5);
        assert_eq!(gates.claim(&(), 0, 5, 1_000).unwrap_err(), Full::Rate);
        assert_eq!(gates.used(&()), 0);
        assert!(gates.claim(&(), 0, 5, 1_200).is_ok());
        assert_eq!(gates.claim(&(), 0, 5, 1_200).unwrap_err(), Full::Rate);
    }
}
