//! Customers that chose to be called back and not to wait (domain-model §10.1, M51).
//!
//! A request has the place of the call that it came from: the same priority, the same first enqueue time. When it is first, it
//! is offered to an agent as a call is, and the conversation in which the customer is called begins then; each place, and so
//! each attempt, has a conversation's id of its own. An offer that fails gives the request its place back under a new id; a
//! customer that is not reached is called again after a while.
//!
//! The distributor has no random numbers: whoever owns it answers [`Output::CallbackDue`] with [`Acd::place_callback`].

use super::line::Call;
use super::{Acd, Left, Output, Queued, Wake};
use crate::id::{AgentId, CallbackId, ConversationId, QueueId};
use crate::number::Number;
use crate::time::Stamp;
use std::collections::{BTreeMap, HashMap};

/// A customer is called so often.
pub const CALLBACK_ATTEMPTS: u8 = 3;
/// Between two attempts.
pub const CALLBACK_PAUSE_SECS: u64 = 15 * 60;
/// The most open requests of a tenant; one more is refused.
pub const MAX_CALLBACKS: usize = 20_000;

/// Where a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallbackState {
    /// In its queue.
    Waiting,
    /// An agent is rung or connected, the customer is called.
    Calling,
    /// The customer was not reached, and is called again then.
    Later(Stamp),
    /// The customer talked to an agent.
    Done,
    /// The customer was not reached, and is not called again.
    Unreached,
    /// Somebody took it back.
    Cancelled,
    /// Its queue is gone.
    Closed,
}

impl CallbackState {
    /// As stored and shown; the moment of the next attempt is told beside it.
    pub const fn name(self) -> &'static str {
        match self {
            CallbackState::Waiting => "waiting",
            CallbackState::Calling => "calling",
            CallbackState::Later(_) => "later",
            CallbackState::Done => "done",
            CallbackState::Unreached => "unreached",
            CallbackState::Cancelled => "cancelled",
            CallbackState::Closed => "closed",
        }
    }

    /// Of a name, with the moment of the next attempt if there is one.
    pub fn of_name(name: &str, next: Option<Stamp>) -> Option<CallbackState> {
        let later = next.map(CallbackState::Later);
        let others = [
            CallbackState::Waiting,
            CallbackState::Calling,
            CallbackState::Done,
            CallbackState::Unreached,
            CallbackState::Cancelled,
            CallbackState::Closed,
        ];
        later.into_iter().chain(others).find(|s| s.name() == name)
    }

    /// Something is still to be done.
    pub const fn is_open(self) -> bool {
        matches!(
            self,
            CallbackState::Waiting | CallbackState::Calling | CallbackState::Later(_)
        )
    }
}

/// A request to be called back, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callback {
    /// Its id.
    pub id: CallbackId,
    /// Whose agents call.
    pub queue: QueueId,
    /// The call in which the customer asked for it.
    pub first: ConversationId,
    /// Who is called.
    pub number: Number,
    /// When it was asked for.
    pub asked_at: Stamp,
    /// When the customer first entered a queue: its place.
    pub since: Stamp,
    /// Its priority in the queue.
    pub priority: u8,
    /// It was in front of all that waited.
    pub front: bool,
    /// Times that an agent was there and the customer was not.
    pub attempts: u8,
    /// The newest conversation in which it was, or is, called.
    pub last: Option<ConversationId>,
    /// Where it stands.
    pub state: CallbackState,
    /// Since when.
    pub at: Stamp,
}

/// What a customer asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskCallback {
    /// The id that the request gets.
    pub id: CallbackId,
    /// Whose agents are to call.
    pub queue: QueueId,
    /// The call in which it is asked for. If it waits in that queue, the request has its place.
    pub first: ConversationId,
    /// Who is to be called.
    pub number: Number,
    /// Who called, for the agent that it had last; empty if unknown.
    pub caller: String,
    /// When it first entered a queue, if it waits there no more.
    pub since: Option<Stamp>,
    /// Its priority in place of the queue's, if it does not wait there.
    pub priority: Option<u8>,
}

/// Why nothing was done about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallbackRefusal {
    /// No such queue.
    #[error("there is no such queue; name one of this application")]
    NoQueue,
    /// Too many are open.
    #[error("too many customers wait to be called back; cancel old requests or have more agents")]
    TooMany,
    /// No such request that is open.
    #[error("there is no such callback, or it is over")]
    NotFound,
    /// Its customer is being called.
    #[error("the customer is being called now; end that call instead")]
    Calling,
}

/// A request that is open.
#[derive(Clone, Debug)]
struct Open {
    kept: Callback,
    caller: String,
    /// Who missed it, and when.
    excluded: Vec<(AgentId, Stamp)>,
    /// The conversation's id of its place, or of its attempt.
    place: Option<ConversationId>,
}

/// All open requests of a tenant.
#[derive(Clone, Debug, Default)]
pub(super) struct Requests {
    open: BTreeMap<CallbackId, Open>,
    places: HashMap<ConversationId, CallbackId>,
    /// One for each number and queue.
    numbers: HashMap<(QueueId, String), CallbackId>,
    by_queue: HashMap<QueueId, u32>,
}

impl Requests {
    /// Open requests of a queue.
    pub fn count(&self, queue: QueueId) -> u32 {
        self.by_queue.get(&queue).copied().unwrap_or(0)
    }

    fn insert(&mut self, open: Open) {
        let kept = &open.kept;
        self.numbers
            .insert((kept.queue, kept.number.as_str().to_owned()), kept.id);
        *self.by_queue.entry(kept.queue).or_default() += 1;
        self.open.insert(kept.id, open);
    }

    fn remove(&mut self, id: CallbackId) -> Option<Callback> {
        let open = self.open.remove(&id)?;
        if let Some(place) = open.place {
            self.places.remove(&place);
        }
        let kept = open.kept;
        self.numbers.remove(&(kept.queue, kept.number.as_str().to_owned()));
        if let Some(n) = self.by_queue.get_mut(&kept.queue) {
            *n -= 1;
            if *n == 0 {
                self.by_queue.remove(&kept.queue);
            }
        }
        Some(kept)
    }
}

impl Acd {
    /// The open requests, oldest id first.
    pub fn callbacks(&self) -> impl Iterator<Item = &Callback> {
        self.requests.open.values().map(|o| &o.kept)
    }

    /// An open request.
    pub fn callback(&self, id: CallbackId) -> Option<&Callback> {
        self.requests.open.get(&id).map(|o| &o.kept)
    }

    /// The open request whose place, or attempt, this conversation is.
    pub fn callback_of(&self, conversation: ConversationId) -> Option<&Callback> {
        self.callback(*self.requests.places.get(&conversation)?)
    }

    /// The conversation's id of the place that a request has in its queue, or of its attempt.
    pub fn callback_place(&self, id: CallbackId) -> Option<ConversationId> {
        self.requests.open.get(&id)?.place
    }

    /// A customer wants to be called back. If it waits in that queue, its call leaves it and the request has the place. A
    /// customer that has asked before, and waits still, keeps what it has: the id is that of the older request.
    ///
    /// # Errors
    /// Why not; nothing has changed then.
    pub fn ask_callback(&mut self, ask: AskCallback, now: Stamp) -> (Result<CallbackId, CallbackRefusal>, Vec<Output>) {
        let done = self.try_ask(ask, now);
        self.settle_chats(now);
        (done, std::mem::take(&mut self.out))
    }

    fn try_ask(&mut self, ask: AskCallback, now: Stamp) -> Result<CallbackId, CallbackRefusal> {
        let line = self.lines.get(&ask.queue).ok_or(CallbackRefusal::NoQueue)?;
        let waits = self.calls.get(&ask.first).filter(|c| c.queue == ask.queue);
        let (since, priority, front) = match waits {
            Some(call) => (call.since(), call.priority, !call.order.0),
            None => (
                ask.since.unwrap_or(now),
                ask.priority.unwrap_or(line.config.priority),
                false,
            ),
        };
        let excluded = waits.map(|c| c.excluded.clone()).unwrap_or_default();
        let name = (ask.queue, ask.number.as_str().to_owned());
        let older = self.requests.numbers.get(&name).copied();
        if older.is_none() && self.requests.open.len() >= MAX_CALLBACKS {
            return Err(CallbackRefusal::TooMany);
        }
        if waits.is_some() {
            self.leave(ask.first, Left::Callback, now);
        }
        if let Some(older) = older {
            return Ok(older);
        }
        let kept = Callback {
            id: ask.id,
            queue: ask.queue,
            first: ask.first,
            number: ask.number,
            asked_at: now,
            since,
            priority,
            front,
            attempts: 0,
            last: None,
            state: CallbackState::Waiting,
            at: now,
        };
        self.out.push(Output::Callback(Box::new(kept.clone())));
        self.out.push(Output::CallbackDue(ask.id));
        self.requests.insert(Open {
            kept,
            caller: ask.caller,
            excluded,
            place: None,
        });
        Ok(ask.id)
    }

    /// Takes a request back.
    ///
    /// # Errors
    /// Why not; nothing has changed then.
    pub fn cancel_callback(&mut self, id: CallbackId, now: Stamp) -> (Result<(), CallbackRefusal>, Vec<Output>) {
        let done = self.try_cancel(id, now);
        self.settle_chats(now);
        (done, std::mem::take(&mut self.out))
    }

    fn try_cancel(&mut self, id: CallbackId, now: Stamp) -> Result<(), CallbackRefusal> {
        let open = self.requests.open.get(&id).ok_or(CallbackRefusal::NotFound)?;
        let placed = open.place.filter(|p| self.calls.contains_key(p));
        if open.kept.state == CallbackState::Calling && placed.is_none() {
            return Err(CallbackRefusal::Calling);
        }
        if let Some(place) = placed {
            self.leave(place, Left::Callback, now);
        }
        self.close_callback(id, CallbackState::Cancelled, now);
        Ok(())
    }

    /// What an earlier process kept of a request: it waits again where it was.
    pub fn restore_callback(&mut self, mut kept: Callback, now: Stamp) -> Vec<Output> {
        if !kept.state.is_open() || self.requests.open.contains_key(&kept.id) {
            return Vec::new();
        }
        let id = kept.id;
        // An attempt that the process took with it was not the customer's fault.
        if kept.state == CallbackState::Calling {
            (kept.state, kept.at) = (CallbackState::Waiting, now);
        }
        let (state, known) = (kept.state, self.lines.contains_key(&kept.queue));
        self.requests.insert(Open {
            caller: kept.number.as_str().to_owned(),
            kept,
            excluded: Vec::new(),
            place: None,
        });
        match state {
            _ if !known => self.close_callback(id, CallbackState::Closed, now),
            CallbackState::Later(at) => {
                self.wakes.insert((at, Wake::Callback(id)));
            }
            _ => self.out.push(Output::CallbackDue(id)),
        }
        std::mem::take(&mut self.out)
    }

    /// Puts a request that [`Output::CallbackDue`] named into its queue. `conversation` is an id that nobody has had, and that
    /// of the conversation in which the customer is called.
    pub fn place_callback(&mut self, id: CallbackId, conversation: ConversationId, now: Stamp) -> Vec<Output> {
        self.place(id, conversation, now);
        self.settle_chats(now);
        std::mem::take(&mut self.out)
    }

    fn place(&mut self, id: CallbackId, conversation: ConversationId, now: Stamp) {
        let Some(open) = self.requests.open.get_mut(&id) else {
            return;
        };
        let kept = &open.kept;
        let Some(line) = self.lines.get_mut(&kept.queue) else {
            return;
        };
        if open.place.is_some() || kept.state != CallbackState::Waiting {
            return;
        }
        let (queue, priority, since) = (kept.queue, kept.priority, kept.since);
        let call = Call {
            queue,
            caller: open.caller.clone(),
            priority,
            order: (!kept.front, since, conversation),
            entered: now,
            offers: Vec::new(),
            excluded: open.excluded.clone(),
            max_wait: None,
            announce: None,
            offer_callback: None,
            callback: true,
        };
        open.place = Some(conversation);
        self.requests.places.insert(conversation, id);
        line.add(priority, call.order);
        line.callbacks += 1;
        self.calls.insert(conversation, call);
        self.queue_fact(queue, conversation, Queued::Entered { priority, since }, now);
        self.route(queue, now);
    }

    /// A place is offered to agents.
    pub(super) fn callback_offered(&mut self, conversation: ConversationId, now: Stamp) {
        let Some(open) = self.request_at(conversation) else {
            return;
        };
        open.kept.last = Some(conversation);
        (open.kept.state, open.kept.at) = (CallbackState::Calling, now);
        let kept = open.kept.clone();
        self.out.push(Output::Callback(Box::new(kept)));
    }

    /// The last of the offers failed: the request waits where it was. Its call has left the queue, and its conversation ends.
    pub(super) fn callback_returned(
        &mut self,
        conversation: ConversationId,
        excluded: Vec<(AgentId, Stamp)>,
        now: Stamp,
    ) {
        let Some(open) = self.request_at(conversation) else {
            return;
        };
        open.place = None;
        open.excluded = excluded;
        (open.kept.state, open.kept.at) = (CallbackState::Waiting, now);
        let kept = open.kept.clone();
        self.requests.places.remove(&conversation);
        let id = kept.id;
        self.out.push(Output::Callback(Box::new(kept)));
        self.out.push(Output::CallbackDue(id));
    }

    /// The agent talks in this conversation: if it calls a customer back, that has been reached.
    pub(super) fn callback_reached(&mut self, conversation: ConversationId, now: Stamp) {
        if let Some(id) = self.requests.places.get(&conversation).copied() {
            self.close_callback(id, CallbackState::Done, now);
        }
    }

    /// A conversation is over. If it was to call a customer back, that was not reached.
    pub(super) fn callback_failed(&mut self, conversation: ConversationId, now: Stamp) {
        let Some(open) = self.request_at(conversation) else {
            return;
        };
        let id = open.kept.id;
        open.kept.attempts = open.kept.attempts.saturating_add(1);
        open.kept.last = Some(conversation);
        if open.kept.attempts >= CALLBACK_ATTEMPTS {
            return self.close_callback(id, CallbackState::Unreached, now);
        }
        let next = now.plus_secs(CALLBACK_PAUSE_SECS);
        open.place = None;
        (open.kept.state, open.kept.at) = (CallbackState::Later(next), now);
        let kept = open.kept.clone();
        self.requests.places.remove(&conversation);
        self.wakes.insert((next, Wake::Callback(id)));
        self.out.push(Output::Callback(Box::new(kept)));
    }

    /// The pause between two attempts is over.
    pub(super) fn callback_due(&mut self, id: CallbackId, now: Stamp) {
        let Some(open) = self.requests.open.get_mut(&id) else {
            return;
        };
        if matches!(open.kept.state, CallbackState::Later(_)) {
            (open.kept.state, open.kept.at) = (CallbackState::Waiting, now);
            let kept = open.kept.clone();
            self.out.push(Output::Callback(Box::new(kept)));
            self.out.push(Output::CallbackDue(id));
        }
    }

    /// A queue is gone, and with it those that waited to be called back from it.
    pub(super) fn close_callbacks(&mut self, queue: QueueId, now: Stamp) {
        let of_queue = self.requests.open.values().filter(|o| o.kept.queue == queue);
        let gone: Vec<(CallbackId, Option<ConversationId>)> = of_queue.map(|o| (o.kept.id, o.place)).collect();
        for (id, place) in gone {
            if let Some(place) = place.filter(|p| self.calls.contains_key(p)) {
                self.leave(place, Left::Closed, now);
            }
            self.close_callback(id, CallbackState::Closed, now);
        }
    }

    /// Attempts whose conversation does not run any more, though nobody has said so.
    pub(super) fn lost_attempts(&self, lost: impl Fn(ConversationId, Stamp) -> bool) -> Vec<ConversationId> {
        let calling = self.requests.open.values();
        let calling = calling.filter(|o| o.kept.state == CallbackState::Calling);
        let places = calling.filter_map(|o| Some((o.place?, o.kept.at)));
        places.filter(|(p, at)| lost(*p, *at)).map(|(p, _)| p).collect()
    }

    fn request_at(&mut self, conversation: ConversationId) -> Option<&mut Open> {
        let id = self.requests.places.get(&conversation)?;
        self.requests.open.get_mut(id)
    }

    fn close_callback(&mut self, id: CallbackId, state: CallbackState, now: Stamp) {
        let Some(mut kept) = self.requests.remove(id) else {
            return;
        };
        if let CallbackState::Later(at) = kept.state {
            self.wakes.remove(&(at, Wake::Callback(id)));
        }
        (kept.state, kept.at) = (state, now);
        self.out.push(Output::Callback(Box::new(kept)));
    }
}
