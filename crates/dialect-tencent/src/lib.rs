//! The dialect of Tencent's contact centre.
//!
//! So far: how agents' states are shown (domain-model §4.3), as a pure function of an agent's log. The endpoints follow.

pub mod states;
