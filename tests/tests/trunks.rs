//! Trunks: authentication, failover, health and limits, with real peers.

use serde_json::{Value, json};
use std::time::Duration;
use strowger_media_core::g711::Law;
use strowger_tests::bed::{Bed, PUSHED};
use strowger_tests::party::{Ended, Party, SOON};
use strowger_tests::sipp::{Run, installed};
use strowger_tests::wait;

fn change(bed: &Bed, trunk: &str, change: &Value) {
    let answer = bed.server.admin("PATCH", &format!("/trunks/{trunk}"), Some(change));
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
}

#[test]
fn a_carrier_that_challenges_gets_the_digest() {
    if !installed() {
        return;
    }
    let bed = Bed::start();
    let caller = Party::start(Law::A, None);
    let carrier = Run::of("uas-digest").listen();
    bed.caller_at(caller.address());
    bed.callee_at(carrier.address());
    change(
        &bed,
        "callee",
        &json!({ "username": "strowger", "password": "swordfish" }),
    );
    let sid = bed.click(&json!({}));
    let a = caller.first_call();
    a.answer();
    bed.wait_leg(&sid, 1, "talking");
    a.hang_up();
    let seen = carrier.succeed();
    assert!(seen.contains("\nAuthorization: Digest "), "{seen}");
    assert!(!seen.contains("swordfish") && !bed.server.log().contains("swordfish"));
    assert_eq!(bed.over(&sid, PUSHED)["byeType"], "3");
}

#[test]
fn a_carrier_that_fails_is_passed_over_for_the_next() {
    let bed = Bed::start();
    let (caller, first, second) = (
        Party::start(Law::A, None),
        Party::start(Law::A, None),
        Party::start(Law::A, None),
    );
    bed.caller_at(caller.address());
    bed.callee_at(first.address());
    bed.trunk("spare", second.address(), "+86139");
    change(&bed, "callee", &json!({ "priority": 1 }));
    let sid = bed.click(&json!({}));
    let a = caller.first_call();
    a.answer();
    first.first_call().refuse("503 Service Unavailable");
    let b = second.first_call();
    b.answer();
    bed.wait_leg(&sid, 1, "talking");
    let attempts = bed.show(&sid)["legs"][1]["attempts"].clone();
    assert_eq!(
        attempts,
        json!([{ "via": "callee", "failed": 503 }, { "via": "spare", "failed": null }])
    );
    // One that says nothing at all is passed over too, before its transaction times out.
    first.be_silent();
    let other = bed.click(&json!({}));
    caller.nth_call(1).answer();
    second.nth_call(1).refuse("486 Busy Here");
    assert_eq!(bed.cdr(&other, PUSHED)["byeType"], "2");
    b.hang_up();
    assert_eq!(a.wait_end(SOON).0, Ended::Bye);
    let cdr = bed.over(&sid, PUSHED);
    assert_eq!(
        (&cdr["byeType"], cdr["cdrs"].as_array().map(Vec::len)),
        (&json!("4"), Some(2))
    );
}

#[test]
fn options_tell_whether_a_trunk_is_alive() {
    let bed = Bed::start();
    let carrier = Party::start(Law::A, None);
    bed.caller_at(carrier.address());
    change(&bed, "caller", &json!({ "options_interval": 5 }));
    let healthy = || bed.server.admin("GET", "/trunks/caller", None).json()["healthy"].clone();
    wait::until("an OPTIONS", SOON, Duration::from_millis(20), || {
        (carrier.options() > 0).then_some(())
    });
    wait::until("the trunk to be up", SOON, Duration::from_millis(20), || {
        (healthy() == true).then_some(())
    });
}

// accept: domain-model I27
#[test]
fn a_trunk_carries_no_more_calls_than_its_limit() {
    let bed = Bed::start();
    let carrier = Party::start(Law::A, None);
    bed.caller_at(carrier.address());
    change(&bed, "caller", &json!({ "max_channels": 3 }));
    let answers: Vec<Value> = (0..10).map(|_| bed.click_answer(&json!({}))).collect();
    let taken: Vec<&str> = answers.iter().filter_map(|a| a["conversationSid"].as_str()).collect();
    carrier.nth_call(2);
    wait::pause(Duration::from_millis(500));
    assert_eq!(carrier.calls().len(), 3, "{answers:?}");
    for call in carrier.calls() {
        call.refuse("486 Busy Here");
    }
    for sid in &taken {
        bed.over(sid, PUSHED);
    }
    // The places are free again.
    let sid = bed.click(&json!({}));
    carrier.nth_call(3).refuse("486 Busy Here");
    bed.over(&sid, PUSHED);
}
