//! Who calls, and for whom: From, P-Asserted-Identity (RFC 3325), Remote-Party-ID, Privacy (RFC 3323), Diversion
//! (RFC 5806) and History-Info (RFC 7044), read from a request and written for a trunk by its policy.

mod diversion;

pub use diversion::{DiversionReason, Diverted, diversions};

use crate::api::Party;
use crate::headers::NameAddr;
use crate::message::{HeaderName, Message};
use crate::write::party_value;

/// The URI of a caller who does not want to be known (RFC 3323 §4.1.1.3).
pub const ANONYMOUS_URI: &str = "sip:anonymous@anonymous.invalid";
/// Most values of one header field that are read.
const MAX_VALUES: usize = 16;

/// What a caller asks to be kept from the called side (RFC 3323 §4.2, RFC 3325 §9.3, RFC 7044 §10.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Privacy {
    /// `id`: the asserted identity stays within the network.
    pub id: bool,
    /// `user`: From and the like are made anonymous.
    pub user: bool,
    /// `header`: what tells of the way is hidden.
    pub header: bool,
    /// `session`: media addresses are hidden; ours always are.
    pub session: bool,
    /// `history`: History-Info stays within the network.
    pub history: bool,
    /// `critical`: rather no call than one without privacy.
    pub critical: bool,
    /// `none`: the caller wants no privacy, whatever the network's default is.
    pub none: bool,
}

impl Privacy {
    /// Reads Privacy, whose tokens are separated by semicolons, or by commas as some write it.
    pub fn of(message: &Message) -> Privacy {
        let mut privacy = Privacy::default();
        for value in message.raw_values(HeaderName::Privacy).take(MAX_VALUES) {
            for token in value.split(|b| matches!(b, b';' | b',')) {
                match token.trim_ascii().to_ascii_lowercase().as_slice() {
                    b"id" => privacy.id = true,
                    b"user" => privacy.user = true,
                    b"header" => privacy.header = true,
                    b"session" => privacy.session = true,
                    b"history" => privacy.history = true,
                    b"critical" => privacy.critical = true,
                    b"none" => privacy.none = true,
                    // `full` is not of any RFC, but carriers send it.
                    b"full" => (privacy.id, privacy.user) = (true, true),
                    _ => {}
                }
            }
        }
        privacy
    }

    /// True if the caller is not to be shown to the called side.
    pub fn hides_caller(&self) -> bool {
        !self.none && (self.id || self.user)
    }

    /// The header value; empty if nothing is asked for.
    pub fn value(&self) -> String {
        let tokens = [
            (self.none, "none"),
            (self.header, "header"),
            (self.session, "session"),
            (self.user, "user"),
            (self.id, "id"),
            (self.history, "history"),
            (self.critical, "critical"),
        ];
        let asked: Vec<&str> = tokens.iter().filter(|(set, _)| *set).map(|(_, t)| *t).collect();
        asked.join(";")
    }
}

/// Where an identity was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentitySource {
    /// P-Asserted-Identity of a source that is trusted.
    Asserted,
    /// Remote-Party-ID of a source that is trusted.
    RemoteParty,
    /// From: what the caller says.
    From,
}

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The caller as the network knows them; `None` if From is anonymous and nothing better is known, or if no address
    /// can be read. To be used for routing and records even if [`Caller::hidden`]: then it must not be shown.
    pub identity: Option<Party>,
    /// Where it was read.
    pub source: IdentitySource,
    /// The second identity of P-Asserted-Identity, which may carry one SIP and one tel URI (RFC 3325 §9.1).
    pub second: Option<Party>,
    /// P-Preferred-Identity: which of their identities the user would like to have asserted. Only for users that have
    /// authenticated, and only after a look at what they may use.
    pub preferred: Option<Party>,
    /// From as written.
    pub from: Option<Party>,
    /// What is asked to be hidden.
    pub privacy: Privacy,
    /// True if the called side must not learn who calls.
    pub hidden: bool,
}

fn party(value: &[u8]) -> Option<(Party, NameAddr)> {
    let address = NameAddr::parse(value)?;
    let party = Party {
        display: address.display.clone().filter(|d| !d.is_empty()),
        uri: address.uri.as_str().to_owned(),
    };
    Some((party, address))
}

/// True for the names by which networks say that they do not say who calls.
pub fn is_anonymous(party: &Party) -> bool {
    let Ok(uri) = crate::Uri::parse(&party.uri) else {
        return true;
    };
    let is = |text: &str, names: &[&str]| names.iter().any(|n| text.eq_ignore_ascii_case(n));
    is(uri.host(), &["anonymous.invalid", "invalid"])
        || is(
            uri.user(),
            &["anonymous", "restricted", "unavailable", "unknown", "private"],
        )
        || uri.user().is_empty() && party.display.as_deref().is_some_and(|d| is(d, &["anonymous"]))
}

/// Reads who calls. `trusted` says whether the sender is within our trust domain (RFC 3324), as a carrier's trunk is and
/// a telephone is not: from others only From counts.
pub fn caller(message: &Message, trusted: bool) -> Caller {
    let from = message.raw_values(HeaderName::From).next().and_then(party).map(|p| p.0);
    let mut privacy = Privacy::of(message);
    let asserted: Vec<Party> = message
        .raw_values(HeaderName::PAssertedIdentity)
        .flat_map(crate::headers::CommaList::new)
        .take(2)
        .filter_map(|value| party(value).map(|p| p.0))
        .collect();
    let remote = message
        .raw_values(HeaderName::RemotePartyId)
        .flat_map(crate::headers::CommaList::new)
        .take(MAX_VALUES)
        .filter_map(party)
        .find(|(_, address)| address.param("party").is_none_or(|p| p.eq_ignore_ascii_case("calling")));
    if trusted && let Some((_, address)) = &remote {
        let asked = address.param("privacy").unwrap_or_default().to_ascii_lowercase();
        if asked.split('-').any(|p| matches!(p, "full" | "uri" | "name")) {
            privacy.id = true;
        }
    }
    let mut asserted = asserted.into_iter().filter(|_| trusted);
    let (identity, source) = match (asserted.next(), remote.filter(|_| trusted)) {
        (Some(asserted), _) => (Some(asserted), IdentitySource::Asserted),
        (None, Some((remote, _))) => (Some(remote), IdentitySource::RemoteParty),
        (None, None) => (from.clone(), IdentitySource::From),
    };
    let from_hides = from.as_ref().is_none_or(is_anonymous);
    Caller {
        identity: identity.filter(|p| !is_anonymous(p)),
        source,
        second: asserted.next(),
        preferred: message
            .raw_values(HeaderName::PPreferredIdentity)
            .next()
            .and_then(party)
            .map(|p| p.0),
        hidden: privacy.hides_caller() || from_hides,
        from,
        privacy,
    }
}

/// What a trunk gets of the identity that the network knows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum AssertPolicy {
    /// What is known.
    #[default]
    Pass,
    /// This address, for trunks that want their main number there.
    Set(String),
    /// Nothing.
    Remove,
}

/// What a trunk gets of the wish for privacy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PrivacyPolicy {
    /// The trunk is trusted to keep it: the asserted identity and Privacy go along, From is anonymous.
    #[default]
    Pass,
    /// It is not: From is anonymous and nothing tells who calls. Privacy goes along too.
    Enforce,
    /// The wish is not passed on, and From is shown: only for trunks that must see it, such as emergency services.
    Remove,
}

/// How a trunk is told that a call was diverted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DiversionPolicy {
    /// Not at all.
    #[default]
    Remove,
    /// As Diversion (RFC 5806), whatever it came as.
    Diversion,
    /// As History-Info (RFC 7044), whatever it came as (RFC 7544).
    HistoryInfo,
}

/// What a trunk is told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrunkPolicy {
    /// P-Asserted-Identity.
    pub assert: AssertPolicy,
    /// Privacy.
    pub privacy: PrivacyPolicy,
    /// Diversion and History-Info.
    pub diversion: DiversionPolicy,
}

/// A call as it is to be presented to a trunk.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Presented {
    /// Whom From shall name, unless the caller hides.
    pub from: Party,
    /// Who it really is, as far as the network knows.
    pub identity: Option<Party>,
    /// What is asked to be hidden.
    pub privacy: Privacy,
    /// True if the caller hides by an anonymous From alone.
    pub hidden: bool,
    /// Who sent the call on, the last one first; see [`diversions`].
    pub diverted: Vec<Diverted>,
    /// The URI that is called now, for the last entry of History-Info.
    pub target: String,
}

/// The header fields of an INVITE that say who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// From, without tag.
    pub from: Party,
    /// Further header fields, in order.
    pub headers: Vec<(String, String)>,
}

/// Writes who calls for a trunk.
pub fn present(call: &Presented, policy: &TrunkPolicy) -> Written {
    let hides = (call.hidden || call.privacy.hides_caller()) && policy.privacy != PrivacyPolicy::Remove;
    let from = if hides {
        Party {
            display: Some("Anonymous".into()),
            uri: ANONYMOUS_URI.into(),
        }
    } else {
        call.from.clone()
    };
    let mut headers = Vec::new();
    let mut add = |name: &str, value: String| headers.push((name.to_owned(), value));
    let asserted = match &policy.assert {
        AssertPolicy::Pass => call.identity.clone(),
        AssertPolicy::Set(uri) => Some(Party::new(uri)),
        AssertPolicy::Remove => None,
    };
    let may_assert = !hides || policy.privacy == PrivacyPolicy::Pass;
    if let Some(identity) = asserted.filter(|_| may_assert) {
        add("P-Asserted-Identity", party_value(&identity));
    }
    if policy.privacy != PrivacyPolicy::Remove {
        let mut privacy = call.privacy;
        // Whoever hides behind From alone would be shown by the asserted identity (RFC 3325 §7).
        privacy.id |= hides;
        let value = privacy.value();
        if !value.is_empty() {
            add("Privacy", value);
        }
    }
    let hide_ways = policy.privacy == PrivacyPolicy::Enforce && (call.privacy.history || call.privacy.header);
    match policy.diversion {
        DiversionPolicy::Remove => {}
        _ if hide_ways => {}
        DiversionPolicy::Diversion => {
            for value in diversion::as_diversion(&call.diverted, policy.privacy) {
                add("Diversion", value);
            }
        }
        DiversionPolicy::HistoryInfo => {
            for value in diversion::as_history(&call.diverted, &call.target, policy.privacy) {
                add("History-Info", value);
            }
        }
    }
    Written { from, headers }
}

#[cfg(test)]
mod tests;
