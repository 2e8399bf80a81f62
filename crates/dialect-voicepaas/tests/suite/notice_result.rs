//! What a callee hears of a notice, and the result that is pushed (voice-paas §4, §6).

use crate::kit::*;
use crate::notice::{TO, notice};
use serde_json::{Value, json};
use strowger_core::call::{Failure, Input, LegFact};
use strowger_core::project::Topic;

const MEMBERS: [&str; 13] = [
    "requestid",
    "callid",
    "appid",
    "to",
    "starttime",
    "ringtime",
    "answertime",
    "endtime",
    "duration",
    "result",
    "reason",
    "userdata",
    "inputkey",
];

fn two_items() -> Value {
    json!([{"type": "voice", "content": "greet.wav"}, {"type": "voice", "content": "ring.wav"}])
}

/// Sounds that the callee heard, without the silences between them.
fn sounds(kit: &Kit, call: &str) -> Vec<String> {
    let all = kit.sounds(call, 0);
    all.into_iter().filter(|s| s != "silence" && s != "-").collect()
}

fn press(kit: &Kit, call: &str, at: f64, key: char) {
    let at = START.plus_ms((at * 1000.0) as u64);
    let input = Input::Leg(strowger_core::LegSeq(0), LegFact::Digit(key));
    kit.world().feed_at(at, id(call), input);
}

/// The one result of a call.
pub fn result(kit: &Kit, call: &str) -> Value {
    let all = kit.deliveries(call);
    assert_eq!(all.len(), 1, "one result");
    assert_eq!((all[0].topic, all[0].key.as_str()), (Topic::CallRecord, call));
    serde_json::from_slice(&all[0].bytes).unwrap()
}

// accept: voice-paas 17, 33, 77, 78, 82, 83
#[test]
fn a_notice_that_was_heard_has_thirteen_texts() {
    let kit = Kit::talking();
    let reply = crate::notice::try_notice(&kit, json!({"userdata": "订单 7 \"x\"", "times": 1}));
    let call = reply.body["callid"].as_str().unwrap();
    kit.run();
    let body = result(&kit, call);
    let members: Vec<&String> = body.as_object().unwrap().keys().collect();
    assert_eq!(members.len(), 13);
    for name in MEMBERS {
        assert!(body[name].is_string(), "{name}");
    }
    assert_eq!(body["requestid"], reply.body["requestid"]);
    assert_eq!(body["callid"], call);
    assert_eq!(body["appid"], APP.to_string());
    assert_eq!(body["to"], TO);
    assert_eq!(body["userdata"], "订单 7 \"x\"");
    // Dialled at ten, rings at 1 s, answered at 7 s, 400 ms and the three seconds of the file.
    assert_eq!(body["starttime"], "20250615100000");
    assert_eq!(body["ringtime"], "20250615100001");
    assert_eq!(body["answertime"], "20250615100007");
    assert_eq!(body["endtime"], "20250615100010");
    assert_eq!(body["duration"], "3");
    assert_eq!((&body["result"], &body["reason"]), (&json!("0"), &json!("")));
    assert_eq!(body["inputkey"], "");
    kit.settings(|s| s.zone_minutes = -300);
    let call = notice(&kit, json!({}));
    kit.run();
    assert_eq!(result(&kit, &call)["starttime"].as_str().unwrap().len(), 14);
}

// accept: voice-paas 27, 28, 29, 36, 38
#[test]
fn items_are_heard_in_order_as_often_as_asked() {
    let kit = Kit::talking();
    for (times, rounds) in [(json!(null), 2), (json!(1), 1), (json!("3"), 3)] {
        let call = notice(&kit, json!({ "contents": two_items(), "times": times }));
        kit.run();
        let wanted: Vec<&str> = ["greet.wav", "ring.wav"].repeat(rounds);
        assert_eq!(sounds(&kit, &call), wanted);
        let trace = kit.trace(&call);
        assert_eq!(trace.len(), 2, "a call and our BYE: {trace:?}");
        assert_eq!(trace[1].1, "bye 0");
        assert!(kit.heard(&call, 0).iter().all(|(at, s)| *at >= 7_000 || s == "-"));
        assert_eq!(result(&kit, &call)["result"], "0");
    }
}

// accept: voice-paas 39, 56
#[test]
fn keys_without_meaning_do_nothing() {
    let mut kit = Kit::talking();
    let call = notice(&kit, json!({ "contents": two_items() }));
    press(&kit, &call, 8.0, '1');
    press(&kit, &call, 11.5, '#');
    kit.run();
    assert_eq!(sounds(&kit, &call).len(), 4);
    assert_eq!(result(&kit, &call)["inputkey"], "");
    let world = kit.world();
    let digits = world.convs[&id(&call)].events.iter();
    assert_eq!(digits.filter(|e| e.fact.kind() == "media.digit").count(), 0);
    drop(world);
    kit.party(TO, Party::answers(1, 2).hangs_up(1));
    let call = notice(&kit, json!({"finishkey": "1"}));
    kit.run();
    let body = result(&kit, &call);
    assert_eq!((&body["result"], &body["inputkey"]), (&json!("0"), &json!("")));
}

// accept: voice-paas 40, 41, 42, 43, 44
#[test]
fn the_finish_key_ends_the_notice_in_its_window() {
    let kit = Kit::talking();
    // Answered at 7 s: the first item from 7.4 to 10.4, the second from 10.7 to 12.7, the window until 17.7.
    let run = |more: Value, presses: &[(f64, char)]| {
        let start = kit.world().now.ms_since(START) as f64 / 1000.0;
        let mut body = json!({"contents": two_items(), "times": 1, "finishkey": "1"});
        merge(&mut body, more);
        let call = notice(&kit, body);
        for (at, key) in presses {
            press(&kit, &call, start + at, *key);
        }
        kit.run();
        let end = kit.trace(&call)[1].0;
        let key = result(&kit, &call)["inputkey"].as_str().unwrap().to_owned();
        (sounds(&kit, &call), key, end)
    };
    let (heard, key, end) = run(json!({"finishvoice": "fail.wav"}), &[(11.0, '1')]);
    assert_eq!(
        (heard.last().unwrap().as_str(), key.as_str(), end),
        ("fail.wav", "1", 15_000)
    );
    let (heard, key, end) = run(json!({}), &[(11.0, '1')]);
    assert_eq!((heard.len(), key.as_str(), end), (2, "1", 11_000));
    assert_eq!(run(json!({}), &[(8.0, '1')]).1, "", "in an earlier item");
    let (_, key, end) = run(json!({}), &[(17.6, '1')]);
    assert_eq!((key.as_str(), end), ("1", 17_600));
    let (_, key, end) = run(json!({}), &[(17.8, '1')]);
    assert_eq!((key.as_str(), end), ("", 17_700));
    // Without a finish key its voice is never heard.
    let (heard, ..) = run(json!({"finishkey": null, "finishvoice": "fail.wav"}), &[(11.0, '1')]);
    assert!(!heard.contains(&"fail.wav".to_owned()));
}

// accept: voice-paas 45, 46, 47
#[test]
fn the_repeat_key_starts_again() {
    let kit = Kit::talking();
    let call = notice(&kit, json!({"times": 1, "repeatkey": "2"}));
    for n in 0..7 {
        press(&kit, &call, 8.0 + f64::from(n), '2');
    }
    kit.run();
    assert_eq!(sounds(&kit, &call).len(), 6, "once, and five times more");
    let body = result(&kit, &call);
    assert_eq!((&body["result"], &body["inputkey"]), (&json!("0"), &json!("")));
}

// accept: voice-paas 48, 49, 50, 51, 52, 53
#[test]
fn finish_outranks_repeat() {
    let kit = Kit::talking();
    let mut hour = 0.0;
    let mut key_of = |finish: &str, repeat: Option<&str>, keys: &str| {
        kit.until(hour);
        let call = notice(&kit, json!({"times": 1, "finishkey": finish, "repeatkey": repeat}));
        for (n, key) in keys.chars().enumerate() {
            press(&kit, &call, hour + 8.0 + n as f64 * 0.2, key);
        }
        hour += 3600.0;
        kit.until(hour - 1.0);
        let key = result(&kit, &call)["inputkey"].as_str().unwrap().to_owned();
        (key, sounds(&kit, &call).len())
    };
    for key in "0123456789*#".chars() {
        assert_eq!(key_of("any", None, &key.to_string()), (key.to_string(), 1));
    }
    assert_eq!(key_of("ANY", Some("any"), "7"), ("7".into(), 1));
    assert_eq!(key_of("1", Some("any"), "1"), ("1".into(), 1));
    assert_eq!(key_of("1", Some("any"), "5"), (String::new(), 2));
    assert_eq!(key_of("3", Some("3"), "3"), ("3".into(), 1));
    assert_eq!(key_of("1", None, "981"), ("1".into(), 1));
    kit.settings(|s| s.notices.strict_keys = true);
    assert_eq!(key_of("1", None, "981"), (String::new(), 1), "strict");
}

// accept: voice-paas 79, 80, 81, 82, 215
#[test]
fn failures_tell_not_answered_from_not_reached() {
    let mut kit = Kit::talking();
    let rings = || Party::rings(1);
    let cases = [
        ("ring timer", rings(), "1"),
        ("480 after ringing", rings().then_rejects(3, 480), "1"),
        ("480 at once", Party::rejects(1, 480), "2"),
        ("403 after ringing", rings().then_rejects(3, 403), "1"),
        ("403 at once", Party::rejects(1, 403), "2"),
        ("busy", Party::rejects(1, 486), "1"),
        ("busy after ringing", rings().then_rejects(3, 486), "1"),
        ("busy everywhere", Party::rejects(1, 600), "1"),
        ("declined", Party::rejects(1, 603), "1"),
        ("unallocated", Party::rejects(1, 404), "2"),
        ("unallocated after ringing", rings().then_rejects(3, 404), "2"),
        ("incomplete", Party::rejects(1, 484), "2"),
        ("not acceptable", Party::rejects(1, 488), "2"),
        ("other 4xx", Party::rejects(1, 420), "2"),
        ("5xx", Party::rejects(1, 503), "2"),
        ("5xx after ringing", rings().then_rejects(3, 500), "2"),
        ("6xx", Party::rejects(1, 604), "2"),
        ("nothing at all", Party::silent(), "2"),
        ("transaction timeout", Party::times_out(3), "2"),
        (
            "no route",
            Party::silent().early(0, LegFact::Failed(Failure::NoRoute)),
            "2",
        ),
    ];
    for (name, party, reason) in cases {
        let rang = party.before.iter().any(|(_, f)| matches!(f, LegFact::Ringing));
        kit.party(TO, party);
        let call = notice(&kit, json!({}));
        kit.run();
        let body = result(&kit, &call);
        assert_eq!(
            (&body["result"], &body["reason"]),
            (&json!("1"), &json!(reason)),
            "{name}"
        );
        assert_eq!(
            (&body["answertime"], &body["duration"]),
            (&json!(""), &json!("0")),
            "{name}"
        );
        assert_eq!(body["ringtime"] != "", rang, "{name}");
        for time in ["starttime", "endtime"] {
            assert_eq!(body[time].as_str().unwrap().len(), 14, "{name}");
        }
    }
}

#[test]
fn the_ring_timer_is_a_minute_unless_the_request_says_otherwise() {
    let mut kit = Kit::talking();
    kit.party(TO, Party::rings(1));
    for (more, at) in [(json!({}), 60_000), (json!({"ringtimeout": "20"}), 20_000)] {
        let call = notice(&kit, more);
        kit.run();
        assert_eq!(kit.trace(&call)[1], (at, "cancel 0".into()));
    }
}

#[test]
fn a_voice_that_is_gone_is_left_out_and_none_at_all_is_a_failure() {
    let kit = Kit::talking();
    let call = notice(&kit, json!({"times": 1}));
    kit.until(8.0);
    let play = kit.layout(&call).legs[0].play.clone().unwrap().id;
    kit.feed(&call, Input::Unplayed(play));
    kit.run();
    let body = result(&kit, &call);
    assert_eq!((&body["result"], &body["reason"]), (&json!("1"), &json!("2")));
    assert_ne!(body["answertime"], "");
}

#[test]
fn results_go_where_the_request_or_else_the_application_says() {
    let kit = Kit::talking();
    let call = notice(&kit, json!({ "callbackurl": null }));
    kit.run();
    assert!(kit.deliveries(&call).is_empty());
    kit.settings(|s| s.notices.result_url = Some("http://app.example.com/cdr".into()));
    for (url, wanted) in [
        (json!(null), "http://app.example.com/cdr"),
        (json!("https://own.example.com/"), "https://own.example.com/"),
    ] {
        let call = notice(&kit, json!({ "callbackurl": url }));
        kit.run();
        assert_eq!(kit.deliveries(&call)[0].url, wanted);
    }
}
