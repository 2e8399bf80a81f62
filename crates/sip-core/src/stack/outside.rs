//! Requests outside dialogs: OPTIONS (RFC 3261 §11) and REGISTER (§10) of ours, and those of the far side that the
//! application answers itself.

use super::core::Core;
use super::dialog::number;
use super::table::TxId;
use super::uac::next_branch;
use super::{Call, Origin, Owner, Stack};
use crate::api::*;
use crate::digest::Challenge;
use crate::headers::{CommaList, NameAddr, retry_after};
use crate::message::{HeaderName, Message, Method};
use crate::uri::Uri;
use crate::write::{Writer, party_value, quote_into};
use bytes::Bytes;

/// Most contacts and routes that are read of a response.
const MAX_LISTED: usize = 32;

/// A REGISTER of ours without a final response.
pub(super) struct Registering {
    credentials: Option<Credentials>,
    seq: u32,
    /// Challenges answered: one, and a second one if the nonce was stale.
    challenges: u8,
    contact: String,
}

impl Stack {
    // ---- OPTIONS ----

    pub(super) fn options(&mut self, ping: OptionsPing) {
        let handle = ping.handle;
        if self.calls.contains_key(&handle) || handle.is_incoming() {
            return self.core.refuse(handle, CommandKind::Options, Refusal::DuplicateHandle);
        }
        let target = ping.destination;
        let local = match self.core.interface(target.transport, ping.local) {
            Some(interface) if Uri::parse(&ping.request_uri).is_ok() => interface.local,
            _ => return self.core.event(handle, SipEvent::OptionsResult { status: None }),
        };
        let branch = format!("z9hG4bK{}-1", ping.branch_stem);
        let mut writer = Writer::request(Method::Options, &ping.request_uri);
        self.core.request_head(&mut writer, target, local, &branch);
        writer.party("From", &party_value(&ping.from), &ping.local_tag);
        writer.header_parts("To", &["<", &ping.request_uri, ">"]);
        writer.header("Call-ID", &ping.call_id);
        writer.cseq(1, Method::Options);
        writer.header("Accept", "application/sdp");
        self.core
            .request_tail(&mut writer, Method::Options, (target, local), None, Reliable::Off);
        self.calls.insert(handle, Call::Probing);
        self.core.start_client(
            Method::Options,
            &branch,
            target,
            local,
            writer.finish(),
            Owner::Options(handle),
        );
    }

    pub(super) fn options_result(&mut self, handle: DialogHandle, status: Option<u16>) {
        if matches!(self.calls.get(&handle), Some(Call::Probing)) {
            self.calls.remove(&handle);
            self.core.event(handle, SipEvent::OptionsResult { status });
        }
    }
    // ---- REGISTER as a client ----

    pub(super) fn register(&mut self, register: Register) {
        let handle = register.handle;
        if self.calls.contains_key(&handle) || handle.is_incoming() {
            return self
                .core
                .refuse(handle, CommandKind::Register, Refusal::DuplicateHandle);
        }
        let target = register.destination;
        let writable = Uri::parse(&register.request_uri).is_ok()
            && Uri::parse(&register.aor.uri).is_ok()
            && !register.local_tag.is_empty()
            && !register.call_id.is_empty();
        let room = self.calls.len() < self.core.config.max_dialogs
            && self.core.table.len() < self.core.config.max_transactions;
        let Some(local) = self
            .core
            .interface(target.transport, register.local)
            .filter(|_| writable && room)
            .map(|i| i.local)
        else {
            return self.core.event(handle, SipEvent::RegisterResult(Box::default()));
        };
        let user = register.contact_user.as_deref();
        let contact = self.core.contact_value(target, local, user);
        let branch = format!("z9hG4bK{}-{}", register.branch_stem, register.seq);
        let mut writer = Writer::request(Method::Register, &register.request_uri);
        self.core.request_head(&mut writer, target, local, &branch);
        for route in &register.route {
            writer.header("Route", route);
        }
        let aor = party_value(&register.aor);
        writer.party("From", &aor, &register.local_tag);
        writer.header("To", &aor);
        writer.header("Call-ID", &register.call_id);
        writer.cseq(register.seq, Method::Register);
        writer.header("Contact", &contact_parameters(&contact, &register));
        writer.number("Expires", register.expires);
        writer.header("Supported", "path, outbound, gruu");
        for (name, value) in &register.headers {
            writer.header(name, value);
        }
        self.core
            .request_tail(&mut writer, Method::Register, (target, local), None, Reliable::Off);
        let registering = Registering {
            credentials: register.credentials,
            seq: register.seq,
            challenges: 0,
            contact,
        };
        self.calls.insert(handle, Call::Registering(Box::new(registering)));
        self.core.start_client(
            Method::Register,
            &branch,
            target,
            local,
            writer.finish(),
            Owner::Register(handle),
        );
    }

    pub(super) fn register_response(&mut self, id: TxId, handle: DialogHandle, message: &Message, status: u16) {
        if matches!(status, 401 | 407) && self.register_again(id, handle, message) {
            return;
        }
        let Some(Call::Registering(registering)) = self.calls.get(&handle) else {
            return;
        };
        let result = registration(&registering.contact, message, status);
        self.register_over(handle, result);
    }

    /// Answers a challenge; false if that has been done before, or cannot be.
    fn register_again(&mut self, id: TxId, handle: DialogHandle, message: &Message) -> bool {
        let Some(Call::Registering(registering)) = self.calls.get_mut(&handle) else {
            return false;
        };
        let stale = Challenge::of(message).is_some_and(|c| c.stale);
        let allowed = registering.challenges == 0 || registering.challenges == 1 && stale;
        let (true, Some(who), Some(tx)) = (allowed, &registering.credentials, self.core.table.get(id)) else {
            return false;
        };
        let Ok(old) = Message::read_back(tx.message.clone()) else {
            return false;
        };
        let (target, local) = tx
            .fallback
            .as_ref()
            .map_or((tx.target, tx.local), |f| (f.target, f.local));
        let seq = registering.seq + 1;
        let branch = next_branch(&old, seq);
        let via = self.core.via_value(target, local, &branch);
        let Some(bytes) = self.core.reissue(&old, message, who, seq, &via) else {
            return false;
        };
        registering.challenges += 1;
        registering.seq = seq;
        self.core
            .start_client(Method::Register, &branch, target, local, bytes, Owner::Register(handle));
        true
    }

    /// The end of a REGISTER, whatever came of it.
    pub(super) fn register_over(&mut self, handle: DialogHandle, result: Registration) {
        if matches!(self.calls.get(&handle), Some(Call::Registering(_))) {
            self.calls.remove(&handle);
            self.core.event(handle, SipEvent::RegisterResult(Box::new(result)));
        }
    }

    // ---- requests of the far side ----

    /// A request whose method the application has asked for.
    pub(super) fn outside_request(&mut self, message: Message, origin: &Origin) {
        if self.core.outside >= self.core.config.max_requests || self.calls.len() >= self.core.config.max_dialogs {
            self.core.stats.refused += 1;
            let seconds = self.core.config.retry_after.to_string();
            return self
                .core
                .reply(&message, origin, 503, None, &[("Retry-After", &seconds)]);
        }
        let handle = self.core.mint(&self.calls);
        let Some(pending) = self.core.start_server_other(message, origin, Owner::Outside(handle)) else {
            return;
        };
        self.core.outside += 1;
        let event = OutsideRequest {
            method: pending.request.method().unwrap_or(Method::Other),
            message: pending.request.clone(),
            source: origin.source,
            local: origin.local,
        };
        self.calls.insert(handle, Call::Outside(Box::new(pending)));
        self.core.event(handle, SipEvent::Request(Box::new(event)));
    }

    pub(super) fn reply_outside(
        &mut self,
        handle: DialogHandle,
        (status, phrase): (u16, Option<&str>),
        headers: &[(String, String)],
        body: Option<&(String, Bytes)>,
    ) {
        let pending = match self.calls.get(&handle) {
            Some(Call::Outside(pending)) => pending,
            Some(_) => return self.core.refuse(handle, CommandKind::Reply, Refusal::WrongState),
            None => return self.core.refuse(handle, CommandKind::Reply, Refusal::UnknownHandle),
        };
        if !(200..700).contains(&status) {
            return self.core.refuse(handle, CommandKind::Reply, Refusal::BadArgument);
        }
        let (request, origin) = (&pending.request, &pending.origin);
        let tag = Core::token(
            self.core
                .hash("reply")
                .field(request.call_id().as_bytes())
                .field(request.via().map_or(&b""[..], |v| v.branch)),
        );
        let mut writer = self.core.respond_head(request, origin, status, phrase, &tag, None);
        for (name, value) in headers {
            writer.header(name, value);
        }
        let bytes = match body {
            Some((kind, body)) => writer.finish_with(kind, body),
            None => writer.finish(),
        };
        self.core.send_response(pending.tx, status, bytes);
        self.calls.remove(&handle);
        self.core.outside -= 1;
    }

    /// The application did not reply in time.
    pub(super) fn outside_expired(&mut self, handle: DialogHandle) {
        if !matches!(self.calls.get(&handle), Some(Call::Outside(_))) {
            return;
        }
        if let Some(Call::Outside(pending)) = self.calls.remove(&handle) {
            self.core.answer_pending(&pending, 503);
            self.core.outside -= 1;
            self.core.event(handle, SipEvent::RequestExpired);
        }
    }
}

/// Our Contact with what RFC 3261 §10.2.1 and RFC 5626 §4.2 add to it.
fn contact_parameters(contact: &str, register: &Register) -> String {
    let mut out = format!("{contact};expires={}", register.expires);
    if let Some(instance) = &register.instance {
        out.push_str(";+sip.instance=");
        quote_into(&mut out, &format!("<{instance}>"));
        if let Some(reg_id) = register.reg_id {
            out.push_str(&format!(";reg-id={reg_id}"));
        }
    }
    out
}

/// What a final response to REGISTER says.
fn registration(contact: &str, message: &Message, status: u16) -> Registration {
    let ours = contact.trim_start_matches('<').trim_end_matches('>');
    let default = number(message, HeaderName::Expires);
    let list = |name| {
        message
            .list(name)
            .take(MAX_LISTED)
            .map(|v| v.into_owned())
            .collect::<Vec<_>>()
    };
    let granted: Vec<(String, u32)> = message
        .raw_values(HeaderName::Contact)
        .flat_map(CommaList::new)
        .take(MAX_LISTED)
        .filter_map(|value| {
            let contact = NameAddr::parse(value)?;
            let seconds = contact.param("expires").and_then(|v| v.parse().ok()).or(default);
            Some((contact.uri.as_str().to_owned(), seconds.unwrap_or(0)))
        })
        .filter(|_| status < 300)
        .collect();
    let own = granted.iter().find(|(uri, _)| uri == ours).map(|(_, seconds)| *seconds);
    let associated = message
        .value_by_name("P-Associated-URI")
        .map(|value| {
            CommaList::new(value.as_bytes())
                .take(MAX_LISTED)
                .filter_map(|v| Some(NameAddr::parse(v)?.uri.as_str().to_owned()))
                .collect()
        })
        .unwrap_or_default();
    Registration {
        status: Some(status),
        expires: own.or(default).filter(|_| status < 300),
        granted,
        min_expires: number(message, HeaderName::MinExpires),
        path: list(HeaderName::Path),
        service_route: list(HeaderName::ServiceRoute),
        associated,
        retry_after: retry_after(message),
    }
}
