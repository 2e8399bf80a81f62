//! Parties with different codecs hear each other, press digits for each other, and are relayed untouched where they can be.

mod common;

use common::*;
use strowger_media::testkit::{EVENTS_TYPE, Peer};
use strowger_media::*;
use strowger_media_core::codec::Kind;
use strowger_media_core::dtmf_tone;
use strowger_media_core::g711::Law;

#[test]
fn every_two_codecs_hear_each_other() {
    for (first, second) in [
        (Kind::Opus, Kind::Pcma),
        (Kind::Opus, Kind::G722),
        (Kind::G722, Kind::Pcmu),
        (Kind::G729, Kind::Opus),
        (Kind::G729, Kind::Pcmu),
        (Kind::G722, Kind::G722),
    ] {
        let bench = Bench::start();
        let (a, b) = (Peer::with_codec(first, 20), Peer::with_codec(second, 20));
        let (at_a, at_b) = (bench.leg(0, &a), bench.leg(1, &b));
        bench.talk();
        a.say(600, at_a);
        b.say(1000, at_b);
        a.wait_hears_only(&[1000], &[600]);
        b.wait_hears_only(&[600], &[1000]);
        for (peer, hz) in [(&a, 1000u16), (&b, 600)] {
            peer.forget();
            peer.wait_packets(25);
            let level = peer.level(hz);
            assert!(
                (level + 10.0).abs() < 2.5,
                "{first:?} and {second:?}: {hz} Hz at {level} dBFS"
            );
        }
    }
}

#[test]
fn two_parties_of_one_codec_are_relayed_whatever_the_packet_time() {
    for kind in [Kind::Opus, Kind::G722, Kind::G729] {
        let bench = Bench::start();
        let (a, b) = (Peer::with_codec(kind, 60), Peer::with_codec(kind, 20));
        let at_a = bench.leg(0, &a);
        let at_b = bench.leg(1, &b);
        bench.talk();
        a.say(600, at_a);
        b.say(1000, at_b);
        a.wait_hears(1000);
        b.wait_hears(600);
        // Decoded and encoded again, they would come in packets of 20 ms.
        assert!(b.received().iter().all(|r| r.samples.len() == 480), "{kind:?}");
    }
}

#[test]
fn packets_have_the_length_that_was_asked_for() {
    for kind in [Kind::Opus, Kind::Pcma, Kind::G729] {
        for ptime_ms in [10, 20, 30, 40, 60] {
            let bench = Bench::start();
            let a = Peer::with_codec(kind, 20);
            bench.handle.open_leg(CALL, 0).unwrap();
            bench.command(Command::Configure {
                leg: 0,
                config: LegConfig { ptime_ms, ..config(&a) },
            });
            bench.layout(vec![plays(0, tone(1, Cadence::sine(440, -10.0)))]);
            a.wait_hears_only(&[440], &[]);
            let samples = usize::from(kind.packet_ms(ptime_ms)) * 8;
            let received = a.received();
            assert!(
                received.iter().all(|r| r.samples.len() == samples),
                "{kind:?} {ptime_ms} ms"
            );
            for pair in received.windows(2) {
                let step = pair[1].header.timestamp.wrapping_sub(pair[0].header.timestamp);
                assert_eq!(step, samples as u32 * kind.units_per_sample(), "{kind:?} {ptime_ms} ms");
            }
        }
    }
}

#[test]
fn a_conference_of_four_codecs() {
    let bench = Bench::start();
    let kinds = [Kind::Opus, Kind::G722, Kind::Pcma, Kind::Opus];
    let tones = [500u16, 900, 1400, 2000];
    let peers: Vec<Peer> = kinds.iter().map(|&k| Peer::with_codec(k, 20)).collect();
    for (leg, peer) in peers.iter().enumerate() {
        let address = bench.leg(leg as u16, peer);
        peer.say(tones[leg], address);
    }
    let others = |leg: u16| (0..4).filter(|&l| l != leg).collect::<Vec<u16>>();
    bench.layout((0..4).map(|leg| hears(leg, &others(leg))).collect());
    for (leg, peer) in peers.iter().enumerate() {
        let present: Vec<u16> = others(leg as u16).iter().map(|&l| tones[usize::from(l)]).collect();
        peer.wait("the three others", |r| {
            present.iter().all(|&hz| level_of_last(r, hz) > -25.0) && level_of_last(r, tones[leg]) < -33.0
        });
    }
}

fn level_of_last(received: &[testkit::Received], hz: u16) -> f32 {
    let last = &received[received.len().saturating_sub(10)..];
    let samples: Vec<i16> = last.iter().flat_map(|r| r.samples.iter().copied()).collect();
    strowger_media_core::probe::level(&samples, f32::from(hz))
}

#[test]
fn a_prompt_is_heard_by_an_opus_leg_and_recorded_from_it() {
    let bench = Bench::start();
    let a = Peer::with_codec(Kind::Opus, 20);
    let at_a = bench.leg(0, &a);
    a.say(600, at_a);
    bench.command(Command::Record(RecordSpec {
        id: 1,
        stem: "opus".into(),
        left: 0,
        ..RecordSpec::default()
    }));
    bench.layout(vec![plays(
        0,
        Play {
            recorded: true,
            ..sound(1, 1000, 800)
        },
    )]);
    a.wait_hears(1000);
    bench.events.wait("play finished", |_, e| {
        matches!(e, Event::PlayFinished { leg: 0, id: 1 }).then_some(())
    });
    bench.command(Command::StopRecord);
    let path = bench.events.wait("recorded", |_, e| match e {
        Event::RecordingFinished { path, error: None, .. } => Some(path.clone()),
        _ => None,
    });
    let (left, right) = strowger_media_core::wav::read_stereo(&std::fs::read(path).unwrap()).unwrap();
    let loudest = |channel: &[i16], hz| {
        let levels = channel.chunks(800).map(|w| strowger_media_core::probe::level(w, hz));
        levels.fold(f32::MIN, f32::max)
    };
    assert!(loudest(&left, 600.0) > -13.0 && loudest(&right, 1000.0) > -12.0);
}

// accept: voice-paas 131
#[test]
fn digits_pass_between_clocks_and_as_tones_to_those_without_events() {
    let bench = Bench::start();
    let (a, b) = (Peer::with_codec(Kind::Opus, 20), Peer::start(Law::A));
    let (at_a, _) = (bench.leg(0, &a), bench.leg(1, &b));
    bench.talk();
    a.press("5", 200, at_a);
    let duration = bench.events.wait("the digit", |_, e| match e {
        Event::Dtmf {
            leg: 0,
            digit: '5',
            duration_ms,
        } => Some(*duration_ms),
        _ => None,
    });
    assert_eq!(duration, 200, "counted with 48 kHz");
    b.wait("the end of the event", |r| {
        r.iter()
            .any(|r| r.header.payload_type == EVENTS_TYPE && r.payload[1] & 0x80 != 0)
    });
    let received = b.received();
    let end = received.iter().rfind(|r| r.header.payload_type == EVENTS_TYPE).unwrap();
    let units = u16::from_be_bytes([end.payload[2], end.payload[3]]);
    assert_eq!((end.payload[0], units), (5, 1600), "counted with 8 kHz");
    // Now the far side has no events.
    bench.command(Command::Configure {
        leg: 1,
        config: LegConfig {
            dtmf: None,
            ..config(&b)
        },
    });
    a.press("8", 200, at_a);
    let [low, high] = dtmf_tone::frequencies('8').unwrap();
    b.wait("the tone of 8", |r| {
        let last = &r[r.len().saturating_sub(6)..];
        let samples: Vec<i16> = last.iter().flat_map(|r| r.samples.iter().copied()).collect();
        [low, high]
            .iter()
            .all(|&hz| strowger_media_core::probe::level(&samples, f32::from(hz)) > -16.0)
    });
}

#[test]
fn a_leg_that_changes_its_codec_in_talk_is_heard_on() {
    let bench = Bench::start();
    let (a, b) = (Peer::start(Law::A), Peer::start(Law::A));
    let (at_a, at_b) = (bench.leg(0, &a), bench.leg(1, &b));
    bench.talk();
    a.say(600, at_a);
    b.say(1000, at_b);
    b.wait_hears(600);
    // A re-INVITE: the same leg, now with Opus, from another phone.
    let c = Peer::with_codec(Kind::Opus, 20);
    a.hush();
    bench.command(Command::Configure {
        leg: 0,
        config: config(&c),
    });
    c.say(1600, at_a);
    b.wait_hears_only(&[1600], &[600]);
    c.wait_hears(1000);
}
