//! A short burst of every fuzz target, without libFuzzer: over its seeds, and over mutations of them that the name of the
//! target seeds. Each target is a test, so that they run side by side and a failure names its target.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};
use strowger_fuzz_targets::TARGETS;
use strowger_fuzz_targets::mutate::{Rng, mutate};

/// How long a burst lasts; the number of executions depends on the machine, their order does not.
const BURST: Duration = Duration::from_secs(2);
/// No input may take longer: a stall is a fault.
const STALL: Duration = Duration::from_secs(1);

fn burst(name: &str) {
    let target = TARGETS.iter().find(|t| t.name == name).unwrap();
    let seeds = (target.seeds)();
    let execute = |what: &str, input: &[u8]| {
        let begun = Instant::now();
        if catch_unwind(AssertUnwindSafe(|| (target.run)(input))).is_err() {
            panic!("{name}, {what}: {}", input.escape_ascii());
        }
        assert!(
            begun.elapsed() < STALL,
            "{name}, {what} stalls: {}",
            input.escape_ascii()
        );
    };
    for (n, seed) in seeds.iter().enumerate() {
        execute(&format!("seed {n}"), seed);
    }
    let mut rng = Rng::new(
        name.bytes()
            .fold(1, |h: u64, b| h.wrapping_mul(31).wrapping_add(u64::from(b))),
    );
    let begun = Instant::now();
    let mut runs = 0;
    while begun.elapsed() < BURST {
        let (base, other) = (&seeds[rng.below(seeds.len())], &seeds[rng.below(seeds.len())]);
        execute(&format!("mutation {runs}"), &mutate(&mut rng, base, other));
        runs += 1;
    }
    assert!(runs > 500, "{name}: only {runs} executions");
}

macro_rules! bursts {
    ($($name:ident)+) => {
        $(#[test] fn $name() { burst(stringify!($name)); })+
        const BURSTS: &[&str] = &[$(stringify!($name)),+];
    };
}

bursts! { sip_message sip_frame sip_stack uri digest registrar identity sdp sdp_secure stun rtp rtcp feedback decode_opus decode_g722 decode_g729 comfort_noise wav number spoken import range transcript flow regions events_message configuration if_match cursor webhook dial_link }

/// A target that is in the library has a binary for libFuzzer and a burst here.
#[test]
fn none_is_missing() {
    let names: Vec<&str> = TARGETS.iter().map(|t| t.name).collect();
    assert_eq!(names, BURSTS);
    let fuzz = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let manifest = std::fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
    for name in names {
        assert!(
            manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")),
            "{name} is not in fuzz/Cargo.toml"
        );
        let source = std::fs::read_to_string(fuzz.join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(
            source.contains(&format!("run(\"{name}\"")),
            "fuzz_targets/{name}.rs runs something else"
        );
    }
}
