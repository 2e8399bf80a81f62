//! Two endpoints over UDP on loopback, in both placements.

use bytes::Bytes;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use strowger_sip::core::*;
use strowger_sip::{Endpoint, EndpointConfig, EndpointHandle, Placement, StartError};
use tokio::sync::mpsc;
use tokio::time::timeout;

type Events = mpsc::Receiver<(DialogHandle, SipEvent)>;

fn start(placement: Placement, seed: u8) -> (EndpointHandle, Events) {
    let (sender, events) = mpsc::channel(64);
    let mut config = EndpointConfig::udp("127.0.0.1:0".parse().unwrap(), [seed; 16]);
    config.placement = placement;
    // Short timers keep the test of repetition short.
    config.stack.timers = Timers {
        t1: 20_000,
        t2: 160_000,
        t4: 200_000,
    };
    let sink = move |handle, event| sender.try_send((handle, event)).expect("room for the event");
    (Endpoint::start(config, Arc::new(sink)).unwrap(), events)
}

async fn next(events: &mut Events) -> (DialogHandle, SipEvent) {
    timeout(Duration::from_secs(10), events.recv())
        .await
        .expect("an event in time")
        .expect("the endpoint lives")
}

fn invite(n: u64, to: SocketAddr) -> Command {
    Command::Invite(Box::new(Invite {
        handle: DialogHandle(n),
        call_id: format!("{n}@test"),
        local_tag: format!("t{n}"),
        branch_stem: format!("s{n}"),
        request_uri: format!("sip:b@{to}"),
        to: Party::new(format!("sip:b@{to}")),
        from: Party::new("sip:a@test"),
        headers: Vec::new(),
        destination: Target::udp(to),
        local: None,
        sdp: Some(Bytes::from_static(b"v=0\r\n")),
        credentials: None,
        ack: AckMode::Automatic,
        route: Vec::new(),
        contact_user: None,
        reliable: Default::default(),
    }))
}

fn respond(handle: DialogHandle, status: u16) -> Command {
    Command::Respond {
        handle,
        status,
        reason_phrase: None,
        headers: Vec::new(),
        sdp: (status == 200).then(|| Bytes::from_static(b"v=0\r\n")),
        reliable: false,
    }
}

async fn a_call(placement: Placement) {
    let ((a, mut at_a), (b, mut at_b)) = (start(placement, 1), start(placement, 2));
    a.send(invite(1, b.local_addrs()[0])).unwrap();
    let (theirs, event) = next(&mut at_b).await;
    assert!(matches!(event, SipEvent::Incoming(_)));
    b.send(respond(theirs, 180)).unwrap();
    assert!(matches!(next(&mut at_a).await.1, SipEvent::Trying));
    assert!(matches!(
        next(&mut at_a).await.1,
        SipEvent::Provisional { status: 180, .. }
    ));
    b.send(respond(theirs, 200)).unwrap();
    assert!(matches!(next(&mut at_a).await.1, SipEvent::Answered { .. }));
    assert!(matches!(next(&mut at_b).await.1, SipEvent::AckReceived { .. }));
    a.send(Command::Bye {
        handle: DialogHandle(1),
        reason: None,
    })
    .unwrap();
    assert!(matches!(next(&mut at_b).await.1, SipEvent::ByeReceived { .. }));
    assert!(matches!(
        next(&mut at_a).await.1,
        SipEvent::Ended {
            cause: EndCause::Bye { status: Some(200) }
        }
    ));
    a.shutdown(Duration::from_secs(5)).await;
    b.shutdown(Duration::from_secs(5)).await;
    assert_eq!(a.stats().stack.dialogs + b.stats().stack.dialogs, 0);
    assert_eq!(
        a.send(Command::Bye {
            handle: DialogHandle(1),
            reason: None
        }),
        Err(strowger_sip::Overloaded::Closed)
    );
}

#[tokio::test]
async fn a_call_on_a_thread() {
    a_call(Placement::Thread).await;
}

#[tokio::test]
async fn a_call_in_a_task() {
    a_call(Placement::Task).await;
}

#[tokio::test]
async fn cancel() {
    let ((a, mut at_a), (b, mut at_b)) = (start(Placement::Thread, 1), start(Placement::Thread, 2));
    a.send(invite(1, b.local_addrs()[0])).unwrap();
    let (theirs, _) = next(&mut at_b).await;
    b.send(respond(theirs, 180)).unwrap();
    while !matches!(next(&mut at_a).await.1, SipEvent::Provisional { .. }) {}
    a.send(Command::Cancel {
        handle: DialogHandle(1),
        reason: None,
    })
    .unwrap();
    assert!(matches!(next(&mut at_b).await.1, SipEvent::CancelledByPeer { .. }));
    assert!(matches!(
        next(&mut at_a).await.1,
        SipEvent::Ended {
            cause: EndCause::Cancelled { status: Some(487) }
        }
    ));
}

/// A relay between the two endpoints drops the first copy of every message: all of them are repeated and the call
/// completes.
#[tokio::test]
async fn lost_datagrams_are_repeated() {
    let ((a, mut at_a), (b, mut at_b)) = (start(Placement::Thread, 1), start(Placement::Thread, 2));
    let (addr_a, addr_b) = (a.local_addrs()[0], b.local_addrs()[0]);
    let relay = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let relay_addr = relay.local_addr().unwrap();
    let relaying = tokio::spawn(async move {
        let (mut seen, mut buffer) = (std::collections::HashSet::new(), vec![0; 65_535]);
        loop {
            let (len, source) = relay.recv_from(&mut buffer).await.unwrap();
            if !seen.insert(buffer[..len].to_vec()) {
                let to = if source == addr_a { addr_b } else { addr_a };
                relay.send_to(&buffer[..len], to).await.unwrap();
            }
        }
    });
    a.send(invite(1, relay_addr)).unwrap();
    let (theirs, _) = next(&mut at_b).await;
    b.send(respond(theirs, 200)).unwrap();
    while !matches!(next(&mut at_a).await.1, SipEvent::Answered { .. }) {}
    assert!(matches!(next(&mut at_b).await.1, SipEvent::AckReceived { .. }));
    a.send(Command::Bye {
        handle: DialogHandle(1),
        reason: None,
    })
    .unwrap();
    assert!(matches!(next(&mut at_b).await.1, SipEvent::ByeReceived { .. }));
    assert!(matches!(next(&mut at_a).await.1, SipEvent::Ended { .. }));
    assert!(a.stats().stack.retransmitted >= 1);
    relaying.abort();
}

#[tokio::test]
async fn what_cannot_start_says_why() {
    let sink = || Arc::new(|_: DialogHandle, _: SipEvent| {});
    let mut config = EndpointConfig::udp("0.0.0.0:0".parse().unwrap(), [0; 16]);
    assert!(matches!(
        Endpoint::start(config.clone(), sink()),
        Err(StartError::AdvertisedMissing { .. })
    ));
    config.binds[0].advertised = Some("192.0.2.1:0".parse().unwrap());
    assert!(Endpoint::start(config.clone(), sink()).is_ok());
    let (first, _) = start(Placement::Thread, 1);
    config.binds[0].addr = first.local_addrs()[0];
    assert!(matches!(
        Endpoint::start(config.clone(), sink()),
        Err(StartError::Bind { .. })
    ));
    config.binds[0].transport = Transport::Tls;
    assert!(matches!(
        Endpoint::start(config.clone(), sink()),
        Err(StartError::Tls {
            source: strowger_sip::TlsError::Missing,
            ..
        })
    ));
    config.binds.clear();
    assert!(matches!(Endpoint::start(config, sink()), Err(StartError::NoBind)));
}
