//! A STUN server that this test plays says under which address it sees us.

use std::net::SocketAddr;
use strowger_sip::{AskError, ask_outside};
use strowger_sip_core::stun::Stun;
use tokio::net::UdpSocket;

const HERE: &str = "127.0.0.1:0";

#[tokio::test]
async fn the_address_that_the_server_sees_is_told_also_when_the_first_request_is_lost() {
    let server = UdpSocket::bind(HERE).await.unwrap();
    let at = server.local_addr().unwrap();
    let seen: SocketAddr = "203.0.113.9:40000".parse().unwrap();
    let play = async {
        let mut buffer = [0; 1500];
        server.recv_from(&mut buffer).await.unwrap();
        let (length, from) = server.recv_from(&mut buffer).await.unwrap();
        let asked = Stun::parse(&buffer[..length]).unwrap();
        // Somebody else's answer, and something that is none, come before.
        let mut foreign = asked.answer("198.51.100.1:1".parse().unwrap()).unwrap();
        foreign[19] ^= 1;
        server.send_to(&foreign, from).await.unwrap();
        server.send_to(b"SIP/2.0 200 OK\r\n\r\n", from).await.unwrap();
        server.send_to(&asked.answer(seen).unwrap(), from).await.unwrap();
    };
    let (answer, ()) = tokio::join!(ask_outside(at, at.ip()), play);
    assert_eq!(answer.unwrap(), seen);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_said() {
    // A port that nobody has: the system refuses, or nothing comes.
    let at = UdpSocket::bind(HERE).await.unwrap().local_addr().unwrap();
    let error = ask_outside(at, at.ip()).await.unwrap_err();
    assert!(matches!(error, AskError::Io { .. } | AskError::Silent(_)), "{error}");
    assert!(error.to_string().contains(&at.to_string()), "{error}");
}
