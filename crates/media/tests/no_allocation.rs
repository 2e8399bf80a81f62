//! Relaying allocates nothing: not for copies, not for transcoding, not while talk goes on.

mod common;

use std::alloc::{GlobalAlloc, Layout as Size, System};
use std::sync::atomic::{AtomicU64, Ordering};

use common::*;
use strowger_media::testkit::Peer;
use strowger_media_core::g711::Law;

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

#[test]
fn the_relay_path_does_not_allocate() {
    for second in [Law::A, Law::Mu] {
        let bench = Bench::start();
        let (a, b) = (Peer::start(Law::A), Peer::start(second));
        let (at_a, at_b) = (bench.leg(0, &a), bench.leg(1, &b));
        bench.talk();
        a.say(600, at_a);
        b.say(1000, at_b);
        b.wait_packets(5);
        a.wait_packets(5);
        let before = BY_SHARDS.load(Ordering::Relaxed);
        assert!(before > 0, "setting up a call allocates, or the counter does not count");
        b.wait_packets(30);
        assert_eq!(BY_SHARDS.load(Ordering::Relaxed) - before, 0, "towards {second:?}");
    }
}
