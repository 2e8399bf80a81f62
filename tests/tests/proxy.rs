//! Kamailio in front as an edge proxy: telephones register and talk through it, and every request follows the route set.

use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;
use strowger_media_core::g711::Law;
use strowger_tests::baresip::{self, Baresip, MD5_ALONE, STEP, Setup, wait_hears, wait_silent};
use strowger_tests::bed::CALLEE;
use strowger_tests::kamailio::{self, Kamailio};
use strowger_tests::office::{Office, password};
use strowger_tests::party::{Ended, Party};
use strowger_tests::server::Options;
use strowger_tests::wait;

const PHONE: f32 = 1000.0;
const FAR: f32 = 750.0;
/// A number of the platform that rings the telephone.
const LINE: &str = "02161000009";

fn office(names: &[&str]) -> Office {
    let options = Options {
        sip: MD5_ALONE.into(),
        ..Options::default()
    };
    Office::start_with(options, names)
}

/// A registered telephone that speaks outbound (RFC 5626) with the proxy alone.
fn phone(office: &Office, edge: &Kamailio, user: &str, transport: &str, answers: bool) -> Baresip {
    let phone = Baresip::start(&Setup {
        user,
        password: &password(user),
        registrar: office.bed.server.sip(),
        transport,
        codec: "PCMA",
        hz: PHONE,
        answers,
        expires: 60,
        authority: None,
        account: format!(
            "sipnat=outbound;outbound=\"sip:{};transport={transport}\"",
            edge.address()
        ),
    });
    phone.wait_registered();
    phone
}

/// The far ends that a telephone has exchanged messages with, by its own trace: `UDP 127.0.0.1:1 -> 127.0.0.1:2`.
fn peers_of(phone: &Baresip) -> BTreeSet<String> {
    let log = phone.log();
    let lines = log.lines().filter_map(|l| l.split_once(" -> "));
    let ends = lines.flat_map(|(from, to)| [from.rsplit(' ').next().unwrap_or_default(), to.trim()]);
    ends.filter(|e| e.starts_with("127.0.0.1:"))
        .map(str::to_owned)
        .collect()
}

/// A telephone behind the proxy on this transport calls and is called, and each side holds and hangs up once.
fn talks_through_the_proxy(transport: &str) {
    if !kamailio::installed() || !baresip::installed() {
        return;
    }
    let mut office = office(&["alice"]);
    let edge = Kamailio::before(office.bed.server.sip());
    let far = Party::start(Law::A, Some(FAR));
    office.bed.callee_at(far.address());
    let bed = &office.bed;
    bed.server
        .create("/numbers", &json!({ "number": LINE, "tenant": bed.tenant }));
    let route = json!({ "application": bed.app, "number": LINE, "target": { "device": "alice" } });
    bed.server.create("/routes", &route);

    let mut alice = phone(&office, &edge, "alice", transport, true);
    let bindings = office.bindings("alice");
    assert_eq!(bindings.len(), 1, "{bindings:?}");
    assert_eq!(bindings[0]["path"], true, "{bindings:?}");

    // The telephone calls, both sides hold once, the telephone hangs up.
    let mark = alice.mark();
    alice.dial(CALLEE);
    let b = far.first_call();
    b.ring();
    b.answer();
    alice.wait_event(mark, "CALL_ESTABLISHED");
    wait_hears(&b.line(), PHONE);
    // What the telephone hears is measured when the calls are over: it is to be a second of each at least.
    wait::pause(Duration::from_secs(1));
    alice.command("hold", "");
    wait_silent(&b.line(), PHONE);
    alice.command("resume", "");
    wait_hears(&b.line(), PHONE);
    b.reinvite("sendonly");
    wait_silent(&b.line(), PHONE);
    b.reinvite("sendrecv");
    wait_hears(&b.line(), PHONE);
    alice.command("hangup", "");
    assert_eq!(b.wait_end(STEP).0, Ended::Bye);
    office.over("normal");

    // It is called; the far side holds and hangs up.
    let mark = alice.mark();
    let a = far.dial(office.bed.server.sip(), CALLEE, LINE);
    alice.wait_event(mark, "CALL_ESTABLISHED");
    wait_hears(&a.line(), PHONE);
    wait::pause(Duration::from_secs(1));
    a.reinvite("sendonly");
    wait_silent(&a.line(), PHONE);
    a.reinvite("sendrecv");
    wait_hears(&a.line(), PHONE);
    alice.command("hold", "");
    wait_silent(&a.line(), PHONE);
    alice.command("resume", "");
    wait_hears(&a.line(), PHONE);
    a.hang_up();
    alice.wait_event(mark, "CALL_CLOSED");
    office.over("normal");

    let every = Duration::from_millis(50);
    let sounds = wait::until("two recordings", STEP, every, || {
        Some(alice.heard()).filter(|s| s.len() == 2)
    });
    for sound in sounds {
        assert!(sound.heard_ms(FAR) >= 900, "{} ms of {FAR} Hz", sound.heard_ms(FAR));
    }

    // The platform was never spoken with but through the proxy, and over one flow.
    let ends = peers_of(&alice);
    assert!(ends.contains(&edge.address().to_string()), "{ends:?}");
    assert!(!ends.contains(&office.bed.server.sip().to_string()), "{ends:?}");
    assert_eq!(ends.len(), 2, "one address here, one there: {ends:?}");
    // The call to the telephone, its holds and what took them back, a BYE each way, the ACKs; and nothing that the proxy
    // had no route for. A hold of the far side is the platform's own matter.
    let log = edge.log();
    let inside = |method: &str| log.matches(&format!("inside: {method} ")).count();
    assert!(!log.contains("no route:"), "{log}");
    assert!(
        inside("INVITE") >= 5 && inside("ACK") >= 5 && inside("BYE") == 2,
        "{log}"
    );
}

#[test]
fn a_telephone_talks_through_an_edge_proxy_over_udp() {
    talks_through_the_proxy("udp");
}

#[test]
fn a_telephone_talks_through_an_edge_proxy_over_tcp() {
    talks_through_the_proxy("tcp");
}

#[test]
fn a_caller_behind_the_proxy_gives_up_and_a_called_one_is_given_up() {
    if !kamailio::installed() || !baresip::installed() {
        return;
    }
    let mut office = office(&["alice", "bob"]);
    let edge = Kamailio::before(office.bed.server.sip());
    let (mut alice, mut bob) = (
        phone(&office, &edge, "alice", "udp", false),
        phone(&office, &edge, "bob", "udp", false),
    );
    let marks = (alice.mark(), bob.mark());
    alice.dial("bob");
    bob.wait_event(marks.1, "CALL_INCOMING");
    alice.wait_event(marks.0, "CALL_RINGING");
    alice.command("hangup", "");
    bob.wait_event(marks.1, "CALL_CLOSED");
    office.over("cancelled");
    // And one that the called party refuses.
    let marks = (alice.mark(), bob.mark());
    alice.dial("bob");
    bob.wait_event(marks.1, "CALL_INCOMING");
    bob.command("hangup", "");
    alice.wait_event(marks.0, "CALL_CLOSED");
    office.over("busy");
}
