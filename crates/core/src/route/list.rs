//! Lists of numbers: who is turned away or treated apart, and what an agent sees of a number.

use crate::number::{Number, NumberPlan};
use crate::time::Stamp;
use std::collections::BTreeMap;

/// For whom an entry of a list counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// As the calling party.
    Inbound,
    /// As the called party.
    Outbound,
    /// As either.
    Both,
}

impl Direction {
    fn covers(self, asked: Direction) -> bool {
        self == Direction::Both || self == asked
    }
}

/// An entry of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// For which calls.
    pub direction: Direction,
    /// When it stops to count; `None` is never.
    pub until: Option<Stamp>,
}

/// A list of numbers and of their beginnings: a black list, a list of favoured customers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NumberList {
    numbers: BTreeMap<Number, Entry>,
    /// By the beginning of the canonical form.
    prefixes: BTreeMap<String, Entry>,
}

impl NumberList {
    /// Adds a number; replaces its older entry.
    pub fn add(&mut self, number: Number, entry: Entry) {
        self.numbers.insert(number, entry);
    }

    /// Adds all numbers whose canonical form begins so. An empty beginning is every number.
    pub fn add_prefix(&mut self, prefix: impl Into<String>, entry: Entry) {
        self.prefixes.insert(prefix.into(), entry);
    }

    /// True if the number is on the list for calls of this direction at this time.
    pub fn has(&self, number: &Number, direction: Direction, at: Stamp) -> bool {
        let counts = |e: &Entry| e.direction.covers(direction) && e.until.is_none_or(|until| at < until);
        let text = number.as_str();
        let beginnings = (0..=text.len()).filter_map(|n| self.prefixes.get(text.get(..n)?));
        self.numbers.get(number).into_iter().chain(beginnings).any(counts)
    }

    /// Its numbers, in order.
    pub fn numbers(&self) -> impl Iterator<Item = (&Number, &Entry)> {
        self.numbers.iter()
    }

    /// Its beginnings of numbers, in order.
    pub fn prefixes(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.prefixes.iter().map(|(prefix, entry)| (prefix.as_str(), entry))
    }

    /// How many entries it has.
    pub fn len(&self) -> usize {
        self.numbers.len() + self.prefixes.len()
    }

    /// True if it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Shortest text of digits that may be a customer's number.
const SHORTEST: usize = 7;

/// What agents see of customers' numbers (I21). The number itself stays on the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Masking {
    /// Digits that stay at the front.
    pub head: u8,
    /// Digits that stay at the end.
    pub tail: u8,
}

impl Default for Masking {
    /// `138****8000`, the customary form of mobile numbers.
    fn default() -> Masking {
        Masking { head: 3, tail: 4 }
    }
}

impl Masking {
    /// A text that may be a number, as an agent sees it: what is none for sure (a name, an extension) stays as it is.
    pub fn text(self, text: &str, plan: NumberPlan) -> String {
        let digits = text.chars().filter(char::is_ascii_digit).count();
        if digits < SHORTEST || text.chars().any(char::is_alphabetic) {
            return text.to_owned();
        }
        match Number::parse(text, plan) {
            Ok(number) => self.apply(&number, plan),
            Err(_) => "*".repeat(text.chars().count()),
        }
    }

    /// The number as an agent sees it: without the plan's own country code, its middle hidden. At least a third of the
    /// digits are hidden, so that settings made for long numbers do not show short ones.
    pub fn apply(self, number: &Number, plan: NumberPlan) -> String {
        let digits = number.as_str();
        let national = digits.strip_prefix('+').and_then(|d| d.strip_prefix(plan.country));
        let digits = national.unwrap_or(digits);
        let shown = digits.len() * 2 / 3;
        let tail = usize::from(self.tail).min(shown);
        let head = usize::from(self.head).min(shown - tail);
        let hidden = digits.len() - head - tail;
        let part = |range: std::ops::Range<usize>| digits.get(range).unwrap_or("");
        format!(
            "{}{}{}",
            part(0..head),
            "*".repeat(hidden),
            part(digits.len() - tail..digits.len())
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::CHINA;

    fn number(text: &str) -> Number {
        Number::parse(text, CHINA).unwrap()
    }

    #[test]
    fn entries_count_for_their_direction_until_their_time() {
        let mut list = NumberList::default();
        assert!(list.is_empty());
        let entry = |direction, until: Option<i64>| Entry {
            direction,
            until: until.map(Stamp),
        };
        list.add(number("13800138000"), entry(Direction::Outbound, None));
        list.add(number("13800138001"), entry(Direction::Both, Some(1000)));
        list.add_prefix("+861062", entry(Direction::Inbound, None));
        let has = |n: &str, d, at| list.has(&number(n), d, Stamp(at));
        assert!(has("+86 138-0013-8000", Direction::Outbound, 0));
        assert!(!has("13800138000", Direction::Inbound, 0));
        assert!(has("13800138001", Direction::Inbound, 999));
        assert!(!has("13800138001", Direction::Inbound, 1000));
        assert!(has("010-62345678", Direction::Inbound, 0));
        assert!(!has("010-72345678", Direction::Inbound, 0));
        assert_eq!(list.len(), 3);
    }

    #[test]
    fn an_agent_sees_the_ends_of_a_number_and_never_its_middle() {
        let shown = |n: &str| Masking::default().apply(&number(n), CHINA);
        assert_eq!(shown("13800138000"), "138****8000");
        assert_eq!(shown("010-62345678"), "10****5678");
        assert_eq!(shown("95588"), "**588");
        assert_eq!(shown("+12025550100"), "+12*****0100");
        let all = Masking { head: 20, tail: 20 };
        assert_eq!(all.apply(&number("13800138000"), CHINA), "****0138000");
        let none = Masking { head: 0, tail: 0 };
        assert_eq!(none.apply(&number("13800138000"), CHINA), "*".repeat(11));
    }

    // accept: domain-model I21
    #[test]
    fn a_text_is_masked_if_it_may_be_a_number() {
        let seen = |text: &str| Masking::default().text(text, CHINA);
        assert_eq!(seen("13800138000"), "138****8000");
        assert_eq!(seen("+8613800138000"), "138****8000");
        assert_eq!(seen("0755-2600-0001"), "755****0001");
        // No number that could be read, and no name or extension either.
        assert_eq!(seen(&"9".repeat(40)), "*".repeat(40));
        for plain in ["8001", "anna", "anonymous", "desk-1234567"] {
            assert_eq!(seen(plain), plain);
        }
    }
}
