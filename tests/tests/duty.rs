//! Agents' clients and telephones come and go: on the wire, against the real binary.

use serde_json::json;
use std::time::Duration;
use strowger_tests::centre::{self, Centre};
use strowger_tests::wait;

/// A page's connection is cut in a talk: the talk goes on, and so does the page when it is back, with what it missed.
#[test]
fn a_client_is_cut_off_in_a_talk_and_comes_back() {
    let mut centre = Centre::start(&["anna"]);
    let mut customer = centre.office.registered("customer");
    let mut anna = centre.office.registered("anna");
    let token = centre.log_in("anna");
    let mut page = centre.follow(&token);
    centre.wait_state("anna", "signed-out");
    centre.sign_in_as("anna", &token);
    let mut waiting = centre.call_in(&mut customer);
    let invite = anna.ring();
    let talk = anna.accept(&invite);
    page.event("agent.changed", |d| d["state"] == "talk-in");
    let seen = page.newest();
    page.cut();
    let lost = centre.wait_for("anna", "cut off", |d| d["connection_lost"] == true);
    assert_eq!(lost["state"], "talk-in", "{lost}");
    assert!(anna.rest_for(Duration::from_millis(300)).is_empty(), "the talk goes on");
    let mut page = centre.follow_from(&token, seen);
    assert_eq!(page.heard[0]["resumed"], true, "{:?}", page.heard);
    page.event("agent.changed", |d| d["connection_lost"] == true);
    page.event("agent.changed", |d| {
        d["connection_lost"] == false && d["state"] == "talk-in"
    });
    customer.hang_up(&mut waiting);
    anna.hung_up(&talk);
    page.event("agent.changed", |d| d["state"] == "wrap-up");
    page.event("agent.changed", |d| d["state"] == "ready");
    centre.office.over("normal");
    // Closed while off duty: it is gone at once.
    assert_eq!(centre.ask("DELETE", "/agents/anna/duty", &json!({})).0, 200);
    centre.wait_state("anna", "signed-out");
    page.close();
    centre.wait_state("anna", "offline");
}

/// A page that stays away longer than the grace time ends the duty; in a talk not before the talk is over.
#[test]
fn the_grace_time_is_over() {
    let settings = json!({ "grace_secs": 1, "wrap_up": "off" });
    let mut centre = Centre::start_with(&["anna"], &settings, &json!({}));
    let mut customer = centre.office.registered("customer");
    let mut anna = centre.office.registered("anna");
    let token = centre.log_in("anna");
    let page = centre.follow(&token);
    centre.sign_in_as("anna", &token);
    page.cut();
    centre.wait_state("anna", "offline");

    let page = centre.follow(&token);
    centre.sign_in_as("anna", &token);
    let mut waiting = centre.call_in(&mut customer);
    let invite = anna.ring();
    let talk = anna.accept(&invite);
    centre.wait_state("anna", "talk-in");
    page.cut();
    centre.wait_for("anna", "cut off", |d| d["connection_lost"] == true);
    assert!(
        anna.rest_for(Duration::from_millis(1_500)).is_empty(),
        "the talk goes on"
    );
    assert_eq!(centre.duty("anna")["state"], "talk-in");
    customer.hang_up(&mut waiting);
    anna.hung_up(&talk);
    centre.wait_state("anna", "offline");
    centre.office.over("normal");
}

/// A second login of the agent: the newer client has the duty and the call, the older one is told and let go; where the
/// application wants it so, the newcomer is refused while the agent is in a call.
// accept: domain-model I22
#[test]
fn a_second_page_takes_over_or_is_refused() {
    let mut centre = Centre::start(&["anna"]);
    let mut customer = centre.office.registered("customer");
    let mut anna = centre.office.registered("anna");
    let (first, second) = (centre.log_in("anna"), centre.log_in("anna"));
    let mut old = centre.follow(&first);
    centre.sign_in_as("anna", &first);
    let mut waiting = centre.call_in(&mut customer);
    let invite = anna.ring();
    let talk = anna.accept(&invite);
    centre.wait_state("anna", "talk-in");
    let mut new = centre.follow(&second);
    let own = old.heard[0]["client"].clone();
    old.event("agent.replaced", |d| d["client"] == own);
    old.wait("close", |m| m["type"] == "close" && m["code"] == 4409);
    let duty = centre.duty("anna");
    assert!(duty["state"] == "talk-in" && duty["connection_lost"] == false, "{duty}");

    let refuse = json!({ "settings": { "second_sign_in": "refuse" } });
    let app = centre.office.bed.app.clone();
    assert_eq!(
        centre.ask("PATCH", &format!("/applications/{app}/centre"), &refuse).0,
        200
    );
    let late = centre.follow(&first);
    assert_eq!(late.heard[0], json!({ "type": "close", "code": 4409 }));
    customer.hang_up(&mut waiting);
    anna.hung_up(&talk);
    new.event("agent.changed", |d| d["state"] == "wrap-up");
    centre.office.over("normal");
}

/// Telephones come and go: an agent without one is offered nothing and its duty ends after the grace time; one whose
/// telephone comes back is offered calls again.
#[test]
fn a_telephone_is_lost_and_found() {
    let settings = json!({ "device_grace_secs": 2, "wrap_up": "off" });
    let mut centre = Centre::start_with(&["anna"], &settings, &json!({}));
    let mut customer = centre.office.registered("customer");
    let mut anna = centre.office.registered("anna");
    centre.sign_in("anna");
    anna.register(0, "");
    centre.wait_for("anna", "out of reach", |d| d["device_lost"] == true);
    let mut waiting = centre.call_in(&mut customer);
    assert!(
        anna.rest_for(Duration::from_millis(300)).is_empty(),
        "nothing is offered"
    );
    anna.register(3_600, "");
    let invite = anna.ring();
    let talk = anna.accept(&invite);
    centre.wait_state("anna", "talk-in");
    customer.hang_up(&mut waiting);
    anna.hung_up(&talk);
    centre.wait_state("anna", "ready");
    anna.register(0, "");
    centre.wait_state("anna", "signed-out");
    centre.office.over("normal");
}

/// A telephone registers from another address in a talk, and its old registration ends: the talk goes on as it was, and
/// the next call rings the new address.
// accept: domain-model I38, M42
#[test]
fn a_telephone_moves_in_a_talk() {
    let settings = json!({ "wrap_up": "off" });
    let mut centre = Centre::start_with(&["anna"], &settings, &json!({}));
    let mut customer = centre.office.registered("customer");
    let mut anna = centre.office.registered("anna");
    centre.sign_in("anna");
    let mut waiting = centre.call_in(&mut customer);
    let invite = anna.ring();
    let talk = anna.accept(&invite);
    centre.wait_state("anna", "talk-in");
    // Refreshed, then gone altogether, then somewhere else.
    anna.register(60, "");
    anna.register(0, "");
    centre.wait_for("anna", "out of reach", |d| d["device_lost"] == true);
    let mut moved = centre.office.registered("anna");
    let talks = centre.wait_for("anna", "in reach", |d| d["device_lost"] == false);
    assert_eq!(talks["state"], "talk-in", "{talks}");
    // The dialog is where it was.
    centre.act("anna", &json!({ "action": "hold" }));
    centre.wait_state("anna", "held");
    centre.act("anna", &json!({ "action": "retrieve" }));
    centre.wait_state("anna", "talk-in");
    assert!(
        moved.rest_for(Duration::from_millis(300)).is_empty(),
        "the new address hears nothing of it"
    );
    customer.hang_up(&mut waiting);
    anna.hung_up(&talk);
    centre.wait_state("anna", "ready");
    centre.office.over("normal");
    let mut waiting = centre.call_in(&mut customer);
    let invite = moved.ring();
    let talk = moved.accept(&invite);
    centre.wait_state("anna", "talk-in");
    assert!(anna.rest().is_empty(), "the old address is not rung");
    customer.hang_up(&mut waiting);
    moved.hung_up(&talk);
    centre.office.over("normal");
}

/// A manual wrap-up: the record is there when the call is over; what the agent writes, and how long its wrap-up took, come
/// behind it.
// accept: domain-model M49
#[test]
fn what_is_written_down_after_a_call_follows_in_its_record() {
    let settings = json!({ "wrap_up": "manual" });
    let mut centre = Centre::start_with(&["anna", "ben"], &settings, &json!({ "strategy": "sequential" }));
    let mut customer = centre.office.registered("customer");
    let mut anna = centre.office.registered("anna");
    let (token, other) = (centre.log_in("anna"), centre.log_in("ben"));
    let mut page = centre.follow(&token);
    centre.sign_in_as("anna", &token);
    let mut waiting = centre.call_in(&mut customer);
    let invite = anna.ring();
    let talk = anna.accept(&invite);
    let talks = centre.wait_state("anna", "talk-in");
    let call = talks["conversation"].as_str().expect("a call").to_owned();
    let path = format!("/calls/{call}");
    let shown = centre.ask("GET", &path, &json!({})).1["centre"].clone();
    assert_eq!(
        (
            &shown["parts"][0]["login"],
            &shown["parts"][0]["state"],
            &shown["queues"][0]["how"]
        ),
        (&json!("anna"), &json!("talk-in"), &json!("answered")),
        "{shown}"
    );
    let order = json!({ "data": { "order": "4711" } });
    assert_eq!(centre.ask_as(&token, "PATCH", &format!("{path}/data"), &order).0, 204);
    customer.hang_up(&mut waiting);
    anna.hung_up(&talk);
    let over = centre.office.over("normal");
    assert_eq!(over["centre"]["parts"][0]["wrap_up_seconds"], json!(null), "{over}");
    assert_eq!(centre.duty("anna")["state"], "wrap-up");
    let sold = json!({ "code": "sold", "note": "calls again on Monday" });
    let disposition = format!("{path}/disposition");
    assert_eq!(
        centre.ask_as(&other, "PUT", &disposition, &sold).0,
        404,
        "ben had no part in it"
    );
    assert_eq!(
        centre.ask_as(&token, "PUT", &disposition, &json!({ "code": "" })).0,
        400
    );
    assert_eq!(centre.ask_as(&token, "PUT", &disposition, &sold).0, 204);
    let told = page.event("call.disposed", |d| d["conversation"] == call.as_str());
    assert_eq!(told["code"], "sold");
    anna.rest_for(Duration::from_millis(1_100));
    assert_eq!(
        centre
            .ask_as(&token, "PATCH", "/agents/anna/duty", &json!({ "state": "ready" }))
            .0,
        200
    );
    let late = wait::until("the length of the wrap-up", centre::STEP, centre::EVERY, || {
        let shown = centre.ask("GET", &path, &json!({})).1;
        Some(shown).filter(|s| s["centre"]["parts"][0]["wrap_up_seconds"].is_u64())
    });
    assert!(
        late["centre"]["parts"][0]["wrap_up_seconds"].as_u64() >= Some(1),
        "{late}"
    );
    assert_eq!(
        (&late["centre"]["dispositions"][0]["code"], &late["attached"]["order"]),
        (&json!("sold"), &json!("4711")),
        "{late}"
    );
    assert!(late["seq"].as_u64() > over["seq"].as_u64() && late["state"] == "ended");
    // The journal has them.
    centre.office.bed.server.kill_9();
    centre.office.bed.server.launch();
    assert_eq!(centre.ask("GET", &path, &json!({})).1["centre"], late["centre"]);
}

/// An agent with two telephones: the one that it chose last rings and the other does not; if that one cannot be reached, and
/// when the choice is taken back, both do.
// accept: domain-model M54
#[test]
fn only_the_device_that_was_chosen_rings() {
    let mut centre = Centre::start_with(&["anna"], &json!({ "wrap_up": "off" }), &json!({}));
    let both = json!({ "devices": ["anna", "other"] });
    assert_eq!(centre.ask("PATCH", "/agents/anna", &both).0, 200);
    let mut customer = centre.office.registered("customer");
    let mut anna = centre.office.registered("anna");
    let mut other = centre.office.registered("other");
    let on = json!({ "state": "ready", "device": "anna" });
    let (status, duty) = centre.ask("POST", "/agents/anna/duty", &on);
    assert_eq!(status, 200, "{duty}");
    let chosen = duty["device"].clone();
    let (status, duty) = centre.ask("PATCH", "/agents/anna/duty", &json!({ "device": "other" }));
    assert_eq!((status, duty["state"].as_str()), (200, Some("ready")), "{duty}");
    assert_ne!(duty["device"], chosen);
    let (status, refusal) = centre.ask("PATCH", "/agents/anna/duty", &json!({ "device": "customer" }));
    assert_eq!(status, 404, "a telephone of somebody else: {refusal}");
    let mut waiting = centre.call_in(&mut customer);
    let invite = other.ring();
    let talk = other.accept(&invite);
    centre.wait_state("anna", "talk-in");
    assert!(anna.rest().iter().all(|m| !m.starts_with("INVITE")), "it does not ring");
    customer.hang_up(&mut waiting);
    other.hung_up(&talk);
    centre.wait_state("anna", "ready");
    let (status, duty) = centre.ask("PATCH", "/agents/anna/duty", &json!({ "device": "" }));
    assert_eq!((status, &duty["device"]), (200, &json!(null)), "{duty}");
    let mut waiting = centre.call_in(&mut customer);
    let (first, second) = (anna.ring(), other.ring());
    other.reply(&second, "180 Ringing", "", None);
    let talk = anna.accept(&first);
    let cancel = other.take("a CANCEL", |m| m.method() == "CANCEL" && m.status().is_none());
    other.reply(&cancel, "200 OK", "", None);
    other.reply(&second, "487 Request Terminated", "", None);
    centre.wait_state("anna", "talk-in");
    customer.hang_up(&mut waiting);
    anna.hung_up(&talk);
    centre.wait_state("anna", "ready");
    assert_eq!(centre.office.ended().len(), 2);
}
