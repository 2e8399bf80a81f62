//! Text to speech: engines behind one trait, and a cache of what they said.

mod cache;
mod espeak;
mod http;

use crate::import::{ImportError, Limits, import};
use cache::Cache;
use std::future::Future;
use std::io::Cursor;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use strowger_core::spoken::Language;

pub use espeak::Espeak;
pub use http::{HttpEngine, HttpSettings};

/// Most characters of one text.
pub const MAX_TEXT: usize = 2000;
/// Most octets that an engine may answer with: five minutes of PCM at 24 kHz.
const MAX_ANSWER: usize = 16 << 20;
/// Longest speech of one text.
const MAX_MILLIS: u64 = 300_000;

/// What is to be said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Utterance {
    text: String,
    language: Language,
    voice: Option<String>,
}

impl Utterance {
    /// Checks a text and the name of a voice.
    ///
    /// # Errors
    /// [`SynthesisError::Text`] and [`SynthesisError::Voice`].
    pub fn new(text: &str, language: Language, voice: Option<&str>) -> Result<Utterance, SynthesisError> {
        let text = text.trim();
        if text.is_empty() || text.chars().count() > MAX_TEXT {
            return Err(SynthesisError::Text);
        }
        if text.chars().any(|c| c.is_control() && c != '\n') {
            return Err(SynthesisError::Text);
        }
        let plain = |v: &str| {
            let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '+' | '.');
            (1..=64).contains(&v.len()) && v.starts_with(|c: char| c.is_ascii_alphanumeric()) && v.chars().all(good)
        };
        if voice.is_some_and(|v| !plain(v)) {
            return Err(SynthesisError::Voice);
        }
        Ok(Utterance {
            text: text.to_owned(),
            language,
            voice: voice.map(str::to_owned),
        })
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its language.
    pub fn language(&self) -> Language {
        self.language
    }

    /// The voice, by the engine's name for it.
    pub fn voice(&self) -> Option<&str> {
        self.voice.as_deref()
    }
}

/// Why nothing was said. No text is repeated here: it may hold what is secret.
#[derive(Debug, thiserror::Error)]
pub enum SynthesisError {
    /// No engine is configured.
    #[error("no speech synthesiser is configured; set speech.synthesis.engine")]
    None,
    /// A text that is empty, too long or holds control characters.
    #[error("a text has 1 to {MAX_TEXT} characters and no control characters but line feeds")]
    Text,
    /// A voice's name that could not be one.
    #[error("a voice is named by 1 to 64 letters, digits and - _ + .")]
    Voice,
    /// The engine is not there.
    #[error("the speech synthesiser {engine} cannot be reached: {why}")]
    Unreachable {
        /// Which.
        engine: String,
        /// What happened.
        why: String,
    },
    /// The engine is there and refused.
    #[error("the speech synthesiser {engine} failed: {why}")]
    Failed {
        /// Which.
        engine: String,
        /// What it said.
        why: String,
    },
    /// The engine did not answer in time.
    #[error("the speech synthesiser {engine} gave no answer within {} ms", .after.as_millis())]
    Slow {
        /// Which.
        engine: String,
        /// How long it had.
        after: Duration,
    },
    /// What it answered is no sound.
    #[error("what the speech synthesiser {engine} answered cannot be played: {why}")]
    Audio {
        /// Which.
        engine: String,
        /// What is wrong.
        why: ImportError,
    },
}

impl SynthesisError {
    /// Whether the request itself is at fault.
    pub fn is_request(&self) -> bool {
        matches!(self, SynthesisError::Text | SynthesisError::Voice)
    }
}

/// The answer of an engine.
pub type Speaking<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>, SynthesisError>> + Send + 'a>>;

/// A speech synthesiser.
pub trait TextToSpeech: Send + Sync {
    /// Its name, and whatever changes how it sounds: a part of the key that its answers are cached by.
    fn identity(&self) -> String;

    /// Says something; the answer is an audio file of a kind that [`import`] reads, of at most 16 MiB.
    fn speak<'a>(&'a self, utterance: &'a Utterance) -> Speaking<'a>;
}

/// What a synthesiser did since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SynthesisStats {
    /// Texts that an engine said.
    pub said: u64,
    /// Texts that the cache knew.
    pub cached: u64,
    /// Texts that failed.
    pub failed: u64,
}

/// An engine with its cache.
pub struct Synthesiser {
    engine: Arc<dyn TextToSpeech>,
    cache: Arc<Cache>,
    said: AtomicU64,
    cached: AtomicU64,
    failed: AtomicU64,
}

impl Synthesiser {
    /// Keeps what the engine says in `folder`, up to `cache_bytes`; what was not asked for the longest goes first.
    ///
    /// # Errors
    /// The folder cannot be made or read.
    pub fn open(engine: Arc<dyn TextToSpeech>, folder: PathBuf, cache_bytes: u64) -> std::io::Result<Synthesiser> {
        Ok(Synthesiser {
            engine,
            cache: Arc::new(Cache::open(folder, cache_bytes)?),
            said: AtomicU64::new(0),
            cached: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        })
    }

    /// The engine's name.
    pub fn engine(&self) -> String {
        self.engine.identity()
    }

    /// What was done.
    pub fn stats(&self) -> SynthesisStats {
        SynthesisStats {
            said: self.said.load(Ordering::Relaxed),
            cached: self.cached.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
        }
    }

    /// Samples of what was said, 8 kHz mono: from the cache, or from the engine.
    ///
    /// # Errors
    /// [`SynthesisError`].
    pub async fn speak(&self, utterance: &Utterance) -> Result<Vec<i16>, SynthesisError> {
        let key = cache::key(&self.engine.identity(), utterance);
        let (cache, wanted) = (self.cache.clone(), key.clone());
        let known = tokio::task::spawn_blocking(move || cache.get(&wanted)).await;
        if let Ok(Some(samples)) = known {
            self.cached.fetch_add(1, Ordering::Relaxed);
            return Ok(samples);
        }
        let said = self.ask(utterance).await;
        let count = if said.is_ok() { &self.said } else { &self.failed };
        count.fetch_add(1, Ordering::Relaxed);
        let samples = said?;
        let (cache, kept) = (self.cache.clone(), samples.clone());
        // A cache that cannot be written costs time and no speech.
        let written = tokio::task::spawn_blocking(move || cache.put(&key, &kept)).await;
        if let Ok(Err(why)) = written {
            tracing::warn!(%why, "synthesised speech could not be cached");
        }
        Ok(samples)
    }

    async fn ask(&self, utterance: &Utterance) -> Result<Vec<i16>, SynthesisError> {
        let audio = |why| SynthesisError::Audio {
            engine: self.engine.identity(),
            why,
        };
        let file = self.engine.speak(utterance).await?;
        let limits = Limits {
            millis: MAX_MILLIS,
            ..Limits::default()
        };
        let read = tokio::task::spawn_blocking(move || import(Cursor::new(file), limits)).await;
        match read {
            Ok(Ok(sound)) => Ok(sound.samples),
            Ok(Err(why)) => Err(audio(why)),
            Err(e) => Err(audio(ImportError::Io(std::io::Error::other(e.to_string())))),
        }
    }
}
