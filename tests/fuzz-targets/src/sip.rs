//! SIP, SDP and STUN.

use bytes::Bytes;
use std::hint::black_box;
use std::net::SocketAddr;
use strowger_sip_core::digest::{Authenticator, Challenge, Secret, ServerSettings, Verdict};
use strowger_sip_core::registrar::{Aor, Registrar, RegistrarSettings, aor_of};
use strowger_sip_core::*;

fn us() -> SocketAddr {
    ([127, 0, 0, 1], 5060).into()
}

fn them() -> SocketAddr {
    ([127, 0, 0, 2], 5060).into()
}

/// Any bytes are a message or an error; a message can be read in every way there is, and read again from its bytes it
/// says the same.
pub fn message(data: &[u8]) {
    let Ok(message) = Message::parse(Bytes::copy_from_slice(data)) else {
        return;
    };
    read_everything(&message);
    let again = Message::parse(message.raw().clone()).expect("what was read can be read again");
    assert_eq!(again.defect(), message.defect());
    assert_eq!(again.headers().count(), message.headers().count());
    assert_eq!(again.body(), message.body());
}

fn read_everything(message: &Message) {
    black_box((
        message.method(),
        message.request_uri(),
        message.status(),
        message.phrase(),
    ));
    black_box((
        message.sdp(),
        message.call_id(),
        message.from_tag(),
        message.to_tag(),
        message.has_single_via(),
    ));
    if message.defect().is_none() {
        assert!(message.via().is_some() && message.cseq().is_some() && !message.call_id().is_empty());
    }
    black_box((
        headers::reasons(message),
        headers::retry_after(message),
        headers::contacts_by_preference(message),
    ));
    black_box(digest::Challenge::all_of(message));
    for (name, value) in message.headers() {
        assert!(
            !name.contains(&b'\n') && !value.contains(&b'\n'),
            "a line break in a header"
        );
        black_box((
            HeaderName::from_bytes(name),
            headers::Via::parse(value),
            headers::without_tag(value),
        ));
        if let Some(address) = headers::NameAddr::parse(value) {
            uri_holds(&address.uri);
        }
        let items = headers::CommaList::new(value).count() + headers::Params::new(value).count();
        assert!(items <= 2 * value.len());
        black_box(headers::unquote(value));
    }
}

/// Any text is a URI or an error.
pub fn uri(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut parts = text.split('\n');
    let Ok(one) = Uri::parse(parts.next().unwrap_or_default()) else {
        return;
    };
    uri_holds(&one);
    if let Ok(other) = Uri::parse(parts.next().unwrap_or_default()) {
        assert_eq!(one.same_as(&other), other.same_as(&one), "{one} {other}");
    }
}

fn uri_holds(uri: &Uri) {
    assert!(uri.same_as(uri));
    assert_eq!(Uri::parse(uri.as_str()).as_ref(), Ok(uri));
    black_box((uri.host_ip(), uri.port(), uri.param("transport"), uri.headers().len()));
    // A user that is escaped anew is the same user.
    let user = uri.user_decoded();
    if !user.is_empty() && !user.contains('\u{fffd}') && matches!(uri.scheme(), uri::Scheme::Sip | uri::Scheme::Sips) {
        let again = Uri::parse(&format!("sip:{}@h", uri::escape_user(&user)));
        assert_eq!(again.map(|u| u.user_decoded()), Ok(user));
    }
}

/// A stack digests any sequence of datagrams in bounded time and memory. The first byte of each chunk is its length in
/// units of eight bytes; what is left is the last datagram.
pub fn stack(data: &[u8]) {
    let interface = Interface::new(Transport::Udp, us());
    let mut config = StackConfig::new([7; 16], interface);
    config.outside = vec![Method::Register, Method::Message];
    config.max_dialogs = 64;
    config.max_transactions = 256;
    let mut stack = Stack::new(config);
    let mut rest = data;
    let mut now = Time(0);
    while let Some((&length, tail)) = rest.split_first() {
        let (datagram, after) = tail.split_at(tail.len().min(usize::from(length) * 8));
        let datagram = if after.is_empty() { tail } else { datagram };
        rest = after;
        let received = Received::udp(us(), them(), Bytes::copy_from_slice(datagram));
        stack.handle(Input::Received(received), now);
        let mut sent = 0;
        while let Some(output) = stack.poll() {
            sent += usize::from(matches!(output, Output::Send { .. }));
        }
        assert!(sent <= 8, "one datagram causes {sent}");
        now = now.plus(700_000);
        stack.handle(Input::Tick, now);
        while stack.poll().is_some() {}
    }
    let stats = stack.stats();
    assert!(stats.dialogs <= 64 && stats.transactions <= 320, "{stats:?}");
}

fn request(method: &str, lines: &[u8]) -> Option<Message> {
    let mut text = format!(
        "{method} sip:tenant.example SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\nFrom: <sip:a@tenant.example>;tag=1\r\n\
         To: <sip:a@tenant.example>\r\nCall-ID: c\r\nCSeq: 1 {method}\r\n"
    )
    .into_bytes();
    text.extend_from_slice(lines);
    text.extend_from_slice(b"\r\n\r\n");
    Message::parse(Bytes::from(text)).ok()
}

/// Any credentials get a verdict, and only the right password is accepted; any challenge is answered or left.
pub fn digest(data: &[u8]) {
    let mut server = Authenticator::new(&[3; 32], ServerSettings::default());
    let now = Time(1_000_000);
    if let Some(challenge) = Challenge::parse(data, false) {
        let who = Credentials {
            username: "alice".into(),
            password: "pw".into(),
        };
        let answer = challenge.answer_body(&who, "REGISTER", "sip:tenant.example", b"", "cn", 1);
        assert!(!answer.contains(['\r', '\n']), "a line break in credentials");
    }
    let mut line = b"Authorization: ".to_vec();
    line.extend(data.iter().filter(|b| !matches!(b, b'\r' | b'\n')));
    if let Some(request) = request("REGISTER", &line) {
        let secret = |_: &str, _: &str| Some(Secret::Password("a password that no input holds".into()));
        let verdict = server.check(&request, secret, now);
        assert!(
            !matches!(verdict, Verdict::Accepted { .. } | Verdict::Replayed),
            "{verdict:?}"
        );
        assert_eq!(server.remembered(), 0);
    }
}

/// A registrar takes any sequence of REGISTERs, one a line group, and stays within its limits.
pub fn registrar(data: &[u8]) {
    let settings = RegistrarSettings {
        max_per_aor: 4,
        max_bindings: 8,
        ..RegistrarSettings::default()
    };
    let mut registrar = Registrar::new(&[5; 16], settings);
    let mut now = Time(1_000_000);
    for (n, lines) in data.split(|b| *b == 0).take(32).enumerate() {
        let Some(message) = request("REGISTER", lines) else {
            continue;
        };
        let flow = match lines.len() % 3 {
            0 => Target::udp(them()),
            n => Target {
                transport: Transport::Wss,
                addr: them(),
                flow: Some(FlowId(n as u64)),
            },
        };
        let aor = aor_of(&message).unwrap_or_else(|| Aor::new("tenant.example", "a"));
        let outcome = registrar.register(&aor, &message, flow, us(), now);
        assert!((200..700).contains(&outcome.status));
        for binding in registrar.bindings(&aor, now) {
            assert!(Uri::parse(&binding.contact).is_ok() && binding.q <= 1000);
            if let Some(instance) = &binding.instance {
                let gruu = format!("sip:{}@{};gr={instance}", uri::escape_user(aor.user()), aor.domain());
                let _ = black_box(Uri::parse(&gruu).map(|uri| registrar.resolve(&uri, now)));
            }
        }
        assert!(registrar.bindings(&aor, now).len() <= 4 && registrar.len() <= 8);
        now = now.plus(u64::from(lines.first().copied().unwrap_or(0)) * 10_000_000);
        if n % 5 == 4 {
            registrar.flow_gone(FlowId(1));
        }
        registrar.expire(now);
    }
    registrar.flow_gone(FlowId(1));
    registrar.flow_gone(FlowId(2));
    while !registrar.expire(Time(u64::MAX)).is_empty() {}
    assert!(registrar.is_empty() && registrar.aors() == 0 && registrar.next_deadline().is_none());
}

/// Any header fields tell who calls or do not; what is written for a trunk can be read again.
pub fn identity(data: &[u8]) {
    use identity::{AssertPolicy, DiversionPolicy, Presented, PrivacyPolicy, TrunkPolicy};
    let Some(message) = request("INVITE", data) else { return };
    for trusted in [true, false] {
        let caller = identity::caller(&message, trusted);
        let call = Presented {
            from: caller.from.clone().unwrap_or_default(),
            identity: caller.identity,
            privacy: caller.privacy,
            hidden: caller.hidden,
            diverted: identity::diversions(&message),
            target: "sip:b@c.example".into(),
        };
        for privacy in [PrivacyPolicy::Pass, PrivacyPolicy::Enforce, PrivacyPolicy::Remove] {
            for diversion in [DiversionPolicy::Diversion, DiversionPolicy::HistoryInfo] {
                let policy = TrunkPolicy {
                    assert: AssertPolicy::Pass,
                    privacy,
                    diversion,
                };
                let written = identity::present(&call, &policy);
                assert!(written.headers.len() <= 20);
                if caller.hidden && privacy == PrivacyPolicy::Enforce {
                    assert_eq!(written.from.uri, identity::ANONYMOUS_URI);
                    assert!(!written.headers.iter().any(|(n, _)| n == "P-Asserted-Identity"));
                }
            }
        }
    }
}

/// Any bytes are a description or an error; a description can be written, read again and answered.
pub fn sdp(data: &[u8]) {
    let Ok(session) = sdp::parse(data) else { return };
    // What is no text is replaced or trimmed when it is read, so only text has to come back.
    if data.iter().all(|b| matches!(b, b' '..=b'~' | b'\r' | b'\n')) {
        let written = session.to_string();
        assert!(
            sdp::parse(written.as_bytes()).is_ok(),
            "what was written cannot be read: {written:?}"
        );
    }
    let local = sdp::LocalMedia::g711(([127, 0, 0, 1], 4000).into(), 1);
    for answered in [sdp::answer(&session, &local), sdp::answer_again(&session, &local)] {
        let Ok((answer, agreed)) = answered else { continue };
        assert_eq!(answer.media.len(), session.media.len());
        assert!((10..=200).contains(&agreed.ptime) && !agreed.codecs.is_empty());
        let again = sdp::parse(answer.to_string().as_bytes());
        assert!(again.is_ok(), "our answer cannot be read: {answer}");
    }
    let _ = black_box(sdp::apply_answer(&sdp::offer(&local), &session));
}

/// Any bytes are a STUN message or an error; what is answered is short, and its answer is not answered.
pub fn stun(data: &[u8]) {
    let Some(answer) = stun::respond(data, them()) else {
        return;
    };
    assert!(answer.len() <= 80 && stun::is_stun(&answer));
    assert!(stun::Stun::parse(&answer).is_ok());
    assert_eq!(stun::respond(&answer, us()), None);
}
