//! The embedded engine: SQLite with a write-ahead log, one writer thread, a few readers.

pub(crate) mod apply;
pub(crate) mod checkpoint;
pub(crate) mod files;
pub(crate) mod queue;
pub(crate) mod reader;
pub(crate) mod records;
pub(crate) mod schema;
pub(crate) mod writer;

use rusqlite::Connection;

/// Runs an administrative write in a transaction of its own.
pub(crate) fn in_transaction<T>(
    conn: &Connection,
    run: impl FnOnce(&Connection) -> Result<T, crate::error::StoreError>,
) -> Result<T, crate::error::StoreError> {
    let full = |e: &rusqlite::Error| crate::error::StoreError::Write(apply::append_error(e));
    conn.execute_batch("BEGIN IMMEDIATE").map_err(|e| full(&e))?;
    let done = run(conn).and_then(|value| conn.execute_batch("COMMIT").map(|()| value).map_err(|e| full(&e)));
    if done.is_err() && !conn.is_autocommit() {
        let _ = conn.execute_batch("ROLLBACK");
    }
    done
}
