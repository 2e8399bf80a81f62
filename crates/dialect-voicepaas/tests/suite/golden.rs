//! Pushes as files: a change of one byte on the wire is a decision.
//!
//! `UPDATE_GOLDEN=1 cargo nextest run -p strowger-dialect-voicepaas golden` writes them anew.

use crate::kit::*;
use serde_json::json;
use std::path::PathBuf;
use strowger_core::project::Topic;

fn check(kit: &Kit, sid: &str, name: &str) {
    for (topic, kind) in [(Topic::Status, "status"), (Topic::CallRecord, "cdr")] {
        let mut text = String::new();
        for d in kit.deliveries(sid).iter().filter(|d| d.topic == topic) {
            text.push_str(std::str::from_utf8(&d.bytes).unwrap());
            text.push('\n');
        }
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("golden")
            .join(format!("{name}.{kind}.jsonl"));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(text, golden, "{}", path.display());
    }
}

#[test]
fn an_answered_and_recorded_call() {
    let mut kit = Kit::talking();
    kit.party(CALLEE, Party::answers(1, 7).hangs_up(60));
    let sid = kit.click(json!({"greetVoice": "greet.wav", "record": 2, "userData": "order_17", "calleeCli": CLI_B}));
    kit.run();
    check(&kit, &sid, "answered");
}

#[test]
fn a_late_recording() {
    let mut kit = Kit::talking();
    kit.party(CALLEE, Party::answers(1, 7).hangs_up(60));
    kit.world().file_after = Some(300_000);
    let sid = kit.click(json!({"record": 1}));
    kit.run();
    check(&kit, &sid, "late-recording");
}

#[test]
fn a_caller_who_does_not_answer() {
    let mut kit = Kit::talking();
    kit.party(CALLER, Party::rings(2));
    let sid = kit.click(json!({}));
    kit.run();
    check(&kit, &sid, "caller-no-answer");
}

#[test]
fn a_cancelled_call_in_both_manners() {
    for (strict, name) in [(false, "cancelled"), (true, "cancelled-strict")] {
        let kit = Kit::talking();
        kit.settings(|s| s.strict_causes = strict);
        let sid = kit.click(json!({}));
        kit.until(9.0);
        kit.cancel(&sid);
        kit.run();
        check(&kit, &sid, name);
    }
}

#[test]
fn three_parties_and_a_failed_add() {
    let mut kit = Kit::talking();
    kit.party(CALLEE, Party::answers(1, 7).hangs_up(60));
    kit.party(THIRD, Party::silent());
    kit.party(FOURTH, Party::answers(1, 4).hangs_up(10));
    let sid = kit.click(json!({}));
    kit.until(20.0);
    kit.add(&sid, json!({"timeout": 5}));
    kit.until(26.0);
    kit.add(&sid, json!({"callee": "136-0000-0004"}));
    kit.run();
    check(&kit, &sid, "three-parties");
}
