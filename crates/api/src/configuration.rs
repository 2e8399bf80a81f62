//! Bulk export and import: a tenant's configuration as one file, by name and without secrets; what a file would change;
//! applying all of it or nothing; putting back what was there before.
//!
//! An import goes through the same checks as single requests, on a copy of the configuration, and is then stored in one
//! transaction. Entries are found by their names: applications and webhooks by name, devices by user name, routes by number, and groups,
//! queues and agents by name within their application.

use crate::applications;
use crate::centre::{self, agents, groups, queues, settings};
use crate::desk::{About, Desk};
use crate::devices;
use crate::error::{Code, Problem};
use crate::request::{self, Answer, Body, OfTenant, Query};
use crate::routes;
use crate::routing;
use crate::webhooks;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use strowger_core::centre::resource::{Agent, Overflow, Queue, SkillGroup};
use strowger_core::resource::{Device, Route, RouteTarget};
use strowger_core::route::{ItemKind, RoutingItem};
use strowger_core::{AgentId, ApplicationId, DeviceId, GroupId, QueueId, RouteId, TenantId};
use strowger_store::centre::Centre;
use strowger_store::config::{Application, Config, DeviceEntry, Resource, ResourceId};
use strowger_store::webhooks::Webhook;
use utoipa::ToSchema;

/// Entries of one kind.
type Entries = Vec<Map<String, Value>>;

/// A tenant's configuration. Each entry has the members of the requests that create and change its kind; what it refers to
/// is named.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Configuration)]
pub(crate) struct File {
    /// 1.
    version: u32,
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    applications: Entries,
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    devices: Entries,
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    groups: Entries,
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    queues: Entries,
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    agents: Entries,
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    centres: Entries,
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    calendars: Entries,
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    lists: Entries,
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    display_pools: Entries,
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    flows: Entries,
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    plans: Entries,
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    routes: Entries,
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    webhooks: Entries,
}

/// Kinds in the order in which they can be made.
const KINDS: [&str; 13] = [
    "applications",
    "devices",
    "groups",
    "queues",
    "agents",
    "centres",
    "calendars",
    "lists",
    "display_pools",
    "flows",
    "plans",
    "routes",
    "webhooks",
];

/// The kind of a routing resource in a file.
fn item_kind(kind: &str) -> Option<ItemKind> {
    match kind {
        "calendars" => Some(ItemKind::Calendar),
        "lists" => Some(ItemKind::List),
        "display_pools" => Some(ItemKind::Display),
        "flows" => Some(ItemKind::Flow),
        "plans" => Some(ItemKind::Plan),
        _ => None,
    }
}

/// Most entries of a file.
const MOST: usize = 50_000;

impl File {
    fn of_kind(&self, kind: &str) -> &Entries {
        match kind {
            "applications" => &self.applications,
            "devices" => &self.devices,
            "groups" => &self.groups,
            "queues" => &self.queues,
            "agents" => &self.agents,
            "centres" => &self.centres,
            "calendars" => &self.calendars,
            "lists" => &self.lists,
            "display_pools" => &self.display_pools,
            "flows" => &self.flows,
            "plans" => &self.plans,
            "webhooks" => &self.webhooks,
            _ => &self.routes,
        }
    }
}

/// The name of an application, or its id if another one has the same name.
fn application_name(config: &Config, id: ApplicationId) -> String {
    let Some(a) = config.application(id) else {
        return id.to_string();
    };
    match config.applications().filter(|o| o.name == a.name).count() {
        1 => a.name.clone(),
        _ => id.to_string(),
    }
}

/// Kind, name within the kind, and entry of a resource that is part of a file.
fn entry(config: &Config, resource: &Resource) -> Option<(&'static str, String, Map<String, Value>)> {
    let app = |id| application_name(config, id);
    let within = |application: &str, name: &str| format!("{application}/{name}");
    let (kind, key, mut value) = match resource {
        Resource::Application(a) => {
            let key = app(a.id);
            let mut value = view(applications::View::of(a));
            value["name"] = json!(key);
            empty(&mut value["settings"], &["default_cli", "record_url"]);
            empty(&mut value["settings"]["notices"], &["result_url"]);
            ("applications", key, only(value, &["name", "settings", "disabled"]))
        }
        Resource::Device(d) => {
            let mut value = view(devices::View::of(d));
            value["application"] = json!(d.device.application.map(app).unwrap_or_default());
            empty(&mut value, &["contact", "cli"]);
            let members = ["username", "contact", "application", "cli", "dtmf", "media", "disabled"];
            ("devices", d.device.username.clone(), only(value, &members))
        }
        Resource::Group(g) => {
            let application = app(g.application);
            let key = within(&application, &g.name);
            let numbers: Vec<&str> = g.numbers.iter().map(|n| n.as_str()).collect();
            (
                "groups",
                key,
                json!({ "application": application, "name": g.name, "numbers": numbers }),
            )
        }
        Resource::Queue(q) => {
            let application = app(q.application);
            let key = within(&application, &q.name);
            let mut settings = view(queues::View::of(q));
            if let Some(members) = settings.as_object_mut() {
                for member in ["id", "tenant", "application", "name", "group"] {
                    members.remove(member);
                }
            }
            empty(&mut settings, &["music", "callback_prompt"]);
            settings["ring_secs"] = json!(q.ring_secs.unwrap_or(0));
            if let Overflow::Queue(next) = &q.overflow {
                settings["overflow"] = json!({ "queue": config.centre().queue(*next).map(|n| n.name.clone()) });
            }
            let group = config.centre().group(q.group).map(|g| g.name.clone());
            let value = json!({ "application": application, "name": q.name, "group": group, "settings": settings });
            ("queues", key, value)
        }
        Resource::Agent(a) => {
            let application = app(a.application);
            let key = within(&application, &a.login);
            let mut value = view(agents::View::of(a));
            value["application"] = json!(application);
            value["user"] = json!(
                a.user
                    .and_then(|u| config.user(u))
                    .map(|u| u.name.clone())
                    .unwrap_or_default()
            );
            let group = |id| config.centre().group(id).map(|g| g.name.clone());
            let skills = a
                .skills
                .iter()
                .map(|s| json!({ "group": group(s.group), "level": s.level }));
            value["skills"] = skills.collect();
            let device = |d: &DeviceId| config.device(*d).map(|d| d.device.username.clone());
            value["devices"] = json!(a.devices.iter().filter_map(device).collect::<Vec<_>>());
            empty(&mut value, &["mobile"]);
            let mut reset = Vec::new();
            for (member, unset) in [
                ("wrap_up", a.wrap_up.is_none()),
                ("chat_capacity", a.chat_capacity.is_none()),
            ] {
                if unset {
                    reset.push(member);
                    value.as_object_mut().and_then(|v| v.remove(member));
                }
            }
            value["reset"] = json!(reset);
            if let Some(members) = value.as_object_mut() {
                members.remove("id");
                members.remove("tenant");
            }
            ("agents", key, value)
        }
        Resource::Centre(c) => {
            let application = app(c.application);
            let mut value = view(settings::View::of(c));
            value["application"] = json!(application);
            empty(&mut value, &["survey"]);
            (
                "centres",
                application,
                only(value, &["application", "settings", "break_reasons", "survey"]),
            )
        }
        Resource::Routing(item) => {
            let application = app(item.application);
            let kind = KINDS.iter().find(|k| item_kind(k) == Some(item.body.kind()))?;
            let members = routing::entry(config, item, &application)?;
            return Some((kind, within(&application, &item.name), members));
        }
        Resource::Route(r) => {
            let named = |id| config.routing().get(id).map(|i| i.name.clone());
            let target = match &r.target {
                RouteTarget::Flow(f) => json!({ "flow": named(*f) }),
                RouteTarget::Plan(p) => json!({ "plan": named(*p) }),
                RouteTarget::Number(n) => json!({ "number": n.as_str() }),
                RouteTarget::Device(d) => json!({ "device": config.device(*d).map(|d| d.device.username.clone()) }),
                RouteTarget::Trunk(t) => json!({ "trunk": t.to_string() }),
                RouteTarget::Queue(q) => json!({ "queue": config.centre().queue(*q).map(|q| q.name.clone()) }),
                RouteTarget::Agent(a) => json!({ "agent": config.centre().agent(*a).map(|a| a.login.clone()) }),
            };
            let number = r.number.as_str();
            let value = json!({ "application": app(r.application), "number": number, "target": target });
            ("routes", number.to_owned(), value)
        }
        Resource::Webhook(w) => {
            let mut value = view(webhooks::View::of(w));
            value["application"] = json!(w.application.map(app).unwrap_or_default());
            let members = ["name", "application", "url", "events", "disabled"];
            ("webhooks", w.name.clone(), only(value, &members))
        }
        _ => return None,
    };
    let members = value.as_object_mut().map(std::mem::take)?;
    Some((kind, key, members))
}

fn view(view: impl Serialize) -> Value {
    serde_json::to_value(view).unwrap_or_default()
}

fn only(mut value: Value, members: &[&str]) -> Value {
    if let Some(all) = value.as_object_mut() {
        all.retain(|name, _| members.contains(&name.as_str()));
    }
    value
}

/// Members whose absence requests write as an empty text.
fn empty(value: &mut Value, members: &[&str]) {
    for member in members {
        if value[*member].is_null() {
            value[*member] = json!("");
        }
    }
}

/// All of a tenant's resources that are part of a file, in the order of [`KINDS`].
fn resources(config: &Config, tenant: TenantId) -> Vec<Resource> {
    let centre = config.centre();
    let own = |id: ApplicationId| config.application(id).is_some_and(|a| a.tenant == tenant);
    let mut all: Vec<Resource> = Vec::new();
    all.extend(
        config
            .applications()
            .filter(|a| a.tenant == tenant)
            .map(|a| Application::clone(a).into()),
    );
    all.extend(
        config
            .devices()
            .filter(|d| d.device.tenant == tenant)
            .map(|d| DeviceEntry::clone(d).into()),
    );
    all.extend(
        centre
            .groups()
            .filter(|g| g.tenant == tenant)
            .map(|g| SkillGroup::clone(g).into()),
    );
    all.extend(
        centre
            .queues()
            .filter(|q| q.tenant == tenant)
            .map(|q| Queue::clone(q).into()),
    );
    all.extend(
        centre
            .agents()
            .filter(|a| a.tenant == tenant)
            .map(|a| Agent::clone(a).into()),
    );
    all.extend(
        centre
            .centres()
            .filter(|c| c.tenant == tenant)
            .map(|c| Centre::clone(c).into()),
    );
    let items = config.routing().all().filter(|i| i.tenant == tenant);
    all.extend(items.map(|i| RoutingItem::clone(i).into()));
    all.extend(
        config
            .routes()
            .filter(|r| own(r.application))
            .map(|r| Route::clone(r).into()),
    );
    let hooks = config.webhooks().filter(|w| w.tenant == tenant);
    all.extend(hooks.map(|w| Webhook::clone(w).into()));
    all
}

type Listed = BTreeMap<(usize, String), (Map<String, Value>, ResourceId)>;

/// The entries of a configuration by kind and name.
fn listed(config: &Config, tenant: TenantId) -> Listed {
    let all = resources(config, tenant);
    let entries = all.iter().filter_map(|r| {
        let (kind, key, members) = entry(config, r)?;
        let place = KINDS.iter().position(|k| *k == kind)?;
        Some(((place, key), (members, r.id())))
    });
    entries.collect()
}

fn file(config: &Config, tenant: TenantId) -> File {
    let mut by_kind: [Entries; 13] = Default::default();
    for ((place, _), (members, _)) in listed(config, tenant) {
        by_kind[place].push(members);
    }
    let [
        applications,
        devices,
        groups,
        queues,
        agents,
        centres,
        calendars,
        lists,
        display_pools,
        flows,
        plans,
        routes,
        webhooks,
    ] = by_kind;
    File {
        version: 1,
        calendars,
        lists,
        display_pools,
        flows,
        plans,
        applications,
        devices,
        groups,
        queues,
        agents,
        centres,
        routes,
        webhooks,
    }
}

/// `GET /configuration`.
pub(crate) async fn export(api: Desk, Query(of): Query<OfTenant>) -> Answer {
    let tenant = request::tenant(&api.config(), of.tenant.as_deref())?;
    request::ok(file(&api.config().confined(tenant), tenant))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ConfigurationImport)]
pub(crate) struct Import {
    tenant: Option<String>,
    file: File,
    /// False says what would change, and changes nothing.
    #[serde(default)]
    apply: bool,
    /// True removes what the file does not name.
    #[serde(default)]
    prune: bool,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ConfigurationRollback)]
pub(crate) struct Rollback {
    tenant: Option<String>,
    /// False says what would change, and changes nothing.
    #[serde(default)]
    apply: bool,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ConfigurationReport)]
pub(crate) struct Report {
    applied: bool,
    changes: Vec<Changed>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ConfigurationChange)]
pub(crate) struct Changed {
    /// Such as `agents`.
    kind: &'static str,
    /// Such as `sales/li`.
    name: String,
    /// `create`, `change` or `remove`.
    action: &'static str,
    /// Members that differ.
    members: Vec<String>,
}

/// A copy of the configuration that the entries of a file are tried out in.
struct Stage<'a> {
    api: &'a Desk,
    tenant: TenantId,
    config: Config,
    puts: Vec<Resource>,
}

/// Takes a text out of an entry.
fn take(entry: &mut Map<String, Value>, member: &str) -> Result<String, Problem> {
    match entry.remove(member) {
        Some(Value::String(text)) => Ok(text),
        _ => Err(Problem::parameter(member, format!("{member} is required, and a text"))),
    }
}

fn read<T: DeserializeOwned>(entry: Map<String, Value>) -> Result<T, Problem> {
    serde_json::from_value(Value::Object(entry)).map_err(|e| Problem::new(Code::BadBody, e.to_string()))
}

impl Stage<'_> {
    fn put(&mut self, resource: impl Into<Resource>) {
        let resource = resource.into();
        self.config.stage(resource.clone());
        self.puts.push(resource);
    }

    fn webhook(&self, name: &str) -> Option<Webhook> {
        let name = name.trim();
        let found = self
            .config
            .webhooks()
            .find(|w| w.tenant == self.tenant && w.name == name);
        found.map(|w| Webhook::clone(w))
    }

    fn application(&self, name: &str) -> Result<ApplicationId, Problem> {
        Ok(centre::application(&self.config, Some(name))?.id)
    }

    /// Makes what an entry names, if it is not there, with defaults.
    fn make(&mut self, kind: &str, mut entry: Map<String, Value>) -> Result<(), Problem> {
        let tenant = self.tenant;
        if kind == "applications" {
            let name = take(&mut entry, "name")?;
            if centre::application(&self.config, Some(&name)).is_err() {
                let id = request::body_id("id", &request::random_hex::<16>()?)?;
                let profile = self.api.profiles.first();
                self.put(Application {
                    id,
                    tenant,
                    account: None,
                    name: request::name("name", &name)?,
                    profile: profile.map(|p| p.name.clone()).unwrap_or_default(),
                    settings: profile.map(|p| p.settings.clone()).unwrap_or_default(),
                    push_secret: None,
                    disabled: false,
                });
            }
            return Ok(());
        }
        if kind == "devices" {
            let username = take(&mut entry, "username")?;
            if self.config.device_by_name(tenant, &username).is_none() {
                devices::checked_username(&username)?;
                self.put(DeviceEntry {
                    device: Device::new(DeviceId(request::mint(self.api)?), tenant, username),
                    password: None,
                    disabled: false,
                });
            }
            return Ok(());
        }
        if kind == "webhooks" {
            let name = take(&mut entry, "name")?;
            if self.webhook(&name).is_none() {
                let hook = webhooks::new(self.api, &self.config, tenant, &name)?;
                self.put(hook);
            }
            return Ok(());
        }
        let application = self.application(&take(&mut entry, "application")?)?;
        match kind {
            "groups" => {
                let name = request::name("name", &take(&mut entry, "name")?)?;
                let fits = |g: &SkillGroup| g.application == application && g.name == name;
                if !self.config.centre().groups().any(|g| fits(g)) {
                    self.put(SkillGroup {
                        id: GroupId(request::mint(self.api)?),
                        tenant,
                        application,
                        name,
                        numbers: Vec::new(),
                    });
                }
            }
            "queues" => {
                let name = request::name("name", &take(&mut entry, "name")?)?;
                let group = centre::group(&self.config, application, &take(&mut entry, "group")?)?.id;
                let fits = |q: &Queue| q.application == application && q.name == name;
                if !self.config.centre().queues().any(|q| fits(q)) {
                    let id = QueueId(request::mint(self.api)?);
                    self.put(Queue::new(id, tenant, application, name, group));
                }
            }
            "agents" => {
                let login = take(&mut entry, "login")?;
                let login = agents::checked_login(&login)?;
                let fits = |a: &Agent| a.application == application && a.login == login;
                if !self.config.centre().agents().any(|a| fits(a)) {
                    let id = AgentId(request::mint(self.api)?);
                    let mut agent = Agent::new(id, tenant, application, login);
                    agent.extension = match entry.get("extension").and_then(Value::as_str) {
                        Some(text) => text.to_owned(),
                        None => agents::free_extension(&self.config, application),
                    };
                    self.put(agent);
                }
            }
            "flows" => {
                let name = take(&mut entry, "name")?;
                let of = (tenant, application);
                self.put(routing::staged(
                    self.api,
                    &self.config,
                    ItemKind::Flow,
                    of,
                    &name,
                    None,
                )?);
            }
            "centres" if self.config.centre().centre(application).is_none() => {
                self.put(Centre::new(application, tenant));
            }
            _ => {}
        }
        Ok(())
    }

    /// Makes what an entry names be as the entry says.
    fn change(&mut self, kind: &str, mut entry: Map<String, Value>) -> Result<(), Problem> {
        let gone = || Problem::new(Code::Internal, "what was just made is not there");
        if kind == "applications" {
            let id = self.application(&take(&mut entry, "name")?)?;
            let mut next = Application::clone(self.config.application(id).ok_or_else(gone)?);
            read::<applications::Change>(entry)?.apply(&mut next)?;
            self.put(next);
            return Ok(());
        }
        if kind == "devices" {
            let username = take(&mut entry, "username")?;
            let found = self.config.device_by_name(self.tenant, &username);
            let mut next = DeviceEntry::clone(found.ok_or_else(gone)?);
            read::<devices::Change>(entry)?.apply(&mut next, &self.config)?;
            self.put(next);
            return Ok(());
        }
        if kind == "webhooks" {
            let name = take(&mut entry, "name")?;
            if entry.contains_key("secret") || !entry.contains_key("url") {
                let detail = "a webhook in a file has a url, and no secret: that is given to the webhook itself";
                return Err(Problem::parameter("url", detail));
            }
            let mut next = self.webhook(&name).ok_or_else(gone)?;
            read::<webhooks::Change>(entry)?.apply(&mut next, &self.config, (self.api.now)())?;
            self.put(next);
            return Ok(());
        }
        let application = self.application(&take(&mut entry, "application")?)?;
        if let Some(kind) = item_kind(kind) {
            let name = take(&mut entry, "name")?;
            let definition = entry.remove("definition");
            if let Some(member) = entry.keys().next() {
                let detail = format!("a {} has no member {member:?}", kind.word());
                return Err(Problem::parameter(member, detail));
            }
            if definition.is_none() {
                return Err(Problem::parameter("definition", "definition is required"));
            }
            let of = (self.tenant, application);
            self.put(routing::staged(self.api, &self.config, kind, of, &name, definition)?);
            return Ok(());
        }
        match kind {
            "groups" => {
                let name = take(&mut entry, "name")?;
                let mut next = centre::group(&self.config, application, name.trim())?.clone();
                read::<groups::Change>(entry)?.apply(&mut next, &self.config)?;
                self.put(next);
            }
            "queues" => {
                let name = take(&mut entry, "name")?;
                let fits = |q: &Queue| q.application == application && q.name == name.trim();
                let found = self.config.centre().queues().find(|q| fits(q));
                let mut next = Queue::clone(found.ok_or_else(gone)?);
                read::<queues::Change>(entry)?.apply(&mut next, &self.config)?;
                self.put(next);
            }
            "agents" => {
                let login = take(&mut entry, "login")?;
                let fits = |a: &Agent| a.application == application && a.login == login.trim();
                let found = self.config.centre().agents().find(|a| fits(a));
                let mut next = Agent::clone(found.ok_or_else(gone)?);
                read::<agents::Change>(entry)?.apply(&mut next, &self.config)?;
                self.put(next);
            }
            "centres" => {
                let mut next = Centre::clone(self.config.centre().centre(application).ok_or_else(gone)?);
                read::<settings::Change>(entry)?.apply(&mut next, &self.config)?;
                self.put(next);
            }
            _ => {
                let number = request::number("number", &take(&mut entry, "number")?)?;
                routes::open_number(&self.config, self.tenant, &number)?;
                let target: routes::Target = match entry.remove("target") {
                    Some(target) => serde_json::from_value(target)
                        .map_err(|e| Problem::new(Code::BadBody, format!("target: {e}")))?,
                    None => return Err(Problem::parameter("target", "target is required")),
                };
                if let Some(member) = entry.keys().next() {
                    return Err(Problem::parameter(member, format!("a route has no member {member:?}")));
                }
                let target = target.read(&self.config, self.tenant)?;
                let id = match self.config.route(&number) {
                    Some(there) => there.id,
                    None => RouteId(request::mint(self.api)?),
                };
                self.put(Route {
                    id,
                    application,
                    number,
                    target,
                });
            }
        }
        Ok(())
    }
}

/// Says which entry a problem is about.
fn placed(kind: &str, n: usize, p: Problem) -> Problem {
    let parameter = p.parameter.as_deref().map_or(String::new(), |m| format!(".{m}"));
    Problem {
        parameter: Some(format!("file.{kind}[{n}]{parameter}")),
        detail: format!("{kind}[{n}]: {}", p.detail),
        ..p
    }
}

async fn carry_out(api: &Desk, tenant: TenantId, file_in: &File, apply: bool, prune: bool) -> Answer {
    if file_in.version != 1 {
        return Err(Problem::parameter("file.version", "file.version is 1"));
    }
    if KINDS.iter().map(|k| file_in.of_kind(k).len()).sum::<usize>() > MOST {
        return Err(Problem::parameter("file", format!("a file has at most {MOST} entries")));
    }
    let _one = api.changing.lock().await;
    let before = api.config().confined(tenant);
    let mut stage = Stage {
        api,
        tenant,
        config: before.clone(),
        puts: Vec::new(),
    };
    // First everything is there, then everything is as it should be: entries may refer to later ones.
    for kind in KINDS {
        for (n, entry) in file_in.of_kind(kind).iter().enumerate() {
            stage.make(kind, entry.clone()).map_err(|p| placed(kind, n, p))?;
        }
    }
    for kind in KINDS {
        for (n, entry) in file_in.of_kind(kind).iter().enumerate() {
            stage.change(kind, entry.clone()).map_err(|p| placed(kind, n, p))?;
        }
    }
    let then = listed(&before, tenant);
    let mut removed = Vec::new();
    if prune {
        let named: std::collections::HashSet<ResourceId> = stage.puts.iter().map(Resource::id).collect();
        for (_, id) in then.values().filter(|(_, id)| !named.contains(id)) {
            stage.config.unstage(id);
            removed.push(id.clone());
        }
    }
    let now = listed(&stage.config, tenant);
    let mut changes = Vec::new();
    for ((place, name), (members, _)) in &now {
        let old = then.get(&(*place, name.clone())).map(|(m, _)| m);
        let differs = |m: &&String| old.is_none_or(|old| old.get(*m) != members.get(*m));
        let gone = old
            .into_iter()
            .flat_map(|o| o.keys())
            .filter(|m| !members.contains_key(*m));
        let members: Vec<String> = members.keys().filter(differs).chain(gone).cloned().collect();
        if old.is_none() || !members.is_empty() {
            changes.push(Changed {
                kind: KINDS[*place],
                name: name.clone(),
                action: if old.is_some() { "change" } else { "create" },
                members: if old.is_some() { members } else { Vec::new() },
            });
        }
    }
    for (place, name) in then.keys().filter(|k| !now.contains_key(*k)) {
        changes.push(Changed {
            kind: KINDS[*place],
            name: name.clone(),
            action: "remove",
            members: Vec::new(),
        });
    }
    if apply {
        let kept = serde_json::to_vec(&file(&before, tenant))
            .map_err(|e| Problem::new(Code::Internal, format!("the present configuration cannot be kept: {e}")))?;
        api.store
            .apply(tenant, stage.puts, removed, ((api.now)(), kept))
            .await?;
    }
    let mut answer = request::ok(Report {
        applied: apply,
        changes,
    })?;
    answer.extensions_mut().insert(About {
        tenant: Some(tenant),
        id: String::new(),
    });
    Ok(answer)
}

/// `POST /configuration/import`.
pub(crate) async fn import(api: Desk, Body(asked): Body<Import>) -> Answer {
    let tenant = request::tenant(&api.config(), asked.tenant.as_deref())?;
    carry_out(&api, tenant, &asked.file, asked.apply, asked.prune).await
}

/// `POST /configuration/rollback`.
pub(crate) async fn rollback(api: Desk, Body(asked): Body<Rollback>) -> Answer {
    let tenant = request::tenant(&api.config(), asked.tenant.as_deref())?;
    let Some((_, before)) = api.store.last_import(tenant).await? else {
        return Err(Problem::new(
            Code::NotFound,
            "there is nothing to roll back: no import was applied",
        ));
    };
    let before: File = serde_json::from_slice(&before)
        .map_err(|e| Problem::new(Code::Storage, format!("what was kept cannot be read: {e}")))?;
    carry_out(&api, tenant, &before, asked.apply, true).await
}
