//! The signalling thread: the SIP engine and the owners of all conversations, on one event loop.
//!
//! A message, the conversation that it concerns and the message that answers it are handled without leaving the thread;
//! only the journal and the media shards are woken across threads, once a batch. One loop carries thousands of calls a
//! second; HTTP, pushes and everything slow are on the other, shared one.

use std::thread::JoinHandle;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// A running signalling thread. It ends when this is dropped.
pub struct Signalling {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Signalling {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system refuses a thread or what an event loop needs.
    pub fn start() -> std::io::Result<Signalling> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name("signalling".into()).spawn(move || {
            // An error means that the sender is gone, which is an end too.
            let _ = runtime.block_on(stopped);
        })?;
        Ok(Signalling {
            handle,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Its event loop.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Signalling {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
