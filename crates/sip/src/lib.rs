//! The SIP engine: sockets and a clock around the pure [`Stack`](strowger_sip_core::Stack).
//!
//! One [`Endpoint`] is one stack, owned by one task that does nothing but: take a batch of datagrams, messages of
//! connections or commands, let the stack digest them, hand events to the sink, datagrams to the kernel and messages to
//! connections. Each connection (TCP, TLS, WS, WSS) is a task of the same runtime. No locks are held across any of it.
//!
//! Invariant: every queue is bounded. New calls are refused while the command queue is three quarters full, so that room
//! is left for the commands that end calls. Datagrams that the kernel does not take are dropped and counted: SIP's
//! timers repeat them. A connection whose reader is too slow is closed and counted: nobody waits for it.
//! Invariant: every state of a connection has a deadline, and every end of one has a counter ([`ConnectionStats`]).

mod connection;
mod connections;
mod endpoint;
mod handshake;
mod hep;
mod hooks;
mod listener;
#[allow(unsafe_code)]
mod mmsg;
mod outbox;
mod outside;
mod peers;
mod resolve;
mod settings;
mod stats;
mod tls;
mod trace;
mod udp;
mod wire;

pub use endpoint::{Endpoint, EndpointHandle, EventSink, Overloaded, StartError};
pub use hep::{Hep, HepSettings, HepStats};
pub use outside::{AskError, ask_outside};
pub use resolve::{Located, ResolveError, Resolver, ResolverSettings};
pub use settings::{
    Admission, Bind, ClientCertificates, ConnectionLimits, EndpointConfig, Placement, TlsPeer, TlsSettings, Verify,
    WsSettings,
};
pub use stats::{ClosedBy, ConnectionStats, EndpointStats};
pub use strowger_sip_core as core;
pub use tls::TlsError;
pub use trace::{Direction, Trace, Traced};
