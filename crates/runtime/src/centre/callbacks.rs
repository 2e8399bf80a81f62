//! Keeps requests to be called back, and tells whoever waits for that.

use super::{Reply, writer};
use crate::mailbox::Mail;
use crate::owner::OwnerInput;
use crate::switch::Switch;
use std::sync::Arc;
use strowger_core::call::Command;
use strowger_core::call::centre::CentreCommand;
use strowger_core::centre::acd::Callback;
use strowger_core::{ConversationId, TenantId};
use tokio::sync::mpsc;

/// What may wait for the disk; a desk that has more is too slow, and what does not fit is lost with an error in the log.
pub(super) const WAITING: usize = 65_536;
/// Written at once.
const AT_ONCE: usize = 256;

/// In order: what is told stands behind what it tells of.
pub(super) enum Work {
    /// A request as it stands.
    Write(Box<Callback>),
    /// A call learns what came of its wish.
    Tell(ConversationId, CentreCommand),
    /// Whoever asked learns that it is done.
    Answer(Reply<()>),
}

/// Runs until the desk, or its tenant, is gone.
pub(super) async fn run(switch: Arc<Switch>, tenant: TenantId, mut work: mpsc::Receiver<Work>) {
    let mut some = Vec::with_capacity(AT_ONCE);
    while work.recv_many(&mut some, AT_ONCE).await > 0 {
        let store = switch.store();
        let requests: Vec<Callback> = some
            .iter()
            .filter_map(|w| match w {
                Work::Write(request) => Some(Callback::clone(request)),
                _ => None,
            })
            .collect();
        if !requests.is_empty() && !writer::again(tenant, || store.write_callbacks(tenant, &requests)).await {
            return;
        }
        for work in some.drain(..) {
            match work {
                Work::Write(_) => {}
                Work::Tell(conversation, command) => {
                    let mail = Mail::input(OwnerInput::Command(Command::Centre(Box::new(command))));
                    // A caller that has hung up meanwhile is called back all the same.
                    let _ = switch.conversations.post(conversation, mail);
                }
                // Whoever gave up waiting is told nothing.
                Work::Answer(reply) => drop(reply.send(Ok(()))),
            }
        }
    }
}
