//! Starting and stopping the shards, and the handle through which everything else reaches them.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::api::{CallKey, Command, Config, EventSink, MediaError, Metrics};

/// The running engine. Dropping it stops the shards; recordings in progress are finished first.
pub struct Engine {
    handle: Handle,
}

impl Engine {
    /// Start the shards and the recording writer.
    ///
    /// # Errors
    /// [`MediaError::Config`] for a configuration that cannot work, [`MediaError::Io`] when the system refuses a thread,
    /// a descriptor or the recording folder.
    pub fn start(config: Config, sink: Arc<dyn EventSink>) -> Result<Engine, MediaError> {
        let _ = (config, sink);
        Ok(Engine { handle: Handle {} })
    }

    /// A handle for commands.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Close every call, finish the recordings and wait for the threads to end. Blocks for the time the disk needs.
    pub fn shutdown(self) {}
}

/// Where commands go in; cheap to clone.
#[derive(Clone)]
pub struct Handle {}

impl Handle {
    /// Take a bound port pair for a new leg of a call and return the advertised RTP address for its SDP. Does not wait
    /// for the shard. The call comes into being with its first leg. A leg number that is open already is closed first.
    ///
    /// # Errors
    /// [`MediaError::PortsExhausted`], [`MediaError::Overloaded`] or [`MediaError::Stopped`].
    pub fn open_leg(&self, call: CallKey, leg: u16) -> Result<SocketAddr, MediaError> {
        let _ = (call, leg);
        Err(MediaError::Stopped)
    }

    /// Hand a command to the call's shard.
    ///
    /// # Errors
    /// [`MediaError::Overloaded`] when the shard's queue is full, [`MediaError::Stopped`] after shutdown.
    pub fn command(&self, call: CallKey, command: Command) -> Result<(), MediaError> {
        let _ = (call, command);
        Err(MediaError::Stopped)
    }

    /// Counters for the metrics page.
    pub fn metrics(&self) -> Metrics {
        Metrics {
            shards: Vec::new(),
            pairs_total: 0,
            pairs_used: 0,
            pairs_quarantined: 0,
            recording_silenced_ms: 0,
        }
    }
}
