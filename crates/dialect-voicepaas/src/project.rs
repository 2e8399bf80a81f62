//! Pushes: status events (voice-paas §11) and call records (§12) as a pure function of the log.

use crate::cdr::{self, CdrBody};
use crate::ids::{call_sid, conversation_sid};
use serde::Serialize;
use strowger_core::event::{Direction, Event, Fact};
use strowger_core::project::{Batching, Body, Projector, Subscription, Topic};
use strowger_core::record::{ConversationRecord, LegRecord, RecordingRecord};
use strowger_core::resource::ApplicationSettings;
use strowger_core::{AccountId, ApplicationId, Stamp};

/// The projector's name in subscriptions.
pub const PROJECTOR: &str = "pc";

const JSON: &str = "application/json;charset=utf-8";

/// What a subscription of this dialect carries, so that its pushes need nothing but the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionContext {
    /// Echoed as `accountSid`; empty for a call that came in.
    pub account: Option<AccountId>,
    /// Echoed as `appSid`.
    pub application: ApplicationId,
    /// Echoed as `apiVersion`.
    pub version: String,
    /// Zone of displayed times, minutes east of UTC.
    pub zone_minutes: i32,
    /// Report a cancelled leg as `failed`.
    pub strict_causes: bool,
    /// Put in front of a recording's name.
    pub recording_base: String,
    /// How call records travel together; `None` pushes each for itself.
    pub batch: Option<Batching>,
}

impl SubscriptionContext {
    /// With an application's settings and this dialect's default label; for calls that no request asked for.
    pub fn of_application(
        application: ApplicationId,
        account: Option<AccountId>,
        settings: &ApplicationSettings,
        recording_base: String,
    ) -> SubscriptionContext {
        SubscriptionContext {
            account,
            application,
            version: String::new(),
            zone_minutes: settings.zone_minutes,
            strict_causes: settings.strict_causes,
            recording_base,
            batch: batching(settings),
        }
    }

    /// Subscriptions for the URLs that are there; both are fixed when the conversation is created.
    pub fn subscriptions(&self, status_url: Option<&str>, record_url: Option<&str>) -> Vec<Subscription> {
        let make = |topic, url: &str| Subscription {
            topic,
            url: url.to_owned(),
            projector: PROJECTOR.to_owned(),
            context: self.to_pairs(),
        };
        let status = status_url.map(|u| make(Topic::Status, u));
        let record = record_url.map(|u| make(Topic::CallRecord, u));
        status.into_iter().chain(record).collect()
    }

    fn to_pairs(&self) -> Vec<(String, String)> {
        let account = self.account.map(|a| a.to_string()).unwrap_or_default();
        let batch = self.batch.map(|b| {
            [
                ("batch_size", b.most.to_string()),
                ("batch_ms", b.window_ms.to_string()),
            ]
        });
        [
            ("account_sid", account),
            ("app_sid", self.application.to_string()),
            ("api_version", self.version.clone()),
            ("zone_minutes", self.zone_minutes.to_string()),
            ("strict", u8::from(self.strict_causes).to_string()),
            ("recording_base", self.recording_base.clone()),
        ]
        .into_iter()
        .chain(batch.into_iter().flatten())
        .map(|(k, v)| (k.to_owned(), v))
        .collect()
    }
}

/// Most call records in one request (voice-paas §13.3).
const MAX_BATCH: u32 = 100;

/// How call records of an application travel together.
pub(crate) fn batching(settings: &ApplicationSettings) -> Option<Batching> {
    (settings.record_batch_size > 0).then(|| Batching {
        most: settings.record_batch_size.min(MAX_BATCH),
        window_ms: u64::from(settings.record_batch_seconds) * 1000,
    })
}

/// The settings as a projection reads them back out of a subscription.
pub(crate) struct View<'a> {
    pub account_sid: &'a str,
    pub app_sid: &'a str,
    pub version: &'a str,
    pub zone_minutes: i32,
    pub strict: bool,
    pub recording_base: &'a str,
    pub batch: Option<Batching>,
}

impl<'a> View<'a> {
    fn of(s: &'a Subscription) -> View<'a> {
        View {
            account_sid: s.get("account_sid"),
            app_sid: s.get("app_sid"),
            version: s.get("api_version"),
            // A context that was written by hand and has no zone means the source's zone.
            zone_minutes: s.get("zone_minutes").parse().unwrap_or(480),
            strict: s.get("strict") == "1",
            recording_base: s.get("recording_base"),
            batch: match (s.get("batch_size").parse(), s.get("batch_ms").parse()) {
                (Ok(most), Ok(window_ms)) => Some(Batching { most, window_ms }),
                _ => None,
            },
        }
    }

    /// `YYYYMMDDHHmmss` in the application's zone, empty for what did not happen.
    pub fn time(&self, at: Option<Stamp>) -> String {
        at.map(|s| s.civil(self.zone_minutes).digits14()).unwrap_or_default()
    }
}

/// The dialect's projector.
#[derive(Clone, Copy, Debug, Default)]
pub struct VoicePaasProjector;

impl Projector for VoicePaasProjector {
    fn name(&self) -> &'static str {
        PROJECTOR
    }

    fn project(&self, subscription: &Subscription, record: &ConversationRecord, event: &Event) -> Option<Body> {
        let view = View::of(subscription);
        match subscription.topic {
            Topic::Status => status(&view, record, event),
            Topic::CallRecord => call_record(&view, record, event),
            Topic::Event => None,
        }
    }
}

/// The twelve fields, in the order of the specification's table.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StatusBody<'a> {
    conversation_sid: String,
    call_sid: &'a str,
    api_version: &'a str,
    account_sid: &'a str,
    app_sid: &'a str,
    from: &'a str,
    to: &'a str,
    direction: &'static str,
    call_status: &'static str,
    timestamp: String,
    call_cause: &'static str,
    user_data: &'a str,
}

fn status(view: &View<'_>, record: &ConversationRecord, event: &Event) -> Option<Body> {
    let (leg, word, at) = match &event.fact {
        Fact::LegCreated { leg, .. } => (leg, "initiated", event.at),
        Fact::LegRinging { leg } => (leg, "ringing", event.at),
        Fact::LegAnswered { leg, .. } => (leg, "answered", event.at),
        // The moment that the record will show as stopTime; the event itself may wait for the far side's answer.
        Fact::LegEnded { leg, stopped_at, .. } => (leg, "completed", *stopped_at),
        _ => return None,
    };
    let leg: &LegRecord = record.leg(*leg)?;
    let sid = call_sid(record.id, leg.seq);
    let body = StatusBody {
        conversation_sid: conversation_sid(record.id),
        call_sid: &sid,
        api_version: view.version,
        account_sid: view.account_sid,
        app_sid: view.app_sid,
        from: &leg.from,
        to: &leg.to,
        direction: match leg.direction {
            Direction::Outgoing => "outbound",
            // Click-to-call has outgoing legs only; a call that came in has one of these.
            Direction::Incoming => "inbound",
        },
        call_status: word,
        timestamp: view.time(Some(at)),
        call_cause: cdr::call_cause(leg, view.strict),
        user_data: &record.head.user_data,
    };
    // A status is news while it is new: it does not wait for others.
    freeze(&body, format!("{sid}:{word}"), None)
}

/// When a record is published (voice-paas §12, design "CDR and recording"): when it is closed, unless a recording's
/// file is awaited; then when the file is there, or lost, or the wait is over; and once more when a link comes after
/// that.
fn call_record(view: &View<'_>, record: &ConversationRecord, event: &Event) -> Option<Body> {
    record.ended_at?;
    let linked = record
        .recordings
        .iter()
        .any(|r| matches!(r, RecordingRecord::Finished { .. }));
    let due = match event.fact {
        Fact::Ended => !record.recording_pending(),
        Fact::RecordDue => true,
        // After the wait was given up, only a link is news.
        Fact::RecordingFinished { .. } | Fact::RecordingFailed { .. } => {
            !record.recording_pending() && (!record.record_due || linked)
        }
        _ => false,
    };
    if !due {
        return None;
    }
    let body = CdrBody::of(view, record);
    let sid = conversation_sid(record.id);
    freeze(&body, sid, view.batch)
}

fn freeze(body: &impl Serialize, key: String, batch: Option<Batching>) -> Option<Body> {
    // Structs of strings always serialise; a failure would mean a body that cannot exist.
    let bytes = serde_json::to_vec(body).ok()?;
    Some(Body {
        content_type: JSON,
        bytes,
        key,
        batch,
    })
}
