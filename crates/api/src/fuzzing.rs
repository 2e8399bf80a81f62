//! Readers of what comes from outside, without a server around them: what fuzz targets reach of this crate.

use crate::{applications, centre, configuration, desk, devices, events, request, webhooks};
use axum::http::{HeaderMap, HeaderValue, header};
use serde::de::DeserializeOwned;
use serde_json::Value;
use strowger_core::centre::resource::{Agent, Queue, SkillGroup};
use strowger_core::resource::Device;
use strowger_core::{AgentId, ApplicationId, DeviceId, GroupId, QueueId, Stamp, TenantId, WebhookId};
use strowger_store::centre::Centre;
use strowger_store::config::{Application, Config, DeviceEntry};
use strowger_store::webhooks::Webhook;

const TENANT: TenantId = TenantId(1);
const APPLICATION: ApplicationId = ApplicationId(1);

/// A message of a client of `/api/v1/events`: a command asks for what is below `/api/v1` and is no WebSocket.
pub fn events_message(bytes: &[u8]) {
    let Some(request) = std::str::from_utf8(bytes).ok().and_then(events::socket::asked) else {
        return;
    };
    let path = request.uri().path();
    assert!(
        path.starts_with("/api/v1/") && !path.starts_with("/api/v1/events"),
        "{path}"
    );
}

/// The members of an entry, as the request that changes such a resource has them.
fn read<T: DeserializeOwned>(entry: &Value) -> Option<T> {
    serde_json::from_value(entry.clone()).ok()
}

/// A file of a tenant's configuration, and the changes that its entries are.
pub fn configuration(bytes: &[u8]) {
    if serde_json::from_slice::<configuration::File>(bytes).is_err() {
        return;
    }
    let file: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let config = Config::default();
    for (kind, entries) in file.as_object().into_iter().flatten() {
        for entry in entries.as_array().into_iter().flatten() {
            change(kind, entry, &config);
        }
    }
}

/// Tries a change on a resource that has nothing yet. Most are refused.
fn change(kind: &str, entry: &Value, config: &Config) {
    // What names an entry, and is taken out before the rest is read.
    let mut rest = entry.clone();
    if let Some(members) = rest.as_object_mut() {
        members.retain(|name, _| !["application", "group", "login", "username"].contains(&name.as_str()));
    }
    let _ = match kind {
        "applications" => read::<applications::Change>(&rest).map(|c| {
            let mut made = Application {
                id: APPLICATION,
                tenant: TENANT,
                account: None,
                name: String::new(),
                profile: String::new(),
                settings: Default::default(),
                push_secret: None,
                disabled: false,
            };
            c.apply(&mut made)
        }),
        "devices" => read::<devices::Change>(&rest).map(|c| {
            let mut made = DeviceEntry {
                device: Device::new(DeviceId(1), TENANT, "desk"),
                password: None,
                disabled: false,
            };
            c.apply(&mut made, config)
        }),
        "groups" => read::<centre::groups::Change>(&rest).map(|c| {
            let mut made = SkillGroup {
                id: GroupId(1),
                tenant: TENANT,
                application: APPLICATION,
                name: String::new(),
                numbers: Vec::new(),
            };
            c.apply(&mut made, config)
        }),
        "queues" => read::<centre::queues::Change>(&rest).map(|c| {
            c.apply(
                &mut Queue::new(QueueId(1), TENANT, APPLICATION, "q", GroupId(1)),
                config,
            )
        }),
        "agents" => read::<centre::agents::Change>(&rest)
            .map(|c| c.apply(&mut Agent::new(AgentId(1), TENANT, APPLICATION, "a"), config)),
        "centres" => {
            read::<centre::settings::Change>(&rest).map(|c| c.apply(&mut Centre::new(APPLICATION, TENANT), config))
        }
        "webhooks" => {
            read::<webhooks::Change>(&rest).map(|c| c.apply(&mut Webhook::new(WebhookId(1), TENANT), config, Stamp(0)))
        }
        _ => None,
    };
}

/// `If-Match`: one strong tag without its quotation marks, anything, or a refusal.
pub fn if_match(bytes: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(bytes) else {
        return;
    };
    let headers = HeaderMap::from_iter([(header::IF_MATCH, value)]);
    if let Ok(Some(tag)) = desk::if_match(&headers) {
        assert!(!tag.is_empty() && !tag.contains('"'), "{tag}");
    }
}

/// The `after` of a page: what is not the `next` of one is refused.
pub fn cursor(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let items = ["a", "b", "c"].map(|key| (key.to_owned(), key));
    let read = request::page(Some(text), Some(2), items).is_ok();
    assert!(!read || hex::decode(text).is_ok(), "{text}");
}

/// A webhook that is created.
pub fn webhook(bytes: &[u8]) {
    let Ok(create) = serde_json::from_slice::<webhooks::Create>(bytes) else {
        return;
    };
    let mut made = Webhook::new(WebhookId(1), TENANT);
    if create.change().apply(&mut made, &Config::default(), Stamp(0)).is_ok() {
        assert!(made.url.starts_with("http"), "{}", made.url);
        assert!(made.secrets(Stamp(0)).all(|s| s.expose().len() >= 16));
    }
}
