//! Prompts, tones, mixing, announcements and recording: who hears what, measured.

mod common;

use std::time::{Duration, Instant};

use common::*;
use strowger_media::testkit::{Peer, Received, audio};
use strowger_media::*;
use strowger_media_core::g711::Law;
use strowger_media_core::{probe, wav};

fn finished(bench: &Bench, leg: u16, id: u32) {
    bench.events.wait("play finished", |_, e| {
        matches!(e, Event::PlayFinished { leg: l, id: i } if (*l, *i) == (leg, id)).then_some(())
    });
}

/// Whether nothing was reported as finished for this leg.
fn unfinished(bench: &Bench, leg: u16) -> bool {
    !bench
        .events
        .all()
        .iter()
        .any(|(_, e)| matches!(e, Event::PlayFinished { leg: l, .. } if *l == leg))
}

/// One stream as a receiver sees it: one source, no gap in sequence, timestamps that never go back and follow the clock.
fn assert_continuous(received: &[Received]) {
    for pair in received.windows(2) {
        let (x, y) = (pair[0].header, pair[1].header);
        assert_eq!(y.ssrc, x.ssrc);
        assert_eq!(y.sequence, x.sequence.wrapping_add(1), "{x:?} {y:?}");
        let step = y.timestamp.wrapping_sub(x.timestamp) as i32;
        assert!(step >= 160, "timestamps overlap: {x:?} {y:?}");
        assert!(y.marker || step == 160, "a jump without a marker: {x:?} {y:?}");
    }
    let (first, last) = (&received[0], &received[received.len() - 1]);
    let passed = last.at.duration_since(first.at).as_millis() as i64 * 8;
    let stamped = i64::from(last.header.timestamp.wrapping_sub(first.header.timestamp));
    assert!(
        (stamped - passed).abs() < 8 * 150,
        "{stamped} units stamped while {passed} passed"
    );
}

#[test]
fn a_prompt_is_heard_by_one_party_only_and_ends_with_an_event() {
    let bench = Bench::start();
    let (a, b) = (Peer::start(Law::Mu), Peer::start(Law::A));
    bench.leg(0, &a);
    bench.leg(1, &b);
    bench.layout(vec![
        plays(
            0,
            Play {
                lead_in_ms: 40,
                ..sound(1, 700, 300)
            },
        ),
        hears(1, &[0]),
    ]);
    finished(&bench, 0, 1);
    a.wait("the whole prompt", |r| r.len() == 17);
    assert!(a.level(700) > -12.0);
    assert_continuous(&a.received());
    assert!(b.received().is_empty());
}

#[test]
fn a_play_waits_for_its_leg_and_a_layout_that_keeps_it_does_not_disturb_it() {
    let bench = Bench::start();
    let a = Peer::start(Law::A);
    bench.handle.open_leg(CALL, 0).unwrap();
    let prompt = sound(1, 700, 400);
    bench.layout(vec![plays(0, prompt.clone())]);
    bench.command(Command::Configure {
        leg: 0,
        config: config(&a),
    });
    a.wait_packets(8);
    bench.layout(vec![plays(0, prompt.clone())]);
    finished(&bench, 0, 1);
    // The same id after its end stays ended.
    bench.layout(vec![plays(0, prompt)]);
    bench.layout(vec![plays(0, sound(2, 900, 100))]);
    finished(&bench, 0, 2);
    a.wait("both prompts, each once", |r| r.len() >= 25);
    assert_eq!(a.received().len(), 25);
}

#[test]
fn ringback_repeats_until_the_other_party_is_there() {
    let bench = Bench::start();
    let (a, b) = (Peer::start(Law::A), Peer::start(Law::A));
    let at_a = bench.leg(0, &a);
    let at_b = bench.leg(1, &b);
    bench.layout(vec![plays(0, tone(1, Cadence::ringback("CN")))]);
    a.wait_hears(450);
    assert!(unfinished(&bench, 0));
    b.say(1000, at_b);
    a.say(600, at_a);
    bench.talk();
    a.wait_hears_only(&[1000], &[450]);
    b.wait_hears_only(&[600], &[450]);
}

#[test]
fn early_media_of_the_callee_can_be_heard_alone() {
    let bench = Bench::start();
    let (a, b) = (Peer::start(Law::A), Peer::start(Law::Mu));
    let (at_a, at_b) = (bench.leg(0, &a), bench.leg(1, &b));
    bench.layout(vec![hears(0, &[1])]);
    a.say(600, at_a);
    b.say(425, at_b);
    a.wait_hears(425);
    assert!(b.received().is_empty());
}

#[test]
fn three_parties_hear_all_others_and_not_themselves() {
    let bench = Bench::start();
    let tones = [600u16, 1000, 1600];
    let laws = [Law::A, Law::Mu, Law::A];
    let peers: Vec<Peer> = laws.iter().map(|&l| Peer::start(l)).collect();
    for (leg, peer) in peers.iter().enumerate() {
        let address = bench.leg(leg as u16, peer);
        peer.say(tones[leg], address);
    }
    bench.layout(vec![hears(0, &[1, 2]), hears(1, &[0, 2]), hears(2, &[0, 1])]);
    for (leg, peer) in peers.iter().enumerate() {
        let others: Vec<u16> = tones.iter().copied().filter(|&t| t != tones[leg]).collect();
        peer.wait_hears_only(&others, &[tones[leg]]);
    }
    // One party is muted towards one other.
    bench.layout(vec![hears(0, &[1]), hears(1, &[0, 2]), hears(2, &[0, 1])]);
    peers[0].wait_hears_only(&[1000], &[1600]);
    peers[1].wait_hears_only(&[600, 1600], &[1000]);
}

#[test]
fn a_gain_is_applied() {
    let bench = Bench::start();
    let (a, b) = (Peer::start(Law::A), Peer::start(Law::A));
    let at_a = bench.leg(0, &a);
    bench.leg(1, &b);
    let quiet = LegLayout {
        leg: 1,
        hears: vec![(0, Gain::from_db(-12.0))],
        play: None,
    };
    bench.layout(vec![quiet]);
    a.say(600, at_a);
    b.wait_hears(600);
    b.wait("600 Hz at -22 dBFS", |r| {
        let last = audio(&r[r.len().saturating_sub(10)..], Law::A);
        (probe::level(&last, 600.0) + 22.0).abs() < 1.5
    });
}

#[test]
fn an_announcement_is_heard_by_all_while_talk_goes_on() {
    let bench = Bench::start();
    let (a, b) = (Peer::start(Law::A), Peer::start(Law::A));
    let (at_a, at_b) = (bench.leg(0, &a), bench.leg(1, &b));
    bench.talk();
    a.say(600, at_a);
    b.say(1000, at_b);
    b.wait_hears(600);
    let announce = Some(sound(9, 1700, 600));
    bench.command(Command::Layout(Layout {
        legs: vec![hears(0, &[1]), hears(1, &[0])],
        announce,
    }));
    a.wait_hears_only(&[1000, 1700], &[600]);
    b.wait_hears_only(&[600, 1700], &[1000]);
    bench.events.wait("announced", |_, e| {
        matches!(e, Event::AnnounceFinished { id: 9 }).then_some(())
    });
    a.wait_hears_only(&[1000], &[1700]);
    b.wait_hears_only(&[600], &[1700]);
}

#[test]
fn a_private_prompt_in_talk_is_heard_by_one_party() {
    let bench = Bench::start();
    let (a, b) = (Peer::start(Law::A), Peer::start(Law::Mu));
    let (at_a, at_b) = (bench.leg(0, &a), bench.leg(1, &b));
    bench.talk();
    a.say(600, at_a);
    b.say(1000, at_b);
    b.wait_hears(600);
    bench.layout(vec![
        LegLayout {
            play: Some(sound(4, 1700, 500)),
            ..hears(0, &[1])
        },
        hears(1, &[0]),
    ]);
    a.wait_hears_only(&[1000, 1700], &[600]);
    b.wait_hears_only(&[600], &[1000, 1700]);
    finished(&bench, 0, 4);
    a.wait_hears_only(&[1000], &[1700]);
}

#[test]
fn a_party_sees_one_stream_from_prompt_over_relay_and_mix_back_to_relay() {
    let bench = Bench::start();
    let (a, b, c) = (Peer::start(Law::A), Peer::start(Law::A), Peer::start(Law::Mu));
    bench.leg(0, &a);
    let (at_b, at_c) = (bench.leg(1, &b), bench.leg(2, &c));
    bench.layout(vec![plays(0, sound(1, 700, 200))]);
    finished(&bench, 0, 1);
    b.say(1000, at_b);
    bench.layout(vec![hears(0, &[1])]);
    a.wait_hears(1000);
    c.say(1600, at_c);
    bench.layout(vec![hears(0, &[1, 2])]);
    a.wait_hears_only(&[1000, 1600], &[]);
    bench.layout(vec![hears(0, &[2])]);
    a.wait_hears_only(&[1600], &[1000]);
    bench.layout(vec![hears(0, &[1])]);
    a.wait_hears_only(&[1000], &[1600]);
    let received = a.received();
    assert_continuous(&received);
    let markers = received.iter().filter(|r| r.header.marker).count();
    assert!((4..=7).contains(&markers), "{markers} talk spurts");
}

#[test]
fn different_packet_times_are_converted() {
    let bench = Bench::start();
    let (a, b) = (Peer::with_ptime(Law::A, 30), Peer::start(Law::A));
    let (at_a, at_b) = (bench.leg(0, &a), bench.leg(1, &b));
    bench.command(Command::Configure {
        leg: 0,
        config: LegConfig {
            ptime_ms: 30,
            ..config(&a)
        },
    });
    bench.talk();
    a.say(600, at_a);
    b.say(1000, at_b);
    a.wait_hears(1000);
    b.wait_hears(600);
    assert!(a.received().iter().all(|r| r.payload.len() == 240));
    assert!(b.received().iter().all(|r| r.payload.len() == 160));
    assert_continuous(&b.received());
}

#[test]
fn comfort_silence_is_an_option() {
    let bench = Bench::with(|c| c.comfort_silence = true);
    let a = Peer::start(Law::A);
    bench.leg(0, &a);
    a.wait_packets(5);
    assert!(
        a.received()
            .iter()
            .all(|r| r.payload.iter().all(|&o| o == Law::A.silence()))
    );
}

struct Recorded {
    path: std::path::PathBuf,
    millis: u64,
    bytes: u64,
    silenced_ms: u64,
    error: Option<String>,
}

fn recorded(bench: &Bench, recording: u128) -> Recorded {
    bench.events.wait("recording finished", |_, e| match e {
        Event::RecordingFinished {
            id,
            path,
            millis,
            bytes,
            silenced_ms,
            error,
            ..
        } if *id == recording => Some(Recorded {
            path: path.clone(),
            millis: *millis,
            bytes: *bytes,
            silenced_ms: *silenced_ms,
            error: error.clone(),
        }),
        _ => None,
    })
}

#[test]
fn a_recording_has_the_caller_left_and_what_it_hears_right() {
    let bench = Bench::start();
    let (a, b) = (Peer::start(Law::A), Peer::start(Law::Mu));
    bench.command_open(0);
    // It waits for its left leg.
    bench.command(Command::Record(RecordSpec {
        id: 5,
        stem: "call-5".into(),
        left: 0,
        ..RecordSpec::default()
    }));
    let at_a = bench.leg(0, &a);
    let began = Instant::now();
    let at_b = bench.leg(1, &b);
    // A private prompt, then talk, then an announcement.
    bench.layout(vec![plays(0, sound(1, 2000, 200))]);
    finished(&bench, 0, 1);
    a.say(600, at_a);
    b.say(1000, at_b);
    bench.talk();
    a.wait_hears(1000);
    b.wait_hears(600);
    a.wait_packets(30);
    let relayed = b.received();
    assert_continuous(&relayed);
    let announce = Some(sound(2, 1500, 300));
    bench.command(Command::Layout(Layout {
        legs: vec![hears(0, &[1]), hears(1, &[0])],
        announce,
    }));
    bench.events.wait("announced", |_, e| {
        matches!(e, Event::AnnounceFinished { id: 2 }).then_some(())
    });
    bench.layout(vec![LegLayout {
        play: Some(Play {
            recorded: true,
            ..sound(3, 2500, 200)
        }),
        ..hears(0, &[1])
    }]);
    finished(&bench, 0, 3);
    bench.command(Command::StopRecord);
    let span = began.elapsed();
    let recording = recorded(&bench, 5);
    assert_eq!((recording.error, recording.silenced_ms), (None, 0));
    assert!(
        (recording.millis as i64 - span.as_millis() as i64).abs() < 150,
        "{} of {span:?}",
        recording.millis
    );
    let file = std::fs::read(&recording.path).unwrap();
    assert_eq!(file.len() as u64, recording.bytes);
    assert_eq!(recording.path, bench.dir.path().join("call-5.wav"));
    let (left, right) = wav::read_stereo(&file).unwrap();
    assert_eq!(left.len() as u64, recording.millis * 8);
    let loudest = |channel: &[i16], hz: f32| {
        channel
            .windows(1600)
            .step_by(400)
            .map(|w| probe::level(w, hz))
            .fold(f32::MIN, f32::max)
    };
    assert!((loudest(&left, 600.0) + 10.0).abs() < 1.5, "{}", loudest(&left, 600.0));
    for absent in [1000.0, 1500.0, 2000.0, 2500.0] {
        assert!(loudest(&left, absent) < -45.0, "{absent} Hz on the left channel");
    }
    for present in [1000.0, 1500.0, 2500.0] {
        assert!(loudest(&right, present) > -13.0, "no {present} Hz on the right channel");
    }
    for absent in [600.0, 2000.0] {
        assert!(loudest(&right, absent) < -40.0, "{absent} Hz on the right channel");
    }
}

#[test]
fn a_recording_moves_to_another_left_leg_under_the_same_id() {
    let bench = Bench::start();
    let (a, b, c) = (Peer::start(Law::A), Peer::start(Law::A), Peer::start(Law::Mu));
    let (at_a, at_b) = (bench.leg(0, &a), bench.leg(1, &b));
    let at_c = bench.leg(2, &c);
    bench.layout(vec![hears(0, &[1, 2]), hears(1, &[0, 2]), hears(2, &[0, 1])]);
    a.say(600, at_a);
    b.say(1000, at_b);
    c.say(1600, at_c);
    c.wait_hears(600);
    bench.command(Command::Record(RecordSpec {
        id: 1,
        stem: "moved".into(),
        left: 0,
        ..RecordSpec::default()
    }));
    c.wait_packets(15);
    bench.command(Command::CloseLeg { leg: 0 });
    c.wait_packets(5);
    bench.command(Command::Record(RecordSpec {
        id: 1,
        stem: "moved".into(),
        left: 1,
        ..RecordSpec::default()
    }));
    bench.layout(vec![hears(1, &[2]), hears(2, &[1])]);
    c.wait_packets(20);
    bench.command(Command::StopRecord);
    let recording = recorded(&bench, 1);
    assert_eq!(recording.error, None);
    let (left, right) = wav::read_stereo(&std::fs::read(recording.path).unwrap()).unwrap();
    // The loudest 50 ms of each end: on a busy machine the far sides' packets come late and leave gaps.
    let loudest = |span: &[i16], hz| span.chunks(400).map(|w| probe::level(w, hz)).fold(f32::MIN, f32::max);
    let (start, end) = (&left[..2400], &left[left.len() - 2400..]);
    assert!(loudest(start, 600.0) > -13.0 && loudest(start, 1000.0) < -30.0);
    assert!(loudest(end, 1000.0) > -13.0 && loudest(end, 600.0) < -30.0);
    assert!(loudest(&right[right.len() - 2400..], 1600.0) > -13.0);
    let files = std::fs::read_dir(bench.dir.path()).unwrap().count();
    assert_eq!(files, 1);
}

#[test]
fn recordings_end_with_their_call_and_with_the_engine() {
    let mut bench = Bench::start();
    let a = Peer::start(Law::A);
    let at_a = bench.leg(0, &a);
    a.say(600, at_a);
    bench.command(Command::Record(RecordSpec {
        id: 1,
        stem: "one".into(),
        left: 0,
        ..RecordSpec::default()
    }));
    bench.events.wait("first packet", |_, e| {
        matches!(e, Event::FirstPacket { .. }).then_some(())
    });
    bench.command(Command::CloseCall);
    assert_eq!(recorded(&bench, 1).error, None);
    bench.leg(0, &a);
    bench.command(Command::Record(RecordSpec {
        id: 2,
        stem: "two".into(),
        left: 0,
        ..RecordSpec::default()
    }));
    bench.command(Command::Record(RecordSpec {
        id: 3,
        stem: "../three".into(),
        left: 0,
        ..RecordSpec::default()
    }));
    bench.engine.take().unwrap().shutdown();
    assert_eq!(recorded(&bench, 2).error, None);
    assert!(recorded(&bench, 3).error.is_some());
    assert!(matches!(bench.handle.open_leg(CALL, 9), Err(MediaError::Stopped)));
}

#[test]
fn a_recording_keeps_its_length_when_nobody_talks() {
    let bench = Bench::start();
    let a = Peer::start(Law::A);
    let clock = Peer::start(Law::A);
    bench.leg(0, &a);
    bench.leg(1, &clock);
    bench.layout(vec![plays(1, tone(1, Cadence::sine(440, -10.0)))]);
    clock.wait_packets(1);
    let began = Instant::now();
    bench.command(Command::Record(RecordSpec {
        id: 1,
        stem: "silent".into(),
        left: 0,
        ..RecordSpec::default()
    }));
    clock.wait_packets(25);
    bench.command(Command::StopRecord);
    let span = began.elapsed();
    let recording = recorded(&bench, 1);
    let off = Duration::from_millis(recording.millis).abs_diff(span);
    assert!(
        off < Duration::from_millis(100),
        "{} ms recorded in {span:?}",
        recording.millis
    );
    let (left, right) = wav::read_stereo(&std::fs::read(recording.path).unwrap()).unwrap();
    assert!(left.iter().chain(&right).all(|&s| s == 0));
}

#[test]
fn many_calls_are_spread_over_shards() {
    let bench = Bench::with(|c| c.shards = 2);
    let peers: Vec<Peer> = (0..6).map(|_| Peer::start(Law::A)).collect();
    for (i, peer) in peers.iter().enumerate() {
        let call = CallKey((i as u128) << 64 | 0xABC);
        bench.handle.open_leg(call, 0).unwrap();
        bench
            .handle
            .command(
                call,
                Command::Configure {
                    leg: 0,
                    config: config(peer),
                },
            )
            .unwrap();
        let legs = vec![plays(0, tone(1, Cadence::sine(440, -10.0)))];
        bench
            .handle
            .command(call, Command::Layout(Layout { legs, announce: None }))
            .unwrap();
    }
    peers.iter().for_each(|p| p.wait_hears(440));
    let shards = bench.handle.metrics().shards;
    assert_eq!(shards.iter().map(|s| s.calls).sum::<u64>(), 6);
    assert!(shards.iter().all(|s| s.calls > 0), "{shards:?}");
}
