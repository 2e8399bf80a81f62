//! Dialog state (RFC 3261 §12) and requests inside it. The state of a dialog is its snapshot, so that exporting one is
//! a copy.

use super::core::{Core, next_hop};
use super::table::Tx;
use crate::api::*;
use crate::headers::{CommaList, NameAddr, without_tag};
use crate::message::{HeaderName, Message, Method};
use crate::uri::Uri;
use crate::write::Writer;
use std::net::SocketAddr;

/// Most routes that are kept of a Record-Route.
const MAX_ROUTES: usize = 32;

/// A composed request that still lacks its body.
pub(super) struct Draft {
    pub writer: Writer,
    pub target: Target,
    pub local: SocketAddr,
    pub branch: String,
}

fn routes(message: &Message) -> Vec<String> {
    message
        .list(HeaderName::RecordRoute)
        .take(MAX_ROUTES)
        .map(|r| r.into_owned())
        .collect()
}

/// The URI of the first Contact.
pub(super) fn contact_uri(message: &Message) -> Option<String> {
    let value = message.raw_values(HeaderName::Contact).next()?;
    let contact = NameAddr::parse(CommaList::new(value).next()?)?;
    Some(contact.uri.as_str().to_owned())
}

/// True if Allow names UPDATE.
pub(super) fn allows_update(message: &Message) -> bool {
    message.list(HeaderName::Allow).any(|method| method == "UPDATE")
}

/// The value of a field that is one number, perhaps with parameters behind it.
pub(super) fn number(message: &Message, name: HeaderName) -> Option<u32> {
    let value = message.raw_values(name).next()?;
    let digits = value.iter().take_while(|b| b.is_ascii_digit()).count();
    std::str::from_utf8(&value[..digits]).ok()?.parse().ok()
}

/// True if an option tag is listed.
pub(super) fn lists(message: &Message, name: HeaderName, option: &str) -> bool {
    message.list(name).any(|o| o.eq_ignore_ascii_case(option))
}

impl ConfirmedSnapshot {
    /// §12.1.2: the dialog that a response to our INVITE creates.
    pub(super) fn from_response(
        core: &Core,
        handle: DialogHandle,
        tx: &Tx,
        invite: &Message,
        response: &Message,
    ) -> ConfirmedSnapshot {
        let mut route_set = routes(response);
        route_set.reverse();
        let branch = invite
            .via()
            .map(|v| String::from_utf8_lossy(v.branch).into_owned())
            .unwrap_or_default();
        let stem = branch.strip_prefix("z9hG4bK").unwrap_or(&branch);
        let stem = stem.rsplit_once('-').map_or(stem, |(stem, _)| stem);
        let remote_tag = response.to_tag().unwrap_or_default().into_owned();
        // The dialogs of a forked INVITE count their requests apart, so their branches need stems of their own.
        let branch_stem = format!("{stem}.{:08x}", core.mark(&remote_tag));
        let party = |message: &Message, name| message.raw_values(name).next().map(without_tag).unwrap_or_default();
        ConfirmedSnapshot {
            handle,
            incoming: false,
            call_id: invite.call_id().into_owned(),
            local_tag: invite.from_tag().unwrap_or_default().into_owned(),
            remote_tag,
            local_party: party(invite, HeaderName::From),
            remote_party: party(response, HeaderName::To),
            local_seq: invite.cseq().map_or(1, |c| c.number),
            remote_seq: None,
            remote_target: contact_uri(response).unwrap_or_else(|| invite.request_uri().into_owned()),
            route_set,
            // That one request was too long for a datagram says nothing about the next.
            peer: tx.fallback.as_ref().map_or(tx.target, |f| f.target),
            local: tx.fallback.as_ref().map_or(tx.local, |f| f.local),
            branch_stem,
            extras: DialogExtras {
                peer_updates: allows_update(response),
                ..DialogExtras::default()
            },
        }
    }

    /// §12.1.1: the dialog that an incoming INVITE will create; `None` without a usable Contact.
    pub(super) fn from_invite(
        core: &Core,
        handle: DialogHandle,
        invite: &Message,
        source: Target,
        local: SocketAddr,
    ) -> Option<ConfirmedSnapshot> {
        let call_id = invite.call_id().into_owned();
        let branch = invite.via().map_or(&b""[..], |v| v.branch);
        let from_tag = invite.from_tag().unwrap_or_default().into_owned();
        let hash = |purpose| {
            core.hash(purpose)
                .field(call_id.as_bytes())
                .field(from_tag.as_bytes())
                .field(branch)
        };
        let party = |name| invite.raw_values(name).next().map(without_tag).unwrap_or_default();
        Some(ConfirmedSnapshot {
            handle,
            incoming: true,
            local_tag: Core::token(hash("tag")),
            branch_stem: Core::token(hash("stem")),
            remote_tag: from_tag,
            local_party: party(HeaderName::To),
            remote_party: party(HeaderName::From),
            local_seq: 0,
            remote_seq: invite.cseq().map(|c| c.number),
            remote_target: contact_uri(invite).or_else(|| old_target(invite))?,
            route_set: routes(invite),
            peer: source,
            local,
            call_id,
            extras: DialogExtras {
                peer_updates: allows_update(invite),
                ..DialogExtras::default()
            },
        })
    }

    /// The key of this dialog in the stack's index.
    pub(super) fn key(&self, core: &Core) -> u128 {
        core.dialog_key(&self.call_id, &self.local_tag, &self.remote_tag)
    }

    /// §12.2.1.1: a request with its routing. `suffix` tells the branches of requests with the same CSeq apart.
    pub(super) fn draft(&self, core: &Core, method: Method, cseq: u32, suffix: &str) -> Draft {
        let first = self.route_set.first().and_then(|r| NameAddr::parse(r.as_bytes()));
        let strict = first.as_ref().is_some_and(|r| r.uri.param("lr").is_none());
        let hop = first
            .as_ref()
            .map(|r| r.uri.clone())
            .or_else(|| Uri::parse(&self.remote_target).ok());
        let target = next_hop(hop, self.peer);
        let branch = format!("z9hG4bK{}-{cseq}{suffix}", self.branch_stem);
        let mut writer = match &first {
            Some(route) if strict => Writer::request(method, route.uri.as_str()),
            _ => Writer::request(method, &self.remote_target),
        };
        core.request_head(&mut writer, target, self.local, &branch);
        for route in self.route_set.iter().skip(usize::from(strict)) {
            writer.header("Route", route);
        }
        if strict {
            writer.header_parts("Route", &["<", &self.remote_target, ">"]);
        }
        writer.party("From", &self.local_party, &self.local_tag);
        writer.party("To", &self.remote_party, &self.remote_tag);
        writer.header("Call-ID", &self.call_id);
        writer.cseq(cseq, method);
        let user = self.extras.contact_user.as_deref();
        core.request_tail(&mut writer, method, (target, self.local), user, Reliable::Off);
        Draft {
            writer,
            target,
            local: self.local,
            branch,
        }
    }

    /// The ACK to a 2xx of `invite` (§13.2.2.4): CSeq and credentials of the INVITE, a branch of its own.
    pub(super) fn ack_draft(&self, core: &Core, invite: &Acked<'_>) -> Draft {
        let mark = core.hash("ack").field(self.remote_tag.as_bytes()).finish() as u32;
        let suffix = format!("a{mark:08x}");
        match invite {
            Acked::Plain { cseq } => self.draft(core, Method::Ack, *cseq, &suffix),
            Acked::Whole(invite) => {
                let cseq = invite.cseq().map_or(self.local_seq, |c| c.number);
                let mut draft = self.draft(core, Method::Ack, cseq, &suffix);
                draft.writer.copy(invite, HeaderName::Authorization);
                draft.writer.copy(invite, HeaderName::ProxyAuthorization);
                draft
            }
        }
    }
}

/// What an ACK takes from its INVITE.
pub(super) enum Acked<'a> {
    /// It carried no credentials: the number of its CSeq is all.
    Plain { cseq: u32 },
    /// Whatever the ACK repeats of it.
    Whole(&'a Message),
}

impl Acked<'_> {
    /// The number of the CSeq of an INVITE without credentials.
    pub(super) fn plain(invite: &Message) -> Option<u32> {
        let has = |name| invite.raw_values(name).next().is_some();
        let guarded = has(HeaderName::Authorization) || has(HeaderName::ProxyAuthorization);
        invite.cseq().filter(|_| !guarded).map(|c| c.number)
    }
}

/// RFC 2543 knew INVITEs without Contact, whose sender is called back at From. A branch without the magic cookie tells
/// them from broken ones (RFC 4475 §3.4.1).
fn old_target(invite: &Message) -> Option<String> {
    if invite.via()?.has_magic() {
        return None;
    }
    let from = crate::headers::NameAddr::parse(invite.raw_values(HeaderName::From).next()?)?;
    Some(from.uri.as_str().to_owned())
}
