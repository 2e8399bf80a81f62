//! Attacks on the real server over loopback, each bounded in time, with honest calls beside them: all of these must go
//! well, memory must stay flat, and the server must answer at once when the attack is over.
//!
//! Each attacker has an address of 127.0.0.0/8 of its own, because limits and bans count sources.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};
use strowger_sip::core::digest::Challenge;
use strowger_sip::core::{Credentials, Message};
use strowger_tests::bed::Bed;
use strowger_tests::honest::Honest;
use strowger_tests::server::{Options, binary, free_tcp};
use strowger_tests::wait;

/// Resident memory may grow by so much during an attack, in KB: honest calls and pools are in it.
const FLAT: u64 = 48 << 10;
/// Within so long a server that is well answers OPTIONS on a loaded machine.
const AT_ONCE: Duration = Duration::from_secs(2);
/// Bound of an honest call's set-up at p99, on a loaded machine.
const P99: Duration = Duration::from_millis(1500);

fn resident_kb(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// A UDP socket of one source.
fn source(last: u8) -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, last), 0)).expect("every address of 127.0.0.0/8 is ours");
    let patience = Some(Duration::from_millis(100));
    socket.set_read_timeout(patience).expect("a timeout above zero");
    socket
}

/// A server under attack.
struct Scene {
    bed: Bed,
    honest: Option<Honest>,
    memory: u64,
    tls: SocketAddr,
    ws: SocketAddr,
    /// Asks whether the server is well.
    pinger: UdpSocket,
    pings: u32,
}

impl Scene {
    fn start(more: &str) -> Scene {
        let folder = tempfile::tempdir().expect("a folder");
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
        let [certificate, key] = ["tls.crt", "tls.key"].map(|name| folder.path().join(name));
        std::fs::write(&certificate, made.cert.pem()).expect("the folder takes a file");
        std::fs::write(&key, made.signing_key.serialize_pem()).expect("the folder takes a file");
        let [tls, ws] = [free_tcp(), free_tcp()];
        let bed = Bed::start_with(Options {
            sip: format!(
                "tls_port = {tls}\nws_port = {ws}\ncertificate = \"{}\"\nkey = \"{}\"\n",
                certificate.display(),
                key.display()
            ),
            more: more.to_owned(),
            media_ports: 2_000,
            ..Options::default()
        });
        let mut scene = Scene {
            honest: None,
            memory: 0,
            tls: SocketAddr::from(([127, 0, 0, 1], tls)),
            ws: SocketAddr::from(([127, 0, 0, 1], ws)),
            pinger: source(200),
            pings: 0,
            bed,
        };
        scene.well();
        let warm = Honest::start(&scene.bed);
        wait::pause(Duration::from_millis(500));
        scene.memory = resident_kb(scene.bed.server.pid());
        scene.honest = Some(warm);
        scene
    }

    fn sip(&self) -> SocketAddr {
        self.bed.server.sip()
    }

    /// The server answers OPTIONS.
    fn well(&mut self) {
        self.pings += 1;
        let (me, n) = (
            self.pinger.local_addr().expect("a bound socket has an address"),
            self.pings,
        );
        let text = request("OPTIONS", me, &format!("ping{n}"), "");
        let begun = Instant::now();
        let mut buffer = [0; 4096];
        while begun.elapsed() < AT_ONCE {
            // A full socket of the server loses pings as it loses anything.
            let _ = self.pinger.send_to(text.as_bytes(), self.sip());
            while let Ok((size, _)) = self.pinger.recv_from(&mut buffer) {
                if String::from_utf8_lossy(&buffer[..size]).contains(&format!("Call-ID: ping{n}\r\n")) {
                    return;
                }
            }
        }
        panic!("OPTIONS is not answered within {AT_ONCE:?}");
    }

    /// The attack is over: everybody else was served, nothing is left of it.
    fn finish(mut self, least: usize) -> Bed {
        self.well();
        let honest = self.honest.take().expect("started").finish();
        let grown = resident_kb(self.bed.server.pid()).saturating_sub(self.memory);
        eprintln!("{} honest calls, memory grew by {grown} KB", honest.setups.len());
        honest.expect_well(least, P99);
        assert!(grown < FLAT, "memory grew by {grown} KB");
        self.bed
    }

    fn command(&self, words: &[&str]) -> String {
        let output = Command::new(binary())
            .args(words)
            .arg("--data")
            .arg(self.bed.server.data())
            .output()
            .expect("the binary can be run");
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    }
}

/// A request outside dialogs; `more` are whole header lines.
fn request(method: &str, me: SocketAddr, name: &str, more: &str) -> String {
    format!(
        "{method} sip:x@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bK{name};rport\r\nMax-Forwards: 70\r\n\
         From: <sip:x@127.0.0.1>;tag={name}\r\nTo: <sip:x@127.0.0.1>\r\nCall-ID: {name}\r\nCSeq: 1 {method}\r\n\
         Contact: <sip:x@{me}>\r\n{more}Content-Length: 0\r\n\r\n"
    )
}

/// One REGISTER and its answer; `None` if there is none within the time.
fn register(
    socket: &UdpSocket,
    to: SocketAddr,
    name: &str,
    answer: Option<(&Challenge, &Credentials, u32)>,
    patience: Duration,
) -> Option<Message> {
    let me = socket.local_addr().expect("a bound socket has an address");
    let line = answer.map_or(String::new(), |(challenge, who, count)| {
        let value = challenge.answer_body(who, "REGISTER", "sip:x@127.0.0.1", b"", "cafe", count);
        format!("Authorization: {value}\r\n")
    });
    let user = answer.map_or("x", |(_, who, _)| who.username.as_str());
    let text = request("REGISTER", me, name, &line).replace("To: <sip:x@", &format!("To: <sip:{user}@"));
    let _ = socket.send_to(text.as_bytes(), to);
    let end = Instant::now() + patience;
    let mut buffer = [0; 4096];
    while Instant::now() < end {
        let Ok((size, _)) = socket.recv_from(&mut buffer) else {
            continue;
        };
        let message = Message::parse(bytes::Bytes::copy_from_slice(&buffer[..size])).ok()?;
        if message.call_id() == name {
            return Some(message);
        }
    }
    None
}

#[test]
fn twenty_thousand_guesses_of_a_password_end_in_a_ban() {
    let scene = Scene::start("");
    let password = "the right password";
    scene.bed.server.create(
        "/devices",
        &serde_json::json!({ "username": "desk", "tenant": scene.bed.tenant, "password": password }),
    );
    let who = |password: &str| Credentials {
        username: "desk".into(),
        password: password.into(),
    };
    let (attacker, sip) = (source(66), scene.sip());
    let first = register(&attacker, sip, "guess", None, AT_ONCE).expect("a challenge");
    assert_eq!(first.status(), Some(401));
    let mut challenge = Challenge::of(&first).expect("a challenge");
    let (mut answered, mut silent_since) = (0, 0);
    for n in 1..=20_000u32 {
        // Once nobody answers, guesses come as fast as they can be sent.
        let patience = if silent_since > 3 { Duration::ZERO } else { AT_ONCE };
        let wrong = who(&format!("guess {n}"));
        match register(
            &attacker,
            sip,
            &format!("guess{n}"),
            Some((&challenge, &wrong, 1)),
            patience,
        ) {
            Some(answer) => {
                assert_eq!(answer.status(), Some(401), "a wrong password lets nobody in");
                challenge = Challenge::of(&answer).unwrap_or(challenge);
                answered += 1;
            }
            None => silent_since += 1,
        }
    }
    assert!((9..=11).contains(&answered), "{answered} guesses were answered");
    let list = scene.command(&["ban", "list"]);
    assert!(list.contains("127.0.0.66"), "{list}");
    assert!(!list.contains("127.0.0.67"), "{list}");
    // A telephone of somebody else registers meanwhile.
    let phone = source(67);
    let challenged = register(&phone, sip, "desk0", None, AT_ONCE).expect("a challenge");
    let challenge = Challenge::of(&challenged).expect("a challenge");
    let answer = register(&phone, sip, "desk1", Some((&challenge, &who(password), 1)), AT_ONCE);
    assert_eq!(answer.and_then(|a| a.status()), Some(200));
    // Even the right password does not help whoever is banned; an operator does.
    assert!(register(&attacker, sip, "banned", None, Duration::from_millis(300)).is_none());
    scene.command(&["ban", "remove", "127.0.0.66"]);
    let list = scene.command(&["ban", "list"]);
    assert!(!list.contains("127.0.0.66"), "{list}");
    let answer = register(&attacker, sip, "lifted", None, AT_ONCE);
    assert_eq!(answer.and_then(|a| a.status()), Some(401));
    let log = scene.finish(20).server.log();
    assert!(
        !log.contains(password) && !log.contains("guess 7"),
        "credentials in the log"
    );
}

#[test]
fn a_flood_of_invites_keeps_nobody_waiting() {
    let scene = Scene::start("");
    let (socket, sip) = (source(66), scene.sip());
    let me = socket.local_addr().expect("a bound socket has an address");
    let begun = Instant::now();
    let mut sent = 0u32;
    while begun.elapsed() < Duration::from_secs(5) {
        // A wave every millisecond: about 20,000 a second, as far as the machine lets us.
        for _ in 0..20 {
            sent += 1;
            let _ = socket.send_to(request("INVITE", me, &format!("flood{sent}"), "").as_bytes(), sip);
        }
        wait::pause(Duration::from_millis(1));
    }
    assert!(sent > 5_000, "only {sent} INVITEs left");
    scene.finish(20);
}

/// What a slow client does with its connection.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Slow {
    /// Nothing.
    Idle,
    /// It begins, and stops.
    HalfOpen,
    /// A byte now and then.
    ByteByByte,
    /// Header after header.
    NeverEnding,
}

#[test]
fn slow_connections_are_closed_and_disturb_nobody() {
    let mut scene = Scene::start("");
    let begun = Instant::now();
    let sip = "OPTIONS sip:x@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bKslow\r\n";
    let http = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
    // The head of a TLS record that announces a ClientHello of 512 bytes.
    let hello = "\x16\x03\x01\x02\x00\x01\x00\x01\x7c\x03\x03";
    let mut open = Vec::new();
    for (to, words) in [(scene.sip(), sip), (scene.tls, hello), (scene.ws, http)] {
        for slow in [Slow::Idle, Slow::HalfOpen, Slow::ByteByByte, Slow::NeverEnding] {
            for _ in 0..40 {
                let stream = TcpStream::connect(to).expect("the listener takes a connection");
                stream.set_nonblocking(true).expect("a stream can be non-blocking");
                if slow != Slow::Idle && slow != Slow::ByteByByte {
                    let _ = (&stream).write(words.as_bytes());
                }
                open.push((stream, slow, words, 0usize));
            }
        }
    }
    let all = open.len();
    scene.well();
    let mut buffer = [0; 4096];
    // Handshakes have 5 s, messages 10 s.
    while !open.is_empty() && begun.elapsed() < Duration::from_secs(18) {
        open.retain_mut(|(stream, slow, words, at)| {
            match slow {
                Slow::Idle | Slow::HalfOpen => {}
                Slow::ByteByByte => {
                    let byte = words.as_bytes()[*at % words.len()];
                    *at += 1;
                    let _ = stream.write(&[byte]);
                }
                Slow::NeverEnding => {
                    let _ = stream.write(b"X-More: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n");
                }
            }
            loop {
                match stream.read(&mut buffer) {
                    Ok(0) => return false,
                    Ok(_) => {}
                    Err(e) if e.kind() == ErrorKind::WouldBlock => return true,
                    Err(_) => return false,
                }
            }
        });
        scene.well();
        wait::pause(Duration::from_millis(100));
    }
    let left: Vec<_> = open.iter().map(|(s, slow, ..)| (*slow, s.peer_addr().ok())).collect();
    assert!(left.is_empty(), "{} of {all} are open still: {left:?}", left.len());
    scene.finish(50);
}

#[test]
fn datagrams_of_every_length_are_survived() {
    // Without limits, so that every one is looked at; the ladder would keep 64 MB of them.
    let mut scene = Scene::start("[guard]\nrate = 0\n[ladder]\nmessages = 0\n");
    let (socket, sip) = (source(66), scene.sip());
    let mut text = request("OPTIONS", socket.local_addr().expect("bound"), "length", "X-Long: ").into_bytes();
    text.truncate(text.len() - b"Content-Length: 0\r\n\r\n".len());
    text.resize(65_507, b'a');
    let mut under_way = 0;
    for length in 0..=65_507usize {
        let _ = socket.send_to(&text[..length], sip);
        under_way += length + 1024;
        // As much as the kernel's buffer holds goes without asking.
        if under_way > 2 << 20 {
            scene.well();
            under_way = 0;
        }
    }
    scene.finish(50);
}

/// Messages that are wrong by intent, with their names.
fn malformed(me: SocketAddr) -> Vec<(&'static str, Vec<u8>)> {
    let plain = |name: &str| request("OPTIONS", me, name, "");
    let many: String = (0..4_000).map(|n| format!("X-H{n}: {n}\r\n")).collect();
    let vias: String = (0..4_000)
        .map(|n| format!("Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{n}\r\n"))
        .collect();
    let huge = plain("huge").replace("Content-Length: 0", "Content-Length: 18446744073709551615");
    let mut nul = request("OPTIONS", me, "nul", "Subject: a\0b\0\0c\r\n").into_bytes();
    nul.extend([0; 64]);
    let depth = 200;
    let opening: String = (0..depth)
        .map(|n| format!("--b{n}\r\nContent-Type: multipart/mixed;boundary=b{}\r\n\r\n", n + 1))
        .collect();
    let deep = request("INVITE", me, "deep", "Content-Type: multipart/mixed;boundary=b0\r\n").replace(
        "Content-Length: 0\r\n\r\n",
        &format!("Content-Length: {}\r\n\r\n{opening}", opening.len()),
    );
    let commas = format!("Contact: {}\r\n", "<sip:a@b>,".repeat(4_000));
    let quoted = format!("Subject: \"{}\r\n", "\\\"".repeat(10_000));
    vec![
        ("Content-Length of 2^64-1", huge.into_bytes()),
        (
            "negative Content-Length",
            plain("negative")
                .replace("Content-Length: 0", "Content-Length: -1")
                .into_bytes(),
        ),
        ("4,000 headers", request("OPTIONS", me, "many", &many).into_bytes()),
        ("4,000 Vias", request("OPTIONS", me, "vias", &vias).into_bytes()),
        (
            "4,000 Contacts",
            request("REGISTER", me, "commas", &commas).into_bytes(),
        ),
        (
            "a quoted string without end",
            request("OPTIONS", me, "quoted", &quoted).into_bytes(),
        ),
        ("NUL bytes", nul),
        ("nothing but NUL", vec![0; 1_000]),
        ("deep multipart", deep.into_bytes()),
        (
            "an unknown method",
            request("FROBNICATE", me, "unknown", "").into_bytes(),
        ),
        (
            "a very long method",
            request(&"M".repeat(5_000), me, "method", "").into_bytes(),
        ),
        ("no SIP", b"\xff\xfe\xfd\xfc\r\n\r\n".to_vec()),
    ]
}

#[test]
fn malformed_datagrams_are_survived() {
    let mut scene = Scene::start("[guard]\nrate = 0\n");
    let (socket, sip) = (source(66), scene.sip());
    let me = socket.local_addr().expect("a bound socket has an address");
    let mut seen = String::new();
    let mut buffer = [0; 8192];
    socket.set_nonblocking(true).expect("a socket can be non-blocking");
    for (name, bytes) in malformed(me) {
        for _ in 0..50 {
            let _ = socket.send_to(&bytes, sip);
        }
        eprintln!("{name}");
        scene.well();
        while let Ok((size, _)) = socket.recv_from(&mut buffer) {
            seen += &String::from_utf8_lossy(&buffer[..size]);
        }
    }
    // What can be answered was.
    for (call, statuses) in [
        ("unknown", ["501", "405"]),
        ("huge", ["400", "400"]),
        ("many", ["400", "513"]),
    ] {
        let answered = seen
            .split("SIP/2.0 ")
            .any(|m| m.contains(&format!("Call-ID: {call}\r\n")) && statuses.iter().any(|s| m.starts_with(s)));
        assert!(answered, "{call} is answered {statuses:?}");
    }
    scene.finish(10);
}

/// A WebSocket for SIP (RFC 7118), opened by hand.
fn websocket(to: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(to).expect("the listener takes a connection");
    stream.set_read_timeout(Some(AT_ONCE)).expect("a timeout above zero");
    let request = format!(
        "GET / HTTP/1.1\r\nHost: {to}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: sip\r\n\r\n"
    );
    stream
        .write_all(request.as_bytes())
        .expect("the connection takes a request");
    let mut seen = Vec::new();
    let mut byte = [0];
    while !seen.ends_with(b"\r\n\r\n") {
        assert_eq!(
            stream.read(&mut byte).expect("an answer in time"),
            1,
            "the connection was closed"
        );
        seen.push(byte[0]);
    }
    assert!(seen.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&seen));
    stream
}

/// A binary frame with the mask 0 (RFC 6455 section 5.2).
fn masked(payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x82, 0x80 | 127];
    frame.extend((payload.len() as u64).to_be_bytes());
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

#[test]
fn malformed_messages_in_websockets_are_survived() {
    let mut scene = Scene::start("[guard]\nrate = 0\n");
    for (name, bytes) in malformed(SocketAddr::from(([127, 0, 0, 66], 5060))) {
        for _ in 0..10 {
            let _ = websocket(scene.ws).write_all(&masked(&bytes));
        }
        // A frame that announces 2^63 bytes and brings none.
        let mut endless = masked(b"");
        endless[2..10].copy_from_slice(&(u64::MAX >> 1).to_be_bytes());
        let _ = websocket(scene.ws).write_all(&endless);
        eprintln!("{name}");
        scene.well();
    }
    scene.finish(10);
}

#[test]
fn malformed_streams_are_survived() {
    let mut scene = Scene::start("[guard]\nrate = 0\n");
    let me = SocketAddr::from(([127, 0, 0, 66], 5060));
    for to in [scene.sip(), scene.tls, scene.ws] {
        for (name, bytes) in malformed(me) {
            for _ in 0..10 {
                let mut stream = TcpStream::connect(to).expect("the listener takes a connection");
                let text = String::from_utf8_lossy(&bytes).replace("SIP/2.0/UDP", "SIP/2.0/TCP");
                // It may be closed in the middle, which is what it deserves.
                let _ = stream.write_all(text.as_bytes());
                drop(stream);
            }
            eprintln!("{name} at {to}");
            scene.well();
        }
    }
    // One bad message does not delay a good one on the same connection.
    let mut stream = TcpStream::connect(scene.sip()).expect("the listener takes a connection");
    stream.set_read_timeout(Some(AT_ONCE)).expect("a timeout above zero");
    let unknown = request("FROBNICATE", me, "bad", "").replace("SIP/2.0/UDP", "SIP/2.0/TCP");
    let good = request("OPTIONS", me, "good", "").replace("SIP/2.0/UDP", "SIP/2.0/TCP");
    stream
        .write_all((unknown + &good).as_bytes())
        .expect("the connection takes two messages");
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    while !String::from_utf8_lossy(&seen).contains("Call-ID: good\r\n") {
        let size = stream.read(&mut buffer).expect("an answer in time");
        assert!(
            size > 0,
            "the connection was closed: {}",
            String::from_utf8_lossy(&seen)
        );
        seen.extend_from_slice(&buffer[..size]);
    }
    scene.finish(10);
}
