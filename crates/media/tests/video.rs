//! Video is passed on packet by packet under the receiver's names, what the receiver asks for reaches the sender under the
//! sender's, hold stops both, and none of it allocates.

mod common;

use std::alloc::{GlobalAlloc, Layout as Size, System};
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use common::*;
use strowger_media::*;
use strowger_media_core::rtcp::{self, Item};
use strowger_media_core::rtp::Packet;

/// Allocations of the shards' threads.
static BY_SHARDS: AtomicU64 = AtomicU64::new(0);

struct Counting;

fn on_a_shard() -> bool {
    let mut name = [0u8; 16];
    // SAFETY: the buffer has the 16 octets that this operation fills, and the call does not allocate.
    unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr()) };
    name.starts_with(b"media-") && name[6].is_ascii_digit()
}

// SAFETY: every request goes to the system's allocator unchanged; counting touches only an atomic.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, size: Size) -> *mut u8 {
        if on_a_shard() {
            BY_SHARDS.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, size: Size) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(memory, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const PATIENCE: Duration = Duration::from_secs(10);
const TIME: &str = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time";
const TURNED: &str = "urn:3gpp:video-orientation";

/// A far side without any sound: a port for packets and one for reports.
struct Screen {
    rtp: UdpSocket,
    rtcp: UdpSocket,
    at: SocketAddr,
    /// The sources that it is sent.
    ssrcs: [u32; 2],
}

fn pair() -> (UdpSocket, UdpSocket) {
    loop {
        let rtp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let next = rtp.local_addr().unwrap().port().checked_add(1);
        if let Some(Ok(rtcp)) = next.map(|port| UdpSocket::bind(("127.0.0.1", port))) {
            return (rtp, rtcp);
        }
    }
}

impl Screen {
    /// A leg whose payload types begin at `first`, and its extensions at `extension`.
    fn open(bench: &Bench, leg: u16, first: u8, extension: u8) -> Screen {
        let (rtp, rtcp) = pair();
        rtp.set_read_timeout(Some(PATIENCE)).unwrap();
        rtcp.set_read_timeout(Some(PATIENCE)).unwrap();
        let at = bench.handle.open_leg(CALL, leg).unwrap();
        let screen = Screen {
            at,
            ssrcs: [1000 + u32::from(leg), 2000 + u32::from(leg)],
            rtp,
            rtcp,
        };
        bench.command(Command::Configure {
            leg,
            config: LegConfig {
                remote: screen.rtp.local_addr().unwrap(),
                security: Security::None,
                codec: Codec::pcma(),
                dtmf: None,
                dtmf_clock: 0,
                ptime_ms: 20,
                send: true,
                recv: true,
            },
        });
        screen.show(bench, leg, first, extension);
        screen
    }

    fn show(&self, bench: &Bench, leg: u16, first: u8, extension: u8) {
        let codec = |n: u8, encoding: &str| VideoCodec {
            encoding: encoding.into(),
            send: (first + 2 * n, Some(first + 2 * n + 1)),
            receive: (first + 2 * n, Some(first + 2 * n + 1)),
        };
        let video = Video {
            codecs: vec![codec(0, "vp8//"), codec(1, "vp9/0/")],
            extensions: vec![(extension, TIME.into()), (extension + 1, format!("{TURNED}{leg}"))],
            ssrc: self.ssrcs[0],
            rtx_ssrc: self.ssrcs[1],
            send: true,
            recv: true,
        };
        bench.command(Command::Video {
            leg,
            video: Some(video),
        });
    }

    fn send(&self, payload_type: u8, sequence: u16, timestamp: u32, ssrc: u32, payload: &[u8]) {
        let mut packet = vec![0x90, payload_type];
        packet.extend(sequence.to_be_bytes());
        packet.extend(timestamp.to_be_bytes());
        packet.extend(ssrc.to_be_bytes());
        // Two extensions: the time of sending, and one that the other side has not agreed to.
        packet.extend([0xBE, 0xDE, 0, 2, 0x32, 9, 9, 9, 0x40, 7, 0, 0]);
        packet.extend(payload);
        self.rtp.send_to(&packet, self.at).unwrap();
    }

    fn receive(&self) -> Vec<u8> {
        let mut buffer = [0; 2048];
        let (length, _) = self.rtp.recv_from(&mut buffer).expect("a packet");
        buffer[..length].to_vec()
    }

    /// Sends RTCP.
    fn report(&self, packet: &[u8]) {
        let at = SocketAddr::new(self.at.ip(), self.at.port() + 1);
        self.rtcp.send_to(packet, at).unwrap();
    }

    /// The words after the empty report of the next RTCP packet that asks for something.
    fn asked(&self) -> Vec<u32> {
        let mut buffer = [0; 2048];
        loop {
            let (length, _) = self.rtcp.recv_from(&mut buffer).expect("a request");
            let words = buffer[..length].as_chunks::<4>().0.iter();
            let words: Vec<u32> = words.map(|w| u32::from_be_bytes(*w)).collect();
            if words[0] == 0x80C9_0001 {
                return words[2..].to_vec();
            }
        }
    }
}

fn two() -> (Bench, Screen, Screen) {
    let bench = Bench::start();
    let (a, b) = (Screen::open(&bench, 0, 96, 3), Screen::open(&bench, 1, 110, 5));
    bench.talk();
    // Sound that arrives tells that all of it is in force.
    b.rtp.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let arrives = |n: u16| {
        a.send(8, n, u32::from(n) * 160, 70, &[0xD5; 160]);
        b.rtp.recv_from(&mut [0; 2048]).is_ok()
    };
    assert!((0..500).any(arrives), "no sound");
    b.rtp.set_read_timeout(Some(PATIENCE)).unwrap();
    (bench, a, b)
}

/// The fields that a receiver sees.
fn seen(packet: &[u8]) -> (u8, u16, u32, Vec<u8>) {
    let p = Packet::parse(packet).unwrap();
    (p.payload_type, p.sequence, p.ssrc, p.payload.to_vec())
}

#[test]
fn packets_go_to_the_other_side_under_its_own_names() {
    let (_bench, a, b) = two();
    a.send(98, 500, 9_000, 77, b"one");
    let first = b.receive();
    let (payload_type, start, ssrc, payload) = seen(&first);
    assert_eq!((payload_type, ssrc, &payload[..]), (112, 1001, &b"one"[..]));
    assert_eq!(
        first[12..24],
        [0xBE, 0xDE, 0, 2, 0x52, 9, 9, 9, 0, 0, 0, 0],
        "numbers of the receiver"
    );
    assert_eq!(first[1] & 0x80, 0, "the end of a picture is where the sender puts it");
    a.send(98 | 0x80, 501, 9_000, 77, b"two");
    let second = b.receive();
    assert_eq!(second[1], 112 | 0x80);
    let (_, number, _, _) = seen(&second);
    assert_eq!(number, start.wrapping_add(1));
    assert_eq!(first[4..8], second[4..8], "one picture, one timestamp");
    // A repetition names what it repeats by the receiver's number.
    a.send(99, 7, 9_000, 78, &[0x01, 0xF4, b'o']);
    let (payload_type, _, ssrc, payload) = seen(&b.receive());
    assert_eq!((payload_type, ssrc), (113, 2001));
    assert_eq!(payload, [&start.to_be_bytes()[..], b"o"].concat());
    // An encoding that was not agreed on goes nowhere and leaves no gap; another switch of the encoding is seen.
    a.send(120, 502, 9_100, 77, b"x");
    a.send(96, 502, 12_000, 77, b"three");
    let (payload_type, number, _, _) = seen(&b.receive());
    assert_eq!((payload_type, number), (110, start.wrapping_add(2)));
    // And the other way.
    b.send(110, 1, 1, 5, b"back");
    assert_eq!(seen(&a.receive()).0, 96);
}

#[test]
fn what_a_receiver_asks_for_reaches_the_sender() {
    let (bench, a, b) = two();
    a.send(96, 500, 9_000, 77, b"one");
    let (_, start, _, _) = seen(&b.receive());
    let ssrc = b.ssrcs[0].to_be_bytes();
    let ask = |head: [u8; 4], rest: &[u8]| [&head[..], &[0, 0, 0, 9], &ssrc, rest].concat();
    b.report(&ask([0x81, 206, 0, 2], &[]));
    assert_eq!(a.asked(), [0x81CE_0002, a.ssrcs[0], 77]);
    b.report(&ask([0x81, 205, 0, 3], &[start.to_be_bytes(), [0, 0]].concat()));
    assert_eq!(a.asked(), [0x81CD_0003, a.ssrcs[0], 77, 500 << 16]);
    // How much it can take: the mantissa 1000 at exponent 8.
    let mut limit = vec![0x8F, 206, 0, 5, 0, 0, 0, 9, 0, 0, 0, 0];
    limit.extend([b'R', b'E', b'M', b'B', 1, 8 << 2, 3, 0xE8]);
    limit.extend(ssrc);
    b.report(&limit);
    let words = a.asked();
    assert_eq!(words[..2], [0x8FCE_0005, a.ssrcs[0]]);
    assert_eq!(words[5], 77);
    // Reports tell the sender of what was lost behind us.
    let loss = rtcp::ReportBlock {
        ssrc: b.ssrcs[0],
        fraction_lost: 40,
        ..Default::default()
    };
    let mut report = Vec::new();
    rtcp::build(&mut report, 9, None, Some(loss), "b", false);
    b.report(&report);
    let end = Instant::now() + PATIENCE;
    let mut told = false;
    while !told {
        assert!(Instant::now() < end, "no report about the loss");
        let mut buffer = [0; 2048];
        let (length, _) = a.rtcp.recv_from(&mut buffer).expect("a report");
        rtcp::parse(&buffer[..length], |item| {
            told |= matches!(item, Item::Report { block, .. } if block.ssrc == 77 && block.fraction_lost == 40);
        });
        // The next one goes by what was lost since.
        a.send(96, 501, 9_000, 77, b"more");
        b.report(&report);
    }
    for leg in [0, 1] {
        bench.command(Command::CloseLeg { leg });
    }
    let totals = |number: u16| {
        bench.events.wait("the totals", |_, e| match e {
            Event::LegClosed { leg, stats } if *leg == number => stats.video,
            _ => None,
        })
    };
    let (sender, receiver) = (totals(0), totals(1));
    assert!(sender.packets_in >= 2 && sender.packets_out == 0, "{sender:?}");
    assert!(receiver.packets_out >= 2 && receiver.packets_in == 0, "{receiver:?}");
    assert_eq!((sender.key_frames_asked, sender.key_frames_wanted), (1, 0));
    assert_eq!((receiver.key_frames_asked, receiver.key_frames_wanted), (0, 1));
}

#[test]
fn hold_stops_it_and_retrieving_asks_for_a_whole_picture() {
    let (bench, a, b) = two();
    a.send(96, 500, 9_000, 77, b"one");
    let (_, start, _, _) = seen(&b.receive());
    bench.layout(vec![plays(1, sound(1, 440, 200))]);
    // The tone tells that the hold has begun.
    while seen(&b.receive()).0 != 8 {}
    a.send(96, 501, 12_000, 77, b"unseen");
    bench.talk();
    assert_eq!(a.asked(), [0x81CE_0002, a.ssrcs[0], 77]);
    a.send(96, 502, 15_000, 77, b"two");
    loop {
        let packet = b.receive();
        let p = Packet::parse(&packet).unwrap();
        // The tone of the hold comes as well.
        if p.payload_type == 110 {
            assert_eq!(p.payload, b"two");
            assert!(p.sequence.wrapping_sub(start) <= 2, "the stream goes on");
            break;
        }
    }
}

#[test]
fn passing_pictures_on_allocates_nothing() {
    let (_bench, a, b) = two();
    let turn = |n: u16| {
        a.send(96, n, u32::from(n) * 3_000, 77, &[7; 1_100]);
        b.receive();
        a.send(
            97,
            n,
            u32::from(n) * 3_000,
            78,
            &[&n.to_be_bytes()[..], &[7; 1_100]].concat(),
        );
        b.receive();
        let ssrc = b.ssrcs[0].to_be_bytes();
        b.report(&[&[0x81, 206, 0, 2, 0, 0, 0, 9], &ssrc[..]].concat());
        a.asked();
    };
    (0..50).for_each(turn);
    let before = BY_SHARDS.load(Ordering::Relaxed);
    assert!(before > 0, "setting up a call allocates, or the counter does not count");
    (50..250).for_each(turn);
    let reports = BY_SHARDS.load(Ordering::Relaxed) - before;
    // A list of the reports that are due, once a second.
    assert!(reports <= 4, "{reports} allocations in 600 packets");
}
