//! Flows with their drafts and versions, plans, calendars, lists of numbers and pools of display numbers as resources.

use crate::centre::{OfApplication, application, group};
use crate::desk::Desk;
use crate::error::{Code, Problem};
use crate::flows::{Known, at, checked, has_texts, problem_of};
use crate::request::{self, Answer, Body, Path, Query};
use crate::time::rfc3339;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::sync::Arc;
use strowger_core::ivr::versions::{Refused, Version};
use strowger_core::ivr::{Flow, Versions};
use strowger_core::route::display::Selection;
use strowger_core::route::{DisplayPool, ItemBody, ItemKind, PoolNumber, RoutingItem};
use strowger_core::{ApplicationId, RoutingId, Stamp, TenantId};
use strowger_flows::Strict;
use strowger_store::config::Config;
use utoipa::{IntoParams, ToSchema};

/// The most numbers of a pool.
const MAX_POOL: usize = 10_000;

/// A kind of resource without versions, as a type, so that one handler serves them all.
pub(crate) trait Kind: Send + Sync + 'static {
    /// Which.
    const KIND: ItemKind;
}

macro_rules! kinds {
    ($($name:ident => $kind:ident),*) => {$(
        pub(crate) struct $name;
        impl Kind for $name {
            const KIND: ItemKind = ItemKind::$kind;
        }
    )*};
}
kinds!(Plans => Plan, Calendars => Calendar, Lists => List, Pools => Display);

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DisplayNumber)]
struct WireShown {
    number: String,
    /// Calls that may show it in a day of the tenant's zone; 0 is no limit.
    #[serde(default)]
    daily: u32,
    /// Calls that may show it at once; 0 is no limit.
    #[serde(default)]
    at_once: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WirePool {
    numbers: Vec<WireShown>,
    #[serde(default)]
    selection: Option<String>,
    /// Skill groups, by name or id.
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default = "yes")]
    own_first: bool,
}

const fn yes() -> bool {
    true
}

fn pool(
    value: Value,
    config: &Config,
    tenant: TenantId,
    application: ApplicationId,
    place: &str,
) -> Result<DisplayPool, Problem> {
    let wire: WirePool =
        serde_json::from_value(value).map_err(|e| Problem::parameter(place, format!("{place}: {e}")))?;
    if wire.numbers.len() > MAX_POOL {
        let place = format!("{place}.numbers");
        let detail = format!("{place} has more than {MAX_POOL} entries");
        return Err(Problem::parameter(&place, detail));
    }
    let numbers = wire.numbers.into_iter().enumerate().map(|(n, shown)| {
        let place = format!("{place}.numbers[{n}].number");
        let number = request::number(&place, &shown.number)?;
        match config.number(&number) {
            Some(own) if own.tenant == tenant && own.outgoing => Ok(PoolNumber {
                number,
                daily: shown.daily,
                at_once: shown.at_once,
            }),
            _ => Err(Problem::parameter(
                &place,
                "the number is not the tenant's, or may not be shown; see: strowger number list",
            )),
        }
    });
    let numbers = numbers.collect::<Result<_, _>>()?;
    let selection = match wire.selection.as_deref() {
        None => Selection::default(),
        Some(text) => Selection::from_name(text).ok_or_else(|| {
            let place = format!("{place}.selection");
            Problem::parameter(
                &place,
                format!("{place} is one of {}", Selection::ALL.map(Selection::name).join(", ")),
            )
        })?,
    };
    let groups = wire.groups.iter().map(|g| Ok(group(config, application, g)?.id));
    Ok(DisplayPool {
        numbers,
        selection,
        groups: groups.collect::<Result<_, Problem>>()?,
        own_first: wire.own_first,
    })
}

/// A definition as it is written; groups of a pool by name if `named`, else by id.
fn definition(body: &ItemBody, config: &Config, named: bool) -> Value {
    match body {
        ItemBody::Flow(versions) => versions
            .live()
            .map_or(Value::Null, |v| strowger_flows::flow_of(&v.body)),
        ItemBody::Plan(plan) => strowger_flows::plan_of(plan),
        ItemBody::Calendar(calendar) => strowger_flows::calendar_of(calendar),
        ItemBody::List(list) => strowger_flows::list_of(list),
        ItemBody::Display(pool) => {
            let group = |id: &strowger_core::GroupId| match config.centre().group(*id) {
                Some(g) if named => g.name.clone(),
                _ => id.to_string(),
            };
            let wire = WirePool {
                numbers: pool
                    .numbers
                    .iter()
                    .map(|n| WireShown {
                        number: n.number.as_str().to_owned(),
                        daily: n.daily,
                        at_once: n.at_once,
                    })
                    .collect(),
                selection: Some(pool.selection.name().to_owned()),
                groups: pool.groups.iter().map(group).collect(),
                own_first: pool.own_first,
            };
            serde_json::to_value(wire).unwrap_or_default()
        }
    }
}

/// Reads a definition of a kind without versions, and refuses one with errors.
fn body_of(kind: ItemKind, value: Value, of: Of<'_>, place: &str) -> Result<ItemBody, Problem> {
    Ok(match kind {
        ItemKind::Plan => {
            let plan = strowger_flows::plan(value).map_err(at(place))?;
            let known = Known::of_application(of.application);
            let found = plan.check(&|thing, name| known.has(of.config, thing, name));
            problem_of("plan", &found)?;
            ItemBody::Plan(Arc::new(plan))
        }
        ItemKind::Calendar => ItemBody::Calendar(Arc::new(strowger_flows::calendar(value).map_err(at(place))?)),
        ItemKind::List => ItemBody::List(Arc::new(strowger_flows::list(value).map_err(at(place))?)),
        ItemKind::Display => ItemBody::Display(Arc::new(pool(value, of.config, of.tenant, of.application, place)?)),
        ItemKind::Flow => return Err(Problem::new(Code::Internal, "a flow is written as a draft")),
    })
}

/// In whose configuration names are looked up.
#[derive(Clone, Copy)]
struct Of<'a> {
    config: &'a Config,
    tenant: TenantId,
    application: ApplicationId,
}

/// One of a kind by id, or by name if only one can be meant.
fn find(api: &Desk, kind: ItemKind, text: &str) -> Result<RoutingItem, Problem> {
    let config = api.config();
    let routing = config.routing();
    let by_id = text.parse::<RoutingId>().ok().and_then(|id| routing.get(id));
    let by_id = by_id.filter(|i| i.body.kind() == kind);
    let mut named = routing.all().filter(|i| i.body.kind() == kind && i.name == text);
    let found = match (by_id, named.next(), named.next()) {
        (Some(item), _, _) | (None, Some(item), None) => item,
        (None, Some(_), Some(_)) => {
            return Err(Problem::parameter(
                "id",
                format!(
                    "several applications have a {} {text:?}; name it by its id",
                    kind.word()
                ),
            ));
        }
        _ => return Err(Problem::not_found(kind.word(), format!("{text:?}"))),
    };
    Ok(RoutingItem::clone(found))
}

/// A name that others refer to stays.
fn rename(item: &mut RoutingItem, name: Option<&str>, config: &Config) -> Result<(), Problem> {
    let Some(name) = name else { return Ok(()) };
    let name = request::name("name", name)?;
    if name != item.name && config.routing().is_named(item.id) {
        return Err(Problem::new(
            Code::InUse,
            "a published flow or a plan refers to it by its name; change that first",
        ));
    }
    item.name = name;
    Ok(())
}

// --- plans, calendars, lists, pools --------------------------------------------------------------------------------

#[derive(Serialize, ToSchema)]
#[schema(as = RoutingItem)]
pub(crate) struct View {
    id: String,
    tenant: String,
    application: String,
    name: String,
    /// The rules, the calendar, the entries or the pool.
    #[schema(value_type = Value)]
    definition: Value,
}

impl View {
    fn of(item: &RoutingItem, config: &Config) -> View {
        View {
            id: item.id.to_string(),
            tenant: item.tenant.to_string(),
            application: item.application.to_string(),
            name: item.name.clone(),
            definition: definition(&item.body, config, false),
        }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RoutingItemCreate)]
pub(crate) struct Create {
    /// The application's only one of its kind.
    name: String,
    /// Name or id; needed if there are several.
    application: Option<String>,
    #[schema(value_type = Value)]
    definition: Strict,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RoutingItemChange)]
pub(crate) struct Change {
    name: Option<String>,
    /// In place of the one before.
    #[schema(value_type = Option<Value>)]
    definition: Option<Strict>,
}

pub(crate) async fn list<K: Kind>(api: Desk, Query(asked): Query<OfApplication>) -> Answer {
    let only = asked.resolve(&api)?;
    let config = api.config();
    let items = config
        .routing()
        .all()
        .filter(|i| i.body.kind() == K::KIND && only.is_none_or(|id| i.application == id));
    asked.page(items.map(|i| (i.id.to_string(), View::of(i, &config))))
}

pub(crate) async fn show<K: Kind>(api: Desk, Path(id): Path<String>) -> Answer {
    let item = find(&api, K::KIND, &id)?;
    let view = View::of(&item, &api.config());
    api.shown(item, view)
}

pub(crate) async fn create<K: Kind>(api: Desk, Body(create): Body<Create>) -> Answer {
    let config = api.config();
    let application = application(&config, create.application.as_deref())?;
    let of = Of {
        config: &config,
        tenant: application.tenant,
        application: application.id,
    };
    let item = RoutingItem {
        id: RoutingId(request::mint(&api)?),
        tenant: application.tenant,
        application: application.id,
        name: request::name("name", &create.name)?,
        body: body_of(K::KIND, create.definition.0, of, "definition")?,
    };
    let view = View::of(&item, &config);
    api.create(item, view).await
}

pub(crate) async fn change<K: Kind>(api: Desk, Path(id): Path<String>, Body(change): Body<Change>) -> Answer {
    let _one = api.changing.lock().await;
    let config = api.config();
    let mut item = find(&api, K::KIND, &id)?;
    api.expects(&item)?;
    rename(&mut item, change.name.as_deref(), &config)?;
    if let Some(Strict(value)) = change.definition {
        let of = Of {
            config: &config,
            tenant: item.tenant,
            application: item.application,
        };
        item.body = body_of(K::KIND, value, of, "definition")?;
    }
    let view = View::of(&item, &config);
    api.replace(item, view).await
}

pub(crate) async fn remove<K: Kind>(api: Desk, Path(id): Path<String>) -> Answer {
    let _one = api.changing.lock().await;
    let item = find(&api, K::KIND, &id)?;
    api.remove(&item).await
}

// --- flows ---------------------------------------------------------------------------------------------------------

#[derive(Serialize, ToSchema)]
#[schema(as = FlowVersion)]
struct VersionView {
    number: u32,
    at: String,
    by: String,
    note: String,
    /// The version that it brought back.
    restored: Option<u32>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = FlowDraft)]
struct DraftView {
    at: String,
    by: String,
    #[schema(value_type = Object)]
    flow: Value,
}

#[derive(Serialize, ToSchema)]
#[schema(as = FlowResource)]
pub(crate) struct FlowView {
    id: String,
    tenant: String,
    application: String,
    name: String,
    /// The version that calls go into; null before the first is published.
    version: Option<u32>,
    /// That version, or the one that was asked for.
    #[schema(value_type = Option<Object>)]
    flow: Option<Value>,
    /// What is being worked on.
    draft: Option<DraftView>,
    /// All that are kept, oldest first.
    versions: Vec<VersionView>,
}

impl FlowView {
    fn of(item: &RoutingItem, shown: Option<&Version<Flow>>) -> FlowView {
        let none = Versions::default();
        let versions = match &item.body {
            ItemBody::Flow(versions) => versions,
            _ => &none,
        };
        let version = |v: &Version<Flow>| VersionView {
            number: v.number,
            at: rfc3339(v.at),
            by: v.by.clone(),
            note: v.note.clone(),
            restored: v.restored,
        };
        FlowView {
            id: item.id.to_string(),
            tenant: item.tenant.to_string(),
            application: item.application.to_string(),
            name: item.name.clone(),
            version: versions.live().map(|v| v.number),
            flow: shown.or(versions.live()).map(|v| strowger_flows::flow_of(&v.body)),
            draft: versions.draft().map(|d| DraftView {
                at: rfc3339(d.at),
                by: d.by.clone(),
                flow: strowger_flows::flow_of(&d.body),
            }),
            versions: versions.published().iter().map(version).collect(),
        }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = FlowCreate)]
pub(crate) struct CreateFlow {
    /// The application's only flow of this name; plans and other flows refer to it.
    name: String,
    /// Name or id; needed if there are several.
    application: Option<String>,
    /// The first draft.
    #[schema(value_type = Object)]
    flow: Strict,
    /// Publish it at once.
    #[serde(default)]
    publish: bool,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = FlowChange)]
pub(crate) struct ChangeFlow {
    name: Option<String>,
    /// The draft, in place of the one before; it may have errors.
    #[schema(value_type = Option<Object>)]
    flow: Option<Strict>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = FlowPublish)]
pub(crate) struct Publish {
    /// What was changed.
    #[serde(default)]
    note: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = FlowRollback)]
pub(crate) struct Rollback {
    /// The version to bring back.
    version: u32,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfVersion {
    /// A published version; without it the one in use.
    version: Option<u32>,
}

/// A flow with its versions.
struct Found {
    item: RoutingItem,
    versions: Versions<Flow>,
}

fn find_flow(api: &Desk, text: &str) -> Result<Found, Problem> {
    let item = find(api, ItemKind::Flow, text)?;
    let ItemBody::Flow(versions) = item.body.clone() else {
        return Err(Problem::not_found("flow", format!("{text:?}")));
    };
    Ok(Found { item, versions })
}

impl Found {
    async fn store(mut self, api: &Desk) -> Answer {
        self.item.body = ItemBody::Flow(self.versions);
        let view = FlowView::of(&self.item, None);
        api.replace(self.item, view).await
    }
}

/// Who publishes.
fn publisher(api: &Desk) -> String {
    let (kind, _, name) = api.principal.described();
    if name.is_empty() { kind.to_owned() } else { name }
}

fn refused(e: Refused<Problem>) -> Problem {
    match e {
        Refused::Wrong(problem) => problem,
        Refused::Stale(_) => Problem::new(Code::Stale, e.to_string()),
        Refused::NoDraft | Refused::NoVersion(_) => Problem::new(Code::NotFound, e.to_string()),
    }
}

/// Whether a flow may be published in its application, among the others there.
fn may_go_live(api: &Desk, config: &Config, item: &RoutingItem, flow: &Flow) -> Result<(), Problem> {
    let mut known = Known::of_application(item.application);
    let found = checked(config, &mut known, &item.name, flow.clone());
    problem_of("flow", &found)?;
    if has_texts(flow) && api.speech.synthesiser.is_none() {
        return Err(Problem::new(
            Code::SpeechOff,
            "the flow has texts to be spoken, and no engine speaks them; name one in [speech.synthesis], or use prompts",
        ));
    }
    Ok(())
}

pub(crate) async fn list_flows(api: Desk, Query(asked): Query<OfApplication>) -> Answer {
    let only = asked.resolve(&api)?;
    let config = api.config();
    let items = config
        .routing()
        .all()
        .filter(|i| i.body.kind() == ItemKind::Flow && only.is_none_or(|id| i.application == id));
    asked.page(items.map(|i| (i.id.to_string(), FlowView::of(i, None))))
}

pub(crate) async fn show_flow(api: Desk, Path(id): Path<String>, Query(of): Query<OfVersion>) -> Answer {
    let found = find_flow(&api, &id)?;
    let shown = match of.version {
        None => None,
        Some(n) => {
            let mut all = found.versions.published().iter();
            let version = all.find(|v| v.number == n);
            Some(version.ok_or_else(|| Problem::not_found("version", n))?)
        }
    };
    let view = FlowView::of(&found.item, shown);
    api.shown(found.item, view)
}

pub(crate) async fn create_flow(api: Desk, Body(create): Body<CreateFlow>) -> Answer {
    let config = api.config();
    let application = application(&config, create.application.as_deref())?;
    let flow = strowger_flows::flow(create.flow.0).map_err(at("flow"))?;
    let mut item = RoutingItem {
        id: RoutingId(request::mint(&api)?),
        tenant: application.tenant,
        application: application.id,
        name: request::name("name", &create.name)?,
        body: ItemBody::Flow(Versions::default()),
    };
    let (now, by) = ((api.now)(), publisher(&api));
    let mut versions = Versions::default();
    let revision = versions.write(flow, 0, now, &by).map_err(refused)?;
    if create.publish {
        let check = |flow: &Flow| may_go_live(&api, &config, &item, flow);
        versions.publish(revision, now, &by, "", check).map_err(refused)?;
    }
    item.body = ItemBody::Flow(versions);
    let view = FlowView::of(&item, None);
    api.create(item, view).await
}

pub(crate) async fn change_flow(api: Desk, Path(id): Path<String>, Body(change): Body<ChangeFlow>) -> Answer {
    let _one = api.changing.lock().await;
    let mut found = find_flow(&api, &id)?;
    api.expects(&found.item)?;
    rename(&mut found.item, change.name.as_deref(), &api.config())?;
    if let Some(Strict(value)) = change.flow {
        let flow = strowger_flows::flow(value).map_err(at("flow"))?;
        let from = found.versions.revision();
        let by = publisher(&api);
        found.versions.write(flow, from, (api.now)(), &by).map_err(refused)?;
    }
    found.store(&api).await
}

pub(crate) async fn discard_draft(api: Desk, Path(id): Path<String>) -> Answer {
    let _one = api.changing.lock().await;
    let mut found = find_flow(&api, &id)?;
    api.expects(&found.item)?;
    found.versions.discard(found.versions.revision()).map_err(refused)?;
    found.store(&api).await
}

pub(crate) async fn publish(api: Desk, Path(id): Path<String>, Body(asked): Body<Publish>) -> Answer {
    let _one = api.changing.lock().await;
    let mut found = find_flow(&api, &id)?;
    api.expects(&found.item)?;
    let note: String = asked.note.chars().take(1000).collect();
    let (from, by) = (found.versions.revision(), publisher(&api));
    let config = api.config();
    let check = |flow: &Flow| may_go_live(&api, &config, &found.item, flow);
    let done = found.versions.publish(from, (api.now)(), &by, &note, check);
    done.map_err(refused)?;
    found.store(&api).await
}

pub(crate) async fn roll_back(api: Desk, Path(id): Path<String>, Body(asked): Body<Rollback>) -> Answer {
    let _one = api.changing.lock().await;
    let mut found = find_flow(&api, &id)?;
    api.expects(&found.item)?;
    let (from, by) = (found.versions.revision(), publisher(&api));
    let config = api.config();
    let check = |flow: &Flow| may_go_live(&api, &config, &found.item, flow);
    let done = found.versions.roll_back(asked.version, from, (api.now)(), &by, check);
    done.map_err(refused)?;
    found.store(&api).await
}

pub(crate) async fn remove_flow(api: Desk, Path(id): Path<String>) -> Answer {
    let _one = api.changing.lock().await;
    let found = find_flow(&api, &id)?;
    api.remove(&found.item).await
}

// --- in a configuration file ---------------------------------------------------------------------------------------

/// The entry of one in a file: its name and its definition; of a flow the published one, and nothing of one that has
/// none.
pub(crate) fn entry(config: &Config, item: &RoutingItem, application: &str) -> Option<Map<String, Value>> {
    let definition = definition(&item.body, config, true);
    if definition.is_null() {
        return None;
    }
    let mut members = Map::new();
    members.insert("application".into(), application.into());
    members.insert("name".into(), item.name.clone().into());
    members.insert("definition".into(), definition);
    Some(members)
}

/// What an entry of a file is to be; one of this name that is there is changed.
pub(crate) fn staged(
    api: &Desk,
    config: &Config,
    kind: ItemKind,
    (tenant, application): (TenantId, ApplicationId),
    name: &str,
    value: Option<Value>,
) -> Result<RoutingItem, Problem> {
    let name = request::name("name", name)?;
    let there = config.routing().named(application, kind, &name);
    let id = match there {
        Some(item) => item.id,
        None => RoutingId(request::mint(api)?),
    };
    let none = || Problem::parameter("definition", "definition is required");
    let body = match (kind, value) {
        // Made first, so that flows can refer to one another.
        (ItemKind::Flow, None) => there.map_or_else(|| ItemBody::Flow(Versions::default()), |item| item.body.clone()),
        (ItemKind::Flow, Some(value)) => {
            let flow = strowger_flows::flow(value).map_err(at("definition"))?;
            let mut versions = match there.map(|i| &i.body) {
                Some(ItemBody::Flow(versions)) => versions.clone(),
                _ => Versions::default(),
            };
            if versions.live().is_none_or(|v| *v.body != flow) {
                let item = RoutingItem {
                    id,
                    tenant,
                    application,
                    name: name.clone(),
                    body: ItemBody::Flow(Versions::default()),
                };
                let (now, by) = (Stamp((api.now)().0), publisher(api));
                let from = versions.write(flow, versions.revision(), now, &by).map_err(refused)?;
                let check = |flow: &Flow| may_go_live(api, config, &item, flow);
                versions.publish(from, now, &by, "imported", check).map_err(refused)?;
            }
            ItemBody::Flow(versions)
        }
        (kind, value) => {
            let of = Of {
                config,
                tenant,
                application,
            };
            body_of(kind, value.ok_or_else(none)?, of, "definition")?
        }
    };
    Ok(RoutingItem {
        id,
        tenant,
        application,
        name,
        body,
    })
}

/// The target of a route: a flow that has been published, or a plan.
pub(crate) fn target(config: &Config, tenant: TenantId, kind: ItemKind, text: &str) -> Result<RoutingId, Problem> {
    let mut own = config
        .routing()
        .all()
        .filter(|i| i.tenant == tenant && i.body.kind() == kind);
    let found = own.find(|i| i.name == text || i.id.to_string() == text);
    let found = found.ok_or_else(|| Problem::not_found(kind.word(), format!("{text:?}")))?;
    match &found.body {
        ItemBody::Flow(versions) if versions.live().is_none() => Err(Problem::new(
            Code::InUse,
            "the flow has no published version; publish it first",
        )),
        _ => Ok(found.id),
    }
}
