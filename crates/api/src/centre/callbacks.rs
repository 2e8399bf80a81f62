//! Customers' requests to be called back.

use crate::desk::Desk;
use crate::error::{Code, Problem};
use crate::request::{self, Answer, Path, Query};
use crate::time::rfc3339;
use serde::{Deserialize, Serialize};
use strowger_core::centre::acd::{Callback, CallbackRefusal, CallbackState};
use strowger_core::number::CHINA;
use strowger_core::route::Masking;
use strowger_core::{CallbackId, TenantId};
use utoipa::{IntoParams, ToSchema};

/// Most requests of a page.
const REQUESTS: usize = 100;

/// A customer's request to be called back.
#[derive(Serialize, ToSchema)]
#[schema(as = Callback)]
pub(crate) struct View {
    id: String,
    /// Id of the queue whose agents call.
    queue: String,
    /// Id of the call in which it was asked for.
    first_call: String,
    /// Who is called; with `mask_numbers` of the queue's centre such as `138****8000`.
    number: String,
    /// `waiting` in the queue, `calling`, `later` (not reached, and called again), `done`, `unreached`, `cancelled` or
    /// `closed` (the queue is gone).
    state: &'static str,
    /// Since when (RFC 3339, like all times here).
    at: String,
    asked_at: String,
    /// When the customer first entered a queue: its place.
    since: String,
    /// 0 to 9, higher is sooner.
    priority: u8,
    /// Times that an agent was there and the customer was not; after three nobody calls any more.
    attempts: u8,
    /// When it is called again, if it waits for that.
    next_at: Option<String>,
    /// Id of the newest call that was made for it.
    last_call: Option<String>,
}

impl View {
    fn of(api: &Desk, c: &Callback) -> View {
        let config = api.config();
        let centre = config.centre();
        let masked = centre.queue(c.queue).and_then(|q| centre.centre(q.application));
        let number = match masked.is_some_and(|m| m.settings.mask_numbers) {
            true => Masking::default().text(c.number.as_str(), CHINA),
            false => c.number.as_str().to_owned(),
        };
        View {
            id: c.id.to_string(),
            queue: c.queue.to_string(),
            first_call: c.first.to_string(),
            number,
            state: c.state.name(),
            at: rfc3339(c.at),
            asked_at: rfc3339(c.asked_at),
            since: rfc3339(c.since),
            priority: c.priority,
            attempts: c.attempts,
            next_at: match c.state {
                CallbackState::Later(at) => Some(rfc3339(at)),
                _ => None,
            },
            last_call: c.last.map(|l| l.to_string()),
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Pages {
    /// Only those that are not over.
    open: Option<bool>,
    /// At most so many, 1 to 100.
    limit: Option<usize>,
    /// The `next` of the page before.
    after: Option<String>,
}

pub(super) fn refused(refusal: CallbackRefusal) -> Problem {
    let code = match refusal {
        CallbackRefusal::NotFound | CallbackRefusal::NoQueue => Code::NotFound,
        CallbackRefusal::Calling => Code::CallState,
        CallbackRefusal::TooMany => Code::CallLimit,
    };
    Problem::new(code, refusal.to_string())
}

/// A request and whose it is.
async fn find(api: &Desk, text: &str) -> Result<(TenantId, Callback), Problem> {
    let id: CallbackId = request::id("callback", text)?;
    let tenants: Vec<TenantId> = api.config().tenants().map(|t| t.id).collect();
    for tenant in tenants {
        if let Some(found) = api.store.callback(tenant, id).await? {
            return Ok((tenant, found));
        }
    }
    Err(Problem::not_found("callback", format!("{text:?}")))
}

pub(crate) async fn list(api: Desk, Query(pages): Query<Pages>) -> Answer {
    let limit = pages.limit.unwrap_or(REQUESTS);
    if !(1..=REQUESTS).contains(&limit) {
        return Err(Problem::parameter("limit", format!("limit is 1 to {REQUESTS}")));
    }
    let before = match pages.after.as_deref() {
        None => None,
        Some(text) => {
            let id = text.parse::<CallbackId>();
            Some(id.map_err(|_| Problem::parameter("after", "after is the 'next' of a page"))?)
        }
    };
    let only_open = pages.open.unwrap_or(false);
    let mut all = Vec::new();
    let tenants: Vec<TenantId> = api.config().tenants().map(|t| t.id).collect();
    for tenant in tenants {
        all.extend(api.store.callbacks(tenant, before, only_open, limit + 1).await?);
    }
    all.sort_by_key(|c| std::cmp::Reverse(c.id));
    let more = all.len() > limit;
    all.truncate(limit);
    let next = all.last().filter(|_| more).map(|c| c.id.to_string());
    request::listed(all.iter().map(|c| View::of(&api, c)).collect(), next)
}

pub(crate) async fn show(api: Desk, Path(id): Path<String>) -> Answer {
    let (_, found) = find(&api, &id).await?;
    request::ok(View::of(&api, &found))
}

pub(crate) async fn cancel(api: Desk, Path(id): Path<String>) -> Answer {
    let (tenant, found) = find(&api, &id).await?;
    api.desks.cancel_callback(tenant, found.id).await?;
    let (_, found) = find(&api, &id).await?;
    request::ok(View::of(&api, &found))
}
