//! Calls of a contact centre by the numbers of domain-model §4.2, §5.7 and §8: every party a telephone in the test's hand.

mod office;

use office::*;
use strowger_core::call::centre::{CentreCommand, Entry, Whom};
use strowger_core::call::{LegFact, PlayId, Sound};
use strowger_core::cause::{By, Cause, Role};
use strowger_core::centre::agent::{self, Choice, Client, Engagement, Part, State, Variant, Verb};
use strowger_core::centre::resource::{AgentLost, CentreSettings, ConsultFailure, NoAnswer, WrapUp};
use strowger_core::event::{Kind, Outcome};
use strowger_core::id::ConversationId;
use strowger_core::ivr::flow::{self, Assign, Party, Say, Tries};
use strowger_core::ivr::{self, Flow, Library, Node, Template};
use strowger_core::{AgentId, LegSeq};

fn settings() -> CentreSettings {
    CentreSettings {
        wrap_up: WrapUp::Seconds(15),
        ..CentreSettings::default()
    }
}

fn office_of(settings: CentreSettings, signed_in: u128) -> Office {
    let agents = (1..=4).map(|n| agent(n, &[(SALES, 5), (CARE, 5)])).collect();
    let mut office = Office::new(settings, agents, vec![queue(Q_SALES, SALES), queue(Q_CARE, CARE)]);
    for n in 1..=signed_in {
        office.sign_in(n);
    }
    office
}

fn office_with(signed_in: u128) -> Office {
    office_of(settings(), signed_in)
}

fn finish(office: &mut Office, id: ConversationId) {
    office.pass(120);
    assert!(office.is_over(id));
    let (record, log) = office.ended.iter().find(|(r, _)| r.id == id).unwrap();
    sound(record, log);
}

/// An agent that talks to a customer and asks a colleague, who has answered: the call, the legs of agent and colleague.
fn consulting(office: &mut Office) -> (ConversationId, u16, u16) {
    let (id, leg, third) = consult_dialing(office);
    office.ring_and_answer(id, third);
    assert_eq!(office.state(1), State::Consulting);
    assert_eq!(office.state(2), State::TalkConsulted);
    (id, leg, third)
}

fn consult_dialing(office: &mut Office) -> (ConversationId, u16, u16) {
    let (id, leg) = talking(office, 1);
    let whom = office.colleague(2, Part::Consult, id).unwrap();
    assert!(office.verb(1, Verb::Consult, |t| CentreCommand::Consult(t, whom)));
    assert_eq!(office.state(1), State::ConsultDialing);
    let third = office.leg_of(id, 2);
    (id, leg, third)
}

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
// accept: domain-model 33
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
// accept: domain-model 34
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
// accept: domain-model 35
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
// accept: domain-model 37
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
// accept: domain-model 36
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
// accept: domain-model 38
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

/// 31, 32, 53 to 55: a supervisor listens, whispers, barges in and takes over.
// accept: domain-model I14, 30
#[test]
fn supervision() {
    let watch = |office: &mut Office, whisper: bool| {
        let (id, leg) = talking(office, 1);
        let of = office.ticket(1);
        let plan = office.reserve(3, Part::Monitor, id).unwrap();
        office
            .command(id, CentreCommand::Monitor { plan, of, whisper })
            .unwrap();
        let ear = office.leg_of(id, 3);
        office.pick_up(id, ear);
        assert_eq!(office.state(3), State::Monitoring);
        (id, leg, ear)
    };
    let mut office = office_with(1);
    office.sign_in(3);
    office.agent(3, agent::Input::Choose(Choice::Break("rounds".into())));
    let (id, leg, ear) = watch(&mut office, false);
    assert_eq!(office.hears(id, ear), vec![0, leg]);
    assert_eq!(
        (office.hears(id, 0), office.hears(id, leg)),
        (vec![leg], vec![0]),
        "nobody hears it"
    );
    assert_eq!(office.state(1), State::TalkIn, "and nobody sees it");
    let t = office.ticket(3);
    office.command(id, CentreCommand::Whisper(t, true)).unwrap();
    assert_eq!((office.hears(id, 0), office.hears(id, leg)), (vec![leg], vec![0, ear]));
    office.command(id, CentreCommand::Whisper(t, false)).unwrap();
    // 53: a party on hold is taken back first.
    assert!(office.verb(1, Verb::Hold, CentreCommand::Hold));
    assert!(office.verb(3, Verb::Barge, CentreCommand::Barge));
    assert_eq!(
        (office.state(1), office.state(3)),
        (State::Conference, State::Conference)
    );
    assert_eq!(office.hears(id, 0), vec![leg, ear]);
    // 54.
    assert!(office.verb(3, Verb::TakeOver, CentreCommand::TakeOver));
    assert_eq!((office.state(1), office.state(3)), (State::WrapUp, State::TalkIn));
    assert_eq!(office.hears(id, 0), vec![ear]);
    office.hang_up(id, 0);
    // 35: after a monitoring, where it was.
    assert_eq!(
        (office.state(3), office.acd.agent(AgentId(3)).unwrap().reason()),
        (State::Break, "rounds")
    );
    finish(&mut office, id);

    // 30: it ends with the call, and with the agent's part in it.
    for customer_leaves in [true, false] {
        let mut office = office_with(1);
        office.sign_in(3);
        office.agent(3, agent::Input::Choose(Choice::Break("rounds".into())));
        let (id, leg, _) = watch(&mut office, false);
        office.hang_up(id, if customer_leaves { 0 } else { leg });
        assert_eq!(office.state(3), State::Break);
        finish(&mut office, id);
    }
    // Only a talking agent can be listened to.
    let mut office = office_with(1);
    office.sign_in(3);
    let id = office.call_in(Q_SALES);
    let of = office.ticket(1);
    let plan = office.reserve(3, Part::Monitor, id).unwrap();
    let ticket = plan.ticket;
    assert!(
        office
            .command(
                id,
                CentreCommand::Monitor {
                    plan,
                    of,
                    whisper: false
                }
            )
            .is_err()
    );
    office.tell_acd(strowger_core::centre::acd::Input::Fact(ticket, agent::Fact::Ended));
    assert_eq!(office.state(3), State::Ready);
    office.hang_up(id, 0);
    finish(&mut office, id);
}

/// 53 from the side of a muted agent: it is not heard, and hears.
#[test]
fn a_muted_agent() {
    let mut office = office_with(1);
    let (id, leg) = talking(&mut office, 1);
    let t = office.ticket(1);
    office.command(id, CentreCommand::Mute(t, true)).unwrap();
    assert_eq!((office.hears(id, 0), office.hears(id, leg)), (vec![], vec![0]));
    assert!(!office.plays(id, 0), "muted is not on hold");
    office.command(id, CentreCommand::Mute(t, false)).unwrap();
    assert_eq!(office.hears(id, 0), vec![leg]);
    office.hang_up(id, 0);
    finish(&mut office, id);
}

/// §8 "agent lost in talk", K54, and "agent lost during consult".
#[test]
fn an_agent_that_is_lost() {
    for (policy, requeued) in [(AgentLost::RequeueFront, true), (AgentLost::End, false)] {
        let mut office = office_of(
            CentreSettings {
                agent_lost: policy,
                ..settings()
            },
            1,
        );
        let (id, leg) = talking(&mut office, 1);
        let other = office.call_in(Q_SALES);
        office.leg(id, leg, LegFact::Silent);
        if requeued {
            assert!(office.plays(id, 0));
            office.sign_in(2);
            assert_eq!(
                office.record(id).parts.last().unwrap().agent,
                AgentId(2),
                "before the one that waited"
            );
            assert_eq!(office.record(id).parts[0].outcome, Some(Outcome::Lost));
            office.hang_up(id, 0);
        }
        finish(&mut office, id);
        let _ = other;
    }
    for answered in [false, true] {
        let mut office = office_with(2);
        let (id, leg, third) = consult_dialing(&mut office);
        if answered {
            office.ring_and_answer(id, third);
        }
        office.leg(id, leg, LegFact::Lost);
        if answered {
            assert_eq!(office.state(2), State::TalkIn, "first party and third are joined");
            assert_eq!(office.hears(id, 0), vec![third]);
        } else {
            assert!(office.plays(id, 0), "the first party is back in the queue");
        }
        office.hang_up(id, 0);
        finish(&mut office, id);
    }
}

/// 66, §5.5: hold by the device itself.
#[test]
fn the_device_holds() {
    let mut office = office_with(1);
    let (id, leg) = talking(&mut office, 1);
    office.leg(id, leg, LegFact::Held);
    assert_eq!(office.state(1), State::Held);
    assert!(office.plays(id, 0) && !office.plays(id, leg));
    office.leg(id, leg, LegFact::Retrieved);
    assert_eq!(office.state(1), State::TalkIn);
    office.leg(id, leg, LegFact::Held);
    office.hang_up(id, 0);
    assert_eq!(office.state(1), State::WrapUp);
    finish(&mut office, id);
}

/// M43: one agent, policy READY, one caller who waits on: at least ten seconds between offers, and its place is kept.
// accept: domain-model 43
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
// accept: domain-model 39
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
// accept: domain-model 29
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
    office.ring(id, 1);
    assert!(office.calls[&id].asked.contains(&(LegSeq(0), Asked::Alert)));
    office.pick_up(id, 1);
    assert!(office.calls[&id].asked.contains(&(LegSeq(0), Asked::Answer)));
    assert_eq!(office.state(1), State::TalkOut);
    assert_eq!((office.hears(id, 0), office.hears(id, 1)), (vec![1], vec![0]));
    // A second call of the same agent is refused.
    let second = office.id();
    office.open(second, Kind::Outbound, from(1, Whom::Party(number("13900139000"))));
    assert!(office.is_over(second));
    assert_eq!(office.record(second).end.unwrap().0, Cause::Busy);
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

/// A flow: welcome, a menu, then the queue, an agent, or nothing.
fn flow_library() -> std::sync::Arc<Library> {
    let say = |name: &str| vec![Say::Prompt(name.to_owned())];
    let choice = |key, label: &str, next: &str| flow::Choice {
        key,
        label: label.to_owned(),
        next: next.to_owned(),
    };
    let text = |t: &str| Template::new(t);
    let nodes = [
        (
            "welcome",
            Node::Play {
                say: say("welcome"),
                skip: true,
                next: "menu".into(),
            },
        ),
        (
            "menu",
            Node::Menu {
                say: say("menu"),
                choices: vec![choice('1', "sales", "note"), choice('2', "agent", "agent")],
                tries: Tries::default(),
                failed: "bye".into(),
            },
        ),
        (
            "note",
            Node::Set {
                values: vec![Assign {
                    name: "wish".into(),
                    value: text("sales"),
                    attach: true,
                }],
                next: "queue".into(),
            },
        ),
        (
            "queue",
            Node::Queue {
                queue: text("sales"),
                priority: 0,
                failed: "bye".into(),
            },
        ),
        (
            "agent",
            Node::Transfer {
                to: Party::Agent(text("2")),
                ring_seconds: 30,
                failed: "menu".into(),
            },
        ),
        (
            "bye",
            Node::HangUp {
                say: say("bye"),
                cause: Cause::Normal,
            },
        ),
    ];
    let main = Flow {
        start: "welcome".into(),
        on_fault: None,
        language: strowger_core::spoken::Language::English,
        max_seconds: 600,
        nodes: nodes.into_iter().map(|(name, node)| (name.to_owned(), node)).collect(),
    };
    std::sync::Arc::new(Library {
        flows: [("main".to_owned(), std::sync::Arc::new(main))].into(),
        ..Library::default()
    })
}

fn guided(office: &mut Office) -> ConversationId {
    let id = office.id();
    let number = |t: &str| strowger_core::Number::parse(t, strowger_core::number::CHINA).unwrap();
    let entry = Entry::Flow {
        dialog: strowger_core::event::DialogRef::default(),
        library: flow_library(),
        flow: "main".into(),
        call: ivr::Call {
            conversation: id,
            caller: Some(number("13800138000")),
            called: number("02161230000"),
            region: None,
        },
    };
    office.open(id, Kind::Inbound, entry);
    id
}

/// What the flow lets a caller hear now.
fn sounds(office: &Office, id: ConversationId) -> Option<(PlayId, String)> {
    let layout = &office.calls[&id].layout;
    let play = layout.legs.iter().find(|l| l.leg == LegSeq(0))?.play.clone()?;
    match play.sound {
        Sound::Prompt(name) => Some((play.id, name)),
        _ => None,
    }
}

fn played(office: &mut Office, id: ConversationId, name: &str) {
    let (play, heard) = sounds(office, id).unwrap();
    assert_eq!(heard, name);
    office.input(id, strowger_core::call::Input::Played(play));
}

#[test]
fn a_guided_call() {
    let mut office = office_with(2);
    let id = guided(&mut office);
    assert_eq!(office.requests[0].2, Asked::Answer);
    played(&mut office, id, "welcome");
    played(&mut office, id, "menu");
    // A key that means nothing, then one that does.
    office.leg(id, 0, LegFact::Digit('9'));
    played(&mut office, id, "menu");
    office.leg(id, 0, LegFact::Digit('1'));
    let record = office.record(id);
    assert_eq!(record.path, [('1', "sales".to_owned())]);
    assert_eq!(record.attached, [("wish".to_owned(), "sales".to_owned())]);
    let leg = office.leg_of(id, 1);
    office.ring_and_answer(id, leg);
    assert_eq!(office.state(1), State::TalkIn);
    // Keys are the parties' own from here on.
    office.leg(id, 0, LegFact::Digit('2'));
    assert_eq!(office.hears(id, 0), vec![leg]);
    office.hang_up(id, 0);
    finish(&mut office, id);

    // To an agent who does not answer: back to the menu, and out of it.
    let id = guided(&mut office);
    office.pass(60);
    office.leg(id, 0, LegFact::Digit('2'));
    let leg = office.leg_of(id, 2);
    office.ring(id, leg);
    office.pass(30);
    assert_eq!(office.state(2), State::Ready);
    assert_eq!(sounds(&office, id).unwrap().1, "menu");
    office.hang_up(id, 0);
    assert_eq!(office.record(id).end.unwrap().0, Cause::AbandonedIvr);
    finish(&mut office, id);

    // Nobody does anything: the flow ends the call by itself.
    let id = guided(&mut office);
    for _ in 0..12 {
        if let Some((play, _)) = office.calls.contains_key(&id).then(|| sounds(&office, id)).flatten() {
            office.input(id, strowger_core::call::Input::Played(play));
        }
        office.pass(10);
    }
    assert!(office.is_over(id));
    assert_eq!(office.record(id).end.unwrap().0, Cause::Normal);
    finish(&mut office, id);
}

/// A queue that gives the call up gives it back to the flow.
#[test]
fn a_flow_gets_its_call_back_from_the_queue() {
    let mut office = Office::new(
        settings(),
        vec![agent(1, &[(SALES, 5)])],
        vec![strowger_core::centre::resource::Queue {
            max_wait_secs: 30,
            ..queue(Q_SALES, SALES)
        }],
    );
    let id = guided(&mut office);
    office.leg(id, 0, LegFact::Digit('1'));
    office.leg(id, 0, LegFact::Digit('1'));
    assert_eq!(office.acd.boards().next().unwrap().waiting, 1);
    office.pass(31);
    played(&mut office, id, "bye");
    office.pass(3);
    assert!(office.is_over(id));
    finish(&mut office, id);
}
