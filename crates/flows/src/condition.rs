//! Conditions: `"always"`, or an object with one member that names the kind.

use crate::text::NumberWord;
use serde::{Deserialize, Serialize};
use strowger_core::route::{Condition, Test};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Wire {
    Always,
    Value {
        name: String,
        is: Is,
    },
    Open(String),
    CallerBegins(Vec<String>),
    CallerHidden,
    CallerListed(String),
    CallerFrom {
        province: String,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        city: String,
    },
    Called(Vec<NumberWord>),
    Share(u8),
    All(Vec<Wire>),
    Any(Vec<Wire>),
    Not(Box<Wire>),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Is {
    Given,
    OneOf(Vec<String>),
    Begins(String),
    Between(i64, i64),
}

impl From<Wire> for Condition {
    fn from(wire: Wire) -> Condition {
        let all = |parts: Vec<Wire>| parts.into_iter().map(Condition::from).collect();
        match wire {
            Wire::Always => Condition::Always,
            Wire::Value { name, is } => Condition::Value {
                name,
                test: match is {
                    Is::Given => Test::Given,
                    Is::OneOf(all) => Test::OneOf(all),
                    Is::Begins(with) => Test::Begins(with),
                    Is::Between(from, to) => Test::Between(from, to),
                },
            },
            Wire::Open(calendar) => Condition::Open(calendar),
            Wire::CallerBegins(all) => Condition::CallerBegins(all),
            Wire::CallerHidden => Condition::CallerHidden,
            Wire::CallerListed(list) => Condition::CallerListed(list),
            Wire::CallerFrom { province, city } => Condition::CallerFrom { province, city },
            Wire::Called(numbers) => Condition::Called(numbers.into_iter().map(|n| n.0).collect()),
            Wire::Share(percent) => Condition::Share(percent),
            Wire::All(parts) => Condition::All(all(parts)),
            Wire::Any(parts) => Condition::Any(all(parts)),
            Wire::Not(part) => Condition::Not(Box::new(Condition::from(*part))),
        }
    }
}

impl From<&Condition> for Wire {
    fn from(condition: &Condition) -> Wire {
        let all = |parts: &[Condition]| parts.iter().map(Wire::from).collect();
        match condition {
            Condition::Always => Wire::Always,
            Condition::Value { name, test } => Wire::Value {
                name: name.clone(),
                is: match test {
                    Test::Given => Is::Given,
                    Test::OneOf(all) => Is::OneOf(all.clone()),
                    Test::Begins(with) => Is::Begins(with.clone()),
                    Test::Between(from, to) => Is::Between(*from, *to),
                },
            },
            Condition::Open(calendar) => Wire::Open(calendar.clone()),
            Condition::CallerBegins(all) => Wire::CallerBegins(all.clone()),
            Condition::CallerHidden => Wire::CallerHidden,
            Condition::CallerListed(list) => Wire::CallerListed(list.clone()),
            Condition::CallerFrom { province, city } => Wire::CallerFrom {
                province: province.clone(),
                city: city.clone(),
            },
            Condition::Called(numbers) => Wire::Called(numbers.iter().map(|n| NumberWord(n.clone())).collect()),
            Condition::Share(percent) => Wire::Share(*percent),
            Condition::All(parts) => Wire::All(all(parts)),
            Condition::Any(parts) => Wire::Any(all(parts)),
            Condition::Not(part) => Wire::Not(Box::new(Wire::from(&**part))),
        }
    }
}
