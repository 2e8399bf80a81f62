//! `kill -9` at every step of a click2call: after the restart there is one record, the deliveries are complete and in
//! order, and nothing is left ringing.

use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use strowger_media_core::g711::Law;
use strowger_store::{MasterKey, Store, StoreConfig};
use strowger_tests::bed::Bed;
use strowger_tests::journal::Journal;
use strowger_tests::party::{Party, SOON};
use strowger_tests::push::Push;
use strowger_tests::sipp::{Run, installed};
use strowger_tests::wait;

/// Lets one call after the other run by a fixed script, until told to stop: the caller rings and answers, the callee too,
/// they talk, the caller hangs up.
fn play_parties(caller: &Party, callee: &Party, stop: &AtomicBool) {
    let step = Duration::from_millis(60);
    let (mut n, mut m) = (0, 0);
    let mut talking = None;
    while !stop.load(Ordering::Relaxed) {
        if let Some(call) = caller.calls().get(n) {
            n += 1;
            wait::pause(step);
            call.ring();
            wait::pause(step);
            if call.ended().is_none() {
                call.answer_without_waiting();
            }
            talking = Some(call.clone());
        }
        if let Some(call) = callee.calls().get(m) {
            m += 1;
            wait::pause(step);
            call.ring();
            wait::pause(step);
            if call.ended().is_none() {
                call.answer_without_waiting();
            }
            wait::pause(step * 4);
            if let Some(caller) = talking.take().filter(|c| c.ended().is_none()) {
                caller.hang_up();
            }
        }
        wait::pause(Duration::from_millis(2));
    }
}

/// Deliveries of a conversation as an integrator keeps them: in order of arrival, repetitions dropped by their key.
fn deliveries(all: &[Push], path: &str, sid: &str) -> Vec<Value> {
    let mut seen = BTreeSet::new();
    let own = all
        .iter()
        .filter(|p| p.path == path && p.json()["conversationSid"] == sid);
    own.filter(|p| seen.insert(p.body.clone())).map(Push::json).collect()
}

/// One record, and the statuses of each of its legs complete and in order.
fn check(bed: &Bed, sid: &str, step: &str) -> Value {
    let found = |all: &[Push]| {
        let records = deliveries(all, "/cdr", sid);
        let legs = records.first()?["cdrs"].as_array()?.len();
        let statuses = deliveries(all, "/status", sid);
        let completed = statuses.iter().filter(|s| s["callStatus"] == "completed").count();
        (completed == legs).then_some((records, statuses))
    };
    let what = format!("deliveries after a kill at {step}");
    let (records, statuses) = bed.push.wait(&what, Duration::from_secs(20), found);
    // A record whose recording came later may be enriched; there is one record nevertheless.
    for record in &records[1..] {
        let strip = |v: &Value| {
            let mut v = v.clone();
            v["recordingUrl"] = json!("");
            v["recordingDuration"] = json!("0");
            v
        };
        assert_eq!(strip(record), strip(&records[0]), "{step}: two records");
    }
    let record = records[0].clone();
    for leg in record["cdrs"].as_array().expect("legs") {
        let own: Vec<&str> = statuses
            .iter()
            .filter(|s| s["callSid"] == leg["callSid"])
            .map(|s| s["callStatus"].as_str().expect("a word"))
            .collect();
        let order = ["initiated", "ringing", "answered", "completed"];
        let expected: Vec<&str> = order
            .into_iter()
            .filter(|w| match *w {
                "ringing" => leg["ringTime"] != "",
                "answered" => leg["answerTime"] != "",
                _ => true,
            })
            .collect();
        assert_eq!(own, expected, "{step}: statuses of leg {}", leg["callSeq"]);
    }
    record
}

/// Kinds of a conversation's events, read from the data folder of a server that has stopped.
fn kinds(bed: &Bed, sids: &[String]) -> Vec<Vec<&'static str>> {
    let data = bed.server.data();
    let hex = std::fs::read_to_string(data.join("master.key")).expect("the key of a new folder");
    let mut key = [0; 32];
    for (i, octet) in key.iter_mut().enumerate() {
        *octet = u8::from_str_radix(&hex.trim()[2 * i..2 * i + 2], 16).expect("hexadecimal digits");
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("an event loop");
    runtime.block_on(async {
        let store = Store::open(StoreConfig::new(data.join("db"), MasterKey::new(key))).expect("the store opens");
        let tenant = bed.tenant.parse().expect("a tenant's id");
        let mut all = Vec::new();
        for sid in sids {
            let id = sid[2..].parse().expect("a conversation's id");
            let events = store.load_events(tenant, id).await.expect("the log can be read");
            assert!(events.iter().zip(1..).all(|(e, n)| e.seq == n), "numbered without gaps");
            all.push(events.iter().map(|e| e.fact.kind()).collect());
        }
        all
    })
}

// accept: voice-paas 158
// accept: domain-model I3, I9, I19
#[test]
fn killed_at_every_step_a_call_has_one_record_and_nothing_rings_on() {
    let mut bed = Bed::start();
    let (caller, callee) = (Party::start(Law::A, Some(600.0)), Party::start(Law::A, Some(750.0)));
    bed.caller_at(caller.address());
    bed.callee_at(callee.address());
    bed.prompt("greet", 1100.0, 150);
    let more = json!({ "greetVoice": "greet", "record": 1 });
    let stop = AtomicBool::new(false);
    let mut sids = Vec::new();
    std::thread::scope(|scope| {
        let playing = scope.spawn(|| play_parties(&caller, &callee, &stop));
        let _stop = StopAtEnd(&stop);
        // Without a kill, to see how many events there are.
        let sid = bed.click(&more);
        let whole = check(&bed, &sid, "nothing");
        assert_eq!(whole["byeType"], "3");
        wait::until("the late facts", SOON, Duration::from_millis(20), || {
            (bed.show(&sid)["recordings"][0]["state"] == "finished").then_some(())
        });
        let steps = bed.show(&sid)["seq"].as_i64().expect("a number of events");
        assert!(steps > 12, "{steps} events");
        sids.push(sid);
        for step in 1..=steps {
            let sid = kill_at(&mut bed, step, &more);
            let name = format!("event {step} of {steps}");
            let record = check(&bed, &sid, &name);
            assert!(
                bed.server.open_calls().is_empty(),
                "{name}: a call is open after the restart"
            );
            let reason = record["endReason"].as_str().expect("a reason");
            assert!(matches!(reason, "system" | "normal"), "{name}: {record}");
            released(&[&caller, &callee], &name);
            sids.push(sid);
        }
        assert!(!playing.is_finished());
    });
    bed.server.stop();
    let kinds = kinds(&bed, &sids);
    let covered: BTreeSet<&str> = kinds[0].iter().copied().collect();
    for kind in [
        "conversation.created",
        "leg.created",
        "leg.attempt",
        "leg.ringing",
        "leg.answered",
        "leg.bridged",
        "recording.started",
        "recording.finished",
        "leg.ended",
        "leg.quality",
        "conversation.ending",
        "conversation.ended",
    ] {
        assert!(covered.contains(kind), "{kind} is no step of the call: {covered:?}");
    }
    for kinds in &kinds {
        let ends = kinds.iter().filter(|k| **k == "conversation.ended").count();
        assert_eq!(ends, 1, "{kinds:?}");
        let created = kinds.iter().filter(|k| **k == "leg.created").count();
        assert_eq!(
            kinds.iter().filter(|k| **k == "leg.ended").count(),
            created,
            "{kinds:?}"
        );
    }
}

struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Starts a call, kills the server as soon as its log has `step` events, and starts it again.
fn kill_at(bed: &mut Bed, step: i64, more: &Value) -> String {
    let journal = Journal::open(&bed.server);
    let before = journal.position();
    let bed_ref: &Bed = bed;
    let found = std::thread::scope(|scope| {
        // The answer may come or not; the log decides whether there is a call.
        scope.spawn(|| std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| bed_ref.click_answer(more))));
        let end = Instant::now() + Duration::from_secs(20);
        let sid = loop {
            match journal.newest_after(before) {
                Some((sid, n)) if n >= step => break sid,
                _ => assert!(Instant::now() < end, "no event {step}"),
            }
            wait::pause(Duration::from_micros(200));
        };
        bed_ref.server.signal_9();
        sid
    });
    drop(journal);
    bed.server.kill_9();
    bed.server.launch();
    format!("CV{found}")
}

/// No call of the parties is left.
fn released(parties: &[&Party], step: &str) {
    let what = format!("the far sides to be released after a kill at {step}");
    wait::until(&what, Duration::from_secs(15), Duration::from_millis(20), || {
        let open = parties.iter().flat_map(|p| p.calls()).filter(|c| c.ended().is_none());
        (open.count() == 0).then_some(())
    });
}

// accept: domain-model I19
#[test]
fn sipp_is_released_by_a_restart_in_each_phase() {
    if !installed() {
        return;
    }
    for (caller, callee, leg, state) in [
        ("uas-no-answer-restart", None, 0, "ringing"),
        ("uas-answer", Some("uas-no-answer-restart"), 1, "ringing"),
        ("uas-answer", Some("uas-answer"), 1, "talking"),
    ] {
        let mut bed = Bed::start();
        let a = Run::of(caller).listen();
        bed.caller_at(a.address());
        let b = callee.map(|scenario| Run::of(scenario).listen());
        if let Some(b) = &b {
            bed.callee_at(b.address());
        }
        let sid = bed.click(&json!({}));
        bed.wait_leg(&sid, leg, state);
        bed.server.kill_9();
        bed.server.launch();
        let record = check(&bed, &sid, state);
        assert_eq!(record["endReason"], "system");
        // SIPp succeeds only if it was cancelled or hung up on, as its scenario says.
        a.succeed();
        b.map(strowger_tests::sipp::Sipp::succeed);
    }
}

#[test]
fn a_delivery_that_was_due_is_made_after_a_restart() {
    let mut bed = Bed::start();
    let caller = Party::start(Law::A, None);
    bed.caller_at(caller.address());
    for path in ["/status", "/cdr"] {
        bed.push.behave(path, strowger_tests::push::Behaviour::Status(503));
    }
    let sid = bed.click(&json!({}));
    caller.first_call().refuse("486 Busy Here");
    bed.push.wait("an attempt", SOON, |all| {
        all.iter().any(|p| p.path == "/cdr").then_some(())
    });
    bed.server.kill_9();
    let before = bed.push.count();
    for path in ["/status", "/cdr"] {
        bed.push.behave(path, strowger_tests::push::Behaviour::Accept);
    }
    bed.server.launch();
    bed.push.wait("the deliveries", Duration::from_secs(40), |all| {
        let accepted = |path: &str| all[before..].iter().filter(|p| p.path == path && p.accepted).count();
        (accepted("/cdr") == 1 && accepted("/status") == 2).then_some(())
    });
    check(&bed, &sid, "a failed delivery");
}
