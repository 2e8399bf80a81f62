//! Connections over loopback: what goes through them, and what ends them. Bounds are milliseconds here, and every wait is
//! for an event.

mod kit;

use kit::*;
use std::time::Duration;
use strowger_sip::core::*;
use strowger_sip::{ConnectionLimits, Placement};

/// Limits that nothing reaches by accident.
fn generous() -> ConnectionLimits {
    ConnectionLimits::default()
}

#[tokio::test]
async fn calls_over_every_transport() {
    for (placement, transport, addr) in [
        (Placement::Thread, Transport::Tcp, "127.0.0.1:0"),
        (Placement::Task, Transport::Tcp, "[::1]:0"),
        (Placement::Thread, Transport::Tls, "127.0.0.1:0"),
        (Placement::Task, Transport::Tls, "[::1]:0"),
        (Placement::Thread, Transport::Ws, "127.0.0.1:0"),
        (Placement::Task, Transport::Wss, "127.0.0.1:0"),
    ] {
        let (mut a, mut b) = (
            Ua::start(placement, transport, addr, |_| {}),
            Ua::start(placement, transport, addr, |_| {}),
        );
        let to = b.handle.local_addrs()[0];
        a.invite(1, transport, to);
        let (theirs, event) = b.next().await;
        assert!(matches!(event, SipEvent::Incoming(_)), "{transport:?} {event:?}");
        b.respond(theirs, 200);
        loop {
            match a.next().await.1 {
                SipEvent::Answered { .. } => break,
                SipEvent::Trying => {}
                other => panic!("{transport:?} {other:?}"),
            }
        }
        assert!(matches!(b.next().await.1, SipEvent::AckReceived { .. }));
        // The called side hangs up: its BYE goes through the connection that the caller opened.
        b.bye(theirs);
        assert!(matches!(a.next().await.1, SipEvent::ByeReceived { .. }));
        assert!(matches!(
            b.next().await.1,
            SipEvent::Ended {
                cause: EndCause::Bye { status: Some(200) }
            }
        ));
        let (at_a, at_b) = (a.handle.stats().connections, b.handle.stats().connections);
        assert_eq!((at_a.dialled, at_a.accepted, at_a.open), (1, 0, 1), "{transport:?}");
        assert_eq!((at_b.dialled, at_b.accepted, at_b.open), (0, 1, 1), "{transport:?}");
        a.handle.shutdown(Duration::from_secs(5)).await;
        let closed = b.flow_closed().await;
        assert_ne!(closed.0, 0);
        b.handle.shutdown(Duration::from_secs(5)).await;
        assert_eq!(a.handle.stats().connections.closed.asked, 1);
        assert_eq!(b.handle.stats().connections.closed.peer, 1, "{:?}", b.handle.stats());
    }
}

#[tokio::test]
async fn one_bad_message_does_not_close_the_connection() {
    let ua = Ua::start(Placement::Task, Transport::Tcp, "127.0.0.1:0", |_| {});
    let mut peer = Peer::tcp(ua.addr()).await;
    let bad = options("bad", "Content-Length: 0\r\nno colon\r\n", "");
    let long = options("long", "Content-Length: 70000\r\n", &"x".repeat(70_000));
    let bare = options("bare", "", "");
    let good = options("good", "l: 0\r\n", "");
    for (message, status) in [(&good, 200), (&bad, 400), (&long, 400), (&bare, 400), (&good, 200)] {
        peer.write(message.as_bytes()).await;
        assert_eq!(peer.status().await, status, "{}", &message[..40]);
    }
    peer.write(b"\r\n\r\n").await;
    assert_eq!(peer.read_exactly(2).await, b"\r\n", "a keep-alive is answered");
    peer.write(b"\r\n\r\n").await;
    assert_eq!(peer.read_exactly(2).await, b"\r\n");
    assert_eq!(ua.handle.stats().connections.open, 1);
    // An unusable length is answered too, and then nobody knows where the next message begins.
    peer.write(options("ncl", "Content-Length: -999\r\n", "").as_bytes())
        .await;
    assert_eq!(peer.status().await, 400);
    peer.closed().await;
    assert_eq!(
        ua.settled(|s| s.connections.closed.framing == 1).await.connections.open,
        0
    );
}

#[tokio::test]
async fn slow_and_silent_connections_end() {
    let short = Duration::from_millis(60);
    let limits = |change: fn(&mut ConnectionLimits, Duration)| {
        let mut limits = generous();
        change(&mut limits, short);
        Ua::start(Placement::Task, Transport::Tcp, "127.0.0.1:0", |c| c.limits = limits)
    };

    let ua = limits(|l, short| l.first_message = short);
    let mut peer = Peer::tcp(ua.addr()).await;
    peer.write(b"\r\n\r\n").await;
    peer.closed().await;
    ua.settled(|s| s.connections.closed.first_message == 1).await;

    let ua = limits(|l, short| l.partial_message = short);
    let mut peer = Peer::tcp(ua.addr()).await;
    peer.write(options("good", "l: 0\r\n", "").as_bytes()).await;
    assert_eq!(peer.status().await, 200);
    peer.write(b"OPTIONS sip:x").await;
    peer.closed().await;
    ua.settled(|s| s.connections.closed.partial_message == 1).await;

    let ua = limits(|l, short| l.idle = short);
    let mut peer = Peer::tcp(ua.addr()).await;
    peer.write(options("good", "l: 0\r\n", "").as_bytes()).await;
    assert_eq!(peer.status().await, 200);
    peer.closed().await;
    ua.settled(|s| s.connections.closed.idle == 1).await;
}

#[tokio::test]
async fn half_open_handshakes_end() {
    for transport in [Transport::Tls, Transport::Ws, Transport::Wss] {
        let ua = Ua::start(Placement::Task, transport, "127.0.0.1:0", |c| {
            c.limits.handshake = Duration::from_millis(60);
        });
        let mut peer = Peer::tcp(ua.addr()).await;
        if transport == Transport::Ws {
            peer.write(b"GET / HTTP/1.1\r\nHost: a\r\n").await;
        }
        peer.closed().await;
        ua.settled(|s| s.connections.closed.handshake_timeout == 1).await;
    }
}

#[tokio::test]
async fn a_dripping_websocket_ends() {
    let ua = Ua::start(Placement::Task, Transport::Ws, "127.0.0.1:0", |c| {
        c.limits.partial_message = Duration::from_millis(60);
    });
    let mut peer = Peer::websocket(ua.addr()).await;
    peer.write(&ws_text(options("a", "", "").as_bytes())).await;
    peer.read_some().await;
    // A frame that announces 100 bytes and brings one.
    peer.write(&[0x81, 0x80 | 100, 0, 0, 0, 0, b'O']).await;
    peer.closed().await;
    ua.settled(|s| s.connections.closed.partial_message == 1).await;
}

#[tokio::test]
async fn plain_text_is_not_taken_by_tls() {
    for transport in [Transport::Tls, Transport::Wss] {
        let ua = Ua::start(Placement::Task, transport, "127.0.0.1:0", |_| {});
        let mut peer = Peer::tcp(ua.addr()).await;
        peer.write(options("a", "l: 0\r\n", "").as_bytes()).await;
        let said = peer.closed().await;
        assert!(!said.starts_with(b"SIP"), "{said:?}");
        let stats = ua.settled(|s| s.connections.closed.handshake == 1).await;
        assert_eq!(stats.received, 0);
    }
}

#[tokio::test]
async fn limits_of_connections() {
    let ua = Ua::start(Placement::Task, Transport::Tcp, "127.0.0.1:0", |c| {
        c.limits.per_source = 2
    });
    let mut peers = Vec::new();
    for _ in 0..2 {
        let mut peer = Peer::tcp(ua.addr()).await;
        peer.write(options("a", "l: 0\r\n", "").as_bytes()).await;
        assert_eq!(peer.status().await, 200);
        peers.push(peer);
    }
    Peer::tcp(ua.addr()).await.closed().await;
    ua.settled(|s| s.connections.refused_source == 1).await;
    peers.pop();
    ua.settled(|s| s.connections.open == 1).await;
    let mut peer = Peer::tcp(ua.addr()).await;
    peer.write(options("a", "l: 0\r\n", "").as_bytes()).await;
    assert_eq!(peer.status().await, 200);

    let ua = Ua::start(Placement::Task, Transport::Tcp, "127.0.0.1:0", |c| c.limits.total = 1);
    let mut first = Peer::tcp(ua.addr()).await;
    first.write(options("a", "l: 0\r\n", "").as_bytes()).await;
    assert_eq!(first.status().await, 200);
    Peer::tcp(ua.addr()).await.closed().await;
    ua.settled(|s| s.connections.refused_total == 1).await;

    let ua = Ua::start(Placement::Task, Transport::Tcp, "127.0.0.1:0", |c| {
        c.admission = Some(std::sync::Arc::new(|_: Transport, _: std::net::SocketAddr| false));
    });
    Peer::tcp(ua.addr()).await.closed().await;
    ua.settled(|s| s.connections.refused_admission == 1).await;
}

#[tokio::test]
async fn a_slow_reader_is_closed_and_others_go_on() {
    let ua = Ua::start(Placement::Task, Transport::Tcp, "127.0.0.1:0", |c| {
        c.limits.write_queue = 16 << 10
    });
    let mut slow = Peer::tcp(ua.addr()).await;
    let message = options("flood", "l: 0\r\n", "");
    let burst = message.repeat(200);
    // It sends and never reads: the kernel's buffers fill up, then ours.
    let flood = async {
        while slow.try_write(burst.as_bytes()).await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), flood)
        .await
        .expect("it is closed");
    ua.settled(|s| s.connections.closed.slow_reader == 1).await;
    let mut other = Peer::tcp(ua.addr()).await;
    other.write(message.as_bytes()).await;
    assert_eq!(other.status().await, 200);
}

#[tokio::test]
async fn a_cut_connection_fails_what_waits_on_it() {
    let mut ua = Ua::start(Placement::Task, Transport::Tcp, "127.0.0.1:0", |_| {});
    // Nobody listens: refused at once, not by timer B.
    let closed = closed_port().await;
    ua.invite(1, Transport::Tcp, closed);
    assert!(matches!(ua.next().await, (DialogHandle(1), SipEvent::Failed(f)) if f.kind == FailureKind::TransportError));
    ua.settled(|s| s.connections.closed.not_opened == 1).await;
    // Accepted, and cut before an answer.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    ua.invite(2, Transport::Tcp, listener.local_addr().unwrap());
    let (stream, _) = listener.accept().await.unwrap();
    let mut peer = Peer::over(stream);
    assert!(peer.read_some().await.starts_with(b"INVITE"));
    drop(peer);
    assert!(matches!(ua.next().await, (DialogHandle(2), SipEvent::Failed(f)) if f.kind == FailureKind::TransportError));
    ua.flow_closed().await;
    // A second call there opens a new connection.
    ua.invite(3, Transport::Tcp, listener.local_addr().unwrap());
    listener.accept().await.unwrap();
}

#[tokio::test]
async fn a_closed_udp_port_fails_at_once() {
    for addr in ["127.0.0.1:0", "[::1]:0"] {
        let mut ua = Ua::start(Placement::Task, Transport::Udp, addr, |_| {});
        let gone = std::net::UdpSocket::bind(addr).unwrap().local_addr().unwrap();
        ua.invite(1, Transport::Udp, gone);
        let (_, event) = ua.next().await;
        assert!(
            matches!(event, SipEvent::Failed(f) if f.kind == FailureKind::TransportError),
            "{addr}"
        );
        ua.settled(|s| s.unreachable >= 1).await;
        // Other destinations are not hurt by the error that the socket carries.
        let mut other = Ua::start(Placement::Task, Transport::Udp, addr, |_| {});
        ua.invite(2, Transport::Udp, gone);
        ua.invite(3, Transport::Udp, other.addr());
        assert!(matches!(other.next().await.1, SipEvent::Incoming(_)));
    }
}

#[tokio::test]
async fn a_flow_is_closed_on_demand() {
    let (mut a, mut b) = (
        Ua::start(Placement::Task, Transport::Tcp, "127.0.0.1:0", |_| {}),
        Ua::start(Placement::Task, Transport::Tcp, "127.0.0.1:0", |_| {}),
    );
    a.invite(1, Transport::Tcp, b.addr());
    let (theirs, event) = b.next().await;
    let SipEvent::Incoming(incoming) = event else {
        panic!("{event:?}")
    };
    let flow = incoming.source.flow.expect("a connection has a flow");
    b.respond(theirs, 486);
    loop {
        if let SipEvent::Failed(f) = a.next().await.1 {
            assert_eq!(f.status, 486);
            break;
        }
    }
    b.handle.close_flow(flow).await.unwrap();
    assert_eq!(b.flow_closed().await, flow);
    a.flow_closed().await;
}

#[tokio::test]
async fn udp_keep_alives_and_stun() {
    let ua = Ua::start(Placement::Task, Transport::Udp, "127.0.0.1:0", |_| {});
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(b"\r\n\r\n", ua.addr()).await.unwrap();
    socket.send_to(b"", ua.addr()).await.unwrap();
    socket.send_to(&stun::request(&[7; 12]), ua.addr()).await.unwrap();
    let mut buffer = [0; 2_000];
    let (len, _) = socket.recv_from(&mut buffer).await.unwrap();
    assert_eq!(buffer[..2], [1, 1], "a success response");
    assert!(stun::is_stun(&buffer[..len]));
    let stats = ua.settled(|s| s.stun == 1).await;
    assert_eq!((stats.keep_alives, stats.received), (2, 0));
}

#[tokio::test]
async fn connections_on_another_runtime() {
    let elsewhere = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let on = elsewhere.handle().clone();
    for transport in [Transport::Tcp, Transport::Wss] {
        let mut a = Ua::start(Placement::Task, transport, "127.0.0.1:0", |c| {
            c.connections = Some(on.clone())
        });
        let mut b = Ua::start(Placement::Thread, transport, "127.0.0.1:0", |c| {
            c.connections = Some(on.clone())
        });
        a.invite(1, transport, b.addr());
        let (theirs, event) = b.next().await;
        assert!(matches!(event, SipEvent::Incoming(_)), "{event:?}");
        b.respond(theirs, 486);
        while !matches!(a.next().await.1, SipEvent::Failed(f) if f.status == 486) {}
        a.handle.shutdown(Duration::from_secs(1)).await;
        b.flow_closed().await;
    }
    elsewhere.shutdown_background();
}

#[tokio::test]
async fn our_connections_are_kept_alive() {
    let mut ua = Ua::start(Placement::Task, Transport::Tcp, "127.0.0.1:0", |c| {
        c.limits.keep_alive = Duration::from_millis(40);
        c.limits.idle = Duration::MAX;
        c.stack.timers.t1 = u64::MAX / 1_000;
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    ua.invite(1, Transport::Tcp, listener.local_addr().unwrap());
    let mut peer = Peer::over(listener.accept().await.unwrap().0);
    peer.until(b"v=0\r\n").await;
    for _ in 0..2 {
        assert_eq!(peer.read_exactly(4).await, b"\r\n\r\n");
        peer.write(b"\r\n").await;
    }
    drop(peer);
    ua.flow_closed().await;
    assert_eq!(ua.handle.stats().connections.closed.peer, 1);
}
