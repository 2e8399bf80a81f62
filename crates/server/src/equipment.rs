//! What flows and plans ask of the outside: tenants' servers through the checked client, and the table of regions.

use crate::config::Config;
use crate::wire::StartError;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use strowger_api::{Speech, TranscriptKind, Transcription, TranscriptionError};
use strowger_core::ivr::io::Listening;
use strowger_core::route::Regions;
use strowger_core::spoken::Language;
use strowger_core::{ConversationId, TenantId};
use strowger_notify::{Asker, Question};
use strowger_runtime::equipment::{Equipment, Heard, Listener, Said, Speaker, Web, WebAnswer, WebReply, WebRequest};
use strowger_speech::synthesis::Utterance;
use strowger_store::Store;
use tokio::time::Instant;

struct Outside(Arc<Asker>);

impl Web for Outside {
    fn send(&self, tenant: TenantId, request: WebRequest) -> WebReply {
        let asker = self.0.clone();
        Box::pin(async move {
            let question = Question {
                method: request.method.name(),
                url: request.url,
                headers: request.headers,
                body: request.body,
                timeout: request.timeout,
                most: request.most,
            };
            let (status, body) = asker.ask(tenant, question).await?;
            Some(WebAnswer { status, body })
        })
    }
}

/// The engines that speak and listen, which are opened later than calls could come.
#[derive(Clone, Default)]
pub struct Engines(Arc<OnceLock<Arc<Speech>>>);

impl Engines {
    /// They are open.
    pub fn set(&self, speech: Arc<Speech>) {
        let _ = self.0.set(speech);
    }
}

impl Speaker for Engines {
    fn speak(&self, text: String, language: Language) -> Said {
        let speech = self.0.get().cloned();
        Box::pin(async move {
            let speech = speech?;
            let utterance = Utterance::new(&text, language, None);
            let said = match utterance {
                Ok(utterance) => speech.synthesiser.as_ref()?.speak(&utterance).await,
                Err(e) => Err(e),
            };
            // The reason has no text in it.
            said.inspect_err(|why| tracing::warn!(%why, "a flow's text was not spoken"))
                .ok()
        })
    }
}

/// How often what was recognised is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// The last words of a caller that speaks too long are waited for so long.
const LAST_WORDS: Duration = Duration::from_millis(1500);

/// Ends a transcription that a flow began.
struct Begun<'a>(&'a dyn Transcription, ConversationId);

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        self.0.stop(self.1);
    }
}

impl Listener for Engines {
    fn listen(&self, conversation: ConversationId, listening: Listening) -> Heard {
        let speech = self.0.get().cloned();
        Box::pin(async move { listen(&**speech?.transcription.as_ref()?, conversation, &listening).await })
    }
}

/// The first utterance of the conversation's first party.
async fn listen(engine: &dyn Transcription, id: ConversationId, listening: &Listening) -> Option<String> {
    let begin = Instant::now();
    let silent = Duration::from_millis(u64::from(listening.wait_ms));
    let longest = Duration::from_millis(u64::from(listening.max_ms));
    let known = engine.transcript(id);
    let running = known.as_ref().is_some_and(|(running, _)| *running);
    let last = known.and_then(|(_, entries)| Some(entries.last()?.sequence));
    let mut begun = None;
    // What listens for somebody else is used and left running; what ends from the question before is waited for.
    while begin.elapsed() < silent {
        match engine.start(id, Some(listening.language.code().to_owned())).await {
            Ok(()) => {
                begun = (!running).then(|| Begun(engine, id));
                break;
            }
            Err(TranscriptionError::Ending) => tokio::time::sleep(LOOK).await,
            Err(why) => {
                tracing::warn!(%why, "nobody listens to a caller in a flow");
                return None;
            }
        }
    }
    let mut spoke = None;
    loop {
        let (_, entries) = engine.transcript(id)?;
        let fresh = entries
            .iter()
            .filter(|e| e.leg == 0 && last.is_none_or(|last| e.sequence > last));
        for entry in fresh {
            match entry.kind {
                TranscriptKind::Final if !entry.text.trim().is_empty() => {
                    drop(begun);
                    return Some(entry.text.clone());
                }
                TranscriptKind::Partial => {
                    spoke.get_or_insert_with(Instant::now);
                }
                _ => {}
            }
        }
        let over = match spoke {
            None => begin.elapsed() > silent + LAST_WORDS,
            Some(since) => since.elapsed() > longest + LAST_WORDS,
        };
        if over {
            return None;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Reads the table of regions and makes the client.
///
/// # Errors
/// [`StartError::Regions`]: the table cannot be read.
pub fn open(config: &Config, store: &Store, engines: &Engines) -> Result<Equipment, StartError> {
    let regions = match &config.routing.regions {
        None => Regions::default(),
        Some(path) => {
            let failed = |why: &dyn std::fmt::Display| StartError::Regions(format!("{}: {why}", path.display()));
            let text = std::fs::read_to_string(path).map_err(|e| failed(&e))?;
            Regions::parse(&text).map_err(|e| failed(&e))?
        }
    };
    Ok(Equipment {
        web: Some(Arc::new(Outside(Arc::new(Asker::new(store.clone()))))),
        speaker: Some(Arc::new(engines.clone())),
        listener: Some(Arc::new(engines.clone())),
        regions: Arc::new(regions),
    })
}
