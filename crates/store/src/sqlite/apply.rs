//! The writer's statements, prepared once.

use crate::batch::{Committed, Deadline};
use crate::codec::topic_name;
use crate::error::AppendError;
use crate::outbox::{Attempt, Outcome};
use crate::sealed::{
    SealedAppend, SealedBatch, SealedCommand, SealedDelivery, SealedItem, SealedRecord, SealedThrottle,
};
use crate::sqlite::reader::{DELIVERY_COLUMNS, delivery_row};
use rusqlite::{Connection, ErrorCode, OptionalExtension, Statement, params};
use std::collections::HashMap;
use strowger_core::{ConversationId, Stamp};

/// Why a job was not applied.
pub(crate) enum Failure {
    /// It was refused before anything was written.
    Refused(AppendError),
    /// A statement failed: the transaction has to be rolled back.
    Broken(AppendError),
}

impl From<rusqlite::Error> for Failure {
    fn from(e: rusqlite::Error) -> Failure {
        Failure::Broken(append_error(&e))
    }
}

/// The public form of a database error.
pub(crate) fn append_error(e: &rusqlite::Error) -> AppendError {
    match e.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => AppendError::DiskFull,
        _ => AppendError::Storage(e.to_string()),
    }
}

type Key = (i64, ConversationId);

/// The writer's view of the open conversations, and its prepared statements.
pub(crate) struct Writer<'c> {
    conn: &'c Connection,
    /// Newest position in each conversation of the `open` table.
    open: HashMap<Key, u32>,
    /// How to take back the changes of `open` since the transaction began.
    undo: Vec<(Key, Option<u32>)>,
    /// Newest global position, and the one before the transaction.
    position: u64,
    position_before: u64,
    /// Deliveries that became ready in this transaction.
    pub(crate) ready: Vec<SealedDelivery>,
    begin: Statement<'c>,
    commit: Statement<'c>,
    newest_seq: Statement<'c>,
    insert_events: Statement<'c>,
    insert_open: Statement<'c>,
    delete_open: Statement<'c>,
    set_deadline: Statement<'c>,
    find_command: Statement<'c>,
    insert_command: Statement<'c>,
    insert_record: Statement<'c>,
    unfinished: Statement<'c>,
    insert_delivery: Statement<'c>,
    order_of: Statement<'c>,
    finish_delivery: Statement<'c>,
    next_waiting: Statement<'c>,
    retry_delivery: Statement<'c>,
    promote: Statement<'c>,
    alive: Statement<'c>,
}

impl<'c> Writer<'c> {
    /// Reads the open conversations and prepares the statements.
    pub(crate) fn new(conn: &'c Connection, position: u64) -> rusqlite::Result<Writer<'c>> {
        let p = |sql: &str| conn.prepare(sql);
        let mut writer = Writer {
            conn,
            open: HashMap::new(),
            undo: Vec::new(),
            position,
            position_before: position,
            ready: Vec::new(),
            begin: p("BEGIN IMMEDIATE")?,
            commit: p("COMMIT")?,
            newest_seq: p(
                "SELECT seq + count - 1 FROM journal WHERE tenant = ?1 AND conversation = ?2
                ORDER BY seq DESC LIMIT 1",
            )?,
            insert_events: p("INSERT INTO journal VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)")?,
            insert_open: p("INSERT OR REPLACE INTO open VALUES(?1, ?2, ?3)")?,
            delete_open: p("DELETE FROM open WHERE tenant = ?1 AND conversation = ?2")?,
            set_deadline: p("UPDATE open SET deadline = ?3 WHERE tenant = ?1 AND conversation = ?2")?,
            find_command: p("SELECT conversation, request FROM commands WHERE tenant = ?1 AND name = ?2")?,
            insert_command: p("INSERT INTO commands(tenant, name, request, conversation, at)
                VALUES(?1, ?2, ?3, ?4, ?5)")?,
            insert_record: p(
                "INSERT INTO records(tenant, conversation, start, end, application, account, kind, version, body)
                VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
                ON CONFLICT(tenant, conversation) DO UPDATE SET start = excluded.start, end = excluded.end,
                    version = excluded.version, body = excluded.body WHERE excluded.version > records.version",
            )?,
            unfinished: p("SELECT 1 FROM deliveries
                WHERE tenant = ?1 AND conversation = ?2 AND subscription = ?3 AND state < 2 LIMIT 1")?,
            insert_delivery: p(
                "INSERT INTO deliveries(tenant, conversation, subscription, seq, topic, application,
                destination, state, queued_at, next_at, content, batch_group, batch_most)
                VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
            )?,
            // Asked apart: RETURNING would build and drop a table of its own each time.
            order_of: p("SELECT tenant, conversation, subscription FROM deliveries WHERE id = ?1 AND state = 0")?,
            finish_delivery: p(
                "UPDATE deliveries SET state = ?2, attempts = attempts + 1, tries = tries + 1,
                last_at = ?3, last_error = ?4 WHERE id = ?1",
            )?,
            next_waiting: p("SELECT id FROM deliveries WHERE tenant = ?1 AND conversation = ?2
                AND subscription = ?3 AND state = 1 ORDER BY id LIMIT 1")?,
            retry_delivery: p("UPDATE deliveries SET attempts = attempts + 1, tries = tries + 1,
                last_at = ?2, last_error = ?3, next_at = ?4 WHERE id = ?1 AND state = 0")?,
            promote: p(&format!(
                "UPDATE deliveries SET state = 0, queued_at = MAX(queued_at, ?2) WHERE id = ?1
                RETURNING {DELIVERY_COLUMNS}, (SELECT id FROM tenants WHERE no = deliveries.tenant)"
            ))?,
            alive: p("INSERT OR REPLACE INTO meta VALUES('alive', ?1)")?,
        };
        let mut rows = conn.prepare(
            "SELECT tenant, conversation, (SELECT seq + count - 1 FROM journal j WHERE j.tenant = o.tenant
                AND j.conversation = o.conversation ORDER BY seq DESC LIMIT 1) FROM open o",
        )?;
        let mut rows = rows.query([])?;
        while let Some(r) = rows.next()? {
            let key = (r.get(0)?, ConversationId(u128::from_be_bytes(r.get(1)?)));
            writer.open.insert(key, r.get::<_, Option<u32>>(2)?.unwrap_or(0));
        }
        Ok(writer)
    }

    /// Begins the transaction of a group.
    pub(crate) fn begin(&mut self) -> Result<(), AppendError> {
        self.undo.clear();
        self.ready.clear();
        self.position_before = self.position;
        self.begin.raw_execute().map(drop).map_err(|e| append_error(&e))
    }

    /// Commits the group; in the `power` mode this is when the disk is waited for.
    pub(crate) fn commit(&mut self) -> Result<(), AppendError> {
        self.commit.raw_execute().map(drop).map_err(|e| append_error(&e))
    }

    /// Takes everything back since [`begin`](Writer::begin).
    pub(crate) fn rollback(&mut self) {
        // A full disk makes SQLite roll back by itself; then there is nothing left to do here.
        if !self.conn.is_autocommit() {
            let _ = self.conn.execute_batch("ROLLBACK");
        }
        for (key, before) in self.undo.drain(..).rev() {
            match before {
                Some(seq) => self.open.insert(key, seq),
                None => self.open.remove(&key),
            };
        }
        self.position = self.position_before;
        self.ready.clear();
    }

    /// The newest position of a conversation, 0 if there is none.
    fn seq(&mut self, key: Key) -> rusqlite::Result<u32> {
        if let Some(seq) = self.open.get(&key) {
            return Ok(*seq);
        }
        let id = key.1.0.to_be_bytes();
        let found = self.newest_seq.query_row(params![key.0, id], |r| r.get(0)).optional()?;
        Ok(found.unwrap_or(0))
    }

    /// Writes a batch.
    pub(crate) fn batch(&mut self, batch: &SealedBatch) -> Result<Committed, Failure> {
        for a in &batch.appends {
            let actual = self.seq((a.tenant, a.conversation))?;
            if actual != a.expected {
                return Err(Failure::Refused(AppendError::Conflict {
                    conversation: a.conversation,
                    expected: a.expected,
                    actual,
                }));
            }
        }
        // Both look before anything is written: a refusal leaves nothing behind.
        if let Some(t) = &batch.throttle {
            self.may_again(t)?;
        }
        if let Some(i) = &batch.item {
            self.may_begin(i)?;
        }
        if let Some(c) = &batch.command {
            self.command(c)?;
        }
        self.note(batch)?;
        for a in &batch.appends {
            self.append(a)?;
        }
        for r in &batch.records {
            self.record(r)?;
        }
        for d in &batch.deliveries {
            self.delivery(d)?;
        }
        Ok(Committed {
            position: self.position,
        })
    }

    /// Whether it was done seldom enough.
    fn may_again(&mut self, t: &SealedThrottle) -> Result<(), Failure> {
        let sql = "SELECT COUNT(*) FROM throttles WHERE tenant = ?1 AND name = ?2 AND at > ?3";
        for (window, most) in &t.limits {
            let since = t.at.0.saturating_sub_unsigned(*window);
            let mut count = self.conn.prepare_cached(sql)?;
            let done: u32 = count.query_row(params![t.tenant, t.name, since], |r| r.get(0))?;
            if done >= *most {
                return Err(Failure::Refused(AppendError::Throttled));
            }
        }
        Ok(())
    }

    /// Whether an item of a batch is still to begin.
    fn may_begin(&mut self, i: &SealedItem) -> Result<(), Failure> {
        let id = i.start.batch.0.to_be_bytes();
        let mut state = self.conn.prepare_cached("SELECT state FROM batches WHERE id = ?1")?;
        let state: Option<i64> = state.query_row([id], |r| r.get(0)).optional()?;
        if state.is_none_or(|s| s >= 2 || (s == 1 && i.start.dialled)) {
            return Err(Failure::Refused(AppendError::BatchClosed));
        }
        let sql = "SELECT 1 FROM batch_items WHERE batch = ?1 AND n = ?2";
        if self.conn.prepare_cached(sql)?.exists(params![id, i.start.item])? {
            return Err(Failure::Refused(AppendError::ItemBegun));
        }
        Ok(())
    }

    /// Notes what was looked at.
    fn note(&mut self, batch: &SealedBatch) -> rusqlite::Result<()> {
        if let Some(t) = &batch.throttle {
            let sql = "INSERT INTO throttles(tenant, name, at) VALUES(?1, ?2, ?3)";
            self.conn
                .prepare_cached(sql)?
                .execute(params![t.tenant, t.name, t.at.0])?;
        }
        if let Some(i) = &batch.item {
            let sql = "INSERT INTO batch_items(batch, n, conversation) VALUES(?1, ?2, ?3)";
            let row = params![
                i.start.batch.0.to_be_bytes(),
                i.start.item,
                i.conversation.0.to_be_bytes()
            ];
            self.conn.prepare_cached(sql)?.execute(row)?;
        }
        Ok(())
    }

    /// Notes a command, unless one of its name is known: also one that is in the same transaction.
    fn command(&mut self, c: &SealedCommand) -> Result<(), Failure> {
        let row = |r: &rusqlite::Row<'_>| Ok((r.get::<_, [u8; 16]>(0)?, r.get::<_, [u8; 32]>(1)?));
        let known = self.find_command.query_row(params![c.tenant, c.name], row).optional()?;
        if let Some((conversation, request)) = known {
            return Err(Failure::Refused(AppendError::Duplicate {
                conversation: ConversationId(u128::from_be_bytes(conversation)),
                same_request: request == c.request,
            }));
        }
        let row = params![c.tenant, c.name, c.request, c.conversation.0.to_be_bytes(), c.at.0];
        self.insert_command.execute(row)?;
        Ok(())
    }

    fn append(&mut self, a: &SealedAppend) -> rusqlite::Result<()> {
        let key = (a.tenant, a.conversation);
        let id = a.conversation.0.to_be_bytes();
        if a.count > 0 {
            self.position += 1;
            let row = params![
                self.position as i64,
                a.tenant,
                id,
                a.expected + 1,
                a.count,
                a.at.0,
                a.frame
            ];
            self.insert_events.execute(row)?;
        }
        let before = self.open.get(&key).copied();
        match (before, a.open) {
            (Some(_), true) => match a.deadline {
                Deadline::Keep => {}
                Deadline::Set(at) => drop(self.set_deadline.execute(params![a.tenant, id, at.0])?),
                Deadline::Clear => drop(self.set_deadline.execute(params![a.tenant, id, None::<i64>])?),
            },
            (None, true) => {
                let deadline = match a.deadline {
                    Deadline::Set(at) => Some(at.0),
                    Deadline::Keep | Deadline::Clear => None,
                };
                self.insert_open.execute(params![a.tenant, id, deadline])?;
            }
            (Some(_), false) => drop(self.delete_open.execute(params![a.tenant, id])?),
            (None, false) => {}
        }
        self.undo.push((key, before));
        if a.open {
            self.open.insert(key, a.expected + a.count);
        } else {
            self.open.remove(&key);
        }
        Ok(())
    }

    fn record(&mut self, r: &SealedRecord) -> rusqlite::Result<()> {
        let row = &r.row;
        self.insert_record.execute(params![
            r.tenant,
            row.conversation.0.to_be_bytes(),
            row.start.0,
            row.end.0,
            row.application.0.to_be_bytes(),
            row.account.map(|a| a.0.to_be_bytes()),
            row.kind,
            row.version,
            r.body,
        ])?;
        Ok(())
    }

    fn delivery(&mut self, d: &SealedDelivery) -> rusqlite::Result<()> {
        let id = d.conversation.0.to_be_bytes();
        let order = params![d.tenant_no, id, d.subscription];
        let behind = self.unfinished.exists(order)?;
        self.insert_delivery.execute(params![
            d.tenant_no,
            id,
            d.subscription,
            d.seq,
            topic_name(d.topic),
            d.application.0.to_be_bytes(),
            d.destination as i64,
            i64::from(behind),
            d.queued_at.0,
            d.next_at.0,
            &d.content[..],
            d.together.map(|(group, _)| group as i64),
            d.together.map(|(_, most)| most),
        ])?;
        if !behind {
            let id = self.conn.last_insert_rowid() as u64;
            self.ready.push(SealedDelivery { id, ..d.clone() });
        }
        Ok(())
    }

    /// Records how attempts ended, and releases the next of each finished order.
    pub(crate) fn attempts(&mut self, attempts: &[Attempt]) -> rusqlite::Result<()> {
        for a in attempts {
            let (state, error) = match &a.outcome {
                Outcome::Retry { next_at, error } => {
                    let row = params![a.id as i64, a.at.0, error, next_at.0];
                    self.retry_delivery.execute(row)?;
                    continue;
                }
                Outcome::Delivered => (2, ""),
                Outcome::Dead { error } => (3, error.as_str()),
            };
            let key = |r: &rusqlite::Row<'_>| Ok((r.get::<_, i64>(0)?, r.get::<_, [u8; 16]>(1)?, r.get::<_, i64>(2)?));
            // A delivery that is not ready was erased, or reported twice.
            let Some((tenant, conversation, subscription)) = self.order_of.query_row([a.id as i64], key).optional()?
            else {
                continue;
            };
            self.finish_delivery
                .execute(params![a.id as i64, state, a.at.0, error])?;
            let order = params![tenant, conversation, subscription];
            let next = self.next_waiting.query_row(order, |r| r.get::<_, i64>(0)).optional()?;
            if let Some(next) = next {
                self.ready
                    .extend(self.promote.query_row(params![next, a.at.0], delivery_row).optional()?);
            }
        }
        Ok(())
    }

    /// Writes rows that belong to no conversation.
    pub(crate) fn rows(&self, write: &dyn Fn(&Connection) -> rusqlite::Result<()>) -> rusqlite::Result<()> {
        write(self.conn)
    }

    /// Stamps the node alive.
    pub(crate) fn alive(&mut self, at: Stamp) -> rusqlite::Result<()> {
        self.alive.execute([at.0]).map(drop)
    }
}
