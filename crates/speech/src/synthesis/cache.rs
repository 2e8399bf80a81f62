//! What was said before, on disk.

use super::Utterance;
use crate::import::to_wav;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use strowger_media_core::wav;

/// The name of a file: a digest, so that nobody reads texts from the names.
pub(super) fn key(engine: &str, utterance: &Utterance) -> String {
    let mut digest = Sha256::new();
    let parts = [
        engine,
        utterance.language().code(),
        utterance.voice().unwrap_or(""),
        utterance.text(),
    ];
    for part in parts {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    hex::encode(digest.finalize())
}

/// A folder of WAV files within a bound.
pub(super) struct Cache {
    folder: PathBuf,
    limit: u64,
    index: Mutex<Index>,
}

#[derive(Default)]
struct Index {
    /// Octets, and when it was last used, by key.
    files: HashMap<String, (u64, u64)>,
    bytes: u64,
    clock: u64,
}

impl Cache {
    pub(super) fn open(folder: PathBuf, limit: u64) -> io::Result<Cache> {
        std::fs::create_dir_all(&folder)?;
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            match name.strip_suffix(".wav") {
                Some(key) => {
                    let data = entry.metadata()?;
                    found.push((data.modified()?, key.to_owned(), data.len()));
                }
                // A write that did not end.
                None if name.ends_with(".part") => std::fs::remove_file(entry.path())?,
                None => {}
            }
        }
        found.sort();
        let cache = Cache {
            folder,
            limit,
            index: Mutex::default(),
        };
        for (_, key, bytes) in found {
            cache.note(key, bytes);
        }
        Ok(cache)
    }

    /// Counts a file in, and others out.
    fn note(&self, key: String, bytes: u64) {
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        index.clock += 1;
        let now = index.clock;
        if let Some((old, _)) = index.files.insert(key, (bytes, now)) {
            index.bytes -= old;
        }
        index.bytes += bytes;
        while index.bytes > self.limit {
            let oldest = index.files.iter().min_by_key(|(_, (_, used))| *used);
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else {
                return;
            };
            self.forget(&mut index, &oldest);
        }
    }

    fn forget(&self, index: &mut Index, key: &str) {
        if let Some((bytes, _)) = index.files.remove(key) {
            index.bytes -= bytes;
        }
        // A file that is gone already is what is wanted.
        let _ = std::fs::remove_file(self.folder.join(format!("{key}.wav")));
    }

    pub(super) fn get(&self, key: &str) -> Option<Vec<i16>> {
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        index.clock += 1;
        let now = index.clock;
        index.files.get_mut(key)?.1 = now;
        drop(index);
        let file = std::fs::read(self.folder.join(format!("{key}.wav")));
        let samples = file.ok().and_then(|f| wav::read(&f).ok()).filter(|s| !s.is_empty());
        if samples.is_none() {
            self.forget(&mut self.index.lock().unwrap_or_else(PoisonError::into_inner), key);
        }
        samples
    }

    pub(super) fn put(&self, key: &str, samples: &[i16]) -> io::Result<()> {
        let file = to_wav(samples);
        let bytes = file.len() as u64;
        if bytes > self.limit {
            return Ok(());
        }
        let part = self.folder.join(format!("{key}.part"));
        std::fs::write(&part, file)?;
        std::fs::rename(&part, self.folder.join(format!("{key}.wav")))?;
        self.note(key.to_owned(), bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &std::path::Path) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn what_was_not_asked_for_the_longest_goes_first() {
        let folder = tempfile::tempdir().unwrap();
        // Room for three files of 44 + 200 octets.
        let open = || Cache::open(folder.path().to_owned(), 740).unwrap();
        let cache = open();
        for key in ["a", "b", "c"] {
            cache.put(key, &[7; 100]).unwrap();
        }
        assert_eq!(cache.get("a"), Some(vec![7; 100]));
        cache.put("d", &[8; 100]).unwrap();
        assert_eq!(names(folder.path()), ["a.wav", "c.wav", "d.wav"]);
        assert_eq!(cache.get("b"), None);
        // Larger than everything: not kept, and nothing goes for it.
        cache.put("e", &[9; 500]).unwrap();
        assert_eq!(names(folder.path()).len(), 3);
        // A new start finds them, removes what is half-written, and passes over what is damaged.
        std::fs::write(folder.path().join("f.part"), b"half").unwrap();
        std::fs::write(folder.path().join("c.wav"), b"damaged").unwrap();
        let cache = open();
        assert_eq!(cache.get("d"), Some(vec![8; 100]));
        assert_eq!(cache.get("c"), None);
        assert_eq!(names(folder.path()), ["a.wav", "d.wav"]);
    }

    #[test]
    fn keys_differ_wherever_the_sound_could() {
        let say = |text, voice| Utterance::new(text, strowger_core::spoken::Language::English, voice).unwrap();
        let keys = [
            key("e", &say("hello", None)),
            key("f", &say("hello", None)),
            key("e", &say("hello", Some("v"))),
            key("e", &say("hello there", None)),
        ];
        for (i, one) in keys.iter().enumerate() {
            assert!(keys.iter().skip(i + 1).all(|other| one != other));
            assert!(!one.contains("hello"));
        }
    }
}
