//! UDP: batched input and output, and what ICMP says about datagrams that did not arrive.

use crate::connections::Net;
use crate::mmsg::{self, Arena};
use bytes::Bytes;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::task::{Context, Poll};
use strowger_sip_core::Received;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

/// Kernel buffers that are asked for, in bytes; the kernel may give less.
const KERNEL_BUFFER: usize = 4 << 20;
/// Errors of earlier datagrams that are passed over in one call of [`Udp::send`].
const MAX_STALE: usize = 256;

/// A UDP socket with batched input and output.
pub(crate) struct Udp {
    socket: Arc<UdpSocket>,
    pub(crate) local: SocketAddr,
}

/// True for an error that ICMP brought about an earlier datagram: the kernel reports it at whatever call comes next.
fn is_stale(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable};
    matches!(error.kind(), ConnectionRefused | HostUnreachable | NetworkUnreachable)
}

impl Udp {
    /// Binds; must be called inside a tokio runtime.
    pub(crate) fn bind(addr: SocketAddr) -> io::Result<Udp> {
        use socket2::{Domain, Protocol, Socket, Type};
        let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
        if addr.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        // Small buffers lose datagrams in bursts, but they are no reason not to start.
        let _ = socket.set_recv_buffer_size(KERNEL_BUFFER);
        let _ = socket.set_send_buffer_size(KERNEL_BUFFER);
        // Without it calls to a dead host fail by timer B instead of at once, which is no reason not to start either.
        let _ = mmsg::report_errors(socket.as_raw_fd(), addr.is_ipv6());
        socket.set_nonblocking(true)?;
        socket.bind(&addr.into())?;
        let socket = UdpSocket::from_std(socket.into())?;
        let local = socket.local_addr()?;
        Ok(Udp {
            socket: Arc::new(socket),
            local,
        })
    }

    /// Ready when something may have arrived.
    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        // An error shows up when the socket is read.
        self.socket.poll_recv_ready(cx).map(drop)
    }

    /// Takes what has arrived, at most one batch.
    pub(crate) fn receive(&self, arena: &mut Arena, each: &mut impl FnMut(Received)) -> io::Result<usize> {
        let mut got = Vec::with_capacity(mmsg::BATCH);
        // try_io clears the readiness when it is told that the kernel has nothing more. A batch that is not full says so
        // too, which saves a system call for each wake-up: whatever arrives after it wakes us again, errors included.
        match self.socket.try_io(Interest::READABLE, || {
            mmsg::recv(self.socket.as_raw_fd(), arena, &mut got)?;
            if got.len() < mmsg::BATCH {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            Ok(())
        }) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if is_stale(&error) => return Ok(0),
            Err(error) => return Err(error),
        }
        for (slot, (len, source)) in got.iter().enumerate() {
            let bytes = Bytes::copy_from_slice(arena.datagram(slot, *len));
            each(Received::udp(self.local, *source, bytes));
        }
        Ok(got.len())
    }

    /// Gives messages to the kernel and returns how many it did not take; destinations that it says cannot be reached
    /// are appended to `failed`. `messages` is empty afterwards.
    pub(crate) fn send(&self, messages: &mut Vec<(SocketAddr, Bytes)>, failed: &mut Vec<SocketAddr>) -> usize {
        let (mut at, mut dropped, mut stale, mut again) = (0, 0, 0, false);
        while at < messages.len() {
            match mmsg::send(self.socket.as_raw_fd(), &messages[at..]) {
                Ok(n) if n > 0 => {
                    at += n;
                    again = false;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Never about this datagram: UDP hears of a closed port later, and reports it at the next call.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused && stale < MAX_STALE => stale += 1,
                // Perhaps about an earlier datagram; if it is said twice, it is about this one.
                Err(error) if is_stale(&error) && !again => again = true,
                // The first message of the rest cannot be sent: no route, too large, no room.
                outcome => {
                    let no_room = matches!(&outcome, Err(error) if error.kind() == io::ErrorKind::WouldBlock);
                    if outcome.is_err() && !no_room {
                        failed.push(messages[at].0);
                    }
                    at += 1;
                    dropped += 1;
                    again = false;
                }
            }
        }
        messages.clear();
        dropped
    }

    /// Reports destinations that ICMP calls unreachable, until the endpoint ends. Beside the loop, so that the way of a
    /// datagram does not become longer.
    pub(crate) fn watch_errors(&self, events: mpsc::Sender<Net>) -> impl Future<Output = ()> + Send + 'static {
        let socket = self.socket.clone();
        async move {
            while socket.ready(Interest::ERROR).await.is_ok() {
                let mut unreachable = Vec::new();
                let read = socket.try_io(Interest::ERROR, || mmsg::errors(socket.as_raw_fd(), &mut unreachable));
                // One attack on many closed ports is one event a port.
                unreachable.dedup();
                for addr in unreachable {
                    if events.send(Net::Unreachable(addr)).await.is_err() {
                        return;
                    }
                }
                match read {
                    Ok(()) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => return,
                }
            }
        }
    }
}
