//! Event encoding: every kind round-trips, and the golden files of each version still decode.
//!
//! To make the golden files of a new version, run this test with `BLESS=1` once, and commit them; those of older
//! versions are never written again.

mod common;

use proptest::prelude::*;
use strowger_core::centre::acd::Left;
use strowger_core::centre::agent::{Engagement, Part, Variant};
use strowger_core::event::{AnsweredBy, DialogRef, OneWay, Outcome, Quality, Routed, Score, Via, VideoQuality};
use strowger_core::route::rules::Looked;
use strowger_core::{
    AgentId, By, CallbackId, Cause, ConversationId, DeviceId, Event, Fact, LegSeq, QueueId, Role, Stamp, TrunkId,
};
use strowger_store::codec;

/// One fact of every kind. The match makes a new kind fail to compile until it is listed.
fn every_kind() -> Vec<Fact> {
    let leg = LegSeq(1);
    let mut facts: Vec<Fact> = common::call(common::TENANT).into_iter().flatten().collect();
    facts.extend([
        Fact::LegAttemptFailed {
            leg,
            via: Via::Device(DeviceId(5)),
            status: 503,
            call_id: String::new(),
        },
        Fact::LegDiverted {
            leg,
            via: Via::Device(DeviceId(5)),
            status: 302,
            to: "sip:13900139000@example.com".into(),
        },
        Fact::LegTransferring {
            leg: LegSeq(2),
            by: leg,
            attended: true,
        },
        Fact::LegTransferred {
            leg: LegSeq(2),
            by: leg,
        },
        Fact::LegTransferFailed {
            leg: LegSeq(2),
            by: leg,
            status: 486,
        },
        Fact::LegReplaced { leg, with: LegSeq(3) },
        Fact::LegUnbridged { leg },
        Fact::LegHeld { leg },
        Fact::LegRetrieved { leg },
        Fact::Digit { leg, digit: '#' },
        Fact::RecordingStarted { recording: 0 },
        Fact::RecordingFinished {
            recording: 0,
            name: "r-1".into(),
            millis: 60_000,
            bytes: 960_044,
            checksum: "ab".repeat(32),
        },
        Fact::RecordingPaused {
            recording: 0,
            masked: true,
        },
        Fact::RecordingResumed { recording: 0 },
        Fact::RecordingFailed {
            recording: 1,
            reason: "disk".into(),
        },
        Fact::LegQuality {
            leg,
            quality: Quality {
                packets_in: 3000,
                packets_out: 2999,
                lost: 1,
                jitter_us: 1200,
                ..Quality::default()
            },
        },
        Fact::LegAnsweredBy {
            leg,
            who: AnsweredBy::Machine,
            confidence: 85,
        },
        Fact::LegOneWay {
            leg,
            cause: OneWay::WrongSource,
        },
        Fact::RecordDue,
        Fact::FlowEntered {
            flow: "main".into(),
            node: "menu".into(),
        },
        Fact::FlowKey {
            key: '1',
            label: "sales".into(),
        },
        Fact::Attached {
            name: "order".into(),
            value: "4711".into(),
        },
        Fact::CalledBack {
            request: CallbackId(7),
            first: Some(ConversationId(5 << 16)),
        },
        Fact::Scored {
            name: "kindness".into(),
            score: 5,
        },
        Fact::Message {
            mailbox: "sales".into(),
            recording: 0,
        },
        Fact::Routed(Box::new(Routed {
            plan: "main".into(),
            rule: Some("night \"late\"".into()),
            to: "voicemail sales".into(),
            asked: Some(false),
            looked: vec![Looked {
                rule: "night \"late\"".into(),
                holds: true,
                why: "calendar \"office\" is closed".into(),
            }],
        })),
        Fact::Disposed {
            agent: Some(AgentId(9)),
            code: "sold".into(),
            note: "calls again on Monday".into(),
        },
        Fact::WrappedUp {
            agent: AgentId(9),
            ms: 15_000,
        },
        Fact::Queued {
            queue: QueueId(7),
            priority: Some(3),
            front: true,
        },
        Fact::Unqueued {
            queue: QueueId(7),
            left: Left::Answered(AgentId(9)),
        },
        Fact::PartBegan {
            part: 0,
            agent: AgentId(9),
            leg,
            kind: Part::Queue,
            queue: Some(QueueId(7)),
        },
        Fact::PartEngaged {
            part: 0,
            engagement: Engagement::Talk(Variant::In),
        },
        Fact::PartEnded {
            part: 0,
            outcome: Outcome::Transferred,
        },
    ]);
    let mut seen = std::collections::BTreeSet::new();
    facts.retain(|f| seen.insert(f.kind()));
    assert_eq!(seen.len(), 42, "a kind has no sample here: {seen:?}");
    facts
}

fn event(fact: Fact) -> Event {
    Event {
        conversation: common::conversation(3),
        seq: 4,
        at: Stamp(1_700_000_003_000),
        fact,
    }
}

#[test]
fn golden_files_decode_and_encode() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/v1");
    for fact in every_kind() {
        let event = event(fact);
        let mut encoded = Vec::new();
        codec::encode(&event, &mut encoded);
        encoded.push(b'\n');
        let file = folder.join(format!("{}.json", event.fact.kind()));
        if std::env::var_os("BLESS").is_some() && codec::VERSION == 1 {
            std::fs::write(&file, &encoded).unwrap();
        }
        let golden = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        assert_eq!(
            codec::decode(event.conversation, golden.trim()).unwrap(),
            event,
            "{}",
            file.display()
        );
        if codec::VERSION == 1 {
            assert_eq!(String::from_utf8(encoded).unwrap(), golden);
        }
    }
}

#[test]
fn what_is_not_an_event_is_refused_without_repeating_it() {
    let id = common::conversation(1);
    for text in [
        "",
        "[]",
        "{}",
        r#"{"v":1,"kind":"leg.ringing","seq":1,"at":1}"#,
        r#"{"v":1,"kind":"leg.ringing","seq":1,"at":1,"leg":"13800138000"}"#,
        r#"{"v":1,"kind":"no.such","seq":1,"at":1}"#,
        r#"{"v":2,"kind":"leg.ringing","seq":1,"at":1,"leg":0}"#,
        r#"{"v":0,"kind":"leg.ringing","seq":1,"at":1,"leg":0}"#,
        r#"{"v":1,"kind":"conversation.ending","seq":1,"at":1,"cause":"x","by":"api"}"#,
        r#"{"v":1,"kind":"conversation.ending","seq":1,"at":1,"cause":"normal","by":"party:0"}"#,
    ] {
        let error = codec::decode(id, text).unwrap_err();
        assert!(!error.to_string().contains("13800138000"), "{error}");
    }
    let newer = codec::decode(id, r#"{"v":2,"kind":"leg.ringing","seq":1,"at":1,"leg":0}"#);
    assert_eq!(newer, Err(codec::DecodeError::Newer(2)));
    let more = r#"{"v":1,"kind":"leg.ringing","seq":1,"at":1,"leg":0,"a_later_member":[1]}"#;
    assert!(
        codec::decode(id, more).is_ok(),
        "members that are added later are left alone"
    );
}

fn any_by() -> impl Strategy<Value = By> {
    let roles = [
        Role::Caller,
        Role::Callee,
        Role::Third,
        Role::Customer,
        Role::Agent,
        Role::Supervisor,
        Role::Platform,
    ];
    prop_oneof![
        (any::<u16>(), proptest::sample::select(roles.to_vec())).prop_map(|(n, r)| By::Party(LegSeq(n), r)),
        proptest::sample::select(vec![By::Supervisor, By::Api, By::Timer, By::Network, By::System]),
    ]
}

fn any_dialog() -> impl Strategy<Value = Box<DialogRef>> {
    (
        ".*",
        ".*",
        proptest::collection::vec(".*", 0..3),
        any::<u32>(),
        any::<bool>(),
    )
        .prop_map(|(call_id, remote_tag, routes, local_cseq, outgoing)| {
            Box::new(DialogRef {
                call_id,
                remote_tag,
                routes,
                local_cseq,
                outgoing,
                ..*common::dialog()
            })
        })
}

fn any_fact() -> impl Strategy<Value = Fact> {
    let leg = any::<u16>().prop_map(LegSeq);
    prop_oneof![
        (leg.clone(), any::<u128>(), any_dialog()).prop_map(|(leg, id, dialog)| Fact::LegAttempt {
            leg,
            via: Via::Trunk(TrunkId(id)),
            dialog
        }),
        (leg.clone(), any::<bool>(), ".*").prop_map(|(leg, platform, call_id)| Fact::LegAttemptFailed {
            leg,
            via: if platform {
                Via::Platform
            } else {
                Via::Device(DeviceId(7))
            },
            status: 486,
            call_id,
        }),
        (leg.clone(), any::<u16>(), ".*").prop_map(|(leg, status, to)| Fact::LegDiverted {
            leg,
            via: Via::Device(DeviceId(1)),
            status,
            to
        }),
        (leg.clone(), leg.clone(), any::<bool>()).prop_map(|(leg, by, attended)| Fact::LegTransferring {
            leg,
            by,
            attended
        }),
        (leg.clone(), leg.clone(), any::<u16>()).prop_map(|(leg, by, status)| Fact::LegTransferFailed {
            leg,
            by,
            status
        }),
        (leg.clone(), leg.clone()).prop_map(|(leg, with)| Fact::LegReplaced { leg, with }),
        (leg.clone(), proptest::option::of(any_dialog())).prop_map(|(leg, dialog)| Fact::LegAnswered { leg, dialog }),
        (
            leg.clone(),
            any::<i64>(),
            proptest::sample::select(Cause::ALL.to_vec()),
            any_by(),
            any::<(u16, u8)>()
        )
            .prop_map(|(leg, at, cause, by, (sip_status, q850))| Fact::LegEnded {
                leg,
                stopped_at: Stamp(at),
                cause,
                by,
                sip_status,
                q850
            }),
        (leg.clone(), any::<char>()).prop_map(|(leg, digit)| Fact::Digit { leg, digit }),
        (any::<u16>(), any::<bool>()).prop_map(|(recording, masked)| Fact::RecordingPaused { recording, masked }),
        any::<u16>().prop_map(|recording| Fact::RecordingResumed { recording }),
        (any::<u16>(), ".*").prop_map(|(recording, reason)| Fact::RecordingFailed { recording, reason }),
        (leg.clone(), 0..AnsweredBy::ALL.len(), any::<u8>()).prop_map(|(leg, i, confidence)| Fact::LegAnsweredBy {
            leg,
            who: AnsweredBy::ALL[i],
            confidence
        }),
        (leg.clone(), 0..OneWay::ALL.len()).prop_map(|(leg, i)| Fact::LegOneWay {
            leg,
            cause: OneWay::ALL[i]
        }),
        (leg, any::<[u64; 3]>(), any::<[u32; 4]>(), any::<[u16; 4]>()).prop_map(|(leg, a, b, c)| Fact::LegQuality {
            leg,
            quality: Quality {
                packets_in: a[0],
                packets_out: a[1],
                lost: a[2],
                lost_out: b[0],
                jitter_us: b[1],
                far_jitter_us: b[2],
                round_trip_us: b[3],
                mos_in: Score {
                    mean: c[0],
                    worst: c[1]
                },
                mos_out: Score {
                    mean: c[2],
                    worst: c[3]
                },
                video: VideoQuality {
                    packets_in: a[1],
                    packets_out: a[0],
                    lost: a[2],
                    asked: b[3],
                    wanted: b[2],
                },
            }
        }),
    ]
}

proptest! {
    #[test]
    fn events_round_trip(fact in any_fact(), id: u128, seq: u32, at: i64) {
        let event = Event { conversation: ConversationId(id), seq, at: Stamp(at), fact };
        let mut out = Vec::new();
        codec::encode(&event, &mut out);
        prop_assert_eq!(codec::decode(event.conversation, std::str::from_utf8(&out).unwrap()).unwrap(), event);
    }

    #[test]
    fn any_text_is_decoded_or_refused(text in ".*") {
        let _ = codec::decode(ConversationId(0), &text);
    }
}
