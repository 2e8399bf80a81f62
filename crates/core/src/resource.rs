//! Tenant resources as the machines see them: settings of an application, prompts, trunks, routes.

use crate::id::{ApplicationId, DeviceId, RouteId, TenantId, TrunkId};
use crate::number::Number;
use std::net::SocketAddr;

/// Settings of an application, with names; seeded from a profile when the application is created. The core never asks
/// which dialect the application speaks.
#[derive(Clone, Debug, PartialEq)]
pub struct ApplicationSettings {
    /// Seconds a dialled party may ring.
    pub ring_timeout: u32,
    /// Seconds without a packet after which a leg counts as dead.
    pub media_timeout: u32,
    /// Zone of displayed times, minutes east of UTC.
    pub zone_minutes: i32,
    /// Number shown to called parties when the request names none.
    pub default_cli: Option<Number>,
    /// Where call records go when the request names no URL.
    pub record_url: Option<String>,
    /// Length limit of the integrator's data in bytes.
    pub user_data_limit: usize,
    /// Accept any UTF-8 in the integrator's data, not only letters, digits, `_` and `-`.
    pub user_data_any: bool,
    /// Report a leg that we cancelled as `failed` instead of `canceled`.
    pub strict_causes: bool,
    /// Seconds that the first publication of a record waits for its recording.
    pub record_wait: u32,
    /// Call records that are pushed in one request, as an array; 0 pushes each for itself.
    pub record_batch_size: u32,
    /// Seconds that a call record waits for others before a request with fewer is sent.
    pub record_batch_seconds: u32,
    /// Concurrent conversations of the application; 0 is no limit.
    pub max_conversations: u32,
    /// New conversations per second; 0 is no limit.
    pub max_rate: u32,
}

impl Default for ApplicationSettings {
    fn default() -> Self {
        ApplicationSettings {
            ring_timeout: 120,
            media_timeout: 60,
            zone_minutes: 480,
            default_cli: None,
            record_url: None,
            user_data_limit: 256,
            user_data_any: false,
            strict_causes: false,
            record_wait: 60,
            record_batch_size: 0,
            record_batch_seconds: 10,
            max_conversations: 0,
            max_rate: 0,
        }
    }
}

/// How a trunk lets us in.
#[derive(Clone, PartialEq, Eq)]
pub enum TrunkAuth {
    /// By our address; calls from its addresses are the carrier's.
    Address,
    /// By digest credentials when challenged.
    Digest {
        /// User name.
        username: String,
        /// Password.
        password: String,
    },
}

impl std::fmt::Debug for TrunkAuth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            TrunkAuth::Address => "Address",
            TrunkAuth::Digest { .. } => "Digest(…)",
        })
    }
}

/// A rule that rewrites a called number for a trunk: the first whose prefix matches the canonical number applies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrefixRule {
    /// Prefix of the canonical number, empty for all.
    pub prefix: String,
    /// Characters taken off the front.
    pub strip: u8,
    /// Text put in front.
    pub prepend: String,
    /// False refuses the number on this trunk.
    pub allow: bool,
}

/// A trunk to a carrier.
#[derive(Clone, Debug, PartialEq)]
pub struct Trunk {
    /// Id.
    pub id: TrunkId,
    /// The tenant that it belongs to; `None` for one of the platform's.
    pub tenant: Option<TenantId>,
    /// Name, for people.
    pub name: String,
    /// Where requests go.
    pub address: SocketAddr,
    /// Host part of the Request-URI and To; the address if empty.
    pub domain: String,
    /// Source addresses that count as this carrier, besides `address`.
    pub sources: Vec<std::net::IpAddr>,
    /// Authentication.
    pub auth: TrunkAuth,
    /// Codec names in order of preference.
    pub codecs: Vec<String>,
    /// Concurrent calls; 0 is no limit.
    pub max_channels: u32,
    /// New calls per second; 0 is no limit.
    pub max_rate: u32,
    /// Lower is tried first; equals share.
    pub priority: u16,
    /// Seconds between OPTIONS; 0 switches health checks off.
    pub options_interval: u32,
    /// Number rules; an empty list allows every number unchanged.
    pub rules: Vec<PrefixRule>,
    /// Out of service by hand.
    pub disabled: bool,
}

/// A number of the installation.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnedNumber {
    /// The number.
    pub number: Number,
    /// Owner.
    pub tenant: TenantId,
    /// Applications that may show it; empty for all of the tenant's.
    pub applications: Vec<ApplicationId>,
    /// May be shown to called parties.
    pub outgoing: bool,
    /// May be called.
    pub incoming: bool,
}

/// Where a static route sends a call.
#[derive(Clone, Debug, PartialEq)]
pub enum RouteTarget {
    /// To a number over the trunks.
    Number(Number),
    /// To a device.
    Device(DeviceId),
    /// To this trunk and no other, with the number that was called as the trunk's rules write it: a telephone system
    /// behind a trunk.
    Trunk(TrunkId),
}

/// A static route: calls to a number go to a target.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Id.
    pub id: RouteId,
    /// The application that the calls are accounted to.
    pub application: ApplicationId,
    /// The number called.
    pub number: Number,
    /// Where it goes.
    pub target: RouteTarget,
}

/// A telephone with a fixed contact address.
#[derive(Clone, Debug, PartialEq)]
pub struct Device {
    /// Id.
    pub id: DeviceId,
    /// Owner.
    pub tenant: TenantId,
    /// User part of its address of record.
    pub username: String,
    /// Where it is, if it does not register.
    pub contact: Option<SocketAddr>,
}
