//! Batches of voice notices: how far they are, and ending them.

use crate::desk::Desk;
use crate::error::{Code, Problem};
use crate::request::{self, Answer, OfTenant, Path, Query};
use crate::rfc3339;
use serde::Serialize;
use strowger_core::NoticeBatchId;
use strowger_store::NoticeBatchInfo;
use utoipa::ToSchema;

/// Most batches in one list.
const LIST_LIMIT: u32 = 1000;

#[derive(Serialize, ToSchema)]
#[schema(as = NoticeBatch)]
pub(crate) struct View {
    id: String,
    /// The id that the client was answered with, and that its results carry.
    request: String,
    tenant: String,
    /// `active`, `cancelling`, `done` or `cancelled`.
    state: &'static str,
    at: String,
    total: u32,
    waiting: u32,
    running: u32,
    /// Numbers whose result is in the outbox.
    finished: u32,
}

impl View {
    fn of(b: &NoticeBatchInfo) -> View {
        View {
            id: b.id.to_string(),
            request: format!("RQ{}", b.id),
            tenant: b.tenant.to_string(),
            state: b.state.name(),
            at: rfc3339(b.at),
            total: b.total,
            waiting: b.total.saturating_sub(b.begun),
            running: b.running,
            finished: b.begun.saturating_sub(b.running),
        }
    }
}

/// A batch by its id, or by the id of its request.
async fn find(api: &Desk, text: &str) -> Result<NoticeBatchInfo, Problem> {
    let id: NoticeBatchId = request::id("batch", text.strip_prefix("RQ").unwrap_or(text))?;
    let found = api.store.notice_batch(id).await?;
    found
        .filter(|b| api.sees(b.tenant))
        .ok_or_else(|| Problem::not_found("batch", id))
}

pub(crate) async fn list(api: Desk, Query(of): Query<OfTenant>) -> Answer {
    let tenant = of.resolve(&api)?;
    let found = api.store.notice_batches(tenant, LIST_LIMIT).await?;
    request::list(found.iter().map(View::of))
}

pub(crate) async fn show(api: Desk, Path(id): Path<String>) -> Answer {
    request::ok(View::of(&find(&api, &id).await?))
}

pub(crate) async fn cancel(api: Desk, Path(id): Path<String>) -> Answer {
    let batch = find(&api, &id).await?;
    let cancelled = api.operations.cancel_batch(batch.id).await;
    if !cancelled.map_err(|why| Problem::new(Code::Storage, why))? {
        return Err(Problem::new(
            Code::CallState,
            "every number of the batch was begun, or it was cancelled before",
        ));
    }
    request::ok(View::of(&find(&api, &id).await?))
}
