//! Waiting for something to become true, with a bound. No test sleeps: it waits for what it needs.

use std::sync::{Condvar, MutexGuard};
use std::time::{Duration, Instant};

/// Waits on a condition variable until `found` makes something of the guarded value.
///
/// # Panics
/// With `what` if that does not happen in time.
pub fn on<S, T>(
    changed: &Condvar,
    mut guard: MutexGuard<'_, S>,
    what: &str,
    patience: Duration,
    mut found: impl FnMut(&mut S) -> Option<T>,
) -> T {
    let end = Instant::now() + patience;
    loop {
        if let Some(t) = found(&mut guard) {
            return t;
        }
        let left = end.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "waited {patience:?} in vain for {what}");
        guard = changed
            .wait_timeout(guard, left)
            .expect("no test thread panicked here")
            .0;
    }
}

/// Asks again and again, for what cannot announce itself: another process' state.
///
/// # Panics
/// With `what` if the answer does not come in time.
pub fn until<T>(what: &str, patience: Duration, every: Duration, mut found: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + patience;
    loop {
        if let Some(t) = found() {
            return t;
        }
        assert!(Instant::now() < end, "waited {patience:?} in vain for {what}");
        pause(every);
    }
}

/// Lets real time pass: for tests of audio, where the passing of time is the subject.
pub fn pause(time: Duration) {
    let end = Instant::now() + time;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        std::thread::park_timeout(left);
    }
}
