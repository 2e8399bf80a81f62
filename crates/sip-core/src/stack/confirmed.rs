//! Inside a dialog: ACK, re-INVITE of both sides (RFC 3261 §14), INFO, and what else may come (§12.2.2).
//! UPDATE, REFER and the session timer have files of their own.

use super::core::{Core, Origin};
use super::deal::{Deal, parts};
use super::dialog::{Acked, allows_update};
use super::refer::Refers;
use super::reliable::reliability;
use super::session::Judgement;
use super::table::{Machine, TxId};
use super::uac::next_branch;
use super::uas::{Answer, send_answer};
use super::{Call, Owner, Stack};
use crate::api::*;
use crate::headers::{reasons, retry_after};
use crate::message::{HeaderName, Message, Method};
use bytes::Bytes;

/// A dialog in use.
pub(super) struct Confirmed {
    pub dialog: ConfirmedSnapshot,
    pub credentials: Option<Box<Credentials>>,
    pub exchange: Exchange,
    /// A BYE that waits for the ACK to our 2xx (§15).
    pub bye_after_ack: Option<Option<Reason>>,
    pub deal: Deal,
    /// When the session is over unless it is refreshed (RFC 4028).
    pub session_end: Option<Time>,
    pub refers: Option<Box<Refers>>,
    /// RSeq of a reliable response whose PRACK our final response did not wait for.
    pub late_prack: Option<u32>,
}

impl Confirmed {
    pub fn new(
        dialog: ConfirmedSnapshot,
        deal: Deal,
        credentials: Option<Box<Credentials>>,
        exchange: Exchange,
    ) -> Confirmed {
        Confirmed {
            dialog,
            credentials,
            exchange,
            bye_after_ack: None,
            deal,
            session_end: None,
            refers: None,
            late_prack: None,
        }
    }
}

/// The one INVITE that may be under way inside a dialog (§14.1).
pub(super) enum Exchange {
    Idle,
    /// Our re-INVITE has no final response.
    Ours {
        tx: TxId,
        /// Nothing asks the far side for an offer.
        offer: Option<Bytes>,
        retried: bool,
        /// It keeps the session alive, and the application knows nothing of it.
        refresh: bool,
    },
    /// Our INVITE or re-INVITE was answered, and the application has not given the ACK yet.
    OursToAck {
        tx: TxId,
    },
    /// Their re-INVITE waits for the application's response.
    Theirs {
        tx: TxId,
        request: Box<Message>,
        origin: Origin,
    },
    /// Our 2xx waits for its ACK.
    TheirsToAck {
        tx: TxId,
        cseq: u32,
        offer_in_2xx: bool,
    },
}

impl Stack {
    pub(super) fn confirmed(&mut self, handle: DialogHandle) -> Option<&mut Confirmed> {
        match self.calls.get_mut(&handle) {
            Some(Call::Confirmed(confirmed)) => Some(confirmed),
            _ => None,
        }
    }

    /// The reason why a command that needs a confirmed dialog cannot be obeyed.
    pub(super) fn why_not_confirmed(&self, handle: DialogHandle) -> Refusal {
        if self.calls.contains_key(&handle) {
            Refusal::WrongState
        } else {
            Refusal::UnknownHandle
        }
    }

    pub(super) fn import_confirmed(&mut self, mut dialog: ConfirmedSnapshot, credentials: Option<Credentials>) {
        let handle = dialog.handle;
        if self.calls.contains_key(&handle) {
            return self.core.refuse(handle, CommandKind::Import, Refusal::DuplicateHandle);
        }
        if self.core.interface(dialog.peer.transport, Some(dialog.local)).is_none() {
            return self.core.refuse(handle, CommandKind::Import, Refusal::BadArgument);
        }
        dialog.local_seq = dialog
            .local_seq
            .saturating_add(ConfirmedSnapshot::CSEQ_MARGIN)
            .min((1 << 31) - 1_000_000);
        self.core.dialogs.insert(dialog.key(&self.core), handle);
        let credentials = credentials.map(Box::new);
        let mut deal = Deal::new(self.core.mark(&dialog.remote_tag), false, false);
        deal.settle();
        let confirmed = Confirmed::new(dialog, deal, credentials, Exchange::Idle);
        self.calls.insert(handle, Call::Confirmed(Box::new(confirmed)));
        self.session_imported(handle);
    }

    // ---- requests from the far side ----

    pub(super) fn request_confirmed(&mut self, handle: DialogHandle, message: Message, origin: &Origin) {
        let mark = self.core.mark(&message.from_tag().unwrap_or_default());
        if self.out_of_order(handle, mark, &message, origin) || self.refuse_required(&message, origin) {
            return;
        }
        match message.method() {
            Some(Method::Bye) => self.bye_received(handle, &message, origin),
            Some(Method::Invite) => self.reinvite_received(handle, message, origin),
            Some(Method::Update) => self.update_received(handle, message, origin),
            Some(Method::Prack) => self.prack_received(handle, message, origin),
            Some(Method::Refer) => self.refer_received(handle, message, origin),
            Some(Method::Notify) => self.notify_received(handle, &message, origin),
            Some(Method::Info) => self.info_received(handle, &message, origin),
            Some(Method::Options) => self.reply_options(&message, origin),
            _ => self.reply_unsupported(&message, origin),
        }
    }

    /// §12.2.2: numbers grow. An equal one is no repetition, since no transaction knew it. PRACK is exempt: a request
    /// behind it may overtake it, and what it does is told by its RAck. True if the request has been refused.
    pub(super) fn out_of_order(&mut self, handle: DialogHandle, mark: u32, message: &Message, origin: &Origin) -> bool {
        let number = message.cseq().map_or(0, |c| c.number);
        let Some(parts) = parts(&mut self.calls, handle, Some(mark)) else {
            self.core.reply(message, origin, 481, None, &[]);
            return true;
        };
        if parts.dialog.remote_seq.is_none_or(|last| number > last) {
            parts.dialog.remote_seq = Some(number);
            return false;
        }
        if message.method() == Some(Method::Prack) {
            return false;
        }
        let extra = [("Retry-After", "0")];
        self.core.reply(message, origin, 500, Some("CSeq Out Of Order"), &extra);
        true
    }

    pub(super) fn info_received(&mut self, handle: DialogHandle, message: &Message, origin: &Origin) {
        self.core.reply_kept(message, origin, 200);
        let kind = message.value(HeaderName::ContentType).unwrap_or_default();
        let content_type = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        self.core.event(
            handle,
            SipEvent::InfoReceived {
                content_type,
                body: message.body(),
            },
        );
    }

    fn reinvite_received(&mut self, handle: DialogHandle, message: Message, origin: &Origin) {
        let Some(confirmed) = self.confirmed(handle) else {
            return;
        };
        match confirmed.exchange {
            Exchange::Idle => {}
            // §14.2: glare.
            Exchange::Ours { .. } | Exchange::OursToAck { .. } => {
                return self.core.reply(&message, origin, 491, None, &[]);
            }
            Exchange::Theirs { .. } => return self.core.reply(&message, origin, 500, None, &[("Retry-After", "5")]),
            // RFC 5407 §3.1.4: the ACK was lost or overtaken. Without an answer in it nothing is missing and the new
            // INVITE proves that the 2xx arrived; with an answer outstanding the far side has to try again.
            Exchange::TheirsToAck { offer_in_2xx: true, .. } => {
                return self.core.reply(&message, origin, 491, None, &[]);
            }
            Exchange::TheirsToAck { tx, .. } => {
                self.acknowledged(handle, tx, None);
                if !matches!(self.calls.get(&handle), Some(Call::Confirmed(_))) {
                    return self.core.reply(&message, origin, 481, None, &[]);
                }
            }
        }
        let Some(confirmed) = self.confirmed(handle) else {
            return;
        };
        let glare = match &confirmed.deal {
            deal if deal.update.as_ref().is_some_and(|u| u.offer.is_some()) => Some(491),
            deal if deal.asked.is_some() => Some(500),
            _ => None,
        };
        if let Some(status) = glare {
            return self.reply_glare(&message, origin, status);
        }
        if matches!(self.core.judge_session(&message), Judgement::TooSmall) {
            return self.core.reply_interval_too_small(&message, origin);
        }
        if self.core.table.len() >= self.core.config.max_transactions {
            return self.core.reply(&message, origin, 503, None, &[("Retry-After", "5")]);
        }
        let Some(tx) = self
            .core
            .start_server_invite(&message, origin, Owner::ReInvite(handle), None)
        else {
            return;
        };
        let sdp = message.sdp();
        let Some(confirmed) = self.confirmed(handle) else {
            return;
        };
        // §12.2.2: a target refresh.
        if let Some(target) = super::dialog::contact_uri(&message) {
            confirmed.dialog.remote_target = target;
        }
        // A NAT may have given the peer another address since the dialog began; the tags prove that it is the peer.
        confirmed.dialog.peer = origin.source;
        confirmed.dialog.extras.peer_updates |= allows_update(&message);
        confirmed.exchange = Exchange::Theirs {
            tx,
            request: Box::new(message),
            origin: *origin,
        };
        self.core.event(handle, SipEvent::ReInviteReceived { sdp });
    }

    pub(super) fn respond_reinvite(&mut self, handle: DialogHandle, answer: &Answer) {
        let Some(Call::Confirmed(confirmed)) = self.calls.get_mut(&handle) else {
            return;
        };
        let Exchange::Theirs { tx, request, origin } = &confirmed.exchange else {
            return self.core.refuse(handle, CommandKind::Respond, Refusal::WrongState);
        };
        if answer.status < 200 && reliability(request) == Reliable::Required {
            // A provisional response may not go unreliably then, and inside a dialog it tells nothing worth a PRACK.
            return;
        }
        let (tx, offer_in_2xx) = (*tx, request.sdp().is_none());
        let cseq = request.cseq().map_or(0, |c| c.number);
        let timer = self.core.agreed_session(request);
        send_answer(&mut self.core, tx, request, origin, &confirmed.dialog, answer);
        confirmed.exchange = match answer.status {
            ..200 => return,
            200..300 => {
                if answer.sdp.is_some() {
                    confirmed.dialog.extras.local_sdp = answer.sdp.clone();
                }
                self.core.session_agreed(handle, confirmed, timer);
                Exchange::TheirsToAck { tx, cseq, offer_in_2xx }
            }
            300.. => Exchange::Idle,
        };
    }

    pub(super) fn reinvite_cancelled(&mut self, handle: DialogHandle) {
        if !matches!(
            self.confirmed(handle).map(|c| &c.exchange),
            Some(Exchange::Theirs { .. })
        ) {
            return;
        }
        self.respond_reinvite(handle, &Answer::plain(487));
        self.core.event(handle, SipEvent::ReInviteCancelled);
    }

    /// ACK to a 2xx: it has a branch of its own and is found by its dialog and CSeq (§13.3.1.4).
    pub(super) fn ack_received(&mut self, message: &Message) {
        let key = self.core.dialog_key(
            &message.call_id(),
            &message.to_tag().unwrap_or_default(),
            &message.from_tag().unwrap_or_default(),
        );
        let number = message.cseq().map(|c| c.number);
        let handle = self.core.dialogs.get(&key).copied();
        let expected = handle.and_then(|handle| match self.confirmed(handle)?.exchange {
            Exchange::TheirsToAck { tx, cseq, .. } if Some(cseq) == number => Some((handle, tx)),
            _ => None,
        });
        match expected {
            Some((handle, tx)) => self.acknowledged(handle, tx, message.sdp()),
            None => self.core.stats.absorbed += 1,
        }
    }

    fn acknowledged(&mut self, handle: DialogHandle, id: TxId, sdp: Option<Bytes>) {
        if let Some(tx) = self.core.table.get_mut(id) {
            if let Machine::ServerInvite(machine) = &mut tx.machine {
                machine.ack_2xx();
            }
            // Nothing is repeated from here on: repeated INVITEs are absorbed.
            tx.message = Bytes::new();
        }
        let Some(confirmed) = self.confirmed(handle) else {
            return;
        };
        confirmed.exchange = Exchange::Idle;
        let bye = confirmed.bye_after_ack.take();
        self.core.event(handle, SipEvent::AckReceived { sdp });
        if let Some(reason) = bye {
            self.bye(handle, reason, CommandKind::Bye);
        }
    }

    // ---- requests of ours ----

    pub(super) fn ack(&mut self, handle: DialogHandle, sdp: Option<Bytes>) {
        let Some(confirmed) = self.confirmed(handle) else {
            let why = self.why_not_confirmed(handle);
            return self.core.refuse(handle, CommandKind::Ack, why);
        };
        let Exchange::OursToAck { tx } = confirmed.exchange else {
            return self.core.refuse(handle, CommandKind::Ack, Refusal::WrongState);
        };
        confirmed.exchange = Exchange::Idle;
        if sdp.is_some() {
            confirmed.dialog.extras.local_sdp = sdp.clone();
        }
        let dialog = confirmed.dialog.clone();
        self.send_ack_of(tx, &dialog, sdp.as_ref());
    }

    /// Sends the ACK to the 2xx of the INVITE in `tx`, if the transaction is still there.
    pub(super) fn send_ack_of(&mut self, tx: TxId, dialog: &ConfirmedSnapshot, sdp: Option<&Bytes>) {
        let tag = self.ack_tag(&dialog.remote_tag);
        let Some(found) = self.core.table.get(tx) else { return };
        let expected = found.acks.iter().find(|ack| ack.tag == tag);
        if let Some(cseq) = expected.and_then(|ack| ack.plain) {
            self.send_ack(tx, dialog, &Acked::Plain { cseq }, sdp);
        } else if let Ok(invite) = Message::read_back(found.message.clone()) {
            self.send_ack(tx, dialog, &Acked::Whole(&invite), sdp);
        }
    }

    pub(super) fn reinvite(&mut self, handle: DialogHandle, sdp: Option<Bytes>) {
        let Some(Call::Confirmed(confirmed)) = self.calls.get_mut(&handle) else {
            let why = self.why_not_confirmed(handle);
            return self.core.refuse(handle, CommandKind::ReInvite, why);
        };
        let busy = confirmed.deal.update.is_some() || confirmed.deal.asked.is_some();
        if busy || !matches!(confirmed.exchange, Exchange::Idle) {
            // §14.1 forbids a second one; the application hears what the far side would say.
            let retry_in = Some(self.core.glare_wait(&confirmed.dialog));
            return self
                .core
                .event(handle, SipEvent::ReInviteFailed { status: 491, retry_in });
        }
        self.send_reinvite(handle, sdp, false);
    }

    pub(super) fn send_reinvite(&mut self, handle: DialogHandle, sdp: Option<Bytes>, refresh: bool) {
        let Some(Call::Confirmed(confirmed)) = self.calls.get_mut(&handle) else {
            return;
        };
        confirmed.dialog.local_seq += 1;
        let mut draft = confirmed
            .dialog
            .draft(&self.core, Method::Invite, confirmed.dialog.local_seq, "");
        if confirmed.dialog.extras.session.is_some() {
            self.core
                .session_request(&mut draft.writer, confirmed.dialog.extras.session);
        }
        let bytes = draft.writer.finish_sdp(sdp.as_ref());
        let tx = self.core.start_client(
            Method::Invite,
            &draft.branch,
            draft.target,
            draft.local,
            bytes,
            Owner::ReInvite(handle),
        );
        confirmed.exchange = Exchange::Ours {
            tx,
            offer: sdp,
            retried: false,
            refresh,
        };
    }

    pub(super) fn reinvite_response(&mut self, id: TxId, handle: DialogHandle, message: &Message, status: u16) {
        let ours = match self.confirmed(handle).map(|c| &c.exchange) {
            Some(Exchange::Ours {
                tx, retried, refresh, ..
            }) if *tx == id => Some((*retried, *refresh)),
            _ => None,
        };
        match (status, ours) {
            (..200, _) => {}
            (200..300, _) if self.acknowledge_again(id, message) => {}
            (200..300, Some(_)) => self.reinvite_answered(id, handle, message),
            // The dialog is being closed: the 2xx still wants its ACK, the BYE is on its way.
            (200..300, None) => {
                if let Some(Call::Closing(closing)) = self.calls.get(&handle) {
                    let dialog = closing.dialog.clone();
                    self.send_ack_of(id, &dialog, None);
                }
            }
            (_, None) => {}
            (401 | 407, Some((false, _))) if self.retry_reinvite(id, handle, message) => {}
            // §12.2.1.2: the far side has lost the dialog.
            (408 | 481, Some(_)) => self.reinvite_lost(id, handle, status),
            (_, Some((_, refresh))) => {
                let Some(Call::Confirmed(confirmed)) = self.calls.get_mut(&handle) else {
                    return;
                };
                confirmed.exchange = Exchange::Idle;
                let retry_in = match status {
                    491 => Some(self.core.glare_wait(&confirmed.dialog)),
                    _ => retry_after(message).map(|seconds| u64::from(seconds) * 1_000_000),
                };
                if status == 422 {
                    self.raise_interval(handle, message);
                }
                if refresh {
                    return self.refresh_refused(handle, status, retry_in);
                }
                self.core.event(handle, SipEvent::ReInviteFailed { status, retry_in });
            }
        }
    }

    fn reinvite_answered(&mut self, id: TxId, handle: DialogHandle, message: &Message) {
        let Some(Call::Confirmed(confirmed)) = self.calls.get_mut(&handle) else {
            return;
        };
        if let Some(target) = super::dialog::contact_uri(message) {
            confirmed.dialog.remote_target = target;
        }
        let Exchange::Ours { offer, refresh, .. } = std::mem::replace(&mut confirmed.exchange, Exchange::Idle) else {
            return;
        };
        let ack_needed = offer.is_none();
        if ack_needed {
            confirmed.exchange = Exchange::OursToAck { tx: id };
        } else {
            confirmed.dialog.extras.local_sdp = offer;
        }
        if confirmed.dialog.extras.session.is_some() {
            self.core.session_answered(handle, confirmed, message);
        }
        let dialog = confirmed.dialog.clone();
        if ack_needed {
            self.expect_ack(id, &dialog, None);
        } else {
            self.send_ack_of(id, &dialog, None);
        }
        let sdp = message.sdp();
        let event = if refresh {
            SipEvent::SessionRefreshed { sdp }
        } else {
            SipEvent::ReInviteAnswered { sdp, ack_needed }
        };
        self.core.event(handle, event);
    }

    fn retry_reinvite(&mut self, id: TxId, handle: DialogHandle, message: &Message) -> bool {
        let Some(again) = self.reissue_in_dialog(id, handle, None, message, Owner::ReInvite(handle)) else {
            return false;
        };
        if let Some(Exchange::Ours { tx, retried, .. }) = self.confirmed(handle).map(|c| &mut c.exchange) {
            (*tx, *retried) = (again, true);
        }
        true
    }

    /// Repeats a request of a dialog with an answer to the challenge.
    pub(super) fn reissue_in_dialog(
        &mut self,
        id: TxId,
        handle: DialogHandle,
        mark: Option<u32>,
        response: &Message,
        owner: Owner,
    ) -> Option<TxId> {
        let (dialog, credentials) = match self.calls.get_mut(&handle)? {
            Call::Confirmed(confirmed) => (&mut confirmed.dialog, confirmed.credentials.as_deref()),
            Call::Closing(closing) => (&mut closing.dialog, closing.credentials.as_deref()),
            Call::Inviting(inviting) => {
                let early = inviting.early.iter_mut().find(|e| Some(e.deal.mark) == mark)?;
                (&mut early.dialog, inviting.credentials.as_deref())
            }
            _ => return None,
        };
        let tx = self.core.table.get(id)?;
        let old = Message::read_back(tx.message.clone()).ok()?;
        let (target, local) = tx
            .fallback
            .as_ref()
            .map_or((tx.target, tx.local), |f| (f.target, f.local));
        let method = old.method()?;
        let cseq = dialog.local_seq + 1;
        let branch = next_branch(&old, cseq);
        let via = self.core.via_value(target, local, &branch);
        let bytes = self.core.reissue(&old, response, credentials?, cseq, &via)?;
        dialog.local_seq = cseq;
        Some(self.core.start_client(method, &branch, target, local, bytes, owner))
    }

    /// 408, 481 or nothing at all to our re-INVITE: the session is over (§12.2.1.2).
    pub(super) fn reinvite_lost(&mut self, id: TxId, handle: DialogHandle, status: u16) {
        let refresh = match self.confirmed(handle).map(|c| &c.exchange) {
            Some(Exchange::Ours { tx, refresh, .. }) if *tx == id => *refresh,
            _ => return,
        };
        if !refresh {
            self.core
                .event(handle, SipEvent::ReInviteFailed { status, retry_in: None });
        }
        self.close(handle, None, EndCause::PeerLost);
    }

    pub(super) fn info(&mut self, handle: DialogHandle, content_type: &str, body: &Bytes) {
        let Some(Call::Confirmed(confirmed)) = self.calls.get_mut(&handle) else {
            let why = self.why_not_confirmed(handle);
            return self.core.refuse(handle, CommandKind::Info, why);
        };
        confirmed.dialog.local_seq += 1;
        let draft = confirmed
            .dialog
            .draft(&self.core, Method::Info, confirmed.dialog.local_seq, "");
        let bytes = draft.writer.finish_with(content_type, body);
        let owner = Owner::Info { handle, retried: false };
        self.core
            .start_client(Method::Info, &draft.branch, draft.target, draft.local, bytes, owner);
    }

    pub(super) fn info_response(
        &mut self,
        id: TxId,
        handle: DialogHandle,
        retried: bool,
        message: &Message,
        status: u16,
    ) {
        if self.confirmed(handle).is_none() {
            return;
        }
        let owner = Owner::Info { handle, retried: true };
        if matches!(status, 401 | 407) && !retried && self.reissue_in_dialog(id, handle, None, message, owner).is_some()
        {
            return;
        }
        self.core.event(handle, SipEvent::InfoResult { status: Some(status) });
        if status == 481 {
            self.close(handle, None, EndCause::PeerLost);
        }
    }

    fn bye_received(&mut self, handle: DialogHandle, message: &Message, origin: &Origin) {
        self.core.reply_kept(message, origin, 200);
        // §15.1.2: what is still pending is answered before the dialog is forgotten.
        if matches!(
            self.confirmed(handle).map(|c| &c.exchange),
            Some(Exchange::Theirs { .. })
        ) {
            self.respond_reinvite(handle, &Answer::plain(487));
        }
        let Some(Call::Confirmed(mut confirmed)) = self.calls.remove(&handle) else {
            return;
        };
        self.core.settle(&mut confirmed);
        self.core.dialog_ended(&confirmed.dialog);
        self.core.event(
            handle,
            SipEvent::ByeReceived {
                reasons: reasons(message),
            },
        );
    }
}

impl Core {
    /// The dialog ends: a 2xx is repeated no more, and what the application has not answered is (§15.1.2).
    pub(super) fn settle(&mut self, confirmed: &mut Confirmed) {
        if let Exchange::TheirsToAck { tx, .. } = confirmed.exchange
            && let Some(Machine::ServerInvite(machine)) = self.table.get_mut(tx).map(|tx| &mut tx.machine)
        {
            machine.ack_2xx();
        }
        if let Some(asked) = confirmed.deal.asked.take() {
            self.answer_pending(&asked, 487);
        }
        for pending in confirmed.refers.iter_mut().flat_map(|r| r.take_pending()) {
            self.answer_pending(&pending, 487);
        }
    }
}
