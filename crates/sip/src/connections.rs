//! All connections of an endpoint: who they are, how many there may be, which one a message takes.
//!
//! The table belongs to the endpoint's task; each connection is a task of the same runtime. They exchange messages by
//! one bounded queue towards the endpoint and one [`Outbox`] a connection away from it.

use crate::connection::{Link, serve};
use crate::handshake::{Accepting, Dial, accept, dial};
use crate::outbox::Outbox;
use crate::peers::PeerNames;
use crate::settings::{ConnectionLimits, TlsPeer, TlsSettings, WsSettings};
use crate::stats::{ClosedBy, ConnectionStats};
use crate::tls::Certificates;
use bytes::Bytes;
use futures_util::FutureExt;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::future::Future;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use strowger_sip_core::{FlowId, Target, Transport, in_networks};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

/// What listeners, connections and the error queues of sockets tell the endpoint.
pub(crate) enum Net {
    /// A connection was accepted by the listener of this number.
    Accepted {
        listener: usize,
        stream: TcpStream,
        remote: SocketAddr,
    },
    AcceptError,
    /// A trusted proxy says where the connection comes from.
    Forwarded {
        flow: FlowId,
        ip: IpAddr,
    },
    Message {
        flow: FlowId,
        bytes: Bytes,
    },
    KeepAlive,
    Closed {
        flow: FlowId,
        why: Close,
    },
    /// ICMP says that datagrams to this address do not arrive.
    Unreachable(SocketAddr),
}

/// Why a connection ended; counted in [`ClosedBy`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Close {
    Peer,
    Error,
    NotOpened,
    Handshake,
    HandshakeTimeout,
    FirstMessage,
    PartialMessage,
    Idle,
    SlowReader,
    Stalled,
    Framing,
    Asked,
}

impl ClosedBy {
    fn count(&mut self, why: Close) {
        *match why {
            Close::Peer => &mut self.peer,
            Close::Error => &mut self.error,
            Close::NotOpened => &mut self.not_opened,
            Close::Handshake => &mut self.handshake,
            Close::HandshakeTimeout => &mut self.handshake_timeout,
            Close::FirstMessage => &mut self.first_message,
            Close::PartialMessage => &mut self.partial_message,
            Close::Idle => &mut self.idle,
            Close::SlowReader => &mut self.slow_reader,
            Close::Stalled => &mut self.stalled,
            Close::Framing => &mut self.framing,
            Close::Asked => &mut self.asked,
        } += 1;
    }
}

/// A listener, as the table needs it.
pub(crate) struct Listener {
    pub transport: Transport,
    pub local: SocketAddr,
    pub tls: Option<Arc<TlsSettings>>,
    pub ws: Option<Arc<WsSettings>>,
}

/// Whom a connection counts against.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Source {
    V4(u32),
    /// A /64 is one customer; its 2^64 addresses are no two.
    V6(u64),
}

impl Source {
    fn of(ip: IpAddr) -> Source {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Source::V4(ip.to_bits()),
            IpAddr::V6(ip) => Source::V6((Ipv6Addr::to_bits(ip) >> 64) as u64),
        }
    }
}

/// One connection.
struct Connection {
    transport: Transport,
    local: SocketAddr,
    /// The other end of the TCP connection.
    remote: SocketAddr,
    /// Where messages come from: `remote`, or what a trusted proxy says.
    source: SocketAddr,
    /// Against whom an accepted connection counts.
    counted: Option<Source>,
    /// The bit of the flow says who opened it; this says whom we took the other end for.
    peer: Option<Arc<TlsPeer>>,
    outbox: Arc<Outbox>,
    task: AbortHandle,
    /// When something was last sent; `None` if nothing was.
    last_sent: Option<Instant>,
}

/// What became of a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// It is in a connection's queue.
    Queued,
    /// There is no way to the target.
    Unreachable,
    /// The connection was closed because it does not take what it is sent.
    Overflow(FlowId),
}

/// An ended connection.
pub(crate) struct Ended {
    pub flow: FlowId,
    /// The destinations that fail with it, the flow itself and its address, if anything can still wait for an answer
    /// there. Most connections that end are idle, and when a network is cut they are many at once.
    pub targets: Option<[Target; 2]>,
}

/// All connections.
pub(crate) struct Connections {
    by_flow: HashMap<FlowId, Connection>,
    /// The newest connection to each address.
    by_remote: HashMap<(Transport, SocketAddr), FlowId>,
    by_source: HashMap<Source, usize>,
    listeners: Vec<Listener>,
    limits: Arc<ConnectionLimits>,
    certificates: Arc<Certificates>,
    peers: PeerNames,
    events: mpsc::Sender<Net>,
    /// Where connections run.
    runtime: Handle,
    /// How long a request waits for its first answer (timers B and F).
    patience: Duration,
    minted: u64,
    pub(crate) stats: ConnectionStats,
}

/// The bit that marks flows that we opened: their address is one that listens, so it can be dialled again.
const DIALLED: u64 = 1;

impl Connections {
    pub(crate) fn new(
        listeners: Vec<Listener>,
        limits: ConnectionLimits,
        certificates: Arc<Certificates>,
        peers: PeerNames,
        events: mpsc::Sender<Net>,
        (runtime, patience): (Handle, Duration),
    ) -> Connections {
        // Flows of an earlier life of the process, kept with a registration, should mean nothing here.
        let first = getrandom::u64().unwrap_or_default() >> 8;
        Connections {
            by_flow: HashMap::new(),
            by_remote: HashMap::new(),
            by_source: HashMap::new(),
            listeners,
            limits: Arc::new(limits),
            certificates,
            peers,
            events,
            runtime,
            patience,
            minted: first,
            stats: ConnectionStats::default(),
        }
    }

    fn mint(&mut self, dialled: bool) -> FlowId {
        self.minted = self.minted.wrapping_add(1);
        FlowId((self.minted << 1) | if dialled { DIALLED } else { 0 })
    }

    pub(crate) fn len(&self) -> usize {
        self.by_flow.len()
    }

    /// The transport, our address and their address of a connection.
    pub(crate) fn addresses(&self, flow: FlowId) -> Option<(Transport, SocketAddr, SocketAddr)> {
        let connection = self.by_flow.get(&flow)?;
        Some((connection.transport, connection.local, connection.source))
    }

    /// Takes an accepted connection in, or closes it by dropping it.
    pub(crate) fn accepted(
        &mut self,
        listener: usize,
        stream: TcpStream,
        remote: SocketAddr,
        admitted: impl FnOnce(Transport, SocketAddr) -> bool,
    ) {
        let Some(listener) = self.listeners.get(listener) else {
            return;
        };
        let (transport, local) = (listener.transport, listener.local);
        if !admitted(transport, remote) {
            self.stats.refused_admission += 1;
            return;
        }
        if self.by_flow.len() >= self.limits.total - self.limits.total / 8 {
            self.stats.refused_total += 1;
            return;
        }
        // Behind a trusted proxy everybody has its address; the real one is counted when it is known.
        let behind_proxy = listener
            .ws
            .as_ref()
            .is_some_and(|ws| in_networks(&ws.proxies, remote.ip()));
        let counted = (!behind_proxy).then(|| Source::of(remote.ip()));
        let how = Accepting {
            tls: match &listener.tls {
                Some(settings) => match self.certificates.server(settings) {
                    Some(config) => Some(config),
                    None => return,
                },
                None => None,
            },
            ws: listener.ws.clone(),
        };
        if let Some(source) = counted
            && !self.count(source)
        {
            return;
        }
        self.stats.accepted += 1;
        let flow = self.mint(false);
        let link = self.link(flow, false);
        let outbox = link.outbox.clone();
        let task = self.spawn(flow, async move {
            // In a box: what a handshake needs is large and gone when it is done, while the task lives for hours.
            let opened = timeout(link.limits.handshake, Box::pin(accept(stream, remote, how))).await;
            match opened {
                Err(_) => Close::HandshakeTimeout,
                Ok(Err(why)) => why,
                Ok(Ok(opened)) => {
                    if let Some(ip) = opened.forwarded
                        && link.events.send(Net::Forwarded { flow, ip }).await.is_err()
                    {
                        return Close::Asked;
                    }
                    serve(&link, opened.wire).await
                }
            }
        });
        let connection = Connection {
            transport,
            local,
            remote,
            source: remote,
            counted,
            peer: None,
            outbox,
            task,
            last_sent: None,
        };
        self.insert(flow, connection);
    }

    fn link(&self, flow: FlowId, dialled: bool) -> Link {
        Link {
            flow,
            events: self.events.clone(),
            outbox: Arc::new(Outbox::new(self.limits.write_queue)),
            limits: self.limits.clone(),
            dialled,
        }
    }

    fn insert(&mut self, flow: FlowId, connection: Connection) {
        self.by_remote.insert((connection.transport, connection.remote), flow);
        self.by_flow.insert(flow, connection);
        self.stats.open = self.by_flow.len();
    }

    /// Counts a connection against its source; false if there are too many.
    fn count(&mut self, source: Source) -> bool {
        let count = self.by_source.entry(source).or_default();
        if *count >= self.limits.per_source {
            self.stats.refused_source += 1;
            return false;
        }
        *count += 1;
        true
    }

    fn uncount(&mut self, source: Option<Source>) {
        if let Some(source) = source
            && let Entry::Occupied(mut entry) = self.by_source.entry(source)
        {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }

    /// A trusted proxy has said where a connection comes from. The flow ends if that source may have no more.
    pub(crate) fn forwarded(
        &mut self,
        flow: FlowId,
        ip: IpAddr,
        admitted: impl FnOnce(Transport, SocketAddr) -> bool,
    ) -> Option<Ended> {
        let connection = self.by_flow.get_mut(&flow)?;
        connection.source.set_ip(ip);
        if !admitted(connection.transport, connection.source) {
            self.stats.refused_admission += 1;
            return self.drop_now(flow, Close::Asked);
        }
        if !self.count(Source::of(ip)) {
            return self.drop_now(flow, Close::Asked);
        }
        if let Some(connection) = self.by_flow.get_mut(&flow) {
            connection.counted = Some(Source::of(ip));
        }
        None
    }

    /// Queues a message on the connection of its target, opening one where that is possible.
    pub(crate) fn send(&mut self, target: Target, local: SocketAddr, bytes: Bytes) -> Sent {
        let live = target.flow.filter(|flow| self.by_flow.contains_key(flow));
        let flow = match live.or_else(|| self.reusable(target)) {
            Some(flow) => flow,
            // The address behind an accepted connection is a port that nobody listens at.
            None if target.flow.is_some_and(|flow| flow.0 & DIALLED == 0) => return Sent::Unreachable,
            None => match self.dial(target, local) {
                Some(flow) => flow,
                None => return Sent::Unreachable,
            },
        };
        let Some(connection) = self.by_flow.get_mut(&flow) else {
            return Sent::Unreachable;
        };
        connection.last_sent = Some(Instant::now());
        match connection.outbox.push(bytes) {
            Ok(()) => Sent::Queued,
            Err(_) => Sent::Overflow(flow),
        }
    }

    /// A live connection to the target's address. Under TLS only one that we opened, with the same idea of who is there:
    /// a certificate was checked when it was opened, and nobody's was for one that came in (RFC 5923 §3).
    fn reusable(&self, target: Target) -> Option<FlowId> {
        let flow = *self.by_remote.get(&(target.transport, target.addr))?;
        if matches!(target.transport, Transport::Tls | Transport::Wss) {
            let same_peer = self.by_flow.get(&flow)?.peer == self.peers.get((target.transport, target.addr));
            return (flow.0 & DIALLED != 0 && same_peer).then_some(flow);
        }
        Some(flow)
    }

    fn dial(&mut self, target: Target, local: SocketAddr) -> Option<FlowId> {
        if self.by_flow.len() >= self.limits.total {
            self.stats.refused_total += 1;
            return None;
        }
        let own = self.listeners.iter().filter(|l| l.transport == target.transport);
        let own = own.clone().find(|l| l.local == local).or_else(|| own.clone().next());
        let peer = self.peers.get((target.transport, target.addr));
        let plan = Dial {
            transport: target.transport,
            addr: target.addr,
            local,
            peer: peer.clone(),
            own: own.and_then(|listener| listener.tls.clone()),
            certificates: self.certificates.clone(),
        };
        self.stats.dialled += 1;
        let flow = self.mint(true);
        let link = self.link(flow, true);
        let outbox = link.outbox.clone();
        let task = self.spawn(flow, async move {
            let opened = timeout(link.limits.connect, Box::pin(dial(plan))).await;
            match opened {
                Err(_) => Close::NotOpened,
                Ok(Err(why)) => why,
                Ok(Ok(wire)) => serve(&link, wire).await,
            }
        });
        let connection = Connection {
            transport: target.transport,
            local,
            remote: target.addr,
            source: target.addr,
            counted: None,
            peer,
            outbox,
            task,
            last_sent: None,
        };
        self.insert(flow, connection);
        Some(flow)
    }

    /// Runs a connection and reports its end, also when it panics.
    fn spawn(&self, flow: FlowId, connection: impl Future<Output = Close> + Send + 'static) -> AbortHandle {
        let events = self.events.clone();
        let task = self.runtime.spawn(async move {
            let why = AssertUnwindSafe(connection)
                .catch_unwind()
                .await
                .unwrap_or(Close::Error);
            // An error means that the endpoint has ended.
            let _ = events.send(Net::Closed { flow, why }).await;
        });
        task.abort_handle()
    }

    /// Ends a connection once everything in its queue is written.
    pub(crate) fn finish(&self, flow: FlowId) {
        if let Some(connection) = self.by_flow.get(&flow) {
            connection.outbox.finish();
        }
    }

    /// Ends all connections once everything in their queues is written.
    pub(crate) fn finish_all(&self) {
        for connection in self.by_flow.values() {
            connection.outbox.finish();
        }
    }

    /// Ends a connection at once.
    pub(crate) fn drop_now(&mut self, flow: FlowId, why: Close) -> Option<Ended> {
        self.by_flow.get(&flow)?.task.abort();
        self.closed(flow, why)
    }

    /// A connection has ended.
    pub(crate) fn closed(&mut self, flow: FlowId, why: Close) -> Option<Ended> {
        let connection = self.by_flow.remove(&flow)?;
        let key = (connection.transport, connection.remote);
        if self.by_remote.get(&key) == Some(&flow) {
            self.by_remote.remove(&key);
        }
        self.uncount(connection.counted);
        self.stats.closed.count(why);
        self.stats.open = self.by_flow.len();
        let target = |flow| Target {
            transport: connection.transport,
            addr: connection.source,
            flow,
        };
        let awaited = connection.last_sent.is_some_and(|at| at.elapsed() <= self.patience);
        Some(Ended {
            flow,
            targets: awaited.then(|| [target(Some(flow)), target(None)]),
        })
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        for connection in self.by_flow.values() {
            connection.task.abort();
        }
    }
}
