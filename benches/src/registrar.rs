//! The registrar by itself: registrations a second with many bindings, with and without digest, and what an idle
//! registration takes.

use crate::process;
use bytes::Bytes;
use std::time::Instant;
use strowger_sip_core::digest::{Algorithm, Authenticator, Challenge, Secret, ServerSettings, Verdict};
use strowger_sip_core::registrar::{Aor, Registrar, RegistrarSettings};
use strowger_sip_core::{Credentials, FlowId, Message, Target, Time, Transport};

const SECOND: u64 = 1_000_000;

fn register(n: usize, cseq: u32, authorization: Option<&str>) -> Bytes {
    let authorization = authorization
        .map(|a| format!("Authorization: {a}\r\n"))
        .unwrap_or_default();
    Bytes::from(format!(
        "REGISTER sip:tenant.example SIP/2.0\r\nVia: SIP/2.0/WSS df7jal23ls0d.invalid;branch=z9hG4bK{n}-{cseq}\r\nMax-Forwards: 70\r\n\
         From: <sip:user{n}@tenant.example>;tag=t{n}\r\nTo: <sip:user{n}@tenant.example>\r\nCall-ID: call-{n}\r\n\
         CSeq: {cseq} REGISTER\r\nContact: <sip:u{n}abcdefgh@df7jal23ls0d.invalid;transport=ws>;reg-id=1;\
         +sip.instance=\"<urn:uuid:00000000-0000-1000-8000-{n:012x}>\";expires=600\r\nSupported: path, outbound\r\n\
         User-Agent: Browser/{}\r\n{authorization}Content-Length: 0\r\n\r\n",
        n % 20
    ))
}

fn flow(n: usize) -> Target {
    Target {
        transport: Transport::Wss,
        addr: ([198, 51, (n >> 8) as u8, n as u8], 40_000).into(),
        flow: Some(FlowId(n as u64)),
    }
}

/// Prints the table.
pub fn run(short: bool) {
    let count = if short { 5_000 } else { 50_000 };
    println!("\nRegistrar by itself, {count} users with one WSS binding each; parsing included");
    println!("{:<44} {:>12} {:>12}", "what", "a second", "µs each");
    let local = ([192, 0, 2, 1], 443).into();
    let mut registrar = Registrar::new(&[9; 16], RegistrarSettings::default());
    let aors: Vec<Aor> = (0..count)
        .map(|n| Aor::new("tenant.example", &format!("user{n}")))
        .collect();
    let round = |name: &str, messages: Vec<Bytes>, each: &mut dyn FnMut(usize, Message)| {
        let begun = Instant::now();
        for (n, bytes) in messages.into_iter().enumerate() {
            each(n, Message::parse(bytes).expect("a good message"));
        }
        let seconds = begun.elapsed().as_secs_f64();
        println!(
            "{name:<44} {:>12.0} {:>12.1}",
            count as f64 / seconds,
            seconds * 1e6 / count as f64
        );
    };
    let plain = |cseq: u32| (0..count).map(|n| register(n, cseq, None)).collect::<Vec<_>>();
    let messages = plain(1);
    let before = process::resident_kb(std::process::id());
    round("first registration", messages, &mut |n, message| {
        let outcome = registrar.register(&aors[n], &message, flow(n), local, Time(SECOND));
        assert_eq!(outcome.status, 200);
    });
    let after = process::resident_kb(std::process::id());
    assert_eq!(registrar.len(), count);
    round("refresh", plain(2), &mut |n, message| {
        let outcome = registrar.register(&aors[n], &message, flow(n), local, Time(300 * SECOND));
        assert_eq!(outcome.status, 200);
    });
    let mut server = Authenticator::new(&[7; 32], ServerSettings::default());
    let secrets: Vec<Secret> = (0..count)
        .map(|n| {
            let ha1 = Algorithm::Sha256.ha1(&format!("user{n}"), "tenant.example", "password");
            Secret::Ha1(vec![(Algorithm::Sha256, ha1)])
        })
        .collect();
    let answered: Vec<Bytes> = (0..count)
        .map(|n| {
            let values = server.challenge("tenant.example", false, Time(301 * SECOND));
            let challenge = Challenge::parse(values[0].as_bytes(), false).expect("our own challenge");
            let who = Credentials {
                username: format!("user{n}"),
                password: "password".into(),
            };
            register(
                n,
                3,
                Some(&challenge.answer(&who, "REGISTER", "sip:tenant.example", "cnonce", 1)),
            )
        })
        .collect();
    round(
        "refresh with digest, SHA-256, stored hash",
        answered,
        &mut |n, message| {
            let verdict = server.check(&message, |_, _| Some(secrets[n].clone()), Time(302 * SECOND));
            assert!(matches!(verdict, Verdict::Accepted { .. }));
            let outcome = registrar.register(&aors[n], &message, flow(n), local, Time(302 * SECOND));
            assert_eq!(outcome.status, 200);
        },
    );
    // The messages of the first round are gone by then and their memory is used anew, so this is a lower bound; the
    // table itself is measured by counting in the crate's tests.
    println!(
        "resident memory grew by {:.0} bytes a binding",
        after.saturating_sub(before) as f64 * 1024.0 / count as f64
    );
    let begun = Instant::now();
    let mut gone = 0;
    for n in 0..count {
        gone += registrar.flow_gone(FlowId(n as u64)).len();
    }
    let micros = begun.elapsed().as_micros() as f64 / count as f64;
    println!("{:<44} {:>12.0} {micros:>12.1}", "end of a connection", 1e6 / micros);
    assert_eq!((gone, registrar.len()), (count, 0));
}
