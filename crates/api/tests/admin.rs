//! The admin API's resources and calls.

mod kit;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use kit::{house, house_with, send};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use strowger_core::{ConversationId, Stamp};
use strowger_runtime::CallError;
use tower::ServiceExt;

#[tokio::test]
async fn a_house_is_furnished_and_a_call_is_placed() {
    let h = house();
    let (_, application) = h.furnish().await;
    assert_eq!(application["profile"], "standard");
    assert_eq!(h.get("/trunks").await["items"][0]["healthy"], true);
    let body = json!({
        "from": "13800000001", "to": "138-0000-0002", "to_cli": "01062345678", "record": "answer", "max_duration": 90,
    });
    let answer = h.post("/calls", body).await;
    assert_eq!(answer["id"], ConversationId::mint(1, 1).to_string());
    let placed = h.calls.placed.lock().unwrap();
    let (head, plan) = &placed[0];
    assert_eq!(head.application.to_string(), application["id"]);
    assert_eq!(head.max_duration, Some(90));
    assert_eq!(
        (plan.caller.text.as_str(), plan.callee.text.as_str()),
        ("13800000001", "138-0000-0002")
    );
    assert_eq!(plan.callee.cli.as_deref(), Some("01062345678"));
    assert_eq!(plan.ring_timeout, 120);
}

#[tokio::test]
async fn wrong_calls_are_refused_before_anything_starts() {
    let h = house();
    h.furnish().await;
    let call = |from: &str, to: &str, more: Value| {
        let mut body = json!({ "from": from, "to": to });
        for (k, v) in more.as_object().unwrap() {
            body[k] = v.clone();
        }
        body
    };
    let (a, b) = ("13800000001", "13800000002");
    for (body, status, code, parameter) in [
        (call(a, "abc", json!({})), 400, "request.parameter", "to"),
        (call(a, "+86 138 0000 0001", json!({})), 400, "request.parameter", "to"),
        (call(a, "+12025550100", json!({})), 403, "call.denied", "to"),
        (call("110", b, json!({})), 403, "call.emergency", "from"),
        (
            call(a, b, json!({ "to_cli": "01099999999" })),
            400,
            "request.parameter",
            "to_cli",
        ),
        (
            call(a, b, json!({ "record": "always" })),
            400,
            "request.parameter",
            "record",
        ),
        (
            call(a, b, json!({ "max_duration": 0 })),
            400,
            "request.parameter",
            "max_duration",
        ),
        (
            call(a, b, json!({ "user_data": "x".repeat(257) })),
            400,
            "request.parameter",
            "user_data",
        ),
    ] {
        let (got, answer) = h.ask(Method::POST, "/calls", body).await;
        assert_eq!((got.as_u16(), &answer["code"]), (status, &json!(code)), "{answer}");
        assert_eq!(answer["parameter"], parameter);
        assert!(answer["detail"].as_str().unwrap().len() > 20);
    }
    let (got, answer) = h
        .ask(Method::POST, "/calls", call(a, b, json!({ "greeting": "none.wav" })))
        .await;
    assert_eq!((got.as_u16(), &answer["code"]), (404, &json!("not-found")));
    assert!(h.calls.placed.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_refusal_of_the_runtime_says_when_to_come_back() {
    let h = house();
    h.furnish().await;
    *h.calls.refuse.lock().unwrap() = Some(CallError::Overloaded { retry_after_secs: 7 });
    let request = Request::post("/api/v1/calls")
        .header("content-type", "application/json")
        .body(Body::from(
            json!({ "from": "13800000001", "to": "13800000002" }).to_string(),
        ))
        .unwrap();
    let response = h.admin.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "7");
}

#[tokio::test]
async fn bodies_that_are_not_what_is_expected_are_explained() {
    let h = house();
    h.furnish().await;
    for (body, words) in [
        ("{", "EOF"),
        ("[]", "expected"),
        (r#"{"from":1,"to":"2"}"#, "from"),
        (r#"{"from":"1"}"#, "to"),
        (r#"{"from":"1","to":"2","coulour":1}"#, "coulour"),
    ] {
        let request = Request::post("/api/v1/calls")
            .header("content-type", "application/json")
            .body(Body::from(body))
            .unwrap();
        let (status, answer) = send(&h.admin, request).await;
        assert_eq!(
            (status.as_u16(), &answer["code"]),
            (400, &json!("request.body")),
            "{answer}"
        );
        assert!(answer["detail"].as_str().unwrap().contains(words), "{answer}");
    }
    let request = Request::post("/api/v1/calls").body(Body::from("{}")).unwrap();
    assert_eq!(send(&h.admin, request).await.1["code"], "request.media-type");
    assert_eq!(
        h.ask(Method::GET, "/nothing", Value::Null).await.1["code"],
        "request.path"
    );
    assert_eq!(
        h.ask(Method::PUT, "/calls", Value::Null).await.1["code"],
        "request.method"
    );
}

#[tokio::test]
async fn a_token_is_shown_once_and_rotates_with_an_overlap() {
    let h = house();
    let (account, _) = h.furnish().await;
    let (id, old) = (account["id"].as_str().unwrap(), account["token"].as_str().unwrap());
    let shown = h.get(&format!("/accounts/{id}")).await;
    assert!(shown.get("token").is_none() && !shown.to_string().contains(old));
    let new = h
        .post(&format!("/accounts/{id}/tokens"), json!({ "overlap": 60 }))
        .await;
    let new = new["token"].as_str().unwrap();
    let accepts = |secret: &str| {
        let now = Stamp(h.now.load(Ordering::Relaxed));
        let config = h.store.snapshot();
        config.account(id.parse().unwrap()).unwrap().accepts(secret, now)
    };
    assert!(accepts(old) && accepts(new));
    h.now.fetch_add(59_999, Ordering::Relaxed);
    assert!(accepts(old) && accepts(new));
    h.now.fetch_add(1, Ordering::Relaxed);
    assert!(!accepts(old) && accepts(new));
    let (status, _) = h
        .ask(Method::PATCH, &format!("/accounts/{id}"), json!({ "disabled": true }))
        .await;
    assert_eq!(status, 200);
    assert!(h.store.snapshot().account(id.parse().unwrap()).unwrap().disabled);
}

#[tokio::test]
async fn with_several_tenants_one_is_named_and_lists_are_separate() {
    let h = house();
    let (status, answer) = h.ask(Method::POST, "/accounts", json!({ "name": "crm" })).await;
    assert_eq!(
        (status.as_u16(), &answer["code"]),
        (400, &json!("request.tenant")),
        "{answer}"
    );
    h.furnish().await;
    h.post("/tenants", json!({ "name": "other" })).await;
    let (status, answer) = h.ask(Method::POST, "/accounts", json!({ "name": "crm" })).await;
    assert_eq!((status.as_u16(), &answer["code"]), (400, &json!("request.tenant")));
    assert!(answer["detail"].as_str().unwrap().contains("acme, other"), "{answer}");
    h.post("/accounts", json!({ "name": "crm", "tenant": "other" })).await;
    assert_eq!(h.get("/accounts").await["items"].as_array().unwrap().len(), 2);
    assert_eq!(
        h.get("/accounts?tenant=other").await["items"].as_array().unwrap().len(),
        1
    );
    // A number belongs to one tenant.
    let (status, answer) = h
        .ask(
            Method::POST,
            "/numbers",
            json!({ "number": "+86 10 62345678", "tenant": "other" }),
        )
        .await;
    assert_eq!((status.as_u16(), &answer["code"]), (409, &json!("exists")));
    let (status, answer) = h.ask(Method::POST, "/tenants", json!({ "name": "acme" })).await;
    assert_eq!((status.as_u16(), &answer["code"]), (409, &json!("exists")));
}

#[tokio::test]
async fn trunks_are_checked_changed_and_never_show_their_password() {
    let h = house();
    h.furnish().await;
    let body = json!({
        "name": "digest", "address": "192.0.2.1", "username": "u", "password": "hidden-word", "codecs": ["PCMU"],
        "rules": [{ "prefix": "+86", "strip": 3, "prepend": "0" }, { "prefix": "+1", "allow": false }],
    });
    let trunk = h.post("/trunks", body).await;
    assert_eq!(trunk["address"], "192.0.2.1:5060");
    assert_eq!(trunk["rules"][1]["allow"], false);
    assert!(!trunk.to_string().contains("hidden-word"));
    let (_, changed) = h
        .ask(
            Method::PATCH,
            "/trunks/digest",
            json!({ "priority": 3, "disabled": true }),
        )
        .await;
    assert_eq!(
        (&changed["priority"], &changed["disabled"], &changed["username"]),
        (&json!(3), &json!(true), &json!("u"))
    );
    for (body, parameter) in [
        (json!({ "name": "x", "address": "carrier.example" }), "address"),
        (json!({ "name": "x", "address": "0.0.0.0" }), "address"),
        (
            json!({ "name": "x", "address": "192.0.2.1", "codecs": ["speex"] }),
            "codecs",
        ),
        (
            json!({ "name": "x", "address": "192.0.2.1", "username": "u" }),
            "username",
        ),
        (
            json!({ "name": "x", "address": "192.0.2.1", "options_interval": 1 }),
            "options_interval",
        ),
        (json!({ "name": "", "address": "192.0.2.1" }), "name"),
        (json!({ "name": "x" }), "address"),
        (
            json!({ "name": "x", "address": "192.0.2.1", "server": "carrier.example" }),
            "server",
        ),
        (json!({ "name": "x", "server": "192.0.2.1" }), "server"),
        (json!({ "name": "x", "server": "carrier.example:0" }), "server"),
        (
            json!({ "name": "x", "server": "carrier.example", "transport": "sctp" }),
            "transport",
        ),
        (
            json!({ "name": "x", "server": "carrier.example", "register": 600 }),
            "register",
        ),
        (
            json!({ "name": "x", "server": "c.example", "username": "u", "password": "p", "register": 5 }),
            "register",
        ),
        (
            json!({ "name": "x", "address": "192.0.2.1", "contact_user": "main" }),
            "contact_user",
        ),
        (
            json!({ "name": "x", "address": "192.0.2.1", "asserted": "sip:a>\r\nX: y" }),
            "asserted",
        ),
        (
            json!({ "name": "x", "address": "192.0.2.1", "privacy": "always" }),
            "privacy",
        ),
        (
            json!({ "name": "x", "address": "192.0.2.1", "sources": ["192.0.2.0/33"] }),
            "sources",
        ),
    ] {
        let (status, answer) = h.ask(Method::POST, "/trunks", body).await;
        assert_eq!(
            (status.as_u16(), &answer["parameter"]),
            (400, &json!(parameter)),
            "{answer}"
        );
    }
    let (status, _) = h.ask(Method::DELETE, "/trunks/digest", Value::Null).await;
    assert_eq!(status, 204);
    assert_eq!(h.ask(Method::GET, "/trunks/digest", Value::Null).await.0, 404);
}

#[tokio::test]
async fn a_route_goes_from_an_own_number_to_a_device_or_a_number() {
    let h = house();
    let (_, application) = h.furnish().await;
    let device = h
        .post("/devices", json!({ "username": "desk-1", "contact": "127.0.0.1:5070" }))
        .await;
    assert!(
        device["password"].as_str().unwrap().len() >= 16,
        "a made password is shown once"
    );
    let application = application["id"].clone();
    let route = |number: &str, target: Value| json!({ "application": application, "number": number, "target": target });
    let (status, answer) = h
        .ask(
            Method::POST,
            "/routes",
            route("01000000000", json!({ "device": "desk-1" })),
        )
        .await;
    assert_eq!(
        (status.as_u16(), &answer["parameter"]),
        (400, &json!("number")),
        "{answer}"
    );
    let made = h
        .post("/routes", route("01062345678", json!({ "device": "desk-1" })))
        .await;
    assert_eq!(made["target"]["device"], device["id"]);
    let (status, _) = h
        .ask(
            Method::POST,
            "/routes",
            route("01062345678", json!({ "number": "13800000001" })),
        )
        .await;
    assert_eq!(status, 409);
    let id = made["id"].as_str().unwrap();
    assert_eq!(
        h.ask(Method::DELETE, &format!("/routes/{id}"), Value::Null).await.0,
        204
    );
    let made = h
        .post("/routes", route("01062345678", json!({ "number": "13800000001" })))
        .await;
    let id = made["id"].as_str().unwrap();
    h.ask(Method::DELETE, &format!("/routes/{id}"), Value::Null).await;
    let (status, _) = h
        .ask(
            Method::POST,
            "/routes",
            route("01062345678", json!({ "trunk": "none" })),
        )
        .await;
    assert_eq!(status, 404);
    let trunks = h.get("/trunks").await;
    let made = h.post("/routes", route("01062345678", json!({ "trunk": "lab" }))).await;
    assert_eq!(made["target"]["trunk"], trunks["items"][0]["id"]);
    let path = format!("/trunks/{}", trunks["items"][0]["id"].as_str().unwrap());
    let (status, answer) = h.ask(Method::DELETE, &path, Value::Null).await;
    assert_eq!((status.as_u16(), &answer["code"]), (409, &json!("in-use")));
}

#[tokio::test]
async fn a_prompt_is_uploaded_used_and_replaced() {
    let h = house();
    h.furnish().await;
    let wav = include_bytes!("../../../sounds/en/greeting.wav");
    let upload = |body: Vec<u8>| {
        let request = Request::post("/api/v1/prompts?name=hello.wav").header("content-type", "audio/wav");
        send(&h.admin, request.body(Body::from(body)).unwrap())
    };
    let (status, answer) = upload(b"not a wav".to_vec()).await;
    assert_eq!((status.as_u16(), &answer["code"]), (422, &json!("prompt.format")));
    let (status, answer) = upload(wav.to_vec()).await;
    assert_eq!(status, 201, "{answer}");
    assert_eq!(answer["duration_ms"], (wav.len() as u64 - 44) / 16);
    let stored = std::fs::read_dir(h.folder.path().join("prompts")).unwrap().count();
    assert_eq!(stored, 1, "no half-written file is left");
    let body = json!({ "from": "13800000001", "to": "13800000002", "greeting": "hello.wav" });
    h.post("/calls", body).await;
    let plan = h.calls.placed.lock().unwrap()[0].1.clone();
    assert_eq!(u64::from(plan.greeting.unwrap().millis), answer["duration_ms"]);
    let (status, answer) = upload(vec![0; strowger_api::PROMPT_LIMIT + 1]).await;
    assert_eq!(
        (status.as_u16(), &answer["code"]),
        (413, &json!("request.too-large")),
        "{answer}"
    );
    assert_eq!(h.ask(Method::DELETE, "/prompts/hello.wav", Value::Null).await.0, 204);
}

#[tokio::test]
async fn prompts_of_other_formats_are_converted_and_others_refused_with_their_reason() {
    let h = house();
    h.furnish().await;
    let upload = |name: &str, body: &[u8]| {
        let request = Request::post(format!("/api/v1/prompts?name={name}"));
        send(&h.admin, request.body(Body::from(body.to_vec())).unwrap())
    };
    for (name, file) in [
        ("mp3", &include_bytes!("../../speech/tests/files/stereo.mp3")[..]),
        ("vorbis", include_bytes!("../../speech/tests/files/vorbis.ogg")),
        ("opus", include_bytes!("../../speech/tests/files/opus.ogg")),
    ] {
        let (status, answer) = upload(name, file).await;
        assert_eq!(status, 201, "{answer}");
        assert!(
            (480..560).contains(&answer["duration_ms"].as_u64().unwrap()),
            "{answer}"
        );
        let path = format!("prompts/{}.wav", answer["checksum"].as_str().unwrap());
        let kept = std::fs::read(h.folder.path().join(path)).unwrap();
        // PCM, one channel, 8,000 samples a second, 16 bits.
        assert_eq!(kept[20..28], [1, 0, 1, 0, 0x40, 0x1f, 0, 0]);
        assert_eq!(kept[34..36], [16, 0]);
    }
    let flac = include_bytes!("../../speech/tests/files/tone.flac");
    let (status, answer) = upload("flac", flac).await;
    assert_eq!((status.as_u16(), &answer["code"]), (422, &json!("prompt.format")));
    assert!(answer["detail"].as_str().unwrap().contains("FLAC"), "{answer}");
    let (status, answer) = upload("a%2Fb", flac).await;
    assert_eq!((status.as_u16(), &answer["parameter"]), (400, &json!("name")));
    let folder = std::fs::read_dir(h.folder.path().join("prompts")).unwrap();
    assert_eq!(folder.count(), 3, "no part of a refused file is left");
}

#[tokio::test]
async fn a_prompt_waits_for_approval_where_it_is_asked_for() {
    let h = house_with(strowger_api::Speech {
        approval: true,
        ..strowger_api::Speech::default()
    });
    h.furnish().await;
    let wav = include_bytes!("../../../sounds/en/units/1.wav").to_vec();
    let request = Request::post("/api/v1/prompts?name=one").body(Body::from(wav)).unwrap();
    let (status, answer) = send(&h.admin, request).await;
    assert_eq!((status.as_u16(), &answer["state"]), (201, &json!("pending")));
    let call = || json!({ "from": "13800000001", "to": "13800000002", "greeting": "one" });
    let (status, answer) = h.ask(Method::POST, "/calls", call()).await;
    assert!(status.is_client_error(), "{answer}");
    let review = |state| h.ask(Method::PATCH, "/prompts/one", json!({ "state": state }));
    assert_eq!(review("ready").await.1["state"], "ready");
    h.post("/calls", call()).await;
    assert_eq!(review("rejected").await.1["state"], "rejected");
    let (status, answer) = h.ask(Method::POST, "/calls", call()).await;
    assert!(status.is_client_error(), "{answer}");
    assert_eq!(review("pending").await.0, 400);
    let nobody = h.ask(Method::PATCH, "/prompts/two", json!({ "state": "ready" })).await;
    assert_eq!(nobody.0, 404);
}

#[tokio::test]
async fn a_backup_is_made_and_never_overwrites() {
    let h = house();
    h.furnish().await;
    let path = h.folder.path().join("copy.db");
    let answer = h.post("/backup", json!({ "path": path })).await;
    assert_eq!(answer["bytes"], std::fs::metadata(&path).unwrap().len());
    let (status, answer) = h.ask(Method::POST, "/backup", json!({ "path": path })).await;
    assert_eq!((status.as_u16(), &answer["code"]), (409, &json!("exists")));
    let (status, _) = h.ask(Method::POST, "/backup", json!({ "path": "relative.db" })).await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn the_public_listener_has_health_readiness_and_metrics_and_nothing_else_for_nobody() {
    let h = house();
    let get = |path: &str| send(&h.public, Request::get(path.to_owned()).body(Body::empty()).unwrap());
    assert_eq!(get("/health").await.1["status"], "ok");
    assert_eq!(get("/ready").await.0, 200);
    *h.calls.refuse.lock().unwrap() = Some(CallError::Draining);
    let (status, answer) = get("/ready").await;
    assert_eq!(status, 503);
    assert!(answer["reasons"][0].as_str().unwrap().contains("drained"), "{answer}");
    let (status, page) = get("/metrics").await;
    assert_eq!(status, 200);
    assert!(
        page.as_str().unwrap().contains("strowger_deliveries{state=\"dead\"} 0"),
        "{page}"
    );
    let response = h
        .public
        .clone()
        .oneshot(Request::get("/api/v1/tenants").body(Body::empty()).unwrap())
        .await
        .unwrap();
    assert_eq!(response.status(), 401);
}

#[tokio::test]
async fn deliveries_are_listed_and_wrong_filters_refused() {
    let h = house();
    h.furnish().await;
    assert_eq!(h.get("/deliveries?state=dead&limit=5").await, json!({ "items": [] }));
    let (status, answer) = h.ask(Method::GET, "/deliveries?state=lost", Value::Null).await;
    assert_eq!((status.as_u16(), &answer["parameter"]), (400, &json!("state")));
    let (status, _) = h.ask(Method::POST, "/deliveries/repush", json!({})).await;
    assert_eq!(status, 400);
    let span = json!({ "from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z" });
    assert_eq!(h.post("/deliveries/repush", span).await["queued"], 0);
    let (status, answer) = h
        .ask(Method::GET, &format!("/calls/{}", "0".repeat(32)), Value::Null)
        .await;
    assert_eq!((status.as_u16(), &answer["code"]), (404, &json!("not-found")));
    // The runtime does not know it any more: it is not listed.
    assert_eq!(h.get("/calls").await, json!({ "items": [] }));
}

#[tokio::test]
async fn an_application_gathers_records_within_bounds() {
    let h = house();
    let (_, application) = h.furnish().await;
    assert_eq!(application["settings"]["record_batch_size"], 0);
    let path = format!("/applications/{}", application["id"].as_str().unwrap());
    let change =
        |size: u32, seconds: u32| json!({ "settings": { "record_batch_size": size, "record_batch_seconds": seconds } });
    let (status, changed) = h.ask(Method::PATCH, &path, change(100, 30)).await;
    assert_eq!(status, 200, "{changed}");
    assert_eq!(changed["settings"]["record_batch_size"], 100);
    assert_eq!(h.get(&path).await["settings"]["record_batch_seconds"], 30);
    for (size, seconds, wrong) in [(101, 30, "size"), (10, 0, "seconds"), (10, 3601, "seconds")] {
        let (status, problem) = h.ask(Method::PATCH, &path, change(size, seconds)).await;
        assert_eq!(
            (status.as_u16(), &problem["parameter"]),
            (400, &json!(format!("settings.record_batch_{wrong}")))
        );
    }
}

// accept: domain-model I11
#[tokio::test]
async fn a_call_with_a_key_is_placed_once() {
    let h = house();
    h.furnish().await;
    let (a, b) = ("13800138000", "13900139000");
    let call = |from: &str, to: &str| json!({ "from": from, "to": to });
    let place = async |key: &[u8], body: Value| {
        let request = Request::post("/api/v1/calls")
            .header("content-type", "application/json")
            .header("idempotency-key", key)
            .body(Body::from(body.to_string()))
            .unwrap();
        send(&h.admin, request).await
    };
    let (status, first) = place(b"k", call(a, b)).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{first}");
    // Again, also while nothing new could be placed.
    *h.calls.refuse.lock().unwrap() = Some(CallError::Draining);
    assert_eq!(place(b"k", call(a, b)).await, (status, first.clone()));
    assert_eq!(h.calls.placed.lock().unwrap().len(), 1);
    *h.calls.refuse.lock().unwrap() = None;
    let (status, problem) = place(b"k", call(b, a)).await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::CONFLICT, &json!("call.key-reused"))
    );
    let (status, problem) = place("\u{e9}".as_bytes(), call(a, b)).await;
    assert_eq!(
        (status, &problem["parameter"]),
        (StatusCode::BAD_REQUEST, &json!("Idempotency-Key"))
    );
    assert_eq!(h.calls.placed.lock().unwrap().len(), 1);
    place(b"l", call(a, b)).await;
    assert_eq!(h.calls.placed.lock().unwrap().len(), 2);
}
