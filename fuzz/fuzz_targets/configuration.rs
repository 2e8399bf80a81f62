//! See `configuration` in `tests/fuzz-targets`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| strowger_fuzz_targets::run("configuration", data));
