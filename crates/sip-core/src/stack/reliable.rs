//! Reliable provisional responses of ours (RFC 3262 §3): one at a time, repeated until its PRACK, and a 2xx that waits
//! for those that carry a description.

use super::core::Origin;
use super::deal::parts;
use super::dialog::lists;
use super::table::{Machine, Tx, TxId};
use super::uas::{Answer, send_answer};
use super::{Call, Owner, Stack};
use crate::api::*;
use crate::message::{HeaderName, Message, Method};
use crate::transaction::Provisional;
use bytes::Bytes;
use std::collections::VecDeque;

/// Most reliable responses that wait for the one before them.
const MAX_WAITING: usize = 8;

/// The reliable responses of one INVITE.
pub(super) struct Reliably {
    /// RSeq of the newest one that was sent.
    rseq: u32,
    outstanding: Option<Outstanding>,
    waiting: VecDeque<Answer>,
    /// The 2xx that waits for them.
    accepted: Option<Answer>,
}

struct Outstanding {
    tx: TxId,
    description: bool,
}

impl Reliably {
    /// True if a response that has no PRACK yet carries a description, so that no 2xx may leave.
    pub fn holds_description(&self) -> bool {
        self.outstanding.as_ref().is_some_and(|o| o.description) || self.waiting.iter().any(|a| a.sdp.is_some())
    }

    pub fn has_accepted(&self) -> bool {
        self.accepted.is_some()
    }
}

/// What an INVITE says about reliable responses.
pub(super) fn reliability(invite: &Message) -> Reliable {
    if lists(invite, HeaderName::Require, "100rel") {
        Reliable::Required
    } else if lists(invite, HeaderName::Supported, "100rel") {
        Reliable::Supported
    } else {
        Reliable::Off
    }
}

impl Stack {
    /// A provisional response that goes reliably: now, or after those before it.
    pub(super) fn respond_reliably(&mut self, handle: DialogHandle, answer: Answer) {
        let Some(Call::Incoming(incoming)) = self.calls.get_mut(&handle) else {
            return;
        };
        let first = self.core.hash("rseq").field(incoming.dialog.call_id.as_bytes());
        let reliably = incoming.reliably.get_or_insert_with(|| {
            Box::new(Reliably {
                // §3: from 1 to 2**31 - 1, with room to count up.
                rseq: (first.finish() as u32 & 0x3fff_ffff) | 1,
                outstanding: None,
                waiting: VecDeque::new(),
                accepted: None,
            })
        });
        if reliably.waiting.len() >= MAX_WAITING || reliably.accepted.is_some() {
            return self.core.refuse(handle, CommandKind::Respond, Refusal::WrongState);
        }
        reliably.waiting.push_back(answer);
        self.next_reliable(handle);
    }

    /// Sends the next reliable response if none is outstanding, and at last the 2xx.
    fn next_reliable(&mut self, handle: DialogHandle) {
        let Some(Call::Incoming(incoming)) = self.calls.get_mut(&handle) else {
            return;
        };
        let Some(reliably) = &mut incoming.reliably else { return };
        if reliably.outstanding.is_some() {
            return;
        }
        if let Some(answer) = reliably
            .accepted
            .take_if(|_| !reliably.waiting.iter().any(|a| a.sdp.is_some()))
        {
            // What still waits says less than the 2xx.
            return self.respond(handle, answer);
        }
        if let Some(mut answer) = reliably.waiting.pop_front() {
            reliably.rseq += 1;
            let rseq = reliably.rseq;
            let description = answer.sdp.is_some();
            answer.headers.push(("Require".into(), "100rel".into()));
            answer.headers.push(("RSeq".into(), rseq.to_string()));
            if description {
                incoming.dialog.extras.local_sdp = answer.sdp.clone();
                if incoming.deal.theirs {
                    incoming.deal.settle();
                } else if !incoming.deal.settled {
                    incoming.deal.ours = true;
                }
            }
            let id = incoming.tx;
            send_answer(
                &mut self.core,
                id,
                &incoming.request,
                &incoming.origin,
                &incoming.dialog,
                &answer,
            );
            let Some(invite) = self.core.table.get(id) else { return };
            let key = self
                .core
                .hash("reliable")
                .field(&invite.key.to_be_bytes())
                .field(&rseq.to_be_bytes())
                .finish();
            let machine = Provisional::new(self.core.config.timers, self.core.now);
            let tx = Tx::new(
                key,
                Machine::Provisional(machine),
                invite.target,
                invite.local,
                invite.message.clone(),
                Owner::Reliable(handle),
            );
            let tx = self.core.table.insert(tx);
            reliably.outstanding = Some(Outstanding { tx, description });
        }
    }

    /// Holds a 2xx back while it must not leave (§3); gives it back if it may.
    pub(super) fn hold_accepted(&mut self, handle: DialogHandle, answer: Answer) -> Option<Answer> {
        let Some(Call::Incoming(incoming)) = self.calls.get_mut(&handle) else {
            return Some(answer);
        };
        match &mut incoming.reliably {
            Some(reliably) if reliably.holds_description() => {
                reliably.accepted = Some(answer);
                None
            }
            _ => Some(answer),
        }
    }

    /// A final response leaves: nothing is repeated any more. Returns the RSeq whose PRACK may still come.
    pub(super) fn drop_reliable(&mut self, reliably: Option<Box<Reliably>>) -> Option<u32> {
        let reliably = reliably?;
        if let Some(outstanding) = &reliably.outstanding {
            self.core.table.remove(outstanding.tx);
        }
        Some(reliably.rseq)
    }

    /// No PRACK for 64·T1: the INVITE is refused (§3).
    pub(super) fn never_pracked(&mut self, handle: DialogHandle) {
        if let Some(Call::Incoming(incoming)) = self.calls.get_mut(&handle) {
            if let Some(reliably) = &mut incoming.reliably {
                reliably.outstanding = None;
            }
            self.respond(handle, Answer::plain(500));
        }
    }

    // ---- PRACK ----

    pub(super) fn prack_received(&mut self, handle: DialogHandle, message: Message, origin: &Origin) {
        let sdp = message.sdp();
        if !self.prack_matches(handle, &message) {
            return self.core.reply(&message, origin, 481, None, &[]);
        }
        let Some(parts) = parts(&mut self.calls, handle, None) else {
            return self.core.reply(&message, origin, 481, None, &[]);
        };
        // The answer to the offer in our response, or an offer of its own.
        let answers = parts.deal.ours;
        let glare = parts.glare();
        if answers {
            parts.deal.settle();
        }
        match (sdp, answers, glare) {
            (Some(_), false, Some(status)) => self.reply_glare(&message, origin, status),
            (Some(sdp), false, None) => {
                let mark = parts.deal.mark;
                let owner = Owner::Asked { handle, mark };
                let Some(pending) = self.core.start_server_other(message, origin, owner) else {
                    return;
                };
                self.ask(handle, mark, pending);
                let event = SipEvent::PrackReceived {
                    sdp: Some(sdp),
                    answer_needed: true,
                };
                self.core.event(handle, event);
            }
            (sdp, ..) => {
                self.core.reply_kept(&message, origin, 200);
                let event = SipEvent::PrackReceived {
                    sdp,
                    answer_needed: false,
                };
                self.core.event(handle, event);
            }
        }
        self.next_reliable(handle);
    }

    /// §3: RAck must name the outstanding response. Its repetition stops.
    fn prack_matches(&mut self, handle: DialogHandle, message: &Message) -> bool {
        let Some((rseq, cseq)) = rack(message) else {
            return false;
        };
        match self.calls.get_mut(&handle) {
            Some(Call::Incoming(incoming)) => {
                let of_invite = incoming.request.cseq().map(|c| c.number) == Some(cseq);
                let Some(reliably) = incoming.reliably.as_mut().filter(|r| of_invite && r.rseq == rseq) else {
                    return false;
                };
                let Some(outstanding) = reliably.outstanding.take() else {
                    return false;
                };
                self.core.table.remove(outstanding.tx);
                true
            }
            // The final response did not wait for it.
            Some(Call::Confirmed(confirmed)) if confirmed.late_prack == Some(rseq) => {
                confirmed.late_prack = None;
                true
            }
            _ => false,
        }
    }

    /// The answer to a PRACK that carried an offer.
    pub(super) fn respond_prack(&mut self, handle: DialogHandle, status: u16, sdp: Option<Bytes>) {
        self.respond_asked(handle, None, (Method::Prack, CommandKind::RespondPrack), status, sdp);
    }
}

/// RAck: RSeq and the CSeq number of the INVITE (RFC 3262 §7.2).
fn rack(message: &Message) -> Option<(u32, u32)> {
    let value = message.value(HeaderName::RAck)?;
    let mut parts = value.split_ascii_whitespace();
    let numbers = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    (parts.next()? == "INVITE").then_some(numbers)
}
