//! Locating SIP servers (RFC 3263) without asking anybody: which questions the DNS must answer, and what follows from the
//! answers.
//!
//! [`locate`] is called again and again with what is known so far, and returns either questions or the destinations in
//! the order in which they are to be tried. It draws nothing: the same random number gives the same order. [`Failures`]
//! remembers which destinations did not answer (§4.3).

use crate::api::{Target, Time, Transport};
use crate::uri::{Scheme, Uri};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

/// SRV records of one name that are followed; the rest, in order, is left out.
pub const MAX_SERVICES: usize = 16;
/// Destinations that are returned.
pub const MAX_TARGETS: usize = 32;
/// Destinations that are remembered as failed; beyond, those that would be forgiven first are forgotten.
pub const MAX_FAILURES: usize = 4_096;
/// How long a destination that failed is tried last, in microseconds.
pub const FAILURE_LASTS: u64 = 60_000_000;

/// Something to ask the DNS. Names have no dot at the end and lower-case letters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Question {
    /// NAPTR records of a domain (RFC 3403).
    Naptr(String),
    /// SRV records, `_service._protocol.domain` (RFC 2782).
    Srv(String),
    /// A and AAAA records of a host.
    Addresses(String),
}

/// What the DNS says. An answer of another kind than the question counts as [`Answer::Nothing`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To [`Question::Naptr`].
    Naptr(Vec<Naptr>),
    /// To [`Question::Srv`].
    Srv(Vec<Srv>),
    /// To [`Question::Addresses`].
    Addresses(Vec<IpAddr>),
    /// There is no such record, or nobody who could say so.
    Nothing,
}

/// A NAPTR record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Naptr {
    /// Lower is first, and decides.
    pub order: u16,
    /// Lower is first among equals.
    pub preference: u16,
    /// `s`: the replacement has SRV records; `a`: it has addresses.
    pub flags: String,
    /// Such as `SIP+D2U`.
    pub services: String,
    /// A name.
    pub replacement: String,
}

/// An SRV record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Srv {
    /// Lower is first.
    pub priority: u16,
    /// Share among equals.
    pub weight: u16,
    /// Port.
    pub port: u16,
    /// Host; `.` or empty means that the service does not exist.
    pub target: String,
}

/// An address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4
    V4,
    /// IPv6
    V6,
}

/// What the caller can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Transports that it has, best first. The order decides only where the DNS says nothing.
    pub transports: Vec<Transport>,
    /// Address families that it has, best first.
    pub families: Vec<Family>,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// Get answers to these, all of them, and call again with what is known then.
    Ask(Vec<Question>),
    /// Try these, in order; not empty.
    Ready(Vec<Target>),
}

/// Why there is no destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LocateError {
    /// Neither sip nor sips.
    #[error("only sip and sips URIs have servers")]
    Scheme,
    /// `transport=` names one that does not exist, that we do not have, or that is not secure in a sips URI.
    #[error("the URI asks for a transport that cannot be used")]
    Transport,
    /// The DNS knows no address.
    #[error("no address is known for the host of the URI")]
    NoAddress,
}

/// The name that the certificate of a server for this URI must bear (RFC 5922 §4): the domain that was asked for, not what
/// the DNS made of it. `None` for a literal address, which stands for itself.
pub fn server_name(uri: &Uri) -> Option<String> {
    (uri.host_ip().is_none() && !uri.host().is_empty()).then(|| normal(uri.host()))
}

fn normal(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// Finds the destinations of a URI (RFC 3263 §4). `known` holds the answers so far. `random` settles the order among SRV
/// records of one priority: draw it once for a request and pass the same in each round.
///
/// # Errors
/// See [`LocateError`].
pub fn locate(uri: &Uri, rules: &Rules, known: &HashMap<Question, Answer>, random: u64) -> Result<Plan, LocateError> {
    let secure = match uri.scheme() {
        Scheme::Sip => false,
        Scheme::Sips => true,
        Scheme::Tel | Scheme::Other => return Err(LocateError::Scheme),
    };
    let asked = match uri.param("transport") {
        None => None,
        Some(name) => Some(
            transport(name, secure)
                .filter(|t| rules.transports.contains(t))
                .ok_or(LocateError::Transport)?,
        ),
    };
    // §4.1: UDP, or TLS for sips; whoever does not have it takes its own first choice.
    let usual = if secure { Transport::Tls } else { Transport::Udp };
    let fallback = asked
        .or_else(|| rules.transports.contains(&usual).then_some(usual))
        .or_else(|| usable(rules, secure).next())
        .ok_or(LocateError::Transport)?;
    let host = uri.param("maddr").filter(|h| !h.is_empty()).unwrap_or(uri.host());
    let mut finder = Finder {
        rules,
        known,
        random,
        open: Vec::new(),
        found: Vec::new(),
    };
    match (literal(host), uri.port(), asked) {
        (Some(ip), port, _) => {
            let addr = SocketAddr::new(ip, port.unwrap_or(fallback.default_port()));
            return Ok(Plan::Ready(vec![target(fallback, addr)]));
        }
        (None, Some(port), _) => finder.host(fallback, host, port),
        (None, None, Some(transport)) => finder.service_or_host(&[transport], transport, host),
        (None, None, None) => finder.anything(host, secure, fallback),
    }
    match (finder.open.is_empty(), finder.found.is_empty()) {
        (false, _) => Ok(Plan::Ask(finder.open)),
        (true, false) => Ok(Plan::Ready(finder.found)),
        (true, true) => Err(LocateError::NoAddress),
    }
}

fn target(transport: Transport, addr: SocketAddr) -> Target {
    Target {
        transport,
        addr,
        flow: None,
    }
}

/// The transport that a URI asks for by name; a sips URI means the secure one (§4.1, RFC 7118 §5.3).
fn transport(name: &str, secure: bool) -> Option<Transport> {
    let named = [
        ("udp", Transport::Udp),
        ("tcp", Transport::Tcp),
        ("tls", Transport::Tls),
        ("ws", Transport::Ws),
        ("wss", Transport::Wss),
    ];
    let (_, transport) = named.into_iter().find(|(n, _)| n.eq_ignore_ascii_case(name))?;
    match (transport, secure) {
        (Transport::Udp, true) => None,
        (Transport::Tcp, true) => Some(Transport::Tls),
        (Transport::Ws, true) => Some(Transport::Wss),
        (other, _) => Some(other),
    }
}

/// The transports that a URI without one may use.
fn usable(rules: &Rules, secure: bool) -> impl Iterator<Item = Transport> {
    let is_usable = move |t: &Transport| !secure || matches!(t, Transport::Tls | Transport::Wss);
    rules.transports.iter().copied().filter(is_usable)
}

fn literal(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok()
}

/// Where the SRV records of a domain are, for transports that have some.
fn service_name(transport: Transport, domain: &str) -> Option<String> {
    let prefix = match transport {
        Transport::Udp => "_sip._udp",
        Transport::Tcp => "_sip._tcp",
        Transport::Tls => "_sips._tcp",
        // RFC 7118 names NAPTR services only.
        Transport::Ws | Transport::Wss => return None,
    };
    Some(format!("{prefix}.{}", normal(domain)))
}

/// The transport of a NAPTR service (§4.1, RFC 7118 §8.1).
fn naptr_transport(services: &str) -> Option<Transport> {
    let named = [
        ("SIP+D2U", Transport::Udp),
        ("SIP+D2T", Transport::Tcp),
        ("SIPS+D2T", Transport::Tls),
        ("SIP+D2W", Transport::Ws),
        ("SIPS+D2W", Transport::Wss),
    ];
    let (_, transport) = named.into_iter().find(|(n, _)| n.eq_ignore_ascii_case(services))?;
    Some(transport)
}

/// One round: collects destinations, and questions where an answer is not known.
struct Finder<'a> {
    rules: &'a Rules,
    known: &'a HashMap<Question, Answer>,
    random: u64,
    open: Vec<Question>,
    found: Vec<Target>,
}

impl<'a> Finder<'a> {
    fn answer(&mut self, question: Question) -> Option<&'a Answer> {
        let answer = self.known.get(&question);
        if answer.is_none() && !self.open.contains(&question) {
            self.open.push(question);
        }
        answer
    }

    /// Addresses of a host.
    fn host(&mut self, transport: Transport, host: &str, port: u16) {
        let literal = literal(host).map(|ip| vec![ip]);
        let addresses = match &literal {
            Some(literal) => literal,
            None => match self.answer(Question::Addresses(normal(host))) {
                Some(Answer::Addresses(addresses)) => addresses,
                _ => return,
            },
        };
        for family in &self.rules.families {
            for ip in addresses.iter().filter(|ip| ip.is_ipv4() == (*family == Family::V4)) {
                let target = target(transport, SocketAddr::new(*ip, port));
                if self.found.len() < MAX_TARGETS && !self.found.contains(&target) {
                    self.found.push(target);
                }
            }
        }
    }

    /// SRV records of one name. False if there are none; true as long as they are not known.
    fn service(&mut self, transport: Transport, name: &str) -> bool {
        let records = match self.answer(Question::Srv(normal(name))) {
            None => return true,
            Some(Answer::Srv(records)) if !records.is_empty() => records,
            Some(_) => return false,
        };
        for srv in ordered(records, self.random).into_iter().take(MAX_SERVICES) {
            // RFC 2782: a single `.` says that the service is decidedly not there.
            if !normal(&srv.target).is_empty() {
                self.host(transport, &srv.target, srv.port);
            }
        }
        true
    }

    /// SRV records for the transports, else the host itself by the last resort.
    fn service_or_host(&mut self, transports: &[Transport], last: Transport, host: &str) {
        let mut any = false;
        for transport in transports {
            if let Some(name) = service_name(*transport, host) {
                any |= self.service(*transport, &name);
            }
        }
        if !any {
            self.host(last, host, last.default_port());
        }
    }

    /// Neither transport nor port is given: NAPTR decides, else SRV, else the host.
    fn anything(&mut self, host: &str, secure: bool, fallback: Transport) {
        let Some(answer) = self.answer(Question::Naptr(normal(host))) else {
            return;
        };
        let records = match answer {
            Answer::Naptr(records) => records.as_slice(),
            _ => &[],
        };
        let mut ways: Vec<_> = records
            .iter()
            .filter_map(|record| Some((naptr_transport(&record.services)?, record)))
            .filter(|(transport, record)| {
                usable(self.rules, secure).any(|t| t == *transport)
                    && (record.flags.eq_ignore_ascii_case("s") || record.flags.eq_ignore_ascii_case("a"))
                    && !normal(&record.replacement).is_empty()
            })
            .collect();
        ways.sort_by_key(|(_, record)| (record.order, record.preference));
        if ways.is_empty() {
            let transports: Vec<_> = usable(self.rules, secure).collect();
            self.service_or_host(&transports, fallback, host);
            return;
        }
        for (transport, record) in ways.into_iter().take(MAX_SERVICES) {
            if record.flags.eq_ignore_ascii_case("s") {
                self.service(transport, &record.replacement);
            } else {
                self.host(transport, &record.replacement, transport.default_port());
            }
        }
    }
}

/// SRV records in the order in which they are tried: by priority, and within one drawn by weight (RFC 2782).
fn ordered(records: &[Srv], random: u64) -> Vec<&Srv> {
    let mut rest: Vec<&Srv> = records.iter().collect();
    // Those without weight come first, so that they have a small chance. The sort makes the outcome independent of the
    // order in which the server lists them.
    rest.sort_by_key(|srv| (srv.priority, srv.weight, &srv.target, srv.port));
    let mut out = Vec::with_capacity(rest.len());
    let mut state = random | 1;
    while let Some(priority) = rest.first().map(|srv| srv.priority) {
        let equals = rest.iter().take_while(|srv| srv.priority == priority).count();
        let sum: u64 = rest[..equals].iter().map(|srv| u64::from(srv.weight)).sum();
        // xorshift: the draws differ, which is all that is needed.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let drawn = (state >> 11) % (sum + 1);
        let mut running = 0;
        let at = rest[..equals].iter().position(|srv| {
            running += u64::from(srv.weight);
            running >= drawn
        });
        out.push(rest.remove(at.unwrap_or(0)));
    }
    out
}

/// Destinations that did not answer, and until when they are tried last (§4.3).
#[derive(Debug, Default)]
pub struct Failures {
    until: HashMap<(Transport, SocketAddr), Time>,
}

impl Failures {
    /// A destination timed out, refused the connection, or answered 503.
    pub fn failed(&mut self, target: Target, now: Time) {
        let key = (target.transport, target.addr);
        if self.until.len() >= MAX_FAILURES && !self.until.contains_key(&key) {
            self.make_room(now);
        }
        self.until.insert(key, now.plus(FAILURE_LASTS));
    }

    /// Forgets what is forgiven, or else the eighth that would be forgiven first: so that a full table costs little.
    fn make_room(&mut self, now: Time) {
        self.until.retain(|_, until| *until > now);
        if self.until.len() >= MAX_FAILURES {
            let mut moments: Vec<Time> = self.until.values().copied().collect();
            let (_, pivot, _) = moments.select_nth_unstable(MAX_FAILURES / 8);
            let pivot = *pivot;
            self.until.retain(|_, until| *until > pivot);
        }
    }

    /// A destination has answered.
    pub fn answered(&mut self, target: Target) {
        self.until.remove(&(target.transport, target.addr));
    }

    /// True if the destination is to be tried last.
    pub fn is_failed(&self, target: Target, now: Time) -> bool {
        let until = self.until.get(&(target.transport, target.addr));
        until.is_some_and(|until| *until > now)
    }

    /// Moves destinations that failed to the end; none is left out, for all may have failed.
    pub fn order(&self, targets: &mut [Target], now: Time) {
        targets.sort_by_key(|target| self.is_failed(*target, now));
    }
}

#[cfg(test)]
mod tests;
