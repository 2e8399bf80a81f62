//! Flows, plans, calendars, lists of numbers and pools of display numbers as they are stored: what they are in the JSON
//! form of their own.

use super::Id;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use strowger_core::ivr::Flow;
use strowger_core::ivr::versions::{Draft, Version, Versions};
use strowger_core::route::display::Selection;
use strowger_core::route::{DisplayPool, ItemBody, PoolNumber, RoutingItem};
use strowger_core::{ApplicationId, GroupId, Number, RoutingId, Stamp, TenantId};

#[derive(Serialize, Deserialize)]
pub(super) struct DiskRouting {
    id: Id,
    tenant: Id,
    application: Id,
    name: String,
    body: DiskBody,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum DiskBody {
    Flow(DiskVersions),
    Plan(Value),
    Calendar(Value),
    List(Value),
    Display(DiskPool),
}

#[derive(Serialize, Deserialize)]
struct DiskVersions {
    revision: u64,
    #[serde(default)]
    draft: Option<DiskDraft>,
    #[serde(default)]
    published: Vec<DiskVersion>,
}

#[derive(Serialize, Deserialize)]
struct DiskDraft {
    revision: u64,
    at: i64,
    by: String,
    flow: Value,
}

#[derive(Serialize, Deserialize)]
struct DiskVersion {
    number: u32,
    at: i64,
    by: String,
    #[serde(default)]
    note: String,
    #[serde(default)]
    restored: Option<u32>,
    flow: Value,
}

#[derive(Serialize, Deserialize)]
struct DiskPool {
    numbers: Vec<DiskShown>,
    selection: String,
    #[serde(default)]
    groups: Vec<Id>,
    #[serde(default)]
    own_first: bool,
}

#[derive(Serialize, Deserialize)]
struct DiskShown {
    number: String,
    #[serde(default)]
    daily: u32,
    #[serde(default)]
    at_once: u32,
}

fn versions_of(v: &Versions<Flow>) -> DiskVersions {
    DiskVersions {
        revision: v.revision(),
        draft: v.draft().map(|d| DiskDraft {
            revision: d.revision,
            at: d.at.0,
            by: d.by.clone(),
            flow: strowger_flows::flow_of(&d.body),
        }),
        published: v
            .published()
            .iter()
            .map(|p| DiskVersion {
                number: p.number,
                at: p.at.0,
                by: p.by.clone(),
                note: p.note.clone(),
                restored: p.restored,
                flow: strowger_flows::flow_of(&p.body),
            })
            .collect(),
    }
}

fn versions(v: DiskVersions) -> Option<Versions<Flow>> {
    let flow = |value| strowger_flows::flow(value).ok().map(Arc::new);
    let draft = match v.draft {
        None => None,
        Some(d) => Some(Draft {
            revision: d.revision,
            at: Stamp(d.at),
            by: d.by,
            body: flow(d.flow)?,
        }),
    };
    let published = v.published.into_iter().map(|p| {
        Some(Version {
            number: p.number,
            at: Stamp(p.at),
            by: p.by,
            note: p.note,
            restored: p.restored,
            body: flow(p.flow)?,
        })
    });
    Some(Versions::stored(draft, published.collect::<Option<_>>()?, v.revision))
}

impl DiskRouting {
    pub(super) fn of(item: &RoutingItem) -> DiskRouting {
        DiskRouting {
            id: Id(item.id.0),
            tenant: Id(item.tenant.0),
            application: Id(item.application.0),
            name: item.name.clone(),
            body: match &item.body {
                ItemBody::Flow(v) => DiskBody::Flow(versions_of(v)),
                ItemBody::Plan(plan) => DiskBody::Plan(strowger_flows::plan_of(plan)),
                ItemBody::Calendar(calendar) => DiskBody::Calendar(strowger_flows::calendar_of(calendar)),
                ItemBody::List(list) => DiskBody::List(strowger_flows::list_of(list)),
                ItemBody::Display(pool) => DiskBody::Display(DiskPool {
                    numbers: pool
                        .numbers
                        .iter()
                        .map(|n| DiskShown {
                            number: n.number.as_str().to_owned(),
                            daily: n.daily,
                            at_once: n.at_once,
                        })
                        .collect(),
                    selection: pool.selection.name().to_owned(),
                    groups: pool.groups.iter().map(|g| Id(g.0)).collect(),
                    own_first: pool.own_first,
                }),
            },
        }
    }

    pub(super) fn item(self) -> Option<RoutingItem> {
        let body = match self.body {
            DiskBody::Flow(v) => ItemBody::Flow(versions(v)?),
            DiskBody::Plan(value) => ItemBody::Plan(Arc::new(strowger_flows::plan(value).ok()?)),
            DiskBody::Calendar(value) => ItemBody::Calendar(Arc::new(strowger_flows::calendar(value).ok()?)),
            DiskBody::List(value) => ItemBody::List(Arc::new(strowger_flows::list(value).ok()?)),
            DiskBody::Display(pool) => ItemBody::Display(Arc::new(DisplayPool {
                numbers: pool
                    .numbers
                    .into_iter()
                    .map(|n| PoolNumber {
                        number: Number::from_canonical(n.number),
                        daily: n.daily,
                        at_once: n.at_once,
                    })
                    .collect(),
                selection: Selection::from_name(&pool.selection)?,
                groups: pool.groups.into_iter().map(|g| GroupId(g.0)).collect(),
                own_first: pool.own_first,
            })),
        };
        Some(RoutingItem {
            id: RoutingId(self.id.0),
            tenant: TenantId(self.tenant.0),
            application: ApplicationId(self.application.0),
            name: self.name,
            body,
        })
    }
}
