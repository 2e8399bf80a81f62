//! Wall-clock stamps. The core never reads a clock: every stamp comes in with an input.

use std::fmt;

/// A moment in UTC, milliseconds since 1970-01-01T00:00:00Z.
///
/// A conversation takes the wall time once, when it is created; every later stamp is that plus monotonic time
/// (domain-model I30), so stamps of one conversation never run backwards.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Stamp(pub i64);

impl Stamp {
    /// The stamp `ms` milliseconds later.
    pub const fn plus_ms(self, ms: u64) -> Stamp {
        Stamp(self.0.saturating_add_unsigned(ms))
    }

    /// The stamp `s` seconds later.
    pub const fn plus_secs(self, s: u64) -> Stamp {
        self.plus_ms(s.saturating_mul(1000))
    }

    /// Milliseconds from `earlier` to this stamp, 0 if `earlier` is later.
    pub const fn ms_since(self, earlier: Stamp) -> u64 {
        let d = self.0 - earlier.0;
        if d < 0 { 0 } else { d as u64 }
    }

    /// Whole seconds since the epoch: the resolution that most dialects display.
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Calendar fields at a fixed offset from UTC in minutes.
    pub fn civil(self, offset_minutes: i32) -> Civil {
        let local = self.secs() + i64::from(offset_minutes) * 60;
        let days = local.div_euclid(86_400);
        let rest = local.rem_euclid(86_400);
        // Days-to-civil over the proleptic Gregorian calendar, with years that begin in March so that the leap day
        // is the last of its year.
        let z = days + 719_468;
        let era = z.div_euclid(146_097);
        let doe = z.rem_euclid(146_097);
        let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
        let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        let mp = (5 * doy + 2) / 153;
        let month = if mp < 10 { mp + 3 } else { mp - 9 };
        let year = yoe + era * 400 + i64::from(month <= 2);
        Civil {
            year,
            month: month as u8,
            day: (doy - (153 * mp + 2) / 5 + 1) as u8,
            hour: (rest / 3600) as u8,
            minute: (rest / 60 % 60) as u8,
            second: (rest % 60) as u8,
        }
    }

    /// The stamp of a civil date and time at a fixed offset from UTC in minutes; `None` if a field is out of range.
    pub fn from_civil(c: Civil, offset_minutes: i32) -> Option<Stamp> {
        if !(1..=12).contains(&c.month) || c.hour > 23 || c.minute > 59 || c.second > 59 {
            return None;
        }
        let y = c.year - i64::from(c.month <= 2);
        let era = y.div_euclid(400);
        let yoe = y.rem_euclid(400);
        let m = i64::from(c.month);
        let doy = (153 * (if m > 2 { m - 3 } else { m + 9 }) + 2) / 5 + i64::from(c.day) - 1;
        let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
        let days = era * 146_097 + doe - 719_468;
        let secs = days * 86_400 + i64::from(c.hour) * 3600 + i64::from(c.minute) * 60 + i64::from(c.second)
            - i64::from(offset_minutes) * 60;
        let stamp = Stamp(secs * 1000);
        // A day that the month does not have comes back as another date.
        (stamp.civil(offset_minutes) == c).then_some(stamp)
    }
}

impl fmt::Debug for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let c = self.civil(0);
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            c.year,
            c.month,
            c.day,
            c.hour,
            c.minute,
            c.second,
            self.0.rem_euclid(1000)
        )
    }
}

/// A date and time of day in some zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    /// Year, proleptic Gregorian.
    pub year: i64,
    /// Month, 1 to 12.
    pub month: u8,
    /// Day of the month, 1 to 31.
    pub day: u8,
    /// Hour, 0 to 23.
    pub hour: u8,
    /// Minute, 0 to 59.
    pub minute: u8,
    /// Second, 0 to 59.
    pub second: u8,
}

impl Civil {
    /// `YYYYMMDDHHmmss`, the form of the voice PaaS dialects.
    pub fn digits14(self) -> String {
        let mut text = String::with_capacity(14);
        let mut two = |n: u8| {
            text.push(char::from(b'0' + n / 10 % 10));
            text.push(char::from(b'0' + n % 10));
        };
        let Ok(century @ 0..=99) = u8::try_from(self.year.div_euclid(100)) else {
            return format!(
                "{:04}{:02}{:02}{:02}{:02}{:02}",
                self.year, self.month, self.day, self.hour, self.minute, self.second
            );
        };
        two(century);
        two(self.year.rem_euclid(100) as u8);
        for n in [self.month, self.day, self.hour, self.minute, self.second] {
            two(n);
        }
        text
    }

    /// Reads `YYYYMMDDHHmmss`; `None` if it is not 14 ASCII digits. The calendar is checked by [`Stamp::from_civil`].
    pub fn parse14(text: &str) -> Option<Civil> {
        if text.len() != 14 || !text.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let n = |a: usize, b: usize| text[a..b].parse::<i64>().ok();
        Some(Civil {
            year: n(0, 4)?,
            month: n(4, 6)? as u8,
            day: n(6, 8)? as u8,
            hour: n(8, 10)? as u8,
            minute: n(10, 12)? as u8,
            second: n(12, 14)? as u8,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn civil_round_trip_over_leap_years_and_zones() {
        for secs in [0, 951_782_400, 1_709_164_800, 4_102_444_799, -1] {
            for offset in [0, 480, -330] {
                let s = Stamp(secs * 1000);
                assert_eq!(Stamp::from_civil(s.civil(offset), offset), Some(s));
            }
        }
    }

    #[test]
    fn fourteen_digits_in_the_tenants_zone() {
        // 2024-02-28T16:00:00Z is the 29th of February at midnight in UTC+08:00.
        assert_eq!(Stamp(1_709_136_000_000).civil(480).digits14(), "20240229000000");
        let c = Civil::parse14("20240229000000").unwrap();
        assert_eq!(Stamp::from_civil(c, 480), Some(Stamp(1_709_136_000_000)));
    }

    #[test]
    fn days_that_do_not_exist_are_refused() {
        assert_eq!(Stamp::from_civil(Civil::parse14("20230229000000").unwrap(), 0), None);
        assert_eq!(Stamp::from_civil(Civil::parse14("20231301000000").unwrap(), 0), None);
        assert_eq!(Civil::parse14("2023010100000"), None);
    }
}
