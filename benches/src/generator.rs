//! The load generator, a process of its own: it holds the telephones and the receiver of call records. It is told what to
//! run by lines of JSON on its standard input, and answers each with a line.

use crate::uac;
use crate::uas::{Shared, Uas};
use crate::web::{self, Click};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use strowger_tests::wait;

/// How long calls may take to end after the last one was started.
const SETTLING: Duration = Duration::from_secs(20);

/// The generator's process, seen from the bench.
pub struct Generator {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// Address of the telephones.
    pub sip: SocketAddr,
    /// URL that takes call records.
    pub records: String,
}

impl Generator {
    /// Starts it, on the other processor where there is one.
    pub fn start() -> Generator {
        let mut words = crate::process::pinned(1);
        words.push(
            std::env::current_exe()
                .expect("a process knows its file")
                .display()
                .to_string(),
        );
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .arg("generator")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().expect("our own program can be run");
        let input = child.stdin.take().expect("a pipe");
        let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
        let first = line(&mut output);
        Generator {
            child,
            input,
            output,
            sip: first["sip"].as_str().and_then(|s| s.parse().ok()).expect("an address"),
            records: first["records"].as_str().expect("a URL").to_owned(),
        }
    }

    /// Runs a load and gives back its tally.
    pub fn run(&mut self, load: &Value) -> Value {
        writeln!(self.input, "{load}").expect("the generator listens");
        line(&mut self.output)
    }
}

impl Drop for Generator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn line(output: &mut impl BufRead) -> Value {
    let mut text = String::new();
    output.read_line(&mut text).expect("the generator answers");
    serde_json::from_str(&text).expect("the generator answers in JSON")
}

/// The generator's own side.
pub fn main() {
    let shared = Arc::new(Shared {
        tally: Default::default(),
        hangs_up: true.into(),
        hold_ms: 100.into(),
    });
    let uas = Uas::new(Arc::clone(&shared));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port on loopback");
    let place = listener.local_addr().expect("a bound listener has an address");
    println!(
        "{}",
        json!({ "sip": uas.address().to_string(), "records": format!("http://{place}/cdr") })
    );
    std::thread::spawn(move || uas.run());
    let receiving = Arc::clone(&shared);
    std::thread::spawn(move || web::receive(&receiving, listener));
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let load: Value = serde_json::from_str(&line).expect("the bench writes JSON");
        println!("{}", run(&shared, &load));
    }
}

fn run(shared: &Arc<Shared>, load: &Value) -> Value {
    let number = |name: &str| load[name].as_f64().expect("a number");
    let text = |name: &str| load[name].as_str().expect("a text").to_owned();
    let address = |name: &str| text(name).parse().expect("an address");
    let length = Duration::from_secs_f64(number("seconds"));
    shared.tally.take();
    shared.hold_ms.store(number("hold_ms") as u64, Ordering::Relaxed);
    let is_click = text("kind") == "click";
    shared.hangs_up.store(is_click, Ordering::Relaxed);
    let cpu = crate::process::cpu(std::process::id());
    let begun = Instant::now();
    if is_click {
        let click = Click {
            http: address("http"),
            path: text("path"),
            authorization: text("authorization"),
            body: text("body"),
        };
        web::click(shared, &click, number("rate"), length);
    } else {
        uac::trunk(shared, address("platform"), &text("number"), number("rate"), length);
    }
    let busy = (crate::process::cpu(std::process::id()) - cpu).as_secs_f64() / begun.elapsed().as_secs_f64();
    if load["settle"] == json!(true) {
        // Records of a trunk's calls are not pushed: none are waited for.
        let waits = |s: &Shared| {
            if is_click {
                return s.tally.settled();
            }
            let n = |c: &std::sync::atomic::AtomicU64| c.load(Ordering::Relaxed);
            n(&s.tally.completed) + n(&s.tally.failed) >= n(&s.tally.started)
        };
        let end = Instant::now() + SETTLING;
        while !waits(shared) && Instant::now() < end {
            wait::pause(Duration::from_millis(20));
        }
    }
    let mut tally = shared.tally.take();
    tally["busy"] = json!(busy);
    tally
}
