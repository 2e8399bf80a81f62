//! Just enough of the ng control protocol (bencode over UDP) to set up and end plain RTP calls on another relay.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

fn sdp(address: SocketAddr) -> String {
    let (ip, port) = (address.ip(), address.port());
    format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na=ptime:20\r\n"
    )
}

fn bencode(pairs: &[(&str, &str)]) -> String {
    // Keys of a dictionary are sorted.
    let mut pairs = pairs.to_vec();
    pairs.sort_unstable();
    let text = |s: &str| format!("{}:{s}", s.len());
    let body: String = pairs.iter().map(|(k, v)| text(k) + &text(v)).collect();
    format!("d{body}e")
}

struct Client {
    socket: UdpSocket,
    cookie: u64,
}

impl Client {
    fn connect(to: SocketAddr) -> Client {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a control socket");
        socket.connect(to).expect("the relay's control address");
        socket
            .set_read_timeout(Some(Duration::from_secs(3)))
            .expect("a timeout");
        Client { socket, cookie: 0 }
    }

    fn request(&mut self, pairs: &[(&str, &str)]) -> String {
        self.cookie += 1;
        let message = format!("{} {}", self.cookie, bencode(pairs));
        self.socket.send(message.as_bytes()).expect("the relay listens");
        let mut buffer = [0; 8192];
        let length = self.socket.recv(&mut buffer).expect("an answer of the relay");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }
}

/// The address in the SDP of an answer.
fn address_in(answer: &str) -> SocketAddr {
    let after = |key: &str| {
        let start = answer.find(key).unwrap_or_else(|| panic!("no {key} in {answer}")) + key.len();
        answer[start..]
            .split([' ', '\r', '\n'])
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    format!("{}:{}", after("c=IN IP4 "), after("m=audio "))
        .parse()
        .expect("an address in the SDP")
}

/// Set up calls between `a` and `b`; each pair is where `a` and `b` have to send.
pub fn set_up(ng: SocketAddr, calls: usize, a: SocketAddr, b: SocketAddr) -> Vec<(SocketAddr, SocketAddr)> {
    let mut client = Client::connect(ng);
    let (offer, answer) = (sdp(a), sdp(b));
    (0..calls)
        .map(|n| {
            let (id, from, to) = (format!("bench-{n}"), format!("f{n}"), format!("t{n}"));
            let common = [("call-id", id.as_str()), ("from-tag", from.as_str())];
            let [call, tag] = common;
            let for_b = client.request(&[("command", "offer"), call, tag, ("sdp", &offer)]);
            let for_a = client.request(&[("command", "answer"), call, tag, ("to-tag", &to), ("sdp", &answer)]);
            (address_in(&for_a), address_in(&for_b))
        })
        .collect()
}

/// End the calls.
pub fn tear_down(ng: SocketAddr, calls: usize) {
    let mut client = Client::connect(ng);
    for n in 0..calls {
        client.request(&[
            ("command", "delete"),
            ("call-id", &format!("bench-{n}")),
            ("from-tag", &format!("f{n}")),
        ]);
    }
}
