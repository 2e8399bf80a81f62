//! Agents that work by telephone and by links in their customers' pages: on the wire, against the real binary.

use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use std::time::{Duration, SystemTime};
use strowger_media_core::g711::Law;
use strowger_tests::bed::{CALLEE, CALLER, DEFAULT_CLI};
use strowger_tests::centre::Centre;
use strowger_tests::http::{self, Place};
use strowger_tests::party::Party;

const WAIT: Duration = Duration::from_secs(10);

/// A link for an agent and a number, signed now.
fn link(centre: &Centre, agent: &str, number: &str) -> String {
    let bed = &centre.office.bed;
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .expect("after 1970");
    let at = now.as_secs();
    let text = format!("{}\n{}\n{agent}\n{number}\norder-7\n{at}", bed.account, bed.app);
    let mac = Hmac::<Sha256>::new_from_slice(bed.token.as_bytes()).expect("any length");
    let bytes = mac.chain_update(text).finalize().into_bytes();
    let sign: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    bed.path(&format!(
        "/cc/dial?agentNo={agent}&userNumber={number}&userData=order-7&ts={at}&sign={sign}"
    ))
}

fn follow(centre: &Centre, link: &str) -> Value {
    let place = Place::Tcp(centre.office.bed.server.http());
    let answer = http::request(&place, "GET", link, &[], None).expect("an answer");
    assert_eq!(answer.status, 200);
    answer.json()
}

// accept: voice-paas 166
#[test]
fn a_link_rings_the_agent_and_then_the_user() {
    let mut centre = Centre::start_with(&["anna"], &json!({ "wrap_up": "off" }), &json!({}));
    let user = Party::start(Law::A, None);
    centre.office.bed.callee_at(user.address());
    let mut anna = centre.office.registered("anna");
    assert_eq!(
        follow(&centre, &link(&centre, "anna", CALLEE))["statusCode"],
        "40003",
        "off duty"
    );
    centre.sign_in("anna");
    let answer = follow(&centre, &link(&centre, "anna", CALLEE));
    assert_eq!(answer["statusCode"], "00000", "{answer}");
    let sid = answer["conversationSid"].as_str().expect("an id").to_owned();
    let invite = anna.ring();
    assert!(
        user.calls().is_empty(),
        "nobody else is called before the agent answers"
    );
    assert_eq!(
        follow(&centre, &link(&centre, "anna", CALLEE))["statusCode"],
        "40007",
        "it has a call"
    );
    let talk = anna.accept(&invite);
    let call = user.first_call();
    assert!(call.numbers().1.ends_with(&DEFAULT_CLI[1..]), "{:?}", call.numbers());
    call.answer();
    centre.wait_state("anna", "talk-out");
    assert_eq!(centre.office.bed.show(&sid)["user_data"], "order-7");
    call.hang_up();
    anna.hung_up(&talk);
    centre.wait_state("anna", "ready");
    centre.office.over("normal");
}

/// On duty without a client: a queue's call rings the telephone that the agent is bound to, over the trunks.
// accept: voice-paas 170
#[test]
fn an_agent_on_duty_offline_is_called_at_its_telephone() {
    let mut centre = Centre::start_with(&["anna"], &json!({ "wrap_up": "off" }), &json!({}));
    let mobile = Party::start(Law::A, None);
    centre.office.bed.caller_at(mobile.address());
    assert_eq!(centre.ask("PATCH", "/agents/anna", &json!({ "mobile": CALLER })).0, 200);
    let on = json!({ "reached_by": "mobile", "state": "ready" });
    let (status, duty) = centre.ask("POST", "/agents/anna/duty", &on);
    assert_eq!((status, &duty["state"]), (200, &json!("ready")), "{duty}");
    let mut customer = centre.office.registered("customer");
    let mut waiting = centre.call_in(&mut customer);
    let call = mobile.first_call();
    assert!(call.numbers().0.ends_with(CALLER), "{:?}", call.numbers());
    call.ring();
    call.answer();
    centre.wait_state("anna", "talk-in");
    customer.hang_up(&mut waiting);
    call.wait_end(WAIT);
    centre.wait_state("anna", "ready");
    centre.office.over("normal");
}
