//! Offer and answer in one dialog (RFC 3264 §4, RFC 6337 §2): who waits for whom, and what a crossing offer is told.

use super::confirmed::Exchange;
use super::core::Pending;
use super::table::TxId;
use super::{Call, KeyedMap};
use crate::api::{ConfirmedSnapshot, DialogHandle};
use bytes::Bytes;

/// Our UPDATE without a final response.
pub(super) struct OurUpdate {
    pub tx: TxId,
    pub offer: Option<Bytes>,
    /// It keeps the session alive, and the application knows nothing of it.
    pub refresh: bool,
}

/// What is being negotiated in one dialog beside re-INVITEs, which have [`Exchange`].
pub(super) struct Deal {
    /// The dialog's mark among early dialogs.
    pub mark: u32,
    /// An offer of ours in an INVITE or a reliable response waits for the answer.
    pub ours: bool,
    /// An offer of theirs in an INVITE or a reliable response waits for our answer.
    pub theirs: bool,
    /// The INVITE that opens the dialog has had its offer and its answer, reliably.
    pub settled: bool,
    pub update: Option<OurUpdate>,
    /// Their UPDATE or PRACK with an offer that waits for the application.
    pub asked: Option<Box<Pending>>,
}

impl Deal {
    pub fn new(mark: u32, ours: bool, theirs: bool) -> Deal {
        Deal {
            mark,
            ours,
            theirs,
            settled: false,
            update: None,
            asked: None,
        }
    }

    /// The INVITE is answered: whatever was open in it is settled.
    pub fn settle(&mut self) {
        (self.ours, self.theirs, self.settled) = (false, false, true);
    }
}

/// A dialog of any phase, as UPDATE and PRACK see it.
pub(super) struct Parts<'a> {
    pub dialog: &'a mut ConfirmedSnapshot,
    pub deal: &'a mut Deal,
    pub early: bool,
    /// An INVITE inside the dialog carries an offer of ours, or one may come from us.
    invite_ours: bool,
    invite_theirs: bool,
    /// A reliable response of ours with a description has no PRACK yet.
    unacknowledged: bool,
}

/// The dialog with this mark; without one the only dialog, or the newest early one.
pub(super) fn parts(
    calls: &mut KeyedMap<DialogHandle, Call>,
    handle: DialogHandle,
    mark: Option<u32>,
) -> Option<Parts<'_>> {
    let parts = match calls.get_mut(&handle)? {
        Call::Confirmed(confirmed) => {
            let (invite_ours, invite_theirs) = match &confirmed.exchange {
                Exchange::Idle => (false, false),
                Exchange::Ours { .. } => (true, false),
                Exchange::TheirsToAck { offer_in_2xx, .. } => (*offer_in_2xx, false),
                Exchange::Theirs { .. } | Exchange::OursToAck { .. } => (false, true),
            };
            Parts {
                dialog: &mut confirmed.dialog,
                deal: &mut confirmed.deal,
                early: false,
                invite_ours,
                invite_theirs,
                unacknowledged: !matches!(confirmed.exchange, Exchange::Idle),
            }
        }
        Call::Incoming(incoming) => Parts {
            unacknowledged: incoming.reliably.as_ref().is_some_and(|r| r.holds_description()),
            dialog: &mut incoming.dialog,
            deal: &mut incoming.deal,
            early: true,
            invite_ours: false,
            invite_theirs: false,
        },
        Call::Inviting(inviting) => {
            let early = match mark {
                Some(mark) => inviting.early.iter_mut().find(|e| e.deal.mark == mark)?,
                None => inviting.early.last_mut()?,
            };
            Parts {
                dialog: &mut early.dialog,
                deal: &mut early.deal,
                early: true,
                invite_ours: false,
                invite_theirs: false,
                unacknowledged: false,
            }
        }
        Call::Closing(_) | Call::Probing | Call::Outside(_) | Call::Registering(_) => return None,
    };
    mark.is_none_or(|mark| mark == parts.deal.mark).then_some(parts)
}

impl Parts<'_> {
    /// True if UPDATE may leave now (RFC 3311 §5.1).
    pub fn may_update(&self, offer: bool) -> bool {
        let deal = &*self.deal;
        if deal.update.is_some() {
            return false;
        }
        let open = self.early && !deal.settled || self.unacknowledged;
        let busy = deal.ours || deal.theirs || deal.asked.is_some() || self.invite_ours || self.invite_theirs;
        !offer || !(open || busy)
    }

    /// What an offer of theirs in UPDATE or PRACK is refused with while another one is under way: 491 if ours waits for
    /// their answer, 500 if theirs waits for ours (RFC 3311 §5.2, RFC 6337 §2.2).
    pub fn glare(&self) -> Option<u16> {
        let deal = &*self.deal;
        if deal.asked.is_some() {
            return Some(500);
        }
        if deal.ours || self.invite_ours || deal.update.as_ref().is_some_and(|u| u.offer.is_some()) {
            return Some(491);
        }
        (deal.theirs || self.invite_theirs).then_some(500)
    }
}
