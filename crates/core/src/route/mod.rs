//! Where a call goes, and what it shows: rules of numbers, display numbers; business hours, lists, regions and
//! conditions, which IVR flows share.
//!
//! Everything here is a value or a function: the time comes in, and what chance decides is drawn from the conversation's
//! id, so that a decision can be replayed.

pub mod calendar;
pub mod condition;
pub mod display;
pub mod item;
pub mod list;
pub mod region;
pub mod rules;

pub use calendar::{Calendar, Zone};
pub use condition::{Condition, Scene, Shelf, Test, Verdict};
pub use item::{DisplayPool, ItemBody, ItemKind, PoolNumber, RoutingItem};
pub use list::{Direction, Masking, NumberList};
pub use region::{Region, Regions};
pub use rules::{Plan, Rule, Target, Way};
