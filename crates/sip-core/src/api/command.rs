//! What the application asks of a stack.

use super::{Credentials, DialogHandle, DialogSnapshot, InviteSnapshot, Target};
use bytes::Bytes;
use std::net::SocketAddr;

/// An address with an optional display name, as in From and To; the stack adds the tag.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Party {
    /// Display name without quotes; control characters are dropped when it is written.
    pub display: Option<String>,
    /// Absolute URI without angle brackets, for example `sip:1000@example.com`.
    pub uri: String,
}

impl Party {
    /// A party without a display name.
    pub fn new(uri: impl Into<String>) -> Party {
        Party {
            display: None,
            uri: uri.into(),
        }
    }
}

/// When the ACK to a 2xx leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AckMode {
    /// At once, unless the INVITE carried no offer: then with [`Command::Ack`], which brings the answer.
    #[default]
    Automatic,
    /// With [`Command::Ack`] always. The far side repeats its 2xx until then (up to 32 s), so a process that dies
    /// between the 2xx and its own commit leaves no confirmed dialog behind: its successor imports the
    /// [`InviteSnapshot`] and answers the repeated 2xx with ACK and BYE.
    OnCommand,
}

/// Starts a call: one outgoing INVITE.
#[derive(Debug, Clone)]
pub struct Invite {
    /// Chosen by the caller, highest bit clear.
    pub handle: DialogHandle,
    /// Call-ID, unique in space and time (RFC 3261 §8.1.1.4).
    pub call_id: String,
    /// Our tag, at least 32 bits of entropy (§19.3).
    pub local_tag: String,
    /// Branch of the request with CSeq n is `z9hG4bK` + this + `-` + n, so that a successor process can compute it.
    pub branch_stem: String,
    /// Request-URI, and the remote target until the far side names a Contact.
    pub request_uri: String,
    /// Callee.
    pub to: Party,
    /// Caller.
    pub from: Party,
    /// Further header fields as (name, value); for example P-Asserted-Identity. Line breaks in them are dropped.
    pub headers: Vec<(String, String)>,
    /// First hop.
    pub destination: Target,
    /// Local address to send from; `None` takes the first interface of the transport.
    pub local: Option<SocketAddr>,
    /// Offer; `None` asks the far side for one (late offer).
    pub sdp: Option<Bytes>,
    /// Used once when the far side challenges with 401 or 407; and for requests inside the dialog.
    pub credentials: Option<Credentials>,
    /// When the ACK to the 2xx leaves.
    pub ack: AckMode,
}

/// What the application asks of the stack.
#[derive(Debug, Clone)]
pub enum Command {
    /// Start a call.
    Invite(Box<Invite>),
    /// Give up an unanswered outgoing call (RFC 3261 §9.1). CANCEL leaves when a provisional response has arrived. The
    /// end is always [`SipEvent::Ended`] with [`EndCause::Cancelled`]; a 2xx that crosses it is answered with ACK and BYE
    /// inside the stack. On a call that has been reported as answered this is a BYE.
    Cancel {
        /// The call.
        handle: DialogHandle,
        /// Written as a Reason header (RFC 3326).
        reason: Option<Reason>,
    },
    /// Forget an outgoing call that has had no response at all, so that the caller can try another trunk. INVITE is
    /// repeated no more; a late 1xx is answered with CANCEL, a late 2xx with ACK and BYE. If something has been
    /// received already this is a [`Command::Cancel`].
    Abandon {
        /// The call.
        handle: DialogHandle,
    },
    /// Hang up. On an unanswered outgoing call: CANCEL. On an unanswered incoming call: 480. An incoming call whose 2xx
    /// has not been acknowledged waits for the ACK first (RFC 3261 §15).
    Bye {
        /// The dialog.
        handle: DialogHandle,
        /// Written as a Reason header.
        reason: Option<Reason>,
    },
    /// Acknowledge a 2xx where the stack does not do so itself (see [`AckMode`]; also an offerless re-INVITE).
    Ack {
        /// The dialog.
        handle: DialogHandle,
        /// Answer to a late offer.
        sdp: Option<Bytes>,
    },
    /// Respond to an incoming INVITE or re-INVITE, whichever is pending.
    Respond {
        /// The dialog.
        handle: DialogHandle,
        /// 101-699.
        status: u16,
        /// `None` writes the usual phrase.
        reason_phrase: Option<String>,
        /// Further header fields, for example Contact of a 302 or Reason.
        headers: Vec<(String, String)>,
        /// Offer or answer.
        sdp: Option<Bytes>,
    },
    /// Change the session of a confirmed dialog (RFC 3261 §14).
    ReInvite {
        /// The dialog.
        handle: DialogHandle,
        /// Offer; `None` asks for one, then [`Command::Ack`] must bring the answer.
        sdp: Option<Bytes>,
    },
    /// Send INFO inside a confirmed dialog (RFC 6086, and the older use for digits).
    Info {
        /// The dialog.
        handle: DialogHandle,
        /// Content-Type.
        content_type: String,
        /// Body.
        body: Bytes,
    },
    /// Ask a peer whether it is alive (RFC 3261 §11). Ends with [`SipEvent::OptionsResult`].
    Options(Box<OptionsPing>),
    /// Take a dialog over from another process or from before a restart.
    Import {
        /// The dialog as data.
        snapshot: Box<DialogSnapshot>,
        /// Credentials are never part of a snapshot. For an unanswered INVITE they say that a second one may have left, in
        /// answer to a challenge, and has to be cancelled too.
        credentials: Option<Credentials>,
    },
}

/// An OPTIONS request outside any dialog.
#[derive(Debug, Clone)]
pub struct OptionsPing {
    /// Chosen by the caller.
    pub handle: DialogHandle,
    /// Call-ID.
    pub call_id: String,
    /// Our tag.
    pub local_tag: String,
    /// As in [`Invite::branch_stem`].
    pub branch_stem: String,
    /// Request-URI and To.
    pub request_uri: String,
    /// From.
    pub from: Party,
    /// Where to.
    pub destination: Target,
    /// Local address to send from; `None` takes the first interface of the transport.
    pub local: Option<SocketAddr>,
}

/// A Reason header value (RFC 3326).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// `SIP`, `Q.850`, or another protocol token.
    pub protocol: String,
    /// The `cause` parameter.
    pub cause: Option<u16>,
    /// The `text` parameter without quotes.
    pub text: Option<String>,
}

impl Reason {
    /// A cause of ITU-T Q.850.
    pub fn q850(cause: u16, text: &str) -> Reason {
        Reason {
            protocol: "Q.850".into(),
            cause: Some(cause),
            text: Some(text.into()),
        }
    }

    /// A SIP status as reason, for example 200 "Call completed elsewhere".
    pub fn sip(status: u16, text: &str) -> Reason {
        Reason {
            protocol: "SIP".into(),
            cause: Some(status),
            text: Some(text.into()),
        }
    }

    /// True if the protocol is Q.850.
    pub fn is_q850(&self) -> bool {
        self.protocol.eq_ignore_ascii_case("Q.850")
    }
}

impl Invite {
    /// The recovery data of this call; write it down before the command is given.
    pub fn snapshot(&self) -> InviteSnapshot {
        InviteSnapshot {
            handle: self.handle,
            call_id: self.call_id.clone(),
            local_tag: self.local_tag.clone(),
            branch_stem: self.branch_stem.clone(),
            request_uri: self.request_uri.clone(),
            to: self.to.clone(),
            from: self.from.clone(),
            destination: self.destination,
            local: self.local,
        }
    }
}
