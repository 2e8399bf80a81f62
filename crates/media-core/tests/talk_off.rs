//! Speech is no digit, no fax and no silence: the shipped announcements, in both languages, through the detectors.

use std::path::Path;
use strowger_media_core::FRAME;
use strowger_media_core::listen::{BeepDetector, DigitDetector, FaxDetector, Voice, VoiceDetector};
use strowger_media_core::wav;

/// Every shipped sound, by its path below `sounds/`.
fn sounds() -> Vec<(String, Vec<i16>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sounds");
    let mut found = Vec::new();
    for folder in ["", "en", "zh", "en/units", "zh/units"] {
        let Ok(entries) = std::fs::read_dir(root.join(folder)) else {
            continue;
        };
        for path in entries.flatten().map(|e| e.path()) {
            if path.extension().is_some_and(|e| e == "wav") {
                #[expect(clippy::disallowed_methods, reason = "a test reads the shipped sounds")]
                let bytes = std::fs::read(&path).unwrap();
                found.push((path.display().to_string(), wav::read(&bytes).unwrap()));
            }
        }
    }
    assert!(found.len() >= 17, "{} sounds", found.len());
    found
}

#[test]
fn speech_and_music_give_no_digit_no_fax_and_no_beep() {
    for (name, samples) in sounds() {
        // Also slower, faster, quieter and clipped.
        for (gain, step) in [(1.0, 1.0), (3.0, 1.0), (0.3, 1.0), (1.0, 0.9), (1.0, 1.1), (1.0, 1.2)] {
            let (mut digits, mut fax, mut beep) = (
                DigitDetector::default(),
                FaxDetector::default(),
                BeepDetector::default(),
            );
            let stretched: Vec<i16> = (0..)
                .map(|i| (i as f32 * step) as usize)
                .take_while(|&i| i < samples.len())
                .map(|i| (f32::from(samples[i]) * gain).clamp(-32768.0, 32767.0) as i16)
                .collect();
            let silence = [0; 1600];
            let stretched: Vec<i16> = stretched.into_iter().chain(silence).collect();
            for frame in stretched.as_chunks::<FRAME>().0 {
                assert_eq!(digits.hear(frame), None, "{name}, {gain}, {step}");
                assert_eq!(fax.hear(frame), None, "{name}, {gain}, {step}");
                assert!(!beep.hear(frame), "{name}, {gain}, {step}");
            }
        }
    }
}

#[test]
fn announcements_are_voices() {
    for (name, samples) in sounds().into_iter().filter(|(name, _)| !name.contains("hold")) {
        let mut detector = VoiceDetector::default();
        let silence = [0i16; 8000];
        let whole: Vec<i16> = silence.iter().chain(&samples).chain(&silence).copied().collect();
        let changes: Vec<Voice> = whole
            .as_chunks::<FRAME>()
            .0
            .iter()
            .filter_map(|f| detector.hear(f))
            .collect();
        assert!(
            !changes.is_empty() && changes.len().is_multiple_of(2),
            "{name}: {changes:?}"
        );
    }
}
