//! The pure part of media: packets, codecs, buffers, tones and mixing, without sockets, threads, clocks or randomness.
//!
//! Audio is `i16` at 8 kHz in frames of 20 ms ([`FRAME`] samples) unless a function says otherwise. Time comes in as
//! RTP clock units or as microseconds of the caller's monotonic clock.

pub mod codec;
pub mod comfort;
pub mod dtmf;
pub mod dtmf_tone;
pub mod feedback;
pub mod g711;
pub mod listen;
pub mod meter;
pub mod mixer;
pub mod playout;
pub mod press;
pub mod probe;
pub mod quality;
pub mod resample;
pub mod rewrite;
pub mod rtcp;
pub mod rtp;
pub mod stats;
pub mod tone;
pub mod tone_plan;
pub mod wav;

/// Samples of one mixing frame: 20 ms at 8 kHz.
pub const FRAME: usize = 160;

/// Sample rate of everything that is mixed, recorded and played, in Hz.
pub const RATE: u32 = 8000;
