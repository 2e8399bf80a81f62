//! Webhooks: where a tenant's own programs are told of events.

use crate::config::{Config, Secret};
use std::collections::BTreeMap;
use std::sync::Arc;
use strowger_core::{ApplicationId, Stamp, TenantId, WebhookId};

/// Where a tenant's own program is told of events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Id.
    pub id: WebhookId,
    /// Owner.
    pub tenant: TenantId,
    /// Name, for people; no other of the tenant has it.
    pub name: String,
    /// Only what happens in this application; in all of the tenant's without it.
    pub application: Option<ApplicationId>,
    /// Where events are sent.
    pub url: String,
    /// Topics of the events that are sent; all if empty.
    pub events: Vec<String>,
    /// What bodies are signed with; unsigned without it.
    pub secret: Option<Secret>,
    /// The secret before that one, and the first moment at which it is not valid any more.
    pub earlier: Option<(Secret, Stamp)>,
    /// Tells it from the tenant's others in the orders of the outbox.
    pub slot: u16,
    /// What happened before is not told.
    pub since: Stamp,
    /// Out of service by hand: new events are not told, and those that wait are kept for their day.
    pub disabled: bool,
}

impl Webhook {
    /// A webhook in service for all events of a tenant, without a name, an address and a secret.
    pub fn new(id: WebhookId, tenant: TenantId) -> Webhook {
        Webhook {
            id,
            tenant,
            name: String::new(),
            application: None,
            url: String::new(),
            events: Vec::new(),
            secret: None,
            earlier: None,
            slot: 0,
            since: Stamp(0),
            disabled: false,
        }
    }

    /// The secrets that are valid at `now`, the newest first.
    pub fn secrets(&self, now: Stamp) -> impl Iterator<Item = &Secret> {
        let earlier = self.earlier.as_ref().filter(move |(_, end)| now < *end);
        self.secret.iter().chain(earlier.map(|(secret, _)| secret))
    }

    /// Takes another secret; the one before stays valid until `end`.
    pub fn rotate(&mut self, secret: Secret, end: Stamp) {
        let before = self.secret.replace(secret);
        self.earlier = before.map(|before| (before, end));
    }

    /// True if it is told of events of this topic.
    pub fn wants(&self, topic: &str) -> bool {
        self.events.is_empty() || self.events.iter().any(|e| e == topic)
    }
}

/// All webhooks by id.
#[derive(Clone, Debug, Default)]
pub(crate) struct Webhooks(BTreeMap<WebhookId, Arc<Webhook>>);

impl Webhooks {
    pub(crate) fn get(&self, id: WebhookId) -> Option<&Arc<Webhook>> {
        self.0.get(&id)
    }

    pub(crate) fn insert(&mut self, webhook: Webhook) {
        self.0.insert(webhook.id, Arc::new(webhook));
    }

    pub(crate) fn remove(&mut self, id: WebhookId) {
        self.0.remove(&id);
    }

    pub(crate) fn kept(&self, keeps: impl Fn(TenantId) -> bool) -> Webhooks {
        let kept = self.0.iter().filter(|(_, w)| keeps(w.tenant));
        Webhooks(kept.map(|(id, w)| (*id, w.clone())).collect())
    }
}

impl Config {
    /// The webhook with this id.
    pub fn webhook(&self, id: WebhookId) -> Option<&Arc<Webhook>> {
        self.webhooks.get(id)
    }

    /// All webhooks by id.
    pub fn webhooks(&self) -> impl Iterator<Item = &Arc<Webhook>> {
        self.webhooks.0.values()
    }

    /// The webhooks that are told of what happens in an application.
    pub fn webhooks_of(&self, tenant: TenantId, application: ApplicationId) -> impl Iterator<Item = &Arc<Webhook>> {
        self.webhooks()
            .filter(move |w| w.tenant == tenant && !w.disabled && w.application.is_none_or(|a| a == application))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_secrets_overlap_and_the_earlier_one_expires() {
        let mut hook = Webhook {
            events: vec!["call.ended".into()],
            ..Webhook::new(WebhookId(1), TenantId(1))
        };
        let valid =
            |hook: &Webhook, at| -> Vec<String> { hook.secrets(Stamp(at)).map(|s| s.expose().into()).collect() };
        assert_eq!(valid(&hook, 0), [""; 0]);
        hook.rotate(Secret::new("one"), Stamp(100));
        assert_eq!(valid(&hook, 0), ["one"]);
        hook.rotate(Secret::new("two"), Stamp(100));
        assert_eq!(valid(&hook, 99), ["two", "one"]);
        assert_eq!(valid(&hook, 100), ["two"]);
        hook.rotate(Secret::new("three"), Stamp(300));
        assert_eq!(valid(&hook, 200), ["three", "two"]);
        assert!(hook.wants("call.ended") && !hook.wants("call.started"));
        assert!(!format!("{hook:?}").contains("three"));
    }
}
