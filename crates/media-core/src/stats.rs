//! What a receiver knows about a stream: extended sequence, loss and jitter (RFC 3550 appendix A.1, A.3, A.8).

/// A jump forward beyond this is a restarted stream (RFC 3550 A.1).
const MAX_DROPOUT: u16 = 3000;
/// A packet older than this is not reordered but of another stream.
const MAX_MISORDER: u16 = 100;

/// Statistics of one received stream. A new SSRC, or a sequence that jumps, starts the sequence anew and keeps the totals.
#[derive(Clone, Debug, Default)]
pub struct ReceiverStats {
    ssrc: Option<u32>,
    base: u32,
    max: u16,
    cycles: u32,
    /// After one jump, the next in-order packet confirms it (RFC 3550's `bad_seq`).
    bad: Option<u16>,
    received: u64,
    /// Of earlier sequences.
    received_before: u64,
    expected_before: u64,
    transit: Option<i32>,
    /// In 1/16 timestamp units, as in A.8.
    jitter16: u32,
    max_jitter16: u32,
    prior_expected: u64,
    prior_received: u64,
}

impl ReceiverStats {
    /// Count one packet. `arrival` is the local clock in the same units as `timestamp`.
    pub fn received(&mut self, ssrc: u32, sequence: u16, timestamp: u32, arrival: u32) {
        if self.ssrc != Some(ssrc) {
            self.restart(ssrc, sequence);
        }
        let delta = sequence.wrapping_sub(self.max);
        if delta < MAX_DROPOUT {
            if sequence < self.max {
                self.cycles = self.cycles.wrapping_add(1 << 16);
            }
            self.max = sequence;
            self.bad = None;
        } else if delta <= u16::MAX - MAX_MISORDER {
            if self.bad == Some(sequence) {
                self.restart(ssrc, sequence);
            } else {
                self.bad = Some(sequence.wrapping_add(1));
                return;
            }
        }
        self.received += 1;
        let transit = arrival.wrapping_sub(timestamp) as i32;
        if let Some(last) = self.transit.replace(transit) {
            // A step of more than 10 s is a changed timestamp base and says nothing about jitter.
            let d = transit.wrapping_sub(last).unsigned_abs();
            if d < 480_000 {
                self.jitter16 = self.jitter16 + d - ((self.jitter16 + 8) >> 4);
                self.max_jitter16 = self.max_jitter16.max(self.jitter16);
            }
        }
    }

    fn restart(&mut self, ssrc: u32, sequence: u16) {
        if self.ssrc.is_some() {
            self.expected_before += self.expected_now();
            self.received_before += self.received;
        }
        self.ssrc = Some(ssrc);
        self.base = u32::from(sequence);
        self.max = sequence;
        self.cycles = 0;
        self.received = 0;
        self.bad = None;
        self.transit = None;
    }

    fn expected_now(&self) -> u64 {
        u64::from(self.extended_sequence().wrapping_sub(self.base)) + 1
    }

    /// The source, once a packet was received.
    pub fn ssrc(&self) -> Option<u32> {
        self.ssrc
    }

    /// The highest sequence number with its cycles in the upper half.
    pub fn extended_sequence(&self) -> u32 {
        self.cycles | u32::from(self.max)
    }

    /// Packets that should have come.
    pub fn expected(&self) -> u64 {
        self.expected_before + if self.ssrc.is_some() { self.expected_now() } else { 0 }
    }

    /// Packets that came, duplicates included.
    pub fn packets(&self) -> u64 {
        self.received_before + self.received
    }

    /// Expected minus received; duplicates can make it negative (RFC 3550 A.3).
    pub fn lost(&self) -> i64 {
        self.expected() as i64 - self.packets() as i64
    }

    /// Interarrival jitter in timestamp units.
    pub fn jitter(&self) -> u32 {
        self.jitter16 >> 4
    }

    /// Jitter in milliseconds for a clock in Hz: `(present, highest)`.
    pub fn jitter_ms(&self, clock: u32) -> (f64, f64) {
        let ms = |j: u32| f64::from(j) / 16.0 * 1000.0 / f64::from(clock.max(1));
        (ms(self.jitter16), ms(self.max_jitter16))
    }

    /// Fraction lost since the last call in 1/256, for a report block.
    pub fn take_fraction_lost(&mut self) -> u8 {
        let expected = self.expected().saturating_sub(self.prior_expected);
        let received = self.packets().saturating_sub(self.prior_received);
        (self.prior_expected, self.prior_received) = (self.expected(), self.packets());
        let lost = expected.saturating_sub(received);
        (lost << 8).checked_div(expected).unwrap_or(0).min(255) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_over_a_wrap_and_reordering() {
        let mut stats = ReceiverStats::default();
        for i in 0..200u32 {
            if i % 10 == 3 {
                continue;
            }
            // Two neighbours swapped, across the wrap at 65,536.
            let n = if i == 40 {
                41
            } else if i == 41 {
                40
            } else {
                i
            };
            stats.received(1, (65500 + n) as u16, n * 160, n * 160);
        }
        assert_eq!((stats.expected(), stats.packets(), stats.lost()), (200, 180, 20));
        assert_eq!(stats.take_fraction_lost(), 25);
        assert_eq!(stats.take_fraction_lost(), 0);
    }

    #[test]
    fn jitter_follows_the_formula() {
        let mut stats = ReceiverStats::default();
        for i in 0..1000u32 {
            stats.received(1, i as u16, i * 160, i * 160 + if i % 2 == 0 { 0 } else { 80 });
        }
        // |D| is always 80 units = 10 ms, so the estimate converges there.
        let (now, highest) = stats.jitter_ms(8000);
        assert!((9.5..10.1).contains(&now) && highest >= now, "{now}");
    }

    #[test]
    fn a_new_source_keeps_totals_and_loses_nothing() {
        let mut stats = ReceiverStats::default();
        for i in 0..100u16 {
            stats.received(1, i, 0, 0);
        }
        for i in 0..100u16 {
            stats.received(2, 40000 + i, 0, 0);
        }
        assert_eq!((stats.packets(), stats.lost()), (200, 0));
        // The same source jumps: the first packet after the jump is not believed yet, the second is.
        for i in 0..100u16 {
            stats.received(2, 10000 + i, 0, 0);
        }
        assert_eq!((stats.packets(), stats.lost()), (299, 0));
    }
}
