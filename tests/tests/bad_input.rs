//! Bad input over HTTP, and receivers of pushes that misbehave: a clear answer, nothing lost, nothing blocked.

use serde_json::{Value, json};
use std::time::{Duration, Instant};
use strowger_media_core::g711::Law;
use strowger_tests::bed::{Bed, CALLEE, CALLER, PUSHED};
use strowger_tests::http::{Place, request};
use strowger_tests::party::{Party, SOON};
use strowger_tests::push::Behaviour;
use strowger_tests::wait;

fn code(answer: &Value) -> &str {
    answer["statusCode"].as_str().unwrap_or("no statusCode")
}

// accept: voice-paas 9, 10, 11, 14, 99, 100
#[test]
fn bodies_that_are_no_request_are_refused_with_a_code() {
    let bed = Bed::start();
    let path = bed.path("/ctc/Conversations");
    let deep = format!("{{\"action\":{}1{}}}", "[".repeat(50_000), "]".repeat(50_000));
    let long = json!({ "action": "click2call", "caller": "1".repeat(5000), "callee": CALLEE }).to_string();
    for (body, expected) in [
        (&b"{"[..], "10002"),
        (b"[]", "10002"),
        (b"", "10002"),
        (b"null", "10002"),
        (b"\xff\xfe{}", "10002"),
        (deep.as_bytes(), "10002"),
        (b"{}", "10004"),
        (br#"{"action":"fly"}"#, "10006"),
        (br#"{"action":5}"#, "10005"),
        (br#"{"action":"click2call"}"#, "10004"),
        (
            br#"{"action":"click2call","caller":{"a":1},"callee":"13900000002"}"#,
            "10005",
        ),
        (
            br#"{"action":"click2call","caller":"hello","callee":"13900000002"}"#,
            "10007",
        ),
        (long.as_bytes(), "10007"),
    ] {
        let answer = bed.post(&path, body);
        let shown = String::from_utf8_lossy(&body[..body.len().min(80)]).into_owned();
        assert_eq!((answer.status, code(&answer.json())), (200, expected), "{shown}");
        assert!(
            answer
                .json()
                .as_object()
                .expect("an object")
                .values()
                .all(Value::is_string),
            "every value is a string"
        );
    }
    assert!(bed.server.open_calls().is_empty());
}

// accept: voice-paas 98, 103, 126, 127, 128, 218
#[test]
fn members_of_the_wrong_type_or_value_are_named() {
    let bed = Bed::start();
    let refused = |more: Value, expected: &str, named: &str| {
        let answer = bed.click_answer(&more);
        assert_eq!(code(&answer), expected, "{more}: {answer}");
        let text = answer["statusMsg"].as_str().unwrap_or_default();
        assert!(text.contains(named), "{more}: {text:?} does not name {named}");
    };
    refused(json!({ "record": 3 }), "10005", "record");
    refused(json!({ "record": [1] }), "10005", "record");
    refused(json!({ "maxDuration": -1 }), "10005", "maxDuration");
    refused(json!({ "maxDuration": "ten" }), "10005", "maxDuration");
    refused(json!({ "ringbackMode": 2 }), "10005", "ringbackMode");
    refused(json!({ "statusUrl": "ftp://x/" }), "10005", "statusUrl");
    refused(json!({ "cdrUrl": 5 }), "10005", "cdrUrl");
    refused(json!({ "userData": "x".repeat(257) }), "10011", "");
    refused(json!({ "callee": CALLER }), "10008", "");
    refused(json!({ "callerCli": "02199999999" }), "10009", "");
    refused(json!({ "greetVoice": "nothing.wav" }), "10010", "greetVoice");
    refused(json!({ "greetVoice": "../../etc/passwd" }), "10010", "greetVoice");
    refused(json!({ "callee": "110" }), "30005", "callee");
    refused(json!({ "callee": "+12025550100" }), "30005", "callee");
    // No trunk: accepted forms, refused before anything is signalled.
    refused(json!({}), "30004", "");
    let party = Party::start(Law::A, None);
    bed.caller_at(party.address());
    let sid =
        bed.click(&json!({ "record": "2", "maxDuration": "90", "ringbackMode": "0", "userData": "x".repeat(256) }));
    assert!(sid.starts_with("CV") && sid.len() == 34, "{sid}");
    let sid2 = bed.click(&json!({ "record": 2, "maxDuration": 90, "ringbackMode": 0, "callerCli": null }));
    party.nth_call(0).refuse("486 Busy Here");
    party.nth_call(1).refuse("486 Busy Here");
    bed.over(&sid, PUSHED);
    bed.over(&sid2, PUSHED);
}

// accept: voice-paas 2-6, 13, 135
// accept: domain-model I20
#[test]
fn foreign_credentials_paths_and_ids_find_nothing() {
    let bed = Bed::start();
    let party = Party::start(Law::A, None);
    bed.caller_at(party.address());
    let place = Place::Tcp(bed.server.http());
    let body = json!({ "action": "click2call", "caller": CALLER, "callee": CALLEE }).to_string();
    let send = |authorization: Option<&str>| {
        let headers: Vec<(&str, &str)> = authorization.map(|a| ("Authorization", a)).into_iter().collect();
        let path = bed.path("/ctc/Conversations");
        request(&place, "POST", &path, &headers, Some(body.as_bytes())).unwrap()
    };
    for bad in [
        None,
        Some("Basic !!!"),
        Some("Basic eDp5"),
        Some("Bearer abc"),
        Some("Basic"),
        Some(""),
    ] {
        let answer = send(bad);
        assert_eq!((answer.status, code(&answer.json())), (200, "10001"), "{bad:?}");
    }
    // Another tenant's account does not reach the conversation.
    let other = bed.server.create("/tenants", &json!({ "name": "other" }))["id"].clone();
    let account = bed.server.create("/accounts", &json!({ "name": "o", "tenant": other }));
    let app = bed.server.create(
        "/applications",
        &json!({ "name": "o", "tenant": other, "account": account["id"] }),
    );
    let sid = bed.click(&json!({}));
    let call = party.first_call();
    call.ring();
    let text = |v: &Value| v.as_str().unwrap().to_owned();
    let stranger = Bed {
        account: text(&account["id"]),
        token: text(&account["token"]),
        app: text(&app["id"]),
        ..bed
    };
    let cancel = json!({ "action": "cancelCall" });
    assert_eq!(stranger.command(&sid, &cancel), "20001");
    let unknown = format!("CV{}", "0".repeat(32));
    assert_eq!(stranger.command(&unknown, &cancel), "20001");
    assert_eq!(stranger.command("CV1", &cancel), "20001");
    assert_eq!(stranger.server.open_calls().len(), 1, "the call goes on");
    call.refuse("486 Busy Here");
    let place = Place::Tcp(stranger.server.http());
    let status = |method, path: &str| request(&place, method, path, &[], None).unwrap().status;
    assert_eq!(status("GET", "/nothing"), 404);
    assert_eq!(status("GET", &stranger.path("/ctc/Conversations")), 405);
}

#[test]
fn an_oversized_body_is_refused_and_the_server_goes_on() {
    let bed = Bed::start();
    let path = bed.path("/ctc/Conversations");
    let big = vec![b' '; 1 << 20];
    assert_eq!(bed.post(&path, &big).status, 413);
    // A body that promises more than it brings does not hold the server up either.
    use std::io::Write as _;
    let mut stream = std::net::TcpStream::connect(bed.server.http()).unwrap();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{{"
    )
    .unwrap();
    assert_eq!(bed.post(&path, b"{}").json()["statusCode"], "10004");
}

// accept: voice-paas 135, 136
#[test]
fn cancelling_twice_and_after_the_end_have_their_codes() {
    let bed = Bed::start();
    let party = Party::start(Law::A, None);
    bed.caller_at(party.address());
    let sid = bed.click(&json!({}));
    let call = party.first_call();
    call.ring();
    bed.wait_leg(&sid, 0, "ringing");
    let cancel = json!({ "action": "cancelCall" });
    assert_eq!(bed.command(&sid, &cancel), "00000");
    let second = bed.command(&sid, &cancel);
    assert!(second == "00000" || second == "20002", "{second}");
    let cdr = bed.over(&sid, PUSHED);
    assert_eq!(cdr["byeType"], "0");
    assert_eq!(bed.command(&sid, &cancel), "20002");
}

/// A call that the caller refuses.
fn refused_call(bed: &Bed, party: &Party, more: &Value) -> String {
    let n = party.calls().len();
    let sid = bed.click(more);
    party.nth_call(n).refuse("486 Busy Here");
    sid
}

// accept: voice-paas 157
#[test]
fn a_status_url_that_hangs_delays_neither_the_call_nor_the_record() {
    let bed = Bed::start();
    let party = Party::start(Law::A, None);
    bed.caller_at(party.address());
    bed.push.behave("/hang", Behaviour::Hang);
    let hang = json!({ "statusUrl": bed.push.url("/hang") });
    let begun = Instant::now();
    let sid = refused_call(&bed, &party, &hang);
    bed.cdr(&sid, PUSHED);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    // Nor the pushes of other calls.
    let other = refused_call(&bed, &party, &json!({}));
    bed.over(&other, PUSHED);
}

#[test]
fn a_status_url_that_redirects_in_a_circle_is_given_up_and_blocks_nothing() {
    let bed = Bed::start();
    let party = Party::start(Law::A, None);
    bed.caller_at(party.address());
    bed.push.behave("/loop", Behaviour::Redirect(bed.push.url("/loop")));
    let sid = refused_call(&bed, &party, &json!({ "statusUrl": bed.push.url("/loop") }));
    bed.cdr(&sid, PUSHED);
    let asked = || bed.push.all().iter().filter(|p| p.path == "/loop").count();
    wait::until("the loop to be tried", PUSHED, Duration::from_millis(20), || {
        (asked() > 0).then_some(())
    });
    // One attempt follows at most three redirects; the next attempt is seconds away.
    wait::pause(Duration::from_secs(2));
    assert!(asked() <= 4, "{} requests in one attempt", asked());
    let other = refused_call(&bed, &party, &json!({}));
    bed.over(&other, PUSHED);
}

// accept: voice-paas 165
#[test]
fn a_receiver_that_fails_for_a_while_gets_everything_in_order() {
    let bed = Bed::start();
    let party = Party::start(Law::A, None);
    bed.caller_at(party.address());
    for path in ["/status", "/cdr"] {
        bed.push.behave(path, Behaviour::Status(500));
    }
    let sid = refused_call(&bed, &party, &json!({}));
    let tried = |path: &str| bed.push.all().iter().filter(|p| p.path == path).count();
    for path in ["/status", "/cdr"] {
        wait::until("a first attempt", PUSHED, Duration::from_millis(20), || {
            (tried(path) > 0).then_some(())
        });
    }
    // Another call's pushes, to a path that works, are not held up.
    bed.push.behave("/status2", Behaviour::Accept);
    let other = json!({ "statusUrl": bed.push.url("/status2"), "cdrUrl": bed.push.url("/status2") });
    refused_call(&bed, &party, &other);
    bed.push.wait("pushes to the other path", SOON, |all| {
        (all.iter().filter(|p| p.path == "/status2").count() >= 3).then_some(())
    });
    for path in ["/status", "/cdr"] {
        bed.push.behave(path, Behaviour::Accept);
    }
    let cdr = bed.over(&sid, Duration::from_secs(40));
    assert_eq!(cdr["byeType"], "0");
    let bodies: Vec<Vec<u8>> = bed
        .push
        .all()
        .into_iter()
        .filter(|p| p.path == "/cdr")
        .map(|p| p.body)
        .collect();
    assert!(
        bodies.len() >= 2 && bodies.windows(2).all(|w| w[0] == w[1]),
        "the same body each time"
    );
}

// accept: voice-paas 156
#[test]
fn without_urls_nothing_is_sent_and_nothing_fails() {
    let bed = Bed::start();
    let party = Party::start(Law::A, None);
    bed.caller_at(party.address());
    let sid = refused_call(&bed, &party, &json!({ "statusUrl": null, "cdrUrl": null }));
    wait::until("the end", PUSHED, Duration::from_millis(20), || {
        (bed.show(&sid)["state"] == "ended").then_some(())
    });
    assert_eq!(bed.push.count(), 0);
}
