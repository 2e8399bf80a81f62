//! How a dialog ends by our doing: BYE and what comes of it (RFC 3261 §15).

use super::confirmed::Exchange;
use super::table::TxId;
use super::uas::Answer;
use super::{Call, Owner, Stack};
use crate::api::*;
use crate::message::{Message, Method};

/// A dialog whose BYE is out.
pub(super) struct Closing {
    pub dialog: ConfirmedSnapshot,
    pub credentials: Option<Box<Credentials>>,
    cause: EndCause,
}

impl Stack {
    pub(super) fn bye(&mut self, handle: DialogHandle, reason: Option<Reason>, command: CommandKind) {
        match self.calls.get_mut(&handle) {
            Some(Call::Inviting(_)) => self.cancel(handle, reason, command),
            Some(Call::Incoming(_)) => {
                let headers = reason.iter().map(|r| ("Reason".to_owned(), reason_text(r))).collect();
                self.respond(
                    handle,
                    Answer {
                        headers,
                        ..Answer::plain(480)
                    },
                );
            }
            Some(Call::Confirmed(confirmed)) => {
                if matches!(confirmed.exchange, Exchange::TheirsToAck { .. }) {
                    // §15: not before the ACK, or the end of the wait for it.
                    confirmed.bye_after_ack = Some(reason);
                } else {
                    self.close(handle, reason, EndCause::Bye { status: None });
                }
            }
            Some(Call::Closing(_) | Call::Probing | Call::Outside(_) | Call::Registering(_)) => {
                self.core.refuse(handle, command, Refusal::WrongState)
            }
            None => self.core.refuse(handle, command, Refusal::UnknownHandle),
        }
    }

    /// Ends a confirmed dialog, with everything that is under way inside it.
    pub(super) fn close(&mut self, handle: DialogHandle, reason: Option<Reason>, cause: EndCause) {
        match self.confirmed(handle).map(|c| &c.exchange) {
            Some(Exchange::Theirs { .. }) => self.respond_reinvite(handle, &Answer::plain(487)),
            Some(Exchange::OursToAck { tx }) => {
                let tx = *tx;
                if let Some(dialog) = self.confirmed(handle).map(|c| c.dialog.clone()) {
                    self.send_ack_of(tx, &dialog, None);
                }
            }
            _ => {}
        }
        if self.confirmed(handle).is_none() {
            return;
        }
        let Some(Call::Confirmed(mut confirmed)) = self.calls.remove(&handle) else {
            return;
        };
        self.core.settle(&mut confirmed);
        self.core.alarms.clear(handle);
        self.start_bye(handle, confirmed.dialog, confirmed.credentials, reason, cause);
    }

    pub(super) fn start_bye(
        &mut self,
        handle: DialogHandle,
        mut dialog: ConfirmedSnapshot,
        credentials: Option<Box<Credentials>>,
        reason: Option<Reason>,
        cause: EndCause,
    ) {
        dialog.local_seq += 1;
        let mut draft = dialog.draft(&self.core, Method::Bye, dialog.local_seq, "");
        if let Some(reason) = &reason {
            draft.writer.reason(reason);
        }
        let owner = Owner::Bye { handle, retried: false };
        self.core.start_client(
            Method::Bye,
            &draft.branch,
            draft.target,
            draft.local,
            draft.writer.finish(),
            owner,
        );
        self.calls.insert(
            handle,
            Call::Closing(Box::new(Closing {
                dialog,
                credentials,
                cause,
            })),
        );
    }

    pub(super) fn bye_response(
        &mut self,
        id: TxId,
        handle: DialogHandle,
        retried: bool,
        message: &Message,
        status: u16,
    ) {
        let owner = Owner::Bye { handle, retried: true };
        if matches!(status, 401 | 407) && !retried && self.reissue_in_dialog(id, handle, None, message, owner).is_some()
        {
            return;
        }
        self.bye_over(handle, Some(status));
    }

    /// §15.1.1: whatever the response, and if there is none, the dialog is over.
    pub(super) fn bye_over(&mut self, handle: DialogHandle, status: Option<u16>) {
        if !matches!(self.calls.get(&handle), Some(Call::Closing(_))) {
            return;
        }
        let Some(Call::Closing(closing)) = self.calls.remove(&handle) else {
            return;
        };
        self.core.dialog_ended(&closing.dialog);
        let cause = match closing.cause {
            EndCause::Bye { .. } => EndCause::Bye { status },
            cause => cause,
        };
        self.core.event(handle, SipEvent::Ended { cause });
    }

    /// §13.3.1.4: 64·T1 without an ACK to our 2xx.
    pub(super) fn never_acknowledged(&mut self, id: TxId, handle: DialogHandle) {
        match self.confirmed(handle) {
            Some(confirmed) if matches!(confirmed.exchange, Exchange::TheirsToAck { tx, .. } if tx == id) => {
                confirmed.exchange = Exchange::Idle;
                let reason = confirmed.bye_after_ack.take().flatten();
                self.core.event(handle, SipEvent::NoAck);
                self.close(handle, reason, EndCause::NoAck);
            }
            _ => {}
        }
    }
}

/// A Reason value as text.
fn reason_text(reason: &Reason) -> String {
    let mut out = reason.protocol.clone();
    if let Some(cause) = reason.cause {
        out.push_str(&format!(";cause={cause}"));
    }
    if let Some(text) = &reason.text {
        out.push_str(";text=");
        crate::write::quote_into(&mut out, text);
    }
    out
}
