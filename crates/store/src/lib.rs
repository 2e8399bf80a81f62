//! placeholder
pub mod batch;
pub mod codec;
pub mod config;
pub mod crypto;
pub mod error;
pub mod outbox;
