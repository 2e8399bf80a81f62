//! Finished recordings: where they are kept, how they are read in parts, and how they go away.
//!
//! A recording is written to the spool, a local folder, and is there under its final name as soon as it is complete. With a
//! store ([`Target`]) it is put there by [`Blobs::put`] and leaves the spool afterwards; until then, and while the store does not
//! answer, it is read from the spool. What waits is what lies in the spool: nothing is lost by a crash between two steps.
//!
//! - A name says nothing about where a recording is; [`Blobs::open_at`] looks in the spool first.
//! - In a store, recordings lie in a folder for each day (UTC) of their conversations, so that old ones are found without
//!   looking at all.

mod range;
mod target;

pub use range::{ByteRange, Wanted, wanted};
pub use target::{S3, Target};

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use object_store::path::Path as Key;
use object_store::{GetOptions, ObjectStore, ObjectStoreExt, PutPayload, WriteMultipart};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use tokio::io::AsyncReadExt;

/// Above this size a recording is put in several parts; S3 takes no part below 5 MiB but the last.
const PART: u64 = 8 << 20;

/// Why a recording could not be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// There is no such recording.
    #[error("there is no recording of this name")]
    NotFound,
    /// The settings make no store.
    #[error("the store of recordings cannot be used: {0}. Check [recording]")]
    Settings(String),
    /// The spool.
    #[error("the spool of recordings: {0}")]
    Spool(#[from] std::io::Error),
    /// The store refuses, or does not answer.
    #[error("the store of recordings: {0}")]
    Store(String),
    /// The store holds something else than was put there.
    #[error("the store of recordings holds {found} bytes of a recording of {expected}")]
    Damaged {
        /// Bytes that were put.
        expected: u64,
        /// Bytes that the store says it has.
        found: u64,
    },
}

impl BlobError {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            BlobError::NotFound => "recording.not-found",
            BlobError::Settings(_) => "recording.settings",
            BlobError::Spool(_) => "recording.spool",
            BlobError::Store(_) => "recording.store",
            BlobError::Damaged { .. } => "recording.damaged",
        }
    }
}

impl From<object_store::Error> for BlobError {
    fn from(error: object_store::Error) -> BlobError {
        match error {
            object_store::Error::NotFound { .. } => BlobError::NotFound,
            other => BlobError::Store(other.to_string()),
        }
    }
}

/// A part of a recording, or all of it.
pub struct Content {
    /// Length of the whole recording in bytes.
    pub size: u64,
    /// Which part.
    pub range: ByteRange,
    /// The octets of that part.
    pub stream: BoxStream<'static, Result<Bytes, BlobError>>,
}

/// Counters since the start, and what waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlobStats {
    /// Recordings that were put into the store.
    pub stored: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Recordings in the spool that have not been put there, when it was last looked at.
    pub waiting: u64,
    /// Their bytes.
    pub waiting_bytes: u64,
}

#[derive(Default)]
struct Counters {
    stored: AtomicU64,
    failed: AtomicU64,
    waiting: AtomicU64,
    waiting_bytes: AtomicU64,
}

/// The recordings of a process. Shared.
pub struct Blobs {
    spool: PathBuf,
    /// None: they stay in the spool.
    store: Option<target::Place>,
    /// A store that is a folder, to be synced.
    folder: Option<PathBuf>,
    counters: Counters,
}

/// The name of a finished recording: `RE`, 32 digits of the conversation and the recording's number, 32 random ones, `.wav`
/// or `.ogg`. Nothing that could leave a folder or name a file that is still being written.
pub fn is_name(name: &str) -> bool {
    name.strip_prefix("RE")
        .and_then(|n| n.strip_suffix(".wav").or_else(|| n.strip_suffix(".ogg")))
        .is_some_and(|n| n.len() == 64 && n.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// The day (UTC) of a recording's conversation, in days since 1970: its id begins with the milliseconds of its birth.
fn day_of(name: &str) -> Option<u64> {
    u64::from_str_radix(name.get(2..14)?, 16).ok().map(|ms| ms / 86_400_000)
}

impl Blobs {
    /// With this spool, which must exist, and this store.
    ///
    /// # Errors
    /// [`BlobError::Settings`]. The store itself is not asked yet.
    pub fn open(spool: PathBuf, target: Target) -> Result<Blobs, BlobError> {
        let folder = match &target {
            Target::Folder(folder) => Some(folder.clone()),
            _ => None,
        };
        Ok(Blobs {
            spool,
            store: target.open()?,
            folder,
            counters: Counters::default(),
        })
    }

    /// True if recordings go on from the spool.
    pub fn has_store(&self) -> bool {
        self.store.is_some()
    }

    /// The folder in which recordings are written.
    pub fn spool(&self) -> &Path {
        &self.spool
    }

    /// Figures for the metrics page.
    pub fn stats(&self) -> BlobStats {
        let c = &self.counters;
        BlobStats {
            stored: c.stored.load(Relaxed),
            failed: c.failed.load(Relaxed),
            waiting: c.waiting.load(Relaxed),
            waiting_bytes: c.waiting_bytes.load(Relaxed),
        }
    }

    /// The complete recordings in the spool, in no order.
    ///
    /// # Errors
    /// [`BlobError::Spool`].
    pub async fn spooled(&self) -> Result<Vec<String>, BlobError> {
        let mut entries = tokio::fs::read_dir(&self.spool).await?;
        let (mut names, mut bytes) = (Vec::new(), 0);
        while let Some(entry) = entries.next_entry().await? {
            let name = entry.file_name().to_string_lossy().into_owned();
            if is_name(&name) {
                // One that went away meanwhile has no length.
                bytes += entry.metadata().await.map_or(0, |m| m.len());
                names.push(name);
            }
        }
        self.counters.waiting.store(names.len() as u64, Relaxed);
        self.counters.waiting_bytes.store(bytes, Relaxed);
        Ok(names)
    }

    fn key(&self, root: &Key, name: &str) -> Key {
        let day = range::date(day_of(name).unwrap_or(0));
        root.clone().join(day.as_str()).join(name)
    }

    /// Puts a recording from the spool into the store, and takes it out of the spool when the store says that it has all
    /// of it. Doing it again after a crash at any point ends the same. Does nothing without a store.
    ///
    /// # Errors
    /// The recording stays in the spool.
    pub async fn put(&self, name: &str) -> Result<(), BlobError> {
        let Some((store, root)) = self.store.as_ref().filter(|_| is_name(name)) else {
            return Ok(());
        };
        let result = self.put_to(&**store, &self.key(root, name), name).await;
        let counter = match &result {
            Ok(()) => &self.counters.stored,
            Err(_) => &self.counters.failed,
        };
        counter.fetch_add(1, Relaxed);
        result
    }

    async fn put_to(&self, store: &dyn ObjectStore, key: &Key, name: &str) -> Result<(), BlobError> {
        let path = self.spool.join(name);
        let mut file = tokio::fs::File::open(&path).await?;
        let size = file.metadata().await?.len();
        if size <= PART {
            let mut all = Vec::with_capacity(size as usize);
            file.read_to_end(&mut all).await?;
            store.put(key, PutPayload::from(all)).await?;
        } else {
            let upload = store.put_multipart(key).await?;
            let mut writer = WriteMultipart::new_with_chunk_size(upload, PART as usize);
            if let Err(error) = copy(&mut file, &mut writer).await {
                // What was sent already costs room until it is given up.
                let _ = writer.abort().await;
                return Err(error);
            }
            writer.finish().await?;
        }
        let found = store.head(key).await?.size;
        if found != size {
            return Err(BlobError::Damaged { expected: size, found });
        }
        if let Some(folder) = &self.folder {
            sync(folder.join(key.as_ref())).await?;
        }
        tokio::fs::remove_file(&path).await?;
        Ok(())
    }

    /// Reads a recording, or the part of it that is wanted.
    ///
    /// # Errors
    /// [`BlobError::NotFound`] for one that is not complete, and for anything else that is no recording.
    pub async fn open_at(
        &self,
        name: &str,
        wanted: impl FnOnce(u64) -> Option<ByteRange>,
    ) -> Result<Opened, BlobError> {
        if !is_name(name) {
            return Err(BlobError::NotFound);
        }
        match tokio::fs::File::open(self.spool.join(name)).await {
            Ok(file) => return from_spool(file, wanted).await,
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            Err(_) => {}
        }
        let Some((store, root)) = &self.store else {
            return Err(BlobError::NotFound);
        };
        let key = self.key(root, name);
        let size = store.head(&key).await?.size;
        let Some(range) = wanted(size) else {
            return Ok(Opened::Outside { size });
        };
        if range.is_empty() {
            let stream = futures_util::stream::empty().boxed();
            return Ok(Opened::Content(Content { size, range, stream }));
        }
        let options = GetOptions {
            range: Some(object_store::GetRange::Bounded(range.start..range.end)),
            ..GetOptions::default()
        };
        let stream = store.get_opts(&key, options).await?.into_stream();
        Ok(Opened::Content(Content {
            size,
            range,
            stream: stream.map_err(BlobError::from).boxed(),
        }))
    }

    /// Deletes a recording wherever it is. One that is not there is deleted already.
    ///
    /// # Errors
    /// It may still be there.
    pub async fn delete(&self, name: &str) -> Result<(), BlobError> {
        if !is_name(name) {
            return Ok(());
        }
        match tokio::fs::remove_file(self.spool.join(name)).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let Some((store, root)) = &self.store else {
            return Ok(());
        };
        match store.delete(&self.key(root, name)).await.map_err(BlobError::from) {
            Err(BlobError::NotFound) | Ok(()) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Recordings of conversations that began before a moment (ms since 1970), to within a day, in the spool and the store.
    ///
    /// # Errors
    /// The spool or the store cannot be listed.
    pub async fn older_than(&self, before_ms: i64) -> Result<Vec<String>, BlobError> {
        let last = u64::try_from(before_ms).unwrap_or(0) / 86_400_000;
        let mut names = self.spooled().await?;
        names.retain(|n| day_of(n).is_some_and(|day| day <= last));
        let Some((store, root)) = &self.store else {
            return Ok(names);
        };
        // Dates sort as texts.
        let newest = range::date(last);
        let days = store.list_with_delimiter(Some(root)).await?.common_prefixes;
        for day in days {
            if day.filename().is_none_or(|date| date > newest.as_str()) {
                continue;
            }
            let mut found = store.list(Some(&day));
            while let Some(meta) = found.try_next().await? {
                names.extend(meta.location.filename().filter(|n| is_name(n)).map(str::to_owned));
            }
        }
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }
}

/// What a read came to.
pub enum Opened {
    /// The octets.
    Content(Content),
    /// The wanted part is not in it.
    Outside {
        /// Length of the whole recording.
        size: u64,
    },
}

async fn from_spool(
    mut file: tokio::fs::File,
    wanted: impl FnOnce(u64) -> Option<ByteRange>,
) -> Result<Opened, BlobError> {
    use tokio::io::AsyncSeekExt;
    let size = file.metadata().await?.len();
    let Some(range) = wanted(size) else {
        return Ok(Opened::Outside { size });
    };
    file.seek(std::io::SeekFrom::Start(range.start)).await?;
    // The open file stays readable when it is moved into the store meanwhile.
    let stream = futures_util::stream::try_unfold((file, range.end - range.start), |(mut file, left)| async move {
        let mut chunk = vec![0; left.min(64 << 10) as usize];
        let n = file.read(&mut chunk).await?;
        if n == 0 {
            return Ok(None);
        }
        chunk.truncate(n);
        Ok(Some((Bytes::from(chunk), (file, left - n as u64))))
    });
    Ok(Opened::Content(Content {
        size,
        range,
        stream: stream.boxed(),
    }))
}

async fn copy(file: &mut tokio::fs::File, writer: &mut WriteMultipart) -> Result<(), BlobError> {
    let mut chunk = vec![0; 1 << 20];
    loop {
        let n = file.read(&mut chunk).await?;
        if n == 0 {
            return Ok(());
        }
        // At most two parts under way: a slow store slows the reading and not the memory.
        writer.wait_for_capacity(2).await?;
        writer.write(&chunk[..n]);
    }
}

/// Makes a file and its name last through a loss of power.
async fn sync(path: PathBuf) -> Result<(), BlobError> {
    let synced = tokio::task::spawn_blocking(move || {
        std::fs::File::open(&path)?.sync_all()?;
        path.parent().map_or(Ok(()), |p| std::fs::File::open(p)?.sync_all())
    });
    Ok(synced.await.map_err(std::io::Error::other)??)
}
