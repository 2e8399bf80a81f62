//! Listening in: what each leg says comes out of the tap, whoever hears whom, and nobody else notices.

mod common;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use common::*;
use strowger_media::testkit::{PATIENCE, Peer};
use strowger_media::*;
use strowger_media_core::g711::Law;
use strowger_media_core::probe;

/// Everything that the tap gave, by leg, until a leg has so many samples.
fn listen(reader: &TapReader, leg: u16, samples: usize) -> BTreeMap<u16, Vec<i16>> {
    let mut heard: BTreeMap<u16, Vec<i16>> = BTreeMap::new();
    let end = Instant::now() + PATIENCE;
    while heard.get(&leg).is_none_or(|s| s.len() < samples) {
        assert!(Instant::now() < end, "the tap of leg {leg} is dry");
        assert!(reader.drain(|f| heard.entry(f.leg).or_default().extend(f.samples)));
        std::thread::park_timeout(Duration::from_millis(5));
    }
    heard
}

fn level(samples: &[i16], hz: f32) -> f32 {
    probe::level(&samples[samples.len() - 1600..], hz)
}

#[test]
fn each_leg_is_heard_by_itself_while_packets_are_relayed_as_before() {
    let bench = Bench::start();
    let (a, b) = (Peer::start(Law::A), Peer::start(Law::A));
    let (at_a, at_b) = (bench.leg(0, &a), bench.leg(1, &b));
    bench.layout(vec![hears(0, &[1]), hears(1, &[0])]);
    a.say(700, at_a);
    b.say(1100, at_b);
    b.wait_hears(700);
    let (sender, reader) = tap(500);
    bench.command(Command::Tap(sender));
    let heard = listen(&reader, 1, 6400);
    assert!(level(&heard[&0], 700.0) > -15.0 && level(&heard[&0], 1100.0) < -40.0);
    assert!(level(&heard[&1], 1100.0) > -15.0 && level(&heard[&1], 700.0) < -40.0);
    // Relayed packets keep what the sender wrote; a mixed leg would get frames of our own.
    b.forget();
    b.wait_packets(25);
    assert!(b.level(700) > -15.0);
    // The reader's end is the tap's end, and the call goes on.
    drop(reader);
    b.forget();
    b.wait_packets(10);
    // A second tap takes the place of the first.
    let (sender, first) = tap(500);
    bench.command(Command::Tap(sender));
    listen(&first, 0, 320);
    let (sender, second) = tap(500);
    bench.command(Command::Tap(sender));
    listen(&second, 0, 320);
    let end = Instant::now() + PATIENCE;
    while first.drain(|_| {}) {
        assert!(Instant::now() < end, "the first tap goes on");
        std::thread::park_timeout(Duration::from_millis(5));
    }
    bench.command(Command::CloseCall);
    while second.drain(|_| {}) {
        assert!(Instant::now() < end + PATIENCE, "the tap outlives its call");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

#[test]
fn a_listener_that_is_too_slow_loses_frames_and_can_count_them() {
    let bench = Bench::start();
    let a = Peer::start(Law::Mu);
    let at_a = bench.leg(0, &a);
    a.say(700, at_a);
    let (sender, reader) = tap(5);
    bench.command(Command::Tap(sender));
    // Its ring has room for five; half a second brings twenty-five.
    let first = listen(&reader, 0, 160);
    assert!(!first.is_empty());
    std::thread::park_timeout(Duration::from_millis(600));
    let mut indices = Vec::new();
    let end = Instant::now() + PATIENCE;
    while indices.len() < 12 {
        assert!(Instant::now() < end, "the tap is dry");
        reader.drain(|f| indices.push(f.index));
        std::thread::park_timeout(Duration::from_millis(5));
    }
    let missing = indices.windows(2).map(|w| w[1] - w[0] - 1).sum::<u64>();
    assert!(missing >= 10, "{indices:?}");
    assert!(indices.windows(2).all(|w| w[1] > w[0]), "{indices:?}");
}
