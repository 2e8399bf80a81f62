//! Random shifts of work, and what has to hold after each step.

use super::tests::*;
use super::*;
use crate::centre::agent::{Choice, Client, DeviceMode, Engagement, Variant};
use crate::centre::resource::{NoAnswer, Overflow, Strategy, WrapUp};

struct Seed(u64);

impl Seed {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

/// Random agents, calls and crossings: no agent has two participations, no call is in two places, nothing is left over.
// accept: domain-model I1, I16, I32
#[test]
fn random_shifts() {
    for seed in 0..60u64 {
        let mut random = Seed(seed * 7_919 + 1);
        let strategies = Strategy::ALL;
        let agents: Vec<Agent> = (1..=8)
            .map(|n| agent(n, &[(SALES, 1 + (n % 3) as u8), (CARE, 1 + (n % 2) as u8)]))
            .collect();
        let sales = Queue {
            strategy: strategies[random.next(6) as usize],
            max_wait_secs: 120,
            max_length: 10,
            relax_secs: 5,
            ..queue(Q_SALES, SALES)
        };
        let care = Queue {
            strategy: strategies[random.next(6) as usize],
            overflow_unstaffed: true,
            overflow: Overflow::Queue(Q_SALES),
            ..queue(Q_CARE, CARE)
        };
        let settings = CentreSettings {
            no_answer: [NoAnswer::Break, NoAnswer::Ready, NoAnswer::NotReady][random.next(3) as usize],
            wrap_up: [WrapUp::Off, WrapUp::Seconds(3), WrapUp::Manual][random.next(3) as usize],
            ..CentreSettings::default()
        };
        let mut bed = Bed::new(settings, agents, vec![sales, care]);
        let mut calls = 0;
        let mut tickets: Vec<Ticket> = Vec::new();
        for _ in 0..600 {
            let n = 1 + u128::from(random.next(8));
            match random.next(12) {
                0 | 1 => {
                    calls += 1;
                    bed.enqueue(calls, if random.next(2) == 0 { Q_SALES } else { Q_CARE });
                }
                2 if calls > 0 => bed.go(Input::Gone(call(1 + random.next(calls)))),
                3 => {
                    let client = Client { id: n, face: 0 };
                    for input in [
                        agent::Input::Connect {
                            client,
                            needs_device: false,
                        },
                        agent::Input::SignIn {
                            groups: Vec::new(),
                            mode: DeviceMode::Devices,
                            choice: None,
                        },
                    ] {
                        let _ = bed
                            .acd
                            .handle(Input::Agent(AgentId(n), input), bed.now)
                            .map(|o| bed.seen.extend(o));
                    }
                }
                4 => {
                    let choice = [
                        Choice::Ready,
                        Choice::Ready,
                        Choice::Break("tea".into()),
                        Choice::SignOut,
                    ][random.next(4) as usize]
                        .clone();
                    let input = Input::Agent(AgentId(n), agent::Input::Choose(choice));
                    let _ = bed.acd.handle(input, bed.now).map(|o| bed.seen.extend(o));
                }
                5 => bed.pass(random.next(40)),
                6 => {
                    calls += 1;
                    let part = [Part::Own, Part::Direct, Part::Consult][random.next(3) as usize];
                    let (ticket, out) = bed.acd.begin(AgentId(n), part, call(calls), 30, bed.now);
                    bed.seen.extend(out);
                    tickets.extend(ticket.ok());
                }
                _ => {
                    tickets.extend(bed.offers_at().iter().rev().take(4).map(|o| o.2));
                    if tickets.is_empty() {
                        continue;
                    }
                    let ticket = tickets[random.next(tickets.len() as u64) as usize];
                    let fact = match random.next(9) {
                        0 | 1 => Fact::Engaged(Engagement::Alerting),
                        2 => Fact::Engaged(Engagement::Answering),
                        3 | 4 => Fact::Engaged(Engagement::Talk(Variant::In)),
                        5 => Fact::Rejected,
                        6 => Fact::DeviceFailed,
                        7 => Fact::CallerGone,
                        _ => Fact::Ended,
                    };
                    bed.fact(ticket, fact);
                }
            }
            consistent(&bed, seed);
        }
        // Everybody goes home: nothing is left.
        for n in 1..=calls {
            bed.go(Input::Gone(call(n)));
        }
        bed.pass(120);
        for n in 1..=8 {
            bed.agent(n, agent::Input::Reset);
            assert!(bed.state(n).is_off_duty(), "seed {seed}: {:?}", bed.state(n));
        }
        assert!(bed.acd.calls.is_empty(), "seed {seed}");
        assert!(bed.acd.held.is_empty(), "seed {seed}: {:?}", bed.acd.held);
        assert!(
            bed.acd
                .lines
                .values()
                .all(|l| l.len() == 0 && l.offered == 0 && l.free.is_empty())
        );
    }
}

fn consistent(bed: &Bed, seed: u64) {
    let acd = &bed.acd;
    for (id, post) in &acd.agents {
        // I1 is a property of the machine: one participation. It is known to the distributor, and its own.
        if let Some((ticket, _)) = post.machine.ticket() {
            assert!(
                acd.held.get(ticket).is_some_and(|h| h.agent == *id),
                "seed {seed}: {ticket:?} of nobody"
            );
        }
        for (queue, line) in &acd.lines {
            let listed = line.free.iter().any(|a| a == *id);
            let serves = post.machine.groups().contains(&line.config.group);
            assert_eq!(
                listed,
                post.machine.is_offerable() && serves,
                "seed {seed}: {id} in {queue}"
            );
        }
    }
    for (id, call) in &acd.calls {
        let line = &acd.lines[&call.queue];
        let waits = line.in_order().contains(id);
        assert_eq!(
            waits,
            call.offers.is_empty(),
            "seed {seed}: waiting or offered, never both"
        );
        let places = acd.lines.values().filter(|l| l.in_order().contains(id)).count();
        assert!(places <= 1, "seed {seed}: in one queue");
        for ticket in &call.offers {
            let held = acd.held.get(*ticket).unwrap();
            assert_eq!(held.conversation, *id);
            assert_eq!(acd.agents[&held.agent].machine.ticket().map(|t| t.0), Some(*ticket));
        }
    }
    for line in acd.lines.values() {
        let offered = acd
            .calls
            .values()
            .filter(|c| c.queue == line.config.id && !c.offers.is_empty());
        assert_eq!(offered.count(), line.offered as usize, "seed {seed}");
        assert_eq!(line.len(), line.in_order().len());
    }
}
