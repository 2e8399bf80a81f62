//! Recordings over the API: by whom they are fetched, and in which parts.

mod kit;

use axum::body::Body;
use axum::http::{Request, Response};
use http_body_util::BodyExt;
use kit::{House, house};
use strowger_core::event::{Created, Event, Fact, Kind, RecordMode};
use strowger_core::{ConversationId, ConversationRecord, Stamp, TenantId};
use tower::ServiceExt;

const SOUND: &[u8] = b"RIFF0123456789";

/// A conversation of this tenant that runs, with a finished recording, one that runs and one that failed.
fn conversation(h: &House, tenant: TenantId) -> (ConversationId, String) {
    let id = ConversationId::mint(1_700_000_000_000, 1);
    let name = format!("RE{:032x}{}.wav", id.0, "a".repeat(32));
    let created = Created {
        tenant,
        application: strowger_core::ApplicationId(1),
        account: None,
        kind: Kind::ClickToCall,
        ani: "1".into(),
        dnis: "2".into(),
        user_data: String::new(),
        max_duration: None,
        record: RecordMode::FromAnswer,
        subscriptions: Vec::new(),
    };
    let facts = [
        Fact::Created(Box::new(created)),
        Fact::RecordingStarted { recording: 0 },
        Fact::RecordingFinished {
            recording: 0,
            name: name.clone(),
            millis: 1,
            bytes: SOUND.len() as u64,
            checksum: "ab".repeat(32),
        },
        Fact::RecordingStarted { recording: 1 },
        Fact::RecordingStarted { recording: 2 },
        Fact::RecordingFailed {
            recording: 2,
            reason: "disk".into(),
        },
    ];
    let events = facts.into_iter().zip(1..).map(|(fact, seq)| Event {
        conversation: id,
        seq,
        at: Stamp(1_700_000_000_000),
        fact,
    });
    let events: Vec<Event> = events.collect();
    *h.calls.live.lock().unwrap() = ConversationRecord::fold(&events).unwrap();
    std::fs::write(h.folder.path().join("recordings").join(&name), SOUND).unwrap();
    (id, name)
}

async fn get(router: &axum::Router, path: &str, headers: &[(&str, &str)]) -> (Response<()>, Vec<u8>) {
    let mut request = Request::get(format!("/api/v1/calls/{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = router
        .clone()
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (Response::from_parts(parts, ()), body.to_vec())
}

#[tokio::test]
async fn a_recording_is_fetched_whole_and_in_parts() {
    let h = house();
    h.furnish().await;
    let tenant = h.store.snapshot().tenants().next().unwrap().id;
    let (id, _) = conversation(&h, tenant);
    let path = format!("{id}/recordings/0");
    let (answer, body) = get(&h.admin, &path, &[]).await;
    assert_eq!((answer.status().as_u16(), body.as_slice()), (200, SOUND));
    let tag = answer.headers()["etag"].to_str().unwrap().to_owned();
    assert_eq!(tag, format!("\"{}\"", "ab".repeat(32)));
    for (name, value) in [
        ("content-type", "audio/wav"),
        ("content-length", "14"),
        ("accept-ranges", "bytes"),
        ("cache-control", "private"),
    ] {
        assert_eq!(answer.headers()[name], value);
    }
    let other = "\"other\"";
    for (headers, status, range, body) in [
        (vec![("range", "bytes=0-3")], 206, Some("bytes 0-3/14"), &b"RIFF"[..]),
        (vec![("range", "bytes=-2")], 206, Some("bytes 12-13/14"), b"89"),
        (vec![("range", "bytes=4-")], 206, Some("bytes 4-13/14"), &SOUND[4..]),
        (
            vec![("range", "bytes=0-1"), ("if-range", &tag)],
            206,
            Some("bytes 0-1/14"),
            b"RI",
        ),
        (vec![("range", "bytes=0-1"), ("if-range", other)], 200, None, SOUND),
        (vec![("range", "bytes=0-1,3-4")], 200, None, SOUND),
        (vec![("if-none-match", &tag)], 304, None, b""),
        (vec![("if-none-match", other)], 200, None, SOUND),
    ] {
        let (answer, got) = get(&h.admin, &path, &headers).await;
        assert_eq!(
            (answer.status().as_u16(), got.as_slice()),
            (status, body),
            "{headers:?}"
        );
        let named = answer.headers().get("content-range").map(|v| v.to_str().unwrap());
        assert_eq!(named, range, "{headers:?}");
        assert_eq!(answer.headers()["etag"], tag.as_str());
    }
    let (answer, body) = get(&h.admin, &path, &[("range", "bytes=14-")]).await;
    assert_eq!(answer.status(), 416);
    assert_eq!(answer.headers()["content-range"], "bytes */14");
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["code"], "request.range");
}

#[tokio::test]
async fn what_is_not_there_is_said_so() {
    let h = house();
    h.furnish().await;
    let tenant = h.store.snapshot().tenants().next().unwrap().id;
    let (id, name) = conversation(&h, tenant);
    for (n, word) in [
        ("1", "still being written"),
        ("2", "failed"),
        ("3", "3"),
        ("x", "x"),
        ("-1", "-1"),
    ] {
        let (answer, body) = get(&h.admin, &format!("{id}/recordings/{n}"), &[]).await;
        let body = String::from_utf8(body).unwrap();
        assert!(answer.status() == 404 && body.contains(word), "{n}: {body}");
    }
    std::fs::remove_file(h.folder.path().join("recordings").join(name)).unwrap();
    let (answer, _) = get(&h.admin, &format!("{id}/recordings/0"), &[]).await;
    assert_eq!(answer.status(), 404);
}

#[tokio::test]
async fn only_the_tenant_fetches_its_recordings() {
    let h = house();
    let (tenant, key) = h.tenant_with_key("acme", &["calls:read"]).await;
    let (_, stranger) = h.tenant_with_key("other", &["calls:read"]).await;
    let (_, powerless) = h.tenant_with_key("third", &["resources:read"]).await;
    let (id, _) = conversation(&h, tenant.parse().unwrap());
    let path = format!("{id}/recordings/0");
    let ask = async |key: Option<&str>| {
        let credential = key.map(|k| format!("Bearer {k}"));
        let headers: Vec<_> = credential.iter().map(|c| ("authorization", c.as_str())).collect();
        get(&h.public, &path, &headers).await
    };
    let (answer, body) = ask(Some(&key)).await;
    assert_eq!((answer.status().as_u16(), body.as_slice()), (200, SOUND));
    // Nothing is told about another tenant's calls.
    for (key, status) in [
        (Some(stranger.as_str()), 404),
        (Some(&powerless), 403),
        (Some("x"), 401),
        (None, 401),
    ] {
        assert_eq!(ask(key).await.0.status(), status, "{key:?}");
    }
    let (answer, _) = get(&h.admin, &path, &[]).await;
    assert_eq!(answer.status(), 200, "operators fetch every tenant's");
}
