//! A call comes in: who calls, whom, and whether they may.

use crate::calls::CallError;
use crate::clock::Clock;
use crate::commit::Conditions;
use crate::door::{Checked, Reply};
use crate::mailbox::{Inbox, Mail, Mailbox};
use crate::outbound::media_of_trunk;
use crate::owner::{DialogName, Incoming, Owner, OwnerInput, Replacing, WayMedia, World};
use crate::switch::{Switch, user_of};
use std::sync::Arc;
use strowger_core::call::centre::{CentrePlan, Entry, Survey, Whom};
use strowger_core::call::{ForwardPlan, PartyPlan, Target};
use strowger_core::centre::resource::{Agent, Queue};
use strowger_core::event::{Created, Kind, RecordMode, Routed, Via};
use strowger_core::ivr::{self, Library};
use strowger_core::number::CHINA;
use strowger_core::resource::{RouteTarget, Trunk};
use strowger_core::route::Region;
use strowger_core::{AgentId, ApplicationId, ConversationId, GroupId, Number, QueueId, RoutingId, TenantId};
use strowger_sip_core::identity;
use strowger_sip_core::sdp::{self, Carriage};
use strowger_sip_core::{Command as SipCommand, DialogHandle, IncomingInvite};
use strowger_store::config::{Application, Config, DeviceEntry};

/// Why a call does not come in: what the caller is told, and what the operator is.
pub(crate) struct Refused {
    pub reply: Reply,
    why: &'static str,
}

impl Refused {
    /// Challenges are part of every ordinary call and no news.
    fn is_news(&self) -> bool {
        !matches!(self.reply.status, 401 | 407)
    }
}

pub(crate) fn no(status: u16, why: &'static str) -> Refused {
    let headers = match status {
        503 => vec![("Retry-After".to_owned(), "5".to_owned())],
        _ => Vec::new(),
    };
    let reply = Reply {
        status,
        phrase: None,
        headers,
    };
    Refused { reply, why }
}

/// Who calls.
#[derive(Clone)]
pub(crate) enum Origin {
    /// One of these trunks: tenants may have trunks to the same carrier.
    Trunks(Vec<Arc<Trunk>>),
    /// A device that has signed in.
    Device(Arc<DeviceEntry>),
}

/// Where a call goes, and to whose account.
pub(crate) struct Destination {
    pub app: Arc<Application>,
    pub via: Via,
    pub kind: Kind,
    pub target: Target,
    pub text: String,
    /// Set for a call of a contact centre, whose other members but the text are not used then.
    pub centre: Option<Centred>,
    /// The conversation that it is to be, if that is settled already.
    pub id: Option<ConversationId>,
    /// The decision that led here.
    pub routed: Option<Box<Routed>>,
}

/// How a call begins at a contact centre.
#[derive(Clone)]
pub(crate) enum Centred {
    Queue(QueueId),
    Agent(AgentId),
    /// This flow of the library.
    Flow(Arc<Library>, String),
    /// Where the rules say.
    Plan(RoutingId),
    /// An agent's own device calls.
    From(AgentId, Whom),
}

impl Switch {
    /// An INVITE came in. Runs on the signalling loop: decides at once and leaves the rest to the owner's task.
    pub(crate) fn incoming(self: &Arc<Self>, handle: DialogHandle, invite: IncomingInvite) {
        if let Err(refused) = self.admit(handle, invite) {
            self.turn_away(handle, refused);
        }
    }

    pub(crate) fn turn_away(&self, handle: DialogHandle, refused: Refused) {
        if refused.is_news() {
            tracing::info!(
                status = refused.reply.status,
                "an incoming call was refused: {}",
                refused.why
            );
        }
        self.refuse(handle, refused.reply);
    }

    pub(crate) fn refuse(&self, handle: DialogHandle, reply: Reply) {
        let refused = SipCommand::Respond {
            handle,
            status: reply.status,
            reason_phrase: reply.phrase,
            headers: reply.headers,
            sdp: None,
            reliable: false,
        };
        if self.sip().send(refused).is_err() {
            tracing::warn!("a refusal could not be sent: the SIP engine's queue is full");
        }
    }

    fn admit(self: &Arc<Self>, handle: DialogHandle, invite: IncomingInvite) -> Result<(), Refused> {
        let config = self.store().snapshot();
        match self.own_replace(handle, &invite) {
            Some(true) => return Ok(()),
            Some(false) => return Err(no(481, "the dialog that it replaces is over")),
            None => {}
        }
        let origin = self.origin(&config, &invite)?;
        if invite.replaces.is_some() {
            let (tenant, via) = match &origin {
                Origin::Device(d) => (Some(d.device.tenant), Via::Device(d.device.id)),
                Origin::Trunks(t) => (t[0].tenant, Via::Trunk(t[0].id)),
            };
            let tenant = tenant.ok_or_else(|| no(403, "a trunk of all tenants may not replace dialogs"))?;
            return self.replace_by(handle, invite, tenant, via);
        }
        let destination = match &origin {
            Origin::Trunks(trunks) => inbound(&config, trunks, &invite)?,
            Origin::Device(device) => {
                let destination = self.outbound_of(&config, device, &invite)?;
                self.of_agent(&config, device, destination)?
            }
        };
        let begins = destination.id.map(|id| (destination.app.tenant, id));
        let begun = self.begin(handle, invite, &config, origin, destination);
        if let (Err(_), Some((tenant, id))) = (&begun, begins) {
            self.displays.take_back(tenant, id);
        }
        begun
    }

    fn begin(
        self: &Arc<Self>,
        handle: DialogHandle,
        invite: IncomingInvite,
        config: &Config,
        origin: Origin,
        destination: Destination,
    ) -> Result<(), Refused> {
        if let Some(refused) = invite.sdp.as_ref().and_then(|offer| {
            unusable(
                offer,
                self.media().has_webrtc(),
                self.media_from(config, destination.via),
            )
        }) {
            return Err(refused);
        }
        if let Some(Centred::Plan(plan)) = destination.centre {
            return self.led(handle, invite, origin, destination, plan);
        }
        self.start(handle, invite, &origin, destination, None)
    }

    /// What the side is offered that an INVITE came over, and what it must offer.
    fn media_from(&self, config: &Config, via: Via) -> WayMedia {
        match via {
            Via::Trunk(id) => config.trunk(id).map_or(WayMedia::Rtp, |t| media_of_trunk(t.srtp)),
            _ => WayMedia::Rtp,
        }
    }

    /// An INVITE of one of our conversations to another one, which nobody else could name: the second half of an attended
    /// transfer.
    fn own_replace(&self, handle: DialogHandle, invite: &IncomingInvite) -> Option<bool> {
        let replaced = invite.replaces?.handle;
        // Whom we call learns the names of that dialog too, but does not send from our socket.
        if self.own_address() != Some(invite.source.addr) {
            return None;
        }
        let name = DialogName {
            call_id: invite.call_id.clone(),
            local_tag: invite.message.from_tag()?.into_owned(),
        };
        let tenant = self.dialog_names.tenant_of(&name)?;
        let incoming = Incoming {
            handle,
            invite: invite.clone(),
            via: Via::Platform,
            permit: None,
            trusted: false,
            media: WayMedia::Rtp,
        };
        Some(self.replace(incoming, replaced, tenant))
    }

    fn origin(&self, config: &Config, invite: &IncomingInvite) -> Result<Origin, Refused> {
        let source = invite.source.addr;
        let carriers: Vec<Arc<Trunk>> = config
            .trunks()
            .iter()
            .filter(|t| !t.disabled && (t.is_source(source) || self.carriers.is_source(t, source)))
            .cloned()
            .collect();
        if !carriers.is_empty() {
            return Ok(Origin::Trunks(carriers));
        }
        match self.door.check(&invite.message, source) {
            Checked::Device(device) => Ok(Origin::Device(device)),
            Checked::Refused(reply) => Err(Refused {
                reply,
                why: "its credentials cannot be read",
            }),
        }
    }

    /// The call takes the place of a leg (RFC 3891), whose owner decides and answers.
    fn replace_by(
        &self,
        handle: DialogHandle,
        invite: IncomingInvite,
        tenant: TenantId,
        via: Via,
    ) -> Result<(), Refused> {
        let Some(replaced) = invite.replaces.map(|r| r.handle) else {
            return Err(no(400, "it replaces nothing"));
        };
        let permit = self.claim(via).ok_or_else(|| no(503, "the trunk is full"))?;
        let media = self.media_from(&self.store().snapshot(), via);
        let incoming = Incoming {
            handle,
            invite,
            via,
            permit: Some(permit),
            trusted: false,
            media,
        };
        if self.replace(incoming, replaced, tenant) {
            Ok(())
        } else {
            Err(no(481, "the dialog that it replaces has ended"))
        }
    }

    /// Gives an INVITE that takes the place of a leg to the owner of that leg; false if there is none. `tenant` is whoever
    /// the INVITE is accounted to.
    fn replace(&self, incoming: Incoming, replaced: DialogHandle, tenant: TenantId) -> bool {
        let invite = &incoming.invite;
        let from = user_of(&invite.from).unwrap_or_default();
        let to = user_of(&invite.request_uri).unwrap_or_default();
        let replacing = Replacing {
            incoming,
            replaced,
            tenant,
            from,
            to,
        };
        // What comes of the new dialog meanwhile, its CANCEL for one, follows the INVITE into the same mailbox.
        let handle = replacing.incoming.handle;
        let mail = Mail::input(OwnerInput::Replace(Box::new(replacing)));
        let taken = self.dialogs.alias(replaced.0, handle.0) && self.dialogs.post(replaced.0, mail).is_ok();
        if !taken {
            self.dialogs.remove(handle.0);
        }
        taken
    }

    /// A device calls another one of its tenant, a number of its tenant's that has a route, or a number over the trunks.
    fn outbound_of(
        &self,
        config: &Config,
        caller: &DeviceEntry,
        invite: &IncomingInvite,
    ) -> Result<Destination, Refused> {
        let device = &caller.device;
        let via = Via::Device(device.id);
        let tenant = device.tenant;
        let own = |a: &&Arc<Application>| a.tenant == tenant && !a.disabled;
        let app = match device.application {
            Some(id) => config.application(id).filter(own),
            None => config.applications().find(own),
        };
        let app = app.cloned().ok_or_else(|| {
            no(
                403,
                "its device's tenant has no application that it could be accounted to",
            )
        })?;
        if let Some((target, text)) = self.gruu(config, tenant, &invite.request_uri) {
            return Ok(Destination {
                app,
                via,
                kind: Kind::Internal,
                target,
                text,
                centre: None,
                id: None,
                routed: None,
            });
        }
        let user = user_of(&invite.request_uri).ok_or_else(|| no(484, "it names nobody"))?;
        if let Some(called) = config.device_by_name(tenant, &user).filter(|d| !d.disabled) {
            return Ok(Destination {
                app,
                via,
                kind: Kind::Internal,
                target: Target::Device(called.device.id),
                text: user,
                centre: None,
                id: None,
                routed: None,
            });
        }
        let number = Number::parse(&user, CHINA).map_err(|_| no(404, "it called no device and no number"))?;
        let on_net = config.route(&number).and_then(|route| {
            let app = config.application(route.application).filter(own)?;
            Some((app.clone(), &route.target))
        });
        if let Some((app, route)) = on_net {
            let centre = centred(config, app.id, route);
            let (target, text) = target_of(config, route, number);
            return Ok(Destination {
                app,
                via,
                kind: Kind::Internal,
                target,
                text,
                centre,
                id: None,
                routed: None,
            });
        }
        self.permitted(config, tenant, &number)
            .map_err(|_| no(403, "the toll rules of its tenant"))?;
        Ok(Destination {
            app,
            via,
            kind: Kind::Outbound,
            text: number.as_str().to_owned(),
            target: Target::Number(number),
            centre: None,
            id: None,
            routed: None,
        })
    }

    /// What a call from an agent's device to a number shows: as if the agent had asked for it, and the device's own number
    /// where nothing is bound.
    fn shown_by(
        &self,
        agent: &Agent,
        device: &DeviceEntry,
        target: &Target,
        id: ConversationId,
    ) -> Result<Option<String>, Refused> {
        let shown = match target {
            Target::Number(callee) => {
                let groups: Vec<GroupId> = agent.skills.iter().map(|s| s.group).collect();
                let chosen = self.display_of_agent(agent, &groups, None, callee, id);
                chosen.map_err(|_| no(503, "every display number has reached its limit"))?
            }
            _ => agent.numbers.first().cloned(),
        };
        let shown = shown.or_else(|| device.device.cli.clone());
        Ok(shown.map(|n| n.as_str().to_owned()))
    }

    /// A call from an agent's device is the agent's, and occupies it.
    fn of_agent(&self, config: &Config, device: &DeviceEntry, to: Destination) -> Result<Destination, Refused> {
        let centre = config.centre();
        // An agent that tries its own flow out is a caller like others.
        if matches!(to.centre, Some(Centred::Flow(..) | Centred::Plan(_))) {
            return Ok(to);
        }
        let mut agents = centre.agents().filter(|a| !a.disabled);
        let Some(agent) = agents.find(|a| a.devices.contains(&device.device.id)) else {
            return Ok(to);
        };
        let app = config.application(agent.application).cloned();
        let app = app
            .filter(|a| !a.disabled)
            .ok_or_else(|| no(403, "its agent's application is off"))?;
        let id = to.id.unwrap_or_else(|| self.mint_conversation());
        let colleague = |id| centre.agents().find(|a| a.devices.contains(&id)).map(|a| a.id);
        let whom = match (&to.centre, &to.target) {
            (Some(Centred::Queue(queue)), _) => Whom::Queue(*queue),
            (Some(Centred::Agent(other)), _) => Whom::Colleague(*other),
            (_, Target::Device(id)) if colleague(*id).is_some_and(|other| other != agent.id) => {
                Whom::Colleague(colleague(*id).unwrap_or(agent.id))
            }
            (_, target) => Whom::Party(PartyPlan {
                target: target.clone(),
                text: to.text.clone(),
                cli: self.shown_by(agent, device, target, id)?,
            }),
        };
        Ok(Destination {
            app,
            centre: Some(Centred::From(agent.id, whom)),
            id: Some(id),
            ..to
        })
    }

    /// Begins the conversation. `kept` is the mailbox that has taken the dialog's letters so far, if there is one.
    pub(crate) fn start(
        self: &Arc<Self>,
        handle: DialogHandle,
        invite: IncomingInvite,
        origin: &Origin,
        to: Destination,
        kept: Option<(Mailbox, Inbox)>,
    ) -> Result<(), Refused> {
        let app = to.app;
        self.room().map_err(|_| no(503, "no room for another conversation"))?;
        self.may_spend(app.tenant, None, &[&to.target])
            .map_err(|_| no(403, "what calls may cost today is spent"))?;
        let places = self.claim_places(app.tenant, app.id, None).map_err(|e| match e {
            CallError::Concurrency | CallError::Rate => no(503, "a limit of the application or tenant"),
            _ => no(403, "a rule of the application or tenant"),
        })?;
        let permit = self.claim(to.via).ok_or_else(|| no(503, "the trunk is full"))?;
        if to.centre.is_none() && self.ways(app.tenant, &to.target).is_empty() {
            return Err(match to.target {
                Target::Device(_) | Target::Instance(..) => no(480, "the called device is not registered"),
                _ => no(404, "no trunk carries a call to the number"),
            });
        }
        let Caller { ani, cli, trusted } = caller_of(origin, &invite, &app, &to.target);
        let dnis = user_of(&invite.request_uri).unwrap_or_default();
        let head = Created {
            tenant: app.tenant,
            application: app.id,
            account: None,
            kind: to.kind,
            ani: ani.clone(),
            dnis: dnis.clone(),
            user_data: String::new(),
            max_duration: None,
            record: RecordMode::None,
            subscriptions: self.subscriptions(&app),
        };
        let plan = ForwardPlan {
            dialog: crate::owner::recover::confirmed_ref(&invite.snapshot),
            from: ani,
            to: dnis,
            party: PartyPlan {
                target: to.target,
                text: to.text,
                cli,
            },
            ring_timeout: app.settings.ring_timeout,
            record_wait: app.settings.record_wait,
            routed: to.routed,
        };
        let id = to.id.unwrap_or_else(|| self.mint_conversation());
        self.ladder.belongs(id, &invite.call_id);
        let clock = Clock::start();
        let incoming = Incoming {
            handle,
            invite,
            via: to.via,
            permit: Some(permit),
            trusted,
            media: self.media_from(&self.store().snapshot(), to.via),
        };
        let made = match to.centre {
            None => Owner::forward(id, head, plan, incoming, &**self, clock.now()),
            Some(centred) => {
                let plan = self.centre_plan(&app, id, centred, plan);
                Owner::centre(id, head, plan, Some(incoming), &**self, clock.now())
            }
        };
        let (owner, turn) = made.map_err(|_| no(503, "no media port is free"))?;
        let post = kept.unwrap_or_else(Mailbox::new);
        let answer = self.spawn_in(post, owner, turn, clock, places, Conditions::default(), Some(handle));
        let switch = self.clone();
        self.runtime().spawn(async move {
            if let Ok(Err(_)) = answer.await {
                switch.refuse(handle, no(503, "the journal refused it").reply);
            }
        });
        Ok(())
    }
}

impl Switch {
    /// The plan of a call that a contact centre takes, made of that of a forwarded one.
    fn centre_plan(&self, app: &Application, id: ConversationId, centred: Centred, forward: ForwardPlan) -> CentrePlan {
        let config = self.store().snapshot();
        let dialog = forward.dialog;
        let mut music = None;
        let caller = Number::parse(&forward.from, CHINA).ok();
        let region = caller.as_ref().and_then(|n| self.equipment().regions.of(n));
        let called = Number::parse(&forward.to, CHINA);
        let call = ivr::Call {
            conversation: id,
            caller,
            called: called.unwrap_or_else(|_| Number::from_canonical(forward.to.clone())),
            region: region.map(|r| Region::clone(r)),
        };
        let centre = config.centre().centre(app.id);
        let survey = centre.and_then(|c| c.survey.clone()).and_then(|flow| {
            let library = config.routing().library(app.id);
            library.flows.contains_key(&flow).then(|| {
                Box::new(Survey {
                    library,
                    flow,
                    call: call.clone(),
                })
            })
        });
        let entry = match centred {
            Centred::Queue(queue) => {
                music = crate::centre::music_of(&config, queue);
                Entry::Queue { dialog, queue }
            }
            Centred::Agent(agent) => {
                let skilled = config.centre().agent(agent).cloned();
                let serves = |q: &Queue| skilled.as_ref().is_some_and(|a| a.level(q.group).is_some());
                let fallback = config
                    .centre()
                    .queues()
                    .find(|q| q.tenant == app.tenant && serves(q))
                    .map(|q| q.id);
                Entry::Direct {
                    dialog,
                    agent,
                    fallback,
                }
            }
            Centred::Flow(library, flow) => Entry::Flow {
                dialog,
                library,
                flow,
                call: call.clone(),
            },
            // It was settled before where the rules lead.
            Centred::Plan(_) => Entry::Flow {
                dialog,
                library: Arc::default(),
                flow: String::new(),
                call: call.clone(),
            },
            Centred::From(agent, to) => Entry::FromDevice { dialog, agent, to },
        };
        let settings = centre.map(|c| c.settings).unwrap_or_default();
        CentrePlan {
            entry,
            from: forward.from,
            to: forward.to,
            settings,
            music,
            record_wait: forward.record_wait,
            routed: forward.routed,
            survey,
        }
    }
}

/// Why an offer leads to no session, whoever is called: nobody is rung for a caller that cannot be heard.
fn unusable(offer: &[u8], webrtc: bool, media: WayMedia) -> Option<Refused> {
    let why = match sdp::parse(offer) {
        Err(_) => (399, "The session description cannot be read"),
        // It is told before anybody rings that nothing would come of it.
        Ok(offer) if media == WayMedia::SrtpRequired && !sdp::offers_keys(&offer) => {
            (302, "Incompatible transport protocol")
        }
        Ok(offer) if sdp::check_offer(&offer).is_ok_and(|c| webrtc || c != Carriage::WebRtc) => return None,
        // Keys that are missing or of a kind that we do not have; a browser where browsers are off.
        Ok(offer) if offer.media.iter().any(|m| m.kind == "audio" && m.port != 0) => {
            (302, "Incompatible transport protocol")
        }
        Ok(_) => (304, "Media type not available"),
    };
    let mut refused = no(488, why.1);
    refused.reply.headers.push(warning(why.0, why.1));
    Some(refused)
}

/// RFC 3261 section 20.43: what a 488 or 606 is about.
pub(crate) fn warning(code: u16, text: &str) -> (String, String) {
    ("Warning".to_owned(), format!("{code} strowger \"{text}\""))
}

/// Where a carrier's call to one of our numbers goes.
fn inbound(config: &Config, carriers: &[Arc<Trunk>], invite: &IncomingInvite) -> Result<Destination, Refused> {
    let called = user_of(&invite.request_uri).and_then(|u| Number::parse(&u, CHINA).ok());
    let called = called.ok_or_else(|| no(404, "the called number is none"))?;
    let route = config
        .route(&called)
        .ok_or_else(|| no(404, "no route for the called number"))?;
    let app = config
        .application(route.application)
        .filter(|a| !a.disabled)
        .cloned()
        .ok_or_else(|| no(404, "its application is off"))?;
    // A number belongs to its owner: a tenant's own trunk reaches that tenant's numbers only (I20).
    let trunk = carriers
        .iter()
        .find(|t| t.tenant.is_none_or(|owner| owner == app.tenant))
        .ok_or_else(|| no(404, "no route for the called number"))?;
    let centre = centred(config, app.id, &route.target);
    let (target, text) = target_of(config, &route.target, called);
    Ok(Destination {
        app,
        via: Via::Trunk(trunk.id),
        kind: Kind::Inbound,
        target,
        text,
        centre,
        id: None,
        routed: None,
    })
}

/// How a route leads to a contact centre; `None` if it does not.
fn centred(config: &Config, app: ApplicationId, route: &RouteTarget) -> Option<Centred> {
    match route {
        RouteTarget::Queue(queue) => Some(Centred::Queue(*queue)),
        RouteTarget::Agent(agent) => Some(Centred::Agent(*agent)),
        RouteTarget::Plan(plan) => Some(Centred::Plan(*plan)),
        RouteTarget::Flow(flow) => {
            let name = config.routing().get(*flow).map(|f| f.name.clone());
            Some(Centred::Flow(config.routing().library(app), name.unwrap_or_default()))
        }
        RouteTarget::Number(_) | RouteTarget::Device(_) | RouteTarget::Trunk(_) => None,
    }
}

/// Who calls, as the far side and the record have it.
pub(crate) struct Caller {
    pub ani: String,
    /// What the called party sees; `None` is withheld.
    pub cli: Option<String>,
    pub trusted: bool,
}

pub(crate) fn caller_of(origin: &Origin, invite: &IncomingInvite, app: &Application, target: &Target) -> Caller {
    let trusted = match origin {
        Origin::Trunks(trunks) => trunks.iter().any(|t| t.identity.trusted),
        Origin::Device(_) => false,
    };
    let caller = identity::caller(&invite.message, trusted);
    let (ani, cli) = match origin {
        Origin::Trunks(_) => {
            let ani = caller
                .identity
                .as_ref()
                .and_then(|p| user_of(&p.uri))
                .unwrap_or_default();
            let shown = (!ani.is_empty() && !caller.hidden).then(|| ani.clone());
            (ani, shown)
        }
        Origin::Device(d) => {
            let outward = d.device.cli.as_ref().or(app.settings.default_cli.as_ref());
            let shown = match (target, outward) {
                (Target::Device(_) | Target::Instance(..), _) | (_, None) => d.device.username.clone(),
                (_, Some(number)) => number.as_str().to_owned(),
            };
            (d.device.username.clone(), (!caller.hidden).then_some(shown))
        }
    };
    Caller { ani, cli, trusted }
}

fn target_of(config: &Config, route: &RouteTarget, called: Number) -> (Target, String) {
    match route {
        RouteTarget::Number(n) => (Target::Number(n.clone()), n.as_str().to_owned()),
        RouteTarget::Device(d) => {
            let name = config.device(*d).map(|d| d.device.username.clone());
            (Target::Device(*d), name.unwrap_or_default())
        }
        RouteTarget::Agent(agent) => (Target::Agent(*agent), called.as_str().to_owned()),
        // Whoever serves the queue is nobody yet, and so is whom a flow or a plan leads to.
        RouteTarget::Queue(_) | RouteTarget::Flow(_) | RouteTarget::Plan(_) => {
            (Target::Number(called.clone()), called.as_str().to_owned())
        }
        RouteTarget::Trunk(t) => {
            let text = called.as_str().to_owned();
            (Target::Trunk(*t, called), text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_that_leads_to_no_session_is_refused_with_the_reason() {
        let refused = |media: &str| {
            let offer = format!("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n{media}");
            unusable(offer.as_bytes(), true, WayMedia::Rtp).map(|r| (r.reply.status, r.reply.headers))
        };
        let with = |code: u16, text: &str| Some((488, vec![warning(code, text)]));
        assert_eq!(refused("m=audio 4000 RTP/AVP 8\r\n"), None);
        let browser = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:111 opus/48000/2\r\n";
        assert_eq!(refused(browser), with(302, "Incompatible transport protocol"));
        let whole = format!("v=0\r\n{browser}a=ice-ufrag:a\r\na=ice-pwd:b\r\na=fingerprint:sha-256 AA\r\n");
        assert!(unusable(whole.as_bytes(), true, WayMedia::Rtp).is_none());
        assert!(
            unusable(whole.as_bytes(), false, WayMedia::Rtp).is_some(),
            "browsers are off"
        );
        assert_eq!(
            refused("m=video 4000 RTP/AVP 96\r\n"),
            with(304, "Media type not available")
        );
        let plain =
            "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 9000 RTP/AVP 0\r\n";
        let keyed = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR\r\n";
        assert!(unusable(plain.as_bytes(), true, WayMedia::SrtpOptional).is_none());
        assert!(
            unusable(plain.as_bytes(), true, WayMedia::SrtpRequired).is_some(),
            "no keys"
        );
        assert!(unusable(format!("{plain}{keyed}").as_bytes(), true, WayMedia::SrtpRequired).is_none());
        let unreadable = unusable(b"what is this", true, WayMedia::Rtp).map(|r| r.reply.status);
        assert_eq!(unreadable, Some(488));
    }
}
