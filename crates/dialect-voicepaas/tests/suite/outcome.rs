//! How a click2call ends: byeType, causes, who is released, and the record (voice-paas §8.6, domain-model §6).

use crate::kit::*;
use serde_json::{Value, json};
use strowger_core::call::{Input, LegFact};
use strowger_core::{By, Cause, LegSeq, Role};

/// byeType, endReason and the causes of the legs by number.
fn outcome(kit: &Kit, sid: &str) -> (String, String, Vec<String>) {
    let cdr = kit.cdr(sid);
    let text = |v: &Value| v.as_str().unwrap().to_owned();
    let causes = cdr["cdrs"].as_array().unwrap().iter().map(|l| text(&l["cause"]));
    (text(&cdr["byeType"]), text(&cdr["endReason"]), causes.collect())
}

fn case(caller: Party, callee: Party, more: Value) -> (Kit, String) {
    let mut kit = Kit::new();
    kit.party(CALLER, caller);
    kit.party(CALLEE, callee);
    let sid = kit.click(more);
    kit.run();
    (kit, sid)
}

fn expect(kit: &Kit, sid: &str, bye: &str, reason: &str, causes: &[&str]) {
    let (b, r, c) = outcome(kit, sid);
    assert_eq!((b.as_str(), r.as_str()), (bye, reason));
    assert_eq!(c, causes);
}

// accept: voice-paas 110
#[test]
fn a_caller_who_does_not_answer_is_bye_type_0() {
    let (kit, sid) = case(Party::rings(2), Party::answers(1, 2), json!({}));
    expect(&kit, &sid, "0", "normal", &["no-answer"]);
    // The ring timer of two minutes.
    assert_eq!(kit.trace(&sid)[1], (120_000, "cancel 0".into()));
}

// accept: voice-paas 111
#[test]
fn a_caller_who_is_busy_or_refuses_is_bye_type_0() {
    for status in [486, 600, 603, 404, 480, 500, 488] {
        let (kit, sid) = case(Party::rejects(1, status), Party::answers(1, 2), json!({}));
        expect(&kit, &sid, "0", "normal", &["failed"]);
    }
}

// accept: voice-paas 112
#[test]
fn a_caller_who_leaves_during_the_greeting_is_bye_type_1() {
    let caller = Party::answers(1, 5).hangs_up(1);
    let (kit, sid) = case(caller, Party::answers(1, 2), json!({"greetVoice": "greet.wav"}));
    expect(&kit, &sid, "1", "normal", &["completed"]);
    assert_eq!(kit.trace(&sid).len(), 1);
}

// accept: voice-paas 113
#[test]
fn a_caller_who_leaves_while_the_callee_rings_cancels_it_at_once() {
    let (kit, sid) = case(Party::answers(1, 5).hangs_up(10), Party::rings(1), json!({}));
    expect(&kit, &sid, "1", "normal", &["completed", "canceled"]);
    assert_eq!(kit.trace(&sid)[2], (15_000, "cancel 1".into()));
    assert_eq!(
        kit.progress(&sid)[4..],
        ["1 ringing", "0 completed/completed", "1 completed/canceled"]
    );
}

// accept: voice-paas 114
#[test]
fn a_callee_who_does_not_answer_is_bye_type_2_and_the_caller_is_released() {
    let (kit, sid) = case(Party::answers(1, 5), Party::rings(1), json!({}));
    expect(&kit, &sid, "2", "normal", &["completed", "no-answer"]);
    assert_eq!(
        kit.trace(&sid)[2..],
        [(125_000, "cancel 1".into()), (125_000, "bye 0".into())]
    );
    // The timer ended the callee's leg; the caller's ended because the program had nothing more to do.
    let world = kit.world();
    let ends: Vec<_> = world.convs[&id(&sid)]
        .fold
        .legs
        .iter()
        .map(|l| l.end.unwrap())
        .collect();
    assert_eq!(ends, [(Cause::Normal, By::System), (Cause::NoAnswer, By::Timer)]);
}

// accept: voice-paas 115
#[test]
fn a_callee_who_is_busy_or_refuses_is_bye_type_2() {
    for status in [486, 600, 603, 404, 403, 480, 488, 500, 503, 600, 604] {
        for callee in [Party::rejects(1, status), Party::rings(1).then_rejects(3, status)] {
            let (kit, sid) = case(Party::answers(1, 5), callee.clone(), json!({}));
            assert_eq!(outcome(&kit, &sid).0, "2", "{status}");
            assert_eq!(kit.trace(&sid).last().unwrap().1, "bye 0");
            let (kit, sid) = case(Party::answers(1, 5), callee, json!({"ringbackMode": "1"}));
            assert_eq!(outcome(&kit, &sid).0, "2", "{status}");
        }
    }
}

// accept: voice-paas 116
#[test]
fn who_ends_the_talk_decides_between_3_and_4() {
    let (kit, sid) = case(Party::answers(1, 5).hangs_up(60), Party::answers(1, 2), json!({}));
    expect(&kit, &sid, "3", "normal", &["completed", "completed"]);
    assert_eq!(kit.trace(&sid).last().unwrap(), &(65_000, "bye 1".into()));
    let (kit, sid) = case(Party::answers(1, 5), Party::answers(1, 2).hangs_up(60), json!({}));
    expect(&kit, &sid, "4", "normal", &["completed", "completed"]);
    assert_eq!(kit.trace(&sid).last().unwrap(), &(67_000, "bye 0".into()));
}

#[test]
fn leaving_during_the_private_prompts_is_leaving_the_talk() {
    let voices = || json!({"callerVoice": "caller.wav", "calleeVoice": "callee.wav"});
    let (kit, sid) = case(Party::answers(1, 5).hangs_up(4), Party::answers(1, 2), voices());
    assert_eq!(outcome(&kit, &sid).0, "3");
    let (kit, sid) = case(Party::answers(1, 5), Party::answers(1, 2).hangs_up(3), voices());
    assert_eq!(outcome(&kit, &sid).0, "4");
}

// accept: voice-paas 130
#[test]
fn both_hanging_up_at_once_is_one_end() {
    let (kit, sid) = case(
        Party::answers(1, 5).hangs_up(12),
        Party::answers(1, 2).hangs_up(10),
        json!({}),
    );
    let (bye, reason, causes) = outcome(&kit, &sid);
    assert!(bye == "3" || bye == "4");
    assert_eq!((reason.as_str(), causes), ("normal", vec!["completed".to_owned(); 2]));
    let world = kit.world();
    let legs = &world.convs[&id(&sid)].fold.legs;
    // Each leg's own end is by its own party (domain-model §5.7).
    for leg in legs {
        assert_eq!(
            leg.end,
            Some((
                strowger_core::Cause::Normal,
                strowger_core::By::Party(leg.seq, leg.role)
            ))
        );
    }
}

// accept: domain-model M55
#[test]
fn a_caller_who_leaves_during_the_failure_prompt_is_still_bye_type_2() {
    let caller = Party::answers(1, 5).hangs_up(4);
    let more = json!({"ringbackMode": 1, "failVoice": "fail.wav"});
    let (kit, sid) = case(caller, Party::rejects(1, 486), more);
    assert!(kit.sounds(&sid, 0).contains(&"fail.wav".to_owned()));
    expect(&kit, &sid, "2", "normal", &["completed", "failed"]);
    assert_eq!(kit.cdr(&sid)["cdrs"][0]["duration"], "4");
    let callee = By::Party(LegSeq(1), Role::Callee);
    assert_eq!(kit.world().convs[&id(&sid)].fold.end, Some((Cause::Busy, callee)));
}

#[test]
fn a_cancel_during_the_failure_prompt_does_not_take_the_failure_over() {
    let mut kit = Kit::talking();
    kit.party(CALLEE, Party::rejects(1, 486));
    let sid = kit.click(json!({"ringbackMode": 1, "failVoice": "fail.wav"}));
    kit.until(8.0);
    assert_eq!(kit.cancel(&sid).code(), "00000");
    kit.run();
    assert_eq!(kit.trace(&sid).last().unwrap(), &(8_000, "bye 0".into()));
    expect(&kit, &sid, "2", "normal", &["completed", "failed"]);
}

// accept: voice-paas 219
#[test]
fn the_platforms_end_during_the_greeting_is_bye_type_2_with_its_reason() {
    let kit = Kit::talking();
    let sid = kit.click(json!({"greetVoice": "greet.wav"}));
    kit.until(6.0);
    kit.feed(&sid, Input::SystemEnd);
    kit.run();
    expect(&kit, &sid, "2", "system", &["completed"]);
    // By the caller it is 1.
    let mut kit = Kit::talking();
    kit.party(CALLER, Party::answers(2, 5).hangs_up(1));
    let sid = kit.click(json!({"greetVoice": "greet.wav"}));
    kit.run();
    expect(&kit, &sid, "1", "normal", &["completed"]);
}

#[test]
fn the_platforms_end_has_its_byetype_in_every_phase() {
    for (at, bye, causes) in [
        (1.0, "0", vec!["failed"]),
        (3.0, "0", vec!["failed"]),
        (7.0, "2", vec!["completed", "failed"]),
        (13.0, "3", vec!["completed", "completed"]),
    ] {
        let kit = Kit::talking();
        let sid = kit.click(json!({}));
        kit.until(at);
        kit.feed(&sid, Input::SystemEnd);
        kit.feed(&sid, Input::SystemEnd);
        kit.run();
        expect(&kit, &sid, bye, "system", &causes);
    }
}

#[test]
fn a_leg_without_packets_ends_the_talk() {
    let kit = Kit::talking();
    let sid = kit.click(json!({}));
    kit.until(20.0);
    kit.does(&sid, 1, LegFact::Silent);
    assert_eq!(
        kit.trace(&sid)[2..],
        [(20_000, "bye 1".into()), (20_000, "bye 0".into())]
    );
    kit.run();
    expect(&kit, &sid, "3", "media-timeout", &["completed", "completed"]);
}

#[test]
fn a_lost_dialog_ends_the_talk() {
    let kit = Kit::talking();
    let sid = kit.click(json!({}));
    kit.until(20.0);
    kit.does(&sid, 0, LegFact::Lost);
    kit.run();
    expect(&kit, &sid, "3", "system", &["completed", "completed"]);
}

#[test]
fn a_far_side_that_confirms_nothing_does_not_hold_the_record() {
    let (kit, sid) = case(
        Party::answers(1, 5).deaf(),
        Party::answers(1, 2).deaf().hangs_up(60),
        json!({}),
    );
    let cdr = kit.cdr(&sid);
    // The talk stopped when the BYE left, not when it was given up two seconds later.
    assert_eq!(cdr["cdrs"][0]["stopTime"], cdr["cdrs"][1]["stopTime"]);
    let world = kit.world();
    let record = &world.convs[&id(&sid)].fold;
    assert_eq!(record.ended_at.unwrap().ms_since(record.created_at), 67_000 + 2_000);
}

#[test]
fn a_200_that_crosses_our_cancel_is_never_bridged() {
    let kit = Kit::talking();
    let sid = kit.click(json!({}));
    kit.until(11.999);
    kit.cancel(&sid);
    kit.does(&sid, 1, LegFact::Answered { dialog: None });
    kit.run();
    expect(&kit, &sid, "1", "api-cancel", &["completed", "canceled"]);
    assert!(kit.sounds(&sid, 1).iter().all(|s| s == "-"));
}

// accept: voice-paas 153
#[test]
fn busy_and_refusal_are_failed() {
    for status in [486, 603, 404, 403, 500, 480] {
        let (kit, sid) = case(Party::answers(1, 5), Party::rejects(1, status), json!({}));
        assert!(
            kit.progress(&sid).contains(&"1 completed/failed".to_owned()),
            "{status}"
        );
    }
}

// accept: voice-paas 151
#[test]
fn a_leg_that_only_rang_is_no_answer() {
    for callee in [
        Party::rings(1),
        Party::rings(1).then_rejects(40, 480),
        Party::rings(1).then_rejects(40, 408),
    ] {
        let (kit, sid) = case(Party::answers(1, 5), callee, json!({}));
        let of_callee: Vec<_> = kit.progress(&sid).into_iter().filter(|p| p.starts_with('1')).collect();
        assert_eq!(of_callee, ["1 initiated", "1 ringing", "1 completed/no-answer"]);
    }
}

// accept: voice-paas 152
#[test]
fn a_network_that_says_nothing_is_time_out() {
    for callee in [Party::silent(), Party::times_out(32), Party::rejects(5, 408)] {
        let (kit, sid) = case(Party::answers(1, 5), callee, json!({}));
        let of_callee: Vec<_> = kit.progress(&sid).into_iter().filter(|p| p.starts_with('1')).collect();
        assert_eq!(of_callee, ["1 initiated", "1 completed/time-out"]);
    }
}

#[test]
fn strict_causes_know_no_cancel() {
    let mut kit = Kit::talking();
    kit.party(CALLEE, Party::rings(1));
    kit.settings(|s| s.strict_causes = true);
    let sid = kit.click(json!({}));
    kit.until(10.0);
    kit.cancel(&sid);
    kit.run();
    expect(&kit, &sid, "1", "api-cancel", &["completed", "failed"]);
    assert!(kit.progress(&sid).contains(&"1 completed/failed".to_owned()));
    // A 487 that nobody asked for is no cancel of ours in either mode.
    let (kit, sid) = case(Party::answers(1, 5), Party::rings(1).then_rejects(3, 487), json!({}));
    expect(&kit, &sid, "2", "normal", &["completed", "failed"]);
}

// accept: voice-paas 152
#[test]
fn the_ring_timer_is_a_setting_of_the_application() {
    let mut kit = Kit::talking();
    kit.party(CALLEE, Party::silent());
    kit.settings(|s| s.ring_timeout = 30);
    let sid = kit.click(json!({}));
    kit.run();
    assert_eq!(kit.trace(&sid)[2], (35_000, "cancel 1".into()));
}
