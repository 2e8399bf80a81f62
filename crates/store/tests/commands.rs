//! Commands with a name of the client's: executed once, remembered for a while, and what an older file needs for it.

mod common;

use common::*;
use rusqlite::Connection;
use std::path::Path;
use strowger_core::{AccountId, ConversationId, Stamp, TenantId};
use strowger_store::{AppendError, Batch, CommandId, Executed, Store};

/// The tables of schema 1 as they were released.
const SCHEMA_1: &str = include_str!("../golden/schema-1.sql");

fn command(tenant: TenantId, account: u128, key: &str, request: &str) -> CommandId {
    CommandId::new(
        tenant,
        Some(AccountId(account)),
        key.as_bytes(),
        &[b"click", request.as_bytes()],
    )
    .unwrap()
}

fn opening(tenant: TenantId, id: ConversationId, command: CommandId) -> Batch {
    Batch {
        command: Some(command),
        ..batches(tenant, id).remove(0)
    }
}

// accept: domain-model I11
#[tokio::test]
async fn a_name_starts_one_conversation_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let first = command(TENANT, 71, "order-17", "a");
    assert_eq!(store.executed(&first).await.unwrap(), None);
    // Both are queued before either is committed, so they meet in one transaction.
    let answers = [1, 2].map(|n| store.append(opening(TENANT, conversation(n), first.clone())));
    let [one, two] = answers;
    one.await.unwrap();
    let twice = AppendError::Duplicate {
        conversation: conversation(1),
        same_request: true,
    };
    assert_eq!(two.await, Err(twice.clone()));
    assert!(!twice.may_retry());
    assert_eq!(store.load_events(TENANT, conversation(2)).await.unwrap(), vec![]);
    drop(store);

    let store = Store::open(config(dir.path())).unwrap();
    let known = Executed {
        conversation: conversation(1),
        same_request: true,
    };
    assert_eq!(store.executed(&first).await.unwrap(), Some(known));
    assert_eq!(
        store.append(opening(TENANT, conversation(3), first.clone())).await,
        Err(twice)
    );
    let other = command(TENANT, 71, "order-17", "b");
    let refused = store.append(opening(TENANT, conversation(4), other.clone())).await;
    assert!(matches!(
        refused,
        Err(AppendError::Duplicate {
            same_request: false,
            ..
        })
    ));
    assert!(!store.executed(&other).await.unwrap().unwrap().same_request);
}

// accept: domain-model I20
#[tokio::test]
async fn names_belong_to_an_account_of_a_tenant() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let all = [
        (TENANT, 71, "k"),
        (TENANT, 72, "k"),
        (OTHER, 71, "k"),
        (TENANT, 71, "K"),
    ];
    for (n, (tenant, account, key)) in all.into_iter().enumerate() {
        let id = conversation(n as u64);
        store
            .append(opening(tenant, id, command(tenant, account, key, "a")))
            .await
            .unwrap();
        let known = store
            .executed(&command(tenant, account, key, "a"))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(known.conversation, id);
    }
    let foreign = opening(TENANT, conversation(9), command(OTHER, 71, "x", "a"));
    assert!(matches!(store.append(foreign).await, Err(AppendError::Malformed(_))));
    store.erase_tenant(OTHER).await.unwrap();
    assert!(
        store.executed(&command(OTHER, 71, "k", "a")).await.is_err(),
        "its key is gone"
    );
}

#[tokio::test]
async fn a_batch_that_fails_leaves_its_name_free() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let name = command(TENANT, 71, "k", "a");
    store.append(batches(TENANT, conversation(1)).remove(0)).await.unwrap();
    let conflict = store.append(opening(TENANT, conversation(1), name.clone())).await;
    assert!(matches!(conflict, Err(AppendError::Conflict { .. })));
    store.append(opening(TENANT, conversation(2), name)).await.unwrap();
}

#[tokio::test]
async fn names_are_forgotten_when_their_time_is_over() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let name = command(TENANT, 71, "k", "a");
    let batch = opening(TENANT, conversation(1), name.clone());
    let at = batch.appends[0].events.last().unwrap().at;
    store.append(batch).await.unwrap();
    assert_eq!(store.prune(at).await.unwrap().commands, 0);
    assert!(store.executed(&name).await.unwrap().is_some());
    assert_eq!(store.prune(Stamp(at.0 + 1)).await.unwrap().commands, 1);
    assert_eq!(store.executed(&name).await.unwrap(), None);
}

#[test]
fn keys_are_visible_ascii_of_1_to_255() {
    let key = |k: &[u8]| CommandId::new(TENANT, None, k, &[]).is_some();
    assert!(key(b"a") && key(b"!~") && key(&[b'x'; 255]));
    assert!(!key(b"") && !key(b"a b") && !key(b"\x7f") && !key("é".as_bytes()) && !key(&[b'x'; 256]));
    // Where one part ends and the next begins is part of the request.
    let of = |parts: &[&[u8]]| *CommandId::new(TENANT, None, b"k", parts).unwrap().request();
    assert_ne!(of(&[b"ab", b"c"]), of(&[b"a", b"bc"]));
    let shown = format!("{:?}", CommandId::new(TENANT, None, b"13800138000", &[]).unwrap());
    assert!(!shown.contains("138"), "{shown}");
}

/// Makes a database as the older version left it: its tables, and the contents of a newer one without what is new.
fn downgrade(folder: &Path) {
    let (newer, older) = (folder.join("strowger.db"), folder.join("older.db"));
    let conn = Connection::open(&older).unwrap();
    conn.execute_batch(SCHEMA_1).unwrap();
    conn.pragma_update(None, "user_version", 1).unwrap();
    conn.execute("ATTACH ?1 AS newer", [newer.to_str().unwrap()]).unwrap();
    for table in [
        "meta",
        "tenants",
        "journal",
        "open",
        "records",
        "deliveries",
        "resources",
    ] {
        let columns: String = conn
            .query_row(
                "SELECT group_concat('\"' || name || '\"') FROM pragma_table_info(?1)",
                [table],
                |r| r.get(0),
            )
            .unwrap();
        conn.execute_batch(&format!(
            "INSERT INTO main.{table}({columns}) SELECT {columns} FROM newer.{table}"
        ))
        .unwrap();
    }
    drop(conn);
    for end in ["strowger.db", "strowger.db-wal", "strowger.db-shm"] {
        let _ = std::fs::remove_file(folder.join(end));
    }
    std::fs::rename(older, newer).unwrap();
}

#[tokio::test]
async fn a_file_of_schema_1_is_upgraded_with_all_that_it_holds() {
    let dir = tempfile::tempdir().unwrap();
    let id = conversation(1);
    {
        let store = open(dir.path()).await;
        for mut batch in batches(TENANT, id) {
            if batch.appends[0].expected_seq == 0 {
                batch.deliveries.push(delivery(id, 1, 1, "http://127.0.0.1:9/"));
            }
            store.append(batch).await.unwrap();
        }
    }
    downgrade(dir.path());
    let store = Store::open(config(dir.path())).unwrap();
    assert!(dir.path().join("strowger.schema-1.db").exists(), "the way back");
    assert_eq!(store.record_row(TENANT, id).await.unwrap(), Some(record(TENANT, id)));
    assert!(store.load_record(TENANT, id).await.unwrap().unwrap().ended_at.is_some());
    let pushed = store.deliveries(TENANT, Default::default()).await.unwrap();
    assert_eq!(pushed.len(), 1);
    let name = command(TENANT, 71, "k", "a");
    store
        .append(opening(TENANT, conversation(2), name.clone()))
        .await
        .unwrap();
    assert!(store.executed(&name).await.unwrap().is_some());
    drop(store);
    // The upgrade is done once.
    Store::open(config(dir.path())).unwrap();
}
