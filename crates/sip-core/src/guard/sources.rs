//! What is remembered of each source, in a table of a fixed size: sets of eight, of which the one that was not used for
//! longest makes room.

use super::{GuardSettings, SECOND};
use crate::api::Time;

const WAYS: usize = 8;
const HOUR: u64 = 3_600 * SECOND;
/// Tokens are counted in thousandths.
const TOKEN: u64 = 1_000;

#[derive(Clone, Copy, Default)]
pub(super) struct Source {
    /// The upper half of the source's keyed hash; 0 is an empty place.
    tag: u64,
    used: Time,
    tokens: u32,
    failures: u32,
    failures_hour: u32,
    first: Time,
    first_hour: Time,
    /// When somebody last authenticated; `Time(0)` for never.
    succeeded: Time,
}

impl Source {
    /// Refills by the time that has passed, and takes one token.
    pub fn take(&mut self, rate: u32, burst: u32, now: Time) -> bool {
        let earned = now.since(self.used).saturating_mul(u64::from(rate)) / (SECOND / TOKEN);
        let full = u64::from(burst.max(1)) * TOKEN;
        let tokens = (u64::from(self.tokens) + earned).min(full).min(u64::from(u32::MAX));
        if earned > 0 || tokens == full {
            // Fractions of a thousandth are not lost to frequent calls.
            self.used = now;
        }
        let taken = tokens >= TOKEN;
        self.tokens = (tokens - if taken { TOKEN } else { 0 }) as u32;
        taken
    }

    /// Counts a failure; true if it is one too many.
    pub fn fail(&mut self, settings: &GuardSettings, now: Time) -> bool {
        let known = self.succeeded != Time(0) && now.since(self.succeeded) < HOUR;
        let factor = if known { settings.known_factor.max(1) } else { 1 };
        let count = |failures: &mut u32, first: &mut Time, window: u64, limit: u32| {
            if *failures == 0 || now.since(*first) >= window {
                (*failures, *first) = (0, now);
            }
            *failures = failures.saturating_add(1);
            limit > 0 && *failures >= limit.saturating_mul(factor)
        };
        let window = u64::from(settings.failure_window) * SECOND;
        let fast = count(&mut self.failures, &mut self.first, window, settings.failures);
        let slow = count(
            &mut self.failures_hour,
            &mut self.first_hour,
            HOUR,
            settings.failures_an_hour,
        );
        fast || slow
    }

    /// Forgets the failures.
    pub fn forgive(&mut self) {
        self.failures = 0;
        self.failures_hour = 0;
    }

    pub fn succeed(&mut self, now: Time) {
        self.succeeded = now.max(Time(1));
    }
}

pub(super) struct Sources {
    places: Box<[Source]>,
    clock: u64,
    touched: Box<[u32]>,
}

impl Sources {
    pub fn new(size: usize) -> Sources {
        let size = size.clamp(WAYS, 1 << 24).next_power_of_two();
        Sources {
            places: vec![Source::default(); size].into_boxed_slice(),
            clock: 0,
            touched: vec![0; size].into_boxed_slice(),
        }
    }

    /// The place of the source, a fresh one with a full bucket if it is not known.
    pub fn get(&mut self, key: u128, now: Time, burst: u32) -> &mut Source {
        let tag = ((key >> 64) as u64).max(1);
        let sets = self.places.len() / WAYS;
        let first = (key as usize & (sets - 1)) * WAYS;
        self.clock += 1;
        let set = first..first + WAYS;
        let found = set.clone().find(|i| self.places[*i].tag == tag);
        let at = found.unwrap_or_else(|| {
            // The use count wraps after four thousand million messages; the comparison by distance survives that.
            let age = |i: &usize| (self.clock as u32).wrapping_sub(self.touched[*i]);
            let oldest = set.max_by_key(|i| (self.places[*i].tag == 0, age(i))).unwrap_or(first);
            self.places[oldest] = Source {
                tag,
                used: now,
                tokens: burst.max(1).saturating_mul(TOKEN as u32),
                ..Source::default()
            };
            oldest
        });
        self.touched[at] = self.clock as u32;
        &mut self.places[at]
    }

    #[cfg(test)]
    pub fn bytes(&self) -> usize {
        self.places.len() * (size_of::<Source>() + size_of::<u32>())
    }
}
