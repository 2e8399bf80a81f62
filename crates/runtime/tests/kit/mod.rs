//! An owner in virtual time: the real conversation machine and the real SIP stack on a simulated network; media is
//! played by a table of durations.

#![allow(dead_code)]

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use strowger_core::call::{ClickPlan, ForwardPlan, PartyPlan, Ringback, Sound, Target};
use strowger_core::event::{Created, Event, Kind, RecordMode, Via};
use strowger_core::{
    ApplicationId, ConversationId, ConversationRecord, DeviceId, Fact, Number, Stamp, TenantId, TrunkId,
};
use strowger_media::{CallKey, Command as MediaCommand, Event as MediaEvent, Layout, MediaError, SoundRef};
use strowger_runtime::owner::{
    DialogName, Diversion, Incoming, Out, Owner, OwnerInput, Permit, Turn, Way, World, diversion_headers,
};
use strowger_sim::{Link, NodeId, SipNet};
use strowger_sip_core::{Command, DialogHandle, ReferTo, Replaces, SipEvent, Target as SipTarget};

pub const BASE: i64 = 1_700_000_000_000;
pub const ID: ConversationId = ConversationId(0x0190_0000_0000_0000_0000_0000_0001_0000);

/// How a party behaves.
#[derive(Clone, Debug)]
pub enum Party {
    /// Rings, answers after ms, hangs up after further ms (0: never).
    Answers(u64, u64),
    /// Refuses at once.
    Refuses(u16),
    /// Rings, then refuses after ms.
    RingsThenRefuses(u64, u16),
    /// Rings and nothing else.
    Rings,
    /// Says nothing at all.
    Silent,
    /// 183 with media after ms, then answers after further ms.
    EarlyMedia(u64, u64),
    /// 183 with media after ms, then refuses after further ms.
    EarlyThenRefuses(u64, u64, u16),
    /// Sends the call on to these URIs, after ms.
    Diverts(u64, u16, &'static [&'static str]),
}

/// A sent session description for a party's answer.
pub fn party_sdp(node: NodeId, version: u64, direction: &str) -> bytes::Bytes {
    format!(
        "v=0\r\no=- 7 {version} IN IP4 10.0.0.{n}\r\ns=-\r\nc=IN IP4 10.0.0.{n}\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\na={direction}\r\n",
        n = node.0 + 1
    )
    .into()
}

/// The platform's surroundings.
pub struct TestWorld {
    pub routes: HashMap<String, Vec<(u128, SocketAddr)>>,
    /// Users that are reached at devices.
    pub devices: HashMap<String, Vec<Way>>,
    /// Dialogs of ours, as a Replaces names them.
    pub names: Mutex<Vec<DialogName>>,
    /// Where our own INVITEs go.
    pub own: Option<SocketAddr>,
    pub full: Mutex<Vec<u128>>,
    pub claimed: Mutex<Vec<Via>>,
    /// How digits are sent.
    pub digits: strowger_core::resource::DigitsBy,
    /// Names of what is offered.
    pub codecs: Vec<&'static str>,
    next: AtomicU64,
}

impl TestWorld {
    pub fn empty() -> TestWorld {
        TestWorld {
            routes: HashMap::new(),
            devices: HashMap::new(),
            names: Mutex::default(),
            own: None,
            full: Mutex::default(),
            claimed: Mutex::default(),
            digits: Default::default(),
            codecs: vec!["PCMA", "PCMU"],
            next: AtomicU64::new(1),
        }
    }
}

impl World for TestWorld {
    fn codecs(&self) -> Vec<strowger_sip_core::sdp::Codec> {
        let named = self
            .codecs
            .iter()
            .filter_map(|name| strowger_runtime::owner::codec(name));
        named.collect()
    }
    fn digits_by(&self, _: Via) -> strowger_core::resource::DigitsBy {
        self.digits
    }
    fn open_media(&self, _: CallKey, leg: u16) -> Result<SocketAddr, MediaError> {
        Ok(([10, 0, 0, 1], 20_000 + leg * 2).into())
    }
    fn open_webrtc(&self, _: CallKey, leg: u16) -> Result<strowger_media::LocalWebRtc, MediaError> {
        Ok(strowger_media::LocalWebRtc {
            credentials: strowger_media::IceCredentials {
                ufrag: format!("leg{leg:05}"),
                pwd: "p".repeat(24),
            },
            fingerprint: strowger_media::Fingerprint {
                hash: "sha-256".into(),
                value: "00:11".into(),
            },
            candidates: vec![strowger_media::LocalCandidate {
                address: ([10, 0, 0, 1], 20_000).into(),
                base: None,
            }],
            lite: true,
            video: [1_000 + u32::from(leg), 2_000 + u32::from(leg)],
        })
    }
    fn ways(&self, _: TenantId, target: &Target) -> Vec<Way> {
        let Target::Number(n) = target else { return vec![] };
        if let Some(ways) = self.devices.get(n.as_str()) {
            return ways.clone();
        }
        let ways = self.routes.get(n.as_str()).cloned().unwrap_or_default();
        ways.into_iter()
            .zip(0..)
            .map(|((trunk, destination), group)| Way {
                group,
                ..Way::new(
                    Via::Trunk(TrunkId(trunk)),
                    SipTarget::udp(destination),
                    format!("sip:{}@{destination}", n.as_str()),
                )
            })
            .collect()
    }
    fn divert(&self, tenant: TenantId, application: ApplicationId, diversion: &Diversion<'_>) -> Vec<Way> {
        let target = self.transfer_to(tenant, application, diversion.contact);
        let mut ways = target.map(|(t, _)| self.ways(tenant, &t)).unwrap_or_default();
        for way in &mut ways {
            let headers = diversion_headers("sip:1002@10.0.0.1", &way.uri, diversion.status, diversion.count);
            way.headers.extend(headers);
        }
        ways
    }
    fn transfer_to(&self, _: TenantId, _: ApplicationId, uri: &str) -> Result<(Target, String), u16> {
        let user = uri
            .strip_prefix("sip:")
            .and_then(|u| u.split_once('@'))
            .map(|(user, _)| user);
        let user = user.ok_or(404u16)?;
        if user == "110" {
            return Err(403);
        }
        let known = self.routes.contains_key(user) || self.devices.contains_key(user);
        let target = Target::Number(Number::from_canonical(user));
        known.then(|| (target, user.to_owned())).ok_or(404)
    }
    fn self_way(&self, _: TenantId, refer_to: &ReferTo, replaces: &Replaces) -> Option<Way> {
        let own = self.own?;
        let known = self
            .names
            .lock()
            .unwrap()
            .iter()
            .any(|n| n.call_id == replaces.call_id && n.local_tag == replaces.to_tag);
        known.then(|| Way::new(Via::Platform, SipTarget::udp(own), refer_to.uri.clone()))
    }
    fn claim(&self, via: Via) -> Option<Permit> {
        let Via::Trunk(TrunkId(id)) = via else {
            return Some(Box::new(()));
        };
        if self.full.lock().unwrap().contains(&id) {
            return None;
        }
        self.claimed.lock().unwrap().push(via);
        Some(Box::new(()))
    }
    fn sound(&self, _: TenantId, _: ApplicationId, sound: &Sound) -> Option<SoundRef> {
        if matches!(sound, Sound::Prompt(n) if n == "missing") {
            return None;
        }
        Some(SoundRef::Tone(strowger_media::Cadence::sine(440, -10.0)))
    }
    fn random(&self) -> u128 {
        u128::from(self.next.fetch_add(1, Ordering::Relaxed)).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
    }
    fn dialog_handle(&self) -> DialogHandle {
        DialogHandle(self.next.fetch_add(1, Ordering::Relaxed))
    }
    fn host(&self) -> String {
        "10.0.0.1".into()
    }
}

/// The platform on its network.
pub struct Rig {
    pub net: SipNet,
    pub platform: NodeId,
    pub world: TestWorld,
    pub owner: Option<Owner>,
    pub events: Vec<Event>,
    pub layouts: Vec<Layout>,
    pub media: Vec<MediaCommand>,
    pub handles: Vec<DialogHandle>,
    pub incoming: Option<(DialogHandle, Box<strowger_sip_core::IncomingInvite>)>,
    seen: usize,
    pending: Vec<(u64, MediaEvent)>,
    plays: std::collections::HashSet<u32>,
    recording: Option<u128>,
    pub sound_ms: u64,
    /// Commands are held back while this is set: a commit that never comes.
    pub frozen: bool,
    /// Turns that wait for a commit are held back, in order, while this is set; nothing else is given to the owner.
    pub hold_back: bool,
    held: Vec<Turn>,
    mail: Vec<OwnerInput>,
}

impl Rig {
    pub fn new(link: Link, seed: u64) -> Rig {
        let mut net = SipNet::new(seed, link);
        let platform = net.add_node();
        Rig {
            net,
            platform,
            world: TestWorld::empty(),
            owner: None,
            events: vec![],
            layouts: vec![],
            media: vec![],
            handles: vec![],
            incoming: None,
            seen: 0,
            pending: vec![],
            plays: Default::default(),
            recording: None,
            sound_ms: 1000,
            frozen: false,
            hold_back: false,
            held: vec![],
            mail: vec![],
        }
    }

    /// A party with a number, reached over a trunk of its own.
    pub fn party(&mut self, number: &str, behaviour: Party) -> NodeId {
        let (node, addr) = self.node(behaviour);
        let routes = self.world.routes.entry(number.into()).or_default();
        routes.push((node.0 as u128, addr));
        node
    }

    /// A device of a user, rung in a group.
    pub fn device(&mut self, user: &str, group: u16, behaviour: Party) -> NodeId {
        let (node, addr) = self.node(behaviour);
        let via = Via::Device(DeviceId(node.0 as u128));
        let way = Way {
            group,
            ..Way::new(via, SipTarget::udp(addr), format!("sip:{user}@{addr}"))
        };
        self.world.devices.entry(user.into()).or_default().push(way);
        node
    }

    fn node(&mut self, behaviour: Party) -> (NodeId, SocketAddr) {
        let node = self.net.add_node();
        // Nobody has the address of a silent party; a stack would at least send 100.
        let addr = match behaviour {
            Party::Silent => ([192, 0, 2, 1], 5060).into(),
            _ => self.net.addr(node),
        };
        if matches!(behaviour, Party::Silent) {
            return (node, addr);
        }
        let sdp = party_sdp(node, 1, "sendrecv");
        self.net.script(
            node,
            Box::new(move |handle, event: &SipEvent| {
                let respond = |status, sdp| Command::Respond {
                    handle,
                    status,
                    reason_phrase: None,
                    headers: vec![],
                    sdp,
                    reliable: false,
                };
                let ms = 1000;
                match event {
                    SipEvent::Incoming(_) => match behaviour {
                        Party::Answers(after, bye) => {
                            let mut c = vec![
                                (20 * ms, respond(180, None)),
                                (after * ms, respond(200, Some(sdp.clone()))),
                            ];
                            if bye > 0 {
                                c.push(((after + bye) * ms, Command::Bye { handle, reason: None }));
                            }
                            c
                        }
                        Party::Refuses(status) => vec![(0, respond(status, None))],
                        Party::RingsThenRefuses(after, status) => {
                            vec![(0, respond(180, None)), (after * ms, respond(status, None))]
                        }
                        Party::Rings => vec![(0, respond(180, None))],
                        Party::EarlyMedia(a, b) => vec![
                            (a * ms, respond(183, Some(sdp.clone()))),
                            ((a + b) * ms, respond(200, Some(sdp.clone()))),
                        ],
                        Party::EarlyThenRefuses(a, b, status) => vec![
                            (a * ms, respond(183, Some(sdp.clone()))),
                            ((a + b) * ms, respond(status, None)),
                        ],
                        Party::Diverts(after, status, contacts) => {
                            let contacts = contacts.iter().map(|c| ("Contact".to_owned(), format!("<{c}>")));
                            let divert = Command::Respond {
                                handle,
                                status,
                                reason_phrase: None,
                                headers: contacts.collect(),
                                sdp: None,
                                reliable: false,
                            };
                            vec![(0, respond(180, None)), (after * ms, divert)]
                        }
                        Party::Silent => vec![],
                    },
                    SipEvent::ReInviteReceived { sdp: Some(_) } => vec![(0, respond(200, Some(sdp.clone())))],
                    _ => vec![],
                }
            }),
        );
        (node, addr)
    }

    pub fn now(&self) -> Stamp {
        Stamp(BASE + (self.net.now().0 / 1000) as i64)
    }

    pub fn click(&mut self, edit: impl FnOnce(&mut Created, &mut ClickPlan)) {
        let party = |n: &str| PartyPlan {
            target: Target::Number(Number::from_canonical(n)),
            text: n.into(),
            cli: Some("+86 10-5550".into()),
        };
        let mut plan = ClickPlan {
            caller: party("1001"),
            callee: party("1002"),
            greeting: None,
            ringback: Ringback::Transparent,
            caller_voice: None,
            callee_voice: None,
            last_minute: None,
            ring_timeout: 120,
            record_wait: 60,
            answer: Default::default(),
        };
        let mut head = head(Kind::ClickToCall);
        edit(&mut head, &mut plan);
        let (owner, turn) = Owner::click_to_call(ID, head, plan, &self.world, self.now());
        self.owner = Some(owner);
        self.carry_out(turn);
    }

    pub fn forward(&mut self, to: &str) {
        let (handle, invite) = self.incoming.take().expect("an INVITE came in");
        let plan = ForwardPlan {
            dialog: strowger_runtime::owner::recover::confirmed_ref(&invite.snapshot),
            from: "caller".into(),
            to: "callee".into(),
            party: PartyPlan {
                target: Target::Number(Number::from_canonical(to)),
                text: to.into(),
                cli: None,
            },
            ring_timeout: 120,
            record_wait: 60,
            routed: None,
        };
        let incoming = Incoming {
            handle,
            invite: *invite,
            via: Via::Trunk(TrunkId(99)),
            permit: None,
            trusted: false,
            media: Default::default(),
        };
        let now = self.now();
        let (owner, turn) = Owner::forward(ID, head(Kind::Inbound), plan, incoming, &self.world, now).unwrap();
        self.owner = Some(owner);
        self.carry_out(turn);
    }

    pub fn give(&mut self, input: OwnerInput) -> Turn2 {
        if !self.held.is_empty() {
            self.mail.push(input);
            return Turn2::default();
        }
        let now = self.now();
        let Some(owner) = &mut self.owner else {
            return Turn2::default();
        };
        let turn = owner.handle(input, &self.world, now);
        let reply = turn.reply;
        self.carry_out(turn);
        Turn2 { reply }
    }

    fn carry_out(&mut self, mut turn: Turn) {
        self.events.extend(std::mem::take(&mut turn.events));
        if self.hold_back && turn.wait {
            self.held.push(turn);
            return;
        }
        if self.frozen {
            return;
        }
        let now = self.net.now().0 / 1000;
        for out in turn.out {
            match out {
                Out::Claim(handle, name) => {
                    self.handles.push(handle);
                    self.world.names.lock().unwrap().push(name);
                }
                Out::Sip(command) => self.net.command(self.platform, command),
                // No call here is a contact centre's.
                Out::Centre(_) => {}
                Out::Media(command) => {
                    self.media.push(command.clone());
                    match command {
                        MediaCommand::Layout(layout) => {
                            let all = layout.legs.iter().filter_map(|l| Some((l.leg, l.play.as_ref()?)));
                            for (leg, play) in all {
                                if !play.repeat && self.plays.insert(play.id) {
                                    let done = MediaEvent::PlayFinished { leg, id: play.id };
                                    self.pending.push((now + self.sound_ms, done));
                                }
                            }
                            if let Some(play) = &layout.announce
                                && self.plays.insert(play.id)
                            {
                                let done = MediaEvent::AnnounceFinished { id: play.id };
                                self.pending.push((now + self.sound_ms, done));
                            }
                            self.layouts.push(layout);
                        }
                        MediaCommand::CloseLeg { leg } => {
                            let stats = strowger_media::LegStats {
                                packets_in: 50,
                                ..Default::default()
                            };
                            self.pending.push((now + 1, MediaEvent::LegClosed { leg, stats }));
                        }
                        MediaCommand::Record(spec) => self.recording = Some(spec.id),
                        MediaCommand::StopRecord => {
                            let id = self.recording.take().expect("a recording runs");
                            self.pending.push((
                                now + 50,
                                MediaEvent::RecordingFinished {
                                    id,
                                    path: "/x/RE.wav".into(),
                                    millis: 1,
                                    bytes: 1,
                                    sha256: None,
                                    silenced_ms: 0,
                                    error: None,
                                },
                            ));
                        }
                        _ => {}
                    }
                }
            }
        }
    }

    /// Lets virtual time pass.
    pub fn run(&mut self, ms: u64) {
        let step = 5;
        for _ in 0..ms.div_ceil(step) {
            if !self.hold_back && !self.held.is_empty() {
                for turn in std::mem::take(&mut self.held) {
                    self.carry_out(turn);
                }
                for input in std::mem::take(&mut self.mail) {
                    self.give(input);
                }
            }
            self.net.run_for(step * 1000);
            let now = self.net.now().0 / 1000;
            let fresh: Vec<_> = self.net.events()[self.seen..].to_vec();
            self.seen = self.net.events().len();
            let platform = self.platform;
            for logged in fresh.into_iter().filter(|l| l.node == platform) {
                match logged.event {
                    SipEvent::Incoming(invite) => self.incoming = Some((logged.handle, invite)),
                    event if self.handles.contains(&logged.handle) => {
                        self.give(OwnerInput::Sip(logged.handle, event));
                    }
                    _ => {}
                }
            }
            let (due, rest) = std::mem::take(&mut self.pending)
                .into_iter()
                .partition(|(at, _)| *at <= now);
            self.pending = rest;
            for (_, event) in due {
                self.give(OwnerInput::Media(event));
            }
            let stamp = self.now();
            if self
                .owner
                .as_ref()
                .and_then(Owner::next_deadline)
                .is_some_and(|at| at <= stamp)
            {
                self.give(OwnerInput::Tick);
            }
        }
    }

    pub fn record(&self) -> ConversationRecord {
        ConversationRecord::fold(&self.events)
            .expect("the log folds")
            .expect("there is a log")
    }

    pub fn kinds(&self) -> Vec<&'static str> {
        self.events.iter().map(|e| e.fact.kind()).collect()
    }

    /// After the end: nothing is left anywhere.
    pub fn assert_clean(&mut self) {
        assert!(
            self.net.run_to_quiet(),
            "a stack still holds something:\n{}",
            self.net.ladder()
        );
        self.run(3_000);
        let record = self.record();
        assert!(record.ended_at.is_some(), "not ended: {:?}", self.kinds());
        assert_eq!(self.events.iter().filter(|e| e.fact == Fact::Ended).count(), 1);
        assert!(record.legs.iter().all(|l| l.end.is_some()));
        if let Some(owner) = &self.owner {
            assert!(
                owner.is_over(),
                "the owner waits for something: {:?}",
                owner.next_deadline()
            );
            assert_eq!(
                owner.machine().record(),
                &record,
                "the machine's record is the fold of its log"
            );
        }
    }

    /// The last layout: who hears whom.
    pub fn hears(&self, leg: u16) -> Vec<u16> {
        let layout = self.layouts.last().expect("a layout");
        let entry = layout.legs.iter().find(|l| l.leg == leg);
        entry
            .map(|l| l.hears.iter().map(|(n, _)| *n).collect())
            .unwrap_or_default()
    }

    pub fn plays(&self, leg: u16) -> bool {
        let layout = self.layouts.last().expect("a layout");
        layout.legs.iter().any(|l| l.leg == leg && l.play.is_some())
    }
}

#[derive(Default)]
pub struct Turn2 {
    pub reply: Option<Result<strowger_core::call::Accepted, strowger_core::call::Refusal>>,
}

fn head(kind: Kind) -> Created {
    Created {
        tenant: TenantId(1),
        application: ApplicationId(1),
        account: None,
        kind,
        ani: "1001".into(),
        dnis: "1002".into(),
        user_data: String::new(),
        max_duration: None,
        record: RecordMode::None,
        subscriptions: vec![],
    }
}
