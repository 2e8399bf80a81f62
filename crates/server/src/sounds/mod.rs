//! The sounds that the platform plays by itself. They are built into the binary, and a folder of the configuration
//! replaces them file by file.

pub mod units;

use crate::config::Language;
use std::borrow::Cow;
use std::path::Path;

/// A prompt or music that nobody had to upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sound {
    /// A sample greeting: we are connecting your call.
    Greeting,
    /// One minute of this call remains.
    LastMinute,
    /// The called party is on another call.
    Busy,
    /// The called party does not answer.
    NoAnswer,
    /// The called party cannot be reached, or does not want to be.
    Unreachable,
    /// The number does not exist.
    Invalid,
    /// The call could not be connected, for any other reason.
    Failed,
    /// What the speaking numbers of the lab say.
    LabSpeech,
    /// Hold music; it is silent at both ends and can be repeated.
    Hold,
}

macro_rules! shipped {
    ($file:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../sounds/", $file))
    };
}

impl Sound {
    /// Every sound, for loading and for tests.
    pub const ALL: [Sound; 9] = [
        Sound::Greeting,
        Sound::LastMinute,
        Sound::Busy,
        Sound::NoAnswer,
        Sound::Unreachable,
        Sound::Invalid,
        Sound::Failed,
        Sound::LabSpeech,
        Sound::Hold,
    ];

    /// The file's path below a folder of sounds.
    pub const fn file(self, language: Language) -> &'static str {
        match (self, language) {
            (Sound::Greeting, Language::Zh) => "zh/greeting.wav",
            (Sound::Greeting, Language::En) => "en/greeting.wav",
            (Sound::LastMinute, Language::Zh) => "zh/last-minute.wav",
            (Sound::LastMinute, Language::En) => "en/last-minute.wav",
            (Sound::Busy, Language::Zh) => "zh/busy.wav",
            (Sound::Busy, Language::En) => "en/busy.wav",
            (Sound::NoAnswer, Language::Zh) => "zh/no-answer.wav",
            (Sound::NoAnswer, Language::En) => "en/no-answer.wav",
            (Sound::Unreachable, Language::Zh) => "zh/unreachable.wav",
            (Sound::Unreachable, Language::En) => "en/unreachable.wav",
            (Sound::Invalid, Language::Zh) => "zh/invalid.wav",
            (Sound::Invalid, Language::En) => "en/invalid.wav",
            (Sound::Failed, Language::Zh) => "zh/failed.wav",
            (Sound::Failed, Language::En) => "en/failed.wav",
            (Sound::LabSpeech, Language::Zh) => "zh/lab-speech.wav",
            (Sound::LabSpeech, Language::En) => "en/lab-speech.wav",
            (Sound::Hold, _) => "hold.wav",
        }
    }

    /// The shipped WAV file: PCM 16 bit, 8 kHz, mono.
    pub const fn shipped(self, language: Language) -> &'static [u8] {
        match (self, language) {
            (Sound::Greeting, Language::Zh) => shipped!("zh/greeting.wav"),
            (Sound::Greeting, Language::En) => shipped!("en/greeting.wav"),
            (Sound::LastMinute, Language::Zh) => shipped!("zh/last-minute.wav"),
            (Sound::LastMinute, Language::En) => shipped!("en/last-minute.wav"),
            (Sound::Busy, Language::Zh) => shipped!("zh/busy.wav"),
            (Sound::Busy, Language::En) => shipped!("en/busy.wav"),
            (Sound::NoAnswer, Language::Zh) => shipped!("zh/no-answer.wav"),
            (Sound::NoAnswer, Language::En) => shipped!("en/no-answer.wav"),
            (Sound::Unreachable, Language::Zh) => shipped!("zh/unreachable.wav"),
            (Sound::Unreachable, Language::En) => shipped!("en/unreachable.wav"),
            (Sound::Invalid, Language::Zh) => shipped!("zh/invalid.wav"),
            (Sound::Invalid, Language::En) => shipped!("en/invalid.wav"),
            (Sound::Failed, Language::Zh) => shipped!("zh/failed.wav"),
            (Sound::Failed, Language::En) => shipped!("en/failed.wav"),
            (Sound::LabSpeech, Language::Zh) => shipped!("zh/lab-speech.wav"),
            (Sound::LabSpeech, Language::En) => shipped!("en/lab-speech.wav"),
            (Sound::Hold, _) => shipped!("hold.wav"),
        }
    }

    /// The WAV file to play: the operator's if `folder` has one, else the shipped one. A file that is there and cannot
    /// be read is an error, so that a wrong permission does not silently bring the shipped voice back.
    pub fn wav(self, language: Language, folder: Option<&Path>) -> std::io::Result<Cow<'static, [u8]>> {
        if let Some(folder) = folder {
            match std::fs::read(folder.join(self.file(language))) {
                Ok(bytes) => return Ok(bytes.into()),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(e) => return Err(e),
            }
        }
        Ok(self.shipped(language).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_sound_is_short_pcm_at_8_khz() {
        for language in [Language::Zh, Language::En] {
            for sound in Sound::ALL {
                let wav = sound.shipped(language);
                assert_eq!(&wav[..4], b"RIFF", "{sound:?}");
                // Format 1 (PCM), one channel, 8,000 samples a second, 16 bits.
                assert_eq!(wav[20..28], [1, 0, 1, 0, 0x40, 0x1f, 0, 0], "{sound:?}");
                assert_eq!(wav[34..36], [16, 0], "{sound:?}");
                let seconds = (wav.len() - 44) / 16_000;
                assert!((2..20).contains(&seconds), "{sound:?} lasts {seconds} s");
            }
        }
    }

    #[test]
    fn a_folder_replaces_file_by_file() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("en")).unwrap();
        std::fs::write(folder.path().join("en/busy.wav"), b"mine").unwrap();
        let wav = |s: Sound| s.wav(Language::En, Some(folder.path())).unwrap();
        assert_eq!(&*wav(Sound::Busy), b"mine");
        assert_eq!(&*wav(Sound::Hold), Sound::Hold.shipped(Language::En));
    }
}
