//! Zones of the RFC's kind, and what follows from them.

use super::*;

fn all() -> Rules {
    Rules {
        transports: vec![
            Transport::Udp,
            Transport::Tcp,
            Transport::Tls,
            Transport::Ws,
            Transport::Wss,
        ],
        families: vec![Family::V4, Family::V6],
    }
}

/// A zone from lines: `name A 192.0.2.1`, `name SRV 1 2 5060 host`, `name NAPTR 1 2 s SIP+D2U name`.
fn zone(text: &str) -> HashMap<Question, Answer> {
    let mut zone: HashMap<Question, Answer> = HashMap::new();
    for line in text.lines().map(str::trim).filter(|l| !l.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let n = |i: usize| words[i].parse::<u16>().unwrap();
        let name = words[0].to_owned();
        match words[1] {
            "A" => {
                let entry = zone
                    .entry(Question::Addresses(name))
                    .or_insert(Answer::Addresses(Vec::new()));
                let Answer::Addresses(list) = entry else { panic!() };
                list.push(words[2].parse().unwrap());
            }
            "SRV" => {
                let entry = zone.entry(Question::Srv(name)).or_insert(Answer::Srv(Vec::new()));
                let Answer::Srv(list) = entry else { panic!() };
                list.push(Srv {
                    priority: n(2),
                    weight: n(3),
                    port: n(4),
                    target: words[5].to_owned(),
                });
            }
            _ => {
                let entry = zone.entry(Question::Naptr(name)).or_insert(Answer::Naptr(Vec::new()));
                let Answer::Naptr(list) = entry else { panic!() };
                list.push(Naptr {
                    order: n(2),
                    preference: n(3),
                    flags: words[4].to_owned(),
                    services: words[5].to_owned(),
                    replacement: words[6].to_owned(),
                });
            }
        }
    }
    zone
}

/// Asks the zone until there is an outcome; also how many rounds it took.
fn ask(
    uri: &str,
    rules: &Rules,
    zone: &HashMap<Question, Answer>,
    random: u64,
) -> (Result<Vec<String>, LocateError>, usize) {
    let uri = Uri::parse(uri).unwrap();
    let mut known = HashMap::new();
    for round in 0..5 {
        match locate(&uri, rules, &known, random) {
            Ok(Plan::Ask(questions)) => {
                assert!(!questions.is_empty());
                for question in questions {
                    assert!(!known.contains_key(&question), "{question:?} is asked twice");
                    let answer = zone.get(&question).cloned().unwrap_or(Answer::Nothing);
                    known.insert(question, answer);
                }
            }
            Ok(Plan::Ready(targets)) => {
                let text = targets
                    .iter()
                    .map(|t| format!("{} {}", t.transport.via_token(), t.addr));
                return (Ok(text.collect()), round);
            }
            Err(error) => return (Err(error), round),
        }
    }
    panic!("it never ends");
}

const ZONE: &str = "
    example.com NAPTR 50 50 s SIPS+D2T _sips._tcp.example.com.
    example.com NAPTR 90 50 s SIP+D2T _sip._tcp.example.com
    example.com NAPTR 100 50 s SIP+D2U _sip._udp.example.com
    example.com NAPTR 10 50 s E2U+sip nowhere.example.com
    example.com A 192.0.2.100
    _sips._tcp.example.com SRV 0 1 5061 server1.example.com
    _sip._tcp.example.com SRV 0 1 5060 server1.example.com.
    _sip._tcp.example.com SRV 1 1 5062 server2.example.com
    _sip._udp.example.com SRV 0 1 5060 server2.example.com
    server1.example.com A 192.0.2.1
    server1.example.com A 2001:db8::1
    server2.example.com A 192.0.2.2
    plain.example A 192.0.2.50
    srv.example A 192.0.2.60
    _sip._tcp.srv.example SRV 0 0 5070 192.0.2.61
    off.example A 192.0.2.70
    _sip._udp.off.example SRV 0 0 0 .
    web.example NAPTR 1 1 a SIPS+D2W edge.example
    edge.example A 192.0.2.80";

#[test]
fn the_order_of_rfc_3263() {
    let zone = zone(ZONE);
    for (uri, expected, rounds) in [
        ("sip:a@192.0.2.9", vec!["UDP 192.0.2.9:5060"], 0),
        ("sip:a@192.0.2.9:5070;transport=tcp", vec!["TCP 192.0.2.9:5070"], 0),
        ("sip:a@[2001:db8::9];transport=TLS", vec!["TLS [2001:db8::9]:5061"], 0),
        ("sips:a@192.0.2.9", vec!["TLS 192.0.2.9:5061"], 0),
        ("sips:a@192.0.2.9;transport=tcp", vec!["TLS 192.0.2.9:5061"], 0),
        ("sip:a@192.0.2.9;transport=ws", vec!["WS 192.0.2.9:80"], 0),
        ("sip:a@nowhere.example;maddr=192.0.2.3", vec!["UDP 192.0.2.3:5060"], 0),
        // A port: no NAPTR, no SRV (§4.2).
        ("sip:a@Example.com:5080", vec!["UDP 192.0.2.100:5080"], 1),
        ("sips:a@example.com:5080", vec!["TLS 192.0.2.100:5080"], 1),
        // A transport: SRV (§4.2).
        (
            "sip:a@example.com;transport=tcp",
            vec!["TCP 192.0.2.1:5060", "TCP [2001:db8::1]:5060", "TCP 192.0.2.2:5062"],
            2,
        ),
        ("sip:a@plain.example;transport=tcp", vec!["TCP 192.0.2.50:5060"], 2),
        ("sip:a@plain.example;transport=wss", vec!["WSS 192.0.2.50:443"], 1),
        // Neither: NAPTR (§4.1), all ways as failover.
        (
            "sip:a@example.com.",
            vec![
                "TLS 192.0.2.1:5061",
                "TLS [2001:db8::1]:5061",
                "TCP 192.0.2.1:5060",
                "TCP [2001:db8::1]:5060",
                "TCP 192.0.2.2:5062",
                "UDP 192.0.2.2:5060",
            ],
            3,
        ),
        (
            "sips:a@example.com",
            vec!["TLS 192.0.2.1:5061", "TLS [2001:db8::1]:5061"],
            3,
        ),
        ("sip:a@web.example", vec!["WSS 192.0.2.80:443"], 2),
        // No NAPTR: SRV of what we have; no SRV: the host by UDP, or TLS.
        ("sip:a@srv.example", vec!["TCP 192.0.2.61:5070"], 2),
        ("sip:a@plain.example", vec!["UDP 192.0.2.50:5060"], 3),
        ("sips:a@plain.example", vec!["TLS 192.0.2.50:5061"], 3),
    ] {
        let (found, took) = ask(uri, &all(), &zone, 1);
        assert_eq!(found.unwrap(), expected, "{uri}");
        assert_eq!(took, rounds, "{uri}");
    }
}

#[test]
fn what_has_no_server() {
    let zone = zone(ZONE);
    for (uri, error) in [
        ("tel:+861087654321", LocateError::Scheme),
        ("sip:a@example.com;transport=sctp", LocateError::Transport),
        ("sips:a@example.com;transport=udp", LocateError::Transport),
        ("sip:a@gone.example", LocateError::NoAddress),
        // SRV says that there is no such service, so the address is not tried.
        ("sip:a@off.example", LocateError::NoAddress),
    ] {
        assert_eq!(ask(uri, &all(), &zone, 1).0, Err(error), "{uri}");
    }
    let only = |transports: &[Transport], families: &[Family]| Rules {
        transports: transports.to_vec(),
        families: families.to_vec(),
    };
    let udp = only(&[Transport::Udp], &[Family::V4]);
    assert_eq!(ask("sips:a@192.0.2.1", &udp, &zone, 1).0, Err(LocateError::Transport));
    assert_eq!(
        ask("sip:a@example.com", &udp, &zone, 1).0.unwrap(),
        ["UDP 192.0.2.2:5060"]
    );
    let tcp6 = only(&[Transport::Tcp], &[Family::V6]);
    assert_eq!(
        ask("sip:a@example.com", &tcp6, &zone, 1).0.unwrap(),
        ["TCP [2001:db8::1]:5060"]
    );
    assert_eq!(
        ask("sip:a@192.0.2.7", &tcp6, &zone, 1).0.unwrap(),
        ["TCP 192.0.2.7:5060"]
    );
}

#[test]
fn weights_share_and_priorities_rule() {
    let zone = zone(
        "_sip._udp.w.example SRV 1 90 1 192.0.2.1
         _sip._udp.w.example SRV 1 10 2 192.0.2.2
         _sip._udp.w.example SRV 0 0 3 192.0.2.3
         _sip._udp.w.example SRV 2 65535 4 192.0.2.4",
    );
    let mut first = 0;
    for random in 0..1_000u64 {
        let seed = random.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let found = ask("sip:a@w.example;transport=udp", &all(), &zone, seed).0.unwrap();
        assert_eq!(found.len(), 4);
        assert_eq!(
            (found[0].as_str(), found[3].as_str()),
            ("UDP 192.0.2.3:3", "UDP 192.0.2.4:4")
        );
        first += usize::from(found[1] == "UDP 192.0.2.1:1");
    }
    assert!((850..950).contains(&first), "{first} of 1,000 where 900 are expected");
}

#[test]
fn a_zone_without_end_is_cut() {
    let mut text = String::new();
    for i in 0..1_000 {
        text.push_str(&format!("_sip._udp.big.example SRV 0 0 {i} host{i}.example\n"));
        for j in 0..20 {
            text.push_str(&format!("host{i}.example A 10.{j}.{}.{}\n", i / 250, i % 250));
        }
    }
    let found = ask("sip:a@big.example;transport=udp", &all(), &zone(&text), 1)
        .0
        .unwrap();
    assert_eq!(found.len(), MAX_TARGETS);
}

#[test]
fn names_of_certificates() {
    let name = |uri: &str| server_name(&Uri::parse(uri).unwrap());
    assert_eq!(
        name("sips:a@Trunk.Example.com.;maddr=192.0.2.1").as_deref(),
        Some("trunk.example.com")
    );
    assert_eq!(name("sip:192.0.2.1"), None);
    assert_eq!(name("sip:[2001:db8::1]"), None);
    assert_eq!(name("tel:+861087654321"), None);
}

#[test]
fn failures_are_tried_last_for_a_minute() {
    let at = |n: u8| Target::udp(SocketAddr::from(([192, 0, 2, n], 5060)));
    let mut failures = Failures::default();
    failures.failed(at(1), Time(0));
    let order = |failures: &Failures, now: u64| {
        let mut targets = [at(1), at(2), at(3)];
        failures.order(&mut targets, Time(now));
        targets.map(|t| t.addr.to_string().as_bytes()[8] - b'0')
    };
    assert_eq!(order(&failures, 59_999_999), [2, 3, 1]);
    assert_eq!(order(&failures, 60_000_000), [1, 2, 3]);
    failures.failed(at(2), Time(60_000_000));
    assert_eq!(order(&failures, 60_000_001), [1, 3, 2]);
    failures.answered(at(2));
    assert_eq!(order(&failures, 60_000_001), [1, 2, 3]);
    for n in 0..10_000u32 {
        failures.failed(
            Target::udp(SocketAddr::from((n.to_be_bytes(), 5060))),
            Time(u64::from(n)),
        );
    }
    assert!(failures.until.len() <= MAX_FAILURES && failures.until.len() > MAX_FAILURES / 2);
    assert!(failures.is_failed(
        Target::udp(SocketAddr::from((9_999u32.to_be_bytes(), 5060))),
        Time(10_000)
    ));
}
