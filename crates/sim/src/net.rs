//! The network: nodes, links, the clock.

use crate::trace::summary;
use crate::{Logged, Rng, Trace};
use bytes::Bytes;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fmt;
use std::net::SocketAddr;
use strowger_sip_core::{
    AckMode, Command, DialogHandle, Input, Interface, Invite, Output, Party, Received, Reliable, SipEvent, Stack,
    StackConfig, StackStats, Target, Time, Transport,
};

/// A node of the network, numbered from 0; shown as A, B, C, …
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeId(pub usize);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", (b'A' + (self.0 % 26) as u8) as char)
    }
}

/// How the network treats datagrams. Reordering follows from jitter.
#[derive(Debug, Clone, Copy)]
pub struct Link {
    /// Loss in thousandths.
    pub loss: u32,
    /// Duplication in thousandths.
    pub duplicate: u32,
    /// Shortest delay in µs.
    pub delay: u64,
    /// Added at random, up to this, in µs.
    pub jitter: u64,
}

impl Link {
    /// 10 ms, nothing lost.
    pub const CLEAN: Link = Link {
        loss: 0,
        duplicate: 0,
        delay: 10_000,
        jitter: 0,
    };

    /// The given loss in thousandths, 3 % duplicates, 5-85 ms, so that datagrams overtake each other.
    pub const fn lossy(loss: u32) -> Link {
        Link {
            loss,
            duplicate: 30,
            delay: 5_000,
            jitter: 80_000,
        }
    }
}

/// A datagram, for filters.
pub struct Packet<'a> {
    /// Sender.
    pub from: NodeId,
    /// Receiver.
    pub to: Option<NodeId>,
    /// `INVITE 1`, `200 INVITE 1`, …
    pub summary: &'a str,
    /// The message.
    pub bytes: &'a Bytes,
}

/// A node's reaction to an event: commands, each after a delay in µs.
pub type Script = Box<dyn FnMut(DialogHandle, &SipEvent) -> Vec<(u64, Command)>>;
/// Changes a node's configuration, also after a restart.
type Settings = Box<dyn Fn(&mut StackConfig)>;
/// Decides which datagrams are lost beyond the link's own loss.
type Filter = Box<dyn FnMut(&Packet<'_>) -> bool>;

struct Node {
    stack: Stack,
    addr: SocketAddr,
    script: Option<Script>,
    settings: Option<Settings>,
    /// Where a forking proxy sends each INVITE; empty for a user agent.
    forks_to: Vec<SocketAddr>,
}

enum Due {
    Arrival {
        to: NodeId,
        source: SocketAddr,
        bytes: Bytes,
    },
    Command {
        node: NodeId,
        command: Command,
    },
}

/// User agents, a network between them, and a clock that jumps from one thing to the next.
pub struct SipNet {
    rng: Rng,
    now: Time,
    link: Link,
    nodes: Vec<Node>,
    /// What will happen, by (time, order of creation).
    queue: BinaryHeap<Reverse<(Time, u64)>>,
    due: BTreeMap<u64, Due>,
    order: u64,
    filter: Option<Filter>,
    trace: Vec<Trace>,
    events: Vec<Logged>,
}

impl SipNet {
    /// A network without nodes.
    pub fn new(seed: u64, link: Link) -> SipNet {
        SipNet {
            rng: Rng::new(seed),
            now: Time(1_000_000),
            link,
            nodes: Vec::new(),
            queue: BinaryHeap::new(),
            due: BTreeMap::new(),
            order: 0,
            filter: None,
            trace: Vec::new(),
            events: Vec::new(),
        }
    }

    /// Adds a user agent with an address of its own.
    pub fn add_node(&mut self) -> NodeId {
        self.add(None, Vec::new())
    }

    /// Adds a user agent with settings of its own.
    pub fn add_node_with(&mut self, settings: impl Fn(&mut StackConfig) + 'static) -> NodeId {
        self.add(Some(Box::new(settings)), Vec::new())
    }

    /// Adds a proxy that sends every INVITE to all of `targets` and passes every provisional response and every 2xx on.
    /// It records no route, so that whatever follows goes directly; refusals end with it.
    pub fn add_forking_proxy(&mut self, targets: &[NodeId]) -> NodeId {
        let targets = targets.iter().map(|t| self.addr(*t)).collect();
        self.add(None, targets)
    }

    fn add(&mut self, settings: Option<Settings>, forks_to: Vec<SocketAddr>) -> NodeId {
        let id = NodeId(self.nodes.len());
        let addr = SocketAddr::from(([10, 0, (id.0 / 250) as u8, (id.0 % 250) as u8 + 1], 5060));
        let stack = Stack::new(self.config(addr, settings.as_ref()));
        self.nodes.push(Node {
            stack,
            addr,
            script: None,
            settings,
            forks_to,
        });
        id
    }

    fn config(&mut self, addr: SocketAddr, settings: Option<&Settings>) -> StackConfig {
        let mut seed = [0; 16];
        seed[..8].copy_from_slice(&self.rng.next_u64().to_le_bytes());
        seed[8..].copy_from_slice(&self.rng.next_u64().to_le_bytes());
        let mut config = StackConfig::new(seed, Interface::new(Transport::Udp, addr));
        if let Some(change) = settings {
            change(&mut config);
        }
        config
    }

    /// Kills the node's process: a new stack without any memory takes its address.
    pub fn restart(&mut self, node: NodeId) {
        let settings = self.nodes[node.0].settings.take();
        let config = self.config(self.nodes[node.0].addr, settings.as_ref());
        self.nodes[node.0].stack = Stack::new(config);
        self.nodes[node.0].settings = settings;
    }

    /// The node's address.
    pub fn addr(&self, node: NodeId) -> SocketAddr {
        self.nodes[node.0].addr
    }

    /// The node's stack, for settings and counters.
    pub fn stack(&mut self, node: NodeId) -> &mut Stack {
        &mut self.nodes[node.0].stack
    }

    /// Sets what the node does when it gets an event.
    pub fn script(
        &mut self,
        node: NodeId,
        script: impl FnMut(DialogHandle, &SipEvent) -> Vec<(u64, Command)> + 'static,
    ) {
        self.nodes[node.0].script = Some(Box::new(script));
    }

    /// Changes the network.
    pub fn set_link(&mut self, link: Link) {
        self.link = link;
    }

    /// Loses every datagram for which `lose` returns true.
    pub fn lose_if(&mut self, lose: impl FnMut(&Packet<'_>) -> bool + 'static) {
        self.filter = Some(Box::new(lose));
    }

    /// The virtual time.
    pub fn now(&self) -> Time {
        self.now
    }

    /// Numbers that depend on the seed alone.
    pub fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    /// Every datagram so far.
    pub fn trace(&self) -> &[Trace] {
        &self.trace
    }

    /// Every event so far.
    pub fn events(&self) -> &[Logged] {
        &self.events
    }

    /// The events of one node.
    pub fn events_of(&self, node: NodeId) -> impl Iterator<Item = &SipEvent> {
        self.events.iter().filter(move |e| e.node == node).map(|e| &e.event)
    }

    /// How often a datagram with this summary was sent by the node, lost ones included.
    pub fn sent(&self, node: NodeId, summary: &str) -> usize {
        self.trace
            .iter()
            .filter(|t| t.from == node && t.summary == summary)
            .count()
    }

    /// The whole ladder as text.
    pub fn ladder(&self) -> String {
        self.trace.iter().map(|t| format!("{t}\n")).collect()
    }

    /// A plain INVITE from one node to another with an offer; everything else can be changed before it is given.
    pub fn invite(&self, from: NodeId, to: NodeId, n: u64) -> Invite {
        let (caller, callee) = (self.addr(from), self.addr(to));
        Invite {
            handle: DialogHandle(n),
            call_id: format!("call-{n}@{}", caller.ip()),
            local_tag: format!("tag{n}"),
            branch_stem: format!("{}x{n}", from.0),
            request_uri: format!("sip:callee@{callee}"),
            to: Party::new(format!("sip:callee@{callee}")),
            from: Party {
                display: Some("Caller \"One\"".into()),
                uri: format!("sip:caller@{caller}"),
            },
            headers: Vec::new(),
            destination: Target::udp(callee),
            local: None,
            sdp: Some(Bytes::from_static(
                b"v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n",
            )),
            credentials: None,
            ack: AckMode::Automatic,
            route: Vec::new(),
            contact_user: None,
            reliable: Reliable::Off,
        }
    }

    /// Gives a command now.
    pub fn command(&mut self, node: NodeId, command: Command) {
        self.step(node, Input::Command(command));
    }

    /// Gives a command `delay` µs from now.
    pub fn after(&mut self, delay: u64, node: NodeId, command: Command) {
        self.schedule(self.now.plus(delay), Due::Command { node, command });
    }

    /// Lets bytes arrive at a node as if they came from `source`.
    pub fn inject(&mut self, to: NodeId, source: SocketAddr, bytes: Bytes) {
        let local = self.nodes[to.0].addr;
        if !self.nodes[to.0].forks_to.is_empty() {
            let relayed = crate::proxy::relay(local, &self.nodes[to.0].forks_to, &bytes);
            for (target, bytes) in relayed {
                self.carry(to, target, bytes);
            }
            return;
        }
        self.step(to, Input::Received(Received::udp(local, source, bytes)));
    }

    fn schedule(&mut self, at: Time, due: Due) {
        self.order += 1;
        self.due.insert(self.order, due);
        self.queue.push(Reverse((at, self.order)));
    }

    fn step(&mut self, node: NodeId, input: Input) {
        self.nodes[node.0].stack.handle(input, self.now);
        while let Some(output) = self.nodes[node.0].stack.poll() {
            match output {
                Output::Send { target, bytes, .. } => self.carry(node, target.addr, bytes),
                Output::Event { handle, event } => {
                    let reactions = self.nodes[node.0]
                        .script
                        .as_mut()
                        .map(|script| script(handle, &event))
                        .unwrap_or_default();
                    self.events.push(Logged {
                        at: self.now,
                        node,
                        handle,
                        event,
                    });
                    for (delay, command) in reactions {
                        self.after(delay, node, command);
                    }
                }
            }
        }
    }

    fn carry(&mut self, from: NodeId, to: SocketAddr, bytes: Bytes) {
        let source = self.nodes[from.0].addr;
        let to = self.nodes.iter().position(|n| n.addr == to).map(NodeId);
        let summary = summary(&bytes);
        let packet = Packet {
            from,
            to,
            summary: &summary,
            bytes: &bytes,
        };
        let filtered = self.filter.as_mut().is_some_and(|lose| lose(&packet));
        let lost = filtered || self.rng.chance(self.link.loss);
        self.trace.push(Trace {
            at: self.now,
            from,
            to,
            summary,
            lost,
        });
        let Some(to) = to.filter(|_| !lost) else { return };
        let copies = 1 + usize::from(self.rng.chance(self.link.duplicate));
        for _ in 0..copies {
            let at = self.now.plus(self.link.delay + self.rng.below(self.link.jitter));
            self.schedule(
                at,
                Due::Arrival {
                    to,
                    source,
                    bytes: bytes.clone(),
                },
            );
        }
    }

    /// When something happens next.
    fn next(&self) -> Option<Time> {
        let queued = self.queue.peek().map(|Reverse((at, _))| *at);
        self.nodes
            .iter()
            .filter_map(|n| n.stack.next_deadline())
            .chain(queued)
            .min()
    }

    /// Lets the next thing happen, if it is not later than `limit`.
    fn advance(&mut self, limit: Time) -> bool {
        let Some(at) = self.next().filter(|at| *at <= limit) else {
            return false;
        };
        self.now = self.now.max(at);
        match self.queue.peek() {
            Some(Reverse((queued, order))) if *queued <= self.now => {
                let order = *order;
                self.queue.pop();
                match self.due.remove(&order) {
                    Some(Due::Arrival { to, source, bytes }) => self.inject(to, source, bytes),
                    Some(Due::Command { node, command }) => self.step(node, Input::Command(command)),
                    None => {}
                }
            }
            _ => {
                for node in (0..self.nodes.len()).map(NodeId) {
                    if self.nodes[node.0]
                        .stack
                        .next_deadline()
                        .is_some_and(|at| at <= self.now)
                    {
                        self.step(node, Input::Tick);
                    }
                }
            }
        }
        true
    }

    /// Lets time pass.
    pub fn run_for(&mut self, micros: u64) {
        let end = self.now.plus(micros);
        while self.advance(end) {}
        self.now = end;
    }

    /// Lets time pass until nothing is under way, at most a virtual hour. Returns true if all is quiet and no stack
    /// holds a call or a transaction.
    pub fn run_to_quiet(&mut self) -> bool {
        let end = self.now.plus(3_600_000_000);
        while self.advance(end) {}
        let empty = |stats: StackStats| stats.dialogs == 0 && stats.transactions == 0 && stats.index_entries == 0;
        self.next().is_none() && self.nodes.iter().all(|n| empty(n.stack.stats()))
    }
}
