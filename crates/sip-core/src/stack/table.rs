//! All transactions of a stack, found by key, by id and by deadline.

use super::Owner;
use crate::api::{Target, Time};
use crate::keyed::KeyedMap;
use crate::transaction::{ClientInvite, ClientOther, OnTimer, Provisional, ServerInvite, ServerOther};
use bytes::Bytes;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;

/// Names a transaction for as long as it lives; a reused slot gets another generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TxId {
    index: u32,
    generation: u32,
}

/// One of the four machines, or a reliable provisional response, which is repeated like one.
pub(super) enum Machine {
    ClientInvite(ClientInvite),
    ClientOther(ClientOther),
    ServerInvite(ServerInvite),
    ServerOther(ServerOther),
    Provisional(Provisional),
}

impl Machine {
    fn deadline(&self) -> Option<Time> {
        match self {
            Machine::ClientInvite(m) => m.deadline(),
            Machine::ClientOther(m) => m.deadline(),
            Machine::ServerInvite(m) => m.deadline(),
            Machine::ServerOther(m) => m.deadline(),
            Machine::Provisional(m) => m.deadline(),
        }
    }

    fn timer(&mut self, now: Time) -> OnTimer {
        match self {
            Machine::ClientInvite(m) => m.timer(now),
            Machine::ClientOther(m) => m.timer(now),
            Machine::ServerInvite(m) => m.timer(now),
            Machine::ServerOther(m) => m.timer(now),
            Machine::Provisional(m) => m.timer(now),
        }
    }
}

/// The ACK that belongs to one 2xx of an INVITE; several 2xx are possible (§13.2.2.4).
pub(super) struct SentAck {
    /// Hash of the To tag.
    pub tag: u128,
    /// CSeq of the INVITE if the ACK needs no more of it, so that it is not read again.
    pub plain: Option<u32>,
    /// Nothing until the application has acknowledged.
    pub message: Option<(Target, SocketAddr, Bytes)>,
}

/// A request in its form for UDP.
pub(super) struct Fallback {
    pub target: Target,
    pub local: SocketAddr,
    pub message: Bytes,
}

/// A transaction with what it repeats.
pub(super) struct Tx {
    pub key: u128,
    /// Key for merged requests (§8.2.2.2), for server transactions that opened a dialog.
    pub merged: Option<u128>,
    pub machine: Machine,
    pub target: Target,
    pub local: SocketAddr,
    /// Client: the request. Server: the last response; empty before there is one.
    pub message: Bytes,
    pub owner: Owner,
    pub acks: Vec<SentAck>,
    /// The time of the one valid entry in the heap.
    armed: Option<Time>,
    /// Where the request goes if TCP, which it takes for its length, is not to be had (§18.1.1).
    pub fallback: Option<Box<Fallback>>,
}

impl Tx {
    pub fn new(key: u128, machine: Machine, target: Target, local: SocketAddr, message: Bytes, owner: Owner) -> Tx {
        Tx {
            key,
            merged: None,
            machine,
            target,
            local,
            message,
            owner,
            acks: Vec::new(),
            armed: None,
            fallback: None,
        }
    }
}

#[derive(Default)]
struct Slot {
    generation: u32,
    tx: Option<Box<Tx>>,
}

#[derive(Default)]
pub(super) struct Table {
    slots: Vec<Slot>,
    free: Vec<u32>,
    by_key: KeyedMap<u128, TxId>,
    merged: KeyedMap<u128, TxId>,
    /// At most one valid entry a transaction; entries of the dead and the re-armed are dropped when they surface.
    heap: BinaryHeap<Reverse<(Time, TxId)>>,
    len: usize,
}

impl Table {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn index_len(&self) -> usize {
        self.by_key.len() + self.merged.len()
    }

    /// Adds a transaction. One with the same key, which only a broken caller can cause, stays reachable by id alone.
    pub fn insert(&mut self, tx: Tx) -> TxId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            (self.slots.len() - 1) as u32
        });
        let slot = &mut self.slots[index as usize];
        let id = TxId {
            index,
            generation: slot.generation,
        };
        self.by_key.insert(tx.key, id);
        if let Some(merged) = tx.merged {
            self.merged.insert(merged, id);
        }
        slot.tx = Some(Box::new(tx));
        self.len += 1;
        self.rearm(id);
        id
    }

    pub fn find(&self, key: u128) -> Option<TxId> {
        self.by_key.get(&key).copied()
    }

    pub fn is_merged(&self, key: u128) -> bool {
        self.merged.contains_key(&key)
    }

    pub fn get(&self, id: TxId) -> Option<&Tx> {
        let slot = self.slots.get(id.index as usize)?;
        if slot.generation == id.generation {
            slot.tx.as_deref()
        } else {
            None
        }
    }

    /// The transaction, to be changed. Call [`Table::rearm`] when its machine may have a new deadline.
    pub fn get_mut(&mut self, id: TxId) -> Option<&mut Tx> {
        let slot = self.slots.get_mut(id.index as usize)?;
        if slot.generation == id.generation {
            slot.tx.as_deref_mut()
        } else {
            None
        }
    }

    /// Puts the present deadline into the heap unless an earlier entry will look at it anyway.
    pub fn rearm(&mut self, id: TxId) {
        let Some(tx) = self.get_mut(id) else { return };
        let Some(deadline) = tx.machine.deadline() else { return };
        if tx.armed.is_none_or(|armed| deadline < armed) {
            tx.armed = Some(deadline);
            self.heap.push(Reverse((deadline, id)));
        }
    }

    pub fn remove(&mut self, id: TxId) -> Option<Box<Tx>> {
        let slot = self
            .slots
            .get_mut(id.index as usize)
            .filter(|s| s.generation == id.generation)?;
        let tx = slot.tx.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(id.index);
        self.len -= 1;
        if self.by_key.get(&tx.key) == Some(&id) {
            self.by_key.remove(&tx.key);
        }
        if let Some(merged) = tx.merged
            && self.merged.get(&merged) == Some(&id)
        {
            self.merged.remove(&merged);
        }
        Some(tx)
    }

    /// No transaction is due before this.
    pub fn next_deadline(&self) -> Option<Time> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// Lets the next due transaction see the time.
    pub fn pop_due(&mut self, now: Time) -> Option<(TxId, OnTimer)> {
        loop {
            let Reverse((at, id)) = *self.heap.peek().filter(|Reverse((at, _))| *at <= now)?;
            self.heap.pop();
            let Some(tx) = self.get_mut(id).filter(|tx| tx.armed == Some(at)) else {
                continue;
            };
            tx.armed = None;
            let due = tx.machine.timer(now);
            self.rearm(id);
            if due != OnTimer::Nothing {
                return Some((id, due));
            }
        }
    }

    /// Transactions for which `wanted` holds.
    pub fn filter(&self, wanted: impl Fn(&Tx) -> bool) -> Vec<TxId> {
        let ids = self.slots.iter().enumerate().filter_map(|(index, slot)| {
            let tx = slot.tx.as_deref()?;
            wanted(tx).then_some(TxId {
                index: index as u32,
                generation: slot.generation,
            })
        });
        ids.collect()
    }
}
