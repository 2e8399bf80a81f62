//! Values counted by size, without locks: a shard writes, anybody reads.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use strowger_media_core::meter::{Assessment, Interval};

use crate::api::{DirectionMetrics, HistogramMetrics, QualityMetrics};
use crate::queue::bump;

/// Most buckets, the one without a bound included.
const BUCKETS: usize = 9;

/// G.109's classes of speech quality end at 4.34, 4.03, 3.60, 3.10 and 2.58.
const MOS: &[f64] = &[1.5, 2.0, 2.58, 3.1, 3.6, 4.03, 4.34];
const LOSS: &[f64] = &[0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5];
const JITTER: &[f64] = &[0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2];
const ROUND_TRIP: &[f64] = &[0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0];

pub(crate) struct Histogram {
    bounds: &'static [f64],
    counts: [AtomicU64; BUCKETS],
    /// In millionths.
    sum: AtomicU64,
}

impl Histogram {
    const fn new(bounds: &'static [f64]) -> Histogram {
        assert!(bounds.len() < BUCKETS);
        Histogram {
            bounds,
            counts: [const { AtomicU64::new(0) }; BUCKETS],
            sum: AtomicU64::new(0),
        }
    }

    /// Counts a value that is not negative.
    fn note(&self, value: f64) {
        let bucket = self.bounds.iter().take_while(|&&bound| value > bound).count();
        bump(&self.counts[bucket], 1);
        bump(&self.sum, (value * 1e6) as u64);
    }

    fn snapshot(&self) -> HistogramMetrics {
        let counts = self.counts[..=self.bounds.len()].iter();
        HistogramMetrics {
            bounds: self.bounds,
            counts: counts.map(|c| c.load(Relaxed)).collect(),
            sum: self.sum.load(Relaxed) as f64 / 1e6,
        }
    }
}

struct Direction {
    mos: Histogram,
    loss: Histogram,
    jitter: Histogram,
}

impl Direction {
    const fn new() -> Direction {
        Direction {
            mos: Histogram::new(MOS),
            loss: Histogram::new(LOSS),
            jitter: Histogram::new(JITTER),
        }
    }

    fn note(&self, a: &Assessment) {
        self.mos.note(f64::from(a.mos));
        self.loss.note(f64::from(a.figures.loss));
        self.jitter.note(f64::from(a.figures.jitter_ms) / 1000.0);
    }

    fn snapshot(&self) -> DirectionMetrics {
        DirectionMetrics {
            mos: self.mos.snapshot(),
            loss: self.loss.snapshot(),
            jitter: self.jitter.snapshot(),
        }
    }
}

/// How the legs of a shard sounded.
pub(crate) struct Quality {
    inward: Direction,
    outward: Direction,
    round_trip: Histogram,
}

impl Default for Quality {
    fn default() -> Quality {
        Quality {
            inward: Direction::new(),
            outward: Direction::new(),
            round_trip: Histogram::new(ROUND_TRIP),
        }
    }
}

impl Quality {
    /// Counts an interval of a leg. The round trip counts when the far side reported in it.
    pub(crate) fn note(&self, interval: &Interval) {
        if let Some(a) = &interval.inward {
            self.inward.note(a);
        }
        if let Some(a) = &interval.outward {
            self.outward.note(a);
            if a.figures.round_trip_ms > 0.0 {
                self.round_trip.note(f64::from(a.figures.round_trip_ms) / 1000.0);
            }
        }
    }

    pub(crate) fn snapshot(&self) -> QualityMetrics {
        QualityMetrics {
            inward: self.inward.snapshot(),
            outward: self.outward.snapshot(),
            round_trip: self.round_trip.snapshot(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_falls_into_the_smallest_bucket_that_holds_it() {
        let histogram = Histogram::new(LOSS);
        for value in [0.0, 0.004, 0.005, 0.9] {
            histogram.note(value);
        }
        let mut seen = histogram.snapshot();
        assert_eq!(seen.counts, [1, 2, 0, 0, 0, 0, 0, 0, 1]);
        assert!((seen.sum - 0.909).abs() < 1e-6);
        seen.add(&histogram.snapshot());
        assert_eq!(seen.counts.iter().sum::<u64>(), 8);
    }
}
