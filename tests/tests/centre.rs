//! A contact centre on the wire: customers and registered agents against the real binary, agents led over the native API.

use serde_json::json;
use std::time::Duration;
use strowger_tests::centre::{self, Centre};
use strowger_tests::wait;

const STEP: Duration = centre::STEP;
const EVERY: Duration = centre::EVERY;

/// The customer waits, an agent signs in, is rung, answers, holds, takes back, and wraps up.
#[test]
fn a_call_from_the_queue_to_the_wrap_up() {
    let mut centre = Centre::start(&["anna"]);
    let mut customer = centre.office.registered("customer");
    let mut anna = centre.office.registered("anna");
    let mut waiting = centre.call_in(&mut customer);
    wait::until("a call that waits", STEP, EVERY, || {
        (centre.board()["waiting"] == 1).then_some(())
    });
    centre.sign_in("anna");
    let invite = anna.ring();
    assert!(
        invite.get("From").contains("customer"),
        "the agent sees who calls: {}",
        invite.get("From")
    );
    anna.reply(&invite, "180 Ringing", "", None);
    let ringing = centre.wait_state("anna", "ringing");
    let call = ringing["conversation"].as_str().expect("a call").to_owned();
    let talk = anna.accept(&invite);
    let talks = centre.wait_state("anna", "talk-in");
    assert!(
        talks["allowed"].as_array().is_some_and(|a| a.contains(&json!("hold"))),
        "{talks}"
    );
    assert_eq!(
        centre.act("anna", &json!({ "action": "hold" }))["conversation"],
        json!(call)
    );
    centre.wait_state("anna", "held");
    // What is not allowed now is refused with the state.
    let (status, refusal) = centre.ask("POST", "/agents/anna/actions", &json!({ "action": "hold" }));
    assert_eq!(
        (status, refusal["code"].as_str()),
        (409, Some("agent.state")),
        "{refusal}"
    );
    centre.act("anna", &json!({ "action": "retrieve" }));
    centre.wait_state("anna", "talk-in");
    customer.hang_up(&mut waiting);
    anna.hung_up(&talk);
    centre.wait_state("anna", "wrap-up");
    centre.wait_state("anna", "ready");
    centre.office.over("normal");
}

/// Nobody answers in time: the agent is on break, and the next one has the call.
#[test]
fn an_agent_that_does_not_answer() {
    let settings = json!({ "ring_secs": 5, "wrap_up": "off" });
    let mut centre = Centre::start_with(&["anna", "ben"], &settings, &json!({ "strategy": "sequential" }));
    let mut customer = centre.office.registered("customer");
    let mut anna = centre.office.registered("anna");
    let mut ben = centre.office.registered("ben");
    centre.sign_in("anna");
    centre.sign_in("ben");
    let waiting = centre.call_in(&mut customer);
    let first = anna.ring();
    anna.reply(&first, "180 Ringing", "", None);
    let cancel = anna.take_within("a CANCEL", STEP, |m| m.method() == "CANCEL" && m.status().is_none());
    anna.reply(&cancel, "200 OK", "", None);
    anna.reply(&first, "487 Request Terminated", "", None);
    let missed = centre.wait_state("anna", "break");
    assert_eq!(missed["reason"], "no answer");
    let second = ben.ring();
    let mut talk = ben.accept(&second);
    centre.wait_state("ben", "talk-in");
    ben.hang_up(&mut talk);
    customer.hung_up(&waiting);
    centre.wait_state("ben", "ready");
    centre.office.over("normal");
}

/// The customer gives up while it waits, and while it rings.
#[test]
fn the_customer_gives_up() {
    let mut centre = Centre::start(&["anna"]);
    let mut customer = centre.office.registered("customer");
    let mut anna = centre.office.registered("anna");
    let mut waiting = centre.call_in(&mut customer);
    customer.hang_up(&mut waiting);
    centre.office.over("abandoned-queue");
    centre.sign_in("anna");
    let mut waiting = centre.call_in(&mut customer);
    let invite = anna.ring();
    anna.reply(&invite, "180 Ringing", "", None);
    centre.wait_state("anna", "ringing");
    customer.hang_up(&mut waiting);
    let cancel = anna.take("a CANCEL", |m| m.method() == "CANCEL" && m.status().is_none());
    anna.reply(&cancel, "200 OK", "", None);
    anna.reply(&invite, "487 Request Terminated", "", None);
    centre.wait_state("anna", "ready");
    centre.office.over("abandoned-ringing");
}

/// Consultation with a colleague, swap, hand-over: the customer ends up with the colleague.
#[test]
fn a_consultation_and_a_hand_over() {
    let settings = json!({ "wrap_up": "off" });
    let mut centre = Centre::start_with(&["anna", "ben"], &settings, &json!({ "strategy": "sequential" }));
    let mut customer = centre.office.registered("customer");
    let mut anna = centre.office.registered("anna");
    let mut ben = centre.office.registered("ben");
    centre.sign_in("anna");
    centre.sign_in("ben");
    let waiting = centre.call_in(&mut customer);
    let invite = anna.ring();
    let talk = anna.accept(&invite);
    centre.wait_state("anna", "talk-in");
    centre.act("anna", &json!({ "action": "consult", "to": { "agent": "ben" } }));
    centre.wait_state("anna", "consult-dialing");
    let asked = ben.ring();
    ben.reply(&asked, "180 Ringing", "", None);
    let mut help = ben.accept(&asked);
    centre.wait_state("anna", "consulting");
    centre.wait_state("ben", "talk-consulted");
    centre.act("anna", &json!({ "action": "swap" }));
    centre.wait_state("anna", "consult-swapped");
    centre.act("anna", &json!({ "action": "swap" }));
    centre.act("anna", &json!({ "action": "complete" }));
    anna.hung_up(&talk);
    centre.wait_state("ben", "talk-in");
    centre.wait_state("anna", "ready");
    ben.hang_up(&mut help);
    customer.hung_up(&waiting);
    centre.wait_state("ben", "ready");
    centre.office.over("normal");
}

/// An agent dials: its own telephone first, then the other party; and its telephone dials by itself.
// accept: domain-model I12
#[test]
fn calls_of_an_agents_own() {
    let settings = json!({ "wrap_up": "off" });
    let mut centre = Centre::start_with(&["anna", "ben"], &settings, &json!({}));
    let mut anna = centre.office.registered("anna");
    let mut ben = centre.office.registered("ben");
    centre.sign_in("anna");
    centre.sign_in("ben");
    let placed = centre.act("anna", &json!({ "action": "dial", "to": { "agent": "ben" } }));
    assert!(placed["conversation"].is_string(), "{placed}");
    let own = anna.ring();
    centre.wait_state("anna", "dialing");
    assert!(
        ben.rest_for(Duration::from_millis(300)).is_empty(),
        "not before the first has answered"
    );
    let mut talk = anna.accept(&own);
    let invite = ben.ring();
    let other = ben.accept(&invite);
    centre.wait_state("anna", "talk-internal");
    centre.wait_state("ben", "talk-internal");
    anna.hang_up(&mut talk);
    ben.hung_up(&other);
    centre.wait_state("anna", "ready");
    centre.office.over("normal");

    let sdp = anna.sdp("sendrecv");
    let mut talk = anna.invite("ben", "", &sdp);
    let invite = ben.ring();
    ben.reply(&invite, "180 Ringing", "", None);
    centre.wait_state("anna", "dialing");
    let other = ben.accept(&invite);
    anna.response(&mut talk, 200);
    centre.wait_state("anna", "talk-internal");
    anna.hang_up(&mut talk);
    ben.hung_up(&other);
    centre.wait_state("ben", "ready");
    centre.office.over("normal");
}

/// `kill -9` in a talk: the call has its record, the agent is in wrap-up and then ready as soon as its client is back.
// accept: domain-model I19, M41
#[test]
fn a_crash_in_a_talk() {
    let settings = json!({ "wrap_up": { "seconds": 2 } });
    let mut centre = Centre::start_with(&["anna", "ben"], &settings, &json!({}));
    let mut customer = centre.office.registered("customer");
    let mut anna = centre.office.registered("anna");
    centre.sign_in("anna");
    let _waiting = centre.call_in(&mut customer);
    let invite = anna.ring();
    let _talk = anna.accept(&invite);
    centre.wait_state("anna", "talk-in");
    // Answered when it is written, and so is all that happened before.
    centre.sign_in("ben");
    let lunch = json!({ "state": "break", "reason": "lunch" });
    assert_eq!(centre.ask("PATCH", "/agents/ben/duty", &lunch).0, 200);
    centre.office.bed.server.kill_9();
    centre.office.bed.server.launch();
    let ben = centre.duty("ben");
    assert_eq!(
        (ben["state"].as_str(), ben["reason"].as_str()),
        (Some("break"), Some("lunch")),
        "{ben}"
    );
    assert_eq!(ben["connection_lost"], true);
    centre.wait_state("anna", "ready");
    centre.office.over("system-error");
}

/// A call that one agent parks is picked up by another.
#[test]
fn a_call_is_parked_and_picked_up() {
    let settings = json!({ "wrap_up": "off" });
    let mut centre = Centre::start_with(&["anna", "ben"], &settings, &json!({ "strategy": "sequential" }));
    let mut customer = centre.office.registered("customer");
    let mut anna = centre.office.registered("anna");
    let mut ben = centre.office.registered("ben");
    centre.sign_in("anna");
    centre.sign_in("ben");
    let waiting = centre.call_in(&mut customer);
    let invite = anna.ring();
    let talk = anna.accept(&invite);
    centre.wait_state("anna", "talk-in");
    let call = centre.act("anna", &json!({ "action": "park" }))["conversation"].clone();
    anna.hung_up(&talk);
    centre.wait_state("anna", "ready");
    let nowhere = json!({ "action": "pick-up", "call": "0".repeat(32) });
    assert_eq!(centre.ask("POST", "/agents/ben/actions", &nowhere).0, 404);
    centre.act("ben", &json!({ "action": "pick-up", "call": call }));
    let invite = ben.ring();
    let mut talk = ben.accept(&invite);
    centre.wait_state("ben", "talk-in");
    let late = json!({ "action": "pick-up", "call": call });
    assert_eq!(
        centre.ask("POST", "/agents/anna/actions", &late).0,
        409,
        "it is parked no more"
    );
    centre.wait_state("anna", "ready");
    ben.hang_up(&mut talk);
    customer.hung_up(&waiting);
    centre.office.over("normal");
}

/// What is meant for one call does not reach another: an action that names a call is refused with a code if the agent has
/// another one by now, or none.
// accept: domain-model M18
#[test]
fn an_action_for_another_call_is_refused() {
    let mut centre = Centre::start_with(&["anna"], &json!({ "wrap_up": "off" }), &json!({}));
    let mut customer = centre.office.registered("customer");
    let mut anna = centre.office.registered("anna");
    centre.sign_in("anna");
    let mut waiting = centre.call_in(&mut customer);
    let invite = anna.ring();
    let talk = anna.accept(&invite);
    let first = centre.wait_state("anna", "talk-in")["conversation"].clone();
    customer.hang_up(&mut waiting);
    anna.hung_up(&talk);
    centre.wait_state("anna", "ready");
    let late = json!({ "action": "hang-up", "call": first });
    let refused = |centre: &Centre| {
        let (status, answer) = centre.ask("POST", "/agents/anna/actions", &late);
        assert_eq!((status, answer["code"].as_str()), (409, Some("call.state")), "{answer}");
    };
    refused(&centre);
    let waiting = centre.call_in(&mut customer);
    let invite = anna.ring();
    let talk = anna.accept(&invite);
    let second = centre.wait_state("anna", "talk-in")["conversation"].clone();
    assert_ne!(first, second);
    refused(&centre);
    assert_eq!(centre.duty("anna")["state"], "talk-in", "the second call goes on");
    centre.act("anna", &json!({ "action": "hang-up", "call": second }));
    anna.hung_up(&talk);
    customer.hung_up(&waiting);
    centre.wait_state("anna", "ready");
    assert_eq!(centre.office.ended().len(), 2);
}
