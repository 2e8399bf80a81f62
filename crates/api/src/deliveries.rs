//! Deliveries: pushes that were made, wait or failed, and sending them again.

use crate::desk::Desk;
use crate::error::Problem;
use crate::request::{self, Answer, Body, Query};
use crate::{rfc3339, time};
use serde::{Deserialize, Serialize};
use strowger_core::project::Topic;
use strowger_store::{DeliveryFilter, DeliveryInfo, DeliveryState, Repush};
use utoipa::{IntoParams, ToSchema};

#[derive(Serialize, ToSchema)]
#[schema(as = Delivery)]
pub(crate) struct View {
    id: u64,
    conversation: String,
    application: String,
    seq: u32,
    topic: &'static str,
    url: String,
    state: &'static str,
    attempts: u32,
    queued_at: String,
    last_at: Option<String>,
    next_at: Option<String>,
    last_error: String,
}

impl View {
    fn of(d: &DeliveryInfo) -> View {
        let pending = matches!(d.state, DeliveryState::Ready | DeliveryState::Waiting);
        View {
            id: d.delivery.id,
            conversation: d.delivery.conversation.to_string(),
            application: d.delivery.application.to_string(),
            seq: d.delivery.seq,
            topic: match d.delivery.topic {
                Topic::Status => "status",
                Topic::CallRecord => "record",
                Topic::Event => "event",
            },
            url: without_secrets(&d.delivery.url),
            state: d.state.name(),
            attempts: d.delivery.attempts,
            queued_at: rfc3339(d.delivery.queued_at),
            last_at: d.last_at.map(rfc3339),
            next_at: pending.then(|| rfc3339(d.next_at)),
            last_error: d.last_error.clone(),
        }
    }
}

/// A URL without user name, password and query, which integrators use for their secrets.
fn without_secrets(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let host = rest[..end].rsplit('@').next().unwrap_or("");
    let path = rest[end..].split(['?', '#']).next().unwrap_or("");
    let more = if rest.contains('?') { "?…" } else { "" };
    format!("{scheme}://{host}{path}{more}")
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    tenant: Option<String>,
    state: Option<String>,
    conversation: Option<String>,
    before: Option<u64>,
    limit: Option<u32>,
}

pub(crate) async fn list(api: Desk, Query(filter): Query<Filter>) -> Answer {
    let tenant = request::tenant(&api.config(), filter.tenant.as_deref())?;
    let state = match filter.state.as_deref() {
        None => None,
        Some(text) => {
            use DeliveryState::{Dead, Delivered, Ready, Waiting};
            let found = [Ready, Waiting, Delivered, Dead].into_iter().find(|s| s.name() == text);
            Some(found.ok_or_else(|| Problem::parameter("state", "state is ready, waiting, delivered or dead"))?)
        }
    };
    let conversation = filter
        .conversation
        .as_deref()
        .map(|c| request::body_id("conversation", c))
        .transpose()?;
    let found = api
        .store
        .deliveries(
            tenant,
            DeliveryFilter {
                state,
                conversation,
                topic: None,
                before: filter.before,
                limit: filter.limit.unwrap_or(0),
            },
        )
        .await?;
    request::list(found.iter().map(View::of))
}

/// What to send again; exactly one of the three.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Repush)]
pub(crate) struct Again {
    tenant: Option<String>,
    deliveries: Option<Vec<u64>>,
    conversations: Option<Vec<String>>,
    from: Option<String>,
    to: Option<String>,
}

pub(crate) async fn repush(api: Desk, Body(again): Body<Again>) -> Answer {
    let tenant = request::tenant(&api.config(), again.tenant.as_deref())?;
    let moment = |member: &str, text: &str| {
        time::parse_rfc3339(text).ok_or_else(|| {
            Problem::parameter(
                member,
                format!("{member} is a time in UTC such as 2026-01-31T09:30:00Z"),
            )
        })
    };
    let what = match (again.deliveries, again.conversations, again.from, again.to) {
        (Some(ids), None, None, None) => Repush::Deliveries(ids),
        (None, Some(ids), None, None) => Repush::Conversations(
            ids.iter()
                .map(|c| request::body_id("conversations", c))
                .collect::<Result<_, _>>()?,
        ),
        (None, None, Some(from), Some(to)) => Repush::Started {
            from: moment("from", &from)?,
            to: moment("to", &to)?,
        },
        _ => {
            return Err(Problem::parameter(
                "deliveries",
                "give either deliveries, or conversations, or from and to",
            ));
        }
    };
    let count = api.store.repush(tenant, what, (api.now)()).await?;
    request::ok(request::Queued { queued: count as u64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shown_url_has_no_secrets() {
        assert_eq!(
            without_secrets("https://u:p@h.example:8/a/b?token=1#x"),
            "https://h.example:8/a/b?…"
        );
        assert_eq!(without_secrets("http://h"), "http://h");
        assert_eq!(without_secrets("http://u@h?q"), "http://h?…");
    }
}
