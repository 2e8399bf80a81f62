//! Voice notices, batches and verification codes on the wire: what a telephone hears, what is pushed, and `kill -9`.

use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use strowger_media_core::FRAME;
use strowger_media_core::dtmf_tone::DtmfTones;
use strowger_media_core::g711::Law;
use strowger_tests::bed::{Bed, CALLEE, CALLEE_CLI, PUSHED};
use strowger_tests::party::{Call, Ended, Party, SOON};
use strowger_tests::push::{Behaviour, Push};
use strowger_tests::sound::Sound;
use strowger_tests::wait;

const FIRST: f32 = 1100.0;
const SECOND: f32 = 1400.0;
const FINISH: f32 = 1700.0;

/// A telephone that notices go to.
struct Scene {
    bed: Bed,
    callee: Party,
}

impl Scene {
    fn start(law: Law) -> Scene {
        let bed = Bed::start();
        // It sends nothing of its own, as somebody who listens.
        let callee = Party::start(law, None);
        bed.callee_at(callee.address());
        bed.prompt("first", FIRST, 600);
        bed.prompt("second", SECOND, 400);
        bed.prompt("finish", FINISH, 500);
        Scene { bed, callee }
    }

    fn notice(&self, more: &Value) -> String {
        let mut body = json!({
            "appid": self.bed.app, "to": CALLEE, "contents": [{"type": "voice", "content": "first"}],
            "callbackurl": self.bed.push.url("/notice"), "userdata": "u",
        });
        for (name, value) in more.as_object().expect("an object") {
            body[name] = value.clone();
        }
        let answer = post(&self.bed, "VoiceNotices", &body);
        assert_eq!(answer["statusCode"], "0", "{answer}");
        answer["callid"].as_str().expect("a callid").to_owned()
    }

    /// The result of a call.
    fn result(&self, call: &str) -> Value {
        result(&self.bed, call)
    }
}

fn post(bed: &Bed, what: &str, body: &Value) -> Value {
    let path = format!("/Accounts/{}/{what}", bed.account);
    let answer = bed.post(&path, body.to_string().as_bytes());
    assert_eq!(answer.status, 200);
    answer.json()
}

fn result(bed: &Bed, call: &str) -> Value {
    bed.push.wait("the result", PUSHED, |all| {
        let mut of = all.iter().filter(|p| p.path == "/notice" && p.accepted).map(Push::json);
        of.find(|v| v["callid"] == call)
    })
}

/// Answers the next call and waits until the platform has hung up.
fn listen(call: &Call) -> Sound {
    call.ring();
    call.answer();
    let (ended, _) = call.wait_end(Duration::from_secs(60));
    assert_eq!(ended, Ended::Bye, "we hang up");
    call.line().heard()
}

/// Starts of the spans of a frequency, and their lengths.
fn spans(sound: &Sound, hz: f32) -> Vec<(usize, usize)> {
    sound
        .spans(hz)
        .into_iter()
        .map(|(from, to)| (from, to - from))
        .collect()
}

// accept: voice-paas 27, 28, 29, 30, 36, 37, 38
#[test]
fn items_are_heard_in_order_as_often_as_asked_at_the_right_speed_and_level() {
    for (law, times, rounds) in [
        (Law::A, json!(null), 2),
        (Law::Mu, json!(1), 1),
        (Law::A, json!("3"), 3),
    ] {
        let scene = Scene::start(law);
        let contents = json!([{"type": "voice", "content": "first"}, {"type": "voice", "content": "second"}]);
        let call = scene.notice(&json!({ "contents": contents, "times": times, "from": CALLEE_CLI }));
        let phone = scene.callee.first_call();
        assert_eq!(phone.numbers().1, CALLEE_CLI);
        phone.ring();
        // Nothing is played to a telephone that rings.
        wait::pause(Duration::from_millis(300));
        assert_eq!(phone.line().packets().len(), 0);
        let heard = listen(&phone);
        let (first, second) = (spans(&heard, FIRST), spans(&heard, SECOND));
        assert_eq!((first.len(), second.len()), (rounds, rounds), "{first:?} {second:?}");
        for (a, b) in first.iter().zip(&second) {
            // A tone of another frequency or length would be one at another speed; the probe's threshold is its level.
            assert!((540..=680).contains(&a.1) && (340..=480).contains(&b.1), "{a:?} {b:?}");
            assert!(b.0 >= a.0 + a.1, "in order");
        }
        let body = scene.result(&call);
        assert_eq!(
            (&body["result"], &body["inputkey"], &body["userdata"]),
            (&json!("0"), &json!(""), &json!("u"))
        );
    }
}

// accept: voice-paas 40, 41, 55
#[test]
fn the_finish_key_stops_the_item_and_plays_the_last_voice() {
    let scene = Scene::start(Law::A);
    scene.bed.prompt("long", SECOND, 8000);
    let call = scene.notice(&json!({
        "contents": [{"type": "voice", "content": "long"}], "finishkey": "1", "repeatkey": "2", "finishvoice": "finish",
    }));
    let phone = scene.callee.first_call();
    phone.ring();
    phone.answer();
    let line = phone.line();
    wait::until("the item", SOON, Duration::from_millis(10), || {
        line.hears(SECOND).then_some(())
    });
    // RFC 4733: one event of 100 ms in several packets, the last of them three times, is one key: one more round.
    line.press("2");
    wait::until("the second round", SOON, Duration::from_millis(10), || {
        (spans(&line.heard(), SECOND).len() == 2).then_some(())
    });
    line.press("1");
    let (ended, _) = phone.wait_end(SOON);
    assert_eq!(ended, Ended::Bye);
    let heard = line.heard();
    let rounds = spans(&heard, SECOND);
    assert_eq!(rounds.len(), 2, "{rounds:?}");
    assert!(
        rounds.iter().all(|(_, length)| *length < 7000),
        "stopped at once: {rounds:?}"
    );
    let last = spans(&heard, FINISH);
    assert_eq!(last.len(), 1, "{last:?}");
    assert!((420..=600).contains(&last[0].1), "heard in full: {last:?}");
    assert_eq!(scene.result(&call)["inputkey"], "1");
}

// accept: voice-paas 54
#[test]
fn a_key_is_one_however_the_telephone_reports_it() {
    for (n, way) in ["event", "info", "tones"].into_iter().enumerate() {
        let scene = Scene::start(Law::A);
        if n > 0 {
            scene.callee.has_no_events();
        }
        scene.bed.prompt("long", SECOND, 20_000);
        let call = scene.notice(&json!({
            "contents": [{"type": "voice", "content": "long"}], "finishkey": "5", "finishvoice": "finish",
        }));
        let phone = scene.callee.first_call();
        phone.answer();
        let line = phone.line();
        wait::until("the item", SOON, Duration::from_millis(10), || {
            line.hears(SECOND).then_some(())
        });
        // The wrong one first, then the right one.
        for key in ["4", "5"] {
            match way {
                "event" => line.press(key),
                "info" => phone.info(key.chars().next().expect("a key")),
                _ => {
                    let mut tones = DtmfTones::default();
                    tones.push(key, 100);
                    let mut frame = [0; FRAME];
                    while tones.next(&mut frame) {
                        line.say(&frame);
                    }
                }
            }
        }
        let (ended, _) = phone.wait_end(SOON);
        assert_eq!(ended, Ended::Bye, "{way}");
        assert_eq!(spans(&line.heard(), FINISH).len(), 1, "{way}");
        assert_eq!(scene.result(&call)["inputkey"], "5", "{way}");
    }
}

// accept: voice-paas 93
#[test]
fn a_verification_code_is_spoken_three_times_and_is_in_no_log() {
    let scene = Scene::start(Law::A);
    // Long enough to be in no time stamp of the log by chance.
    let code = "73915286";
    let body = json!({
        "appid": scene.bed.app, "to": CALLEE, "code": code, "callbackurl": scene.bed.push.url("/notice"), "lang": "en",
    });
    let answer = post(&scene.bed, "VoiceCaptchas", &body);
    assert_eq!(
        (&answer["statusCode"], &answer["statusmsg"]),
        (&json!("0"), &json!("submitted"))
    );
    let heard = listen(&scene.callee.first_call());
    // Speech is loud where it is; rounds are a second of silence apart.
    let loud: Vec<bool> = heard
        .samples
        .chunks(800)
        .map(|c| c.iter().any(|s| s.unsigned_abs() > 1000))
        .collect();
    let mut rounds = 0;
    let mut silence = usize::MAX;
    for loud in loud {
        if loud {
            rounds += usize::from(silence >= 8);
            silence = 0;
        } else {
            silence = silence.saturating_add(1);
        }
    }
    assert_eq!(rounds, 3);
    let result = scene.result(answer["callid"].as_str().expect("a callid"));
    assert!(result.get("inputkey").is_none() && !result.to_string().contains(&format!("\"{code}\"")));
    // accept: voice-paas 19
    assert!(!scene.bed.server.log().contains(code), "the code is in the log");
    let again = post(&scene.bed, "VoiceCaptchas", &body);
    assert_eq!(again["statusCode"], "-5", "within a minute: {again}");
}

// accept: voice-paas 35
#[test]
fn a_trunk_that_is_down_is_minus_6_without_waiting() {
    let bed = Bed::start();
    let trunk = json!({
        "name": "dead", "tenant": bed.tenant, "address": "127.0.0.1:9", "options_interval": 5,
        "rules": [{ "prefix": "+86139", "strip": 0, "prepend": "", "allow": true }],
    });
    bed.server.create("/trunks", &trunk);
    bed.prompt("first", FIRST, 200);
    let body = json!({"appid": bed.app, "to": CALLEE, "contents": [{"type": "voice", "content": "first"}]});
    wait::until(
        "the trunk to be down",
        Duration::from_secs(120),
        Duration::from_millis(500),
        || {
            let trunks = bed.server.admin("GET", "/trunks", None).json();
            trunks.to_string().contains("\"healthy\":false").then_some(())
        },
    );
    let answer = post(&bed, "VoiceNotices", &body);
    assert_eq!(answer["statusCode"], "-6", "{answer}");
    assert!(answer.get("callid").is_none());
    // No trunk carries this one.
    let other = json!({"appid": bed.app, "to": "13700000003", "contents": [{"type": "voice", "content": "first"}]});
    assert_eq!(post(&bed, "VoiceNotices", &other)["statusCode"], "-5");
}

// accept: voice-paas 34
#[test]
fn a_trunk_without_room_is_minus_5_and_a_refusal_takes_nothing() {
    let scene = Scene::start(Law::A);
    let limit = json!({ "max_channels": 1 });
    assert_eq!(
        scene.bed.server.admin("PATCH", "/trunks/callee", Some(&limit)).status,
        200
    );
    let first = scene.notice(&json!({}));
    let ringing = scene.callee.first_call();
    ringing.ring();
    let body = json!({"appid": scene.bed.app, "to": CALLEE, "contents": [{"type": "voice", "content": "first"}]});
    // More than there are media ports: none of them is kept.
    for _ in 0..150 {
        let answer = post(&scene.bed, "VoiceNotices", &body);
        assert_eq!(answer["statusCode"], "-5", "{answer}");
    }
    assert_eq!(scene.callee.calls().len(), 1);
    ringing.refuse("486 Busy Here");
    assert_eq!(scene.result(&first)["reason"], "1");
    let next = scene.notice(&json!({ "times": 1 }));
    listen(&scene.callee.nth_call(1));
    assert_eq!(scene.result(&next)["result"], "0");
    // And the same by the limit of the application, which holds until a call is forgotten.
    wait::until("no open call", PUSHED, Duration::from_millis(20), || {
        scene.bed.server.open_calls().is_empty().then_some(())
    });
    scene.bed.settings(&json!({ "max_conversations": 1 }));
    scene.notice(&json!({}));
    assert_eq!(post(&scene.bed, "VoiceNotices", &body)["statusCode"], "-5");
    scene.callee.nth_call(2).refuse("603 Decline");
    scene.bed.settings(&json!({ "max_conversations": 0 }));
    // The rate of the trunk is found out only when a call is about to leave.
    let limit = json!({ "max_channels": 0, "max_rate": 1 });
    assert_eq!(
        scene.bed.server.admin("PATCH", "/trunks/callee", Some(&limit)).status,
        200
    );
    let refused = (0..150).filter(|_| post(&scene.bed, "VoiceNotices", &body)["statusCode"] == "-5");
    assert!(refused.count() > 100);
    wait::until("a call in another second", SOON, Duration::from_millis(100), || {
        (post(&scene.bed, "VoiceNotices", &body)["statusCode"] == "0").then_some(())
    });
}

/// Lets every call ring, answer and listen, until told to stop; a call that is killed with the server just ends.
fn answer_all(callee: &Party, stop: &AtomicBool) {
    let mut n = 0;
    while !stop.load(Ordering::Relaxed) {
        while let Some(call) = callee.calls().get(n) {
            n += 1;
            call.ring();
            if call.ended().is_none() {
                call.answer_without_waiting();
            }
        }
        wait::pause(Duration::from_millis(5));
    }
}

struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Accepted results by number.
fn results(all: &[Push]) -> BTreeMap<String, Vec<Value>> {
    let mut found: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for body in all.iter().filter(|p| p.path == "/notice" && p.accepted).map(Push::json) {
        let of = found
            .entry(body["to"].as_str().expect("a number").to_owned())
            .or_default();
        // At least once: a receiver drops what it has by callid.
        if !of.contains(&body) {
            of.push(body);
        }
    }
    found
}

// accept: voice-paas 67, 76
#[test]
fn a_batch_that_is_killed_three_times_calls_nobody_twice_and_forgets_nobody() {
    let Scene { mut bed, callee } = Scene::start(Law::A);
    bed.settings(&json!({ "max_conversations": 5 }));
    let numbers: Vec<String> = (0..40).map(|n| format!("1390000{n:04}")).collect();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| answer_all(&callee, &stop));
        let _stop = StopAtEnd(&stop);
        let body = json!({
            "appid": bed.app, "to": numbers.join(","), "times": 1,
            "contents": [{"type": "voice", "content": "second"}], "callbackurl": bed.push.url("/notice"),
        });
        let answer = post(&bed, "BatchVoiceNotices", &body);
        assert_eq!(answer["statusCode"], "0", "{answer}");
        let request = answer["requestid"].as_str().expect("a requestid").to_owned();
        for begun in [4, 15, 27] {
            wait::until("calls", Duration::from_secs(60), Duration::from_millis(1), || {
                (callee.calls().len() >= begun).then_some(())
            });
            bed.server.kill_9();
            bed.server.launch();
        }
        let all = bed.push.wait("all results", Duration::from_secs(120), |all| {
            let found = results(all);
            (found.len() == numbers.len()).then_some(found)
        });
        for (to, bodies) in &all {
            assert!(numbers.contains(to));
            assert_eq!(bodies.len(), 1, "one result of {to}: {bodies:?}");
            assert_eq!(bodies[0]["requestid"], request.as_str());
        }
        let mut dialled: BTreeMap<String, usize> = BTreeMap::new();
        for call in callee.calls() {
            *dialled.entry(call.numbers().0).or_default() += 1;
        }
        assert!(dialled.values().all(|n| *n == 1), "called twice: {dialled:?}");
        let answered = all.values().filter(|b| b[0]["result"] == "0").count();
        assert!(answered >= 20, "most were reached: {answered}");
        let shown = wait::until("the end of the batch", SOON, Duration::from_millis(50), || {
            let shown = bed.server.admin("GET", &format!("/batches/{request}"), None).json();
            (shown["state"] == "done").then_some(shown)
        });
        assert_eq!((&shown["total"], &shown["finished"]), (&json!(40), &json!(40)));
    });
}

#[test]
fn a_batch_that_is_cancelled_calls_no_more_and_reports_the_rest() {
    let scene = Scene::start(Law::A);
    scene.bed.settings(&json!({ "max_conversations": 2 }));
    let numbers: Vec<String> = (0..30).map(|n| format!("1390000{n:04}")).collect();
    let body = json!({
        "appid": scene.bed.app, "to": numbers.join(","), "contents": [{"type": "voice", "content": "second"}],
        "callbackurl": scene.bed.push.url("/notice"),
    });
    let request = post(&scene.bed, "BatchVoiceNotices", &body)["requestid"].clone();
    let request = request.as_str().expect("a requestid");
    let first = scene.callee.nth_call(1);
    let cancelled = scene
        .bed
        .server
        .admin("POST", &format!("/batches/{request}/cancel"), Some(&json!({})));
    assert_eq!(cancelled.status, 200);
    // Those that ring go on to their end.
    for call in scene.callee.calls() {
        call.refuse("486 Busy Here");
    }
    drop(first);
    let all = scene.bed.push.wait("all results", Duration::from_secs(30), |all| {
        let found = results(all);
        (found.len() == numbers.len()).then_some(found)
    });
    let reasons: Vec<&Value> = all.values().map(|b| &b[0]["reason"]).collect();
    assert_eq!(reasons.iter().filter(|r| ***r == json!("1")).count(), 2, "busy");
    assert_eq!(reasons.iter().filter(|r| ***r == json!("2")).count(), 28, "not called");
    assert_eq!(scene.callee.calls().len(), 2);
    let again = scene
        .bed
        .server
        .admin("POST", &format!("/batches/{request}/cancel"), Some(&json!({})));
    assert_eq!(again.status, 409);
}

/// A carrier whose numbers are all busy: it knows how often each was called.
struct Busy {
    address: SocketAddr,
    called: Arc<Mutex<HashMap<String, HashSet<String>>>>,
    stop: Arc<AtomicBool>,
}

impl Busy {
    fn start() -> Busy {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port on loopback");
        socket
            .set_read_timeout(Some(Duration::from_millis(50)))
            .expect("a timeout");
        let address = socket.local_addr().expect("an address");
        let (called, stop) = (
            Arc::<Mutex<HashMap<_, HashSet<String>>>>::default(),
            Arc::<AtomicBool>::default(),
        );
        let busy = Busy {
            address,
            called: called.clone(),
            stop: stop.clone(),
        };
        std::thread::spawn(move || {
            let mut buffer = [0; 65_536];
            while !stop.load(Ordering::Relaxed) {
                let Ok((n, from)) = socket.recv_from(&mut buffer) else {
                    continue;
                };
                let text = String::from_utf8_lossy(&buffer[..n]).into_owned();
                if !text.starts_with("INVITE ") {
                    continue;
                }
                let line = |name: &str| {
                    text.lines()
                        .find(|l| l.starts_with(name))
                        .unwrap_or_default()
                        .to_owned()
                };
                let number = text["INVITE sip:".len()..]
                    .split('@')
                    .next()
                    .unwrap_or_default()
                    .to_owned();
                let mut called = called.lock().expect("no panic while it is held");
                called.entry(number).or_default().insert(line("Call-ID:"));
                let mut answer = String::from("SIP/2.0 486 Busy Here\r\n");
                for l in text.lines().filter(|l| l.starts_with("Via:")) {
                    answer += &format!("{l}\r\n");
                }
                let to = line("To:");
                answer += &format!("{}\r\n{to};tag=b\r\n", line("From:"));
                answer += &format!("{}\r\n{}\r\nContent-Length: 0\r\n\r\n", line("Call-ID:"), line("CSeq:"));
                let _ = socket.send_to(answer.as_bytes(), from);
            }
        });
        busy
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

#[test]
#[ignore = "ten thousand calls take minutes in a debug build"]
fn ten_batches_of_a_thousand_at_once() {
    let bed = Bed::start();
    let carrier = Busy::start();
    bed.callee_at(carrier.address);
    bed.prompt("first", FIRST, 200);
    let mut numbers = 0;
    for batch in 0..10 {
        let to: Vec<String> = (0..1000).map(|n| format!("139{batch:02}{n:06}")).collect();
        numbers += to.len();
        let body = json!({
            "appid": bed.app, "to": to.join(","), "contents": [{"type": "voice", "content": "first"}],
            "callbackurl": bed.push.url("/notice"),
        });
        assert_eq!(post(&bed, "BatchVoiceNotices", &body)["statusCode"], "0");
    }
    let begun = std::time::Instant::now();
    wait::until("all results", Duration::from_secs(900), Duration::from_secs(1), || {
        (bed.push.count() >= numbers).then_some(())
    });
    eprintln!("{numbers} calls and results in {:?}", begun.elapsed());
    let all = results(&bed.push.all());
    assert_eq!(all.len(), numbers);
    assert!(all.values().all(|b| b.len() == 1 && b[0]["reason"] == "1"));
    let called = carrier.called.lock().expect("no panic while it is held");
    assert_eq!(called.len(), numbers);
    assert!(called.values().all(|calls| calls.len() == 1), "called twice");
    let listed = bed.server.admin("GET", "/batches", None).json();
    let done = listed["items"].as_array().or(listed.as_array()).expect("a list").iter();
    assert_eq!(done.filter(|b| b["finished"] == 1000).count(), 10);
}

// accept: voice-paas 84, 85, 87
#[test]
fn a_result_that_could_not_be_pushed_survives_a_kill_and_is_the_same() {
    let mut scene = Scene::start(Law::A);
    scene.bed.push.behave("/notice", Behaviour::Status(500));
    let call = scene.notice(&json!({ "times": 1 }));
    listen(&scene.callee.first_call());
    let failed = scene.bed.push.wait("an attempt", SOON, |all| {
        all.iter().find(|p| p.path == "/notice").map(|p| p.body.clone())
    });
    scene.bed.server.kill_9();
    scene.bed.push.behave("/notice", Behaviour::Accept);
    scene.bed.server.launch();
    let delivered = scene.bed.push.wait("the delivery", Duration::from_secs(40), |all| {
        all.iter()
            .find(|p| p.path == "/notice" && p.accepted)
            .map(|p| p.body.clone())
    });
    assert_eq!(delivered, failed, "the stored content, byte for byte");
    assert_eq!(scene.result(&call)["result"], "0");
}
