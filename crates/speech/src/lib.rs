//! Sound that comes from outside a call, and speech: files of several formats as the engine's samples, text to speech, and
//! recognition of what is said.
//!
//! Nothing here knows a conversation. What is spoken or heard is samples at 8 kHz, mono; who asked is the caller's affair.

pub mod import;
pub mod recognition;
pub mod synthesis;
