//! The test kit: user agents on a seeded, lossy network with a virtual clock. Hours pass in milliseconds, and a seed
//! replays exactly.
//!
//! [`SipNet`] holds any number of [`Stack`](strowger_sip_core::Stack)s, carries their datagrams, gives them commands at
//! chosen times, lets scripts react to events, and writes down what happened.

mod net;
mod proxy;
mod rng;
mod trace;

pub use net::{Link, NodeId, Packet, Script, SipNet};
pub use rng::Rng;
pub use trace::{Logged, Trace};
