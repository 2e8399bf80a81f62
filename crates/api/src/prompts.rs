//! Prompts: sounds that flows refer to by name. Uploaded as WAV, MP3 or Ogg, checked and converted before they are usable.

use crate::desk::Desk;
use crate::error::{Code, Problem};
use crate::request::{self, Answer, Listing, Path, Query};
use axum::body::Body;
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::path::PathBuf;
use strowger_core::{ApplicationId, TenantId};
use strowger_speech::import::{ImportError, import, to_wav};
use strowger_store::config::{Config, Prompt, PromptState, Resource, ResourceId};
use tokio::io::AsyncWriteExt;
use utoipa::{IntoParams, ToSchema};

#[derive(Serialize, ToSchema)]
#[schema(as = Prompt)]
pub(crate) struct View {
    name: String,
    tenant: String,
    /// `null` for all of the tenant's.
    application: Option<String>,
    duration_ms: u64,
    checksum: String,
    state: &'static str,
}

impl View {
    pub(crate) fn of(p: &Prompt) -> View {
        View {
            name: p.name.clone(),
            tenant: p.tenant.to_string(),
            application: p.application.map(|a| a.to_string()),
            duration_ms: p.duration_ms,
            checksum: p.checksum.clone(),
            state: match p.state {
                PromptState::Ready => "ready",
                PromptState::Pending => "pending",
                PromptState::Failed => "failed",
                PromptState::Rejected => "rejected",
            },
        }
    }
}

/// Whose prompt it is.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct Place {
    name: Option<String>,
    tenant: Option<String>,
    application: Option<String>,
}

impl Place {
    /// Of a body, which has the name beside it.
    pub(crate) fn named(tenant: Option<String>, application: Option<String>) -> Place {
        Place {
            name: None,
            tenant,
            application,
        }
    }

    pub(crate) fn resolve(&self, config: &Config) -> Result<(TenantId, Option<ApplicationId>), Problem> {
        let Some(text) = &self.application else {
            return Ok((request::tenant(config, self.tenant.as_deref())?, None));
        };
        let id = request::body_id("application", text)?;
        let application = config
            .application(id)
            .ok_or_else(|| Problem::not_found("application", id))?;
        if let Some(named) = self.tenant.as_deref()
            && request::tenant(config, Some(named))? != application.tenant
        {
            return Err(Problem::not_found("application", id));
        }
        Ok((application.tenant, Some(id)))
    }
}

pub(crate) async fn list(api: Desk, Query(asked): Query<Listing>) -> Answer {
    let config = api.config();
    let filter = asked.tenant(&api)?;
    let prompts = config.prompts().filter(|p| request::shows(filter, p.tenant));
    let key = |p: &Prompt| {
        let application = p.application.map_or_else(String::new, |a| a.to_string());
        format!("{}/{application}/{}", p.tenant, p.name)
    };
    asked.page(prompts.map(|p| (key(p), View::of(p))))
}

/// A prompt's name: 1 to 128 bytes, nothing that a path could be made of.
pub(crate) fn checked_name(name: Option<&str>) -> Result<&str, Problem> {
    let name = name.unwrap_or("");
    let good = (1..=128).contains(&name.len()) && !name.contains(['/', '\\']) && !name.chars().any(char::is_control);
    if good {
        Ok(name)
    } else {
        Err(Problem::parameter("name", "name has 1 to 128 bytes and no slash"))
    }
}

/// A file in the folder of prompts that is removed unless it is kept.
struct Part(Option<PathBuf>);

impl Drop for Part {
    fn drop(&mut self) {
        if let Some(path) = self.0.take() {
            let _ = std::fs::remove_file(path);
        }
    }
}

fn failed(e: &std::io::Error) -> Problem {
    match e.kind() {
        std::io::ErrorKind::StorageFull => Problem::new(Code::DiskFull, "the disk of the data folder is full"),
        _ => Problem::new(Code::Storage, format!("the file could not be stored: {e}")),
    }
}

/// Takes the body in piece by piece, so that memory does not hold it.
async fn receive(body: Body, path: &std::path::Path) -> Result<(), Problem> {
    let mut file = tokio::fs::File::create(path).await.map_err(|e| failed(&e))?;
    let mut body = body.into_data_stream();
    let mut length = 0;
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|_| Problem::new(Code::BadBody, "the file did not arrive whole"))?;
        length += piece.len();
        if length > crate::PROMPT_LIMIT {
            return Err(Problem::new(
                Code::TooLarge,
                format!("a prompt's file has at most {} MiB", crate::PROMPT_LIMIT >> 20),
            ));
        }
        file.write_all(&piece).await.map_err(|e| failed(&e))?;
    }
    file.flush().await.map_err(|e| failed(&e))
}

/// Takes a file in: checked, converted once to what the media engine plays, named by its content.
pub(crate) async fn upload(api: Desk, Query(place): Query<Place>, body: Body) -> Answer {
    let (tenant, application) = place.resolve(&api.config())?;
    let name = checked_name(place.name.as_deref())?.to_owned();
    let part = api.prompts.join(format!("{}.part", request::random_hex::<8>()?));
    let cleaned = Part(Some(part.clone()));
    receive(body, &part).await?;
    let turn = api.speech.decoding.acquire().await;
    let limits = api.speech.limits;
    let read = tokio::task::spawn_blocking(move || import(File::open(&part)?, limits)).await;
    drop((turn, cleaned));
    let sound = match read {
        Ok(Ok(sound)) => sound,
        Ok(Err(ImportError::Io(e))) => return Err(failed(&e)),
        Ok(Err(e)) => return Err(Problem::new(Code::BadPrompt, format!("the file cannot be played: {e}"))),
        // The decoder of a file gave up in a way that it should not.
        Err(_) => {
            return Err(Problem::new(
                Code::BadPrompt,
                "the file cannot be played: its decoder failed; send it as WAV",
            ));
        }
    };
    let prompt = keep(&api, (tenant, application), name, &sound.samples).await?;
    request::created(View::of(&prompt))
}

/// Stores samples under a name. The file is named by its content: a new version never changes a file that a call is
/// playing. It is ready at once, or waits for approval where the configuration asks for it.
pub(crate) async fn keep(
    api: &Desk,
    (tenant, application): (TenantId, Option<ApplicationId>),
    name: String,
    samples: &[i16],
) -> Result<Prompt, Problem> {
    let wav = to_wav(samples);
    let checksum = hex::encode(Sha256::digest(&wav));
    let file = format!("{checksum}.wav");
    write_file(api, &file, wav).await?;
    let prompt = Prompt {
        tenant,
        application,
        name,
        duration_ms: samples.len() as u64 / 8,
        file,
        checksum,
        state: if api.speech.approval {
            PromptState::Pending
        } else {
            PromptState::Ready
        },
    };
    api.store.put(Resource::Prompt(prompt.clone())).await?;
    Ok(prompt)
}

/// Written beside, synced and renamed, so that a half-written prompt is never played.
async fn write_file(api: &Desk, file: &str, wav: Vec<u8>) -> Result<(), Problem> {
    let path = api.prompts.join(file);
    let part = api.prompts.join(format!("{file}.{}.part", request::random_hex::<8>()?));
    let work = move || -> std::io::Result<()> {
        use std::io::Write;
        let mut cleaned = Part(Some(part.clone()));
        let mut out = File::create(&part)?;
        out.write_all(&wav)?;
        out.sync_all()?;
        std::fs::rename(&part, &path)?;
        cleaned.0 = None;
        Ok(())
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|e| failed(&e)),
        Err(e) => Err(Problem::new(
            Code::Storage,
            format!("the file could not be stored: {e}"),
        )),
    }
}

/// What somebody thinks of a prompt after listening to it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PromptReview)]
pub(crate) struct Review {
    state: ReviewState,
}

#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = PromptReviewState)]
pub(crate) enum ReviewState {
    Ready,
    Rejected,
}

/// Approves a prompt or rejects it. A prompt that calls are playing goes on to its end.
pub(crate) async fn review(
    api: Desk,
    Path(name): Path<String>,
    Query(place): Query<Place>,
    request::Body(review): request::Body<Review>,
) -> Answer {
    let _one = api.changing.lock().await;
    let config = api.config();
    let (tenant, application) = place.resolve(&config)?;
    let found = config
        .prompts()
        .find(|p| p.tenant == tenant && p.application == application && p.name == name)
        .ok_or_else(|| Problem::not_found("prompt", &name))?;
    let mut prompt = Prompt::clone(found);
    prompt.state = match (prompt.state, review.state) {
        (PromptState::Failed, _) => {
            return Err(Problem::new(
                Code::BadPrompt,
                "the prompt's file is unusable; upload it again",
            ));
        }
        (_, ReviewState::Ready) => PromptState::Ready,
        (_, ReviewState::Rejected) => PromptState::Rejected,
    };
    let view = View::of(&prompt);
    api.replace(prompt, view).await
}

/// Takes the name away. The file stays: a running call may be playing it, and other names may mean it.
pub(crate) async fn remove(api: Desk, Path(name): Path<String>, Query(place): Query<Place>) -> Answer {
    let (tenant, application) = place.resolve(&api.config())?;
    api.store.remove(ResourceId::Prompt(tenant, application, name)).await?;
    request::done()
}
