//! Calls: place one, look at one, end one.

use crate::call_notes::CentreView;
use crate::desk::Desk;
use crate::error::{Code, Problem};
use crate::request::{self, Answer, Body, Path, Query};
use crate::rfc3339;
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use strowger_core::call::{ClickPlan, Command, PartyPlan, Prompt, Ringback, Target};
use strowger_core::event::{Created, Kind, Quality, RecordMode, Score, Via, VideoQuality};
use strowger_core::number::CHINA;
use strowger_core::record::{LegRecord, RecordingRecord};
use strowger_core::routing::TollRules;
use strowger_core::{By, ConversationId, ConversationRecord, Number, Role, TenantId, routing};
use strowger_runtime::CallError;
use strowger_store::CommandId;
use strowger_store::config::{Application, Config, PromptState};
use utoipa::{IntoParams, ToSchema};

/// Most calls in one list.
const LIST_LIMIT: usize = 1000;

/// A conversation as operators see it: the fold of its events, running or over.
#[derive(Serialize, ToSchema)]
#[schema(as = Call)]
pub(crate) struct View {
    id: String,
    tenant: String,
    application: String,
    account: Option<String>,
    kind: &'static str,
    /// `running`, `ending` or `ended`.
    state: &'static str,
    from: String,
    to: String,
    user_data: String,
    created_at: String,
    ended_at: Option<String>,
    cause: Option<&'static str>,
    ended_by: Option<String>,
    /// Sum of the durations of the answered legs, in seconds.
    bill_seconds: i64,
    legs: Vec<LegView>,
    recordings: Vec<RecordingView>,
    /// Where the rules of the called number sent it, and why; null without rules.
    routed: Option<RoutedView>,
    /// Keys pressed in menus, in order.
    path: Vec<KeyView>,
    /// Values that go with the call; stars for secrets.
    attached: BTreeMap<String, String>,
    /// Scores of surveys.
    scores: Vec<SurveyScoreView>,
    /// The request to be called back that was made in it, or that it carries out; null without one.
    callback: Option<CallbackView>,
    /// Messages that the caller left.
    messages: Vec<MessageView>,
    /// Agents, queues, and what was written down.
    centre: CentreView,
    /// Events so far: a client that sees the same number has missed nothing.
    seq: u32,
}

#[derive(Serialize, ToSchema)]
#[schema(as = CallRouted)]
pub(crate) struct RoutedView {
    plan: String,
    /// The rule that decided; null if none held.
    rule: Option<String>,
    /// Kind and name of where it went, such as `queue sales`.
    to: String,
    /// The tenant's server was asked: true if it answered, false if the default was taken.
    asked: Option<bool>,
    /// The rules that were looked at, in order.
    looked: Vec<RuleView>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = CallRule)]
pub(crate) struct RuleView {
    rule: String,
    holds: bool,
    why: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = CallKey)]
pub(crate) struct KeyView {
    key: String,
    label: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = CallSurveyScore)]
pub(crate) struct SurveyScoreView {
    name: String,
    score: i16,
}

#[derive(Serialize, ToSchema)]
#[schema(as = CallCallback)]
pub(crate) struct CallbackView {
    /// Id of the request.
    request: String,
    /// The call that it was made in; null in that call.
    first: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = CallMessage)]
pub(crate) struct MessageView {
    /// The queue or the agent whose it is.
    mailbox: String,
    /// Number of the recording, from 0.
    recording: u16,
}

#[derive(Serialize, ToSchema)]
#[schema(as = CallLeg)]
pub(crate) struct LegView {
    seq: u16,
    role: &'static str,
    from: String,
    to: String,
    state: &'static str,
    start: String,
    ring: Option<String>,
    answer: Option<String>,
    bridge: Option<String>,
    stop: Option<String>,
    duration: i64,
    cause: Option<&'static str>,
    ended_by: Option<String>,
    sip_status: u16,
    attempts: Vec<Attempt>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quality: Option<QualityView>,
    /// Who answered, if it was listened for.
    #[serde(skip_serializing_if = "Option::is_none")]
    answered_by: Option<AnsweredByView>,
    /// Why one side heard nothing: `ice-failed`, `wrong-source`, `codec-mismatch`, `nothing-in`, `nothing-out`, `muted`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    one_way: Vec<OneWayView>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = CallAnsweredBy)]
pub(crate) struct AnsweredByView {
    /// `human`, `machine`, `fax` or `unknown`.
    who: &'static str,
    /// How sure that is, 0-100.
    confidence: u8,
}

#[derive(Serialize, ToSchema)]
#[schema(as = CallOneWay)]
pub(crate) struct OneWayView {
    cause: &'static str,
    /// What it means and what to do.
    advice: &'static str,
}

#[derive(Serialize, ToSchema)]
#[schema(as = CallAttempt)]
pub(crate) struct Attempt {
    via: String,
    /// The SIP status of a failed one; 0 for silence.
    failed: Option<u16>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = CallQuality)]
pub(crate) struct QualityView {
    packets_in: u64,
    packets_out: u64,
    lost: u64,
    /// Packets that the far side missed.
    lost_out: u32,
    jitter_us: u32,
    /// The highest that the far side reported.
    far_jitter_us: u32,
    round_trip_us: u32,
    /// How the far side sounded to us; none for a leg of less than half a second.
    mos_in: Option<ScoreView>,
    /// How we sounded to the far side, if it reported.
    mos_out: Option<ScoreView>,
    /// Of its pictures, if there were any.
    #[serde(skip_serializing_if = "Option::is_none")]
    video: Option<VideoView>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = CallVideo)]
pub(crate) struct VideoView {
    packets_in: u64,
    packets_out: u64,
    lost: u64,
    /// Key frames that the party was asked for.
    asked: u32,
    /// Key frames that the party asked for.
    wanted: u32,
}

impl VideoView {
    fn of(v: &VideoQuality) -> Option<VideoView> {
        (!v.is_none()).then_some(VideoView {
            packets_in: v.packets_in,
            packets_out: v.packets_out,
            lost: v.lost,
            asked: v.asked,
            wanted: v.wanted,
        })
    }
}

/// Mean opinion scores, 1 to 4.5.
#[derive(Serialize, ToSchema)]
#[schema(as = CallScore)]
pub(crate) struct ScoreView {
    mean: f64,
    worst: f64,
}

impl ScoreView {
    fn of(score: Score) -> Option<ScoreView> {
        (!score.is_unknown()).then(|| ScoreView {
            mean: f64::from(score.mean) / 100.0,
            worst: f64::from(score.worst) / 100.0,
        })
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = CallRecording)]
pub(crate) struct RecordingView {
    state: &'static str,
    name: Option<String>,
    millis: u64,
    bytes: u64,
}

fn role(r: Role) -> &'static str {
    match r {
        Role::Caller => "caller",
        Role::Callee => "callee",
        Role::Third => "third",
        Role::Customer => "customer",
        Role::Agent => "agent",
        Role::Supervisor => "supervisor",
        Role::Platform => "platform",
    }
}

fn by(b: By) -> String {
    match b {
        By::Party(seq, r) => format!("{} (leg {seq})", role(r)),
        By::Supervisor => "supervisor".to_owned(),
        By::Api => "api".to_owned(),
        By::Timer => "timer".to_owned(),
        By::Network => "network".to_owned(),
        By::System => "system".to_owned(),
    }
}

fn leg(l: &LegRecord, config: &Config) -> LegView {
    let state = match l {
        _ if l.end.is_some() => "ended",
        _ if l.held => "held",
        _ if l.bridge.is_some() => "talking",
        _ if l.answer.is_some() => "answered",
        _ if l.ring.is_some() => "ringing",
        _ => "dialling",
    };
    let via = |v: &Via| match v {
        Via::Trunk(t) => config.trunk(*t).map_or_else(|| t.to_string(), |t| t.name.clone()),
        Via::Device(d) => config
            .device(*d)
            .map_or_else(|| d.to_string(), |d| d.device.username.clone()),
        Via::Platform => "platform".to_owned(),
    };
    let quality = |q: Quality| QualityView {
        packets_in: q.packets_in,
        packets_out: q.packets_out,
        lost: q.lost,
        lost_out: q.lost_out,
        jitter_us: q.jitter_us,
        far_jitter_us: q.far_jitter_us,
        round_trip_us: q.round_trip_us,
        mos_in: ScoreView::of(q.mos_in),
        mos_out: ScoreView::of(q.mos_out),
        video: VideoView::of(&q.video),
    };
    LegView {
        seq: l.seq.0,
        role: role(l.role),
        from: l.from.clone(),
        to: l.to.clone(),
        state,
        start: rfc3339(l.start),
        ring: l.ring.map(rfc3339),
        answer: l.answer.map(rfc3339),
        bridge: l.bridge.map(rfc3339),
        stop: l.stop.map(rfc3339),
        duration: l.duration(),
        cause: l.end.map(|(c, _)| c.name()),
        ended_by: l.end.map(|(_, b)| by(b)),
        sip_status: l.sip_status,
        attempts: l
            .attempts
            .iter()
            .map(|(v, status)| Attempt {
                via: via(v),
                failed: *status,
            })
            .collect(),
        quality: l.quality.map(quality),
        answered_by: l.answered_by.map(|(who, confidence)| AnsweredByView {
            who: who.name(),
            confidence,
        }),
        one_way: l
            .one_way
            .iter()
            .map(|c| OneWayView {
                cause: c.name(),
                advice: c.advice(),
            })
            .collect(),
    }
}

impl View {
    pub(crate) fn of(r: &ConversationRecord, config: &Config) -> View {
        View {
            id: r.id.to_string(),
            tenant: r.head.tenant.to_string(),
            application: r.head.application.to_string(),
            account: r.head.account.map(|a| a.to_string()),
            kind: strowger_store::codec::kind_name(r.head.kind),
            state: match (r.ended_at, r.end) {
                (Some(_), _) => "ended",
                (None, Some(_)) => "ending",
                (None, None) => "running",
            },
            from: r.head.ani.clone(),
            to: r.head.dnis.clone(),
            user_data: r.head.user_data.clone(),
            created_at: rfc3339(r.created_at),
            ended_at: r.ended_at.map(rfc3339),
            cause: r.end.map(|(c, _)| c.name()),
            ended_by: r.end.map(|(_, b)| by(b)),
            bill_seconds: r.bill_seconds(),
            legs: r.legs.iter().map(|l| leg(l, config)).collect(),
            recordings: r
                .recordings
                .iter()
                .map(|r| match r {
                    RecordingRecord::Running => RecordingView {
                        state: "running",
                        name: None,
                        millis: 0,
                        bytes: 0,
                    },
                    RecordingRecord::Finished {
                        name, millis, bytes, ..
                    } => RecordingView {
                        state: "finished",
                        name: Some(name.clone()),
                        millis: *millis,
                        bytes: *bytes,
                    },
                    RecordingRecord::Failed => RecordingView {
                        state: "failed",
                        name: None,
                        millis: 0,
                        bytes: 0,
                    },
                })
                .collect(),
            routed: r.routed.as_ref().map(|routed| RoutedView {
                plan: routed.plan.clone(),
                rule: routed.rule.clone(),
                to: routed.to.clone(),
                asked: routed.asked,
                looked: routed
                    .looked
                    .iter()
                    .map(|l| RuleView {
                        rule: l.rule.clone(),
                        holds: l.holds,
                        why: l.why.clone(),
                    })
                    .collect(),
            }),
            path: r
                .path
                .iter()
                .map(|(key, label)| KeyView {
                    key: key.to_string(),
                    label: label.clone(),
                })
                .collect(),
            attached: r.attached.iter().cloned().collect(),
            scores: r
                .scores
                .iter()
                .map(|(name, score)| SurveyScoreView {
                    name: name.clone(),
                    score: *score,
                })
                .collect(),
            callback: r.callback.map(|(request, first)| CallbackView {
                request: request.to_string(),
                first: first.map(|f| f.to_string()),
            }),
            messages: r
                .messages
                .iter()
                .map(|(mailbox, recording)| MessageView {
                    mailbox: mailbox.clone(),
                    recording: *recording,
                })
                .collect(),
            centre: CentreView::of(r, config),
            seq: r.seq,
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    tenant: Option<String>,
    limit: Option<usize>,
}

pub(crate) async fn list(api: Desk, Query(filter): Query<Filter>) -> Answer {
    let config = api.config();
    let tenant = filter
        .tenant
        .as_deref()
        .map(|t| request::tenant(&config, Some(t)))
        .transpose()?;
    let limit = filter.limit.unwrap_or(100).min(LIST_LIMIT);
    let mut running = api.operations.running();
    // Ids are ordered by time: the oldest come first.
    running.sort();
    let mut views = Vec::new();
    for id in running {
        if views.len() == limit {
            break;
        }
        // One that ended meanwhile is not running any more.
        if let Some(record) = running_record(&api, &config, tenant, id).await? {
            views.push(View::of(&record, &config));
        }
    }
    request::list(views)
}

/// A running conversation's record; operators see every tenant's, so each is asked in turn.
async fn running_record(
    api: &Desk,
    config: &Config,
    only: Option<TenantId>,
    id: ConversationId,
) -> Result<Option<ConversationRecord>, Problem> {
    for tenant in config.tenants().map(|t| t.id).filter(|t| request::shows(only, *t)) {
        match api.calls.inspect(tenant, id).await {
            Ok(live) => return Ok(Some(live.record)),
            Err(CallError::NotFound | CallError::Refused(_)) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(None)
}

/// Running or over.
pub(crate) async fn find(api: &Desk, id: ConversationId) -> Result<ConversationRecord, Problem> {
    let config = api.config();
    if let Some(record) = running_record(api, &config, None, id).await? {
        return Ok(record);
    }
    for tenant in config.tenants() {
        if let Some(record) = api.store.load_record(tenant.id, id).await? {
            return Ok(record);
        }
    }
    Err(Problem::not_found("conversation", id))
}

pub(crate) async fn show(api: Desk, Path(id): Path<String>) -> Answer {
    let id = request::id("conversation", &id)?;
    let record = find(&api, id).await?;
    request::ok(View::of(&record, &api.config()))
}

pub(crate) async fn cancel(api: Desk, Path(id): Path<String>) -> Answer {
    let id = request::id("conversation", &id)?;
    let tenant = find(&api, id).await?.head.tenant;
    match api.calls.command(tenant, id, Command::Cancel { leg: None }, None).await {
        Ok(_) => request::done(),
        // The record exists, so it is over.
        Err(CallError::NotFound) => Err(Problem::new(Code::CallEnded, "the conversation has ended already")),
        Err(e) => Err(e.into()),
    }
}

#[derive(Clone, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CallPlace)]
pub(crate) struct Place {
    /// Called first.
    from: String,
    /// Called when the first has answered.
    to: String,
    application: Option<String>,
    /// Number that the first party sees.
    from_cli: Option<String>,
    /// Number that the second party sees.
    to_cli: Option<String>,
    /// Name of a prompt for the first party before the second is called.
    greeting: Option<String>,
    /// Seconds of talk.
    max_duration: Option<u32>,
    /// `none`, `ringing` or `answer`.
    record: Option<String>,
    #[serde(default)]
    user_data: String,
}

/// The application that a request means: the named one by id or name, else the only one.
fn application<'c>(config: &'c Config, named: Option<&str>) -> Result<&'c Application, Problem> {
    let mut all = config.applications();
    match named {
        Some(text) => all
            .find(|a| a.name == text || a.id.to_string() == text)
            .map(|a| a.as_ref())
            .ok_or_else(|| Problem::not_found("application", format!("{text:?}"))),
        None => match (all.next(), all.next()) {
            (Some(only), None) => Ok(only),
            _ => Err(Problem::parameter(
                "application",
                "name the application that the call is accounted to; there is none, or more than one",
            )),
        },
    }
}

fn party(member: &str, text: &str, cli: Option<String>, toll: &TollRules) -> Result<(PartyPlan, Number), Problem> {
    let number = request::number(member, text)?;
    toll.permitted(&number, CHINA).map_err(|denied| {
        let mut code = Code::NumberDenied;
        let why = match denied {
            routing::Denied::International => "it is in another country, and the tenant has not opened its prefix",
            routing::Denied::Premium => "it is a premium number, and the tenant has not opened its prefix",
            routing::Denied::Emergency => {
                tracing::error!("a call to an emergency number was refused: its tenant has no emergency trunk");
                code = Code::Emergency;
                "it is an emergency number, and the tenant has no trunk for those; set one: strowger tenant set NAME \
                 --emergency-trunk TRUNK"
            }
        };
        Problem {
            parameter: Some(member.to_owned()),
            ..Problem::new(code, format!("{member} may not be called: {why}"))
        }
    })?;
    let plan = PartyPlan {
        target: Target::Number(number.clone()),
        text: text.trim().to_owned(),
        cli,
    };
    Ok((plan, number))
}

fn prompt(config: &Config, application: &Application, name: &str) -> Result<Prompt, Problem> {
    let found = config
        .prompt(application.tenant, application.id, name)
        .ok_or_else(|| Problem::not_found("prompt", format!("{name:?}")))?;
    if found.state != PromptState::Ready {
        return Err(Problem::new(
            Code::Disabled,
            format!("the prompt {name:?} is not ready"),
        ));
    }
    Ok(Prompt {
        name: found.name.clone(),
        millis: found.duration_ms.try_into().unwrap_or(u32::MAX),
    })
}

/// A number to show: the given one if the tenant owns it, else the application's default.
fn display(config: &Config, a: &Application, member: &str, given: Option<&str>) -> Result<Option<String>, Problem> {
    let Some(text) = given else {
        return Ok(a.settings.default_cli.as_ref().map(|n| n.as_str().to_owned()));
    };
    let number = request::number(member, text)?;
    let owned = config.number(&number).is_some_and(|n| {
        n.tenant == a.tenant && n.outgoing && (n.applications.is_empty() || n.applications.contains(&a.id))
    });
    if !owned {
        return Err(Problem::parameter(
            member,
            format!("{member} is not a number that this application may show; see: strowger number list"),
        ));
    }
    Ok(Some(text.trim().to_owned()))
}

fn disabled(config: &Config, a: &Application, tenant: TenantId) -> Option<&'static str> {
    if a.disabled {
        return Some("the application is switched off");
    }
    let off = config.tenant(tenant).is_none_or(|t| t.disabled);
    off.then_some("the tenant is switched off")
}

/// The client's name for this request, so that it is carried out once. Two requests are the same if they place the same
/// call for the same application.
fn once(headers: &HeaderMap, a: &Application, place: &Place) -> Result<Option<CommandId>, Problem> {
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(key) = values.next() else { return Ok(None) };
    let body = serde_json::to_vec(&Place {
        application: None,
        ..place.clone()
    });
    let request = [&a.id.0.to_be_bytes()[..], &body.unwrap_or_default()];
    CommandId::new(a.tenant, None, key.as_bytes(), &request)
        .filter(|_| values.next().is_none())
        .map(Some)
        .ok_or_else(|| {
            Problem::parameter(
                "Idempotency-Key",
                "Idempotency-Key is one header of 1 to 255 visible ASCII characters",
            )
        })
}

/// 202: it is accepted and durable, and nothing has been dialled yet when this is read.
fn accepted(id: ConversationId) -> Answer {
    let body = axum::Json(request::Made { id: id.to_string() });
    Ok((axum::http::StatusCode::ACCEPTED, body).into_response())
}

pub(crate) async fn place(api: Desk, headers: HeaderMap, Body(place): Body<Place>) -> Answer {
    let config = api.config();
    let a = application(&config, place.application.as_deref())?;
    let once = once(&headers, a, &place)?;
    // What was done is answered before anything is checked that may have changed since.
    if let Some(once) = &once
        && let Some(id) = api.calls.started(once).await?
    {
        return accepted(id);
    }
    if let Some(why) = disabled(&config, a, a.tenant) {
        return Err(Problem::new(Code::Disabled, why));
    }
    let toll = config.tenant(a.tenant).map(|t| t.toll()).unwrap_or_default();
    let from_cli = display(&config, a, "from_cli", place.from_cli.as_deref())?;
    let to_cli = display(&config, a, "to_cli", place.to_cli.as_deref())?;
    let (caller, from) = party("from", &place.from, from_cli, &toll)?;
    let (callee, to) = party("to", &place.to, to_cli, &toll)?;
    if from == to {
        return Err(Problem::parameter("to", "from and to are the same number"));
    }
    let record = match place.record.as_deref() {
        None | Some("none") => RecordMode::None,
        Some("ringing") => RecordMode::FromRinging,
        Some("answer") => RecordMode::FromAnswer,
        Some(_) => return Err(Problem::parameter("record", "record is none, ringing or answer")),
    };
    if place.user_data.len() > a.settings.user_data_limit {
        return Err(Problem::parameter(
            "user_data",
            format!("user_data has at most {} bytes", a.settings.user_data_limit),
        ));
    }
    if place.max_duration == Some(0) {
        return Err(Problem::parameter("max_duration", "max_duration is at least 1 second"));
    }
    let greeting = place.greeting.as_deref().map(|n| prompt(&config, a, n)).transpose()?;
    let head = Created {
        tenant: a.tenant,
        application: a.id,
        account: None,
        kind: Kind::ClickToCall,
        ani: caller.text.clone(),
        dnis: callee.text.clone(),
        user_data: place.user_data,
        max_duration: place.max_duration,
        record,
        subscriptions: Vec::new(),
    };
    let plan = ClickPlan {
        caller,
        callee,
        greeting,
        ringback: Ringback::Transparent,
        caller_voice: None,
        callee_voice: None,
        last_minute: None,
        ring_timeout: a.settings.ring_timeout,
        record_wait: a.settings.record_wait,
        answer: a.settings.answer,
    };
    accepted(api.calls.click_to_call(head, plan, once).await?)
}
