//! The contact centre: agents, queues and offers, as pure machines (domain-model §4, §5.4, §10).

pub mod acd;
pub mod agent;
pub mod resource;
