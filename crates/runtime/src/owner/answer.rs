//! Session descriptions: what each leg is offered, answered and configured with (RFC 3264).

use super::leg::LegIo;
use super::{Out, Owner, World};
use bytes::Bytes;
use std::collections::VecDeque;
use strowger_core::call::{Failure, Input, LegFact};
use strowger_core::{LegSeq, Stamp};
use strowger_media::{Codec as MediaCodec, CodecKind, Command as MediaCommand, LegConfig};
use strowger_sip_core::Command as SipCommand;
use strowger_sip_core::sdp::{self, Codec, Direction, LocalMedia, Negotiated, Session};

impl LegIo {
    fn local(&self, codecs: Vec<Codec>) -> Option<LocalMedia> {
        let media = self.media?;
        Some(LocalMedia {
            codecs,
            version: self.version,
            ..LocalMedia::g711(media, self.session_id)
        })
    }

    fn agreed_codec(&self) -> Option<&Codec> {
        self.agreed.as_ref().and_then(|a| a.codecs.first()).map(|c| &c.codec)
    }
}

fn is_g711(c: &Codec) -> bool {
    c.clock_rate == 8000 && (c.name.eq_ignore_ascii_case("PCMA") || c.name.eq_ignore_ascii_case("PCMU"))
}

fn g711() -> Vec<Codec> {
    vec![Codec::new(8, "PCMA", 8000), Codec::new(0, "PCMU", 8000)]
}

/// Puts `first` in front of a list that may hold it already.
fn prefer(mut list: Vec<Codec>, first: Option<&Codec>) -> Vec<Codec> {
    if let Some(i) = first.and_then(|f| list.iter().position(|c| c.same_encoding(f))) {
        let c = list.remove(i);
        list.insert(0, c);
    }
    list
}

impl Owner {
    /// Codecs to offer to leg `i` over a trunk that takes `allowed` (empty: anything). G.711 is always ours to offer;
    /// a forwarded call adds whatever the caller offered, to be relayed. The codec of the other side comes first, so
    /// that packets can be relayed as they are.
    pub(super) fn codecs_for(&self, i: usize, allowed: &[String]) -> Vec<Codec> {
        let other = self.legs.first().filter(|_| i != 0);
        let mut list = match other.and_then(|o| o.remote_offer.as_ref()) {
            // Everything that the caller offered, in its order.
            Some(offer) => {
                let mut all = sdp_codecs(offer);
                for c in g711() {
                    let had_g711 = all.iter().any(is_g711);
                    if had_g711 && !all.iter().any(|a| a.same_encoding(&c)) {
                        all.push(c);
                    }
                }
                if all.is_empty() { g711() } else { all }
            }
            None => prefer(g711(), other.and_then(LegIo::agreed_codec)),
        };
        if !allowed.is_empty() {
            let named: Vec<Codec> = list
                .iter()
                .filter(|c| allowed.iter().any(|a| a.eq_ignore_ascii_case(&c.name)))
                .cloned()
                .collect();
            // A trunk whose list leaves nothing in common is still asked for G.711: it may answer 488.
            if !named.is_empty() {
                list = named;
            }
        }
        list
    }

    /// Takes an answer to our offer: configures the leg's media. An answer that cannot be used changes nothing.
    pub(super) fn take_answer(&mut self, i: usize, body: &Bytes) {
        let Some(offer) = &self.legs[i].offer else { return };
        match sdp::parse(body)
            .map_err(|e| e.to_string())
            .and_then(|answer| sdp::apply_answer(offer, &answer).map_err(|e| e.to_string()))
        {
            Ok(agreed) => self.configure(i, agreed),
            Err(why) => tracing::info!(conversation = %self.machine.id(), leg = i, "unusable answer: {why}"),
        }
    }

    fn configure(&mut self, i: usize, agreed: Negotiated) {
        let Some(first) = agreed.codecs.first() else { return };
        let kind = if first.codec.name.eq_ignore_ascii_case("PCMA") {
            CodecKind::Pcma
        } else if first.codec.name.eq_ignore_ascii_case("PCMU") {
            CodecKind::Pcmu
        } else {
            CodecKind::Opaque {
                name: first.codec.name.to_ascii_lowercase().into(),
                clock: first.codec.clock_rate,
            }
        };
        let reachable = agreed.remote.port() != 0 && !agreed.remote.ip().is_unspecified();
        let config = LegConfig {
            remote: agreed.remote,
            codec: MediaCodec {
                payload_type_send: first.codec.payload_type,
                payload_type_recv: first.receive_payload_type,
                kind,
            },
            dtmf: agreed.dtmf.as_ref().map(|d| (d.send, d.receive)),
            ptime_ms: agreed.ptime.clamp(10, 60) as u8,
            send: agreed.direction.sends() && reachable,
            recv: agreed.direction.receives(),
        };
        self.turn
            .out
            .push(Out::Media(MediaCommand::Configure { leg: i as u16, config }));
        self.legs[i].agreed = Some(agreed);
    }

    /// Our description towards an incoming leg: an answer to its offer, or our own offer. Repeated unchanged once it
    /// was sent.
    fn describe_incoming(&mut self, i: usize) -> Option<Session> {
        if let Some(sent) = &self.legs[i].described {
            return Some(sent.clone());
        }
        let far = self.legs.get(1 - i.min(1)).and_then(LegIo::agreed_codec).cloned();
        let codecs = match &far {
            Some(c) if is_g711(c) => prefer(g711(), Some(c)),
            // A codec that we cannot decode reaches only a leg with the same codec.
            Some(c) => vec![c.clone()],
            None => g711(),
        };
        let local = self.legs[i].local(codecs)?;
        let description = match &self.legs[i].remote_offer {
            Some(offer) => {
                let (answer, agreed) = sdp::answer(offer, &local).ok()?;
                self.configure(i, agreed);
                answer
            }
            None => {
                let offer = sdp::offer(&local);
                self.legs[i].offer = Some(offer.clone());
                self.legs[i].answer_in_ack = true;
                offer
            }
        };
        self.legs[i].described = Some(description.clone());
        Some(description)
    }

    pub(super) fn respond(&mut self, leg: LegSeq, status: u16, headers: Vec<(String, String)>, sdp: Option<Session>) {
        let sdp = sdp.map(|s| Bytes::from(s.to_string()));
        self.leg_command(leg, |handle| SipCommand::Respond {
            handle,
            status,
            reason_phrase: None,
            headers,
            sdp,
            reliable: false,
        });
    }

    pub(super) fn alert(&mut self, leg: LegSeq, early_media: bool) {
        // With a late offer there is nothing to answer yet, and an offer in a 183 would need PRACK.
        let late = self
            .legs
            .get(usize::from(leg.0))
            .is_none_or(|l| l.remote_offer.is_none());
        if early_media && !late {
            let description = self.describe_incoming(usize::from(leg.0));
            self.respond(leg, 183, Vec::new(), description);
        } else {
            self.respond(leg, 180, Vec::new(), None);
        }
    }

    pub(super) fn answer(&mut self, leg: LegSeq, inputs: &mut VecDeque<Input>) {
        match self.describe_incoming(usize::from(leg.0)) {
            Some(description) => self.respond(leg, 200, Vec::new(), Some(description)),
            None => {
                self.respond(leg, 488, Vec::new(), None);
                inputs.push_back(Input::Leg(leg, LegFact::Failed(Failure::Media)));
            }
        }
    }

    pub(super) fn ack_received(&mut self, i: usize, body: Option<Bytes>, world: &dyn World, now: Stamp) {
        if !std::mem::take(&mut self.legs[i].answer_in_ack) {
            return;
        }
        if let Some(body) = body {
            self.take_answer(i, &body);
        }
        if self.legs[i].agreed.is_none() {
            self.failed(i, Failure::Media, world, now);
            return;
        }
        self.hold_facts(i, world, now);
    }

    /// The far side changes its session: hold in any spelling, a new address, a new codec.
    pub(super) fn reinvite(&mut self, i: usize, body: Option<Bytes>, world: &dyn World, now: Stamp) {
        let leg = LegSeq(i as u16);
        // What we use now stays first; a leg that is relayed must not change its codec alone unless it can be
        // transcoded.
        let present = self.legs[i].agreed_codec().cloned();
        let codecs = match &present {
            Some(c) if !is_g711(c) => vec![c.clone()],
            other => prefer(g711(), other.as_ref()),
        };
        self.legs[i].version += 1;
        let Some(local) = self.legs[i].local(codecs) else {
            return;
        };
        let Some(body) = body else {
            let offer = sdp::offer(&local);
            self.legs[i].offer = Some(offer.clone());
            self.legs[i].answer_in_ack = true;
            self.respond(leg, 200, Vec::new(), Some(offer));
            return;
        };
        let answered = sdp::parse(&body)
            .ok()
            .and_then(|offer| sdp::answer(&offer, &local).ok());
        let Some((answer, agreed)) = answered else {
            // The session stays as it was (RFC 3261 §14.2).
            self.respond(leg, 488, Vec::new(), None);
            return;
        };
        self.configure(i, agreed);
        self.respond(leg, 200, Vec::new(), Some(answer));
        self.hold_facts(i, world, now);
    }

    fn hold_facts(&mut self, i: usize, world: &dyn World, now: Stamp) {
        let held = self.legs[i]
            .agreed
            .as_ref()
            .is_some_and(|a| a.held || a.direction == Direction::Inactive);
        if held != self.legs[i].held {
            self.legs[i].held = held;
            self.fact(i, if held { LegFact::Held } else { LegFact::Retrieved }, world, now);
        }
    }
}

/// The audio codecs of an offer, in its order, without telephone events and comfort noise.
fn sdp_codecs(offer: &Session) -> Vec<Codec> {
    offer
        .media
        .iter()
        .find(|m| m.kind == "audio" && m.port != 0)
        .map(|m| m.codecs())
        .unwrap_or_default()
        .into_iter()
        .filter(|c| !c.is_telephone_event() && !c.is_comfort_noise())
        .collect()
}
