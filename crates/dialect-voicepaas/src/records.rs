//! The record service (voice-paas §13.3) and the status query of a running call (§13.2).

use crate::auth::Caller;
use crate::cdr::{CdrBody, bye_type, call_cause};
use crate::code::{Code, Failure};
use crate::directory::{LedgerError, RecordFilter, Selection};
use crate::http::{Base, Item, Segments, Stop, VoicePaas, json};
use crate::ids::{call_sid, conversation_sid, resolve_sid};
use crate::params::{Params, invalid, number};
use crate::project::View;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Serialize;
use std::collections::BTreeMap;
use strowger_core::call::LegState;
use strowger_core::event::Kind;
use strowger_core::record::ConversationRecord;
use strowger_core::time::Civil;
use strowger_core::{By, Role, Stamp};

/// Longest window of a query, in days.
const MAX_WINDOW_DAYS: u64 = 31;
/// Largest page.
const MAX_PAGE: u32 = 200;
/// Page size when the request does not say.
const PAGE: u32 = 20;
/// The most ids of one re-push.
const MAX_IDS: usize = 1000;

/// Query members; of a doubled one the last counts, as in bodies.
type Pairs = Result<Query<BTreeMap<String, String>>, QueryRejection>;

/// Does a conversation belong to the caller? One that came in from the network belongs to its application's accounts.
pub(crate) fn is_of(caller: &Caller, record: &ConversationRecord) -> bool {
    let head = &record.head;
    head.tenant == caller.account.tenant
        && head.application == caller.application.id
        && head.account.is_none_or(|a| a == caller.account.id)
}

/// The store does not answer.
pub(crate) fn unreadable(error: &LedgerError) -> Stop {
    tracing::error!(%error, "call records cannot be read");
    Failure::plain(Code::Internal).into()
}

/// A record as the service shows it: the pushed record and the contact-centre members that a call without agents has.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CcBody<'a> {
    #[serde(flatten)]
    record: CdrBody<'a>,
    call_type: &'static str,
    user_number: &'a str,
    ring_seconds: String,
    talk_seconds: String,
    hangup_side: &'static str,
}

impl<'a> CcBody<'a> {
    fn of(view: &View<'a>, record: &'a ConversationRecord) -> CcBody<'a> {
        let callee = record.by_role(Role::Callee);
        let rang = callee.and_then(|l| Some((l.ring?, l.answer.or(l.stop)?)));
        CcBody {
            record: CdrBody::of(view, record),
            call_type: match record.head.kind {
                Kind::Inbound => "1",
                Kind::Notice | Kind::Captcha => "2",
                Kind::Outbound | Kind::Internal => "3",
                Kind::ClickToCall | Kind::Callback => "4",
            },
            user_number: match record.head.kind {
                Kind::Inbound => &record.head.ani,
                Kind::ClickToCall | Kind::Outbound | Kind::Internal | Kind::Callback | Kind::Notice | Kind::Captcha => {
                    &record.head.dnis
                }
            },
            ring_seconds: rang.map_or(0, |(a, b)| b.secs() - a.secs()).to_string(),
            talk_seconds: callee.map_or(0, |l| l.duration()).to_string(),
            hangup_side: match record.end.map(|e| e.1) {
                Some(By::Party(_, Role::Caller)) => "caller",
                Some(By::Party(_, Role::Callee)) => "callee",
                Some(By::Party(..)) => "third",
                _ => "platform",
            },
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ListBody<'a> {
    status_code: &'static str,
    status_msg: &'static str,
    total: String,
    page_no: String,
    page_size: String,
    list: Vec<CcBody<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OneBody<'a> {
    status_code: &'static str,
    status_msg: &'static str,
    #[serde(flatten)]
    record: CcBody<'a>,
}

fn view<'a>(state: &'a VoicePaas, caller: &Caller, sids: (&'a str, &'a str), version: &'a str) -> View<'a> {
    let app = &caller.application.settings;
    View {
        account_sid: sids.0,
        app_sid: sids.1,
        version,
        zone_minutes: app.zone_minutes,
        strict: app.strict_causes,
        recording_base: &state.settings.recording_base,
        // An answer of the record service is one body.
        batch: None,
    }
}

/// `GET …/cc/Cdrs?startTime=&endTime=…`
pub(crate) async fn list(
    State(state): State<VoicePaas>,
    path: Segments<Base>,
    headers: HeaderMap,
    query: Pairs,
) -> Result<Response, Stop> {
    let Path((version, account, app)) = path.map_err(|_| Stop::NotFound)?;
    state.version(&version)?;
    let caller = state.authenticate(&headers, &account, &app)?;
    let Query(query) = query.map_err(|_| invalid("query", "is malformed"))?;
    let get = |name: &str| query.get(name).map(String::as_str).filter(|v| !v.is_empty());
    let zone = caller.application.settings.zone_minutes;
    let (from, until) = range(get("startTime"), get("endTime"), zone)?;
    let party = match get("userNumber") {
        Some(text) => Some(number("userNumber", text, state.settings.plan)?),
        None => None,
    };
    let kinds: &[Kind] = match get("callType") {
        None => &[],
        Some("1") => &[Kind::Inbound],
        Some("2") => &[Kind::Notice, Kind::Captcha],
        Some("3") => &[Kind::Outbound],
        Some("4") => &[Kind::ClickToCall, Kind::Callback],
        Some(_) => return Err(invalid("callType", "must be 1, 2, 3 or 4").into()),
    };
    let page_no = whole("pageNo", get("pageNo"), 1, i32::MAX as u32)?;
    let page_size = whole("pageSize", get("pageSize"), PAGE, MAX_PAGE)?;
    let mut page = crate::directory::RecordPage {
        records: Vec::new(),
        total: 0,
    };
    // No call here has an agent, so none has the one asked for.
    if get("agentNo").is_none() {
        let filter = RecordFilter {
            application: caller.application.id,
            account: caller.account.id,
            from,
            until,
            party,
            kinds: kinds.to_vec(),
            skip: u64::from(page_no - 1) * u64::from(page_size),
            limit: page_size,
        };
        let found = state.ledger.records(caller.account.tenant, filter).await;
        page = found.map_err(|e| unreadable(&e))?;
    }
    let sids = (caller.account.id.to_string(), caller.application.id.to_string());
    let view = view(&state, &caller, (&sids.0, &sids.1), &version);
    let body = ListBody {
        status_code: Code::Success.digits(),
        status_msg: Code::Success.text(),
        total: page.total.to_string(),
        page_no: page_no.to_string(),
        page_size: page_size.to_string(),
        list: page.records.iter().map(|r| CcBody::of(&view, r)).collect(),
    };
    Ok(json(StatusCode::OK, &body))
}

/// `GET …/cc/Cdrs/{callid}`: by conversationSid or by any callSid of it.
pub(crate) async fn one(
    State(state): State<VoicePaas>,
    path: Segments<Item>,
    headers: HeaderMap,
) -> Result<Response, Stop> {
    let Path((version, account, app, sid)) = path.map_err(|_| Stop::NotFound)?;
    state.version(&version)?;
    let caller = state.authenticate(&headers, &account, &app)?;
    let unknown = || Failure::plain(Code::ConversationNotFound);
    let (id, leg) = resolve_sid(&sid).ok_or_else(unknown)?;
    let found = state.ledger.record(caller.account.tenant, id).await;
    let record = found
        .map_err(|e| unreadable(&e))?
        .filter(|r| is_of(&caller, r) && leg.is_none_or(|l| r.leg(l).is_some()))
        .ok_or_else(unknown)?;
    let sids = (caller.account.id.to_string(), caller.application.id.to_string());
    let view = view(&state, &caller, (&sids.0, &sids.1), &version);
    let body = OneBody {
        status_code: Code::Success.digits(),
        status_msg: Code::Success.text(),
        record: CcBody::of(&view, &record),
    };
    Ok(json(StatusCode::OK, &body))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RepushBody {
    status_code: &'static str,
    status_msg: &'static str,
    count: String,
}

/// `POST …/cc/Cdrs/repush`: by `callids`, or by `startTime` and `endTime`.
pub(crate) async fn repush(
    State(state): State<VoicePaas>,
    path: Segments<Base>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Stop> {
    let Path((version, account, app)) = path.map_err(|_| Stop::NotFound)?;
    state.version(&version)?;
    let body = state.read(&headers, body).await?;
    let caller = state.authenticate(&headers, &account, &app)?;
    let params = Params::parse(&body)?;
    let what = match params.list("callids", MAX_IDS)? {
        Some(_) if params.has("startTime") || params.has("endTime") => {
            return Err(invalid("callids", "and a time range exclude each other").into());
        }
        Some(sids) => {
            let ids: Option<Vec<_>> = sids.iter().map(|s| Some(resolve_sid(s)?.0)).collect();
            let mut ids = ids.ok_or_else(|| invalid("callids", "must be conversationSids or callSids"))?;
            ids.sort_unstable();
            ids.dedup();
            Selection::Conversations(ids)
        }
        None => {
            let zone = caller.application.settings.zone_minutes;
            let (from, until) = range(params.text("startTime")?, params.text("endTime")?, zone)?;
            Selection::Created { from, until }
        }
    };
    let done = state
        .ledger
        .repush(caller.account.tenant, caller.application.id, caller.account.id, what)
        .await;
    let body = RepushBody {
        status_code: Code::Success.digits(),
        status_msg: Code::Success.text(),
        count: done.map_err(|e| unreadable(&e))?.to_string(),
    };
    Ok(json(StatusCode::OK, &body))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LiveBody<'a> {
    status_code: &'static str,
    status_msg: &'static str,
    conversation_sid: String,
    /// Empty while the conversation lasts.
    bye_type: String,
    calls: Vec<LiveLeg<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LiveLeg<'a> {
    call_seq: String,
    call_sid: String,
    from: &'a str,
    to: &'a str,
    call_status: &'static str,
    is_bridged: &'static str,
    start_time: String,
    ring_time: String,
    answer_time: String,
    stop_time: String,
    call_cause: &'static str,
}

/// `GET …/cc/Calls/{conversationSid}`: states, times and causes of the legs, while it runs and after (D25).
pub(crate) async fn call(
    State(state): State<VoicePaas>,
    path: Segments<Item>,
    headers: HeaderMap,
) -> Result<Response, Stop> {
    let Path((version, account, app, sid)) = path.map_err(|_| Stop::NotFound)?;
    state.version(&version)?;
    let caller = state.authenticate(&headers, &account, &app)?;
    let unknown = || Failure::plain(Code::ConversationNotFound);
    let (id, _) = resolve_sid(&sid).ok_or_else(unknown)?;
    let tenant = caller.account.tenant;
    let (record, states) = match state.calls.inspect(tenant, id).await {
        Ok(live) => (live.record, live.legs),
        Err(_) => {
            let found = state.ledger.record(tenant, id).await;
            (found.map_err(|e| unreadable(&e))?.ok_or_else(unknown)?, Vec::new())
        }
    };
    if !is_of(&caller, &record) {
        return Err(unknown().into());
    }
    let view = view(&state, &caller, ("", ""), &version);
    let body = LiveBody {
        status_code: Code::Success.digits(),
        status_msg: Code::Success.text(),
        conversation_sid: conversation_sid(id),
        bye_type: record
            .ended_at
            .map(|_| bye_type(&record).to_string())
            .unwrap_or_default(),
        calls: record
            .legs
            .iter()
            .enumerate()
            .map(|(n, leg)| LiveLeg {
                call_seq: leg.seq.to_string(),
                call_sid: call_sid(id, leg.seq),
                from: &leg.from,
                to: &leg.to,
                call_status: match (leg.stop, leg.answer, leg.ring) {
                    (Some(_), _, _) => "completed",
                    (_, Some(_), _) => "answered",
                    (_, _, Some(_)) => "ringing",
                    _ => "initiated",
                },
                is_bridged: match states.get(n) {
                    Some(LegState::Bridged | LegState::Held) => "1",
                    _ => "0",
                },
                start_time: view.time(Some(leg.start)),
                ring_time: view.time(leg.ring),
                answer_time: view.time(leg.answer),
                stop_time: view.time(leg.stop),
                call_cause: call_cause(leg, view.strict),
            })
            .collect(),
    };
    Ok(json(StatusCode::OK, &body))
}

/// A range of displayed times in the application's zone; both ends belong to it.
fn range(start: Option<&str>, end: Option<&str>, zone: i32) -> Result<(Stamp, Stamp), Failure> {
    let read = |name: &str, text: Option<&str>| -> Result<Stamp, Failure> {
        let text = text.ok_or_else(|| Failure::about(Code::ParameterMissing, name))?;
        Civil::parse14(text)
            .and_then(|c| Stamp::from_civil(c, zone))
            .ok_or_else(|| invalid(name, "must be a time as YYYYMMDDHHmmss"))
    };
    let (from, last) = (read("startTime", start)?, read("endTime", end)?);
    if last < from {
        return Err(invalid("endTime", "is before startTime"));
    }
    if last.ms_since(from) > MAX_WINDOW_DAYS * 86_400_000 {
        return Err(invalid("endTime", "is more than 31 days after startTime"));
    }
    Ok((from, last.plus_secs(1)))
}

/// A whole number of a query, at least 1.
fn whole(name: &str, text: Option<&str>, default: u32, max: u32) -> Result<u32, Failure> {
    let Some(text) = text else { return Ok(default) };
    Some(text)
        .filter(|t| t.bytes().all(|b| b.is_ascii_digit()))
        .and_then(|t| t.parse().ok())
        .filter(|n| (1..=max).contains(n))
        .ok_or_else(|| invalid(name, &format!("must be a whole number from 1 to {max}")))
}
