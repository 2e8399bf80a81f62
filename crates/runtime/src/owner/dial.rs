//! Calling a party: ways tried in order and side by side, until one is answered or none is left (RFC 3261 §16.7,
//! domain-model I15 and §5.5).

use super::branch::{Branch, Outcome};
use super::leg::{LegIo, q850_of, wire_user};
use super::presentation::{self, Presentation};
use super::recover::{confirmed_ref, invite_ref};
use super::way::{Line, groups_of};
use super::{DialogName, Diversion, FIRST_RESPONSE_MS, Out, Owner, Way, World, reason_of};
use bytes::Bytes;
use std::collections::VecDeque;
use strowger_core::call::{Failure, Input, LegFact, LegState, Target};
use strowger_core::event::Via;
use strowger_core::{Cause, LegSeq, Stamp};
use strowger_sip_core::sdp::{self, LocalMedia, Negotiated};
use strowger_sip_core::{
    AckMode, Command as SipCommand, CommandKind, ConfirmedSnapshot, DialogHandle, Failure as SipFailure, FailureKind,
    Invite, Party, Reason, Refusal, Reliable, SipEvent,
};

/// Most diversions of one leg.
const MAX_DIVERSIONS: u8 = 5;

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
        // A transfer brings what its INVITE has to say, and its way if that is not found by the target.
        let (ways, headers) = match &mut self.asking {
            Some(asking) => (asking.ways.take(), std::mem::take(&mut asking.headers)),
            None => (None, Vec::new()),
        };
        let ways = ways.unwrap_or_else(|| world.ways(self.tenant, target));
        if ways.is_empty() {
            self.legs.push(LegIo::without_media());
            inputs.push_back(fail(Failure::NoRoute));
            return;
        }
        let mut io = LegIo::outgoing(cli, world.random() as u64);
        io.groups = groups_of(ways);
        io.headers = headers;
        self.legs.push(io);
        if !self.next_group(usize::from(leg.0), inputs, world, now) {
            inputs.push_back(fail(Failure::NoRoute));
        }
    }

    /// Sends an INVITE over every line of the next group that has room; false if no group has any.
    fn next_group(&mut self, i: usize, inputs: &mut VecDeque<Input>, world: &dyn World, now: Stamp) -> bool {
        while let Some(lines) = self.legs[i].groups.pop_front() {
            let ring_secs = lines.iter().flatten().map(|w| w.ring_secs).max().unwrap_or(0);
            let mut started = false;
            for line in lines {
                started |= self.start(i, line, inputs, world, now);
            }
            if started {
                let limited = ring_secs > 0 && !self.legs[i].groups.is_empty();
                self.legs[i].group_by = limited.then(|| now.plus_secs(u64::from(ring_secs)));
                return true;
            }
        }
        false
    }

    /// Sends an INVITE over the first way of a line that has room; false if there is none.
    fn start(&mut self, i: usize, mut line: Line, inputs: &mut VecDeque<Input>, world: &dyn World, now: Stamp) -> bool {
        let (way, permit, ends) = loop {
            let Some(way) = line.pop_front() else { return false };
            if let Some(permit) = world.claim(way.via)
                && let Some(ends) = self.ends_for(i, way.media, world)
            {
                break (way, permit, ends);
            }
        };
        let codecs = self.codecs_for(i, &way.codecs);
        let video = self.video_to_offer(i, &ends);
        let presented = self.presented.as_deref();
        let io = &mut self.legs[i];
        let Some(local) = ends.local(codecs, io.session_id, 1) else {
            return false;
        };
        let local = LocalMedia { video, ..local };
        let offer = sdp::offer(&local);
        let invite = invite_over(&way, io, offer.to_string().into(), presented, world);
        let dialog = Box::new(invite_ref(&invite.snapshot()));
        let elsewhere = !line.is_empty() || !io.groups.is_empty();
        io.tried.push(way.uri.to_ascii_lowercase());
        io.branches.push(Branch {
            handle: invite.handle,
            via: way.via,
            target: way.target,
            uri: way.uri,
            call_id: invite.call_id.clone(),
            permit: Some(permit),
            line,
            offer,
            ends,
            version: 1,
            early: Vec::new(),
            responded: false,
            rang: false,
            first_response_by: elsewhere.then(|| now.plus_ms(FIRST_RESPONSE_MS)),
        });
        inputs.push_back(Input::Leg(LegSeq(i as u16), LegFact::Attempt { via: way.via, dialog }));
        self.turn.wait = true;
        let name = DialogName {
            call_id: invite.call_id.clone(),
            local_tag: invite.local_tag.clone(),
        };
        self.turn.out.push(Out::Claim(invite.handle, name));
        self.turn.out.push(Out::Sip(SipCommand::Invite(Box::new(invite))));
        true
    }

    /// True while the conversation still wants this leg to come up.
    fn is_wanted(&self, i: usize) -> bool {
        let state = self.machine.leg_state(LegSeq(i as u16));
        matches!(state, Some(LegState::Trying | LegState::Ringing))
    }

    /// Deadlines of a leg's signalling.
    pub(super) fn leg_tick(&mut self, i: usize, world: &dyn World, now: Stamp) {
        let late = |at: Option<Stamp>| at.is_some_and(|at| at <= now);
        let due: Vec<_> = self.legs[i]
            .branches
            .iter()
            .filter(|b| late(b.first_response_by))
            .map(|b| b.handle)
            .collect();
        for handle in due {
            if let Some(b) = self.legs[i].branches.iter().position(|b| b.handle == handle) {
                self.no_first_response(i, b, world, now);
            }
        }
        if late(self.legs[i].group_by) {
            self.legs[i].group_by = None;
            self.group_timeout(i, world, now);
        }
        if late(self.legs[i].away_until) {
            self.legs[i].away_until = None;
            self.fact(i, LegFact::Lost, world, now);
        }
        if late(self.legs[i].retry_at) {
            self.legs[i].retry_at = None;
            self.offer_again(i);
        }
    }

    /// Nothing at all came back: the next way is tried, inside the same leg (domain-model §5.5). With none left, or
    /// none that has room, the attempt goes on.
    fn no_first_response(&mut self, i: usize, b: usize, world: &dyn World, now: Stamp) {
        let branch = &mut self.legs[i].branches[b];
        branch.first_response_by = None;
        if branch.responded || !self.is_wanted(i) {
            return;
        }
        let mut inputs = VecDeque::new();
        let before = self.turn.out.len();
        let line = std::mem::take(&mut self.legs[i].branches[b].line);
        let silent = if !line.is_empty() {
            if !self.start(i, line, &mut inputs, world, now) {
                return;
            }
            vec![self.legs[i].branches.remove(b)]
        } else {
            if self.legs[i].branches.iter().any(|b| b.responded) {
                return;
            }
            let silent = std::mem::take(&mut self.legs[i].branches);
            if !self.next_group(i, &mut inputs, world, now) {
                self.legs[i].branches = silent;
                return;
            }
            silent
        };
        for branch in silent {
            world.unreachable(branch.target);
            let handle = branch.handle;
            self.turn.out.insert(before, Out::Sip(SipCommand::Abandon { handle }));
            inputs.push_front(attempt_failed(i, &branch, 0));
        }
        self.feed_all(inputs, world, now);
    }

    /// The group has rung long enough: the next one rings instead.
    fn group_timeout(&mut self, i: usize, world: &dyn World, now: Stamp) {
        if !self.is_wanted(i) {
            return;
        }
        let mut inputs = VecDeque::new();
        let ringing = std::mem::take(&mut self.legs[i].branches);
        if self.next_group(i, &mut inputs, world, now) {
            let fresh = std::mem::replace(&mut self.legs[i].branches, ringing);
            let by = self.legs[i].group_by;
            self.legs[i].give_up(&reason_of(Cause::NoAnswer), &mut self.turn.out);
            self.legs[i].branches = fresh;
            self.legs[i].group_by = by;
            self.legs[i].heard = None;
            self.feed_all(inputs, world, now);
        } else {
            self.legs[i].branches = ringing;
        }
    }

    fn feed_all(&mut self, inputs: VecDeque<Input>, world: &dyn World, now: Stamp) {
        for input in inputs {
            self.feed(input, world, now);
        }
    }

    /// Gives up every INVITE of a leg; false if there is none.
    pub(super) fn cancel_branches(&mut self, i: usize, reason: &Reason) -> bool {
        let Some(io) = self.legs.get_mut(i) else { return false };
        io.groups.clear();
        io.give_up(reason, &mut self.turn.out);
        !io.lost.is_empty()
    }

    /// Something happened to an INVITE that has no final response yet.
    pub(super) fn branch_event(&mut self, i: usize, b: usize, event: SipEvent, world: &dyn World, now: Stamp) {
        let branch = &mut self.legs[i].branches[b];
        branch.responded = true;
        branch.first_response_by = None;
        match event {
            SipEvent::Provisional { status, sdp, tag, .. } => {
                if let Some(body) = sdp
                    && let Some(agreed) = branch.negotiate(&body)
                {
                    self.early_media(i, b, &tag, agreed);
                }
                if matches!(status, 180 | 183) {
                    self.legs[i].branches[b].rang = true;
                    self.fact(i, LegFact::Ringing, world, now);
                }
            }
            SipEvent::Answered { sdp, tag, snapshot, .. } => {
                self.branch_answered(i, b, sdp.as_ref(), &tag, &snapshot, world, now)
            }
            SipEvent::Failed(failure) => self.branch_failed(i, b, &failure, world, now),
            SipEvent::Ended { .. } => {
                self.legs[i].branches.remove(b);
                self.branch_gone(i, world, now);
            }
            SipEvent::UpdateReceived { tag, sdp } => self.early_update(i, b, tag, &sdp),
            SipEvent::CommandRefused {
                command: CommandKind::Invite,
                ..
            } => {
                let refused = SipFailure {
                    kind: FailureKind::Refused,
                    status: 0,
                    phrase: String::new(),
                    reasons: Vec::new(),
                    contacts: Vec::new(),
                    retry_after: None,
                    after: 0,
                };
                self.branch_failed(i, b, &refused, world, now);
            }
            _ => {}
        }
    }

    /// The first of all early dialogs that sends usable media is heard, until one of them answers.
    fn early_media(&mut self, i: usize, b: usize, tag: &str, agreed: Negotiated) {
        let io = &mut self.legs[i];
        let branch = &mut io.branches[b];
        branch.remember(tag, agreed.clone());
        let handle = branch.handle;
        let heard = io.heard.get_or_insert_with(|| (handle, tag.to_owned()));
        if *heard == (handle, tag.to_owned()) {
            io.ends = branch.ends.clone();
            self.configure(i, agreed);
        }
    }

    /// The branch that was heard is over: another one that sends media is heard instead.
    fn unhear(&mut self, i: usize, gone: DialogHandle) {
        let io = &mut self.legs[i];
        if io.heard.as_ref().is_none_or(|(handle, _)| *handle != gone) {
            return;
        }
        let next = io.branches.iter().find_map(|b| {
            let (tag, agreed) = b.early.first()?;
            Some(((b.handle, tag.clone()), agreed.clone(), b.ends.clone()))
        });
        io.heard = next.as_ref().map(|(dialog, ..)| dialog.clone());
        if let Some((_, agreed, ends)) = next {
            io.ends = ends;
            self.configure(i, agreed);
        }
    }

    /// An early dialog changes its session: only the one that is heard changes what is heard.
    fn early_update(&mut self, i: usize, b: usize, tag: String, body: &Bytes) {
        let io = &self.legs[i];
        let branch = &io.branches[b];
        let version = branch.version + 1;
        let answered = sdp::parse(body).ok().and_then(|offer| {
            let codecs = self.codec_to_answer(i, &offer, None);
            let local = branch.ends.local(codecs, io.session_id, version)?;
            sdp::answer(&offer, &local).ok()
        });
        let (status, sdp) = match answered {
            Some((answer, agreed)) => {
                self.legs[i].branches[b].version = version;
                self.early_media(i, b, &tag, agreed);
                (200, Some(Bytes::from(answer.to_string())))
            }
            None => (488, None),
        };
        self.turn.out.push(Out::Sip(SipCommand::RespondUpdate {
            handle: self.legs[i].branches[b].handle,
            tag: Some(tag),
            status,
            sdp,
        }));
    }

    /// 2xx: the first one wins, all others are given up (I15).
    #[allow(clippy::too_many_arguments)]
    fn branch_answered(
        &mut self,
        i: usize,
        b: usize,
        sdp: Option<&Bytes>,
        tag: &str,
        snapshot: &ConfirmedSnapshot,
        world: &dyn World,
        now: Stamp,
    ) {
        let branch = self.legs[i].branches.remove(b);
        let handle = branch.handle;
        self.turn.out.push(Out::Sip(SipCommand::Ack { handle, sdp: None }));
        if !self.is_wanted(i) {
            // It crossed our CANCEL, which ends it in the stack.
            self.legs[i].lost.push(branch);
            return;
        }
        let agreed = match sdp {
            Some(body) => branch.negotiate(body),
            None => branch.agreed_early(tag).cloned(),
        };
        let Some(agreed) = agreed else {
            // No answer that we can use: it was never part of the call.
            tracing::info!(conversation = %self.machine.id(), leg = i, "unusable answer");
            self.turn.out.push(Out::Sip(SipCommand::Bye {
                handle,
                reason: Some(Reason::q850(88, "incompatible")),
            }));
            let outcome = Outcome {
                status: 488,
                failure: Failure::Media,
            };
            return self.branch_lost(i, &branch, outcome, world, now);
        };
        let io = &mut self.legs[i];
        io.groups.clear();
        io.give_up(&reason_of(Cause::AnsweredElsewhere), &mut self.turn.out);
        io.handle = handle;
        io.in_dialog = true;
        io.via = Some(branch.via);
        io.permit = branch.permit;
        io.version = branch.version;
        io.ends = branch.ends;
        io.described = Some(branch.offer.clone());
        io.offer = Some(branch.offer);
        self.configure(i, agreed);
        let dialog = Some(Box::new(confirmed_ref(snapshot)));
        // The answer is committed before it is acknowledged.
        self.turn.wait = true;
        self.fact(i, LegFact::Answered { dialog }, world, now);
        if snapshot.extras.session.is_some() {
            self.fact(i, LegFact::Watched(true), world, now);
        }
        self.hold_facts(i, world, now);
        self.align_with(i);
    }

    fn branch_failed(&mut self, i: usize, b: usize, failure: &SipFailure, world: &dyn World, now: Stamp) {
        let mut branch = self.legs[i].branches.remove(b);
        branch.permit = None;
        if !self.is_wanted(i) {
            return self.branch_gone(i, world, now);
        }
        self.unhear(i, branch.handle);
        let status = failure.status;
        let mut inputs = VecDeque::new();
        inputs.push_back(attempt_failed(i, &branch, status));
        let diverted = matches!(status, 300..=302) && matches!(branch.via, Via::Device(_));
        if diverted && self.divert(i, &branch, failure, &mut inputs, world, now) {
            return self.feed_all(inputs, world, now);
        }
        let silent = matches!(
            failure.kind,
            FailureKind::TransactionTimeout | FailureKind::TransportError
        );
        if silent || status == 503 {
            world.unreachable(branch.target);
        }
        // The next way of the line is tried while the call has not reached anybody.
        let unreached = matches!(status, 0 | 408 | 500..=599) && !branch.rang;
        let line = std::mem::take(&mut branch.line);
        if unreached && self.start(i, line, &mut inputs, world, now) {
            return self.feed_all(inputs, world, now);
        }
        let failure = match failure.kind {
            FailureKind::TransactionTimeout => Failure::NoResponse,
            FailureKind::Response => Failure::Status {
                status,
                q850: q850_of(&failure.reasons),
            },
            FailureKind::TransportError | FailureKind::Refused => Failure::NoRoute,
        };
        self.branch_lost(i, &branch, Outcome { status, failure }, world, now);
    }

    /// A branch has come to nothing: others that still ring, then the next group, then the failure of the leg.
    fn branch_lost(&mut self, i: usize, branch: &Branch, outcome: Outcome, world: &dyn World, now: Stamp) {
        let best = Outcome::better(self.legs[i].best, outcome);
        self.legs[i].best = Some(best);
        if matches!(best.status, 600..=699) {
            // It speaks for all devices of the party (RFC 3261 §21.6).
            self.legs[i].groups.clear();
            self.legs[i].give_up(&reason_of(Cause::Cancelled), &mut self.turn.out);
        }
        let mut inputs = VecDeque::from([attempt_failed(i, branch, outcome.status)]);
        if !self.legs[i].branches.is_empty() {
            return self.feed_all(inputs, world, now);
        }
        // A trunk that reached somebody has decided for all trunks; a device speaks for itself alone.
        let unreached = matches!(outcome.status, 0 | 408 | 500..=599) && !branch.rang;
        let onwards = unreached || matches!(branch.via, Via::Device(_));
        if onwards && self.next_group(i, &mut inputs, world, now) {
            return self.feed_all(inputs, world, now);
        }
        self.failed(i, best.failure, world, now);
    }

    /// A branch that nobody wanted any more is over.
    fn branch_gone(&mut self, i: usize, world: &dyn World, now: Stamp) {
        let io = &self.legs[i];
        if io.branches.is_empty() && io.lost.is_empty() && !io.in_dialog {
            self.fact(i, LegFact::Released, world, now);
        }
    }

    /// Something happened to an INVITE that was given up.
    pub(super) fn lost_event(&mut self, i: usize, b: usize, event: SipEvent, world: &dyn World, now: Stamp) {
        let handle = self.legs[i].lost[b].handle;
        if let SipEvent::Answered { .. } = event {
            // It was answered before our CANCEL reached the stack, where that is a BYE then.
            self.turn.out.push(Out::Sip(SipCommand::Ack { handle, sdp: None }));
            return;
        }
        let unknown = matches!(
            event,
            SipEvent::CommandRefused {
                command: CommandKind::Cancel | CommandKind::Bye,
                why: Refusal::UnknownHandle,
            }
        );
        if !event.is_terminal() && !unknown {
            return;
        }
        let branch = self.legs[i].lost.remove(b);
        let status = match event {
            SipEvent::Failed(failure) => failure.status,
            _ => 487,
        };
        self.feed(attempt_failed(i, &branch, status), world, now);
        self.branch_gone(i, world, now);
    }

    /// A device sent the call on: whom it named is called in its place. False if nobody of those may be called.
    fn divert(
        &mut self,
        i: usize,
        branch: &Branch,
        failure: &SipFailure,
        inputs: &mut VecDeque<Input>,
        world: &dyn World,
        now: Stamp,
    ) -> bool {
        let mut later = Vec::new();
        let mut started = false;
        for contact in failure.contacts.iter().take(usize::from(MAX_DIVERSIONS)) {
            let io = &self.legs[i];
            if io.diversions >= MAX_DIVERSIONS {
                break;
            }
            let diversion = Diversion {
                by: branch.via,
                uri: &branch.uri,
                status: failure.status,
                contact,
                count: io.diversions + 1,
            };
            let mut ways = world.divert(self.tenant, self.application, &diversion);
            // Whoever was called already would only send the call in circles.
            ways.retain(|w| !io.tried.contains(&w.uri.to_ascii_lowercase()));
            if ways.is_empty() {
                continue;
            }
            self.legs[i].diversions += 1;
            let fact = LegFact::Diverted {
                via: branch.via,
                status: failure.status,
                to: contact.clone(),
            };
            inputs.push_back(Input::Leg(LegSeq(i as u16), fact));
            let mut groups = groups_of(ways);
            while !started && let Some(lines) = groups.pop_front() {
                for line in lines {
                    started |= self.start(i, line, inputs, world, now);
                }
            }
            later.extend(groups);
        }
        let groups = &mut self.legs[i].groups;
        for group in later.into_iter().rev() {
            groups.push_front(group);
        }
        started
    }
}

fn attempt_failed(i: usize, branch: &Branch, status: u16) -> Input {
    Input::Leg(
        LegSeq(i as u16),
        LegFact::AttemptFailed {
            via: branch.via,
            status,
            call_id: branch.call_id.clone(),
        },
    )
}

fn invite_over(way: &Way, io: &LegIo, offer: Bytes, presented: Option<&Presentation>, world: &dyn World) -> Invite {
    let host = world.host();
    let user = io.cli.as_deref().map(wire_user).unwrap_or_else(|| "anonymous".into());
    let (a, b) = (world.random(), world.random());
    let shown = Party::new(format!("sip:{user}@{host}"));
    let mut headers: Vec<_> = way.headers.iter().chain(&io.headers).cloned().collect();
    let from = match &way.policy {
        Some(policy) => presentation::write(presented, shown, io.cli.is_none(), way, policy, &host, &mut headers),
        None => shown,
    };
    Invite {
        handle: world.dialog_handle(),
        call_id: format!("{a:032x}@{host}"),
        local_tag: format!("{:016x}", b as u64),
        branch_stem: format!("{:016x}", (b >> 64) as u64),
        request_uri: way.uri.clone(),
        to: Party::new(way.uri.clone()),
        from,
        headers,
        route: way.route.clone(),
        contact_user: None,
        reliable: Reliable::Supported,
        destination: way.target,
        local: None,
        sdp: Some(offer),
        credentials: way.credentials.clone(),
        // A process that dies between the 2xx and its commit must not leave a confirmed dialog behind.
        ack: AckMode::OnCommand,
    }
}
