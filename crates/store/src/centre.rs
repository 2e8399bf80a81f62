//! The contact centre's part of a snapshot: agents, skill groups, queues, and the settings of each application.

use std::collections::BTreeMap;
use std::sync::Arc;
use strowger_core::centre::resource::{Agent, CentreSettings, Queue, SkillGroup};
use strowger_core::{AgentId, ApplicationId, GroupId, QueueId, TenantId};

/// The contact centre of an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Centre {
    /// The application.
    pub application: ApplicationId,
    /// Its tenant.
    pub tenant: TenantId,
    /// Settings.
    pub settings: CentreSettings,
    /// Why agents may be on break.
    pub break_reasons: Vec<BreakReason>,
    /// The flow that a customer goes into whose agent has hung up, by name.
    pub survey: Option<String>,
}

impl Centre {
    /// With default settings and no reasons.
    pub fn new(application: ApplicationId, tenant: TenantId) -> Centre {
        Centre {
            application,
            tenant,
            settings: CentreSettings::default(),
            break_reasons: Vec::new(),
            survey: None,
        }
    }
}

/// Why an agent is on break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakReason {
    /// As commands and events write it; the application's only one of that code.
    pub code: String,
    /// For people.
    pub name: String,
}

/// All contact centres. A clone shares the maps; a change copies the one that it touches.
#[derive(Clone, Debug, Default)]
pub struct Centres {
    agents: Arc<BTreeMap<AgentId, Arc<Agent>>>,
    groups: Arc<BTreeMap<GroupId, Arc<SkillGroup>>>,
    queues: Arc<BTreeMap<QueueId, Arc<Queue>>>,
    centres: Arc<BTreeMap<ApplicationId, Arc<Centre>>>,
}

impl Centres {
    /// The agent with this id.
    pub fn agent(&self, id: AgentId) -> Option<&Arc<Agent>> {
        self.agents.get(&id)
    }

    /// All agents by id.
    pub fn agents(&self) -> impl Iterator<Item = &Arc<Agent>> {
        self.agents.values()
    }

    /// The skill group with this id.
    pub fn group(&self, id: GroupId) -> Option<&Arc<SkillGroup>> {
        self.groups.get(&id)
    }

    /// All skill groups by id.
    pub fn groups(&self) -> impl Iterator<Item = &Arc<SkillGroup>> {
        self.groups.values()
    }

    /// The queue with this id.
    pub fn queue(&self, id: QueueId) -> Option<&Arc<Queue>> {
        self.queues.get(&id)
    }

    /// All queues by id.
    pub fn queues(&self) -> impl Iterator<Item = &Arc<Queue>> {
        self.queues.values()
    }

    /// The settings of an application that has some of its own.
    pub fn centre(&self, application: ApplicationId) -> Option<&Arc<Centre>> {
        self.centres.get(&application)
    }

    /// The settings of all applications that have some of their own.
    pub fn centres(&self) -> impl Iterator<Item = &Arc<Centre>> {
        self.centres.values()
    }

    pub(crate) fn insert_agent(&mut self, a: Agent) {
        Arc::make_mut(&mut self.agents).insert(a.id, Arc::new(a));
    }

    pub(crate) fn insert_group(&mut self, g: SkillGroup) {
        Arc::make_mut(&mut self.groups).insert(g.id, Arc::new(g));
    }

    pub(crate) fn insert_queue(&mut self, q: Queue) {
        Arc::make_mut(&mut self.queues).insert(q.id, Arc::new(q));
    }

    pub(crate) fn insert_centre(&mut self, c: Centre) {
        Arc::make_mut(&mut self.centres).insert(c.application, Arc::new(c));
    }

    pub(crate) fn remove_agent(&mut self, id: AgentId) {
        Arc::make_mut(&mut self.agents).remove(&id);
    }

    pub(crate) fn remove_group(&mut self, id: GroupId) {
        Arc::make_mut(&mut self.groups).remove(&id);
    }

    pub(crate) fn remove_queue(&mut self, id: QueueId) {
        Arc::make_mut(&mut self.queues).remove(&id);
    }

    pub(crate) fn remove_centre(&mut self, application: ApplicationId) {
        Arc::make_mut(&mut self.centres).remove(&application);
    }

    /// Those of the tenants that `keep` says.
    pub(crate) fn kept(&self, keep: impl Fn(TenantId) -> bool) -> Centres {
        fn part<K: Ord + Copy, V>(all: &BTreeMap<K, Arc<V>>, keep: impl Fn(&V) -> bool) -> Arc<BTreeMap<K, Arc<V>>> {
            let kept = all.iter().filter(|(_, v)| keep(v));
            Arc::new(kept.map(|(k, v)| (*k, v.clone())).collect())
        }
        Centres {
            agents: part(&self.agents, |a| keep(a.tenant)),
            groups: part(&self.groups, |g| keep(g.tenant)),
            queues: part(&self.queues, |q| keep(q.tenant)),
            centres: part(&self.centres, |c| keep(c.tenant)),
        }
    }
}
