//! How a leg's packets travel: plain, under keys from the descriptions, or over the port that WebRTC legs share.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use super::MAX_DATAGRAM;
use crate::ports::Pair;
use crate::secure::{Context, MAX_OVERHEAD, MasterKey, Peer};

/// A leg's way to its far side.
pub(super) enum Link {
    /// RTP on the leg's own port pair.
    Plain,
    /// SRTP there.
    Sdes(Box<Sdes>),
    /// ICE, DTLS and SRTP on the shared port.
    Peer(Box<SharedPeer>),
}

/// SRTP with keys from the descriptions.
pub(super) struct Sdes {
    keys: (MasterKey, MasterKey),
    send: Context,
    receive: Context,
}

impl Sdes {
    pub(super) fn new(send: &MasterKey, receive: &MasterKey) -> Sdes {
        Sdes {
            keys: (send.clone(), receive.clone()),
            send: Context::new(send),
            receive: Context::new(receive),
        }
    }

    /// Takes over keys. Those that stay keep their packet counters (RFC 3711 section 3.3.1), or what is sent would be
    /// thrown away as repeated.
    pub(super) fn rekey(&mut self, send: &MasterKey, receive: &MasterKey) {
        if self.keys.0 != *send {
            self.send = Context::new(send);
        }
        if self.keys.1 != *receive {
            self.receive = Context::new(receive);
        }
        self.keys = (send.clone(), receive.clone());
    }
}

/// The far side of a WebRTC leg and the socket that leads there.
pub(super) struct SharedPeer {
    pub(super) peer: Peer,
    pub(super) socket: Arc<UdpSocket>,
    /// Addresses that lead here, newest last.
    pub(super) addresses: Vec<SocketAddr>,
}

/// What protection has to do with a packet.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rtp,
    Rtcp,
}

impl Link {
    /// Sends a whole RTP packet to where the leg's audio goes, `to` unless ICE knows better. False if there is no way yet.
    #[inline]
    pub(super) fn send_rtp(&mut self, pair: Option<&Pair>, packet: &[u8], to: SocketAddr) -> io::Result<bool> {
        match (&mut *self, pair) {
            (Link::Plain, Some(pair)) => pair.rtp.send_to(packet, to).map(|_| true),
            _ => self.send_protected(Kind::Rtp, pair, packet, to),
        }
    }

    /// Sends a whole RTCP packet, as [`Link::send_rtp`] does.
    pub(super) fn send_rtcp(&mut self, pair: Option<&Pair>, packet: &[u8], to: SocketAddr) -> io::Result<bool> {
        match (&mut *self, pair) {
            (Link::Plain, Some(pair)) => pair.rtcp.send_to(packet, to).map(|_| true),
            _ => self.send_protected(Kind::Rtcp, pair, packet, to),
        }
    }

    fn send_protected(&mut self, kind: Kind, pair: Option<&Pair>, packet: &[u8], to: SocketAddr) -> io::Result<bool> {
        let mut buffer = [0u8; MAX_DATAGRAM + MAX_OVERHEAD];
        let Some(room) = buffer.get_mut(..packet.len()) else {
            return Ok(false);
        };
        room.copy_from_slice(packet);
        let length = packet.len();
        match self {
            Link::Plain => Ok(false),
            Link::Sdes(sdes) => {
                let protected = match kind {
                    Kind::Rtp => sdes.send.protect_rtp(&mut buffer, length),
                    Kind::Rtcp => sdes.send.protect_rtcp(&mut buffer, length),
                };
                let (Some(length), Some(pair)) = (protected, pair) else {
                    return Ok(false);
                };
                let socket = if kind == Kind::Rtp { &pair.rtp } else { &pair.rtcp };
                socket.send_to(&buffer[..length], to).map(|_| true)
            }
            Link::Peer(shared) => {
                let protected = match kind {
                    Kind::Rtp => shared.peer.protect_rtp(&mut buffer, length),
                    Kind::Rtcp => shared.peer.protect_rtcp(&mut buffer, length),
                };
                let (Some(length), Some(to)) = (protected, shared.peer.destination()) else {
                    return Ok(false);
                };
                shared.socket.send_to(&buffer[..length], to).map(|_| true)
            }
        }
    }

    /// Unprotects an RTP packet in place; `None` if it is not what was agreed on.
    #[inline]
    pub(super) fn open_rtp(&mut self, packet: &mut [u8]) -> Option<usize> {
        match self {
            Link::Plain => Some(packet.len()),
            Link::Sdes(sdes) => sdes.receive.unprotect_rtp(packet),
            Link::Peer(shared) => shared.peer.unprotect_rtp(packet),
        }
    }

    /// Unprotects an RTCP packet in place.
    pub(super) fn open_rtcp(&mut self, packet: &mut [u8]) -> Option<usize> {
        match self {
            Link::Plain => Some(packet.len()),
            Link::Sdes(sdes) => sdes.receive.unprotect_rtcp(packet),
            Link::Peer(shared) => shared.peer.unprotect_rtcp(packet),
        }
    }

    /// True if the far side has proved who it is, wherever its packets come from.
    pub(super) fn is_peer(&self) -> bool {
        matches!(self, Link::Peer(_))
    }
}
