//! Any bytes are a description or an error; a description can be written, read again and answered.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strowger_sip_core::sdp;

fuzz_target!(|data: &[u8]| {
    let Ok(session) = sdp::parse(data) else { return };
    // What is no text is replaced or trimmed when it is read, so only text has to come back.
    if data.iter().all(|b| matches!(b, b' '..=b'~' | b'\r' | b'\n')) {
        let written = session.to_string();
        assert!(sdp::parse(written.as_bytes()).is_ok(), "what was written cannot be read: {written:?}");
    }
    let local = sdp::LocalMedia::g711(([127, 0, 0, 1], 4000).into(), 1);
    let _ = sdp::answer(&session, &local);
    let _ = sdp::apply_answer(&sdp::offer(&local), &session);
});
