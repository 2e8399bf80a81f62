//! What goes into and comes out of a [`Stack`](crate::Stack): the whole public vocabulary of a user agent.
//!
//! All enums here are closed on purpose: whoever handles events wants the compiler to name a new one.

use bytes::Bytes;
use std::fmt;
use std::net::SocketAddr;

/// Microseconds since an arbitrary, monotonic origin that the caller chooses once per stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(pub u64);

impl Time {
    /// The time `micros` microseconds later; saturates instead of wrapping.
    pub const fn plus(self, micros: u64) -> Time {
        Time(self.0.saturating_add(micros))
    }

    /// Microseconds from `earlier` to `self`, zero if `earlier` is later.
    pub const fn since(self, earlier: Time) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Names one dialog, call attempt or out-of-dialog request across commands and events.
///
/// The caller chooses handles of what it starts, with the highest bit clear and never reused while a terminal event
/// ([`SipEvent::is_terminal`]) is outstanding. The stack mints handles of incoming calls with the highest bit set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DialogHandle(pub u64);

impl DialogHandle {
    /// The bit that marks handles minted by the stack.
    pub const INCOMING: u64 = 1 << 63;

    /// True if the stack minted the handle for an incoming call.
    pub const fn is_incoming(self) -> bool {
        self.0 & Self::INCOMING != 0
    }
}

/// A transport protocol as it is named in Via and in the `transport` URI parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// RFC 3261 §18, one message per datagram.
    Udp,
    /// RFC 3261 §18.3.
    Tcp,
    /// TLS over TCP.
    Tls,
    /// RFC 7118 over TCP.
    Ws,
    /// RFC 7118 over TLS.
    Wss,
}

impl Transport {
    /// True if the transport itself repeats what is lost, so that timers A, E and G do not run (RFC 3261 §17).
    pub const fn is_reliable(self) -> bool {
        !matches!(self, Transport::Udp)
    }

    /// The token in `Via: SIP/2.0/…`.
    pub const fn via_token(self) -> &'static str {
        match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
            Transport::Tls => "TLS",
            Transport::Ws => "WS",
            Transport::Wss => "WSS",
        }
    }

    /// The port that applies where none is written (RFC 3261 §19.1.2, RFC 7118 §5).
    pub const fn default_port(self) -> u16 {
        match self {
            Transport::Udp | Transport::Tcp => 5060,
            Transport::Tls => 5061,
            Transport::Ws => 80,
            Transport::Wss => 443,
        }
    }
}

/// A connection of a connection-oriented transport, minted by the transport layer (RFC 5626 calls it a flow).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FlowId(pub u64);

/// Where a message goes: a protocol and an address, and a connection where one must be reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Target {
    /// Protocol to use.
    pub transport: Transport,
    /// Address and port of the next hop.
    pub addr: SocketAddr,
    /// The connection to use; `None` for UDP and where any connection to `addr` will do.
    pub flow: Option<FlowId>,
}

impl Target {
    /// A UDP destination.
    pub const fn udp(addr: SocketAddr) -> Target {
        Target {
            transport: Transport::Udp,
            addr,
            flow: None,
        }
    }
}

/// One local address that the stack may send from, and how the far side should see it.
#[derive(Debug, Clone)]
pub struct Interface {
    /// Protocol served there.
    pub transport: Transport,
    /// The bound address; it appears as `local` in [`Output::Send`] and must appear as `local` in [`Received`].
    pub local: SocketAddr,
    /// What is written into Via and Contact; `None` writes `local`.
    pub advertised: Option<SocketAddr>,
}

impl Interface {
    /// The address for Via and Contact.
    pub fn public(&self) -> SocketAddr {
        self.advertised.unwrap_or(self.local)
    }
}

/// The three base timers of RFC 3261 §17 (table 4), in microseconds.
#[derive(Debug, Clone, Copy)]
pub struct Timers {
    /// Round-trip estimate; 500 ms.
    pub t1: u64,
    /// Longest retransmission interval; 4 s.
    pub t2: u64,
    /// How long a message stays in the network; 5 s.
    pub t4: u64,
}

impl Default for Timers {
    fn default() -> Self {
        Timers {
            t1: 500_000,
            t2: 4_000_000,
            t4: 5_000_000,
        }
    }
}

/// Everything a stack must know before the first message.
#[derive(Clone)]
pub struct StackConfig {
    /// Secret that keys the hash behind derived identifiers and hash tables. Draw it at random per process.
    pub seed: [u8; 16],
    /// Local addresses; the first of a transport is the default one for it. Must not be empty.
    pub interfaces: Vec<Interface>,
    /// `User-Agent` in requests and `Server` in responses; empty writes none.
    pub product: String,
    /// User part of Contact; `None` writes none.
    pub contact_user: Option<String>,
    /// Base timers.
    pub timers: Timers,
    /// Dialogs and call attempts held at once; a new incoming call beyond this is refused with 503 and Retry-After.
    pub max_dialogs: usize,
    /// Transactions held at once; a new incoming transaction beyond this is refused with 503 and Retry-After.
    pub max_transactions: usize,
    /// Seconds in the Retry-After of refusals.
    pub retry_after: u32,
}

impl StackConfig {
    /// Defaults for one interface: no product token, RFC timers, 100,000 dialogs and 1,000,000 transactions.
    pub fn new(seed: [u8; 16], interface: Interface) -> StackConfig {
        StackConfig {
            seed,
            interfaces: vec![interface],
            product: String::new(),
            contact_user: None,
            timers: Timers::default(),
            max_dialogs: 100_000,
            max_transactions: 1_000_000,
            retry_after: 5,
        }
    }
}

impl fmt::Debug for StackConfig {
    /// Leaves the seed out: whoever knows it can predict tags.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StackConfig")
            .field("interfaces", &self.interfaces)
            .field("product", &self.product)
            .finish()
    }
}

/// Digest credentials of a trunk or account. `Debug` shows neither part.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User name as the challenger knows it.
    pub username: String,
    /// Shared secret.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}

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

/// Something for the stack to digest.
#[derive(Debug, Clone)]
pub enum Input {
    /// A message arrived.
    Received(Received),
    /// The application wants something.
    Command(Command),
    /// A deadline may have passed.
    Tick,
    /// The transport could not deliver to this destination (ICMP unreachable, connection refused). Transactions that
    /// wait for a first response from it fail at once (RFC 3261 §17.1.4).
    TransportError {
        /// The destination that failed.
        target: Target,
    },
}

/// One message from the network, with where it came from.
#[derive(Debug, Clone)]
pub struct Received {
    /// Protocol it arrived by.
    pub transport: Transport,
    /// Our address it arrived at.
    pub local: SocketAddr,
    /// Address it came from.
    pub source: SocketAddr,
    /// Connection it arrived on; `None` for UDP.
    pub flow: Option<FlowId>,
    /// The whole message.
    pub bytes: Bytes,
}

impl Received {
    /// A datagram.
    pub fn udp(local: SocketAddr, source: SocketAddr, bytes: Bytes) -> Received {
        Received {
            transport: Transport::Udp,
            local,
            source,
            flow: None,
            bytes,
        }
    }
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
        /// Credentials are never part of a snapshot.
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

/// A dialog, or an attempt at one, as plain data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DialogSnapshot {
    /// An outgoing INVITE without a final response. Importing it ends it: CANCEL leaves at once for CSeq 1 and 2.
    Inviting(InviteSnapshot),
    /// A confirmed dialog. Importing it goes on with it.
    Confirmed(ConfirmedSnapshot),
}

impl DialogSnapshot {
    /// The handle it had and will have again.
    pub fn handle(&self) -> DialogHandle {
        match self {
            DialogSnapshot::Inviting(s) => s.handle,
            DialogSnapshot::Confirmed(s) => s.handle,
        }
    }
}

/// What is needed to CANCEL an INVITE after a restart, absorb its 487, or end a call that is answered in between. All of
/// it is known before the INVITE leaves: see [`Invite::snapshot`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InviteSnapshot {
    /// The call.
    pub handle: DialogHandle,
    /// Call-ID.
    pub call_id: String,
    /// Our tag.
    pub local_tag: String,
    /// See [`Invite::branch_stem`].
    pub branch_stem: String,
    /// Request-URI.
    pub request_uri: String,
    /// Callee.
    pub to: Party,
    /// Caller.
    pub from: Party,
    /// First hop.
    pub destination: Target,
    /// Local address it was sent from; `None` for the default interface.
    pub local: Option<SocketAddr>,
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

/// A confirmed dialog (RFC 3261 §12), enough to send and to answer requests inside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfirmedSnapshot {
    /// The dialog's name in commands and events.
    pub handle: DialogHandle,
    /// True if the far side sent the first INVITE.
    pub incoming: bool,
    /// Call-ID.
    pub call_id: String,
    /// Our tag.
    pub local_tag: String,
    /// Their tag; empty if they sent none (RFC 2543 peers).
    pub remote_tag: String,
    /// Our From or To value without the tag.
    pub local_party: String,
    /// Their To or From value without the tag.
    pub remote_party: String,
    /// CSeq of our newest request. A stale snapshot is harmless: importing adds [`ConfirmedSnapshot::CSEQ_MARGIN`].
    pub local_seq: u32,
    /// CSeq of their newest request.
    pub remote_seq: Option<u32>,
    /// Where their Contact points.
    pub remote_target: String,
    /// Route set in the order in which it is written.
    pub route_set: Vec<String>,
    /// Address that requests go to when the URIs name no literal address.
    pub peer: Target,
    /// Local address of the dialog.
    pub local: SocketAddr,
    /// See [`Invite::branch_stem`].
    pub branch_stem: String,
}

impl ConfirmedSnapshot {
    /// Added to `local_seq` on import, because requests may have left after the snapshot was taken and CSeq must grow.
    pub const CSEQ_MARGIN: u32 = 1000;
}

/// Something for the caller to carry out.
#[derive(Debug, Clone)]
pub enum Output {
    /// Put this on the wire.
    Send {
        /// Where to, and by which protocol.
        target: Target,
        /// The interface to send from.
        local: SocketAddr,
        /// One whole message.
        bytes: Bytes,
    },
    /// Tell the owner of the handle.
    Event {
        /// Whom it concerns.
        handle: DialogHandle,
        /// What happened.
        event: SipEvent,
    },
}

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

/// Whether new calls are taken in; see [`Stack::set_overload`](crate::Stack::set_overload).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overload {
    /// Every call is taken in.
    #[default]
    Accept,
    /// New INVITEs outside a dialog get 503 with Retry-After before any state exists; all else goes on.
    Refuse {
        /// Seconds in Retry-After.
        retry_after: u32,
    },
}

/// Sizes and counters, for metrics and for tests that nothing leaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StackStats {
    /// Calls and dialogs held.
    pub dialogs: usize,
    /// Transactions held, those that only absorb repetitions included.
    pub transactions: usize,
    /// Entries of the indexes by which messages find both; several a call.
    pub index_entries: usize,
    /// Datagrams that were dropped because nothing could be answered.
    pub dropped: u64,
    /// Messages repeated by timers.
    pub retransmitted: u64,
    /// Repeated messages received and absorbed.
    pub absorbed: u64,
    /// New calls refused with 503.
    pub refused: u64,
}
