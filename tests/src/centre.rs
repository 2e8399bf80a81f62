//! A contact centre at a server of the test's own: an office with a queue, its agents, and clients that follow events.

use crate::http::{self, Place};
use crate::office::Office;
use crate::phone::{Phone, Talk};
use crate::server::Options;
use crate::wait;
use serde_json::{Value, json};
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Error, HandshakeError, Message, WebSocket};

/// The password of agents' users.
const PASSWORD: &str = "seven green kettles";
/// The number that leads to the queue.
pub const LINE: &str = "02161000009";
/// Time for a change on a machine that is busy with other tests.
pub const STEP: Duration = Duration::from_secs(20);
/// How often something is looked at that is waited for.
pub const EVERY: Duration = Duration::from_millis(20);

/// An office with a queue that these agents serve, each at a telephone of its name.
pub struct Centre {
    /// Its telephones.
    pub office: Office,
}

impl Centre {
    /// With default settings, and wrap-up of a second.
    pub fn start(agents: &[&str]) -> Centre {
        Centre::start_with(agents, &json!({ "wrap_up": { "seconds": 1 } }), &json!({}))
    }

    /// With settings of the application and of the queue.
    pub fn start_with(agents: &[&str], settings: &Value, queue: &Value) -> Centre {
        Centre::start_at(Options::default(), agents, settings, queue)
    }

    /// The same with options of the server.
    pub fn start_at(options: Options, agents: &[&str], settings: &Value, queue: &Value) -> Centre {
        let mut names = agents.to_vec();
        names.extend(["customer", "other"]);
        Centre::furnish(Office::start_with(options, &names), agents, settings, queue)
    }

    /// In an office that has these agents' telephones.
    pub fn furnish(office: Office, agents: &[&str], settings: &Value, queue: &Value) -> Centre {
        let centre = Centre { office };
        let bed = &centre.office.bed;
        let (server, app) = (&bed.server, bed.app.clone());
        let settings = json!({ "settings": settings });
        let put = server.admin("PATCH", &format!("/applications/{app}/centre"), Some(&settings));
        assert_eq!(put.status, 200, "{}", String::from_utf8_lossy(&put.body));
        server.create("/groups", &json!({ "name": "sales", "application": app }));
        let queue = json!({ "name": "sales", "application": app, "group": "sales", "settings": queue });
        server.create("/queues", &queue);
        for name in agents {
            let agent =
                json!({ "login": name, "application": app, "devices": [name], "skills": [{ "group": "sales" }] });
            server.create("/agents", &agent);
        }
        server.create("/numbers", &json!({ "number": LINE, "tenant": bed.tenant }));
        let route = json!({ "application": app, "number": LINE, "target": { "queue": "sales" } });
        server.create("/routes", &route);
        centre
    }

    /// A request as the installation's owner: status and body.
    pub fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let answer = self.office.bed.server.admin(method, path, Some(body));
        (answer.status, answer.json())
    }

    /// What an agent is doing.
    pub fn duty(&self, agent: &str) -> Value {
        self.ask("GET", &format!("/agents/{agent}/duty"), &json!({})).1
    }

    /// An agent signs in and is ready.
    ///
    /// # Panics
    /// If that is refused.
    pub fn sign_in(&self, agent: &str) {
        let (status, view) = self.ask("POST", &format!("/agents/{agent}/duty"), &json!({ "state": "ready" }));
        // A call that waits has it at once.
        let on_duty = matches!(view["state"].as_str(), Some("ready" | "reserved"));
        assert!(status == 200 && on_duty, "{view}");
    }

    /// An agent does something with its call.
    ///
    /// # Panics
    /// If that is refused.
    pub fn act(&self, agent: &str, action: &Value) -> Value {
        let (status, answer) = self.ask("POST", &format!("/agents/{agent}/actions"), action);
        assert_eq!(status, 200, "{action}: {answer}");
        answer
    }

    /// Waits until an agent is in a state.
    pub fn wait_state(&self, agent: &str, state: &str) -> Value {
        wait::until(&format!("{agent} to be {state}"), STEP, EVERY, || {
            Some(self.duty(agent)).filter(|d| d["state"] == state)
        })
    }

    /// The queue's board.
    pub fn board(&self) -> Value {
        self.ask("GET", "/boards/queues", &json!({})).1["items"][0].clone()
    }

    /// A customer calls the queue, and has been answered.
    pub fn call_in(&self, phone: &mut Phone) -> Talk {
        let sdp = phone.sdp("sendrecv");
        let mut talk = phone.invite(LINE, "", &sdp);
        phone.response(&mut talk, 200);
        talk
    }

    /// Gives an agent a user, logs it in, and answers the access token. Again for a further login.
    ///
    /// # Panics
    /// If that is refused.
    pub fn log_in(&self, agent: &str) -> String {
        let server = &self.office.bed.server;
        if server.admin("GET", &format!("/users/{agent}"), None).status != 200 {
            let user =
                json!({ "name": agent, "role": "agent", "tenant": self.office.bed.tenant, "password": PASSWORD });
            server.create("/users", &user);
            let bound = self.ask("PATCH", &format!("/agents/{agent}"), &json!({ "user": agent }));
            assert_eq!(bound.0, 200, "{}", bound.1);
        }
        let login = json!({ "name": agent, "tenant": self.office.bed.tenant, "password": PASSWORD });
        let place = Place::Tcp(server.http());
        let headers = [("Content-Type", "application/json")];
        let body = login.to_string().into_bytes();
        let answer = http::request(&place, "POST", "/api/v1/login", &headers, Some(&body)).expect("an answer");
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        answer.json()["access_token"].as_str().expect("a token").to_owned()
    }

    /// An agent signs in over the public API with its own token, and is ready.
    ///
    /// # Panics
    /// If that is refused.
    pub fn sign_in_as(&self, agent: &str, token: &str) {
        let answer = self.ask_as(
            token,
            "POST",
            &format!("/agents/{agent}/duty"),
            &json!({ "state": "ready" }),
        );
        assert_eq!(answer.0, 200, "{}", answer.1);
    }

    /// A request over the public API with a token or key: status and body.
    ///
    /// # Panics
    /// If there is no answer.
    pub fn ask_as(&self, token: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let place = Place::Tcp(self.office.bed.server.http());
        let bearer = format!("Bearer {token}");
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
        let body = body.to_string().into_bytes();
        let body = (method != "GET").then_some(body.as_slice());
        let answer = http::request(&place, method, &format!("/api/v1{path}"), &headers, body).expect("an answer");
        (answer.status, answer.json())
    }

    /// Waits until something holds of what an agent is doing.
    pub fn wait_for(&self, agent: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        wait::until(&format!("{agent} to be {what}"), STEP, EVERY, || {
            Some(self.duty(agent)).filter(&holds)
        })
    }

    /// A client that comes back, from behind an event that it heard.
    pub fn follow_from(&self, token: &str, seq: u64) -> Follower {
        Follower::connect(self.office.bed.server.http(), token, &format!("?from={seq}"))
    }

    /// A client of the native API that follows events with a token.
    pub fn follow(&self, token: &str) -> Follower {
        Follower::connect(self.office.bed.server.http(), token, "")
    }
}

/// A program that follows events over a WebSocket.
pub struct Follower {
    socket: WebSocket<TcpStream>,
    /// All that came, in order.
    pub heard: Vec<Value>,
    looked: usize,
}

impl Follower {
    /// Connects; `query` begins with `?`, or is empty.
    ///
    /// # Panics
    /// If the connection is refused.
    pub fn connect(at: SocketAddr, token: &str, query: &str) -> Follower {
        let mut request = format!("ws://{at}/api/v1/events{query}")
            .into_client_request()
            .expect("a URI");
        let bearer = format!("Bearer {token}").parse().expect("a header");
        request.headers_mut().insert("authorization", bearer);
        let stream = TcpStream::connect(at).expect("the server listens");
        stream.set_read_timeout(Some(EVERY)).expect("a timeout above zero");
        let mut open = tungstenite::client(request, stream);
        let socket = loop {
            match open {
                Ok((socket, _)) => break socket,
                Err(HandshakeError::Interrupted(half)) => open = half.handshake(),
                Err(HandshakeError::Failure(error)) => panic!("no WebSocket: {error}"),
            }
        };
        let mut follower = Follower {
            socket,
            heard: Vec::new(),
            looked: 0,
        };
        follower.wait("first message", |_| true);
        follower
    }

    /// The next message for which `wanted` holds, behind the one that was waited for before. A close is
    /// `{"type":"close","code":…}`.
    ///
    /// # Panics
    /// If none comes in time.
    pub fn wait(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + STEP;
        loop {
            while let Some(message) = self.heard.get(self.looked) {
                self.looked += 1;
                if wanted(message) {
                    return message.clone();
                }
            }
            assert!(Instant::now() < end, "no {what} came, but {:#?}", self.heard);
            match self.socket.read() {
                Ok(Message::Text(text)) => self.heard.push(serde_json::from_str(&text).expect("JSON")),
                Ok(Message::Close(frame)) => {
                    let code = frame.map(|f| u16::from(f.code));
                    self.heard.push(json!({ "type": "close", "code": code }));
                }
                Ok(_) => {}
                Err(Error::Io(e)) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => self.heard.push(json!({ "type": "cut", "error": error.to_string() })),
            }
        }
    }

    /// The next event of this topic for which `wanted` holds of its data, which is given back.
    pub fn event(&mut self, topic: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.wait(topic, |m| m["topic"] == topic && wanted(&m["data"]))["data"].clone()
    }

    /// The number of the newest event that came.
    pub fn newest(&self) -> u64 {
        self.heard.iter().filter_map(|m| m["seq"].as_u64()).max().unwrap_or(0)
    }

    /// Cuts the connection without a word.
    pub fn cut(self) {
        drop(self.socket);
    }

    /// Says that it goes.
    pub fn close(mut self) {
        let _ = self.socket.close(None);
        let _ = self.socket.flush();
    }
}
