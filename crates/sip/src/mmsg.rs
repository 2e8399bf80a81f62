//! Many datagrams a system call: recvmmsg and sendmmsg of Linux, and a loop of single calls elsewhere.
//!
//! This is the only unsafe code of the crate. What it relies on: the vectors of `iovec`, addresses and headers are built
//! in the same function that makes the call, outlive it, and are not moved in between; lengths given to the kernel are
//! those of the slices behind the pointers; an address is read only as far as its family says.

/// Datagrams a call at most.
pub(crate) const BATCH: usize = 64;
/// Room for one datagram: the largest UDP payload there is.
pub(crate) const SLOT: usize = 65_535;

#[cfg(target_os = "linux")]
pub(crate) use linux::{errors, recv, report_errors, send};
#[cfg(not(target_os = "linux"))]
pub(crate) use portable::{errors, recv, report_errors, send};

/// Memory for one batch. Pages that no datagram reaches are never touched and cost nothing.
pub(crate) struct Arena {
    memory: Vec<u8>,
}

impl Arena {
    pub(crate) fn new() -> Arena {
        Arena {
            memory: vec![0; BATCH * SLOT],
        }
    }

    /// The datagram in slot `index`.
    pub(crate) fn datagram(&self, index: usize, len: usize) -> &[u8] {
        &self.memory[index * SLOT..index * SLOT + len.min(SLOT)]
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use super::{Arena, BATCH, SLOT};
    use std::io;
    use std::mem::{MaybeUninit, size_of, zeroed};
    use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
    use std::os::fd::RawFd;

    /// An address of either family: the larger of the two that a socket of ours can meet, and a fifth of what would hold
    /// any.
    type Name = libc::sockaddr_in6;

    /// What one call needs for a batch. The larger parts are written when they are used: a batch of one is frequent, and
    /// zeroing all of it costs as much as a small message.
    struct Vectors {
        names: [Name; BATCH],
        iovecs: [MaybeUninit<libc::iovec>; BATCH],
        headers: [MaybeUninit<libc::mmsghdr>; BATCH],
    }

    impl Vectors {
        fn new() -> Vectors {
            Vectors {
                // SAFETY: all-zero is a valid address of no family.
                names: [unsafe { zeroed() }; BATCH],
                iovecs: [const { MaybeUninit::uninit() }; BATCH],
                headers: [const { MaybeUninit::uninit() }; BATCH],
            }
        }

        /// Lets header `i` point at iovec and address `i`. From the first of these on, the vectors must not be moved.
        fn point(&mut self, i: usize, length: libc::socklen_t) {
            // SAFETY: all-zero is a valid value of this C structure, which holds integers and nullable pointers only.
            let header = self.headers[i].write(unsafe { zeroed() });
            header.msg_hdr.msg_name = (&raw mut self.names[i]).cast();
            header.msg_hdr.msg_namelen = length;
            header.msg_hdr.msg_iov = self.iovecs[i].as_mut_ptr();
            header.msg_hdr.msg_iovlen = 1;
        }
    }

    /// Receives up to [`BATCH`] datagrams without waiting; pushes (length, source) of slot 0, 1, … to `out`.
    pub(crate) fn recv(fd: RawFd, arena: &mut Arena, out: &mut Vec<(usize, SocketAddr)>) -> io::Result<()> {
        let mut vectors = Vectors::new();
        for (i, slot) in arena.memory.chunks_exact_mut(SLOT).enumerate() {
            vectors.iovecs[i].write(libc::iovec {
                iov_base: slot.as_mut_ptr().cast(),
                iov_len: SLOT,
            });
            vectors.point(i, size_of::<Name>() as libc::socklen_t);
        }
        // SAFETY: every header points at one iovec and one address of the vectors above, which live until the call
        // returns; every iovec covers one exclusive slot of the arena.
        let n = unsafe {
            libc::recvmmsg(
                fd,
                vectors.headers.as_mut_ptr().cast(),
                BATCH as u32,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        if n < 0 {
            return Err(io::Error::last_os_error());
        }
        for i in 0..n as usize {
            // SAFETY: `point` has written this header, and the kernel has filled it in.
            let header = unsafe { vectors.headers[i].assume_init_ref() };
            let source = read_address(&vectors.names[i]).unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)));
            out.push((header.msg_len as usize, source));
        }
        Ok(())
    }

    /// Sends up to [`BATCH`] datagrams without waiting and returns how many the kernel took.
    pub(crate) fn send(fd: RawFd, datagrams: &[(SocketAddr, bytes::Bytes)]) -> io::Result<usize> {
        let count = datagrams.len().min(BATCH);
        let mut vectors = Vectors::new();
        for (i, (target, bytes)) in datagrams[..count].iter().enumerate() {
            // The kernel only reads through this pointer.
            vectors.iovecs[i].write(libc::iovec {
                iov_base: bytes.as_ptr().cast_mut().cast(),
                iov_len: bytes.len(),
            });
            let length = write_address(*target, &mut vectors.names[i]);
            vectors.point(i, length);
        }
        // SAFETY: the first `count` headers are filled in, and everything they point at lives until the call returns.
        let n = unsafe {
            libc::sendmmsg(
                fd,
                vectors.headers.as_mut_ptr().cast(),
                count as u32,
                libc::MSG_DONTWAIT,
            )
        };
        if n < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(n as usize)
        }
    }

    /// Asks the kernel to queue what ICMP says about datagrams of this socket.
    pub(crate) fn report_errors(fd: RawFd, v6: bool) -> io::Result<()> {
        let on: libc::c_int = 1;
        let (level, option) = if v6 {
            (libc::IPPROTO_IPV6, libc::IPV6_RECVERR)
        } else {
            (libc::IPPROTO_IP, libc::IP_RECVERR)
        };
        // SAFETY: the value is an integer of the length that is given, and lives until the call returns.
        let outcome = unsafe {
            libc::setsockopt(
                fd,
                level,
                option,
                (&raw const on).cast(),
                size_of::<libc::c_int>() as libc::socklen_t,
            )
        };
        if outcome < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        }
    }

    /// Takes up to [`BATCH`] reports from the error queue and pushes the destinations that are unreachable. Fails with
    /// `WouldBlock` when the queue is empty.
    pub(crate) fn errors(fd: RawFd, out: &mut Vec<SocketAddr>) -> io::Result<()> {
        /// Room for control messages, aligned as their headers must be.
        #[repr(C, align(8))]
        struct Control([u8; 512]);
        for _ in 0..BATCH {
            // SAFETY: all-zero is a valid value of these C structures.
            let mut name: Name = unsafe { zeroed() };
            // SAFETY: as above.
            let mut header: libc::msghdr = unsafe { zeroed() };
            let mut control = Control([0; 512]);
            header.msg_name = (&raw mut name).cast();
            header.msg_namelen = size_of::<Name>() as libc::socklen_t;
            header.msg_control = control.0.as_mut_ptr().cast();
            header.msg_controllen = control.0.len() as _;
            // SAFETY: the header points at an address and a control buffer of the lengths given, both of which live
            // until the loop's turn ends; there is no room for data, which is cut off.
            if unsafe { libc::recvmsg(fd, &raw mut header, libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT) } < 0 {
                return Err(io::Error::last_os_error());
            }
            if let Some(addr) = read_address(&name)
                && is_unreachable(&header)
            {
                out.push(addr);
            }
        }
        Ok(())
    }

    /// True if the control messages say that ICMP calls the destination unreachable. What concerns the path's MTU is no
    /// failure: the datagram is cut and sent again.
    fn is_unreachable(header: &libc::msghdr) -> bool {
        // SAFETY: the kernel has filled in the control buffer that the header points at.
        let mut at = unsafe { libc::CMSG_FIRSTHDR(header) };
        while !at.is_null() {
            // SAFETY: the pointer comes from CMSG_FIRSTHDR or CMSG_NXTHDR and is not null.
            let message = unsafe { &*at };
            let of_errors = matches!(
                (message.cmsg_level, message.cmsg_type),
                (libc::IPPROTO_IP, libc::IP_RECVERR) | (libc::IPPROTO_IPV6, libc::IPV6_RECVERR)
            );
            // SAFETY: CMSG_LEN only calculates.
            let room = unsafe { libc::CMSG_LEN(size_of::<libc::sock_extended_err>() as u32) } as usize;
            if of_errors && message.cmsg_len as usize >= room {
                // SAFETY: a message of this type and length holds a sock_extended_err; it is read without assuming
                // alignment.
                let error: libc::sock_extended_err =
                    unsafe { libc::CMSG_DATA(at).cast::<libc::sock_extended_err>().read_unaligned() };
                let of_icmp = matches!(error.ee_origin, libc::SO_EE_ORIGIN_ICMP | libc::SO_EE_ORIGIN_ICMP6);
                let unreachable = matches!(
                    error.ee_errno as i32,
                    libc::ECONNREFUSED | libc::EHOSTUNREACH | libc::ENETUNREACH
                );
                return of_icmp && unreachable;
            }
            // SAFETY: the header and the message inside its control buffer are valid.
            at = unsafe { libc::CMSG_NXTHDR(header, at) };
        }
        false
    }

    fn read_address(storage: &Name) -> Option<SocketAddr> {
        match i32::from(storage.sin6_family) {
            libc::AF_INET => {
                // SAFETY: the family says that this is a sockaddr_in, which is smaller than a sockaddr_in6 and not more
                // strictly aligned.
                let v4 = unsafe { &*std::ptr::from_ref(storage).cast::<libc::sockaddr_in>() };
                let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
                Some(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into())
            }
            libc::AF_INET6 => {
                let ip = Ipv6Addr::from(storage.sin6_addr.s6_addr);
                let port = u16::from_be(storage.sin6_port);
                Some(SocketAddrV6::new(ip, port, storage.sin6_flowinfo, storage.sin6_scope_id).into())
            }
            _ => None,
        }
    }

    fn write_address(addr: SocketAddr, storage: &mut Name) -> libc::socklen_t {
        match addr {
            SocketAddr::V4(addr) => {
                // SAFETY: a sockaddr_in is smaller than a sockaddr_in6 and not more strictly aligned.
                let v4 = unsafe { &mut *std::ptr::from_mut(storage).cast::<libc::sockaddr_in>() };
                v4.sin_family = libc::AF_INET as libc::sa_family_t;
                v4.sin_port = addr.port().to_be();
                v4.sin_addr.s_addr = u32::from(*addr.ip()).to_be();
                size_of::<libc::sockaddr_in>() as libc::socklen_t
            }
            SocketAddr::V6(addr) => {
                storage.sin6_family = libc::AF_INET6 as libc::sa_family_t;
                storage.sin6_port = addr.port().to_be();
                storage.sin6_flowinfo = addr.flowinfo();
                storage.sin6_addr.s6_addr = addr.ip().octets();
                storage.sin6_scope_id = addr.scope_id();
                size_of::<libc::sockaddr_in6>() as libc::socklen_t
            }
        }
    }
}

/// The same by single calls. Compiled on every system, so that it cannot rot, and tested beside the fast path.
#[cfg(any(test, not(target_os = "linux")))]
pub(crate) mod portable {
    use super::{Arena, BATCH, SLOT};
    use socket2::SockRef;
    use std::io;
    use std::net::SocketAddr;
    use std::os::fd::{BorrowedFd, RawFd};

    pub(crate) fn recv(fd: RawFd, arena: &mut Arena, out: &mut Vec<(usize, SocketAddr)>) -> io::Result<()> {
        use std::mem::MaybeUninit;
        // SAFETY: the caller owns the open socket behind `fd` for the length of the call.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        let socket = SockRef::from(&fd);
        for slot in arena.memory.chunks_exact_mut(SLOT).take(BATCH) {
            // SAFETY: initialised bytes are valid as possibly uninitialised ones, and nothing uninitialised is written.
            let buffer = unsafe { &mut *(std::ptr::from_mut::<[u8]>(slot) as *mut [MaybeUninit<u8>]) };
            match socket.recv_from(buffer) {
                Ok((len, source)) => out.push((
                    len,
                    source
                        .as_socket()
                        .unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0))),
                )),
                Err(_) if !out.is_empty() => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn report_errors(_: RawFd, _: bool) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn errors(_: RawFd, _: &mut Vec<SocketAddr>) -> io::Result<()> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    pub(crate) fn send(fd: RawFd, datagrams: &[(SocketAddr, bytes::Bytes)]) -> io::Result<usize> {
        // SAFETY: as above.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        let socket = SockRef::from(&fd);
        for (sent, (target, bytes)) in datagrams.iter().take(BATCH).enumerate() {
            match socket.send_to(bytes, &(*target).into()) {
                Ok(_) => {}
                Err(_) if sent > 0 => return Ok(sent),
                Err(error) => return Err(error),
            }
        }
        Ok(datagrams.len().min(BATCH))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use std::net::{SocketAddr, UdpSocket};
    use std::os::fd::AsRawFd;

    type Recv = fn(i32, &mut Arena, &mut Vec<(usize, SocketAddr)>) -> std::io::Result<()>;
    type Send = fn(i32, &[(SocketAddr, Bytes)]) -> std::io::Result<usize>;

    fn round_trip(bind: &str, send: Send, recv: Recv) {
        let Ok(a) = UdpSocket::bind(bind) else { return };
        let b = UdpSocket::bind(bind).unwrap();
        b.set_nonblocking(true).unwrap();
        let target = b.local_addr().unwrap();
        let datagrams: Vec<_> = (0..100).map(|i| (target, Bytes::from(vec![i as u8; i * 7]))).collect();
        let mut sent = 0;
        while sent < datagrams.len() {
            sent += send(a.as_raw_fd(), &datagrams[sent..]).unwrap();
        }
        let (mut arena, mut all) = (Arena::new(), Vec::new());
        while all.len() < 100 {
            let mut out = Vec::new();
            recv(b.as_raw_fd(), &mut arena, &mut out).unwrap();
            assert!(out.len() <= BATCH);
            for (slot, (len, source)) in out.into_iter().enumerate() {
                assert_eq!(source, a.local_addr().unwrap());
                all.push(arena.datagram(slot, len).to_vec());
            }
        }
        assert!(all.iter().enumerate().all(|(i, d)| *d == vec![i as u8; i * 7]));
        let mut out = Vec::new();
        assert_eq!(
            recv(b.as_raw_fd(), &mut arena, &mut out).unwrap_err().kind(),
            std::io::ErrorKind::WouldBlock
        );
    }

    #[test]
    fn batches_arrive_whole_and_in_order() {
        for bind in ["127.0.0.1:0", "[::1]:0"] {
            round_trip(bind, send, recv);
            round_trip(bind, portable::send, portable::recv);
            round_trip(bind, send, portable::recv);
        }
    }
}
