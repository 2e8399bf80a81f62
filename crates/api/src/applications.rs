//! Applications: what calls are accounted to, with named settings seeded from a profile.

use crate::desk::Desk;
use crate::error::Problem;
use crate::notice_settings;
use crate::request::{self, Answer, Body, Listing, Path, Query};
use serde::{Deserialize, Serialize};
use strowger_core::ApplicationId;
use strowger_core::resource::{ApplicationSettings, OnMachine};
use strowger_store::config::{Application, Secret};
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
#[schema(as = Application)]
pub(crate) struct View {
    id: String,
    tenant: String,
    account: Option<String>,
    name: String,
    profile: String,
    settings: SettingsView,
    push_signed: bool,
    disabled: bool,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ApplicationSettings)]
pub(crate) struct SettingsView {
    ring_timeout: u32,
    media_timeout: u32,
    zone_minutes: i32,
    default_cli: Option<String>,
    record_url: Option<String>,
    user_data_limit: usize,
    user_data_any: bool,
    strict_causes: bool,
    record_wait: u32,
    record_batch_size: u32,
    record_batch_seconds: u32,
    link_origins: Vec<String>,
    recording_compressed: bool,
    recording_mixed: bool,
    recording_hide_digits: bool,
    recording_days: u32,
    max_conversations: u32,
    max_rate: u32,
    /// What click-to-call does when a machine answers: `ignore` (nobody listens), `tell`, `hang-up`.
    on_machine: &'static str,
    /// Less sure verdicts (0-100) are told, and nothing is done.
    machine_confidence: u8,
    notices: notice_settings::View,
}

impl View {
    pub(crate) fn of(a: &Application) -> View {
        let s = &a.settings;
        View {
            id: a.id.to_string(),
            tenant: a.tenant.to_string(),
            account: a.account.map(|a| a.to_string()),
            name: a.name.clone(),
            profile: a.profile.clone(),
            settings: SettingsView {
                ring_timeout: s.ring_timeout,
                media_timeout: s.media_timeout,
                zone_minutes: s.zone_minutes,
                default_cli: s.default_cli.as_ref().map(|n| n.as_str().to_owned()),
                record_url: s.record_url.clone(),
                user_data_limit: s.user_data_limit,
                user_data_any: s.user_data_any,
                strict_causes: s.strict_causes,
                record_wait: s.record_wait,
                record_batch_size: s.record_batch_size,
                record_batch_seconds: s.record_batch_seconds,
                link_origins: s.link_origins.clone(),
                recording_compressed: s.recording.compressed,
                recording_mixed: s.recording.mixed,
                recording_hide_digits: s.recording.hide_digits,
                recording_days: s.recording.days,
                max_conversations: s.max_conversations,
                max_rate: s.max_rate,
                on_machine: s.answer.on_machine.name(),
                machine_confidence: s.answer.least_confidence,
                notices: notice_settings::View::of(&s.notices),
            },
            push_signed: a.push_secret.is_some(),
            disabled: a.disabled,
        }
    }
}

#[derive(Deserialize, Default, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ApplicationSettingsChange)]
pub(crate) struct SettingsChange {
    ring_timeout: Option<u32>,
    media_timeout: Option<u32>,
    zone_minutes: Option<i32>,
    default_cli: Option<String>,
    record_url: Option<String>,
    user_data_limit: Option<usize>,
    user_data_any: Option<bool>,
    strict_causes: Option<bool>,
    record_wait: Option<u32>,
    record_batch_size: Option<u32>,
    record_batch_seconds: Option<u32>,
    /// Origins of pages that may read the answers to dial links, such as `https://crm.example.com`; at most 50.
    link_origins: Option<Vec<String>>,
    recording_compressed: Option<bool>,
    recording_mixed: Option<bool>,
    recording_hide_digits: Option<bool>,
    recording_days: Option<u32>,
    max_conversations: Option<u32>,
    max_rate: Option<u32>,
    on_machine: Option<String>,
    machine_confidence: Option<u8>,
    #[serde(default)]
    notices: notice_settings::Change,
}

pub(crate) fn within<T: PartialOrd + std::fmt::Display>(member: &str, value: T, low: T, high: T) -> Result<T, Problem> {
    if value < low || value > high {
        return Err(Problem::parameter(
            member,
            format!("{member} is a number from {low} to {high}"),
        ));
    }
    Ok(value)
}

impl SettingsChange {
    fn apply(self, s: &mut ApplicationSettings) -> Result<(), Problem> {
        if let Some(v) = self.ring_timeout {
            s.ring_timeout = within("settings.ring_timeout", v, 5, 300)?;
        }
        if let Some(v) = self.media_timeout {
            s.media_timeout = within("settings.media_timeout", v, 5, 3600)?;
        }
        if let Some(v) = self.zone_minutes {
            s.zone_minutes = within("settings.zone_minutes", v, -720, 840)?;
        }
        if let Some(v) = self.user_data_limit {
            s.user_data_limit = within("settings.user_data_limit", v, 0, 65_536)?;
        }
        if let Some(v) = self.record_wait {
            s.record_wait = within("settings.record_wait", v, 0, 3600)?;
        }
        if let Some(v) = self.record_batch_size {
            s.record_batch_size = within("settings.record_batch_size", v, 0, 100)?;
        }
        if let Some(origins) = self.link_origins {
            let plain = |o: &String| {
                let rest = o.strip_prefix("https://").or(o.strip_prefix("http://"));
                rest.is_some_and(|host| {
                    !host.is_empty() && host.len() < 256 && !host.contains(['/', ' ', '*', '?', '#'])
                })
            };
            if origins.len() > 50 || !origins.iter().all(plain) {
                return Err(Problem::parameter(
                    "settings.link_origins",
                    "link_origins has at most 50 origins such as https://crm.example.com, without a path",
                ));
            }
            s.link_origins = origins;
        }
        if let Some(v) = self.record_batch_seconds {
            s.record_batch_seconds = within("settings.record_batch_seconds", v, 1, 3600)?;
        }
        if let Some(v) = self.recording_days {
            s.recording.days = within("settings.recording_days", v, 0, 36_500)?;
        }
        s.recording.compressed = self.recording_compressed.unwrap_or(s.recording.compressed);
        s.recording.mixed = self.recording_mixed.unwrap_or(s.recording.mixed);
        s.recording.hide_digits = self.recording_hide_digits.unwrap_or(s.recording.hide_digits);
        // An empty text takes the setting away.
        if let Some(v) = self.default_cli {
            s.default_cli = if v.is_empty() {
                None
            } else {
                Some(request::number("settings.default_cli", &v)?)
            };
        }
        if let Some(v) = self.record_url {
            s.record_url = if v.is_empty() {
                None
            } else {
                Some(url("settings.record_url", v)?)
            };
        }
        s.user_data_any = self.user_data_any.unwrap_or(s.user_data_any);
        s.strict_causes = self.strict_causes.unwrap_or(s.strict_causes);
        s.max_conversations = self.max_conversations.unwrap_or(s.max_conversations);
        s.max_rate = self.max_rate.unwrap_or(s.max_rate);
        notice_settings::answer(
            &mut s.answer,
            "settings",
            self.on_machine.as_deref(),
            self.machine_confidence,
            // There is no program that could wait for a beep.
            &[OnMachine::Ignore, OnMachine::Tell, OnMachine::HangUp],
        )?;
        self.notices.apply(&mut s.notices)
    }
}

pub(crate) fn url(member: &str, text: String) -> Result<String, Problem> {
    let host = text.strip_prefix("http://").or(text.strip_prefix("https://"));
    match host {
        Some(h) if !h.is_empty() && !h.starts_with('/') && !text.contains(char::is_whitespace) => Ok(text),
        _ => Err(Problem::parameter(
            member,
            format!("{member} is a URL that begins with http:// or https://"),
        )),
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ApplicationCreate)]
pub(crate) struct Create {
    name: String,
    tenant: Option<String>,
    account: Option<String>,
    profile: Option<String>,
    #[serde(default)]
    settings: SettingsChange,
    push_secret: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ApplicationChange)]
pub(crate) struct Change {
    name: Option<String>,
    #[serde(default)]
    settings: SettingsChange,
    push_secret: Option<String>,
    disabled: Option<bool>,
}

impl Change {
    pub(crate) fn apply(self, a: &mut Application) -> Result<(), Problem> {
        if let Some(name) = self.name {
            a.name = request::name("name", &name)?;
        }
        self.settings.apply(&mut a.settings)?;
        if let Some(secret) = self.push_secret {
            a.push_secret = push_secret(secret);
        }
        a.disabled = self.disabled.unwrap_or(a.disabled);
        Ok(())
    }
}

/// An empty secret means: unsigned.
fn push_secret(text: String) -> Option<Secret> {
    (!text.is_empty()).then(|| Secret::new(text))
}

fn find(api: &Desk, text: &str) -> Result<Application, Problem> {
    let id: ApplicationId = request::id("application", text)?;
    let config = api.config();
    let found = config
        .application(id)
        .ok_or_else(|| Problem::not_found("application", id))?;
    Ok(Application::clone(found))
}

pub(crate) async fn list(api: Desk, Query(asked): Query<Listing>) -> Answer {
    let config = api.config();
    let filter = asked.tenant(&api)?;
    let applications = config.applications().filter(|a| request::shows(filter, a.tenant));
    asked.page(applications.map(|a| (a.id.to_string(), View::of(a))))
}

pub(crate) async fn show(api: Desk, Path(id): Path<String>) -> Answer {
    let application = find(&api, &id)?;
    let view = View::of(&application);
    api.shown(application, view)
}

pub(crate) async fn create(api: Desk, Body(create): Body<Create>) -> Answer {
    let config = api.config();
    let tenant = request::tenant(&config, create.tenant.as_deref())?;
    let profile = match &create.profile {
        None => api.profiles.first(),
        Some(name) => Some(api.profiles.iter().find(|p| p.name == *name).ok_or_else(|| {
            let known: Vec<&str> = api.profiles.iter().map(|p| p.name.as_str()).collect();
            Problem::parameter(
                "profile",
                format!("there is no profile {name:?}; known: {}", known.join(", ")),
            )
        })?),
    };
    let account = match &create.account {
        None => None,
        Some(text) => {
            let id = request::body_id("account", text)?;
            let owner = config.account(id).filter(|a| a.tenant == tenant);
            Some(owner.ok_or_else(|| Problem::not_found("account", id))?.id)
        }
    };
    let mut application = Application {
        id: request::body_id("id", &request::random_hex::<16>()?)?,
        tenant,
        account,
        name: request::name("name", &create.name)?,
        profile: profile.map(|p| p.name.clone()).unwrap_or_default(),
        settings: profile.map(|p| p.settings.clone()).unwrap_or_default(),
        push_secret: create.push_secret.and_then(push_secret),
        disabled: false,
    };
    create.settings.apply(&mut application.settings)?;
    let view = View::of(&application);
    api.create(application, view).await
}

pub(crate) async fn change(api: Desk, Path(id): Path<String>, Body(change): Body<Change>) -> Answer {
    let _one = api.changing.lock().await;
    let mut application = find(&api, &id)?;
    api.expects(&application)?;
    change.apply(&mut application)?;
    let view = View::of(&application);
    api.replace(application, view).await
}

pub(crate) async fn remove(api: Desk, Path(id): Path<String>) -> Answer {
    let _one = api.changing.lock().await;
    let application = find(&api, &id)?;
    api.remove(&application).await
}
