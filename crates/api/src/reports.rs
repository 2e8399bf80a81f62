//! Reports of a contact centre: folds of the journal, made when they are asked for (docs/reports.md).

use crate::centre;
use crate::desk::Desk;
use crate::error::Problem;
use crate::request::{self, Answer, Query};
use crate::time::{parse_rfc3339, rfc3339};
use axum::http::header;
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use strowger_core::event::Fact as CallFact;
use strowger_core::report::journal::{in_order, of_agent, of_call};
use strowger_core::report::{
    AgentFact, AgentRow, Fact, Interval, Ledger, NumberRow, QueueRow, Slice, Slot, Thresholds, csv,
};
use strowger_core::route::Zone;
use strowger_core::{AgentId, Number, QueueId, Stamp};
use strowger_store::config::{Application, Config};
use tokio::sync::Semaphore;
use utoipa::{IntoParams, ToSchema};

/// The longest span of a report, in days.
const LONGEST_DAYS: u64 = 31;
/// Calls that began so long before the span are looked at too: they may have waited into it, in seconds.
const BEFORE_SECS: u64 = 6 * 3600;
/// After-call work may be so long after the span, in seconds.
const AFTER_SECS: u64 = 6 * 3600;
/// Changes of agents that are read at once.
const CHANGES: usize = 10_000;
/// Reports that are made at the same time: each one reads much, and is in no hurry.
static PLACES: Semaphore = Semaphore::const_new(2);

#[derive(Deserialize, IntoParams)]
pub(crate) struct Asked {
    /// The application, by name or id; needed only by who can see several.
    application: Option<String>,
    /// The first moment (RFC 3339); the beginning of today by the application's clock without it.
    from: Option<String>,
    /// The first moment that is too late (RFC 3339); now without it. At most 31 days after `from`.
    to: Option<String>,
    /// Minutes of an interval: 15, 30, 60 or 1440; 60 without it.
    interval: Option<u32>,
}

/// A queue, or all of them, in an interval. Times are in milliseconds, shares in tenths of a percent.
#[derive(Serialize, ToSchema)]
#[schema(as = QueueReportRow)]
pub(crate) struct QueueView {
    /// Beginning of the interval by the application's clock, `YYYY-MM-DD HH:MM`.
    interval: String,
    /// Id of the queue; absent for all together.
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    offered: u64,
    answered: u64,
    answered_in_time: u64,
    abandoned: u64,
    abandoned_short: u64,
    timed_out: u64,
    queue_full: u64,
    unstaffed: u64,
    callbacks: u64,
    moved: u64,
    waiting: u64,
    /// `null` of nothing.
    service_level: Option<u32>,
    /// `null` of nothing.
    abandonment: Option<u32>,
    /// `null` of nothing.
    asa_ms: Option<u64>,
    longest_wait_ms: u64,
    handled: u64,
    talk_ms: u64,
    hold_ms: u64,
    wrap_up_ms: u64,
    /// `null` of nothing.
    aht_ms: Option<u64>,
    transfers: u64,
    missed: u64,
    rejected: u64,
}

/// An agent in an interval. Times are in milliseconds, shares in tenths of a percent.
#[derive(Serialize, ToSchema)]
#[schema(as = AgentReportRow)]
pub(crate) struct AgentView {
    /// Beginning of the interval by the application's clock, `YYYY-MM-DD HH:MM`.
    interval: String,
    /// Id of the agent.
    agent: String,
    login: String,
    offers: u64,
    placed: u64,
    handled: u64,
    missed: u64,
    rejected: u64,
    transfers: u64,
    talk_ms: u64,
    hold_ms: u64,
    wrap_up_ms: u64,
    /// `null` of nothing.
    aht_ms: Option<u64>,
    duty_ms: u64,
    /// `null` of nothing.
    occupancy: Option<u32>,
    /// The time of each slot; they add up to what has passed of the interval since the agent was first heard of.
    states_ms: HashMap<&'static str, u64>,
}

/// A number in an interval. Times are in milliseconds.
#[derive(Serialize, ToSchema)]
#[schema(as = NumberReportRow)]
pub(crate) struct NumberView {
    /// Beginning of the interval by the application's clock, `YYYY-MM-DD HH:MM`.
    interval: String,
    number: String,
    incoming: u64,
    outgoing: u64,
    answered: u64,
    unanswered: u64,
    /// `null` of nothing.
    to_answer_ms: Option<u64>,
    talk_ms: u64,
    /// `null` of nothing.
    talk_mean_ms: Option<u64>,
}

/// What a report is about.
#[derive(Serialize, ToSchema)]
#[schema(as = ReportSpan)]
pub(crate) struct Span {
    /// Id of the application.
    application: String,
    from: String,
    to: String,
    /// Minutes of an interval.
    interval_minutes: u32,
    /// Minutes that the application's clock is ahead of UTC.
    zone_minutes: i32,
}

#[derive(Serialize, ToSchema)]
#[schema(as = QueueReport)]
pub(crate) struct Queues {
    span: Span,
    rows: Vec<QueueView>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = AgentReport)]
pub(crate) struct Agents {
    span: Span,
    rows: Vec<AgentView>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = NumberReport)]
pub(crate) struct Numbers {
    span: Span,
    rows: Vec<NumberView>,
}

/// A report that was made.
struct Made {
    ledger: Ledger,
    first: Slice,
    last: Slice,
    now: Stamp,
    span: Span,
    queues: HashMap<QueueId, String>,
    agents: HashMap<AgentId, String>,
}

impl Made {
    fn shows(&self, slice: Slice) -> bool {
        (self.first..=self.last).contains(&slice)
    }

    fn queues(&self) -> impl Iterator<Item = (Slice, QueueId, &QueueRow)> {
        let all = self.ledger.queues().map(|((slice, queue), row)| (slice, queue, row));
        all.filter(|(slice, queue, _)| self.shows(*slice) && self.queues.contains_key(queue))
    }

    fn hours(&self) -> Vec<(Slice, QueueRow)> {
        let mut hours: Vec<(Slice, QueueRow)> = Vec::new();
        for (slice, _, row) in self.queues() {
            match hours.last_mut().filter(|(last, _)| *last == slice) {
                Some((_, sum)) => sum.merge(row),
                None => hours.push((slice, *row)),
            }
        }
        hours
    }

    fn agents(&self) -> Vec<(Slice, AgentId, AgentRow)> {
        let all = self.ledger.agents(self.now).into_iter();
        all.map(|((slice, agent), row)| (slice, agent, row))
            .filter(|(slice, agent, _)| self.shows(*slice) && self.agents.contains_key(agent))
            .collect()
    }

    fn numbers(&self) -> impl Iterator<Item = (Slice, &Number, &NumberRow)> {
        self.ledger.numbers().filter(|(slice, _, _)| self.shows(*slice))
    }

    fn name<K: std::hash::Hash + Eq>(names: &HashMap<K, String>, id: &K) -> String {
        names.get(id).cloned().unwrap_or_default()
    }
}

fn moment(member: &'static str, text: Option<&str>) -> Result<Option<Stamp>, Problem> {
    let read = |text: &str| {
        parse_rfc3339(text).ok_or_else(|| {
            Problem::parameter(
                member,
                format!("{member} is a time such as 2026-03-02T09:00:00Z or 2026-03-02T17:00:00+08:00"),
            )
        })
    };
    text.map(read).transpose()
}

/// What each queue promises, as it is set now.
fn thresholds(config: &Config, application: &Application) -> HashMap<QueueId, Thresholds> {
    let own = config.centre().queues().filter(|q| q.application == application.id);
    own.map(|q| {
        let promised = Thresholds {
            service_ms: u64::from(q.service_secs) * 1000,
            short_ms: u64::from(q.short_secs) * 1000,
        };
        (q.id, promised)
    })
    .collect()
}

async fn made(api: &Desk, asked: &Asked) -> Result<Made, Problem> {
    let config = api.config();
    let application = centre::application(&config, asked.application.as_deref())?.clone();
    let minutes = asked.interval.unwrap_or(60);
    let interval = Interval::from_minutes(minutes)
        .ok_or_else(|| Problem::parameter("interval", "interval is 15, 30, 60 or 1440 minutes"))?;
    let zone_minutes = application.settings.zone_minutes;
    let zone = Zone::Fixed(i16::try_from(zone_minutes).unwrap_or(0));
    let now = (api.now)();
    let to = moment("to", asked.to.as_deref())?.unwrap_or(now);
    let day = 86_400_000;
    let local = now.0 + i64::from(zone_minutes) * 60_000;
    let today = Stamp(now.0 - local.rem_euclid(day));
    let from = moment("from", asked.from.as_deref())?.unwrap_or(today.min(to));
    if from >= to && asked.from.is_some() {
        return Err(Problem::parameter("to", "to is after from"));
    }
    if to.ms_since(from) > LONGEST_DAYS * day.unsigned_abs() {
        return Err(Problem::parameter(
            "to",
            "a report spans at most 31 days; ask for the others by themselves",
        ));
    }
    let Ok(_place) = PLACES.acquire().await else {
        return Err(Problem::new(
            crate::error::Code::Internal,
            "reports are not made any more",
        ));
    };
    let begin = Stamp(from.0.saturating_sub(BEFORE_SECS as i64 * 1000));
    let end = Stamp(to.0.saturating_add(AFTER_SECS as i64 * 1000));
    let promised = thresholds(&config, &application);
    let (own, id) = (promised.clone(), application.id);
    let none = Thresholds {
        service_ms: 0,
        short_ms: 0,
    };
    let (numbers, tenant) = (config.clone(), application.tenant);
    let make = move |events: &[strowger_core::Event], facts: &mut Vec<Fact>| {
        let promised = |queue| own.get(&queue).copied().unwrap_or(none);
        let ours = |number: &Number| numbers.number(number).is_some_and(|n| n.tenant == tenant);
        let made = of_call(events, promised, ours);
        let head = events.first().map(|e| &e.fact);
        let same = matches!(head, Some(CallFact::Created(head)) if head.application == id);
        facts.extend(made.into_iter().filter(|f| same || !matches!(f, Fact::Call(_))));
    };
    let mut facts = api.store.each_call(tenant, begin, to, make).await?;
    let mine: HashMap<AgentId, String> = config
        .centre()
        .agents()
        .filter(|a| a.application == application.id)
        .map(|a| (a.id, a.login.clone()))
        .collect();
    for agent in mine.keys() {
        if let Some(before) = api.store.agent_log_before(tenant, *agent, begin).await? {
            facts.push(Fact::Agent(AgentFact {
                at: begin,
                agent: *agent,
                state: before.change.to,
            }));
        }
    }
    let mut next = begin;
    loop {
        let changes = api.store.agent_log(tenant, None, next, end, CHANGES).await?;
        let full = changes.len() == CHANGES;
        let newest = changes.last().map(|c| c.change.at);
        // Of the last millisecond there may be more, which the next look finds; one that is full of them is taken as it is.
        let cut = newest.filter(|at| full && *at > next);
        let whole = changes.iter().filter(|c| cut.is_none_or(|at| c.change.at < at));
        facts.extend(whole.filter_map(|c| of_agent(c.agent, &c.change)));
        match (full, cut, newest) {
            (true, Some(at), _) => next = at,
            (true, None, Some(at)) => next = Stamp(at.0 + 1),
            _ => break,
        }
    }
    let (first, last) = (
        Slice::of(from, interval, &zone),
        Slice::of(Stamp(to.0 - 1), interval, &zone),
    );
    let fold = move || {
        let mut ledger = Ledger::new(interval, zone);
        for fact in in_order(facts) {
            ledger.add(&fact);
        }
        ledger
    };
    let ledger = tokio::task::spawn_blocking(fold).await;
    let ledger = ledger.map_err(|e| Problem::new(crate::error::Code::Internal, format!("the report failed: {e}")))?;
    let named = |id: &QueueId| config.centre().queue(*id).map(|q| q.name.clone()).unwrap_or_default();
    Ok(Made {
        ledger,
        first,
        last,
        now,
        span: Span {
            application: application.id.to_string(),
            from: rfc3339(from),
            to: rfc3339(to),
            interval_minutes: minutes,
            zone_minutes,
        },
        queues: promised.keys().map(|id| (*id, named(id))).collect(),
        agents: mine,
    })
}

fn queue_view(slice: Slice, of: Option<(QueueId, String)>, row: &QueueRow) -> QueueView {
    let (queue, name) = of.map(|(id, name)| (id.to_string(), name)).unzip();
    QueueView {
        interval: slice.to_string(),
        queue,
        name,
        offered: row.offered,
        answered: row.answered,
        answered_in_time: row.in_time,
        abandoned: row.abandoned,
        abandoned_short: row.short,
        timed_out: row.timed_out,
        queue_full: row.full,
        unstaffed: row.unstaffed,
        callbacks: row.callbacks,
        moved: row.moved,
        waiting: row.waiting(),
        service_level: row.service_level(),
        abandonment: row.abandonment(),
        asa_ms: row.asa_ms(),
        longest_wait_ms: row.longest_wait_ms,
        handled: row.handled,
        talk_ms: row.talk_ms,
        hold_ms: row.hold_ms,
        wrap_up_ms: row.wrap_ms,
        aht_ms: row.aht_ms(),
        transfers: row.transfers,
        missed: row.missed,
        rejected: row.rejected,
    }
}

pub(crate) async fn queues(api: Desk, Query(asked): Query<Asked>) -> Answer {
    let made = made(&api, &asked).await?;
    let row = |(slice, id, row): (Slice, QueueId, &QueueRow)| {
        queue_view(slice, Some((id, Made::name(&made.queues, &id))), row)
    };
    let rows = made.queues().map(row).collect();
    request::ok(Queues { rows, span: made.span })
}

pub(crate) async fn hours(api: Desk, Query(asked): Query<Asked>) -> Answer {
    let made = made(&api, &asked).await?;
    let rows = made
        .hours()
        .iter()
        .map(|(slice, row)| queue_view(*slice, None, row))
        .collect();
    request::ok(Queues { rows, span: made.span })
}

pub(crate) async fn agents(api: Desk, Query(asked): Query<Asked>) -> Answer {
    let made = made(&api, &asked).await?;
    let view = |(slice, id, row): (Slice, AgentId, AgentRow)| AgentView {
        interval: slice.to_string(),
        agent: id.to_string(),
        login: Made::name(&made.agents, &id),
        offers: row.offers,
        placed: row.placed,
        handled: row.handled,
        missed: row.missed,
        rejected: row.rejected,
        transfers: row.transfers,
        talk_ms: row.talk_ms,
        hold_ms: row.hold_ms,
        wrap_up_ms: row.wrap_ms,
        aht_ms: row.aht_ms(),
        duty_ms: row.duty_ms(),
        occupancy: row.occupancy(),
        states_ms: Slot::ALL.iter().map(|s| (s.name(), row.time_ms(*s))).collect(),
    };
    let rows = made.agents().into_iter().map(view).collect();
    request::ok(Agents { rows, span: made.span })
}

pub(crate) async fn numbers(api: Desk, Query(asked): Query<Asked>) -> Answer {
    let made = made(&api, &asked).await?;
    let view = |(slice, number, row): (Slice, &Number, &NumberRow)| NumberView {
        interval: slice.to_string(),
        number: number.as_str().to_owned(),
        incoming: row.incoming,
        outgoing: row.outgoing,
        answered: row.answered,
        unanswered: row.unanswered,
        to_answer_ms: row.to_answer_ms(),
        talk_ms: row.talk_ms,
        talk_mean_ms: row.talk_mean_ms(),
    };
    let rows = made.numbers().map(view).collect();
    request::ok(Numbers { rows, span: made.span })
}

fn table(name: &str, text: String) -> Answer {
    let disposition = format!("attachment; filename=\"{name}.csv\"");
    let head = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    Ok((head, text).into_response())
}

fn columns(of: &[&str]) -> Vec<String> {
    of.iter().map(|c| (*c).to_owned()).collect()
}

pub(crate) async fn queues_csv(api: Desk, Query(asked): Query<Asked>) -> Answer {
    let made = made(&api, &asked).await?;
    let rows = made
        .queues()
        .map(|(slice, id, row)| (vec![slice.to_string(), Made::name(&made.queues, &id)], csv::queue(row)));
    table(
        "queues",
        csv::table(&["interval", "queue"], &columns(&csv::QUEUE), rows),
    )
}

pub(crate) async fn hours_csv(api: Desk, Query(asked): Query<Asked>) -> Answer {
    let made = made(&api, &asked).await?;
    let hours = made.hours();
    let rows = hours
        .iter()
        .map(|(slice, row)| (vec![slice.to_string()], csv::queue(row)));
    table("hours", csv::table(&["interval"], &columns(&csv::QUEUE), rows))
}

pub(crate) async fn agents_csv(api: Desk, Query(asked): Query<Asked>) -> Answer {
    let made = made(&api, &asked).await?;
    let agents = made.agents();
    let rows = agents
        .iter()
        .map(|(slice, id, row)| (vec![slice.to_string(), Made::name(&made.agents, id)], csv::agent(row)));
    table(
        "agents",
        csv::table(&["interval", "agent"], &csv::agent_columns(), rows),
    )
}

pub(crate) async fn numbers_csv(api: Desk, Query(asked): Query<Asked>) -> Answer {
    let made = made(&api, &asked).await?;
    let rows = made
        .numbers()
        .map(|(slice, number, row)| (vec![slice.to_string(), number.as_str().to_owned()], csv::number(row)));
    table(
        "numbers",
        csv::table(&["interval", "number"], &columns(&csv::NUMBER), rows),
    )
}
