//! What a call costs in the journal: `cargo run --release -p strowger-store --example cost`.
//!
//! Prints a table: batches that are committed together, in both durability modes, and the processor time of the whole
//! process a call and an event (12 to 14 events in 5 appends and one call record a call), with encoding and
//! encryption.

#[path = "../tests/common/mod.rs"]
mod common;

use common::*;
use std::time::{Duration, Instant};
use strowger_core::Event;
use strowger_store::{Durability, Store, StoreConfig, codec};

/// Processor time of this process so far.
fn cpu() -> Duration {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(t.tv_sec as u64, t.tv_nsec as u32)
}

fn us(d: Duration, n: usize) -> f64 {
    d.as_secs_f64() * 1e6 / n as f64
}

fn ms(d: Duration) -> f64 {
    d.as_secs_f64() * 1e3
}

async fn run(store: &Store, first: u64, width: u64, rounds: u64) -> (Duration, Duration, usize, Vec<Duration>) {
    let mut events = 0;
    let mut waits = Vec::new();
    let (mut wall, mut used) = (Duration::ZERO, Duration::ZERO);
    for round in 0..rounds {
        let mut calls: Vec<_> = (0..width)
            .map(|n| batches(TENANT, conversation(first + round * width + n)))
            .collect();
        for step in 0..calls[0].len() {
            let taken: Vec<_> = calls.iter_mut().map(|c| std::mem::take(&mut c[step])).collect();
            events += taken.iter().map(|b| b.appends[0].events.len()).sum::<usize>();
            let (at, cpu_at) = (Instant::now(), cpu());
            let waiting: Vec<_> = taken.into_iter().map(|b| store.append(b)).collect();
            for answer in waiting {
                answer.await.expect("nothing refuses these batches");
            }
            waits.push(at.elapsed());
            wall += at.elapsed();
            used += cpu() - cpu_at;
        }
    }
    waits.sort_unstable();
    (wall, used, events, waits)
}

fn encoding() {
    let events: Vec<Event> = batches(TENANT, conversation(1))
        .into_iter()
        .flat_map(|b| b.appends[0].events.clone())
        .collect();
    let n = 20_000;
    let mut out = Vec::with_capacity(8192);
    let at = Instant::now();
    for _ in 0..n {
        out.clear();
        events.iter().for_each(|e| codec::encode(e, &mut out));
        std::hint::black_box(&out);
    }
    let spent = at.elapsed();
    println!(
        "encode: {:.0} ns an event, {} bytes an event",
        us(spent, n * events.len()) * 1e3,
        out.len() / events.len()
    );
    let texts: Vec<String> = events
        .iter()
        .map(|e| {
            let mut one = Vec::new();
            codec::encode(e, &mut one);
            String::from_utf8(one).expect("JSON is UTF-8")
        })
        .collect();
    let at = Instant::now();
    for _ in 0..n {
        for t in &texts {
            std::hint::black_box(codec::decode(events[0].conversation, t).expect("what was encoded decodes"));
        }
    }
    println!("decode: {:.0} ns an event", us(at.elapsed(), n * events.len()) * 1e3);
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    encoding();
    println!(
        "| durability | together | wall µs an event | CPU µs an event | CPU µs a call | calls/s | group p50 / p99 / max ms |"
    );
    println!("|---|---|---|---|---|---|---|");
    for durability in [Durability::Power, Durability::Process] {
        for (width, rounds) in [(1u64, 200u64), (10, 100), (100, 40), (400, 20)] {
            let dir = tempfile::tempdir().expect("a folder for the measurement");
            let settings = StoreConfig {
                durability,
                ..config(dir.path())
            };
            let store = open_with(settings).await;
            run(&store, 1_000_000, width, 5).await;
            let (wall, used, events, waits) = run(&store, 0, width, rounds).await;
            let calls = (width * rounds) as usize;
            println!(
                "| {durability:?} | {width} | {:.1} | {:.1} | {:.1} | {:.0} | {:.1} / {:.1} / {:.1} |",
                us(wall, events),
                us(used, events),
                us(used, calls),
                calls as f64 / wall.as_secs_f64(),
                ms(waits[waits.len() / 2]),
                ms(waits[waits.len() * 99 / 100]),
                ms(waits[waits.len() - 1]),
            );
        }
    }
}
