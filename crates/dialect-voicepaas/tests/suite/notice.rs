//! Voice notices: requests, their checks and their answers (voice-paas §1 to §5).

use crate::kit::*;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use base64::Engine;
use serde_json::{Value, json};
use strowger_core::AccountId;
use strowger_dialect_voicepaas::Token;
use strowger_runtime::CallError;

pub const URL: &str = "http://crm.example.com/cdr";

/// The number that most notices go to.
pub const TO: &str = "13900000002";

pub fn tail(account: AccountId, what: &str) -> String {
    format!("/Accounts/{account}/{what}")
}

pub fn raw(kit: &Kit, what: &str, authorization: Option<&str>, body: impl Into<Body>) -> Reply {
    let mut request = Request::post(tail(ACCOUNT, what));
    if let Some(value) = authorization {
        request = request.header(header::AUTHORIZATION, value);
    }
    kit.send(request.body(body.into()).unwrap())
}

pub fn send(kit: &Kit, what: &str, body: &Value) -> Reply {
    raw(kit, what, Some(&basic(ACCOUNT, TOKEN)), body.to_string())
}

/// A notice of one voice file with more members; those that are `null` are taken out.
pub fn notice_body(more: Value) -> Value {
    let mut body = json!({
        "appid": APP.to_string(),
        "to": TO,
        "contents": [{"type": "voice", "content": "greet.wav"}],
        "callbackurl": URL,
    });
    merge(&mut body, more);
    body
}

pub fn try_notice(kit: &Kit, more: Value) -> Reply {
    send(kit, "VoiceNotices", &notice_body(more))
}

/// The call of a notice that must be accepted.
pub fn notice(kit: &Kit, more: Value) -> String {
    let reply = try_notice(kit, more);
    assert_eq!(reply.code(), "0", "{}", reply.text);
    reply.body["callid"].as_str().unwrap().to_owned()
}

fn refused(kit: &Kit, more: Value, code: &str, text: &str) {
    let reply = try_notice(kit, more.clone());
    assert_eq!(reply.code(), code, "{more}: {}", reply.text);
    let message = reply.body["statusmsg"].as_str().unwrap();
    assert!(message.starts_with(text), "{more}: {message}");
    assert!(reply.body.get("callid").is_none());
    assert!(kit.world().convs.is_empty(), "nothing is dialled");
}

// accept: voice-paas 1, 14, 16, 32
#[test]
fn a_notice_is_accepted_with_its_ids() {
    let kit = Kit::talking();
    let reply = try_notice(&kit, json!({}));
    assert_eq!(reply.code(), "0");
    assert_eq!(reply.body["statusmsg"], "succ");
    for (member, prefix) in [("requestid", "RQ"), ("callid", "CA")] {
        let id = reply.body[member].as_str().unwrap();
        assert!(id.starts_with(prefix) && id.len() == 34, "{id}");
    }
    assert!(reply.body.as_object().unwrap().values().all(Value::is_string));
}

// accept: voice-paas 2-7, 15
#[test]
fn wrong_credentials_are_minus_1_with_http_200() {
    let kit = Kit::talking();
    let encode = |text: String| base64::engine::general_purpose::STANDARD.encode(text);
    let body = notice_body(json!({})).to_string();
    let wrong = [
        None,
        Some(basic(ACCOUNT, "wrong")),
        Some(basic(OTHER_ACCOUNT, TOKEN)),
        Some(format!("Bearer {}", encode(format!("{ACCOUNT}:{TOKEN}")))),
        Some("Basic %%%".into()),
    ];
    let mut ids = std::collections::HashSet::new();
    for value in wrong {
        // Credentials come first: the body is not even looked at.
        for body in [body.clone(), "x".into()] {
            let reply = raw(&kit, "VoiceNotices", value.as_deref(), body);
            assert_eq!(reply.code(), "-1", "{value:?}");
            assert!(ids.insert(reply.body["requestid"].as_str().unwrap().to_owned()));
        }
    }
    kit.shelf().accounts.get_mut(&ACCOUNT).unwrap().disabled = true;
    assert_eq!(try_notice(&kit, json!({})).code(), "-1");
    assert!(kit.world().convs.is_empty());
}

// accept: voice-paas 8
#[test]
fn tokens_overlap() {
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
    let with = |token| {
        let body = notice_body(json!({})).to_string();
        raw(&kit, "VoiceNotices", Some(&basic(ACCOUNT, token)), body)
            .code()
            .to_owned()
    };
    assert_eq!((with("old-token"), with("new-token")), ("0".into(), "0".into()));
    kit.until(600.0);
    assert_eq!((with("old-token"), with("new-token")), ("-1".into(), "0".into()));
}

// accept: voice-paas 9, 10, 11, 12
#[test]
fn what_is_no_json_object_is_minus_2() {
    let kit = Kit::talking();
    let auth = basic(ACCOUNT, TOKEN);
    for body in ["", "[]", "null", "\"x\"", "{", "{} x"] {
        assert_eq!(raw(&kit, "VoiceNotices", Some(&auth), body).code(), "-2", "{body}");
    }
    let broken = b"{\"appid\":\"\xff\"}".to_vec();
    assert_eq!(raw(&kit, "VoiceNotices", Some(&auth), broken).code(), "-2");
    for kind in ["application/json", "Application/JSON ; Charset=UTF-8", "text/plain"] {
        let request = Request::post(tail(ACCOUNT, "VoiceNotices"))
            .header(header::AUTHORIZATION, &auth)
            .header(header::CONTENT_TYPE, kind)
            .body(Body::from(notice_body(json!({"userdata": "订单"})).to_string()))
            .unwrap();
        assert_eq!(kit.send(request).code(), "0", "{kind}");
    }
}

// accept: voice-paas 13
#[test]
fn paths_methods_and_sizes_are_http_errors() {
    let kit = Kit::talking();
    let auth = basic(ACCOUNT, TOKEN);
    let send = |method: &str, path: String| {
        let request = Request::builder().method(method).uri(path);
        let request = request.header(header::AUTHORIZATION, &auth);
        kit.send(request.body(Body::from(notice_body(json!({})).to_string())).unwrap())
            .status
    };
    let good = tail(ACCOUNT, "VoiceNotices");
    for (method, path, status) in [
        ("GET", good.clone(), 405),
        ("PUT", good.clone(), 405),
        ("GET", tail(ACCOUNT, "VoiceCaptchas"), 405),
        ("POST", format!("{good}/x"), 404),
        ("POST", tail(ACCOUNT, "voicenotices"), 404),
        ("POST", good, 200),
    ] {
        assert_eq!(send(method, path.clone()).as_u16(), status, "{method} {path}");
    }
    let big = format!("{{\"userdata\":\"{}\"}}", "x".repeat(256 * 1024));
    assert_eq!(
        raw(&kit, "VoiceNotices", Some(&auth), big).status,
        StatusCode::PAYLOAD_TOO_LARGE
    );
}

// accept: voice-paas 20
#[test]
fn what_is_missing_is_named() {
    let kit = Kit::talking();
    for name in ["appid", "to", "contents"] {
        refused(&kit, json!({ name: null }), "-4", &format!("missing {name}"));
        if name != "contents" {
            refused(&kit, json!({ name: "" }), "-4", &format!("missing {name}"));
            refused(&kit, json!({ name: 5 }), "-4", &format!("invalid {name}"));
        }
    }
}

// accept: voice-paas 21
#[test]
fn the_application_must_be_ones_own() {
    let kit = Kit::talking();
    for app in [OTHER_APP.to_string(), format!("{:032x}", 99), "x".into()] {
        refused(&kit, json!({ "appid": app, "to": null }), "-3", "application");
    }
    kit.shelf().applications.get_mut(&APP).unwrap().account = Some(SECOND_ACCOUNT);
    refused(&kit, json!({}), "-3", "application");
    kit.shelf().applications.get_mut(&APP).unwrap().account = None;
    kit.shelf().applications.get_mut(&APP).unwrap().disabled = true;
    refused(&kit, json!({}), "-3", "application");
}

// accept: voice-paas 22, 23, 24, 25
#[test]
fn contents_are_checked_item_by_item() {
    let kit = Kit::talking();
    let good = json!({"type": "voice", "content": "greet.wav"});
    let long = "x".repeat(129);
    for (contents, text) in [
        (json!([]), "invalid contents: must have"),
        (json!("x"), "invalid contents: must be an array"),
        (json!({}), "invalid contents"),
        (json!([5]), "invalid contents[0]"),
        (json!([{"content": "x"}]), "missing contents[0].type"),
        (json!([good, {"type": "voice"}]), "missing contents[1].content"),
        (json!([{"type": "voice", "content": ""}]), "missing contents[0].content"),
        (json!([{"type": "voice", "content": 5}]), "invalid contents[0].content"),
        (
            json!([good, good, {"type": "text", "content": "x"}]),
            "invalid contents[2].type",
        ),
        (
            json!([{"type": "Voice", "content": "greet.wav"}]),
            "invalid contents[0].type",
        ),
        (
            json!([{"type": "voice", "content": "none.wav"}]),
            "invalid contents[0].content: there is no",
        ),
        (
            json!([{"type": "voice", "content": "../greet.wav"}]),
            "invalid contents[0].content: must be",
        ),
        (
            json!([{"type": "voice", "content": "a\\b.wav"}]),
            "invalid contents[0].content: must be",
        ),
        (
            json!([{"type": "voice", "content": long}]),
            "invalid contents[0].content: longer",
        ),
        (json!(vec![good.clone(); 51]), "invalid contents: must have"),
    ] {
        refused(&kit, json!({ "contents": contents }), "-4", text);
    }
    notice(&kit, json!({ "contents": vec![good; 50] }));
}

// accept: voice-paas 65
#[test]
fn spoken_data_that_cannot_be_read_is_minus_4() {
    let kit = Kit::talking();
    for (kind, text) in [
        ("time", "2013-02-30"),
        ("time", "2013-7-30"),
        ("money", "1.234"),
        ("number", "1e5"),
        ("number", ""),
        ("digits", "１"),
    ] {
        let contents = json!([{"type": kind, "content": text}]);
        let reply = try_notice(&kit, json!({ "contents": contents }));
        assert_eq!(reply.code(), "-4", "{kind} {text}");
        assert!(
            reply.body["statusmsg"]
                .as_str()
                .unwrap()
                .contains("contents[0].content")
        );
    }
}

// accept: voice-paas 26
#[test]
fn times_is_1_to_3_as_a_number_or_a_text() {
    let kit = Kit::talking();
    for times in [
        json!(0),
        json!(4),
        json!("x"),
        json!("0"),
        json!(-1),
        json!(1.5),
        json!(""),
        json!(true),
    ] {
        refused(&kit, json!({ "times": times }), "-4", "invalid times");
    }
    for times in [json!("3"), json!(3)] {
        notice(&kit, json!({ "times": times }));
    }
}

// accept: voice-paas 53
#[test]
fn keys_are_one_of_twelve_or_any() {
    let kit = Kit::talking();
    for name in ["finishkey", "repeatkey"] {
        for key in [json!("12"), json!("A"), json!(""), json!(1), json!("１")] {
            refused(&kit, json!({ name: key }), "-4", &format!("invalid {name}"));
        }
        for key in ["ANY", "any", "*", "#", "0"] {
            notice(&kit, json!({ name: key }));
        }
        kit.world().convs.clear();
    }
}

#[test]
fn other_members_are_checked_too() {
    let kit = Kit::talking();
    for (more, text) in [
        (json!({"to": "138a"}), "invalid to"),
        (json!({"from": "x"}), "invalid from"),
        (json!({"userdata": "x".repeat(1025)}), "invalid userdata"),
        (json!({"userdata": {}}), "invalid userdata"),
        (json!({"lang": "fr"}), "invalid lang"),
        (
            json!({"finishkey": "1", "finishvoice": "none.wav"}),
            "invalid finishvoice",
        ),
        (json!({"finishvoice": "a/b"}), "invalid finishvoice"),
        (json!({"callbackurl": "ftp://x/"}), "invalid callbackurl"),
        (json!({"ringtimeout": 4}), "invalid ringtimeout"),
    ] {
        refused(&kit, more, "-4", text);
    }
    notice(&kit, json!({"userdata": "数".repeat(341), "unknown": [1]}));
}

// accept: voice-paas 18
#[test]
fn numbers_are_taken_in_every_spelling_and_echoed_as_they_came() {
    let kit = Kit::talking();
    for to in ["+86 139-0000-0002", "0086 13900000002", "86 139 0000 0002"] {
        let call = notice(&kit, json!({ "to": to }));
        kit.run();
        assert_eq!(
            kit.trace(&call)[0].1,
            format!("dial 0 +8613900000002 as {CLI}", CLI = "+862161230000")
        );
        assert_eq!(kit.cdr(&call)["to"], to);
    }
}

// accept: voice-paas 30, 31
#[test]
fn the_display_number_is_the_applications_own() {
    let kit = Kit::talking();
    let call = notice(&kit, json!({ "from": CLI_A }));
    assert_eq!(kit.trace(&call)[0].1, format!("dial 0 +8613900000002 as {CLI_A}"));
    kit.world().convs.clear();
    refused(&kit, json!({"from": "13812345678"}), "-5", "invalid from");
    kit.settings(|s| s.notices.foreign_cli_invalid = true);
    refused(&kit, json!({"from": "13812345678"}), "-4", "invalid from");
}

#[test]
fn numbers_that_are_closed_are_refused_before_anything() {
    let kit = Kit::talking();
    for to in ["+12025550100", "110", "16812345"] {
        refused(&kit, json!({ "to": to }), "-5", "");
    }
}

// accept: voice-paas 34, 35
#[test]
fn limits_are_minus_5_and_trunks_that_are_down_minus_6() {
    let kit = Kit::talking();
    for (error, code) in [
        (CallError::Concurrency, "-5"),
        (CallError::Rate, "-5"),
        (CallError::Spent, "-5"),
        (CallError::NoRoute, "-5"),
        (CallError::Journal("x".into()), "-5"),
        (CallError::TrunkDown, "-6"),
    ] {
        kit.world().refuse = Some(error.clone());
        let reply = try_notice(&kit, json!({}));
        assert_eq!(reply.code(), code, "{error}");
        assert!(reply.body["requestid"].as_str().unwrap().starts_with("RQ"));
    }
    kit.world().refuse = Some(CallError::Draining);
    let reply = try_notice(&kit, json!({}));
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(reply.retry_after.is_some());
    assert_eq!(reply.body["statusCode"], "-5");
}
