//! Checks and dry runs of flows and of the rules of numbers.

mod kit;

use axum::http::Method;
use kit::house;
use serde_json::{Value, json};

/// The blocks of JSON of a page of the documentation.
fn blocks(page: &str) -> Vec<Value> {
    let all = page.split("```json\n").skip(1);
    let all = all.filter_map(|b| Some(b.split_once("```")?.0));
    all.map(|b| serde_json::from_str(b).unwrap()).collect()
}

fn codes(answer: &Value) -> Vec<&str> {
    let all = answer["findings"].as_array().unwrap();
    all.iter().map(|f| f["code"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_flow_is_checked_alone_and_against_what_there_is() {
    let h = house();
    let (_, application) = h.furnish().await;
    let flow = blocks(include_str!("../../../docs/ivr.md")).remove(0);
    let answer = h.post("/flows/validate", json!({ "flow": flow })).await;
    assert_eq!(answer, json!({ "valid": true, "findings": [] }));
    let context = json!({ "application": application["id"], "calendars": {} });
    let answer = h
        .post("/flows/validate", json!({ "flow": flow, "context": context }))
        .await;
    assert_eq!(answer["valid"], false);
    let first = &answer["findings"][0];
    assert_eq!(
        (&first["level"], &first["code"]),
        (&json!("error"), &json!("reference.unknown"))
    );
    let unknown: Vec<_> = answer["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f["why"].as_str().unwrap())
        .collect();
    assert!(unknown.contains(&"there is no calendar \"office\""), "{unknown:?}");
    assert!(unknown.contains(&"there is no prompt \"welcome\""), "{unknown:?}");
    assert!(unknown.contains(&"there is no queue \"sales\""), "{unknown:?}");
    assert_eq!(unknown.len(), 9, "{unknown:?}");
    // With the queue and the agent, only prompts and the calendar are missing.
    h.post("/groups", json!({ "name": "sales" })).await;
    h.post("/queues", json!({ "name": "sales", "group": "sales" })).await;
    h.post("/agents", json!({ "login": "operator" })).await;
    let body = json!({ "flow": flow, "context": context });
    let known = h.post("/flows/validate", body).await;
    assert_eq!(known["findings"].as_array().unwrap().len(), 5, "{known}");
    for finding in answer["findings"].as_array().unwrap() {
        assert!(!finding["fix"].as_str().unwrap().is_empty() && finding["node"].is_string());
    }
}

#[tokio::test]
async fn flows_that_call_one_another_are_checked_together() {
    let h = house();
    let calls = |to: &str| {
        json!({ "start": "a", "nodes": {
            "a": { "type": "flow", "flow": to, "next": "b" }, "b": { "type": "return" } } })
    };
    let body = |other: &str| json!({ "flow": calls("other"), "name": "main", "context": { "flows": { "other": calls(other) } } });
    let answer = h.post("/flows/validate", body("main")).await;
    assert_eq!(codes(&answer), ["flow.recursion"]);
    let answer = h
        .post(
            "/flows/validate",
            json!({ "flow": calls("gone"), "context": { "flows": {} } }),
        )
        .await;
    assert_eq!(codes(&answer), ["reference.unknown"]);
}

#[tokio::test]
async fn what_is_no_flow_is_refused_with_its_place() {
    let h = house();
    let application = json!({ "application": "00000000000000000000000000000001" });
    let fine = json!({ "start": "a", "nodes": { "a": { "type": "return" } } });
    let call = json!({ "called": "95588" });
    for (path, body, status, code, parameter) in [
        (
            "/flows/validate",
            json!({ "flow": {} }),
            400,
            "request.parameter",
            "flow",
        ),
        (
            "/flows/validate",
            json!({ "flow": { "start": "a", "nodes": { "m": { "type": "menu", "say": [], "choices": [{ "key": "12" }], "failed": "a" } } } }),
            400,
            "request.parameter",
            "flow.nodes.m.choices[0].key",
        ),
        (
            "/flows/validate",
            json!({ "flow": fine, "context": application }),
            404,
            "not-found",
            "",
        ),
        (
            "/flows/validate",
            json!({ "flow": fine, "more": 1 }),
            400,
            "request.body",
            "",
        ),
        (
            "/flows/dry-run",
            json!({ "flow": fine, "call": { "called": "x" } }),
            400,
            "request.parameter",
            "call.called",
        ),
        (
            "/flows/dry-run",
            json!({ "flow": fine, "call": call, "inputs": [{ "keys": "12x" }] }),
            400,
            "request.parameter",
            "inputs[0].keys",
        ),
        (
            "/flows/dry-run",
            json!({ "flow": fine, "call": call, "inputs": [{ "passes_ms": 1e12 as u64 }] }),
            400,
            "request.parameter",
            "inputs[0].passes_ms",
        ),
        (
            "/flows/dry-run",
            json!({ "flow": fine, "call": call, "context": { "calendars": { "c": { "zone": "Mars" } } } }),
            400,
            "request.parameter",
            "context.calendars.c.zone",
        ),
        (
            "/routing/dry-run",
            json!({ "plan": { "rules": [], "otherwise": { "nowhere": 1 } }, "call": call }),
            400,
            "request.parameter",
            "plan.otherwise",
        ),
        (
            "/routing/validate",
            json!({ "plan": [] }),
            400,
            "request.parameter",
            "plan",
        ),
    ] {
        let (got, answer) = h.ask(Method::POST, path, body).await;
        let place = answer["parameter"].as_str().unwrap_or_default();
        assert_eq!(
            (got.as_u16(), answer["code"].as_str(), place),
            (status, Some(code), parameter),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn a_flow_is_walked_without_a_call() {
    let h = house();
    let body = blocks(include_str!("../../../docs/ivr.md")).remove(1);
    let answer = h.post("/flows/dry-run", body).await;
    let what: Vec<_> = answer["trace"]
        .as_array()
        .unwrap()
        .iter()
        .map(|l| l["what"].as_str().unwrap())
        .collect();
    assert!(
        what.contains(&"there is no answer") && what.contains(&"to queue sales with priority 0"),
        "{what:?}"
    );
    assert_eq!(answer["path"], json!([{ "key": "1", "label": "sales" }]));
    assert_eq!(
        answer["end"],
        json!({ "state": "over", "cause": "normal", "waits": null, "input": null })
    );
    assert_eq!(answer["unused"], 0);
    let last = answer["trace"].as_array().unwrap().last().unwrap();
    assert!(last["at_ms"].as_u64().unwrap() > 60_000, "{last}");

    // An answer of the tenant's server, by its pointer.
    let flow = blocks(include_str!("../../../docs/ivr.md")).remove(0);
    let open = json!({ "office": { "zone": "UTC" } });
    let body = json!({
        "flow": flow,
        "context": { "calendars": open },
        "call": { "caller": "13800138000", "called": "95588", "at": "2026-03-02T01:00:00Z" },
        "inputs": [{ "keys": "2" }, { "keys": "1234#" }, { "answers": { "status": 200, "body": { "account": { "balance": 12.5 } } } },
            { "keys": "1" }],
    });
    let answer = h.post("/flows/dry-run", body.clone()).await;
    let what: Vec<_> = answer["trace"]
        .as_array()
        .unwrap()
        .iter()
        .map(|l| l["what"].as_str().unwrap())
        .collect();
    assert!(what.contains(&"plays \"Your balance is\", money \"12.5\""), "{what:?}");
    assert!(what.contains(&"satisfaction scores 5"), "{what:?}");
    // An input that does not fit, and too few.
    let mut short = body.clone();
    short["inputs"] = json!([{ "keys": "2" }, { "back": "done" }]);
    let answer = h.post("/flows/dry-run", short).await;
    assert_eq!(
        (&answer["end"]["state"], &answer["end"]["input"]),
        (&json!("unfit"), &json!(1))
    );
    let mut none = body;
    none["inputs"] = json!([]);
    let answer = h.post("/flows/dry-run", none).await;
    assert_eq!(answer["end"]["state"], "waiting");
}

#[tokio::test]
async fn a_plan_is_checked_and_says_where_a_call_goes_and_why() {
    let h = house();
    let page = blocks(include_str!("../../../docs/routing.md")).remove(0);
    let answer = h.post("/routing/dry-run", page.clone()).await;
    assert_eq!(
        (&answer["rule"], &answer["findings"]),
        (&json!("known customers"), &json!([]))
    );
    assert_eq!(answer["to"], page["plan"]["rules"][2]["to"]);
    assert_eq!(
        answer["trace"][1],
        json!({ "rule": "closed", "holds": false, "why": "calendar \"office\" is open" })
    );
    let mut night = page.clone();
    night["call"]["at"] = json!("2026-03-02T14:00:00Z");
    assert_eq!(h.post("/routing/dry-run", night).await["rule"], "closed");
    let mut barred = page.clone();
    barred["call"]["caller"] = json!("13900000000");
    assert_eq!(h.post("/routing/dry-run", barred).await["rule"], "black list");
    let mut nobody = page.clone();
    nobody["plan"]["rules"] = json!([]);
    let answer = h.post("/routing/dry-run", nobody).await;
    assert_eq!(
        (&answer["rule"], &answer["to"]),
        (&Value::Null, &json!({ "flow": "main" }))
    );

    let mut wrong = json!({ "plan": page["plan"], "context": { "lists": {} } });
    wrong["plan"]["rules"][3]["when"] = json!("always");
    wrong["plan"]["rules"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "name": "late", "when": "always", "to": { "queue": "a" } }));
    let answer = h.post("/routing/validate", wrong).await;
    assert_eq!(
        (codes(&answer), &answer["valid"]),
        (vec!["reference.unknown", "route.unreachable"], &json!(false))
    );
}

#[tokio::test]
async fn another_tenants_application_is_not_there() {
    let h = house();
    let (_, application) = h.furnish().await;
    let (_, key) = h.tenant_with_key("other", &["resources:read"]).await;
    let flow = json!({ "start": "a", "nodes": { "a": { "type": "return" } } });
    let body = json!({ "flow": flow, "context": { "application": application["id"] } });
    let answer = h.public("POST", "/flows/validate", &key, &[], body).await;
    assert_eq!(
        (answer.status, answer.body["code"].as_str()),
        (404, Some("not-found")),
        "{}",
        answer.body
    );
    let answer = h
        .public("POST", "/flows/validate", &key, &[], json!({ "flow": flow }))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}
