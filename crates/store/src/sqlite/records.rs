//! Queries over call records.

use crate::batch::RecordRow;
use crate::records::RecordQuery;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use strowger_core::{AccountId, ApplicationId, ConversationId, Stamp, TenantId};

const COLUMNS: &str = "conversation, application, account, kind, start, end, version, body";

/// Reads [`COLUMNS`]; the body is sealed still.
fn record_row(tenant: TenantId, r: &Row<'_>) -> rusqlite::Result<RecordRow> {
    Ok(RecordRow {
        tenant,
        conversation: ConversationId(u128::from_be_bytes(r.get(0)?)),
        application: ApplicationId(u128::from_be_bytes(r.get(1)?)),
        account: r
            .get::<_, Option<[u8; 16]>>(2)?
            .map(|a| AccountId(u128::from_be_bytes(a))),
        kind: r.get(3)?,
        start: Stamp(r.get(4)?),
        end: Stamp(r.get(5)?),
        version: r.get(6)?,
        body: r.get(7)?,
    })
}

/// A page: rows, total, upper bound of the run.
pub(crate) fn query(
    conn: &Connection,
    (no, tenant): (i64, TenantId),
    q: &RecordQuery,
) -> rusqlite::Result<(Vec<RecordRow>, u64, u64)> {
    // Rows, total and bound are of one moment.
    let tx = conn.unchecked_transaction()?;
    let as_of = match q.as_of {
        Some(bound) => bound.min(i64::MAX as u64) as i64,
        None => tx.query_row("SELECT IFNULL(MAX(id), 0) FROM records", [], |r| r.get(0))?,
    };
    let mut clause = String::from(" FROM records WHERE tenant = ? AND id <= ?");
    let mut values = vec![Value::Integer(no), Value::Integer(as_of)];
    let mut also = |sql: &str, value: Value| {
        clause.push_str(sql);
        values.push(value);
    };
    if let Some(a) = q.application {
        also(" AND application = ?", Value::Blob(a.0.to_be_bytes().into()));
    }
    if let Some(a) = q.account {
        also(" AND account = ?", Value::Blob(a.0.to_be_bytes().into()));
    }
    if let Some(from) = q.from {
        also(" AND start >= ?", Value::Integer(from.0));
    }
    if let Some(to) = q.to {
        also(" AND start < ?", Value::Integer(to.0));
    }
    let total: i64 = tx
        .prepare_cached(&format!("SELECT COUNT(*){clause}"))?
        .query_row(params_from_iter(&values), |r| r.get(0))?;
    if let Some((start, id)) = q.after {
        clause.push_str(" AND (start, conversation) > (?, ?)");
        values.push(Value::Integer(start.0));
        values.push(Value::Blob(id.0.to_be_bytes().into()));
    }
    let limit = if q.limit == 0 { 20 } else { q.limit.min(1000) };
    values.push(Value::Integer(i64::from(limit)));
    values.push(Value::Integer(q.offset.min(i64::MAX as u64) as i64));
    let sql = format!("SELECT {COLUMNS}{clause} ORDER BY start, conversation LIMIT ? OFFSET ?");
    let mut statement = tx.prepare_cached(&sql)?;
    let rows = statement.query_map(params_from_iter(&values), |r| record_row(tenant, r))?;
    Ok((rows.collect::<rusqlite::Result<_>>()?, total as u64, as_of as u64))
}

/// The row of one conversation.
pub(crate) fn one(
    conn: &Connection,
    (no, tenant): (i64, TenantId),
    id: ConversationId,
) -> rusqlite::Result<Option<RecordRow>> {
    conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM records WHERE tenant = ?1 AND conversation = ?2"
    ))?
    .query_row(params![no, id.0.to_be_bytes()], |r| record_row(tenant, r))
    .optional()
}
