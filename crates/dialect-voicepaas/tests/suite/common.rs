//! Credentials, bodies, paths, and the answers that every request of the family has in common.

use crate::kit::*;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use base64::Engine;
use serde_json::json;
use strowger_dialect_voicepaas::Token;
use strowger_runtime::CallError;

const TAIL: &str = "ctc/Conversations";

fn with(kit: &Kit, authorization: Option<&str>) -> Reply {
    let mut request = Request::post(path((ACCOUNT, APP), TAIL));
    if let Some(value) = authorization {
        request = request.header(header::AUTHORIZATION, value);
    }
    kit.send(request.body(Body::from(click_body(json!({})).to_string())).unwrap())
}

fn raw(kit: &Kit, body: impl Into<Body>) -> Reply {
    kit.send(
        Request::post(path((ACCOUNT, APP), TAIL))
            .header(header::AUTHORIZATION, basic(ACCOUNT, TOKEN))
            .body(body.into())
            .unwrap(),
    )
}

fn encode(text: impl AsRef<[u8]>) -> String {
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[test]
fn right_credentials_are_accepted_in_every_spelling_of_the_scheme() {
    let kit = Kit::talking();
    let good = encode(format!("{ACCOUNT}:{TOKEN}"));
    for scheme in ["Basic", "basic", "BASIC"] {
        assert_eq!(with(&kit, Some(&format!("{scheme} {good}"))).code(), "00000");
    }
    let bare = good.trim_end_matches('=');
    assert_eq!(with(&kit, Some(&format!("Basic {bare}"))).code(), "00000");
}

// accept: voice-paas 2-6
#[test]
fn wrong_credentials_are_one_business_code_with_http_200() {
    let kit = Kit::talking();
    let other = basic(OTHER_ACCOUNT, TOKEN);
    let unknown = encode(format!("{:032x}:{TOKEN}", 99));
    let wrong = [
        None,
        Some(basic(ACCOUNT, "wrong")),
        Some(basic(ACCOUNT, "")),
        // The credential's sid differs from the path's.
        Some(other),
        Some(format!("Bearer {}", encode(format!("{ACCOUNT}:{TOKEN}")))),
        Some("Basic %%%".into()),
        Some("Basic".into()),
        Some("Basic ".into()),
        Some(format!("Basic {unknown}")),
        Some(format!("Basic {}", encode(format!("{ACCOUNT}")))),
        Some(format!("Basic {}", encode([0xff, 0xfe, b':', b'x']))),
        Some(format!("Basic {}", encode("x".repeat(5000)))),
    ];
    for value in wrong {
        let reply = with(&kit, value.as_deref());
        assert_eq!(reply.code(), "10001", "{value:?}");
        assert!(reply.body["statusMsg"].is_string());
        assert!(!reply.text.contains(TOKEN));
    }
    assert!(kit.world().convs.is_empty());
}

#[test]
fn two_authorization_headers_are_none() {
    let kit = Kit::talking();
    let request = Request::post(path((ACCOUNT, APP), TAIL))
        .header(header::AUTHORIZATION, basic(ACCOUNT, TOKEN))
        .header(header::AUTHORIZATION, basic(ACCOUNT, "wrong"))
        .body(Body::from(click_body(json!({})).to_string()))
        .unwrap();
    assert_eq!(kit.send(request).code(), "10001");
}

// accept: voice-paas 7
#[test]
fn a_disabled_account_fails_like_an_unknown_one() {
    let kit = Kit::talking();
    kit.shelf().accounts.get_mut(&ACCOUNT).unwrap().disabled = true;
    assert_eq!(kit.try_click(json!({})).code(), "10001");
}

// accept: voice-paas 8
#[test]
fn both_tokens_work_until_the_old_one_expires() {
    let kit = Kit::talking();
    kit.shelf().accounts.get_mut(&ACCOUNT).unwrap().tokens = vec![
        Token {
            secret: "old-token".into(),
            expires_at: Some(START.plus_secs(600)),
        },
        Token {
            secret: "new-token".into(),
            expires_at: None,
        },
    ];
    let old = basic(ACCOUNT, "old-token");
    let new = basic(ACCOUNT, "new-token");
    assert_eq!(with(&kit, Some(&old)).code(), "00000");
    assert_eq!(with(&kit, Some(&new)).code(), "00000");
    kit.until(599.9);
    assert_eq!(with(&kit, Some(&old)).code(), "00000");
    kit.until(600.0);
    assert_eq!(with(&kit, Some(&old)).code(), "10001");
    assert_eq!(with(&kit, Some(&new)).code(), "00000");
}

#[test]
fn an_empty_token_never_lets_anyone_in() {
    let kit = Kit::talking();
    kit.shelf().accounts.get_mut(&ACCOUNT).unwrap().tokens = vec![Token {
        secret: String::new(),
        expires_at: None,
    }];
    assert_eq!(with(&kit, Some(&basic(ACCOUNT, ""))).code(), "10001");
}

#[test]
fn the_application_must_be_ones_own_and_enabled() {
    let kit = Kit::talking();
    let body = click_body(json!({}));
    assert_eq!(kit.post_as((ACCOUNT, OTHER_APP), TAIL, &body).code(), "10003");
    let unknown = strowger_core::ApplicationId(5);
    assert_eq!(kit.post_as((ACCOUNT, unknown), TAIL, &body).code(), "10003");
    kit.shelf().applications.get_mut(&APP).unwrap().account = Some(SECOND_ACCOUNT);
    assert_eq!(kit.post(TAIL, &body).code(), "10003");
    assert_eq!(kit.post_as((SECOND_ACCOUNT, APP), TAIL, &body).code(), "00000");
    kit.shelf().applications.get_mut(&APP).unwrap().disabled = true;
    assert_eq!(kit.post_as((SECOND_ACCOUNT, APP), TAIL, &body).code(), "10003");
}

// accept: voice-paas 9-11
#[test]
fn what_is_no_json_object_is_malformed() {
    let kit = Kit::talking();
    let deep = "[".repeat(100_000);
    let cut = click_body(json!({})).to_string();
    for body in [
        "",
        "[]",
        "null",
        "3",
        "\"x\"",
        "{",
        "{} x",
        &deep,
        &cut[..cut.len() - 1],
    ] {
        assert_eq!(raw(&kit, body.to_owned()).code(), "10002");
    }
    assert_eq!(raw(&kit, b"{\"action\":\"\xff\"}".to_vec()).code(), "10002");
}

// accept: voice-paas 12
#[test]
fn the_content_type_is_taken_as_it_comes() {
    let kit = Kit::talking();
    for kind in [
        "application/json",
        "Application/JSON ; Charset=UTF-8",
        "text/plain",
        "application/x-www-form-urlencoded",
    ] {
        let request = Request::post(path((ACCOUNT, APP), TAIL))
            .header(header::AUTHORIZATION, basic(ACCOUNT, TOKEN))
            .header(header::CONTENT_TYPE, kind)
            .body(Body::from(click_body(json!({})).to_string()))
            .unwrap();
        assert_eq!(kit.send(request).code(), "00000", "{kind}");
    }
    let marked = format!("\u{feff}{}", click_body(json!({})));
    assert_eq!(raw(&kit, marked).code(), "00000");
}

// accept: voice-paas 13
#[test]
fn paths_methods_and_sizes_are_http_errors() {
    let kit = Kit::talking();
    let auth = basic(ACCOUNT, TOKEN);
    let send = |method: &str, path: &str| {
        let request = Request::builder().method(method).uri(path);
        let request = request.header(header::AUTHORIZATION, &auth);
        kit.send(request.body(Body::from(click_body(json!({})).to_string())).unwrap())
            .status
    };
    let good = path((ACCOUNT, APP), TAIL);
    for (method, path, status) in [
        ("GET", good.clone(), 405),
        ("PUT", good.clone(), 405),
        ("DELETE", format!("{good}/CV1"), 405),
        ("POST", format!("{good}/CV1/x"), 404),
        ("POST", "/".into(), 404),
        ("POST", good.replace("ctc", "cct"), 404),
        // Labels of versions that cannot be one.
        ("POST", good.replace("2013-12-26", "a%20b"), 404),
        ("POST", good.replace("2013-12-26", "12345678901234567"), 404),
        ("POST", good.replace("2013-12-26", "%ff"), 404),
        ("POST", good.replace("2013-12-26", "v1_2.3-B"), 200),
    ] {
        assert_eq!(send(method, &path).as_u16(), status, "{method} {path}");
    }
    let big = format!("{{\"userData\":\"{}\"}}", "x".repeat(256 * 1024));
    assert_eq!(raw(&kit, big.clone()).status, StatusCode::PAYLOAD_TOO_LARGE);
    // Chunked, so that its size is not known before it is read.
    let stream = Body::new(Body::from(big));
    assert_eq!(raw(&kit, stream).status, StatusCode::PAYLOAD_TOO_LARGE);
    let announced = Request::post(&good)
        .header(header::AUTHORIZATION, &auth)
        .header(header::CONTENT_LENGTH, "262145")
        .body(Body::empty())
        .unwrap();
    assert_eq!(kit.send(announced).status, StatusCode::PAYLOAD_TOO_LARGE);
    let full = format!("{{\"x\":\"{}\"}}", "x".repeat(256 * 1024 - 8));
    assert_eq!(full.len(), 256 * 1024);
    assert_eq!(raw(&kit, full).code(), "10004");
}

#[test]
fn known_versions_are_routed_and_others_are_not() {
    let mut kit = Kit::talking();
    kit.router = strowger_dialect_voicepaas::router(strowger_dialect_voicepaas::VoicePaas {
        calls: kit.switch.clone(),
        notices: kit.switch.clone(),
        agents: std::sync::Arc::new(crate::kit::NoAgents),
        directory: kit.resources.clone(),
        ledger: kit.records.clone(),
        settings: std::sync::Arc::new(strowger_dialect_voicepaas::Settings {
            versions: vec!["2014-01-01".into()],
            ..Default::default()
        }),
    });
    let send = |version: &str| {
        let uri = path((ACCOUNT, APP), TAIL).replace("2013-12-26", version);
        let request = Request::post(uri).header(header::AUTHORIZATION, basic(ACCOUNT, TOKEN));
        kit.send(request.body(Body::from(click_body(json!({})).to_string())).unwrap())
            .status
    };
    assert_eq!(send("2014-01-01"), StatusCode::OK);
    assert_eq!(send("2013-12-26"), StatusCode::NOT_FOUND);
}

#[test]
fn a_node_that_is_drained_or_overloaded_answers_503() {
    let kit = Kit::talking();
    kit.world().refuse = Some(CallError::Draining);
    let reply = kit.try_click(json!({}));
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(reply.retry_after.is_some());
    kit.world().refuse = Some(CallError::Overloaded { retry_after_secs: 7 });
    let reply = kit.try_click(json!({}));
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(reply.retry_after.as_deref(), Some("7"));
}

#[test]
fn limits_and_routes_have_their_codes() {
    let kit = Kit::talking();
    for (error, code) in [
        (CallError::Concurrency, "30001"),
        (CallError::Rate, "30002"),
        (CallError::NoRoute, "30004"),
        (CallError::Journal("x".into()), "50000"),
    ] {
        kit.world().refuse = Some(error);
        let reply = kit.try_click(json!({}));
        assert_eq!(reply.code(), code);
        assert!(reply.body.get("conversationSid").is_none());
    }
}
