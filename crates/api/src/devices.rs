//! Devices: telephones of a tenant.

use crate::desk::Desk;
use crate::error::{Code, Problem};
use crate::request::{self, Answer, Body, Listing, Path, Query};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use strowger_core::resource::{Device, DeviceMedia, DigitsBy};
use strowger_core::{ApplicationId, DeviceId, Number, TenantId};
use strowger_store::config::{Config, DeviceEntry, Secret};
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
#[schema(as = Device)]
pub(crate) struct View {
    id: String,
    tenant: String,
    username: String,
    contact: Option<String>,
    /// Id of the application that its calls are accounted to.
    application: Option<String>,
    /// Number that its outward calls show.
    cli: Option<String>,
    /// What it is offered: `auto`, `rtp`, `srtp-optional`, `srtp` or `webrtc`.
    media: &'static str,
    /// `auto`, `rfc4733`, `info` or `inband`.
    dtmf: &'static str,
    disabled: bool,
    /// Shown once, when it is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<String>,
}

impl View {
    pub(crate) fn of(d: &DeviceEntry) -> View {
        View {
            id: d.device.id.to_string(),
            tenant: d.device.tenant.to_string(),
            username: d.device.username.clone(),
            contact: d.device.contact.map(|c| c.to_string()),
            application: d.device.application.map(|a| a.to_string()),
            cli: d.device.cli.as_ref().map(|n| n.as_str().to_owned()),
            media: d.device.media.name(),
            dtmf: d.device.dtmf.name(),
            disabled: d.disabled,
            password: None,
        }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DeviceCreate)]
pub(crate) struct Create {
    username: String,
    tenant: Option<String>,
    contact: Option<String>,
    password: Option<String>,
    /// By name or id.
    application: Option<String>,
    cli: Option<String>,
    media: Option<String>,
    /// How it is sent digits: `auto`, `rfc4733`, `info` or `inband`.
    dtmf: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DeviceChange)]
pub(crate) struct Change {
    contact: Option<String>,
    password: Option<String>,
    /// By name or id; empty for none.
    application: Option<String>,
    /// Empty for none.
    cli: Option<String>,
    media: Option<String>,
    /// How it is sent digits: `auto`, `rfc4733`, `info` or `inband`.
    dtmf: Option<String>,
    disabled: Option<bool>,
}

/// How digits are sent.
pub(crate) fn digits(text: &str) -> Result<DigitsBy, Problem> {
    DigitsBy::of_name(text).ok_or_else(|| Problem::parameter("dtmf", "dtmf is auto, rfc4733, info or inband"))
}

impl Change {
    pub(crate) fn apply(self, entry: &mut DeviceEntry, config: &Config) -> Result<(), Problem> {
        if let Some(text) = self.contact {
            entry.device.contact = contact(&text)?;
        }
        if let Some(text) = self.password {
            entry.password = Some(password(text)?);
        }
        let tenant = entry.device.tenant;
        if let Some(text) = self.application {
            entry.device.application = application(config, tenant, &text)?;
        }
        if let Some(text) = self.cli {
            entry.device.cli = cli(config, tenant, &text)?;
        }
        if let Some(text) = self.dtmf {
            entry.device.dtmf = digits(&text)?;
        }
        if let Some(text) = self.media {
            entry.device.media = media(&text)?;
        }
        entry.disabled = self.disabled.unwrap_or(entry.disabled);
        Ok(())
    }
}

/// A device's user name.
pub(crate) fn checked_username(username: &str) -> Result<(), Problem> {
    let good = (1..=64).contains(&username.len())
        && username
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if !good {
        return Err(Problem::parameter(
            "username",
            "username has 1 to 64 letters, digits, '-', '_' or '.'",
        ));
    }
    Ok(())
}

fn media(text: &str) -> Result<DeviceMedia, Problem> {
    DeviceMedia::of_name(text)
        .ok_or_else(|| Problem::parameter("media", "media is auto, rtp, srtp-optional, srtp or webrtc"))
}

fn contact(text: &str) -> Result<Option<SocketAddr>, Problem> {
    if text.is_empty() {
        return Ok(None);
    }
    let parsed = text.parse().ok().filter(|a: &SocketAddr| a.port() != 0);
    parsed
        .map(Some)
        .ok_or_else(|| Problem::parameter("contact", "contact is an address and port, such as 192.0.2.20:5060"))
}

fn password(text: String) -> Result<Secret, Problem> {
    if !(8..=128).contains(&text.len()) || text.chars().any(char::is_control) {
        return Err(Problem::parameter("password", "a password has 8 to 128 characters"));
    }
    Ok(Secret::new(text))
}

/// The application of a tenant that a text means; an empty text means none.
fn application(config: &Config, tenant: TenantId, text: &str) -> Result<Option<ApplicationId>, Problem> {
    if text.is_empty() {
        return Ok(None);
    }
    let mut own = config.applications().filter(|a| a.tenant == tenant);
    own.find(|a| a.name == text || a.id.to_string() == text)
        .map(|a| Some(a.id))
        .ok_or_else(|| Problem::not_found("application", format!("{text:?}")))
}

/// The number that a device shows; an empty text means none.
fn cli(config: &Config, tenant: TenantId, text: &str) -> Result<Option<Number>, Problem> {
    if text.is_empty() {
        return Ok(None);
    }
    let number = request::number("cli", text)?;
    match config.number(&number) {
        Some(n) if n.tenant == tenant && n.outgoing => Ok(Some(number)),
        _ => Err(Problem::parameter(
            "cli",
            "cli is no number of this tenant that may be shown; add it first: strowger number add NUMBER",
        )),
    }
}

/// A device by id, or by user name if no two tenants have it.
fn find(api: &Desk, text: &str) -> Result<DeviceEntry, Problem> {
    let config = api.config();
    let by_id = text.parse::<DeviceId>().ok().and_then(|id| config.device(id));
    let found = by_id.or_else(|| config.device_by_username_anywhere(text));
    found.map(|d| DeviceEntry::clone(d)).ok_or_else(|| {
        let several = config.devices().any(|d| d.device.username == text);
        if several {
            Problem::new(
                Code::TenantRequired,
                format!("several tenants have a device {text:?}; name it by its id"),
            )
        } else {
            Problem::not_found("device", format!("{text:?}"))
        }
    })
}

pub(crate) async fn list(api: Desk, Query(asked): Query<Listing>) -> Answer {
    let config = api.config();
    let filter = asked.tenant(&api)?;
    let devices = config.devices().filter(|d| request::shows(filter, d.device.tenant));
    asked.page(devices.map(|d| (d.device.id.to_string(), View::of(d))))
}

pub(crate) async fn show(api: Desk, Path(id): Path<String>) -> Answer {
    let entry = find(&api, &id)?;
    let view = View::of(&entry);
    api.shown(entry, view)
}

pub(crate) async fn create(api: Desk, Body(create): Body<Create>) -> Answer {
    let config = api.config();
    let tenant = request::tenant(&config, create.tenant.as_deref())?;
    let username = create.username;
    checked_username(&username)?;
    if config.device_by_name(tenant, &username).is_some() {
        return Err(Problem::new(
            Code::Exists,
            format!("there is a device {username:?} already"),
        ));
    }
    let (secret, shown) = match create.password {
        Some(p) => (password(p)?, None),
        None => {
            let made = request::random_hex::<12>()?;
            (Secret::new(made.clone()), Some(made))
        }
    };
    let entry = DeviceEntry {
        device: Device {
            contact: contact(create.contact.as_deref().unwrap_or(""))?,
            application: application(&config, tenant, create.application.as_deref().unwrap_or(""))?,
            cli: cli(&config, tenant, create.cli.as_deref().unwrap_or(""))?,
            media: create.media.as_deref().map(media).transpose()?.unwrap_or_default(),
            dtmf: create.dtmf.as_deref().map(digits).transpose()?.unwrap_or_default(),
            ..Device::new(DeviceId(request::mint(&api)?), tenant, username)
        },
        password: Some(secret),
        disabled: false,
    };
    let view = View {
        password: shown,
        ..View::of(&entry)
    };
    api.create(entry, view).await
}

pub(crate) async fn change(api: Desk, Path(id): Path<String>, Body(change): Body<Change>) -> Answer {
    let _one = api.changing.lock().await;
    let mut entry = find(&api, &id)?;
    api.expects(&entry)?;
    change.apply(&mut entry, &api.config())?;
    let view = View::of(&entry);
    api.replace(entry, view).await
}

pub(crate) async fn remove(api: Desk, Path(id): Path<String>) -> Answer {
    let _one = api.changing.lock().await;
    let entry = find(&api, &id)?;
    api.remove(&entry).await
}
