//! Agents' clients: a page or program that follows events as an agent's user is a client of that agent, and the desk is told
//! when it comes, when it is cut off, and when it goes.

use crate::Api;
use crate::desk::Principal;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use strowger_core::centre::agent::{Client, Input, Refusal};
use strowger_core::{AgentId, LoginId, TenantId};
use strowger_runtime::centre::CentreError;

/// Clients of the native API, as the agents' machine tells them from those of other faces.
const FACE: u8 = 1;

/// The client of a login: the same one from request to request, and from connection to connection.
pub(crate) const fn client_of(login: LoginId) -> Client {
    Client {
        id: login.0,
        face: FACE,
    }
}

/// How many connections each client of an agent has.
#[derive(Default)]
pub(crate) struct Present(Mutex<HashMap<(AgentId, LoginId), usize>>);

impl Present {
    /// True if this client of an agent is connected.
    pub fn is_here(&self, agent: AgentId, login: LoginId) -> bool {
        self.count((agent, login), |n| n) > 0
    }

    fn count(&self, key: (AgentId, LoginId), change: impl FnOnce(usize) -> usize) -> usize {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = change(all.get(&key).copied().unwrap_or(0));
        match now {
            0 => drop(all.remove(&key)),
            n => drop(all.insert(key, n)),
        }
        now
    }
}

/// What one connection is to agents: as a rule of a single one, as a user may be bound to one of each application.
pub(crate) struct Presence {
    tenant: TenantId,
    login: LoginId,
    agents: Vec<AgentId>,
}

impl Presence {
    /// The agents that a principal is bound to.
    pub fn of(api: &Api, principal: &Principal) -> Option<Presence> {
        let Principal::User { tenant, id, login, .. } = principal else {
            return None;
        };
        let config = api.store.snapshot();
        let bound = config
            .centre()
            .agents()
            .filter(|a| a.tenant == *tenant && a.user == Some(*id));
        let agents: Vec<AgentId> = bound.map(|a| a.id).collect();
        (!agents.is_empty()).then_some(Presence {
            tenant: *tenant,
            login: *login,
            agents,
        })
    }

    /// The name under which its agents' desks know it.
    pub fn name(&self) -> String {
        self.login.to_string()
    }

    /// It is there.
    ///
    /// # Errors
    /// [`Refusal::Elsewhere`] if the agent is in a call at another client, and the application keeps it there.
    pub async fn begin(&self, api: &Api) -> Result<(), Refusal> {
        let mut refused = None;
        for agent in &self.agents {
            api.events.present.count((*agent, self.login), |n| n + 1);
            refused = refused.or(self.connect(api, *agent).await);
        }
        refused.map_or(Ok(()), Err)
    }

    async fn connect(&self, api: &Api, agent: AgentId) -> Option<Refusal> {
        let connect = Input::Connect {
            client: client_of(self.login),
            needs_device: false,
        };
        match api.desks.agent(self.tenant, agent, connect).await {
            Err(CentreError::Refused(refusal)) => Some(refusal),
            // A desk that has more to do than it can finds out when the agent signs in.
            Ok(()) | Err(_) => None,
        }
    }

    /// It is gone: `closed` if it said so, otherwise cut off.
    pub async fn end(&self, api: &Api, closed: bool) {
        for agent in &self.agents {
            let key = (*agent, self.login);
            if api.events.present.count(key, |n| n.saturating_sub(1)) > 0 {
                continue;
            }
            let client = client_of(self.login);
            let input = if closed {
                Input::Closed(client)
            } else {
                Input::Disconnected(client)
            };
            let told = api.desks.agent(self.tenant, *agent, input).await;
            if told.is_err() {
                tracing::debug!(%agent, "a desk could not be told of a client that is gone");
            }
            // Another connection of it may have begun meanwhile, and its letter may have come first.
            if api.events.present.is_here(*agent, self.login) {
                self.connect(api, *agent).await;
            }
        }
    }
}
