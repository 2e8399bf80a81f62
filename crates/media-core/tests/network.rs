//! Loss, jitter, reordering, clock drift and whole days of mixing, in virtual time.

use strowger_media_core::codec::{EncoderSettings, Kind, MAX_PAYLOAD};
use strowger_media_core::g711::Law;
use strowger_media_core::mixer::{self, Gain};
use strowger_media_core::playout::{Playout, PlayoutCounters, Pulled};
use strowger_media_core::tone::{Cadence, ToneGenerator};
use strowger_media_core::{FRAME, probe};

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.0 >> 33) % limit.max(1)
    }
}

#[derive(Clone, Copy)]
struct Network {
    kind: Kind,
    loss_percent: u64,
    /// Uniform extra delay, which also reorders.
    jitter_ms: u64,
    /// How much faster the sender's clock runs.
    drift_ppm: i64,
    seconds: u64,
}

struct Outcome {
    samples: Vec<i16>,
    concealed: f64,
    counters: PlayoutCounters,
    /// Delay of the buffer in ms, the worst of the first and of the last tenth.
    early: u32,
    late: u32,
}

fn run(network: Network) -> Outcome {
    let Network { kind, seconds, .. } = network;
    let mut random = Random(7);
    let mut flying: Vec<(u64, u32, Vec<u8>)> = Vec::new();
    let mut tone = ToneGenerator::new(Cadence::sine(1000, -10.0));
    let mut encoder = kind.encoder(EncoderSettings::default()).unwrap();
    encoder.expect_loss(network.loss_percent as u8);
    let mut decoder = kind.decoder().unwrap();
    let mut playout = Playout::with_units(kind.units_per_sample());
    let mut outcome = Outcome {
        samples: Vec::new(),
        concealed: 0.0,
        counters: PlayoutCounters::default(),
        early: 0,
        late: 0,
    };
    let (mut sent, ticks) = (0u64, seconds * 50);
    for tick in 0..ticks {
        let now = tick * 20_000 + 7_000;
        loop {
            let at = (sent as i64 * 20_000 * 1_000_000 / (1_000_000 + network.drift_ppm)) as u64;
            if at > now {
                break;
            }
            let (mut frame, mut payload) = ([0i16; FRAME], vec![0u8; MAX_PAYLOAD]);
            tone.fill(&mut frame);
            let length = encoder.encode(&frame, &mut payload);
            payload.truncate(length);
            // Near the wrap of the clock.
            let timestamp = (sent as u32).wrapping_mul(160 * kind.units_per_sample());
            if random.below(100) >= network.loss_percent {
                let extra = random.below(network.jitter_ms * 1000);
                flying.push((at + extra, timestamp.wrapping_sub(500_000), payload));
            }
            sent += 1;
        }
        flying.sort_by_key(|f| f.0);
        while flying.first().is_some_and(|f| f.0 <= now) {
            let (_, timestamp, payload) = flying.remove(0);
            playout.push(timestamp, false, &payload);
        }
        let mut frame = [0i16; FRAME];
        let pulled = playout.pull(&mut *decoder, &mut frame);
        outcome.concealed += f64::from(u8::from(pulled == Pulled::Concealed)) / ticks as f64;
        let depth = playout.depth() / 8;
        if (ticks / 20..ticks / 10).contains(&tick) {
            outcome.early = outcome.early.max(depth);
        } else if tick >= ticks * 9 / 10 {
            outcome.late = outcome.late.max(depth);
        }
        if outcome.samples.len() < 8000 * 60 {
            outcome.samples.extend_from_slice(&frame);
        }
    }
    outcome.counters = playout.counters();
    outcome
}

/// The median of the levels of spans of 100 ms: corrections and concealment change the phase of a tone, and meet some.
fn median_level(samples: &[i16], hz: u16) -> f32 {
    let mut levels: Vec<f32> = samples
        .chunks_exact(800)
        .map(|s| probe::level(s, f32::from(hz)))
        .collect();
    levels.sort_by(f32::total_cmp);
    levels[levels.len() / 2]
}

#[test]
fn every_codec_plays_through_loss_jitter_and_reordering() {
    for kind in Kind::ALL {
        for loss_percent in [1, 5, 10] {
            for jitter_ms in [0, 20, 60] {
                let network = Network {
                    kind,
                    loss_percent,
                    jitter_ms,
                    drift_ppm: 0,
                    seconds: 30,
                };
                let outcome = run(network);
                let name = format!("{kind:?}, {loss_percent} %, {jitter_ms} ms");
                let lost = loss_percent as f64 / 100.0;
                assert!(outcome.concealed < lost + 0.03, "{name}: {}", outcome.concealed);
                let level = median_level(&outcome.samples[80_000..160_000], 1000);
                // After an erased frame the gain predictor of G.729 needs some frames, and a steady tone suffers most.
                let least = if kind == Kind::G729 { -20.0 } else { -13.5 };
                assert!((least..-8.5).contains(&level), "{name}: {level} dBFS");
                assert!(outcome.late <= 160, "{name}: {} ms", outcome.late);
                assert!(
                    outcome.late <= outcome.early + 40,
                    "{name}: {} → {} ms",
                    outcome.early,
                    outcome.late
                );
                if kind == Kind::Opus {
                    assert!(outcome.counters.recovered > 0, "{name}");
                }
            }
        }
    }
}

#[test]
fn drift_is_corrected_both_ways_for_a_codec_with_another_clock() {
    for drift_ppm in [200, -200] {
        let outcome = run(Network {
            kind: Kind::Opus,
            loss_percent: 0,
            jitter_ms: 5,
            drift_ppm,
            seconds: 600,
        });
        assert!(outcome.late <= 100, "{drift_ppm} ppm: {} ms", outcome.late);
        let corrected = outcome.counters.shortened + outcome.counters.stretched;
        // 120 ms in ten minutes: 6 frames.
        assert!((4..=14).contains(&corrected), "{drift_ppm} ppm: {corrected}");
    }
}

/// Three parties whose clocks run 200 ppm fast, right, and 200 ppm slow talk for a day: each is heard by the others at its
/// level in the last minute as in the first, and no delay has grown.
#[test]
fn a_day_of_mixing_does_not_drift() {
    struct Party {
        drift_ppm: i64,
        playout: Playout,
        sent: u64,
        frame: [i16; FRAME],
        heard: Vec<i16>,
    }
    let tones = [600u16, 1000, 1600];
    // A tone's packets repeat every 100 ms.
    let packets: Vec<Vec<[u8; FRAME]>> = tones
        .iter()
        .map(|&hz| {
            let mut tone = ToneGenerator::new(Cadence::sine(hz, -16.0));
            (0..5)
                .map(|_| {
                    let (mut frame, mut payload) = ([0i16; FRAME], [0u8; FRAME]);
                    tone.fill(&mut frame);
                    Law::A.encode_into(&frame, &mut payload);
                    payload
                })
                .collect()
        })
        .collect();
    let mut parties: Vec<Party> = [200i64, 0, -200]
        .map(|drift_ppm| Party {
            drift_ppm,
            playout: Playout::new(),
            sent: 0,
            frame: [0; FRAME],
            heard: Vec::new(),
        })
        .into();
    let ticks = 24 * 3600 * 50u64;
    let mut worst = 0;
    for tick in 0..ticks {
        let now = tick as i64 * 20_000 + 3_000;
        for (party, packets) in parties.iter_mut().zip(&packets) {
            while party.sent as i64 * 20_000 - party.sent as i64 * 20_000 * party.drift_ppm / 1_000_000 <= now {
                let payload = &packets[(party.sent % 5) as usize];
                party
                    .playout
                    .push((party.sent as u32).wrapping_mul(160), false, payload);
                party.sent += 1;
            }
            party.playout.pull(&mut Law::A, &mut party.frame);
            if tick > 3000 {
                worst = worst.max(party.playout.depth() / 8);
            }
        }
        if tick < 3000 || tick >= ticks - 3000 {
            for listener in 0..parties.len() {
                let mut sum = [0i32; FRAME];
                for (speaker, party) in parties.iter().enumerate() {
                    if speaker != listener {
                        mixer::add(&mut sum, &party.frame, Gain::UNITY);
                    }
                }
                let mut out = [0i16; FRAME];
                mixer::saturate(&sum, &mut out);
                parties[listener].heard.extend_from_slice(&out);
            }
        }
    }
    assert!(worst <= 100, "a delay of {worst} ms");
    for (listener, party) in parties.iter().enumerate() {
        let (first, last) = party.heard.split_at(3000 * FRAME);
        for (speaker, &hz) in tones.iter().enumerate() {
            let (first, last) = (median_level(&first[8000..], hz), median_level(last, hz));
            if speaker == listener {
                assert!(first < -50.0 && last < -50.0, "{listener} hears itself: {first} {last}");
            } else {
                assert!(
                    (first + 16.0).abs() < 0.5 && (last + 16.0).abs() < 0.5,
                    "{hz} Hz: {first} {last}"
                );
            }
        }
        let corrections = party.playout.counters();
        // 200 ppm of a day are 17.28 s: 864 frames.
        let frames = corrections.shortened + corrections.stretched;
        let expected = if party.drift_ppm == 0 { 0..=2 } else { 830..=900 };
        assert!(expected.contains(&frames), "{} ppm: {corrections:?}", party.drift_ppm);
    }
}

#[test]
fn described_noise_fills_a_pause_and_speech_follows() {
    let mut playout = Playout::new();
    let mut frame = [0; FRAME];
    let tick = |playout: &mut Playout, frame: &mut [i16; FRAME]| playout.pull(&mut Law::A, frame);
    for i in 0..50u32 {
        playout.push(i * 160, i == 0, &[0x2A; 160]);
        tick(&mut playout, &mut frame);
    }
    playout.push_noise(50 * 160, &[50]);
    let mut kinds = Vec::new();
    for i in 50..250u32 {
        if i % 50 == 0 {
            playout.push_noise(i * 160, &[50]);
        }
        kinds.push(tick(&mut playout, &mut frame));
    }
    let noisy = kinds.iter().filter(|&&k| k == Pulled::Noise).count();
    assert!(noisy >= 197, "{noisy} of 200 frames");
    assert_eq!(playout.counters().concealed, 0);
    let power: f64 = frame.iter().map(|&s| f64::from(s).powi(2)).sum::<f64>() / FRAME as f64;
    let dbov = 10.0 * (power / 32768f64.powi(2)).log10();
    assert!((dbov + 50.0).abs() < 2.0, "{dbov} dBov");
    let mut heard = Vec::new();
    for i in 250..260u32 {
        playout.push(i * 160, i == 250, &[0x2A; 160]);
        heard.push(tick(&mut playout, &mut frame));
    }
    assert_eq!(heard.iter().filter(|&&k| k == Pulled::Audio).count(), 9, "{heard:?}");
    assert_eq!(playout.counters().restarts, 1);
}

#[test]
fn a_sender_that_stops_in_its_pause_is_given_up_after_a_second_unless_it_described_noise() {
    let mut playout = Playout::with_units(6);
    let mut decoder = Kind::Opus.decoder().unwrap();
    let mut encoder = Kind::Opus.encoder(EncoderSettings::default()).unwrap();
    let mut frame = [0; FRAME];
    let mut payload = [0; MAX_PAYLOAD];
    for i in 0..25u32 {
        let length = encoder.encode(&[500; FRAME], &mut payload);
        playout.push(i * 960, false, &payload[..length]);
        playout.pull(&mut *decoder, &mut frame);
    }
    // Discontinuous transmission: a packet without a frame, then nothing.
    playout.push(25 * 960, false, &[0x08]);
    let kinds: Vec<Pulled> = (0..200).map(|_| playout.pull(&mut *decoder, &mut frame)).collect();
    assert!(kinds[3..40].iter().all(|&k| k == Pulled::Noise), "{kinds:?}");
    assert!(kinds[60..].iter().all(|&k| k == Pulled::Silence), "{kinds:?}");
}
