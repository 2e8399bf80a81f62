//! Chats in virtual time, beside calls.

use super::super::tests::{APP, Bed, CARE, Q_CARE, Q_SALES, SALES, agent, queue, quick, two};
use super::super::{Input, Output};
use crate::centre::agent::{self, Choice, Client, State as AgentState};
use crate::centre::resource::{CentreSettings, Overflow, Strategy};
use crate::chat::*;
use crate::id::{AgentId, ConversationId, QueueId};

const A1: AgentId = AgentId(1);
const A2: AgentId = AgentId(2);

pub(super) fn chat(n: u64) -> ConversationId {
    ConversationId::mint(9_000 + n, n)
}

pub(super) fn open_in(n: u64, queue: QueueId) -> Command {
    Command::Open {
        chat: chat(n),
        queue,
        opening: Opening {
            application: APP,
            customer: format!("customer {n}"),
            name: String::new(),
            data: String::new(),
            priority: 0,
        },
        text: None,
    }
}

impl Bed {
    pub(super) fn ask(&mut self, command: Command) -> Result<Done, Refusal> {
        let (done, out) = self.acd.ask_chat(command, self.now);
        self.seen.extend(out);
        done
    }

    fn open(&mut self, n: u64) {
        self.ask(open_in(n, Q_SALES)).unwrap();
    }

    fn accept(&mut self, n: u64, agent: AgentId) {
        let chat = chat(n);
        let offer = None;
        self.ask(Command::Accept { chat, agent, offer }).unwrap();
    }

    fn chat(&self, n: u64) -> &Chat {
        self.acd.chat(chat(n)).unwrap()
    }

    fn asked(&self, n: u64) -> Vec<AgentId> {
        self.chat(n).offers.iter().map(|o| o.agent).collect()
    }

    fn ended(&self, n: u64) -> Option<(CloseBy, End)> {
        self.seen.iter().find_map(|o| match o {
            Output::ChatEnded(c) if c.id == chat(n) => c.ended.map(|(_, by, why)| (by, why)),
            _ => None,
        })
    }

    fn load(&self, agent: AgentId) -> (u32, u32) {
        let load = self.acd.chat_load(agent).unwrap();
        (load.open, load.offered)
    }

    fn rest(&mut self, n: u128) {
        self.agent(n, agent::Input::Choose(Choice::Break(String::new())));
    }
}

fn say(n: u64, from: Side, text: &str, key: &str) -> Command {
    let message = Message {
        from,
        text: text.into(),
        key: key.into(),
    };
    Command::Say(chat(n), message)
}

#[test]
fn a_customer_and_an_agent_write_to_one_another() {
    let mut bed = Bed::new(quick(), two(), vec![queue(Q_SALES, SALES)]);
    bed.open(1);
    assert_eq!(bed.chat(1).state(), State::Queued);
    bed.sign_in(1);
    assert_eq!(bed.asked(1), [A1]);
    let chat = chat(1);
    let wrong = Command::Accept {
        chat,
        agent: A2,
        offer: None,
    };
    assert_eq!(bed.ask(wrong), Err(Refusal::NotOffered));
    bed.accept(1, A1);
    assert_eq!(bed.chat(1).state(), State::Active);
    let first = bed.ask(say(1, Side::Customer, "hello", "m1")).unwrap();
    let again = bed.ask(say(1, Side::Customer, "hello", "m1")).unwrap();
    assert_eq!(first, again, "a message sent twice is one message");
    let answer = bed.ask(say(1, Side::Agent(A1), "good day", "")).unwrap();
    assert_eq!(answer.seq, first.seq + 1);
    assert_eq!(bed.ask(say(1, Side::Agent(A2), "me too", "")), Err(Refusal::NotYours));
    assert_eq!(bed.ask(say(1, Side::Customer, "", "")), Err(Refusal::Text));
    assert_eq!(bed.ask(Command::End(chat, Party::Agent(A2))), Err(Refusal::NotYours));
    bed.ask(Command::End(chat, Party::Agent(A1))).unwrap();
    assert_eq!(bed.ended(1), Some((CloseBy::Seat, End::Wish)));
    assert_eq!(bed.ask(say(1, Side::Customer, "?", "")), Err(Refusal::NotFound));
    assert_eq!((bed.state(1), bed.load(A1)), (AgentState::Ready, (0, 0)));
}

/// Four chats open and a call arrives: it is offered, the chats stay, and no fifth one comes during the call.
// accept: domain-model M45
#[test]
fn chats_do_not_bar_a_call_and_a_call_bars_new_chats() {
    let mut bed = Bed::new(quick(), two()[..1].to_vec(), vec![queue(Q_SALES, SALES)]);
    bed.sign_in(1);
    for n in 1..=4 {
        bed.open(n);
        bed.accept(n, A1);
    }
    bed.enqueue(1, Q_SALES);
    assert_eq!(bed.offers(), [(1, 1)]);
    // C5: while it is only offered nothing new comes, and what was offered stays.
    bed.open(5);
    assert_eq!(bed.asked(5), []);
    bed.talk(bed.last());
    assert_eq!((bed.state(1), bed.load(A1)), (AgentState::TalkIn, (4, 0)));
    bed.pass(5);
    assert_eq!(bed.asked(5), []);
    bed.ask(say(1, Side::Agent(A1), "one moment", "")).unwrap();
    let call = bed.last();
    bed.fact(call, agent::Fact::Ended);
    assert_eq!(bed.asked(5), [A1], "the call is over");
    // The fifth fills the slot; the sixth waits.
    bed.accept(5, A1);
    bed.open(6);
    assert_eq!((bed.asked(6), bed.load(A1)), (vec![], (5, 0)));
}

#[test]
fn an_offered_chat_goes_back_when_its_agent_talks() {
    let mut bed = Bed::new(quick(), two(), vec![queue(Q_SALES, SALES)]);
    bed.sign_in(1);
    bed.open(1);
    bed.enqueue(1, Q_SALES);
    assert_eq!(
        (bed.asked(1), bed.offers()),
        (vec![A1], vec![(1, 1)]),
        "C5: both at once"
    );
    bed.talk(bed.last());
    assert_eq!((bed.asked(1), bed.chat(1).state()), (vec![], State::Queued));
    assert!(bed.chat(1).excluded.is_empty(), "nobody is blamed");
    bed.sign_in(2);
    assert_eq!(bed.asked(1), [A2]);
}

/// Sign-out with open chats: they are the first that the next agent is offered; with nobody on duty they end.
// accept: domain-model M46
#[test]
fn chats_of_one_who_signs_out_go_back_to_the_front() {
    let mut bed = Bed::new(quick(), two(), vec![queue(Q_SALES, SALES)]);
    bed.sign_in(1);
    bed.pass(1);
    for n in 1..=2 {
        bed.open(n);
        bed.accept(n, A1);
    }
    bed.rest(1);
    bed.open(3);
    bed.pass(1);
    bed.sign_in(2);
    assert_eq!(bed.asked(3), [A2]);
    let capacity = CentreSettings {
        chat_capacity: 1,
        ..quick()
    };
    bed.setup.applications[0].1 = capacity;
    bed.go(Input::Configure(Box::new(bed.setup.clone())));
    bed.ask(Command::Refuse {
        chat: chat(3),
        agent: A2,
        offer: None,
    })
    .unwrap();
    bed.agent(1, agent::Input::Choose(Choice::SignOut));
    assert_eq!(
        bed.asked(1),
        [A2],
        "it was answered before, so it goes before the third"
    );
    assert!(bed.chat(1).front && bed.chat(2).front && !bed.chat(3).front);
    let released = bed.chat(1).parts[0].released;
    assert_eq!(released, Some(Release::SignedOut));
    bed.accept(1, A2);
    assert_eq!(bed.load(A2), (1, 0));
    bed.agent(2, agent::Input::Choose(Choice::SignOut));
    assert_eq!(bed.ended(1), Some((CloseBy::Admin, End::Unstaffed)));
    assert_eq!(
        bed.chat(3).state(),
        State::Queued,
        "one that was never answered waits on"
    );
}

/// 37: lost beyond the grace time is like a sign-out.
#[test]
fn chats_of_one_who_is_lost_stay_for_the_grace_time() {
    let mut bed = Bed::new(quick(), two(), vec![queue(Q_SALES, SALES)]);
    bed.sign_in(1);
    bed.open(1);
    bed.accept(1, A1);
    bed.open(2);
    bed.sign_in(2);
    let client = Client { id: 1, face: 0 };
    bed.agent(1, agent::Input::Disconnected(client));
    assert_eq!(bed.asked(2), [A2], "who is not there is asked nothing");
    bed.pass(59);
    assert_eq!(bed.chat(1).agent, Some(A1));
    bed.pass(2);
    assert_eq!(bed.asked(1), [A2]);
}

/// C6.
#[test]
fn a_missed_chat_goes_to_the_next_and_the_third_miss_turns_chats_off() {
    let mut bed = Bed::new(quick(), two(), vec![queue(Q_SALES, SALES)]);
    bed.sign_in(1);
    bed.open(1);
    bed.sign_in(2);
    bed.rest(2);
    bed.pass(30);
    assert_eq!(bed.chat(1).parts[0].missed, Some(Missed::Expired));
    assert_eq!((bed.asked(1), bed.state(1)), (vec![], AgentState::Ready));
    bed.pass(59);
    assert_eq!(bed.asked(1), []);
    bed.pass(2);
    assert_eq!(bed.asked(1), [A1], "60 s later it may be asked again");
    bed.pass(30);
    bed.pass(61);
    bed.pass(30);
    assert!(!bed.acd.chat_load(A1).unwrap().takes);
    bed.pass(200);
    assert_eq!((bed.asked(1), bed.state(1)), (vec![], AgentState::Ready));
    bed.agent(1, agent::Input::TakesChats(true));
    assert_eq!(bed.asked(1), [A1]);
}

#[test]
fn a_late_answer_names_an_offer_that_is_over() {
    let settings = CentreSettings {
        exclusion_alone_secs: 0,
        ..quick()
    };
    let mut bed = Bed::new(settings, two(), vec![queue(Q_SALES, SALES)]);
    bed.sign_in(1);
    bed.open(1);
    let first = bed.chat(1).offers[0].seq;
    bed.pass(31);
    let second = bed.chat(1).offers[0].seq;
    assert!(second > first);
    let accept = |offer| Command::Accept {
        chat: chat(1),
        agent: A1,
        offer: Some(offer),
    };
    assert_eq!(bed.ask(accept(first)), Err(Refusal::NotOffered));
    assert!(bed.ask(accept(second)).is_ok());
}

#[test]
fn whoever_is_quicker_has_it() {
    let mut ring = queue(Q_SALES, SALES);
    ring.strategy = Strategy::RingAll;
    let mut bed = Bed::new(quick(), two(), vec![ring]);
    bed.sign_in(1);
    bed.sign_in(2);
    bed.open(1);
    assert_eq!(bed.asked(1), [A1, A2]);
    bed.accept(1, A2);
    assert_eq!((bed.load(A1), bed.load(A2)), ((0, 0), (1, 0)));
    assert_eq!(bed.chat(1).parts[0].missed, Some(Missed::Elsewhere));
}

#[test]
fn a_chat_is_handed_to_a_group_and_to_an_agent() {
    let agents = vec![agent(1, &[(SALES, 5)]), agent(2, &[(CARE, 5)])];
    let queues = vec![queue(Q_SALES, SALES), queue(Q_CARE, CARE)];
    let mut bed = Bed::new(quick(), agents, queues);
    bed.sign_in(1);
    bed.open(1);
    bed.accept(1, A1);
    let hand = |to| Command::Transfer {
        chat: chat(1),
        by: Party::Agent(A1),
        to,
    };
    assert_eq!(bed.ask(hand(Target::Agent(A2))), Err(Refusal::NotOfferable));
    assert_eq!(bed.chat(1).agent, Some(A1), "a refused wish changes nothing");
    bed.sign_in(2);
    bed.ask(hand(Target::Agent(A2))).unwrap();
    assert_eq!((bed.asked(1), bed.load(A1)), (vec![A2], (0, 0)));
    // The target does not take it: the queue of its group has it, and the same agent is not asked at once.
    bed.pass(30);
    assert_eq!((bed.chat(1).queue, bed.asked(1)), (Some(Q_CARE), vec![]));
    bed.pass(11);
    assert_eq!(bed.asked(1), [A2], "alone on duty, after 10 s");
    bed.accept(1, A2);
    let back = Command::Transfer {
        chat: chat(1),
        by: Party::Agent(A2),
        to: Target::Queue(Q_SALES),
    };
    bed.ask(back).unwrap();
    assert_eq!(bed.chat(1).queue, Some(Q_SALES));
    bed.pass(11);
    assert_eq!(bed.asked(1), [A1]);
    let supervisor = Command::End(chat(1), Party::Supervisor);
    bed.ask(supervisor).unwrap();
    assert_eq!(bed.ended(1), Some((CloseBy::Admin, End::Wish)));
}

#[test]
fn a_silent_customer_is_suspended_and_then_gone() {
    let mut bed = Bed::new(quick(), two(), vec![queue(Q_SALES, SALES)]);
    bed.sign_in(1);
    bed.open(1);
    bed.accept(1, A1);
    bed.pass(SILENT_SECS);
    assert_eq!(bed.chat(1).state(), State::Suspended);
    bed.ask(say(1, Side::Customer, "I am back", "")).unwrap();
    assert_eq!(bed.chat(1).state(), State::Active);
    bed.ask(Command::Present(chat(1), false)).unwrap();
    assert_eq!(bed.chat(1).state(), State::Suspended);
    bed.pass(IDLE_SECS);
    assert_eq!(bed.ended(1), Some((CloseBy::Timer, End::Idle)));
    assert_eq!(bed.load(A1), (0, 0));
}

#[test]
fn queues_keep_chats_as_they_keep_calls() {
    let mut sales = queue(Q_SALES, SALES);
    (sales.max_wait_secs, sales.max_length) = (20, 1);
    sales.overflow = Overflow::Queue(Q_CARE);
    let mut care = queue(Q_CARE, CARE);
    care.max_wait_secs = 20;
    care.overflow = Overflow::Queue(Q_SALES);
    let mut bed = Bed::new(quick(), two(), vec![sales, care]);
    bed.sign_in(1);
    bed.rest(1);
    bed.open(1);
    bed.open(2);
    assert_eq!(bed.chat(2).queue, Some(Q_CARE), "full");
    bed.pass(20);
    assert_eq!(bed.chat(1).queue, Some(Q_CARE), "waited too long");
    bed.ask(Command::End(chat(1), Party::Customer)).unwrap();
    bed.ask(Command::End(chat(2), Party::Customer)).unwrap();
    assert_eq!(bed.ended(2), Some((CloseBy::Client, End::Wish)));
    assert!(bed.acd.chats().next().is_none());
    assert_eq!(bed.ask(open_in(3, QueueId(77))), Err(Refusal::NoQueue));
}

#[test]
fn without_voice_during_chats_calls_wait_for_them() {
    let settings = CentreSettings {
        voice_during_chat: false,
        ..quick()
    };
    let mut bed = Bed::new(settings, two(), vec![queue(Q_SALES, SALES)]);
    bed.sign_in(1);
    bed.open(1);
    bed.accept(1, A1);
    bed.enqueue(1, Q_SALES);
    assert!(bed.offers().is_empty());
    bed.ask(Command::End(chat(1), Party::Customer)).unwrap();
    assert_eq!(bed.offers(), [(1, 1)]);
}
