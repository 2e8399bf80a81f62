//! Ways to a target, and the order in which they are tried.

use std::collections::VecDeque;
use std::sync::Arc;
use strowger_core::event::Via;
use strowger_sip_core::identity::TrunkPolicy;
use strowger_sip_core::{Credentials, Target as SipTarget};

/// Most ways that ring side by side, and most groups of them (domain-model K18).
const MAX_ABREAST: usize = 10;
/// As above.
const MAX_GROUPS: usize = 10;

/// What a party is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum WayMedia {
    /// RTP.
    #[default]
    Rtp,
    /// RTP with keys beside it: SRTP if the party has it (RFC 4568).
    SrtpOptional,
    /// SRTP and nothing else.
    SrtpRequired,
    /// ICE and DTLS, as browsers have it.
    WebRtc,
}

/// One way to reach a target: a trunk or a device's binding, and how the call is written there.
#[derive(Clone, Debug)]
pub struct Way {
    /// The trunk or device.
    pub via: Via,
    /// First hop, with the flow of a binding that is reached over its own connection.
    pub target: SipTarget,
    /// Request-URI and To.
    pub uri: String,
    /// Pre-loaded route set, one Route value each: the Path of a registration, an outbound proxy.
    pub route: Vec<String>,
    /// How who calls is told there; `None` shows the number and nothing else.
    pub policy: Option<Arc<TrunkPolicy>>,
    /// Further header fields of the INVITE as (name, value).
    pub headers: Vec<(String, String)>,
    /// What is offered.
    pub media: WayMedia,
    /// Codec names in order of preference; empty takes the default.
    pub codecs: Vec<String>,
    /// For a challenge.
    pub credentials: Option<Credentials>,
    /// Ways of the same group ring side by side; groups follow one another, lowest first. Trunks, each alone in its
    /// group, follow one another only while the call has not reached anybody.
    pub group: u16,
    /// Seconds that the group may ring before the next one is tried; 0 is as long as the leg may ring.
    pub ring_secs: u16,
}

impl Way {
    /// A way without anything special about it.
    pub fn new(via: Via, target: SipTarget, uri: impl Into<String>) -> Way {
        Way {
            via,
            target,
            uri: uri.into(),
            route: Vec::new(),
            policy: None,
            headers: Vec::new(),
            media: WayMedia::Rtp,
            codecs: Vec::new(),
            credentials: None,
            group: 0,
            ring_secs: 0,
        }
    }

    fn is_trunk(&self) -> bool {
        matches!(self.via, Via::Trunk(_))
    }
}

/// Ways of which the next is tried when the one before did not reach anybody.
pub(super) type Line = VecDeque<Way>;

/// Orders ways into groups of lines that are tried side by side. Trunks that follow one another, each alone in its group,
/// become one line.
pub(super) fn groups_of(mut ways: Vec<Way>) -> VecDeque<Vec<Line>> {
    ways.sort_by_key(|w| w.group);
    let mut groups: VecDeque<Vec<Line>> = VecDeque::new();
    for group in ways.chunk_by(|a, b| a.group == b.group) {
        if let [way] = group
            && way.is_trunk()
            && let Some([line]) = groups.back_mut().map(Vec::as_mut_slice)
            && line.iter().all(Way::is_trunk)
        {
            line.push_back(way.clone());
            continue;
        }
        if groups.len() == MAX_GROUPS {
            break;
        }
        let lines = group.iter().take(MAX_ABREAST).map(|w| Line::from([w.clone()]));
        groups.push_back(lines.collect());
    }
    groups
}

/// How a device sent a call on.
#[derive(Clone, Copy, Debug)]
pub struct Diversion<'a> {
    /// The device.
    pub by: Via,
    /// The Request-URI that it was called at.
    pub uri: &'a str,
    /// Its status, 300-399.
    pub status: u16,
    /// The URI that it named.
    pub contact: &'a str,
    /// Diversions of this leg so far, this one included.
    pub count: u8,
}

/// Header fields that tell the next party about a diversion: Diversion (RFC 5806) and History-Info (RFC 7044).
///
/// `diverting` is the address of record of whoever diverted, `target` the new Request-URI; both are absolute URIs.
pub fn diversion_headers(diverting: &str, target: &str, status: u16, count: u8) -> Vec<(String, String)> {
    let reason = match status {
        486 | 600 => "user-busy",
        408 | 480 => "no-answer",
        _ => "unconditional",
    };
    let clean = |uri: &str| uri.replace(['<', '>', '"', '\r', '\n'], "");
    let (diverting, target) = (clean(diverting), clean(target));
    let mark = if diverting.contains('?') { '&' } else { '?' };
    vec![
        (
            "Diversion".into(),
            format!("<{diverting}>;reason={reason};counter={count}"),
        ),
        (
            "History-Info".into(),
            format!("<{diverting}{mark}Reason=SIP%3Bcause%3D{status}>;index=1, <{target}>;index=1.{count};mp=1"),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use strowger_core::{DeviceId, TrunkId};

    fn way(via: Via, group: u16) -> Way {
        Way {
            group,
            ..Way::new(via, SipTarget::udp(([127, 0, 0, 1], 5060).into()), "sip:x@127.0.0.1")
        }
    }

    fn shape(ways: Vec<Way>) -> Vec<Vec<usize>> {
        let groups = groups_of(ways);
        groups.iter().map(|g| g.iter().map(VecDeque::len).collect()).collect()
    }

    #[test]
    fn devices_ring_by_groups_and_trunks_follow_one_another() {
        let (d, t) = (Via::Device(DeviceId(1)), Via::Trunk(TrunkId(1)));
        assert_eq!(shape(vec![way(d, 1), way(d, 0), way(d, 0)]), [vec![1, 1], vec![1]]);
        assert_eq!(shape(vec![way(t, 0), way(t, 1), way(t, 2)]), [vec![3]]);
        assert_eq!(shape(vec![way(d, 0), way(t, 1), way(t, 2)]), [vec![1], vec![2]]);
        assert_eq!(
            shape(vec![way(t, 0), way(t, 0)]),
            [vec![1, 1]],
            "asked for side by side"
        );
        assert_eq!(shape((0..50).map(|n| way(d, n)).collect()).len(), MAX_GROUPS);
        assert_eq!(shape((0..50).map(|_| way(d, 0)).collect())[0].len(), MAX_ABREAST);
    }

    #[test]
    fn a_diversion_breaks_no_line() {
        let headers = diversion_headers("sip:100@example.com", "sip:1\r\nX: y@example.com", 302, 2);
        assert!(headers.iter().all(|(_, v)| !v.contains(['\r', '\n'])));
        assert_eq!(headers[0].1, "<sip:100@example.com>;reason=unconditional;counter=2");
    }
}
