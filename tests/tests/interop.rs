//! SIPp as both parties of real calls: each ends with the right cause, one record and no leg left.

use serde_json::{Value, json};
use std::time::Duration;
use strowger_tests::bed::{Bed, CALLEE, PUSHED};
use strowger_tests::journal::Journal;
use strowger_tests::sipp::{Run, installed};
use strowger_tests::wait;

/// What the record must say.
struct Expected {
    bye_type: &'static str,
    causes: &'static [&'static str],
    /// Cause of the conversation, as the native API names it.
    cause: &'static str,
}

const fn ends(bye_type: &'static str, causes: &'static [&'static str], cause: &'static str) -> Expected {
    Expected {
        bye_type,
        causes,
        cause,
    }
}

/// Checks a record, and that nothing is left of its conversation.
fn check(bed: &Bed, sid: &str, expected: &Expected) -> Value {
    let cdr = bed.over(sid, Duration::from_secs(50));
    let legs = cdr["cdrs"].as_array().expect("legs");
    let causes: Vec<&str> = legs.iter().map(|l| l["cause"].as_str().expect("a cause")).collect();
    assert_eq!(
        (cdr["byeType"].as_str(), &causes[..]),
        (Some(expected.bye_type), expected.causes),
        "{cdr}"
    );
    let shown = bed.show(sid);
    assert_eq!(shown["cause"], expected.cause, "{shown}");
    for leg in legs {
        let stamp = |name: &str| leg[name].as_str().expect("a stamp").to_owned();
        let stamps = [
            stamp("startTime"),
            stamp("ringTime"),
            stamp("answerTime"),
            stamp("stopTime"),
        ];
        let present: Vec<&String> = stamps.iter().filter(|s| !s.is_empty()).collect();
        assert!(present.is_sorted() && present.iter().all(|s| s.len() == 14), "{leg}");
    }
    cdr
}

/// A `click2call` between two SIPps.
fn click(bed: &Bed, caller: &Run<'_>, callee: &Run<'_>, expected: &Expected) -> [String; 2] {
    let (a, b) = (caller.listen(), callee.listen());
    bed.caller_at(a.address());
    bed.callee_at(b.address());
    let sid = bed.click(&json!({}));
    check(bed, &sid, expected);
    [a.succeed(), b.succeed()]
}

// accept: voice-paas 116, 150, 158, 159, 160
// accept: domain-model I3
#[test]
fn either_party_answers_and_hangs_up() {
    if !installed() {
        return;
    }
    let bed = Bed::start();
    let talk = Run {
        pause: 700,
        ..Run::of("uas-answer-bye")
    };
    let both = &["completed", "completed"];
    click(&bed, &talk, &Run::of("uas-answer"), &ends("3", both, "normal"));
    click(&bed, &Run::of("uas-answer"), &talk, &ends("4", both, "normal"));
    click(&bed, &Run::of("uas-answer-slow"), &talk, &ends("4", both, "normal"));
}

// accept: voice-paas 111
#[test]
fn a_caller_that_refuses_ends_the_call_before_the_callee_is_dialled() {
    if !installed() {
        return;
    }
    let bed = Bed::start();
    // Nobody listens there: an INVITE would be answered by ICMP, and show as a second leg.
    bed.callee_at(([127, 0, 0, 1], 9).into());
    for (scenario, cause, native) in [
        ("uas-busy", "failed", "busy"),
        ("uas-not-found", "failed", "invalid-number"),
        ("uas-reject", "failed", "rejected"),
        ("uas-ring-unavailable", "no-answer", "no-answer"),
    ] {
        let caller = Run::of(scenario).listen();
        bed.caller_at(caller.address());
        let sid = bed.click(&json!({}));
        let causes: &'static [&'static str] = if cause == "failed" { &["failed"] } else { &["no-answer"] };
        check(&bed, &sid, &ends("0", causes, native));
        caller.succeed();
    }
}

// accept: voice-paas 115, 153, 151, 152
#[test]
fn each_refusal_of_the_callee_has_its_cause() {
    if !installed() {
        return;
    }
    let bed = Bed::start();
    let failed = &["completed", "failed"];
    for (scenario, expected) in [
        ("uas-busy", ends("2", failed, "busy")),
        ("uas-not-found", ends("2", failed, "invalid-number")),
        ("uas-reject", ends("2", failed, "rejected")),
        ("uas-ring-reject", ends("2", failed, "rejected")),
        (
            "uas-ring-unavailable",
            ends("2", &["completed", "no-answer"], "no-answer"),
        ),
        (
            "uas-request-timeout",
            ends("2", &["completed", "time-out"], "setup-timeout"),
        ),
        ("uas-early-busy", ends("2", failed, "busy")),
    ] {
        click(&bed, &Run::of("uas-answer"), &Run::of(scenario), &expected);
    }
}

// accept: voice-paas 110, 114, 151
#[test]
fn a_party_that_does_not_answer_in_time_is_cancelled() {
    if !installed() {
        return;
    }
    let bed = Bed::start();
    bed.settings(&json!({ "ring_timeout": 5 }));
    let answered = ends("2", &["completed", "no-answer"], "no-answer");
    let [_, callee] = click(&bed, &Run::of("uas-answer"), &Run::of("uas-no-answer"), &answered);
    assert!(callee.contains("CANCEL sip:"));
    let caller = Run::of("uas-no-answer").listen();
    bed.caller_at(caller.address());
    let sid = bed.click(&json!({}));
    check(&bed, &sid, &ends("0", &["no-answer"], "no-answer"));
    caller.succeed();
}

// accept: voice-paas 152
#[test]
fn a_callee_that_says_nothing_times_out_and_is_sent_no_cancel() {
    if !installed() {
        return;
    }
    let bed = Bed::start();
    bed.settings(&json!({ "ring_timeout": 6 }));
    let silent = Run {
        pause: 12_000,
        ..Run::of("uas-silent")
    };
    let expected = ends("2", &["completed", "time-out"], "setup-timeout");
    let [_, callee] = click(&bed, &Run::of("uas-answer"), &silent, &expected);
    // A CANCEL is not allowed before a provisional response (RFC 3261 section 9.1).
    assert!(!callee.contains("CANCEL sip:"), "{callee}");
}

// accept: voice-paas 152
#[test]
fn a_network_that_says_nothing_at_all_ends_the_call_by_the_transaction_timer() {
    if !installed() {
        return;
    }
    let bed = Bed::start();
    let silent = Run {
        pause: 38_000,
        patience: Duration::from_secs(60),
        ..Run::of("uas-silent")
    };
    let waits = Run {
        patience: Duration::from_secs(60),
        ..Run::of("uas-answer")
    };
    click(
        &bed,
        &waits,
        &silent,
        &ends("2", &["completed", "time-out"], "setup-timeout"),
    );
}

#[test]
fn an_answer_that_crosses_the_cancel_is_acknowledged_and_ended() {
    if !installed() {
        return;
    }
    let bed = Bed::start();
    bed.settings(&json!({ "ring_timeout": 5 }));
    // SIPp insists on the ACK and the BYE; the leg's end was fixed when its time was up.
    let expected = ends("2", &["completed", "no-answer"], "no-answer");
    click(&bed, &Run::of("uas-answer"), &Run::of("uas-cancel-glare"), &expected);
}

// accept: voice-paas 130
#[test]
fn both_hang_up_in_the_same_moment() {
    if !installed() {
        return;
    }
    let bed = Bed::start();
    let both = &["completed", "completed"];
    click(
        &bed,
        &Run::of("uas-answer-bye"),
        &Run::of("uas-bye-glare"),
        &ends("3", both, "normal"),
    );
}

#[test]
fn a_party_holds_and_takes_back() {
    if !installed() {
        return;
    }
    let bed = Bed::start();
    for scenario in ["uas-hold", "uas-hold-old"] {
        let (a, b) = (
            Run {
                pause: 3500,
                ..Run::of("uas-answer-bye")
            }
            .listen(),
            Run {
                pause: 1000,
                ..Run::of(scenario)
            }
            .listen(),
        );
        bed.caller_at(a.address());
        bed.callee_at(b.address());
        let sid = bed.click(&json!({}));
        bed.wait_leg(&sid, 1, "held");
        bed.wait_leg(&sid, 1, "talking");
        check(&bed, &sid, &ends("3", &["completed", "completed"], "normal"));
        a.succeed();
        b.succeed();
    }
}

#[test]
fn a_reinvite_without_sdp_gets_an_offer() {
    if !installed() {
        return;
    }
    let bed = Bed::start();
    let caller = Run {
        pause: 1500,
        ..Run::of("uas-answer-bye")
    };
    let both = &["completed", "completed"];
    click(&bed, &caller, &Run::of("uas-late-reinvite"), &ends("3", both, "normal"));
}

#[test]
fn early_media_leads_to_an_answer() {
    if !installed() {
        return;
    }
    let bed = Bed::start();
    let caller = Run {
        pause: 1500,
        ..Run::of("uas-answer-bye")
    };
    let both = &["completed", "completed"];
    click(&bed, &caller, &Run::of("uas-early-answer"), &ends("3", both, "normal"));
}

// accept: voice-paas 132, 133, 134
#[test]
fn a_cancelled_call_is_taken_down_in_every_phase() {
    if !installed() {
        return;
    }
    let bed = Bed::start();
    let cancel = json!({ "action": "cancelCall" });
    let run = |caller: &str, callee: &str, leg: usize, state: &str, expected: &Expected| {
        let (a, b) = (Run::of(caller).listen(), Run::of(callee).listen());
        bed.caller_at(a.address());
        bed.callee_at(b.address());
        let sid = bed.click(&json!({}));
        bed.wait_leg(&sid, leg, state);
        assert_eq!(bed.command(&sid, &cancel), "00000");
        let cdr = check(&bed, &sid, expected);
        assert_eq!(cdr["endReason"], "api-cancel");
        a.succeed();
        if leg == 1 {
            b.succeed();
        }
    };
    run(
        "uas-no-answer",
        "uas-silent",
        0,
        "ringing",
        &ends("0", &["canceled"], "admin"),
    );
    run(
        "uas-answer",
        "uas-no-answer",
        1,
        "ringing",
        &ends("1", &["completed", "canceled"], "admin"),
    );
    run(
        "uas-answer",
        "uas-answer",
        1,
        "talking",
        &ends("3", &["completed", "completed"], "admin"),
    );
}

#[test]
fn calls_survive_the_loss_of_every_twentieth_packet() {
    if !installed() {
        return;
    }
    let bed = Bed::start();
    let calls = 20;
    let run = |scenario| Run {
        calls,
        lost: 5,
        pause: 500,
        patience: Duration::from_secs(90),
        ..Run::of(scenario)
    };
    // The callee hangs up, so that a late answer does not change who ended the call.
    let (a, b) = (run("uas-answer-lossy").listen(), run("uas-answer-bye").listen());
    bed.caller_at(a.address());
    bed.callee_at(b.address());
    let sids: Vec<String> = (0..calls).map(|_| bed.click(&json!({}))).collect();
    for sid in &sids {
        let cdr = bed.cdr(sid, Duration::from_secs(60));
        assert_eq!(
            (&cdr["byeType"], &cdr["cdrs"][1]["cause"]),
            (&json!("4"), &json!("completed")),
            "{cdr}"
        );
    }
    for sid in &sids {
        bed.over(sid, PUSHED);
    }
    a.succeed();
    b.succeed();
}

const INBOUND: &str = "02161009999";

/// A call that comes in over the caller's trunk for a number that is routed to the callee.
fn inbound(bed: &Bed, caller: &Run<'_>, callee: &Run<'_>, cause: &str) -> [String; 2] {
    let journal = Journal::open(&bed.server);
    let before = journal.position();
    let b = callee.listen();
    bed.callee_at(b.address());
    let a = caller.call(bed.server.sip(), "13800000001", INBOUND);
    let seen = [a.succeed(), b.succeed()];
    let (id, _) = journal.newest_after(before).expect("a conversation");
    wait::until("the end", PUSHED, Duration::from_millis(20), || {
        bed.server.open_calls().is_empty().then_some(())
    });
    let shown = bed.show(&format!("CV{id}"));
    assert_eq!(
        (shown["state"].as_str(), shown["cause"].as_str(), shown["kind"].as_str()),
        (Some("ended"), Some(cause), Some("inbound")),
        "{shown}"
    );
    assert!(
        shown["legs"]
            .as_array()
            .expect("legs")
            .iter()
            .all(|l| l["state"] == "ended"),
        "{shown}"
    );
    seen
}

/// A bed with a route, and a trunk that calls may come from.
fn routed() -> Bed {
    let bed = Bed::start();
    bed.caller_at(([127, 0, 0, 1], 9).into());
    let sources = json!({ "sources": ["127.0.0.1"] });
    assert_eq!(bed.server.admin("PATCH", "/trunks/caller", Some(&sources)).status, 200);
    bed.route(INBOUND, CALLEE);
    bed
}

#[test]
fn a_call_from_one_trunk_goes_out_over_another() {
    if !installed() {
        return;
    }
    let bed = routed();
    inbound(&bed, &Run::of("uac-call"), &Run::of("uas-answer"), "normal");
    inbound(&bed, &Run::of("uac-call-wait"), &Run::of("uas-answer-bye"), "normal");
    inbound(&bed, &Run::of("uac-call"), &Run::of("uas-early-answer"), "normal");
    inbound(&bed, &Run::of("uac-late-offer"), &Run::of("uas-answer"), "normal");
}

#[test]
fn a_refusal_of_the_target_is_passed_back() {
    if !installed() {
        return;
    }
    let bed = routed();
    for (status, callee, cause) in [
        ("uac-expect-486", "uas-busy", "busy"),
        ("uac-expect-404", "uas-not-found", "invalid-number"),
        ("uac-expect-603", "uas-reject", "rejected"),
        ("uac-expect-480", "uas-ring-unavailable", "no-answer"),
        ("uac-expect-486", "uas-early-busy", "busy"),
    ] {
        inbound(&bed, &Run::of(status), &Run::of(callee), cause);
    }
}

#[test]
fn a_caller_gives_up_while_the_target_rings() {
    if !installed() {
        return;
    }
    let bed = routed();
    inbound(&bed, &Run::of("uac-cancel"), &Run::of("uas-no-answer"), "cancelled");
    inbound(&bed, &Run::of("uac-early-bye"), &Run::of("uas-no-answer"), "cancelled");
}
