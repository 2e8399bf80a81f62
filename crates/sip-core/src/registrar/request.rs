//! What a REGISTER asks for, read and checked before anything changes.

use super::{Binding, RegistrarSettings};
use crate::api::{Target, Transport};
use crate::headers::{CommaList, NameAddr, unquote};
use crate::message::{HeaderName, Message};
use crate::uri::{Scheme, Uri};
use std::net::{IpAddr, SocketAddr};

/// Most Contact values of one request.
const MAX_CONTACTS: usize = 32;
/// Most Path values of one request.
const MAX_PATH: usize = 8;
/// Longest contact, instance or Path value that is kept, in bytes.
const MAX_VALUE: usize = 512;
/// Option tags that are understood in Require.
const EXTENSIONS: [&str; 3] = ["path", "outbound", "gruu"];

/// Why a REGISTER is refused.
#[derive(Debug)]
pub(super) enum Refusal {
    Malformed(&'static str),
    Extension(String),
    TooBrief,
    TooMany,
    Full,
    OutOfOrder,
    NoOutbound,
}

impl Refusal {
    pub(super) fn status(&self) -> (u16, Option<&'static str>) {
        match self {
            Refusal::Malformed(phrase) => (400, Some(phrase)),
            Refusal::Extension(_) => (420, None),
            Refusal::TooBrief => (423, None),
            Refusal::TooMany => (403, Some("Too Many Bindings")),
            Refusal::Full => (503, None),
            // §10.3 step 7: the request fails with 500.
            Refusal::OutOfOrder => (500, Some("CSeq Out Of Order")),
            Refusal::NoOutbound => (439, Some("First Hop Lacks Outbound Support")),
        }
    }
}

/// The Contact header fields of a REGISTER.
pub(super) enum Contacts {
    /// There is none: the client asks for the list.
    Query,
    /// `*` with `Expires: 0`.
    Everything,
    Some(Vec<Contact>),
}

/// One Contact value.
pub(super) struct Contact {
    pub uri: Uri,
    /// In seconds; 0 takes it back.
    pub expires: u32,
    pub q: u16,
    pub instance: Option<String>,
    /// Set only if RFC 5626 applies.
    pub reg_id: Option<u32>,
    pub target: Target,
}

/// All that counts in a REGISTER.
pub(super) struct Asked {
    pub contacts: Contacts,
    pub call_id: Vec<u8>,
    pub cseq: u32,
    pub path: Vec<String>,
    pub user_agent: String,
    pub local: SocketAddr,
    /// RFC 5626 applies to a Contact.
    pub outbound: bool,
    pub supports_outbound: bool,
    pub gruu: bool,
}

impl Asked {
    pub(super) fn read(
        request: &Message,
        flow: Target,
        local: SocketAddr,
        settings: &RegistrarSettings,
    ) -> Result<Asked, Refusal> {
        let unknown: Vec<String> = request
            .list(HeaderName::Require)
            .filter(|tag| !EXTENSIONS.iter().any(|e| e.eq_ignore_ascii_case(tag)))
            .take(16)
            .map(|tag| tag.into_owned())
            .collect();
        if !unknown.is_empty() {
            return Err(Refusal::Extension(unknown.join(", ")));
        }
        let supports = |name: &str| {
            request
                .list(HeaderName::Supported)
                .chain(request.list(HeaderName::Require))
                .any(|tag| tag.eq_ignore_ascii_case(name))
        };
        let path: Vec<String> = request
            .list(HeaderName::Path)
            .take(MAX_PATH + 1)
            .map(|p| p.into_owned())
            .collect();
        if path.len() > MAX_PATH || path.iter().any(|p| p.len() > MAX_VALUE) {
            return Err(Refusal::Malformed("Path Too Long"));
        }
        let mut asked = Asked {
            contacts: Contacts::Query,
            call_id: request.call_id().as_bytes().to_vec(),
            cseq: request.cseq().map_or(0, |c| c.number),
            path,
            user_agent: request
                .value(HeaderName::UserAgent)
                .map(|ua| ua.chars().filter(|c| !c.is_control()).take(64).collect())
                .unwrap_or_default(),
            local,
            outbound: false,
            supports_outbound: supports("outbound"),
            gruu: supports("gruu"),
        };
        asked.contacts = asked.read_contacts(request, flow, settings)?;
        Ok(asked)
    }

    fn read_contacts(
        &mut self,
        request: &Message,
        flow: Target,
        settings: &RegistrarSettings,
    ) -> Result<Contacts, Refusal> {
        let expires = request.raw_values(HeaderName::Expires).next().map(seconds);
        let values: Vec<&[u8]> = request
            .raw_values(HeaderName::Contact)
            .flat_map(CommaList::new)
            .take(MAX_CONTACTS + 1)
            .collect();
        if values.is_empty() {
            return Ok(Contacts::Query);
        }
        if values.len() > MAX_CONTACTS {
            return Err(Refusal::Malformed("Too Many Contacts"));
        }
        if values.iter().any(|v| v.first() == Some(&b'*')) {
            // §10.2.2: the asterisk stands alone, and only to take everything back.
            return if values == [b"*"] && expires == Some(Some(0)) {
                Ok(Contacts::Everything)
            } else {
                Err(Refusal::Malformed("Contact * Needs Expires 0 And Stands Alone"))
            };
        }
        let mut contacts = Vec::with_capacity(values.len());
        for value in values {
            let contact = self.read_contact(request, value, expires, flow, settings)?;
            self.outbound |= contact.reg_id.is_some();
            contacts.push(contact);
        }
        // RFC 5626 §6: a flow is registered alone.
        if self.outbound && contacts.iter().filter(|c| c.expires > 0).count() > 1 {
            return Err(Refusal::Malformed("One Contact With reg-id Only"));
        }
        Ok(Contacts::Some(contacts))
    }

    fn read_contact(
        &self,
        request: &Message,
        value: &[u8],
        header: Option<Option<u32>>,
        flow: Target,
        settings: &RegistrarSettings,
    ) -> Result<Contact, Refusal> {
        let address = NameAddr::parse(value).ok_or(Refusal::Malformed("Bad Contact"))?;
        if !matches!(address.uri.scheme(), Scheme::Sip | Scheme::Sips) {
            return Err(Refusal::Malformed("Contact Is No SIP URI"));
        }
        if address.uri.as_str().len() > MAX_VALUE {
            return Err(Refusal::Malformed("Contact Too Long"));
        }
        let default = match flow.transport {
            Transport::Ws | Transport::Wss => settings.default_expires_ws,
            _ => settings.default_expires,
        };
        // A parameter counts before the header field; what is malformed counts as the longest (§20.10, §20.19).
        let wished = match (address.param("expires"), header) {
            (Some(own), _) => seconds(own.as_bytes()).unwrap_or(settings.max_expires),
            (None, Some(header)) => header.unwrap_or(settings.max_expires),
            (None, None) => default,
        };
        if (1..settings.min_expires).contains(&wished) {
            return Err(Refusal::TooBrief);
        }
        let instance = address
            .param("+sip.instance")
            .map(|v| unquote(v.as_bytes()))
            .map(|v| v.trim().trim_start_matches('<').trim_end_matches('>').to_owned())
            .filter(|v| {
                !v.is_empty()
                    && v.len() <= MAX_VALUE
                    && v.bytes().all(|b| b.is_ascii_graphic() && !b"<>\"\\".contains(&b))
            });
        let reg_id = address
            .param("reg-id")
            .and_then(|v| v.parse::<u32>().ok())
            .filter(|n| *n > 0 && instance.is_some());
        let reg_id = match reg_id {
            // RFC 5626 §6: somebody on the way who does not keep flows makes outbound impossible.
            Some(_) if !self.first_hop_keeps_flows(request) => {
                if self.supports_outbound {
                    return Err(Refusal::NoOutbound);
                }
                None
            }
            other => other,
        };
        Ok(Contact {
            expires: wished.min(settings.max_expires),
            q: address.param("q").map_or(1000, thousandths),
            target: self.target(request, &address.uri, flow),
            uri: address.uri,
            instance,
            reg_id,
        })
    }

    /// The client is our neighbour, or its edge proxy wrote `ob` into Path.
    fn first_hop_keeps_flows(&self, request: &Message) -> bool {
        match self.path.last() {
            Some(first_hop) => NameAddr::parse(first_hop.as_bytes()).is_some_and(|p| p.uri.param("ob").is_some()),
            None => request.has_single_via(),
        }
    }

    /// Where calls to a Contact go.
    fn target(&self, request: &Message, contact: &Uri, flow: Target) -> Target {
        if flow.transport.is_reliable() || !self.path.is_empty() {
            return flow;
        }
        let Some(ip) = contact.host_ip() else { return flow };
        let Some(via) = request.via() else { return flow };
        let sent_by = std::str::from_utf8(via.host).ok().and_then(literal);
        // A client that asks for rport sends and receives at one port; a Via that is not where the datagram came from
        // shows a NAT; and a private address means nothing outside of its network.
        let behind_nat = via.rport
            || sent_by.is_some_and(|ip| ip != flow.addr.ip())
            || is_private(ip) && !is_private(flow.addr.ip())
            || ip.is_unspecified()
            || ip.is_multicast()
            || ip.is_ipv4() != flow.addr.is_ipv4();
        if behind_nat {
            return flow;
        }
        Target {
            addr: SocketAddr::new(ip, contact.port().unwrap_or(flow.transport.default_port())),
            ..flow
        }
    }

    /// What a binding says of the request that made it.
    pub(super) fn from_binding(binding: &Binding) -> Option<(Contact, Asked)> {
        let contact = Contact {
            uri: Uri::parse(&binding.contact).ok()?,
            expires: 1,
            q: binding.q.min(1000),
            instance: binding.instance.clone(),
            reg_id: binding.reg_id,
            target: binding.target,
        };
        let asked = Asked {
            contacts: Contacts::Query,
            call_id: Vec::new(),
            cseq: 0,
            path: binding.path.clone(),
            user_agent: binding.user_agent.clone(),
            local: binding.local,
            outbound: binding.reg_id.is_some(),
            supports_outbound: false,
            gruu: false,
        };
        Some((contact, asked))
    }
}

fn literal(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => {
            let shared = v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64; // RFC 6598
            v4.is_private() || v4.is_loopback() || v4.is_link_local() || shared
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

/// delta-seconds; larger numbers than 32 bits hold count as the largest one, `None` if it is no number.
fn seconds(value: &[u8]) -> Option<u32> {
    let value = value.trim_ascii();
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(
        value
            .iter()
            .fold(0u32, |n, d| n.saturating_mul(10).saturating_add(u32::from(d - b'0'))),
    )
}

/// A qvalue in thousandths; 1000 if it is none (§20.10).
fn thousandths(q: &str) -> u16 {
    q.parse::<f32>()
        .ok()
        .filter(|q| (0.0..=1.0).contains(q))
        .map_or(1000, |q| (q * 1000.0).round() as u16)
}
