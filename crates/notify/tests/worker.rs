//! The notifier against real HTTP servers on loopback that behave, hang, fail, redirect and come back.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use strowger_core::event::{Created, Kind, RecordMode};
use strowger_core::project::{Batching, Topic};
use strowger_core::{ApplicationId, ConversationId, Event, Fact, Stamp, TenantId};
use strowger_notify::{Notifier, NotifyConfig, Schedule};
use strowger_store::webhooks::Webhook;
use strowger_store::{
    Append, Application, Batch, Deadline, DeliveryFilter, DeliveryInfo, DeliveryState, Durability, MasterKey,
    NewDelivery, Repush, Secret, Store, StoreConfig, Tenant,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

const TENANT: TenantId = TenantId(7);
const STRICT: TenantId = TenantId(8);
const APPLICATION: ApplicationId = ApplicationId(70);
const PATIENCE: Duration = Duration::from_secs(20);

fn open(path: &Path) -> Store {
    let settings = StoreConfig::new(path, MasterKey::new([1; 32]));
    Store::open(StoreConfig {
        durability: Durability::Process,
        min_free: 0,
        ..settings
    })
    .unwrap()
}

/// A store with a tenant that may push to 127.0.0.1 and one that may push to public addresses only.
async fn store(path: &Path) -> Store {
    let store = open(path);
    for (id, allowed) in [(TENANT, vec!["127.0.0.1".parse().unwrap()]), (STRICT, vec![])] {
        let tenant = Tenant {
            push_allowed: allowed,
            ..Tenant::new(id, "t")
        };
        store.put(tenant).await.unwrap();
    }
    let application = Application {
        id: APPLICATION,
        tenant: TENANT,
        account: None,
        name: "a".into(),
        profile: "p".into(),
        settings: Default::default(),
        push_secret: Some(Secret::new("Jefe")),
        disabled: false,
    };
    store.put(application).await.unwrap();
    store
}

/// Retries after 20 ms, for ever.
fn config() -> NotifyConfig {
    NotifyConfig {
        timeout: Duration::from_millis(400),
        schedule: Schedule {
            steps: vec![],
            then_every: Some(Duration::from_millis(20)),
            ..Schedule::default()
        },
        ..NotifyConfig::default()
    }
}

fn id(n: u64) -> ConversationId {
    ConversationId::mint(1_700_000_000_000, n)
}

/// Appends a conversation with these deliveries: subscription and URL, positions from 1.
async fn push(store: &Store, tenant: TenantId, n: u64, list: &[(u16, &str)]) {
    push_with(store, tenant, n, list, None).await;
}

/// The same; those that may share a request have their key as their body.
async fn push_with(store: &Store, tenant: TenantId, n: u64, list: &[(u16, &str)], batch: Option<Batching>) {
    let created = Created {
        tenant,
        application: APPLICATION,
        account: None,
        kind: Kind::Inbound,
        ani: String::new(),
        dnis: String::new(),
        user_data: String::new(),
        max_duration: None,
        record: RecordMode::None,
        subscriptions: vec![],
    };
    let event = Event {
        conversation: id(n),
        seq: 1,
        at: Stamp(0),
        fact: Fact::Created(Box::new(created)),
    };
    let append = Append {
        tenant,
        conversation: id(n),
        expected_seq: 0,
        events: vec![event],
        open: false,
        deadline: Deadline::Keep,
    };
    let now = (NotifyConfig::default().clock)();
    let deliveries = list.iter().enumerate().map(|(i, (subscription, url))| NewDelivery {
        tenant,
        conversation: id(n),
        application: APPLICATION,
        seq: i as u32 + 1,
        subscription: *subscription,
        topic: Topic::CallRecord,
        url: (*url).into(),
        content_type: "application/json".into(),
        body: match batch {
            None => b"what do ya want for nothing?".into(),
            Some(_) => format!("\"{n}-{}\"", i + 1).into_bytes(),
        },
        key: format!("{n}-{}", i + 1),
        not_before: now,
        batch,
    });
    let batch = Batch {
        appends: vec![append],
        deliveries: deliveries.collect(),
        ..Batch::default()
    };
    store.append(batch).await.unwrap();
}

async fn states(store: &Store, tenant: TenantId) -> Vec<DeliveryInfo> {
    let mut list = store
        .deliveries(
            tenant,
            DeliveryFilter {
                limit: 1000,
                ..Default::default()
            },
        )
        .await
        .unwrap();
    list.reverse();
    list
}

#[derive(Debug)]
struct Request {
    path: String,
    headers: HashMap<String, String>,
    body: Vec<u8>,
}

impl Request {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

enum Reply {
    Status(u16),
    Redirect(String),
    /// Never answers.
    Hang,
    /// Success, then a body that trickles for ever.
    Trickle,
}

/// A receiver: its address, and what it got.
struct Receiver {
    address: SocketAddr,
    requests: mpsc::Receiver<Request>,
}

impl Receiver {
    async fn start(reply: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Receiver {
        Receiver::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), reply)
    }

    fn on(listener: TcpListener, reply: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Receiver {
        let address = listener.local_addr().unwrap();
        let (tx, requests) = mpsc::channel(4096);
        let reply = Arc::new(reply);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, tx.clone(), reply.clone()));
            }
        });
        Receiver { address, requests }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    async fn next(&mut self) -> Request {
        tokio::time::timeout(PATIENCE, self.requests.recv())
            .await
            .expect("a request in time")
            .unwrap()
    }
}

async fn serve(
    mut stream: TcpStream,
    tx: mpsc::Sender<Request>,
    reply: Arc<impl Fn(&Request) -> Reply + Send + Sync + 'static>,
) -> Option<()> {
    let mut buffer = Vec::new();
    loop {
        let end = loop {
            if let Some(i) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                break i + 4;
            }
            if stream.read_buf(&mut buffer).await.ok()? == 0 {
                return None;
            }
        };
        let head = String::from_utf8(buffer[..end].to_vec()).unwrap();
        let mut lines = head.lines();
        let path = lines.next()?.split(' ').nth(1)?.to_owned();
        let pairs = lines.filter_map(|l| l.split_once(": "));
        let headers: HashMap<_, _> = pairs.map(|(k, v)| (k.to_ascii_lowercase(), v.to_owned())).collect();
        let length: usize = headers.get("content-length").map_or(0, |l| l.parse().unwrap());
        while buffer.len() < end + length {
            stream.read_buf(&mut buffer).await.ok()?;
        }
        let body = buffer[end..end + length].to_vec();
        buffer.drain(..end + length);
        let request = Request { path, headers, body };
        let answer = reply(&request);
        tx.send(request).await.ok()?;
        let text = match answer {
            Reply::Status(s) => format!("HTTP/1.1 {s} X\r\nContent-Length: 2\r\n\r\nok"),
            Reply::Redirect(to) => format!("HTTP/1.1 307 X\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n"),
            Reply::Hang => std::future::pending().await,
            Reply::Trickle => "HTTP/1.1 200 X\r\nContent-Length: 100000\r\n\r\nx".into(),
        };
        stream.write_all(text.as_bytes()).await.ok()?;
    }
}

/// True for every `n`th call.
fn every(n: usize) -> impl Fn() -> bool + Send + Sync {
    let count = std::sync::atomic::AtomicUsize::new(0);
    move || (count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1).is_multiple_of(n)
}

#[tokio::test]
async fn a_push_carries_the_frozen_body_and_the_headers() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path()).await;
    let mut receiver = Receiver::start(|_| Reply::Status(204)).await;
    let notifier = Notifier::start(store.clone(), config()).unwrap();
    assert!(
        Notifier::start(store.clone(), config()).is_err(),
        "one notifier a store"
    );
    let url = format!("http://user:pw@{}/cdr?x=1", receiver.address);
    push(&store, TENANT, 1, &[(0, &url)]).await;
    let r = receiver.next().await;
    assert_eq!(
        (r.path.as_str(), r.body.as_slice()),
        ("/cdr?x=1", &b"what do ya want for nothing?"[..])
    );
    assert_eq!(r.header("content-type"), "application/json");
    assert_eq!(r.header("x-strowger-attempt"), "1");
    assert_eq!(r.header("x-strowger-key"), "1-1");
    assert_eq!(r.header("authorization"), "Basic dXNlcjpwdw==");
    let expected = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    assert_eq!(r.header("x-strowger-signature"), expected);
    notifier.shutdown().await;
    let list = states(&store, TENANT).await;
    assert_eq!(
        (list[0].state, list[0].delivery.attempts),
        (DeliveryState::Delivered, 1)
    );
    assert_eq!(r.header("x-strowger-delivery"), list[0].delivery.id.to_string());
}

// accept: voice-paas 84, 165
// accept: domain-model I10
#[tokio::test]
async fn failures_are_retried_in_order_until_success() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path()).await;
    let good = every(3);
    let mut receiver = Receiver::start(move |_| Reply::Status(if good() { 200 } else { 500 })).await;
    let notifier = Notifier::start(store.clone(), config()).unwrap();
    let url = receiver.url("/");
    push(&store, TENANT, 1, &[(0, &url), (0, &url), (0, &url)]).await;
    for key in ["1-1", "1-2", "1-3"] {
        for attempt in ["1", "2", "3"] {
            let r = receiver.next().await;
            assert_eq!(
                (r.header("x-strowger-key"), r.header("x-strowger-attempt")),
                (key, attempt)
            );
        }
    }
    notifier.shutdown().await;
    assert!(
        states(&store, TENANT)
            .await
            .iter()
            .all(|d| d.state == DeliveryState::Delivered)
    );
}

// accept: voice-paas 86
#[tokio::test]
async fn a_hanging_receiver_with_a_backlog_delays_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path()).await;
    let mut hanging = Receiver::start(|_| Reply::Hang).await;
    let mut good = Receiver::start(|_| Reply::Status(200)).await;
    for n in 0..300 {
        push(&store, TENANT, n, &[(0, &hanging.url("/"))]).await;
    }
    let slow = NotifyConfig {
        timeout: PATIENCE * 10,
        ..config()
    };
    let notifier = Notifier::start(store.clone(), slow).unwrap();
    for _ in 0..8 {
        hanging.next().await;
    }
    for n in 1000..1200 {
        // The same conversation's other subscription is not held up either.
        push(&store, TENANT, n, &[(0, &hanging.url("/")), (1, &good.url("/"))]).await;
    }
    for _ in 0..200 {
        good.next().await;
    }
    // The last of the good ones is recorded after its receiver has it.
    let recorded = async {
        while notifier.stats().delivered < 200 || notifier.stats().in_flight > 8 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, recorded)
        .await
        .expect("attempts to one destination are limited");
    assert!(hanging.requests.try_recv().is_err());
    assert_eq!(store.stats().leased, 8 + 16, "and so is what is held in memory for it");
}

/// Works off a backlog that was there before the notifier, for three receivers.
async fn work_off(small: NotifyConfig) {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path()).await;
    let mut receivers = vec![];
    for _ in 0..3 {
        receivers.push(Receiver::start(|_| Reply::Status(200)).await);
    }
    for n in 0..300 {
        push(&store, TENANT, n, &[(0, &receivers[n as usize % 3].url("/"))]).await;
    }
    // Another process starts, so that nothing of it is offered and all of it has to be found.
    drop(store);
    let store = open(dir.path());
    let notifier = Notifier::start(store.clone(), small).unwrap();
    for r in &mut receivers {
        for _ in 0..100 {
            r.next().await;
        }
    }
    notifier.shutdown().await;
    assert_eq!(store.outbox_counts().await.unwrap().ready, 0);
}

#[tokio::test]
async fn a_backlog_larger_than_a_destinations_share_is_worked_off() {
    work_off(NotifyConfig {
        per_destination: 3,
        held_per_destination: 5,
        ..config()
    })
    .await;
}

#[tokio::test]
async fn a_backlog_larger_than_the_memory_is_worked_off() {
    work_off(NotifyConfig {
        concurrency: 6,
        held_per_destination: 1000,
        ..config()
    })
    .await;
}

// accept: voice-paas 88
#[tokio::test]
async fn addresses_are_checked_at_every_step() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path()).await;
    let private = TcpListener::bind("127.0.0.2:0").await.unwrap();
    let mut private = Receiver::on(private, |_| Reply::Status(200));
    let inner = private.url("/");
    let mut looping = Receiver::start(|_| Reply::Redirect("/again".into())).await;
    let mut leading = Receiver::start(move |_| Reply::Redirect(inner.clone())).await;
    let port = looping.address.port();
    let once = Schedule {
        then_every: None,
        steps: vec![],
        ..Schedule::default()
    };
    let notifier = Notifier::start(
        store.clone(),
        NotifyConfig {
            schedule: once,
            ..config()
        },
    )
    .unwrap();
    let urls = [
        looping.url("/loop"),
        leading.url("/"),
        private.url("/"),
        "http://[::1]:1/".into(),
        "file:///etc/passwd".into(),
        "nonsense".into(),
    ];
    for (n, url) in urls.iter().enumerate() {
        push(&store, TENANT, n as u64, &[(0, url)]).await;
    }
    // A name that means a private address is refused as well, for the tenant that does not allow it.
    push(&store, STRICT, 100, &[(0, &format!("http://localhost:{port}/named"))]).await;
    push(&store, STRICT, 101, &[(0, &looping.url("/strict"))]).await;
    // And allowed for the one that does.
    push(&store, TENANT, 102, &[(0, &format!("http://localhost:{port}/named"))]).await;
    let mut paths = vec![];
    for _ in 0..8 {
        paths.push(looping.next().await.path);
    }
    leading.next().await;
    let given_up = async {
        while notifier.stats().dead < 9 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, given_up).await.unwrap();
    notifier.shutdown().await;
    paths.sort();
    assert_eq!(
        paths,
        [
            "/again", "/again", "/again", "/again", "/again", "/again", "/loop", "/named"
        ]
    );
    assert!(
        private.requests.try_recv().is_err(),
        "nothing reached the private address"
    );
    let errors: Vec<_> = states(&store, TENANT)
        .await
        .into_iter()
        .map(|d| (d.state, d.last_error))
        .collect();
    assert!(errors.iter().all(|(state, _)| *state == DeliveryState::Dead));
    for (i, word) in ["redirects", "private", "private", "private", "URL", "URL", "redirects"]
        .iter()
        .enumerate()
    {
        assert!(errors[i].1.contains(word), "{i}: {}", errors[i].1);
        assert!(!errors[i].1.contains("127.0.0"), "no address in the text");
    }
    assert!(
        states(&store, STRICT)
            .await
            .iter()
            .all(|d| d.last_error.contains("private"))
    );
}

// accept: voice-paas 85
#[tokio::test]
async fn a_receiver_that_was_down_gets_it_when_it_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let notifier = Notifier::start(store.clone(), config()).unwrap();
    push(&store, TENANT, 1, &[(0, &format!("http://{address}/"))]).await;
    let refused = async {
        while notifier.stats().retried < 3 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, refused).await.unwrap();
    let before = states(&store, TENANT).await;
    assert!(before[0].last_error.contains("refused"), "{}", before[0].last_error);
    let mut receiver = Receiver::on(TcpListener::bind(address).await.unwrap(), |_| Reply::Status(200));
    let r = receiver.next().await;
    assert!(r.header("x-strowger-attempt").parse::<u32>().unwrap() > 3);
    assert_eq!(r.body, before[0].delivery.body);
    notifier.shutdown().await;
    assert_eq!(states(&store, TENANT).await[0].state, DeliveryState::Delivered);
}

#[tokio::test]
async fn a_time_out_is_a_failure_and_a_trickling_body_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path()).await;
    let mut hanging = Receiver::start(|_| Reply::Hang).await;
    let mut trickling = Receiver::start(|_| Reply::Trickle).await;
    let notifier = Notifier::start(
        store.clone(),
        NotifyConfig {
            timeout: Duration::from_secs(1),
            ..config()
        },
    )
    .unwrap();
    push(&store, TENANT, 1, &[(0, &hanging.url("/"))]).await;
    push(&store, TENANT, 2, &[(0, &trickling.url("/"))]).await;
    trickling.next().await;
    assert_eq!(hanging.next().await.header("x-strowger-attempt"), "1");
    assert_eq!(hanging.next().await.header("x-strowger-attempt"), "2");
    notifier.shutdown().await;
    let list = states(&store, TENANT).await;
    assert!(list[0].last_error.contains("in time"), "{}", list[0].last_error);
    assert_eq!(
        (list[1].state, list[1].delivery.attempts),
        (DeliveryState::Delivered, 1)
    );
}

// accept: voice-paas 87, 217
#[tokio::test]
async fn a_restart_sends_what_was_left_and_an_operator_sends_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut receiver = Receiver::start(|_| Reply::Status(200)).await;
    let first = store(dir.path()).await;
    push(&first, TENANT, 1, &[(0, &receiver.url("/"))]).await;
    drop(first);
    let store = open(dir.path());
    let notifier = Notifier::start(store.clone(), config()).unwrap();
    let sent = receiver.next().await;
    notifier.shutdown().await;
    drop(store);
    let store = open(dir.path());
    let notifier = Notifier::start(store.clone(), config()).unwrap();
    let now = Stamp(1_800_000_000_000);
    assert_eq!(
        store
            .repush(TENANT, Repush::Conversations(vec![id(1)]), Stamp(0))
            .await
            .unwrap(),
        1
    );
    let again = receiver.next().await;
    assert_eq!(again.body, sent.body);
    assert_eq!(again.header("x-strowger-delivery"), sent.header("x-strowger-delivery"));
    assert_eq!(again.header("x-strowger-attempt"), "2");
    assert!(
        store
            .take_deliveries(strowger_store::Take {
                now,
                limit: 10,
                per_destination: 10,
                room: HashMap::new()
            })
            .await
            .unwrap()
            .deliveries
            .is_empty()
    );
    notifier.shutdown().await;
}

/// Together in requests of at most `most`, after `window_ms` or when so many wait.
fn together(most: u32, window_ms: u64) -> Option<Batching> {
    Some(Batching { most, window_ms })
}

const HOUR: u64 = 3_600_000;

fn text(r: &Request) -> &str {
    std::str::from_utf8(&r.body).unwrap()
}

// accept: voice-paas 175
#[tokio::test]
async fn so_many_as_fit_go_at_once_as_an_array() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path()).await;
    let mut receiver = Receiver::start(|_| Reply::Status(200)).await;
    let notifier = Notifier::start(store.clone(), config()).unwrap();
    let url = receiver.url("/cdr");
    for n in 1..=4 {
        push_with(&store, TENANT, n, &[(0, &url)], together(3, HOUR)).await;
        if n == 2 {
            // Others are not of the group: a plain one goes at once, and another receiver's array is another one.
            push(&store, TENANT, 100, &[(0, &url)]).await;
            let plain = receiver.next().await;
            let got = (text(&plain), plain.header("x-strowger-batch"));
            assert_eq!(got, ("what do ya want for nothing?", ""));
            push_with(&store, TENANT, 101, &[(0, &receiver.url("/other"))], together(3, HOUR)).await;
        }
    }
    let r = receiver.next().await;
    assert_eq!((r.path.as_str(), text(&r)), ("/cdr", r#"["1-1","2-1","3-1"]"#));
    assert_eq!(r.header("x-strowger-batch"), "3");
    assert_eq!(r.header("x-strowger-key"), "1-1");
    assert_eq!(r.header("content-type"), "application/json");
    assert!(r.header("x-strowger-signature").starts_with("sha256="));
    for n in 5..=6 {
        push_with(&store, TENANT, n, &[(0, &url)], together(3, HOUR)).await;
    }
    assert_eq!(text(&receiver.next().await), r#"["4-1","5-1","6-1"]"#);
    notifier.shutdown().await;
    let waiting: Vec<_> = states(&store, TENANT).await;
    let waiting: Vec<_> = waiting.iter().filter(|d| d.state != DeliveryState::Delivered).collect();
    assert_eq!(waiting.len(), 1, "the other receiver's waits for its hour");
    assert_eq!(waiting[0].delivery.attempts, 0);
}

// accept: voice-paas 175
#[tokio::test]
async fn a_window_that_closes_sends_what_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path()).await;
    let mut receiver = Receiver::start(|_| Reply::Status(200)).await;
    let url = receiver.url("/");
    for n in 1..=2 {
        push_with(&store, TENANT, n, &[(0, &url)], together(100, 300)).await;
    }
    let notifier = Notifier::start(store.clone(), config()).unwrap();
    assert_eq!(text(&receiver.next().await), r#"["1-1","2-1"]"#);
    let before = tokio::time::Instant::now();
    push_with(&store, TENANT, 3, &[(0, &url)], together(100, 300)).await;
    assert_eq!(text(&receiver.next().await), r#"["3-1"]"#, "an array also of one");
    assert!(before.elapsed() >= Duration::from_millis(290), "it waited for others");
    notifier.shutdown().await;
}

// accept: voice-paas 175
// accept: domain-model I10
#[tokio::test]
async fn an_array_is_tried_again_as_a_whole_and_a_conversation_is_in_it_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path()).await;
    let good = every(3);
    let mut receiver = Receiver::start(move |r| match &r.body[..] {
        b"[\"1-1\",\"2-1\"]" if !good() => Reply::Status(500),
        _ => Reply::Status(200),
    })
    .await;
    let url = receiver.url("/");
    // The first conversation's record comes in two versions.
    push_with(&store, TENANT, 1, &[(0, &url), (0, &url)], together(3, 200)).await;
    push_with(&store, TENANT, 2, &[(0, &url)], together(3, 200)).await;
    let notifier = Notifier::start(store.clone(), config()).unwrap();
    let first = receiver.next().await;
    assert_eq!(
        text(&first),
        r#"["1-1","2-1"]"#,
        "one of a conversation, though there is room"
    );
    // What comes meanwhile does not join those that failed.
    push_with(&store, TENANT, 3, &[(0, &url)], together(3, 200)).await;
    let mut attempts = vec![];
    let mut others = vec![];
    while attempts.len() + others.len() < 4 {
        let r = receiver.next().await;
        if r.body == first.body {
            attempts.push(r.header("x-strowger-attempt").to_owned());
            continue;
        }
        for member in text(&r).trim_matches(['[', ']']).split(',') {
            // The second version goes when the first is done.
            assert!(member != "\"1-2\"" || attempts.len() == 2);
            others.push(member.to_owned());
        }
    }
    others.sort();
    assert_eq!(attempts, ["2", "3"]);
    assert_eq!(others, [r#""1-2""#, r#""3-1""#]);
    notifier.shutdown().await;
    let all = states(&store, TENANT).await;
    assert!(all.iter().all(|d| d.state == DeliveryState::Delivered));
}

// accept: voice-paas 175
#[tokio::test]
async fn a_backlog_goes_in_arrays_of_a_hundred_with_nothing_twice() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path()).await;
    let mut receiver = Receiver::start(|_| Reply::Status(200)).await;
    for n in 0..250 {
        push_with(&store, TENANT, n, &[(0, &receiver.url("/"))], together(100, 0)).await;
    }
    // Another process finds all of it in the table, and it is due.
    drop(store);
    let store = open(dir.path());
    let one = NotifyConfig {
        per_destination: 1,
        ..config()
    };
    let notifier = Notifier::start(store.clone(), one).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    let mut sizes = vec![];
    while seen.len() < 250 {
        let r = receiver.next().await;
        let inner = text(&r).strip_prefix('[').and_then(|t| t.strip_suffix(']'));
        let members: Vec<String> = inner.unwrap().split(',').map(str::to_owned).collect();
        assert_eq!(r.header("x-strowger-batch"), members.len().to_string());
        sizes.push(members.len());
        for m in members {
            assert!(seen.insert(m), "twice");
        }
    }
    notifier.shutdown().await;
    assert!(sizes.iter().all(|n| *n <= 100), "{sizes:?}");
    assert_eq!(sizes[0], 100);
    assert!(receiver.requests.try_recv().is_err());
    assert_eq!(store.outbox_counts().await.unwrap().ready, 0);
}

/// The first delivery of which something holds, as soon as it does.
async fn until(store: &Store, holds: impl Fn(&DeliveryInfo) -> bool) -> DeliveryInfo {
    let look = async {
        loop {
            if let Some(found) = states(store, TENANT).await.into_iter().find(|d| holds(d)) {
                return found;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, look).await.expect("it holds in time")
}

/// A webhook of `store`'s tenant at this address.
fn webhook(tenant: TenantId, url: String) -> Webhook {
    Webhook {
        id: strowger_core::WebhookId(9),
        tenant,
        name: "crm".into(),
        application: None,
        url,
        events: Vec::new(),
        secret: Some(Secret::new("0123456789abcdef")),
        earlier: None,
        slot: 0,
        since: Stamp(0),
        disabled: true,
    }
}

#[tokio::test]
async fn a_webhook_that_is_disabled_keeps_its_events_and_one_that_is_removed_gives_them_up() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path()).await;
    let mut receiver = Receiver::start(|_| Reply::Status(204)).await;
    let hook = webhook(TENANT, receiver.url("/new"));
    store.put(hook.clone()).await.unwrap();
    let event = |n: u64| NewDelivery {
        tenant: TENANT,
        conversation: id(n),
        application: APPLICATION,
        seq: 1,
        subscription: 0,
        topic: Topic::Event,
        // Where it was when the event happened.
        url: receiver.url("/old"),
        content_type: "application/json".into(),
        body: b"{}".to_vec(),
        key: format!("{}.{}.1", hook.id, id(n)),
        not_before: (NotifyConfig::default().clock)(),
        batch: None,
    };
    let batch = |n: u64| Batch {
        deliveries: vec![event(n)],
        ..Batch::default()
    };
    let second = batch(2);
    store.append(batch(1)).await.unwrap();
    let notifier = Notifier::start(store.clone(), config()).unwrap();
    until(&store, |d| d.last_error == "the webhook is disabled").await;
    let (there, disabled) = (strowger_store::ResourceId::Webhook(hook.id), false);
    store.put(Webhook { disabled, ..hook }).await.unwrap();
    let got = receiver.next().await;
    assert_eq!((got.path.as_str(), got.header("x-strowger-sequence")), ("/new", "1"));
    store.remove(there).await.unwrap();
    store.append(second).await.unwrap();
    let dead = until(&store, |d| d.state == DeliveryState::Dead).await;
    assert_eq!(
        (dead.last_error.as_str(), dead.delivery.attempts),
        ("the webhook has been removed", 1)
    );
    notifier.shutdown().await;
}
