//! ICE servers with credentials that expire: for operators, for an account, for a device, and for nobody else.

mod kit;

use axum::body::Body;
use axum::http::{Method, Request, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::BodyExt;
use kit::{House, house, house_with_ice};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::time::Duration;
use strowger_api::IceServers;
use strowger_store::Secret;
use tower::ServiceExt;

fn servers(origins: &[&str]) -> IceServers {
    IceServers::new(
        vec![
            "stun:stun.example.com".into(),
            "turn:turn.example.com?transport=udp".into(),
        ],
        Some(Secret::new("north")),
        Duration::from_secs(600),
        origins.iter().map(|o| (*o).to_owned()).collect(),
    )
}

async fn ask(h: &House, path: &str, headers: &[(&str, String)]) -> (Response<()>, Value) {
    let mut request = Request::get(format!("/api/v1/ice-servers{path}"));
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let response = h
        .public
        .clone()
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (
        Response::from_parts(parts, ()),
        serde_json::from_slice(&body).unwrap_or(Value::Null),
    )
}

fn basic(name: &str, password: &str) -> (&'static str, String) {
    let text = STANDARD.encode(format!("{name}:{password}"));
    ("authorization", format!("Basic {text}"))
}

#[tokio::test]
async fn a_device_and_an_account_are_told_and_strangers_are_not() {
    let h = house_with_ice(servers(&[]));
    let (account, _) = h.furnish().await;
    h.post(
        "/devices",
        json!({ "username": "alice", "password": "secret-of-alice" }),
    )
    .await;
    let (answer, body) = ask(&h, "", &[basic("alice", "secret-of-alice")]).await;
    assert_eq!(answer.status(), 200, "{body}");
    assert_eq!(answer.headers()["cache-control"], "no-store");
    assert_eq!(body["ttl"], 600);
    assert_eq!(body["iceServers"][0], json!({ "urls": ["stun:stun.example.com"] }));
    let turn = &body["iceServers"][1];
    assert_eq!(turn["urls"], json!(["turn:turn.example.com?transport=udp"]));
    assert_eq!(turn["username"], "1700000600:alice");
    // printf 1700000600:alice | openssl dgst -sha1 -hmac north -binary | base64
    assert_eq!(turn["credential"], "gthUwOpcRoLI0MMCziCEBOWYnpo=");
    // A device speaks for itself alone.
    let (_, body) = ask(&h, "?user=bob", &[basic("alice", "secret-of-alice")]).await;
    assert_eq!(body["iceServers"][1]["username"], "1700000600:alice");
    let (id, token) = (account["id"].as_str().unwrap(), account["token"].as_str().unwrap());
    let (_, body) = ask(&h, "?user=visitor-7", &[basic(id, token)]).await;
    assert_eq!(body["iceServers"][1]["username"], "1700000600:visitor-7");
    let (answer, _) = ask(&h, "?user=a%3Ab", &[basic(id, token)]).await;
    assert_eq!(answer.status(), 400);
    for wrong in [
        vec![],
        vec![basic("alice", "secret-of-bob")],
        vec![basic("nobody", "secret-of-alice")],
        vec![basic(id, "secret-of-alice")],
        vec![("authorization", "Basic %%%".to_owned())],
        vec![("authorization", "Bearer x".to_owned())],
        vec![basic("alice", "secret-of-alice"), basic(id, token)],
    ] {
        let (answer, body) = ask(&h, "", &wrong).await;
        assert_eq!(
            (answer.status().as_u16(), &body["code"]),
            (401, &json!("request.credentials"))
        );
        assert!(
            answer.headers()["www-authenticate"]
                .to_str()
                .unwrap()
                .starts_with("Basic ")
        );
        assert_eq!(body["iceServers"], Value::Null);
    }
    // Out of service.
    h.ask(Method::PATCH, "/devices/alice", json!({ "disabled": true }))
        .await;
    let (answer, _) = ask(&h, "", &[basic("alice", "secret-of-alice")]).await;
    assert_eq!(answer.status(), 401);
}

#[tokio::test]
async fn who_guesses_is_not_looked_at_for_a_minute() {
    let h = house_with_ice(servers(&[]));
    h.furnish().await;
    h.post(
        "/devices",
        json!({ "username": "alice", "password": "secret-of-alice" }),
    )
    .await;
    for _ in 0..10 {
        assert_eq!(ask(&h, "", &[basic("alice", "wrong")]).await.0.status(), 401);
    }
    let right = [basic("alice", "secret-of-alice")];
    let (answer, body) = ask(&h, "", &right).await;
    assert_eq!(
        (answer.status().as_u16(), &body["code"]),
        (429, &json!("request.attempts"))
    );
    assert_eq!(answer.headers()["retry-after"], "60");
    h.now.fetch_add(60_000, Ordering::Relaxed);
    assert_eq!(ask(&h, "", &right).await.0.status(), 200);
}

#[tokio::test]
async fn pages_of_known_origins_may_read_the_answer() {
    let h = house_with_ice(servers(&["https://desk.example.com"]));
    h.furnish().await;
    for (origin, allowed) in [("https://desk.example.com", true), ("https://evil.example", false)] {
        let request = Request::builder().method(Method::OPTIONS).uri("/api/v1/ice-servers");
        let request = request.header("origin", origin).body(Body::empty()).unwrap();
        let preflight = h.public.clone().oneshot(request).await.unwrap();
        assert_eq!(preflight.status(), 204);
        let (refused, _) = ask(&h, "", &[("origin", origin.to_owned())]).await;
        for headers in [preflight.headers(), refused.headers()] {
            let said = headers.get("access-control-allow-origin").map(|v| v.to_str().unwrap());
            assert_eq!(said, allowed.then_some(origin));
        }
        assert_eq!(preflight.headers()["access-control-allow-headers"], "authorization");
    }
}

#[tokio::test]
async fn operators_need_no_password_and_a_house_without_servers_says_so() {
    let h = house_with_ice(servers(&[]));
    let body = h.get("/ice-servers?user=page").await;
    assert_eq!(body["iceServers"][1]["username"], "1700000600:page");
    let bare = house();
    let (status, body) = bare.ask(Method::GET, "/ice-servers", Value::Null).await;
    assert_eq!((status.as_u16(), &body["code"]), (409, &json!("turn.off")));
}
