//! Results of notices and verification codes (voice-paas §6) as a pure function of the log.

use crate::ids::{call_sid, request_sid_of};
use serde::Serialize;
use strowger_core::event::{Event, Fact};
use strowger_core::project::{Body, Projector, Subscription, Topic};
use strowger_core::record::{ConversationRecord, LegRecord};
use strowger_core::{ApplicationId, By, Cause, LegSeq, Stamp};

/// The projector's name in subscriptions.
pub const NOTICE_PROJECTOR: &str = "pc-notice";

const JSON: &str = "application/json;charset=utf-8";

/// What a subscription to a result carries, so that its push needs nothing but the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ResultContext {
    /// Echoed as `appid`.
    pub application: ApplicationId,
    /// Echoed as `requestid`; empty for the conversation's own.
    pub requestid: String,
    /// Zone of displayed times, minutes east of UTC.
    pub zone_minutes: i32,
    /// The result has `inputkey` (C7).
    pub keys: bool,
}

impl ResultContext {
    /// The subscription of a receiver, fixed when the conversation is created.
    pub fn subscription(&self, url: &str) -> Subscription {
        let pairs = [
            ("appid", self.application.to_string()),
            ("requestid", self.requestid.clone()),
            ("zone_minutes", self.zone_minutes.to_string()),
            ("keys", u8::from(self.keys).to_string()),
        ];
        Subscription {
            topic: Topic::CallRecord,
            url: url.to_owned(),
            projector: NOTICE_PROJECTOR.to_owned(),
            context: pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect(),
        }
    }
}

/// The projector of results.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoticeProjector;

impl Projector for NoticeProjector {
    fn name(&self) -> &'static str {
        NOTICE_PROJECTOR
    }

    fn project(&self, subscription: &Subscription, record: &ConversationRecord, event: &Event) -> Option<Body> {
        if event.fact != Fact::Ended {
            return None;
        }
        let body = ResultBody::of(subscription, record)?;
        Some(Body {
            content_type: JSON,
            // A struct of strings always serialises; a failure would mean a body that cannot exist.
            bytes: serde_json::to_vec(&body).ok()?,
            key: body.callid,
            batch: None,
        })
    }
}

/// The thirteen members, in the order of the specification's table.
#[derive(Serialize)]
struct ResultBody<'a> {
    requestid: String,
    callid: String,
    appid: &'a str,
    to: &'a str,
    starttime: String,
    ringtime: String,
    answertime: String,
    endtime: String,
    duration: String,
    result: &'static str,
    reason: &'static str,
    userdata: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    inputkey: Option<String>,
}

impl<'a> ResultBody<'a> {
    fn of(s: &'a Subscription, record: &'a ConversationRecord) -> Option<ResultBody<'a>> {
        let leg = record.leg(LegSeq(0))?;
        // A context that was written by hand and has no zone means the source's zone.
        let zone: i32 = s.get("zone_minutes").parse().unwrap_or(480);
        let time = |at: Option<Stamp>| at.map(|at| at.civil(zone).digits14()).unwrap_or_default();
        let (result, reason) = outcome(record, leg);
        let requestid = match s.get("requestid") {
            "" => request_sid_of(record.id),
            id => id.to_owned(),
        };
        Some(ResultBody {
            requestid,
            callid: call_sid(record.id, leg.seq),
            appid: s.get("appid"),
            to: &leg.to,
            starttime: time(Some(leg.start)),
            ringtime: time(leg.ring),
            answertime: time(leg.answer),
            endtime: time(leg.stop),
            duration: leg.duration().to_string(),
            result,
            reason,
            userdata: &record.head.user_data,
            inputkey: (s.get("keys") == "1").then(|| leg.key.map(String::from).unwrap_or_default()),
        })
    }
}

/// `result` and `reason` (§6, D42).
fn outcome(record: &ConversationRecord, leg: &LegRecord) -> (&'static str, &'static str) {
    const SUCCESS: (&str, &str) = ("0", "");
    const NOT_ANSWERED: (&str, &str) = ("1", "1");
    const FAILED: (&str, &str) = ("1", "2");
    if leg.answer.is_some() {
        // P13: nothing could be played to somebody who answered. And nobody is reached by a call that a machine answered,
        // and that hung up for that.
        let unheard = matches!(
            record.end,
            Some((
                Cause::Failed | Cause::AnsweredByMachine | Cause::AnsweredByFax,
                By::System
            ))
        );
        return if unheard { FAILED } else { SUCCESS };
    }
    match leg.end.map(|(cause, _)| cause) {
        // The ring timer, 480 or 403 after ringing, 486, 600, 603.
        Some(Cause::NoAnswer | Cause::Rejected | Cause::Busy) => NOT_ANSWERED,
        _ => FAILED,
    }
}
