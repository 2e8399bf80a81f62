//! Webhooks on the wire: what a receiver gets of calls and agents, in order, signed, again after a failure and when asked,
//! and never of another tenant.

use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use std::time::Duration;
use strowger_tests::centre::{Centre, STEP};
use strowger_tests::push::{Behaviour, Push, Receiver};

/// Retries begin after five seconds.
const PATIENCE: Duration = Duration::from_secs(60);
const OLD: &str = "the-first-secret-of-all";
const NEW: &str = "the-second-secret-of-all";

/// What was accepted at a path.
fn told(all: &[Push], path: &str) -> Vec<Push> {
    let mine = all.iter().filter(|p| p.path == path && p.accepted);
    mine.cloned().collect()
}

/// Topic and, where there is one, what happened: `queue.changed/entered`.
fn names(all: &[Push]) -> Vec<String> {
    let name = |p: &Push| {
        let event = p.json();
        let topic = event["topic"].as_str().expect("a topic").to_owned();
        match event["data"]["what"].as_str() {
            Some(what) => format!("{topic}/{what}"),
            None => topic,
        }
    };
    all.iter().map(name).collect()
}

/// The signature of a body as docs/webhooks.md says, made here once more.
fn signature(secret: &str, push: &Push) -> String {
    let time = push.header("x-strowger-timestamp").expect("a time");
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(time.as_bytes());
    mac.update(b".");
    mac.update(&push.body);
    let digest = mac.finalize().into_bytes();
    let hex: String = digest.iter().map(|b| format!("{b:02x}")).collect();
    format!("sha256={hex}")
}

fn id(v: &Value) -> &str {
    v["id"].as_str().expect("an id")
}

/// Waits until the end of the call was told at a path.
fn until_the_end(receiver: &Receiver, path: &str, times: usize) -> Vec<Push> {
    receiver.wait("the end of the call", PATIENCE, |all| {
        let mine = told(all, path);
        let ends = names(&mine).iter().filter(|n| *n == "call.ended").count();
        (ends == times).then_some(mine)
    })
}

// accept: domain-model I24
#[test]
fn a_call_through_the_queue_is_told_in_order_signed_and_again() {
    let mut centre = Centre::start_with(&["anna"], &json!({ "wrap_up": "off" }), &json!({}));
    let receiver = Receiver::start();
    let tenant = centre.office.bed.tenant.clone();
    let hook = |name: &str, tenant: &str, events: Value| {
        let url = receiver.url(&format!("/{name}"));
        json!({ "name": name, "tenant": tenant, "url": url, "events": events, "secret": OLD })
    };
    let server = &centre.office.bed.server;
    let calls = [
        "call.started",
        "leg.answered",
        "leg.ended",
        "queue.changed",
        "part.began",
        "part.ended",
        "call.ended",
    ];
    let all = server.create("/webhooks", &hook("all", &tenant, json!(calls)));
    let ends = server.create("/webhooks", &hook("ends", &tenant, json!(["call.ended"])));
    // Nothing shows the secret.
    let shown = centre.ask("GET", &format!("/webhooks/{}", id(&all)), &json!({})).1;
    assert!(shown["signed"] == true && !shown.to_string().contains(OLD), "{shown}");
    // Another tenant's webhook and key.
    let other = server.create("/tenants", &json!({ "name": "other" }));
    server.create("/webhooks", &hook("other", id(&other), json!([])));
    let key = json!({ "name": "k", "tenant": "other", "scopes": ["resources:read", "calls:write"] });
    let key = server.create("/keys", &key)["key"].as_str().expect("a key").to_owned();
    let path = format!("/webhooks/{}", id(&all));
    assert_eq!(centre.ask_as(&key, "GET", &path, &json!({})).0, 404);
    let span = json!({ "from": "2020-01-01T00:00:00Z", "to": "2090-01-01T00:00:00Z" });
    assert_eq!(centre.ask_as(&key, "POST", &format!("{path}/replay"), &span).0, 404);
    let listed = centre.ask_as(&key, "GET", "/webhooks", &json!({})).1;
    assert!(!listed.to_string().contains(id(&all)), "{listed}");
    // What is wrong is said.
    for (member, value) in [
        ("url", json!("ftp://x/")),
        ("events", json!(["call.rang"])),
        ("secret", json!("short")),
        ("name", json!("")),
    ] {
        let mut bad = hook("bad", &tenant, json!([]));
        bad[member] = value;
        let (status, problem) = centre.ask("POST", "/webhooks", &bad);
        assert_eq!(
            (status, problem["parameter"].as_str()),
            (400, Some(member)),
            "{problem}"
        );
    }
    assert_eq!(centre.ask("POST", "/webhooks", &hook("all", &tenant, json!([]))).0, 409);

    // The receiver is down when the call begins.
    receiver.behave("/all", Behaviour::Status(500));
    let mut customer = centre.office.registered("customer");
    let mut anna = centre.office.registered("anna");
    centre.sign_in("anna");
    let mut waiting = centre.call_in(&mut customer);
    receiver.wait("a first attempt", STEP, |all| {
        all.iter().any(|p| p.path == "/all").then_some(())
    });
    // Meanwhile the secret is changed: both are good.
    let change = centre.ask("PATCH", &path, &json!({ "secret": NEW }));
    assert!(
        change.0 == 200 && change.1["earlier_secret_until"].is_string(),
        "{}",
        change.1
    );
    let invite = anna.ring();
    let talk = anna.accept(&invite);
    centre.wait_state("anna", "talk-in");
    customer.hang_up(&mut waiting);
    anna.hung_up(&talk);
    let over = centre.office.over("normal");
    receiver.behave("/all", Behaviour::Accept);

    let first = until_the_end(&receiver, "/all", 1);
    let mut order = names(&first);
    // Which leg ends first is the network's.
    order.retain(|n| n != "leg.ended");
    assert_eq!(
        order,
        [
            "call.started",
            "leg.answered",
            "queue.changed/entered",
            "queue.changed/offered",
            "leg.answered",
            "queue.changed/answered",
            "part.ended",
            "call.ended"
        ]
    );
    let tried: Vec<Push> = receiver.all().into_iter().filter(|p| p.path == "/all").collect();
    assert!(tried.len() > first.len(), "the receiver was down");
    assert_eq!(
        tried[0].header("x-strowger-event"),
        first[0].header("x-strowger-event"),
        "nothing overtakes"
    );
    assert_ne!(first[0].header("x-strowger-attempt"), Some("1"));
    let seqs: Vec<u64> = first.iter().filter_map(|p| p.json()["seq"].as_u64()).collect();
    assert!(seqs.windows(2).all(|w| w[0] < w[1]), "{seqs:?}");
    for push in &first {
        let event = push.json();
        assert_eq!(push.header("x-strowger-event"), event["id"].as_str());
        assert_eq!(event["conversation"], over["id"]);
        let seq = event["seq"].to_string();
        assert_eq!(push.header("x-strowger-sequence"), Some(seq.as_str()));
        let both = format!("{},{}", signature(NEW, push), signature(OLD, push));
        assert_eq!(push.header("x-strowger-signature"), Some(both.as_str()));
    }
    let last = first.last().expect("the end").json();
    assert_eq!(
        (&last["call"]["id"], &last["data"]["cause"]),
        (&over["id"], &json!("normal"))
    );
    assert_eq!(last["call"]["centre"]["parts"][0]["outcome"], "ended", "{last}");
    assert_eq!(names(&until_the_end(&receiver, "/ends", 1)), ["call.ended"]);

    // Again from a sequence on, and again all of it: byte for byte.
    let again = json!({ "conversation": over["id"], "after": seqs[4] });
    let (status, queued) = centre.ask("POST", &format!("{path}/replay"), &again);
    assert_eq!((status, &queued["queued"]), (200, &json!(first.len() - 5)), "{queued}");
    let second = until_the_end(&receiver, "/all", 2);
    let bodies = |all: &[Push]| -> Vec<Vec<u8>> { all.iter().map(|p| p.body.clone()).collect() };
    assert_eq!(bodies(&second[first.len()..]), bodies(&first[5..]));
    let (status, queued) = centre.ask("POST", &format!("{path}/replay"), &span);
    assert_eq!((status, &queued["queued"]), (200, &json!(first.len())), "{queued}");
    let third = until_the_end(&receiver, "/all", 3);
    assert_eq!(bodies(&third[second.len()..]), bodies(&first));
    let past = json!({ "from": "2020-01-01T00:00:00Z", "to": "2020-01-02T00:00:00Z" });
    let (_, queued) = centre.ask("POST", &format!("{path}/replay"), &past);
    assert_eq!(queued["queued"], 0);
    for bad in [
        json!({}),
        json!({ "from": "yesterday", "to": "today" }),
        json!({ "after": 3 }),
    ] {
        assert_eq!(centre.ask("POST", &format!("{path}/replay"), &bad).0, 400, "{bad}");
    }

    // One that is removed is told of nothing more, also not of what was asked for again.
    let before = told(&receiver.all(), "/ends").len();
    let ends = format!("/webhooks/{}", id(&ends));
    assert_eq!(centre.ask("DELETE", &ends, &json!({})).0, 204);
    assert_eq!(centre.ask("POST", &format!("{ends}/replay"), &span).0, 404);
    assert_eq!(told(&receiver.all(), "/ends").len(), before);
    assert_eq!(told(&receiver.all(), "/other").len(), 0);
}

/// States of an agent as they were told, with their positions in its log.
fn states(all: &[Push]) -> Vec<(u64, String)> {
    let state = |p: &Push| {
        let event = p.json();
        let seq = event["seq"].as_u64().expect("a position");
        assert_eq!(
            (&event["topic"], &event["data"]["seq"]),
            (&json!("agent.changed"), &json!(seq))
        );
        (seq, event["data"]["state"].as_str().expect("a state").to_owned())
    };
    all.iter().map(state).collect()
}

#[test]
fn what_agents_do_is_told_also_when_the_process_stopped_in_between() {
    let mut centre = Centre::start_with(&["anna"], &json!({ "wrap_up": "off" }), &json!({}));
    let receiver = Receiver::start();
    let hook = json!({
        "name": "duty", "tenant": centre.office.bed.tenant, "url": receiver.url("/duty"),
        "events": ["agent.changed"], "secret": OLD,
    });
    centre.office.bed.server.create("/webhooks", &hook);
    let until = |receiver: &Receiver, what: &'static str| {
        receiver.wait(what, PATIENCE, |all| {
            let mine = told(all, "/duty");
            states(&mine).iter().any(|(_, s)| s == what).then_some(mine)
        })
    };
    centre.sign_in("anna");
    let first = until(&receiver, "ready");
    assert_eq!(
        first[0].header("x-strowger-signature"),
        Some(signature(OLD, &first[0]).as_str())
    );
    // It is away, and the process is killed: what was queued, and what the log alone knows, comes all the same.
    receiver.behave("/duty", Behaviour::Status(503));
    let (status, view) = centre.ask(
        "PATCH",
        "/agents/anna/duty",
        &json!({ "state": "break", "reason": "lunch" }),
    );
    assert_eq!(status, 200, "{view}");
    centre.office.bed.server.kill_9();
    centre.office.bed.server.launch();
    receiver.behave("/duty", Behaviour::Accept);
    let all = states(&until(&receiver, "break"));
    let mut seqs: Vec<u64> = all.iter().map(|(seq, _)| *seq).collect();
    seqs.dedup();
    assert!(seqs.windows(2).all(|w| w[0] + 1 == w[1]), "no gap, in order: {all:?}");
}
