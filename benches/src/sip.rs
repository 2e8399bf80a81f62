//! Signalling: what a call costs on the `sip` crate alone, how many there can be, what it takes over TLS and WSS, what a
//! dialog and a registration take, and how many registrations a second the real server answers.
//!
//! The node under test is [`strowger_tests::node`], a process of its own on processor 0. Over UDP the hand-made generator
//! calls it, on processor 1; over connections, where a generator would need TLS itself, [`crate::caller`] does.

use crate::generator::Generator;
use crate::{process, register};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use strowger_tests::wait;

/// A node, killed when it is dropped.
struct Node {
    child: Child,
    address: SocketAddr,
}

impl Node {
    fn start(words: &[&str]) -> Node {
        let mut all = process::pinned(0);
        let own = std::env::current_exe().expect("a process knows its file");
        all.extend([own.display().to_string(), "node".into(), "127.0.0.1:0".into()]);
        all.extend(words.iter().map(|w| (*w).to_owned()));
        let mut command = Command::new(&all[0]);
        command.args(&all[1..]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("our own program can be run");
        let mut first = String::new();
        let output = child.stdout.take().expect("a pipe");
        BufReader::new(output)
            .read_line(&mut first)
            .expect("the node says something");
        let address = first.trim().strip_prefix("ready ").and_then(|a| a.parse().ok());
        Node {
            child,
            address: address.unwrap_or_else(|| panic!("the node said {first:?}")),
        }
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a node answers itself, or calls the generator and answers when that does.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    Answers,
    PassesOn,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Role::Answers => "UAS",
            Role::PassesOn => "B2BUA",
        }
    }

    fn start(self, generator: &Generator) -> Node {
        match self {
            Role::Answers => Node::start(&[]),
            Role::PassesOn => Node::start(&["--to", &generator.sip.to_string()]),
        }
    }
}

fn load(node: &Node, rate: f64, seconds: f64, hold_ms: u64, settle: bool) -> Value {
    json!({
        "kind": "trunk", "rate": rate, "seconds": seconds, "hold_ms": hold_ms, "settle": settle,
        "platform": node.address.to_string(), "number": "1000",
    })
}

/// Prints the tables, or the one that is named.
pub fn run(words: &[String], short: bool) {
    match words.first().map(String::as_str) {
        Some("load") => load_words(&words[1..]),
        Some("cost") => cost(short),
        Some("connections") => connections(short),
        Some("memory") => memory(short),
        Some("registrations") => register::run(short),
        _ => {
            cost(short);
            connections(short);
            memory(short);
            register::run(short);
        }
    }
}

fn head() {
    println!(
        "{:<18} {:>7} {:>8} {:>8} {:>7} {:>8} {:>8} {:>8} {:>8} {:>10} {:>6}",
        "node", "calls/s", "started", "well", "failed", "repeats", "CPU us", "p50 ms", "p99 ms", "late99 ms", "gen %"
    );
}

fn row(name: &str, rate: f64, tally: &Value, cpu: Duration) {
    let n = |name: &str| tally[name].as_u64().unwrap_or(0);
    let ms = |v: &Value| v.as_u64().map_or("-".into(), |us| format!("{:.1}", us as f64 / 1000.0));
    println!(
        "{name:<18} {rate:>7.0} {:>8} {:>8} {:>7} {:>8} {:>8.1} {:>8} {:>8} {:>10} {:>6.0}",
        n("started"),
        n("completed"),
        n("failed"),
        n("repeated"),
        cpu.as_secs_f64() * 1e6 / n("completed").max(1) as f64,
        ms(&tally["setup"]["p50"]),
        ms(&tally["setup"]["p99"]),
        ms(&tally["lateness"]["p99"]),
        tally["busy"].as_f64().unwrap_or(0.0) * 100.0,
    );
}

fn cost(short: bool) {
    println!("\nSignalling only, over UDP: INVITE, 200, ACK, 100 ms, BYE, 200; no journal, no media");
    head();
    let seconds = if short { 5.0 } else { 20.0 };
    let minute = if short { 5.0 } else { 60.0 };
    for (role, rate, seconds) in [
        (Role::Answers, 1_000.0, seconds),
        (Role::Answers, 3_000.0, seconds),
        (Role::PassesOn, 1_000.0, seconds),
        (Role::PassesOn, 3_000.0, minute),
    ] {
        one(role, rate, seconds);
    }
}

/// One load on one node.
fn load_words(words: &[String]) {
    let role = match words.first().map(String::as_str) {
        Some("b2bua") => Role::PassesOn,
        _ => Role::Answers,
    };
    let number = |n: usize, default| words.get(n).and_then(|w| w.parse().ok()).unwrap_or(default);
    head();
    one(role, number(1, 1_000.0), number(2, 10.0));
}

fn one(role: Role, rate: f64, seconds: f64) {
    let mut generator = Generator::start();
    let node = role.start(&generator);
    // Pools and caches are filled before it counts.
    generator.run(&load(&node, rate / 4.0, 1.0, 100, true));
    let before = process::cpu_exact(node.pid());
    let tally = generator.run(&load(&node, rate, seconds, 100, true));
    row(role.name(), rate, &tally, process::cpu_exact(node.pid()) - before);
}

/// A certificate that signs itself, and its key.
fn certificate(folder: &std::path::Path) -> [String; 2] {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    let [certificate, key] = ["own.pem", "own.key"].map(|name| folder.join(name));
    std::fs::write(&certificate, made.cert.pem()).expect("the folder takes a file");
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("the folder takes a file");
    [certificate, key].map(|path| path.display().to_string())
}

fn connections(short: bool) {
    println!("\nThe same by transport; all calls share one connection, the answering side is measured");
    head();
    let folder = tempfile::tempdir().expect("a folder");
    let [certificate, key] = certificate(folder.path());
    let (rate, seconds) = (1_000.0, if short { 4.0 } else { 15.0 });
    for transport in ["udp", "tcp", "tls", "ws", "wss"] {
        let node = Node::start(&["--transport", transport, "--certificate", &certificate, "--key", &key]);
        let mut words = process::pinned(1);
        let own = std::env::current_exe().expect("a process knows its file");
        words.extend([own.display().to_string(), "caller".into(), node.address.to_string()]);
        words.extend([transport.to_owned(), rate.to_string(), seconds.to_string()]);
        words.extend([certificate.clone(), key.clone()]);
        let before = process::cpu_exact(node.pid());
        let output = Command::new(&words[0]).args(&words[1..]).output();
        let cpu = process::cpu_exact(node.pid()) - before;
        let output = output.expect("our own program can be run").stdout;
        let tally = serde_json::from_slice(&output).unwrap_or(Value::Null);
        row(&format!("UAS, {transport}"), rate, &tally, cpu);
    }
}

fn memory(short: bool) {
    println!("\nMemory a call that is held, one dialog a UAS and two a B2BUA, in KB of the whole process");
    println!(
        "{:<10} {:>8} {:>18} {:>24}",
        "node", "calls", "while set up", "35 s later, a call more"
    );
    let calls = if short { 2_000.0 } else { 10_000.0 };
    for role in [Role::Answers, Role::PassesOn] {
        let mut generator = Generator::start();
        let node = role.start(&generator);
        generator.run(&load(&node, 200.0, 1.0, 100, true));
        let before = process::resident_kb(node.pid());
        let hold = if short { 5_000 } else { 90_000 };
        generator.run(&load(&node, 1_000.0, calls / 1_000.0, hold, false));
        wait::pause(Duration::from_millis(500));
        let held = process::resident_kb(node.pid());
        let later = if short {
            "-".to_owned()
        } else {
            // Transactions have gone by then, and what they took is used again: more calls show what dialogs alone take.
            wait::pause(Duration::from_secs(35));
            generator.run(&load(&node, 1_000.0, calls / 1_000.0, hold, false));
            wait::pause(Duration::from_millis(500));
            let more = process::resident_kb(node.pid());
            format!("{:.1}", more.saturating_sub(held) as f64 / calls)
        };
        let each = held.saturating_sub(before) as f64 / calls;
        println!("{:<10} {calls:>8.0} {each:>18.1} {later:>24}", role.name());
    }
}
