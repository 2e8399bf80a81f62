//! The SIP engine: sockets and a clock around the pure [`Stack`](strowger_sip_core::Stack).
//!
//! One [`Endpoint`] is one stack, owned by one task that does nothing but: take a batch of datagrams or commands, let the
//! stack digest them, hand events to the sink and datagrams to the kernel. No locks are held across either.
//!
//! Invariant: every queue is bounded. New calls are refused while the command queue is three quarters full, so that room
//! is left for the commands that end calls. Datagrams that the kernel does not take are dropped and counted: SIP's
//! timers repeat them.

mod endpoint;
#[allow(unsafe_code)]
mod mmsg;
mod socket;

pub use endpoint::{
    Bind, Endpoint, EndpointConfig, EndpointHandle, EndpointStats, EventSink, Overloaded, Placement, StartError,
};
pub use strowger_sip_core as core;
