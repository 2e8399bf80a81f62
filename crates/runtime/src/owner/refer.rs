//! Transfers: what a REFER asks for, and an INVITE that takes the place of a leg.

use super::ends::{self, Ends};
use super::leg::LegIo;
use super::{Out, Owner, Replacing, Way, World, claim_of};
use strowger_core::call::{Input, PartyPlan, ReplacePlan, Target, TransferPlan};
use strowger_core::{LegSeq, Stamp};
use strowger_sip_core::sdp;
use strowger_sip_core::{Command as SipCommand, DialogHandle, ReferTo};

/// A transfer that is being asked for, from the REFER to its answer.
pub(super) struct Asking {
    /// The REFER among those of its dialog.
    pub id: u32,
    /// The way, where the target is no number and no device.
    pub ways: Option<Vec<Way>>,
    /// What the INVITE to the target says besides.
    pub headers: Vec<(String, String)>,
}

impl Owner {
    /// A party asks to hand its talk over.
    pub(super) fn refer(
        &mut self,
        i: usize,
        id: u32,
        refer_to: &ReferTo,
        referred_by: Option<String>,
        world: &dyn World,
        now: Stamp,
    ) {
        let mut asking = Asking {
            id,
            ways: None,
            headers: referred_by
                .map(|by| ("Referred-By".to_owned(), by))
                .into_iter()
                .collect(),
        };
        let party = match self.referred(refer_to, &mut asking, world) {
            Ok((target, text)) => PartyPlan {
                // In a contact centre whoever is called as a device may be an agent, who is asked and occupied.
                target: match target {
                    Target::Device(id) if self.machine.is_of_centre() => {
                        world.agent_of(id).map_or(Target::Device(id), Target::Agent)
                    }
                    other => other,
                },
                text,
                cli: self.shown_to(i),
            },
            Err(status) => {
                let handle = self.legs[i].handle;
                self.turn
                    .out
                    .push(Out::Sip(SipCommand::AnswerRefer { handle, id, status }));
                return;
            }
        };
        let plan = Box::new(TransferPlan {
            party,
            attended: refer_to.replaces.is_some(),
        });
        self.asking = Some(asking);
        let by = LegSeq(i as u16);
        self.feed(Input::Transfer { by, plan }, world, now);
        self.asking = None;
    }

    /// Whom a REFER names, and how it is shown.
    fn referred(&self, refer_to: &ReferTo, asking: &mut Asking, world: &dyn World) -> Result<(Target, String), u16> {
        if refer_to.method.is_some() {
            return Err(603);
        }
        if let Some(replaces) = &refer_to.replaces {
            asking.headers.push(("Replaces".into(), replaces.value()));
            asking.headers.push(("Require".into(), "replaces".into()));
            if let Some(way) = world.self_way(self.tenant, refer_to, replaces) {
                asking.ways = Some(vec![way]);
                return Ok((Target::Dialog, user_part(&refer_to.uri).to_owned()));
            }
        }
        world.transfer_to(self.tenant, self.application, &refer_to.uri)
    }

    /// The number that a leg's party is shown for the other one, or has itself if it called us: whoever it hands the talk
    /// over to is shown the same.
    fn shown_to(&self, i: usize) -> Option<String> {
        let leg = self.machine.record().legs.get(i)?;
        Some(leg.from.clone()).filter(|from| !from.is_empty())
    }

    pub(super) fn answer_refer(&mut self, leg: LegSeq, status: u16) {
        let Some(id) = self.asking.as_ref().map(|a| a.id) else {
            return;
        };
        if status < 300
            && let Some(io) = self.legs.get_mut(usize::from(leg.0))
        {
            io.refer = Some(id);
        }
        self.leg_command(leg, |handle| SipCommand::AnswerRefer { handle, id, status });
    }

    pub(super) fn notify_refer(&mut self, leg: LegSeq, status: u16, finished: bool) {
        let Some(id) = self.legs.get(usize::from(leg.0)).and_then(|l| l.refer) else {
            return;
        };
        self.leg_command(leg, |handle| SipCommand::NotifyRefer {
            handle,
            id,
            status,
            phrase: None,
            finished,
        });
    }

    /// An INVITE wants the place of a leg. One that cannot have it is refused and changes nothing.
    pub(super) fn replace(&mut self, replacing: Replacing, world: &dyn World, now: Stamp) {
        let handle = replacing.incoming.handle;
        match self.place_for(&replacing, world) {
            Ok((old, new, ends)) => {
                let plan = Box::new(ReplacePlan {
                    dialog: super::recover::confirmed_ref(&replacing.incoming.invite.snapshot),
                    from: replacing.from,
                    to: replacing.to,
                });
                debug_assert_eq!(self.legs.len(), usize::from(new.0));
                self.turn.out.push(claim_of(&replacing.incoming));
                let watched = replacing.incoming.invite.snapshot.extras.session.is_some();
                let io = LegIo::incoming(replacing.incoming, ends, world.random() as u64);
                self.legs.push(io);
                self.feed(Input::Replace { leg: old, plan }, world, now);
                self.watched(usize::from(new.0), watched, world, now);
            }
            Err(status) => self.refuse(handle, status),
        }
    }

    /// The leg that loses its place, the one that gets it, and its media; or the status of the refusal.
    fn place_for(&self, replacing: &Replacing, world: &dyn World) -> Result<(LegSeq, LegSeq, Ends), u16> {
        let known = self
            .find(replacing.replaced)
            .filter(|_| replacing.tenant == self.tenant);
        let (i, _) = known.ok_or(481u16)?;
        let old = LegSeq(i as u16);
        let new = self.machine.may_replace(old)?;
        let invite = &replacing.incoming.invite;
        // Nothing is opened for an offer that cannot be answered.
        let local = Ends::imagined().local(self.codecs_towards(old), 0, 1);
        if let (Some(body), Some(local)) = (&invite.sdp, &local) {
            let offer = sdp::parse(body).map_err(|_| 488u16)?;
            sdp::answer(&offer, local).map_err(|_| 488u16)?;
        }
        let ends = ends::open(
            ends::asked_for(invite),
            replacing.incoming.media,
            self.key(),
            new.0,
            world,
        )
        .map_err(|error| {
            tracing::warn!(code = error.code(), "no media for a leg: {error}");
            503u16
        })?;
        Ok((old, new, ends))
    }

    fn refuse(&mut self, handle: DialogHandle, status: u16) {
        let retry = (status == 503).then(|| ("Retry-After".to_owned(), "5".to_owned()));
        self.turn.out.push(Out::Sip(SipCommand::Respond {
            handle,
            status,
            reason_phrase: None,
            headers: retry.into_iter().collect(),
            sdp: None,
            reliable: false,
        }));
    }
}

/// The user part of a SIP URI, or all of it if it has none.
fn user_part(uri: &str) -> &str {
    let rest = uri.split_once(':').map_or(uri, |(_, rest)| rest);
    rest.split_once('@')
        .map_or(uri, |(user, _)| user.split(';').next().unwrap_or(user))
}
