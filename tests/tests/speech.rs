//! Speech with engines that are not ours: espeak-ng speaks, pocketsphinx listens.

use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;
use strowger_media_core::g711::Law;
use strowger_media_core::wav;
use strowger_tests::bed::{Bed, PUSHED};
use strowger_tests::party::{Party, SOON};
use strowger_tests::peers;
use strowger_tests::recogniser::Recogniser;
use strowger_tests::server::{Options, free_tcp};
use strowger_tests::wait;

/// What a recogniser may take for a few words on a busy machine.
const RECOGNISED: Duration = Duration::from_secs(60);
const EVERY: Duration = Duration::from_millis(100);

fn bed(more: &str) -> Bed {
    Bed::start_with(Options {
        more: more.to_owned(),
        ..Options::default()
    })
}

const ESPEAK: &str = "[speech.synthesis]\nengine = \"espeak-ng\"\ntimeout = \"30s\"\n";

/// A prompt that the platform had said, as samples.
fn synthesised(bed: &Bed, name: &str, text: &str, language: &str, voice: Option<&str>) -> Vec<i16> {
    let asked = json!({ "name": name, "tenant": bed.tenant, "text": text, "language": language, "voice": voice });
    let prompt = bed.server.create("/speech/prompts", &asked);
    assert_eq!(prompt["state"], "ready");
    let file = format!("prompts/{}.wav", prompt["checksum"].as_str().expect("a checksum"));
    let samples =
        wav::read(&std::fs::read(bed.server.data().join(file)).expect("the prompt's file")).expect("a WAV file");
    assert_eq!(prompt["duration_ms"], samples.len() / 8);
    samples
}

fn metric(bed: &Bed, name: &str) -> f64 {
    let page = strowger_tests::http::request(
        &strowger_tests::http::Place::Tcp(bed.server.http()),
        "GET",
        "/metrics",
        &[],
        None,
    );
    let page = String::from_utf8(page.expect("a page").body).expect("text");
    let line = page.lines().find_map(|l| l.strip_prefix(name)?.trim().parse().ok());
    line.unwrap_or_else(|| panic!("no metric {name} in {page}"))
}

#[test]
fn texts_in_both_languages_become_prompts_and_are_said_once() {
    if peers::find("espeak-ng", "espeak-ng").is_none() {
        return;
    }
    let bed = bed(ESPEAK);
    let english = synthesised(&bed, "en", "Your parcel has arrived.", "en", None);
    let chinese = synthesised(&bed, "zh", "您的包裹已经到了。", "zh", None);
    for samples in [&english, &chinese] {
        assert!((1000..6000).contains(&(samples.len() / 8)), "{} ms", samples.len() / 8);
        let loud = samples.iter().filter(|s| s.unsigned_abs() > 1000).count();
        assert!(loud > samples.len() / 10, "{loud} of {} are loud", samples.len());
    }
    assert_ne!(english, chinese);
    assert_eq!(
        synthesised(&bed, "again", "Your parcel has arrived.", "en", None),
        english
    );
    let of = |what: &str| metric(&bed, &format!("strowger_synthesis_total{{result=\"{what}\"}}"));
    assert_eq!((of("said"), of("cached"), of("failed")), (2.0, 1.0, 0.0));
    let bad = json!({ "name": "x", "tenant": bed.tenant, "text": "x", "language": "en", "voice": "qqq" });
    let answer = bed.server.admin("POST", "/speech/prompts", Some(&bad));
    assert_eq!((answer.status, &answer.json()["code"]), (503, &json!("speech.engine")));
}

/// Two telephones in a call whose transcription was asked for; the caller is silent but for what it is told to say.
fn transcribed(
    bed: &Bed,
) -> (
    String,
    strowger_tests::party::Call,
    strowger_tests::party::Call,
    [Party; 2],
) {
    let (a, b) = (Party::start(Law::A, None), Party::start(Law::Mu, None));
    bed.caller_at(a.address());
    bed.callee_at(b.address());
    let sid = bed.click(&json!({}));
    let first = a.first_call();
    first.answer();
    let second = b.first_call();
    second.answer();
    bed.wait_leg(&sid, 1, "talking");
    (sid, first, second, [a, b])
}

fn path(sid: &str, rest: &str) -> String {
    format!("/calls/{}/{rest}", &sid[2..])
}

fn items(bed: &Bed, sid: &str) -> Vec<Value> {
    let answer = bed.server.admin("GET", &path(sid, "transcript"), None);
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    answer.json()["items"].as_array().expect("a list").clone()
}

fn finals(items: &[Value], leg: u64) -> String {
    let words = items.iter().filter(|i| i["kind"] == "final" && i["leg"] == leg);
    let words: Vec<&str> = words.filter_map(|i| i["text"].as_str()).collect();
    words.join(" ")
}

#[test]
fn words_that_are_said_in_one_leg_come_out_as_its_transcript() {
    if peers::find("espeak-ng", "espeak-ng").is_none() {
        return;
    }
    let Some(mut recogniser) = Recogniser::start() else {
        return;
    };
    let engine = format!(
        "{ESPEAK}[speech.recognition]\nurl = \"{}\"\nprotocol = \"vosk\"\ntimeout = \"20s\"\n",
        recogniser.url()
    );
    let bed = bed(&engine);
    let voice = synthesised(
        &bed,
        "words",
        "wednesday banana operator yesterday.",
        "en",
        Some("en-us"),
    );
    let (sid, first, _second, _parties) = transcribed(&bed);
    let answer = bed
        .server
        .admin("POST", &path(&sid, "transcription"), Some(&json!({ "language": "en" })));
    assert_eq!(answer.status, 202, "{}", String::from_utf8_lossy(&answer.body));
    first.line().say(&voice);
    let said = wait::until("a final result", RECOGNISED, EVERY, || {
        let items = items(&bed, &sid);
        finals(&items, 0).contains("yesterday").then_some(items)
    });
    assert_eq!(finals(&said, 0), "wednesday banana operator yesterday");
    assert_eq!(finals(&said, 1), "", "the other leg said nothing");
    let result = said.iter().find(|i| i["kind"] == "final").expect("a result");
    let span = result["end_ms"].as_u64().unwrap() - result["begin_ms"].as_u64().unwrap();
    let spoken = voice.len() as u64 / 8;
    assert!(span <= spoken + 1500 && span + 1500 >= spoken, "{span} of {spoken} ms");
    // An engine that dies is said so, and the call goes on.
    recogniser.kill();
    wait::until("the interruption", SOON, EVERY, || {
        items(&bed, &sid)
            .iter()
            .any(|i| i["kind"] == "interrupted")
            .then_some(())
    });
    first.hang_up();
    bed.over(&sid, PUSHED);
    wait::until("the end", SOON, EVERY, || {
        let answer = bed.server.admin("GET", &path(&sid, "transcript"), None);
        (answer.json()["running"] == false).then_some(())
    });
}

/// A word as espeak-ng says it slowly, 8 kHz.
fn said_slowly(word: &str) -> Vec<i16> {
    let spoken = Command::new("espeak-ng")
        .args(["-v", "cmn-latn-pinyin", "-s", "90", "--stdout", word])
        .output()
        .expect("espeak-ng runs");
    let mut sox = Command::new("sox")
        .args([
            "-t", "wav", "-", "-t", "raw", "-r", "8000", "-b", "16", "-e", "signed", "-c", "1", "-",
        ])
        .args(["gain", "-6"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("sox runs");
    let mut input = sox.stdin.take().expect("a pipe");
    let feed = std::thread::spawn(move || input.write_all(&spoken.stdout));
    let raw = sox.wait_with_output().expect("sox ends").stdout;
    feed.join().expect("no panic").expect("sox reads");
    raw.as_chunks::<2>().0.iter().map(|s| i16::from_le_bytes(*s)).collect()
}

#[test]
fn chinese_words_come_out_as_the_transcript_of_their_leg() {
    if peers::find("espeak-ng", "espeak-ng").is_none() || peers::find("sox", "sox").is_none() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let record = folder.path().join("wire.jsonl");
    let Some(recogniser) = Recogniser::chinese(&record) else {
        return;
    };
    let engine = format!(
        "[speech.recognition]\nurl = \"{}\"\nprotocol = \"vosk\"\ntimeout = \"20s\"\n",
        recogniser.url()
    );
    let bed = bed(&engine);
    let (sid, first, _second, _parties) = transcribed(&bed);
    let answer = bed
        .server
        .admin("POST", &path(&sid, "transcription"), Some(&json!({ "language": "zh" })));
    assert_eq!(answer.status, 202, "{}", String::from_utf8_lossy(&answer.body));
    let words = ["你好", "上海", "服务", "谢谢"];
    for word in words {
        first.line().say(&said_slowly(word));
        first.line().say(&[0; 8 * 1000]);
    }
    let said = wait::until("the results", RECOGNISED, EVERY, || {
        let items = items(&bed, &sid);
        let of = |i: &&Value| i["kind"] == "final" && i["leg"] == 0;
        (items.iter().filter(of).count() == words.len()).then_some(items)
    });
    assert_eq!(finals(&said, 0), words.join(" "));
    first.hang_up();
    bed.over(&sid, PUSHED);
    let wire = std::fs::read_to_string(&record).expect("what was answered");
    assert!(wire.contains(r#""text": "上海""#), "{wire}");
    if let Some(to) = std::env::var_os("STROWGER_KEEP_WIRE") {
        std::fs::copy(&record, to).expect("a place to keep it");
    }
}

#[test]
fn a_missing_engine_is_said_and_not_silence() {
    // Nothing is configured.
    let bed_without = bed("");
    let (sid, first, _second, _parties) = transcribed(&bed_without);
    let asked = |bed: &Bed, sid: &str| bed.server.admin("POST", &path(sid, "transcription"), Some(&json!({})));
    let answer = asked(&bed_without, &sid);
    assert_eq!((answer.status, &answer.json()["code"]), (409, &json!("speech.off")));
    let text = json!({ "name": "x", "tenant": bed_without.tenant, "text": "x", "language": "en" });
    let answer = bed_without.server.admin("POST", "/speech/prompts", Some(&text));
    assert_eq!((answer.status, &answer.json()["code"]), (409, &json!("speech.off")));
    first.hang_up();
    // Configured, and not there.
    let nobody = format!("[speech.recognition]\nurl = \"ws://127.0.0.1:{}\"\n", free_tcp());
    let bed_nobody = bed(&nobody);
    let (sid, first, _second, _parties) = transcribed(&bed_nobody);
    let answer = asked(&bed_nobody, &sid);
    assert_eq!((answer.status, &answer.json()["code"]), (503, &json!("speech.engine")));
    assert!(answer.json()["detail"].as_str().unwrap().contains("cannot be reached"));
    first.hang_up();
}
