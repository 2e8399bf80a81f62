//! What webhooks are told of agents: the agents' log, queued as deliveries in the order of each agent.
//!
//! The log is written first, and what is queued is told by it: when changes were missed, because the process was too busy or
//! stopped in between, the log is read behind the newest delivery of each agent and webhook.

use crate::centre::agent_data;
use crate::rfc3339;
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use strowger_core::centre::agent::Change;
use strowger_core::project::Topic;
use strowger_core::{AgentId, ConversationId, Stamp, TenantId, WebhookId};
use strowger_runtime::centre::CentreEvent;
use strowger_store::config::Config;
use strowger_store::webhooks::Webhook;
use strowger_store::{Batch, NewDelivery, Store, StoreError};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

/// Changes that are queued in one write.
const TOGETHER: usize = 256;
/// Changes that are read from the log at once.
const PAGE: usize = 1000;
/// What is older is not told any more: retries of a day would be over.
const DAY_MS: u64 = 24 * 3600 * 1000;
/// Pause after a failure of the store.
const PAUSE: Duration = Duration::from_secs(1);

/// An agent's change as it comes.
struct Told<'a> {
    tenant: TenantId,
    agent: AgentId,
    seq: u64,
    change: &'a Change,
    conversation: Option<ConversationId>,
}

/// Queues what agents do for the webhooks of their tenants.
struct Agents {
    store: Store,
    now: Arc<dyn Fn() -> Stamp + Send + Sync>,
    /// The newest position that was queued.
    newest: HashMap<(WebhookId, AgentId), u64>,
}

/// Queues changes of agents for webhooks until the desks are gone. `events` is subscribed to before the first agent works.
pub async fn follow(store: Store, now: Arc<dyn Fn() -> Stamp + Send + Sync>, mut events: Receiver<Arc<CentreEvent>>) {
    let mut agents = Agents {
        store,
        now,
        newest: HashMap::new(),
    };
    let mut missed = true;
    loop {
        if missed {
            match agents.catch_up().await {
                Ok(()) => missed = false,
                Err(error) => {
                    tracing::error!(
                        code = error.code(),
                        "changes of agents cannot be queued for webhooks, trying again"
                    );
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            }
        }
        let mut batch = Vec::new();
        match events.recv().await {
            Ok(event) => batch.push(event),
            Err(RecvError::Lagged(_)) => missed = true,
            Err(RecvError::Closed) => return,
        }
        while batch.len() < TOGETHER {
            match events.try_recv() {
                Ok(event) => batch.push(event),
                Err(TryRecvError::Lagged(_)) => missed = true,
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        missed |= missed || agents.queue_events(&batch).await.is_err();
    }
}

impl Agents {
    async fn queue_events(&mut self, events: &[Arc<CentreEvent>]) -> Result<(), StoreError> {
        let mut told = Vec::new();
        for event in events {
            if let CentreEvent::Agent {
                tenant,
                agent,
                seq,
                change,
                conversation,
            } = &**event
            {
                told.push(Told {
                    tenant: *tenant,
                    agent: *agent,
                    seq: *seq,
                    change,
                    conversation: *conversation,
                });
            }
        }
        self.queue(&told).await
    }

    /// Queues what the log has and was not queued.
    async fn catch_up(&mut self) -> Result<(), StoreError> {
        self.newest.clear();
        let config = self.store.snapshot();
        // What has webhooks no more is forgotten with the map.
        let mut since: HashMap<TenantId, Stamp> = HashMap::new();
        for hook in config.webhooks().filter(|w| listens(w)) {
            let from = since.entry(hook.tenant).or_insert(hook.since);
            *from = hook.since.min(*from);
        }
        let now = (self.now)();
        let day = Stamp(now.0.saturating_sub_unsigned(DAY_MS));
        for (tenant, from) in since {
            let mut from = from.max(day);
            loop {
                let page = self.store.agent_log(tenant, None, from, Stamp(i64::MAX), PAGE).await?;
                let told: Vec<Told<'_>> = page
                    .iter()
                    .map(|e| Told {
                        tenant,
                        agent: e.agent,
                        seq: e.seq,
                        change: &e.change,
                        conversation: None,
                    })
                    .collect();
                self.queue(&told).await?;
                let Some(last) = page.last().filter(|_| page.len() == PAGE) else {
                    break;
                };
                // A page of one moment would come again for ever.
                from = if last.change.at > from {
                    last.change.at
                } else {
                    from.plus_ms(1)
                };
            }
        }
        Ok(())
    }

    async fn queue(&mut self, told: &[Told<'_>]) -> Result<(), StoreError> {
        let config = self.store.snapshot();
        let mut deliveries = Vec::new();
        let mut newest: HashMap<(WebhookId, AgentId), u64> = HashMap::new();
        for t in told {
            let Some(found) = config.centre().agent(t.agent) else {
                continue;
            };
            for hook in config.webhooks_of(t.tenant, found.application) {
                if !listens(hook) || t.change.at < hook.since {
                    continue;
                }
                let key = (hook.id, t.agent);
                let known = match newest.get(&key).or_else(|| self.newest.get(&key)) {
                    Some(known) => *known,
                    None => self.queued(hook, t.agent).await?,
                };
                if t.seq > known {
                    deliveries.push(self.delivery(&config, hook, t));
                }
                newest.insert(key, known.max(t.seq));
            }
        }
        if !deliveries.is_empty() {
            let batch = Batch {
                deliveries,
                ..Batch::default()
            };
            self.store.append(batch).await.map_err(StoreError::Write)?;
        }
        self.newest.extend(newest);
        Ok(())
    }

    /// The newest position of an agent that was queued for a webhook before.
    async fn queued(&self, hook: &Webhook, agent: AgentId) -> Result<u64, StoreError> {
        let of = ConversationId(agent.0);
        let newest = self.store.newest_delivery(hook.tenant, of, hook.slot).await?;
        Ok(newest.map_or(0, u64::from))
    }

    fn delivery(&self, config: &Config, hook: &Webhook, told: &Told<'_>) -> NewDelivery {
        let found = config.centre().agent(told.agent);
        let application = found.map(|a| a.application).unwrap_or(strowger_core::ApplicationId(0));
        let data = agent_data(
            found.map(|a| &**a),
            told.agent,
            told.seq,
            told.change,
            told.conversation,
        );
        let body = json!({
            "type": "event",
            "id": format!("{}-{}", told.agent, told.seq),
            "seq": told.seq,
            "at": rfc3339(told.change.at),
            "topic": "agent.changed",
            "conversation": told.conversation.map(|c| c.to_string()),
            "application": application.to_string(),
            "data": data,
        });
        NewDelivery {
            tenant: told.tenant,
            // The order of an agent's events is that of its log.
            conversation: ConversationId(told.agent.0),
            application,
            seq: u32::try_from(told.seq).unwrap_or(u32::MAX),
            subscription: hook.slot,
            topic: Topic::Event,
            url: hook.url.clone(),
            content_type: "application/json".into(),
            body: body.to_string().into_bytes(),
            key: format!("{}.{}.{}", hook.id, told.agent, told.seq),
            not_before: (self.now)(),
            batch: None,
        }
    }
}

fn listens(hook: &Webhook) -> bool {
    !hook.disabled && hook.wants("agent.changed")
}
