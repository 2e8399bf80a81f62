//! English (voice-paas §5.1, second table).

use super::text::{Amount, Date, TimeOfDay};
use super::{Currency, Manner, Script};

const SMALL: [&str; 20] = [
    "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16", "17", "18", "19",
];
const TENS: [&str; 10] = ["", "", "20", "30", "40", "50", "60", "70", "80", "90"];
const SCALES: [(u64, Option<&str>); 4] = [
    (1_000_000_000, Some("billion")),
    (1_000_000, Some("million")),
    (1000, Some("thousand")),
    (1, None),
];
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const ORDINALS: [&str; 20] = [
    "1st", "2nd", "3rd", "4th", "5th", "6th", "7th", "8th", "9th", "10th", "11th", "12th", "13th", "14th", "15th",
    "16th", "17th", "18th", "19th", "20th",
];

/// 0 to 19.
pub(super) fn small(n: u64) -> &'static str {
    SMALL[(n % 20) as usize]
}

/// 0 to 99.
fn pair(n: u64, out: &mut Script) {
    if n < 20 {
        return out.unit(small(n));
    }
    out.unit(TENS[(n / 10 % 10) as usize]);
    if !n.is_multiple_of(10) {
        out.unit(small(n % 10));
    }
}

/// A whole number below 10^12, short scale, no "and".
fn whole(n: u64, out: &mut Script) {
    if n == 0 {
        return out.unit(small(0));
    }
    for (scale, word) in SCALES {
        let group = n / scale % 1000;
        if group == 0 {
            continue;
        }
        if group >= 100 {
            out.unit(small(group / 100));
            out.unit("hundred");
        }
        if !group.is_multiple_of(100) {
            pair(group % 100, out);
        }
        if let Some(word) = word {
            out.unit(word);
        }
    }
}

pub(super) fn number(amount: Amount<'_>, out: &mut Script) {
    if amount.negative {
        out.unit("minus");
    }
    whole(amount.integer, out);
    if !amount.fraction.is_empty() {
        out.unit("point");
        for b in amount.fraction.bytes() {
            out.unit(small(u64::from(b - b'0')));
        }
    }
}

pub(super) fn money(amount: Amount<'_>, currency: Currency, out: &mut Script) {
    // (one, several) of the major and of the minor unit.
    let (major, minor) = match currency {
        Currency::Yuan => (("yuan", "yuan"), ("fen", "fen")),
        Currency::Dollar => (("dollar", "dollars"), ("cent", "cents")),
        Currency::Euro => (("euro", "euros"), ("cent", "cents")),
        Currency::Pound => (("pound", "pounds"), ("penny", "pence")),
    };
    let counted = |n: u64, unit: (&'static str, &'static str), out: &mut Script| {
        whole(n, out);
        out.unit(if n == 1 { unit.0 } else { unit.1 });
    };
    if amount.negative {
        out.unit("minus");
    }
    let hundredths = amount.hundredths();
    if amount.integer > 0 || hundredths == 0 {
        counted(amount.integer, major, out);
    }
    if hundredths > 0 {
        if amount.integer > 0 {
            out.unit("and");
        }
        counted(hundredths, minor, out);
    }
}

pub(super) fn date(date: Date, manner: &Manner, out: &mut Script) {
    out.unit(MONTHS[(date.month as usize - 1) % 12]);
    match date.day {
        30 => out.unit("30th"),
        n if n <= 20 => out.unit(ORDINALS[(n as usize - 1) % 20]),
        n => {
            out.unit(TENS[(n / 10 % 10) as usize]);
            out.unit(ORDINALS[(n as usize % 10).saturating_sub(1)]);
        }
    }
    out.pause(manner.digit_pause);
    year(date.year, out);
}

/// Two pairs, but for 2000 to 2009 and for years of one or two digits.
fn year(n: u64, out: &mut Script) {
    match (n / 100, n % 100) {
        (0, n) => pair(n, out),
        (20, n) if n < 10 => {
            out.unit(small(2));
            out.unit("thousand");
            if n > 0 {
                out.unit(small(n));
            }
        }
        (century, 0) => {
            pair(century, out);
            out.unit("hundred");
        }
        (century, rest) => {
            pair(century, out);
            oh(rest, out);
        }
    }
}

/// 1 to 99 after another pair: "oh" stands for the missing ten.
fn oh(n: u64, out: &mut Script) {
    if n < 10 {
        out.unit("oh");
    }
    pair(n, out);
}

/// Twelve hours with a.m. and p.m.; seconds, where there are any, follow as "and eight seconds".
pub(super) fn time_of_day(time: TimeOfDay, out: &mut Script) {
    // 1 to 12.
    pair((time.hour + 11) % 12 + 1, out);
    if time.minute > 0 {
        oh(time.minute, out);
    }
    out.unit(if time.hour < 12 { "am" } else { "pm" });
    if time.second > 0 {
        out.unit("and");
        pair(time.second, out);
        out.unit(if time.second == 1 { "second" } else { "seconds" });
    }
}
