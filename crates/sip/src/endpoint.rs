//! Starting an endpoint, and the handle to a running one.

use crate::connections::{Close, Connections, Ended, Listener, Net, Sent};
use crate::hooks::Hooks;
use crate::listener;
use crate::mmsg::Arena;
use crate::peers::PeerNames;
use crate::settings::{Bind, EndpointConfig, Placement, TlsPeer};
use crate::stats::EndpointStats;
use crate::tls::{self, Certificates, TlsError};
use crate::trace::Direction;
use crate::udp::Udp;
use bytes::Bytes;
use std::collections::HashSet;
use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;
use strowger_sip_core::{
    Command, DialogHandle, FlowId, Input, Interface, Output, Overload, Received, SipEvent, Stack, Target, Time,
    Transport, frame, stun,
};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until, timeout_at};

/// Commands that are taken before the sockets are looked at again.
const COMMAND_BURST: usize = 128;
/// What connections may have to say before they wait for the endpoint.
const NET_QUEUE: usize = 1_024;
/// How much of it is taken before the sockets are looked at again.
const NET_BURST: usize = 64;
/// How long connections have to take their last messages when the endpoint ends.
const GOODBYE: Duration = Duration::from_secs(1);
/// The stack's timers go off at multiples of this, in microseconds: the shortest is half a second, and most are ends of
/// transactions, which nobody waits for. Thousands of calls then share a wake-up.
const BEAT: u64 = 5_000;
/// Times that failures may cause failures within one turn.
const MAX_FAILURE_ROUNDS: usize = 8;

/// Why an endpoint did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No address to bind.
    #[error("a SIP endpoint needs at least one address")]
    NoBind,
    /// The address is taken or not ours.
    #[error("cannot bind SIP to {addr} ({transport}): {source}", transport = transport.via_token())]
    Bind {
        /// Protocol.
        transport: Transport,
        /// The address.
        addr: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// 0.0.0.0 or :: cannot be written into Via and Contact.
    #[error("SIP on {addr} needs an advertised address, because far sides cannot send to an unspecified one")]
    AdvertisedMissing {
        /// The address.
        addr: SocketAddr,
    },
    /// A TLS or WSS address whose certificates are missing or cannot be used.
    #[error("SIP over TLS on {addr}: {source}")]
    Tls {
        /// The address.
        addr: SocketAddr,
        /// What is wrong with which file.
        source: TlsError,
    },
    /// The thread or its runtime could not be made.
    #[error("cannot start the SIP thread: {0}")]
    Thread(std::io::Error),
}

/// A command was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Overloaded {
    /// The queue is full, or too full for a new call.
    #[error("the SIP command queue is full")]
    Full,
    /// The endpoint has ended.
    #[error("the SIP endpoint has ended")]
    Closed,
}

/// Whoever listens to the events of an endpoint.
pub trait EventSink: Send + Sync + 'static {
    /// Called from the endpoint's task for every event, in order. Must not block: every call of the endpoint waits. A
    /// panic is caught and counted.
    fn event(&self, handle: DialogHandle, event: SipEvent);

    /// A connection has ended, for whatever reason: what was bound to it (a registration, RFC 5626 §6.3) is unreachable.
    /// Called under the same conditions as [`EventSink::event`], for connections of both directions.
    fn flow_closed(&self, flow: FlowId) {
        let _ = flow;
    }
}

impl<F: Fn(DialogHandle, SipEvent) + Send + Sync + 'static> EventSink for F {
    fn event(&self, handle: DialogHandle, event: SipEvent) {
        self(handle, event);
    }
}

/// What a handle asks of the task.
enum Control {
    Command(Command),
    Overload(Overload),
    Advertised(IpAddr),
    CloseFlow(FlowId),
    /// Refuse new calls, end when none is left or the time has passed, then answer.
    Shutdown {
        grace: Duration,
        done: oneshot::Sender<()>,
    },
}

/// Starts endpoints.
pub struct Endpoint;

/// A running endpoint. Clones share it; when the last one is dropped, the endpoint ends at once. A sink that holds a clone
/// keeps the endpoint alive: end it by [`EndpointHandle::shutdown`].
#[derive(Clone)]
pub struct EndpointHandle {
    control: mpsc::Sender<Control>,
    shared: Shared,
    locals: Arc<[SocketAddr]>,
}

/// What the handles and the task both use.
#[derive(Clone)]
struct Shared {
    stats: Arc<Mutex<EndpointStats>>,
    peers: PeerNames,
    certificates: Arc<Certificates>,
}

impl Endpoint {
    /// Binds the addresses, reads the certificates and starts the task. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// See [`StartError`]. Nothing is left behind.
    pub fn start(config: EndpointConfig, sink: Arc<dyn EventSink>) -> Result<EndpointHandle, StartError> {
        if config.binds.is_empty() {
            return Err(StartError::NoBind);
        }
        let (sender, receiver) = mpsc::channel(config.commands.max(4));
        let shared = Shared {
            stats: Arc::default(),
            peers: PeerNames::default(),
            certificates: Arc::new(load_certificates(&config.binds)?),
        };
        let locals = match config.placement {
            Placement::Task => {
                let bound = bind_all(&config.binds)?;
                let locals = bound.locals();
                tokio::spawn(Loop::new(config, bound, sink, shared.clone()).run(receiver));
                locals
            }
            Placement::Thread => on_a_thread(config, sink, shared.clone(), receiver)?,
        };
        Ok(EndpointHandle {
            control: sender,
            shared,
            locals,
        })
    }
}

fn load_certificates(binds: &[Bind]) -> Result<Certificates, StartError> {
    let secure = |bind: &&Bind| matches!(bind.transport, Transport::Tls | Transport::Wss);
    let mut settings = Vec::new();
    for bind in binds.iter().filter(secure) {
        let missing = || StartError::Tls {
            addr: bind.addr,
            source: TlsError::Missing,
        };
        settings.push((bind.addr, bind.tls.clone().ok_or_else(missing)?));
    }
    Certificates::load(settings).map_err(|(addr, source)| StartError::Tls { addr, source })
}

/// Sockets belong to the runtime in which they are made, so the thread makes them and reports.
fn on_a_thread(
    config: EndpointConfig,
    sink: Arc<dyn EventSink>,
    shared: Shared,
    receiver: mpsc::Receiver<Control>,
) -> Result<Arc<[SocketAddr]>, StartError> {
    let (report, reported) = std::sync::mpsc::sync_channel(1);
    let body = move || {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return drop(report.send(Err(StartError::Thread(error)))),
        };
        runtime.block_on(async move {
            match bind_all(&config.binds) {
                Ok(bound) => {
                    let _ = report.send(Ok(bound.locals()));
                    Loop::new(config, bound, sink, shared).run(receiver).await;
                }
                Err(error) => drop(report.send(Err(error))),
            }
        });
    };
    std::thread::Builder::new()
        .name("sip".into())
        .spawn(body)
        .map_err(StartError::Thread)?;
    reported
        .recv()
        .unwrap_or_else(|_| Err(StartError::Thread(std::io::ErrorKind::BrokenPipe.into())))
}

/// Everything that was bound.
struct Bound {
    interfaces: Vec<Interface>,
    sockets: Vec<Udp>,
    listeners: Vec<(Listener, std::net::TcpListener)>,
}

impl Bound {
    fn locals(&self) -> Arc<[SocketAddr]> {
        self.interfaces.iter().map(|interface| interface.local).collect()
    }
}

fn bind_all(binds: &[Bind]) -> Result<Bound, StartError> {
    let mut bound = Bound {
        interfaces: Vec::new(),
        sockets: Vec::new(),
        listeners: Vec::new(),
    };
    for bind in binds {
        if bind.addr.ip().is_unspecified() && bind.advertised.is_none() {
            return Err(StartError::AdvertisedMissing { addr: bind.addr });
        }
        let local = bind_one(bind, &mut bound).map_err(|source| StartError::Bind {
            transport: bind.transport,
            addr: bind.addr,
            source,
        })?;
        // An advertised address without a port means the port that was bound.
        let advertised = bind.advertised.map(|mut a| {
            if a.port() == 0 {
                a.set_port(local.port());
            }
            a
        });
        bound.interfaces.push(Interface {
            transport: bind.transport,
            local,
            advertised,
            local_networks: bind.local_networks.clone(),
        });
    }
    Ok(bound)
}

fn bind_one(bind: &Bind, bound: &mut Bound) -> std::io::Result<SocketAddr> {
    if bind.transport == Transport::Udp {
        let socket = Udp::bind(bind.addr)?;
        let local = socket.local;
        bound.sockets.push(socket);
        return Ok(local);
    }
    let socket = listener::bind(bind.addr)?;
    let local = socket.local_addr()?;
    let secure = matches!(bind.transport, Transport::Tls | Transport::Wss);
    let ws = matches!(bind.transport, Transport::Ws | Transport::Wss);
    let listener = Listener {
        transport: bind.transport,
        local,
        tls: bind.tls.clone().filter(|_| secure),
        ws: ws.then(|| Arc::new(bind.ws.clone())),
    };
    bound.listeners.push((listener, socket));
    Ok(local)
}

impl EndpointHandle {
    /// Gives a command without waiting. New calls are refused while less than a quarter of the queue is free, so that
    /// calls can still be ended.
    ///
    /// # Errors
    /// [`Overloaded::Full`] or [`Overloaded::Closed`]; the command had no effect.
    pub fn send(&self, command: Command) -> Result<(), Overloaded> {
        let opens = matches!(command, Command::Invite(_) | Command::Options(_));
        if opens && self.control.capacity() * 4 < self.control.max_capacity() && !self.control.is_closed() {
            return Err(Overloaded::Full);
        }
        self.control
            .try_send(Control::Command(command))
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => Overloaded::Full,
                mpsc::error::TrySendError::Closed(_) => Overloaded::Closed,
            })
    }

    /// Gives a command and waits for room. Cancel-safe: dropped before it completes, the command had no effect.
    ///
    /// # Errors
    /// [`Overloaded::Closed`].
    pub async fn submit(&self, command: Command) -> Result<(), Overloaded> {
        self.control
            .send(Control::Command(command))
            .await
            .map_err(|_| Overloaded::Closed)
    }

    /// Opens or closes the door for new incoming calls.
    ///
    /// # Errors
    /// [`Overloaded::Closed`].
    pub async fn set_overload(&self, overload: Overload) -> Result<(), Overloaded> {
        self.control
            .send(Control::Overload(overload))
            .await
            .map_err(|_| Overloaded::Closed)
    }

    /// Tells peers this address from now on, on every interface of its family that has an advertised one.
    ///
    /// # Errors
    /// [`Overloaded::Closed`].
    pub async fn set_advertised(&self, address: IpAddr) -> Result<(), Overloaded> {
        self.control
            .send(Control::Advertised(address))
            .await
            .map_err(|_| Overloaded::Closed)
    }

    /// Ends a connection once what waits for it is written; [`EventSink::flow_closed`] follows. An unknown flow is
    /// ignored.
    ///
    /// # Errors
    /// [`Overloaded::Closed`].
    pub async fn close_flow(&self, flow: FlowId) -> Result<(), Overloaded> {
        self.control
            .send(Control::CloseFlow(flow))
            .await
            .map_err(|_| Overloaded::Closed)
    }

    /// Says what the TLS server at an address must be called, and how that is verified, before a call goes there.
    /// Without it, the certificate must name the address. The last word counts; connections that were opened under
    /// another are not used for new requests. 16,384 addresses are remembered.
    pub fn name_target(&self, transport: Transport, addr: SocketAddr, peer: TlsPeer) {
        self.shared.peers.set((transport, addr), peer);
    }

    /// Reads the certificates again, which also happens by itself within 30 s after a file has changed. Open
    /// connections keep the old ones.
    ///
    /// # Errors
    /// What is wrong with the files; a certificate that cannot be used leaves the former one in place.
    pub async fn reload_tls(&self) -> Result<(), TlsError> {
        let certificates = self.shared.certificates.clone();
        tokio::task::spawn_blocking(move || certificates.reload())
            .await
            .unwrap_or_else(|error| Err(TlsError::Unusable(error.to_string())))
    }

    /// Sizes and counters, at most one batch old.
    pub fn stats(&self) -> EndpointStats {
        *self.shared.stats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bound addresses, in the order of [`EndpointConfig::binds`], with the ports that the kernel chose.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.locals
    }

    /// Refuses new calls with 503, waits until the last dialog has ended or `grace` has passed, and ends the endpoint.
    pub async fn shutdown(&self, grace: Duration) {
        let (done, ended) = oneshot::channel();
        if self.control.send(Control::Shutdown { grace, done }).await.is_ok() {
            // An error means that the task is gone already, which is what was wanted.
            let _ = ended.await;
        }
    }
}

/// Everything the task owns.
struct Loop {
    stack: Stack,
    sockets: Vec<Udp>,
    /// Messages to be sent, by socket.
    outgoing: Vec<Vec<(SocketAddr, Bytes)>>,
    arena: Arena,
    connections: Connections,
    /// What listeners, connections and error queues have to say. The sender is kept by [`Connections`] too.
    net: mpsc::Receiver<Net>,
    /// Listeners and watchers, which end with the loop.
    helpers: Vec<AbortHandle>,
    /// Destinations that failed and that the stack has not heard of.
    failed: Vec<Target>,
    sink: Arc<dyn EventSink>,
    hooks: Hooks,
    shared: Shared,
    stats: EndpointStats,
    origin: Instant,
    drain: Option<(Instant, oneshot::Sender<()>)>,
}

impl Loop {
    /// Must be called inside the runtime that the loop will run in.
    fn new(config: EndpointConfig, bound: Bound, sink: Arc<dyn EventSink>, shared: Shared) -> Loop {
        let mut stack = config.stack;
        stack.interfaces = bound.interfaces;
        let outgoing = bound.sockets.iter();
        let outgoing = outgoing.map(|_| Vec::with_capacity(crate::mmsg::BATCH)).collect();
        let retry_after = stack.retry_after;
        // RFC 3261 table 4: timers B and F, and a little more.
        let patience = Duration::from_micros(stack.timers.t1.saturating_mul(64)) + Duration::from_secs(1);
        let (mut stack, arena) = (Stack::new(stack), Arena::new());
        if config.closed {
            stack.set_overload(Overload::Refuse { retry_after });
        }
        let (events, net) = mpsc::channel(NET_QUEUE);
        let mut helpers = Vec::new();
        for socket in &bound.sockets {
            helpers.push(tokio::spawn(socket.watch_errors(events.clone())).abort_handle());
        }
        let runtime = config.connections.unwrap_or_else(Handle::current);
        let mut listeners = Vec::new();
        for (number, (listener, socket)) in bound.listeners.into_iter().enumerate() {
            helpers.push(
                runtime
                    .spawn(listener::run(number, socket, events.clone()))
                    .abort_handle(),
            );
            listeners.push(listener);
        }
        if !shared.certificates.is_empty() {
            helpers.push(tokio::spawn(tls::watch(shared.certificates.clone())).abort_handle());
        }
        let connections = Connections::new(
            listeners,
            config.limits,
            shared.certificates.clone(),
            shared.peers.clone(),
            events,
            (runtime, patience),
        );
        Loop {
            stack,
            sockets: bound.sockets,
            outgoing,
            arena,
            connections,
            net,
            helpers,
            failed: Vec::new(),
            sink,
            hooks: Hooks::new(config.admission, config.trace),
            shared,
            stats: EndpointStats::default(),
            origin: Instant::now(),
            drain: None,
        }
    }

    fn now(&self) -> Time {
        Time(self.origin.elapsed().as_micros() as u64)
    }

    async fn run(mut self, mut control: mpsc::Receiver<Control>) {
        let mut burst = Vec::with_capacity(COMMAND_BURST);
        let mut news = Vec::new();
        let timer = sleep_until(self.origin);
        tokio::pin!(timer);
        loop {
            // A timer that goes off too early costs less than one that is set anew with every message.
            if let Some(deadline) = self.deadline()
                && (deadline < timer.deadline() || timer.is_elapsed())
            {
                timer.as_mut().reset(deadline);
            }
            let sockets = &self.sockets;
            let readable = poll_fn(|cx| {
                let ready = sockets.iter().position(|s| s.poll_readable(cx).is_ready());
                ready.map_or(Poll::Pending, Poll::Ready)
            });
            let armed = self.stack.next_deadline().is_some() || self.drain.is_some();
            tokio::select! {
                count = control.recv_many(&mut burst, COMMAND_BURST) => {
                    if count == 0 {
                        // Every handle is gone: nobody can end a call any more, nor hear of it.
                        break;
                    }
                    for control in burst.drain(..) {
                        self.control(control);
                    }
                }
                _ = readable => self.receive(),
                _ = self.net.recv_many(&mut news, NET_BURST) => {
                    for news in news.drain(..) {
                        self.news(news);
                    }
                }
                () = &mut timer, if armed => self.digest(Input::Tick),
            }
            // What a sink commands from within its event leaves with the same system call as what the stack says itself.
            for _ in 0..COMMAND_BURST {
                let Ok(command) = control.try_recv() else { break };
                self.control(command);
            }
            self.flush();
            if self.drained() {
                break;
            }
        }
        self.flush();
        self.goodbye().await;
        // Whoever waited for the end finds the door closed.
        drop(control);
        if let Some((_, done)) = self.drain.take() {
            let _ = done.send(());
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let stack = self
            .stack
            .next_deadline()
            .map(|at| self.origin + Duration::from_micros(at.0.next_multiple_of(BEAT)));
        let drain = self.drain.as_ref().map(|(until, _)| *until);
        [stack, drain].into_iter().flatten().min()
    }

    fn drained(&self) -> bool {
        self.drain
            .as_ref()
            .is_some_and(|(until, _)| self.stack.stats().dialogs == 0 || *until <= Instant::now())
    }

    /// Gives connections a moment to take what waits for them: the last answers.
    async fn goodbye(&mut self) {
        for helper in &self.helpers {
            helper.abort();
        }
        self.connections.finish_all();
        let until = Instant::now() + GOODBYE;
        while self.connections.len() > 0 {
            match timeout_at(until, self.net.recv()).await {
                Ok(Some(Net::Closed { flow, why })) => {
                    self.connections.closed(flow, why);
                }
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => break,
            }
        }
        self.publish();
    }

    fn control(&mut self, control: Control) {
        match control {
            Control::Command(command) => self.digest(Input::Command(command)),
            Control::Overload(overload) => self.stack.set_overload(overload),
            Control::Advertised(address) => self.stack.set_advertised(address),
            Control::CloseFlow(flow) => self.connections.finish(flow),
            Control::Shutdown { grace, done } => {
                self.stack.set_overload(Overload::Refuse { retry_after: 30 });
                self.drain = Some((Instant::now() + grace, done));
            }
        }
    }

    fn receive(&mut self) {
        let mut batch = Vec::with_capacity(crate::mmsg::BATCH);
        for socket in &self.sockets {
            match socket.receive(&mut self.arena, &mut |received| batch.push(received)) {
                Ok(_) => {}
                Err(_) => self.stats.receive_errors += 1,
            }
        }
        for received in batch {
            // STUN begins with 0 to 3 and a keep-alive with CR or LF, SIP with neither: one comparison sorts them out.
            if received.bytes.first().is_none_or(|first| *first < b'!') && self.is_no_sip(&received) {
                continue;
            }
            self.message(received);
        }
    }

    /// Sorts out what shares the UDP port with SIP (RFC 5626 §3.5): CRLF, which nobody answers, and STUN, which tells a
    /// phone what its NAT makes of its address.
    fn is_no_sip(&mut self, received: &Received) -> bool {
        if frame::is_keep_alive(&received.bytes) {
            self.stats.keep_alives += 1;
            return true;
        }
        if !stun::is_stun(&received.bytes) {
            return false;
        }
        self.stats.stun += 1;
        if !self.hooks.admits(received.transport, received.source) {
            self.stats.not_admitted += 1;
        } else if let Some(answer) = stun::respond(&received.bytes, received.source)
            && let Some(index) = self.sockets.iter().position(|s| s.local == received.local)
        {
            self.outgoing[index].push((received.source, answer.into()));
        }
        true
    }

    /// A message of any transport.
    fn message(&mut self, received: Received) {
        if !self.hooks.admits(received.transport, received.source) {
            self.stats.not_admitted += 1;
            return;
        }
        self.stats.received += 1;
        let Received {
            transport,
            local,
            source,
            ..
        } = received;
        self.hooks
            .trace(Direction::In, transport, local, source, &received.bytes);
        self.digest(Input::Received(received));
    }

    fn news(&mut self, news: Net) {
        match news {
            Net::Accepted {
                listener,
                stream,
                remote,
            } => {
                let hooks = &mut self.hooks;
                let admits = |transport, source| hooks.admits(transport, source);
                self.connections.accepted(listener, stream, remote, admits);
            }
            Net::AcceptError => self.connections.stats.accept_errors += 1,
            Net::Forwarded { flow, ip } => {
                let hooks = &mut self.hooks;
                let admits = |transport, source| hooks.admits(transport, source);
                let ended = self.connections.forwarded(flow, ip, admits);
                self.ended(ended);
            }
            Net::Message { flow, bytes } => {
                // The connection may have been closed while its message was in the queue.
                let Some((transport, local, source)) = self.connections.addresses(flow) else {
                    return;
                };
                self.message(Received {
                    transport,
                    local,
                    source,
                    flow: Some(flow),
                    bytes,
                });
            }
            Net::KeepAlive => self.stats.keep_alives += 1,
            Net::Closed { flow, why } => {
                let ended = self.connections.closed(flow, why);
                self.ended(ended);
            }
            Net::Unreachable(addr) => {
                self.stats.unreachable += 1;
                self.failed.push(Target::udp(addr));
            }
        }
    }

    /// Tells whoever relied on a connection that it is gone.
    fn ended(&mut self, ended: Option<Ended>) {
        let Some(Ended { flow, targets }) = ended else { return };
        self.failed.extend(targets.into_iter().flatten());
        let sink = &self.sink;
        if catch_unwind(AssertUnwindSafe(|| sink.flow_closed(flow))).is_err() {
            self.stats.sink_panics += 1;
        }
    }

    /// Lets the stack digest one input and sorts what comes out.
    fn digest(&mut self, input: Input) {
        let now = self.now();
        self.stack.handle(input, now);
        while let Some(output) = self.stack.poll() {
            match output {
                Output::Send { target, local, bytes } => self.send(target, local, bytes),
                Output::Event { handle, event } => {
                    let sink = &self.sink;
                    if catch_unwind(AssertUnwindSafe(|| sink.event(handle, event))).is_err() {
                        self.stats.sink_panics += 1;
                        tracing::error!(dialog = handle.0, "the listener for SIP events panicked");
                    }
                }
            }
        }
    }

    fn send(&mut self, target: Target, local: SocketAddr, bytes: Bytes) {
        self.hooks
            .trace(Direction::Out, target.transport, local, target.addr, &bytes);
        if target.transport == Transport::Udp {
            let of_local = self.sockets.iter().position(|s| s.local == local);
            match of_local.or(if self.sockets.is_empty() { None } else { Some(0) }) {
                Some(index) => self.outgoing[index].push((target.addr, bytes)),
                None => self.stats.send_dropped += 1,
            }
            return;
        }
        match self.connections.send(target, local, bytes) {
            Sent::Queued => self.stats.sent += 1,
            Sent::Unreachable => {
                self.stats.send_dropped += 1;
                self.failed.push(target);
            }
            Sent::Overflow(flow) => {
                self.stats.send_dropped += 1;
                let ended = self.connections.drop_now(flow, Close::SlowReader);
                self.ended(ended);
            }
        }
    }

    /// Gives everything to the kernel, tells the stack what failed, and publishes the counters.
    fn flush(&mut self) {
        self.flush_sockets();
        // What the stack does about a failure may fail too, but each time a transaction ends: this comes to an end. The
        // bound is for a fault of ours.
        for _ in 0..MAX_FAILURE_ROUNDS {
            if self.failed.is_empty() {
                break;
            }
            let failed: HashSet<Target> = self.failed.drain(..).collect();
            for target in failed {
                self.digest(Input::TransportError { target });
            }
            self.flush_sockets();
        }
        self.publish();
    }

    fn flush_sockets(&mut self) {
        let mut unreachable = Vec::new();
        for (socket, messages) in self.sockets.iter().zip(&mut self.outgoing) {
            if !messages.is_empty() {
                let count = messages.len() as u64;
                let dropped = socket.send(messages, &mut unreachable) as u64;
                self.stats.sent += count - dropped;
                self.stats.send_dropped += dropped;
            }
        }
        self.stats.unreachable += unreachable.len() as u64;
        self.failed.extend(unreachable.into_iter().map(Target::udp));
    }

    fn publish(&mut self) {
        self.stats.stack = self.stack.stats();
        self.stats.connections = self.connections.stats;
        self.stats.sink_panics += self.hooks.take_panics();
        *self.shared.stats.lock().unwrap_or_else(PoisonError::into_inner) = self.stats;
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        for helper in &self.helpers {
            helper.abort();
        }
    }
}
