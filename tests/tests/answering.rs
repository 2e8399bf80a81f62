//! Who has answered, on the wire: telephones that say what people, answering machines and fax machines say.

use serde_json::{Value, json};
use std::time::Duration;
use strowger_media_core::g711::Law;
use strowger_media_core::tone::{Cadence, ToneGenerator};
use strowger_media_core::wav;
use strowger_tests::bed::{Bed, CALLEE, PUSHED};
use strowger_tests::centre::Follower;
use strowger_tests::party::{Call, Ended, Party, SOON};
use strowger_tests::push::Push;
use strowger_tests::sound::now_ms;
use strowger_tests::wait;

const FIRST: f32 = 1700.0;

struct Scene {
    bed: Bed,
    callee: Party,
}

impl Scene {
    /// Notices of this application do this when a machine answers.
    fn start(on_machine: &str) -> Scene {
        let bed = Bed::start();
        bed.settings(&json!({ "notices": { "on_machine": on_machine } }));
        let callee = Party::start(Law::A, None);
        bed.callee_at(callee.address());
        bed.prompt("first", FIRST, 1000);
        Scene { bed, callee }
    }

    /// A notice that the telephone has answered; it says this. When it began to, in the tests' time.
    fn answered(&self, says: &[i16]) -> (String, Call, usize) {
        let body = json!({
            "appid": self.bed.app, "to": CALLEE, "contents": [{"type": "voice", "content": "first"}],
            "callbackurl": self.bed.push.url("/notice"),
        });
        let path = format!("/Accounts/{}/VoiceNotices", self.bed.account);
        let answer = self.bed.post(&path, body.to_string().as_bytes()).json();
        assert_eq!(answer["statusCode"], "0", "{answer}");
        let phone = self.callee.first_call();
        phone.ring();
        phone.line().say(says);
        phone.answer();
        (
            answer["requestid"].as_str().expect("a request").to_owned(),
            phone,
            now_ms(),
        )
    }

    /// What the record and the push say.
    fn over(&self, sid: &str) -> (Value, Value) {
        let result = self.bed.push.wait("the result", PUSHED, |all| {
            let mut of = all.iter().filter(|p| p.path == "/notice" && p.accepted).map(Push::json);
            of.find(|v| v["requestid"] == sid)
        });
        (self.bed.show(sid), result)
    }
}

fn shipped(name: &str) -> Vec<i16> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../sounds")
        .join(name);
    wav::read(&std::fs::read(path).expect("a shipped sound")).expect("a WAV file")
}

fn tone(hz: u16, on: u32, off: u32, ms: usize) -> Vec<i16> {
    let mut samples = vec![0; ms * 8];
    ToneGenerator::new(Cadence::once(on, [hz, 0], off, -16.0)).fill(&mut samples);
    samples
}

fn silence(ms: usize) -> Vec<i16> {
    vec![0; ms * 8]
}

type Span = (usize, usize);

/// When the notice was heard, in the tests' time.
fn spans(phone: &Call) -> Vec<Span> {
    phone.line().heard().spans(FIRST)
}

#[test]
fn a_person_hears_the_notice_and_is_told_as_one() {
    let scene = Scene::start("hang-up");
    // "Eight."
    let word = [silence(400), shipped("en/units/8.wav")].concat();
    let (sid, phone, _) = scene.answered(&word);
    assert_eq!(phone.wait_end(Duration::from_secs(30)).0, Ended::Bye);
    let rounds = spans(&phone);
    assert_eq!(rounds.len(), 2, "{rounds:?}");
    let (record, result) = scene.over(&sid);
    assert_eq!(record["legs"][0]["answered_by"]["who"], "human", "{record}");
    assert!(
        record["legs"][0]["answered_by"]["confidence"].as_u64() >= Some(60),
        "{record}"
    );
    assert_eq!(result["result"], "0");
}

#[test]
fn a_machine_is_hung_up_on_where_that_is_wanted() {
    let scene = Scene::start("hang-up");
    let (server, tenant) = (&scene.bed.server, &scene.bed.tenant);
    let key = server.create(
        "/keys",
        &json!({ "name": "board", "tenant": tenant, "scopes": ["events:read"] }),
    );
    let mut follower = Follower::connect(server.http(), key["key"].as_str().expect("a key"), "");
    let (sid, phone, _) = scene.answered(&[silence(300), shipped("en/unreachable.wav")].concat());
    assert_eq!(phone.wait_end(SOON).0, Ended::Bye);
    let told = follower.event("leg.answered-by", |_| true);
    assert_eq!((&told["who"], &told["leg"]), (&json!("machine"), &json!(0)), "{told}");
    assert!(
        told["agent"].is_null() && told["confidence"].as_u64() >= Some(50),
        "{told}"
    );
    let (record, result) = scene.over(&sid);
    assert_eq!(record["legs"][0]["answered_by"]["who"], "machine", "{record}");
    assert_eq!(record["cause"], "answered-by-machine");
    assert_eq!((&result["result"], &result["reason"]), (&json!("1"), &json!("2")));
}

#[test]
fn a_notice_is_said_anew_after_the_beep_of_a_machine() {
    let scene = Scene::start("await-beep");
    let greeting = shipped("zh/unreachable.wav");
    let says = [silence(300), greeting, silence(600), tone(1000, 500, 0, 500)].concat();
    let (sid, phone, began) = scene.answered(&says);
    assert_eq!(phone.wait_end(Duration::from_secs(60)).0, Ended::Bye);
    let beep_ends = began + says.len() / 8;
    let rounds = spans(&phone);
    let (before, after): (Vec<Span>, Vec<Span>) = rounds.iter().partition(|(from, _)| *from < beep_ends);
    // It is begun at once, as for a person, and broken off or over when the machine is known.
    assert_eq!(before.len(), 1, "{rounds:?}, the beep ends at {beep_ends}");
    assert_eq!(after.len(), 2, "{rounds:?}, the beep ends at {beep_ends}");
    let late = after[0].0 - beep_ends;
    assert!((300..1500).contains(&late), "{late} ms after the beep");
    assert!((900..1100).contains(&(after[0].1 - after[0].0)), "in full: {rounds:?}");
    let (record, result) = scene.over(&sid);
    assert_eq!(record["legs"][0]["answered_by"]["who"], "machine", "{record}");
    assert_eq!((&record["cause"], &result["result"]), (&json!("normal"), &json!("0")));
}

#[test]
fn a_fax_machine_is_hung_up_on_and_other_machines_are_told() {
    let scene = Scene::start("tell");
    // The machine that answers, and one that waits for the other to answer.
    for (n, (hz, on)) in [(2100, 3000), (1100, 500)].into_iter().enumerate() {
        let says = [silence(500), tone(hz, on, 3000, 4000)].concat();
        let body = json!({
            "appid": scene.bed.app, "to": CALLEE, "contents": [{"type": "voice", "content": "first"}],
            "callbackurl": scene.bed.push.url("/notice"),
        });
        let path = format!("/Accounts/{}/VoiceNotices", scene.bed.account);
        let answer = scene.bed.post(&path, body.to_string().as_bytes()).json();
        let sid = answer["requestid"].as_str().expect("a request").to_owned();
        let phone = scene.callee.nth_call(n);
        phone.line().say(&says);
        phone.answer();
        assert_eq!(phone.wait_end(SOON).0, Ended::Bye);
        let (record, result) = scene.over(&sid);
        assert_eq!(record["legs"][0]["answered_by"]["who"], "fax", "{hz} Hz: {record}");
        assert_eq!(
            (&record["cause"], &result["result"]),
            (&json!("answered-by-fax"), &json!("1"))
        );
    }
}

#[test]
fn a_click_to_call_that_reaches_a_machine_ends() {
    let bed = Bed::start();
    bed.settings(&json!({ "on_machine": "hang-up" }));
    let (a, b) = (Party::start(Law::A, None), Party::start(Law::Mu, None));
    bed.caller_at(a.address());
    bed.callee_at(b.address());
    let sid = bed.click(&json!({}));
    let first = a.first_call();
    first.line().say(&shipped("en/units/8.wav"));
    first.answer();
    let second = b.first_call();
    second
        .line()
        .say(&[silence(200), shipped("en/unreachable.wav")].concat());
    second.answer();
    assert_eq!(second.wait_end(SOON).0, Ended::Bye);
    let record = wait::until("the record", PUSHED, Duration::from_millis(20), || {
        let record = bed.show(&sid);
        (record["state"] == "ended").then_some(record)
    });
    assert_eq!(record["cause"], "answered-by-machine", "{record}");
    assert_eq!(record["legs"][1]["answered_by"]["who"], "machine");
    assert_eq!(record["legs"][0]["answered_by"]["who"], "human");
    let bad = json!({ "settings": { "on_machine": "await-beep" } });
    let answer = bed
        .server
        .admin("PATCH", &format!("/applications/{}", bed.app), Some(&bad));
    assert_eq!(answer.status, 400, "there is nothing to say after the beep");
}
