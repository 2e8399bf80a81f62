//! Route plans, calendars and lists of numbers.

use crate::condition;
use crate::json::{Malformed, typed};
use crate::text::{CauseWord, DateWord, DayWord, DirectionWord, FromWord, NumberWord, ToWord, ZoneWord};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use strowger_core::cause::Cause;
use strowger_core::route::calendar::{Span, Special, Weekly};
use strowger_core::route::list::Entry;
use strowger_core::route::rules::Ask;
use strowger_core::route::{Calendar, NumberList, Plan, Rule, Target, Way};
use strowger_core::{Number, Stamp};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireSpan {
    from: FromWord,
    to: ToWord,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireWeekly {
    days: Vec<DayWord>,
    from: FromWord,
    to: ToWord,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireSpecial {
    name: String,
    from: DateWord,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    to: Option<DateWord>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    yearly: bool,
    #[serde(default)]
    hours: Vec<WireSpan>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireCalendar {
    zone: ZoneWord,
    #[serde(default)]
    weekly: Vec<WireWeekly>,
    #[serde(default)]
    special: Vec<WireSpecial>,
}

/// The most hours and special days of a calendar.
const MAX_CALENDAR: usize = 1000;
/// The most entries of a list.
const MAX_LIST: usize = 100_000;

fn limited<T>(place: &str, all: Vec<T>, most: usize) -> Result<Vec<T>, Malformed> {
    if all.len() > most {
        return Err(Malformed {
            place: place.to_owned(),
            problem: format!("there are {} entries, at most {most} are allowed", all.len()),
        });
    }
    Ok(all)
}

/// Reads a calendar.
///
/// # Errors
/// What is wrong with it, and where.
pub fn calendar(value: Value) -> Result<Calendar, Malformed> {
    let wire: WireCalendar = typed(value)?;
    let span = |s: &WireSpan| Span {
        from: s.from.0,
        to: s.to.0,
    };
    let weekly = limited("weekly", wire.weekly, MAX_CALENDAR)?;
    let special = limited("special", wire.special, MAX_CALENDAR)?;
    let backwards = |s: &WireSpecial| !s.yearly && s.to.as_ref().is_some_and(|to| to.0 < s.from.0);
    if let Some(n) = special.iter().position(backwards) {
        return Err(Malformed {
            place: format!("special[{n}].to"),
            problem: "the last day is before the first".to_owned(),
        });
    }
    Ok(Calendar {
        zone: wire.zone.0,
        weekly: weekly
            .iter()
            .map(|w| Weekly {
                days: w.days.iter().fold(0, |bits, d| bits | 1 << d.0),
                span: Span {
                    from: w.from.0,
                    to: w.to.0,
                },
            })
            .collect(),
        special: special
            .into_iter()
            .map(|s| Special {
                name: s.name,
                from: s.from.0,
                to: s.to.map_or(s.from.0, |to| to.0),
                yearly: s.yearly,
                hours: s.hours.iter().map(span).collect(),
            })
            .collect(),
    })
}

/// Writes a calendar. Read again, it is the same.
pub fn calendar_of(calendar: &Calendar) -> Value {
    let wire = WireCalendar {
        zone: ZoneWord(calendar.zone.clone()),
        weekly: calendar
            .weekly
            .iter()
            .map(|w| WireWeekly {
                days: (0..7).filter(|d| w.days & 1 << d != 0).map(DayWord).collect(),
                from: FromWord(w.span.from),
                to: ToWord(w.span.to),
            })
            .collect(),
        special: calendar
            .special
            .iter()
            .map(|s| WireSpecial {
                name: s.name.clone(),
                from: DateWord(s.from),
                to: Some(DateWord(s.to)),
                yearly: s.yearly,
                hours: s
                    .hours
                    .iter()
                    .map(|h| WireSpan {
                        from: FromWord(h.from),
                        to: ToWord(h.to),
                    })
                    .collect(),
            })
            .collect(),
    };
    serde_json::to_value(wire).unwrap_or_default()
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireEntry {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    number: Option<NumberWord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prefix: Option<String>,
    #[serde(default = "both")]
    direction: DirectionWord,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until_ms: Option<i64>,
}

fn both() -> DirectionWord {
    DirectionWord(strowger_core::route::Direction::Both)
}

/// Reads a list of numbers: an array of entries, each with a `number` or a `prefix`.
///
/// # Errors
/// What is wrong with it, and where.
pub fn list(value: Value) -> Result<NumberList, Malformed> {
    let entries: Vec<WireEntry> = typed(value)?;
    let mut list = NumberList::default();
    for (n, wire) in limited("", entries, MAX_LIST)?.into_iter().enumerate() {
        let entry = Entry {
            direction: wire.direction.0,
            until: wire.until_ms.map(Stamp),
        };
        match (wire.number, wire.prefix) {
            (Some(number), None) => list.add(number.0, entry),
            (None, Some(prefix)) if !prefix.is_empty() && prefix.len() <= 21 => list.add_prefix(prefix, entry),
            _ => {
                return Err(Malformed {
                    place: format!("[{n}]"),
                    problem: "either `number` or `prefix` is expected; a prefix has 1 to 21 characters".to_owned(),
                });
            }
        }
    }
    Ok(list)
}

/// Writes a list of numbers: numbers first, each kind in order. Read again, it is the same.
pub fn list_of(list: &NumberList) -> Value {
    let wire = |number: Option<&Number>, prefix: Option<&str>, entry: &Entry| WireEntry {
        number: number.map(|n| NumberWord(n.clone())),
        prefix: prefix.map(str::to_owned),
        direction: DirectionWord(entry.direction),
        until_ms: entry.until.map(|u| u.0),
    };
    let numbers = list.numbers().map(|(n, e)| wire(Some(n), None, e));
    let prefixes = list.prefixes().map(|(p, e)| wire(None, Some(p), e));
    let all: Vec<WireEntry> = numbers.chain(prefixes).collect();
    serde_json::to_value(all).unwrap_or_default()
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum WireTarget {
    Flow(String),
    Queue(String),
    Agent(String),
    Device(String),
    Number(NumberWord),
    Voicemail(String),
    Refuse {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        prompt: Option<String>,
        #[serde(default = "rejected")]
        cause: CauseWord,
    },
}

fn rejected() -> CauseWord {
    CauseWord(Cause::Rejected)
}

impl From<WireTarget> for Target {
    fn from(wire: WireTarget) -> Target {
        match wire {
            WireTarget::Flow(name) => Target::Flow(name),
            WireTarget::Queue(name) => Target::Queue(name),
            WireTarget::Agent(name) => Target::Agent(name),
            WireTarget::Device(name) => Target::Device(name),
            WireTarget::Number(number) => Target::Number(number.0),
            WireTarget::Voicemail(name) => Target::Voicemail(name),
            WireTarget::Refuse { prompt, cause } => Target::Refuse { prompt, cause: cause.0 },
        }
    }
}

impl From<&Target> for WireTarget {
    fn from(target: &Target) -> WireTarget {
        match target {
            Target::Flow(name) => WireTarget::Flow(name.clone()),
            Target::Queue(name) => WireTarget::Queue(name.clone()),
            Target::Agent(name) => WireTarget::Agent(name.clone()),
            Target::Device(name) => WireTarget::Device(name.clone()),
            Target::Number(number) => WireTarget::Number(NumberWord(number.clone())),
            Target::Voicemail(name) => WireTarget::Voicemail(name.clone()),
            Target::Refuse { prompt, cause } => WireTarget::Refuse {
                prompt: prompt.clone(),
                cause: CauseWord(*cause),
            },
        }
    }
}

const fn three_seconds() -> u32 {
    3000
}

const fn twice() -> u8 {
    2
}

/// A target, or the question to the tenant's server, which has one for the case that there is no answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireAsk {
    url: String,
    #[serde(default = "three_seconds")]
    timeout_ms: u32,
    #[serde(default = "twice")]
    attempts: u8,
    default: WireTarget,
}

/// In the form of a target or `{"ask": {…}}`.
fn way(value: Value) -> Result<Way, Malformed> {
    if let Value::Object(members) = &value
        && members.len() == 1
        && let Some(ask) = members.get("ask")
    {
        let ask: WireAsk = typed(ask.clone()).map_err(|e| e.under("ask"))?;
        return Ok(Way::Ask(Ask {
            url: ask.url,
            timeout_ms: ask.timeout_ms,
            attempts: ask.attempts,
            default: ask.default.into(),
        }));
    }
    typed::<WireTarget>(value).map(|t| Way::To(t.into()))
}

/// Writes what a rule says.
pub fn way_of(way: &Way) -> Value {
    match way {
        Way::To(target) => serde_json::to_value(WireTarget::from(target)).unwrap_or_default(),
        Way::Ask(ask) => serde_json::json!({ "ask": WireAsk {
            url: ask.url.clone(),
            timeout_ms: ask.timeout_ms,
            attempts: ask.attempts,
            default: WireTarget::from(&ask.default),
        }}),
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireRule {
    name: String,
    when: condition::Wire,
    to: Value,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WirePlan {
    rules: Vec<WireRule>,
    otherwise: Value,
}

/// Reads the rules of a number.
///
/// # Errors
/// What is wrong with them, and where.
pub fn plan(value: Value) -> Result<Plan, Malformed> {
    let wire: WirePlan = typed(value)?;
    let rule = |(n, rule): (usize, WireRule)| {
        Ok(Rule {
            name: rule.name,
            when: rule.when.into(),
            way: way(rule.to).map_err(|e| e.under(&format!("rules[{n}].to")))?,
        })
    };
    Ok(Plan {
        rules: wire.rules.into_iter().enumerate().map(rule).collect::<Result<_, _>>()?,
        otherwise: way(wire.otherwise).map_err(|e| e.under("otherwise"))?,
    })
}

/// Writes the rules of a number. Read again, they are the same.
pub fn plan_of(plan: &Plan) -> Value {
    let wire = WirePlan {
        rules: plan
            .rules
            .iter()
            .map(|r| WireRule {
                name: r.name.clone(),
                when: (&r.when).into(),
                to: way_of(&r.way),
            })
            .collect(),
        otherwise: way_of(&plan.otherwise),
    };
    serde_json::to_value(wire).unwrap_or_default()
}
