//! Callers that are guided by a flow before they wait, and get back to it.

mod office;

use office::*;
use strowger_core::LegSeq;
use strowger_core::call::centre::Entry;
use strowger_core::call::{LegFact, PlayId, Sound};
use strowger_core::cause::Cause;
use strowger_core::centre::agent::State;
use strowger_core::event::Kind;
use strowger_core::id::ConversationId;
use strowger_core::ivr::flow::{self, Assign, Party, Say, Tries};
use strowger_core::ivr::{self, Flow, Library, Node, Template};

/// A flow: welcome, a menu, then the queue, an agent, or nothing.
fn flow_library() -> std::sync::Arc<Library> {
    let say = |name: &str| vec![Say::Prompt(name.to_owned())];
    let choice = |key, label: &str, next: &str| flow::Choice {
        key,
        label: label.to_owned(),
        next: next.to_owned(),
    };
    let text = |t: &str| Template::new(t);
    let nodes = [
        (
            "welcome",
            Node::Play {
                say: say("welcome"),
                skip: true,
                next: "menu".into(),
            },
        ),
        (
            "menu",
            Node::Menu {
                say: say("menu"),
                choices: vec![choice('1', "sales", "note"), choice('2', "agent", "agent")],
                tries: Tries::default(),
                failed: "bye".into(),
            },
        ),
        (
            "note",
            Node::Set {
                values: vec![Assign {
                    name: "wish".into(),
                    value: text("sales"),
                    attach: true,
                }],
                next: "queue".into(),
            },
        ),
        (
            "queue",
            Node::Queue {
                queue: text("sales"),
                priority: 0,
                failed: "bye".into(),
            },
        ),
        (
            "agent",
            Node::Transfer {
                to: Party::Agent(text("2")),
                ring_seconds: 30,
                failed: "menu".into(),
            },
        ),
        (
            "bye",
            Node::HangUp {
                say: say("bye"),
                cause: Cause::Normal,
            },
        ),
    ];
    let main = Flow {
        start: "welcome".into(),
        on_fault: None,
        language: strowger_core::spoken::Language::English,
        max_seconds: 600,
        nodes: nodes.into_iter().map(|(name, node)| (name.to_owned(), node)).collect(),
    };
    std::sync::Arc::new(Library {
        flows: [("main".to_owned(), std::sync::Arc::new(main))].into(),
        ..Library::default()
    })
}

fn guided(office: &mut Office) -> ConversationId {
    let id = office.id();
    let number = |t: &str| strowger_core::Number::parse(t, strowger_core::number::CHINA).unwrap();
    let entry = Entry::Flow {
        dialog: strowger_core::event::DialogRef::default(),
        library: flow_library(),
        flow: "main".into(),
        call: ivr::Call {
            conversation: id,
            caller: Some(number("13800138000")),
            called: number("02161230000"),
            region: None,
        },
    };
    office.open(id, Kind::Inbound, entry);
    id
}

/// What the flow lets a caller hear now.
fn sounds(office: &Office, id: ConversationId) -> Option<(PlayId, String)> {
    let layout = &office.calls[&id].layout;
    let play = layout.legs.iter().find(|l| l.leg == LegSeq(0))?.play.clone()?;
    match play.sound {
        Sound::Prompt(name) => Some((play.id, name)),
        _ => None,
    }
}

fn played(office: &mut Office, id: ConversationId, name: &str) {
    let (play, heard) = sounds(office, id).unwrap();
    assert_eq!(heard, name);
    office.input(id, strowger_core::call::Input::Played(play));
}

#[test]
fn a_guided_call() {
    let mut office = office_with(2);
    let id = guided(&mut office);
    assert_eq!(office.requests[0].2, Asked::Answer);
    played(&mut office, id, "welcome");
    played(&mut office, id, "menu");
    // A key that means nothing, then one that does.
    office.leg(id, 0, LegFact::Digit('9'));
    played(&mut office, id, "menu");
    office.leg(id, 0, LegFact::Digit('1'));
    let record = office.record(id);
    assert_eq!(record.path, [('1', "sales".to_owned())]);
    assert_eq!(record.attached, [("wish".to_owned(), "sales".to_owned())]);
    let leg = office.leg_of(id, 1);
    office.ring_and_answer(id, leg);
    assert_eq!(office.state(1), State::TalkIn);
    // Keys are the parties' own from here on.
    office.leg(id, 0, LegFact::Digit('2'));
    assert_eq!(office.hears(id, 0), vec![leg]);
    office.hang_up(id, 0);
    finish(&mut office, id);

    // To an agent who does not answer: back to the menu, and out of it.
    let id = guided(&mut office);
    office.pass(60);
    office.leg(id, 0, LegFact::Digit('2'));
    let leg = office.leg_of(id, 2);
    office.ring(id, leg);
    office.pass(30);
    assert_eq!(office.state(2), State::Ready);
    assert_eq!(sounds(&office, id).unwrap().1, "menu");
    office.hang_up(id, 0);
    assert_eq!(office.record(id).end.unwrap().0, Cause::AbandonedIvr);
    finish(&mut office, id);

    // Nobody does anything: the flow ends the call by itself.
    let id = guided(&mut office);
    for _ in 0..12 {
        if let Some((play, _)) = office.calls.contains_key(&id).then(|| sounds(&office, id)).flatten() {
            office.input(id, strowger_core::call::Input::Played(play));
        }
        office.pass(10);
    }
    assert!(office.is_over(id));
    assert_eq!(office.record(id).end.unwrap().0, Cause::Normal);
    finish(&mut office, id);
}

/// A queue that gives the call up gives it back to the flow.
#[test]
fn a_flow_gets_its_call_back_from_the_queue() {
    let mut office = Office::new(
        settings(),
        vec![agent(1, &[(SALES, 5)])],
        vec![strowger_core::centre::resource::Queue {
            max_wait_secs: 30,
            ..queue(Q_SALES, SALES)
        }],
    );
    let id = guided(&mut office);
    office.leg(id, 0, LegFact::Digit('1'));
    office.leg(id, 0, LegFact::Digit('1'));
    assert_eq!(office.acd.boards().next().unwrap().waiting, 1);
    office.pass(31);
    played(&mut office, id, "bye");
    office.pass(3);
    assert!(office.is_over(id));
    finish(&mut office, id);
}
