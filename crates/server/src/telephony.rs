//! The SIP engine's settings, from the configuration.

use crate::config::Config;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use strowger_runtime::ladder::{LadderSettings, Traces};
use strowger_runtime::{Doorkeeper, Switch, mint};
use strowger_sip::core::locate::{Family, Rules};
use strowger_sip::{Bind, EndpointConfig, Placement, Resolver, ResolverSettings, Trace};
use strowger_sip_core::{Method, Transport};

/// Host parts of our own URIs: the first, with its port, is what we write; the rest is understood too.
pub fn hosts(config: &Config) -> Vec<String> {
    let interface = config.interface();
    let written = SocketAddr::new(interface.advertised, config.sip.port);
    let mut hosts = vec![
        written.to_string(),
        bracketed(interface.advertised),
        bracketed(interface.address),
    ];
    hosts.dedup();
    hosts
}

fn bracketed(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    }
}

/// How many messages are kept for ladders.
pub fn ladder(_: &Config) -> LadderSettings {
    LadderSettings::default()
}

/// The addresses to serve; the first is of UDP.
fn binds(config: &Config) -> Vec<Bind> {
    let interface = config.interface();
    let bind = |transport, port| {
        let addr = SocketAddr::new(interface.address, port);
        let advertised = SocketAddr::new(interface.advertised, port);
        Bind {
            advertised: (advertised != addr).then_some(advertised),
            ..Bind::new(transport, addr)
        }
    };
    vec![
        bind(Transport::Udp, config.sip.port),
        bind(Transport::Tcp, config.sip.port),
    ]
}

/// The SIP engine for this switch.
pub fn endpoint(config: &Config, switch: &Arc<Switch>) -> EndpointConfig {
    let binds = binds(config);
    let mut sip = EndpointConfig::udp(binds[0].addr, mint::random().to_le_bytes());
    sip.binds = binds;
    sip.stack.product = concat!("strowger/", env!("CARGO_PKG_VERSION")).into();
    sip.stack.contact_user = Some("strowger".into());
    sip.stack.max_dialogs = config.limits.conversations.saturating_mul(4);
    sip.stack.max_transactions = config.limits.conversations.saturating_mul(16).max(100_000);
    sip.stack.outside = vec![Method::Register];
    sip.placement = Placement::Task;
    // No call comes in before what an earlier process left is closed.
    sip.closed = true;
    sip.admission = Some(Arc::new(Doorkeeper(switch.clone())));
    let mut traces: Vec<Arc<dyn Trace>> = Vec::new();
    if switch.ladder.is_on() {
        traces.push(switch.ladder.clone());
    }
    sip.trace = match traces.len() {
        0 => None,
        1 => traces.pop(),
        _ => Some(Arc::new(Traces(traces))),
    };
    sip
}

/// Finds the servers of trunks that are given by name.
///
/// # Errors
/// The system's DNS configuration cannot be read.
pub fn resolver(config: &Config) -> Result<Resolver, strowger_sip::ResolveError> {
    let family = match config.interface().address {
        IpAddr::V4(_) => Family::V4,
        IpAddr::V6(_) => Family::V6,
    };
    Resolver::new(ResolverSettings {
        rules: Rules {
            transports: vec![Transport::Udp, Transport::Tcp, Transport::Tls],
            families: vec![family],
        },
        ..ResolverSettings::default()
    })
}
