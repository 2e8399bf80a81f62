//! What goes into and comes out of a [`Stack`](crate::Stack): the whole public vocabulary of a user agent.
//!
//! All enums here are closed on purpose: whoever handles events wants the compiler to name a new one.

mod command;
mod config;
mod event;
mod outside;
mod snapshot;
mod transfer;

pub use command::*;
pub use config::*;
pub use event::*;
pub use outside::*;
pub use snapshot::*;
pub use transfer::*;

use bytes::Bytes;
use std::net::SocketAddr;

/// Microseconds since an arbitrary, monotonic origin that the caller chooses once per stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(pub u64);

impl Time {
    /// The time `micros` microseconds later; saturates instead of wrapping.
    pub const fn plus(self, micros: u64) -> Time {
        Time(self.0.saturating_add(micros))
    }

    /// Microseconds from `earlier` to `self`, zero if `earlier` is later.
    pub const fn since(self, earlier: Time) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Names one dialog, call attempt or out-of-dialog request across commands and events.
///
/// The caller chooses handles of what it starts, with the highest bit clear and never reused while a terminal event
/// ([`SipEvent::is_terminal`]) is outstanding. The stack mints handles of incoming calls with the highest bit set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DialogHandle(pub u64);

impl DialogHandle {
    /// The bit that marks handles minted by the stack.
    pub const INCOMING: u64 = 1 << 63;

    /// True if the stack minted the handle for an incoming call.
    pub const fn is_incoming(self) -> bool {
        self.0 & Self::INCOMING != 0
    }
}

/// A transport protocol as it is named in Via and in the `transport` URI parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// RFC 3261 §18, one message per datagram.
    Udp,
    /// RFC 3261 §18.3.
    Tcp,
    /// TLS over TCP.
    Tls,
    /// RFC 7118 over TCP.
    Ws,
    /// RFC 7118 over TLS.
    Wss,
}

impl Transport {
    /// True if the transport itself repeats what is lost, so that timers A, E and G do not run (RFC 3261 §17).
    pub const fn is_reliable(self) -> bool {
        !matches!(self, Transport::Udp)
    }

    /// The token in `Via: SIP/2.0/…`.
    pub const fn via_token(self) -> &'static str {
        match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
            Transport::Tls => "TLS",
            Transport::Ws => "WS",
            Transport::Wss => "WSS",
        }
    }

    /// The port that applies where none is written (RFC 3261 §19.1.2, RFC 7118 §5).
    pub const fn default_port(self) -> u16 {
        match self {
            Transport::Udp | Transport::Tcp => 5060,
            Transport::Tls => 5061,
            Transport::Ws => 80,
            Transport::Wss => 443,
        }
    }
}

/// A connection of a connection-oriented transport, minted by the transport layer (RFC 5626 calls it a flow).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FlowId(pub u64);

/// Where a message goes: a protocol and an address, and a connection where one must be reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Target {
    /// Protocol to use.
    pub transport: Transport,
    /// Address and port of the next hop.
    pub addr: SocketAddr,
    /// The connection to use; `None` for UDP and where any connection to `addr` will do.
    pub flow: Option<FlowId>,
}

impl Target {
    /// A UDP destination.
    pub const fn udp(addr: SocketAddr) -> Target {
        Target {
            transport: Transport::Udp,
            addr,
            flow: None,
        }
    }
}

/// Something for the stack to digest.
#[derive(Debug, Clone)]
pub enum Input {
    /// A message arrived.
    Received(Received),
    /// The application wants something.
    Command(Command),
    /// A deadline may have passed.
    Tick,
    /// The transport could not deliver to this destination (ICMP unreachable, connection refused). Transactions that
    /// wait for a first response from it fail at once (RFC 3261 §17.1.4).
    TransportError {
        /// The destination that failed.
        target: Target,
    },
}

/// One message from the network, with where it came from.
#[derive(Debug, Clone)]
pub struct Received {
    /// Protocol it arrived by.
    pub transport: Transport,
    /// Our address it arrived at.
    pub local: SocketAddr,
    /// Address it came from.
    pub source: SocketAddr,
    /// Connection it arrived on; `None` for UDP.
    pub flow: Option<FlowId>,
    /// The whole message.
    pub bytes: Bytes,
}

impl Received {
    /// A datagram.
    pub fn udp(local: SocketAddr, source: SocketAddr, bytes: Bytes) -> Received {
        Received {
            transport: Transport::Udp,
            local,
            source,
            flow: None,
            bytes,
        }
    }
}

/// Something for the caller to carry out.
#[derive(Debug, Clone)]
pub enum Output {
    /// Put this on the wire.
    Send {
        /// Where to, and by which protocol.
        target: Target,
        /// The interface to send from.
        local: SocketAddr,
        /// One whole message.
        bytes: Bytes,
    },
    /// Tell the owner of the handle.
    Event {
        /// Whom it concerns.
        handle: DialogHandle,
        /// What happened.
        event: SipEvent,
    },
}
