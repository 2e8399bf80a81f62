//! After a restart: every conversation that the dead process left open is closed with a cause and a record, and the
//! dialogs at the far sides are ended (I3, I19).

use crate::clock::wall_now;
use crate::commit::batch_of;
use crate::owner::World;
use crate::owner::recover::close;
use crate::switch::Switch;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use strowger_core::{ConversationRecord, Fact};
use strowger_store::{AppendError, Batch, StoreError};

/// What recovery did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Conversations that were closed.
    pub closed: usize,
    /// Conversations whose log could not be read; they stay open for the operator.
    pub unreadable: usize,
}

/// Closes what was left open. Called once, with the engines attached, before new calls are taken.
///
/// # Errors
/// The journal could not be read.
pub async fn recover(switch: &Arc<Switch>, recordings: &Path) -> Result<Recovered, StoreError> {
    let store = switch.store();
    let alive = store.last_alive().await?;
    let mut done = Recovered::default();
    let mut open = store.open_conversations();
    while let Some(found) = open.recv().await {
        let (conversation, events) = match found {
            Ok(found) => (found.id, found.events),
            Err(error) => {
                tracing::error!(code = error.code(), "recovery: {error}");
                done.unreadable += 1;
                continue;
            }
        };
        let record = match ConversationRecord::fold(&events) {
            Ok(Some(record)) => record,
            Ok(None) => continue,
            Err(broken) => {
                tracing::error!("recovery: {broken}");
                done.unreadable += 1;
                continue;
            }
        };
        let mut folded = record.clone();
        let closing = close(
            &mut folded,
            alive,
            || switch.dialog_handle(),
            |n| salvage(recordings, conversation.0, n),
            |via| switch.credentials(via),
        );
        let mut published = Some(record);
        let mut version = 0;
        if let Some(batch) = batch_of(&mut published, &mut version, closing.events, switch.projectors())
            && let Err(error) = append(switch, &batch).await
        {
            // What is not recorded is not done: its dialogs are left to the next start.
            tracing::error!(%conversation, code = error.code(), "recovery: {error}");
            done.unreadable += 1;
            continue;
        }
        // After the commit: whoever still rings or talks at the far side is released.
        for command in closing.commands {
            // An error means that the engine is gone; then so is the process.
            let _ = switch.sip().submit(command).await;
        }
        done.closed += 1;
    }
    if done != Recovered::default() {
        tracing::info!(
            closed = done.closed,
            unreadable = done.unreadable,
            "recovered after a restart"
        );
    }
    Ok(done)
}

/// Appends, trying again for some seconds while that can help.
async fn append(switch: &Switch, batch: &Batch) -> Result<(), AppendError> {
    let mut tries = 0;
    loop {
        match switch.store().append_ref(batch).await {
            Ok(_) => return Ok(()),
            Err(error) if error.may_retry() && tries < 50 => tries += 1,
            Err(error) => return Err(error),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What became of a recording whose writer died: what reached the disk is completed and served.
fn salvage(recordings: &Path, conversation: u128, recording: u16) -> Fact {
    let prefix = format!("RE{:032x}", conversation | u128::from(recording));
    match strowger_media::salvage(recordings, &prefix) {
        Ok(saved) => Fact::RecordingFinished {
            recording,
            name: saved
                .path
                .file_name()
                .map(|n| n.to_string_lossy().into_owned())
                .unwrap_or_default(),
            millis: saved.millis,
            bytes: saved.bytes,
            checksum: saved.sha256.iter().map(|b| format!("{b:02x}")).collect(),
        },
        Err(why) => Fact::RecordingFailed {
            recording,
            reason: format!("the process died while it was written: {why}"),
        },
    }
}

/// Writes the alive stamp every few seconds, until the task is dropped.
pub async fn heartbeat(switch: Arc<Switch>) {
    let mut ticks = tokio::time::interval(Duration::from_secs(2));
    loop {
        ticks.tick().await;
        if let Err(error) = switch.store().stamp_alive(wall_now()).await {
            tracing::warn!("the alive stamp could not be written: {error}");
        }
    }
}
