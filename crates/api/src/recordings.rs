//! Recordings: begin, pause, go on and end that of a running conversation; fetch finished ones, in parts where asked.

use crate::calls::find;
use crate::desk::Desk;
use crate::error::{Code, Problem};
use crate::request::{self, Answer, Body, Path};
use axum::body::Body as HttpBody;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::IntoResponse;
use serde::Deserialize;
use strowger_blobs::{BlobError, Blobs, Opened, Wanted, wanted};
use strowger_core::ConversationRecord;
use strowger_core::call::{Command, RecordingCommand, RecordingPause};
use strowger_core::record::RecordingRecord;
use strowger_runtime::CallError;
use utoipa::ToSchema;

/// What is asked of the recording.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RecordingChange)]
pub(crate) struct Change {
    /// `start`, `stop`, `pause`, `mask` or `resume`.
    action: String,
}

impl Change {
    fn command(&self) -> Result<RecordingCommand, Problem> {
        Ok(match self.action.as_str() {
            "start" => RecordingCommand::Start,
            "stop" => RecordingCommand::Stop,
            "pause" => RecordingCommand::Pause(RecordingPause::Cut),
            "mask" => RecordingCommand::Pause(RecordingPause::Mask),
            "resume" => RecordingCommand::Resume,
            _ => {
                return Err(Problem::parameter(
                    "action",
                    "action is start, stop, pause (the file leaves the time out), mask (the file holds silence) or resume",
                ));
            }
        })
    }
}

/// `POST /calls/{id}/recording`.
pub(crate) async fn change(api: Desk, Path(id): Path<String>, Body(change): Body<Change>) -> Answer {
    let id = request::id("conversation", &id)?;
    let command = change.command()?;
    let tenant = find(&api, id).await?.head.tenant;
    match api.calls.command(tenant, id, Command::Recording(command), None).await {
        Ok(_) => request::done(),
        // The record exists, so it is over.
        Err(CallError::NotFound) => Err(Problem::new(Code::CallEnded, "the conversation has ended already")),
        Err(e) => Err(e.into()),
    }
}

/// Name and checksum of a finished recording of a conversation.
fn finished(record: &ConversationRecord, n: &str) -> Result<(String, String), Problem> {
    let id = record.id;
    let found = n.parse::<usize>().ok().and_then(|n| record.recordings.get(n));
    match found {
        Some(RecordingRecord::Finished { name, checksum, .. }) => Ok((name.clone(), checksum.clone())),
        Some(RecordingRecord::Running) => Err(Problem::new(
            Code::NotFound,
            format!("recording {n} of {id} is still being written; ask again when its state is finished"),
        )),
        Some(RecordingRecord::Failed) => Err(Problem::new(
            Code::NotFound,
            format!("recording {n} of {id} has failed; the log says why"),
        )),
        None => Err(Problem::not_found("recording", format!("{n:?} of {id}"))),
    }
}

/// `GET /calls/{id}/recordings/{n}`. Its checksum, where it has one, is the entity tag.
pub(crate) async fn fetch(api: Desk, Path((id, n)): Path<(String, String)>, headers: HeaderMap) -> Answer {
    let id = request::id("conversation", &id)?;
    let record = find(&api, id).await?;
    let (name, checksum) = finished(&record, &n)?;
    let tag = if checksum.is_empty() { &name } else { &checksum };
    serve(&api.blobs, &name, tag, &headers).await
}

/// A finished recording, or the part of it that a Range header asks for (RFC 9110 section 14). A recording never changes, so
/// `tag` is a strong validator.
///
/// # Errors
/// `not-found`, `request.range` with the length in `Content-Range`, `recording.store`.
pub async fn serve(blobs: &Blobs, name: &str, tag: &str, headers: &HeaderMap) -> Answer {
    let quoted = format!("\"{tag}\"");
    let text = |name: header::HeaderName| headers.get(name).and_then(|v| v.to_str().ok());
    let etag = HeaderValue::from_str(&quoted);
    let etag = etag.map_err(|e| Problem::new(Code::Internal, format!("a recording has no tag: {e}")))?;
    // What the client asks of a recording that is gone is told before what it knows of it.
    let part = match (text(header::RANGE), text(header::IF_RANGE)) {
        (Some(range), None) => wanted(range),
        (Some(range), Some(known)) if known == quoted => wanted(range),
        _ => Wanted::All,
    };
    let opened = blobs.open_at(name, |size| part.of(size)).await.map_err(problem)?;
    let content = match opened {
        Opened::Content(content) => content,
        Opened::Outside { size } => {
            let problem = Problem::new(Code::OutOfRange, format!("the recording has {size} octets"));
            let range = [(header::CONTENT_RANGE, format!("bytes */{size}"))];
            return Ok((range, problem.into_response()).into_response());
        }
    };
    let known = text(header::IF_NONE_MATCH);
    let known = known.is_some_and(|all| all.split(',').any(|t| matches!(t.trim(), "*") || same_tag(t, &quoted)));
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        HttpBody::from_stream(content.stream).into_response()
    };
    let mut set = |name, value: String| {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    };
    set(header::ACCEPT_RANGES, "bytes".into());
    // It is somebody's voice: only who asked may keep it.
    set(header::CACHE_CONTROL, "private".into());
    if !known {
        let range = &content.range;
        let kind = if name.ends_with(".ogg") {
            "audio/ogg"
        } else {
            "audio/wav"
        };
        set(header::CONTENT_TYPE, kind.into());
        set(header::CONTENT_LENGTH, (range.end - range.start).to_string());
        if part != Wanted::All {
            let (first, last) = (range.start, range.end.saturating_sub(1));
            set(header::CONTENT_RANGE, format!("bytes {first}-{last}/{}", content.size));
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        }
    }
    response.headers_mut().insert(header::ETAG, etag);
    Ok(response)
}

/// The weak comparison of If-None-Match (RFC 9110 section 8.8.3.2).
fn same_tag(text: &str, tag: &str) -> bool {
    let text = text.trim();
    text.strip_prefix("W/").unwrap_or(text) == tag
}

fn problem(error: BlobError) -> Problem {
    match error {
        BlobError::NotFound => Problem::new(
            Code::NotFound,
            "the recording is not kept any more, or is not complete yet",
        ),
        error => {
            tracing::warn!(code = error.code(), "a recording could not be read: {error}");
            Problem {
                retry_after: Some(5),
                ..Problem::new(Code::RecordingStore, error.to_string())
            }
        }
    }
}
