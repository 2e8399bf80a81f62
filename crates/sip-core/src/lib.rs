//! SIP without I/O: messages, transactions, dialogs and a user agent core (RFC 3261), SDP (RFC 8866) with
//! offer/answer (RFC 3264), digest authentication of both sides (RFC 7616, RFC 8760), and what a server that faces the
//! world needs: a registrar, rates and bans, STUN keep-alives, identities.
//!
//! Nothing in this crate reads a clock, opens a socket, spawns a task or draws a random number. Time, datagrams and
//! identifiers come in; datagrams, events and deadlines go out. The entry point is [`Stack`]:
//!
//! 1. `stack.handle(input, now)` with a received datagram, a command, or [`Input::Tick`];
//! 2. `stack.poll()` until it returns `None`; every output must be carried out or dropped by the caller;
//! 3. `stack.next_deadline()` says when `handle(Input::Tick, now)` is due at the latest. A deadline may turn out to be
//!    spurious (nothing comes out), it is never late.
//!
//! Invariant: input from the network can neither panic nor make a collection grow without a limit.
//! Invariant: identifiers that the stack derives (tags of answers, cnonces) come from a keyed hash with
//! [`StackConfig::seed`], so a run can be replayed exactly.

pub mod api;
pub mod digest;
pub mod frame;
pub mod guard;
mod header_name;
pub mod headers;
pub mod identity;
mod keyed;
pub mod locate;
pub mod message;
pub mod registrar;
pub mod sdp;
mod stack;
pub mod stun;
pub mod transaction;
pub mod uri;
pub mod write;

pub use api::*;
pub use message::{HeaderName, Message, Method, ParseError};
pub use stack::Stack;
pub use uri::Uri;
