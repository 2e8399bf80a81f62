//! What operators see of the process, and the settings of the SIP side.

mod kit;

use axum::http::Method;
use kit::house;
use serde_json::{Value, json};
use strowger_core::event::{Created, Event, Fact, Kind, RecordMode};
use strowger_core::{ConversationId, ConversationRecord, Stamp, TenantId};

#[tokio::test]
async fn a_trunk_is_found_by_name_registers_and_says_who_calls() {
    let h = house();
    h.furnish().await;
    let body = json!({
        "name": "tls", "server": "SIP.carrier.example", "transport": "tls", "verify": false, "username": "u",
        "password": "p", "register": 600, "contact_user": "main", "trusted": false,
        "asserted": "sip:+861062345678@carrier.example", "privacy": "enforce", "diversion": "history-info",
        "sources": ["192.0.2.0/24", "198.51.100.7"], "rules": [{ "prefix": "+1", "price": 1500 }],
    });
    let made = h.post("/trunks", body.clone()).await;
    for (member, value) in body.as_object().unwrap() {
        match member.as_str() {
            "password" => {}
            "server" => assert_eq!(made["server"], "sip.carrier.example"),
            "rules" => assert_eq!(made["rules"][0]["price"], 1500),
            _ => assert_eq!(&made[member], value, "{member}"),
        }
    }
    assert_eq!(made["address"], Value::Null);
    assert_eq!(made["registration"], "registered");
    // An address takes the server's place, with the transport's port; 0 ends the registration.
    let change = json!({ "address": "192.0.2.9", "register": 0 });
    let (status, changed) = h.ask(Method::PATCH, "/trunks/tls", change).await;
    assert_eq!(status, 200, "{changed}");
    assert_eq!(
        (&changed["address"], &changed["server"]),
        (&json!("192.0.2.9:5061"), &Value::Null)
    );
    assert_eq!(changed["register"], Value::Null);
    let (status, answer) = h
        .ask(Method::PATCH, "/trunks/tls", json!({ "username": "", "register": 60 }))
        .await;
    assert_eq!((status.as_u16(), &answer["parameter"]), (400, &json!("register")));
}

#[tokio::test]
async fn a_device_has_an_application_and_a_number_of_its_tenant() {
    let h = house();
    let (_, application) = h.furnish().await;
    let device = json!({ "username": "desk-1", "application": "sales", "cli": "01062345678" });
    let made = h.post("/devices", device).await;
    assert_eq!(made["application"], application["id"]);
    assert_eq!(made["cli"], "+861062345678");
    let (status, changed) = h
        .ask(
            Method::PATCH,
            "/devices/desk-1",
            json!({ "application": "", "cli": "" }),
        )
        .await;
    assert_eq!(status, 200, "{changed}");
    assert_eq!((&changed["application"], &changed["cli"]), (&Value::Null, &Value::Null));
    for (change, status, code) in [
        (json!({ "application": "none" }), 404, "not-found"),
        (json!({ "cli": "01099999999" }), 400, "request.parameter"),
        (json!({ "cli": "x" }), 400, "request.parameter"),
    ] {
        let (got, answer) = h.ask(Method::PATCH, "/devices/desk-1", change).await;
        assert_eq!((got.as_u16(), &answer["code"]), (status, &json!(code)), "{answer}");
    }
    h.post("/tenants", json!({ "name": "other" })).await;
    h.post("/devices", json!({ "username": "desk-1", "tenant": "other" }))
        .await;
    let (_, answer) = h.ask(Method::GET, "/devices/desk-1", Value::Null).await;
    assert_eq!(answer["code"], "request.tenant", "two tenants have one");
    let id = made["id"].as_str().unwrap();
    assert_eq!(h.get(&format!("/devices/{id}")).await["username"], "desk-1");
}

#[tokio::test]
async fn a_tenant_has_a_domain_of_its_own_a_cap_and_an_emergency_trunk() {
    let h = house();
    h.furnish().await;
    h.post("/tenants", json!({ "name": "other", "domain": "other.example" }))
        .await;
    let change = json!({
        "domain": "Acme.Example", "max_daily_spend": 50_000, "zone_minutes": 60, "emergency": "lab",
        "emergency_numbers": ["112"], "tones": "gb", "failure_tones": true, "hold_music": "waltz",
    });
    let (status, tenant) = h.ask(Method::PATCH, "/tenants/acme", change).await;
    assert_eq!(status, 200, "{tenant}");
    assert_eq!(tenant["domain"], "acme.example");
    assert_eq!(tenant["max_daily_spend"], 50_000);
    assert_eq!(
        (&tenant["tones"], &tenant["failure_tones"], &tenant["hold_music"]),
        (&json!("GB"), &json!(true), &json!("waltz"))
    );
    assert_eq!(tenant["emergency"], h.get("/trunks/lab").await["id"]);
    let config = h.store.snapshot();
    assert_eq!(config.tenant_by_domain("ACME.example").unwrap().name, "acme");
    let (_, answer) = h.ask(Method::DELETE, "/trunks/lab", Value::Null).await;
    assert_eq!(answer["code"], "in-use");
    for (change, status, parameter) in [
        (json!({ "domain": "other.example" }), 409, json!("domain")),
        (json!({ "domain": "192.0.2.1" }), 400, json!("domain")),
        (json!({ "emergency_numbers": ["11a"] }), 400, json!("emergency_numbers")),
        (json!({ "emergency": "none" }), 404, Value::Null),
        (json!({ "tones": "Britain" }), 400, json!("tones")),
        (json!({ "zone_minutes": 900 }), 400, json!("zone_minutes")),
    ] {
        let (got, answer) = h.ask(Method::PATCH, "/tenants/acme", change).await;
        assert_eq!((got.as_u16(), &answer["parameter"]), (status, &parameter), "{answer}");
    }
    let account = h.get("/accounts").await["items"][0]["id"].as_str().unwrap().to_owned();
    let caps = json!({ "max_daily_spend": 9, "max_rate": 2, "max_conversations": 3 });
    let (status, account) = h.ask(Method::PATCH, &format!("/accounts/{account}"), caps).await;
    assert_eq!(status, 200, "{account}");
    assert_eq!(
        (&account["max_daily_spend"], &account["max_rate"]),
        (&json!(9), &json!(2))
    );
}

#[tokio::test]
async fn registrations_are_listed_by_tenant_and_removed() {
    let h = house();
    h.furnish().await;
    let all = h.get("/registrations").await;
    assert_eq!(all["items"][0]["username"], "desk-1");
    assert_eq!(all["items"][1]["transport"], "wss");
    assert_eq!(h.get("/registrations?tenant=acme").await["items"], json!([]));
    let (status, answer) = h.ask(Method::DELETE, "/registrations/desk-1", Value::Null).await;
    assert_eq!((status.as_u16(), &answer["removed"]), (200, &json!(1)));
    let (status, answer) = h.ask(Method::DELETE, "/registrations/desk-9", Value::Null).await;
    assert_eq!((status.as_u16(), &answer["code"]), (404, &json!("not-found")));
}

#[tokio::test]
async fn sources_are_banned_listed_and_forgiven() {
    let h = house();
    let listed = h.get("/bans").await;
    assert_eq!(listed["items"][0]["source"], "192.0.2.7");
    assert_eq!(listed["items"][1]["source"], "2001:db8::/64");
    for body in [
        json!({ "source": "192.0.2.7", "seconds": 60 }),
        json!({ "source": "2001:db8::1" }),
    ] {
        assert_eq!(h.ask(Method::POST, "/bans", body).await.0, 204);
    }
    for (body, parameter) in [
        (json!({ "source": "example.com" }), "source"),
        (json!({ "source": "192.0.2.7", "seconds": 0 }), "seconds"),
    ] {
        let (status, answer) = h.ask(Method::POST, "/bans", body).await;
        assert_eq!((status.as_u16(), &answer["parameter"]), (400, &json!(parameter)));
    }
    assert_eq!(h.ask(Method::DELETE, "/bans/2001:db8::/64", Value::Null).await.0, 204);
    assert_eq!(h.ask(Method::DELETE, "/bans/127.0.0.1", Value::Null).await.0, 404);
    assert_eq!(
        *h.calls.done.lock().unwrap(),
        [
            "ban 192.0.2.7 60",
            "ban 2001:db8::1 3600",
            "unban 2001:db8::",
            "unban 127.0.0.1"
        ]
    );
}

#[tokio::test]
async fn a_ladder_is_of_a_call_that_exists_and_in_order() {
    let h = house();
    h.furnish().await;
    let path = |id: ConversationId| format!("/calls/{id}/ladder");
    let id = ConversationId::mint(1, 1);
    assert_eq!(h.ask(Method::GET, &path(id), Value::Null).await.0, 404);
    let tenant: TenantId = h.get("/tenants").await["items"][0]["id"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let config = h.store.snapshot();
    let application = config.applications().next().unwrap().id;
    *h.calls.live.lock().unwrap() = Some(record(id, tenant, application));
    let steps = h.get(&path(id)).await;
    assert_eq!(steps["items"][0]["direction"], "out");
    assert_eq!(steps["items"][0]["at"], "1970-01-01T00:00:01.000Z");
    assert_eq!(steps["items"][1]["text"], "SIP/2.0 200 OK\r\n\r\n");
}

#[tokio::test]
async fn certificates_that_cannot_be_used_are_explained() {
    let h = house();
    let (status, answer) = h.ask(Method::POST, "/certificates/reload", Value::Null).await;
    assert_eq!((status.as_u16(), &answer["code"]), (422, &json!("certificate")));
    assert!(answer["detail"].as_str().unwrap().contains("tls.crt"));
}

fn record(id: ConversationId, tenant: TenantId, application: strowger_core::ApplicationId) -> ConversationRecord {
    let head = Created {
        tenant,
        application,
        account: None,
        kind: Kind::ClickToCall,
        ani: "13800000001".into(),
        dnis: "13800000002".into(),
        user_data: String::new(),
        max_duration: None,
        record: RecordMode::None,
        subscriptions: Vec::new(),
    };
    ConversationRecord::open(&Event {
        conversation: id,
        seq: 1,
        at: Stamp(1),
        fact: Fact::Created(Box::new(head)),
    })
    .unwrap()
}
