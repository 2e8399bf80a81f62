//! Chats are read back as they were written, and nobody else's are seen.

mod common;

use common::{OTHER, TENANT, conversation, open};
use strowger_core::chat::{Chat, CloseBy, End, Entry, Fact, Message, Missed, Opening, Release, Side, State, What};
use strowger_core::{AgentId, ApplicationId, QueueId, Stamp};

fn facts(n: u64, over: bool) -> Vec<Fact> {
    let agent = AgentId(4);
    let mut all = vec![
        What::Opened(Opening {
            application: ApplicationId(70),
            customer: "c-1".into(),
            name: "王".into(),
            data: "{}".into(),
            priority: 2,
        }),
        What::Queued {
            queue: QueueId(9),
            front: true,
            why: Entry::SignedOut,
        },
        What::Said(Message {
            from: Side::Customer,
            text: "你好\n".into(),
            key: "k".into(),
        }),
        What::Offered {
            agent: AgentId(5),
            until: Stamp(9),
            direct: true,
        },
        What::Unoffered {
            agent: AgentId(5),
            why: Missed::Refused,
        },
        What::Offered {
            agent,
            until: Stamp(9),
            direct: false,
        },
        What::Accepted(agent),
        What::Suspended,
        What::Resumed,
        What::Said(Message {
            from: Side::Agent(agent),
            text: "good day".into(),
            key: String::new(),
        }),
    ];
    if over {
        let why = Release::Ended;
        all.push(What::Released { agent, why });
        let (by, why) = (CloseBy::Client, End::Wish);
        all.push(What::Ended { by, why });
    }
    let numbered = all.into_iter().enumerate();
    let fact = |(i, what): (usize, What)| Fact {
        chat: conversation(n),
        seq: i as u64 + 1,
        at: Stamp(1_700_000_000_000 + i as i64),
        what,
    };
    numbered.map(fact).collect()
}

#[tokio::test]
async fn chats_are_what_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    for (n, over) in [(1, true), (2, false)] {
        store.write_chats(TENANT, &facts(n, over)).await.unwrap();
    }
    drop(store);
    let store = open(folder.path()).await;
    let open = store.open_chats(TENANT).await.unwrap();
    assert_eq!(open, [Chat::folded(&facts(2, false)).unwrap()]);
    assert_eq!(open[0].state(), State::Active);
    let one = conversation(1);
    assert_eq!(store.chat_facts(TENANT, one, 0, 100).await.unwrap(), facts(1, true));
    let page = store.chat_facts(TENANT, one, 2, 3).await.unwrap();
    assert_eq!(page, facts(1, true)[2..5]);
    let all = store.chats(TENANT, None, 10).await.unwrap();
    assert_eq!(all.iter().map(|c| c.id).collect::<Vec<_>>(), [conversation(2), one]);
    assert_eq!(store.chats(TENANT, Some(conversation(2)), 10).await.unwrap().len(), 1);
    // The same rows again change nothing, and another tenant sees nothing.
    store.write_chats(TENANT, &facts(1, true)).await.unwrap();
    assert_eq!(store.chats(TENANT, None, 10).await.unwrap(), all);
    assert_eq!(store.chat(OTHER, one).await.unwrap(), None);
    assert!(store.chats(OTHER, None, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn chats_that_are_over_are_taken_away_and_those_that_go_on_stay() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    store.write_chats(TENANT, &facts(1, true)).await.unwrap();
    store.write_chats(TENANT, &facts(2, false)).await.unwrap();
    let last = facts(1, true).last().unwrap().at;
    assert_eq!(store.prune(last).await.unwrap().chats, 0, "its last fact is not older");
    assert_eq!(store.prune(Stamp(last.0 + 1)).await.unwrap().chats, 1);
    assert!(store.chat(TENANT, conversation(1)).await.unwrap().is_none());
    let other = store.chat(TENANT, conversation(2)).await.unwrap().unwrap();
    assert_eq!(Some(other), Chat::folded(&facts(2, false)));
}
