//! UPDATE of both sides, early and confirmed (RFC 3311).

use super::core::{Origin, Pending};
use super::deal::{OurUpdate, parts};
use super::dialog::{allows_update, contact_uri};
use super::session::{Judgement, session_fields};
use super::table::TxId;
use super::{Call, Owner, Stack};
use crate::api::*;
use crate::headers::retry_after;
use crate::message::{Message, Method};
use bytes::Bytes;

impl Stack {
    pub(super) fn update(&mut self, handle: DialogHandle, tag: Option<&str>, sdp: Option<Bytes>) {
        let mark = tag.map(|tag| self.core.mark(tag));
        let why = self.why_not_confirmed(handle);
        let Some(parts) = parts(&mut self.calls, handle, mark) else {
            return self.core.refuse(handle, CommandKind::Update, why);
        };
        // An UPDATE that only refreshes needs a dialog that the far side knows, which an early one of theirs is.
        if !parts.may_update(sdp.is_some()) {
            let retry_in = Some(self.core.glare_wait(parts.dialog));
            let tag = parts.dialog.remote_tag.clone();
            let event = SipEvent::UpdateFailed {
                tag,
                status: 491,
                retry_in,
            };
            return self.core.event(handle, event);
        }
        self.send_update(handle, mark, sdp, false);
    }

    pub(super) fn send_update(&mut self, handle: DialogHandle, mark: Option<u32>, sdp: Option<Bytes>, refresh: bool) {
        let Some(parts) = parts(&mut self.calls, handle, mark) else {
            return;
        };
        parts.dialog.local_seq += 1;
        let mut draft = parts
            .dialog
            .draft(&self.core, Method::Update, parts.dialog.local_seq, "");
        if !parts.early && parts.dialog.extras.session.is_some() {
            self.core
                .session_request(&mut draft.writer, parts.dialog.extras.session);
        }
        let bytes = draft.writer.finish_sdp(sdp.as_ref());
        let owner = Owner::Update {
            handle,
            mark: parts.deal.mark,
            retried: false,
        };
        let tx = self
            .core
            .start_client(Method::Update, &draft.branch, draft.target, draft.local, bytes, owner);
        parts.deal.update = Some(OurUpdate {
            tx,
            offer: sdp,
            refresh,
        });
    }

    pub(super) fn update_response(&mut self, id: TxId, owner: Owner, message: &Message, status: u16) {
        let Owner::Update { handle, mark, retried } = owner else {
            return;
        };
        if matches!(status, 401 | 407) && !retried {
            let again = Owner::Update {
                handle,
                mark,
                retried: true,
            };
            if let Some(tx) = self.reissue_in_dialog(id, handle, Some(mark), message, again) {
                if let Some(update) = parts(&mut self.calls, handle, Some(mark)).and_then(|p| p.deal.update.as_mut()) {
                    update.tx = tx;
                }
                return;
            }
        }
        let Some((update, tag)) = self.take_update(id, handle, mark) else {
            return;
        };
        match status {
            200..300 => self.update_answered(handle, mark, update, message),
            408 | 481 => self.update_failed(handle, &tag, status, update.refresh),
            _ => {
                let retry_in = match status {
                    491 => parts(&mut self.calls, handle, Some(mark)).map(|p| self.core.glare_wait(p.dialog)),
                    _ => retry_after(message).map(|seconds| u64::from(seconds) * 1_000_000),
                };
                if status == 422 {
                    self.raise_interval(handle, message);
                }
                if update.refresh {
                    return self.refresh_refused(handle, status, retry_in);
                }
                self.core
                    .event(handle, SipEvent::UpdateFailed { tag, status, retry_in });
            }
        }
    }

    fn take_update(&mut self, id: TxId, handle: DialogHandle, mark: u32) -> Option<(OurUpdate, String)> {
        let parts = parts(&mut self.calls, handle, Some(mark))?;
        let update = parts.deal.update.take_if(|update| update.tx == id)?;
        Some((update, parts.dialog.remote_tag.clone()))
    }

    fn update_answered(&mut self, handle: DialogHandle, mark: u32, update: OurUpdate, message: &Message) {
        let Some(parts) = parts(&mut self.calls, handle, Some(mark)) else {
            return;
        };
        if let Some(target) = contact_uri(message) {
            parts.dialog.remote_target = target;
        }
        if update.offer.is_some() {
            parts.dialog.extras.local_sdp = update.offer;
        }
        let tag = parts.dialog.remote_tag.clone();
        if let Some(Call::Confirmed(confirmed)) = self.calls.get_mut(&handle)
            && confirmed.dialog.extras.session.is_some()
        {
            self.core.session_answered(handle, confirmed, message);
        }
        let sdp = message.sdp();
        let event = if update.refresh {
            SipEvent::SessionRefreshed { sdp }
        } else {
            SipEvent::UpdateAnswered { tag, sdp }
        };
        self.core.event(handle, event);
    }

    /// No answer, or one that says that the dialog is gone (RFC 3311 §5.1): a confirmed one ends.
    pub(super) fn update_lost(&mut self, id: TxId, handle: DialogHandle, mark: u32) {
        if let Some((update, tag)) = self.take_update(id, handle, mark) {
            self.update_failed(handle, &tag, 408, update.refresh);
        }
    }

    fn update_failed(&mut self, handle: DialogHandle, tag: &str, status: u16, refresh: bool) {
        if !refresh {
            let event = SipEvent::UpdateFailed {
                tag: tag.to_owned(),
                status,
                retry_in: None,
            };
            self.core.event(handle, event);
        }
        if self.confirmed(handle).is_some() {
            self.close(handle, None, EndCause::PeerLost);
        }
    }

    // ---- of the far side ----

    pub(super) fn update_received(&mut self, handle: DialogHandle, message: Message, origin: &Origin) {
        let mark = self.core.mark(&message.from_tag().unwrap_or_default());
        let Some(parts) = parts(&mut self.calls, handle, Some(mark)) else {
            return self.core.reply(&message, origin, 481, None, &[]);
        };
        let sdp = message.sdp();
        if sdp.is_some()
            && let Some(status) = parts.glare()
        {
            return self.reply_glare(&message, origin, status);
        }
        let confirmed = !parts.early;
        let timer = match self.core.judge_session(&message) {
            Judgement::TooSmall if confirmed => return self.core.reply_interval_too_small(&message, origin),
            Judgement::TooSmall => None,
            Judgement::Agreed(timer) => timer.filter(|_| confirmed),
        };
        // A target refresh; a NAT may have given the peer another address, too.
        if let Some(target) = contact_uri(&message) {
            parts.dialog.remote_target = target;
        }
        parts.dialog.peer = origin.source;
        parts.dialog.extras.peer_updates |= allows_update(&message);
        let tag = parts.dialog.remote_tag.clone();
        let Some(sdp) = sdp else {
            let user = parts.dialog.extras.contact_user.clone();
            let fields = session_fields(timer);
            let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
            self.core
                .reply_kept_with(&message, origin, 200, &fields, user.as_deref());
            if self.session_confirmed(handle, timer) {
                self.core.event(handle, SipEvent::SessionRefreshed { sdp: None });
            }
            return;
        };
        let owner = Owner::Asked { handle, mark };
        let Some(pending) = self.core.start_server_other(message, origin, owner) else {
            return;
        };
        self.ask(handle, mark, pending);
        self.core.event(handle, SipEvent::UpdateReceived { tag, sdp });
    }

    /// Our 2xx to a request that refreshes the session has left. True if there is a session timer.
    pub(super) fn session_confirmed(&mut self, handle: DialogHandle, timer: Option<SessionTimer>) -> bool {
        match self.calls.get_mut(&handle) {
            Some(Call::Confirmed(confirmed)) => self.core.session_agreed(handle, confirmed, timer),
            _ => return false,
        }
        timer.is_some()
    }

    /// 491, or 500 with a Retry-After between 0 and 10 s (RFC 3261 §14.2).
    pub(super) fn reply_glare(&mut self, message: &Message, origin: &Origin, status: u16) {
        if status == 491 {
            return self.core.reply(message, origin, 491, None, &[]);
        }
        let draw = self.core.hash("retry").field(message.call_id().as_bytes());
        let seconds = (draw.finish() as u64 % 11).to_string();
        self.core
            .reply(message, origin, 500, None, &[("Retry-After", &seconds)]);
    }

    /// Notes that the application is to answer a request with an offer.
    pub(super) fn ask(&mut self, handle: DialogHandle, mark: u32, pending: Pending) {
        if let Some(parts) = parts(&mut self.calls, handle, Some(mark)) {
            parts.deal.asked = Some(Box::new(pending));
        }
    }

    pub(super) fn respond_update(&mut self, handle: DialogHandle, tag: Option<&str>, status: u16, sdp: Option<Bytes>) {
        self.respond_asked(handle, tag, (Method::Update, CommandKind::RespondUpdate), status, sdp);
    }

    /// The application's answer to an UPDATE or a PRACK.
    pub(super) fn respond_asked(
        &mut self,
        handle: DialogHandle,
        tag: Option<&str>,
        (method, command): (Method, CommandKind),
        status: u16,
        sdp: Option<Bytes>,
    ) {
        let why = self.why_not_confirmed(handle);
        let mark = match tag {
            Some(tag) => Some(self.core.mark(tag)),
            None => self.waiting_mark(handle),
        };
        let Some(parts) = parts(&mut self.calls, handle, mark) else {
            return self.core.refuse(handle, command, why);
        };
        if !(200..700).contains(&status) {
            return self.core.refuse(handle, command, Refusal::BadArgument);
        }
        let Some(pending) = parts
            .deal
            .asked
            .take_if(|pending| pending.request.method() == Some(method))
        else {
            return self.core.refuse(handle, command, Refusal::WrongState);
        };
        let accepted = status < 300;
        let timer = self
            .core
            .agreed_session(&pending.request)
            .filter(|_| accepted && method == Method::Update && !parts.early);
        let mut writer = self.core.respond_head(
            &pending.request,
            &pending.origin,
            status,
            None,
            &parts.dialog.local_tag,
            parts.dialog.extras.contact_user.as_deref(),
        );
        for (name, value) in session_fields(timer) {
            writer.header(name, &value);
        }
        if accepted {
            parts.dialog.extras.local_sdp = sdp.clone();
        }
        let early = parts.early;
        let bytes = writer.finish_sdp(sdp.as_ref());
        self.core.send_response(pending.tx, status, bytes);
        if accepted && method == Method::Update && !early {
            self.session_confirmed(handle, timer);
        }
    }

    /// The early dialog in which a request waits for the application.
    fn waiting_mark(&self, handle: DialogHandle) -> Option<u32> {
        match self.calls.get(&handle) {
            Some(Call::Inviting(inviting)) => inviting
                .early
                .iter()
                .find(|e| e.deal.asked.is_some())
                .map(|e| e.deal.mark),
            _ => None,
        }
    }

    /// The application has not answered in time (RFC 3311 §5.2).
    pub(super) fn asked_expired(&mut self, id: TxId, handle: DialogHandle, mark: u32) {
        let pending = parts(&mut self.calls, handle, Some(mark))
            .and_then(|parts| parts.deal.asked.take_if(|pending| pending.tx == id));
        if let Some(pending) = pending {
            self.core.answer_pending(&pending, 504);
        }
    }
}
