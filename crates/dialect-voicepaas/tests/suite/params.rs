//! Members of click2call and addCall: what is accepted, what is refused, with which code.

use crate::kit::*;
use serde_json::{Value, json};
use strowger_core::event::RecordMode;

fn code(kit: &Kit, more: Value) -> String {
    kit.try_click(more).code().to_owned()
}

// accept: voice-paas 99
#[test]
fn required_members_are_named_when_they_are_missing() {
    let kit = Kit::talking();
    for name in ["action", "caller", "callee"] {
        for absent in [Value::Null, json!(""), json!("  ")] {
            let mut body = click_body(json!({}));
            body[name] = absent;
            let reply = kit.post("ctc/Conversations", &body);
            assert_eq!(reply.code(), "10004");
            assert!(reply.body["statusMsg"].as_str().unwrap().contains(name));
        }
    }
    assert!(kit.world().convs.is_empty());
}

// accept: voice-paas 100
#[test]
fn an_action_belongs_to_its_url() {
    let kit = Kit::talking();
    for action in ["dial", "CLICK2CALL", "cancelCall", "addCall"] {
        assert_eq!(code(&kit, json!({"action": action})), "10006");
    }
    let sid = kit.click(json!({}));
    for action in ["click2call", "hangup"] {
        let reply = kit.post(&format!("ctc/Conversations/{sid}"), &json!({"action": action}));
        assert_eq!(reply.code(), "10006");
    }
}

// accept: voice-paas 18
#[test]
fn numbers_are_echoed_as_they_were_submitted() {
    let mut kit = Kit::talking();
    kit.party("13900000002", Party::answers(1, 7).hangs_up(10));
    let sid =
        kit.click(json!({"caller": "+86 138-0000-0001", "callee": "0086 139 0000 0002", "calleeCli": "021-6123 0001"}));
    kit.run();
    let cdr = kit.cdr(&sid);
    assert_eq!(cdr["cdrs"][0]["to"], "+86 138-0000-0001");
    assert_eq!(cdr["cdrs"][1]["to"], "0086 139 0000 0002");
    assert_eq!(cdr["cdrs"][1]["from"], "021-6123 0001");
    assert_eq!(kit.statuses(&sid)[0]["to"], "+86 138-0000-0001");
    // What is dialled is the canonical number all the same.
    assert!(kit.trace(&sid)[0].1.starts_with("dial 0 +8613800000001"));
}

#[test]
fn what_is_no_number_is_refused() {
    let kit = Kit::talking();
    for bad in ["abc", "1", "138000000o1", "+", "sip:1@x", "1".repeat(21).as_str()] {
        for name in ["caller", "callee", "callerCli", "calleeCli"] {
            assert_eq!(code(&kit, json!({name: bad})), "10007", "{name} {bad}");
        }
    }
}

#[test]
fn members_of_a_wrong_type_are_refused() {
    let kit = Kit::talking();
    for name in [
        "action",
        "caller",
        "callee",
        "callerCli",
        "calleeCli",
        "greetVoice",
        "calleeVoice",
        "callerVoice",
        "statusUrl",
        "cdrUrl",
        "lastMinVoice",
    ] {
        for wrong in [json!(13_800_000_009_u64), json!(true), json!([]), json!({})] {
            assert_eq!(code(&kit, json!({name: wrong})), "10005", "{name}");
        }
    }
    for name in ["record", "ringbackMode", "maxDuration"] {
        for wrong in [
            json!(-1),
            json!(1.5),
            json!(true),
            json!([]),
            json!({}),
            json!("x"),
            json!("-1"),
            json!("1 "),
            json!("٣"),
        ] {
            assert_eq!(code(&kit, json!({name: wrong})), "10005", "{name}");
        }
    }
}

// accept: voice-paas 126
#[test]
fn record_and_ringback_have_few_values() {
    let kit = Kit::talking();
    for (name, value) in [("record", 3), ("ringbackMode", 2), ("maxDuration", 0)] {
        assert_eq!(code(&kit, json!({name: value})), "10005", "{name}");
        assert_eq!(code(&kit, json!({name: value.to_string()})), "10005", "{name}");
    }
    assert_eq!(code(&kit, json!({"maxDuration": 4_294_967_296_u64})), "10005");
    assert_eq!(code(&kit, json!({"maxDuration": "99999999999999999999"})), "10005");
}

// accept: voice-paas 218
#[test]
fn numbers_are_taken_as_json_numbers_and_as_strings() {
    let mut kit = Kit::talking();
    kit.party(THIRD, Party::rings(1));
    let heads = [
        json!({"record": 2, "ringbackMode": 1, "ringbackVoice": "ring.wav", "maxDuration": 90}),
        json!({"record": "2", "ringbackMode": "1", "ringbackVoice": "ring.wav", "maxDuration": "90"}),
        json!({"record": "2", "ringback_mode": "1", "ringbackVoice": "ring.wav", "maxDuration": "90"}),
    ];
    for (n, more) in heads.into_iter().enumerate() {
        let sid = kit.click(more);
        let start = kit.world().now;
        kit.world().run_until(start.plus_secs(13));
        assert!(kit.sounds(&sid, 0).contains(&"ring.wav*".to_owned()), "{n}");
        {
            let world = kit.world();
            let head = &world.convs[&id(&sid)].fold.head;
            assert_eq!((head.record, head.max_duration), (RecordMode::FromAnswer, Some(90)));
        }
        let timeout = if n == 0 { json!(10) } else { json!("10") };
        kit.add(&sid, json!({"timeout": timeout, "ringbackMode": n % 2, "record": "1"}));
        kit.world().run_until(start.plus_secs(24));
        assert!(kit.progress(&sid).contains(&"2 completed/no-answer".to_owned()), "{n}");
        kit.cancel(&sid);
    }
}

#[test]
fn add_call_reads_its_switch_in_every_form() {
    let kit = Kit::talking();
    let sid = kit.click(json!({}));
    for bad in [json!(3), json!("yes"), json!([]), json!("True")] {
        assert_eq!(kit.try_add(&sid, json!({"record": bad})).code(), "10005");
    }
    for good in [
        json!(0),
        json!(1),
        json!(2),
        json!("0"),
        json!("2"),
        json!(true),
        json!("false"),
    ] {
        // The form is right; the callee has not answered yet.
        assert_eq!(kit.try_add(&sid, json!({"record": good})).code(), "20003");
    }
    assert_eq!(kit.try_add(&sid, json!({"timeout": 0})).code(), "10005");
    assert_eq!(kit.try_add(&sid, json!({"callee": Value::Null})).code(), "10004");
    assert_eq!(kit.try_add(&sid, json!({"callee": "x"})).code(), "10007");
    assert_eq!(kit.try_add(&sid, json!({"calleeCli": "02100000000"})).code(), "10009");
    assert_eq!(kit.try_add(&sid, json!({"greetVoice": "none.wav"})).code(), "10010");
    assert_eq!(kit.try_add(&sid, json!({"callee": "+12025550100"})).code(), "30005");
}

// accept: voice-paas 127
#[test]
fn user_data_has_a_length_and_an_alphabet() {
    let kit = Kit::talking();
    assert_eq!(code(&kit, json!({"userData": "x".repeat(256)})), "00000");
    assert_eq!(code(&kit, json!({"userData": "x".repeat(257)})), "10011");
    assert_eq!(code(&kit, json!({"userData": "order_17-b"})), "00000");
    for bad in [json!("a b"), json!("中文"), json!("a;b"), json!(17), json!({})] {
        assert_eq!(code(&kit, json!({"userData": bad})), "10011");
    }
    kit.settings(|s| s.user_data_any = true);
    assert_eq!(code(&kit, json!({"userData": "中文 \"quoted\""})), "00000");
    // The limit is in bytes: a Chinese character has three.
    assert_eq!(code(&kit, json!({"userData": "中".repeat(85)})), "00000");
    assert_eq!(code(&kit, json!({"userData": "中".repeat(86)})), "10011");
}

// accept: voice-paas 128
#[test]
fn caller_and_callee_are_compared_as_numbers() {
    let kit = Kit::talking();
    for callee in ["13800000001", "+86 138 0000 0001", "008613800000001"] {
        assert_eq!(code(&kit, json!({"callee": callee})), "10008");
    }
}

#[test]
fn display_numbers_must_be_owned() {
    let kit = Kit::talking();
    for name in ["callerCli", "calleeCli"] {
        assert_eq!(code(&kit, json!({name: "02100000000"})), "10009");
        assert_eq!(code(&kit, json!({name: CLI_A})), "00000");
        assert_eq!(code(&kit, json!({name: "+86 21 61230001"})), "00000");
    }
    // The default was taken away from the tenant.
    kit.shelf().numbers.remove(&(TENANT, number(CLI).as_str().to_owned()));
    assert_eq!(code(&kit, json!({})), "10009");
    kit.settings(|s| s.default_cli = None);
    assert_eq!(code(&kit, json!({})), "00000");
}

#[test]
fn sounds_must_exist_and_are_never_paths() {
    let kit = Kit::talking();
    let custom = |name: &str, file: &str| json!({"ringbackMode": 1, name: file});
    for name in [
        "greetVoice",
        "ringbackVoice",
        "failVoice",
        "calleeVoice",
        "callerVoice",
        "lastMinVoice",
    ] {
        for bad in ["none.wav", "../greet.wav", "/etc/passwd", "greet.wav/", "a\u{0}b"] {
            let reply = kit.try_click(custom(name, bad));
            assert_eq!(reply.code(), "10010", "{name} {bad:?}");
            assert!(reply.body["statusMsg"].as_str().unwrap().contains(name));
        }
        assert_eq!(code(&kit, custom(name, "greet.wav")), "00000");
    }
}

#[test]
fn receivers_are_http_urls_of_a_bounded_length() {
    let kit = Kit::talking();
    for name in ["statusUrl", "cdrUrl"] {
        for bad in [
            "crm.example.com/x",
            "ftp://crm.example.com/",
            "http://",
            "http:///x",
            "javascript:alert(1)",
            "http://a b/",
            "file:///etc/passwd",
            "http://x.example.com:port/",
        ] {
            assert_eq!(code(&kit, json!({name: bad})), "10005", "{bad}");
        }
        let long = format!("http://crm.example.com/{}", "x".repeat(2048 - 23));
        assert_eq!(code(&kit, json!({name: long})), "00000");
        assert_eq!(code(&kit, json!({name: format!("{long}x")})), "10005");
        assert_eq!(code(&kit, json!({name: "HTTPS://crm.example.com:8443/x?y=1"})), "00000");
    }
}

#[test]
fn the_toll_rules_close_numbers_until_they_are_opened() {
    let kit = Kit::talking();
    for callee in ["+12025550100", "0012025550100", "110", "16812345"] {
        assert_eq!(code(&kit, json!({"callee": callee})), "30005", "{callee}");
        assert_eq!(code(&kit, json!({"caller": callee})), "30005", "{callee}");
    }
    kit.shelf().opened = vec!["+1202".into()];
    assert_eq!(code(&kit, json!({"callee": "+12025550100"})), "00000");
}

#[test]
fn the_order_of_checks_is_fixed() {
    let kit = Kit::talking();
    // Each request repairs the first mistake of the one before it.
    let steps = [
        (
            json!({"action": Value::Null, "caller": Value::Null, "callee": "x", "callerCli": "02100000000"}),
            "10004",
        ),
        (
            json!({"action": "x", "caller": Value::Null, "callee": "x", "callerCli": "02100000000"}),
            "10006",
        ),
        (
            json!({"caller": Value::Null, "callee": "x", "callerCli": "02100000000"}),
            "10004",
        ),
        (
            json!({"caller": "110", "callee": "x", "callerCli": "02100000000"}),
            "10007",
        ),
        (
            json!({"caller": "110", "callee": "110", "callerCli": "02100000000", "userData": "?"}),
            "10011",
        ),
        (
            json!({"caller": "110", "callee": "110", "callerCli": "02100000000"}),
            "10008",
        ),
        (
            json!({"caller": "110", "callerCli": "02100000000", "greetVoice": "none.wav"}),
            "10009",
        ),
        (json!({"caller": "110", "greetVoice": "none.wav"}), "10010"),
        (json!({"caller": "110"}), "30005"),
        (json!({}), "00000"),
    ];
    for (more, expected) in steps {
        assert_eq!(code(&kit, more.clone()), expected, "{more}");
    }
}

// accept: voice-paas 14
#[test]
fn every_value_of_a_response_is_a_string() {
    let mut kit = Kit::talking();
    kit.party(THIRD, Party::answers(1, 2));
    let sid = kit.click(json!({}));
    kit.until(20.0);
    let replies = [
        kit.try_click(json!({})),
        kit.try_click(json!({"record": 3})),
        kit.try_add(&sid, json!({})),
        kit.try_add(&sid, json!({})),
        kit.cancel(&sid),
        kit.cancel("CVx"),
    ];
    for reply in replies {
        let members = reply.body.as_object().unwrap();
        assert!(members.values().all(Value::is_string), "{}", reply.text);
        assert!(members.contains_key("statusCode") && members.contains_key("statusMsg"));
    }
}
