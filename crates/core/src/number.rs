//! Telephone numbers as people write them and as the platform compares them.

use std::fmt;

/// A dialable number in canonical form: `+` and country code for subscribers, bare digits for service numbers and
/// extensions. Two spellings of one number are equal.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Number(String);

/// A text that is no dialable number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadNumber {
    /// Nothing but spaces and separators.
    #[error("the number is empty")]
    Empty,
    /// A character that is neither a digit nor a separator.
    #[error("a number may hold digits, spaces, hyphens, parentheses and a leading + only")]
    Character,
    /// Shorter than 2 or longer than 20 digits (E.164 allows 15; carriers add prefixes).
    #[error("a number has 2 to 20 digits")]
    Length,
}

/// How a country's own numbers are written without the country code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NumberPlan {
    /// Country code without `+`.
    pub country: &'static str,
    /// Trunk prefix of national numbers.
    pub trunk_prefix: &'static str,
    /// Prefix for international calls.
    pub international_prefix: &'static str,
}

/// Mainland China, the plan of the source dialects.
pub const CHINA: NumberPlan = NumberPlan {
    country: "86",
    trunk_prefix: "0",
    international_prefix: "00",
};

/// E.164 allows 15; carriers put prefixes in front.
const MAX_DIGITS: usize = 20;

impl Number {
    /// Reads a number as a user of `plan` writes it: spaces, hyphens and parentheses are ignored; `+CC`, `00CC` and
    /// a bare country code in front of a national number are accepted (voice-paas §1.5).
    pub fn parse(text: &str, plan: NumberPlan) -> Result<Number, BadNumber> {
        let mut digits = String::with_capacity(text.len());
        let mut plus = false;
        for c in text.trim().chars() {
            match c {
                '0'..='9' => digits.push(c),
                '+' if digits.is_empty() && !plus => plus = true,
                ' ' | '-' | '(' | ')' => {}
                _ => return Err(BadNumber::Character),
            }
        }
        if digits.is_empty() {
            return Err(BadNumber::Empty);
        }
        if !(2..=MAX_DIGITS).contains(&digits.len()) {
            return Err(BadNumber::Length);
        }
        if plus {
            return Ok(Number(format!("+{digits}")));
        }
        if let Some(rest) = digits.strip_prefix(plan.international_prefix) {
            return if rest.len() < 2 {
                Err(BadNumber::Length)
            } else {
                Ok(Number(format!("+{rest}")))
            };
        }
        // `86` in front of a mobile (11 digits) or of an area code and subscriber number (10 or 11 digits).
        if let Some(rest) = digits.strip_prefix(plan.country)
            && (10..=11).contains(&rest.len())
        {
            return Ok(Number(format!("+{digits}")));
        }
        // A trunk prefix marks a national number with its area code. Service numbers (400, 95xxx, 10xxx) and
        // extensions have neither prefix and stay as they are.
        if let Some(rest) = digits.strip_prefix(plan.trunk_prefix)
            && rest.len() >= 9
        {
            // The canonical form must be a number itself.
            if rest.len() + plan.country.len() > MAX_DIGITS {
                return Err(BadNumber::Length);
            }
            return Ok(Number(format!("+{}{rest}", plan.country)));
        }
        if digits.len() == 11 && digits.starts_with('1') {
            return Ok(Number(format!("+{}{digits}", plan.country)));
        }
        Ok(Number(digits))
    }

    /// The canonical form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A number that is already canonical, as it comes back from the journal or a table.
    pub fn from_canonical(text: impl Into<String>) -> Number {
        Number(text.into())
    }

    /// True if the number has a country code other than the plan's.
    pub fn is_international(&self, plan: NumberPlan) -> bool {
        self.0.strip_prefix('+').is_some_and(|d| !d.starts_with(plan.country))
    }

    /// The number with its middle hidden, for logs: at most the first three and the last two digits remain.
    pub fn masked(&self) -> String {
        let n = self.0.len();
        if n <= 5 {
            "*".repeat(n)
        } else {
            format!("{}{}{}", &self.0[..3], "*".repeat(n - 5), &self.0[n - 2..])
        }
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Numbers do not reach logs in clear, not even through a debug print.
        f.write_str(&self.masked())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> String {
        Number::parse(text, CHINA).unwrap().as_str().to_owned()
    }

    #[test]
    fn spellings_of_one_number_are_equal() {
        for text in [
            "13800138000",
            "+8613800138000",
            "008613800138000",
            "86 138-0013-8000",
            " +86 138 0013 8000 ",
        ] {
            assert_eq!(canonical(text), "+8613800138000", "{text}");
        }
        for text in ["010-62345678", "+861062345678", "861062345678"] {
            assert_eq!(canonical(text), "+861062345678", "{text}");
        }
    }

    #[test]
    fn service_numbers_and_extensions_stay() {
        for text in ["95588", "10086", "4008123123", "8001"] {
            assert_eq!(canonical(text), text);
        }
    }

    #[test]
    fn what_is_no_number_is_refused_with_a_reason() {
        assert_eq!(Number::parse("", CHINA), Err(BadNumber::Empty));
        assert_eq!(Number::parse("1", CHINA), Err(BadNumber::Length));
        assert_eq!(Number::parse("138a", CHINA), Err(BadNumber::Character));
        assert_eq!(Number::parse("13+8", CHINA), Err(BadNumber::Character));
        assert_eq!(Number::parse("００", CHINA), Err(BadNumber::Character));
        assert_eq!(Number::parse(&"1".repeat(21), CHINA), Err(BadNumber::Length));
        assert_eq!(Number::parse("000", CHINA), Err(BadNumber::Length));
        // A national number that its country code would make too long.
        assert_eq!(
            Number::parse(&format!("0{}", "1".repeat(19)), CHINA),
            Err(BadNumber::Length)
        );
    }

    #[test]
    fn a_debug_print_hides_the_number() {
        let n = Number::parse("13800138000", CHINA).unwrap();
        assert!(!format!("{n:?}").contains("38001380"));
    }
}
