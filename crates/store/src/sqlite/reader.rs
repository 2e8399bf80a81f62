//! The readers: a few read-only connections, and the queries that run on them.

use crate::codec::{topic_name, topic_of};
use crate::outbox::{DeliveryFilter, DeliveryInfo, DeliveryState, OutboxCounts, Take};
use crate::sealed::SealedDelivery;
use crate::sqlite::writer::Leases;
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::path::Path;
use std::sync::{Condvar, Mutex};
use strowger_core::{ApplicationId, ConversationId, Stamp, TenantId};

/// A pool of read-only connections.
pub(crate) struct Readers {
    idle: Mutex<Vec<Connection>>,
    returned: Condvar,
}

impl Readers {
    pub(crate) fn open(file: &Path, count: usize) -> rusqlite::Result<Readers> {
        let open = || {
            let conn = Connection::open(file)?;
            conn.pragma_update(None, "query_only", true)?;
            conn.busy_timeout(std::time::Duration::from_secs(5))?;
            conn.set_prepared_statement_cache_capacity(64);
            Ok(conn)
        };
        let idle = (0..count).map(|_| open()).collect::<rusqlite::Result<_>>()?;
        Ok(Readers {
            idle: Mutex::new(idle),
            returned: Condvar::new(),
        })
    }

    /// Runs `query` on a free connection; waits for one. Blocks: callers are on a blocking thread.
    pub(crate) fn with<T>(&self, query: impl FnOnce(&Connection) -> T) -> T {
        let mut idle = self.idle.lock().unwrap_or_else(|e| e.into_inner());
        let conn = loop {
            match idle.pop() {
                Some(conn) => break conn,
                None => idle = self.returned.wait(idle).unwrap_or_else(|e| e.into_inner()),
            }
        };
        drop(idle);
        // A panic in a query would lose the connection; the guard gives it back.
        let guard = Guard {
            pool: self,
            conn: Some(conn),
        };
        query(
            guard
                .conn
                .as_ref()
                .expect("the guard holds its connection until it is dropped"),
        )
    }
}

struct Guard<'p> {
    pool: &'p Readers,
    conn: Option<Connection>,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        let mut idle = self.pool.idle.lock().unwrap_or_else(|e| e.into_inner());
        idle.extend(self.conn.take());
        self.pool.returned.notify_one();
    }
}

/// The columns that [`delivery_row`] reads, before the tenant's id.
pub(crate) const DELIVERY_COLUMNS: &str = "id, tenant, conversation, subscription, seq, topic, application, \
     destination, attempts, tries, queued_at, next_at, content, batch_group, batch_most";

/// Reads [`DELIVERY_COLUMNS`] and the tenant's id behind them.
pub(crate) fn delivery_row(r: &Row<'_>) -> rusqlite::Result<SealedDelivery> {
    let topic: String = r.get(5)?;
    Ok(SealedDelivery {
        id: r.get::<_, i64>(0)? as u64,
        tenant_no: r.get(1)?,
        tenant: TenantId(u128::from_be_bytes(r.get(15)?)),
        conversation: ConversationId(u128::from_be_bytes(r.get(2)?)),
        application: ApplicationId(u128::from_be_bytes(r.get(6)?)),
        seq: r.get(4)?,
        subscription: r.get(3)?,
        topic: topic_of(&topic)
            .map_err(|e| rusqlite::Error::FromSqlConversionFailure(5, rusqlite::types::Type::Text, Box::new(e)))?,
        destination: r.get::<_, i64>(7)? as u64,
        attempts: r.get(8)?,
        tries: r.get(9)?,
        queued_at: Stamp(r.get(10)?),
        next_at: Stamp(r.get(11)?),
        content: r.get::<_, Vec<u8>>(12)?.into(),
        together: r
            .get::<_, Option<i64>>(13)?
            .map(|group| Ok::<_, rusqlite::Error>((group as u64, r.get(14)?)))
            .transpose()?,
    })
}

/// Ready deliveries that are due, leased, a share of each destination; and the next moment to look.
///
/// Walks the due index one destination at a time, so that a destination with a long backlog costs no more than one
/// with a short one.
pub(crate) fn take_due(
    conn: &Connection,
    leases: &Leases,
    take: &Take,
) -> rusqlite::Result<(Vec<SealedDelivery>, Option<Stamp>)> {
    let mut next_destination =
        conn.prepare_cached("SELECT MIN(destination) FROM deliveries WHERE state = 0 AND destination > ?1")?;
    let mut of_destination = conn.prepare_cached(&format!(
        "SELECT {DELIVERY_COLUMNS}, (SELECT t.id FROM tenants t WHERE t.no = tenant) FROM deliveries
         WHERE state = 0 AND destination = ?1 ORDER BY next_at"
    ))?;
    let (mut found, mut next_at) = (Vec::new(), None::<Stamp>);
    let mut sooner = |at: Stamp| next_at = Some(next_at.map_or(at, |n| n.min(at)));
    let mut destination = -1i64;
    while let Some(d) = next_destination.query_row([destination], |r| r.get::<_, Option<i64>>(0))? {
        destination = d;
        let mut room = take.room.get(&(d as u64)).copied().unwrap_or(take.per_destination);
        if room == 0 {
            continue;
        }
        let mut rows = of_destination.query([d])?;
        while let Some(r) = rows.next()? {
            let next = Stamp(r.get(11)?);
            if next > take.now {
                sooner(next);
                break;
            }
            if room == 0 || found.len() >= take.limit {
                // More is due here than may be taken: its room, or the caller's, has to change first.
                if room > 0 {
                    sooner(take.now);
                }
                break;
            }
            if leases.take(r.get::<_, i64>(0)? as u64) {
                found.push(delivery_row(r)?);
                room -= 1;
            }
        }
    }
    Ok((found, next_at))
}

/// Ready deliveries of a group, leased, at most `room`: those that were tried as often, and if they were, failed
/// together. The oldest first.
pub(crate) fn take_together(
    conn: &Connection,
    leases: &Leases,
    (group, tries, due): (u64, u32, Stamp),
    room: usize,
) -> rusqlite::Result<Vec<SealedDelivery>> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {DELIVERY_COLUMNS}, (SELECT t.id FROM tenants t WHERE t.no = tenant) FROM deliveries
         WHERE state = 0 AND batch_group = ?1 AND tries = ?2 AND (?2 = 0 OR next_at = ?3) ORDER BY id"
    ))?;
    let mut rows = statement.query(params![group as i64, tries, due.0])?;
    let mut found = Vec::new();
    while found.len() < room {
        let Some(r) = rows.next()? else { break };
        if leases.take(r.get::<_, i64>(0)? as u64) {
            found.push(delivery_row(r)?);
        }
    }
    Ok(found)
}

/// A tenant's deliveries for its operators, newest first.
pub(crate) fn list_deliveries(
    conn: &Connection,
    tenant: i64,
    filter: &DeliveryFilter,
) -> rusqlite::Result<Vec<(SealedDelivery, DeliveryInfoRest)>> {
    let limit = if filter.limit == 0 { 100 } else { filter.limit.min(1000) };
    let mut sql = format!(
        "SELECT {DELIVERY_COLUMNS}, (SELECT t.id FROM tenants t WHERE t.no = tenant), state, last_at, last_error
         FROM deliveries WHERE tenant = ?1 AND id < ?2"
    );
    if filter.conversation.is_some() {
        sql.push_str(" AND conversation = ?3");
    } else {
        sql.push_str(" AND ?3 IS NULL");
    }
    if let Some(state) = filter.state {
        sql.push_str(&format!(" AND state = {}", state.code()));
    }
    if let Some(topic) = filter.topic {
        sql.push_str(&format!(" AND topic = '{}'", topic_name(topic)));
    }
    sql.push_str(" ORDER BY id DESC LIMIT ?4");
    let mut statement = conn.prepare_cached(&sql)?;
    let before = filter.before.map_or(i64::MAX, |b| b.min(i64::MAX as u64) as i64);
    let conversation = filter.conversation.map(|c| c.0.to_be_bytes());
    let rows = statement.query_map(params![tenant, before, conversation, limit], |r| {
        let rest = DeliveryInfoRest {
            state: DeliveryState::from_code(r.get(16)?),
            last_at: r.get::<_, Option<i64>>(17)?.map(Stamp),
            last_error: r.get(18)?,
        };
        Ok((delivery_row(r)?, rest))
    })?;
    rows.collect()
}

/// The columns of [`DeliveryInfo`] that are not of the delivery.
pub(crate) struct DeliveryInfoRest {
    state: DeliveryState,
    last_at: Option<Stamp>,
    last_error: String,
}

impl DeliveryInfoRest {
    pub(crate) fn with(self, delivery: crate::outbox::Delivery, next_at: Stamp) -> DeliveryInfo {
        DeliveryInfo {
            delivery,
            state: self.state,
            next_at,
            last_at: self.last_at,
            last_error: self.last_error,
        }
    }
}

/// Numbers of unfinished deliveries. The states are written out because the partial indexes need it.
pub(crate) fn count_deliveries(conn: &Connection) -> rusqlite::Result<OutboxCounts> {
    let count = |sql: &str| {
        let mut statement = conn.prepare_cached(sql)?;
        statement.query_row([], |r| r.get::<_, i64>(0).map(|n| n as u64))
    };
    Ok(OutboxCounts {
        ready: count("SELECT COUNT(*) FROM deliveries WHERE state = 0")?,
        dead: count("SELECT COUNT(*) FROM deliveries WHERE state = 3")?,
    })
}

/// Sealed frames of a conversation in order: position of the first event, and the bytes.
pub(crate) fn frames(conn: &Connection, tenant: i64, id: ConversationId) -> rusqlite::Result<Vec<(u32, Vec<u8>)>> {
    let mut statement =
        conn.prepare_cached("SELECT seq, events FROM journal WHERE tenant = ?1 AND conversation = ?2 ORDER BY seq")?;
    let rows = statement.query_map(params![tenant, id.0.to_be_bytes()], |r| Ok((r.get(0)?, r.get(1)?)))?;
    rows.collect()
}

/// Frames of the conversations with ids from `first` until before `end`, by conversation and position, at most `most`.
pub(crate) fn frames_between(
    conn: &Connection,
    tenant: i64,
    first: ConversationId,
    end: ConversationId,
    most: usize,
) -> rusqlite::Result<Vec<(ConversationId, u32, Vec<u8>)>> {
    let mut statement = conn.prepare_cached(
        "SELECT conversation, seq, events FROM journal INDEXED BY journal_by_conversation
         WHERE tenant = ?1 AND conversation >= ?2 AND conversation < ?3 ORDER BY conversation, seq LIMIT ?4",
    )?;
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let span = params![tenant, first.0.to_be_bytes(), end.0.to_be_bytes(), most];
    let rows = statement.query_map(span, |r| {
        Ok((ConversationId(u128::from_be_bytes(r.get(0)?)), r.get(1)?, r.get(2)?))
    })?;
    rows.collect()
}

/// What a command of this name started, and the digest of its request.
pub(crate) fn command(
    conn: &Connection,
    tenant: i64,
    name: &[u8; 32],
) -> rusqlite::Result<Option<(ConversationId, [u8; 32])>> {
    let mut statement =
        conn.prepare_cached("SELECT conversation, request FROM commands WHERE tenant = ?1 AND name = ?2")?;
    let row = |r: &Row<'_>| Ok((ConversationId(u128::from_be_bytes(r.get(0)?)), r.get(1)?));
    statement.query_row(params![tenant, name], row).optional()
}

/// A conversation of the recovery list: tenant, conversation, deadline.
pub(crate) type OpenRow = (TenantId, ConversationId, Option<Stamp>);

/// The recovery list in order of tenant and conversation.
pub(crate) fn open_rows(conn: &Connection) -> rusqlite::Result<Vec<OpenRow>> {
    let mut statement = conn.prepare(
        "SELECT t.id, o.conversation, o.deadline FROM open o JOIN tenants t ON t.no = o.tenant
         WHERE t.wrapped_key IS NOT NULL ORDER BY o.tenant, o.conversation",
    )?;
    let rows = statement.query_map([], |r| {
        Ok((
            TenantId(u128::from_be_bytes(r.get(0)?)),
            ConversationId(u128::from_be_bytes(r.get(1)?)),
            r.get::<_, Option<i64>>(2)?.map(Stamp),
        ))
    })?;
    rows.collect()
}

/// The newest alive stamp.
pub(crate) fn last_alive(conn: &Connection) -> rusqlite::Result<Option<Stamp>> {
    conn.query_row("SELECT value FROM meta WHERE name = 'alive'", [], |r| {
        r.get(0).map(Stamp)
    })
    .optional()
}
