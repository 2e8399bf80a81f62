//! The writer's side: files in their format, and their completion.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError};

use sha2::{Digest, Sha256};
use strowger_media_core::{FRAME, RATE, wav};

use super::ogg::OpusFile;
use super::{Chunk, Job};
use crate::api::{Event, EventSink, RecordFormat};

const WRITER_NICE: i32 = -10;

/// A file that has all its audio.
pub(super) struct Written {
    job: Arc<Job>,
    body: Option<Body>,
    frames: u64,
    silenced_ms: u64,
    error: Option<String>,
}

/// The audio in its container.
enum Body {
    Wav { file: File, bytes: u64 },
    Ogg(Box<OpusFile>),
}

impl Body {
    fn create(job: &Job) -> Result<Body, String> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&job.part)
            .map_err(|e| format!("cannot create the file: {e}"))?;
        match job.format {
            RecordFormat::Wav => {
                file.write_all(&wav::header(job.channels as u16, RATE, 0))
                    .map_err(|e| format!("cannot write: {e}"))?;
                Ok(Body::Wav { file, bytes: 0 })
            }
            RecordFormat::OggOpus => OpusFile::begin(file, job.channels).map(|o| Body::Ogg(Box::new(o))),
        }
    }

    /// Whole frames of 20 ms.
    fn append(&mut self, samples: &[i16]) -> Result<(), String> {
        match self {
            Body::Wav { file, bytes } => {
                let octets: Vec<u8> = samples.iter().flat_map(|s| s.to_le_bytes()).collect();
                file.write_all(&octets).map_err(|e| format!("cannot write: {e}"))?;
                *bytes += octets.len() as u64;
                Ok(())
            }
            Body::Ogg(ogg) => ogg.append(samples),
        }
    }

    /// Bring the container to its end; the file and its final length.
    fn end(self, channels: usize) -> Result<(File, u64), String> {
        match self {
            Body::Wav { mut file, bytes } => {
                end_wav(&mut file, channels as u16, bytes)?;
                Ok((file, bytes + wav::HEADER_LEN as u64))
            }
            Body::Ogg(ogg) => ogg.end(),
        }
    }
}

pub(super) fn write_all(chunks: &Receiver<Chunk>, finished: &SyncSender<Written>, sink: &dyn EventSink) {
    // Cheap, but it must not wait behind ordinary work for longer than its queue lasts.
    crate::sys::request_nice(WRITER_NICE);
    let mut open: HashMap<u64, Written> = HashMap::new();
    for chunk in chunks {
        let recording = open.entry(chunk.key).or_insert_with(|| Written::create(&chunk.job));
        recording.append(chunk.silence, &chunk.samples);
        if let Some(silenced_ms) = chunk.finish
            && let Some(mut done) = open.remove(&chunk.key)
        {
            done.silenced_ms = silenced_ms;
            match finished.try_send(done) {
                Ok(()) => {}
                Err(TrySendError::Full(done) | TrySendError::Disconnected(done)) => done.complete(sink),
            }
        }
    }
    // The engine stops: whatever was not finished by its call is completed as it is.
    for (_, done) in open {
        done.complete(sink);
    }
}

impl Written {
    fn create(job: &Arc<Job>) -> Written {
        let (body, error) = match Body::create(job) {
            Ok(body) => (Some(body), None),
            Err(error) => (None, Some(error)),
        };
        Written {
            job: Arc::clone(job),
            body,
            frames: 0,
            silenced_ms: 0,
            error,
        }
    }

    fn append(&mut self, silence: u64, samples: &[i16]) {
        const ZEROS: [i16; FRAME * 2] = [0; FRAME * 2];
        let frame = FRAME * self.job.channels;
        for _ in 0..silence {
            self.write(&ZEROS[..frame]);
        }
        self.write(samples);
    }

    /// After the first error nothing more is written: the file stays usable up to there.
    fn write(&mut self, samples: &[i16]) {
        if self.error.is_some() {
            return;
        }
        let Some(body) = &mut self.body else { return };
        match body.append(samples) {
            Ok(()) => self.frames += (samples.len() / (FRAME * self.job.channels)) as u64,
            Err(error) => self.error = Some(error),
        }
    }

    pub(super) fn complete(mut self, sink: &dyn EventSink) {
        let (path, bytes, sha256) = match self.finish_file() {
            Ok((bytes, sha256)) => (self.job.path.clone(), bytes, Some(sha256)),
            Err(e) => {
                self.error.get_or_insert(e);
                (self.job.part.clone(), 0, None)
            }
        };
        if let Some(error) = &self.error {
            tracing::error!(
                code = "recording_failed",
                "a recording is incomplete: {error}; the call went on"
            );
        }
        let event = Event::RecordingFinished {
            id: self.job.id,
            path,
            millis: self.frames * 20,
            bytes,
            sha256,
            silenced_ms: self.silenced_ms,
            error: self.error,
        };
        sink.event(self.job.call, event);
    }

    fn finish_file(&mut self) -> Result<(u64, [u8; 32]), String> {
        let body = self.body.take().ok_or("the file was never created")?;
        let (mut file, bytes) = body.end(self.job.channels)?;
        Ok((bytes, publish(&mut file, &self.job.part, &self.job.path)?))
    }
}

pub(super) fn say(what: &'static str) -> impl Fn(std::io::Error) -> String {
    move |e| format!("cannot {what}: {e}")
}

/// The final header of a WAV file with `data_bytes` of audio.
pub(super) fn end_wav(file: &mut File, channels: u16, data_bytes: u64) -> Result<(), String> {
    // A write that failed half-way leaves a tail that belongs to no whole frame.
    file.set_len(data_bytes + wav::HEADER_LEN as u64)
        .map_err(say("cut the file"))?;
    file.seek(SeekFrom::Start(0)).map_err(say("seek"))?;
    file.write_all(&wav::header(channels, RATE, data_bytes))
        .map_err(say("write the header"))
}

/// Sync, rename, and the rename made durable. Returns the checksum of the file.
pub(super) fn publish(file: &mut File, part: &Path, path: &Path) -> Result<[u8; 32], String> {
    file.sync_all().map_err(say("sync"))?;
    file.seek(SeekFrom::Start(0)).map_err(say("seek"))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0u8; 64 * 1024];
    loop {
        match file.read(&mut buffer).map_err(say("read back"))? {
            0 => break,
            n => hash.update(&buffer[..n]),
        }
    }
    std::fs::rename(part, path).map_err(say("rename"))?;
    if let Some(dir) = path.parent() {
        File::open(dir)
            .and_then(|d| d.sync_all())
            .map_err(say("sync the folder"))?;
    }
    Ok(hash.finalize().into())
}
