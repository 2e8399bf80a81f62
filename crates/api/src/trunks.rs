//! Trunks to carriers.

use crate::Api;
use crate::error::Problem;
use crate::request::{self, Answer, Body, OfTenant};
use axum::extract::{Path, Query, State};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use strowger_core::TrunkId;
use strowger_core::resource::{PrefixRule, Trunk, TrunkAuth};
use strowger_store::config::{PLATFORM, Resource, ResourceId};

/// Codecs that a trunk may name.
const CODECS: [&str; 2] = ["PCMA", "PCMU"];

#[derive(Serialize)]
struct View {
    id: String,
    /// `null` for one of the platform's.
    tenant: Option<String>,
    name: String,
    address: Option<String>,
    domain: String,
    sources: Vec<String>,
    /// `null` for authentication by address.
    username: Option<String>,
    codecs: Vec<String>,
    max_channels: u32,
    max_rate: u32,
    priority: u16,
    options_interval: u32,
    rules: Vec<Rule>,
    disabled: bool,
    /// `null` if it is not checked or not yet known.
    healthy: Option<bool>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    #[serde(default)]
    prefix: String,
    #[serde(default)]
    strip: u8,
    #[serde(default)]
    prepend: String,
    #[serde(default = "yes")]
    allow: bool,
    /// Thousandths of a currency unit a minute.
    #[serde(default)]
    price: u32,
}

fn yes() -> bool {
    true
}

impl View {
    fn of(t: &Trunk, api: &Api) -> View {
        View {
            id: t.id.to_string(),
            tenant: t.tenant.map(|t| t.to_string()),
            name: t.name.clone(),
            address: t.address.map(|a| a.to_string()),
            domain: t.domain.clone(),
            sources: t.sources.iter().map(ToString::to_string).collect(),
            username: match &t.auth {
                TrunkAuth::Address => None,
                TrunkAuth::Digest { username, .. } => Some(username.clone()),
            },
            codecs: t.codecs.clone(),
            max_channels: t.max_channels,
            max_rate: t.max_rate,
            priority: t.priority,
            options_interval: t.options_interval,
            rules: t
                .rules
                .iter()
                .map(|r| Rule {
                    prefix: r.prefix.clone(),
                    strip: r.strip,
                    prepend: r.prepend.clone(),
                    allow: r.allow,
                    price: r.price,
                })
                .collect(),
            disabled: t.disabled,
            healthy: api.operations.trunk_healthy(t.id),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    name: Option<String>,
    /// Only when it is created; `"platform"` for one that all tenants share.
    tenant: Option<String>,
    address: Option<String>,
    domain: Option<String>,
    sources: Option<Vec<String>>,
    /// With `password`; an empty text goes back to authentication by address.
    username: Option<String>,
    password: Option<String>,
    codecs: Option<Vec<String>>,
    max_channels: Option<u32>,
    max_rate: Option<u32>,
    priority: Option<u16>,
    options_interval: Option<u32>,
    rules: Option<Vec<Rule>>,
    disabled: Option<bool>,
}

fn address(text: &str) -> Result<SocketAddr, Problem> {
    let with_port = text.parse().ok();
    let plain = || text.parse().ok().map(|ip| SocketAddr::new(ip, 5060));
    with_port
        .or_else(plain)
        .filter(|a| a.port() != 0 && !a.ip().is_unspecified())
        .ok_or_else(|| {
            Problem::parameter(
                "address",
                "address is an IP address with an optional port, such as 192.0.2.1:5060",
            )
        })
}

fn dial_text(member: &str, text: &str, more: &str) -> Result<(), Problem> {
    if text.len() > 32 || !text.chars().all(|c| c.is_ascii_digit() || more.contains(c)) {
        return Err(Problem::parameter(
            member,
            format!("{member} has at most 32 of the characters 0-9 {more}"),
        ));
    }
    Ok(())
}

impl Change {
    fn apply(self, t: &mut Trunk) -> Result<(), Problem> {
        if let Some(name) = self.name {
            t.name = request::name("name", &name)?;
        }
        if let Some(text) = self.address {
            t.address = Some(address(&text)?);
        }
        if let Some(domain) = self.domain {
            let good = domain
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b));
            if !good || domain.len() > 253 {
                return Err(Problem::parameter(
                    "domain",
                    "domain is a host name or address, or empty",
                ));
            }
            t.domain = domain;
        }
        if let Some(sources) = self.sources {
            t.sources = sources
                .iter()
                .map(|s| s.parse())
                .collect::<Result<_, _>>()
                .map_err(|_| Problem::parameter("sources", "sources are IP addresses"))?;
        }
        match (self.username, self.password) {
            (None, None) => {}
            (Some(u), _) if u.is_empty() => t.auth = TrunkAuth::Address,
            (Some(username), Some(password)) => t.auth = TrunkAuth::Digest { username, password },
            _ => return Err(Problem::parameter("username", "give username and password together")),
        }
        if let Some(codecs) = self.codecs {
            if let Some(unknown) = codecs.iter().find(|c| !CODECS.contains(&c.as_str())) {
                return Err(Problem::parameter(
                    "codecs",
                    format!("{unknown:?} is not a codec here; known: {}", CODECS.join(", ")),
                ));
            }
            t.codecs = codecs;
        }
        if let Some(rules) = self.rules {
            for r in &rules {
                dial_text("rules.prefix", &r.prefix, "+")?;
                dial_text("rules.prepend", &r.prepend, "+*#")?;
            }
            t.rules = rules
                .into_iter()
                .map(|r| PrefixRule {
                    prefix: r.prefix,
                    strip: r.strip,
                    prepend: r.prepend,
                    allow: r.allow,
                    price: r.price,
                })
                .collect();
        }
        if let Some(n) = self.options_interval {
            if n != 0 && !(5..=3600).contains(&n) {
                return Err(Problem::parameter(
                    "options_interval",
                    "options_interval is 0 (off) or 5 to 3600 seconds",
                ));
            }
            t.options_interval = n;
        }
        t.max_channels = self.max_channels.unwrap_or(t.max_channels);
        t.max_rate = self.max_rate.unwrap_or(t.max_rate);
        t.priority = self.priority.unwrap_or(t.priority);
        t.disabled = self.disabled.unwrap_or(t.disabled);
        Ok(())
    }
}

/// A trunk by id or by name.
fn find(api: &Api, text: &str) -> Result<Trunk, Problem> {
    let config = api.store.snapshot();
    let by_id = text.parse::<TrunkId>().ok().and_then(|id| config.trunk(id));
    let found = by_id.or_else(|| config.trunks().iter().find(|t| t.name == text));
    Ok(Trunk::clone(
        found.ok_or_else(|| Problem::not_found("trunk", format!("{text:?}")))?,
    ))
}

pub(crate) async fn list(State(api): State<Api>, Query(of): Query<OfTenant>) -> Answer {
    let config = api.store.snapshot();
    let filter = of.resolve(&config)?;
    request::list(
        config
            .trunks()
            .iter()
            .filter(|t| request::shows(filter, t.tenant.unwrap_or(PLATFORM)) || t.tenant.is_none())
            .map(|t| View::of(t, &api)),
    )
}

pub(crate) async fn show(State(api): State<Api>, Path(id): Path<String>) -> Answer {
    request::ok(View::of(&find(&api, &id)?, &api))
}

pub(crate) async fn create(State(api): State<Api>, Body(mut change): Body<Change>) -> Answer {
    let config = api.store.snapshot();
    let tenant = match change.tenant.take().as_deref() {
        Some("platform") => None,
        named => Some(request::tenant(&config, named)?),
    };
    let (Some(name), Some(text)) = (&change.name, &change.address) else {
        return Err(Problem::parameter("name", "name and address are required"));
    };
    if config.trunks().iter().any(|t| t.name == *name) {
        return Err(Problem::new(
            crate::Code::Exists,
            format!("there is a trunk {name:?} already"),
        ));
    }
    let mut trunk = Trunk {
        tenant,
        codecs: CODECS.map(str::to_owned).to_vec(),
        ..Trunk::new(TrunkId(request::mint(&api)?), Some(address(text)?))
    };
    change.apply(&mut trunk)?;
    let view = View::of(&trunk, &api);
    api.store.create(Resource::Trunk(trunk)).await?;
    request::created(view)
}

pub(crate) async fn change(State(api): State<Api>, Path(id): Path<String>, Body(change): Body<Change>) -> Answer {
    let _one = api.changing.lock().await;
    if change.tenant.is_some() {
        return Err(Problem::parameter(
            "tenant",
            "a trunk keeps its owner; create another one",
        ));
    }
    let mut trunk = find(&api, &id)?;
    change.apply(&mut trunk)?;
    let view = View::of(&trunk, &api);
    api.store.put(Resource::Trunk(trunk)).await?;
    request::ok(view)
}

pub(crate) async fn remove(State(api): State<Api>, Path(id): Path<String>) -> Answer {
    let trunk = find(&api, &id)?;
    api.store.remove(ResourceId::Trunk(trunk.id)).await?;
    request::done()
}
