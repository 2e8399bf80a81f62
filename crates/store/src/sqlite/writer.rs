//! The writer thread: group commit.

use crate::error::AppendError;
use crate::sealed::SealedDelivery;
use crate::sqlite::apply::{Failure, Writer};
use crate::sqlite::checkpoint::Checkpoints;
use crate::sqlite::queue::{Job, Queue};
use rusqlite::Connection;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc};

/// How often the free space is looked at.
const SPACE_CHECK: Duration = Duration::from_secs(2);

/// What the writer counts.
#[derive(Default)]
pub(crate) struct Counters {
    pub groups: AtomicU64,
    pub batches: AtomicU64,
    pub failures: AtomicU64,
    pub lost: AtomicU64,
    pub disk_full: AtomicBool,
}

/// Ids of the deliveries that someone is sending. A release during a scan takes effect after it, because the scan may
/// still see the row as it was before.
#[derive(Default)]
pub(crate) struct Leases {
    state: Mutex<LeaseState>,
}

#[derive(Default)]
struct LeaseState {
    held: HashSet<u64>,
    /// Scans under way.
    scanning: usize,
    released: Vec<u64>,
}

impl Leases {
    fn lock(&self) -> MutexGuard<'_, LeaseState> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Takes a lease; false if someone else has it.
    pub(crate) fn take(&self, id: u64) -> bool {
        self.lock().held.insert(id)
    }

    pub(crate) fn release(&self, ids: impl IntoIterator<Item = u64>) {
        let mut state = self.lock();
        for id in ids {
            if state.scanning > 0 {
                state.released.push(id);
            } else {
                state.held.remove(&id);
            }
        }
    }

    pub(crate) fn scanning(&self, on: bool) {
        let mut state = self.lock();
        state.scanning = if on {
            state.scanning + 1
        } else {
            state.scanning.saturating_sub(1)
        };
        if state.scanning == 0 {
            for id in std::mem::take(&mut state.released) {
                state.held.remove(&id);
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().held.len()
    }
}

/// What became of a batch, for whoever waits for it.
pub(crate) type Answer = (
    super::queue::Reply<crate::Committed>,
    Result<crate::Committed, AppendError>,
);

/// What the writer shares with the handles.
pub(crate) struct Shared {
    pub queue: Queue,
    pub counters: Counters,
    pub leases: Leases,
    /// Set, and notified, when ready deliveries did not fit into the channel: the table has to be scanned.
    pub rescan: AtomicBool,
    pub rescan_wake: Notify,
    pub offers: mpsc::Sender<SealedDelivery>,
    /// Where the answers of a group go together, once somebody passes them on ([`crate::Answers`]).
    pub answers: OnceLock<mpsc::Sender<Vec<Answer>>>,
    pub folder: PathBuf,
    pub min_free: u64,
}

impl Shared {
    /// Asks the notifier to look into the table.
    pub(crate) fn ask_rescan(&self) {
        self.rescan.store(true, Relaxed);
        self.rescan_wake.notify_one();
    }

    fn space_is_short(&self) -> bool {
        self.min_free > 0
            && rustix::fs::statvfs(&self.folder).is_ok_and(|s| s.f_bavail.saturating_mul(s.f_frsize) < self.min_free)
    }
}

/// Runs until the queue is closed and empty.
pub(crate) fn run(conn: &Connection, file: &Path, shared: &Arc<Shared>, position: u64) -> rusqlite::Result<()> {
    let mut writer = Writer::new(conn, position)?;
    let checkpoints = Checkpoints::start(conn, file);
    let mut jobs = Vec::new();
    let mut before = None;
    let mut checked = None::<Instant>;
    let mut short = false;
    while shared.queue.take(&mut jobs, before) {
        let size = jobs.len();
        if checked.is_none_or(|at| at.elapsed() >= SPACE_CHECK) {
            checked = Some(Instant::now());
            short = shared.space_is_short();
            shared.counters.disk_full.store(short, Relaxed);
        }
        let mut group = Vec::with_capacity(jobs.len());
        for job in jobs.drain(..) {
            match job {
                Job::Admin(run) => {
                    // Order is kept: what came before is committed before.
                    write_group(&mut writer, shared, std::mem::take(&mut group));
                    run(conn);
                }
                Job::Batch(batch, reply) if short && batch.opens => {
                    let refused = Err(AppendError::DiskFull);
                    count(shared, reply.is_some(), &refused);
                    give(shared, reply.map(|reply| (reply, refused)).into_iter().collect());
                }
                job => group.push(job),
            }
        }
        write_group(&mut writer, shared, group);
        before = Some((Instant::now(), size));
        checkpoints.after_group(conn);
    }
    Ok(())
}

/// Commits a group. If a statement fails, nothing of the group is kept, and each of its jobs is tried in a transaction
/// of its own, so that one bad batch fails alone.
fn write_group(writer: &mut Writer<'_>, shared: &Shared, group: Vec<Job>) {
    if group.is_empty() {
        return;
    }
    let results = match try_group(writer, shared, &group) {
        Ok(results) => results,
        Err(error) if group.len() == 1 => vec![Err(error)],
        Err(_) => {
            let one = |job: &Job| match try_group(writer, shared, std::slice::from_ref(job)) {
                Ok(mut results) => results.pop().unwrap_or(Err(AppendError::Closed)),
                Err(error) => Err(error),
            };
            group.iter().map(one).collect()
        }
    };
    shared.counters.groups.fetch_add(1, Relaxed);
    let mut answers = Vec::with_capacity(group.len());
    for (job, result) in group.into_iter().zip(results) {
        match job {
            Job::Batch(_, reply) => {
                shared.counters.batches.fetch_add(1, Relaxed);
                let result = result.map(|position| crate::Committed { position });
                count(shared, reply.is_some(), &result);
                answers.extend(reply.map(|reply| (reply, result)));
            }
            Job::Attempts(attempts, reply) => {
                if result.is_ok() {
                    shared.leases.release(attempts.iter().map(|a| a.id));
                }
                let _ = reply.send(result.map(drop));
            }
            Job::Rows { reply, .. } => drop(reply.send(result.map(drop))),
            Job::Alive(_) | Job::Admin(_) => {}
        }
    }
    give(shared, answers);
}

/// Answers those who waited: all at once through the relay if there is one with room, else one by one.
fn give(shared: &Shared, answers: Vec<Answer>) {
    let alone = match shared.answers.get() {
        Some(relay) if !answers.is_empty() => match relay.try_send(answers) {
            Ok(()) => return,
            Err(TrySendError::Full(answers) | TrySendError::Closed(answers)) => answers,
        },
        _ => answers,
    };
    for (reply, result) in alone {
        // Whoever gave up waiting is told nothing.
        let _ = reply.send(result);
    }
}

fn count(shared: &Shared, awaited: bool, result: &Result<crate::Committed, AppendError>) {
    let Err(error) = result else { return };
    shared.counters.failures.fetch_add(1, Relaxed);
    if !awaited {
        // The owner finds out by the conflict of its next batch.
        shared.counters.lost.fetch_add(1, Relaxed);
        tracing::error!(code = error.code(), "a batch that nobody waited for was not written");
    }
}

type Results = Vec<Result<u64, AppendError>>;

/// One transaction over all jobs. The outer error means that nothing was kept.
fn try_group(writer: &mut Writer<'_>, shared: &Shared, group: &[Job]) -> Result<Results, AppendError> {
    if let Err(error) = writer.begin() {
        // The database is held by someone else, or gone: to try one by one would only take longer.
        return Ok(group.iter().map(|_| Err(error.clone())).collect());
    }
    let mut results = Vec::with_capacity(group.len());
    for job in group {
        let done = match job {
            Job::Batch(batch, _) => writer.batch(batch).map(|c| c.position),
            Job::Attempts(attempts, _) => writer.attempts(attempts).map(|()| 0).map_err(Failure::from),
            Job::Alive(at) => writer.alive(*at).map(|()| 0).map_err(Failure::from),
            Job::Rows { write, .. } => writer.rows(write).map(|()| 0).map_err(Failure::from),
            Job::Admin(_) => Ok(0),
        };
        match done {
            Ok(position) => results.push(Ok(position)),
            Err(Failure::Refused(error)) => results.push(Err(error)),
            Err(Failure::Broken(error)) => {
                writer.rollback();
                return Err(error);
            }
        }
    }
    // Leases are taken before the commit: a scan that sees a new row must find it leased.
    let mut offers = Vec::new();
    for d in writer.ready.drain(..) {
        match shared.offers.try_reserve() {
            Ok(place) if shared.leases.take(d.id) => offers.push((place, d)),
            Ok(_) => {}
            Err(_) => shared.ask_rescan(),
        }
    }
    if let Err(error) = writer.commit() {
        shared.leases.release(offers.iter().map(|(_, d)| d.id));
        drop(offers);
        writer.rollback();
        return Err(error);
    }
    for (place, d) in offers {
        place.send(d);
    }
    Ok(results)
}
