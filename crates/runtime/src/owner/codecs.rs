//! Which codecs a leg is offered and answered with: those that need no transcoding come first.

use super::Owner;
use super::leg::LegIo;
use strowger_core::LegSeq;
use strowger_media::CodecKind;
use strowger_sip_core::sdp::{Codec, Session};

/// Names of the codecs that can be offered, as trunks and the configuration write them.
pub const CODECS: [&str; 5] = ["opus", "G722", "PCMA", "PCMU", "G729"];

/// A codec of [`CODECS`] as we describe it; names in any case.
pub fn codec(name: &str) -> Option<Codec> {
    let described = match CODECS.iter().position(|known| known.eq_ignore_ascii_case(name))? {
        0 => Codec {
            channels: 2,
            // RFC 7587 section 7: we use forward error correction, and packets may be as short as 10 ms.
            fmtp: Some("minptime=10;useinbandfec=1".into()),
            ..Codec::new(111, "opus", 48_000)
        },
        1 => Codec::new(9, "G722", 8_000),
        2 => Codec::new(8, "PCMA", 8_000),
        3 => Codec::new(0, "PCMU", 8_000),
        _ => Codec::new(18, "G729", 8_000),
    };
    Some(described)
}

/// What is offered where nobody says otherwise.
pub fn g711() -> Vec<Codec> {
    ["PCMA", "PCMU"].into_iter().filter_map(codec).collect()
}

/// True if the media engine can decode and encode it; what it cannot is relayed as it is.
fn is_coded(c: &Codec) -> bool {
    CodecKind::named(&c.name, c.clock_rate, c.channels).coded().is_some()
}

/// Adds a codec at the end unless the list has it; a dynamic payload type that is taken is exchanged for a free one. The
/// usual number of telephone events is left alone.
fn add(list: &mut Vec<Codec>, mut c: Codec) {
    if list.iter().any(|l| l.same_encoding(&c)) {
        return;
    }
    let taken = |pt: u8| pt == 101 || list.iter().any(|l| l.payload_type == pt);
    if taken(c.payload_type) {
        let Some(free) = (96..=127).find(|&pt| !taken(pt)) else {
            return;
        };
        c.payload_type = free;
    }
    list.push(c);
}

/// Puts `first` in front of a list, whether or not the list holds it.
fn prefer(list: Vec<Codec>, first: &Codec) -> Vec<Codec> {
    let mut out = vec![first.clone()];
    list.into_iter().for_each(|c| add(&mut out, c));
    out
}

/// The audio codecs of an offer, in its order, without telephone events and comfort noise.
fn offered(offer: &Session) -> Vec<Codec> {
    offer
        .media
        .iter()
        .find(|m| m.kind == "audio" && m.port != 0)
        .map(|m| m.codecs())
        .unwrap_or_default()
        .into_iter()
        // Redundancy (RFC 2198) wraps another payload type of the same offer, which means nothing elsewhere.
        .filter(|c| !c.is_telephone_event() && !c.is_comfort_noise() && !c.name.eq_ignore_ascii_case("red"))
        .collect()
}

impl Owner {
    /// Codecs to offer to leg `i` over a trunk that takes `allowed` (empty: what is configured). What the other side uses
    /// or offered comes first, so that packets can be relayed as they are; then what we can turn into it.
    pub(super) fn codecs_for(&self, i: usize, allowed: &[String]) -> Vec<Codec> {
        let other = self.machine.peer(LegSeq(i as u16));
        let other = other.and_then(|p| self.legs.get(usize::from(p.0)));
        let mut list = match (
            other.and_then(LegIo::agreed_codec),
            other.and_then(|o| o.remote_offer.as_ref()),
        ) {
            (Some(codec), _) => vec![codec.clone()],
            (None, Some(offer)) => offered(offer),
            (None, None) => Vec::new(),
        };
        // A caller that has only what we cannot decode cannot be answered with anything else.
        let relay_only = other.is_some_and(|o| o.agreed.is_none()) && !list.is_empty() && !list.iter().any(is_coded);
        let mut ours = self.codecs.clone();
        if !allowed.is_empty() {
            list.retain(|c| allowed.iter().any(|a| a.eq_ignore_ascii_case(&c.name)));
            let named: Vec<Codec> = allowed.iter().filter_map(|name| codec(name)).collect();
            if !named.is_empty() {
                ours = named;
            }
        }
        if !relay_only || list.is_empty() {
            ours.into_iter().for_each(|c| add(&mut list, c));
        }
        list
    }

    /// Codecs for an offer towards a leg, or whatever takes its place: what its partner uses decides.
    pub(super) fn codecs_towards(&self, leg: LegSeq) -> Vec<Codec> {
        match self.partner_codec(leg) {
            Some(c) if is_coded(c) => prefer(self.codecs.clone(), c),
            // A codec that we cannot decode reaches only a leg with the same codec.
            Some(c) => vec![c.clone()],
            None => self.codecs.clone(),
        }
    }

    /// The codec of `offer` to answer leg `i` with: the one in use, else its partner's, else the first that is ours, else
    /// the first that we can decode. One only, since the far side may send any codec of an answer at any time. If none
    /// fits, all of ours, which the offer does not have.
    pub(super) fn codec_to_answer(&self, i: usize, offer: &Session, in_use: Option<&Codec>) -> Vec<Codec> {
        let offered = offered(offer);
        let partner = self.partner_codec(LegSeq(i as u16));
        // What we cannot decode goes nowhere else.
        if let Some(only) = in_use.or(partner).filter(|c| !is_coded(c)) {
            return vec![only.clone()];
        }
        let has = |c: &&Codec| offered.iter().any(|o| o.same_encoding(c));
        if let Some(c) = in_use.into_iter().chain(partner).find(has) {
            return vec![c.clone()];
        }
        let ours = |o: &Codec| self.codecs.iter().find(|c| c.same_encoding(o)).cloned();
        let known = |o: &Codec| is_coded(o).then(|| codec(&o.name)).flatten();
        let chosen = offered.iter().find_map(ours).or_else(|| offered.iter().find_map(known));
        chosen.map_or_else(|| self.codecs.clone(), |c| vec![c])
    }

    /// Codecs for an offer of ours in the running dialog of leg `i`: what it uses stays first.
    pub(super) fn codecs_kept(&self, i: usize) -> Vec<Codec> {
        match self.legs[i].agreed_codec() {
            Some(c) if is_coded(c) => prefer(self.codecs.clone(), c),
            Some(c) => vec![c.clone()],
            None => self.codecs.clone(),
        }
    }

    /// True if leg `i` has a codec that reaches only a leg with the same one.
    pub(super) fn is_relay_only(&self, i: usize) -> bool {
        self.legs
            .get(i)
            .and_then(LegIo::agreed_codec)
            .is_some_and(|c| !is_coded(c))
    }

    fn partner_codec(&self, leg: LegSeq) -> Option<&Codec> {
        let partner = self.machine.peer(leg).and_then(|p| self.legs.get(usize::from(p.0)));
        partner.and_then(LegIo::agreed_codec)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payload_types_do_not_collide() {
        let theirs = Codec {
            channels: 2,
            ..Codec::new(111, "speex", 16_000)
        };
        let list = prefer(CODECS.into_iter().filter_map(codec).collect(), &theirs);
        assert_eq!(list.len(), 6);
        let mut types: Vec<u8> = list.iter().map(|c| c.payload_type).collect();
        types.sort_unstable();
        types.dedup();
        assert_eq!(types.len(), 6, "{list:?}");
        assert_eq!(list[0], theirs);
        assert!(list.iter().any(|c| c.name == "opus" && c.payload_type == 96));
    }

    #[test]
    fn every_name_is_a_codec_that_the_engine_knows() {
        for name in CODECS {
            assert!(codec(name).is_some_and(|c| is_coded(&c)), "{name}");
        }
        assert!(codec("iLBC").is_none());
    }
}
