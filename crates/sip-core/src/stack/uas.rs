//! Calls that come in: what a request outside a dialog is answered with (RFC 3261 §8.2), INVITE up to its final response
//! (§13.3), CANCEL from the far side (§9.2).

use super::confirmed::{Confirmed, Exchange};
use super::core::{Core, Origin};
use super::deal::Deal;
use super::reliable::{Reliably, reliability};
use super::session::{Judgement, session_fields};
use super::table::{Machine, TxId};
use super::{Call, Owner, Stack};
use crate::api::*;
use crate::headers::reasons;
use crate::message::{HeaderName, Message, Method};
use crate::uri::{Scheme, Uri};
use bytes::Bytes;

/// An INVITE of theirs without a final response.
pub(super) struct Incoming {
    pub dialog: ConfirmedSnapshot,
    pub tx: TxId,
    pub request: Message,
    pub origin: Origin,
    pub deal: Deal,
    /// What the caller says about reliable provisional responses, and those that have been sent.
    reliable: Reliable,
    pub reliably: Option<Box<Reliably>>,
}

/// A response as the application wants it.
pub(super) struct Answer {
    pub status: u16,
    pub phrase: Option<String>,
    pub headers: Vec<(String, String)>,
    pub sdp: Option<Bytes>,
    pub reliable: bool,
}

/// RFC 3261 §20.1, RFC 4475 §3.3.15: true if Accept leaves no way to answer with a session description: 406. An empty
/// one refuses all types, as it may.
fn unacceptable_answer(message: &Message) -> bool {
    let mut ranges = message.raw_values(HeaderName::Accept).peekable();
    ranges.peek().is_some()
        && !ranges.flat_map(crate::headers::CommaList::new).any(|range| {
            let kind = range.split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
            [&b"application/sdp"[..], b"application/*", b"*/*"]
                .iter()
                .any(|known| known.eq_ignore_ascii_case(kind))
        })
}

/// Why the content of a request cannot be taken, if so: 415.
fn unsupported_content(message: &Message) -> bool {
    let encoded = message
        .value(HeaderName::ContentEncoding)
        .is_some_and(|e| !e.eq_ignore_ascii_case("identity"));
    !message.body().is_empty() && (encoded || message.sdp().is_none())
}

impl Stack {
    /// §8.2, in its order: method, header, content.
    pub(super) fn request_outside(&mut self, message: Message, origin: &Origin) {
        let method = message.method().unwrap_or(Method::Other);
        let asked_for = self.core.config.outside.contains(&method);
        match method {
            Method::Invite | Method::Options => {}
            // These live inside dialogs only.
            Method::Bye | Method::Info | Method::Prack | Method::Update | Method::Notify => {
                return self.core.reply(&message, origin, 481, None, &[]);
            }
            _ if asked_for => {}
            // Whoever is in no call with us has nobody to transfer.
            Method::Refer => return self.core.reply(&message, origin, 403, None, &[]),
            _ => return self.reply_unsupported(&message, origin),
        }
        match Uri::parse(&message.request_uri()) {
            Ok(uri) if uri.scheme() == Scheme::Other => return self.core.reply(&message, origin, 416, None, &[]),
            Ok(_) => {}
            Err(_) => return self.core.reply(&message, origin, 400, Some("Bad Request-URI"), &[]),
        }
        let merged = self.core.merged_key(&message);
        if self.core.table.is_merged(merged) {
            return self.core.reply(&message, origin, 482, None, &[]);
        }
        if self.refuse_required(&message, origin) {
            return;
        }
        if method != Method::Invite && message.raw_values(HeaderName::Replaces).next().is_some() {
            return self
                .core
                .reply(&message, origin, 400, Some("Replaces Outside INVITE"), &[]);
        }
        match method {
            Method::Invite => {}
            Method::Options => return self.reply_options(&message, origin),
            _ => return self.outside_request(message, origin),
        }
        if unsupported_content(&message) {
            return self
                .core
                .reply(&message, origin, 415, None, &[("Accept", "application/sdp")]);
        }
        if unacceptable_answer(&message) {
            return self.core.reply(&message, origin, 406, None, &[]);
        }
        if matches!(self.core.judge_session(&message), Judgement::TooSmall) {
            return self.core.reply_interval_too_small(&message, origin);
        }
        self.incoming_invite(message, origin, merged);
    }

    fn incoming_invite(&mut self, message: Message, origin: &Origin, merged: u128) {
        let full = self.calls.len() >= self.core.config.max_dialogs
            || self.core.table.len() >= self.core.config.max_transactions;
        let retry_after = match self.core.overload {
            Overload::Refuse { retry_after } => Some(retry_after),
            Overload::Accept => full.then_some(self.core.config.retry_after),
        };
        if let Some(seconds) = retry_after {
            self.core.stats.refused += 1;
            return self
                .core
                .reply(&message, origin, 503, None, &[("Retry-After", &seconds.to_string())]);
        }
        let replaces = match self.replaced(&message) {
            Ok(replaces) => replaces,
            Err(status) => return self.core.reply(&message, origin, status, None, &[]),
        };
        let handle = self.core.mint(&self.calls);
        let Some(dialog) = ConfirmedSnapshot::from_invite(&self.core, handle, &message, origin.source, origin.local)
        else {
            return self.core.reply(&message, origin, 400, Some("Missing Contact"), &[]);
        };
        let Some(tx) = self
            .core
            .start_server_invite(&message, origin, Owner::Invite(handle), Some(merged))
        else {
            return;
        };
        self.core.dialogs.insert(dialog.key(&self.core), handle);
        let text = |name| message.value(name).map(|v| v.into_owned());
        let event = IncomingInvite {
            request_uri: message.request_uri().into_owned(),
            from: text(HeaderName::From).unwrap_or_default(),
            to: text(HeaderName::To).unwrap_or_default(),
            call_id: dialog.call_id.clone(),
            asserted_identity: message
                .list(HeaderName::PAssertedIdentity)
                .take(4)
                .map(|v| v.into_owned())
                .collect(),
            privacy: text(HeaderName::Privacy),
            source: origin.source,
            local: origin.local,
            sdp: message.sdp(),
            reliable: reliability(&message),
            replaces,
            snapshot: Box::new(self.as_answered(&dialog, &message)),
            message: message.clone(),
        };
        let incoming = Incoming {
            deal: Deal::new(self.core.mark(&dialog.remote_tag), false, message.sdp().is_some()),
            dialog,
            tx,
            reliable: reliability(&message),
            reliably: None,
            request: message,
            origin: *origin,
        };
        self.calls.insert(handle, Call::Incoming(Box::new(incoming)));
        self.core.event(handle, SipEvent::Incoming(Box::new(event)));
    }

    /// The dialog as our 2xx will make it.
    fn as_answered(&self, dialog: &ConfirmedSnapshot, invite: &Message) -> ConfirmedSnapshot {
        let mut dialog = dialog.clone();
        dialog.extras.session = self.core.agreed_session(invite);
        dialog
    }

    /// §8.2.2.3: an extension that is required and not supported is refused by name. True if refused.
    pub(super) fn refuse_required(&mut self, message: &Message, origin: &Origin) -> bool {
        if matches!(message.method(), Some(Method::Ack | Method::Cancel)) {
            return false;
        }
        let timers = self.core.config.session.enabled;
        let registers = message.method() == Some(Method::Register);
        let supported = |option: &str| match option.to_ascii_lowercase().as_str() {
            "100rel" | "replaces" | "norefersub" => true,
            "timer" => timers,
            // What the registrar behind us understands.
            "path" | "outbound" | "gruu" => registers,
            _ => false,
        };
        let required: Vec<String> = message
            .list(HeaderName::Require)
            .filter(|option| !supported(option))
            .take(16)
            .map(|o| o.into_owned())
            .collect();
        if required.is_empty() {
            return false;
        }
        self.core
            .reply(message, origin, 420, None, &[("Unsupported", &required.join(", "))]);
        true
    }

    /// §11.2: as an INVITE would be answered, with what we can do.
    pub(super) fn reply_options(&mut self, message: &Message, origin: &Origin) {
        self.core
            .reply(message, origin, 200, None, &[("Accept", "application/sdp")]);
    }

    /// 405 for a method that SIP knows, 501 for one that nobody does (§8.2.1, §21.5.2).
    pub(super) fn reply_unsupported(&mut self, message: &Message, origin: &Origin) {
        let status = if message.method() == Some(Method::Other) {
            501
        } else {
            405
        };
        self.core.reply(message, origin, status, None, &[]);
    }

    // ---- our responses ----

    pub(super) fn respond(&mut self, handle: DialogHandle, answer: Answer) {
        if !(101..700).contains(&answer.status) {
            return self.core.refuse(handle, CommandKind::Respond, Refusal::BadArgument);
        }
        let (reliable, held) = match self.calls.get(&handle) {
            Some(Call::Incoming(incoming)) => (
                incoming.reliable,
                incoming.reliably.as_ref().is_some_and(|r| r.has_accepted()),
            ),
            Some(Call::Confirmed(_)) => return self.respond_reinvite(handle, &answer),
            Some(_) => return self.core.refuse(handle, CommandKind::Respond, Refusal::WrongState),
            None => return self.core.refuse(handle, CommandKind::Respond, Refusal::UnknownHandle),
        };
        match answer.status {
            // After a 2xx that waits for a PRACK only a refusal makes sense.
            ..300 if held => self.core.refuse(handle, CommandKind::Respond, Refusal::WrongState),
            ..200 if reliable == Reliable::Required || answer.reliable && reliable == Reliable::Supported => {
                self.respond_reliably(handle, answer);
            }
            200..300 => {
                if let Some(answer) = self.hold_accepted(handle, answer) {
                    self.respond_now(handle, answer);
                }
            }
            _ => self.respond_now(handle, answer),
        }
    }

    fn respond_now(&mut self, handle: DialogHandle, mut answer: Answer) {
        let Some(Call::Incoming(incoming)) = self.calls.get_mut(&handle) else {
            return;
        };
        if incoming.deal.settled && incoming.request.sdp().is_none() {
            // The offer was in a reliable response; a second description would be a second offer (RFC 6337 §2.1).
            answer.sdp = None;
        }
        if answer.status < 300 && answer.sdp.is_some() {
            incoming.dialog.extras.local_sdp = answer.sdp.clone();
        }
        send_answer(
            &mut self.core,
            incoming.tx,
            &incoming.request,
            &incoming.origin,
            &incoming.dialog,
            &answer,
        );
        if answer.status >= 200 {
            self.incoming_decided(handle, answer.status);
        }
    }

    /// The final response to an INVITE has left.
    fn incoming_decided(&mut self, handle: DialogHandle, status: u16) {
        let Some(Call::Incoming(incoming)) = self.calls.remove(&handle) else {
            return;
        };
        let Incoming {
            dialog,
            tx,
            request,
            mut deal,
            reliably,
            ..
        } = *incoming;
        let late_prack = self.drop_reliable(reliably);
        if status >= 300 {
            if let Some(asked) = deal.asked {
                self.core.answer_pending(&asked, 487);
            }
            self.core.dialog_ended(&dialog);
            return self.core.event(
                handle,
                SipEvent::Ended {
                    cause: EndCause::Rejected { status },
                },
            );
        }
        let exchange = Exchange::TheirsToAck {
            tx,
            cseq: request.cseq().map_or(0, |c| c.number),
            offer_in_2xx: request.sdp().is_none() && !deal.settled,
        };
        deal.settle();
        let mut confirmed = Box::new(Confirmed::new(dialog, deal, None, exchange));
        confirmed.late_prack = late_prack;
        let timer = self.core.agreed_session(&request);
        self.core.session_agreed(handle, &mut confirmed, timer);
        self.calls.insert(handle, Call::Confirmed(confirmed));
    }

    // ---- the far side gives up ----

    pub(super) fn cancel_received(&mut self, invite: Option<TxId>, message: &Message, origin: &Origin) {
        let Some(id) = invite else {
            return self.core.reply(message, origin, 481, None, &[]);
        };
        // §9.2: 200 in any case, whether the INVITE can still be stopped or not.
        self.core.reply(message, origin, 200, None, &[]);
        let Some(tx) = self.core.table.get(id) else { return };
        if !matches!(&tx.machine, Machine::ServerInvite(machine) if machine.is_proceeding()) {
            return;
        }
        match tx.owner {
            Owner::Invite(handle) => self.caller_gave_up(handle, message),
            Owner::ReInvite(handle) => self.reinvite_cancelled(handle),
            _ => {}
        }
    }

    fn caller_gave_up(&mut self, handle: DialogHandle, message: &Message) {
        if !matches!(self.calls.get(&handle), Some(Call::Incoming(_))) {
            return;
        }
        let Some(Call::Incoming(incoming)) = self.calls.remove(&handle) else {
            return;
        };
        self.core.dialog_ended(&incoming.dialog);
        self.drop_reliable(incoming.reliably);
        if let Some(asked) = incoming.deal.asked {
            self.core.answer_pending(&asked, 487);
        }
        send_answer(
            &mut self.core,
            incoming.tx,
            &incoming.request,
            &incoming.origin,
            &incoming.dialog,
            &Answer::plain(487),
        );
        self.core.event(
            handle,
            SipEvent::CancelledByPeer {
                reasons: reasons(message),
            },
        );
    }

    /// A request inside the dialog of an INVITE that we have not answered yet.
    pub(super) fn request_incoming(&mut self, handle: DialogHandle, message: Message, origin: &Origin) {
        let mark = self.core.mark(&message.from_tag().unwrap_or_default());
        if self.out_of_order(handle, mark, &message, origin) || self.refuse_required(&message, origin) {
            return;
        }
        match message.method() {
            Some(Method::Prack) => return self.prack_received(handle, message, origin),
            Some(Method::Update) => return self.update_received(handle, message, origin),
            _ => {}
        }
        let message = &message;
        match message.method() {
            // §15.1.2: a caller may end an early dialog by BYE instead of CANCEL.
            Some(Method::Bye) => {
                self.core.reply_kept(message, origin, 200);
                self.caller_gave_up(handle, message);
            }
            // §14.2: a second INVITE before the first is answered.
            Some(Method::Invite) => self.core.reply(message, origin, 500, None, &[("Retry-After", "5")]),
            Some(Method::Options) => self.reply_options(message, origin),
            Some(Method::Info) => self.info_received(handle, message, origin),
            Some(Method::Refer) => self.core.reply(message, origin, 403, None, &[]),
            Some(Method::Notify) => self.core.reply(message, origin, 481, None, &[]),
            _ => self.reply_unsupported(message, origin),
        }
    }
}

impl Answer {
    /// A response without content.
    pub fn plain(status: u16) -> Answer {
        Answer {
            status,
            phrase: None,
            headers: Vec::new(),
            sdp: None,
            reliable: false,
        }
    }
}

/// Composes a response to an INVITE of this dialog and sends it through its transaction.
pub(super) fn send_answer(
    core: &mut Core,
    tx: TxId,
    request: &Message,
    origin: &Origin,
    dialog: &ConfirmedSnapshot,
    answer: &Answer,
) {
    let user = dialog.extras.contact_user.as_deref();
    let phrase = answer.phrase.as_deref();
    let mut writer = core.respond_head(request, origin, answer.status, phrase, &dialog.local_tag, user);
    if (200..300).contains(&answer.status) {
        for (name, value) in session_fields(core.agreed_session(request)) {
            writer.header(name, &value);
        }
    }
    for (name, value) in &answer.headers {
        writer.header(name, value);
    }
    if answer.status == 415 {
        writer.header("Accept", "application/sdp");
    }
    let bytes = writer.finish_sdp(answer.sdp.as_ref());
    core.send_response(tx, answer.status, bytes);
}
