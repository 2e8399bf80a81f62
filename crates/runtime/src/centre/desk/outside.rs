//! What flows ask of the outside: the tenant's server, an engine that speaks, one that listens. Each answer goes back to the
//! call as a letter.

use super::Desk;
use crate::equipment::WebRequest;
use crate::mailbox::Mail;
use crate::owner::OwnerInput;
use std::time::Duration;
use strowger_core::ConversationId;
use strowger_core::call::Command;
use strowger_core::call::centre::CentreCommand;
use strowger_core::ivr;
use strowger_core::ivr::io::{Listening, Outgoing, Utterance};

impl Desk {
    /// A flow asks the tenant's server: the answer goes back as a letter.
    pub(super) fn ask_outside(&mut self, conversation: ConversationId, asked: Outgoing) {
        let Some(web) = self.switch.equipment().web.clone() else {
            self.post(conversation, CentreCommand::Answered(asked.id, None));
            return;
        };
        let (id, pointers) = (asked.id, asked.pointers);
        let reply = web.send(
            self.tenant,
            WebRequest {
                method: asked.method,
                url: asked.url,
                headers: asked.headers,
                body: asked.body,
                timeout: Duration::from_millis(u64::from(asked.timeout_ms)),
                most: strowger_flows::MAX_ANSWER,
            },
        );
        let switch = self.switch.clone();
        self.switch.runtime().spawn(async move {
            let answer = reply.await.map(|a| ivr::Answer {
                status: a.status,
                values: strowger_flows::pointed(&a.body, pointers.iter().map(String::as_str)),
            });
            let command = Command::Centre(Box::new(CentreCommand::Answered(id, answer)));
            // A call that has ended asks no more.
            let _ = switch
                .conversations
                .post(conversation, Mail::input(OwnerInput::Command(command)));
        });
    }

    /// A flow has a text spoken: the name of the sound goes back as a letter.
    pub(super) fn speak(&mut self, conversation: ConversationId, text: Utterance) {
        let Some(speaker) = self.switch.equipment().speaker.clone() else {
            self.post(conversation, CentreCommand::Spoke(text.id, None));
            return;
        };
        let name = crate::sounds::said_name(&text.text, text.language);
        let spoken = speaker.speak(text.text, text.language);
        let switch = self.switch.clone();
        self.switch.runtime().spawn(async move {
            let samples = spoken.await;
            let named = samples.map(|samples| {
                switch.sounds().keep_said(&name, samples);
                name
            });
            let command = Command::Centre(Box::new(CentreCommand::Spoke(text.id, named)));
            // A call that has ended hears no more.
            let _ = switch
                .conversations
                .post(conversation, Mail::input(OwnerInput::Command(command)));
        });
    }

    /// A flow listens: what was said goes back as a letter.
    pub(super) fn hear(&mut self, conversation: ConversationId, listening: Listening) {
        let id = listening.id;
        let heard = move |text| CentreCommand::Heard(ivr::Input::Heard(id, text));
        let Some(listener) = self.switch.equipment().listener.clone() else {
            self.post(conversation, heard(None));
            return;
        };
        let said = listener.listen(conversation, listening);
        let switch = self.switch.clone();
        let task = self.switch.runtime().spawn(async move {
            let command = Command::Centre(Box::new(heard(said.await)));
            // A call that has ended says no more.
            let _ = switch
                .conversations
                .post(conversation, Mail::input(OwnerInput::Command(command)));
        });
        self.listening.retain(|_, task| !task.is_finished());
        self.listening.insert(conversation, task.abort_handle());
    }
}
