//! What receivers get: status events and call records (voice-paas §11, §12).

use crate::kit::*;
use serde_json::{Map, Value, json};
use strowger_core::call::LegFact;
use strowger_core::project::{Batching, Topic};

fn usual() -> Kit {
    let mut kit = Kit::talking();
    kit.party(CALLEE, Party::answers(1, 7).hangs_up(60));
    kit
}

fn object(v: &Value) -> &Map<String, Value> {
    v.as_object().expect("an object")
}

// accept: voice-paas 150
#[test]
fn a_normal_call_gives_four_events_for_each_leg() {
    let kit = usual();
    let sid = kit.click(json!({}));
    kit.run();
    assert_eq!(
        kit.progress(&sid),
        [
            "0 initiated",
            "0 ringing",
            "0 answered",
            "1 initiated",
            "1 ringing",
            "1 answered",
            "1 completed/completed",
            "0 completed/completed",
        ]
    );
}

// accept: voice-paas 154
// accept: voice-paas 155
#[test]
fn each_event_has_the_twelve_fields_in_strings() {
    let kit = usual();
    let sid = kit.click(json!({"userData": "order-17"}));
    kit.run();
    let fields = [
        "conversationSid",
        "callSid",
        "apiVersion",
        "accountSid",
        "appSid",
        "from",
        "to",
        "direction",
        "callStatus",
        "timestamp",
        "callCause",
        "userData",
    ];
    for body in kit.statuses(&sid) {
        let mut names: Vec<_> = object(&body).keys().map(String::as_str).collect();
        let mut expected = fields.to_vec();
        names.sort_unstable();
        expected.sort_unstable();
        assert_eq!(names, expected);
        assert!(object(&body).values().all(Value::is_string));
        assert_eq!(body["conversationSid"], sid);
        assert_eq!(body["callSid"].as_str().unwrap().len(), 34);
        assert_eq!(body["apiVersion"], "2013-12-26");
        assert_eq!(body["accountSid"], ACCOUNT.to_string());
        assert_eq!(body["appSid"], APP.to_string());
        assert_eq!(body["direction"], "outbound");
        assert_eq!(body["userData"], "order-17");
        let ended = body["callStatus"] == "completed";
        assert_eq!(body["callCause"].as_str().unwrap().is_empty(), !ended);
    }
    // In the order of the specification's table, for readers who print them.
    let world = kit.world();
    let first = String::from_utf8(world.convs[&id(&sid)].deliveries[0].bytes.clone()).unwrap();
    let places: Vec<_> = fields
        .iter()
        .map(|f| first.find(&format!("\"{f}\":")).unwrap())
        .collect();
    assert!(places.is_sorted());
}

// accept: voice-paas 156
#[test]
fn without_a_status_url_there_are_no_events_and_the_call_goes_on() {
    let kit = usual();
    let sid = kit.click(json!({"statusUrl": null}));
    kit.run();
    assert!(kit.statuses(&sid).is_empty());
    assert_eq!(kit.cdr(&sid)["byeType"], "4");
    let sid = kit.click(json!({"statusUrl": "", "cdrUrl": null}));
    kit.run();
    assert!(kit.deliveries(&sid).is_empty());
    assert!(kit.world().convs[&id(&sid)].machine.is_over());
}

#[test]
fn records_go_to_the_requests_url_or_to_the_applications() {
    let kit = usual();
    kit.settings(|s| s.record_url = Some("http://crm.example.com/default".into()));
    for (more, url) in [
        (json!({}), "http://crm.example.com/cdr"),
        (json!({"cdrUrl": null}), "http://crm.example.com/default"),
        (json!({"cdrUrl": ""}), "http://crm.example.com/default"),
    ] {
        let sid = kit.click(more);
        kit.run();
        let all = kit.deliveries(&sid);
        let of_record: Vec<_> = all.iter().filter(|d| d.topic == Topic::CallRecord).collect();
        assert_eq!(of_record.len(), 1);
        assert_eq!(
            (of_record[0].url.as_str(), of_record[0].key.as_str()),
            (url, sid.as_str())
        );
    }
}

#[test]
fn receivers_de_duplicate_on_leg_and_status() {
    let kit = usual();
    let sid = kit.click(json!({}));
    kit.run();
    let all = kit.deliveries(&sid);
    let mut keys: Vec<_> = all.iter().map(|d| d.key.clone()).collect();
    assert!(keys[0].starts_with("CA") && keys[0].ends_with(":initiated"));
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), all.len());
}

/// Members of the record that the specification names, at the head and in a leg.
const HEAD: [&str; 7] = [
    "conversationSid",
    "accountSid",
    "appSid",
    "recordingUrl",
    "recordingDuration",
    "userData",
    "byeType",
];
const LEG: [&str; 10] = [
    "callSeq",
    "callSid",
    "from",
    "to",
    "startTime",
    "ringTime",
    "answerTime",
    "stopTime",
    "duration",
    "cause",
];

// accept: voice-paas 159
// accept: voice-paas 161
#[test]
fn a_record_is_one_json_object_of_strings_with_its_legs_in_order() {
    let mut kit = usual();
    kit.party(THIRD, Party::rejects(1, 486));
    let sid = kit.click(json!({"userData": "a_b-c", "record": 2}));
    kit.until(20.0);
    kit.add(&sid, json!({}));
    kit.run();
    let cdr = kit.cdr(&sid);
    for name in HEAD.iter().chain(&["endReason"]) {
        assert!(cdr[name].is_string(), "{name}");
    }
    assert_eq!(object(&cdr).len(), HEAD.len() + 2);
    let legs = cdr["cdrs"].as_array().unwrap();
    assert_eq!(legs.len(), 3);
    for (n, leg) in legs.iter().enumerate() {
        assert!(LEG.iter().all(|name| leg[name].is_string()));
        assert_eq!(object(leg).len(), LEG.len());
        assert_eq!(leg["callSeq"], n.to_string());
    }
    // The reader of these bytes is strict: JSON and nothing behind it.
    let all = kit.deliveries(&sid);
    let bytes = &all.iter().find(|d| d.topic == Topic::CallRecord).unwrap().bytes;
    assert!(serde_json::from_slice::<Value>(bytes).is_ok());
    assert_eq!(bytes.last(), Some(&b'}'));
}

// accept: voice-paas 160
// accept: domain-model I6
// accept: domain-model I7
#[test]
fn a_reader_can_recompute_the_worked_example() {
    let mut kit = Kit::new();
    kit.party(CALLER, Party::answers(2, 5));
    kit.party(CALLEE, Party::answers(1, 7).hangs_up(60));
    // The callee is dialled at :08, as in the specification: three seconds of greeting.
    let sid = kit.click(json!({"greetVoice": "greet.wav", "record": 2}));
    kit.run();
    let cdr = kit.cdr(&sid);
    let times = |leg: usize| {
        let leg = &cdr["cdrs"][leg];
        ["startTime", "ringTime", "answerTime", "stopTime"].map(|n| leg[n].as_str().unwrap().to_owned())
    };
    assert_eq!(
        times(0),
        ["20250615100000", "20250615100002", "20250615100005", "20250615100115"]
    );
    assert_eq!(
        times(1),
        ["20250615100008", "20250615100009", "20250615100015", "20250615100115"]
    );
    assert_eq!(
        (&cdr["cdrs"][0]["duration"], &cdr["cdrs"][1]["duration"]),
        (&json!("70"), &json!("60"))
    );
    assert_eq!(
        (&cdr["byeType"], &cdr["recordingDuration"]),
        (&json!("4"), &json!("60"))
    );
}

// accept: voice-paas 17
#[test]
fn times_are_in_the_applications_zone() {
    for (zone, start) in [(480, "20250615100000"), (0, "20250615020000"), (-330, "20250614203000")] {
        let kit = usual();
        kit.settings(|s| s.zone_minutes = zone);
        let sid = kit.click(json!({}));
        kit.run();
        assert_eq!(kit.statuses(&sid)[0]["timestamp"], start);
        assert_eq!(kit.cdr(&sid)["cdrs"][0]["startTime"], start);
        for s in kit.statuses(&sid) {
            assert_eq!(s["timestamp"].as_str().unwrap().len(), 14);
        }
    }
}

#[test]
fn the_time_of_completed_is_the_records_stop_time() {
    let mut kit = usual();
    kit.party(CALLER, Party::answers(2, 5).deaf());
    let sid = kit.click(json!({}));
    kit.run();
    let statuses = kit.statuses(&sid);
    let last = statuses.iter().rfind(|s| s["callStatus"] == "completed").unwrap();
    assert_eq!(last["timestamp"], kit.cdr(&sid)["cdrs"][0]["stopTime"]);
}

// accept: voice-paas 164
#[test]
fn user_data_comes_back_as_it_went_in() {
    let kit = usual();
    kit.settings(|s| s.user_data_any = true);
    let data = "中文 \"x\" \\ \u{1} </script> 🦀";
    let sid = kit.click(json!({"userData": data}));
    kit.run();
    assert_eq!(kit.cdr(&sid)["userData"], data);
    assert!(kit.statuses(&sid).iter().all(|s| s["userData"] == data));
    let sid = kit.click(json!({}));
    kit.run();
    assert_eq!(kit.cdr(&sid)["userData"], "");
}

// accept: voice-paas 158
// accept: domain-model I3
// accept: domain-model I4
#[test]
fn each_conversation_has_one_record_and_it_comes_last() {
    let ways: Vec<(Party, Party)> = vec![
        (Party::silent(), Party::silent()),
        (Party::rejects(0, 500), Party::silent()),
        (Party::rings(1), Party::silent()),
        (Party::answers(1, 2).hangs_up(1), Party::rings(1)),
        (Party::answers(1, 2), Party::rejects(0, 404)),
        (Party::answers(1, 2).hangs_up(9), Party::picks_up(3)),
        (Party::answers(1, 2).deaf(), Party::answers(1, 3).deaf().hangs_up(5)),
    ];
    for (caller, callee) in ways {
        let mut kit = Kit::new();
        kit.party(CALLER, caller);
        kit.party(CALLEE, callee);
        let sid = kit.click(json!({}));
        kit.run();
        let all = kit.deliveries(&sid);
        let of_record: Vec<_> = all.iter().filter(|d| d.topic == Topic::CallRecord).collect();
        assert_eq!(of_record.len(), 1);
        let last_end = all.iter().filter(|d| d.topic == Topic::Status).map(|d| d.event).max();
        assert!(Some(of_record[0].event) > last_end);
    }
}

// accept: voice-paas 163
#[test]
fn the_record_waits_for_its_recording_and_carries_its_length() {
    let kit = usual();
    kit.world().file_after = Some(45_000);
    let sid = kit.click(json!({"record": 1}));
    kit.until(73.0);
    assert!(kit.world().convs[&id(&sid)].machine.has_ended());
    assert!(kit.cdrs(&sid).is_empty(), "the call is over and its file is awaited");
    kit.run();
    let cdr = kit.cdr(&sid);
    assert_eq!(cdr["recordingDuration"], "66");
    let url = cdr["recordingUrl"].as_str().unwrap();
    assert!(url.starts_with("https://calls.example.com/recordings/RE") && url.ends_with(".wav"));
}

// accept: voice-paas 216
#[test]
fn a_late_recording_sends_the_same_record_once_more_with_its_link() {
    let kit = usual();
    kit.world().file_after = Some(300_000);
    let sid = kit.click(json!({"record": 2}));
    // Ended at 72 s; the wait is sixty seconds.
    kit.until(131.9);
    assert!(kit.cdrs(&sid).is_empty());
    kit.until(133.0);
    let first = kit.cdr(&sid);
    assert_eq!(
        (&first["recordingUrl"], &first["recordingDuration"]),
        (&json!(""), &json!("0"))
    );
    kit.run();
    let both = kit.cdrs(&sid);
    assert_eq!(both.len(), 2);
    let differ: Vec<_> = object(&both[1]).keys().filter(|k| both[0][*k] != both[1][*k]).collect();
    assert_eq!(differ, ["recordingDuration", "recordingUrl"]);
    assert_eq!(both[1]["recordingDuration"], "60");
}

#[test]
fn a_recording_that_fails_releases_the_record_and_is_never_pushed_twice() {
    for (after, fails) in [(Some(10_000), true), (Some(300_000), true), (None, false)] {
        let kit = usual();
        {
            let mut world = kit.world();
            world.file_after = after;
            world.file_fails = fails;
        }
        let sid = kit.click(json!({"record": 2}));
        kit.run();
        assert_eq!(kit.cdr(&sid)["recordingUrl"], "");
        assert!(kit.world().convs[&id(&sid)].machine.is_over());
    }
}

#[test]
fn late_figures_of_the_media_push_nothing() {
    let kit = usual();
    let sid = kit.click(json!({}));
    kit.run();
    kit.does(&sid, 0, LegFact::Quality(strowger_core::event::Quality::default()));
    assert_eq!(kit.cdrs(&sid).len(), 1);
}

// accept: domain-model I24
#[test]
fn replaying_the_log_gives_the_same_bytes() {
    let mut kit = usual();
    kit.party(THIRD, Party::answers(1, 2).hangs_up(9));
    let sid = kit.click(json!({"record": 1, "maxDuration": 50, "greetVoice": "greet.wav"}));
    kit.until(20.0);
    kit.add(&sid, json!({"calleeVoice": "callee.wav"}));
    kit.run();
    let world = kit.world();
    let c = &world.convs[&id(&sid)];
    assert_eq!(crate::kit::switch::replay(&c.events), c.deliveries);
}

// accept: voice-paas 175
#[test]
fn records_of_an_application_in_batch_mode_may_travel_together_and_statuses_may_not() {
    let kit = Kit::talking();
    let marks = |kit: &Kit, sid: &str, topic| {
        let all = kit.deliveries(sid);
        let chosen = all.into_iter().filter(|d| d.topic == topic);
        chosen.map(|d| d.batch).collect::<Vec<_>>()
    };
    let single = kit.click(json!({}));
    kit.settings(|s| {
        s.record_batch_size = 100;
        s.record_batch_seconds = 30;
    });
    let sid = kit.click(json!({}));
    for sid in [&single, &sid] {
        kit.run_to_talk(sid);
        kit.cancel(sid);
    }
    kit.run();
    assert_eq!(
        marks(&kit, &single, Topic::CallRecord),
        [None],
        "placed before the change"
    );
    let mark = Batching {
        most: 100,
        window_ms: 30_000,
    };
    assert_eq!(marks(&kit, &sid, Topic::CallRecord), [Some(mark)]);
    let statuses = marks(&kit, &sid, Topic::Status);
    assert!(!statuses.is_empty() && statuses.iter().all(Option::is_none));
    // The member of the array is the body that a push of its own has.
    assert_eq!(kit.cdr(&sid)["conversationSid"], sid);
}
