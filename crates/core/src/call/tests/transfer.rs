//! Transfers and replaced legs: who talks, who is told what, and what the record says.

use super::*;
use crate::record::TransferRecord;

fn refer(by: u16) -> Input {
    Input::Transfer {
        by: LegSeq(by),
        plan: Box::new(transfer_plan()),
    }
}

fn replace(leg: u16) -> Input {
    Input::Replace {
        leg: LegSeq(leg),
        plan: Box::new(replace_plan()),
    }
}

fn busy() -> LegFact {
    LegFact::Failed(Failure::Status { status: 486, q850: 17 })
}

fn notified(step: &Step) -> Vec<(u16, u16, bool)> {
    let all = step.effects.iter().filter_map(|e| match e {
        Effect::NotifyRefer { leg, status, finished } => Some((leg.0, *status, *finished)),
        _ => None,
    });
    all.collect()
}

fn answer_of(step: &Step) -> Option<(u16, u16)> {
    step.effects.iter().find_map(|e| match e {
        Effect::AnswerRefer { leg, status } => Some((leg.0, *status)),
        _ => None,
    })
}

fn hears(c: &Conversation, leg: u16) -> Vec<u16> {
    let found = c.shown.legs.iter().find(|l| l.leg.0 == leg);
    found.map(|l| l.hears.iter().map(|h| h.0).collect()).unwrap_or_default()
}

fn cause_of(c: &Conversation, leg: u16) -> Cause {
    c.record.leg(LegSeq(leg)).and_then(|l| l.end).expect("it has ended").0
}

fn transfer_of(c: &Conversation, leg: u16) -> TransferRecord {
    c.record
        .leg(LegSeq(leg))
        .and_then(|l| l.transfer)
        .expect("a transferred leg")
}

#[test]
fn each_party_can_hand_its_talk_over_and_the_two_that_are_left_talk() {
    for by in [0, 1] {
        let peer = 1 - by;
        let mut c = talk(RecordMode::None);
        let step = feed(&mut c, [refer(by)]);
        assert!(step.wait, "the acceptance waits for the commit, as the new INVITE does");
        assert_eq!(answer_of(&step), Some((by, 202)));
        assert_eq!(kinds(&step), ["leg.created", "leg.transferring"]);
        assert!(hears(&c, 0).is_empty() && hears(&c, 1).is_empty());
        let step = feed(&mut c, [leg(2, LegFact::Ringing)]);
        assert_eq!(notified(&step), [(by, 180, false)]);
        let step = feed(&mut c, [leg(2, answered())]);
        assert_eq!(notified(&step), [(by, 200, true)]);
        let of_hangup =
            |e: &Effect| matches!(e, Effect::Hangup { leg: LegSeq(n), cause: Cause::Transferred } if *n == by);
        let of_notify = |e: &Effect| matches!(e, Effect::NotifyRefer { .. });
        let at = |f: &dyn Fn(&Effect) -> bool| step.effects.iter().position(f).expect("it is there");
        assert!(
            at(&of_notify) < at(&of_hangup),
            "it learns of the success before its BYE"
        );
        feed(&mut c, [leg(by, LegFact::Released)]);
        assert_eq!((hears(&c, peer), hears(&c, 2)), (vec![2], vec![peer]));
        assert_eq!(cause_of(&c, by), Cause::Transferred);
        let expected = TransferRecord {
            by: LegSeq(by),
            attended: false,
            result: Some(Ok(())),
        };
        assert_eq!(transfer_of(&c, 2), expected);
        // The new leg has the old one's place: whoever hangs up ends the conversation.
        feed(
            &mut c,
            [leg(2, LegFact::HungUp { q850: 16 }), leg(peer, LegFact::Released)],
        );
        assert!(c.is_over());
        assert_eq!(c.record.end, Some((Cause::Normal, By::Party(LegSeq(2), Role::Third))));
    }
}

#[test]
fn a_transfer_that_fails_leaves_the_talk_as_it_was() {
    let mut c = talk(RecordMode::None);
    let step = feed(&mut c, [refer(1), leg(2, LegFact::Ringing), leg(2, busy())]);
    assert_eq!(notified(&step), [(1, 486, true)]);
    assert_eq!((hears(&c, 0), hears(&c, 1)), (vec![1], vec![0]));
    assert_eq!(transfer_of(&c, 2).result, Some(Err(486)));
    // The next try is a new one, and a time-out is told too.
    feed(&mut c, [refer(1), leg(3, LegFact::Ringing)]);
    c.record.head.max_duration = None;
    c.clear_deadline(Deadline::LastMinute);
    c.clear_deadline(Deadline::MaxDuration);
    let (at, why) = c.next_deadline().expect("it rings only so long");
    assert_eq!(why, Deadline::Ring(LegSeq(3)));
    assert_eq!(notified(&c.handle(Input::Tick, at)), [(1, 480, true)]);
    assert_eq!((hears(&c, 0), hears(&c, 1)), (vec![1], vec![0]));
}

#[test]
fn a_party_may_leave_as_soon_as_its_transfer_is_accepted() {
    let mut c = talk(RecordMode::None);
    let step = feed(&mut c, [refer(1), leg(1, LegFact::HungUp { q850: 16 })]);
    assert!(notified(&step).is_empty() && !c.is_ending());
    let step = feed(&mut c, [leg(2, answered())]);
    assert!(notified(&step).is_empty(), "nobody is there to be told");
    assert_eq!((hears(&c, 0), hears(&c, 2)), (vec![2], vec![0]));

    let mut c = talk(RecordMode::None);
    feed(&mut c, [refer(1), leg(1, LegFact::HungUp { q850: 16 }), leg(2, busy())]);
    assert_eq!(
        c.record.end.map(|e| e.0),
        Some(Cause::Busy),
        "nobody is left to talk to"
    );
}

#[test]
fn a_party_that_leaves_while_it_is_handed_over_ends_everything() {
    let mut c = talk(RecordMode::None);
    let step = feed(&mut c, [refer(1), leg(0, LegFact::HungUp { q850: 16 })]);
    assert_eq!(notified(&step), [(1, 487, true)]);
    assert!(step.effects.contains(&Effect::Cancel {
        leg: LegSeq(2),
        cause: Cause::Cancelled
    }));
    feed(&mut c, [leg(1, LegFact::Released), leg(2, LegFact::Released)]);
    assert!(c.is_over());
    assert_eq!(transfer_of(&c, 2).result, Some(Err(487)));
}

#[test]
fn a_transfer_is_refused_cleanly_where_there_is_no_talk_of_two() {
    let (mut c, _) = click(false, RecordMode::None);
    assert_eq!(answer_of(&feed(&mut c, [leg(0, answered()), refer(0)])), Some((0, 603)));
    let mut c = talk(RecordMode::None);
    assert_eq!(
        answer_of(&feed(&mut c, [refer(0), refer(0)])),
        Some((0, 491)),
        "one at a time"
    );
    assert_eq!(
        answer_of(&feed(&mut c, [refer(2)])),
        Some((2, 603)),
        "the new leg is no member"
    );
    let add = Input::Command(Command::Add(Box::new(add_plan(false))));
    assert_eq!(feed(&mut c, [add.clone()]).reply, Some(Err(Refusal::PartyLimit)));
    let mut c = talk(RecordMode::None);
    assert_eq!(answer_of(&feed(&mut c, [add, refer(0)])), Some((0, 491)));
    assert_eq!(
        answer_of(&feed(&mut c, [leg(2, answered()), refer(0)])),
        Some((0, 603)),
        "three talk"
    );
}

#[test]
fn a_call_takes_the_place_of_a_leg_that_talks() {
    for old in [0, 1] {
        let mut c = talk(RecordMode::None);
        assert_eq!(c.may_replace(LegSeq(old)), Ok(LegSeq(2)));
        let step = feed(&mut c, [replace(old)]);
        assert!(step.wait && step.effects.contains(&Effect::Answer { leg: LegSeq(2) }));
        assert_eq!((hears(&c, 1 - old), hears(&c, 2)), (vec![2], vec![1 - old]));
        feed(&mut c, [leg(old, LegFact::Released)]);
        assert_eq!(cause_of(&c, old), Cause::Transferred);
        let new = c.record.leg(LegSeq(2)).expect("it is there");
        assert_eq!((new.replaces, new.direction), (Some(LegSeq(old)), Direction::Incoming));
        assert_eq!(new.role, c.role(LegSeq(old)), "the role is kept");
        assert!(!c.is_ending());
        feed(&mut c, [leg(2, LegFact::HungUp { q850: 16 })]);
        assert!(c.is_ending());
        assert_eq!(c.may_replace(LegSeq(old)), Err(603));
    }
}

#[test]
fn a_call_picks_up_a_leg_that_rings() {
    let (mut c, _) = forward();
    feed(&mut c, [leg(1, LegFact::Ringing)]);
    let step = feed(&mut c, [replace(1)]);
    assert!(step.effects.contains(&Effect::Cancel {
        leg: LegSeq(1),
        cause: Cause::AnsweredElsewhere
    }));
    assert!(step.effects.contains(&Effect::Answer { leg: LegSeq(0) }));
    feed(&mut c, [leg(1, LegFact::Released)]);
    assert_eq!((hears(&c, 0), hears(&c, 2)), (vec![2], vec![0]));
    assert_eq!(cause_of(&c, 1), Cause::AnsweredElsewhere);
    feed(
        &mut c,
        [leg(2, LegFact::HungUp { q850: 16 }), leg(0, LegFact::Released)],
    );
    assert_eq!(c.record.end, Some((Cause::Normal, By::Party(LegSeq(2), Role::Callee))));
}

#[test]
fn a_transfer_target_that_rings_can_be_picked_up() {
    let mut c = talk(RecordMode::None);
    feed(&mut c, [refer(1), leg(2, LegFact::Ringing)]);
    let step = feed(&mut c, [replace(2)]);
    assert_eq!(notified(&step), [(1, 200, true)]);
    feed(&mut c, [leg(2, LegFact::Released), leg(1, LegFact::Released)]);
    assert_eq!((hears(&c, 0), hears(&c, 3)), (vec![3], vec![0]));
    assert_eq!(transfer_of(&c, 2).result, Some(Ok(())));
}

#[test]
fn a_hold_under_a_session_timer_is_not_bounded() {
    let mut c = talk(RecordMode::None);
    feed(&mut c, [leg(1, LegFact::Watched(true)), leg(1, LegFact::Held)]);
    assert!(c.deadlines.iter().all(|d| d.1 != Deadline::Hold(LegSeq(1))));
    feed(&mut c, [leg(1, LegFact::Watched(false))]);
    assert!(c.deadlines.iter().any(|d| d.1 == Deadline::Hold(LegSeq(1))));
}

#[test]
fn a_talk_is_not_moved_without_end() {
    let mut c = talk(RecordMode::None);
    let mut moves = 0u16;
    while answer_of(&feed(&mut c, [refer(1)])) == Some((1, 202)) {
        feed(&mut c, [leg(2 + moves, busy())]);
        moves += 1;
        assert!(moves < 100);
    }
    assert_eq!(usize::from(moves) + 2, crate::call::transfer::MAX_MOVED_LEGS);
    assert_eq!((hears(&c, 0), c.may_replace(LegSeq(1))), (vec![1], Err(486)));
}
