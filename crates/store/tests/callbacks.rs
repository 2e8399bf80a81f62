//! Requests to be called back are read back as they were written, and nobody else's are seen.

mod common;

use common::{OTHER, TENANT, conversation, open};
use strowger_core::centre::acd::{Callback, CallbackState};
use strowger_core::{CallbackId, Number, QueueId, Stamp};

fn request(n: u128, state: CallbackState) -> Callback {
    Callback {
        id: CallbackId(n),
        queue: QueueId(9),
        first: conversation(1),
        number: Number::from_canonical("+8613800138000"),
        asked_at: Stamp(5),
        since: Stamp(3),
        priority: 4,
        front: n == 2,
        attempts: 1,
        last: (n == 3).then(|| conversation(2)),
        state,
        at: Stamp(7),
    }
}

#[tokio::test]
async fn requests_are_what_was_written_last() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let states = [
        CallbackState::Waiting,
        CallbackState::Calling,
        CallbackState::Later(Stamp(900_007)),
        CallbackState::Done,
        CallbackState::Unreached,
        CallbackState::Cancelled,
        CallbackState::Closed,
    ];
    let all: Vec<Callback> = (1..).zip(states).map(|(n, s)| request(n, s)).collect();
    store.write_callbacks(TENANT, &all).await.unwrap();
    assert_eq!(store.open_callbacks(TENANT).await.unwrap(), all[..3]);
    for one in &all {
        assert_eq!(store.callback(TENANT, one.id).await.unwrap().as_ref(), Some(one));
    }
    let page = store.callbacks(TENANT, Some(CallbackId(6)), false, 2).await.unwrap();
    assert_eq!(page, [all[4].clone(), all[3].clone()]);
    // Of several versions the last counts; another tenant has nothing of it.
    let versions = [request(1, CallbackState::Calling), request(1, CallbackState::Done)];
    store.write_callbacks(TENANT, &versions).await.unwrap();
    let open: Vec<CallbackId> = store
        .open_callbacks(TENANT)
        .await
        .unwrap()
        .iter()
        .map(|c| c.id)
        .collect();
    assert_eq!(open, [CallbackId(2), CallbackId(3)]);
    let newest = store.callbacks(TENANT, None, true, 10).await.unwrap();
    assert_eq!(newest.len(), 2);
    assert_eq!(store.callback(OTHER, CallbackId(1)).await.unwrap(), None);
    assert!(store.callbacks(OTHER, None, false, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn requests_that_are_over_are_taken_away_and_those_that_wait_stay() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    // Ids begin with the millisecond in which they were made.
    let id = |ms: u128, n: u128| (ms << 80) | n;
    let all = [
        request(id(1_000, 1), CallbackState::Done),
        request(id(1_000, 2), CallbackState::Waiting),
        request(id(2_000, 3), CallbackState::Unreached),
    ];
    store.write_callbacks(TENANT, &all).await.unwrap();
    assert_eq!(store.prune(Stamp(2_000)).await.unwrap().callbacks, 1);
    assert_eq!(store.callback(TENANT, all[0].id).await.unwrap(), None);
    for one in &all[1..] {
        assert_eq!(store.callback(TENANT, one.id).await.unwrap().as_ref(), Some(one));
    }
}
