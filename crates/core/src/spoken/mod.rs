//! Dates, amounts, numbers and digits as sequences of recorded units (voice-paas §5.1).
//!
//! [`speak`] says which units are played and where it is silent between them; the sounds themselves belong to the layer
//! above. [`units`] lists every unit that it may name, with the words to record.

mod chinese;
mod english;
mod text;
mod units;

#[cfg(test)]
mod tests;

use std::fmt;
pub use units::{UnitText, units};

/// The language that spoken data is read in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Language {
    /// Mandarin.
    Chinese,
    /// English, numbers by the American short scale without "and".
    English,
}

impl Language {
    /// Both, for loading and for tests.
    pub const ALL: [Language; 2] = [Language::Chinese, Language::English];

    /// ISO 639-1, which is also the name of the folder of sounds: `zh` or `en`.
    pub const fn code(self) -> &'static str {
        match self {
            Language::Chinese => "zh",
            Language::English => "en",
        }
    }

    /// The language of a [`code`](Language::code).
    pub fn from_code(code: &str) -> Option<Language> {
        Language::ALL.into_iter().find(|l| l.code() == code)
    }
}

/// How a text is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A date `YYYY-MM-DD`, a time of day `HH:mm[:ss]`, or both with one space between them.
    Time,
    /// An amount of money, `-?\d{1,12}(\.\d{1,2})?`.
    Money,
    /// A quantity, `-?\d{1,12}(\.\d{1,6})?`.
    Number,
    /// 1 to 64 letters, digits, `*`, `#`, `+`, `-` and spaces, read one by one.
    Digits,
    /// A place in a queue, from 1, and behind a space the minutes that it may still take, where that is known; each of 1 to 4
    /// digits. The platform's own: [`from_name`](Kind::from_name) does not know it.
    Place,
}

impl Kind {
    /// All that others may ask for.
    pub const ALL: [Kind; 4] = [Kind::Time, Kind::Money, Kind::Number, Kind::Digits];

    /// The word of the wire: `time`, `money`, `number` or `digits`.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Time => "time",
            Kind::Money => "money",
            Kind::Number => "number",
            Kind::Digits => "digits",
            Kind::Place => "place",
        }
    }

    /// The kind of a [`name`](Kind::name); names are lower case.
    pub fn from_name(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|k| k.name() == name)
    }
}

/// The unit words of amounts of money. Chinese amounts are yuan whatever is chosen here: 角 has no counterpart elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Currency {
    /// Yuan and fen.
    #[default]
    Yuan,
    /// Dollars and cents.
    Dollar,
    /// Euros and cents.
    Euro,
    /// Pounds and pence.
    Pound,
}

/// What an installation may choose about the way of reading. Lengths are milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Manner {
    /// Whether a Chinese 1 in [`Kind::Digits`] is 幺 (yāo), as numbers are dictated; otherwise 一.
    pub yao: bool,
    /// Unit words of English amounts.
    pub currency: Currency,
    /// Silence between two digits of [`Kind::Digits`] and between parts of a sentence; §5.1 allows 120 to 200.
    pub digit_pause: u16,
    /// Silence in addition to [`digit_pause`](Manner::digit_pause) between groups of digits and for each `-` or space.
    pub group_pause: u16,
}

impl Default for Manner {
    fn default() -> Self {
        Manner {
            yao: true,
            currency: Currency::Yuan,
            digit_pause: 150,
            group_pause: 300,
        }
    }
}

/// Silence between two items of a list of contents, in milliseconds (§5.1).
pub const ITEM_PAUSE: u16 = 300;

/// A part of something spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Piece {
    /// A recorded unit, by the stem of its file: one of [`units`] of the language.
    Unit(&'static str),
    /// Silence of so many milliseconds.
    Pause(u16),
}

/// Why a text cannot be read. Texts may be secret (verification codes), so that none is repeated here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpokenError {
    /// There is nothing to read.
    #[error("the text is empty")]
    Empty,
    /// The form is not the one of the kind.
    #[error("{what} is written {0}", what = .0.what())]
    Form(Expected),
    /// Form and figures do not make a day of the calendar.
    #[error("there is no such day: month 1 to 12, day 1 to the last of that month, year 0001 to 9999")]
    Date,
    /// Hours, minutes or seconds are out of range.
    #[error("there is no such time of day: 00:00 to 23:59, seconds 00 to 59")]
    TimeOfDay,
    /// More characters than are read one by one.
    #[error("at most {limit} characters are read one by one; this text has more", limit = text::MAX_DIGITS)]
    TooLong,
    /// A character that is not read one by one; `position` counts characters from 1.
    #[error(
        "the character at position {position} is not read one by one: use letters A to Z, digits, * # + - and spaces"
    )]
    Character {
        /// Counted from 1.
        position: usize,
    },
}

/// The form that was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// For [`Kind::Time`].
    Time,
    /// For [`Kind::Money`].
    Money,
    /// For [`Kind::Number`].
    Number,
    /// For [`Kind::Place`].
    Place,
}

impl Expected {
    const fn what(self) -> &'static str {
        match self {
            Expected::Time => "a time",
            Expected::Money => "an amount of money",
            Expected::Number => "a number",
            Expected::Place => "a place in a queue",
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Expected::Time => "YYYY-MM-DD, HH:mm[:ss], or both with one space between them",
            Expected::Money => "with 1 to 12 digits, at most 2 decimals and an optional leading minus, such as -12.50",
            Expected::Place => "with 1 to 4 digits, and perhaps a space and minutes of 1 to 4 digits, such as 3 12",
            Expected::Number => "with 1 to 12 digits, at most 6 decimals and an optional leading minus, such as -3.05",
        })
    }
}

/// The units that read `text` in `language`, with the pauses between them. There is at least one piece, and a pause is never
/// followed by another one.
///
/// # Errors
/// [`SpokenError`]: the text is not of the kind. A text that is accepted in one language is accepted in the other.
pub fn speak(kind: Kind, text: &str, language: Language, manner: &Manner) -> Result<Vec<Piece>, SpokenError> {
    if text.is_empty() {
        return Err(SpokenError::Empty);
    }
    let mut out = Script::default();
    match kind {
        Kind::Time => {
            let moment = text::time(text)?;
            if let Some(date) = moment.date {
                match language {
                    Language::Chinese => chinese::date(date, &mut out),
                    Language::English => english::date(date, manner, &mut out),
                }
            }
            if let Some(time) = moment.time {
                if moment.date.is_some() {
                    out.pause(manner.digit_pause);
                }
                match language {
                    Language::Chinese => chinese::time_of_day(time, &mut out),
                    Language::English => english::time_of_day(time, &mut out),
                }
            }
        }
        Kind::Money => {
            let amount = text::amount(text, 2).ok_or(SpokenError::Form(Expected::Money))?;
            match language {
                Language::Chinese => chinese::money(amount, &mut out),
                Language::English => english::money(amount, manner.currency, &mut out),
            }
        }
        Kind::Number => {
            let amount = text::amount(text, 6).ok_or(SpokenError::Form(Expected::Number))?;
            match language {
                Language::Chinese => chinese::number(amount, &mut out),
                Language::English => english::number(amount, &mut out),
            }
        }
        Kind::Digits => {
            text::check_digits(text)?;
            digits(text, language, manner, &mut out);
        }
        Kind::Place => place(text, language, &mut out)?,
    }
    Ok(out.pieces)
}

/// "Your verification code is", and the code character by character: what a captcha says once (voice-paas §7, C3).
///
/// # Errors
/// [`SpokenError`], as for [`Kind::Digits`]. That a code has 4 to 8 letters and digits is checked by who takes it in.
pub fn captcha(code: &str, language: Language, manner: &Manner) -> Result<Vec<Piece>, SpokenError> {
    let spoken = speak(Kind::Digits, code, language, manner)?;
    let mut out = vec![Piece::Unit(units::CODE_INTRO), Piece::Pause(ITEM_PAUSE)];
    out.extend(spoken);
    Ok(out)
}

/// "You are number three in the queue. The wait is about two minutes."
fn place(text: &str, language: Language, out: &mut Script) -> Result<(), SpokenError> {
    let wrong = SpokenError::Form(Expected::Place);
    let (place, minutes) = match text.split_once(' ') {
        Some((place, minutes)) => (place, Some(minutes)),
        None => (text, None),
    };
    let figures = |text: &str| (1..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if !figures(place) || !minutes.is_none_or(figures) {
        return Err(wrong);
    }
    counted(units::PLACE_INTRO, place, units::PLACE_END, language, out)?;
    if let Some(minutes) = minutes {
        out.pause(ITEM_PAUSE);
        let end = if minutes == "1" && language == Language::English {
            units::WAIT_END_ONE
        } else {
            units::WAIT_END
        };
        counted(units::WAIT_INTRO, minutes, end, language, out)?;
    }
    Ok(())
}

fn counted(
    intro: &'static str,
    text: &str,
    end: &'static str,
    language: Language,
    out: &mut Script,
) -> Result<(), SpokenError> {
    let amount = text::amount(text, 0).ok_or(SpokenError::Form(Expected::Place))?;
    out.unit(intro);
    match language {
        // A quantity of two is 两; a place is an ordinal.
        Language::Chinese if intro == units::WAIT_INTRO && text == "2" => out.unit("2-liang"),
        Language::Chinese => chinese::number(amount, out),
        Language::English => english::number(amount, out),
    }
    out.unit(end);
    Ok(())
}

/// One by one. A run longer than five is read in groups of three and four, the threes first: 138 1234 5678.
fn digits(text: &str, language: Language, manner: &Manner, out: &mut Script) {
    for run in text.split_inclusive(['-', ' ']) {
        let spoken = run.trim_end_matches(['-', ' ']);
        let count = spoken.len();
        let groups = if count > 5 { count.div_ceil(4) } else { 1 };
        let threes = if count > 5 { groups * 4 - count } else { 0 };
        for (i, c) in spoken.bytes().enumerate() {
            let starts_group = if i <= threes * 3 {
                i % 3 == 0
            } else {
                (i - threes * 3).is_multiple_of(4)
            };
            if i > 0 {
                out.pause(manner.digit_pause);
                if count > 5 && starts_group {
                    out.pause(manner.group_pause);
                }
            }
            out.unit(match (c, language) {
                (b'0'..=b'9', Language::Chinese) => chinese::dictated(c - b'0', manner.yao),
                (b'0'..=b'9', Language::English) => english::small(u64::from(c - b'0')),
                _ => units::character(c),
            });
        }
        if spoken.len() < run.len() {
            out.pause(manner.digit_pause.saturating_add(manner.group_pause));
        }
    }
}

/// The pieces as they come together.
#[derive(Default)]
struct Script {
    pieces: Vec<Piece>,
}

impl Script {
    fn unit(&mut self, unit: &'static str) {
        self.pieces.push(Piece::Unit(unit));
    }

    /// Adds silence; two pauses become one.
    fn pause(&mut self, ms: u16) {
        match self.pieces.last_mut() {
            Some(Piece::Pause(last)) => *last = last.saturating_add(ms),
            _ if ms > 0 => self.pieces.push(Piece::Pause(ms)),
            _ => {}
        }
    }
}
