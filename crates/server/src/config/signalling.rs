//! The slices of the signalling: interfaces, SIP, its guard, what is kept and exported of its messages, name servers.

use super::reader::Section;
use super::slices::path;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use strowger_core::AddressRange;
use strowger_sip_core::digest::{Algorithm, ServerSettings};
use strowger_sip_core::guard::GuardSettings;
use strowger_store::Secret;

const RANGE: &str = "addresses or ranges, such as \"10.0.0.0/8\" or \"192.0.2.7\"";

const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// The hashes of `sip.digest`; the usual ones if it names none.
fn digests(s: &Section<'_>) -> Vec<Algorithm> {
    let plain = |t: &str| Algorithm::parse(t).filter(|a| *a == a.base());
    let named = s.list("digest", "\"SHA-256\", \"SHA-512-256\" and \"MD5\"", plain);
    let mut chosen: Vec<Algorithm> = Vec::new();
    for algorithm in named {
        if !chosen.contains(&algorithm) {
            chosen.push(algorithm);
        }
    }
    if chosen.is_empty() {
        chosen = ServerSettings::default().algorithms;
    }
    chosen
}

fn range(text: &str) -> Option<AddressRange> {
    text.parse().ok()
}

/// `[[interface]]`: an address that signalling and media use, and what the outside knows it by.
#[derive(Clone, Debug, PartialEq)]
pub struct Interface {
    /// Address that sockets are bound to.
    pub address: IpAddr,
    /// Address that Via, Contact and SDP name: the public one behind a one-to-one NAT. Of the same family.
    pub advertised: IpAddr,
    /// Peers in these networks are told `address` instead.
    pub local_networks: Vec<AddressRange>,
}

impl Interface {
    /// All, in the order of the file; the loopback interface if it names none.
    pub(super) fn read_all(root: &Section<'_>) -> Vec<Interface> {
        let mut all: Vec<Interface> = Vec::new();
        for section in root.sections("interface") {
            let place = section.place("address");
            let read = Interface::read(section);
            if all.iter().any(|i| i.address == read.address) {
                place.problem(format!("{} is another interface's already", read.address));
            }
            all.push(read);
        }
        if all.is_empty() {
            all.push(Interface {
                address: Ipv4Addr::LOCALHOST.into(),
                advertised: Ipv4Addr::LOCALHOST.into(),
                local_networks: Vec::new(),
            });
        }
        all
    }

    fn read(s: Section<'_>) -> Interface {
        let address: IpAddr = s.parsed(
            "address",
            Ipv4Addr::LOCALHOST.into(),
            "an IP address of this machine, such as \"192.0.2.10\" or \"2001:db8::10\"",
            |t| t.parse().ok(),
        );
        let advertised = s.optional("advertised", "an IP address that peers can reach", |t| {
            t.parse().ok().filter(|a: &IpAddr| !a.is_unspecified())
        });
        if address.is_unspecified() && advertised.is_none() && !s.has("advertised") {
            s.problem(
                "address",
                "all addresses are bound, so \"advertised\" must say which one peers are told".to_owned(),
            );
        }
        if advertised.is_some_and(|a| a.is_ipv4() != address.is_ipv4()) {
            s.problem(
                "advertised",
                format!("it must be of the family of the address {address}; write another [[interface]] for the other"),
            );
        }
        let read = Interface {
            address,
            advertised: advertised.unwrap_or(address),
            local_networks: s.list("local_networks", RANGE, range),
        };
        s.close();
        read
    }
}

/// Whether clients of the TLS listeners show a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCertificates {
    /// None is asked for.
    Ignored,
    /// One that is shown must be valid.
    Optional,
    /// Without a valid one there is no connection.
    Required,
}

/// `[sip]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Sip {
    /// UDP port, and the TCP port if `tcp`.
    pub port: u16,
    /// Listen with TCP too.
    pub tcp: bool,
    /// TLS port; 0 is off.
    pub tls_port: u16,
    /// Port for SIP over WebSocket without TLS, behind a proxy; 0 is off.
    pub ws_port: u16,
    /// Port for SIP over WebSocket with TLS; 0 is off.
    pub wss_port: u16,
    /// PEM file with the certificate and its chain.
    pub certificate: Option<PathBuf>,
    /// PEM file with its private key.
    pub key: Option<PathBuf>,
    /// Whether clients show a certificate.
    pub client_certificates: ClientCertificates,
    /// PEM file with the authorities of the clients' certificates.
    pub client_ca: Option<PathBuf>,
    /// PEM file with the authorities of the servers that we connect to; the system's if absent.
    pub verify_ca: Option<PathBuf>,
    /// Origins of browsers that may connect; empty for all.
    pub origins: Vec<String>,
    /// Proxies in front of `ws_port`, whose `X-Forwarded-For` is believed.
    pub ws_proxies: Vec<AddressRange>,
    /// Hashes that devices are challenged with, in this order.
    pub digest: Vec<Algorithm>,
    /// Seconds between the refreshes of a session (RFC 4028); 0 is off.
    pub session_expires: u32,
    /// Bindings of devices that are held at most.
    pub registrations: usize,
    /// Connections at most.
    pub connections: usize,
    /// Of these, from one source.
    pub connections_per_source: usize,
}

impl Sip {
    pub(super) fn read(s: Section<'_>) -> Sip {
        let port = |key, unit| s.integer(key, 0, 0..=65_535, unit) as u16;
        let file = |key| s.optional(key, "the path of a PEM file", path);
        let mut read = Sip {
            port: s.integer("port", 5060, 1..=65_535, "UDP and TCP port") as u16,
            tcp: s.boolean("tcp", true),
            tls_port: port("tls_port", "TCP port, 0 is off"),
            ws_port: port("ws_port", "TCP port, 0 is off"),
            wss_port: port("wss_port", "TCP port, 0 is off"),
            certificate: file("certificate"),
            key: file("key"),
            client_certificates: s.choice(
                "client_certificates",
                ClientCertificates::Ignored,
                &[
                    ("ignored", ClientCertificates::Ignored),
                    ("optional", ClientCertificates::Optional),
                    ("required", ClientCertificates::Required),
                ],
            ),
            client_ca: file("client_ca"),
            verify_ca: file("verify_ca"),
            origins: s.list("origins", "origins, such as \"https://desk.example.com\"", origin),
            ws_proxies: s.list("ws_proxies", RANGE, range),
            digest: digests(&s),
            session_expires: s.integer("session_expires", 1800, 0..=86_400, "seconds, 0 is off") as u32,
            registrations: s.integer("registrations", 100_000, 1..=10_000_000, "bindings") as usize,
            connections: s.integer("connections", 65_536, 1..=1_000_000, "connections") as usize,
            connections_per_source: s.integer("connections_per_source", 1024, 1..=1_000_000, "connections") as usize,
        };
        // A smaller total is meant without having to say it twice.
        if !s.has("connections_per_source") {
            read.connections_per_source = read.connections_per_source.min(read.connections);
        }
        read.check(&s);
        s.close();
        read
    }

    /// What the keys say together.
    fn check(&self, s: &Section<'_>) {
        // RFC 4028 §4: no interval is shorter.
        if (1..90).contains(&self.session_expires) {
            s.problem("session_expires", "it is 0 (off) or at least 90 seconds".to_owned());
        }
        for (key, port) in [("tls_port", self.tls_port), ("wss_port", self.wss_port)] {
            if port != 0 && (self.certificate.is_none() || self.key.is_none()) {
                s.problem(key, "it needs sip.certificate and sip.key".to_owned());
            }
        }
        if self.certificate.is_some() != self.key.is_some() {
            let (given, missing) = match self.key {
                None => ("certificate", "sip.key"),
                Some(_) => ("key", "sip.certificate"),
            };
            s.problem(
                given,
                format!("{missing} is missing; a certificate and its key belong together"),
            );
        }
        if self.client_certificates != ClientCertificates::Ignored && self.client_ca.is_none() {
            s.problem(
                "client_certificates",
                "certificates of clients are checked against sip.client_ca, which is missing".to_owned(),
            );
        }
        if self.connections_per_source > self.connections {
            s.problem(
                "connections_per_source",
                format!(
                    "{} is more than sip.connections ({})",
                    self.connections_per_source, self.connections
                ),
            );
        }
        let ports = self.stream_ports();
        for (i, (key, port)) in ports.iter().enumerate() {
            if let Some((other, _)) = ports[..i].iter().find(|(_, p)| p == port) {
                s.problem(key, format!("TCP port {port} is sip.{other} already"));
            }
        }
    }

    /// The TCP ports that are listened on, with their keys.
    pub fn stream_ports(&self) -> Vec<(&'static str, u16)> {
        let mut ports = vec![
            ("tls_port", self.tls_port),
            ("ws_port", self.ws_port),
            ("wss_port", self.wss_port),
        ];
        if self.tcp {
            ports.insert(0, ("port", self.port));
        }
        ports.retain(|(_, port)| *port != 0);
        ports
    }
}

/// An origin as browsers write it (RFC 6454 §6.1).
fn origin(text: &str) -> Option<String> {
    let host = text.strip_prefix("https://").or(text.strip_prefix("http://"))?;
    let good = !host.is_empty() && !host.contains(['/', '?', '#', '@', ' ']);
    good.then(|| text.to_ascii_lowercase())
}

/// `[guard]`: who may send how much, and who is ignored.
#[derive(Clone, Debug, PartialEq)]
pub struct Guard {
    /// Requests a second of one source in the long run; 0 sets no limit.
    pub rate: u32,
    /// Requests of one source at once.
    pub burst: u32,
    /// Failed authentications within `failure_window` that lead to a ban; 0 never bans.
    pub failures: u32,
    /// See `failures`.
    pub failure_window: Duration,
    /// Failed authentications within an hour that lead to a ban; 0 sets no limit.
    pub failures_an_hour: u32,
    /// By how much the limits on failures grow for a source from which somebody authenticated within the last hour.
    pub known_factor: u32,
    /// The first ban.
    pub ban: Duration,
    /// The longest; each further ban is twice as long as the one before.
    pub longest_ban: Duration,
    /// Networks without limits and bans.
    pub exempt: Vec<AddressRange>,
}

impl Guard {
    pub(super) fn read(s: Section<'_>) -> Guard {
        let default = GuardSettings::default();
        let number = |key, default: u32, range, unit| s.integer(key, default.into(), range, unit) as u32;
        let time = |key, default: u32| s.duration(key, seconds(default.into()), seconds(1)..=seconds(30 * 86_400));
        let mut read = Guard {
            rate: number("rate", default.rate, 0..=1_000_000, "requests a second, 0 is no limit"),
            burst: number("burst", default.burst, 1..=1_000_000, "requests"),
            failures: number("failures", default.failures, 0..=1_000_000, "failures, 0 never bans"),
            failure_window: time("failure_window", default.failure_window),
            failures_an_hour: number(
                "failures_an_hour",
                default.failures_an_hour,
                0..=1_000_000,
                "failures, 0 is no limit",
            ),
            known_factor: number("known_factor", default.known_factor, 1..=1000, "times"),
            ban: time("ban", default.ban),
            longest_ban: time("longest_ban", default.longest_ban),
            exempt: s.list("exempt", RANGE, range),
        };
        if !s.has("ban") {
            read.ban = read.ban.min(read.longest_ban);
        }
        if !s.has("longest_ban") {
            read.longest_ban = read.longest_ban.max(read.ban);
        }
        if read.ban > read.longest_ban {
            s.problem("ban", "it is longer than guard.longest_ban".to_owned());
        }
        s.close();
        read
    }

    /// The settings of the guard. Whole seconds; what the file does not have keeps its default.
    pub fn settings(&self) -> GuardSettings {
        let whole = |d: Duration| u32::try_from(d.as_secs()).unwrap_or(u32::MAX);
        let exempt = self.exempt.iter();
        GuardSettings {
            rate: self.rate,
            burst: self.burst,
            failures: self.failures,
            failure_window: whole(self.failure_window),
            failures_an_hour: self.failures_an_hour,
            known_factor: self.known_factor,
            ban: whole(self.ban),
            longest_ban: whole(self.longest_ban),
            exempt: exempt
                .map(|r| strowger_sip_core::guard::Network::new(r.address, r.prefix))
                .collect(),
            ..GuardSettings::default()
        }
    }
}

/// `[hep]`: a copy of every SIP message to a capture server (HEP version 3).
#[derive(Clone, Debug, PartialEq)]
pub struct Hep {
    /// Where to; `None` is off.
    pub server: Option<SocketAddr>,
    /// Number of this node at the server.
    pub id: u32,
    /// The server's password.
    pub password: Option<Secret>,
}

impl Hep {
    pub(super) fn read(s: Section<'_>) -> Hep {
        let expected = "an address and port, such as \"192.0.2.40:9060\", or \"\" for none";
        let read = Hep {
            server: s.parsed("server", None, expected, |t| match t {
                "" => Some(None),
                text => text.parse().ok().filter(|a: &SocketAddr| a.port() != 0).map(Some),
            }),
            id: s.integer("id", 1, 0..=u64::from(u32::MAX), "number of this node") as u32,
            password: s
                .parsed("password", None, "a text", |t| Some(Some(t.to_owned())))
                .filter(|t: &String| !t.is_empty())
                .map(Secret::new),
        };
        s.close();
        read
    }
}

/// `[ladder]`: messages of calls that are kept in memory for operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ladder {
    /// Messages at most, the oldest go first; 0 keeps none.
    pub messages: usize,
    /// Minutes at most.
    pub minutes: u32,
}

impl Ladder {
    pub(super) fn read(s: Section<'_>) -> Ladder {
        let read = Ladder {
            messages: s.integer("messages", 20_000, 0..=10_000_000, "messages, 0 keeps none") as usize,
            minutes: s.integer("minutes", 60, 1..=10_080, "minutes") as u32,
        };
        s.close();
        read
    }
}

/// `[dns]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dns {
    /// Name servers; empty for the system's.
    pub servers: Vec<SocketAddr>,
}

impl Dns {
    pub(super) fn read(s: Section<'_>) -> Dns {
        let server = |t: &str| {
            let plain = || t.parse().ok().map(|ip: IpAddr| SocketAddr::new(ip, 53));
            t.parse().ok().or_else(plain)
        };
        let read = Dns {
            servers: s.list(
                "servers",
                "addresses, such as \"192.0.2.53\" or \"192.0.2.53:5353\"",
                server,
            ),
        };
        s.close();
        read
    }
}
