//! Bytes that mean harm: nothing panics, nothing grows, calls beside it go on.

mod kit;

use bytes::Bytes;
use kit::*;
use strowger_sip_core::*;

/// SplitMix64, so that a failure can be replayed by its seed.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

const SPICE: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\0",
    b"\xff\xfe",
    b"\r\n ",
    b"\r\n\t",
    b":",
    b";",
    b",",
    b"<",
    b">",
    b"\"",
    b"\\",
    b"=",
    b"@",
    b"[",
    b"]",
    b"%",
    b"?",
    b"SIP/2.0 ",
    b"Via: ",
    b"Content-Length: 18446744073709551615\r\n",
    b"4294967296",
    b"-1",
    b";tag=",
    b";branch=",
    b"z9hG4bK",
    b";rport",
    b"ACK",
    b"INVITE",
    b"Record-Route: <sip:x;lr>\r\n",
    b"sip:",
    b"tel:+1",
    b"a=rtpmap:",
    b"m=audio 65536 RTP/AVP 300\r\n",
    b"c=IN IP6 ::\r\n",
];

/// Deletes, doubles, overwrites, inserts, splices.
fn mutate(rng: &mut Rng, base: &[u8], other: &[u8]) -> Vec<u8> {
    let mut out = base.to_vec();
    for _ in 0..=rng.below(4) {
        let at = rng.below(out.len() + 1);
        let len = rng.below(20).min(out.len() - at);
        match rng.below(6) {
            0 => drop(out.drain(at..at + len)),
            1 => {
                let piece = out[at..at + len].to_vec();
                out.splice(at..at, piece);
            }
            2 if at < out.len() => out[at] = rng.next() as u8,
            3 | 4 => {
                let spice = SPICE[rng.below(SPICE.len())];
                out.splice(at..at, spice.iter().copied());
            }
            _ => {
                let from = rng.below(other.len());
                let end = (from + rng.below(80)).min(other.len());
                out.splice(at..at + len, other[from..end].iter().copied());
            }
        }
    }
    out
}

fn corpus() -> Vec<Vec<u8>> {
    let mut ua = Ua::new();
    ua.command(Command::Invite(Box::new(our_invite())));
    let ours = ua.last().to_owned();
    let mut out: Vec<Vec<u8>> = [
        ("INVITE", ""),
        ("INVITE", "x"),
        ("BYE", "x"),
        ("OPTIONS", ""),
        ("CANCEL", ""),
        ("ACK", "x"),
        ("INFO", "x"),
        ("REGISTER", ""),
        ("PRACK", "x"),
        ("UPDATE", "x"),
        ("REFER", "x"),
        ("NOTIFY", "x"),
        ("FOO", ""),
    ]
    .map(|(method, tag)| request(method, "i1", 1, tag, "Record-Route: <sip:p@192.0.2.7;lr>\r\n", SDP).into_bytes())
    .to_vec();
    for status in [100, 180, 183, 200, 302, 401, 407, 486, 491] {
        let extra = "Contact: <sip:x@192.0.2.9>;q=0.5\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\"\r\nReason: Q.850;cause=17\r\nRetry-After: 5\r\n";
        out.push(response(&ours, status, "x", extra, SDP).into_bytes());
    }
    out
}

/// Reads a message in every way there is.
fn read_everything(message: &Message) {
    let _ = (
        message.method(),
        message.request_uri(),
        message.status(),
        message.phrase(),
        message.sdp(),
        message.body(),
    );
    let _ = (
        message.via(),
        message.cseq(),
        message.call_id(),
        message.from_tag(),
        message.to_tag(),
        message.has_single_via(),
    );
    let _ = (
        headers::reasons(message),
        headers::retry_after(message),
        headers::contacts_by_preference(message),
    );
    let _ = digest::Challenge::of(message);
    for (name, value) in message.headers() {
        let _ = (
            HeaderName::from_bytes(name),
            headers::NameAddr::parse(value),
            headers::Via::parse(value),
            headers::without_tag(value),
        );
        let _ = (
            headers::CommaList::new(value).count(),
            headers::Params::new(value).count(),
            headers::unquote(value),
        );
    }
    let _ = Uri::parse(&message.request_uri())
        .map(|uri| (uri.user_decoded(), uri.host_ip(), uri.param("lr").map(str::len)));
}

#[test]
fn parsers_are_total() {
    let corpus = corpus();
    let mut rng = Rng(1);
    for _ in 0..20_000 {
        let (a, b) = (rng.below(corpus.len()), rng.below(corpus.len()));
        let bytes = mutate(&mut rng, &corpus[a], &corpus[b]);
        if let Ok(message) = Message::parse(Bytes::from(bytes.clone())) {
            read_everything(&message);
        }
        let body = mutate(&mut rng, SDP.as_bytes(), &bytes);
        if let Ok(session) = sdp::parse(&body) {
            let local = sdp::LocalMedia::g711("192.0.2.1:4000".parse().unwrap(), 1);
            let _ = sdp::answer(&session, &local);
            let _ = sdp::apply_answer(&sdp::offer(&local), &session);
            // What is written can be read again, and says the same.
            let again = sdp::parse(session.to_string().as_bytes());
            assert!(again.is_ok(), "{body:?}");
        }
    }
}

#[test]
fn a_storm_of_broken_messages_leaves_nothing_behind() {
    let corpus = corpus();
    for seed in 0..8 {
        let mut rng = Rng(seed);
        let mut ua = Ua::with(|c| {
            c.max_dialogs = 50;
            c.max_transactions = 200;
        });
        ua.command(Command::Invite(Box::new(Invite {
            credentials: Some(Credentials {
                username: "u".into(),
                password: "p".into(),
            }),
            ..our_invite()
        })));
        for n in 0..2_000 {
            let (a, b) = (rng.below(corpus.len()), rng.below(corpus.len()));
            let bytes = mutate(&mut rng, &corpus[a], &corpus[b]);
            let before = ua.sent.len();
            ua.stack_input(&bytes);
            assert!(ua.sent.len() - before <= 4, "one message causes a flood");
            if n % 50 == 0 {
                ua.wait(rng.below(3_000_000) as u64);
                let handle = DialogHandle(DialogHandle::INCOMING | rng.next() >> 40);
                ua.command(respond(handle, 200, true));
                let open: Vec<_> = ua.events.iter().map(|(h, _)| *h).collect();
                if !open.is_empty() {
                    let handle = open[rng.below(open.len())];
                    ua.command(respond(handle, [180, 200, 486][rng.below(3)], true));
                    ua.command(Command::Bye { handle, reason: None });
                }
            }
            let stats = ua.stack.stats();
            assert!(stats.dialogs <= 51 && stats.transactions <= 260, "{stats:?}");
        }
        for handle in ua.events.iter().map(|(h, _)| *h).collect::<Vec<_>>() {
            ua.command(Command::Bye { handle, reason: None });
        }
        ua.wait(200 * S);
        for handle in ua.events.iter().map(|(h, _)| *h).collect::<Vec<_>>() {
            ua.command(Command::Bye { handle, reason: None });
        }
        ua.assert_empty_at_last();
    }
}

#[test]
fn extremes() {
    let base = invite_from_peer();
    let headers = |n: usize| base.replace("Max-Forwards: 70\r\n", &"X-Filler: y\r\n".repeat(n));
    let long = |n: usize| base.replace("Max-Forwards: 70", &format!("X: {}", "y".repeat(n)));
    for (text, expected) in [
        (headers(200), 100),
        (headers(4_000), 400),
        (long(8_000), 100),
        (long(60_000), 100),
    ] {
        assert_eq!(status(&Ua::new().hear(&text)[0]), expected, "{} bytes", text.len());
    }
    assert!(Ua::new().hear(&long(70_000)).is_empty());
    // Every prefix of a good message, and every length of rubbish.
    let mut ua = Ua::new();
    for len in 0..base.len() {
        ua.hear(&base[..len]);
    }
    for len in 0..3_000 {
        ua.hear_bytes(them(), &vec![b'A' + (len % 26) as u8; len]);
        ua.hear_bytes(them(), &vec![0; len]);
    }
    let SipEvent::Incoming(_) = ({
        ua.hear(&base);
        ua.event()
    }) else {
        panic!("the call beside it does not get through")
    };
}

#[test]
fn secrets_stay_out_of_debug_output() {
    let credentials = Credentials {
        username: "name".into(),
        password: "word".into(),
    };
    let message = Message::parse(Bytes::from(invite_from_peer())).unwrap();
    let uri = Uri::parse("sip:+8613800138000@192.0.2.1").unwrap();
    let shown = format!(
        "{credentials:?} {message:?} {uri:?} {:?}",
        StackConfig::new([7; 16], Interface::new(Transport::Udp, us()))
    );
    for secret in ["name", "word", "peer", "13800138000", "7, 7"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}
