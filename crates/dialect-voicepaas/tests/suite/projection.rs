//! The projection by itself, over logs that the machine does not write yet or that a restart would write.

use crate::kit::*;
use serde_json::{Value, json};
use strowger_core::event::{Direction, Event, Fact};
use strowger_core::project::Topic;
use strowger_core::{By, Cause, ConversationId, LegSeq, Role, Stamp};

/// The head of a conversation as the router makes it.
fn created(more: Value) -> (ConversationId, Vec<Event>) {
    let kit = Kit::talking();
    let sid = kit.click(more);
    let world = kit.world();
    let first = world.convs[&id(&sid)].events[0].clone();
    (first.conversation, vec![first])
}

fn log(mut events: Vec<Event>, facts: Vec<Fact>) -> Vec<Event> {
    let conversation = events[0].conversation;
    for fact in facts {
        let n = events.len() as u32;
        events.push(Event {
            conversation,
            seq: n + 1,
            at: START.plus_secs(u64::from(n)),
            fact,
        });
    }
    events
}

fn leg(n: u16, role: Role) -> Fact {
    Fact::LegCreated {
        leg: LegSeq(n),
        role,
        direction: Direction::Outgoing,
        from: CLI.into(),
        to: format!("1380000000{n}"),
    }
}

fn answered(n: u16) -> Fact {
    Fact::LegAnswered {
        leg: LegSeq(n),
        dialog: None,
    }
}

fn ended(n: u16, cause: Cause, by: By) -> Fact {
    Fact::LegEnded {
        leg: LegSeq(n),
        stopped_at: START.plus_secs(30),
        cause,
        by,
        sip_status: 0,
        q850: 0,
    }
}

fn bodies(events: &[Event], topic: Topic) -> Vec<Value> {
    let all = switch::replay(events);
    let of_topic = all.iter().filter(|d| d.topic == topic);
    of_topic.map(|d| serde_json::from_slice(&d.bytes).unwrap()).collect()
}

// accept: domain-model M53
#[test]
fn a_redirected_callee_is_judged_by_its_role() {
    let caller = By::Party(LegSeq(0), Role::Caller);
    let callee = By::Party(LegSeq(2), Role::Callee);
    for (cause, by, answers, bye) in [
        (Cause::Normal, callee, true, "4"),
        (Cause::Normal, caller, true, "3"),
        (Cause::Busy, callee, false, "2"),
        (Cause::Normal, caller, false, "1"),
    ] {
        let (_, head) = created(json!({}));
        let mut facts = vec![
            leg(0, Role::Caller),
            answered(0),
            leg(1, Role::Callee),
            ended(1, Cause::Redirected, By::Network),
            leg(2, Role::Callee),
        ];
        facts.extend(answers.then(|| answered(2)));
        facts.extend([
            Fact::Ending { cause, by },
            ended(2, cause, by),
            ended(0, Cause::Normal, by),
            Fact::Ended,
        ]);
        let cdrs = bodies(&log(head, facts), Topic::CallRecord);
        assert_eq!(cdrs[0]["byeType"], bye);
        assert_eq!(cdrs[0]["cdrs"].as_array().unwrap().len(), 3);
        assert_eq!(cdrs[0]["cdrs"][1]["cause"], "failed");
    }
}

// accept: domain-model M14
#[test]
fn bye_type_is_a_projection_of_cause_and_originator() {
    let caller = By::Party(LegSeq(0), Role::Caller);
    let callee = By::Party(LegSeq(1), Role::Callee);
    let third = By::Party(LegSeq(2), Role::Third);
    // Who had answered, the pair of the end, byeType, endReason.
    let table = [
        (0, Cause::NoAnswer, By::Timer, "0", "normal"),
        (0, Cause::Busy, caller, "0", "normal"),
        (0, Cause::Admin, By::Api, "0", "api-cancel"),
        (0, Cause::SystemError, By::System, "0", "system"),
        (1, Cause::Normal, caller, "1", "normal"),
        (1, Cause::Admin, By::Api, "1", "api-cancel"),
        (1, Cause::Busy, callee, "2", "normal"),
        (1, Cause::NoAnswer, By::Timer, "2", "normal"),
        (1, Cause::NoRoute, By::System, "2", "normal"),
        (1, Cause::SystemError, By::System, "2", "system"),
        (1, Cause::MediaFailure, By::Network, "2", "media-timeout"),
        (2, Cause::Normal, caller, "3", "normal"),
        (2, Cause::Normal, third, "3", "normal"),
        (2, Cause::Admin, By::Api, "3", "api-cancel"),
        (2, Cause::SystemError, By::System, "3", "system"),
        (2, Cause::MediaFailure, By::Network, "3", "media-timeout"),
        (2, Cause::NetworkLost, By::Network, "3", "system"),
        (2, Cause::Normal, callee, "4", "normal"),
        (2, Cause::MaxDuration, By::Timer, "5", "normal"),
    ];
    for (up, cause, by, bye, reason) in table {
        let (_, head) = created(json!({}));
        let mut facts = vec![leg(0, Role::Caller)];
        if up > 0 {
            facts.extend([answered(0), leg(1, Role::Callee)]);
        }
        if up > 1 {
            facts.push(answered(1));
        }
        facts.push(Fact::Ending { cause, by });
        facts.extend(
            (0..facts.iter().filter(|f| matches!(f, Fact::LegCreated { .. })).count())
                .map(|n| ended(n as u16, cause, by)),
        );
        facts.push(Fact::Ended);
        let cdrs = bodies(&log(head, facts), Topic::CallRecord);
        assert_eq!(
            (&cdrs[0]["byeType"], &cdrs[0]["endReason"]),
            (&json!(bye), &json!(reason)),
            "{up} {cause:?} {by:?}"
        );
    }
}

#[test]
fn a_transferred_leg_appears_as_an_added_one() {
    let (_, head) = created(json!({}));
    let third = By::Party(LegSeq(2), Role::Third);
    let callee = By::Party(LegSeq(1), Role::Callee);
    let facts = vec![
        leg(0, Role::Caller),
        answered(0),
        leg(1, Role::Callee),
        answered(1),
        leg(2, Role::Third),
        Fact::LegTransferring {
            leg: LegSeq(2),
            by: LegSeq(1),
            attended: false,
        },
        Fact::LegRinging { leg: LegSeq(2) },
        answered(2),
        Fact::LegTransferred {
            leg: LegSeq(2),
            by: LegSeq(1),
        },
        ended(1, Cause::Transferred, callee),
        Fact::Ending {
            cause: Cause::Normal,
            by: third,
        },
        ended(2, Cause::Normal, third),
        ended(0, Cause::Normal, third),
        Fact::Ended,
    ];
    let log = log(head, facts);
    let statuses = bodies(&log, Topic::Status);
    let to = "13800000002";
    let words: Vec<_> = statuses
        .iter()
        .filter(|b| b["to"] == to)
        .map(|b| b["callStatus"].clone())
        .collect();
    assert_eq!(words, ["initiated", "ringing", "answered", "completed"]);
    let cdrs = bodies(&log, Topic::CallRecord);
    assert_eq!(cdrs.len(), 1, "one record");
    assert_eq!(cdrs[0]["cdrs"].as_array().unwrap().len(), 3);
    assert_eq!(
        (&cdrs[0]["byeType"], &cdrs[0]["cdrs"][1]["cause"]),
        (&json!("3"), &json!("completed"))
    );
}

#[test]
fn a_record_that_a_restart_closes_is_published_with_its_recording_lost() {
    for lost_first in [true, false] {
        let (_, head) = created(json!({"record": 1}));
        let lost = Fact::RecordingFailed {
            recording: 0,
            reason: "restart".into(),
        };
        let system = (Cause::SystemError, By::System);
        let mut facts = vec![
            leg(0, Role::Caller),
            answered(0),
            leg(1, Role::Callee),
            Fact::RecordingStarted { recording: 0 },
            Fact::Ending {
                cause: system.0,
                by: system.1,
            },
            ended(0, system.0, system.1),
            ended(1, system.0, system.1),
        ];
        facts.extend(if lost_first {
            [lost, Fact::Ended]
        } else {
            [Fact::Ended, lost]
        });
        let cdrs = bodies(&log(head, facts), Topic::CallRecord);
        assert_eq!(cdrs.len(), 1);
        assert_eq!(
            (&cdrs[0]["byeType"], &cdrs[0]["endReason"]),
            (&json!("2"), &json!("system"))
        );
        assert_eq!(cdrs[0]["cdrs"][0]["cause"], "completed");
        assert_eq!(cdrs[0]["cdrs"][1]["cause"], "failed");
        assert_eq!(cdrs[0]["cdrs"][0]["stopTime"], "20250615100030");
    }
}

#[test]
fn a_context_without_a_zone_means_the_sources_zone() {
    let (_, mut head) = created(json!({}));
    if let Fact::Created(c) = &mut head[0].fact {
        for s in &mut c.subscriptions {
            s.context.clear();
        }
    }
    let statuses = bodies(&log(head, vec![leg(0, Role::Caller)]), Topic::Status);
    assert_eq!(statuses[0]["timestamp"], "20250615100001");
    assert_eq!(statuses[0]["accountSid"], "");
    assert_eq!(Stamp(0).civil(480).digits14(), "19700101080000");
}
