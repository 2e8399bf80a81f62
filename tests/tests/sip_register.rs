//! Devices register: bindings, their times and number, digest authentication in every hash, bans.

use serde_json::json;
use std::time::Duration;
use strowger_tests::digest::{self, Signed};
use strowger_tests::msg::{Message, parameter};
use strowger_tests::office::{Office, password};
use strowger_tests::party::SOON;
use strowger_tests::phone::{Phone, challenges};
use strowger_tests::script::Script;
use strowger_tests::server::{Options, free_tcp};
use strowger_tests::sipp::{Run, installed};
use strowger_tests::tls::Identity;
use strowger_tests::wait;

/// Waits until a device has so many bindings.
fn bound(office: &Office, name: &str, count: usize) {
    wait::until("the bindings", SOON, Duration::from_millis(20), || {
        (office.bindings(name).len() == count).then_some(())
    });
}

#[test]
fn sipp_registers_refreshes_and_takes_its_binding_back() {
    if !installed() {
        return;
    }
    let office = Office::for_sipp(&["alice"]);
    let contact = "Contact: <sip:[user]@[local_ip]:[local_port]>;expires=[seconds]\n";
    let granted = format!(
        "<recv response=\"200\">{}</recv><Reference variables=\"seen\"/>",
        Script::check("Contact", "expires=(1800|1799)")
    );
    let script = Script::calling("register")
        .register(contact)
        .challenged(false)
        .register(contact)
        .step(&granted);
    let secret = password("alice");
    let run = |script: &Script, seconds: &str| {
        let keys = [("seconds", seconds)];
        let run = Run {
            port: 0,
            keys: &keys,
            ..Run::script(script).user("alice", &secret)
        };
        run.call(office.bed.server.sip(), "alice", "alice").succeed()
    };
    run(&script, "1800");
    bound(&office, "alice", 1);
    let gone = Script::calling("unregister")
        .register("Contact: *\nExpires: 0\n")
        .challenged(false)
        .register("Contact: *\nExpires: 0\n")
        .response(200);
    run(&gone, "0");
    bound(&office, "alice", 0);
}

#[test]
fn a_refresh_keeps_the_one_binding_and_an_expiry_of_zero_ends_it() {
    let office = Office::start(&["alice"]);
    let mut alice = office.phone("alice");
    let first = alice.register(600, "");
    assert_eq!(parameter(first.get("Contact"), "expires"), Some("600"));
    alice.register(1_200, "");
    let bindings = office.bindings("alice");
    assert_eq!(bindings.len(), 1, "{bindings:?}");
    assert!(bindings[0]["expires_in"].as_u64() > Some(600), "{bindings:?}");
    alice.register(0, "");
    assert!(office.bindings("alice").is_empty());
}

#[test]
fn an_interval_too_brief_is_refused_with_the_shortest_one() {
    let office = Office::start(&["alice"]);
    let mut alice = office.phone("alice");
    let contact = format!("Contact: <{}>;expires=30\r\n", alice.contact());
    let refused = alice.register_as(&contact);
    assert_eq!(
        (refused.status(), refused.get("Min-Expires")),
        (Some(423), "60"),
        "{refused:?}"
    );
    assert!(office.bindings("alice").is_empty());
}

#[test]
fn several_contacts_of_one_device_are_kept_apart() {
    let office = Office::start(&["alice"]);
    let mut desk = office.phone("alice");
    let mut mobile = office.phone("alice");
    desk.register(600, ";q=0.9");
    let both = mobile.register(900, ";q=0.5");
    let contacts: Vec<&str> = both.all("Contact").flat_map(|c| c.split(", ")).collect();
    assert_eq!(contacts.len(), 2, "{both:?}");
    // Contacts in one REGISTER.
    let three = format!(
        "Contact: <{}>;expires=700, <sip:alice@127.0.0.1:9;ob>;expires=600\r\n",
        desk.contact()
    );
    assert_eq!(desk.register_as(&three).status(), Some(200));
    bound(&office, "alice", 3);
    // One goes, the others stay.
    mobile.register(0, "");
    bound(&office, "alice", 2);
    // A REGISTER without Contact only asks.
    let asked = desk.register_as("");
    assert_eq!(asked.all("Contact").flat_map(|c| c.split(", ")).count(), 2, "{asked:?}");
    // An operator ends them all.
    let path = format!("/registrations/alice?tenant={}", office.bed.tenant);
    assert_eq!(office.bed.server.admin("DELETE", &path, None).json()["removed"], 2);
    bound(&office, "alice", 0);
}

#[test]
fn every_hash_and_quality_of_protection_is_accepted() {
    let office = Office::start(&["alice"]);
    let mut alice = office.phone("alice");
    let contact = format!("Contact: <{}>;expires=600\r\n", alice.contact());
    let mut tried = Vec::new();
    for algorithm in ["MD5", "SHA-256", "SHA-512-256"] {
        for qop in ["auth", "auth-int"] {
            let challenge = challenges(&alice.register_once(&contact, None))
                .into_iter()
                .find(|c| c.algorithm == algorithm)
                .unwrap_or_else(|| panic!("no challenge with {algorithm}"));
            assert!(challenge.qop.iter().any(|q| q == qop), "{challenge:?}");
            let signed = alice.sign(&challenge, "REGISTER", "", qop, 1);
            let answer = alice.register_once(&contact, Some(&signed));
            assert_eq!(answer.status(), Some(200), "{algorithm} {qop}: {answer:?}");
            tried.push((algorithm, qop));
            // The same signature for another method's request is worth nothing.
            let wrong = alice.sign(&challenge, "INVITE", "", qop, 2);
            assert_eq!(alice.register_once(&contact, Some(&wrong)).status(), Some(401));
        }
    }
    assert_eq!(tried.len(), 6);
}

#[test]
fn a_body_is_protected_where_the_signature_covers_it() {
    let mut office = Office::start(&["alice", "bob"]);
    let mut bob = office.registered("bob");
    let mut alice = office.phone("alice");
    let platform = office.bed.server.sip();
    for (tampered, expected) in [(true, 401), (false, 180)] {
        let sdp = alice.sdp("sendrecv");
        let mut talk = alice.invite_unsigned("bob", "", &sdp);
        let refusal = alice.response(&mut talk, 401);
        talk.theirs = format!("<sip:bob@{platform}>");
        let challenge = challenges(&refusal).remove(0);
        let uri = format!("sip:bob@{platform}");
        let signed = Signed {
            method: "INVITE",
            uri: &uri,
            body: &sdp,
        };
        let user = digest::User {
            name: "alice".into(),
            password: password("alice"),
        };
        let value = digest::answer(&challenge, &user, signed, "auth-int", 1);
        let sent = if tampered {
            sdp.replace("sendrecv", "sendonly")
        } else {
            sdp
        };
        let extra = format!("Authorization: {value}\r\n");
        alice.send(&mut talk, "INVITE", &extra, Some(&sent));
        if !tampered {
            let invite = bob.ring();
            bob.reply(&invite, "180 Ringing", "", None);
            alice.response(&mut talk, expected);
            let mut answered = bob.accept(&invite);
            alice.response(&mut talk, 200);
            bob.hang_up(&mut answered);
            alice.hung_up(&talk);
            office.over("normal");
        } else {
            alice.response(&mut talk, expected);
        }
    }
}

#[test]
fn a_nonce_is_good_once_for_each_count() {
    let office = Office::start(&["alice"]);
    let mut alice = office.phone("alice");
    let contact = format!("Contact: <{}>;expires=600\r\n", alice.contact());
    let challenge = challenges(&alice.register_once(&contact, None)).remove(0);
    let signed = |alice: &Phone, count| alice.sign(&challenge, "REGISTER", "", "auth", count);
    let one = signed(&alice, 1);
    assert_eq!(alice.register_once(&contact, Some(&one)).status(), Some(200));
    let two = signed(&alice, 2);
    assert_eq!(alice.register_once(&contact, Some(&two)).status(), Some(200));
    // Counts need not come in order, and none comes twice.
    let twelve = signed(&alice, 12);
    assert_eq!(alice.register_once(&contact, Some(&twelve)).status(), Some(200));
    for replayed in [&one, &two, &twelve] {
        let again = alice.register_once(&contact, Some(replayed));
        assert_eq!(again.status(), Some(401));
        assert!(challenges(&again)[0].stale, "{again:?}");
    }
    // A nonce that the server did not make, or made before it was started anew, is stale and no wrong password.
    let mut strange = challenge.clone();
    strange.nonce = strange.nonce.chars().rev().collect();
    let value = alice.sign(&strange, "REGISTER", "", "auth", 1);
    let again = alice.register_once(&contact, Some(&value));
    assert!(again.status() == Some(401) && challenges(&again)[0].stale, "{again:?}");
    // Nobody is banned for it.
    let bans = office.bed.server.admin("GET", "/bans", None).json();
    assert_eq!(bans["items"], json!([]));
}

#[test]
fn ten_wrong_passwords_ban_a_source_until_an_operator_lifts_it() {
    let office = Office::start(&["alice"]);
    let mut guesser = Phone::udp(office.bed.server.sip(), "alice", "guessed");
    let contact = format!("Contact: <{}>;expires=600\r\n", guesser.contact());
    let challenge = challenges(&guesser.register_once(&contact, None)).remove(0);
    for count in 1..=10 {
        let signed = guesser.sign(&challenge, "REGISTER", "", "auth", count);
        let refused = guesser.register_once(&contact, Some(&signed));
        assert_eq!(refused.status(), Some(401), "attempt {count}");
        assert!(!challenges(&refused)[0].stale, "attempt {count}");
    }
    let bans = office.bed.server.admin("GET", "/bans", None).json();
    assert_eq!(bans["items"][0]["source"], "127.0.0.1", "{bans}");
    assert_eq!(bans["items"][0]["manual"], false, "{bans}");
    // From there nothing is answered any more.
    let mut alice = office.phone("alice");
    let contact = format!("Contact: <{}>;expires=600\r\n", alice.contact());
    alice.put_register(&contact);
    let quiet = alice.rest_for(Duration::from_millis(600));
    assert!(quiet.is_empty(), "{quiet:?}");
    assert_eq!(office.bed.server.admin("DELETE", "/bans/127.0.0.1", None).status, 204);
    alice.register(600, "");
    let log = office.bed.server.log();
    assert!(log.contains("a source is banned"), "{log}");
    assert!(!log.contains("guessed") && !log.contains(&password("alice")));
}

/// A server that takes TLS with a certificate of its own, and where.
fn secure(names: &[&str]) -> (Office, Identity, std::net::SocketAddr, tempfile::TempDir) {
    let identity = Identity::new();
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_tcp();
    let sip = format!("tls_port = {port}\n{}", identity.write(folder.path()));
    let options = Options {
        sip,
        ..Options::default()
    };
    let office = Office::start_with(options, names);
    (office, identity, ([127, 0, 0, 1], port).into(), folder)
}

#[test]
fn devices_register_and_call_one_another_over_tcp_and_tls() {
    let (mut office, identity, tls, _folder) = secure(&["alice", "bob"]);
    let platform = office.bed.server.sip();
    let mut alice = Phone::tcp(platform, "alice", &password("alice"));
    let mut bob = Phone::tls(tls, &identity, "bob", &password("bob"));
    alice.register(600, "");
    bob.register(600, "");
    assert_eq!(office.bindings("alice")[0]["transport"], "tcp");
    assert_eq!(office.bindings("bob")[0]["transport"], "tls");
    for turn in 0..2 {
        let (caller, callee, name) = match turn {
            0 => (&mut alice, &mut bob, "bob"),
            _ => (&mut bob, &mut alice, "alice"),
        };
        let sdp = caller.sdp("sendrecv");
        let mut talk = caller.invite(name, "", &sdp);
        let invite = callee.ring();
        callee.reply(&invite, "180 Ringing", "", None);
        caller.response(&mut talk, 180);
        let answered = callee.accept(&invite);
        caller.response(&mut talk, 200);
        caller.hang_up(&mut talk);
        callee.hung_up(&answered);
        let call = office.over("normal");
        assert_eq!(call["kind"], "internal");
    }
    // A connection takes its bindings along.
    drop(bob);
    bound(&office, "bob", 0);
    let sdp = alice.sdp("sendrecv");
    let mut talk = alice.invite("bob", "", &sdp);
    alice.response(&mut talk, 480);
    assert!(office.ended().is_empty());
}

#[test]
fn a_message_that_says_too_little_is_no_registration() {
    let office = Office::start(&["alice", "bob"]);
    let mut alice = office.phone("alice");
    // Signed in as alice, bob is not registered.
    let contact = format!("Contact: <{}>;expires=600\r\n", alice.contact());
    let challenge = challenges(&alice.register_once(&contact, None)).remove(0);
    let signed = alice.sign(&challenge, "REGISTER", "", "auth", 1);
    let answer: Message = alice.register_other("bob", &contact, &signed);
    assert_eq!(answer.status(), Some(403), "{answer:?}");
    assert!(office.bindings("bob").is_empty());
}
