//! Trunks seen from the network: where they are, and our registrations with those that want them.

use crate::mint;
use crate::owner::World;
use crate::switch::Switch;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use strowger_core::TrunkId;
use strowger_core::resource::{Trunk, TrunkTransport};
use strowger_sip::{Resolver, TlsPeer, Verify};
use strowger_sip_core::locate::Failures;
use strowger_sip_core::{Command, DialogHandle, Party, Register, Registration, Target, Time, Transport, Uri};
use tokio::time::Instant;

/// How often names are looked up again. The resolver answers from its cache while the records are good.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// After a look-up that found nothing.
const LOOK_SOON: Duration = Duration::from_secs(5);
/// First and longest pause after a registration that failed.
const PAUSE: (u64, u64) = (5, 300);
/// CSeq numbers that one REGISTER may use up: challenges cost two.
const SEQ_STEP: u32 = 4;

/// Our registration with a carrier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistrationState {
    /// Not asked for yet.
    Waiting,
    /// The REGISTER is under way.
    Asking,
    /// The carrier knows where we are.
    Registered,
    /// The carrier refused with this status, or said nothing.
    Failed(Option<u16>),
}

impl std::fmt::Display for RegistrationState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            RegistrationState::Waiting => f.write_str("waiting"),
            RegistrationState::Asking => f.write_str("registering"),
            RegistrationState::Registered => f.write_str("registered"),
            RegistrationState::Failed(Some(status)) => write!(f, "failed: {status}"),
            RegistrationState::Failed(None) => f.write_str("failed: no answer"),
        }
    }
}

struct Contract {
    state: RegistrationState,
    due: Instant,
    failures: u32,
    call_id: String,
    seq: u32,
    asked: Option<DialogHandle>,
    /// Asked for once more after a 423.
    min_expires: u32,
    /// What the registrar wants requests to travel through (RFC 3608).
    service_route: Vec<String>,
}

#[derive(Default)]
struct State {
    targets: HashMap<TrunkId, Vec<Target>>,
    due: HashMap<TrunkId, Instant>,
    contracts: HashMap<TrunkId, Contract>,
    asked: HashMap<DialogHandle, TrunkId>,
    /// Destinations that are tried last.
    failures: Failures,
}

/// What is known of the carriers.
pub struct Carriers {
    origin: Instant,
    state: Mutex<State>,
}

impl Default for Carriers {
    fn default() -> Carriers {
        Carriers {
            origin: Instant::now(),
            state: Mutex::default(),
        }
    }
}

impl Carriers {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where requests to a trunk go, best first; empty while its name leads nowhere.
    pub fn targets(&self, trunk: &Trunk) -> Vec<Target> {
        if let Some(addr) = trunk.address {
            return vec![Target {
                transport: transport_of(trunk.transport),
                addr,
                flow: None,
            }];
        }
        let state = self.lock();
        let mut targets = state.targets.get(&trunk.id).cloned().unwrap_or_default();
        state.failures.order(&mut targets, self.now());
        targets
    }

    /// A destination did not answer or has no room: it is tried last for a minute (RFC 3263 §4.3).
    pub fn failed(&self, target: Target) {
        let now = self.now();
        self.lock().failures.failed(target, now);
    }

    fn now(&self) -> Time {
        Time(self.origin.elapsed().as_micros() as u64)
    }

    /// The routes that a trunk's registrar asked for.
    pub fn service_route(&self, trunk: TrunkId) -> Vec<String> {
        let state = self.lock();
        state
            .contracts
            .get(&trunk)
            .map(|c| c.service_route.clone())
            .unwrap_or_default()
    }

    /// State of our registration; `None` if the trunk wants none, or nothing is known yet.
    pub fn registration(&self, trunk: TrunkId) -> Option<RegistrationState> {
        self.lock().contracts.get(&trunk).map(|c| c.state.clone())
    }

    /// True if a message from this address is one of the trunk's.
    pub fn is_source(&self, trunk: &Trunk, source: SocketAddr) -> bool {
        trunk.address.is_none() && self.targets(trunk).iter().any(|t| t.addr.ip() == source.ip())
    }

    /// Takes what came of a REGISTER; false if it was none of ours.
    pub fn registered(&self, handle: DialogHandle, result: &Registration) -> bool {
        let mut state = self.lock();
        let Some(trunk) = state.asked.remove(&handle) else {
            return false;
        };
        let Some(contract) = state.contracts.get_mut(&trunk).filter(|c| c.asked == Some(handle)) else {
            return true;
        };
        contract.asked = None;
        let now = Instant::now();
        match result.status {
            Some(200..=299) => {
                let granted = u64::from(result.expires.unwrap_or(3_600).max(10));
                if contract.state != RegistrationState::Registered {
                    tracing::info!(%trunk, seconds = granted, "registered with the carrier");
                }
                // Refreshed with a fifth of the time to spare, so that a lost REGISTER and its repetition fit in.
                contract.due = now + Duration::from_secs(granted * 4 / 5);
                contract.state = RegistrationState::Registered;
                contract.failures = 0;
                contract.service_route.clone_from(&result.service_route);
            }
            Some(423) if result.min_expires.is_some_and(|m| m > contract.min_expires) => {
                contract.min_expires = result.min_expires.unwrap_or_default();
                contract.due = now;
            }
            status => {
                tracing::warn!(%trunk, status = status.unwrap_or(0), "the carrier did not take our registration");
                let pause = PAUSE.0 << contract.failures.min(6);
                let pause = pause
                    .min(PAUSE.1)
                    .max(u64::from(result.retry_after.unwrap_or(0).min(3_600)));
                contract.failures += 1;
                // Spread over a quarter, so that many trunks do not come back together.
                let spread = pause * 1_000 * (mint::random() as u64 % 250) / 1_000;
                contract.due = now + Duration::from_millis(pause * 1_000 + spread);
                contract.state = RegistrationState::Failed(status);
            }
        }
        true
    }
}

fn transport_of(transport: TrunkTransport) -> Transport {
    match transport {
        TrunkTransport::Udp => Transport::Udp,
        TrunkTransport::Tcp => Transport::Tcp,
        TrunkTransport::Tls => Transport::Tls,
    }
}

/// The URI that a trunk's name stands for.
fn uri_of(trunk: &Trunk) -> Option<Uri> {
    let server = trunk.server.as_deref()?;
    // UDP is what NAPTR and SRV are left to choose among; the others are asked for.
    let parameter = match trunk.transport {
        TrunkTransport::Udp => "",
        TrunkTransport::Tcp => ";transport=tcp",
        TrunkTransport::Tls => ";transport=tls",
    };
    Uri::parse(&format!("sip:{server}{parameter}")).ok()
}

/// Looks up the names of trunks and keeps our registrations alive, until the task is dropped.
pub async fn keep(switch: Arc<Switch>, resolver: Resolver) {
    let mut ticks = tokio::time::interval(Duration::from_millis(250));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        switch.door.expire();
        let config = switch.store().snapshot();
        let now = Instant::now();
        for trunk in config.trunks().iter().filter(|t| !t.disabled) {
            name_tls(&switch, trunk);
            let due = switch.carriers.lock().due.get(&trunk.id).is_none_or(|due| *due <= now);
            if trunk.address.is_none() && due {
                locate(&switch, &resolver, trunk).await;
            }
            if trunk.register.is_some() {
                register(&switch, trunk, now);
            }
        }
        let mut state = switch.carriers.lock();
        let wanted = |id: &TrunkId| config.trunk(*id).filter(|t| !t.disabled);
        state
            .targets
            .retain(|id, _| wanted(id).is_some_and(|t| t.address.is_none()));
        state.due.retain(|id, _| wanted(id).is_some());
        state
            .contracts
            .retain(|id, _| wanted(id).is_some_and(|t| t.register.is_some()));
    }
}

/// How a TLS connection to a trunk with a literal address is verified.
fn name_tls(switch: &Switch, trunk: &Trunk) {
    if let (Some(addr), TrunkTransport::Tls) = (trunk.address, trunk.transport) {
        let name = (!trunk.domain.is_empty()).then(|| trunk.domain.clone());
        switch.sip().name_target(Transport::Tls, addr, peer(trunk, name));
    }
}

fn peer(trunk: &Trunk, server_name: Option<String>) -> TlsPeer {
    TlsPeer {
        server_name,
        verify: (!trunk.verify).then_some(Verify::Off),
    }
}

async fn locate(switch: &Arc<Switch>, resolver: &Resolver, trunk: &Trunk) {
    let Some(uri) = uri_of(trunk) else { return };
    let found = resolver.locate(&uri).await;
    let again = match &found {
        Ok(_) => LOOK_AGAIN,
        Err(error) => {
            tracing::warn!(trunk = %trunk.id, "the server of a trunk was not found: {error}");
            LOOK_SOON
        }
    };
    let mut state = switch.carriers.lock();
    state.due.insert(trunk.id, Instant::now() + again);
    // What was known stays good while nobody can say better.
    let Ok(found) = found else { return };
    for place in &found {
        if place.target.transport == Transport::Tls {
            let name = place.server_name.as_deref().map(str::to_owned);
            switch
                .sip()
                .name_target(Transport::Tls, place.target.addr, peer(trunk, name));
        }
    }
    let targets: Vec<Target> = found.iter().map(|l| l.target).collect();
    switch
        .door
        .located(trunk.id, targets.iter().map(|t| t.addr.ip()).collect());
    state.targets.insert(trunk.id, targets);
}

fn register(switch: &Arc<Switch>, trunk: &Trunk, now: Instant) {
    let Some(wish) = &trunk.register else { return };
    let Some(destination) = switch.carriers.targets(trunk).first().copied() else {
        return;
    };
    let host = switch.host();
    let handle = switch.dialog_handle();
    let command = {
        let mut state = switch.carriers.lock();
        let contract = state.contracts.entry(trunk.id).or_insert_with(|| Contract {
            state: RegistrationState::Waiting,
            due: now,
            failures: 0,
            call_id: format!("{:032x}@{host}", mint::random()),
            seq: 1,
            asked: None,
            min_expires: 0,
            service_route: Vec::new(),
        });
        if contract.asked.is_some() || contract.due > now {
            return;
        }
        let domain = trunk.host();
        let credentials = crate::switch::credentials_of(trunk);
        let account = credentials
            .as_ref()
            .map_or_else(|| "strowger".to_owned(), |c| c.username.clone());
        let user = wish.contact_user.clone().unwrap_or_else(|| account.clone());
        let b = mint::random();
        let command = Register {
            handle,
            call_id: contract.call_id.clone(),
            local_tag: format!("{:016x}", b as u64),
            branch_stem: format!("{:016x}", (b >> 64) as u64),
            seq: contract.seq,
            request_uri: format!("sip:{domain}"),
            aor: Party::new(format!("sip:{account}@{domain}")),
            contact_user: Some(user),
            expires: wish.expires.max(contract.min_expires),
            instance: None,
            reg_id: None,
            destination,
            local: None,
            route: Vec::new(),
            credentials,
            headers: Vec::new(),
        };
        contract.seq = contract.seq.wrapping_add(SEQ_STEP) & 0x7FFF_FFFF;
        contract.asked = Some(handle);
        if contract.state != RegistrationState::Registered {
            contract.state = RegistrationState::Asking;
        }
        state.asked.insert(handle, trunk.id);
        command
    };
    if switch.sip().send(Command::Register(Box::new(command))).is_err() {
        let mut state = switch.carriers.lock();
        state.asked.remove(&handle);
        if let Some(contract) = state.contracts.get_mut(&trunk.id) {
            contract.asked = None;
            contract.due = now + Duration::from_secs(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_server_that_failed_is_tried_last_for_a_minute() {
        let carriers = Carriers::default();
        let trunk = Trunk {
            server: Some("sip.carrier.example".into()),
            ..Trunk::new(TrunkId(1), None)
        };
        let target = |n| Target::udp(([192, 0, 2, n], 5060).into());
        carriers.lock().targets.insert(trunk.id, vec![target(1), target(2)]);
        assert_eq!(carriers.targets(&trunk), [target(1), target(2)]);
        carriers.failed(target(1));
        assert_eq!(carriers.targets(&trunk), [target(2), target(1)]);
        tokio::time::advance(Duration::from_secs(61)).await;
        assert_eq!(carriers.targets(&trunk), [target(1), target(2)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_registration_is_refreshed_in_time_and_tried_again_with_patience() {
        let carriers = Carriers::default();
        let trunk = TrunkId(1);
        let ask = |n: u64, result: Registration| {
            let mut state = carriers.lock();
            state.asked.insert(DialogHandle(n), trunk);
            let contract = state.contracts.entry(trunk).or_insert_with(|| Contract {
                state: RegistrationState::Waiting,
                due: Instant::now(),
                failures: 0,
                call_id: "a".into(),
                seq: 1,
                asked: None,
                min_expires: 0,
                service_route: Vec::new(),
            });
            contract.asked = Some(DialogHandle(n));
            drop(state);
            assert!(carriers.registered(DialogHandle(n), &result));
            let state = carriers.lock();
            state.contracts[&trunk].due.duration_since(Instant::now()).as_secs()
        };
        let with = |status, expires| Registration {
            status,
            expires,
            ..Registration::default()
        };
        assert_eq!(ask(1, with(Some(200), Some(600))), 480);
        assert_eq!(carriers.registration(trunk), Some(RegistrationState::Registered));
        let pauses: Vec<u64> = (2..12).map(|n| ask(n, with(Some(403), None))).collect();
        assert!((5..7).contains(&pauses[0]), "{pauses:?}");
        assert!(pauses.iter().all(|p| *p <= 375), "{pauses:?}");
        assert_eq!(carriers.registration(trunk), Some(RegistrationState::Failed(Some(403))));
        let short = Registration {
            min_expires: Some(7_200),
            ..with(Some(423), None)
        };
        assert_eq!(ask(20, short), 0, "asked for again at once, for longer");
        assert!(!carriers.registered(DialogHandle(99), &with(Some(200), None)));
    }
}
