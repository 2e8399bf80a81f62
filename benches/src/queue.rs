//! Calls through a queue: processor time each, and how soon an agent's telephone rings. The telephones of agents and
//! customers are a process of their own, on the other processor.

use crate::process;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};
use strowger_tests::centre::LINE;
use strowger_tests::digest::User;
use strowger_tests::floor::{Floor, Load, Manner, share_ms};
use strowger_tests::hall::Hall;
use strowger_tests::server::Options;
use strowger_tests::wait;

/// Agents that serve the queue.
const AGENTS: usize = 100;
/// Milliseconds of talk: a hundred agents carry 500 calls a second with room to spare.
const TALK_MS: u64 = 100;

/// The process with the telephones, seen from the bench.
struct Phones {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Phones {
    fn start() -> Phones {
        let mut words = process::pinned(1);
        let own = std::env::current_exe().expect("a process knows its file");
        words.push(own.display().to_string());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).arg("floor");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("our own program can be run");
        Phones {
            input: child.stdin.take().expect("a pipe"),
            output: BufReader::new(child.stdout.take().expect("a pipe")),
            child,
        }
    }

    fn ask(&mut self, what: &Value) -> Value {
        writeln!(self.input, "{what}").expect("the telephones listen");
        let mut text = String::new();
        self.output.read_line(&mut text).expect("the telephones answer");
        serde_json::from_str(&text).expect("the telephones answer in JSON")
    }
}

impl Drop for Phones {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The telephones' own side: the first line says whom to register, each further one is a load.
pub fn floor_main() {
    let mut floor: Option<Floor> = None;
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let told: Value = serde_json::from_str(&line).expect("the bench writes JSON");
        let text = |v: &Value| v.as_str().expect("a text").to_owned();
        match &mut floor {
            None => {
                let all = told["users"].as_array().expect("users");
                let users = all.iter().map(|u| User {
                    name: text(&u[0]),
                    password: text(&u[1]),
                });
                let platform = text(&told["platform"]).parse().expect("an address");
                let mut new = Floor::new(platform, users.collect());
                new.register();
                println!("{}", json!({ "registered": all.len() }));
                floor = Some(new);
            }
            Some(floor) => println!("{}", played(floor, &told)),
        }
    }
}

fn played(floor: &mut Floor, told: &Value) -> Value {
    let number = |name: &str| told[name].as_f64().expect("a number");
    let (rate, seconds) = (number("rate"), number("seconds"));
    floor.behave(Manner {
        talks: Duration::from_millis(TALK_MS),
        ..Manner::default()
    });
    let cpu = process::cpu(std::process::id());
    let begun = Instant::now();
    let mut outcome = floor.play(&Load {
        number: LINE,
        calls: (rate * seconds) as u64,
        rate: Some(rate),
        leaves: &[],
        patience: Duration::from_secs(20),
    });
    let busy = (process::cpu(std::process::id()) - cpu).as_secs_f64() / begun.elapsed().as_secs_f64();
    let both = |delays: &mut [Duration]| json!([share_ms(delays, 0.5), share_ms(delays, 0.99)]);
    json!({
        "started": outcome.started, "well": outcome.well, "odd": outcome.odd.len(), "repeated": outcome.repeated,
        "first_odd": outcome.odd.first(),
        "setup": both(&mut outcome.setup), "to_ring": both(&mut outcome.to_ring),
        "offer": both(&mut outcome.ring_after_answer), "late": both(&mut outcome.lateness), "busy": busy,
    })
}

/// A hall, its telephones, and the head of the table.
fn open(durability: &'static str) -> (Hall, Phones) {
    let options = Options {
        durability,
        media_ports: 22_000,
        first_port: Some(10_000),
        launcher: process::pinned(0),
        ..strowger_tests::hall::options(0)
    };
    let settings = json!({ "wrap_up": "off" });
    let hall = Hall::start(options, AGENTS, &settings, &json!({ "strategy": "longest-idle" }));
    let mut phones = Phones::start();
    let users: Vec<Value> = hall.users().iter().map(|u| json!([u.name, u.password])).collect();
    let sip = hall.office.bed.server.sip().to_string();
    phones.ask(&json!({ "platform": sip, "users": users }));
    hall.sign_in();
    hall.wait_all("ready");
    (hall, phones)
}

fn head() -> String {
    format!(
        "{:>8} {:>8} {:>8} {:>6} {:>8} {:>8} {:>15} {:>15} {:>15} {:>10} {:>6}",
        "calls/s",
        "started",
        "well",
        "odd",
        "repeats",
        "CPU us",
        "INVITE-200 ms",
        "INVITE-ring ms",
        "200-ring ms",
        "late99 ms",
        "gen %"
    )
}

fn row(hall: &mut Hall, phones: &mut Phones, rate: f64, seconds: f64) -> bool {
    let pid = hall.office.bed.server.pid();
    let before = process::cpu_exact(pid);
    let told = phones.ask(&json!({ "rate": rate, "seconds": seconds }));
    // Records that are written after the last call belong to the calls.
    wait::pause(Duration::from_millis(500));
    let cpu = process::cpu_exact(pid) - before;
    let n = |name: &str| told[name].as_u64().unwrap_or(0);
    let pair = |name: &str| {
        let at = |i: usize| told[name][i].as_f64().unwrap_or(0.0);
        format!("{:.1} / {:.1}", at(0), at(1))
    };
    println!(
        "{rate:>8.0} {:>8} {:>8} {:>6} {:>8} {:>8.0} {:>15} {:>15} {:>15} {:>10.1} {:>6.0}",
        n("started"),
        n("well"),
        n("odd"),
        n("repeated"),
        cpu.as_secs_f64() * 1e6 / n("started").max(1) as f64,
        pair("setup"),
        pair("to_ring"),
        pair("offer"),
        told["late"][1].as_f64().unwrap_or(0.0),
        told["busy"].as_f64().unwrap_or(0.0) * 100.0,
    );
    if let Some(odd) = told["first_odd"].as_str() {
        println!("  odd: {odd}");
    }
    n("well") == n("started")
}

/// Prints the table; `queue load RATE SECONDS` holds one load for a profiler beside it.
pub fn run(words: &[String], short: bool) {
    let number = |n: usize, default: f64| words.get(n).and_then(|w| w.parse().ok()).unwrap_or(default);
    println!(
        "\nCalls through a queue of {AGENTS} registered agents, longest idle first, {TALK_MS} ms of talk, no wrap-up. Each is \
         INVITE, 200 and music, offer, INVITE to the agent, 180, 200, BYE by the agent; its record is written.\n\
         Delays are p50 / p99. An agent is free for every call: \"200-ring\" is from the customer's answer, which comes before \
         the call is queued, to the INVITE at the agent's telephone."
    );
    if words.first().is_some_and(|w| w == "load") {
        let (mut hall, mut phones) = open("process");
        println!("server: process {}\n{}", hall.office.bed.server.pid(), head());
        row(&mut hall, &mut phones, number(1, 200.0), number(2, 20.0));
        return;
    }
    let seconds = if short { 5.0 } else { 30.0 };
    for durability in ["process", "power"] {
        println!("durability = {durability}\n{}", head());
        let (mut hall, mut phones) = open(durability);
        // Pools and caches are filled before it counts.
        phones.ask(&json!({ "rate": 50.0, "seconds": 2.0 }));
        for rate in [50.0, 200.0, 500.0] {
            if !row(&mut hall, &mut phones, rate, seconds) {
                break;
            }
        }
        println!(
            "agents afterwards: {:?}; queue: {}",
            hall.states(),
            hall.board()["waiting"]
        );
        if short {
            break;
        }
    }
}
