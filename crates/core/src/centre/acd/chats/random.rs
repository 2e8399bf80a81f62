//! I33 and what goes with it, over random days.

use super::super::tests::{APP, Bed, CARE, Q_CARE, Q_SALES, SALES, agent, queue, quick};
use super::super::{Input, Output};
use super::tests::{chat, open_in};
use crate::centre::agent::{self, Choice, Client, Engagement, Fact as CallFact, Variant};
use crate::centre::resource::{CentreSettings, Strategy};
use crate::chat::*;
use crate::id::{AgentId, ConversationId};
use std::collections::HashMap;

struct Dice(u64);

impl Dice {
    fn roll(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

const AGENTS: u128 = 4;

/// Does something; true if it was about a chat and nothing else.
fn step(bed: &mut Bed, dice: &mut Dice, opened: &mut u64, calls: &mut u64) -> bool {
    let who = u128::from(dice.roll(AGENTS as u64)) + 1;
    let id = AgentId(who);
    let some = chat(dice.roll(opened.saturating_add(1)));
    let what = dice.roll(22);
    match what {
        0..=4 => {
            *opened += 1;
            let queue = if dice.roll(2) == 0 { Q_SALES } else { Q_CARE };
            bed.ask(open_in(*opened, queue)).unwrap();
        }
        5..=9 => {
            let offered: Vec<_> = bed
                .acd
                .chats()
                .flat_map(|c| c.offers.iter().map(|o| (c.id, *o)))
                .collect();
            if !offered.is_empty() {
                let mut offered = offered;
                offered.sort_by_key(|(c, o)| (*c, o.agent));
                let (chat, offer) = offered[dice.roll(offered.len() as u64) as usize];
                let agent = offer.agent;
                let offer = Some(offer.seq);
                let command = if dice.roll(5) == 0 {
                    Command::Refuse { chat, agent, offer }
                } else {
                    Command::Accept { chat, agent, offer }
                };
                bed.ask(command).unwrap();
            }
        }
        10 => {
            let to = if dice.roll(2) == 0 {
                Target::Agent(AgentId(u128::from(dice.roll(5)) + 1))
            } else {
                Target::Queue(Q_CARE)
            };
            let by = Party::Agent(id);
            let _ = bed.ask(Command::Transfer { chat: some, by, to });
        }
        11 => {
            let by = [Party::Customer, Party::Agent(id), Party::Supervisor][dice.roll(3) as usize];
            let _ = bed.ask(Command::End(some, by));
        }
        12 => {
            let from = if dice.roll(2) == 0 {
                Side::Customer
            } else {
                Side::Agent(id)
            };
            let message = Message {
                from,
                text: "x".into(),
                key: format!("{}", dice.roll(9)),
            };
            let _ = bed.ask(Command::Say(some, message));
        }
        13 => {
            let _ = bed.ask(Command::Present(some, dice.roll(2) == 0));
        }
        14 => {
            let client = Client { id: who, face: 0 };
            let input = if dice.roll(2) == 0 {
                agent::Input::Disconnected(client)
            } else {
                agent::Input::Resumed(client)
            };
            let _ = bed.try_agent(who, input);
        }
        15 => {
            let _ = bed.try_agent(who, agent::Input::TakesChats(dice.roll(3) > 0));
        }
        16 => {
            let choice = match dice.roll(4) {
                0 => Choice::Break(String::new()),
                1 => Choice::SignOut,
                _ => Choice::Ready,
            };
            let _ = bed.try_agent(who, agent::Input::Choose(choice));
        }
        17 => bed.come(who),
        18 => {
            *calls += 1;
            bed.enqueue(*calls, if dice.roll(2) == 0 { Q_SALES } else { Q_CARE });
        }
        19 => {
            if let Some((ticket, ..)) = bed.acd.engaged(id) {
                let facts = [
                    CallFact::Engaged(Engagement::Alerting),
                    CallFact::Engaged(Engagement::Answering),
                    CallFact::Engaged(Engagement::Talk(Variant::In)),
                    CallFact::Ended,
                    CallFact::Rejected,
                ];
                bed.go(Input::Fact(ticket, facts[dice.roll(5) as usize]));
            }
        }
        20 => bed.pass(dice.roll(40)),
        _ => bed.pass_ms(dice.roll(3_000)),
    }
    what < 14
}

impl Bed {
    fn try_agent(&mut self, n: u128, input: agent::Input) -> bool {
        let done = self.acd.handle(Input::Agent(AgentId(n), input), self.now);
        let well = done.is_ok();
        self.seen.extend(done.unwrap_or_default());
        well
    }

    fn come(&mut self, n: u128) {
        let client = Client { id: n, face: 0 };
        self.try_agent(
            n,
            agent::Input::Connect {
                client,
                needs_device: false,
            },
        );
        self.try_agent(
            n,
            agent::Input::SignIn {
                groups: Vec::new(),
                mode: agent::DeviceMode::Devices,
                choice: Some(Choice::Ready),
            },
        );
    }
}

/// What must hold after every step.
fn check(bed: &Bed, folded: &HashMap<ConversationId, Chat>, seed: u64) {
    for n in 1..=AGENTS {
        let id = AgentId(n);
        let load = bed.acd.chat_load(id).unwrap();
        assert!(
            load.open + load.offered <= u32::from(load.capacity),
            "I33, seed {seed}: {load:?}"
        );
        let has = |c: &&Chat| c.agent == Some(id);
        let asked = |c: &&Chat| c.offers.iter().any(|o| o.agent == id);
        let counted = (
            bed.acd.chats().filter(has).count() as u32,
            bed.acd.chats().filter(asked).count() as u32,
        );
        assert_eq!((load.open, load.offered), counted, "seed {seed}");
        let machine = bed.acd.agent(id).unwrap();
        if !machine.is_on_duty() {
            assert_eq!(counted, (0, 0), "C4, seed {seed}");
        }
    }
    let mut waiting = [0u32; 2];
    for c in bed.acd.chats() {
        assert_eq!(
            Some(c),
            folded.get(&c.id),
            "a chat is the fold of its facts, seed {seed}"
        );
        if c.state() == State::Queued {
            waiting[usize::from(c.queue == Some(Q_CARE))] += 1;
        }
    }
    let shown = [bed.acd.chats_waiting(Q_SALES).0, bed.acd.chats_waiting(Q_CARE).0];
    assert_eq!(waiting, shown, "seed {seed}");
}

/// Facts seen since, folded; and that no chat command moved an agent.
fn fold(bed: &mut Bed, folded: &mut HashMap<ConversationId, Chat>, ended: &mut u64, seed: u64) {
    for output in std::mem::take(&mut bed.seen) {
        match output {
            Output::Chat(fact) => match folded.get_mut(&fact.chat) {
                Some(chat) => {
                    assert_eq!(fact.seq, chat.seq + 1, "seed {seed}");
                    assert!(chat.ended.is_none(), "nothing comes behind the end, seed {seed}");
                    chat.apply(&fact);
                }
                None => {
                    folded.insert(fact.chat, Chat::opened(&fact).expect("the first fact opens"));
                }
            },
            Output::ChatEnded(chat) => {
                *ended += 1;
                assert_eq!(Some(&*chat), folded.get(&chat.id), "seed {seed}");
            }
            _ => {}
        }
    }
}

fn day(seed: u64) {
    let mut dice = Dice(seed);
    let settings = CentreSettings {
        chat_capacity: 1 + dice.roll(4) as u8,
        chat_while_talking: dice.roll(3) == 0,
        voice_during_chat: dice.roll(3) > 0,
        ..quick()
    };
    let agents = (1..=AGENTS).map(|n| {
        agent(
            n,
            &[(if n % 2 == 0 { SALES } else { CARE }, 5), (SALES, 3)][..1 + (n > 2) as usize],
        )
    });
    let mut queues = vec![queue(Q_SALES, SALES), queue(Q_CARE, CARE)];
    queues[0].strategy = Strategy::ALL[dice.roll(6) as usize];
    queues[1].overflow_unstaffed = dice.roll(2) == 0;
    let mut bed = Bed::new(settings, agents.collect(), queues);
    let (mut opened, mut calls, mut ended) = (0, 0, 0);
    let mut folded = HashMap::new();
    for _ in 0..400 {
        let states: Vec<_> = (1..=AGENTS).map(|n| bed.state(n)).collect();
        let chat_only = step(&mut bed, &mut dice, &mut opened, &mut calls);
        // Without voice during chats the end of the last one lets a call through.
        if chat_only && settings.voice_during_chat {
            let after: Vec<_> = (1..=AGENTS).map(|n| bed.state(n)).collect();
            assert_eq!(states, after, "I33: a chat moved an agent, seed {seed}");
        }
        fold(&mut bed, &mut folded, &mut ended, seed);
        check(&bed, &folded, seed);
    }
    // A new process that is told the facts has what this one has.
    let mut other = Bed::new(settings, bed.setup.agents.clone(), bed.setup.queues.clone());
    other.now = bed.now;
    for n in 1..=AGENTS {
        let kept = bed.acd.agent(AgentId(n)).unwrap().keep();
        other.go(Input::Restore(AgentId(n), Box::new(kept)));
    }
    let mut open: Vec<Chat> = bed.acd.chats().cloned().collect();
    open.sort_by_key(|c| c.id);
    for c in &open {
        let out = other.acd.restore_chat(c.clone(), other.now);
        other.seen.extend(out);
    }
    for c in &open {
        // A sign-out that was pending in a call has come with its end, and its chats are back.
        let left = c
            .agent
            .is_some_and(|a| !other.acd.agent(a).is_some_and(|a| a.is_on_duty()));
        if left {
            continue;
        }
        let found = other.acd.chat(c.id).expect("it goes on");
        assert!(c.agent.is_none() || c.agent == found.agent, "seed {seed}");
        if c.state() == State::Queued && found.state() == State::Queued {
            assert_eq!((found.queue, found.front, found.since), (c.queue, c.front, c.since));
        }
    }
    for c in open {
        let _ = bed.ask(Command::End(c.id, Party::Supervisor));
    }
    fold(&mut bed, &mut folded, &mut ended, seed);
    assert_eq!(
        (ended, bed.acd.chats().count()),
        (opened, 0),
        "each chat ends once, seed {seed}"
    );
    let one = opened.min(1);
    assert_eq!(
        folded.get(&chat(one)).map(|c| c.opening.application),
        (one > 0).then_some(APP)
    );
}

/// Open and offered chats never exceed the capacity, chats change no agent's state, and each chat ends exactly once.
// accept: domain-model I33
#[test]
fn random_days() {
    for seed in 0..150 {
        day(seed);
    }
}
