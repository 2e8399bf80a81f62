//! Customers that are called back (domain-model §10.1).

mod office;

use office::*;
use strowger_core::call::{Failure, LegFact, Sound};
use strowger_core::cause::{Cause, Role};
use strowger_core::centre::acd;
use strowger_core::centre::acd::{CallbackRefusal, CallbackState, Left};
use strowger_core::centre::agent::{self, Choice, State};
use strowger_core::centre::resource::{CentreSettings, Queue, Strategy, WrapUp};
use strowger_core::event::{Fact, Outcome};
use strowger_core::{AgentId, ConversationId, LegSeq, QueueId};

/// An office whose queue offers callbacks after ten seconds.
fn offering(signed_in: u128, strategy: Strategy) -> Office {
    let settings = CentreSettings {
        wrap_up: WrapUp::Off,
        ..settings()
    };
    let agents = (1..=3).map(|n| agent(n, &[(SALES, 5)])).collect();
    let sales = Queue {
        strategy,
        callback_secs: 10,
        callback_prompt: Some("call-back".into()),
        ..queue(Q_SALES, SALES)
    };
    let mut office = Office::new(settings, agents, vec![sales]);
    for n in 1..=signed_in {
        office.sign_in(n);
    }
    office
}

fn press(office: &mut Office, id: ConversationId, key: char) {
    office.leg(id, 0, LegFact::Digit(key));
}

/// A customer that waits, and chooses to be called back.
fn chosen(office: &mut Office) -> ConversationId {
    let id = office.call_in(Q_SALES);
    office.pass(11);
    press(office, id, '1');
    id
}

/// The conversation that was offered last.
fn offered(office: &Office) -> ConversationId {
    office.offers.last().expect("an offer").conversation
}

/// Seconds until an agent is offered something.
fn until_offered(office: &mut Office) -> u64 {
    let offers = office.offers.len();
    let before = office.now;
    while office.offers.len() == offers && office.now.ms_since(before) < 7_200_000 {
        office.pass(1);
    }
    office.now.ms_since(before) / 1000
}

fn left_of(office: &Office, id: ConversationId) -> Vec<(QueueId, Option<Left>)> {
    let record = office.record(id);
    record
        .queues
        .iter()
        .map(|q| (q.queue, q.left.map(|(_, l)| l)))
        .collect()
}

/// The prompt comes after the wait that the queue says, the key ends the call, and the place stays: before who came later,
/// behind who came earlier.
// accept: domain-model M51
#[test]
fn the_place_is_kept() {
    let mut office = offering(0, Strategy::LongestIdle);
    let earlier = office.call_in(Q_SALES);
    office.pass(2);
    let id = office.call_in(Q_SALES);
    press(&mut office, id, '1');
    assert!(!office.is_over(id), "nothing was offered yet");
    office.pass(11);
    let plays = |o: &Office| {
        let play = o.calls[&id].layout.legs[0].play.clone().expect("a sound");
        play.sound
    };
    assert_eq!(plays(&office), Sound::Prompt("call-back".into()));
    press(&mut office, id, '2');
    assert!(!office.is_over(id), "another key means nothing");
    press(&mut office, id, '1');
    assert!(office.is_over(id));
    let record = office.record(id);
    assert_eq!(record.end.map(|e| e.0), Some(Cause::CallbackAccepted));
    assert_eq!(left_of(&office, id), [(Q_SALES, Some(Left::Callback))]);
    let request = office.callback().clone();
    assert_eq!(record.callback, Some((request.id, None)));
    assert_eq!((request.state, request.first), (CallbackState::Waiting, id));
    office.pass(5);
    let later = office.call_in(Q_SALES);
    let board = office.acd.board_of(Q_SALES).unwrap();
    assert_eq!((board.waiting, board.callbacks), (3, 1));

    office.sign_in(1);
    assert_eq!(offered(&office), earlier);
    office.sign_in(2);
    let call = offered(&office);
    assert!(![earlier, id, later].contains(&call), "it is the request's turn");
    assert_eq!(office.callback().state, CallbackState::Calling);
    office.sign_in(3);
    assert_eq!(offered(&office), later);

    // The agent first; the customer when it has answered.
    assert_eq!(office.record(call).legs.len(), 1);
    assert_eq!(role(&office.record(call), 0), Role::Agent);
    office.ring(call, 0);
    assert_eq!(office.state(2), State::Ringing);
    office.pick_up(call, 0);
    assert_eq!(office.state(2), State::Dialing);
    assert_eq!(role(&office.record(call), 1), Role::Customer);
    assert_eq!(office.record(call).legs[1].to, "+8613800138000");
    office.ring(call, 1);
    assert!(office.plays(call, 0), "the agent hears that it rings");
    office.pick_up(call, 1);
    assert_eq!(office.state(2), State::TalkOut);
    assert_eq!((office.hears(call, 0), office.hears(call, 1)), (vec![1], vec![0]));
    assert_eq!(office.callback().state, CallbackState::Done);
    assert_eq!(office.acd.board_of(Q_SALES).unwrap().callbacks, 0);
    let record = office.record(call);
    assert_eq!(record.callback, Some((request.id, Some(id))));
    assert_eq!(left_of(&office, call), [(Q_SALES, Some(Left::Answered(AgentId(2))))]);
    office.hang_up(call, 1);
    finish(&mut office, call);
    assert_eq!(office.state(2), State::Ready);
    assert_eq!(office.path(2).iter().filter(|s| **s == State::Ringing).count(), 1);
}

/// An agent refuses: the request waits where it was, under another id, and the next one has it.
#[test]
fn an_agent_that_refuses() {
    let mut office = offering(0, Strategy::Sequential);
    chosen(&mut office);
    office.sign_in(1);
    let first = offered(&office);
    office.ring(first, 0);
    office.leg(first, 0, LegFact::Failed(Failure::Status { status: 603, q850: 0 }));
    assert!(office.is_over(first), "its conversation is over");
    let record = office.record(first);
    assert_eq!(record.end.map(|e| e.0), Some(Cause::Rejected));
    assert_eq!(record.parts[0].outcome, Some(Outcome::Rejected));
    let (record, log) = office.ended.iter().find(|(r, _)| r.id == first).unwrap();
    sound(record, log);
    let request = office.callback();
    assert_eq!((request.state, request.attempts), (CallbackState::Waiting, 0));
    office.sign_in(2);
    let second = offered(&office);
    assert_ne!(first, second);
    office.ring_and_answer(second, 0);
    office.ring_and_answer(second, 1);
    assert_eq!(office.state(2), State::TalkOut);
    assert_eq!(office.callback().state, CallbackState::Done);
}

/// The customer does not answer: three times, a quarter of an hour apart, and then never again.
#[test]
fn a_customer_that_is_not_reached() {
    let mut office = offering(0, Strategy::LongestIdle);
    chosen(&mut office);
    office.sign_in(1);
    for attempt in 1..=3 {
        let call = offered(&office);
        office.ring_and_answer(call, 0);
        office.ring(call, 1);
        office.pass(90);
        assert!(office.is_over(call));
        let record = office.record(call);
        assert_eq!(record.end.map(|e| e.0), Some(Cause::NoAnswer));
        let request = office.callback().clone();
        assert_eq!((request.attempts, request.last), (attempt, Some(call)));
        assert_eq!(office.state(1), State::Ready);
        if attempt == 3 {
            assert_eq!(request.state, CallbackState::Unreached);
            break;
        }
        assert!(matches!(request.state, CallbackState::Later(_)));
        // A quarter of an hour after it, and not before.
        let secs = until_offered(&mut office);
        assert!((14 * 60 - 15..=15 * 60).contains(&secs), "{secs}");
    }
    let offers = office.offers.len();
    office.pass(3_600);
    assert_eq!(office.offers.len(), offers);
    assert_eq!(office.acd.board_of(Q_SALES).unwrap().callbacks, 0);
}

/// All are rung, one answers, and only then the customer.
#[test]
fn all_agents_are_rung() {
    let mut office = offering(0, Strategy::RingAll);
    let earlier = office.call_in(Q_SALES);
    for n in 1..=3 {
        office.sign_in(n);
    }
    let busy = office.leg_of(earlier, 1);
    office.ring_and_answer(earlier, busy);
    let id = office.call_in(Q_SALES);
    let first = office.leg_of(id, 2);
    let other = office.leg_of(id, 3);
    for leg in [first, other] {
        office.ring(id, leg);
    }
    // It rings: the offer to be called back waits until that is over.
    office.pass(11);
    press(&mut office, id, '1');
    assert!(!office.is_over(id));
    office.hang_up(id, 0);
    office.hang_up(earlier, 0);
    office.pass(60);
    for n in 1..=3 {
        office.agent(n, agent::Input::Reset);
    }
    chosen(&mut office);
    for n in 1..=3 {
        office.sign_in(n);
    }
    let call = offered(&office);
    office.pass(0);
    let legs = office.record(call).legs.len() as u16;
    for leg in 0..legs {
        office.ring(call, leg);
    }
    office.pick_up(call, legs - 1);
    let customer = legs;
    assert_eq!(role(&office.record(call), customer), Role::Customer);
    office.ring_and_answer(call, customer);
    assert_eq!(office.hears(call, customer), [legs - 1]);
    assert_eq!(office.callback().state, CallbackState::Done);
    office.hang_up(call, customer);
    finish(&mut office, call);
}

/// Priorities count for requests as they do for calls.
#[test]
fn a_higher_priority_comes_first() {
    let mut office = offering(0, Strategy::LongestIdle);
    chosen(&mut office);
    let mut setup = office.setup.clone();
    setup.queues[0].priority = 5;
    office.tell_acd(acd::Input::Configure(Box::new(setup)));
    let urgent = office.call_in(Q_SALES);
    office.sign_in(1);
    assert_eq!(offered(&office), urgent);
    office.sign_in(2);
    assert_ne!(offered(&office), urgent);
    assert_eq!(office.callback().state, CallbackState::Calling);
}

/// The process dies while a request waits, while it is offered, and while it waits to try again: nothing is lost, nobody is
/// called twice.
#[test]
fn a_crash_loses_no_place() {
    let mut office = offering(0, Strategy::LongestIdle);
    chosen(&mut office);
    let since = office.callback().since;
    office.crash();
    office.pass(60);
    let later = office.call_in(Q_SALES);
    office.sign_in(1);
    let call = offered(&office);
    assert_ne!(call, later);
    office.ring_and_answer(call, 0);
    office.crash();
    assert_eq!(office.record(call).end.map(|e| e.0), Some(Cause::SystemError));
    let request = office.callback().clone();
    assert_eq!((request.attempts, request.since), (0, since));
    // The agent is ready again at once, and has it again.
    assert_ne!(offered(&office), call);
    let call = offered(&office);
    office.ring_and_answer(call, 0);
    office.leg(call, 1, LegFact::Failed(Failure::Status { status: 486, q850: 0 }));
    assert!(matches!(office.callback().state, CallbackState::Later(_)));
    office.crash();
    office.sign_in(3);
    let secs = until_offered(&mut office);
    assert!((15 * 60 - 5..=15 * 60).contains(&secs), "{secs}");
    let call = offered(&office);
    office.ring_and_answer(call, 0);
    office.ring_and_answer(call, 1);
    assert_eq!(office.callback().state, CallbackState::Done);
    office.crash();
    office.pass(3_600);
    assert_eq!(office.callback().state, CallbackState::Done);
    assert_eq!(office.acd.callbacks().count(), 0);
}

/// One open request for each number and queue; one that is taken back is not called.
#[test]
fn one_request_for_a_number_and_its_end() {
    let mut office = offering(0, Strategy::LongestIdle);
    let first = chosen(&mut office);
    let request = office.callback().clone();
    office.pass(100);
    let again = chosen(&mut office);
    assert_eq!(office.callback(), &request, "the older place is the better one");
    assert_eq!(office.record(again).callback, Some((request.id, None)));
    assert_eq!(office.callback().first, first);
    assert_eq!(office.acd.board_of(Q_SALES).unwrap().waiting, 1);
    assert_eq!(office.cancel_callback(request.id), Ok(()));
    assert_eq!(office.callback().state, CallbackState::Cancelled);
    assert_eq!(office.acd.board_of(Q_SALES).unwrap().waiting, 0);
    assert_eq!(office.cancel_callback(request.id), Err(CallbackRefusal::NotFound));
    // One that rings at an agent can be taken back, one whose customer is called cannot.
    chosen(&mut office);
    office.sign_in(1);
    let call = offered(&office);
    office.ring(call, 0);
    let id = office.callback().id;
    assert_eq!(office.cancel_callback(id), Ok(()));
    assert!(office.is_over(call));
    assert_eq!(office.state(1), State::Ready);
    office.agent(1, agent::Input::Choose(Choice::Break("lunch".into())));
    chosen(&mut office);
    office.agent(1, agent::Input::Choose(Choice::Ready));
    let call = offered(&office);
    office.ring_and_answer(call, 0);
    let id = office.callback().id;
    assert_eq!(office.cancel_callback(id), Err(CallbackRefusal::Calling));
}

/// The agent hangs up before the customer answers: that was an attempt. A queue that is removed takes its requests with it.
#[test]
fn an_agent_that_hangs_up_and_a_queue_that_is_gone() {
    let mut office = offering(0, Strategy::LongestIdle);
    chosen(&mut office);
    office.sign_in(1);
    let call = offered(&office);
    office.ring_and_answer(call, 0);
    office.ring(call, 1);
    office.hang_up(call, 0);
    office.pass(5);
    assert!(office.is_over(call));
    assert_eq!(office.callback().attempts, 1);
    let mut setup = office.setup.clone();
    setup.queues.clear();
    office.tell_acd(acd::Input::Configure(Box::new(setup)));
    assert_eq!(office.callback().state, CallbackState::Closed);
    let call = office.record(call);
    let dialled = call.legs.iter().filter(|l| l.seq != LegSeq(0));
    assert!(dialled.into_iter().all(|l| l.end.is_some()));
    let log = &office.ended.iter().find(|(r, _)| r.id == call.id).unwrap().1;
    assert!(
        log.iter()
            .any(|e| matches!(e.fact, Fact::CalledBack { first: Some(_), .. }))
    );
}
