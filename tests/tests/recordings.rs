//! Recordings that go into a bucket: by way of the spool, through crashes and a bucket that is away, and out again.

use serde_json::json;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use strowger_media_core::g711::Law;
use strowger_tests::bed::{Bed, PUSHED};
use strowger_tests::bucket::Bucket;
use strowger_tests::http::{Answer, Place, request};
use strowger_tests::party::Party;
use strowger_tests::server::{Options, free_tcp};
use strowger_tests::wait;

/// A short talk with a recording; gives back the conversation.
fn talk(bed: &Bed, a: &Party, b: &Party) -> String {
    let (n, m) = (a.calls().len(), b.calls().len());
    let sid = bed.click(&json!({ "record": 2 }));
    let caller = a.nth_call(n);
    caller.answer();
    let callee = b.nth_call(m);
    callee.ring();
    callee.answer();
    wait::until("both hear", Duration::from_secs(10), Duration::from_millis(10), || {
        (caller.line().hears(750.0) && callee.line().hears(600.0)).then_some(())
    });
    caller.hang_up();
    bed.over(&sid, PUSHED);
    sid
}

fn spooled(bed: &Bed) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(bed.server.data().join("recordings")).expect("the spool");
    entries.map(|e| e.expect("an entry").path()).collect()
}

fn metric(bed: &Bed, name: &str) -> f64 {
    let page = request(&Place::Tcp(bed.server.http()), "GET", "/metrics", &[], None).expect("metrics");
    let page = String::from_utf8_lossy(&page.body).into_owned();
    let line = page.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(' '));
    line.expect("the metric").parse().expect("a number")
}

fn whole(bed: &Bed, sid: &str) -> (Vec<u8>, String) {
    let id = &bed.show(sid)["id"].as_str().expect("an id").to_owned();
    let body = json!({ "name": "fetch", "tenant": bed.tenant, "scopes": ["calls:read"] });
    let made = bed.server.create("/keys", &body);
    let key = made["key"].as_str().expect("a key");
    let get = |range: Option<&str>| -> Answer {
        let path = format!("/api/v1/calls/{id}/recordings/0");
        let bearer = format!("Bearer {key}");
        let mut headers = vec![("Authorization", bearer.as_str())];
        headers.extend(range.map(|r| ("Range", r)));
        request(&Place::Tcp(bed.server.http()), "GET", &path, &headers, None).expect("an answer")
    };
    let all = get(None);
    assert_eq!(all.status, 200, "{}", String::from_utf8_lossy(&all.body));
    let part = get(Some("bytes=0-3"));
    assert_eq!((part.status, part.body.as_slice()), (206, &b"RIFF"[..]));
    assert_eq!(get(Some("bytes=999999999-")).status, 416);
    (all.body, id.clone())
}

/// Milliseconds between two times as the API writes them, of the same hour or two neighbouring ones.
fn apart(from: &str, until: &str) -> i64 {
    let of_day = |text: &str| -> i64 {
        let time = text.split_once('T').expect("a date and a time").1.trim_end_matches('Z');
        let mut parts = time.split(':');
        let mut whole = || parts.next().expect("a part").parse::<f64>().expect("a number");
        ((whole() * 3600.0 + whole() * 60.0 + whole()) * 1000.0).round() as i64
    };
    (of_day(until) - of_day(from)).rem_euclid(86_400_000)
}

// accept: domain-model M50
#[test]
fn ten_seconds_of_a_minute_are_left_out() {
    let bed = Bed::start();
    let (a, b) = (Party::start(Law::A, Some(600.0)), Party::start(Law::A, Some(750.0)));
    bed.caller_at(a.address());
    bed.callee_at(b.address());
    let sid = bed.click(&json!({ "record": 2 }));
    let caller = a.nth_call(0);
    caller.answer();
    let callee = b.nth_call(0);
    callee.ring();
    callee.answer();
    let began = Instant::now();
    let body = json!({ "name": "record", "tenant": bed.tenant, "scopes": ["calls:read", "calls:write"] });
    let bearer = format!(
        "Bearer {}",
        bed.server.create("/keys", &body)["key"].as_str().expect("a key")
    );
    let id = bed.show(&sid)["id"].as_str().expect("an id").to_owned();
    let http = Place::Tcp(bed.server.http());
    let ask = |method: &str, path: &str, body: Option<&serde_json::Value>| -> Answer {
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
        let body = body.map(|b| b.to_string().into_bytes());
        let path = format!("/api/v1/calls/{id}{path}");
        request(&http, method, &path, &headers, body.as_deref()).expect("an answer")
    };
    let change = |action: &str| {
        let answer = ask("POST", "/recording", Some(&json!({ "action": action })));
        assert!(
            answer.status < 300,
            "{action}: {}",
            String::from_utf8_lossy(&answer.body)
        );
    };
    let until = |seconds: u64| wait::pause(Duration::from_secs(seconds).saturating_sub(began.elapsed()));
    until(25);
    change("pause");
    let paused = Instant::now();
    wait::pause(Duration::from_secs(10));
    change("resume");
    let pause = paused.elapsed();
    until(60);
    caller.hang_up();
    let talk = began.elapsed();
    bed.over(&sid, PUSHED);
    let view = ask("GET", "", None).json();
    let pauses = view["centre"]["pauses"].as_array().expect("pauses");
    assert_eq!(pauses.len(), 1, "{view}");
    assert_eq!(
        (&pauses[0]["recording"], &pauses[0]["masked"]),
        (&json!(0), &json!(false))
    );
    let text = |key: &str| pauses[0][key].as_str().expect("a time").to_owned();
    let named = apart(&text("from"), &text("until"));
    assert!(
        (named - pause.as_millis() as i64).abs() < 500,
        "{named} ms named of {pause:?}"
    );
    let file = ask("GET", "/recordings/0", None).body;
    let (left, _) = strowger_media_core::wav::read_stereo(&file).expect("a file of two channels");
    let (millis, wanted) = (left.len() as i64 / 8, (talk - pause).as_millis() as i64);
    // About 50 s; on a machine without time for it the talk is longer, and the file with it.
    assert!((millis - wanted).abs() < 1_500, "{millis} ms of {wanted}");
}

#[test]
fn a_bucket_that_is_away_loses_no_recording_and_no_call() {
    if !Bucket::is_installed() {
        return;
    }
    let at = SocketAddr::from(([127, 0, 0, 1], free_tcp()));
    let mut bed = Bed::start_with(Options {
        more: format!(
            "[recording]\nstore = \"s3\"\n[recording.s3]\nbucket = \"recordings\"\nprefix = \"calls\"\n\
             endpoint = \"http://{at}\"\naccess_key = \"key\"\nsecret_key = \"secret\"\n"
        ),
        ..Options::default()
    });
    let (a, b) = (Party::start(Law::A, Some(600.0)), Party::start(Law::Mu, Some(750.0)));
    bed.caller_at(a.address());
    bed.callee_at(b.address());
    // Nobody listens there: the recording waits, is served, and that it waits is told.
    let first = talk(&bed, &a, &b);
    let (content, _) = whole(&bed, &first);
    wait::until("a failure", Duration::from_secs(60), Duration::from_millis(100), || {
        (metric(&bed, "strowger_recordings_store_failures_total") > 0.0).then_some(())
    });
    assert_eq!(metric(&bed, "strowger_recordings_waiting"), 1.0);
    assert!(bed.server.log().contains("recordings wait in the spool"));
    bed.server.kill_9();
    bed.server.launch();
    let second = talk(&bed, &a, &b);
    let bucket = Bucket::start(at);
    wait::until(
        "the bucket to have both",
        Duration::from_secs(120),
        Duration::from_millis(100),
        || (bucket.keys().len() == 2 && spooled(&bed).is_empty()).then_some(()),
    );
    assert!(
        bucket
            .keys()
            .iter()
            .all(|k| k.starts_with("calls/20") && k.ends_with(".wav"))
    );
    assert_eq!(whole(&bed, &first).0, content, "the same as it was in the spool");
    whole(&bed, &second);
    // The link of the record leads there too.
    let cdr = bed.cdr(&second, PUSHED);
    let url = cdr["recordingUrl"].as_str().expect("a link");
    let path = url
        .strip_prefix(&format!("http://{}", bed.server.http()))
        .expect("our address");
    let answer = request(&Place::Tcp(bed.server.http()), "GET", path, &[], None).expect("an answer");
    assert!(answer.status == 200 && answer.body.starts_with(b"RIFF"));
    // Away again: what lies there cannot be had, and that is said.
    drop(bucket);
    let answer = request(&Place::Tcp(bed.server.http()), "GET", path, &[], None).expect("an answer");
    assert_eq!(
        (answer.status, &answer.json()["code"]),
        (503, &json!("recording.store"))
    );
}
