//! The port that the WebRTC legs of a shard share: whose a datagram is, and the deadlines of ICE and DTLS.
//!
//! A datagram belongs to the leg that its source address was proved to lead to. A STUN request proves it: its user name says
//! whose it is, and its integrity, under the password that our description gave, says that it is from there.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use is::stun::StunMessage;

use super::Shard;
use super::link::{Link, Sdes, SharedPeer};
use super::packet::receive;
use crate::advertised::Advertised;
use crate::api::Event;
use crate::queue::bump;
use crate::secure::{Change, Datagram, Identity, Peer, Security};

/// Datagrams that are taken at once; due frames do not wait behind more.
const BATCH: usize = 64;
/// Addresses of one far side that are remembered.
const MAX_ADDRESSES: usize = 8;

/// A shard's port for WebRTC.
pub(crate) struct SharedPort {
    pub(crate) socket: Arc<UdpSocket>,
    pub(crate) identity: Arc<Identity>,
    pub(crate) local: SocketAddr,
    pub(crate) advertised: Arc<Advertised>,
}

/// A slot of a leg with its generation.
type Place = (u32, u32);

/// Who is behind the shared port.
#[derive(Default)]
pub(super) struct Switchboard {
    by_ufrag: HashMap<String, Place>,
    by_address: HashMap<SocketAddr, Place>,
    /// Deadlines in µs, soonest first. One that was moved stays behind and finds nothing to do.
    timers: BinaryHeap<Reverse<(u64, u32, u32)>>,
}

impl Switchboard {
    /// The next deadline, in µs.
    pub(super) fn next(&self) -> Option<u64> {
        self.timers.peek().map(|Reverse((at, ..))| *at)
    }
}

impl Shard {
    fn instant(&self, now: u64) -> Instant {
        self.epoch + Duration::from_micros(now)
    }

    /// Brings a leg's link in line with what was agreed.
    pub(super) fn secure(&mut self, slot: u32, security: &Security) {
        let now = self.instant(self.now());
        let generation = self.legs.generation(slot);
        let Some(leg) = self.legs.get_mut(slot) else { return };
        if let Link::Peer(shared) = &leg.link {
            self.board.by_ufrag.remove(shared.peer.ufrag());
        }
        match (security, &mut leg.link) {
            (Security::None, Link::Plain) => {}
            (Security::Sdes { send, receive }, Link::Sdes(sdes)) => sdes.rekey(send, receive),
            (Security::WebRtc(config), Link::Peer(shared)) => shared.peer.reconfigure(Arc::clone(config), now),
            (security, _) => {
                self.forget_addresses(slot);
                let Some(leg) = self.legs.get_mut(slot) else { return };
                leg.link = match (security, &self.parts.shared) {
                    (Security::Sdes { send, receive }, _) => Link::Sdes(Box::new(Sdes::new(send, receive))),
                    (Security::WebRtc(config), Some(port)) => {
                        let identity = Arc::clone(&port.identity);
                        let lite = !self.parts.config.full_ice;
                        let candidates = port.advertised.candidates(port.local, !lite);
                        let peer = Peer::new(Arc::clone(config), identity, &candidates, lite, now);
                        Link::Peer(Box::new(SharedPeer {
                            peer,
                            socket: Arc::clone(&port.socket),
                            addresses: Vec::new(),
                        }))
                    }
                    _ => Link::Plain,
                };
            }
        }
        let link = self.legs.get(slot).map(|leg| &leg.link);
        if let Some(Link::Peer(shared)) = link {
            let ufrag = shared.peer.ufrag().to_owned();
            self.board.by_ufrag.insert(ufrag, (slot, generation));
            self.settle(slot);
        }
    }

    fn forget_addresses(&mut self, slot: u32) {
        if let Some(leg) = self.legs.get_mut(slot)
            && let Link::Peer(shared) = &mut leg.link
        {
            for address in shared.addresses.drain(..) {
                self.board.by_address.remove(&address);
            }
        }
    }

    /// Takes a leg off the shared port.
    pub(super) fn unshare(&mut self, slot: u32) {
        self.forget_addresses(slot);
        if let Some(leg) = self.legs.get(slot)
            && let Link::Peer(shared) = &leg.link
        {
            self.board.by_ufrag.remove(shared.peer.ufrag());
        }
    }

    /// Datagrams wait on the shared port.
    pub(super) fn on_shared(&mut self) {
        for _ in 0..BATCH {
            let Some(port) = &self.parts.shared else { return };
            let Some((length, from)) = receive(&port.socket, &mut self.buffer) else {
                return;
            };
            match Datagram::of(&self.buffer[..length]) {
                Some(Datagram::Stun) => self.on_stun(length, from),
                Some(Datagram::Dtls) => self.on_dtls(length, from),
                Some(Datagram::Rtp) => {
                    bump(&self.parts.queue.counters.packets_in, 1);
                    if let Some(slot) = self.slot_at(from) {
                        self.take_rtp(slot, length, from);
                    }
                }
                Some(Datagram::Rtcp) => {
                    if let Some(slot) = self.slot_at(from) {
                        self.take_rtcp(slot, length, from);
                    }
                }
                None => {}
            }
        }
    }

    fn slot_at(&mut self, from: SocketAddr) -> Option<u32> {
        let &(slot, generation) = self.board.by_address.get(&from)?;
        self.legs.current(slot, generation).map(|_| slot)
    }

    fn on_stun(&mut self, length: usize, from: SocketAddr) {
        let now = self.instant(self.now());
        let Ok(message) = StunMessage::parse(&self.buffer[..length]) else {
            return;
        };
        let named = message.split_username().map(|(ours, _)| ours);
        let known = match named.filter(|_| message.is_binding_request()) {
            Some(ufrag) => self.board.by_ufrag.get(ufrag),
            None => self.board.by_address.get(&from),
        };
        let place = match known.copied() {
            Some(place) => Some(place),
            // An answer to a check of ours from an address that has not been heard: the transaction tells whose it is.
            None if self.parts.config.full_ice && !message.is_binding_request() => {
                self.board.by_ufrag.values().copied().find(|&(slot, _)| {
                    let link = self.legs.get(slot).map(|leg| &leg.link);
                    matches!(link, Some(Link::Peer(shared)) if shared.peer.expects(&message))
                })
            }
            None => None,
        };
        let Some((slot, generation)) = place else { return };
        let Some(leg) = self.legs.current(slot, generation) else {
            return;
        };
        let Link::Peer(shared) = &mut leg.link else { return };
        if !shared.peer.on_stun(message, from, now) {
            return;
        }
        if !shared.addresses.contains(&from) {
            if shared.addresses.len() == MAX_ADDRESSES {
                self.board.by_address.remove(&shared.addresses.remove(0));
            }
            shared.addresses.push(from);
        }
        self.board.by_address.insert(from, (slot, generation));
        self.settle(slot);
    }

    fn on_dtls(&mut self, length: usize, from: SocketAddr) {
        let now = self.instant(self.now());
        let Some(slot) = self.slot_at(from) else { return };
        if let Some(leg) = self.legs.get_mut(slot)
            && let Link::Peer(shared) = &mut leg.link
        {
            shared.peer.on_dtls(&self.buffer[..length], from, now);
            self.settle(slot);
        }
    }

    /// Sends what a peer has to send, tells what has become of it, and sets its next deadline.
    fn settle(&mut self, slot: u32) {
        let now = self.instant(self.now());
        let generation = self.legs.generation(slot);
        let Some(leg) = self.legs.get_mut(slot) else { return };
        let Link::Peer(shared) = &mut leg.link else { return };
        let (socket, counters) = (&shared.socket, &self.parts.queue.counters);
        shared.peer.flush(now, &mut |to, datagram| {
            if socket.send_to(datagram, to).is_err() {
                bump(&counters.send_errors, 1);
            }
        });
        let (call, number) = (leg.call, leg.number);
        for change in shared.peer.changes() {
            let leg = number;
            let event = match change {
                Change::Connected => Event::TransportConnected { leg },
                Change::Lost => Event::TransportLost { leg },
                Change::Found => Event::TransportFound { leg },
                Change::Failed(why) => Event::TransportFailed { leg, why },
                Change::Closed => Event::TransportFailed {
                    leg,
                    why: "the far side closed its DTLS session",
                },
            };
            self.parts.sink.event(call, event);
        }
        if let Some(due) = shared.peer.due() {
            let at = due.saturating_duration_since(self.epoch).as_micros() as u64;
            if leg.timer_at.is_none_or(|set| at < set) {
                leg.timer_at = Some(at);
                self.board.timers.push(Reverse((at, slot, generation)));
            }
        }
    }

    /// Runs the deadlines that have come.
    pub(super) fn run_timers(&mut self) {
        let now = self.now();
        while self.board.next().is_some_and(|at| at <= now) {
            let Some(Reverse((at, slot, generation))) = self.board.timers.pop() else {
                return;
            };
            let instant = self.instant(now);
            let Some(leg) = self.legs.current(slot, generation) else {
                continue;
            };
            if leg.timer_at != Some(at) {
                continue;
            }
            leg.timer_at = None;
            if let Link::Peer(shared) = &mut leg.link {
                shared.peer.on_time(instant);
                self.settle(slot);
            }
        }
    }
}
