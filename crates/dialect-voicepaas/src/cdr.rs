//! The call record on the wire (voice-paas §12) and the words in it.

use crate::ids::{call_sid, conversation_sid};
use crate::project::View;
use serde::Serialize;
use strowger_core::record::{ConversationRecord, LegRecord, RecordingRecord};
use strowger_core::{By, Cause, Role};

/// The record, in the order of the specification's table; `endReason` is an extension (§8.6).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CdrBody<'a> {
    conversation_sid: String,
    account_sid: &'a str,
    app_sid: &'a str,
    recording_url: String,
    recording_duration: String,
    user_data: &'a str,
    bye_type: String,
    end_reason: &'static str,
    cdrs: Vec<LegBody<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LegBody<'a> {
    call_seq: String,
    call_sid: String,
    from: &'a str,
    to: &'a str,
    start_time: String,
    ring_time: String,
    answer_time: String,
    stop_time: String,
    duration: String,
    cause: &'static str,
}

impl<'a> CdrBody<'a> {
    pub fn of(view: &View<'a>, record: &'a ConversationRecord) -> CdrBody<'a> {
        let file = record.recordings.iter().find_map(|r| match r {
            RecordingRecord::Finished { name, millis, .. } => Some((name, millis)),
            RecordingRecord::Running | RecordingRecord::Failed => None,
        });
        let base = view.recording_base.trim_end_matches('/');
        CdrBody {
            conversation_sid: conversation_sid(record.id),
            account_sid: view.account_sid,
            app_sid: view.app_sid,
            recording_url: file.map(|(name, _)| format!("{base}/{name}")).unwrap_or_default(),
            recording_duration: file.map_or(0, |(_, ms)| ms / 1000).to_string(),
            user_data: &record.head.user_data,
            bye_type: bye_type(record).to_string(),
            end_reason: end_reason(record),
            cdrs: record
                .legs
                .iter()
                .map(|leg| LegBody {
                    call_seq: leg.seq.to_string(),
                    call_sid: call_sid(record.id, leg.seq),
                    from: &leg.from,
                    to: &leg.to,
                    start_time: view.time(Some(leg.start)),
                    ring_time: view.time(leg.ring),
                    answer_time: view.time(leg.answer),
                    stop_time: view.time(leg.stop),
                    duration: leg.duration().to_string(),
                    cause: call_cause(leg, view.strict),
                })
                .collect(),
        }
    }
}

/// `callCause` of a leg, empty before its end (voice-paas §11, domain-model §6). `strict` keeps to the source's four
/// words and reports a leg that we cancelled as `failed` (D19).
pub fn call_cause(leg: &LegRecord, strict: bool) -> &'static str {
    let Some((cause, by)) = leg.end else { return "" };
    if leg.answer.is_some() {
        return "completed";
    }
    match cause {
        Cause::NoAnswer => "no-answer",
        Cause::SetupTimeout => "time-out",
        // A 487 that nobody asked for is the far side's own failure.
        Cause::Cancelled | Cause::AnsweredElsewhere
            if !strict && !matches!(by, By::Party(who, _) if who == leg.seq) =>
        {
            "canceled"
        }
        _ => "failed",
    }
}

/// `byeType` (§8.6): a projection of cause and originator by role, since a redirection adds a leg (domain-model §6).
/// The first rule that fits decides.
pub fn bye_type(record: &ConversationRecord) -> u8 {
    let answered = |role| record.legs.iter().any(|l| l.role == role && l.answer.is_some());
    let (cause, by) = record.end.unwrap_or((Cause::Failed, By::System));
    // A notice has no caller but the platform.
    let calls_itself = record.by_role(Role::Caller).is_none();
    if !calls_itself && !answered(Role::Caller) {
        return 0;
    }
    if !answered(Role::Callee) {
        // A callee that failed first has given the conversation its own pair, so that a caller who hangs up during
        // the failure prompt does not count here (M55).
        return match by {
            By::Party(_, Role::Caller) | By::Api => 1,
            _ => 2,
        };
    }
    match (cause, by) {
        (Cause::MaxDuration, _) => 5,
        (_, By::Party(_, Role::Callee)) => 4,
        _ => 3,
    }
}

/// What `byeType` has no number for (D18).
pub fn end_reason(record: &ConversationRecord) -> &'static str {
    match record.end {
        Some((_, By::Api)) => "api-cancel",
        Some((Cause::MediaFailure, _)) => "media-timeout",
        Some((Cause::SystemError | Cause::NetworkLost, _)) => "system",
        _ => "normal",
    }
}
