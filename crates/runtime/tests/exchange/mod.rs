//! Several conversations on one platform in virtual time: phones call one another through it, transfer, pick up and hang
//! up; each conversation has its owner, and INVITEs of the platform to itself come back over the network.

#![allow(dead_code)]

use crate::kit::{TestWorld, party_sdp};
use std::collections::HashMap;
use strowger_core::call::{ForwardPlan, PartyPlan, Target};
use strowger_core::event::{Created, Event, Kind, RecordMode, Via};
use strowger_core::{
    ApplicationId, ConversationId, ConversationRecord, DeviceId, Fact, Number, Stamp, TenantId, TrunkId,
};
use strowger_media::{Command as MediaCommand, Event as MediaEvent, Layout};
use strowger_runtime::owner::{Incoming, Out, Owner, OwnerInput, Replacing, Turn, Way};
use strowger_sim::{Link, NodeId, SipNet};
use strowger_sip_core::{
    Command, ConfirmedSnapshot, DialogHandle, IncomingInvite, Replaces, SipEvent, Target as SipTarget,
};

/// What a phone does with a call.
#[derive(Clone, Copy, Debug)]
pub enum Phone {
    /// Rings and answers after ms.
    Answers(u64),
    /// Rings, then refuses after ms.
    Refuses(u64, u16),
    /// Rings.
    Rings,
    /// Rings and answers after ms, and refuses to change the session.
    Stubborn(u64),
}

/// One conversation.
pub struct Conv {
    pub owner: Owner,
    pub events: Vec<Event>,
    handles: Vec<DialogHandle>,
    pub layouts: Vec<Layout>,
    /// Codec names by leg, as they were configured last.
    pub codecs: HashMap<u16, String>,
}

impl Conv {
    pub fn record(&self) -> ConversationRecord {
        let folded = ConversationRecord::fold(&self.events).expect("the log folds");
        folded.expect("there is a log")
    }

    pub fn hears(&self, leg: u16) -> Vec<u16> {
        let entry = self.layouts.last().and_then(|l| l.legs.iter().find(|l| l.leg == leg));
        entry
            .map(|l| l.hears.iter().map(|(n, _)| *n).collect())
            .unwrap_or_default()
    }
}

/// The platform.
pub struct Exchange {
    pub net: SipNet,
    pub platform: NodeId,
    pub world: TestWorld,
    pub convs: Vec<Conv>,
    phones: HashMap<&'static str, NodeId>,
    net_nodes: usize,
    sdps: HashMap<usize, bytes::Bytes>,
    seen: usize,
    pending: Vec<(u64, usize, MediaEvent)>,
    calls: u64,
    /// Commands to the media engine that change nothing else here.
    pub media: Vec<MediaCommand>,
    /// Whose calls come in.
    pub tenant_of_incoming: u128,
}

impl Exchange {
    pub fn new(link: Link, seed: u64) -> Exchange {
        let mut net = SipNet::new(seed, link);
        let platform = net.add_node();
        let mut world = TestWorld::empty();
        world.own = Some(net.addr(platform));
        Exchange {
            net,
            platform,
            world,
            convs: vec![],
            phones: HashMap::new(),
            net_nodes: 1,
            sdps: HashMap::new(),
            seen: 0,
            pending: vec![],
            calls: 0,
            media: vec![],
            tenant_of_incoming: 1,
        }
    }

    /// A phone of a user.
    pub fn phone(&mut self, user: &'static str, phone: Phone) -> NodeId {
        let node = NodeId(self.net_nodes);
        self.phone_with(user, phone, party_sdp(node, 1, "sendrecv"))
    }

    /// A phone that describes itself so.
    pub fn phone_with(&mut self, user: &'static str, phone: Phone, sdp: bytes::Bytes) -> NodeId {
        let node = self.net.add_node();
        self.net_nodes += 1;
        let addr = self.net.addr(node);
        let via = Via::Device(DeviceId(node.0 as u128));
        let way = Way::new(via, SipTarget::udp(addr), format!("sip:{user}@{addr}"));
        self.world.devices.entry(user.into()).or_default().push(way);
        self.phones.entry(user).or_insert(node);
        self.sdps.insert(node.0, sdp.clone());
        let script = move |handle, event: &SipEvent| {
            let respond = |status, sdp| Command::Respond {
                handle,
                status,
                reason_phrase: None,
                headers: vec![],
                sdp,
                reliable: false,
            };
            match event {
                SipEvent::Incoming(_) => match phone {
                    Phone::Answers(ms) => vec![
                        (10_000, respond(180, None)),
                        (ms * 1000, respond(200, Some(sdp.clone()))),
                    ],
                    Phone::Refuses(ms, status) => {
                        vec![(10_000, respond(180, None)), (ms * 1000, respond(status, None))]
                    }
                    Phone::Stubborn(ms) => vec![
                        (10_000, respond(180, None)),
                        (ms * 1000, respond(200, Some(sdp.clone()))),
                    ],
                    Phone::Rings => vec![(10_000, respond(180, None))],
                },
                SipEvent::ReInviteReceived { .. } if matches!(phone, Phone::Stubborn(_)) => {
                    vec![(100, respond(488, None))]
                }
                SipEvent::ReInviteReceived { sdp: Some(_) } => vec![(0, respond(200, Some(sdp.clone())))],
                _ => vec![],
            }
        };
        self.net.script(node, Box::new(script));
        node
    }

    /// A user calls another one through the platform; gives the caller's handle.
    pub fn call(&mut self, from: NodeId, to: &str, headers: Vec<(String, String)>) -> DialogHandle {
        self.calls += 1;
        let mut invite = self.net.invite(from, self.platform, 1000 + self.calls);
        invite.request_uri = format!("sip:{to}@10.0.0.1");
        invite.sdp = self.sdps.get(&from.0).cloned();
        invite.headers = headers;
        let handle = invite.handle;
        self.net.command(from, Command::Invite(Box::new(invite)));
        handle
    }

    /// The dialog of a phone's call that was answered to it, as the phone would name it in a Replaces.
    pub fn replaces(&self, phone: NodeId, handle: DialogHandle) -> Replaces {
        let of = |s: &ConfirmedSnapshot| Replaces {
            call_id: s.call_id.clone(),
            to_tag: s.remote_tag.clone(),
            from_tag: s.local_tag.clone(),
            early_only: false,
        };
        let found = self.net.events().iter().find_map(|l| match &l.event {
            SipEvent::Answered { snapshot, .. } if l.node == phone && l.handle == handle => Some(of(snapshot)),
            SipEvent::Incoming(i) if l.node == phone && l.handle == handle => Some(of(&i.snapshot)),
            _ => None,
        });
        found.expect("the phone has that call")
    }

    /// The handle of the last call that came to a phone.
    pub fn called(&self, phone: NodeId) -> Option<DialogHandle> {
        let mut events = self.net.events().iter().rev();
        let found = events.find(|l| l.node == phone && matches!(l.event, SipEvent::Incoming(_)));
        found.map(|l| l.handle)
    }

    /// Calls that a phone has, and how many of them are over.
    pub fn calls_of(&self, phone: NodeId) -> (usize, usize) {
        let mut handles: Vec<_> = self
            .net
            .events()
            .iter()
            .filter(|l| l.node == phone)
            .map(|l| l.handle)
            .collect();
        handles.sort();
        handles.dedup();
        let over = self.net.events_of(phone).filter(|e| e.is_terminal()).count();
        (handles.len(), over)
    }

    fn now(&self) -> Stamp {
        Stamp(crate::kit::BASE + (self.net.now().0 / 1000) as i64)
    }

    pub fn give(&mut self, c: usize, input: OwnerInput) {
        let now = self.now();
        let turn = self.convs[c].owner.handle(input, &self.world, now);
        self.carry_out(c, turn);
    }

    fn carry_out(&mut self, c: usize, turn: Turn) {
        let now = self.net.now().0 / 1000;
        self.convs[c].events.extend(turn.events);
        for out in turn.out {
            match out {
                Out::Claim(handle, name) => {
                    self.convs[c].handles.push(handle);
                    self.world.names.lock().unwrap().push(name);
                }
                Out::Sip(command) => self.net.command(self.platform, command),
                Out::Media(MediaCommand::Layout(layout)) => self.convs[c].layouts.push(layout),
                Out::Media(MediaCommand::CloseLeg { leg }) => {
                    let stats = Default::default();
                    self.pending.push((now + 1, c, MediaEvent::LegClosed { leg, stats }));
                }
                Out::Media(MediaCommand::Configure { leg, config }) => {
                    let codec = format!("{:?}", config.codec.kind);
                    self.convs[c].codecs.insert(leg, codec);
                }
                Out::Media(command) => self.media.push(command),
                // No call here is a contact centre's.
                Out::Centre(_) => {}
            }
        }
    }

    fn incoming(&mut self, handle: DialogHandle, invite: IncomingInvite) {
        let source = invite.source.addr;
        let own = Some(source) == self.world.own;
        let via = if own { Via::Platform } else { Via::Trunk(TrunkId(99)) };
        let replaced = invite.replaces.map(|r| r.handle);
        let to = invite
            .request_uri
            .trim_start_matches("sip:")
            .split('@')
            .next()
            .unwrap_or("")
            .to_owned();
        let dialog = strowger_runtime::owner::recover::confirmed_ref(&invite.snapshot);
        let incoming = Incoming {
            handle,
            invite,
            via,
            permit: None,
            trusted: false,
            media: Default::default(),
        };
        if let Some(replaced) = replaced {
            let owner = self.convs.iter().position(|c| c.handles.contains(&replaced));
            let replacing = Replacing {
                incoming,
                replaced,
                tenant: TenantId(self.tenant_of_incoming),
                from: "caller".into(),
                to,
            };
            if let Some(c) = owner {
                self.give(c, OwnerInput::Replace(Box::new(replacing)));
            }
            return;
        }
        let plan = ForwardPlan {
            dialog,
            from: "caller".into(),
            to: to.clone(),
            party: PartyPlan {
                target: Target::Number(Number::from_canonical(&to)),
                text: to,
                cli: None,
            },
            ring_timeout: 60,
            record_wait: 60,
            routed: None,
        };
        let head = Created {
            tenant: TenantId(1),
            application: ApplicationId(1),
            account: None,
            kind: Kind::Inbound,
            ani: String::new(),
            dnis: String::new(),
            user_data: String::new(),
            max_duration: None,
            record: RecordMode::None,
            subscriptions: vec![],
        };
        let id = ConversationId(crate::kit::ID.0 + ((self.convs.len() as u128) << 20));
        let (owner, turn) = Owner::forward(id, head, plan, incoming, &self.world, self.now()).unwrap();
        self.convs.push(Conv {
            owner,
            events: vec![],
            handles: vec![],
            layouts: vec![],
            codecs: HashMap::new(),
        });
        self.carry_out(self.convs.len() - 1, turn);
    }

    /// Lets virtual time pass.
    pub fn run(&mut self, ms: u64) {
        let step = 5;
        for _ in 0..ms.div_ceil(step) {
            self.net.run_for(step * 1000);
            let fresh: Vec<_> = self.net.events()[self.seen..].to_vec();
            self.seen = self.net.events().len();
            let platform = self.platform;
            for logged in fresh.into_iter().filter(|l| l.node == platform) {
                match logged.event {
                    SipEvent::Incoming(invite) => self.incoming(logged.handle, *invite),
                    event => {
                        if let Some(c) = self.convs.iter().position(|c| c.handles.contains(&logged.handle)) {
                            self.give(c, OwnerInput::Sip(logged.handle, event));
                        }
                    }
                }
            }
            let now = self.net.now().0 / 1000;
            let (due, rest) = std::mem::take(&mut self.pending)
                .into_iter()
                .partition(|(at, ..)| *at <= now);
            self.pending = rest;
            for (_, c, event) in due {
                self.give(c, OwnerInput::Media(event));
            }
            let stamp = self.now();
            for c in 0..self.convs.len() {
                if self.convs[c].owner.next_deadline().is_some_and(|at| at <= stamp) {
                    self.give(c, OwnerInput::Tick);
                }
            }
        }
    }

    /// The process dies and another one closes what it left.
    pub fn die_and_recover(&mut self) {
        self.net.restart(self.platform);
        self.pending.clear();
        self.seen = self.net.events().len();
        let at = self.now();
        let mut n = 1 << 40;
        for conv in &mut self.convs {
            let mut record = conv.record();
            conv.handles.clear();
            let handle = || {
                n += 1;
                DialogHandle(n)
            };
            let gone = |recording| Fact::RecordingFailed {
                recording,
                reason: "gone".into(),
            };
            let closing = strowger_runtime::owner::recover::close(&mut record, Some(at), handle, gone, |_| None);
            conv.events.extend(closing.events);
            for command in closing.commands {
                self.net.command(self.platform, command);
            }
        }
        self.net.run_for(5_000_000);
    }

    /// After the end: one record each, and nothing is left anywhere.
    pub fn assert_clean(&mut self) {
        assert!(
            self.net.run_to_quiet(),
            "a stack still holds something:\n{}",
            self.net.ladder()
        );
        self.run(3_000);
        let ladder = self.net.ladder();
        for (n, c) in self.convs.iter().enumerate() {
            let kinds: Vec<_> = c.events.iter().map(|e| e.fact.kind()).collect();
            let record = c.record();
            assert!(
                record.ended_at.is_some(),
                "conversation {n} is open: {kinds:?}\n{ladder}"
            );
            assert_eq!(c.events.iter().filter(|e| e.fact == Fact::Ended).count(), 1);
            assert!(record.legs.iter().all(|l| l.end.is_some()));
            let unsettled = |l: &strowger_core::record::LegRecord| l.transfer.is_some_and(|t| t.result.is_none());
            assert!(
                !record.legs.iter().any(unsettled),
                "a transfer without a result: {kinds:?}"
            );
            assert_eq!(c.owner.machine().record(), &record);
            assert!(
                c.owner.is_over(),
                "conversation {n} waits for {:?}",
                c.owner.next_deadline()
            );
            assert_eq!(c.owner.next_deadline(), None, "conversation {n} has a deadline left");
        }
        let phones: Vec<_> = self.phones.iter().map(|(u, n)| (*u, *n)).collect();
        for (user, node) in phones {
            let (had, over) = self.calls_of(node);
            assert_eq!(had, over, "{user} still has a call\n{ladder}");
        }
    }
}
