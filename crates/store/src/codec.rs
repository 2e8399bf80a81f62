//! Event encoding, version 1: one JSON object an event, self-describing, with its own wire types.
//!
//! `{"v":1,"kind":"leg.ringing","seq":4,"at":1700000003000,"leg":1}`
//!
//! `v` is the version of the encoding of that kind, `at` is in milliseconds since 1970 UTC. Ids are 32 hexadecimal
//! digits, optional members are left out. A field that is added later gets a default here and needs no new version; a
//! change of meaning does: the older objects then pass through [`upcast`] before they are read.

mod centre;
mod moved;
mod names;
mod recording;

pub use names::kind_name;
use names::*;
pub(crate) use names::{topic_name, topic_of};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use strowger_core::event::{
    AnsweredBy, Created, DialogRef, Direction, Kind, OneWay, Quality, RecordMode, Score, Via, VideoQuality,
};
use strowger_core::project::{Subscription, Topic};
use strowger_core::{By, Cause, ConversationId, Event, Fact, LegSeq, Role, Stamp};

/// The version that is written.
pub const VERSION: u32 = 1;

/// An event that cannot be read back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not the JSON that an event is.
    #[error("not an event: {0}")]
    Json(String),
    /// Written by a newer version.
    #[error("event encoding {0} is newer than this version knows")]
    Newer(u32),
    /// A kind that this version does not know.
    #[error("unknown kind of event {0}")]
    Kind(String),
    /// A member with a value that it cannot have.
    #[error("member {0} has a value that this version does not know")]
    Value(&'static str),
}

type Text<'a> = Cow<'a, str>;

#[derive(Deserialize)]
struct Head<'a> {
    v: u32,
    #[serde(borrow)]
    kind: Text<'a>,
    seq: u32,
    at: i64,
}

#[derive(Serialize, Deserialize)]
struct NoFields {}

#[derive(Serialize, Deserialize)]
struct LegOnly {
    leg: u16,
}

#[derive(Serialize, Deserialize)]
struct CreatedV1<'a> {
    #[serde(borrow)]
    tenant: Text<'a>,
    application: Text<'a>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    account: Option<Text<'a>>,
    conversation_kind: Text<'a>,
    ani: Text<'a>,
    dnis: Text<'a>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    user_data: Text<'a>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_duration: Option<u32>,
    record: Text<'a>,
    #[serde(default)]
    subscriptions: Vec<SubscriptionV1<'a>>,
}

#[derive(Serialize, Deserialize)]
struct SubscriptionV1<'a> {
    #[serde(borrow)]
    topic: Text<'a>,
    url: Text<'a>,
    projector: Text<'a>,
    #[serde(default)]
    context: Vec<(Text<'a>, Text<'a>)>,
}

#[derive(Serialize, Deserialize)]
struct LegCreatedV1<'a> {
    leg: u16,
    #[serde(borrow)]
    role: Text<'a>,
    direction: Text<'a>,
    from: Text<'a>,
    to: Text<'a>,
}

#[derive(Serialize, Deserialize)]
struct AttemptV1<'a> {
    leg: u16,
    #[serde(borrow)]
    via: Text<'a>,
    dialog: DialogV1<'a>,
}

#[derive(Serialize, Deserialize)]
struct AttemptFailedV1<'a> {
    leg: u16,
    #[serde(borrow)]
    via: Text<'a>,
    status: u16,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    call_id: Text<'a>,
}

#[derive(Serialize, Deserialize)]
struct AnsweredV1<'a> {
    leg: u16,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    dialog: Option<DialogV1<'a>>,
}

#[derive(Serialize, Deserialize)]
struct DialogV1<'a> {
    #[serde(borrow)]
    call_id: Text<'a>,
    local_tag: Text<'a>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    remote_tag: Text<'a>,
    local_uri: Text<'a>,
    remote_uri: Text<'a>,
    target: Text<'a>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    routes: Vec<Text<'a>>,
    local_cseq: u32,
    #[serde(default)]
    remote_cseq: u32,
    branch_stem: Text<'a>,
    destination: Text<'a>,
    outgoing: bool,
}

#[derive(Serialize, Deserialize)]
struct EndedV1<'a> {
    leg: u16,
    stopped_at: i64,
    #[serde(borrow)]
    cause: Text<'a>,
    by: Text<'a>,
    #[serde(default)]
    sip_status: u16,
    #[serde(default)]
    q850: u8,
}

#[derive(Serialize, Deserialize)]
struct DigitV1 {
    leg: u16,
    digit: char,
}

#[derive(Serialize, Deserialize)]
struct QualityV1 {
    leg: u16,
    packets_in: u64,
    packets_out: u64,
    lost: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    lost_out: u32,
    jitter_us: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    far_jitter_us: u32,
    round_trip_us: u32,
    #[serde(default, skip_serializing_if = "Score::is_unknown", with = "score")]
    mos_in: Score,
    #[serde(default, skip_serializing_if = "Score::is_unknown", with = "score")]
    mos_out: Score,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    video: Option<VideoV1>,
}

#[derive(Serialize, Deserialize)]
struct VideoV1 {
    packets_in: u64,
    packets_out: u64,
    lost: u64,
    asked: u32,
    wanted: u32,
}

impl VideoV1 {
    fn of(v: &VideoQuality) -> Option<VideoV1> {
        (!v.is_none()).then_some(VideoV1 {
            packets_in: v.packets_in,
            packets_out: v.packets_out,
            lost: v.lost,
            asked: v.asked,
            wanted: v.wanted,
        })
    }

    fn into_core(self) -> VideoQuality {
        VideoQuality {
            packets_in: self.packets_in,
            packets_out: self.packets_out,
            lost: self.lost,
            asked: self.asked,
            wanted: self.wanted,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// A score as `[mean, worst]`.
mod score {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use strowger_core::event::Score;

    pub fn serialize<S: Serializer>(score: &Score, out: S) -> Result<S::Ok, S::Error> {
        [score.mean, score.worst].serialize(out)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Score, D::Error> {
        let [mean, worst] = Deserialize::deserialize(from)?;
        Ok(Score { mean, worst })
    }
}

#[derive(Serialize, Deserialize)]
struct OneWayV1<'a> {
    leg: u16,
    #[serde(borrow)]
    cause: Text<'a>,
}

#[derive(Serialize, Deserialize)]
struct AnsweredByV1<'a> {
    leg: u16,
    #[serde(borrow)]
    who: Text<'a>,
    confidence: u8,
}

#[derive(Serialize, Deserialize)]
struct EndingV1<'a> {
    #[serde(borrow)]
    cause: Text<'a>,
    by: Text<'a>,
}

fn text(t: &str) -> Text<'_> {
    Cow::Borrowed(t)
}

impl<'a> DialogV1<'a> {
    fn of(d: &'a DialogRef) -> DialogV1<'a> {
        DialogV1 {
            call_id: text(&d.call_id),
            local_tag: text(&d.local_tag),
            remote_tag: text(&d.remote_tag),
            local_uri: text(&d.local_uri),
            remote_uri: text(&d.remote_uri),
            target: text(&d.target),
            routes: d.routes.iter().map(|r| text(r)).collect(),
            local_cseq: d.local_cseq,
            remote_cseq: d.remote_cseq,
            branch_stem: text(&d.branch_stem),
            destination: text(&d.destination),
            outgoing: d.outgoing,
        }
    }

    fn into_core(self) -> Box<DialogRef> {
        Box::new(DialogRef {
            call_id: self.call_id.into_owned(),
            local_tag: self.local_tag.into_owned(),
            remote_tag: self.remote_tag.into_owned(),
            local_uri: self.local_uri.into_owned(),
            remote_uri: self.remote_uri.into_owned(),
            target: self.target.into_owned(),
            routes: self.routes.into_iter().map(Cow::into_owned).collect(),
            local_cseq: self.local_cseq,
            remote_cseq: self.remote_cseq,
            branch_stem: self.branch_stem.into_owned(),
            destination: self.destination.into_owned(),
            outgoing: self.outgoing,
        })
    }
}

impl<'a> CreatedV1<'a> {
    fn of(c: &'a Created) -> CreatedV1<'a> {
        CreatedV1 {
            tenant: c.tenant.to_string().into(),
            application: c.application.to_string().into(),
            account: c.account.map(|a| a.to_string().into()),
            conversation_kind: text(kind_name(c.kind)),
            ani: text(&c.ani),
            dnis: text(&c.dnis),
            user_data: text(&c.user_data),
            max_duration: c.max_duration,
            record: text(record_name(c.record)),
            subscriptions: c
                .subscriptions
                .iter()
                .map(|s| SubscriptionV1 {
                    topic: text(topic_name(s.topic)),
                    url: text(&s.url),
                    projector: text(&s.projector),
                    context: s.context.iter().map(|(k, v)| (text(k), text(v))).collect(),
                })
                .collect(),
        }
    }

    fn into_core(self) -> Result<Box<Created>, DecodeError> {
        let bad = |_| DecodeError::Value("id");
        let subscriptions = self.subscriptions.into_iter().map(|s| {
            Ok(Subscription {
                topic: topic_of(&s.topic)?,
                url: s.url.into_owned(),
                projector: s.projector.into_owned(),
                context: s
                    .context
                    .into_iter()
                    .map(|(k, v)| (k.into_owned(), v.into_owned()))
                    .collect(),
            })
        });
        Ok(Box::new(Created {
            tenant: self.tenant.parse().map_err(bad)?,
            application: self.application.parse().map_err(bad)?,
            account: self.account.map(|a| a.parse()).transpose().map_err(bad)?,
            kind: kind_of(&self.conversation_kind)?,
            ani: self.ani.into_owned(),
            dnis: self.dnis.into_owned(),
            user_data: self.user_data.into_owned(),
            max_duration: self.max_duration,
            record: record_of(&self.record)?,
            subscriptions: subscriptions.collect::<Result<_, DecodeError>>()?,
        }))
    }
}

/// Writes `payload`, an object, as the rest of the object that `out` has the head of.
fn rest(out: &mut Vec<u8>, payload: &impl Serialize) {
    let start = out.len();
    // Writing plain structs of strings and numbers into memory cannot fail.
    if serde_json::to_writer(&mut *out, payload).is_ok() {
        if out[start..] == *b"{}" {
            out.truncate(start);
            out.push(b'}');
        } else {
            out[start] = b',';
        }
    }
}

/// Appends a number in decimal digits, as the formatter would, in a tenth of its time: each event begins with three.
fn number(out: &mut Vec<u8>, number: i64) {
    let mut digits = [0; 20];
    let mut from = digits.len();
    let mut rest = number.unsigned_abs();
    loop {
        from -= 1;
        digits[from] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[from..]);
}

/// Appends the encoding of `event` to `out`.
pub fn encode(event: &Event, out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{"v":"#);
    number(out, i64::from(VERSION));
    out.extend_from_slice(br#","kind":""#);
    out.extend_from_slice(event.fact.kind().as_bytes());
    out.extend_from_slice(br#"","seq":"#);
    number(out, i64::from(event.seq));
    out.extend_from_slice(br#","at":"#);
    number(out, event.at.0);
    match &event.fact {
        Fact::Created(c) => rest(out, &CreatedV1::of(c)),
        Fact::LegCreated {
            leg,
            role,
            direction,
            from,
            to,
        } => rest(
            out,
            &LegCreatedV1 {
                leg: leg.0,
                role: text(role_name(*role)),
                direction: text(direction_name(*direction)),
                from: text(from),
                to: text(to),
            },
        ),
        Fact::LegAttempt { leg, via, dialog } => {
            rest(
                out,
                &AttemptV1 {
                    leg: leg.0,
                    via: via_name(*via),
                    dialog: DialogV1::of(dialog),
                },
            );
        }
        Fact::LegAttemptFailed {
            leg,
            via,
            status,
            call_id,
        } => rest(
            out,
            &AttemptFailedV1 {
                leg: leg.0,
                via: via_name(*via),
                status: *status,
                call_id: text(call_id),
            },
        ),
        Fact::LegDiverted { .. }
        | Fact::LegTransferring { .. }
        | Fact::LegTransferred { .. }
        | Fact::LegTransferFailed { .. }
        | Fact::LegReplaced { .. } => moved::encode(&event.fact, out),
        Fact::LegAnswered { leg, dialog } => {
            rest(
                out,
                &AnsweredV1 {
                    leg: leg.0,
                    dialog: dialog.as_deref().map(DialogV1::of),
                },
            );
        }
        Fact::LegRinging { leg }
        | Fact::LegBridged { leg }
        | Fact::LegUnbridged { leg }
        | Fact::LegHeld { leg }
        | Fact::LegRetrieved { leg } => rest(out, &LegOnly { leg: leg.0 }),
        Fact::LegEnded {
            leg,
            stopped_at,
            cause,
            by,
            sip_status,
            q850,
        } => rest(
            out,
            &EndedV1 {
                leg: leg.0,
                stopped_at: stopped_at.0,
                cause: text(cause.name()),
                by: by_name(*by),
                sip_status: *sip_status,
                q850: *q850,
            },
        ),
        Fact::Digit { leg, digit } => rest(
            out,
            &DigitV1 {
                leg: leg.0,
                digit: *digit,
            },
        ),
        Fact::RecordingStarted { .. }
        | Fact::RecordingPaused { .. }
        | Fact::RecordingResumed { .. }
        | Fact::RecordingFinished { .. }
        | Fact::RecordingFailed { .. } => recording::encode(&event.fact, out),
        Fact::FlowEntered { .. }
        | Fact::FlowKey { .. }
        | Fact::Attached { .. }
        | Fact::Scored { .. }
        | Fact::CalledBack { .. }
        | Fact::Message { .. }
        | Fact::Routed(_)
        | Fact::Disposed { .. }
        | Fact::WrappedUp { .. }
        | Fact::Queued { .. }
        | Fact::Unqueued { .. }
        | Fact::PartBegan { .. }
        | Fact::PartEngaged { .. }
        | Fact::PartEnded { .. } => centre::encode(&event.fact, out),
        Fact::LegQuality { leg, quality } => rest(
            out,
            &QualityV1 {
                leg: leg.0,
                packets_in: quality.packets_in,
                packets_out: quality.packets_out,
                lost: quality.lost,
                lost_out: quality.lost_out,
                jitter_us: quality.jitter_us,
                far_jitter_us: quality.far_jitter_us,
                round_trip_us: quality.round_trip_us,
                mos_in: quality.mos_in,
                mos_out: quality.mos_out,
                video: VideoV1::of(&quality.video),
            },
        ),
        Fact::LegAnsweredBy { leg, who, confidence } => rest(
            out,
            &AnsweredByV1 {
                leg: leg.0,
                who: text(who.name()),
                confidence: *confidence,
            },
        ),
        Fact::LegOneWay { leg, cause } => rest(
            out,
            &OneWayV1 {
                leg: leg.0,
                cause: text(cause.name()),
            },
        ),
        Fact::Ending { cause, by } => rest(
            out,
            &EndingV1 {
                cause: text(cause.name()),
                by: by_name(*by),
            },
        ),
        Fact::Ended | Fact::RecordDue => rest(out, &NoFields {}),
    }
}

/// Brings an object of an older version to the current one. There is no older version than 1 yet; each later version
/// adds one step here and leaves the steps before it alone.
fn upcast(version: u32, object: serde_json::Value) -> Result<serde_json::Value, DecodeError> {
    match version {
        VERSION => Ok(object),
        newer if newer > VERSION => Err(DecodeError::Newer(newer)),
        _ => Err(DecodeError::Value("v")),
    }
}

/// Reads one event of `conversation`.
pub fn decode(conversation: ConversationId, json: &str) -> Result<Event, DecodeError> {
    let head: Head = parse(json)?;
    if head.v != VERSION {
        let object = upcast(head.v, parse(json)?)?;
        return decode(conversation, &object.to_string());
    }
    Ok(Event {
        conversation,
        seq: head.seq,
        at: Stamp(head.at),
        fact: decode_fact(&head.kind, json)?,
    })
}

fn parse<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, DecodeError> {
    // The message names the member and the place, never the value: it may reach a log.
    serde_json::from_str(json)
        .map_err(|e| DecodeError::Json(format!("{:?} error at column {}", e.classify(), e.column())))
}

fn decode_fact(kind: &str, json: &str) -> Result<Fact, DecodeError> {
    let leg = || parse::<LegOnly>(json).map(|l| LegSeq(l.leg));
    Ok(match kind {
        "conversation.created" => Fact::Created(parse::<CreatedV1>(json)?.into_core()?),
        "leg.created" => {
            let f: LegCreatedV1 = parse(json)?;
            Fact::LegCreated {
                leg: LegSeq(f.leg),
                role: role_of(&f.role)?,
                direction: direction_of(&f.direction)?,
                from: f.from.into_owned(),
                to: f.to.into_owned(),
            }
        }
        "leg.attempt" => {
            let f: AttemptV1 = parse(json)?;
            Fact::LegAttempt {
                leg: LegSeq(f.leg),
                via: via_of(&f.via)?,
                dialog: f.dialog.into_core(),
            }
        }
        "leg.attempt-failed" => {
            let f: AttemptFailedV1 = parse(json)?;
            Fact::LegAttemptFailed {
                leg: LegSeq(f.leg),
                via: via_of(&f.via)?,
                status: f.status,
                call_id: f.call_id.into_owned(),
            }
        }
        "leg.ringing" => Fact::LegRinging { leg: leg()? },
        "leg.answered" => {
            let f: AnsweredV1 = parse(json)?;
            Fact::LegAnswered {
                leg: LegSeq(f.leg),
                dialog: f.dialog.map(DialogV1::into_core),
            }
        }
        "leg.bridged" => Fact::LegBridged { leg: leg()? },
        "leg.unbridged" => Fact::LegUnbridged { leg: leg()? },
        "leg.held" => Fact::LegHeld { leg: leg()? },
        "leg.retrieved" => Fact::LegRetrieved { leg: leg()? },
        "leg.ended" => {
            let f: EndedV1 = parse(json)?;
            Fact::LegEnded {
                leg: LegSeq(f.leg),
                stopped_at: Stamp(f.stopped_at),
                cause: cause_of(&f.cause)?,
                by: by_of(&f.by)?,
                sip_status: f.sip_status,
                q850: f.q850,
            }
        }
        "media.digit" => {
            let f: DigitV1 = parse(json)?;
            Fact::Digit {
                leg: LegSeq(f.leg),
                digit: f.digit,
            }
        }
        "leg.quality" => {
            let f: QualityV1 = parse(json)?;
            Fact::LegQuality {
                leg: LegSeq(f.leg),
                quality: Quality {
                    packets_in: f.packets_in,
                    packets_out: f.packets_out,
                    lost: f.lost,
                    lost_out: f.lost_out,
                    jitter_us: f.jitter_us,
                    far_jitter_us: f.far_jitter_us,
                    round_trip_us: f.round_trip_us,
                    mos_in: f.mos_in,
                    mos_out: f.mos_out,
                    video: f.video.map_or_else(VideoQuality::default, VideoV1::into_core),
                },
            }
        }
        "leg.answered-by" => {
            let f: AnsweredByV1 = parse(json)?;
            Fact::LegAnsweredBy {
                leg: LegSeq(f.leg),
                who: AnsweredBy::of_name(&f.who).ok_or(DecodeError::Value("who"))?,
                confidence: f.confidence,
            }
        }
        "leg.one-way" => {
            let f: OneWayV1 = parse(json)?;
            Fact::LegOneWay {
                leg: LegSeq(f.leg),
                cause: OneWay::from_name(&f.cause).ok_or(DecodeError::Value("cause"))?,
            }
        }
        "conversation.ending" => {
            let f: EndingV1 = parse(json)?;
            Fact::Ending {
                cause: cause_of(&f.cause)?,
                by: by_of(&f.by)?,
            }
        }
        "conversation.ended" => Fact::Ended,
        "record.due" => Fact::RecordDue,
        "leg.diverted" | "leg.transferring" | "leg.transferred" | "leg.transfer-failed" | "leg.replaced" => {
            moved::decode(kind, json)?
        }
        other => match centre::decode(other, json)? {
            Some(fact) => fact,
            None => recording::decode(other, json)?,
        },
    })
}

/// Appends the encoding of several events, a JSON array: what one append stores.
pub(crate) fn encode_frame(events: &[Event], out: &mut Vec<u8>) {
    out.push(b'[');
    for (i, e) in events.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        encode(e, out);
    }
    out.push(b']');
}

/// Reads what [`encode_frame`] wrote.
pub(crate) fn decode_frame(
    conversation: ConversationId,
    json: &[u8],
    events: &mut Vec<Event>,
) -> Result<(), DecodeError> {
    let json = std::str::from_utf8(json).map_err(|_| DecodeError::Json("not UTF-8".into()))?;
    let frame: Vec<&RawValue> = parse(json)?;
    for raw in frame {
        events.push(decode(conversation, raw.get())?);
    }
    Ok(())
}
