//! Offers of our own in a running talk: a party whose codec we cannot decode is asked for one that we can when its partner
//! changes.

use super::{Out, Owner, World};
use bytes::Bytes;
use strowger_core::{LegSeq, Stamp};
use strowger_sip_core::Command as SipCommand;

/// How often an offer that met one of the peer's is repeated (RFC 3261 §14.1).
const MAX_TRIES: u8 = 5;

impl Owner {
    /// After leg `i` has joined: its partner must have a codec that reaches it.
    pub(super) fn align_with(&mut self, i: usize) {
        let Some(peer) = self.machine.peer(LegSeq(i as u16)).map(|p| usize::from(p.0)) else {
            return;
        };
        // What we can decode reaches every other codec that we know.
        if self.legs.get(i).is_some_and(|l| l.agreed.is_some()) && !self.is_relay_only(i) && self.is_relay_only(peer) {
            self.legs[peer].tries = 0;
            self.offer_again(peer);
        }
    }

    /// Offers our codecs to a party that has one that we cannot decode, or the video that its partner has now.
    pub(super) fn offer_again(&mut self, i: usize) {
        let codecs = if self.is_relay_only(i) {
            self.codecs.clone()
        } else {
            self.codecs_kept(i)
        };
        let video = self.video_to_offer(i, &self.legs[i].ends);
        let io = &mut self.legs[i];
        if !io.in_dialog || io.tries >= MAX_TRIES {
            return;
        }
        io.tries += 1;
        io.version += 1;
        let Some(offer) = io.renewed_offer(codecs, video) else {
            return;
        };
        io.offering = true;
        io.offer = Some(offer.clone());
        let handle = io.handle;
        self.turn.out.push(Out::Sip(SipCommand::ReInvite {
            handle,
            sdp: Some(offer.to_string().into_bytes().into()),
        }));
    }

    /// Our offer was taken.
    pub(super) fn offer_answered(
        &mut self,
        i: usize,
        body: Option<Bytes>,
        ack_needed: bool,
        world: &dyn World,
        now: Stamp,
    ) {
        if ack_needed {
            let handle = self.legs[i].handle;
            self.turn.out.push(Out::Sip(SipCommand::Ack { handle, sdp: None }));
        }
        if !std::mem::take(&mut self.legs[i].offering) {
            return;
        }
        self.legs[i].described = self.legs[i].offer.clone();
        if let Some(body) = body {
            self.take_answer(i, &body);
            self.hold_facts(i, world, now);
        }
        self.answer_waiting(i, world, now);
    }

    /// Our offer was refused; one that met the peer's is repeated after the time that the stack drew.
    pub(super) fn offer_refused(
        &mut self,
        i: usize,
        status: u16,
        retry_in: Option<u64>,
        world: &dyn World,
        now: Stamp,
    ) {
        let io = &mut self.legs[i];
        if !std::mem::take(&mut io.offering) {
            return;
        }
        match retry_in {
            Some(micros) if status == 491 && io.tries < MAX_TRIES => {
                io.retry_at = Some(now.plus_ms(micros.div_ceil(1000)));
            }
            _ => {
                tracing::info!(conversation = %self.machine.id(), leg = i, status, "a party keeps its media");
                self.answer_waiting(i, world, now);
            }
        }
    }
}
