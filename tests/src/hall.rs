//! A centre of many agents for loads: an office whose queue they serve, customers on a trunk, and the checks that must hold
//! after any load.

use crate::centre::{EVERY, Follower, LINE, STEP};
use crate::digest::User;
use crate::office::{Office, password};
use crate::server::Options;
use crate::wait;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

/// Time until everything has settled after a load on a machine that is busy with other tests.
const SETTLED: Duration = Duration::from_secs(60);

/// A queue and its agents.
pub struct Hall {
    /// The office.
    pub office: Office,
    /// A key of the tenant that may do everything.
    pub key: String,
    /// Logins of the agents, which are names of their devices as well.
    pub agents: Vec<String>,
}

/// A server for a load of this many calls at once. Telephones of one address are many.
pub fn options(calls_at_once: u16) -> Options {
    Options {
        media_ports: (calls_at_once * 6).max(400),
        more: "[guard]\nexempt = [\"127.0.0.0/8\"]\n".to_owned(),
        ..Options::default()
    }
}

impl Hall {
    /// With these settings of the application and of the queue.
    pub fn start(options: Options, agents: usize, settings: &Value, queue: &Value) -> Hall {
        let agents: Vec<String> = (0..agents).map(|n| format!("agent{n:03}")).collect();
        let names: Vec<&str> = agents.iter().map(String::as_str).collect();
        let office = Office::start_with(options, &names);
        let bed = &office.bed;
        let (server, app) = (&bed.server, bed.app.clone());
        let settings = json!({ "settings": settings });
        let put = server.admin("PATCH", &format!("/applications/{app}/centre"), Some(&settings));
        assert_eq!(put.status, 200, "{}", String::from_utf8_lossy(&put.body));
        server.create("/groups", &json!({ "name": "sales", "application": app }));
        let queue = json!({ "name": "sales", "application": app, "group": "sales", "settings": queue });
        server.create("/queues", &queue);
        for name in &agents {
            let agent =
                json!({ "login": name, "application": app, "devices": [name], "skills": [{ "group": "sales" }] });
            server.create("/agents", &agent);
        }
        server.create("/numbers", &json!({ "number": LINE, "tenant": bed.tenant }));
        let route = json!({ "application": app, "number": LINE, "target": { "queue": "sales" } });
        server.create("/routes", &route);
        // Customers come from here; nothing is sent to the address itself.
        bed.trunk("customers", ([127, 0, 0, 1], 9).into(), "");
        let sources = json!({ "sources": ["127.0.0.1"] });
        let patched = server.admin("PATCH", "/trunks/customers", Some(&sources));
        assert_eq!(patched.status, 200, "{}", String::from_utf8_lossy(&patched.body));
        let scopes = json!(["events:read", "calls:read", "centre:supervise"]);
        let key = json!({ "name": "board", "tenant": bed.tenant, "scopes": scopes, "max_rate": 100_000 });
        let key = server.create("/keys", &key)["key"].as_str().expect("a key").to_owned();
        Hall { office, key, agents }
    }

    /// The telephones' names and passwords.
    pub fn users(&self) -> Vec<User> {
        let user = |name: &String| User {
            name: name.clone(),
            password: password(name),
        };
        self.agents.iter().map(user).collect()
    }

    /// All agents sign in and are ready.
    ///
    /// # Panics
    /// If one of them is refused.
    pub fn sign_in(&self) {
        for agent in &self.agents {
            let ready = json!({ "state": "ready" });
            let path = format!("/agents/{agent}/duty");
            let answer = self.office.bed.server.admin("POST", &path, Some(&ready));
            assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        }
    }

    /// How many agents are in each state.
    pub fn states(&self) -> BTreeMap<String, usize> {
        let answer = self.office.bed.server.admin("GET", "/boards/agents", None).json();
        let mut states = BTreeMap::new();
        for agent in answer["items"].as_array().into_iter().flatten() {
            let state = agent["state"].as_str().unwrap_or("none").to_owned();
            *states.entry(state).or_default() += 1;
        }
        states
    }

    /// The queue's board.
    pub fn board(&self) -> Value {
        let answer = self.office.bed.server.admin("GET", "/boards/queues", None);
        answer.json()["items"][0].clone()
    }

    /// Waits until every agent is in this state.
    ///
    /// # Panics
    /// If one stays elsewhere: that one is stuck.
    pub fn wait_all(&self, state: &str) {
        let mut seen = BTreeMap::new();
        let all = BTreeMap::from([(state.to_owned(), self.agents.len())]);
        let end = std::time::Instant::now() + SETTLED;
        while seen != all {
            assert!(
                std::time::Instant::now() < end,
                "all agents are {state}, but there are {seen:?}"
            );
            seen = self.states();
            wait::pause(EVERY);
        }
    }

    /// Follows the tenant's events.
    pub fn follow(&self) -> Follower {
        Follower::connect(self.office.bed.server.http(), &self.key, "")
    }

    /// What holds when a load is over: no agent is anywhere but in `state`, the queue is empty, no call and no leg is left,
    /// and each of `calls` calls has one closed record. The records, oldest first.
    ///
    /// # Panics
    /// If something of that does not hold.
    pub fn at_rest(&mut self, state: &str, calls: u64) -> Vec<Value> {
        self.wait_all(state);
        let board = wait::until("an empty queue", STEP, EVERY, || {
            Some(self.board()).filter(|b| b["waiting"] == 0 && b["offered"] == 0)
        });
        let free = if state == "ready" { self.agents.len() } else { 0 };
        assert_eq!(board["free"], json!(free), "{board}");
        let ended = self.office.ended();
        let ids: BTreeSet<&str> = ended.iter().filter_map(|c| c["id"].as_str()).collect();
        let mut causes: BTreeMap<&str, u64> = BTreeMap::new();
        for call in &ended {
            *causes.entry(call["cause"].as_str().unwrap_or("none")).or_default() += 1;
        }
        assert_eq!(
            (ids.len() as u64, ended.len() as u64),
            (calls, calls),
            "one record a call: {causes:?}"
        );
        ended
    }
}

/// What a follower of all events can say about a whole load: each agent's states follow from one another and fill its time
/// without gap or overlap, no agent has two calls, and each call's way through the queue has one beginning and one end.
#[derive(Debug, Default)]
pub struct Books {
    agents: BTreeMap<String, Vec<(u64, String, String, String)>>,
    queued: BTreeMap<String, Vec<(String, Option<String>)>>,
}

impl Books {
    /// Writes down the events that have come.
    pub fn of(events: &[Value]) -> Books {
        let mut books = Books::default();
        for event in events {
            let (data, text) = (&event["data"], |v: &Value| v.as_str().unwrap_or_default().to_owned());
            match event["topic"].as_str() {
                Some("agent.changed") => {
                    let change = (
                        data["seq"].as_u64().unwrap_or(0),
                        text(&data["from"]),
                        text(&data["state"]),
                        text(&event["at"]),
                    );
                    books.agents.entry(text(&data["agent"])).or_default().push(change);
                }
                Some("queue.changed") => {
                    let agent = data["agent"].as_str().map(str::to_owned);
                    let step = (text(&data["what"]), agent);
                    books.queued.entry(text(&data["conversation"])).or_default().push(step);
                }
                _ => {}
            }
        }
        books
    }

    /// Calls that entered the queue.
    pub fn entered(&self) -> usize {
        self.queued.len()
    }

    /// What does not add up, one line each.
    pub fn faults(&self) -> String {
        let mut faults = String::new();
        for (agent, changes) in &self.agents {
            for pair in changes.windows(2) {
                let [(seq, _, state, at), (next, from, _, then)] = pair else {
                    continue;
                };
                // RFC 3339 in UTC with as many digits each: the order of the texts is that of the times.
                if *next != seq + 1 || from != state || then < at {
                    let _ = writeln!(faults, "agent {agent}: {pair:?}");
                }
            }
            let lost = changes.iter().filter(|(_, from, state, _)| {
                let talks = |s: &str| s.starts_with("talk") || s == "held" || s == "ringing";
                // From one call into another without an end in between.
                talks(from) && state == "reserved"
            });
            for change in lost {
                let _ = writeln!(faults, "agent {agent} was reserved in a call: {change:?}");
            }
        }
        for (call, steps) in &self.queued {
            let count = |what: &str| steps.iter().filter(|(w, _)| w == what).count();
            let ends = count("answered") + count("left");
            let first = steps.first().map(|(w, _)| w.as_str());
            let last = steps.last().map(|(w, _)| w.as_str());
            let good = ends == 1 && count("entered") == 1 && first == Some("entered");
            if !good || !matches!(last, Some("answered" | "left")) {
                let _ = writeln!(faults, "call {call}: {steps:?}");
            }
        }
        faults
    }
}
