//! Calls that we start: INVITE up to its final response (RFC 3261 §13.2), and CANCEL (§9.1).

use super::confirmed::{Confirmed, Exchange};
use super::core::Core;
use super::deal::Deal;
use super::dialog::{Acked, number};
use super::early::Early;
use super::table::{Machine, SentAck, Tx, TxId};
use super::{Call, Owner, Stack};
use crate::api::*;
use crate::headers::{contacts_by_preference, reasons, retry_after};
use crate::message::{HeaderName, Message, Method};
use crate::transaction::ClientInvite;
use crate::uri::Uri;
use crate::write::{Writer, party_value};
use bytes::Bytes;
use std::net::SocketAddr;

/// Most early dialogs of one INVITE that are told apart.
pub(super) const MAX_EARLY: usize = 16;

/// An INVITE of ours without a final response.
pub(super) struct Inviting {
    pub call_id: String,
    pub local_tag: String,
    /// The transaction; two after an import, because it is not known whether a challenge was answered.
    txs: [Option<TxId>; 2],
    cseq: u32,
    pub credentials: Option<Box<Credentials>>,
    challenged: bool,
    /// A longer session interval has been offered after a 422.
    lengthened: bool,
    /// What we offered; nothing asks the far side for an offer.
    pub offer: Option<Bytes>,
    pub contact_user: Option<String>,
    ack: AckMode,
    pub early: Vec<Early>,
    intent: Intent,
    trying_reported: bool,
    started: Time,
    /// Another process began it: how many requests left in its early dialogs is not known.
    imported: bool,
}

/// What the application wants of the call.
enum Intent {
    /// It to be answered.
    Live,
    /// It to end. CANCEL leaves with the first provisional response.
    Cancel {
        reason: Option<Reason>,
        sent: bool,
        abandoned: bool,
    },
}

impl Intent {
    fn end(&self, status: Option<u16>) -> Option<EndCause> {
        match self {
            Intent::Live => None,
            Intent::Cancel { abandoned: true, .. } => Some(EndCause::Abandoned { status }),
            Intent::Cancel { abandoned: false, .. } => Some(EndCause::Cancelled { status }),
        }
    }
}

impl Stack {
    pub(super) fn invite(&mut self, invite: Invite) {
        let handle = invite.handle;
        if self.calls.contains_key(&handle) || handle.is_incoming() {
            return self.core.refuse(handle, CommandKind::Invite, Refusal::DuplicateHandle);
        }
        let writable = Uri::parse(&invite.request_uri).is_ok()
            && Uri::parse(&invite.to.uri).is_ok()
            && Uri::parse(&invite.from.uri).is_ok()
            && !invite.local_tag.is_empty()
            && !invite.call_id.is_empty();
        let transport = invite.destination.transport;
        let room = self.calls.len() < self.core.config.max_dialogs
            && self.core.table.len() < self.core.config.max_transactions;
        let local = match self.core.interface(transport, invite.local) {
            Some(interface) if writable && room => interface.local,
            _ => {
                let failure = Failure {
                    kind: FailureKind::Refused,
                    status: 503,
                    phrase: if !writable {
                        "Bad address"
                    } else if room {
                        "No interface"
                    } else {
                        "At capacity"
                    }
                    .into(),
                    reasons: Vec::new(),
                    contacts: Vec::new(),
                    retry_after: None,
                    after: 0,
                };
                return self.core.event(handle, SipEvent::Failed(Box::new(failure)));
            }
        };
        let (bytes, branch) = self.compose_invite(&invite, local);
        let tx = self.core.start_client(
            Method::Invite,
            &branch,
            invite.destination,
            local,
            bytes,
            Owner::Invite(handle),
        );
        let inviting = Inviting {
            call_id: invite.call_id,
            local_tag: invite.local_tag,
            txs: [Some(tx), None],
            cseq: 1,
            credentials: invite.credentials.map(Box::new),
            challenged: false,
            lengthened: false,
            offer: invite.sdp,
            contact_user: invite.contact_user,
            ack: invite.ack,
            early: Vec::new(),
            intent: Intent::Live,
            trying_reported: false,
            started: self.core.now,
            imported: false,
        };
        self.await_dialog(handle, &inviting);
        self.calls.insert(handle, Call::Inviting(Box::new(inviting)));
    }

    /// A request of the far side may arrive before the response that makes its dialog: it is found without their tag.
    fn await_dialog(&mut self, handle: DialogHandle, inviting: &Inviting) {
        let bare = self.core.dialog_key(&inviting.call_id, &inviting.local_tag, "");
        self.core.dialogs.insert(bare, handle);
    }

    fn compose_invite(&self, invite: &Invite, local: SocketAddr) -> (Bytes, String) {
        let branch = format!("z9hG4bK{}-1", invite.branch_stem);
        let target = invite.destination;
        let mut writer = Writer::request(Method::Invite, &invite.request_uri);
        self.core.request_head(&mut writer, target, local, &branch);
        for route in &invite.route {
            writer.header("Route", route);
        }
        writer.party("From", &party_value(&invite.from), &invite.local_tag);
        writer.party("To", &party_value(&invite.to), "");
        writer.header("Call-ID", &invite.call_id);
        writer.cseq(1, Method::Invite);
        let user = invite.contact_user.as_deref();
        self.core
            .request_tail(&mut writer, Method::Invite, (target, local), user, invite.reliable);
        self.core.session_request(&mut writer, None);
        for (name, value) in &invite.headers {
            writer.header(name, value);
        }
        (writer.finish_sdp(invite.sdp.as_ref()), branch)
    }

    /// As much of an INVITE that has left as its CANCEL and its ACK repeat.
    fn recompose_invite(&self, data: &InviteSnapshot, local: SocketAddr, cseq: u32) -> (Bytes, String) {
        let branch = format!("z9hG4bK{}-{cseq}", data.branch_stem);
        let mut writer = Writer::request(Method::Invite, &data.request_uri);
        self.core.request_head(&mut writer, data.destination, local, &branch);
        writer.party("From", &party_value(&data.from), &data.local_tag);
        writer.party("To", &party_value(&data.to), "");
        writer.header("Call-ID", &data.call_id);
        writer.cseq(cseq, Method::Invite);
        (writer.finish(), branch)
    }

    /// Takes over an unanswered call in order to end it: it is not known how far it got, so every request that may be out
    /// there is cancelled at once, and its final response is awaited like any other. A second one exists only if the
    /// call had credentials to answer a challenge with.
    pub(super) fn import_inviting(&mut self, snapshot: InviteSnapshot, credentials: bool) {
        let handle = snapshot.handle;
        if self.calls.contains_key(&handle) {
            return self.core.refuse(handle, CommandKind::Import, Refusal::DuplicateHandle);
        }
        let target = snapshot.destination;
        let Some(local) = self.core.interface(target.transport, snapshot.local).map(|i| i.local) else {
            return self.core.refuse(handle, CommandKind::Import, Refusal::BadArgument);
        };
        let mut txs = [None, None];
        let requests = 1 + u32::from(credentials);
        for (slot, cseq) in txs.iter_mut().zip(1..=requests) {
            let (bytes, branch) = self.recompose_invite(&snapshot, local, cseq);
            let machine = ClientInvite::resumed(self.core.config.timers, target.transport.is_reliable(), self.core.now);
            let key = self.core.client_key(branch.as_bytes(), Method::Invite);
            let tx = Tx::new(
                key,
                Machine::ClientInvite(machine),
                target,
                local,
                bytes,
                Owner::Invite(handle),
            );
            let id = self.core.table.insert(tx);
            *slot = Some(id);
            self.send_cancel(id, None);
        }
        let inviting = Inviting {
            call_id: snapshot.call_id,
            local_tag: snapshot.local_tag,
            txs,
            cseq: requests,
            credentials: None,
            challenged: true,
            lengthened: true,
            // The answer to it is of no interest: the call ends.
            offer: Some(Bytes::new()),
            contact_user: None,
            ack: AckMode::Automatic,
            early: Vec::new(),
            intent: Intent::Cancel {
                reason: None,
                sent: true,
                abandoned: false,
            },
            trying_reported: true,
            started: self.core.now,
            imported: true,
        };
        self.await_dialog(handle, &inviting);
        self.calls.insert(handle, Call::Inviting(Box::new(inviting)));
    }

    // ---- giving up ----

    pub(super) fn cancel(&mut self, handle: DialogHandle, reason: Option<Reason>, command: CommandKind) {
        match self.calls.get_mut(&handle) {
            Some(Call::Inviting(inviting)) => {
                if matches!(inviting.intent, Intent::Cancel { abandoned: false, .. }) {
                    return;
                }
                let sent = matches!(inviting.intent, Intent::Cancel { sent: true, .. });
                inviting.intent = Intent::Cancel {
                    reason,
                    sent,
                    abandoned: false,
                };
                self.cancel_if_possible(handle);
            }
            Some(Call::Confirmed(confirmed)) if !confirmed.dialog.incoming => self.bye(handle, reason, command),
            Some(_) => self.core.refuse(handle, command, Refusal::WrongState),
            None => self.core.refuse(handle, command, Refusal::UnknownHandle),
        }
    }

    pub(super) fn abandon(&mut self, handle: DialogHandle) {
        let Some(Call::Inviting(inviting)) = self.calls.get_mut(&handle) else {
            return self.cancel(handle, None, CommandKind::Abandon);
        };
        if !matches!(inviting.intent, Intent::Live) {
            return;
        }
        let tx = inviting.txs[0].and_then(|id| self.core.table.get_mut(id));
        let silent = match tx.map(|tx| &mut tx.machine) {
            Some(Machine::ClientInvite(machine)) if machine.is_calling() && !inviting.challenged => {
                machine.stop_resending();
                true
            }
            _ => false,
        };
        if silent {
            inviting.intent = Intent::Cancel {
                reason: None,
                sent: false,
                abandoned: true,
            };
        } else {
            self.cancel(handle, None, CommandKind::Abandon);
        }
    }

    /// §9.1: CANCEL must not leave before a provisional response has come.
    fn cancel_if_possible(&mut self, handle: DialogHandle) {
        let Some(Call::Inviting(inviting)) = self.calls.get_mut(&handle) else {
            return;
        };
        let Intent::Cancel {
            reason,
            sent: sent @ false,
            ..
        } = &mut inviting.intent
        else {
            return;
        };
        let Some(id) = inviting.txs[0] else { return };
        let now = self.core.now;
        let Some(tx) = self.core.table.get_mut(id) else { return };
        let Machine::ClientInvite(machine) = &mut tx.machine else {
            return;
        };
        if machine.is_calling() || !machine.is_pending() {
            return;
        }
        machine.cancelled(now);
        *sent = true;
        let reason = reason.clone();
        self.core.table.rearm(id);
        self.send_cancel(id, reason.as_ref());
    }

    /// After an import CANCEL leaves without waiting, so an INVITE that was still on its way may arrive behind it. Its
    /// provisional response shows that: CANCEL has been refused by then and is sent once more.
    fn cancel_again(&mut self, id: TxId, reason: Option<&Reason>) {
        let branch = self
            .core
            .table
            .get(id)
            .and_then(|tx| Message::read_back(tx.message.clone()).ok());
        let Some(via) = branch.as_ref().and_then(Message::via) else {
            return;
        };
        let cancel = self.core.table.find(self.core.client_key(via.branch, Method::Cancel));
        let pending = cancel
            .and_then(|id| self.core.table.get(id))
            .is_some_and(|tx| match &tx.machine {
                Machine::ClientOther(machine) => machine.is_pending(),
                _ => false,
            });
        if !pending && self.core.table.len() < self.core.config.max_transactions {
            self.send_cancel(id, reason);
        }
    }

    fn send_cancel(&mut self, id: TxId, reason: Option<&Reason>) {
        let Some(tx) = self.core.table.get(id) else { return };
        let Ok(invite) = Message::read_back(tx.message.clone()) else {
            return;
        };
        let (target, local) = (tx.target, tx.local);
        let bytes = self.core.companion(&invite, Method::Cancel, None, reason);
        let branch = invite
            .via()
            .map(|v| String::from_utf8_lossy(v.branch).into_owned())
            .unwrap_or_default();
        self.core
            .start_client(Method::Cancel, &branch, target, local, bytes, Owner::None);
    }

    // ---- responses ----

    pub(super) fn invite_response(&mut self, id: TxId, handle: DialogHandle, message: &Message, status: u16) {
        let belongs = match self.calls.get(&handle) {
            Some(Call::Inviting(inviting)) => inviting.txs.contains(&Some(id)),
            _ => false,
        };
        match status {
            200..=299 if self.acknowledge_again(id, message) => {}
            200..=299 if belongs => self.invite_answered(id, handle, message, status),
            200..=299 => self.hang_up_stray(id, message),
            _ if !belongs => {}
            100..=199 => self.invite_progress(id, handle, message, status),
            401 | 407 if self.answer_challenge(id, handle, message, status) => {}
            422 if self.lengthen_session(id, handle, message) => {}
            _ => self.invite_refused(id, handle, message, status),
        }
    }

    fn invite_progress(&mut self, id: TxId, handle: DialogHandle, message: &Message, status: u16) {
        let Some(Call::Inviting(inviting)) = self.calls.get_mut(&handle) else {
            return;
        };
        match &inviting.intent {
            Intent::Live => {}
            Intent::Cancel { sent: false, .. } => return self.cancel_if_possible(handle),
            Intent::Cancel { sent: true, reason, .. } => {
                let reason = reason.clone();
                return self.cancel_again(id, reason.as_ref());
            }
        }
        if status == 100 {
            if !std::mem::replace(&mut inviting.trying_reported, true) {
                self.core.event(handle, SipEvent::Trying);
            }
            return;
        }
        self.early_response(id, handle, message, status);
    }

    /// RFC 4028 §7.3: one more try with the interval that the far side wants. False if that is not possible.
    fn lengthen_session(&mut self, id: TxId, handle: DialogHandle, message: &Message) -> bool {
        let least = number(message, HeaderName::MinSe);
        let (Some(least), Some(Call::Inviting(inviting))) = (least, self.calls.get_mut(&handle)) else {
            return false;
        };
        if !matches!(inviting.intent, Intent::Live) || std::mem::replace(&mut inviting.lengthened, true) {
            return false;
        }
        let expires = least.max(self.core.config.session.expires).to_string();
        let least = least.to_string();
        self.invite_again(id, handle, |core, old, cseq, via| {
            let fields = [
                (HeaderName::SessionExpires, expires.as_str()),
                (HeaderName::MinSe, least.as_str()),
            ];
            Some(core.rewrite(old, cseq, via, &fields))
        })
    }

    /// Sends the INVITE once more in a transaction of its own. False if `compose` has nothing to send.
    fn invite_again(
        &mut self,
        id: TxId,
        handle: DialogHandle,
        compose: impl FnOnce(&Core, &Message, u32, &str) -> Option<Bytes>,
    ) -> bool {
        let Some(Call::Inviting(inviting)) = self.calls.get(&handle) else {
            return false;
        };
        let Some(tx) = self.core.table.get(id) else {
            return false;
        };
        // If it went by TCP for its length, whether it does so again is decided anew.
        let (target, local) = tx
            .fallback
            .as_ref()
            .map_or((tx.target, tx.local), |f| (f.target, f.local));
        let Ok(old) = Message::read_back(tx.message.clone()) else {
            return false;
        };
        let cseq = inviting.cseq + 1;
        let branch = next_branch(&old, cseq);
        let via = self.core.via_value(target, local, &branch);
        let Some(bytes) = compose(&self.core, &old, cseq, &via) else {
            return false;
        };
        let Some(Call::Inviting(mut inviting)) = self.calls.remove(&handle) else {
            return false;
        };
        // The refusal ended whatever early dialogs there were.
        self.take_early(&mut inviting, "");
        self.await_dialog(handle, &inviting);
        inviting.cseq = cseq;
        inviting.txs[0] =
            Some(
                self.core
                    .start_client(Method::Invite, &branch, target, local, bytes, Owner::Invite(handle)),
            );
        self.calls.insert(handle, Call::Inviting(inviting));
        true
    }

    /// §22.2: one more try with credentials. False if that is not possible.
    fn answer_challenge(&mut self, id: TxId, handle: DialogHandle, message: &Message, status: u16) -> bool {
        let Some(Call::Inviting(inviting)) = self.calls.get_mut(&handle) else {
            return false;
        };
        let (Some(who), Intent::Live, false) = (&inviting.credentials, &inviting.intent, inviting.challenged) else {
            return false;
        };
        let who = who.clone();
        inviting.challenged = true;
        let sent = self.invite_again(id, handle, |core, old, cseq, via| {
            core.reissue(old, message, &who, cseq, via)
        });
        if sent {
            self.core.event(handle, SipEvent::Challenged { status });
        }
        sent
    }

    fn invite_refused(&mut self, id: TxId, handle: DialogHandle, message: &Message, status: u16) {
        let failure = Failure {
            kind: FailureKind::Response,
            status,
            phrase: message.phrase().chars().take(64).collect(),
            reasons: reasons(message),
            contacts: if status < 400 {
                contacts_by_preference(message)
            } else {
                Vec::new()
            },
            retry_after: retry_after(message),
            after: 0,
        };
        self.end_inviting(id, handle, Some(status), failure);
    }

    /// Timer B, the end of the wait after a CANCEL, or a transport error.
    pub(super) fn invite_over(&mut self, id: TxId, handle: DialogHandle, kind: FailureKind) {
        let (status, phrase) = match kind {
            FailureKind::TransportError => (503, "Transport error"),
            _ => (408, "Request Timeout"),
        };
        let failure = Failure {
            kind,
            status,
            phrase: phrase.into(),
            reasons: Vec::new(),
            contacts: Vec::new(),
            retry_after: None,
            after: 0,
        };
        // Of two imported attempts the other one may still be answered.
        if let Some(Call::Inviting(inviting)) = self.calls.get_mut(&handle)
            && inviting.txs.iter().flatten().any(|other| *other != id)
        {
            inviting.txs = inviting.txs.map(|tx| tx.filter(|other| *other != id));
            inviting.txs.sort_by_key(Option::is_none);
            return;
        }
        self.end_inviting(id, handle, None, failure);
    }

    fn end_inviting(&mut self, id: TxId, handle: DialogHandle, status: Option<u16>, failure: Failure) {
        let Some(Call::Inviting(inviting)) = self.calls.get(&handle) else {
            return;
        };
        if !inviting.txs.contains(&Some(id)) {
            return;
        }
        let Some(Call::Inviting(mut inviting)) = self.calls.remove(&handle) else {
            return;
        };
        self.take_early(&mut inviting, "");
        let after = self.core.now.since(inviting.started);
        let event = match inviting.intent.end(status) {
            Some(cause) => SipEvent::Ended { cause },
            None => SipEvent::Failed(Box::new(Failure { after, ..failure })),
        };
        self.core.event(handle, event);
    }

    /// §13.2.2.4: the first 2xx makes the dialog.
    fn invite_answered(&mut self, id: TxId, handle: DialogHandle, message: &Message, status: u16) {
        let Some(tx) = self.core.table.get(id) else { return };
        let Ok(invite) = Message::read_back(tx.message.clone()) else {
            return;
        };
        let mut dialog = ConfirmedSnapshot::from_response(&self.core, handle, tx, &invite, message);
        let Some(Call::Inviting(mut inviting)) = self.calls.remove(&handle) else {
            return;
        };
        let early = self.take_early(&mut inviting, &dialog.remote_tag);
        let mut deal = Deal::new(self.core.mark(&dialog.remote_tag), false, false);
        dialog.extras.contact_user = inviting.contact_user.take();
        dialog.extras.local_sdp = inviting.offer.clone();
        let mut settled = false;
        if let Some(early) = early {
            // The route set and the target are those of the 2xx; the counters go on.
            dialog.local_seq = early.dialog.local_seq.max(dialog.local_seq);
            dialog.remote_seq = early.dialog.remote_seq;
            dialog.extras.peer_updates |= early.dialog.extras.peer_updates;
            dialog.extras.local_sdp = early.dialog.extras.local_sdp;
            settled = early.deal.settled;
            deal = early.deal;
        }
        deal.settle();
        if inviting.imported {
            dialog.local_seq += ConfirmedSnapshot::CSEQ_MARGIN;
        }
        self.core.dialogs.insert(dialog.key(&self.core), handle);
        if let Some(cause) = inviting.intent.end(Some(status)) {
            // The answer crossed our CANCEL: it is acknowledged and taken back, and never was for the application.
            if let Some(asked) = deal.asked {
                self.core.answer_pending(&asked, 487);
            }
            self.send_ack(id, &dialog, &Acked::Whole(&invite), None);
            return self.start_bye(handle, dialog, inviting.credentials, None, cause);
        }
        let ack_needed = inviting.offer.is_none() && !settled || inviting.ack == AckMode::OnCommand;
        let tag = dialog.remote_tag.clone();
        let exchange = if ack_needed {
            self.expect_ack(id, &dialog, Acked::plain(&invite));
            Exchange::OursToAck { tx: id }
        } else {
            self.send_ack(id, &dialog, &Acked::Whole(&invite), None);
            Exchange::Idle
        };
        let mut confirmed = Box::new(Confirmed::new(dialog, deal, inviting.credentials, exchange));
        self.core.session_answered(handle, &mut confirmed, message);
        let snapshot = Box::new(confirmed.dialog.clone());
        self.calls.insert(handle, Call::Confirmed(confirmed));
        self.core.event(
            handle,
            SipEvent::Answered {
                status,
                sdp: message.sdp(),
                tag,
                ack_needed,
                snapshot,
            },
        );
    }

    // ---- ACK to 2xx ----

    pub(super) fn ack_tag(&self, remote_tag: &str) -> u128 {
        self.core.hash("acked").field(remote_tag.as_bytes()).finish()
    }

    /// Notes that the ACK to this dialog's 2xx is the application's to send.
    pub(super) fn expect_ack(&mut self, id: TxId, dialog: &ConfirmedSnapshot, plain: Option<u32>) {
        let tag = self.ack_tag(&dialog.remote_tag);
        if let Some(tx) = self.core.table.get_mut(id) {
            // A second 2xx is rare, and room for four would be kept for 32 s.
            tx.acks.reserve_exact(1);
            tx.acks.push(SentAck {
                tag,
                plain,
                message: None,
            });
        }
    }

    /// Sends an ACK and keeps it for repetitions of the 2xx. False if the transaction is gone.
    pub(super) fn send_ack(
        &mut self,
        id: TxId,
        dialog: &ConfirmedSnapshot,
        invite: &Acked<'_>,
        sdp: Option<&Bytes>,
    ) -> bool {
        let tag = self.ack_tag(&dialog.remote_tag);
        let draft = dialog.ack_draft(&self.core, invite);
        let bytes = draft.writer.finish_sdp(sdp);
        let over_tcp = match self.core.table.get(id) {
            Some(tx) => tx.fallback.is_some(),
            None => return false,
        };
        let (target, local, bytes) = if over_tcp {
            let (target, local, bytes, _) = self.core.fit(draft.target, draft.local, bytes);
            (target, local, bytes)
        } else {
            // An ACK has no response that would tell whether TCP works.
            (draft.target, draft.local, bytes)
        };
        let Some(tx) = self.core.table.get_mut(id) else {
            return false;
        };
        tx.acks.retain(|ack| ack.tag != tag);
        tx.acks.reserve_exact(1);
        tx.acks.push(SentAck {
            tag,
            plain: None,
            message: Some((target, local, bytes.clone())),
        });
        self.core.send(target, local, bytes);
        true
    }

    /// True if the response repeats a 2xx that is dealt with.
    pub(super) fn acknowledge_again(&mut self, id: TxId, message: &Message) -> bool {
        let tag = self.ack_tag(&message.to_tag().unwrap_or_default());
        let Some(tx) = self.core.table.get(id) else {
            return false;
        };
        let Some(ack) = tx.acks.iter().find(|ack| ack.tag == tag) else {
            return false;
        };
        self.core.stats.absorbed += 1;
        if let Some((target, local, bytes)) = ack.message.clone() {
            self.core.send(target, local, bytes);
        }
        true
    }

    /// A 2xx of another branch after the first, or of a call that is over: ACK, then BYE (§13.2.2.4).
    pub(super) fn hang_up_stray(&mut self, id: TxId, message: &Message) {
        let Some(tx) = self.core.table.get(id).filter(|tx| tx.acks.len() < MAX_EARLY) else {
            return;
        };
        let Ok(invite) = Message::read_back(tx.message.clone()) else {
            return;
        };
        let dialog = ConfirmedSnapshot::from_response(&self.core, DialogHandle(0), tx, &invite, message);
        self.send_ack(id, &dialog, &Acked::Whole(&invite), None);
        let mark = self.ack_tag(&dialog.remote_tag) as u32;
        // PRACK and UPDATE may have left in its early dialog, whose counter is forgotten.
        let cseq = dialog.local_seq + ConfirmedSnapshot::CSEQ_MARGIN;
        let draft = dialog.draft(&self.core, Method::Bye, cseq, &format!("b{mark:08x}"));
        self.core.start_client(
            Method::Bye,
            &draft.branch,
            draft.target,
            draft.local,
            draft.writer.finish(),
            Owner::None,
        );
    }
}

/// The branch of the request with this CSeq, from that of another request of the same stem.
pub(super) fn next_branch(old: &Message, cseq: u32) -> String {
    let branch = old
        .via()
        .map(|v| String::from_utf8_lossy(v.branch).into_owned())
        .unwrap_or_default();
    let stem = branch.rsplit_once('-').map_or(branch.as_str(), |(stem, _)| stem);
    format!("{stem}-{cseq}")
}

impl Core {
    /// §14.1: how long to wait after a 491, in µs: the owner of the Call-ID 2.1-4 s, the other side 0-2 s, in steps of
    /// 10 ms.
    pub(super) fn glare_wait(&self, dialog: &ConfirmedSnapshot) -> u64 {
        let draw = self
            .hash("glare")
            .field(dialog.call_id.as_bytes())
            .field(&dialog.local_seq.to_be_bytes())
            .field(&self.now.0.to_be_bytes())
            .finish() as u64;
        if dialog.incoming {
            // Never zero: whoever tries again at once while the exchange goes on would do so without end.
            (1 + draw % 200) * 10_000
        } else {
            2_100_000 + (draw % 191) * 10_000
        }
    }
}
