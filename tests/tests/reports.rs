//! Reports on the wire: what the real binary says of calls that were seen, and that nothing but its journal is needed for it.

use serde_json::{Value, json};
use std::time::Duration;
use strowger_tests::centre::{Centre, EVERY, STEP};
use strowger_tests::{http, wait};

fn report(centre: &Centre, name: &str) -> Value {
    let app = &centre.office.bed.app;
    let (status, report) = centre.ask(
        "GET",
        &format!("/reports/{name}?application={app}&interval=1440"),
        &json!({}),
    );
    assert_eq!(status, 200, "{report}");
    report
}

fn table(centre: &Centre, name: &str) -> Vec<Vec<String>> {
    let app = &centre.office.bed.app;
    let answer: http::Answer = centre.office.bed.server.admin(
        "GET",
        &format!("/reports/{name}/csv?application={app}&interval=1440"),
        None,
    );
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").is_some_and(|t| t.starts_with("text/csv")));
    let text = String::from_utf8(answer.body).expect("UTF-8");
    let lines = text.trim_end().split("\r\n");
    lines.map(|l| l.split(',').map(str::to_owned).collect()).collect()
}

/// One call is answered, held, and wrapped up; one is missed, then abandoned. Reports by queue, agent, hour and number say
/// so, the same after a crash: there is nothing to make them of but the journal.
#[test]
fn reports_are_made_of_the_journal_alone() {
    let settings = json!({ "ring_secs": 5, "wrap_up": { "seconds": 1 }, "no_answer": "not-ready" });
    let mut centre = Centre::start_with(&["anna"], &settings, &json!({ "short_secs": 1 }));
    let mut customer = centre.office.registered("customer");
    let mut anna = centre.office.registered("anna");
    let token = centre.log_in("anna");
    let key = json!({ "name": "board", "tenant": centre.office.bed.tenant, "scopes": ["events:read"] });
    let key = centre.office.bed.server.create("/keys", &key)["key"]
        .as_str()
        .expect("a key")
        .to_owned();
    let mut board = centre.follow(&key);
    centre.sign_in_as("anna", &token);
    let mut waiting = centre.call_in(&mut customer);
    let entered = board.event("queue.changed", |d| d["what"] == "entered");
    assert!(entered["waiting"].is_u64() && entered["ringing"].is_u64(), "{entered}");
    let invite = anna.ring();
    anna.reply(&invite, "180 Ringing", "", None);
    let talk = anna.accept(&invite);
    board.event("queue.changed", |d| {
        d["what"] == "answered" && d["waiting"] == 0 && d["ringing"] == 0
    });
    centre.wait_state("anna", "talk-in");
    centre.act("anna", &json!({ "action": "hold" }));
    centre.wait_state("anna", "held");
    anna.rest_for(Duration::from_millis(1_100));
    centre.act("anna", &json!({ "action": "retrieve" }));
    centre.wait_state("anna", "talk-in");
    customer.hang_up(&mut waiting);
    anna.hung_up(&talk);
    centre.wait_state("anna", "ready");
    centre.office.over("normal");

    let mut waiting = centre.call_in(&mut customer);
    let invite = anna.ring();
    anna.reply(&invite, "180 Ringing", "", None);
    let cancel = anna.take_within("a CANCEL", STEP, |m| m.method() == "CANCEL" && m.status().is_none());
    anna.reply(&cancel, "200 OK", "", None);
    anna.reply(&invite, "487 Request Terminated", "", None);
    centre.wait_state("anna", "not-ready");
    customer.hang_up(&mut waiting);
    centre.office.over("abandoned-queue");

    let look = || {
        let mut all: Vec<Value> = ["queues", "hours", "numbers"]
            .iter()
            .map(|n| report(&centre, n)["rows"].clone())
            .collect();
        let mut agents = report(&centre, "agents")["rows"].clone();
        // Time goes on.
        for row in agents.as_array_mut().expect("rows") {
            for of in ["not_ready", "off_duty"] {
                row["states_ms"][of] = Value::Null;
            }
            row["duty_ms"] = Value::Null;
        }
        all.push(agents);
        all
    };
    let before = wait::until("a whole report", STEP, EVERY, || {
        Some(look()).filter(|all| all[3][0]["wrap_up_ms"].as_u64() > Some(0))
    });
    let queue = &before[0][0];
    let counts = [
        "offered",
        "answered",
        "answered_in_time",
        "abandoned",
        "abandoned_short",
        "handled",
        "missed",
        "waiting",
    ];
    let counts: Vec<u64> = counts.iter().filter_map(|c| queue[*c].as_u64()).collect();
    assert_eq!(counts, [2, 1, 1, 1, 0, 1, 1, 0], "{queue}");
    assert_eq!(
        (&queue["service_level"], &queue["abandonment"]),
        (&json!(500), &json!(500)),
        "{queue}"
    );
    assert!(
        queue["hold_ms"].as_u64() >= Some(1_000) && queue["wrap_up_ms"].as_u64() >= Some(900),
        "{queue}"
    );
    let mut hour = before[1][0].clone();
    hour["queue"] = queue["queue"].clone();
    hour["name"] = json!("sales");
    assert_eq!(&hour, queue, "one queue is all queues");
    let number = &before[2][0];
    assert_eq!(
        (
            &number["number"],
            &number["incoming"],
            &number["answered"],
            &number["unanswered"]
        ),
        (&json!("+862161000009"), &json!(2), &json!(1), &json!(1)),
        "{number}"
    );
    let agent = &before[3][0];
    assert_eq!(
        (&agent["login"], &agent["offers"], &agent["handled"], &agent["missed"]),
        (&json!("anna"), &json!(2), &json!(1), &json!(1)),
        "{agent}"
    );
    for (name, rows) in [("queues", 2), ("hours", 2), ("agents", 2), ("numbers", 2)] {
        let lines = table(&centre, name);
        assert!(
            lines.len() >= rows && lines.iter().all(|l| l.len() == lines[0].len()),
            "{name}: {lines:?}"
        );
    }
    centre.office.bed.server.kill_9();
    centre.office.bed.server.launch();
    let look = || {
        let names = ["queues", "hours", "numbers"];
        names.map(|n| report(&centre, n)["rows"].clone())
    };
    assert_eq!(look()[..], before[..3], "made again from the journal");
    let agents = report(&centre, "agents")["rows"].clone();
    for member in ["offers", "handled", "missed", "talk_ms", "hold_ms", "wrap_up_ms"] {
        assert_eq!(agents[0][member], before[3][0][member], "{member}");
    }
    // What is no report is refused with what to do.
    for query in [
        "interval=7",
        "from=yesterday",
        "from=2026-01-01T00:00:00Z&to=2026-03-01T00:00:00Z",
    ] {
        let app = &centre.office.bed.app;
        let (status, problem) = centre.ask("GET", &format!("/reports/queues?application={app}&{query}"), &json!({}));
        assert_eq!(
            (status, problem["code"].as_str()),
            (400, Some("request.parameter")),
            "{query}: {problem}"
        );
    }
}
