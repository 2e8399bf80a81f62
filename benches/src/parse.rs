//! What it costs to read and to write a message, beside another published parser in the same run.

use bytes::Bytes;
use std::hint::black_box;
use std::time::Instant;
use strowger_sip_core::headers::NameAddr;
use strowger_sip_core::write::Writer;
use strowger_sip_core::{HeaderName, Message, Method};

const SDP: &str = "v=0\r\no=- 3724394400 3724394405 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\n\
                   m=audio 30000 RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n\
                   a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n";

fn messages() -> [(&'static str, Bytes); 3] {
    let common = "Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK74bf9d2c1e5a;rport\r\nMax-Forwards: 70\r\n\
                  From: \"Alice Example\" <sip:+4930123456@carrier.example>;tag=9fxced76sl\r\n\
                  Call-ID: 3848276298220188511@198.51.100.7\r\n";
    let contact = "Contact: <sip:+4930123456@198.51.100.7:5060;transport=udp>\r\n";
    let allow = "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, REFER\r\nSupported: timer, 100rel, replaces\r\n";
    let to = "To: <sip:+4989654321@carrier.example>";
    let body = |head: String| {
        format!(
            "{head}Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{SDP}",
            SDP.len()
        )
    };
    let invite = body(format!(
        "INVITE sip:+4989654321@192.0.2.1:5060 SIP/2.0\r\n{common}{to}\r\nCSeq: 101 INVITE\r\n{contact}{allow}\
         User-Agent: Carrier SBC 7.2\r\nP-Asserted-Identity: <sip:+4930123456@carrier.example>\r\nSession-Expires: 1800\r\n"
    ));
    let ok = body(format!(
        "SIP/2.0 200 OK\r\n{common}{to};tag=314159\r\nCSeq: 101 INVITE\r\n{contact}{allow}Server: Strowger\r\n"
    ));
    let register = format!(
        "REGISTER sip:tenant.example SIP/2.0\r\n{common}To: <sip:alice@tenant.example>\r\nCSeq: 7 REGISTER\r\n\
         Contact: <sip:alice@10.0.0.7:5062>;expires=600;+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000A95A0E128>\";reg-id=1\r\n\
         Supported: path, outbound, gruu\r\nUser-Agent: Desk Phone 3.1\r\n\
         Authorization: Digest username=\"alice\", realm=\"tenant.example\", nonce=\"00000000000f4240a1b2c3d4e5f60718293a4b5c6d7e8f90\", \
         uri=\"sip:tenant.example\", response=\"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1\", \
         algorithm=SHA-256, qop=auth, nc=00000001, cnonce=\"f2wE4q74E6zIJEtW\"\r\nContent-Length: 0\r\n\r\n"
    );
    [
        ("INVITE with SDP", invite),
        ("200 with SDP", ok),
        ("REGISTER", register),
    ]
    .map(|(name, text)| (name, Bytes::from(text)))
}

/// What a transaction and a dialog read of every message.
fn read(message: &Message) -> usize {
    let via = message.via().map_or(0, |v| v.branch.len());
    let cseq = message.cseq().map_or(0, |c| c.number as usize);
    let contact = message.raw_values(HeaderName::Contact).next().and_then(NameAddr::parse);
    let tags = message.from_tag().map_or(0, |t| t.len()) + message.to_tag().map_or(0, |t| t.len());
    via + cseq + tags + message.call_id().len() + contact.map_or(0, |c| c.uri.as_str().len()) + message.body().len()
}

/// The same message composed anew, as the stack composes what it sends.
fn write(message: &Message) -> Bytes {
    let mut writer = Writer::request(message.method().unwrap_or(Method::Invite), &message.request_uri());
    for (name, value) in message.headers() {
        match HeaderName::from_bytes(name) {
            HeaderName::ContentLength | HeaderName::ContentType => {}
            _ => writer.header(&String::from_utf8_lossy(name), &String::from_utf8_lossy(value)),
        }
    }
    match message.value(HeaderName::ContentType) {
        Some(kind) => writer.finish_with(&kind, &message.body()),
        None => writer.finish(),
    }
}

/// Nanoseconds a run: the best of ten rounds, because everything else only adds.
fn nanos<T>(runs: u32, mut f: impl FnMut() -> T) -> f64 {
    (0..10)
        .map(|_| {
            let begun = Instant::now();
            for _ in 0..runs {
                black_box(f());
            }
            begun.elapsed().as_nanos() as f64 / f64::from(runs)
        })
        .fold(f64::INFINITY, f64::min)
}

/// Prints the table.
pub fn run(short: bool) {
    let runs = if short { 2_000 } else { 20_000 };
    println!("\nReading and writing a message, ns; beside rvoip-sip-core 0.4.0 (all fields typed at once)");
    println!(
        "{:<16} {:>6} {:>9} {:>15} {:>9} {:>12} {:>12} {:>7} {:>7}",
        "message", "bytes", "parse", "parse and read", "write", "rvoip parse", "rvoip write", "parse", "write"
    );
    for (name, bytes) in messages() {
        let message = Message::parse(bytes.clone()).expect("a good message");
        assert_eq!(message.defect(), None);
        let parse = nanos(runs, || Message::parse(bytes.clone()));
        let both = nanos(runs, || Message::parse(bytes.clone()).map(|m| read(&m)));
        let written = nanos(runs, || write(&message));
        let theirs = rvoip_sip_core::parse_message(&bytes).expect("a good message");
        let their_parse = nanos(runs / 10, || rvoip_sip_core::parse_message(&bytes));
        let their_write = nanos(runs / 10, || theirs.to_bytes());
        println!(
            "{name:<16} {:>6} {parse:>9.0} {both:>15.0} {written:>9.0} {their_parse:>12.0} {their_write:>12.0} {:>6.1}x {:>6.1}x",
            bytes.len(),
            their_parse / both,
            their_write / written
        );
    }
}
