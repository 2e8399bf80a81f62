use super::*;
use crate::api::Transport;

const S: u64 = SECOND;
const START: Time = Time(1_000 * S);

fn us() -> SocketAddr {
    "192.0.2.1:5060".parse().unwrap()
}

fn udp(source: &str) -> Target {
    Target::udp(source.parse().unwrap())
}

fn connection(transport: Transport, flow: u64) -> Target {
    Target {
        transport,
        addr: "198.51.100.9:49152".parse().unwrap(),
        flow: Some(FlowId(flow)),
    }
}

struct Bed {
    registrar: Registrar,
    aor: Aor,
    now: Time,
    cseq: u32,
    flow: Target,
}

impl Bed {
    fn with(change: impl FnOnce(&mut RegistrarSettings)) -> Bed {
        let mut settings = RegistrarSettings::default();
        change(&mut settings);
        Bed {
            registrar: Registrar::new(&[5; 16], settings),
            aor: Aor::new("tenant.example", "alice"),
            now: START,
            cseq: 0,
            flow: udp("198.51.100.9:5062"),
        }
    }

    fn new() -> Bed {
        Bed::with(|_| {})
    }

    /// A REGISTER with the next CSeq; `extra` lines end with CRLF.
    fn send(&mut self, extra: &str) -> Outcome {
        self.cseq += 1;
        let via = "SIP/2.0/UDP 10.0.0.7:5062;rport;branch=z9hG4bKx";
        self.send_as("call-1", self.cseq, via, extra)
    }

    fn send_as(&mut self, call_id: &str, cseq: u32, via: &str, extra: &str) -> Outcome {
        let message = register(call_id, cseq, via, extra);
        self.registrar.register(&self.aor, &message, self.flow, us(), self.now)
    }

    fn contacts(&self) -> Vec<String> {
        let bindings = self.registrar.bindings(&self.aor, self.now);
        bindings.into_iter().map(|b| b.contact).collect()
    }
}

fn register(call_id: &str, cseq: u32, via: &str, extra: &str) -> Message {
    let text = format!(
        "REGISTER sip:tenant.example SIP/2.0\r\nVia: {via}\r\nFrom: <sip:alice@tenant.example>;tag=1\r\n\
         To: <sip:alice@tenant.example>\r\nCall-ID: {call_id}\r\nCSeq: {cseq} REGISTER\r\n{extra}Content-Length: 0\r\n\r\n"
    );
    Message::parse(text.into_bytes().into()).unwrap()
}

fn values<'a>(outcome: &'a Outcome, name: &str) -> Vec<&'a str> {
    let headers = outcome.headers.iter().filter(|(n, _)| *n == name);
    headers.map(|(_, v)| v.as_str()).collect()
}

fn kinds(changes: &[Change]) -> Vec<ChangeKind> {
    changes.iter().map(|c| c.kind).collect()
}

#[test]
fn a_binding_comes_is_refreshed_and_goes() {
    let mut bed = Bed::new();
    let first = bed.send("Contact: <sip:alice@10.0.0.7:5062>\r\nUser-Agent: phone/1\r\n");
    assert_eq!((first.status, kinds(&first.changes)), (200, vec![ChangeKind::Added]));
    assert_eq!(values(&first, "Contact"), ["<sip:alice@10.0.0.7:5062>;expires=1800"]);
    assert_eq!(values(&first, "Supported"), ["path, outbound, gruu"]);
    let binding = &bed.registrar.bindings(&bed.aor, bed.now)[0];
    assert_eq!(
        (binding.user_agent.as_str(), binding.local, binding.q),
        ("phone/1", us(), 1000)
    );
    assert_eq!(binding.expires_at, START.plus(1800 * S));
    bed.now = bed.now.plus(100 * S);
    let again = bed.send("Contact: <sip:alice@10.0.0.7:5062>;expires=120\r\n");
    assert_eq!(kinds(&again.changes), [ChangeKind::Refreshed]);
    assert_eq!(bed.registrar.next_deadline(), Some(bed.now.plus(120 * S)));
    let query = bed.send("");
    assert_eq!(values(&query, "Contact"), ["<sip:alice@10.0.0.7:5062>;expires=120"]);
    assert!(query.changes.is_empty());
    let gone = bed.send("Contact: <sip:alice@10.0.0.7:5062>\r\nExpires: 0\r\n");
    assert_eq!(kinds(&gone.changes), [ChangeKind::Unregistered]);
    assert!(bed.registrar.is_empty() && bed.registrar.aors() == 0 && bed.registrar.next_deadline().is_none());
    // To take back what is not there is no error.
    assert_eq!(bed.send("Contact: <sip:alice@10.0.0.7:5062>;expires=0\r\n").status, 200);
}

#[test]
fn how_long_a_binding_lives() {
    let longest = 3600;
    for (extra, transport, expected) in [
        ("Contact: <sip:a@h>\r\n", Transport::Udp, 1800),
        ("Contact: <sip:a@h>\r\n", Transport::Wss, 600),
        ("Contact: <sip:a@h>\r\nExpires: 300\r\n", Transport::Tcp, 300),
        ("Contact: <sip:a@h>;expires=90\r\nExpires: 300\r\n", Transport::Udp, 90),
        ("Contact: <sip:a@h>;expires=86400\r\n", Transport::Udp, longest),
        (
            "Contact: <sip:a@h>;expires=99999999999999999999\r\n",
            Transport::Udp,
            longest,
        ),
        ("Contact: <sip:a@h>;expires=soon\r\n", Transport::Udp, longest),
        ("Contact: <sip:a@h>\r\nExpires: -1\r\n", Transport::Udp, longest),
    ] {
        let mut bed = Bed::new();
        bed.flow = connection(transport, 1);
        let outcome = bed.send(extra);
        let value = format!("<sip:a@h>;expires={expected}");
        assert_eq!(values(&outcome, "Contact"), [value], "{extra} {transport:?}");
    }
    let mut bed = Bed::new();
    let brief = bed.send("Contact: <sip:a@h>;expires=59\r\n");
    assert_eq!((brief.status, values(&brief, "Min-Expires")), (423, vec!["60"]));
    assert!(bed.registrar.is_empty());
}

#[test]
fn several_contacts_are_all_taken_or_none() {
    let mut bed = Bed::new();
    let two = bed.send("Contact: <sip:a@h1>;q=0.5, <sip:a@h2>;q=0.7\r\nContact: <sip:a@h3>;q=2\r\n");
    assert_eq!(two.changes.len(), 3);
    assert_eq!(bed.contacts(), ["sip:a@h3", "sip:a@h2", "sip:a@h1"]);
    assert!(values(&two, "Contact").contains(&"<sip:a@h1>;expires=1800;q=0.500"));
    for bad in [
        "Contact: <sip:a@h4>, <sip:a@h5>;expires=3\r\n",
        "Contact: <sip:a@h4>, <tel:+1>\r\n",
        "Contact: <sip:a@h4>, <sip:>\r\n",
        "Contact: <sip:a@h1>;expires=0, *\r\nExpires: 0\r\n",
        "Contact: *\r\n",
        "Contact: *;q=1\r\nExpires: 0\r\n",
        "Contact: *\r\nExpires: 10\r\n",
    ] {
        let outcome = bed.send(bad);
        assert!(matches!(outcome.status, 400 | 423), "{bad}");
        assert_eq!(bed.contacts().len(), 3, "{bad}");
    }
    // Named twice, it is one binding.
    assert_eq!(bed.send("Contact: <sip:a@h4>, <sip:a@H4>\r\n").status, 200);
    assert_eq!(bed.contacts().len(), 4);
    let all = bed.send("Contact: *\r\nExpires: 0\r\n");
    assert_eq!(kinds(&all.changes), [ChangeKind::Unregistered; 4]);
    assert!(values(&all, "Contact").is_empty());
}

#[test]
fn a_late_or_repeated_request_changes_nothing() {
    let via = "SIP/2.0/UDP 198.51.100.9;branch=z9hG4bKx";
    let mut bed = Bed::new();
    assert_eq!(bed.send_as("c", 7, via, "Contact: <sip:a@h>\r\n").status, 200);
    for (call_id, cseq, extra, status) in [
        ("c", 7, "Contact: <sip:a@h>\r\n", 500),
        ("c", 6, "Contact: <sip:a@h>;expires=0\r\n", 500),
        ("c", 6, "Contact: *\r\nExpires: 0\r\n", 500),
        ("c", 6, "Contact: <sip:b@h>, <sip:a@h>\r\n", 500),
        ("c", 8, "Contact: <sip:a@h>\r\n", 200),
        ("other", 1, "Contact: <sip:a@h>\r\n", 200),
    ] {
        assert_eq!(
            bed.send_as(call_id, cseq, via, extra).status,
            status,
            "{call_id} {cseq} {extra}"
        );
        assert_eq!(bed.contacts(), ["sip:a@h"]);
    }
}

#[test]
fn uris_are_compared_by_the_rules() {
    for (a, b, same) in [
        ("sip:a@h", "sip:a@H", true),
        ("sip:a@h", "sip:A@h", false),
        ("sip:a@h", "sip:%61@h", true),
        ("sip:a@h", "sip:a@h:5060", false),
        ("sip:a@h;transport=tcp", "sip:a@h;transport=TCP", true),
        ("sip:a@h;transport=tcp", "sip:a@h", false),
        ("sip:a@h;x=1", "sip:a@h", true),
        ("sip:a@h;x=1", "sip:a@h;x=2", false),
        ("sip:a:p@h", "sip:a@h", false),
        ("sip:a@h?x=1&y=2", "sip:a@h?y=2&x=1", true),
        ("sip:a@h?x=1", "sip:a@h", false),
        ("sips:a@h", "sip:a@h", false),
    ] {
        let mut bed = Bed::new();
        bed.send(&format!("Contact: <{a}>\r\n"));
        bed.send(&format!("Contact: <{b}>\r\n"));
        assert_eq!(bed.contacts().len() == 1, same, "{a} {b}");
    }
}

#[test]
fn where_calls_are_sent() {
    let rport = "SIP/2.0/UDP 10.0.0.7:5062;rport;branch=z9hG4bKx";
    let plain = "SIP/2.0/UDP 198.51.100.9;branch=z9hG4bKx";
    let nat = "SIP/2.0/UDP 10.0.0.7;branch=z9hG4bKx";
    let seen = "198.51.100.9:5062";
    for (via, contact, expected) in [
        (rport, "sip:a@10.0.0.7:5062", seen),
        (rport, "sip:a@198.51.100.9:7000", seen),
        (plain, "sip:a@198.51.100.9:7000", "198.51.100.9:7000"),
        (plain, "sip:a@198.51.100.9", "198.51.100.9:5060"),
        (plain, "sip:a@198.51.100.77", "198.51.100.77:5060"),
        (plain, "sip:a@192.168.1.9", seen),
        (plain, "sip:a@100.64.1.9", seen),
        (plain, "sip:a@0.0.0.0", seen),
        (plain, "sip:a@[2001:db8::1]", seen),
        (plain, "sip:a@phone.example", seen),
        (nat, "sip:a@198.51.100.77", seen),
    ] {
        let mut bed = Bed::new();
        bed.send_as("c", 1, via, &format!("Contact: <{contact}>\r\n"));
        let target = bed.registrar.bindings(&bed.aor, bed.now)[0].target;
        assert_eq!(target, udp(expected), "{via} {contact}");
    }
}

#[test]
fn a_connection_takes_its_bindings_with_it() {
    let mut bed = Bed::new();
    bed.flow = connection(Transport::Wss, 1);
    bed.send("Contact: <sip:x@one.invalid;transport=ws>\r\n");
    bed.send("Contact: <sip:x@two.invalid;transport=ws>\r\n");
    bed.flow = connection(Transport::Wss, 2);
    bed.send("Contact: <sip:x@three.invalid;transport=ws>\r\n");
    // A refresh over another connection moves the binding.
    bed.now = bed.now.plus(S);
    bed.send("Contact: <sip:x@two.invalid;transport=ws>\r\n");
    assert_eq!(bed.registrar.bindings(&bed.aor, bed.now)[0].target, bed.flow);
    let gone = bed.registrar.flow_gone(FlowId(1));
    assert_eq!(kinds(&gone), [ChangeKind::FlowGone]);
    assert_eq!(gone[0].contact, "sip:x@one.invalid;transport=ws");
    assert_eq!(bed.registrar.flow_gone(FlowId(2)).len(), 2);
    assert!(bed.registrar.is_empty() && bed.registrar.flow_gone(FlowId(2)).is_empty());
    // What an edge proxy forwarded is not bound to our connection with the proxy.
    bed.send("Contact: <sip:x@10.0.0.1>\r\nPath: <sip:edge.example;lr;ob>\r\n");
    assert!(bed.registrar.flow_gone(FlowId(2)).is_empty());
    assert_eq!(
        bed.registrar.bindings(&bed.aor, bed.now)[0].path,
        ["<sip:edge.example;lr;ob>"]
    );
}

const OUTBOUND: &str = "Supported: path, outbound\r\n";

fn outbound(host: &str, instance: &str, reg_id: u32) -> String {
    format!("{OUTBOUND}Contact: <sip:a@{host}>;+sip.instance=\"<urn:uuid:{instance}>\";reg-id={reg_id}\r\n")
}

#[test]
fn outbound_replaces_by_instance_and_reg_id() {
    let mut bed = Bed::new();
    let first = bed.send(&outbound("10.0.0.1", "i1", 1));
    assert_eq!(values(&first, "Require"), ["outbound"]);
    assert_eq!(values(&first, "Flow-Timer"), ["120"]);
    assert!(values(&first, "Contact")[0].ends_with(";+sip.instance=\"<urn:uuid:i1>\";reg-id=1"));
    // After a new start the device has another port, Call-ID and Contact.
    let via = "SIP/2.0/UDP h;rport;branch=z9hG4bKx";
    let again = bed.send_as("new", 1, via, &outbound("10.0.0.2", "i1", 1));
    assert_eq!(kinds(&again.changes), [ChangeKind::Refreshed]);
    assert_eq!(bed.contacts(), ["sip:a@10.0.0.2"]);
    // A second flow of the same device is a fallback, another device is not.
    bed.now = bed.now.plus(S);
    bed.send(&outbound("10.0.0.2", "i1", 2));
    bed.send(&outbound("10.0.0.2", "i2", 1));
    let ring: Vec<_> = bed
        .registrar
        .bindings(&bed.aor, bed.now)
        .into_iter()
        .map(|b| (b.instance.unwrap(), b.reg_id.unwrap(), b.fallback))
        .collect();
    let expected = [("i1", 2, false), ("i2", 1, false), ("i1", 1, true)];
    assert_eq!(ring, expected.map(|(i, r, f)| (format!("urn:uuid:{i}"), r, f)));
    let two = format!("{}Contact: <sip:b@h>\r\n", outbound("10.0.0.3", "i3", 1));
    assert_eq!(bed.send(&two).status, 400);
}

#[test]
fn outbound_needs_a_first_hop_that_keeps_flows() {
    let two = "SIP/2.0/UDP proxy;branch=z9hG4bKy, SIP/2.0/UDP h;branch=z9hG4bKx";
    let mut bed = Bed::new();
    assert_eq!(bed.send_as("c", 1, two, &outbound("h", "i1", 1)).status, 439);
    assert_eq!(
        bed.send_as("c", 1, two, &format!("Path: <sip:p;lr>\r\n{}", outbound("h", "i1", 1)))
            .status,
        439
    );
    let edge = format!("Path: <sip:p2;lr>, <sip:edge;lr;ob>\r\n{}", outbound("h", "i1", 1));
    let taken = bed.send_as("c", 2, two, &edge);
    assert_eq!(
        (taken.status, values(&taken, "Path")),
        (200, vec!["<sip:p2;lr>", "<sip:edge;lr;ob>"])
    );
    // A client that does not claim outbound is registered without it.
    let plain = outbound("h2", "i2", 1).replace(OUTBOUND, "");
    let taken = bed.send_as("d", 2, two, &plain);
    assert!(taken.status == 200 && values(&taken, "Require").is_empty());
}

#[test]
fn limits_of_one_user_and_of_all() {
    let mut bed = Bed::with(|s| {
        s.max_per_aor = 3;
        s.max_bindings = 5;
    });
    for n in 0..6 {
        bed.now = bed.now.plus(S);
        let outcome = bed.send(&format!("Contact: <sip:a@h{n}>\r\n"));
        let displaced = kinds(&outcome.changes).contains(&ChangeKind::Displaced);
        assert_eq!((outcome.status, displaced), (200, n >= 3));
    }
    assert_eq!(bed.contacts(), ["sip:a@h5", "sip:a@h4", "sip:a@h3"]);
    let many: Vec<String> = (0..4).map(|n| format!("<sip:b@h{n}>")).collect();
    assert_eq!(bed.send(&format!("Contact: {}\r\n", many.join(","))).status, 403);
    bed.aor = Aor::new("tenant.example", "bob");
    assert_eq!(bed.send("Contact: <sip:b@h1>, <sip:b@h2>\r\n").status, 200);
    let full = bed.send("Contact: <sip:b@h3>\r\n");
    assert_eq!((full.status, values(&full, "Retry-After")), (503, vec!["30"]));
    // Who is there may refresh.
    assert_eq!(bed.send("Contact: <sip:b@h1>\r\n").status, 200);
    let mut strict = Bed::with(|s| {
        s.max_per_aor = 1;
        s.displace = false;
    });
    assert_eq!(strict.send("Contact: <sip:a@h1>\r\n").status, 200);
    assert_eq!(strict.send("Contact: <sip:a@h2>\r\n").status, 403);
}

#[test]
fn what_is_not_understood_is_refused_by_name() {
    let mut bed = Bed::new();
    let outcome = bed.send("Require: path, foo\r\nRequire: bar\r\nContact: <sip:a@h>\r\n");
    assert_eq!(
        (outcome.status, values(&outcome, "Unsupported")),
        (420, vec!["foo, bar"])
    );
    assert_eq!(
        bed.send("Require: gruu, outbound\r\nContact: <sip:a@h>\r\n").status,
        200
    );
    let paths = "Path: <sip:p>\r\n".repeat(9);
    assert_eq!(bed.send(&format!("{paths}Contact: <sip:a@h>\r\n")).status, 400);
    let contacts = "Contact: <sip:a@h>\r\n".repeat(33);
    assert_eq!(bed.send(&contacts).status, 400);
    assert_eq!(
        bed.send(&format!("Contact: <sip:{}@h>\r\n", "a".repeat(600))).status,
        400
    );
}

#[test]
fn gruus_lead_to_their_instance() {
    let mut bed = Bed::new();
    bed.aor = Aor::new("Tenant.Example", "al#ce");
    let with = |host: &str| format!("Supported: gruu\r\n{}", outbound(host, "i1", 1));
    let first = bed.send(&with("10.0.0.1"));
    let second = bed.send(&with("10.0.0.1"));
    let part = |outcome: &Outcome, name: &str| {
        let value = values(outcome, "Contact")[0];
        let contact = crate::headers::NameAddr::parse(value.as_bytes()).unwrap();
        crate::headers::unquote(contact.param(name).unwrap().as_bytes())
    };
    let public = part(&first, "pub-gruu");
    assert_eq!(public, "sip:al%23ce@tenant.example;gr=urn:uuid:i1");
    let (t1, t2) = (part(&first, "temp-gruu"), part(&second, "temp-gruu"));
    assert!(t1.starts_with("sip:tgruu.") && t1.ends_with("@tenant.example;gr"));
    let resolve = |bed: &Bed, uri: &str| {
        let found = bed.registrar.resolve(&Uri::parse(uri).unwrap(), bed.now);
        found.map(|b| b.into_iter().map(|b| b.contact).collect::<Vec<_>>())
    };
    for uri in [&public, &t1, &t2] {
        assert_eq!(resolve(&bed, uri), Some(vec!["sip:a@10.0.0.1".into()]), "{uri}");
    }
    // A new Call-ID makes the temporary ones of before invalid, not the public one (RFC 5627 §5.3).
    let via = "SIP/2.0/UDP h;rport;branch=z9hG4bKx";
    bed.send_as("new", 1, via, &with("10.0.0.2"));
    assert_eq!(resolve(&bed, &t1), Some(vec![]));
    assert_eq!(resolve(&bed, &public), Some(vec!["sip:a@10.0.0.2".into()]));
    // What was tampered with, and what is none.
    let forged = t1.replace("tgruu.", "tgruu.A");
    let bent = format!(
        "{}{}",
        &t1[..20],
        t1[20..].replacen(|c: char| c.is_ascii_lowercase(), "Z", 1)
    );
    for uri in [
        forged.as_str(),
        &bent,
        "sip:alice@tenant.example",
        "sip:tgruu.@h;gr",
        "sip:x@h;gr",
    ] {
        assert_eq!(resolve(&bed, uri), None, "{uri}");
    }
    assert_eq!(resolve(&bed, "sip:nobody@tenant.example;gr=urn:uuid:i1"), Some(vec![]));
}

#[test]
fn temporary_gruus_differ_with_every_registration() {
    let mut bed = Bed::new();
    let mut seen = std::collections::HashSet::new();
    for _ in 0..50 {
        bed.now = bed.now.plus(1);
        let outcome = bed.send(&format!("Supported: gruu\r\n{}", outbound("h", "i1", 1)));
        let value = values(&outcome, "Contact")[0].to_owned();
        assert!(seen.insert(value.split("temp-gruu=").nth(1).unwrap().to_owned()));
    }
}

#[test]
fn time_ends_bindings_in_bounded_steps() {
    let mut bed = Bed::new();
    for n in 0..2_500 {
        bed.aor = Aor::new("tenant.example", &n.to_string());
        bed.send_as(
            &n.to_string(),
            1,
            "SIP/2.0/UDP h;rport;branch=z9hG4bKx",
            "Contact: <sip:a@h>\r\n",
        );
    }
    assert_eq!(bed.registrar.aors(), 2_500);
    let end = bed.registrar.next_deadline().unwrap();
    assert!(
        bed.registrar.bindings(&bed.aor, end).is_empty(),
        "what has expired is not rung"
    );
    assert!(bed.registrar.expire(Time(end.0 - 1)).is_empty());
    let steps: Vec<usize> = (0..4).map(|_| bed.registrar.expire(end).len()).collect();
    assert_eq!(steps, [1_000, 1_000, 500, 0]);
    assert!(bed.registrar.is_empty());
}

#[test]
fn an_expired_binding_that_nobody_swept_is_new_again() {
    let mut bed = Bed::new();
    bed.send("Contact: <sip:a@h>\r\n");
    bed.now = bed.now.plus(1801 * S);
    let outcome = bed.send("Contact: <sip:a@h>\r\n");
    assert_eq!(kinds(&outcome.changes), [ChangeKind::Expired, ChangeKind::Added]);
}

#[test]
fn bindings_can_be_put_back_elsewhere() {
    let mut bed = Bed::new();
    bed.send(&outbound("10.0.0.1", "i1", 1));
    let held = bed.registrar.bindings(&bed.aor, bed.now);
    let mut other = Bed::new();
    assert!(other.registrar.restore(&bed.aor, &held[0], START));
    assert!(
        !other.registrar.restore(&bed.aor, &held[0], START),
        "it is there already"
    );
    assert_eq!(other.registrar.bindings(&bed.aor, START), held);
    assert!(!Bed::new().registrar.restore(&bed.aor, &held[0], held[0].expires_at));
    other.cseq = 0;
    assert_eq!(
        kinds(&other.send(&outbound("10.0.0.1", "i1", 1)).changes),
        [ChangeKind::Refreshed]
    );
}

/// Random registrations, refreshes, ends of connections and time against a list that is searched by hand.
#[test]
fn the_indexes_agree_with_a_plain_list() {
    let mut state = 7u64;
    let mut next = |n: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % n
    };
    let mut bed = Bed::new();
    let mut model: Vec<(u64, u64, u64, Time)> = Vec::new(); // user, contact, connection, expiry
    for step in 0..5_000u32 {
        bed.now = bed.now.plus(next(20) * S);
        model.retain(|(.., at)| *at > bed.now);
        while !bed.registrar.expire(bed.now).is_empty() {}
        let (user, contact, flow) = (next(6), next(4), next(3));
        bed.aor = Aor::new("tenant.example", &user.to_string());
        bed.flow = connection(Transport::Tcp, flow);
        if next(8) == 0 {
            let gone = bed.registrar.flow_gone(FlowId(flow)).len();
            assert_eq!(
                gone,
                model.iter().filter(|(_, _, f, _)| *f == flow).count(),
                "step {step}"
            );
            model.retain(|(_, _, f, _)| *f != flow);
            continue;
        }
        let expires = [0, 60, 300][next(3) as usize];
        let extra = format!("Contact: <sip:c{contact}@h>;expires={expires}\r\n");
        assert_eq!(
            bed.send_as("c", step + 1, "SIP/2.0/TCP h;branch=z9hG4bKx", &extra)
                .status,
            200
        );
        model.retain(|(u, c, ..)| (*u, *c) != (user, contact));
        if expires > 0 {
            model.push((user, contact, flow, bed.now.plus(expires * S)));
        }
        assert_eq!(bed.registrar.len(), model.len(), "step {step}");
        let mine = model.iter().filter(|(u, ..)| *u == user).count();
        assert_eq!(bed.contacts().len(), mine, "step {step}");
        assert_eq!(bed.registrar.next_deadline(), model.iter().map(|m| m.3).min());
    }
}
