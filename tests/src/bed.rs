//! A server with a tenant, an account, an application, trunks and a receiver of pushes: what most scenarios start from.

use crate::http::{self, Answer, Place};
use crate::push::{Push, Receiver};
use crate::server::{Options, Server};
use crate::sound::{tone, wav_file};
use crate::wait;
use base64::Engine as _;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;

/// How long a push may take after its cause.
pub const PUSHED: Duration = Duration::from_secs(10);

/// The caller's number. Numbers that begin with 138 go to the trunk `caller`, with 139 to `callee`, with 137 to `third`.
pub const CALLER: &str = "13800000001";
/// The callee's number.
pub const CALLEE: &str = "13900000002";
/// A third party's number.
pub const THIRD: &str = "13700000003";
/// Shown to the caller.
pub const CALLER_CLI: &str = "02161000001";
/// Shown to the callee.
pub const CALLEE_CLI: &str = "02161000002";
/// Shown where the request names none.
pub const DEFAULT_CLI: &str = "02161000000";

/// The test bed.
pub struct Bed {
    /// The server.
    pub server: Server,
    /// Receiver of `/status` and `/cdr`.
    pub push: Receiver,
    /// Tenant.
    pub tenant: String,
    /// Account.
    pub account: String,
    /// Its token.
    pub token: String,
    /// Application.
    pub app: String,
}

impl Bed {
    /// With default options.
    pub fn start() -> Bed {
        Bed::start_with(Options::default())
    }

    /// Starts and provisions a server.
    pub fn start_with(options: Options) -> Bed {
        let server = Server::start(options);
        let push = Receiver::start();
        let text = |v: &Value| v.as_str().expect("a text").to_owned();
        let tenant = json!({ "name": "test", "push_allowed": ["127.0.0.0/8"] });
        let tenant = text(&server.create("/tenants", &tenant)["id"]);
        let account = server.create("/accounts", &json!({ "name": "integrator", "tenant": tenant }));
        let app = json!({ "name": "app", "tenant": tenant, "account": account["id"], "settings": {} });
        let app = text(&server.create("/applications", &app)["id"]);
        for number in [CALLER_CLI, CALLEE_CLI, DEFAULT_CLI] {
            server.create("/numbers", &json!({ "number": number, "tenant": tenant }));
        }
        let bed = Bed {
            tenant,
            account: text(&account["id"]),
            token: text(&account["token"]),
            app,
            push,
            server,
        };
        bed.settings(&json!({ "default_cli": DEFAULT_CLI }));
        bed
    }

    /// Changes settings of the application.
    pub fn settings(&self, settings: &Value) {
        let path = format!("/applications/{}", self.app);
        let answer = self
            .server
            .admin("PATCH", &path, Some(&json!({ "settings": settings })));
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    }

    /// A trunk for the numbers that begin so; one that is there is moved to this address.
    pub fn trunk(&self, name: &str, address: SocketAddr, prefix: &str) {
        let moved = json!({ "address": address.to_string() });
        if self
            .server
            .admin("PATCH", &format!("/trunks/{name}"), Some(&moved))
            .status
            == 200
        {
            return;
        }
        let rules = json!([{ "prefix": prefix, "strip": 0, "prepend": "", "allow": true }]);
        let trunk = json!({
            "name": name, "tenant": self.tenant, "address": address.to_string(), "rules": rules, "options_interval": 0,
        });
        self.server.create("/trunks", &trunk);
    }

    /// The trunk that the caller is reached over.
    pub fn caller_at(&self, address: SocketAddr) {
        self.trunk("caller", address, "+86138");
    }

    /// The trunk that the callee is reached over.
    pub fn callee_at(&self, address: SocketAddr) {
        self.trunk("callee", address, "+86139");
    }

    /// The trunk that a third party is reached over.
    pub fn third_at(&self, address: SocketAddr) {
        self.trunk("third", address, "+86137");
    }

    /// Calls to this number at the platform go to that one.
    pub fn route(&self, number: &str, target: &str) {
        self.server
            .create("/numbers", &json!({ "number": number, "tenant": self.tenant }));
        let route = json!({ "application": self.app, "number": number, "target": { "number": target } });
        self.server.create("/routes", &route);
    }

    /// A conversation as the admin API shows it.
    pub fn show(&self, sid: &str) -> Value {
        // The 32 digits of the id follow the dialect's two letters.
        let answer = self.server.admin("GET", &format!("/calls/{}", &sid[2..]), None);
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        answer.json()
    }

    /// Waits until a leg is in this state.
    pub fn wait_leg(&self, sid: &str, leg: usize, state: &str) {
        let what = format!("leg {leg} to be {state}");
        wait::until(&what, Duration::from_secs(10), Duration::from_millis(10), || {
            (self.show(sid)["legs"][leg]["state"] == state).then_some(())
        });
    }

    /// Uploads a tone as a prompt.
    pub fn prompt(&self, name: &str, hz: f32, millis: u64) {
        let file = wav_file(&tone(hz, Duration::from_millis(millis)));
        let path = format!("/prompts?name={name}&tenant={}", self.tenant);
        let answer = self.server.admin_raw("POST", &path, "audio/wav", Some(&file));
        assert_eq!(answer.status, 201, "{}", String::from_utf8_lossy(&answer.body));
    }

    /// The path of the conversation family, with something behind it.
    pub fn path(&self, rest: &str) -> String {
        format!("/20130701/Accounts/{}/Applications/{}{rest}", self.account, self.app)
    }

    /// A request to the integrators' API with the account's credentials.
    pub fn post(&self, path: &str, body: &[u8]) -> Answer {
        let basic = base64::engine::general_purpose::STANDARD.encode(format!("{}:{}", self.account, self.token));
        let headers = [
            ("Authorization", format!("Basic {basic}")),
            ("Content-Type", "application/json;charset=utf-8".to_owned()),
        ];
        let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let place = Place::Tcp(self.server.http());
        http::request(&place, "POST", path, &headers, Some(body))
            .unwrap_or_else(|e| panic!("POST {path}: {e}\n{}", self.server.log()))
    }

    /// A `click2call` with these members beside the usual ones.
    pub fn click_answer(&self, more: &Value) -> Value {
        let mut body = json!({
            "action": "click2call", "caller": CALLER, "callee": CALLEE, "callerCli": CALLER_CLI, "calleeCli": CALLEE_CLI,
            "statusUrl": self.push.url("/status"), "cdrUrl": self.push.url("/cdr"), "userData": "test",
        });
        for (name, value) in more.as_object().expect("an object") {
            body[name] = value.clone();
        }
        let answer = self.post(&self.path("/ctc/Conversations"), body.to_string().as_bytes());
        assert_eq!(answer.status, 200);
        answer.json()
    }

    /// Starts a `click2call`.
    ///
    /// # Panics
    /// If it is refused.
    pub fn click(&self, more: &Value) -> String {
        let answer = self.click_answer(more);
        assert_eq!(answer["statusCode"], "00000", "{answer}");
        answer["conversationSid"]
            .as_str()
            .expect("a conversationSid")
            .to_owned()
    }

    /// Commands a running conversation and gives back the statusCode.
    pub fn command(&self, sid: &str, body: &Value) -> String {
        let path = self.path(&format!("/ctc/Conversations/{sid}"));
        let answer = self.post(&path, body.to_string().as_bytes()).json();
        answer["statusCode"].as_str().unwrap_or_default().to_owned()
    }

    /// Waits for the conversation's call record.
    pub fn cdr(&self, sid: &str, patience: Duration) -> Value {
        self.push
            .wait("the call record", patience, |all| records(all, sid).into_iter().next())
    }

    /// Waits for the record, then checks that all is over: one record, no open call, the statuses of each leg complete
    /// and in order.
    pub fn over(&self, sid: &str, patience: Duration) -> Value {
        let cdr = self.cdr(sid, patience);
        let legs = cdr["cdrs"].as_array().expect("legs").len();
        let completed = |all: &[Push]| statuses(all, sid).iter().filter(|s| s.1 == "completed").count();
        self.push
            .wait("the last status", PUSHED, |all| (completed(all) == legs).then_some(()));
        wait::until("no open call", PUSHED, Duration::from_millis(20), || {
            self.server.open_calls().is_empty().then_some(())
        });
        let all = self.push.all();
        assert_eq!(records(&all, sid).len(), 1, "one record");
        check_statuses(&statuses(&all, sid), &cdr);
        cdr
    }

    /// Statuses of a conversation: `(callSid, callStatus, callCause)`.
    pub fn statuses(&self, sid: &str) -> Vec<(String, String, String)> {
        statuses(&self.push.all(), sid)
    }
}

/// Accepted records of a conversation.
pub fn records(all: &[Push], sid: &str) -> Vec<Value> {
    let of = all.iter().filter(|p| p.path == "/cdr" && p.accepted).map(Push::json);
    of.filter(|v| v["conversationSid"] == sid).collect()
}

/// Accepted statuses of a conversation: `(callSid, callStatus, callCause)`.
pub fn statuses(all: &[Push], sid: &str) -> Vec<(String, String, String)> {
    let of = all.iter().filter(|p| p.path == "/status" && p.accepted).map(Push::json);
    let text = |v: &Value| v.as_str().unwrap_or("not a string").to_owned();
    of.filter(|v| v["conversationSid"] == sid)
        .map(|v| (text(&v["callSid"]), text(&v["callStatus"]), text(&v["callCause"])))
        .collect()
}

/// Each leg of the record has its statuses: `initiated` first, `ringing` and `answered` at most once and only if the
/// record has them, `completed` last and with the record's cause.
///
/// # Panics
/// If they are not so.
pub fn check_statuses(statuses: &[(String, String, String)], cdr: &Value) {
    for leg in cdr["cdrs"].as_array().expect("legs") {
        let mut expected = vec!["initiated"];
        if leg["ringTime"] != "" {
            expected.push("ringing");
        }
        if leg["answerTime"] != "" {
            expected.push("answered");
        }
        expected.push("completed");
        let own: Vec<_> = statuses.iter().filter(|s| leg["callSid"] == *s.0).collect();
        let words: Vec<&str> = own.iter().map(|s| s.1.as_str()).collect();
        assert_eq!(words, expected, "statuses of leg {}", leg["callSeq"]);
        for (_, word, cause) in own {
            if word == "completed" {
                assert_eq!(leg["cause"], *cause, "cause of leg {}", leg["callSeq"]);
            } else {
                assert_eq!(cause, "", "a cause before the end");
            }
        }
    }
}
