//! The audit log: who did what to which resource, from where, and how it ended. Rows are added and never changed.

use crate::crypto::{Place, random};
use crate::error::StoreError;
use crate::store::Store;
use rusqlite::params;
use serde::{Deserialize, Serialize};
use strowger_core::{Stamp, TenantId};

/// What is written down of one act.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// `user`, `key`, `platform`, or `nobody` for who could not show who they are.
    pub actor: String,
    /// Id of the user or key; empty for the others.
    pub actor_id: String,
    /// The actor's name at that time.
    pub actor_name: String,
    /// What was done, such as `devices.create`.
    pub action: String,
    /// Which resource, such as `devices/0a1b…`; empty if there is none.
    pub resource: String,
    /// Address that it came from, or `local`.
    pub source: String,
    /// `done`, or the error's code.
    pub outcome: String,
    /// The request's id.
    pub request: String,
}

/// A row of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// Rises with time.
    pub id: u64,
    /// When.
    pub at: Stamp,
    /// What.
    pub entry: AuditEntry,
}

/// Which rows.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Only rows with a smaller id.
    pub before: Option<u64>,
    /// Only at this moment or later.
    pub from: Option<Stamp>,
    /// Only before this moment.
    pub to: Option<Stamp>,
    /// Most rows.
    pub limit: u32,
}

fn place(tenant: TenantId, entry: u128, at: Stamp) -> Place {
    Place::new(b'A', tenant, entry, at.0 as u64)
}

impl Store {
    /// Adds a row; it is in the file when this resolves. [`PLATFORM`](crate::config::PLATFORM) has a log of its own.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is written then.
    pub async fn audit(&self, tenant: TenantId, at: Stamp, entry: &AuditEntry) -> Result<(), StoreError> {
        let key = self.inner.keys.get(tenant).ok_or(StoreError::NotFound("tenant"))?;
        let plain = serde_json::to_vec(entry).map_err(|e| StoreError::Unreadable("audit entry", e.to_string()))?;
        let id = u128::from_be_bytes(random());
        let sealed = key.cipher.seal(place(tenant, id, at), &plain);
        let no = key.no;
        self.admin(move |conn| {
            conn.prepare_cached("INSERT INTO audit(tenant, at, entry, content) VALUES(?1, ?2, ?3, ?4)")?
                .execute(params![no, at.0, id.to_be_bytes(), sealed])?;
            Ok(())
        })
        .await
    }

    /// Rows of a tenant's log, the newest first.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`] if one does not open.
    pub async fn audit_log(&self, tenant: TenantId, filter: AuditFilter) -> Result<Vec<AuditRow>, StoreError> {
        let key = self.inner.keys.get(tenant).ok_or(StoreError::NotFound("tenant"))?;
        self.read(move |conn| {
            let mut statement = conn.prepare_cached(
                "SELECT id, at, entry, content FROM audit WHERE tenant = ?1 AND id < ?2 AND at >= ?3 AND at < ?4
                    ORDER BY id DESC LIMIT ?5",
            )?;
            let before = filter.before.map_or(i64::MAX, |b| i64::try_from(b).unwrap_or(i64::MAX));
            let from = filter.from.map_or(i64::MIN, |s| s.0);
            let to = filter.to.map_or(i64::MAX, |s| s.0);
            let mut rows = statement.query(params![key.no, before, from, to, filter.limit])?;
            let mut found = Vec::new();
            while let Some(r) = rows.next()? {
                let (id, at) = (r.get::<_, i64>(0)? as u64, Stamp(r.get(1)?));
                let entry = u128::from_be_bytes(r.get(2)?);
                let plain = key.cipher.open(place(tenant, entry, at), &r.get::<_, Vec<u8>>(3)?);
                let plain = plain.map_err(|e| StoreError::Unreadable("audit entry", e.to_string()))?;
                let entry =
                    serde_json::from_slice(&plain).map_err(|e| StoreError::Unreadable("audit entry", e.to_string()))?;
                found.push(AuditRow { id, at, entry });
            }
            Ok(found)
        })
        .await
    }

    /// Deletes what was written before `before`; answers how many rows that were.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn prune_audit(&self, before: Stamp) -> Result<u64, StoreError> {
        self.admin(move |conn| Ok(conn.execute("DELETE FROM audit WHERE at < ?1", [before.0])? as u64))
            .await
    }
}
