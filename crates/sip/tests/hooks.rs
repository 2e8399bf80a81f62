//! What an endpoint shows to its hooks, and which address it shows to its peers.

mod kit;

use kit::*;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use strowger_sip::core::*;
use strowger_sip::*;
use tokio::net::UdpSocket;

type Noted = Arc<Mutex<Vec<(Direction, Transport, SocketAddr, Vec<u8>)>>>;

#[tokio::test]
async fn every_message_is_traced() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let noted: Noted = Arc::default();
        let to = noted.clone();
        let ua = Ua::start(Placement::Task, transport, "127.0.0.1:0", |c| {
            c.trace = Some(Arc::new(move |m: Traced<'_>| {
                let entry = (m.direction, m.transport, m.remote, m.bytes.to_vec());
                to.lock().unwrap().push(entry);
            }));
        });
        let peer = Ua::start(Placement::Task, transport, "127.0.0.1:0", |_| {});
        ua.handle
            .send(Command::Options(Box::new(OptionsPing {
                handle: DialogHandle(5),
                call_id: "the-call".into(),
                local_tag: "t".into(),
                branch_stem: "s".into(),
                request_uri: "sip:x@test".into(),
                from: Party::new("sip:a@test"),
                destination: Target {
                    transport,
                    addr: peer.addr(),
                    flow: None,
                },
                local: None,
            })))
            .unwrap();
        ua.settled(|s| s.received == 1).await;
        let noted = noted.lock().unwrap();
        assert_eq!(noted.len(), 2);
        for (entry, direction, start) in [
            (&noted[0], Direction::Out, b"OPTIONS ".as_slice()),
            (&noted[1], Direction::In, b"SIP/2.0 ".as_slice()),
        ] {
            let (d, t, remote, bytes) = entry;
            assert_eq!((*d, *t, *remote), (direction, transport, peer.addr()));
            assert!(bytes.starts_with(start));
        }
    }
}

#[tokio::test]
async fn hooks_that_panic_or_refuse() {
    let ua = Ua::start(Placement::Task, Transport::Udp, "127.0.0.1:0", |c| {
        c.trace = Some(Arc::new(|_: Traced<'_>| panic!("a hook's fault")));
        c.admission = Some(Arc::new(|_: Transport, source: SocketAddr| source.is_ipv4()));
    });
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut buffer = [0; 2_000];
    socket
        .send_to(options("a", "", "").as_bytes(), ua.addr())
        .await
        .unwrap();
    let len = socket.recv(&mut buffer).await.unwrap();
    assert!(buffer[..len].starts_with(b"SIP/2.0 200"));
    ua.settled(|s| s.sink_panics == 2).await;

    let deaf = Ua::start(Placement::Task, Transport::Udp, "127.0.0.1:0", |c| {
        c.admission = Some(Arc::new(|_: Transport, _: SocketAddr| false));
    });
    socket
        .send_to(options("a", "", "").as_bytes(), deaf.addr())
        .await
        .unwrap();
    socket.send_to(&stun::request(&[1; 12]), deaf.addr()).await.unwrap();
    let stats = deaf.settled(|s| s.not_admitted == 2).await;
    assert_eq!((stats.received, stats.sent), (0, 0));
}

#[tokio::test]
async fn near_and_far_peers_are_told_different_addresses() {
    for (networks, contact) in [
        (vec![], "192.0.2.99:7777"),
        (vec![("127.0.0.0".parse().unwrap(), 8)], "127.0.0.1"),
    ] {
        for transport in [Transport::Udp, Transport::Tcp] {
            let ua = Ua::start(Placement::Task, transport, "127.0.0.1:0", |c| {
                c.binds[0].advertised = Some("192.0.2.99:7777".parse().unwrap());
                c.binds[0].local_networks.clone_from(&networks);
            });
            let mut peer = Ua::start(Placement::Task, transport, "127.0.0.1:0", |_| {});
            ua.invite(1, transport, peer.addr());
            let (_, event) = peer.next().await;
            let SipEvent::Incoming(invite) = event else {
                panic!("{event:?}")
            };
            for name in [HeaderName::Via, HeaderName::Contact] {
                let value = invite.message.value(name).unwrap().into_owned();
                assert!(value.contains(contact), "{transport:?} {value}");
            }
        }
    }
}
