//! `ArtcCdrReport`: the record of a point-to-point call, as a pure function of the call record (aliyun-rtc 6.2).

use crate::ids::channel_id;
use serde_json::{Value, json};
use strowger_core::event::Direction;
use strowger_core::record::LegRecord;
use strowger_core::{ConversationRecord, Stamp};

/// What the ends of a call are, for `alicomRtcType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RtcType {
    /// Client to client.
    Voip2Voip,
    /// Client to client, with pictures.
    Video2Video,
    /// Client to telephone.
    Voip2Pstn,
    /// Telephone to client.
    Pstn2Voip,
    /// Telephone to telephone: a call that was sent on.
    PstnTransfer,
}

impl RtcType {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            RtcType::Voip2Voip => "voip2voip",
            RtcType::Video2Video => "video2video",
            RtcType::Voip2Pstn => "voip2pstn",
            RtcType::Pstn2Voip => "pstn2voip",
            RtcType::PstnTransfer => "pstn_transfer",
        }
    }
}

/// `YYYY-MM-DD HH:mm:ss`; `offset` is in minutes from UTC.
fn time(at: Stamp, offset: i32) -> String {
    let c = at.civil(offset);
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
        c.year, c.month, c.day, c.hour, c.minute, c.second
    )
}

/// Start, end and length of a leg's talk; empty, empty and `0` for one that was not answered.
fn talk(leg: Option<&LegRecord>, offset: i32) -> (String, String, String) {
    match leg.and_then(|l| Some((l.answer?, l.stop?, l.duration()))) {
        Some((start, end, secs)) => (time(start, offset), time(end, offset), secs.to_string()),
        None => (String::new(), String::new(), "0".to_owned()),
    }
}

fn info(leg: &LegRecord, offset: i32) -> Value {
    let (start, end, duration) = talk(Some(leg), offset);
    json!({ "caller": leg.from, "callee": leg.to, "startTime": start, "endTime": end, "duration": duration })
}

/// The report of a call that is over; `None` while it runs. `offset`: the tenant's zone, in minutes from UTC. `uuid`: the
/// caller's session.
///
/// There is one leg into the platform, and each that was dialled is listed in the order of dialling, answered or not. A call that
/// the platform began has its first leg in the place of the one that came in.
pub fn artc_cdr_report(record: &ConversationRecord, kind: RtcType, uuid: &str, offset: i32) -> Option<Value> {
    record.ended_at?;
    let came = record.legs.iter().find(|l| l.direction == Direction::Incoming);
    let came = came.or(record.legs.first());
    let mut dialled: Vec<&LegRecord> = record
        .legs
        .iter()
        .filter(|l| Some(l.seq) != came.map(|c| c.seq))
        .collect();
    dialled.sort_by_key(|l| (l.start, l.seq));
    let answered = dialled.iter().copied().find(|l| l.answer.is_some());
    let callee = answered.or(dialled.first().copied());
    let (start, end, duration) = talk(answered, offset);
    let out: Vec<Value> = dialled.iter().map(|l| info(l, offset)).collect();
    Some(json!({
        "channelId": channel_id(record.id),
        "uuid": uuid,
        "alicomRtcType": kind.name(),
        "caller": came.map_or(record.head.ani.as_str(), |l| l.from.as_str()),
        "callee": callee.map_or(record.head.dnis.as_str(), |l| l.to.as_str()),
        "startTime": start,
        "endTime": end,
        "duration": duration,
        "extend": record.head.user_data,
        "detail": { "callInInfo": came.map(|l| info(l, offset)), "callOutInfo": out },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use strowger_core::event::{Created, Kind, RecordMode};
    use strowger_core::{ApplicationId, By, Cause, ConversationId, Event, Fact, LegSeq, Role, TenantId};

    const ID: ConversationId = ConversationId(7 << 16);
    /// 2025-01-01 08:00:00 in UTC+8.
    const T0: Stamp = Stamp(1_735_689_600_000);

    fn record(facts: Vec<(u64, Fact)>) -> ConversationRecord {
        let created = Fact::Created(Box::new(Created {
            tenant: TenantId(1),
            application: ApplicationId(1),
            account: None,
            kind: Kind::Inbound,
            ani: "13800000001".into(),
            dnis: "01000000000".into(),
            user_data: "order 5".into(),
            max_duration: None,
            record: RecordMode::None,
            subscriptions: Vec::new(),
        }));
        let all = [(0, created)].into_iter().chain(facts);
        let mut events = (1..).zip(all).map(|(seq, (secs, fact))| Event {
            conversation: ID,
            seq,
            at: T0.plus_secs(secs),
            fact,
        });
        let mut record = ConversationRecord::open(&events.next().unwrap()).unwrap();
        events.for_each(|e| record.apply(&e).unwrap());
        record
    }

    fn leg(n: u16, direction: Direction, from: &str, to: &str) -> Fact {
        Fact::LegCreated {
            leg: LegSeq(n),
            role: if n == 0 { Role::Caller } else { Role::Callee },
            direction,
            from: from.into(),
            to: to.into(),
        }
    }

    fn ended(n: u16, secs: u64, cause: Cause) -> (u64, Fact) {
        let fact = Fact::LegEnded {
            leg: LegSeq(n),
            stopped_at: T0.plus_secs(secs),
            cause,
            by: By::Timer,
            sip_status: 0,
            q850: 0,
        };
        (secs, fact)
    }

    fn answered(n: u16) -> Fact {
        Fact::LegAnswered {
            leg: LegSeq(n),
            dialog: None,
        }
    }

    // accept: domain-model M21
    #[test]
    fn a_call_that_was_sent_on_has_one_leg_in_and_all_legs_out() {
        let caller = "13800000001";
        let out = Direction::Outgoing;
        let record = record(vec![
            (0, leg(0, Direction::Incoming, caller, "01000000000")),
            (1, leg(1, out, caller, "13900000001")),
            ended(1, 20, Cause::NoAnswer),
            (20, leg(2, out, caller, "13900000002")),
            (20, leg(3, out, caller, "13900000003")),
            (25, answered(3)),
            (25, answered(0)),
            ended(2, 25, Cause::AnsweredElsewhere),
            ended(3, 85, Cause::Normal),
            ended(0, 85, Cause::Normal),
            (85, Fact::Ended),
        ]);
        let report = artc_cdr_report(&record, RtcType::PstnTransfer, "u-1", 480).unwrap();
        let into = &report["detail"]["callInInfo"];
        assert_eq!((&into["caller"], &into["duration"]), (&json!(caller), &json!("60")));
        let out = report["detail"]["callOutInfo"].as_array().unwrap();
        let told: Vec<_> = out
            .iter()
            .map(|o| (o["callee"].as_str(), o["duration"].as_str()))
            .collect();
        assert_eq!(
            told,
            [
                (Some("13900000001"), Some("0")),
                (Some("13900000002"), Some("0")),
                (Some("13900000003"), Some("60")),
            ]
        );
        assert_eq!(out[0]["startTime"], "");
        assert_eq!(report["startTime"], "2025-01-01 08:00:25");
        assert_eq!(
            (&report["callee"], &report["alicomRtcType"]),
            (&json!("13900000003"), &json!("pstn_transfer"))
        );
        assert_eq!(
            (&report["extend"], &report["duration"]),
            (&json!("order 5"), &json!("60"))
        );
        assert_eq!(report["channelId"], channel_id(ID));
    }

    #[test]
    fn nobody_answered_and_nothing_is_told_before_the_end() {
        let mut facts = vec![
            (0, leg(0, Direction::Incoming, "13800000001", "01000000000")),
            (1, leg(1, Direction::Outgoing, "13800000001", "13900000001")),
        ];
        assert_eq!(
            artc_cdr_report(&record(facts.clone()), RtcType::Pstn2Voip, "", 480),
            None
        );
        facts.extend([ended(1, 20, Cause::NoAnswer), ended(0, 20, Cause::NoAnswer)]);
        facts.push((20, Fact::Ended));
        let report = artc_cdr_report(&record(facts), RtcType::Pstn2Voip, "", 480).unwrap();
        assert_eq!((&report["startTime"], &report["duration"]), (&json!(""), &json!("0")));
        assert_eq!(report["callee"], "13900000001", "the first that was dialled");
        assert_eq!(report["detail"]["callOutInfo"].as_array().map(Vec::len), Some(1));
    }
}
