//! Random bodies for the notice family: never a panic, always a well-formed answer, and never a number or code in it.

use crate::fuzz::{text, value};
use crate::kit::*;
use crate::notice::{notice_body, raw};
use crate::random::Rng;
use axum::http::StatusCode;
use serde_json::{Value, json};

const NAMES: [&str; 15] = [
    "appid",
    "to",
    "from",
    "contents",
    "userdata",
    "times",
    "finishkey",
    "repeatkey",
    "finishvoice",
    "lang",
    "callbackurl",
    "ringtimeout",
    "code",
    "x",
    "type",
];

/// A value that one of the members may have, or anything.
fn member(r: &mut Rng) -> Value {
    let contents = |r: &mut Rng| {
        let kind = r.pick(&["voice", "time", "money", "number", "digits", "text", ""]);
        let said = match r.below(3) {
            0 => text(r),
            1 => r
                .pick(&["2013-07-30", "2.14", "112", "greet.wav", "14:05", "A7*#"])
                .to_owned(),
            _ => r.next().to_string(),
        };
        json!({"type": kind, "content": said})
    };
    match r.below(6) {
        0 => value(r, 0),
        1 => (0..r.below(5)).map(|_| contents(r)).collect(),
        2 => json!(r.pick(&["any", "1", "#", "en", "zh", "3", "aB3d", CALLEE, CLI_A, "greet.wav"])),
        3 => json!(format!("{CALLER}, {},{CALLEE},", text(r))),
        _ => Value::String(text(r)),
    }
}

#[test]
fn any_notice_gets_a_well_formed_answer() {
    let kit = Kit::talking();
    let auth = basic(ACCOUNT, TOKEN);
    let mut r = Rng(20_260_305);
    let mut codes = std::collections::BTreeMap::new();
    for n in 0..4_000 {
        let mut body = notice_body(json!({"code": "1234"}));
        for _ in 0..r.below(4) {
            body[r.pick(&NAMES)] = member(&mut r);
        }
        let mut bytes = body.to_string().into_bytes();
        if r.one_in(8) {
            let at = r.below(bytes.len() as u64) as usize;
            bytes[at] = r.next() as u8;
        }
        if r.one_in(12) {
            bytes.truncate(r.below(bytes.len() as u64) as usize);
        }
        let what = r.pick(&["VoiceNotices", "BatchVoiceNotices", "VoiceCaptchas"]);
        let reply = raw(&kit, what, Some(&auth), bytes);
        assert_eq!(reply.status, StatusCode::OK, "{n} {what}");
        let code = reply.body["statusCode"].as_str().expect("a code").to_owned();
        assert!(reply.body["statusmsg"].is_string() && reply.body["requestid"].as_str().unwrap().len() == 34);
        let started = code == "0" && what != "BatchVoiceNotices";
        assert_eq!(reply.body.get("callid").is_some(), started, "{n} {}", reply.text);
        assert!(
            !reply.text.contains(CALLEE) && !reply.text.contains("1234\""),
            "{}",
            reply.text
        );
        *codes.entry(code).or_insert(0) += 1;
        if n % 40 == 0 {
            let now = kit.world().now;
            kit.world().run_until(now.plus_secs(90));
            let mut world = kit.world();
            world.convs.clear();
            world.batched.clear();
        }
    }
    for code in ["0", "-2", "-3", "-4", "-5"] {
        assert!(codes.contains_key(code), "{code} {codes:?}");
    }
}
