//! What goes on beside the talk: music and places for who waits, notes, calls that are parked.

mod office;

use office::*;
use strowger_core::call::centre::CentreCommand;
use strowger_core::call::centre::{Entry, Whom};
use strowger_core::call::{Command, Failure, Input, LegFact, PartyPlan, Refusal, ReplacePlan, Target, TransferPlan};
use strowger_core::centre::agent::{self, Part, State, Verb};
use strowger_core::event::{DialogRef, Kind};
use strowger_core::{AgentId, LegSeq};

/// Places are told between the music; a queue has music of its own; both end with the wait.
#[test]
fn who_waits_hears_music_and_its_place() {
    use strowger_core::call::{Play, Sound};
    use strowger_core::spoken::Language;
    let mut office = office_with(0);
    let id = office.call_in(Q_SALES);
    let hears = |office: &Office| -> Play { office.calls[&id].layout.legs[0].play.clone().unwrap() };
    let hold = hears(&office);
    let prompt = strowger_core::call::Prompt {
        name: "waltz".into(),
        millis: 60_000,
    };
    assert!(
        office
            .command(id, CentreCommand::Music(Q_CARE, prompt.clone()))
            .is_err(),
        "it waits elsewhere"
    );
    assert_eq!(office.command(id, CentreCommand::Music(Q_SALES, prompt)), Ok(()));
    let music = hears(&office);
    assert!(music != hold && music.sound == Sound::Prompt("waltz".into()) && music.repeat);
    let announce = |wait_secs| CentreCommand::Announce {
        place: 3,
        wait_secs,
        language: Language::English,
    };
    assert_eq!(office.command(id, announce(Some(61))), Ok(()));
    let said = hears(&office);
    let Sound::Spoken(text) = &said.sound else {
        panic!("{said:?}")
    };
    assert_eq!(
        (text.text.as_str(), said.repeat),
        ("3 2", false),
        "whole minutes, rounded up"
    );
    assert!(office.command(id, announce(None)).is_err(), "one at a time");
    office.input(id, Input::Played(said.id));
    assert_eq!(hears(&office), music);
    // One whose end is never told is over by itself, and one that is said when an agent answers is cut off.
    assert_eq!(office.command(id, announce(None)), Ok(()));
    office.pass(60);
    assert_eq!(hears(&office), music);
    assert_eq!(office.command(id, announce(None)), Ok(()));
    office.sign_in(1);
    let leg = office.leg_of(id, 1);
    office.ring_and_answer(id, leg);
    assert_eq!(office.state(1), State::TalkIn);
    assert!(!office.plays(id, 0));
    assert!(office.command(id, announce(None)).is_err(), "nobody waits");
    office.hang_up(id, 0);
    finish(&mut office, id);
}

/// Notes may be written in every state of a call, and say who has had a part.
#[test]
fn notes_are_taken_in_every_state() {
    use strowger_core::call::Note;
    let mut office = office_with(1);
    let (id, _) = talking(&mut office, 1);
    let note = |note| Input::Command(Command::Note(Box::new(note)));
    let sold = Note::Disposed {
        agent: Some(AgentId(1)),
        code: "sold".into(),
        note: String::new(),
    };
    assert_eq!(office.input(id, note(sold)), Some(Ok(())));
    let values = Note::Attached(vec![("order".into(), "1".into()), ("order".into(), "2".into())]);
    assert_eq!(office.input(id, note(values)), Some(Ok(())));
    let wrap = |agent| Note::WrappedUp {
        agent: AgentId(agent),
        ms: 5_000,
    };
    assert_eq!(office.input(id, note(wrap(3))), Some(Err(Refusal::NoSuchLeg)));
    assert_eq!(office.input(id, note(wrap(1))), Some(Ok(())));
    let record = office.record(id);
    assert_eq!(
        (record.dispositions[0].code.as_str(), record.parts[0].wrap_up_ms),
        ("sold", Some(5_000))
    );
    assert_eq!(record.attached, [("order".to_owned(), "2".to_owned())]);
    office.hang_up(id, 0);
    finish(&mut office, id);
}

/// A parked customer hears music and has no agent; whoever picks it up has it, and one that nobody wants goes back in front.
#[test]
fn a_call_is_parked_and_picked_up() {
    let mut office = office_with(2);
    let (id, leg) = talking(&mut office, 1);
    assert!(office.verb(1, Verb::Transfer, CentreCommand::Park));
    assert!(office.plays(id, 0) && office.hears(id, 0).is_empty());
    assert_eq!(office.state(1), State::WrapUp);
    assert_eq!(leg_state(&office, id, leg), Some(strowger_core::call::LegState::Ended));
    office.pass(30);
    let plan = office.reserve(2, Part::Direct, id).unwrap();
    assert_eq!(office.command(id, CentreCommand::PickUp(plan)), Ok(()));
    let other = office.leg_of(id, 2);
    office.ring_and_answer(id, other);
    assert_eq!(office.state(2), State::TalkIn);
    assert_eq!((office.hears(id, 0), office.plays(id, 0)), (vec![other], false));
    let plan = office.reserve(1, Part::Direct, id).unwrap();
    assert!(
        office.command(id, CentreCommand::PickUp(plan)).is_err(),
        "it is parked no more"
    );
    let ticket = office.ticket(1);
    office.tell_acd(strowger_core::centre::acd::Input::Fact(ticket, agent::Fact::CallerGone));
    // Parked again, and nobody comes.
    assert!(office.verb(2, Verb::Transfer, CentreCommand::Park));
    office.pass(300);
    let offered = office.record(id).parts.last().unwrap().clone();
    let n = offered.agent.0;
    office.ring_and_answer(id, offered.leg.0);
    assert_eq!(office.state(n), State::TalkIn, "the queue that it came from has it");
    // And one that hangs up while it is parked.
    assert!(office.verb(n, Verb::Transfer, CentreCommand::Park));
    office.hang_up(id, 0);
    finish(&mut office, id);
}

/// A telephone asks a colleague on a line of its own and hands its talk over to that one (RFC 3891): the same as a consultation
/// that is completed. If the colleague's place cannot be had, the agent talks on.
#[test]
fn a_telephone_hands_over_after_asking() {
    let mut office = office_with(2);
    let (id, leg) = talking(&mut office, 1);
    let ask = |office: &mut Office| {
        let line = office.id();
        let entry = Entry::FromDevice {
            dialog: DialogRef::default(),
            agent: AgentId(1),
            to: Whom::Colleague(AgentId(2)),
        };
        office.open(line, Kind::Internal, entry);
        let asked = office.leg_of(line, 2);
        office.ring_and_answer(line, asked);
        assert_eq!(office.hears(line, asked), [0]);
        (line, asked)
    };
    let (line, asked) = ask(&mut office);
    assert_eq!(
        (office.state(1), office.state(2)),
        (State::TalkIn, State::TalkInternal),
        "the line is no part of the agent's"
    );
    let refer = |attended| Input::Transfer {
        by: LegSeq(leg),
        plan: Box::new(TransferPlan {
            party: PartyPlan {
                target: Target::Dialog,
                text: "8002".into(),
                cli: None,
            },
            attended,
        }),
    };
    let third = |office: &Office| office.record(id).legs.len() as u16 - 1;
    // The line is gone before its place could be taken.
    office.input(id, refer(true));
    assert_eq!(office.state(1), State::ConsultDialing);
    let gone = third(&office);
    office.leg(id, gone, LegFact::Failed(Failure::Status { status: 481, q850: 0 }));
    assert_eq!(office.state(1), State::TalkIn);
    assert_eq!(office.hears(id, 0), [leg]);
    // Again, and it is there.
    office.input(id, refer(true));
    let there = third(&office);
    let replace = |old| Input::Replace {
        leg: LegSeq(old),
        plan: Box::new(ReplacePlan {
            dialog: DialogRef::default(),
            from: "8001".into(),
            to: "8002".into(),
        }),
    };
    let legs = office.record(line).legs.len();
    office.input(line, replace(asked));
    assert_eq!(
        office.record(line).legs.len(),
        legs,
        "the place of an agent's part is not to be had"
    );
    office.input(line, replace(0));
    office.pick_up(id, there);
    assert_eq!(office.state(1), State::WrapUp);
    assert_eq!(office.hears(id, 0), [there]);
    assert_eq!(office.state(2), State::TalkIn, "the customer is its own now");
    assert_eq!(office.hears(line, asked), [legs as u16]);
    office.hang_up(id, 0);
    office.hang_up(line, legs as u16);
    finish(&mut office, line);
    assert!(office.is_over(id));
}
