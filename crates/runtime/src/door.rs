//! Who may come in, and where devices are: digest authentication, registrations, limits and bans of sources.
//!
//! All of it is current state that is cheap to rebuild (design: "three classes of data"), held in memory by pure machines of
//! `sip-core`; the lock is held for the length of one look.

use crate::mint;
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use strowger_core::{AddressRange, DeviceId, TrunkId};
use strowger_sip_core::digest::{Authenticator, Secret, ServerSettings, Verdict};
use strowger_sip_core::guard::{Admit, Ban, Guard, GuardSettings};
use strowger_sip_core::registrar::{self, Aor, Binding, Change, ChangeKind, Registrar, RegistrarSettings};
use strowger_sip_core::{FlowId, Message, OutsideRequest, Target, Time, Uri};
use strowger_store::Store;
use strowger_store::config::{Config, DeviceEntry};
use tokio::sync::Notify;
use tokio::time::Instant;

/// Settings of the door.
#[derive(Clone, Debug, Default)]
pub struct DoorSettings {
    /// Limits of the registrar.
    pub registrar: RegistrarSettings,
    /// Rates, failures and bans of sources.
    pub guard: GuardSettings,
    /// Which digests are asked for, and for how long a nonce is good.
    pub digest: ServerSettings,
}

/// What a request's credentials make of it.
#[derive(Debug)]
pub enum Checked {
    /// It comes from this device.
    Device(Arc<DeviceEntry>),
    /// It is to be answered so.
    Refused(Reply),
}

/// A response without a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Status.
    pub status: u16,
    /// Phrase, where the usual one says too little.
    pub phrase: Option<String>,
    /// Header fields.
    pub headers: Vec<(String, String)>,
}

impl Reply {
    fn plain(status: u16, phrase: &str) -> Reply {
        Reply {
            status,
            phrase: Some(phrase.to_owned()),
            headers: Vec::new(),
        }
    }
}

/// Counters of the door.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DoorStats {
    /// Bindings held.
    pub bindings: usize,
    /// Sources banned now.
    pub bans: usize,
    /// Messages and connections dropped because their source is banned.
    pub banned: u64,
    /// Messages and connections dropped because their source sends too many.
    pub limited: u64,
    /// Requests whose credentials were wrong.
    pub failures: u64,
}

/// The addresses of trunks.
#[derive(Default)]
struct CarrierSet {
    exact: HashSet<SocketAddr>,
    hosts: HashSet<IpAddr>,
    ranges: Vec<AddressRange>,
    /// The version of the configuration that they were read from.
    version: Option<u64>,
}

struct State {
    authenticator: Authenticator,
    registrar: Registrar,
    guard: Guard,
    /// Sources that no limit and no ban applies to.
    carriers: CarrierSet,
    /// Addresses that the names of trunks stand for.
    located: HashMap<TrunkId, Vec<IpAddr>>,
    own: Vec<SocketAddr>,
    stats: DoorStats,
}

/// The door.
pub struct Door {
    store: Store,
    /// Realm and domain where a tenant has none of its own.
    host: String,
    origin: Instant,
    state: Mutex<State>,
    /// Addresses of record whose bindings have changed since somebody asked: each once.
    changed: Mutex<HashSet<Aor>>,
    news: Notify,
}

impl Door {
    /// A door with nobody behind it. `host` is the host part of our own URIs.
    pub fn new(store: Store, host: &str, settings: DoorSettings) -> Door {
        let seed = mint::random().to_le_bytes();
        let mut secret = [0; 32];
        secret[..16].copy_from_slice(&mint::random().to_le_bytes());
        secret[16..].copy_from_slice(&mint::random().to_le_bytes());
        Door {
            store,
            host: host_alone(host).to_ascii_lowercase(),
            origin: Instant::now(),
            state: Mutex::new(State {
                authenticator: Authenticator::new(&secret, settings.digest),
                registrar: Registrar::new(&seed, settings.registrar),
                guard: Guard::new(&seed, settings.guard),
                carriers: CarrierSet::default(),
                located: HashMap::new(),
                own: Vec::new(),
                stats: DoorStats::default(),
            }),
            changed: Mutex::default(),
            news: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The door's clock.
    pub fn now(&self) -> Time {
        // From one hour on, so that a time before the start can be written.
        Time(self.origin.elapsed().as_micros() as u64 + 3_600_000_000)
    }

    /// Whether anything from this source is looked at.
    pub fn admits(&self, source: SocketAddr) -> bool {
        let config = self.store.snapshot();
        let mut state = self.lock();
        if state.carriers.version != Some(config.version()) {
            state.located.retain(|id, _| config.trunk(*id).is_some());
            state.carriers = CarrierSet::of(&config, &state.located);
            let own = state.own.clone();
            state.carriers.exact.extend(own);
        }
        if state.carriers.contains(source) {
            return true;
        }
        match state.guard.admit(source.ip(), self.now()) {
            Admit::Ok => true,
            Admit::Limited => {
                state.stats.limited += 1;
                false
            }
            Admit::Banned => {
                state.stats.banned += 1;
                false
            }
        }
    }

    /// Our own addresses: one conversation calls another through them.
    pub fn trust(&self, own: &[SocketAddr]) {
        let mut state = self.lock();
        state.own = own.to_vec();
        state.carriers.version = None;
    }

    /// Notes the addresses that a trunk's name stands for now.
    pub fn located(&self, trunk: TrunkId, addresses: Vec<IpAddr>) {
        let mut state = self.lock();
        state.located.insert(trunk, addresses);
        state.carriers.version = None;
    }

    /// Looks at the credentials of a request.
    pub fn check(&self, request: &Message, source: SocketAddr) -> Checked {
        let config = self.store.snapshot();
        let now = self.now();
        let found = |username: &str, realm: &str| self.find(&config, username, realm);
        let lookup = |username: &str, realm: &str| {
            let device = found(username, realm)?;
            let password = device.password.as_ref()?;
            Some(Secret::Password(password.expose().to_owned()))
        };
        let mut state = self.lock();
        let verdict = state.authenticator.check(request, lookup, now);
        match verdict {
            Verdict::Accepted { username, realm } => {
                state.guard.succeeded(source.ip(), now);
                match found(&username, &realm) {
                    Some(device) => Checked::Device(device),
                    None => Checked::Refused(Reply::plain(403, "Device Was Removed")),
                }
            }
            Verdict::Malformed => Checked::Refused(Reply::plain(400, "Bad Credentials")),
            Verdict::Absent => Checked::Refused(self.challenge(&mut state, request, false, now)),
            Verdict::Stale | Verdict::Replayed => Checked::Refused(self.challenge(&mut state, request, true, now)),
            Verdict::UnknownUser | Verdict::WrongPassword => {
                state.stats.failures += 1;
                if let Some(ban) = state.guard.failed(source.ip(), now) {
                    let seconds = ban.until.since(now) / 1_000_000;
                    tracing::warn!(source = %ban.source, seconds, "a source is banned: too many wrong credentials");
                }
                Checked::Refused(self.challenge(&mut state, request, false, now))
            }
        }
    }

    fn challenge(&self, state: &mut State, request: &Message, stale: bool, now: Time) -> Reply {
        let realm = self.realm_of(request);
        let values = state.authenticator.challenge(&realm, stale, now);
        Reply {
            status: 401,
            phrase: None,
            headers: values.into_iter().map(|v| ("WWW-Authenticate".to_owned(), v)).collect(),
        }
    }

    /// The realm of a request: the domain of its From if that is a tenant's, else our own name.
    fn realm_of(&self, request: &Message) -> String {
        let from = request.value(strowger_sip_core::HeaderName::From);
        let domain = from
            .as_deref()
            .and_then(|v| strowger_sip_core::headers::NameAddr::parse(v.as_bytes()))
            .map(|n| n.uri.host().to_ascii_lowercase());
        let config = self.store.snapshot();
        domain
            .filter(|d| config.tenant_by_domain(d).is_some())
            .unwrap_or_else(|| self.host.clone())
    }

    /// The device of this name in a realm: of the tenant whose domain the realm is, or of any tenant where the realm is
    /// our own name and one device alone is called so.
    fn find(&self, config: &Config, username: &str, realm: &str) -> Option<Arc<DeviceEntry>> {
        let found = if realm == self.host {
            config.device_by_username_anywhere(username)
        } else {
            config.device_in_domain(realm, username)
        };
        let device = found.filter(|d| !d.disabled)?;
        config.tenant(device.device.tenant).filter(|t| !t.disabled)?;
        Some(device.clone())
    }

    /// The address of record of a device: its name in its tenant's domain.
    pub fn aor(&self, config: &Config, device: &DeviceEntry) -> Aor {
        let domain = config
            .tenant(device.device.tenant)
            .and_then(|t| t.domain.clone())
            .unwrap_or_else(|| self.host.clone());
        Aor::new(&domain, &device.device.username)
    }

    /// Answers a REGISTER.
    pub fn register(&self, request: &OutsideRequest) -> Reply {
        let Some(named) = registrar::aor_of(&request.message) else {
            return Reply::plain(400, "Bad To");
        };
        let device = match self.check(&request.message, request.source.addr) {
            Checked::Device(device) => device,
            Checked::Refused(reply) => return reply,
        };
        let config = self.store.snapshot();
        let own = self.aor(&config, &device);
        // Who signs in as one device does not register another. Clients name us by any address that reaches us.
        if named.user() != own.user() {
            return Reply::plain(403, "Not Your Address Of Record");
        }
        let now = self.now();
        let outcome = self
            .lock()
            .registrar
            .register(&own, &request.message, request.source, request.local, now);
        report(&outcome.changes, device.device.id, request.source);
        self.tell(&outcome.changes);
        Reply {
            status: outcome.status,
            phrase: outcome.phrase.map(str::to_owned),
            headers: outcome.headers.into_iter().map(|(n, v)| (n.to_owned(), v)).collect(),
        }
    }

    /// Where a device can be reached, in ringing order.
    pub fn bindings(&self, config: &Config, device: &DeviceEntry) -> Vec<Binding> {
        let aor = self.aor(config, device);
        self.lock().registrar.bindings(&aor, self.now())
    }

    /// The device and the instance of it that a GRUU of ours names; `None` if it names nobody who is registered.
    pub fn gruu(&self, config: &Config, uri: &Uri) -> Option<(Arc<DeviceEntry>, String)> {
        let (aor, instance) = self.lock().registrar.gruu(uri, self.now())?;
        Some((self.find(config, aor.user(), aor.domain())?, instance))
    }

    /// Takes back every binding of a device; says how many there were.
    pub fn unregister(&self, config: &Config, device: &DeviceEntry) -> usize {
        let aor = self.aor(config, device);
        let gone = self.lock().registrar.remove(&aor);
        self.tell(&gone);
        gone.len()
    }

    /// Remembers whose bindings have changed, until somebody asks.
    fn tell(&self, changes: &[Change]) {
        if changes.is_empty() {
            return;
        }
        let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        changed.extend(changes.iter().map(|c| c.aor.clone()));
        drop(changed);
        self.news.notify_one();
    }

    /// Waits until bindings have changed, and says whose. For one asker at a time.
    pub async fn changes(&self) -> HashSet<Aor> {
        loop {
            let changed = std::mem::take(&mut *self.changed.lock().unwrap_or_else(PoisonError::into_inner));
            if !changed.is_empty() {
                return changed;
            }
            self.news.notified().await;
        }
    }

    /// The device that has an address of record.
    pub fn device_of(&self, config: &Config, aor: &Aor) -> Option<Arc<DeviceEntry>> {
        self.find(config, aor.user(), aor.domain())
    }

    /// True if a device can be rung: it is registered, or has a fixed address.
    pub fn reaches(&self, config: &Config, device: &DeviceEntry) -> bool {
        device.device.contact.is_some() || !self.bindings(config, device).is_empty()
    }

    /// A connection ended.
    pub fn flow_closed(&self, flow: FlowId) {
        let gone = self.lock().registrar.flow_gone(flow);
        self.tell(&gone);
        if !gone.is_empty() {
            tracing::debug!(bindings = gone.len(), "a connection took its bindings along");
        }
    }

    /// Ends what has run out; to be called now and then.
    pub fn expire(&self) {
        let now = self.now();
        loop {
            let mut state = self.lock();
            let gone = state.registrar.expire(now);
            let more = state.registrar.next_deadline().is_some_and(|at| at <= now);
            drop(state);
            self.tell(&gone);
            if gone.is_empty() || !more {
                return;
            }
        }
    }

    /// The present bans with their remaining time.
    pub fn bans(&self) -> Vec<(Ban, Duration)> {
        let now = self.now();
        let bans = self.lock().guard.list(now);
        bans.into_iter()
            .map(|b| (b, Duration::from_micros(b.until.since(now))))
            .collect()
    }

    /// Bans a source by hand.
    pub fn ban(&self, source: IpAddr, seconds: u32) -> Ban {
        self.lock().guard.ban(source, seconds, self.now())
    }

    /// Lifts a ban; false if there was none.
    pub fn unban(&self, source: IpAddr) -> bool {
        self.lock().guard.unban(source, self.now())
    }

    /// Counters.
    pub fn stats(&self) -> DoorStats {
        let now = self.now();
        let state = self.lock();
        DoorStats {
            bindings: state.registrar.len(),
            bans: state.guard.list(now).len(),
            ..state.stats
        }
    }
}

impl CarrierSet {
    /// Where the trunks of a configuration, and the names that stand for them, say that their calls come from.
    fn of(config: &Config, located: &HashMap<TrunkId, Vec<IpAddr>>) -> CarrierSet {
        let mut set = CarrierSet {
            version: Some(config.version()),
            ..CarrierSet::default()
        };
        for trunk in config.trunks().iter().filter(|t| !t.disabled) {
            set.ranges.extend(trunk.sources.iter().copied());
            set.exact.extend(trunk.address);
            // On loopback the port tells carriers apart, as `Trunk::is_source` has it.
            let whole = trunk
                .address
                .map(|a| a.ip())
                .filter(|ip| trunk.sources.is_empty() && !ip.is_loopback());
            set.hosts.extend(whole);
            set.hosts.extend(located.get(&trunk.id).into_iter().flatten());
        }
        set
    }

    fn contains(&self, source: SocketAddr) -> bool {
        self.exact.contains(&source)
            || self.hosts.contains(&source.ip())
            || self.ranges.iter().any(|r| r.contains(source.ip()))
    }
}

/// What became of a device's bindings, for the operator. A refresh is no news.
fn report(changes: &[Change], device: DeviceId, source: Target) {
    for change in changes {
        match change.kind {
            ChangeKind::Refreshed => {}
            kind => tracing::info!(%device, transport = source.transport.via_token(), ?kind, "registration"),
        }
    }
}

/// A host without its port.
fn host_alone(host: &str) -> &str {
    let end = match host.strip_prefix('[') {
        Some(v6) => v6.find(']').map_or(host.len(), |i| i + 2),
        None => host.find(':').unwrap_or(host.len()),
    };
    &host[..end]
}
