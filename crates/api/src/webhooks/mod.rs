//! Webhooks: where a tenant's own programs are told of events (docs/webhooks.md).

mod agents;
mod told;

pub use agents::follow;
pub(crate) use told::TOPICS;
pub use told::WebhookProjector;

use crate::applications::url;
use crate::centre;
use crate::desk::Desk;
use crate::error::{Code, Problem};
use crate::request::{self, Answer, Body, Listing, Path, Query};
use crate::{rfc3339, time};
use serde::{Deserialize, Serialize};
use strowger_core::project::Topic;
use strowger_core::{ApplicationId, Stamp, TenantId, WebhookId};
use strowger_store::config::{Config, Secret};
use strowger_store::webhooks::Webhook;
use strowger_store::{Delivery, DeliveryFilter, Repush};
use utoipa::ToSchema;

/// Most webhooks of a tenant: each is told of every call.
const MOST: usize = 20;

/// Most events that are sent again by one request.
const AGAIN: usize = 10_000;

/// Seconds for which an earlier secret stays valid: a day, and at most a month.
const OVERLAP: (u64, u64) = (86_400, 30 * 86_400);

#[derive(Serialize, ToSchema)]
#[schema(as = Webhook)]
pub(crate) struct View {
    id: String,
    tenant: String,
    name: String,
    /// Id of the application whose events it is told of; `null` for all.
    application: Option<String>,
    url: String,
    /// Topics of events; empty for all.
    events: Vec<String>,
    /// False for one that has no secret yet.
    signed: bool,
    /// While a signature is made with the earlier secret too.
    earlier_secret_until: Option<String>,
    disabled: bool,
}

impl View {
    pub(crate) fn of(w: &Webhook) -> View {
        View {
            id: w.id.to_string(),
            tenant: w.tenant.to_string(),
            name: w.name.clone(),
            application: w.application.map(|a| a.to_string()),
            url: w.url.clone(),
            events: w.events.clone(),
            signed: w.secret.is_some(),
            earlier_secret_until: w.earlier.as_ref().map(|(_, end)| rfc3339(*end)),
            disabled: w.disabled,
        }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WebhookCreate)]
pub(crate) struct Create {
    /// Name or id; needed if there are several.
    tenant: Option<String>,
    name: String,
    /// Name or id of the application whose events it is told of; those of all without it.
    application: Option<String>,
    /// Begins with `http://` or `https://`. Private and special addresses need the tenant's permission.
    url: String,
    /// Topics as docs/webhooks.md lists them; all without it.
    #[serde(default)]
    events: Vec<String>,
    /// What bodies are signed with: 16 to 128 visible ASCII characters. It is never shown.
    secret: String,
    #[serde(default)]
    disabled: bool,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WebhookChange)]
pub(crate) struct Change {
    name: Option<String>,
    /// Empty for all of the tenant's.
    application: Option<String>,
    url: Option<String>,
    /// Replaces the list.
    events: Option<Vec<String>>,
    /// Another secret. Signatures are made with the one before too, while it is valid.
    secret: Option<String>,
    /// How long the one before stays valid, 0 to 2592000 seconds; a day without it.
    overlap_secs: Option<u64>,
    disabled: Option<bool>,
}

impl Create {
    /// What makes a new webhook one that was asked for.
    pub(crate) fn change(self) -> Change {
        Change {
            name: None,
            application: self.application,
            url: Some(self.url),
            events: Some(self.events),
            secret: Some(self.secret),
            overlap_secs: None,
            disabled: Some(self.disabled),
        }
    }
}

impl Change {
    pub(crate) fn apply(self, w: &mut Webhook, config: &Config, now: Stamp) -> Result<(), Problem> {
        if let Some(text) = &self.name {
            w.name = request::name("name", text)?;
        }
        if let Some(text) = &self.application {
            w.application = of_application(config, w.tenant, text)?;
        }
        if let Some(text) = self.url {
            w.url = address(text)?;
        }
        if let Some(events) = self.events {
            w.events = known(events)?;
        }
        let overlap = self.overlap_secs.unwrap_or(OVERLAP.0);
        if overlap > OVERLAP.1 {
            return Err(Problem::parameter(
                "overlap_secs",
                format!("overlap_secs is 0 to {}", OVERLAP.1),
            ));
        }
        if let Some(text) = self.secret {
            w.rotate(secret(text)?, now.plus_ms(overlap * 1000));
        }
        if self.disabled == Some(false) && w.disabled {
            w.since = now;
        }
        w.disabled = self.disabled.unwrap_or(w.disabled);
        Ok(())
    }
}

fn secret(text: String) -> Result<Secret, Problem> {
    if !(16..=128).contains(&text.len()) || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Problem::parameter(
            "secret",
            "secret has 16 to 128 visible ASCII characters: take random ones",
        ));
    }
    Ok(Secret::new(text))
}

fn address(text: String) -> Result<String, Problem> {
    if text.len() > 2000 {
        return Err(Problem::parameter("url", "url has at most 2000 characters"));
    }
    url("url", text)
}

fn known(mut events: Vec<String>) -> Result<Vec<String>, Problem> {
    events.sort_unstable();
    events.dedup();
    if events.iter().all(|e| TOPICS.contains(&e.as_str())) {
        return Ok(events);
    }
    let all = TOPICS.join(", ");
    Err(Problem::parameter("events", format!("events are of {all}")))
}

/// The application of this name or id; all for the empty text.
fn of_application(config: &Config, tenant: TenantId, text: &str) -> Result<Option<ApplicationId>, Problem> {
    if text.is_empty() {
        return Ok(None);
    }
    let own = config.confined(tenant);
    Ok(Some(centre::application(&own, Some(text))?.id))
}

/// A webhook that is told of nothing yet; its name is not checked.
pub(crate) fn new(api: &Desk, config: &Config, tenant: TenantId, name: &str) -> Result<Webhook, Problem> {
    let own: Vec<u16> = config
        .webhooks()
        .filter(|w| w.tenant == tenant)
        .map(|w| w.slot)
        .collect();
    if own.len() >= MOST {
        return Err(Problem::new(
            Code::Exists,
            format!("a tenant has at most {MOST} webhooks; remove one first"),
        ));
    }
    Ok(Webhook {
        name: request::name("name", name)?,
        slot: (0..).find(|slot| !own.contains(slot)).unwrap_or_default(),
        since: (api.now)(),
        ..Webhook::new(WebhookId(request::mint(api)?), tenant)
    })
}

fn find(api: &Desk, text: &str) -> Result<Webhook, Problem> {
    let id: WebhookId = request::id("webhook", text)?;
    let config = api.config();
    let found = config.webhook(id).ok_or_else(|| Problem::not_found("webhook", id))?;
    Ok(Webhook::clone(found))
}

pub(crate) async fn list(api: Desk, Query(asked): Query<Listing>) -> Answer {
    let config = api.config();
    let filter = asked.tenant(&api)?;
    let hooks = config.webhooks().filter(|w| request::shows(filter, w.tenant));
    asked.page(hooks.map(|w| (w.id.to_string(), View::of(w))))
}

pub(crate) async fn show(api: Desk, Path(id): Path<String>) -> Answer {
    let hook = find(&api, &id)?;
    let view = View::of(&hook);
    api.shown(hook, view)
}

pub(crate) async fn create(api: Desk, Body(create): Body<Create>) -> Answer {
    let _one = api.changing.lock().await;
    let config = api.config();
    let tenant = request::tenant(&config, create.tenant.as_deref())?;
    let mut hook = new(&api, &config, tenant, &create.name)?;
    create.change().apply(&mut hook, &config, (api.now)())?;
    let view = View::of(&hook);
    api.create(hook, view).await
}

pub(crate) async fn change(api: Desk, Path(id): Path<String>, Body(change): Body<Change>) -> Answer {
    let _one = api.changing.lock().await;
    let mut hook = find(&api, &id)?;
    api.expects(&hook)?;
    change.apply(&mut hook, &api.config(), (api.now)())?;
    let view = View::of(&hook);
    api.replace(hook, view).await
}

pub(crate) async fn remove(api: Desk, Path(id): Path<String>) -> Answer {
    let _one = api.changing.lock().await;
    let hook = find(&api, &id)?;
    api.remove(&hook).await
}

/// Which events to send again: those of a span of time, or those of one conversation or agent.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WebhookReplay)]
pub(crate) struct Replay {
    /// First moment, RFC 3339.
    from: Option<String>,
    /// First moment that is too late.
    to: Option<String>,
    /// Id of a conversation or an agent.
    conversation: Option<String>,
    /// Of that one, only events with a greater `seq`.
    after: Option<u32>,
}

/// What is sent again.
enum Which {
    Between(Stamp, Stamp),
    Of(strowger_core::ConversationId, u32),
}

impl Replay {
    fn read(self) -> Result<Which, Problem> {
        let moment = |member: &str, text: &str| {
            time::parse_rfc3339(text).ok_or_else(|| {
                Problem::parameter(
                    member,
                    format!("{member} is a time in UTC such as 2026-01-31T09:30:00Z"),
                )
            })
        };
        match (self.from, self.to, self.conversation, self.after) {
            (Some(from), Some(to), None, None) => Ok(Which::Between(moment("from", &from)?, moment("to", &to)?)),
            (None, None, Some(id), after) => {
                let id = request::body_id("conversation", &id)?;
                Ok(Which::Of(id, after.unwrap_or(0)))
            }
            _ => Err(Problem::parameter(
                "from",
                "give either from and to, or conversation with or without after",
            )),
        }
    }
}

impl Which {
    fn fits(&self, d: &Delivery) -> bool {
        match self {
            Which::Of(_, after) => d.seq > *after,
            Which::Between(from, to) => {
                let body: serde_json::Value = serde_json::from_slice(&d.body).unwrap_or_default();
                let at = body["at"].as_str().and_then(time::parse_rfc3339);
                at.is_some_and(|at| (*from..*to).contains(&at))
            }
        }
    }
}

/// `POST /webhooks/{id}/replay`.
pub(crate) async fn replay(api: Desk, Path(id): Path<String>, Body(asked): Body<Replay>) -> Answer {
    let hook = find(&api, &id)?;
    let which = asked.read()?;
    let mut filter = DeliveryFilter {
        conversation: match which {
            Which::Of(id, _) => Some(id),
            Which::Between(..) => None,
        },
        topic: Some(Topic::Event),
        limit: 1000,
        ..DeliveryFilter::default()
    };
    let mine = format!("{}.", hook.id);
    let mut ids = Vec::new();
    loop {
        let page = api.store.deliveries(hook.tenant, filter.clone()).await?;
        let fits = |d: &&Delivery| d.key.starts_with(&mine) && which.fits(d);
        ids.extend(page.iter().map(|d| &d.delivery).filter(fits).map(|d| d.id));
        if ids.len() > AGAIN {
            return Err(Problem::parameter(
                "from",
                format!("there are more than {AGAIN} events; ask for a shorter span"),
            ));
        }
        match page.last() {
            Some(last) if page.len() == 1000 => filter.before = Some(last.delivery.id),
            _ => break,
        }
    }
    let queued = api
        .store
        .repush(hook.tenant, Repush::Deliveries(ids), (api.now)())
        .await?;
    request::ok(request::Queued { queued })
}
