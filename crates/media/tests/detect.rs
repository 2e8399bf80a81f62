//! Listening in on real streams: digits as tones, voices, answering machines, fax machines.

mod common;

use std::net::SocketAddr;

use common::*;
use strowger_media::testkit::Peer;
use strowger_media::*;
use strowger_media_core::codec::Kind;
use strowger_media_core::g711::Law;

/// A second call of the same engine, whose one leg is the far side of the first one's leg 0.
const FAR: CallKey = CallKey(8);

fn digits(bench: &Bench) -> String {
    let all = bench.events.all();
    let digits = all.iter().filter_map(|(call, e)| match e {
        Event::Dtmf { leg: 0, digit, .. } if *call == CALL => Some(*digit),
        _ => None,
    });
    digits.collect()
}

fn listen(bench: &Bench, listen: Listen) {
    bench.command(Command::Listen { leg: 0, listen });
}

/// Two calls whose legs are connected by their ports, without telephone events.
fn connected(bench: &Bench, kind: Kind) {
    let here = bench.handle.open_leg(CALL, 0).unwrap();
    let there = bench.handle.open_leg(FAR, 0).unwrap();
    let codec = Peer::with_codec(kind, 20).codec();
    let configure = |call, remote: SocketAddr| {
        let config = LegConfig {
            security: Default::default(),
            remote,
            codec: codec.clone(),
            dtmf: None,
            dtmf_clock: 0,
            ptime_ms: 20,
            send: true,
            recv: true,
        };
        let command = Command::Configure { leg: 0, config };
        bench.handle.command(call, command).unwrap();
    };
    configure(CALL, there);
    configure(FAR, here);
}

fn press(bench: &Bench, keys: &str) {
    let send = Command::SendDtmf {
        leg: 0,
        digits: keys.into(),
        duration_ms: 120,
    };
    bench.handle.command(FAR, send).unwrap();
}

// accept: voice-paas 54
#[test]
fn digits_in_the_sound_are_heard_through_every_codec_that_carries_them() {
    // G.729 is made for voices and carries none: its telephones send events.
    for kind in [Kind::Pcma, Kind::Pcmu, Kind::G722, Kind::Opus] {
        let bench = Bench::start();
        connected(&bench, kind);
        let wanted = Listen {
            digits: true,
            ..Listen::default()
        };
        listen(&bench, wanted);
        press(&bench, "15900#*D");
        bench.events.wait("the last digit", |call, e| {
            (call == CALL && matches!(e, Event::Dtmf { digit: 'D', .. })).then_some(())
        });
        assert_eq!(digits(&bench), "15900#*D", "{kind:?}");
    }
}

#[test]
fn nothing_is_heard_of_a_leg_that_nobody_listens_to() {
    let bench = Bench::start();
    connected(&bench, Kind::Pcma);
    let wanted = Listen {
        digits: true,
        ..Listen::default()
    };
    listen(&bench, wanted.clone());
    press(&bench, "1");
    bench.events.wait("the digit", |call, e| {
        (call == CALL && matches!(e, Event::Dtmf { digit: '1', .. })).then_some(())
    });
    bench.events.wait("it is over", |call, e| {
        (call == FAR && matches!(e, Event::DtmfSent { .. })).then_some(())
    });
    listen(&bench, Listen::default());
    press(&bench, "2");
    bench.events.wait_all("both were sent", |all| {
        let sent = all
            .iter()
            .filter(|(call, e)| *call == FAR && matches!(e, Event::DtmfSent { .. }));
        (sent.count() == 2).then_some(())
    });
    listen(&bench, wanted);
    press(&bench, "3");
    bench.events.wait("the digit", |call, e| {
        (call == CALL && matches!(e, Event::Dtmf { digit: '3', .. })).then_some(())
    });
    assert_eq!(digits(&bench), "13");
}

// accept: voice-paas 55
#[test]
fn a_press_as_event_and_as_tone_counts_once() {
    let bench = Bench::start();
    // A far side that sends the tone first and the events after it, as gateways do that notice a digit late.
    let a = Peer::start(Law::A);
    let at_a = bench.leg(0, &a);
    listen(
        &bench,
        Listen {
            digits: true,
            ..Listen::default()
        },
    );
    a.say_cadence(Cadence::once(80, [770, 1336], 5000, -10.0), at_a);
    bench.events.wait("the tone", |_, e| {
        matches!(e, Event::Dtmf { leg: 0, digit: '5', .. }).then_some(())
    });
    a.press("57", 200, at_a);
    bench.events.wait("the next digit", |_, e| {
        matches!(e, Event::Dtmf { leg: 0, digit: '7', .. }).then_some(())
    });
    assert_eq!(digits(&bench), "57");
}

#[test]
fn a_press_by_signalling_reaches_who_hears_the_leg_once() {
    let bench = Bench::start();
    let (a, b) = (Peer::start(Law::A), Peer::start(Law::A));
    let (at_a, _) = (bench.leg(0, &a), bench.leg(1, &b));
    bench.talk();
    a.say(600, at_a);
    b.wait_hears(600);
    for digit in ['4', '4'] {
        bench.command(Command::Pressed {
            leg: 0,
            digit,
            duration_ms: 100,
        });
    }
    bench
        .events
        .wait("sent", |_, e| matches!(e, Event::DtmfSent { leg: 1 }).then_some(()));
    let received = b.received();
    let events = received
        .iter()
        .filter(|r| r.header.payload_type == testkit::EVENTS_TYPE);
    let begun = events.filter(|r| r.header.marker).count();
    assert_eq!(begun, 2, "two presses of one key");
    b.forget();
    b.wait_hears(600);
}

#[test]
fn voice_machine_and_fax_are_told() {
    let bench = Bench::start();
    let a = Peer::start(Law::A);
    let at_a = bench.leg(0, &a);
    listen(
        &bench,
        Listen {
            voice: true,
            machine: Some(MachineSettings {
                initial_silence: 60_000,
                ..MachineSettings::default()
            }),
            ..Listen::default()
        },
    );
    // "Hello?", and silence.
    a.say_cadence(Cadence::once(500, [310, 640], 60_000, -18.0), at_a);
    let verdict = bench.events.wait("a verdict", |_, e| match e {
        Event::Answered { leg: 0, verdict } => Some(*verdict),
        _ => None,
    });
    assert_eq!(
        (verdict.who, verdict.reason),
        (Who::Human, VerdictReason::ShortGreeting)
    );
    assert!(verdict.confidence > 60);
    let talking: Vec<bool> = bench
        .events
        .all()
        .iter()
        .filter_map(|(_, e)| match e {
            Event::Voice { leg: 0, talking } => Some(*talking),
            _ => None,
        })
        .collect();
    assert_eq!(talking, [true, false]);
    listen(
        &bench,
        Listen {
            fax: true,
            ..Listen::default()
        },
    );
    a.say_cadence(Cadence::once(3000, [2100, 0], 0, -20.0), at_a);
    let tone = bench.events.wait("a fax", |_, e| match e {
        Event::Fax { leg: 0, tone } => Some(*tone),
        _ => None,
    });
    assert_eq!(tone, FaxTone::Answering);
}
