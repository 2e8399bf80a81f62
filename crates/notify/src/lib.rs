//! Outgoing pushes: takes deliveries from the store's outbox and posts them.
//!
//! At least once, in order for each conversation and subscription, with retries up to 24 hours and dead letters after
//! that. What the store keeps (order, state, frozen bodies) survives a restart; this crate keeps only what is being
//! sent now.
//!
//! Every attempt is a POST of the frozen body with these headers:
//!
//! | Header | Value |
//! |---|---|
//! | `Content-Type` | as frozen |
//! | `X-Strowger-Delivery` | id of the delivery, the same in every attempt |
//! | `X-Strowger-Attempt` | number of the attempt, from 1; goes on when an operator pushes again |
//! | `X-Strowger-Key` | what the receiver de-duplicates on |
//! | `X-Strowger-Signature` | `sha256=` and the HMAC-SHA-256 of the body in hexadecimal, if the application has a secret |
//!
//! What a webhook is told has also
//!
//! | Header | Value |
//! |---|---|
//! | `X-Strowger-Event` | id of the event |
//! | `X-Strowger-Sequence` | its position in the conversation's or the agent's log |
//! | `X-Strowger-Timestamp` | seconds since 1970 at which this attempt was made |
//! | `X-Strowger-Signature` | one as above for each valid secret, joined by commas, over the timestamp, a full stop and the body |
//!
//! Deliveries that may share a request (`NewDelivery::batch`) go as one JSON array of their bodies, oldest first, once so
//! many wait as fit or the window of the oldest closes. `X-Strowger-Batch` then has their number; the other headers are
//! those of the first, and the signature is over the whole body. One 2xx acknowledges them all; otherwise all of them are
//! tried again together, and given up together. A conversation is in an array once: a later version of its record waits
//! until the one before is done.
//!
//! A response 2xx is success. Redirects 301, 302, 307 and 308 are followed with the same POST, at most three.
//!
//! Invariant: a receiver that hangs, loops or fails holds up its own conversations' subscriptions only. Connections
//! are limited per destination, per tenant and in all, and a destination that times out gets fewer.
//!
//! Invariant: no connection is made to an address that the tenant's policy did not allow for this very connection;
//! names are resolved once, and the checked address is the one that is connected to.
//!
//! Invariant: logs and error texts have no URL, body or number in them.

mod asker;
mod client;
mod policy;
pub mod schedule;
mod send;
mod worker;

pub use asker::{Asker, Question};
pub use policy::{Policy, is_special};
pub use schedule::{Next, Schedule};
pub use worker::{Notifier, NotifyConfig, NotifyStats, StartError};
