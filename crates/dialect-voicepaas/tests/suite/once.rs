//! The header `Idempotency-Key`: a request whose answer was lost may be sent again.

use crate::kit::*;
use axum::body::Body;
use axum::http::{Request, header};
use serde_json::{Value, json};
use strowger_core::AccountId;
use strowger_runtime::CallError;

fn send(kit: &Kit, account: AccountId, tail: &str, keys: &[&[u8]], body: &Value) -> Reply {
    let mut request = Request::post(path((account, APP), tail))
        .header(header::AUTHORIZATION, basic(account, TOKEN))
        .header(header::CONTENT_TYPE, "application/json");
    for key in keys {
        request = request.header("Idempotency-Key", *key);
    }
    kit.send(request.body(Body::from(body.to_string())).unwrap())
}

fn click(kit: &Kit, key: &str, more: Value) -> Reply {
    send(kit, ACCOUNT, "ctc/Conversations", &[key.as_bytes()], &click_body(more))
}

// accept: domain-model I11
#[test]
fn a_repeated_click_dials_once_and_gets_the_same_answer() {
    let kit = Kit::talking();
    let first = click(&kit, "order-17", json!({"greetVoice": "greet.wav"}));
    assert_eq!(first.code(), "00000");
    // The prompt is gone and nothing new is taken: what was done stays done.
    kit.world().sounds.clear();
    kit.world().refuse = Some(CallError::Concurrency);
    assert_eq!(click(&kit, "order-17", json!({"greetVoice": "greet.wav"})), first);
    kit.run();
    assert_eq!(
        click(&kit, "order-17", json!({"greetVoice": "greet.wav"})),
        first,
        "also after the end"
    );
    assert_eq!(kit.world().convs.len(), 1);
}

#[test]
fn a_key_names_one_request_of_one_account() {
    let kit = Kit::talking();
    let first = click(&kit, "k", json!({}));
    let other = click(&kit, "k", json!({"userData": "x"}));
    assert_eq!(other.code(), "10005");
    assert_eq!(
        other.body["statusMsg"],
        "parameter invalid: Idempotency-Key was used for another request"
    );
    assert_eq!(kit.world().convs.len(), 1);
    let second = send(
        &kit,
        SECOND_ACCOUNT,
        "ctc/Conversations",
        &[b"k"],
        &click_body(json!({})),
    );
    assert_eq!(second.code(), "00000");
    assert_ne!(second.body["conversationSid"], first.body["conversationSid"]);
    // Without a key every request is a new one.
    kit.click(json!({}));
    kit.click(json!({}));
    assert_eq!(kit.world().convs.len(), 4);
}

#[test]
fn a_key_is_visible_ascii_of_1_to_255() {
    let kit = Kit::talking();
    let long = [b'x'; 256];
    let two: [&[u8]; 2] = [b"a", b"b"];
    let bad: [&[&[u8]]; 4] = [&[b""], &[b"a b"], &[&long], &two];
    for keys in bad {
        let reply = send(&kit, ACCOUNT, "ctc/Conversations", keys, &click_body(json!({})));
        assert_eq!(reply.code(), "10005", "{keys:?}");
    }
    assert_eq!(kit.world().convs.len(), 0);
    let reply = send(
        &kit,
        ACCOUNT,
        "ctc/Conversations",
        &[&long[..255]],
        &click_body(json!({})),
    );
    assert_eq!(reply.code(), "00000");
}

// accept: domain-model I11
#[test]
fn a_repeated_add_adds_one_party() {
    let mut kit = Kit::talking();
    kit.party(THIRD, Party::answers(2, 5));
    let sid = kit.click(json!({}));
    kit.until(20.0);
    let tail = format!("ctc/Conversations/{sid}");
    let add = |key: &str, more: &str| {
        let body = json!({"action": "addCall", "callee": THIRD, "timeout": more});
        send(&kit, ACCOUNT, &tail, &[key.as_bytes()], &body)
    };
    let first = add("k", "60");
    assert_eq!(first.code(), "00000");
    assert_eq!(add("k", "60"), first);
    assert_eq!(add("k", "61").code(), "10005");
    assert_eq!(
        add("l", "60").code(),
        "20004",
        "another command finds an add in progress"
    );
    let dials = kit.trace(&sid).iter().filter(|t| t.1.starts_with("dial")).count();
    assert_eq!(dials, 3);
}
