//! What agents did, and what is kept of them while they work.

use crate::crypto::Place;
use crate::error::StoreError;
use crate::store::Store;
use rusqlite::{OptionalExtension, params};
use std::collections::BTreeMap;
use strowger_core::centre::agent::{Change, Kept};
use strowger_core::{AgentId, Stamp, TenantId};

mod disk;

/// A change of an agent, with what is kept of it afterwards.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentWrite {
    /// Who.
    pub agent: AgentId,
    /// Position in the agent's log, from 1 without gaps.
    pub seq: u64,
    /// What changed; `None` if only what is kept is another.
    pub change: Option<Change>,
    /// What a restarted process goes on from.
    pub kept: Kept,
}

/// What a restarted process goes on from.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentState {
    /// Who.
    pub agent: AgentId,
    /// Position of the newest change.
    pub seq: u64,
    /// The state.
    pub kept: Kept,
}

/// A change read back from an agent's log.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentEvent {
    /// Who.
    pub agent: AgentId,
    /// Position in its log.
    pub seq: u64,
    /// What changed.
    pub change: Change,
}

fn log_place(tenant: TenantId, agent: AgentId, seq: u64) -> Place {
    Place::new(b'A', tenant, agent.0, seq)
}

fn state_place(tenant: TenantId, agent: AgentId) -> Place {
    Place::new(b'a', tenant, agent.0, 0)
}

impl Store {
    /// Writes changes of agents, in order with all that was queued before: all of them or none. Those that nobody waits
    /// for (not `urgent`) may wait a few milliseconds, to share a transaction with what else is written.
    ///
    /// # Errors
    /// [`StoreError`]; nothing of it is written then.
    pub async fn write_agents(
        &self,
        tenant: TenantId,
        writes: Vec<AgentWrite>,
        urgent: bool,
    ) -> Result<(), StoreError> {
        let key = self.inner.keys.get(tenant).ok_or(StoreError::NotFound("tenant"))?;
        let no = key.no;
        let mut log = Vec::with_capacity(writes.len());
        let mut states: BTreeMap<AgentId, (u64, Vec<u8>)> = BTreeMap::new();
        for w in writes {
            if let Some(change) = &w.change {
                let sealed = key
                    .cipher
                    .seal(log_place(tenant, w.agent, w.seq), &disk::change(change));
                log.push((w.agent, w.seq, change.at, sealed));
            }
            let sealed = key.cipher.seal(state_place(tenant, w.agent), &disk::kept(&w.kept));
            states.insert(w.agent, (w.seq, sealed));
        }
        self.rows(urgent, move |conn| {
            let mut insert = conn.prepare_cached("INSERT OR REPLACE INTO agent_log VALUES(?1, ?2, ?3, ?4, ?5)")?;
            for (agent, seq, at, sealed) in &log {
                insert.execute(params![no, agent.0.to_be_bytes(), *seq as i64, at.0, sealed])?;
            }
            let mut keep = conn.prepare_cached("INSERT OR REPLACE INTO agent_states VALUES(?1, ?2, ?3, ?4)")?;
            for (agent, (seq, sealed)) in &states {
                keep.execute(params![no, agent.0.to_be_bytes(), *seq as i64, sealed])?;
            }
            Ok(())
        })
        .await
    }

    /// What is kept of a tenant's agents.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn agent_states(&self, tenant: TenantId) -> Result<Vec<AgentState>, StoreError> {
        let key = self.inner.keys.get(tenant).ok_or(StoreError::NotFound("tenant"))?;
        self.read(move |conn| {
            let mut query = conn.prepare("SELECT agent, seq, content FROM agent_states WHERE tenant = ?1")?;
            let mut rows = query.query([key.no])?;
            let mut states = Vec::new();
            while let Some(r) = rows.next()? {
                let agent = AgentId(u128::from_be_bytes(r.get(0)?));
                let sealed: Vec<u8> = r.get(2)?;
                let plain = key.cipher.open(state_place(tenant, agent), &sealed);
                let kept = plain.ok().and_then(|p| disk::read_kept(&p));
                states.push(AgentState {
                    agent,
                    seq: r.get::<_, i64>(1)?.unsigned_abs(),
                    kept: kept.ok_or_else(|| StoreError::Unreadable("agent", agent.to_string()))?,
                });
            }
            Ok(states)
        })
        .await
    }

    /// Changes of one agent, or of all, from `from` on, oldest first, at most `most`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn agent_log(
        &self,
        tenant: TenantId,
        agent: Option<AgentId>,
        from: Stamp,
        until: Stamp,
        most: usize,
    ) -> Result<Vec<AgentEvent>, StoreError> {
        let key = self.inner.keys.get(tenant).ok_or(StoreError::NotFound("tenant"))?;
        self.read(move |conn| {
            let sql = "SELECT agent, seq, content FROM agent_log
                WHERE tenant = ?1 AND at >= ?2 AND at < ?3 AND (?4 IS NULL OR agent = ?4) ORDER BY at, agent, seq LIMIT ?5";
            let mut query = conn.prepare(sql)?;
            let who = agent.map(|a| a.0.to_be_bytes());
            let most = i64::try_from(most).unwrap_or(i64::MAX);
            let mut rows = query.query(params![key.no, from.0, until.0, who, most])?;
            let mut events = Vec::new();
            while let Some(r) = rows.next()? {
                let agent = AgentId(u128::from_be_bytes(r.get(0)?));
                let seq = r.get::<_, i64>(1)?.unsigned_abs();
                let sealed: Vec<u8> = r.get(2)?;
                let plain = key.cipher.open(log_place(tenant, agent, seq), &sealed);
                let change = plain.ok().and_then(|p| disk::read_change(&p));
                events.push(AgentEvent {
                    agent,
                    seq,
                    change: change.ok_or_else(|| StoreError::Unreadable("agent", agent.to_string()))?,
                });
            }
            Ok(events)
        })
        .await
    }

    /// The stamp of the newest change of any agent of a tenant before a moment; `None` if there is none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn agent_log_before(
        &self,
        tenant: TenantId,
        agent: AgentId,
        before: Stamp,
    ) -> Result<Option<AgentEvent>, StoreError> {
        let key = self.inner.keys.get(tenant).ok_or(StoreError::NotFound("tenant"))?;
        self.read(move |conn| {
            let sql = "SELECT seq, content FROM agent_log WHERE tenant = ?1 AND agent = ?2 AND at < ?3
                ORDER BY seq DESC LIMIT 1";
            let row = conn
                .query_row(sql, params![key.no, agent.0.to_be_bytes(), before.0], |r| {
                    Ok((r.get::<_, i64>(0)?.unsigned_abs(), r.get::<_, Vec<u8>>(1)?))
                })
                .optional()?;
            let Some((seq, sealed)) = row else { return Ok(None) };
            let plain = key.cipher.open(log_place(tenant, agent, seq), &sealed);
            let change = plain.ok().and_then(|p| disk::read_change(&p));
            let change = change.ok_or_else(|| StoreError::Unreadable("agent", agent.to_string()))?;
            Ok(Some(AgentEvent { agent, seq, change }))
        })
        .await
    }
}
