//! The media engine of Strowger: RTP relay, transcoding, mixing, prompts and recording, behind one handle.
//!
//! [`Engine::start`] spawns the shards, each a pinned OS thread that owns its sockets, legs and timers. Everything else
//! talks to them through a [`Handle`]: commands go in over a bounded queue, [`Event`]s come out through an [`EventSink`].
//!
//! # How to drive a call
//!
//! 1. [`Handle::open_leg`] takes a bound port pair and returns the address for the SDP. It never waits for a shard.
//! 2. [`Command::Configure`] says where the far side is and what was negotiated; it comes again after every re-INVITE.
//! 3. [`Command::Layout`] says who hears whom and what is played. It is declarative: send the whole picture each time,
//!    the engine changes only what differs, so a prompt that stays in the layout is not disturbed.
//! 4. [`Command::CloseLeg`] and [`Command::CloseCall`] give the ports back and produce [`Event::LegClosed`].
//!
//! # Invariants
//!
//! - A call lives on one shard; commands of one call are carried out in the order in which they were accepted.
//! - A leg that hears exactly one leg at unity gain, with nothing mixed in and the same codec (or G.711 of either law), is
//!   relayed packet by packet on arrival. Samples exist only while a mix, a prompt, a recording or another codec needs them.
//! - Attaching a recording does not change the packets a party receives.
//! - No queue is unbounded, and nothing here waits for the disk or for the receiver of events.
//!
//! # Seams for what comes later
//!
//! - A leg's packets leave through one function (`Leg::send`) and come in through one (`Shard::on_rtp`): another transport
//!   (WebRTC on one port a shard, SRTP) is a second variant behind these two.
//! - The jitter buffer keeps payloads and takes a [`Decoder`](strowger_media_core::codec::Decoder), so that codecs with
//!   memory, concealment and other packet times fit beside G.711.
//! - A mixer input has a gain: listening, whispering and muting are layouts, not new modes.

mod advertised;
mod api;
mod engine;
mod histogram;
mod latch;
mod ports;
mod queue;
mod record;
mod secure;
mod shard;
mod sys;
mod tap;
pub mod testkit;

pub use api::*;
pub use engine::{Engine, Handle};
pub use record::{Salvaged, salvage};
pub use secure::{Fingerprint, IceCredentials, LocalCandidate, LocalWebRtc, MasterKey, Security, Suite, WebRtc};
pub use strowger_media_core::listen::{FaxTone, Listen, MachineSettings, Verdict, VerdictReason, Who};
pub use strowger_media_core::mixer::Gain;
pub use strowger_media_core::quality::OneWay;
pub use strowger_media_core::tone::Cadence;
pub use tap::{Tap, TapFrame, TapReader, tap};
