//! Chats over the native API, against the real binary.

use serde_json::{Value, json};
use strowger_tests::centre::{Centre, EVERY, STEP};
use strowger_tests::wait;

fn key(centre: &Centre) -> String {
    let made = centre.office.bed.server.create(
        "/keys",
        &json!({ "name": "website", "tenant": centre.office.bed.tenant, "scopes": ["chats:write", "events:read"] }),
    );
    made["key"].as_str().expect("a key").to_owned()
}

fn seqs(lines: &Value) -> Vec<u64> {
    let items = lines["items"].as_array().expect("items");
    items.iter().filter_map(|l| l["seq"].as_u64()).collect()
}

fn texts(lines: &Value) -> Vec<String> {
    let items = lines["items"].as_array().expect("items").iter();
    items.filter_map(|l| l["text"].as_str().map(str::to_owned)).collect()
}

/// A customer writes, an agent is offered the chat, takes it, answers, hands it over, and it is ended; a call comes beside it.
// accept: domain-model M45
#[test]
fn a_customer_writes_and_an_agent_answers() {
    let mut centre = Centre::start(&["anna", "bert"]);
    let website = key(&centre);
    let token = centre.log_in("anna");
    let mut page = centre.follow(&token);
    centre.sign_in_as("anna", &token);
    let open = json!({ "queue": "sales", "customer": "c-17", "name": "Wang", "text": "hello" });
    let (status, chat) = centre.ask_as(&website, "POST", "/chats", &open);
    assert_eq!(status, 201, "{chat}");
    let id = chat["id"].as_str().unwrap().to_owned();
    let offered = page.event("chat.changed", |d| d["what"] == "offered" && d["chat"] == id.as_str());
    let act = |who: &str, body: Value| centre.ask_as(who, "POST", &format!("/chats/{id}/actions"), &body);
    let accept = json!({ "agent": "anna", "action": "accept", "offer": offered["seq"] });
    let (status, view) = act(&token, accept);
    assert_eq!((status, &view["state"]), (200, &json!("active")), "{view}");
    // The customer's key cannot act for an agent, and the agent not for the customer.
    assert_eq!(act(&website, json!({ "agent": "anna", "action": "end" })).0, 403);
    assert_eq!(act(&token, json!({ "customer": true, "action": "end" })).0, 403);
    let say = |who: &str, body: Value| centre.ask_as(who, "POST", &format!("/chats/{id}/messages"), &body);
    let first = say(&website, json!({ "text": "are you there?", "key": "m2" }));
    let again = say(&website, json!({ "text": "are you there?", "key": "m2" }));
    assert_eq!((first.0, &first), (200, &again));
    page.event("chat.message", |d| d["text"] == "are you there?");
    assert_eq!(say(&token, json!({ "agent": "anna", "text": "yes" })).0, 200);
    assert_eq!(say(&token, json!({ "agent": "anna", "text": "" })).0, 400);
    let (_, lines) = centre.ask_as(&website, "GET", &format!("/chats/{id}/messages"), &json!({}));
    assert_eq!(texts(&lines), ["hello", "are you there?", "yes"]);
    let all = seqs(&lines);
    assert_eq!(all, (1..=all.len() as u64).collect::<Vec<_>>());
    // A call beside it.
    let mut customer = centre.office.registered("customer");
    let mut anna = centre.office.registered("anna");
    centre.wait_for("anna", "reachable", |d| d["device_lost"] == false);
    let mut waiting = centre.call_in(&mut customer);
    let invite = anna.ring();
    let talk = anna.accept(&invite);
    let duty = centre.wait_state("anna", "talk-in");
    assert_eq!(duty["chats"], json!([1, 0, 5]), "{duty}");
    let (_, second) = centre.ask_as(
        &website,
        "POST",
        "/chats",
        &json!({ "queue": "sales", "text": "me too" }),
    );
    assert_eq!(second["state"], "queued", "none is offered in a call: {second}");
    customer.hang_up(&mut waiting);
    anna.hung_up(&talk);
    page.event("chat.changed", |d| d["what"] == "offered" && d["chat"] == second["id"]);
    // Handed to an agent that is not there, and to the queue.
    let to = |to: Value| json!({ "agent": "anna", "action": "transfer", "to": to });
    let (status, refused) = act(&token, to(json!({ "agent": "bert" })));
    assert_eq!((status, &refused["code"]), (409, &json!("chat.state")), "{refused}");
    let (status, view) = act(&token, to(json!({ "queue": "sales" })));
    assert_eq!(
        (status, &view["parts"][0]["how"]),
        (200, &json!("transferred")),
        "{view}"
    );
    let (status, view) = act(&website, json!({ "customer": true, "action": "end" }));
    assert_eq!((status, &view["closed_by"]), (200, &json!("client")), "{view}");
    assert_eq!(say(&website, json!({ "text": "?" })).0, 404);
    let (_, list) = centre.ask("GET", "/chats", &json!({}));
    assert_eq!(list["items"].as_array().map(Vec::len), Some(2), "{list}");
    centre.office.over("normal");
}

/// `kill -9` while messages are sent: each that was answered for is there, once, in its order.
#[test]
fn no_message_that_was_answered_for_is_lost() {
    let mut centre = Centre::start(&["anna"]);
    let website = key(&centre);
    let token = centre.log_in("anna");
    let _page = centre.follow(&token);
    centre.sign_in_as("anna", &token);
    let (_, chat) = centre.ask_as(&website, "POST", "/chats", &json!({ "queue": "sales" }));
    let id = chat["id"].as_str().expect("an id").to_owned();
    let path = format!("/chats/{id}/messages");
    let accept = json!({ "agent": "anna", "action": "accept" });
    assert_eq!(
        centre
            .ask_as(&token, "POST", &format!("/chats/{id}/actions"), &accept)
            .0,
        200
    );
    let mut told = Vec::new();
    for round in 0..3 {
        for n in 0..20 {
            let text = format!("message {round}.{n}");
            let (status, said) = centre.ask_as(&website, "POST", &path, &json!({ "text": text, "key": text }));
            assert_eq!(status, 200, "{said}");
            told.push((said["seq"].as_u64().unwrap(), text));
        }
        let server = &mut centre.office.bed.server;
        server.kill_9();
        server.launch();
        // The newest one again: its answer may have been lost on the way.
        let (seq, text) = told.last().cloned().unwrap();
        let again = wait::until("the server to answer", STEP, EVERY, || {
            let body = json!({ "text": text, "key": text });
            let (status, said) = centre.ask_as(&website, "POST", &path, &body);
            (status == 200).then_some(said)
        });
        assert_eq!(again["seq"].as_u64(), Some(seq));
    }
    let (_, lines) = centre.ask_as(&website, "GET", &path, &json!({}));
    let there: Vec<(u64, String)> = lines["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|l| Some((l["seq"].as_u64()?, l["text"].as_str()?.to_owned())))
        .collect();
    assert_eq!(there, told);
    let (_, view) = centre.ask_as(&website, "GET", &format!("/chats/{id}"), &json!({}));
    assert_eq!(view["state"], "active", "its agent has it still: {view}");
}
