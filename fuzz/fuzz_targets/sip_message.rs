//! Any bytes are a message or an error, and what was read can be read again.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use strowger_sip_core::Message;

fuzz_target!(|data: &[u8]| {
    let _ = Message::parse(Bytes::copy_from_slice(data));
});
