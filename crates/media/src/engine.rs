//! Starting and stopping the shards, and the handle through which everything else reaches them.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::JoinHandle;

use crate::advertised::Advertised;
use crate::api::{CallKey, Command, Config, EventSink, MediaError, Metrics};
use crate::ports::PortPool;
use crate::queue::{Message, Queue};
use crate::record::Recordings;
use crate::secure::{Identity, LocalWebRtc, mint_credentials, mint_sources};
use crate::shard::{Shard, ShardParts, SharedPort};
use crate::sys;

/// The running engine. Dropping it stops the shards; recordings in progress are finished first.
pub struct Engine {
    handle: Handle,
    shards: Vec<JoinHandle<()>>,
    binder: Option<JoinHandle<()>>,
    writers: Vec<JoinHandle<()>>,
}

struct Shared {
    queues: Vec<Arc<Queue>>,
    pool: Arc<PortPool>,
    advertised: Arc<Advertised>,
    /// Of the certificate of WebRTC legs, and the port of each shard; `None` if WebRTC is off.
    webrtc: Option<(crate::secure::Fingerprint, Vec<SocketAddr>)>,
    full_ice: bool,
    silenced_ms: Arc<AtomicU64>,
}

impl Engine {
    /// Start the shards and the recording writer.
    ///
    /// # Errors
    /// [`MediaError::Config`] for a configuration that cannot work, [`MediaError::Io`] when the system refuses a thread,
    /// a descriptor or the recording folder.
    pub fn start(config: Config, sink: Arc<dyn EventSink>) -> Result<Engine, MediaError> {
        let io = |what| move |source| MediaError::Io { what, source };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let count = if config.shards == 0 {
            (cores / 2).max(1)
        } else {
            config.shards
        };
        let pool = Arc::new(PortPool::new(
            config.bind,
            &config.ports,
            config.ready_pairs,
            config.quarantine,
        )?);
        let advertised = Arc::new(Advertised::new(config.advertised));
        let ports = webrtc_ports(&config, count, &pool, &advertised)?;
        let descriptors = sys::raise_descriptor_limit();
        let pairs = pool.metrics().total as u64;
        if descriptors < 2 * pairs + 256 {
            tracing::warn!(
                descriptors,
                pairs,
                "the limit of open files is below what the media port range can use"
            );
        }
        let (recordings, writers) =
            Recordings::start(&config.recording_dir, config.recording_queue, Arc::clone(&sink))?;
        let queue = |_| Queue::new(config.command_queue).map(Arc::new);
        let queues: Result<Vec<_>, _> = (0..count).map(queue).collect();
        let shared = Shared {
            queues: queues.map_err(io("create an eventfd"))?,
            pool,
            advertised,
            webrtc: ports.first().map(|first| {
                let locals = ports.iter().map(|p| p.local).collect();
                (first.identity.fingerprint.clone(), locals)
            }),
            full_ice: config.full_ice,
            silenced_ms: recordings.silenced_counter(),
        };
        let handle = Handle {
            shared: Arc::new(shared),
        };
        // From here on, dropping the engine stops what has been started.
        let mut engine = Engine {
            handle,
            shards: Vec::new(),
            binder: None,
            writers,
        };
        let pool = Arc::clone(&engine.handle.shared.pool);
        let binder = std::thread::Builder::new()
            .name("media-ports".into())
            .spawn(move || pool.run());
        match binder {
            Ok(binder) => engine.binder = Some(binder),
            Err(source) => {
                drop(recordings);
                return Err(MediaError::Io {
                    what: "start the port binder",
                    source,
                });
            }
        }
        engine.start_shards(config, sink, recordings, ports)?;
        Ok(engine)
    }

    /// Takes the recordings by value: the writer ends when the shards, and nobody else, have let go of them.
    fn start_shards(
        &mut self,
        config: Config,
        sink: Arc<dyn EventSink>,
        recordings: Recordings,
        ports: Vec<SharedPort>,
    ) -> Result<(), MediaError> {
        let io = |what| move |source| MediaError::Io { what, source };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let config = Arc::new(config);
        let mut ports = ports.into_iter();
        for (index, queue) in self.handle.shared.queues.iter().enumerate() {
            let processor = match config.processors.get(index) {
                Some(&processor) => processor,
                None => cores - 1 - index % cores,
            };
            let parts = ShardParts {
                config: Arc::clone(&config),
                queue: Arc::clone(queue),
                sink: Arc::clone(&sink),
                pool: Arc::clone(&self.handle.shared.pool),
                recordings: recordings.clone(),
                shared: ports.next(),
                processor: config.pin.then_some(processor),
            };
            let shard = Shard::new(parts).map_err(io("create a shard's epoll"))?;
            let thread = std::thread::Builder::new()
                .name(format!("media-{index}"))
                .spawn(move || shard.run());
            self.shards.push(thread.map_err(io("start a shard"))?);
        }
        Ok(())
    }

    /// A handle for commands.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Close every call, finish the recordings and wait for the threads to end. Blocks for the time the disk needs.
    pub fn shutdown(mut self) {
        self.stop();
    }

    fn stop(&mut self) {
        for queue in &self.handle.shared.queues {
            queue.stop();
        }
        self.handle.shared.pool.stop();
        // A shard that panicked has said so; the others still finish their recordings.
        let threads = self
            .shards
            .drain(..)
            .chain(self.binder.take())
            .chain(self.writers.drain(..));
        threads.for_each(|t| drop(t.join()));
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Where commands go in; cheap to clone.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

impl Handle {
    fn shard(&self, call: CallKey) -> usize {
        // Identities are time-ordered, so their upper halves hardly differ: fold and mix before the remainder.
        let folded = (call.0 as u64) ^ ((call.0 >> 64) as u64);
        let mixed = folded.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        mixed as usize % self.shared.queues.len()
    }

    fn queue(&self, call: CallKey) -> &Queue {
        &self.shared.queues[self.shard(call)]
    }

    /// Tells far sides this address from now on, in descriptions and candidates of legs that are opened, in place of the
    /// configured one. Without effect where that is one of IPv6.
    pub fn set_advertised(&self, address: std::net::Ipv4Addr) {
        self.shared.advertised.set(address);
    }

    /// Whether browsers can be connected.
    pub fn has_webrtc(&self) -> bool {
        self.shared.webrtc.is_some()
    }

    /// Makes our side of a WebRTC description for a leg, and the leg if it is not open yet. Does not wait for the shard:
    /// the credentials come into force with the `Configure` that names them, and what is never configured costs nothing.
    ///
    /// # Errors
    /// [`MediaError::WebRtcOff`], [`MediaError::Random`], [`MediaError::Overloaded`] or [`MediaError::Stopped`].
    pub fn open_webrtc(&self, call: CallKey, leg: u16) -> Result<LocalWebRtc, MediaError> {
        let (fingerprint, ports) = self.shared.webrtc.as_ref().ok_or(MediaError::WebRtcOff)?;
        let local = LocalWebRtc {
            credentials: mint_credentials().map_err(MediaError::Random)?,
            fingerprint: fingerprint.clone(),
            candidates: self
                .shared
                .advertised
                .candidates(ports[self.shard(call)], self.shared.full_ice),
            lite: !self.shared.full_ice,
            video: mint_sources().map_err(MediaError::Random)?,
        };
        self.queue(call)
            .push(call, Message::OpenShared { leg })
            .map_err(|(error, _)| error)?;
        Ok(local)
    }

    /// Take a bound port pair for a new leg of a call and return the advertised RTP address for its SDP. Does not wait
    /// for the shard. The call comes into being with its first leg. A leg number that is open already is closed first,
    /// unless it is a WebRTC leg: then it has both.
    ///
    /// # Errors
    /// [`MediaError::PortsExhausted`], [`MediaError::Overloaded`] or [`MediaError::Stopped`].
    pub fn open_leg(&self, call: CallKey, leg: u16) -> Result<SocketAddr, MediaError> {
        let pair = self.shared.pool.take()?;
        let address = SocketAddr::new(self.shared.advertised.get(), pair.port);
        match self.queue(call).push(call, Message::Open { leg, pair }) {
            Ok(()) => Ok(address),
            Err((error, message)) => {
                if let Message::Open { pair, .. } = message {
                    self.shared.pool.give_back_unused(pair);
                }
                Err(error)
            }
        }
    }

    /// Hand a command to the call's shard. Closing commands have room of their own in the queue, so that they are still
    /// accepted when others are refused.
    ///
    /// # Errors
    /// [`MediaError::Overloaded`] when the shard's queue is full, [`MediaError::Stopped`] after shutdown.
    pub fn command(&self, call: CallKey, command: Command) -> Result<(), MediaError> {
        self.queue(call)
            .push(call, Message::Command(command))
            .map_err(|(error, _)| error)
    }

    /// Hand several commands of a call to its shard in order, all or none, with one wake-up.
    ///
    /// # Errors
    /// As for [`Handle::command`]; then none of them was taken.
    pub fn commands(&self, call: CallKey, commands: &[Command]) -> Result<(), MediaError> {
        self.queue(call).push_all(call, commands)
    }

    /// Counters for the metrics page.
    pub fn metrics(&self) -> Metrics {
        let pool = self.shared.pool.metrics();
        Metrics {
            shards: self.shared.queues.iter().map(|q| q.counters.snapshot()).collect(),
            pairs_total: pool.total,
            pairs_used: pool.used,
            pairs_quarantined: pool.quarantined,
            recording_silenced_ms: self.shared.silenced_ms.load(Relaxed),
        }
    }
}

/// The ports of WebRTC, one a shard; none if it is off.
fn webrtc_ports(
    config: &Config,
    shards: usize,
    pool: &PortPool,
    advertised: &Arc<Advertised>,
) -> Result<Vec<SharedPort>, MediaError> {
    if !config.webrtc {
        return Ok(Vec::new());
    }
    let identity = Identity::new().map_err(|e| MediaError::Config(format!("a certificate for WebRTC: {e}")))?;
    let identity = Arc::new(identity);
    let mut ports = Vec::with_capacity(shards);
    for index in 0..shards {
        let socket = match config.webrtc_port {
            None => pool.take_for_good()?,
            Some(first) => {
                let port = u16::try_from(index).ok().and_then(|i| first.checked_add(i));
                let port =
                    port.ok_or_else(|| MediaError::Config("webrtc_port leaves no port for every shard".into()))?;
                bind_shared(SocketAddr::new(config.bind, port)).map_err(|source| MediaError::Io {
                    what: "bind the port of WebRTC (media.webrtc_port)",
                    source,
                })?
            }
        };
        sys::never_fragment(&socket);
        sys::enlarge_buffers(&socket);
        let local = socket.local_addr().map_err(|source| MediaError::Io {
            what: "ask for a port",
            source,
        })?;
        ports.push(SharedPort {
            socket: Arc::new(socket),
            identity: Arc::clone(&identity),
            local,
            advertised: Arc::clone(advertised),
        });
    }
    Ok(ports)
}

fn bind_shared(address: SocketAddr) -> std::io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}
