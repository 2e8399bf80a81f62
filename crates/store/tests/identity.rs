//! Users, keys, logins, the audit log and named answers, over a store that is closed and opened again.

use strowger_core::{KeyId, Stamp, TenantId, UserId};
use strowger_store::config::{DeviceEntry, PLATFORM, Resource, Secret};
use strowger_store::identity::{ApiKey, Role, Scope, SecondFactor, User};
use strowger_store::{
    AuditEntry, AuditFilter, Earlier, MasterKey, Named, NewLogin, Refreshed, Store, StoreConfig, StoreError, Tenant,
};

const A: TenantId = TenantId(1);
const B: TenantId = TenantId(2);
const KEY: [u8; 32] = [7; 32];

fn open(folder: &tempfile::TempDir) -> Store {
    Store::open(StoreConfig::new(folder.path(), MasterKey::new(KEY))).unwrap()
}

async fn house() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    store.create(Tenant::new(A, "a")).await.unwrap();
    store.create(Tenant::new(B, "b")).await.unwrap();
    (folder, store)
}

fn login(user: u128, refresh: u8, factor_step: Option<u64>) -> NewLogin {
    NewLogin {
        tenant: A,
        user: UserId(user),
        at: Stamp(1_000),
        expires_at: Stamp(100_000),
        factor_step,
        source: "192.0.2.7".into(),
        refresh: [refresh; 32],
    }
}

// accept: domain-model I20
#[tokio::test]
async fn users_and_keys_are_kept_sealed_and_a_tenant_sees_its_own_alone() {
    let (folder, store) = house().await;
    let user = User {
        password: Some(Secret::new("$argon2id$hash")),
        second_factor: Some(SecondFactor {
            secret: Secret::new("c0ffee"),
            confirmed: true,
            recovery: vec!["d1".into()],
        }),
        ..User::new(UserId(5), A, "li.wei@example.com", Role::Leader)
    };
    let key = ApiKey {
        id: KeyId(6),
        tenant: B,
        name: "crm".into(),
        digest: [9; 32],
        scopes: vec![Scope::CallsRead, Scope::CallsWrite],
        max_rate: 5,
        created_at: Stamp(1),
        expires_at: Some(Stamp(2)),
        disabled: false,
    };
    store.create(user.clone()).await.unwrap();
    store.create(key.clone()).await.unwrap();
    let twice = store
        .create(User::new(UserId(7), A, "li.wei@example.com", Role::Agent))
        .await;
    assert_eq!(twice.unwrap_err(), StoreError::Exists("a user of this name"));
    // The same name is free in another tenant.
    store
        .create(User::new(UserId(7), B, "li.wei@example.com", Role::Agent))
        .await
        .unwrap();
    let before = store.tag(&Resource::User(user.clone())).unwrap();
    drop(store);
    let bytes = std::fs::read(folder.path().join("strowger.db")).unwrap();
    for clear in ["li.wei", "argon2id", "c0ffee"] {
        let found = bytes.windows(clear.len()).any(|w| w == clear.as_bytes());
        assert!(!found, "{clear} is readable in the file");
    }
    let store = open(&folder);
    let config = store.snapshot();
    assert_eq!(**config.user(UserId(5)).unwrap(), user);
    assert_eq!(**config.key(KeyId(6)).unwrap(), key);
    assert_eq!(config.user_by_name(A, "Li.Wei@example.com").unwrap().id, UserId(5));
    assert_eq!(store.tag(&Resource::User(user.clone())).unwrap(), before);
    let changed = User { disabled: true, ..user };
    assert_ne!(store.tag(&Resource::User(changed)).unwrap(), before);

    let device = |id, tenant| {
        Resource::Device(DeviceEntry {
            device: strowger_core::resource::Device::new(strowger_core::DeviceId(id), tenant, "desk"),
            password: None,
            disabled: false,
        })
    };
    store.create(device(1, A)).await.unwrap();
    store.create(device(2, B)).await.unwrap();
    let seen = store.snapshot().confined(A);
    assert_eq!(seen.tenants().map(|t| t.id).collect::<Vec<_>>(), [A]);
    assert_eq!(seen.users().map(|u| u.id).collect::<Vec<_>>(), [UserId(5)]);
    assert_eq!(seen.keys().count(), 0);
    assert_eq!(seen.devices().map(|d| d.device.tenant).collect::<Vec<_>>(), [A]);
    assert!(seen.device_by_name(A, "desk").is_some() && seen.device_by_name(B, "desk").is_none());
    assert_eq!(
        seen.device_by_username_anywhere("desk").unwrap().device.tenant,
        A,
        "what another tenant has is not even known to be there"
    );
    store.erase_tenant(B).await.unwrap();
    assert!(store.snapshot().key(KeyId(6)).is_none());
}

#[tokio::test]
async fn a_refresh_token_is_good_once_and_a_second_use_ends_the_login() {
    let (folder, store) = house().await;
    let first = store.begin_login(login(5, 1, None)).await.unwrap().unwrap();
    let done = store.refresh_login([1; 32], [2; 32], Stamp(2_000)).await.unwrap();
    assert!(matches!(&done, Refreshed::Done(l) if l.id == first.id && l.used_at == Stamp(2_000)));
    drop(store);
    let store = open(&folder);
    let stolen = store.refresh_login([1; 32], [3; 32], Stamp(3_000)).await.unwrap();
    assert!(matches!(stolen, Refreshed::Reused(l) if l.id == first.id));
    // The one who held the newer token is out too.
    let after = store.refresh_login([2; 32], [4; 32], Stamp(3_001)).await.unwrap();
    assert_eq!(after, Refreshed::Unknown);
    assert_eq!(
        store.revoked_logins(Stamp(0)).await.unwrap(),
        [(first.id, Stamp(3_000))]
    );
    assert_eq!(store.revoked_logins(Stamp(3_001)).await.unwrap(), []);
    assert_eq!(
        store.refresh_login([9; 32], [8; 32], Stamp(1)).await.unwrap(),
        Refreshed::Unknown
    );
}

#[tokio::test]
async fn a_login_ends_by_time_by_hand_and_with_its_user() {
    let (_folder, store) = house().await;
    let one = store.begin_login(login(5, 1, None)).await.unwrap().unwrap();
    let two = store.begin_login(login(5, 2, None)).await.unwrap().unwrap();
    store.begin_login(login(6, 3, None)).await.unwrap().unwrap();
    assert_eq!(store.logins(A, UserId(5), Stamp(1_001)).await.unwrap().len(), 2);
    assert_eq!(store.logins(B, UserId(5), Stamp(1_001)).await.unwrap(), []);
    // Not with another tenant's hand, and not another user's.
    let revoke = |tenant, user, only| store.revoke_logins(tenant, UserId(user), only, Stamp(2_000));
    assert_eq!(revoke(B, 5, Some(one.id)).await.unwrap(), []);
    assert_eq!(revoke(A, 6, Some(one.id)).await.unwrap(), []);
    assert_eq!(revoke(A, 5, Some(one.id)).await.unwrap(), [one.id]);
    assert_eq!(revoke(A, 5, None).await.unwrap(), [two.id]);
    let late = store.refresh_login([3; 32], [4; 32], Stamp(100_000)).await.unwrap();
    assert_eq!(late, Refreshed::Unknown);
    assert_eq!(store.prune_logins(Stamp(2_001)).await.unwrap(), 2);
    assert_eq!(store.logins(A, UserId(6), Stamp(2_002)).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_one_time_password_is_good_once() {
    let (_folder, store) = house().await;
    assert!(store.begin_login(login(5, 1, Some(100))).await.unwrap().is_some());
    assert!(store.begin_login(login(5, 2, Some(100))).await.unwrap().is_none());
    assert!(store.begin_login(login(5, 2, Some(99))).await.unwrap().is_none());
    assert!(store.begin_login(login(6, 3, Some(100))).await.unwrap().is_some());
    assert!(store.begin_login(login(5, 2, Some(101))).await.unwrap().is_some());
}

#[tokio::test]
async fn signing_keys_survive_and_old_ones_go_when_nothing_of_theirs_is_valid() {
    let (folder, store) = house().await;
    let first = store.add_signing_key(Stamp(1_000), Stamp(0)).await.unwrap();
    let second = store.add_signing_key(Stamp(2_000), Stamp(1_100)).await.unwrap();
    drop(store);
    let store = open(&folder);
    assert_eq!(store.signing_keys().await.unwrap(), [second.clone(), first]);
    // The first was replaced at 2000: at 2001 nothing that it signed is valid.
    let third = store.add_signing_key(Stamp(3_000), Stamp(2_001)).await.unwrap();
    assert_eq!(store.signing_keys().await.unwrap(), [third, second]);
}

#[tokio::test]
async fn the_audit_log_grows_is_paged_and_is_the_tenants_own() {
    let (folder, store) = house().await;
    let entry = |n: u32| AuditEntry {
        actor: "user".into(),
        actor_id: UserId(5).to_string(),
        actor_name: "li.wei".into(),
        action: "devices.create".into(),
        resource: format!("devices/{n}"),
        source: "192.0.2.7".into(),
        outcome: "done".into(),
        request: "r".into(),
    };
    for n in 0..5 {
        store.audit(A, Stamp(1_000 + i64::from(n)), &entry(n)).await.unwrap();
    }
    store.audit(B, Stamp(1), &entry(9)).await.unwrap();
    store.audit(PLATFORM, Stamp(1), &entry(10)).await.unwrap();
    let page = |filter| store.audit_log(A, filter);
    let first = page(AuditFilter {
        limit: 3,
        ..AuditFilter::default()
    });
    let first = first.await.unwrap();
    assert_eq!(
        first.iter().map(|r| r.entry.clone()).collect::<Vec<_>>(),
        [entry(4), entry(3), entry(2)]
    );
    let rest = page(AuditFilter {
        limit: 10,
        before: Some(first[2].id),
        from: Some(Stamp(1_001)),
        ..AuditFilter::default()
    });
    assert_eq!(rest.await.unwrap().len(), 1);
    store.flush().await.unwrap();
    let conn = rusqlite::Connection::open(folder.path().join("strowger.db")).unwrap();
    let changed = conn.execute("UPDATE audit SET at = 0", []);
    assert!(changed.unwrap_err().to_string().contains("not changed"));
    assert_eq!(store.prune_audit(Stamp(1_002)).await.unwrap(), 4);
}

#[tokio::test]
async fn a_named_request_is_carried_out_once() {
    let (folder, store) = house().await;
    let named = |name: &str, request: &str| Named {
        tenant: A,
        principal: "key".into(),
        name: name.into(),
        request: request.into(),
    };
    let Earlier::Taken(id) = store.take_name(named("n", "x"), Stamp(1)).await.unwrap() else {
        panic!("the name is free")
    };
    assert_eq!(
        store.take_name(named("n", "x"), Stamp(1)).await.unwrap(),
        Earlier::Begun
    );
    store.answer_name(A, id, Some((201, b"{}"))).await.unwrap();
    drop(store);
    let store = open(&folder);
    let again = store.take_name(named("n", "x"), Stamp(1)).await.unwrap();
    assert_eq!(again, Earlier::Answered(201, b"{}".to_vec()));
    assert_eq!(
        store.take_name(named("n", "y"), Stamp(1)).await.unwrap(),
        Earlier::Other
    );
    let Earlier::Taken(other) = store.take_name(named("m", "x"), Stamp(1)).await.unwrap() else {
        panic!("the name is free")
    };
    store.answer_name(A, other, None).await.unwrap();
    assert!(matches!(
        store.take_name(named("m", "x"), Stamp(1)).await.unwrap(),
        Earlier::Taken(_)
    ));
}

/// What contact centres are made of, kept and with their references whole.
#[tokio::test]
async fn agents_groups_and_queues_are_kept_and_hold_together() {
    use strowger_core::centre::resource::{Agent, NoAnswer, Overflow, Queue, Skill, SkillGroup, Strategy, WrapUp};
    use strowger_core::resource::{ApplicationSettings, Device};
    use strowger_core::{AgentId, ApplicationId, DeviceId, GroupId, QueueId};
    use strowger_store::Application;
    use strowger_store::centre::{BreakReason, Centre};
    use strowger_store::config::ResourceId;

    let (folder, store) = house().await;
    let application = |id, tenant| Application {
        id: ApplicationId(id),
        tenant,
        account: None,
        name: format!("app {id}"),
        profile: String::new(),
        settings: ApplicationSettings::default(),
        push_secret: None,
        disabled: false,
    };
    store.create(application(1, A)).await.unwrap();
    store.create(application(2, B)).await.unwrap();
    let group = |id, app, tenant| SkillGroup {
        id: GroupId(id),
        tenant,
        application: ApplicationId(app),
        name: format!("group {id}"),
        numbers: Vec::new(),
    };
    store.create(group(1, 1, A)).await.unwrap();
    store.create(group(2, 2, B)).await.unwrap();
    store.create(User::new(UserId(5), A, "li", Role::Agent)).await.unwrap();
    for (id, tenant) in [(1, A), (2, B)] {
        let device = DeviceEntry {
            device: Device::new(DeviceId(id), tenant, format!("d{id}")),
            password: None,
            disabled: false,
        };
        store.create(device).await.unwrap();
    }
    let agent = Agent {
        user: Some(UserId(5)),
        extension: "8001".into(),
        skills: vec![Skill {
            group: GroupId(1),
            level: 7,
        }],
        devices: vec![DeviceId(1)],
        wrap_up: Some(WrapUp::Manual),
        chat_capacity: Some(3),
        ..Agent::new(AgentId(1), A, ApplicationId(1), "li")
    };
    store.create(agent.clone()).await.unwrap();
    let like = |id, login: &str, extension: &str| Agent {
        extension: extension.into(),
        ..Agent::new(AgentId(id), A, ApplicationId(1), login)
    };
    let of = |group, device| Agent {
        skills: vec![Skill {
            group: GroupId(group),
            level: 1,
        }],
        devices: vec![DeviceId(device)],
        ..like(3, "wang", "8003")
    };
    for (bad, why) in [
        (like(2, "li", "8002"), StoreError::Exists("an agent of this login")),
        (
            like(2, "wang", "8001"),
            StoreError::Exists("an agent of this extension"),
        ),
        (of(1, 1), StoreError::Exists("an agent of this device")),
        (of(2, 9), StoreError::NotFound("skill group")),
        (of(1, 2), StoreError::NotFound("device")),
    ] {
        assert_eq!(store.create(bad).await.unwrap_err(), why);
    }
    let queue = |id: u128, group, overflow| Queue {
        overflow,
        strategy: Strategy::RingAll,
        priority: 4,
        music: Some("waltz".into()),
        ..Queue::new(QueueId(id), A, ApplicationId(1), format!("queue {id}"), GroupId(group))
    };
    store.create(queue(1, 1, Overflow::End)).await.unwrap();
    let second = queue(2, 1, Overflow::Queue(QueueId(1)));
    store.create(second.clone()).await.unwrap();
    for bad in [queue(3, 2, Overflow::End), queue(3, 1, Overflow::Queue(QueueId(3)))] {
        assert!(matches!(store.create(bad).await, Err(StoreError::NotFound(_))));
    }
    let mut centre = Centre::new(ApplicationId(1), A);
    centre.settings.no_answer = NoAnswer::NotReady;
    centre.settings.wrap_up = WrapUp::Off;
    centre.settings.grace_secs = 17;
    centre.break_reasons = vec![BreakReason {
        code: "lunch".into(),
        name: "Lunch".into(),
    }];
    store.put(centre.clone()).await.unwrap();
    for id in [
        ResourceId::Group(GroupId(1)),
        ResourceId::Queue(QueueId(1)),
        ResourceId::User(UserId(5)),
        ResourceId::Device(DeviceId(1)),
        ResourceId::Application(ApplicationId(1)),
    ] {
        assert!(matches!(store.remove(id).await, Err(StoreError::Reference(_))));
    }
    drop(store);
    let store = open(&folder);
    let config = store.snapshot();
    assert_eq!(**config.centre().agent(AgentId(1)).unwrap(), agent);
    assert_eq!(**config.centre().queue(QueueId(2)).unwrap(), second);
    assert_eq!(**config.centre().centre(ApplicationId(1)).unwrap(), centre);
    let seen = config.confined(B);
    assert_eq!(seen.centre().agents().count() + seen.centre().queues().count(), 0);
    assert_eq!(seen.centre().groups().map(|g| g.id).collect::<Vec<_>>(), [GroupId(2)]);
    store.erase_tenant(A).await.unwrap();
    assert_eq!(store.snapshot().centre().agents().count(), 0);
    assert_eq!(store.snapshot().centre().groups().count(), 1);
}
