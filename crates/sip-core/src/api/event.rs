//! What a stack reports.

use super::{ConfirmedSnapshot, Reason, Target};
use bytes::Bytes;
use std::net::SocketAddr;

/// An incoming INVITE.
#[derive(Debug, Clone)]
pub struct IncomingInvite {
    /// Request-URI as written.
    pub request_uri: String,
    /// From value as written, with tag.
    pub from: String,
    /// To value as written.
    pub to: String,
    /// Call-ID.
    pub call_id: String,
    /// P-Asserted-Identity values as written.
    pub asserted_identity: Vec<String>,
    /// Privacy value.
    pub privacy: Option<String>,
    /// Every other header field of interest can be read here; the stack itself keeps no copy.
    pub message: crate::Message,
    /// Where it came from.
    pub source: Target,
    /// Our address it came to.
    pub local: SocketAddr,
    /// Offer; `None` means that our 2xx must carry one.
    pub sdp: Option<Bytes>,
    /// The dialog as it will be once a 2xx has been sent; write it down before responding 2xx.
    pub snapshot: Box<ConfirmedSnapshot>,
}

/// Why an outgoing call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// A final response 300-699.
    Response,
    /// No response within 64·T1 (timer B). The status is 408.
    TransactionTimeout,
    /// The transport reported that it cannot deliver. The status is 503 (RFC 3261 §8.1.3.1).
    TransportError,
    /// The stack's own limits, or no interface of the transport. The status is 503.
    Refused,
}

/// The end of an outgoing call that was never answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What kind of end.
    pub kind: FailureKind,
    /// Final status; a stand-in (408, 503) where nothing was received.
    pub status: u16,
    /// Reason phrase as received, at most 128 bytes.
    pub phrase: String,
    /// Reason headers of the response.
    pub reasons: Vec<Reason>,
    /// Contact URIs of a 3xx, most preferred first.
    pub contacts: Vec<String>,
    /// Retry-After in seconds.
    pub retry_after: Option<u32>,
    /// Microseconds from the first INVITE to this.
    pub after: u64,
}

/// How a dialog or attempt ended after a command of ours, or by the loss of its peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndCause {
    /// We cancelled before an answer was reported. `status` is the final response (487, another one that crossed, a 2xx
    /// that was acknowledged and hung up), or `None` if none came.
    Cancelled {
        /// Final status of the INVITE.
        status: Option<u16>,
    },
    /// [`Command::Abandon`] has run its course; `status` as above.
    Abandoned {
        /// Final status of the INVITE.
        status: Option<u16>,
    },
    /// Our BYE completed; `status` is its response, `None` if it timed out.
    Bye {
        /// Final status of the BYE.
        status: Option<u16>,
    },
    /// We refused an incoming call.
    Rejected {
        /// The status we sent.
        status: u16,
    },
    /// The peer no longer knows the dialog or does not respond (408 or 481 to a request inside it); BYE was tried.
    PeerLost,
    /// Our 2xx was never acknowledged; BYE was tried.
    NoAck,
}

/// Why a command had no effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// No such handle: it ended, or never was.
    UnknownHandle,
    /// The handle is in use.
    DuplicateHandle,
    /// Not possible in the dialog's present state.
    WrongState,
    /// Status out of range or a URI that cannot be written.
    BadArgument,
}

/// The command that a [`SipEvent::CommandRefused`] speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum CommandKind {
    Invite,
    Cancel,
    Abandon,
    Bye,
    Ack,
    Respond,
    ReInvite,
    Info,
    Options,
    Import,
}

/// What happened to a dialog.
///
/// Outgoing: `Trying?` `Provisional*` `Challenged?`, then `Failed`, `Ended`, or `Answered` and the life of the dialog.
/// Incoming: `Incoming`, then `CancelledByPeer`, `Ended(Rejected)`, or after our 2xx `AckReceived` or `NoAck`, and the
/// life of the dialog. Life: `ReInvite…`, `Info…`, closed by `ByeReceived` or `Ended`.
/// Every handle gets exactly one terminal event, the last of all its events; after it the stack has forgotten the handle.
/// [`SipEvent::CommandRefused`] may come at any time.
#[derive(Debug, Clone)]
pub enum SipEvent {
    /// 100 arrived: the next hop has the INVITE.
    Trying,
    /// 101-199 arrived.
    Provisional {
        /// Status.
        status: u16,
        /// Session description, if there is one: early media, or the answer ahead of time.
        sdp: Option<Bytes>,
        /// The To tag: several values mean that the call was forked. Empty if there was none.
        tag: String,
        /// RSeq if the response is to be acknowledged by PRACK (RFC 3262).
        rseq: Option<u32>,
        /// Reason headers.
        reasons: Vec<Reason>,
    },
    /// 401 or 407: the INVITE was repeated with credentials.
    Challenged {
        /// 401 or 407.
        status: u16,
    },
    /// 2xx arrived. ACK has left, or waits for [`Command::Ack`] (see [`AckMode`]).
    Answered {
        /// Status, 200 nearly always.
        status: u16,
        /// Answer, or the offer if the INVITE had none.
        sdp: Option<Bytes>,
        /// To tag, to be matched with the early dialogs.
        tag: String,
        /// True if [`Command::Ack`] must follow.
        ack_needed: bool,
        /// The dialog as data.
        snapshot: Box<ConfirmedSnapshot>,
    },
    /// Terminal: the call was refused or got nowhere.
    Failed(Box<Failure>),
    /// A call came in. 100 has been sent.
    Incoming(Box<IncomingInvite>),
    /// Terminal: the caller gave up; 487 has been sent.
    CancelledByPeer {
        /// Reason headers of the CANCEL (or early BYE).
        reasons: Vec<Reason>,
    },
    /// ACK to our 2xx (of the first INVITE or of a re-INVITE).
    AckReceived {
        /// Answer to the offer in our 2xx.
        sdp: Option<Bytes>,
    },
    /// Our 2xx was not acknowledged within 64·T1; BYE has been sent, `Ended` follows.
    NoAck,
    /// The peer wants to change the session: answer by [`Command::Respond`].
    ReInviteReceived {
        /// Offer; `None` means that our 2xx must carry one.
        sdp: Option<Bytes>,
    },
    /// The peer took back its re-INVITE by CANCEL; 487 has been sent and the session is as before.
    ReInviteCancelled,
    /// Our re-INVITE was accepted.
    ReInviteAnswered {
        /// Answer, or the offer if ours was offerless.
        sdp: Option<Bytes>,
        /// True if [`Command::Ack`] must follow.
        ack_needed: bool,
    },
    /// Our re-INVITE was refused; the session is as before.
    ReInviteFailed {
        /// Final status; 408 stands in for a timeout.
        status: u16,
        /// After 491: microseconds to wait before another try (RFC 3261 §14.1). After 5xx: Retry-After.
        retry_in: Option<u64>,
    },
    /// INFO arrived; 200 has been sent.
    InfoReceived {
        /// Content-Type, lower case, without parameters.
        content_type: String,
        /// Body.
        body: Bytes,
    },
    /// Our INFO was answered; `None` if it timed out.
    InfoResult {
        /// Final status.
        status: Option<u16>,
    },
    /// Terminal: the peer hung up; 200 has been sent.
    ByeReceived {
        /// Reason headers.
        reasons: Vec<Reason>,
    },
    /// Terminal: over by our doing, or the peer was lost.
    Ended {
        /// How.
        cause: EndCause,
    },
    /// Terminal: what came of an OPTIONS; `None` if nothing did.
    OptionsResult {
        /// Any final status proves that the peer is alive.
        status: Option<u16>,
    },
    /// A command had no effect. Not terminal; the handle may be unknown.
    CommandRefused {
        /// Which command.
        command: CommandKind,
        /// Why.
        why: Refusal,
    },
}

impl SipEvent {
    /// True if this is the last event of its handle.
    pub fn is_terminal(&self) -> bool {
        matches!(
            self,
            SipEvent::Failed(_)
                | SipEvent::CancelledByPeer { .. }
                | SipEvent::ByeReceived { .. }
                | SipEvent::Ended { .. }
                | SipEvent::OptionsResult { .. }
        )
    }
}
