//! Dial links, by the router: signatures, time, origins, and what agents' states answer.

use super::kit::*;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use serde_json::Value;
use std::sync::{Arc, Mutex};
use strowger_core::{ApplicationId, ConversationId, TenantId};
use strowger_dialect_voicepaas::{AgentAnswer, Agents, Code, Failure, Link, Settings, VoicePaas, router, sign_link};
use tower::ServiceExt;

const SID: ConversationId = ConversationId(9 << 16);
const PAGE: &str = "https://crm.example.com";

/// Notes what is dialled; agent `busy` has a call, and `nobody` is not there.
#[derive(Default)]
struct Noted(Mutex<Vec<(String, String, String)>>);

impl Agents for Noted {
    fn dial<'a>(
        &'a self,
        tenant: TenantId,
        application: ApplicationId,
        agent: &'a str,
        number: String,
        user_data: String,
    ) -> AgentAnswer<'a> {
        assert_eq!((tenant, application), (TENANT, APP));
        Box::pin(async move {
            match agent {
                "busy" => Err(Failure::plain(Code::AgentBusy)),
                "nobody" => Err(Failure::plain(Code::AgentUnknown)),
                _ => {
                    self.0.lock().unwrap().push((agent.to_owned(), number, user_data));
                    Ok(SID)
                }
            }
        })
    }
}

struct Links {
    kit: Kit,
    router: axum::Router,
    noted: Arc<Noted>,
}

impl Links {
    fn new() -> Links {
        let kit = Kit::new();
        let noted = Arc::new(Noted::default());
        if let Some(app) = kit.shelf().applications.get_mut(&APP) {
            app.settings.link_origins = vec![PAGE.into()];
        }
        let router = router(VoicePaas {
            calls: kit.switch.clone(),
            notices: kit.switch.clone(),
            agents: noted.clone(),
            directory: kit.resources.clone(),
            ledger: kit.records.clone(),
            settings: Arc::new(Settings::default()),
        });
        Links { kit, router, noted }
    }

    fn now(&self) -> i64 {
        self.kit.world().now.secs()
    }

    /// A link for `13900000002` that was signed so many seconds ago.
    fn link(&self, agent: &str, age: i64) -> String {
        let at = (self.now() - age).to_string();
        let link = Link {
            agent,
            number: "13900000002",
            user_data: "order-7",
            at: &at,
        };
        let sign = sign_link(TOKEN, ACCOUNT, APP, &link);
        format!("agentNo={agent}&userNumber=13900000002&userData=order-7&ts={at}&sign={sign}")
    }

    fn get(&self, query: &str, headers: &[(&str, &str)]) -> (StatusCode, HeaderMap, Value) {
        let uri = format!("/20130701/Accounts/{ACCOUNT}/Applications/{APP}/cc/dial?{query}");
        let mut request = Request::get(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        self.kit.rt.block_on(async {
            let response = self.router.clone().oneshot(request).await.unwrap();
            let (head, body) = response.into_parts();
            let bytes = axum::body::to_bytes(body, 65_536).await.unwrap();
            let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
            (head.status, head.headers, body)
        })
    }

    fn code(&self, query: &str) -> String {
        let (status, _, body) = self.get(query, &[]);
        assert_eq!(status, StatusCode::OK);
        body["statusCode"].as_str().unwrap().to_owned()
    }
}

#[test]
fn a_signed_link_rings_its_agent_and_its_number() {
    let links = Links::new();
    let (status, headers, body) = links.get(&links.link("1001", 0), &[]);
    assert_eq!(
        (status, &body["statusCode"]),
        (StatusCode::OK, &"00000".into()),
        "{body}"
    );
    assert_eq!(body["conversationSid"].as_str().map(str::len), Some(34));
    assert_eq!(headers["cache-control"], "no-store");
    let dialled = links.noted.0.lock().unwrap().clone();
    assert_eq!(dialled, [("1001".into(), "13900000002".into(), "order-7".into())]);
    // A picture of nothing, where the link is one.
    let (status, ..) = links.get(&links.link("1001", 0), &[("accept", "image/avif,image/webp,*/*")]);
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(links.code(&links.link("busy", 0)), "40007");
    assert_eq!(links.code(&links.link("nobody", 0)), "40001");
}

// accept: voice-paas 167
#[test]
fn an_old_or_altered_link_is_refused() {
    let links = Links::new();
    assert_eq!(links.code(&links.link("1001", 299)), "00000");
    let good = links.link("1001", 0);
    let signature = good.rsplit('=').next().unwrap().to_owned();
    for bad in [
        links.link("1001", 301),
        links.link("1001", -301),
        good.replace("agentNo=1001", "agentNo=1002"),
        good.replace("13900000002", "13900000003"),
        good.replace("order-7", "order-8"),
        good.replace(&signature, ""),
        good.replace(&signature, &signature.to_uppercase()),
        good.replace(&signature, &signature[1..]),
        good.replace("&ts=", "&t="),
        String::new(),
    ] {
        assert_eq!(links.code(&bad), "10001", "{bad}");
    }
    // A token that is over signs nothing any more.
    let now = links.kit.world().now;
    if let Some(account) = links.kit.shelf().accounts.get_mut(&ACCOUNT) {
        account.tokens[0].expires_at = Some(now);
    }
    assert_eq!(links.code(&good), "10001");
    assert_eq!(links.noted.0.lock().unwrap().len(), 1, "nothing was dialled");
}

// accept: voice-paas 168
#[test]
fn pages_of_other_origins_cannot_read_the_answer() {
    let links = Links::new();
    for query in [links.link("1001", 0), "agentNo=1001".into()] {
        for (origin, want) in [
            (PAGE, Some(PAGE)),
            ("https://crm.example.com.evil.example", None),
            ("http://crm.example.com", None),
            ("null", None),
        ] {
            let (_, headers, _) = links.get(&query, &[("origin", origin)]);
            let told = headers.get("access-control-allow-origin").and_then(|o| o.to_str().ok());
            assert_eq!(told, want, "{origin}");
            assert_eq!(headers["vary"], "Origin");
        }
        let (_, headers, _) = links.get(&query, &[]);
        assert!(!headers.contains_key("access-control-allow-origin"));
    }
}
