//! Recordings that go into a bucket: by way of the spool, through crashes and a bucket that is away, and out again.

use serde_json::json;
use std::net::SocketAddr;
use std::time::Duration;
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
