//! What the pure stack costs, without sockets: nanoseconds a message, microseconds a call, bytes a dialog.
//!
//! `cargo run --release -p strowger-sip --example cost`
//!
//! All times are CPU times, so other work on the machine disturbs them only by the caches.

use bytes::Bytes;
use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use strowger_sip::core::*;

/// Counts the bytes that are held.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on unchanged; only a counter is kept beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise is the one that System asks for.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// CPU time of this thread in ns.
fn cpu() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split_ascii_whitespace()
        .next()
        .and_then(|v| v.parse().ok())
        .unwrap_or(0)
}

const SDP: &[u8] = b"v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8 0 101\r\n\
a=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n";

fn stack(n: u8) -> Stack {
    let local = std::net::SocketAddr::from(([10, 0, 0, n], 5060));
    let mut config = StackConfig::new([n; 16], Interface::new(Transport::Udp, local));
    config.max_dialogs = 1_000_000;
    config.product = "strowger".into();
    Stack::new(config)
}

fn invite(n: u64, from: u8, to: u8) -> Command {
    Command::Invite(Box::new(Invite {
        handle: DialogHandle(n),
        call_id: format!("{n:032x}@10.0.0.{from}"),
        local_tag: format!("{n:016x}"),
        branch_stem: format!("{n:016x}"),
        request_uri: format!("sip:+8613800138000@10.0.0.{to}"),
        to: Party::new(format!("sip:+8613800138000@10.0.0.{to}")),
        from: Party::new(format!("sip:+861087654321@10.0.0.{from}")),
        headers: vec![(
            "P-Asserted-Identity".into(),
            format!("<sip:+861087654321@10.0.0.{from}>"),
        )],
        destination: Target::udp(std::net::SocketAddr::from(([10, 0, 0, to], 5060))),
        local: None,
        sdp: Some(Bytes::from_static(SDP)),
        credentials: None,
        ack: AckMode::Automatic,
        route: Vec::new(),
        contact_user: None,
        reliable: Default::default(),
    }))
}

/// Nodes 1, 2, 3 on a network without delay. Node 1 calls; node 2 answers, or if there is a third, calls it and
/// answers when that one has (a back-to-back user agent in signalling only).
struct World {
    nodes: Vec<Stack>,
    now: Time,
    pairs: std::collections::HashMap<DialogHandle, DialogHandle>,
    messages: Vec<u64>,
    answered: u64,
}

impl World {
    fn give(&mut self, node: usize, input: Input, next: &mut Vec<(usize, Input)>) {
        let stack = &mut self.nodes[node];
        stack.handle(input, self.now);
        let mut outputs = Vec::new();
        while let Some(output) = stack.poll() {
            outputs.push(output);
        }
        for output in outputs {
            match output {
                Output::Send { target, local, bytes } => {
                    self.messages[node] += 1;
                    let std::net::IpAddr::V4(ip) = target.addr.ip() else {
                        continue;
                    };
                    next.push((
                        usize::from(ip.octets()[3]) - 1,
                        Input::Received(Received::udp(target.addr, local, bytes)),
                    ));
                }
                Output::Event { handle, event } => self.react(node, handle, event, next),
            }
        }
    }

    fn react(&mut self, node: usize, handle: DialogHandle, event: SipEvent, next: &mut Vec<(usize, Input)>) {
        let respond = |handle, status, sdp| {
            Input::Command(Command::Respond {
                handle,
                status,
                reason_phrase: None,
                headers: Vec::new(),
                sdp,
                reliable: false,
            })
        };
        let sdp = || Some(Bytes::from_static(SDP));
        let middle = self.nodes.len() == 3 && node == 1;
        match event {
            SipEvent::Incoming(_) if middle => {
                let other = DialogHandle(handle.0 & !DialogHandle::INCOMING);
                self.pairs.insert(other, handle);
                self.pairs.insert(handle, other);
                next.push((1, Input::Command(invite(other.0, 2, 3))));
            }
            SipEvent::Incoming(_) => {
                next.push((node, respond(handle, 180, None)));
                next.push((node, respond(handle, 200, sdp())));
            }
            SipEvent::Provisional { status, .. } if middle => {
                next.push((1, respond(self.pairs[&handle], status, None)))
            }
            SipEvent::Answered { .. } if middle => next.push((1, respond(self.pairs[&handle], 200, sdp()))),
            SipEvent::Answered { .. } => self.answered += 1,
            SipEvent::ByeReceived { .. } if middle => {
                if let Some(other) = self.pairs.remove(&handle) {
                    self.pairs.remove(&other);
                    next.push((
                        1,
                        Input::Command(Command::Bye {
                            handle: other,
                            reason: None,
                        }),
                    ));
                }
            }
            _ => {}
        }
    }

    fn run(&mut self, node: usize, input: Input) {
        let mut queue = vec![(node, input)];
        while !queue.is_empty() {
            let mut next = Vec::new();
            for (node, input) in queue.drain(..) {
                self.give(node, input, &mut next);
            }
            queue = next;
        }
    }

    fn new(nodes: usize) -> World {
        let stacks = (1..=nodes as u8).map(stack).collect();
        World {
            nodes: stacks,
            now: Time(0),
            pairs: Default::default(),
            messages: vec![0; nodes],
            answered: 0,
        }
    }
}

/// CPU µs a call of all nodes together.
fn calls(nodes: usize, count: u64) -> f64 {
    let mut world = World::new(nodes);
    let begun = cpu();
    for n in 1..=count {
        // 1,000 calls/s: transactions of the last 32 s are around, and their timers run.
        world.now = world.now.plus(1_000);
        world.run(0, Input::Command(invite(n, 1, 2)));
        world.run(
            0,
            Input::Command(Command::Bye {
                handle: DialogHandle(n),
                reason: None,
            }),
        );
    }
    assert_eq!(world.answered, count);
    (cpu() - begun) as f64 / count as f64 / 1_000.0
}

fn memory(count: u64) {
    let mut world = World::new(2);
    let before = HELD.load(Ordering::Relaxed);
    for n in 1..=count {
        world.now = world.now.plus(10);
        world.run(0, Input::Command(invite(n, 1, 2)));
    }
    let fresh = HELD.load(Ordering::Relaxed) - before;
    for _ in 0..400 {
        world.now = world.now.plus(100_000);
        for node in 0..2 {
            world.run(node, Input::Tick);
        }
    }
    let settled = HELD.load(Ordering::Relaxed) - before;
    let (dialogs, transactions) = (world.nodes[0].stats().dialogs, world.nodes[0].stats().transactions);
    println!(
        "memory, bytes a dialog and side: {} just answered, {} after 40 s ({dialogs} dialogs, {transactions} transactions)",
        fresh as u64 / count / 2,
        settled as u64 / count / 2
    );
    for n in 1..=count {
        world.run(
            0,
            Input::Command(Command::Bye {
                handle: DialogHandle(n),
                reason: None,
            }),
        );
    }
    for _ in 0..400 {
        world.now = world.now.plus(100_000);
        for node in 0..2 {
            world.run(node, Input::Tick);
        }
    }
    let left = HELD.load(Ordering::Relaxed) - before;
    println!(
        "memory after {count} calls have ended: {} kB held by both sides (capacity of tables)",
        left / 1024
    );
}

fn nanos(name: &str, mut f: impl FnMut()) {
    const ROUNDS: u32 = 200_000;
    for _ in 0..ROUNDS / 10 {
        f();
    }
    let begun = cpu();
    for _ in 0..ROUNDS {
        f();
    }
    println!("{name}: {} ns", (cpu() - begun) / u64::from(ROUNDS));
}

fn main() {
    let mut a = stack(1);
    a.handle(Input::Command(invite(1, 1, 2)), Time(0));
    let Some(Output::Send { bytes, .. }) = a.poll() else {
        return;
    };
    nanos(&format!("parse INVITE of {} bytes", bytes.len()), || {
        drop(black_box(Message::parse(black_box(bytes.clone()))))
    });
    let Ok(message) = Message::parse(bytes.clone()) else {
        return;
    };
    let source = std::net::SocketAddr::from(([10, 0, 0, 1], 5060));
    nanos("serialise 200 with SDP", || {
        let mut writer = write::Writer::response(black_box(&message), 200, None, Some("0123456789abcdef"), source);
        writer.header("Contact", "<sip:10.0.0.2:5060>");
        drop(black_box(writer.finish_with("application/sdp", SDP)));
    });
    nanos("parse SDP", || drop(black_box(sdp::parse(black_box(SDP)))));
    let local = sdp::LocalMedia::g711("10.0.0.2:4000".parse().expect("an address"), 1);
    let Ok(offer) = sdp::parse(SDP) else { return };
    nanos("answer SDP and write it", || {
        drop(black_box(
            sdp::answer(black_box(&offer), &local).map(|(s, _)| s.to_string()),
        ))
    });
    let (two, three) = (calls(2, 100_000), calls(3, 100_000));
    println!(
        "call, us: {:.1} a side, {:.1} a back-to-back user agent",
        two / 2.0,
        three - two
    );
    memory(50_000);
}
