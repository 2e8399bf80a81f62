//! The SIP engine's settings, from the configuration.

use crate::config::{ClientCertificates, Config, Interface};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use strowger_runtime::door::DoorSettings;
use strowger_runtime::ladder::{LadderSettings, Traces};
use strowger_runtime::{Doorkeeper, Switch, mint};
use strowger_sip::core::locate::{Family, Rules};
use strowger_sip::{
    Bind, ConnectionLimits, EndpointConfig, Hep, HepSettings, Placement, Resolver, ResolverSettings, TlsSettings,
    Trace, Verify, WsSettings,
};
use strowger_sip_core::digest::ServerSettings;
use strowger_sip_core::registrar::RegistrarSettings;
use strowger_sip_core::{Method, Transport};

/// Messages that may wait for the capture server.
const HEP_QUEUE: usize = 10_000;

/// Host parts of our own URIs: the first, with its port, is what we write; the rest is understood too.
pub fn hosts(config: &Config) -> Vec<String> {
    let first = config.interface();
    let mut hosts = vec![SocketAddr::new(first.advertised, config.sip.port).to_string()];
    for interface in &config.interfaces {
        for ip in [interface.advertised, interface.address] {
            let host = bracketed(ip);
            if !ip.is_unspecified() && !hosts.contains(&host) {
                hosts.push(host);
            }
        }
    }
    hosts
}

fn bracketed(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    }
}

/// How many messages are kept for ladders.
pub fn ladder(config: &Config) -> LadderSettings {
    LadderSettings {
        messages: config.ladder.messages,
        keep: Duration::from_secs(u64::from(config.ladder.minutes) * 60),
    }
}

/// Registrations, limits and bans.
pub fn door(config: &Config) -> DoorSettings {
    DoorSettings {
        registrar: RegistrarSettings {
            max_bindings: config.sip.registrations,
            ..RegistrarSettings::default()
        },
        guard: config.guard.settings(),
        digest: ServerSettings {
            algorithms: config.sip.digest.clone(),
            ..ServerSettings::default()
        },
    }
}

fn tls(config: &Config) -> Option<Arc<TlsSettings>> {
    let sip = &config.sip;
    let (certificate, key) = (sip.certificate.clone()?, sip.key.clone()?);
    // The configuration was checked: without a file of authorities nobody is asked for a certificate.
    let clients = match (sip.client_certificates, sip.client_ca.clone()) {
        (ClientCertificates::Ignored, _) | (_, None) => strowger_sip::ClientCertificates::Ignored,
        (ClientCertificates::Optional, Some(ca)) => strowger_sip::ClientCertificates::Optional(ca),
        (ClientCertificates::Required, Some(ca)) => strowger_sip::ClientCertificates::Required(ca),
    };
    let verify = sip.verify_ca.clone().map_or(Verify::System, Verify::Authorities);
    Some(Arc::new(TlsSettings {
        certificate,
        key,
        clients,
        verify,
    }))
}

/// How many listeners use the certificate.
pub fn tls_listeners(config: &Config) -> usize {
    let ports = [config.sip.tls_port, config.sip.wss_port];
    config.interfaces.len() * ports.iter().filter(|port| **port != 0).count()
}

/// The addresses to serve; the first is of UDP.
fn binds(config: &Config) -> Vec<Bind> {
    let sip = &config.sip;
    let tls = tls(config);
    let ws = WsSettings {
        origins: sip.origins.clone(),
        proxies: sip.ws_proxies.iter().map(|r| (r.address, r.prefix)).collect(),
    };
    let ports = [
        (Transport::Udp, sip.port),
        (Transport::Tcp, if sip.tcp { sip.port } else { 0 }),
        (Transport::Tls, sip.tls_port),
        (Transport::Ws, sip.ws_port),
        (Transport::Wss, sip.wss_port),
    ];
    let bind = |interface: &Interface, transport, port| {
        let addr = SocketAddr::new(interface.address, port);
        let advertised = SocketAddr::new(interface.advertised, port);
        Bind {
            advertised: (advertised != addr).then_some(advertised),
            local_networks: interface.local_networks.iter().map(|r| (r.address, r.prefix)).collect(),
            tls: tls.clone(),
            ws: ws.clone(),
            ..Bind::new(transport, addr)
        }
    };
    let on = |interface| {
        let served = ports.iter().filter(|(_, port)| *port != 0);
        served.map(move |(transport, port)| bind(interface, *transport, *port))
    };
    config.interfaces.iter().flat_map(on).collect()
}

/// The SIP engine for this switch; to be called on the runtime that is to carry its connections.
///
/// # Errors
/// The capture server cannot be sent to.
pub fn endpoint(config: &Config, switch: &Arc<Switch>) -> std::io::Result<EndpointConfig> {
    let binds = binds(config);
    let mut sip = EndpointConfig::udp(binds[0].addr, mint::random().to_le_bytes());
    sip.binds = binds;
    sip.stack.product = concat!("strowger/", env!("CARGO_PKG_VERSION")).into();
    sip.stack.contact_user = Some("strowger".into());
    sip.stack.max_dialogs = config.limits.conversations.saturating_mul(4);
    sip.stack.max_transactions = config.limits.conversations.saturating_mul(16).max(100_000);
    sip.stack.outside = vec![Method::Register];
    sip.stack.session.enabled = config.sip.session_expires > 0;
    if config.sip.session_expires > 0 {
        sip.stack.session.expires = config.sip.session_expires;
    }
    sip.limits = ConnectionLimits {
        total: config.sip.connections,
        per_source: config.sip.connections_per_source,
        ..ConnectionLimits::default()
    };
    sip.placement = Placement::Task;
    if config.sip.tls_port != 0 || config.sip.wss_port != 0 {
        // A handshake takes milliseconds of processor time, which no call should wait for.
        sip.connections = Some(tokio::runtime::Handle::current());
    }
    // No call comes in before what an earlier process left is closed.
    sip.closed = true;
    sip.admission = Some(Arc::new(Doorkeeper(switch.clone())));
    let mut traces: Vec<Arc<dyn Trace>> = Vec::new();
    if switch.ladder.is_on() {
        traces.push(switch.ladder.clone());
    }
    if let Some(server) = config.hep.server {
        traces.push(Arc::new(Hep::start(HepSettings {
            server,
            agent: config.hep.id,
            key: config.hep.password.as_ref().map(|p| p.expose().to_owned()),
            queue: HEP_QUEUE,
        })?));
    }
    sip.trace = match traces.len() {
        0 | 1 => traces.pop(),
        _ => Some(Arc::new(Traces(traces))),
    };
    Ok(sip)
}

/// Finds the servers of trunks that are given by name.
///
/// # Errors
/// The system's DNS configuration cannot be read.
pub fn resolver(config: &Config) -> Result<Resolver, strowger_sip::ResolveError> {
    let mut families: Vec<Family> = Vec::new();
    for interface in &config.interfaces {
        let family = match interface.address {
            IpAddr::V4(_) => Family::V4,
            IpAddr::V6(_) => Family::V6,
        };
        if !families.contains(&family) {
            families.push(family);
        }
    }
    Resolver::new(ResolverSettings {
        servers: config.dns.servers.clone(),
        rules: Rules {
            transports: vec![Transport::Udp, Transport::Tcp, Transport::Tls],
            families,
        },
        ..ResolverSettings::default()
    })
}
