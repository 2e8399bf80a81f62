//! The `strowger` binary: configuration, wiring, command line.

pub mod config;
pub mod data;
pub mod log;
pub mod sounds;
