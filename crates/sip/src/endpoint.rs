//! The task that owns a stack.

use crate::mmsg::Arena;
use crate::socket::Socket;
use bytes::Bytes;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;
use strowger_sip_core::{
    Command, DialogHandle, Input, Interface, Output, Overload, SipEvent, Stack, StackConfig, StackStats, Time,
    Transport,
};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

/// Commands that are taken before the sockets are looked at again.
const COMMAND_BURST: usize = 128;

/// A local address to serve.
#[derive(Debug, Clone)]
pub struct Bind {
    /// Protocol; UDP is the one that exists.
    pub transport: Transport,
    /// Address to bind; port 0 lets the kernel choose.
    pub addr: SocketAddr,
    /// Address for Via and Contact. Needed if `addr` is unspecified (0.0.0.0) or behind a NAT.
    pub advertised: Option<SocketAddr>,
}

/// Where the endpoint's task runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Placement {
    /// A thread of its own: calls are set up while the shared runtime is busy with something else.
    #[default]
    Thread,
    /// A task of the runtime that calls [`Endpoint::start`].
    Task,
}

/// What an endpoint needs.
#[derive(Debug, Clone)]
pub struct EndpointConfig {
    /// Addresses to serve; the first of a transport is its default.
    pub binds: Vec<Bind>,
    /// The stack's settings. `interfaces` is filled in from `binds`.
    pub stack: StackConfig,
    /// Capacity of the command queue.
    pub commands: usize,
    /// Where the task runs.
    pub placement: Placement,
    /// Refuse new calls with 503 until [`EndpointHandle::set_overload`] opens the door: whoever listens to the events may
    /// not be ready for them yet.
    pub closed: bool,
}

impl EndpointConfig {
    /// One UDP address, a queue of 8,192 commands, a thread of its own.
    pub fn udp(addr: SocketAddr, seed: [u8; 16]) -> EndpointConfig {
        let bind = Bind {
            transport: Transport::Udp,
            addr,
            advertised: None,
        };
        let interface = Interface {
            transport: Transport::Udp,
            local: addr,
            advertised: None,
        };
        EndpointConfig {
            binds: vec![bind],
            stack: StackConfig::new(seed, interface),
            commands: 8_192,
            placement: Placement::default(),
            closed: false,
        }
    }
}

/// Why an endpoint did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No address to bind.
    #[error("a SIP endpoint needs at least one address")]
    NoBind,
    /// The address is taken, not ours, or the transport does not exist yet.
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
}

impl<F: Fn(DialogHandle, SipEvent) + Send + Sync + 'static> EventSink for F {
    fn event(&self, handle: DialogHandle, event: SipEvent) {
        self(handle, event);
    }
}

/// Sizes and counters of an endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EndpointStats {
    /// Those of the stack.
    pub stack: StackStats,
    /// Messages received.
    pub received: u64,
    /// Messages given to the kernel.
    pub sent: u64,
    /// Messages that the kernel did not take.
    pub send_dropped: u64,
    /// Errors of the sockets while reading.
    pub receive_errors: u64,
    /// Panics of the event sink.
    pub sink_panics: u64,
}

enum Control {
    Command(Command),
    Overload(Overload),
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
    stats: Arc<Mutex<EndpointStats>>,
    locals: Arc<[SocketAddr]>,
}

impl Endpoint {
    /// Binds the addresses and starts the task. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// See [`StartError`]. Nothing is left behind.
    pub fn start(config: EndpointConfig, sink: Arc<dyn EventSink>) -> Result<EndpointHandle, StartError> {
        if config.binds.is_empty() {
            return Err(StartError::NoBind);
        }
        let (sender, receiver) = mpsc::channel(config.commands.max(4));
        let stats = Arc::new(Mutex::new(EndpointStats::default()));
        let shared = stats.clone();
        let locals = match config.placement {
            Placement::Task => {
                let (sockets, interfaces) = bind_all(&config.binds)?;
                let locals = interfaces.iter().map(|i| i.local).collect();
                tokio::spawn(Loop::new(config.stack, config.closed, interfaces, sockets, sink, shared).run(receiver));
                locals
            }
            Placement::Thread => on_a_thread(config, sink, shared, receiver)?,
        };
        Ok(EndpointHandle {
            control: sender,
            stats,
            locals,
        })
    }
}

/// Sockets belong to the runtime in which they are made, so the thread makes them and reports.
fn on_a_thread(
    config: EndpointConfig,
    sink: Arc<dyn EventSink>,
    stats: Arc<Mutex<EndpointStats>>,
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
                Ok((sockets, interfaces)) => {
                    let locals = interfaces.iter().map(|i| i.local).collect();
                    let _ = report.send(Ok(locals));
                    Loop::new(config.stack, config.closed, interfaces, sockets, sink, stats)
                        .run(receiver)
                        .await;
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

fn bind_all(binds: &[Bind]) -> Result<(Vec<Socket>, Vec<Interface>), StartError> {
    let (mut sockets, mut interfaces) = (Vec::new(), Vec::new());
    for bind in binds {
        if bind.addr.ip().is_unspecified() && bind.advertised.is_none() {
            return Err(StartError::AdvertisedMissing { addr: bind.addr });
        }
        let socket = Socket::bind(bind.transport, bind.addr).map_err(|source| StartError::Bind {
            transport: bind.transport,
            addr: bind.addr,
            source,
        })?;
        // An advertised address without a port means the port that was bound.
        let advertised = bind.advertised.map(|mut a| {
            if a.port() == 0 {
                a.set_port(socket.local().port());
            }
            a
        });
        interfaces.push(Interface {
            transport: bind.transport,
            local: socket.local(),
            advertised,
        });
        sockets.push(socket);
    }
    Ok((sockets, interfaces))
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

    /// Sizes and counters, at most one batch old.
    pub fn stats(&self) -> EndpointStats {
        *self.stats.lock().unwrap_or_else(PoisonError::into_inner)
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
    sockets: Vec<Socket>,
    /// Messages to be sent, by socket.
    outgoing: Vec<Vec<(SocketAddr, Bytes)>>,
    arena: Arena,
    sink: Arc<dyn EventSink>,
    shared: Arc<Mutex<EndpointStats>>,
    stats: EndpointStats,
    origin: Instant,
    drain: Option<(Instant, oneshot::Sender<()>)>,
}

impl Loop {
    fn new(
        mut config: StackConfig,
        closed: bool,
        interfaces: Vec<Interface>,
        sockets: Vec<Socket>,
        sink: Arc<dyn EventSink>,
        shared: Arc<Mutex<EndpointStats>>,
    ) -> Loop {
        config.interfaces = interfaces;
        let outgoing = sockets.iter().map(|_| Vec::with_capacity(crate::mmsg::BATCH)).collect();
        let retry_after = config.retry_after;
        let (mut stack, arena) = (Stack::new(config), Arena::new());
        if closed {
            stack.set_overload(Overload::Refuse { retry_after });
        }
        let stats = EndpointStats::default();
        Loop {
            stack,
            sockets,
            outgoing,
            arena,
            sink,
            shared,
            stats,
            origin: Instant::now(),
            drain: None,
        }
    }

    fn now(&self) -> Time {
        Time(self.origin.elapsed().as_micros() as u64)
    }

    async fn run(mut self, mut control: mpsc::Receiver<Control>) {
        let mut burst = Vec::with_capacity(COMMAND_BURST);
        let timer = sleep_until(self.origin);
        tokio::pin!(timer);
        loop {
            if let Some(deadline) = self.deadline()
                && deadline != timer.deadline()
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
                () = &mut timer, if armed => self.digest(Input::Tick),
            }
            self.flush();
            if self.drained() {
                break;
            }
        }
        self.flush();
        // Whoever waited for the end finds the door closed.
        drop(control);
        if let Some((_, done)) = self.drain {
            let _ = done.send(());
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let stack = self
            .stack
            .next_deadline()
            .map(|at| self.origin + Duration::from_micros(at.0));
        let drain = self.drain.as_ref().map(|(until, _)| *until);
        [stack, drain].into_iter().flatten().min()
    }

    fn drained(&self) -> bool {
        self.drain
            .as_ref()
            .is_some_and(|(until, _)| self.stack.stats().dialogs == 0 || *until <= Instant::now())
    }

    fn control(&mut self, control: Control) {
        match control {
            Control::Command(command) => self.digest(Input::Command(command)),
            Control::Overload(overload) => self.stack.set_overload(overload),
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
        self.stats.received += batch.len() as u64;
        for received in batch {
            self.digest(Input::Received(received));
        }
    }

    /// Lets the stack digest one input and sorts what comes out.
    fn digest(&mut self, input: Input) {
        let now = self.now();
        self.stack.handle(input, now);
        while let Some(output) = self.stack.poll() {
            match output {
                Output::Send { target, local, bytes } => {
                    let socket = self
                        .sockets
                        .iter()
                        .position(|s| s.transport() == target.transport && s.local() == local)
                        .or_else(|| self.sockets.iter().position(|s| s.transport() == target.transport));
                    match socket {
                        Some(index) => self.outgoing[index].push((target.addr, bytes)),
                        None => self.stats.send_dropped += 1,
                    }
                }
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

    /// Gives everything to the kernel and publishes the counters.
    fn flush(&mut self) {
        for (socket, messages) in self.sockets.iter().zip(&mut self.outgoing) {
            if !messages.is_empty() {
                let count = messages.len() as u64;
                let dropped = socket.send(messages) as u64;
                self.stats.sent += count - dropped;
                self.stats.send_dropped += dropped;
            }
        }
        self.stats.stack = self.stack.stats();
        *self.shared.lock().unwrap_or_else(PoisonError::into_inner) = self.stats;
    }
}
