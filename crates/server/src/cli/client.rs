//! HTTP/1.1 over the admin socket.

use super::output::{self, View};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

/// No answer of the admin API is larger.
const ANSWER_LIMIT: usize = 64 << 20;
/// A backup of a large database is the slowest request.
const TIMEOUT: Duration = Duration::from_secs(600);

/// Why a command failed; the text says what happened, why, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Nobody answers at the socket.
    #[error(
        "the server is not running: {why} at {socket}\n  start it with 'strowger serve', or name its data folder with --data"
    )]
    NotRunning {
        /// The socket.
        socket: String,
        /// The system's reason.
        why: String,
    },
    /// The connection broke.
    #[error("the server went away before it answered: {0}\n  look at its log, then try again")]
    Lost(String),
    /// The server said no.
    #[error("{} ({code})", if detail.is_empty() { title } else { detail })]
    Refused {
        /// The stable code.
        code: String,
        /// What the code means.
        title: String,
        /// What happened this time.
        detail: String,
    },
    /// An argument is wrong.
    #[error("{0}")]
    Usage(String),
    /// The call that was placed failed.
    #[error("{0}")]
    Call(String),
}

/// A request and how its answer is shown.
#[derive(Debug)]
pub struct Request {
    /// Method.
    pub method: &'static str,
    /// Path below `/api/v1`, with its query.
    pub path: String,
    /// Body.
    pub body: Body,
    /// How the answer is shown.
    pub view: View,
}

/// A request's body.
#[derive(Debug)]
pub enum Body {
    /// None.
    Empty,
    /// A JSON object; members that are `null` are left out.
    Json(Value),
    /// A file.
    File(Vec<u8>),
}

/// The admin API's client.
#[derive(Debug)]
pub struct Client {
    socket: PathBuf,
}

impl Client {
    /// A client of the server with this socket.
    pub fn new(socket: PathBuf) -> Client {
        Client { socket }
    }

    /// Sends a request and prints its answer.
    pub async fn run(&self, request: Request, json: bool) -> Result<(), Failure> {
        let mut answer = self.send(request.method, &request.path, request.body).await?;
        self.rest(&request.path, &mut answer).await?;
        if json {
            if !answer.is_null() {
                output::json(&answer);
            }
        } else {
            output::show(&answer, &request.view);
        }
        Ok(())
    }

    /// Fetches the pages that follow, unless the request said how long a page is.
    async fn rest(&self, path: &str, answer: &mut Value) -> Result<(), Failure> {
        if path.contains("limit=") {
            return Ok(());
        }
        while let Some(next) = answer["next"].as_str() {
            let page = with_query(path, &[("after", Some(next))]);
            let mut page = self.send("GET", &page, Body::Empty).await?;
            let more = page["items"].as_array_mut().map(std::mem::take).unwrap_or_default();
            if let Some(items) = answer["items"].as_array_mut() {
                items.extend(more);
            }
            answer["next"] = page["next"].take();
        }
        if let Some(answer) = answer.as_object_mut() {
            answer.remove("next");
        }
        Ok(())
    }

    /// Sends a request; the answer is `Null` if it has no body.
    pub async fn send(&self, method: &str, path: &str, body: Body) -> Result<Value, Failure> {
        self.send_named(method, path, body, None).await
    }

    /// Sends a request that the server carries out once for each `key`.
    pub async fn send_named(&self, method: &str, path: &str, body: Body, key: Option<&str>) -> Result<Value, Failure> {
        match tokio::time::timeout(TIMEOUT, self.exchange(method, path, body, key)).await {
            Ok(result) => result,
            Err(_) => Err(Failure::Lost(format!("no answer for {} s", TIMEOUT.as_secs()))),
        }
    }

    /// Fetches what is no JSON into a file, as it comes.
    pub async fn fetch(&self, path: &str, to: &mut tokio::fs::File) -> Result<u64, Failure> {
        let lost = |e: &dyn std::fmt::Display| Failure::Lost(e.to_string());
        let (response, driver) = self.request("GET", path, Body::Empty, None).await?;
        let mut body = match response.status().is_success() {
            true => response.into_body(),
            false => return Err(refusal(response).await),
        };
        let mut written = 0;
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame.map_err(|e| lost(&e))?.into_data() {
                written += data.len() as u64;
                to.write_all(&data).await.map_err(|e| lost(&e))?;
            }
        }
        to.flush().await.map_err(|e| lost(&e))?;
        driver.abort();
        Ok(written)
    }

    async fn exchange(&self, method: &str, path: &str, body: Body, key: Option<&str>) -> Result<Value, Failure> {
        let (response, driver) = self.request(method, path, body, key).await?;
        if !response.status().is_success() {
            return Err(refusal(response).await);
        }
        let value = json_of(response).await?;
        driver.abort();
        Ok(value)
    }

    async fn request(
        &self,
        method: &str,
        path: &str,
        body: Body,
        key: Option<&str>,
    ) -> Result<(hyper::Response<Incoming>, tokio::task::JoinHandle<hyper::Result<()>>), Failure> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|e| {
            use std::io::ErrorKind::{ConnectionRefused, NotFound, PermissionDenied};
            let why = match e.kind() {
                NotFound => "there is no admin socket".to_owned(),
                ConnectionRefused => "nobody listens".to_owned(),
                PermissionDenied => "you may not open the admin socket (are you the server's user?)".to_owned(),
                _ => e.to_string(),
            };
            Failure::NotRunning {
                socket: self.socket.display().to_string(),
                why,
            }
        })?;
        let lost = |e: &dyn std::fmt::Display| Failure::Lost(e.to_string());
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|e| lost(&e))?;
        let driver = tokio::spawn(connection);
        let (kind, bytes) = match body {
            Body::Empty => (None, Vec::new()),
            Body::Json(value) => (Some("application/json"), without_nulls(value).to_string().into_bytes()),
            Body::File(bytes) => (Some("application/octet-stream"), bytes),
        };
        let mut request = hyper::Request::builder()
            .method(method)
            .uri(format!("/api/v1{path}"))
            .header("host", "admin");
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let request = request
            .body(Full::new(Bytes::from(bytes)))
            .map_err(|e| Failure::Usage(format!("the arguments make no request: {e}")))?;
        let response = sender.send_request(request).await.map_err(|e| lost(&e))?;
        Ok((response, driver))
    }
}

async fn json_of(response: hyper::Response<Incoming>) -> Result<Value, Failure> {
    let body = Limited::new(response.into_body(), ANSWER_LIMIT).collect().await;
    let body = body.map_err(|e| Failure::Lost(e.to_string()))?.to_bytes();
    Ok(serde_json::from_slice(&body).unwrap_or(Value::Null))
}

/// What the server refused, and why.
async fn refusal(response: hyper::Response<Incoming>) -> Failure {
    let value = match json_of(response).await {
        Ok(value) => value,
        Err(failure) => return failure,
    };
    let text = |member: &str| value[member].as_str().unwrap_or_default().to_owned();
    Failure::Refused {
        code: text("code"),
        title: text("title"),
        detail: text("detail"),
    }
}

/// Takes members without a value out: an option that was not given is not sent.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => members
            .into_iter()
            .filter(|(_, v)| !v.is_null())
            .map(|(k, v)| (k, without_nulls(v)))
            .collect(),
        other => other,
    }
}

/// A text as one part of a path or a value of a query (RFC 3986 §2.3: all but the unreserved characters are escaped).
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || b"-._~".contains(&b) {
            out.push(char::from(b));
        } else {
            out.push_str(&format!("%{b:02X}"));
        }
    }
    out
}

/// A path with the query parameters that have a value.
pub fn with_query(path: &str, parameters: &[(&str, Option<&str>)]) -> String {
    let mut out = path.to_owned();
    for (name, value) in parameters {
        if let Some(value) = value {
            out.push(if out.contains('?') { '&' } else { '?' });
            out.push_str(&format!("{name}={}", escape(value)));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_escaped() {
        assert_eq!(escape("+86 1/你"), "%2B86%201%2F%E4%BD%A0");
        assert_eq!(
            with_query("/a", &[("x", None), ("y", Some("1&2")), ("z", Some("3"))]),
            "/a?y=1%262&z=3"
        );
    }

    #[tokio::test]
    async fn a_server_that_does_not_run_is_said_so_with_what_to_do() {
        let client = Client::new("/nonexistent/admin.sock".into());
        let e = client.send("GET", "/calls", Body::Empty).await.unwrap_err();
        assert!(matches!(e, Failure::NotRunning { .. }));
        let text = e.to_string();
        assert!(
            text.contains("not running") && text.contains("strowger serve"),
            "{text}"
        );
    }
}
