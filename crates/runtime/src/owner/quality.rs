//! How legs sound: figures for the record, and why one side hears nothing.

use super::{Owner, World};
use std::time::Duration;
use strowger_core::call::LegFact;
use strowger_core::event::{OneWay, Quality, Score, VideoQuality};
use strowger_core::{Fact, Stamp};
use strowger_media::LegStats;

/// The figures of a leg for its record.
pub(super) fn of(stats: &LegStats) -> Quality {
    let score = |scores: Option<(f32, f32)>| {
        scores.map_or_else(Score::default, |(mean, worst)| Score {
            mean: (mean * 100.0).round() as u16,
            worst: (worst * 100.0).round() as u16,
        })
    };
    let micros = |d: Duration| d.as_micros().min(u128::from(u32::MAX)) as u32;
    Quality {
        packets_in: stats.packets_in,
        packets_out: stats.packets_out,
        lost: stats.lost_in,
        lost_out: stats.lost_out.unwrap_or(0),
        jitter_us: (stats.jitter_ms * 1000.0) as u32,
        far_jitter_us: (stats.far_jitter_ms * 1000.0) as u32,
        round_trip_us: stats.round_trip.map_or(0, micros),
        mos_in: score(stats.mos_in),
        mos_out: score(stats.mos_out),
        video: stats.video.map_or_else(VideoQuality::default, |v| VideoQuality {
            packets_in: v.packets_in,
            packets_out: v.packets_out,
            lost: v.lost_in,
            asked: v.key_frames_asked,
            wanted: v.key_frames_wanted,
        }),
    }
}

fn cause_of(cause: strowger_media::OneWay) -> OneWay {
    use strowger_media::OneWay as Media;
    match cause {
        Media::IceFailed => OneWay::IceFailed,
        Media::WrongSource => OneWay::WrongSource,
        Media::CodecMismatch => OneWay::CodecMismatch,
        Media::NothingIn => OneWay::NothingIn,
        Media::NothingOut => OneWay::NothingOut,
        Media::Muted => OneWay::Muted,
    }
}

impl Owner {
    /// The media engine has found out why one side of a leg hears nothing.
    pub(super) fn one_way(&mut self, i: usize, cause: strowger_media::OneWay, world: &dyn World, now: Stamp) {
        let before = self.turn.events.len();
        let cause = cause_of(cause);
        self.fact(i, LegFact::OneWay(cause), world, now);
        let new = self.turn.events.get(before..).unwrap_or_default();
        if new.iter().any(|e| matches!(e.fact, Fact::LegOneWay { .. })) {
            world.one_way(cause);
            tracing::warn!(conversation = %self.machine.id(), leg = i, cause = cause.name(), "one-way audio: {}", cause.advice());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_words_for_a_cause_are_the_same() {
        for cause in strowger_media::OneWay::ALL {
            assert_eq!(cause_of(cause).name(), cause.name());
        }
    }

    #[test]
    fn figures_are_rounded_into_the_record() {
        let stats = LegStats {
            packets_in: 9,
            jitter_ms: 1.5,
            mos_in: Some((4.406, 3.994)),
            round_trip: Some(Duration::from_millis(40)),
            ..LegStats::default()
        };
        let quality = of(&stats);
        assert_eq!(quality.mos_in, Score { mean: 441, worst: 399 });
        assert!(quality.mos_out.is_unknown());
        assert_eq!((quality.jitter_us, quality.round_trip_us), (1_500, 40_000));
    }
}
