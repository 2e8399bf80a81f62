//! Trunks from the outside: failover, names, registration, what they are told of the caller, and the load that is refused.

use serde_json::{Value, json};
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;
use strowger_tests::bed::CALLEE;
use strowger_tests::digest::{self, Challenge};
use strowger_tests::msg::{Message, user_of};
use strowger_tests::names::{A, Names, SRV, srv};
use strowger_tests::office::{Office, password};
use strowger_tests::party::SOON;
use strowger_tests::phone::{Phone, Talk};
use strowger_tests::script::Script;
use strowger_tests::server::{Options, binary, free_both, free_tcp, free_udp};
use strowger_tests::sipp::{Run, installed};
use strowger_tests::tls::{Identity, Relay};
use strowger_tests::wait;

/// A trunk with these members beside the usual ones, for the numbers that begin with 139.
fn trunk(office: &Office, name: &str, more: &Value) {
    let mut trunk = json!({
        "name": name, "tenant": office.bed.tenant, "options_interval": 0,
        "rules": [{ "prefix": "+86139", "strip": 0, "prepend": "", "allow": true }],
    });
    for (member, value) in more.as_object().expect("an object") {
        trunk[member] = value.clone();
    }
    office.bed.server.create("/trunks", &trunk);
}

fn change(office: &Office, name: &str, more: &Value) {
    let path = format!("/trunks/{name}");
    let answer = office.bed.server.admin("PATCH", &path, Some(more));
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
}

/// alice calls the number that the trunks carry.
fn dial(office: &Office, extra: &str) -> (Phone, Talk) {
    let mut alice = office.phone("alice");
    let sdp = alice.sdp("sendrecv");
    let talk = alice.invite(CALLEE, extra, &sdp);
    (alice, talk)
}

/// The trunks that the called leg was tried over, with the status of each failure.
fn attempts(call: &Value) -> Vec<(String, Value)> {
    let attempts = call["legs"][1]["attempts"].as_array().expect("attempts");
    let of = |a: &Value| (a["via"].as_str().unwrap_or_default().to_owned(), a["failed"].clone());
    attempts.iter().map(of).collect()
}

#[test]
fn a_carrier_that_refuses_is_silent_or_is_gone_makes_room_for_the_next() {
    if !installed() {
        return;
    }
    let mut office = Office::for_sipp(&["alice"]);
    let unavailable = Script::called("unavailable")
        .reply("503 Service Unavailable", "Retry-After: 60\n", "", true)
        .request("ACK");
    let caller = Script::calling("call").signed_invite("").answered().pause(200).bye();
    let secret = password("alice");
    // Nobody answers this port, and it says so by ICMP; the silent one is bound and says nothing.
    let dead = SocketAddr::from(([127, 0, 0, 1], free_udp()));
    let silent = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let silent_at = silent.local_addr().expect("a bound socket has an address");
    trunk(&office, "first", &json!({ "address": dead.to_string(), "priority": 1 }));
    trunk(
        &office,
        "second",
        &json!({ "address": dead.to_string(), "priority": 2 }),
    );
    for (what, status) in [("503", json!(503)), ("silent", json!(0)), ("dead", Value::Null)] {
        let refusing = (what == "503").then(|| Run::script(&unavailable).listen());
        let first = match what {
            "503" => refusing.as_ref().expect("it listens").address(),
            "silent" => silent_at,
            _ => dead,
        };
        let second = Run::of("uas-answer").listen();
        change(&office, "first", &json!({ "address": first.to_string() }));
        change(&office, "second", &json!({ "address": second.address().to_string() }));
        let run = Run {
            patience: Duration::from_secs(45),
            ..Run::script(&caller).user("alice", &secret)
        };
        run.call(office.bed.server.sip(), "alice", CALLEE).succeed();
        second.succeed();
        if let Some(refusing) = refusing {
            refusing.succeed();
        }
        let call = office.over("normal");
        let tried = attempts(&call);
        assert_eq!(tried.len(), 2, "{what}: {call}");
        assert_eq!(
            (tried[0].0.as_str(), tried[1].0.as_str()),
            ("first", "second"),
            "{what}"
        );
        if !status.is_null() {
            assert_eq!(tried[0].1, status, "{what}: {call}");
        }
        assert!(!tried[0].1.is_null() && tried[1].1.is_null(), "{what}: {call}");
    }
}

/// Gives the trunks' callee: it answers and is hung up on.
fn answered(alice: &mut Phone, talk: &mut Talk, carrier: &mut Phone, invite: &Message) {
    let callee = carrier.accept(invite);
    alice.response(talk, 200);
    alice.hang_up(talk);
    carrier.hung_up(&callee);
}

// RFC 3263
#[test]
fn a_trunk_with_two_servers_in_dns_uses_the_second_when_the_first_refuses() {
    let platform = free_both();
    let at = SocketAddr::from(([127, 0, 0, 1], platform));
    // Addresses of their own: a caller at the address of a carrier would be taken for it.
    let mut first = Phone::udp_at([127, 0, 0, 2].into(), at, "first", "");
    let mut second = Phone::udp_at([127, 0, 0, 3].into(), at, "second", "");
    let names = Names::serve(vec![
        (
            "_sip._udp.carrier.test",
            SRV,
            srv(10, first.address().port(), "a.carrier.test"),
        ),
        (
            "_sip._udp.carrier.test",
            SRV,
            srv(20, second.address().port(), "b.carrier.test"),
        ),
        ("a.carrier.test", A, vec![127, 0, 0, 2]),
        ("b.carrier.test", A, vec![127, 0, 0, 3]),
    ]);
    let options = Options {
        sip_port: Some(platform),
        more: format!("[dns]\nservers = [\"{}\"]\n", names.address),
        ..Options::default()
    };
    let mut office = Office::start_with(options, &["alice"]);
    // Its OPTIONS says that the name was found.
    trunk(
        &office,
        "named",
        &json!({ "server": "carrier.test", "options_interval": 60 }),
    );
    let options = first.take("an OPTIONS", |m| m.method() == "OPTIONS");
    assert!(options.uri().contains("carrier.test"), "{options:?}");
    first.reply(&options, "200 OK", "", None);
    let (mut alice, mut talk) = dial(&office, "");
    let invite = first.ring();
    assert!(invite.uri().contains("@carrier.test"), "{invite:?}");
    first.reply(&invite, "503 Service Unavailable", "", None);
    let invite = second.ring();
    answered(&mut alice, &mut talk, &mut second, &invite);
    let call = office.over("normal");
    assert_eq!(attempts(&call).len(), 2, "{call}");
}

/// The value of a parameter of a Digest header.
fn item(value: &str, name: &str) -> String {
    let found = value
        .split([',', ' '])
        .find_map(|i| i.trim().strip_prefix(name)?.strip_prefix('='));
    found.unwrap_or_default().trim_matches('"').to_owned()
}

// RFC 3261 section 10.2
#[test]
fn a_trunk_registers_refreshes_and_says_when_it_is_refused() {
    let office = Office::start(&[]);
    let mut carrier = Phone::udp(office.bed.server.sip(), "carrier", "");
    let more = json!({
        "address": carrier.address().to_string(), "username": "acme", "password": "anvils-for-all", "register": 60,
    });
    trunk(&office, "carrier", &more);
    let registration = || office.bed.server.admin("GET", "/trunks/carrier", None).json()["registration"].clone();
    let is = |m: &Message| m.method() == "REGISTER" && m.status().is_none();
    let first = carrier.take("a REGISTER", is);
    assert_eq!(first.get("Authorization"), "", "{first:?}");
    let challenge = "Digest realm=\"carrier\", qop=\"auth\", algorithm=SHA-256, nonce=\"n1\", opaque=\"o\"";
    let header = format!("WWW-Authenticate: {challenge}\r\n");
    carrier.reply(&first, "401 Unauthorized", &header, None);
    let second = carrier.take("a signed REGISTER", is);
    let value = second.get("Authorization").to_owned();
    let user = digest::User {
        name: "acme".into(),
        password: "anvils-for-all".into(),
    };
    let request = digest::Signed {
        method: "REGISTER",
        uri: second.uri(),
        body: "",
    };
    let parsed = Challenge::parse(challenge).expect("a challenge");
    let expected = digest::response(
        &parsed,
        &user,
        request,
        "auth",
        &item(&value, "nc"),
        &item(&value, "cnonce"),
    );
    assert_eq!(item(&value, "response"), expected, "{value}");
    assert_eq!(
        (first.get("Call-ID"), first.cseq() + 1),
        (second.get("Call-ID"), second.cseq())
    );
    assert_eq!(
        user_of(strowger_tests::msg::uri_of(second.get("Contact"))),
        "acme",
        "{second:?}"
    );
    // Granted for so short that the refresh comes within the test, and the refresh is refused.
    let granted = format!(
        "Contact: {};expires=10\r\n",
        second.get("Contact").split(';').next().unwrap_or_default()
    );
    carrier.reply(&second, "200 OK", &granted, None);
    wait::until("the registration", SOON, Duration::from_millis(20), || {
        (registration() == "registered").then_some(())
    });
    let third = carrier.take_within("a refresh", Duration::from_secs(12), is);
    assert_eq!(third.get("Call-ID"), first.get("Call-ID"));
    assert!(third.cseq() > second.cseq());
    carrier.reply(&third, "403 Forbidden", "", None);
    wait::until("the refusal", SOON, Duration::from_millis(20), || {
        (registration() == "failed: 403").then_some(())
    });
    let listed = strowger(&office, &["trunk", "list"]);
    assert!(listed.contains("failed: 403"), "{listed}");
    // It is not asked again at once.
    assert!(carrier.rest_for(Duration::from_secs(2)).is_empty());
}

/// The command line at the office's server.
fn strowger(office: &Office, words: &[&str]) -> String {
    let mut command = std::process::Command::new(binary());
    command.arg("--data").arg(office.bed.server.data()).args(words);
    let output = command.output().expect("the binary can be run");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{words:?}: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

// RFC 3261 section 22.2
#[test]
fn sipp_is_the_registrar_of_a_trunk() {
    if !installed() {
        return;
    }
    let office = Office::for_sipp(&[]);
    let script = Script::registrar("registrar");
    let registrar = Run::script(&script).user("acme", "anvils-for-all").listen();
    let more = json!({
        "address": registrar.address().to_string(), "username": "acme", "password": "anvils-for-all", "register": 60,
    });
    trunk(&office, "carrier", &more);
    registrar.succeed();
    let shown = office.bed.server.admin("GET", "/trunks/carrier", None).json();
    assert_eq!(shown["registration"], "registered", "{shown}");
}

// RFC 3323, RFC 3325
#[test]
fn a_carrier_is_told_who_calls_as_its_policy_has_it() {
    let mut office = Office::start(&["alice"]);
    let mut carrier = Phone::udp(office.bed.server.sip(), "carrier", "");
    trunk(&office, "carrier", &json!({ "address": carrier.address().to_string() }));
    let fixed = "sip:+862160000000@carrier.test";
    for (asserted, privacy, hidden, identity, told) in [
        ("pass", "pass", false, Some("+862161000000"), false),
        ("remove", "pass", false, None, false),
        (fixed, "pass", false, Some("+862160000000"), false),
        ("pass", "pass", true, Some("alice"), true),
        ("pass", "enforce", true, None, true),
        (fixed, "pass", true, Some("+862160000000"), true),
    ] {
        let what = format!("{asserted} {privacy} {hidden}");
        change(&office, "carrier", &json!({ "asserted": asserted, "privacy": privacy }));
        let extra = if hidden { "Privacy: id\r\n" } else { "" };
        let (mut alice, mut talk) = dial(&office, extra);
        let invite = carrier.ring();
        let from = strowger_tests::msg::uri_of(invite.get("From"));
        assert_eq!(from.contains("anonymous"), hidden, "{what}: {invite:?}");
        let asserted = Some(invite.get("P-Asserted-Identity"))
            .filter(|v| !v.is_empty())
            .map(|v| user_of(strowger_tests::msg::uri_of(v)));
        assert_eq!(asserted, identity, "{what}: {invite:?}");
        assert_eq!(invite.get("Privacy").contains("id"), told, "{what}: {invite:?}");
        answered(&mut alice, &mut talk, &mut carrier, &invite);
        office.over("normal");
    }
}

// RFC 3261 section 21.5.4
#[test]
fn sipp_is_told_when_to_come_back_while_there_is_no_room() {
    if !installed() {
        return;
    }
    let options = Options {
        sip: "digest = [\"MD5\"]\n".to_owned(),
        more: "[limits]\nconversations = 1\n".to_owned(),
        ..Options::default()
    };
    let mut office = Office::start_with(options, &["alice", "bob"]);
    let mut bob = office.registered("bob");
    let mut alice = office.phone("alice");
    let sdp = alice.sdp("sendrecv");
    let mut talk = alice.invite("bob", "", &sdp);
    let invite = bob.ring();
    let callee = bob.accept(&invite);
    alice.response(&mut talk, 200);
    let script = Script::calling("no-room")
        .signed_invite("")
        .refused(503, &Script::check("Retry-After", "[0-9]+"))
        .step("<Reference variables=\"seen\"/>");
    let secret = password("alice");
    let run = Run {
        calls: 20,
        ..Run::script(&script).user("alice", &secret)
    };
    run.call(office.bed.server.sip(), "alice", "bob").succeed();
    // The call that is there goes on, and its place is free after it.
    alice.hang_up(&mut talk);
    bob.hung_up(&callee);
    office.over("normal");
    let sdp = alice.sdp("sendrecv");
    let mut talk = alice.invite("bob", "", &sdp);
    let invite = bob.ring();
    answered(&mut alice, &mut talk, &mut bob, &invite);
    office.over("normal");
}

// RFC 3261 section 18.1.1
#[test]
fn a_request_that_is_too_long_for_udp_goes_by_tcp() {
    let mut office = Office::start(&["alice", "bob"]);
    let mut bob = office.phone("bob");
    let listener = std::net::TcpListener::bind(bob.address()).expect("the TCP port beside a free UDP port");
    let long = "x".repeat(450);
    let at = bob.address();
    let contact = format!("Contact: <sip:bob@{at};note={long}>;expires=600\r\nPath: <sip:{at};lr;note={long}>\r\n");
    assert_eq!(bob.register_as(&contact).status(), Some(200));
    let mut alice = office.phone("alice");
    let sdp = alice.sdp("sendrecv");
    let mut talk = alice.invite("bob", "", &sdp);
    let (stream, _) = listener.accept().expect("a connection");
    let mut bob_by_tcp = Phone::on(stream, office.bed.server.sip(), "bob");
    let invite = bob_by_tcp.ring();
    assert!(
        invite.uri().ends_with(&long) && invite.get("Via").starts_with("SIP/2.0/TCP"),
        "{invite:?}"
    );
    assert!(bob.rest().is_empty());
    answered(&mut alice, &mut talk, &mut bob_by_tcp, &invite);
    office.over("normal");
}

#[test]
fn sipp_calls_and_is_called_over_tcp() {
    if !installed() {
        return;
    }
    let mut office = Office::for_sipp(&["alice"]);
    let callee = Script::called("answers").accept().hung_up();
    let caller = Script::calling("calls").signed_invite("").answered().pause(200).bye();
    let called = Run {
        tcp: true,
        ..Run::script(&callee)
    }
    .listen();
    trunk(
        &office,
        "carrier",
        &json!({ "address": called.address().to_string(), "transport": "tcp" }),
    );
    let secret = password("alice");
    let run = Run {
        tcp: true,
        ..Run::script(&caller).user("alice", &secret)
    };
    run.call(office.bed.server.sip(), "alice", CALLEE).succeed();
    assert!(called.succeed().contains("SIP/2.0/TCP"));
    office.over("normal");
}

#[test]
fn sipp_calls_and_is_called_over_tls() {
    if !installed() {
        return;
    }
    // This SIPp is built without TLS; a relay at its side speaks it.
    let identity = Identity::new();
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_tcp();
    let more = format!("tls_port = {port}\n{}", identity.write(folder.path()));
    let mut office = Office::for_sipp_with(&more, &["alice"]);
    let callee = Script::called("answers").accept().hung_up();
    let caller = Script::calling("calls").signed_invite("").answered().pause(200).bye();
    let called = Run {
        tcp: true,
        ..Run::script(&callee)
    }
    .listen();
    let ended_at = Relay::server_side(&identity, called.address());
    trunk(
        &office,
        "carrier",
        &json!({ "address": ended_at.address.to_string(), "transport": "tls", "domain": "localhost" }),
    );
    let begun_at = Relay::client_side(&identity, ([127, 0, 0, 1], port).into());
    let secret = password("alice");
    let run = Run {
        tcp: true,
        ..Run::script(&caller).user("alice", &secret)
    };
    run.call(begun_at.address, "alice", CALLEE).succeed();
    assert!(called.succeed().contains("SIP/2.0/TLS"));
    office.over("normal");
}

#[test]
fn a_ladder_shows_a_call_and_hides_its_credentials() {
    let mut office = Office::start(&["alice"]);
    let mut carrier = Phone::udp(office.bed.server.sip(), "carrier", "");
    trunk(&office, "carrier", &json!({ "address": carrier.address().to_string() }));
    let (mut alice, mut talk) = dial(&office, "");
    let invite = carrier.ring();
    answered(&mut alice, &mut talk, &mut carrier, &invite);
    let call = office.over("normal");
    let id = call["id"].as_str().expect("an id");
    let full = strowger(&office, &["call", "ladder", id, "--full"]);
    for part in [
        "INVITE",
        "ACK",
        "BYE",
        &carrier.address().to_string(),
        "Authorization: (hidden)",
    ] {
        assert!(full.contains(part), "{part} in {full}");
    }
    assert!(!full.contains("response=\""), "{full}");
    let drawn = strowger(&office, &["call", "ladder", id]);
    assert!(drawn.lines().count() > 8 && !drawn.contains("Authorization"), "{drawn}");
    // Messages of calls are in no log.
    let log = office.bed.server.log();
    assert!(!log.contains("INVITE sip:") && !log.contains(CALLEE), "{log}");
}

// Calls under loss are `interop`'s; what crosses under loss is the simulator's (crates/sim/tests/crossings_extended.rs): SIPp
// gives a call up when a request that it has answered comes once more while it waits.
#[test]
fn sipp_registers_while_every_twentieth_packet_is_lost() {
    if !installed() {
        return;
    }
    let office = Office::for_sipp(&["alice"]);
    let secret = password("alice");
    let contact = "Contact: <sip:alice@[local_ip]:[local_port]>;expires=600\n";
    let registers = Script::calling("register")
        .register(contact)
        .challenged(false)
        .register(contact)
        .response(200);
    Run {
        calls: 10,
        lost: 5,
        patience: Duration::from_secs(120),
        ..Run::script(&registers)
    }
    .user("alice", &secret)
    .call(office.bed.server.sip(), "alice", "alice")
    .succeed();
    assert!(!office.bindings("alice").is_empty());
}
