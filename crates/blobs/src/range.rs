//! Parts of a recording: the Range header of HTTP (RFC 9110 section 14), and dates as folders.

use std::ops::Range;

/// Octets of a recording, from the first to behind the last.
pub type ByteRange = Range<u64>;

/// What a Range header wants of a representation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// All of it: there is no header, it is not understood, or it names several parts, which a server may ignore (RFC
    /// 9110 section 14.2).
    All,
    /// From an octet to another one, both included.
    Closed(u64, u64),
    /// From an octet to the end.
    From(u64),
    /// The last so many octets.
    Last(u64),
}

/// Reads a Range header.
pub fn wanted(header: &str) -> Wanted {
    let part = |text: &str| -> Option<Wanted> {
        let (unit, set) = text.split_once('=')?;
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return None;
        }
        let (first, last) = set.trim().split_once('-')?;
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            // A number that is too large is behind the end of everything.
            digits.then(|| text.parse().unwrap_or(u64::MAX))
        };
        match (first, last) {
            ("", last) => number(last).map(Wanted::Last),
            (first, "") => number(first).map(Wanted::From),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                // Invalid, and so to be ignored (RFC 9110 section 14.1.1).
                (first <= last).then_some(Wanted::Closed(first, last))
            }
        }
    };
    part(header).unwrap_or(Wanted::All)
}

impl Wanted {
    /// The octets of a representation of this size; `None` if it has none of them (416).
    pub fn of(self, size: u64) -> Option<ByteRange> {
        let range = match self {
            Wanted::All => return Some(0..size),
            Wanted::Closed(first, last) => first..last.saturating_add(1).min(size),
            Wanted::From(first) => first..size,
            Wanted::Last(count) => size.saturating_sub(count)..size,
        };
        (range.start < range.end).then_some(range)
    }
}

/// A day since 1970 as `YYYY-MM-DD` (days to civil, proleptic Gregorian).
pub(crate) fn date(day: u64) -> String {
    let z = day + 719_468;
    let (era, doe) = (z / 146_097, z % 146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let (d, m) = (doy - (153 * mp + 2) / 5 + 1, if mp < 10 { mp + 3 } else { mp - 9 });
    let y = yoe + era * 400 + u64::from(m <= 2);
    format!("{y:04}-{m:02}-{d:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_and_what_they_give() {
        for (header, parts) in [
            ("bytes=0-4", Some(0..5)),
            ("bytes=9-", Some(9..10)),
            ("bytes=-3", Some(7..10)),
            ("bytes=-30", Some(0..10)),
            ("Bytes=5-99999999999999999999999", Some(5..10)),
            ("bytes=10-", None),
            ("bytes=-0", None),
            ("bytes=10-20", None),
            // Not understood, or more than one part: everything.
            ("bytes=4-2", Some(0..10)),
            ("bytes=0-1,4-5", Some(0..10)),
            ("bytes=a-b", Some(0..10)),
            ("bytes=+1-2", Some(0..10)),
            ("seconds=1-2", Some(0..10)),
            ("", Some(0..10)),
        ] {
            assert_eq!(wanted(header).of(10), parts, "{header}");
        }
        assert_eq!(wanted("bytes=0-").of(0), None);
        assert_eq!(Wanted::All.of(0), Some(0..0));
    }

    #[test]
    fn dates() {
        for (day, text) in [
            (0, "1970-01-01"),
            (11_016, "2000-02-29"),
            (19_723, "2024-01-01"),
            (20_777, "2026-11-20"),
        ] {
            assert_eq!(date(day), text);
        }
    }
}
