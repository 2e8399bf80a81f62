//! One connection: a task that reads, cuts into messages, writes, and gives up when a bound is reached.
//!
//! An idle connection holds its socket, the state of TLS or WebSocket if it has one, and a timer; buffers come and go
//! with what is on the way.

use crate::connections::{Close, Net};
use crate::outbox::Outbox;
use crate::settings::ConnectionLimits;
use crate::wire::{Item, Wire};
use std::future::{Future, poll_fn};
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use strowger_sip_core::FlowId;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

/// How long the answer to what cannot be framed has time to leave, and a goodbye to be said.
const LINGER: Duration = Duration::from_secs(1);

/// What a connection's task shares with the endpoint.
pub(crate) struct Link {
    pub flow: FlowId,
    pub events: mpsc::Sender<Net>,
    pub outbox: Arc<Outbox>,
    pub limits: Arc<ConnectionLimits>,
    /// Who opened it. An accepted connection must prove itself by a first message.
    pub dialled: bool,
}

/// The moments that bounds are measured from.
struct Clock {
    opened: Instant,
    last_read: Instant,
    last_ping: Instant,
    partial_since: Option<Instant>,
    writing_since: Option<Instant>,
    proven: bool,
    lingers_until: Option<Instant>,
}

/// A moment later; a limit that is no limit lies thirty years ahead.
fn after(moment: Instant, wait: Duration) -> Instant {
    moment
        .checked_add(wait)
        .unwrap_or_else(|| moment + Duration::from_secs(86_400 * 365 * 30))
}

/// What a deadline means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Due {
    Close(Close),
    Ping,
}

impl Clock {
    fn new(dialled: bool) -> Clock {
        let now = Instant::now();
        Clock {
            opened: now,
            last_read: now,
            last_ping: now,
            partial_since: None,
            writing_since: None,
            proven: dialled,
            lingers_until: None,
        }
    }

    /// The next deadline, and what it means.
    fn next(&self, link: &Link) -> (Instant, Due) {
        let limits = &link.limits;
        let mut next = (after(self.last_read, limits.idle), Due::Close(Close::Idle));
        let mut earlier = |at: Instant, due: Due| {
            if at < next.0 {
                next = (at, due);
            }
        };
        if !self.proven {
            earlier(
                after(self.opened, limits.first_message),
                Due::Close(Close::FirstMessage),
            );
        }
        if let Some(since) = self.partial_since {
            earlier(after(since, limits.partial_message), Due::Close(Close::PartialMessage));
        }
        if let Some(since) = self.writing_since {
            earlier(after(since, limits.stalled), Due::Close(Close::Stalled));
        }
        if let Some(until) = self.lingers_until {
            earlier(until, Due::Close(Close::Framing));
        }
        if link.dialled {
            earlier(after(self.last_read.max(self.last_ping), limits.keep_alive), Due::Ping);
        }
        next
    }
}

enum Step {
    /// Reading has made progress.
    Read(Result<(), Close>),
    /// Everything is written and nothing will follow, or writing failed.
    Written(io::Result<()>),
    Timer,
}

/// Serves an open connection until it ends, and says why it did.
pub(crate) async fn serve(link: &Link, mut wire: Wire) -> Close {
    let mut clock = Clock::new(link.dialled);
    let timer = sleep_until(clock.next(link).0);
    tokio::pin!(timer);
    let mut items = Vec::new();
    let close = loop {
        let (deadline, _) = clock.next(link);
        if deadline < timer.deadline() {
            timer.as_mut().reset(deadline);
        }
        let written = wire.written();
        let step = poll_fn(|cx| {
            let outcome = wire.poll_write(cx, &link.outbox);
            // What waits and does not move is the reader's doing.
            clock.writing_since = match clock.writing_since {
                _ if !wire.is_writing() => None,
                Some(since) if wire.written() == written => Some(since),
                _ => Some(Instant::now()),
            };
            if let Poll::Ready(outcome) = outcome {
                return Poll::Ready(Step::Written(outcome));
            }
            if let Poll::Ready(outcome) = wire.poll_read(cx, &mut items, clock.lingers_until.is_some()) {
                return Poll::Ready(Step::Read(outcome));
            }
            if clock
                .writing_since
                .is_some_and(|since| after(since, link.limits.stalled) < timer.deadline())
            {
                timer.as_mut().reset(clock.next(link).0);
            }
            timer.as_mut().poll(cx).map(|()| Step::Timer)
        })
        .await;
        match step {
            Step::Written(Ok(())) => break Close::Asked,
            Step::Written(Err(_)) => break Close::Error,
            Step::Timer => {
                let (deadline, due) = clock.next(link);
                if deadline > Instant::now() {
                    timer.as_mut().reset(deadline);
                    continue;
                }
                match due {
                    Due::Close(close) => break close,
                    Due::Ping => {
                        clock.last_ping = Instant::now();
                        if link.outbox.push(wire.ping()).is_err() {
                            break Close::SlowReader;
                        }
                    }
                }
            }
            Step::Read(outcome) => {
                clock.last_read = Instant::now();
                let delivered = !items.is_empty();
                if let Err(close) = deliver(link, &mut wire, &mut items, &mut clock).await {
                    break close;
                }
                clock.partial_since = wire
                    .is_partial()
                    .then(|| clock.partial_since.filter(|_| !delivered).unwrap_or(clock.last_read));
                match outcome {
                    Ok(()) => {}
                    // Whoever sent it hears why, then the connection ends.
                    Err(Close::Framing) if delivered => clock.lingers_until = Some(Instant::now() + LINGER),
                    Err(close) => break close,
                }
            }
        }
    };
    if matches!(close, Close::Asked | Close::Framing | Close::Idle) {
        // A peer that does not take the goodbye is not waited for.
        let _ = timeout(LINGER, wire.shutdown()).await;
    }
    close
}

/// Hands over what has been read. Waits while the endpoint is busy: then the peer's window closes, and nobody else's.
async fn deliver(link: &Link, wire: &mut Wire, items: &mut Vec<Item>, clock: &mut Clock) -> Result<(), Close> {
    for item in items.drain(..) {
        match item {
            Item::Message(bytes) => {
                clock.proven = true;
                let message = Net::Message { flow: link.flow, bytes };
                if link.events.send(message).await.is_err() {
                    return Err(Close::Asked);
                }
            }
            Item::KeepAlive { answer } => {
                if let Some(answer) = answer
                    && wire.reply(answer, &link.outbox).is_err()
                {
                    return Err(Close::SlowReader);
                }
                // The count may be lost when the endpoint is busy.
                let _ = link.events.try_send(Net::KeepAlive);
            }
        }
    }
    Ok(())
}
