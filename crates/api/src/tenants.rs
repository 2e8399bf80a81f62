//! Tenants: customers of the installation.

use crate::desk::Desk;
use crate::error::{Code, Problem};
use crate::request::{self, Answer, Body, Listing, Path, Query};
use serde::{Deserialize, Serialize};
use strowger_core::{Number, TenantId, TrunkId};
use strowger_store::config::{AddressRange, Config, Tenant};
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
#[schema(as = Tenant)]
pub(crate) struct View {
    id: String,
    name: String,
    push_allowed: Vec<String>,
    opened_prefixes: Vec<String>,
    max_conversations: u32,
    max_rate: u32,
    /// Thousandths of a currency unit a day; 0 is no limit.
    max_daily_spend: u64,
    zone_minutes: i32,
    domain: Option<String>,
    /// Id of the trunk for emergency calls.
    emergency: Option<String>,
    emergency_numbers: Vec<String>,
    /// Country whose tones callers hear; none for that of the installation.
    tones: Option<String>,
    /// Why a call failed is told by a busy or congestion tone instead of words.
    failure_tones: bool,
    /// Prompt for parties on hold; none for the shipped music.
    hold_music: Option<String>,
    disabled: bool,
}

impl View {
    fn of(t: &Tenant) -> View {
        View {
            id: t.id.to_string(),
            name: t.name.clone(),
            push_allowed: t.push_allowed.iter().map(ToString::to_string).collect(),
            opened_prefixes: t.opened_prefixes.clone(),
            max_conversations: t.max_conversations,
            max_rate: t.max_rate,
            max_daily_spend: t.max_daily_spend,
            zone_minutes: t.zone_minutes,
            domain: t.domain.clone(),
            emergency: t.emergency.map(|t| t.to_string()),
            emergency_numbers: t.emergency_numbers.clone(),
            tones: t.sounds.tones.clone(),
            failure_tones: t.sounds.failure_tones,
            hold_music: t.sounds.hold_music.clone(),
            disabled: t.disabled,
        }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TenantChange)]
pub(crate) struct Change {
    name: Option<String>,
    push_allowed: Option<Vec<String>>,
    opened_prefixes: Option<Vec<String>>,
    max_conversations: Option<u32>,
    max_rate: Option<u32>,
    max_daily_spend: Option<u64>,
    zone_minutes: Option<i32>,
    /// Empty for none.
    domain: Option<String>,
    /// A trunk by name or id; empty for none.
    emergency: Option<String>,
    /// Empty for the usual ones.
    emergency_numbers: Option<Vec<String>>,
    /// Two letters (ISO 3166-1); empty for the installation's.
    tones: Option<String>,
    failure_tones: Option<bool>,
    /// A prompt's name; empty for the shipped music.
    hold_music: Option<String>,
    disabled: Option<bool>,
}

impl Change {
    fn apply(self, t: &mut Tenant, config: &Config) -> Result<(), Problem> {
        if let Some(name) = self.name {
            t.name = request::name("name", &name)?;
        }
        if let Some(ranges) = self.push_allowed {
            let read = |r: &String| r.parse::<AddressRange>();
            t.push_allowed = ranges
                .iter()
                .map(read)
                .collect::<Result<_, _>>()
                .map_err(|e| Problem::parameter("push_allowed", e.to_string()))?;
        }
        if let Some(prefixes) = self.opened_prefixes {
            for p in &prefixes {
                let digits = p.strip_prefix('+').unwrap_or(p);
                if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
                    return Err(Problem::parameter(
                        "opened_prefixes",
                        "a prefix is digits, with + and country code in front for another country, such as +1",
                    ));
                }
            }
            t.opened_prefixes = prefixes;
        }
        t.max_conversations = self.max_conversations.unwrap_or(t.max_conversations);
        t.max_rate = self.max_rate.unwrap_or(t.max_rate);
        t.max_daily_spend = self.max_daily_spend.unwrap_or(t.max_daily_spend);
        if let Some(minutes) = self.zone_minutes {
            if !(-720..=840).contains(&minutes) {
                return Err(Problem::parameter("zone_minutes", "zone_minutes is -720 to 840"));
            }
            t.zone_minutes = minutes;
        }
        if let Some(text) = self.domain {
            t.domain = domain(t.id, &text, config)?;
        }
        if let Some(text) = self.emergency {
            t.emergency = emergency(t.id, &text, config)?;
        }
        if let Some(numbers) = self.emergency_numbers {
            let good = |n: &String| (2..=8).contains(&n.len()) && n.bytes().all(|b| b.is_ascii_digit());
            if !numbers.iter().all(good) || numbers.len() > 32 {
                return Err(Problem::parameter(
                    "emergency_numbers",
                    "emergency_numbers are at most 32 numbers of 2 to 8 digits, as they are dialled",
                ));
            }
            t.emergency_numbers = numbers;
        }
        if let Some(text) = self.tones {
            let letters = text.len() == 2 && text.bytes().all(|b| b.is_ascii_alphabetic());
            if !letters && !text.is_empty() {
                return Err(Problem::parameter(
                    "tones",
                    "tones is a country's two letters, such as CN, or empty",
                ));
            }
            t.sounds.tones = letters.then(|| text.to_ascii_uppercase());
        }
        t.sounds.failure_tones = self.failure_tones.unwrap_or(t.sounds.failure_tones);
        if let Some(name) = self.hold_music {
            if name.chars().count() > 128 {
                return Err(Problem::parameter(
                    "hold_music",
                    "hold_music is the name of a prompt, or empty",
                ));
            }
            t.sounds.hold_music = (!name.is_empty()).then_some(name);
        }
        t.disabled = self.disabled.unwrap_or(t.disabled);
        Ok(())
    }
}

/// The SIP domain that a text means for a tenant; an empty text means none.
fn domain(tenant: TenantId, text: &str, config: &Config) -> Result<Option<String>, Problem> {
    if text.is_empty() {
        return Ok(None);
    }
    if !request::is_host_name(text) {
        return Err(Problem::parameter(
            "domain",
            "domain is a host name such as acme.voice.example, or empty",
        ));
    }
    match config.tenant_by_domain(text) {
        Some(other) if other.id != tenant => Err(Problem {
            parameter: Some("domain".to_owned()),
            ..Problem::new(Code::Exists, "the domain is another tenant's")
        }),
        _ => Ok(Some(text.to_ascii_lowercase())),
    }
}

/// The emergency trunk that a text means for a tenant; an empty text means none.
fn emergency(tenant: TenantId, text: &str, config: &Config) -> Result<Option<TrunkId>, Problem> {
    if text.is_empty() {
        return Ok(None);
    }
    let trunk = crate::trunks::named(config, text)?;
    if trunk.tenant.is_some_and(|owner| owner != tenant) {
        return Err(Problem::parameter("emergency", "the trunk is another tenant's"));
    }
    Ok(Some(trunk.id))
}

fn find(api: &Desk, text: &str) -> Result<Tenant, Problem> {
    let config = api.config();
    let id = request::tenant(&config, Some(text))?;
    config
        .tenant(id)
        .map(|t| Tenant::clone(t))
        .ok_or_else(|| Problem::not_found("tenant", text))
}

pub(crate) async fn list(api: Desk, Query(asked): Query<Listing>) -> Answer {
    let config = api.config();
    let filter = asked.tenant(&api)?;
    let tenants = config.tenants().filter(|t| request::shows(filter, t.id));
    asked.page(tenants.map(|t| (t.id.to_string(), View::of(t))))
}

pub(crate) async fn show(api: Desk, Path(id): Path<String>) -> Answer {
    let tenant = find(&api, &id)?;
    let view = View::of(&tenant);
    api.shown(tenant, view)
}

pub(crate) async fn create(api: Desk, Body(change): Body<Change>) -> Answer {
    if change.name.is_none() {
        return Err(Problem::parameter("name", "name is required"));
    }
    let mut tenant = Tenant::new(TenantId(request::mint(&api)?), "");
    change.apply(&mut tenant, &api.config())?;
    if api.config().tenants().any(|t| t.name == tenant.name) {
        return Err(Problem::new(
            Code::Exists,
            format!("there is a tenant {:?} already", tenant.name),
        ));
    }
    let view = View::of(&tenant);
    api.create(tenant, view).await
}

pub(crate) async fn change(api: Desk, Path(id): Path<String>, Body(change): Body<Change>) -> Answer {
    let _one = api.changing.lock().await;
    let mut tenant = find(&api, &id)?;
    api.expects(&tenant)?;
    change.apply(&mut tenant, &api.config())?;
    let view = View::of(&tenant);
    api.replace(tenant, view).await
}

/// Destroys the tenant's key: what was stored under it can never be read again.
pub(crate) async fn remove(api: Desk, Path(id): Path<String>) -> Answer {
    let _one = api.changing.lock().await;
    let tenant = find(&api, &id)?;
    api.remove(&tenant).await
}

/// Whether a tenant may own this number: it must not be another one's.
pub(crate) fn may_own(api: &Desk, tenant: TenantId, number: &Number) -> Result<(), Problem> {
    match api.config().number(number) {
        Some(n) if n.tenant != tenant => Err(Problem::new(Code::Exists, "the number belongs to another tenant")),
        _ => Ok(()),
    }
}
