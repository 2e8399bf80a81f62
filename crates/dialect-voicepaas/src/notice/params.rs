//! Members of a notice request (voice-paas §2.1, §7): stricter than the conversation family, since each wrong one is
//! answered with its name.

use super::code::{Failure, NoticeCode};
use crate::params::{MAX_URL, is_receiver};
use serde_json::{Map, Value};
use strowger_core::Number;
use strowger_core::call::KeyRule;
use strowger_core::number::NumberPlan;
use strowger_core::spoken::Language;

/// Longest name of a voice file in characters (§5).
const MAX_NAME: usize = 128;

/// A request body.
pub(crate) struct Params(Map<String, Value>);

impl Params {
    /// Reads a body. A byte order mark is passed over; anything but one JSON object is malformed.
    pub fn parse(body: &[u8]) -> Result<Params, Failure> {
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        match serde_json::from_slice(body) {
            Ok(Value::Object(members)) => Ok(Params(members)),
            _ => Err(Failure::new(
                NoticeCode::Malformed,
                "the body is not a JSON object in UTF-8",
            )),
        }
    }

    /// A member that is there; `null` counts as absent.
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|v| !v.is_null())
    }

    /// An optional text; the empty one counts as absent.
    pub fn text(&self, name: &str) -> Result<Option<&str>, Failure> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(s)) => Ok(Some(s.as_str()).filter(|s| !s.is_empty())),
            Some(_) => Err(Failure::invalid(name, "must be a string")),
        }
    }

    /// A text that must be there.
    pub fn required(&self, name: &str) -> Result<&str, Failure> {
        self.text(name)?
            .filter(|s| !s.trim().is_empty())
            .ok_or_else(|| Failure::missing(name))
    }

    /// A whole number in a range, as a JSON number or as digits in a string.
    pub fn integer(&self, name: &str, low: u32, high: u32) -> Result<Option<u32>, Failure> {
        let number = match self.get(name) {
            None => return Ok(None),
            Some(Value::Number(n)) => n.as_u64().and_then(|n| u32::try_from(n).ok()),
            Some(Value::String(s)) if s.bytes().all(|b| b.is_ascii_digit()) => s.parse().ok(),
            Some(_) => None,
        };
        number
            .filter(|n| (low..=high).contains(n))
            .map(Some)
            .ok_or_else(|| Failure::invalid(name, format_args!("must be a whole number from {low} to {high}")))
    }

    /// A key, or `any` (P12). The empty text is no key.
    pub fn key(&self, name: &str) -> Result<Option<KeyRule>, Failure> {
        let rule = match self.get(name) {
            None => return Ok(None),
            Some(Value::String(s)) => KeyRule::parse(s),
            Some(_) => None,
        };
        rule.map(Some)
            .ok_or_else(|| Failure::invalid(name, "must be one of 0-9 * # or any"))
    }

    /// The language of spoken data.
    pub fn language(&self) -> Result<Option<Language>, Failure> {
        let Some(code) = self.text("lang")? else {
            return Ok(None);
        };
        Language::from_code(code)
            .map(Some)
            .ok_or_else(|| Failure::invalid("lang", "must be zh or en"))
    }

    /// The integrator's data: any UTF-8 up to a number of bytes.
    pub fn user_data(&self, limit: usize) -> Result<String, Failure> {
        let text = self.text("userdata")?.unwrap_or_default();
        if text.len() > limit {
            return Err(Failure::invalid("userdata", format_args!("longer than {limit} bytes")));
        }
        Ok(text.to_owned())
    }

    /// The URL of the result's receiver.
    pub fn url(&self, name: &str) -> Result<Option<&str>, Failure> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        if text.len() > MAX_URL || !text.parse().is_ok_and(|uri| is_receiver(&uri)) {
            return Err(Failure::invalid(
                name,
                "must be an http or https URL of at most 2048 bytes",
            ));
        }
        Ok(Some(text))
    }

    /// The items of `contents`, 1 to `max`.
    pub fn contents(&self, max: usize) -> Result<Vec<Content<'_>>, Failure> {
        let value = self.get("contents").ok_or_else(|| Failure::missing("contents"))?;
        let items = value
            .as_array()
            .ok_or_else(|| Failure::invalid("contents", "must be an array"))?;
        if items.is_empty() || items.len() > max {
            return Err(Failure::invalid("contents", format_args!("must have 1 to {max} items")));
        }
        let items = items.iter().enumerate();
        items.map(|(n, item)| Content::read(n, item)).collect()
    }
}

/// One member of `contents`.
pub(crate) struct Content<'a> {
    /// Position, from 0.
    pub index: usize,
    pub kind: &'a str,
    pub text: &'a str,
}

impl<'a> Content<'a> {
    fn read(index: usize, item: &'a Value) -> Result<Content<'a>, Failure> {
        let item = item
            .as_object()
            .ok_or_else(|| Failure::invalid(&format!("contents[{index}]"), "must be an object"))?;
        let member = |name: &str| {
            let path = format!("contents[{index}].{name}");
            match item.get(name) {
                None | Some(Value::Null) => Err(Failure::missing(&path)),
                Some(Value::String(s)) if s.is_empty() => Err(Failure::missing(&path)),
                Some(Value::String(s)) => Ok(s.as_str()),
                Some(_) => Err(Failure::invalid(&path, "must be a string")),
            }
        };
        Ok(Content {
            index,
            kind: member("type")?,
            text: member("content")?,
        })
    }
}

/// A dialable number.
pub(crate) fn number(name: &str, text: &str, plan: NumberPlan) -> Result<Number, Failure> {
    Number::parse(text, plan).map_err(|e| Failure::invalid(name, e))
}

/// The name of a voice file: no path, and not too long.
pub(crate) fn voice_name<'a>(name: &str, text: &'a str) -> Result<&'a str, Failure> {
    if text.chars().count() > MAX_NAME {
        return Err(Failure::invalid(
            name,
            format_args!("longer than {MAX_NAME} characters"),
        ));
    }
    if text.contains(['/', '\\', '\0']) || matches!(text, "." | "..") {
        return Err(Failure::invalid(
            name,
            "must be the name of a voice file, without a path",
        ));
    }
    Ok(text)
}
