//! Stamps on the wire: RFC 3339 in UTC with milliseconds.

use strowger_core::Stamp;
use strowger_core::time::Civil;

/// `2026-01-31T09:30:00.125Z`.
pub fn rfc3339(at: Stamp) -> String {
    let c = at.civil(0);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        c.year,
        c.month,
        c.day,
        c.hour,
        c.minute,
        c.second,
        at.0.rem_euclid(1000)
    )
}

/// Reads the form that [`rfc3339`] writes, with or without milliseconds, in UTC only.
pub fn parse_rfc3339(text: &str) -> Option<Stamp> {
    let text = text.strip_suffix('Z')?;
    let (whole, ms) = match text.split_once('.') {
        Some((whole, frac)) if frac.len() == 3 => (whole, frac.parse::<u16>().ok()?),
        Some(_) => return None,
        None => (text, 0),
    };
    let shape = whole.len() == 19
        && whole.bytes().enumerate().all(|(i, b)| match i {
            4 | 7 => b == b'-',
            10 => b == b'T',
            13 | 16 => b == b':',
            _ => b.is_ascii_digit(),
        });
    if !shape {
        return None;
    }
    let digits: String = whole.chars().filter(char::is_ascii_digit).collect();
    Stamp::from_civil(Civil::parse14(&digits)?, 0).map(|s| s.plus_ms(u64::from(ms)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_round_trip() {
        for ms in [0, 1_709_164_800_125, 1_767_225_599_999] {
            assert_eq!(parse_rfc3339(&rfc3339(Stamp(ms))), Some(Stamp(ms)));
        }
        assert_eq!(
            parse_rfc3339("2026-01-31T09:30:00Z"),
            parse_rfc3339("2026-01-31T09:30:00.000Z")
        );
        for bad in [
            "",
            "2026-01-31",
            "2026-02-30T00:00:00Z",
            "2026-01-31T09:30:00+08:00",
            "2026-01-31T09:30:00.1Z",
        ] {
            assert_eq!(parse_rfc3339(bad), None, "{bad}");
        }
    }
}
