//! Any bytes are a packet or nothing, as RTP and as RTCP.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strowger_media_core::{rtcp, rtp};

fuzz_target!(|data: &[u8]| {
    let _ = rtp::Packet::parse(data);
    rtcp::parse(data, |_| {});
});
