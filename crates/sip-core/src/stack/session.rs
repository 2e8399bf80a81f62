//! Session timers (RFC 4028): who refreshes, when, and what happens if nobody does.

use super::alarms::Alarm;
use super::confirmed::Confirmed;
use super::core::Core;
use super::deal::parts;
use super::dialog::{lists, number};
use super::{Call, Stack};
use crate::api::*;
use crate::headers::Params;
use crate::message::{HeaderName, Message};
use crate::write::Writer;

/// µs before a refresh is tried again that could not leave or was refused for a passing reason.
const RETRY: u64 = 2_000_000;

/// What a request says about the interval (§9).
pub(super) enum Judgement {
    /// It is shorter than we accept: 422.
    TooSmall,
    /// The agreed interval, if there is to be one.
    Agreed(Option<SessionTimer>),
}

/// Session-Expires: seconds, and whether the refresher is the one who sent the request.
fn session_expires(message: &Message) -> Option<(u32, Option<bool>)> {
    let seconds = number(message, HeaderName::SessionExpires)?;
    let value = message.raw_values(HeaderName::SessionExpires).next()?;
    let refresher = Params::new(value)
        .get("refresher")
        .map(|who| who.eq_ignore_ascii_case(b"uac"));
    Some((seconds, refresher))
}

impl Core {
    /// §9: the UAS decides.
    pub(super) fn judge_session(&self, request: &Message) -> Judgement {
        let config = self.config.session;
        if !config.enabled {
            return Judgement::Agreed(None);
        }
        let timer = |name| lists(request, name, "timer");
        let supports = timer(HeaderName::Supported) || timer(HeaderName::Require);
        let asked = session_expires(request);
        if supports && asked.is_some_and(|(seconds, _)| seconds < config.min_se) {
            return Judgement::TooSmall;
        }
        // Somebody who knows nothing of session timers is asked for a sign of life by us (table 2 of §9: refresher uas).
        let least = number(request, HeaderName::MinSe).unwrap_or(0).max(config.min_se);
        let (seconds, refresher) = asked.unwrap_or((config.expires, None));
        let they_refresh = supports && refresher.unwrap_or(true);
        Judgement::Agreed(Some(SessionTimer {
            expires: seconds.min(config.expires).max(least),
            we_refresh: !they_refresh,
        }))
    }

    /// The interval that a 2xx to this request agrees to.
    pub(super) fn agreed_session(&self, request: &Message) -> Option<SessionTimer> {
        match self.judge_session(request) {
            Judgement::Agreed(timer) => timer,
            Judgement::TooSmall => None,
        }
    }

    /// 422 with what we would accept.
    pub(super) fn reply_interval_too_small(&mut self, request: &Message, origin: &super::Origin) {
        let least = self.config.session.min_se.to_string();
        self.reply(request, origin, 422, None, &[("Min-SE", &least)]);
    }

    /// Session-Expires of a request inside a dialog, or of the one that opens it.
    pub(super) fn session_request(&self, writer: &mut Writer, timer: Option<SessionTimer>) {
        let config = self.config.session;
        if !config.enabled {
            return;
        }
        if config.min_se > 90 {
            writer.number("Min-SE", config.min_se);
        }
        match timer {
            None => writer.number("Session-Expires", config.expires),
            Some(timer) => {
                let who = if timer.we_refresh { "uac" } else { "uas" };
                writer.header("Session-Expires", &format!("{};refresher={who}", timer.expires));
            }
        }
    }

    /// Starts, restarts or ends the timer of a dialog.
    pub(super) fn session_agreed(
        &mut self,
        handle: DialogHandle,
        confirmed: &mut Confirmed,
        timer: Option<SessionTimer>,
    ) {
        confirmed.dialog.extras.session = timer;
        let (end, next) = match timer {
            None => (None, None),
            Some(timer) => {
                let seconds = u64::from(timer.expires);
                // §10: whoever does not refresh hangs up a little before the end.
                let end = self.now.plus((seconds - (seconds / 3).min(32)) * 1_000_000);
                let half = self.now.plus(seconds * 500_000);
                (Some(end), Some(if timer.we_refresh { half.min(end) } else { end }))
            }
        };
        confirmed.session_end = end;
        self.alarms.set(handle, Alarm::Session, next);
    }

    /// What a 2xx to a request of ours says (§7.2). One that says nothing comes from a peer without session timers: we
    /// refresh by ourselves, so that a peer that has vanished is found out.
    pub(super) fn session_answered(&mut self, handle: DialogHandle, confirmed: &mut Confirmed, response: &Message) {
        let config = self.config.session;
        let timer = config.enabled.then(|| {
            let (seconds, refresher) = session_expires(response).unwrap_or((config.expires, None));
            SessionTimer {
                // Less than the least would have us refresh without end.
                expires: seconds.max(config.min_se.max(2)),
                we_refresh: refresher.unwrap_or(true),
            }
        });
        self.session_agreed(handle, confirmed, timer);
    }
}

/// The header fields of a 2xx that agrees to an interval (§9).
pub(super) fn session_fields(timer: Option<SessionTimer>) -> Vec<(&'static str, String)> {
    let Some(timer) = timer else { return Vec::new() };
    // The roles are those of this request: whoever sent it is the UAC.
    let who = if timer.we_refresh { "uas" } else { "uac" };
    let mut fields = vec![("Session-Expires", format!("{};refresher={who}", timer.expires))];
    if !timer.we_refresh {
        fields.push(("Require", "timer".to_owned()));
    }
    fields
}

impl Stack {
    /// The alarm: a refresh is due, or the session is over.
    pub(super) fn session_due(&mut self, handle: DialogHandle) {
        let now = self.core.now;
        let Some(Call::Confirmed(confirmed)) = self.calls.get_mut(&handle) else {
            return;
        };
        let (Some(end), Some(timer)) = (confirmed.session_end, confirmed.dialog.extras.session) else {
            return;
        };
        if end <= now {
            let reason = Reason::sip(408, "Session expired");
            return self.close(handle, Some(reason), EndCause::SessionExpired);
        }
        let pause = if timer.we_refresh && !self.refresh(handle) {
            now.plus(RETRY).min(end)
        } else {
            end
        };
        self.core.alarms.set(handle, Alarm::Session, Some(pause));
    }

    /// Sends a refresh; false if something else is under way.
    fn refresh(&mut self, handle: DialogHandle) -> bool {
        let Some(parts) = parts(&mut self.calls, handle, None) else {
            return false;
        };
        if !parts.may_update(true) {
            return false;
        }
        let extras = &parts.dialog.extras;
        if !extras.peer_updates && extras.local_sdp.is_some() {
            // §7.4: our last description unchanged, version included.
            let sdp = extras.local_sdp.clone();
            self.send_reinvite(handle, sdp, true);
        } else {
            self.send_update(handle, None, None, true);
        }
        true
    }

    /// 422 to a request of ours inside a dialog: the next one offers what the peer wants (§7.3).
    pub(super) fn raise_interval(&mut self, handle: DialogHandle, message: &Message) {
        let least = number(message, HeaderName::MinSe).unwrap_or(0);
        if let Some(timer) = self.confirmed(handle).and_then(|c| c.dialog.extras.session.as_mut()) {
            timer.expires = timer.expires.max(least);
        }
    }

    /// A refresh of ours was refused; the session goes on until its end.
    pub(super) fn refresh_refused(&mut self, handle: DialogHandle, status: u16, retry_in: Option<u64>) {
        let now = self.core.now;
        let Some(Call::Confirmed(confirmed)) = self.calls.get_mut(&handle) else {
            return;
        };
        let Some(end) = confirmed.session_end else { return };
        if matches!(status, 405 | 501) {
            confirmed.dialog.extras.peer_updates = false;
        }
        let pause = retry_in.unwrap_or(match status {
            405 | 501 => 0,
            _ => RETRY,
        });
        self.core
            .alarms
            .set(handle, Alarm::Session, Some(now.plus(pause).min(end)));
    }

    /// Goes on with the timer of an imported dialog. When it was refreshed last is not known: as refresher we do it
    /// soon, spread over the first seconds; otherwise the peer gets a whole interval.
    pub(super) fn session_imported(&mut self, handle: DialogHandle) {
        let Some(Call::Confirmed(confirmed)) = self.calls.get_mut(&handle) else {
            return;
        };
        let Some(timer) = confirmed.dialog.extras.session else {
            return;
        };
        let spread = u64::from(timer.expires / 10).clamp(1, 30) * 1_000_000;
        let draw = self.core.hash("import").field(confirmed.dialog.call_id.as_bytes());
        self.core.session_agreed(handle, confirmed, Some(timer));
        if timer.we_refresh {
            let at = self.core.now.plus(draw.finish() as u64 % spread);
            self.core.alarms.set(handle, Alarm::Session, Some(at));
        }
    }
}
