//! The dialects of Alibaba Cloud's contact centres.
//!
//! So far: how agents' states are shown (domain-model §4.3) and what their clients may press, the codes and the record of
//! real-time calls, the lists of callees, and ids: pure functions of logs and records. The endpoints follow.

pub mod callees;
pub mod flags;
pub mod ids;
pub mod record;
pub mod rtc;
pub mod states;
