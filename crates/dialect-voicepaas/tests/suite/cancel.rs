//! cancelCall in every state (voice-paas §9).

use crate::kit::*;
use serde_json::json;

// accept: voice-paas 132
#[test]
fn while_the_caller_is_called_it_is_cancelled() {
    for at in [1.0, 3.0] {
        let kit = Kit::talking();
        let sid = kit.click(json!({}));
        kit.until(at);
        assert_eq!(kit.cancel(&sid).code(), "00000");
        assert_eq!(kit.trace(&sid)[1], ((at * 1000.0) as u64, "cancel 0".into()));
        kit.run();
        let cdr = kit.cdr(&sid);
        assert_eq!(
            (&cdr["byeType"], &cdr["endReason"]),
            (&json!("0"), &json!("api-cancel"))
        );
        assert_eq!(cdr["cdrs"][0]["cause"], "canceled");
        assert_eq!(cdr["cdrs"].as_array().unwrap().len(), 1);
    }
}

#[test]
fn during_the_greeting_the_caller_is_hung_up() {
    let kit = Kit::talking();
    let sid = kit.click(json!({"greetVoice": "greet.wav"}));
    kit.until(6.0);
    assert_eq!(kit.cancel(&sid).code(), "00000");
    kit.run();
    assert_eq!(kit.trace(&sid)[1..], [(6_000, "bye 0".into())]);
    assert_eq!(kit.cdr(&sid)["byeType"], "1");
}

// accept: voice-paas 133
#[test]
fn while_the_callee_rings_both_are_released() {
    let kit = Kit::talking();
    let sid = kit.click(json!({}));
    kit.until(9.0);
    assert_eq!(kit.cancel(&sid).code(), "00000");
    assert_eq!(
        kit.trace(&sid)[2..],
        [(9_000, "bye 0".into()), (9_000, "cancel 1".into())]
    );
    kit.run();
    let cdr = kit.cdr(&sid);
    assert_eq!(
        (&cdr["byeType"], &cdr["endReason"]),
        (&json!("1"), &json!("api-cancel"))
    );
}

// accept: voice-paas 134
#[test]
fn while_they_talk_both_are_hung_up() {
    for (more, at) in [(json!({}), 30.0), (json!({"callerVoice": "caller.wav"}), 13.0)] {
        let kit = Kit::talking();
        let sid = kit.click(more);
        kit.until(at);
        assert_eq!(kit.cancel(&sid).code(), "00000");
        kit.run();
        let cdr = kit.cdr(&sid);
        assert_eq!(
            (&cdr["byeType"], &cdr["endReason"]),
            (&json!("3"), &json!("api-cancel"))
        );
        assert_eq!(
            kit.trace(&sid)[2..].iter().map(|t| t.1.as_str()).collect::<Vec<_>>(),
            ["bye 0", "bye 1"]
        );
    }
}

// accept: voice-paas 135
// accept: domain-model I20
#[test]
fn what_is_over_unknown_or_anothers_has_its_code() {
    let mut kit = Kit::talking();
    kit.party(CALLEE, Party::answers(1, 2).hangs_up(5));
    let sid = kit.click(json!({}));
    let url = format!("ctc/Conversations/{sid}");
    let body = json!({"action": "cancelCall"});
    // Another tenant's account, another account of the tenant, and unknown ids: all "not found", and nothing happens.
    kit.until(9.0);
    let progress = kit.progress(&sid);
    assert_eq!(kit.post_as((OTHER_ACCOUNT, OTHER_APP), &url, &body).code(), "20001");
    assert_eq!(kit.post_as((SECOND_ACCOUNT, APP), &url, &body).code(), "20001");
    let add = json!({"action": "addCall", "callee": THIRD});
    assert_eq!(kit.post_as((OTHER_ACCOUNT, OTHER_APP), &url, &add).code(), "20001");
    assert_eq!(kit.progress(&sid), progress);
    for unknown in [
        format!("CV{:032x}", 1u128 << 100),
        "CV1".into(),
        "x".into(),
        sid.to_lowercase(),
        format!("{sid}0"),
    ] {
        assert_eq!(kit.cancel(&unknown).code(), "20001", "{unknown}");
    }
    kit.run();
    assert_eq!(kit.cancel(&sid).code(), "20002");
    assert_eq!(kit.try_add(&sid, json!({})).code(), "20002");
    assert_eq!(kit.post_as((OTHER_ACCOUNT, OTHER_APP), &url, &body).code(), "20001");
    assert_eq!(kit.post_as((SECOND_ACCOUNT, APP), &url, &body).code(), "20001");
    assert_eq!(kit.cdrs(&sid).len(), 1);
}

// accept: voice-paas 136
#[test]
fn twice_in_quick_succession_is_once() {
    let kit = Kit::talking();
    let sid = kit.click(json!({}));
    kit.until(20.0);
    assert_eq!(kit.cancel(&sid).code(), "00000");
    assert_eq!(kit.cancel(&sid).code(), "00000");
    assert_eq!(kit.trace(&sid).len(), 4);
    kit.run();
    assert_eq!(kit.cdrs(&sid).len(), 1);
    assert_eq!(kit.cancel(&sid).code(), "20002");
}

#[test]
fn an_added_leg_that_rings_is_cancelled_with_the_rest() {
    let mut kit = Kit::talking();
    kit.party(THIRD, Party::rings(1));
    let sid = kit.click(json!({}));
    kit.until(20.0);
    kit.add(&sid, json!({}));
    kit.until(25.0);
    kit.cancel(&sid);
    let ends: Vec<_> = kit.trace(&sid)[3..].iter().map(|t| t.1.clone()).collect();
    assert_eq!(ends, ["bye 0", "bye 1", "cancel 2"]);
    kit.run();
    assert_eq!(kit.cdr(&sid)["cdrs"][2]["cause"], "canceled");
}

#[test]
fn a_call_sid_ends_an_added_party_alone() {
    let mut kit = Kit::talking();
    kit.party(THIRD, Party::answers(1, 4));
    let sid = kit.click(json!({}));
    kit.until(20.0);
    let cancel = |call: &str| {
        kit.post(
            &format!("ctc/Conversations/{sid}"),
            &json!({"action": "cancelCall", "callSid": call}),
        )
        .code()
        .to_owned()
    };
    // In each stage: during the greeting, while it rings, during its prompt, and in the talk of three.
    for wait in [1.0, 5.0, 8.0, 20.0] {
        let now = kit.world().now.ms_since(START) as f64 / 1000.0;
        let reply = kit.try_add(&sid, json!({"greetVoice": "greet.wav", "calleeVoice": "callee.wav"}));
        let call = reply.body["callSid"].as_str().unwrap().to_owned();
        kit.until(now + wait);
        assert_eq!(cancel(&call), "00000", "after {wait} s");
        kit.until(now + wait + 3.0);
        assert_eq!(hears(&kit.layout(&sid), 0), "leg 1", "after {wait} s");
        assert_eq!(hears(&kit.layout(&sid), 1), "leg 0");
        assert_eq!(cancel(&call), "20003");
    }
    let base = id(&sid);
    // The first two parties cannot be ended alone, and another conversation's leg is none of this one.
    for leg in [0, 1, 9] {
        let call = strowger_dialect_voicepaas::call_sid(base, strowger_core::LegSeq(leg));
        assert_eq!(cancel(&call), "20003");
    }
    assert_eq!(cancel("CA00"), "10005");
    assert_eq!(cancel(&sid), "10005");
    assert_eq!(cancel(&format!("CA{:032x}", 1)), "10005");
    // A callSid in the path names its conversation.
    let call = strowger_dialect_voicepaas::call_sid(base, strowger_core::LegSeq(1));
    assert_eq!(kit.cancel(&call).code(), "00000");
    kit.run();
    assert_eq!(kit.cdr(&sid)["byeType"], "3");
}
