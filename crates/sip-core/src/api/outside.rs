//! Requests outside dialogs: REGISTER of both roles, and whatever else the application wants to answer itself.

use super::{Credentials, DialogHandle, Party, Target};
use std::net::SocketAddr;

/// A request outside any dialog whose method is in [`StackConfig::outside`](super::StackConfig::outside).
#[derive(Debug, Clone)]
pub struct OutsideRequest {
    /// Its method.
    pub method: crate::Method,
    /// All of it.
    pub message: crate::Message,
    /// Where it came from; the flow is that of its connection.
    pub source: Target,
    /// Our address it came to.
    pub local: SocketAddr,
}

/// One REGISTER as a client.
#[derive(Debug, Clone)]
pub struct Register {
    /// Chosen by the caller, highest bit clear.
    pub handle: DialogHandle,
    /// Call-ID; the same for all REGISTERs of one binding (RFC 3261 §10.2.4).
    pub call_id: String,
    /// Our tag.
    pub local_tag: String,
    /// As in [`Invite::branch_stem`](super::Invite::branch_stem).
    pub branch_stem: String,
    /// CSeq; it must grow by at least three with each REGISTER of the Call-ID, because challenges use up two.
    pub seq: u32,
    /// The registrar's domain, for example `sip:carrier.example`.
    pub request_uri: String,
    /// From and To.
    pub aor: Party,
    /// User part of our Contact; `None` takes [`StackConfig::contact_user`](super::StackConfig).
    pub contact_user: Option<String>,
    /// Seconds that are asked for; 0 removes the binding.
    pub expires: u32,
    /// `+sip.instance` without quotes and angle brackets, for example `urn:uuid:…` (RFC 5626).
    pub instance: Option<String>,
    /// `reg-id` (RFC 5626); needs an instance.
    pub reg_id: Option<u32>,
    /// First hop; its flow is kept.
    pub destination: Target,
    /// Local address to send from; `None` takes the first interface of the transport.
    pub local: Option<SocketAddr>,
    /// Pre-loaded route set.
    pub route: Vec<String>,
    /// Used when the registrar challenges, and once more if the nonce was stale.
    pub credentials: Option<Credentials>,
    /// Further header fields.
    pub headers: Vec<(String, String)>,
}

/// What came of a REGISTER of ours.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Registration {
    /// Final status; `None` if there was none.
    pub status: Option<u16>,
    /// Contact URIs that the registrar holds, with the seconds they have left.
    pub granted: Vec<(String, u32)>,
    /// Seconds granted to our own Contact; from its `expires` parameter, else from Expires.
    pub expires: Option<u32>,
    /// Min-Expires of a 423.
    pub min_expires: Option<u32>,
    /// Path values (RFC 3327).
    pub path: Vec<String>,
    /// Service-Route values (RFC 3608).
    pub service_route: Vec<String>,
    /// URIs of P-Associated-URI (RFC 7315).
    pub associated: Vec<String>,
    /// Retry-After in seconds.
    pub retry_after: Option<u32>,
}
