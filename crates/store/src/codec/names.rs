//! The texts of values that events name.

use super::*;

const ROLES: [(Role, &str); 7] = [
    (Role::Caller, "caller"),
    (Role::Callee, "callee"),
    (Role::Third, "third"),
    (Role::Customer, "customer"),
    (Role::Agent, "agent"),
    (Role::Supervisor, "supervisor"),
    (Role::Platform, "platform"),
];

pub(super) fn role_name(role: Role) -> &'static str {
    ROLES.iter().find(|(r, _)| *r == role).map_or("platform", |(_, n)| n)
}

pub(super) fn role_of(name: &str) -> Result<Role, DecodeError> {
    let found = ROLES.iter().find(|(_, n)| *n == name);
    found.map(|(r, _)| *r).ok_or(DecodeError::Value("role"))
}

pub(super) fn by_name(by: By) -> Text<'static> {
    Cow::Borrowed(match by {
        By::Party(leg, role) => return Cow::Owned(format!("party:{leg}:{}", role_name(role))),
        By::Supervisor => "supervisor",
        By::Api => "api",
        By::Timer => "timer",
        By::Network => "network",
        By::System => "system",
    })
}

pub(super) fn by_of(name: &str) -> Result<By, DecodeError> {
    Ok(match name {
        "supervisor" => By::Supervisor,
        "api" => By::Api,
        "timer" => By::Timer,
        "network" => By::Network,
        "system" => By::System,
        party => {
            let rest = party.strip_prefix("party:").ok_or(DecodeError::Value("by"))?;
            let (leg, role) = rest.split_once(':').ok_or(DecodeError::Value("by"))?;
            let leg = leg.parse().map_err(|_| DecodeError::Value("by"))?;
            By::Party(LegSeq(leg), role_of(role)?)
        }
    })
}

pub(super) fn via_name(via: Via) -> Text<'static> {
    Cow::Owned(match via {
        Via::Trunk(id) => format!("trunk:{id}"),
        Via::Device(id) => format!("device:{id}"),
        Via::Platform => return Cow::Borrowed("platform"),
    })
}

pub(super) fn via_of(name: &str) -> Result<Via, DecodeError> {
    let bad = DecodeError::Value("via");
    match name.split_once(':') {
        Some(("trunk", id)) => id.parse().map(Via::Trunk).map_err(|_| bad),
        Some(("device", id)) => id.parse().map(Via::Device).map_err(|_| bad),
        None if name == "platform" => Ok(Via::Platform),
        _ => Err(bad),
    }
}

pub(super) fn cause_of(name: &str) -> Result<Cause, DecodeError> {
    Cause::from_name(name).ok_or(DecodeError::Value("cause"))
}

/// The stable name of a topic.
pub(crate) const fn topic_name(topic: Topic) -> &'static str {
    match topic {
        Topic::Status => "status",
        Topic::CallRecord => "call-record",
        Topic::Event => "event",
    }
}

/// The topic with this name.
pub(crate) fn topic_of(name: &str) -> Result<Topic, DecodeError> {
    match name {
        "status" => Ok(Topic::Status),
        "call-record" => Ok(Topic::CallRecord),
        "event" => Ok(Topic::Event),
        _ => Err(DecodeError::Value("topic")),
    }
}

/// The stable name of a kind of conversation.
pub const fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::ClickToCall => "click-to-call",
        Kind::Inbound => "inbound",
        Kind::Outbound => "outbound",
        Kind::Internal => "internal",
        Kind::Notice => "notice",
        Kind::Captcha => "captcha",
        Kind::Callback => "callback",
    }
}

pub(super) fn kind_of(name: &str) -> Result<Kind, DecodeError> {
    match name {
        "click-to-call" => Ok(Kind::ClickToCall),
        "inbound" => Ok(Kind::Inbound),
        "outbound" => Ok(Kind::Outbound),
        "internal" => Ok(Kind::Internal),
        "notice" => Ok(Kind::Notice),
        "captcha" => Ok(Kind::Captcha),
        "callback" => Ok(Kind::Callback),
        _ => Err(DecodeError::Value("conversation_kind")),
    }
}

pub(super) const fn record_name(mode: RecordMode) -> &'static str {
    match mode {
        RecordMode::None => "none",
        RecordMode::FromRinging => "from-ringing",
        RecordMode::FromAnswer => "from-answer",
    }
}

pub(super) fn record_of(name: &str) -> Result<RecordMode, DecodeError> {
    match name {
        "none" => Ok(RecordMode::None),
        "from-ringing" => Ok(RecordMode::FromRinging),
        "from-answer" => Ok(RecordMode::FromAnswer),
        _ => Err(DecodeError::Value("record")),
    }
}

pub(super) fn direction_name(direction: Direction) -> &'static str {
    match direction {
        Direction::Outgoing => "outgoing",
        Direction::Incoming => "incoming",
    }
}

pub(super) fn direction_of(name: &str) -> Result<Direction, DecodeError> {
    match name {
        "outgoing" => Ok(Direction::Outgoing),
        "incoming" => Ok(Direction::Incoming),
        _ => Err(DecodeError::Value("direction")),
    }
}
