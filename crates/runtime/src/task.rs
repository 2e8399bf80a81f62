//! The owner task: an async shell around [`Owner`] that commits and then acts.

use crate::calls::{CallError, Live};
use crate::clock::Clock;
use crate::commit::Committer;
use crate::mailbox::{Inbox, Mail, Mailbox};
use crate::owner::{Out, Owner, OwnerInput, Turn, World};
use crate::switch::Switch;
use std::sync::Arc;
use std::time::Duration;
use strowger_core::ConversationId;
use strowger_core::call::{Accepted, LegState};
use strowger_core::id::LegSeq;
use strowger_media::CallKey;
use strowger_sip_core::DialogHandle;
use tokio::sync::oneshot;

/// How long an ended conversation waits for its last media figures and commits.
const LINGER: Duration = Duration::from_secs(3);

/// Answer to a command, once its facts are committed.
type Reply = oneshot::Sender<Result<Accepted, CallError>>;

/// One conversation's task.
pub struct Task {
    /// The installation.
    pub switch: Arc<Switch>,
    /// Its owner.
    pub owner: Owner,
    /// Its clock.
    pub clock: Clock,
    /// Its letters.
    pub inbox: Inbox,
    /// Its own mailbox, to register dialogs under.
    pub mailbox: Mailbox,
    /// Its way to the journal.
    pub committer: Committer,
    /// SIP handles that lead to it.
    pub dialogs: Vec<DialogHandle>,
    /// Places that it holds until it is over, given back by being dropped.
    pub _places: Vec<crate::gate::Place>,
}

impl Task {
    fn id(&self) -> ConversationId {
        self.owner.machine().id()
    }

    /// Runs the conversation from its first turn to its end.
    pub async fn run(mut self, first: Turn, started: oneshot::Sender<Result<(), CallError>>) {
        self.committer.submit(first.events);
        if let Err(error) = self.committer.settle().await {
            // Nothing was dialled and nothing is in the journal: the call never was.
            tracing::warn!(code = error.code(), "a conversation could not be opened: {error}");
            let _ = self
                .switch
                .media()
                .command(CallKey(self.id().0), strowger_media::Command::CloseCall);
            let _ = started.send(Err(CallError::Journal(error.to_string())));
            self.forget();
            return;
        }
        for out in first.out {
            self.carry_out(out).await;
        }
        let _ = started.send(Ok(()));
        self.live().await;
        self.linger().await;
        self.forget();
    }

    /// Until the record is closed and nothing late is expected.
    async fn live(&mut self) {
        while !self.owner.is_over() {
            let deadline = self.owner.next_deadline().map(|at| self.clock.instant(at));
            let ended = self.owner.machine().is_over();
            let mail = tokio::select! {
                biased;
                mail = self.inbox.rx.recv() => mail,
                () = at(deadline) => Some(Mail::Input(OwnerInput::Tick)),
                settled = self.committer.settle_one(), if !self.committer.is_idle() => {
                    if let Err(error) = settled {
                        tracing::warn!(code = error.code(), conversation = %self.id(), "the journal refused facts, trying again: {error}");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        self.committer.resend();
                    }
                    continue;
                }
                // The record is closed; only media figures are missing and they are not worth waiting for long.
                () = tokio::time::sleep(LINGER), if ended => return,
            };
            let Some(mail) = mail else { return };
            match mail {
                Mail::Input(input) => self.turn(input, None).await,
                Mail::Command(command, reply) => self.turn(OwnerInput::Command(command), Some(reply)).await,
                Mail::Inspect(reply) => {
                    let _ = reply.send(self.look());
                }
            }
            if self.inbox.overflowed() {
                tracing::error!(conversation = %self.id(), "letters were lost, ending the conversation");
                self.turn(OwnerInput::SystemEnd, None).await;
            }
        }
    }

    fn look(&self) -> Live {
        let machine = self.owner.machine();
        let record = machine.record().clone();
        let legs = (0..record.legs.len())
            .map(|i| machine.leg_state(LegSeq(i as u16)).unwrap_or(LegState::Ended))
            .collect();
        Live { record, legs }
    }

    async fn turn(&mut self, input: OwnerInput, reply: Option<Reply>) {
        let world: &dyn World = &*self.switch;
        let turn = self.owner.handle(input, world, self.clock.now());
        if !turn.events.is_empty() {
            self.committer.submit(turn.events);
        }
        let mut journal = Ok(());
        if turn.wait || reply.is_some() {
            journal = self.committer.settle().await;
            if let Err(error) = &journal {
                // The machine has moved on and its parties must not be left hanging: the effects leave, the facts are
                // kept and tried on.
                tracing::error!(code = error.code(), conversation = %self.id(), "acting before the commit: {error}");
            }
        }
        for out in turn.out {
            self.carry_out(out).await;
        }
        if let Some(reply) = reply {
            let answer = match (journal, turn.reply) {
                (Err(error), _) => Err(CallError::Journal(error.to_string())),
                (Ok(()), Some(answer)) => answer.map_err(CallError::Refused),
                (Ok(()), None) => Err(CallError::NotFound),
            };
            let _ = reply.send(answer);
        }
    }

    /// Gives a command to its engine. An engine that has no room is asked again for a moment; it works its queue off
    /// in microseconds.
    async fn carry_out(&mut self, out: Out) {
        let key = CallKey(self.id().0);
        match out {
            Out::Claim(handle) => {
                self.dialogs.push(handle);
                self.switch.dialogs.insert(handle.0, self.mailbox.clone());
            }
            Out::Sip(command) => {
                // An error means that the engine is gone; then so is the process.
                let _ = self.switch.sip().submit(command).await;
            }
            Out::Media(command) => {
                for _ in 0..200 {
                    match self.switch.media().command(key, command.clone()) {
                        Err(error) if error.retryable() => tokio::time::sleep(Duration::from_millis(5)).await,
                        Err(error) => {
                            tracing::error!(conversation = %self.id(), code = error.code(), "media: {error}");
                            return;
                        }
                        Ok(()) => return,
                    }
                }
            }
        }
    }

    /// Commits what is left.
    async fn linger(&mut self) {
        while let Err(error) = self.committer.settle().await {
            tracing::error!(code = error.code(), conversation = %self.id(), "the journal refuses the end of a conversation: {error}");
            if matches!(
                error,
                strowger_store::AppendError::Closed | strowger_store::AppendError::UnknownTenant(_)
            ) {
                return;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            self.committer.resend();
        }
    }

    fn forget(&mut self) {
        // Whatever media is left of it goes now.
        let _ = self
            .switch
            .media()
            .command(CallKey(self.id().0), strowger_media::Command::CloseCall);
        for handle in self.dialogs.drain(..) {
            self.switch.dialogs.remove(handle.0);
        }
        self.switch.conversations.remove(self.id());
        self.switch.ended.notify_waiters();
    }
}

async fn at(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
