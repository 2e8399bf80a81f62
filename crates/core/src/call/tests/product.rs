//! Every state that the machine can come to, with every input in it.
//!
//! The walk is breadth-first over states that differ in anything but identities and stamps. After each input the log
//! must fold to the machine's record, the layout must keep private sounds private, and from there on the conversation
//! must not wait for ever, and must end once when the platform ends it.

use super::*;
use crate::call::party::Stage;
use std::collections::{HashSet, VecDeque};

/// What tells two states apart.
fn signature(c: &Conversation) -> String {
    let stage = |s: &Stage| match s {
        Stage::Greeting { .. } => "greeting".to_owned(),
        Stage::Calling { leg, .. } => format!("calling {leg}"),
        Stage::Private { leg, host, party } => format!("private {leg} {} {}", host.is_some(), party.is_some()),
        Stage::Failed { .. } => "failed".to_owned(),
    };
    let phase = match &c.phase {
        Phase::CallingFirst => "first".to_owned(),
        Phase::Greeting { .. } => "greeting".to_owned(),
        Phase::CallingSecond { .. } => "second".to_owned(),
        Phase::FailNotice { .. } => "notice".to_owned(),
        Phase::Private { caller, callee, .. } => format!("private {} {}", caller.is_some(), callee.is_some()),
        Phase::Talking(t) => {
            format!("talk {:?} {:?}", t.members, t.add.as_ref().map(|a| stage(&a.stage)))
                + &format!("{:?} {:?}", t.anchor, t.transfer.map(|t| (t.by, t.leg, t.called)))
        }
        Phase::Program(p) => format!("program {:?} {}", p.program, p.play.is_some()),
        // These have their own product, in the tests of the whole office.
        Phase::Centre(_) => "centre".to_owned(),
        Phase::Ending => "ending".to_owned(),
        Phase::Ended => "ended".to_owned(),
    };
    let legs: Vec<_> = c.legs.iter().map(|l| (l.state, l.rang, l.early, l.answered)).collect();
    let recordings: Vec<_> = c.record.recordings.iter().map(std::mem::discriminant).collect();
    let mut due: Vec<_> = c
        .deadlines
        .iter()
        .map(|(_, d)| match d {
            Deadline::Sound(_) => "sound".to_owned(),
            other => format!("{other:?}"),
        })
        .collect();
    due.sort();
    due.dedup();
    format!(
        "{phase} {} {} {legs:?} {recordings:?} {due:?} {} {} {}",
        c.caller,
        c.callee,
        c.recording,
        c.last_minute.is_some(),
        c.record.record_due
    )
}

/// Every kind of input, for every leg that is or could be, and for every sound that is on.
fn inputs(c: &Conversation, most_legs: usize) -> Vec<(Input, Stamp)> {
    let now = c.record.last_at.plus_ms(10);
    let mut all = vec![];
    for n in 0..=c.legs.len().min(most_legs) as u16 {
        for fact in facts() {
            all.push(leg(n, fact));
        }
    }
    // Moves multiply the states; with two adds beside them there are too many to walk.
    if c.legs.len() < most_legs && most_legs < 4 {
        for n in 0..=c.legs.len() as u16 {
            let (by, plan) = (LegSeq(n), Box::new(transfer_plan()));
            all.push(Input::Transfer { by, plan });
            let (leg, plan) = (LegSeq(n), Box::new(replace_plan()));
            all.push(Input::Replace { leg, plan });
        }
    }
    let mut plays: Vec<PlayId> = c
        .shown
        .legs
        .iter()
        .filter_map(|l| l.play.as_ref())
        .map(|p| p.id)
        .collect();
    plays.extend(c.shown.announce.as_ref().map(|p| p.id));
    // A sound that is not on, such as one whose end was reported late.
    plays.push(PlayId(0));
    all.extend(plays.iter().map(|p| Input::Unplayed(*p)));
    all.extend(plays.into_iter().map(Input::Played));
    for result in [
        Ok(RecordingFile {
            name: "f".into(),
            millis: 1,
            bytes: 1,
            checksum: String::new(),
        }),
        Err("lost".to_owned()),
    ] {
        all.push(Input::RecordingDone { recording: 0, result });
    }
    all.push(Input::SystemEnd);
    for cancelled in [None, Some(0), Some(2), Some(3), Some(99)] {
        let leg = cancelled.map(LegSeq);
        all.push(Input::Command(Command::Cancel { leg }));
    }
    for rich in [false, true] {
        if c.legs.len() < most_legs {
            all.push(Input::Command(Command::Add(Box::new(add_plan(rich)))));
        }
    }
    let mut all: Vec<_> = all.into_iter().map(|i| (i, now)).collect();
    all.push((Input::Tick, now));
    all.extend(c.next_deadline().map(|(at, _)| (Input::Tick, at)));
    all
}

fn facts() -> Vec<LegFact> {
    let status = |status| LegFact::Failed(Failure::Status { status, q850: 0 });
    let via = crate::event::Via::Trunk(crate::id::TrunkId(1));
    vec![
        LegFact::Attempt {
            via,
            dialog: Box::default(),
        },
        LegFact::AttemptFailed {
            via,
            status: 503,
            call_id: String::new(),
        },
        LegFact::Diverted {
            via,
            status: 302,
            to: String::new(),
        },
        LegFact::Ringing,
        LegFact::EarlyMedia,
        answered(),
        status(486),
        status(487),
        LegFact::Failed(Failure::NoResponse),
        LegFact::Failed(Failure::NoRoute),
        LegFact::Failed(Failure::Media),
        LegFact::Cancelled,
        LegFact::HungUp { q850: 16 },
        LegFact::Lost,
        LegFact::Released,
        LegFact::Held,
        LegFact::Retrieved,
        LegFact::Silent,
        LegFact::Digit('5'),
        LegFact::Digit('1'),
        LegFact::Digit('2'),
        LegFact::OneWay(crate::event::OneWay::Muted),
        LegFact::Quality(crate::event::Quality::default()),
    ]
}

/// A sound keeps its identity while it goes on, and never changes under it.
fn identities_are_kept(before: &Conversation, after: &Conversation) {
    let plays = |c: &Conversation| -> Vec<Play> {
        let of_legs = c.shown.legs.iter().filter_map(|l| l.play.clone());
        of_legs.chain(c.shown.announce.clone()).collect()
    };
    for new in plays(after) {
        if let Some(old) = plays(before).iter().find(|p| p.id == new.id) {
            assert_eq!((&old.sound, old.repeat), (&new.sound, new.repeat));
        }
    }
}

/// Sounds for one party reach that party alone, and people hear each other from their bridge on.
fn private_sounds_are_private(c: &Conversation) {
    for l in &c.shown.legs {
        let live = c.leg(l.leg).expect("a leg that hears exists");
        assert!(live.is_live(), "leg {} is over and still hears", l.leg);
        assert!(!l.hears.contains(&l.leg), "nobody hears himself");
        for heard in &l.hears {
            let far = c.leg(*heard).expect("a leg that is heard exists");
            // What a party says is heard from the bridge on; before it answers, its network may speak.
            let early = far.early && !far.answered;
            assert!(early || matches!(far.state, LegState::Bridged), "leg {heard} is heard");
        }
        let Some(Play {
            sound: Sound::Prompt(name),
            recorded,
            ..
        }) = &l.play
        else {
            continue;
        };
        assert!(!recorded || name == "ring", "{name} is private");
        match name.as_str() {
            "greet" | "caller" | "ring" => {
                let host = match &c.phase {
                    Phase::Talking(t) => t.host(),
                    _ => Some(c.caller),
                };
                assert_eq!(Some(l.leg), host, "{name} is the caller's");
            }
            "callee" => assert_ne!(l.leg, LegSeq(0), "{name} is the called party's"),
            "item" | "bye" => assert_eq!(l.leg, LegSeq(0), "{name} is the callee's"),
            other => panic!("{other} is played"),
        }
    }
}

/// With nothing from outside at all, a conversation ends by its own deadlines, or parties talk on: those have their
/// signalling and media watched.
fn does_not_wait_for_ever(mut c: Conversation) {
    let mut ticks = 0;
    while let Some((at, why)) = c.next_deadline() {
        c.handle(Input::Tick, at);
        ticks += 1;
        assert!(
            ticks < 100 && c.next_deadline() != Some((at, why)),
            "{why:?} has no end"
        );
    }
    let talks = matches!(&c.phase, Phase::Talking(t) if t.members.iter().all(|m| c.leg(*m).is_some_and(Leg::is_live)));
    assert!(c.is_over() || talks, "it waits in {}", signature(&c));
}

/// Without help from outside but the platform's end, the conversation ends once, in bounded time.
fn comes_to_an_end(mut c: Conversation, mut log: Vec<Event>) {
    let now = c.record.last_at.plus_ms(1);
    log.extend(c.handle(Input::SystemEnd, now).events);
    let mut ticks = 0;
    while let Some((at, _)) = c.next_deadline() {
        log.extend(c.handle(Input::Tick, at).events);
        ticks += 1;
        assert!(ticks < 100, "deadlines without an end");
    }
    assert!(c.is_over(), "it does not end");
    assert_eq!(c.shown, Layout::default());
    let ends = log.iter().filter(|e| matches!(e.fact, Fact::Ended)).count();
    assert_eq!(ends, 1);
    for l in &c.record.legs {
        let of_leg = |e: &&Event| matches!(e.fact, Fact::LegEnded { leg, .. } if leg == l.seq);
        assert_eq!(log.iter().filter(of_leg).count(), 1);
    }
    assert_eq!(ConversationRecord::fold(&log).unwrap().as_ref(), Some(&c.record));
}

/// Walks from a start; gives the number of states and of pairs.
fn walk(start: (Conversation, Step), most_legs: usize, most_states: usize) -> (usize, usize) {
    let mut seen = HashSet::from([signature(&start.0)]);
    let mut open = VecDeque::from([(start.0, start.1.events)]);
    let mut pairs = 0;
    while let Some((state, log)) = open.pop_front() {
        for (input, now) in inputs(&state, most_legs) {
            pairs += 1;
            let mut c = state.clone();
            let was_over = c.has_ended();
            let step = c.handle(input.clone(), now);
            let is_command = matches!(input, Input::Command(_));
            assert_eq!(
                step.reply.is_some(),
                is_command,
                "a command, and nothing else, has a reply"
            );
            if let Some(Err(_)) = step.reply {
                assert!(
                    step.events.is_empty() && step.effects.is_empty(),
                    "a refusal changes nothing"
                );
            }
            if was_over {
                let late = |e: &Event| {
                    matches!(
                        e.fact,
                        Fact::LegQuality { .. }
                            | Fact::RecordingFinished { .. }
                            | Fact::RecordingFailed { .. }
                            | Fact::RecordDue
                    )
                };
                assert!(step.events.iter().all(late), "{:?} after the end", step.events);
                assert!(step.effects.is_empty());
            }
            private_sounds_are_private(&c);
            identities_are_kept(&state, &c);
            if seen.insert(signature(&c)) {
                let mut log = log.clone();
                log.extend(step.events);
                let folded = ConversationRecord::fold(&log).unwrap();
                assert_eq!(folded.as_ref(), Some(&c.record));
                does_not_wait_for_ever(c.clone());
                comes_to_an_end(c.clone(), log.clone());
                open.push_back((c, log));
            }
        }
        assert!(
            seen.len() <= most_states,
            "more states than there should be: {}",
            seen.len()
        );
    }
    (seen.len(), pairs)
}

// accept: domain-model I18
#[test]
fn every_input_in_every_state_of_a_forwarded_call() {
    let (states, _) = walk(forward(), 2, 5_000);
    assert!(states > 30, "{states}");
}

// accept: domain-model I18
#[test]
fn every_input_in_every_state_of_a_notice() {
    let (states, _) = walk(notice(2, "1", "2"), 1, 5_000);
    assert!(states > 50, "{states}");
}

// accept: domain-model I18
#[test]
fn every_input_in_every_state_of_a_plain_click_to_call() {
    let (states, _) = walk(click(false, RecordMode::FromRinging), 2, 5_000);
    assert!(states > 50, "{states}");
}

// accept: domain-model I18
#[test]
fn every_input_in_every_state_of_a_click_to_call_with_every_sound() {
    let (states, _) = walk(click(true, RecordMode::FromRinging), 2, 5_000);
    assert!(states > 100, "{states}");
}

// accept: domain-model I18
#[test]
fn every_input_in_every_state_with_an_added_party() {
    let (states, pairs) = walk(talk_with_log(), 3, 20_000);
    assert!(states > 1_000 && pairs > 50_000, "{states} states, {pairs} pairs");
}

#[test]
#[ignore = "86,484 states and nine million pairs: minutes in a debug build"]
fn every_input_in_every_state_with_two_added_parties() {
    walk(talk_with_log(), 4, 200_000);
}

/// A talk of two, with the log that led to it.
fn talk_with_log() -> (Conversation, Step) {
    let (mut c, mut first) = click(false, RecordMode::None);
    for input in [leg(0, answered()), leg(1, answered())] {
        let now = c.record.last_at.plus_secs(1);
        first.events.extend(c.handle(input, now).events);
    }
    (c, first)
}
