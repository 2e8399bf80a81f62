//! What a call costs in this crate and in the machine, without journal, signalling and media.
//!
//! `cargo test --release -p strowger-dialect-voicepaas cost -- --ignored --nocapture`

use crate::kit::*;
use serde_json::json;
use std::hint::black_box;
use std::time::Instant;

const ROUNDS: u32 = 5_000;

#[test]
#[ignore = "a measurement, for a release build on a quiet machine"]
fn cost_of_a_call() {
    let mut kit = Kit::talking();
    kit.party(CALLEE, Party::answers(1, 7).hangs_up(10));
    let micros = |from: Instant| from.elapsed().as_micros() as f64 / f64::from(ROUNDS);

    let from = Instant::now();
    for _ in 0..ROUNDS {
        black_box(kit.try_click(json!({"record": 3})));
    }
    println!("request, refused at its last member: {:.1} µs", micros(from));

    let from = Instant::now();
    let mut sid = String::new();
    for _ in 0..ROUNDS {
        sid = kit.click(json!({}));
        kit.run();
        let done = id(&sid);
        kit.world().convs.retain(|c, _| *c == done);
    }
    println!(
        "request, whole call in the machine, nine pushes: {:.1} µs",
        micros(from)
    );

    let world = kit.world();
    let events = &world.convs[&id(&sid)].events;
    let from = Instant::now();
    for _ in 0..ROUNDS {
        black_box(switch::replay(black_box(events)));
    }
    println!(
        "fold of {} events and their pushes: {:.1} µs",
        events.len(),
        micros(from)
    );
}
