//! Transfers: REFER of both sides with the subscription that it implies (RFC 3515, RFC 4488), and Replaces (RFC 3891).

use super::alarms::Alarm;
use super::core::{Origin, Pending};
use super::dialog::{lists, number};
use super::table::TxId;
use super::{Call, Owner, Stack};
use crate::api::*;
use crate::headers::Params;
use crate::message::{HeaderName, Message, Method};
use crate::write::reason_phrase;

/// How long a peer hears of the call that it referred us to, in s.
const SUBSCRIPTION: u64 = 60;
/// How long we wait for a NOTIFY where the peer does not say, in s.
const PATIENCE: u64 = 180;
/// Added to what the peer says: its last NOTIFY may be repeated for 64·T1.
const GRACE: u64 = 32;

/// The REFERs of one dialog.
#[derive(Default)]
pub(super) struct Refers {
    ours: Vec<Ours>,
    theirs: Vec<Theirs>,
}

struct Ours {
    id: u32,
    /// CSeq of the REFER that the peer has seen; it differs from `id` after a challenge.
    cseq: u32,
    answered: bool,
    until: Time,
}

struct Theirs {
    id: u32,
    /// Until the application has answered.
    pending: Option<Pending>,
    /// The peer wants no NOTIFY (RFC 4488).
    quiet: bool,
    /// The end of the subscription, once it is accepted.
    until: Time,
    /// What the last NOTIFY said.
    last: String,
}

impl Refers {
    /// Requests of theirs that nobody has answered.
    pub fn take_pending(&mut self) -> Vec<Pending> {
        self.theirs.iter_mut().filter_map(|t| t.pending.take()).collect()
    }

    fn next(&self) -> Option<Time> {
        let theirs = self.theirs.iter().filter(|t| t.pending.is_none()).map(|t| t.until);
        self.ours.iter().map(|o| o.until).chain(theirs).min()
    }
}

impl Stack {
    fn refers(&mut self, handle: DialogHandle) -> Option<&mut Refers> {
        Some(&mut **self.confirmed(handle)?.refers.get_or_insert_default())
    }

    fn arm_refers(&mut self, handle: DialogHandle) {
        let next = self.refers(handle).and_then(|r| r.next());
        self.core.alarms.set(handle, Alarm::Refer, next);
    }

    /// An implied subscription has lasted long enough.
    pub(super) fn refer_due(&mut self, handle: DialogHandle) {
        let now = self.core.now;
        let Some(refers) = self.refers(handle) else { return };
        let silent: Vec<u32> = refers.ours.iter().filter(|o| o.until <= now).map(|o| o.id).collect();
        refers.ours.retain(|o| o.until > now);
        let over = |t: &Theirs| t.pending.is_none() && t.until <= now;
        let expired: Vec<(u32, bool, String)> = refers
            .theirs
            .iter()
            .filter(|t| over(t))
            .map(|t| (t.id, t.quiet, t.last.clone()))
            .collect();
        refers.theirs.retain(|t| !over(t));
        for id in silent {
            let event = SipEvent::ReferProgress {
                id,
                status: 408,
                finished: true,
            };
            self.core.event(handle, event);
        }
        for (id, quiet, last) in expired {
            if !quiet {
                self.send_notify(handle, id, "terminated;reason=timeout", &last);
            }
        }
        self.arm_refers(handle);
    }

    // ---- REFER of ours ----

    pub(super) fn refer(&mut self, handle: DialogHandle, refer_to: &str, referred_by: Option<&str>) {
        let why = self.why_not_confirmed(handle);
        let until = self.core.now.plus(PATIENCE * 1_000_000);
        let Some(Call::Confirmed(confirmed)) = self.calls.get_mut(&handle) else {
            return self.core.refuse(handle, CommandKind::Refer, why);
        };
        if crate::Uri::parse(refer_to).is_err() {
            return self.core.refuse(handle, CommandKind::Refer, Refusal::BadArgument);
        }
        let refers = confirmed.refers.get_or_insert_default();
        if refers.ours.len() >= MAX_REFERS {
            return self.core.refuse(handle, CommandKind::Refer, Refusal::WrongState);
        }
        confirmed.dialog.local_seq += 1;
        let cseq = confirmed.dialog.local_seq;
        let mut draft = confirmed.dialog.draft(&self.core, Method::Refer, cseq, "");
        draft.writer.header_parts("Refer-To", &["<", refer_to, ">"]);
        if let Some(referred_by) = referred_by {
            draft.writer.header("Referred-By", referred_by);
        }
        // NOTIFY may overtake the response (RFC 3515 §2.4.4).
        refers.ours.push(Ours {
            id: cseq,
            cseq,
            answered: false,
            until,
        });
        let owner = Owner::Refer {
            handle,
            id: cseq,
            retried: false,
        };
        self.core.start_client(
            Method::Refer,
            &draft.branch,
            draft.target,
            draft.local,
            draft.writer.finish(),
            owner,
        );
        self.arm_refers(handle);
    }

    pub(super) fn refer_response(&mut self, tx: TxId, owner: Owner, message: &Message, status: u16) {
        let Owner::Refer { handle, id, retried } = owner else {
            return;
        };
        if matches!(status, 401 | 407) && !retried {
            let again = Owner::Refer {
                handle,
                id,
                retried: true,
            };
            if self.reissue_in_dialog(tx, handle, None, message, again).is_some() {
                let newest = self.confirmed(handle).map_or(0, |c| c.dialog.local_seq);
                if let Some(ours) = self.refers(handle).and_then(|r| r.ours.iter_mut().find(|o| o.id == id)) {
                    ours.cseq = newest;
                }
                return;
            }
        }
        let quiet = message
            .value_by_name("Refer-Sub")
            .is_some_and(|v| v.trim_start().to_ascii_lowercase().starts_with("false"));
        self.refer_answered(handle, id, status, quiet);
        if status == 481 && self.confirmed(handle).is_some() {
            self.close(handle, None, EndCause::PeerLost);
        }
    }

    /// The end of a REFER transaction of ours; 408 if nothing came.
    pub(super) fn refer_answered(&mut self, handle: DialogHandle, id: u32, status: u16, quiet: bool) {
        let Some(refers) = self.refers(handle) else { return };
        let accepted = status < 300 && !quiet;
        refers.ours.retain_mut(|ours| {
            if ours.id == id {
                ours.answered = true;
            }
            ours.id != id || accepted
        });
        self.core.event(handle, SipEvent::ReferResult { id, status });
        self.arm_refers(handle);
    }

    pub(super) fn notify_received(&mut self, handle: DialogHandle, message: &Message, origin: &Origin) {
        let now = self.core.now;
        let event = message.value(HeaderName::Event).unwrap_or_default();
        if !event
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .eq_ignore_ascii_case("refer")
        {
            return self
                .core
                .reply(message, origin, 489, None, &[("Allow-Events", "refer")]);
        }
        let id: Option<u32> = Params::new(event.as_bytes())
            .get("id")
            .and_then(|id| std::str::from_utf8(id).ok()?.parse().ok());
        let Some(refers) = self.refers(handle) else { return };
        // §2.4.6: the first REFER of a dialog may go without an id.
        let found = match id {
            Some(id) => refers.ours.iter().position(|o| o.cseq == id),
            None => (!refers.ours.is_empty()).then_some(0),
        };
        let Some(at) = found else {
            return self.core.reply(message, origin, 481, None, &[]);
        };
        let state = message.value(HeaderName::SubscriptionState).unwrap_or_default();
        let finished = state
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .eq_ignore_ascii_case("terminated");
        let expires = Params::new(state.as_bytes())
            .get("expires")
            .and_then(|v| std::str::from_utf8(v).ok()?.parse::<u32>().ok());
        let ours = &mut refers.ours[at];
        let id = ours.id;
        if finished {
            refers.ours.remove(at);
        } else {
            let seconds = expires.map_or(PATIENCE, |s| u64::from(s.min(86_400)) + GRACE);
            ours.until = now.plus(seconds * 1_000_000);
        }
        self.core.reply_kept(message, origin, 200);
        let status = fragment_status(message);
        self.core
            .event(handle, SipEvent::ReferProgress { id, status, finished });
        self.arm_refers(handle);
    }

    // ---- REFER of theirs ----

    pub(super) fn refer_received(&mut self, handle: DialogHandle, message: Message, origin: &Origin) {
        let id = message.cseq().map_or(0, |c| c.number);
        let mut values = message.list(HeaderName::ReferTo);
        let first = values.next().and_then(|value| ReferTo::parse(&value));
        let single = values.next().is_none();
        drop(values);
        // §2.4.2: exactly one Refer-To.
        let Some(refer_to) = first.filter(|_| single) else {
            return self.core.reply(&message, origin, 400, Some("Bad Refer-To"), &[]);
        };
        let Some(refers) = self.refers(handle) else { return };
        if refers.theirs.len() >= MAX_REFERS {
            return self.reply_glare(&message, origin, 500);
        }
        let quiet = message
            .value_by_name("Refer-Sub")
            .is_some_and(|v| v.trim_start().to_ascii_lowercase().starts_with("false"))
            || lists(&message, HeaderName::Require, "norefersub");
        let referred_by = message.value(HeaderName::ReferredBy).map(|v| v.into_owned());
        let owner = Owner::ReferAsked { handle, id };
        let Some(pending) = self.core.start_server_other(message, origin, owner) else {
            return;
        };
        let now = self.core.now;
        if let Some(refers) = self.refers(handle) {
            refers.theirs.push(Theirs {
                id,
                pending: Some(pending),
                quiet,
                until: now,
                last: sip_fragment(100, None),
            });
        }
        let event = SipEvent::ReferReceived {
            id,
            refer_to: Box::new(refer_to),
            referred_by,
        };
        self.core.event(handle, event);
    }

    pub(super) fn answer_refer(&mut self, handle: DialogHandle, id: u32, status: u16) {
        let why = self.why_not_confirmed(handle);
        let until = self.core.now.plus(SUBSCRIPTION * 1_000_000);
        let Some(Call::Confirmed(confirmed)) = self.calls.get_mut(&handle) else {
            return self.core.refuse(handle, CommandKind::AnswerRefer, why);
        };
        if !(200..700).contains(&status) {
            return self.core.refuse(handle, CommandKind::AnswerRefer, Refusal::BadArgument);
        }
        let refers = confirmed.refers.get_or_insert_default();
        let theirs = refers
            .theirs
            .iter_mut()
            .find(|t| t.id == id)
            .and_then(|t| Some((t.pending.take()?, t)));
        let Some((pending, theirs)) = theirs else {
            return self.core.refuse(handle, CommandKind::AnswerRefer, Refusal::WrongState);
        };
        theirs.until = until;
        let quiet = theirs.quiet;
        let mut writer = self.core.respond_head(
            &pending.request,
            &pending.origin,
            status,
            None,
            &confirmed.dialog.local_tag,
            None,
        );
        if status < 300 {
            // REFER makes a subscription, whose Contact is that of the dialog (RFC 3515 §2.2).
            let contact = self.core.contact_value(
                pending.origin.source,
                pending.origin.local,
                confirmed.dialog.extras.contact_user.as_deref(),
            );
            writer.header("Contact", &contact);
            if quiet {
                writer.header("Refer-Sub", "false");
            }
        } else {
            refers.theirs.retain(|t| t.id != id);
        }
        self.core.send_response(pending.tx, status, writer.finish());
        if status < 300 && !quiet {
            let state = format!("active;expires={SUBSCRIPTION}");
            self.send_notify(handle, id, &state, &sip_fragment(100, None));
        }
        self.arm_refers(handle);
    }

    pub(super) fn notify_refer(
        &mut self,
        handle: DialogHandle,
        id: u32,
        (status, phrase): (u16, Option<&str>),
        finished: bool,
    ) {
        let why = self.why_not_confirmed(handle);
        let now = self.core.now;
        let Some(refers) = self.refers(handle) else {
            return self.core.refuse(handle, CommandKind::NotifyRefer, why);
        };
        if !(100..700).contains(&status) {
            return self.core.refuse(handle, CommandKind::NotifyRefer, Refusal::BadArgument);
        }
        // The subscription may have expired, which is no mistake of the application.
        let Some(theirs) = refers.theirs.iter_mut().find(|t| t.id == id && t.pending.is_none()) else {
            return;
        };
        theirs.last = sip_fragment(status, phrase);
        let (quiet, last) = (theirs.quiet, theirs.last.clone());
        let left = theirs.until.since(now) / 1_000_000;
        if finished {
            refers.theirs.retain(|t| t.id != id);
        }
        if !quiet {
            let state = if finished {
                "terminated;reason=noresource".to_owned()
            } else {
                format!("active;expires={left}")
            };
            self.send_notify(handle, id, &state, &last);
        }
        self.arm_refers(handle);
    }

    fn send_notify(&mut self, handle: DialogHandle, id: u32, state: &str, fragment: &str) {
        let Some(Call::Confirmed(confirmed)) = self.calls.get_mut(&handle) else {
            return;
        };
        confirmed.dialog.local_seq += 1;
        let mut draft = confirmed
            .dialog
            .draft(&self.core, Method::Notify, confirmed.dialog.local_seq, "");
        draft.writer.header("Event", &format!("refer;id={id}"));
        draft.writer.header("Subscription-State", state);
        let bytes = draft
            .writer
            .finish_with("message/sipfrag;version=2.0", fragment.as_bytes());
        let owner = Owner::Notify {
            handle,
            id,
            retried: false,
        };
        self.core
            .start_client(Method::Notify, &draft.branch, draft.target, draft.local, bytes, owner);
    }

    pub(super) fn notify_response(&mut self, tx: TxId, owner: Owner, message: &Message, status: u16) {
        let Owner::Notify { handle, id, retried } = owner else {
            return;
        };
        let again = Owner::Notify {
            handle,
            id,
            retried: true,
        };
        if matches!(status, 401 | 407) && !retried && self.reissue_in_dialog(tx, handle, None, message, again).is_some()
        {
            return;
        }
        if status >= 300 && number(message, HeaderName::RetryAfter).is_none() {
            self.unsubscribed(handle, id);
        }
    }

    /// The peer does not want to hear any more of a call it referred us to (RFC 6665 §4.2.2).
    pub(super) fn unsubscribed(&mut self, handle: DialogHandle, id: u32) {
        if let Some(refers) = self.refers(handle) {
            refers.theirs.retain(|t| t.id != id);
            self.arm_refers(handle);
        }
    }

    /// The application has not answered a REFER in time.
    pub(super) fn refer_expired(&mut self, tx: TxId, handle: DialogHandle, id: u32) {
        let Some(refers) = self.refers(handle) else { return };
        let theirs = refers.theirs.iter_mut().find(|t| t.id == id);
        let Some(pending) = theirs.and_then(|t| t.pending.take_if(|p| p.tx == tx)) else {
            return;
        };
        refers.theirs.retain(|t| t.id != id);
        self.core.answer_pending(&pending, 504);
    }

    // ---- Replaces ----

    /// RFC 3891 §3: the dialog that an INVITE wants to replace. `Err` is the status that refuses it.
    pub(super) fn replaced(&mut self, invite: &Message) -> Result<Option<Replaced>, u16> {
        let mut values = invite.raw_values(HeaderName::Replaces);
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(400);
        }
        let replaces = Replaces::parse(&String::from_utf8_lossy(value)).ok_or(400u16)?;
        // A tag "0" stands for none, as peers of RFC 2543 have it.
        let remote = if replaces.from_tag == "0" {
            ""
        } else {
            &replaces.from_tag
        };
        let key = self.core.dialog_key(&replaces.call_id, &replaces.to_tag, remote);
        let Some(handle) = self.core.dialogs.get(&key).copied() else {
            return Err(if self.core.has_ended(key) { 603 } else { 481 });
        };
        match self.calls.get(&handle) {
            Some(Call::Confirmed(_)) if replaces.early_only => Err(486),
            Some(Call::Confirmed(_) | Call::Inviting(_)) => Ok(Some(Replaced {
                handle,
                early_only: replaces.early_only,
            })),
            Some(Call::Closing(_)) => Err(603),
            // An early dialog that we did not initiate cannot be replaced.
            _ => Err(481),
        }
    }
}

/// A status line as message/sipfrag (RFC 3420).
fn sip_fragment(status: u16, phrase: Option<&str>) -> String {
    let phrase = phrase.unwrap_or_else(|| reason_phrase(status));
    let safe: String = phrase.chars().filter(|c| !c.is_control()).collect();
    format!("SIP/2.0 {status} {safe}\r\n")
}

/// The status in the body of a NOTIFY; 0 if there is none.
fn fragment_status(message: &Message) -> u16 {
    let body = message.body();
    let digits = body.strip_prefix(b"SIP/2.0 ").and_then(|rest| rest.get(..3));
    digits
        .and_then(|d| std::str::from_utf8(d).ok()?.parse().ok())
        .filter(|status| (100..700).contains(status))
        .unwrap_or(0)
}
