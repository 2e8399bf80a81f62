//! Who has answered, told from real speech: the shipped announcements stand for the greetings of machines, and single
//! spoken words for what a person says.

use std::path::Path;
use strowger_media_core::FRAME;
use strowger_media_core::g711::Law;
use strowger_media_core::listen::{BeepDetector, Heard, Listen, Listener, MachineSettings, Verdict, Who};
use strowger_media_core::tone::{Cadence, ToneGenerator};
use strowger_media_core::wav;

fn sound(name: &str) -> Vec<i16> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sounds").join(name);
    #[expect(clippy::disallowed_methods, reason = "a test reads the shipped sounds")]
    let bytes = std::fs::read(path).unwrap();
    wav::read(&bytes).unwrap()
}

/// After so many ms of line noise the sounds one after another, and then noise; companded as a trunk has it.
fn call(after_ms: usize, sounds: &[&[i16]]) -> Vec<i16> {
    let mut samples = vec![0i16; after_ms * 8];
    for sound in sounds {
        samples.extend(*sound);
    }
    samples.resize(samples.len() + 8000 * 6, 0);
    let mut seed = 1u32;
    for s in &mut samples {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // About -60 dBFS.
        let noise = (seed >> 24) as i16 / 4 - 32;
        *s = Law::A.decode(Law::A.encode(s.saturating_add(noise)));
    }
    samples
}

fn verdict(samples: &[i16]) -> Verdict {
    let mut listener = Listener::default();
    listener.want(Listen {
        machine: Some(MachineSettings::default()),
        ..Listen::default()
    });
    let mut verdict = None;
    for frame in samples.as_chunks::<FRAME>().0 {
        listener.hear(frame, |heard| {
            if let Heard::Answered(v) = heard {
                assert!(verdict.replace(v).is_none(), "one verdict");
            }
        });
    }
    verdict.expect("a verdict")
}

#[test]
fn announcements_are_machines_and_words_are_people() {
    for language in ["zh", "en"] {
        for name in ["unreachable", "no-answer", "failed", "invalid", "lab-speech"] {
            let greeting = sound(&format!("{language}/{name}.wav"));
            for after in [100, 600, 1500] {
                let v = verdict(&call(after, &[&greeting]));
                assert_eq!(v.who, Who::Machine, "{language} {name} after {after} ms: {v:?}");
                assert!(v.confidence >= 60, "{language} {name}: {v:?}");
            }
        }
        for name in ["0", "1", "5", "10", "a", "m"] {
            let word = sound(&format!("{language}/units/{name}.wav"));
            for after in [100, 600, 1500] {
                let v = verdict(&call(after, &[&word]));
                assert_eq!(v.who, Who::Human, "{language} {name} after {after} ms: {v:?}");
                assert!(v.confidence >= 60, "{language} {name}: {v:?}");
            }
        }
    }
}

#[test]
fn a_greeting_is_followed_by_one_beep() {
    for language in ["zh", "en"] {
        let greeting = sound(&format!("{language}/unreachable.wav"));
        for hz in [440, 1000, 1400] {
            let mut beep = vec![0; 8 * 400];
            ToneGenerator::new(Cadence::once(400, [hz, 0], 0, -20.0)).fill(&mut beep);
            let pause = vec![0; 8 * 500];
            let samples = call(300, &[&greeting, &pause, &beep]);
            let mut detector = BeepDetector::default();
            let at: Vec<usize> = (samples.as_chunks::<FRAME>().0.iter().enumerate())
                .filter(|(_, f)| detector.hear(f))
                .map(|(i, _)| (i + 1) * 20)
                .collect();
            let end = 300 + greeting.len() / 8 + 500 + 400;
            assert_eq!(at.len(), 1, "{language} {hz} Hz: {at:?}, it ends at {end}");
            assert!(
                (end..end + 200).contains(&at[0]),
                "{language} {hz} Hz: {at:?}, it ends at {end}"
            );
        }
    }
}

#[test]
fn a_fax_machine_is_one_whichever_side_it_takes() {
    for (hz, on, off) in [(1100, 500, 3000), (2100, 3000, 0)] {
        let mut tone = vec![0; 8 * 4000];
        ToneGenerator::new(Cadence::once(on, [hz, 0], off, -20.0)).fill(&mut tone);
        for after in [200, 1500] {
            let v = verdict(&call(after, &[&tone]));
            assert_eq!(v.who, Who::Fax, "{hz} Hz after {after} ms: {v:?}");
        }
    }
}
