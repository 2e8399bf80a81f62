//! The machine by itself: defects that were found in it, and every input in every state that it can come to.

mod answered;
mod notice;
mod product;
mod transfer;

use super::*;
use crate::event::{Created, Kind};
use crate::id::{ApplicationId, TenantId};
use crate::number::{CHINA, Number};
use crate::record::RecordingRecord;
use crate::resource::{AnswerRule, OnMachine};

const T0: Stamp = Stamp(1_749_952_800_000);

fn party(text: &str) -> PartyPlan {
    PartyPlan {
        target: Target::Number(Number::parse(text, CHINA).unwrap()),
        text: text.to_owned(),
        cli: None,
    }
}

fn prompt(name: &str) -> Option<Prompt> {
    Some(Prompt {
        name: name.to_owned(),
        millis: 3_000,
    })
}

fn head(kind: Kind, record: RecordMode) -> Created {
    Created {
        tenant: TenantId(1),
        application: ApplicationId(1),
        account: None,
        kind,
        ani: "13800000001".into(),
        dnis: "13900000002".into(),
        user_data: String::new(),
        max_duration: Some(90),
        record,
        subscriptions: vec![],
    }
}

fn click_plan(rich: bool) -> ClickPlan {
    ClickPlan {
        caller: party("13800000001"),
        callee: party("13900000002"),
        greeting: prompt("greet").filter(|_| rich),
        ringback: if rich {
            Ringback::Custom {
                voice: prompt("ring"),
                fail: None,
            }
        } else {
            Ringback::Transparent
        },
        caller_voice: prompt("caller").filter(|_| rich),
        callee_voice: prompt("callee").filter(|_| rich),
        last_minute: None,
        ring_timeout: 120,
        record_wait: 60,
        answer: AnswerRule::default(),
    }
}

fn add_plan(rich: bool) -> AddPlan {
    let click = click_plan(rich);
    AddPlan {
        party: party("13700000003"),
        greeting: click.greeting,
        ringback: click.ringback,
        caller_voice: click.caller_voice,
        callee_voice: click.callee_voice,
        record: rich,
        ring_timeout: 120,
    }
}

fn transfer_plan() -> TransferPlan {
    TransferPlan {
        party: party("13600000004"),
        attended: false,
    }
}

fn replace_plan() -> ReplacePlan {
    ReplacePlan {
        dialog: DialogRef::default(),
        from: "13700000003".into(),
        to: "02161230000".into(),
    }
}

fn click(rich: bool, record: RecordMode) -> (Conversation, Step) {
    let id = ConversationId::mint(1, 1);
    Conversation::click_to_call(id, head(Kind::ClickToCall, record), click_plan(rich), T0)
}

fn forward() -> (Conversation, Step) {
    let plan = ForwardPlan {
        dialog: DialogRef::default(),
        from: "13800000001".into(),
        to: "02161230000".into(),
        party: party("13900000002"),
        ring_timeout: 120,
        record_wait: 60,
        routed: None,
    };
    let id = ConversationId::mint(1, 2);
    Conversation::forward(id, head(Kind::Inbound, RecordMode::FromAnswer), plan, T0)
}

fn item(name: &str) -> Item {
    Item {
        sound: Sound::Prompt(name.to_owned()),
        millis: 1_000,
    }
}

fn notice_plan(rounds: u32, finish: &str, repeat: &str) -> NoticePlan {
    NoticePlan {
        party: party("13900000002"),
        items: vec![item("item"), item("item")],
        rules: Rules {
            rounds,
            finish: KeyRule::parse(finish),
            repeat: KeyRule::parse(repeat),
            ..Rules::default()
        },
        finish_voice: Some(item("bye")),
        ring_timeout: 60,
        max_secs: 600,
        answer: AnswerRule::default(),
    }
}

fn notice(rounds: u32, finish: &str, repeat: &str) -> (Conversation, Step) {
    let id = ConversationId::mint(1, 3);
    let head = head(Kind::Notice, RecordMode::None);
    Conversation::notice(id, head, notice_plan(rounds, finish, repeat), T0)
}

fn leg(n: u16, fact: LegFact) -> Input {
    Input::Leg(LegSeq(n), fact)
}

fn answered() -> LegFact {
    LegFact::Answered { dialog: None }
}

/// Feeds inputs a second apart and gives the last step.
fn feed(c: &mut Conversation, inputs: impl IntoIterator<Item = Input>) -> Step {
    let mut last = Step::default();
    for input in inputs {
        let now = c.record.last_at.plus_secs(1);
        last = c.handle(input, now);
    }
    last
}

/// A conversation in which two parties talk.
fn talk(record: RecordMode) -> Conversation {
    let (mut c, _) = click(false, record);
    feed(
        &mut c,
        [leg(0, answered()), leg(1, LegFact::Ringing), leg(1, answered())],
    );
    assert!(matches!(c.phase, Phase::Talking(_)));
    c
}

fn kinds(step: &Step) -> Vec<&'static str> {
    step.events.iter().map(|e| e.fact.kind()).collect()
}

// accept: domain-model I30
#[test]
fn a_clock_that_runs_backwards_does_not_move_the_stamps() {
    let mut c = talk(RecordMode::None);
    let before = c.record.last_at;
    let step = c.handle(leg(0, LegFact::HungUp { q850: 16 }), Stamp(before.0 - 3_600_000));
    for e in &step.events {
        assert!(e.at >= before);
        if let Fact::LegEnded { stopped_at, .. } = e.fact {
            assert!(stopped_at >= before);
        }
    }
    c.handle(leg(1, LegFact::Released), Stamp(0));
    assert!(c.has_ended());
    for l in &c.record.legs {
        assert!(l.start <= l.answer.unwrap() && l.answer <= l.bridge && l.bridge <= l.stop);
    }
}

#[test]
fn a_hold_before_the_bridge_holds_from_the_bridge_on() {
    let (mut c, _) = click(false, RecordMode::None);
    feed(
        &mut c,
        [
            leg(0, answered()),
            leg(0, LegFact::Held),
            leg(0, LegFact::Retrieved),
            leg(0, LegFact::Held),
        ],
    );
    let step = feed(&mut c, [leg(1, answered())]);
    assert_eq!(kinds(&step), ["leg.answered", "leg.bridged", "leg.held", "leg.bridged"]);
    assert_eq!(c.leg_state(LegSeq(0)), Some(LegState::Held));
}

#[test]
fn an_add_that_only_greets_can_be_given_up_by_its_promised_number() {
    let mut c = talk(RecordMode::None);
    let step = feed(&mut c, [Input::Command(Command::Add(Box::new(add_plan(true))))]);
    assert_eq!(step.reply, Some(Ok(Accepted { leg: Some(LegSeq(2)) })));
    let cancel = |leg| Input::Command(Command::Cancel { leg: Some(LegSeq(leg)) });
    assert_eq!(feed(&mut c, [cancel(3)]).reply, Some(Err(Refusal::NoSuchLeg)));
    assert_eq!(feed(&mut c, [cancel(2)]).reply, Some(Ok(Accepted { leg: None })));
    // The greeting's time-out does not dial the party after all.
    let at = c.record.last_at.plus_secs(20);
    let step = c.handle(Input::Tick, at);
    assert!(step.effects.iter().all(|e| !matches!(e, Effect::Dial { .. })));
    assert_eq!(feed(&mut c, [cancel(2)]).reply, Some(Err(Refusal::NoSuchLeg)));
}

#[test]
fn a_recorder_that_never_reports_is_given_up() {
    let mut c = talk(RecordMode::FromAnswer);
    feed(
        &mut c,
        [leg(0, LegFact::HungUp { q850: 16 }), leg(1, LegFact::Released)],
    );
    assert!(c.has_ended() && !c.is_over());
    let mut seen = vec![];
    while let Some((at, why)) = c.next_deadline() {
        let step = c.handle(Input::Tick, at);
        seen.push((why, kinds(&step)));
    }
    assert_eq!(
        seen,
        [
            (Deadline::Record, vec!["record.due"]),
            (Deadline::RecordingLost, vec!["recording.failed"]),
        ]
    );
    assert!(c.is_over());
    // A file that comes even later changes nothing.
    let file = Ok(RecordingFile {
        name: "x".into(),
        millis: 1,
        bytes: 1,
        checksum: String::new(),
    });
    let step = feed(
        &mut c,
        [Input::RecordingDone {
            recording: 0,
            result: file,
        }],
    );
    assert!(step.events.is_empty());
    assert_eq!(c.record.recordings, [RecordingRecord::Failed]);
}

#[test]
fn a_recording_is_paused_masked_ended_and_begun_again() {
    let mut c = talk(RecordMode::FromAnswer);
    let mut ask = |command, kinds_wanted: &[&str]| {
        let step = feed(&mut c, [Input::Command(Command::Recording(command))]);
        assert_eq!(step.reply, Some(Ok(Accepted { leg: None })), "{command:?}");
        assert_eq!(kinds(&step), kinds_wanted, "{command:?}");
        c.shown.record.clone()
    };
    let pause_of = |r: &Option<Recorder>| r.as_ref().and_then(|r| r.pause);
    let shown = ask(RecordingCommand::Pause(RecordingPause::Mask), &["recording.paused"]);
    assert_eq!(pause_of(&shown), Some(RecordingPause::Mask));
    // Two clients may ask for the same.
    ask(RecordingCommand::Pause(RecordingPause::Mask), &[]);
    let shown = ask(
        RecordingCommand::Pause(RecordingPause::Cut),
        &["recording.resumed", "recording.paused"],
    );
    assert_eq!(pause_of(&shown), Some(RecordingPause::Cut));
    let shown = ask(RecordingCommand::Resume, &["recording.resumed"]);
    assert_eq!((pause_of(&shown), shown.unwrap().recording), (None, 0));
    ask(RecordingCommand::Resume, &[]);
    ask(RecordingCommand::Pause(RecordingPause::Mask), &["recording.paused"]);
    assert_eq!(ask(RecordingCommand::Stop, &[]), None);
    let shown = ask(RecordingCommand::Start, &["recording.started"]);
    let second = shown.unwrap();
    assert_eq!((second.recording, second.pause), (1, None), "a new file, not paused");
    ask(RecordingCommand::Start, &[]);
    let spans: Vec<_> = c.record.pauses.iter().map(|p| (p.masked, p.until.is_some())).collect();
    assert_eq!(spans, [(true, true), (false, true), (true, false)]);
}

#[test]
fn a_recording_command_needs_a_recording_and_a_talk() {
    let refused = |c: &mut Conversation, command| feed(c, [Input::Command(Command::Recording(command))]).reply;
    let mut c = talk(RecordMode::None);
    for command in [
        RecordingCommand::Stop,
        RecordingCommand::Resume,
        RecordingCommand::Pause(RecordingPause::Cut),
    ] {
        assert_eq!(refused(&mut c, command), Some(Err(Refusal::NoRecording)), "{command:?}");
    }
    let (mut calling, _) = forward();
    assert_eq!(
        refused(&mut calling, RecordingCommand::Start),
        Some(Err(Refusal::State))
    );
    feed(&mut c, [Input::SystemEnd]);
    assert_eq!(refused(&mut c, RecordingCommand::Start), Some(Err(Refusal::Ended)));
}

#[test]
fn an_incoming_leg_is_alerted_and_answered_by_us_alone() {
    let (mut c, _) = forward();
    let step = feed(
        &mut c,
        [
            leg(0, answered()),
            leg(0, LegFact::Ringing),
            leg(0, LegFact::EarlyMedia),
        ],
    );
    assert!(step.events.is_empty() && step.effects.is_empty());
    let step = feed(&mut c, [leg(1, LegFact::Ringing)]);
    assert_eq!(kinds(&step), ["leg.ringing", "leg.ringing"]);
    assert!(step.effects.contains(&Effect::Alert {
        leg: LegSeq(0),
        early_media: false
    }));
    let step = feed(&mut c, [leg(1, answered())]);
    let answers = kinds(&step).iter().filter(|k| **k == "leg.answered").count();
    assert_eq!(answers, 2);
    assert!(step.wait && step.effects.contains(&Effect::Answer { leg: LegSeq(0) }));
}

#[test]
fn a_caller_that_gives_up_cancels_the_target_and_one_that_fails_is_refused_with_its_cause() {
    let (mut c, _) = forward();
    let step = feed(&mut c, [leg(1, LegFact::Ringing), leg(0, LegFact::Cancelled)]);
    assert!(step.effects.contains(&Effect::Cancel {
        leg: LegSeq(1),
        cause: Cause::Cancelled
    }));
    let (mut c, _) = forward();
    let busy = LegFact::Failed(Failure::Status { status: 486, q850: 17 });
    let step = feed(&mut c, [leg(1, busy)]);
    assert!(step.effects.contains(&Effect::Refuse {
        leg: LegSeq(0),
        cause: Cause::Busy
    }));
    assert!(c.is_over());
}

#[test]
fn what_need_not_wait_for_its_commit_does_not() {
    let (mut c, first) = click(false, RecordMode::None);
    assert!(first.wait, "the first INVITE waits");
    assert!(!feed(&mut c, [leg(0, LegFact::Ringing)]).wait);
    assert!(feed(&mut c, [leg(0, answered())]).wait, "the second INVITE waits");
    feed(&mut c, [leg(1, answered())]);
    assert!(!feed(&mut c, [leg(0, LegFact::Digit('1'))]).wait);
    let refused = feed(&mut c, [Input::Command(Command::Cancel { leg: Some(LegSeq(7)) })]);
    assert_eq!(refused.reply, Some(Err(Refusal::NoSuchLeg)));
    assert!(refused.events.is_empty(), "a refused command changes nothing");
}
