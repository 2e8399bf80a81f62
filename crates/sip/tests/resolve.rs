//! Looking servers up in a small DNS server on loopback.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use strowger_sip::core::locate::{Family, LocateError, Rules};
use strowger_sip::core::{Target, Transport, Uri};
use strowger_sip::{ResolveError, Resolver, ResolverSettings};
use tokio::net::UdpSocket;

/// Record types.
const A: u16 = 1;
const SRV: u16 = 33;
const NAPTR: u16 = 35;

type Record = (&'static str, u16, Vec<u8>);

fn name(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for label in text.split('.').filter(|l| !l.is_empty()) {
        out.push(label.len() as u8);
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
    out
}

fn a(host: &'static str, last: u8) -> Record {
    (host, A, Ipv4Addr::new(192, 0, 2, last).octets().to_vec())
}

fn srv(service: &'static str, priority: u16, port: u16, target: &str) -> Record {
    let mut data = Vec::new();
    for n in [priority, 1, port] {
        data.extend_from_slice(&n.to_be_bytes());
    }
    data.extend(name(target));
    (service, SRV, data)
}

fn naptr(domain: &'static str, order: u16, services: &str, replacement: &str) -> Record {
    let mut data = Vec::new();
    for n in [order, 1] {
        data.extend_from_slice(&n.to_be_bytes());
    }
    for text in ["s", services, ""] {
        data.push(text.len() as u8);
        data.extend_from_slice(text.as_bytes());
    }
    data.extend(name(replacement));
    (domain, NAPTR, data)
}

/// Answers from the records; names that begin with `broken` fail.
async fn serve(socket: UdpSocket, records: Vec<Record>, asked: Arc<AtomicUsize>) {
    let mut buffer = [0; 1_500];
    loop {
        let (len, source) = socket.recv_from(&mut buffer).await.unwrap();
        asked.fetch_add(1, Ordering::Relaxed);
        let query = &buffer[..len];
        let (mut at, mut labels) = (12, Vec::new());
        while query[at] != 0 {
            let end = at + 1 + usize::from(query[at]);
            labels.push(String::from_utf8_lossy(&query[at + 1..end]).to_ascii_lowercase());
            at = end;
        }
        let asked_name = labels.join(".");
        let kind = u16::from_be_bytes([query[at + 1], query[at + 2]]);
        let exists = records.iter().any(|(n, ..)| n.eq_ignore_ascii_case(&asked_name));
        let found: Vec<_> = records
            .iter()
            .filter(|(n, k, _)| n.eq_ignore_ascii_case(&asked_name) && *k == kind)
            .collect();
        let code = match (asked_name.starts_with("broken"), exists) {
            (true, _) => 2,
            (false, true) => 0,
            (false, false) => 3,
        };
        let mut answer = query[..2].to_vec();
        answer.extend_from_slice(&[0x85, 0x80 | code, 0, 1, 0, found.len() as u8, 0, 0, 0, 0]);
        answer.extend_from_slice(&query[12..at + 5]);
        for (_, kind, data) in found {
            answer.extend_from_slice(&[0xc0, 12]);
            answer.extend_from_slice(&kind.to_be_bytes());
            answer.extend_from_slice(&[0, 1, 0, 0, 1, 44]);
            answer.extend_from_slice(&(data.len() as u16).to_be_bytes());
            answer.extend_from_slice(data);
        }
        socket.send_to(&answer, source).await.unwrap();
    }
}

async fn resolver() -> (Resolver, Arc<AtomicUsize>) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let settings = ResolverSettings {
        servers: vec![socket.local_addr().unwrap()],
        rules: Rules {
            transports: vec![Transport::Udp, Transport::Tcp, Transport::Tls],
            families: vec![Family::V4],
        },
        ..ResolverSettings::default()
    };
    let records = vec![
        naptr("carrier.example", 10, "SIPS+D2T", "_sips._tcp.carrier.example"),
        naptr("carrier.example", 20, "SIP+D2U", "_sip._udp.carrier.example"),
        srv("_sips._tcp.carrier.example", 0, 5061, "one.carrier.example"),
        srv("_sip._udp.carrier.example", 0, 5060, "one.carrier.example"),
        srv("_sip._udp.carrier.example", 1, 5070, "two.carrier.example"),
        a("one.carrier.example", 1),
        a("two.carrier.example", 2),
        a("plain.example", 9),
    ];
    let asked = Arc::new(AtomicUsize::new(0));
    tokio::spawn(serve(socket, records, asked.clone()));
    (Resolver::new(settings).unwrap(), asked)
}

async fn find(resolver: &Resolver, uri: &str) -> Result<Vec<String>, ResolveError> {
    let found = resolver.locate(&Uri::parse(uri).unwrap()).await?;
    let text = |t: &Target| format!("{} {}", t.transport.via_token(), t.addr);
    Ok(found.iter().map(|located| text(&located.target)).collect())
}

#[tokio::test]
async fn by_naptr_srv_and_address_and_once_only() {
    let (resolver, asked) = resolver().await;
    let expected = ["TLS 192.0.2.1:5061", "UDP 192.0.2.1:5060", "UDP 192.0.2.2:5070"];
    assert_eq!(find(&resolver, "sip:a@Carrier.example").await.unwrap(), expected);
    let questions = asked.load(Ordering::Relaxed);
    assert_eq!(questions, 5, "NAPTR, two SRV, two addresses");
    assert_eq!(find(&resolver, "sip:b@carrier.example").await.unwrap(), expected);
    assert_eq!(
        asked.load(Ordering::Relaxed),
        questions,
        "the second time from the cache"
    );
    let found = resolver
        .locate(&Uri::parse("sips:a@carrier.example").unwrap())
        .await
        .unwrap();
    assert_eq!(found[0].server_name.as_deref(), Some("carrier.example"));
    assert_eq!(
        find(&resolver, "sip:a@plain.example").await.unwrap(),
        ["UDP 192.0.2.9:5060"]
    );
    assert_eq!(
        find(&resolver, "sip:a@192.0.2.5;transport=tcp").await.unwrap(),
        ["TCP 192.0.2.5:5060"]
    );
}

#[tokio::test]
async fn what_does_not_exist_and_what_does_not_answer() {
    let (resolver, _) = resolver().await;
    assert_eq!(
        find(&resolver, "sip:a@nowhere.example").await,
        Err(ResolveError::Locate(LocateError::NoAddress))
    );
    assert_eq!(
        find(&resolver, "sip:a@broken.example:5060").await,
        Err(ResolveError::Dns)
    );
    assert_eq!(
        find(&resolver, "tel:+861087654321").await,
        Err(ResolveError::Locate(LocateError::Scheme))
    );
}

#[tokio::test]
async fn what_failed_is_tried_last() {
    let (resolver, _) = resolver().await;
    let uri = "sip:a@carrier.example;transport=udp";
    let first = Target::udp(SocketAddr::from(([192, 0, 2, 1], 5060)));
    resolver.failed(first);
    assert_eq!(
        find(&resolver, uri).await.unwrap(),
        ["UDP 192.0.2.2:5070", "UDP 192.0.2.1:5060"]
    );
    resolver.answered(first);
    assert_eq!(
        find(&resolver, uri).await.unwrap(),
        ["UDP 192.0.2.1:5060", "UDP 192.0.2.2:5070"]
    );
}
