//! Business hours: weekly hours and special days in a zone (domain-model §10.1, hours and holidays).

use crate::time::{Civil, Stamp};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Where a clock on the wall hangs: a fixed distance from UTC, or a place with its rules of summer time.
#[derive(Clone, Debug, PartialEq)]
pub enum Zone {
    /// Minutes east of UTC.
    Fixed(i16),
    /// A place of the IANA time zone database, whose tables are part of the binary.
    Place(TimeZone),
}

/// A text that is no zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no time zone: write an IANA name such as Asia/Shanghai, or an offset such as +08:00")]
pub struct BadZone(pub String);

/// No place on Earth is further than this from UTC, in minutes.
const FARTHEST: i16 = 14 * 60;

impl Zone {
    /// Reads an IANA name, `UTC`, or an offset `+HH:MM` or `-HH:MM`.
    ///
    /// # Errors
    /// It is neither.
    pub fn parse(text: &str) -> Result<Zone, BadZone> {
        let bad = || BadZone(text.chars().take(64).collect());
        if let Some(sign) = text.bytes().next().filter(|b| matches!(b, b'+' | b'-')) {
            let minutes = offset(text.get(1..).unwrap_or("")).filter(|m| *m <= FARTHEST);
            return minutes
                .map(|m| Zone::Fixed(if sign == b'-' { -m } else { m }))
                .ok_or_else(bad);
        }
        TimeZone::get(text).map(Zone::Place).map_err(|_| bad())
    }

    /// Minutes east of UTC at a moment, summer time included.
    pub fn offset_minutes(&self, at: Stamp) -> i32 {
        match self {
            Zone::Fixed(minutes) => i32::from(*minutes),
            Zone::Place(place) => {
                // Out of the database's range is before the year -9999 or after 9999: any offset will do.
                let at = Timestamp::from_millisecond(at.0).unwrap_or(Timestamp::UNIX_EPOCH);
                place.to_offset(at).seconds().div_euclid(60)
            }
        }
    }

    /// The date and time of day that the clock shows.
    pub fn civil(&self, at: Stamp) -> Civil {
        at.civil(self.offset_minutes(at))
    }

    /// The name or offset, as [`Zone::parse`] reads it.
    pub fn name(&self) -> String {
        match self {
            Zone::Fixed(m) => {
                let sign = if *m < 0 { '-' } else { '+' };
                format!("{sign}{:02}:{:02}", m.abs() / 60, m.abs() % 60)
            }
            Zone::Place(place) => place.iana_name().unwrap_or("UTC").to_owned(),
        }
    }
}

/// `HH:MM` as minutes.
fn offset(text: &str) -> Option<i16> {
    let (hours, minutes) = text.split_once(':')?;
    let two = |t: &str| (t.len() == 2 && t.bytes().all(|b| b.is_ascii_digit())).then(|| t.parse::<i16>().ok())?;
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    (minutes < 60).then_some(hours * 60 + minutes)
}

/// Reads a time of day, `HH:MM`, as minutes since midnight; `24:00` is the end of the day.
pub fn minute_of_day(text: &str) -> Option<u16> {
    offset(text).filter(|m| *m <= 1440).map(|m| m as u16)
}

/// A day of the calendar. Ordered by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    /// Year, proleptic Gregorian.
    pub year: i64,
    /// Month, 1 to 12.
    pub month: u8,
    /// Day of the month, 1 to 31.
    pub day: u8,
}

impl Date {
    /// Reads `YYYY-MM-DD`; `None` if the month has no such day.
    pub fn parse(text: &str) -> Option<Date> {
        let mut parts = text.split('-');
        let mut number = |digits: usize| {
            let part = parts.next()?;
            let all = part.len() == digits && part.bytes().all(|b| b.is_ascii_digit());
            all.then(|| part.parse::<u16>().ok())?
        };
        let date = Date {
            year: i64::from(number(4)?),
            month: number(2)? as u8,
            day: number(2)? as u8,
        };
        (parts.next().is_none() && date.start().is_some()).then_some(date)
    }

    /// The day of a moment at a fixed offset from UTC in minutes.
    pub fn at(at: Stamp, offset_minutes: i32) -> Date {
        Date::of(at.civil(offset_minutes))
    }

    /// When the day of `at` began, at a place so many minutes before UTC.
    pub fn begins(at: Stamp, offset_minutes: i32) -> Stamp {
        const DAY: i64 = 86_400_000;
        let offset = i64::from(offset_minutes) * 60_000;
        Stamp((at.0 + offset).div_euclid(DAY) * DAY - offset)
    }

    fn of(c: Civil) -> Date {
        Date {
            year: c.year,
            month: c.month,
            day: c.day,
        }
    }

    /// Midnight of the day, as if its place were at UTC: for counting days only.
    fn start(self) -> Option<Stamp> {
        let civil = Civil {
            year: self.year,
            month: self.month,
            day: self.day,
            hour: 0,
            minute: 0,
            second: 0,
        };
        Stamp::from_civil(civil, 0)
    }

    fn eve(self) -> Option<Date> {
        Some(Date::of(Stamp(self.start()?.0 - 86_400_000).civil(0)))
    }

    /// 0 is Monday.
    fn weekday(self) -> u8 {
        // The first day of 1970 was a Thursday.
        self.start()
            .map_or(0, |s| (s.secs().div_euclid(86_400) + 3).rem_euclid(7) as u8)
    }
}

/// A span of a day, in minutes since midnight. One that ends before it begins goes on into the next day, and belongs to
/// the day on which it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First minute, 0 to 1439.
    pub from: u16,
    /// The minute after the last, 1 to 1440.
    pub to: u16,
}

impl Span {
    fn has(self, minute: u16) -> bool {
        self.from <= minute && (minute < self.to || self.to <= self.from)
    }

    fn has_tomorrow(self, minute: u16) -> bool {
        self.to <= self.from && minute < self.to
    }
}

/// Hours that come back every week.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weekly {
    /// Days on which they begin: bit 0 is Monday, bit 6 Sunday.
    pub days: u8,
    /// When.
    pub span: Span,
}

/// Days with hours of their own: holidays, and the working weekends that make up for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Special {
    /// What people call it.
    pub name: String,
    /// First day.
    pub from: Date,
    /// Last day.
    pub to: Date,
    /// Comes back every year; the years of the dates are not looked at.
    pub yearly: bool,
    /// When it is open; nothing is closed all day.
    pub hours: Vec<Span>,
}

impl Special {
    fn has(&self, day: Date) -> bool {
        if !self.yearly {
            return self.from <= day && day <= self.to;
        }
        let of = |d: Date| (d.month, d.day);
        let (from, to, day) = (of(self.from), of(self.to), of(day));
        if from <= to {
            from <= day && day <= to
        } else {
            // Over the turn of the year.
            from <= day || day <= to
        }
    }
}

/// Business hours.
#[derive(Clone, Debug, PartialEq)]
pub struct Calendar {
    /// Whose clock they go by.
    pub zone: Zone,
    /// The ordinary week.
    pub weekly: Vec<Weekly>,
    /// Days that are different; the first that has a day decides for it.
    pub special: Vec<Special>,
}

/// What a calendar says of a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hours<'a> {
    /// Open; with the special day whose hours these are.
    Open(Option<&'a str>),
    /// Closed; with the special day that closes it.
    Closed(Option<&'a str>),
}

impl Hours<'_> {
    /// Open, whatever the day is called.
    pub const fn is_open(self) -> bool {
        matches!(self, Hours::Open(_))
    }
}

impl Calendar {
    /// Open round the clock.
    pub const fn always() -> Calendar {
        Calendar {
            zone: Zone::Fixed(0),
            weekly: Vec::new(),
            special: Vec::new(),
        }
    }

    fn day_has(&self, day: Date, has: impl Fn(Span) -> bool) -> (bool, Option<&str>) {
        if let Some(special) = self.special.iter().find(|s| s.has(day)) {
            return (special.hours.iter().any(|s| has(*s)), Some(&special.name));
        }
        let bit = 1 << day.weekday();
        (self.weekly.iter().any(|w| w.days & bit != 0 && has(w.span)), None)
    }

    /// Whether it is open at a moment. A calendar without weekly hours is open but for its special days.
    pub fn at(&self, at: Stamp) -> Hours<'_> {
        let civil = self.zone.civil(at);
        let day = Date::of(civil);
        let minute = u16::from(civil.hour) * 60 + u16::from(civil.minute);
        let (today, special) = self.day_has(day, |s| s.has(minute));
        if today || (self.weekly.is_empty() && special.is_none()) {
            return Hours::Open(special);
        }
        // What began yesterday goes on, even into a day that has none.
        let late = day.eve().map(|eve| self.day_has(eve, |s| s.has_tomorrow(minute)));
        match late {
            Some((true, name)) => Hours::Open(name),
            _ => Hours::Closed(special),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(zone: &Zone, text: &str) -> Stamp {
        let civil = Civil::parse14(text).unwrap();
        // The offset of the moment itself: tried at the offset of noon of that day.
        let guess = Stamp::from_civil(civil, 0).unwrap();
        let offset = zone.offset_minutes(guess);
        Stamp::from_civil(civil, offset).unwrap()
    }

    fn office(zone: &str) -> Calendar {
        let day = |d: &str| Date::parse(d).unwrap();
        Calendar {
            zone: Zone::parse(zone).unwrap(),
            weekly: vec![
                Weekly {
                    days: 0b001_1111,
                    span: Span { from: 540, to: 1080 },
                },
                // Friday night into Saturday.
                Weekly {
                    days: 0b001_0000,
                    span: Span { from: 1320, to: 120 },
                },
            ],
            special: vec![
                Special {
                    name: "National Day".into(),
                    from: day("2026-10-01"),
                    to: day("2026-10-07"),
                    yearly: false,
                    hours: vec![],
                },
                Special {
                    name: "working Saturday".into(),
                    from: day("2026-10-10"),
                    to: day("2026-10-10"),
                    yearly: false,
                    hours: vec![Span { from: 600, to: 960 }],
                },
                Special {
                    name: "turn of the year".into(),
                    from: day("2000-12-31"),
                    to: day("2000-01-01"),
                    yearly: true,
                    hours: vec![],
                },
            ],
        }
    }

    #[test]
    fn hours_days_and_holidays_of_an_office() {
        let c = office("Asia/Shanghai");
        let cases = [
            ("20260928085959", Hours::Closed(None)),
            ("20260928090000", Hours::Open(None)),
            ("20260928175959", Hours::Open(None)),
            ("20260928180000", Hours::Closed(None)),
            // Sunday.
            ("20260927120000", Hours::Closed(None)),
            // Friday night and what it leaves on Saturday morning.
            ("20260925230000", Hours::Open(None)),
            ("20260926015900", Hours::Open(None)),
            ("20260926020000", Hours::Closed(None)),
            ("20261001120000", Hours::Closed(Some("National Day"))),
            ("20261010120000", Hours::Open(Some("working Saturday"))),
            ("20261010163000", Hours::Closed(Some("working Saturday"))),
            ("20261231120000", Hours::Closed(Some("turn of the year"))),
            ("20270101120000", Hours::Closed(Some("turn of the year"))),
        ];
        for (text, hours) in cases {
            assert_eq!(c.at(at(&c.zone, text)), hours, "{text}");
        }
    }

    #[test]
    fn summer_time_moves_the_hours() {
        let c = office("Europe/Berlin");
        // 07:30 UTC is 08:30 in winter and 09:30 in summer.
        let utc = |t| Stamp::from_civil(Civil::parse14(t).unwrap(), 0).unwrap();
        assert!(!c.at(utc("20260112073000")).is_open());
        assert!(c.at(utc("20260713073000")).is_open());
        assert_eq!(
            office("+05:30").zone.civil(utc("20260101000000")).digits14(),
            "20260101053000"
        );
    }

    #[test]
    fn zones_and_dates_are_read_strictly() {
        for (text, name) in [("+08:00", "+08:00"), ("-03:30", "-03:30"), ("UTC", "UTC")] {
            assert_eq!(Zone::parse(text).unwrap().name(), name);
        }
        assert_eq!(Zone::parse("Asia/Shanghai").unwrap().name(), "Asia/Shanghai");
        for text in ["", "+8", "+25:00", "+08:60", "Mars/Olympus", "../etc/passwd", "+é"] {
            assert!(Zone::parse(text).is_err(), "{text}");
        }
        for text in ["2026-02-29", "2026-13-01", "2026-1-01", "2026-01-01-", "éé26-01-01"] {
            assert_eq!(Date::parse(text), None, "{text}");
        }
        assert_eq!((minute_of_day("24:00"), minute_of_day("24:01")), (Some(1440), None));
        assert_eq!((minute_of_day("09:05"), minute_of_day("9:05")), (Some(545), None));
    }

    #[test]
    fn a_calendar_without_a_week_is_always_open() {
        assert!(Calendar::always().at(Stamp(0)).is_open());
        let closed = Calendar {
            special: office("UTC").special,
            ..Calendar::always()
        };
        assert!(!closed.at(at(&closed.zone, "20261003120000")).is_open());
        assert!(closed.at(at(&closed.zone, "20261103120000")).is_open());
    }
}
