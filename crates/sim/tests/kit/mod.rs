//! Two or more user agents whose applications negotiate sessions, and what must hold however their messages cross.
#![allow(dead_code)] // each test file uses a part of it

use bytes::Bytes;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use strowger_sim::{Link, NodeId, Rng, SipNet};
use strowger_sip_core::*;

pub const MS: u64 = 1_000;
pub const S: u64 = 1_000_000;
pub const ONE: DialogHandle = DialogHandle(1);
/// Seeds of each crossing; `STROWGER_SIM_SEEDS` asks for another number.
pub const SEEDS: u64 = 10_000;

pub fn seeds() -> std::ops::Range<u64> {
    let asked = std::env::var("STROWGER_SIM_SEEDS").ok().and_then(|v| v.parse().ok());
    0..asked.unwrap_or(SEEDS)
}

/// A third of the seeds on a clean network, the others with up to 30 % loss, duplicates and reordering.
pub fn link(seed: u64) -> Link {
    match seed % 3 {
        0 => Link::CLEAN,
        1 => Link::lossy(50),
        _ => Link::lossy((seed / 3 % 300) as u32),
    }
}

pub fn bye(handle: DialogHandle) -> Command {
    Command::Bye { handle, reason: None }
}

pub fn respond(handle: DialogHandle, status: u16, sdp: Option<Bytes>, reliable: bool) -> Command {
    Command::Respond {
        handle,
        status,
        reason_phrase: None,
        headers: Vec::new(),
        sdp,
        reliable,
    }
}

/// An application's view of one session: what it described last, and what the peer did.
#[derive(Default)]
pub struct App {
    name: &'static str,
    count: u32,
    pub local: Option<Bytes>,
    pub remote: Option<Bytes>,
    pub pending: Option<Bytes>,
    /// What to do again after a refusal for glare.
    retries: bool,
    pub agreed: u32,
}

pub type Shared = Rc<RefCell<App>>;

impl App {
    pub fn new(name: &'static str, retries: bool) -> Shared {
        Rc::new(RefCell::new(App {
            name,
            retries,
            ..App::default()
        }))
    }

    /// A description like no other.
    pub fn describe(&mut self) -> Bytes {
        self.count += 1;
        Bytes::from(format!("v=0\r\no={} {}\r\n", self.name, self.count))
    }

    pub fn offer(&mut self) -> Bytes {
        let sdp = self.describe();
        assert!(self.pending.is_none(), "the application offers one thing at a time");
        self.pending = Some(sdp.clone());
        sdp
    }

    pub fn answer(&mut self, offer: &Bytes) -> Bytes {
        let sdp = self.describe();
        self.remote = Some(offer.clone());
        self.local = Some(sdp.clone());
        sdp
    }

    pub fn answered(&mut self, sdp: Option<&Bytes>) {
        if let Some(answer) = sdp
            && let Some(offer) = self.pending.take()
        {
            self.local = Some(offer);
            self.remote = Some(answer.clone());
            self.agreed += 1;
        }
    }

    pub fn update(&mut self, handle: DialogHandle) -> Command {
        Command::Update {
            handle,
            tag: None,
            sdp: Some(self.offer()),
        }
    }

    pub fn reinvite(&mut self, handle: DialogHandle) -> Command {
        Command::ReInvite {
            handle,
            sdp: Some(self.offer()),
        }
    }

    /// What every application does with an event inside a dialog.
    pub fn react(&mut self, handle: DialogHandle, event: &SipEvent, rng: &mut Rng) -> Vec<(u64, Command)> {
        let soon = 1 + rng.below(40 * MS);
        match event {
            SipEvent::Provisional {
                reliable: true,
                prack_needed: true,
                sdp: Some(sdp),
                tag,
                ..
            } => {
                let prack = Command::Prack {
                    handle,
                    tag: tag.clone(),
                    sdp: Some(self.answer(sdp)),
                };
                return vec![(soon, prack)];
            }
            SipEvent::Provisional {
                reliable: true, sdp, ..
            }
            | SipEvent::Answered { sdp, .. }
            | SipEvent::PrackReceived {
                sdp,
                answer_needed: false,
            } if self.local.is_none() => self.answered(sdp.as_ref()),
            SipEvent::ReInviteReceived { sdp: Some(offer) } => {
                // The answer is given at once, so that the two views change together.
                return vec![(0, respond(handle, 200, Some(self.answer(offer)), false))];
            }
            SipEvent::UpdateReceived { sdp, tag } => {
                let answer = Command::RespondUpdate {
                    handle,
                    tag: Some(tag.clone()),
                    status: 200,
                    sdp: Some(self.answer(sdp)),
                };
                return vec![(0, answer)];
            }
            SipEvent::ReInviteAnswered { sdp, .. } | SipEvent::UpdateAnswered { sdp, .. } => {
                self.answered(sdp.as_ref());
            }
            SipEvent::ReInviteFailed { retry_in, .. } => {
                self.pending = None;
                if let (true, Some(wait)) = (self.retries, retry_in) {
                    return vec![(*wait, self.reinvite(handle))];
                }
            }
            SipEvent::UpdateFailed { retry_in, .. } => {
                self.pending = None;
                if let (true, Some(wait)) = (self.retries, retry_in) {
                    return vec![(*wait, self.update(handle))];
                }
            }
            _ => {}
        }
        Vec::new()
    }
}

/// The whole run, for a failed assertion.
pub fn story(name: &str, seed: u64, net: &SipNet) -> String {
    let event = |e: &strowger_sim::Logged| {
        let text: String = format!("{:?}", e.event).chars().take(150).collect();
        format!("{:>10.3} {} {:x} {text}\n", e.at.0 as f64 / 1e6, e.node, e.handle.0)
    };
    let events: String = net.events().iter().map(event).collect();
    format!("{name} seed {seed}\n{}\n{events}", net.ladder())
}

pub fn open_handles(net: &SipNet, node: NodeId) -> Vec<DialogHandle> {
    let mut open = Vec::new();
    for logged in net.events().iter().filter(|e| e.node == node) {
        if matches!(logged.event, SipEvent::Incoming(_)) {
            open.push(logged.handle);
        } else if logged.event.is_terminal() {
            open.retain(|h| *h != logged.handle);
        }
    }
    open
}

/// Exactly one terminal event a handle, and nothing but refused commands after it.
pub fn check_terminal_events(net: &SipNet, context: &dyn Fn() -> String) {
    let mut ended: BTreeMap<(NodeId, DialogHandle), bool> = BTreeMap::new();
    for logged in net.events() {
        if matches!(logged.event, SipEvent::CommandRefused { .. }) {
            continue;
        }
        let over = ended.entry((logged.node, logged.handle)).or_insert(false);
        assert!(!*over, "an event after the end: {}", context());
        *over = logged.event.is_terminal();
    }
    assert!(ended.values().all(|over| *over), "no terminal event: {}", context());
}

/// If one side was in a conversation, so was the other, but for a caller that had given up before it knew.
pub fn agree(net: &SipNet, a: NodeId, b: NodeId, context: &dyn Fn() -> String) {
    let answered = net.events_of(a).any(|e| matches!(e, SipEvent::Answered { .. }));
    let acknowledged = net.events_of(b).any(|e| matches!(e, SipEvent::AckReceived { .. }));
    let gave_up = net.events_of(a).any(|e| {
        matches!(
            e,
            SipEvent::Ended {
                cause: EndCause::Cancelled { .. } | EndCause::Abandoned { .. }
            }
        ) || matches!(e, SipEvent::Failed(_))
    });
    assert!(!(answered && gave_up), "answered after giving up: {}", context());
    if acknowledged {
        assert!(
            answered || gave_up,
            "only the callee was in a conversation: {}",
            context()
        );
    }
    if answered && !acknowledged {
        // The callee saw no ACK: it must have ended the dialog itself, or seen the BYE first.
        let ended = net.events_of(b).any(|e| {
            matches!(
                e,
                SipEvent::NoAck | SipEvent::ByeReceived { .. } | SipEvent::Ended { .. }
            )
        });
        assert!(ended, "the callee still waits: {}", context());
    }
}

/// Both sides hold the same two descriptions, if the dialog ended by a plain BYE.
pub fn same_session(
    net: &SipNet,
    (a, first): (NodeId, &Shared),
    (b, second): (NodeId, &Shared),
    context: &dyn Fn() -> String,
) {
    let plain = |node| {
        net.events_of(node).any(|e| {
            matches!(
                e,
                SipEvent::ByeReceived { .. }
                    | SipEvent::Ended {
                        cause: EndCause::Bye { status: Some(200) }
                    }
            )
        })
    };
    if plain(a) && plain(b) {
        let (first, second) = (first.borrow(), second.borrow());
        assert_eq!(first.local, second.remote, "{}", context());
        assert_eq!(first.remote, second.local, "{}", context());
    }
}

/// Ends whatever rings for ever, waits until nothing is under way, and checks what must hold for every run.
pub fn finish(net: &mut SipNet, nodes: &[NodeId], name: &str, seed: u64) {
    net.run_for(400 * S);
    for node in nodes {
        for handle in open_handles(net, *node) {
            // A call whose CANCEL was lost for good rings until its own timer; one in conversation must have ended.
            let talks = |e: &strowger_sim::Logged| {
                e.node == *node && e.handle == handle && matches!(e.event, SipEvent::AckReceived { .. })
            };
            assert!(
                !net.events().iter().any(talks),
                "left in a call: {}",
                story(name, seed, net)
            );
            net.command(*node, bye(handle));
        }
    }
    let quiet = net.run_to_quiet();
    let context = || story(name, seed, net);
    assert!(quiet, "something is left: {}", context());
    check_terminal_events(net, &context);
}
