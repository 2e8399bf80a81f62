//! Who hears what, measured at the telephones: each party and each prompt has a frequency of its own.

use serde_json::{Value, json};
use std::time::Duration;
use strowger_media_core::g711::Law;
use strowger_media_core::wav::read_stereo;
use strowger_tests::bed::{Bed, CALLEE, CALLEE_CLI, CALLER, CALLER_CLI, DEFAULT_CLI, PUSHED, THIRD};
use strowger_tests::http::{Place, request};
use strowger_tests::line::{EVENT_PT, Line, Seen};
use strowger_tests::party::{Call, Ended, Party, SOON};
use strowger_tests::sound::{Sound, now_ms};
use strowger_tests::wait;

const A: f32 = 600.0;
const B: f32 = 750.0;
const C: f32 = 900.0;
const GREETING: f32 = 1100.0;
const RINGBACK: f32 = 1250.0;
const FAILURE: f32 = 1400.0;
const TO_CALLEE: f32 = 1550.0;
const TO_CALLER: f32 = 1700.0;
const LAST_MINUTE: f32 = 1850.0;
const EARLY: f32 = 2000.0;
/// The standard ringback tone of the country plan.
const TONE: f32 = 450.0;

/// Two telephones at a bed.
struct Pair {
    bed: Bed,
    a: Party,
    b: Party,
}

impl Pair {
    fn start() -> Pair {
        let bed = Bed::start();
        // Different laws, so that every relayed packet is transcoded too.
        let (a, b) = (Party::start(Law::A, Some(A)), Party::start(Law::Mu, Some(B)));
        bed.caller_at(a.address());
        bed.callee_at(b.address());
        Pair { bed, a, b }
    }

    /// Both answer at once and are joined.
    fn talk(&self, more: &Value) -> (String, Call, Call) {
        let (n, m) = (self.a.calls().len(), self.b.calls().len());
        let sid = self.bed.click(more);
        let a = self.a.nth_call(n);
        a.answer();
        let b = self.b.nth_call(m);
        b.ring();
        b.answer();
        hears(&a.line(), B);
        hears(&b.line(), A);
        (sid, a, b)
    }
}

/// Waits until a frequency is heard.
fn hears(line: &Line, hz: f32) {
    wait::until(&format!("{hz} Hz"), SOON, Duration::from_millis(10), || {
        line.hears(hz).then_some(())
    });
}

/// Lets real time pass.
fn listen(millis: u64) {
    wait::pause(Duration::from_millis(millis));
}

fn fetch(url: &Value) -> Vec<u8> {
    let url = url
        .as_str()
        .expect("a URL")
        .strip_prefix("http://")
        .expect("plain HTTP");
    let (host, _) = url.split_once('/').expect("a path");
    let place = Place::Tcp(host.parse().expect("an address"));
    let answer = request(&place, "GET", &url[host.len()..], &[], None).expect("the recording's URL answers");
    assert_eq!(answer.status, 200, "{url}");
    answer.body
}

/// The two channels of a record's recording.
fn recording(cdr: &Value) -> (Sound, Sound) {
    let (left, right) = read_stereo(&fetch(&cdr["recordingUrl"])).expect("a stereo file");
    let seconds: usize = cdr["recordingDuration"]
        .as_str()
        .expect("a text")
        .parse()
        .expect("a number");
    assert_eq!(left.len() / 8000, seconds, "recordingDuration is the file's length");
    let sound = |samples| Sound { from_ms: 0, samples };
    (sound(left), sound(right))
}

// accept: voice-paas 101, 102, 104
// accept: domain-model I12
#[test]
fn the_greeting_is_heard_in_full_by_the_caller_before_the_callee_is_dialled() {
    let p = Pair::start();
    p.bed.prompt("greet", GREETING, 1500);
    let sid = p.bed.click(&json!({ "greetVoice": "greet" }));
    let a = p.a.first_call();
    a.ring();
    listen(300);
    assert!(
        p.b.calls().is_empty(),
        "the callee is dialled before the caller has answered"
    );
    a.answer();
    let b = p.b.first_call();
    let dialled = now_ms();
    let greeting = a.line().heard().spans(GREETING);
    assert_eq!(greeting.len(), 1, "{greeting:?}");
    let (from, to) = greeting[0];
    assert!(
        (1400..=1650).contains(&(to - from)) && to <= dialled + 60,
        "{from}-{to}, dialled {dialled}"
    );
    assert_eq!(a.numbers().1, CALLER_CLI);
    assert_eq!(b.numbers().1, CALLEE_CLI);
    b.answer();
    hears(&b.line(), A);
    assert_eq!(b.line().heard().heard_ms(GREETING), 0);
    a.hang_up();
    p.bed.over(&sid, PUSHED);
}

// accept: voice-paas 103
#[test]
fn without_a_display_number_the_applications_own_is_shown() {
    let p = Pair::start();
    let sid = p.bed.click(&json!({ "callerCli": null, "calleeCli": null }));
    let a = p.a.first_call();
    a.answer();
    let b = p.b.first_call();
    assert_eq!(
        (a.numbers().1.as_str(), b.numbers().1.as_str()),
        (with_country(DEFAULT_CLI).as_str(), with_country(DEFAULT_CLI).as_str())
    );
    assert_eq!(
        (a.numbers().0, b.numbers().0),
        (with_country(CALLER), with_country(CALLEE))
    );
    b.refuse("486 Busy Here");
    p.bed.over(&sid, PUSHED);
}

/// A number in canonical form.
fn with_country(number: &str) -> String {
    format!("+86{}", number.trim_start_matches('0'))
}

// accept: voice-paas 105, 106, 109
#[test]
fn transparent_ringback_is_a_tone_until_the_network_sends_its_own() {
    let p = Pair::start();
    p.bed.prompt("ring", RINGBACK, 400);
    p.bed.prompt("fail", FAILURE, 400);
    let sid = p
        .bed
        .click(&json!({ "ringbackMode": 0, "ringbackVoice": "ring", "failVoice": "fail" }));
    let a = p.a.first_call();
    a.answer();
    let b = p.b.first_call();
    b.ring();
    hears(&a.line(), TONE);
    b.line().play(Some(EARLY));
    b.early_media();
    hears(&a.line(), EARLY);
    let early = now_ms();
    listen(700);
    b.refuse("486 Busy Here");
    assert_eq!(a.wait_end(SOON).0, Ended::Bye);
    let heard = a.line().heard();
    assert!(
        heard.heard_between(EARLY, early, early + 700) > 500,
        "{:?}",
        heard.spans(EARLY)
    );
    assert_eq!(
        heard.heard_between(TONE, early + 100, now_ms()),
        0,
        "the tone ends where the network begins"
    );
    assert_eq!(
        heard.heard_ms(RINGBACK) + heard.heard_ms(FAILURE),
        0,
        "mode 0 ignores the sounds of mode 1"
    );
    assert_eq!(p.bed.over(&sid, PUSHED)["byeType"], "2");
}

// accept: voice-paas 107, 108
#[test]
fn custom_ringback_loops_hides_early_media_and_ends_with_the_failure_prompt() {
    let p = Pair::start();
    p.bed.prompt("ring", RINGBACK, 400);
    p.bed.prompt("fail", FAILURE, 800);
    let sid = p
        .bed
        .click(&json!({ "ringbackMode": 1, "ringbackVoice": "ring", "failVoice": "fail" }));
    let a = p.a.first_call();
    a.answer();
    let b = p.b.first_call();
    b.line().play(Some(EARLY));
    b.early_media();
    hears(&a.line(), RINGBACK);
    listen(1500);
    let refused = now_ms();
    b.refuse("486 Busy Here");
    assert_eq!(a.wait_end(SOON).0, Ended::Bye);
    let heard = a.line().heard();
    assert_eq!(heard.heard_ms(EARLY), 0, "early media is not heard in mode 1");
    assert!(
        heard.heard_ms(RINGBACK) > 1200,
        "three times 400 ms at least: {:?}",
        heard.spans(RINGBACK)
    );
    assert_eq!(
        heard.heard_between(RINGBACK, refused + 200, now_ms()),
        0,
        "ringback ends with the refusal"
    );
    let failure = heard.spans(FAILURE);
    assert_eq!(failure.len(), 1, "once: {failure:?}");
    assert!((700..=950).contains(&(failure[0].1 - failure[0].0)), "{failure:?}");
    let cdr = p.bed.over(&sid, PUSHED);
    assert_eq!(cdr["byeType"], "2");
}

// accept: voice-paas 121
#[test]
fn private_prompts_are_heard_by_their_own_party_only_and_the_bridge_waits_for_both() {
    let p = Pair::start();
    p.bed.prompt("callee", TO_CALLEE, 700);
    p.bed.prompt("caller", TO_CALLER, 1500);
    let more = json!({ "calleeVoice": "callee", "callerVoice": "caller", "record": 2 });
    let sid = p.bed.click(&more);
    let a = p.a.first_call();
    a.answer();
    let b = p.b.first_call();
    b.answer();
    hears(&a.line(), B);
    hears(&b.line(), A);
    listen(400);
    let (at_a, at_b) = (a.line().heard(), b.line().heard());
    let own = |heard: &Sound, hz, ms: usize| {
        let spans = heard.spans(hz);
        assert_eq!(spans.len(), 1, "{hz} Hz: {spans:?}");
        assert!(
            (ms - 100..=ms + 150).contains(&(spans[0].1 - spans[0].0)),
            "{hz} Hz: {spans:?}"
        );
        spans[0]
    };
    let to_caller = own(&at_a, TO_CALLER, 1500);
    own(&at_b, TO_CALLEE, 700);
    assert_eq!((at_a.heard_ms(TO_CALLEE), at_b.heard_ms(TO_CALLER)), (0, 0), "private");
    for (heard, hz) in [(&at_a, B), (&at_b, A)] {
        let first = heard.spans(hz)[0].0;
        assert!(
            first + 120 >= to_caller.1,
            "{hz} Hz is heard from {first}, before the bridge at {}",
            to_caller.1
        );
    }
    a.hang_up();
    let cdr = p.bed.over(&sid, PUSHED);
    let (left, right) = recording(&cdr);
    for channel in [&left, &right] {
        assert_eq!(
            channel.heard_ms(TO_CALLER) + channel.heard_ms(TO_CALLEE),
            0,
            "private prompts are not recorded"
        );
    }
    assert!(left.heard_ms(A) > 300 && right.heard_ms(B) > 300);
}

/// Sequence numbers without a gap, one source, and timestamps that follow the wall clock: a listener's jitter buffer
/// never has to start again.
fn continuous(packets: &[Seen]) {
    assert!(packets.len() > 20, "{} packets", packets.len());
    for pair in packets.windows(2) {
        let [x, y] = pair else { continue };
        assert_eq!(x.ssrc, y.ssrc, "the source changed");
        assert_eq!(
            y.sequence,
            x.sequence.wrapping_add(1),
            "a gap in the sequence at {} ms",
            y.at_ms
        );
    }
    let audio: Vec<&Seen> = packets.iter().filter(|p| p.payload_type != EVENT_PT).collect();
    let first = audio[0];
    for p in &audio {
        let by_clock = (p.at_ms - first.at_ms) as i64;
        let by_stamp = i64::from(p.timestamp.wrapping_sub(first.timestamp) as i32) / 8;
        assert!(
            (by_clock - by_stamp).abs() < 120,
            "timestamp {by_stamp} ms at {by_clock} ms"
        );
    }
    let backwards = audio
        .windows(2)
        .filter(|w| (w[1].timestamp.wrapping_sub(w[0].timestamp) as i32) <= 0)
        .count();
    assert_eq!(backwards, 0, "timestamps go forward");
}

// accept: voice-paas 129, 131
#[test]
fn talk_is_joined_within_300_ms_digits_pass_and_the_streams_are_continuous() {
    let p = Pair::start();
    p.bed.prompt("greet", GREETING, 500);
    let sid = p.bed.click(&json!({ "greetVoice": "greet" }));
    let a = p.a.first_call();
    a.answer();
    let b = p.b.first_call();
    b.ring();
    hears(&a.line(), TONE);
    let answered = now_ms();
    b.answer();
    hears(&a.line(), B);
    hears(&b.line(), A);
    for (line, hz) in [(a.line(), B), (b.line(), A)] {
        let first = line.heard().spans(hz)[0].0;
        assert!(first <= answered + 300, "{hz} Hz after {} ms", first - answered);
    }
    a.line().press("12#");
    b.line().press("*9");
    wait::until("the digits", SOON, Duration::from_millis(20), || {
        (b.line().digits() == "12#" && a.line().digits() == "*9").then_some(())
    });
    listen(500);
    a.hang_up();
    p.bed.over(&sid, PUSHED);
    continuous(&a.line().packets());
    continuous(&b.line().packets());
}

// accept: voice-paas 118, 120
#[test]
fn the_last_minute_is_announced_to_both_in_the_middle_of_talk() {
    let p = Pair::start();
    p.bed.prompt("last", LAST_MINUTE, 1000);
    let (limited, a, b) = p.talk(&json!({ "maxDuration": 63, "lastMinVoice": "last" }));
    let began = now_ms();
    let (short, c, d) = p.talk(&json!({ "maxDuration": 60, "lastMinVoice": "last" }));
    let short_began = now_ms();
    hears(&a.line(), LAST_MINUTE);
    hears(&b.line(), LAST_MINUTE);
    listen(1500);
    for (line, hz) in [(a.line(), B), (b.line(), A)] {
        let heard = line.heard();
        let spans = heard.spans(LAST_MINUTE);
        assert_eq!(spans.len(), 1, "{spans:?}");
        let (from, to) = spans[0];
        assert!(
            (2000..=4000).contains(&(from - began)),
            "3 s after the answer: {}",
            from - began
        );
        assert!(
            heard.heard_between(hz, from, to) + 150 > to - from,
            "the talk goes on below the prompt"
        );
    }
    let minute = Duration::from_secs(70);
    for (first, second, began, seconds) in [(&a, &b, began, 63), (&c, &d, short_began, 60)] {
        assert_eq!(first.wait_end(minute).0, Ended::Bye);
        assert_eq!(second.wait_end(minute).0, Ended::Bye);
        let lasted = (now_ms() - began) / 1000;
        assert!(
            (seconds - 1..=seconds + 2).contains(&lasted),
            "{lasted} s instead of {seconds}"
        );
        if seconds == 60 {
            assert_eq!(
                first.line().heard().heard_ms(LAST_MINUTE),
                0,
                "no prompt in a call of a minute"
            );
        }
    }
    for (sid, seconds) in [(limited, 63), (short, 60)] {
        let cdr = p.bed.over(&sid, PUSHED);
        assert_eq!(cdr["byeType"], "5");
        let lasted: i64 = cdr["cdrs"][1]["duration"].as_str().unwrap().parse().unwrap();
        assert!((lasted - seconds).abs() <= 1, "{cdr}");
    }
}

// accept: voice-paas 137, 140, 145, 146
#[test]
fn a_third_party_joins_all_hear_all_and_it_leaves_again() {
    let p = Pair::start();
    let third = Party::start(Law::A, Some(C));
    p.bed.third_at(third.address());
    p.bed.prompt("greet", GREETING, 600);
    p.bed.prompt("ring", RINGBACK, 400);
    let (sid, a, b) = p.talk(&json!({}));
    let add = json!({
        "action": "addCall", "callee": THIRD, "greetVoice": "greet", "ringbackMode": 1, "ringbackVoice": "ring",
    });
    assert_eq!(p.bed.command(&sid, &add), "00000");
    let c = third.first_call();
    c.ring();
    hears(&a.line(), RINGBACK);
    listen(300);
    assert!(b.line().hears(A), "the two go on talking");
    c.answer();
    for (line, hz) in [(a.line(), C), (b.line(), C), (c.line(), A)] {
        hears(&line, hz);
    }
    let joined = now_ms();
    listen(800);
    let heard = [a.line().heard(), b.line().heard(), c.line().heard()];
    for (i, own) in [A, B, C].into_iter().enumerate() {
        for hz in [A, B, C] {
            let ms = heard[i].heard_between(hz, joined + 100, joined + 700);
            if hz == own {
                assert_eq!(ms, 0, "a party hears itself: {hz} Hz");
            } else {
                assert!(ms > 500, "party {i} hears {hz} Hz for {ms} of 600 ms");
            }
        }
    }
    for quiet in &heard[1..] {
        assert_eq!(
            quiet.heard_ms(GREETING) + quiet.heard_ms(RINGBACK),
            0,
            "prompts of the add are the caller's only"
        );
    }
    assert!(heard[0].heard_ms(GREETING) > 450);
    c.hang_up();
    listen(600);
    assert!(a.line().hears(B) && b.line().hears(A), "the two continue");
    assert_eq!(
        p.bed.command(&sid, &json!({ "action": "addCall", "callee": THIRD })),
        "00000"
    );
    third.nth_call(1).refuse("486 Busy Here");
    listen(300);
    a.hang_up();
    let cdr = p.bed.over(&sid, PUSHED);
    let seqs: Vec<&Value> = cdr["cdrs"].as_array().unwrap().iter().map(|l| &l["callSeq"]).collect();
    assert_eq!(seqs, ["0", "1", "2", "3"]);
    continuous(&a.line().packets());
    continuous(&b.line().packets());
}

// accept: voice-paas 141
#[test]
fn the_callee_and_a_third_party_continue_when_the_caller_leaves() {
    let p = Pair::start();
    let third = Party::start(Law::A, Some(C));
    p.bed.third_at(third.address());
    let (sid, a, b) = p.talk(&json!({}));
    assert_eq!(
        p.bed.command(&sid, &json!({ "action": "addCall", "callee": THIRD })),
        "00000"
    );
    let c = third.first_call();
    c.answer();
    hears(&b.line(), C);
    a.hang_up();
    listen(700);
    assert!(b.line().hears(C) && c.line().hears(B) && !b.line().hears(A));
    b.hang_up();
    assert_eq!(c.wait_end(SOON).0, Ended::Bye);
    assert_eq!(p.bed.over(&sid, PUSHED)["byeType"], "4");
}

// accept: voice-paas 124, 162, 163
// accept: domain-model I28
#[test]
fn a_recording_from_the_answer_has_each_side_on_its_channel() {
    let p = Pair::start();
    let (sid, a, b) = p.talk(&json!({ "record": 2 }));
    listen(2000);
    b.line().play(None);
    listen(600);
    a.hang_up();
    // The link is there and answers in the moment in which the record comes.
    let cdr = p.bed.cdr(&sid, PUSHED);
    let (left, right) = recording(&cdr);
    let whole = left.end_ms();
    assert!(
        left.heard_ms(A) + 400 > whole && left.heard_ms(B) == 0,
        "left: the caller {:?}",
        left.spans(A)
    );
    assert!(
        right.heard_ms(B) > 1800 && right.heard_ms(A) == 0,
        "right: the callee {:?}",
        right.spans(B)
    );
    let silent = right.end_ms() - right.spans(B)[0].1;
    assert!(
        (400..=900).contains(&silent),
        "the callee falls silent {silent} ms before the end"
    );
    let talked: i64 = cdr["cdrs"][1]["duration"].as_str().unwrap().parse().unwrap();
    let recorded: i64 = cdr["recordingDuration"].as_str().unwrap().parse().unwrap();
    assert!((talked - recorded).abs() <= 1, "{cdr}");
    p.bed.over(&sid, PUSHED);
}

// accept: voice-paas 122, 123, 125
#[test]
fn a_recording_from_ringing_has_the_ringback_and_is_there_without_an_answer() {
    let p = Pair::start();
    let run = |record: u32, answered: bool| {
        let (n, m) = (p.a.calls().len(), p.b.calls().len());
        let sid = p.bed.click(&json!({ "record": record }));
        let a = p.a.nth_call(n);
        a.answer();
        let b = p.b.nth_call(m);
        b.ring();
        listen(1300);
        if answered {
            b.answer();
            hears(&a.line(), B);
            listen(500);
            a.hang_up();
        } else {
            b.refuse("486 Busy Here");
        }
        p.bed.over(&sid, PUSHED)
    };
    let cdr = run(1, true);
    let (left, right) = recording(&cdr);
    assert!(right.heard_ms(TONE) > 700 && right.heard_ms(B) > 300 && left.heard_ms(A) > 300);
    assert!(
        right.spans(TONE)[0].0 < 300,
        "it starts with the ringing: {:?}",
        right.spans(TONE)
    );
    let cdr = run(1, false);
    let (_, right) = recording(&cdr);
    assert!(right.heard_ms(TONE) > 700);
    let cdr = run(0, true);
    assert_eq!(
        (&cdr["recordingUrl"], &cdr["recordingDuration"]),
        (&json!(""), &json!("0"))
    );
}

// accept: voice-paas 112, 113
#[test]
fn a_caller_who_leaves_early_releases_the_callee_at_once() {
    let p = Pair::start();
    p.bed.prompt("greet", GREETING, 2000);
    let sid = p.bed.click(&json!({ "greetVoice": "greet" }));
    let a = p.a.first_call();
    a.answer();
    hears(&a.line(), GREETING);
    a.hang_up();
    assert_eq!(p.bed.over(&sid, PUSHED)["byeType"], "1");
    assert!(p.b.calls().is_empty(), "the callee is not dialled");

    let sid = p.bed.click(&json!({}));
    let a = p.a.nth_call(1);
    a.answer();
    let b = p.b.first_call();
    b.ring();
    hears(&a.line(), TONE);
    let left = std::time::Instant::now();
    a.hang_up();
    let (how, when) = b.wait_end(SOON);
    assert_eq!(how, Ended::Cancelled);
    assert!(when - left < Duration::from_secs(1), "{:?}", when - left);
    assert_eq!(p.bed.over(&sid, PUSHED)["byeType"], "1");
}
