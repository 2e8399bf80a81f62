//! Answers of a tenant's server.

use crate::routing::WireTarget;
use serde_json::Value;
use std::collections::BTreeMap;
use strowger_core::route::Target;

/// The longest answer that is read, in bytes; a longer one is none.
pub const MAX_ANSWER: usize = 256 * 1024;

/// What is at these pointers (RFC 6901) of a JSON body, as text: texts as they are, numbers and booleans as JSON writes
/// them, objects and lists as JSON. What is not there, or null, is left out; so is everything of a body that is no JSON.
pub fn pointed<'p>(body: &[u8], pointers: impl IntoIterator<Item = &'p str>) -> BTreeMap<String, String> {
    if body.len() > MAX_ANSWER {
        return BTreeMap::new();
    }
    let Ok(json) = serde_json::from_slice::<Value>(body) else {
        return BTreeMap::new();
    };
    let text = |value: &Value| match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let found = pointers
        .into_iter()
        .filter_map(|p| Some((p.to_owned(), text(json.pointer(p)?)?)));
    found.collect()
}

/// Where a tenant's server says that a call goes: `{"queue": "sales"}`, in the form of a rule's target. `None` if it says
/// nothing that is understood.
pub fn target(body: &[u8]) -> Option<Target> {
    if body.len() > MAX_ANSWER {
        return None;
    }
    serde_json::from_slice::<WireTarget>(body).ok().map(Target::from)
}
