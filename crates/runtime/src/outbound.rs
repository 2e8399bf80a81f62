//! Ways to reach whom a conversation wants to reach: over trunks, at the bindings of devices, at ourselves.

use crate::mint;
use crate::owner::{DialogName, Diversion, Permit, Way, WayMedia, World, diversion_headers};
use crate::switch::{Switch, credentials_of, user_of};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use strowger_core::call::{Sound, Target};
use strowger_core::event::{OneWay, Via};
use strowger_core::number::CHINA;
use strowger_core::resource::{
    Asserted, DeviceMedia, DigitsBy, DiversionTo, PrivacyTo, RecordingSettings, Trunk, TrunkIdentity, TrunkSrtp,
};
use strowger_core::routing::{Denied, TollRules};
use strowger_core::{AgentId, ApplicationId, DeviceId, Number, TenantId, routing};
use strowger_media::{CallKey, LocalWebRtc, MediaError, SoundRef};
use strowger_sip_core::identity::{AssertPolicy, DiversionPolicy, PrivacyPolicy, TrunkPolicy};
use strowger_sip_core::sdp::Codec;
use strowger_sip_core::{DialogHandle, ReferTo, Replaces, Target as SipTarget, Transport, Uri};
use strowger_store::config::{Config, DeviceEntry};

impl Switch {
    /// Ways to a number over some of the trunks, best first; each address that a trunk's name stands for is one.
    fn trunk_ways<'t>(
        &self,
        config: &Config,
        trunks: impl IntoIterator<Item = &'t Trunk>,
        tenant: TenantId,
        number: &Number,
    ) -> Vec<Way> {
        let spread = self.dialogs_made();
        let candidates = routing::candidates(trunks, tenant, number, |t| self.health.is_up(t), spread);
        let mut ways = Vec::with_capacity(candidates.len());
        for candidate in candidates {
            let Some(trunk) = config.trunk(candidate.trunk) else {
                continue;
            };
            for target in self.carriers.targets(trunk) {
                let group = ways.len() as u16;
                ways.push(self.way_over(trunk, target, &candidate.dialled, group));
            }
        }
        ways
    }

    /// Ways over the tenant's emergency trunk, and no other.
    fn emergency_ways(&self, config: &Config, tenant: TenantId, toll: &TollRules, number: &Number) -> Vec<Way> {
        let trunks = config.trunks().iter().map(|t| &**t);
        let found = routing::emergency_candidate(trunks, tenant, toll, number)
            .and_then(|c| Some((config.trunk(c.trunk)?, c.dialled)));
        let ways: Vec<Way> = found
            .into_iter()
            .flat_map(|(trunk, dialled)| {
                let targets = self.carriers.targets(trunk).into_iter().zip(0..);
                targets.map(move |(target, group)| self.way_over(trunk, target, &dialled, group))
            })
            .collect();
        if ways.is_empty() {
            tracing::error!(%tenant, "a call to an emergency number has no way: no emergency trunk in service");
        }
        ways
    }

    /// The place where a device of the tenant is signed in that a URI names (RFC 5627), and the device's name.
    pub(crate) fn gruu(&self, config: &Config, tenant: TenantId, uri: &str) -> Option<(Target, String)> {
        let uri = Uri::parse(uri).ok().filter(|uri| uri.param("gr").is_some())?;
        let (device, instance) = self.door.gruu(config, &uri)?;
        let name = device.device.username.clone();
        (device.device.tenant == tenant).then(|| (Target::Instance(device.device.id, instance), name))
    }

    /// Whether the tenant's toll rules allow a number; a refused emergency call is told loudly.
    pub(crate) fn permitted(&self, config: &Config, tenant: TenantId, number: &Number) -> Result<(), Denied> {
        let toll = config.tenant(tenant).map(|t| t.toll()).unwrap_or_default();
        toll.permitted(number, CHINA).inspect_err(|denied| {
            if *denied == Denied::Emergency {
                tracing::error!(%tenant, "a call to an emergency number was refused: its tenant has no emergency trunk");
            }
        })
    }

    fn way_over(&self, trunk: &Trunk, target: SipTarget, dialled: &str, group: u16) -> Way {
        Way {
            codecs: trunk.codecs.clone(),
            credentials: credentials_of(trunk),
            route: self.carriers.service_route(trunk.id),
            policy: Some(Arc::new(policy_of(&trunk.identity))),
            media: media_of_trunk(trunk.srtp),
            group,
            ..Way::new(Via::Trunk(trunk.id), target, format!("sip:{dialled}@{}", trunk.host()))
        }
    }

    /// Where a device is: its bindings, those of the same preference side by side, else its fixed address.
    fn device_ways(&self, config: &Config, device: &DeviceEntry, instance: Option<&str>) -> Vec<Way> {
        let via = Via::Device(device.device.id);
        let mut bindings = self.door.bindings(config, device);
        bindings.retain(|b| instance.is_none() || b.instance.as_deref() == instance);
        let mut group = 0;
        let mut q = bindings.first().map_or(0, |b| b.q);
        let mut ways = Vec::with_capacity(bindings.len() + 1);
        for binding in bindings {
            // A second flow to the same device is for the case that the first one fails (RFC 5626 §7).
            if binding.q != q || binding.fallback {
                group += 1;
                q = binding.q;
            }
            ways.push(Way {
                route: binding.path,
                media: media_of(device.device.media, binding.target.transport),
                group,
                ..Way::new(via, binding.target, binding.contact)
            });
        }
        if let (Some(contact), true) = (device.device.contact, ways.is_empty() && instance.is_none()) {
            let uri = format!("sip:{}@{contact}", device.device.username);
            let target = SipTarget::udp(contact);
            ways.push(Way {
                media: media_of(device.device.media, target.transport),
                ..Way::new(via, target, uri)
            });
        }
        ways
    }

    /// The address at which we hear ourselves. The first interface is the one of UDP; bound to all addresses, it hears
    /// loopback too.
    pub(crate) fn own_address(&self) -> Option<SocketAddr> {
        let mut own = *self.sip().local_addrs().first()?;
        if own.ip().is_unspecified() {
            own.set_ip(match own {
                SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            });
        }
        Some(own)
    }

    /// True if a URI's host is one of ours, or the tenant's domain.
    fn is_here(&self, tenant: TenantId, uri: &Uri) -> bool {
        let host = uri.host();
        let own = |h: &String| h.eq_ignore_ascii_case(host);
        self.hosts().iter().any(own)
            || self
                .store()
                .snapshot()
                .tenant(tenant)
                .and_then(|t| t.domain.as_ref().map(own))
                .unwrap_or(false)
    }
}

/// What a device is offered that is reached by this transport. Keys that everybody on the way can read are worth little:
/// they are offered over TLS alone, unless somebody has said so.
fn media_of(setting: DeviceMedia, transport: Transport) -> WayMedia {
    match (setting, transport) {
        (DeviceMedia::WebRtc, _) | (DeviceMedia::Auto, Transport::Ws | Transport::Wss) => WayMedia::WebRtc,
        (DeviceMedia::SrtpOptional, _) | (DeviceMedia::Auto, Transport::Tls) => WayMedia::SrtpOptional,
        (DeviceMedia::Srtp, _) => WayMedia::SrtpRequired,
        (DeviceMedia::Rtp, _) | (DeviceMedia::Auto, _) => WayMedia::Rtp,
    }
}

/// What a trunk is offered.
pub(crate) fn media_of_trunk(srtp: TrunkSrtp) -> WayMedia {
    match srtp {
        TrunkSrtp::Off => WayMedia::Rtp,
        TrunkSrtp::Optional => WayMedia::SrtpOptional,
        TrunkSrtp::Required => WayMedia::SrtpRequired,
    }
}

fn policy_of(identity: &TrunkIdentity) -> TrunkPolicy {
    TrunkPolicy {
        assert: match &identity.asserted {
            Asserted::Remove => AssertPolicy::Remove,
            Asserted::Pass => AssertPolicy::Pass,
            Asserted::Set(uri) => AssertPolicy::Set(uri.clone()),
        },
        privacy: match identity.privacy {
            PrivacyTo::Pass => PrivacyPolicy::Pass,
            PrivacyTo::Enforce => PrivacyPolicy::Enforce,
            PrivacyTo::Remove => PrivacyPolicy::Remove,
        },
        diversion: match identity.diversion {
            DiversionTo::Remove => DiversionPolicy::Remove,
            DiversionTo::Diversion => DiversionPolicy::Diversion,
            DiversionTo::HistoryInfo => DiversionPolicy::HistoryInfo,
        },
    }
}

impl World for Switch {
    fn codecs(&self) -> Vec<Codec> {
        self.offered_codecs()
    }

    fn open_media(&self, call: CallKey, leg: u16) -> Result<SocketAddr, MediaError> {
        self.media().open_leg(call, leg)
    }

    fn digits_by(&self, via: Via) -> DigitsBy {
        let config = self.store().snapshot();
        match via {
            Via::Trunk(id) => config.trunk(id).map(|t| t.dtmf),
            Via::Device(id) => config.device(id).map(|d| d.device.dtmf),
            Via::Platform => None,
        }
        .unwrap_or_default()
    }

    fn one_way(&self, cause: OneWay) {
        self.count_one_way(cause);
    }

    fn open_webrtc(&self, call: CallKey, leg: u16) -> Result<LocalWebRtc, MediaError> {
        self.media().open_webrtc(call, leg)
    }

    fn browser_grace_secs(&self) -> u64 {
        self.browser_grace().as_secs()
    }

    fn ways(&self, tenant: TenantId, target: &Target) -> Vec<Way> {
        let config = self.store().snapshot();
        match target {
            Target::Number(number) => {
                let toll = config.tenant(tenant).map(|t| t.toll()).unwrap_or_default();
                if toll.is_emergency(number, CHINA) {
                    return self.emergency_ways(&config, tenant, &toll, number);
                }
                let trunks = config.trunks().iter().map(|t| &**t);
                self.trunk_ways(&config, trunks, tenant, number)
            }
            // A tenant's own, or one of the platform's: the same rules as among many.
            Target::Trunk(id, number) => {
                let only = config.trunk(*id).map(|t| &**t);
                self.trunk_ways(&config, only, tenant, number)
            }
            Target::Device(id) => config
                .device(*id)
                .filter(|d| d.device.tenant == tenant && !d.disabled)
                .map(|d| self.device_ways(&config, d, None))
                .unwrap_or_default(),
            // All of its devices side by side, each with its own order of preference.
            Target::Agent(id) => {
                let agent = config.centre().agent(*id).filter(|a| a.tenant == tenant && !a.disabled);
                let devices = agent.into_iter().flat_map(|a| a.devices.iter());
                let own =
                    devices.filter_map(|d| config.device(*d).filter(|d| d.device.tenant == tenant && !d.disabled));
                let mut ways: Vec<Way> = own.flat_map(|d| self.device_ways(&config, d, None)).collect();
                ways.sort_by_key(|way| way.group);
                ways
            }
            Target::Instance(id, instance) => {
                let device = config.device(*id);
                let device = device.filter(|d| d.device.tenant == tenant && !d.disabled);
                device.map_or_else(Vec::new, |d| self.device_ways(&config, d, Some(instance)))
            }
            // Its owner has the way already.
            Target::Dialog => Vec::new(),
        }
    }

    fn divert(&self, tenant: TenantId, application: ApplicationId, diversion: &Diversion<'_>) -> Vec<Way> {
        let Ok((target, _)) = self.transfer_to(tenant, application, diversion.contact) else {
            return Vec::new();
        };
        let config = self.store().snapshot();
        let mut ways = self.ways(tenant, &target);
        for way in &mut ways {
            // Devices of the tenant are told in both forms, a carrier in the one that it takes.
            let policy = match way.via {
                Via::Trunk(id) => config.trunk(id).map(|t| t.identity.diversion),
                Via::Device(_) | Via::Platform => None,
            };
            let headers = diversion_headers(diversion.uri, &way.uri, diversion.status, diversion.count);
            way.headers.extend(headers.into_iter().filter(|(name, _)| match policy {
                None => true,
                Some(DiversionTo::Remove) => false,
                Some(DiversionTo::Diversion) => name == "Diversion",
                Some(DiversionTo::HistoryInfo) => name == "History-Info",
            }));
        }
        ways
    }

    fn transfer_to(&self, tenant: TenantId, _: ApplicationId, uri: &str) -> Result<(Target, String), u16> {
        let config = self.store().snapshot();
        if let Some(found) = self.gruu(&config, tenant, uri) {
            return Ok(found);
        }
        // Whoever is elsewhere is nobody that the tenant's rules speak of.
        let here = uri.starts_with("tel:") || Uri::parse(uri).is_ok_and(|uri| self.is_here(tenant, &uri));
        let user = user_of(uri).filter(|_| here).ok_or(404u16)?;
        if let Some(device) = config.device_by_name(tenant, &user) {
            return Ok((Target::Device(device.device.id), user));
        }
        let number = Number::parse(&user, CHINA).map_err(|_| 404u16)?;
        self.permitted(&config, tenant, &number).map_err(|_| 403u16)?;
        let target = Target::Number(number);
        self.may_spend(tenant, None, &[&target]).map_err(|_| 403u16)?;
        Ok((target, user))
    }

    fn agent_of(&self, device: DeviceId) -> Option<AgentId> {
        let config = self.store().snapshot();
        let mut agents = config.centre().agents().filter(|a| !a.disabled);
        agents.find(|a| a.devices.contains(&device)).map(|a| a.id)
    }

    fn self_way(&self, tenant: TenantId, refer_to: &ReferTo, replaces: &Replaces) -> Option<Way> {
        let name = DialogName {
            call_id: replaces.call_id.clone(),
            local_tag: replaces.to_tag.clone(),
        };
        let known = self.dialog_names.tenant_of(&name) == Some(tenant);
        let own = self.own_address().filter(|_| known)?;
        Some(Way::new(Via::Platform, SipTarget::udp(own), refer_to.uri.clone()))
    }

    fn unreachable(&self, target: SipTarget) {
        self.carriers.failed(target);
    }

    fn claim(&self, via: Via) -> Option<Permit> {
        self.claim_channel(via)
    }

    fn sound(&self, tenant: TenantId, application: ApplicationId, sound: &Sound) -> Option<SoundRef> {
        self.sounds().find(tenant, application, sound)
    }

    fn recording(&self, application: ApplicationId) -> RecordingSettings {
        let config = self.store().snapshot();
        config
            .application(application)
            .map_or_else(RecordingSettings::default, |a| a.settings.recording)
    }

    fn random(&self) -> u128 {
        mint::random()
    }

    fn dialog_handle(&self) -> DialogHandle {
        self.next_dialog()
    }

    fn host(&self) -> String {
        self.hosts()[0].clone()
    }
}
