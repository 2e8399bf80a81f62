//! Chats at a desk: wishes in, facts to the journal and, when they are written, to whoever follows them.

use super::{CentreError, CentreEvent, Desk, Reply};
use strowger_core::chat::{Command, Done, Fact, What};

/// Facts that may wait for the disk; one more, and nothing new is taken.
const WAITING: usize = 65_536;

impl Desk {
    /// The chats that an earlier process left open.
    pub(super) async fn restore_chats(&mut self) {
        match self.switch.store().open_chats(self.tenant).await {
            Ok(chats) => {
                for chat in chats {
                    let out = self.acd.restore_chat(chat, self.clock.now());
                    self.carry_out(out);
                }
            }
            Err(error) => {
                tracing::error!(tenant = %self.tenant, "chats do not go on, what was kept of them cannot be read: {error}");
            }
        }
    }

    pub(super) fn chat(&mut self, command: Command, reply: Reply<Done>) {
        if self.job.chats.len() >= WAITING {
            let _ = reply.send(Err(CentreError::Overloaded));
            return;
        }
        let (done, out) = self.acd.ask_chat(command, self.clock.now());
        self.carry_out(out);
        match done {
            // Told when it is written: a message that was answered for is there after any crash.
            Ok(done) => self.job.chat_replies.push((reply, done)),
            Err(refusal) => drop(reply.send(Err(refusal.into()))),
        }
    }

    pub(super) fn chat_fact(&mut self, fact: Fact) {
        let agent = match &fact.what {
            What::Offered { agent, .. }
            | What::Unoffered { agent, .. }
            | What::Released { agent, .. }
            | What::Accepted(agent) => Some(*agent),
            _ => self.acd.chat(fact.chat).and_then(|c| c.agent),
        };
        self.job.events.push(CentreEvent::Chat {
            tenant: self.tenant,
            agent,
            fact: fact.clone(),
        });
        self.job.chats.push(fact);
    }
}
