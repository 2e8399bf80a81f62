//! One leg's signalling: attempts over trunks, and what its SIP dialog reports.

use super::recover::{confirmed_ref, invite_ref};
use super::{FIRST_RESPONSE_MS, Incoming, Out, Owner, Permit, Way, World};
use std::collections::VecDeque;
use std::net::SocketAddr;
use strowger_core::call::{Failure, Input, LegFact, LegState, Target};
use strowger_core::event::Via;
use strowger_core::{LegSeq, Stamp};
use strowger_sip_core::sdp::{LocalMedia, Negotiated, Session};
use strowger_sip_core::{
    AckMode, Command as SipCommand, DialogHandle, EndCause, FailureKind, Invite, Party, Reason, SipEvent,
    Target as SipTarget, sdp,
};

/// A leg as the owner sees it.
pub(super) struct LegIo {
    /// The present dialog.
    pub handle: DialogHandle,
    /// True while the stack knows that dialog.
    pub in_dialog: bool,
    /// What carries it.
    pub via: Option<Via>,
    /// Its place on the trunk.
    pub permit: Option<Permit>,
    /// Ways not tried yet.
    pub ways: VecDeque<Way>,
    /// Our media address.
    pub media: Option<SocketAddr>,
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
    /// The number to show and the wanted target, for the next attempt.
    cli: Option<String>,
    /// Something came back for the present attempt.
    pub responded: bool,
    /// The far side alerts: no other trunk is tried any more.
    pub rang: bool,
    /// When another trunk is tried for want of any response.
    pub first_response_by: Option<Stamp>,
    /// Our 2xx to a re-INVITE or a late-offer INVITE carried an offer; the ACK brings the answer.
    pub answer_in_ack: bool,
    /// The device holds us.
    pub held: bool,
}

impl LegIo {
    fn outgoing(ways: Vec<Way>, cli: Option<String>, media: SocketAddr, session_id: u64) -> LegIo {
        LegIo {
            handle: DialogHandle(0),
            in_dialog: false,
            via: None,
            permit: None,
            ways: ways.into(),
            media: Some(media),
            session_id: session_id >> 2,
            version: 1,
            offer: None,
            remote_offer: None,
            agreed: None,
            described: None,
            cli,
            responded: false,
            rang: false,
            first_response_by: None,
            answer_in_ack: false,
            held: false,
        }
    }

    pub fn incoming(incoming: Incoming, media: SocketAddr, session_id: u64) -> LegIo {
        let remote_offer = incoming.invite.sdp.as_deref().and_then(|b| sdp::parse(b).ok());
        LegIo {
            handle: incoming.handle,
            in_dialog: true,
            via: Some(incoming.via),
            permit: incoming.permit,
            responded: true,
            remote_offer,
            ..LegIo::outgoing(Vec::new(), None, media, session_id)
        }
    }

    /// A leg that could not get a media port: it exists in the record and fails at once.
    fn without_media() -> LegIo {
        LegIo {
            media: None,
            ..LegIo::outgoing(Vec::new(), None, ([0, 0, 0, 0], 0).into(), 0)
        }
    }
}

impl Owner {
    /// Calls a party: opens its media and tries the ways in order.
    pub(super) fn dial(
        &mut self,
        leg: LegSeq,
        target: &Target,
        cli: Option<String>,
        inputs: &mut VecDeque<Input>,
        world: &dyn World,
        now: Stamp,
    ) {
        debug_assert_eq!(self.legs.len(), usize::from(leg.0));
        let fail = |failure| Input::Leg(leg, LegFact::Failed(failure));
        let ways = world.ways(self.tenant, target);
        if ways.is_empty() {
            self.legs.push(LegIo::without_media());
            inputs.push_back(fail(Failure::NoRoute));
            return;
        }
        let media = match world.open_media(self.key(), leg.0) {
            Ok(addr) => addr,
            Err(error) => {
                tracing::warn!(code = error.code(), "no media for a leg: {error}");
                self.legs.push(LegIo::without_media());
                inputs.push_back(fail(Failure::NoRoute));
                return;
            }
        };
        self.legs.push(LegIo::outgoing(ways, cli, media, world.random() as u64));
        if !self.attempt(usize::from(leg.0), inputs, world, now) {
            inputs.push_back(fail(Failure::NoRoute));
        }
    }

    /// Sends an INVITE over the next way that has room; false if there is none.
    fn attempt(&mut self, i: usize, inputs: &mut VecDeque<Input>, world: &dyn World, now: Stamp) -> bool {
        let (way, permit) = loop {
            let Some(way) = self.legs[i].ways.pop_front() else {
                return false;
            };
            if let Some(permit) = world.claim(way.via) {
                break (way, permit);
            }
        };
        let codecs = self.codecs_for(i, &way.codecs);
        let io = &mut self.legs[i];
        let Some(media) = io.media else { return false };
        let local = LocalMedia {
            codecs,
            ..LocalMedia::g711(media, io.session_id)
        };
        let offer = sdp::offer(&local);
        let host = world.host();
        let user = io.cli.as_deref().map(wire_number).unwrap_or_else(|| "anonymous".into());
        let (a, b) = (world.random(), world.random());
        let invite = Invite {
            handle: world.dialog_handle(),
            call_id: format!("{a:032x}@{host}"),
            local_tag: format!("{:016x}", b as u64),
            branch_stem: format!("{:016x}", (b >> 64) as u64),
            request_uri: way.uri.clone(),
            to: Party::new(way.uri.clone()),
            from: Party::new(format!("sip:{user}@{host}")),
            headers: Vec::new(),
            destination: SipTarget::udp(way.destination),
            local: None,
            sdp: Some(offer.to_string().into_bytes().into()),
            credentials: way.credentials.clone(),
            // A process that dies between the 2xx and its commit must not leave a confirmed dialog behind.
            ack: AckMode::OnCommand,
            route: Vec::new(),
            contact_user: None,
            reliable: Default::default(),
        };
        let dialog = Box::new(invite_ref(&invite.snapshot()));
        io.handle = invite.handle;
        io.in_dialog = true;
        io.via = Some(way.via);
        io.permit = Some(permit);
        io.offer = Some(offer.clone());
        io.described = Some(offer);
        io.responded = false;
        io.first_response_by = if io.ways.is_empty() {
            None
        } else {
            Some(now.plus_ms(FIRST_RESPONSE_MS))
        };
        inputs.push_back(Input::Leg(LegSeq(i as u16), LegFact::Attempt { via: way.via, dialog }));
        self.turn.wait = true;
        self.turn.out.push(Out::Claim(invite.handle));
        self.turn.out.push(Out::Sip(SipCommand::Invite(Box::new(invite))));
        true
    }

    /// True while the conversation still wants this leg to come up.
    fn is_wanted(&self, i: usize) -> bool {
        let state = self.machine.leg_state(LegSeq(i as u16));
        matches!(state, Some(LegState::Trying | LegState::Ringing))
    }

    /// Nothing at all came back: the next trunk is tried, inside the same leg (domain-model §5.5). With none left, or
    /// none that has room, the attempt goes on.
    pub(super) fn no_first_response(&mut self, i: usize, world: &dyn World, now: Stamp) {
        self.legs[i].first_response_by = None;
        if self.legs[i].responded || !self.is_wanted(i) {
            return;
        }
        let (old, via) = (self.legs[i].handle, self.legs[i].via);
        let permit = self.legs[i].permit.take();
        let before = self.turn.out.len();
        let mut inputs = VecDeque::new();
        if !self.attempt(i, &mut inputs, world, now) {
            self.legs[i].permit = permit;
            return;
        }
        self.turn
            .out
            .insert(before, Out::Sip(SipCommand::Abandon { handle: old }));
        self.next_attempt(i, via, 0, inputs, world, now);
    }

    /// Tries the next way after a final failure; false if there is none, or nobody waits for the leg any more.
    fn fail_over(&mut self, i: usize, status: u16, world: &dyn World, now: Stamp) -> bool {
        if !self.is_wanted(i) {
            return false;
        }
        let via = self.legs[i].via;
        self.legs[i].in_dialog = false;
        self.legs[i].permit = None;
        let mut inputs = VecDeque::new();
        let tried = self.attempt(i, &mut inputs, world, now);
        if tried {
            self.next_attempt(i, via, status, inputs, world, now);
        }
        tried
    }

    fn next_attempt(
        &mut self,
        i: usize,
        failed: Option<Via>,
        status: u16,
        mut inputs: VecDeque<Input>,
        world: &dyn World,
        now: Stamp,
    ) {
        if let Some(via) = failed {
            inputs.push_front(Input::Leg(LegSeq(i as u16), LegFact::AttemptFailed { via, status }));
        }
        for input in inputs {
            self.feed(input, world, now);
        }
    }

    pub(super) fn sip_event(&mut self, i: usize, event: SipEvent, world: &dyn World, now: Stamp) {
        let terminal = event.is_terminal();
        self.legs[i].responded = true;
        self.legs[i].first_response_by = None;
        if terminal {
            self.legs[i].in_dialog = false;
        }
        match event {
            SipEvent::Trying | SipEvent::Challenged { .. } => {}
            SipEvent::Provisional { status, sdp, .. } => {
                if let Some(body) = sdp {
                    self.take_answer(i, &body);
                }
                if matches!(status, 180 | 183) {
                    self.legs[i].rang = true;
                    self.fact(i, LegFact::Ringing, world, now);
                }
            }
            SipEvent::Answered { sdp, snapshot, .. } => self.answered(i, sdp, *snapshot, world, now),
            SipEvent::Failed(failure) => {
                let status = failure.status;
                let retry = matches!(status, 408 | 500..=599) && !self.legs[i].rang;
                if retry && self.fail_over(i, status, world, now) {
                    return;
                }
                let q850 = q850_of(&failure.reasons);
                let failure = match failure.kind {
                    FailureKind::TransactionTimeout => Failure::NoResponse,
                    FailureKind::Response => Failure::Status { status, q850 },
                    FailureKind::TransportError | FailureKind::Refused => Failure::NoRoute,
                };
                self.failed(i, failure, world, now);
            }
            SipEvent::CancelledByPeer { .. } => self.fact(i, LegFact::Cancelled, world, now),
            SipEvent::AckReceived { sdp } => self.ack_received(i, sdp, world, now),
            SipEvent::NoAck => self.fact(i, LegFact::Lost, world, now),
            SipEvent::ReInviteReceived { sdp } => self.reinvite(i, sdp, world, now),
            SipEvent::ByeReceived { reasons } => {
                self.fact(
                    i,
                    LegFact::HungUp {
                        q850: q850_of(&reasons),
                    },
                    world,
                    now,
                );
            }
            SipEvent::Ended { cause } => {
                let fact = match cause {
                    EndCause::PeerLost | EndCause::NoAck | EndCause::SessionExpired => LegFact::Lost,
                    _ => LegFact::Released,
                };
                self.fact(i, fact, world, now);
            }
            SipEvent::InfoReceived { content_type, body } => {
                if let Some(digit) = info_digit(&content_type, &body) {
                    self.fact(i, LegFact::Digit(digit), world, now);
                }
            }
            SipEvent::CommandRefused { command, why } => self.command_refused(i, command, why, world, now),
            SipEvent::Incoming(_)
            | SipEvent::ReInviteCancelled
            | SipEvent::ReInviteAnswered { .. }
            | SipEvent::ReInviteFailed { .. }
            | SipEvent::InfoResult { .. }
            | SipEvent::OptionsResult { .. }
            | SipEvent::PrackReceived { .. }
            | SipEvent::UpdateReceived { .. }
            | SipEvent::UpdateAnswered { .. }
            | SipEvent::UpdateFailed { .. }
            | SipEvent::ReferReceived { .. }
            | SipEvent::ReferResult { .. }
            | SipEvent::ReferProgress { .. }
            | SipEvent::SessionRefreshed { .. }
            | SipEvent::Request(_)
            | SipEvent::RequestExpired
            | SipEvent::RegisterResult(_) => {}
        }
    }

    fn command_refused(
        &mut self,
        i: usize,
        command: strowger_sip_core::CommandKind,
        why: strowger_sip_core::Refusal,
        world: &dyn World,
        now: Stamp,
    ) {
        use strowger_sip_core::CommandKind as K;
        match command {
            // The dialog ended by itself while our command was on its way: its terminal event was, or will be, told.
            K::Bye | K::Cancel | K::Abandon => {
                if why == strowger_sip_core::Refusal::UnknownHandle {
                    self.legs[i].in_dialog = false;
                    self.fact(i, LegFact::Released, world, now);
                }
            }
            K::Invite => {
                self.legs[i].in_dialog = false;
                if !self.fail_over(i, 0, world, now) {
                    self.failed(i, Failure::NoRoute, world, now);
                }
            }
            _ => tracing::debug!(?command, ?why, "the stack refused a command"),
        }
    }

    fn answered(
        &mut self,
        i: usize,
        sdp: Option<bytes::Bytes>,
        snapshot: strowger_sip_core::ConfirmedSnapshot,
        world: &dyn World,
        now: Stamp,
    ) {
        if let Some(body) = sdp {
            self.take_answer(i, &body);
        }
        let handle = self.legs[i].handle;
        if self.legs[i].agreed.is_none() {
            // No answer that we can use: the leg was never part of the call.
            self.turn.out.push(Out::Sip(SipCommand::Ack { handle, sdp: None }));
            self.turn.out.push(Out::Sip(SipCommand::Bye {
                handle,
                reason: Some(Reason::q850(88, "incompatible")),
            }));
            self.legs[i].in_dialog = false;
            self.failed(i, Failure::Media, world, now);
            return;
        }
        let dialog = Some(Box::new(confirmed_ref(&snapshot)));
        // The answer is committed before it is acknowledged; a leg that is being cancelled is not acknowledged here,
        // the stack does that itself.
        self.turn.wait = true;
        self.turn.out.push(Out::Sip(SipCommand::Ack { handle, sdp: None }));
        self.fact(i, LegFact::Answered { dialog }, world, now);
    }
}

/// A number as it goes on the wire: without the separators that people write.
fn wire_number(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_digit() || *c == '+').collect()
}

fn q850_of(reasons: &[Reason]) -> u8 {
    reasons
        .iter()
        .find(|r| r.is_q850())
        .and_then(|r| r.cause)
        .and_then(|c| u8::try_from(c).ok())
        .unwrap_or(0)
}

/// A digit in the usual INFO bodies: `Signal=5` (dtmf-relay) or the bare digit (dtmf).
fn info_digit(content_type: &str, body: &[u8]) -> Option<char> {
    let text = std::str::from_utf8(body.get(..body.len().min(256))?).ok()?;
    let signal = match content_type {
        "application/dtmf-relay" => text
            .lines()
            .filter_map(|l| l.split_once('='))
            .find(|(k, _)| k.trim().eq_ignore_ascii_case("signal"))
            .map(|(_, v)| v.trim())?,
        "application/dtmf" => text.trim(),
        _ => return None,
    };
    match signal {
        "10" => Some('*'),
        "11" => Some('#'),
        s => s
            .chars()
            .next()
            .filter(|c| matches!(c, '0'..='9' | '*' | '#' | 'A'..='D')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn info_bodies_in_the_wild() {
        assert_eq!(
            info_digit("application/dtmf-relay", b"Signal= 5\r\nDuration= 160\r\n"),
            Some('5')
        );
        assert_eq!(info_digit("application/dtmf-relay", b"signal=11\n"), Some('#'));
        assert_eq!(info_digit("application/dtmf", b"*"), Some('*'));
        assert_eq!(info_digit("text/plain", b"5"), None);
        assert_eq!(info_digit("application/dtmf", b""), None);
        assert_eq!(info_digit("application/dtmf", &[0xff]), None);
    }
}
