//! The native API on the public listener: logins, keys, roles, rates, idempotency, pages, versions, the audit log.

mod kit;

use axum::http::Method;
use kit::{Full, House, house};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use totp_rs::{Algorithm, TOTP};

const PASSWORD: &str = "seven green kettles";
const ALL: [&str; 8] = [
    "resources:read",
    "resources:write",
    "calls:read",
    "calls:write",
    "diagnostics:read",
    "identity:read",
    "identity:write",
    "audit:read",
];

/// A house with one tenant and a user of each role.
async fn staffed() -> House {
    let h = house();
    h.post("/tenants", json!({ "name": "acme" })).await;
    for role in ["owner", "admin", "leader", "agent", "auditor"] {
        h.post("/users", json!({ "name": role, "role": role, "password": PASSWORD }))
            .await;
    }
    h
}

async fn try_login(h: &House, body: Value) -> Full {
    h.public("POST", "/login", "", &[], body).await
}

async fn login(h: &House, name: &str) -> (String, String) {
    let answer = try_login(h, json!({ "name": name, "password": PASSWORD })).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let text = |m: &str| answer.body[m].as_str().unwrap().to_owned();
    (text("access_token"), text("refresh_token"))
}

fn pass(h: &House, seconds: i64) {
    h.now.fetch_add(seconds * 1000, Ordering::Relaxed);
}

fn code(a: &Full) -> (u16, &str) {
    (a.status, a.body["code"].as_str().unwrap_or("-"))
}

#[tokio::test]
async fn a_user_logs_in_goes_on_and_logs_out() {
    let h = staffed().await;
    let (access, refresh) = login(&h, "Leader").await;
    let me = h.public("GET", "/me", &access, &[], Value::Null).await;
    assert_eq!((me.status, &me.body["role"]), (200, &json!("leader")));
    pass(&h, 899);
    assert_eq!(h.public("GET", "/me", &access, &[], Value::Null).await.status, 200);
    pass(&h, 1);
    let over = h.public("GET", "/me", &access, &[], Value::Null).await;
    assert_eq!(code(&over), (401, "auth.required"));
    assert_eq!(over.headers["www-authenticate"], "Bearer");

    let again = json!({ "refresh_token": refresh });
    let new = h.public("POST", "/login/refresh", "", &[], again.clone()).await;
    assert_eq!(new.status, 200);
    let access = new.body["access_token"].as_str().unwrap().to_owned();
    assert_eq!(h.public("GET", "/me", &access, &[], Value::Null).await.status, 200);
    // The old one again: somebody has a copy. The new tokens are refused too.
    let stolen = h.public("POST", "/login/refresh", "", &[], again).await;
    assert_eq!(code(&stolen), (401, "auth.refresh"));
    let cut = h.public("GET", "/me", &access, &[], Value::Null).await;
    assert_eq!(code(&cut), (401, "auth.required"));
    let newest = json!({ "refresh_token": new.body["refresh_token"] });
    let dead = h.public("POST", "/login/refresh", "", &[], newest).await;
    assert_eq!(code(&dead), (401, "auth.refresh"));

    let (access, refresh) = login(&h, "leader").await;
    let out = h.public("DELETE", "/login", &access, &[], Value::Null).await;
    assert_eq!(out.status, 204);
    assert_eq!(h.public("GET", "/me", &access, &[], Value::Null).await.status, 401);
    let dead = h
        .public("POST", "/login/refresh", "", &[], json!({ "refresh_token": refresh }))
        .await;
    assert_eq!(dead.status, 401);
}

#[tokio::test]
async fn tokens_that_are_not_ours_are_refused() {
    let h = staffed().await;
    let (access, refresh) = login(&h, "owner").await;
    let parts: Vec<&str> = access.split('.').collect();
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
    let mut flipped = parts[2].to_owned();
    flipped.replace_range(0..1, if flipped.starts_with('B') { "C" } else { "B" });
    for bad in [
        String::new(),
        "x".to_owned(),
        "swk_x".to_owned(),
        "swk_00000000000000000000000000000001_00".to_owned(),
        format!("{}.{}.", none, parts[1]),
        format!("{}.{}.{}", none, parts[1], parts[2]),
        format!("{}.{}.{flipped}", parts[0], parts[1]),
        refresh,
    ] {
        let answer = h.public("GET", "/users", &bad, &[], Value::Null).await;
        assert_eq!(code(&answer), (401, "auth.required"), "{bad}");
    }
    let basic = h.public("GET", "/users", "", &[("authorization", "Basic eDp5")], Value::Null);
    assert_eq!(basic.await.status, 401);
    // What changes in the user holds at once.
    let user = h.get("/users/owner").await;
    h.ask(Method::PATCH, "/users/owner", json!({ "role": "agent" })).await;
    let demoted = h.public("GET", "/users", &access, &[], Value::Null).await;
    assert_eq!(code(&demoted), (403, "auth.forbidden"));
    h.ask(Method::PATCH, "/users/owner", json!({ "disabled": true })).await;
    let off = h.public("GET", "/me", &access, &[], Value::Null).await;
    assert_eq!(off.status, 401);
    assert!(user["second_factor"] == false && user.get("password").is_none());
}

#[tokio::test]
async fn wrong_tries_lock_the_name_and_tell_nothing() {
    let h = staffed().await;
    let wrong = |name: &str| json!({ "name": name, "password": "wrong password" });
    for name in ["agent", "nobody"] {
        for _ in 0..5 {
            assert_eq!(code(&try_login(&h, wrong(name)).await), (401, "request.credentials"));
        }
        let locked = try_login(&h, wrong(name)).await;
        assert_eq!(code(&locked), (429, "request.attempts"), "{name}");
        assert_eq!(locked.headers["retry-after"], "30");
    }
    let right = json!({ "name": "agent", "password": PASSWORD });
    assert_eq!(
        try_login(&h, right.clone()).await.status,
        429,
        "also with the right one"
    );
    pass(&h, 30);
    assert_eq!(try_login(&h, right.clone()).await.status, 200);
    // A new password from an administrator ends a lock.
    for _ in 0..5 {
        try_login(&h, wrong("leader")).await;
    }
    let made = h
        .ask(Method::PATCH, "/users/leader", json!({ "make_password": true }))
        .await
        .1;
    let made = made["password"].as_str().unwrap();
    let answer = try_login(&h, json!({ "name": "leader", "password": made })).await;
    assert_eq!(answer.status, 200);
    // Twenty from one address, whatever the names.
    let mut last = 0;
    for n in 0..25 {
        last = try_login(&h, wrong(&format!("n{n}"))).await.status;
    }
    assert_eq!(last, 429);
    let log = h.get("/audit?tenant=acme").await;
    let rows = log["items"].as_array().unwrap();
    let wrongs = rows
        .iter()
        .filter(|r| r["action"] == "login" && r["outcome"] != "done")
        .count();
    assert!(wrongs >= 10, "{log}");
    assert!(!log.to_string().contains("wrong password"));
}

#[tokio::test]
async fn a_second_factor_is_begun_confirmed_asked_for_and_recovered() {
    let h = staffed().await;
    let (access, _) = login(&h, "admin").await;
    let begin = |password: &str| {
        let body = json!({ "password": password });
        h.public("POST", "/me/second-factor", &access, &[], body)
    };
    assert_eq!(code(&begin("not the password").await), (401, "request.credentials"));
    let begun = begin(PASSWORD).await;
    let uri = begun.body["uri"].as_str().unwrap();
    assert!(uri.starts_with("otpauth://totp/Strowger:admin?secret="), "{uri}");
    let secret = totp_rs::Secret::Encoded(begun.body["secret"].as_str().unwrap().to_owned());
    let totp = TOTP::new_unchecked(Algorithm::SHA1, 6, 1, 30, secret.to_bytes().unwrap());
    let shown = |h: &House| totp.generate(h.now.load(Ordering::Relaxed) as u64 / 1000);
    // Not asked for before it is confirmed.
    login(&h, "admin").await;
    let confirm = |code: String| h.public("PUT", "/me/second-factor", &access, &[], json!({ "code": code }));
    assert_eq!(code(&confirm("000000".into()).await).1, "request.parameter");
    let codes = confirm(shown(&h)).await;
    assert_eq!(codes.body["recovery_codes"].as_array().unwrap().len(), 10);
    assert_eq!(confirm(shown(&h)).await.status, 404);

    let with = |c: Option<&str>| json!({ "name": "admin", "password": PASSWORD, "code": c });
    assert_eq!(code(&try_login(&h, with(None)).await), (401, "auth.second-factor"));
    let c = shown(&h);
    assert_eq!(try_login(&h, with(Some(&c))).await.status, 200);
    assert_eq!(
        code(&try_login(&h, with(Some(&c))).await),
        (401, "request.credentials"),
        "a code is good once"
    );
    pass(&h, 30);
    assert_eq!(try_login(&h, with(Some(&shown(&h)))).await.status, 200);
    let recovery = codes.body["recovery_codes"][2].as_str().unwrap();
    assert_eq!(try_login(&h, with(Some(recovery))).await.status, 200);
    assert_eq!(try_login(&h, with(Some(recovery))).await.status, 401, "good once");
    let me = h.public("GET", "/me", &access, &[], Value::Null).await;
    assert_eq!(me.body["second_factor"], true);
    // The installation's owner helps one who lost it.
    h.ask(Method::PATCH, "/users/admin", json!({ "remove_second_factor": true }))
        .await;
    login(&h, "admin").await;
}

#[tokio::test]
async fn a_new_password_ends_the_other_logins() {
    let h = staffed().await;
    let (here, _) = login(&h, "owner").await;
    let (there, _) = login(&h, "owner").await;
    let list = h.public("GET", "/me/logins", &here, &[], Value::Null).await;
    assert_eq!(list.body["items"].as_array().unwrap().len(), 2);
    let change = |old: &str, new: &str| {
        let body = json!({ "old": old, "new": new });
        h.public("PUT", "/me/password", &here, &[], body)
    };
    for weak in ["short", "aaaaaaaaaaaa", "my name is owner"] {
        assert_eq!(
            code(&change(PASSWORD, weak).await),
            (400, "request.parameter"),
            "{weak}"
        );
    }
    assert_eq!(code(&change("wrong old", "five blue horses").await).0, 401);
    assert_eq!(change(PASSWORD, "five blue horses").await.status, 204);
    assert_eq!(h.public("GET", "/me", &here, &[], Value::Null).await.status, 200);
    assert_eq!(h.public("GET", "/me", &there, &[], Value::Null).await.status, 401);
    assert_eq!(
        try_login(&h, json!({ "name": "owner", "password": PASSWORD }))
            .await
            .status,
        401
    );
}

#[tokio::test]
async fn roles_and_keys_do_what_their_scopes_say_and_make_nobody_stronger() {
    let h = staffed().await;
    let (owner, _) = login(&h, "owner").await;
    let (admin, _) = login(&h, "admin").await;
    let (agent, _) = login(&h, "agent").await;
    let (auditor, _) = login(&h, "auditor").await;
    let user = |name: &str, role: &str| json!({ "name": name, "role": role });
    for (token, body, status) in [
        (&agent, user("x1", "agent"), 403),
        (&auditor, user("x2", "agent"), 403),
        (&admin, user("x3", "owner"), 403),
        (&admin, user("x4", "leader"), 201),
        (&owner, user("x5", "owner"), 201),
        (&owner, user("x 6", "agent"), 400),
        (&owner, user("x7", "chief"), 400),
        (&owner, user("OWNER", "agent"), 409),
    ] {
        let answer = h.public("POST", "/users", token, &[], body.clone()).await;
        assert_eq!(answer.status, status, "{body} {}", answer.body);
    }
    assert_eq!(h.public("GET", "/audit", &auditor, &[], Value::Null).await.status, 200);
    assert_eq!(h.public("GET", "/devices", &agent, &[], Value::Null).await.status, 403);
    // The last owner stays, for the owners themselves.
    let patch = |who: &'static str, body: Value| h.public("PATCH", who, &owner, &[], body);
    assert_eq!(patch("/users/x5", json!({ "disabled": true })).await.status, 200);
    assert_eq!(
        code(&patch("/users/owner", json!({ "role": "admin" })).await),
        (409, "in-use")
    );
    let remove = h.public("DELETE", "/users/owner", &admin, &[], Value::Null).await;
    assert_eq!(code(&remove), (403, "auth.forbidden"));

    let key = |token: String, scopes: Value| {
        let body = json!({ "name": "crm", "scopes": scopes, "max_rate": 1000 });
        let h = &h;
        async move { h.public("POST", "/keys", &token, &[], body).await }
    };
    let made = key(owner.clone(), json!(["identity:write", "resources:read"])).await;
    let weak = made.body["key"].as_str().unwrap().to_owned();
    let stronger = key(weak.clone(), json!(["calls:write"])).await;
    assert_eq!(code(&stronger), (403, "auth.forbidden"));
    assert_eq!(key(weak.clone(), json!(["resources:read"])).await.status, 201);
    let answer = h.public("POST", "/users", &weak, &[], user("x8", "admin")).await;
    assert_eq!(code(&answer), (403, "auth.forbidden"), "{}", answer.body);
    assert_eq!(key(owner.clone(), json!([])).await.status, 400);
    assert_eq!(h.public("DELETE", "/login", &weak, &[], Value::Null).await.status, 403);
    let id = made.body["id"].as_str().unwrap();
    let shown = h.public("GET", &format!("/keys/{id}"), &owner, &[], Value::Null).await;
    assert!(shown.body.get("key").is_none() && !shown.body.to_string().contains(&weak));
    assert_eq!(h.public("GET", "/devices", &weak, &[], Value::Null).await.status, 200);
    h.public(
        "PATCH",
        &format!("/keys/{id}"),
        &owner,
        &[],
        json!({ "disabled": true }),
    )
    .await;
    assert_eq!(h.public("GET", "/devices", &weak, &[], Value::Null).await.status, 401);
    // The platform's operations are not there at all.
    for path in ["/bans", "/backup", "/certificates/reload"] {
        let answer = h.public("GET", path, &owner, &[], Value::Null).await;
        assert_eq!(code(&answer), (404, "request.path"), "{path}");
    }
    let answer = h.public("POST", "/tenants", &owner, &[], json!({ "name": "x" })).await;
    assert_eq!(code(&answer), (405, "request.method"));
}

#[tokio::test]
async fn a_key_ends_and_a_key_that_asks_too_often_waits() {
    let h = house();
    h.post("/tenants", json!({ "name": "acme" })).await;
    let body = json!({
        "name": "k", "scopes": ["resources:read"], "max_rate": 5, "expires_at": "2023-11-14T22:14:20Z",
    });
    let key = h.post("/keys", body).await["key"].as_str().unwrap().to_owned();
    let mut answers = Vec::new();
    for _ in 0..12 {
        answers.push(h.public("GET", "/devices", &key, &[], Value::Null).await);
    }
    let good = answers.iter().filter(|a| a.status == 200).count();
    assert_eq!(good, 10, "two seconds' worth at once");
    assert_eq!(code(&answers[11]), (429, "rate-limited"));
    assert_eq!(answers[11].headers["retry-after"], "1");
    pass(&h, 59);
    assert_eq!(h.public("GET", "/devices", &key, &[], Value::Null).await.status, 200);
    pass(&h, 1);
    assert_eq!(h.public("GET", "/devices", &key, &[], Value::Null).await.status, 401);
}

#[tokio::test]
async fn a_stale_change_is_refused_and_the_newer_one_stays() {
    let h = house();
    let (_, key) = h.tenant_with_key("acme", &ALL).await;
    let made = h
        .public("POST", "/devices", &key, &[], json!({ "username": "desk" }))
        .await;
    let first = made.headers["etag"].to_str().unwrap().to_owned();
    let shown = h.public("GET", "/devices/desk", &key, &[], Value::Null).await;
    assert_eq!(shown.headers["etag"], first.as_str());
    let change = |tag: String, body: Value| {
        let h = &h;
        let key = &key;
        async move {
            h.public("PATCH", "/devices/desk", key, &[("if-match", &tag)], body)
                .await
        }
    };
    let second = change(first.clone(), json!({ "media": "srtp" })).await;
    assert_eq!(second.status, 200);
    let second = second.headers["etag"].to_str().unwrap().to_owned();
    assert_ne!(first, second);
    assert_eq!(
        code(&change(first.clone(), json!({ "media": "rtp" })).await),
        (412, "stale")
    );
    // A secret that nobody sees is a change too.
    let third = change(second.clone(), json!({ "password": "another secret" })).await;
    assert_ne!(third.headers["etag"], second.as_str());
    let remove = |tag: &'static str| {
        let (h, key) = (&h, &key);
        async move {
            h.public("DELETE", "/devices/desk", key, &[("if-match", tag)], Value::Null)
                .await
        }
    };
    assert_eq!(code(&remove("\"0000\"").await), (412, "stale"));
    assert_eq!(code(&remove("0000").await), (400, "request.parameter"));
    let shown = h.public("GET", "/devices/desk", &key, &[], Value::Null).await;
    assert_eq!(shown.body["media"], "srtp");
    assert_eq!(remove("*").await.status, 204);
}

#[tokio::test]
async fn a_named_request_is_carried_out_once() {
    let h = house();
    let (_, key) = h.tenant_with_key("acme", &ALL).await;
    let (_, other) = h.tenant_with_key("other", &ALL).await;
    let post = |token: String, name: &'static str, body: Value| {
        let h = &h;
        async move {
            h.public("POST", "/devices", &token, &[("idempotency-key", name)], body)
                .await
        }
    };
    let first = post(key.clone(), "n1", json!({ "username": "a" })).await;
    let again = post(key.clone(), "n1", json!({ "username": "a" })).await;
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!(first.body, again.body, "the password that was shown once too");
    let reused = post(key.clone(), "n1", json!({ "username": "b" })).await;
    assert_eq!(code(&reused), (409, "call.key-reused"));
    // A key of another tenant has names of its own.
    assert_eq!(post(other, "n1", json!({ "username": "a" })).await.status, 201);
    // What failed did nothing, so its name is free.
    let failed = post(key.clone(), "n2", json!({ "username": "a" })).await;
    assert_eq!(code(&failed), (409, "exists"));
    assert_eq!(post(key.clone(), "n2", json!({ "username": "b" })).await.status, 201);
    assert_eq!(post(key.clone(), "a b", json!({ "username": "c" })).await.status, 400);
    let devices = h.public("GET", "/devices", &key, &[], Value::Null).await;
    assert_eq!(devices.body["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn lists_are_paged_without_gaps() {
    let h = house();
    let (_, key) = h.tenant_with_key("acme", &ALL).await;
    for n in 0..7 {
        h.post("/devices", json!({ "username": format!("d{n}"), "tenant": "acme" }))
            .await;
    }
    let (mut seen, mut after) = (Vec::new(), String::new());
    for _ in 0..4 {
        let path = format!("/devices?limit=3{after}");
        let page = h.public("GET", &path, &key, &[], Value::Null).await.body;
        seen.extend(page["items"].as_array().unwrap().iter().map(|d| d["username"].clone()));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
        // What is made meanwhile does not shift the pages.
        h.post(
            "/devices",
            json!({ "username": format!("late{}", seen.len()), "tenant": "acme" }),
        )
        .await;
    }
    let mut early: Vec<&str> = seen
        .iter()
        .filter_map(|v| v.as_str())
        .filter(|v| v.starts_with('d'))
        .collect();
    early.sort_unstable();
    assert_eq!(early, ["d0", "d1", "d2", "d3", "d4", "d5", "d6"]);
    for bad in ["limit=0", "limit=1001", "limit=x", "after=zz"] {
        let answer = h
            .public("GET", &format!("/devices?{bad}"), &key, &[], Value::Null)
            .await;
        assert_eq!(code(&answer), (400, "request.parameter"), "{bad}");
    }
}

#[tokio::test]
async fn the_audit_log_says_who_did_what_from_where_and_is_the_tenants_own() {
    let h = staffed().await;
    let (owner, _) = login(&h, "owner").await;
    let (auditor, _) = login(&h, "auditor").await;
    let (agent, _) = login(&h, "agent").await;
    let made = h
        .public(
            "POST",
            "/devices",
            &owner,
            &[("x-request-id", "req-17")],
            json!({ "username": "desk" }),
        )
        .await;
    assert_eq!(made.headers["x-request-id"], "req-17");
    h.public("DELETE", "/devices/desk", &agent, &[], Value::Null).await;
    h.ask(Method::PATCH, "/devices/desk", json!({ "disabled": true })).await;
    let log = h.public("GET", "/audit", &auditor, &[], Value::Null).await;
    let rows = log.body["items"].as_array().unwrap();
    let row = |n: usize| {
        let r = &rows[n];
        let text = |m: &str| r[m].as_str().unwrap().to_owned();
        (text("actor"), text("actor_name"), text("action"), text("outcome"))
    };
    let of = |a: &str, b: &str, c: &str, d: &str| (a.to_owned(), b.to_owned(), c.to_owned(), d.to_owned());
    assert_eq!(row(0), of("platform", "", "devices.change", "done"));
    assert_eq!(row(1), of("user", "agent", "devices.remove", "auth.forbidden"));
    assert_eq!(row(2), of("user", "owner", "devices.create", "done"));
    assert_eq!(rows[2]["request"], "req-17");
    assert_eq!(
        rows[2]["resource"],
        format!("devices/{}", made.body["id"].as_str().unwrap())
    );
    assert_eq!(rows[0]["source"], "local");
    assert_eq!(row(3), of("user", "agent", "login", "done"));
    // Pages.
    let first = h.public("GET", "/audit?limit=2", &auditor, &[], Value::Null).await;
    let next = first.body["next"].as_str().unwrap();
    let path = format!("/audit?limit=2&after={next}");
    let second = h.public("GET", &path, &auditor, &[], Value::Null).await;
    assert_eq!(second.body["items"][0], rows[2]);
    // Another tenant's log does not exist, and has nothing of this.
    let (_, key) = h.tenant_with_key("other", &["audit:read"]).await;
    let theirs = h.public("GET", "/audit", &key, &[], Value::Null).await;
    assert!(!theirs.body.to_string().contains("desk"), "{}", theirs.body);
    let named = h.public("GET", "/audit?tenant=acme", &key, &[], Value::Null).await;
    assert_eq!(code(&named), (404, "not-found"));
    let problem = h.public("GET", "/devices/none", &owner, &[], Value::Null).await;
    assert_eq!(
        problem.body["request"].as_str().unwrap(),
        problem.headers["x-request-id"]
    );
}

#[tokio::test]
async fn a_login_names_its_tenant_when_there_are_several() {
    let h = staffed().await;
    h.post("/tenants", json!({ "name": "other", "domain": "other.example" }))
        .await;
    let body = |tenant: Option<&str>, name: &str| json!({ "name": name, "password": PASSWORD, "tenant": tenant });
    let unnamed = try_login(&h, body(None, "owner")).await;
    assert_eq!(code(&unnamed), (400, "request.tenant"));
    assert!(
        !unnamed.body.to_string().contains("acme"),
        "no list of tenants for anybody"
    );
    assert_eq!(try_login(&h, body(Some("acme"), "owner")).await.status, 200);
    for other in ["other", "OTHER.example", "none"] {
        let answer = try_login(&h, body(Some(other), "owner")).await;
        assert_eq!(code(&answer), (401, "request.credentials"), "{other}");
    }
}
