use super::*;
use crate::ivr::io::{Action, Answer, Fact, HandOver, Input, Outcome, Over, Said};
use crate::ivr::run::{Run, Waits};
use crate::ivr::walk::End;
use crate::route::{Calendar, Condition, Test};
use crate::spoken::Kind;
use std::collections::BTreeMap;

fn keys(k: &str) -> Given {
    Given::Keys(k.to_owned())
}

const NORMAL: End = End::Over(Over::HungUp(Cause::Normal));

fn shop() -> Vec<(&'static str, Node)> {
    vec![
        ("hello", play("welcome", "menu")),
        (
            "menu",
            menu(
                vec![choice('1', "sales", "sales"), choice('2', "service", "end")],
                "end",
            ),
        ),
        ("sales", queue("sales", "end")),
        ("end", hang_up()),
    ]
}

#[test]
fn a_menu_keeps_the_path_that_was_pressed() {
    let t = dry(shop(), &[keys("1"), Given::Gone]);
    assert_eq!(
        lines(&t),
        [
            "hello: plays \"welcome\"",
            "menu: plays prompt menu",
            "menu: key 1: sales",
            "sales: hands the call over",
            "sales: to queue sales with priority 0",
            "sales: the caller is gone",
        ]
    );
    let path: Vec<_> = t.path.iter().map(|p| (p.key, p.label.as_str())).collect();
    assert_eq!(
        (path, t.end, t.unused),
        (vec![('1', "sales")], End::Over(Over::Gone), 0)
    );
}

#[test]
fn a_menu_asks_again_after_wrong_keys_and_after_none_and_gives_up() {
    let t = dry(shop(), &[keys("9"), Given::Silence, Given::Silence]);
    assert_eq!(
        &lines(&t)[1..],
        [
            "menu: plays prompt menu",
            "menu: the answer does not fit",
            "menu: plays \"that is no choice\", prompt menu",
            "menu: there is no answer",
            "menu: plays \"nothing was pressed\", prompt menu",
            "menu: there is no answer",
            "end: the call ends: normal",
        ]
    );
    assert_eq!((t.end, t.path.len()), (NORMAL, 0));
    // Ends where the inputs do, or where one does not fit.
    assert!(matches!(dry(shop(), &[]).end, End::Waits(w) if w.starts_with("a key")));
    assert!(matches!(
        dry(shop(), &[keys("9"), Given::Back(Outcome::Done)]).end,
        End::Unfit(1, _)
    ));
}

#[test]
fn keys_are_pressed_ahead_only_where_a_sound_may_be_skipped() {
    let skip = |skip| {
        let mut nodes = shop();
        nodes[0].1 = Node::Play {
            say: text("welcome"),
            skip,
            next: "menu".into(),
        };
        let lib = library(vec![("main", flow(nodes))]);
        let (mut run, _) = Run::begin(lib, "main", call(), Stamp(0));
        let step = run.handle(Input::Key('1'), Stamp(100));
        (step.actions, run.waits())
    };
    let (actions, waits) = skip(true);
    assert!(matches!(
        actions[..],
        [Action::Stop, Action::HandOver(HandOver::Queue { .. })]
    ));
    assert_eq!(waits, Waits::Back);
    let (actions, waits) = skip(false);
    assert_eq!((actions.len(), waits), (0, Waits::Sound { play: 1, key: false }));
}

fn collect(finish: Option<char>, secret: bool) -> Vec<(&'static str, Node)> {
    vec![
        (
            "ask",
            Node::Collect {
                say: prompt("account"),
                into: "account".into(),
                min: 2,
                max: 4,
                finish,
                between_ms: 3000,
                secret,
                tries: tries(2),
                next: "keep".into(),
                failed: "lost".into(),
            },
        ),
        (
            "keep",
            Node::Set {
                values: vec![
                    assign("copy", "no. ${account}", false),
                    assign("shown", "${copy}", true),
                ],
                next: "end".into(),
            },
        ),
        ("end", hang_up()),
        (
            "lost",
            Node::HangUp {
                say: text("bye"),
                cause: Cause::Rejected,
            },
        ),
    ]
}

#[test]
fn digits_end_by_number_by_key_and_by_time() {
    let shown = |finish, inputs: &[Given]| {
        let t = dry(collect(finish, false), inputs);
        (t.attached.get("shown").cloned(), t.end)
    };
    let number = |n: &str| (Some(format!("no. {n}")), NORMAL);
    assert_eq!(shown(None, &[keys("1234")]), number("1234"));
    assert_eq!(shown(Some('#'), &[keys("12#")]), number("12"));
    assert_eq!(shown(None, &[keys("123"), Given::Silence]), number("123"));
    // Too few, then enough.
    assert_eq!(shown(Some('#'), &[keys("1#99#")]), number("99"));
    assert_eq!(shown(None, &[keys("1"), Given::Silence, keys("5678")]), number("5678"));
    let lost = (None, End::Over(Over::HungUp(Cause::Rejected)));
    assert_eq!(shown(None, &[Given::Silence, Given::Silence]), lost);
    // A star is no digit.
    assert_eq!(shown(None, &[keys("*"), keys("*")]), lost);
}

#[test]
fn a_secret_is_never_shown_also_not_as_part_of_another_value() {
    let t = dry(collect(None, true), &[keys("1234")]);
    assert_eq!(t.attached.get("shown").map(String::as_str), Some("********"));
    assert!(t.lines.iter().all(|l| !l.what.contains("1234")), "{t:?}");
    let lib = library(vec![("main", flow(collect(None, true)))]);
    let (mut run, _) = Run::begin(lib, "main", call(), Stamp(0));
    for (n, key) in "1234".chars().enumerate() {
        let input = Input::Key(key);
        assert!(!format!("{input:?}").contains(key));
        let step = run.handle(input, Stamp(n as i64));
        assert!(!format!("{:?}", step.facts).contains("1234"));
    }
    assert!(run.is_over());
}

fn speech(hearing: Hearing) -> Vec<(&'static str, Node)> {
    vec![
        (
            "ask",
            Node::Speech {
                say: text("what is it about?"),
                hearing,
                into: "topic".into(),
                max_ms: 10_000,
                tries: tries(2),
                next: "keep".into(),
                failed: "end".into(),
            },
        ),
        (
            "keep",
            Node::Set {
                values: vec![assign("topic", "${topic}", true)],
                next: "end".into(),
            },
        ),
        ("end", hang_up()),
    ]
}

#[test]
fn speech_is_taken_as_text_or_by_its_phrases() {
    let topic = |hearing, inputs: &[Given]| dry(speech(hearing), inputs).attached.get("topic").cloned();
    let says = |t: &str| Given::Says(t.to_owned());
    assert_eq!(topic(Hearing::Free, &[says("My bill!")]).as_deref(), Some("My bill!"));
    for (said, value) in [
        ("Customer SERVICE, please.", Some("service")),
        ("i'd like to buy something", Some("sales")),
        ("我想买东西", Some("sales")),
        ("no", Some("no")),
        ("I know", None),
        ("", None),
    ] {
        assert_eq!(
            topic(grammar(), &[says(said), Given::Silence]).as_deref(),
            value,
            "{said}"
        );
    }
    // Asked twice, then given up.
    let t = dry(speech(grammar()), &[Given::Silence, says("weather")]);
    assert_eq!(lines(&t).iter().filter(|l| l.ends_with("listens")).count(), 2);
    assert_eq!(t.end, NORMAL);
}

#[test]
fn a_late_result_of_a_question_that_is_over_changes_nothing() {
    let lib = library(vec![("main", flow(speech(Hearing::Free)))]);
    let (mut run, _) = Run::begin(lib, "main", call(), Stamp(0));
    let step = run.handle(Input::PlayEnded(1), Stamp(1000));
    let Some(Action::Listen { id, .. }) = step.actions.first() else {
        panic!("{step:?}");
    };
    let id = *id;
    let step = run.handle(Input::Time, step.deadline.unwrap());
    assert!(step.actions.contains(&Action::StopListening), "{step:?}");
    let step = run.handle(Input::Heard(id, Some("late".into())), Stamp(60_000));
    assert_eq!((step.actions.len(), step.facts.len()), (0, 0));
    // So is a sound that is over, and the time of a deadline that was moved.
    assert!(run.handle(Input::PlayEnded(1), Stamp(60_000)).actions.is_empty());
    assert!(run.handle(Input::Time, Stamp(60_000)).facts.is_empty());
}

#[test]
fn a_branch_goes_by_the_first_case_and_says_why() {
    let nodes = |cases: Vec<(Condition, &str)>| {
        vec![
            (
                "b",
                Node::Branch {
                    cases: cases.into_iter().map(|(c, to)| (c, to.to_owned())).collect(),
                    otherwise: "c".into(),
                },
            ),
            ("a", play("a", "end")),
            ("c", play("c", "end")),
            ("end", hang_up()),
        ]
    };
    let from = |province: &str| Condition::CallerFrom {
        province: province.into(),
        city: String::new(),
    };
    let t = dry(nodes(vec![(from("上海市"), "c"), (from("北京市"), "a")]), &[]);
    assert_eq!(
        &lines(&t)[..2],
        ["b: case 2: the caller is from there", "a: plays \"a\""]
    );
    let called = Condition::Value {
        name: "called".into(),
        test: Test::OneOf(vec!["10086".into()]),
    };
    let t = dry(nodes(vec![(called, "a")]), &[]);
    assert_eq!(&lines(&t)[..2], ["b: otherwise: no case holds", "c: plays \"c\""]);
    // A calendar of the library.
    let mut lib = Library::clone(&library(vec![(
        "main",
        flow(nodes(vec![(Condition::Open("office".into()), "a")])),
    )]));
    lib.shelf.calendars.insert("office".into(), Calendar::always());
    let t = walk(Arc::new(lib), "main", call(), Stamp(0), &[]);
    assert_eq!(lines(&t)[0], "b: case 1: calendar \"office\" is open");
}

fn http() -> Vec<(&'static str, Node)> {
    let mut request = request(Method::Post, "https://crm.example/find/${caller}?q=${city}");
    request.headers = vec![("X-Call".into(), Template::new("${conversation}"))];
    request.body = Some(Template::new("{\"n\": \"${caller}\", \"p\": \"${province}\"}"));
    request.take = vec![("level".into(), "/customer/level".into())];
    vec![
        (
            "ask",
            Node::Http {
                request,
                next: "known".into(),
                failed: "sorry".into(),
            },
        ),
        ("known", play("level ${level}", "end")),
        ("sorry", play("status ${http.status}", "end")),
        ("end", hang_up()),
    ]
}

#[test]
fn the_tenants_server_is_asked_and_its_answer_used() {
    let lib = library(vec![("main", flow(http()))]);
    let (_, step) = Run::begin(lib, "main", call(), Stamp(0));
    let [Action::Send(out)] = &step.actions[..] else {
        panic!("{step:?}");
    };
    assert_eq!(out.url, "https://crm.example/find/%2B8613800138000?q=");
    assert_eq!(
        out.body.as_deref(),
        Some("{\"n\": \"+8613800138000\", \"p\": \"北京市\"}")
    );
    assert_eq!(out.headers[0].1, call().conversation.to_string());
    assert_eq!(step.deadline, Some(Stamp(5000)));
    assert!(!format!("{step:?}").contains("138"));

    let answer = |status, level: Option<&str>| {
        let values: BTreeMap<_, _> = level
            .map(|l| ("/customer/level".to_owned(), l.to_owned()))
            .into_iter()
            .collect();
        Given::Answers(Some(Answer { status, values }))
    };
    let said = |given| lines(&dry(http(), &[given])).get(2).cloned();
    assert_eq!(
        said(answer(200, Some("gold"))).as_deref(),
        Some("known: plays \"level gold\"")
    );
    assert_eq!(said(answer(200, None)).as_deref(), Some("known: plays \"level \""));
    assert_eq!(
        said(answer(404, Some("x"))).as_deref(),
        Some("sorry: plays \"status 404\"")
    );
    assert_eq!(said(Given::Answers(None)).as_deref(), Some("sorry: plays \"status \""));
    assert_eq!(said(Given::Silence).as_deref(), Some("sorry: plays \"status \""));
}

#[test]
fn calls_are_handed_over_and_come_back() {
    let nodes = |node| vec![("go", node), ("back", play("sorry", "end")), ("end", hang_up())];
    let party = |p: fn(Template) -> Party, t: &str| transfer(p(Template::new(t)), "back");
    let callback = Node::Callback {
        queue: Template::new("sales"),
        number: Template::new("${caller}"),
        next: "end".into(),
        failed: "back".into(),
    };
    let voicemail = Node::Voicemail {
        mailbox: Template::new("sales"),
        say: prompt("leave a message"),
        max_seconds: 60,
        next: "end".into(),
    };
    for (node, over) in [
        (queue("sales", "back"), "to queue sales with priority 0"),
        (party(Party::Agent, "${called}"), "to agent 95588"),
        (party(Party::Device, "desk"), "to device desk"),
        (party(Party::Number, "10086"), "to number 10086"),
        (callback, "call back to +8613800138000 from queue sales"),
        (voicemail, "a message for sales"),
    ] {
        let kind = node.kind();
        for outcome in [Outcome::Done, Outcome::Failed] {
            let t = dry(nodes(node.clone()), &[Given::Passes(60_000), Given::Back(outcome)]);
            assert_eq!(lines(&t)[1], format!("go: {over}"));
            let apology = lines(&t).iter().any(|l| l == "back: plays \"sorry\"");
            let fails = match kind {
                "callback" => outcome == Outcome::Failed,
                "voicemail" => false,
                _ => true,
            };
            assert_eq!((apology, t.end), (fails, NORMAL), "{kind} {outcome:?}");
        }
    }
    assert!(
        !format!(
            "{:?}",
            HandOver::Number {
                number: "10086".into(),
                ring_seconds: 1
            }
        )
        .contains("10086")
    );
}

#[test]
fn a_survey_scores() {
    let nodes = vec![
        (
            "rate",
            Node::Survey {
                name: "satisfaction".into(),
                say: prompt("rate us"),
                keys: vec![('1', "good".into(), 5), ('2', "bad".into(), -1)],
                tries: tries(2),
                next: "thanks".into(),
            },
        ),
        ("thanks", play("thank you for ${satisfaction}", "end")),
        ("end", hang_up()),
    ];
    let t = dry(nodes.clone(), &[keys("52")]);
    assert!(lines(&t).contains(&"rate: satisfaction scores -1".to_owned()));
    assert!(lines(&t).contains(&"thanks: plays \"thank you for -1\"".to_owned()));
    let t = dry(nodes, &[Given::Silence, Given::Silence]);
    assert!(lines(&t).iter().all(|l| !l.contains("scores")) && t.end == NORMAL);
}

#[test]
fn flows_call_one_another_and_return() {
    let call_flow = |f: &str, next: &str| Node::Call {
        flow: f.into(),
        next: next.into(),
    };
    let main = flow(vec![
        ("sub", call_flow("greet", "after")),
        ("after", play("after", "end")),
        ("end", Node::Return),
    ]);
    let greet = flow(vec![("hi", play("hi", "out")), ("out", Node::Return)]);
    let endless = flow(vec![("x", call_flow("endless", "y")), ("y", Node::Return)]);
    let lib = library(vec![("main", main), ("greet", greet), ("endless", endless)]);
    let t = walk(lib.clone(), "main", call(), Stamp(0), &[]);
    assert_eq!(
        lines(&t),
        [
            "hi: plays \"hi\"",
            "after: plays \"after\"",
            "end: the call ends: normal"
        ]
    );
    for (name, why) in [("endless", "more than 8"), ("unknown", "no flow \"unknown\"")] {
        let t = walk(lib.clone(), name, call(), Stamp(0), &[]);
        assert!(lines(&t).iter().any(|l| l.contains(why)), "{t:?}");
        assert_eq!(t.end, End::Over(Over::HungUp(Cause::SystemError)));
    }
}

#[test]
fn a_flow_that_fails_goes_once_where_it_says() {
    let mut f = flow(vec![
        (
            "a",
            Node::Set {
                values: vec![assign("x", "1", false)],
                next: "a".into(),
            },
        ),
        ("sorry", play("a fault", "a")),
    ]);
    f.on_fault = Some("sorry".into());
    let t = walk(library(vec![("main", f)]), "main", call(), Stamp(0), &[]);
    let faults = t.lines.iter().filter(|l| l.what.contains("turns in a circle")).count();
    let sorry = t.lines.iter().filter(|l| l.what == "plays \"a fault\"").count();
    assert_eq!((faults, sorry), (2, 1));
    assert_eq!(t.end, End::Over(Over::HungUp(Cause::SystemError)));
}

#[test]
fn a_call_does_not_stay_longer_than_the_flow_allows_but_for_time_elsewhere() {
    let mut f = flow(vec![
        (
            "m",
            menu(vec![choice('1', "again", "m"), choice('2', "queue", "q")], "m"),
        ),
        ("q", queue("q", "m")),
    ]);
    f.max_seconds = 60;
    let lib = library(vec![("main", f)]);
    let (mut run, mut step) = Run::begin(lib, "main", call(), Stamp(0));
    run.handle(Input::Key('2'), Stamp(1000));
    // An hour in a queue.
    step = {
        assert!(step.deadline.is_some());
        run.handle(Input::Back(Outcome::Failed), Stamp(3_601_000))
    };
    assert!(!run.is_over() && step.deadline.is_some_and(|d| d <= Stamp(3_660_000)));
    let step = run.handle(Input::Key('1'), Stamp(3_660_001));
    assert_eq!(step.facts.last(), Some(&Fact::Over(Over::HungUp(Cause::MaxDuration))));
    assert!(
        run.handle(Input::Key('1'), Stamp(3_660_002)).actions.is_empty(),
        "over is over"
    );
}

#[test]
fn a_sound_that_never_ends_and_an_answer_that_never_comes_are_given_up() {
    let mut f = flow(vec![
        ("p", play("long", "h")),
        ("h", http()[0].1.clone()),
        ("known", hang_up()),
        ("sorry", hang_up()),
    ]);
    f.max_seconds = 7200;
    let (mut run, step) = Run::begin(library(vec![("main", f)]), "main", call(), Stamp(0));
    let step = run.handle(Input::Time, step.deadline.unwrap());
    assert!(matches!(step.actions[..], [Action::Stop, Action::Send(_)]));
    let step = run.handle(Input::Time, step.deadline.unwrap());
    assert_eq!(step.actions, [Action::HangUp(Cause::Normal)]);
}

#[test]
fn numbers_are_read_out() {
    let nodes = vec![
        (
            "p",
            Node::Play {
                say: vec![
                    Say::Prompt("your balance".into()),
                    Say::Spoken(Kind::Money, Template::new("12.5")),
                    Say::Pause(200),
                ],
                skip: true,
                next: "end".into(),
            },
        ),
        ("end", hang_up()),
    ];
    let t = dry(nodes, &[]);
    assert_eq!(
        lines(&t)[0],
        "p: plays prompt your balance, money \"12.5\", 200 ms of silence"
    );
    assert!(!format!("{:?}", Said::Text("1234".into())).contains("1234"));
}
