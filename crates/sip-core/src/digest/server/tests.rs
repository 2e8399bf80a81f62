use super::*;
use crate::api::Credentials;
use crate::digest::Challenge;

const S: u64 = 1_000_000;
const START: Time = Time(1_000 * S);

fn server(settings: ServerSettings) -> Authenticator {
    Authenticator::new(&[9; 32], settings)
}

fn users(name: &str, realm: &str) -> Option<Secret> {
    let ha1 = |a: Algorithm| (a, a.ha1("bob", realm, "zanzibar"));
    match (name, realm) {
        ("alice", "tenant.example") => Some(Secret::Password("wonderland".into())),
        ("bob", "tenant.example") => Some(Secret::Ha1(vec![ha1(Algorithm::Md5), ha1(Algorithm::Sha256)])),
        _ => None,
    }
}

fn request(method: &str, uri: &str, credentials: &[String], body: &str) -> Message {
    let lines: String = credentials.iter().map(|c| format!("Authorization: {c}\r\n")).collect();
    let text = format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:a@h>\r\n\
         Call-ID: c\r\nCSeq: 1 {method}\r\n{lines}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    Message::parse(text.into_bytes().into()).unwrap()
}

const URI: &str = "sip:tenant.example";

fn who(name: &str, password: &str) -> Credentials {
    Credentials {
        username: name.into(),
        password: password.into(),
    }
}

/// Challenge number `nth` of a new set, and its answer.
fn challenged(server: &mut Authenticator, nth: usize, now: Time) -> Challenge {
    let values = server.challenge("tenant.example", false, now);
    Challenge::parse(values[nth].as_bytes(), false).unwrap()
}

fn alice(challenge: &Challenge, count: u32) -> Message {
    let answer = challenge.answer(&who("alice", "wonderland"), "REGISTER", URI, "cn", count);
    request("REGISTER", URI, &[answer], "")
}

fn accepted(name: &str) -> Verdict {
    Verdict::Accepted {
        username: name.into(),
        realm: "tenant.example".into(),
    }
}

#[test]
fn challenges_come_best_first_and_say_what_they_must() {
    let mut server = server(ServerSettings::default());
    let values = server.challenge("tenant.example", true, START);
    let algorithms: Vec<_> = values
        .iter()
        .map(|v| Challenge::parse(v.as_bytes(), false).unwrap().algorithm)
        .collect();
    assert_eq!(algorithms, [Algorithm::Sha256, Algorithm::Sha512_256, Algorithm::Md5]);
    for value in &values {
        for part in [
            "qop=\"auth,auth-int\"",
            "opaque=\"",
            "stale=true",
            "realm=\"tenant.example\"",
        ] {
            assert!(value.contains(part), "{value}");
        }
    }
    let other = server.challenge("tenant.example", false, START);
    assert_ne!(other[0], values[0], "two clients never share a nonce");
    assert!(!other[0].contains("stale"));
}

#[test]
fn every_algorithm_and_both_protections_are_accepted() {
    for nth in 0..3 {
        for qop in [Qop::Auth, Qop::AuthInt, Qop::None] {
            let mut server = server(ServerSettings::default());
            let mut challenge = challenged(&mut server, nth, START);
            challenge.qop = qop;
            let (body, changed) = ("v=0", "v=1");
            let answer = challenge.answer_body(&who("alice", "wonderland"), "INVITE", URI, body.as_bytes(), "cn", 1);
            let good = request("INVITE", URI, std::slice::from_ref(&answer), body);
            let bad = request("INVITE", URI, std::slice::from_ref(&answer), changed);
            if qop == Qop::AuthInt {
                assert_eq!(server.check(&bad, users, START), Verdict::WrongPassword);
            }
            assert_eq!(server.check(&good, users, START), accepted("alice"), "{nth} {qop:?}");
            assert_eq!(server.check(&good, users, START), Verdict::Replayed, "{nth} {qop:?}");
        }
    }
}

#[test]
fn who_is_refused_and_why() {
    let mut server = server(ServerSettings::default());
    let now = START;
    assert_eq!(
        server.check(&request("REGISTER", URI, &[], ""), users, now),
        Verdict::Absent
    );
    let basic = request("REGISTER", URI, &["Basic YTpi".into()], "");
    assert_eq!(server.check(&basic, users, now), Verdict::Absent);
    let challenge = challenged(&mut server, 0, now);
    let answer = |name: &str, password: &str| challenge.answer(&who(name, password), "REGISTER", URI, "cn", 1);
    for (credentials, uri, verdict) in [
        (answer("alice", "wrong"), URI, Verdict::WrongPassword),
        (answer("mallory", "wonderland"), URI, Verdict::UnknownUser),
        (answer("alice", "wonderland"), "sip:other.example", Verdict::Malformed),
        (
            answer("alice", "wonderland"),
            "sip:x@tenant.example",
            Verdict::Malformed,
        ),
        (
            answer("alice", "wonderland").replace("nc=00000001", "nc=1"),
            URI,
            Verdict::Malformed,
        ),
        (
            answer("alice", "wonderland").replace("nc=00000001", "nc=00000000"),
            URI,
            Verdict::Malformed,
        ),
        (
            answer("alice", "wonderland").replace("qop=auth", "qop=none"),
            URI,
            Verdict::Malformed,
        ),
        (
            answer("alice", "wonderland").replace("SHA-256", "SHA-1"),
            URI,
            Verdict::Malformed,
        ),
        (
            answer("alice", "wonderland").replace("SHA-256", "SHA-256-sess"),
            URI,
            Verdict::Malformed,
        ),
        (
            answer("alice", "wonderland").replace("username=", "xsername="),
            URI,
            Verdict::Malformed,
        ),
        // The realm belongs to the nonce: the credentials of one tenant do not open another.
        (
            answer("alice", "wonderland").replace("tenant.example\", n", "else.example\", n"),
            URI,
            Verdict::UnknownUser,
        ),
        ("Digest".into(), URI, Verdict::Malformed),
        ("Digest ".into(), URI, Verdict::Malformed),
        // The port and the transport of the same host do not matter.
        (
            answer("alice", "wonderland"),
            "sip:TENANT.example:5060;transport=udp",
            accepted("alice"),
        ),
    ] {
        let message = request("REGISTER", uri, std::slice::from_ref(&credentials), "");
        assert_eq!(server.check(&message, users, now), verdict, "{credentials} {uri}");
    }
    // A stored HA1 serves the algorithms that it was stored for.
    for (nth, verdict) in [(0, accepted("bob")), (1, Verdict::WrongPassword), (2, accepted("bob"))] {
        let challenge = challenged(&mut server, nth, now);
        let answer = challenge.answer(&who("bob", "zanzibar"), "REGISTER", URI, "cn", 1);
        assert_eq!(
            server.check(&request("REGISTER", URI, &[answer], ""), users, now),
            verdict,
            "{nth}"
        );
    }
}

#[test]
fn an_old_or_foreign_nonce_is_stale_only_if_the_password_is_right() {
    let mut server = server(ServerSettings::default());
    let challenge = challenged(&mut server, 0, START);
    let later = START.plus(301 * S);
    assert_eq!(
        server.check(&alice(&challenge, 1), users, START.plus(300 * S)),
        accepted("alice")
    );
    assert_eq!(server.check(&alice(&challenge, 2), users, later), Verdict::Stale);
    let wrong = challenge.answer(&who("alice", "guess"), "REGISTER", URI, "cn", 3);
    assert_eq!(
        server.check(&request("REGISTER", URI, &[wrong], ""), users, later),
        Verdict::WrongPassword
    );
    // A nonce that another secret minted, and one that was tampered with.
    let foreign = challenged(&mut Authenticator::new(&[1; 32], ServerSettings::default()), 0, later);
    assert_eq!(server.check(&alice(&foreign, 1), users, later), Verdict::Stale);
    let mut younger = challenged(&mut server, 0, START);
    younger.nonce = format!("{:016x}{}", later.0, &younger.nonce[16..]);
    assert_eq!(server.check(&alice(&younger, 1), users, later), Verdict::Stale);
}

#[test]
fn counts_may_overtake_one_another_but_none_serves_twice() {
    let mut server = server(ServerSettings::default());
    let challenge = challenged(&mut server, 0, START);
    let replayed = Verdict::Replayed;
    for (count, verdict) in [
        (1, accepted("alice")),
        (1, replayed.clone()),
        (3, accepted("alice")),
        (2, accepted("alice")),
        (2, replayed.clone()),
        (300, accepted("alice")),
        (299, accepted("alice")),
        (300, replayed.clone()),
        (230, replayed.clone()),
        (4, replayed),
        (u32::MAX, accepted("alice")),
    ] {
        assert_eq!(
            server.check(&alice(&challenge, count), users, START),
            verdict,
            "{count}"
        );
    }
}

#[test]
fn a_full_table_forgets_the_oldest_and_still_refuses_its_replay() {
    let mut server = server(ServerSettings {
        max_nonces: 3,
        ..ServerSettings::default()
    });
    let nonces: Vec<Challenge> = (0..5).map(|_| challenged(&mut server, 0, START)).collect();
    for challenge in &nonces {
        assert_eq!(server.check(&alice(challenge, 1), users, START), accepted("alice"));
    }
    assert_eq!(server.remembered(), 3);
    for (challenge, verdict) in nonces.iter().zip([
        Verdict::Stale,
        Verdict::Stale,
        Verdict::Replayed,
        Verdict::Replayed,
        Verdict::Replayed,
    ]) {
        assert_eq!(server.check(&alice(challenge, 1), users, START), verdict);
    }
    // Age empties it.
    let later = START.plus(400 * S);
    let challenge = challenged(&mut server, 0, later);
    assert_eq!(server.check(&alice(&challenge, 1), users, later), accepted("alice"));
    assert_eq!(server.remembered(), 1);
}

#[test]
fn a_name_in_extended_form_and_a_second_header_of_somebody_else() {
    let mut server = server(ServerSettings::default());
    let challenge = challenged(&mut server, 0, START);
    let other = Challenge {
        realm: "proxy.example".into(),
        nonce: "theirs".into(),
        ..challenge.clone()
    };
    let credentials = who("alice", "wonderland");
    let answers = [
        other.answer(&credentials, "REGISTER", URI, "cn", 1),
        challenge
            .answer(&credentials, "REGISTER", URI, "cn", 1)
            .replace("username=\"alice\"", "username*=UTF-8''%61lice"),
    ];
    assert_eq!(
        server.check(&request("REGISTER", URI, &answers, ""), users, START),
        accepted("alice")
    );
}

#[test]
fn nothing_secret_is_shown() {
    let shown = format!(
        "{:?} {:?}",
        server(ServerSettings::default()),
        users("alice", "tenant.example")
    );
    assert!(!shown.contains("wonderland") && !shown.contains('9'), "{shown}");
}
