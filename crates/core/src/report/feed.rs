//! From the distributor's outputs to the facts of reports.
//!
//! What the distributor cannot know, the conversation's owner says beforehand: that a part is about to end by a transfer,
//! that a call leaves its queue for another reason than the caller's leaving.

use super::{AgentFact, Exit, Fact, PartEvent, PartFact, QueueEvent, QueueFact, Slot, Thresholds};
use crate::centre::acd::{Acd, Left, Output, Queued};
use crate::centre::agent::{Change, Part, State, Unanswered};
use crate::id::{AgentId, ConversationId, QueueId};
use crate::time::Stamp;
use std::collections::{BTreeMap, BTreeSet};

/// An agent's part in a call, as far as it is known here.
#[derive(Clone, Debug)]
struct Open {
    conversation: ConversationId,
    queue: Option<QueueId>,
    accepted: bool,
    held: bool,
    left: bool,
}

/// Makes facts of outputs, for one tenant.
#[derive(Clone, Debug, Default)]
pub struct Feed {
    open: BTreeMap<AgentId, Open>,
    transfers: BTreeSet<AgentId>,
    exits: BTreeMap<ConversationId, Exit>,
}

impl Feed {
    /// The part that this agent has open will end by a transfer.
    pub fn transfers(&mut self, agent: AgentId) {
        if self.open.contains_key(&agent) {
            self.transfers.insert(agent);
        }
    }

    /// The call is about to leave its queue, and not because the caller hung up.
    pub fn leaves(&mut self, conversation: ConversationId, exit: Exit) {
        self.exits.insert(conversation, exit);
    }

    /// Takes in what one input of the distributor led to, which is as it stands afterwards.
    pub fn take(&mut self, acd: &Acd, outputs: &[Output]) -> Vec<Fact> {
        let mut facts = Vec::new();
        let mut failed: BTreeMap<(AgentId, ConversationId), Unanswered> = BTreeMap::new();
        for output in outputs {
            if let Output::Queue(fact) = output
                && let Queued::Returned(agent, why) = fact.what
            {
                failed.insert((agent, fact.conversation), why);
            }
        }
        // Agents with a part that no queue has told of so far.
        let mut reserved: BTreeMap<AgentId, Stamp> = BTreeMap::new();
        for output in outputs {
            match output {
                Output::Queue(fact) => {
                    if let Queued::Offered(agent) = fact.what {
                        reserved.remove(&agent);
                        self.begin(
                            agent,
                            fact.conversation,
                            Some(fact.queue),
                            fact.at,
                            PartEvent::Offered,
                            &mut facts,
                        );
                    }
                    facts.extend(self.queue(acd, fact));
                }
                Output::Agent(agent, change) => {
                    if change.from == change.to {
                        continue;
                    }
                    facts.push(Fact::Agent(AgentFact {
                        at: change.at,
                        agent: *agent,
                        state: change.to,
                    }));
                    self.change(*agent, change, &failed, &mut facts);
                    let begins = change.to.is_engaged() && !change.from.is_engaged();
                    if begins && !self.open.contains_key(agent) {
                        reserved.insert(*agent, change.at);
                    } else if !change.to.is_engaged() {
                        reserved.remove(agent);
                    }
                }
                _ => {}
            }
        }
        for (agent, at) in reserved {
            let Some((_, part, conversation)) = acd.engaged(agent) else {
                continue;
            };
            match part {
                Part::Own | Part::OffDuty => self.begin(agent, conversation, None, at, PartEvent::Placed, &mut facts),
                Part::Direct | Part::Consult => {
                    self.begin(agent, conversation, None, at, PartEvent::Offered, &mut facts);
                }
                // A queue's offer was told by the queue; listening in is no call of the agent's.
                Part::Queue | Part::Monitor => {}
            }
        }
        facts
    }

    fn queue(&mut self, acd: &Acd, fact: &crate::centre::acd::QueueFact) -> Option<Fact> {
        // Counted when the customer chose it.
        if fact.callback {
            return None;
        }
        let what = match fact.what {
            Queued::Entered { .. } => {
                let queue = acd.queue(fact.queue);
                QueueEvent::Entered(Thresholds {
                    service_ms: queue.map_or(0, |q| u64::from(q.service_secs) * 1000),
                    short_ms: queue.map_or(0, |q| u64::from(q.short_secs) * 1000),
                })
            }
            // Its place in the queue is kept: an agent's affair.
            Queued::Offered(_) | Queued::Returned(..) => return None,
            Queued::Left(how) => {
                let said = self.exits.remove(&fact.conversation);
                match how {
                    Left::Answered(_) => QueueEvent::Answered,
                    Left::Abandoned => QueueEvent::Left(said.unwrap_or(Exit::Abandoned)),
                    Left::TimedOut => QueueEvent::Left(Exit::TimedOut),
                    Left::Full => QueueEvent::Left(Exit::Full),
                    Left::Unstaffed => QueueEvent::Left(Exit::Unstaffed),
                    Left::Closed => QueueEvent::Left(Exit::Moved),
                    Left::Callback => QueueEvent::Left(Exit::Callback),
                }
            }
        };
        Some(Fact::Queue(QueueFact {
            at: fact.at,
            queue: fact.queue,
            conversation: fact.conversation,
            what,
        }))
    }

    fn begin(
        &mut self,
        agent: AgentId,
        conversation: ConversationId,
        queue: Option<QueueId>,
        at: Stamp,
        what: PartEvent,
        facts: &mut Vec<Fact>,
    ) {
        self.transfers.remove(&agent);
        let open = Open {
            conversation,
            queue,
            accepted: false,
            held: false,
            left: false,
        };
        facts.push(open.fact(agent, at, what));
        self.open.insert(agent, open);
    }

    /// What a change of state says of the part that is open.
    fn change(
        &mut self,
        agent: AgentId,
        change: &Change,
        failed: &BTreeMap<(AgentId, ConversationId), Unanswered>,
        facts: &mut Vec<Fact>,
    ) {
        let Some(open) = self.open.get_mut(&agent) else { return };
        let at = change.at;
        let slot = Slot::of(change.to);
        if open.left {
            // After-call work, and its end.
            if slot != Slot::WrapUp {
                facts.push(open.fact(agent, at, PartEvent::WrappedUp));
                self.open.remove(&agent);
            }
            return;
        }
        if matches!(slot, Slot::Talking | Slot::Holding) && !open.accepted {
            open.accepted = true;
            facts.push(open.fact(agent, at, PartEvent::Accepted));
        }
        let held = change.to == State::Held;
        if open.accepted && held != open.held {
            open.held = held;
            let what = if held { PartEvent::Held } else { PartEvent::Retrieved };
            facts.push(open.fact(agent, at, what));
        }
        let over = !change.to.is_engaged() || change.to == State::Releasing;
        if !over {
            return;
        }
        if open.accepted {
            let transferred = self.transfers.remove(&agent);
            facts.push(open.fact(agent, at, PartEvent::Left { transferred }));
            open.left = true;
            if slot != Slot::WrapUp {
                facts.push(open.fact(agent, at, PartEvent::WrappedUp));
                self.open.remove(&agent);
            }
            return;
        }
        let what = match failed.get(&(agent, open.conversation)) {
            Some(Unanswered::Expired) => PartEvent::Missed,
            Some(Unanswered::Rejected) => PartEvent::Rejected,
            Some(Unanswered::Device | Unanswered::Media | Unanswered::Withdrawn) | None => PartEvent::Withdrawn,
        };
        facts.push(open.fact(agent, at, what));
        self.open.remove(&agent);
    }
}

impl Open {
    fn fact(&self, agent: AgentId, at: Stamp, what: PartEvent) -> Fact {
        Fact::Part(PartFact {
            at,
            agent,
            conversation: self.conversation,
            queue: self.queue,
            what,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::centre::acd::{Enqueue, Input, Setup};
    use crate::centre::agent::{self, Choice, Client, DeviceMode, Engagement, Variant};
    use crate::centre::resource::{Agent, CentreSettings, Queue, Skill, WrapUp};
    use crate::id::{ApplicationId, GroupId, TenantId};
    use crate::report::{Interval, Ledger};
    use crate::route::Zone;
    use proptest::prelude::*;

    const APP: ApplicationId = ApplicationId(1);
    const QUEUE: QueueId = QueueId(1);

    /// A distributor, and a ledger that is fed by it.
    struct Day {
        acd: Acd,
        feed: Feed,
        ledger: Ledger,
        now: Stamp,
    }

    impl Day {
        fn new(agents: u128) -> Day {
            let tenant = TenantId(1);
            let agents = (1..=agents).map(|n| {
                let skill = Skill {
                    group: GroupId(1),
                    level: 5,
                };
                Agent {
                    skills: vec![skill],
                    ..Agent::new(AgentId(n), tenant, APP, format!("agent{n}"))
                }
            });
            let settings = CentreSettings {
                wrap_up: WrapUp::Seconds(10),
                ..CentreSettings::default()
            };
            let mut queue = Queue::new(QUEUE, tenant, APP, "sales", GroupId(1));
            (queue.service_secs, queue.short_secs, queue.max_wait_secs) = (20, 5, 300);
            let setup = Setup {
                applications: vec![(APP, settings)],
                agents: agents.collect(),
                queues: vec![queue],
            };
            let mut day = Day {
                acd: Acd::new(1),
                feed: Feed::default(),
                ledger: Ledger::new(Interval::Hour, Zone::Fixed(480)),
                now: Stamp(1_749_952_800_000),
            };
            day.go(Input::Configure(Box::new(setup)));
            day
        }

        fn tell(&mut self, outputs: &[Output]) {
            for fact in self.feed.take(&self.acd, outputs) {
                self.ledger.add(&fact);
            }
        }

        fn go(&mut self, input: Input) {
            if let Ok(outputs) = self.acd.handle(input, self.now) {
                self.tell(&outputs);
            }
        }

        fn sign_in(&mut self, agent: u128) {
            let client = Client { id: agent, face: 0 };
            let needs_device = false;
            self.go(Input::Agent(
                AgentId(agent),
                agent::Input::Connect { client, needs_device },
            ));
            let sign_in = agent::Input::SignIn {
                groups: vec![],
                mode: DeviceMode::Devices,
                choice: Some(Choice::Ready),
            };
            self.go(Input::Agent(AgentId(agent), sign_in));
        }

        fn enqueue(&mut self, call: u128) {
            self.go(Input::Enqueue(Enqueue {
                conversation: ConversationId(call << 16),
                queue: QUEUE,
                caller: String::new(),
                priority: None,
                since: None,
                front: false,
                not: None,
            }));
        }

        fn fact(&mut self, agent: u128, fact: agent::Fact) {
            if let Some((ticket, _, _)) = self.acd.engaged(AgentId(agent)) {
                self.go(Input::Fact(ticket, fact));
            }
        }

        fn engaged(&mut self, agent: u128, engagement: Engagement) {
            self.fact(agent, agent::Fact::Engaged(engagement));
        }

        fn pass(&mut self, secs: u64) {
            let end = self.now.plus_secs(secs);
            while let Some(at) = self.acd.next_deadline().filter(|at| *at <= end) {
                self.now = self.now.max(at);
                self.go(Input::Tick);
            }
            self.now = end;
        }
    }

    #[test]
    fn a_call_through_the_distributor_is_counted() {
        let mut day = Day::new(2);
        day.sign_in(1);
        day.enqueue(1);
        day.pass(4);
        day.engaged(1, Engagement::Alerting);
        day.pass(6);
        day.engaged(1, Engagement::Answering);
        day.engaged(1, Engagement::Talk(Variant::In));
        day.pass(60);
        day.engaged(1, Engagement::Held);
        day.pass(15);
        day.engaged(1, Engagement::Talk(Variant::In));
        day.pass(25);
        day.feed.transfers(AgentId(1));
        day.fact(1, agent::Fact::Ended);
        day.pass(60);
        // One that is missed, and one that leaves for a call back.
        day.enqueue(2);
        day.engaged(1, Engagement::Alerting);
        day.pass(60);
        let callback = ConversationId(2 << 16);
        day.feed.leaves(callback, Exit::Callback);
        day.go(Input::Leave(callback));
        // One of the agent's own.
        let own = ConversationId(3 << 16);
        day.go(Input::Agent(AgentId(1), agent::Input::Choose(Choice::Ready)));
        let (ticket, outputs) = day.acd.begin(AgentId(1), Part::Own, own, 0, day.now);
        assert!(ticket.is_ok());
        day.tell(&outputs);
        day.engaged(1, Engagement::Dialing);
        day.pass(5);
        day.engaged(1, Engagement::Talk(Variant::Out));
        day.pass(30);
        day.fact(1, agent::Fact::Ended);
        day.pass(60);

        let row = day.ledger.hours().into_values().next().unwrap();
        assert_eq!((row.offered, row.answered, row.in_time, row.callbacks), (2, 1, 1, 1));
        assert_eq!((row.asa_ms(), row.missed, row.transfers), (Some(10_000), 1, 1));
        assert_eq!((row.talk_ms, row.hold_ms, row.wrap_ms), (85_000, 15_000, 10_000));
        let agents = day.ledger.agents(day.now);
        let row = agents.values().next().unwrap();
        assert_eq!((row.offers, row.placed, row.handled, row.missed), (2, 1, 2, 1));
        assert_eq!((row.talk_ms, row.wrap_ms), (115_000, 20_000));
        assert_eq!(row.time_ms(Slot::WrapUp), 20_000);
        assert_eq!(row.time_ms(Slot::Holding), 15_000);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        /// Whatever happens, the boards and the machines agree with the ledger, and every offer has one end.
        // accept: domain-model I8
        #[test]
        fn the_ledger_agrees_with_the_distributor(
            steps in prop::collection::vec((0u8..24, 1u128..4, 0u64..40), 0..200),
        ) {
            let mut day = Day::new(3);
            let mut calls = 0;
            for (what, agent, secs) in steps {
                day.pass(secs);
                let id = AgentId(agent);
                match what {
                    0..3 => day.sign_in(agent),
                    3..7 => {
                        calls += 1;
                        day.enqueue(calls);
                    }
                    7 => day.go(Input::Leave(ConversationId((u128::from(secs) % calls.max(1) + 1) << 16))),
                    // Nobody alerts who talks already.
                    8..10 if day.acd.agent(id).is_some_and(|a| a.state() != State::Reserved) => {}
                    8..10 => day.engaged(agent, Engagement::Alerting),
                    // Nothing comes back from a call that is being cleared.
                    10..15 if day.acd.agent(id).is_some_and(|a| a.state() == State::Releasing) => {}
                    10..13 => day.engaged(agent, Engagement::Talk(Variant::In)),
                    13 => day.engaged(agent, Engagement::Held),
                    14 => day.engaged(agent, Engagement::Conference),
                    15 => day.fact(agent, agent::Fact::Rejected),
                    16 => day.fact(agent, agent::Fact::DeviceFailed),
                    17 | 18 => day.fact(agent, agent::Fact::Ended),
                    19 => day.go(Input::Agent(id, agent::Input::Choose(Choice::Break("lunch".into())))),
                    20 => day.go(Input::Agent(id, agent::Input::Choose(Choice::Ready))),
                    21 => day.go(Input::Agent(id, agent::Input::Reset)),
                    22 => {
                        calls += 1;
                        let (_, outputs) = day.acd.begin(id, Part::Own, ConversationId(calls << 16), 30, day.now);
                        day.tell(&outputs);
                    }
                    _ => day.go(Input::Agent(id, agent::Input::Choose(Choice::SignOut))),
                }
                let board = day.acd.boards().next().unwrap();
                let now = day.ledger.queue_now(QUEUE, day.now);
                prop_assert_eq!(now.waiting, (board.waiting + board.offered) as usize);
                for n in 1..4 {
                    let machine = day.acd.agent(AgentId(n)).unwrap().state();
                    let told = day.ledger.agent_now(AgentId(n), day.now).map_or(State::Offline, |a| a.state);
                    prop_assert_eq!(machine, told);
                }
            }
            let rows = day.ledger.agents(day.now);
            let mut queue = crate::report::QueueRow::default();
            for row in day.ledger.hours().values() {
                queue.merge(row);
            }
            let sum = |f: fn(&crate::report::AgentRow) -> u64| rows.values().map(f).sum::<u64>();
            prop_assert!(queue.answered <= queue.handled + queue.moved);
            prop_assert!(sum(|r| r.missed) >= queue.missed && sum(|r| r.handled) >= queue.handled);
            // What agents did in calls is what their states say, but for what is still going on.
            let talked = sum(|r| r.talk_ms + r.hold_ms);
            let states = sum(|r| r.time_ms(Slot::Talking) + r.time_ms(Slot::Holding));
            let open = (1..4).any(|n| day.acd.engaged(AgentId(n)).is_some());
            prop_assert!(talked <= states && (open || talked == states), "{talked} {states}");
        }
    }
}
