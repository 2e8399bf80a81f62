//! Intervals of reports: parts of days on the clock of a zone.

use crate::route::Zone;
use crate::time::Stamp;
use std::fmt;

/// How long an interval is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interval {
    /// Fifteen minutes.
    Quarter,
    /// Thirty minutes.
    Half,
    /// An hour.
    Hour,
    /// A day.
    Day,
}

impl Interval {
    /// All, for tables and tests.
    pub const ALL: [Interval; 4] = [Interval::Quarter, Interval::Half, Interval::Hour, Interval::Day];

    /// In minutes.
    pub const fn minutes(self) -> u32 {
        match self {
            Interval::Quarter => 15,
            Interval::Half => 30,
            Interval::Hour => 60,
            Interval::Day => 1440,
        }
    }

    /// The interval of so many minutes.
    pub fn from_minutes(minutes: u32) -> Option<Interval> {
        Interval::ALL.into_iter().find(|i| i.minutes() == minutes)
    }

    const fn ms(self) -> i64 {
        self.minutes() as i64 * 60_000
    }
}

/// The beginning of an interval, as the clock shows it. When the clock is put back, the hour that comes twice is one
/// interval.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slice(i64);

impl Slice {
    pub(super) const MIN: Slice = Slice(i64::MIN);

    /// The interval that a moment is in.
    pub fn of(at: Stamp, interval: Interval, zone: &Zone) -> Slice {
        let local = at.0 + i64::from(zone.offset_minutes(at)) * 60_000;
        Slice(local - local.rem_euclid(interval.ms()))
    }

    /// The hour of the day in which it begins, 0 to 23.
    pub fn hour(self) -> u8 {
        Stamp(self.0).civil(0).hour
    }
}

/// `YYYY-MM-DD HH:MM`.
impl fmt::Display for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let c = Stamp(self.0).civil(0);
        write!(
            f,
            "{:04}-{:02}-{:02} {:02}:{:02}",
            c.year, c.month, c.day, c.hour, c.minute
        )
    }
}

impl fmt::Debug for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Divides a span of time among the intervals in which it passes. The parts add up to the whole.
pub(super) fn split(
    from: Stamp,
    to: Stamp,
    interval: Interval,
    zone: &Zone,
) -> impl Iterator<Item = (Slice, u64)> + use<'_> {
    // In steps of a quarter of an hour: clocks are put forward and back on such, so no step has two offsets.
    let quarter = Interval::Quarter.ms();
    let mut at = from;
    std::iter::from_fn(move || {
        if at >= to {
            return None;
        }
        let local = at.0 + i64::from(zone.offset_minutes(at)) * 60_000;
        let next = Stamp(at.0 + quarter - local.rem_euclid(quarter)).min(to);
        let part = (Slice::of(at, interval, zone), next.ms_since(at));
        at = next;
        Some(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Civil;

    fn utc(text: &str) -> Stamp {
        Stamp::from_civil(Civil::parse14(text).unwrap(), 0).unwrap()
    }

    #[test]
    fn intervals_begin_by_the_clock_of_the_zone() {
        let zone = Zone::parse("+05:30").unwrap();
        let at = utc("20260301204659");
        let of = |i| Slice::of(at, i, &zone).to_string();
        assert_eq!(of(Interval::Quarter), "2026-03-02 02:15");
        assert_eq!(of(Interval::Half), "2026-03-02 02:00");
        assert_eq!(of(Interval::Hour), "2026-03-02 02:00");
        assert_eq!(of(Interval::Day), "2026-03-02 00:00");
        assert_eq!(Slice::of(at, Interval::Hour, &zone).hour(), 2);
        for i in Interval::ALL {
            assert_eq!(Interval::from_minutes(i.minutes()), Some(i));
        }
    }

    #[test]
    fn a_span_over_a_clock_change_is_divided_without_loss() {
        let berlin = Zone::parse("Europe/Berlin").unwrap();
        // The clocks go forward on 2026-03-29 and back on 2026-10-25, at 01:00 UTC.
        for (day, hours) in [("20260328230000", 23), ("20261024220000", 25)] {
            let from = utc(day);
            let to = from.plus_secs(hours * 3600);
            let days: std::collections::BTreeMap<Slice, u64> =
                split(from, to, Interval::Day, &berlin).fold(Default::default(), |mut all, (slice, ms)| {
                    *all.entry(slice).or_default() += ms;
                    all
                });
            assert_eq!(days.len(), 1, "{days:?}");
            assert_eq!(days.values().sum::<u64>(), hours * 3_600_000);
        }
        assert_eq!(split(Stamp(5), Stamp(5), Interval::Day, &berlin).count(), 0);
        assert_eq!(split(Stamp(5), Stamp(1), Interval::Day, &berlin).count(), 0);
    }
}
