//! The switch: what all conversations of a process share, and how calls come into being.

use crate::batches::Batches;
use crate::calls::{Answer, CallError, Calls, Live};
use crate::carriers::Carriers;
use crate::centre::Centres;
use crate::clock::{Clock, wall_now};
use crate::commit::{Committer, Conditions, Projectors};
use crate::dialogs::DialogNames;
use crate::display::Displays;
use crate::door::{Door, DoorSettings, Reply};
use crate::equipment::Equipment;
use crate::gate::{Full, Gates, Place};
use crate::health::Health;
use crate::ladder::{Ladder, LadderSettings};
use crate::mailbox::{Directory, Inbox, Mail, Mailbox, Undelivered};
use crate::mint;
use crate::names::Names;
use crate::owner::{Owner, OwnerInput, Permit, Turn, World};
use crate::sounds::SoundLibrary;
use crate::spend::Spending;
use crate::task::Task;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use strowger_core::call::{Accepted, ClickPlan, Command, Prompt, Refusal, Sound};
use strowger_core::event::{Created, OneWay, Via};
use strowger_core::project::{Subscription, Topic};
use strowger_core::resource::{Trunk, TrunkAuth};
use strowger_core::{AccountId, ApplicationId, ConversationId, TenantId};
use strowger_media::CallKey;
use strowger_sip::EndpointHandle;
use strowger_sip_core::sdp::Codec;
use strowger_sip_core::{
    Command as SipCommand, Credentials, DialogHandle, FlowId, Method, OutsideRequest, SipEvent, Transport,
};
use strowger_store::webhooks::Webhook;
use strowger_store::{Application, CommandId, Store};
use tokio::sync::{Notify, oneshot};

/// Settings of the switch.
#[derive(Clone)]
pub struct SwitchConfig {
    /// Host parts of our own URIs: the advertised addresses of the SIP interfaces. The first one, with its port, is what
    /// we write; all of them, without ports, are understood. Must not be empty.
    pub hosts: Vec<String>,
    /// Conversations held at once; beyond it new calls are refused with 503 and Retry-After.
    pub max_conversations: usize,
    /// Names of the codecs that are offered to devices and over trunks without a list ([`crate::owner::CODECS`]), most
    /// preferred first. G.711 comes last where it is not named.
    pub codecs: Vec<String>,
    /// Registrations, limits and bans.
    pub door: DoorSettings,
    /// How many messages are kept for ladders.
    pub ladder: LadderSettings,
    /// How long the talk of a browser is kept that is not heard any more.
    pub browser_grace: Duration,
    /// Who is told about a call that came in for an application; the runtime itself knows no projector.
    pub incoming: IncomingSubscriptions,
}

/// The name of the projector that makes what webhooks are told.
pub const WEBHOOKS: &str = "webhook";

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
    equipment: OnceLock<Equipment>,
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
    accounts: Gates<AccountId>,
    tenants: Gates<TenantId>,
    /// What calls cost.
    pub spending: Spending,
    /// What outgoing calls show.
    pub(crate) displays: Displays,
    names: Names,
    /// The desks of the contact centres.
    pub(crate) centres: Centres,
    /// Batches of notices that are not through.
    pub batches: Batches,
    /// Who may come in, and where devices are.
    pub door: Door,
    /// Where trunks are, and our registrations with them.
    pub carriers: Carriers,
    /// Diagnoses of one-way audio, in the order of [`OneWay::ALL`].
    one_way: [AtomicU64; OneWay::ALL.len()],
    /// What was said on the wire.
    pub ladder: Arc<Ladder>,
    draining: AtomicBool,
    next_handle: AtomicU64,
    clock: Clock,
}

impl Switch {
    /// A switch without engines; [`attach`](Switch::attach) gives it those. To be called inside a tokio runtime.
    pub fn new(config: SwitchConfig, store: Store, sounds: SoundLibrary, projectors: Projectors) -> Arc<Switch> {
        let door = Door::new(store.clone(), &config.hosts[0], config.door.clone());
        let ladder = Arc::new(Ladder::new(config.ladder));
        Arc::new(Switch {
            door,
            carriers: Carriers::default(),
            one_way: Default::default(),
            ladder,
            config,
            store,
            sounds,
            projectors,
            sip: OnceLock::new(),
            media: OnceLock::new(),
            equipment: OnceLock::new(),
            runtime: tokio::runtime::Handle::current(),
            conversations: Directory::default(),
            dialogs: Directory::default(),
            dialog_names: DialogNames::default(),
            ended: Notify::new(),
            health: Health::default(),
            trunks: Gates::default(),
            applications: Gates::default(),
            accounts: Gates::default(),
            tenants: Gates::default(),
            spending: Spending::default(),
            displays: Displays::default(),
            names: Names::default(),
            centres: Centres::default(),
            batches: Batches::default(),
            draining: AtomicBool::new(false),
            next_handle: AtomicU64::new(1),
            clock: Clock::start(),
        })
    }

    /// The configured codecs as they are offered.
    pub(crate) fn offered_codecs(&self) -> Vec<Codec> {
        let mut names: Vec<&str> = self.config.codecs.iter().map(String::as_str).collect();
        for always in ["PCMA", "PCMU"] {
            if !names.iter().any(|n| n.eq_ignore_ascii_case(always)) {
                names.push(always);
            }
        }
        names.into_iter().filter_map(crate::owner::codec).collect()
    }

    /// Connects the engines. Their sinks are made from this switch, so it exists before them.
    pub fn attach(&self, sip: EndpointHandle, media: strowger_media::Handle) {
        self.door.trust(sip.local_addrs());
        let _ = self.sip.set(sip);
        let _ = self.media.set(media);
    }

    /// Gives it what flows and plans ask for. Once, before the first call; without it they ask in vain.
    pub fn equip(&self, equipment: Equipment) {
        let _ = self.equipment.set(equipment);
    }

    pub(crate) fn equipment(&self) -> &Equipment {
        self.equipment.get_or_init(Equipment::default)
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

    /// How long the talk of a browser is kept that is not heard any more.
    pub(crate) fn browser_grace(&self) -> Duration {
        self.config.browser_grace
    }

    /// The event loop of the owners.
    pub(crate) fn runtime(&self) -> &tokio::runtime::Handle {
        &self.runtime
    }

    /// Who is told about a call that came in for an application.
    pub(crate) fn subscriptions(&self, app: &Application) -> Vec<Subscription> {
        let mut all = (self.config.incoming)(app);
        all.extend(self.webhooks(app.tenant, app.id));
        all
    }

    /// Who is told of an application's calls in the native form.
    pub(crate) fn webhooks(&self, tenant: TenantId, application: ApplicationId) -> Vec<Subscription> {
        let config = self.store.snapshot();
        let subscription = |w: &Arc<Webhook>| Subscription {
            topic: Topic::Event,
            url: w.url.clone(),
            projector: WEBHOOKS.to_owned(),
            context: vec![
                ("webhook".to_owned(), w.id.to_string()),
                ("events".to_owned(), w.events.join(" ")),
            ],
        };
        config.webhooks_of(tenant, application).map(subscription).collect()
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

    /// Legs that were found to have one-way audio since the start, by cause.
    pub fn one_way(&self) -> [(OneWay, u64); OneWay::ALL.len()] {
        std::array::from_fn(|i| (OneWay::ALL[i], self.one_way[i].load(Ordering::Relaxed)))
    }

    pub(crate) fn count_one_way(&self, cause: OneWay) {
        if let Some(i) = OneWay::ALL.iter().position(|c| *c == cause) {
            self.one_way[i].fetch_add(1, Ordering::Relaxed);
        }
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

    pub(crate) fn room(&self) -> Result<(), CallError> {
        if self.is_draining() {
            return Err(CallError::Draining);
        }
        if self.conversations.len() >= self.config.max_conversations {
            return Err(CallError::Overloaded { retry_after_secs: 5 });
        }
        Ok(())
    }

    /// Takes a place on a trunk or device; `None` if it is full.
    pub(crate) fn claim_channel(&self, via: Via) -> Option<Permit> {
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

    /// A handle that no live dialog has.
    pub(crate) fn next_dialog(&self) -> DialogHandle {
        DialogHandle(self.next_handle.fetch_add(1, Ordering::Relaxed))
    }

    /// Dialogs that we have begun so far.
    pub(crate) fn dialogs_made(&self) -> u64 {
        self.next_handle.load(Ordering::Relaxed)
    }

    /// Hosts that our URIs may name; the first is the one that we write.
    pub(crate) fn hosts(&self) -> &[String] {
        &self.config.hosts
    }

    /// Takes the places of a new conversation at its application, account and tenant.
    pub(crate) fn claim_places(
        &self,
        tenant: TenantId,
        application: ApplicationId,
        account: Option<AccountId>,
    ) -> Result<Vec<Place>, CallError> {
        let config = self.store.snapshot();
        let mut places = Vec::with_capacity(3);
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
        if let Some(a) = account.and_then(|id| config.account(id)) {
            let place = self
                .accounts
                .claim(&a.id, a.max_conversations, a.max_rate, self.now_ms());
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

    /// Reads and decodes prompts on the caller's thread: the signalling loop, which plays them, never touches a disk.
    pub(crate) fn warm<'a>(
        &self,
        tenant: TenantId,
        application: ApplicationId,
        prompts: impl Iterator<Item = &'a Prompt>,
    ) {
        for prompt in prompts {
            self.sounds
                .find(tenant, application, &Sound::Prompt(prompt.name.clone()));
        }
    }

    pub(crate) fn mint_conversation(&self) -> ConversationId {
        ConversationId::mint(wall_now().0.unsigned_abs(), mint::random() as u64)
    }

    pub(crate) fn spawn(
        self: &Arc<Self>,
        owner: Owner,
        first: Turn,
        clock: Clock,
        places: Vec<Place>,
        on: Conditions,
        incoming: Option<DialogHandle>,
    ) -> oneshot::Receiver<Result<ConversationId, CallError>> {
        self.spawn_in(Mailbox::new(), owner, first, clock, places, on, incoming)
    }

    /// The same with a mailbox that may have letters already.
    #[allow(clippy::too_many_arguments, reason = "what a conversation's task begins with")]
    pub(crate) fn spawn_in(
        self: &Arc<Self>,
        (mailbox, inbox): (Mailbox, Inbox),
        owner: Owner,
        first: Turn,
        clock: Clock,
        places: Vec<Place>,
        on: Conditions,
        incoming: Option<DialogHandle>,
    ) -> oneshot::Receiver<Result<ConversationId, CallError>> {
        self.conversations.insert(owner.machine().id(), mailbox.clone());
        // A caller may give up while its conversation is being committed.
        if let Some(handle) = incoming {
            self.dialogs.insert(handle.0, mailbox.clone());
        }
        let task = Box::new(Task {
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
        });
        let (started, answer) = oneshot::channel();
        self.runtime.spawn(task.run(first, on, started));
        answer
    }
}

/// The user part of a SIP or tel URI inside a header value or alone, without parameters.
pub(crate) fn user_of(value: &str) -> Option<String> {
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

pub(crate) fn credentials_of(trunk: &Trunk) -> Option<Credentials> {
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
    fn click_to_call(&self, mut head: Created, plan: ClickPlan, once: Option<CommandId>) -> Answer<'_, ConversationId> {
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
            let targets = [&plan.caller.target, &plan.callee.target];
            switch.may_spend(head.tenant, head.account, &targets)?;
            let places = switch.claim_places(head.tenant, head.application, head.account)?;
            if switch.ways(head.tenant, &plan.caller.target).is_empty() {
                return Err(CallError::NoRoute);
            }
            switch.warm(head.tenant, head.application, plan.prompts());
            let id = switch.mint_conversation();
            head.subscriptions
                .extend(switch.webhooks(head.tenant, head.application));
            let clock = Clock::start();
            let (owner, turn) = Owner::click_to_call(id, head, plan, &**switch, clock.now());
            let started = switch.spawn(owner, turn, clock, places, once.into(), None);
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
            SipEvent::Request(request) => self.0.request(handle, &request),
            // Its answer came too late; the stack has given one.
            SipEvent::RequestExpired => {}
            SipEvent::RegisterResult(result) => {
                self.0.carriers.registered(handle, &result);
            }
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

    fn flow_closed(&self, flow: FlowId) {
        self.0.door.flow_closed(flow);
    }
}

/// Which sources are heard.
pub struct Doorkeeper(pub Arc<Switch>);

impl strowger_sip::Admission for Doorkeeper {
    fn admit(&self, _: Transport, source: SocketAddr) -> bool {
        self.0.door.admits(source)
    }
}

impl Switch {
    /// A request outside of any dialog.
    fn request(&self, handle: DialogHandle, request: &OutsideRequest) {
        let reply = match request.method {
            Method::Register => self.door.register(request),
            _ => Reply {
                status: 405,
                phrase: None,
                headers: Vec::new(),
            },
        };
        let answer = SipCommand::Reply {
            handle,
            status: reply.status,
            phrase: reply.phrase,
            headers: reply.headers,
            body: None,
        };
        if self.sip().send(answer).is_err() {
            tracing::warn!("an answer could not be sent: the SIP engine's queue is full");
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
