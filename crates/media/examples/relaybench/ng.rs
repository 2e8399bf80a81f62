//! Just enough of the ng control protocol (bencode over UDP) to set up and end plain RTP calls on another relay.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;
use strowger_media_core::codec::Kind;

/// How a codec is named in SDP: static ones by RFC 3551, Opus with two channels by RFC 7587.
fn name(kind: Kind) -> String {
    let channels = if kind == Kind::Opus { "/2" } else { "" };
    format!("{}/{}{channels}", kind.name(), kind.clock())
}

fn sdp(address: SocketAddr, kind: Kind) -> String {
    let (ip, port) = (address.ip(), address.port());
    let (number, name) = (super::generator::payload_type(kind), name(kind));
    format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP {number}\r\n\
         a=rtpmap:{number} {name}\r\na=ptime:20\r\n"
    )
}

fn text(s: &str) -> String {
    format!("{}:{s}", s.len())
}

/// A dictionary of texts, and of values that are encoded already.
fn bencode(pairs: &[(&str, &str)], encoded: &[(&str, &str)]) -> String {
    let texts = pairs.iter().map(|(k, v)| (*k, text(v)));
    let mut all: Vec<(&str, String)> = texts
        .chain(encoded.iter().map(|(k, v)| (*k, (*v).to_owned())))
        .collect();
    // Keys of a dictionary are sorted.
    all.sort_unstable();
    let body: String = all.iter().map(|(k, v)| text(k) + v).collect();
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

    fn request(&mut self, pairs: &[(&str, &str)], encoded: &[(&str, &str)]) -> String {
        self.cookie += 1;
        let message = format!("{} {}", self.cookie, bencode(pairs, encoded));
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

/// Set up calls between `a`, who speaks A-law, and `b`, who speaks `second` alone; each pair is where `a` and `b` have to
/// send.
pub fn set_up(
    ng: SocketAddr,
    calls: usize,
    a: SocketAddr,
    b: SocketAddr,
    second: Kind,
) -> Vec<(SocketAddr, SocketAddr)> {
    let mut client = Client::connect(ng);
    let (offer, answer) = (sdp(a, Kind::Pcma), sdp(b, second));
    // The other party is offered its codec in place of the first one's.
    let list = |s: &str| format!("l{}e", text(s));
    let codec = format!(
        "d{}{}{}{}e",
        text("mask"),
        list("PCMA"),
        text("transcode"),
        list(second.name())
    );
    let encoded = [("codec", codec.as_str())];
    let encoded = if second == Kind::Pcma { &[][..] } else { &encoded[..] };
    (0..calls)
        .map(|n| {
            let (id, from, to) = (format!("bench-{n}"), format!("f{n}"), format!("t{n}"));
            let common = [("call-id", id.as_str()), ("from-tag", from.as_str())];
            let [call, tag] = common;
            let for_b = client.request(&[("command", "offer"), call, tag, ("sdp", &offer)], encoded);
            let for_a = client.request(
                &[("command", "answer"), call, tag, ("to-tag", &to), ("sdp", &answer)],
                &[],
            );
            (address_in(&for_a), address_in(&for_b))
        })
        .collect()
}

/// End the calls.
pub fn tear_down(ng: SocketAddr, calls: usize) {
    let mut client = Client::connect(ng);
    for n in 0..calls {
        let id = format!("bench-{n}");
        let tag = format!("f{n}");
        client.request(&[("command", "delete"), ("call-id", &id), ("from-tag", &tag)], &[]);
    }
}
