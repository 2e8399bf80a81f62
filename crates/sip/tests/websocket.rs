//! SIP over WebSocket (RFC 7118) over loopback.

mod kit;

use futures_util::{SinkExt, StreamExt};
use kit::*;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use strowger_sip::core::*;
use strowger_sip::*;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message, http};
use tokio_tungstenite::{WebSocketStream, client_async};

async fn connect(ua: &Ua, headers: &[(&'static str, &str)]) -> Result<WebSocketStream<TcpStream>, Error> {
    let mut request = format!("ws://{}/any/path", ua.addr()).into_client_request()?;
    for (name, value) in headers {
        request
            .headers_mut()
            .insert(*name, http::HeaderValue::from_str(value).unwrap());
    }
    let stream = TcpStream::connect(ua.addr()).await.unwrap();
    client_async(request, stream).await.map(|(stream, response)| {
        assert_eq!(response.headers()["sec-websocket-protocol"], "sip");
        stream
    })
}

async fn next(client: &mut WebSocketStream<TcpStream>) -> Message {
    let next = tokio::time::timeout(std::time::Duration::from_secs(10), client.next());
    next.await
        .expect("a message in time")
        .expect("no end")
        .expect("no error")
}

const SIP: (&str, &str) = ("sec-websocket-protocol", "sip");

#[tokio::test]
async fn messages_and_keep_alives_in_both_kinds() {
    let ua = Ua::start(Placement::Task, Transport::Ws, "127.0.0.1:0", |_| {});
    let mut client = connect(&ua, &[SIP]).await.unwrap();
    // No Content-Length: the frame says where the message ends (RFC 7118 §5).
    let request = options("a", "", "");
    client.send(Message::text(request.clone())).await.unwrap();
    assert!(matches!(next(&mut client).await, Message::Text(t) if t.starts_with("SIP/2.0 200")));
    client.send(Message::binary(request.into_bytes())).await.unwrap();
    assert!(matches!(next(&mut client).await, Message::Text(t) if t.starts_with("SIP/2.0 200")));
    client.send(Message::text("\r\n\r\n")).await.unwrap();
    assert_eq!(next(&mut client).await, Message::text("\r\n"));
    client.send(Message::binary(b"\r\n\r\n".as_slice())).await.unwrap();
    assert_eq!(next(&mut client).await, Message::binary(b"\r\n".as_slice()));
    client.send(Message::Ping("x".into())).await.unwrap();
    assert_eq!(next(&mut client).await, Message::Pong("x".into()));
    // Neither what is no SIP nor a bad message ends the connection.
    for bad in ["hello", "", &options("b", "no colon\r\n", "")] {
        client.send(Message::text(bad)).await.unwrap();
    }
    assert!(matches!(next(&mut client).await, Message::Text(t) if t.starts_with("SIP/2.0 400")));
    // One that is a little too long is answered, one that is far too long ends it.
    let long = options("c", "Content-Length: 70000\r\n", &"x".repeat(70_000));
    client.send(Message::text(long)).await.unwrap();
    assert!(matches!(next(&mut client).await, Message::Text(t) if t.starts_with("SIP/2.0 400")));
    // The answer to the end may not arrive: bytes are left unread.
    let _ = client.send(Message::text("x".repeat(200_000))).await;
    ua.settled(|s| s.connections.closed.framing == 1).await;
    assert_eq!(
        ua.handle.stats().keep_alives,
        3,
        "an empty message is one without an answer"
    );
}

#[tokio::test]
async fn who_is_refused() {
    let ua = Ua::start(Placement::Task, Transport::Ws, "127.0.0.1:0", |c| {
        c.binds[0].ws.origins = vec!["https://agents.example".into()];
    });
    let origin = |value| ("origin", value);
    for (headers, status) in [
        (vec![origin("https://agents.example")], 400),
        (
            vec![origin("https://agents.example"), ("sec-websocket-protocol", "chat")],
            400,
        ),
        (vec![SIP], 403),
        (vec![SIP, origin("https://evil.example")], 403),
    ] {
        match connect(&ua, &headers).await {
            Err(Error::Http(response)) => assert_eq!(response.status(), status, "{headers:?}"),
            other => panic!("{headers:?}: {other:?}"),
        }
    }
    assert!(connect(&ua, &[SIP, origin("https://agents.example")]).await.is_ok());
    ua.settled(|s| s.connections.closed.handshake == 4).await;
}

#[tokio::test]
async fn an_address_behind_a_trusted_proxy() {
    let seen: Arc<Mutex<Vec<SocketAddr>>> = Arc::default();
    let noted = seen.clone();
    let ua = Ua::start(Placement::Task, Transport::Ws, "127.0.0.1:0", |c| {
        c.binds[0].ws.proxies = vec![("127.0.0.0".parse().unwrap(), 8)];
        c.limits.per_source = 1;
        c.admission = Some(Arc::new(move |_: Transport, source: SocketAddr| {
            noted.lock().unwrap().push(source);
            source.ip().to_string() != "203.0.113.66"
        }));
    });
    let from = |value| ("x-forwarded-for", value);
    let mut first = connect(&ua, &[SIP, from("203.0.113.1")]).await.unwrap();
    first.send(Message::text(options("a", "", ""))).await.unwrap();
    assert!(matches!(next(&mut first).await, Message::Text(t) if t.starts_with("SIP/2.0 200")));
    assert_eq!(seen.lock().unwrap().last().unwrap().ip().to_string(), "203.0.113.1");
    // Another customer behind the same proxy is another source; a second connection of the first is one too many.
    let mut second = connect(&ua, &[SIP, from("203.0.113.2")]).await.unwrap();
    second.send(Message::text(options("a", "", ""))).await.unwrap();
    assert!(matches!(next(&mut second).await, Message::Text(t) if t.starts_with("SIP/2.0 200")));
    let _third = connect(&ua, &[SIP, from("10.0.0.1, 203.0.113.1")]).await.unwrap();
    ua.settled(|s| s.connections.refused_source == 1).await;
    let _banned = connect(&ua, &[SIP, from("203.0.113.66")]).await.unwrap();
    ua.settled(|s| s.connections.refused_admission == 1 && s.connections.open == 2)
        .await;
}
