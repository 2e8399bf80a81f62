use super::*;
use crate::ivr::check::{Thing, check, may_publish};
use crate::ivr::io::{Answer, Fact, Input, Outcome, Step};
use crate::ivr::run::{Run, Waits};
use crate::ivr::walk::End;
use crate::route::Condition;
use proptest::prelude::*;

const NODES: u8 = 8;

/// Mostly nodes that are there.
fn name() -> impl Strategy<Value = String> {
    (0..NODES + 1).prop_map(|n| format!("n{n}"))
}

fn some_tries() -> impl Strategy<Value = Tries> {
    (0u8..4, prop_oneof![Just(500u32), Just(5000)]).prop_map(|(count, wait_ms)| Tries {
        count,
        wait_ms,
        ..tries(1)
    })
}

fn node() -> impl Strategy<Value = Node> {
    let two = || (name(), name());
    let words = "[a-z${}]{0,6}";
    prop_oneof![
        (any::<bool>(), name(), words).prop_map(|(skip, next, t)| Node::Play {
            say: text(&t),
            skip,
            next
        }),
        (0u8..4, 0u8..5, prop::option::of(Just('#')), some_tries(), two()).prop_map(
            |(min, max, finish, tries, (next, failed))| Node::Collect {
                say: prompt("menu"),
                into: "v".into(),
                min,
                max,
                finish,
                between_ms: 700,
                secret: min == 1,
                tries,
                next,
                failed
            }
        ),
        (any::<bool>(), some_tries(), two()).prop_map(|(free, tries, (next, failed))| Node::Speech {
            say: prompt("menu"),
            hearing: if free { Hearing::Free } else { grammar() },
            into: "w".into(),
            max_ms: 3000,
            tries,
            next,
            failed
        }),
        (prop::collection::vec(name(), 0..4), some_tries(), name()).prop_map(|(to, tries, failed)| Node::Menu {
            say: prompt("menu"),
            choices: to.iter().zip('1'..).map(|(to, key)| choice(key, "l", to)).collect(),
            tries,
            failed
        }),
        (prop::collection::vec((0u8..101, name()), 0..3), name()).prop_map(|(cases, otherwise)| Node::Branch {
            cases: cases.into_iter().map(|(p, to)| (Condition::Share(p), to)).collect(),
            otherwise
        }),
        (name(), words).prop_map(|(next, value)| Node::Set {
            values: vec![assign("v", &value, true)],
            next
        }),
        two().prop_map(|(next, failed)| Node::Http {
            request: request(Method::Get, "https://a.example/${v}"),
            next,
            failed
        }),
        name().prop_map(|failed| queue("sales", &failed)),
        name().prop_map(|failed| transfer(Party::Number(Template::new("${v}")), &failed)),
        two().prop_map(|(next, failed)| Node::Callback {
            queue: Template::new("sales"),
            number: Template::new("${caller}"),
            next,
            failed
        }),
        name().prop_map(|next| Node::Voicemail {
            mailbox: Template::new("sales"),
            say: vec![],
            max_seconds: 60,
            next
        }),
        (some_tries(), name()).prop_map(|(tries, next)| Node::Survey {
            name: "s".into(),
            say: prompt("menu"),
            keys: vec![('1', "good".into(), 1)],
            tries,
            next
        }),
        (prop_oneof![Just("main"), Just("other"), Just("gone")], name()).prop_map(|(flow, next)| Node::Call {
            flow: flow.to_owned(),
            next
        }),
        Just(Node::Return),
        Just(hang_up()),
    ]
}

fn some_flow() -> impl Strategy<Value = Flow> {
    let nodes = prop::collection::vec(node(), usize::from(NODES));
    (nodes, name(), prop::option::of(name()), 10u32..2000).prop_map(|(nodes, start, on_fault, max_seconds)| Flow {
        start,
        on_fault,
        language: Language::English,
        max_seconds,
        nodes: nodes
            .into_iter()
            .enumerate()
            .map(|(n, node)| (format!("n{n}"), node))
            .collect(),
    })
}

/// What happens next: chosen by a number, fitting or not, after so many milliseconds.
fn input(choice: u8, run: &Run, step: &Step) -> Input {
    let back = if choice.is_multiple_of(2) {
        Outcome::Done
    } else {
        Outcome::Failed
    };
    match (choice, run.waits()) {
        (0, _) => Input::Gone,
        (1..20, Waits::Sound { play, .. }) => Input::PlayEnded(play),
        (1..20, Waits::Speech(id)) => Input::Heard(id, Some("sales".into())),
        (1..20, Waits::Answer(id)) => Input::Answered(
            id,
            Some(Answer {
                status: 200 + u16::from(choice) * 20,
                values: Default::default(),
            }),
        ),
        (1..20, Waits::Back) => Input::Back(back),
        (20..26, _) => Input::Time,
        (26..30, _) => Input::PlayEnded(u32::from(choice)),
        (30..32, _) => Input::Heard(u32::from(choice) % 8, None),
        (32..34, _) => Input::Back(back),
        (34, _) => Input::Answered(step.actions.len() as u32, None),
        _ => Input::Key(char::from(b"0123456789*#AD\x001122"[usize::from(choice) % 19])),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn a_random_flow_with_a_random_caller_never_waits_for_ever(
        main in some_flow(),
        other in some_flow(),
        inputs in prop::collection::vec((0u8..60, 0u64..4000), 0..120),
    ) {
        let fine = may_publish(&check(&main, &|_, _| None)) && may_publish(&check(&other, &|t, name| {
            (t == Thing::Flow).then_some(name != "gone")
        }));
        let library = library(vec![("main", main), ("other", other)]);
        let (mut run, mut step) = Run::begin(library, "main", call(), Stamp(0));
        let mut now = Stamp(0);
        let mut facts = step.facts.clone();
        for (choice, after) in inputs {
            prop_assert_eq!(step.deadline.is_none(), run.is_over() || run.waits() == Waits::Back);
            let input = input(choice, &run, &step);
            now = match (&input, step.deadline) {
                (Input::Time, Some(deadline)) => deadline.max(now),
                _ => now.plus_ms(after),
            };
            step = run.handle(input, now);
            facts.extend(step.facts.iter().cloned());
        }
        // From now on nothing happens but that time passes.
        let mut left = 0;
        while let Some(deadline) = step.deadline {
            now = deadline.max(now);
            step = run.handle(Input::Time, now);
            facts.extend(step.facts.iter().cloned());
            left += 1;
            prop_assert!(left < 2_000, "it goes on for ever");
        }
        prop_assert!(run.is_over() || run.waits() == Waits::Back);
        let ends = facts.iter().filter(|f| matches!(f, Fact::Over(_))).count();
        prop_assert_eq!(ends, usize::from(run.is_over()));
        if fine {
            let lost = facts.iter().any(|f| matches!(f, Fact::Fault(why) if why.starts_with("there is no node")));
            prop_assert!(!lost, "a flow that was checked led to a node that is not there");
        }
    }

    #[test]
    fn a_dry_run_of_a_random_flow_ends(
        main in some_flow(),
        other in some_flow(),
        inputs in prop::collection::vec(0u8..9, 0..60),
    ) {
        let given = inputs.iter().map(|n| match n {
            0 | 1 => Given::Keys("12".into()),
            2 | 3 => Given::Silence,
            4 => Given::Says("sales".into()),
            5 => Given::Answers(None),
            6 => Given::Back(Outcome::Failed),
            7 => Given::Passes(2000),
            _ => Given::Keys("#".into()),
        });
        let given: Vec<_> = given.collect();
        let trace = walk(library(vec![("main", main), ("other", other)]), "main", call(), Stamp(0), &given);
        prop_assert!(trace.unused <= given.len());
        if let End::Unfit(at, _) = trace.end {
            prop_assert_eq!(at + trace.unused, given.len());
        }
    }
}
