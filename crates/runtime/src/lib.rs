//! The runtime: one owner task a conversation, and the glue between the pure core and the engines.
//!
//! ```text
//!   faces ── Calls ──►┌────────┐◄── SipSink ── sip engine
//!                     │ Switch │
//!   journal ◄─ task ──└────────┘◄── MediaSink ── media engine
//!                 │
//!                 └── Owner (pure): machine + dialogs + media legs
//! ```
//!
//! Invariant: an owner's events are committed by its own task and by nothing else while it lives.

pub mod archive;
pub mod batches;
pub mod calls;
pub mod carriers;
pub mod centre;
pub mod clock;
mod commit;
mod compose;
mod dialogs;
mod display;
pub mod door;
pub mod equipment;
pub mod gate;
pub mod health;
mod inbound;
pub mod ladder;
mod led;
mod mailbox;
pub mod mint;
mod names;
mod notices;
mod outbound;
pub mod owner;
pub mod recovery;
pub mod retention;
pub mod sounds;
pub mod spend;
pub mod switch;
mod task;

pub use calls::{Answer, CallError, Calls, Live};
pub use commit::Projectors;
pub use compose::ComposeError;
pub use notices::Notices;
pub use sounds::SoundLibrary;
pub use switch::{Doorkeeper, IncomingSubscriptions, MediaSink, SipSink, Switch, SwitchCalls, SwitchConfig, WEBHOOKS};
