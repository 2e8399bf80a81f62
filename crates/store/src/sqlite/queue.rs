//! The writer's inbox: bounded, and emptied as a whole so that what waits is committed together.

use crate::batch::Committed;
use crate::error::AppendError;
use crate::outbox::Attempt;
use crate::sealed::SealedBatch;
use rusqlite::Connection;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use strowger_core::Stamp;
use tokio::sync::{Semaphore, oneshot};

/// Most jobs of one group commit: bounds the time that the first of them waits.
const GROUP: usize = 512;

/// Batches of the group before for which a busy writer keeps one window more between groups.
const CROWD: usize = 2;

/// Most windows between groups.
const WINDOWS: usize = 3;

/// How long facts that nobody waits for may gather.
const LAZY: Duration = Duration::from_millis(5);

/// The answer to one who waits for a write.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, AppendError>>;

/// A write of any kind, run in a transaction of its own.
pub(crate) type Admin = Box<dyn FnOnce(&Connection) + Send>;

/// Rows that go into the transaction of a group. Run again if the group fails.
pub(crate) type Rows = Box<dyn Fn(&Connection) -> rusqlite::Result<()> + Send>;

/// What the writer is asked to do.
pub(crate) enum Job {
    /// Write a batch. Without a reply nobody waits.
    Batch(SealedBatch, Option<Reply<Committed>>),
    /// Report delivery attempts.
    Attempts(Vec<Attempt>, Reply<()>),
    /// Write rows that belong to no conversation.
    Rows {
        write: Rows,
        urgent: bool,
        reply: Reply<()>,
    },
    /// Stamp the node alive.
    Alive(Stamp),
    /// Anything rare.
    Admin(Admin),
}

impl Job {
    fn urgent(&self) -> bool {
        !matches!(
            self,
            Job::Batch(_, None) | Job::Alive(_) | Job::Rows { urgent: false, .. }
        )
    }
}

#[derive(Default)]
struct State {
    jobs: Vec<Job>,
    urgent: usize,
    /// The writer waits and has to be woken.
    idle: bool,
    closed: bool,
}

/// The inbox.
pub(crate) struct Queue {
    state: Mutex<State>,
    wake: Condvar,
    /// One permit a free place.
    pub(crate) room: Semaphore,
    pub(crate) capacity: usize,
    window: Duration,
}

impl Queue {
    pub(crate) fn new(capacity: usize, window: Duration) -> Queue {
        Queue {
            state: Mutex::default(),
            wake: Condvar::new(),
            room: Semaphore::new(capacity),
            capacity,
            window,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Puts a job into a place for which the caller has taken (and forgotten) a permit of `room`.
    pub(crate) fn push(&self, job: Job) -> Result<(), AppendError> {
        let mut state = self.lock();
        if state.closed {
            return Err(AppendError::Closed);
        }
        let urgent = job.urgent();
        state.jobs.push(job);
        state.urgent += usize::from(urgent);
        // A wake-up is a system call: only when the writer waits, and has a reason to go.
        if state.idle && (urgent || state.jobs.len() == 1 || state.jobs.len() >= GROUP) {
            state.idle = false;
            drop(state);
            self.wake.notify_one();
        }
        Ok(())
    }

    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.room.close();
        self.wake.notify_one();
    }

    /// How long after the end of a group of so many jobs the next one begins.
    fn window_after(&self, before: usize) -> Duration {
        match before {
            0 | 1 => Duration::ZERO,
            _ => self.window * (before / CROWD).clamp(1, WINDOWS) as u32,
        }
    }

    /// Waits for jobs and takes them all, at most [`GROUP`]. `before` is when the group before ended, and its size: if it
    /// held several, jobs that come soon after it wait a little for others, which costs a little latency and saves a commit
    /// each; the larger it was, the longer, because every page that a group touches is written once whatever the group
    /// holds. What comes after a pause is taken at once. False when closed and empty.
    pub(crate) fn take(&self, into: &mut Vec<Job>, before: Option<(Instant, usize)>) -> bool {
        let mut state = self.lock();
        loop {
            if state.jobs.is_empty() {
                if state.closed {
                    return false;
                }
                state.idle = true;
                state = self.wake.wait(state).unwrap_or_else(|e| e.into_inner());
                continue;
            }
            break;
        }
        let gather = if state.urgent == 0 {
            LAZY
        } else {
            before.map_or(Duration::ZERO, |(ended, size)| {
                self.window_after(size).saturating_sub(ended.elapsed())
            })
        };
        if !gather.is_zero() && !state.closed && state.jobs.len() < GROUP {
            let lazy = state.urgent == 0;
            state.idle = lazy;
            let enough = |s: &mut State| s.jobs.len() < GROUP && !s.closed && !(lazy && s.urgent > 0);
            let waited = self.wake.wait_timeout_while(state, gather, enough);
            state = waited.unwrap_or_else(|e| e.into_inner()).0;
        }
        state.idle = false;
        let n = state.jobs.len().min(GROUP);
        into.extend(state.jobs.drain(..n));
        state.urgent = state.jobs.iter().filter(|j| j.urgent()).count();
        drop(state);
        self.room.add_permits(n);
        true
    }
}
