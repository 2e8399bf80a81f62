//! The dialects of Alibaba Cloud's contact centres.
//!
//! So far: how agents' states are shown (domain-model §4.3), as pure functions of an agent's log. The endpoints follow.

pub mod states;
