//! click2call: who is dialled when, and who hears what (voice-paas §8.4, §8.5).

use crate::kit::*;
use serde_json::json;
use strowger_core::call::LegFact;

// accept: voice-paas 98
#[test]
fn a_valid_request_starts_a_conversation() {
    let kit = Kit::talking();
    let reply = kit.try_click(json!({}));
    assert_eq!(reply.code(), "00000");
    assert_eq!(reply.body["statusMsg"], "success");
    let sid = reply.body["conversationSid"].as_str().unwrap();
    assert!(sid.starts_with("CV") && sid.len() == 34);
    assert_eq!(kit.progress(sid), ["0 initiated"]);
}

// accept: voice-paas 101
// accept: domain-model I12
#[test]
fn the_callee_is_dialled_when_the_caller_has_answered_and_not_before() {
    let kit = Kit::talking();
    let sid = kit.click(json!({}));
    kit.until(4.999);
    assert_eq!(kit.trace(&sid), [(0, "dial 0 +8613800000001 as +862161230000".into())]);
    kit.until(5.0);
    assert_eq!(
        kit.trace(&sid)[1],
        (5_000, "dial 1 +8613900000002 as +862161230000".into())
    );
}

// accept: domain-model I12
#[test]
fn a_caller_that_never_answers_costs_the_callee_nothing() {
    for caller in [
        Party::silent(),
        Party::rings(1),
        Party::rejects(1, 486),
        Party::rings(1).then_rejects(3, 603),
        Party::times_out(32),
        Party::rings(1).early(2, LegFact::EarlyMedia),
    ] {
        let mut kit = Kit::talking();
        kit.party(CALLER, caller);
        let sid = kit.click(json!({}));
        kit.run();
        assert!(kit.trace(&sid).iter().all(|(_, t)| !t.starts_with("dial 1")));
        let cdr = kit.cdr(&sid);
        assert_eq!(cdr["cdrs"].as_array().unwrap().len(), 1);
        assert_eq!(cdr["byeType"], "0");
    }
}

// accept: voice-paas 102
#[test]
fn each_party_sees_its_own_display_number() {
    let kit = Kit::talking();
    let sid = kit.click(json!({"callerCli": CLI_A, "calleeCli": CLI_B}));
    kit.until(6.0);
    assert_eq!(kit.trace(&sid)[0].1, format!("dial 0 +8613800000001 as {CLI_A}"));
    assert_eq!(kit.trace(&sid)[1].1, format!("dial 1 +8613900000002 as {CLI_B}"));
    assert_eq!(kit.statuses(&sid)[0]["from"], CLI_A);
    assert_eq!(kit.statuses(&sid).last().unwrap()["from"], CLI_B);
}

// accept: voice-paas 103
#[test]
fn without_display_numbers_the_applications_default_is_shown() {
    let kit = Kit::talking();
    let sid = kit.click(json!({"callerCli": ""}));
    kit.until(6.0);
    for (_, t) in kit.trace(&sid) {
        assert!(t.ends_with("as +862161230000"), "{t}");
    }
}

// accept: voice-paas 104
#[test]
fn the_greeting_is_heard_in_full_before_the_callee_is_dialled() {
    let kit = Kit::talking();
    let sid = kit.click(json!({"greetVoice": "greet.wav"}));
    kit.until(7.999);
    assert_eq!(kit.heard(&sid, 0), [(5_000, "greet.wav".into())]);
    assert_eq!(kit.trace(&sid).len(), 1);
    kit.until(8.0);
    assert_eq!(kit.trace(&sid)[1].0, 8_000);
    kit.until(9.5);
    // Nobody else hears it at any time.
    kit.run_to_talk(&sid);
    assert!(!kit.sounds(&sid, 1).contains(&"greet.wav".to_owned()));
}

#[test]
fn a_greeting_that_is_never_reported_over_does_not_hold_the_call() {
    let kit = Kit::talking();
    let sid = kit.click(json!({"greetVoice": "greet.wav"}));
    // The sound's file is far longer than it was when the request was checked.
    kit.world().sounds.insert("greet.wav".into(), 3_600_000);
    kit.until(30.0);
    assert_eq!(kit.trace(&sid)[1].0, 5_000 + 3_000 + 10_000);
}

// accept: voice-paas 105
#[test]
fn mode_0_lets_the_callees_early_media_through() {
    let mut kit = Kit::talking();
    kit.party(
        CALLEE,
        Party::rings(1)
            .early(2, LegFact::EarlyMedia)
            .early(9, LegFact::Answered { dialog: None }),
    );
    let sid = kit.click(json!({"ringbackMode": 0}));
    kit.until(20.0);
    assert_eq!(
        kit.heard(&sid, 0),
        [
            (5_000, "silence".into()),
            (6_000, "ringback*".into()),
            (7_000, "leg 1".into()),
        ]
    );
}

// accept: voice-paas 106
#[test]
fn mode_0_plays_the_standard_tone_while_the_callee_only_alerts() {
    let kit = Kit::talking();
    let sid = kit.click(json!({}));
    kit.until(20.0);
    assert_eq!(
        kit.heard(&sid, 0),
        [
            (5_000, "silence".into()),
            (6_000, "ringback*".into()),
            (12_000, "leg 1".into()),
        ]
    );
    assert_eq!(kit.heard(&sid, 1), [(5_000, "-".into()), (12_000, "leg 0".into())]);
}

// accept: voice-paas 107
#[test]
fn mode_1_loops_our_ringback_and_hides_the_callees() {
    let mut kit = Kit::talking();
    kit.party(
        CALLEE,
        Party::rings(1)
            .early(2, LegFact::EarlyMedia)
            .early(9, LegFact::Answered { dialog: None }),
    );
    let sid = kit.click(json!({"ringbackMode": 1, "ringbackVoice": "ring.wav"}));
    kit.until(20.0);
    assert_eq!(
        kit.heard(&sid, 0),
        [
            (5_000, "silence".into()),
            (6_000, "ring.wav*".into()),
            (14_000, "leg 1".into()),
        ]
    );
    let standard = kit.click(json!({"ringbackMode": 1}));
    kit.until(40.0);
    assert!(kit.sounds(&standard, 0).contains(&"ringback*".to_owned()));
}

// accept: voice-paas 108
#[test]
fn mode_1_plays_the_failure_prompt_once_then_hangs_up() {
    let mut kit = Kit::talking();
    kit.party(CALLEE, Party::rings(1).then_rejects(3, 486));
    let sid = kit.click(json!({"ringbackMode": 1, "failVoice": "fail.wav"}));
    kit.run();
    assert_eq!(
        kit.heard(&sid, 0),
        [
            (5_000, "silence".into()),
            (6_000, "ringback*".into()),
            (8_000, "fail.wav".into()),
            (12_000, "-".into()),
        ]
    );
    assert_eq!(kit.trace(&sid).last().unwrap(), &(12_000, "bye 0".into()));
    assert_eq!(kit.cdr(&sid)["byeType"], "2");
}

#[test]
fn without_a_failure_prompt_of_its_own_the_cause_chooses_one() {
    for (party, file) in [
        (Party::rejects(1, 486), "Busy"),
        (Party::rejects(1, 603), "Busy"),
        (Party::rejects(1, 404), "Invalid"),
        (Party::rejects(1, 480), "Unreachable"),
        (Party::rejects(1, 503), "Failed"),
        (Party::rings(1), "NoAnswer"),
        (Party::silent(), "Unreachable"),
    ] {
        let mut kit = Kit::talking();
        kit.party(CALLEE, party);
        let sid = kit.click(json!({"ringbackMode": 1}));
        kit.run();
        assert!(kit.sounds(&sid, 0).contains(&file.to_owned()), "{file}");
    }
}

// accept: voice-paas 109
#[test]
fn mode_0_ignores_the_sounds_of_mode_1() {
    let mut kit = Kit::talking();
    kit.party(CALLEE, Party::rings(1).then_rejects(3, 486));
    let sid = kit.click(json!({"ringbackMode": 0, "ringbackVoice": "none.wav", "failVoice": "fail.wav"}));
    kit.run();
    assert_eq!(kit.sounds(&sid, 0), ["silence", "ringback*", "-"]);
    assert_eq!(kit.trace(&sid).last().unwrap(), &(8_000, "bye 0".into()));
}

#[test]
fn mode_0_relays_an_announcement_until_the_final_response() {
    let mut kit = Kit::talking();
    kit.party(
        CALLEE,
        Party::silent().early(1, LegFact::EarlyMedia).then_rejects(12, 404),
    );
    let sid = kit.click(json!({}));
    kit.run();
    assert_eq!(kit.heard(&sid, 0)[1..], [(6_000, "leg 1".into()), (17_000, "-".into())]);
}

// accept: voice-paas 121
#[test]
fn private_prompts_are_heard_by_their_own_party_and_the_bridge_follows_both() {
    let kit = Kit::talking();
    let sid = kit.click(json!({"calleeVoice": "callee.wav", "callerVoice": "caller.wav"}));
    kit.until(30.0);
    // Five seconds for the callee, eight for the caller, in parallel; the talk begins after the longer one.
    assert_eq!(
        kit.heard(&sid, 0)[2..],
        [(12_000, "caller.wav".into()), (20_000, "leg 1".into())]
    );
    assert_eq!(
        kit.heard(&sid, 1)[1..],
        [
            (12_000, "callee.wav".into()),
            (17_000, "silence".into()),
            (20_000, "leg 0".into()),
        ]
    );
    let only_callee = kit.click(json!({"calleeVoice": "callee.wav"}));
    kit.until(60.0);
    assert_eq!(kit.heard(&only_callee, 0)[2..], [(17_000, "leg 1".into())]);
    assert_eq!(kit.sounds(&only_callee, 0)[1], "ringback*");
    assert_eq!(
        kit.heard(&only_callee, 1)[1..],
        [(12_000, "callee.wav".into()), (17_000, "leg 0".into())]
    );
}

#[test]
fn a_custom_ringback_goes_on_while_only_the_callee_has_a_prompt() {
    let kit = Kit::talking();
    let sid = kit.click(json!({"ringbackMode": 1, "ringbackVoice": "ring.wav", "calleeVoice": "callee.wav"}));
    kit.until(30.0);
    assert_eq!(
        kit.heard(&sid, 0)[1..],
        [(6_000, "ring.wav*".into()), (17_000, "leg 1".into())]
    );
}

#[test]
fn without_prompts_the_bridge_is_made_in_the_moment_of_the_answer() {
    let kit = Kit::talking();
    let sid = kit.click(json!({}));
    kit.until(12.0);
    assert_eq!(hears(&kit.layout(&sid), 0), "leg 1");
    assert_eq!(hears(&kit.layout(&sid), 1), "leg 0");
}

// accept: voice-paas 117
// accept: domain-model I26
#[test]
fn a_limited_call_is_announced_a_minute_before_its_end() {
    let kit = Kit::talking();
    let sid = kit.click(json!({"maxDuration": "90"}));
    kit.run();
    let announced = kit.heard(&sid, 0);
    assert!(
        announced.contains(&(12_000 + 30_000, "leg 1 + !LastMinute".into())),
        "{announced:?}"
    );
    assert!(
        kit.heard(&sid, 1)
            .contains(&(12_000 + 30_000, "leg 0 + !LastMinute".into()))
    );
    // It ends, and the talk goes on.
    assert!(announced.contains(&(12_000 + 33_000, "leg 1".into())));
    let trace = kit.trace(&sid);
    assert_eq!(trace[2..], [(102_000, "bye 0".into()), (102_000, "bye 1".into())]);
    let cdr = kit.cdr(&sid);
    assert_eq!((&cdr["byeType"], &cdr["endReason"]), (&json!("5"), &json!("normal")));
    assert_eq!(cdr["cdrs"][1]["duration"], "90");
}

// accept: voice-paas 118
#[test]
fn a_minute_or_less_has_no_announcement() {
    for secs in [60_u64, 59, 1] {
        let kit = Kit::talking();
        let sid = kit.click(json!({"maxDuration": secs}));
        kit.run();
        assert!(kit.sounds(&sid, 0).iter().all(|s| !s.contains('!')));
        assert_eq!(kit.trace(&sid)[2].0, 12_000 + secs * 1000);
        assert_eq!(kit.cdr(&sid)["byeType"], "5");
    }
    let kit = Kit::talking();
    let sid = kit.click(json!({"maxDuration": 61}));
    kit.run();
    assert!(kit.heard(&sid, 0).contains(&(13_000, "leg 1 + !LastMinute".into())));
}

// accept: voice-paas 119
#[test]
fn a_call_without_a_limit_has_none() {
    let mut kit = Kit::talking();
    kit.party(CALLEE, Party::answers(1, 7).hangs_up(60_000));
    for more in [json!({}), json!({"maxDuration": ""}), json!({"maxDuration": null})] {
        let sid = kit.click(more);
        kit.run();
        let cdr = kit.cdr(&sid);
        assert_eq!(cdr["cdrs"][1]["duration"], "60000");
        assert_eq!(cdr["byeType"], "4");
    }
}

// accept: voice-paas 120
#[test]
fn a_last_minute_prompt_of_the_application_replaces_the_shipped_one() {
    let kit = Kit::talking();
    let sid = kit.click(json!({"maxDuration": 100, "lastMinVoice": "lastmin.wav"}));
    kit.run();
    assert!(kit.sounds(&sid, 0).contains(&"leg 1 + !lastmin.wav".to_owned()));
    assert!(kit.sounds(&sid, 1).contains(&"leg 0 + !lastmin.wav".to_owned()));
}

#[test]
fn the_limit_counts_from_the_answer_and_holds_over_private_prompts() {
    let kit = Kit::talking();
    let sid = kit.click(json!({"maxDuration": 3, "callerVoice": "caller.wav"}));
    kit.run();
    assert_eq!(kit.trace(&sid)[2].0, 15_000);
    assert_eq!(kit.cdr(&sid)["byeType"], "5");
}

// accept: voice-paas 122
#[test]
fn record_0_leaves_no_link() {
    let mut kit = Kit::talking();
    kit.party(CALLEE, Party::answers(1, 7).hangs_up(30));
    for more in [json!({"record": 0}), json!({})] {
        let sid = kit.click(more);
        kit.run();
        let cdr = kit.cdr(&sid);
        assert_eq!(
            (&cdr["recordingUrl"], &cdr["recordingDuration"]),
            (&json!(""), &json!("0"))
        );
        assert!(kit.layout(&sid).record.is_none());
    }
}

// accept: voice-paas 123
// accept: domain-model I28
#[test]
fn record_1_begins_when_the_callee_rings_and_takes_the_ringback_in() {
    for more in [
        json!({"record": 1}),
        json!({"record": 1, "ringbackMode": 1, "ringbackVoice": "ring.wav"}),
    ] {
        let mut kit = Kit::talking();
        kit.party(CALLEE, Party::answers(1, 7).hangs_up(30));
        let sid = kit.click(more);
        kit.until(5.9);
        assert!(kit.layout(&sid).record.is_none());
        kit.until(6.0);
        let layout = kit.layout(&sid);
        assert!(layout.record.is_some());
        assert!(layout.legs[0].play.as_ref().unwrap().recorded);
        kit.run();
        // Six seconds of ringing and thirty of talk.
        assert_eq!(kit.cdr(&sid)["recordingDuration"], "36");
    }
}

// accept: voice-paas 124
// accept: domain-model I28
#[test]
fn record_2_is_as_long_as_the_callees_leg() {
    let mut kit = Kit::talking();
    kit.party(CALLEE, Party::answers(1, 7).hangs_up(30));
    let sid = kit.click(json!({"record": 2, "callerVoice": "caller.wav"}));
    kit.until(11.9);
    assert!(kit.layout(&sid).record.is_none());
    kit.run();
    let cdr = kit.cdr(&sid);
    assert_eq!(cdr["recordingDuration"], cdr["cdrs"][1]["duration"]);
    // What only the caller heard is not in it.
    let world = kit.world();
    let private = world.convs[&id(&sid)].layouts.iter().flat_map(|l| &l.1.legs);
    let mut private = private.filter_map(|l| l.play.as_ref()).filter(|p| !p.repeat).peekable();
    assert!(private.peek().is_some());
    assert!(private.all(|p| !p.recorded));
}

// accept: voice-paas 125
// accept: domain-model I28
#[test]
fn record_1_of_an_unanswered_callee_leaves_a_file() {
    for (more, secs) in [
        (json!({"record": 1}), "4"),
        // The failure prompt is part of it.
        (json!({"record": 1, "ringbackMode": 1, "failVoice": "fail.wav"}), "8"),
    ] {
        let mut kit = Kit::talking();
        kit.party(CALLEE, Party::rings(1).then_rejects(5, 486));
        let sid = kit.click(more);
        kit.run();
        let cdr = kit.cdr(&sid);
        assert_eq!(cdr["byeType"], "2");
        assert!(
            cdr["recordingUrl"]
                .as_str()
                .unwrap()
                .starts_with("https://calls.example.com/recordings/RE")
        );
        assert_eq!(cdr["recordingDuration"], secs);
    }
}

#[test]
fn the_left_channel_is_the_caller_and_the_right_one_is_whom_the_caller_hears() {
    let kit = Kit::talking();
    let sid = kit.click(json!({"record": 2}));
    kit.until(13.0);
    assert_eq!(kit.layout(&sid).record.unwrap().left.0, 0);
    assert_eq!(hears(&kit.layout(&sid), 0), "leg 1");
}

#[test]
fn digits_pressed_in_talk_change_nothing_and_are_kept_masked() {
    let kit = Kit::talking();
    let sid = kit.click(json!({}));
    kit.until(13.0);
    let before = kit.layout(&sid);
    for d in "123#".chars() {
        kit.does(&sid, 1, LegFact::Digit(d));
    }
    assert_eq!(kit.layout(&sid), before);
    let world = kit.world();
    let journal = format!("{:?}", world.convs[&id(&sid)].events);
    assert_eq!(journal.matches("digit: 'x'").count(), 4);
    assert!(!journal.contains("digit: '1'"));
}

#[test]
fn a_party_on_hold_is_silent_and_the_other_hears_music() {
    let kit = Kit::talking();
    let sid = kit.click(json!({}));
    kit.until(13.0);
    kit.does(&sid, 1, LegFact::Held);
    assert_eq!(hears(&kit.layout(&sid), 0), "HoldMusic*");
    assert_eq!(hears(&kit.layout(&sid), 1), "silence");
    // No packet from a device on hold is no failure.
    kit.does(&sid, 1, LegFact::Silent);
    kit.does(&sid, 1, LegFact::Retrieved);
    assert_eq!(hears(&kit.layout(&sid), 0), "leg 1");
    assert_eq!(hears(&kit.layout(&sid), 1), "leg 0");
}

#[test]
fn a_device_that_holds_before_the_bridge_is_on_hold_when_it_is_made() {
    let kit = Kit::talking();
    let sid = kit.click(json!({}));
    kit.until(6.0);
    kit.does(&sid, 0, LegFact::Held);
    kit.until(13.0);
    assert_eq!(hears(&kit.layout(&sid), 1), "HoldMusic*");
    kit.does(&sid, 0, LegFact::Retrieved);
    assert_eq!(hears(&kit.layout(&sid), 1), "leg 0");
}
