//! The JSON form of IVR flows, route plans, calendars and lists of numbers: read strictly, written so that it is read as
//! the same again. docs/ivr.md and docs/routing.md describe it.
//!
//! Several faces read it and the store keeps it, so it is a crate of its own: core has no wire types.
//!
//! A text is refused with the place that is wrong ([`Malformed`]). What a flow means, such as a node that is not there, is
//! not looked at here: that is `strowger_core::ivr::check`.

mod answer;
mod condition;
mod json;
mod node;
mod routing;
#[cfg(test)]
mod tests;
mod text;

pub use answer::{MAX_ANSWER, pointed, target};
pub use json::{Malformed, Strict};
pub use node::{flow, flow_of, flow_text};
pub use routing::{calendar, calendar_of, list, list_of, plan, plan_of, way_of};
