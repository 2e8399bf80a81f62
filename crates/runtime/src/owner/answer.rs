//! Session descriptions: what each leg is offered, answered and configured with (RFC 3264).

use super::leg::LegIo;
use super::{Out, Owner, World};
use bytes::Bytes;
use std::collections::VecDeque;
use strowger_core::call::{Failure, Input, LegFact};
use strowger_core::{LegSeq, Stamp};
use strowger_media::{Codec as MediaCodec, CodecKind, Command as MediaCommand, LegConfig};
use strowger_sip_core::Command as SipCommand;
use strowger_sip_core::sdp::{self, Codec, Direction, LocalMedia, Negotiated, Protection, Session};

impl LegIo {
    pub fn agreed_codec(&self) -> Option<&Codec> {
        self.agreed.as_ref().and_then(|a| a.codecs.first()).map(|c| &c.codec)
    }
}

impl Owner {
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

    pub(super) fn configure(&mut self, i: usize, agreed: Negotiated) {
        let Some(first) = agreed.codecs.first() else { return };
        let kind = CodecKind::named(&first.codec.name, first.codec.clock_rate, first.codec.channels);
        let Some(security) = self.legs[i].ends.security(&agreed) else {
            tracing::warn!(conversation = %self.machine.id(), leg = i, "keys that were agreed on cannot be used");
            return;
        };
        self.legs[i].ends.settle(&agreed.protection);
        let by_ice = matches!(agreed.protection, Protection::WebRtc { .. });
        let reachable = by_ice || agreed.remote.port() != 0 && !agreed.remote.ip().is_unspecified();
        let config = LegConfig {
            security,
            remote: agreed.remote,
            codec: MediaCodec {
                payload_type_send: first.codec.payload_type,
                payload_type_recv: first.receive_payload_type,
                kind,
            },
            dtmf: agreed.dtmf.as_ref().map(|d| (d.send, d.receive)),
            dtmf_clock: agreed.dtmf.as_ref().map_or(0, |d| d.clock_rate),
            ptime_ms: agreed.ptime.clamp(10, 60) as u8,
            send: agreed.direction.sends() && reachable,
            recv: agreed.direction.receives(),
        };
        self.turn
            .out
            .push(Out::Media(MediaCommand::Configure { leg: i as u16, config }));
        self.configure_video(i, agreed.video.as_ref());
        self.legs[i].agreed = Some(agreed);
        self.listen(i);
    }

    /// Our description towards an incoming leg: an answer to its offer, or our own offer. Repeated unchanged once it
    /// was sent.
    fn describe_incoming(&mut self, i: usize) -> Option<Session> {
        if let Some(sent) = &self.legs[i].described {
            return Some(sent.clone());
        }
        let codecs = match &self.legs[i].remote_offer {
            Some(offer) => self.codec_to_answer(i, offer, None),
            None => self.codecs_towards(LegSeq(i as u16)),
        };
        let ends = &self.legs[i].ends;
        let video = match &self.legs[i].remote_offer {
            Some(_) => self.video_to_answer(i, ends),
            None => self.video_to_offer(i, ends),
        };
        let local = LocalMedia {
            video,
            ..self.legs[i].local(codecs)?
        };
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
            // Early media that is lost is a call without ringback: where the far side can acknowledge it, it must.
            reliable: status < 200 && sdp.is_some(),
            sdp,
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
                let why = crate::inbound::warning(305, "Incompatible media format");
                self.respond(leg, 488, vec![why], None);
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
        if let Some(body) = body {
            let changes = sdp::parse(&body).is_ok_and(|offer| self.ask_partner(i, &body, &offer));
            if !changes {
                self.answer_offer(i, &body, world, now);
            }
            return;
        }
        self.legs[i].version += 1;
        let video = self.video_to_offer(i, &self.legs[i].ends);
        let Some(offer) = self.legs[i].renewed_offer(self.codecs_kept(i), video) else {
            return;
        };
        self.legs[i].offer = Some(offer.clone());
        self.legs[i].described = Some(offer.clone());
        self.legs[i].answer_in_ack = true;
        self.respond(leg, 200, Vec::new(), Some(offer));
    }

    /// Answers the offer of a re-INVITE. Refused, the session stays as it was (RFC 3261 §14.2).
    pub(super) fn answer_offer(&mut self, i: usize, body: &Bytes, world: &dyn World, now: Stamp) {
        let (status, answer) = self.take_offer(i, body, world);
        self.respond(LegSeq(i as u16), status, Vec::new(), answer);
        self.hold_facts(i, world, now);
    }

    /// The same by UPDATE (RFC 3311), also before the answer.
    pub(super) fn update(&mut self, i: usize, tag: String, body: &Bytes, world: &dyn World, now: Stamp) {
        let (status, answer) = self.take_offer(i, body, world);
        self.leg_command(LegSeq(i as u16), |handle| SipCommand::RespondUpdate {
            handle,
            tag: Some(tag),
            status,
            sdp: answer.map(|s| s.to_string().into_bytes().into()),
        });
        self.hold_facts(i, world, now);
    }

    /// The PRACK of our early media: it may bring the answer to an offer of ours, or a new offer.
    pub(super) fn pracked(
        &mut self,
        i: usize,
        body: Option<Bytes>,
        answer_needed: bool,
        world: &dyn World,
        now: Stamp,
    ) {
        let Some(body) = body else { return };
        if answer_needed {
            let (status, answer) = self.take_offer(i, &body, world);
            self.leg_command(LegSeq(i as u16), |handle| SipCommand::RespondPrack {
                handle,
                status,
                sdp: answer.map(|s| s.to_string().into_bytes().into()),
            });
        } else {
            self.take_answer(i, &body);
        }
        self.hold_facts(i, world, now);
    }

    /// Answers an offer inside a dialog: the status, and the answer of a 200. An offer that cannot be answered changes
    /// nothing.
    fn take_offer(&mut self, i: usize, body: &Bytes, world: &dyn World) -> (u16, Option<Session>) {
        let Ok(offer) = sdp::parse(body) else {
            return (488, None);
        };
        let codecs = self.codec_to_answer(i, &offer, self.legs[i].agreed_codec());
        let ends = self.prepare_for(i, &offer, world);
        let video = self.video_to_answer(i, &ends);
        let io = &mut self.legs[i];
        let local = ends
            .local(codecs, io.session_id, io.version + 1)
            .map(|local| LocalMedia { video, ..local });
        let Some((answer, agreed)) = local.and_then(|local| sdp::answer_again(&offer, &local).ok()) else {
            return (488, None);
        };
        io.version += 1;
        io.ends = ends;
        self.configure(i, agreed);
        self.legs[i].described = Some(answer.clone());
        (200, Some(answer))
    }

    pub(super) fn hold_facts(&mut self, i: usize, world: &dyn World, now: Stamp) {
        let away = self.legs[i].away_until.is_some();
        let held = away
            || self.legs[i]
                .agreed
                .as_ref()
                .is_some_and(|a| a.held || a.direction == Direction::Inactive);
        if held != self.legs[i].held {
            self.legs[i].held = held;
            self.fact(i, if held { LegFact::Held } else { LegFact::Retrieved }, world, now);
        }
    }
}
