//! What a recording holds besides the talk: pauses, masked parts, hidden digits, other formats.

mod common;

use std::net::UdpSocket;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use common::{Bench, CALL, config};
use strowger_media::testkit::{EVENTS_TYPE, Peer};
use strowger_media::*;
use strowger_media_core::g711::Law;
use strowger_media_core::rtp::{HEADER_LEN, Header};
use strowger_media_core::{FRAME, probe, wav};

fn spec() -> RecordSpec {
    RecordSpec {
        id: 9,
        stem: "call".into(),
        ..RecordSpec::default()
    }
}

fn record(bench: &Bench, pause: Option<Pause>) {
    bench.command(Command::Record(RecordSpec { pause, ..spec() }));
}

/// Stops the recording; its file and length in ms.
fn stop(bench: &Bench) -> (PathBuf, u64) {
    bench.command(Command::StopRecord);
    bench.events.wait("recording finished", |_, e| match e {
        Event::RecordingFinished {
            id: 9,
            path,
            millis,
            bytes,
            sha256,
            error,
            ..
        } => {
            assert_eq!(*error, None);
            assert!(sha256.is_some());
            assert_eq!(std::fs::metadata(path).unwrap().len(), *bytes);
            Some((path.clone(), *millis))
        }
        _ => None,
    })
}

/// Milliseconds of 20 in which nothing at all is heard.
fn silent_ms(samples: &[i16]) -> u64 {
    samples.chunks(FRAME).filter(|c| c.iter().all(|&s| s == 0)).count() as u64 * 20
}

// accept: domain-model I37
#[test]
fn a_masked_part_keeps_its_time_and_a_cut_one_does_not() {
    for mode in [Pause::Mask, Pause::Cut] {
        let bench = Bench::start();
        let (a, b) = (Peer::start(Law::A), Peer::start(Law::A));
        let (at_a, at_b) = (bench.leg(0, &a), bench.leg(1, &b));
        bench.talk();
        a.say(600, at_a);
        b.say(1000, at_b);
        b.wait_hears(600);
        a.wait_hears(1000);
        let began = Instant::now();
        record(&bench, None);
        b.wait_packets(15);
        let paused = Instant::now();
        record(&bench, Some(mode));
        b.wait_packets(10);
        // What is not to be heard in the file.
        a.say(1500, at_a);
        b.say(1900, at_b);
        b.wait_hears(1500);
        a.wait_hears(1900);
        b.wait_packets(25);
        a.say(600, at_a);
        b.say(1000, at_b);
        b.wait_hears_only(&[600], &[1500]);
        a.wait_hears_only(&[1000], &[1900]);
        record(&bench, None);
        let pause = paused.elapsed();
        b.wait_packets(15);
        let (path, millis) = stop(&bench);
        let span = began.elapsed();
        let (left, right) = wav::read_stereo(&std::fs::read(path).unwrap()).unwrap();
        let near = |a: u64, b: Duration| (a as i64 - b.as_millis() as i64).abs() < 200;
        if mode == Pause::Mask {
            assert!(near(millis, span), "{millis} ms of {span:?}");
            for side in [&left, &right] {
                assert!(
                    silent_ms(side) + 100 >= pause.as_millis() as u64,
                    "masked {} of {pause:?}",
                    silent_ms(side)
                );
            }
        } else {
            assert!(
                near(millis, span - pause),
                "{millis} ms of {span:?} with a pause of {pause:?}"
            );
        }
        for (side, secret) in [(&left, 1500.0), (&right, 1900.0)] {
            let loudest = side
                .chunks(FRAME * 5)
                .map(|c| probe::level(c, secret))
                .fold(-99.0, f32::max);
            assert!(
                loudest < -40.0,
                "{mode:?}: {loudest} dBFS of what was said in the pause"
            );
        }
        // The talk goes on, in the file and between the parties.
        let end = &left[left.len() - 800..];
        assert!(probe::level(end, 600.0) > -13.0, "{mode:?}: the end is heard");
    }
}

#[test]
fn one_channel_holds_both_sides_and_ogg_is_small() {
    for (format, channels) in [
        (RecordFormat::Wav, RecordChannels::Mono),
        (RecordFormat::OggOpus, RecordChannels::Mono),
        (RecordFormat::OggOpus, RecordChannels::Stereo),
    ] {
        let bench = Bench::start();
        let (a, b) = (Peer::start(Law::A), Peer::start(Law::Mu));
        let (at_a, at_b) = (bench.leg(0, &a), bench.leg(1, &b));
        bench.talk();
        a.say(600, at_a);
        b.say(1000, at_b);
        b.wait_hears(600);
        a.wait_hears(1000);
        bench.command(Command::Record(RecordSpec {
            format,
            channels,
            ..spec()
        }));
        b.wait_packets(40);
        let (path, millis) = stop(&bench);
        assert_eq!(path.extension().unwrap(), format.extension());
        let file = std::fs::read(path).unwrap();
        if format == RecordFormat::OggOpus {
            assert!(file.starts_with(b"OggS"));
            assert!(
                file.len() as u64 <= 1000 + millis * 8,
                "{} octets for {millis} ms",
                file.len()
            );
        } else {
            let samples = wav::read(&file).unwrap();
            assert_eq!(samples.len() as u64, millis * 8);
            let loudest = |hz| {
                samples
                    .chunks(800)
                    .map(|w| probe::level(w, hz))
                    .fold(f32::MIN, f32::max)
            };
            assert!(loudest(600.0) > -13.0 && loudest(1000.0) > -13.0);
        }
    }
}

/// A telephone that goes on sending sound while a key is down: the tone of the key would be in the file.
#[test]
fn what_is_said_while_a_key_is_down_is_not_recorded() {
    let bench = Bench::start();
    let b = Peer::start(Law::A);
    let phone = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at_phone = bench.handle.open_leg(CALL, 0).unwrap();
    bench.command(Command::Configure {
        leg: 0,
        config: LegConfig {
            remote: phone.local_addr().unwrap(),
            codec: Codec::pcma(),
            ..config(&b)
        },
    });
    bench.leg(1, &b);
    bench.talk();
    bench.command(Command::Record(RecordSpec {
        hide_digits: true,
        ..spec()
    }));
    let mut tone = [0i16; FRAME * 100];
    strowger_media_core::tone::ToneGenerator::new(Cadence::sine(900, -10.0)).fill(&mut tone);
    let mut next = Instant::now();
    let header = |payload_type, sequence, timestamp, marker| Header {
        marker,
        payload_type,
        sequence,
        timestamp,
        ssrc: 77,
    };
    // Two seconds of a tone; a key is down in the second half.
    let mut sequence = 0u16;
    for frame in 0..100u32 {
        let at = frame * FRAME as u32;
        let mut packet = vec![0; HEADER_LEN];
        packet.extend(tone[at as usize..][..FRAME].iter().map(|&s| Law::A.encode(s)));
        packet[..HEADER_LEN].copy_from_slice(&header(8, sequence, at, frame == 0).to_bytes());
        phone.send_to(&packet, at_phone).unwrap();
        sequence += 1;
        if frame >= 50 {
            let down = (frame - 50 + 1) * FRAME as u32;
            let mut packet = header(EVENTS_TYPE, sequence, 50 * FRAME as u32, frame == 50)
                .to_bytes()
                .to_vec();
            packet.extend([5, 10, (down >> 8) as u8, down as u8]);
            phone.send_to(&packet, at_phone).unwrap();
            sequence += 1;
        }
        next += Duration::from_millis(20);
        #[expect(clippy::disallowed_methods, reason = "a telephone sends by its own clock")]
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    let (path, _) = stop(&bench);
    let (left, _) = wav::read_stereo(&std::fs::read(path).unwrap()).unwrap();
    let heard = left.chunks(400).filter(|w| probe::level(w, 900.0) > -13.0).count() * 50;
    // A sender that this machine keeps waiting leaves gaps, but never adds sound.
    assert!((400..=1100).contains(&heard), "the tone is heard for {heard} ms");
    let tail = &left[left.len().saturating_sub(5600)..];
    assert_eq!(silent_ms(tail), 700, "nothing while the key is down");
}
