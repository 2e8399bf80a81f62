//! Export, import with a diff before it is applied, and rolling back.

mod kit;

use axum::http::Method;
use kit::{House, house};
use serde_json::{Value, json};

/// A tenant with one of everything that a file has.
async fn office() -> House {
    let h = house();
    h.furnish().await;
    for username in ["desk-1", "desk-2"] {
        h.post(
            "/devices",
            json!({ "username": username, "application": "sales", "media": "srtp" }),
        )
        .await;
    }
    h.post("/users", json!({ "name": "li", "role": "agent" })).await;
    h.post("/groups", json!({ "name": "front", "numbers": ["01062345678"] }))
        .await;
    h.post("/groups", json!({ "name": "back" })).await;
    h.post("/queues", json!({ "name": "b", "group": "back" })).await;
    let settings = json!({ "overflow": { "queue": "b" }, "strategy": "round-robin", "max_wait_secs": 90 });
    h.post(
        "/queues",
        json!({ "name": "a", "group": "front", "settings": settings }),
    )
    .await;
    let skills = json!([{ "group": "front", "level": 9 }, { "group": "back", "level": 2 }]);
    let agent = json!({ "login": "li", "user": "li", "devices": ["desk-1"], "skills": skills, "wrap_up": "manual" });
    h.post("/agents", agent).await;
    h.post("/agents", json!({ "login": "wang" })).await;
    let centre = json!({ "settings": { "wrap_up": "off" }, "break_reasons": [{ "code": "lunch", "name": "Lunch" }] });
    let (status, _) = h.ask(Method::PATCH, "/applications/sales/centre", centre).await;
    assert_eq!(status, 200);
    let applications = h.get("/applications").await;
    let route = json!({
        "application": applications["items"][0]["id"], "number": "01062345678", "target": { "device": "desk-2" },
    });
    h.post("/routes", route).await;
    let hook = json!({
        "name": "crm", "application": "sales", "url": "https://crm.example.com/in", "events": ["call.ended"],
        "secret": "0123456789abcdef",
    });
    h.post("/webhooks", hook).await;
    h
}

async fn import(h: &House, body: Value) -> (u16, Value) {
    let (status, answer) = h.ask(Method::POST, "/configuration/import", body).await;
    (status.as_u16(), answer)
}

/// Kind, name and action of each change.
fn said(report: &Value) -> Vec<String> {
    let mut all: Vec<String> = report["changes"]
        .as_array()
        .unwrap_or_else(|| panic!("{report}"))
        .iter()
        .map(|c| {
            let text = |m: &str| c[m].as_str().unwrap().to_owned();
            let members: Vec<&str> = c["members"]
                .as_array()
                .unwrap()
                .iter()
                .filter_map(Value::as_str)
                .collect();
            format!(
                "{} {} {} {}",
                text("action"),
                text("kind"),
                text("name"),
                members.join(",")
            )
            .trim_end()
            .to_owned()
        })
        .collect();
    all.sort();
    all
}

#[tokio::test]
async fn a_file_that_was_exported_changes_nothing_and_makes_the_same_elsewhere() {
    let h = office().await;
    let file = h.get("/configuration").await;
    let text = file.to_string();
    for secret in ["password", "token", "secret"] {
        assert!(!text.contains(secret), "{text}");
    }
    let (status, report) = import(&h, json!({ "file": file, "apply": true, "prune": true })).await;
    assert_eq!((status, &report["applied"]), (200, &json!(true)), "{report}");
    assert_eq!(said(&report), [""; 0]);
    // Passwords of devices are not in the file, and stay.
    let config = h.store.snapshot();
    assert!(config.devices().all(|d| d.password.is_some()));

    h.post("/tenants", json!({ "name": "copy" })).await;
    h.post("/numbers", json!({ "number": "01062345679", "tenant": "copy" }))
        .await;
    h.post("/users", json!({ "name": "li", "role": "agent", "tenant": "copy" }))
        .await;
    let copied: Value = serde_json::from_str(&text.replace("1062345678", "1062345679")).unwrap();
    let (status, report) = import(&h, json!({ "tenant": "copy", "file": copied, "apply": true })).await;
    assert_eq!(status, 200, "{report}");
    assert!(
        report["changes"]
            .as_array()
            .unwrap()
            .iter()
            .all(|c| c["action"] == "create")
    );
    assert_eq!(h.get("/configuration?tenant=copy").await, copied);
    assert_eq!(
        h.get("/configuration?tenant=acme").await,
        file,
        "the first one is as it was"
    );
}

#[tokio::test]
async fn what_would_change_is_said_then_done_and_then_undone() {
    let h = office().await;
    let before = h.get("/configuration").await;
    let mut file = before.clone();
    let agents = file["agents"].as_array_mut().unwrap();
    agents.retain(|a| a["login"] != "wang");
    agents[0]["skills"] = json!([{ "group": "front", "level": 1 }]);
    agents[0]["wrap_up"] = json!({ "seconds": 30 });
    // A queue that another one overflows into goes with it.
    file["queues"] = json!([]);
    file["devices"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "username": "desk-3" }));
    file["centres"][0]["settings"] = json!({ "ring_secs": 12 });
    let expected = [
        "change agents sales/li skills,wrap_up",
        "change centres sales settings",
        "create devices desk-3",
        "remove agents sales/wang",
        "remove queues sales/a",
        "remove queues sales/b",
    ];
    let (_, report) = import(&h, json!({ "file": file, "prune": true })).await;
    assert_eq!(
        (&report["applied"], said(&report)),
        (&json!(false), expected.map(str::to_owned).to_vec())
    );
    assert_eq!(h.get("/configuration").await, before, "nothing was changed yet");
    // Without pruning nothing goes.
    let (_, report) = import(&h, json!({ "file": file })).await;
    assert_eq!(said(&report), expected[..3]);
    let (status, report) = import(&h, json!({ "file": file, "prune": true, "apply": true })).await;
    assert_eq!((status, said(&report)), (200, expected.map(str::to_owned).to_vec()));
    assert_eq!(h.get("/agents").await["items"].as_array().unwrap().len(), 1);
    let log = h.get("/audit?tenant=acme&limit=1").await;
    assert_eq!(log["items"][0]["action"], "configuration.import");
    assert_eq!(h.get("/agents/li").await["wrap_up"], json!({ "seconds": 30 }));
    let (_, report) = h.ask(Method::POST, "/configuration/rollback", json!({})).await;
    assert_eq!((&report["applied"], said(&report).len()), (&json!(false), 6));
    let (status, _) = h
        .ask(Method::POST, "/configuration/rollback", json!({ "apply": true }))
        .await;
    assert_eq!(status, 200);
    assert_eq!(h.get("/configuration").await, before);
}

#[tokio::test]
async fn a_bad_file_says_where_and_changes_nothing() {
    let h = office().await;
    let before = h.get("/configuration").await;
    let (status, answer) = h
        .ask(Method::POST, "/configuration/rollback", json!({ "apply": true }))
        .await;
    assert_eq!((status.as_u16(), &answer["code"]), (404, &json!("not-found")));
    type Spoil = fn(&mut Value);
    let spoil: [(Spoil, u16, &str, &str); 10] = [
        (|f| f["version"] = json!(2), 400, "request.parameter", "file.version"),
        (|f| f["agent"] = json!([]), 400, "request.body", ""),
        (
            |f| f["agents"][0]["colour"] = json!("red"),
            400,
            "request.body",
            "file.agents[0]",
        ),
        (
            |f| f["agents"][1]["extension"] = json!("1"),
            400,
            "request.parameter",
            "file.agents[1].extension",
        ),
        (
            |f| f["agents"][1]["skills"] = json!([{ "group": "none" }]),
            404,
            "not-found",
            "file.agents[1]",
        ),
        (|f| f["agents"][1]["extension"] = json!("1001"), 409, "exists", ""),
        (
            |f| f["queues"][0]["group"] = json!("none"),
            404,
            "not-found",
            "file.queues[0]",
        ),
        (
            |f| f["routes"][0]["number"] = json!("01099999999"),
            400,
            "request.parameter",
            "file.routes[0].number",
        ),
        (
            |f| f["groups"][0]["application"] = json!("none"),
            404,
            "not-found",
            "file.groups[0]",
        ),
        (
            |f| f["devices"][0]["username"] = json!("a b"),
            400,
            "request.parameter",
            "file.devices[0].username",
        ),
    ];
    for (n, (spoil, status, code, parameter)) in spoil.into_iter().enumerate() {
        let mut file = before.clone();
        spoil(&mut file);
        let (got, answer) = import(&h, json!({ "file": file, "apply": true, "prune": true })).await;
        assert_eq!((got, &answer["code"]), (status, &json!(code)), "{n}: {answer}");
        assert_eq!(
            answer["parameter"].as_str().unwrap_or_default(),
            parameter,
            "{n}: {answer}"
        );
        assert_eq!(h.get("/configuration").await, before, "{n}");
    }
}
