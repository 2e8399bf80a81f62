//! `[speech.synthesis]` and `[speech.recognition]`.

use super::reader::Section;
use std::time::Duration;
use strowger_core::AddressRange;
use strowger_speech::recognition::Protocol;
use strowger_store::Secret;

/// Which engine speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SynthesisEngine {
    /// None: texts are refused.
    None,
    /// espeak-ng, a program of this machine.
    Espeak,
    /// A provider behind HTTP.
    Http,
}

/// `[speech]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Speech {
    /// Text to speech.
    pub synthesis: Synthesis,
    /// Recognition of what is said.
    pub recognition: Recognition,
}

/// `[speech.synthesis]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synthesis {
    /// Which engine.
    pub engine: SynthesisEngine,
    /// The program of espeak-ng.
    pub program: String,
    /// The provider's URL.
    pub url: Option<String>,
    /// The provider's token.
    pub token: Option<Secret>,
    /// Private and special addresses that the provider may have.
    pub allow: Vec<AddressRange>,
    /// For one text.
    pub timeout: Duration,
    /// Disk for what was said.
    pub cache_bytes: u64,
}

/// `[speech.recognition]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recognition {
    /// The engine's `ws` or `wss` URL; nothing is recognised without one.
    pub url: Option<String>,
    /// What is spoken over it.
    pub protocol: Protocol,
    /// Sent with the WebSocket's request.
    pub token: Option<Secret>,
    /// For a connection, and for a piece of audio to be taken.
    pub timeout: Duration,
    /// The language that is told to the engine where a request names none.
    pub language: String,
    /// Most conversations that are listened to at once.
    pub max_conversations: usize,
}

impl Speech {
    pub(super) fn read(s: Section<'_>) -> Speech {
        let read = Speech {
            synthesis: Synthesis::read(s.section("synthesis")),
            recognition: Recognition::read(s.section("recognition")),
        };
        s.close();
        read
    }
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn timeout(s: &Section<'_>, default: u64) -> Duration {
    let range = Duration::from_millis(100)..=Duration::from_secs(60);
    s.duration("timeout", Duration::from_secs(default), range)
}

impl Synthesis {
    fn read(s: Section<'_>) -> Synthesis {
        let engines = [
            ("none", SynthesisEngine::None),
            ("espeak-ng", SynthesisEngine::Espeak),
            ("http", SynthesisEngine::Http),
        ];
        let read = Synthesis {
            engine: s.choice("engine", SynthesisEngine::None, &engines),
            program: s.parsed("program", "espeak-ng".to_owned(), "the name or path of a program", some),
            url: s.optional("url", "a URL that begins with http:// or https://", |t| {
                let good = t.starts_with("http://") || t.starts_with("https://");
                good.then(|| t.to_owned())
            }),
            token: s.optional("token", "a text", some).map(Secret::new),
            allow: s.list("allow", "an address or a range such as \"10.0.0.0/8\"", |t| {
                t.parse().ok()
            }),
            timeout: timeout(&s, 10),
            cache_bytes: s.integer("cache_mb", 256, 0..=1 << 20, "MB") << 20,
        };
        if read.engine == SynthesisEngine::Http && read.url.is_none() {
            s.problem("engine", "the engine \"http\" needs speech.synthesis.url".to_owned());
        }
        s.close();
        read
    }
}

impl Recognition {
    fn read(s: Section<'_>) -> Recognition {
        let protocols = [("strowger", Protocol::Strowger), ("vosk", Protocol::Vosk)];
        let read = Recognition {
            url: s.optional("url", "a URL that begins with ws:// or wss://", |t| {
                let good = t.starts_with("ws://") || t.starts_with("wss://");
                good.then(|| t.to_owned())
            }),
            protocol: s.choice("protocol", Protocol::Strowger, &protocols),
            token: s.optional("token", "a text", some).map(Secret::new),
            timeout: timeout(&s, 5),
            language: s.parsed(
                "language",
                "zh".to_owned(),
                "a language tag such as \"zh\" or \"en-US\"",
                |t| {
                    let good = (2..=35).contains(&t.len()) && t.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
                    good.then(|| t.to_owned())
                },
            ),
            max_conversations: s.integer("max_conversations", 50, 1..=10_000, "conversations") as usize,
        };
        s.close();
        read
    }
}
