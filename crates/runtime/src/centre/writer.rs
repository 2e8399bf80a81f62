//! Writes what agents did, in order, and answers whoever waits for it.

use super::{CentreError, CentreEvent};
use crate::switch::Switch;
use std::sync::Arc;
use std::time::Duration;
use strowger_core::TenantId;
use strowger_core::chat::{Done, Fact};
use strowger_store::{AgentWrite, StoreError};
use tokio::sync::{mpsc, oneshot};

/// What is written at once, and who waits for it.
#[derive(Default)]
pub(super) struct Job {
    pub writes: Vec<AgentWrite>,
    pub replies: Vec<oneshot::Sender<Result<(), CentreError>>>,
    pub chats: Vec<Fact>,
    pub chat_replies: Vec<(oneshot::Sender<Result<Done, CentreError>>, Done)>,
    /// What is told when it is written.
    pub events: Vec<CentreEvent>,
}

impl Job {
    /// True if somebody waits for it. What calls do to agents is not waited for.
    pub fn is_urgent(&self) -> bool {
        !self.replies.is_empty() || !self.chats.is_empty() || !self.chat_replies.is_empty()
    }

    pub fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.replies.is_empty() && self.chats.is_empty() && self.chat_replies.is_empty()
    }

    /// The newest of each agent's writes without a change says all that those before it say.
    pub fn add(&mut self, write: AgentWrite) {
        if write.change.is_none() {
            self.writes.retain(|w| w.agent != write.agent || w.change.is_some());
        }
        self.writes.push(write);
    }
}

/// Runs until the desk is gone.
pub(super) async fn run(switch: Arc<Switch>, tenant: TenantId, mut jobs: mpsc::Receiver<Job>) {
    while let Some(job) = jobs.recv().await {
        let store = switch.store();
        let agents = !job.writes.is_empty() || !job.replies.is_empty();
        let urgent = !job.replies.is_empty();
        if agents && !again(tenant, || store.write_agents(tenant, job.writes.clone(), urgent)).await {
            return;
        }
        if !job.chats.is_empty() && !again(tenant, || store.write_chats(tenant, &job.chats)).await {
            return;
        }
        for event in job.events {
            switch.publish_centre(event);
        }
        for (reply, done) in job.chat_replies {
            let _ = reply.send(Ok(done));
        }
        for reply in job.replies {
            // Whoever gave up waiting is told nothing.
            let _ = reply.send(Ok(()));
        }
    }
}

/// Writes until it is written; false once the tenant, or the store, is gone.
pub(super) async fn again<F: Future<Output = Result<(), StoreError>>>(tenant: TenantId, write: impl Fn() -> F) -> bool {
    let mut told = false;
    while let Err(error) = write().await {
        if matches!(
            error,
            StoreError::NotFound(_) | StoreError::Write(strowger_store::AppendError::Closed)
        ) {
            return false;
        }
        if !std::mem::replace(&mut told, true) {
            tracing::error!(%tenant, "what a desk did cannot be written, trying again: {error}");
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    true
}
