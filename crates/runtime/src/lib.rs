//! The runtime: one owner task a conversation, and the glue between the pure core and the engines.

pub mod calls;

pub use calls::{Answer, CallError, Calls, Live};
