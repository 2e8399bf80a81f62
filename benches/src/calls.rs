//! Calls: processor time each, the highest rate, set-up delay, memory.

use crate::generator::Generator;
use crate::process;
use base64::Engine as _;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;
use strowger_tests::bed::{Bed, CALLEE, CALLEE_CLI, CALLER_CLI};
use strowger_tests::server::Options;
use strowger_tests::wait;

/// Number that calls from the trunk go to.
const ENTRY: &str = "02161009999";

/// A pinned server and its generator.
pub struct Rig {
    bed: Bed,
    generator: Generator,
}

/// What is called.
#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    /// `click2call`: two outgoing legs, the callee hangs up, a call record is pushed.
    Click,
    /// A call that comes in over a trunk and goes out over one; the caller hangs up, a call record is written.
    Trunk,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Click => "click2call",
            Kind::Trunk => "trunk to trunk",
        }
    }
}

/// A load and what came of it.
pub struct Run {
    /// The generator's tally.
    pub tally: Value,
    /// The server's processor time a call, in microseconds.
    pub cpu_us: f64,
}

impl Run {
    fn n(&self, name: &str) -> u64 {
        self.tally[name].as_u64().unwrap_or(0)
    }

    /// Every call was taken, went well and has its record.
    pub fn clean(&self, kind: Kind) -> bool {
        let records = kind == Kind::Trunk || self.n("records") == self.n("accepted");
        self.n("failed") == 0 && self.n("completed") == self.n("started") && records
    }

    /// The generator kept its own time, to 20 ms for 99 of 100 requests.
    pub fn on_time(&self) -> bool {
        self.tally["lateness"]["p99"].as_u64().unwrap_or(0) < 20_000
    }

    fn setup(&self, what: &str) -> String {
        self.tally["setup"][what]
            .as_u64()
            .map_or("-".into(), |us| format!("{:.1}", us as f64 / 1000.0))
    }

    /// One line of the table.
    pub fn row(&self, kind: Kind, rate: f64) -> String {
        format!(
            "{:<15} {:>7.0} {:>8} {:>8} {:>7} {:>9} {:>8} {:>9.0} {:>8} {:>8} {:>10} {:>6.0}",
            kind.name(),
            rate,
            self.n("started"),
            self.n("completed"),
            self.n("failed"),
            if kind == Kind::Click {
                self.n("records").to_string()
            } else {
                "-".into()
            },
            self.n("repeated"),
            self.cpu_us,
            self.setup("p50"),
            self.setup("p99"),
            format!(
                "{:.1}",
                self.tally["lateness"]["p99"].as_u64().unwrap_or(0) as f64 / 1000.0
            ),
            self.tally["busy"].as_f64().unwrap_or(0.0) * 100.0,
        )
    }
}

/// Head of the table of calls.
pub fn head() -> String {
    format!(
        "{:<15} {:>7} {:>8} {:>8} {:>7} {:>9} {:>8} {:>9} {:>8} {:>8} {:>10} {:>6}",
        "call",
        "calls/s",
        "started",
        "well",
        "failed",
        "records",
        "repeats",
        "CPU us",
        "p50 ms",
        "p99 ms",
        "late99 ms",
        "gen %"
    )
}

impl Rig {
    /// Starts and provisions both. `more` goes into the configuration.
    pub fn start(durability: &'static str, more: &str) -> Rig {
        let generator = Generator::start();
        let bed = Bed::start_with(Options {
            durability,
            // A pair rests for 2 s after its call, so that short calls at high rates need many.
            media_ports: 22_000,
            first_port: Some(10_000),
            more: more.to_owned(),
            launcher: process::pinned(0),
            ..Options::default()
        });
        bed.trunk("generator", generator.sip, "");
        let sources = json!({ "sources": ["127.0.0.1"] });
        assert_eq!(
            bed.server.admin("PATCH", "/trunks/generator", Some(&sources)).status,
            200
        );
        bed.route(ENTRY, CALLEE);
        Rig { bed, generator }
    }

    /// Makes telephones `device0`, `device1`, and so on.
    pub fn devices(&self, count: usize, password: &str) {
        for n in 0..count {
            let device = json!({ "username": format!("device{n}"), "tenant": self.bed.tenant, "password": password });
            self.bed.server.create("/devices", &device);
        }
    }

    /// Bindings that the server holds.
    pub fn bindings(&self) -> usize {
        let answer = self.bed.server.admin("GET", "/registrations", None);
        answer.json()["items"].as_array().map_or(0, Vec::len)
    }

    /// Where the server listens for SIP.
    pub fn sip(&self) -> SocketAddr {
        self.bed.server.sip()
    }

    /// The server's process.
    pub fn pid(&self) -> u32 {
        self.bed.server.pid()
    }

    fn load(&self, kind: Kind, rate: f64, seconds: f64, hold_ms: u64, settle: bool) -> Value {
        let basic = format!("{}:{}", self.bed.account, self.bed.token);
        let body = json!({
            "action": "click2call", "caller": "1380{n}", "callee": "1390{n}", "callerCli": CALLER_CLI,
            "calleeCli": CALLEE_CLI, "cdrUrl": self.generator.records, "userData": "bench",
        });
        json!({
            "kind": if kind == Kind::Click { "click" } else { "trunk" },
            "rate": rate, "seconds": seconds, "hold_ms": hold_ms, "settle": settle,
            "http": self.bed.server.http().to_string(),
            "path": self.bed.path("/ctc/Conversations"),
            "authorization": format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(basic)),
            "body": body.to_string(),
            "platform": self.bed.server.sip().to_string(),
            "number": ENTRY,
        })
    }

    /// Runs a load until all of its calls are over.
    pub fn run(&mut self, kind: Kind, rate: f64, seconds: f64) -> Run {
        let load = self.load(kind, rate, seconds, 100, true);
        let before = process::cpu(self.pid());
        let tally = self.generator.run(&load);
        // Records that are written after the last answer belong to the calls.
        wait::pause(Duration::from_millis(500));
        let used = process::cpu(self.pid()) - before;
        let calls = tally["accepted"].as_u64().unwrap_or(0).max(1);
        Run {
            cpu_us: used.as_secs_f64() * 1e6 / calls as f64,
            tally,
        }
    }

    /// Memory a call that is held, in kilobytes.
    pub fn memory_a_call(&mut self, calls: u32) -> (u64, f64) {
        let before = process::resident_kb(self.pid());
        let load = self.load(Kind::Click, 200.0, f64::from(calls) / 200.0, 30_000, false);
        let tally = self.generator.run(&load);
        let accepted = tally["accepted"].as_u64().unwrap_or(0);
        wait::pause(Duration::from_secs(1));
        let held = process::resident_kb(self.pid());
        wait::until(
            "the held calls to end",
            Duration::from_secs(90),
            Duration::from_millis(200),
            || self.bed.server.open_calls().is_empty().then_some(()),
        );
        (accepted, held.saturating_sub(before) as f64 / accepted.max(1) as f64)
    }

    /// The server's log, for a run that went wrong.
    pub fn log(&self) -> String {
        self.bed.server.log()
    }
}

/// The highest rate without a failure: short probes upwards, then the whole time at the last good one, and lower ones
/// until it holds.
pub fn highest(kind: Kind, begin: f64, probe: f64, whole: f64) -> f64 {
    let mut rate = begin;
    let mut good = 0.0;
    for _ in 0..12 {
        let run = Rig::start("process", "").run(kind, rate, probe);
        println!("{}", run.row(kind, rate));
        if !run.clean(kind) {
            break;
        }
        good = rate;
        if !run.on_time() {
            println!("  the generator itself is late here: the platform may do more");
            break;
        }
        rate = (rate * 1.25 / 50.0).round() * 50.0;
    }
    while good > 0.0 && whole > probe {
        let run = Rig::start("process", "").run(kind, good, whole);
        println!("{}", run.row(kind, good));
        if run.clean(kind) {
            return good;
        }
        good = (good * 0.9 / 50.0).floor() * 50.0;
    }
    good
}
