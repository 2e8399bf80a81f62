//! A telephone platform in virtual time: requests go in through the real router, pushes come out of the real
//! projector, and the real conversation machine runs between them.

pub mod party;
pub mod resources;
pub mod switch;

pub use party::Party;
pub use resources::NoAgents;
pub use switch::{Delivery, START, VirtualSwitch, World};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use base64::Engine;
use resources::{Records, Resources, Shelf};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, MutexGuard};
use strowger_core::call::{Effect, Layout, Sound, Target, Tone};
use strowger_core::project::Topic;
use strowger_core::resource::ApplicationSettings;
use strowger_core::{AccountId, ApplicationId, ConversationId, LegSeq, Number, TenantId};
use strowger_dialect_voicepaas::{Account, Application, Settings, Token, VoicePaas, resolve_sid, router};
use tower::ServiceExt;

pub const TENANT: TenantId = TenantId(7);
pub const ACCOUNT: AccountId = AccountId(0xa11c_e000_0000_0000_0000_0000_0000_0001);
pub const APP: ApplicationId = ApplicationId(0xa990_0000_0000_0000_0000_0000_0000_0001);
pub const TOKEN: &str = "8f14e45fceea167a5a36dedd4bea2543";
/// Another tenant with everything of its own.
pub const OTHER_TENANT: TenantId = TenantId(8);
pub const OTHER_ACCOUNT: AccountId = AccountId(0xb0b0_0000_0000_0000_0000_0000_0000_0002);
pub const OTHER_APP: ApplicationId = ApplicationId(0xb990_0000_0000_0000_0000_0000_0000_0002);
/// A second account of the first tenant, with an application that both may use.
pub const SECOND_ACCOUNT: AccountId = AccountId(0xa11c_e000_0000_0000_0000_0000_0000_0002);

pub const CALLER: &str = "13800000001";
pub const CALLEE: &str = "13900000002";
pub const THIRD: &str = "13700000003";
pub const FOURTH: &str = "13600000004";
pub const CLI: &str = "02161230000";
pub const CLI_A: &str = "021-61230001";
pub const CLI_B: &str = "021-61230002";

pub struct Kit {
    pub switch: Arc<VirtualSwitch>,
    pub resources: Arc<Resources>,
    pub records: Arc<Records>,
    pub router: Router,
    pub rt: tokio::runtime::Runtime,
}

/// An answer of the router.
#[derive(Debug, PartialEq)]
pub struct Reply {
    pub status: StatusCode,
    pub retry_after: Option<String>,
    pub text: String,
    pub body: Value,
}

impl Reply {
    pub fn code(&self) -> &str {
        assert_eq!(self.status, StatusCode::OK, "{}", self.text);
        self.body["statusCode"].as_str().expect("a string code")
    }
}

fn account(id: AccountId, tenant: TenantId) -> Account {
    Account {
        id,
        tenant,
        disabled: false,
        tokens: vec![Token {
            secret: TOKEN.into(),
            expires_at: None,
        }],
    }
}

fn application(id: ApplicationId, tenant: TenantId) -> Application {
    Application {
        id,
        tenant,
        account: None,
        disabled: false,
        settings: ApplicationSettings {
            default_cli: Some(number(CLI)),
            ..ApplicationSettings::default()
        },
    }
}

pub fn number(text: &str) -> Number {
    Number::parse(text, strowger_core::number::CHINA).unwrap()
}

impl Kit {
    pub fn new() -> Kit {
        let switch = Arc::new(VirtualSwitch::new());
        {
            let mut world = switch.world();
            let sounds = [
                ("greet.wav", 3_000),
                ("ring.wav", 2_000),
                ("fail.wav", 4_000),
                ("callee.wav", 5_000),
                ("caller.wav", 8_000),
                ("lastmin.wav", 3_000),
            ];
            world.sounds = sounds.map(|(n, ms)| (n.to_owned(), ms)).into();
        }
        let mut shelf = Shelf::default();
        for a in [
            account(ACCOUNT, TENANT),
            account(SECOND_ACCOUNT, TENANT),
            account(OTHER_ACCOUNT, OTHER_TENANT),
        ] {
            shelf.accounts.insert(a.id, a);
        }
        for a in [application(APP, TENANT), application(OTHER_APP, OTHER_TENANT)] {
            shelf.applications.insert(a.id, a);
        }
        for tenant in [TENANT, OTHER_TENANT] {
            for n in [CLI, CLI_A, CLI_B] {
                shelf.numbers.insert((tenant, number(n).as_str().to_owned()));
            }
        }
        let resources = Arc::new(Resources {
            shelf: Mutex::new(shelf),
            switch: switch.clone(),
        });
        let records = Arc::new(Records {
            switch: switch.clone(),
            repushed: Mutex::default(),
        });
        let router = router(VoicePaas {
            calls: switch.clone(),
            notices: switch.clone(),
            agents: Arc::new(NoAgents),
            directory: resources.clone(),
            ledger: records.clone(),
            settings: Arc::new(Settings {
                recording_base: "https://calls.example.com/recordings/".into(),
                ..Settings::default()
            }),
        });
        let rt = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        Kit {
            switch,
            resources,
            records,
            router,
            rt,
        }
    }

    /// A kit in which both parties answer: the caller rings at 2 s and answers at 5 s, the callee 1 s and 7 s after it
    /// is dialled.
    pub fn talking() -> Kit {
        let mut k = Kit::new();
        k.party(CALLER, Party::answers(2, 5));
        k.party(CALLEE, Party::answers(1, 7));
        k
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.switch.world()
    }

    pub fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.resources.shelf.lock().unwrap()
    }

    pub fn settings(&self, change: impl FnOnce(&mut ApplicationSettings)) {
        change(&mut self.shelf().applications.get_mut(&APP).unwrap().settings);
    }

    pub fn party(&mut self, text: &str, party: Party) {
        let key = number(text).as_str().to_owned();
        self.world().parties.insert(key, party);
    }

    /// Waits for something asynchronous.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.rt.block_on(future)
    }

    /// Any request through the router.
    pub fn send(&self, request: Request<Body>) -> Reply {
        self.rt.block_on(async {
            let response = self.router.clone().oneshot(request).await.unwrap();
            let status = response.status();
            let retry_after = response
                .headers()
                .get(header::RETRY_AFTER)
                .map(|v| v.to_str().unwrap().to_owned());
            let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
            let text = String::from_utf8(bytes.into()).expect("UTF-8");
            let body = serde_json::from_str(&text).unwrap_or(Value::Null);
            Reply {
                status,
                retry_after,
                text,
                body,
            }
        })
    }

    pub fn post(&self, tail: &str, body: &Value) -> Reply {
        self.post_as((ACCOUNT, APP), tail, body)
    }

    pub fn post_as(&self, who: (AccountId, ApplicationId), tail: &str, body: &Value) -> Reply {
        self.send(
            Request::post(path(who, tail))
                .header(header::AUTHORIZATION, basic(who.0, TOKEN))
                .header(header::CONTENT_TYPE, "application/json;charset=utf-8")
                .body(Body::from(body.to_string()))
                .unwrap(),
        )
    }

    pub fn get(&self, tail: &str) -> Reply {
        self.get_as((ACCOUNT, APP), tail)
    }

    pub fn get_as(&self, who: (AccountId, ApplicationId), tail: &str) -> Reply {
        self.send(
            Request::get(path(who, tail))
                .header(header::AUTHORIZATION, basic(who.0, TOKEN))
                .body(Body::empty())
                .unwrap(),
        )
    }

    /// A click2call of the usual pair with more members; those that are `null` are taken out.
    pub fn try_click(&self, more: Value) -> Reply {
        self.post("ctc/Conversations", &click_body(more))
    }

    /// The same, which must be accepted.
    pub fn click(&self, more: Value) -> String {
        let reply = self.try_click(more);
        assert_eq!(reply.code(), "00000", "{}", reply.text);
        reply.body["conversationSid"].as_str().unwrap().to_owned()
    }

    pub fn cancel(&self, sid: &str) -> Reply {
        self.post(&format!("ctc/Conversations/{sid}"), &json!({"action": "cancelCall"}))
    }

    pub fn try_add(&self, sid: &str, more: Value) -> Reply {
        let mut body = json!({"action": "addCall", "callee": THIRD});
        merge(&mut body, more);
        self.post(&format!("ctc/Conversations/{sid}"), &body)
    }

    pub fn add(&self, sid: &str, more: Value) {
        let reply = self.try_add(sid, more);
        assert_eq!(reply.code(), "00000", "{}", reply.text);
    }

    /// Lets time pass until this many seconds after the start of the day.
    pub fn until(&self, secs: f64) {
        self.world().run_until(START.plus_ms((secs * 1000.0) as u64));
    }

    /// Lets time pass until nothing is expected.
    pub fn run(&self) {
        self.world().run();
    }

    /// Lets time pass until the two parties talk.
    pub fn run_to_talk(&self, sid: &str) {
        while hears(&self.layout(sid), 0) != "leg 1" {
            let next = self.world().next().expect("they come to talk");
            self.world().run_until(next);
        }
    }

    /// Lets a party do something now.
    pub fn does(&self, sid: &str, leg: u16, fact: strowger_core::call::LegFact) {
        self.feed(sid, strowger_core::call::Input::Leg(LegSeq(leg), fact));
    }

    pub fn feed(&self, sid: &str, input: strowger_core::call::Input) {
        self.world().feed(id(sid), input);
    }

    /// Bodies of the status pushes.
    pub fn statuses(&self, sid: &str) -> Vec<Value> {
        self.bodies(sid, Topic::Status)
    }

    /// Bodies of the record pushes.
    pub fn cdrs(&self, sid: &str) -> Vec<Value> {
        self.bodies(sid, Topic::CallRecord)
    }

    /// The one record of a conversation.
    pub fn cdr(&self, sid: &str) -> Value {
        let mut all = self.cdrs(sid);
        assert_eq!(all.len(), 1, "exactly one record");
        all.remove(0)
    }

    fn bodies(&self, sid: &str, topic: Topic) -> Vec<Value> {
        let all = self.deliveries(sid);
        let chosen = all.iter().filter(|d| d.topic == topic);
        chosen
            .map(|d| serde_json::from_slice(&d.bytes).expect("JSON and nothing behind it"))
            .collect()
    }

    pub fn deliveries(&self, sid: &str) -> Vec<Delivery> {
        self.world().convs[&id(sid)].deliveries.clone()
    }

    /// The pushes in one word each: `0 initiated`, `1 completed/no-answer`.
    pub fn progress(&self, sid: &str) -> Vec<String> {
        let base = id(sid);
        let word = |v: &Value| {
            let leg = resolve_sid(v["callSid"].as_str().unwrap()).unwrap();
            assert_eq!(leg.0, base);
            let cause = v["callCause"].as_str().unwrap();
            let slash = if cause.is_empty() { "" } else { "/" };
            format!("{} {}{slash}{cause}", leg.1.unwrap(), v["callStatus"].as_str().unwrap())
        };
        self.statuses(sid).iter().map(word).collect()
    }

    /// What signalling was asked to do, in milliseconds after the start: `5000 dial 1 …`, `9000 cancel 1`.
    pub fn trace(&self, sid: &str) -> Vec<(u64, String)> {
        let world = self.world();
        let c = &world.convs[&id(sid)];
        let word = |e: &Effect| match e {
            Effect::Dial { leg, target, cli } => {
                let Target::Number(n) = target else { return None };
                Some(format!(
                    "dial {leg} {} as {}",
                    n.as_str(),
                    cli.as_deref().unwrap_or("-")
                ))
            }
            Effect::Cancel { leg, .. } => Some(format!("cancel {leg}")),
            Effect::Hangup { leg, .. } => Some(format!("bye {leg}")),
            _ => None,
        };
        let all = c.effects.iter();
        all.filter_map(|(at, e)| Some((at.ms_since(c.started), word(e)?)))
            .collect()
    }

    /// What a leg heard: each change with its moment in milliseconds after the start.
    pub fn heard(&self, sid: &str, leg: u16) -> Vec<(u64, String)> {
        let world = self.world();
        let c = &world.convs[&id(sid)];
        let mut out: Vec<(u64, String)> = vec![];
        for (at, layout) in &c.layouts {
            let now = hears(layout, leg);
            let at = at.ms_since(c.started);
            match out.last_mut() {
                Some(last) if last.1 == now => {}
                Some(last) if last.0 == at => last.1 = now,
                _ => out.push((at, now)),
            }
        }
        out
    }

    /// What a leg heard, without moments.
    pub fn sounds(&self, sid: &str, leg: u16) -> Vec<String> {
        self.heard(sid, leg).into_iter().map(|h| h.1).collect()
    }

    /// The present layout.
    pub fn layout(&self, sid: &str) -> Layout {
        let world = self.world();
        world.convs[&id(sid)]
            .layouts
            .last()
            .map(|l| l.1.clone())
            .unwrap_or_default()
    }
}

/// The conversation that a sid names.
pub fn id(sid: &str) -> ConversationId {
    resolve_sid(sid).expect("a sid").0
}

/// What a leg hears: other legs, then a sound (`*` if it is looped), then an announcement to all.
pub fn hears(layout: &Layout, leg: u16) -> String {
    let Some(l) = layout.legs.iter().find(|l| l.leg == LegSeq(leg)) else {
        return "-".into();
    };
    let name = |s: &Sound| match s {
        Sound::Prompt(n) => n.clone(),
        Sound::Builtin(b) => format!("{b:?}"),
        Sound::Tone(Tone::Ringback) => "ringback".to_owned(),
        Sound::Tone(Tone::Beep) => "beep".to_owned(),
        Sound::Synthesised(n) => n.clone(),
        // What is spoken, and not what it is made of.
        Sound::Spoken(s) if s.code => format!("{} code {}", s.language.code(), s.text),
        Sound::Spoken(s) => format!("{} {} {}", s.language.code(), s.kind.name(), s.text),
    };
    let mut parts: Vec<String> = l.hears.iter().map(|h| format!("leg {h}")).collect();
    parts.extend(
        l.play
            .iter()
            .map(|p| format!("{}{}", name(&p.sound), if p.repeat { "*" } else { "" })),
    );
    parts.extend(layout.announce.iter().map(|p| format!("!{}", name(&p.sound))));
    if parts.is_empty() {
        "silence".into()
    } else {
        parts.join(" + ")
    }
}

pub fn basic(account: AccountId, token: &str) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(format!("{account}:{token}"));
    format!("Basic {text}")
}

pub fn path(who: (AccountId, ApplicationId), tail: &str) -> String {
    format!("/2013-12-26/Accounts/{}/Applications/{}/{tail}", who.0, who.1)
}

pub fn click_body(more: Value) -> Value {
    let mut body = json!({
        "action": "click2call",
        "caller": CALLER,
        "callee": CALLEE,
        "statusUrl": "http://crm.example.com/status",
        "cdrUrl": "http://crm.example.com/cdr",
    });
    merge(&mut body, more);
    body
}

pub fn merge(body: &mut Value, more: Value) {
    let Value::Object(more) = more else { panic!("an object") };
    for (k, v) in more {
        if v.is_null() {
            body.as_object_mut().unwrap().remove(&k);
        } else {
            body[&k] = v;
        }
    }
}
