//! The video of a talk: each party is told what the other one has, and what one changes the other is asked about before the
//! change is answered.

use super::ends::Ends;
use super::leg::LegIo;
use super::{Out, Owner, World};
use bytes::Bytes;
use strowger_core::{LegSeq, Stamp};
use strowger_media::{Command as MediaCommand, Video, VideoCodec};
use strowger_sip_core::sdp::{AgreedVideo, Direction, LocalVideo, Session, VideoSide};

/// What is offered to a party whose partner says this. Pages take a stream that only sends for a party on hold (JsSIP), so it is
/// offered both ways, and one that does neither is not offered.
fn offered(partner: Direction) -> Option<Direction> {
    match partner {
        Direction::SendRecv | Direction::SendOnly => Some(Direction::SendRecv),
        Direction::RecvOnly => Some(Direction::RecvOnly),
        Direction::Inactive => None,
    }
}

impl Owner {
    fn partner(&self, i: usize) -> Option<(usize, &LegIo)> {
        let p = usize::from(self.machine.peer(LegSeq(i as u16))?.0);
        self.legs.get(p).map(|io| (p, io))
    }

    fn local_video(
        &self,
        i: usize,
        ends: &Ends,
        direction: impl Fn(Direction) -> Option<Direction>,
    ) -> Option<Box<LocalVideo>> {
        let web = ends.web.as_ref()?;
        let side = self.partner(i)?.1.video.as_ref()?;
        Some(Box::new(LocalVideo {
            codecs: side.codecs.clone(),
            extensions: side.extensions.clone(),
            direction: direction(side.direction)?,
            ssrcs: web.video,
        }))
    }

    /// The video of an offer to leg `i`.
    pub(super) fn video_to_offer(&self, i: usize, ends: &Ends) -> Option<Box<LocalVideo>> {
        self.local_video(i, ends, offered)
    }

    /// The video of an answer to leg `i`.
    pub(super) fn video_to_answer(&self, i: usize, ends: &Ends) -> Option<Box<LocalVideo>> {
        self.local_video(i, ends, Some)
    }

    /// Tells the media engine what was agreed about the video of leg `i`.
    pub(super) fn configure_video(&mut self, i: usize, agreed: Option<&AgreedVideo>) {
        let io = &mut self.legs[i];
        io.video = agreed.map(AgreedVideo::side);
        let video = agreed.zip(io.ends.web.as_ref()).map(|(agreed, web)| Video {
            codecs: agreed
                .codecs
                .iter()
                .map(|c| VideoCodec {
                    encoding: c.theirs.key(),
                    send: (c.theirs.codec.payload_type, c.theirs.rtx),
                    receive: (c.receive, c.receive_rtx),
                })
                .collect(),
            extensions: agreed.extensions.clone(),
            ssrc: web.video[0],
            rtx_ssrc: web.video[1],
            send: agreed.direction.sends(),
            recv: agreed.direction.receives(),
        });
        let shown = std::mem::replace(&mut io.shows, video.is_some());
        if shown || io.shows {
            let leg = i as u16;
            self.turn.out.push(Out::Media(MediaCommand::Video { leg, video }));
        }
    }

    /// Asks the partner of leg `i`, who changes its video by this offer, what it says to that. False if there is nothing to ask:
    /// then the offer is answered at once.
    pub(super) fn ask_partner(&mut self, i: usize, body: &Bytes, offer: &Session) -> bool {
        let Some((p, partner)) = self.partner(i) else {
            return false;
        };
        let held = offer
            .audio()
            .is_none_or(|(_, media)| !offer.direction_of(media).receives());
        let busy = partner.offering || partner.answer_in_ack || partner.waiting.is_some();
        let talking = partner.in_dialog && partner.agreed.is_some() && partner.ends.web.is_some();
        if held || partner.held || busy || !talking || self.legs[i].ends.web.is_none() {
            return false;
        }
        let wanted = VideoSide::of(offer);
        let told = partner
            .described
            .as_ref()
            .and_then(VideoSide::of)
            .map(|side| side.direction);
        if wanted.as_ref().and_then(|side| offered(side.direction)) == told.and_then(offered) {
            return false;
        }
        self.legs[i].video = wanted;
        self.legs[i].waiting = Some(body.clone());
        self.legs[p].tries = 0;
        self.offer_again(p);
        // One that cannot be asked has nothing to say.
        self.legs[p].offering || self.legs[i].waiting.take().is_none()
    }

    /// Leg `p` has said what it says to an offer, or says nothing any more: whoever waits for it is answered.
    pub(super) fn answer_waiting(&mut self, p: usize, world: &dyn World, now: Stamp) {
        let waits =
            |l: &usize| self.legs[*l].waiting.is_some() && self.partner(*l).is_some_and(|(other, _)| other == p);
        let Some(i) = (0..self.legs.len()).find(waits) else {
            return;
        };
        if let Some(body) = self.legs[i].waiting.take() {
            self.answer_offer(i, &body, world, now);
        }
    }
}
