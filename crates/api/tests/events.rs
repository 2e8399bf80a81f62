//! The WebSocket of events: a real listener, a client of another library's making, and one that says nothing.

mod kit;

use futures_util::{SinkExt, StreamExt};
use kit::{House, house};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;
use strowger_api::events::Audience;
use strowger_core::Stamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

type Client = WebSocketStream<TcpStream>;

/// How long an answer may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(20);

async fn listen(h: &House) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = h.public.clone().into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

async fn connect(at: SocketAddr, query: &str, headers: &[(&str, &str)]) -> Result<Client, Error> {
    let mut request = format!("ws://{at}/api/v1/events{query}").into_client_request().unwrap();
    for (name, value) in headers {
        let name = axum::http::HeaderName::from_bytes(name.as_bytes()).unwrap();
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    let stream = TcpStream::connect(at).await.unwrap();
    tokio_tungstenite::client_async(request, stream).await.map(|(c, _)| c)
}

async fn with_token(at: SocketAddr, query: &str, token: &str) -> Client {
    let bearer = format!("Bearer {token}");
    connect(at, query, &[("authorization", &bearer)]).await.unwrap()
}

/// The next message, heartbeats apart; the code and reason of a close as an object.
async fn next(client: &mut Client) -> Value {
    loop {
        let message = tokio::time::timeout(PATIENCE, client.next())
            .await
            .expect("a message in time");
        match message {
            Some(Ok(Message::Text(text))) => {
                let value: Value = serde_json::from_str(&text).unwrap();
                if value["type"] != "heartbeat" {
                    return value;
                }
            }
            Some(Ok(Message::Close(frame))) => {
                let frame = frame.expect("a reason");
                return json!({ "closed": u16::from(frame.code), "reason": frame.reason.as_str() });
            }
            Some(Ok(_)) => {}
            other => return json!({ "closed": Value::Null, "reason": format!("{other:?}") }),
        }
    }
}

async fn say(client: &mut Client, value: Value) {
    client.send(Message::text(value.to_string())).await.unwrap();
}

const SCOPES: [&str; 4] = ["events:read", "resources:read", "resources:write", "identity:read"];

#[tokio::test]
async fn events_come_in_order_and_one_who_comes_back_misses_nothing() {
    let h = house();
    let (tenant, key) = h.tenant_with_key("acme", &SCOPES).await;
    let (_, other) = h.tenant_with_key("other", &SCOPES).await;
    let at = listen(&h).await;
    let mut client = with_token(at, "", &key).await;
    let hello = next(&mut client).await;
    assert_eq!((&hello["type"], &hello["resumed"]), (&json!("hello"), &json!(false)));
    let snapshot = next(&mut client).await;
    assert_eq!(
        snapshot,
        json!({ "type": "snapshot", "seq": hello["head"], "data": { "user": null } })
    );
    let mut stranger = with_token(at, "", &other).await;
    for _ in 0..2 {
        next(&mut stranger).await;
    }

    let tenant = tenant.parse().unwrap();
    let publish = |n: i64| {
        h.hub
            .publish(tenant, Stamp(n), "test", Audience::Tenant, format!("{{\"n\":{n}}}"))
    };
    let first = publish(1);
    publish(2);
    let one = next(&mut client).await;
    assert_eq!(
        one,
        json!({ "type": "event", "seq": first, "at": "1970-01-01T00:00:00.001Z", "topic": "test", "data": { "n": 1 } })
    );
    assert_eq!(next(&mut client).await["data"]["n"], 2);
    drop(client);
    publish(3);
    // A change over the API is an event too.
    h.public(
        "POST",
        "/devices",
        &key,
        &[("x-request-id", "r1")],
        json!({ "username": "desk" }),
    )
    .await;
    let mut client = with_token(at, &format!("?from={first}"), &key).await;
    let hello = next(&mut client).await;
    assert_eq!(hello["resumed"], true);
    let mut last = first;
    for n in [2, 3] {
        let event = next(&mut client).await;
        assert_eq!(event["data"]["n"], n);
        assert!(event["seq"].as_u64().unwrap() > last);
        last = event["seq"].as_u64().unwrap();
    }
    let changed = next(&mut client).await;
    assert_eq!(changed["topic"], "resources.changed");
    assert_eq!(
        changed["data"],
        json!({ "resource": "devices", "action": "devices.create", "request": "r1" })
    );
    // The other tenant saw none of it: the answer to its ping is the next that it gets.
    say(&mut stranger, json!({ "type": "ping" })).await;
    assert_eq!(next(&mut stranger).await, json!({ "type": "pong" }));
    // An event of long ago, or of another installation, gets a snapshot.
    let mut lost = with_token(at, "?from=17", &key).await;
    assert_eq!(next(&mut lost).await["resumed"], false);
    assert_eq!(next(&mut lost).await["type"], "snapshot");
}

#[tokio::test]
async fn commands_go_the_way_of_requests_with_all_of_their_checks() {
    let h = house();
    let (_, key) = h.tenant_with_key("acme", &SCOPES).await;
    let at = listen(&h).await;
    let mut client = with_token(at, "", &key).await;
    for _ in 0..2 {
        next(&mut client).await;
    }
    let mut answer = async |command: Value| {
        say(&mut client, command).await;
        loop {
            let message = next(&mut client).await;
            if message["type"] != "event" {
                return message;
            }
        }
    };
    let command = |id: &str, method: &str, path: &str, body: Value| json!({ "type": "command", "id": id, "method": method, "path": path, "body": body });
    let made = answer(command("a", "POST", "/devices", json!({ "username": "desk" }))).await;
    assert_eq!(
        (&made["type"], &made["id"], &made["status"]),
        (&json!("answer"), &json!("a"), &json!(201))
    );
    assert_eq!(made["body"]["username"], "desk");
    let shown = answer(command("b", "GET", "/devices/desk", Value::Null)).await;
    assert_eq!(
        (&shown["status"], &shown["body"]["id"]),
        (&json!(200), &made["body"]["id"])
    );
    let forbidden = answer(command(
        "c",
        "POST",
        "/keys",
        json!({ "name": "x", "scopes": ["audit:read"] }),
    ))
    .await;
    assert_eq!(
        (&forbidden["status"], &forbidden["body"]["code"]),
        (&json!(403), &json!("auth.forbidden"))
    );
    let mut named = command("d", "POST", "/devices", json!({ "username": "desk-2" }));
    named["key"] = json!("n1");
    let first = answer(named.clone()).await;
    assert_eq!(first["body"], answer(named).await["body"], "carried out once");
    let mut stale = command("e", "PATCH", "/devices/desk", json!({ "media": "rtp" }));
    stale["if_match"] = json!("\"00\"");
    assert_eq!(answer(stale).await["status"], 412);
    for (method, path) in [
        ("GET", "/events"),
        ("GET", "devices"),
        ("G T", "/devices"),
        ("GET", "/\u{1}"),
    ] {
        assert_eq!(
            answer(command("f", method, path, Value::Null)).await["status"],
            400,
            "{method} {path}"
        );
    }
    assert_eq!(answer(json!({ "type": "ping" })).await["type"], "pong");
}

#[tokio::test]
async fn an_agent_follows_its_own_events_alone() {
    let h = house();
    let tenant = h.post("/tenants", json!({ "name": "acme" })).await;
    let tenant = tenant["id"].as_str().unwrap().parse().unwrap();
    let password = "seven green kettles";
    let mut ids = Vec::new();
    for name in ["li", "wang"] {
        let user = h
            .post("/users", json!({ "name": name, "role": "agent", "password": password }))
            .await;
        ids.push(user["id"].as_str().unwrap().parse().unwrap());
    }
    let login = json!({ "name": "li", "password": password });
    let login = h.public("POST", "/login", "", &[], login).await.body;
    let token = login["access_token"].as_str().unwrap();
    let at = listen(&h).await;
    // As a browser does it, which cannot set headers.
    let protocols = format!("strowger.v1, bearer.{token}");
    let mut client = connect(at, "", &[("sec-websocket-protocol", &protocols)])
        .await
        .unwrap();
    next(&mut client).await;
    assert_eq!(next(&mut client).await["data"]["user"], login["user"]["id"]);
    for (n, audience) in [
        (1, Audience::Tenant),
        (2, Audience::User(ids[1])),
        (3, Audience::User(ids[0])),
    ] {
        h.hub.publish(tenant, Stamp(n), "test", audience, n.to_string());
    }
    assert_eq!(next(&mut client).await["data"], 3);
    // A role that is taken away ends it.
    h.ask(axum::http::Method::PATCH, "/users/li", json!({ "role": "auditor" }))
        .await;
    assert_eq!(next(&mut client).await["closed"], 4401);
    let mut client = connect(at, "", &[("sec-websocket-protocol", &protocols)])
        .await
        .unwrap();
    next(&mut client).await;
    h.now.fetch_add(900_000, Ordering::Relaxed);
    loop {
        let message = next(&mut client).await;
        if message["closed"] != Value::Null {
            assert_eq!(message["closed"], 4401);
            break;
        }
    }
}

#[tokio::test]
async fn who_may_not_and_who_speaks_otherwise_is_told_why() {
    let h = house();
    let (_, key) = h.tenant_with_key("acme", &SCOPES).await;
    let (_, weak) = h.tenant_with_key("weak", &["calls:read"]).await;
    let at = listen(&h).await;
    let refused = async |headers: &[(&str, &str)]| match connect(at, "", headers).await {
        Err(Error::Http(response)) => response.status().as_u16(),
        other => panic!("{other:?}"),
    };
    let bearer = format!("Bearer {weak}");
    assert_eq!(refused(&[]).await, 401);
    assert_eq!(
        refused(&[("sec-websocket-protocol", "strowger.v1, bearer.x")]).await,
        401
    );
    assert_eq!(refused(&[("authorization", &bearer)]).await, 403);
    let plain = h.public("GET", "/events", &key, &[], Value::Null).await;
    assert_eq!((plain.status, &plain.body["parameter"]), (400, &json!("Upgrade")));
    for (message, code) in [
        (Message::text("hello"), 4400),
        (Message::text("{\"type\":\"shout\"}"), 4400),
        (Message::binary(vec![1, 2, 3]), 1003),
        (Message::text("x".repeat((1 << 20) + 1)), 1009),
    ] {
        let mut client = with_token(at, "", &key).await;
        for _ in 0..2 {
            next(&mut client).await;
        }
        client.send(message).await.unwrap();
        assert_eq!(next(&mut client).await["closed"], code);
    }
}

#[tokio::test]
async fn a_client_that_says_nothing_is_cut_off() {
    let h = house();
    let (_, key) = h.tenant_with_key("acme", &SCOPES).await;
    let at = listen(&h).await;
    let mut stream = TcpStream::connect(at).await.unwrap();
    let request = format!(
        "GET /api/v1/events HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Authorization: Bearer {key}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    // It reads, but answers no ping.
    let mut all = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let read = tokio::time::timeout(PATIENCE, stream.read(&mut piece))
            .await
            .expect("a piece in time");
        let n = read.unwrap_or(0);
        all.extend_from_slice(&piece[..n]);
        // A close frame of ours: 0x88, length, code 4408.
        let cut = all.windows(4).any(|w| w[0] == 0x88 && w[2..] == 4408u16.to_be_bytes());
        if cut {
            break;
        }
        assert!(
            n > 0,
            "the connection ended without a reason: {}",
            String::from_utf8_lossy(&all)
        );
    }
    let text = String::from_utf8_lossy(&all);
    assert!(text.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "RFC 6455 §1.3: {text}");
    assert!(text.matches("\"type\":\"heartbeat\"").count() >= 3, "{text}");
}
