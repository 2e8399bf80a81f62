//! Two parties through real sockets: relay, transcoding, digits, latching, inactivity, ports.

mod common;

use std::net::UdpSocket;
use std::time::Duration;

use common::*;
use strowger_media::testkit::{Peer, audio};
use strowger_media::*;
use strowger_media_core::g711::Law;
use strowger_media_core::probe;
use strowger_media_core::rtp::Header;

#[test]
fn two_parties_hear_each_other_over_a_to_mu_and_back() {
    for (first, second) in [(Law::A, Law::A), (Law::A, Law::Mu)] {
        let bench = Bench::start();
        let (a, b) = (Peer::start(first), Peer::start(second));
        let (at_a, at_b) = (bench.leg(0, &a), bench.leg(1, &b));
        bench.talk();
        a.say(600, at_a);
        b.say(1000, at_b);
        a.wait_hears_only(&[1000], &[600]);
        b.wait_hears_only(&[600], &[1000]);
        let last = b.received().last().unwrap().clone();
        assert_eq!(last.header.payload_type, if second == Law::A { 8 } else { 0 });
        assert_eq!(last.from, at_b, "packets come from the port of the SDP");
        bench.command(Command::CloseCall);
        for leg in [0, 1] {
            let stats = bench.events.wait("closed", |_, e| match e {
                Event::LegClosed { leg: l, stats } if *l == leg => Some(stats.clone()),
                _ => None,
            });
            assert!(
                stats.packets_in > 5 && stats.packets_out > 5 && stats.lost_in == 0,
                "{stats:?}"
            );
            assert!(stats.first_packet.is_some() && stats.last_packet >= stats.first_packet);
        }
    }
}

#[test]
fn a_leg_that_nobody_hears_is_sent_nothing() {
    let bench = Bench::start();
    let (a, b) = (Peer::start(Law::A), Peer::start(Law::A));
    let (at_a, at_b) = (bench.leg(0, &a), bench.leg(1, &b));
    bench.layout(vec![hears(1, &[0])]);
    a.say(600, at_a);
    b.say(1000, at_b);
    b.wait_hears(600);
    assert!(a.received().is_empty());
}

#[test]
fn losses_of_the_source_are_counted_and_stay_visible() {
    let bench = Bench::start();
    let (a, b) = (Peer::start(Law::A), Peer::start(Law::A));
    let (at_a, _) = (bench.leg(0, &a), bench.leg(1, &b));
    bench.talk();
    a.lose_every(5);
    a.say(600, at_a);
    b.wait_packets(30);
    let received = b.received();
    let gaps = received
        .windows(2)
        .filter(|w| w[1].header.sequence == w[0].header.sequence.wrapping_add(2))
        .count();
    assert!((5..=9).contains(&gaps), "{gaps}");
    bench.command(Command::CloseLeg { leg: 0 });
    let stats = bench.events.wait("closed", |_, e| match e {
        Event::LegClosed { leg: 0, stats } => Some(stats.clone()),
        _ => None,
    });
    assert!(stats.lost_in >= 5, "{stats:?}");
}

#[test]
fn digits_are_relayed_with_the_receivers_type_and_reported_once() {
    let bench = Bench::start();
    let (a, b) = (Peer::start(Law::A), Peer::start(Law::A));
    let (at_a, _) = (bench.leg(0, &a), bench.leg(1, &b));
    let mut other = config(&b);
    other.dtmf = Some((96, 97));
    bench.command(Command::Configure { leg: 1, config: other });
    bench.talk();
    a.say(600, at_a);
    b.wait_packets(3);
    a.press("5", 600, at_a);
    a.press("#", 100, at_a);
    bench.events.wait("#", |_, e| {
        matches!(e, Event::Dtmf { leg: 0, digit: '#', .. }).then_some(())
    });
    b.wait_packets(20);
    let presses: Vec<(char, u32)> = bench
        .events
        .all()
        .iter()
        .filter_map(|(_, e)| match e {
            Event::Dtmf {
                leg: 0,
                digit,
                duration_ms,
            } => Some((*digit, *duration_ms)),
            _ => None,
        })
        .collect();
    assert_eq!(presses, [('5', 600), ('#', 100)]);
    let received = b.received();
    let events: Vec<_> = received.iter().filter(|r| r.header.payload_type == 96).collect();
    assert_eq!(events.len(), 30 + 2 + 5 + 2);
    let starts: Vec<_> = events.iter().filter(|r| r.header.marker).collect();
    assert_eq!(starts.len(), 2);
    assert!(
        events[..32]
            .iter()
            .all(|e| e.header.timestamp == starts[0].header.timestamp)
    );
    assert!(
        received
            .windows(2)
            .all(|w| w[1].header.sequence == w[0].header.sequence.wrapping_add(1))
    );
}

#[test]
fn digits_we_send_replace_the_audio_and_it_comes_back() {
    let bench = Bench::start();
    let (a, b) = (Peer::start(Law::A), Peer::start(Law::A));
    let (at_a, _) = (bench.leg(0, &a), bench.leg(1, &b));
    bench.talk();
    a.say(600, at_a);
    b.wait_hears(600);
    bench.command(Command::SendDtmf {
        leg: 1,
        digits: "12".into(),
        duration_ms: 80,
    });
    bench
        .events
        .wait("sent", |_, e| matches!(e, Event::DtmfSent { leg: 1 }).then_some(()));
    b.forget();
    b.wait_hears(600);
    bench.command(Command::Configure {
        leg: 1,
        config: LegConfig {
            dtmf: None,
            ..config(&b)
        },
    });
    bench.command(Command::SendDtmf {
        leg: 1,
        digits: "3".into(),
        duration_ms: 80,
    });
    // Without events the digit is a tone in the sound; where there is no sound of ours, it fails.
    b.wait("both frequencies of 3", |r| {
        let span = audio(&r[r.len().saturating_sub(4)..], Law::A);
        [697.0, 1477.0].iter().all(|&hz| probe::level(&span, hz) > -16.0)
    });
    bench.command(Command::Configure {
        leg: 1,
        config: LegConfig {
            dtmf: None,
            codec: Codec {
                kind: CodecKind::Opaque {
                    name: "amr".into(),
                    clock: 8000,
                },
                ..Codec::pcma()
            },
            ..config(&b)
        },
    });
    bench.command(Command::SendDtmf {
        leg: 1,
        digits: "4".into(),
        duration_ms: 80,
    });
    bench
        .events
        .wait("failed", |_, e| matches!(e, Event::DtmfFailed { leg: 1 }).then_some(()));
}

#[test]
fn digits_we_send_are_complete_events() {
    let bench = Bench::start();
    let b = Peer::start(Law::A);
    bench.leg(1, &b);
    bench.command(Command::SendDtmf {
        leg: 1,
        digits: "9".into(),
        duration_ms: 100,
    });
    bench
        .events
        .wait("sent", |_, e| matches!(e, Event::DtmfSent { leg: 1 }).then_some(()));
    b.wait("seven event packets", |r| r.len() == 7);
    let events = b.received();
    assert!(events[0].header.marker && events[1..].iter().all(|e| !e.header.marker));
    assert!(
        events
            .iter()
            .all(|e| e.header.timestamp == events[0].header.timestamp && e.payload[0] == 9)
    );
    let ends = events.iter().filter(|e| e.payload[1] & 0x80 != 0).count();
    assert_eq!(
        (ends, u16::from_be_bytes([events[6].payload[2], events[6].payload[3]])),
        (3, 800)
    );
}

#[test]
fn a_stranger_is_not_heard_and_draws_no_packets_to_itself() {
    let bench = Bench::start();
    let (a, b) = (Peer::start(Law::A), Peer::start(Law::A));
    let (at_a, at_b) = (bench.leg(0, &a), bench.leg(1, &b));
    bench.talk();
    a.say(600, at_a);
    b.say(1000, at_b);
    b.wait_hears(600);
    let stranger = Peer::start(Law::A);
    stranger.say(2000, at_a);
    b.forget();
    b.wait_packets(20);
    assert!(b.level(2000) < -40.0 && b.level(600) > -15.0);
    assert!(stranger.received().is_empty());
    bench.command(Command::CloseLeg { leg: 0 });
    let discarded = bench.events.wait("closed", |_, e| match e {
        Event::LegClosed { leg: 0, stats } => Some(stats.discarded_source),
        _ => None,
    });
    assert!(discarded >= 5, "{discarded}");
}

#[test]
fn a_peer_behind_nat_is_answered_where_it_sends_from() {
    let bench = Bench::start();
    let (a, b) = (Peer::start(Law::A), Peer::start(Law::A));
    let (at_a, at_b) = (bench.leg(0, &a), bench.leg(1, &b));
    // The address in the SDP is one that nothing ever comes from.
    let private = LegConfig {
        remote: "127.0.0.1:9".parse().unwrap(),
        ..config(&a)
    };
    bench.command(Command::Configure {
        leg: 0,
        config: private,
    });
    bench.talk();
    a.say(600, at_a);
    b.say(1000, at_b);
    a.wait_hears(1000);
    b.wait_hears(600);
}

#[test]
fn media_moves_after_a_reinvite() {
    let bench = Bench::start();
    let (a, b, moved) = (Peer::start(Law::A), Peer::start(Law::A), Peer::start(Law::Mu));
    let (at_a, at_b) = (bench.leg(0, &a), bench.leg(1, &b));
    bench.talk();
    a.say(600, at_a);
    b.say(1000, at_b);
    b.wait_hears(600);
    bench.command(Command::Configure {
        leg: 0,
        config: config(&moved),
    });
    a.hush();
    moved.say(1500, at_a);
    b.wait_hears_only(&[1500], &[600]);
    moved.wait_hears(1000);
}

#[test]
fn an_opaque_codec_is_relayed_untouched() {
    let bench = Bench::start();
    let (a, b) = (
        UdpSocket::bind("127.0.0.1:0").unwrap(),
        UdpSocket::bind("127.0.0.1:0").unwrap(),
    );
    let opaque = |socket: &UdpSocket, payload_type, name: &str| LegConfig {
        security: Default::default(),
        remote: socket.local_addr().unwrap(),
        codec: Codec {
            payload_type_send: payload_type,
            payload_type_recv: payload_type,
            kind: CodecKind::Opaque {
                name: name.into(),
                clock: 48_000,
            },
        },
        dtmf: None,
        dtmf_clock: 0,
        ptime_ms: 20,
        send: true,
        recv: true,
    };
    let at_a = bench.handle.open_leg(CALL, 0).unwrap();
    bench.handle.open_leg(CALL, 1).unwrap();
    bench.command(Command::Configure {
        leg: 0,
        config: opaque(&a, 111, "opus/48000/2"),
    });
    bench.command(Command::Configure {
        leg: 1,
        config: opaque(&b, 96, "OPUS/48000/2"),
    });
    bench.talk();
    // Configuration and layout are in the queue before the packet can arrive at an unconfigured leg.
    let play = sound(3, 440, 100);
    bench.layout(vec![
        hears(0, &[1]),
        LegLayout {
            play: Some(play),
            ..hears(1, &[0])
        },
    ]);
    bench.events.wait("failed", |_, e| {
        matches!(e, Event::PlayFailed { leg: 1, id: 3 }).then_some(())
    });
    b.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    for i in 0..3u16 {
        let header = Header {
            marker: i == 0,
            payload_type: 111,
            sequence: i,
            timestamp: u32::from(i) * 960,
            ssrc: 5,
        };
        let packet = [&header.to_bytes()[..], b"any payload"].concat();
        a.send_to(&packet, at_a).unwrap();
        let mut buffer = [0; 64];
        let length = b.recv(&mut buffer).unwrap();
        assert_eq!((buffer[1] & 0x7F, &buffer[12..length]), (96, &b"any payload"[..]));
    }
}

#[test]
fn inactivity_is_reported_once() {
    let bench = Bench::with(|c| c.inactivity = Duration::from_millis(300));
    let (a, b) = (Peer::start(Law::A), Peer::start(Law::A));
    let (at_a, _) = (bench.leg(0, &a), bench.leg(1, &b));
    bench.talk();
    a.say(600, at_a);
    bench
        .events
        .wait("inactive", |_, e| matches!(e, Event::Inactive { leg: 1 }).then_some(()));
    b.wait_packets(40);
    let inactive = bench
        .events
        .all()
        .iter()
        .filter(|(_, e)| matches!(e, Event::Inactive { .. }))
        .count();
    assert_eq!(inactive, 1, "leg 0 talks, and leg 1 is reported once");
    a.hush();
    bench
        .events
        .wait("inactive", |_, e| matches!(e, Event::Inactive { leg: 0 }).then_some(()));
}

#[test]
fn a_held_leg_is_not_reported_as_inactive_and_not_heard() {
    let bench = Bench::with(|c| c.inactivity = Duration::from_millis(300));
    let (a, b) = (Peer::start(Law::A), Peer::start(Law::A));
    let (at_a, at_b) = (bench.leg(0, &a), bench.leg(1, &b));
    bench.talk();
    a.say(600, at_a);
    b.say(1000, at_b);
    a.wait_hears(1000);
    bench.command(Command::Configure {
        leg: 0,
        config: LegConfig {
            send: false,
            recv: false,
            ..config(&a)
        },
    });
    bench.events.wait("inactive", |_, e| {
        matches!(e, Event::FirstPacket { leg: 1 }).then_some(())
    });
    a.hush();
    // Leg 1 goes silent as well; when it is reported, leg 0 has been silent for as long.
    b.hush();
    bench
        .events
        .wait("inactive", |_, e| matches!(e, Event::Inactive { leg: 1 }).then_some(()));
    assert!(
        !bench
            .events
            .all()
            .iter()
            .any(|(_, e)| matches!(e, Event::Inactive { leg: 0 }))
    );
    bench.command(Command::Configure {
        leg: 0,
        config: config(&a),
    });
    a.say(600, at_a);
    b.forget();
    b.wait_hears(600);
}

#[test]
fn ports_run_out_with_an_error_and_come_back() {
    let bench = Bench::with(|c| {
        c.webrtc = false;
        c.ports = *c.ports.start()..=c.ports.start() + 3;
        c.quarantine = Duration::from_millis(1);
    });
    let first = bench.handle.open_leg(CALL, 0).unwrap();
    bench.handle.open_leg(CALL, 1).unwrap();
    let error = bench.handle.open_leg(CALL, 2).unwrap_err();
    assert_eq!((error.code(), error.retryable()), ("media_ports_exhausted", true));
    assert_eq!(bench.handle.metrics().pairs_used, 2);
    bench.command(Command::CloseLeg { leg: 0 });
    bench.events.wait("closed", |_, e| {
        matches!(e, Event::LegClosed { leg: 0, .. }).then_some(())
    });
    let deadline = std::time::Instant::now() + Duration::from_secs(5);
    let again = loop {
        match bench.handle.open_leg(CALL, 2) {
            Ok(address) => break address,
            Err(_) if std::time::Instant::now() < deadline => std::thread::yield_now(),
            Err(e) => panic!("{e}"),
        }
    };
    assert_eq!(again, first);
}

#[test]
fn reports_carry_the_round_trip_both_ways() {
    let bench = Bench::with(|c| c.rtcp_interval = Duration::from_millis(200));
    // Two legs of the engine are each other's far side: two port pairs with RTCP on both.
    let a = Peer::start(Law::A);
    let at_source = bench.leg(0, &a);
    let (x, y) = (
        bench.handle.open_leg(CALL, 1).unwrap(),
        bench.handle.open_leg(CALL, 2).unwrap(),
    );
    for (leg, remote) in [(1, y), (2, x)] {
        bench.command(Command::Configure {
            leg,
            config: LegConfig { remote, ..config(&a) },
        });
    }
    bench.layout(vec![hears(1, &[0]), hears(2, &[0])]);
    a.say(600, at_source);
    // A third party hears the same; a second of its packets is five report intervals.
    let clock = Peer::start(Law::A);
    bench.leg(3, &clock);
    bench.layout(vec![hears(1, &[0]), hears(2, &[0]), hears(3, &[0])]);
    clock.wait_packets(50);
    bench.command(Command::CloseLeg { leg: 1 });
    let stats = bench.events.wait("closed", |_, e| match e {
        Event::LegClosed { leg: 1, stats } => Some(stats.clone()),
        _ => None,
    });
    assert!(
        stats.round_trip.is_some_and(|t| t < Duration::from_millis(500)),
        "{stats:?}"
    );
    assert_eq!(stats.lost_out, Some(0));
}

/// Digits reach a party in the way that it wants them, and in no other.
#[test]
fn digits_are_sent_as_the_receiver_wants_them() {
    for by in [DigitsBy::Auto, DigitsBy::Events, DigitsBy::Signalling, DigitsBy::Tones] {
        let bench = Bench::start();
        let (a, b) = (Peer::start(Law::A), Peer::start(Law::A));
        let (at_a, _) = (bench.leg(0, &a), bench.leg(1, &b));
        bench.command(Command::DigitsBy { leg: 1, by });
        bench.talk();
        a.say(600, at_a);
        b.wait_packets(3);
        a.press("5", 200, at_a);
        let events = |r: &[strowger_media::testkit::Received]| r.iter().any(|r| r.header.payload_type == 101);
        match by {
            DigitsBy::Auto | DigitsBy::Events => b.wait("an event", events),
            DigitsBy::Signalling => {
                let digit = bench.events.wait("a digit to send", |_, e| match e {
                    Event::DigitToSignal { leg: 1, digit, .. } => Some(*digit),
                    _ => None,
                });
                assert_eq!(digit, '5');
            }
            // The lower and the upper frequency of the key.
            DigitsBy::Tones => {
                b.wait_hears(770);
                b.wait_hears(1336);
            }
        }
        if matches!(by, DigitsBy::Signalling | DigitsBy::Tones) {
            assert!(!events(&b.received()), "{by:?}");
        }
    }
}
