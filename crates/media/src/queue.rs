//! The bounded way into a shard, and its counters on the way out.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, AtomicU64};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::api::{CallKey, Command, MediaError, Scheduling, ShardMetrics};
use crate::histogram::Quality;
use crate::ports::Pair;
use crate::sys::EventFd;

/// What a shard is told.
pub(crate) enum Message {
    /// A leg with sockets of its own; one that has none yet gets them.
    Open { leg: u16, pair: Pair },
    /// A leg without; one that is open stays as it is.
    OpenShared { leg: u16 },
    /// A public command.
    Command(Command),
}

impl Message {
    fn closes(&self) -> bool {
        matches!(
            self,
            Message::Command(Command::CloseLeg { .. } | Command::CloseCall | Command::StopRecord)
        )
    }

    /// True if the shard has to see it at once. A leg that is opened does nothing before it is configured, and one that
    /// is closed may go on for the frame after which a shard with calls looks by itself; each wake-up spared is a
    /// context switch less on both sides.
    fn urgent(&self) -> bool {
        !self.closes() && !matches!(self, Message::Open { .. } | Message::OpenShared { .. })
    }
}

/// Commands come in flocks. After some have come the shard looks for more by itself within this time, which spares the
/// wake-up, and so a context switch on both sides, of all that follow; it is what a command may have to wait.
pub(crate) const LINGER: Duration = Duration::from_millis(1);

#[derive(Default)]
struct Waiting {
    messages: VecDeque<(CallKey, Message)>,
    /// The shard has been woken for what waits.
    woken: bool,
    /// The shard has no call and sleeps until it is woken: even what is not urgent has to wake it.
    idle: bool,
    /// The shard looks again within [`LINGER`] without being woken.
    lingers: bool,
    stopped: bool,
}

impl Waiting {
    /// True if the caller has to wake the shard: once for all that waits, and only for what cannot wait for the shard's
    /// next frame.
    fn claim_wake(&mut self, urgent: bool) -> bool {
        (urgent || self.idle) && !self.lingers && !std::mem::replace(&mut self.woken, true)
    }
}

/// A bounded queue with a wake-up.
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    capacity: usize,
    /// Something waits; lets the shard look without the lock.
    pending: AtomicBool,
    pub(crate) wake: EventFd,
    pub(crate) counters: Counters,
}

impl Queue {
    pub(crate) fn new(capacity: usize) -> io::Result<Queue> {
        let wake = EventFd::new()?;
        Ok(Queue {
            waiting: Mutex::default(),
            capacity: capacity.max(1),
            pending: AtomicBool::new(false),
            wake,
            counters: Counters::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // The queue is consistent between any two statements, so a poisoned lock is as good as another.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Add a message, or give it back with the reason. Messages that free resources may use as much room again.
    #[expect(
        clippy::result_large_err,
        reason = "a refused message goes back with the sockets that it carries"
    )]
    pub(crate) fn push(&self, call: CallKey, message: Message) -> Result<(), (MediaError, Message)> {
        let mut waiting = self.lock();
        if waiting.stopped {
            return Err((MediaError::Stopped, message));
        }
        if waiting.messages.len() >= self.room(message.closes()) {
            self.counters.commands_refused.fetch_add(1, Relaxed);
            return Err((MediaError::Overloaded, message));
        }
        let wake = waiting.claim_wake(message.urgent());
        waiting.messages.push_back((call, message));
        self.pending.store(true, Relaxed);
        drop(waiting);
        if wake {
            self.wake.signal();
        }
        Ok(())
    }

    /// Add the commands of one call with one wake-up: all of them, or none with the reason.
    pub(crate) fn push_all(&self, call: CallKey, commands: &[Command]) -> Result<(), MediaError> {
        let mut waiting = self.lock();
        if waiting.stopped {
            return Err(MediaError::Stopped);
        }
        let messages = || commands.iter().cloned().map(Message::Command);
        let closes = messages().all(|m| m.closes());
        if waiting.messages.len() + commands.len() > self.room(closes) {
            self.counters.commands_refused.fetch_add(1, Relaxed);
            return Err(MediaError::Overloaded);
        }
        let wake = waiting.claim_wake(messages().any(|m| m.urgent()));
        waiting.messages.extend(messages().map(|m| (call, m)));
        self.pending.store(true, Relaxed);
        drop(waiting);
        if wake {
            self.wake.signal();
        }
        Ok(())
    }

    fn room(&self, closes: bool) -> usize {
        if closes { 2 * self.capacity } else { self.capacity }
    }

    /// Take everything; `into` must be empty and lends its memory. True when the shard must stop. If there was something,
    /// nobody wakes the shard for what comes next: it must look again after [`LINGER`] at the latest.
    pub(crate) fn take(&self, into: &mut VecDeque<(CallKey, Message)>) -> bool {
        let mut waiting = self.lock();
        std::mem::swap(&mut waiting.messages, into);
        waiting.lingers = !into.is_empty();
        self.pending.store(false, Relaxed);
        waiting.woken = false;
        waiting.idle = false;
        waiting.stopped
    }

    /// True if something waits, as far as the shard can see without the lock. Every round asks, because what is not urgent
    /// comes without a wake-up.
    pub(crate) fn is_pending(&self) -> bool {
        self.pending.load(Relaxed)
    }

    /// The shard has nothing to do: true if it may sleep until it is woken, false if something has come meanwhile.
    pub(crate) fn may_sleep(&self) -> bool {
        let mut waiting = self.lock();
        waiting.idle = waiting.messages.is_empty() && !waiting.stopped;
        waiting.idle
    }

    pub(crate) fn stop(&self) {
        self.lock().stopped = true;
        self.wake.signal();
    }
}

/// A shard's counters, written by it alone and read by anybody.
#[derive(Default)]
pub(crate) struct Counters {
    /// 0 = normal, above = FIFO priority, below = nice value.
    scheduling: AtomicI32,
    processor: AtomicI64,
    pub(crate) calls: AtomicU64,
    pub(crate) legs: AtomicU64,
    pub(crate) packets_in: AtomicU64,
    pub(crate) packets_out: AtomicU64,
    pub(crate) send_errors: AtomicU64,
    pub(crate) commands_refused: AtomicU64,
    pub(crate) frames_skipped: AtomicU64,
    pub(crate) worst_lateness_us: AtomicU64,
    pub(crate) quality: Quality,
}

/// Add without a locked instruction: the shard is the only writer.
#[inline]
pub(crate) fn bump(counter: &AtomicU64, by: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(by), Relaxed);
}

impl Counters {
    pub(crate) fn set_scheduling(&self, scheduling: Scheduling, processor: Option<usize>) {
        let code = match scheduling {
            Scheduling::Fifo(priority) => priority,
            Scheduling::Nice(nice) => nice,
            Scheduling::Normal => 0,
        };
        self.scheduling.store(code, Relaxed);
        self.processor.store(processor.map_or(-1, |p| p as i64), Relaxed);
    }

    pub(crate) fn snapshot(&self) -> ShardMetrics {
        let scheduling = match self.scheduling.load(Relaxed) {
            0 => Scheduling::Normal,
            priority if priority > 0 => Scheduling::Fifo(priority),
            nice => Scheduling::Nice(nice),
        };
        ShardMetrics {
            scheduling,
            processor: usize::try_from(self.processor.load(Relaxed)).ok(),
            calls: self.calls.load(Relaxed),
            legs: self.legs.load(Relaxed),
            packets_in: self.packets_in.load(Relaxed),
            packets_out: self.packets_out.load(Relaxed),
            send_errors: self.send_errors.load(Relaxed),
            commands_refused: self.commands_refused.load(Relaxed),
            frames_skipped: self.frames_skipped.load(Relaxed),
            worst_lateness_us: self.worst_lateness_us.load(Relaxed),
            quality: self.quality.snapshot(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_still_fits_when_the_queue_is_full() {
        let queue = Queue::new(2).unwrap();
        let stop = || Message::Command(Command::CloseCall);
        let other = || Message::Command(Command::Layout(Default::default()));
        assert!(queue.push(CallKey(1), other()).is_ok());
        assert!(queue.push(CallKey(1), other()).is_ok());
        assert!(matches!(
            queue.push(CallKey(1), other()),
            Err((MediaError::Overloaded, _))
        ));
        assert!(queue.push(CallKey(1), stop()).is_ok());
        assert_eq!(queue.counters.snapshot().commands_refused, 1);
        let mut taken = VecDeque::new();
        assert!(!queue.take(&mut taken));
        assert_eq!(taken.len(), 3);
        queue.stop();
        assert!(matches!(queue.push(CallKey(1), stop()), Err((MediaError::Stopped, _))));
    }
}
