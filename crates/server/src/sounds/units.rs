//! The recorded units that dates, money, numbers and digits are made of. They are built into the binary, and the folder of
//! the configuration replaces them file by file; what is missing then may be said by the engine that speaks texts.

use crate::config::MissingUnits;
use std::borrow::Cow;
use std::path::Path;
use strowger_core::spoken::{Language, UnitText, units};
use strowger_speech::synthesis::{SynthesisError, Synthesiser, Utterance};

macro_rules! shipped {
    ($language:literal: $($unit:literal)+) => {
        &[$(($unit, include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../sounds/", $language, "/units/", $unit, ".wav")))),+]
    };
}

/// Names and A-law WAV files.
type Shipped = &'static [(&'static str, &'static [u8])];

const CHINESE: Shipped = shipped! { "zh":
        "0" "1" "2" "3" "4" "5" "6" "7" "8" "9" "1-yao" "2-liang" "10" "100" "1000" "10000" "100000000"
        "minus" "point" "year" "month" "day" "hour" "minute" "second" "sharp" "yuan" "jiao" "fen" "star"
        "hash" "plus" "code-intro" "place-intro" "place-end" "wait-intro" "wait-end" "a" "b" "c" "d" "e" "f" "g" "h" "i" "j" "k" "l" "m" "n" "o" "p" "q" "r" "s"
        "t" "u" "v" "w" "x" "y" "z"
};

const ENGLISH: Shipped = shipped! { "en":
        "0" "1" "2" "3" "4" "5" "6" "7" "8" "9" "10" "11" "12" "13" "14" "15" "16" "17" "18" "19" "20" "30"
        "40" "50" "60" "70" "80" "90" "hundred" "thousand" "million" "billion" "minus" "point" "and" "oh"
        "1st" "2nd" "3rd" "4th" "5th" "6th" "7th" "8th" "9th" "10th" "11th" "12th" "13th" "14th" "15th" "16th"
        "17th" "18th" "19th" "20th" "30th" "january" "february" "march" "april" "may" "june" "july" "august"
        "september" "october" "november" "december" "am" "pm" "second" "seconds" "yuan" "fen" "dollar"
        "dollars" "cent" "cents" "euro" "euros" "pound" "pounds" "penny" "pence" "star" "hash" "plus"
        "code-intro" "place-intro" "place-end" "wait-intro" "wait-end" "wait-end-one" "a" "b" "c" "d" "e" "f" "g" "h" "i" "j" "k" "l" "m" "n" "o" "p" "q" "r" "s" "t" "u" "v"
        "w" "x" "y" "z"
};

fn shipped(language: Language, unit: &str) -> Option<&'static [u8]> {
    let all = match language {
        Language::Chinese => CHINESE,
        Language::English => ENGLISH,
    };
    all.iter().find(|(name, _)| *name == unit).map(|(_, file)| *file)
}

/// A recording with its language and its unit.
pub type Unit = (Language, &'static str, Cow<'static, [u8]>);

/// A unit that nobody has recorded.
pub type Missing = (Language, UnitText);

/// Every unit of both languages: the operator's file if `folder` has one, else the shipped one if that is wanted. What has
/// no recording then.
///
/// # Errors
/// The path of a file that is there and cannot be read, and why.
pub fn load(
    folder: Option<&Path>,
    else_from: MissingUnits,
) -> Result<(Vec<Unit>, Vec<Missing>), (String, std::io::Error)> {
    let (mut out, mut missing) = (Vec::new(), Vec::new());
    for language in Language::ALL {
        for unit in units(language) {
            let path = format!("{}/units/{}.wav", language.code(), unit.unit);
            let file = match folder.map(|f| std::fs::read(f.join(&path))) {
                Some(Ok(bytes)) => Some(Cow::Owned(bytes)),
                Some(Err(e)) if e.kind() != std::io::ErrorKind::NotFound => return Err((path, e)),
                _ if else_from == MissingUnits::Spoken => None,
                _ => shipped(language, unit.unit).map(Cow::Borrowed),
            };
            match file {
                Some(file) => out.push((language, unit.unit, file)),
                None => missing.push((language, *unit)),
            }
        }
    }
    Ok((out, missing))
}

/// A unit that an engine has said, as samples.
pub type Spoken = (Language, &'static str, Vec<i16>);

/// Quieter samples at either end of what an engine says are silence.
const SILENCE: u16 = 100;

/// Has the engine say units, one after another; what it said at an earlier start comes from its cache.
///
/// # Errors
/// The unit that it could not say, and why.
pub async fn say(engine: &Synthesiser, missing: &[Missing]) -> Result<Vec<Spoken>, (String, SynthesisError)> {
    let mut out = Vec::new();
    for (language, unit) in missing {
        let named = |e| (format!("{}/units/{}", language.code(), unit.unit), e);
        let utterance = Utterance::new(unit.text, *language, None).map_err(named)?;
        let samples = engine.speak(&utterance).await.map_err(named)?;
        out.push((*language, unit.unit, trimmed(&samples).to_vec()));
    }
    Ok(out)
}

/// Without the silence at both ends, which would be heard as a gap between two units.
fn trimmed(samples: &[i16]) -> &[i16] {
    let loud = |s: &i16| s.unsigned_abs() > SILENCE;
    match (samples.iter().position(loud), samples.iter().rposition(loud)) {
        (Some(from), Some(to)) => &samples[from..=to],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strowger_core::spoken::{Kind, Manner, Piece, captcha, speak};
    use strowger_media_core::wav;
    use strowger_runtime::SoundLibrary;

    fn decibels(samples: &[i16]) -> f64 {
        let sum: f64 = samples.iter().map(|&s| f64::from(s).powi(2)).sum();
        10.0 * (sum / samples.len() as f64 / 32768f64.powi(2)).log10()
    }

    #[test]
    fn every_unit_is_shipped_short_trimmed_and_as_loud_as_the_others() {
        let mut bytes = 0;
        for language in Language::ALL {
            for unit in units(language) {
                let name = format!("{}/{}", language.code(), unit.unit);
                let file = shipped(language, unit.unit).unwrap_or_else(|| panic!("{name} is missing"));
                bytes += file.len();
                let samples = wav::read(file).unwrap();
                let limit = if unit.unit.ends_with("-intro") { 2500 } else { 1000 };
                let ms = samples.len() / 8;
                assert!((100..limit).contains(&ms), "{name} lasts {ms} ms");
                let level = decibels(&samples);
                assert!((-26.0..-20.0).contains(&level), "{name}: {level} dBFS");
                // 20 ms at either end are not silent.
                for edge in [&samples[..160], &samples[samples.len() - 160..]] {
                    assert!(edge.iter().any(|&s| s.abs() > 16), "{name} begins or ends in silence");
                }
            }
        }
        assert!(bytes < 1 << 20, "{bytes} bytes of units");
        assert_eq!(CHINESE.len(), units(Language::Chinese).len());
        assert_eq!(ENGLISH.len(), units(Language::English).len());
    }

    fn library(folder: Option<&Path>) -> (tempfile::TempDir, SoundLibrary) {
        let data = tempfile::tempdir().unwrap();
        let key = strowger_store::MasterKey::new([7; 32]);
        let store = strowger_store::Store::open(strowger_store::StoreConfig::new(data.path(), key)).unwrap();
        let any = shipped(Language::Chinese, "0").unwrap();
        let builtins = strowger_core::call::Builtin::ALL.map(|b| (b.file(), any.to_vec()));
        let library = SoundLibrary::new(store, data.path().into(), &builtins).unwrap();
        (
            data,
            library
                .with_units(load(folder, MissingUnits::Shipped).unwrap().0)
                .unwrap(),
        )
    }

    /// The steepest step between two samples.
    fn step(samples: &[i16]) -> i32 {
        let steps = samples.windows(2).map(|w| i32::from(w[1]) - i32::from(w[0]));
        steps.map(i32::abs).max().unwrap_or(0)
    }

    #[test]
    fn what_is_composed_is_loud_enough_and_has_no_clicks() {
        let (_data, library) = library(None);
        for language in Language::ALL {
            // Nothing in the whole is steeper than in its parts at their common level.
            let alone = |unit| library.compose(language, &[Piece::Unit(unit)]).unwrap();
            let steepest = units(language).iter().map(|u| step(alone(u.unit).pcm())).max().unwrap();
            for (kind, text) in [
                (Kind::Time, "2024-02-29 14:05:09"),
                (Kind::Money, "-1203.45"),
                (Kind::Number, "100020002.000001"),
                (Kind::Digits, "A7*0#+13800138000"),
                (Kind::Place, "3 12"),
            ] {
                let pieces = speak(kind, text, language, &Manner::default()).unwrap();
                let sound = library.compose(language, &pieces).unwrap();
                assert!(
                    (1500..30_000).contains(&sound.millis()),
                    "{text}: {} ms",
                    sound.millis()
                );
                let step = step(sound.pcm());
                assert!(step <= steepest, "{text}: {step} > {steepest}");
                let voiced: Vec<i16> = sound.pcm().iter().copied().filter(|s| s.abs() > 64).collect();
                let level = decibels(&voiced);
                assert!((-24.0..-17.0).contains(&level), "{text}: {level}");
            }
            let code = captcha("aB3d", language, &Manner::default()).unwrap();
            let code = library.compose(language, &code).unwrap();
            assert!((2500..6000).contains(&code.millis()), "{} ms", code.millis());
        }
    }

    #[test]
    fn the_guide_lists_every_unit_with_its_words() {
        let guide = include_str!("../../../../docs/sounds.md");
        let (_, chinese) = guide.split_once("## Chinese units").unwrap();
        let (chinese, english) = chinese.split_once("## English units").unwrap();
        for (language, part) in [(Language::Chinese, chinese), (Language::English, english)] {
            for unit in units(language) {
                let row = format!("| `{}` | {} |\n", unit.unit, unit.text);
                assert!(part.contains(&row), "docs/sounds.md lacks {row}");
            }
        }
    }

    #[test]
    fn a_folder_replaces_units_one_by_one() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("en/units")).unwrap();
        let mut second = wav::header(1, 8000, 16_000).to_vec();
        second.extend((0..8000i16).flat_map(|i| (i % 64 * 200).to_le_bytes()));
        std::fs::write(folder.path().join("en/units/1.wav"), second).unwrap();
        let (_data, library) = library(Some(folder.path()));
        let length = |unit| {
            let sound = library.compose(Language::English, &[Piece::Unit(unit)]);
            sound.unwrap().millis()
        };
        assert_eq!(length("1"), 1000);
        assert!(length("2") < 800);
    }

    /// Says everything as half a second of a tone between two silences; a hash never.
    struct Teller;

    impl strowger_speech::synthesis::TextToSpeech for Teller {
        fn identity(&self) -> String {
            "teller".to_owned()
        }

        fn speak<'a>(&'a self, utterance: &'a Utterance) -> strowger_speech::synthesis::Speaking<'a> {
            let fails = utterance.text() == "井";
            Box::pin(async move {
                if fails {
                    return Err(SynthesisError::Failed {
                        engine: self.identity(),
                        why: "out of order".to_owned(),
                    });
                }
                let mut file = wav::header(1, 8000, 16_000).to_vec();
                let tone = |i: i16| {
                    if (2000..6000).contains(&i) {
                        i % 16 * 500 - 4000
                    } else {
                        0
                    }
                };
                file.extend((0..8000i16).flat_map(|i| tone(i).to_le_bytes()));
                Ok(file)
            })
        }
    }

    #[tokio::test]
    async fn units_that_nobody_recorded_are_said_once_and_without_their_silence() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("en/units")).unwrap();
        std::fs::write(
            folder.path().join("en/units/1.wav"),
            shipped(Language::English, "1").unwrap(),
        )
        .unwrap();
        let (recorded, missing) = load(Some(folder.path()), MissingUnits::Spoken).unwrap();
        assert_eq!(recorded.len(), 1);
        let all: usize = Language::ALL.iter().map(|l| units(*l).len()).sum();
        assert_eq!(missing.len(), all - 1);
        let cache = tempfile::tempdir().unwrap();
        let engine = Synthesiser::open(std::sync::Arc::new(Teller), cache.path().into(), 1 << 24).unwrap();
        let english: Vec<Missing> = missing.iter().filter(|m| m.0 == Language::English).copied().collect();
        let said = say(&engine, &english).await.unwrap();
        // Two pairs of units have the same words.
        let asked = engine.stats();
        assert_eq!(
            (said.len(), asked.said + asked.cached),
            (english.len(), english.len() as u64)
        );
        let again = say(&engine, &english).await.unwrap();
        assert_eq!((again, engine.stats().said), (said.clone(), asked.said));
        let (_data, library) = library(Some(folder.path()));
        let library = library.with_spoken_units(said);
        let two = library.compose(Language::English, &[Piece::Unit("2")]).unwrap();
        assert!((495..=500).contains(&two.millis()), "{} ms", two.millis());
        let one = library.compose(Language::English, &[Piece::Unit("1")]).unwrap();
        assert_ne!(one.millis(), two.millis(), "a recording goes before");
        let (unit, why) = say(&engine, &missing).await.unwrap_err();
        assert!(
            unit == "zh/units/hash" && why.to_string().contains("out of order"),
            "{unit}: {why}"
        );
    }

    #[test]
    fn a_file_that_is_no_sound_is_named_at_start() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("zh/units")).unwrap();
        std::fs::write(folder.path().join("zh/units/10000.wav"), b"no sound").unwrap();
        let (_data, library) = library(None);
        let error = library
            .with_units(load(Some(folder.path()), MissingUnits::Shipped).unwrap().0)
            .err();
        assert!(error.unwrap().to_string().contains("zh/units/10000"));
    }
}
