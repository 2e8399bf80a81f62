//! The journal: order, atomicity, conflicts, recovery, a full disk.

mod common;

use common::*;
use std::time::Duration;
use strowger_core::{ConversationRecord, Fact, LegSeq, Stamp};
use strowger_store::{AppendError, Batch, Deadline, Store, StoreError};

#[tokio::test]
async fn a_call_comes_back_as_it_was_appended() {
    let dir = tempfile::tempdir().unwrap();
    let id = conversation(1);
    let all = batches(TENANT, id);
    let events: Vec<_> = all.iter().flat_map(|b| b.appends[0].events.clone()).collect();
    let store = open(dir.path()).await;
    let mut position = 0;
    for batch in all {
        let done = store.append(batch).await.unwrap();
        assert!(done.position > position, "the global position rises");
        position = done.position;
    }
    drop(store);
    let store = Store::open(config(dir.path())).unwrap();
    assert_eq!(store.load_events(TENANT, id).await.unwrap(), events);
    let record = store.load_record(TENANT, id).await.unwrap().unwrap();
    assert_eq!(record, ConversationRecord::fold(&events).unwrap().unwrap());
    assert_eq!(
        store.record_row(TENANT, id).await.unwrap(),
        Some(common::record(TENANT, id))
    );
    let next = store.append(batches(TENANT, conversation(2)).remove(0)).await.unwrap();
    assert!(next.position > position, "also after a restart");
}

// accept: domain-model I20
#[tokio::test]
async fn another_tenants_conversation_is_not_found() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let id = conversation(1);
    for batch in batches(TENANT, id) {
        store.append(batch).await.unwrap();
    }
    assert_eq!(store.load_record(OTHER, id).await.unwrap(), None);
    assert_eq!(store.record_row(OTHER, id).await.unwrap(), None);
    assert_eq!(store.query_records(OTHER, Default::default()).await.unwrap().total, 0);
    assert_eq!(store.load_record(strowger_core::TenantId(999), id).await.unwrap(), None);
    let stranger = append(strowger_core::TenantId(999), conversation(2), 0, vec![created(TENANT)]);
    let refused = store.append(Batch::one(stranger)).await;
    assert!(matches!(refused, Err(AppendError::UnknownTenant(_))));
}

#[tokio::test]
async fn a_conflict_in_a_group_fails_alone() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let mut waiting = Vec::new();
    for n in 0..50 {
        let batch = batches(TENANT, conversation(n)).remove(0);
        waiting.push((n, true, store.append(batch.clone())));
        // The same batch again does not follow the log any more; every write of it must be left out.
        let mut again = batch;
        again.deliveries.push(delivery(conversation(n), 0, 1, "http://h/"));
        waiting.push((n, false, store.append(again)));
    }
    for (n, good, answer) in waiting {
        match answer.await {
            Ok(_) => assert!(good, "{n}"),
            Err(AppendError::Conflict {
                expected: 0, actual: 3, ..
            }) => assert!(!good, "{n}"),
            Err(other) => panic!("{n}: {other}"),
        }
    }
    for n in 0..50 {
        assert_eq!(store.load_events(TENANT, conversation(n)).await.unwrap().len(), 3);
    }
    assert_eq!(store.outbox_counts().await.unwrap().ready, 0);
}

#[tokio::test]
async fn a_batch_over_several_conversations_is_atomic() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let (a, b) = (conversation(1), conversation(2));
    store
        .append(Batch::one(append(TENANT, a, 0, vec![created(TENANT)])))
        .await
        .unwrap();
    let both = |expected| Batch {
        appends: vec![
            append(TENANT, b, 0, vec![created(TENANT)]),
            append(TENANT, a, expected, vec![Fact::RecordDue]),
        ],
        ..Batch::default()
    };
    assert!(matches!(store.append(both(5)).await, Err(AppendError::Conflict { .. })));
    assert!(store.load_events(TENANT, b).await.unwrap().is_empty());
    store.append(both(1)).await.unwrap();
    assert_eq!(store.load_events(TENANT, a).await.unwrap().len(), 2);
    assert_eq!(store.load_events(TENANT, b).await.unwrap().len(), 1);
}

#[tokio::test]
async fn malformed_batches_are_refused_before_the_queue() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let mut gap = append(TENANT, conversation(1), 0, vec![created(TENANT), Fact::RecordDue]);
    gap.events[1].seq = 3;
    assert!(matches!(
        store.append(Batch::one(gap)).await,
        Err(AppendError::Malformed(_))
    ));
    let one = append(TENANT, conversation(1), 0, vec![created(TENANT)]);
    let twice = Batch {
        appends: vec![one.clone(), one],
        ..Batch::default()
    };
    assert!(matches!(store.append(twice).await, Err(AppendError::Malformed(_))));
    assert_eq!(store.stats().waiting, 0, "the places were given back");
}

#[tokio::test]
async fn facts_that_nobody_waits_for_keep_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let id = conversation(1);
    store
        .append(Batch::one(append(TENANT, id, 0, vec![created(TENANT)])))
        .await
        .unwrap();
    for n in 1..200 {
        store
            .append_nowait(Batch::one(append(
                TENANT,
                id,
                n,
                vec![Fact::Digit {
                    leg: LegSeq(0),
                    digit: '5',
                }],
            )))
            .unwrap();
    }
    store
        .append(Batch::one(append(TENANT, id, 200, vec![Fact::RecordDue])))
        .await
        .unwrap();
    let events = store.load_events(TENANT, id).await.unwrap();
    assert_eq!(
        events.iter().map(|e| e.seq).collect::<Vec<_>>(),
        (1..=201).collect::<Vec<_>>()
    );
    assert_eq!(store.stats().lost, 0);
}

// accept: domain-model I19
#[tokio::test]
async fn open_conversations_deadlines_and_the_alive_stamp_survive() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    for n in 0..3 {
        let mut batch = batches(TENANT, conversation(n)).remove(0);
        batch.appends[0].deadline = if n == 1 {
            Deadline::Set(Stamp(77))
        } else {
            Deadline::Keep
        };
        store.append(batch).await.unwrap();
    }
    for batch in batches(OTHER, conversation(9)) {
        store.append(batch).await.unwrap();
    }
    store.stamp_alive(Stamp(1)).await.unwrap();
    store.stamp_alive(Stamp(5)).await.unwrap();
    drop(store);

    let store = Store::open(config(dir.path())).unwrap();
    assert_eq!(store.last_alive().await.unwrap(), Some(Stamp(5)));
    let mut found = Vec::new();
    let mut stream = store.open_conversations();
    while let Some(c) = stream.recv().await {
        let c = c.unwrap();
        assert_eq!((c.tenant, c.events.len()), (TENANT, 3));
        found.push((c.id, c.deadline));
    }
    let expected = [
        (conversation(0), None),
        (conversation(1), Some(Stamp(77))),
        (conversation(2), None),
    ];
    assert_eq!(found, expected);
    assert_eq!(store.deadlines().await.unwrap(), [(TENANT, conversation(1), Stamp(77))]);

    // Moved, cleared, and gone with the end.
    let change = |n, deadline, open| {
        let mut a = append(TENANT, conversation(n), 3, vec![]);
        (a.deadline, a.open) = (deadline, open);
        Batch::one(a)
    };
    store.append(change(0, Deadline::Set(Stamp(88)), true)).await.unwrap();
    store.append(change(1, Deadline::Clear, true)).await.unwrap();
    assert_eq!(store.deadlines().await.unwrap(), [(TENANT, conversation(0), Stamp(88))]);
    store.append(change(0, Deadline::Keep, false)).await.unwrap();
    assert_eq!(store.deadlines().await.unwrap(), []);
    // A late fact of a closed conversation.
    let mut late = append(TENANT, conversation(0), 3, vec![Fact::RecordDue]);
    late.open = false;
    store.append(Batch::one(late)).await.unwrap();
    assert_eq!(store.load_events(TENANT, conversation(0)).await.unwrap().len(), 4);
}

#[tokio::test]
async fn a_full_disk_is_reported_and_survived() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = config(dir.path());
    settings.max_pages = Some(90);
    let store = open_with(settings).await;
    let mut written = 0;
    let error = loop {
        match store.append(batches(TENANT, conversation(written)).remove(0)).await {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
        assert!(written < 10_000, "the limit has no effect");
    };
    assert_eq!(error, AppendError::DiskFull);
    assert!(error.may_retry());
    // Reads go on, and nothing that was acknowledged is gone.
    for n in 0..written {
        assert_eq!(store.load_events(TENANT, conversation(n)).await.unwrap().len(), 3);
    }
    assert!(
        store
            .load_events(TENANT, conversation(written))
            .await
            .unwrap()
            .is_empty()
    );
    // Space comes back: the same batch is accepted without a restart.
    for n in 0..written {
        let mut close = append(TENANT, conversation(n), 3, vec![]);
        close.open = false;
        // The closing of some may not fit either; as many as do are enough.
        let _ = store.append(Batch::one(close)).await;
    }
    let pruned = store.prune(Stamp(i64::MAX)).await.unwrap();
    assert!(pruned.appends > 0);
    store
        .append(batches(TENANT, conversation(written)).remove(0))
        .await
        .unwrap();
}

#[tokio::test]
async fn new_calls_are_refused_while_space_is_short() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = config(dir.path());
    settings.min_free = u64::MAX;
    let store = open_with(settings).await;
    let refused = store.append(batches(TENANT, conversation(1)).remove(0)).await;
    assert_eq!(refused, Err(AppendError::DiskFull));
    assert!(store.stats().disk_full);
}

#[tokio::test(flavor = "current_thread")]
async fn a_full_queue_refuses_new_calls_first() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = config(dir.path());
    settings.queue = 16;
    settings.group_window = Duration::ZERO;
    let store = open_with(settings).await;
    let id = conversation(1);
    store
        .append(Batch::one(append(TENANT, id, 0, vec![created(TENANT)])))
        .await
        .unwrap();
    // Somebody else holds the database, so the writer cannot go on until it is let go.
    let other = rusqlite::Connection::open(dir.path().join("strowger.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut queued = 0;
    let mut opening = None;
    for n in 1..1000 {
        let fact = Batch::one(append(
            TENANT,
            id,
            n,
            vec![Fact::Digit {
                leg: LegSeq(0),
                digit: '1',
            }],
        ));
        match store.append_nowait(fact) {
            Ok(()) => {
                queued += 1;
                if store.stats().waiting >= 12 {
                    let early = store.append(batches(TENANT, conversation(3)).remove(0)).await;
                    assert_eq!(early, Err(AppendError::Overloaded), "from three quarters on");
                }
            }
            Err(rejected) => {
                assert_eq!(rejected.error, AppendError::Overloaded);
                opening = Some(store.append(batches(TENANT, conversation(2)).remove(0)).await);
                // A running conversation waits for a place instead.
                let waiting = store.append(rejected.batch);
                other.execute_batch("COMMIT").unwrap();
                waiting.await.unwrap();
                queued += 1;
                break;
            }
        }
    }
    assert_eq!(opening, Some(Err(AppendError::Overloaded)));
    assert_eq!(store.load_events(TENANT, id).await.unwrap().len(), queued + 1);
}

#[tokio::test]
async fn retention_takes_closed_conversations_only() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    for batch in batches(TENANT, conversation(1)) {
        store.append(batch).await.unwrap();
    }
    store.append(batches(TENANT, conversation(2)).remove(0)).await.unwrap();
    assert_eq!(
        store.prune(Stamp(1_700_000_000_050)).await.unwrap().appends,
        0,
        "its last event is younger"
    );
    assert_eq!(store.prune(Stamp(i64::MAX)).await.unwrap().appends, 5);
    assert_eq!(store.load_record(TENANT, conversation(1)).await.unwrap(), None);
    assert!(store.record_row(TENANT, conversation(1)).await.unwrap().is_some());
    assert_eq!(store.load_events(TENANT, conversation(2)).await.unwrap().len(), 3);
}

#[tokio::test]
async fn one_process_at_a_time_and_one_key() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    assert_eq!(Store::open(config(dir.path())).unwrap_err().code(), "store.locked");
    drop(store);
    let mut wrong = config(dir.path());
    wrong.master_key = strowger_store::MasterKey::new([1; 32]);
    assert_eq!(Store::open(wrong).unwrap_err().code(), "store.wrong-master-key");
    let store = Store::open(config(dir.path())).unwrap();
    let missing = store
        .query_records(strowger_core::TenantId(99), Default::default())
        .await;
    assert_eq!(missing, Err(StoreError::NotFound("tenant")));
}

#[test]
fn debug_prints_hold_no_numbers() {
    let batch = batches(TENANT, conversation(1)).remove(0);
    let text = format!("{batch:?} {:?}", common::record(TENANT, conversation(1)));
    assert!(text.contains("leg.created") && !text.contains("13800138000") && !text.contains("01012345678"));
}

#[tokio::test]
async fn a_batch_that_fails_half_way_leaves_no_trace() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = config(dir.path());
    settings.max_pages = Some(90);
    let store = open_with(settings).await;
    let before = store.append(batches(TENANT, conversation(1)).remove(0)).await.unwrap();
    let good = batches(TENANT, conversation(2)).remove(0);
    let mut bad = good.clone();
    // The events fit, the body behind them does not.
    bad.deliveries.push(delivery(conversation(2), 0, 3, "http://h/"));
    bad.deliveries[0].body = vec![0; 1 << 20];
    let (failed, other) = tokio::join!(
        store.append(bad),
        store.append(batches(TENANT, conversation(3)).remove(0))
    );
    assert_eq!(failed, Err(AppendError::DiskFull));
    assert_eq!(other.unwrap().position, before.position + 1);
    assert_eq!(store.append(good).await.unwrap().position, before.position + 2);
}
