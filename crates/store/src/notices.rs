//! Batches of notices: stored with their answer, and each item begun at most once.
//!
//! A row in `batch_items` says that an item was begun and by which conversation. It is written in the same transaction as
//! the conversation's first facts, so that after any crash an item is either not begun, or has a conversation that
//! recovery closes and reports.

use crate::crypto::Place;
use crate::disk_batch;
use crate::error::StoreError;
use crate::store::Store;
use rusqlite::{Connection, OptionalExtension, Row, params};
use strowger_core::call::NoticeBatch;
use strowger_core::{NoticeBatchId, Stamp, TenantId};

/// Where a batch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeBatchState {
    /// Its items are being dialled.
    Active,
    /// It was cancelled: what is left is not dialled, and is reported as such.
    Cancelling,
    /// Every item was begun.
    Done,
    /// It was cancelled and every item is accounted for.
    Cancelled,
}

impl NoticeBatchState {
    const ALL: [NoticeBatchState; 4] = [
        NoticeBatchState::Active,
        NoticeBatchState::Cancelling,
        NoticeBatchState::Done,
        NoticeBatchState::Cancelled,
    ];

    /// `active`, `cancelling`, `done` or `cancelled`.
    pub const fn name(self) -> &'static str {
        match self {
            NoticeBatchState::Active => "active",
            NoticeBatchState::Cancelling => "cancelling",
            NoticeBatchState::Done => "done",
            NoticeBatchState::Cancelled => "cancelled",
        }
    }

    fn of(n: i64) -> NoticeBatchState {
        let state = usize::try_from(n).ok().and_then(|n| NoticeBatchState::ALL.get(n));
        state.copied().unwrap_or(NoticeBatchState::Done)
    }
}

/// How far a batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoticeBatchInfo {
    /// The batch.
    pub id: NoticeBatchId,
    /// Owner.
    pub tenant: TenantId,
    /// When it was accepted.
    pub at: Stamp,
    /// Where it stands.
    pub state: NoticeBatchState,
    /// Numbers in it.
    pub total: u32,
    /// Numbers that were begun: dialled, or reported without being dialled.
    pub begun: u32,
    /// Of those, the ones whose conversation has not ended.
    pub running: u32,
}

/// A batch that is not through, with the items that were begun.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenNoticeBatch {
    /// The batch.
    pub batch: NoticeBatch,
    /// True if it was cancelled.
    pub cancelled: bool,
    /// Items that were begun, in order.
    pub begun: Vec<u32>,
}

const COLUMNS: &str = "b.id, t.id, b.at, b.state, b.total,
    (SELECT COUNT(*) FROM batch_items i WHERE i.batch = b.id),
    (SELECT COUNT(*) FROM batch_items i JOIN open o ON o.tenant = b.tenant AND o.conversation = i.conversation
        WHERE i.batch = b.id)
    FROM batches b JOIN tenants t ON t.no = b.tenant";

fn info(r: &Row<'_>) -> rusqlite::Result<NoticeBatchInfo> {
    Ok(NoticeBatchInfo {
        id: NoticeBatchId(u128::from_be_bytes(r.get(0)?)),
        tenant: TenantId(u128::from_be_bytes(r.get(1)?)),
        at: Stamp(r.get(2)?),
        state: NoticeBatchState::of(r.get(3)?),
        total: r.get(4)?,
        begun: r.get(5)?,
        running: r.get(6)?,
    })
}

fn place(tenant: TenantId, id: NoticeBatchId) -> Place {
    Place::new(b'B', tenant, id.0, 0)
}

fn set_state(conn: &Connection, id: NoticeBatchId, from: &str, to: i64) -> rusqlite::Result<bool> {
    let sql = format!("UPDATE batches SET state = ?2 WHERE id = ?1 AND state IN ({from})");
    Ok(conn.execute(&sql, params![id.0.to_be_bytes(), to])? > 0)
}

impl Store {
    /// Stores a batch; it is in the file when this resolves.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is stored then.
    pub async fn create_notice_batch(&self, batch: &NoticeBatch, at: Stamp) -> Result<(), StoreError> {
        let tenant = batch.head.tenant;
        let key = self.inner.keys.get(tenant).ok_or(StoreError::NotFound("tenant"))?;
        let plain = disk_batch::encode(batch)
            .ok_or_else(|| StoreError::Unreadable("batch", "it holds a sound that no batch may play".into()))?;
        let sealed = key.cipher.seal(place(tenant, batch.id), &plain);
        let (id, total, no) = (batch.id, batch.callees.len() as u32, key.no);
        self.admin(move |conn| {
            conn.execute(
                "INSERT INTO batches(id, tenant, at, total, state, content) VALUES(?1, ?2, ?3, ?4, 0, ?5)",
                params![id.0.to_be_bytes(), no, at.0, total, sealed],
            )?;
            Ok(())
        })
        .await
    }

    /// Batches of a tenant, or of all, newest first.
    pub async fn notice_batches(
        &self,
        tenant: Option<TenantId>,
        limit: u32,
    ) -> Result<Vec<NoticeBatchInfo>, StoreError> {
        self.read(move |conn| {
            let sql = format!("SELECT {COLUMNS} WHERE ?1 IS NULL OR t.id = ?1 ORDER BY b.at DESC, b.id DESC LIMIT ?2");
            let mut statement = conn.prepare_cached(&sql)?;
            let rows = statement.query_map(params![tenant.map(|t| t.0.to_be_bytes()), limit], info)?;
            Ok(rows.collect::<rusqlite::Result<Vec<_>>>()?)
        })
        .await
    }

    /// One batch.
    pub async fn notice_batch(&self, id: NoticeBatchId) -> Result<Option<NoticeBatchInfo>, StoreError> {
        self.read(move |conn| {
            let mut statement = conn.prepare_cached(&format!("SELECT {COLUMNS} WHERE b.id = ?1"))?;
            Ok(statement.query_row([id.0.to_be_bytes()], info).optional()?)
        })
        .await
    }

    /// Batches that are not through, oldest first, to go on with after a restart.
    pub async fn open_notice_batches(&self) -> Result<Vec<OpenNoticeBatch>, StoreError> {
        let keys = self.inner.keys.clone();
        self.read(move |conn| {
            let mut statement = conn.prepare(
                "SELECT b.id, t.id, b.state, b.content FROM batches b JOIN tenants t ON t.no = b.tenant
                    WHERE b.state < 2 ORDER BY b.at, b.id",
            )?;
            let mut items = conn.prepare("SELECT n FROM batch_items WHERE batch = ?1 ORDER BY n")?;
            let mut rows = statement.query([])?;
            let mut found = Vec::new();
            while let Some(r) = rows.next()? {
                let id = NoticeBatchId(u128::from_be_bytes(r.get(0)?));
                let tenant = TenantId(u128::from_be_bytes(r.get(1)?));
                let sealed: Vec<u8> = r.get(3)?;
                // One that cannot be read is left for the operator; the others go on.
                let plain = keys
                    .get(tenant)
                    .and_then(|k| k.cipher.open(place(tenant, id), &sealed).ok());
                let Some(batch) = plain.and_then(|p| disk_batch::decode(id, &p)) else {
                    tracing::error!(batch = %id, "a stored batch of notices cannot be read and is left alone");
                    continue;
                };
                let begun = items.query_map([id.0.to_be_bytes()], |r| r.get(0))?;
                found.push(OpenNoticeBatch {
                    batch,
                    cancelled: r.get::<_, i64>(2)? == 1,
                    begun: begun.collect::<rusqlite::Result<_>>()?,
                });
            }
            Ok(found)
        })
        .await
    }

    /// Cancels a batch: from now on none of its items begins as a call. False if it is through, or cancelled already.
    pub async fn cancel_notice_batch(&self, id: NoticeBatchId) -> Result<bool, StoreError> {
        self.admin(move |conn| Ok(set_state(conn, id, "0", 1)?)).await
    }

    /// Notes that every item of a batch was begun.
    pub async fn finish_notice_batch(&self, id: NoticeBatchId) -> Result<(), StoreError> {
        self.admin(move |conn| {
            let _ = set_state(conn, id, "0", 2)? || set_state(conn, id, "1", 3)?;
            Ok(())
        })
        .await
    }
}
