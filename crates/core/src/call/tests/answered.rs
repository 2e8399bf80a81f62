//! Who has answered, and what is done then.

use super::*;
use crate::event::AnsweredBy;

fn by(who: AnsweredBy, confidence: u8) -> Input {
    leg(0, LegFact::AnsweredBy(who, confidence))
}

fn rule(on_machine: OnMachine) -> AnswerRule {
    AnswerRule {
        on_machine,
        ..AnswerRule::default()
    }
}

/// A notice that was answered, and the step of that.
fn answered_notice(on_machine: OnMachine) -> (Conversation, Step) {
    let id = ConversationId::mint(1, 3);
    let plan = NoticePlan {
        answer: rule(on_machine),
        ..notice_plan(2, "1", "")
    };
    let (mut c, _) = Conversation::notice(id, head(Kind::Notice, RecordMode::None), plan, T0);
    let step = feed(&mut c, [leg(0, answered())]);
    (c, step)
}

fn heard(c: &Conversation) -> Option<&str> {
    match &c.shown.legs.first()?.play.as_ref()?.sound {
        Sound::Prompt(name) => Some(name),
        _ => None,
    }
}

fn program_due(c: &Conversation) -> Stamp {
    let due = c.deadlines.iter().find(|(_, why)| *why == Deadline::Program);
    due.expect("a silence").0
}

/// Lets the silence run out.
fn wait(c: &mut Conversation) -> Step {
    let at = program_due(c);
    c.handle(Input::Tick, at)
}

fn listens(step: &Step) -> Option<Listening> {
    step.effects.iter().find_map(|e| match e {
        Effect::Listen { to, .. } => Some(*to),
        _ => None,
    })
}

#[test]
fn nobody_listens_unless_somebody_wants_to_know() {
    let (mut c, step) = answered_notice(OnMachine::Ignore);
    assert_eq!(listens(&step), None);
    assert!(feed(&mut c, [by(AnsweredBy::Machine, 90)]).events.is_empty());
    let (_, step) = answered_notice(OnMachine::Tell);
    assert_eq!(listens(&step), Some(Listening::Answer));
}

#[test]
fn a_verdict_is_a_fact_once_and_the_program_goes_on() {
    let (mut c, _) = answered_notice(OnMachine::Tell);
    wait(&mut c);
    let step = feed(&mut c, [by(AnsweredBy::Machine, 85)]);
    assert_eq!(kinds(&step), ["leg.answered-by"]);
    assert_eq!(listens(&step), Some(Listening::Nothing));
    assert_eq!(heard(&c), Some("item"));
    assert_eq!(c.record.legs[0].answered_by, Some((AnsweredBy::Machine, 85)));
    assert!(feed(&mut c, [by(AnsweredBy::Human, 90)]).events.is_empty());
    // A fax machine may be heard after its operator's machine.
    let fax = feed(&mut c, [by(AnsweredBy::Fax, 95)]);
    assert_eq!(kinds(&fax)[..2], ["leg.answered-by", "conversation.ending"]);
    assert_eq!(c.record.end, Some((Cause::AnsweredByFax, By::System)));
}

#[test]
fn a_machine_that_is_not_wanted_is_hung_up_on_and_one_that_may_be_a_person_is_not() {
    let (mut c, _) = answered_notice(OnMachine::HangUp);
    feed(&mut c, [by(AnsweredBy::Machine, 55)]);
    assert!(c.record.end.is_none(), "not sure enough");
    for (who, cause) in [
        (AnsweredBy::Machine, Cause::AnsweredByMachine),
        (AnsweredBy::Fax, Cause::AnsweredByFax),
    ] {
        let (mut c, _) = answered_notice(OnMachine::HangUp);
        let step = feed(&mut c, [by(who, 85)]);
        assert!(step.effects.contains(&Effect::Hangup { leg: LegSeq(0), cause }));
        feed(&mut c, [leg(0, LegFact::Released)]);
        assert_eq!(c.record.legs[0].end, Some((cause, By::System)));
        assert_eq!(c.record.end, Some((cause, By::System)));
    }
    for who in [AnsweredBy::Human, AnsweredBy::Unknown] {
        let (mut c, _) = answered_notice(OnMachine::HangUp);
        feed(&mut c, [by(who, 90)]);
        assert!(c.record.end.is_none(), "{who:?}");
    }
}

#[test]
fn a_program_begins_anew_after_the_beep() {
    let (mut c, _) = answered_notice(OnMachine::AwaitBeep);
    wait(&mut c);
    assert_eq!(heard(&c), Some("item"), "a person would hear it from the start");
    let step = feed(&mut c, [by(AnsweredBy::Machine, 85)]);
    assert_eq!((heard(&c), listens(&step)), (None, Some(Listening::Beep)));
    // While it talks the wait is long; when it is silent, short.
    feed(&mut c, [leg(0, LegFact::Talking(true))]);
    let long = program_due(&c);
    feed(&mut c, [leg(0, LegFact::Talking(false))]);
    assert!(program_due(&c) < long);
    let step = feed(&mut c, [leg(0, LegFact::Beep)]);
    assert_eq!(listens(&step), Some(Listening::Nothing));
    wait(&mut c);
    assert_eq!(heard(&c), Some("item"), "from its first item");
    assert!(feed(&mut c, [leg(0, LegFact::Beep)]).effects.is_empty(), "one beep");
}

#[test]
fn a_machine_without_a_beep_is_talked_to_when_it_is_silent() {
    let (mut c, _) = answered_notice(OnMachine::AwaitBeep);
    feed(&mut c, [by(AnsweredBy::Machine, 85), leg(0, LegFact::Talking(true))]);
    let latest = program_due(&c);
    feed(&mut c, [leg(0, LegFact::Talking(false))]);
    let silent = program_due(&c);
    assert!(silent < latest);
    c.handle(Input::Tick, silent);
    wait(&mut c);
    assert_eq!(heard(&c), Some("item"));
}

#[test]
fn who_presses_a_key_is_a_person() {
    let (mut c, _) = answered_notice(OnMachine::HangUp);
    wait(&mut c);
    let step = feed(&mut c, [leg(0, LegFact::Digit('5'))]);
    assert_eq!(kinds(&step), ["leg.answered-by"]);
    assert_eq!(c.record.legs[0].answered_by, Some((AnsweredBy::Human, 100)));
    feed(&mut c, [by(AnsweredBy::Machine, 90)]);
    assert!(c.record.end.is_none());
    // And one that was taken for a machine hears the program at once.
    let (mut c, _) = answered_notice(OnMachine::AwaitBeep);
    feed(&mut c, [by(AnsweredBy::Machine, 85), leg(0, LegFact::Digit('5'))]);
    assert!(c.program_waits().is_none());
    wait(&mut c);
    assert_eq!(heard(&c), Some("item"));
}

#[test]
fn click_to_call_ends_when_either_party_is_a_machine() {
    let id = ConversationId::mint(1, 1);
    let plan = ClickPlan {
        answer: rule(OnMachine::HangUp),
        ..click_plan(false)
    };
    let (mut c, _) = Conversation::click_to_call(id, head(Kind::ClickToCall, RecordMode::None), plan, T0);
    let first = feed(&mut c, [leg(0, answered())]);
    assert_eq!(listens(&first), Some(Listening::Answer));
    feed(&mut c, [by(AnsweredBy::Human, 90)]);
    let second = feed(&mut c, [leg(1, answered())]);
    assert_eq!(listens(&second), Some(Listening::Answer));
    let step = feed(&mut c, [leg(1, LegFact::AnsweredBy(AnsweredBy::Machine, 80))]);
    let hung_up = |l: u16, cause| step.effects.contains(&Effect::Hangup { leg: LegSeq(l), cause });
    assert!(hung_up(1, Cause::AnsweredByMachine) && hung_up(0, Cause::Normal));
    assert_eq!(c.record.end, Some((Cause::AnsweredByMachine, By::System)));
    assert_eq!(c.record.legs[0].answered_by, Some((AnsweredBy::Human, 90)));
}
