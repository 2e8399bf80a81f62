//! Strict JSON: a member that is there twice is refused, and an error names its place.

use serde::de::{DeserializeOwned, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use std::fmt;

/// The longest text that is read, in bytes.
pub(crate) const MAX_TEXT: usize = 1 << 20;

/// What is wrong with a text, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{problem}", if .place.is_empty() { String::new() } else { format!("{}: ", .place) })]
pub struct Malformed {
    /// The way to it, such as `nodes.menu.choices[0].key`; empty for the whole.
    pub place: String,
    /// What is wrong there, and what was expected.
    pub problem: String,
}

impl Malformed {
    /// The same, seen from further out.
    #[must_use]
    pub fn under(mut self, place: &str) -> Malformed {
        self.place = match self.place.as_str() {
            "" => place.to_owned(),
            inner if inner.starts_with('[') => format!("{place}{inner}"),
            inner => format!("{place}.{inner}"),
        };
        self
    }
}

/// A JSON value in which no member is there twice: the second would silently win.
#[derive(Clone, Debug, PartialEq)]
pub struct Strict(pub Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(StrictVisitor).map(Strict)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(Value::Bool(v))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_f64<E>(self, v: f64) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_str<E>(self, v: &str) -> Result<Value, E> {
        Ok(Value::String(v.to_owned()))
    }

    fn visit_string<E>(self, v: String) -> Result<Value, E> {
        Ok(Value::String(v))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(Strict(value)) = seq.next_element()? {
            all.push(value);
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            let Strict(value) = map.next_value()?;
            if all.contains_key(&key) {
                return Err(A::Error::custom(format_args!("the member {key:?} is there twice")));
            }
            all.insert(key, value);
        }
        Ok(Value::Object(all))
    }
}

/// Reads a text as JSON.
pub(crate) fn strict(text: &str) -> Result<Value, Malformed> {
    let whole = |problem: String| Malformed {
        place: String::new(),
        problem,
    };
    if text.len() > MAX_TEXT {
        return Err(whole(format!("the text is longer than {MAX_TEXT} bytes")));
    }
    let read: Strict = serde_json::from_str(text).map_err(|e| whole(format!("it is no JSON: {e}")))?;
    Ok(read.0)
}

/// Reads a value as a type.
pub(crate) fn typed<T: DeserializeOwned>(value: Value) -> Result<T, Malformed> {
    serde_path_to_error::deserialize(value).map_err(|e| {
        let path = e.path().to_string();
        Malformed {
            place: if path == "." { String::new() } else { path },
            problem: e.into_inner().to_string(),
        }
    })
}
