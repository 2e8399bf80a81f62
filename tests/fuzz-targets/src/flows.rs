//! Flows and what belongs to them: the JSON of the native API, templates, answers of tenants' servers, tables of regions.

use serde_json::Value;
use std::sync::Arc;
use strowger_core::ivr::check::check;
use strowger_core::ivr::io::{Call, Library, Outcome};
use strowger_core::ivr::template::{MAX_RENDERED, Place};
use strowger_core::ivr::walk::{Given, MAX_LINES, walk};
use strowger_core::ivr::{Answer, Flow, Template};
use strowger_core::number::{CHINA, Number};
use strowger_core::route::Regions;
use strowger_core::{ConversationId, Stamp};
use strowger_flows::{Strict, calendar, calendar_of, flow_of, list, list_of, plan, plan_of, pointed, target};

/// Any text is a flow, which is written as it was read, checked, and walked to an end; or it is refused with a reason. The
/// same of plans, calendars and lists.
pub fn flow(data: &[u8]) {
    let _ = target(data);
    let found = pointed(data, ["", "/a", "/0/~1"]);
    assert!(found.len() <= 3);
    let Ok(text) = std::str::from_utf8(data) else { return };
    template(text);
    if let Ok(flow) = strowger_flows::flow_text(text) {
        assert_eq!(strowger_flows::flow(flow_of(&flow)).as_ref(), Ok(&flow));
        for finding in check(&flow, &|_, name| Some(name.len() > 3)) {
            assert!(!finding.why.is_empty() && !finding.fix.is_empty());
        }
        dry_run(flow);
    }
    let Ok(Strict(value)) = serde_json::from_str::<Strict>(text) else {
        return;
    };
    if let Ok(plan_read) = plan(value.clone()) {
        assert_eq!(plan(plan_of(&plan_read)).as_ref(), Ok(&plan_read));
        for finding in plan_read.check(&|_, _| None) {
            assert!(!finding.why.is_empty() && !finding.fix.is_empty());
        }
    }
    if let Ok(read) = calendar(value.clone()) {
        assert_eq!(calendar(calendar_of(&read)).as_ref(), Ok(&read));
        for at in [0, 1_772_416_800_000, i64::from(i32::MAX) * 1000] {
            let _ = read.at(Stamp(at));
        }
    }
    if let Ok(read) = list(value) {
        assert_eq!(list(list_of(&read)).as_ref(), Ok(&read));
    }
}

fn template(text: &str) {
    let template = Template::new(text);
    for place in [Place::Text, Place::Url, Place::Json, Place::Header] {
        let out = template.render(place, |name| Some(name.to_owned().into()));
        assert!(out.len() <= MAX_RENDERED && (template.problem().is_none() || out.is_empty()));
    }
}

fn dry_run(flow: Flow) {
    let library = Arc::new(Library {
        flows: [("main".to_owned(), Arc::new(flow))].into(),
        ..Library::default()
    });
    let call = Call {
        conversation: ConversationId(1 << 16),
        caller: Number::parse("13800138000", CHINA).ok(),
        called: Number::from_canonical("95588"),
        region: None,
    };
    let answer = Answer {
        status: 200,
        values: [("/a".to_owned(), "1".to_owned())].into(),
    };
    let round = [
        Given::Keys("1".into()),
        Given::Silence,
        Given::Says("sales".into()),
        Given::Answers(Some(answer)),
        Given::Back(Outcome::Failed),
    ];
    // From each beginning of the round: what does not fit ends a walk.
    for first in 0..round.len() {
        let inputs: Vec<Given> = round.iter().cycle().skip(first).take(20).cloned().collect();
        let trace = walk(library.clone(), "main", call.clone(), Stamp(0), &inputs);
        assert!(trace.unused <= inputs.len() && trace.lines.len() < MAX_LINES + 1000);
    }
}

/// Any text is a table of regions or is refused with a line.
pub fn regions(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(table) = Regions::parse(text) {
        for number in ["13900000000", "010-62345678", "+8", "95588"] {
            let number = Number::parse(number, CHINA);
            let _ = number.ok().and_then(|n| table.of(&n).cloned());
        }
    }
}

/// The examples of the documentation, and plans and calendars.
pub fn seeds() -> Vec<Vec<u8>> {
    let page = include_str!("../../../docs/ivr.md");
    let blocks = page.split("```json\n").skip(1);
    let mut all: Vec<Vec<u8>> = blocks.filter_map(|b| Some(b.split_once("```")?.0.into())).collect();
    // The flow of the second example without what is around it.
    let inner = serde_json::from_slice::<Value>(&all[1]).map(|v| v["flow"].to_string());
    all.extend(inner.map(String::into_bytes));
    all.extend(
        [
            r#"{"rules":[{"name":"a","when":{"all":["caller_hidden",{"share":50}]},"to":{"ask":{"url":"https://a/","default":{"queue":"q"}}}}],"otherwise":{"flow":"main"}}"#,
            r#"{"zone":"Europe/Berlin","weekly":[{"days":["mon"],"from":"22:00","to":"02:00"}],"special":[{"name":"x","from":"2026-12-31","yearly":true}]}"#,
            r#"[{"number":"13800138000"},{"prefix":"+86","direction":"inbound","until_ms":5}]"#,
            r#"{"start":"a","nodes":{"a":{"type":"branch","cases":[{"when":{"not":{"value":{"name":"x","is":{"one_of":["1"]}}}},"next":"b"}],"otherwise":"a"},"b":{"type":"flow","flow":"main","next":"c"},"c":{"type":"return"}}}"#,
        ]
        .map(|s| s.as_bytes().to_vec()),
    );
    all
}

/// A small table.
pub fn region_seeds() -> Vec<Vec<u8>> {
    let tables = ["8610,北京市,北京市\n861390755,广东省,深圳市\n", "# x\n\n86,a,\n8,b,c"];
    tables.map(|t| t.as_bytes().to_vec()).to_vec()
}
