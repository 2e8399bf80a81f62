//! Flows, plans, calendars, lists of numbers and pools of display numbers in a snapshot, by id and by name.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use strowger_core::ivr::{Library, Node};
use strowger_core::route::{Condition, DisplayPool, ItemBody, ItemKind, Plan, RoutingItem, Shelf, Target, Way};
use strowger_core::{ApplicationId, RoutingId, TenantId};

/// An application's library, made when it is first asked for.
type Cell = Arc<OnceLock<Arc<Library>>>;

/// All of them. A clone shares the maps; a change copies the one that it touches.
#[derive(Clone, Debug, Default)]
pub struct Routings {
    items: Arc<BTreeMap<RoutingId, Arc<RoutingItem>>>,
    libraries: Arc<BTreeMap<ApplicationId, Cell>>,
}

impl Routings {
    /// The one with this id.
    pub fn get(&self, id: RoutingId) -> Option<&Arc<RoutingItem>> {
        self.items.get(&id)
    }

    /// All by id.
    pub fn all(&self) -> impl Iterator<Item = &Arc<RoutingItem>> {
        self.items.values()
    }

    /// An application's one of a kind and name.
    pub fn named(&self, application: ApplicationId, kind: ItemKind, name: &str) -> Option<&Arc<RoutingItem>> {
        self.items
            .values()
            .find(|i| i.application == application && i.body.kind() == kind && i.name == name)
    }

    /// The plan with this id.
    pub fn plan(&self, id: RoutingId) -> Option<&Arc<Plan>> {
        match &self.items.get(&id)?.body {
            ItemBody::Plan(plan) => Some(plan),
            _ => None,
        }
    }

    /// The pools of display numbers of an application, by name.
    pub fn pools(&self, application: ApplicationId) -> Vec<(&str, &Arc<DisplayPool>)> {
        let of = self.items.values().filter(|i| i.application == application);
        let mut pools: Vec<(&str, &Arc<DisplayPool>)> = of
            .filter_map(|i| match &i.body {
                ItemBody::Display(pool) => Some((i.name.as_str(), pool)),
                _ => None,
            })
            .collect();
        pools.sort_by_key(|(name, _)| *name);
        pools
    }

    /// What the calls of an application are led by: published flows, calendars and lists. A call keeps the one that it
    /// began with.
    pub fn library(&self, application: ApplicationId) -> Arc<Library> {
        let Some(cell) = self.libraries.get(&application) else {
            return Arc::default();
        };
        cell.get_or_init(|| Arc::new(self.make(application))).clone()
    }

    fn make(&self, application: ApplicationId) -> Library {
        let mut flows = BTreeMap::new();
        let mut shelf = Shelf::default();
        for item in self.items.values().filter(|i| i.application == application) {
            let name = item.name.clone();
            match &item.body {
                ItemBody::Flow(versions) => {
                    flows.extend(versions.live().map(|v| (name, v.body.clone())));
                }
                ItemBody::Calendar(calendar) => {
                    shelf.calendars.insert(name, (**calendar).clone());
                }
                ItemBody::List(list) => {
                    shelf.lists.insert(name, (**list).clone());
                }
                ItemBody::Plan(_) | ItemBody::Display(_) => {}
            }
        }
        Library { flows, shelf }
    }

    /// True if a published flow or a plan of its application refers to it.
    pub fn is_named(&self, id: RoutingId) -> bool {
        let Some(wanted) = self.items.get(&id) else {
            return false;
        };
        let (kind, name) = (wanted.body.kind(), wanted.name.as_str());
        let by_condition = |condition: &Condition| {
            condition.parts().iter().any(|(part, _)| match part {
                Condition::Open(calendar) => kind == ItemKind::Calendar && calendar == name,
                Condition::CallerListed(list) => kind == ItemKind::List && list == name,
                _ => false,
            })
        };
        let by_target =
            |target: &Target| matches!(target, Target::Flow(flow) if kind == ItemKind::Flow && flow == name);
        let by_way = |way: &Way| match way {
            Way::To(target) => by_target(target),
            Way::Ask(ask) => by_target(&ask.default),
        };
        let others = self
            .items
            .values()
            .filter(|i| i.application == wanted.application && i.id != id);
        others.into_iter().any(|other| match &other.body {
            ItemBody::Plan(plan) => {
                by_way(&plan.otherwise) || plan.rules.iter().any(|r| by_condition(&r.when) || by_way(&r.way))
            }
            ItemBody::Flow(versions) => versions.live().is_some_and(|v| {
                v.body.nodes.values().any(|node| match node {
                    Node::Branch { cases, .. } => cases.iter().any(|(when, _)| by_condition(when)),
                    Node::Call { flow, .. } => kind == ItemKind::Flow && flow == name,
                    _ => false,
                })
            }),
            _ => false,
        })
    }

    fn renew(&mut self, application: ApplicationId) {
        Arc::make_mut(&mut self.libraries).insert(application, Cell::default());
    }

    pub(crate) fn insert(&mut self, item: RoutingItem) {
        let application = item.application;
        Arc::make_mut(&mut self.items).insert(item.id, Arc::new(item));
        self.renew(application);
    }

    pub(crate) fn remove(&mut self, id: RoutingId) {
        if let Some(item) = Arc::make_mut(&mut self.items).remove(&id) {
            self.renew(item.application);
        }
    }

    /// Those of the tenants that `keep` says.
    pub(crate) fn kept(&self, keep: impl Fn(TenantId) -> bool) -> Routings {
        let mut kept = Routings::default();
        for item in self.items.values().filter(|i| keep(i.tenant)) {
            Arc::make_mut(&mut kept.items).insert(item.id, item.clone());
            let cell = self.libraries.get(&item.application).cloned();
            Arc::make_mut(&mut kept.libraries).insert(item.application, cell.unwrap_or_default());
        }
        kept
    }
}
