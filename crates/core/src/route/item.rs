//! What an application's calls are led by, as resources: flows, plans, calendars, lists and pools of display numbers.

use super::display::{Pool, Selection, Shown};
use super::{Calendar, NumberList, Plan, Region, Regions};
use crate::id::{ApplicationId, GroupId, RoutingId, TenantId};
use crate::ivr::{Flow, Versions};
use crate::number::Number;
use std::sync::Arc;

/// Kinds of these resources. A name is an application's only one of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ItemKind {
    /// An IVR flow.
    Flow,
    /// The rules of numbers.
    Plan,
    /// Business hours.
    Calendar,
    /// A list of numbers.
    List,
    /// A pool of display numbers.
    Display,
}

impl ItemKind {
    /// All, for tables and tests.
    pub const ALL: [ItemKind; 5] = [
        ItemKind::Flow,
        ItemKind::Plan,
        ItemKind::Calendar,
        ItemKind::List,
        ItemKind::Display,
    ];

    /// In words.
    pub const fn word(self) -> &'static str {
        match self {
            ItemKind::Flow => "flow",
            ItemKind::Plan => "plan",
            ItemKind::Calendar => "calendar",
            ItemKind::List => "list of numbers",
            ItemKind::Display => "pool of display numbers",
        }
    }
}

/// Such a resource.
#[derive(Clone, Debug, PartialEq)]
pub struct RoutingItem {
    /// Id.
    pub id: RoutingId,
    /// Owner.
    pub tenant: TenantId,
    /// The application whose calls it leads.
    pub application: ApplicationId,
    /// Name, as flows and plans refer to it.
    pub name: String,
    /// The thing itself.
    pub body: ItemBody,
}

/// What it is.
#[derive(Clone, Debug, PartialEq)]
pub enum ItemBody {
    /// A flow with its draft and its versions.
    Flow(Versions<Flow>),
    /// The rules of numbers.
    Plan(Arc<Plan>),
    /// Business hours.
    Calendar(Arc<Calendar>),
    /// A list of numbers.
    List(Arc<NumberList>),
    /// A pool of display numbers.
    Display(Arc<DisplayPool>),
}

impl ItemBody {
    /// Its kind.
    pub const fn kind(&self) -> ItemKind {
        match self {
            ItemBody::Flow(_) => ItemKind::Flow,
            ItemBody::Plan(_) => ItemKind::Plan,
            ItemBody::Calendar(_) => ItemKind::Calendar,
            ItemBody::List(_) => ItemKind::List,
            ItemBody::Display(_) => ItemKind::Display,
        }
    }
}

/// Numbers that outgoing calls may show, and who shows them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DisplayPool {
    /// In order.
    pub numbers: Vec<PoolNumber>,
    /// How one is chosen.
    pub selection: Selection,
    /// Skill groups whose agents' calls show them; empty for all calls of the application.
    pub groups: Vec<GroupId>,
    /// An agent's own numbers go before the pool's.
    pub own_first: bool,
}

/// A number of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolNumber {
    /// The number.
    pub number: Number,
    /// Calls a day that may show it; 0 is no limit.
    pub daily: u32,
    /// Calls at once that may show it; 0 is no limit.
    pub at_once: u32,
}

impl DisplayPool {
    /// As it is chosen from, with where each number is from.
    pub fn pool(&self, regions: &Regions) -> Pool {
        let shown = |n: &PoolNumber| Shown {
            number: n.number.clone(),
            region: regions.of(&n.number).map(|r| Region::clone(r)),
            daily: n.daily,
            at_once: n.at_once,
        };
        Pool {
            numbers: self.numbers.iter().map(shown).collect(),
            selection: self.selection,
        }
    }
}
