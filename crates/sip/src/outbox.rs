//! What waits to be written to one connection.

use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

#[derive(Default)]
struct State {
    queue: VecDeque<Bytes>,
    bytes: usize,
    /// Nothing is added any more; when the queue is empty, the connection ends.
    finished: bool,
    waker: Option<Waker>,
}

/// A queue of messages bounded by their bytes, from the endpoint's task to the task of a connection. Its lock is held
/// for moving one message and is shared by those two alone. An empty queue holds no memory to speak of, which matters
/// with tens of thousands of idle connections.
pub(crate) struct Outbox {
    state: Mutex<State>,
    limit: usize,
}

/// The queue is full: the connection's reader is too slow.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Outbox {
    pub(crate) fn new(limit: usize) -> Outbox {
        Outbox {
            state: Mutex::default(),
            limit,
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a message. A single one is taken whatever its size, so that no limit can make a connection useless.
    pub(crate) fn push(&self, message: Bytes) -> Result<(), Full> {
        let waker = {
            let mut state = self.state();
            if state.finished {
                return Ok(());
            }
            if state.bytes > 0 && state.bytes + message.len() > self.limit {
                return Err(Full);
            }
            state.bytes += message.len();
            state.queue.push_back(message);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(())
    }

    /// Ends the connection once everything in the queue is written.
    pub(crate) fn finish(&self) {
        let waker = {
            let mut state = self.state();
            state.finished = true;
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The next message; `None` when the queue is finished and empty. The message counts as waiting until
    /// [`Outbox::written`] is called.
    pub(crate) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let mut state = self.state();
        match state.queue.pop_front() {
            Some(message) => {
                if state.queue.is_empty() && state.queue.capacity() > 16 {
                    state.queue = VecDeque::new();
                }
                Poll::Ready(Some(message))
            }
            None if state.finished => Poll::Ready(None),
            None => {
                if state.waker.as_ref().is_none_or(|waker| !waker.will_wake(cx.waker())) {
                    state.waker = Some(cx.waker().clone());
                }
                Poll::Pending
            }
        }
    }

    /// So many bytes of what was taken have gone to the kernel.
    pub(crate) fn written(&self, bytes: usize) {
        let mut state = self.state();
        state.bytes = state.bytes.saturating_sub(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounded_by_bytes_until_they_are_written() {
        let outbox = Outbox::new(10);
        let mut cx = Context::from_waker(Waker::noop());
        assert_eq!(
            outbox.push(Bytes::from(vec![0; 100])),
            Ok(()),
            "one message is always taken"
        );
        assert_eq!(outbox.push(Bytes::from_static(b"a")), Err(Full));
        assert!(matches!(outbox.poll_next(&mut cx), Poll::Ready(Some(m)) if m.len() == 100));
        assert_eq!(outbox.push(Bytes::from_static(b"a")), Err(Full), "taken is not written");
        outbox.written(95);
        assert_eq!(outbox.push(Bytes::from_static(b"abcde")), Ok(()));
        assert_eq!(outbox.push(Bytes::from_static(b"f")), Err(Full));
        outbox.finish();
        assert_eq!(outbox.push(Bytes::from_static(b"g")), Ok(()));
        assert!(matches!(outbox.poll_next(&mut cx), Poll::Ready(Some(m)) if m == "abcde"));
        assert!(matches!(outbox.poll_next(&mut cx), Poll::Ready(None)));
    }
}
