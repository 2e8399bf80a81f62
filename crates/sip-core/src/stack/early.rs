//! Early dialogs of our INVITE: provisional responses, reliable ones with their PRACK (RFC 3262 §4), and requests that
//! the far side sends before it answers.

use super::deal::Deal;
use super::dialog::{allows_update, contact_uri, lists, number};
use super::table::TxId;
use super::uac::{Inviting, MAX_EARLY};
use super::{Call, Origin, Owner, Stack};
use crate::api::*;
use crate::headers::reasons;
use crate::message::{HeaderName, Message, Method};
use bytes::Bytes;

/// One early dialog of an INVITE of ours.
pub(super) struct Early {
    pub dialog: ConfirmedSnapshot,
    pub deal: Deal,
    reliable: Option<LastReliable>,
}

/// The newest reliable response of an early dialog.
struct LastReliable {
    rseq: u32,
    /// CSeq of the INVITE.
    cseq: u32,
    prack: Prack,
    /// Answer in the PRACK, should it have to be sent again.
    answer: Option<Bytes>,
}

#[derive(PartialEq, Eq, Clone, Copy)]
enum Prack {
    /// The application brings the answer.
    Waits,
    Sent,
    /// It was refused for its number or got lost; the next repetition of the response sends another one.
    Failed,
}

/// What a provisional response turns out to be.
enum Sight {
    /// To be reported; true if it is reliable.
    New(bool),
    /// A repetition, or out of order (§4).
    Ignored,
    /// A repetition whose PRACK has to be sent again.
    PrackAgain,
}

impl Stack {
    /// 101-199 to an INVITE of ours that is wanted still.
    pub(super) fn early_response(&mut self, id: TxId, handle: DialogHandle, message: &Message, status: u16) {
        let tag = message.to_tag().unwrap_or_default().into_owned();
        let mark = self.core.mark(&tag);
        let reliable = lists(message, HeaderName::Require, "100rel");
        let rseq = number(message, HeaderName::RSeq).filter(|_| reliable && !tag.is_empty());
        let known = self.early_dialog(id, handle, message, &tag, mark);
        let Some(Call::Inviting(inviting)) = self.calls.get_mut(&handle) else {
            return;
        };
        let sdp = message.sdp();
        let early = inviting.early.iter_mut().find(|e| known && e.deal.mark == mark);
        let (sight, prack_needed) = match (early, rseq) {
            (Some(early), Some(rseq)) => {
                let sight = early.see(rseq, message);
                let needed = matches!(sight, Sight::New(_)) && early.negotiate(sdp.is_some());
                (sight, needed)
            }
            // Too many forks: what cannot be acknowledged must not be acted on.
            (None, Some(_)) => (Sight::Ignored, false),
            (_, None) => (Sight::New(false), false),
        };
        let reliable = match sight {
            Sight::New(reliable) => reliable,
            Sight::Ignored => {
                self.core.stats.absorbed += 1;
                return;
            }
            Sight::PrackAgain => return self.send_prack(handle, mark),
        };
        let event = SipEvent::Provisional {
            status,
            sdp,
            tag,
            reliable,
            prack_needed,
            reasons: reasons(message),
        };
        self.core.event(handle, event);
        if reliable && !prack_needed {
            self.send_prack(handle, mark);
        }
    }

    /// Finds the early dialog of a response, or makes it (§12.1.2). False if there are too many, or no tag.
    fn early_dialog(&mut self, id: TxId, handle: DialogHandle, message: &Message, tag: &str, mark: u32) -> bool {
        let Some(Call::Inviting(inviting)) = self.calls.get_mut(&handle) else {
            return false;
        };
        if let Some(early) = inviting.early.iter_mut().find(|e| e.deal.mark == mark) {
            if let Some(target) = contact_uri(message) {
                early.dialog.remote_target = target;
            }
            early.dialog.extras.peer_updates |= allows_update(message);
            return true;
        }
        if tag.is_empty() || inviting.early.len() >= MAX_EARLY {
            return false;
        }
        let Some(tx) = self.core.table.get(id) else {
            return false;
        };
        let Ok(invite) = Message::read_back(tx.message.clone()) else {
            return false;
        };
        let mut dialog = ConfirmedSnapshot::from_response(&self.core, handle, tx, &invite, message);
        dialog.extras.contact_user = inviting.contact_user.clone();
        dialog.extras.local_sdp = inviting.offer.clone();
        self.core.dialogs.insert(dialog.key(&self.core), handle);
        let deal = Deal::new(mark, inviting.offer.is_some(), false);
        inviting.early.push(Early {
            dialog,
            deal,
            reliable: None,
        });
        true
    }

    /// §7.2: PRACK for the newest reliable response of an early dialog.
    fn send_prack(&mut self, handle: DialogHandle, mark: u32) {
        let Some(Call::Inviting(inviting)) = self.calls.get_mut(&handle) else {
            return;
        };
        let Some(early) = inviting.early.iter_mut().find(|e| e.deal.mark == mark) else {
            return;
        };
        let Some(last) = &mut early.reliable else { return };
        last.prack = Prack::Sent;
        early.dialog.local_seq += 1;
        let mut draft = early
            .dialog
            .draft(&self.core, Method::Prack, early.dialog.local_seq, "");
        draft
            .writer
            .header("RAck", &format!("{} {} INVITE", last.rseq, last.cseq));
        let bytes = draft.writer.finish_sdp(last.answer.as_ref());
        let owner = Owner::Prack {
            handle,
            mark,
            retried: false,
        };
        self.core
            .start_client(Method::Prack, &draft.branch, draft.target, draft.local, bytes, owner);
    }

    /// The application acknowledges a reliable response that carried an offer.
    pub(super) fn prack(&mut self, handle: DialogHandle, tag: &str, sdp: Option<Bytes>) {
        let mark = self.core.mark(tag);
        let why = self.why_not_confirmed(handle);
        let early = match self.calls.get_mut(&handle) {
            Some(Call::Inviting(inviting)) => inviting.early.iter_mut().find(|e| e.deal.mark == mark),
            _ => None,
        };
        let Some(early) = early else {
            return self.core.refuse(handle, CommandKind::Prack, why);
        };
        let Some(last) = early.reliable.as_mut().filter(|last| last.prack == Prack::Waits) else {
            return self.core.refuse(handle, CommandKind::Prack, Refusal::WrongState);
        };
        last.answer = sdp.clone();
        early.dialog.extras.local_sdp = sdp;
        early.deal.settle();
        self.send_prack(handle, mark);
    }

    pub(super) fn prack_response(&mut self, id: TxId, owner: Owner, message: &Message, status: u16) {
        let Owner::Prack { handle, mark, retried } = owner else {
            return;
        };
        let again = Owner::Prack {
            handle,
            mark,
            retried: true,
        };
        if matches!(status, 401 | 407)
            && !retried
            && self.reissue_in_dialog(id, handle, Some(mark), message, again).is_some()
        {
            return;
        }
        if status >= 300 {
            self.prack_failed(handle, mark);
        }
    }

    pub(super) fn prack_failed(&mut self, handle: DialogHandle, mark: u32) {
        if let Some(Call::Inviting(inviting)) = self.calls.get_mut(&handle)
            && let Some(early) = inviting.early.iter_mut().find(|e| e.deal.mark == mark)
            && let Some(last) = &mut early.reliable
        {
            last.prack = Prack::Failed;
        }
    }

    /// A request inside an early dialog of ours. The far side may not hang up here (§15), but it may ask.
    pub(super) fn request_early(&mut self, handle: DialogHandle, message: Message, origin: &Origin) {
        let mark = self.core.mark(&message.from_tag().unwrap_or_default());
        if self.out_of_order(handle, mark, &message, origin) || self.refuse_required(&message, origin) {
            return;
        }
        match message.method() {
            Some(Method::Options) => self.reply_options(&message, origin),
            Some(Method::Info) => self.info_received(handle, &message, origin),
            Some(Method::Update) => self.update_received(handle, message, origin),
            Some(Method::Invite) => self.core.reply(&message, origin, 491, None, &[]),
            Some(Method::Bye | Method::Prack | Method::Notify) => self.core.reply(&message, origin, 481, None, &[]),
            Some(Method::Refer) => self.core.reply(&message, origin, 403, None, &[]),
            _ => self.reply_unsupported(&message, origin),
        }
    }

    /// The early dialog that a 2xx confirms, and the end of the others.
    pub(super) fn take_early(&mut self, inviting: &mut Inviting, remote_tag: &str) -> Option<Early> {
        let mark = self.core.mark(remote_tag);
        self.forget_early(inviting);
        let mut chosen = None;
        for early in std::mem::take(&mut inviting.early) {
            if early.deal.mark == mark {
                chosen = Some(early);
            } else if let Some(asked) = early.deal.asked {
                self.core.answer_pending(&asked, 487);
            }
        }
        chosen
    }

    /// Takes the early dialogs of an INVITE out of the index.
    pub(super) fn forget_early(&mut self, inviting: &Inviting) {
        for early in &inviting.early {
            self.core.dialogs.remove(&early.dialog.key(&self.core));
        }
        let bare = self.core.dialog_key(&inviting.call_id, &inviting.local_tag, "");
        self.core.dialogs.remove(&bare);
    }
}

impl Early {
    /// §4: reliable responses count up by one; what is ahead comes again.
    fn see(&mut self, rseq: u32, message: &Message) -> Sight {
        match &self.reliable {
            Some(last) if rseq == last.rseq && last.prack == Prack::Failed => return Sight::PrackAgain,
            Some(last) if rseq != last.rseq.wrapping_add(1) => return Sight::Ignored,
            // A response that was not understood keeps the next one waiting.
            Some(last) if last.prack == Prack::Waits => return Sight::Ignored,
            _ => {}
        }
        self.reliable = Some(LastReliable {
            rseq,
            cseq: message.cseq().map_or(0, |c| c.number),
            prack: Prack::Waits,
            answer: None,
        });
        Sight::New(true)
    }

    /// A description in a new reliable response: the answer to our offer, or an offer. True if it is an offer.
    fn negotiate(&mut self, description: bool) -> bool {
        if !description || self.deal.settled {
            return false;
        }
        if self.deal.ours {
            self.deal.settle();
            return false;
        }
        self.deal.theirs = true;
        true
    }
}
