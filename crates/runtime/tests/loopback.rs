//! The runtime on real engines: SIP and RTP over loopback, the journal on disk.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use strowger_core::call::{
    AddPlan, Builtin, ClickPlan, Command, PartyPlan, RecordingCommand, RecordingPause, Ringback, Target,
};
use strowger_core::event::{Created, Kind, RecordMode, Via};
use strowger_core::project::{Batching, Body, Projector, Subscription, Topic};
use strowger_core::record::RecordingRecord;
use strowger_core::resource::{PrefixRule, Route, RouteTarget, Trunk};
use strowger_core::spend::Payer;
use strowger_core::{
    ApplicationId, Cause, ConversationId, ConversationRecord, Event, Fact, LegSeq, Number, RouteId, TenantId, TrunkId,
};
use strowger_runtime::clock::wall_now;
use strowger_runtime::owner::World;
use strowger_runtime::{
    Calls, MediaSink, SipSink, SoundLibrary, Switch, SwitchCalls, SwitchConfig, recovery, retention,
};
use strowger_sip::{Endpoint, EndpointConfig, EndpointHandle};
use strowger_sip_core::{
    AckMode, Command as Sip, DialogHandle, Invite, Party, Replaces, SipEvent, Target as SipTarget,
};
use strowger_store::{Application, CommandId, MasterKey, Store, StoreConfig, Tenant};

const TENANT: TenantId = TenantId(1);
const APP: ApplicationId = ApplicationId(2);

struct Platform {
    switch: Arc<Switch>,
    store: Store,
    _media: strowger_media::Engine,
    endpoint: EndpointHandle,
    _folder: tempfile::TempDir,
    _ports: std::net::UdpSocket,
}

fn wav(millis: usize) -> Vec<u8> {
    let data = vec![0u8; millis * 16];
    let mut f = Vec::new();
    f.extend(b"RIFF");
    f.extend((36 + data.len() as u32).to_le_bytes());
    f.extend(b"WAVEfmt ");
    f.extend(16u32.to_le_bytes());
    f.extend([1, 0, 1, 0]);
    f.extend(8000u32.to_le_bytes());
    f.extend(16_000u32.to_le_bytes());
    f.extend([2, 0, 16, 0]);
    f.extend(b"data");
    f.extend((data.len() as u32).to_le_bytes());
    f.extend(data);
    f
}

/// Pushes each end, and says that it may travel with others.
struct Ends;

impl Projector for Ends {
    fn name(&self) -> &'static str {
        "ends"
    }

    fn project(&self, _: &Subscription, _: &ConversationRecord, event: &Event) -> Option<Body> {
        (event.fact == Fact::Ended).then(|| Body {
            content_type: "application/json",
            bytes: b"{}".into(),
            key: "k".into(),
            batch: Some(Batching {
                most: 7,
                window_ms: 3_600_000,
            }),
        })
    }
}

fn shipped() -> Vec<(&'static str, Vec<u8>)> {
    Builtin::ALL.iter().map(|b| (b.file(), wav(200))).collect()
}

fn switch_config() -> SwitchConfig {
    SwitchConfig {
        codecs: Vec::new(),
        hosts: vec!["127.0.0.1".into()],
        door: Default::default(),
        ladder: Default::default(),
        max_conversations: 10,
        browser_grace: Duration::from_secs(20),
        incoming: Arc::new(|_| Vec::new()),
    }
}

async fn platform(trunk: SocketAddr) -> Platform {
    let (ports, lock) = strowger_media::testkit::port_block();
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(StoreConfig::new(folder.path().join("db"), MasterKey::new([7; 32]))).unwrap();
    store.put(Tenant::new(TENANT, "t")).await.unwrap();
    store
        .put(Application {
            id: APP,
            tenant: TENANT,
            account: None,
            name: "a".into(),
            profile: "p".into(),
            settings: Default::default(),
            push_secret: None,
            disabled: false,
        })
        .await
        .unwrap();
    store
        .put(Trunk {
            name: "far".into(),
            priority: 1,
            options_interval: 0,
            ..Trunk::new(TrunkId(3), Some(trunk))
        })
        .await
        .unwrap();
    let sounds = SoundLibrary::new(store.clone(), folder.path().join("prompts"), &shipped()).unwrap();
    let config = switch_config();
    let ends: Arc<dyn Projector> = Arc::new(Ends);
    let projectors = Arc::new(HashMap::from([("ends", ends)]));
    let switch = Switch::new(config, store.clone(), sounds, projectors);
    let media = strowger_media::Config {
        ports,
        recording_dir: folder.path().join("recordings"),
        realtime: false,
        pin: false,
        ..Default::default()
    };
    let media = strowger_media::Engine::start(media, Arc::new(MediaSink(switch.clone()))).unwrap();
    let sip = EndpointConfig::udp("127.0.0.1:0".parse().unwrap(), [1; 16]);
    let endpoint = Endpoint::start(sip, Arc::new(SipSink(switch.clone()))).unwrap();
    switch.attach(endpoint.clone(), media.handle());
    Platform {
        switch,
        store,
        _media: media,
        endpoint,
        _folder: folder,
        _ports: lock,
    }
}

const SDP: &[u8] = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 8\r\n";

/// A far side that rings and answers every call.
struct Far {
    handle: EndpointHandle,
    calls: Arc<Mutex<Vec<DialogHandle>>>,
    /// Request-URIs of the calls.
    uris: Arc<Mutex<Vec<String>>>,
    /// The same calls as a Replaces would name them.
    names: Arc<Mutex<Vec<Replaces>>>,
    over: Arc<Mutex<usize>>,
}

fn far() -> Far {
    let calls: Arc<Mutex<Vec<DialogHandle>>> = Arc::default();
    let uris: Arc<Mutex<Vec<String>>> = Arc::default();
    let names: Arc<Mutex<Vec<Replaces>>> = Arc::default();
    let over: Arc<Mutex<usize>> = Arc::default();
    let this: Arc<std::sync::OnceLock<EndpointHandle>> = Arc::default();
    let sink = {
        let (calls, uris, over, this) = (calls.clone(), uris.clone(), over.clone(), this.clone());
        let names = names.clone();
        move |handle: DialogHandle, event: SipEvent| {
            if event.is_terminal() {
                *over.lock().unwrap() += 1;
            }
            if let SipEvent::Incoming(invite) = event {
                uris.lock().unwrap().push(invite.request_uri.clone());
                names.lock().unwrap().push(Replaces {
                    call_id: invite.call_id.clone(),
                    to_tag: invite.snapshot.remote_tag.clone(),
                    from_tag: invite.snapshot.local_tag.clone(),
                    early_only: false,
                });
                calls.lock().unwrap().push(handle);
                let respond = |status, sdp: Option<&'static [u8]>| {
                    this.get()
                        .unwrap()
                        .send(Sip::Respond {
                            handle,
                            status,
                            reason_phrase: None,
                            headers: vec![],
                            sdp: sdp.map(bytes::Bytes::from_static),
                            reliable: false,
                        })
                        .unwrap();
                };
                respond(180, None);
                respond(200, Some(SDP));
            }
        }
    };
    let config = EndpointConfig::udp("127.0.0.1:0".parse().unwrap(), [2; 16]);
    let handle = Endpoint::start(config, Arc::new(sink)).unwrap();
    this.set(handle.clone()).ok().unwrap();
    Far {
        handle,
        calls,
        uris,
        names,
        over,
    }
}

fn plan() -> (Created, ClickPlan) {
    let party = |n: &str| PartyPlan {
        target: Target::Number(Number::from_canonical(n)),
        text: n.into(),
        cli: None,
    };
    let head = Created {
        tenant: TENANT,
        application: APP,
        account: None,
        kind: Kind::ClickToCall,
        ani: "1".into(),
        dnis: "2".into(),
        user_data: String::new(),
        max_duration: None,
        record: RecordMode::FromAnswer,
        subscriptions: vec![],
    };
    let plan = ClickPlan {
        caller: party("+8613800000001"),
        callee: party("+8613800000002"),
        greeting: None,
        ringback: Ringback::Transparent,
        caller_voice: None,
        callee_voice: None,
        last_minute: None,
        ring_timeout: 30,
        record_wait: 5,
        answer: Default::default(),
    };
    (head, plan)
}

/// Asks until the answer is there; each try waits for the conversation's own progress, none for a fixed time.
async fn eventually<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let give_up = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(tokio::time::Instant::now() < give_up, "it did not happen within 20 s");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn ended(store: &Store, id: ConversationId) -> ConversationRecord {
    eventually(async || {
        store
            .load_record(TENANT, id)
            .await
            .unwrap()
            .filter(|r| r.ended_at.is_some() && !r.recording_pending())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_leaves_one_record_and_no_leg() {
    let far = far();
    let p = platform(far.handle.local_addrs()[0]).await;
    let calls = SwitchCalls(p.switch.clone());
    let (mut head, plan) = plan();
    head.subscriptions = vec![Subscription {
        topic: Topic::CallRecord,
        url: "http://127.0.0.1:9/".into(),
        projector: "ends".into(),
        context: vec![],
    }];
    let id = calls.click_to_call(head, plan, None).await.unwrap();
    eventually(async || {
        let live = calls.inspect(TENANT, id).await.ok()?;
        (live.record.legs.len() == 2 && live.record.legs[1].bridge.is_some()).then_some(())
    })
    .await;
    assert!(
        calls.inspect(TenantId(9), id).await.is_err(),
        "another tenant does not see it"
    );
    calls
        .command(TENANT, id, Command::Cancel { leg: None }, None)
        .await
        .unwrap();
    let record = ended(&p.store, id).await;
    assert_eq!(record.end.unwrap().0, Cause::Admin);
    assert_eq!(record.recordings.len(), 1);
    // Its push is in the same commit, and waits for others as its projector said.
    let pushes = p.store.deliveries(TENANT, Default::default()).await.unwrap();
    let together = pushes[0].delivery.together.unwrap();
    assert_eq!((pushes.len(), together.most), (1, 7));
    assert_eq!(together.due, pushes[0].delivery.queued_at.plus_ms(3_600_000));
    eventually(async || (p.switch.running() == 0).then_some(())).await;
    eventually(async || (*far.over.lock().unwrap() == 2).then_some(())).await;
    assert_eq!(far.calls.lock().unwrap().len(), 2);
    // A command comes too late now, and another tenant's is unknown.
    let late = calls.command(TENANT, id, Command::Cancel { leg: None }, None).await;
    assert_eq!(late.unwrap_err().code(), "call.ended");
    let foreign = calls
        .command(TenantId(9), id, Command::Cancel { leg: None }, None)
        .await;
    assert_eq!(foreign.unwrap_err().code(), "call.not_found");
    p.endpoint.shutdown(Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drained_switch_takes_no_calls_and_records_those_it_ends() {
    let far = far();
    let p = platform(far.handle.local_addrs()[0]).await;
    let calls = SwitchCalls(p.switch.clone());
    let (head, first) = plan();
    let id = calls.click_to_call(head.clone(), first, None).await.unwrap();
    p.switch.shut_down(Duration::from_millis(300)).await;
    assert_eq!(p.switch.running(), 0);
    let record = ended(&p.store, id).await;
    assert_eq!(record.end.unwrap().0, Cause::SystemError);
    let (_, second) = plan();
    assert_eq!(
        calls.click_to_call(head, second, None).await.unwrap_err().code(),
        "call.draining"
    );
    // Nothing is left for a recovery to do.
    let done = recovery::recover(&p.switch, p._folder.path()).await.unwrap();
    assert_eq!(done, recovery::Recovered::default());
}

/// A tenant whose talk of today has cost its cap gets no call over the trunks, but its emergency calls; also after a
/// restart, from the records.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cap_of_spending_stops_new_calls_and_no_emergency() {
    let far = far();
    let p = platform(far.handle.local_addrs()[0]).await;
    let priced = |price| Trunk {
        rules: vec![PrefixRule {
            prefix: String::new(),
            strip: 0,
            prepend: String::new(),
            allow: true,
            price,
        }],
        ..Trunk::clone(p.store.snapshot().trunk(TrunkId(3)).unwrap())
    };
    p.store.put(priced(u32::MAX)).await.unwrap();
    let capped = Tenant {
        max_daily_spend: 1,
        emergency: Some(TrunkId(3)),
        ..Tenant::new(TENANT, "t")
    };
    p.store.put(capped).await.unwrap();
    let calls = SwitchCalls(p.switch.clone());
    let (head, plan) = plan();
    let id = calls.click_to_call(head.clone(), plan.clone(), None).await.unwrap();
    eventually(async || {
        let spent = p.switch.spending.spent(Payer::Tenant(TENANT), wall_now(), 480);
        (spent >= 1).then_some(())
    })
    .await;
    let refused = calls.click_to_call(head.clone(), plan.clone(), None).await;
    assert_eq!(refused.unwrap_err().code(), "call.spend_limit", "while the first runs");
    let added = calls.command(TENANT, id, third(), None).await;
    assert_eq!(added.unwrap_err().code(), "call.spend_limit", "nor a third party");
    calls
        .command(TENANT, id, Command::Cancel { leg: None }, None)
        .await
        .unwrap();
    let record = ended(&p.store, id).await;
    let refused = calls.click_to_call(head.clone(), plan.clone(), None).await;
    assert_eq!(refused.unwrap_err().code(), "call.spend_limit", "when it is over");
    let mut emergency = plan;
    for party in [&mut emergency.caller, &mut emergency.callee] {
        party.target = Target::Number(Number::from_canonical("110"));
    }
    calls.click_to_call(head, emergency, None).await.unwrap();

    let stopped = record.legs.iter().filter_map(|l| l.stop).max().unwrap();
    let again = Switch::new(
        switch_config(),
        p.store.clone(),
        SoundLibrary::new(p.store.clone(), p._folder.path().join("prompts"), &shipped()).unwrap(),
        Arc::default(),
    );
    assert_eq!(again.spending.spent(Payer::Tenant(TENANT), stopped, 480), 0);
    again.restore_spending().await.unwrap();
    assert!(again.spending.spent(Payer::Tenant(TENANT), stopped, 480) >= 1);
    p.endpoint.shutdown(Duration::from_secs(1)).await;
}

/// A third party over the trunks, at once.
fn third() -> Command {
    Command::Add(Box::new(AddPlan {
        party: PartyPlan {
            target: Target::Number(Number::from_canonical("+8613800000003")),
            text: "3".into(),
            cli: None,
        },
        greeting: None,
        ringback: Ringback::Transparent,
        caller_voice: None,
        callee_voice: None,
        record: false,
        ring_timeout: 30,
    }))
}

/// A recording is paused and ended by command while the talk goes on, and deleted when its days are over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_is_handled_by_command_and_kept_for_its_days() {
    let far = far();
    let p = platform(far.handle.local_addrs()[0]).await;
    let folder = p._folder.path().join("recordings");
    let mut app = Application::clone(p.store.snapshot().application(APP).unwrap());
    app.settings.recording.compressed = true;
    app.settings.recording.days = 30;
    p.store.put(app).await.unwrap();
    let calls = SwitchCalls(p.switch.clone());
    let (head, plan) = plan();
    let id = calls.click_to_call(head, plan, None).await.unwrap();
    let talk = async || {
        let live = calls.inspect(TENANT, id).await.ok()?;
        (live.record.legs.len() == 2 && live.record.legs[1].bridge.is_some()).then_some(())
    };
    eventually(talk).await;
    let ask = async |command| calls.command(TENANT, id, Command::Recording(command), None).await;
    ask(RecordingCommand::Pause(RecordingPause::Mask)).await.unwrap();
    ask(RecordingCommand::Resume).await.unwrap();
    ask(RecordingCommand::Stop).await.unwrap();
    let file = eventually(async || {
        let live = calls.inspect(TENANT, id).await.ok()?;
        match live.record.recordings.as_slice() {
            [RecordingRecord::Finished { name, .. }] => Some(folder.join(name)),
            _ => None,
        }
    })
    .await;
    assert!(std::fs::read(&file).unwrap().starts_with(b"OggS"));
    let refused = ask(RecordingCommand::Pause(RecordingPause::Cut)).await;
    assert!(refused.unwrap_err().to_string().contains("start a recording"));
    ask(RecordingCommand::Start).await.unwrap();
    calls
        .command(TENANT, id, Command::Cancel { leg: None }, None)
        .await
        .unwrap();
    let record = ended(&p.store, id).await;
    assert_eq!(record.recordings.len(), 2);
    assert!(record.pauses.len() == 1 && record.pauses[0].masked && record.pauses[0].until.is_some());

    let over = record.ended_at.unwrap();
    std::fs::write(folder.join("notes.wav"), b"the operator's").unwrap();
    let archive = tempfile::tempdir().unwrap();
    let target = strowger_blobs::Target::Folder(archive.path().into());
    let blobs = std::sync::Arc::new(strowger_blobs::Blobs::open(folder.clone(), target).unwrap());
    // One of the two goes into the store, and a file that no record knows stays where it is.
    let stray = folder.join(format!("RE{}{}.ogg", "1".repeat(32), "2".repeat(32)));
    std::fs::rename(&file, folder.join("aside")).unwrap();
    std::fs::write(&stray, b"x").unwrap();
    let mut unknown = strowger_runtime::archive::Unknown::default();
    let moved = strowger_runtime::archive::pass(&p.store, &blobs, &mut unknown).await;
    assert_eq!((moved.stored, moved.failed), (1, 0));
    assert!(stray.exists());
    std::fs::rename(folder.join("aside"), &file).unwrap();
    let kept = || walk(archive.path()).len();
    assert_eq!(kept(), 1);
    let pass = async |days: i64| retention::sweep(&p.store, &blobs, over.plus_ms(days as u64 * 86_400_000)).await;
    assert_eq!(pass(29).await.unwrap(), retention::Swept::default());
    assert!(file.exists());
    assert_eq!(pass(31).await.unwrap().deleted, 2);
    assert!(!file.exists() && folder.join("notes.wav").exists() && kept() == 0);
    p.endpoint.shutdown(Duration::from_secs(1)).await;
}

/// All files in a folder and its folders.
fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    let (folders, mut files): (Vec<_>, Vec<_>) = entries.partition(|p| p.is_dir());
    files.extend(folders.iter().flat_map(|f| walk(f)));
    files
}

fn named(key: &str, request: &str) -> Option<CommandId> {
    CommandId::new(TENANT, None, key.as_bytes(), &[request.as_bytes()])
}

// accept: domain-model I11
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_named_command_is_executed_once() {
    let far = far();
    let p = platform(far.handle.local_addrs()[0]).await;
    // One conversation at a time: what is repeated needs no second place.
    let mut app = Application::clone(p.store.snapshot().application(APP).unwrap());
    app.settings.max_conversations = 1;
    p.store.put(app).await.unwrap();
    let calls = SwitchCalls(p.switch.clone());
    let click = |key: &str, request: &str| {
        let (head, plan) = plan();
        calls.click_to_call(head, plan, named(key, request))
    };
    let (one, two, three) = tokio::join!(click("k", "a"), click("k", "a"), click("k", "b"));
    let id = one.unwrap();
    assert_eq!(two.unwrap(), id, "both in flight at once");
    assert_eq!(three.unwrap_err().code(), "call.key_reused");
    assert_eq!(click("k", "a").await.unwrap(), id, "later");
    assert_eq!(click("other", "a").await.unwrap_err().code(), "call.concurrency");
    assert_eq!(p.switch.running(), 1);
    eventually(async || {
        let live = calls.inspect(TENANT, id).await.ok()?;
        (live.record.legs.len() == 2 && live.record.legs[1].bridge.is_some()).then_some(())
    })
    .await;
    // A third party is added once, whatever the state that the first command has led to.
    let add = |key: &str, request: &str| calls.command(TENANT, id, third(), named(key, request));
    let (one, two) = tokio::join!(add("k", "add"), add("k", "add"));
    assert_eq!((one.unwrap().leg, two.unwrap().leg), (Some(LegSeq(2)), Some(LegSeq(2))));
    assert_eq!(add("k", "add").await.unwrap().leg, Some(LegSeq(2)));
    assert_eq!(add("k", "another").await.unwrap_err().code(), "call.key_reused");
    assert_eq!(add("l", "add").await.unwrap_err().code(), "call.party_limit");
    p.switch.shut_down(Duration::from_millis(100)).await;
    assert_eq!(
        click("k", "a").await.unwrap(),
        id,
        "also when it is over and nothing new is taken"
    );
    let record = ended(&p.store, id).await;
    assert_eq!(record.legs.len(), 3);
    assert_eq!(far.calls.lock().unwrap().len(), 3, "nobody was dialled twice");
    p.endpoint.shutdown(Duration::from_secs(1)).await;
}

/// A PBX behind a trunk gets the calls to a number, written as its trunk wants it, and nobody else does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_route_to_a_trunk_goes_there_only_with_the_number_rewritten() {
    let (carrier, pbx, foreign) = (far(), far(), far());
    let p = platform(carrier.handle.local_addrs()[0]).await;
    let trunk = |id, far: &Far, tenant, priority| Trunk {
        id: TrunkId(id),
        tenant,
        address: Some(far.handle.local_addrs()[0]),
        priority,
        rules: vec![PrefixRule {
            prefix: "+8610".into(),
            strip: 7,
            prepend: "9".into(),
            allow: true,
            price: 0,
        }],
        ..Trunk::clone(p.store.snapshot().trunk(TrunkId(3)).unwrap())
    };
    p.store.put(trunk(4, &pbx, Some(TENANT), 9)).await.unwrap();
    let number = Number::from_canonical("+861062345678");
    let ways = |id| p.switch.ways(TENANT, &Target::Trunk(TrunkId(id), number.clone()));
    assert_eq!(ways(4)[0].uri, format!("sip:9345678@{}", pbx.handle.local_addrs()[0]));
    assert_eq!(ways(4).len(), 1, "no other trunk steps in");
    assert!(ways(99).is_empty());
    let mut other = Tenant::clone(p.store.snapshot().tenant(TENANT).unwrap());
    other.id = TenantId(9);
    p.store.put(other).await.unwrap();
    p.store.put(trunk(5, &foreign, Some(TenantId(9)), 1)).await.unwrap();
    assert!(ways(5).is_empty(), "another tenant's");
    let target = Target::Trunk(TrunkId(4), Number::from_canonical("+8613800000001"));
    assert!(p.switch.ways(TENANT, &target).is_empty(), "its rules refuse the number");

    let route = Route {
        id: RouteId(1),
        application: APP,
        number,
        target: RouteTarget::Trunk(TrunkId(4)),
    };
    p.store.put(route).await.unwrap();
    let to = p.endpoint.local_addrs()[0];
    let invite = Invite {
        handle: DialogHandle(1),
        call_id: "route@test".into(),
        local_tag: "t1".into(),
        branch_stem: "s1".into(),
        request_uri: format!("sip:01062345678@{to}"),
        to: Party::new(format!("sip:01062345678@{to}")),
        from: Party::new("sip:13800000001@127.0.0.1"),
        headers: Vec::new(),
        destination: SipTarget::udp(to),
        local: None,
        sdp: Some(bytes::Bytes::from_static(SDP)),
        credentials: None,
        ack: AckMode::Automatic,
        route: Vec::new(),
        contact_user: None,
        reliable: Default::default(),
    };
    carrier.handle.send(Sip::Invite(Box::new(invite))).unwrap();
    eventually(async || (!pbx.calls.lock().unwrap().is_empty()).then_some(())).await;
    let uri = pbx.uris.lock().unwrap()[0].clone();
    assert_eq!(uri, format!("sip:9345678@{}", pbx.handle.local_addrs()[0]));
    let id = eventually(async || p.switch.running_ids().first().copied()).await;
    p.switch.shut_down(Duration::from_millis(200)).await;
    let record = ended(&p.store, id).await;
    assert_eq!(record.legs[1].to, "+861062345678");
    assert_eq!(record.legs[1].attempts[0].0, Via::Trunk(TrunkId(4)));
    assert_eq!(
        (carrier.calls.lock().unwrap().len(), foreign.calls.lock().unwrap().len()),
        (0, 0)
    );
    p.endpoint.shutdown(Duration::from_secs(1)).await;
}

/// A party of one conversation hands its talk over to the one that it has in another conversation: the switch calls itself
/// (RFC 3891).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attended_transfer_joins_two_conversations_of_a_tenant() {
    let far = far();
    let p = platform(far.handle.local_addrs()[0]).await;
    let calls = SwitchCalls(p.switch.clone());
    let mut ids = vec![];
    for _ in 0..2 {
        let (head, plan) = plan();
        let id = calls.click_to_call(head, plan, None).await.unwrap();
        eventually(async || {
            let live = calls.inspect(TENANT, id).await.ok()?;
            (live.record.legs.len() == 2 && live.record.legs[1].bridge.is_some()).then_some(())
        })
        .await;
        ids.push(id);
    }
    // The callee of the first is the caller of the second.
    let handle = far.calls.lock().unwrap()[1];
    let own = format!("sip:2@{}", p.endpoint.local_addrs()[0]);
    let refer_to = far.names.lock().unwrap()[2].in_uri(&own);
    let refer = Sip::Refer {
        handle,
        refer_to,
        referred_by: None,
    };
    far.handle.send(refer).unwrap();
    let joined = eventually(async || {
        let one = calls.inspect(TENANT, ids[0]).await.ok()?.record;
        let two = calls.inspect(TENANT, ids[1]).await.ok()?.record;
        let left = |r: &ConversationRecord, leg: usize| r.legs[leg].end.is_some_and(|e| e.0 == Cause::Transferred);
        let both = one.legs.len() == 3 && two.legs.len() == 3;
        (both && left(&one, 1) && left(&two, 0)).then_some((one, two))
    })
    .await;
    let (one, two) = joined;
    assert_eq!(one.legs[2].transfer.and_then(|t| t.result), Some(Ok(())));
    assert_eq!(one.legs[2].attempts[0].0, Via::Platform);
    assert_eq!(two.legs[2].replaces, Some(LegSeq(0)));
    assert!(one.legs[2].bridge.is_some() && two.legs[2].bridge.is_some());
    // The two that are left talk through both; whoever hangs up ends both.
    let callee = far.calls.lock().unwrap()[3];
    let bye = Sip::Bye {
        handle: callee,
        reason: None,
    };
    far.handle.send(bye).unwrap();
    for id in ids {
        assert_eq!(ended(&p.store, id).await.end.unwrap().0, Cause::Normal);
    }
    eventually(async || (*far.over.lock().unwrap() == 4).then_some(())).await;
    eventually(async || (p.switch.running() == 0).then_some(())).await;
    p.endpoint.shutdown(Duration::from_secs(1)).await;
}
