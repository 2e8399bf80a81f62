//! The facts of recordings.

use super::{DecodeError, Text, parse, rest, text};
use serde::{Deserialize, Serialize};
use strowger_core::Fact;

#[derive(Serialize, Deserialize)]
struct RecordingV1 {
    recording: u16,
}

#[derive(Serialize, Deserialize)]
struct RecordingPausedV1 {
    recording: u16,
    masked: bool,
}

#[derive(Serialize, Deserialize)]
struct RecordingFinishedV1<'a> {
    recording: u16,
    #[serde(borrow)]
    name: Text<'a>,
    millis: u64,
    bytes: u64,
    #[serde(default)]
    checksum: Text<'a>,
}

#[derive(Serialize, Deserialize)]
struct RecordingFailedV1<'a> {
    recording: u16,
    #[serde(borrow)]
    reason: Text<'a>,
}

/// Appends the rest of the object; nothing for other facts.
pub(super) fn encode(fact: &Fact, out: &mut Vec<u8>) {
    match fact {
        Fact::RecordingStarted { recording } | Fact::RecordingResumed { recording } => {
            rest(out, &RecordingV1 { recording: *recording });
        }
        Fact::RecordingPaused { recording, masked } => rest(
            out,
            &RecordingPausedV1 {
                recording: *recording,
                masked: *masked,
            },
        ),
        Fact::RecordingFinished {
            recording,
            name,
            millis,
            bytes,
            checksum,
        } => rest(
            out,
            &RecordingFinishedV1 {
                recording: *recording,
                name: text(name),
                millis: *millis,
                bytes: *bytes,
                checksum: text(checksum),
            },
        ),
        Fact::RecordingFailed { recording, reason } => {
            rest(
                out,
                &RecordingFailedV1 {
                    recording: *recording,
                    reason: text(reason),
                },
            );
        }
        _ => {}
    }
}

/// The fact of this kind.
pub(super) fn decode(kind: &str, json: &str) -> Result<Fact, DecodeError> {
    Ok(match kind {
        "recording.started" => Fact::RecordingStarted {
            recording: parse::<RecordingV1>(json)?.recording,
        },
        "recording.resumed" => Fact::RecordingResumed {
            recording: parse::<RecordingV1>(json)?.recording,
        },
        "recording.paused" => {
            let f: RecordingPausedV1 = parse(json)?;
            Fact::RecordingPaused {
                recording: f.recording,
                masked: f.masked,
            }
        }
        "recording.finished" => {
            let f: RecordingFinishedV1 = parse(json)?;
            Fact::RecordingFinished {
                recording: f.recording,
                name: f.name.into_owned(),
                millis: f.millis,
                bytes: f.bytes,
                checksum: f.checksum.into_owned(),
            }
        }
        "recording.failed" => {
            let f: RecordingFailedV1 = parse(json)?;
            Fact::RecordingFailed {
                recording: f.recording,
                reason: f.reason.into_owned(),
            }
        }
        other => return Err(DecodeError::Kind(other.to_owned())),
    })
}
