//! Recognition of what is said in a call: live audio goes out over a WebSocket, partial and final results come back.
//!
//! One connection a leg. The caller hands over audio through [`Audio`], which never waits for the engine: what an engine
//! is too slow for is dropped and counted there, and shows as [`Update::Gap`].

mod client;
mod protocol;

use std::time::Duration;

pub use client::{Connector, RecognitionError, recognise};
pub use protocol::{Heard, Hello, Protocol, ProtocolError};

/// Where an engine is, and how it is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineSettings {
    /// A `ws` or `wss` URL.
    pub url: String,
    /// What is spoken over it.
    pub protocol: Protocol,
    /// Sent as `Authorization: Bearer` with the WebSocket's request.
    pub token: Option<String>,
    /// For the connection, and for each piece of audio to be taken.
    pub timeout: Duration,
}

/// What audio there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Supply {
    /// More may come.
    Open,
    /// The leg has ended, and this was the last.
    Ended,
}

/// Live audio of one leg, 8 kHz mono.
pub trait Audio: Send {
    /// Appends what has come since the last time, and adds to `dropped` the samples that were lost meanwhile for want of
    /// room. Returns at once.
    fn take(&mut self, out: &mut Vec<i16>, dropped: &mut u64) -> Supply;
}

/// News of one leg's recognition. Times are milliseconds of the leg's audio since its recognition began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Update {
    /// What an utterance seems to be so far. Replaced by the next partial or final result.
    Partial {
        /// Words.
        text: String,
    },
    /// An utterance that is complete.
    Final {
        /// Words.
        text: String,
        /// When its first word began.
        begin_ms: u64,
        /// When its last word ended.
        end_ms: u64,
    },
    /// Audio was not heard by the engine: it was too slow, or not there.
    Gap {
        /// How much.
        ms: u64,
    },
    /// The connection to the engine was lost, or it refused. It is tried again.
    Interrupted {
        /// What happened.
        why: String,
    },
    /// The engine is there again.
    Resumed,
    /// The leg has ended, and the engine has said what it had to say.
    Ended,
}
