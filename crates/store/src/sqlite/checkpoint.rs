//! Carries the write-ahead log over into the database, beside the writer.
//!
//! A checkpoint of some thousand pages takes tens of milliseconds, and calls would wait for it if the writer made it. So a
//! thread with a connection of its own copies pages while the writer goes on, again and again until hardly any are left;
//! the writer then copies the last few itself, between two groups. Only with that is the whole log in the database, and its
//! file begun anew instead of growing.

use rusqlite::Connection;
use rusqlite::hooks::Wal;
use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

/// Pages in the log from which it is carried over: 64 MB. Most are the tail of a table or an index, written again and again,
/// and each of them is carried over once.
const FULL: u32 = 16_000;
/// Pages that the writer may copy itself.
const FEW: u32 = 200;
/// Passes beside the writer before it has to finish what is left, however much.
const PASSES: usize = 8;

thread_local! {
    /// Pages in the log after the newest commit of this thread.
    static PAGES: Cell<u32> = const { Cell::new(0) };
}

fn committed(_: &Wal, pages: std::ffi::c_int) -> rusqlite::Result<()> {
    PAGES.set(pages.unsigned_abs());
    Ok(())
}

/// The writer's side.
pub(crate) struct Checkpoints {
    ask: SyncSender<()>,
    /// Hardly anything is left: the writer may finish.
    nearly: Arc<AtomicBool>,
    /// Pages at which it is asked for the next time: a reader of long standing keeps the log from being begun anew.
    at: Cell<u32>,
}

impl Checkpoints {
    /// Starts the thread; it ends with the value.
    pub(crate) fn start(conn: &Connection, file: &Path) -> Checkpoints {
        let (ask, asked) = sync_channel(1);
        let nearly = Arc::new(AtomicBool::new(false));
        let work = {
            let (file, nearly) = (file.to_owned(), nearly.clone());
            move || beside(&file, &asked, &nearly)
        };
        let thread = std::thread::Builder::new().name("store-carry".into()).spawn(work);
        if let Err(error) = thread {
            // The writer finishes alone, with a pause for the calls each time.
            tracing::warn!("the log is carried over by the writer, without a thread of its own: {error}");
        }
        conn.wal_hook(Some(committed));
        Checkpoints {
            ask,
            nearly,
            at: Cell::new(FULL),
        }
    }

    /// What there is to do after a group.
    pub(crate) fn after_group(&self, conn: &Connection) {
        let pages = PAGES.get();
        if pages < self.at.get() {
            if pages < FULL {
                self.at.set(FULL);
            }
            return;
        }
        if self.nearly.swap(false, Relaxed) {
            match carry_over(conn) {
                // The next commit begins the log anew.
                Ok(0) => PAGES.set(0),
                Ok(_) => {}
                Err(error) => tracing::warn!("the log could not be carried over: {error}"),
            }
            self.at.set(pages.saturating_add(FULL));
            return;
        }
        match self.ask.try_send(()) {
            // Asked, or under way.
            Ok(()) | Err(std::sync::mpsc::TrySendError::Full(())) => {}
            Err(std::sync::mpsc::TrySendError::Disconnected(())) => self.nearly.store(true, Relaxed),
        }
    }
}

/// The thread: copies until hardly anything is left.
fn beside(file: &Path, asked: &Receiver<()>, nearly: &AtomicBool) {
    while asked.recv().is_ok() {
        if nearly.load(Relaxed) {
            continue;
        }
        let passes = || -> rusqlite::Result<()> {
            // A connection a time: one that stays open would keep a place among the log's readers.
            let conn = Connection::open(file)?;
            conn.busy_timeout(Duration::from_secs(5))?;
            for _ in 0..PASSES {
                if carry_over(&conn)? < FEW {
                    break;
                }
            }
            Ok(())
        };
        if let Err(error) = passes() {
            tracing::warn!("the log could not be carried over: {error}");
        }
        nearly.store(true, Relaxed);
    }
}

/// Copies what no reader keeps in the log, without waiting for anybody; how many pages are left.
fn carry_over(conn: &Connection) -> rusqlite::Result<u32> {
    conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |r| {
        let (log, copied): (i64, i64) = (r.get(1)?, r.get(2)?);
        Ok(u32::try_from((log - copied).max(0)).unwrap_or(u32::MAX))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_begun_anew_under_a_writer_that_never_rests() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("some.db");
        let conn = Connection::open(&file).unwrap();
        conn.execute_batch("PRAGMA journal_mode = wal; PRAGMA synchronous = off; CREATE TABLE t(a BLOB)")
            .unwrap();
        let checkpoints = Checkpoints::start(&conn, &file);
        let (mut most, mut last, mut anew, mut rows) = (0, 0, 0, 0_u32);
        while anew < 2 {
            conn.execute("INSERT INTO t VALUES(zeroblob(400000))", []).unwrap();
            rows += 1;
            let pages = PAGES.get();
            anew += u32::from(pages < last);
            (most, last) = (most.max(pages), pages);
            assert!(most < 10 * FULL, "the log grows without end");
            checkpoints.after_group(&conn);
        }
        assert!(most >= FULL);
        let other = Connection::open(&file).unwrap();
        let found: u32 = other.query_row("SELECT count(*) FROM t", [], |r| r.get(0)).unwrap();
        assert_eq!(found, rows);
    }
}
