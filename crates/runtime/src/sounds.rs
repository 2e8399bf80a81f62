//! Sounds by name: the tenant's prompts from a folder, and those that the platform ships.

use crate::compose::{ComposeError, Units};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};
use strowger_core::call::{Builtin, Sound as Wanted, Tone};
use strowger_core::spoken::{Language, Piece};
use strowger_core::{ApplicationId, TenantId};
use strowger_media::{Sound, SoundRef};
use strowger_media_core::tone;
use strowger_store::Store;
use strowger_store::config::PromptState;

/// Decoded sounds, each once.
pub struct SoundLibrary {
    store: Store,
    prompts: PathBuf,
    shipped: HashMap<&'static str, Arc<Sound>>,
    units: Units,
    /// By checksum, so that a replaced file is read anew and equal files are kept once.
    decoded: RwLock<Decoded>,
    /// Whose supervisory tones are played.
    country: String,
}

/// Sounds in memory, with what they take.
#[derive(Default)]
struct Decoded {
    sounds: HashMap<String, Arc<Sound>>,
    bytes: usize,
}

/// The shipped sound under a [`Builtin::file`] name that could not be used.
#[derive(Debug, thiserror::Error)]
#[error("the shipped sound {name} cannot be used: {why}")]
pub struct BadSound {
    /// Which.
    pub name: String,
    /// What is wrong with it.
    pub why: String,
}

/// Memory for decoded prompts, about two hours of them; beyond it the cache starts anew.
const MAX_DECODED_BYTES: usize = 256 << 20;
/// How long a tone tells that a call failed: 6 s.
const FAILURE_SAMPLES: usize = 6 * 8000;
/// A decoded sample: linear, A-law and µ-law.
const BYTES_A_SAMPLE: usize = 4;

impl SoundLibrary {
    /// A library over a folder of prompt files and the shipped sounds, given as (name, WAV file).
    ///
    /// # Errors
    /// A shipped sound that is missing or cannot be decoded: better at start than in a call.
    pub fn new(store: Store, prompts: PathBuf, shipped: &[(&'static str, Vec<u8>)]) -> Result<SoundLibrary, BadSound> {
        let mut decoded = HashMap::new();
        for (name, file) in shipped {
            let sound = Sound::from_wav(file).map_err(|e| BadSound {
                name: (*name).into(),
                why: e.to_string(),
            })?;
            decoded.insert(*name, Arc::new(sound));
        }
        for builtin in Builtin::ALL {
            if !decoded.contains_key(builtin.file()) {
                return Err(BadSound {
                    name: builtin.file().into(),
                    why: "it is missing".into(),
                });
            }
        }
        Ok(SoundLibrary {
            store,
            prompts,
            shipped: decoded,
            units: Units::default(),
            decoded: RwLock::default(),
            country: "CN".to_owned(),
        })
    }

    /// The same with the supervisory tones of a country (ISO 3166-1 alpha-2); China's unless this is called.
    pub fn with_tones_of(mut self, country: &str) -> SoundLibrary {
        country.clone_into(&mut self.country);
        self
    }

    /// Adds the units that spoken data is made of, given as (language, unit, WAV file).
    ///
    /// # Errors
    /// A recording that cannot be decoded. One that is missing is no error before it is needed.
    pub fn with_units<'a>(
        mut self,
        files: impl IntoIterator<Item = (Language, &'static str, std::borrow::Cow<'a, [u8]>)>,
    ) -> Result<SoundLibrary, BadSound> {
        for (language, unit, file) in files {
            let sound = Sound::from_wav(&file).map_err(|e| BadSound {
                name: format!("{}/units/{unit}", language.code()),
                why: e.to_string(),
            })?;
            self.units.add(language, unit, &sound);
        }
        Ok(self)
    }

    /// Adds units that an engine has said, given as (language, unit, 8 kHz samples).
    pub fn with_spoken_units(
        mut self,
        said: impl IntoIterator<Item = (Language, &'static str, Vec<i16>)>,
    ) -> SoundLibrary {
        for (language, unit, samples) in said {
            self.units.add(language, unit, &Sound::from_samples(samples));
        }
        self
    }

    /// What [`spoken`](strowger_core::spoken) made of a text, as one sound. Takes about a millisecond for each ten
    /// seconds of sound that was not asked for lately, and waits for nothing.
    ///
    /// # Errors
    /// [`ComposeError`]: a unit has no recording.
    pub fn compose(&self, language: Language, pieces: &[Piece]) -> Result<Arc<Sound>, ComposeError> {
        self.units.compose(language, pieces)
    }

    /// The sound that a name means in an application.
    pub fn find(&self, tenant: TenantId, application: ApplicationId, wanted: &Wanted) -> Option<SoundRef> {
        match wanted {
            Wanted::Tone(Tone::Ringback) => {
                let config = self.store.snapshot();
                let own = config.tenant(tenant).and_then(|t| t.sounds.tones.as_deref());
                Some(SoundRef::Tone(tone::Cadence::ringback(own.unwrap_or(&self.country))))
            }
            Wanted::Tone(Tone::Beep) => Some(SoundRef::Tone(tone::Cadence::beep(1000, 500, -12.0))),
            Wanted::Synthesised(name) => self.known(name).map(SoundRef::Sound),
            Wanted::Builtin(builtin) => {
                let own = self.own(tenant, application, *builtin);
                own.or_else(|| self.shipped.get(builtin.file()).cloned())
                    .map(SoundRef::Sound)
            }
            Wanted::Prompt(name) => self.prompt(tenant, application, name).map(SoundRef::Sound),
            Wanted::Spoken(spoken) => {
                let pieces = spoken.pieces().ok()?;
                let sound = self.compose(spoken.language, &pieces);
                // The error names the unit, and never the text.
                let sound = sound.inspect_err(|error| tracing::error!("something cannot be spoken: {error}"));
                sound.ok().map(SoundRef::Sound)
            }
        }
    }

    /// What a tenant has in place of a shipped sound.
    fn own(&self, tenant: TenantId, application: ApplicationId, builtin: Builtin) -> Option<Arc<Sound>> {
        let config = self.store.snapshot();
        let own = &config.tenant(tenant)?.sounds;
        let busy = match builtin {
            Builtin::HoldMusic => return self.prompt(tenant, application, own.hold_music.as_deref()?),
            Builtin::LastMinute => return None,
            Builtin::Busy | Builtin::NoAnswer => true,
            Builtin::Unreachable | Builtin::Invalid | Builtin::Failed => false,
        };
        let country = own.tones.as_deref().unwrap_or(&self.country);
        own.failure_tones.then(|| self.failure_tone(country, busy))
    }

    /// A failure's tone, for as long as one listens to it.
    fn failure_tone(&self, country: &str, busy: bool) -> Arc<Sound> {
        let (name, cadence) = if busy {
            ("busy", tone::Cadence::busy(country))
        } else {
            ("congestion", tone::Cadence::congestion(country))
        };
        // No checksum has a blank.
        let key = format!("{name} {country}");
        self.known(&key).unwrap_or_else(|| {
            let mut samples = vec![0; FAILURE_SAMPLES];
            tone::ToneGenerator::new(cadence).fill(&mut samples);
            self.keep(key, Arc::new(Sound::from_samples(samples)))
        })
    }

    fn known(&self, key: &str) -> Option<Arc<Sound>> {
        let decoded = self.decoded.read().unwrap_or_else(PoisonError::into_inner);
        decoded.sounds.get(key).cloned()
    }

    /// Keeps a text that was spoken (linear samples at 8 kHz) under its name.
    pub fn keep_said(&self, name: &str, samples: Vec<i16>) {
        if self.known(name).is_none() {
            self.keep(name.to_owned(), Arc::new(Sound::from_samples(samples)));
        }
    }

    fn keep(&self, key: String, sound: Arc<Sound>) -> Arc<Sound> {
        let mut decoded = self.decoded.write().unwrap_or_else(PoisonError::into_inner);
        let size = sound.pcm().len() * BYTES_A_SAMPLE;
        if decoded.bytes + size > MAX_DECODED_BYTES {
            *decoded = Decoded::default();
        }
        decoded.bytes += size;
        decoded.sounds.insert(key, sound.clone());
        sound
    }

    fn prompt(&self, tenant: TenantId, application: ApplicationId, name: &str) -> Option<Arc<Sound>> {
        let config = self.store.snapshot();
        let prompt = config
            .prompt(tenant, application, name)
            .filter(|p| p.state == PromptState::Ready)?;
        if let Some(sound) = self.known(&prompt.checksum) {
            return Some(sound);
        }
        // Names in the table never hold separators; this is the second lock on the same door.
        let file = std::path::Path::new(&prompt.file).file_name()?;
        let bytes = std::fs::read(self.prompts.join(file)).ok()?;
        let sound = Arc::new(Sound::from_wav(&bytes).ok()?);
        Some(self.keep(prompt.checksum.clone(), sound))
    }
}

/// The name of a text that was spoken: the text is in no log, and equal texts are kept once.
pub(crate) fn said_name(text: &str, language: Language) -> String {
    use std::hash::{BuildHasher, RandomState};
    // Names are of this process only; two halves make an accident as unlikely as it has to be.
    static KEYS: LazyLock<[RandomState; 2]> = LazyLock::new(|| [RandomState::new(), RandomState::new()]);
    let half = |keys: &RandomState| keys.hash_one((text, language.code()));
    format!("said-{:016x}{:016x}", half(&KEYS[0]), half(&KEYS[1]))
}
