//! What every part of the stack needs: configuration, transactions, composing and sending.

use super::table::{Machine, Table, Tx, TxId};
use super::{Call, Owner};
use crate::api::*;
use crate::digest::Challenge;
use crate::headers::Via;
use crate::keyed::{Keyed, KeyedMap};
use crate::message::{HeaderName, Message, Method};
use crate::transaction::{ClientInvite, ClientOther, ServerInvite, ServerOther};
use crate::write::Writer;
use bytes::Bytes;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The methods of [`Core::respond_head`]'s Allow and of 405.
pub(super) const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO";

pub(super) struct Core {
    pub config: StackConfig,
    pub now: Time,
    pub table: Table,
    /// Dialogs, early ones included, by Call-ID and both tags.
    pub dialogs: KeyedMap<u128, DialogHandle>,
    pub out: VecDeque<Output>,
    pub stats: StackStats,
    pub overload: Overload,
    minted: u64,
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
        let mut core = Core {
            config,
            now: Time::default(),
            table: Table::default(),
            dialogs: KeyedMap::default(),
            out: VecDeque::new(),
            stats: StackStats::default(),
            overload: Overload::Accept,
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
        format!("{:016x}", hash.finish() as u64)
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
        self.out.push_back(Output::Event { handle, event });
    }

    pub fn refuse(&mut self, handle: DialogHandle, command: CommandKind, why: Refusal) {
        self.event(handle, SipEvent::CommandRefused { command, why });
    }

    pub fn send(&mut self, target: Target, local: SocketAddr, bytes: Bytes) {
        self.out.push_back(Output::Send { target, local, bytes });
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

    fn public(&self, transport: Transport, local: SocketAddr) -> SocketAddr {
        self.interface(transport, Some(local)).map_or(local, Interface::public)
    }

    pub fn via_value(&self, transport: Transport, local: SocketAddr, branch: &str) -> String {
        format!(
            "SIP/2.0/{} {};branch={branch};rport",
            transport.via_token(),
            self.public(transport, local)
        )
    }

    fn contact_value(&self, transport: Transport, local: SocketAddr) -> String {
        let mut out = String::with_capacity(64);
        out.push_str("<sip:");
        if let Some(user) = &self.config.contact_user {
            out.push_str(user);
            out.push('@');
        }
        let _ = write!(out, "{}", self.public(transport, local));
        if transport != Transport::Udp {
            let _ = write!(out, ";transport={}", transport.via_token().to_ascii_lowercase());
        }
        out.push('>');
        out
    }

    // ---- requests ----

    /// Via and Max-Forwards of a request.
    pub fn request_head(&self, writer: &mut Writer, target: Target, local: SocketAddr, branch: &str) {
        writer.header("Via", &self.via_value(target.transport, local, branch));
        writer.number("Max-Forwards", 70);
    }

    /// Contact, Allow and User-Agent of a request.
    pub fn request_tail(&self, writer: &mut Writer, method: Method, target: Target, local: SocketAddr) {
        if method == Method::Invite {
            writer.header("Contact", &self.contact_value(target.transport, local));
            writer.header("Allow", ALLOW);
        }
        if !self.config.product.is_empty() {
            writer.header("User-Agent", &self.config.product);
        }
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
        let (timers, reliable) = (self.config.timers, target.transport.is_reliable());
        let machine = match method {
            Method::Invite => Machine::ClientInvite(ClientInvite::new(timers, reliable, self.now)),
            _ => Machine::ClientOther(ClientOther::new(timers, reliable, self.now)),
        };
        let key = self.client_key(branch.as_bytes(), method);
        self.send(target, local, bytes.clone());
        self.table.insert(Tx::new(key, machine, target, local, bytes, owner))
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
        let mut writer = Writer::request(method, &uri);
        for (name, value) in old.headers() {
            match HeaderName::from_bytes(name) {
                HeaderName::Via => writer.header("Via", via),
                HeaderName::CSeq => writer.cseq(cseq, method),
                HeaderName::ContentLength | HeaderName::ContentType => {}
                known if known == challenge.answer_header() => {}
                _ => writer.header(&String::from_utf8_lossy(name), &String::from_utf8_lossy(value)),
            }
        }
        writer.header(challenge.answer_header().as_str(), &answer);
        let body = old.body();
        Some(match old.value(HeaderName::ContentType) {
            Some(kind) => writer.finish_with(&kind, &body),
            None => writer.finish(),
        })
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
    ) -> Writer {
        let mut writer = Writer::response(
            request,
            status,
            phrase,
            (status > 100).then_some(tag),
            origin.source.addr,
        );
        if request.method() == Some(Method::Invite) && (101..300).contains(&status) {
            writer.copy(request, HeaderName::RecordRoute);
            writer.header("Contact", &self.contact_value(origin.source.transport, origin.local));
        }
        if matches!(status, 200..=299 | 405 | 501) {
            writer.header("Allow", ALLOW);
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
        let bytes = self.compose_reply(request, origin, status, phrase, extra);
        self.send(origin.reply, origin.local, bytes);
    }

    fn compose_reply(
        &self,
        request: &Message,
        origin: &Origin,
        status: u16,
        phrase: Option<&str>,
        extra: &[(&str, &str)],
    ) -> Bytes {
        let via = request.via().map_or(&b""[..], |v| v.branch);
        let tag = Core::token(self.hash("reply").field(request.call_id().as_bytes()).field(via));
        let mut writer = self.respond_head(request, origin, status, phrase, &tag);
        for (name, value) in extra {
            writer.header(name, value);
        }
        writer.finish()
    }

    /// Answers a request other than INVITE and absorbs its repetitions.
    pub fn reply_kept(&mut self, request: &Message, origin: &Origin, status: u16) {
        let bytes = self.compose_reply(request, origin, status, None, &[]);
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
        let trying = self.respond_head(request, origin, 100, None, "").finish();
        self.send_response(id, 100, trying);
        Some(id)
    }

    /// Sends a response through its INVITE server transaction.
    pub fn send_response(&mut self, id: TxId, status: u16, bytes: Bytes) {
        let now = self.now;
        let Some(tx) = self.table.get_mut(id) else { return };
        if let Machine::ServerInvite(machine) = &mut tx.machine {
            machine.respond(status, now);
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
    Target {
        addr: SocketAddr::new(ip, uri.port().unwrap_or(peer.transport.default_port())),
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
    }
}
