//! Limits: concurrent calls and new calls per second, on trunks and for applications.
//!
//! A place is a value; it is given back when it is dropped, so no path can forget it (I27).

use std::collections::{HashMap, VecDeque};
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

/// The moments of the last second, oldest first, so that no second sees more than the rate, wherever it begins.
#[derive(Debug, Default)]
struct Bucket {
    /// Milliseconds of the caller's clock; as many as the rate at most.
    taken: VecDeque<u64>,
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
        while self.taken.front().is_some_and(|at| at + 1000 <= now_ms) {
            self.taken.pop_front();
        }
        if self.taken.len() >= rate as usize {
            return false;
        }
        self.taken.push_back(now_ms);
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

    // accept: voice-paas 75
    #[test]
    fn whoever_asks_however_often_no_second_sees_more_than_the_rate() {
        let gates = Gates::default();
        let (rate, mut now, mut random) = (7u32, 0u64, 1u64);
        let mut taken: Vec<u64> = Vec::new();
        for _ in 0..20_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            // Bursts and pauses: a batch, single requests beside it, and a client that stops for a while.
            now += [0, 0, 0, 1, 20, 143, 999, 1500][(random >> 61) as usize];
            if gates.claim(&(), 0, rate, now).is_ok() {
                taken.push(now);
            }
        }
        assert!(taken.len() > 5_000);
        for (n, at) in taken.iter().enumerate() {
            let within = taken[n..].iter().take_while(|t| **t < at + 1000).count();
            assert!(within <= rate as usize, "{within} in the second from {at}");
        }
    }

    #[test]
    fn no_second_sees_more_than_the_rate_and_a_refusal_gives_its_place_back() {
        let gates = Gates::default();
        let taken = (0..10).filter(|_| gates.claim(&(), 0, 5, 1_000).is_ok()).count();
        assert_eq!(taken, 5);
        assert_eq!(gates.claim(&(), 0, 5, 1_000).unwrap_err(), Full::Rate);
        assert_eq!(gates.used(&()), 0);
        assert_eq!(gates.claim(&(), 0, 5, 1_999).unwrap_err(), Full::Rate);
        assert!(gates.claim(&(), 0, 5, 2_000).is_ok());
        assert!(gates.claim(&(), 0, 5, 2_500).is_ok());
        // What was taken at 2,000 and 2,500 counts until 3,000 and 3,500.
        let taken = (0..10).filter(|_| gates.claim(&(), 0, 5, 2_999).is_ok()).count();
        assert_eq!(taken, 3);
    }
}
