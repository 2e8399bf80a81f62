//! The four transaction machines of RFC 3261 §17 with the Accepted states of RFC 6026, each on one screen, and the
//! repetition of reliable provisional responses (RFC 3262).
//!
//! A machine knows states and times, no messages and no keys: an input returns what is to be done, `deadline` says when
//! `timer` is due. Whoever holds the machine holds the bytes to be repeated.

mod client_invite;
mod client_other;
mod provisional;
mod server_invite;
mod server_other;

pub use client_invite::ClientInvite;
pub use client_other::ClientOther;
pub use provisional::Provisional;
pub use server_invite::ServerInvite;
pub use server_other::ServerOther;

/// What a response does to a client transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnResponse {
    /// The transaction user must see it.
    Pass,
    /// The transaction user must see it, and the transaction acknowledges it (§17.1.1.3).
    PassAndAck,
    /// A repetition of a final response that is acknowledged again.
    Ack,
    /// Absorbed.
    Absorb,
}

/// What the passing of a deadline does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnTimer {
    /// Nothing was due.
    Nothing,
    /// Send the message again.
    Resend,
    /// The transaction user must learn that no response (client) or no ACK (server) came; the transaction is over.
    TimedOut,
    /// The transaction is over, nobody cares.
    Done,
}

/// What a request that matches a server transaction does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnRepeat {
    /// Send the last response again.
    Resend,
    /// Absorbed.
    Absorb,
}
