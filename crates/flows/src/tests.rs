use super::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use strowger_core::Stamp;
use strowger_core::ivr::check::{Level, check};
use strowger_core::number::{CHINA, Number};
use strowger_core::route::{Direction, Target};

/// The blocks of JSON of a page of the documentation.
fn blocks(page: &str) -> Vec<String> {
    let all = page.split("```json\n").skip(1);
    all.filter_map(|b| Some(b.split_once("```")?.0.to_owned())).collect()
}

#[test]
fn the_example_of_the_documentation_is_read_checked_and_written_as_the_same() {
    let page = include_str!("../../../docs/ivr.md");
    let blocks = blocks(page);
    let example = flow_text(&blocks[0]).unwrap();
    assert_eq!(check(&example, &|_, _| None), []);
    assert_eq!(flow(flow_of(&example)), Ok(example.clone()));
    // Every kind of node but those that only a flow of flows has.
    let kinds: std::collections::BTreeSet<_> = example.nodes.values().map(|n| n.kind()).collect();
    assert_eq!(kinds.len(), 13, "{kinds:?}");
    let Strict(dry_run) = serde_json::from_str(&blocks[1]).unwrap();
    let small = flow(dry_run["flow"].clone()).unwrap();
    assert!(check(&small, &|_, _| None).iter().all(|f| f.level != Level::Error));
    // Every kind is in the table of nodes.
    for kind in kinds.iter().chain(&["flow", "return"]) {
        assert!(page.contains(&format!("| `{kind}` |")), "{kind}");
    }
}

#[test]
fn defaults_are_those_of_the_documentation() {
    let text = r#"{"start":"a","nodes":{
        "a":{"type":"collect","say":[],"into":"v","max":4,"next":"b","failed":"b"},
        "b":{"type":"flow","flow":"x","next":"c"},
        "c":{"type":"return"}}}"#;
    let read = flow_text(text).unwrap();
    let written = flow_of(&read);
    assert_eq!(
        (&written["language"], &written["max_seconds"]),
        (&json!("zh"), &json!(1800))
    );
    let a = &written["nodes"]["a"];
    assert_eq!(
        (&a["min"], &a["between_ms"], &a["secret"]),
        (&json!(1), &json!(3000), &json!(false))
    );
    assert_eq!(a["tries"], json!({ "count": 3, "wait_ms": 5000 }));
    assert_eq!(written["nodes"]["c"], json!({ "type": "return" }));
    assert_eq!(flow(written), Ok(read));
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let with = |node: Value| json!({ "start": "a", "nodes": { "a": node } });
    let menu = |choices: Value| with(json!({ "type": "menu", "say": [], "choices": choices, "failed": "a" }));
    let say = |say: Value| with(json!({ "type": "play", "say": say, "next": "a" }));
    let case =
        |when: Value| with(json!({ "type": "branch", "cases": [{ "when": when, "next": "a" }], "otherwise": "a" }));
    for (value, place, words) in [
        (json!([]), "", "expected struct"),
        (json!({ "nodes": {} }), "", "missing field `start`"),
        (json!({ "start": "a", "nodes": {}, "x": 1 }), "x", "unknown field `x`"),
        (
            json!({ "start": "a", "nodes": {}, "language": "fr" }),
            "language",
            "zh or en",
        ),
        (with(json!(1)), "nodes.a", "an object"),
        (with(json!({})), "nodes.a", "`type` is missing"),
        (with(json!({ "type": 1 })), "nodes.a.type", "a text"),
        (with(json!({ "type": "dance" })), "nodes.a", "unknown variant `dance`"),
        (
            with(json!({ "type": "play", "say": [] })),
            "nodes.a",
            "missing field `next`",
        ),
        (
            with(json!({ "type": "return", "next": "a" })),
            "nodes.a.next",
            "unknown field `next`",
        ),
        (
            menu(json!([{ "key": "12", "next": "a" }])),
            "nodes.a.choices[0].key",
            "one key is expected",
        ),
        (
            menu(json!([{ "key": 1, "next": "a" }])),
            "nodes.a.choices[0].key",
            "invalid type",
        ),
        (
            say(json!([{ "text": "a" }, { "song": "b" }])),
            "nodes.a.say[1]",
            "unknown variant `song`",
        ),
        (
            say(json!([{ "spoken": { "kind": "colour", "text": "red" } }])),
            "nodes.a.say[0].spoken.kind",
            "time, money, number or digits",
        ),
        (
            case(json!("sometimes")),
            "nodes.a.cases[0].when",
            "unknown variant `sometimes`",
        ),
        (
            case(json!({ "any": ["always", { "called": ["abc"] }] })),
            "nodes.a.cases[0].when.any[1].called[0]",
            "a telephone number",
        ),
        (
            case(json!({ "share": 300 })),
            "nodes.a.cases[0].when.share",
            "expected u8",
        ),
        (
            with(json!({ "type": "http", "url": "u", "headers": { "X": 1 }, "next": "a", "failed": "a" })),
            "nodes.a.headers.X",
            "a text is expected",
        ),
        (
            with(json!({ "type": "hang_up", "cause": "boredom" })),
            "nodes.a.cause",
            "a cause such as",
        ),
    ] {
        let wrong = flow(value.clone()).unwrap_err();
        assert_eq!(wrong.place, place, "{value}: {wrong}");
        assert!(wrong.problem.contains(words), "{value}: {wrong}");
    }
    for (text, words) in [
        ("{", "no JSON"),
        (
            r#"{"start":"a","start":"b","nodes":{}}"#,
            "\"start\" is there twice at line 1",
        ),
        (
            r#"{"start":"a","nodes":{"a":{"type":"return"},"a":{"type":"return"}}}"#,
            "\"a\" is there twice",
        ),
    ] {
        let wrong = flow_text(text).unwrap_err().to_string();
        assert!(wrong.contains(words), "{wrong}");
    }
    let long = " ".repeat(2 << 20);
    assert!(flow_text(&long).unwrap_err().problem.contains("longer"));
    // Deeper than any condition may be; not deeper than the stack.
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(flow_text(&deep).is_err());
}

#[test]
fn a_body_is_json_with_values_in_its_texts_or_one_text() {
    let body = |body: Value| {
        let node = json!({ "type": "http", "method": "POST", "url": "https://a.example/", "body": body,
            "next": "a", "failed": "a" });
        let read = flow(json!({ "start": "a", "nodes": { "a": node } })).unwrap();
        let written = flow_of(&read);
        assert_eq!(flow(written.clone()), Ok(read.clone()));
        let template = read.nodes["a"]
            .templates()
            .into_iter()
            .find(|(p, _)| *p == "body")
            .unwrap()
            .1
            .source()
            .to_owned();
        (template, written["nodes"]["a"]["body"].clone())
    };
    let object = json!({ "n": "${caller}", "list": [1, "$$"] });
    assert_eq!(body(object.clone()), (object.to_string(), object));
    let text = "{\"level\": ${level}}";
    assert_eq!(body(json!(text)), (text.to_owned(), json!(text)));
    let spaced = "{ \"a\": 1 }";
    assert_eq!(body(json!(spaced)).1, json!(spaced));
}

fn plan_json() -> Value {
    json!({
        "rules": [
            { "name": "black", "when": { "caller_listed": "black" }, "to": { "refuse": { "cause": "forbidden" } } },
            { "name": "night", "when": { "not": { "open": "office" } }, "to": { "voicemail": "sales" } },
            { "name": "crm", "when": { "all": [{ "caller_begins": ["+86139"] }, { "share": 50 }] }, "to": {
                "ask": { "url": "https://crm.example/route", "timeout_ms": 2000, "attempts": 1, "default": { "queue": "gold" } } } },
            { "name": "value", "when": { "value": { "name": "x", "is": { "between": [1, 9] } } }, "to": { "agent": "ann" } },
            { "name": "from", "when": { "caller_from": { "province": "广东省" } }, "to": { "number": "+8613800138000" } },
        ],
        "otherwise": { "flow": "main" },
    })
}

#[test]
fn a_plan_is_read_and_written_as_the_same() {
    let read = plan(plan_json()).unwrap();
    let mut expected = plan_json();
    expected["rules"][0]["to"] = json!({ "refuse": { "cause": "forbidden" } });
    assert_eq!(plan_of(&read), expected);
    assert_eq!(plan(plan_of(&read)), Ok(read));
    let place = |change: &dyn Fn(&mut Value)| {
        let mut value = plan_json();
        change(&mut value);
        plan(value).unwrap_err().place
    };
    assert_eq!(place(&|v| v["otherwise"] = json!({ "nowhere": "x" })), "otherwise");
    assert_eq!(
        place(&|v| v["rules"][1]["to"] = json!({ "number": "abc" })),
        "rules[1].to.number"
    );
    assert_eq!(
        place(&|v| v["rules"][2]["to"]["ask"]["default"] = json!({ "queue": 1 })),
        "rules[2].to.ask.default.queue"
    );
    assert_eq!(
        place(&|v| v["rules"][1]["when"] = json!({ "open": 1 })),
        "rules[1].when.open"
    );
}

#[test]
fn calendars_and_lists_are_read() {
    let office = json!({
        "zone": "Asia/Shanghai",
        "weekly": [{ "days": ["mon", "fri"], "from": "09:00", "to": "18:00" }, { "days": ["fri"], "from": "22:00", "to": "02:00" }],
        "special": [
            { "name": "National Day", "from": "2026-10-01", "to": "2026-10-07", "hours": [] },
            { "name": "sale", "from": "2000-11-11", "to": "2000-11-11", "yearly": true, "hours": [{ "from": "00:00", "to": "24:00" }] },
        ],
    });
    let read = calendar(office.clone()).unwrap();
    assert_eq!(calendar_of(&read), office);
    // A Monday at ten in Shanghai, and a day of the sale at midnight.
    assert!(read.at(Stamp(1_772_416_800_000)).is_open());
    let bad = |change: &dyn Fn(&mut Value)| {
        let mut value = office.clone();
        change(&mut value);
        calendar(value).unwrap_err().place
    };
    assert_eq!(bad(&|v| v["zone"] = json!("Mars/Olympus")), "zone");
    assert_eq!(bad(&|v| v["weekly"][0]["days"][1] = json!("day")), "weekly[0].days[1]");
    assert_eq!(bad(&|v| v["weekly"][0]["from"] = json!("24:00")), "weekly[0].from");
    assert_eq!(bad(&|v| v["special"][0]["to"] = json!("2026-09-30")), "special[0].to");

    let numbers = list(json!([
        { "number": "138 0013 8000" },
        { "prefix": "+86139", "direction": "inbound", "until_ms": 1000 },
    ]))
    .unwrap();
    let has = |n: &str, d, at| numbers.has(&Number::parse(n, CHINA).unwrap(), d, Stamp(at));
    assert!(has("13800138000", Direction::Outbound, 0) && has("13900000000", Direction::Inbound, 999));
    assert!(!has("13900000000", Direction::Inbound, 1000) && !has("13900000000", Direction::Outbound, 0));
    assert_eq!(list(list_of(&numbers)), Ok(numbers.clone()));
    assert_eq!(
        list_of(&numbers)[0],
        json!({ "number": "+8613800138000", "direction": "both" })
    );
    let place = |v: Value| list(v).unwrap_err().place;
    assert_eq!(place(json!([{ "number": "x" }])), "[0].number");
    assert_eq!(place(json!([{ "prefix": "1" }, {}])), "[1]");
    assert_eq!(place(json!([{ "prefix": "" }])), "[0]");
}

#[test]
fn answers_of_a_server_are_looked_into_and_never_trusted() {
    let body = br#"{"a":{"b/c":[1,"two",null,{"x":1}]},"on":true}"#;
    let pointers = ["/a/b~1c/0", "/a/b~1c/1", "/a/b~1c/2", "/a/b~1c/3", "/on", "/none", "x"];
    let found = pointed(body, pointers);
    let expected = [
        ("/a/b~1c/0", "1"),
        ("/a/b~1c/1", "two"),
        ("/a/b~1c/3", "{\"x\":1}"),
        ("/on", "true"),
    ];
    let expected: BTreeMap<_, _> = expected
        .into_iter()
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .collect();
    assert_eq!(found, expected);
    assert!(pointed(b"no json", ["/a"]).is_empty());
    assert!(pointed(&vec![b' '; MAX_ANSWER + 1], [""]).is_empty());
    assert_eq!(target(br#"{"queue":"gold"}"#), Some(Target::Queue("gold".into())));
    for bad in [
        &b"{}"[..],
        br#"{"queue":1}"#,
        br#"{"ask":{}}"#,
        b"",
        br#"{"queue":"a","agent":"b"}"#,
    ] {
        assert_eq!(target(bad), None);
    }
}
