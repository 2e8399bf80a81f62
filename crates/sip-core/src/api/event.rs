//! What a stack reports.

use super::{ConfirmedSnapshot, OutsideRequest, Reason, ReferTo, Registration, Reliable, Replaced, Target};
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
    /// Offer; `None` means that our 2xx must carry one, or a reliable provisional response before it.
    pub sdp: Option<Bytes>,
    /// What the caller says about reliable provisional responses.
    pub reliable: Reliable,
    /// The dialog of ours that the INVITE wants to replace (RFC 3891). What does not match has been refused already.
    pub replaces: Option<Replaced>,
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
    /// Nobody refreshed the session in time (RFC 4028 §10); BYE was tried.
    SessionExpired,
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
    Prack,
    RespondPrack,
    Update,
    RespondUpdate,
    Refer,
    AnswerRefer,
    NotifyRefer,
    Reply,
    Register,
}

/// What happened to a dialog.
///
/// Outgoing: `Trying?` `Provisional*` `Challenged?`, then `Failed`, `Ended`, or `Answered` and the life of the dialog.
/// Incoming: `Incoming`, then `CancelledByPeer`, `Ended(Rejected)`, or after our 2xx `AckReceived` or `NoAck`, and the
/// life of the dialog. Life: `ReInvite…`, `Info…`, closed by `ByeReceived` or `Ended`.
/// Every handle gets exactly one terminal event, the last of all its events; after it the stack has forgotten the handle.
/// Only the handle of a [`SipEvent::Request`] ends with the reply instead, unless that is missing.
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
        /// True if it came reliably (RFC 3262); each such response is reported once.
        reliable: bool,
        /// True if it carries an offer, so that [`Command::Prack`](super::Command::Prack) must bring the answer. All other
        /// reliable responses are acknowledged by the stack.
        prack_needed: bool,
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
    /// The peer acknowledged our reliable provisional response.
    PrackReceived {
        /// Answer to the offer in our response, or a new offer.
        sdp: Option<Bytes>,
        /// True if it is an offer: [`Command::RespondPrack`](super::Command::RespondPrack) must bring the answer.
        answer_needed: bool,
    },
    /// The peer offers another session by UPDATE: answer by [`Command::RespondUpdate`](super::Command::RespondUpdate).
    /// An UPDATE without an offer is answered by the stack.
    UpdateReceived {
        /// The peer's tag, which tells early dialogs of a forked call apart.
        tag: String,
        /// Offer.
        sdp: Bytes,
    },
    /// Our UPDATE was accepted.
    UpdateAnswered {
        /// The peer's tag.
        tag: String,
        /// Answer.
        sdp: Option<Bytes>,
    },
    /// Our UPDATE was refused; the session is as before.
    UpdateFailed {
        /// The peer's tag.
        tag: String,
        /// Final status; 408 stands in for a timeout.
        status: u16,
        /// After 491: microseconds to wait before another try (RFC 3261 §14.1). After 5xx: Retry-After.
        retry_in: Option<u64>,
    },
    /// The peer asks us to call somebody: answer by [`Command::AnswerRefer`](super::Command::AnswerRefer), then report by
    /// [`Command::NotifyRefer`](super::Command::NotifyRefer).
    ReferReceived {
        /// Tells REFERs of one dialog apart.
        id: u32,
        /// Whom to call.
        refer_to: Box<ReferTo>,
        /// Referred-By as written.
        referred_by: Option<String>,
    },
    /// Our REFER was answered.
    ReferResult {
        /// Tells REFERs of one dialog apart; it grows from one [`Command::Refer`](super::Command::Refer) to the next.
        id: u32,
        /// Final status; 408 stands in for a timeout. From 300 on nothing more comes of this REFER.
        status: u16,
    },
    /// NOTIFY came for our REFER. It may overtake [`SipEvent::ReferResult`].
    ReferProgress {
        /// As in [`SipEvent::ReferResult`].
        id: u32,
        /// Status of the referred call; 0 if the body could not be read; 408 if the peer fell silent.
        status: u16,
        /// True for the last one.
        finished: bool,
    },
    /// The session was refreshed by us, or by the peer without a new description (RFC 4028).
    SessionRefreshed {
        /// The peer's description, where our refresh carried one.
        sdp: Option<Bytes>,
    },
    /// A request outside dialogs: answer by [`Command::Reply`](super::Command::Reply).
    Request(Box<OutsideRequest>),
    /// Terminal: nobody replied to [`SipEvent::Request`] within 10 s; 503 has been sent.
    RequestExpired,
    /// Terminal: what came of our REGISTER.
    RegisterResult(Box<Registration>),
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
                | SipEvent::RequestExpired
                | SipEvent::RegisterResult(_)
        )
    }
}
