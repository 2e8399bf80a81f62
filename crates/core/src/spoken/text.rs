//! What is written, checked and taken apart (voice-paas §5).

use super::{Expected, SpokenError};

/// The longest text that is read one by one.
pub(super) const MAX_DIGITS: usize = 64;
/// The longest integer part of a number or an amount.
const MAX_INTEGER: usize = 12;

/// A number or an amount.
#[derive(Clone, Copy)]
pub(super) struct Amount<'a> {
    /// Whether it is below zero: a minus before nothing but zeros is dropped.
    pub(super) negative: bool,
    /// Below 10^12.
    pub(super) integer: u64,
    /// The decimals as they are written, digits only, perhaps none.
    pub(super) fraction: &'a str,
}

impl Amount<'_> {
    /// Hundredths beyond the integer part, of an amount with at most two decimals.
    pub(super) fn hundredths(self) -> u64 {
        let mut decimals = self.fraction.bytes().map(|b| u64::from(b - b'0'));
        decimals.next().unwrap_or(0) * 10 + decimals.next().unwrap_or(0)
    }
}

/// `-?\d{1,12}(\.\d{1,N})?`
pub(super) fn amount(text: &str, max_decimals: usize) -> Option<Amount<'_>> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (integer, fraction) = match unsigned.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (unsigned, ""),
    };
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if integer.is_empty() || integer.len() > MAX_INTEGER || fraction.len() > max_decimals {
        return None;
    }
    if !digits(integer) || !digits(fraction) {
        return None;
    }
    let integer: u64 = integer.parse().ok()?;
    Some(Amount {
        negative: negative && (integer > 0 || fraction.bytes().any(|b| b != b'0')),
        integer,
        fraction,
    })
}

#[derive(Clone, Copy)]
pub(super) struct Date {
    /// 1 to 9999.
    pub(super) year: u64,
    pub(super) month: u64,
    pub(super) day: u64,
}

#[derive(Clone, Copy)]
pub(super) struct TimeOfDay {
    pub(super) hour: u64,
    pub(super) minute: u64,
    /// Zero also if none is written.
    pub(super) second: u64,
}

/// At least one of the two.
pub(super) struct Moment {
    pub(super) date: Option<Date>,
    pub(super) time: Option<TimeOfDay>,
}

/// `YYYY-MM-DD`, `HH:mm[:ss]` or both with a space between them.
pub(super) fn time(text: &str) -> Result<Moment, SpokenError> {
    match text.split_once(' ') {
        Some((day, hour)) => Ok(Moment {
            date: Some(date(day)?),
            time: Some(time_of_day(hour)?),
        }),
        None if text.contains(':') => Ok(Moment {
            date: None,
            time: Some(time_of_day(text)?),
        }),
        None => Ok(Moment {
            date: Some(date(text)?),
            time: None,
        }),
    }
}

/// The figures of a text in which each `d` of the pattern is a digit and all else is itself.
fn figures<const N: usize>(text: &str, pattern: &str) -> Option<[u64; N]> {
    let mut out = [0u64; N];
    let mut at = 0;
    if text.len() != pattern.len() {
        return None;
    }
    for (b, p) in text.bytes().zip(pattern.bytes()) {
        match p {
            b'd' if b.is_ascii_digit() => out[at] = out[at] * 10 + u64::from(b - b'0'),
            b'd' => return None,
            _ if b == p => at += 1,
            _ => return None,
        }
    }
    Some(out)
}

fn date(text: &str) -> Result<Date, SpokenError> {
    let [year, month, day] = figures(text, "dddd-dd-dd").ok_or(SpokenError::Form(Expected::Time))?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return Err(SpokenError::Date),
    };
    if year == 0 || !(1..=last).contains(&day) {
        return Err(SpokenError::Date);
    }
    Ok(Date { year, month, day })
}

fn time_of_day(text: &str) -> Result<TimeOfDay, SpokenError> {
    let [hour, minute, second] = figures(text, "dd:dd:dd")
        .or_else(|| figures::<2>(text, "dd:dd").map(|[h, m]| [h, m, 0]))
        .ok_or(SpokenError::Form(Expected::Time))?;
    if hour > 23 || minute > 59 || second > 59 {
        return Err(SpokenError::TimeOfDay);
    }
    Ok(TimeOfDay { hour, minute, second })
}

/// 1 to 64 letters, digits, `*`, `#`, `+`, `-` and spaces.
pub(super) fn check_digits(text: &str) -> Result<(), SpokenError> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '*' | '#' | '+' | '-' | ' ');
    if let Some(position) = text.chars().position(|c| !good(c)) {
        return Err(SpokenError::Character { position: position + 1 });
    }
    if text.len() > MAX_DIGITS {
        return Err(SpokenError::TooLong);
    }
    Ok(())
}
