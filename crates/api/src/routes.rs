//! Static routes: calls to a number go to a number, a device or a trunk.

use crate::desk::Desk;
use crate::error::{Code, Problem};
use crate::request::{self, Answer, Body, Listing, Path, Query};
use crate::routing;
use serde::{Deserialize, Serialize};
use strowger_core::resource::{Route, RouteTarget};
use strowger_core::route::ItemKind;
use strowger_core::{Number, RouteId, TenantId, TrunkId};
use strowger_store::config::Config;
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
#[schema(as = Route)]
pub(crate) struct View {
    id: String,
    application: String,
    number: String,
    target: Target,
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[schema(as = RouteTarget)]
pub(crate) enum Target {
    Number(String),
    Device(String),
    /// By name or id; as answered, the id.
    Trunk(String),
    /// A queue of the application, by name or id; as answered, the id.
    Queue(String),
    /// An agent of the application, by the name that it signs in with or id; as answered, the id.
    Agent(String),
    /// A published flow of the application, by name or id; as answered, the id.
    Flow(String),
    /// A plan of the application, by name or id; as answered, the id.
    Plan(String),
}

impl Target {
    pub(crate) fn read(&self, config: &Config, tenant: TenantId) -> Result<RouteTarget, Problem> {
        Ok(match self {
            Target::Number(text) => RouteTarget::Number(request::number("target.number", text)?),
            Target::Device(text) => {
                let by_id = text.parse().ok().and_then(|id| config.device(id));
                let found = by_id
                    .filter(|d| d.device.tenant == tenant)
                    .or_else(|| config.device_by_name(tenant, text))
                    .ok_or_else(|| Problem::not_found("device", format!("{text:?}")))?;
                RouteTarget::Device(found.device.id)
            }
            Target::Trunk(text) => RouteTarget::Trunk(trunk(config, tenant, text)?),
            Target::Queue(text) => {
                let mut own = config.centre().queues().filter(|q| q.tenant == tenant);
                let found = own.find(|q| q.name == *text || q.id.to_string() == *text);
                RouteTarget::Queue(
                    found
                        .ok_or_else(|| Problem::not_found("queue", format!("{text:?}")))?
                        .id,
                )
            }
            Target::Flow(text) => RouteTarget::Flow(routing::target(config, tenant, ItemKind::Flow, text)?),
            Target::Plan(text) => RouteTarget::Plan(routing::target(config, tenant, ItemKind::Plan, text)?),
            Target::Agent(text) => {
                let mut own = config.centre().agents().filter(|a| a.tenant == tenant);
                let found = own.find(|a| a.login == *text || a.id.to_string() == *text);
                RouteTarget::Agent(
                    found
                        .ok_or_else(|| Problem::not_found("agent", format!("{text:?}")))?
                        .id,
                )
            }
        })
    }
}

/// Only calls to the tenant's own numbers that are open for them have a route.
pub(crate) fn open_number(config: &Config, tenant: TenantId, number: &Number) -> Result<(), Problem> {
    match config.number(number) {
        Some(n) if n.tenant == tenant && n.incoming => Ok(()),
        Some(n) if n.tenant == tenant => Err(Problem::new(
            Code::InUse,
            "the number is not open for incoming calls; change it first",
        )),
        _ => Err(Problem::parameter(
            "number",
            "the number is not one of the tenant's; add it first: strowger number add NUMBER",
        )),
    }
}

impl View {
    fn of(r: &Route) -> View {
        View {
            id: r.id.to_string(),
            application: r.application.to_string(),
            number: r.number.as_str().to_owned(),
            target: match &r.target {
                RouteTarget::Number(n) => Target::Number(n.as_str().to_owned()),
                RouteTarget::Device(d) => Target::Device(d.to_string()),
                RouteTarget::Trunk(t) => Target::Trunk(t.to_string()),
                RouteTarget::Queue(q) => Target::Queue(q.to_string()),
                RouteTarget::Agent(a) => Target::Agent(a.to_string()),
                RouteTarget::Flow(f) => Target::Flow(f.to_string()),
                RouteTarget::Plan(p) => Target::Plan(p.to_string()),
            },
        }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RouteCreate)]
pub(crate) struct Create {
    application: String,
    number: String,
    target: Target,
}

pub(crate) async fn list(api: Desk, Query(asked): Query<Listing>) -> Answer {
    let config = api.config();
    let filter = asked.tenant(&api)?;
    let owner = |r: &Route| config.application(r.application).map(|a| a.tenant);
    let routes = config
        .routes()
        .filter(|r| owner(r).is_some_and(|o| request::shows(filter, o)));
    asked.page(routes.map(|r| (r.number.as_str().to_owned(), View::of(r))))
}

fn find(api: &Desk, text: &str) -> Result<Route, Problem> {
    let id: RouteId = request::id("route", text)?;
    let config = api.config();
    let found = config.routes().find(|r| r.id == id);
    Ok(Route::clone(found.ok_or_else(|| Problem::not_found("route", id))?))
}

pub(crate) async fn show(api: Desk, Path(id): Path<String>) -> Answer {
    let route = find(&api, &id)?;
    let view = View::of(&route);
    api.shown(route, view)
}

/// A trunk that the tenant may use, by id or by name; its own goes before one of the platform's.
fn trunk(config: &Config, tenant: TenantId, text: &str) -> Result<TrunkId, Problem> {
    let usable = |owner: &Option<TenantId>| owner.is_none_or(|o| o == tenant);
    let named = config.trunks().iter().filter(|t| usable(&t.tenant));
    let mut named: Vec<_> = named.filter(|t| t.name == text || t.id.to_string() == text).collect();
    named.sort_by_key(|t| t.tenant.is_none());
    match named[..] {
        [] => Err(Problem::not_found("trunk", format!("{text:?}"))),
        [first, second, ..] if first.tenant == second.tenant => Err(Problem::parameter(
            "target.trunk",
            format!("several trunks have the name {text:?}; name it by its id: strowger trunk list"),
        )),
        [first, ..] => Ok(first.id),
    }
}

pub(crate) async fn create(api: Desk, Body(create): Body<Create>) -> Answer {
    let config = api.config();
    let id = request::body_id("application", &create.application)?;
    let application = config
        .application(id)
        .ok_or_else(|| Problem::not_found("application", id))?;
    let number = request::number("number", &create.number)?;
    open_number(&config, application.tenant, &number)?;
    if config.route(&number).is_some() {
        return Err(Problem::new(
            Code::Exists,
            "the number has a route already; remove that one first",
        ));
    }
    let target = create.target.read(&config, application.tenant)?;
    let route = Route {
        id: RouteId(request::mint(&api)?),
        application: application.id,
        number,
        target,
    };
    let view = View::of(&route);
    api.create(route, view).await
}

pub(crate) async fn remove(api: Desk, Path(id): Path<String>) -> Answer {
    let _one = api.changing.lock().await;
    let route = find(&api, &id)?;
    api.remove(&route).await
}
