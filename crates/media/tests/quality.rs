//! How legs sound, and why one side hears nothing, on the wire.

mod common;

use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;

use common::*;
use strowger_media::testkit::Peer;
use strowger_media::testkit::web::Browser;
use strowger_media::*;
use strowger_media_core::g711::Law;
use strowger_media_core::rtcp::{self, ReportBlock};

/// An engine that looks at its legs often.
fn bench() -> Bench {
    Bench::with(|c| c.rtcp_interval = Duration::from_millis(400))
}

/// The first diagnosis of a leg.
fn cause(bench: &Bench, number: u16) -> OneWay {
    bench.events.wait("a diagnosis", |_, event| match event {
        Event::OneWay { leg, cause } if *leg == number => Some(*cause),
        _ => None,
    })
}

/// A talk of legs 0 and 1 in which leg 1 is in order; returns the address of leg 0.
fn talk(bench: &Bench, first: &Peer, second: &Peer) -> std::net::SocketAddr {
    let (at_first, at_second) = (bench.leg(0, first), bench.leg(1, second));
    bench.talk();
    second.say(1000, at_second);
    at_first
}

fn all_causes(bench: &Bench) -> Vec<(u16, OneWay)> {
    let told = bench.events.all();
    let told = told.iter().filter_map(|(_, event)| match event {
        Event::OneWay { leg, cause } => Some((*leg, *cause)),
        _ => None,
    });
    told.collect()
}

#[test]
fn a_party_that_sends_nothing() {
    let (bench, a, b) = (bench(), Peer::start(Law::A), Peer::start(Law::A));
    talk(&bench, &a, &b);
    assert_eq!(cause(&bench, 0), OneWay::NothingIn);
    assert_eq!(
        all_causes(&bench),
        [(0, OneWay::NothingIn)],
        "the other leg is in order"
    );
}

#[test]
fn a_party_whose_audio_comes_from_elsewhere() {
    let (bench, a, b) = (bench(), Peer::start(Law::A), Peer::start(Law::A));
    let at_a = talk(&bench, &a, &b);
    a.say(600, at_a);
    b.wait_hears(600);
    a.hush();
    let stranger = Peer::start(Law::A);
    stranger.say(700, at_a);
    assert_eq!(cause(&bench, 0), OneWay::WrongSource);
}

#[test]
fn a_party_with_another_codec_than_agreed() {
    let (bench, a, b) = (bench(), Peer::start(Law::Mu), Peer::start(Law::A));
    let at_a = talk(&bench, &b, &b);
    a.say(600, at_a);
    assert_eq!(cause(&bench, 0), OneWay::CodecMismatch);
}

#[test]
fn a_party_that_cannot_be_sent_anything() {
    let (bench, a) = (bench(), Peer::start(Law::A));
    bench.handle.open_leg(CALL, 0).unwrap();
    bench.command(Command::Configure {
        leg: 0,
        config: LegConfig {
            // A socket may not send there without asking for it.
            remote: "255.255.255.255:9".parse().unwrap(),
            recv: false,
            ..config(&a)
        },
    });
    bench.layout(vec![plays(0, tone(1, Cadence::sine(440, -10.0)))]);
    assert_eq!(cause(&bench, 0), OneWay::NothingOut);
}

#[test]
fn a_party_whose_microphone_is_off() {
    let (bench, a, b) = (bench(), Peer::start(Law::A), Peer::start(Law::A));
    let at_a = talk(&bench, &a, &b);
    // So quiet that every sample is zero.
    a.say_cadence(Cadence::sine(600, -120.0), at_a);
    assert_eq!(cause(&bench, 0), OneWay::Muted);
    // With sound in it both ways work, and a microphone that goes off again is told again.
    a.say(600, at_a);
    b.wait_hears(600);
    // An interval that began with it and had sound throughout.
    b.forget();
    b.wait_packets(45);
    a.say_cadence(Cadence::sine(600, -120.0), at_a);
    bench.events.wait_all("the same again", |told| {
        let again = |e: &Event| {
            matches!(
                e,
                Event::OneWay {
                    leg: 0,
                    cause: OneWay::Muted
                }
            )
        };
        (told.iter().filter(|(_, e)| again(e)).count() == 2).then_some(())
    });
}

#[test]
fn a_browser_without_a_path() {
    let (bench, page, b) = (bench(), Peer::start(Law::A), Peer::start(Law::A));
    let ours = bench.handle.open_webrtc(CALL, 0).unwrap();
    let browser = Browser::start(page.address());
    let agreed = browser.meet(&ours);
    // It is gone before it has found us.
    drop(browser);
    bench.command(Command::Configure {
        leg: 0,
        config: LegConfig {
            security: Security::WebRtc(Arc::new(agreed)),
            remote: "0.0.0.0:9".parse().unwrap(),
            ..config(&page)
        },
    });
    let at_b = bench.leg(1, &b);
    bench.talk();
    b.say(1000, at_b);
    assert_eq!(cause(&bench, 0), OneWay::IceFailed);
}

#[test]
fn hold_is_no_fault() {
    let (bench, a, b) = (bench(), Peer::start(Law::A), Peer::start(Law::A));
    talk(&bench, &a, &b);
    bench.command(Command::Configure {
        leg: 0,
        config: LegConfig {
            send: false,
            recv: false,
            ..config(&a)
        },
    });
    // Long enough for the other leg, which then hears nobody and sends nothing, to be found out.
    b.hush();
    assert_eq!(cause(&bench, 1), OneWay::NothingIn);
    assert_eq!(all_causes(&bench), [(1, OneWay::NothingIn)]);
}

/// What the far side reports is scored as what it hears, and everything ends up in the totals and the metrics.
#[test]
fn both_directions_are_scored() {
    let (bench, a, b) = (bench(), Peer::start(Law::A), Peer::start(Law::A));
    let at_a = talk(&bench, &a, &b);
    a.say(600, at_a);
    a.wait_packets(5);
    let ssrc = a.received()[0].header.ssrc;
    let reporter = UdpSocket::bind("127.0.0.1:0").unwrap();
    let block = ReportBlock {
        ssrc,
        fraction_lost: 51,
        cumulative_lost: 50,
        jitter: 80,
        ..ReportBlock::default()
    };
    let mut report = Vec::new();
    rtcp::build(&mut report, 1, None, Some(block), "far", false);
    let to = std::net::SocketAddr::new(at_a.ip(), at_a.port() + 1);
    let scored = |b: &Bench| {
        let quality = &b.handle.metrics().shards[0].quality;
        let count = |h: &HistogramMetrics| h.counts.iter().sum::<u64>();
        (count(&quality.inward.mos), count(&quality.outward.mos))
    };
    for packets in (40..).step_by(20) {
        reporter.send_to(&report, to).unwrap();
        a.wait_packets(packets);
        let (inward, outward) = scored(&bench);
        if inward >= 3 && outward >= 1 {
            break;
        }
    }
    let quality = bench.handle.metrics().shards[0].quality.clone();
    // Four fifths came: no more than the fifth class of G.109.
    let mos = &quality.outward.mos;
    let worst: u64 = mos.counts[..=mos.bounds.iter().position(|&b| b == 3.1).unwrap()]
        .iter()
        .sum();
    assert_eq!(worst, mos.counts.iter().sum::<u64>(), "{quality:?}");
    bench.command(Command::CloseCall);
    let stats = bench.events.wait("the end", |_, e| match e {
        Event::LegClosed { leg: 0, stats } => Some(stats.clone()),
        _ => None,
    });
    let (inward, outward) = (stats.mos_in.unwrap(), stats.mos_out.unwrap());
    assert!(inward.0 > outward.0 && outward.1 <= outward.0, "{stats:?}");
    assert_eq!(stats.lost_out, Some(50));
    assert!((stats.far_jitter_ms - 10.0).abs() < 0.1, "{stats:?}");
}
