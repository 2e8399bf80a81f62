//! Calls of a contact centre by the numbers of domain-model §4.2, §5.7 and §8: every party a telephone in the test's hand.

mod office;

use office::*;
use strowger_core::call::LegFact;
use strowger_core::call::centre::{CentreCommand, Entry, Whom};
use strowger_core::cause::{By, Cause, Role};
use strowger_core::centre::agent::{self, Client, Engagement, Part, State, Variant, Verb};
use strowger_core::centre::resource::{CentreSettings, ConsultFailure, NoAnswer};
use strowger_core::event::{Kind, Outcome};
use strowger_core::id::ConversationId;
use strowger_core::{AgentId, LegSeq};

#[test]
fn an_inbound_call_from_queue_to_wrap_up() {
    let mut office = office_with(0);
    let id = office.call_in(Q_SALES);
    assert_eq!(office.requests[0].2, Asked::Answer, "answered at once");
    assert!(office.plays(id, 0), "and hears music");
    office.pass(20);
    office.sign_in(1);
    let leg = office.leg_of(id, 1);
    office.ring(id, leg);
    assert_eq!(office.state(1), State::Ringing);
    office.pass(4);
    office.pick_up(id, leg);
    assert_eq!((office.hears(id, 0), office.hears(id, leg)), (vec![leg], vec![0]));
    office.pass(60);
    assert!(office.verb(1, Verb::Hold, CentreCommand::Hold));
    assert!(office.plays(id, 0) && office.hears(id, leg).is_empty() && !office.plays(id, leg));
    office.pass(10);
    assert!(office.verb(1, Verb::Retrieve, CentreCommand::Retrieve));
    office.pass(5);
    office.hang_up(id, 0);
    use State as S;
    let path = office.path(1);
    let want = [
        S::Reserved,
        S::Ringing,
        S::Answering,
        S::TalkIn,
        S::Held,
        S::TalkIn,
        S::Releasing,
        S::WrapUp,
    ];
    assert!(path.ends_with(&want), "{path:?}");
    office.pass(15);
    assert_eq!(office.state(1), S::Ready);
    let record = office.record(id);
    assert_eq!(record.end, Some((Cause::Normal, By::Party(LegSeq(0), Role::Customer))));
    let part = &record.parts[0];
    assert_eq!(
        (part.talk_seconds(), part.hold_seconds(), part.outcome),
        (65, 10, Some(Outcome::Ended))
    );
    assert_eq!(
        record.queues[0].left.unwrap().0.ms_since(record.queues[0].entered),
        24_000
    );
    finish(&mut office, id);
}

/// 14, 44, §5.7: the caller leaves at each step of its way to an agent.
#[test]
fn the_caller_leaves_at_each_step() {
    for step in 0..4 {
        let mut office = office_with(u128::from(step > 0));
        let id = office.call_in(Q_SALES);
        let leg = (step > 0).then(|| office.leg_of(id, 1));
        if step >= 2 {
            office.ring(id, leg.unwrap());
        }
        if step == 3 {
            office.pick_up(id, leg.unwrap());
        }
        office.hang_up(id, 0);
        let cause = office.record(id).end.unwrap().0;
        let want = [
            Cause::AbandonedQueue,
            Cause::AbandonedQueue,
            Cause::AbandonedRinging,
            Cause::Normal,
        ][step];
        assert_eq!(cause, want, "step {step}");
        if step > 0 {
            let after = if step == 3 { State::WrapUp } else { State::Ready };
            assert_eq!(office.state(1), after, "step {step}");
        }
        finish(&mut office, id);
        assert!(office.acd.boards().all(|b| b.waiting == 0 && b.offered == 0));
    }
}

/// M33: a phone that answers by itself without a word of alerting.
// accept: domain-model M33
#[test]
fn a_phone_that_answers_without_alerting() {
    let mut office = office_with(1);
    let id = office.call_in(Q_SALES);
    let leg = office.leg_of(id, 1);
    office.pick_up(id, leg);
    use State as S;
    assert!(
        office
            .path(1)
            .ends_with(&[S::Ready, S::Reserved, S::Answering, S::TalkIn])
    );
    office.hang_up(id, leg);
    finish(&mut office, id);
}

/// M42, I38 belong to the registrar; here: the offer that fails goes on to the next agent without a penalty.
#[test]
fn a_device_that_refuses_before_it_alerts() {
    let mut office = office_with(2);
    let id = office.call_in(Q_SALES);
    let leg = office.leg_of(id, 1);
    let busy = strowger_core::call::Failure::Status { status: 486, q850: 17 };
    office.leg(id, leg, LegFact::Failed(busy));
    assert_eq!(office.state(1), State::Ready);
    let next = office.leg_of(id, 2);
    office.ring_and_answer(id, next);
    assert_eq!(office.state(2), State::TalkIn);
    let record = office.record(id);
    let outcomes: Vec<_> = record.parts.iter().map(|p| p.outcome).collect();
    assert_eq!(outcomes, [Some(Outcome::Unreachable), None]);
    office.hang_up(id, next);
    finish(&mut office, id);
}

#[test]
fn a_call_of_the_agents_own() {
    let mut office = office_with(1);
    let id = office.dial(1, Whom::Party(number("13900139000"))).unwrap();
    assert_eq!(office.state(1), State::Dialing);
    assert_eq!(
        office.calls[&id].machine.record().legs.len(),
        1,
        "I12: its own device first"
    );
    office.ring_and_answer(id, 0);
    assert_eq!(office.calls[&id].machine.record().legs.len(), 2);
    office.ring(id, 1);
    assert!(office.plays(id, 0), "it hears it ring");
    office.pass(5);
    office.pick_up(id, 1);
    assert_eq!(office.state(1), State::TalkOut);
    assert_eq!((office.hears(id, 0), office.hears(id, 1)), (vec![1], vec![0]));
    office.pass(30);
    office.hang_up(id, 1);
    use State as S;
    let want = [S::Ready, S::Reserved, S::Dialing, S::TalkOut, S::Releasing, S::WrapUp];
    assert!(office.path(1).ends_with(&want), "{:?}", office.path(1));
    finish(&mut office, id);
    // Nobody answers: wrap-up follows as well, unless the application says otherwise.
    for (wraps, after) in [(true, S::WrapUp), (false, S::Ready)] {
        let mut office = office_of(
            CentreSettings {
                wrap_up_unanswered: wraps,
                ..settings()
            },
            1,
        );
        let id = office.dial(1, Whom::Party(number("13900139000"))).unwrap();
        office.pick_up(id, 0);
        office.ring(id, 1);
        office.pass(60);
        assert_eq!(office.state(1), after);
        assert_eq!(office.record(id).end.unwrap().0, Cause::NoAnswer);
        finish(&mut office, id);
    }
}

#[test]
fn an_internal_call() {
    let mut office = office_with(2);
    let id = office.id();
    let own = office.reserve(1, Part::Own, id).unwrap();
    let to = Whom::Colleague(AgentId(2));
    office.open(id, Kind::Internal, Entry::Dial { own, to });
    assert_eq!(office.state(2), State::Ready, "not before its turn");
    office.pick_up(id, 0);
    let leg = office.leg_of(id, 2);
    office.ring(id, leg);
    assert_eq!((office.state(1), office.state(2)), (State::Dialing, State::Ringing));
    office.pick_up(id, leg);
    assert_eq!(
        (office.state(1), office.state(2)),
        (State::TalkInternal, State::TalkInternal)
    );
    office.hang_up(id, 0);
    finish(&mut office, id);
    // 13 for a direct offer: the colleague is where it was, and the caller learns that nobody answered.
    let id = office.id();
    office.pass(60);
    let own = office.reserve(1, Part::Own, id).unwrap();
    let to = Whom::Colleague(AgentId(2));
    office.open(id, Kind::Internal, Entry::Dial { own, to });
    assert_eq!(office.state(2), State::Ready, "not before its turn");
    office.pick_up(id, 0);
    let leg = office.leg_of(id, 2);
    office.ring(id, leg);
    office.pass(30);
    assert_eq!(office.state(2), State::Ready);
    assert_eq!(office.record(id).end.unwrap().0, Cause::NoAnswer);
    finish(&mut office, id);
}

/// 21, 22, 27, 45: WB shows 9, 12, 16, 17, 5; the colleague has the call afterwards.
// accept: domain-model M34
#[test]
fn a_consultation_completed() {
    let mut office = office_with(2);
    let (id, leg, third) = consulting(&mut office);
    // I13: the customer hears music and nobody of the two.
    assert!(office.hears(id, 0).is_empty() && office.plays(id, 0));
    assert_eq!(
        (office.hears(id, leg), office.hears(id, third)),
        (vec![third], vec![leg])
    );
    assert!(office.verb(1, Verb::Swap, CentreCommand::Swap));
    assert_eq!(office.state(1), State::ConsultSwapped);
    assert_eq!((office.hears(id, 0), office.hears(id, third)), (vec![leg], vec![]));
    assert!(office.plays(id, third));
    assert!(office.verb(1, Verb::Swap, CentreCommand::Swap));
    assert!(office.verb(1, Verb::Complete, CentreCommand::Complete));
    assert_eq!((office.state(1), office.state(2)), (State::WrapUp, State::TalkIn));
    assert_eq!((office.hears(id, 0), office.hears(id, third)), (vec![third], vec![0]));
    let record = office.record(id);
    assert_eq!(record.parts[0].outcome, Some(Outcome::Transferred));
    office.hang_up(id, 0);
    finish(&mut office, id);
}

/// 34, M34: what the consulted agent goes through.
#[test]
fn a_consulted_agent() {
    for (verb, command, after) in [
        (Verb::Complete, CentreCommand::Complete as fn(_) -> _, State::TalkIn),
        (Verb::Merge, CentreCommand::Merge, State::Conference),
        (Verb::Retrieve, CentreCommand::Retrieve, State::WrapUp),
    ] {
        let mut office = office_with(2);
        let (id, _, _) = consulting(&mut office);
        assert!(office.verb(1, verb, command));
        assert_eq!(office.state(2), after, "{verb:?}");
        if after == State::WrapUp {
            assert!(office.path(2).contains(&State::Releasing));
            assert_eq!(office.state(1), State::TalkIn);
            assert_eq!(office.record(id).parts[1].outcome, Some(Outcome::Dropped));
        }
        office.hang_up(id, 0);
        for leg in 1..3 {
            office.hang_up(id, leg);
        }
        finish(&mut office, id);
    }
}

/// 24, 25, M5: the customer leaves before, and after, the third answered.
#[test]
fn the_customer_leaves_in_a_consultation() {
    let mut office = office_with(2);
    let (id, leg, third) = consult_dialing(&mut office);
    office.ring(id, third);
    office.hang_up(id, 0);
    assert_eq!(office.state(1), State::Dialing);
    office.pick_up(id, third);
    assert_eq!(
        (office.state(1), office.state(2)),
        (State::TalkOut, State::TalkConsulted)
    );
    assert_eq!(
        (office.hears(id, leg), office.hears(id, third)),
        (vec![third], vec![leg])
    );
    office.hang_up(id, leg);
    finish(&mut office, id);

    let mut office = office_with(2);
    let (id, leg, third) = consulting(&mut office);
    office.hang_up(id, 0);
    // 48: the consulted agent stays where it is.
    assert_eq!(
        (office.state(1), office.state(2)),
        (State::TalkOut, State::TalkConsulted)
    );
    assert_eq!(office.hears(id, leg), vec![third]);
    office.hang_up(id, third);
    assert_eq!(office.state(2), State::WrapUp);
    finish(&mut office, id);
}

/// 35, 22a: a third party that fails, or is given up, never shows as a talk.
// accept: domain-model M35
#[test]
fn a_third_party_that_does_not_come() {
    for policy in [ConsultFailure::Retrieve, ConsultFailure::StayHeld] {
        let mut office = office_of(
            CentreSettings {
                consult_failure: policy,
                ..settings()
            },
            2,
        );
        let (id, leg, third) = consult_dialing(&mut office);
        office.ring(id, third);
        office.pass(30);
        let held = policy == ConsultFailure::StayHeld;
        assert_eq!(office.state(1), if held { State::Held } else { State::TalkIn });
        assert_eq!(office.plays(id, 0), held);
        assert_eq!(office.state(2), State::Ready, "no penalty for a consultation");
        if held {
            assert!(office.verb(1, Verb::Retrieve, CentreCommand::Retrieve));
        }
        assert_eq!(office.hears(id, 0), vec![leg]);
        assert!(!office.path(1).contains(&State::Consulting));
        office.hang_up(id, 0);
        finish(&mut office, id);
    }
    // Given up from ringing: 23.
    let mut office = office_with(2);
    let (id, _, third) = consult_dialing(&mut office);
    office.ring(id, third);
    assert!(office.verb(1, Verb::Retrieve, CentreCommand::Retrieve));
    assert_eq!((office.state(1), office.state(2)), (State::TalkIn, State::Ready));
    assert!(!office.path(1).contains(&State::Consulting));
    office.hang_up(id, 0);
    finish(&mut office, id);
}

/// 37, 49, 50: the talking and the held party of a swapped consultation leave.
// accept: domain-model M37
#[test]
fn either_party_of_a_swapped_consultation_leaves() {
    for first_leaves in [true, false] {
        let mut office = office_with(2);
        let (id, leg, third) = consulting(&mut office);
        assert!(office.verb(1, Verb::Swap, CentreCommand::Swap));
        office.hang_up(id, if first_leaves { 0 } else { third });
        if first_leaves {
            assert_eq!(office.state(1), State::TalkOut);
            assert_eq!(office.hears(id, leg), vec![third], "taken off hold");
        } else {
            assert_eq!(office.state(1), State::TalkIn);
            assert_eq!(office.hears(id, leg), vec![0]);
        }
        office.hang_up(id, leg);
        finish(&mut office, id);
    }
}

/// 36, 51: an agent that hangs up while the third still rings leaves the customer to it, and never in silence.
// accept: domain-model M36
#[test]
fn a_hand_over_before_the_answer() {
    for answers in [true, false] {
        let mut office = office_with(2);
        let (id, leg, third) = consult_dialing(&mut office);
        office.ring(id, third);
        office.hang_up(id, leg);
        assert_eq!(office.state(1), State::WrapUp);
        assert!(office.plays(id, 0), "the customer hears it ring");
        if answers {
            office.pick_up(id, third);
            assert_eq!(office.state(2), State::TalkIn);
            assert_eq!(office.hears(id, 0), vec![third]);
            office.hang_up(id, 0);
        } else {
            office.pass(30);
            // The queue of the agent who handed it over: nobody is free, it waits with music.
            assert!(office.plays(id, 0));
            let board = office.acd.boards().find(|b| b.queue == Q_SALES).unwrap();
            assert_eq!(board.waiting + board.offered, 1);
            office.hang_up(id, 0);
        }
        finish(&mut office, id);
    }
}

/// 38, 29: a conference of three, each of whom leaves first.
// accept: domain-model M38
#[test]
fn a_conference_and_who_leaves_it() {
    for (leaves, one, two) in [
        (0u16, Some(State::TalkInternal), Some(State::TalkInternal)),
        (1, None, Some(State::TalkIn)),
        (2, Some(State::TalkIn), None),
    ] {
        let mut office = office_with(2);
        let (id, leg, third) = consulting(&mut office);
        assert_eq!((leg, third), (1, 2));
        assert!(office.verb(1, Verb::Merge, CentreCommand::Merge));
        assert_eq!(
            (office.state(1), office.state(2)),
            (State::Conference, State::Conference)
        );
        for l in 0..3u16 {
            let others: Vec<u16> = (0..3).filter(|o| *o != l).collect();
            assert_eq!(office.hears(id, l), others);
        }
        office.hang_up(id, leaves);
        for (n, want) in [(1, one), (2, two)] {
            if let Some(want) = want {
                assert_eq!(office.state(n), want, "leg {leaves} left");
            } else {
                assert_eq!(office.state(n), State::WrapUp, "leg {leaves} left");
            }
        }
        let next = (0..3u16).find(|l| *l != leaves).unwrap();
        office.hang_up(id, next);
        finish(&mut office, id);
    }
    // 52: the third is dropped.
    let mut office = office_with(2);
    let (id, _, _) = consulting(&mut office);
    assert!(office.verb(1, Verb::Merge, CentreCommand::Merge));
    assert!(office.verb(1, Verb::Retrieve, CentreCommand::Retrieve));
    assert_eq!((office.state(1), office.state(2)), (State::TalkIn, State::WrapUp));
    office.hang_up(id, 0);
    finish(&mut office, id);
}

/// 30: handed over without asking, to an agent, to a queue, to a number; and what becomes of it if nobody answers.
#[test]
fn blind_transfers() {
    // To an agent that answers.
    let mut office = office_with(2);
    let (id, _) = talking(&mut office, 1);
    let whom = office.colleague(2, Part::Direct, id).unwrap();
    assert!(office.verb(1, Verb::Transfer, |t| CentreCommand::Transfer(t, whom)));
    assert_eq!(office.state(1), State::WrapUp);
    let third = office.leg_of(id, 2);
    office.ring_and_answer(id, third);
    assert_eq!(office.state(2), State::TalkIn);
    assert_eq!(office.hears(id, 0), vec![third]);
    office.hang_up(id, 0);
    finish(&mut office, id);

    // To one that does not: the call goes to the queue of its group.
    let mut office = office_with(3);
    let (id, _) = talking(&mut office, 1);
    let whom = office.colleague(2, Part::Direct, id).unwrap();
    assert!(office.verb(1, Verb::Transfer, |t| CentreCommand::Transfer(t, whom)));
    let third = office.leg_of(id, 2);
    office.ring(id, third);
    office.pass(30);
    assert_eq!(office.state(2), State::Ready);
    let next = office.record(id).parts.last().unwrap().agent.0;
    let leg = office.leg_of(id, next);
    office.ring_and_answer(id, leg);
    assert_eq!(office.state(next), State::TalkIn);
    office.hang_up(id, leg);
    finish(&mut office, id);

    // To a queue: I17, the first enqueue time goes along, and not back to the agent who gave it away.
    let mut office = office_with(2);
    let (id, _) = talking(&mut office, 1);
    assert!(office.verb(1, Verb::Transfer, |t| CentreCommand::Transfer(t, Whom::Queue(Q_CARE))));
    office.pass(15);
    assert_eq!(office.record(id).parts.last().unwrap().agent, AgentId(2));
    office.hang_up(id, 0);
    finish(&mut office, id);

    // To a number that is busy: back to the queue of the agent.
    let mut office = office_with(1);
    let (id, _) = talking(&mut office, 1);
    let outside = Whom::Party(number("13700137000"));
    assert!(office.verb(1, Verb::Transfer, |t| CentreCommand::Transfer(t, outside)));
    let busy = strowger_core::call::Failure::Status { status: 486, q850: 17 };
    office.leg(id, 2, LegFact::Failed(busy));
    assert!(office.plays(id, 0));
    assert_eq!(office.acd.boards().find(|b| b.queue == Q_SALES).unwrap().waiting, 1);
    // A target that cannot be offered a call is refused, and nothing changes.
    office.hang_up(id, 0);
    finish(&mut office, id);
    let (id, _) = talking(&mut office, 1);
    assert!(office.colleague(3, Part::Direct, id).is_none(), "signed out");
    assert_eq!(office.state(1), State::TalkIn);
    office.hang_up(id, 0);
    finish(&mut office, id);
}

/// M43: one agent, policy READY, one caller who waits on: at least ten seconds between offers, and its place is kept.
// accept: domain-model M43
#[test]
fn the_only_agent_does_not_answer() {
    let mut office = office_of(
        CentreSettings {
            no_answer: NoAnswer::Ready,
            ..settings()
        },
        1,
    );
    let id = office.call_in(Q_SALES);
    for n in 1..=3 {
        let leg = office.leg_of(id, 1);
        office.ring(id, leg);
        office.pass(30);
        assert_eq!(office.state(1), State::Ready);
        office.pass(10);
        assert_eq!(office.offers.len(), n + 1);
    }
    let stamps: Vec<i64> = office.record(id).parts.iter().map(|p| p.offered.secs()).collect();
    assert!(stamps.windows(2).all(|w| w[1] - w[0] >= 40), "{stamps:?}");
    assert_eq!(office.record(id).queues.len(), 1);
    office.hang_up(id, 0);
    finish(&mut office, id);
}

/// M39: customer, agent and third hang up within a millisecond, in every order and with every crossing.
// accept: domain-model M39
#[test]
fn all_hang_up_at_once() {
    let mut seed = 7u64;
    let mut next = move |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) % below
    };
    for round in 0..1000 {
        let mut office = office_with(2);
        office.prompt_release = next(2) == 0;
        let (id, leg, third) = consulting(&mut office);
        match next(4) {
            0 => assert!(office.verb(1, Verb::Merge, CentreCommand::Merge)),
            1 => assert!(office.verb(1, Verb::Swap, CentreCommand::Swap)),
            _ => {}
        }
        let mut legs = vec![0, leg, third];
        while !legs.is_empty() {
            let gone = legs.remove(next(legs.len() as u64) as usize);
            office.hang_up(id, gone);
            if next(5) == 0 {
                let _ = office.verb(1, Verb::Complete, CentreCommand::Complete);
            }
        }
        office.pass(2);
        assert!(office.is_over(id), "round {round}");
        for n in [1, 2] {
            let s = office.state(n);
            assert!(matches!(s, State::WrapUp | State::Ready), "round {round}: {s:?}");
        }
        finish(&mut office, id);
    }
}

/// 38 and the reset of 40: an agent whose page is gone keeps its call; a reset ends its legs, and there is a record.
// accept: domain-model M29
#[test]
fn a_lost_page_and_a_reset() {
    let mut office = office_with(1);
    let (id, _) = talking(&mut office, 1);
    office.agent(1, agent::Input::Disconnected(Client { id: 1, face: 0 }));
    office.pass(300);
    assert_eq!(office.state(1), State::TalkIn);
    office.agent(1, agent::Input::Reset);
    assert_eq!(office.state(1), State::Offline);
    assert!(office.is_over(id));
    assert_eq!(office.record(id).end.unwrap().0, Cause::Admin);
    finish(&mut office, id);
}

/// Every command in every shape of a call: accepted or refused, never a panic, and what is left ends.
// accept: domain-model I29, I32, I35
#[test]
fn every_command_in_every_shape() {
    type Shape = fn(&mut Office) -> ConversationId;
    let shapes: [Shape; 9] = [
        |o| o.call_in(Q_SALES),
        |o| {
            let id = o.call_in(Q_SALES);
            let leg = o.leg_of(id, 1);
            o.ring(id, leg);
            id
        },
        |o| talking(o, 1).0,
        |o| {
            let id = talking(o, 1).0;
            assert!(o.verb(1, Verb::Hold, CentreCommand::Hold));
            id
        },
        |o| consult_dialing(o).0,
        |o| consulting(o).0,
        |o| {
            let id = consulting(o).0;
            assert!(o.verb(1, Verb::Merge, CentreCommand::Merge));
            id
        },
        |o| {
            let id = talking(o, 1).0;
            assert!(o.verb(1, Verb::Transfer, |t| CentreCommand::Transfer(
                t,
                Whom::Party(number("13700137000"))
            )));
            id
        },
        |o| o.dial(1, Whom::Party(number("13700137000"))).unwrap(),
    ];
    for (n, shape) in shapes.iter().enumerate() {
        for command in 0..12 {
            for leaves in 0..4u16 {
                let mut office = office_with(2);
                let id = shape(&mut office);
                if let Some((t, _, _)) = office.acd.engaged(AgentId(1)) {
                    let command = match command {
                        0 => CentreCommand::Hold(t),
                        1 => CentreCommand::Retrieve(t),
                        2 => CentreCommand::HangUp(t),
                        3 => CentreCommand::Complete(t),
                        4 => CentreCommand::Swap(t),
                        5 => CentreCommand::Merge(t),
                        6 => CentreCommand::Barge(t),
                        7 => CentreCommand::TakeOver(t),
                        8 => CentreCommand::Mute(t, true),
                        9 => CentreCommand::Whisper(t, true),
                        10 => CentreCommand::Consult(t, Whom::Party(number("13600136000"))),
                        _ => CentreCommand::Transfer(t, Whom::Queue(Q_CARE)),
                    };
                    let _ = office.command(id, command);
                }
                // Whoever talks to somebody muted hears nothing, and is not alone.
                let muted = command == 8;
                lone(&office, id, muted);
                office.hang_up(id, leaves);
                lone(&office, id, muted);
                // Nobody does anything any more: the customer's patience ends in the end.
                for _ in 0..40 {
                    office.pass(30);
                    lone(&office, id, muted);
                    if office.calls.contains_key(&id) {
                        office.hang_up(id, 0);
                        office.hang_up(id, 1);
                    }
                }
                assert!(office.is_over(id), "shape {n}, command {command}, leg {leaves}");
                finish(&mut office, id);
                for n in 1..=2 {
                    assert!(!office.state(n).is_engaged(), "{:?}", office.state(n));
                }
            }
        }
    }
}

/// I35: nobody that has answered is alone in silence.
fn lone(office: &Office, id: ConversationId, muted: bool) {
    let Some(call) = office.calls.get(&id) else { return };
    let record = call.machine.record();
    for leg in &record.legs {
        let state = leg_state(office, id, leg.seq.0);
        use strowger_core::call::LegState as L;
        if !matches!(state, Some(L::Answered | L::Bridged)) {
            continue;
        }
        let seq = leg.seq.0;
        let waits_for = record
            .legs
            .iter()
            .any(|l| matches!(leg_state(office, id, l.seq.0), Some(L::Trying | L::Ringing)));
        let releasing = record
            .legs
            .iter()
            .any(|l| leg_state(office, id, l.seq.0) == Some(L::Releasing));
        let holds_others = record.parts.iter().any(|p| {
            p.leg == leg.seq
                && matches!(
                    p.engagement,
                    Some(Engagement::Held | Engagement::Talk(Variant::Consulted))
                )
        });
        let hears = !office.hears(id, seq).is_empty() || office.plays(id, seq);
        assert!(
            hears || waits_for || releasing || holds_others || muted,
            "{id}: leg {seq} in silence"
        );
    }
}

/// 64, 65: a call from an agent's own device, and one that wants this agent and nobody else.
#[test]
fn calls_from_and_to_an_agents_device() {
    let mut office = office_with(2);
    let id = office.id();
    let from = |agent: u128, to: Whom| Entry::FromDevice {
        dialog: strowger_core::event::DialogRef::default(),
        agent: AgentId(agent),
        to,
    };
    office.open(id, Kind::Outbound, from(1, Whom::Party(number("13900139000"))));
    assert_eq!(office.state(1), State::Dialing);
    // A second call of the same agent is refused while it calls.
    let second = office.id();
    office.open(second, Kind::Outbound, from(1, Whom::Party(number("13900139000"))));
    assert!(office.is_over(second));
    assert_eq!(office.record(second).end.unwrap().0, Cause::Busy);
    office.ring(id, 1);
    assert!(office.calls[&id].asked.contains(&(LegSeq(0), Asked::Alert)));
    office.pick_up(id, 1);
    assert!(office.calls[&id].asked.contains(&(LegSeq(0), Asked::Answer)));
    assert_eq!(office.state(1), State::TalkOut);
    assert_eq!((office.hears(id, 0), office.hears(id, 1)), (vec![1], vec![0]));
    // While it talks, that is a line beside the talk: no part of the agent's, which goes on as it was.
    let line = office.id();
    office.open(line, Kind::Outbound, from(1, Whom::Party(number("13900139000"))));
    office.ring_and_answer(line, 1);
    assert_eq!(office.hears(line, 1), [0]);
    office.hang_up(line, 1);
    finish(&mut office, line);
    assert!(office.record(line).parts.is_empty());
    assert_eq!(office.state(1), State::TalkOut);
    office.hang_up(id, 0);
    finish(&mut office, id);
    // To a colleague.
    let id = office.id();
    office.open(id, Kind::Internal, from(1, Whom::Colleague(AgentId(2))));
    let leg = office.leg_of(id, 2);
    office.ring_and_answer(id, leg);
    assert_eq!(
        (office.state(1), office.state(2)),
        (State::TalkInternal, State::TalkInternal)
    );
    office.hang_up(id, leg);
    finish(&mut office, id);

    // A customer who wants agent 2: it does not answer, and the caller waits in the queue.
    for answers in [true, false] {
        let id = office.id();
        let entry = Entry::Direct {
            dialog: strowger_core::event::DialogRef::default(),
            agent: AgentId(2),
            fallback: Some(Q_SALES),
        };
        office.pass(60);
        office.open(id, Kind::Inbound, entry);
        let leg = office.leg_of(id, 2);
        office.ring(id, leg);
        let answered = (LegSeq(0), Asked::Answer);
        assert!(!office.calls[&id].asked.contains(&answered), "it hears it ring");
        if answers {
            office.pick_up(id, leg);
            assert_eq!(office.state(2), State::TalkIn);
        } else {
            office.pass(30);
            assert_eq!(office.state(2), State::Ready);
            assert!(office.calls[&id].asked.contains(&answered));
            assert_eq!(office.record(id).queues.len(), 1);
        }
        office.hang_up(id, 0);
        finish(&mut office, id);
    }
}
