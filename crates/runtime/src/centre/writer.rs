//! Writes what agents did, in order, and answers whoever waits for it.

use super::CentreError;
use crate::switch::Switch;
use std::sync::Arc;
use std::time::Duration;
use strowger_core::TenantId;
use strowger_store::{AgentWrite, StoreError};
use tokio::sync::{mpsc, oneshot};

/// What is written at once, and who waits for it.
#[derive(Default)]
pub(super) struct Job {
    pub writes: Vec<AgentWrite>,
    pub replies: Vec<oneshot::Sender<Result<(), CentreError>>>,
}

impl Job {
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.replies.is_empty()
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
        let mut told = false;
        while let Err(error) = switch.store().write_agents(tenant, job.writes.clone()).await {
            if matches!(
                error,
                StoreError::NotFound(_) | StoreError::Write(strowger_store::AppendError::Closed)
            ) {
                return;
            }
            if !std::mem::replace(&mut told, true) {
                tracing::error!(%tenant, "agents' changes cannot be written, trying again: {error}");
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        for reply in job.replies {
            // Whoever gave up waiting is told nothing.
            let _ = reply.send(Ok(()));
        }
    }
}
