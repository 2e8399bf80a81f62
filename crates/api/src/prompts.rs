//! Prompts: sounds that flows refer to by name. Uploaded as WAV and checked before they are usable.

use crate::Api;
use crate::error::{Code, Problem};
use crate::request::{self, Answer, OfTenant};
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use strowger_core::{ApplicationId, TenantId};
use strowger_store::config::{Config, Prompt, PromptState, Resource, ResourceId};

#[derive(Serialize)]
struct View {
    name: String,
    tenant: String,
    /// `null` for all of the tenant's.
    application: Option<String>,
    duration_ms: u64,
    checksum: String,
    state: &'static str,
}

impl View {
    fn of(p: &Prompt) -> View {
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
            },
        }
    }
}

/// Whose prompt it is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Place {
    name: Option<String>,
    tenant: Option<String>,
    application: Option<String>,
}

impl Place {
    fn resolve(&self, config: &Config) -> Result<(TenantId, Option<ApplicationId>), Problem> {
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

/// Length of a playable WAV file in milliseconds: one channel, 8 or 16 kHz, PCM 16 bit or G.711.
fn duration_ms(wav: &[u8]) -> Result<u64, &'static str> {
    if wav.len() < 12 || &wav[..4] != b"RIFF" || &wav[8..12] != b"WAVE" {
        return Err("it is not a RIFF WAVE file");
    }
    let u16_at = |b: &[u8], at: usize| u16::from_le_bytes([b[at], b[at + 1]]);
    let u32_at = |b: &[u8], at: usize| u32::from_le_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]]);
    let mut rest = &wav[12..];
    let mut bytes_per_ms = None;
    while rest.len() >= 8 {
        let (kind, size) = (&rest[..4], u32_at(rest, 4) as usize);
        let body = &rest[8..];
        if kind == b"fmt " {
            if size < 16 || body.len() < 16 {
                return Err("its format chunk is cut off");
            }
            let (coding, channels, rate, bits) = (u16_at(body, 0), u16_at(body, 2), u32_at(body, 4), u16_at(body, 14));
            if channels != 1 {
                return Err("it has more than one channel; convert it to mono");
            }
            if rate != 8000 && rate != 16_000 {
                return Err("its sample rate is neither 8000 nor 16000 Hz; convert it");
            }
            let width = match (coding, bits) {
                (1, 16) => 2,
                (6 | 7, 8) => 1,
                _ => return Err("it is neither PCM 16 bit nor A-law nor µ-law; convert it"),
            };
            bytes_per_ms = Some(u64::from(rate) / 1000 * width);
        } else if kind == b"data" {
            let per_ms = bytes_per_ms.ok_or("its data comes before its format")?;
            // A size that runs past the end is what streaming writers leave behind; what is there counts.
            let length = size.min(body.len()) as u64 / per_ms;
            return if length == 0 {
                Err("it holds no sound")
            } else {
                Ok(length)
            };
        }
        // Chunks are padded to an even length.
        rest = body.get(size + size % 2..).unwrap_or_default();
    }
    Err("it has no data")
}

pub(crate) async fn list(State(api): State<Api>, Query(of): Query<OfTenant>) -> Answer {
    let config = api.store.snapshot();
    let filter = of.resolve(&config)?;
    request::list(
        config
            .prompts()
            .filter(|p| request::shows(filter, p.tenant))
            .map(|p| View::of(p)),
    )
}

pub(crate) async fn upload(
    State(api): State<Api>,
    Query(place): Query<Place>,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    let body = body.map_err(|e| match e.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(
            Code::TooLarge,
            format!("a prompt has at most {} MiB", crate::PROMPT_LIMIT >> 20),
        ),
        _ => Problem::new(Code::BadBody, "the file did not arrive whole"),
    })?;
    let (tenant, application) = place.resolve(&api.store.snapshot())?;
    let name = place.name.as_deref().unwrap_or("");
    let good = (1..=128).contains(&name.len()) && !name.contains(['/', '\\']) && !name.chars().any(char::is_control);
    if !good {
        return Err(Problem::parameter("name", "name has 1 to 128 bytes and no slash"));
    }
    let millis =
        duration_ms(&body).map_err(|why| Problem::new(Code::BadPrompt, format!("the file cannot be played: {why}")))?;
    let checksum = hex::encode(Sha256::digest(&body));
    // The file is named by its content: a new version never changes a file that a call is playing.
    let file = format!("{checksum}.wav");
    write_file(&api, &file, body).await?;
    let prompt = Prompt {
        tenant,
        application,
        name: name.to_owned(),
        duration_ms: millis,
        file,
        checksum,
        state: PromptState::Ready,
    };
    let view = View::of(&prompt);
    api.store.put(Resource::Prompt(prompt)).await?;
    request::created(view)
}

/// Written beside, synced and renamed, so that a half-written prompt is never played.
async fn write_file(api: &Api, file: &str, body: Bytes) -> Result<(), Problem> {
    let path = api.prompts.join(file);
    let part = api.prompts.join(format!("{file}.{}.part", request::random_hex::<8>()?));
    let work = move || -> std::io::Result<()> {
        use std::io::Write;
        let mut out = std::fs::File::create(&part)?;
        out.write_all(&body)?;
        out.sync_all()?;
        std::fs::rename(&part, &path)
    };
    let failed = |why: String| Problem::new(Code::Storage, format!("the file could not be stored: {why}"));
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| failed(e.to_string()))?
        .map_err(|e| match e.kind() {
            std::io::ErrorKind::StorageFull => Problem::new(Code::DiskFull, "the disk of the data folder is full"),
            _ => failed(e.to_string()),
        })
}

/// Takes the name away. The file stays: a running call may be playing it, and other names may mean it.
pub(crate) async fn remove(State(api): State<Api>, Path(name): Path<String>, Query(place): Query<Place>) -> Answer {
    let (tenant, application) = place.resolve(&api.store.snapshot())?;
    api.store.remove(ResourceId::Prompt(tenant, application, name)).await?;
    request::done()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wav(coding: u16, channels: u16, rate: u32, bits: u16, data: usize) -> Vec<u8> {
        let mut f = b"RIFF\0\0\0\0WAVEfmt ".to_vec();
        f.extend(16u32.to_le_bytes());
        f.extend(coding.to_le_bytes());
        f.extend(channels.to_le_bytes());
        f.extend(rate.to_le_bytes());
        f.extend([0; 6]);
        f.extend(bits.to_le_bytes());
        f.extend(b"LIST\x03\0\0\0abc\0data");
        f.extend((data as u32).to_le_bytes());
        f.resize(f.len() + data, 0);
        f
    }

    #[test]
    fn playable_files_are_measured() {
        assert_eq!(duration_ms(&wav(1, 1, 8000, 16, 16_000)), Ok(1000));
        assert_eq!(duration_ms(&wav(1, 1, 16_000, 16, 16_000)), Ok(500));
        assert_eq!(duration_ms(&wav(6, 1, 8000, 8, 4000)), Ok(500));
    }

    #[test]
    fn others_are_refused_with_a_reason_and_never_panic() {
        for (bad, why) in [
            (wav(1, 2, 8000, 16, 100), "mono"),
            (wav(1, 1, 44_100, 16, 100), "sample rate"),
            (wav(3, 1, 8000, 32, 100), "PCM"),
            (wav(1, 1, 8000, 16, 0), "no sound"),
            (b"ID3".to_vec(), "RIFF"),
        ] {
            assert!(duration_ms(&bad).unwrap_err().contains(why), "{why}");
        }
        let good = wav(1, 1, 8000, 16, 64);
        for cut in 0..good.len() {
            let _ = duration_ms(&good[..cut]);
        }
        let mut endless = good.clone();
        endless[16..20].copy_from_slice(&u32::MAX.to_le_bytes());
        let _ = duration_ms(&endless);
    }
}
