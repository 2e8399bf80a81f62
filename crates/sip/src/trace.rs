//! Who sees every message: ladders of calls, export to a capture server.

use bytes::Bytes;
use std::net::SocketAddr;
use std::time::SystemTime;
use strowger_sip_core::Transport;

/// Which way a message went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// To us.
    In,
    /// From us.
    Out,
}

/// One message, whole, as it is on the wire. It holds numbers and credentials: what is made of it is access-controlled
/// data and no log line.
#[derive(Clone, Copy)]
pub struct Traced<'a> {
    /// Which way.
    pub direction: Direction,
    /// Protocol.
    pub transport: Transport,
    /// Our address.
    pub local: SocketAddr,
    /// Theirs.
    pub remote: SocketAddr,
    /// Wall time at which it was read, or given to be sent.
    pub time: SystemTime,
    /// The message. Cloning it shares the bytes.
    pub bytes: &'a Bytes,
}

/// A listener for all messages of an endpoint.
pub trait Trace: Send + Sync + 'static {
    /// Called from the endpoint's task for each message after admission. Must not block: every call waits.
    fn message(&self, message: Traced<'_>);
}

impl<F: Fn(Traced<'_>) + Send + Sync + 'static> Trace for F {
    fn message(&self, message: Traced<'_>) {
        self(message);
    }
}
