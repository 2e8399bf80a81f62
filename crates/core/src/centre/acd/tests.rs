//! The distributor by itself, in virtual time.

use super::*;
use crate::cause::Cause;
use crate::centre::agent::{Choice, Client, DeviceMode, Engagement, State, Variant};
use crate::centre::resource::{NoAnswer, Overflow, Skill, Strategy, WrapUp};
use crate::id::TenantId;

const T0: Stamp = Stamp(1_749_952_800_000);
const TENANT: TenantId = TenantId(1);
pub(super) const APP: ApplicationId = ApplicationId(1);
pub(super) const SALES: GroupId = GroupId(1);
pub(super) const CARE: GroupId = GroupId(2);
pub(super) const Q_SALES: QueueId = QueueId(1);
pub(super) const Q_CARE: QueueId = QueueId(2);

pub(super) fn call(n: u64) -> ConversationId {
    ConversationId::mint(1_000 + n, n)
}

pub(super) fn agent(n: u128, skills: &[(GroupId, u8)]) -> Agent {
    let skills = skills.iter().map(|(group, level)| Skill {
        group: *group,
        level: *level,
    });
    Agent {
        skills: skills.collect(),
        extension: format!("{}", 8000 + n),
        ..Agent::new(AgentId(n), TENANT, APP, format!("agent{n}"))
    }
}

pub(super) fn queue(id: QueueId, group: GroupId) -> Queue {
    Queue::new(id, TENANT, APP, format!("queue {}", id.0), group)
}

pub(super) struct Bed {
    pub(super) acd: Acd,
    pub(super) now: Stamp,
    pub(super) seen: Vec<Output>,
    pub(super) setup: Setup,
}

impl Bed {
    pub(super) fn new(settings: CentreSettings, agents: Vec<Agent>, queues: Vec<Queue>) -> Bed {
        let setup = Setup {
            applications: vec![(APP, settings)],
            agents,
            queues,
        };
        let mut bed = Bed {
            acd: Acd::new(1),
            now: T0,
            seen: Vec::new(),
            setup: setup.clone(),
        };
        bed.go(Input::Configure(Box::new(setup)));
        bed
    }

    pub(super) fn go(&mut self, input: Input) {
        let out = self.acd.handle(input, self.now).unwrap();
        self.seen.extend(out);
    }

    pub(super) fn agent(&mut self, n: u128, input: agent::Input) {
        self.go(Input::Agent(AgentId(n), input));
    }

    pub(super) fn sign_in(&mut self, n: u128) {
        let client = Client { id: n, face: 0 };
        self.agent(
            n,
            agent::Input::Connect {
                client,
                needs_device: false,
            },
        );
        self.agent(
            n,
            agent::Input::SignIn {
                groups: Vec::new(),
                mode: DeviceMode::Devices,
                choice: Some(Choice::Ready),
            },
        );
    }

    pub(super) fn enqueue(&mut self, n: u64, queue: QueueId) {
        self.enqueue_as(n, queue, None, "");
    }

    pub(super) fn enqueue_as(&mut self, n: u64, queue: QueueId, priority: Option<u8>, caller: &str) {
        self.go(Input::Enqueue(Enqueue {
            conversation: call(n),
            queue,
            caller: caller.to_owned(),
            priority,
            since: None,
            front: false,
            not: None,
        }));
    }

    pub(super) fn pass_ms(&mut self, ms: u64) {
        let end = self.now.plus_ms(ms);
        while let Some(at) = self.acd.next_deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.go(Input::Tick);
        }
        self.now = end;
    }

    pub(super) fn pass(&mut self, secs: u64) {
        self.pass_ms(secs * 1000);
    }

    /// Offers made so far: call and agent.
    pub(super) fn offers(&self) -> Vec<(u64, u128)> {
        self.offers_at().into_iter().map(|(c, a, _)| (c, a)).collect()
    }

    pub(super) fn offers_at(&self) -> Vec<(u64, u128, Ticket)> {
        self.seen
            .iter()
            .filter_map(|o| match o {
                Output::Offer(o) => {
                    let n = (0..100_000).find(|n| call(*n) == o.conversation).unwrap();
                    Some((n, o.agent.0, o.ticket))
                }
                _ => None,
            })
            .collect()
    }

    pub(super) fn last(&self) -> Ticket {
        self.offers_at().last().unwrap().2
    }

    pub(super) fn fact(&mut self, ticket: Ticket, fact: Fact) {
        self.go(Input::Fact(ticket, fact));
    }

    pub(super) fn talk(&mut self, ticket: Ticket) {
        for e in [
            Engagement::Alerting,
            Engagement::Answering,
            Engagement::Talk(Variant::In),
        ] {
            self.fact(ticket, Fact::Engaged(e));
        }
    }

    fn overflows(&self) -> Vec<(Left, Overflow)> {
        self.seen
            .iter()
            .filter_map(|o| match o {
                Output::Overflow { why, to, .. } => Some((*why, to.clone())),
                _ => None,
            })
            .collect()
    }

    pub(super) fn state(&self, n: u128) -> State {
        self.acd.agent(AgentId(n)).unwrap().state()
    }
}

pub(super) fn quick() -> CentreSettings {
    CentreSettings {
        wrap_up: WrapUp::Off,
        ..CentreSettings::default()
    }
}

pub(super) fn two() -> Vec<Agent> {
    vec![agent(1, &[(SALES, 5)]), agent(2, &[(SALES, 5)])]
}

#[test]
fn a_call_waits_for_an_agent_and_an_agent_for_a_call() {
    let mut bed = Bed::new(quick(), two(), vec![queue(Q_SALES, SALES)]);
    bed.enqueue(1, Q_SALES);
    bed.enqueue(2, Q_SALES);
    assert!(bed.offers().is_empty());
    assert_eq!(bed.acd.estimate(call(2)).map(|e| e.place), Some(2));
    bed.sign_in(1);
    assert_eq!(bed.offers(), [(1, 1)]);
    bed.talk(bed.last());
    assert_eq!(bed.state(1), State::TalkIn);
    bed.sign_in(2);
    assert_eq!(bed.offers(), [(1, 1), (2, 2)]);
    bed.talk(bed.last());
    let (first, _, conversation) = bed.acd.engaged(AgentId(1)).unwrap();
    assert_eq!(conversation, call(1));
    bed.enqueue(3, Q_SALES);
    bed.fact(first, Fact::Ended);
    assert_eq!(bed.offers().last(), Some(&(3, 1)));
    let board = bed.acd.boards().next().unwrap();
    assert_eq!((board.waiting, board.offered, board.on_duty, board.free), (0, 1, 2, 0));
}

/// I17, I36, 43: an offer that fails puts the call where it was, and its agent is left out for a while.
// accept: domain-model I17, I36, M43
#[test]
fn a_missed_call_keeps_its_place() {
    let settings = CentreSettings {
        no_answer: NoAnswer::Ready,
        ..quick()
    };
    let mut bed = Bed::new(settings, two(), vec![queue(Q_SALES, SALES)]);
    bed.sign_in(1);
    bed.enqueue(1, Q_SALES);
    bed.pass(1);
    bed.enqueue(2, Q_SALES);
    bed.fact(bed.last(), Fact::Engaged(Engagement::Alerting));
    bed.pass(30);
    // The only agent: it gets the other call at once, and the missed one not before ten seconds.
    assert_eq!(bed.offers(), [(1, 1), (2, 1)]);
    bed.fact(bed.last(), Fact::Engaged(Engagement::Alerting));
    bed.pass(5);
    bed.fact(bed.last(), Fact::Rejected);
    assert_eq!(bed.offers().len(), 2);
    bed.pass(5);
    assert_eq!(bed.offers().len(), 3);
    assert_eq!(bed.offers()[2], (1, 1), "the older call, with its old place");
    let mut at: Vec<i64> = Vec::new();
    for o in &bed.seen {
        if let Output::Queue(f) = o
            && f.what == Queued::Offered(AgentId(1))
            && f.conversation == call(1)
        {
            at.push(f.at.secs());
        }
    }
    assert!(at.windows(2).all(|w| w[1] - w[0] >= 10), "{at:?}");
    // With a second agent on duty the first is left out for a minute, and the second gets the call.
    let ringing = bed.last();
    bed.sign_in(2);
    assert_eq!(bed.offers().last(), Some(&(2, 2)));
    bed.fact(ringing, Fact::Rejected);
    assert_eq!(bed.offers().len(), 4);
    let second = bed.last();
    bed.talk(second);
    bed.fact(second, Fact::Ended);
    assert_eq!(bed.offers().last(), Some(&(1, 2)));
}

/// 43, 41: nobody is punished for a device that failed, or for a break pressed in time.
// accept: domain-model M32, M44
#[test]
fn the_next_agent_gets_the_call() {
    for device in [true, false] {
        let mut bed = Bed::new(quick(), two(), vec![queue(Q_SALES, SALES)]);
        bed.sign_in(1);
        bed.sign_in(2);
        bed.enqueue(1, Q_SALES);
        assert_eq!(bed.offers(), [(1, 1)]);
        if device {
            bed.fact(bed.last(), Fact::DeviceFailed);
            assert_eq!(bed.state(1), State::Ready);
        } else {
            bed.agent(1, agent::Input::Choose(Choice::Break("tea".into())));
            assert_eq!(bed.state(1), State::Break);
        }
        assert_eq!(bed.offers(), [(1, 1), (1, 2)]);
        bed.talk(bed.last());
        assert_eq!(bed.state(2), State::TalkIn);
    }
}

#[test]
fn levels_count_and_relax_with_time() {
    let agents = vec![
        agent(1, &[(SALES, 9)]),
        agent(2, &[(SALES, 8)]),
        agent(3, &[(SALES, 3)]),
    ];
    let mut bed = Bed::new(quick(), agents, vec![queue(Q_SALES, SALES)]);
    for n in 1..=3 {
        bed.sign_in(n);
    }
    bed.enqueue(1, Q_SALES);
    bed.enqueue(2, Q_SALES);
    assert_eq!(bed.offers(), [(1, 1)], "level 9 is demanded while it is on duty");
    bed.talk(bed.last());
    bed.pass(19);
    assert_eq!(bed.offers().len(), 1);
    bed.pass(2);
    assert_eq!(bed.offers().last(), Some(&(2, 2)));
    bed.talk(bed.last());
    bed.enqueue(3, Q_SALES);
    let why = bed.acd.explain(call(3), bed.now).unwrap();
    assert!(why.chosen.is_empty());
    let of = |n: u128| why.passed.iter().find(|p| p.agent == AgentId(n)).map(|p| p.why);
    assert_eq!(
        (of(1), of(2), of(3)),
        (Some(Verdict::Busy), Some(Verdict::Busy), Some(Verdict::Level))
    );
    bed.pass(119);
    assert_eq!(bed.offers().len(), 2);
    bed.pass(2);
    assert_eq!(bed.offers().last(), Some(&(3, 3)));
    // The same decision asked of a configuration without levels: the agent would have had it at once.
    let mut other = Bed::new(quick(), bed.setup.agents.clone(), bed.setup.queues.clone());
    for n in 1..=3 {
        other.sign_in(n);
    }
    other.enqueue(1, Q_SALES);
    other.enqueue(2, Q_SALES);
    let mut replayed = other.acd.clone();
    other.setup.queues[0].relax_secs = 0;
    replayed
        .handle(Input::Configure(Box::new(other.setup.clone())), other.now)
        .unwrap();
    assert!(
        replayed
            .explain(call(2), other.now)
            .is_some_and(|d| d.chosen.is_empty()),
        "offered now"
    );
}

// accept: voice-paas 178
#[test]
fn strategies_choose() {
    let order = |strategy: Strategy| {
        let agents = vec![
            agent(1, &[(SALES, 3)]),
            agent(2, &[(SALES, 9)]),
            agent(3, &[(SALES, 3)]),
        ];
        let sales = Queue {
            strategy,
            relax_secs: 0,
            ..queue(Q_SALES, SALES)
        };
        let mut bed = Bed::new(quick(), agents, vec![sales]);
        for n in [3, 2, 1] {
            bed.sign_in(n);
            bed.pass(1);
        }
        for n in 1..=6 {
            bed.enqueue(n, Q_SALES);
            let ticket = bed.last();
            bed.talk(ticket);
            bed.pass(1);
            bed.fact(ticket, Fact::Ended);
            bed.pass(1);
        }
        bed.offers().into_iter().map(|(_, a)| a).collect::<Vec<_>>()
    };
    assert_eq!(order(Strategy::MostSkilled), [2; 6]);
    assert_eq!(order(Strategy::LongestIdle), [3, 2, 1, 3, 2, 1]);
    assert_eq!(order(Strategy::Sequential), [1; 6]);
    assert_eq!(order(Strategy::FewestCalls), [3, 2, 1, 3, 2, 1]);
    let mut round = order(Strategy::RoundRobin);
    assert_eq!(round[..3], round[3..]);
    round.truncate(3);
    round.sort_unstable();
    assert_eq!(round, [1, 2, 3]);
}

/// I15: all are rung, the first that answers has the call, the others stop at once and are free for the next.
// accept: domain-model I15
// accept: voice-paas 178
#[test]
fn ring_all() {
    let agents = (1..=4).map(|n| agent(n, &[(SALES, 5)])).collect();
    let sales = Queue {
        strategy: Strategy::RingAll,
        ..queue(Q_SALES, SALES)
    };
    let mut bed = Bed::new(quick(), agents, vec![sales]);
    for n in 1..=4 {
        bed.sign_in(n);
    }
    bed.enqueue(1, Q_SALES);
    let offers = bed.offers_at();
    assert_eq!(offers.len(), 4);
    for (_, _, ticket) in &offers {
        bed.fact(*ticket, Fact::Engaged(Engagement::Alerting));
    }
    bed.fact(offers[1].2, Fact::Rejected);
    bed.talk(offers[2].2);
    // The one that crossed it comes too late.
    bed.talk(offers[3].2);
    let states: Vec<State> = (1..=4).map(|n| bed.state(n)).collect();
    assert_eq!(states[2], State::TalkIn);
    assert_eq!(states.iter().filter(|s| **s == State::TalkIn).count(), 1);
    let ended = |ticket: Ticket| {
        bed.seen
            .iter()
            .any(|o| matches!(o, Output::End { ticket: t, cause: Cause::AnsweredElsewhere, .. } if *t == ticket))
    };
    assert!(ended(offers[0].2) && ended(offers[3].2));
    assert_eq!((states[0], states[3]), (State::Ready, State::Ready));
}

#[test]
fn priorities_and_ageing() {
    let sales = Queue {
        ageing_secs: 30,
        ..queue(Q_SALES, SALES)
    };
    let mut bed = Bed::new(quick(), two(), vec![sales]);
    bed.enqueue_as(1, Q_SALES, Some(0), "");
    bed.pass(10);
    bed.enqueue_as(2, Q_SALES, Some(1), "");
    bed.pass(10);
    bed.sign_in(1);
    assert_eq!(bed.offers(), [(2, 1)]);
    bed.pass(15);
    bed.enqueue_as(3, Q_SALES, Some(1), "");
    bed.sign_in(2);
    assert_eq!(
        bed.offers(),
        [(2, 1), (1, 2)],
        "35 seconds made 0 equal to 1, and older is first"
    );
}

#[test]
fn an_agent_of_two_groups_takes_the_older_call() {
    let agents = vec![agent(1, &[(SALES, 5), (CARE, 5)])];
    let mut bed = Bed::new(quick(), agents, vec![queue(Q_SALES, SALES), queue(Q_CARE, CARE)]);
    bed.enqueue(1, Q_CARE);
    bed.pass(1);
    bed.enqueue(2, Q_SALES);
    bed.sign_in(1);
    assert_eq!(bed.offers(), [(1, 1)]);
}

// accept: voice-paas 179
#[test]
fn queues_overflow() {
    let sales = Queue {
        max_wait_secs: 60,
        max_length: 2,
        overflow: Overflow::Queue(Q_CARE),
        ..queue(Q_SALES, SALES)
    };
    let care = Queue {
        overflow_unstaffed: true,
        ..queue(Q_CARE, CARE)
    };
    let mut bed = Bed::new(quick(), two(), vec![sales, care]);
    for n in 1..=3 {
        bed.enqueue(n, Q_SALES);
    }
    assert_eq!(bed.overflows(), [(Left::Full, Overflow::Queue(Q_CARE))]);
    bed.enqueue(4, Q_CARE);
    assert_eq!(bed.overflows().last(), Some(&(Left::Unstaffed, Overflow::End)));
    bed.pass(60);
    assert_eq!(bed.overflows().len(), 4);
    assert_eq!(bed.overflows()[3].0, Left::TimedOut);
    // A call that rings as its time runs out goes on ringing, and leaves only if nobody answers.
    bed.enqueue(5, Q_SALES);
    bed.pass(45);
    bed.sign_in(1);
    bed.fact(bed.last(), Fact::Engaged(Engagement::Alerting));
    bed.pass(20);
    assert_eq!(bed.overflows().len(), 4);
    bed.pass(10);
    assert_eq!(bed.overflows().len(), 5);
    // The last agent leaves a queue that does not wait for nobody.
    bed.setup.queues[0].overflow_unstaffed = true;
    bed.go(Input::Configure(Box::new(bed.setup.clone())));
    bed.agent(1, agent::Input::Choose(Choice::SignOut));
    bed.sign_in(2);
    bed.agent(2, agent::Input::Choose(Choice::Break("tea".into())));
    bed.enqueue(6, Q_SALES);
    assert_eq!(bed.overflows().len(), 5);
    bed.agent(2, agent::Input::Choose(Choice::SignOut));
    assert_eq!(bed.overflows()[5].0, Left::Unstaffed);
}

// accept: voice-paas 176
#[test]
fn the_last_agent_comes_first() {
    let sales = Queue {
        sticky_secs: 3600,
        strategy: Strategy::Sequential,
        ..queue(Q_SALES, SALES)
    };
    let mut bed = Bed::new(quick(), two(), vec![sales]);
    bed.sign_in(2);
    bed.enqueue_as(1, Q_SALES, None, "13800138000");
    let ticket = bed.last();
    bed.talk(ticket);
    bed.fact(ticket, Fact::Ended);
    bed.sign_in(1);
    bed.enqueue_as(2, Q_SALES, None, "13800138000");
    assert_eq!(bed.offers().last(), Some(&(2, 2)));
    let verdict = bed.seen.iter().rev().find_map(|o| match o {
        Output::Decided(d) => Some(d.chosen[0].1),
        _ => None,
    });
    assert_eq!(verdict, Some(Verdict::LastAgent));
    bed.fact(bed.last(), Fact::CallerGone);
    bed.go(Input::Gone(call(2)));
    bed.pass(3601);
    bed.enqueue_as(3, Q_SALES, None, "13800138000");
    assert_eq!(bed.offers().last(), Some(&(3, 1)));
}

/// Who had the customer last is not waited for: whoever is free has the call at once.
// accept: voice-paas 177
#[test]
fn a_busy_last_agent_is_passed() {
    let sales = Queue {
        sticky_secs: 3600,
        strategy: Strategy::Sequential,
        ..queue(Q_SALES, SALES)
    };
    let mut bed = Bed::new(quick(), two(), vec![sales]);
    bed.sign_in(2);
    bed.enqueue_as(1, Q_SALES, None, "13800138000");
    let ticket = bed.last();
    bed.talk(ticket);
    bed.fact(ticket, Fact::Ended);
    bed.enqueue_as(2, Q_SALES, None, "13900139000");
    bed.talk(bed.last());
    assert_eq!(bed.state(2), State::TalkIn);
    bed.sign_in(1);
    bed.enqueue_as(3, Q_SALES, None, "13800138000");
    assert_eq!(bed.offers().last(), Some(&(3, 1)), "in the same moment");
}

/// Places and waits are announced from what was answered lately.
#[test]
fn announcements() {
    let sales = Queue {
        announce_secs: 30,
        max_wait_secs: 0,
        ..queue(Q_SALES, SALES)
    };
    let mut bed = Bed::new(quick(), vec![agent(1, &[(SALES, 5)])], vec![sales]);
    bed.sign_in(1);
    for n in 0..6 {
        bed.enqueue(n, Q_SALES);
    }
    for _ in 0..3 {
        let ticket = bed.last();
        bed.talk(ticket);
        bed.pass(20);
        bed.fact(ticket, Fact::Ended);
    }
    bed.talk(bed.last());
    bed.pass(30);
    let announced = |bed: &Bed| {
        bed.seen.iter().rev().find_map(|o| match o {
            Output::Announce {
                conversation,
                place,
                wait_secs,
            } if *conversation == call(5) => Some((*place, *wait_secs)),
            _ => None,
        })
    };
    let (place, wait) = announced(&bed).unwrap();
    assert_eq!(place, 2);
    assert_eq!(wait, Some(40), "two places at twenty seconds each");
}

/// What was lost by others is found by the auditor, repaired and told.
#[test]
fn the_auditor_frees_an_agent_whose_call_is_gone() {
    let mut bed = Bed::new(quick(), two(), vec![queue(Q_SALES, SALES)]);
    bed.sign_in(1);
    bed.enqueue(1, Q_SALES);
    bed.talk(bed.last());
    bed.enqueue(2, Q_SALES);
    bed.go(Input::Audit(HashSet::new()));
    assert_eq!(bed.state(1), State::TalkIn, "too early to judge");
    bed.pass(11);
    bed.go(Input::Audit([call(2)].into()));
    assert!(bed.seen.contains(&Output::Alert(AgentId(1), agent::Alert::Repaired)));
    assert_eq!(bed.offers().last(), Some(&(2, 1)));
    bed.go(Input::Audit([call(1), call(2)].into()));
    assert_eq!(bed.state(1), State::Reserved);
}

// accept: domain-model M28
#[test]
fn an_outbound_only_agent_is_never_offered_a_call() {
    let mut bed = Bed::new(quick(), two(), vec![queue(Q_SALES, SALES)]);
    bed.sign_in(1);
    bed.agent(1, agent::Input::CallOnly(true));
    bed.enqueue(1, Q_SALES);
    assert!(bed.offers().is_empty());
    let (ticket, _) = bed.acd.begin(AgentId(1), Part::Own, call(9), 60, bed.now);
    bed.fact(ticket.unwrap(), Fact::Engaged(Engagement::Dialing));
    assert_eq!(bed.state(1), State::Dialing);
    bed.agent(1, agent::Input::StopNotReady);
    assert!(bed.offers().is_empty(), "it is in a call");
    bed.go(Input::Gone(call(9)));
    bed.pass(2);
    assert_eq!(bed.offers(), [(1, 1)]);
}

#[test]
fn removed_agents_and_queues_leave_nothing_behind() {
    let mut bed = Bed::new(quick(), two(), vec![queue(Q_SALES, SALES)]);
    bed.sign_in(1);
    bed.enqueue(1, Q_SALES);
    bed.enqueue(2, Q_SALES);
    bed.setup.agents.remove(0);
    bed.go(Input::Configure(Box::new(bed.setup.clone())));
    assert!(bed.acd.agent(AgentId(1)).is_none());
    bed.sign_in(2);
    assert_eq!(
        bed.offers().last(),
        Some(&(1, 2)),
        "the call that rang at the removed one"
    );
    bed.setup.queues.clear();
    bed.go(Input::Configure(Box::new(bed.setup.clone())));
    assert_eq!(
        bed.overflows(),
        [(Left::Closed, Overflow::End), (Left::Closed, Overflow::End)]
    );
    assert_eq!(bed.state(2), State::Ready);
    assert!(bed.acd.calls.is_empty() && bed.acd.held.is_empty());
}
