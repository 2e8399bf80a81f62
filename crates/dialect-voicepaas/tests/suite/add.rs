//! addCall: a third party, and who stays when someone leaves (voice-paas §10).

use crate::kit::*;
use serde_json::json;
use strowger_core::call::LegFact;

/// Two parties talk at 20 s; the third answers five seconds after it is dialled.
fn pair() -> (Kit, String) {
    pair_with(json!({}))
}

fn pair_with(more: serde_json::Value) -> (Kit, String) {
    let mut kit = Kit::talking();
    kit.party(THIRD, Party::answers(2, 5));
    kit.party(FOURTH, Party::answers(2, 5));
    let sid = kit.click(more);
    kit.until(20.0);
    (kit, sid)
}

fn trio() -> (Kit, String) {
    let (kit, sid) = pair();
    kit.add(&sid, json!({}));
    kit.until(30.0);
    (kit, sid)
}

fn hang_up(kit: &Kit, sid: &str, leg: u16) {
    kit.does(sid, leg, LegFact::HungUp { q850: 16 });
}

fn all_hear(kit: &Kit, sid: &str, legs: &[u16]) {
    let layout = kit.layout(sid);
    for leg in legs {
        let others: Vec<_> = legs.iter().filter(|l| *l != leg).map(|l| format!("leg {l}")).collect();
        assert_eq!(hears(&layout, *leg), others.join(" + "));
    }
    assert_eq!(layout.legs.len(), legs.len());
}

// accept: voice-paas 137
#[test]
fn a_third_party_joins_and_all_hear_all() {
    let (kit, sid) = pair();
    let reply = kit.try_add(&sid, json!({"calleeCli": CLI_B}));
    assert_eq!(reply.code(), "00000");
    assert_eq!(
        kit.trace(&sid)[2],
        (20_000, format!("dial 2 +8613700000003 as {CLI_B}"))
    );
    kit.until(24.9);
    all_hear_pair_with_ringback(&kit, &sid);
    kit.until(25.0);
    all_hear(&kit, &sid, &[0, 1, 2]);
}

fn all_hear_pair_with_ringback(kit: &Kit, sid: &str) {
    let layout = kit.layout(sid);
    assert_eq!(hears(&layout, 0), "leg 1 + ringback*");
    assert_eq!(hears(&layout, 1), "leg 0");
    assert_eq!(hears(&layout, 2), "-");
}

// accept: voice-paas 138
#[test]
fn before_the_pair_talks_there_is_nothing_to_add_to() {
    let kit = Kit::talking();
    let sid = kit.click(json!({"greetVoice": "greet.wav", "callerVoice": "caller.wav"}));
    for at in [1.0, 3.0, 6.0, 9.0, 14.0, 16.0] {
        kit.until(at);
        assert_eq!(kit.try_add(&sid, json!({})).code(), "20003", "at {at} s");
    }
    assert!(kit.trace(&sid).iter().all(|t| !t.1.contains("dial 2")));
}

// accept: voice-paas 139
#[test]
fn three_parties_are_enough() {
    let (kit, sid) = pair();
    kit.add(&sid, json!({"greetVoice": "greet.wav", "calleeVoice": "callee.wav"}));
    // While the greeting plays, while it rings, during the prompt, and when all three talk.
    for at in [21.0, 25.0, 29.0, 40.0] {
        kit.until(at);
        assert_eq!(
            kit.try_add(&sid, json!({"callee": FOURTH})).code(),
            "20004",
            "at {at} s"
        );
    }
    all_hear(&kit, &sid, &[0, 1, 2]);
}

// accept: voice-paas 140
// accept: voice-paas 146
#[test]
fn the_third_leaves_and_another_one_may_come() {
    let (kit, sid) = trio();
    hang_up(&kit, &sid, 2);
    all_hear(&kit, &sid, &[0, 1]);
    kit.add(&sid, json!({"callee": FOURTH}));
    kit.until(40.0);
    all_hear(&kit, &sid, &[0, 1, 3]);
    hang_up(&kit, &sid, 1);
    kit.run();
    let cdr = kit.cdr(&sid);
    let seqs: Vec<_> = cdr["cdrs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|l| l["callSeq"].clone())
        .collect();
    assert_eq!(seqs, ["0", "1", "2", "3"]);
    assert_eq!(cdr["cdrs"][3]["to"], FOURTH);
}

// accept: voice-paas 141
#[test]
fn the_original_caller_leaves_and_the_others_go_on() {
    let (kit, sid) = trio();
    hang_up(&kit, &sid, 0);
    all_hear(&kit, &sid, &[1, 2]);
    assert!(kit.trace(&sid).iter().all(|t| !t.1.starts_with("bye")));
    // The third leaves then: one party is never kept.
    kit.until(50.0);
    hang_up(&kit, &sid, 2);
    assert_eq!(kit.trace(&sid).last().unwrap(), &(50_000, "bye 1".into()));
    kit.run();
    assert_eq!(kit.cdr(&sid)["byeType"], "3");
    // Or the callee does.
    let (kit, sid) = trio();
    hang_up(&kit, &sid, 0);
    hang_up(&kit, &sid, 1);
    kit.run();
    assert_eq!(kit.cdr(&sid)["byeType"], "4");
}

#[test]
fn the_callee_hears_the_sounds_of_an_add_when_the_caller_has_left() {
    let (kit, sid) = trio();
    hang_up(&kit, &sid, 0);
    kit.add(&sid, json!({"callee": FOURTH, "greetVoice": "greet.wav", "callerVoice": "caller.wav", "ringbackMode": 1, "ringbackVoice": "ring.wav"}));
    assert_eq!(hears(&kit.layout(&sid), 1), "leg 2 + greet.wav");
    kit.until(36.0);
    assert_eq!(hears(&kit.layout(&sid), 1), "leg 2 + ring.wav*");
    kit.until(40.0);
    assert_eq!(hears(&kit.layout(&sid), 1), "leg 2 + caller.wav");
    assert_eq!(hears(&kit.layout(&sid), 2), "leg 1");
    kit.until(60.0);
    all_hear(&kit, &sid, &[1, 2, 3]);
}

// accept: voice-paas 142
#[test]
fn the_original_callee_leaves_and_all_is_over() {
    let (kit, sid) = trio();
    hang_up(&kit, &sid, 1);
    let ends: Vec<_> = kit.trace(&sid)[3..].to_vec();
    assert_eq!(ends, [(30_000, "bye 0".into()), (30_000, "bye 2".into())]);
    kit.run();
    assert_eq!(kit.cdr(&sid)["byeType"], "4");
}

// accept: voice-paas 143
#[test]
fn a_third_who_does_not_answer_in_two_minutes_changes_nothing_for_the_pair() {
    let (mut kit, sid) = pair();
    kit.party(THIRD, Party::rings(2));
    kit.add(&sid, json!({}));
    kit.until(139.9);
    assert_eq!(kit.trace(&sid).len(), 3);
    kit.until(141.0);
    assert_eq!(kit.trace(&sid)[3], (140_000, "cancel 2".into()));
    assert!(kit.progress(&sid).contains(&"2 completed/no-answer".to_owned()));
    all_hear(&kit, &sid, &[0, 1]);
}

// accept: voice-paas 144
#[test]
fn the_timeout_of_the_request_is_kept() {
    for timeout in [json!(10), json!("10")] {
        let (mut kit, sid) = pair();
        kit.party(THIRD, Party::rings(2));
        kit.add(&sid, json!({"timeout": timeout}));
        kit.until(60.0);
        assert_eq!(kit.trace(&sid)[3], (30_000, "cancel 2".into()));
    }
}

// accept: voice-paas 145
#[test]
fn sounds_around_an_add_are_the_callers_alone() {
    let (kit, sid) = pair();
    kit.add(
        &sid,
        json!({"greetVoice": "greet.wav", "ringbackMode": 1, "ringbackVoice": "ring.wav", "calleeVoice": "callee.wav", "callerVoice": "caller.wav"}),
    );
    kit.until(50.0);
    let tail = |leg, from| {
        let mut heard = kit.heard(&sid, leg);
        heard.retain(|h| h.0 >= from);
        heard
    };
    assert_eq!(
        tail(0, 20_000),
        [
            (20_000, "leg 1 + greet.wav".into()),
            (23_000, "leg 1".into()),
            (25_000, "leg 1 + ring.wav*".into()),
            (28_000, "leg 1 + caller.wav".into()),
            (36_000, "leg 1 + leg 2".into()),
        ]
    );
    // The callee talks on and hears none of it.
    assert_eq!(tail(1, 20_000), [(36_000, "leg 0 + leg 2".into())]);
    assert_eq!(
        tail(2, 20_000),
        [
            (28_000, "callee.wav".into()),
            (33_000, "silence".into()),
            (36_000, "leg 0 + leg 1".into()),
        ]
    );
    // The third was dialled after the greeting.
    assert_eq!(kit.trace(&sid)[2].0, 23_000);
}

#[test]
fn early_media_of_the_third_reaches_the_caller_only() {
    let (mut kit, sid) = pair();
    kit.party(THIRD, Party::rings(1).early(2, LegFact::EarlyMedia));
    kit.add(&sid, json!({}));
    kit.until(23.0);
    assert_eq!(hears(&kit.layout(&sid), 0), "leg 1 + leg 2");
    assert_eq!(hears(&kit.layout(&sid), 1), "leg 0");
}

// accept: voice-paas 147
#[test]
fn a_failed_add_is_a_leg_of_the_record() {
    let (mut kit, sid) = pair();
    kit.party(THIRD, Party::rejects(2, 486));
    kit.add(&sid, json!({"ringbackMode": "1", "failVoice": "fail.wav"}));
    kit.until(23.0);
    assert_eq!(hears(&kit.layout(&sid), 0), "leg 1 + fail.wav");
    assert_eq!(hears(&kit.layout(&sid), 1), "leg 0");
    // The failure notice is only a sound: the next add does not wait for it.
    kit.add(&sid, json!({"callee": FOURTH}));
    kit.until(40.0);
    all_hear(&kit, &sid, &[0, 1, 3]);
    hang_up(&kit, &sid, 0);
    hang_up(&kit, &sid, 1);
    kit.run();
    let cdr = kit.cdr(&sid);
    let failed = &cdr["cdrs"][2];
    assert_eq!(
        (&failed["callSeq"], &failed["cause"], &failed["duration"]),
        (&json!("2"), &json!("failed"), &json!("0"))
    );
    assert_eq!(failed["answerTime"], "");
}

#[test]
fn an_add_that_was_given_up_or_had_answered_is_no_failure_to_hear_about() {
    let custom = || json!({"ringbackMode": 1, "failVoice": "fail.wav", "calleeVoice": "callee.wav"});
    // Given up by the back end while it rings.
    let (kit, sid) = pair();
    let reply = kit.try_add(&sid, custom());
    kit.until(23.0);
    let cancel = json!({"action": "cancelCall", "callSid": reply.body["callSid"]});
    assert_eq!(kit.post(&format!("ctc/Conversations/{sid}"), &cancel).code(), "00000");
    all_hear(&kit, &sid, &[0, 1]);
    // Hung up by itself during its prompt.
    let (kit, sid) = pair();
    kit.add(&sid, custom());
    kit.until(26.0);
    hang_up(&kit, &sid, 2);
    all_hear(&kit, &sid, &[0, 1]);
}

// accept: voice-paas 148
#[test]
fn recording_of_an_add_starts_one_or_joins_the_running_one() {
    for record in [json!(true), json!("true"), json!(1), json!("2")] {
        let (kit, sid) = pair();
        assert!(kit.layout(&sid).record.is_none());
        kit.add(&sid, json!({"record": record}));
        kit.until(30.0);
        // The left channel is the caller, the right one whom it hears: both others.
        assert_eq!(kit.layout(&sid).record.unwrap().left.0, 0);
        assert_eq!(hears(&kit.layout(&sid), 0), "leg 1 + leg 2");
        hang_up(&kit, &sid, 1);
        kit.run();
        assert_eq!(kit.cdr(&sid)["recordingDuration"], "10");
    }
    let (kit, sid) = pair_with(json!({"record": 2}));
    kit.add(&sid, json!({"record": true}));
    kit.until(30.0);
    hang_up(&kit, &sid, 1);
    kit.run();
    assert_eq!(kit.world().convs[&id(&sid)].fold.recordings.len(), 1);
    assert_eq!(kit.cdr(&sid)["recordingDuration"], "18");
    let (kit, sid) = pair();
    kit.add(&sid, json!({"record": false}));
    kit.until(30.0);
    assert!(kit.layout(&sid).record.is_none());
}

#[test]
fn a_recording_goes_on_with_the_host_on_the_left_when_the_caller_leaves() {
    let (kit, sid) = pair_with(json!({"record": 2}));
    kit.add(&sid, json!({}));
    kit.until(30.0);
    hang_up(&kit, &sid, 0);
    assert_eq!(kit.layout(&sid).record.unwrap().left.0, 1);
    kit.until(40.0);
    hang_up(&kit, &sid, 2);
    kit.run();
    assert_eq!(kit.cdr(&sid)["recordingDuration"], "28");
}

#[test]
fn sounds_around_an_add_are_not_recorded() {
    let (kit, sid) = pair_with(json!({"record": 2}));
    kit.add(&sid, json!({"greetVoice": "greet.wav", "callerVoice": "caller.wav"}));
    for at in [21.0, 26.0, 29.0] {
        kit.until(at);
        assert!(kit.layout(&sid).record.is_some());
        assert!(!kit.layout(&sid).legs[0].play.as_ref().unwrap().recorded, "{at}");
    }
}

// accept: voice-paas 149
// accept: domain-model I26
#[test]
fn the_limit_of_the_call_ends_three_parties_too() {
    let (kit, sid) = pair_with(json!({"maxDuration": 90}));
    kit.add(&sid, json!({}));
    kit.until(42.0);
    let layout = kit.layout(&sid);
    for leg in 0..3 {
        assert!(hears(&layout, leg).ends_with("!LastMinute"));
    }
    kit.run();
    let ends: Vec<_> = kit.trace(&sid)[3..].to_vec();
    assert_eq!(
        ends,
        [
            (102_000, "bye 0".into()),
            (102_000, "bye 1".into()),
            (102_000, "bye 2".into())
        ]
    );
    assert_eq!(kit.cdr(&sid)["byeType"], "5");
}

#[test]
fn the_pair_separates_while_a_third_is_called_and_all_is_over() {
    for leg in [0, 1] {
        let (kit, sid) = pair();
        kit.add(&sid, json!({}));
        kit.until(23.0);
        hang_up(&kit, &sid, leg);
        kit.run();
        let cdr = kit.cdr(&sid);
        assert_eq!(cdr["byeType"], if leg == 0 { "3" } else { "4" });
        assert_eq!(cdr["cdrs"][2]["cause"], "canceled");
    }
}

#[test]
fn a_held_party_of_three_hears_nothing_and_is_not_heard() {
    let (kit, sid) = trio();
    kit.does(&sid, 2, LegFact::Held);
    let layout = kit.layout(&sid);
    assert_eq!(hears(&layout, 0), "leg 1");
    assert_eq!(hears(&layout, 1), "leg 0");
    assert_eq!(hears(&layout, 2), "silence");
}
