//! What an endpoint is told before it starts: addresses, certificates, limits, hooks.

use crate::trace::Trace;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use strowger_sip_core::{Interface, StackConfig, Transport};
use tokio::runtime::Handle;

/// A local address to serve.
#[derive(Debug, Clone)]
pub struct Bind {
    /// Protocol.
    pub transport: Transport,
    /// Address to bind; port 0 lets the kernel choose.
    pub addr: SocketAddr,
    /// Address for Via and Contact. Needed if `addr` is unspecified (0.0.0.0) or behind a NAT. Port 0 means the port
    /// that was bound.
    pub advertised: Option<SocketAddr>,
    /// Networks (address, prefix length in bits) whose peers are told `addr` instead of `advertised`.
    pub local_networks: Vec<(IpAddr, u8)>,
    /// Certificates, for TLS and WSS: needed to listen there. Other transports ignore it.
    pub tls: Option<Arc<TlsSettings>>,
    /// What a WebSocket client must bring, for WS and WSS. Other transports ignore it.
    pub ws: WsSettings,
}

impl Bind {
    /// An address that everybody sees as it is bound, without certificates.
    pub fn new(transport: Transport, addr: SocketAddr) -> Bind {
        Bind {
            transport,
            addr,
            advertised: None,
            local_networks: Vec::new(),
            tls: None,
            ws: WsSettings::default(),
        }
    }
}

/// Certificates of a TLS or WSS listener, and how the peers of outbound connections are verified where
/// [`EndpointHandle::name_target`](crate::EndpointHandle::name_target) says nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSettings {
    /// PEM file with the certificate and the chain up to, without, the root.
    pub certificate: PathBuf,
    /// PEM file with the private key: PKCS#8, PKCS#1 or SEC1.
    pub key: PathBuf,
    /// Whether clients must show a certificate, and whose.
    pub clients: ClientCertificates,
    /// How servers that we connect to are verified.
    pub verify: Verify,
}

/// Whether clients of a TLS listener show certificates.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ClientCertificates {
    /// They are not asked for one.
    #[default]
    Ignored,
    /// They may show one; if they do, it must be signed by an authority of this PEM file.
    Optional(PathBuf),
    /// Mutual TLS: without a certificate signed by an authority of this PEM file there is no connection.
    Required(PathBuf),
}

/// How the certificate of a server that we connect to is verified.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Verify {
    /// By the roots of the operating system.
    #[default]
    System,
    /// By the authorities of this PEM file alone.
    Authorities(PathBuf),
    /// Not at all: whoever is on the way can read and change everything. For trunks whose certificate cannot be mended.
    Off,
}

/// What a TLS server must be called, and how that is verified.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct TlsPeer {
    /// Name in the certificate and in SNI: the domain of the SIP URI (RFC 5922 §4), not what SRV made of it. `None`
    /// means the address itself.
    pub server_name: Option<String>,
    /// How it is verified; `None` means as [`TlsSettings::verify`] of the interface says, else [`Verify::System`].
    pub verify: Option<Verify>,
}

/// What a WebSocket listener asks of its clients (RFC 7118). The subprotocol `sip` is always asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WsSettings {
    /// Values of `Origin` that are let in, such as `https://agents.example`, compared without case. Empty lets all in,
    /// also clients without an Origin, which are no browsers.
    pub origins: Vec<String>,
    /// Networks of reverse proxies whose `X-Forwarded-For` is believed: the last address in it that is no such proxy is
    /// what limits and admission see. Responses still go through the connection.
    pub proxies: Vec<(IpAddr, u8)>,
}

/// Bounds of connections. All of them hold for TCP, TLS, WS and WSS together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Connections in all. One in eight is kept for those that we open.
    pub total: usize,
    /// Connections from one source: an IPv4 address or an IPv6 /64.
    pub per_source: usize,
    /// A connection of ours must be open within this time, the TLS and WebSocket handshakes included: 5 s.
    pub connect: Duration,
    /// An accepted connection must have finished its TLS and WebSocket handshakes within this time: 5 s.
    pub handshake: Duration,
    /// An accepted connection must have brought its first whole message (a keep-alive does not count) within this time:
    /// 10 s.
    pub first_message: Duration,
    /// A message that has begun must be whole within this time: 10 s.
    pub partial_message: Duration,
    /// A connection on which nothing arrives for this long is closed: 10 min. Keep-alives count.
    pub idle: Duration,
    /// A connection that we opened carries CRLF CRLF after this much silence (RFC 5626 §4.4.1): 110 s.
    pub keep_alive: Duration,
    /// A connection that takes nothing of what waits for it for this long is closed: 20 s.
    pub stalled: Duration,
    /// Bytes that may wait for one connection: 256 KiB. With more, its reader is too slow and it is closed.
    pub write_queue: usize,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        ConnectionLimits {
            total: 65_536,
            per_source: 1_024,
            connect: Duration::from_secs(5),
            handshake: Duration::from_secs(5),
            first_message: Duration::from_secs(10),
            partial_message: Duration::from_secs(10),
            idle: Duration::from_secs(600),
            keep_alive: Duration::from_secs(110),
            stalled: Duration::from_secs(20),
            write_queue: 256 << 10,
        }
    }
}

/// Whether anything from a source is looked at; asked before parsing.
pub trait Admission: Send + Sync + 'static {
    /// Called from the endpoint's task for every datagram, every connection and every message on one. Must not block.
    /// `false` drops the message, or closes a connection that is just being accepted, without an answer.
    fn admit(&self, transport: Transport, source: SocketAddr) -> bool;
}

impl<F: Fn(Transport, SocketAddr) -> bool + Send + Sync + 'static> Admission for F {
    fn admit(&self, transport: Transport, source: SocketAddr) -> bool {
        self(transport, source)
    }
}

/// Where the endpoint's task runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Placement {
    /// A thread of its own: calls are set up while the shared runtime is busy with something else.
    #[default]
    Thread,
    /// A task of the runtime that calls [`Endpoint::start`](crate::Endpoint::start).
    Task,
}

/// What an endpoint needs.
#[derive(Clone)]
pub struct EndpointConfig {
    /// Addresses to serve; the first of a transport is its default.
    pub binds: Vec<Bind>,
    /// The stack's settings. `interfaces` is filled in from `binds`.
    pub stack: StackConfig,
    /// Capacity of the command queue.
    pub commands: usize,
    /// Where the task runs.
    pub placement: Placement,
    /// Refuse new calls with 503 until [`EndpointHandle::set_overload`](crate::EndpointHandle::set_overload) opens the
    /// door: whoever listens to the events may not be ready for them yet.
    pub closed: bool,
    /// Bounds of connections.
    pub limits: ConnectionLimits,
    /// Where listeners and connections run; `None` means where the endpoint's task runs. A TLS handshake takes a good
    /// part of a millisecond of CPU: where many phones come back at once, another thread keeps calls from waiting for
    /// them, at the price of a wake-up for each message. That runtime must outlive the endpoint.
    pub connections: Option<Handle>,
    /// Whoever decides which sources are heard; `None` hears all.
    pub admission: Option<Arc<dyn Admission>>,
    /// Whoever sees every message; `None` costs nothing.
    pub trace: Option<Arc<dyn Trace>>,
}

impl EndpointConfig {
    /// One UDP address, a queue of 8,192 commands, a thread of its own, default limits, no hooks.
    pub fn udp(addr: SocketAddr, seed: [u8; 16]) -> EndpointConfig {
        EndpointConfig {
            binds: vec![Bind::new(Transport::Udp, addr)],
            stack: StackConfig::new(seed, Interface::new(Transport::Udp, addr)),
            commands: 8_192,
            placement: Placement::default(),
            closed: false,
            limits: ConnectionLimits::default(),
            connections: None,
            admission: None,
            trace: None,
        }
    }
}

impl fmt::Debug for EndpointConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointConfig")
            .field("binds", &self.binds)
            .field("stack", &self.stack)
            .field("commands", &self.commands)
            .field("placement", &self.placement)
            .field("closed", &self.closed)
            .field("limits", &self.limits)
            .field("connections", &self.connections.is_some())
            .field("admission", &self.admission.is_some())
            .field("trace", &self.trace.is_some())
            .finish()
    }
}
