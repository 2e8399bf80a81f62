//! Resources, keys, call records and the files.

mod common;

use common::*;
use strowger_core::resource::{
    ApplicationSettings, Device, OwnedNumber, PrefixRule, Route, RouteTarget, Trunk, TrunkAuth,
};
use strowger_core::{AccountId, ConversationId, DeviceId, Number, RouteId, Stamp, TrunkId};
use strowger_store::config::PromptState;
use strowger_store::{
    Account, Application, DeviceEntry, MasterKey, Prompt, RecordQuery, ResourceId, Secret, Store, StoreError, Token,
};

fn account() -> Account {
    Account {
        tokens: vec![Token {
            secret: Secret::new("t0ken-one"),
            created_at: Stamp(0),
            expires_at: None,
        }],
        ..Account::new(AccountId(71), TENANT, "crm")
    }
}

fn application() -> Application {
    Application {
        id: APPLICATION,
        tenant: TENANT,
        account: Some(AccountId(71)),
        name: "notices".into(),
        profile: "voice-paas".into(),
        settings: ApplicationSettings {
            default_cli: Some(number()),
            record_url: Some("https://crm.example/cdr".into()),
            record_batch_size: 50,
            record_batch_seconds: 20,
            ..Default::default()
        },
        push_secret: Some(Secret::new("hm4c")),
        disabled: false,
    }
}

fn number() -> Number {
    Number::from_canonical("+861012345678")
}

fn trunk(tenant: Option<strowger_core::TenantId>) -> Trunk {
    Trunk {
        tenant,
        name: "carrier".into(),
        domain: "carrier.example".into(),
        sources: vec!["192.0.2.6".parse().unwrap()],
        auth: TrunkAuth::Digest {
            username: "u".into(),
            password: "p4ss".into(),
        },
        codecs: vec!["PCMA".into()],
        max_channels: 30,
        max_rate: 5,
        priority: 1,
        options_interval: 30,
        rules: vec![PrefixRule {
            prefix: "+86".into(),
            strip: 3,
            prepend: "0".into(),
            allow: true,
            price: 0,
        }],
        ..Trunk::new(TrunkId(9), "192.0.2.5:5060".parse().ok())
    }
}

fn device() -> DeviceEntry {
    DeviceEntry {
        device: Device {
            contact: Some("192.0.2.9:5060".parse().unwrap()),
            ..Device::new(DeviceId(5), TENANT, "desk1")
        },
        password: Some(Secret::new("d3vice")),
        disabled: false,
    }
}

fn route() -> Route {
    Route {
        id: RouteId(3),
        application: APPLICATION,
        number: number(),
        target: RouteTarget::Device(DeviceId(5)),
    }
}

fn prompt(application: Option<strowger_core::ApplicationId>) -> Prompt {
    Prompt {
        tenant: TENANT,
        application,
        name: "welcome.wav".into(),
        duration_ms: 1500,
        file: "ab12.wav".into(),
        checksum: "00".repeat(32),
        state: PromptState::Ready,
    }
}

async fn fill(store: &Store) {
    store.create(account()).await.unwrap();
    store.create(application()).await.unwrap();
    store.create(trunk(None)).await.unwrap();
    let owned = OwnedNumber {
        number: number(),
        tenant: TENANT,
        applications: vec![APPLICATION],
        outgoing: true,
        incoming: true,
    };
    store.create(owned).await.unwrap();
    store.create(device()).await.unwrap();
    store.create(route()).await.unwrap();
    store.create(prompt(None)).await.unwrap();
}

#[tokio::test]
async fn resources_come_back_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let watch = store.watch();
    fill(&store).await;
    assert!(watch.has_changed().unwrap());
    drop((store, watch));
    let store = Store::open(config(dir.path())).unwrap();
    let c = store.snapshot();
    assert_eq!(**c.tenant(TENANT).unwrap(), tenant(TENANT));
    assert_eq!(**c.account(AccountId(71)).unwrap(), account());
    assert_eq!(**c.application(APPLICATION).unwrap(), application());
    assert_eq!(*c.trunks()[0], trunk(None));
    assert_eq!(c.number(&number()).unwrap().tenant, TENANT);
    assert_eq!(**c.route(&number()).unwrap(), route());
    assert_eq!(**c.device_by_name(TENANT, "desk1").unwrap(), device());
    assert_eq!(c.device_by_name(OTHER, "desk1"), None);
    assert_eq!(**c.prompt(TENANT, APPLICATION, "welcome.wav").unwrap(), prompt(None));
    store.create(prompt(Some(APPLICATION))).await.unwrap();
    let c = store.snapshot();
    assert_eq!(
        c.prompt(TENANT, APPLICATION, "welcome.wav").unwrap().application,
        Some(APPLICATION)
    );
    assert_eq!(c.prompt(OTHER, APPLICATION, "welcome.wav"), None);
}

#[tokio::test]
async fn references_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    fill(&store).await;
    assert!(matches!(store.create(account()).await, Err(StoreError::Exists(_))));
    // Nothing moves to another tenant, or refers into one.
    let stolen = Account {
        tenant: OTHER,
        ..account()
    };
    assert!(matches!(store.put(stolen).await, Err(StoreError::Exists(_))));
    let foreign = Application {
        id: strowger_core::ApplicationId(80),
        tenant: OTHER,
        ..application()
    };
    assert_eq!(
        store.create(foreign).await.unwrap_err(),
        StoreError::NotFound("account")
    );
    let second = Route {
        id: RouteId(4),
        ..route()
    };
    assert!(matches!(store.create(second).await, Err(StoreError::Exists(_))));
    let mut twin = device();
    twin.device.id = DeviceId(6);
    assert!(matches!(store.create(twin).await, Err(StoreError::Exists(_))));
    for needed in [
        ResourceId::Account(AccountId(71)),
        ResourceId::Application(APPLICATION),
        ResourceId::Device(DeviceId(5)),
    ] {
        assert!(matches!(store.remove(needed).await, Err(StoreError::Reference(_))));
    }
    store.remove(ResourceId::Route(RouteId(3))).await.unwrap();
    store.remove(ResourceId::Device(DeviceId(5))).await.unwrap();
    assert_eq!(
        store.remove(ResourceId::Device(DeviceId(5))).await.unwrap_err(),
        StoreError::NotFound("resource")
    );
    assert!(store.snapshot().route(&number()).is_none());
}

// accept: voice-paas 8
#[tokio::test]
async fn a_token_is_replaced_with_an_overlap() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    fill(&store).await;
    let rotate = |secret, now| store.rotate_token(AccountId(71), Secret::new(secret), Stamp(now), 100);
    let c = rotate("t0ken-two", 1000).await.unwrap();
    let a = c.account(AccountId(71)).unwrap();
    assert!(a.accepts("t0ken-one", Stamp(1099)) && a.accepts("t0ken-two", Stamp(1099)));
    assert!(!a.accepts("t0ken-one", Stamp(1100)) && a.accepts("t0ken-two", Stamp(1100)));
    let c = rotate("t0ken-three", 5000).await.unwrap();
    assert_eq!(
        c.account(AccountId(71)).unwrap().tokens.len(),
        2,
        "the expired one is dropped"
    );
}

/// True if a file of the folder has these bytes.
fn on_disk(dir: &std::path::Path, needle: &str) -> bool {
    std::fs::read_dir(dir).unwrap().any(|f| {
        let bytes = std::fs::read(f.unwrap().path()).unwrap();
        bytes.windows(needle.len()).any(|w| w == needle.as_bytes())
    })
}

#[tokio::test]
async fn secrets_and_numbers_are_not_on_the_disk_in_clear() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    fill(&store).await;
    let mut all = batches(TENANT, conversation(1));
    all[0]
        .deliveries
        .push(delivery(conversation(1), 0, 1, "http://user:pw@h/"));
    for batch in all {
        store.append(batch).await.unwrap();
    }
    store.flush().await.unwrap();
    for secret in [
        "t0ken-one",
        "hm4c",
        "p4ss",
        "d3vice",
        "user:pw",
        "13800138000",
        "order-17",
    ] {
        assert!(!on_disk(dir.path(), secret), "{secret}");
    }
    assert!(
        on_disk(dir.path(), "click-to-call"),
        "the search finds what is in clear"
    );
}

#[tokio::test]
async fn the_master_key_is_rotated() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    fill(&store).await;
    store.append(batches(TENANT, conversation(1)).remove(0)).await.unwrap();
    let new = MasterKey::from_hex(&"5c".repeat(32)).unwrap();
    store.rotate_master_key(&new).await.unwrap();
    // A tenant that is created after the rotation is wrapped with the new key.
    store.create(tenant(strowger_core::TenantId(10))).await.unwrap();
    drop(store);
    assert_eq!(
        Store::open(config(dir.path())).unwrap_err().code(),
        "store.wrong-master-key"
    );
    let mut settings = config(dir.path());
    settings.master_key = new;
    let store = Store::open(settings).unwrap();
    assert_eq!(store.load_events(TENANT, conversation(1)).await.unwrap().len(), 3);
    assert!(
        store
            .snapshot()
            .account(AccountId(71))
            .unwrap()
            .accepts("t0ken-one", Stamp(0))
    );
}

#[tokio::test]
async fn an_erased_tenant_is_gone_for_good() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    fill(&store).await;
    for t in [TENANT, OTHER] {
        for batch in batches(t, conversation(t.0 as u64)) {
            store.append(batch).await.unwrap();
        }
    }
    store.remove(ResourceId::Tenant(TENANT)).await.unwrap();
    let check = async |store: &Store| {
        let c = store.snapshot();
        assert!(c.tenant(TENANT).is_none() && c.account(AccountId(71)).is_none() && c.routes().next().is_none());
        assert_eq!(store.load_record(TENANT, conversation(7)).await.unwrap(), None);
        assert!(store.load_record(OTHER, conversation(8)).await.unwrap().is_some());
    };
    check(&store).await;
    assert!(matches!(store.create(tenant(TENANT)).await, Err(StoreError::Exists(_))));
    drop(store);
    check(&Store::open(config(dir.path())).unwrap()).await;
}

// accept: voice-paas 171
#[tokio::test]
async fn pages_have_no_gaps_or_doubles_while_calls_end() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let publish = async |n: u64| {
        let id = conversation(n);
        let mut batch = strowger_store::Batch::one(append(TENANT, id, 0, vec![created(TENANT)]));
        // Two calls a moment: the order within it is that of the ids.
        let mut row = common::record(TENANT, id);
        row.start = Stamp((n / 2) as i64);
        batch.records.push(row);
        store.append(batch).await.unwrap();
    };
    for n in (0..60).rev() {
        publish(n * 2).await;
    }
    for by_page in [false, true] {
        let mut query = RecordQuery {
            limit: 7,
            application: Some(APPLICATION),
            ..Default::default()
        };
        let mut seen: Vec<(Stamp, ConversationId)> = Vec::new();
        loop {
            let page = store.query_records(TENANT, query.clone()).await.unwrap();
            assert!(page.rows.iter().all(|r| r.body == b"summary"));
            if page.rows.is_empty() {
                assert_eq!(page.total as usize, seen.len());
                break;
            }
            assert!(seen.len() < 500, "later calls get into the run");
            seen.extend(page.rows.iter().map(|r| (r.start, r.conversation)));
            // A call that started earlier ends now.
            publish(seen.len() as u64 * 2 + 1 + u64::from(by_page) * 1000).await;
            query.as_of = Some(page.as_of);
            if by_page {
                query.offset = seen.len() as u64;
            } else {
                query.after = seen.last().copied();
            }
        }
        assert!(seen.is_sorted_by(|a, b| a < b));
        assert!(seen.len() >= 60);
    }
    let some = RecordQuery {
        from: Some(Stamp(10)),
        to: Some(Stamp(12)),
        ..Default::default()
    };
    let page = store.query_records(TENANT, some.clone()).await.unwrap();
    assert!(page.total >= 2 && page.rows.iter().all(|r| (10..12).contains(&r.start.0)));
    let none = RecordQuery {
        account: Some(AccountId(1)),
        ..some
    };
    assert_eq!(store.query_records(TENANT, none).await.unwrap().total, 0);
}

#[tokio::test]
async fn a_newer_version_of_a_record_replaces_the_older_one_only() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let publish = async |version, body: &[u8]| {
        let row = strowger_store::RecordRow {
            version,
            body: body.into(),
            ..common::record(TENANT, conversation(1))
        };
        store
            .append(strowger_store::Batch {
                records: vec![row],
                ..Default::default()
            })
            .await
            .unwrap();
    };
    publish(2, b"two").await;
    publish(1, b"one").await;
    let row = store.record_row(TENANT, conversation(1)).await.unwrap().unwrap();
    assert_eq!((row.version, row.body.as_slice()), (2, &b"two"[..]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_one_moment_while_calls_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let copy = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    fill(&store).await;
    for n in 0..300 {
        for batch in batches(TENANT, conversation(n)) {
            drop(store.append(batch));
        }
    }
    store.flush().await.unwrap();
    let writing = tokio::spawn({
        let store = store.clone();
        async move {
            for n in 300.. {
                for batch in batches(TENANT, conversation(n)) {
                    store.append(batch).await.unwrap();
                }
                tokio::task::yield_now().await;
            }
        }
    });
    let file = copy.path().join("strowger.db");
    store.backup(&file).await.unwrap();
    writing.abort();
    let _ = writing.await;

    let found = Store::check(&file, &MasterKey::new(KEY)).unwrap();
    assert!(found.records >= 300 && found.open <= 1, "{found:?}");
    assert_eq!(
        Store::check(&file, &MasterKey::new([0; 32])).unwrap_err().code(),
        "store.wrong-master-key"
    );
    let restored = Store::open(config(copy.path())).unwrap();
    for n in [0, 299] {
        assert!(
            restored
                .load_record(TENANT, conversation(n))
                .await
                .unwrap()
                .unwrap()
                .ended_at
                .is_some()
        );
    }
    assert!(restored.snapshot().account(AccountId(71)).is_some());
}

#[tokio::test]
async fn newer_and_damaged_files_are_refused_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).await);
    let file = dir.path().join("strowger.db");
    let conn = rusqlite::Connection::open(&file).unwrap();
    conn.pragma_update(None, "user_version", 99).unwrap();
    drop(conn);
    let error = Store::open(config(dir.path())).unwrap_err();
    assert_eq!(error.code(), "store.newer-schema");
    assert!(error.to_string().contains("99"), "{error}");
    std::fs::write(&file, vec![7; 8192]).unwrap();
    assert_eq!(Store::open(config(dir.path())).unwrap_err().code(), "store.damaged");
}

// accept: domain-model I20
#[tokio::test]
async fn a_route_to_a_trunk_needs_one_that_its_tenant_may_use() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    fill(&store).await;
    store.remove(ResourceId::Route(route().id)).await.unwrap();
    let with = |target: u128, owner| Trunk {
        id: TrunkId(target),
        ..trunk(owner)
    };
    store.create(with(61, Some(OTHER))).await.unwrap();
    store.create(with(62, Some(TENANT))).await.unwrap();
    store.create(with(63, None)).await.unwrap();
    let to = |id| Route {
        target: RouteTarget::Trunk(TrunkId(id)),
        ..route()
    };
    for (id, good) in [(60_000, false), (61, false), (62, true), (63, true)] {
        assert_eq!(store.put(to(id)).await.is_ok(), good, "{id}");
    }
    let needed = store.remove(ResourceId::Trunk(TrunkId(63))).await;
    assert!(matches!(needed, Err(StoreError::Reference(_))));
    drop(store);
    let store = Store::open(config(dir.path())).unwrap();
    assert_eq!(
        **store.snapshot().route(&number()).unwrap(),
        to(63),
        "it comes back as it was"
    );
    store.remove(ResourceId::Route(route().id)).await.unwrap();
    store.remove(ResourceId::Trunk(TrunkId(63))).await.unwrap();
}
