//! What the engine counts.

/// The scheduling class that a shard got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheduling {
    /// `SCHED_FIFO` with this priority.
    Fifo(i32),
    /// Normal class with this nice value below zero.
    Nice(i32),
    /// Normal class: delays of many milliseconds are possible on a loaded machine.
    Normal,
}

/// Counters of one shard since the start of the engine.
#[derive(Clone, Debug)]
pub struct ShardMetrics {
    /// Scheduling class.
    pub scheduling: Scheduling,
    /// The processor that it is pinned to.
    pub processor: Option<usize>,
    /// Open calls.
    pub calls: u64,
    /// Open legs.
    pub legs: u64,
    /// RTP packets received.
    pub packets_in: u64,
    /// RTP packets sent.
    pub packets_out: u64,
    /// Packets that the kernel refused to take.
    pub send_errors: u64,
    /// Commands refused because the queue was full.
    pub commands_refused: u64,
    /// Frames of 20 ms that were left out because the shard came too late.
    pub frames_skipped: u64,
    /// The worst lateness of a 20 ms frame, in µs.
    pub worst_lateness_us: u64,
    /// How legs sounded, each report interval a value.
    pub quality: QualityMetrics,
}

/// How legs sounded since the start of the engine: a value for each leg, direction and report interval.
#[derive(Clone, Debug)]
pub struct QualityMetrics {
    /// Of what we hear.
    pub inward: DirectionMetrics,
    /// Of what far sides hear, as they report it.
    pub outward: DirectionMetrics,
    /// Round trips in seconds.
    pub round_trip: HistogramMetrics,
}

/// One direction of [`QualityMetrics`].
#[derive(Clone, Debug)]
pub struct DirectionMetrics {
    /// Mean opinion scores, 1 to 4.5.
    pub mos: HistogramMetrics,
    /// Lost packets, 0 to 1.
    pub loss: HistogramMetrics,
    /// Interarrival jitter in seconds.
    pub jitter: HistogramMetrics,
}

/// Values counted by size.
#[derive(Clone, Debug, PartialEq)]
pub struct HistogramMetrics {
    /// Upper bounds of all buckets but the last, which has none.
    pub bounds: &'static [f64],
    /// How many values fell into each bucket, and into no smaller one.
    pub counts: Vec<u64>,
    /// Sum of all values.
    pub sum: f64,
}

impl HistogramMetrics {
    /// Adds the values of another one with the same bounds.
    pub fn add(&mut self, other: &HistogramMetrics) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(a, b)| *a += b);
        self.sum += other.sum;
    }
}

/// A snapshot of the engine for the metrics page.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// One entry a shard.
    pub shards: Vec<ShardMetrics>,
    /// Port pairs in the range.
    pub pairs_total: usize,
    /// Port pairs held by legs.
    pub pairs_used: usize,
    /// Port pairs in quarantine.
    pub pairs_quarantined: usize,
    /// Recorded milliseconds that were replaced by silence because the writer's queue was full.
    pub recording_silenced_ms: u64,
}
