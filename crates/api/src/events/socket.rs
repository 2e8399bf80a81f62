//! The WebSocket of `/api/v1/events` (RFC 6455): events out, commands in. docs/events.md describes the messages.
//!
//! Nothing here is without a bound: the source cuts a client off whose queue is full, a message that does not leave within
//! ten seconds does the same, and a command is carried out before the next one is read.

use super::presence::Presence;
use super::{PushedEvent, Subscriber, Subscription};
use crate::Api;
use crate::desk::{Desk, Principal};
use crate::error::{Code, Problem};
use crate::identity;
use crate::request::{Answer, Query};
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::IntoResponse;
use axum::{Extension, Router};
use futures_util::future::Fuse;
use futures_util::{FutureExt, SinkExt, StreamExt};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;
use strowger_store::identity::Scope;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};
use tower::ServiceExt;
use utoipa::IntoParams;

/// How long a message may take to leave.
const PATIENCE: Duration = Duration::from_secs(10);
/// Largest message of a client, and largest answer to a command.
const LARGEST: usize = 1 << 20;
/// Bytes that are read at once. Clients are many and say little: with the library's own 128 KiB each of them takes that much.
const READ_AT_ONCE: usize = 4096;
/// What a client names that speaks this.
const PROTOCOL: &str = "strowger.v1";

/// Why a connection was closed by us, beside the codes of RFC 6455.
mod closed {
    /// The token or key is not valid any more.
    pub const UNAUTHENTICATED: u16 = 4401;
    /// It was too slow, or nothing came from it.
    pub const SLOW: u16 = 4408;
    /// Another client of the agent has its place.
    pub const REPLACED: u16 = 4409;
    /// A message could not be understood.
    pub const UNREADABLE: u16 = 4400;
}

#[derive(Deserialize, IntoParams)]
pub(crate) struct Asked {
    /// The newest event that the client has; what came after it is sent first. Without it, a snapshot.
    from: Option<u64>,
    /// `false` only follows: a connection of a user who is bound to an agent is otherwise that agent's client, and the agent
    /// is shown as cut off when it is.
    client: Option<bool>,
}

/// Where commands go.
#[derive(Clone)]
pub(crate) struct Commands(pub Router);

/// The token that a browser, which cannot set headers, names as a protocol: `bearer.` and the token.
pub(crate) fn token(headers: &HeaderMap) -> Option<&str> {
    protocols(headers).find_map(|p| p.strip_prefix("bearer."))
}

fn protocols(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let all = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    let texts = all.filter_map(|v| v.to_str().ok());
    texts.flat_map(|t| t.split(',')).map(str::trim)
}

fn has(headers: &HeaderMap, name: header::HeaderName, word: &str) -> bool {
    let texts = headers.get_all(name);
    let texts = texts.iter().filter_map(|v| v.to_str().ok());
    texts
        .flat_map(|t| t.split(','))
        .any(|t| t.trim().eq_ignore_ascii_case(word))
}

/// `GET /events`.
pub(crate) async fn open(
    api: Desk,
    Query(asked): Query<Asked>,
    commands: Option<Extension<Commands>>,
    request: Request,
) -> Answer {
    let headers = request.headers();
    let key = headers.get(header::SEC_WEBSOCKET_KEY).cloned();
    let good = has(headers, header::UPGRADE, "websocket")
        && has(headers, header::CONNECTION, "upgrade")
        && headers.get(header::SEC_WEBSOCKET_VERSION).is_some_and(|v| v == "13");
    let (Some(key), true) = (key, good) else {
        return Err(Problem::parameter(
            "Upgrade",
            "this is a WebSocket (RFC 6455, version 13): connect to it with a WebSocket client",
        ));
    };
    let Some(who) = subscriber(&api.principal) else {
        return Err(Problem::new(
            Code::Forbidden,
            "this needs the scope events:read or centre:agent",
        ));
    };
    let place = api.events.places.clone().try_acquire_owned().map_err(|_| Problem {
        retry_after: Some(5),
        ..Problem::new(Code::Overloaded, "as many clients follow events as this process takes")
    })?;
    let ours = protocols(headers).any(|p| p == PROTOCOL);
    let presence = asked.client.unwrap_or(true).then(|| Presence::of(&api, &api.principal));
    let connection = Connection {
        presence: presence.flatten(),
        api: Api::clone(&api),
        commands: commands.map(|Extension(Commands(router))| router),
        principal: api.principal.clone(),
        headers: authorization(headers),
        peer: request.extensions().get::<ConnectInfo<SocketAddr>>().copied(),
    };
    tokio::spawn(async move {
        let _place = place;
        match hyper::upgrade::on(request).await {
            Ok(io) => {
                let limits = WebSocketConfig::default()
                    .read_buffer_size(READ_AT_ONCE)
                    .max_message_size(Some(LARGEST))
                    .max_frame_size(Some(LARGEST));
                let socket = WebSocketStream::from_raw_socket(TokioIo::new(io), Role::Server, Some(limits)).await;
                connection.run(socket, who, asked.from).await;
            }
            Err(error) => tracing::debug!(%error, "a WebSocket was not opened after all"),
        }
    });
    let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
    let answer = response.headers_mut();
    answer.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    answer.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    if ours {
        answer.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(PROTOCOL));
    }
    if let Ok(value) = HeaderValue::try_from(derive_accept_key(key.as_bytes())) {
        answer.insert(header::SEC_WEBSOCKET_ACCEPT, value);
    }
    Ok(response)
}

/// What a principal follows, if it may follow anything.
fn subscriber(principal: &Principal) -> Option<Subscriber> {
    let all = principal.may(Scope::EventsRead);
    let user = match principal {
        Principal::User { id, .. } => Some(*id),
        _ => None,
    };
    let own = user.is_some() && principal.may(Scope::CentreAgent);
    (all || own).then_some(Subscriber {
        tenant: principal.tenant()?,
        user,
        all,
    })
}

/// The headers that say who asks, for the commands of this connection.
fn authorization(headers: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::new();
    let named = || token(headers).and_then(|t| HeaderValue::try_from(format!("Bearer {t}")).ok());
    if let Some(value) = headers.get(header::AUTHORIZATION).cloned().or_else(named) {
        kept.insert(header::AUTHORIZATION, value);
    }
    kept
}

/// What we send.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Out<'a> {
    Hello {
        protocol: u32,
        head: u64,
        heartbeat_ms: u64,
        /// The name of this client, where it is one of an agent.
        client: Option<String>,
        /// True if nothing was missed.
        resumed: bool,
    },
    Snapshot {
        seq: u64,
        data: Cow<'a, RawValue>,
    },
    Event {
        seq: u64,
        at: String,
        topic: &'a str,
        data: Cow<'a, RawValue>,
    },
    Heartbeat {
        seq: u64,
    },
    Answer {
        id: String,
        status: u16,
        body: serde_json::Value,
    },
    Pong,
}

/// What a client sends.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum In {
    Ping,
    /// A request of the native API.
    Command {
        /// Comes back with the answer.
        id: String,
        method: String,
        /// Below `/api/v1`.
        path: String,
        #[serde(default)]
        body: Option<serde_json::Value>,
        /// As the header `Idempotency-Key`.
        #[serde(default)]
        key: Option<String>,
        /// As the header `If-Match`.
        #[serde(default)]
        if_match: Option<String>,
    },
}

/// JSON that somebody else made; what is none is `null`.
fn raw(text: &str) -> Cow<'_, RawValue> {
    match serde_json::from_str::<&RawValue>(text) {
        Ok(raw) => Cow::Borrowed(raw),
        Err(_) => Cow::Owned(RawValue::NULL.to_owned()),
    }
}

/// Why the connection ends.
enum End {
    Gone,
    /// The client said that it goes.
    Closed,
    Close(u16, &'static str),
}

impl From<Error> for End {
    fn from(e: Error) -> End {
        match e {
            Error::Capacity(_) => End::Close(1009, "a message has at most 1 MiB"),
            _ => End::Gone,
        }
    }
}

/// The request that a command asks for. `named` are the idempotency key and the tag that is expected.
fn request_of(
    (method, path): (&str, &str),
    body: Option<serde_json::Value>,
    named: [Option<String>; 2],
    own: &HeaderMap,
) -> Result<Request, &'static str> {
    if !path.starts_with('/') || path.starts_with("/events") {
        return Err("path is a path below /api/v1, such as /calls");
    }
    let mut request = Request::builder().method(method).uri(format!("/api/v1{path}"));
    if let Some(headers) = request.headers_mut() {
        headers.extend(own.clone());
    }
    for (name, value) in ["idempotency-key", "if-match"].into_iter().zip(named) {
        if let Some(value) = value {
            request = request.header(name, value);
        }
    }
    let body = match body {
        Some(body) => {
            request = request.header(header::CONTENT_TYPE, "application/json");
            Body::from(body.to_string())
        }
        None => Body::empty(),
    };
    let request = request.body(body);
    request.map_err(|_| "method, path, key or if_match has characters that no request can have")
}

/// The request of a command, if a text is one that can be asked; for the fuzz target.
pub(crate) fn asked(text: &str) -> Option<Request> {
    match serde_json::from_str(text).ok()? {
        In::Ping => None,
        In::Command {
            method,
            path,
            body,
            key,
            if_match,
            ..
        } => request_of((&method, &path), body, [key, if_match], &HeaderMap::new()).ok(),
    }
}

struct Connection {
    api: Api,
    presence: Option<Presence>,
    commands: Option<Router>,
    principal: Principal,
    headers: HeaderMap,
    peer: Option<ConnectInfo<SocketAddr>>,
}

type Socket = WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>;
type Running = Fuse<Pin<Box<dyn Future<Output = Out<'static>> + Send>>>;

async fn send(socket: &mut Socket, out: &Out<'_>) -> Result<(), End> {
    let text = serde_json::to_string(out).map_err(|_| End::Gone)?;
    put(socket, text.into()).await
}

async fn put(socket: &mut Socket, text: Utf8Bytes) -> Result<(), End> {
    match tokio::time::timeout(PATIENCE, socket.send(Message::Text(text))).await {
        Ok(sent) => Ok(sent?),
        Err(_) => Err(End::Close(
            closed::SLOW,
            "messages do not leave; resume from the last event",
        )),
    }
}

async fn push(socket: &mut Socket, event: &PushedEvent) -> Result<(), End> {
    if let Some(text) = event.message.get() {
        return put(socket, text.clone()).await;
    }
    let out = Out::Event {
        seq: event.seq,
        at: crate::rfc3339(event.at),
        topic: &event.topic,
        data: raw(&event.data),
    };
    let text = serde_json::to_string(&out).map_err(|_| End::Gone)?;
    put(socket, event.message.get_or_init(|| text.into()).clone()).await
}

impl Connection {
    async fn run(self, mut socket: Socket, who: Subscriber, from: Option<u64>) {
        let subscription = self.api.events.source.subscribe(who, from).await;
        let refused = match &self.presence {
            Some(presence) => presence.begin(&self.api).await.err(),
            None => None,
        };
        let end = match refused {
            Some(refusal) => {
                tracing::debug!(%refusal, "an agent's client was refused");
                End::Close(closed::REPLACED, "the agent is in a call at another client")
            }
            None => match self.follow(&mut socket, subscription).await {
                Ok(never) => match never {},
                Err(end) => end,
            },
        };
        if let Some(presence) = &self.presence {
            presence.end(&self.api, matches!(end, End::Closed)).await;
        }
        if let End::Close(code, reason) = end {
            let frame = CloseFrame {
                code: CloseCode::from(code),
                reason: reason.into(),
            };
            let _ = tokio::time::timeout(PATIENCE, socket.close(Some(frame))).await;
        }
    }

    async fn follow(
        &self,
        socket: &mut Socket,
        mut subscription: Subscription,
    ) -> Result<std::convert::Infallible, End> {
        let events = &self.api.events;
        let own = self.presence.as_ref().map(Presence::name);
        let mut newest = subscription.head;
        let hello = Out::Hello {
            protocol: 1,
            head: newest,
            heartbeat_ms: u64::try_from(events.heartbeat.as_millis()).unwrap_or(u64::MAX),
            client: own.clone(),
            resumed: subscription.snapshot.is_none(),
        };
        send(socket, &hello).await?;
        if let Some(snapshot) = subscription.snapshot.take() {
            let snapshot = Out::Snapshot {
                seq: newest,
                data: raw(&snapshot),
            };
            send(socket, &snapshot).await?;
        }
        for event in std::mem::take(&mut subscription.missed) {
            push(socket, &event).await?;
        }
        let mut beat = tokio::time::interval_at(tokio::time::Instant::now() + events.heartbeat, events.heartbeat);
        let mut silent = 0;
        let mut running: Running = Fuse::terminated();
        let mut busy = false;
        loop {
            tokio::select! {
                event = subscription.events.recv() => match event {
                    Some(event) => {
                        newest = event.seq;
                        push(socket, &event).await?;
                        if own.as_deref().is_some_and(|own| event.replaces(own)) {
                            return Err(End::Close(closed::REPLACED, "another client of the agent has its place"));
                        }
                    }
                    None => return Err(End::Close(closed::SLOW, "too slow; resume from the last event")),
                },
                answer = &mut running, if busy => {
                    busy = false;
                    send(socket, &answer).await?;
                }
                // The next command is read when the one before is answered.
                message = socket.next(), if !busy => {
                    silent = 0;
                    match message.ok_or(End::Gone)?? {
                        Message::Text(text) => match serde_json::from_str(&text) {
                            Ok(In::Ping) => send(socket, &Out::Pong).await?,
                            Ok(command) => {
                                busy = true;
                                running = self.command(command).fuse();
                            }
                            Err(_) => {
                                return Err(End::Close(closed::UNREADABLE, "a message is a JSON object: docs/events.md"));
                            }
                        },
                        Message::Close(_) => return Err(End::Closed),
                        Message::Binary(_) => return Err(End::Close(1003, "messages are text")),
                        Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
                    }
                }
                _ = beat.tick() => {
                    // A token that is over, or a user who may less than before, follows no longer.
                    if identity::identify(&self.api, &self.headers).is_ok_and(|p| p != self.principal) {
                        return Err(End::Close(closed::UNAUTHENTICATED, "what you may do has changed; connect again"));
                    }
                    if identity::identify(&self.api, &self.headers).is_err() {
                        return Err(End::Close(closed::UNAUTHENTICATED, "the token is over; connect with a new one"));
                    }
                    silent += 1;
                    if silent > 3 {
                        return Err(End::Close(closed::SLOW, "nothing came for three heartbeats"));
                    }
                    send(socket, &Out::Heartbeat { seq: newest }).await?;
                    // A client that says nothing by itself answers this one (RFC 6455 §5.5.3).
                    let ping = Message::Ping(Vec::new().into());
                    if tokio::time::timeout(PATIENCE, socket.send(ping)).await.is_err() {
                        return Err(End::Close(closed::SLOW, "messages do not leave; resume from the last event"));
                    }
                }
            }
        }
    }

    /// Carries out a request of the native API as if it had come by itself, with all of its checks.
    fn command(&self, command: In) -> Pin<Box<dyn Future<Output = Out<'static>> + Send>> {
        let In::Command {
            id,
            method,
            path,
            body,
            key,
            if_match,
        } = command
        else {
            return Box::pin(std::future::ready(Out::Pong));
        };
        let refused = |id: String, detail: &str| {
            let problem = Problem::parameter("path", detail);
            let body = serde_json::json!({ "code": problem.code.text(), "detail": problem.detail });
            let status = problem.code.status();
            Box::pin(std::future::ready(Out::Answer { id, status, body }))
        };
        let Some(router) = self.commands.clone() else {
            return refused(id, "this listener takes no commands");
        };
        let mut request = match request_of((&method, &path), body, [key, if_match], &self.headers) {
            Ok(request) => request,
            Err(why) => return refused(id, why),
        };
        if let Some(peer) = self.peer {
            request.extensions_mut().insert(peer);
        }
        Box::pin(async move {
            let response = match router.oneshot(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            };
            let status = response.status().as_u16();
            let bytes = to_bytes(response.into_body(), LARGEST).await.unwrap_or_default();
            let body = serde_json::from_slice(&bytes).unwrap_or(serde_json::Value::Null);
            Out::Answer { id, status, body }
        })
    }
}
