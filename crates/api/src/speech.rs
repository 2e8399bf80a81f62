//! Prompts from text, and live transcription.

use crate::desk::Desk;
use crate::error::{Code, Problem};
use crate::operations::Reply;
use crate::request::{self, Answer, Body, Path};
use crate::{Metric, MetricKind, calls, prompts};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use strowger_core::spoken::Language;
use strowger_core::{ConversationId, Stamp};
use strowger_speech::import::Limits;
use strowger_speech::synthesis::{SynthesisError, Synthesiser, Utterance};
use tokio::sync::Semaphore;
use utoipa::ToSchema;

/// Settings and engines of prompts and speech.
pub struct Speech {
    /// Uploaded and synthesised prompts wait for approval before they are played.
    pub approval: bool,
    /// What is taken in.
    pub limits: Limits,
    /// Turns at decoding: it keeps a processor busy, and calls need them too.
    pub decoding: Semaphore,
    /// What makes prompts from text, if anything.
    pub synthesiser: Option<Synthesiser>,
    /// What listens to calls, if anything.
    pub transcription: Option<Arc<dyn Transcription>>,
}

impl Default for Speech {
    fn default() -> Speech {
        Speech {
            approval: false,
            limits: Limits::default(),
            decoding: Semaphore::new(1),
            synthesiser: None,
            transcription: None,
        }
    }
}

/// Live transcription of conversations.
pub trait Transcription: Send + Sync {
    /// Begins to listen to a running conversation; no change if it is listened to already.
    fn start(
        &self,
        conversation: ConversationId,
        language: Option<String>,
    ) -> Reply<'_, Result<(), TranscriptionError>>;

    /// Ends it; false if it was not under way.
    fn stop(&self, conversation: ConversationId) -> bool;

    /// Whether it is under way, and what was recognised, in order; `None` if it was never asked for, or too long ago.
    fn transcript(&self, conversation: ConversationId) -> Option<(bool, Vec<TranscriptEntry>)>;

    /// What was done since the start.
    fn stats(&self) -> TranscriptionStats;
}

/// Figures of transcription since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TranscriptionStats {
    /// Conversations that are listened to.
    pub running: u64,
    /// Conversations that were.
    pub started: u64,
    /// Utterances that were recognised.
    pub finals: u64,
    /// Audio that no engine heard, in milliseconds.
    pub missed_ms: u64,
    /// How often an engine was lost.
    pub interruptions: u64,
}

/// Why nobody listens.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TranscriptionError {
    /// No engine is configured.
    #[error("no speech recogniser is configured; set speech.recognition.url")]
    None,
    /// The engine does not answer.
    #[error("{0}")]
    Engine(String),
    /// As many conversations are listened to as may be.
    #[error("{0} conversations are listened to, as many as speech.recognition.max_conversations allows")]
    Limit(usize),
    /// It was ended and is about to be so.
    #[error("the transcription before this one is still ending; ask again in some seconds")]
    Ending,
    /// The media engine takes no commands.
    #[error("the media engine does not take the command: {0}")]
    Media(String),
}

/// What happened in the recognition of a leg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TranscriptEntry {
    /// Rises within a conversation.
    pub sequence: u64,
    /// The leg that spoke.
    pub leg: u16,
    /// When it was known.
    pub at: Stamp,
    /// What.
    pub kind: TranscriptKind,
    /// The words; of a gap its length in milliseconds, of an interruption its reason.
    pub text: String,
    /// Begin and end of final words, in milliseconds since the leg has been listened to.
    pub span: Option<(u64, u64)>,
}

/// Kinds of [`TranscriptEntry`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TranscriptKind {
    /// Words so far.
    Partial,
    /// A complete utterance.
    Final,
    /// Audio that the engine did not hear.
    Gap,
    /// The engine was lost; it is tried again.
    Interrupted,
    /// The engine is there again.
    Resumed,
    /// The leg has ended.
    Ended,
}

/// A prompt from text.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PromptSynthesis)]
pub(crate) struct Synthesis {
    name: String,
    text: String,
    language: String,
    voice: Option<String>,
    tenant: Option<String>,
    application: Option<String>,
}

fn problem(error: &SynthesisError) -> Problem {
    let text = error.to_string();
    match error {
        SynthesisError::None => Problem::new(Code::SpeechOff, text),
        SynthesisError::Text => Problem::parameter("text", text),
        SynthesisError::Voice => Problem::parameter("voice", text),
        _ => Problem::new(Code::SpeechEngine, text),
    }
}

/// Has a text said and keeps it as a prompt.
pub(crate) async fn synthesise(api: Desk, Body(asked): Body<Synthesis>) -> Answer {
    let place = prompts::Place::named(asked.tenant, asked.application);
    let owner = place.resolve(&api.config())?;
    let name = prompts::checked_name(Some(&asked.name))?.to_owned();
    let language = Language::from_code(&asked.language)
        .ok_or_else(|| Problem::parameter("language", "language is \"zh\" or \"en\""))?;
    let utterance = Utterance::new(&asked.text, language, asked.voice.as_deref()).map_err(|e| problem(&e))?;
    let synthesiser = api.speech.synthesiser.as_ref();
    let synthesiser = synthesiser.ok_or_else(|| problem(&SynthesisError::None))?;
    let samples = synthesiser.speak(&utterance).await.map_err(|e| problem(&e))?;
    let prompt = prompts::keep(&api, owner, name, &samples).await?;
    request::created(prompts::View::of(&prompt))
}

/// How a conversation is listened to.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TranscriptionStart)]
pub(crate) struct Listening {
    language: Option<String>,
}

fn transcription(api: &Desk) -> Result<&Arc<dyn Transcription>, Problem> {
    let none = || Problem::new(Code::SpeechOff, TranscriptionError::None.to_string());
    api.speech.transcription.as_ref().ok_or_else(none)
}

/// Begins to listen to a running conversation.
pub(crate) async fn start(api: Desk, Path(id): Path<String>, Body(asked): Body<Listening>) -> Answer {
    let id = request::id("conversation", &id)?;
    let tenant = calls::find(&api, id).await?.head.tenant;
    // Only what runs can be listened to.
    if api.calls.inspect(tenant, id).await.is_err() {
        return Err(Problem::new(Code::CallEnded, "the conversation has ended already"));
    }
    if let Some(language) = &asked.language {
        let plain = language.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        if !(2..=35).contains(&language.len()) || !plain {
            return Err(Problem::parameter(
                "language",
                "a language tag such as \"zh\" or \"en-US\"",
            ));
        }
    }
    transcription(&api)?.start(id, asked.language).await.map_err(|e| {
        let text = e.to_string();
        match e {
            TranscriptionError::None => Problem::new(Code::SpeechOff, text),
            TranscriptionError::Engine(_) => Problem::new(Code::SpeechEngine, text),
            TranscriptionError::Limit(_) | TranscriptionError::Ending | TranscriptionError::Media(_) => {
                Problem::new(Code::Overloaded, text)
            }
        }
    })?;
    Ok(StatusCode::ACCEPTED.into_response())
}

/// Ends it.
pub(crate) async fn stop(api: Desk, Path(id): Path<String>) -> Answer {
    let id = request::id("conversation", &id)?;
    calls::find(&api, id).await?;
    transcription(&api)?.stop(id);
    request::done()
}

#[derive(Serialize, ToSchema)]
#[schema(as = Transcript)]
pub(crate) struct TranscriptView {
    running: bool,
    items: Vec<TranscriptItem>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct TranscriptItem {
    sequence: u64,
    leg: u16,
    at: String,
    kind: TranscriptKind,
    #[serde(skip_serializing_if = "String::is_empty")]
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    begin_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_ms: Option<u64>,
}

/// What was recognised.
pub(crate) async fn transcript(api: Desk, Path(id): Path<String>) -> Answer {
    let id = request::id("conversation", &id)?;
    calls::find(&api, id).await?;
    let (running, entries) = transcription(&api)?
        .transcript(id)
        .ok_or_else(|| Problem::not_found("transcript", id))?;
    let items = entries.into_iter().map(|e| TranscriptItem {
        sequence: e.sequence,
        leg: e.leg,
        at: crate::rfc3339(e.at),
        kind: e.kind,
        text: e.text,
        begin_ms: e.span.map(|s| s.0),
        end_ms: e.span.map(|s| s.1),
    });
    request::ok(TranscriptView {
        running,
        items: items.collect(),
    })
}

/// Figures of both for the metrics page.
pub(crate) fn metrics(speech: &Speech, all: &mut Vec<Metric>) {
    let mut add = |name, help, kind, labels, value: u64| {
        all.push(Metric {
            name,
            help,
            kind,
            labels,
            value: value as f64,
        });
    };
    if let Some(synthesiser) = &speech.synthesiser {
        let stats = synthesiser.stats();
        for (result, n) in [("said", stats.said), ("cached", stats.cached), ("failed", stats.failed)] {
            let labels = vec![("result", result.to_owned())];
            add(
                "strowger_synthesis_total",
                "Texts that were to be said.",
                MetricKind::Counter,
                labels,
                n,
            );
        }
    }
    if let Some(transcription) = &speech.transcription {
        let stats = transcription.stats();
        add(
            "strowger_transcriptions",
            "Conversations that are listened to now.",
            MetricKind::Gauge,
            Vec::new(),
            stats.running,
        );
        for (name, help, n) in [
            (
                "strowger_transcriptions_total",
                "Conversations that were listened to.",
                stats.started,
            ),
            (
                "strowger_transcription_results_total",
                "Utterances that were recognised.",
                stats.finals,
            ),
            (
                "strowger_transcription_missed_milliseconds_total",
                "Audio that no engine heard.",
                stats.missed_ms,
            ),
            (
                "strowger_transcription_interruptions_total",
                "How often the engine was lost.",
                stats.interruptions,
            ),
        ] {
            add(name, help, MetricKind::Counter, Vec::new(), n);
        }
    }
}
