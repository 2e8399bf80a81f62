//! The journal as another process sees it: which conversations there are and how long their logs are, no contents.

use crate::server::Server;
use rusqlite::{Connection, OpenFlags};

/// A read-only view of a running server's journal.
pub struct Journal(Connection);

impl Journal {
    /// Opens the database beside the running server.
    pub fn open(server: &Server) -> Journal {
        let file = server.data().join("db/strowger.db");
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Journal(Connection::open_with_flags(file, flags).expect("the journal can be read"))
    }

    /// Position of the newest append.
    pub fn position(&self) -> i64 {
        let max = "SELECT coalesce(max(position), 0) FROM journal";
        self.0.query_row(max, [], |r| r.get(0)).expect("a number")
    }

    /// The newest conversation after a position: its id as 32 hexadecimal digits, and how many events it has.
    pub fn newest_after(&self, position: i64) -> Option<(String, i64)> {
        let newest = "SELECT lower(hex(conversation)), seq + count - 1 FROM journal WHERE position > ? \
                      ORDER BY position DESC LIMIT 1";
        self.0
            .query_row(newest, [position], |r| Ok((r.get(0)?, r.get(1)?)))
            .ok()
    }

    /// The conversations that began after a position, oldest first, as 32 hexadecimal digits.
    pub fn conversations_after(&self, position: i64) -> Vec<String> {
        // By their first facts: what is told late of an earlier one does not make it another.
        let all = "SELECT lower(hex(conversation)) FROM journal WHERE position > ? AND seq = 1 ORDER BY position";
        let mut statement = self.0.prepare(all).expect("the journal's table");
        let found = statement.query_map([position], |r| r.get(0)).expect("a query");
        found.map(|id| id.expect("a text")).collect()
    }
}
