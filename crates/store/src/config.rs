//! Resources of tenants, and the immutable snapshot of all of them that the hot path reads.

use crate::centre::{Centre, Centres};
use crate::devices::Devices;
use crate::identity::{ApiKey, User};
use crate::routing::Routings;
use crate::webhooks::{Webhook, Webhooks};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
pub use strowger_core::address::{AddressRange, BadRange};
use strowger_core::centre::resource::{Agent, Queue, SkillGroup};
use strowger_core::resource::{ApplicationSettings, Device, OwnedNumber, Route, Trunk};
use strowger_core::route::RoutingItem;
use strowger_core::routing::TollRules;
use strowger_core::{
    AccountId, AgentId, ApplicationId, DeviceId, GroupId, KeyId, Number, QueueId, RouteId, RoutingId, Stamp, TenantId,
    TrunkId, UserId, WebhookId,
};
use subtle::ConstantTimeEq;

/// The owner of what belongs to the platform and to no tenant: shared trunks.
pub const PLATFORM: TenantId = TenantId(0);

/// A text that must not be shown. Compared in constant time, hidden in debug prints, not serialisable.
#[derive(Clone, Default)]
pub struct Secret(String);

impl Secret {
    /// Takes the text.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The text. Named so that every use is easy to find.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Compares without telling by its duration where the difference is.
    pub fn matches(&self, text: &str) -> bool {
        self.0.as_bytes().ct_eq(text.as_bytes()).into()
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Secret) -> bool {
        self.matches(&other.0)
    }
}

impl Eq for Secret {}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A customer of the installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// Id.
    pub id: TenantId,
    /// Name, for people.
    pub name: String,
    /// Loopback, private and other special addresses that its pushes may go to. Public ones are always allowed.
    pub push_allowed: Vec<AddressRange>,
    /// Prefixes of canonical numbers that are open although they are international or premium.
    pub opened_prefixes: Vec<String>,
    /// Concurrent conversations; 0 is no limit.
    pub max_conversations: u32,
    /// New conversations per second; 0 is no limit.
    pub max_rate: u32,
    /// What its calls may cost in a day of its zone, in thousandths of a currency unit; 0 is no limit.
    pub max_daily_spend: u64,
    /// Minutes east of UTC of the zone in which its days begin.
    pub zone_minutes: i32,
    /// The host part of its devices' addresses of record, lower case, no other tenant's.
    pub domain: Option<String>,
    /// The only trunk that its calls to emergency numbers go to; `None` refuses them.
    pub emergency: Option<TrunkId>,
    /// Its emergency numbers as they are dialled, in place of [`strowger_core::routing::EMERGENCY`]; empty for those.
    pub emergency_numbers: Vec<String>,
    /// What its callers hear besides people and prompts.
    pub sounds: TenantSounds,
    /// Out of service by hand.
    pub disabled: bool,
}

/// What the callers of a tenant hear besides people and prompts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TenantSounds {
    /// Country (ISO 3166-1 alpha-2, capitals) whose tones are played; `None` for that of the installation.
    pub tones: Option<String>,
    /// Why a call failed is told by a busy or congestion tone instead of words.
    pub failure_tones: bool,
    /// Prompt for parties on hold and in queues without music of their own; `None`, or one that is not ready, for the
    /// shipped music.
    pub hold_music: Option<String>,
}

impl Tenant {
    /// What its calls may reach.
    pub fn toll(&self) -> TollRules {
        TollRules {
            opened: self.opened_prefixes.clone(),
            emergency_numbers: self.emergency_numbers.clone(),
            emergency_trunk: self.emergency,
        }
    }

    /// A tenant in service, in China's zone, without domain, limits and opened prefixes.
    pub fn new(id: TenantId, name: impl Into<String>) -> Tenant {
        Tenant {
            id,
            name: name.into(),
            push_allowed: Vec::new(),
            opened_prefixes: Vec::new(),
            max_conversations: 0,
            max_rate: 0,
            max_daily_spend: 0,
            zone_minutes: 480,
            domain: None,
            emergency: None,
            emergency_numbers: Vec::new(),
            sounds: TenantSounds::default(),
            disabled: false,
        }
    }
}

/// An API principal of a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Id: 32 hexadecimal digits in every dialect.
    pub id: AccountId,
    /// Owner.
    pub tenant: TenantId,
    /// Name, for people.
    pub name: String,
    /// Its tokens; several are valid at once while one replaces the other.
    pub tokens: Vec<Token>,
    /// Concurrent conversations; 0 is no limit.
    pub max_conversations: u32,
    /// New conversations per second; 0 is no limit.
    pub max_rate: u32,
    /// What its calls may cost in a day of the tenant's zone, in thousandths of a currency unit; 0 is no limit.
    pub max_daily_spend: u64,
    /// Out of service by hand.
    pub disabled: bool,
}

impl Account {
    /// An account in service, without tokens and limits.
    pub fn new(id: AccountId, tenant: TenantId, name: impl Into<String>) -> Account {
        Account {
            id,
            tenant,
            name: name.into(),
            tokens: Vec::new(),
            max_conversations: 0,
            max_rate: 0,
            max_daily_spend: 0,
            disabled: false,
        }
    }

    /// True if `secret` is one of the tokens that are valid now. Takes the same time whichever token it is.
    pub fn accepts(&self, secret: &str, now: Stamp) -> bool {
        self.tokens.iter().fold(false, |found, t| {
            let fits = t.secret.matches(secret) & t.valid_at(now);
            found | fits
        })
    }
}

/// A token of an account. Recoverable, because vendor signatures are computed with it; stored encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The secret.
    pub secret: Secret,
    /// Since when.
    pub created_at: Stamp,
    /// First moment at which it is not valid any more.
    pub expires_at: Option<Stamp>,
}

impl Token {
    /// True if it is valid at `now`.
    pub fn valid_at(&self, now: Stamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

/// An application of a tenant.
#[derive(Clone, Debug, PartialEq)]
pub struct Application {
    /// Id: 32 hexadecimal digits in every dialect.
    pub id: ApplicationId,
    /// Owner.
    pub tenant: TenantId,
    /// The only account that may use it; `None` for every account of the tenant.
    pub account: Option<AccountId>,
    /// Name, for people.
    pub name: String,
    /// Name of the profile that its settings were seeded from.
    pub profile: String,
    /// Its settings.
    pub settings: ApplicationSettings,
    /// Signs its pushes (HMAC-SHA-256); `None` sends them unsigned.
    pub push_secret: Option<Secret>,
    /// Out of service by hand.
    pub disabled: bool,
}

/// A device with what only the store keeps of it.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceEntry {
    /// The device.
    pub device: Device,
    /// Digest password; `None` for a device that neither registers nor calls.
    pub password: Option<Secret>,
    /// Out of service by hand.
    pub disabled: bool,
}

/// A sound that flows refer to by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// Owner.
    pub tenant: TenantId,
    /// The application that it belongs to; `None` for all of the tenant's.
    pub application: Option<ApplicationId>,
    /// Name, as requests write it.
    pub name: String,
    /// Length in milliseconds.
    pub duration_ms: u64,
    /// File name in the folder of prompts.
    pub file: String,
    /// SHA-256 of the file, hexadecimal.
    pub checksum: String,
    /// Whether it can be played.
    pub state: PromptState,
}

/// Whether a prompt can be played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PromptState {
    /// It can.
    Ready,
    /// Its file is being made or checked, or waits for somebody's approval.
    Pending,
    /// Its file is unusable.
    Failed,
    /// Somebody listened to it and refused it.
    Rejected,
}

/// Any resource, for [`Store::put`](crate::Store::put).
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "moved once per administrative request")]
pub enum Resource {
    /// A tenant.
    Tenant(Tenant),
    /// An account.
    Account(Account),
    /// An application.
    Application(Application),
    /// A trunk.
    Trunk(Trunk),
    /// A number.
    Number(OwnedNumber),
    /// A route.
    Route(Route),
    /// A device.
    Device(DeviceEntry),
    /// A prompt.
    Prompt(Prompt),
    /// A user.
    User(User),
    /// An API key.
    Key(ApiKey),
    /// An agent.
    Agent(Agent),
    /// A skill group.
    Group(SkillGroup),
    /// A queue.
    Queue(Queue),
    /// The contact centre of an application.
    Centre(Centre),
    /// A flow, a plan, a calendar, a list of numbers or a pool of display numbers.
    Routing(RoutingItem),
    /// A webhook.
    Webhook(Webhook),
}

macro_rules! resource_from {
    ($($type:ty => $variant:ident),*) => {$(
        impl From<$type> for Resource {
            fn from(value: $type) -> Resource {
                Resource::$variant(value)
            }
        }
    )*};
}
resource_from!(Tenant => Tenant, Account => Account, Application => Application, Trunk => Trunk,
    OwnedNumber => Number, Route => Route, DeviceEntry => Device, Prompt => Prompt, User => User, ApiKey => Key,
    Agent => Agent, SkillGroup => Group, Queue => Queue, Centre => Centre, RoutingItem => Routing, Webhook => Webhook);

/// The name of a resource, for [`Store::remove`](crate::Store::remove).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ResourceId {
    /// A tenant. Removing it destroys its key: its journal, records and deliveries can never be read again.
    Tenant(TenantId),
    /// An account.
    Account(AccountId),
    /// An application.
    Application(ApplicationId),
    /// A trunk.
    Trunk(TrunkId),
    /// A number.
    Number(Number),
    /// A route.
    Route(RouteId),
    /// A device.
    Device(DeviceId),
    /// A prompt: owner, application, name.
    Prompt(TenantId, Option<ApplicationId>, String),
    /// A user.
    User(UserId),
    /// An API key.
    Key(KeyId),
    /// An agent.
    Agent(AgentId),
    /// A skill group.
    Group(GroupId),
    /// A queue.
    Queue(QueueId),
    /// The contact centre of this application.
    Centre(ApplicationId),
    /// A flow, a plan, a calendar, a list of numbers or a pool of display numbers.
    Routing(RoutingId),
    /// A webhook.
    Webhook(WebhookId),
}

/// All resources at one moment. Immutable: a change makes a new one.
#[derive(Clone, Debug, Default)]
pub struct Config {
    version: u64,
    tenants: BTreeMap<TenantId, Arc<Tenant>>,
    accounts: BTreeMap<AccountId, Arc<Account>>,
    applications: BTreeMap<ApplicationId, Arc<Application>>,
    trunks: Vec<Arc<Trunk>>,
    numbers: HashMap<Number, Arc<OwnedNumber>>,
    routes: HashMap<Number, Arc<Route>>,
    devices: Devices,
    domains: HashMap<String, TenantId>,
    prompts: BTreeMap<PromptKey, Arc<Prompt>>,
    users: BTreeMap<UserId, Arc<User>>,
    keys: BTreeMap<KeyId, Arc<ApiKey>>,
    centre: Centres,
    routing: Routings,
    pub(crate) webhooks: Webhooks,
}

type PromptKey = (TenantId, Option<ApplicationId>, String);

impl Config {
    /// Counts the changes since the store was opened.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The tenant with this id.
    pub fn tenant(&self, id: TenantId) -> Option<&Arc<Tenant>> {
        self.tenants.get(&id)
    }

    /// All tenants by id.
    pub fn tenants(&self) -> impl Iterator<Item = &Arc<Tenant>> {
        self.tenants.values()
    }

    /// The tenant with this SIP domain, in any case.
    pub fn tenant_by_domain(&self, domain: &str) -> Option<&Arc<Tenant>> {
        let id = match self.domains.get(domain) {
            Some(id) => id,
            None => self.domains.get(&domain.to_ascii_lowercase())?,
        };
        self.tenants.get(id)
    }

    /// The account with this id.
    pub fn account(&self, id: AccountId) -> Option<&Arc<Account>> {
        self.accounts.get(&id)
    }

    /// All accounts by id.
    pub fn accounts(&self) -> impl Iterator<Item = &Arc<Account>> {
        self.accounts.values()
    }

    /// The application with this id.
    pub fn application(&self, id: ApplicationId) -> Option<&Arc<Application>> {
        self.applications.get(&id)
    }

    /// All applications by id.
    pub fn applications(&self) -> impl Iterator<Item = &Arc<Application>> {
        self.applications.values()
    }

    /// All trunks by id.
    pub fn trunks(&self) -> &[Arc<Trunk>] {
        &self.trunks
    }

    /// The trunk with this id.
    pub fn trunk(&self, id: TrunkId) -> Option<&Arc<Trunk>> {
        self.trunks.iter().find(|t| t.id == id)
    }

    /// The installation's number with this canonical form.
    pub fn number(&self, number: &Number) -> Option<&Arc<OwnedNumber>> {
        self.numbers.get(number)
    }

    /// All numbers, in no order.
    pub fn numbers(&self) -> impl Iterator<Item = &Arc<OwnedNumber>> {
        self.numbers.values()
    }

    /// The static route of calls to this number.
    pub fn route(&self, called: &Number) -> Option<&Arc<Route>> {
        self.routes.get(called)
    }

    /// All routes, in no order.
    pub fn routes(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.routes.values()
    }

    /// The device with this id.
    pub fn device(&self, id: DeviceId) -> Option<&Arc<DeviceEntry>> {
        self.devices.get(id)
    }

    /// The tenant's device with this user name.
    pub fn device_by_name(&self, tenant: TenantId, username: &str) -> Option<&Arc<DeviceEntry>> {
        self.devices.by_name(tenant, username)
    }

    /// The device with this user name of the tenant whose domain this is; the domain in any case.
    pub fn device_in_domain(&self, domain: &str, username: &str) -> Option<&Arc<DeviceEntry>> {
        self.devices.by_name(self.tenant_by_domain(domain)?.id, username)
    }

    /// The device with this user name, if no two tenants have one.
    pub fn device_by_username_anywhere(&self, username: &str) -> Option<&Arc<DeviceEntry>> {
        self.devices.anywhere(username)
    }

    /// All devices by id.
    pub fn devices(&self) -> impl Iterator<Item = &Arc<DeviceEntry>> {
        self.devices.all()
    }

    /// The prompt that `name` means in an application: its own one before the tenant's shared one.
    pub fn prompt(&self, tenant: TenantId, application: ApplicationId, name: &str) -> Option<&Arc<Prompt>> {
        let find = |application| self.prompts.get(&(tenant, application, name.to_owned()));
        find(Some(application)).or_else(|| find(None))
    }

    /// All prompts by tenant, application and name.
    pub fn prompts(&self) -> impl Iterator<Item = &Arc<Prompt>> {
        self.prompts.values()
    }

    /// The user with this id.
    pub fn user(&self, id: UserId) -> Option<&Arc<User>> {
        self.users.get(&id)
    }

    /// The tenant's user of this name, in any case.
    pub fn user_by_name(&self, tenant: TenantId, name: &str) -> Option<&Arc<User>> {
        let name = name.to_lowercase();
        self.users.values().find(|u| u.tenant == tenant && u.name == name)
    }

    /// All users by id.
    pub fn users(&self) -> impl Iterator<Item = &Arc<User>> {
        self.users.values()
    }

    /// The API key with this id.
    pub fn key(&self, id: KeyId) -> Option<&Arc<ApiKey>> {
        self.keys.get(&id)
    }

    /// All API keys by id.
    pub fn keys(&self) -> impl Iterator<Item = &Arc<ApiKey>> {
        self.keys.values()
    }

    /// Agents, skill groups, queues and the settings of contact centres.
    pub fn centre(&self) -> &Centres {
        &self.centre
    }

    /// Flows, plans, calendars, lists of numbers and pools of display numbers.
    pub fn routing(&self) -> &Routings {
        &self.routing
    }

    /// What a tenant can see: its own resources and the platform's trunks, and nothing of any other tenant. A handler
    /// that looks in here cannot find what is another's (domain-model I20).
    pub fn confined(&self, tenant: TenantId) -> Config {
        let own = |id: TenantId| id == tenant;
        let mut seen = Config {
            version: self.version,
            trunks: self
                .trunks
                .iter()
                .filter(|t| t.tenant.is_none_or(own))
                .cloned()
                .collect(),
            devices: self.devices.of_tenant(tenant),
            centre: self.centre.kept(own),
            routing: self.routing.kept(own),
            webhooks: self.webhooks.kept(own),
            ..Config::default()
        };
        seen.tenants
            .extend(self.tenants.get(&tenant).map(|t| (tenant, t.clone())));
        seen.domains.extend(
            self.domains
                .iter()
                .filter(|(_, t)| own(**t))
                .map(|(d, t)| (d.clone(), *t)),
        );
        let accounts = self.accounts.iter().filter(|(_, a)| own(a.tenant));
        seen.accounts.extend(accounts.map(|(id, a)| (*id, a.clone())));
        let applications = self.applications.iter().filter(|(_, a)| own(a.tenant));
        seen.applications.extend(applications.map(|(id, a)| (*id, a.clone())));
        let numbers = self.numbers.iter().filter(|(_, n)| own(n.tenant));
        seen.numbers.extend(numbers.map(|(id, n)| (id.clone(), n.clone())));
        let routes = self
            .routes
            .iter()
            .filter(|(_, r)| seen.applications.contains_key(&r.application));
        seen.routes.extend(routes.map(|(id, r)| (id.clone(), r.clone())));
        let prompts = self.prompts.iter().filter(|(_, p)| own(p.tenant));
        seen.prompts.extend(prompts.map(|(id, p)| (id.clone(), p.clone())));
        let users = self.users.iter().filter(|(_, u)| own(u.tenant));
        seen.users.extend(users.map(|(id, u)| (*id, u.clone())));
        let keys = self.keys.iter().filter(|(_, k)| own(k.tenant));
        seen.keys.extend(keys.map(|(id, k)| (*id, k.clone())));
        seen
    }

    /// True if a resource with this name exists.
    pub fn contains(&self, id: &ResourceId) -> bool {
        match id {
            ResourceId::Tenant(id) => self.tenants.contains_key(id),
            ResourceId::Account(id) => self.accounts.contains_key(id),
            ResourceId::Application(id) => self.applications.contains_key(id),
            ResourceId::Trunk(id) => self.trunk(*id).is_some(),
            ResourceId::Number(n) => self.numbers.contains_key(n),
            ResourceId::Route(id) => self.routes.values().any(|r| r.id == *id),
            ResourceId::Device(id) => self.devices.get(*id).is_some(),
            ResourceId::Prompt(t, a, n) => self.prompts.contains_key(&(*t, *a, n.clone())),
            ResourceId::User(id) => self.users.contains_key(id),
            ResourceId::Key(id) => self.keys.contains_key(id),
            ResourceId::Agent(_)
            | ResourceId::Group(_)
            | ResourceId::Queue(_)
            | ResourceId::Centre(_)
            | ResourceId::Routing(_)
            | ResourceId::Webhook(_) => self.owner(id).is_some(),
        }
    }

    /// The owner of a resource, [`PLATFORM`] for a shared trunk.
    pub fn owner(&self, id: &ResourceId) -> Option<TenantId> {
        match id {
            ResourceId::Tenant(id) => self.tenants.get(id).map(|t| t.id),
            ResourceId::Account(id) => self.accounts.get(id).map(|a| a.tenant),
            ResourceId::Application(id) => self.applications.get(id).map(|a| a.tenant),
            ResourceId::Trunk(id) => self.trunk(*id).map(|t| t.tenant.unwrap_or(PLATFORM)),
            ResourceId::Number(n) => self.numbers.get(n).map(|n| n.tenant),
            ResourceId::Route(id) => {
                let route = self.routes.values().find(|r| r.id == *id)?;
                self.applications.get(&route.application).map(|a| a.tenant)
            }
            ResourceId::Device(id) => self.devices.get(*id).map(|d| d.device.tenant),
            ResourceId::Prompt(t, a, n) => self.prompts.get(&(*t, *a, n.clone())).map(|p| p.tenant),
            ResourceId::User(id) => self.users.get(id).map(|u| u.tenant),
            ResourceId::Key(id) => self.keys.get(id).map(|k| k.tenant),
            ResourceId::Agent(id) => self.centre.agent(*id).map(|a| a.tenant),
            ResourceId::Group(id) => self.centre.group(*id).map(|g| g.tenant),
            ResourceId::Queue(id) => self.centre.queue(*id).map(|q| q.tenant),
            ResourceId::Centre(id) => self.centre.centre(*id).map(|c| c.tenant),
            ResourceId::Routing(id) => self.routing.get(*id).map(|r| r.tenant),
            ResourceId::Webhook(id) => self.webhooks.get(*id).map(|w| w.tenant),
        }
    }

    /// Adds or replaces one resource in a copy that something is tried out in. What is in the store changes by
    /// [`Store::apply`](crate::Store::apply) alone.
    pub fn stage(&mut self, resource: Resource) {
        self.insert(resource);
    }

    /// Takes one resource out of such a copy.
    pub fn unstage(&mut self, id: &ResourceId) {
        self.delete(id);
    }

    /// Adds or replaces one resource.
    pub(crate) fn insert(&mut self, resource: Resource) {
        self.version += 1;
        match resource {
            Resource::Tenant(t) => {
                self.domains.retain(|_, owner| *owner != t.id);
                if let Some(domain) = &t.domain {
                    self.domains.insert(domain.clone(), t.id);
                }
                self.tenants.insert(t.id, Arc::new(t));
            }
            Resource::Account(a) => {
                self.accounts.insert(a.id, Arc::new(a));
            }
            Resource::Application(a) => {
                self.applications.insert(a.id, Arc::new(a));
            }
            Resource::Trunk(t) => {
                self.trunks.retain(|old| old.id != t.id);
                self.trunks.push(Arc::new(t));
                self.trunks.sort_by_key(|t| t.id);
            }
            Resource::Number(n) => {
                self.numbers.insert(n.number.clone(), Arc::new(n));
            }
            Resource::Route(r) => {
                self.routes.retain(|_, old| old.id != r.id);
                self.routes.insert(r.number.clone(), Arc::new(r));
            }
            Resource::Device(d) => {
                self.devices.insert(Arc::new(d));
            }
            Resource::Prompt(p) => {
                self.prompts
                    .insert((p.tenant, p.application, p.name.clone()), Arc::new(p));
            }
            Resource::User(u) => {
                self.users.insert(u.id, Arc::new(u));
            }
            Resource::Key(k) => {
                self.keys.insert(k.id, Arc::new(k));
            }
            Resource::Agent(a) => self.centre.insert_agent(a),
            Resource::Group(g) => self.centre.insert_group(g),
            Resource::Queue(q) => self.centre.insert_queue(q),
            Resource::Centre(c) => self.centre.insert_centre(c),
            Resource::Routing(r) => self.routing.insert(r),
            Resource::Webhook(w) => self.webhooks.insert(w),
        }
    }

    /// Takes one resource out; a tenant goes with all that it owns.
    pub(crate) fn delete(&mut self, id: &ResourceId) {
        self.version += 1;
        match id {
            ResourceId::Tenant(id) => {
                self.tenants.remove(id);
                self.accounts.retain(|_, a| a.tenant != *id);
                let applications = &self.applications;
                self.routes
                    .retain(|_, r| applications.get(&r.application).is_some_and(|a| a.tenant != *id));
                self.applications.retain(|_, a| a.tenant != *id);
                self.trunks.retain(|t| t.tenant != Some(*id));
                self.numbers.retain(|_, n| n.tenant != *id);
                self.devices.remove_tenant(*id);
                self.domains.retain(|_, owner| owner != id);
                self.prompts.retain(|_, p| p.tenant != *id);
                self.users.retain(|_, u| u.tenant != *id);
                self.keys.retain(|_, k| k.tenant != *id);
                self.centre = self.centre.kept(|tenant| tenant != *id);
                self.routing = self.routing.kept(|tenant| tenant != *id);
                self.webhooks = self.webhooks.kept(|tenant| tenant != *id);
            }
            ResourceId::Account(id) => {
                self.accounts.remove(id);
            }
            ResourceId::Application(id) => {
                self.applications.remove(id);
            }
            ResourceId::Trunk(id) => self.trunks.retain(|t| t.id != *id),
            ResourceId::Number(n) => {
                self.numbers.remove(n);
            }
            ResourceId::Route(id) => self.routes.retain(|_, r| r.id != *id),
            ResourceId::Device(id) => {
                self.devices.remove(*id);
            }
            ResourceId::Prompt(t, a, n) => {
                self.prompts.remove(&(*t, *a, n.clone()));
            }
            ResourceId::User(id) => {
                self.users.remove(id);
            }
            ResourceId::Key(id) => {
                self.keys.remove(id);
            }
            ResourceId::Agent(id) => self.centre.remove_agent(*id),
            ResourceId::Group(id) => self.centre.remove_group(*id),
            ResourceId::Queue(id) => self.centre.remove_queue(*id),
            ResourceId::Centre(id) => self.centre.remove_centre(*id),
            ResourceId::Routing(id) => self.routing.remove(*id),
            ResourceId::Webhook(id) => self.webhooks.remove(*id),
        }
    }
}

impl Resource {
    /// The resource's name.
    pub fn id(&self) -> ResourceId {
        match self {
            Resource::Tenant(t) => ResourceId::Tenant(t.id),
            Resource::Account(a) => ResourceId::Account(a.id),
            Resource::Application(a) => ResourceId::Application(a.id),
            Resource::Trunk(t) => ResourceId::Trunk(t.id),
            Resource::Number(n) => ResourceId::Number(n.number.clone()),
            Resource::Route(r) => ResourceId::Route(r.id),
            Resource::Device(d) => ResourceId::Device(d.device.id),
            Resource::Prompt(p) => ResourceId::Prompt(p.tenant, p.application, p.name.clone()),
            Resource::User(u) => ResourceId::User(u.id),
            Resource::Key(k) => ResourceId::Key(k.id),
            Resource::Agent(a) => ResourceId::Agent(a.id),
            Resource::Group(g) => ResourceId::Group(g.id),
            Resource::Queue(q) => ResourceId::Queue(q.id),
            Resource::Centre(c) => ResourceId::Centre(c.application),
            Resource::Routing(r) => ResourceId::Routing(r.id),
            Resource::Webhook(w) => ResourceId::Webhook(w.id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // accept: voice-paas 8
    #[test]
    fn two_tokens_overlap_and_the_old_one_expires() {
        let account = Account {
            tokens: vec![
                Token {
                    secret: Secret::new("old"),
                    created_at: Stamp(0),
                    expires_at: Some(Stamp(100)),
                },
                Token {
                    secret: Secret::new("new"),
                    created_at: Stamp(50),
                    expires_at: None,
                },
            ],
            ..Account::new(AccountId(1), TenantId(1), "")
        };
        assert!(account.accepts("old", Stamp(99)) && account.accepts("new", Stamp(99)));
        assert!(!account.accepts("old", Stamp(100)) && account.accepts("new", Stamp(100)));
        assert!(!account.accepts("", Stamp(0)));
        assert!(!format!("{account:?}").contains("new"));
    }
}
