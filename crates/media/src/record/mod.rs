//! Recording: samples are collected on the shard and written by a thread of their own.
//!
//! The shard hands over chunks of 200 ms through a bounded queue and never waits. When the queue is full a chunk becomes
//! silence of the same length, which is counted. A second thread completes files (header, sync, rename, checksum), so
//! that a slow sync of one recording does not hold up the audio of the others.

mod ogg;
mod salvage;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::thread::JoinHandle;

use strowger_media_core::FRAME;

pub use self::salvage::{Salvaged, salvage};
use self::writer::{Written, write_all};
use crate::api::{CallKey, EventSink, MediaError, RecordChannels, RecordFormat, RecordSpec};

/// Frames of 20 ms in a chunk.
const CHUNK_FRAMES: usize = 10;
/// Recordings that may wait to be completed before the writer completes one itself.
const FINISH_QUEUE: usize = 1024;

/// Where a recording goes and who wants to know.
pub(crate) struct Job {
    call: CallKey,
    id: u128,
    part: PathBuf,
    path: PathBuf,
    format: RecordFormat,
    channels: usize,
}

/// One message to the writer.
struct Chunk {
    key: u64,
    job: Arc<Job>,
    /// Frames of silence that come before the samples.
    silence: u64,
    /// Left and right interleaved, or one channel.
    samples: Vec<i16>,
    /// The last one: how many ms were replaced by silence.
    finish: Option<u64>,
}

/// The shards' side of the writer.
#[derive(Clone)]
pub(crate) struct Recordings {
    queue: SyncSender<Chunk>,
    next_key: Arc<AtomicU64>,
    silenced_ms: Arc<AtomicU64>,
    dir: Arc<Path>,
}

impl Recordings {
    /// Start the two threads. They end when every clone of the returned value is gone.
    pub(crate) fn start(
        dir: &Path,
        capacity: usize,
        sink: Arc<dyn EventSink>,
    ) -> Result<(Recordings, Vec<JoinHandle<()>>), MediaError> {
        let io = |what| move |source| MediaError::Io { what, source };
        std::fs::create_dir_all(dir).map_err(io("create the recording folder"))?;
        let (queue, chunks) = std::sync::mpsc::sync_channel(capacity.max(1));
        let (finished, files) = std::sync::mpsc::sync_channel(FINISH_QUEUE);
        let writer = std::thread::Builder::new()
            .name("media-record".into())
            .spawn({
                let sink = Arc::clone(&sink);
                move || write_all(&chunks, &finished, &*sink)
            })
            .map_err(io("start the recording writer"))?;
        let finisher = std::thread::Builder::new()
            .name("media-finish".into())
            .spawn(move || files.iter().for_each(|file: Written| file.complete(&*sink)))
            .map_err(io("start the recording finisher"))?;
        let recordings = Recordings {
            queue,
            next_key: Arc::new(AtomicU64::new(0)),
            silenced_ms: Arc::new(AtomicU64::new(0)),
            dir: dir.into(),
        };
        Ok((recordings, vec![writer, finisher]))
    }

    /// Milliseconds of audio of all recordings that became silence; outlives the writer.
    pub(crate) fn silenced_counter(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.silenced_ms)
    }

    /// Begin a recording. `None` when the stem is not a plain file name.
    pub(crate) fn begin(&self, call: CallKey, spec: &RecordSpec) -> Option<Recorder> {
        let stem = spec.stem.as_str();
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if stem.is_empty() || stem.len() > 200 || stem.starts_with('.') || !stem.chars().all(plain) {
            return None;
        }
        let extension = spec.format.extension();
        let job = Arc::new(Job {
            call,
            id: spec.id,
            part: self.dir.join(format!("{stem}.{extension}.part")),
            path: self.dir.join(format!("{stem}.{extension}")),
            format: spec.format,
            channels: match spec.channels {
                RecordChannels::Stereo => 2,
                RecordChannels::Mono => 1,
            },
        });
        let key = self.next_key.fetch_add(1, Ordering::Relaxed);
        let samples = Vec::with_capacity(CHUNK_FRAMES * FRAME * job.channels);
        Some(Recorder {
            key,
            job,
            recordings: self.clone(),
            samples,
            silence: 0,
            silenced_ms: 0,
        })
    }
}

/// A recording in progress, owned by its call.
pub(crate) struct Recorder {
    key: u64,
    job: Arc<Job>,
    recordings: Recordings,
    samples: Vec<i16>,
    silence: u64,
    silenced_ms: u64,
}

impl Recorder {
    /// Add one frame of both sides.
    pub(crate) fn frame(&mut self, left: &[i16; FRAME], right: &[i16; FRAME]) {
        let both = left.iter().zip(right);
        if self.job.channels == 1 {
            self.samples.extend(both.map(|(l, &r)| l.saturating_add(r)));
        } else {
            self.samples.extend(both.flat_map(|(&l, &r)| [l, r]));
        }
        if self.samples.len() >= CHUNK_FRAMES * FRAME * self.job.channels {
            self.hand_over();
        }
    }

    /// Keep the time line when the shard came too late to produce frames.
    pub(crate) fn skipped(&mut self, frames: u64) {
        self.hand_over();
        self.silence += frames;
        self.count_silenced(frames);
    }

    fn count_silenced(&mut self, frames: u64) {
        self.silenced_ms += frames * 20;
        self.recordings.silenced_ms.fetch_add(frames * 20, Ordering::Relaxed);
    }

    fn hand_over(&mut self) {
        if self.samples.is_empty() {
            return;
        }
        let frame = FRAME * self.job.channels;
        let next = Vec::with_capacity(CHUNK_FRAMES * frame);
        let samples = std::mem::replace(&mut self.samples, next);
        let frames = (samples.len() / frame) as u64;
        let chunk = Chunk {
            key: self.key,
            job: Arc::clone(&self.job),
            silence: self.silence,
            samples,
            finish: None,
        };
        match self.recordings.queue.try_send(chunk) {
            Ok(()) => self.silence = 0,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.silence += frames;
                self.count_silenced(frames);
            }
        }
    }

    /// Hand over what is left. When the queue is full the rest comes back, to be offered again with [`Finishing::retry`].
    pub(crate) fn finish(self) -> Option<Finishing> {
        let chunk = Chunk {
            key: self.key,
            job: self.job,
            silence: self.silence,
            samples: self.samples,
            finish: Some(self.silenced_ms),
        };
        Finishing { chunk }.retry(&self.recordings)
    }
}

/// The end of a recording that did not fit in the writer's queue yet.
pub(crate) struct Finishing {
    chunk: Chunk,
}

impl Finishing {
    /// Offer it again; `None` when it was taken.
    pub(crate) fn retry(self, recordings: &Recordings) -> Option<Finishing> {
        match recordings.queue.try_send(self.chunk) {
            Err(TrySendError::Full(chunk)) => Some(Finishing { chunk }),
            Ok(()) | Err(TrySendError::Disconnected(_)) => None,
        }
    }

    /// Wait for room; for shutdown only.
    pub(crate) fn wait(self, recordings: &Recordings) {
        // The writer lives as long as `recordings`, so this can only fail after it has panicked.
        let _ = recordings.queue.send(self.chunk);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Event;
    use std::sync::Mutex;
    use strowger_media_core::wav;

    #[derive(Default)]
    struct Events(Mutex<Vec<Event>>);

    impl EventSink for Events {
        fn event(&self, _: CallKey, event: Event) {
            self.0.lock().unwrap().push(event);
        }
    }

    fn spec(stem: &str) -> RecordSpec {
        RecordSpec {
            id: 7,
            stem: stem.to_owned(),
            ..RecordSpec::default()
        }
    }

    fn finished(events: &Events) -> (PathBuf, u64, u64, Option<String>) {
        match events.0.lock().unwrap().pop() {
            Some(Event::RecordingFinished {
                path,
                millis,
                silenced_ms,
                error,
                ..
            }) => (path, millis, silenced_ms, error),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_recording_is_complete_when_it_is_reported() {
        let dir = tempfile::tempdir().unwrap();
        let events = Arc::new(Events::default());
        let (recordings, threads) = Recordings::start(dir.path(), 64, events.clone()).unwrap();
        let mut recorder = recordings.begin(CallKey(1), &spec("a-1")).unwrap();
        for _ in 0..25 {
            recorder.frame(&[1; FRAME], &[-1; FRAME]);
        }
        recorder.skipped(5);
        recorder.frame(&[2; FRAME], &[-2; FRAME]);
        assert!(recorder.finish().is_none());
        drop(recordings);
        threads.into_iter().for_each(|t| t.join().unwrap());
        let (path, millis, silenced, error) = finished(&events);
        assert_eq!((millis, silenced, error), (31 * 20, 100, None));
        let (left, right) = wav::read_stereo(&std::fs::read(path).unwrap()).unwrap();
        assert_eq!(left.len(), 31 * FRAME);
        assert_eq!(
            (left[0], right[0], left[25 * FRAME], left[30 * FRAME], right[30 * FRAME]),
            (1, -1, 0, 2, -2)
        );
        assert!(!dir.path().join("a-1.wav.part").exists());
    }

    #[test]
    fn a_full_queue_becomes_silence_of_the_same_length() {
        // No writer runs, so the queue of one chunk stays full after the first.
        let (queue, chunks) = std::sync::mpsc::sync_channel(1);
        let recordings = Recordings {
            queue,
            next_key: Default::default(),
            silenced_ms: Default::default(),
            dir: Path::new("/nowhere").into(),
        };
        let mut recorder = recordings.begin(CallKey(1), &spec("a")).unwrap();
        for _ in 0..3 * CHUNK_FRAMES {
            recorder.frame(&[1; FRAME], &[1; FRAME]);
        }
        assert_eq!(recordings.silenced_counter().load(Ordering::Relaxed), 400);
        let waiting = recorder.finish().expect("the queue is full");
        let first = chunks.recv().unwrap();
        assert_eq!((first.silence, first.samples.len()), (0, CHUNK_FRAMES * FRAME * 2));
        assert!(waiting.retry(&recordings).is_none());
        let last = chunks.recv().unwrap();
        assert_eq!(
            (last.silence, last.samples.len(), last.finish),
            (2 * CHUNK_FRAMES as u64, 0, Some(400))
        );
    }

    #[test]
    fn a_disk_that_refuses_is_said_in_the_event() {
        let dir = tempfile::tempdir().unwrap();
        let events = Arc::new(Events::default());
        let (recordings, threads) = Recordings::start(dir.path(), 64, events.clone()).unwrap();
        std::fs::create_dir(dir.path().join("b.wav.part")).unwrap(); // a folder is where the file should be
        let mut recorder = recordings.begin(CallKey(1), &spec("b")).unwrap();
        recorder.frame(&[1; FRAME], &[-1; FRAME]);
        assert!(recorder.finish().is_none());
        drop(recordings);
        threads.into_iter().for_each(|t| t.join().unwrap());
        let (_, millis, _, error) = finished(&events);
        assert_eq!(millis, 0);
        assert!(error.unwrap().starts_with("cannot create"));
    }

    #[test]
    fn stems_cannot_leave_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let (recordings, _threads) = Recordings::start(dir.path(), 1, Arc::new(Events::default())).unwrap();
        for stem in ["", "../x", "a/b", ".hidden", "a\0", &"x".repeat(201)] {
            assert!(recordings.begin(CallKey(1), &spec(stem)).is_none(), "{stem:?}");
        }
    }
}
