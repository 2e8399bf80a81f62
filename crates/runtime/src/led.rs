//! A call to a number that has a plan: the rules decide, or the tenant's server, and the call goes there.

use crate::clock::wall_now;
use crate::equipment::WebRequest;
use crate::inbound::{Caller, Centred, Destination, Origin, Refused, caller_of, no};
use crate::mailbox::{Inbox, Mailbox};
use crate::switch::{Switch, user_of};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use strowger_core::call::Target as CallTarget;
use strowger_core::cause::Cause;
use strowger_core::event::Routed;
use strowger_core::ivr::flow::{Method, Say};
use strowger_core::ivr::{Flow, Library, Node, Template};
use strowger_core::number::CHINA;
use strowger_core::route::rules::{Ask, Settled};
use strowger_core::route::{Region, Scene, Target, Way};
use strowger_core::spoken::Language;
use strowger_core::{ConversationId, Number, RoutingId};
use strowger_sip_core::{DialogHandle, IncomingInvite};
use strowger_store::config::{Application, Config};

/// Name of the flow that carries out a rule's voicemail or prompt, alone in its library.
const OWN_FLOW: &str = "(plan)";
/// How long a message may be that a rule leads to, in seconds.
const MESSAGE_SECS: u16 = 180;

/// Who calls whom, as the rules see it.
struct Party {
    conversation: ConversationId,
    caller: Option<Number>,
    called: Number,
    region: Option<Region>,
}

impl Switch {
    /// Leads a call where the rules of the called number say. If the tenant's server is asked, the caller hears nothing
    /// meanwhile, and may give up.
    pub(crate) fn led(
        self: &Arc<Self>,
        handle: DialogHandle,
        invite: IncomingInvite,
        origin: Origin,
        to: Destination,
        plan: RoutingId,
    ) -> Result<(), Refused> {
        let config = self.store().snapshot();
        let item = config.routing().get(plan).ok_or_else(|| no(404, "its plan is gone"))?;
        let plan = config.routing().plan(plan).ok_or_else(|| no(404, "its plan is gone"))?;
        let library = config.routing().library(to.app.id);
        let Caller { ani, cli, .. } = caller_of(&origin, &invite, &to.app, &to.target);
        let called = user_of(&invite.request_uri).unwrap_or_default();
        let caller = cli.and(Number::parse(&ani, CHINA).ok());
        let region = caller.as_ref().and_then(|n| self.equipment().regions.of(n));
        let party = Party {
            conversation: self.mint_conversation(),
            caller,
            called: Number::parse(&called, CHINA).map_err(|_| no(404, "the called number is none"))?,
            region: region.map(|r| Region::clone(r)),
        };
        let decision = plan.decide(&Scene {
            at: wall_now(),
            conversation: party.conversation,
            caller: party.caller.as_ref(),
            region: party.region.as_ref(),
            called: &party.called,
            values: &BTreeMap::new(),
            shelf: &library.shelf,
        });
        let rule = decision.rule.and_then(|n| plan.rules.get(n)).map(|r| r.name.clone());
        let mut routed = Routed {
            plan: item.name.clone(),
            rule,
            to: String::new(),
            asked: None,
            looked: decision.trace,
        };
        match decision.way {
            Way::To(target) => self.go(handle, invite, &origin, to, target, routed, party.conversation, None),
            Way::Ask(ask) => {
                self.room().map_err(|_| no(503, "no room for another conversation"))?;
                // A caller that gives up meanwhile is heard of when the conversation is there.
                let post = Mailbox::new();
                self.dialogs.insert(handle.0, post.0.clone());
                let (switch, ask) = (self.clone(), ask.clone());
                self.runtime().spawn(async move {
                    let (target, answered) = switch.asked(&to.app, &ask, &party).await;
                    routed.asked = Some(answered);
                    let id = party.conversation;
                    let done = switch.go(handle, invite, &origin, to, &target, routed, id, Some(post));
                    if let Err(refused) = done {
                        switch.dialogs.remove(handle.0);
                        switch.turn_away(handle, refused);
                    }
                });
                Ok(())
            }
        }
    }

    /// Where the tenant's server says that a call goes, and whether it said so.
    async fn asked(&self, app: &Application, ask: &Ask, party: &Party) -> (Target, bool) {
        let body = serde_json::json!({
            "conversation": party.conversation.to_string(),
            "caller": party.caller.as_ref().map(Number::as_str),
            "called": party.called.as_str(),
            "province": party.region.as_ref().map(|r| r.province.as_str()),
            "city": party.region.as_ref().map(|r| r.city.as_str()),
        });
        let request = WebRequest {
            method: Method::Post,
            url: ask.url.clone(),
            headers: Vec::new(),
            body: Some(body.to_string()),
            timeout: Duration::from_millis(u64::from(ask.timeout_ms)),
            most: strowger_flows::MAX_ANSWER,
        };
        let mut attempt = 1;
        loop {
            let reply = match &self.equipment().web {
                Some(web) => web.send(app.tenant, request.clone()).await,
                None => None,
            };
            let answer = reply.filter(|a| (200..300).contains(&a.status));
            let answer = answer.and_then(|a| strowger_flows::target(&a.body));
            let answered = answer.is_some();
            match ask.settle(attempt, answer) {
                Settled::Again => attempt += 1,
                Settled::Go(target) => return (target, answered),
            }
        }
    }

    /// Brings the call to a target of its application.
    #[allow(clippy::too_many_arguments, reason = "what is known of a call that has not begun")]
    fn go(
        self: &Arc<Self>,
        handle: DialogHandle,
        invite: IncomingInvite,
        origin: &Origin,
        mut to: Destination,
        target: &Target,
        mut routed: Routed,
        id: ConversationId,
        kept: Option<(Mailbox, Inbox)>,
    ) -> Result<(), Refused> {
        let config = self.store().snapshot();
        routed.to = target_words(target);
        to.id = Some(id);
        to.centre = match target {
            Target::Flow(name) => {
                let library = config.routing().library(to.app.id);
                if !library.flows.contains_key(name) {
                    return Err(no(404, "its plan names a flow that is not published"));
                }
                Some(Centred::Flow(library, name.clone()))
            }
            Target::Queue(name) => {
                let mut own = config.centre().queues().filter(|q| q.application == to.app.id);
                let found = own.find(|q| q.name == *name || q.id.to_string() == *name);
                let found = found.ok_or_else(|| no(404, "its plan names a queue that is not there"))?;
                Some(Centred::Queue(found.id))
            }
            Target::Agent(name) => {
                let mut own = config.centre().agents().filter(|a| a.application == to.app.id);
                let found = own.find(|a| a.login == *name || a.extension == *name || a.id.to_string() == *name);
                let found = found.ok_or_else(|| no(404, "its plan names an agent that is not there"))?;
                Some(Centred::Agent(found.id))
            }
            Target::Device(name) => {
                let (device, text) = device(&config, &to.app, name)
                    .ok_or_else(|| no(404, "its plan names a device that is not there"))?;
                (to.target, to.text) = (device, text);
                None
            }
            Target::Number(number) => {
                self.permitted(&config, to.app.tenant, number)
                    .map_err(|_| no(403, "the toll rules of its tenant"))?;
                (to.target, to.text) = (CallTarget::Number(number.clone()), number.as_str().to_owned());
                None
            }
            Target::Voicemail(mailbox) => Some(own_flow(Node::Voicemail {
                mailbox: Template::new(mailbox.replace('$', "$$")),
                say: Vec::new(),
                max_seconds: MESSAGE_SECS,
                next: "end".into(),
            })),
            Target::Refuse {
                prompt: Some(prompt),
                cause,
            } => Some(own_flow(Node::HangUp {
                say: vec![Say::Prompt(prompt.clone())],
                cause: *cause,
            })),
            Target::Refuse { prompt: None, cause } => {
                tracing::info!(plan = routed.plan, rule = routed.rule, "the rules turn a call away");
                return Err(no(status_of(*cause), "the rules of its number"));
            }
        };
        to.routed = Some(Box::new(routed));
        self.start(handle, invite, origin, to, kept)
    }
}

/// A flow of one node, and the end.
fn own_flow(node: Node) -> Centred {
    let end = Node::HangUp {
        say: Vec::new(),
        cause: Cause::Normal,
    };
    let flow = Flow {
        start: "plan".into(),
        on_fault: None,
        language: Language::Chinese,
        max_seconds: 1800,
        nodes: [("plan".into(), node), ("end".into(), end)].into(),
    };
    let library = Library {
        flows: [(OWN_FLOW.into(), Arc::new(flow))].into(),
        ..Library::default()
    };
    Centred::Flow(Arc::new(library), OWN_FLOW.into())
}

fn device(config: &Config, app: &Application, name: &str) -> Option<(CallTarget, String)> {
    let by_id = name.parse().ok().and_then(|id| config.device(id));
    let found = by_id
        .filter(|d| d.device.tenant == app.tenant)
        .or_else(|| config.device_by_name(app.tenant, name))
        .filter(|d| !d.disabled)?;
    Some((CallTarget::Device(found.device.id), found.device.username.clone()))
}

/// Kind and name, for the record.
fn target_words(target: &Target) -> String {
    match target {
        Target::Flow(name) => format!("flow {name}"),
        Target::Queue(name) => format!("queue {name}"),
        Target::Agent(name) => format!("agent {name}"),
        Target::Device(name) => format!("device {name}"),
        Target::Number(number) => format!("number {}", number.as_str()),
        Target::Voicemail(name) => format!("voicemail {name}"),
        Target::Refuse { cause, .. } => format!("refuse {}", cause.name()),
    }
}

/// The status that tells a caller about a refusal (domain-model §6).
const fn status_of(cause: Cause) -> u16 {
    match cause {
        Cause::Busy => 486,
        Cause::Rejected => 603,
        Cause::InvalidNumber => 404,
        Cause::Forbidden => 403,
        _ => 480,
    }
}
