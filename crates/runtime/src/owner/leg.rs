//! One leg's signalling: what its SIP dialog reports.

use super::branch::{Branch, Outcome};
use super::ends::Ends;
use super::way::Line;
use super::{Incoming, Owner, Permit, World};
use bytes::Bytes;
use std::collections::VecDeque;
use std::net::SocketAddr;
use strowger_core::Stamp;
use strowger_core::call::{LegFact, Listening};
use strowger_core::event::Via;
use strowger_media::Listen;
use strowger_media_core::press::Presses;
use strowger_sip_core::sdp::{self, Negotiated, Session, VideoSide};
use strowger_sip_core::{CommandKind, DialogHandle, EndCause, Reason, Refusal, SipEvent};

/// A leg as the owner sees it.
pub(super) struct LegIo {
    /// The dialog: of an incoming leg, or of an outgoing one that was answered. Zero before that.
    pub handle: DialogHandle,
    /// True while the stack knows that dialog.
    pub in_dialog: bool,
    /// What carries it.
    pub via: Option<Via>,
    /// Its place on the trunk.
    pub permit: Option<Permit>,
    /// The media engine has this leg.
    pub opened: bool,
    /// The address of its port pair, if it has one.
    pub pair: Option<SocketAddr>,
    /// What our description says: of the dialog, or of the early dialog that is heard.
    pub ends: Ends,
    /// Identity of our session description.
    pub session_id: u64,
    /// Version of our newest session description.
    pub version: u64,
    /// Our newest offer that awaits its answer, or was answered.
    pub offer: Option<Session>,
    /// The far side's offer, for an incoming leg.
    pub remote_offer: Option<Session>,
    /// What was agreed.
    pub agreed: Option<Negotiated>,
    /// Our newest description as sent, to repeat it unchanged.
    pub described: Option<Session>,
    /// Our 2xx to a re-INVITE or a late-offer INVITE carried an offer; the ACK brings the answer.
    pub answer_in_ack: bool,
    /// The device holds us, or is a browser that is away.
    pub held: bool,
    /// Until when a browser that is not heard any more may come back.
    pub away_until: Option<Stamp>,
    /// The number to show.
    pub cli: Option<String>,
    /// What every INVITE of this leg says besides.
    pub headers: Vec<(String, String)>,
    /// Ways that are not tried yet.
    pub groups: VecDeque<Vec<Line>>,
    /// INVITEs without a final response, side by side.
    pub branches: Vec<Branch>,
    /// INVITEs that were given up and are not over yet.
    pub lost: Vec<Branch>,
    /// When the next group is tried although this one rings.
    pub group_by: Option<Stamp>,
    /// The early dialog that is heard.
    pub heard: Option<(DialogHandle, String)>,
    /// The best of the failures so far.
    pub best: Option<Outcome>,
    /// Request-URIs that were called, lower case: a call is not sent in circles.
    pub tried: Vec<String>,
    /// How often devices sent the call on.
    pub diversions: u8,
    /// The REFER of this leg that was accepted last.
    pub refer: Option<u32>,
    /// An offer of ours is under way in the running dialog.
    pub offering: bool,
    /// How often it was tried.
    pub tries: u8,
    /// When it is tried again.
    pub retry_at: Option<Stamp>,
    /// What the party pressed, however it was reported.
    pub presses: Presses,
    /// What the conversation has it listened to for.
    pub listening: Listening,
    /// What the media engine was told to listen for.
    pub listens: Listen,
    /// What the far side has of video, for the party on the other side: as offered, then as agreed.
    pub video: Option<VideoSide>,
    /// The media engine has a video of this leg.
    pub shows: bool,
    /// The far side's offer, while its partner is asked about the video in it.
    pub waiting: Option<Bytes>,
}

/// What a handle is to a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Its dialog.
    Dialog,
    /// An INVITE without a final response, by position.
    Branch(usize),
    /// An INVITE that was given up, by position.
    Lost(usize),
}

impl LegIo {
    pub fn outgoing(cli: Option<String>, session_id: u64) -> LegIo {
        LegIo {
            session_id: session_id >> 2,
            version: 1,
            cli,
            ..LegIo::without_media()
        }
    }

    pub fn incoming(incoming: Incoming, ends: Ends, session_id: u64) -> LegIo {
        let remote_offer = incoming.invite.sdp.as_deref().and_then(|b| sdp::parse(b).ok());
        LegIo {
            handle: incoming.handle,
            in_dialog: true,
            via: Some(incoming.via),
            permit: incoming.permit,
            video: remote_offer.as_ref().and_then(VideoSide::of),
            remote_offer,
            opened: true,
            pair: ends.rtp,
            ends,
            ..LegIo::outgoing(None, session_id)
        }
    }

    /// A leg that could not get media: it exists in the record and fails at once.
    pub fn without_media() -> LegIo {
        LegIo {
            handle: DialogHandle(0),
            in_dialog: false,
            via: None,
            permit: None,
            opened: false,
            pair: None,
            ends: Ends::default(),
            session_id: 0,
            version: 0,
            offer: None,
            remote_offer: None,
            agreed: None,
            described: None,
            answer_in_ack: false,
            held: false,
            away_until: None,
            cli: None,
            headers: Vec::new(),
            groups: VecDeque::new(),
            branches: Vec::new(),
            lost: Vec::new(),
            group_by: None,
            heard: None,
            best: None,
            tried: Vec::new(),
            diversions: 0,
            refer: None,
            offering: false,
            tries: 0,
            retry_at: None,
            presses: Presses::default(),
            listening: Listening::Nothing,
            listens: Listen::default(),
            video: None,
            shows: false,
            waiting: None,
        }
    }

    /// The next moment at which its signalling wants to be looked at.
    pub fn next_deadline(&self) -> Option<Stamp> {
        let branches = self.branches.iter().filter_map(|b| b.first_response_by);
        let others = [self.group_by, self.retry_at, self.away_until];
        branches.chain(others.into_iter().flatten()).min()
    }

    /// The leg is over: its places are free. INVITEs that were given up may still be on their way out.
    pub fn release(&mut self) {
        self.permit = None;
        self.groups.clear();
        self.group_by = None;
        self.retry_at = None;
        self.away_until = None;
        for branch in self.branches.iter_mut().chain(&mut self.lost) {
            branch.permit = None;
            branch.first_response_by = None;
        }
    }
}

impl Owner {
    /// The leg that a handle belongs to.
    pub(super) fn find(&self, handle: DialogHandle) -> Option<(usize, Place)> {
        self.legs.iter().enumerate().find_map(|(i, l)| {
            if l.handle == handle {
                return Some((i, Place::Dialog));
            }
            let at = |all: &[Branch]| all.iter().position(|b| b.handle == handle);
            let place = at(&l.branches).map(Place::Branch);
            Some((i, place.or_else(|| at(&l.lost).map(Place::Lost))?))
        })
    }

    pub(super) fn sip_event(&mut self, i: usize, event: SipEvent, world: &dyn World, now: Stamp) {
        if event.is_terminal() {
            self.legs[i].in_dialog = false;
            self.legs[i].waiting = None;
            self.answer_waiting(i, world, now);
        }
        match event {
            SipEvent::CancelledByPeer { .. } => self.fact(i, LegFact::Cancelled, world, now),
            SipEvent::AckReceived { sdp } => self.ack_received(i, sdp, world, now),
            SipEvent::NoAck => self.fact(i, LegFact::Lost, world, now),
            SipEvent::ReInviteReceived { sdp } => self.reinvite(i, sdp, world, now),
            SipEvent::ReInviteCancelled => self.legs[i].waiting = None,
            SipEvent::UpdateReceived { tag, sdp } => self.update(i, tag, &sdp, world, now),
            SipEvent::PrackReceived { sdp, answer_needed } => self.pracked(i, sdp, answer_needed, world, now),
            SipEvent::ReInviteAnswered { sdp, ack_needed } => self.offer_answered(i, sdp, ack_needed, world, now),
            SipEvent::ReInviteFailed { status, retry_in } => self.offer_refused(i, status, retry_in, world, now),
            SipEvent::SessionRefreshed { sdp } => self.refreshed(i, sdp, world, now),
            SipEvent::ReferReceived {
                id,
                refer_to,
                referred_by,
            } => self.refer(i, id, &refer_to, referred_by, world, now),
            SipEvent::ByeReceived { reasons } => {
                let q850 = q850_of(&reasons);
                self.fact(i, LegFact::HungUp { q850 }, world, now);
            }
            SipEvent::Ended { cause } => {
                let fact = match cause {
                    EndCause::PeerLost | EndCause::NoAck | EndCause::SessionExpired => LegFact::Lost,
                    _ => LegFact::Released,
                };
                self.fact(i, fact, world, now);
            }
            SipEvent::InfoReceived { content_type, body } => {
                self.info(i, &content_type, &body, world, now);
            }
            SipEvent::CommandRefused { command, why } => self.command_refused(i, command, why, world, now),
            // Of an INVITE that has no dialog yet, of requests that we do not send, or nothing to us.
            SipEvent::Trying
            | SipEvent::Challenged { .. }
            | SipEvent::Provisional { .. }
            | SipEvent::Answered { .. }
            | SipEvent::Failed(_)
            | SipEvent::Incoming(_)
            | SipEvent::InfoResult { .. }
            | SipEvent::OptionsResult { .. }
            | SipEvent::UpdateAnswered { .. }
            | SipEvent::UpdateFailed { .. }
            | SipEvent::ReferResult { .. }
            | SipEvent::ReferProgress { .. }
            | SipEvent::Request(_)
            | SipEvent::RequestExpired
            | SipEvent::RegisterResult(_) => {}
        }
    }

    fn command_refused(&mut self, i: usize, command: CommandKind, why: Refusal, world: &dyn World, now: Stamp) {
        use CommandKind as K;
        match command {
            // The dialog ended by itself while our command was on its way: its terminal event was, or will be, told.
            K::Bye | K::Cancel => {
                if why == Refusal::UnknownHandle {
                    self.legs[i].in_dialog = false;
                    self.fact(i, LegFact::Released, world, now);
                }
            }
            // The caller was gone before we answered it.
            K::Respond if why == Refusal::UnknownHandle => {
                self.legs[i].in_dialog = false;
                self.fact(i, LegFact::Lost, world, now);
            }
            K::ReInvite => self.offer_refused(i, 491, Some(2_000_000), world, now),
            _ => tracing::debug!(?command, ?why, "the stack refused a command"),
        }
    }

    pub(super) fn watched(&mut self, i: usize, watched: bool, world: &dyn World, now: Stamp) {
        if watched {
            self.fact(i, LegFact::Watched(true), world, now);
        }
    }

    /// The session timer runs: a device that is gone is found out.
    fn refreshed(&mut self, i: usize, body: Option<bytes::Bytes>, world: &dyn World, now: Stamp) {
        self.fact(i, LegFact::Watched(true), world, now);
        if let Some(body) = body {
            let offer = self.legs[i].described.clone();
            if offer.is_some() {
                self.legs[i].offer = offer;
                self.take_answer(i, &body);
                self.hold_facts(i, world, now);
            }
        }
    }
}

/// The user part that shows who calls: a number without the separators that people write, a user name as it is, and
/// nobody where neither can be written.
pub(super) fn wire_user(text: &str) -> String {
    let is_name = text.chars().any(char::is_alphabetic);
    let user: String = if is_name {
        text.to_owned()
    } else {
        // Stars are of a number that its receiver may not see.
        let kept = |c: &char| c.is_ascii_digit() || matches!(*c, '+' | '*');
        text.chars().filter(kept).collect()
    };
    let written = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '_' | '*');
    if user.is_empty() || !user.chars().all(written) {
        return "anonymous".into();
    }
    user
}

pub(super) fn q850_of(reasons: &[Reason]) -> u8 {
    reasons
        .iter()
        .find(|r| r.is_q850())
        .and_then(|r| r.cause)
        .and_then(|c| u8::try_from(c).ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_calls_can_always_be_written() {
        assert_eq!(wire_user("+86 10-5550"), "+86105550");
        assert_eq!(wire_user("bob.2"), "bob.2");
        assert_eq!(wire_user("x>\r\ny"), "anonymous");
        assert_eq!(wire_user("()"), "anonymous");
    }
}
