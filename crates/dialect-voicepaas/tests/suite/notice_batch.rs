//! Batches of notices and verification codes (voice-paas §3, §7).

use crate::kit::*;
use crate::notice::{notice_body, send, tail, try_notice};
use crate::notice_result::result;
use serde_json::{Value, json};
use std::collections::HashSet;
use strowger_dialect_voicepaas::call_sid;

fn batch(kit: &Kit, to: &str) -> Reply {
    send(kit, "BatchVoiceNotices", &notice_body(json!({ "to": to })))
}

/// The calls that were begun, in order.
fn calls(kit: &Kit) -> Vec<String> {
    let world = kit.world();
    let mut ids = world.batched.clone();
    ids.extend(world.convs.keys().filter(|id| !world.batched.contains(id)));
    ids.into_iter()
        .map(|id| call_sid(id, strowger_core::LegSeq(0)))
        .collect()
}

fn numbers(n: usize) -> String {
    (0..n).map(|i| format!("139{i:08}")).collect::<Vec<_>>().join(",")
}

// accept: voice-paas 67, 68
#[test]
fn each_number_has_its_call_and_its_result_under_one_request() {
    let mut kit = Kit::talking();
    kit.party("13900000003", Party::rejects(1, 486));
    let reply = batch(&kit, "13900000002,13900000003,13900000004");
    assert_eq!(reply.code(), "0");
    assert!(reply.body.get("callid").is_none());
    let request = reply.body["requestid"].as_str().unwrap();
    assert!(request.starts_with("RQ") && request.len() == 34);
    kit.run();
    let results: Vec<Value> = calls(&kit).iter().map(|call| result(&kit, call)).collect();
    let to: Vec<&str> = results.iter().map(|r| r["to"].as_str().unwrap()).collect();
    assert_eq!(to, ["13900000002", "13900000003", "13900000004"]);
    assert!(results.iter().all(|r| r["requestid"] == request));
    let callids: HashSet<&str> = results.iter().map(|r| r["callid"].as_str().unwrap()).collect();
    assert_eq!(callids.len(), 3);
    let reasons: Vec<&str> = results.iter().map(|r| r["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["", "1", "2"], "answered, busy, unallocated");
}

// accept: voice-paas 69, 70, 71, 72, 73
#[test]
fn the_list_is_read_with_tolerance_and_refused_as_a_whole() {
    let kit = Kit::talking();
    for (to, text) in [
        ("13900000002，13900000003", "invalid to, element 1"),
        ("13900000002,139x,13900000003", "invalid to, element 2"),
        (",,, ,", "invalid to"),
        (",", "invalid to"),
        ("", "missing to"),
    ] {
        let reply = batch(&kit, to);
        assert_eq!(reply.code(), "-4", "{to}");
        let message = reply.body["statusmsg"].as_str().unwrap();
        assert!(message.starts_with(text), "{to}: {message}");
        assert!(!message.contains("139"), "numbers are not repeated");
    }
    assert!(calls(&kit).is_empty());
    let reply = batch(&kit, ", 13900000002 ,13900000003,,13900000002, 13900000003,");
    assert_eq!(reply.code(), "0");
    assert_eq!(calls(&kit).len(), 2);
}

// accept: voice-paas 74
#[test]
fn a_thousand_numbers_are_taken_and_one_more_is_not() {
    let kit = Kit::talking();
    assert_eq!(batch(&kit, &numbers(1001)).code(), "-4");
    assert!(calls(&kit).is_empty());
    assert_eq!(batch(&kit, &numbers(1000)).code(), "0");
    assert_eq!(calls(&kit).len(), 1000);
}

#[test]
fn a_number_that_is_closed_has_its_own_result() {
    let kit = Kit::talking();
    assert_eq!(batch(&kit, "13900000002,+12025550100,110").code(), "0");
    kit.run();
    let results: Vec<Value> = calls(&kit).iter().map(|call| result(&kit, call)).collect();
    assert_eq!(results[0]["result"], "0");
    for r in &results[1..] {
        assert_eq!((&r["result"], &r["reason"]), (&json!("1"), &json!("2")));
        assert_eq!(r["starttime"], r["endtime"]);
        assert_eq!((&r["ringtime"], &r["duration"]), (&json!(""), &json!("0")));
    }
    assert!(
        calls(&kit)[1..].iter().all(|call| kit.trace(call).is_empty()),
        "not dialled"
    );
}

#[test]
fn a_batch_is_checked_like_a_notice() {
    let kit = Kit::talking();
    for (more, code) in [
        (json!({"appid": null}), "-4"),
        (json!({"appid": OTHER_APP.to_string()}), "-3"),
        (json!({"contents": []}), "-4"),
        (json!({"times": 4}), "-4"),
        (json!({"from": "13812345678"}), "-5"),
    ] {
        let reply = send(&kit, "BatchVoiceNotices", &notice_body(more.clone()));
        assert_eq!(reply.code(), code, "{more}");
    }
    assert!(calls(&kit).is_empty());
    let get = axum::http::Request::get(tail(ACCOUNT, "BatchVoiceNotices"));
    let reply = kit.send(get.body(axum::body::Body::empty()).unwrap());
    assert_eq!(reply.status.as_u16(), 405);
}

fn captcha_body(more: Value) -> Value {
    let mut body = json!({"appid": APP.to_string(), "to": CALLEE, "code": "aB3d", "callbackurl": crate::notice::URL});
    merge(&mut body, more);
    body
}

fn captcha(kit: &Kit, more: Value) -> Reply {
    send(kit, "VoiceCaptchas", &captcha_body(more))
}

/// Lets so much time pass that the next code may be sent.
fn later(kit: &Kit) {
    let now = kit.world().now;
    kit.world().run_until(now.plus_secs(90_000));
}

// accept: voice-paas 89, 90, 97
#[test]
fn a_code_has_4_to_8_letters_and_digits() {
    let kit = Kit::talking();
    for code in ["123", "123456789", "12-4", "12 4", "１２３４", "12é4", "12.4"] {
        let reply = captcha(&kit, json!({ "code": code }));
        assert_eq!(reply.code(), "-4", "{code}");
        assert_eq!(
            reply.body["statusmsg"],
            "invalid code: must be 4 to 8 digits and English letters"
        );
    }
    for name in ["code", "to", "appid"] {
        let reply = captcha(&kit, json!({ name: null }));
        assert_eq!(
            (reply.code(), &reply.body["statusmsg"]),
            ("-4", &json!(format!("missing {name}")))
        );
    }
    kit.settings(|s| s.notices.code_missing_malformed = true);
    for name in ["code", "to"] {
        let reply = captcha(&kit, json!({ name: null }));
        assert_eq!(
            (reply.code(), &reply.body["statusmsg"]),
            ("-2", &json!(format!("missing {name}")))
        );
        assert!(reply.body["requestid"].as_str().unwrap().starts_with("RQ"));
    }
    assert_eq!(
        captcha(&kit, json!({"code": "123"})).code(),
        "-4",
        "the switch is for what is missing"
    );
    assert!(calls(&kit).is_empty());
    for code in ["1234", "aB3dE6gH"] {
        let reply = captcha(&kit, json!({ "code": code }));
        assert_eq!((reply.code(), &reply.body["statusmsg"]), ("0", &json!("submitted")));
        assert!(reply.body["callid"].as_str().unwrap().starts_with("CA"));
        later(&kit);
    }
}

// accept: voice-paas 92, 93, 94, 95
#[test]
fn a_code_is_heard_three_times_and_its_result_has_no_key() {
    let kit = Kit::talking();
    for (lang, spoken) in [(json!(null), "zh code aB3d"), (json!("en"), "en code aB3d")] {
        let reply = captcha(&kit, json!({ "lang": lang, "userdata": "u" }));
        let call = reply.body["callid"].as_str().unwrap();
        for at in 1..40 {
            let at = kit.world().now.plus_secs(at);
            let digit = strowger_core::call::LegFact::Digit('1');
            let input = strowger_core::call::Input::Leg(strowger_core::LegSeq(0), digit);
            kit.world().feed_at(at, id(call), input);
        }
        later(&kit);
        let heard: Vec<String> = kit.sounds(call, 0).into_iter().filter(|s| s.contains("code")).collect();
        assert_eq!(heard, [spoken; 3]);
        let body = result(&kit, call);
        assert_eq!(body.as_object().unwrap().len(), 12);
        assert!(body.get("inputkey").is_none());
        assert_eq!((&body["result"], &body["userdata"]), (&json!("0"), &json!("u")));
        assert!(
            !body.to_string().to_lowercase().contains("ab3d"),
            "the code is in no callback"
        );
    }
    let reply = captcha(&kit, json!({"lang": "fr"}));
    assert_eq!(
        (reply.code(), &reply.body["statusmsg"]),
        ("-4", &json!("invalid lang: must be zh or en"))
    );
}

// accept: voice-paas 91
#[test]
fn letters_sound_alike_in_both_cases() {
    use strowger_core::call::Spoken;
    use strowger_core::spoken::{Kind, Language, Manner};
    let pieces = |text: &str, language| {
        let spoken = Spoken {
            kind: Kind::Digits,
            text: text.into(),
            language,
            manner: Manner::default(),
            code: true,
        };
        assert!(!format!("{spoken:?}").contains(text), "a code is not printed");
        spoken.pieces().unwrap()
    };
    for language in Language::ALL {
        assert_eq!(pieces("aB3d", language), pieces("AB3D", language));
    }
}

// accept: voice-paas 96
#[test]
fn codes_to_one_number_are_limited() {
    let kit = Kit::talking();
    assert_eq!(captcha(&kit, json!({})).code(), "0");
    kit.until(59.9);
    let reply = captcha(&kit, json!({"to": "+86 139-0000-0002"}));
    assert_eq!(reply.code(), "-5", "another spelling of the number");
    assert_eq!(captcha(&kit, json!({"to": CALLER})).code(), "0", "another number");
    // Notices are not counted.
    assert_eq!(try_notice(&kit, json!({})).code(), "0");
    let sent = (1..=20).filter(|n| {
        kit.until(60.0 * f64::from(*n));
        captcha(&kit, json!({})).code() == "0"
    });
    assert_eq!(sent.count(), 4, "five an hour");
    let sent = (2..=12).filter(|n| {
        kit.until(3600.0 * f64::from(*n));
        captcha(&kit, json!({})).code() == "0"
    });
    assert_eq!(sent.count(), 5, "ten a day");
    kit.settings(|s| {
        s.notices.codes_per_minute = 0;
        s.notices.codes_per_hour = 0;
        s.notices.codes_per_day = 0;
    });
    assert_eq!(captcha(&kit, json!({})).code(), "0");
    assert_eq!(captcha(&kit, json!({})).code(), "0");
}
