//! The switch: what all conversations of a process share, and how calls come into being.

use crate::calls::{Answer, CallError, Calls, Live};
use crate::clock::{Clock, wall_now};
use crate::commit::{Committer, Projectors};
use crate::dialogs::DialogNames;
use crate::gate::{Full, Gates, Place};
use crate::health::Health;
use crate::mailbox::{Directory, Mail, Mailbox, Undelivered};
use crate::mint;
use crate::names::Names;
use crate::owner::{
    DialogName, Diversion, Incoming, Owner, OwnerInput, Permit, Replacing, Turn, Way, World, diversion_headers,
};
use crate::sounds::SoundLibrary;
use crate::task::Task;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use strowger_core::call::{Accepted, ClickPlan, Command, ForwardPlan, PartyPlan, Prompt, Refusal, Sound, Target};
use strowger_core::event::{Created, Kind, RecordMode, Via};
use strowger_core::number::CHINA;
use strowger_core::project::Subscription;
use strowger_core::resource::{RouteTarget, Trunk, TrunkAuth};
use strowger_core::routing::TollRules;
use strowger_core::{ApplicationId, ConversationId, Number, TenantId, routing};
use strowger_media::{CallKey, MediaError, SoundRef};
use strowger_sip::EndpointHandle;
use strowger_sip_core::{
    Command as SipCommand, Credentials, DialogHandle, IncomingInvite, ReferTo, Replaces, SipEvent, Target as SipTarget,
};
use strowger_store::{Application, CommandId, Config, Store};
use tokio::sync::{Notify, oneshot};

/// Settings of the switch.
#[derive(Clone)]
pub struct SwitchConfig {
    /// Host part of our own URIs: the advertised address of the SIP interface, or a domain.
    pub host: String,
    /// Conversations held at once; beyond it new calls are refused with 503 and Retry-After.
    pub max_conversations: usize,
    /// Who is told about a call that came in for an application; the runtime itself knows no projector.
    pub incoming: IncomingSubscriptions,
}

/// Makes the subscriptions of a call that came in for an application.
pub type IncomingSubscriptions = Arc<dyn Fn(&Application) -> Vec<Subscription> + Send + Sync>;

/// What all conversations of a process share.
pub struct Switch {
    config: SwitchConfig,
    store: Store,
    sounds: SoundLibrary,
    projectors: Projectors,
    sip: OnceLock<EndpointHandle>,
    media: OnceLock<strowger_media::Handle>,
    runtime: tokio::runtime::Handle,
    /// Running conversations.
    pub(crate) conversations: Directory<ConversationId>,
    /// SIP dialogs of running conversations.
    pub(crate) dialogs: Directory<u64>,
    /// Whose those are, by name.
    pub(crate) dialog_names: DialogNames,
    /// Told at each end of a conversation.
    pub(crate) ended: Notify,
    pub(crate) health: Health,
    trunks: Gates<Via>,
    applications: Gates<ApplicationId>,
    tenants: Gates<TenantId>,
    names: Names,
    draining: AtomicBool,
    next_handle: AtomicU64,
    clock: Clock,
}

impl Switch {
    /// A switch without engines; [`attach`](Switch::attach) gives it those. To be called inside a tokio runtime.
    pub fn new(config: SwitchConfig, store: Store, sounds: SoundLibrary, projectors: Projectors) -> Arc<Switch> {
        Arc::new(Switch {
            config,
            store,
            sounds,
            projectors,
            sip: OnceLock::new(),
            media: OnceLock::new(),
            runtime: tokio::runtime::Handle::current(),
            conversations: Directory::default(),
            dialogs: Directory::default(),
            dialog_names: DialogNames::default(),
            ended: Notify::new(),
            health: Health::default(),
            trunks: Gates::default(),
            applications: Gates::default(),
            tenants: Gates::default(),
            names: Names::default(),
            draining: AtomicBool::new(false),
            next_handle: AtomicU64::new(1),
            clock: Clock::start(),
        })
    }

    /// Connects the engines. Their sinks are made from this switch, so it exists before them.
    pub fn attach(&self, sip: EndpointHandle, media: strowger_media::Handle) {
        let _ = self.sip.set(sip);
        let _ = self.media.set(media);
    }

    /// The SIP engine.
    ///
    /// # Panics
    /// Before [`attach`](Switch::attach): a defect of the start-up order.
    pub fn sip(&self) -> &EndpointHandle {
        self.sip.get().expect("engines are attached before the first call")
    }

    /// The media engine.
    ///
    /// # Panics
    /// Before [`attach`](Switch::attach): a defect of the start-up order.
    pub fn media(&self) -> &strowger_media::Handle {
        self.media.get().expect("engines are attached before the first call")
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The sounds.
    pub fn sounds(&self) -> &SoundLibrary {
        &self.sounds
    }

    /// What a trunk's challenge is answered with.
    pub(crate) fn credentials(&self, via: Via) -> Option<Credentials> {
        match via {
            Via::Trunk(id) => self.store.snapshot().trunk(id).and_then(|t| credentials_of(t)),
            Via::Device(_) | Via::Platform => None,
        }
    }

    pub(crate) fn projectors(&self) -> &Projectors {
        &self.projectors
    }

    /// Running conversations.
    pub fn running(&self) -> usize {
        self.conversations.len()
    }

    /// Ids of the running conversations.
    pub fn running_ids(&self) -> Vec<ConversationId> {
        self.conversations.all().into_iter().map(|(id, _)| id).collect()
    }

    /// Calls on a trunk or device now.
    pub fn channels(&self, via: Via) -> u32 {
        self.trunks.used(&via)
    }

    /// True unless the trunk's OPTIONS go unanswered.
    pub fn trunk_healthy(&self, trunk: strowger_core::TrunkId) -> bool {
        self.health.is_up(trunk)
    }

    /// Monotonic milliseconds, for rates.
    fn now_ms(&self) -> u64 {
        self.clock.now().0.unsigned_abs()
    }

    /// Takes no new calls from now on.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// True after [`drain`](Switch::drain).
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Waits until no conversation runs, at most `patience`; then ends the rest and waits for their records.
    pub async fn shut_down(&self, patience: Duration) {
        self.drain();
        let idle = async {
            loop {
                let ended = self.ended.notified();
                if self.conversations.is_empty() {
                    return;
                }
                ended.await;
            }
        };
        if tokio::time::timeout(patience, idle).await.is_ok() {
            return;
        }
        for (_, mailbox) in self.conversations.all() {
            // One that is gone has ended, one that is full marks itself and ends.
            let _ = mailbox.post(Mail::input(OwnerInput::SystemEnd));
        }
        let rest = async {
            loop {
                let ended = self.ended.notified();
                if self.conversations.is_empty() {
                    return;
                }
                ended.await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(5), rest).await.is_err() {
            tracing::warn!(left = self.conversations.len(), "conversations are left to recovery");
        }
    }

    fn room(&self) -> Result<(), CallError> {
        if self.is_draining() {
            return Err(CallError::Draining);
        }
        if self.conversations.len() >= self.config.max_conversations {
            return Err(CallError::Overloaded { retry_after_secs: 5 });
        }
        Ok(())
    }

    /// Takes the places of a new conversation at its application and tenant.
    fn claim_places(&self, tenant: TenantId, application: ApplicationId) -> Result<Vec<Place>, CallError> {
        let config = self.store.snapshot();
        let mut places = Vec::with_capacity(2);
        let full = |full| match full {
            Full::Concurrency => CallError::Concurrency,
            Full::Rate => CallError::Rate,
        };
        if let Some(app) = config.application(application) {
            let s = &app.settings;
            let place = self
                .applications
                .claim(&application, s.max_conversations, s.max_rate, self.now_ms());
            places.push(place.map_err(full)?);
        }
        if let Some(t) = config.tenant(tenant) {
            let place = self
                .tenants
                .claim(&tenant, t.max_conversations, t.max_rate, self.now_ms());
            places.push(place.map_err(full)?);
        }
        Ok(places)
    }

    /// Ways to a number over some of the trunks, best first.
    fn trunk_ways<'t>(
        &self,
        config: &Config,
        trunks: impl IntoIterator<Item = &'t Trunk>,
        tenant: TenantId,
        number: &Number,
    ) -> Vec<Way> {
        let spread = self.next_handle.load(Ordering::Relaxed);
        routing::candidates(trunks, tenant, number, |t| self.health.is_up(t), spread)
            .into_iter()
            .filter_map(|c| Some((config.trunk(c.trunk)?, c.dialled)))
            .zip(0..)
            .filter_map(|((trunk, dialled), group)| way_over(trunk, &dialled, group))
            .collect()
    }

    /// The way over the tenant's emergency trunk, and no other.
    fn emergency_way(&self, config: &Config, tenant: TenantId, toll: &TollRules, number: &Number) -> Vec<Way> {
        let trunks = config.trunks().iter().map(|t| &**t);
        let way = routing::emergency_candidate(trunks, tenant, toll, number)
            .and_then(|c| way_over(config.trunk(c.trunk)?, &c.dialled, 0));
        if way.is_none() {
            tracing::error!(%tenant, "a call to an emergency number has no way: no emergency trunk in service");
        }
        way.into_iter().collect()
    }

    /// Reads and decodes prompts on the caller's thread: the signalling loop, which plays them, never touches a disk.
    fn warm<'a>(&self, tenant: TenantId, application: ApplicationId, prompts: impl Iterator<Item = &'a Prompt>) {
        for prompt in prompts {
            self.sounds
                .find(tenant, application, &Sound::Prompt(prompt.name.clone()));
        }
    }

    fn mint_conversation(&self) -> ConversationId {
        ConversationId::mint(wall_now().0.unsigned_abs(), mint::random() as u64)
    }

    fn spawn(
        self: &Arc<Self>,
        owner: Owner,
        first: Turn,
        clock: Clock,
        places: Vec<Place>,
        once: Option<CommandId>,
        incoming: Option<DialogHandle>,
    ) -> oneshot::Receiver<Result<ConversationId, CallError>> {
        let (mailbox, inbox) = Mailbox::new();
        self.conversations.insert(owner.machine().id(), mailbox.clone());
        // A caller may give up while its conversation is being committed.
        if let Some(handle) = incoming {
            self.dialogs.insert(handle.0, mailbox.clone());
        }
        let task = Task {
            switch: self.clone(),
            owner,
            clock,
            inbox,
            mailbox,
            committer: Committer::new(self.store.clone(), self.projectors.clone()),
            dialogs: incoming.into_iter().collect(),
            names: Vec::new(),
            done: VecDeque::new(),
            _places: places,
        };
        let (started, answer) = oneshot::channel();
        self.runtime.spawn(task.run(first, once, started));
        answer
    }

    /// An INVITE came in. Runs on the SIP engine's thread: decides at once and leaves the rest to the owner's task.
    fn incoming(self: &Arc<Self>, handle: DialogHandle, invite: IncomingInvite) {
        if let Err((status, why)) = self.admit(handle, invite) {
            tracing::info!(status, "an incoming call was refused: {why}");
            let headers = if status == 503 {
                vec![("Retry-After".to_owned(), "5".to_owned())]
            } else {
                Vec::new()
            };
            let refused = SipCommand::Respond {
                handle,
                status,
                reason_phrase: None,
                headers,
                sdp: None,
                reliable: false,
            };
            if self.sip().send(refused).is_err() {
                tracing::warn!("a refusal could not be sent: the SIP engine's queue is full");
            }
        }
    }

    /// Gives an INVITE that takes the place of a leg (RFC 3891) to the owner of that leg, who answers it; false if there
    /// is none. `tenant` is whoever the INVITE is accounted to.
    pub(crate) fn replace(&self, incoming: Incoming, replaced: DialogHandle, tenant: TenantId) -> bool {
        let invite = &incoming.invite;
        let from = user_of(&invite.from).unwrap_or_default();
        let to = user_of(&invite.request_uri).unwrap_or_default();
        let replacing = Replacing {
            incoming,
            replaced,
            tenant,
            from,
            to,
        };
        // What comes of the new dialog meanwhile, its CANCEL for one, follows the INVITE into the same mailbox.
        let handle = replacing.incoming.handle;
        let mail = Mail::input(OwnerInput::Replace(Box::new(replacing)));
        let taken = self.dialogs.alias(replaced.0, handle.0) && self.dialogs.post(replaced.0, mail).is_ok();
        if !taken {
            self.dialogs.remove(handle.0);
        }
        taken
    }

    /// An INVITE of one of our conversations to another one: the second half of an attended transfer.
    fn own_replace(&self, handle: DialogHandle, invite: &IncomingInvite) -> Option<bool> {
        let replaced = invite.replaces?.handle;
        let name = DialogName {
            call_id: invite.call_id.clone(),
            local_tag: invite.message.from_tag()?.into_owned(),
        };
        let tenant = self.dialog_names.tenant_of(&name)?;
        let incoming = Incoming {
            handle,
            invite: invite.clone(),
            via: Via::Platform,
            permit: None,
        };
        Some(self.replace(incoming, replaced, tenant))
    }

    fn admit(self: &Arc<Self>, handle: DialogHandle, invite: IncomingInvite) -> Result<(), (u16, &'static str)> {
        match self.own_replace(handle, &invite) {
            Some(true) => return Ok(()),
            Some(false) => return Err((481, "the dialog that it replaces is over")),
            None => {}
        }
        let config = self.store.snapshot();
        let source = invite.source.addr;
        let mut carriers = config.trunks().iter().filter(|t| !t.disabled && t.is_source(source));
        if carriers.clone().next().is_none() {
            return Err((403, "its source is no trunk of ours"));
        }
        let called = user_of(&invite.request_uri).and_then(|u| Number::parse(&u, CHINA).ok());
        let called = called.ok_or((404, "the called number is none"))?;
        let route = config.route(&called).ok_or((404, "no route for the called number"))?;
        let app = config
            .application(route.application)
            .filter(|a| !a.disabled)
            .ok_or((404, "its application is off"))?;
        // A number belongs to its owner: a tenant's own trunk reaches that tenant's numbers only (I20). Tenants may have
        // trunks to the same carrier.
        let trunk = carriers
            .find(|t| t.tenant.is_none_or(|owner| owner == app.tenant))
            .ok_or((404, "no route for the called number"))?;
        self.room().map_err(|_| (503, "no room for another conversation"))?;
        let places = self
            .claim_places(app.tenant, app.id)
            .map_err(|_| (503, "a limit of the application"))?;
        let via = Via::Trunk(trunk.id);
        let permit = self.claim(via).ok_or((503, "the trunk is full"))?;
        let target = match &route.target {
            RouteTarget::Number(n) => Target::Number(n.clone()),
            RouteTarget::Device(d) => Target::Device(*d),
            RouteTarget::Trunk(t) => Target::Trunk(*t, called),
        };
        let ani = invite
            .asserted_identity
            .first()
            .and_then(|v| user_of(v))
            .or_else(|| user_of(&invite.from))
            .filter(|u| !u.eq_ignore_ascii_case("anonymous"))
            .unwrap_or_default();
        let text = match &target {
            Target::Number(n) | Target::Trunk(_, n) => n.as_str().to_owned(),
            Target::Device(d) => config.device(*d).map(|d| d.device.username.clone()).unwrap_or_default(),
            Target::Dialog => String::new(),
        };
        let dnis = user_of(&invite.request_uri).unwrap_or_default();
        let settings = &app.settings;
        let head = Created {
            tenant: app.tenant,
            application: app.id,
            account: None,
            kind: Kind::Inbound,
            ani: ani.clone(),
            dnis: dnis.clone(),
            user_data: String::new(),
            max_duration: None,
            record: RecordMode::None,
            subscriptions: (self.config.incoming)(app),
        };
        let cli = (!ani.is_empty()).then(|| ani.clone());
        let plan = ForwardPlan {
            dialog: crate::owner::recover::confirmed_ref(&invite.snapshot),
            from: ani,
            to: dnis,
            party: PartyPlan { target, text, cli },
            ring_timeout: settings.ring_timeout,
            record_wait: settings.record_wait,
        };
        let id = self.mint_conversation();
        let clock = Clock::start();
        let incoming = Incoming {
            handle,
            invite,
            via,
            permit: Some(permit),
        };
        let (owner, turn) = Owner::forward(id, head, plan, incoming, &**self, clock.now())
            .map_err(|_| (503, "no media port is free"))?;
        let answer = self.spawn(owner, turn, clock, places, None, Some(handle));
        let switch = self.clone();
        self.runtime.spawn(async move {
            if let Ok(Err(_)) = answer.await {
                let headers = vec![("Retry-After".to_owned(), "5".to_owned())];
                let refused = SipCommand::Respond {
                    handle,
                    status: 503,
                    reason_phrase: None,
                    headers,
                    sdp: None,
                    reliable: false,
                };
                if switch.sip().send(refused).is_err() {
                    tracing::warn!("a refusal could not be sent: the SIP engine's queue is full");
                }
            }
        });
        Ok(())
    }
}

/// The user part of a SIP or tel URI inside a header value or alone, without parameters.
fn user_of(value: &str) -> Option<String> {
    let start = value
        .find("sip:")
        .map(|i| i + 4)
        .or_else(|| value.find("sips:").map(|i| i + 5));
    let user = match start {
        Some(i) => value[i..].split_once('@').map(|(user, _)| user)?,
        None => value[value.find("tel:")? + 4..].split(['>', ';']).next()?,
    };
    let user = user.split(';').next().unwrap_or(user);
    let user = user.replace("%2B", "+").replace("%2b", "+").replace("%23", "#");
    (!user.is_empty() && user.len() <= 64).then_some(user)
}

/// The host of a SIP URI, or of what is written like its end, without port and parameters.
fn host_of(uri: &str) -> Option<&str> {
    let rest = uri.rsplit_once('@').map_or(uri, |(_, host)| host);
    let rest = rest.strip_prefix("sip:").unwrap_or(rest);
    let end = match rest.strip_prefix('[') {
        Some(v6) => v6.find(']').map(|i| i + 2)?,
        None => rest.find([':', ';', '>', '?']).unwrap_or(rest.len()),
    };
    rest.get(..end).filter(|host| !host.is_empty())
}

impl World for Switch {
    fn open_media(&self, call: CallKey, leg: u16) -> Result<SocketAddr, MediaError> {
        self.media().open_leg(call, leg)
    }

    fn ways(&self, tenant: TenantId, target: &Target) -> Vec<Way> {
        let config = self.store.snapshot();
        match target {
            Target::Number(number) => {
                let toll = config.tenant(tenant).map(|t| t.toll()).unwrap_or_default();
                if toll.is_emergency(number, CHINA) {
                    return self.emergency_way(&config, tenant, &toll, number);
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
                .and_then(|d| {
                    let contact = d.device.contact?;
                    let uri = format!("sip:{}@{contact}", d.device.username);
                    Some(Way::new(Via::Device(*id), SipTarget::udp(contact), uri))
                })
                .into_iter()
                .collect(),
            // Its owner has the way already.
            Target::Dialog => Vec::new(),
        }
    }

    fn divert(&self, tenant: TenantId, application: ApplicationId, diversion: &Diversion<'_>) -> Vec<Way> {
        let Ok((target, _)) = self.transfer_to(tenant, application, diversion.contact) else {
            return Vec::new();
        };
        let diverting = diversion.uri;
        let mut ways = self.ways(tenant, &target);
        for way in &mut ways {
            way.headers.extend(diversion_headers(
                diverting,
                &way.uri,
                diversion.status,
                diversion.count,
            ));
        }
        ways
    }

    fn transfer_to(&self, tenant: TenantId, _: ApplicationId, uri: &str) -> Result<(Target, String), u16> {
        // Whoever is elsewhere is nobody that the tenant's rules speak of.
        let here = uri.starts_with("tel:") || host_of(uri) == Some(host_of(&self.config.host).unwrap_or(""));
        let user = user_of(uri).filter(|_| here).ok_or(404u16)?;
        let config = self.store.snapshot();
        if let Some(device) = config.device_by_name(tenant, &user) {
            return Ok((Target::Device(device.device.id), user));
        }
        let number = Number::parse(&user, CHINA).map_err(|_| 404u16)?;
        let toll = config.tenant(tenant).map(|t| t.toll()).unwrap_or_default();
        toll.permitted(&number, CHINA).map_err(|denied| {
            if denied == routing::Denied::Emergency {
                tracing::error!(%tenant, "a call to an emergency number was refused: its tenant has no emergency trunk");
            }
            403u16
        })?;
        Ok((Target::Number(number), user))
    }

    fn self_way(&self, tenant: TenantId, refer_to: &ReferTo, replaces: &Replaces) -> Option<Way> {
        let name = DialogName {
            call_id: replaces.call_id.clone(),
            local_tag: replaces.to_tag.clone(),
        };
        let known = self.dialog_names.tenant_of(&name) == Some(tenant);
        let mut own = *self.sip().local_addrs().first().filter(|_| known)?;
        if own.ip().is_unspecified() {
            own.set_ip(match own {
                SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
            });
        }
        Some(Way::new(Via::Platform, SipTarget::udp(own), refer_to.uri.clone()))
    }

    fn claim(&self, via: Via) -> Option<Permit> {
        let (max, rate) = match via {
            Via::Trunk(id) => {
                let config = self.store.snapshot();
                let trunk = config.trunk(id)?;
                (trunk.max_channels, trunk.max_rate)
            }
            Via::Device(_) | Via::Platform => (0, 0),
        };
        let place = self.trunks.claim(&via, max, rate, self.now_ms()).ok()?;
        Some(Box::new(place))
    }

    fn sound(&self, tenant: TenantId, application: ApplicationId, sound: &Sound) -> Option<SoundRef> {
        self.sounds.find(tenant, application, sound)
    }

    fn random(&self) -> u128 {
        mint::random()
    }

    fn dialog_handle(&self) -> DialogHandle {
        DialogHandle(self.next_handle.fetch_add(1, Ordering::Relaxed))
    }

    fn host(&self) -> String {
        self.config.host.clone()
    }
}

/// `None` for a trunk whose server has to be located first.
fn way_over(trunk: &Trunk, dialled: &str, group: u16) -> Option<Way> {
    let address = trunk.address?;
    Some(Way {
        codecs: trunk.codecs.clone(),
        credentials: credentials_of(trunk),
        group,
        ..Way::new(
            Via::Trunk(trunk.id),
            SipTarget::udp(address),
            format!("sip:{dialled}@{}", trunk.host()),
        )
    })
}

fn credentials_of(trunk: &Trunk) -> Option<Credentials> {
    match &trunk.auth {
        TrunkAuth::Address => None,
        TrunkAuth::Digest { username, password } => Some(Credentials {
            username: username.clone(),
            password: password.clone(),
        }),
    }
}

/// The switch as the faces hold it.
#[derive(Clone)]
pub struct SwitchCalls(pub Arc<Switch>);

impl Calls for SwitchCalls {
    fn click_to_call(&self, head: Created, plan: ClickPlan, once: Option<CommandId>) -> Answer<'_, ConversationId> {
        Box::pin(async move {
            let switch = &self.0;
            // The same command at the same time waits for the first one here, so that it is not refused for the place
            // that the first one has taken.
            let _turn = match &once {
                Some(once) => Some(switch.names.turn(once).await),
                None => None,
            };
            if let Some(once) = &once
                && let Some(id) = self.started(once).await?
            {
                return Ok(id);
            }
            switch.room()?;
            let places = switch.claim_places(head.tenant, head.application)?;
            if switch.ways(head.tenant, &plan.caller.target).is_empty() {
                return Err(CallError::NoRoute);
            }
            switch.warm(head.tenant, head.application, plan.prompts());
            let id = switch.mint_conversation();
            let clock = Clock::start();
            let (owner, turn) = Owner::click_to_call(id, head, plan, &**switch, clock.now());
            let started = switch.spawn(owner, turn, clock, places, once, None);
            started
                .await
                .unwrap_or(Err(CallError::Overloaded { retry_after_secs: 1 }))
        })
    }

    fn started<'a>(&'a self, once: &'a CommandId) -> Answer<'a, Option<ConversationId>> {
        Box::pin(async move {
            match self.0.store.executed(once).await {
                Ok(None) => Ok(None),
                Ok(Some(known)) if known.same_request => Ok(Some(known.conversation)),
                Ok(Some(_)) => Err(CallError::KeyReused),
                Err(error) => Err(CallError::Journal(error.to_string())),
            }
        })
    }

    fn command(
        &self,
        tenant: TenantId,
        id: ConversationId,
        command: Command,
        once: Option<CommandId>,
    ) -> Answer<'_, Accepted> {
        Box::pin(async move {
            let live = match self.inspect(tenant, id).await {
                Ok(live) => live,
                Err(CallError::NotFound) => {
                    // An ended conversation of this tenant is refused, another tenant's is unknown (I20).
                    return match self.0.store.load_record(tenant, id).await {
                        Ok(Some(_)) => Err(CallError::Refused(Refusal::Ended)),
                        _ => Err(CallError::NotFound),
                    };
                }
                Err(other) => return Err(other),
            };
            if live.record.ended_at.is_some() {
                return Err(CallError::Refused(Refusal::Ended));
            }
            if let Command::Add(plan) = &command {
                self.0.warm(tenant, live.record.head.application, plan.prompts());
            }
            let (reply, answer) = oneshot::channel();
            let mail = Mail::Command(Box::new((command, once)), reply);
            self.0.conversations.post(id, mail).map_err(|why| match why {
                Undelivered::Full => CallError::Overloaded { retry_after_secs: 1 },
                Undelivered::Gone => CallError::Refused(Refusal::Ended),
            })?;
            answer.await.unwrap_or(Err(CallError::Refused(Refusal::Ended)))
        })
    }

    fn inspect(&self, tenant: TenantId, id: ConversationId) -> Answer<'_, Live> {
        Box::pin(async move {
            let (reply, answer) = oneshot::channel();
            self.0
                .conversations
                .post(id, Mail::Inspect(reply))
                .map_err(|why| match why {
                    Undelivered::Full => CallError::Overloaded { retry_after_secs: 1 },
                    Undelivered::Gone => CallError::NotFound,
                })?;
            let live = answer.await.map_err(|_| CallError::NotFound)?;
            if live.record.head.tenant == tenant {
                Ok(live)
            } else {
                Err(CallError::NotFound)
            }
        })
    }
}

/// The SIP engine's sink.
pub struct SipSink(pub Arc<Switch>);

impl strowger_sip::EventSink for SipSink {
    fn event(&self, handle: DialogHandle, event: SipEvent) {
        match event {
            SipEvent::Incoming(invite) => self.0.incoming(handle, *invite),
            SipEvent::OptionsResult { status } => self.0.health.result(handle, status),
            event => {
                let terminal = event.is_terminal();
                // A dialog that nobody owns any more has nobody to tell.
                let _ = self
                    .0
                    .dialogs
                    .post(handle.0, Mail::input(OwnerInput::Sip(handle, event)));
                if terminal {
                    self.0.dialogs.remove(handle.0);
                }
            }
        }
    }
}

/// The media engine's sink.
pub struct MediaSink(pub Arc<Switch>);

impl strowger_media::EventSink for MediaSink {
    fn event(&self, call: CallKey, event: strowger_media::Event) {
        // Nor has the media of a call that is over.
        let _ = self
            .0
            .conversations
            .post(ConversationId(call.0), Mail::input(OwnerInput::Media(event)));
    }
}
