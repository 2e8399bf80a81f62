//! A house: the admin API over a real store and a runtime that only notes what it is asked.
#![allow(dead_code, reason = "each test file uses a part of it")]

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use strowger_api::{
    Api, BanInfo, Direction, LadderStep, Metric, Operations, Profile, RegistrationInfo, Reply, Speech, admin_router,
    public_router,
};
use strowger_core::AgentId;
use strowger_core::call::{Accepted, ClickPlan, Command, Note};
use strowger_core::centre::acd::Decision;
use strowger_core::centre::agent;
use strowger_core::event::Created;
use strowger_core::resource::ApplicationSettings;
use strowger_core::{ConversationId, ConversationRecord, NoticeBatchId, Stamp, TenantId, TrunkId};
use strowger_runtime::centre::{Action, CentreError, DeskAnswer, Desks, Snapshot};
use strowger_runtime::{Answer, CallError, Calls, Live};
use strowger_store::{CommandId, MasterKey, Store, StoreConfig};
use tower::ServiceExt;

#[derive(Default)]
pub struct Noted {
    pub placed: Mutex<Vec<(Created, ClickPlan)>>,
    pub once: Mutex<Vec<CommandId>>,
    pub refuse: Mutex<Option<CallError>>,
    /// The only conversation that runs, if one does.
    pub live: Mutex<Option<ConversationRecord>>,
    /// What operators did.
    pub done: Mutex<Vec<String>>,
}

impl Calls for Noted {
    fn click_to_call(&self, head: Created, plan: ClickPlan, once: Option<CommandId>) -> Answer<'_, ConversationId> {
        self.once.lock().unwrap().extend(once);
        let refused = self.refuse.lock().unwrap().clone();
        self.placed.lock().unwrap().push((head, plan));
        Box::pin(async move { refused.map_or(Ok(ConversationId::mint(1, 1)), Err) })
    }

    fn started<'a>(&'a self, once: &'a CommandId) -> Answer<'a, Option<ConversationId>> {
        let all = self.once.lock().unwrap();
        let known = all.iter().find(|o| o.name() == once.name());
        let answer = match known {
            Some(known) if known == once => Ok(Some(ConversationId::mint(1, 1))),
            Some(_) => Err(CallError::KeyReused),
            None => Ok(None),
        };
        Box::pin(async move { answer })
    }

    fn command(&self, _: TenantId, _: ConversationId, _: Command, _: Option<CommandId>) -> Answer<'_, Accepted> {
        Box::pin(async { Err(CallError::NotFound) })
    }

    fn inspect(&self, tenant: TenantId, id: ConversationId) -> Answer<'_, Live> {
        let live = self.live.lock().unwrap().clone();
        let record = live.filter(|r| r.head.tenant == tenant && r.id == id);
        let live = record.map(|record| Live { record, legs: vec![] });
        Box::pin(async { live.ok_or(CallError::NotFound) })
    }
}

impl Operations for Noted {
    fn running(&self) -> Vec<ConversationId> {
        vec![ConversationId::mint(1, 1)]
    }

    fn trunk_healthy(&self, _: TrunkId) -> Option<bool> {
        Some(true)
    }

    fn not_ready(&self) -> Vec<String> {
        match &*self.refuse.lock().unwrap() {
            Some(e) => vec![e.to_string()],
            None => Vec::new(),
        }
    }

    fn trunk_registration(&self, _: TrunkId) -> Option<String> {
        Some("registered".into())
    }

    fn registrations(&self, tenant: Option<TenantId>) -> Reply<'_, Vec<RegistrationInfo>> {
        let of = |tenant: u128, username: &str| RegistrationInfo {
            tenant: TenantId(tenant),
            username: username.into(),
            contact: format!("sip:{username}@198.51.100.7:5062"),
            transport: "wss",
            source: "198.51.100.7:40000".parse().unwrap(),
            user_agent: Some("phone/1".into()),
            expires_in: 60,
            path: false,
        };
        let mut all = vec![of(2, "desk-2"), of(1, "desk-1")];
        all.retain(|r| tenant.is_none_or(|t| t == r.tenant));
        Box::pin(async { all })
    }

    fn unregister<'a>(&'a self, _: TenantId, username: &'a str) -> Reply<'a, usize> {
        self.done.lock().unwrap().push(format!("unregister {username}"));
        Box::pin(async move { usize::from(username == "desk-1") })
    }

    fn bans(&self) -> Reply<'_, Vec<BanInfo>> {
        let of = |source: &str| BanInfo {
            source: source.parse().unwrap(),
            since_seconds: 5,
            until_seconds: 55,
            count: 2,
            manual: false,
        };
        Box::pin(async move { vec![of("192.0.2.7"), of("2001:db8::/64")] })
    }

    fn ban(&self, source: IpAddr, seconds: u32) -> Reply<'_, ()> {
        self.done.lock().unwrap().push(format!("ban {source} {seconds}"));
        Box::pin(async {})
    }

    fn unban(&self, source: IpAddr) -> Reply<'_, bool> {
        self.done.lock().unwrap().push(format!("unban {source}"));
        Box::pin(async move { !source.is_loopback() })
    }

    fn ladder(&self, _: TenantId, _: ConversationId) -> Reply<'_, Vec<LadderStep>> {
        let step = |at_ms, direction, text: &str| LadderStep {
            at_ms,
            direction,
            transport: "udp",
            local: "192.0.2.1:5060".parse().unwrap(),
            remote: "192.0.2.2:5060".parse().unwrap(),
            text: text.into(),
        };
        let all = vec![
            step(2_000, Direction::In, "SIP/2.0 200 OK\r\n\r\n"),
            step(1_000, Direction::Out, "INVITE sip:b SIP/2.0\r\n\r\n"),
        ];
        Box::pin(async { all })
    }

    fn reload_certificates(&self) -> Reply<'_, Result<usize, String>> {
        Box::pin(async { Err("/etc/strowger/tls.crt cannot be read: no such file".into()) })
    }

    fn cancel_batch(&self, _: NoticeBatchId) -> Reply<'_, Result<bool, String>> {
        Box::pin(async { Ok(false) })
    }

    fn metrics(&self) -> Vec<Metric> {
        Vec::new()
    }
}

/// Nobody is at work here; the desks have tests of their own.
impl Desks for Noted {
    fn agent(&self, _: TenantId, _: AgentId, _: agent::Input) -> DeskAnswer<'_, ()> {
        Box::pin(async { Err(CentreError::NotFound) })
    }

    fn act(&self, _: TenantId, _: AgentId, _: Action) -> DeskAnswer<'_, Option<ConversationId>> {
        Box::pin(async { Err(CentreError::NotFound) })
    }

    fn look(&self, _: TenantId) -> DeskAnswer<'_, Snapshot> {
        Box::pin(async { Ok(Snapshot::default()) })
    }

    fn note(&self, _: TenantId, _: ConversationId, _: Note) -> DeskAnswer<'_, ()> {
        Box::pin(async { Err(CentreError::NotFound) })
    }

    fn explain(&self, _: TenantId, _: ConversationId) -> DeskAnswer<'_, Decision> {
        Box::pin(async { Err(CentreError::NotFound) })
    }

    fn cancel_callback(&self, _: TenantId, _: strowger_core::CallbackId) -> DeskAnswer<'_, ()> {
        Box::pin(async { Err(CentreError::NotFound) })
    }

    fn chat(&self, _: TenantId, _: strowger_core::chat::Command) -> DeskAnswer<'_, strowger_core::chat::Done> {
        Box::pin(async { Err(CentreError::NotFound) })
    }

    fn new_chat(&self) -> ConversationId {
        ConversationId(1 << 16)
    }
}

pub struct House {
    pub admin: Router,
    pub public: Router,
    pub calls: Arc<Noted>,
    pub now: Arc<AtomicI64>,
    pub store: Store,
    pub hub: Arc<strowger_api::events::EventHub>,
    pub folder: tempfile::TempDir,
}

pub fn house() -> House {
    house_with(Speech::default())
}

/// A house with these settings of prompts and speech.
pub fn house_with(speech: Speech) -> House {
    furnished(speech, strowger_api::IceServers::default())
}

/// A house with these ICE servers.
pub fn house_with_ice(ice: strowger_api::IceServers) -> House {
    furnished(Speech::default(), ice)
}

fn furnished(speech: Speech, ice: strowger_api::IceServers) -> House {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(StoreConfig::new(folder.path(), MasterKey::generate().0)).unwrap();
    let calls = Arc::new(Noted::default());
    let now = Arc::new(AtomicI64::new(1_700_000_000_000));
    let clock = now.clone();
    let prompts = folder.path().join("prompts");
    std::fs::create_dir(&prompts).unwrap();
    let recordings = folder.path().join("recordings");
    std::fs::create_dir(&recordings).unwrap();
    let hub = Arc::new(strowger_api::events::EventHub::new(
        Stamp(now.load(Ordering::Relaxed)),
        Some(Arc::new(|who| {
            json!({ "user": who.user.map(|u| u.to_string()) }).to_string()
        })),
    ));
    let api = Api {
        blobs: Arc::new(strowger_blobs::Blobs::open(recordings, strowger_blobs::Target::Spool).unwrap()),
        store: store.clone(),
        calls: calls.clone(),
        desks: calls.clone(),
        operations: calls.clone(),
        now: Arc::new(move || Stamp(clock.load(Ordering::Relaxed))),
        prompts,
        speech: Arc::new(speech),
        ice: Arc::new(ice),
        profiles: vec![Profile {
            name: "standard".to_owned(),
            settings: ApplicationSettings::default(),
        }]
        .into(),
        events: Arc::new(strowger_api::events::Events::of_hub(
            hub.clone(),
            std::time::Duration::from_millis(200),
        )),
        identity: Arc::default(),
        changing: Arc::default(),
    };
    House {
        admin: admin_router(api.clone()),
        public: public_router(api),
        calls,
        now,
        store,
        hub,
        folder,
    }
}

impl House {
    pub async fn ask(&self, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
        let request = Request::builder()
            .method(method)
            .uri(format!("/api/v1{path}"))
            .header("content-type", "application/json");
        let body = if body.is_null() {
            Body::empty()
        } else {
            Body::from(body.to_string())
        };
        send(&self.admin, request.body(body).unwrap()).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.ask(Method::POST, path, body).await;
        assert!(status.is_success(), "{path}: {status} {answer}");
        answer
    }

    pub async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.ask(Method::GET, path, Value::Null).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    /// A tenant, an account, an application, a number and a trunk.
    pub async fn furnish(&self) -> (Value, Value) {
        self.post("/tenants", json!({ "name": "acme" })).await;
        let account = self.post("/accounts", json!({ "name": "crm" })).await;
        let application = self.post("/applications", json!({ "name": "sales" })).await;
        self.post("/numbers", json!({ "number": "01062345678" })).await;
        self.post("/trunks", json!({ "name": "lab", "address": "127.0.0.1:5090" }))
            .await;
        (account, application)
    }
}

/// An answer with its headers.
pub struct Full {
    pub status: u16,
    pub headers: axum::http::HeaderMap,
    pub body: Value,
}

impl House {
    /// A request to the public listener: bearer token, more headers, body.
    pub async fn public(&self, method: &str, path: &str, token: &str, more: &[(&str, &str)], body: Value) -> Full {
        let mut request = Request::builder().method(method).uri(format!("/api/v1{path}"));
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in more {
            request = request.header(*name, *value);
        }
        let body = if body.is_null() {
            Body::empty()
        } else {
            request = request.header("content-type", "application/json");
            Body::from(body.to_string())
        };
        let response = self.public.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        Full {
            status,
            headers,
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        }
    }

    /// A tenant and a key of it with these scopes.
    pub async fn tenant_with_key(&self, name: &str, scopes: &[&str]) -> (String, String) {
        let tenant = self.post("/tenants", json!({ "name": name })).await;
        let body = json!({ "name": "k", "tenant": name, "scopes": scopes });
        let key = self.post("/keys", body).await;
        let text = |v: &Value| v.as_str().unwrap().to_owned();
        (text(&tenant["id"]), text(&key["key"]))
    }
}

pub async fn send(router: &Router, request: Request<Body>) -> (StatusCode, Value) {
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status();
    if !status.is_success() && status != 503 {
        assert_eq!(
            response.headers()["content-type"],
            "application/problem+json",
            "{status}"
        );
    }
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let value = serde_json::from_slice(&body).unwrap_or_else(|_| String::from_utf8_lossy(&body).into_owned().into());
    (status, value)
}
