//! Keeping one outgoing RTP stream continuous while what is behind it changes (prompt, relay, mix).
//!
//! The receiver sees one SSRC, sequence numbers without gaps of our making, timestamps that follow the wall clock, and a
//! marker bit where the sound begins anew. Losses and reordering of a relayed source stay visible to it.

use crate::rtp::Packet;

/// What the next outgoing packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp.
    pub timestamp: u32,
    /// Marker bit.
    pub marker: bool,
}

#[derive(Clone, Copy, Debug)]
enum Source {
    None,
    Generated,
    Relayed {
        /// Who is behind it: changes when another leg is relayed.
        key: u32,
        ssrc: u32,
        sequence_offset: u16,
        timestamp_offset: u32,
        /// The highest incoming sequence number, and the first one.
        highest: u16,
        first: u16,
    },
}

/// The state of one outgoing stream.
#[derive(Clone, Debug)]
pub struct Rewriter {
    next_sequence: u16,
    /// The timestamp after the last packet; `None` before the first.
    end: Option<u32>,
    /// Shifts the wall clock to this stream's random start (RFC 3550 section 5.1).
    offset: u32,
    /// How far a relayed timestamp may be from the wall clock.
    plausible: u32,
    source: Source,
}

/// A generated stream may be this many packets late before its timestamps skip to the wall clock.
const MAX_LAG_PACKETS: u32 = 3;
/// A relayed source that jumps further than this in sequence has restarted.
const MAX_JUMP: u16 = 1000;
/// Likewise in timestamp units away from the wall clock (20 s at 8 kHz): a source that restarted with the same SSRC.
const MAX_AHEAD: u32 = 160_000;
/// The same in seconds, for a stream whose clock is known.
const MAX_AHEAD_SECS: u32 = 20;

impl Rewriter {
    /// A new stream; both starting values should be random.
    pub fn new(first_sequence: u16, first_timestamp: u32) -> Rewriter {
        Rewriter {
            next_sequence: first_sequence,
            end: None,
            offset: first_timestamp,
            plausible: MAX_AHEAD,
            source: Source::None,
        }
    }

    /// A new stream whose clock has so many units a second.
    pub fn with_clock(first_sequence: u16, first_timestamp: u32, clock: u32) -> Rewriter {
        Rewriter {
            plausible: clock.saturating_mul(MAX_AHEAD_SECS).min(i32::MAX as u32),
            ..Rewriter::new(first_sequence, first_timestamp)
        }
    }

    /// How far the numbers of this stream are ahead of those of the source that is relayed; `None` if `key` is not.
    pub fn ahead_of(&self, key: u32) -> Option<(u16, u32)> {
        match self.source {
            Source::Relayed {
                key: k,
                sequence_offset,
                timestamp_offset,
                ..
            } if k == key => Some((sequence_offset, timestamp_offset)),
            _ => None,
        }
    }

    /// Where a new talk spurt starts: at the wall clock, but never before the end of what was sent.
    fn anchor(&self, wall: u32) -> u32 {
        let wall = wall.wrapping_add(self.offset);
        match self.end {
            Some(end) if (wall.wrapping_sub(end) as i32) < 0 => end,
            _ => wall,
        }
    }

    fn sent(&mut self, sequence: u16, end: u32) {
        if (sequence.wrapping_sub(self.next_sequence) as i16) >= 0 {
            self.next_sequence = sequence.wrapping_add(1);
        }
        if self.end.is_none_or(|e| (end.wrapping_sub(e) as i32) > 0) {
            self.end = Some(end);
        }
    }

    /// Stamp a relayed packet. `wall` is the wall clock in the stream's clock units, `key` names the relayed leg,
    /// `duration` is the packet's length in clock units (0 when unknown). `None`: the packet belongs before the moment
    /// at which this source took over and must be dropped.
    pub fn relay(&mut self, wall: u32, key: u32, packet: &Packet<'_>, duration: u32) -> Option<Stamp> {
        if let Source::Relayed {
            key: k,
            ssrc,
            sequence_offset,
            timestamp_offset,
            highest,
            first,
        } = &mut self.source
            && *k == key
            && *ssrc == packet.ssrc
        {
            let ahead = packet.sequence.wrapping_sub(*highest) as i16;
            let timestamp = packet.timestamp.wrapping_add(*timestamp_offset);
            let wall_now = wall.wrapping_add(self.offset);
            let plausible = ahead.unsigned_abs() < MAX_JUMP
                && (timestamp.wrapping_sub(wall_now) as i32).unsigned_abs() < self.plausible;
            if plausible {
                if ahead < 0 && (packet.sequence.wrapping_sub(*first) as i16) < 0 {
                    return None;
                }
                if ahead > 0 {
                    *highest = packet.sequence;
                    // Keeps "before the first" meaningful when the sequence has gone half around.
                    if packet.sequence.wrapping_sub(*first) > 0x4000 {
                        *first = packet.sequence.wrapping_sub(0x2000);
                    }
                }
                let stamp = Stamp {
                    sequence: packet.sequence.wrapping_add(*sequence_offset),
                    timestamp,
                    marker: packet.marker,
                };
                self.sent(stamp.sequence, timestamp.wrapping_add(duration));
                return Some(stamp);
            }
        }
        let timestamp = self.anchor(wall);
        let stamp = Stamp {
            sequence: self.next_sequence,
            timestamp,
            marker: true,
        };
        self.source = Source::Relayed {
            key,
            ssrc: packet.ssrc,
            sequence_offset: stamp.sequence.wrapping_sub(packet.sequence),
            timestamp_offset: timestamp.wrapping_sub(packet.timestamp),
            highest: packet.sequence,
            first: packet.sequence,
        };
        self.sent(stamp.sequence, timestamp.wrapping_add(duration));
        Some(stamp)
    }

    /// A packet of the relayed source is not passed on (a payload type that the receiver did not negotiate): later ones
    /// move up, so that the receiver counts no loss.
    pub fn skip(&mut self, packet: &Packet<'_>) {
        if let Source::Relayed {
            ssrc,
            sequence_offset,
            highest,
            first,
            ..
        } = &mut self.source
            && *ssrc == packet.ssrc
            && packet.sequence == highest.wrapping_add(1)
        {
            *sequence_offset = sequence_offset.wrapping_sub(1);
            *highest = packet.sequence;
            *first = packet.sequence.wrapping_add(1);
        }
    }

    /// Stamp a packet of our own with `samples` units. Consecutive calls give consecutive timestamps; after a pause they
    /// go on at the wall clock with the marker set.
    pub fn generate(&mut self, wall: u32, samples: u32) -> Stamp {
        let mut timestamp = self.anchor(wall);
        let mut marker = true;
        if let (Source::Generated, Some(end)) = (self.source, self.end)
            && (timestamp.wrapping_sub(end)) < MAX_LAG_PACKETS * samples
        {
            timestamp = end;
            marker = false;
        }
        self.source = Source::Generated;
        let stamp = Stamp {
            sequence: self.next_sequence,
            timestamp,
            marker,
        };
        self.sent(stamp.sequence, timestamp.wrapping_add(samples));
        stamp
    }

    /// The timestamp at which an event that starts now begins (RFC 4733 section 2.2.3: all its packets carry it).
    pub fn begin_event(&mut self, wall: u32) -> u32 {
        self.source = Source::None;
        self.anchor(wall)
    }

    /// Stamp a packet of an event that began at `timestamp` and has lasted `duration` so far.
    pub fn event(&mut self, timestamp: u32, duration: u32, marker: bool) -> Stamp {
        self.source = Source::None;
        let stamp = Stamp {
            sequence: self.next_sequence,
            timestamp,
            marker,
        };
        self.sent(stamp.sequence, timestamp.wrapping_add(duration));
        stamp
    }

    /// The RTP timestamp of this stream at a wall clock, for sender reports.
    pub fn timestamp_at(&self, wall: u32) -> u32 {
        wall.wrapping_add(self.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::{Header, clock_units};

    fn packet(sequence: u16, timestamp: u32, ssrc: u32) -> Vec<u8> {
        Header {
            marker: false,
            payload_type: 0,
            sequence,
            timestamp,
            ssrc,
        }
        .to_bytes()
        .to_vec()
    }

    fn relay(r: &mut Rewriter, wall: u32, key: u32, sequence: u16, timestamp: u32, ssrc: u32) -> Option<Stamp> {
        r.relay(
            wall,
            key,
            &Packet::parse(&packet(sequence, timestamp, ssrc)).unwrap(),
            160,
        )
    }

    #[test]
    fn prompt_relay_mix_relay_is_one_stream() {
        let mut r = Rewriter::new(65530, 0xFFFF_FF00);
        let mut stamps = Vec::new();
        let mut wall = 0;
        for _ in 0..10 {
            stamps.push(r.generate(wall, 160));
            wall += 160;
        }
        for i in 0..10u16 {
            stamps.push(relay(&mut r, wall + 30, 1, 500 + i, 77_000 + 160 * u32::from(i), 9).unwrap());
            wall += 160;
        }
        for _ in 0..10 {
            stamps.push(r.generate(wall, 160));
            wall += 160;
        }
        for i in 0..10u16 {
            stamps.push(relay(&mut r, wall + 70, 2, i, 160 * u32::from(i), 10).unwrap());
            wall += 160;
        }
        for (i, pair) in stamps.windows(2).enumerate() {
            assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1), "at {i}");
            let step = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
            assert!((160..=160 + 70).contains(&step), "step {step} at {i}");
        }
        let markers: Vec<usize> = stamps
            .iter()
            .enumerate()
            .filter(|(_, s)| s.marker)
            .map(|(i, _)| i)
            .collect();
        assert_eq!(markers, [0, 10, 20, 30]);
    }

    #[test]
    fn loss_and_reordering_of_the_source_stay_visible() {
        let mut r = Rewriter::new(0, 0);
        assert_eq!(relay(&mut r, 0, 1, 100, 0, 5).unwrap().sequence, 0);
        assert_eq!(relay(&mut r, 480, 1, 103, 480, 5).unwrap().sequence, 3);
        assert_eq!(
            relay(&mut r, 490, 1, 101, 160, 5).unwrap(),
            Stamp {
                sequence: 1,
                timestamp: 160,
                marker: false
            }
        );
        // Before the first relayed packet: its number belongs to somebody else.
        assert_eq!(relay(&mut r, 500, 1, 99, 0, 5), None);
        assert_eq!(r.generate(640, 160).sequence, 4);
    }

    #[test]
    fn a_restarted_source_continues_our_numbers() {
        let mut r = Rewriter::new(0, 0);
        relay(&mut r, 0, 1, 100, 0, 5);
        let after = relay(&mut r, 160, 1, 40_000, 3_000_000_000, 5).unwrap();
        assert_eq!(
            after,
            Stamp {
                sequence: 1,
                timestamp: 160,
                marker: true
            }
        );
        let after = relay(&mut r, 320, 1, 7, 7, 6).unwrap();
        assert_eq!(
            after,
            Stamp {
                sequence: 2,
                timestamp: 320,
                marker: true
            }
        );
    }

    #[test]
    fn skipped_packets_leave_no_gap() {
        let mut r = Rewriter::new(0, 0);
        relay(&mut r, 0, 1, 100, 0, 5);
        r.skip(&Packet::parse(&packet(101, 160, 5)).unwrap());
        assert_eq!(relay(&mut r, 320, 1, 102, 320, 5).unwrap().sequence, 1);
    }

    #[test]
    fn a_fast_clock_has_the_same_patience() {
        let mut r = Rewriter::with_clock(5, 0, 90_000);
        relay(&mut r, 0, 1, 100, 0, 5);
        assert_eq!(r.ahead_of(1), Some((5u16.wrapping_sub(100), 0)));
        assert_eq!(r.ahead_of(2), None);
        // Ten seconds late: a retransmission after a long break of the network.
        let late = relay(&mut r, 900_000, 1, 101, 3_000, 5).unwrap();
        assert_eq!((late.sequence, late.timestamp, late.marker), (6, 3_000, false));
        let restarted = relay(&mut r, 900_000 * 3, 1, 102, 6_000, 5).unwrap();
        assert!(restarted.marker);
    }

    #[test]
    fn a_pause_moves_to_the_wall_clock_with_a_marker() {
        let mut r = Rewriter::new(0, 0);
        r.generate(0, 160);
        assert_eq!(
            r.generate(8000, 160),
            Stamp {
                sequence: 1,
                timestamp: 8000,
                marker: true
            }
        );
        // Small lateness of a tick does not show.
        assert_eq!(
            r.generate(8000 + 160 + 90, 160),
            Stamp {
                sequence: 2,
                timestamp: 8160,
                marker: false
            }
        );
    }

    #[test]
    fn a_day_of_mixing_does_not_drift() {
        let mut r = Rewriter::new(0, 12345);
        let mut last = 0;
        for frame in 0..24 * 3600 * 50u64 {
            // Each tick comes up to 9 ms late.
            let micros = frame * 20_000 + (frame * 7919) % 9000;
            let stamp = r.generate(clock_units(micros, 8000), 160);
            assert_eq!(stamp.marker, frame == 0);
            last = stamp.timestamp;
        }
        assert_eq!(
            last,
            clock_units((24 * 3600 * 50 - 1) * 20_000, 8000).wrapping_add(12345)
        );
    }

    #[test]
    fn a_source_that_runs_for_hours_keeps_its_window() {
        let mut r = Rewriter::new(0, 0);
        let mut expected = 0u16;
        for i in 0..300_000u32 {
            let stamp = relay(&mut r, i * 160, 1, i as u16, i * 160, 5).unwrap();
            assert_eq!(stamp.sequence, expected);
            expected = expected.wrapping_add(1);
        }
    }
}
