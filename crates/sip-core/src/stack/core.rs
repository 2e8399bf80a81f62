//! What every part of the stack needs: configuration, transactions, composing and sending.

use super::alarms::Alarms;
use super::table::{Fallback, Machine, Table, Tx, TxId};
use super::{Call, Owner};
use crate::api::*;
use crate::digest::Challenge;
use crate::headers::Via;
use crate::keyed::{Keyed, KeyedMap};
use crate::message::{HeaderName, Message, Method};
use crate::transaction::{ClientInvite, ClientOther, ServerInvite, ServerOther};
use crate::write::{Writer, push_address, push_hex};
use bytes::Bytes;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// What Allow says, beside [`StackConfig::outside`].
const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, PRACK, UPDATE, REFER, NOTIFY";
/// Dialogs that have ended lately and are remembered, so that a Replaces that comes too late is told so.
const MAX_ENDED: usize = 4096;

pub(super) struct Core {
    pub config: StackConfig,
    pub now: Time,
    pub table: Table,
    /// Dialogs, early ones included, by Call-ID and both tags.
    pub dialogs: KeyedMap<u128, DialogHandle>,
    pub out: VecDeque<Output>,
    pub stats: StackStats,
    pub overload: Overload,
    pub alarms: Alarms,
    /// Requests outside dialogs that wait for the application.
    pub outside: usize,
    /// Keys of dialogs that have ended, oldest first.
    ended: VecDeque<(Time, u128)>,
    allow: String,
    minted: u64,
}

/// A request of theirs that waits for the application's response.
pub(super) struct Pending {
    pub tx: TxId,
    pub request: Message,
    pub origin: Origin,
}

/// Where a request came from, and where its responses go.
#[derive(Clone, Copy)]
pub(super) struct Origin {
    pub source: Target,
    pub local: SocketAddr,
    /// §18.2.2 and RFC 3581: the source port if the client asked for it, else the port of sent-by.
    pub reply: Target,
}

impl Core {
    pub fn new(config: StackConfig) -> Core {
        let mut allow = ALLOW.to_owned();
        for method in &config.outside {
            if !ALLOW.split(", ").any(|m| m == method.as_str()) {
                allow.push_str(", ");
                allow.push_str(method.as_str());
            }
        }
        let mut core = Core {
            config,
            now: Time::default(),
            table: Table::default(),
            dialogs: KeyedMap::default(),
            out: VecDeque::new(),
            stats: StackStats::default(),
            overload: Overload::Accept,
            alarms: Alarms::default(),
            outside: 0,
            ended: VecDeque::new(),
            allow,
            minted: 0,
        };
        // Handles of different lives of a process should not meet when dialogs are imported.
        core.minted = core.hash("handle").finish() as u64 >> 16;
        core
    }

    /// A keyed hash for one purpose.
    pub fn hash(&self, purpose: &str) -> Keyed {
        Keyed::new(&self.config.seed).field(purpose.as_bytes())
    }

    /// 64 bits as hexadecimal digits: tags, branch stems, cnonces.
    pub fn token(hash: Keyed) -> String {
        let mut out = String::with_capacity(16);
        push_hex(&mut out, hash.finish() as u64);
        out
    }

    pub fn mint(&mut self, calls: &KeyedMap<DialogHandle, Call>) -> DialogHandle {
        loop {
            self.minted = self.minted.wrapping_add(1);
            let handle = DialogHandle(self.minted | DialogHandle::INCOMING);
            if !calls.contains_key(&handle) {
                return handle;
            }
        }
    }

    pub fn event(&mut self, handle: DialogHandle, event: SipEvent) {
        if event.is_terminal() {
            self.alarms.clear(handle);
        }
        self.out.push_back(Output::Event { handle, event });
    }

    pub fn refuse(&mut self, handle: DialogHandle, command: CommandKind, why: Refusal) {
        self.event(handle, SipEvent::CommandRefused { command, why });
    }

    pub fn send(&mut self, target: Target, local: SocketAddr, bytes: Bytes) {
        self.out.push_back(Output::Send { target, local, bytes });
    }

    /// Tells the early dialogs of one INVITE apart, by the peer's tag.
    pub fn mark(&self, remote_tag: &str) -> u32 {
        self.hash("mark").field(remote_tag.as_bytes()).finish() as u32
    }

    // ---- dialogs ----

    /// Forgets a dialog, but for the fact that it was there.
    pub fn dialog_ended(&mut self, dialog: &ConfirmedSnapshot) {
        let key = dialog.key(self);
        self.dialogs.remove(&key);
        if self.ended.len() == MAX_ENDED {
            self.ended.pop_front();
        }
        self.ended.push_back((self.now, key));
    }

    /// True if this dialog ended within the last 64·T1.
    pub fn has_ended(&mut self, key: u128) -> bool {
        let oldest = 64 * self.config.timers.t1;
        while self.ended.front().is_some_and(|(at, _)| self.now.since(*at) > oldest) {
            self.ended.pop_front();
        }
        self.ended.iter().any(|(_, ended)| *ended == key)
    }

    // ---- keys ----

    pub fn dialog_key(&self, call_id: &str, local_tag: &str, remote_tag: &str) -> u128 {
        self.hash("dialog")
            .field(call_id.as_bytes())
            .field(local_tag.as_bytes())
            .field(remote_tag.as_bytes())
            .finish()
    }

    /// §17.1.3: branch and the method of CSeq.
    pub fn client_key(&self, branch: &[u8], method: Method) -> u128 {
        self.hash("client")
            .field(branch)
            .field(method.as_str().as_bytes())
            .finish()
    }

    /// §17.2.3. ACK and CANCEL look for the INVITE by passing its method. Without the magic cookie the rules of RFC 2543
    /// apply; To is left out there, because ACK carries our tag and the INVITE did not.
    pub fn server_key(&self, message: &Message, via: &Via<'_>, method: &[u8]) -> u128 {
        let hash = self.hash("server").field(method);
        if via.has_magic() {
            let port = via.port.unwrap_or(0).to_be_bytes();
            return hash
                .field(via.branch)
                .field(&via.host.to_ascii_lowercase())
                .field(&port)
                .finish();
        }
        let number = message.cseq().map_or(0, |c| c.number).to_be_bytes();
        hash.field(via.raw)
            .field(message.call_id().as_bytes())
            .field(message.from_tag().unwrap_or_default().as_bytes())
            .field(message.request_uri().as_bytes())
            .field(&number)
            .finish()
    }

    pub fn merged_key(&self, message: &Message) -> u128 {
        let cseq = message.cseq().map_or(0, |c| c.number).to_be_bytes();
        self.hash("merged")
            .field(message.call_id().as_bytes())
            .field(message.from_tag().unwrap_or_default().as_bytes())
            .field(message.method_name())
            .field(&cseq)
            .finish()
    }

    // ---- interfaces ----

    /// The interface of a transport that is bound to `local`, else the first of the transport.
    pub fn interface(&self, transport: Transport, local: Option<SocketAddr>) -> Option<&Interface> {
        let mut of_transport = self.config.interfaces.iter().filter(|i| i.transport == transport);
        let first = of_transport.next()?;
        let bound = self
            .config
            .interfaces
            .iter()
            .find(|i| i.transport == transport && Some(i.local) == local);
        Some(bound.unwrap_or(first))
    }

    /// How `target` should see the interface that is bound to `local`.
    fn public(&self, target: Target, local: SocketAddr) -> SocketAddr {
        self.interface(target.transport, Some(local))
            .map_or(local, |interface| interface.public(target.addr.ip()))
    }

    pub fn via_value(&self, target: Target, local: SocketAddr, branch: &str) -> String {
        let mut out = String::with_capacity(96);
        out.push_str("SIP/2.0/");
        out.push_str(target.transport.via_token());
        out.push(' ');
        push_address(&mut out, self.public(target, local));
        out.push_str(";branch=");
        out.push_str(branch);
        out.push_str(";rport");
        out
    }

    /// Our Contact; `user` takes precedence over the configured one.
    pub fn contact_value(&self, target: Target, local: SocketAddr, user: Option<&str>) -> String {
        let transport = target.transport;
        let mut out = String::with_capacity(64);
        out.push_str("<sip:");
        if let Some(user) = user.or(self.config.contact_user.as_deref()) {
            out.push_str(user);
            out.push('@');
        }
        push_address(&mut out, self.public(target, local));
        if transport != Transport::Udp {
            let _ = write!(out, ";transport={}", transport.via_token().to_ascii_lowercase());
        }
        out.push('>');
        out
    }

    // ---- requests ----

    /// Via and Max-Forwards of a request.
    pub fn request_head(&self, writer: &mut Writer, target: Target, local: SocketAddr, branch: &str) {
        writer.header("Via", &self.via_value(target, local, branch));
        writer.number("Max-Forwards", 70);
    }

    /// Contact, Allow, Supported and User-Agent of a request.
    pub fn request_tail(
        &self,
        writer: &mut Writer,
        method: Method,
        (target, local): (Target, SocketAddr),
        contact_user: Option<&str>,
        reliable: Reliable,
    ) {
        if matches!(method, Method::Invite | Method::Update | Method::Refer | Method::Notify) {
            writer.header("Contact", &self.contact_value(target, local, contact_user));
        }
        if matches!(method, Method::Invite | Method::Update) {
            writer.header("Allow", &self.allow);
            self.supported(writer, reliable == Reliable::Supported);
            if reliable == Reliable::Required {
                writer.header("Require", "100rel");
            }
        }
        if !self.config.product.is_empty() {
            writer.header("User-Agent", &self.config.product);
        }
    }

    fn supported(&self, writer: &mut Writer, reliable: bool) {
        let first = if reliable { "100rel, " } else { "" };
        let timer = if self.config.session.enabled { "timer, " } else { "" };
        writer.header_parts("Supported", &[first, timer, "replaces, norefersub"]);
    }

    /// Sends a request in a client transaction of its own.
    pub fn start_client(
        &mut self,
        method: Method,
        branch: &str,
        target: Target,
        local: SocketAddr,
        bytes: Bytes,
        owner: Owner,
    ) -> TxId {
        let key = self.client_key(branch.as_bytes(), method);
        let (target, local, bytes, fallback) = self.fit(target, local, bytes);
        let machine = self.client_machine(method, target.transport);
        self.send(target, local, bytes.clone());
        let mut tx = Tx::new(key, machine, target, local, bytes, owner);
        tx.fallback = fallback.map(Box::new);
        self.table.insert(tx)
    }

    fn client_machine(&self, method: Method, transport: Transport) -> Machine {
        let (timers, reliable) = (self.config.timers, transport.is_reliable());
        match method {
            Method::Invite => Machine::ClientInvite(ClientInvite::new(timers, reliable, self.now)),
            _ => Machine::ClientOther(ClientOther::new(timers, reliable, self.now)),
        }
    }

    /// §18.1.1: a request that is too long for a datagram goes by TCP, if there is an interface for it. The Via is
    /// rewritten; Contact is not, because where we are reached does not change.
    pub fn fit(
        &self,
        target: Target,
        local: SocketAddr,
        bytes: Bytes,
    ) -> (Target, SocketAddr, Bytes, Option<Fallback>) {
        if target.transport != Transport::Udp || bytes.len() <= self.config.udp_limit {
            return (target, local, bytes, None);
        }
        let usable = |i: &&Interface| i.transport == Transport::Tcp && i.local.is_ipv4() == target.addr.is_ipv4();
        let of_tcp = || self.config.interfaces.iter().filter(usable);
        let same_address = of_tcp().find(|i| i.local.ip() == local.ip());
        let Some(tcp) = same_address.or_else(|| of_tcp().next()) else {
            return (target, local, bytes, None);
        };
        let mark = b"\r\nVia: SIP/2.0/UDP ";
        let Some(at) = bytes.windows(mark.len()).position(|w| w == mark) else {
            return (target, local, bytes, None);
        };
        let sent_by = at + mark.len();
        let end = bytes[sent_by..].iter().position(|b| *b == b';').unwrap_or_default();
        let mut message = Vec::with_capacity(bytes.len() + 16);
        message.extend_from_slice(&bytes[..at]);
        message.extend_from_slice(format!("\r\nVia: SIP/2.0/TCP {}", tcp.public(target.addr.ip())).as_bytes());
        message.extend_from_slice(&bytes[sent_by + end..]);
        let over_tcp = Target {
            transport: Transport::Tcp,
            addr: target.addr,
            flow: None,
        };
        let fallback = Fallback {
            target,
            local,
            message: bytes,
        };
        (over_tcp, tcp.local, Bytes::from(message), Some(fallback))
    }

    /// TCP failed: the request goes by UDP after all. False if it did not come from there.
    pub fn fall_back(&mut self, id: TxId) -> bool {
        let Some(fallback) = self.table.get_mut(id).and_then(|tx| tx.fallback.take()) else {
            return false;
        };
        let method = match self.table.get(id).map(|tx| &tx.machine) {
            Some(Machine::ClientInvite(_)) => Method::Invite,
            _ => Method::Options,
        };
        let machine = self.client_machine(method, fallback.target.transport);
        let Some(tx) = self.table.get_mut(id) else { return false };
        tx.machine = machine;
        tx.target = fallback.target;
        tx.local = fallback.local;
        tx.message = fallback.message.clone();
        self.table.rearm(id);
        self.send(fallback.target, fallback.local, fallback.message);
        true
    }

    /// The same request once more with an answer to the challenge in `response`, the next CSeq and `branch`; `None` if
    /// there is no challenge that can be answered, or it has been answered already.
    pub fn reissue(&self, old: &Message, response: &Message, who: &Credentials, cseq: u32, via: &str) -> Option<Bytes> {
        let challenge = Challenge::of(response)?;
        let method = old.method()?;
        let uri = old.request_uri();
        let cnonce = Core::token(
            self.hash("cnonce")
                .field(challenge.nonce.as_bytes())
                .field(via.as_bytes()),
        );
        let answer = challenge.answer_body(who, method.as_str(), &uri, &old.body(), &cnonce, 1);
        let header = challenge.answer_header();
        Some(self.rewrite(old, cseq, via, &[(header, &answer)]))
    }

    /// The same request once more with the next CSeq, another branch and these header fields in place of the old ones.
    pub fn rewrite(&self, old: &Message, cseq: u32, via: &str, fields: &[(HeaderName, &str)]) -> Bytes {
        let method = old.method().unwrap_or(Method::Other);
        let mut writer = Writer::request(method, &old.request_uri());
        for (name, value) in old.headers() {
            match HeaderName::from_bytes(name) {
                HeaderName::Via => writer.header("Via", via),
                HeaderName::CSeq => writer.cseq(cseq, method),
                HeaderName::ContentLength | HeaderName::ContentType => {}
                known if fields.iter().any(|(name, _)| *name == known) => {}
                _ => writer.header(&String::from_utf8_lossy(name), &String::from_utf8_lossy(value)),
            }
        }
        for (name, value) in fields {
            writer.header(name.as_str(), value);
        }
        let body = old.body();
        match old.value(HeaderName::ContentType) {
            Some(kind) => writer.finish_with(&kind, &body),
            None => writer.finish(),
        }
    }

    /// CANCEL or the ACK to a 300-699 of the INVITE in `tx`: same Request-URI, Via, Route, From, Call-ID and CSeq number
    /// (§9.1, §17.1.1.3).
    pub fn companion(&self, invite: &Message, method: Method, to: Option<&Message>, reason: Option<&Reason>) -> Bytes {
        let mut writer = Writer::request(method, &invite.request_uri());
        writer.copy(invite, HeaderName::Via);
        writer.number("Max-Forwards", 70);
        writer.copy(invite, HeaderName::Route);
        writer.copy(invite, HeaderName::From);
        writer.copy(to.unwrap_or(invite), HeaderName::To);
        writer.copy(invite, HeaderName::CallId);
        writer.cseq(invite.cseq().map_or(0, |c| c.number), method);
        if method == Method::Ack {
            // §22.1: the ACK carries the credentials of its INVITE.
            writer.copy(invite, HeaderName::Authorization);
            writer.copy(invite, HeaderName::ProxyAuthorization);
        }
        if let Some(reason) = reason {
            writer.reason(reason);
        }
        if !self.config.product.is_empty() {
            writer.header("User-Agent", &self.config.product);
        }
        writer.finish()
    }

    // ---- responses ----

    /// Begins a response, with Contact and Record-Route where it creates a dialog (§12.1.1), Allow and Server.
    pub fn respond_head(
        &self,
        request: &Message,
        origin: &Origin,
        status: u16,
        phrase: Option<&str>,
        tag: &str,
        contact_user: Option<&str>,
    ) -> Writer {
        let mut writer = Writer::response(
            request,
            status,
            phrase,
            (status > 100).then_some(tag),
            origin.source.addr,
        );
        let method = request.method();
        if method == Some(Method::Invite) && (101..300).contains(&status) {
            writer.copy(request, HeaderName::RecordRoute);
        }
        let refreshes =
            method == Some(Method::Invite) && status > 100 || method == Some(Method::Update) && status >= 200;
        if refreshes && status < 300 {
            let contact = self.contact_value(origin.source, origin.local, contact_user);
            writer.header("Contact", &contact);
        }
        if matches!(status, 200..=299 | 405 | 501) {
            writer.header("Allow", &self.allow);
        }
        if (200..300).contains(&status) && matches!(method, Some(Method::Invite | Method::Options | Method::Update)) {
            self.supported(&mut writer, true);
        }
        if status > 100 && !self.config.product.is_empty() {
            writer.header("Server", &self.config.product);
        }
        writer
    }

    /// Answers without keeping anything (§8.2.7): the To tag is derived, so a repeated request gets the same response.
    pub fn reply(
        &mut self,
        request: &Message,
        origin: &Origin,
        status: u16,
        phrase: Option<&str>,
        extra: &[(&str, &str)],
    ) {
        if request.method() == Some(Method::Ack) {
            self.stats.dropped += 1;
            return;
        }
        let bytes = self.compose_reply(request, origin, (status, phrase), extra, None);
        self.send(origin.reply, origin.local, bytes);
    }

    fn compose_reply(
        &self,
        request: &Message,
        origin: &Origin,
        (status, phrase): (u16, Option<&str>),
        extra: &[(&str, &str)],
        contact_user: Option<&str>,
    ) -> Bytes {
        let via = request.via().map_or(&b""[..], |v| v.branch);
        let tag = Core::token(self.hash("reply").field(request.call_id().as_bytes()).field(via));
        let mut writer = self.respond_head(request, origin, status, phrase, &tag, contact_user);
        for (name, value) in extra {
            writer.header(name, value);
        }
        writer.finish()
    }

    /// Answers a request other than INVITE and absorbs its repetitions.
    pub fn reply_kept(&mut self, request: &Message, origin: &Origin, status: u16) {
        self.reply_kept_with(request, origin, status, &[], None);
    }

    /// The same with further header fields, and a Contact where the request refreshes the target.
    pub fn reply_kept_with(
        &mut self,
        request: &Message,
        origin: &Origin,
        status: u16,
        extra: &[(&str, &str)],
        contact_user: Option<&str>,
    ) {
        let bytes = self.compose_reply(request, origin, (status, None), extra, contact_user);
        self.send(origin.reply, origin.local, bytes.clone());
        let Some(via) = request.via() else { return };
        if self.table.len() >= self.config.max_transactions {
            return;
        }
        let mut machine = ServerOther::new(self.config.timers, origin.source.transport.is_reliable());
        machine.respond(status, self.now);
        let key = self.server_key(request, &via, request.method_name());
        self.table.insert(Tx::new(
            key,
            Machine::ServerOther(machine),
            origin.reply,
            origin.local,
            bytes,
            Owner::None,
        ));
    }

    /// Opens a server transaction for a request other than INVITE that the application answers; `None` and 503 if there
    /// is no room.
    pub fn start_server_other(&mut self, request: Message, origin: &Origin, owner: Owner) -> Option<Pending> {
        if self.table.len() >= self.config.max_transactions {
            let seconds = self.config.retry_after.to_string();
            self.reply(&request, origin, 503, None, &[("Retry-After", &seconds)]);
            return None;
        }
        let timers = self.config.timers;
        let key = self.server_key(&request, &request.via()?, request.method_name());
        let give_up = self.now.plus(20 * timers.t1);
        let machine = ServerOther::awaiting(timers, origin.source.transport.is_reliable(), give_up);
        let tx = self.table.insert(Tx::new(
            key,
            Machine::ServerOther(machine),
            origin.reply,
            origin.local,
            Bytes::new(),
            owner,
        ));
        Some(Pending {
            tx,
            request,
            origin: *origin,
        })
    }

    /// Answers such a request without content.
    pub fn answer_pending(&mut self, pending: &Pending, status: u16) {
        let (request, origin) = (&pending.request, &pending.origin);
        let bytes = self.compose_reply(request, origin, (status, None), &[], None);
        self.send_response(pending.tx, status, bytes);
    }

    /// Opens a server transaction for an INVITE; the caller has checked the limits.
    pub fn start_server_invite(
        &mut self,
        request: &Message,
        origin: &Origin,
        owner: Owner,
        merged: Option<u128>,
    ) -> Option<TxId> {
        let via = request.via()?;
        let key = self.server_key(request, &via, b"INVITE");
        let machine = ServerInvite::new(self.config.timers, origin.source.transport.is_reliable());
        let mut tx = Tx::new(
            key,
            Machine::ServerInvite(machine),
            origin.reply,
            origin.local,
            Bytes::new(),
            owner,
        );
        tx.merged = merged;
        let id = self.table.insert(tx);
        // §17.2.1 allows 200 ms for the 100; nothing is gained by waiting.
        let trying = self.respond_head(request, origin, 100, None, "", None).finish();
        self.send_response(id, 100, trying);
        Some(id)
    }

    /// Sends a response through its server transaction.
    pub fn send_response(&mut self, id: TxId, status: u16, bytes: Bytes) {
        let now = self.now;
        let Some(tx) = self.table.get_mut(id) else { return };
        match &mut tx.machine {
            Machine::ServerInvite(machine) => machine.respond(status, now),
            Machine::ServerOther(machine) => machine.respond(status, now),
            Machine::ClientInvite(_) | Machine::ClientOther(_) | Machine::Provisional(_) => {}
        }
        tx.message = bytes.clone();
        let (target, local) = (tx.target, tx.local);
        self.send(target, local, bytes);
        self.table.rearm(id);
    }
}

/// Where responses go, from what the request says and where it came from.
pub(super) fn origin(received: &Received, via: Option<&Via<'_>>) -> Origin {
    let source = Target {
        transport: received.transport,
        addr: received.source,
        flow: received.flow,
    };
    let mut reply = source;
    if let Some(via) = via
        && !via.rport
        && !received.transport.is_reliable()
    {
        reply
            .addr
            .set_port(via.port.unwrap_or(received.transport.default_port()));
    }
    Origin {
        source,
        local: received.local,
        reply,
    }
}

/// The address that a URI names literally, or the known address of the peer: names are the transport layer's to resolve
/// before a call starts, and inside a dialog the peer has proved where it is.
pub(super) fn next_hop(uri: Option<crate::Uri>, peer: Target) -> Target {
    let Some((uri, ip)) = uri.and_then(|uri| uri.host_ip().map(|ip| (uri, ip))) else {
        return peer;
    };
    let unusable = match (ip, peer.addr.ip()) {
        // An address of a private network means nothing here if the peer itself is seen under a public one: it sits
        // behind a NAT that rewrites packets and not messages.
        (IpAddr::V4(v4), IpAddr::V4(seen)) => {
            let private = |ip: Ipv4Addr| ip.is_private() || ip.is_loopback() || ip.is_link_local();
            v4.is_unspecified() || v4.is_multicast() || v4.is_broadcast() || private(v4) && !private(seen)
        }
        (IpAddr::V6(v6), IpAddr::V6(_)) => v6.is_unspecified() || v6.is_multicast(),
        _ => true,
    };
    if unusable || peer.transport.is_reliable() {
        // A connection is kept: the address of Contact behind it is often not reachable (RFC 5626).
        return peer;
    }
    // A peer that a long request reached by TCP may name TCP in its Contact and hear nothing else (RFC 3263 §4.1).
    let by_tcp = uri.param("transport").is_some_and(|t| t.eq_ignore_ascii_case("tcp"));
    let transport = if by_tcp { Transport::Tcp } else { peer.transport };
    Target {
        transport,
        addr: SocketAddr::new(ip, uri.port().unwrap_or(transport.default_port())),
        ..peer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_request_inside_a_dialog_goes() {
        let hop = |uri: &str, peer: &str| {
            next_hop(crate::Uri::parse(uri).ok(), Target::udp(peer.parse().unwrap()))
                .addr
                .to_string()
        };
        for (uri, peer, expected) in [
            ("sip:a@192.0.2.5:5080", "192.0.2.9:5060", "192.0.2.5:5080"),
            ("sip:a@192.0.2.5", "192.0.2.9:1234", "192.0.2.5:5060"),
            ("sip:a@pbx.example", "192.0.2.9:1234", "192.0.2.9:1234"),
            ("sip:a@0.0.0.0", "192.0.2.9:1234", "192.0.2.9:1234"),
            ("sip:a@224.0.0.1", "192.0.2.9:1234", "192.0.2.9:1234"),
            ("sip:a@10.0.0.7:5070", "192.0.2.9:1234", "192.0.2.9:1234"),
            ("sip:a@127.0.0.1:5070", "192.0.2.9:1234", "192.0.2.9:1234"),
            ("sip:a@10.0.0.7:5070", "10.0.0.9:1234", "10.0.0.7:5070"),
            ("sip:a@127.0.0.1:5070", "127.0.0.1:1234", "127.0.0.1:5070"),
            ("sip:a@[2001:db8::7]:5070", "[2001:db8::9]:1234", "[2001:db8::7]:5070"),
            ("sip:a@[2001:db8::7]:5070", "192.0.2.9:1234", "192.0.2.9:1234"),
            ("tel:+861087654321", "192.0.2.9:1234", "192.0.2.9:1234"),
        ] {
            assert_eq!(hop(uri, peer), expected, "{uri} {peer}");
        }
        let transport =
            |uri: &str| next_hop(crate::Uri::parse(uri).ok(), Target::udp(([192, 0, 2, 9], 5060).into())).transport;
        assert_eq!(transport("sip:a@192.0.2.5;transport=TCP"), Transport::Tcp);
        assert_eq!(transport("sip:a@192.0.2.5;transport=udp"), Transport::Udp);
        // Where TCP cannot be meant, the known way stays.
        assert_eq!(transport("sip:a@10.0.0.7;transport=tcp"), Transport::Udp);
    }
}
