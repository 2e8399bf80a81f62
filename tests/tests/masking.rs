//! Customers' numbers that agents may not see: everything that an agent's client and telephone got is searched for them.

use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use strowger_media_core::g711::Law;
use strowger_tests::bed::CALLER;
use strowger_tests::centre::{Centre, LINE, STEP};
use strowger_tests::party::Party;
use strowger_tests::push::Receiver;

const WAIT: Duration = Duration::from_secs(10);
const MASKED: &str = "138****0001";

/// Everything that an agent's client and telephone got, as text.
#[derive(Default)]
struct Got(Vec<String>);

impl Got {
    fn ask(&mut self, centre: &Centre, token: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let answer = centre.ask_as(token, method, path, body);
        self.0.push(answer.1.to_string());
        answer
    }

    /// True if the customer's number is in none of it, however the country is written.
    fn has_no_number(&self) -> bool {
        self.0.iter().all(|text| !text.contains(CALLER))
    }
}

fn names_below(folder: &Path, all: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        all.push(entry.file_name().to_string_lossy().into_owned());
        names_below(&entry.path(), all);
    }
}

// accept: domain-model I21
#[test]
fn an_agent_never_gets_a_customers_number_and_calls_back_with_a_token() {
    let settings = json!({ "wrap_up": "off", "mask_numbers": true });
    let centre = Centre::start_with(&["anna"], &settings, &json!({}));
    let receiver = Receiver::start();
    let hook = json!({
        "name": "crm", "tenant": centre.office.bed.tenant, "url": receiver.url("/crm"), "secret": "a-secret-of-the-crm",
    });
    centre.office.bed.server.create("/webhooks", &hook);
    let customer = Party::start(Law::A, None);
    centre.office.bed.caller_at(customer.address());
    let mut anna = centre.office.registered("anna");
    let token = centre.log_in("anna");
    let mut follower = centre.follow(&token);
    let mut got = Got::default();
    let ready = json!({ "state": "ready" });
    assert_eq!(got.ask(&centre, &token, "POST", "/agents/anna/duty", &ready).0, 200);
    let (status, none) = got.ask(&centre, &token, "GET", "/agents/anna/call", &json!({}));
    assert_eq!((status, &none["code"]), (404, &json!("not-found")), "{none}");

    // A customer calls in.
    let call = customer.dial(centre.office.bed.server.sip(), CALLER, LINE);
    let invite = anna.ring();
    got.0.push(format!("{invite:?}"));
    assert!(invite.get("From").contains(MASKED), "{}", invite.get("From"));
    let talk = anna.accept(&invite);
    follower.event("agent.changed", |d| d["state"] == "talk-in");
    let (status, shown) = got.ask(&centre, &token, "GET", "/agents/anna/call", &json!({}));
    assert_eq!((status, &shown["customer"]), (200, &json!(MASKED)), "{shown}");
    assert_eq!(shown["kind"], "inbound");
    let number = shown["token"].as_str().expect("a token").to_owned();
    got.ask(&centre, &token, "GET", "/agents/anna/duty", &json!({}));
    // A supervisor sees it.
    let id = shown["conversation"].as_str().expect("a call").to_owned();
    let path = format!("/calls/{id}");
    let (_, clear) = centre.ask("GET", &path, &json!({}));
    assert!(clear.to_string().contains(CALLER), "{clear}");
    call.hang_up();
    anna.hung_up(&talk);
    centre.wait_state("anna", "ready");

    // The agent calls back whom it has not seen.
    let foreign = json!({ "action": "dial", "to": { "token": format!("{number}00") } });
    let (status, refusal) = got.ask(&centre, &token, "POST", "/agents/anna/actions", &foreign);
    assert_eq!((status, &refusal["parameter"]), (400, &json!("to.token")), "{refusal}");
    let both = json!({ "action": "dial", "to": { "token": number, "number": "10086" } });
    assert_eq!(got.ask(&centre, &token, "POST", "/agents/anna/actions", &both).0, 400);
    let back = json!({ "action": "dial", "to": { "token": number } });
    let (status, answer) = got.ask(&centre, &token, "POST", "/agents/anna/actions", &back);
    assert_eq!(status, 200, "{answer}");
    let invite = anna.ring();
    got.0.push(format!("{invite:?}"));
    assert!(invite.get("From").contains(MASKED), "{}", invite.get("From"));
    let talk = anna.accept(&invite);
    let back = customer.nth_call(1);
    assert!(back.numbers().0.ends_with(CALLER), "{:?}", back.numbers());
    back.answer();
    follower.event("agent.changed", |d| d["state"] == "talk-out");
    let (_, shown) = got.ask(&centre, &token, "GET", "/agents/anna/call", &json!({}));
    assert_eq!(
        (&shown["customer"], &shown["kind"]),
        (&json!(MASKED), &json!("outbound")),
        "{shown}"
    );
    let away = got.ask(
        &centre,
        &token,
        "POST",
        "/agents/anna/actions",
        &json!({ "action": "hang-up" }),
    );
    assert_eq!(away.0, 200, "{}", away.1);
    back.wait_end(WAIT);
    anna.hung_up(&talk);
    centre.wait_state("anna", "ready");
    follower.event("agent.changed", |d| d["state"] == "ready");

    // A recording of a call of the same customer.
    let callee = Party::start(Law::A, None);
    centre.office.bed.callee_at(callee.address());
    let sid = centre.office.bed.click(&json!({ "record": 2 }));
    customer.nth_call(2).answer();
    let other = callee.first_call();
    other.ring();
    other.answer();
    other.hang_up();
    centre.office.bed.over(&sid, STEP);

    got.0.extend(follower.heard.iter().map(ToString::to_string));
    got.0.extend(anna.rest());
    assert!(got.has_no_number(), "{:#?}", got.0);
    let log = centre.office.bed.server.log();
    assert!(!log.contains(CALLER), "{log}");
    let mut files = Vec::new();
    names_below(&centre.office.bed.server.data(), &mut files);
    assert!(files.iter().any(|f| f.ends_with(".wav")), "it was recorded: {files:?}");
    assert!(files.iter().all(|f| !f.contains(CALLER)), "{files:?}");
    // The tenant's own program has what it asked for.
    receiver.wait("the clear number", STEP, |all| {
        let has = |p: &&strowger_tests::push::Push| String::from_utf8_lossy(&p.body).contains(CALLER);
        all.iter().find(has).map(|_| ())
    });
}

#[test]
fn without_masking_an_agent_sees_who_calls() {
    let centre = Centre::start_with(&["anna"], &json!({ "wrap_up": "off" }), &json!({}));
    let customer = Party::start(Law::A, None);
    centre.office.bed.caller_at(customer.address());
    let mut anna = centre.office.registered("anna");
    let token = centre.log_in("anna");
    centre.sign_in_as("anna", &token);
    let call = customer.dial(centre.office.bed.server.sip(), CALLER, LINE);
    let invite = anna.ring();
    let talk = anna.accept(&invite);
    centre.wait_state("anna", "talk-in");
    let (_, shown) = centre.ask_as(&token, "GET", "/agents/anna/call", &json!({}));
    assert!(
        shown["customer"].as_str().is_some_and(|c| c.ends_with(CALLER)),
        "{shown}"
    );
    assert!(shown["token"].is_null(), "{shown}");
    call.hang_up();
    anna.hung_up(&talk);
    centre.wait_state("anna", "ready");
}
