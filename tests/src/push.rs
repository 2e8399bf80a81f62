//! A receiver of pushes: a real HTTP server on loopback that keeps what it gets, and misbehaves when told to.

use crate::http::read_head;
use crate::wait;
use serde_json::Value;
use std::collections::HashMap;
use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// How the receiver answers a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// 200.
    Accept,
    /// 200 with this JSON body.
    Answer(String),
    /// Another status.
    Status(u16),
    /// Reads the request and never answers.
    Hang,
    /// 302 to this URL.
    Redirect(String),
}

/// One request.
#[derive(Clone, Debug)]
pub struct Push {
    /// Path.
    pub path: String,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
    /// When it came.
    pub at: Instant,
    /// Whether it was accepted with 200.
    pub accepted: bool,
}

impl Push {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a push is JSON and nothing else")
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

#[derive(Default)]
struct State {
    pushes: Vec<Push>,
    behaviour: HashMap<String, Behaviour>,
}

struct Inner {
    state: Mutex<State>,
    changed: Condvar,
    stop: AtomicBool,
}

/// The receiver. Its threads end when it is dropped.
pub struct Receiver {
    address: SocketAddr,
    inner: Arc<Inner>,
}

impl Receiver {
    /// Listens on a free port of the loopback interface.
    pub fn start() -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port on loopback");
        let address = listener.local_addr().expect("a bound listener has an address");
        let inner = Arc::new(Inner {
            state: Mutex::default(),
            changed: Condvar::new(),
            stop: AtomicBool::new(false),
        });
        let shared = Arc::clone(&inner);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if shared.stop.load(Ordering::Relaxed) {
                    return;
                }
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || {
                    // A connection that breaks is the client's business.
                    let _ = serve(&shared, stream);
                });
            }
        });
        Receiver { address, inner }
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// From now on this path is answered so.
    pub fn behave(&self, path: &str, behaviour: Behaviour) {
        let mut state = self.inner.state.lock().expect("no test thread panicked here");
        state.behaviour.insert(path.to_owned(), behaviour);
    }

    /// Everything received so far, in order of arrival.
    pub fn all(&self) -> Vec<Push> {
        self.inner
            .state
            .lock()
            .expect("no test thread panicked here")
            .pushes
            .clone()
    }

    /// Number of requests so far.
    pub fn count(&self) -> usize {
        self.inner
            .state
            .lock()
            .expect("no test thread panicked here")
            .pushes
            .len()
    }

    /// Waits until `found` makes something of the requests received so far.
    ///
    /// # Panics
    /// If that does not happen in time.
    pub fn wait<T>(&self, what: &str, patience: Duration, mut found: impl FnMut(&[Push]) -> Option<T>) -> T {
        let guard = self.inner.state.lock().expect("no test thread panicked here");
        wait::on(&self.inner.changed, guard, what, patience, |s: &mut State| {
            found(&s.pushes)
        })
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.inner.stop.store(true, Ordering::Relaxed);
        // Wakes the accepting thread.
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(inner: &Inner, stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    loop {
        let (first, headers) = read_head(&mut stream)?;
        let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
        let length = headers.iter().find(|(n, _)| n == "content-length");
        let mut body = vec![0; length.and_then(|(_, v)| v.parse().ok()).unwrap_or(0)];
        stream.read_exact(&mut body)?;
        let behaviour = {
            let mut state = inner.state.lock().expect("no test thread panicked here");
            let behaviour = state.behaviour.get(&path).cloned().unwrap_or(Behaviour::Accept);
            state.pushes.push(Push {
                path,
                headers,
                body,
                at: Instant::now(),
                accepted: behaviour == Behaviour::Accept,
            });
            behaviour
        };
        inner.changed.notify_all();
        let answer = match behaviour {
            Behaviour::Accept => "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned(),
            Behaviour::Answer(body) => format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ),
            Behaviour::Status(code) => format!("HTTP/1.1 {code} No\r\nContent-Length: 0\r\n\r\n"),
            Behaviour::Redirect(url) => format!("HTTP/1.1 302 Found\r\nLocation: {url}\r\nContent-Length: 0\r\n\r\n"),
            Behaviour::Hang => {
                // Until the client gives up and closes.
                let mut rest = [0; 64];
                while stream.read(&mut rest)? > 0 {}
                return Ok(());
            }
        };
        stream.get_mut().write_all(answer.as_bytes())?;
    }
}
