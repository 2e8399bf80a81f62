//! Transports as the endpoint sees them. UDP is the one that exists; a listener or a connection of TCP, TLS or WebSocket
//! becomes another variant with the same three questions: is something there, what is it, take this away.

use crate::mmsg::{self, Arena};
use bytes::Bytes;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::task::{Context, Poll};
use strowger_sip_core::{Received, Transport};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// Kernel buffers that are asked for, in bytes; the kernel may give less.
const KERNEL_BUFFER: usize = 4 << 20;

/// A bound transport.
pub(crate) enum Socket {
    Udp(Udp),
}

impl Socket {
    /// Binds; must be called inside a tokio runtime.
    pub(crate) fn bind(transport: Transport, addr: SocketAddr) -> io::Result<Socket> {
        match transport {
            Transport::Udp => Udp::bind(addr).map(Socket::Udp),
            Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    pub(crate) fn transport(&self) -> Transport {
        match self {
            Socket::Udp(_) => Transport::Udp,
        }
    }

    pub(crate) fn local(&self) -> SocketAddr {
        match self {
            Socket::Udp(udp) => udp.local,
        }
    }

    /// Ready when something may have arrived.
    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            // An error shows up when the socket is read.
            Socket::Udp(udp) => udp.socket.poll_recv_ready(cx).map(drop),
        }
    }

    /// Takes what has arrived, at most one batch.
    pub(crate) fn receive(&self, arena: &mut Arena, each: &mut impl FnMut(Received)) -> io::Result<usize> {
        match self {
            Socket::Udp(udp) => udp.receive(arena, each),
        }
    }

    /// Gives messages to the kernel and returns how many it did not take. `messages` is empty afterwards.
    pub(crate) fn send(&self, messages: &mut Vec<(SocketAddr, Bytes)>) -> usize {
        match self {
            Socket::Udp(udp) => udp.send(messages),
        }
    }
}

/// A UDP socket with batched input and output.
pub(crate) struct Udp {
    socket: UdpSocket,
    local: SocketAddr,
}

impl Udp {
    fn bind(addr: SocketAddr) -> io::Result<Udp> {
        use socket2::{Domain, Protocol, Socket, Type};
        let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
        if addr.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        // Small buffers lose datagrams in bursts, but they are no reason not to start.
        let _ = socket.set_recv_buffer_size(KERNEL_BUFFER);
        let _ = socket.set_send_buffer_size(KERNEL_BUFFER);
        socket.set_nonblocking(true)?;
        socket.bind(&addr.into())?;
        let socket = UdpSocket::from_std(socket.into())?;
        let local = socket.local_addr()?;
        Ok(Udp { socket, local })
    }

    fn receive(&self, arena: &mut Arena, each: &mut impl FnMut(Received)) -> io::Result<usize> {
        let mut got = Vec::with_capacity(mmsg::BATCH);
        // try_io clears the readiness when the kernel has nothing more.
        match self.socket.try_io(Interest::READABLE, || {
            mmsg::recv(self.socket.as_raw_fd(), arena, &mut got)
        }) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(0),
            Err(error) => return Err(error),
        }
        for (slot, (len, source)) in got.iter().enumerate() {
            let bytes = Bytes::copy_from_slice(arena.datagram(slot, *len));
            each(Received::udp(self.local, *source, bytes));
        }
        Ok(got.len())
    }

    fn send(&self, messages: &mut Vec<(SocketAddr, Bytes)>) -> usize {
        let (mut at, mut dropped) = (0, 0);
        while at < messages.len() {
            match mmsg::send(self.socket.as_raw_fd(), &messages[at..]) {
                Ok(n) if n > 0 => at += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The first message of the rest cannot be sent: no route, too large, no room.
                Ok(_) | Err(_) => {
                    at += 1;
                    dropped += 1;
                }
            }
        }
        messages.clear();
        dropped
    }
}
