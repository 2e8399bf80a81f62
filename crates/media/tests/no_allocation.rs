//! While talk goes on, nothing is allocated: not for relaying, not between the laws of G.711, not for other codecs.

mod common;

use std::alloc::{GlobalAlloc, Layout as Size, System};
use std::sync::atomic::{AtomicU64, Ordering};

use common::*;
use strowger_media::testkit::Peer;
use strowger_media_core::codec::Kind;

/// Allocations of threads whose name begins with `media-` and a digit: the shards.
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

/// True if nothing was allocated while they talked.
fn is_quiet(bench: &Bench, a: &Peer, b: &Peer) -> bool {
    let (at_a, at_b) = (bench.leg(0, a), bench.leg(1, b));
    bench.talk();
    a.say(600, at_a);
    b.say(1000, at_b);
    // A jitter buffer has seen as many packets as it may hold.
    b.wait_packets(40);
    a.wait_packets(5);
    assert!(
        BY_SHARDS.load(Ordering::Relaxed) > 0,
        "setting up a call allocates, or the counter does not count"
    );
    // A machine that was busy with something else hands over a burst, for which a buffer may grow once. What allocates
    // for each packet, or for one in thirty, does so in every window.
    let window = || {
        let before = BY_SHARDS.load(Ordering::Relaxed);
        b.wait_packets(30);
        BY_SHARDS.load(Ordering::Relaxed) - before
    };
    (0..5).any(|_| window() == 0)
}

#[test]
fn neither_relaying_nor_transcoding_allocates() {
    for (first, second) in [
        (Kind::Pcma, Kind::Pcma),
        (Kind::Pcma, Kind::Pcmu),
        (Kind::Opus, Kind::Opus),
        (Kind::Opus, Kind::Pcma),
        (Kind::G722, Kind::G729),
    ] {
        let bench = Bench::start();
        let (a, b) = (Peer::with_codec(first, 20), Peer::with_codec(second, 20));
        assert!(is_quiet(&bench, &a, &b), "{first:?} to {second:?}");
    }
}
