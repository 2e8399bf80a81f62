//! Webhooks as they are stored.

use super::{Id, secret};
use crate::config::Secret;
use crate::webhooks::Webhook;
use serde::{Deserialize, Serialize};
use strowger_core::{ApplicationId, Stamp, TenantId, WebhookId};

#[derive(Serialize, Deserialize)]
pub(super) struct DiskWebhook {
    id: Id,
    tenant: Id,
    name: String,
    #[serde(default)]
    application: Option<Id>,
    url: String,
    #[serde(default)]
    events: Vec<String>,
    #[serde(default)]
    secret: Option<String>,
    #[serde(default)]
    earlier: Option<(String, i64)>,
    slot: u16,
    since: i64,
    #[serde(default)]
    disabled: bool,
}

impl DiskWebhook {
    pub(super) fn of(w: &Webhook) -> DiskWebhook {
        DiskWebhook {
            id: Id(w.id.0),
            tenant: Id(w.tenant.0),
            name: w.name.clone(),
            application: w.application.map(|a| Id(a.0)),
            url: w.url.clone(),
            events: w.events.clone(),
            secret: w.secret.as_ref().map(secret),
            earlier: w.earlier.as_ref().map(|(s, end)| (secret(s), end.0)),
            slot: w.slot,
            since: w.since.0,
            disabled: w.disabled,
        }
    }

    pub(super) fn webhook(self) -> Webhook {
        Webhook {
            id: WebhookId(self.id.0),
            tenant: TenantId(self.tenant.0),
            name: self.name,
            application: self.application.map(|a| ApplicationId(a.0)),
            url: self.url,
            events: self.events,
            secret: self.secret.map(Secret::new),
            earlier: self.earlier.map(|(s, end)| (Secret::new(s), Stamp(end))),
            slot: self.slot,
            since: Stamp(self.since),
            disabled: self.disabled,
        }
    }
}
