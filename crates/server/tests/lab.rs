//! The lab's signalling, seen by a bare UDP peer: what each kind of number answers.

use std::net::SocketAddr;
use std::time::Duration;
use strowger_server::config::Language;
use strowger_server::lab::{self, LabConfig};
use tokio::net::UdpSocket;

struct Peer {
    socket: UdpSocket,
    lab: SocketAddr,
    own: SocketAddr,
}

impl Peer {
    async fn new(lab: SocketAddr) -> Peer {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let own = socket.local_addr().unwrap();
        Peer { socket, lab, own }
    }

    async fn invite(&self, number: &str, rtp: SocketAddr) {
        let sdp = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {} RTP/AVP 8\r\n",
            rtp.port()
        );
        let text = format!(
            "INVITE sip:{number}@{lab} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK{number}\r\nMax-Forwards: 70\r\n\
             From: <sip:test@{own}>;tag=a{number}\r\nTo: <sip:{number}@{lab}>\r\nCall-ID: {number}@test\r\n\
             CSeq: 1 INVITE\r\nContact: <sip:test@{own}>\r\nContent-Type: application/sdp\r\n\
             Content-Length: {}\r\n\r\n{sdp}",
            sdp.len(),
            lab = self.lab,
            own = self.own,
        );
        self.socket.send_to(text.as_bytes(), self.lab).await.unwrap();
    }

    async fn ack(&self, number: &str, ok: &str) {
        let to = ok.lines().find(|l| l.starts_with("To:")).unwrap();
        let text = format!(
            "ACK sip:{number}@{lab} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bKack{number}\r\nMax-Forwards: 70\r\n\
             From: <sip:test@{own}>;tag=a{number}\r\n{to}\r\nCall-ID: {number}@test\r\nCSeq: 1 ACK\r\n\
             Content-Length: 0\r\n\r\n",
            lab = self.lab,
            own = self.own,
        );
        self.socket.send_to(text.as_bytes(), self.lab).await.unwrap();
    }

    /// The next message whose first line has one of these beginnings; repetitions of others are passed over.
    async fn until(&self, beginnings: &[&str]) -> String {
        let mut buffer = vec![0; 4096];
        let wait = async {
            loop {
                let n = self.socket.recv(&mut buffer).await.unwrap();
                let text = String::from_utf8_lossy(&buffer[..n]).into_owned();
                if beginnings.iter().any(|b| text.starts_with(b)) {
                    return text;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(10), wait)
            .await
            .unwrap_or_else(|_| panic!("none of {beginnings:?} came"))
    }
}

async fn start(first: u16) -> lab::Running {
    let config = LabConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        ports: first..=first + 199,
        language: Language::En,
    };
    lab::start(config).await.unwrap()
}

#[tokio::test]
async fn numbers_refuse_as_they_say() {
    let running = start(31_000).await;
    let peer = Peer::new(running.sip).await;
    for (number, status) in [
        ("13800000021", "SIP/2.0 486"),
        ("13800000023", "SIP/2.0 404"),
        ("13800000026", "SIP/2.0 503"),
        ("95588", "SIP/2.0 404"),
    ] {
        peer.invite(number, "127.0.0.1:9".parse().unwrap()).await;
        peer.until(&[status]).await;
    }
    running.stop().await;
}

#[tokio::test]
async fn a_number_that_announces_sends_sound_before_it_refuses() {
    let running = start(31_200).await;
    let peer = Peer::new(running.sip).await;
    let rtp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    peer.invite("13800000031", rtp.local_addr().unwrap()).await;
    let early = peer.until(&["SIP/2.0 183"]).await;
    assert!(early.contains("m=audio"), "{early}");
    let mut packet = [0; 2048];
    let n = tokio::time::timeout(Duration::from_secs(5), rtp.recv(&mut packet))
        .await
        .expect("a packet of the announcement")
        .unwrap();
    // RTP version 2, PCMA, 20 ms.
    assert_eq!((packet[0] >> 6, packet[1] & 0x7f, n), (2, 8, 172));
    peer.until(&["SIP/2.0 486"]).await;
    running.stop().await;
}

#[tokio::test]
async fn the_echo_answers_and_sends_back_what_it_hears() {
    let running = start(31_400).await;
    let peer = Peer::new(running.sip).await;
    let rtp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    peer.invite("13800000002", rtp.local_addr().unwrap()).await;
    let ok = peer.until(&["SIP/2.0 200"]).await;
    peer.ack("13800000002", &ok).await;
    let port: u16 = ok
        .split("m=audio ")
        .nth(1)
        .and_then(|m| m.split(' ').next())
        .unwrap()
        .parse()
        .unwrap();
    rtp.send_to(b"any packet at all", ("127.0.0.1", port)).await.unwrap();
    let mut packet = [0; 64];
    let n = tokio::time::timeout(Duration::from_secs(5), rtp.recv(&mut packet))
        .await
        .expect("the echo")
        .unwrap();
    assert_eq!(&packet[..n], b"any packet at all");
    assert_eq!(running.calls(), 1);
    running.stop().await;
}

#[tokio::test]
async fn a_timed_number_hangs_up_by_itself() {
    let running = start(31_600).await;
    let peer = Peer::new(running.sip).await;
    peer.invite("13900000001", "127.0.0.1:9".parse().unwrap()).await;
    let ok = peer.until(&["SIP/2.0 200"]).await;
    peer.ack("13900000001", &ok).await;
    peer.until(&["BYE "]).await;
    running.stop().await;
}

#[tokio::test]
async fn the_lab_is_for_this_machine_only() {
    let config = LabConfig {
        listen: "0.0.0.0:0".parse().unwrap(),
        ports: 31_800..=31_899,
        language: Language::Zh,
    };
    let refused = lab::start(config).await.err().unwrap().to_string();
    assert!(refused.contains("loopback only"), "{refused}");
}
