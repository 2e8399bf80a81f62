//! The OpenAPI file: it is the one in the repository, it names every route, and no route finds what is another tenant's.

mod kit;

use kit::house;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use strowger_core::event::{Created, Kind, RecordMode};
use strowger_core::{ConversationId, ConversationRecord, Event, Fact, Stamp};

fn file() -> Value {
    serde_json::from_str(&strowger_api::openapi()).unwrap()
}

#[test]
fn the_file_in_the_repository_is_the_one_that_the_code_makes() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
    let made = strowger_api::openapi();
    if std::env::var_os("STROWGER_WRITE_OPENAPI").is_some() {
        std::fs::write(path, &made).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(kept == made, "docs/openapi.json is stale: run make openapi");
}

#[test]
fn every_reference_leads_somewhere_and_every_operation_is_described() {
    let file = file();
    assert_eq!(file["openapi"], "3.1.0");
    fn walk(v: &Value, file: &Value) {
        match v {
            Value::Object(members) => {
                if let Some(Value::String(to)) = members.get("$ref") {
                    let pointer = to.strip_prefix('#').unwrap();
                    assert!(file.pointer(pointer).is_some(), "{to} leads nowhere");
                }
                members.values().for_each(|v| walk(v, file));
            }
            Value::Array(all) => all.iter().for_each(|v| walk(v, file)),
            _ => {}
        }
    }
    walk(&file, &file);
    for (path, item) in file["paths"].as_object().unwrap() {
        for (method, op) in item.as_object().unwrap() {
            let summary = op["summary"].as_str().unwrap_or_default();
            assert!(!summary.is_empty(), "{method} {path} says nothing");
            assert!(op["responses"]["500"]["$ref"].is_string(), "{method} {path}");
        }
    }
}

/// What tenant A has, by the name that paths have for it, and all of its ids.
async fn furnished(h: &kit::House, tenant: &str) -> (BTreeMap<&'static str, String>, Vec<String>) {
    let text = |v: &Value| v.as_str().unwrap().to_owned();
    let account = h.post("/accounts", json!({ "name": "crm-a", "tenant": tenant })).await;
    let application = h
        .post("/applications", json!({ "name": "sales-a", "tenant": tenant }))
        .await;
    h.post("/numbers", json!({ "number": "01062345678", "tenant": tenant }))
        .await;
    let device = h
        .post("/devices", json!({ "username": "desk-a", "tenant": tenant }))
        .await;
    let route = json!({
        "application": application["id"], "number": "01062345678", "target": { "device": device["id"] },
    });
    let route = h.post("/routes", route).await;
    let trunk = json!({ "name": "trunk-a", "address": "127.0.0.1:5090", "tenant": tenant });
    let trunk = h.post("/trunks", trunk).await;
    let hook =
        json!({ "name": "hook-a", "tenant": tenant, "url": "https://a.example.com/", "secret": "0123456789abcdef" });
    let hook = h.post("/webhooks", hook).await;
    let user = json!({ "name": "user-a", "role": "owner", "tenant": tenant });
    let user = h.post("/users", user).await;
    let app = &application["id"];
    let group = h
        .post("/groups", json!({ "name": "group-a", "application": app }))
        .await;
    let agent = json!({
        "login": "agent-a", "application": app, "user": "user-a", "devices": ["desk-a"],
        "skills": [{ "group": "group-a", "level": 3 }],
    });
    let agent = h.post("/agents", agent).await;
    let queue = json!({ "name": "queue-a", "application": app, "group": "group-a" });
    let queue = h.post("/queues", queue).await;
    let mut items = BTreeMap::new();
    for (family, definition) in [
        ("lists", json!([{ "number": "13900000000" }])),
        ("calendars", json!({ "zone": "Asia/Shanghai" })),
        (
            "display-pools",
            json!({ "numbers": [{ "number": "01062345678" }], "groups": ["group-a"] }),
        ),
        ("plans", json!({ "rules": [], "otherwise": { "queue": "queue-a" } })),
    ] {
        let body = json!({ "name": format!("{family}-a"), "application": app, "definition": definition });
        items.insert(family, text(&h.post(&format!("/{family}"), body).await["id"]));
    }
    let flow = json!({ "start": "a", "nodes": { "a": { "type": "hang_up" } } });
    let flow = json!({ "name": "flow-a", "application": app, "flow": flow, "publish": true });
    items.insert("flows", text(&h.post("/flows", flow).await["id"]));
    let key = json!({ "name": "key-a", "scopes": ["calls:read"], "tenant": tenant });
    let key = h.post("/keys", key).await;
    let conversation = ConversationId::mint(1, 1);
    let created = Event {
        conversation,
        seq: 1,
        at: Stamp(1_000),
        fact: Fact::Created(Box::new(Created {
            tenant: tenant.parse().unwrap(),
            application: text(&application["id"]).parse().unwrap(),
            account: None,
            kind: Kind::ClickToCall,
            ani: "13800000001".into(),
            dnis: "13800000002".into(),
            user_data: String::new(),
            max_duration: None,
            record: RecordMode::None,
            subscriptions: Vec::new(),
        })),
    };
    *h.calls.live.lock().unwrap() = ConversationRecord::fold(&[created]).unwrap();
    let chat = strowger_core::chat::Fact {
        chat: conversation,
        seq: 1,
        at: Stamp(1_000),
        what: strowger_core::chat::What::Opened(strowger_core::chat::Opening {
            application: text(&application["id"]).parse().unwrap(),
            customer: "customer-a".into(),
            name: String::new(),
            data: String::new(),
            priority: 0,
        }),
    };
    h.store.write_chats(tenant.parse().unwrap(), &[chat]).await.unwrap();
    let callback = strowger_core::centre::acd::Callback {
        id: strowger_core::CallbackId(77),
        queue: text(&queue["id"]).parse().unwrap(),
        first: conversation,
        number: strowger_core::Number::from_canonical("+8613800000001"),
        asked_at: Stamp(1_000),
        since: Stamp(1_000),
        priority: 0,
        front: false,
        attempts: 0,
        last: None,
        state: strowger_core::centre::acd::CallbackState::Waiting,
        at: Stamp(1_000),
    };
    let requests = std::slice::from_ref(&callback);
    h.store
        .write_callbacks(tenant.parse().unwrap(), requests)
        .await
        .unwrap();
    let mut named = BTreeMap::from([
        ("callbacks", callback.id.to_string()),
        ("chats", conversation.to_string()),
        ("accounts", text(&account["id"])),
        ("agents", text(&agent["id"])),
        ("groups", text(&group["id"])),
        ("queues", text(&queue["id"])),
        ("applications", text(&application["id"])),
        ("batches", conversation.to_string()),
        ("calls", conversation.to_string()),
        ("devices", text(&device["id"])),
        ("keys", text(&key["id"])),
        ("numbers", "01062345678".to_owned()),
        ("prompts", "welcome-a".to_owned()),
        ("registrations", "desk-a".to_owned()),
        ("routes", text(&route["id"])),
        ("tenants", tenant.to_owned()),
        ("trunks", text(&trunk["id"])),
        ("users", text(&user["id"])),
        ("webhooks", text(&hook["id"])),
    ]);
    named.extend(items);
    let ids = named
        .values()
        .cloned()
        .chain(["user-a", "hook-a", "key-a", "crm-a", "agent-a", "group-a", "queue-a"].map(str::to_owned));
    (named.clone(), ids.collect())
}

/// The least body that an operation reads, of what its schema demands.
fn least(op: &Value, file: &Value) -> Value {
    let Some(to) = op["requestBody"]["content"]["application/json"]["schema"]["$ref"].as_str() else {
        return Value::Null;
    };
    let schema = file.pointer(&to[1..]).unwrap();
    let mut body = json!({});
    for member in schema["required"].as_array().into_iter().flatten() {
        let member = member.as_str().unwrap();
        body[member] = match member {
            "action" => json!("start"),
            "state" => json!("ready"),
            "code" => json!("000000"),
            "flow" => json!({ "start": "a", "nodes": {} }),
            "version" => json!(1),
            _ => json!("x"),
        };
    }
    body
}

const ALL: [&str; 12] = [
    "resources:read",
    "resources:write",
    "calls:read",
    "calls:write",
    "diagnostics:read",
    "centre:agent",
    "centre:supervise",
    "chats:write",
    "events:read",
    "identity:read",
    "identity:write",
    "audit:read",
];

// accept: domain-model I20
#[tokio::test]
async fn no_route_finds_what_is_another_tenants() {
    let h = house();
    let (a, of_a) = h.tenant_with_key("acme", &ALL).await;
    let (b, of_b) = h.tenant_with_key("other", &ALL).await;
    for (tenant, token) in [(&a, &of_a), (&b, &of_b)] {
        let body = json!({ "max_rate": 100_000 });
        let id = &token[4..36];
        let (status, _) = h.ask(axum::http::Method::PATCH, &format!("/keys/{id}"), body).await;
        assert_eq!(status, 200, "{tenant}");
    }
    let (named, ids) = furnished(&h, &a).await;
    let file = file();
    let (mut probed, mut listed) = (0, 0);
    for (path, item) in file["paths"].as_object().unwrap() {
        for (method, op) in item.as_object().unwrap() {
            let family = path.trim_start_matches("/api/v1/").split('/').next().unwrap();
            let below = path.trim_start_matches("/api/v1");
            let ask = |token: String, path: String| {
                let method = method.to_uppercase();
                let body = least(op, &file);
                let h = &h;
                async move { h.public(&method, &path, &token, &[], body).await }
            };
            if path.contains('{') {
                let id = named.get(family).unwrap_or_else(|| panic!("no example of {family}"));
                let there = below.replace("{agent}", &named["agents"]);
                let there = match (there.find('{'), there.find('}')) {
                    (Some(start), Some(end)) => format!("{}{id}{}", &there[..start], &there[end + 1..]),
                    _ => there,
                };
                let answer = ask(of_b.clone(), there.clone()).await;
                let code = (answer.status, answer.body["code"].as_str().unwrap_or("-"));
                assert_eq!(code, (404, "not-found"), "{method} {there}: {}", answer.body);
                assert!(
                    !answer.body.to_string().contains("-a\"") || there.contains("-a"),
                    "{}",
                    answer.body
                );
                probed += 1;
            } else if method == "get" && path != "/api/v1/openapi.json" {
                let answer = ask(of_b.clone(), below.to_owned()).await;
                let text = answer.body.to_string();
                for id in &ids {
                    assert!(!text.contains(id.as_str()), "{path} shows {id}: {text}");
                }
                listed += 1;
                let takes = |p: &Value| p["name"] == "tenant";
                if op["parameters"].as_array().is_some_and(|p| p.iter().any(takes)) {
                    let answer = ask(of_b.clone(), format!("{below}?tenant={a}")).await;
                    assert_eq!(answer.status, 404, "{path}?tenant= {}", answer.body);
                }
            }
        }
    }
    assert!(probed >= 35 && listed >= 15, "{probed} {listed}");
    // The owner finds them: it was not the probe that was wrong.
    for family in [
        "accounts",
        "agents",
        "groups",
        "queues",
        "flows",
        "plans",
        "calendars",
        "lists",
        "display-pools",
        "applications",
        "calls",
        "chats",
        "devices",
        "keys",
        "numbers",
        "routes",
        "trunks",
        "users",
        "webhooks",
    ] {
        let path = format!("/{family}/{}", named[family]);
        assert_eq!(
            h.public("GET", &path, &of_a, &[], Value::Null).await.status,
            200,
            "{path}"
        );
    }
    // And nothing was changed by the probes.
    let device = h.get("/devices/desk-a").await;
    assert_eq!(device["disabled"], false);
    // Ids of another tenant in bodies.
    let own = h.post("/applications", json!({ "name": "own", "tenant": b })).await;
    h.post("/numbers", json!({ "number": "01062345679", "tenant": b }))
        .await;
    for (path, body) in [
        ("/devices", json!({ "username": "x", "tenant": a })),
        (
            "/devices",
            json!({ "username": "x", "application": named["applications"] }),
        ),
        (
            "/webhooks",
            json!({ "name": "x", "url": "https://x.example.com/", "secret": "0123456789abcdef", "application": named["applications"] }),
        ),
        ("/users", json!({ "name": "x", "role": "agent", "tenant": a })),
        ("/keys", json!({ "name": "x", "scopes": ["calls:read"], "tenant": a })),
        ("/accounts", json!({ "name": "x", "tenant": a })),
        ("/applications", json!({ "name": "x", "account": named["accounts"] })),
        (
            "/routes",
            json!({ "application": named["applications"], "number": "01062345679", "target": { "number": "10086" } }),
        ),
        (
            "/routes",
            json!({ "application": own["id"], "number": "01062345679", "target": { "device": named["devices"] } }),
        ),
        (
            "/routes",
            json!({ "application": own["id"], "number": "01062345679", "target": { "trunk": named["trunks"] } }),
        ),
        (
            "/calls",
            json!({ "application": named["applications"], "from": "13800000001", "to": "13800000002" }),
        ),
        ("/groups", json!({ "name": "x", "application": named["applications"] })),
        ("/agents", json!({ "login": "x", "application": named["applications"] })),
        (
            "/agents",
            json!({ "login": "x", "skills": [{ "group": named["groups"] }] }),
        ),
        ("/agents", json!({ "login": "x", "devices": [named["devices"]] })),
        ("/agents", json!({ "login": "x", "user": named["users"] })),
        ("/queues", json!({ "name": "x", "group": named["groups"] })),
        (
            "/flows",
            json!({ "name": "x", "application": named["applications"], "flow": { "start": "a", "nodes": {} } }),
        ),
        (
            "/lists",
            json!({ "name": "x", "application": named["applications"], "definition": [] }),
        ),
        (
            "/display-pools",
            json!({ "name": "x", "definition": { "numbers": [], "groups": [named["groups"]] } }),
        ),
        (
            "/routes",
            json!({ "application": own["id"], "number": "01062345679", "target": { "flow": named["flows"] } }),
        ),
        (
            "/routes",
            json!({ "application": own["id"], "number": "01062345679", "target": { "plan": named["plans"] } }),
        ),
        (
            "/configuration/import",
            json!({ "tenant": a, "file": { "version": 1 }, "apply": true, "prune": true }),
        ),
        ("/configuration/rollback", json!({ "tenant": a, "apply": true })),
        (
            "/configuration/import",
            json!({ "apply": true, "file": { "version": 1, "groups": [{ "application": named["applications"], "name": "x" }] } }),
        ),
        ("/deliveries/repush", json!({ "tenant": a, "deliveries": [1] })),
    ] {
        let answer = h.public("POST", path, &of_b, &[], body.clone()).await;
        assert_eq!(answer.status, 404, "{path} {body}: {}", answer.body);
    }
}
