//! Members of a request body: a JSON object whose members are strings, read with the tolerance of voice-paas §8.1.

use crate::code::{Code, Failure};
use axum::http::Uri;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use strowger_core::Number;
use strowger_core::number::NumberPlan;

/// Longest URL of a push receiver in bytes.
pub(crate) const MAX_URL: usize = 2048;

/// Longest name of a sound in bytes.
const MAX_NAME: usize = 255;

/// A request body.
#[derive(Debug)]
pub(crate) struct Params(Map<String, Value>);

impl Params {
    /// Reads a body. A byte order mark is passed over; anything but one JSON object is malformed.
    pub fn parse(body: &[u8]) -> Result<Params, Failure> {
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        match serde_json::from_slice(body) {
            Ok(Value::Object(members)) => Ok(Params(members)),
            _ => Err(Failure::plain(Code::JsonMalformed)),
        }
    }

    /// The members of a query.
    pub fn of(pairs: &BTreeMap<String, String>) -> Params {
        Params(
            pairs
                .iter()
                .map(|(k, v)| (k.clone(), Value::String(v.clone())))
                .collect(),
        )
    }

    /// The members in order of their names: the same for every spelling of the same body.
    pub fn canonical(&self) -> Vec<u8> {
        // Sorted here, because the map keeps the order of the request in some builds.
        let members: BTreeMap<&String, &Value> = self.0.iter().collect();
        serde_json::to_vec(&members).unwrap_or_default()
    }

    /// A member that is there: `null` and the empty string count as absent.
    fn get(&self, name: &str) -> Option<&Value> {
        match self.0.get(name) {
            None | Some(Value::Null) => None,
            Some(Value::String(s)) if s.is_empty() => None,
            found => found,
        }
    }

    /// A string member.
    pub fn text(&self, name: &'static str) -> Result<Option<&str>, Failure> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(s)) => Ok(Some(s)),
            Some(_) => Err(invalid(name, "must be a string")),
        }
    }

    /// A string member that must be there.
    pub fn required(&self, name: &'static str) -> Result<&str, Failure> {
        self.text(name)?
            .filter(|s| !s.trim().is_empty())
            .ok_or_else(|| Failure::about(Code::ParameterMissing, name))
    }

    /// True if the member is there, whatever its type.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// An array of strings with at most `max` items.
    pub fn list(&self, name: &'static str, max: usize) -> Result<Option<Vec<&str>>, Failure> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let items = value.as_array().ok_or_else(|| invalid(name, "must be an array"))?;
        if items.is_empty() || items.len() > max {
            return Err(invalid(name, &format!("must have 1 to {max} items")));
        }
        let texts: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
        texts
            .map(Some)
            .ok_or_else(|| invalid(name, "must be an array of strings"))
    }

    /// A whole number, as a JSON number or as digits in a string (line 218).
    pub fn integer(&self, name: &'static str) -> Result<Option<u32>, Failure> {
        let number = match self.get(name) {
            None => return Ok(None),
            Some(Value::Number(n)) => n.as_u64().and_then(|n| u32::try_from(n).ok()),
            Some(Value::String(s)) if s.bytes().all(|b| b.is_ascii_digit()) => s.parse().ok(),
            Some(_) => None,
        };
        // The limit keeps every stamp far from overflow: 68 years of seconds are no limit at all.
        number
            .filter(|n| *n <= i32::MAX as u32)
            .map(Some)
            .ok_or_else(|| invalid(name, "must be a whole number"))
    }

    /// `record` of `addCall`: 0, 1, 2, true or false (D16).
    pub fn switch(&self, name: &'static str) -> Result<bool, Failure> {
        match self.get(name) {
            Some(Value::Bool(b)) => Ok(*b),
            Some(Value::String(s)) if s == "true" => Ok(true),
            Some(Value::String(s)) if s == "false" => Ok(false),
            _ => match self.integer(name)? {
                None | Some(0) => Ok(false),
                Some(1 | 2) => Ok(true),
                Some(_) => Err(invalid(name, "must be 0, 1, 2, true or false")),
            },
        }
    }

    /// The name of a sound.
    pub fn sound(&self, name: &'static str) -> Result<Option<&str>, Failure> {
        let sound = self.text(name)?;
        if sound.is_some_and(|s| s.len() > MAX_NAME) {
            return Err(invalid(name, "is too long for the name of a voice file"));
        }
        Ok(sound)
    }

    /// The URL of a push receiver. Its address is checked when it is called, by the tenant's address policy.
    pub fn url(&self, name: &'static str) -> Result<Option<&str>, Failure> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        if text.len() > MAX_URL {
            return Err(invalid(name, "is longer than 2048 bytes"));
        }
        if !text.parse().is_ok_and(|uri| is_receiver(&uri)) {
            return Err(invalid(name, "must be an http or https URL"));
        }
        Ok(Some(text))
    }

    /// The integrator's data (§8.1, D13).
    pub fn user_data(&self, limit: usize, any: bool) -> Result<String, Failure> {
        let text = match self.get("userData") {
            None => return Ok(String::new()),
            Some(Value::String(s)) => s,
            Some(_) => return Err(Failure::about(Code::UserDataInvalid, "must be a string")),
        };
        if text.len() > limit {
            return Err(Failure::about(
                Code::UserDataInvalid,
                format!("longer than {limit} bytes"),
            ));
        }
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        if !any && !text.bytes().all(allowed) {
            return Err(Failure::about(
                Code::UserDataInvalid,
                "letters, digits, _ and - are allowed",
            ));
        }
        Ok(text.clone())
    }
}

/// An absolute http or https URL with a host, and a port that is one if there is any.
pub(crate) fn is_receiver(uri: &Uri) -> bool {
    let Some(authority) = uri.authority() else { return false };
    let host = authority.host();
    let after_user = authority.as_str().rsplit('@').next().unwrap_or_default();
    matches!(uri.scheme_str(), Some("http" | "https"))
        && !host.is_empty()
        && (after_user.len() == host.len() || authority.port_u16().is_some())
}

/// A member with a wrong type or value.
pub(crate) fn invalid(name: &str, why: &str) -> Failure {
    Failure::about(Code::ParameterInvalid, format!("{name} {why}"))
}

/// A dialable number out of a member.
pub(crate) fn number(name: &str, text: &str, plan: NumberPlan) -> Result<Number, Failure> {
    Number::parse(text, plan).map_err(|e| Failure::about(Code::NumberInvalid, format!("{name}: {e}")))
}
