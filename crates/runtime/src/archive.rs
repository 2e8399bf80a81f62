//! Finished recordings on their way from the spool into the store.

use crate::retention::{conversation_of, record_of};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use strowger_blobs::Blobs;
use strowger_core::record::RecordingRecord;
use strowger_store::Store;
use tokio::task::JoinSet;

/// How often the spool is looked at.
const EVERY: Duration = Duration::from_secs(1);
/// Longest pause after attempts that failed.
const PATIENCE: Duration = Duration::from_secs(60);
/// Recordings that are put at once.
const AT_ONCE: usize = 4;

/// Looks at the spool for which a recording that no record knows is left alone after one look: nobody may ever know it.
const FORGET_AFTER: u32 = 30;

/// Recordings that no record knows.
#[derive(Debug, Default)]
pub struct Unknown {
    names: HashSet<String>,
    looks: u32,
}

/// What a look at the spool came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pass {
    /// Recordings that went into the store.
    pub stored: usize,
    /// Recordings that could not.
    pub failed: usize,
}

/// Puts every recording of the spool whose file the journal knows into the store. One that the journal does not know yet stays,
/// because recovery would look for it in the spool.
pub async fn pass(store: &Store, blobs: &Arc<Blobs>, unknown: &mut Unknown) -> Pass {
    let mut done = Pass::default();
    unknown.looks += 1;
    if unknown.looks.is_multiple_of(FORGET_AFTER) {
        unknown.names.clear();
    }
    let names = match blobs.spooled().await {
        Ok(names) => names,
        Err(error) => {
            tracing::warn!(code = error.code(), "{error}");
            return Pass { failed: 1, ..done };
        }
    };
    let mut under_way = JoinSet::new();
    let mut first = None;
    for name in names {
        if unknown.names.contains(&name) {
            continue;
        }
        if !is_known(store, &name).await {
            unknown.names.insert(name);
            continue;
        }
        if under_way.len() == AT_ONCE {
            note(&mut done, &mut first, under_way.join_next().await);
        }
        // A store that does not answer is not asked for every file.
        if done.failed > 0 {
            break;
        }
        let blobs = Arc::clone(blobs);
        under_way.spawn(async move { blobs.put(&name).await });
    }
    while let Some(result) = under_way.join_next().await {
        note(&mut done, &mut first, Some(result));
    }
    if let Some(error) = first {
        let waiting = blobs.stats().waiting;
        tracing::warn!(
            code = error.code(),
            waiting,
            "recordings wait in the spool, they are tried again: {error}"
        );
    }
    done
}

type Put = Result<Result<(), strowger_blobs::BlobError>, tokio::task::JoinError>;

fn note(done: &mut Pass, first: &mut Option<strowger_blobs::BlobError>, result: Option<Put>) {
    match result {
        Some(Ok(Ok(()))) => done.stored += 1,
        Some(Ok(Err(error))) => {
            done.failed += 1;
            first.get_or_insert(error);
        }
        // A task that was aborted or panicked put nothing, and the file is still there.
        Some(Err(_)) => done.failed += 1,
        None => {}
    }
}

/// True if the journal says that this recording is complete.
async fn is_known(store: &Store, name: &str) -> bool {
    let Some(id) = conversation_of(name) else { return false };
    let is_it = |r: &RecordingRecord| matches!(r, RecordingRecord::Finished { name: known, .. } if known == name);
    match record_of(store, id).await {
        Ok(record) => record.is_some_and(|r| r.recordings.iter().any(is_it)),
        Err(error) => {
            tracing::warn!("a recording waits in the spool, because its record cannot be read: {error}");
            false
        }
    }
}

/// Puts recordings into the store as they are finished, until the task is dropped. Returns at once without a store.
pub async fn keep(store: Store, blobs: Arc<Blobs>) {
    if !blobs.has_store() {
        return;
    }
    let (mut pause, mut unknown) = (EVERY, Unknown::default());
    loop {
        tokio::time::sleep(pause).await;
        pause = match pass(&store, &blobs, &mut unknown).await.failed {
            0 => EVERY,
            _ => (pause * 2).min(PATIENCE),
        };
    }
}
