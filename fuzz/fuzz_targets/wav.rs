//! Any bytes are a sound or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strowger_media_core::wav;

fuzz_target!(|data: &[u8]| {
    let _ = wav::read(data);
    let _ = wav::read_stereo(data);
});
