//! Callers that are led by flows and by rules of numbers, against the real binary: a carrier's calls with sound and
//! telephone events, an agent at a telephone, a tenant's own HTTP server.

use serde_json::{Value, json};
use std::time::Duration;
use strowger_media_core::g711::Law;
use strowger_tests::bed::{Bed, CALLER};
use strowger_tests::office::Office;
use strowger_tests::party::{Call, Ended, Party};
use strowger_tests::peers;
use strowger_tests::push::Behaviour;
use strowger_tests::server::Options;
use strowger_tests::sound::now_ms;
use strowger_tests::wait;

/// The number that callers dial.
const LINE: &str = "02161000009";
/// Time for a change on a machine that is busy with other tests.
const STEP: Duration = Duration::from_secs(20);
const EVERY: Duration = Duration::from_millis(20);
/// What prompts sound like.
const MENU: f32 = 700.0;
const WRONG: f32 = 900.0;
const SILENT: f32 = 1100.0;
const BYE: f32 = 1300.0;
/// The tone before a message.
const BEEP: f32 = 1000.0;

/// A number that leads into what a test makes, callers over a trunk, and an agent of the queue `sales`.
struct Desk {
    office: Office,
    customer: Party,
}

impl Desk {
    fn start() -> Desk {
        Desk::start_with("")
    }

    /// With more sections in the server's configuration.
    fn start_with(more: &str) -> Desk {
        let options = Options {
            more: more.to_owned(),
            ..Options::default()
        };
        let office = Office::start_with(options, &["anna"]);
        let customer = Party::start(Law::A, Some(400.0));
        let desk = Desk { office, customer };
        let bed = desk.bed();
        bed.caller_at(desk.customer.address());
        for (name, hz) in [("menu", MENU), ("wrong", WRONG), ("silent", SILENT), ("bye", BYE)] {
            bed.prompt(name, hz, 400);
        }
        let wrap_up = json!({ "settings": { "wrap_up": "off" } });
        let path = format!("/applications/{}/centre", bed.app);
        assert_eq!(bed.server.admin("PATCH", &path, Some(&wrap_up)).status, 200);
        bed.server.create("/groups", &json!({ "name": "sales" }));
        bed.server
            .create("/queues", &json!({ "name": "sales", "group": "sales" }));
        let agent = json!({ "login": "anna", "devices": ["anna"], "skills": [{ "group": "sales" }] });
        bed.server.create("/agents", &agent);
        bed.server
            .create("/numbers", &json!({ "number": LINE, "tenant": bed.tenant }));
        desk
    }

    fn bed(&self) -> &Bed {
        &self.office.bed
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let answer = self.bed().server.admin(method, path, Some(body));
        let body = if answer.body.is_empty() {
            Value::Null
        } else {
            answer.json()
        };
        (answer.status, body)
    }

    /// Publishes a flow.
    fn flow(&self, name: &str, flow: &Value) {
        let body = json!({ "name": name, "flow": flow, "publish": true });
        self.bed().server.create("/flows", &body);
    }

    /// Leads the number there.
    fn route(&self, target: &Value) {
        let route = json!({ "application": self.bed().app, "number": LINE, "target": target });
        self.bed().server.create("/routes", &route);
    }

    /// A customer calls and is answered.
    fn call(&self) -> Call {
        let call = self.customer.dial(self.bed().server.sip(), CALLER, LINE);
        call.wait_response("INVITE", 200, STEP);
        call
    }

    fn sign_in(&self) {
        let (status, view) = self.ask("POST", "/agents/anna/duty", &json!({ "state": "ready" }));
        assert_eq!(status, 200, "{view}");
    }
}

fn hears(call: &Call, hz: f32) {
    wait::until(&format!("{hz} Hz"), STEP, EVERY, || call.line().hears(hz).then_some(()));
}

/// How often a tone began so far.
fn times(call: &Call, hz: f32) -> usize {
    call.line().heard().spans(hz).len()
}

fn prompt(name: &str) -> Value {
    json!([{ "prompt": name }])
}

/// A menu: 1 is sales with data for the agent, and everything else is wrong.
fn menu() -> Value {
    json!({
        "start": "menu",
        "nodes": {
            "menu": {
                "type": "menu", "say": prompt("menu"),
                "choices": [{ "key": "1", "label": "sales", "next": "note" }],
                "tries": { "count": 3, "wait_ms": 1500, "invalid": prompt("wrong"), "no_input": prompt("silent") },
                "failed": "bye",
            },
            "note": { "type": "set", "values": [{ "name": "wish", "value": "sales", "attach": true }], "next": "queue" },
            "queue": { "type": "queue", "queue": "sales", "failed": "bye" },
            "bye": { "type": "hang_up", "say": prompt("bye") },
        }
    })
}

/// Number, menu, a wrong key, the right one, queue, agent: and the record has the way that was pressed.
#[test]
fn a_menu_leads_to_the_queue_and_the_agent() {
    let mut desk = Desk::start();
    desk.flow("main", &menu());
    desk.route(&json!({ "flow": "main" }));
    let mut anna = desk.office.registered("anna");
    desk.sign_in();
    let call = desk.call();
    hears(&call, MENU);
    call.line().press("9");
    hears(&call, WRONG);
    wait::until("the question once more", STEP, EVERY, || {
        (times(&call, MENU) >= 2).then_some(())
    });
    call.line().press("1");
    let invite = anna.ring();
    let talk = anna.accept(&invite);
    wait::until("anna to talk", STEP, EVERY, || {
        let duty = desk.ask("GET", "/agents/anna/duty", &json!({})).1;
        (duty["state"] == "talk-in").then_some(())
    });
    call.hang_up();
    anna.hung_up(&talk);
    let record = desk.office.over("normal");
    assert_eq!(record["path"], json!([{ "key": "1", "label": "sales" }]), "{record}");
    assert_eq!(record["attached"], json!({ "wish": "sales" }), "{record}");
}

/// Nothing is pressed: the caller is asked three times, hears why, and the flow says goodbye.
#[test]
fn a_caller_that_presses_nothing() {
    let mut desk = Desk::start();
    desk.flow("main", &menu());
    desk.route(&json!({ "flow": "main" }));
    let call = desk.call();
    hears(&call, MENU);
    let (how, _) = call.wait_end(STEP);
    assert_eq!(how, Ended::Bye);
    assert_eq!((times(&call, MENU), times(&call, SILENT), times(&call, BYE)), (3, 2, 1));
    let record = desk.office.over("normal");
    assert_eq!(record["path"], json!([]), "{record}");
}

/// The tenant's server answers, refuses, and hangs.
#[test]
fn a_flow_asks_the_tenants_server() {
    let mut desk = Desk::start();
    let url = desk.bed().push.url("/customer");
    let flow = json!({
        "start": "ask",
        "nodes": {
            "ask": {
                "type": "http", "method": "POST", "url": url, "timeout_ms": 1000,
                "body": { "caller": "${caller}", "call": "${conversation}" },
                "take": { "level": "/customer/level" }, "next": "keep", "failed": "bye",
            },
            "keep": { "type": "set", "values": [{ "name": "level", "value": "${level}", "attach": true }], "next": "found" },
            "found": { "type": "play", "say": prompt("menu"), "next": "end" },
            "end": { "type": "hang_up" },
            "bye": { "type": "hang_up", "say": prompt("bye") },
        }
    });
    desk.flow("main", &flow);
    desk.route(&json!({ "flow": "main" }));
    let behave = |b| desk.bed().push.behave("/customer", b);
    behave(Behaviour::Answer(r#"{"customer":{"level":"gold"}}"#.into()));
    let call = desk.call();
    call.wait_end(STEP);
    assert_eq!((times(&call, MENU), times(&call, BYE)), (1, 0));
    let asked = desk.bed().push.all();
    let asked = asked.iter().find(|p| p.path == "/customer").expect("a request").json();
    assert_eq!(asked["caller"], "+8613800000001", "{asked}");
    let record = desk.office.over("normal");
    assert_eq!(record["attached"], json!({ "level": "gold" }), "{record}");
    let behave = |b| desk.bed().push.behave("/customer", b);
    for behaviour in [Behaviour::Status(500), Behaviour::Hang] {
        behave(behaviour.clone());
        let call = desk.call();
        call.wait_end(STEP);
        assert_eq!((times(&call, MENU), times(&call, BYE)), (0, 1), "{behaviour:?}");
    }
    let records = desk.office.ended();
    assert!(records.iter().all(|r| r["attached"] == json!({})), "{records:?}");
}

/// Rules send callers of the black list away and ask the tenant's server for others; the record says why.
#[test]
fn rules_of_a_number_lead_its_calls() {
    let mut desk = Desk::start();
    desk.flow("main", &menu());
    let bed = desk.bed();
    let black = json!([{ "number": "13900000077" }]);
    bed.server
        .create("/lists", &json!({ "name": "black", "definition": black }));
    let ask =
        json!({ "url": bed.push.url("/route"), "timeout_ms": 1000, "attempts": 2, "default": { "flow": "main" } });
    let plan = json!({
        "rules": [
            { "name": "black list", "when": { "caller_listed": "black" }, "to": { "refuse": { "cause": "rejected" } } },
            { "name": "the others", "when": "always", "to": { "ask": ask } },
        ],
        "otherwise": { "queue": "sales" },
    });
    bed.server
        .create("/plans", &json!({ "name": "hotline", "definition": plan }));
    desk.route(&json!({ "plan": "hotline" }));
    let refused = desk.customer.dial(desk.bed().server.sip(), "13900000077", LINE);
    refused.wait_response("INVITE", 603, STEP);
    // The server says where to.
    desk.bed()
        .push
        .behave("/route", Behaviour::Answer(r#"{"queue":"sales"}"#.into()));
    let call = desk.call();
    call.hang_up();
    let record = desk.office.over("abandoned-queue");
    let routed = &record["routed"];
    assert_eq!(
        (&routed["plan"], &routed["rule"], &routed["to"], &routed["asked"]),
        (
            &json!("hotline"),
            &json!("the others"),
            &json!("queue sales"),
            &json!(true)
        ),
        "{record}"
    );
    assert_eq!(
        routed["looked"][0]["why"], "the caller is not on list \"black\"",
        "{record}"
    );
    // It hangs, twice: the default.
    desk.bed().push.behave("/route", Behaviour::Hang);
    let before = desk.bed().push.count();
    let call = desk.call();
    hears(&call, MENU);
    assert_eq!(desk.bed().push.count(), before + 2);
    call.hang_up();
    let record = desk.office.over("abandoned-ivr");
    let routed = &record["routed"];
    assert_eq!(
        (&routed["to"], &routed["asked"]),
        (&json!("flow main"), &json!(false)),
        "{record}"
    );
}

/// `kill -9` in the menu: the call has its record, with that cause.
#[test]
fn a_crash_in_the_menu() {
    let mut desk = Desk::start();
    desk.flow("main", &menu());
    desk.route(&json!({ "flow": "main" }));
    let call = desk.call();
    hears(&call, MENU);
    call.line().press("9");
    hears(&call, WRONG);
    desk.office.bed.server.kill_9();
    desk.office.bed.server.launch();
    desk.office.over("system-error");
    // And the flow is there again.
    let call = desk.call();
    hears(&call, MENU);
    call.hang_up();
    desk.office.over("abandoned-ivr");
}

/// What cannot work is refused before a caller finds out, with a code and a sentence that says what to do.
#[test]
fn what_is_wrong_is_refused() {
    let desk = Desk::start();
    let refused = |method: &str, path: &str, body: Value, status: u16, code: &str, says: &str| {
        let (got, answer) = desk.ask(method, path, &body);
        let detail = answer["detail"].as_str().unwrap_or_default();
        assert_eq!((got, answer["code"].as_str()), (status, Some(code)), "{answer}");
        assert!(detail.contains(says), "{answer}");
    };
    let mut bad = menu();
    bad["nodes"]["queue"]["queue"] = json!("nobody");
    let publish = json!({ "name": "main", "flow": bad, "publish": true });
    refused(
        "POST",
        "/flows",
        publish,
        422,
        "routing.invalid",
        "there is no queue \"nobody\"",
    );
    bad["nodes"]["menu"]["failed"] = json!("nowhere");
    let draft = json!({ "name": "main", "flow": bad });
    desk.bed().server.create("/flows", &draft);
    refused(
        "POST",
        "/flows/main/publish",
        json!({}),
        422,
        "routing.invalid",
        "nowhere",
    );
    let route = json!({ "application": desk.bed().app, "number": LINE, "target": { "flow": "main" } });
    refused("POST", "/routes", route, 409, "in-use", "publish it first");
    let route = json!({ "application": desk.bed().app, "number": LINE, "target": { "plan": "none" } });
    refused("POST", "/routes", route, 404, "not-found", "there is no plan");
    let plan = json!({ "name": "p", "definition": { "rules": [], "otherwise": { "queue": "nobody" } } });
    refused(
        "POST",
        "/plans",
        plan,
        422,
        "routing.invalid",
        "there is no queue \"nobody\"",
    );
    let mut spoken = menu();
    spoken["nodes"]["bye"]["say"] = json!([{ "text": "Good bye." }]);
    let publish = json!({ "name": "spoken", "flow": spoken, "publish": true });
    refused("POST", "/flows", publish, 409, "speech.off", "[speech.synthesis]");
}

/// Outside business hours the caller hears the tone, speaks, and its message is a recording of the call.
#[test]
fn a_closed_office_takes_a_message() {
    let mut desk = Desk::start();
    let closed = json!({
        "zone": "Asia/Shanghai",
        "special": [{ "name": "closed", "from": "2026-01-01", "to": "2026-12-31", "yearly": true, "hours": [] }],
    });
    let bed = desk.bed();
    bed.server
        .create("/calendars", &json!({ "name": "office", "definition": closed }));
    let plan = json!({
        "rules": [{ "name": "closed", "when": { "not": { "open": "office" } }, "to": { "voicemail": "sales" } }],
        "otherwise": { "queue": "sales" },
    });
    bed.server
        .create("/plans", &json!({ "name": "hotline", "definition": plan }));
    desk.route(&json!({ "plan": "hotline" }));
    let call = desk.call();
    hears(&call, BEEP);
    let recorded = || {
        let calls = desk.bed().server.admin("GET", "/calls", None).json();
        calls["items"][0]["messages"].as_array().is_some_and(|m| m.len() == 1)
    };
    wait::until("the message to begin", STEP, EVERY, || recorded().then_some(()));
    // A message is as long as it is: the caller speaks, and presses a key.
    let spoken = now_ms() + 1200;
    wait::until("1.2 s of a message", STEP, EVERY, || (now_ms() >= spoken).then_some(()));
    call.line().press("#");
    call.wait_end(STEP);
    let record = desk.office.over("normal");
    assert_eq!(
        record["messages"],
        json!([{ "mailbox": "sales", "recording": 0 }]),
        "{record}"
    );
    let recording = &record["recordings"][0];
    let millis = recording["millis"].as_u64().unwrap_or_default();
    assert!(recording["state"] == "finished" && millis >= 1000, "{record}");
    assert_eq!(
        (&record["routed"]["rule"], &record["routed"]["to"]),
        (&json!("closed"), &json!("voicemail sales")),
        "{record}"
    );
    // And one that just hangs up has left a message too.
    let call = desk.call();
    hears(&call, BEEP);
    let begun = || {
        let calls = desk.bed().server.admin("GET", "/calls", None).json();
        calls["items"][0]["messages"].as_array().is_some_and(|m| m.len() == 1)
    };
    wait::until("the message to begin", STEP, EVERY, || begun().then_some(()));
    call.hang_up();
    desk.office.over("normal");
}

/// The agent hangs up and is free; the customer says how it was.
#[test]
fn a_survey_after_the_talk() {
    let mut desk = Desk::start();
    let survey = json!({
        "start": "rate",
        "nodes": {
            "rate": {
                "type": "survey", "name": "satisfaction", "say": prompt("menu"),
                "keys": [{ "key": "1", "label": "yes", "score": 5 }, { "key": "2", "label": "no", "score": 1 }],
                "next": "bye",
            },
            "bye": { "type": "hang_up", "say": prompt("bye") },
        }
    });
    desk.flow("survey", &survey);
    let path = format!("/applications/{}/centre", desk.bed().app);
    let (status, answer) = desk.ask("PATCH", &path, &json!({ "survey": "no such flow" }));
    assert_eq!((status, answer["code"].as_str()), (404, Some("not-found")), "{answer}");
    assert_eq!(desk.ask("PATCH", &path, &json!({ "survey": "survey" })).0, 200);
    let (status, answer) = desk.ask("DELETE", "/flows/survey", &Value::Null);
    assert_eq!((status, answer["code"].as_str()), (409, Some("in-use")), "{answer}");
    desk.route(&json!({ "queue": "sales" }));
    let mut anna = desk.office.registered("anna");
    desk.sign_in();
    let call = desk.call();
    let invite = anna.ring();
    let mut talk = anna.accept(&invite);
    let state = |wanted: &str| {
        wait::until(wanted, STEP, EVERY, || {
            let duty = desk.ask("GET", "/agents/anna/duty", &json!({})).1;
            (duty["state"] == wanted).then_some(())
        });
    };
    state("talk-in");
    anna.hang_up(&mut talk);
    hears(&call, MENU);
    state("ready");
    call.line().press("1");
    hears(&call, BYE);
    call.wait_end(STEP);
    let record = desk.office.over("normal");
    assert_eq!(
        record["scores"],
        json!([{ "name": "satisfaction", "score": 5 }]),
        "{record}"
    );
}

/// A text that no engine speaks, and speech that nobody listens to, take the flow's way for that: never silence.
#[test]
fn without_engines_a_flow_takes_its_other_way() {
    let more = "[speech.synthesis]\nengine = \"http\"\nurl = \"http://127.0.0.1:9/\"\ntimeout = \"2s\"\n";
    let mut desk = Desk::start_with(more);
    let flow = json!({
        "start": "topic",
        "on_fault": "bye",
        "nodes": {
            "topic": {
                "type": "speech", "say": prompt("menu"), "into": "topic",
                "tries": { "count": 2, "wait_ms": 1000, "no_input": prompt("silent") },
                "next": "said", "failed": "said",
            },
            "said": { "type": "play", "say": [{ "text": "You said ${topic}." }], "next": "end" },
            "bye": { "type": "hang_up", "say": prompt("bye") },
            "end": { "type": "hang_up", "say": prompt("wrong") },
        }
    });
    desk.flow("main", &flow);
    desk.route(&json!({ "flow": "main" }));
    let call = desk.call();
    call.wait_end(STEP);
    let heard = [MENU, SILENT, BYE, WRONG].map(|hz| times(&call, hz));
    assert_eq!(heard, [2, 1, 1, 0]);
    desk.office.over("normal");
}

/// A text with a value in it is spoken by an engine that is not ours.
#[test]
fn a_text_with_a_value_is_spoken() {
    if peers::find("espeak-ng", "espeak-ng").is_none() {
        return;
    }
    let mut desk = Desk::start_with("[speech.synthesis]\nengine = \"espeak-ng\"\ntimeout = \"30s\"\n");
    let flow = json!({
        "start": "said", "language": "en", "on_fault": "fault",
        "nodes": {
            "said": { "type": "play", "say": [{ "text": "You called ${called}." }], "next": "bye" },
            "bye": { "type": "hang_up", "say": prompt("bye") },
            "fault": { "type": "hang_up", "say": prompt("wrong") },
        }
    });
    desk.flow("main", &flow);
    desk.route(&json!({ "flow": "main" }));
    let call = desk.call();
    call.wait_end(STEP);
    // Speech has all frequencies in it, so the way is told from its length: the fault's prompt alone has 0.4 s.
    let loud = call
        .line()
        .heard()
        .samples
        .iter()
        .filter(|s| s.unsigned_abs() > 1000)
        .count()
        / 8;
    assert!(loud > 1000, "more than a second of sound: {loud} ms");
    desk.office.over("normal");
}
