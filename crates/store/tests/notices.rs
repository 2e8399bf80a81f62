//! Batches of notices, and what may be done only so often.

mod common;

use common::{TENANT, batches, config, conversation, open};
use strowger_core::call::{Callee, Item, NoticeBatch, NoticePlan, PartyPlan, Rules, Sound, Target};
use strowger_core::event::{Created, Kind, RecordMode};
use strowger_core::{ApplicationId, NoticeBatchId, Number, Stamp};
use strowger_store::{AppendError, Batch, ItemStart, NoticeBatchState, Store, Throttle};

const ID: NoticeBatchId = NoticeBatchId(9 << 16);

fn batch(numbers: u32) -> NoticeBatch {
    NoticeBatch {
        id: ID,
        head: Created {
            tenant: TENANT,
            application: ApplicationId(1),
            account: None,
            kind: Kind::Notice,
            ani: String::new(),
            dnis: String::new(),
            user_data: String::new(),
            max_duration: None,
            record: RecordMode::None,
            subscriptions: vec![],
        },
        plan: NoticePlan {
            party: PartyPlan {
                target: Target::Number(Number::from_canonical("")),
                text: String::new(),
                cli: None,
            },
            items: vec![Item {
                sound: Sound::Prompt("greet.wav".into()),
                millis: 1_000,
            }],
            rules: Rules::default(),
            finish_voice: None,
            ring_timeout: 60,
            max_secs: 600,
            answer: Default::default(),
        },
        callees: (0..numbers)
            .map(|n| Callee {
                number: Number::from_canonical(format!("+86139{n:08}")),
                text: format!("139{n:08}"),
                closed: false,
            })
            .collect(),
    }
}

/// The first facts of a conversation that begins an item.
fn begin(conversation_no: u64, item: u32, dialled: bool) -> Batch {
    let first = batches(TENANT, conversation(conversation_no)).remove(0);
    Batch {
        item: Some(ItemStart {
            batch: ID,
            item,
            dialled,
        }),
        ..first
    }
}

async fn stored(store: &Store, numbers: u32) {
    store.create_notice_batch(&batch(numbers), Stamp(1_000)).await.unwrap();
}

// accept: voice-paas 76
#[tokio::test]
async fn an_item_begins_once_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    {
        let store = open(dir.path()).await;
        stored(&store, 3).await;
        store.append(begin(1, 1, true)).await.unwrap();
        let again = store.append(begin(2, 1, true)).await;
        assert_eq!(again.unwrap_err(), AppendError::ItemBegun);
        assert!(store.load_events(TENANT, conversation(2)).await.unwrap().is_empty());
    }
    let store = Store::open(config(dir.path())).unwrap();
    let left = store.open_notice_batches().await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!((&left[0].batch, &left[0].begun), (&batch(3), &vec![1]));
    let again = store.append(begin(3, 1, true)).await;
    assert_eq!(again.unwrap_err(), AppendError::ItemBegun);
    store.append(begin(4, 0, true)).await.unwrap();
    store.append(begin(5, 2, true)).await.unwrap();
    let info = store.notice_batch(ID).await.unwrap().unwrap();
    assert_eq!((info.total, info.begun, info.running), (3, 3, 3));
    store.finish_notice_batch(ID).await.unwrap();
    assert!(store.open_notice_batches().await.unwrap().is_empty());
    let info = store.notice_batch(ID).await.unwrap().unwrap();
    assert_eq!((info.state, info.tenant), (NoticeBatchState::Done, TENANT));
    assert_eq!(
        store.append(begin(6, 0, true)).await.unwrap_err(),
        AppendError::BatchClosed
    );
}

#[tokio::test]
async fn a_cancelled_batch_accounts_for_its_items_and_calls_none() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    stored(&store, 2).await;
    assert!(store.cancel_notice_batch(ID).await.unwrap());
    assert!(!store.cancel_notice_batch(ID).await.unwrap(), "once");
    assert_eq!(
        store.append(begin(1, 0, true)).await.unwrap_err(),
        AppendError::BatchClosed
    );
    store.append(begin(1, 0, false)).await.unwrap();
    assert!(store.open_notice_batches().await.unwrap()[0].cancelled);
    store.finish_notice_batch(ID).await.unwrap();
    let found = store.notice_batches(Some(TENANT), 10).await.unwrap();
    assert_eq!(found[0].state, NoticeBatchState::Cancelled);
    let other = strowger_core::TenantId(999);
    assert!(store.notice_batches(Some(other), 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn batches_that_are_through_go_with_the_rest_in_time() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    stored(&store, 1).await;
    let later = Stamp(i64::MAX);
    assert_eq!(store.prune(later).await.unwrap().batches, 0, "it is not through");
    store.finish_notice_batch(ID).await.unwrap();
    assert_eq!(store.prune(Stamp(1_000)).await.unwrap().batches, 0);
    assert_eq!(store.prune(later).await.unwrap().batches, 1);
    assert!(store.notice_batch(ID).await.unwrap().is_none());
}

// accept: voice-paas 96
#[tokio::test]
async fn what_may_be_done_only_so_often_is_remembered_across_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let mut n = 0;
    let mut opening = |name: &str, at: i64| {
        n += 1;
        let first = batches(TENANT, conversation(n)).remove(0);
        Batch {
            throttle: Some(Throttle {
                name: name.to_owned(),
                at: Stamp(at),
                limits: vec![(60_000, 1), (3_600_000, 2)],
            }),
            ..first
        }
    };
    {
        let store = open(dir.path()).await;
        store.append(opening("a", 0)).await.unwrap();
        let refused = store.append(opening("a", 59_999)).await;
        assert_eq!(refused.unwrap_err(), AppendError::Throttled);
        store.append(opening("b", 0)).await.unwrap();
    }
    let store = Store::open(config(dir.path())).unwrap();
    let refused = store.append(opening("a", 59_999)).await;
    assert_eq!(refused.unwrap_err(), AppendError::Throttled);
    // What was refused does not count.
    store.append(opening("a", 60_000)).await.unwrap();
    let refused = store.append(opening("a", 120_001)).await;
    assert_eq!(refused.unwrap_err(), AppendError::Throttled, "two an hour");
    store.append(opening("a", 3_600_000)).await.unwrap();
    assert!(!format!("{:?}", opening("13900000002", 0)).contains("139"));
}
