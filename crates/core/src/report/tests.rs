//! The worked example of docs/reports.md, and random days whose sums must hold.

use super::csv;
use super::*;
use crate::number::CHINA;
use crate::time::Civil;
use proptest::prelude::*;

const SALES: QueueId = QueueId(1);
const ANN: AgentId = AgentId(1);
const BOB: AgentId = AgentId(2);
const PROMISE: Thresholds = Thresholds {
    service_ms: 20_000,
    short_ms: 5_000,
};

fn zone() -> Zone {
    Zone::parse("Asia/Shanghai").unwrap()
}

/// A time of the example's day.
fn at(time: &str) -> Stamp {
    let text = format!("20260302{}", time.replace(':', ""));
    Stamp::from_civil(Civil::parse14(&text).unwrap(), 480).unwrap()
}

fn call_of(n: u128) -> ConversationId {
    ConversationId(n << 16)
}

fn queue(time: &str, call: u128, what: QueueEvent) -> Fact {
    Fact::Queue(QueueFact {
        at: at(time),
        queue: SALES,
        conversation: call_of(call),
        what,
    })
}

fn part(time: &str, agent: AgentId, call: u128, what: PartEvent) -> Fact {
    Fact::Part(PartFact {
        at: at(time),
        agent,
        conversation: call_of(call),
        queue: Some(SALES),
        what,
    })
}

fn state(time: &str, agent: AgentId, state: State) -> Fact {
    Fact::Agent(AgentFact {
        at: at(time),
        agent,
        state,
    })
}

fn number(time: &str, call: u128, what: CallEvent) -> Fact {
    Fact::Call(CallFact {
        at: at(time),
        conversation: call_of(call),
        what,
    })
}

/// The example of docs/reports.md: eight calls, two agents, one hour and a little more.
fn example() -> Vec<Fact> {
    use PartEvent::{Accepted, Held, Left, Missed, Offered, Retrieved, WrappedUp};
    let transferred = Left { transferred: true };
    let left = Left { transferred: false };
    let mut facts = Vec::new();
    // Call, entered, how it left the queue, end of the call.
    for (call, entered, gone, what, ended) in [
        (1, "09:00:00", "09:00:10", QueueEvent::Answered, "09:03:10"),
        (2, "09:01:00", "09:03:50", QueueEvent::Answered, "09:08:50"),
        (3, "09:10:00", "09:10:03", QueueEvent::Left(Exit::Abandoned), "09:10:03"),
        (4, "09:11:00", "09:12:00", QueueEvent::Left(Exit::Abandoned), "09:12:00"),
        (5, "09:20:00", "09:25:00", QueueEvent::Left(Exit::TimedOut), "09:25:00"),
        (6, "09:30:00", "09:31:00", QueueEvent::Left(Exit::Callback), "09:31:00"),
        (7, "09:59:30", "10:00:00", QueueEvent::Answered, "10:02:00"),
        (8, "09:59:50", "", QueueEvent::Answered, ""),
    ] {
        let began = CallEvent::Began {
            number: Number::parse("95588", CHINA).unwrap(),
            incoming: true,
        };
        facts.push(number(entered, call, began));
        facts.push(queue(entered, call, QueueEvent::Entered(PROMISE)));
        if gone.is_empty() {
            continue;
        }
        facts.push(queue(gone, call, what));
        if what == QueueEvent::Answered {
            facts.push(number(gone, call, CallEvent::Answered));
        }
        facts.push(number(ended, call, CallEvent::Ended));
    }
    for (time, agent, call, what) in [
        ("09:00:02", ANN, 1, Offered),
        ("09:00:10", ANN, 1, Accepted),
        ("09:01:10", ANN, 1, Held),
        ("09:01:40", ANN, 1, Retrieved),
        ("09:03:10", ANN, 1, left),
        ("09:03:40", ANN, 1, WrappedUp),
        ("09:01:00", BOB, 2, Offered),
        ("09:01:20", BOB, 2, Missed),
        ("09:03:40", ANN, 2, Offered),
        ("09:03:50", ANN, 2, Accepted),
        ("09:05:50", ANN, 2, transferred),
        ("09:06:00", ANN, 2, WrappedUp),
        ("09:59:40", BOB, 7, Offered),
        ("10:00:00", BOB, 7, Accepted),
        ("10:02:00", BOB, 7, left),
        ("10:02:30", BOB, 7, WrappedUp),
    ] {
        facts.push(part(time, agent, call, what));
    }
    for (time, agent, new) in [
        ("09:00:00", ANN, State::Ready),
        ("09:00:02", ANN, State::Reserved),
        ("09:00:10", ANN, State::TalkIn),
        ("09:01:10", ANN, State::Held),
        ("09:01:40", ANN, State::TalkIn),
        ("09:03:10", ANN, State::WrapUp),
        ("09:03:40", ANN, State::Reserved),
        ("09:03:50", ANN, State::TalkIn),
        ("09:05:50", ANN, State::WrapUp),
        ("09:06:00", ANN, State::Ready),
        ("09:30:00", ANN, State::Break),
        ("09:45:00", ANN, State::Ready),
        ("09:00:00", BOB, State::SignedOut),
        ("09:00:30", BOB, State::Ready),
        ("09:01:00", BOB, State::Reserved),
        ("09:01:20", BOB, State::NotReady),
        ("09:50:00", BOB, State::Ready),
        ("09:59:40", BOB, State::Reserved),
        ("10:00:00", BOB, State::TalkIn),
        ("10:02:00", BOB, State::WrapUp),
        ("10:02:30", BOB, State::Ready),
    ] {
        facts.push(state(time, agent, new));
    }
    // The journal's order. Equal times keep the order above.
    facts.sort_by_key(Fact::at);
    facts
}

fn fold(facts: &[Fact], interval: Interval) -> Ledger {
    let mut ledger = Ledger::new(interval, zone());
    for fact in facts {
        ledger.add(fact);
    }
    ledger
}

fn hour() -> Ledger {
    fold(&example(), Interval::Hour)
}

fn columns(names: &[&str]) -> Vec<String> {
    names.iter().map(|c| (*c).to_owned()).collect()
}

#[test]
fn the_example_of_the_documentation_is_what_is_computed() {
    let ledger = hour();
    let queues = ledger
        .queues()
        .map(|((slice, _), row)| (vec![slice.to_string(), "sales".into()], csv::queue(row)));
    let name = |a: &AgentId| if *a == ANN { "ann" } else { "bob" }.to_owned();
    let agents = ledger.agents(at("10:02:30"));
    let agents = agents
        .iter()
        .map(|((slice, a), row)| (vec![slice.to_string(), name(a)], csv::agent(row)));
    let numbers = ledger
        .numbers()
        .map(|(slice, n, row)| (vec![slice.to_string(), n.as_str().to_owned()], csv::number(row)));
    let page = include_str!("../../../../docs/reports.md");
    for table in [
        csv::table(&["interval", "queue"], &columns(&csv::QUEUE), queues),
        csv::table(&["interval", "agent"], &csv::agent_columns(), agents),
        csv::table(&["interval", "number"], &columns(&csv::NUMBER), numbers),
    ] {
        let table = table.replace("\r\n", "\n");
        assert!(page.contains(&table), "docs/reports.md lacks\n{table}");
    }
}

fn nine() -> QueueRow {
    let ledger = hour();
    let all: Vec<_> = ledger.queues().map(|(_, row)| *row).collect();
    assert_eq!(
        all.len(),
        1,
        "everything of the queue is filed by when the calls entered"
    );
    all[0]
}

#[test]
fn offered_is_answered_abandoned_overflowed_and_waiting() {
    let row = nine();
    assert_eq!((row.offered, row.answered, row.abandoned, row.short), (8, 3, 1, 1));
    assert_eq!((row.timed_out, row.callbacks, row.waiting()), (1, 1, 1));
    assert_eq!(row.decided() + row.short + row.waiting(), row.offered);
}

#[test]
fn service_level_is_in_time_of_decided() {
    let row = nine();
    assert_eq!((row.in_time, row.decided(), row.service_level()), (1, 6, Some(167)));
    assert_eq!(row.abandonment(), Some(167));
    assert_eq!(QueueRow::default().service_level(), None);
    // At the threshold is in time; at the threshold of short ones is not short.
    let facts = [
        queue("09:00:00", 1, QueueEvent::Entered(PROMISE)),
        queue("09:00:00", 2, QueueEvent::Entered(PROMISE)),
        queue("09:00:05", 2, QueueEvent::Left(Exit::Abandoned)),
        queue("09:00:20", 1, QueueEvent::Answered),
    ];
    let row = fold(&facts, Interval::Day).hours().into_values().next().unwrap();
    assert_eq!((row.in_time, row.abandoned, row.short), (1, 1, 0));
}

#[test]
fn speed_of_answer_is_the_mean_wait_of_the_answered() {
    // 10, 170 and 30 seconds.
    assert_eq!(nine().asa_ms(), Some(70_000));
    assert_eq!(nine().to_abandon_ms(), Some(60_000));
    assert_eq!(nine().longest_wait_ms, 300_000);
}

#[test]
fn handling_time_is_talk_hold_and_wrap_up() {
    let row = nine();
    assert_eq!((row.talk_ms, row.hold_ms, row.wrap_ms), (390_000, 30_000, 70_000));
    assert_eq!((row.handled, row.aht_ms()), (3, Some(163_333)));
    assert_eq!((row.transfers, row.missed, row.rejected), (1, 1, 0));
}

// accept: domain-model I8
#[test]
fn an_agents_time_is_divided_without_gap_and_overlap() {
    let rows = hour().agents(at("10:02:30"));
    for agent in [ANN, BOB] {
        let of = rows.iter().filter(|((_, a), _)| *a == agent).map(|(_, row)| row);
        let whole: u64 = of.clone().flat_map(|r| r.state_ms).sum();
        assert_eq!(whole, 3_750_000, "from 09:00:00 to 10:02:30");
        let first = of.clone().next().unwrap();
        assert_eq!(first.state_ms.iter().sum::<u64>(), 3_600_000);
    }
    let nine = |agent| *rows.iter().find(|((_, a), _)| *a == agent).unwrap().1;
    let ann = nine(ANN);
    assert_eq!((ann.busy_ms(), ann.time_ms(Slot::Ready)), (358_000, 2_342_000));
    assert_eq!((ann.occupancy(), ann.duty_ms()), (Some(133), 3_600_000));
    let bob = nine(BOB);
    assert_eq!((bob.occupancy(), bob.duty_ms()), (Some(62), 3_570_000));
    assert_eq!(
        (bob.offers, bob.missed, bob.handled, bob.aht_ms()),
        (2, 1, 1, Some(150_000))
    );
}

#[test]
fn every_state_has_one_slot() {
    for state in State::ALL {
        assert!(Slot::ALL.contains(&Slot::of(state)));
        assert_eq!(Slot::of(state) == Slot::OffDuty, state.is_off_duty());
    }
    for (n, slot) in Slot::ALL.into_iter().enumerate() {
        assert_eq!(slot as usize, n);
    }
}

#[test]
fn a_number_counts_its_calls() {
    let ledger = hour();
    let (_, _, row) = ledger.numbers().next().unwrap();
    assert_eq!((row.incoming, row.answered, row.unanswered, row.open()), (8, 3, 4, 1));
    assert_eq!((row.to_answer_ms(), row.talk_mean_ms()), (Some(70_000), Some(200_000)));
}

#[test]
fn a_board_shows_what_waits_and_who_is_where() {
    let until = |time: &str| {
        let facts: Vec<Fact> = example().into_iter().filter(|f| f.at() <= at(time)).collect();
        fold(&facts, Interval::Hour)
    };
    let ledger = until("09:02:00");
    let now = ledger.queue_now(SALES, at("09:02:00"));
    assert_eq!((now.waiting, now.longest_ms), (1, 60_000));
    assert_eq!(ledger.line_now(SALES).map(|(c, _)| c).collect::<Vec<_>>(), [call_of(2)]);
    let slots = ledger.agents_now([ANN, BOB, AgentId(9)]);
    assert_eq!(
        slots,
        [(Slot::Talking, 1), (Slot::NotReady, 1), (Slot::OffDuty, 1)].into()
    );
    let bob = ledger.agent_now(BOB, at("09:02:00")).unwrap();
    assert_eq!((bob.state, bob.for_ms), (State::NotReady, 40_000));
    assert_eq!(ledger.agent_now(AgentId(9), at("09:02:00")), None);
    assert_eq!(ledger.queue_now(QueueId(9), at("09:02:00")).waiting, 0);
    assert_eq!(until("09:30:30").queue_now(SALES, at("09:30:30")).longest_ms, 30_000);
}

#[test]
fn what_is_over_is_forgotten_and_what_goes_on_is_not() {
    let mut ledger = hour();
    ledger.forget_before(at("10:00:00"));
    assert_eq!(ledger.queue_now(SALES, at("10:02:30")).waiting, 1);
    assert_eq!((ledger.queues().count(), ledger.numbers().count()), (0, 0));
    assert_eq!(ledger.agents(at("10:02:30")).len(), 2);
    // A call of a forgotten interval ends: no row of it comes back.
    ledger.add(&queue("10:03:00", 8, QueueEvent::Answered));
    ledger.add(&number("10:03:00", 8, CallEvent::Ended));
    assert_eq!((ledger.queues().count(), ledger.numbers().count()), (0, 0));
}

/// A step of a random day: a call, an agent, what happens, and the seconds since the step before.
type Random = (u128, u128, u8, u64);

fn random_facts(steps: &[Random]) -> (Vec<Fact>, Stamp) {
    let mut now = at("08:59:00");
    let mut facts = Vec::new();
    for (call, agent, what, secs) in steps {
        now = now.plus_secs(*secs);
        let (conversation, agent, queue) = (call_of(*call), AgentId(*agent), QueueId(call % 2));
        let exit = [
            Exit::Abandoned,
            Exit::TimedOut,
            Exit::Full,
            Exit::Unstaffed,
            Exit::Callback,
            Exit::Moved,
        ];
        let event = match what {
            0..10 => QueueEvent::Entered(PROMISE),
            10..20 => QueueEvent::Answered,
            n => QueueEvent::Left(exit[usize::from(*n) % 6]),
        };
        facts.push(Fact::Queue(QueueFact {
            at: now,
            queue,
            conversation,
            what: event,
        }));
        let parts = [
            PartEvent::Offered,
            PartEvent::Placed,
            PartEvent::Missed,
            PartEvent::Accepted,
            PartEvent::Accepted,
            PartEvent::Held,
            PartEvent::Retrieved,
            PartEvent::Left { transferred: true },
            PartEvent::WrappedUp,
        ];
        facts.push(Fact::Part(PartFact {
            at: now,
            agent,
            conversation,
            queue: Some(queue),
            what: parts[usize::from(*what) % parts.len()],
        }));
        facts.push(Fact::Agent(AgentFact {
            at: now,
            agent,
            state: State::ALL[usize::from(*what) % 24],
        }));
    }
    (facts, now)
}

proptest! {
    #[test]
    fn sums_hold_on_random_days_and_in_any_interval(
        steps in prop::collection::vec((0u128..6, 0u128..3, 0u8..30, 0u64..2000), 0..150),
    ) {
        let (facts, end) = random_facts(&steps);
        let now = end.plus_secs(100);
        let mut sums = Vec::new();
        for interval in Interval::ALL {
            let ledger = fold(&facts, interval);
            let mut whole = QueueRow::default();
            for (_, row) in ledger.queues() {
                prop_assert_eq!(row.decided() + row.short + row.waiting(), row.offered);
                prop_assert!(row.in_time <= row.answered && row.service_level().is_none_or(|s| s <= 1000));
                whole.merge(row);
            }
            let waiting: usize = (0..2).map(|q| ledger.queue_now(QueueId(q), now).waiting).sum();
            prop_assert_eq!(whole.waiting(), waiting as u64);
            let agents = ledger.agents(now);
            for agent in 0..3 {
                // I8: from the first fact of the agent on, every millisecond is in exactly one slot.
                let first = facts.iter().find_map(|f| match f {
                    Fact::Agent(f) if f.agent == AgentId(agent) => Some(f.at),
                    _ => None,
                });
                let of = agents.iter().filter(|((_, a), _)| *a == AgentId(agent));
                let time: u64 = of.flat_map(|(_, row)| row.state_ms).sum();
                prop_assert_eq!(time, first.map_or(0, |f| now.ms_since(f)));
            }
            let talk: u64 = agents.values().map(|r| r.talk_ms + r.hold_ms + r.wrap_ms).sum();
            prop_assert_eq!(talk, whole.talk_ms + whole.hold_ms + whole.wrap_ms);
            sums.push((whole, talk));
        }
        prop_assert!(sums.windows(2).all(|w| w[0] == w[1]), "the interval changes no sum: {sums:?}");
    }
}
