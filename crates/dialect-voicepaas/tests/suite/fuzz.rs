//! Random bodies, paths and queries: the router never panics and always gives a well-formed answer.

use crate::kit::*;
use crate::random::Rng;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use serde_json::{Map, Value, json};

const NAMES: [&str; 24] = [
    "action",
    "caller",
    "callee",
    "callerCli",
    "calleeCli",
    "greetVoice",
    "ringbackMode",
    "ringbackVoice",
    "failVoice",
    "calleeVoice",
    "callerVoice",
    "userData",
    "statusUrl",
    "cdrUrl",
    "record",
    "maxDuration",
    "lastMinVoice",
    "timeout",
    "callSid",
    "callids",
    "startTime",
    "endTime",
    "ringback_mode",
    "x",
];

pub fn text(r: &mut Rng) -> String {
    let known = [
        "click2call",
        "cancelCall",
        "addCall",
        CALLER,
        CALLEE,
        THIRD,
        CLI_A,
        "greet.wav",
        "ring.wav",
        "0",
        "1",
        "2",
        "true",
        "http://x.example.com/",
        "20250615100000",
        "20250616100000",
        "",
        " ",
        "中文",
        "\u{0}",
        "+",
        "9",
        "http://[::1]:80/",
        "http://user:pw@x.example.com/",
        "-1",
        "1e9",
    ];
    match r.below(6) {
        0 => (0..r.below(40))
            .filter_map(|_| char::from_u32(r.below(0x3000) as u32))
            .collect(),
        1 => "9".repeat(r.below(400) as usize),
        _ => r.pick(&known).to_owned(),
    }
}

pub fn value(r: &mut Rng, depth: u32) -> Value {
    match r.below(if depth > 2 { 7 } else { 9 }) {
        0 => Value::Null,
        1 => Value::Bool(r.one_in(2)),
        2 => json!(r.next() as i64),
        3 => json!(r.below(4)),
        4 => json!(r.next() as f64 / 7.0),
        5 | 6 => Value::String(text(r)),
        7 => (0..r.below(4)).map(|_| value(r, depth + 1)).collect(),
        _ => Value::Object((0..r.below(4)).map(|_| (text(r), value(r, depth + 1))).collect()),
    }
}

/// A body that begins well and is spoilt here and there.
fn body(r: &mut Rng) -> Vec<u8> {
    let mut members = Map::new();
    if !r.one_in(8) {
        members = click_body(json!({})).as_object().unwrap().clone();
        members.insert("action".into(), json!(r.pick(&["click2call", "addCall", "cancelCall"])));
    }
    for _ in 0..r.below(6) {
        let name = r.pick(&NAMES);
        let spoilt = if r.one_in(2) {
            value(r, 0)
        } else {
            Value::String(text(r))
        };
        members.insert(name.into(), spoilt);
    }
    let mut bytes = Value::Object(members).to_string().into_bytes();
    if r.one_in(6) {
        let at = r.below(bytes.len() as u64) as usize;
        bytes[at] = r.next() as u8;
    }
    if r.one_in(10) {
        bytes.truncate(r.below(bytes.len() as u64) as usize);
    }
    bytes
}

#[test]
fn any_request_gets_a_well_formed_answer() {
    let mut kit = Kit::talking();
    kit.party(THIRD, Party::answers(1, 2));
    let sid = kit.click(json!({}));
    kit.until(20.0);
    let mut r = Rng(20_250_615);
    let mut codes = std::collections::BTreeMap::new();
    for n in 0..6_000 {
        let any_sid = match r.below(4) {
            0 => format!("CV{:032x}", u128::from(r.next()) << 16),
            1 => format!("C{}", r.next()),
            _ => sid.clone(),
        };
        let (method, tail) = match r.below(10) {
            0..=4 => ("POST", "ctc/Conversations".to_owned()),
            5..=6 => ("POST", format!("ctc/Conversations/{any_sid}")),
            7 => ("POST", "cc/Cdrs/repush".to_owned()),
            8 => ("GET", format!("cc/Cdrs/{any_sid}")),
            _ => {
                let query = |r: &mut Rng| {
                    let t = text(r);
                    t.bytes().map(|b| format!("%{b:02x}")).collect::<String>()
                };
                let (a, b) = (query(&mut r), query(&mut r));
                (
                    "GET",
                    format!("cc/Cdrs?startTime={a}&endTime=20250616100000&pageSize={b}&{a}={b}&%zz"),
                )
            }
        };
        let request = Request::builder()
            .method(method)
            .uri(path((ACCOUNT, APP), &tail))
            .header(header::AUTHORIZATION, basic(ACCOUNT, TOKEN))
            .body(Body::from(body(&mut r)))
            .unwrap();
        let reply = kit.send(request);
        assert_eq!(reply.status, StatusCode::OK, "{n} {tail}");
        let code = reply.body["statusCode"].as_str().expect("a code").to_owned();
        assert!(code.len() == 5 && reply.body["statusMsg"].is_string());
        assert_eq!(code == "00000", reply.body["statusMsg"] == "success");
        *codes.entry(code).or_insert(0) += 1;
        if n % 50 == 0 {
            let now = kit.world().now;
            kit.world().run_until(now.plus_secs(1));
            kit.world().convs.retain(|c, _| *c == id(&sid));
        }
    }
    // It reaches deep: requests that succeed, and failures of every stage.
    for code in [
        "00000", "10002", "10004", "10005", "10006", "10007", "10009", "10010", "10011", "20001",
    ] {
        assert!(codes.contains_key(code), "{code} {codes:?}");
    }
}
