//! `kill -9` at any moment: what was acknowledged is there, in order, without gaps, with its deliveries.
//!
//! The test starts its own binary again as a child that appends calls and prints each acknowledged batch, kills it
//! after a random number of lines, and opens the folder.

mod common;

use common::*;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use strowger_core::ConversationRecord;
use strowger_store::{Batch, DeliveryFilter, Durability, Store, StoreConfig};

const FOLDER: &str = "STROWGER_CRASH_FOLDER";
const FIRST: &str = "STROWGER_CRASH_FIRST";
const POWER: &str = "STROWGER_CRASH_POWER";

/// The batches of call `n`, each with a delivery of the same event.
fn steps(n: u64) -> Vec<Batch> {
    let mut all = batches(TENANT, conversation(n));
    for batch in &mut all {
        let seq = batch.appends[0].expected_seq + batch.appends[0].events.len() as u32;
        batch
            .deliveries
            .push(delivery(conversation(n), 0, seq, "http://127.0.0.1:9/"));
    }
    all
}

fn settings(path: &Path, power: bool) -> StoreConfig {
    let durability = if power { Durability::Power } else { Durability::Process };
    StoreConfig {
        durability,
        ..config(path)
    }
}

/// The child: not a test of its own.
#[test]
#[ignore = "run by the test that kills it"]
fn child() {
    let (Some(folder), Ok(first)) = (std::env::var_os(FOLDER), std::env::var(FIRST)) else {
        return;
    };
    let first: u64 = first.parse().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = open_with(settings(Path::new(&folder), std::env::var_os(POWER).is_some())).await;
        let workers = (0..20).map(|worker| {
            let store = store.clone();
            tokio::spawn(async move {
                for n in (first + worker..).step_by(20) {
                    for (step, batch) in steps(n).into_iter().enumerate() {
                        // Ringing is not waited for; its acknowledgement is that of the batch behind it.
                        if step == 1 {
                            store.append_nowait(batch).unwrap();
                            continue;
                        }
                        store.append(batch).await.unwrap();
                        // One write a line, so that a killed child leaves no half of an earlier one.
                        let _ = std::io::stdout().write_all(format!("ack {n} {step}\n").as_bytes());
                    }
                }
            })
        });
        for worker in workers.collect::<Vec<_>>() {
            worker.await.unwrap();
        }
    });
}

fn kill_once(folder: &Path, first: u64, lines: usize, power: bool) -> BTreeMap<u64, usize> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["child", "--exact", "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    if power {
        command.env(POWER, "1");
    }
    let mut child = command.spawn().unwrap();
    let mut acknowledged = BTreeMap::new();
    let mut count = 0;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let Some((n, step)) = line.strip_prefix("ack ").and_then(|l| l.split_once(' ')) else {
            continue;
        };
        acknowledged.insert(n.parse().unwrap(), step.parse().unwrap());
        count += 1;
        if count == lines {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(count >= lines, "the child ended by itself");
    acknowledged
}

async fn check(folder: &Path, acknowledged: &BTreeMap<u64, usize>) {
    let store = Store::open(config(folder)).unwrap();
    let newest = acknowledged.keys().max().unwrap();
    let oldest = acknowledged.keys().min().unwrap();
    let mut open = Vec::new();
    let mut stream = store.open_conversations();
    while let Some(c) = stream.recv().await {
        open.push(c.unwrap().id);
    }
    // Also those behind the newest acknowledged one: they may be there, but then whole.
    for n in *oldest..newest + 40 {
        let id = conversation(n);
        let events = store.load_events(TENANT, id).await.unwrap();
        let record = ConversationRecord::fold(&events).expect("no gap and no double");
        let expected: Vec<_> = steps(n).into_iter().map(|b| b.appends[0].events.clone()).collect();
        let mut whole = Vec::new();
        let written = expected.iter().take_while(|step| {
            whole.extend(step.iter().cloned());
            whole.len() <= events.len()
        });
        let written = written.count();
        assert_eq!(events, expected[..written].concat(), "whole batches in order");
        let told = acknowledged.get(&n).map_or(0, |step| step + 1);
        assert!(
            written >= told,
            "call {n}: {told} batches were acknowledged, {written} are there"
        );
        let filter = DeliveryFilter {
            conversation: Some(id),
            ..Default::default()
        };
        let deliveries = store.deliveries(TENANT, filter).await.unwrap();
        assert_eq!(
            deliveries.len(),
            written,
            "a delivery for each batch, in the same transaction"
        );
        let ended = record.is_some_and(|r| r.ended_at.is_some());
        assert_eq!(
            store.record_row(TENANT, id).await.unwrap().is_some(),
            ended,
            "one record, with the end"
        );
        assert_eq!(open.contains(&id), written > 0 && !ended);
    }
}

// accept: domain-model I3, I9
#[tokio::test]
async fn what_was_acknowledged_survives_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let seed = std::collections::hash_map::RandomState::new();
    for round in 0..6u64 {
        use std::hash::BuildHasher;
        let lines = 1 + (seed.hash_one(round) % 400) as usize;
        let power = round % 3 == 2;
        let lines = if power { lines.min(60) } else { lines };
        println!("round {round}: kill after {lines} acknowledgements, power {power}");
        let acknowledged = kill_once(dir.path(), round * 1_000_000, lines, power);
        check(dir.path(), &acknowledged).await;
    }
}
