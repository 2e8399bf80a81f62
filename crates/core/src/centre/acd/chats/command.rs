//! What customers, agents and supervisors ask of chats.

use super::super::{Acd, Output};
use super::book::Entered;
use super::footprint;
use crate::chat::{
    Chat, CloseBy, Command, Done, End, Entry, Fact, MAX_DATA, MAX_MESSAGES, MAX_OPEN, Message, Missed, Opening, Party,
    Refusal, Release, Side, State, Target, What, is_name, is_text,
};
use crate::id::{AgentId, ConversationId, QueueId};
use crate::time::Stamp;

impl Acd {
    /// Does what somebody asks of a chat, or says why not; nothing has changed then.
    pub fn ask_chat(&mut self, command: Command, now: Stamp) -> (Result<Done, Refusal>, Vec<Output>) {
        let done = self.try_chat(command, now);
        self.settle_chats(now);
        (done, std::mem::take(&mut self.out))
    }

    fn try_chat(&mut self, command: Command, now: Stamp) -> Result<Done, Refusal> {
        match command {
            Command::Open {
                chat,
                queue,
                opening,
                text,
            } => self.open_chat(chat, queue, opening, text, now),
            Command::Say(chat, message) => self.say(chat, message, now),
            Command::Accept { chat, agent, offer } => self.accept_chat(chat, agent, offer, now),
            Command::Refuse { chat, agent, offer } => {
                self.offered(chat, agent, offer)?;
                self.unoffer(chat, agent, Missed::Refused, now);
                Ok(self.done(chat, 0))
            }
            Command::Transfer { chat, by, to } => self.transfer_chat(chat, by, to, now),
            Command::Present(chat, here) => {
                let state = self.chat(chat).ok_or(Refusal::NotFound)?.state();
                let what = match (state, here) {
                    (State::Active, false) => Some(What::Suspended),
                    (State::Suspended, true) => Some(What::Resumed),
                    _ => None,
                };
                let seq = what.map_or(0, |what| self.chat_fact(chat, what, now));
                Ok(self.done(chat, seq))
            }
            Command::End(chat, by) => {
                let open = self.chat(chat).ok_or(Refusal::NotFound)?;
                let by = match by {
                    Party::Customer => CloseBy::Client,
                    Party::Supervisor => CloseBy::Admin,
                    Party::Agent(agent) if open.agent == Some(agent) => CloseBy::Seat,
                    Party::Agent(_) => return Err(Refusal::NotYours),
                };
                let seq = open.seq + 1;
                self.end_chat(chat, by, End::Wish, now);
                Ok(Done { chat, seq })
            }
        }
    }

    fn done(&self, chat: ConversationId, seq: u64) -> Done {
        let newest = self.chat(chat).map_or(0, |c| c.seq);
        Done {
            chat,
            seq: if seq > 0 { seq } else { newest },
        }
    }

    fn open_chat(
        &mut self,
        id: ConversationId,
        queue: QueueId,
        opening: Opening,
        text: Option<String>,
        now: Stamp,
    ) -> Result<Done, Refusal> {
        let line = self.book.lines.get(&queue).ok_or(Refusal::NoQueue)?;
        if line.config.application != opening.application {
            return Err(Refusal::NoQueue);
        }
        if self.book.chats.contains_key(&id) {
            return Err(Refusal::Taken);
        }
        if self.book.chats.len() >= MAX_OPEN {
            return Err(Refusal::Full);
        }
        let fits = is_name(&opening.customer) && is_name(&opening.name) && opening.data.chars().count() <= MAX_DATA;
        if !fits || text.as_deref().is_some_and(|t| !is_text(t)) {
            return Err(Refusal::Text);
        }
        let fact = Fact {
            chat: id,
            seq: 1,
            at: now,
            what: What::Opened(opening),
        };
        let chat = Chat::opened(&fact).ok_or(Refusal::NotFound)?;
        self.moved(id, None, &footprint(&chat));
        self.book.chats.insert(id, Entered { chat, wake: None });
        self.out.push(Output::Chat(Box::new(fact)));
        let mut seq = 1;
        if let Some(text) = text {
            let message = Message {
                from: Side::Customer,
                text,
                key: String::new(),
            };
            seq = self.chat_fact(id, What::Said(message), now);
        }
        self.queue_chat(id, queue, false, Entry::New, 0, now);
        Ok(Done { chat: id, seq })
    }

    fn say(&mut self, id: ConversationId, message: Message, now: Stamp) -> Result<Done, Refusal> {
        let chat = self.chat(id).ok_or(Refusal::NotFound)?;
        if let Some(seq) = chat.said(message.from, &message.key) {
            return Ok(Done { chat: id, seq });
        }
        if !is_text(&message.text) || !is_name(&message.key) {
            return Err(Refusal::Text);
        }
        if chat.messages() >= MAX_MESSAGES {
            return Err(Refusal::Long);
        }
        match message.from {
            Side::Agent(agent) if chat.agent != Some(agent) => return Err(Refusal::NotYours),
            Side::Customer if chat.state() == State::Suspended => {
                self.chat_fact(id, What::Resumed, now);
            }
            _ => {}
        }
        let seq = self.chat_fact(id, What::Said(message), now);
        Ok(Done { chat: id, seq })
    }

    /// The offer that is meant. One that was made anew has another number: a late answer is about nothing.
    fn offered(&self, id: ConversationId, agent: AgentId, offer: Option<u64>) -> Result<(), Refusal> {
        let chat = self.chat(id).ok_or(Refusal::NotFound)?;
        let open = chat.offers.iter().find(|o| o.agent == agent);
        let found = open.filter(|o| offer.is_none_or(|seq| seq == o.seq));
        found.map(|_| ()).ok_or(Refusal::NotOffered)
    }

    fn accept_chat(
        &mut self,
        id: ConversationId,
        agent: AgentId,
        offer: Option<u64>,
        now: Stamp,
    ) -> Result<Done, Refusal> {
        // A second acceptance by who has it is the first one again.
        if offer.is_none() && self.chat(id).is_some_and(|c| c.agent == Some(agent)) {
            return Ok(self.done(id, 0));
        }
        self.offered(id, agent, offer)?;
        let chat = self.chat(id).ok_or(Refusal::NotFound)?;
        let (queue, customer) = (chat.queue, chat.opening.customer.clone());
        let application = chat.opening.application;
        let others: Vec<AgentId> = chat.offers.iter().map(|o| o.agent).filter(|a| *a != agent).collect();
        if let Some(post) = self.agents.get_mut(&agent) {
            (post.chats.misses, post.chats.at) = (0, now);
            post.chats.taken += 1;
        }
        for agent in others {
            let why = Missed::Elsewhere;
            self.chat_fact(id, What::Unoffered { agent, why }, now);
        }
        let seq = self.chat_fact(id, What::Accepted(agent), now);
        if let Some(line) = queue.and_then(|q| self.book.lines.get_mut(&q)) {
            line.was_answered(now);
        }
        if !customer.is_empty() {
            self.remember(application, customer, agent, now);
        }
        Ok(Done { chat: id, seq })
    }

    fn transfer_chat(&mut self, id: ConversationId, by: Party, to: Target, now: Stamp) -> Result<Done, Refusal> {
        let chat = self.chat(id).ok_or(Refusal::NotFound)?;
        let holder = chat.agent;
        match by {
            Party::Agent(agent) if holder == Some(agent) => {}
            Party::Supervisor => {}
            _ => return Err(Refusal::NotYours),
        }
        // Everything is judged before anything changes.
        match to {
            Target::Queue(queue) => {
                let line = self.book.lines.get(&queue).ok_or(Refusal::NoQueue)?;
                if line.config.application != chat.opening.application {
                    return Err(Refusal::NoQueue);
                }
            }
            Target::Agent(agent) => {
                let post = self.agents.get(&agent).ok_or(Refusal::NotOfferable)?;
                let same = post.config.application == chat.opening.application && holder != Some(agent);
                if !same || !self.may_take(post) || !self.has_room(post) {
                    return Err(Refusal::NotOfferable);
                }
            }
        }
        let asked: Vec<AgentId> = chat.offers.iter().map(|o| o.agent).collect();
        for agent in asked {
            let why = Missed::Withdrawn;
            self.chat_fact(id, What::Unoffered { agent, why }, now);
        }
        if let Some(agent) = holder {
            self.left_chat(agent, now);
            let why = Release::Transferred;
            self.chat_fact(id, What::Released { agent, why }, now);
        }
        match to {
            Target::Queue(queue) => self.queue_chat(id, queue, false, Entry::Transferred, 0, now),
            Target::Agent(agent) => self.make_offer(id, agent, true, now),
        }
        Ok(self.done(id, 0))
    }
}
