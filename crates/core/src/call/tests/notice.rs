//! Voice notices: one party and a program.

use super::*;

fn play(c: &Conversation) -> Option<PlayId> {
    c.shown.legs.first()?.play.as_ref().map(|p| p.id)
}

fn heard(c: &Conversation) -> Option<&str> {
    match &c.shown.legs.first()?.play.as_ref()?.sound {
        Sound::Prompt(name) => Some(name),
        _ => None,
    }
}

/// A notice that was answered three seconds after it began.
fn answered_notice(rounds: u32, finish: &str, repeat: &str) -> Conversation {
    let (mut c, _) = notice(rounds, finish, repeat);
    feed(&mut c, [leg(0, LegFact::Ringing), leg(0, LegFact::EarlyMedia)]);
    assert_eq!(c.shown, Layout::default(), "nothing is played before the answer");
    feed(&mut c, [leg(0, answered())]);
    c
}

/// Lets the silence run out.
fn wait(c: &mut Conversation) -> Step {
    let due = c.deadlines.iter().find(|(_, why)| *why == Deadline::Program);
    let (at, _) = *due.expect("a silence");
    c.handle(Input::Tick, at)
}

/// Plays the present sound to its end.
fn hear(c: &mut Conversation) -> Step {
    let play = play(c).expect("a sound");
    feed(c, [Input::Played(play)])
}

// accept: voice-paas 36, 38
#[test]
fn the_program_begins_after_the_answer_and_ends_with_our_hang_up() {
    let mut c = answered_notice(1, "", "");
    assert_eq!(heard(&c), None, "lead-in");
    wait(&mut c);
    assert_eq!(heard(&c), Some("item"));
    hear(&mut c);
    wait(&mut c);
    let last = hear(&mut c);
    let hangup = Effect::Hangup {
        leg: LegSeq(0),
        cause: Cause::Normal,
    };
    assert!(last.effects.contains(&hangup));
    feed(&mut c, [leg(0, LegFact::Released)]);
    assert!(c.is_over());
    assert_eq!(c.record.end, Some((Cause::Normal, By::System)));
}

// accept: voice-paas 40
#[test]
fn the_finish_key_stops_the_item_and_is_kept() {
    let mut c = answered_notice(2, "1", "2");
    wait(&mut c);
    hear(&mut c);
    wait(&mut c);
    let wrong = feed(&mut c, [leg(0, LegFact::Digit('5'))]);
    assert!(
        wrong.events.is_empty(),
        "a key that nobody asked for is not even counted"
    );
    let step = feed(&mut c, [leg(0, LegFact::Digit('1'))]);
    assert_eq!(kinds(&step), ["media.digit"]);
    assert_eq!(heard(&c), Some("bye"));
    assert_eq!(c.record.legs[0].key, Some('1'));
    let last = hear(&mut c);
    assert!(matches!(last.effects.first(), Some(Effect::Hangup { .. })));
}

#[test]
fn repeat_keys_are_not_kept() {
    let mut c = answered_notice(1, "", "any");
    wait(&mut c);
    hear(&mut c);
    wait(&mut c);
    let step = feed(&mut c, [leg(0, LegFact::Digit('9'))]);
    assert!(step.events.is_empty());
    assert_eq!(c.record.legs[0].key, None);
    wait(&mut c);
    assert_eq!(heard(&c), Some("item"));
}

// accept: voice-paas 56
#[test]
fn a_callee_that_hangs_up_has_been_reached() {
    let mut c = answered_notice(3, "1", "");
    wait(&mut c);
    feed(&mut c, [leg(0, LegFact::HungUp { q850: 16 })]);
    assert!(c.is_over());
    let l = &c.record.legs[0];
    assert!(l.answer.is_some() && l.key.is_none());
    assert_eq!(l.end.unwrap().0, Cause::Normal);
}

#[test]
fn sounds_that_are_gone_are_left_out_and_none_at_all_is_a_failure() {
    let mut c = answered_notice(1, "", "");
    wait(&mut c);
    let first = play(&c).unwrap();
    feed(&mut c, [Input::Unplayed(first)]);
    wait(&mut c);
    assert_eq!(heard(&c), Some("item"), "the second one comes");
    let second = play(&c).unwrap();
    feed(&mut c, [Input::Unplayed(second), leg(0, LegFact::Released)]);
    assert_eq!(c.record.end, Some((Cause::Failed, By::System)));
}

#[test]
fn a_program_that_is_kept_going_ends_with_its_time() {
    let mut c = answered_notice(1, "1", "");
    let cap = c.deadlines.iter().find(|(_, why)| *why == Deadline::MaxDuration);
    let (at, _) = *cap.unwrap();
    assert_eq!(at, c.record.legs[0].answer.unwrap().plus_secs(600));
    c.deadlines.retain(|(_, why)| *why == Deadline::MaxDuration);
    c.handle(Input::Tick, at);
    assert_eq!(c.record.end, Some((Cause::MaxDuration, By::Timer)));
}

#[test]
fn a_notice_that_is_not_dialled_has_its_record_in_one_step() {
    for (why, cause) in [
        (Failure::Forbidden, Cause::Forbidden),
        (Failure::NoRoute, Cause::NoRoute),
        (Failure::Withdrawn, Cause::Cancelled),
    ] {
        let head = head(Kind::Notice, RecordMode::None);
        let id = ConversationId::mint(1, 4);
        let (c, step) = Conversation::notice_undialled(id, head, notice_plan(1, "", ""), why, T0);
        assert!(c.is_over());
        assert!(!step.effects.iter().any(|e| matches!(e, Effect::Dial { .. })));
        let folded = ConversationRecord::fold(&step.events).unwrap().unwrap();
        assert_eq!(folded.legs[0].end.unwrap().0, cause);
        assert_eq!((folded.legs[0].start, folded.legs[0].stop), (T0, Some(T0)));
        assert_eq!(folded.ended_at, Some(T0));
    }
}
