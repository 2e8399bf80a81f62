//! Agents, skill groups, queues, settings and break reasons over the API.

mod kit;

use axum::http::Method;
use kit::{House, house};
use serde_json::{Value, json};

/// A tenant with an application, two devices, a number, a user and a skill group.
async fn office() -> House {
    let h = house();
    h.furnish().await;
    for username in ["desk-1", "desk-2"] {
        h.post("/devices", json!({ "username": username })).await;
    }
    h.post("/users", json!({ "name": "li", "role": "agent" })).await;
    h.post("/groups", json!({ "name": "sales", "numbers": ["01062345678"] }))
        .await;
    h
}

async fn refused(h: &House, method: Method, path: &str, body: Value) -> (u16, String, String) {
    let (status, answer) = h.ask(method, path, body).await;
    let text = |m: &str| answer[m].as_str().unwrap_or_default().to_owned();
    assert!(!status.is_success(), "{path}: {answer}");
    assert!(text("detail").len() > 15, "{answer}");
    (status.as_u16(), text("code"), text("parameter"))
}

#[tokio::test]
async fn an_agent_is_made_of_a_user_devices_and_skills() {
    let h = office().await;
    let made = h
        .post(
            "/agents",
            json!({
                "login": "li", "user": "li", "name": "Li Wei", "devices": ["desk-1"],
                "skills": [{ "group": "sales", "level": 8 }], "mobile": "13800000001", "numbers": ["01062345678"],
                "wrap_up": { "seconds": 20 }, "chat_capacity": 2,
            }),
        )
        .await;
    assert_eq!(made["extension"], "1001");
    assert_eq!(
        (&made["role"], &made["wrap_up"]),
        (&json!("agent"), &json!({ "seconds": 20 }))
    );
    assert_eq!(made["skills"][0]["level"], 8);
    let second = h.post("/agents", json!({ "login": "wang" })).await;
    assert_eq!(second["extension"], "1002");
    let change = json!({ "wrap_up": "manual", "role": "leader", "reset": ["chat_capacity"], "user": "" });
    let (status, changed) = h.ask(Method::PATCH, "/agents/li", change).await;
    assert_eq!(status, 200, "{changed}");
    assert_eq!(
        (&changed["wrap_up"], &changed["role"]),
        (&json!("manual"), &json!("leader"))
    );
    assert_eq!(
        (&changed["chat_capacity"], &changed["user"]),
        (&Value::Null, &Value::Null)
    );
    for (body, status, code, parameter) in [
        (json!({ "login": "li" }), 409, "exists", ""),
        (json!({ "login": "x", "extension": "1001" }), 409, "exists", ""),
        (json!({ "login": "x", "devices": ["desk-1"] }), 409, "exists", ""),
        (
            json!({ "login": "x", "extension": "1" }),
            400,
            "request.parameter",
            "extension",
        ),
        (json!({ "login": "x y" }), 400, "request.parameter", "login"),
        (
            json!({ "login": "x", "role": "boss" }),
            400,
            "request.parameter",
            "role",
        ),
        (json!({ "login": "x", "user": "nobody" }), 404, "not-found", ""),
        (
            json!({ "login": "x", "skills": [{ "group": "none" }] }),
            404,
            "not-found",
            "",
        ),
        (
            json!({ "login": "x", "skills": [{ "group": "sales", "level": 11 }] }),
            400,
            "request.parameter",
            "level",
        ),
        (
            json!({ "login": "x", "skills": [{ "group": "sales" }, { "group": "sales" }] }),
            400,
            "request.parameter",
            "skills",
        ),
        (json!({ "login": "x", "devices": ["desk-9"] }), 404, "not-found", ""),
        (
            json!({ "login": "x", "numbers": ["01099999999"] }),
            400,
            "request.parameter",
            "numbers",
        ),
        (
            json!({ "login": "x", "wrap_up": { "seconds": 0 } }),
            400,
            "request.parameter",
            "wrap_up",
        ),
        (json!({ "login": "x", "wrap_up": "never" }), 400, "request.body", ""),
    ] {
        let got = refused(&h, Method::POST, "/agents", body.clone()).await;
        assert_eq!(got, (status, code.to_owned(), parameter.to_owned()), "{body}");
    }
    assert_eq!(
        refused(&h, Method::DELETE, "/devices/desk-1", Value::Null).await.1,
        "in-use"
    );
    let (status, _) = h.ask(Method::DELETE, "/agents/li", Value::Null).await;
    assert_eq!(status, 204);
    let (status, _) = h.ask(Method::DELETE, "/devices/desk-1", Value::Null).await;
    assert_eq!(status, 204);
}

#[tokio::test]
async fn members_of_a_group_come_change_level_and_go() {
    let h = office().await;
    h.post("/agents", json!({ "login": "li" })).await;
    h.post(
        "/agents",
        json!({ "login": "wang", "skills": [{ "group": "sales", "level": 2 }] }),
    )
    .await;
    let set = |level: u8| h.ask(Method::PUT, "/groups/sales/members/li", json!({ "level": level }));
    assert_eq!(set(4).await.0, 200);
    assert_eq!(set(9).await.0, 200);
    assert_eq!(set(0).await.0, 400);
    let members = h.get("/groups/sales/members").await;
    let levels: Vec<(&str, u64)> = members["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| (m["login"].as_str().unwrap(), m["level"].as_u64().unwrap()))
        .collect();
    assert!(
        levels.contains(&("li", 9)) && levels.contains(&("wang", 2)),
        "{levels:?}"
    );
    assert_eq!(
        refused(&h, Method::DELETE, "/groups/sales", Value::Null).await.1,
        "in-use"
    );
    for login in ["li", "wang"] {
        let path = format!("/groups/sales/members/{login}");
        assert_eq!(h.ask(Method::DELETE, &path, Value::Null).await.0, 204);
        assert_eq!(refused(&h, Method::DELETE, &path, Value::Null).await.0, 404);
    }
    assert_eq!(h.ask(Method::DELETE, "/groups/sales", Value::Null).await.0, 204);
}

#[tokio::test]
async fn a_queue_has_its_settings_and_overflows_where_it_can() {
    let h = office().await;
    let first = h.post("/queues", json!({ "name": "front", "group": "sales" })).await;
    assert_eq!(
        (&first["strategy"], &first["overflow"]),
        (&json!("most-skilled"), &json!("end"))
    );
    let settings = json!({
        "strategy": "ring-all", "overflow": { "queue": "front" }, "max_wait_secs": 90, "priority": 7, "ring_secs": 20,
    });
    let second = h
        .post(
            "/queues",
            json!({ "name": "back", "group": "sales", "settings": settings }),
        )
        .await;
    assert_eq!(second["overflow"]["queue"], first["id"]);
    let change = |settings: Value| json!({ "settings": settings });
    for (settings, code, parameter) in [
        (
            json!({ "strategy": "loudest" }),
            "request.parameter",
            "settings.strategy",
        ),
        (json!({ "priority": 10 }), "request.parameter", "settings.priority"),
        (json!({ "ring_secs": 2 }), "request.parameter", "settings.ring_secs"),
        (
            json!({ "overflow": { "queue": "front" } }),
            "request.parameter",
            "settings.overflow.queue",
        ),
        (json!({ "overflow": { "queue": "none" } }), "not-found", ""),
        (
            json!({ "overflow": { "number": "abc" } }),
            "request.parameter",
            "settings.overflow.number",
        ),
        (json!({ "music": "none" }), "not-found", ""),
        (json!({ "colour": "red" }), "request.body", ""),
    ] {
        let got = refused(&h, Method::PATCH, "/queues/front", change(settings.clone())).await;
        assert_eq!((got.1.as_str(), got.2.as_str()), (code, parameter), "{settings}");
    }
    assert_eq!(
        refused(&h, Method::DELETE, "/queues/front", Value::Null).await.1,
        "in-use"
    );
    let over = change(json!({ "overflow": { "number": "13800000009" }, "ring_secs": 0 }));
    let (status, changed) = h.ask(Method::PATCH, "/queues/back", over).await;
    assert_eq!((status.as_u16(), &changed["ring_secs"]), (200, &Value::Null));
    assert_eq!(h.ask(Method::DELETE, "/queues/front", Value::Null).await.0, 204);
    assert_eq!(
        h.get("/queues?application=sales").await["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn a_centre_has_defaults_settings_and_break_reasons() {
    let h = office().await;
    let before = h.get("/applications/sales/centre").await;
    assert_eq!(
        (&before["settings"]["no_answer"], &before["break_reasons"]),
        (&json!("break"), &json!([]))
    );
    let change = json!({
        "settings": { "no_answer": "not-ready", "wrap_up": "off", "grace_secs": 30, "agent_lost": "end" },
        "break_reasons": [{ "code": "lunch", "name": "Lunch" }, { "code": "meeting", "name": "会议" }],
    });
    let (status, after) = h.ask(Method::PATCH, "/applications/sales/centre", change).await;
    assert_eq!(status, 200, "{after}");
    assert_eq!(
        (&after["settings"]["wrap_up"], &after["settings"]["ring_secs"]),
        (&json!("off"), &json!(30))
    );
    assert_eq!(after["break_reasons"][1]["name"], "会议");
    for (body, parameter) in [
        (json!({ "settings": { "no_answer": "shout" } }), "settings.no_answer"),
        (json!({ "settings": { "ring_secs": 1 } }), "settings.ring_secs"),
        (
            json!({ "break_reasons": [{ "code": "a b", "name": "x" }] }),
            "break_reasons.code",
        ),
        (
            json!({ "break_reasons": [{ "code": "a", "name": "x" }, { "code": "a", "name": "y" }] }),
            "break_reasons.code",
        ),
    ] {
        let got = refused(&h, Method::PATCH, "/applications/sales/centre", body.clone()).await;
        assert_eq!(got.2, parameter, "{body}");
    }
    assert_eq!(
        h.ask(Method::DELETE, "/applications/sales/centre", Value::Null).await.0,
        204
    );
    assert_eq!(h.get("/applications/sales/centre").await, before);
}
