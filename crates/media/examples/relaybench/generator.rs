//! The traffic: both parties of every call from two sockets, paced evenly, with kernel time stamps on reception.

use std::collections::HashMap;
use std::mem::{size_of, zeroed};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use strowger_media_core::codec::{EncoderSettings, Kind, MAX_PAYLOAD};
use strowger_media_core::rtp::{HEADER_LEN, Header};
use strowger_media_core::tone::{Cadence, ToneGenerator};

/// The first party's socket.
pub const A: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 39000));
/// The second party's socket.
pub const B: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 39002));

const PACKET: usize = HEADER_LEN + 160;
/// Packets of sound that a party of another codec sends round and round: a second.
const ROUND: usize = 50;
/// Packets a system call: few, so that the delay is that of the relay and not of the batch.
const BATCH: usize = 8;
/// How far the generator may be behind its schedule before the schedule moves, in ns.
const MAX_BEHIND: f64 = 300_000.0;
const RECEIVE_BATCH: usize = 64;

struct Stream {
    to: libc::sockaddr_in,
    sequence: u16,
    timestamp: u32,
}

/// What a run measured.
pub struct Outcome {
    pub calls: usize,
    pub sent: u64,
    pub received: u64,
    /// Share of the intended rate that the generator reached.
    pub load: f64,
    /// Calls' worth of packets that came back while packets were sent: when more are offered than the relay can take,
    /// this is its capacity.
    pub carried: f64,
    /// Microseconds, sorted.
    delays: Vec<u32>,
}

impl Outcome {
    /// Of so many calls: packets sent and received, the share of the intended rate, the calls' worth of packets, the delays.
    pub fn new(calls: usize, [sent, received]: [u64; 2], load: f64, carried: f64, mut delays: Vec<u32>) -> Outcome {
        delays.sort_unstable();
        Outcome {
            calls,
            sent,
            received,
            load,
            carried,
            delays,
        }
    }

    /// The delay in µs below which this share of packets lies.
    pub fn percentile(&self, share: f64) -> u32 {
        let last = self.delays.len().saturating_sub(1);
        self.delays.get((last as f64 * share) as usize).copied().unwrap_or(0)
    }
}

pub struct Generator {
    sockets: [UdpSocket; 2],
    streams: [Vec<Stream>; 2],
    /// What the second parties speak.
    second: Kind,
    /// The packets of both sides.
    sounds: [Vec<Vec<u8>>; 2],
    /// Payloads do not come back as they were sent, so no delay is measured but how evenly packets come: the deviation of
    /// their distance from 20 ms.
    paced: bool,
    /// When each stream's last packet came, in ns.
    last: HashMap<[u8; 4], u64>,
    delays: Vec<u32>,
    control: Vec<[u8; 64]>,
    buffers: Vec<[u8; 256]>,
}

pub fn realtime_nanos() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos() as u64
}

fn raw(address: SocketAddr) -> libc::sockaddr_in {
    let SocketAddr::V4(v4) = address else {
        panic!("the generator speaks IPv4")
    };
    // SAFETY: plain integers, for which zero is valid.
    let mut out: libc::sockaddr_in = unsafe { zeroed() };
    out.sin_family = libc::AF_INET as u16;
    out.sin_port = v4.port().to_be();
    out.sin_addr.s_addr = u32::from(*v4.ip()).to_be();
    out
}

/// A bare name for the thread's set-up calls.
pub fn pin(processor: usize) {
    // SAFETY: a CPU set is a bit mask; the parameter structure is plain integers; pointers are valid for the calls.
    unsafe {
        let mut set: libc::cpu_set_t = zeroed();
        libc::CPU_SET(processor, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set);
        let parameter = libc::sched_param { sched_priority: 5 };
        libc::sched_setscheduler(0, libc::SCHED_FIFO, &parameter);
    }
}

fn socket(address: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind(address).expect("a generator port");
    socket.set_nonblocking(true).expect("a non-blocking socket");
    let set = |option: libc::c_int, value: libc::c_int| {
        // SAFETY: the pointer and the length describe one integer.
        unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                option,
                (&raw const value).cast(),
                size_of::<libc::c_int>() as libc::socklen_t,
            )
        }
    };
    set(libc::SO_RCVBUFFORCE, 64 << 20);
    set(libc::SO_SNDBUFFORCE, 16 << 20);
    assert_eq!(set(libc::SO_TIMESTAMPNS, 1), 0, "kernel time stamps");
    socket
}

impl Generator {
    pub fn reserve(calls: usize, second: Kind, paced: bool) -> Generator {
        let mut delays = vec![1; calls * 100 * 15];
        delays.clear();
        Generator {
            sockets: [socket(A), socket(B)],
            streams: [Vec::with_capacity(calls), Vec::with_capacity(calls)],
            second,
            sounds: [sound(Kind::Pcma), sound(second)],
            paced,
            last: HashMap::with_capacity(2 * calls),
            delays,
            control: vec![[0; 64]; RECEIVE_BATCH],
            buffers: vec![[0; 256]; RECEIVE_BATCH],
        }
    }

    pub fn set_addresses(&mut self, addresses: Vec<(SocketAddr, SocketAddr)>) {
        let stream = |to| Stream {
            to: raw(to),
            sequence: 1,
            timestamp: 0,
        };
        for (a, b) in addresses {
            self.streams[0].push(stream(a));
            self.streams[1].push(stream(b));
        }
    }

    /// Send for a time, receive until nothing comes any more.
    pub fn run(&mut self, duration: Duration) -> Outcome {
        std::thread::scope(|scope| scope.spawn(|| self.run_here(duration)).join()).expect("the generator")
    }

    fn run_here(&mut self, duration: Duration) -> Outcome {
        pin(1);
        self.delays.clear();
        self.last.clear();
        let calls = self.streams[0].len();
        let total = 2 * calls as u64 * duration.as_millis() as u64 / 20;
        let interval = 20_000_000.0 / (2 * calls) as f64;
        // Few calls are sent less often than that: what is merely not due yet is not behind.
        let most_behind = MAX_BEHIND.max(2.0 * interval);
        let start = realtime_nanos();
        let mut began = start as f64;
        let mut sent = 0u64;
        let mut received = 0u64;
        while sent < total {
            let behind = realtime_nanos() as f64 - began - sent as f64 * interval;
            if behind > most_behind {
                // The generator itself was held up. Sending the backlog at once would measure how the relay takes a
                // burst that no network of telephones produces, so the schedule is moved instead.
                began += behind;
            }
            let due = (((realtime_nanos() as f64 - began) / interval) as u64).min(total);
            if sent < due {
                let count = (due - sent).min(BATCH as u64);
                self.send(sent, count, calls);
                sent += count;
            }
            received += self.receive(0) + self.receive(1);
        }
        let seconds = (realtime_nanos() - start) as f64 / 1e9;
        let offered = 100.0 * calls as f64 * seconds;
        let carried = received as f64 / seconds / 100.0;
        let end = realtime_nanos() + 300_000_000;
        while realtime_nanos() < end {
            received += self.receive(0) + self.receive(1);
        }
        Outcome::new(
            calls,
            [sent, received],
            sent as f64 / offered,
            carried,
            self.delays.clone(),
        )
    }

    /// Packets number `from` to `from + count`: first all first parties, then all second ones, round and round.
    fn send(&mut self, from: u64, count: u64, calls: usize) {
        let mut packets = [[0u8; HEADER_LEN + MAX_PAYLOAD]; BATCH];
        // SAFETY: message headers are integers and pointers, for which zero is valid.
        let mut iov: [libc::iovec; BATCH] = unsafe { zeroed() };
        // SAFETY: as above.
        let mut messages: [libc::mmsghdr; BATCH] = unsafe { zeroed() };
        let mut filled = 0;
        let mut side = 0;
        let now = realtime_nanos();
        for n in from..from + count {
            let index = (n % (2 * calls as u64)) as usize;
            let this_side = index & 1;
            if filled > 0 && this_side != side {
                self.flush(side, &mut messages[..filled]);
                filled = 0;
            }
            side = this_side;
            let stream = &mut self.streams[side][index / 2];
            let kind = if side == 1 { self.second } else { Kind::Pcma };
            let payload_type = payload_type(kind);
            let header = Header {
                marker: false,
                payload_type,
                sequence: stream.sequence,
                timestamp: stream.timestamp,
                ssrc: index as u32 + 1,
            };
            stream.sequence = stream.sequence.wrapping_add(1);
            stream.timestamp = stream.timestamp.wrapping_add(160 * kind.units_per_sample());
            let packet = &mut packets[filled];
            packet[..HEADER_LEN].copy_from_slice(&header.to_bytes());
            let payload = &self.sounds[side][usize::from(header.sequence) % ROUND];
            packet[HEADER_LEN..HEADER_LEN + payload.len()].copy_from_slice(payload);
            if !self.paced {
                packet[HEADER_LEN..HEADER_LEN + 8].copy_from_slice(&now.to_be_bytes());
            }
            iov[filled] = libc::iovec {
                iov_base: packet.as_mut_ptr().cast(),
                iov_len: HEADER_LEN + payload.len(),
            };
            messages[filled].msg_hdr.msg_name = (&raw mut stream.to).cast();
            messages[filled].msg_hdr.msg_namelen = size_of::<libc::sockaddr_in>() as libc::socklen_t;
            messages[filled].msg_hdr.msg_iov = &raw mut iov[filled];
            messages[filled].msg_hdr.msg_iovlen = 1;
            filled += 1;
        }
        self.flush(side, &mut messages[..filled]);
    }

    fn flush(&self, side: usize, messages: &mut [libc::mmsghdr]) {
        // SAFETY: every header points to a packet, an address and a vector that outlive this call.
        unsafe {
            libc::sendmmsg(
                self.sockets[side].as_raw_fd(),
                messages.as_mut_ptr(),
                messages.len() as u32,
                0,
            );
        }
    }

    fn receive(&mut self, side: usize) -> u64 {
        // SAFETY: message headers are integers and pointers, for which zero is valid.
        let mut iov: [libc::iovec; RECEIVE_BATCH] = unsafe { zeroed() };
        // SAFETY: as above.
        let mut messages: [libc::mmsghdr; RECEIVE_BATCH] = unsafe { zeroed() };
        for i in 0..RECEIVE_BATCH {
            iov[i] = libc::iovec {
                iov_base: self.buffers[i].as_mut_ptr().cast(),
                iov_len: self.buffers[i].len(),
            };
            let header = &mut messages[i].msg_hdr;
            header.msg_iov = &raw mut iov[i];
            header.msg_iovlen = 1;
            header.msg_control = self.control[i].as_mut_ptr().cast();
            header.msg_controllen = self.control[i].len();
        }
        let fd = self.sockets[side].as_raw_fd();
        // SAFETY: every header points to buffers that outlive this call.
        let count = unsafe {
            libc::recvmmsg(
                fd,
                messages.as_mut_ptr(),
                RECEIVE_BATCH as u32,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        let count = usize::try_from(count).unwrap_or(0);
        for (i, message) in messages.iter().enumerate().take(count) {
            if !self.paced && message.msg_len as usize != PACKET {
                continue;
            }
            let Some(arrived) = arrival(&message.msg_hdr) else {
                continue;
            };
            if self.paced {
                let ssrc = [8, 9, 10, 11].map(|n| self.buffers[i][n]);
                if let Some(before) = self.last.insert(ssrc, arrived) {
                    let distance = arrived.saturating_sub(before);
                    self.delays
                        .push((distance.abs_diff(20_000_000) / 1000).min(u64::from(u32::MAX)) as u32);
                }
                continue;
            }
            let mut stamp = [0u8; 8];
            stamp.copy_from_slice(&self.buffers[i][HEADER_LEN..HEADER_LEN + 8]);
            let delay = arrived.saturating_sub(u64::from_be_bytes(stamp)) / 1000;
            self.delays.push(delay.min(u64::from(u32::MAX)) as u32);
        }
        count as u64
    }
}

/// The kernel's time stamp of a datagram in nanoseconds.
pub fn arrival(header: &libc::msghdr) -> Option<u64> {
    // SAFETY: the header was filled by the kernel; the macros stay within its control buffer.
    unsafe {
        let control = libc::CMSG_FIRSTHDR(header);
        if control.is_null() || (*control).cmsg_type != libc::SCM_TIMESTAMPNS {
            return None;
        }
        let time: libc::timespec = std::ptr::read_unaligned(libc::CMSG_DATA(control).cast());
        Some(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
    }
}

/// The payload type of a codec in a bench.
pub fn payload_type(kind: Kind) -> u8 {
    match kind {
        Kind::Pcmu => 0,
        Kind::Pcma => 8,
        Kind::G722 => 9,
        Kind::G729 => 18,
        Kind::Opus => 111,
    }
}

/// A second of a rising and falling tone in packets of 20 ms.
fn sound(kind: Kind) -> Vec<Vec<u8>> {
    let mut encoder = kind.encoder(EncoderSettings::default()).expect("an encoder");
    let packet = |n: usize| {
        let hz = 300 + 40 * (n.min(ROUND - n) as u16);
        let (mut frame, mut payload) = ([0; 160], vec![0; MAX_PAYLOAD]);
        ToneGenerator::new(Cadence::sine(hz, -12.0)).fill(&mut frame);
        let length = encoder.encode(&frame, &mut payload);
        payload.truncate(length);
        payload
    };
    (0..ROUND).map(packet).collect()
}
