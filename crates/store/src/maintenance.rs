//! Backup, checks, retention and the rotation of the master key.

use crate::crypto::MasterKey;
use crate::error::{AppendError, OpenError, StoreError};
use crate::sqlite::files::{self, Check};
use crate::sqlite::queue::Job;
use crate::store::Store;
use rusqlite::params;
use std::path::PathBuf;
use std::sync::Arc;
use strowger_core::Stamp;
use tokio::sync::oneshot;

/// Rows that one step of [`Store::prune`] takes away: bounds the time that appends wait behind it.
const STEP: u32 = 2000;
/// Chats that one step takes away, each with its messages.
const CHATS: u32 = 100;

/// What [`Store::prune`] took away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Delivered and dead deliveries.
    pub deliveries: u64,
    /// Journal rows of closed conversations.
    pub appends: u64,
    /// Names of commands.
    pub commands: u64,
    /// Batches of notices that are through.
    pub batches: u64,
    /// Chats that are over.
    pub chats: u64,
    /// Requests to be called back that are over.
    pub callbacks: u64,
}

impl Store {
    /// Copies the database to the file `to` while the store goes on: one consistent moment, without the master key.
    /// The file appears when the copy is complete.
    pub async fn backup(&self, to: impl Into<PathBuf>) -> Result<(), OpenError> {
        let (readers, to) = (self.inner.readers.clone(), to.into());
        let copy = move || readers.with(|conn| files::backup(conn, &to));
        let done = tokio::task::spawn_blocking(copy).await;
        done.unwrap_or_else(|_| Err(OpenError::Database("the backup was cancelled".into())))
    }

    /// Checks a backup, or the database of a stopped server: that it is whole, that this version can read it, and that
    /// the master key opens it. To restore, stop the server and put the file into the store's folder as
    /// `strowger.db`, without the `-wal` and `-shm` files of the old one. Reads the whole file; blocks.
    pub fn check(file: impl Into<PathBuf>, master_key: &MasterKey) -> Result<Check, OpenError> {
        files::check(&file.into(), master_key)
    }

    /// Deletes what ended before `before`: delivered and dead deliveries, and the journal of conversations whose last
    /// event is older and that are not open, the names of commands, batches of notices that are through, and chats and requests to be called back that are over.
    /// Call records stay. Clients may send a command again for at least a day, so `before` is a day ago or earlier. The rows are looked for by a reader and deleted in
    /// small steps between the appends.
    pub async fn prune(&self, before: Stamp) -> Result<Pruned, StoreError> {
        let deliveries = self
            .prune_rows(
                before,
                "SELECT id FROM deliveries WHERE id > ?2 AND state >= 2 AND last_at < ?1 ORDER BY id LIMIT ?3",
                "DELETE FROM deliveries WHERE id = ?1 AND state >= 2",
            )
            .await?;
        // The newest position must survive, or it would be given again after a restart.
        self.admin(|conn| {
            conn.execute(
                "INSERT OR REPLACE INTO meta SELECT 'position', MAX(position) FROM journal
                 HAVING MAX(position) IS NOT NULL",
                [],
            )?;
            Ok(())
        })
        .await?;
        let appends = self
            .prune_rows(
                before,
                "SELECT position FROM journal j WHERE position > ?2 AND at < ?1
                    AND NOT EXISTS(SELECT 1 FROM journal k WHERE k.tenant = j.tenant
                        AND k.conversation = j.conversation AND k.at >= ?1)
                 ORDER BY position LIMIT ?3",
                "DELETE FROM journal WHERE position = ?1 AND NOT EXISTS(SELECT 1 FROM open o
                    WHERE o.tenant = journal.tenant AND o.conversation = journal.conversation)",
            )
            .await?;
        let commands = self
            .prune_rows(
                before,
                "SELECT id FROM commands WHERE id > ?2 AND at < ?1 ORDER BY id LIMIT ?3",
                "DELETE FROM commands WHERE id = ?1",
            )
            .await?;
        // A name is throttled for a day at most, and `before` is a day ago or earlier.
        self.prune_rows(
            before,
            "SELECT id FROM throttles WHERE id > ?2 AND at < ?1 ORDER BY id LIMIT ?3",
            "DELETE FROM throttles WHERE id = ?1",
        )
        .await?;
        let batches = self
            .admin(move |conn| {
                conn.execute(
                    "DELETE FROM batch_items WHERE batch IN (SELECT id FROM batches WHERE state >= 2 AND at < ?1)",
                    [before.0],
                )?;
                Ok(conn.execute("DELETE FROM batches WHERE state >= 2 AND at < ?1", [before.0])? as u64)
            })
            .await?;
        let callbacks = self
            .admin(move |conn| {
                // Ids begin with the millisecond in which they were made.
                let newest = (u128::from(before.0.unsigned_abs()) << 80).to_be_bytes();
                Ok(conn.execute("DELETE FROM callbacks WHERE open = 0 AND id < ?1", [newest])? as u64)
            })
            .await?;
        Ok(Pruned {
            batches,
            deliveries,
            appends,
            commands,
            chats: self.prune_chats(before).await?,
            callbacks,
        })
    }

    async fn prune_chats(&self, before: Stamp) -> Result<u64, StoreError> {
        let mut total = 0;
        loop {
            let rows = self.read(move |conn| {
                let sql = "SELECT tenant, chat FROM chats c WHERE over = 1 AND at < ?1 AND NOT EXISTS(
                    SELECT 1 FROM chat_log l WHERE l.tenant = c.tenant AND l.chat = c.chat AND l.at >= ?1) LIMIT ?2";
                let mut statement = conn.prepare_cached(sql)?;
                let row = |r: &rusqlite::Row<'_>| Ok((r.get::<_, i64>(0)?, r.get::<_, Vec<u8>>(1)?));
                let rows = statement.query_map(params![before.0, CHATS], row)?;
                Ok(rows.collect::<rusqlite::Result<Vec<_>>>()?)
            });
            let rows = rows.await?;
            if rows.is_empty() {
                return Ok(total);
            }
            total += rows.len() as u64;
            self.admin(move |conn| {
                for row in &rows {
                    for table in ["chat_log", "chats"] {
                        let sql = format!("DELETE FROM {table} WHERE tenant = ?1 AND chat = ?2");
                        conn.prepare_cached(&sql)?.execute(params![row.0, row.1])?;
                    }
                }
                Ok(())
            })
            .await?;
        }
    }

    async fn prune_rows(&self, before: Stamp, find: &'static str, delete: &'static str) -> Result<u64, StoreError> {
        let (mut cursor, mut total) = (0i64, 0u64);
        loop {
            let rows = self.read(move |conn| {
                let mut statement = conn.prepare_cached(find)?;
                let rows = statement.query_map(params![before.0, cursor, STEP], |r| r.get::<_, i64>(0))?;
                Ok(rows.collect::<rusqlite::Result<Vec<_>>>()?)
            });
            let rows = rows.await?;
            let Some(last) = rows.last() else { return Ok(total) };
            cursor = *last;
            total += self
                .admin(move |conn| {
                    let mut statement = conn.prepare_cached(delete)?;
                    let deleted = rows.iter().map(|row| statement.execute([row]));
                    Ok(deleted.sum::<rusqlite::Result<usize>>()? as u64)
                })
                .await?;
        }
    }

    /// Wraps all data keys with another master key, in one transaction. From the moment that this resolves the
    /// database opens with the new key only; backups made before open with the old one.
    pub async fn rotate_master_key(&self, new: &MasterKey) -> Result<(), StoreError> {
        let _one = self.inner.changing.lock().await;
        let master = Arc::new(new.cipher());
        let keys = self.inner.keys.all();
        let with = master.clone();
        self.admin(move |conn| {
            for (tenant, key) in &keys {
                let row = params![key.no, key.wrap(*tenant, &with)];
                conn.execute("UPDATE tenants SET wrapped_key = ?2 WHERE no = ?1", row)?;
            }
            Ok(files::write_key_check(conn, &with)?)
        })
        .await?;
        *self.inner.master.lock().unwrap_or_else(|e| e.into_inner()) = master;
        Ok(())
    }

    /// Moves the write-ahead log into the database and empties it, so that nothing old is left in it.
    pub(crate) async fn truncate_log(&self) -> Result<(), AppendError> {
        let (reply, answer) = oneshot::channel();
        let job = Job::Admin(Box::new(move |conn| {
            let _ = conn.pragma_update(None, "secure_delete", false);
            // A reader in mid-query keeps the log; the next checkpoint catches up.
            let done = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
            let _ = reply.send(done);
        }));
        self.submit(job).await?;
        let done = answer.await.map_err(|_| AppendError::Closed)?;
        done.map_err(|e| AppendError::Storage(e.to_string()))
    }
}
