//! What a call costs, how many there can be, and how that changes with time. `make bench` prints the tables; see
//! `docs/benchmarks.md` for figures with their conditions.
//!
//! ```text
//! strowger-benches [--short]              everything; --short takes seconds where the whole takes minutes
//! strowger-benches calls|rate|memory|relay|parse|registrar|sip|routing|queue|events [--short]
//! strowger-benches load click|trunk RATE SECONDS      one load, for a profiler beside it
//! strowger-benches sip load uas|b2bua RATE SECONDS    the same for signalling alone
//! strowger-benches queue load RATE SECONDS            the same for calls through a queue
//! strowger-benches sip connections|memory|registrations [--short]
//! strowger-benches soak --seconds N
//! ```

mod caller;
mod calls;
mod events;
mod generator;
mod parse;
mod process;
mod queue;
mod register;
mod registrar;
mod relay;
mod routing;
mod sip;
mod soak;
mod tally;
mod uac;
mod uas;
mod web;

use calls::{Kind, Rig, head, highest};

/// The server's allocator: nodes and parsers are measured with what they run on.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let short = words.iter().any(|w| w == "--short");
    let after = |name: &str| words.iter().position(|w| w == name).and_then(|i| words.get(i + 1));
    let what = words.first().map_or("all", String::as_str);
    if what == "generator" {
        return generator::main();
    }
    if what == "floor" {
        return queue::floor_main();
    }
    if what == "followers" {
        return events::followers_main(&words[1..]);
    }
    if what == "caller" {
        return caller::main(&words[1..]);
    }
    if what == "node" {
        return strowger_tests::node::run(&words[1..]).expect("a node that starts");
    }
    conditions();
    match what {
        "load" => load(&words[1..]),
        "soak" => soak::run(after("--seconds").and_then(|n| n.parse().ok()).unwrap_or(3600)),
        "calls" => cost(short),
        "rate" => rate(short),
        "memory" => memory(short),
        "relay" => relays(short),
        "parse" => parse::run(short),
        "registrar" => registrar::run(short),
        "routing" => routing::run(short),
        "queue" => queue::run(&words[1..], short),
        "events" => events::run(short),
        "sip" => sip::run(&words[1..], short),
        "all" | "--short" => {
            cost(short);
            rate(short);
            memory(short);
            relays(short);
            parse::run(short);
            registrar::run(short);
            routing::run(short);
            queue::run(&[], short);
            events::run(short);
            sip::run(&[], short);
        }
        other => {
            eprintln!(
                "unknown: {other} (calls, rate, memory, relay, parse, registrar, routing, queue, events, sip, load, soak)"
            );
            std::process::exit(2);
        }
    }
}

fn conditions() {
    println!("machine: {}", process::machine());
    let pinned = if process::can_pin() {
        "server on processor 0, generator on processor 1"
    } else {
        "nothing is pinned"
    };
    let binary = strowger_tests::server::binary();
    let profile = if binary.to_string_lossy().contains("/debug/") {
        "DEBUG BUILD"
    } else {
        "release"
    };
    println!("conditions: {pinned}; {profile}; loopback; calls of 100 ms, media anchored, journal and call record on");
}

fn cost(short: bool) {
    let seconds = if short { 5.0 } else { 20.0 };
    println!(
        "\nProcessor time a call, and set-up delay (click2call: request to answer; trunk to trunk: INVITE to 200)"
    );
    for durability in ["process", "power"] {
        println!("durability = {durability}\n{}", head());
        for (kind, rate) in [(Kind::Click, 300.0), (Kind::Trunk, 300.0)] {
            let mut rig = Rig::start(durability, "");
            // Pools and caches are filled before it counts.
            rig.run(kind, 100.0, 2.0);
            let run = rig.run(kind, rate, seconds);
            println!("{}", run.row(kind, rate));
            if !run.clean(kind) {
                complain(&rig);
            }
        }
    }
}

/// The end of the log of a server that did not do all it was asked.
fn complain(rig: &Rig) {
    let log = rig.log();
    let odd: Vec<&str> = log
        .lines()
        .filter(|l| l.contains("WARN") || l.contains("ERROR"))
        .collect();
    for line in odd.iter().rev().take(5).rev() {
        println!("  log: {line}");
    }
}

fn rate(short: bool) {
    let (probe, whole) = if short { (5.0, 5.0) } else { (10.0, 60.0) };
    println!("\nHighest rate without a failure, durability = process\n{}", head());
    for kind in [Kind::Click, Kind::Trunk] {
        let best = highest(kind, if short { 800.0 } else { 500.0 }, probe, whole);
        println!("=> {best:.0} calls/s for {whole:.0} s");
    }
}

fn memory(short: bool) {
    println!("\nMemory, durability = process");
    let mut rig = Rig::start("process", "");
    rig.run(Kind::Click, 200.0, 5.0);
    let (held, kb) = rig.memory_a_call(if short { 300 } else { 1000 });
    println!("{held} click2calls held at once: {kb:.1} KB each");
    let rounds = if short { 2 } else { 10 };
    println!("{:>8} {:>12} {:>12}", "calls", "resident KB", "descriptors");
    let mut calls = 0;
    for _ in 0..=rounds {
        println!(
            "{calls:>8} {:>12} {:>12}",
            process::resident_kb(rig.pid()),
            process::descriptors(rig.pid())
        );
        let run = rig.run(Kind::Click, 500.0, if short { 5.0 } else { 20.0 });
        calls += run.tally["completed"].as_u64().unwrap_or(0);
        if !run.clean(Kind::Click) {
            println!("{}", run.row(Kind::Click, 500.0));
            complain(&rig);
        }
    }
    println!(
        "{calls:>8} {:>12} {:>12}",
        process::resident_kb(rig.pid()),
        process::descriptors(rig.pid())
    );
}

fn relays(short: bool) {
    println!("\nRelayed G.711 calls, one core, generator on the other");
    if short {
        relay::run(4, &[500, 1500], &[500], &[500, 900]);
        relay::decoded(4, &[200], &[50], &[500]);
        relay::browsers(4, &[300]);
    } else {
        relay::run(
            10,
            &[500, 1000, 1500, 1900, 2200, 2500],
            &[500, 1000],
            &[500, 700, 900, 1100, 1300],
        );
        relay::decoded(10, &[150, 200, 250, 300], &[50, 100, 150], &[500, 750, 1000, 1500]);
        relay::browsers(10, &[300, 450, 600, 750]);
    }
}

fn load(words: &[String]) {
    let kind = if words.first().is_some_and(|w| w == "trunk") {
        Kind::Trunk
    } else {
        Kind::Click
    };
    let number = |n: usize, default| words.get(n).and_then(|w| w.parse().ok()).unwrap_or(default);
    let (rate, seconds) = (number(1, 300.0), number(2, 20.0));
    let mut rig = Rig::start("process", "");
    println!("server: process {}\n{}", rig.pid(), head());
    let run = rig.run(kind, rate, seconds);
    println!("{}", run.row(kind, rate));
    if !run.clean(kind) {
        complain(&rig);
    }
}
