//! Devices: telephones of a tenant.

use crate::Api;
use crate::error::{Code, Problem};
use crate::request::{self, Answer, Body, OfTenant};
use axum::extract::{Path, Query, State};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use strowger_core::DeviceId;
use strowger_core::resource::Device;
use strowger_store::config::{DeviceEntry, Resource, ResourceId, Secret};

#[derive(Serialize)]
struct View {
    id: String,
    tenant: String,
    username: String,
    contact: Option<String>,
    disabled: bool,
    /// Shown once, when it is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<String>,
}

impl View {
    fn of(d: &DeviceEntry) -> View {
        View {
            id: d.device.id.to_string(),
            tenant: d.device.tenant.to_string(),
            username: d.device.username.clone(),
            contact: d.device.contact.map(|c| c.to_string()),
            disabled: d.disabled,
            password: None,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Create {
    username: String,
    tenant: Option<String>,
    contact: Option<String>,
    password: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    contact: Option<String>,
    password: Option<String>,
    disabled: Option<bool>,
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

fn find(api: &Api, text: &str) -> Result<DeviceEntry, Problem> {
    let id: DeviceId = request::id("device", text)?;
    let config = api.store.snapshot();
    let found = config.device(id).ok_or_else(|| Problem::not_found("device", id))?;
    Ok(DeviceEntry::clone(found))
}

pub(crate) async fn list(State(api): State<Api>, Query(of): Query<OfTenant>) -> Answer {
    let config = api.store.snapshot();
    let filter = of.resolve(&config)?;
    request::list(
        config
            .devices()
            .filter(|d| request::shows(filter, d.device.tenant))
            .map(|d| View::of(d)),
    )
}

pub(crate) async fn show(State(api): State<Api>, Path(id): Path<String>) -> Answer {
    request::ok(View::of(&find(&api, &id)?))
}

pub(crate) async fn create(State(api): State<Api>, Body(create): Body<Create>) -> Answer {
    let config = api.store.snapshot();
    let tenant = request::tenant(&config, create.tenant.as_deref())?;
    let username = create.username;
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
            ..Device::new(DeviceId(request::mint(&api)?), tenant, username)
        },
        password: Some(secret),
        disabled: false,
    };
    let view = View {
        password: shown,
        ..View::of(&entry)
    };
    api.store.create(Resource::Device(entry)).await?;
    request::created(view)
}

pub(crate) async fn change(State(api): State<Api>, Path(id): Path<String>, Body(change): Body<Change>) -> Answer {
    let _one = api.changing.lock().await;
    let mut entry = find(&api, &id)?;
    if let Some(text) = change.contact {
        entry.device.contact = contact(&text)?;
    }
    if let Some(text) = change.password {
        entry.password = Some(password(text)?);
    }
    entry.disabled = change.disabled.unwrap_or(entry.disabled);
    let view = View::of(&entry);
    api.store.put(Resource::Device(entry)).await?;
    request::ok(view)
}

pub(crate) async fn remove(State(api): State<Api>, Path(id): Path<String>) -> Answer {
    let entry = find(&api, &id)?;
    api.store.remove(ResourceId::Device(entry.device.id)).await?;
    request::done()
}
