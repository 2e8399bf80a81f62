//! Diverted calls: Diversion (RFC 5806) and History-Info (RFC 7044), and the way from one to the other (RFC 7544).

use super::{ANONYMOUS_URI, MAX_VALUES, PrivacyPolicy};
use crate::api::Party;
use crate::headers::{CommaList, NameAddr};
use crate::message::{HeaderName, Message};
use crate::uri::{Uri, unescape};
use crate::write::party_value;

/// Why a call was diverted (RFC 5806 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub enum DiversionReason {
    #[default]
    Unknown,
    UserBusy,
    NoAnswer,
    Unavailable,
    Unconditional,
    TimeOfDay,
    DoNotDisturb,
    Deflection,
    FollowMe,
    OutOfService,
    Away,
}

use DiversionReason as R;

/// Reason, its token in Diversion, and the nearest cause of RFC 4458 §2; the first of a cause is what it is read as.
const REASONS: [(R, &str, u16); 11] = [
    (R::Unknown, "unknown", 404),
    (R::UserBusy, "user-busy", 486),
    (R::NoAnswer, "no-answer", 408),
    (R::Unavailable, "unavailable", 503),
    (R::Unconditional, "unconditional", 302),
    (R::Deflection, "deflection", 480),
    (R::TimeOfDay, "time-of-day", 404),
    (R::DoNotDisturb, "do-not-disturb", 404),
    (R::FollowMe, "follow-me", 404),
    (R::OutOfService, "out-of-service", 404),
    (R::Away, "away", 404),
];

impl DiversionReason {
    /// The token of RFC 5806.
    pub fn as_str(self) -> &'static str {
        REASONS.iter().find(|(r, ..)| *r == self).map_or("unknown", |r| r.1)
    }

    fn parse(token: &str) -> DiversionReason {
        let token = token.trim_matches('"');
        REASONS
            .iter()
            .find(|(_, t, _)| t.eq_ignore_ascii_case(token))
            .map_or(R::Unknown, |r| r.0)
    }

    fn cause(self) -> u16 {
        REASONS.iter().find(|(r, ..)| *r == self).map_or(404, |r| r.2)
    }

    fn of_cause(cause: u16) -> DiversionReason {
        match cause {
            // Deflection while it rings.
            487 => R::Deflection,
            cause => REASONS.iter().find(|(.., c)| *c == cause).map_or(R::Unknown, |r| r.0),
        }
    }
}

/// One diversion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diverted {
    /// Who diverted the call.
    pub by: Party,
    /// Why.
    pub reason: DiversionReason,
    /// How many diversions it stands for; 1 unless written.
    pub counter: u8,
    /// True if who diverted it is not to be shown.
    pub private: bool,
}

/// Who diverted a call before it came here, the last one first. Diversion is read before History-Info.
pub fn diversions(message: &Message) -> Vec<Diverted> {
    let values = |name| message.raw_values(name).flat_map(CommaList::new).take(MAX_VALUES);
    let found: Vec<Diverted> = values(HeaderName::Diversion)
        .filter_map(|value| {
            let address = NameAddr::parse(value)?;
            Some(Diverted {
                reason: DiversionReason::parse(address.param("reason").unwrap_or_default()),
                counter: address
                    .param("counter")
                    .and_then(|c| c.parse().ok())
                    .unwrap_or(1)
                    .max(1),
                private: address
                    .param("privacy")
                    .is_some_and(|p| !p.trim_matches('"').eq_ignore_ascii_case("off")),
                by: Party {
                    display: address.display,
                    uri: address.uri.as_str().to_owned(),
                },
            })
        })
        .collect();
    if !found.is_empty() {
        return found;
    }
    let mut entries: Vec<(Vec<u32>, NameAddr)> = values(HeaderName::HistoryInfo)
        .filter_map(|value| {
            let address = NameAddr::parse(value)?;
            let index = address
                .param("index")?
                .split('.')
                .map(|n| n.parse().ok())
                .collect::<Option<_>>()?;
            Some((index, address))
        })
        .collect();
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    // An entry with a cause says why the one before it was left (RFC 7044 §10.2, RFC 7544 §4).
    let mut found: Vec<Diverted> = entries
        .windows(2)
        .filter_map(|pair| {
            let [(_, before), (_, after)] = pair else { return None };
            let reason = DiversionReason::of_cause(cause_of(after, before)?);
            let by = Party {
                display: before.display.clone(),
                uri: bare(&before.uri),
            };
            Some(Diverted {
                private: embedded(&before.uri, "Privacy").is_some_and(|p| p.contains("history")),
                counter: 1,
                reason,
                by,
            })
        })
        .collect();
    found.reverse();
    found
}

/// The `cause` URI parameter of the new target (RFC 4458), else the cause of Reason that the old one carries.
fn cause_of(after: &NameAddr, before: &NameAddr) -> Option<u16> {
    if let Some(cause) = after.uri.param("cause") {
        return cause.parse().ok();
    }
    let reason = embedded(&before.uri, "Reason")?;
    if !reason.get(..3)?.eq_ignore_ascii_case("SIP") {
        return None;
    }
    let params = crate::headers::Params::new(reason.as_bytes());
    std::str::from_utf8(params.get("cause")?).ok()?.parse().ok()
}

/// A header field that is escaped into a URI.
fn embedded(uri: &Uri, name: &str) -> Option<String> {
    uri.headers().split('&').find_map(|field| {
        let (n, value) = field.split_once('=')?;
        n.eq_ignore_ascii_case(name).then(|| unescape(value.as_bytes()))
    })
}

/// A URI without embedded header fields and `cause`.
fn bare(uri: &Uri) -> String {
    let text = uri.as_str().split('?').next().unwrap_or_default();
    let mut parts = text.split(';');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        if !part.to_ascii_lowercase().starts_with("cause=") {
            out.push(';');
            out.push_str(part);
        }
    }
    out
}

fn shown(diverted: &Diverted, policy: PrivacyPolicy) -> Party {
    if diverted.private && policy == PrivacyPolicy::Enforce {
        Party::new(ANONYMOUS_URI)
    } else {
        diverted.by.clone()
    }
}

/// Diversion values, the last one first.
pub(super) fn as_diversion(diverted: &[Diverted], policy: PrivacyPolicy) -> Vec<String> {
    diverted
        .iter()
        .map(|d| {
            let privacy = match (policy, d.private) {
                (PrivacyPolicy::Remove, _) => "",
                (_, true) => ";privacy=full",
                (_, false) => ";privacy=off",
            };
            let who = party_value(&shown(d, policy));
            format!("{who};reason={};counter={}{privacy}", d.reason.as_str(), d.counter)
        })
        .collect()
}

/// History-Info values from the first called to the one that is called now (RFC 7544 §5).
pub(super) fn as_history(diverted: &[Diverted], target: &str, policy: PrivacyPolicy) -> Vec<String> {
    let (Some(_), Ok(target)) = (diverted.first(), Uri::parse(target)) else {
        return Vec::new();
    };
    let mut out = Vec::with_capacity(diverted.len() + 1);
    let mut index = String::new();
    let mut cause = String::new();
    for d in diverted.iter().rev() {
        index.push_str(if index.is_empty() { "1" } else { ".1" });
        let by = shown(d, policy);
        let privacy = match policy {
            PrivacyPolicy::Pass if d.private => "?Privacy=history",
            _ => "",
        };
        let uri = by.uri.split('?').next().unwrap_or_default().to_owned() + &cause + privacy;
        out.push(format!("{};index={index}", party_value(&Party { uri, ..by })));
        cause = format!(";cause={}", d.reason.cause());
    }
    out.push(format!("<{}{cause}>;index={index}.1", bare(&target)));
    out
}
