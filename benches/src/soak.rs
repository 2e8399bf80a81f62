//! The same load for a long time, with memory and descriptors watched.

use crate::calls::{Kind, Rig, head};
use crate::process;
use std::time::{Duration, Instant};

/// Calls a second of both kinds in turn.
const RATE: f64 = 300.0;

/// Runs for a time and prints a line a minute.
pub fn run(seconds: u64) {
    let mut rig = Rig::start("power", "");
    let end = Instant::now() + Duration::from_secs(seconds);
    let minute = (seconds as f64).min(60.0);
    println!("{}   resident KB  descriptors", head());
    let mut failed = 0;
    for kind in [Kind::Click, Kind::Trunk].into_iter().cycle() {
        if Instant::now() >= end {
            break;
        }
        let run = rig.run(kind, RATE, minute);
        failed += u64::from(!run.clean(kind));
        let (memory, files) = (process::resident_kb(rig.pid()), process::descriptors(rig.pid()));
        println!("{} {memory:>12} {files:>12}", run.row(kind, RATE));
    }
    println!("minutes with a failure: {failed}");
    if failed > 0 {
        std::process::exit(1);
    }
}
