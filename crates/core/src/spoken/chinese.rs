//! Mandarin (voice-paas §5.1, first table).

use super::Script;
use super::text::{Amount, Date, TimeOfDay};

/// The units of 0 to 9.
const DIGITS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
/// 两, which is 2 before a measure word.
const LIANG: &str = "2-liang";
const GROUPS: [(u64, Option<&str>); 3] = [(100_000_000, Some("100000000")), (10_000, Some("10000")), (1, None)];
const PLACES: [(u64, Option<&str>); 4] = [(1000, Some("1000")), (100, Some("100")), (10, Some("10")), (1, None)];

fn digit(n: u64) -> &'static str {
    DIGITS[(n % 10) as usize]
}

/// A digit of a string that is read one by one.
pub(super) fn dictated(n: u8, yao: bool) -> &'static str {
    match n {
        1 if yao => "1-yao",
        n => digit(u64::from(n)),
    }
}

/// A whole number in groups of four. Zeros at the end of a group are silent, as schools teach it (105000 is 十万五千), and
/// each other run of zeros is one 零.
pub(super) fn whole(n: u64, out: &mut Script) {
    if n == 0 {
        return out.unit(digit(0));
    }
    let mut begun = false;
    let mut zero = false;
    for (scale, group_word) in GROUPS {
        let group = n / scale % 10_000;
        if group == 0 {
            zero = begun;
            continue;
        }
        for (place, place_word) in PLACES {
            let d = group / place % 10;
            if d == 0 {
                // A zero is said when a digit of the same group follows it and something was said before it.
                zero |= begun;
                continue;
            }
            if zero {
                out.unit(digit(0));
                zero = false;
            }
            let before = place_word.or(group_word);
            match (d, place) {
                (1, 10) if !begun => {}
                (2, 1000) => out.unit(LIANG),
                (2, 1) if group == 2 && before.is_some() => out.unit(LIANG),
                _ => out.unit(digit(d)),
            }
            if let Some(word) = place_word {
                out.unit(word);
            }
            begun = true;
        }
        zero = false;
        if let Some(word) = group_word {
            out.unit(word);
        }
    }
}

/// A count before a measure word: two is 两.
fn counted(n: u64, unit: &'static str, out: &mut Script) {
    match n {
        2 => out.unit(LIANG),
        n => whole(n, out),
    }
    out.unit(unit);
}

pub(super) fn number(amount: Amount<'_>, out: &mut Script) {
    if amount.negative {
        out.unit("minus");
    }
    whole(amount.integer, out);
    if !amount.fraction.is_empty() {
        out.unit("point");
        for b in amount.fraction.bytes() {
            out.unit(digit(u64::from(b - b'0')));
        }
    }
}

pub(super) fn money(amount: Amount<'_>, out: &mut Script) {
    if amount.negative {
        out.unit("minus");
    }
    let (jiao, fen) = (amount.hundredths() / 10, amount.hundredths() % 10);
    if amount.integer > 0 || amount.hundredths() == 0 {
        counted(amount.integer, "yuan", out);
    }
    if jiao > 0 {
        counted(jiao, "jiao", out);
    } else if amount.integer > 0 && fen > 0 {
        out.unit(digit(0));
    }
    if fen > 0 {
        counted(fen, "fen", out);
    }
}

pub(super) fn date(date: Date, out: &mut Script) {
    for scale in [1000, 100, 10, 1] {
        out.unit(digit(date.year / scale));
    }
    out.unit("year");
    whole(date.month, out);
    out.unit("month");
    whole(date.day, out);
    out.unit("day");
}

pub(super) fn time_of_day(time: TimeOfDay, out: &mut Script) {
    counted(time.hour, "hour", out);
    if time.minute == 0 && time.second == 0 {
        return out.unit("sharp");
    }
    let mut below_sixty = |n: u64, unit| {
        if (1..10).contains(&n) {
            out.unit(digit(0));
        }
        whole(n, out);
        out.unit(unit);
    };
    below_sixty(time.minute, "minute");
    if time.second > 0 {
        below_sixty(time.second, "second");
    }
}
