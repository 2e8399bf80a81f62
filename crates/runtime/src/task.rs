//! The owner task: an async shell around [`Owner`] that commits and then acts.

use crate::calls::{CallError, Live};
use crate::centre::{CentreEvent, Letter};
use crate::clock::Clock;
use crate::commit::{Committer, Conditions};
use crate::mailbox::{Inbox, Mail, Mailbox};
use crate::owner::{DialogName, Out, Owner, OwnerInput, Turn, World};
use crate::switch::Switch;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use strowger_core::call::{Accepted, Command, LegState};
use strowger_core::id::LegSeq;
use strowger_core::{ConversationId, Event, Fact};
use strowger_media::CallKey;
use strowger_sip_core::DialogHandle;
use strowger_store::{AppendError, CommandId};
use tokio::sync::oneshot;

/// How long an ended conversation waits for its last media figures and commits.
const LINGER: Duration = Duration::from_secs(3);

/// Named commands that a conversation remembers. A client repeats one within moments, and a conversation sees a few.
const REMEMBERED: usize = 32;

/// Tells whoever asked for the conversation which one it is.
pub type Started = oneshot::Sender<Result<ConversationId, CallError>>;

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
    /// The names of those dialogs.
    pub names: Vec<DialogName>,
    /// Named commands that it accepted, newest last.
    pub done: VecDeque<(CommandId, Accepted)>,
    /// Places that it holds until it is over, given back by being dropped.
    pub _places: Vec<crate::gate::Place>,
}

impl Task {
    fn id(&self) -> ConversationId {
        self.owner.machine().id()
    }

    /// Runs the conversation from its first turn to its end. Boxed, because an executor moves a future several times and
    /// this is several kilobytes.
    pub async fn run(mut self: Box<Self>, first: Turn, on: Conditions, started: Started) {
        self.committer.open(first.events, on);
        if let Err(error) = self.committer.settle().await {
            // Nothing was dialled and nothing is in the journal: the call never was.
            let answer = match error {
                AppendError::Duplicate {
                    conversation,
                    same_request: true,
                } => Ok(conversation),
                AppendError::Duplicate { .. } => Err(CallError::KeyReused),
                AppendError::Throttled => Err(CallError::Throttled),
                AppendError::ItemBegun => Err(CallError::ItemBegun),
                AppendError::BatchClosed => Err(CallError::BatchCancelled),
                error => {
                    tracing::warn!(code = error.code(), "a conversation could not be opened: {error}");
                    Err(CallError::Journal(error.to_string()))
                }
            };
            let _ = self
                .switch
                .media()
                .command(CallKey(self.id().0), strowger_media::Command::CloseCall);
            let _ = started.send(answer);
            self.forget();
            return;
        }
        self.carry_out(first.out).await;
        let _ = started.send(Ok(self.id()));
        self.live().await;
        self.linger().await;
        self.forget();
    }

    /// Until the record is closed and nothing late is expected.
    async fn live(&mut self) {
        while !self.owner.is_over() {
            let deadline = self.owner.next_deadline().map(|at| self.clock.instant(at));
            let ended = self.owner.machine().is_over();
            let held = self.committer.held_until();
            let mail = tokio::select! {
                biased;
                mail = self.inbox.rx.recv() => mail,
                () = at(deadline) => Some(Mail::input(OwnerInput::Tick)),
                () = at(held) => {
                    self.committer.flush();
                    continue;
                }
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
                Mail::Input(input) => self.turn(*input, None, None).await,
                Mail::Command(command, reply) => self.command(command.0, command.1, reply).await,
                Mail::Inspect(reply) => {
                    let _ = reply.send(self.look());
                }
            }
            if self.inbox.overflowed() {
                tracing::error!(conversation = %self.id(), "letters were lost, ending the conversation");
                self.turn(OwnerInput::SystemEnd, None, None).await;
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

    /// Carries a command out, or answers as before if it was accepted under this name already.
    async fn command(&mut self, command: Command, once: Option<CommandId>, reply: Reply) {
        let known = once
            .as_ref()
            .and_then(|once| self.done.iter().find(|(id, _)| id.name() == once.name()));
        let Some((id, accepted)) = known else {
            if let Err(spent) = self.affordable(&command) {
                let _ = reply.send(Err(spent));
                return;
            }
            return self.turn(OwnerInput::Command(command), once, Some(reply)).await;
        };
        let answer = if once.is_some_and(|once| once.request() == id.request()) {
            Ok(*accepted)
        } else {
            Err(CallError::KeyReused)
        };
        // What is told again is durable too: the first answer may have failed for the journal's sake.
        let answer = match self.committer.settle().await {
            Ok(()) => answer,
            Err(error) => Err(CallError::Journal(error.to_string())),
        };
        let _ = reply.send(answer);
    }

    /// A party that is added costs as the first two do, and so asks the same caps.
    fn affordable(&self, command: &Command) -> Result<(), CallError> {
        let Command::Add(plan) = command else { return Ok(()) };
        let head = &self.owner.machine().record().head;
        self.switch.may_spend(head.tenant, head.account, &[&plan.party.target])
    }

    fn remember(&mut self, once: CommandId, accepted: Accepted) {
        if self.done.len() == REMEMBERED {
            self.done.pop_front();
        }
        self.done.push_back((once, accepted));
    }

    async fn turn(&mut self, input: OwnerInput, once: Option<CommandId>, reply: Option<Reply>) {
        let world: &dyn World = &*self.switch;
        let turn = self.owner.handle(input, world, self.clock.now());
        if let (Some(once), Some(Ok(accepted))) = (once, &turn.reply) {
            self.remember(once, *accepted);
        }
        let config = self.switch.store().snapshot();
        self.switch
            .spending
            .note(self.owner.machine().record(), &turn.events, &config);
        self.tell_who_answered(&turn.events);
        self.committer.submit(turn.events, turn.wait || reply.is_some());
        let mut journal = Ok(());
        if turn.wait || reply.is_some() {
            journal = self.committer.settle().await;
            if let Err(error) = &journal {
                // The machine has moved on and its parties must not be left hanging: the effects leave, the facts are
                // kept and tried on.
                tracing::error!(code = error.code(), conversation = %self.id(), "acting before the commit: {error}");
            }
        }
        self.carry_out(turn.out).await;
        if let Some(reply) = reply {
            let answer = match (journal, turn.reply) {
                (Err(error), _) => Err(CallError::Journal(error.to_string())),
                (Ok(()), Some(answer)) => answer.map_err(CallError::Refused),
                (Ok(()), None) => Err(CallError::NotFound),
            };
            let _ = reply.send(answer);
        }
    }

    /// Gives the commands of a turn to their engines, each engine's in order. Media comes first, with one wake-up: what a
    /// party is told in signalling is true when it hears of it.
    async fn carry_out(&mut self, out: Vec<Out>) {
        let mut media = Vec::new();
        let mut rest = Vec::with_capacity(out.len());
        for out in out {
            match out {
                Out::Media(command) => media.push(command),
                other => rest.push(other),
            }
        }
        self.give_media(&media).await;
        for out in rest {
            match out {
                Out::Claim(handle, name) => {
                    self.switch.dialog_names.insert(name.clone(), self.owner.tenant());
                    self.names.push(name);
                    self.dialogs.push(handle);
                    self.switch.dialogs.insert(handle.0, self.mailbox.clone());
                }
                Out::Sip(command) => {
                    // An error means that the engine is gone; then so is the process.
                    let _ = self.switch.sip().submit(command).await;
                }
                Out::Centre(what) => {
                    let letter = Letter::Call(self.id(), what);
                    self.switch.tell_desk(self.owner.tenant(), letter);
                }
                Out::Media(_) => {}
            }
        }
    }

    /// An engine that has no room is asked again for a moment; it works its queue off in microseconds.
    async fn give_media(&mut self, commands: &[strowger_media::Command]) {
        if commands.is_empty() {
            return;
        }
        let key = CallKey(self.id().0);
        for _ in 0..200 {
            match self.switch.media().commands(key, commands) {
                Ok(()) => return,
                Err(error) if error.retryable() => tokio::time::sleep(Duration::from_millis(5)).await,
                Err(error) => {
                    tracing::error!(conversation = %self.id(), code = error.code(), "media: {error}");
                    return;
                }
            }
        }
    }

    /// Commits what is left.
    async fn linger(&mut self) {
        while let Err(error) = self.committer.settle().await {
            tracing::error!(code = error.code(), conversation = %self.id(), "the journal refuses the end of a conversation: {error}");
            if matches!(error, AppendError::Closed | AppendError::UnknownTenant(_)) {
                return;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            self.committer.resend();
        }
    }

    /// Verdicts on who has answered, for those who follow events.
    fn tell_who_answered(&self, events: &[Event]) {
        for event in events {
            let Fact::LegAnsweredBy { leg, who, confidence } = event.fact else {
                continue;
            };
            let record = self.owner.machine().record();
            let agent = record.parts.iter().rev().find(|p| p.left.is_none()).map(|p| p.agent);
            self.switch.publish_centre(CentreEvent::AnsweredBy {
                tenant: record.head.tenant,
                conversation: record.id,
                leg,
                agent,
                who,
                confidence,
                at: event.at,
            });
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
        for name in self.names.drain(..) {
            self.switch.dialog_names.remove(&name);
        }
        if self.owner.is_of_centre() {
            self.switch.displays.over(self.owner.tenant(), self.id());
        }
        self.switch.conversations.remove(self.id());
        if self.owner.is_of_centre() {
            self.switch.tell_desk(self.owner.tenant(), Letter::Gone(self.id()));
        }
        self.switch.ended.notify_waiters();
    }
}

async fn at(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
