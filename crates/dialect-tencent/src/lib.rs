//! The dialect of Tencent's contact centre.
//!
//! So far: how agents' states are shown (domain-model §4.3), what becomes of offers, how sessions end, and ids: pure functions
//! of logs and records. The endpoints follow.

pub mod ids;
pub mod sessions;
pub mod states;
