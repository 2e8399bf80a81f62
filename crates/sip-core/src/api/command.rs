//! What the application asks of a stack.

use super::{Credentials, DialogHandle, DialogSnapshot, InviteSnapshot, Register, Target};
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

/// What an INVITE says about reliable provisional responses (RFC 3262).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reliable {
    /// Nothing: none will come, or none will be understood.
    #[default]
    Off,
    /// `Supported: 100rel`.
    Supported,
    /// `Require: 100rel`: every provisional response but 100 is reliable.
    Required,
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
    /// Further header fields as (name, value); for example P-Asserted-Identity, or Replaces with `Require: replaces`
    /// (RFC 3891). Line breaks in them are dropped. Contact, Route, Supported and Session-Expires are the stack's.
    pub headers: Vec<(String, String)>,
    /// Pre-loaded route set, one Route value each in the order of travel: an outbound proxy, the Path of a registration
    /// (RFC 3327), a Service-Route (RFC 3608). The first hop is [`Invite::destination`] all the same.
    pub route: Vec<String>,
    /// User part of our Contact in this dialog; `None` takes [`StackConfig::contact_user`](super::StackConfig).
    pub contact_user: Option<String>,
    /// Whether reliable provisional responses are asked for.
    pub reliable: Reliable,
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
        /// Send a provisional response reliably (RFC 3262) if the peer supports that; it is repeated until its PRACK comes.
        /// A peer that requires it gets every provisional response so. While one is outstanding, later ones wait (eight
        /// at most), and so does a 2xx if a description is among what is outstanding. Without any PRACK for 64·T1 the
        /// INVITE is refused with 500 and [`EndCause::Rejected`](super::EndCause) reported. Ignored from 200 on.
        reliable: bool,
    },
    /// Acknowledge a reliable provisional response that carried an offer ([`SipEvent::Provisional`] with `prack_needed`).
    Prack {
        /// The call.
        handle: DialogHandle,
        /// To tag of the early dialog.
        tag: String,
        /// Answer.
        sdp: Option<Bytes>,
    },
    /// Answer a PRACK that carried an offer ([`SipEvent::PrackReceived`] with `answer_needed`).
    RespondPrack {
        /// The dialog.
        handle: DialogHandle,
        /// 200-699.
        status: u16,
        /// Answer.
        sdp: Option<Bytes>,
    },
    /// Send UPDATE (RFC 3311) in a confirmed or an early dialog. Ends with [`SipEvent::UpdateAnswered`] or
    /// [`SipEvent::UpdateFailed`]; the latter comes at once, with 491, while another offer is under way.
    Update {
        /// The dialog.
        handle: DialogHandle,
        /// The early dialog of a forked call by its To tag; `None` names the only or newest one.
        tag: Option<String>,
        /// Offer; `None` refreshes target and session timer only.
        sdp: Option<Bytes>,
    },
    /// Answer [`SipEvent::UpdateReceived`].
    RespondUpdate {
        /// The dialog.
        handle: DialogHandle,
        /// The tag of the event; `None` names the only one that waits.
        tag: Option<String>,
        /// 200-699.
        status: u16,
        /// Answer.
        sdp: Option<Bytes>,
    },
    /// Send REFER inside a confirmed dialog (RFC 3515). [`SipEvent::ReferResult`] follows, and after a 2xx
    /// [`SipEvent::ReferProgress`] until it says `finished`. At most [`MAX_REFERS`] at once.
    Refer {
        /// The dialog.
        handle: DialogHandle,
        /// URI for Refer-To without angle brackets; a Replaces header (RFC 3891) is part of it, escaped:
        /// see [`Replaces::in_uri`](super::Replaces::in_uri).
        refer_to: String,
        /// Referred-By (RFC 3892) as it is written, with angle brackets.
        referred_by: Option<String>,
    },
    /// Answer [`SipEvent::ReferReceived`]. After a 2xx NOTIFY with `100 Trying` leaves by itself, unless the peer wants
    /// none (RFC 4488).
    AnswerRefer {
        /// The dialog.
        handle: DialogHandle,
        /// The `id` of the event.
        id: u32,
        /// 200-699; 202 accepts.
        status: u16,
    },
    /// Tell the peer how the referred call goes, by NOTIFY with a status line (message/sipfrag). Nothing leaves if the
    /// peer wanted no notifications or the subscription has expired (60 s).
    NotifyRefer {
        /// The dialog.
        handle: DialogHandle,
        /// The `id` of the event.
        id: u32,
        /// Status of the referred call, 100-699.
        status: u16,
        /// `None` writes the usual phrase.
        phrase: Option<String>,
        /// True for the last one: it ends the subscription.
        finished: bool,
    },
    /// Respond to [`SipEvent::Request`]. A final response ends the handle without any further event.
    Reply {
        /// The request.
        handle: DialogHandle,
        /// 200-699.
        status: u16,
        /// `None` writes the usual phrase.
        phrase: Option<String>,
        /// Further header fields.
        headers: Vec<(String, String)>,
        /// Content-Type and body.
        body: Option<(String, Bytes)>,
    },
    /// Register with a registrar (RFC 3261 §10.2): one REGISTER, and one more after a challenge. Ends with
    /// [`SipEvent::RegisterResult`].
    Register(Box<Register>),
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

/// Most REFERs at once in one dialog, of each direction.
pub const MAX_REFERS: usize = 8;

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
