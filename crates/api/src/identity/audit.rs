//! The audit log, for auditors.

use crate::desk::Desk;
use crate::error::Problem;
use crate::request::{self, Answer, Query};
use crate::{rfc3339, time};
use serde::{Deserialize, Serialize};
use strowger_core::Stamp;
use strowger_store::config::PLATFORM;
use strowger_store::{AuditFilter, AuditRow};
use utoipa::{IntoParams, ToSchema};

/// Most rows of a page.
const LIMIT: u32 = 1000;

#[derive(Serialize, ToSchema)]
#[schema(as = AuditRow)]
pub(crate) struct View {
    id: u64,
    at: String,
    /// `user`, `key`, `platform` or `nobody`.
    actor: String,
    actor_id: String,
    actor_name: String,
    /// What was done, such as `devices.create`.
    action: String,
    /// Which resource, such as `devices/0a1b…`.
    resource: String,
    /// Address that it came from, or `local`.
    source: String,
    /// `done`, or the error's code.
    outcome: String,
    /// The request's id.
    request: String,
}

impl View {
    fn of(r: AuditRow) -> View {
        View {
            id: r.id,
            at: rfc3339(r.at),
            actor: r.entry.actor,
            actor_id: r.entry.actor_id,
            actor_name: r.entry.actor_name,
            action: r.entry.action,
            resource: r.entry.resource,
            source: r.entry.source,
            outcome: r.entry.outcome,
            request: r.entry.request,
        }
    }
}

#[derive(Deserialize, IntoParams)]
pub(crate) struct Asked {
    /// Tenant; the owner of the installation sees its own log without it.
    tenant: Option<String>,
    /// Only at this time (UTC) or later.
    from: Option<String>,
    /// Only before this time (UTC).
    to: Option<String>,
    /// `next` of the page before.
    after: Option<String>,
    /// Rows of a page, 1 to 1000; 100 without it.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

fn moment(member: &str, text: Option<&str>) -> Result<Option<Stamp>, Problem> {
    let Some(text) = text else { return Ok(None) };
    match time::parse_rfc3339(text) {
        Some(at) => Ok(Some(at)),
        None => Err(Problem::parameter(
            member,
            format!("{member} is a time in UTC such as 2026-01-31T09:30:00Z"),
        )),
    }
}

/// Newest first.
pub(crate) async fn list(api: Desk, Query(asked): Query<Asked>) -> Answer {
    let named = asked.tenant.as_deref();
    let tenant = match (api.only(), named) {
        (None, None) => PLATFORM,
        _ => request::tenant(&api.config(), named)?,
    };
    let limit = asked.limit.unwrap_or(100);
    if !(1..=LIMIT).contains(&limit) {
        return Err(Problem::parameter("limit", format!("limit is 1 to {LIMIT}")));
    }
    let before = match asked.after.as_deref() {
        None => None,
        Some(text) => Some(
            text.parse()
                .map_err(|_| Problem::parameter("after", "after is the 'next' of a page"))?,
        ),
    };
    let filter = AuditFilter {
        before,
        from: moment("from", asked.from.as_deref())?,
        to: moment("to", asked.to.as_deref())?,
        limit: limit + 1,
    };
    let mut rows = api.store.audit_log(tenant, filter).await?;
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let next = rows.last().filter(|_| more).map(|r| r.id.to_string());
    request::listed(rows.into_iter().map(View::of).collect(), next)
}
