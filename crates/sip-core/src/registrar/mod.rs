//! A registrar as a pure table (RFC 3261 §10.3, with RFC 3327 Path, RFC 5626 outbound and RFC 5627 GRUU).
//!
//! The caller authenticates the request and decides which address of record it may change; this module applies the
//! rules of bindings and says what to answer. Everything in it is bounded by [`RegistrarSettings`].
//!
//! A binding that came over a connection lives and dies with it ([`Registrar::flow_gone`]): nothing else can reach a
//! browser or a device behind a NAT. A binding that came through an edge proxy with Path does not.

mod aor;
mod gruu;
mod request;
mod table;

pub use aor::Aor;

use crate::api::{FlowId, Target, Time};
use crate::message::{HeaderName, Message};
use crate::uri::Uri;
use gruu::GruuKey;
use request::{Asked, Contacts, Refusal};
use std::net::SocketAddr;
use table::{Slot, Table};

/// One second in the unit of [`Time`].
const SECOND: u64 = 1_000_000;
/// Most bindings that one call of [`Registrar::expire`] ends, so that the caller's loop is not held up.
const EXPIRE_AT_ONCE: usize = 1_000;

/// The limits of a registrar; all times in seconds.
#[derive(Debug, Clone)]
pub struct RegistrarSettings {
    /// Shorter wishes are refused with 423; 60.
    pub min_expires: u32,
    /// Longer wishes are cut; 3,600.
    pub max_expires: u32,
    /// Where the client wishes nothing; 1,800.
    pub default_expires: u32,
    /// The same for WS and WSS; 600.
    pub default_expires_ws: u32,
    /// Bindings of one address of record; 10.
    pub max_per_aor: usize,
    /// Whether the binding that expires first makes room in a full address of record, so that a device that forgets its
    /// Contact at every start does not lock itself out; otherwise 403.
    pub displace: bool,
    /// Bindings in all; beyond it 503 with Retry-After; 100,000.
    pub max_bindings: usize,
    /// Retry-After of that 503; 30.
    pub retry_after: u32,
    /// Flow-Timer in answers to outbound registrations (RFC 5626 §10): a flow without keep-alive for this long counts as
    /// dead. 0 writes none; 120.
    pub flow_timer: u32,
}

impl Default for RegistrarSettings {
    fn default() -> Self {
        RegistrarSettings {
            min_expires: 60,
            max_expires: 3_600,
            default_expires: 1_800,
            default_expires_ws: 600,
            max_per_aor: 10,
            displace: true,
            max_bindings: 100_000,
            retry_after: 30,
            flow_timer: 120,
        }
    }
}

/// A place where a user can be reached.
#[derive(Debug, Clone, PartialEq)]
pub struct Binding {
    /// The registered URI, as written: the Request-URI of a call to it (RFC 3261 §16.6).
    pub contact: String,
    /// Where to send: the connection, or the address that the datagram came from if the Contact is behind a NAT.
    pub target: Target,
    /// Our address that it registered at: the interface to send from.
    pub local: SocketAddr,
    /// Path, topmost first, to be written as Route (RFC 3327 §5.4).
    pub path: Vec<String>,
    /// Preference in thousandths, 0-1000.
    pub q: u16,
    /// `+sip.instance` without quotes and brackets.
    pub instance: Option<String>,
    /// `reg-id`, if the binding follows RFC 5626.
    pub reg_id: Option<u32>,
    /// When it ends.
    pub expires_at: Time,
    /// When it was last refreshed.
    pub refreshed_at: Time,
    /// User-Agent, at most 64 characters; empty if unknown.
    pub user_agent: String,
    /// True if a better flow to the same instance comes before it in the list: try it only when that one fails, never at
    /// the same time (RFC 5626 §7).
    pub fallback: bool,
}

/// What happened to a binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It lives longer, perhaps at another address.
    Refreshed,
    /// The client took it back.
    Unregistered,
    /// Its time ran out.
    Expired,
    /// Its connection ended.
    FlowGone,
    /// A newer one took its place in a full address of record.
    Displaced,
}

/// A change of the table, for presence and for whoever keeps a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Whose binding it is.
    pub aor: Aor,
    /// The registered URI.
    pub contact: String,
    /// What happened.
    pub kind: ChangeKind,
}

/// What to answer, and what changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The status.
    pub status: u16,
    /// The phrase, where the usual one says too little.
    pub phrase: Option<&'static str>,
    /// Header fields of the response, in order.
    pub headers: Vec<(&'static str, String)>,
    /// Changes, in order; none unless the status is 200.
    pub changes: Vec<Change>,
}

/// The table of bindings.
pub struct Registrar {
    settings: RegistrarSettings,
    table: Table,
    gruu: GruuKey,
}

impl Registrar {
    /// An empty registrar. `seed` keys its hash tables and temporary GRUUs; draw it at random.
    pub fn new(seed: &[u8; 16], settings: RegistrarSettings) -> Registrar {
        Registrar {
            settings,
            table: Table::new(seed),
            gruu: GruuKey::new(seed),
        }
    }

    /// Bindings held.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// True without bindings.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Addresses of record with a binding.
    pub fn aors(&self) -> usize {
        self.table.aors()
    }

    /// Applies a REGISTER for `aor`, which came from `flow` to our address `local`. All of it is applied or none.
    pub fn register(&mut self, aor: &Aor, request: &Message, flow: Target, local: SocketAddr, now: Time) -> Outcome {
        let asked = match Asked::read(request, flow, local, &self.settings) {
            Ok(asked) => asked,
            Err(refusal) => return self.refuse(&refusal),
        };
        // What has expired counts no longer, even if nobody has asked yet.
        let mut changes = self.expire_of(aor, now);
        match self.apply(aor, &asked, now) {
            Ok(applied) => changes.extend(applied),
            Err(refusal) => {
                return Outcome {
                    changes,
                    ..self.refuse(&refusal)
                };
            }
        }
        Outcome {
            status: 200,
            phrase: None,
            headers: self.success_headers(aor, &asked, now),
            changes,
        }
    }

    fn refuse(&self, refusal: &Refusal) -> Outcome {
        let (status, phrase) = refusal.status();
        let headers = match refusal {
            Refusal::TooBrief => vec![("Min-Expires", self.settings.min_expires.to_string())],
            Refusal::Extension(names) => vec![("Unsupported", names.clone())],
            Refusal::Full => vec![("Retry-After", self.settings.retry_after.to_string())],
            _ => Vec::new(),
        };
        Outcome {
            status,
            phrase,
            headers,
            changes: Vec::new(),
        }
    }

    fn apply(&mut self, aor: &Aor, asked: &Asked, now: Time) -> Result<Vec<Change>, Refusal> {
        let key = self.table.key(aor);
        match &asked.contacts {
            Contacts::Query => Ok(Vec::new()),
            Contacts::Everything => {
                let slots = self.table.slots_of(key).to_vec();
                if slots.iter().any(|id| self.out_of_order(*id, asked)) {
                    return Err(Refusal::OutOfOrder);
                }
                Ok(slots.iter().map(|id| self.end(*id, ChangeKind::Unregistered)).collect())
            }
            Contacts::Some(contacts) => {
                // First the whole request is checked, then applied (§10.3, step 8).
                let mut plan = Vec::with_capacity(contacts.len());
                let mut added = 0;
                for contact in contacts {
                    let held = self.table.matching(key, contact);
                    if held.is_some_and(|id| self.out_of_order(id, asked)) {
                        return Err(Refusal::OutOfOrder);
                    }
                    added += usize::from(held.is_none() && contact.expires > 0);
                    plan.push((contact, held));
                }
                let held = self.table.slots_of(key).len();
                if added > self.settings.max_per_aor
                    || held + added > self.settings.max_per_aor && !self.settings.displace
                {
                    return Err(Refusal::TooMany);
                }
                let displaced = (held + added).saturating_sub(self.settings.max_per_aor);
                if self.table.len() + added > self.settings.max_bindings + displaced {
                    return Err(Refusal::Full);
                }
                let mut changes = Vec::with_capacity(plan.len());
                for (contact, held) in plan {
                    // A Contact that the same request names twice finds its slot taken or gone by now.
                    let held = held.or_else(|| self.table.matching(key, contact));
                    match held {
                        Some(id) if !self.table.holds(id, key) => {}
                        Some(id) if contact.expires == 0 => changes.push(self.end(id, ChangeKind::Unregistered)),
                        Some(id) => {
                            self.table.refresh(id, contact, asked, now);
                            changes.push(self.change(id, ChangeKind::Refreshed));
                        }
                        None if contact.expires == 0 => {}
                        None => {
                            while self.table.slots_of(key).len() >= self.settings.max_per_aor {
                                let Some(first) = self.table.first_to_expire(key) else {
                                    break;
                                };
                                changes.push(self.end(first, ChangeKind::Displaced));
                            }
                            let id = self.table.insert(aor, contact, asked, now);
                            changes.push(self.change(id, ChangeKind::Added));
                        }
                    }
                }
                Ok(changes)
            }
        }
    }

    /// §10.3 step 7: within one Call-ID only a higher CSeq counts.
    fn out_of_order(&self, id: u32, asked: &Asked) -> bool {
        let call_id = self.table.hash(&asked.call_id);
        self.table
            .get(id)
            .is_some_and(|slot| slot.call_id == call_id && slot.cseq >= asked.cseq)
    }

    fn change(&self, id: u32, kind: ChangeKind) -> Change {
        let (aor, contact) = self.table.describe(id);
        Change { aor, contact, kind }
    }

    fn end(&mut self, id: u32, kind: ChangeKind) -> Change {
        let change = self.change(id, kind);
        self.table.remove(id);
        change
    }

    fn expire_of(&mut self, aor: &Aor, now: Time) -> Vec<Change> {
        let key = self.table.key(aor);
        let due: Vec<u32> = self
            .table
            .slots_of(key)
            .iter()
            .copied()
            .filter(|id| self.table.get(*id).is_some_and(|s| s.expires_at <= now))
            .collect();
        due.into_iter().map(|id| self.end(id, ChangeKind::Expired)).collect()
    }

    /// §10.3 step 8 and what the extensions add to it.
    fn success_headers(&self, aor: &Aor, asked: &Asked, now: Time) -> Vec<(&'static str, String)> {
        let key = self.table.key(aor);
        let mut headers = Vec::with_capacity(8);
        let instances = |slot: &Slot| asked.gruu.then(|| slot.instance().map(str::to_owned)).flatten();
        for id in self.table.slots_of(key) {
            let Some(slot) = self.table.get(*id) else { continue };
            let left = slot.expires_at.since(now).div_ceil(SECOND);
            let mut value = format!("<{}>;expires={left}", slot.contact);
            if slot.q != 1000 {
                value += &format!(";q={}.{:03}", slot.q / 1000, slot.q % 1000);
            }
            if let Some(instance) = slot.instance() {
                value += &format!(";+sip.instance=\"<{instance}>\"");
            }
            if let Some(reg_id) = slot.reg_id() {
                value += &format!(";reg-id={reg_id}");
            }
            if let Some(instance) = instances(slot) {
                let public = gruu::public(aor, &instance);
                let temporary = self
                    .gruu
                    .temporary(aor, key, &instance, slot.call_id, self.table.nonce(*id, now));
                value += &format!(";pub-gruu=\"{public}\";temp-gruu=\"{temporary}\"");
            }
            headers.push(("Contact", value));
        }
        headers.extend(asked.path.iter().map(|p| ("Path", p.clone())));
        headers.push(("Supported", "path, outbound, gruu".into()));
        if asked.outbound {
            if asked.supports_outbound {
                headers.push(("Require", "outbound".into()));
            }
            if self.settings.flow_timer > 0 {
                headers.push(("Flow-Timer", self.settings.flow_timer.to_string()));
            }
        }
        headers
    }

    /// Where the user can be reached, in the order in which to ring: highest q first, then the newest.
    pub fn bindings(&self, aor: &Aor, now: Time) -> Vec<Binding> {
        self.collect(self.table.key(aor), now, |_| true)
    }

    fn collect(&self, key: u128, now: Time, wanted: impl Fn(&Slot) -> bool) -> Vec<Binding> {
        let mut slots: Vec<&Slot> = self
            .table
            .slots_of(key)
            .iter()
            .filter_map(|id| self.table.get(*id))
            .filter(|slot| slot.expires_at > now && wanted(slot))
            .collect();
        slots.sort_by_key(|slot| (std::cmp::Reverse(slot.q), std::cmp::Reverse(slot.refreshed_at)));
        let mut found: Vec<Binding> = Vec::with_capacity(slots.len());
        for slot in slots {
            let instance = slot.instance();
            let fallback = instance.is_some() && found.iter().any(|b| b.instance.as_deref() == instance);
            found.push(self.table.binding(slot, fallback));
        }
        found
    }

    /// The instance that a GRUU names, public or temporary (RFC 5627 §5.1); `None` if the URI is no GRUU of ours. An
    /// empty list means that the instance is not registered now: 480. The caller copies no other URI parameters.
    pub fn resolve(&self, uri: &Uri, now: Time) -> Option<Vec<Binding>> {
        let gr = uri.param("gr")?;
        if gr.is_empty() {
            let (key, check) = self.gruu.open(uri.user())?;
            return Some(self.collect(key, now, |slot| {
                slot.instance().is_some_and(|instance| check.is(instance, slot.call_id))
            }));
        }
        let instance = crate::uri::unescape(gr.as_bytes());
        let key = self.table.key(&Aor::of_uri(uri)?);
        Some(self.collect(key, now, |slot| slot.instance() == Some(instance.as_str())))
    }

    /// Whose instance a GRUU names: the address of record and the instance id; `None` if it is no GRUU of ours, or the
    /// instance is not registered now.
    pub fn gruu(&self, uri: &Uri, now: Time) -> Option<(Aor, String)> {
        let instance = self.resolve(uri, now)?.into_iter().next()?.instance?;
        let key = match uri.param("gr")? {
            "" => self.gruu.open(uri.user())?.0,
            _ => self.table.key(&Aor::of_uri(uri)?),
        };
        Some((self.table.owner(key)?.clone(), instance))
    }

    /// A connection ended: its bindings go.
    pub fn flow_gone(&mut self, flow: FlowId) -> Vec<Change> {
        let ids = self.table.on_flow(flow);
        ids.into_iter().map(|id| self.end(id, ChangeKind::FlowGone)).collect()
    }

    /// Takes back all bindings of an address of record, as for a user that was deleted.
    pub fn remove(&mut self, aor: &Aor) -> Vec<Change> {
        let ids = self.table.slots_of(self.table.key(aor)).to_vec();
        ids.into_iter()
            .map(|id| self.end(id, ChangeKind::Unregistered))
            .collect()
    }

    /// Ends what has run out, at most 1,000 bindings a call; [`Registrar::next_deadline`] says whether there is more.
    pub fn expire(&mut self, now: Time) -> Vec<Change> {
        let due = self.table.due(now, EXPIRE_AT_ONCE);
        due.into_iter().map(|id| self.end(id, ChangeKind::Expired)).collect()
    }

    /// When [`Registrar::expire`] is due.
    pub fn next_deadline(&self) -> Option<Time> {
        self.table.next_deadline()
    }

    /// Puts back a binding that another process held. Its first refresh is accepted with any CSeq. `false` if it has
    /// expired, exists already, or the table is full.
    pub fn restore(&mut self, aor: &Aor, binding: &Binding, now: Time) -> bool {
        let key = self.table.key(aor);
        let full = self.table.len() >= self.settings.max_bindings
            || self.table.slots_of(key).len() >= self.settings.max_per_aor;
        let Some((contact, asked)) = Asked::from_binding(binding).filter(|_| binding.expires_at > now && !full) else {
            return false;
        };
        if self.table.matching(key, &contact).is_some() {
            return false;
        }
        let id = self.table.insert(aor, &contact, &asked, binding.refreshed_at);
        self.table.set_expiry(id, binding.expires_at);
        true
    }
}

/// The address of record that a REGISTER names in To (§10.3 step 5), with the host in lower case.
pub fn aor_of(request: &Message) -> Option<Aor> {
    let to = crate::headers::NameAddr::parse(request.raw_values(HeaderName::To).next()?)?;
    Aor::of_uri(&to.uri)
}

#[cfg(test)]
mod tests;
