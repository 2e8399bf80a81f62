//! How often a principal may ask: a bucket of tokens for each.

use crate::desk::Principal;
use std::collections::HashMap;
use std::sync::Mutex;
use strowger_core::Stamp;

/// Most buckets. A full one says nothing, so it can be forgotten; with more principals than this in one second the
/// oldest are forgotten, which lets them send a second's worth more.
const CAPACITY: usize = 50_000;

struct Bucket {
    /// Thousandths of requests that may be sent now.
    left: u64,
    at: Stamp,
}

/// All buckets.
pub(crate) struct Rates {
    rate: u32,
    buckets: Mutex<HashMap<String, Bucket>>,
}

impl Rates {
    pub fn new(rate: u32) -> Rates {
        Rates {
            rate,
            buckets: Mutex::default(),
        }
    }

    /// Counts a request. The error is the seconds after which the next one is let through. Two seconds' worth may come at
    /// once.
    pub fn take(&self, principal: &Principal, now: Stamp) -> Result<(), u32> {
        let own = match principal {
            Principal::Key { max_rate, .. } if *max_rate > 0 => *max_rate,
            Principal::User { .. } | Principal::Key { .. } => self.rate,
            Principal::Nobody | Principal::Platform => 0,
        };
        if own == 0 {
            return Ok(());
        }
        let full = u64::from(own) * 2_000;
        let (kind, id, _) = principal.described();
        let mut buckets = self.buckets.lock().unwrap_or_else(|e| e.into_inner());
        if buckets.len() >= CAPACITY {
            buckets.retain(|_, b| now.ms_since(b.at) < 2_000);
            if buckets.len() >= CAPACITY {
                buckets.clear();
            }
        }
        let bucket = buckets
            .entry(format!("{kind} {id}"))
            .or_insert(Bucket { left: full, at: now });
        // A clock that steps back adds nothing.
        let earned = now.ms_since(bucket.at).saturating_mul(u64::from(own));
        bucket.left = bucket.left.saturating_add(earned).min(full);
        bucket.at = now;
        if bucket.left >= 1_000 {
            bucket.left -= 1_000;
            return Ok(());
        }
        Err(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strowger_core::{KeyId, TenantId};

    #[test]
    fn a_key_may_send_two_seconds_worth_at_once_and_then_its_rate() {
        let rates = Rates::new(10);
        let key = |id, max_rate| Principal::Key {
            tenant: TenantId(1),
            id: KeyId(id),
            name: String::new(),
            scopes: [].into(),
            max_rate,
        };
        let sent = |k: &Principal, at| (0..100).filter(|_| rates.take(k, Stamp(at)).is_ok()).count();
        assert_eq!(sent(&key(1, 0), 0), 20);
        assert_eq!(sent(&key(1, 0), 500), 5);
        assert_eq!(sent(&key(1, 0), 60_000), 20);
        assert_eq!(sent(&key(2, 3), 0), 6, "a limit of its own");
        assert_eq!(sent(&key(1, 0), 59_000), 0, "the clock stepped back");
        assert_eq!(sent(&Principal::Platform, 0), 100);
    }
}
