//! The engines that speak and listen, as the configuration names them.

use crate::config::{Config, SynthesisEngine};
use crate::transcription::Transcriber;
use crate::wire::StartError;
use std::path::PathBuf;
use std::sync::Arc;
use strowger_api::Speech;
use strowger_notify::Policy;
use strowger_runtime::Switch;
use strowger_speech::import::Limits;
use strowger_speech::recognition::{Connector, EngineSettings};
use strowger_speech::synthesis::{Espeak, HttpEngine, HttpSettings, Synthesiser, TextToSpeech};

fn failed(e: &dyn std::fmt::Display) -> StartError {
    StartError::Speech(e.to_string())
}

/// Opens the engine that speaks, if one is configured; the folder holds the cache of what was said.
///
/// # Errors
/// [`StartError::Speech`]: an engine that cannot work as it is configured.
pub async fn synthesiser(config: &Config, folder: PathBuf) -> Result<Option<Synthesiser>, StartError> {
    let synthesis = &config.speech.synthesis;
    let engine: Option<Arc<dyn TextToSpeech>> = match synthesis.engine {
        SynthesisEngine::None => None,
        SynthesisEngine::Espeak => {
            let engine = Espeak::new(&synthesis.program, synthesis.timeout);
            engine.check().await.map_err(|e| failed(&e))?;
            Some(Arc::new(engine))
        }
        SynthesisEngine::Http => {
            let policy = Policy {
                allowed: synthesis.allow.clone(),
            };
            let engine = HttpEngine::new(HttpSettings {
                url: synthesis.url.clone().unwrap_or_default(),
                token: synthesis.token.as_ref().map(|t| t.expose().to_owned()),
                timeout: synthesis.timeout,
                allows: Arc::new(move |ip| policy.allows(ip)),
            });
            Some(Arc::new(engine.map_err(|e| failed(&e))?))
        }
    };
    engine
        .map(|engine| Synthesiser::open(engine, folder, synthesis.cache_bytes))
        .transpose()
        .map_err(|e| failed(&format!("the cache of synthesised speech: {e}")))
}

/// Opens the engine that listens, if one is configured, beside the one that speaks.
///
/// # Errors
/// [`StartError::Speech`]: an engine that cannot work as it is configured.
pub async fn open(
    config: &Config,
    switch: &Arc<Switch>,
    synthesiser: Option<Synthesiser>,
) -> Result<Speech, StartError> {
    let recognition = &config.speech.recognition;
    let connector = recognition.url.as_ref().map(|url| {
        Connector::new(EngineSettings {
            url: url.clone(),
            protocol: recognition.protocol,
            token: recognition.token.as_ref().map(|t| t.expose().to_owned()),
            timeout: recognition.timeout,
        })
    });
    let connector = connector.transpose().map_err(|e| failed(&e))?;
    // Calls need no recogniser: one that is not there yet is no reason not to start.
    if let Some(connector) = &connector
        && let Err(why) = connector.check().await
    {
        tracing::warn!(%why, "calls cannot be transcribed for the time being");
    }
    let transcriber = Transcriber::new(
        switch.clone(),
        connector,
        recognition.language.clone(),
        recognition.max_conversations,
    );
    Ok(Speech {
        approval: config.prompts.approval,
        limits: Limits {
            millis: config.prompts.max_length.as_millis() as u64,
            ..Limits::default()
        },
        synthesiser,
        transcription: Some(Arc::new(transcriber)),
        ..Speech::default()
    })
}
