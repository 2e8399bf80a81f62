//! Customers that choose to be called back, against the real binary: they call in over a trunk, press a key and hang up; an
//! agent at a telephone is rung first, then they are.

use serde_json::{Value, json};
use std::time::Duration;
use strowger_media_core::g711::Law;
use strowger_tests::bed::CALLER;
use strowger_tests::office::Office;
use strowger_tests::party::{Call, Ended, Party};
use strowger_tests::voice::Voice;
use strowger_tests::wait;

/// The number that callers dial.
const LINE: &str = "02161000009";
const STEP: Duration = Duration::from_secs(20);
const EVERY: Duration = Duration::from_millis(20);
/// What prompts, the customer and the agent sound like.
const OFFER: f32 = 700.0;
const BYE: f32 = 1300.0;
const CUSTOMER: f32 = 400.0;
const ANNA: f32 = 900.0;

/// A number, a queue and its agent, and a customer at a trunk.
struct Line {
    office: Office,
    customer: Party,
}

impl Line {
    fn start(queue: &Value) -> Line {
        let office = Office::start(&["anna"]);
        let customer = Party::start(Law::A, Some(CUSTOMER));
        let line = Line { office, customer };
        let bed = &line.office.bed;
        bed.caller_at(line.customer.address());
        bed.prompt("offer", OFFER, 400);
        bed.prompt("bye", BYE, 400);
        let path = format!("/applications/{}/centre", bed.app);
        line.ask("PATCH", &path, &json!({ "settings": { "wrap_up": "off" } }), 200);
        bed.server.create("/groups", &json!({ "name": "sales" }));
        let sales = json!({ "name": "sales", "group": "sales", "settings": queue });
        bed.server.create("/queues", &sales);
        let agent = json!({ "login": "anna", "devices": ["anna"], "skills": [{ "group": "sales" }] });
        bed.server.create("/agents", &agent);
        bed.server
            .create("/numbers", &json!({ "number": LINE, "tenant": bed.tenant }));
        line
    }

    fn ask(&self, method: &str, path: &str, body: &Value, status: u16) -> Value {
        let answer = self.office.bed.server.admin(method, path, Some(body));
        assert_eq!(answer.status, status, "{}", String::from_utf8_lossy(&answer.body));
        answer.json()
    }

    fn route(&self, target: &Value) {
        let route = json!({ "application": self.office.bed.app, "number": LINE, "target": target });
        self.office.bed.server.create("/routes", &route);
    }

    fn call_in(&self) -> Call {
        let call = self.customer.dial(self.office.bed.server.sip(), CALLER, LINE);
        call.wait_response("INVITE", 200, STEP);
        call
    }

    fn board(&self) -> Value {
        self.ask("GET", "/boards/queues", &json!({}), 200)["items"][0].clone()
    }

    fn request(&self) -> Value {
        let all = self.ask("GET", "/callbacks", &json!({}), 200);
        assert_eq!(all["items"].as_array().map(Vec::len), Some(1), "{all}");
        all["items"][0].clone()
    }

    fn wait_request(&self, state: &str) -> Value {
        wait::until(&format!("a request that is {state}"), STEP, EVERY, || {
            let request = self.request();
            (request["state"] == state).then_some(request)
        })
    }

    fn sign_in(&self) {
        self.ask("POST", "/agents/anna/duty", &json!({ "state": "ready" }), 200);
    }

    fn wait_state(&self, state: &str) {
        wait::until(&format!("anna in {state}"), STEP, EVERY, || {
            let duty = self.ask("GET", "/agents/anna/duty", &json!({}), 200);
            (duty["state"] == state).then_some(())
        });
    }
}

fn hears(call: &Call, hz: f32) {
    wait::until(&format!("{hz} Hz"), STEP, EVERY, || call.line().hears(hz).then_some(()));
}

/// The queue offers it, the key ends the call, the request outlives the process, and then the agent is rung first.
// accept: domain-model M51
#[test]
fn a_caller_that_waits_is_called_back() {
    let mut line = Line::start(&json!({ "callback_secs": 1, "callback_prompt": "offer" }));
    line.route(&json!({ "queue": "sales" }));
    let call = line.call_in();
    hears(&call, OFFER);
    call.line().press("1");
    assert_eq!(call.wait_end(STEP).0, Ended::Bye);
    let first = line.office.over("callback-accepted");
    let request = line.request();
    assert_eq!(
        (&request["state"], &request["first_call"], &first["callback"]["request"]),
        (&json!("waiting"), &first["id"], &request["id"])
    );
    let board = line.board();
    assert_eq!(
        (&board["waiting"], &board["callbacks"]),
        (&json!(1), &json!(1)),
        "{board}"
    );

    line.office.bed.server.kill_9();
    line.office.bed.server.launch();
    let kept = line.wait_request("waiting");
    assert_eq!(
        (&kept["id"], &kept["since"], &kept["attempts"]),
        (&request["id"], &request["since"], &json!(0))
    );
    let path = format!("/calls/{}/routing", kept["id"].as_str().expect("an id"));
    let why = wait::until("the place in its queue", STEP, EVERY, || {
        let answer = line.office.bed.server.admin("GET", &path, None);
        (answer.status == 200).then(|| answer.json())
    });
    assert_eq!(why["queue"], kept["queue"]);

    let mut anna = Voice::new(&line.office, "anna", ANNA, &[ANNA, CUSTOMER]);
    line.sign_in();
    assert_eq!(line.wait_request("calling")["attempts"], 0);
    assert_eq!(line.customer.calls().len(), 1, "nobody calls before the agent is there");
    let talk = anna.accept();
    let back = line.customer.nth_call(1);
    line.wait_state("dialing");
    back.ring();
    back.answer();
    line.wait_state("talk-out");
    anna.hears("the customer", &[CUSTOMER]);
    hears(&back, ANNA);
    let done = line.wait_request("done");
    assert_eq!(line.board()["callbacks"], 0);
    back.hang_up();
    anna.phone.hung_up(&talk);
    line.wait_state("ready");
    let record = line.office.over("normal");
    assert_eq!(
        (&record["kind"], &record["callback"]["first"], &record["id"]),
        (&json!("callback"), &first["id"], &done["last_call"]),
        "{record}"
    );
}

/// A flow notes it and says goodbye; the customer is busy then, and is called again later; it is taken back before that.
#[test]
fn a_flow_has_its_caller_called_back() {
    let mut line = Line::start(&json!({}));
    let flow = json!({
        "start": "later",
        "nodes": {
            "later": { "type": "callback", "queue": "sales", "next": "bye", "failed": "end" },
            "bye": { "type": "hang_up", "say": [{ "prompt": "bye" }] },
            "end": { "type": "hang_up", "cause": "busy" },
        }
    });
    let body = json!({ "name": "main", "flow": flow, "publish": true });
    line.office.bed.server.create("/flows", &body);
    line.route(&json!({ "flow": "main" }));
    let call = line.call_in();
    hears(&call, BYE);
    call.wait_end(STEP);
    let first = line.office.over("callback-accepted");
    let request = line.wait_request("waiting");
    assert_eq!(first["callback"]["request"], request["id"], "{first}");

    let mut anna = line.office.registered("anna");
    line.sign_in();
    let invite = anna.ring();
    let talk = anna.accept(&invite);
    let back = line.customer.nth_call(1);
    back.refuse("486 Busy Here");
    anna.hung_up(&talk);
    line.wait_state("ready");
    line.office.over("busy");
    let later = line.wait_request("later");
    assert_eq!(later["attempts"], 1);
    assert!(later["next_at"].is_string(), "{later}");
    let path = format!("/callbacks/{}", later["id"].as_str().expect("an id"));
    assert_eq!(line.ask("DELETE", &path, &json!({}), 200)["state"], "cancelled");
    line.ask("DELETE", &path, &json!({}), 404);
    let open = line.ask("GET", "/callbacks?open=true", &json!({}), 200);
    assert_eq!(open["items"], json!([]), "{open}");
}
