//! Calls between browsers: every leg from an address of its own, with ICE, DTLS and SRTP, paced evenly, with kernel time stamps
//! on reception.

use std::mem::{size_of, zeroed};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use strowger_media::testkit::web::{Caller, Certificate};
use strowger_media::{LocalWebRtc, WebRtc};
use strowger_media_core::rtp::{HEADER_LEN, Header};

use crate::generator::{Outcome, arrival, pin, realtime_nanos};

const PACKET: usize = HEADER_LEN + 160;
/// Events that are looked at before the next packet is sent.
const EVENTS: usize = 16;
/// How far the generator may be behind its schedule before the schedule moves, in ns.
const MAX_BEHIND: f64 = 300_000.0;
/// Time for all handshakes.
const PATIENCE: Duration = Duration::from_secs(60);

struct Leg {
    socket: UdpSocket,
    caller: Caller,
    sequence: u16,
    timestamp: u32,
}

/// All legs of a run; the two legs of a call follow one another.
pub struct Browsers {
    legs: Vec<Leg>,
    certificate: Certificate,
    epoll: i32,
    delays: Vec<u32>,
}

/// Every leg has a socket here.
fn allow_files(wanted: u64) {
    // SAFETY: the structure is two integers, and the pointers are valid for the calls.
    unsafe {
        let mut limit: libc::rlimit = zeroed();
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
        limit.rlim_cur = limit.rlim_cur.max(wanted);
        limit.rlim_max = limit.rlim_max.max(limit.rlim_cur);
        libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
    }
}

impl Browsers {
    pub fn reserve(calls: usize) -> Browsers {
        allow_files(2 * calls as u64 + 20_000);
        // SAFETY: no pointers are passed.
        let epoll = unsafe { libc::epoll_create1(0) };
        assert!(epoll >= 0, "a poll descriptor");
        let mut delays = vec![1; calls * 100 * 15];
        delays.clear();
        Browsers {
            legs: Vec::with_capacity(2 * calls),
            certificate: Certificate::new(),
            epoll,
            delays,
        }
    }

    /// One more leg, with our description of it; returns what the engine is to be configured with.
    pub fn open(&mut self, theirs: &LocalWebRtc) -> WebRtc {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port for a leg");
        socket.set_nonblocking(true).expect("a non-blocking socket");
        let on: libc::c_int = 1;
        let mut event = libc::epoll_event {
            events: libc::EPOLLIN as u32,
            u64: self.legs.len() as u64,
        };
        let fd = socket.as_raw_fd();
        // SAFETY: the pointers describe an integer and an event that outlive the calls.
        unsafe {
            let length = size_of::<libc::c_int>() as libc::socklen_t;
            libc::setsockopt(
                fd,
                libc::SOL_SOCKET,
                libc::SO_TIMESTAMPNS,
                (&raw const on).cast(),
                length,
            );
            libc::epoll_ctl(self.epoll, libc::EPOLL_CTL_ADD, fd, &mut event);
        }
        let address = socket.local_addr().expect("the address of a bound socket");
        let (caller, agreed) = Caller::meet(&self.certificate, theirs, address);
        self.legs.push(Leg {
            socket,
            caller,
            sequence: 1,
            timestamp: 0,
        });
        agreed
    }

    fn poll(&mut self, index: usize) {
        let leg = &mut self.legs[index];
        let socket = &leg.socket;
        leg.caller.poll(&mut |to: SocketAddr, datagram: &[u8]| {
            // A refused packet is a lost packet, as on any network.
            let _ = socket.send_to(datagram, to);
        });
    }

    /// Waits until every leg has its keys.
    pub fn connect(&mut self) {
        let end = Instant::now() + PATIENCE;
        loop {
            for index in 0..self.legs.len() {
                self.poll(index);
            }
            while self.receive(1) > 0 {}
            let open = self.legs.iter().filter(|l| !l.caller.is_connected()).count();
            if open == 0 {
                return;
            }
            assert!(Instant::now() < end, "{open} legs have no keys");
        }
    }

    /// Send for a time, receive until nothing comes any more.
    pub fn run(&mut self, duration: Duration) -> Outcome {
        std::thread::scope(|scope| scope.spawn(|| self.run_here(duration)).join()).expect("the generator")
    }

    fn run_here(&mut self, duration: Duration) -> Outcome {
        pin(1);
        self.delays.clear();
        let legs = self.legs.len();
        let total = legs as u64 * duration.as_millis() as u64 / 20;
        let interval = 20_000_000.0 / legs as f64;
        let start = realtime_nanos();
        let mut began = start as f64;
        let (mut sent, mut received) = (0u64, 0u64);
        while sent < total {
            let behind = realtime_nanos() as f64 - began - sent as f64 * interval;
            if behind > MAX_BEHIND.max(2.0 * interval) {
                began += behind;
            }
            if realtime_nanos() as f64 - began >= sent as f64 * interval {
                self.send((sent % legs as u64) as usize);
                sent += 1;
                // Consent (RFC 7675): a leg's deadlines are looked at after its packet.
                if sent.is_multiple_of(4) {
                    self.poll((sent / 4 % legs as u64) as usize);
                }
            }
            received += self.receive(0);
        }
        let seconds = (realtime_nanos() - start) as f64 / 1e9;
        let carried = received as f64 / seconds / 100.0;
        let end = realtime_nanos() + 300_000_000;
        while realtime_nanos() < end {
            received += self.receive(0);
        }
        let load = sent as f64 / (50.0 * legs as f64 * seconds);
        Outcome::new(legs / 2, [sent, received], load, carried, self.delays.clone())
    }

    fn send(&mut self, index: usize) {
        let leg = &mut self.legs[index];
        let header = Header {
            marker: false,
            payload_type: 8,
            sequence: leg.sequence,
            timestamp: leg.timestamp,
            ssrc: index as u32 + 1,
        };
        leg.sequence = leg.sequence.wrapping_add(1);
        leg.timestamp = leg.timestamp.wrapping_add(160);
        let mut packet = [0xD5u8; 256];
        packet[..HEADER_LEN].copy_from_slice(&header.to_bytes());
        packet[HEADER_LEN..HEADER_LEN + 8].copy_from_slice(&realtime_nanos().to_be_bytes());
        if let Some((length, to)) = leg.caller.protect(&mut packet, PACKET) {
            // As above.
            let _ = leg.socket.send_to(&packet[..length], to);
        }
    }

    /// Takes what has come, after at most so many ms; returns the packets of sound.
    fn receive(&mut self, patience_ms: i32) -> u64 {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; EVENTS];
        // SAFETY: the array has room for as many events as are asked for.
        let ready = unsafe { libc::epoll_wait(self.epoll, events.as_mut_ptr(), EVENTS as i32, patience_ms) };
        let mut count = 0;
        for event in &events[..usize::try_from(ready).unwrap_or(0)] {
            count += self.take(event.u64 as usize);
        }
        count
    }

    fn take(&mut self, index: usize) -> u64 {
        let leg = &mut self.legs[index];
        let (mut buffer, mut control) = ([0u8; 2048], [0u8; 64]);
        // SAFETY: message headers and addresses are integers and pointers, for which zero is valid; all that they point to
        // outlives the call.
        let (length, arrived, from) = unsafe {
            let mut from: libc::sockaddr_in = zeroed();
            let mut iov = libc::iovec {
                iov_base: buffer.as_mut_ptr().cast(),
                iov_len: buffer.len(),
            };
            let mut header: libc::msghdr = zeroed();
            header.msg_name = (&raw mut from).cast();
            header.msg_namelen = size_of::<libc::sockaddr_in>() as libc::socklen_t;
            header.msg_iov = &raw mut iov;
            header.msg_iovlen = 1;
            header.msg_control = control.as_mut_ptr().cast();
            header.msg_controllen = control.len();
            let length = libc::recvmsg(leg.socket.as_raw_fd(), &mut header, libc::MSG_DONTWAIT);
            let ip = u32::from_be(from.sin_addr.s_addr).to_be_bytes();
            let from = SocketAddr::from((ip, u16::from_be(from.sin_port)));
            (length, arrival(&header), from)
        };
        let Ok(length) = usize::try_from(length) else { return 0 };
        let Some(length) = leg.caller.arrived(&mut buffer[..length], from) else {
            self.poll(index);
            return 0;
        };
        let stamp = buffer[HEADER_LEN..].first_chunk::<8>().map(|s| u64::from_be_bytes(*s));
        if let (Some(arrived), Some(stamp), true) = (arrived, stamp, length == PACKET) {
            let delay = arrived.saturating_sub(stamp) / 1000;
            self.delays.push(delay.min(u64::from(u32::MAX)) as u32);
        }
        1
    }
}

impl Drop for Browsers {
    fn drop(&mut self) {
        // SAFETY: the descriptor is ours and is not used any more.
        unsafe { libc::close(self.epoll) };
    }
}
