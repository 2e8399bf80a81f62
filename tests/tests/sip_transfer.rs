//! Transfers and pick-up: REFER blind and attended, INVITE with Replaces.

use serde_json::Value;
use strowger_tests::msg::{Message, parameter};
use strowger_tests::office::{Office, password};
use strowger_tests::phone::{Phone, Talk};
use strowger_tests::script::Script;
use strowger_tests::sipp::{Run, installed};

/// `caller` calls `callee`, who answers.
fn talk(caller: &mut Phone, callee: &mut Phone, name: &str) -> (Talk, Talk) {
    let sdp = caller.sdp("sendrecv");
    let mut talk = caller.invite(name, "", &sdp);
    let invite = callee.ring();
    let answered = callee.accept(&invite);
    caller.response(&mut talk, 200);
    (talk, answered)
}

/// The status line in the NOTIFY that says how a transfer went, after those that say how it goes.
fn told(phone: &mut Phone, talk: &Talk) -> String {
    loop {
        let notify = phone.agree(talk, "NOTIFY");
        assert_eq!(notify.get("Event").split(';').next(), Some("refer"), "{notify:?}");
        if notify.get("Subscription-State").starts_with("terminated") {
            return notify.body.trim().to_owned();
        }
    }
}

fn refer_to(office: &Office, whom: &str) -> String {
    let platform = office.bed.server.sip();
    format!("Refer-To: <sip:{whom}@{platform}>\r\nReferred-By: <sip:bob@{platform}>\r\n")
}

/// Ends the talk that a transferor has left: whoever hangs up first, both sides know.
fn leave(phone: &mut Phone, talk: &Talk) {
    phone.hung_up(talk);
}

#[test]
fn a_blind_transfer_joins_the_other_two() {
    let mut office = Office::start(&["alice", "bob", "carol"]);
    let (mut bob, mut carol) = (office.registered("bob"), office.registered("carol"));
    let mut alice = office.phone("alice");
    let (mut alices, mut bobs) = talk(&mut alice, &mut bob, "bob");
    let accepted = bob.ask(&mut bobs, "REFER", &refer_to(&office, "carol"), None);
    assert_eq!(accepted.status(), Some(202), "{accepted:?}");
    let invite = carol.ring();
    carol.reply(&invite, "180 Ringing", "", None);
    let carols = carol.accept(&invite);
    assert_eq!(told(&mut bob, &bobs), "SIP/2.0 200 OK");
    leave(&mut bob, &bobs);
    alice.hang_up(&mut alices);
    carol.hung_up(&carols);
    let call = office.over("normal");
    assert_eq!(call["legs"].as_array().map(Vec::len), Some(3), "{call}");
}

#[test]
fn a_blind_transfer_to_a_busy_telephone_leaves_the_talk_as_it_was() {
    let mut office = Office::start(&["alice", "bob", "carol"]);
    let (mut bob, mut carol) = (office.registered("bob"), office.registered("carol"));
    let mut alice = office.phone("alice");
    let (mut alices, mut bobs) = talk(&mut alice, &mut bob, "bob");
    let accepted = bob.ask(&mut bobs, "REFER", &refer_to(&office, "carol"), None);
    assert_eq!(accepted.status(), Some(202), "{accepted:?}");
    let invite = carol.ring();
    carol.reply(&invite, "486 Busy Here", "", None);
    assert!(told(&mut bob, &bobs).starts_with("SIP/2.0 486"));
    // They talk on: each can still change the session.
    let shown = office.bed.server.open_calls();
    let states: Vec<&Value> = shown[0]["legs"]
        .as_array()
        .expect("legs")
        .iter()
        .map(|l| &l["state"])
        .collect();
    assert_eq!(states[..2], ["talking", "talking"], "{shown:?}");
    let sdp = bob.sdp("sendrecv");
    assert_eq!(bob.ask(&mut bobs, "INVITE", "", Some(&sdp)).status(), Some(200));
    alice.hang_up(&mut alices);
    bob.hung_up(&bobs);
    office.over("normal");
}

#[test]
fn nobody_is_transferred_where_the_tenant_may_not_call() {
    let mut office = Office::start(&["alice", "bob"]);
    let mut bob = office.registered("bob");
    let mut alice = office.phone("alice");
    let (mut alices, mut bobs) = talk(&mut alice, &mut bob, "bob");
    for (whom, status) in [("+442071838750", 403), ("nobody", 404)] {
        let refused = bob.ask(&mut bobs, "REFER", &refer_to(&office, whom), None);
        assert_eq!(refused.status(), Some(status), "{whom}: {refused:?}");
    }
    alice.hang_up(&mut alices);
    bob.hung_up(&bobs);
    office.over("normal");
}

#[test]
fn an_attended_transfer_joins_two_calls_of_one_telephone() {
    let mut office = Office::start(&["alice", "bob", "carol"]);
    let (mut bob, mut carol) = (office.registered("bob"), office.registered("carol"));
    let mut alice = office.phone("alice");
    let (mut alices, mut first) = talk(&mut alice, &mut bob, "bob");
    // bob asks carol first.
    let (second, carols) = talk(&mut bob, &mut carol, "carol");
    let replaces = second
        .replaces()
        .replace(';', "%3B")
        .replace('=', "%3D")
        .replace('@', "%40");
    let refer = format!(
        "Refer-To: <sip:carol@{}?Replaces={replaces}>\r\n",
        office.bed.server.sip()
    );
    let accepted = bob.ask(&mut first, "REFER", &refer, None);
    assert_eq!(accepted.status(), Some(202), "{accepted:?}");
    assert_eq!(told(&mut bob, &first), "SIP/2.0 200 OK");
    bob.hung_up(&second);
    bob.hung_up(&first);
    // alice and carol are left, each in the dialog that they had.
    alice.hang_up(&mut alices);
    carol.hung_up(&carols);
    let all = office.ended();
    assert_eq!(all.len(), 2, "{all:?}");
}

/// Dialog of a SIPp as its far side names it, out of its trace.
fn replaces_of(messages: &str) -> String {
    let last_ok = messages.rsplit("SIP/2.0 200").next().expect("a text");
    let header = |name: &str| {
        let line = last_ok.lines().find_map(|l| l.strip_prefix(name));
        line.expect("a header of the 200").trim().to_owned()
    };
    let (to, from) = (header("To:"), header("From:"));
    let tag = |value: &str| parameter(value, "tag").expect("a tag").to_owned();
    format!(
        "{}%3Bto-tag%3D{}%3Bfrom-tag%3D{}",
        header("Call-ID:").replace('@', "%40"),
        tag(&to),
        tag(&from)
    )
}

#[test]
fn sipp_transfers_blind() {
    if !installed() {
        return;
    }
    let mut office = Office::for_sipp(&["alice", "bob", "carol"]);
    let (mut bob, mut carol) = (office.registered("bob"), office.registered("carol"));
    let script = Script::calling("refers")
        .signed_invite("")
        .answered()
        .inside("REFER", "Refer-To: <sip:carol@[remote_ip]:[remote_port]>\n", "")
        .response(202)
        .notified()
        .hung_up();
    let secret = password("alice");
    let alice = Run {
        patient: true,
        ..Run::script(&script).user("alice", &secret)
    };
    let alice = alice.call(office.bed.server.sip(), "alice", "bob");
    let invite = bob.ring();
    let mut bobs = bob.accept(&invite);
    let invite = carol.ring();
    let carols = carol.accept(&invite);
    let seen = alice.succeed();
    assert!(
        seen.contains("\n\nSIP/2.0 200 OK") || seen.contains("\r\n\r\nSIP/2.0 200 OK"),
        "{seen}"
    );
    bob.hang_up(&mut bobs);
    carol.hung_up(&carols);
    office.over("normal");
}

#[test]
fn sipp_transfers_attended() {
    if !installed() {
        return;
    }
    let mut office = Office::for_sipp(&["alice", "bob", "carol"]);
    let (mut bob, mut carol) = (office.registered("bob"), office.registered("carol"));
    let platform = office.bed.server.sip();
    let secret = password("alice");
    let consults = Script::calling("consults").signed_invite("").answered().hung_up();
    let second = Run {
        patient: true,
        ..Run::script(&consults).user("alice", &secret)
    };
    let second = second.call(platform, "alice", "carol");
    let invite = carol.ring();
    let carols = carol.accept(&invite);
    let seen = strowger_tests::wait::until(
        "the consultation",
        strowger_tests::party::SOON,
        std::time::Duration::from_millis(20),
        || Some(second.messages()).filter(|m| m.contains("ACK sip:strowger")),
    );
    let before_ack = seen.rsplit_once("ACK sip:strowger").expect("it is there").0.to_owned();
    let replaces = replaces_of(&before_ack);
    let refers = Script::calling("refers-attended")
        .signed_invite("")
        .answered()
        .inside(
            "REFER",
            "Refer-To: <sip:carol@[remote_ip]:[remote_port]?Replaces=[replaces]>\n",
            "",
        )
        .response(202)
        .notified()
        .hung_up();
    let keys = [("replaces", replaces.as_str())];
    let first = Run {
        keys: &keys,
        patient: true,
        ..Run::script(&refers).user("alice", &secret)
    };
    let first = first.call(platform, "alice", "bob");
    let invite = bob.ring();
    let mut bobs = bob.accept(&invite);
    first.succeed();
    second.succeed();
    bob.hang_up(&mut bobs);
    carol.hung_up(&carols);
    assert_eq!(office.ended().len(), 2);
}

// RFC 3891
#[test]
fn sipp_takes_over_a_call_with_replaces() {
    if !installed() {
        return;
    }
    let mut office = Office::for_sipp(&["alice", "bob", "carol"]);
    let mut bob = office.registered("bob");
    let mut alice = office.phone("alice");
    let (mut alices, bobs) = talk(&mut alice, &mut bob, "bob");
    let replaces = bobs.replaces();
    let script = Script::calling("replaces")
        .signed_invite("Replaces: [replaces]\n")
        .answered()
        .hung_up();
    let secret = password("carol");
    let keys = [("replaces", replaces.as_str())];
    let carol = Run {
        keys: &keys,
        ..Run::script(&script).user("carol", &secret)
    };
    let carol = carol.call(office.bed.server.sip(), "carol", "bob");
    bob.hung_up(&bobs);
    let seen = strowger_tests::wait::until(
        "carol to talk",
        strowger_tests::party::SOON,
        std::time::Duration::from_millis(20),
        || Some(carol.messages()).filter(|m| m.contains("ACK sip:strowger")),
    );
    assert!(seen.contains("Replaces:"));
    alice.hang_up(&mut alices);
    carol.succeed();
    office.over("normal");
}

// RFC 3891 section 3
#[test]
fn a_ringing_call_is_picked_up_by_another_telephone() {
    let mut office = Office::start(&["alice", "bob", "carol"]);
    let mut bob = office.registered("bob");
    let mut alice = office.phone("alice");
    let mut carol = office.phone("carol");
    let sdp = alice.sdp("sendrecv");
    let mut alices = alice.invite("bob", "", &sdp);
    let invite = bob.ring();
    bob.reply(&invite, "180 Ringing", "", None);
    alice.response(&mut alices, 180);
    let early = bob.talk_of(&invite);
    let replaces = format!("Replaces: {};early-only\r\n", early.replaces());
    let sdp = carol.sdp("sendrecv");
    let mut carols = carol.invite("bob", &replaces, &sdp);
    carol.response(&mut carols, 200);
    bob.agree(&early, "CANCEL");
    bob.reply(&invite, "487 Request Terminated", "", None);
    alice.response(&mut alices, 200);
    carol.hang_up(&mut carols);
    alice.hung_up(&alices);
    office.over("normal");
}

#[test]
fn a_call_that_is_gone_is_replaced_by_nobody() {
    let mut office = Office::start(&["alice", "bob", "carol"]);
    let mut bob = office.registered("bob");
    let mut alice = office.phone("alice");
    let mut carol = office.phone("carol");
    let (mut alices, bobs) = talk(&mut alice, &mut bob, "bob");
    let replaces = bobs.replaces();
    alice.hang_up(&mut alices);
    bob.hung_up(&bobs);
    office.over("normal");
    let sdp = carol.sdp("sendrecv");
    let mut carols = carol.invite("bob", &format!("Replaces: {replaces}\r\n"), &sdp);
    // RFC 3891 section 3: one that has ended is declined, one that never was does not exist.
    carol.response(&mut carols, 603);
    let replaces = replaces.replace("to-tag=", "to-tag=x");
    let mut carols = carol.invite("bob", &format!("Replaces: {replaces}\r\n"), &sdp);
    let refused: Message = carol.response(&mut carols, 481);
    assert_eq!(refused.status(), Some(481));
    assert!(office.ended().is_empty());
}
