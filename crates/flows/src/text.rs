//! Words of the wire form: what is written as a text and means something else.

use serde::{Deserialize, Serialize};
use std::fmt;
use strowger_core::cause::Cause;
use strowger_core::ivr::flow::Method;
use strowger_core::number::{CHINA, Number};
use strowger_core::route::Direction;
use strowger_core::route::calendar::{Date, Zone, minute_of_day};
use strowger_core::spoken::{Kind, Language};

/// A type that is a word on the wire. What was expected is said when it is another.
macro_rules! word {
    ($name:ident, $of:ty, $expected:literal, $read:expr, $write:expr) => {
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub(crate) struct $name(pub $of);

        impl TryFrom<String> for $name {
            type Error = Expected;

            fn try_from(text: String) -> Result<Self, Expected> {
                let read: fn(&str) -> Option<$of> = $read;
                read(&text)
                    .map($name)
                    .ok_or_else(|| Expected(text.chars().take(64).collect(), $expected))
            }
        }

        impl From<$name> for String {
            fn from(word: $name) -> String {
                let write: fn($of) -> String = $write;
                write(word.0)
            }
        }
    };
}

/// A word that is another than those expected.
pub(crate) struct Expected(String, &'static str);

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} where {} is expected", self.0, self.1)
    }
}

/// A single character; that it is a key is for the check.
fn one(text: &str) -> Option<char> {
    let mut chars = text.chars();
    let first = chars.next()?;
    chars.next().is_none().then_some(first)
}

/// Days of the week, Monday first, as their bits in a calendar are.
pub(crate) const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

fn clock(minutes: u16) -> String {
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

word!(Key, char, "one key", one, |k| k.to_string());
word!(
    CauseWord,
    Cause,
    "a cause such as normal, busy or rejected",
    Cause::from_name,
    |c| c.name().to_owned()
);
word!(
    MethodWord,
    Method,
    "GET, POST, PUT, PATCH or DELETE",
    Method::from_name,
    |m| m.name().to_owned()
);
word!(KindWord, Kind, "time, money, number or digits", Kind::from_name, |k| k
    .name()
    .to_owned());
word!(LanguageWord, Language, "zh or en", Language::from_code, |l| l
    .code()
    .to_owned());
word!(
    NumberWord,
    Number,
    "a telephone number",
    |t| Number::parse(t, CHINA).ok(),
    |n| n.as_str().to_owned()
);
word!(
    ZoneWord,
    Zone,
    "a time zone such as Asia/Shanghai or +08:00",
    |t| Zone::parse(t).ok(),
    |z| z.name()
);
word!(DateWord, Date, "a date YYYY-MM-DD", Date::parse, |d| format!(
    "{:04}-{:02}-{:02}",
    d.year, d.month, d.day
));
word!(
    FromWord,
    u16,
    "a time of day HH:MM",
    |t| minute_of_day(t).filter(|m| *m < 1440),
    clock
);
word!(
    ToWord,
    u16,
    "a time of day HH:MM, at most 24:00",
    |t| minute_of_day(t).filter(|m| *m > 0),
    clock
);
word!(
    DayWord,
    u8,
    "a day: mon, tue, wed, thu, fri, sat or sun",
    |t| DAYS.iter().position(|d| *d == t).map(|n| n as u8),
    |n| DAYS.get(usize::from(n)).copied().unwrap_or("mon").to_owned()
);
word!(
    DirectionWord,
    Direction,
    "inbound, outbound or both",
    |t| match t {
        "inbound" => Some(Direction::Inbound),
        "outbound" => Some(Direction::Outbound),
        "both" => Some(Direction::Both),
        _ => None,
    },
    |d| match d {
        Direction::Inbound => "inbound",
        Direction::Outbound => "outbound",
        Direction::Both => "both",
    }
    .to_owned()
);
