//! The `strowger` binary: configuration, wiring, command line.

pub mod cli;
pub mod config;
pub mod data;
pub mod demo;
mod equipment;
pub mod lab;
pub mod log;
pub mod metrics;
pub mod operations;
pub mod outside;
pub mod recordings;
pub mod serve;
pub mod signalling;
pub mod sounds;
pub mod speech;
pub mod telephony;
pub mod transcription;
pub mod wire;
