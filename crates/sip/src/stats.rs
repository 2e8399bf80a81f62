//! Sizes and counters of an endpoint.

use strowger_sip_core::StackStats;

/// Sizes and counters of an endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EndpointStats {
    /// Those of the stack.
    pub stack: StackStats,
    /// Messages received and admitted.
    pub received: u64,
    /// Messages given to the kernel, or to the queue of a connection.
    pub sent: u64,
    /// Messages that nothing took: the kernel, a connection, or because there is no such transport.
    pub send_dropped: u64,
    /// Errors of the sockets while reading.
    pub receive_errors: u64,
    /// Panics of the event sink and of the hooks.
    pub sink_panics: u64,
    /// Datagrams and messages of connections that [`Admission`](crate::Admission) did not let in.
    pub not_admitted: u64,
    /// Keep-alives received: CRLF on any transport.
    pub keep_alives: u64,
    /// STUN datagrams received.
    pub stun: u64,
    /// Destinations that ICMP or the kernel called unreachable.
    pub unreachable: u64,
    /// Connections.
    pub connections: ConnectionStats,
}

/// Counters of connections (TCP, TLS, WS, WSS).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ConnectionStats {
    /// Connections now, those that are being opened included.
    pub open: usize,
    /// Connections accepted.
    pub accepted: u64,
    /// Connections that we began to open.
    pub dialled: u64,
    /// Errors of accept, such as too many open files; each is followed by a pause.
    pub accept_errors: u64,
    /// Connections refused because there are too many in all.
    pub refused_total: u64,
    /// Connections refused because there are too many of their source.
    pub refused_source: u64,
    /// Connections refused by [`Admission`](crate::Admission).
    pub refused_admission: u64,
    /// Ends of connections, by reason.
    pub closed: ClosedBy,
}

/// Why connections ended, each with how many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClosedBy {
    /// The peer closed it between messages.
    pub peer: u64,
    /// An error of the network, or the peer closed it within a message.
    pub error: u64,
    /// It could not be opened: refused, unreachable, or not within [`ConnectionLimits::connect`](crate::ConnectionLimits).
    pub not_opened: u64,
    /// The TLS or WebSocket handshake failed.
    pub handshake: u64,
    /// The handshake took too long.
    pub handshake_timeout: u64,
    /// The first whole message did not come in time.
    pub first_message: u64,
    /// A message was not completed in time.
    pub partial_message: u64,
    /// Nothing arrived for too long.
    pub idle: u64,
    /// More bytes waited than [`ConnectionLimits::write_queue`](crate::ConnectionLimits).
    pub slow_reader: u64,
    /// Nothing of what waited was taken for too long.
    pub stalled: u64,
    /// What arrived is no SIP, or the end of a message cannot be found.
    pub framing: u64,
    /// We wanted it: [`EndpointHandle::close_flow`](crate::EndpointHandle::close_flow) or the end of the endpoint.
    pub asked: u64,
}
