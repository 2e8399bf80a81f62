//! What the store's tests share: a store in a folder of its own, and sample calls.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::path::Path;
use strowger_core::event::{Created, DialogRef, Direction, Kind, RecordMode, Via};
use strowger_core::project::{Subscription, Topic};
use strowger_core::{
    AccountId, ApplicationId, By, Cause, ConversationId, Event, Fact, LegSeq, Role, Stamp, TenantId, TrunkId,
};
use strowger_store::{
    Append, Batch, Deadline, Durability, MasterKey, NewDelivery, RecordRow, Store, StoreConfig, Tenant,
};

pub const TENANT: TenantId = TenantId(7);
pub const OTHER: TenantId = TenantId(8);
pub const APPLICATION: ApplicationId = ApplicationId(70);
pub const KEY: [u8; 32] = [42; 32];

pub fn config(path: &Path) -> StoreConfig {
    StoreConfig {
        durability: Durability::Process,
        min_free: 0,
        ..StoreConfig::new(path, MasterKey::new(KEY))
    }
}

pub fn tenant(id: TenantId) -> Tenant {
    Tenant {
        push_allowed: vec!["127.0.0.0/8".parse().unwrap()],
        ..Tenant::new(id, format!("tenant {id}"))
    }
}

/// A store with the tenants [`TENANT`] and [`OTHER`].
pub async fn open(path: &Path) -> Store {
    open_with(config(path)).await
}

pub async fn open_with(config: StoreConfig) -> Store {
    let store = Store::open(config).unwrap();
    store.put(tenant(TENANT)).await.unwrap();
    store.put(tenant(OTHER)).await.unwrap();
    store
}

pub fn conversation(n: u64) -> ConversationId {
    ConversationId::mint(1_700_000_000_000 + n, n)
}

pub fn created(tenant: TenantId) -> Fact {
    Fact::Created(Box::new(Created {
        tenant,
        application: APPLICATION,
        account: Some(AccountId(71)),
        kind: Kind::ClickToCall,
        ani: "01012345678".into(),
        dnis: "+8613800138000".into(),
        user_data: "order-17".into(),
        max_duration: Some(90),
        record: RecordMode::FromAnswer,
        subscriptions: vec![Subscription {
            topic: Topic::CallRecord,
            url: "http://user:pw@127.0.0.1:9/cdr".into(),
            projector: "demo".into(),
            context: vec![("zone".into(), "480".into())],
        }],
    }))
}

pub fn dialog() -> Box<DialogRef> {
    Box::new(DialogRef {
        call_id: "a84b4c76e66710".into(),
        local_tag: "314159".into(),
        remote_tag: String::new(),
        local_uri: "<sip:01012345678@192.0.2.1>".into(),
        remote_uri: "<sip:13800138000@192.0.2.2>".into(),
        target: "sip:13800138000@192.0.2.2:5060".into(),
        routes: Vec::new(),
        local_cseq: 1,
        remote_cseq: 0,
        branch_stem: "z9hG4bKnashds8".into(),
        destination: "udp:192.0.2.2:5060".into(),
        outgoing: true,
    })
}

/// The facts of a two-party call, as its owner would append them: one group a batch.
pub fn call(tenant: TenantId) -> Vec<Vec<Fact>> {
    let leg = |n, role, to: &str| Fact::LegCreated {
        leg: LegSeq(n),
        role,
        direction: Direction::Outgoing,
        from: "01012345678".into(),
        to: to.into(),
    };
    let attempt = |n| Fact::LegAttempt {
        leg: LegSeq(n),
        via: Via::Trunk(TrunkId(9)),
        dialog: dialog(),
    };
    let ended = |n| Fact::LegEnded {
        leg: LegSeq(n),
        stopped_at: Stamp(1_700_000_060_000),
        cause: Cause::Normal,
        by: By::Party(LegSeq(1), Role::Callee),
        sip_status: 0,
        q850: 16,
    };
    vec![
        vec![created(tenant), leg(0, Role::Caller, "13800138000"), attempt(0)],
        vec![Fact::LegRinging { leg: LegSeq(0) }],
        vec![
            Fact::LegAnswered {
                leg: LegSeq(0),
                dialog: Some(dialog()),
            },
            leg(1, Role::Callee, "13900139000"),
            attempt(1),
        ],
        vec![
            Fact::LegAnswered {
                leg: LegSeq(1),
                dialog: None,
            },
            Fact::LegBridged { leg: LegSeq(0) },
            Fact::LegBridged { leg: LegSeq(1) },
        ],
        vec![
            Fact::Ending {
                cause: Cause::Normal,
                by: By::Party(LegSeq(1), Role::Callee),
            },
            ended(1),
            ended(0),
            Fact::Ended,
        ],
    ]
}

pub fn append(tenant: TenantId, id: ConversationId, expected: u32, facts: Vec<Fact>) -> Append {
    let events = facts.into_iter().enumerate().map(|(i, fact)| {
        let seq = expected + 1 + i as u32;
        Event {
            conversation: id,
            seq,
            at: Stamp(1_700_000_000_000 + i64::from(seq) * 10),
            fact,
        }
    });
    let events: Vec<_> = events.collect();
    let open = !events.iter().any(|e| e.fact == Fact::Ended);
    Append {
        tenant,
        conversation: id,
        expected_seq: expected,
        events,
        open,
        deadline: Deadline::Keep,
    }
}

/// The batches of a whole call; the last one carries the call record.
pub fn batches(tenant: TenantId, id: ConversationId) -> Vec<Batch> {
    let mut seq = 0;
    let mut all = Vec::new();
    for facts in call(tenant) {
        let n = facts.len() as u32;
        all.push(Batch::one(append(tenant, id, seq, facts)));
        seq += n;
    }
    all.last_mut().unwrap().records.push(record(tenant, id));
    all
}

pub fn record(tenant: TenantId, id: ConversationId) -> RecordRow {
    RecordRow {
        tenant,
        conversation: id,
        application: APPLICATION,
        account: Some(AccountId(71)),
        kind: "click-to-call".into(),
        start: Stamp((id.0 >> 80) as i64),
        end: Stamp((id.0 >> 80) as i64 + 60_000),
        version: 1,
        body: b"summary".to_vec(),
    }
}

pub fn delivery(id: ConversationId, subscription: u16, seq: u32, url: &str) -> NewDelivery {
    NewDelivery {
        tenant: TENANT,
        conversation: id,
        application: APPLICATION,
        seq,
        subscription,
        topic: if subscription == 0 {
            Topic::Status
        } else {
            Topic::CallRecord
        },
        url: url.into(),
        content_type: "application/json".into(),
        body: format!(r#"{{"conversation":"{id}","seq":{seq},"to":"13800138000"}}"#).into_bytes(),
        key: format!("{id}/{subscription}/{seq}"),
        not_before: Stamp(1000),
        batch: None,
    }
}
