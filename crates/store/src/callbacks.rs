//! Requests of customers to be called back: one row each, as it stands.

use crate::crypto::{Cipher, Place};
use crate::error::StoreError;
use crate::store::Store;
use rusqlite::{Row, params};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use strowger_core::centre::acd::{Callback, CallbackState};
use strowger_core::{CallbackId, ConversationId, Number, QueueId, Stamp, TenantId};

#[derive(Serialize, Deserialize)]
struct DiskCallback {
    queue: String,
    first: String,
    number: String,
    asked_at: i64,
    since: i64,
    priority: u8,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    front: bool,
    attempts: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last: Option<String>,
    state: String,
    /// The next attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<i64>,
    at: i64,
}

impl DiskCallback {
    fn of(c: &Callback) -> DiskCallback {
        DiskCallback {
            queue: c.queue.to_string(),
            first: c.first.to_string(),
            number: c.number.as_str().to_owned(),
            asked_at: c.asked_at.0,
            since: c.since.0,
            priority: c.priority,
            front: c.front,
            attempts: c.attempts,
            last: c.last.map(|l| l.to_string()),
            state: c.state.name().to_owned(),
            next: match c.state {
                CallbackState::Later(at) => Some(at.0),
                _ => None,
            },
            at: c.at.0,
        }
    }

    fn callback(self, id: CallbackId) -> Option<Callback> {
        let conversation = |text: String| text.parse::<ConversationId>().ok();
        Some(Callback {
            id,
            queue: self.queue.parse::<QueueId>().ok()?,
            first: conversation(self.first)?,
            number: Number::from_canonical(self.number),
            asked_at: Stamp(self.asked_at),
            since: Stamp(self.since),
            priority: self.priority,
            front: self.front,
            attempts: self.attempts,
            last: self.last.and_then(conversation),
            state: CallbackState::of_name(&self.state, self.next.map(Stamp))?,
            at: Stamp(self.at),
        })
    }
}

fn place(tenant: TenantId, id: CallbackId) -> Place {
    Place::new(b'K', tenant, id.0, 0)
}

fn read(tenant: TenantId, cipher: &Cipher, row: &Row<'_>) -> Result<Callback, StoreError> {
    let id = CallbackId(u128::from_be_bytes(row.get(0)?));
    let sealed: Vec<u8> = row.get(1)?;
    let plain = cipher.open(place(tenant, id), &sealed).ok();
    let kept = plain.and_then(|p| serde_json::from_slice::<DiskCallback>(&p).ok());
    kept.and_then(|k| k.callback(id))
        .ok_or_else(|| StoreError::Unreadable("callback", id.to_string()))
}

impl Store {
    /// Writes requests as they stand, in one transaction, in order with all that was queued before. Of several versions of one
    /// the last counts.
    ///
    /// # Errors
    /// [`StoreError`]; nothing of it is written then.
    pub async fn write_callbacks(&self, tenant: TenantId, requests: &[Callback]) -> Result<(), StoreError> {
        let key = self.inner.keys.get(tenant).ok_or(StoreError::NotFound("tenant"))?;
        let no = key.no;
        let newest: BTreeMap<CallbackId, &Callback> = requests.iter().map(|c| (c.id, c)).collect();
        let mut rows = Vec::with_capacity(newest.len());
        for (id, request) in newest {
            let plain = serde_json::to_vec(&DiskCallback::of(request))
                .map_err(|_| StoreError::Unreadable("callback", id.to_string()))?;
            let sealed = key.cipher.seal(place(tenant, id), &plain);
            rows.push((id.0.to_be_bytes(), request.state.is_open(), sealed));
        }
        self.admin(move |conn| {
            let mut put = conn.prepare_cached("INSERT OR REPLACE INTO callbacks VALUES(?1, ?2, ?3, ?4)")?;
            for (id, open, sealed) in &rows {
                put.execute(params![no, id, open, sealed])?;
            }
            Ok(())
        })
        .await
    }

    /// The requests of a tenant that are not over, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open_callbacks(&self, tenant: TenantId) -> Result<Vec<Callback>, StoreError> {
        let key = self.inner.keys.get(tenant).ok_or(StoreError::NotFound("tenant"))?;
        self.read(move |conn| {
            let mut query =
                conn.prepare("SELECT id, content FROM callbacks WHERE tenant = ?1 AND open = 1 ORDER BY id")?;
            let mut rows = query.query([key.no])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push(read(tenant, &key.cipher, row)?);
            }
            Ok(found)
        })
        .await
    }

    /// The newest requests older than `before`, or of all, at most `most`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn callbacks(
        &self,
        tenant: TenantId,
        before: Option<CallbackId>,
        only_open: bool,
        most: usize,
    ) -> Result<Vec<Callback>, StoreError> {
        let key = self.inner.keys.get(tenant).ok_or(StoreError::NotFound("tenant"))?;
        self.read(move |conn| {
            let sql = "SELECT id, content FROM callbacks WHERE tenant = ?1 AND (?2 IS NULL OR id < ?2)
                AND (?3 = 0 OR open = 1) ORDER BY id DESC LIMIT ?4";
            let mut query = conn.prepare_cached(sql)?;
            let most = i64::try_from(most).unwrap_or(i64::MAX);
            let mut rows = query.query(params![key.no, before.map(|b| b.0.to_be_bytes()), only_open, most])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push(read(tenant, &key.cipher, row)?);
            }
            Ok(found)
        })
        .await
    }

    /// A request, open or over.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn callback(&self, tenant: TenantId, id: CallbackId) -> Result<Option<Callback>, StoreError> {
        let key = self.inner.keys.get(tenant).ok_or(StoreError::NotFound("tenant"))?;
        self.read(move |conn| {
            let mut query = conn.prepare_cached("SELECT id, content FROM callbacks WHERE tenant = ?1 AND id = ?2")?;
            let mut rows = query.query(params![key.no, id.0.to_be_bytes()])?;
            rows.next()?.map(|row| read(tenant, &key.cipher, row)).transpose()
        })
        .await
    }
}
