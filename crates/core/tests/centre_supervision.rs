//! Supervisors, muted agents, and agents that are lost.

mod office;

use office::*;
use strowger_core::call::centre::CentreCommand;
use strowger_core::call::{Input, LegFact, PartyPlan, Target, TransferPlan};
use strowger_core::centre::agent::{self, Choice, Part, State, Verb};
use strowger_core::centre::resource::{AgentLost, CentreSettings, WrapUp};
use strowger_core::event::Outcome;
use strowger_core::{AgentId, LegSeq};

/// 31, 32, 53 to 55: a supervisor listens, whispers, barges in and takes over.
// accept: domain-model I14, M30
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

/// A desk telephone that hands its talk over by REFER does what the command does.
#[test]
fn a_desk_telephone_hands_over() {
    let refer = |office: &mut Office, id, leg: u16, target: Target, attended: bool| {
        let plan = Box::new(TransferPlan {
            party: PartyPlan {
                target,
                text: "8002".into(),
                cli: None,
            },
            attended,
        });
        office.input(id, Input::Transfer { by: LegSeq(leg), plan });
    };
    let mut office = office_with(2);
    let (id, leg) = talking(&mut office, 1);
    refer(&mut office, id, leg, Target::Agent(AgentId(2)), true);
    assert_eq!(
        office.state(1),
        State::TalkIn,
        "with a line that nobody knows it is refused"
    );
    refer(&mut office, id, leg, Target::Agent(AgentId(2)), false);
    assert_eq!(office.state(1), State::WrapUp);
    let third = office.leg_of(id, 2);
    office.ring_and_answer(id, third);
    assert_eq!(office.state(2), State::TalkIn);
    assert_eq!(office.hears(id, 0), vec![third]);
    office.hang_up(id, 0);
    finish(&mut office, id);

    // To one who cannot have it: the queue that the call came from.
    let mut office = office_with(1);
    let (id, leg) = talking(&mut office, 1);
    refer(&mut office, id, leg, Target::Agent(AgentId(3)), false);
    assert!(office.plays(id, 0));
    assert_eq!(office.record(id).queues.len(), 2);
    office.hang_up(id, 0);
    finish(&mut office, id);
}

/// M49: a wrap-up of ten minutes does not keep the record back.
#[test]
fn a_long_wrap_up() {
    let mut office = office_of(
        CentreSettings {
            wrap_up: WrapUp::Manual,
            ..settings()
        },
        1,
    );
    let (id, _) = talking(&mut office, 1);
    office.pass(60);
    office.hang_up(id, 0);
    office.pass(3);
    assert!(office.is_over(id), "the record is closed");
    assert_eq!(office.state(1), State::WrapUp);
    office.pass(600);
    assert_eq!(office.state(1), State::WrapUp);
    office.agent(1, agent::Input::Choose(Choice::Ready));
    let worked: u64 = office
        .agent_log
        .windows(2)
        .filter(|w| w[0].1.to == State::WrapUp)
        .map(|w| w[1].1.at.ms_since(w[0].1.at))
        .sum();
    assert_eq!(worked, 603_000, "after-call work comes from the agent's log");
}
