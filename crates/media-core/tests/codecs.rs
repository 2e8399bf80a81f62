//! Every codec carries a tone at its level with little noise, conceals what is lost, and survives any bytes.

use proptest::prelude::*;
use strowger_media_core::codec::{Decoder, Encoder, EncoderSettings, Kind, MAX_PAYLOAD};
use strowger_media_core::probe;
use strowger_media_core::tone::{Cadence, ToneGenerator};

fn coders(kind: Kind) -> (Box<dyn Encoder>, Box<dyn Decoder>) {
    (
        kind.encoder(EncoderSettings::default()).unwrap(),
        kind.decoder().unwrap(),
    )
}

/// A second and a half of a tone at -10 dBFS in packets of `ms`.
fn packets(kind: Kind, encoder: &mut dyn Encoder, hz: u16, ms: u8) -> Vec<Vec<u8>> {
    let mut tone = ToneGenerator::new(Cadence::sine(hz, -10.0));
    let samples = usize::from(ms) * 8;
    let count = 1500 / usize::from(ms);
    (0..count)
        .map(|_| {
            let mut frame = vec![0i16; samples];
            tone.fill(&mut frame);
            let mut payload = vec![0u8; MAX_PAYLOAD];
            let length = encoder.encode(&frame, &mut payload);
            payload.truncate(length);
            assert_eq!(kind.samples(&payload), samples, "{kind:?}, {ms} ms");
            payload
        })
        .collect()
}

/// Signal to noise ratio in dB: what is left after the tone of the best fitting phase and level is taken out.
fn tone_snr(samples: &[i16], hz: f64) -> f64 {
    let (mut c, mut s, mut power) = (0.0, 0.0, 0.0);
    for (i, &x) in samples.iter().enumerate() {
        let angle = std::f64::consts::TAU * hz * i as f64 / 8000.0;
        c += f64::from(x) * angle.cos();
        s += f64::from(x) * angle.sin();
        power += f64::from(x) * f64::from(x);
    }
    let n = samples.len() as f64;
    let tone = 2.0 * (c * c + s * s) / n;
    10.0 * (tone / (power - tone).max(1e-9)).log10()
}

#[test]
fn a_tone_comes_through_at_its_level() {
    for (kind, least_snr) in [
        (Kind::Pcma, 35.0),
        (Kind::Pcmu, 35.0),
        (Kind::G722, 30.0),
        (Kind::Opus, 15.0),
        (Kind::G729, 8.0),
    ] {
        for ms in [10, 20, 30, 40, 50, 60] {
            if kind.packet_ms(ms) != ms {
                continue;
            }
            let (mut encoder, mut decoder) = coders(kind);
            let mut heard = Vec::new();
            for payload in packets(kind, &mut *encoder, 1000, ms) {
                decoder.decode(&payload, &mut heard);
            }
            // Whole periods, after everything has settled.
            let steady = &heard[4000..10_400];
            let level = probe::level(steady, 1000.0);
            assert!((level + 10.0).abs() < 1.5, "{kind:?}, {ms} ms: {level} dBFS");
            let snr = tone_snr(steady, 1000.0);
            assert!(snr > least_snr, "{kind:?}, {ms} ms: {snr} dB");
        }
    }
}

#[test]
fn a_gap_is_concealed_by_the_codecs_that_can() {
    for kind in [Kind::Opus, Kind::G729] {
        let (mut encoder, mut decoder) = coders(kind);
        let mut heard = Vec::new();
        for (i, payload) in packets(kind, &mut *encoder, 400, 20).iter().enumerate() {
            if i % 10 == 9 {
                assert!(decoder.conceal(160, &mut heard), "{kind:?}");
            } else {
                decoder.decode(payload, &mut heard);
            }
        }
        let level = probe::level(&heard[4000..10_000], 400.0);
        assert!((level + 10.0).abs() < 3.0, "{kind:?}: {level}");
    }
    let (_, mut law) = coders(Kind::Pcma);
    assert!(!law.conceal(160, &mut Vec::new()), "the buffer repeats for G.711");
}

#[test]
fn opus_recovers_a_lost_packet_from_the_next_one() {
    // Speech is what forward error correction is made for: a voiced sound with a moving pitch.
    let voice: Vec<i16> = (0..160 * 75)
        .map(|i| {
            let t = f64::from(i) / 8000.0;
            let pitch = 140.0 + 30.0 * (t * 5.0).sin();
            let sum: f64 = (1..12)
                .map(|h| (std::f64::consts::TAU * pitch * f64::from(h) * t).sin() / f64::from(h))
                .sum();
            (sum * 6000.0) as i16
        })
        .collect();
    let encoded = |loss: u8| -> Vec<Vec<u8>> {
        let mut encoder = Kind::Opus.encoder(EncoderSettings::default()).unwrap();
        encoder.expect_loss(loss);
        let packet = |frame: &[i16]| {
            let mut payload = vec![0; MAX_PAYLOAD];
            let length = encoder.encode(frame, &mut payload);
            payload.truncate(length);
            payload
        };
        voice.chunks(160).map(packet).collect()
    };
    // Every fifth packet is lost; error against what would have been heard without loss.
    let error = |packets: &[Vec<u8>]| -> f64 {
        let mut whole = Kind::Opus.decoder().unwrap();
        let mut lossy = Kind::Opus.decoder().unwrap();
        let (mut expected, mut heard) = (Vec::new(), Vec::new());
        for (i, payload) in packets.iter().enumerate() {
            whole.decode(payload, &mut expected);
            match packets.get(i + 1) {
                Some(next) if i % 5 == 4 => assert!(lossy.recover(next, 160, &mut heard)),
                _ => lossy.decode(payload, &mut heard),
            }
        }
        assert_eq!(expected.len(), heard.len());
        let pairs = expected.iter().zip(&heard).skip(1600);
        pairs.map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum()
    };
    let (without, with) = (error(&encoded(0)), error(&encoded(20)));
    assert!(with < without * 0.7, "with {with:e}, without {without:e}");
}

#[test]
fn a_pause_of_g729_is_noise_and_not_a_loss() {
    let mut decoder = Kind::G729.decoder().unwrap();
    let (mut encoder, _) = coders(Kind::G729);
    let mut heard = Vec::new();
    for payload in packets(Kind::G729, &mut *encoder, 500, 20) {
        decoder.decode(&payload, &mut heard);
    }
    assert!(!decoder.pausing());
    // One voice frame, then a silence descriptor.
    decoder.decode(
        &[0x78, 0x52, 0x80, 0xA0, 0x00, 0xFA, 0xC2, 0, 0x07, 0xD6, 0x1A, 0x20],
        &mut heard,
    );
    assert!(decoder.pausing());
    let before = heard.len();
    assert!(decoder.conceal(160, &mut heard));
    assert_eq!(heard.len() - before, 160);
}

fn decode_all(kind: Kind, payloads: &[Vec<u8>]) {
    let mut decoder = kind.decoder().unwrap();
    let mut out = Vec::new();
    for payload in payloads {
        out.clear();
        decoder.decode(payload, &mut out);
        assert!(out.len() <= 960 || kind.law().is_some());
        out.clear();
        decoder.conceal(160, &mut out);
        out.clear();
        decoder.recover(payload, 160, &mut out);
        let _ = (decoder.samples(payload), decoder.pausing());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_payload_panics(payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..20)) {
        for kind in Kind::ALL {
            decode_all(kind, &payloads);
        }
    }

    #[test]
    fn no_sound_panics_an_encoder(samples in prop::collection::vec(any::<i16>(), 160..=160), loud in any::<bool>()) {
        for kind in Kind::ALL {
            let mut encoder = kind.encoder(EncoderSettings { complexity: 200, bitrate: 0 }).unwrap();
            let mut out = [0u8; MAX_PAYLOAD];
            let full = [i16::MIN; 160];
            for _ in 0..5 {
                let length = encoder.encode(if loud { &full } else { &samples }, &mut out);
                prop_assert!(length > 0 && length <= MAX_PAYLOAD);
            }
        }
    }
}
