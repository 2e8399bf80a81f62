use super::*;
use crate::ivr::check::{Finding, Level, Thing, check, check_calls, may_publish};
use crate::route::Condition;
use std::collections::BTreeMap;

fn known(thing: Thing, name: &str) -> Option<bool> {
    Some(match thing {
        Thing::Prompt => name == "menu",
        Thing::Queue | Thing::Mailbox => name == "sales",
        Thing::Agent | Thing::Device => name == "desk",
        Thing::Calendar => name == "office",
        Thing::List => name == "vip",
        Thing::Flow => return None,
    })
}

fn findings(f: &Flow) -> Vec<Finding> {
    check(f, &known)
}

/// The codes found in a flow of this node, named `x`, an end and a menu.
fn codes(node: Node) -> Vec<&'static str> {
    let f = flow(vec![("x", node), ("end", hang_up())]);
    let found = findings(&f);
    for finding in &found {
        assert!(!finding.why.is_empty() && !finding.fix.is_empty());
    }
    let of_node = found.iter().filter(|f| f.node.as_deref() == Some("x"));
    let mut codes: Vec<_> = of_node.map(|f| f.code).collect();
    codes.dedup();
    codes
}

#[test]
fn a_good_flow_has_no_findings() {
    let f = flow(vec![
        ("hello", play("hello ${caller}", "menu")),
        (
            "menu",
            menu(vec![choice('1', "sales", "q"), choice('2', "again", "menu")], "end"),
        ),
        ("q", queue("sales", "menu")),
        ("end", hang_up()),
    ]);
    assert_eq!(findings(&f), []);
}

#[test]
fn every_fault_of_a_node_is_found() {
    let to_end = || "end".to_owned();
    let collect = |min, max, finish| Node::Collect {
        say: prompt("menu"),
        into: "v".into(),
        min,
        max,
        finish,
        between_ms: 1000,
        secret: false,
        tries: Tries::default(),
        next: to_end(),
        failed: to_end(),
    };
    let speech = |values: Vec<(&str, Vec<&str>)>| Node::Speech {
        say: prompt("menu"),
        hearing: Hearing::Grammar(
            values
                .into_iter()
                .map(|(v, p)| (v.to_owned(), p.into_iter().map(str::to_owned).collect()))
                .collect(),
        ),
        into: "v".into(),
        max_ms: 5000,
        tries: Tries::default(),
        next: to_end(),
        failed: to_end(),
    };
    let branch = |c| Node::Branch {
        cases: vec![(c, to_end())],
        otherwise: to_end(),
    };
    let http = |change: &dyn Fn(&mut Request)| {
        let mut r = request(Method::Get, "https://a.example/");
        change(&mut r);
        Node::Http {
            request: r,
            next: to_end(),
            failed: to_end(),
        }
    };
    let set = |name: &str, value: &str| Node::Set {
        values: vec![assign(name, value, false)],
        next: to_end(),
    };
    let survey = |keys| Node::Survey {
        name: "s".into(),
        say: prompt("menu"),
        keys,
        tries: Tries::default(),
        next: to_end(),
    };
    let voicemail = |mailbox: &str, max_seconds| Node::Voicemail {
        mailbox: Template::new(mailbox),
        say: vec![],
        max_seconds,
        next: to_end(),
    };
    let callback = |number: &str| Node::Callback {
        queue: Template::new("sales"),
        number: Template::new(number),
        next: to_end(),
        failed: to_end(),
    };
    let deep = (0..20).fold(Condition::Always, |c, _| Condition::Not(Box::new(c)));
    let say = |say| Node::Play {
        say,
        skip: false,
        next: to_end(),
    };
    let url = |u: &str| {
        let u = u.to_owned();
        http(&move |r: &mut Request| r.url = Template::new(u.clone()))
    };
    let cases: Vec<(Node, &[&str])> = vec![
        (play("x", "nowhere"), &["node.target", "node.trap"]),
        (play("x", "x"), &["flow.circle", "node.trap"]),
        (say(vec![]), &["say.missing"]),
        (say(prompt("gone")), &["reference.unknown"]),
        (say(text("")), &["say.empty"]),
        (say(text("costs $5")), &["template"]),
        (say(text("${who}")), &["value.unknown"]),
        (say(vec![Say::Pause(60_000)]), &["node.range"]),
        (say(vec![Say::Pause(1); 33]), &["node.range"]),
        (menu(vec![], "end"), &["key.missing"]),
        (
            menu(vec![choice('1', "a", "end"), choice('1', "b", "end")], "end"),
            &["key.twice"],
        ),
        (menu(vec![choice('A', "a", "end")], "end"), &["key.unknown"]),
        (menu(vec![choice('1', &"a".repeat(65), "end")], "end"), &["key.label"]),
        (
            Node::Menu {
                say: vec![],
                choices: vec![choice('1', "a", "end")],
                tries: Tries {
                    count: 0,
                    wait_ms: 1,
                    ..Tries::default()
                },
                failed: to_end(),
            },
            &["node.range", "say.missing"],
        ),
        (collect(3, 2, None), &["node.range"]),
        (collect(1, 65, None), &["node.range"]),
        (collect(1, 2, Some('x')), &["key.unknown"]),
        (speech(vec![("a", vec!["yes"]), ("b", vec!["YES!"])]), &["phrase.twice"]),
        (speech(vec![("a", vec!["?"])]), &["phrase.empty"]),
        (speech(vec![]), &["node.range"]),
        (branch(deep), &["condition.size"]),
        (branch(Condition::Open("x".into())), &["reference.unknown"]),
        (branch(Condition::CallerListed("x".into())), &["reference.unknown"]),
        (branch(Condition::Share(101)), &["node.range"]),
        (set("a b", "1"), &["value.name"]),
        (set("caller", "1"), &["value.name"]),
        (http(&|r| r.timeout_ms = 60_000), &["node.range"]),
        (http(&|r| r.body = Some(Template::new("{}"))), &["http.body"]),
        (
            http(&|r| r.headers = vec![("Host".into(), Template::new("x"))]),
            &["http.header"],
        ),
        (
            http(&|r| r.headers = vec![("a b".into(), Template::new("x"))]),
            &["http.header"],
        ),
        (http(&|r| r.take = vec![("v".into(), "a".into())]), &["http.take"]),
        (url("ftp://a.example/"), &["http.url"]),
        (url("https://${caller}/"), &["http.url"]),
        (url("https://a.${caller}.example/"), &["http.url"]),
        (url("https://a.example:x/"), &["http.url"]),
        (url("https://user@a.example/"), &["http.url"]),
        (url("https://a.example"), &["http.url"]),
        (queue("support", "end"), &["reference.unknown"]),
        (queue("", "end"), &["reference.missing"]),
        (
            transfer(Party::Agent(Template::new("nobody")), "end"),
            &["reference.unknown"],
        ),
        (
            transfer(Party::Device(Template::new("")), "end"),
            &["reference.missing"],
        ),
        (
            transfer(Party::Number(Template::new("")), "end"),
            &["reference.missing"],
        ),
        (callback(""), &["reference.missing"]),
        (voicemail("nobody", 60), &["reference.unknown"]),
        (voicemail("sales", 1), &["node.range"]),
        (survey(vec![]), &["key.missing"]),
        (survey(vec![('1', "a".into(), 1), ('1', "b".into(), 2)]), &["key.twice"]),
    ];
    for (node, expected) in cases {
        let shown = format!("{node:?}");
        assert_eq!(codes(node), expected, "{shown}");
    }
    // What is right.
    for node in [
        collect(1, 64, Some('#')),
        speech(vec![("a", vec!["yes"]), ("b", vec!["no"])]),
        url("http://[::1]:8080/x?${caller}"),
        transfer(Party::Agent(Template::new("${caller}")), "end"),
        callback("${caller}"),
        voicemail("sales", 60),
        branch(Condition::Open("office".into())),
    ] {
        let shown = format!("{node:?}");
        assert_eq!(codes(node), Vec::<&str>::new(), "{shown}");
    }
}

#[test]
fn faults_of_the_whole_flow_are_found() {
    let of = |f: &Flow| {
        let mut all: Vec<_> = findings(f).into_iter().map(|f| (f.code, f.node)).collect();
        all.dedup();
        all
    };
    assert_eq!(of(&flow(vec![])), [("flow.empty", None)]);
    let mut f = flow(vec![("a", hang_up()), ("b", hang_up())]);
    assert_eq!(of(&f), [("node.unreachable", Some("b".into()))]);
    assert!(may_publish(&findings(&f)), "a warning does not stop it");
    f.on_fault = Some("b".into());
    assert_eq!(of(&f), []);
    f.start = "c".into();
    f.max_seconds = 1;
    assert_eq!(of(&f)[..2], [("flow.start", None), ("node.range", None)]);
    assert!(!may_publish(&findings(&f)));
    f.nodes.insert("a b".into(), hang_up());
    assert!(of(&f).contains(&("node.name", Some("a b".into()))));
    let many = flow((0..600).map(|_| ("a", hang_up())).collect());
    let mut many = many;
    for n in 0..600 {
        many.nodes.insert(format!("n{n}"), play("", "nowhere"));
    }
    let found = findings(&many);
    assert!(found.len() <= 200 && found.iter().any(|f| f.code == "flow.size"));
}

#[test]
fn circles_are_found_unless_the_caller_acts_in_them() {
    let circle = |f: &Flow| findings(f).into_iter().find(|f| f.code == "flow.circle");
    let b = menu(vec![choice('1', "a", "a")], "end");
    let good = flow(vec![("a", play("a", "b")), ("b", b), ("end", hang_up())]);
    assert_eq!(circle(&good), None);
    let b = menu(vec![choice('1', "a", "end")], "a");
    let silent = flow(vec![("a", play("a", "b")), ("b", b), ("end", hang_up())]);
    let found = circle(&silent).unwrap();
    assert_eq!(found.level, Level::Error);
    assert!(found.why.contains("a → b → a"), "{}", found.why);
}

#[test]
fn flows_that_call_themselves_are_found() {
    let calls = |to: &str| {
        flow(vec![
            (
                "c",
                Node::Call {
                    flow: to.into(),
                    next: "r".into(),
                },
            ),
            ("r", Node::Return),
        ])
    };
    let all = |flows: Vec<(String, Flow)>| {
        let flows: BTreeMap<_, _> = flows.into_iter().collect();
        let found = check_calls(&flows).into_iter();
        found.map(|(flow, f)| (flow, f.code)).collect::<Vec<_>>()
    };
    let name = |n: usize| format!("f{n:02}");
    let round = all(vec![
        (name(0), calls("f01")),
        (name(1), calls("f00")),
        (name(2), calls("f00")),
    ]);
    let (again, deep) = ("flow.recursion", "flow.depth");
    assert_eq!(round, [(name(0), again), (name(1), again), (name(2), deep)]);
    let chain = |n: usize| (0..n).map(|i| (name(i), calls(&name(i + 1)))).collect::<Vec<_>>();
    assert_eq!(all(chain(7)), []);
    assert_eq!(all(chain(9)), [(name(0), "flow.depth"), (name(1), "flow.depth")]);
}
