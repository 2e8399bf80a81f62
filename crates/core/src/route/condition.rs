//! Conditions of routes and of flows: what can be asked of a call, and why the answer is what it is.

use super::calendar::{Calendar, Hours};
use super::list::{Direction, NumberList};
use super::region::Region;
use crate::id::ConversationId;
use crate::number::Number;
use crate::time::Stamp;
use std::collections::BTreeMap;

/// What routes and flows refer to by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shelf {
    /// Business hours.
    pub calendars: BTreeMap<String, Calendar>,
    /// Lists of numbers.
    pub lists: BTreeMap<String, NumberList>,
}

/// What is known of a call when a condition is asked.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// Now.
    pub at: Stamp,
    /// Which call; shares are drawn from it.
    pub conversation: ConversationId,
    /// Who calls; `None` if the number is withheld.
    pub caller: Option<&'a Number>,
    /// Where the caller is from, if it is known.
    pub region: Option<&'a Region>,
    /// The number that was called.
    pub called: &'a Number,
    /// Values that a flow has gathered.
    pub values: &'a BTreeMap<String, String>,
    /// Calendars and lists.
    pub shelf: &'a Shelf,
}

/// A test of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// There is a value, and it is not empty.
    Given,
    /// It is one of these.
    OneOf(Vec<String>),
    /// It begins so.
    Begins(String),
    /// It is a whole number between these two, both included.
    Between(i64, i64),
}

/// Something that holds for a call or does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Always.
    Always,
    /// A value that a flow has gathered.
    Value {
        /// Its name.
        name: String,
        /// What is asked of it.
        test: Test,
    },
    /// A calendar says that it is open.
    Open(String),
    /// The caller's canonical number begins so.
    CallerBegins(Vec<String>),
    /// The caller withholds its number.
    CallerHidden,
    /// The caller is on a list.
    CallerListed(String),
    /// The caller is from this province and, unless it is empty, this city.
    CallerFrom {
        /// As the table of regions names it.
        province: String,
        /// The same.
        city: String,
    },
    /// The called number is one of these.
    Called(Vec<Number>),
    /// True for so many of a hundred calls, always the same ones.
    Share(u8),
    /// All of these; true of none.
    All(Vec<Condition>),
    /// One of these; false of none.
    Any(Vec<Condition>),
    /// The opposite.
    Not(Box<Condition>),
}

/// How deep conditions may be put into one another.
pub const MAX_DEPTH: usize = 8;
/// How many there may be in one.
pub const MAX_PARTS: usize = 64;

/// An answer and its reason. The reason holds no number and no value: it may be logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The condition holds.
    pub holds: bool,
    /// Why.
    pub why: String,
}

impl Verdict {
    fn new(holds: bool, why: impl Into<String>) -> Verdict {
        Verdict { holds, why: why.into() }
    }
}

/// A number from 0 to 99 that belongs to a call and a place in its way: equal for equal inputs, evenly spread.
pub fn draw(conversation: ConversationId, place: &str) -> u8 {
    let mut state = (conversation.0 >> 64) as u64 ^ (conversation.0 as u64).rotate_left(32);
    for byte in place.bytes() {
        state = mix(state ^ u64::from(byte));
    }
    (mix(state) % 100) as u8
}

/// The output function of SplitMix64 (Steele, Lea, Flood 2014).
const fn mix(state: u64) -> u64 {
    let z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Test {
    fn holds(&self, value: Option<&str>) -> bool {
        let Some(value) = value else { return false };
        match self {
            Test::Given => !value.is_empty(),
            Test::OneOf(all) => all.iter().any(|one| one == value),
            Test::Begins(with) => value.starts_with(with.as_str()),
            Test::Between(from, to) => value.parse::<i64>().is_ok_and(|n| (*from..=*to).contains(&n)),
        }
    }

    const fn words(&self) -> &'static str {
        match self {
            Test::Given => "given",
            Test::OneOf(_) => "one of the values named",
            Test::Begins(_) => "begun as named",
            Test::Between(..) => "in the range named",
        }
    }
}

impl Condition {
    /// Asks the condition of a call. `place` tells the shares of two rules or nodes apart.
    pub fn ask(&self, scene: &Scene<'_>, place: &str) -> Verdict {
        match self {
            Condition::Always => Verdict::new(true, "always"),
            Condition::Value { name, test } => {
                let holds = test.holds(scene.values.get(name).map(String::as_str));
                let not = if holds { "" } else { "not " };
                Verdict::new(holds, format!("{name} is {not}{}", test.words()))
            }
            Condition::Open(name) => open(scene, name),
            Condition::CallerBegins(all) => {
                let begins = |c: &Number| all.iter().any(|p| c.as_str().starts_with(p.as_str()));
                let holds = scene.caller.is_some_and(begins);
                let why = if holds {
                    "the caller's number begins as named"
                } else {
                    "the caller's number does not begin as named"
                };
                Verdict::new(holds, why)
            }
            Condition::CallerHidden => match scene.caller {
                None => Verdict::new(true, "the caller's number is withheld"),
                Some(_) => Verdict::new(false, "the caller's number is known"),
            },
            Condition::CallerListed(name) => listed(scene, name),
            Condition::CallerFrom { province, city } => from(scene.region, province, city),
            Condition::Called(all) => match all.contains(scene.called) {
                true => Verdict::new(true, "the called number is one of those named"),
                false => Verdict::new(false, "the called number is none of those named"),
            },
            Condition::Share(percent) => {
                let drawn = draw(scene.conversation, place);
                let holds = drawn < *percent;
                Verdict::new(holds, format!("drew {drawn}, the share is below {percent}"))
            }
            Condition::All(parts) => {
                for part in parts {
                    let verdict = part.ask(scene, place);
                    if !verdict.holds {
                        return verdict;
                    }
                }
                Verdict::new(true, format!("all {} hold", parts.len()))
            }
            Condition::Any(parts) => {
                let found = parts.iter().map(|p| p.ask(scene, place)).find(|v| v.holds);
                found.unwrap_or_else(|| Verdict::new(false, format!("none of {} holds", parts.len())))
            }
            Condition::Not(part) => {
                let verdict = part.ask(scene, place);
                Verdict::new(!verdict.holds, verdict.why)
            }
        }
    }

    /// Every condition in this one, itself first, with its depth from 1.
    pub fn parts(&self) -> Vec<(&Condition, usize)> {
        let mut all = vec![(self, 1)];
        let mut next = 0;
        // Ends: each is visited once, and bad ones are cut off by their depth and number.
        while let Some((part, depth)) = all.get(next).copied() {
            next += 1;
            if depth > MAX_DEPTH || all.len() > MAX_PARTS {
                break;
            }
            match part {
                Condition::All(parts) | Condition::Any(parts) => all.extend(parts.iter().map(|p| (p, depth + 1))),
                Condition::Not(part) => all.push((part, depth + 1)),
                _ => {}
            }
        }
        all
    }
}

fn open(scene: &Scene<'_>, name: &str) -> Verdict {
    let Some(calendar) = scene.shelf.calendars.get(name) else {
        return Verdict::new(false, format!("there is no calendar {name:?}, which counts as closed"));
    };
    match calendar.at(scene.at) {
        Hours::Open(None) => Verdict::new(true, format!("calendar {name:?} is open")),
        Hours::Open(Some(day)) => Verdict::new(true, format!("calendar {name:?} is open on {day:?}")),
        Hours::Closed(None) => Verdict::new(false, format!("calendar {name:?} is closed")),
        Hours::Closed(Some(day)) => Verdict::new(false, format!("calendar {name:?} is closed for {day:?}")),
    }
}

fn listed(scene: &Scene<'_>, name: &str) -> Verdict {
    let Some(list) = scene.shelf.lists.get(name) else {
        return Verdict::new(false, format!("there is no list {name:?}, which counts as empty"));
    };
    let has = |c: &Number| list.has(c, Direction::Inbound, scene.at);
    match scene.caller {
        None => Verdict::new(false, "the caller's number is withheld"),
        Some(caller) if has(caller) => Verdict::new(true, format!("the caller is on list {name:?}")),
        Some(_) => Verdict::new(false, format!("the caller is not on list {name:?}")),
    }
}

fn from(region: Option<&Region>, province: &str, city: &str) -> Verdict {
    let Some(region) = region else {
        return Verdict::new(false, "the caller's region is not known");
    };
    let holds = region.province == province && (city.is_empty() || region.city == city);
    let why = if holds {
        "the caller is from there"
    } else {
        "the caller is from elsewhere"
    };
    Verdict::new(holds, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::CHINA;
    use crate::route::list::Entry;

    fn number(text: &str) -> Number {
        Number::parse(text, CHINA).unwrap()
    }

    fn ask(condition: &Condition, caller: Option<&str>) -> bool {
        let mut list = NumberList::default();
        let entry = Entry {
            direction: Direction::Both,
            until: None,
        };
        list.add(number("13800138000"), entry);
        let closed = Calendar {
            weekly: vec![crate::route::calendar::Weekly {
                days: 0,
                span: crate::route::calendar::Span { from: 0, to: 1440 },
            }],
            ..Calendar::always()
        };
        let shelf = Shelf {
            calendars: [("all".into(), Calendar::always()), ("none".into(), closed)].into(),
            lists: [("black".into(), list)].into(),
        };
        let caller = caller.map(number);
        let region = Region {
            province: "广东省".into(),
            city: "深圳市".into(),
        };
        let scene = Scene {
            at: Stamp(0),
            conversation: ConversationId(7 << 16),
            caller: caller.as_ref(),
            region: caller.as_ref().map(|_| &region),
            called: &number("95588"),
            values: &[
                ("level".to_owned(), "12".to_owned()),
                ("empty".to_owned(), String::new()),
            ]
            .into(),
            shelf: &shelf,
        };
        let verdict = condition.ask(&scene, "here");
        assert!(
            !verdict.why.is_empty() && !verdict.why.contains("138"),
            "{}",
            verdict.why
        );
        verdict.holds
    }

    #[test]
    fn every_condition_holds_and_fails() {
        let value = |name: &str, test| Condition::Value {
            name: name.into(),
            test,
        };
        let from = |province: &str, city: &str| Condition::CallerFrom {
            province: province.into(),
            city: city.into(),
        };
        let listed = |name: &str| Condition::CallerListed(name.into());
        let cases = [
            (Condition::Always, true),
            (value("level", Test::Given), true),
            (value("empty", Test::Given), false),
            (value("absent", Test::Given), false),
            (value("level", Test::OneOf(vec!["11".into(), "12".into()])), true),
            (value("level", Test::OneOf(vec!["11".into()])), false),
            (value("level", Test::Begins("1".into())), true),
            (value("level", Test::Between(12, 12)), true),
            (value("level", Test::Between(13, 20)), false),
            (value("empty", Test::Between(0, 20)), false),
            (Condition::Open("all".into()), true),
            (Condition::Open("none".into()), false),
            (Condition::Open("unknown".into()), false),
            (Condition::CallerBegins(vec!["+8613".into()]), true),
            (Condition::CallerBegins(vec!["+1".into()]), false),
            (Condition::CallerHidden, false),
            (listed("black"), true),
            (listed("unknown"), false),
            (from("广东省", ""), true),
            (from("广东省", "深圳市"), true),
            (from("广东省", "广州市"), false),
            (Condition::Called(vec![number("95588")]), true),
            (Condition::Called(vec![number("95589")]), false),
            (Condition::Share(0), false),
            (Condition::Share(100), true),
            (Condition::All(vec![]), true),
            (Condition::All(vec![Condition::Always, Condition::CallerHidden]), false),
            (Condition::Any(vec![]), false),
            (Condition::Any(vec![Condition::CallerHidden, Condition::Always]), true),
            (Condition::Not(Box::new(Condition::CallerHidden)), true),
        ];
        for (condition, holds) in cases {
            assert_eq!(ask(&condition, Some("13800138000")), holds, "{condition:?}");
        }
        assert!(ask(&Condition::CallerHidden, None));
        assert!(!ask(&listed("black"), None) && !ask(&listed("black"), Some("13800138009")));
        assert!(!ask(&from("广东省", ""), None) && !ask(&Condition::CallerBegins(vec![String::new()]), None));
    }

    #[test]
    fn a_share_is_even_and_the_same_each_time() {
        let count = |place: &str, percent: u8| {
            let drawn = (0..10_000u64).filter(|n| draw(ConversationId::mint(1, *n), place) < percent);
            drawn.count()
        };
        for percent in [10, 30, 50, 90] {
            let n = count("rule", percent);
            let aim = usize::from(percent) * 100;
            assert!(n.abs_diff(aim) < 200, "{percent}: {n}");
        }
        // Two places draw independently: of those in one half, about half are in the other.
        let both = (0..10_000u64).map(|n| ConversationId::mint(1, n));
        let both = both.filter(|c| draw(*c, "a") < 50 && draw(*c, "b") < 50).count();
        assert!(both.abs_diff(2500) < 200, "{both}");
        assert_eq!(draw(ConversationId(5), "a"), draw(ConversationId(5), "a"));
    }

    #[test]
    fn parts_end_whatever_the_condition() {
        let mut deep = Condition::Always;
        for _ in 0..100 {
            deep = Condition::Not(Box::new(deep));
        }
        assert!(deep.parts().iter().any(|(_, depth)| *depth > MAX_DEPTH));
        assert!(deep.parts().len() <= MAX_DEPTH + 2);
        assert_eq!(Condition::Any(vec![Condition::Always, deep]).parts()[1].1, 2);
    }
}
