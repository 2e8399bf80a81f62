//! Where a call goes: business hours, lists, regions and conditions, shared by routes and by IVR flows.
//!
//! Everything here is a value or a function: the time comes in, and what chance decides is drawn from the conversation's
//! id, so that a decision can be replayed.

pub mod calendar;
pub mod condition;
pub mod list;
pub mod region;

pub use calendar::{Calendar, Zone};
pub use condition::{Condition, Scene, Shelf, Test, Verdict};
pub use list::{Direction, Masking, NumberList};
pub use region::{Region, Regions};
