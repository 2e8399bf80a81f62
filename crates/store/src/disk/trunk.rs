//! The stored form of a trunk.

use super::Id;
use crate::config::AddressRange;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use strowger_core::resource::{
    Asserted, DigitsBy, DiversionTo, PrefixRule, PrivacyTo, Registering, Trunk, TrunkAuth, TrunkIdentity, TrunkSrtp,
    TrunkTransport,
};
use strowger_core::{TenantId, TrunkId};

/// The usual way is left out.
pub(super) fn digits_name(by: DigitsBy) -> String {
    match by {
        DigitsBy::Auto => String::new(),
        other => other.name().to_owned(),
    }
}

/// Of a name; a way that this version does not know is the usual one.
pub(super) fn digits_of(name: &str) -> DigitsBy {
    DigitsBy::of_name(name).unwrap_or_default()
}

#[derive(Serialize, Deserialize)]
pub(super) struct DiskTrunk {
    id: Id,
    #[serde(default)]
    tenant: Option<Id>,
    name: String,
    #[serde(default)]
    address: Option<SocketAddr>,
    #[serde(default)]
    server: Option<String>,
    #[serde(default)]
    transport: DiskTransport,
    #[serde(default = "yes")]
    verify: bool,
    domain: String,
    /// Addresses and ranges.
    sources: Vec<String>,
    #[serde(default)]
    digest: Option<(String, String)>,
    #[serde(default)]
    register: Option<DiskRegistering>,
    #[serde(default)]
    identity: Option<DiskIdentity>,
    codecs: Vec<String>,
    /// Empty for `off`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    srtp: String,
    /// Empty for `auto`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    dtmf: String,
    max_channels: u32,
    max_rate: u32,
    priority: u16,
    options_interval: u32,
    rules: Vec<DiskRule>,
    disabled: bool,
}

fn yes() -> bool {
    true
}

#[derive(Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum DiskTransport {
    #[default]
    Udp,
    Tcp,
    Tls,
}

#[derive(Serialize, Deserialize)]
struct DiskRegistering {
    expires: u32,
    #[serde(default)]
    contact_user: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct DiskIdentity {
    trusted: bool,
    asserted: DiskAsserted,
    privacy: DiskPrivacy,
    diversion: DiskDiversion,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum DiskAsserted {
    Remove,
    Pass,
    Set(String),
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum DiskPrivacy {
    Pass,
    Enforce,
    Remove,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum DiskDiversion {
    Remove,
    Diversion,
    HistoryInfo,
}

#[derive(Serialize, Deserialize)]
struct DiskRule {
    prefix: String,
    strip: u8,
    prepend: String,
    allow: bool,
    #[serde(default)]
    price: u32,
}

/// A single address without its prefix, as versions before ranges read it.
fn source_text(range: &AddressRange) -> String {
    match range.single() {
        Some(ip) => ip.to_string(),
        None => range.to_string(),
    }
}

fn identity_of(i: &TrunkIdentity) -> DiskIdentity {
    DiskIdentity {
        trusted: i.trusted,
        asserted: match &i.asserted {
            Asserted::Remove => DiskAsserted::Remove,
            Asserted::Pass => DiskAsserted::Pass,
            Asserted::Set(uri) => DiskAsserted::Set(uri.clone()),
        },
        privacy: match i.privacy {
            PrivacyTo::Pass => DiskPrivacy::Pass,
            PrivacyTo::Enforce => DiskPrivacy::Enforce,
            PrivacyTo::Remove => DiskPrivacy::Remove,
        },
        diversion: match i.diversion {
            DiversionTo::Remove => DiskDiversion::Remove,
            DiversionTo::Diversion => DiskDiversion::Diversion,
            DiversionTo::HistoryInfo => DiskDiversion::HistoryInfo,
        },
    }
}

impl DiskIdentity {
    fn identity(self) -> TrunkIdentity {
        TrunkIdentity {
            trusted: self.trusted,
            asserted: match self.asserted {
                DiskAsserted::Remove => Asserted::Remove,
                DiskAsserted::Pass => Asserted::Pass,
                DiskAsserted::Set(uri) => Asserted::Set(uri),
            },
            privacy: match self.privacy {
                DiskPrivacy::Pass => PrivacyTo::Pass,
                DiskPrivacy::Enforce => PrivacyTo::Enforce,
                DiskPrivacy::Remove => PrivacyTo::Remove,
            },
            diversion: match self.diversion {
                DiskDiversion::Remove => DiversionTo::Remove,
                DiskDiversion::Diversion => DiversionTo::Diversion,
                DiskDiversion::HistoryInfo => DiversionTo::HistoryInfo,
            },
        }
    }
}

impl DiskTrunk {
    pub(super) fn of(t: &Trunk) -> DiskTrunk {
        DiskTrunk {
            id: Id(t.id.0),
            tenant: t.tenant.map(|t| Id(t.0)),
            name: t.name.clone(),
            address: t.address,
            server: t.server.clone(),
            transport: match t.transport {
                TrunkTransport::Udp => DiskTransport::Udp,
                TrunkTransport::Tcp => DiskTransport::Tcp,
                TrunkTransport::Tls => DiskTransport::Tls,
            },
            verify: t.verify,
            domain: t.domain.clone(),
            sources: t.sources.iter().map(source_text).collect(),
            digest: match &t.auth {
                TrunkAuth::Address => None,
                TrunkAuth::Digest { username, password } => Some((username.clone(), password.clone())),
            },
            register: t.register.as_ref().map(|r| DiskRegistering {
                expires: r.expires,
                contact_user: r.contact_user.clone(),
            }),
            identity: Some(identity_of(&t.identity)),
            codecs: t.codecs.clone(),
            srtp: match t.srtp {
                TrunkSrtp::Off => String::new(),
                other => other.name().to_owned(),
            },
            dtmf: digits_name(t.dtmf),
            max_channels: t.max_channels,
            max_rate: t.max_rate,
            priority: t.priority,
            options_interval: t.options_interval,
            rules: t.rules.iter().map(rule_of).collect(),
            disabled: t.disabled,
        }
    }

    /// `None` if a text in it is none that we write.
    pub(super) fn trunk(self) -> Option<Trunk> {
        Some(Trunk {
            id: TrunkId(self.id.0),
            tenant: self.tenant.map(|t| TenantId(t.0)),
            name: self.name,
            address: self.address,
            server: self.server,
            transport: match self.transport {
                DiskTransport::Udp => TrunkTransport::Udp,
                DiskTransport::Tcp => TrunkTransport::Tcp,
                DiskTransport::Tls => TrunkTransport::Tls,
            },
            verify: self.verify,
            domain: self.domain,
            sources: self.sources.iter().map(|s| s.parse().ok()).collect::<Option<_>>()?,
            auth: match self.digest {
                None => TrunkAuth::Address,
                Some((username, password)) => TrunkAuth::Digest { username, password },
            },
            register: self.register.map(|r| Registering {
                expires: r.expires,
                contact_user: r.contact_user,
            }),
            identity: self.identity.map(DiskIdentity::identity).unwrap_or_default(),
            codecs: self.codecs,
            srtp: match self.srtp.as_str() {
                "" => TrunkSrtp::Off,
                name => TrunkSrtp::of_name(name)?,
            },
            dtmf: digits_of(&self.dtmf),
            max_channels: self.max_channels,
            max_rate: self.max_rate,
            priority: self.priority,
            options_interval: self.options_interval,
            rules: self.rules.into_iter().map(DiskRule::rule).collect(),
            disabled: self.disabled,
        })
    }
}

fn rule_of(r: &PrefixRule) -> DiskRule {
    DiskRule {
        prefix: r.prefix.clone(),
        strip: r.strip,
        prepend: r.prepend.clone(),
        allow: r.allow,
        price: r.price,
    }
}

impl DiskRule {
    fn rule(self) -> PrefixRule {
        PrefixRule {
            prefix: self.prefix,
            strip: self.strip,
            prepend: self.prepend,
            allow: self.allow,
            price: self.price,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trunk_of_the_first_version_loads() {
        let old = r#"{"id":"00000000000000000000000000000009","name":"carrier","address":"192.0.2.5:5060",
            "domain":"","sources":["192.0.2.6","2001:db8::1"],"digest":null,"codecs":["PCMA"],"max_channels":30,
            "max_rate":5,"priority":1,"options_interval":30,
            "rules":[{"prefix":"+86","strip":3,"prepend":"0","allow":true}],"disabled":false}"#;
        let trunk = serde_json::from_str::<DiskTrunk>(old).unwrap().trunk().unwrap();
        let expected = Trunk {
            name: "carrier".into(),
            sources: vec!["192.0.2.6".parse().unwrap(), "2001:db8::1".parse().unwrap()],
            codecs: vec!["PCMA".into()],
            max_channels: 30,
            max_rate: 5,
            priority: 1,
            rules: vec![PrefixRule {
                prefix: "+86".into(),
                strip: 3,
                prepend: "0".into(),
                allow: true,
                price: 0,
            }],
            ..Trunk::new(TrunkId(9), "192.0.2.5:5060".parse().ok())
        };
        assert_eq!(trunk, expected);
    }

    #[test]
    fn everything_of_a_trunk_comes_back() {
        let all = Trunk {
            tenant: Some(TenantId(3)),
            server: Some("sip.carrier.example:5061".into()),
            transport: TrunkTransport::Tls,
            srtp: TrunkSrtp::Required,
            dtmf: DigitsBy::Info,
            verify: false,
            sources: vec!["192.0.2.0/24".parse().unwrap(), "198.51.100.7".parse().unwrap()],
            auth: TrunkAuth::Digest {
                username: "u".into(),
                password: "p".into(),
            },
            register: Some(Registering {
                expires: 600,
                contact_user: Some("main".into()),
            }),
            identity: TrunkIdentity {
                trusted: false,
                asserted: Asserted::Set("sip:+861062345678@carrier.example".into()),
                privacy: PrivacyTo::Enforce,
                diversion: DiversionTo::HistoryInfo,
            },
            rules: vec![PrefixRule {
                prefix: "+1".into(),
                strip: 0,
                prepend: "00".into(),
                allow: true,
                price: 1500,
            }],
            ..Trunk::new(TrunkId(9), None)
        };
        let json = serde_json::to_string(&DiskTrunk::of(&all)).unwrap();
        assert!(
            json.contains("\"198.51.100.7\""),
            "a single address is written as before"
        );
        assert_eq!(serde_json::from_str::<DiskTrunk>(&json).unwrap().trunk().unwrap(), all);
    }
}
