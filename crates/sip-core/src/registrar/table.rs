//! The bindings: one slot each, found by address of record, by connection and by expiry.

use super::request::{Asked, Contact};
use super::{Aor, Binding, SECOND};
use crate::api::{FlowId, Target, Time};
use crate::keyed::{Keyed, KeyedMap};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

/// User-Agent texts and local addresses that are held once each; further ones are not kept.
const MAX_INTERNED: usize = 4_096;
/// No slot.
const NONE: u32 = u32::MAX;

/// A binding. Kept small: there are many of them and they do nothing.
pub(super) struct Slot {
    pub contact: Box<str>,
    pub target: Target,
    pub expires_at: Time,
    pub refreshed_at: Time,
    /// A keyed hash: only equality matters.
    pub call_id: u64,
    pub cseq: u32,
    pub q: u16,
    user_agent: u16,
    local: u16,
    rare: Option<Box<Rare>>,
    aor: u128,
    /// The neighbours in the list of those on the same connection.
    previous: u32,
    next: u32,
}

/// What many bindings lack.
struct Rare {
    instance: Option<Box<str>>,
    reg_id: Option<u32>,
    path: Box<[String]>,
}

impl Slot {
    pub fn instance(&self) -> Option<&str> {
        self.rare.as_ref()?.instance.as_deref()
    }

    pub fn reg_id(&self) -> Option<u32> {
        self.rare.as_ref()?.reg_id
    }

    fn path(&self) -> &[String] {
        self.rare.as_ref().map_or(&[], |r| &r.path)
    }

    /// The connection that the binding lives and dies with.
    fn bound(&self) -> Option<FlowId> {
        self.target
            .flow
            .filter(|_| self.target.transport.is_reliable() && self.path().is_empty())
    }

    fn is_at(&self, contact: &Contact) -> bool {
        &*self.contact == contact.uri.as_str()
            || crate::Uri::parse(&self.contact).is_ok_and(|own| own.same_as(&contact.uri))
    }
}

struct Owner {
    aor: Aor,
    slots: Vec<u32>,
}

pub(super) struct Table {
    seed: [u8; 16],
    slots: Vec<Option<Slot>>,
    free: Vec<u32>,
    owners: KeyedMap<u128, Owner>,
    flows: KeyedMap<u64, u32>,
    expiry: BTreeSet<(Time, u32)>,
    domains: BTreeSet<Arc<str>>,
    agents: Interned<Box<str>>,
    locals: Interned<SocketAddr>,
}

/// Values that many slots share, by number. They are never given back: a deployment has few of them.
struct Interned<T> {
    values: Vec<T>,
    numbers: KeyedMap<u128, u16>,
}

impl<T> Interned<T> {
    /// `first` stands for all that find no room.
    fn new(first: T) -> Interned<T> {
        Interned {
            values: vec![first],
            numbers: KeyedMap::default(),
        }
    }

    /// The number of the value that has this keyed hash.
    fn number(&mut self, hash: u128, value: impl FnOnce() -> T) -> u16 {
        if let Some(number) = self.numbers.get(&hash) {
            return *number;
        }
        if self.values.len() >= MAX_INTERNED {
            return 0;
        }
        let number = self.values.len() as u16;
        self.values.push(value());
        self.numbers.insert(hash, number);
        number
    }
}

impl Table {
    pub fn new(seed: &[u8; 16]) -> Table {
        Table {
            seed: *seed,
            slots: Vec::new(),
            free: Vec::new(),
            owners: KeyedMap::default(),
            flows: KeyedMap::default(),
            expiry: BTreeSet::new(),
            domains: BTreeSet::new(),
            agents: Interned::new("".into()),
            locals: Interned::new(SocketAddr::from(([0, 0, 0, 0], 0))),
        }
    }

    pub fn key(&self, aor: &Aor) -> u128 {
        Keyed::new(&self.seed)
            .field(aor.domain().as_bytes())
            .field(aor.user().as_bytes())
            .finish()
    }

    pub fn hash(&self, bytes: &[u8]) -> u64 {
        Keyed::new(&self.seed).field(b"call-id").field(bytes).finish() as u64
    }

    /// A number that differs with every registration of a slot.
    pub fn nonce(&self, id: u32, now: Time) -> u32 {
        Keyed::new(&self.seed)
            .field(&id.to_le_bytes())
            .field(&now.0.to_le_bytes())
            .finish() as u32
    }

    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub fn aors(&self) -> usize {
        self.owners.len()
    }

    pub fn get(&self, id: u32) -> Option<&Slot> {
        self.slots.get(id as usize)?.as_ref()
    }

    pub fn holds(&self, id: u32, aor: u128) -> bool {
        self.get(id).is_some_and(|slot| slot.aor == aor)
    }

    pub fn slots_of(&self, aor: u128) -> &[u32] {
        self.owners.get(&aor).map_or(&[], |owner| &owner.slots)
    }

    pub fn first_to_expire(&self, aor: u128) -> Option<u32> {
        let expiry = |id: &u32| self.get(*id).map(|slot| slot.expires_at);
        self.slots_of(aor).iter().copied().min_by_key(expiry)
    }

    /// The binding that a Contact refreshes. RFC 5626 §6: the same instance and reg-id, whatever the URI. Otherwise the
    /// same URI, unless both name their instance and the instances differ: private addresses repeat behind NATs.
    pub fn matching(&self, aor: u128, contact: &Contact) -> Option<u32> {
        let ids = || {
            self.slots_of(aor)
                .iter()
                .filter_map(|id| self.get(*id).map(|slot| (*id, slot)))
        };
        if contact.reg_id.is_some() {
            let same = |slot: &Slot| slot.reg_id() == contact.reg_id && slot.instance() == contact.instance.as_deref();
            if let Some((id, _)) = ids().find(|(_, slot)| same(slot)) {
                return Some(id);
            }
        }
        ids()
            .find(|(_, slot)| {
                let other_flow = contact.reg_id.is_some() && slot.reg_id().is_some();
                let other_instance = matches!((slot.instance(), &contact.instance), (Some(a), Some(b)) if a != b);
                !other_flow && !other_instance && slot.is_at(contact)
            })
            .map(|(id, _)| id)
    }

    fn rare(contact: &Contact, asked: &Asked) -> Option<Box<Rare>> {
        (contact.instance.is_some() || !asked.path.is_empty()).then(|| {
            Box::new(Rare {
                instance: contact.instance.as_deref().map(Into::into),
                reg_id: contact.reg_id,
                path: asked.path.clone().into(),
            })
        })
    }

    fn user_agent(&mut self, name: &str) -> u16 {
        if name.is_empty() {
            return 0;
        }
        let hash = Keyed::new(&self.seed).field(b"agent").field(name.as_bytes()).finish();
        self.agents.number(hash, || name.into())
    }

    fn local(&mut self, local: SocketAddr) -> u16 {
        let ip = match local.ip() {
            std::net::IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            std::net::IpAddr::V6(v6) => v6,
        };
        let hash = Keyed::new(&self.seed)
            .field(&ip.octets())
            .field(&local.port().to_le_bytes())
            .finish();
        self.locals.number(hash, || local)
    }

    fn slot(&mut self, aor: u128, contact: &Contact, asked: &Asked, now: Time) -> Slot {
        Slot {
            contact: contact.uri.as_str().into(),
            target: contact.target,
            expires_at: now.plus(u64::from(contact.expires) * SECOND),
            refreshed_at: now,
            call_id: self.hash(&asked.call_id),
            cseq: asked.cseq,
            q: contact.q,
            user_agent: self.user_agent(&asked.user_agent),
            local: self.local(asked.local),
            rare: Table::rare(contact, asked),
            aor,
            previous: NONE,
            next: NONE,
        }
    }

    pub fn insert(&mut self, aor: &Aor, contact: &Contact, asked: &Asked, now: Time) -> u32 {
        let key = self.key(aor);
        let slot = self.slot(key, contact, asked, now);
        let id = match self.free.pop() {
            Some(id) => id,
            None => {
                self.slots.push(None);
                (self.slots.len() - 1) as u32
            }
        };
        if !self.owners.contains_key(&key) {
            let domain = match self.domains.get(aor.domain()) {
                Some(held) => held.clone(),
                None => {
                    self.domains.insert(aor.domain_arc().clone());
                    aor.domain_arc().clone()
                }
            };
            self.owners.insert(
                key,
                Owner {
                    aor: aor.sharing(&domain),
                    slots: Vec::with_capacity(1),
                },
            );
        }
        if let Some(owner) = self.owners.get_mut(&key) {
            owner.slots.push(id);
        }
        self.place(id, slot);
        id
    }

    fn place(&mut self, id: u32, slot: Slot) {
        self.expiry.insert((slot.expires_at, id));
        self.slots[id as usize] = Some(slot);
        self.link(id);
    }

    pub fn refresh(&mut self, id: u32, contact: &Contact, asked: &Asked, now: Time) {
        let Some(old) = self.lift(id) else { return };
        let mut slot = self.slot(old.aor, contact, asked, now);
        if slot.instance().is_none() && slot.path().is_empty() && old.path().is_empty() {
            // A client that leaves the instance out of a refresh is still the same one.
            slot.rare = old.rare;
        }
        self.place(id, slot);
    }

    pub fn set_expiry(&mut self, id: u32, at: Time) {
        if let Some(mut slot) = self.lift(id) {
            slot.expires_at = at;
            self.place(id, slot);
        }
    }

    /// Takes a slot out of the lists of its connection and of expiry, but not from its owner.
    fn lift(&mut self, id: u32) -> Option<Slot> {
        self.unlink(id);
        let slot = self.slots.get_mut(id as usize)?.take()?;
        self.expiry.remove(&(slot.expires_at, id));
        Some(slot)
    }

    pub fn remove(&mut self, id: u32) {
        let Some(slot) = self.lift(id) else { return };
        self.free.push(id);
        if let Some(owner) = self.owners.get_mut(&slot.aor) {
            owner.slots.retain(|other| *other != id);
            if owner.slots.is_empty()
                && let Some(owner) = self.owners.remove(&slot.aor)
            {
                // The table's own reference and this one: nobody else is of the domain.
                if Arc::strong_count(owner.aor.domain_arc()) <= 2 {
                    self.domains.remove(owner.aor.domain());
                }
            }
        }
    }

    // ---- connections ----

    fn link(&mut self, id: u32) {
        let Some(flow) = self.get(id).and_then(Slot::bound) else {
            return;
        };
        let head = self.flows.insert(flow.0, id).unwrap_or(NONE);
        if let Some(slot) = self.slots[id as usize].as_mut() {
            slot.next = head;
            slot.previous = NONE;
        }
        if let Some(Some(second)) = self.slots.get_mut(head as usize) {
            second.previous = id;
        }
    }

    fn unlink(&mut self, id: u32) {
        let Some(slot) = self.get(id) else { return };
        let Some(flow) = slot.bound() else { return };
        let (previous, next) = (slot.previous, slot.next);
        match self.slots.get_mut(previous as usize) {
            Some(Some(before)) => before.next = next,
            _ if next == NONE => {
                self.flows.remove(&flow.0);
            }
            _ => {
                self.flows.insert(flow.0, next);
            }
        }
        if let Some(Some(after)) = self.slots.get_mut(next as usize) {
            after.previous = previous;
        }
    }

    pub fn on_flow(&self, flow: FlowId) -> Vec<u32> {
        let mut found = Vec::new();
        let mut at = self.flows.get(&flow.0).copied().unwrap_or(NONE);
        while let Some(slot) = self.get(at) {
            found.push(at);
            at = slot.next;
        }
        found
    }

    // ---- time ----

    pub fn due(&self, now: Time, most: usize) -> Vec<u32> {
        self.expiry
            .iter()
            .take_while(|(at, _)| *at <= now)
            .take(most)
            .map(|(_, id)| *id)
            .collect()
    }

    pub fn next_deadline(&self) -> Option<Time> {
        self.expiry.first().map(|(at, _)| *at)
    }

    // ---- what it looks like from outside ----

    /// The address of record behind a key.
    pub fn owner(&self, aor: u128) -> Option<&Aor> {
        self.owners.get(&aor).map(|owner| &owner.aor)
    }

    pub fn describe(&self, id: u32) -> (Aor, String) {
        let slot = self.get(id);
        let aor = slot.and_then(|slot| Some(self.owners.get(&slot.aor)?.aor.clone()));
        (
            aor.unwrap_or_else(|| Aor::new("", "")),
            slot.map(|slot| slot.contact.to_string()).unwrap_or_default(),
        )
    }

    pub fn binding(&self, slot: &Slot, fallback: bool) -> Binding {
        Binding {
            contact: slot.contact.to_string(),
            target: slot.target,
            local: self.locals.values[usize::from(slot.local)],
            path: slot.path().to_vec(),
            q: slot.q,
            instance: slot.instance().map(str::to_owned),
            reg_id: slot.reg_id(),
            expires_at: slot.expires_at,
            refreshed_at: slot.refreshed_at,
            user_agent: self.agents.values[usize::from(slot.user_agent)].to_string(),
            fallback,
        }
    }
}
