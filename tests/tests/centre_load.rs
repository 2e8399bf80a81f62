//! Loads on a contact centre: many customers and many agents on the wire against the real binary, and what must hold after
//! each of them: no agent stuck, no leg left, the queue empty, each call one record, each agent's time whole.
//!
//! `STROWGER_CENTRE_RATE`, `STROWGER_CENTRE_SECONDS` and `STROWGER_CENTRE_AGENTS` make the load of the specification of
//! the one that a machine carries beside other tests; `make bench ARGS=queue` measures.

use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use strowger_tests::centre::{EVERY, Follower, LINE, STEP};
use strowger_tests::floor::{Floor, Leaves, Load, Manner, Outcome};
use strowger_tests::hall::{self, Books, Hall};
use strowger_tests::wait;

const PATIENCE: Duration = Duration::from_secs(60);

fn number_of(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

fn quick() -> Value {
    json!({ "wrap_up": "off", "ring_secs": 20 })
}

/// A hall whose agents are registered and ready, and their telephones.
fn open(agents: usize, queue: &Value) -> (Hall, Floor) {
    let hall = Hall::start(hall::options(200), agents, &quick(), queue);
    let mut floor = Floor::new(hall.office.bed.server.sip(), hall.users());
    floor.register();
    hall.sign_in();
    hall.wait_all("ready");
    (hall, floor)
}

fn load(calls: u64, leaves: &[Leaves]) -> Load<'_> {
    Load {
        number: LINE,
        calls,
        rate: None,
        leaves,
        patience: PATIENCE,
    }
}

fn all_well(outcome: &Outcome) {
    assert!(outcome.odd.is_empty(), "{:#?}", outcome.odd);
    assert_eq!(outcome.well, outcome.started);
}

/// Reads all events until nothing is on its way any more, and looks whether they add up.
fn add_up(follower: &mut Follower, calls: usize) {
    let mut left = BTreeSet::new();
    // The last event of each call that waits is its end.
    while left.len() < calls {
        let end = follower.event("queue.changed", |d| {
            matches!(d["what"].as_str(), Some("answered" | "left"))
        });
        left.insert(end["conversation"].to_string());
    }
    let books = Books::of(&follower.heard);
    assert_eq!(books.faults(), "");
    assert_eq!(books.entered(), calls);
}

/// Fifty customers call one agent, who takes them one after another in the order in which they called.
// accept: domain-model I1, I3, I17
#[test]
fn fifty_calls_for_one_agent() {
    let (mut hall, mut floor) = open(1, &json!({}));
    let mut follower = hall.follow();
    floor.behave(Manner {
        talks: Duration::from_millis(20),
        ..Manner::default()
    });
    // One after another: calls of the same millisecond have no order.
    let one_by_one = Load {
        rate: Some(50.0),
        ..load(50, &[])
    };
    let outcome = floor.play(&one_by_one);
    all_well(&outcome);
    assert_eq!(outcome.rung, (0..50).collect::<Vec<u64>>(), "first come, first served");
    add_up(&mut follower, 50);
    let records = hall.at_rest("ready", 50);
    assert!(records.iter().all(|r| r["cause"] == "normal"), "{records:#?}");
}

/// Calls at a rate into a queue whose agents are many: all are answered, nobody is lost.
// accept: domain-model I1, I3, I16
#[test]
fn calls_at_a_rate_for_many_agents() {
    let agents = number_of("STROWGER_CENTRE_AGENTS", 40) as usize;
    let rate = number_of("STROWGER_CENTRE_RATE", 10);
    let calls = rate * number_of("STROWGER_CENTRE_SECONDS", 10);
    let (mut hall, mut floor) = open(agents, &json!({ "strategy": "longest-idle" }));
    let mut follower = hall.follow();
    floor.behave(Manner {
        talks: Duration::from_millis(200),
        ..Manner::default()
    });
    let outcome = floor.play(&Load {
        rate: Some(rate as f64),
        ..load(calls, &[])
    });
    all_well(&outcome);
    assert_eq!(outcome.rung.len() as u64, calls, "each rang once, at one telephone");
    add_up(&mut follower, calls as usize);
    hall.at_rest("ready", calls);
}

/// Twenty telephones ring for one call and are all picked up in the same moment: one of them has the call, the others are
/// told that it was answered elsewhere, and their agents are free.
// accept: domain-model I1, I2
#[test]
fn twenty_answers_at_once() {
    let (mut hall, mut floor) = open(20, &json!({ "strategy": "ring-all" }));
    let mut follower = hall.follow();
    floor.behave(Manner {
        talks: Duration::from_secs(1),
        together: 20,
        ..Manner::default()
    });
    for _ in 0..5 {
        floor.begin();
        let call = floor.call(LINE, Leaves::Talking);
        // The winner talks, and all others are free, while the call goes on.
        wait::until("one agent that talks", STEP, EVERY, || {
            floor.rest(EVERY);
            let states = hall.states();
            (states.get("talk-in") == Some(&1) && states.get("ready") == Some(&19)).then_some(())
        });
        wait::until("every telephone at rest", STEP, EVERY, || {
            floor.rest(EVERY);
            hall.office.bed.server.open_calls().is_empty().then_some(())
        });
        floor.rest(Duration::from_millis(100));
        let mut outcome = floor.finish();
        all_well(&outcome);
        let ends = outcome.ends.remove(&call).expect("it rang");
        let told: BTreeSet<&str> = ends.iter().map(|e| e.agent.as_str()).collect();
        assert_eq!((ends.len(), told.len()), (20, 20), "{ends:#?}");
        let elsewhere = ends.iter().filter(|e| e.reason.contains("cause=200"));
        assert_eq!(elsewhere.count(), 19, "{ends:#?}");
        assert!(ends.iter().all(|e| e.by == "BYE" || e.by == "CANCEL"), "{ends:#?}");
    }
    add_up(&mut follower, 5);
    hall.at_rest("ready", 5);
}

/// Customers leave at every step while others come: none of the agents keeps anything of them.
// accept: domain-model I3, I16
#[test]
fn customers_leave_at_every_step() {
    let (mut hall, mut floor) = open(10, &json!({ "strategy": "round-robin" }));
    let mut follower = hall.follow();
    floor.behave(Manner {
        talks: Duration::from_millis(300),
        ..Manner::default()
    });
    let calls = 120;
    let outcome = floor.play(&Load {
        rate: Some(20.0),
        ..load(calls, &Leaves::ALL)
    });
    all_well(&outcome);
    let records = hall.at_rest("ready", calls);
    let causes: BTreeSet<&str> = records.iter().filter_map(|r| r["cause"].as_str()).collect();
    assert!(
        causes.contains("normal") && causes.contains("abandoned-ringing"),
        "{causes:?}"
    );
    assert_eq!(Books::of(&drain(&hall, &mut follower)).faults(), "");
}

/// Everything that has come when all is at rest: up to an event that is made for this.
fn drain(hall: &Hall, follower: &mut Follower) -> Vec<Value> {
    let bed = &hall.office.bed;
    let group = json!({ "name": "marker", "application": bed.app });
    bed.server.create("/groups", &group);
    let _ = follower.event("resources.changed", |d| d["resource"] == "groups");
    follower.heard.clone()
}

/// `kill -9` in the middle of a load: each call that had begun has one record, no agent is stuck, and all of them take calls
/// again.
// accept: domain-model I19
#[test]
fn a_crash_under_load() {
    let (mut hall, mut floor) = open(10, &json!({ "strategy": "longest-idle" }));
    floor.behave(Manner {
        talks: Duration::from_millis(400),
        ..Manner::default()
    });
    floor.begin();
    // Some talk, some ring, some wait: three times as many as there are agents.
    for _ in 0..30 {
        floor.call(LINE, Leaves::Never);
    }
    wait::until("agents that talk while others wait", STEP, EVERY, || {
        floor.rest(EVERY);
        (hall.states().contains_key("talk-in") && hall.board()["waiting"].as_u64() > Some(5)).then_some(())
    });
    hall.office.bed.server.kill_9();
    hall.office.bed.server.launch();
    hall.wait_all("ready");
    let ended = hall.office.ended();
    assert!(ended.len() <= 30, "no call has two records: {}", ended.len());
    let lost = ended.iter().filter(|c| c["cause"] == "system-error").count();
    assert!(lost > 5, "the calls of the crash are closed: {ended:#?}");
    let odd = |c: &&Value| !matches!(c["cause"].as_str(), Some("system-error" | "normal"));
    assert_eq!(ended.iter().find(odd), None);
    // Registrations outlive the process, or are made anew as telephones do.
    floor.finish();
    floor.register();
    let mut follower = hall.follow();
    let outcome = floor.play(&load(40, &[]));
    all_well(&outcome);
    add_up(&mut follower, 40);
    hall.at_rest("ready", 40);
}
