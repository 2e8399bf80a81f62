use super::*;

const CHAT: ConversationId = ConversationId(1 << 16);
const ANN: AgentId = AgentId(1);

fn facts(whats: Vec<What>) -> Vec<Fact> {
    let numbered = whats.into_iter().enumerate();
    let fact = |(n, what): (usize, What)| Fact {
        chat: CHAT,
        seq: n as u64 + 1,
        at: Stamp(1_000 * n as i64),
        what,
    };
    numbered.map(fact).collect()
}

fn opened() -> What {
    What::Opened(Opening {
        application: ApplicationId(1),
        customer: "c-1".into(),
        name: "Wang".into(),
        data: String::new(),
        priority: 0,
    })
}

fn said(from: Side, key: &str) -> What {
    What::Said(Message {
        from,
        text: "hello".into(),
        key: key.into(),
    })
}

#[test]
fn a_chat_is_what_its_facts_say() {
    let all = facts(vec![
        opened(),
        What::Queued {
            queue: QueueId(1),
            front: false,
            why: Entry::New,
        },
        said(Side::Customer, "m1"),
        What::Offered {
            agent: ANN,
            until: Stamp(33_000),
            direct: false,
        },
        What::Accepted(ANN),
        said(Side::Agent(ANN), ""),
        What::Suspended,
        said(Side::Customer, ""),
        What::Resumed,
        What::Released {
            agent: ANN,
            why: Release::Ended,
        },
        What::Ended {
            by: CloseBy::Seat,
            why: End::Wish,
        },
    ]);
    let states: Vec<&str> = (1..=all.len())
        .map(|n| Chat::folded(&all[..n]).unwrap().state().name())
        .collect();
    assert_eq!(
        states,
        [
            "queued",
            "queued",
            "queued",
            "offered",
            "active",
            "active",
            "suspended",
            "suspended",
            "active",
            "queued",
            "ended"
        ]
    );
    let chat = Chat::folded(&all).unwrap();
    assert_eq!((chat.from_customer, chat.from_agents, chat.messages()), (2, 1, 3));
    assert_eq!(chat.said(Side::Customer, "m1"), Some(3));
    assert_eq!(chat.said(Side::Agent(ANN), "m1"), None);
    assert_eq!(chat.said(Side::Customer, ""), None);
    let part = chat.parts[0];
    assert_eq!(
        (part.accepted_at, part.left_at, part.released),
        (Some(Stamp(4_000)), Some(Stamp(9_000)), Some(Release::Ended))
    );
}

#[test]
fn facts_with_a_gap_are_no_chat() {
    let mut all = facts(vec![opened(), said(Side::Customer, ""), said(Side::Customer, "")]);
    assert!(Chat::folded(&all).is_some());
    assert!(Chat::folded(&all[1..]).is_none());
    all.remove(1);
    assert!(Chat::folded(&all).is_none());
    assert!(Chat::folded(&[]).is_none());
}

#[test]
fn texts_are_bounded() {
    assert!(is_text("Guten Tag\n你好\t!"));
    for bad in ["", "\u{7}", &"字".repeat(MAX_TEXT + 1)] {
        assert!(!is_text(bad));
    }
    assert!(is_text(&"字".repeat(MAX_TEXT)));
    assert!(is_name("") && is_name("Wang") && !is_name("a\nb") && !is_name(&"x".repeat(65)));
}

#[test]
fn words_are_read_back() {
    for e in Entry::ALL {
        assert_eq!(Entry::of_name(e.name()), Some(*e));
    }
    for e in End::ALL {
        assert_eq!(End::of_name(e.name()), Some(*e));
    }
    for c in CloseBy::ALL {
        assert_eq!(CloseBy::of_name(c.name()), Some(*c));
    }
}
