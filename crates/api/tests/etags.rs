//! Changes that were made from an older version are refused, for everything that calls are led by, and for webhooks.

mod kit;

use kit::house;
use serde_json::{Value, json};

const ALL: [&str; 2] = ["resources:read", "resources:write"];

/// A family of resources: its path, a new one, and a change of it.
fn families() -> Vec<(&'static str, Value, Value)> {
    let flow = |cause: &str| json!({ "start": "a", "nodes": { "a": { "type": "hang_up", "cause": cause } } });
    let item =
        |name: &str, definition: Value| json!({ "name": name, "application": "sales", "definition": definition });
    let change = |definition: Value| json!({ "definition": definition });
    vec![
        (
            "/flows",
            json!({ "name": "main", "application": "sales", "flow": flow("normal") }),
            json!({ "flow": flow("busy") }),
        ),
        (
            "/plans",
            item("main", json!({ "rules": [], "otherwise": { "number": "13800138000" } })),
            change(json!({ "rules": [], "otherwise": { "number": "13900139000" } })),
        ),
        (
            "/calendars",
            item("office", json!({ "zone": "Asia/Shanghai" })),
            change(json!({ "zone": "Europe/Berlin" })),
        ),
        (
            "/lists",
            item("black", json!([{ "number": "13900000000" }])),
            change(json!([])),
        ),
        (
            "/display-pools",
            item("front", json!({ "numbers": [{ "number": "01062345678" }] })),
            change(json!({ "numbers": [] })),
        ),
        (
            "/webhooks",
            json!({ "name": "crm", "url": "https://crm.example.com/", "secret": "0123456789abcdef" }),
            json!({ "disabled": true }),
        ),
    ]
}

#[tokio::test]
async fn a_change_of_an_older_version_is_refused_and_changes_nothing() {
    let h = house();
    let (_, key) = h.tenant_with_key("acme", &ALL).await;
    h.post("/applications", json!({ "name": "sales" })).await;
    h.post("/numbers", json!({ "number": "01062345678" })).await;
    for (path, new, change) in families() {
        let made = h.public("POST", path, &key, &[], new).await;
        assert_eq!(made.status, 201, "{path}: {}", made.body);
        let one = format!("{path}/{}", made.body["id"].as_str().unwrap());
        let first = made.headers["etag"].to_str().unwrap().to_owned();
        let changed = h
            .public("PATCH", &one, &key, &[("if-match", &first)], change.clone())
            .await;
        assert_eq!(changed.status, 200, "{path}: {}", changed.body);
        let second = changed.headers["etag"].to_str().unwrap().to_owned();
        assert_ne!(first, second, "{path}");
        for (method, body) in [("PATCH", json!({ "name": "renamed" })), ("DELETE", Value::Null)] {
            let stale = h.public(method, &one, &key, &[("if-match", &first)], body).await;
            assert_eq!(
                (stale.status, &stale.body["code"]),
                (412, &json!("stale")),
                "{method} {path}"
            );
        }
        let shown = h.public("GET", &one, &key, &[], Value::Null).await;
        assert_eq!(shown.headers["etag"], second.as_str(), "{path}: as it was");
        assert_ne!(shown.body["name"], "renamed");
        let bad = h
            .public("DELETE", &one, &key, &[("if-match", "no tag")], Value::Null)
            .await;
        assert_eq!(
            (bad.status, &bad.body["parameter"]),
            (400, &json!("If-Match")),
            "{path}"
        );
        let gone = h
            .public("DELETE", &one, &key, &[("if-match", &second)], Value::Null)
            .await;
        assert_eq!(gone.status, 204, "{path}: {}", gone.body);
    }
}
