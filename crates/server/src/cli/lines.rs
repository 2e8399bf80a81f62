//! The commands about lines: trunks, numbers, devices, routes.

use super::client::{Request, escape};
use super::output::View;
use super::resources::{Id, OfTenant, get, listed, remove, send, switch};
use clap::{Args, Subcommand};
use serde_json::json;

/// `trunk`.
#[derive(Debug, Subcommand)]
pub enum Trunk {
    /// List them, with their health
    #[command(after_help = "Example:\n  strowger trunk list")]
    List(OfTenant),
    /// Show one
    #[command(after_help = "Example:\n  strowger trunk show carrier-a")]
    Show(Named),
    /// Add one
    #[command(
        after_help = "Example:\n  strowger trunk add carrier-a 192.0.2.1:5060 --username u --password p --max-channels 30\n  \
        strowger trunk add carrier-b 192.0.2.2 --rule '+86:strip=3,prepend=0,price=120'\n  \
        strowger trunk add carrier-c --server sip.carrier.example --transport tls --username u --password p --register 600"
    )]
    #[command(visible_alias = "create")]
    Add {
        /// Name
        name: String,
        /// IP address, with a port if it is not 5060 (5061 with TLS)
        #[arg(required_unless_present = "server", conflicts_with = "server")]
        address: Option<String>,
        /// Tenant, by name or id; 'platform' for all
        #[arg(long)]
        tenant: Option<String>,
        #[command(flatten)]
        settings: TrunkSettings,
    },
    /// Change one
    #[command(after_help = "Example:\n  strowger trunk set carrier-a --priority 5")]
    Set {
        #[command(flatten)]
        named: Named,
        /// New address, in place of the server
        #[arg(long, conflicts_with = "server")]
        address: Option<String>,
        #[command(flatten)]
        settings: TrunkSettings,
    },
    /// Take it out of service; running calls go on
    #[command(after_help = "Example:\n  strowger trunk disable carrier-a")]
    Disable(Named),
    /// Put it into service
    #[command(after_help = "Example:\n  strowger trunk enable carrier-a")]
    Enable(Named),
    /// Remove it
    #[command(after_help = "Example:\n  strowger trunk remove carrier-a")]
    Remove(Named),
}

/// One thing, by name.
#[derive(Debug, Args)]
pub struct Named {
    /// Its name or id
    name: String,
}

/// Settings of a trunk.
#[derive(Debug, Args)]
pub struct TrunkSettings {
    /// Host name to find by DNS (NAPTR, SRV, addresses), in place of an address; with :PORT without NAPTR and SRV
    #[arg(long, value_name = "HOST")]
    server: Option<String>,
    /// How requests go there: udp, tcp or tls
    #[arg(long)]
    transport: Option<String>,
    /// With TLS: accept any certificate
    #[arg(long)]
    no_verify: bool,
    /// With TLS: the certificate must be valid for the server's name
    #[arg(long, conflicts_with = "no_verify")]
    verify: bool,
    /// Register there, asking for so many seconds; 0 registers no more
    #[arg(long, value_name = "SECONDS")]
    register: Option<u32>,
    /// User part of the contact that is registered; empty for the digest user name
    #[arg(long, value_name = "USER")]
    contact_user: Option<String>,
    /// P-Asserted-Identity that it gets: pass, remove, or a URI
    #[arg(long, value_name = "WHAT")]
    asserted: Option<String>,
    /// What it gets of a caller's wish for privacy: pass (it keeps it), enforce (it learns nothing) or remove
    #[arg(long, value_name = "WHAT")]
    privacy: Option<String>,
    /// How it is told of diversions: remove, diversion or history-info
    #[arg(long, value_name = "WHAT")]
    diversion: Option<String>,
    /// Do not believe its P-Asserted-Identity
    #[arg(long)]
    untrusted: bool,
    /// Believe its P-Asserted-Identity
    #[arg(long, conflicts_with = "untrusted")]
    trusted: bool,
    /// Host part of the Request-URI and To, if it is not the address
    #[arg(long)]
    domain: Option<String>,
    /// More addresses or networks that its calls come from; replaces the list
    #[arg(long = "source", value_name = "RANGE")]
    sources: Option<Vec<String>>,
    /// Digest user name; without it the carrier knows us by our address
    #[arg(long, requires = "password")]
    username: Option<String>,
    /// Digest password
    #[arg(long, requires = "username")]
    password: Option<String>,
    /// Codecs in order of preference; replaces the list
    #[arg(long = "codec", value_name = "NAME")]
    codecs: Option<Vec<String>>,
    /// Encrypted media with keys in the descriptions: off, optional or required
    #[arg(long, value_name = "WHEN")]
    srtp: Option<String>,
    /// How digits are sent: auto, rfc4733, info or inband
    #[arg(long, value_name = "WAY")]
    dtmf: Option<String>,
    /// Concurrent calls, 0 is no limit
    #[arg(long)]
    max_channels: Option<u32>,
    /// New calls per second, 0 is no limit
    #[arg(long)]
    max_rate: Option<u32>,
    /// Lower is tried first
    #[arg(long)]
    priority: Option<u16>,
    /// Seconds between OPTIONS, 0 is off
    #[arg(long, value_name = "SECONDS")]
    options_interval: Option<u32>,
    /// Number rule PREFIX[:strip=N][,prepend=TEXT][,price=N][,deny]; the first that matches applies; the price is in
    /// thousandths of a currency unit a minute; replaces the list
    #[arg(long = "rule", value_name = "RULE", value_parser = rule)]
    rules: Option<Vec<serde_json::Value>>,
}

/// Reads `+86:strip=3,prepend=0` or `+1:deny`.
fn rule(text: &str) -> Result<serde_json::Value, String> {
    let (prefix, actions) = text.split_once(':').unwrap_or((text, ""));
    let mut rule = json!({ "prefix": prefix, "strip": 0, "prepend": "", "allow": true, "price": 0 });
    for action in actions.split(',').filter(|a| !a.is_empty()) {
        match action.split_once('=') {
            Some(("strip", n)) => {
                rule["strip"] = n
                    .parse::<u8>()
                    .map_err(|_| format!("strip={n}: a number is expected"))?
                    .into();
            }
            Some(("price", n)) => {
                rule["price"] = n
                    .parse::<u32>()
                    .map_err(|_| format!("price={n}: a number is expected"))?
                    .into();
            }
            Some(("prepend", digits)) => rule["prepend"] = digits.into(),
            None if action == "deny" => rule["allow"] = false.into(),
            _ => return Err(format!("{action:?} is not strip=N, prepend=TEXT, price=N or deny")),
        }
    }
    Ok(rule)
}

impl TrunkSettings {
    fn into_json(self) -> serde_json::Value {
        let verify = (self.verify || self.no_verify).then_some(self.verify);
        let trusted = (self.trusted || self.untrusted).then_some(self.trusted);
        json!({
            "server": self.server, "transport": self.transport, "verify": verify, "register": self.register,
            "contact_user": self.contact_user, "asserted": self.asserted, "privacy": self.privacy,
            "diversion": self.diversion, "trusted": trusted,
            "domain": self.domain, "sources": self.sources, "username": self.username, "password": self.password,
            "codecs": self.codecs, "srtp": self.srtp, "dtmf": self.dtmf, "max_channels": self.max_channels, "max_rate": self.max_rate,
            "priority": self.priority, "options_interval": self.options_interval, "rules": self.rules,
        })
    }
}

impl Trunk {
    /// The request.
    pub fn request(self) -> Request {
        let path = |n: &Named| format!("/trunks/{}", escape(&n.name));
        match self {
            Trunk::List(of) => listed(
                "/trunks",
                &of,
                &[
                    ("NAME", "/name"),
                    ("ADDRESS", "/address"),
                    ("SERVER", "/server"),
                    ("TRANSPORT", "/transport"),
                    ("HEALTHY", "/healthy"),
                    ("REGISTRATION", "/registration"),
                    ("USER", "/username"),
                    ("CODECS", "/codecs"),
                    ("CHANNELS", "/max_channels"),
                    ("PRIORITY", "/priority"),
                    ("OFF", "/disabled"),
                    ("ID", "/id"),
                ],
            ),
            Trunk::Show(n) => get(path(&n), View::Card),
            Trunk::Add {
                name,
                address,
                tenant,
                settings,
            } => {
                let mut body = settings.into_json();
                body["name"] = name.into();
                body["address"] = address.into();
                body["tenant"] = tenant.into();
                send("POST", "/trunks", body, View::Card)
            }
            Trunk::Set {
                named,
                address,
                settings,
            } => {
                let mut body = settings.into_json();
                body["address"] = address.into();
                send("PATCH", path(&named), body, View::Card)
            }
            Trunk::Disable(n) => switch(path(&n), true),
            Trunk::Enable(n) => switch(path(&n), false),
            Trunk::Remove(n) => remove(path(&n), format!("{} removed", n.name)),
        }
    }
}

/// `number`.
#[derive(Debug, Subcommand)]
pub enum Number {
    /// List them
    #[command(after_help = "Example:\n  strowger number list")]
    List(OfTenant),
    /// Add one that may be shown and called
    #[command(after_help = "Example:\n  strowger number add 01062345678 --no-incoming")]
    Add {
        /// The number
        number: String,
        #[command(flatten)]
        of: OfTenant,
        /// Applications that may show it, by id; without this all of the tenant's
        #[arg(long = "application", value_name = "ID")]
        applications: Option<Vec<String>>,
        /// It may not be shown to called parties
        #[arg(long)]
        no_outgoing: bool,
        /// It may not be called
        #[arg(long)]
        no_incoming: bool,
    },
    /// Remove it
    #[command(after_help = "Example:\n  strowger number remove 01062345678")]
    Remove {
        /// The number
        number: String,
    },
}

impl Number {
    /// The request.
    pub fn request(self) -> Request {
        match self {
            Number::List(of) => listed(
                "/numbers",
                &of,
                &[
                    ("NUMBER", "/number"),
                    ("SHOWN", "/outgoing"),
                    ("CALLED", "/incoming"),
                    ("APPLICATIONS", "/applications"),
                    ("TENANT", "/tenant"),
                ],
            ),
            Number::Add {
                number,
                of,
                applications,
                no_outgoing,
                no_incoming,
            } => send(
                "POST",
                "/numbers",
                json!({
                    "number": number, "tenant": of.tenant, "applications": applications,
                    "outgoing": !no_outgoing, "incoming": !no_incoming,
                }),
                View::Card,
            ),
            Number::Remove { number } => remove(format!("/numbers/{}", escape(&number)), format!("{number} removed")),
        }
    }
}

/// `device`.
#[derive(Debug, Subcommand)]
pub enum Device {
    /// List them
    #[command(after_help = "Example:\n  strowger device list")]
    List(OfTenant),
    /// Add one; a password that is made is shown once
    #[command(
        visible_alias = "create",
        after_help = "Example:\n  strowger device add desk-1 --application sales --cli 01062345678"
    )]
    Add {
        /// User part of its address
        username: String,
        #[command(flatten)]
        of: OfTenant,
        /// Where it is, if it does not register
        #[arg(long, value_name = "ADDRESS")]
        contact: Option<String>,
        /// Its digest password, instead of a made one
        #[arg(long)]
        password: Option<String>,
        /// Application that its calls are accounted to, by name or id
        #[arg(long)]
        application: Option<String>,
        /// Number that its outward calls show
        #[arg(long, value_name = "NUMBER")]
        cli: Option<String>,
        /// What it is offered when it is called
        #[arg(long, value_parser = ["auto", "rtp", "srtp-optional", "srtp", "webrtc"])]
        media: Option<String>,
        /// How digits are sent: auto, rfc4733, info or inband
        #[arg(long, value_name = "WAY")]
        dtmf: Option<String>,
    },
    /// Change one
    #[command(after_help = "Example:\n  strowger device set desk-1 --application sales --cli 01062345678")]
    Set {
        #[command(flatten)]
        named: Named,
        /// Where it is, if it does not register; empty if it does
        #[arg(long, value_name = "ADDRESS")]
        contact: Option<String>,
        /// Its digest password
        #[arg(long)]
        password: Option<String>,
        /// Application that its calls are accounted to, by name or id; empty for the tenant's only one
        #[arg(long)]
        application: Option<String>,
        /// Number that its outward calls show; empty for the application's
        #[arg(long, value_name = "NUMBER")]
        cli: Option<String>,
        /// What it is offered when it is called
        #[arg(long, value_parser = ["auto", "rtp", "srtp-optional", "srtp", "webrtc"])]
        media: Option<String>,
        /// How digits are sent: auto, rfc4733, info or inband
        #[arg(long, value_name = "WAY")]
        dtmf: Option<String>,
    },
    /// Refuse its calls and registrations
    #[command(after_help = "Example:\n  strowger device disable desk-1")]
    Disable(Named),
    /// Accept them again
    #[command(after_help = "Example:\n  strowger device enable desk-1")]
    Enable(Named),
    /// Remove it
    #[command(after_help = "Example:\n  strowger device remove desk-1")]
    Remove(Named),
}

impl Device {
    /// The request.
    pub fn request(self) -> Request {
        let path = |n: &Named| format!("/devices/{}", escape(&n.name));
        match self {
            Device::List(of) => listed(
                "/devices",
                &of,
                &[
                    ("USERNAME", "/username"),
                    ("CONTACT", "/contact"),
                    ("NUMBER", "/cli"),
                    ("OFF", "/disabled"),
                    ("ID", "/id"),
                    ("TENANT", "/tenant"),
                ],
            ),
            Device::Add {
                username,
                of,
                contact,
                password,
                application,
                cli,
                media,
                dtmf,
            } => send(
                "POST",
                "/devices",
                json!({
                    "username": username, "tenant": of.tenant, "contact": contact, "password": password,
                    "application": application, "cli": cli, "media": media, "dtmf": dtmf,
                }),
                View::Card,
            ),
            Device::Set {
                named,
                contact,
                password,
                application,
                cli,
                media,
                dtmf,
            } => send(
                "PATCH",
                path(&named),
                json!({ "contact": contact, "password": password, "application": application, "cli": cli,
                    "media": media, "dtmf": dtmf }),
                View::Card,
            ),
            Device::Disable(n) => switch(path(&n), true),
            Device::Enable(n) => switch(path(&n), false),
            Device::Remove(n) => remove(path(&n), format!("{} removed", n.name)),
        }
    }
}

/// `route`.
#[derive(Debug, Subcommand)]
pub enum Route {
    /// List them
    #[command(after_help = "Example:\n  strowger route list")]
    List(OfTenant),
    /// Send calls to a number on to a flow, a plan, a queue, an agent, a number, a device or a trunk
    #[command(
        after_help = "Examples:\n  strowger route add 01062345678 --application 0a1b…32 digits --to-device desk-1\n  \
        strowger route add 01062345679 --application 0a1b…32 digits --to-trunk pbx\n  \
        strowger route add 01062345680 --application 0a1b…32 digits --to-queue sales"
    )]
    Add {
        /// The number that is called
        number: String,
        /// Application that the calls are accounted to, by id
        #[arg(long, value_name = "ID")]
        application: String,
        #[command(flatten)]
        target: Target,
    },
    /// Remove it
    #[command(after_help = "Example:\n  strowger route remove 0a1b…32 digits")]
    Remove(Id),
}

/// Where a route goes.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Target {
    /// To a number over the trunks
    #[arg(long, value_name = "NUMBER")]
    to_number: Option<String>,
    /// To a device, by user name or id
    #[arg(long, value_name = "DEVICE")]
    to_device: Option<String>,
    /// To a trunk, by name or id, with the called number as the trunk's rules write it
    #[arg(long, visible_alias = "trunk", value_name = "TRUNK")]
    to_trunk: Option<String>,
    /// To whoever serves a queue, by name or id
    #[arg(long, value_name = "QUEUE")]
    to_queue: Option<String>,
    /// To an agent, by login or id
    #[arg(long, value_name = "AGENT")]
    to_agent: Option<String>,
    /// Into a published IVR flow, by name or id
    #[arg(long, value_name = "FLOW")]
    to_flow: Option<String>,
    /// Where the rules of a plan say, by name or id
    #[arg(long, value_name = "PLAN")]
    to_plan: Option<String>,
}

impl Route {
    /// The request.
    pub fn request(self) -> Request {
        match self {
            Route::List(of) => listed(
                "/routes",
                &of,
                &[
                    ("NUMBER", "/number"),
                    ("TARGET", "/target"),
                    ("APPLICATION", "/application"),
                    ("ID", "/id"),
                ],
            ),
            Route::Add {
                number,
                application,
                target,
            } => {
                // The parser sees to it that there is exactly one.
                let named = [
                    ("number", target.to_number),
                    ("device", target.to_device),
                    ("trunk", target.to_trunk),
                    ("queue", target.to_queue),
                    ("agent", target.to_agent),
                    ("flow", target.to_flow),
                    ("plan", target.to_plan),
                ];
                let target: serde_json::Map<String, serde_json::Value> = named
                    .into_iter()
                    .filter_map(|(kind, name)| Some((kind.to_owned(), json!(name?))))
                    .collect();
                send(
                    "POST",
                    "/routes",
                    json!({ "number": number, "application": application, "target": target }),
                    View::Card,
                )
            }
            Route::Remove(id) => remove(format!("/routes/{}", escape(&id.id)), "removed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read() {
        assert_eq!(
            rule("+86:strip=3,prepend=0").unwrap(),
            json!({ "prefix": "+86", "strip": 3, "prepend": "0", "allow": true, "price": 0 })
        );
        assert_eq!(rule("+1:deny").unwrap()["allow"], false);
        assert!(rule("+1:forbid").unwrap_err().contains("deny"));
        assert!(rule("+1:strip=x").is_err());
        assert_eq!(rule("+1:price=1500").unwrap()["price"], 1500);
        assert!(rule("+1:price=-1").is_err());
    }
}
