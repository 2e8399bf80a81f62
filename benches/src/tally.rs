//! Counts and delays of a run, shared by the generator's threads.

use serde_json::{Value, json};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Delays in microseconds.
#[derive(Debug, Default)]
pub struct Delays(Mutex<Vec<u32>>);

impl Delays {
    /// Adds one.
    pub fn add(&self, delay: Duration) {
        let micros = delay.as_micros().min(u128::from(u32::MAX)) as u32;
        self.0.lock().expect("no thread of the generator panicked").push(micros);
    }

    /// `p50`, `p99` and `max`, in microseconds, and an empty state.
    fn take(&self) -> Value {
        let mut all = std::mem::take(&mut *self.0.lock().expect("no thread of the generator panicked"));
        all.sort_unstable();
        let at = |share: f64| all.get(((all.len() as f64 * share) as usize).min(all.len().saturating_sub(1)));
        json!({ "p50": at(0.5), "p99": at(0.99), "max": all.last() })
    }
}

/// What a run counts. Every counter begins at 0 with a run.
#[derive(Debug, Default)]
pub struct Tally {
    /// Calls asked for.
    pub started: AtomicU64,
    /// Calls that the platform took.
    pub accepted: AtomicU64,
    /// Calls that ended as they should.
    pub completed: AtomicU64,
    /// Calls refused, given up or ended otherwise.
    pub failed: AtomicU64,
    /// Call records received, each conversation once.
    pub records: AtomicU64,
    /// Requests that were sent again for want of an answer.
    pub repeated: AtomicU64,
    /// From a request to its answer: HTTP for click2call, INVITE to 200 for trunk to trunk.
    pub setup: Delays,
    /// How late the generator sent its requests.
    pub lateness: Delays,
}

/// One more.
pub fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Tally {
    /// Everything, and back to 0.
    pub fn take(&self) -> Value {
        let n = |c: &AtomicU64| c.swap(0, Ordering::Relaxed);
        json!({
            "started": n(&self.started), "accepted": n(&self.accepted), "completed": n(&self.completed),
            "failed": n(&self.failed), "records": n(&self.records), "repeated": n(&self.repeated),
            "setup": self.setup.take(), "lateness": self.lateness.take(),
        })
    }

    /// Whether every accepted call has ended and has its record.
    pub fn settled(&self) -> bool {
        let n = |c: &AtomicU64| c.load(Ordering::Relaxed);
        n(&self.completed) + n(&self.failed) >= n(&self.started) && n(&self.records) >= n(&self.accepted)
    }
}
