//! Trunks to carriers.

use crate::desk::Desk;
use crate::error::Problem;
use crate::request::{self, Answer, Body, Listing, Path, Query};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use strowger_core::address::BadRange;
use strowger_core::resource::{
    Asserted, DiversionTo, PrefixRule, PrivacyTo, Registering, Trunk, TrunkAuth, TrunkSrtp, TrunkTransport,
};
use strowger_core::{AddressRange, TrunkId};
use strowger_runtime::owner::CODECS;
use strowger_store::config::{Config, PLATFORM};
use utoipa::ToSchema;

/// What a new trunk takes unless it says otherwise: what every carrier has.
const DEFAULT_CODECS: [&str; 2] = ["PCMA", "PCMU"];

#[derive(Serialize, ToSchema)]
#[schema(as = Trunk)]
pub(crate) struct View {
    id: String,
    /// `null` for one of the platform's.
    tenant: Option<String>,
    name: String,
    /// This or `server`.
    address: Option<String>,
    server: Option<String>,
    transport: &'static str,
    verify: bool,
    domain: String,
    sources: Vec<String>,
    /// `null` for authentication by address.
    username: Option<String>,
    /// Seconds that we ask for when we register; `null` if we do not.
    register: Option<u32>,
    contact_user: Option<String>,
    /// State of that registration; `null` if we do not register.
    registration: Option<String>,
    trusted: bool,
    /// `pass`, `remove` or a URI.
    asserted: String,
    privacy: &'static str,
    diversion: &'static str,
    codecs: Vec<String>,
    /// `off`, `optional` or `required`.
    srtp: &'static str,
    /// `auto`, `rfc4733`, `info` or `inband`.
    dtmf: &'static str,
    max_channels: u32,
    max_rate: u32,
    priority: u16,
    options_interval: u32,
    rules: Vec<Rule>,
    disabled: bool,
    /// `null` if it is not checked or not yet known.
    healthy: Option<bool>,
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TrunkRule)]
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
    fn of(t: &Trunk, api: &Desk) -> View {
        View {
            id: t.id.to_string(),
            tenant: t.tenant.map(|t| t.to_string()),
            name: t.name.clone(),
            address: t.address.map(|a| a.to_string()),
            server: t.server.clone(),
            transport: t.transport.name(),
            verify: t.verify,
            domain: t.domain.clone(),
            sources: t.sources.iter().map(source_text).collect(),
            username: match &t.auth {
                TrunkAuth::Address => None,
                TrunkAuth::Digest { username, .. } => Some(username.clone()),
            },
            register: t.register.as_ref().map(|r| r.expires),
            contact_user: t.register.as_ref().and_then(|r| r.contact_user.clone()),
            registration: api.operations.trunk_registration(t.id),
            trusted: t.identity.trusted,
            asserted: match &t.identity.asserted {
                Asserted::Pass => "pass".to_owned(),
                Asserted::Remove => "remove".to_owned(),
                Asserted::Set(uri) => uri.clone(),
            },
            privacy: word(&PRIVACY, t.identity.privacy),
            diversion: word(&DIVERSION, t.identity.diversion),
            codecs: t.codecs.clone(),
            srtp: t.srtp.name(),
            dtmf: t.dtmf.name(),
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

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TrunkChange)]
pub(crate) struct Change {
    name: Option<String>,
    /// Only when it is created; `"platform"` for one that all tenants share.
    tenant: Option<String>,
    /// Takes the place of `server`.
    address: Option<String>,
    /// Takes the place of `address`.
    server: Option<String>,
    transport: Option<String>,
    verify: Option<bool>,
    domain: Option<String>,
    sources: Option<Vec<String>>,
    /// With `password`; an empty text goes back to authentication by address.
    username: Option<String>,
    password: Option<String>,
    /// Seconds; 0 registers no more.
    register: Option<u32>,
    /// Empty for the digest user name.
    contact_user: Option<String>,
    trusted: Option<bool>,
    asserted: Option<String>,
    privacy: Option<String>,
    diversion: Option<String>,
    codecs: Option<Vec<String>>,
    srtp: Option<String>,
    /// How it is sent digits: `auto`, `rfc4733`, `info` or `inband`.
    dtmf: Option<String>,
    max_channels: Option<u32>,
    max_rate: Option<u32>,
    priority: Option<u16>,
    options_interval: Option<u32>,
    rules: Option<Vec<Rule>>,
    disabled: Option<bool>,
}

const TRANSPORTS: [(&str, TrunkTransport); 3] = [
    ("udp", TrunkTransport::Udp),
    ("tcp", TrunkTransport::Tcp),
    ("tls", TrunkTransport::Tls),
];

const PRIVACY: [(&str, PrivacyTo); 3] = [
    ("pass", PrivacyTo::Pass),
    ("enforce", PrivacyTo::Enforce),
    ("remove", PrivacyTo::Remove),
];

const DIVERSION: [(&str, DiversionTo); 3] = [
    ("remove", DiversionTo::Remove),
    ("diversion", DiversionTo::Diversion),
    ("history-info", DiversionTo::HistoryInfo),
];

fn word<T: PartialEq>(words: &[(&'static str, T)], value: T) -> &'static str {
    words.iter().find(|(_, v)| *v == value).map_or("", |(w, _)| w)
}

fn one_of<T: Copy>(member: &str, words: &[(&'static str, T)], text: &str) -> Result<T, Problem> {
    words.iter().find(|(w, _)| *w == text).map(|(_, v)| *v).ok_or_else(|| {
        let known: Vec<&str> = words.iter().map(|(w, _)| *w).collect();
        Problem::parameter(member, format!("{member} is one of {}", known.join(", ")))
    })
}

/// A single address without the length of its prefix.
fn source_text(range: &AddressRange) -> String {
    range.single().map_or_else(|| range.to_string(), |ip| ip.to_string())
}

/// A host name, with a port if it is not to be looked for by NAPTR and SRV.
fn server(text: &str) -> Result<String, Problem> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port.parse::<u16>().is_ok_and(|p| p != 0)),
        None => (text, true),
    };
    if !port || !request::is_host_name(host) {
        return Err(Problem::parameter(
            "server",
            "server is a host name with an optional port, such as sip.carrier.example or sip.carrier.example:5061; an IP \
             address goes into 'address'",
        ));
    }
    Ok(text.to_ascii_lowercase())
}

fn asserted(text: String) -> Result<Asserted, Problem> {
    match text.as_str() {
        "pass" => Ok(Asserted::Pass),
        "remove" => Ok(Asserted::Remove),
        uri => {
            let known = ["sip:", "sips:", "tel:"].iter().any(|s| uri.starts_with(s));
            // It goes into a header field between angle brackets.
            let clean = uri.bytes().all(|b| b.is_ascii_graphic() && !b"<>\"".contains(&b));
            if !known || !clean || !(6..=256).contains(&uri.len()) {
                return Err(Problem::parameter(
                    "asserted",
                    "asserted is pass, remove, or a sip:, sips: or tel: URI that is asserted of every call",
                ));
            }
            Ok(Asserted::Set(text))
        }
    }
}

fn address(text: &str, port: u16) -> Result<SocketAddr, Problem> {
    let with_port = text.parse().ok();
    let plain = || text.parse().ok().map(|ip| SocketAddr::new(ip, port));
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

/// Changes what a trunk registers, and checks that it can.
fn register(t: &mut Trunk, expires: Option<u32>, contact_user: Option<String>) -> Result<(), Problem> {
    match expires {
        None => {}
        Some(0) => t.register = None,
        Some(seconds @ 60..=86_400) => {
            let contact_user = t.register.take().and_then(|r| r.contact_user);
            t.register = Some(Registering {
                expires: seconds,
                contact_user,
            });
        }
        Some(_) => {
            return Err(Problem::parameter(
                "register",
                "register is 0 (we do not register) or 60 to 86400 seconds",
            ));
        }
    }
    if let Some(user) = contact_user {
        let good = user.len() <= 64 && user.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.+".contains(&b));
        if !good {
            return Err(Problem::parameter(
                "contact_user",
                "contact_user has at most 64 letters, digits, '-', '_', '.' or '+'",
            ));
        }
        let Some(register) = &mut t.register else {
            return Err(Problem::parameter(
                "contact_user",
                "contact_user belongs to a trunk that registers; give 'register' too",
            ));
        };
        register.contact_user = (!user.is_empty()).then_some(user);
    }
    if t.register.is_some() && t.auth == TrunkAuth::Address {
        return Err(Problem::parameter(
            "register",
            "a trunk that registers needs username and password",
        ));
    }
    Ok(())
}

impl Change {
    fn apply(self, t: &mut Trunk) -> Result<(), Problem> {
        if let Some(name) = self.name {
            t.name = request::name("name", &name)?;
        }
        if let Some(text) = &self.transport {
            t.transport = one_of("transport", &TRANSPORTS, text)?;
        }
        match (&self.address, &self.server) {
            (None, None) => {}
            (Some(text), None) => {
                t.address = Some(address(text, t.transport.default_port())?);
                t.server = None;
            }
            (None, Some(text)) => {
                t.server = Some(server(text)?);
                t.address = None;
            }
            (Some(_), Some(_)) => {
                return Err(Problem::parameter(
                    "server",
                    "give address or server: a trunk has one of them",
                ));
            }
        }
        t.verify = self.verify.unwrap_or(t.verify);
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
                .map_err(|e: BadRange| Problem::parameter("sources", e.to_string()))?;
        }
        match (self.username, self.password) {
            (None, None) => {}
            (Some(u), _) if u.is_empty() => t.auth = TrunkAuth::Address,
            (Some(username), Some(password)) => t.auth = TrunkAuth::Digest { username, password },
            _ => return Err(Problem::parameter("username", "give username and password together")),
        }
        register(t, self.register, self.contact_user)?;
        let identity = &mut t.identity;
        identity.trusted = self.trusted.unwrap_or(identity.trusted);
        if let Some(text) = self.asserted {
            identity.asserted = asserted(text)?;
        }
        if let Some(text) = &self.privacy {
            identity.privacy = one_of("privacy", &PRIVACY, text)?;
        }
        if let Some(text) = &self.diversion {
            identity.diversion = one_of("diversion", &DIVERSION, text)?;
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
        if let Some(text) = &self.dtmf {
            t.dtmf = crate::devices::digits(text)?;
        }
        if let Some(text) = &self.srtp {
            t.srtp = TrunkSrtp::of_name(text)
                .ok_or_else(|| Problem::parameter("srtp", "srtp is off, optional or required"))?;
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

/// A tenant may send calls to the platform's trunks, and sees nothing of how they are set.
fn visible(api: &Desk, t: &Trunk) -> bool {
    t.tenant.is_some() || api.only().is_none()
}

fn find(api: &Desk, text: &str) -> Result<Trunk, Problem> {
    let trunk = named(&api.config(), text).cloned()?;
    if !visible(api, &trunk) {
        return Err(Problem::not_found("trunk", format!("{text:?}")));
    }
    Ok(trunk)
}

/// A trunk by id or by name.
pub(crate) fn named<'c>(config: &'c Config, text: &str) -> Result<&'c Trunk, Problem> {
    let by_id = text.parse::<TrunkId>().ok().and_then(|id| config.trunk(id));
    let found = by_id.or_else(|| config.trunks().iter().find(|t| t.name == text));
    found
        .map(|t| t.as_ref())
        .ok_or_else(|| Problem::not_found("trunk", format!("{text:?}")))
}

pub(crate) async fn list(api: Desk, Query(asked): Query<Listing>) -> Answer {
    let config = api.config();
    let filter = asked.tenant(&api)?;
    let shows = |t: &Trunk| request::shows(filter, t.tenant.unwrap_or(PLATFORM)) || t.tenant.is_none();
    let trunks = config.trunks().iter().filter(|t| shows(t) && visible(&api, t));
    asked.page(trunks.map(|t| (t.id.to_string(), View::of(t, &api))))
}

pub(crate) async fn show(api: Desk, Path(id): Path<String>) -> Answer {
    let trunk = find(&api, &id)?;
    let view = View::of(&trunk, &api);
    api.shown(trunk, view)
}

pub(crate) async fn create(api: Desk, Body(mut change): Body<Change>) -> Answer {
    let config = api.config();
    let tenant = match change.tenant.take().as_deref() {
        Some("platform") => None,
        named => Some(request::tenant(&config, named)?),
    };
    let Some(name) = &change.name else {
        return Err(Problem::parameter("name", "name is required"));
    };
    if change.address.is_none() && change.server.is_none() {
        return Err(Problem::parameter("address", "address or server is required"));
    }
    if config.trunks().iter().any(|t| t.name == *name) {
        return Err(Problem::new(
            crate::Code::Exists,
            format!("there is a trunk {name:?} already"),
        ));
    }
    let mut trunk = Trunk {
        tenant,
        codecs: DEFAULT_CODECS.map(str::to_owned).to_vec(),
        ..Trunk::new(TrunkId(request::mint(&api)?), None)
    };
    change.apply(&mut trunk)?;
    let view = View::of(&trunk, &api);
    api.create(trunk, view).await
}

pub(crate) async fn change(api: Desk, Path(id): Path<String>, Body(change): Body<Change>) -> Answer {
    let _one = api.changing.lock().await;
    if change.tenant.is_some() {
        return Err(Problem::parameter(
            "tenant",
            "a trunk keeps its owner; create another one",
        ));
    }
    let mut trunk = find(&api, &id)?;
    api.expects(&trunk)?;
    change.apply(&mut trunk)?;
    let view = View::of(&trunk, &api);
    api.replace(trunk, view).await
}

pub(crate) async fn remove(api: Desk, Path(id): Path<String>) -> Answer {
    let _one = api.changing.lock().await;
    let trunk = find(&api, &id)?;
    api.remove(&trunk).await
}
