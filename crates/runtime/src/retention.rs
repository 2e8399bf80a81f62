//! Recordings that have been kept for as long as their application wants them.

use strowger_blobs::{BlobError, Blobs};
use strowger_core::{ConversationId, ConversationRecord, Stamp};
use strowger_store::{Store, StoreError};

const DAY_MS: u64 = 86_400_000;

/// What a pass over the folder did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Files that were deleted.
    pub deleted: u64,
    /// Files that should have been and could not; the next pass tries again.
    pub failed: u64,
}

/// The conversation of a recording's file, by its name: `RE` and the conversation's 32 digits with the recording's
/// number in the lowest four.
pub(crate) fn conversation_of(name: &str) -> Option<ConversationId> {
    let digits = name.strip_prefix("RE")?.get(..32)?;
    let id = u128::from_str_radix(digits, 16).ok()?;
    Some(ConversationId(id & !0xffff))
}

/// When a conversation was minted, for a first look that needs no record.
fn minted(id: ConversationId) -> Stamp {
    Stamp((id.0 >> 80) as i64)
}

/// The record of a conversation whose tenant is not known.
pub(crate) async fn record_of(store: &Store, id: ConversationId) -> Result<Option<ConversationRecord>, StoreError> {
    for tenant in store.snapshot().tenants() {
        if let Some(record) = store.load_record(tenant.id, id).await? {
            return Ok(Some(record));
        }
    }
    Ok(None)
}

/// Deletes the finished recordings whose conversations ended longer ago than their applications keep them
/// ([`RecordingSettings::days`](strowger_core::resource::RecordingSettings)). A file whose record is gone is left
/// alone: nobody says how long it is wanted.
///
/// # Errors
/// The recordings or the database cannot be read.
pub async fn sweep(store: &Store, blobs: &Blobs, now: Stamp) -> Result<Swept, SweepError> {
    let config = store.snapshot();
    let shortest = config
        .applications()
        .map(|a| a.settings.recording.days)
        .filter(|d| *d > 0)
        .min();
    let Some(shortest) = shortest else {
        return Ok(Swept::default());
    };
    let mut swept = Swept::default();
    let before = now.0.saturating_sub_unsigned(u64::from(shortest) * DAY_MS);
    for name in blobs.older_than(before).await? {
        let Some(id) = conversation_of(&name) else { continue };
        if now.ms_since(minted(id)) < u64::from(shortest) * DAY_MS {
            continue;
        }
        let record = record_of(store, id).await?;
        let days = record
            .as_ref()
            .and_then(|r| config.application(r.head.application))
            .map_or(0, |a| a.settings.recording.days);
        let ended = record.and_then(|r| r.ended_at);
        if days == 0 || ended.is_none_or(|at| now.ms_since(at) < u64::from(days) * DAY_MS) {
            continue;
        }
        match blobs.delete(&name).await {
            Ok(()) => swept.deleted += 1,
            Err(error) => {
                tracing::warn!(conversation = %id, "a recording that has been kept long enough could not be deleted: {error}");
                swept.failed += 1;
            }
        }
    }
    Ok(swept)
}

/// Why a pass could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The recordings.
    #[error("cannot list the recordings: {0}")]
    Blobs(#[from] BlobError),
    /// The records.
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_names_its_conversation() {
        let id = ConversationId::mint(1_700_000_000_000, 7);
        let name = format!("RE{:032x}{}.ogg", id.0 | 3, "a".repeat(32));
        assert_eq!(conversation_of(&name), Some(id));
        assert_eq!(minted(id), Stamp(1_700_000_000_000));
        for foreign in [
            "",
            "RE",
            "notes.wav",
            "REzz",
            "RE世界世界世界世界世界世界世界世界世界世界世界.wav",
        ] {
            assert_eq!(conversation_of(foreign), None, "{foreign}");
        }
    }
}
