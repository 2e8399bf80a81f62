//! Health, readiness and metrics: no data of any tenant, so they may be public.

use crate::{Api, Metric, MetricKind};
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::fmt::Write;

pub(crate) fn routes() -> Router<Api> {
    Router::new()
        .route("/health", get(health))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
}

/// The process runs and answers.
async fn health() -> Response {
    axum::Json(serde_json::json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") })).into_response()
}

/// New calls are accepted: what a load balancer asks.
async fn ready(State(api): State<Api>) -> Response {
    let reasons = api.operations.not_ready();
    let status = if reasons.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let word = if reasons.is_empty() { "ready" } else { "not ready" };
    (
        status,
        axum::Json(serde_json::json!({ "status": word, "reasons": reasons })),
    )
        .into_response()
}

async fn metrics(State(api): State<Api>) -> Response {
    let mut all = api.operations.metrics();
    crate::speech::metrics(&api.speech, &mut all);
    let kept = api.blobs.stats();
    let blob = |name, help, kind, value: u64| Metric {
        name,
        help,
        kind,
        labels: Vec::new(),
        value: value as f64,
    };
    if api.blobs.has_store() {
        all.extend([
            blob(
                "strowger_recordings_stored_total",
                "Recordings that were put into the store.",
                MetricKind::Counter,
                kept.stored,
            ),
            blob(
                "strowger_recordings_store_failures_total",
                "Attempts to put a recording into the store that failed.",
                MetricKind::Counter,
                kept.failed,
            ),
            blob(
                "strowger_recordings_waiting",
                "Recordings in the spool.",
                MetricKind::Gauge,
                kept.waiting,
            ),
            blob(
                "strowger_recordings_waiting_bytes",
                "Their size.",
                MetricKind::Gauge,
                kept.waiting_bytes,
            ),
        ]);
    }
    let outbox = api.store.outbox_counts().await.unwrap_or_default();
    for (state, n) in [("pending", outbox.ready), ("dead", outbox.dead)] {
        all.push(Metric {
            name: "strowger_deliveries",
            help: "Pushes that are not delivered, by state.",
            kind: MetricKind::Gauge,
            labels: vec![("state", state.to_owned())],
            value: n as f64,
        });
    }
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        page(&all),
    )
        .into_response()
}

/// The Prometheus text format, version 0.0.4: the samples of one name stand together under one HELP and TYPE.
fn page(all: &[Metric]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for m in all {
        if !names.contains(&m.name) {
            names.push(m.name);
        }
    }
    let mut out = String::new();
    for name in names {
        let mut head = true;
        for m in all.iter().filter(|m| m.name == name) {
            if head {
                let kind = match m.kind {
                    MetricKind::Counter => "counter",
                    MetricKind::Gauge => "gauge",
                    MetricKind::Bucket | MetricKind::Sum | MetricKind::Count => "histogram",
                };
                let _ = writeln!(out, "# HELP {name} {}\n# TYPE {name} {kind}", m.help);
                head = false;
            }
            out.push_str(name);
            out.push_str(match m.kind {
                MetricKind::Counter | MetricKind::Gauge => "",
                MetricKind::Bucket => "_bucket",
                MetricKind::Sum => "_sum",
                MetricKind::Count => "_count",
            });
            for (i, (label, value)) in m.labels.iter().enumerate() {
                let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
                let _ = write!(out, "{}{label}=\"{value}\"", if i == 0 { "{" } else { "," });
            }
            if !m.labels.is_empty() {
                out.push('}');
            }
            let _ = writeln!(out, " {}", m.value);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_groups_names_and_escapes_labels() {
        let m = |name, label: Option<&str>, value| Metric {
            name,
            help: "Help.",
            kind: MetricKind::Gauge,
            labels: label.map(|l| ("x", l.to_owned())).into_iter().collect(),
            value,
        };
        let text = page(&[m("a", Some("1"), 1.0), m("b", None, 0.5), m("a", Some("\"\\"), 2.0)]);
        let of = |kind, labels: &[&str], value| Metric {
            kind,
            labels: labels.iter().map(|l| ("le", (*l).to_owned())).collect(),
            ..m("h", None, value)
        };
        let histogram = page(&[
            of(MetricKind::Bucket, &["0.5"], 1.0),
            of(MetricKind::Sum, &[], 2.5),
            of(MetricKind::Count, &[], 2.0),
        ]);
        assert_eq!(
            histogram,
            "# HELP h Help.\n# TYPE h histogram\nh_bucket{le=\"0.5\"} 1\nh_sum 2.5\nh_count 2\n"
        );
        assert_eq!(
            text,
            "# HELP a Help.\n# TYPE a gauge\na{x=\"1\"} 1\na{x=\"\\\"\\\\\"} 2\n# HELP b Help.\n# TYPE b gauge\nb 0.5\n"
        );
    }
}
