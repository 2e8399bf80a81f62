//! The dialect over the real store: resources from its snapshot, records and re-pushes from its tables.

use crate::kit::*;
use serde_json::{Value, json};
use std::sync::Arc;
use strowger_core::event::Fact;
use strowger_core::resource::{ApplicationSettings, OwnedNumber};
use strowger_core::{ConversationId, Stamp};
use strowger_dialect_voicepaas::{Directory, Settings, StoreDirectory, StoreLedger, VoicePaas, router};
use strowger_store::config::{Application, Prompt, PromptState, Secret, Tenant, Token};
use strowger_store::{
    Account, Append, Attempt, Batch, Deadline, DeliveryFilter, MasterKey, NewDelivery, Outcome, RecordRow, Store,
    StoreConfig,
};

struct Backed {
    kit: Kit,
    store: Store,
    _folder: tempfile::TempDir,
}

fn tenant(id: strowger_core::TenantId) -> Tenant {
    Tenant::new(id, "t")
}

fn account(id: strowger_core::AccountId, tenant: strowger_core::TenantId) -> Account {
    Account {
        tokens: vec![Token {
            secret: Secret::new(TOKEN),
            created_at: START,
            expires_at: None,
        }],
        ..Account::new(id, tenant, "a")
    }
}

fn application(id: strowger_core::ApplicationId, tenant: strowger_core::TenantId) -> Application {
    Application {
        id,
        tenant,
        account: None,
        name: "app".into(),
        profile: "voice-paas".into(),
        settings: ApplicationSettings {
            default_cli: Some(number(CLI)),
            ..ApplicationSettings::default()
        },
        push_secret: None,
        disabled: false,
    }
}

impl Backed {
    fn new() -> Backed {
        let mut kit = Kit::new();
        kit.party(CALLER, Party::answers(1, 2));
        kit.party(CALLEE, Party::answers(1, 3).hangs_up(20));
        let folder = tempfile::tempdir().unwrap();
        let mut config = StoreConfig::new(folder.path(), MasterKey::new([7; 32]));
        config.min_free = 0;
        let store = kit.block_on(async { Store::open(config).unwrap() });
        let numbers = [CLI, CLI_A].map(|n| OwnedNumber {
            number: number(n),
            tenant: TENANT,
            applications: if n == CLI { vec![] } else { vec![OTHER_APP] },
            outgoing: true,
            incoming: false,
        });
        kit.block_on(async {
            for t in [TENANT, OTHER_TENANT] {
                store.put(tenant(t)).await.unwrap();
            }
            for (a, t) in [
                (ACCOUNT, TENANT),
                (SECOND_ACCOUNT, TENANT),
                (OTHER_ACCOUNT, OTHER_TENANT),
            ] {
                store.put(account(a, t)).await.unwrap();
            }
            for (a, t) in [(APP, TENANT), (OTHER_APP, OTHER_TENANT)] {
                store.put(application(a, t)).await.unwrap();
            }
            // A number of the tenant's that another application of it may show, not this one.
            let [open, closed] = numbers;
            store.put(open).await.unwrap();
            store
                .put(OwnedNumber {
                    applications: vec![strowger_core::ApplicationId(9)],
                    ..closed
                })
                .await
                .ok();
            for (name, state) in [("greet.wav", PromptState::Ready), ("made.wav", PromptState::Pending)] {
                let prompt = Prompt {
                    tenant: TENANT,
                    application: None,
                    name: name.into(),
                    duration_ms: 3_000,
                    file: name.into(),
                    checksum: String::new(),
                    state,
                };
                store.put(prompt).await.unwrap();
            }
        });
        let switch = kit.switch.clone();
        let now: strowger_dialect_voicepaas::Now = Arc::new(move || switch.world().now);
        kit.router = router(VoicePaas {
            calls: kit.switch.clone(),
            notices: kit.switch.clone(),
            agents: std::sync::Arc::new(crate::kit::NoAgents),
            directory: Arc::new(StoreDirectory::new(store.clone(), now.clone())),
            ledger: Arc::new(StoreLedger::new(store.clone(), now)),
            settings: Arc::new(Settings::default()),
        });
        Backed {
            kit,
            store,
            _folder: folder,
        }
    }

    /// Puts a conversation's journal from `seq` on into the store, as the runtime does.
    fn journal(&self, sid: &str, from: u32, version: u32) {
        let id = id(sid);
        let batch = {
            let world = self.kit.world();
            let c = &world.convs[&id];
            let head = &c.fold.head;
            let deliveries = c.deliveries.iter().filter(|d| d.event > from).map(|d| NewDelivery {
                tenant: head.tenant,
                conversation: id,
                application: head.application,
                seq: d.event,
                subscription: d.subscription as u16,
                topic: d.topic,
                url: d.url.clone(),
                content_type: "application/json".into(),
                body: d.bytes.clone(),
                key: d.key.clone(),
                not_before: Stamp(0),
                batch: None,
            });
            let row = RecordRow {
                tenant: head.tenant,
                conversation: id,
                application: head.application,
                account: head.account,
                kind: "click-to-call".into(),
                start: c.started,
                end: c.fold.last_at,
                version,
                body: vec![],
            };
            let mut batch = Batch::one(Append {
                tenant: head.tenant,
                conversation: id,
                expected_seq: from,
                events: c.events.iter().filter(|e| e.seq > from).cloned().collect(),
                open: false,
                deadline: Deadline::Keep,
            });
            batch.deliveries = deliveries.collect();
            batch.records = vec![row];
            batch
        };
        self.kit.block_on(self.store.append(batch)).unwrap();
    }

    /// A call that begins now, is over, and lies in the store.
    fn call(&self, more: Value) -> String {
        let sid = self.start(more);
        self.finish(&sid);
        sid
    }

    fn start(&self, more: Value) -> String {
        let sid = self.kit.click(more);
        let now = self.kit.world().now;
        self.kit.world().run_until(now.plus_secs(60));
        sid
    }

    fn finish(&self, sid: &str) {
        self.journal(sid, 0, 1);
    }

    fn page(&self, page: u32, size: u32) -> Vec<String> {
        let query = "cc/Cdrs?startTime=20250615000000&endTime=20250615235959";
        let reply = self.kit.get(&format!("{query}&pageNo={page}&pageSize={size}"));
        assert_eq!(reply.code(), "00000", "{}", reply.text);
        let list = reply.body["list"].as_array().unwrap().iter();
        list.map(|r| r["conversationSid"].as_str().unwrap().to_owned())
            .collect()
    }

    fn bodies(&self, id: ConversationId) -> Vec<(u32, Vec<u8>)> {
        let filter = DeliveryFilter {
            conversation: Some(id),
            ..DeliveryFilter::default()
        };
        let all = self.kit.block_on(self.store.deliveries(TENANT, filter)).unwrap();
        all.into_iter()
            .map(|d| (d.delivery.attempts, d.delivery.body))
            .collect()
    }
}

#[test]
fn resources_come_from_the_snapshot() {
    let b = Backed::new();
    let code = |more: Value| b.kit.try_click(more).code().to_owned();
    assert_eq!(code(json!({"greetVoice": "greet.wav"})), "00000");
    assert_eq!(code(json!({"greetVoice": "made.wav"})), "10010");
    assert_eq!(code(json!({"callerCli": CLI_A})), "10009");
    assert_eq!(code(json!({"callee": "+12025550100"})), "30005");
    let change = |t: Tenant| b.kit.block_on(b.store.put(t)).unwrap();
    change(Tenant {
        opened_prefixes: vec!["+1202".into()],
        ..tenant(TENANT)
    });
    assert_eq!(code(json!({"callee": "+12025550100"})), "00000");
    change(Tenant {
        disabled: true,
        ..tenant(TENANT)
    });
    assert_eq!(code(json!({})), "10001");
}

#[test]
fn an_old_token_of_the_store_expires() {
    let b = Backed::new();
    let mut a = account(ACCOUNT, TENANT);
    a.tokens[0].expires_at = Some(START.plus_secs(10));
    b.kit.block_on(b.store.put(a)).unwrap();
    assert_eq!(b.kit.try_click(json!({})).code(), "00000");
    b.kit.until(10.0);
    assert_eq!(b.kit.try_click(json!({})).code(), "10001");
    let directory = StoreDirectory::new(b.store.clone(), Arc::new(|| START));
    assert!(directory.account(strowger_core::AccountId(1)).is_none());
}

// accept: voice-paas 171
#[test]
fn pages_stay_whole_while_calls_begin_end_and_get_their_recordings() {
    for others in [false, true] {
        let b = Backed::new();
        if !others {
            // The account is alone, so that the index pages by itself; otherwise each row is looked at.
            let second = strowger_store::ResourceId::Account(SECOND_ACCOUNT);
            b.kit.block_on(b.store.remove(second)).unwrap();
        }
        let mut expected = vec![];
        let mut long = vec![];
        for n in 0..12 {
            let sid = b.start(json!({}));
            // Every third call is still running when the first page is read.
            if n % 3 == 1 {
                long.push(sid);
            } else {
                b.finish(&sid);
                expected.push(sid);
            }
        }
        let mut read = b.page(1, 3);
        // One of a page to come gets a new version of its record, the long ones end, and a new one arrives.
        b.kit.does(
            &expected[6],
            0,
            strowger_core::call::LegFact::Quality(Default::default()),
        );
        let at = b.kit.world().convs[&id(&expected[6])].fold.seq - 1;
        b.journal(&expected[6], at, 2);
        for sid in &long {
            b.finish(sid);
        }
        b.call(json!({}));
        for page in 2..=4 {
            read.extend(b.page(page, 3));
        }
        assert_eq!(read, expected, "others: {others}");
        // A new run sees all of them.
        assert_eq!(b.page(1, 200).len(), 13);
    }
}

// accept: voice-paas 173
// accept: domain-model I20
#[test]
fn a_record_of_the_store_by_its_ids_and_for_its_owner_only() {
    let b = Backed::new();
    let sid = b.call(json!({}));
    let one = b.kit.get(&format!("cc/Cdrs/{sid}"));
    assert_eq!(one.code(), "00000");
    let leg = strowger_dialect_voicepaas::call_sid(id(&sid), strowger_core::LegSeq(1));
    assert_eq!(b.kit.get(&format!("cc/Cdrs/{leg}")), one);
    for who in [(OTHER_ACCOUNT, OTHER_APP), (SECOND_ACCOUNT, APP)] {
        assert_eq!(b.kit.get_as(who, &format!("cc/Cdrs/{sid}")).code(), "20001");
        let cancel = json!({"action": "cancelCall"});
        let reply = b.kit.post_as(who, &format!("ctc/Conversations/{sid}"), &cancel);
        assert_eq!(reply.code(), "20001");
        let again = b.kit.post_as(who, "cc/Cdrs/repush", &json!({"callids": [&sid]}));
        assert_eq!(again.body["count"], "0");
    }
    assert_eq!(b.kit.cancel(&sid).code(), "20002");
}

// accept: voice-paas 174, 217
#[test]
fn what_is_pushed_again_is_the_newest_version_byte_for_byte() {
    let b = Backed::new();
    b.kit.world().file_after = Some(300_000);
    let mut all = vec![];
    for _ in 0..3 {
        let sid = b.kit.click(json!({"record": 2, "statusUrl": null}));
        let now = b.kit.world().now;
        b.kit.world().run_until(now.plus_secs(500));
        b.finish(&sid);
        all.push(sid);
    }
    // Two versions each: without and with the link. Both were delivered.
    let frozen: Vec<_> = all.iter().map(|sid| b.bodies(id(sid))).collect();
    assert!(frozen.iter().all(|f| f.len() == 2));
    for (sid, versions) in all.iter().zip(&frozen) {
        for version in 0..versions.len() {
            let filter = DeliveryFilter {
                conversation: Some(id(sid)),
                ..DeliveryFilter::default()
            };
            let listed = b.kit.block_on(b.store.deliveries(TENANT, filter)).unwrap();
            // Newest first: the oldest is sent first.
            let sent = &listed[versions.len() - 1 - version];
            let attempt = Attempt {
                id: sent.delivery.id,
                at: b.kit.world().now,
                outcome: Outcome::Delivered,
            };
            b.kit.block_on(b.store.report_attempts(vec![attempt])).unwrap();
        }
    }
    // The range takes the first two.
    let range = json!({"startTime": "20250615100000", "endTime": "20250615100959"});
    let reply = b.kit.post("cc/Cdrs/repush", &range);
    assert_eq!(reply.body["count"], "2", "{}", reply.text);
    let take = strowger_store::Take {
        now: b.kit.world().now,
        limit: 10,
        per_destination: 10,
        room: Default::default(),
    };
    let mut again = b.kit.block_on(b.store.take_deliveries(take)).unwrap().deliveries;
    again.sort_by_key(|d| d.conversation);
    assert_eq!(again.len(), 2);
    for (d, sid) in again.iter().zip(&all) {
        let pushed: Vec<Value> = b.kit.cdrs(sid);
        assert_eq!(d.conversation, id(sid));
        let body: Value = serde_json::from_slice(&d.body).unwrap();
        assert_eq!(body, pushed[1], "the version with the link");
        assert!(frozen.iter().flatten().any(|f| f.1 == d.body));
        assert_eq!(d.attempts, 1, "the attempt number goes on");
    }
    let world = b.kit.world();
    let ended = world.convs[&id(&all[0])]
        .events
        .iter()
        .any(|e| matches!(e.fact, Fact::RecordDue));
    assert!(ended);
}
