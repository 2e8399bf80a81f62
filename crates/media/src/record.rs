//! Recording: samples are collected on the shard and written by a thread of their own.
//!
//! The shard hands over chunks of 200 ms through a bounded queue and never waits. When the queue is full a chunk becomes
//! silence of the same length, which is counted. A second thread completes files (header, sync, rename, checksum), so
//! that a slow sync of one recording does not hold up the audio of the others.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError};
use std::thread::JoinHandle;

use sha2::{Digest, Sha256};
use strowger_media_core::{FRAME, RATE, wav};

use crate::api::{CallKey, Event, EventSink, MediaError};

/// Frames of 20 ms in a chunk.
const CHUNK_FRAMES: usize = 10;
const CHANNELS: usize = 2;
const WRITER_NICE: i32 = -10;
/// Bytes of one stereo frame of 20 ms.
const FRAME_BYTES: u64 = (FRAME * CHANNELS * 2) as u64;
/// Recordings that may wait to be completed before the writer completes one itself.
const FINISH_QUEUE: usize = 1024;

/// Where a recording goes and who wants to know.
pub(crate) struct Job {
    call: CallKey,
    id: u128,
    part: PathBuf,
    path: PathBuf,
}

/// One message to the writer.
struct Chunk {
    key: u64,
    job: Arc<Job>,
    /// Frames of silence that come before the samples.
    silence: u64,
    /// Interleaved left and right.
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
    pub(crate) fn begin(&self, call: CallKey, id: u128, stem: &str) -> Option<Recorder> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if stem.is_empty() || stem.len() > 200 || stem.starts_with('.') || !stem.chars().all(plain) {
            return None;
        }
        let job = Arc::new(Job {
            call,
            id,
            part: self.dir.join(format!("{stem}.wav.part")),
            path: self.dir.join(format!("{stem}.wav")),
        });
        let key = self.next_key.fetch_add(1, Ordering::Relaxed);
        let samples = Vec::with_capacity(CHUNK_FRAMES * FRAME * CHANNELS);
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
    /// Add one frame of both channels.
    pub(crate) fn frame(&mut self, left: &[i16; FRAME], right: &[i16; FRAME]) {
        self.samples.extend(left.iter().zip(right).flat_map(|(&l, &r)| [l, r]));
        if self.samples.len() >= CHUNK_FRAMES * FRAME * CHANNELS {
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
        let next = Vec::with_capacity(CHUNK_FRAMES * FRAME * CHANNELS);
        let samples = std::mem::replace(&mut self.samples, next);
        let frames = (samples.len() / (FRAME * CHANNELS)) as u64;
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

/// A file that has all its audio.
struct Written {
    job: Arc<Job>,
    file: Option<File>,
    bytes: u64,
    silenced_ms: u64,
    error: Option<String>,
}

fn write_all(chunks: &Receiver<Chunk>, finished: &SyncSender<Written>, sink: &dyn EventSink) {
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
        let created = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&job.part);
        let mut recording = Written {
            job: Arc::clone(job),
            file: None,
            bytes: 0,
            silenced_ms: 0,
            error: None,
        };
        match created {
            Ok(file) => {
                recording.file = Some(file);
                recording.write(&wav::header(CHANNELS as u16, RATE, 0));
                recording.bytes = 0;
            }
            Err(e) => recording.error = Some(format!("cannot create the file: {e}")),
        }
        recording
    }

    fn append(&mut self, silence: u64, samples: &[i16]) {
        const ZEROS: [u8; FRAME_BYTES as usize] = [0; FRAME_BYTES as usize];
        for _ in 0..silence {
            self.write(&ZEROS);
        }
        let mut bytes = Vec::with_capacity(samples.len() * 2);
        bytes.extend(samples.iter().flat_map(|s| s.to_le_bytes()));
        self.write(&bytes);
    }

    /// After the first error nothing more is written: the file stays usable up to there.
    fn write(&mut self, bytes: &[u8]) {
        if self.error.is_some() {
            return;
        }
        let Some(file) = &mut self.file else { return };
        match file.write_all(bytes) {
            Ok(()) => self.bytes += bytes.len() as u64,
            Err(e) => self.error = Some(format!("cannot write: {e}")),
        }
    }

    fn complete(mut self, sink: &dyn EventSink) {
        let finished = self.finish_file();
        let (path, sha256) = match finished {
            Ok(sha256) => (self.job.path.clone(), Some(sha256)),
            Err(e) => {
                self.error.get_or_insert(e);
                (self.job.part.clone(), None)
            }
        };
        let event = Event::RecordingFinished {
            id: self.job.id,
            path,
            millis: self.bytes / (FRAME_BYTES / 20),
            bytes: self.bytes + wav::HEADER_LEN as u64,
            sha256,
            silenced_ms: self.silenced_ms,
            error: self.error,
        };
        sink.event(self.job.call, event);
    }

    fn finish_file(&mut self) -> Result<[u8; 32], String> {
        match &mut self.file {
            Some(file) => finish(file, self.bytes, &self.job.part, &self.job.path),
            None => Err("the file was never created".into()),
        }
    }
}

/// Header, sync, rename, and the rename made durable. Returns the checksum of the file.
fn finish(file: &mut File, data_bytes: u64, part: &Path, path: &Path) -> Result<[u8; 32], String> {
    let say = |what: &'static str| move |e: std::io::Error| format!("cannot {what}: {e}");
    // A write that failed half-way leaves a tail that belongs to no whole frame.
    file.set_len(data_bytes + wav::HEADER_LEN as u64)
        .map_err(say("cut the file"))?;
    file.seek(SeekFrom::Start(0)).map_err(say("seek"))?;
    file.write_all(&wav::header(CHANNELS as u16, RATE, data_bytes))
        .map_err(say("write the header"))?;
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

/// A recording that was completed after the death of the process that wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Salvaged {
    /// Its final path.
    pub path: PathBuf,
    /// Length in ms.
    pub millis: u64,
    /// Length of the file in bytes.
    pub bytes: u64,
    /// SHA-256 of the whole file.
    pub sha256: [u8; 32],
}

/// Completes the recording whose file name begins with `prefix` in a recording folder: an unfinished one gets its header
/// and its final name, one that had just been finished is measured. What was not yet handed to the disk is missing.
/// Blocks on the disk.
///
/// # Errors
/// What is wrong, for the operator: no such file, no whole frame in it, or the system's reason.
pub fn salvage(dir: &Path, prefix: &str) -> Result<Salvaged, String> {
    let entries = std::fs::read_dir(dir).map_err(|e| format!("cannot read the recording folder: {e}"))?;
    let named = |e: &std::fs::DirEntry| e.file_name().to_string_lossy().starts_with(prefix);
    let found = entries.filter_map(Result::ok).find(named).map(|e| e.path());
    let found = found.ok_or("nothing of it reached the disk")?;
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&found)
        .map_err(|e| format!("cannot open the file: {e}"))?;
    let length = file
        .metadata()
        .map_err(|e| format!("cannot measure the file: {e}"))?
        .len();
    let data_bytes = length.saturating_sub(wav::HEADER_LEN as u64) / FRAME_BYTES * FRAME_BYTES;
    if data_bytes == 0 {
        return Err("nothing of it reached the disk".into());
    }
    let path = match found.extension() {
        Some(end) if end == "part" => found.with_extension(""),
        _ => found.clone(),
    };
    let sha256 = finish(&mut file, data_bytes, &found, &path)?;
    Ok(Salvaged {
        path,
        millis: data_bytes / (FRAME_BYTES / 20),
        bytes: data_bytes + wav::HEADER_LEN as u64,
        sha256,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[derive(Default)]
    struct Events(Mutex<Vec<Event>>);

    impl EventSink for Events {
        fn event(&self, _: CallKey, event: Event) {
            self.0.lock().unwrap().push(event);
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
        let mut recorder = recordings.begin(CallKey(1), 7, "a-1").unwrap();
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
        let mut recorder = recordings.begin(CallKey(1), 7, "a").unwrap();
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
        let mut recorder = recordings.begin(CallKey(1), 7, "b").unwrap();
        recorder.frame(&[1; FRAME], &[-1; FRAME]);
        assert!(recorder.finish().is_none());
        drop(recordings);
        threads.into_iter().for_each(|t| t.join().unwrap());
        let (_, millis, _, error) = finished(&events);
        assert_eq!(millis, 0);
        assert!(error.unwrap().starts_with("cannot create"));
    }

    #[test]
    fn a_recording_whose_writer_died_is_completed_up_to_its_last_whole_frame() {
        let dir = tempfile::tempdir().unwrap();
        assert!(salvage(dir.path(), "REab").unwrap_err().contains("nothing"));
        let mut torn = wav::header(2, RATE, 0).to_vec();
        torn.extend(vec![1; 3 * FRAME_BYTES as usize + 17]);
        std::fs::write(dir.path().join("REabcd.wav.part"), &torn).unwrap();
        let saved = salvage(dir.path(), "REab").unwrap();
        assert_eq!(saved.path, dir.path().join("REabcd.wav"));
        assert_eq!((saved.millis, saved.bytes), (60, 44 + 3 * FRAME_BYTES));
        let (left, _) = wav::read_stereo(&std::fs::read(&saved.path).unwrap()).unwrap();
        assert_eq!(left.len(), 3 * FRAME);
        // The process may also have died between the rename and the report.
        assert_eq!(salvage(dir.path(), "REab").unwrap(), saved);
        std::fs::write(dir.path().join("REempty.wav.part"), &torn[..44]).unwrap();
        assert!(salvage(dir.path(), "REempty").is_err());
    }

    #[test]
    fn stems_cannot_leave_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let (recordings, _threads) = Recordings::start(dir.path(), 1, Arc::new(Events::default())).unwrap();
        for stem in ["", "../x", "a/b", ".hidden", "a\0", &"x".repeat(201)] {
            assert!(recordings.begin(CallKey(1), 7, stem).is_none(), "{stem:?}");
        }
    }
}
