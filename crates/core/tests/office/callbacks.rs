//! Customers that are called back, wired as the runtime wires them.

use super::*;
use strowger_core::call::Prompt;
use strowger_core::centre::acd::AskCallback;

impl Office {
    /// What the newest request stands for.
    pub fn callback(&self) -> &acd::Callback {
        self.callbacks.values().max_by_key(|c| c.id).expect("a request")
    }

    pub(super) fn ask_callback(&mut self, id: ConversationId, queue: QueueId, text: &str) {
        self.next += 1;
        let since = self.calls.get(&id).and_then(|c| c.machine.queued_since());
        let ask = AskCallback {
            id: CallbackId(u128::from(self.next)),
            queue,
            first: id,
            number: Number::parse(text, CHINA).unwrap(),
            caller: text.to_owned(),
            since,
            priority: None,
        };
        let (done, out) = self.acd.ask_callback(ask, self.now);
        self.take_out(out);
        let request = done.ok();
        self.mail
            .push_back(Letter::Call(id, CentreCommand::CalledBack { queue, request }));
    }

    pub(super) fn place_callback(&mut self, request: CallbackId) {
        let id = self.id();
        let out = self.acd.place_callback(request, id, self.now);
        self.take_out(out);
    }

    pub(super) fn offer_callback(&mut self, id: ConversationId, queue: QueueId) {
        let prompt = Prompt {
            name: "call-back".into(),
            millis: 4_000,
        };
        let command = CentreCommand::OfferCallback(queue, prompt);
        self.mail.push_back(Letter::Call(id, command));
    }

    /// The conversation of a place that is offered, if it is one.
    pub(super) fn open_callback(&mut self, id: ConversationId) {
        if self.calls.contains_key(&id) {
            return;
        }
        let Some(kept) = self.acd.callback_of(id).cloned() else {
            return;
        };
        let entry = Entry::Callback {
            request: kept.id,
            first: kept.first,
            queue: kept.queue,
            since: kept.since,
            priority: kept.priority,
            customer: number(kept.number.as_str()),
        };
        self.open(id, Kind::Callback, entry);
    }

    pub fn cancel_callback(&mut self, request: CallbackId) -> Result<(), acd::CallbackRefusal> {
        let (done, out) = self.acd.cancel_callback(request, self.now);
        self.carry_out(out);
        done
    }
}
