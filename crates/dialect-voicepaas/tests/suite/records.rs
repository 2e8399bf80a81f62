//! The record service and the status query (voice-paas §13.2, §13.3).

use crate::kit::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const DAY: &str = "cc/Cdrs?startTime=20250615000000&endTime=20250615235959";

fn sids(reply: &Reply) -> Vec<String> {
    assert_eq!(reply.code(), "00000", "{}", reply.text);
    let list = reply.body["list"].as_array().unwrap().iter();
    list.map(|r| r["conversationSid"].as_str().unwrap().to_owned())
        .collect()
}

/// Calls a minute apart, each half a minute long.
fn calls(kit: &mut Kit, count: u64) -> Vec<String> {
    kit.party(CALLER, Party::answers(1, 2));
    kit.party(CALLEE, Party::answers(1, 3).hangs_up(20));
    (0..count)
        .map(|_| {
            let sid = kit.click(json!({}));
            let now = kit.world().now;
            kit.world().run_until(now.plus_secs(60));
            sid
        })
        .collect()
}

// accept: voice-paas 171
#[test]
fn pages_have_no_gaps_and_no_doubles_while_new_calls_arrive() {
    let mut kit = Kit::new();
    let mut all = calls(&mut kit, 25);
    let mut read = vec![];
    for page in 1.. {
        let reply = kit.get(&format!("{DAY}&pageNo={page}&pageSize=7"));
        let found = sids(&reply);
        assert_eq!(reply.body["pageNo"], page.to_string());
        assert_eq!(reply.body["pageSize"], "7");
        assert_eq!(reply.body["total"], all.len().to_string());
        if found.is_empty() {
            break;
        }
        read.extend(found);
        if page < 4 {
            all.extend(calls(&mut kit, 2));
        }
    }
    assert_eq!(read, all, "in order of their start, each once");
    assert_eq!(read.iter().collect::<BTreeSet<_>>().len(), all.len());
}

// accept: voice-paas 172
#[test]
fn a_page_that_is_too_large_is_an_error() {
    let mut kit = Kit::new();
    calls(&mut kit, 1);
    assert_eq!(kit.get(&format!("{DAY}&pageSize=200")).code(), "00000");
    for bad in [
        "pageSize=201",
        "pageSize=0",
        "pageSize=x",
        "pageSize=-1",
        "pageNo=0",
        "pageNo=x",
        "pageNo=99999999999",
        "callType=9",
        "userNumber=x",
    ] {
        let reply = kit.get(&format!("{DAY}&{bad}"));
        let expected = if bad.starts_with("userNumber") {
            "10007"
        } else {
            "10005"
        };
        assert_eq!(reply.code(), expected, "{bad}");
        assert!(reply.body.get("list").is_none());
    }
    // Far behind the end is an empty page.
    assert!(sids(&kit.get(&format!("{DAY}&pageNo=2147483647&pageSize=200"))).is_empty());
}

#[test]
fn a_window_has_two_ends_and_a_bound() {
    let mut kit = Kit::new();
    let all = calls(&mut kit, 3);
    let get = |start: &str, end: &str| kit.get(&format!("cc/Cdrs?startTime={start}&endTime={end}"));
    assert_eq!(kit.get("cc/Cdrs?startTime=20250615000000").code(), "10004");
    assert_eq!(kit.get("cc/Cdrs").code(), "10004");
    for (start, end) in [
        ("20250615", "20250616000000"),
        ("20250631000000", "20250701000000"),
        ("20250616000000", "20250615000000"),
        ("20250601000000", "20250702000001"),
        ("2025061500000%30", "x"),
    ] {
        assert_eq!(get(start, end).code(), "10005", "{start} {end}");
    }
    assert_eq!(sids(&get("20250601000000", "20250702000000")), all);
    // Both ends belong to the window, to the second; the application's zone counts.
    assert_eq!(sids(&get("20250615100000", "20250615100000")), all[..1]);
    assert_eq!(sids(&get("20250615100001", "20250615100100")), all[1..2]);
    assert!(sids(&get("20250615020000", "20250615030000")).is_empty());
}

#[test]
fn conditions_narrow_the_list() {
    let mut kit = Kit::new();
    let all = calls(&mut kit, 2);
    assert_eq!(sids(&kit.get(&format!("{DAY}&callType=4"))), all);
    assert!(sids(&kit.get(&format!("{DAY}&callType=1"))).is_empty());
    assert!(sids(&kit.get(&format!("{DAY}&callType=2"))).is_empty());
    assert_eq!(sids(&kit.get(&format!("{DAY}&userNumber=%2B86{CALLEE}"))), all);
    assert!(sids(&kit.get(&format!("{DAY}&userNumber={THIRD}"))).is_empty());
    assert!(sids(&kit.get(&format!("{DAY}&agentNo=1001"))).is_empty());
}

// accept: voice-paas 173
// accept: domain-model I20
#[test]
fn one_record_by_any_of_its_ids() {
    let mut kit = Kit::new();
    let sid = calls(&mut kit, 1).remove(0);
    let by_conversation = kit.get(&format!("cc/Cdrs/{sid}"));
    assert_eq!(by_conversation.code(), "00000");
    let pushed = kit.cdr(&sid);
    for (name, value) in pushed.as_object().unwrap() {
        assert_eq!(&by_conversation.body[name], value, "{name}");
    }
    for leg in pushed["cdrs"].as_array().unwrap() {
        let by_call = kit.get(&format!("cc/Cdrs/{}", leg["callSid"].as_str().unwrap()));
        assert_eq!(by_call, by_conversation);
    }
    assert_eq!(by_conversation.body["callType"], "4");
    assert_eq!(by_conversation.body["ringSeconds"], "2");
    assert_eq!(by_conversation.body["talkSeconds"], "20");
    assert_eq!(by_conversation.body["hangupSide"], "callee");
    // Unknown legs, unknown ids, other tenants and other accounts: not found.
    let ninth = strowger_dialect_voicepaas::call_sid(id(&sid), strowger_core::LegSeq(9));
    for unknown in [ninth, format!("CV{:032x}", 1u128 << 100), "x".into(), "repushed".into()] {
        assert_eq!(kit.get(&format!("cc/Cdrs/{unknown}")).code(), "20001");
    }
    let path = format!("cc/Cdrs/{sid}");
    assert_eq!(kit.get_as((OTHER_ACCOUNT, OTHER_APP), &path).code(), "20001");
    assert_eq!(kit.get_as((SECOND_ACCOUNT, APP), &path).code(), "20001");
    assert!(sids(&kit.get_as((OTHER_ACCOUNT, OTHER_APP), DAY)).is_empty());
    assert!(sids(&kit.get_as((SECOND_ACCOUNT, APP), DAY)).is_empty());
    // A call that goes on has no record yet.
    let running = kit.click(json!({}));
    assert_eq!(kit.get(&format!("cc/Cdrs/{running}")).code(), "20001");
}

#[test]
fn a_re_push_names_records_or_a_range_and_stays_at_home() {
    let mut kit = Kit::new();
    let all = calls(&mut kit, 3);
    let again = |kit: &Kit, body: Value| {
        let reply = kit.post("cc/Cdrs/repush", &body);
        assert_eq!(reply.code(), "00000", "{}", reply.text);
        reply.body["count"].as_str().unwrap().to_owned()
    };
    let range = json!({"startTime": "20250615100000", "endTime": "20250615100100"});
    assert_eq!(again(&kit, range.clone()), "2");
    let leg = strowger_dialect_voicepaas::call_sid(id(&all[0]), strowger_core::LegSeq(1));
    // A conversation and one of its legs are one record.
    assert_eq!(again(&kit, json!({"callids": [&all[0], leg, &all[2]]})), "2");
    assert_eq!(
        again(&kit, json!({"callids": [format!("CV{:032x}", 1u128 << 100)]})),
        "0"
    );
    for (id, bytes) in kit.records.repushed.lock().unwrap().iter() {
        let world = kit.world();
        assert_eq!(&world.convs[id].deliveries.last().unwrap().bytes, bytes);
    }
    let reply = kit.post_as(
        (OTHER_ACCOUNT, OTHER_APP),
        "cc/Cdrs/repush",
        &json!({"callids": [&all[0]]}),
    );
    assert_eq!(reply.body["count"], "0");
    assert_eq!(
        kit.post_as((OTHER_ACCOUNT, OTHER_APP), "cc/Cdrs/repush", &range).body["count"],
        "0"
    );
    for (bad, code) in [
        (json!({}), "10004"),
        (json!({"startTime": "20250615100000"}), "10004"),
        (json!({"callids": []}), "10005"),
        (json!({"callids": ["x"]}), "10005"),
        (json!({"callids": [1]}), "10005"),
        (json!({"callids": "x"}), "10005"),
        (json!({"callids": vec!["x"; 1001]}), "10005"),
        (json!({"callids": [&all[0]], "startTime": "20250615100000"}), "10005"),
    ] {
        assert_eq!(kit.post("cc/Cdrs/repush", &bad).code(), code, "{bad}");
    }
}

// accept: voice-paas 169
#[test]
fn the_status_query_shows_the_legs_as_they_are() {
    let mut kit = Kit::talking();
    kit.party(CALLEE, Party::answers(1, 7).hangs_up(60));
    let sid = kit.click(json!({"calleeVoice": "callee.wav"}));
    let states = |at: f64| {
        kit.until(at);
        let reply = kit.get(&format!("cc/Calls/{sid}"));
        assert_eq!(reply.code(), "00000");
        let calls = reply.body["calls"].as_array().unwrap().clone();
        let word = |l: &Value| {
            let text = |n: &str| l[n].as_str().unwrap().to_owned();
            format!("{}{}{}", text("callStatus"), text("isBridged"), text("callCause"))
        };
        calls.iter().map(word).collect::<Vec<_>>()
    };
    assert_eq!(states(1.0), ["initiated0"]);
    assert_eq!(states(3.0), ["ringing0"]);
    assert_eq!(states(5.5), ["answered0", "initiated0"]);
    assert_eq!(states(7.0), ["answered0", "ringing0"]);
    assert_eq!(states(13.0), ["answered0", "answered0"]);
    assert_eq!(states(18.0), ["answered1", "answered1"]);
    assert_eq!(states(80.0), ["completed0completed", "completed0completed"]);
    assert_eq!(kit.get(&format!("cc/Calls/{sid}")).body["byeType"], "4");
    assert_eq!(kit.get("cc/Calls/CVx").code(), "20001");
    let path = format!("cc/Calls/{sid}");
    assert_eq!(kit.get_as((OTHER_ACCOUNT, OTHER_APP), &path).code(), "20001");
    assert_eq!(kit.get_as((SECOND_ACCOUNT, APP), &path).code(), "20001");
}
