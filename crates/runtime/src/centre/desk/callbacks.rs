//! Customers that are called back: wishes of calls in, conversations out (domain-model §10.1, M51).

use super::*;
use crate::mint;
use strowger_core::centre::acd::{AskCallback, Callback};

impl Desk {
    /// The requests that an earlier process left open.
    pub(super) async fn restore_callbacks(&mut self) {
        match self.switch.store().open_callbacks(self.tenant).await {
            Ok(requests) => {
                for request in requests {
                    let out = self.acd.restore_callback(request, self.clock.now());
                    self.carry_out(out);
                }
            }
            Err(error) => {
                tracing::error!(tenant = %self.tenant, "nobody is called back, what was kept of requests cannot be read: {error}");
            }
        }
    }

    /// Written, told or answered, in this order of the calls.
    pub(super) fn keep_callback(&self, work: kept::Work) {
        if self.callbacks.try_send(work).is_err() {
            tracing::error!(tenant = %self.tenant, "what became of a callback is not kept: the disk is too slow");
        }
    }

    /// A number that may be called.
    fn callable(&self, text: &str) -> Option<Number> {
        let number = Number::parse(text, CHINA).ok()?;
        let config = self.switch.store().snapshot();
        self.switch.permitted(&config, self.tenant, &number).ok()?;
        Some(number)
    }

    /// A call's caller, or its flow, wants it called back.
    pub(super) fn call_back(
        &mut self,
        conversation: ConversationId,
        application: ApplicationId,
        queue: &str,
        number: &str,
        since: Option<Stamp>,
    ) {
        let Some(queue) = self.named_queue(application, queue) else {
            // What there is not has no id; the call knows by the answer that it is refused.
            let queue = QueueId(0);
            return self.post(conversation, CentreCommand::CalledBack { queue, request: None });
        };
        let request = self.callable(number).and_then(|number| {
            let ask = AskCallback {
                // Ids of one tenant sort by time.
                id: CallbackId(self.switch.mint_conversation().0 | (mint::random() & 0xffff)),
                queue,
                first: conversation,
                caller: number.as_str().to_owned(),
                number,
                since,
                priority: None,
            };
            let (done, out) = self.acd.ask_callback(ask, self.clock.now());
            self.carry_out(out);
            if let Err(refusal) = &done {
                tracing::info!(tenant = %self.tenant, %conversation, "a caller is not called back: {refusal}");
            }
            done.ok()
        });
        // Told when it is written: a request that was promised is there after any crash.
        let command = CentreCommand::CalledBack { queue, request };
        self.keep_callback(kept::Work::Tell(conversation, command));
    }

    pub(super) fn cancel_callback(&mut self, request: CallbackId, reply: Reply<()>) {
        let (done, out) = self.acd.cancel_callback(request, self.clock.now());
        self.carry_out(out);
        match done {
            Ok(()) => self.keep_callback(kept::Work::Answer(reply)),
            Err(refusal) => drop(reply.send(Err(refusal.into()))),
        }
    }

    /// Gives a request a place, under the id of the conversation that comes of it.
    pub(super) fn place_callback(&mut self, request: CallbackId) {
        let conversation = self.switch.mint_conversation();
        let out = self.acd.place_callback(request, conversation, self.clock.now());
        self.carry_out(out);
    }

    /// Has the queue's prompt say that the caller may be called back. One whose number is not known is not asked.
    pub(super) fn offer_callback(&mut self, conversation: ConversationId, queue: QueueId) {
        let config = self.switch.store().snapshot();
        let Some(of) = config.centre().queue(queue) else { return };
        let Some(name) = of.callback_prompt.clone() else { return };
        let Some(found) = config.prompt(of.tenant, of.application, &name) else {
            return;
        };
        let prompt = Prompt {
            name,
            millis: u32::try_from(found.duration_ms).unwrap_or(u32::MAX),
        };
        self.switch.warm(self.tenant, of.application, std::iter::once(&prompt));
        self.post(conversation, CentreCommand::OfferCallback(queue, prompt));
    }

    /// True if there is a conversation for an offer: that of a request begins with its first.
    pub(super) fn is_open_for(&mut self, conversation: ConversationId) -> bool {
        let Some(request) = self.acd.callback_of(conversation).cloned() else {
            return true;
        };
        if self.switch.conversations.has(conversation) {
            return true;
        }
        let begun = self.begin_callback(&request, conversation);
        if let Err(error) = &begun {
            tracing::warn!(tenant = %self.tenant, request = %request.id, "a customer is called back later: {error}");
            self.switch.displays.take_back(self.tenant, conversation);
            // Behind what is being carried out now.
            let _ = self.own.try_send(Letter::Gone(conversation));
        }
        begun.is_ok()
    }

    fn begin_callback(&self, request: &Callback, id: ConversationId) -> Result<(), CentreError> {
        let config = self.switch.store().snapshot();
        let queue = config.centre().queue(request.queue).ok_or(CentreError::NotFound)?;
        self.switch.room()?;
        let permitted = self.switch.permitted(&config, self.tenant, &request.number);
        permitted.map_err(|_| CentreError::Forbidden)?;
        let target = Target::Number(request.number.clone());
        self.switch.may_spend(self.tenant, None, &[&target])?;
        let of = (self.tenant, queue.application);
        let group = Some(queue.group);
        let shown = self.switch.display_of_call(of, group, &request.number, id)?;
        let shown = shown.map(|n| n.as_str().to_owned());
        let (from, to) = (shown.clone().unwrap_or_default(), request.number.as_str().to_owned());
        let places = self.switch.claim_places(self.tenant, queue.application, None)?;
        let head = self.head(queue.application, Kind::Callback, from.clone(), to.clone());
        let plan = CentrePlan {
            entry: Entry::Callback {
                request: request.id,
                first: request.first,
                queue: request.queue,
                since: request.since,
                priority: request.priority,
                customer: PartyPlan {
                    target,
                    text: to.clone(),
                    cli: shown,
                },
            },
            from,
            to,
            settings: self.settings(queue.application),
            music: music_of(&config, request.queue),
            record_wait: self.record_wait(queue.application),
            routed: None,
            survey: None,
        };
        let clock = Clock::start();
        let (owner, turn) = Owner::centre(id, head, plan, None, &*self.switch, clock.now())?;
        // Whether it was committed is seen by what comes of it.
        drop(
            self.switch
                .spawn(owner, turn, clock, places, Conditions::default(), None),
        );
        Ok(())
    }
}
