//! The outbox's methods of the store.

use crate::codec::topic_name;
use crate::error::{AppendError, StoreError};
use crate::outbox::{Attempt, Delivery, DeliveryFilter, DeliveryInfo, OutboxCounts, Repush, Take, Taken};
use crate::sealed::SealedDelivery;
use crate::sqlite::queue::Job;
use crate::sqlite::reader;
use crate::store::Store;
use rusqlite::{Connection, params, params_from_iter};
use std::sync::atomic::Ordering::Relaxed;
use strowger_core::project::Topic;
use strowger_core::{ConversationId, Stamp, TenantId};
use tokio::sync::{mpsc, oneshot};

/// What wakes the notifier: deliveries as they are committed, and the news that the table has to be scanned.
pub struct Offers {
    store: Store,
    receiver: mpsc::Receiver<SealedDelivery>,
}

/// What [`Offers::next`] brings.
#[derive(Debug, PartialEq)]
pub enum Offer {
    /// A leased delivery. It may be due later only: the second value says when.
    Delivery(Box<Delivery>, Stamp),
    /// More is ready in the table than fits into memory: call [`Store::take_deliveries`].
    Scan,
}

impl Offers {
    /// Waits for the next offer. Cancel-safe: an offer is not lost by dropping the future.
    pub async fn next(&mut self) -> Offer {
        loop {
            let shared = &self.store.inner.shared;
            if shared.rescan.swap(false, Relaxed) {
                return Offer::Scan;
            }
            let sealed = tokio::select! {
                biased;
                sealed = self.receiver.recv() => sealed,
                () = shared.rescan_wake.notified() => continue,
            };
            // The store is alive as long as this handle of it, so the channel is open.
            let Some(sealed) = sealed else {
                return std::future::pending().await;
            };
            match sealed.open(&self.store.inner.keys) {
                Ok(delivery) => return Offer::Delivery(Box::new(delivery), sealed.next_at),
                // Its tenant was erased in this moment.
                Err(_) => shared.leases.release([sealed.id]),
            }
        }
    }
}

impl Store {
    /// The offers of this store. There is one taker; the second call gets `None`.
    pub fn offers(&self) -> Option<Offers> {
        let receiver = self.inner.offers.lock().unwrap_or_else(|e| e.into_inner()).take()?;
        Some(Offers {
            store: self.clone(),
            receiver,
        })
    }

    /// Leases deliveries that are due, a share of each destination. One call at a time.
    pub async fn take_deliveries(&self, take: Take) -> Result<Taken, StoreError> {
        let (shared, keys) = (self.inner.shared.clone(), self.inner.keys.clone());
        self.read(move |conn| {
            shared.leases.scanning(true);
            let found = reader::take_due(conn, &shared.leases, &take);
            shared.leases.scanning(false);
            let (sealed, next_at) = found?;
            let mut deliveries = Vec::with_capacity(sealed.len());
            for s in sealed {
                match s.open(&keys) {
                    Ok(d) => deliveries.push(d),
                    Err(_) => shared.leases.release([s.id]),
                }
            }
            Ok(Taken { deliveries, next_at })
        })
        .await
    }

    /// Leases up to `room` more deliveries that may share a request with `first`, which is leased already; due or not.
    pub async fn take_together(&self, first: &Delivery, room: usize) -> Result<Vec<Delivery>, StoreError> {
        let Some(together) = first.together else {
            return Ok(Vec::new());
        };
        let (shared, keys) = (self.inner.shared.clone(), self.inner.keys.clone());
        let which = (together.group, first.tries, together.due);
        let found = self
            .read(move |conn| {
                shared.leases.scanning(true);
                let found = reader::take_together(conn, &shared.leases, which, room);
                shared.leases.scanning(false);
                let mut deliveries = Vec::new();
                for s in found? {
                    match s.open(&keys) {
                        Ok(d) => deliveries.push(d),
                        Err(_) => shared.leases.release([s.id]),
                    }
                }
                Ok(deliveries)
            })
            .await?;
        // Two groups whose digests are equal, or an order that an operator mixed up, do not share a request.
        let (fitting, rest): (Vec<_>, Vec<_>) = found.into_iter().partition(|d| d.fits(first));
        self.release_deliveries(rest.iter().map(|d| d.id));
        Ok(fitting)
    }

    /// Gives leases back without an attempt. The deliveries stay as they are in the table.
    pub fn release_deliveries(&self, ids: impl IntoIterator<Item = u64>) {
        self.inner.shared.leases.release(ids);
    }

    /// Reports attempts; resolves after the commit, which also ends the leases and offers the next of each finished
    /// order. Reports of many tasks share a group commit.
    pub async fn report_attempts(&self, attempts: Vec<Attempt>) -> Result<(), AppendError> {
        let (reply, answer) = oneshot::channel();
        self.submit(Job::Attempts(attempts, reply)).await?;
        answer.await.unwrap_or(Err(AppendError::Closed))
    }

    /// The newest position that was queued for a subscription of a conversation, done or not; `None` if there is nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn newest_delivery(
        &self,
        tenant: TenantId,
        conversation: ConversationId,
        subscription: u16,
    ) -> Result<Option<u32>, StoreError> {
        let no = self.tenant_no(tenant)?;
        self.read(move |conn| {
            let sql = "SELECT MAX(seq) FROM deliveries WHERE tenant = ?1 AND conversation = ?2 AND subscription = ?3";
            let mut newest = conn.prepare_cached(sql)?;
            Ok(newest.query_row(params![no, conversation.0.to_be_bytes(), subscription], |r| r.get(0))?)
        })
        .await
    }

    /// Numbers of unfinished deliveries over all tenants.
    pub async fn outbox_counts(&self) -> Result<OutboxCounts, StoreError> {
        self.read(|conn| Ok(reader::count_deliveries(conn)?)).await
    }

    /// A tenant's deliveries with their bodies, newest first.
    pub async fn deliveries(&self, tenant: TenantId, filter: DeliveryFilter) -> Result<Vec<DeliveryInfo>, StoreError> {
        let no = self.tenant_no(tenant)?;
        let keys = self.inner.keys.clone();
        self.read(move |conn| {
            let rows = reader::list_deliveries(conn, no, &filter)?;
            let open = rows.into_iter().map(|(sealed, rest)| {
                let delivery = sealed.open(&keys);
                let delivery = delivery.map_err(|e| StoreError::Unreadable("delivery", e.to_string()))?;
                Ok(rest.with(delivery, sealed.next_at))
            });
            open.collect()
        })
        .await
    }

    /// Queues deliveries again, due at `now`; gives the number of deliveries queued. The bodies are the frozen ones,
    /// byte for byte; the attempt numbers go on, the retry schedule begins anew. What is named and not this tenant's,
    /// or was pruned, is left out.
    pub async fn repush(&self, tenant: TenantId, what: Repush, now: Stamp) -> Result<u64, StoreError> {
        let no = self.tenant_no(tenant)?;
        let count = self
            .admin(move |conn| {
                let ids = match what {
                    Repush::Deliveries(ids) => newest_of_deliveries(conn, no, &ids)?,
                    Repush::Conversations(ids) => newest_of_conversations(conn, no, &ids)?,
                    Repush::Started { from, to } => {
                        let sql = "SELECT conversation FROM records WHERE tenant = ?1 AND start >= ?2 AND start < ?3
                            ORDER BY start, conversation";
                        let mut found = conn.prepare(sql)?;
                        let rows = found.query_map(params![no, from.0, to.0], |r| {
                            r.get(0).map(|id| ConversationId(u128::from_be_bytes(id)))
                        })?;
                        newest_of_conversations(conn, no, &rows.collect::<rusqlite::Result<Vec<_>>>()?)?
                    }
                };
                requeue(conn, &ids, now)?;
                Ok(ids.len() as u64)
            })
            .await?;
        self.inner.shared.ask_rescan();
        Ok(count)
    }
}

/// For each delivery the newest of its call record and subscription; a status event stands for itself.
fn newest_of_deliveries(conn: &Connection, tenant: i64, ids: &[u64]) -> rusqlite::Result<Vec<i64>> {
    let mut newest = conn.prepare(
        "SELECT IIF(d.topic <> ?3, d.id, (SELECT MAX(e.id) FROM deliveries e WHERE e.tenant = d.tenant
            AND e.conversation = d.conversation AND e.subscription = d.subscription AND e.topic = d.topic))
         FROM deliveries d WHERE d.tenant = ?1 AND d.id = ?2",
    )?;
    let mut found = Vec::new();
    for id in ids {
        let id = i64::try_from(*id).unwrap_or(i64::MAX);
        let mut rows = newest.query(params![tenant, id, topic_name(Topic::CallRecord)])?;
        if let Some(r) = rows.next()? {
            found.push(r.get(0)?);
        }
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// The newest call record of each subscription of these conversations.
fn newest_of_conversations(conn: &Connection, tenant: i64, ids: &[ConversationId]) -> rusqlite::Result<Vec<i64>> {
    let mut newest = conn.prepare(
        "SELECT MAX(id) FROM deliveries WHERE tenant = ?1 AND conversation = ?2 AND topic = ?3 GROUP BY subscription",
    )?;
    let mut found = Vec::new();
    for id in ids {
        let rows = newest.query_map(
            params![tenant, id.0.to_be_bytes(), topic_name(Topic::CallRecord)],
            |r| r.get(0),
        )?;
        found.extend(rows.collect::<rusqlite::Result<Vec<i64>>>()?);
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// Makes deliveries due again: at the head of their order if nothing else is there, else behind it. One that is being
/// sent right now is left alone: it goes out anyway.
fn requeue(conn: &Connection, ids: &[i64], now: Stamp) -> rusqlite::Result<()> {
    let mut set = conn.prepare(
        "UPDATE deliveries AS d SET tries = 0, queued_at = ?2, next_at = ?2, last_error = '', state = CASE
            WHEN state < 2 THEN state
            WHEN EXISTS(SELECT 1 FROM deliveries e WHERE e.tenant = d.tenant AND e.conversation = d.conversation
                AND e.subscription = d.subscription AND e.state < 2) THEN 1
            ELSE 0 END
         WHERE id = ?1",
    )?;
    for id in ids {
        set.execute(params_from_iter([*id, now.0]))?;
    }
    Ok(())
}
