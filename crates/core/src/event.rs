//! Domain events: the one truth that call records, pushes, boards and reports are folded from.
//!
//! An event is accepted when the journal has committed it. Events of a conversation are numbered from 1 without gaps.

use crate::cause::{By, Cause, Role};
use crate::centre::acd::Left;
use crate::centre::agent::{Engagement, Part};
use crate::id::{
    AccountId, AgentId, ApplicationId, CallbackId, ConversationId, DeviceId, LegSeq, QueueId, TenantId, TrunkId,
};
use crate::project::Subscription;
use crate::route::rules::Looked;
use crate::time::Stamp;

/// One committed fact of a conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The conversation that the fact belongs to.
    pub conversation: ConversationId,
    /// Position in the conversation, from 1.
    pub seq: u32,
    /// When it happened, by the conversation's clock.
    pub at: Stamp,
    /// What happened.
    pub fact: Fact,
}

/// Where the rules of a number sent a call, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routed {
    /// The plan's name.
    pub plan: String,
    /// The rule that decided; `None` if none held.
    pub rule: Option<String>,
    /// Kind and name of where the call went, such as `queue sales`.
    pub to: String,
    /// The tenant's server was asked: true if it answered, false if the default was taken.
    pub asked: Option<bool>,
    /// The rules that were looked at, the deciding one last.
    pub looked: Vec<Looked>,
}

/// What can happen to a conversation.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// The conversation was accepted. Always the first event.
    Created(Box<Created>),
    /// A leg was created: dialling begins, or an INVITE came in.
    LegCreated {
        /// The leg.
        leg: LegSeq,
        /// Its part in the conversation.
        role: Role,
        /// Outgoing or incoming, as seen by the platform.
        direction: Direction,
        /// The calling number that the far side sees, as submitted.
        from: String,
        /// The called number, as submitted.
        to: String,
    },
    /// An INVITE is about to leave over a trunk or to a device. Committed before it leaves, so that a restarted
    /// process can cancel it.
    LegAttempt {
        /// The leg.
        leg: LegSeq,
        /// The trunk or device it goes to.
        via: Via,
        /// The dialog as far as it is known.
        dialog: Box<DialogRef>,
    },
    /// One attempt failed and another follows; the leg goes on.
    LegAttemptFailed {
        /// The leg.
        leg: LegSeq,
        /// The trunk or device that failed.
        via: Via,
        /// The SIP status, 0 if nothing came back.
        status: u16,
        /// Call-ID of the attempt's dialog: several attempts of a leg may run at once. Empty in logs of the first
        /// version, where one followed the other.
        call_id: String,
    },
    /// A device sent the call on to somebody else (RFC 3261 §8.1.3.4); the leg goes on there.
    LegDiverted {
        /// The leg.
        leg: LegSeq,
        /// The device that diverted.
        via: Via,
        /// Its SIP status, 300-399.
        status: u16,
        /// The URI that it named.
        to: String,
    },
    /// The far side alerts: the first 180 or 183.
    LegRinging {
        /// The leg.
        leg: LegSeq,
    },
    /// The far side answered.
    LegAnswered {
        /// The leg.
        leg: LegSeq,
        /// The confirmed dialog: enough to end it after a restart.
        dialog: Option<Box<DialogRef>>,
    },
    /// The leg was joined to at least one other party, both ways.
    LegBridged {
        /// The leg.
        leg: LegSeq,
    },
    /// The leg left the bridge and stays.
    LegUnbridged {
        /// The leg.
        leg: LegSeq,
    },
    /// The leg's device put us on hold.
    LegHeld {
        /// The leg.
        leg: LegSeq,
    },
    /// The leg's device took us back.
    LegRetrieved {
        /// The leg.
        leg: LegSeq,
    },
    /// A party hands its talk over: this leg is called to take its place (RFC 3515).
    LegTransferring {
        /// The new leg.
        leg: LegSeq,
        /// The leg that asked for it.
        by: LegSeq,
        /// The new leg takes the place of a call that the party already has with its target (RFC 3891).
        attended: bool,
    },
    /// The transfer is done: the leg has the place of the one that asked for it.
    LegTransferred {
        /// The new leg.
        leg: LegSeq,
        /// The leg that asked for it.
        by: LegSeq,
    },
    /// The transfer failed; the talk goes on as before while both its parties are there.
    LegTransferFailed {
        /// The leg that was called.
        leg: LegSeq,
        /// The leg that asked for it.
        by: LegSeq,
        /// The SIP status that it was told.
        status: u16,
    },
    /// Another leg took the place of this one (RFC 3891).
    LegReplaced {
        /// The leg that lost its place.
        leg: LegSeq,
        /// The leg that has it now.
        with: LegSeq,
    },
    /// The leg is over. Nothing about it follows except late quality figures.
    LegEnded {
        /// The leg.
        leg: LegSeq,
        /// When talk or dialling stopped: the moment a BYE, CANCEL or final response was sent or received. The event
        /// itself may be up to 2 s later, when the far side has confirmed.
        stopped_at: Stamp,
        /// Why.
        cause: Cause,
        /// Who.
        by: By,
        /// Final SIP status, 0 if there was none.
        sip_status: u16,
        /// Q.850 cause that came with it, 0 if none.
        q850: u8,
    },
    /// A digit was pressed. Digits that the flow does not ask to keep are masked before they become an event.
    Digit {
        /// The leg that pressed.
        leg: LegSeq,
        /// `0-9 * # A-D`, or `x` for a masked one.
        digit: char,
    },
    /// A recording was started.
    RecordingStarted {
        /// The recording's number in the conversation, from 0.
        recording: u16,
    },
    /// The recording waits from now on: a caller reads out what must not be kept.
    RecordingPaused {
        /// The recording's number.
        recording: u16,
        /// The file holds silence for the time; otherwise it leaves the time out.
        masked: bool,
    },
    /// The recording goes on.
    RecordingResumed {
        /// The recording's number.
        recording: u16,
    },
    /// The recording's file is complete and can be fetched.
    RecordingFinished {
        /// The recording's number.
        recording: u16,
        /// Stable, unguessable name under which the file is served.
        name: String,
        /// Length of the file.
        millis: u64,
        /// Size of the file in bytes.
        bytes: u64,
        /// SHA-256 of the file, hexadecimal, empty if it was not computed.
        checksum: String,
    },
    /// The recording is lost.
    RecordingFailed {
        /// The recording's number.
        recording: u16,
        /// What went wrong, for the operator.
        reason: String,
    },
    /// Media figures of a leg, known when its media was released.
    LegQuality {
        /// The leg.
        leg: LegSeq,
        /// The figures.
        quality: Quality,
    },
    /// Who has answered, as far as its sound tells. Once for each leg, and once more when a fax tone is heard later.
    LegAnsweredBy {
        /// The leg.
        leg: LegSeq,
        /// Who.
        who: AnsweredBy,
        /// How sure that is: 0-100.
        confidence: u8,
    },
    /// One side of a leg hears nothing, and this is why. At most once for each cause and leg.
    LegOneWay {
        /// The leg.
        leg: LegSeq,
        /// The likely cause.
        cause: OneWay,
    },
    /// The rules of a number decided where the call goes.
    Routed(Box<Routed>),
    /// The caller came to a node of a flow.
    FlowEntered {
        /// The flow.
        flow: String,
        /// The node.
        node: String,
    },
    /// The caller pressed a key of a menu.
    FlowKey {
        /// The key.
        key: char,
        /// What it means there.
        label: String,
    },
    /// A value goes with the call.
    Attached {
        /// Its name.
        name: String,
        /// The value; stars for a secret.
        value: String,
    },
    /// The caller answered a question of a survey.
    Scored {
        /// What it is filed under.
        name: String,
        /// The score.
        score: i16,
    },
    /// The caller leaves a message: the recording is it.
    Message {
        /// Whose it is: a queue or an agent, as the flow or the rule names it.
        mailbox: String,
        /// The recording's number.
        recording: u16,
    },
    /// The caller waits in a queue from now on.
    Queued {
        /// Which.
        queue: QueueId,
        /// Its priority; `None` is the queue's.
        priority: Option<u8>,
        /// Before all that wait.
        front: bool,
    },
    /// The caller waits there no more.
    Unqueued {
        /// Which.
        queue: QueueId,
        /// How it left.
        left: Left,
    },
    /// The caller is called back later; or, in a conversation that calls a customer back, where that was asked for.
    CalledBack {
        /// The request.
        request: CallbackId,
        /// The conversation that it was asked for in; `None` in that one.
        first: Option<ConversationId>,
    },
    /// An agent takes part, or is asked to: a leg of it is called, or called in.
    PartBegan {
        /// The participation's number in the conversation, from 0.
        part: u16,
        /// Who.
        agent: AgentId,
        /// Its leg.
        leg: LegSeq,
        /// How it came to that.
        kind: Part,
        /// The queue that it was offered from.
        queue: Option<QueueId>,
    },
    /// How the conversation looks from the agent's side has changed.
    PartEngaged {
        /// The participation.
        part: u16,
        /// How it looks now.
        engagement: Engagement,
    },
    /// The participation is over.
    PartEnded {
        /// Which.
        part: u16,
        /// How it ended.
        outcome: Outcome,
    },
    /// An agent's after-call work for this conversation is over. May follow the end of the conversation.
    WrappedUp {
        /// Who; its newest part in the conversation.
        agent: AgentId,
        /// How long it took, in milliseconds.
        ms: u64,
    },
    /// Somebody wrote down what came of the conversation. May follow its end; the newest one counts.
    Disposed {
        /// The agent that wrote it; `None` for a supervisor or a program.
        agent: Option<AgentId>,
        /// The tenant's own code of it, such as `sold`.
        code: String,
        /// In words; may be empty.
        note: String,
    },
    /// The conversation is being taken down; its cause and originator are fixed now.
    Ending {
        /// Why.
        cause: Cause,
        /// Who.
        by: By,
    },
    /// The last leg ended: the call record is closed.
    Ended,
    /// Time is up for waiting on a recording: the record is published without its link.
    RecordDue,
}

impl Fact {
    /// The Call-ID of the SIP dialog that it tells of.
    pub fn call_id(&self) -> Option<&str> {
        let dialog = match self {
            Fact::LegAttempt { dialog, .. } => Some(dialog),
            Fact::LegAnswered { dialog, .. } => dialog.as_ref(),
            Fact::LegAttemptFailed { call_id, .. } => return Some(call_id),
            _ => None,
        };
        dialog.map(|d| d.call_id.as_str())
    }

    /// The stable name of the kind, as journalled and counted.
    pub const fn kind(&self) -> &'static str {
        match self {
            Fact::Created(_) => "conversation.created",
            Fact::LegCreated { .. } => "leg.created",
            Fact::LegAttempt { .. } => "leg.attempt",
            Fact::LegAttemptFailed { .. } => "leg.attempt-failed",
            Fact::LegRinging { .. } => "leg.ringing",
            Fact::LegAnswered { .. } => "leg.answered",
            Fact::LegBridged { .. } => "leg.bridged",
            Fact::LegUnbridged { .. } => "leg.unbridged",
            Fact::LegHeld { .. } => "leg.held",
            Fact::LegRetrieved { .. } => "leg.retrieved",
            Fact::LegDiverted { .. } => "leg.diverted",
            Fact::LegTransferring { .. } => "leg.transferring",
            Fact::LegTransferred { .. } => "leg.transferred",
            Fact::LegTransferFailed { .. } => "leg.transfer-failed",
            Fact::LegReplaced { .. } => "leg.replaced",
            Fact::LegEnded { .. } => "leg.ended",
            Fact::Digit { .. } => "media.digit",
            Fact::RecordingStarted { .. } => "recording.started",
            Fact::RecordingPaused { .. } => "recording.paused",
            Fact::RecordingResumed { .. } => "recording.resumed",
            Fact::RecordingFinished { .. } => "recording.finished",
            Fact::RecordingFailed { .. } => "recording.failed",
            Fact::LegQuality { .. } => "leg.quality",
            Fact::LegAnsweredBy { .. } => "leg.answered-by",
            Fact::LegOneWay { .. } => "leg.one-way",
            Fact::Routed(_) => "call.routed",
            Fact::FlowEntered { .. } => "flow.entered",
            Fact::FlowKey { .. } => "flow.key",
            Fact::Attached { .. } => "flow.attached",
            Fact::Scored { .. } => "survey.scored",
            Fact::Message { .. } => "message.left",
            Fact::Queued { .. } => "queue.entered",
            Fact::Unqueued { .. } => "queue.left",
            Fact::CalledBack { .. } => "callback.asked",
            Fact::PartBegan { .. } => "part.began",
            Fact::PartEngaged { .. } => "part.engaged",
            Fact::PartEnded { .. } => "part.ended",
            Fact::WrappedUp { .. } => "part.wrapped-up",
            Fact::Disposed { .. } => "call.disposed",
            Fact::Ending { .. } => "conversation.ending",
            Fact::Ended => "conversation.ended",
            Fact::RecordDue => "record.due",
        }
    }
}

/// The head of a conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct Created {
    /// Owner.
    pub tenant: TenantId,
    /// The application that it was made for.
    pub application: ApplicationId,
    /// The API principal that asked for it; `None` for an incoming call.
    pub account: Option<AccountId>,
    /// What kind of conversation it is.
    pub kind: Kind,
    /// The calling number as submitted or received.
    pub ani: String,
    /// The called number as submitted or received.
    pub dnis: String,
    /// The integrator's data, given back in pushes and records.
    pub user_data: String,
    /// Seconds from the answer of the second party to the forced end; `None` is no limit.
    pub max_duration: Option<u32>,
    /// Recording mode.
    pub record: RecordMode,
    /// Who is told about it.
    pub subscriptions: Vec<Subscription>,
}

/// Kinds of conversations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The platform dials one party, then the other.
    ClickToCall,
    /// A call that came in over a trunk and was sent on by a static route.
    Inbound,
    /// A call that a device of the tenant made to a number over the trunks.
    Outbound,
    /// A call that a device of the tenant made to another device, or to a number of its own tenant.
    Internal,
    /// An agent is called, and then the customer that has asked to be called back.
    Callback,
    /// The platform dials one party and plays a program.
    Notice,
    /// The platform dials one party and speaks a verification code.
    Captcha,
}

/// When recording starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum RecordMode {
    /// Never.
    #[default]
    None,
    /// When the second party rings.
    FromRinging,
    /// When the second party answers.
    FromAnswer,
}

/// Which side opened a leg, as seen by the platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The platform called.
    Outgoing,
    /// The platform was called.
    Incoming,
}

/// What carries a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Via {
    /// A trunk.
    Trunk(TrunkId),
    /// A device of the tenant.
    Device(DeviceId),
    /// The platform itself: one conversation calls another one, to take the place of a leg of it.
    Platform,
}

/// A SIP dialog as data: what a restarted process needs to cancel or end it (RFC 3261 §9.1, §12).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct DialogRef {
    /// Call-ID.
    pub call_id: String,
    /// Our tag.
    pub local_tag: String,
    /// The far side's tag; empty before a response carried one.
    pub remote_tag: String,
    /// Our From or To header value without the tag, as sent in requests of ours.
    pub local_uri: String,
    /// The far side's header value without the tag.
    pub remote_uri: String,
    /// Request-URI of the INVITE, or the remote target of the confirmed dialog.
    pub target: String,
    /// Route set in order of traversal; empty before the answer.
    pub routes: Vec<String>,
    /// The last CSeq number that we used; for an unanswered INVITE that of the INVITE.
    pub local_cseq: u32,
    /// The last CSeq number that the far side used, 0 if none.
    pub remote_cseq: u32,
    /// Stem of our Via branches: the branch of request n is computed from it.
    pub branch_stem: String,
    /// Where requests go, `udp:host:port`.
    pub destination: String,
    /// True if we sent the INVITE.
    pub outgoing: bool,
}

/// How an agent's part in a conversation ended (domain-model §5.4). Exactly one for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The talk ended.
    Ended,
    /// It handed the call over.
    Transferred,
    /// It was dropped from a conference or a consultation.
    Dropped,
    /// It did not answer in time.
    Expired,
    /// It refused.
    Rejected,
    /// Its device could not be reached.
    Unreachable,
    /// The offer was not wanted any more.
    Withdrawn,
    /// Its connection was lost.
    Lost,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Outcome; 8] = [
        Outcome::Ended,
        Outcome::Transferred,
        Outcome::Dropped,
        Outcome::Expired,
        Outcome::Rejected,
        Outcome::Unreachable,
        Outcome::Withdrawn,
        Outcome::Lost,
    ];

    /// As journalled and shown.
    pub const fn name(self) -> &'static str {
        match self {
            Outcome::Ended => "ended",
            Outcome::Transferred => "transferred",
            Outcome::Dropped => "dropped",
            Outcome::Expired => "expired",
            Outcome::Rejected => "rejected",
            Outcome::Unreachable => "unreachable",
            Outcome::Withdrawn => "withdrawn",
            Outcome::Lost => "lost",
        }
    }

    /// Of a name.
    pub fn of_name(name: &str) -> Option<Outcome> {
        Outcome::ALL.into_iter().find(|o| o.name() == name)
    }
}

/// What the media engine measured on a leg, as the platform received it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Quality {
    /// RTP packets received.
    pub packets_in: u64,
    /// RTP packets sent.
    pub packets_out: u64,
    /// Packets that should have come and did not.
    pub lost: u64,
    /// Packets that the far side missed, by its last report; 0 if it made none.
    pub lost_out: u32,
    /// Interarrival jitter in microseconds (RFC 3550 A.8).
    pub jitter_us: u32,
    /// The highest jitter that the far side reported, in microseconds.
    pub far_jitter_us: u32,
    /// Round-trip time in microseconds by RTCP, 0 if unknown.
    pub round_trip_us: u32,
    /// How the far side sounded to us.
    pub mos_in: Score,
    /// How we sounded to the far side, as far as it reported.
    pub mos_out: Score,
    /// Of its pictures.
    pub video: VideoQuality,
}

/// What the media engine counted of a leg's video; all 0 for a leg without pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct VideoQuality {
    /// RTP packets received, repetitions left out.
    pub packets_in: u64,
    /// RTP packets sent, repetitions left out.
    pub packets_out: u64,
    /// Packets that should have come and did not.
    pub lost: u64,
    /// Key frames that its party was asked for.
    pub asked: u32,
    /// Key frames that its party asked for.
    pub wanted: u32,
}

impl VideoQuality {
    /// True if there were no pictures.
    pub fn is_none(&self) -> bool {
        *self == VideoQuality::default()
    }
}

/// Mean opinion scores of one direction over intervals of a few seconds, in hundredths (100-450); 0 if unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Score {
    /// The mean of all intervals.
    pub mean: u16,
    /// The worst interval.
    pub worst: u16,
}

impl Score {
    /// True if nothing was scored.
    pub fn is_unknown(&self) -> bool {
        *self == Score::default()
    }
}

/// Who has answered a call of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AnsweredBy {
    /// A person.
    Human,
    /// An answering machine or an announcement.
    Machine,
    /// A fax machine or a modem.
    Fax,
    /// It could not be told.
    Unknown,
}

impl AnsweredBy {
    /// All of them.
    pub const ALL: [AnsweredBy; 4] = [
        AnsweredBy::Human,
        AnsweredBy::Machine,
        AnsweredBy::Fax,
        AnsweredBy::Unknown,
    ];

    /// The stable name, as journalled and shown.
    pub const fn name(self) -> &'static str {
        match self {
            AnsweredBy::Human => "human",
            AnsweredBy::Machine => "machine",
            AnsweredBy::Fax => "fax",
            AnsweredBy::Unknown => "unknown",
        }
    }

    /// Of a name.
    pub fn of_name(name: &str) -> Option<AnsweredBy> {
        AnsweredBy::ALL.into_iter().find(|a| a.name() == name)
    }
}

/// Why one side of a leg hears nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OneWay {
    /// The browser and the platform found no path to each other.
    IceFailed,
    /// Packets come from an address that was not agreed on.
    WrongSource,
    /// Packets come with a payload type that was not negotiated.
    CodecMismatch,
    /// Nothing comes.
    NothingIn,
    /// Nothing can be sent.
    NothingOut,
    /// Packets come and are silent.
    Muted,
}

impl OneWay {
    /// All causes.
    pub const ALL: [OneWay; 6] = [
        OneWay::IceFailed,
        OneWay::WrongSource,
        OneWay::CodecMismatch,
        OneWay::NothingIn,
        OneWay::NothingOut,
        OneWay::Muted,
    ];

    /// The stable name, as journalled, shown and counted.
    pub const fn name(self) -> &'static str {
        match self {
            OneWay::IceFailed => "ice-failed",
            OneWay::WrongSource => "wrong-source",
            OneWay::CodecMismatch => "codec-mismatch",
            OneWay::NothingIn => "nothing-in",
            OneWay::NothingOut => "nothing-out",
            OneWay::Muted => "muted",
        }
    }

    /// The cause of this name.
    pub fn from_name(name: &str) -> Option<OneWay> {
        OneWay::ALL.into_iter().find(|c| c.name() == name)
    }

    /// What it means and what to do, for people.
    pub const fn advice(self) -> &'static str {
        match self {
            OneWay::IceFailed => "no path to the browser: open the media ports, or give browsers a TURN server",
            OneWay::WrongSource => {
                "audio comes from an address that was not agreed on: a NAT or the description names a wrong address"
            }
            OneWay::CodecMismatch => "audio comes in a codec that was not agreed on: look at the far side's codecs",
            OneWay::NothingIn => "no audio comes: a firewall or NAT on the way, or a far side that does not send",
            OneWay::NothingOut => "no audio can be sent: look at the network and the address of the media ports",
            OneWay::Muted => "the audio that comes is silent: the microphone is muted or not connected",
        }
    }
}
