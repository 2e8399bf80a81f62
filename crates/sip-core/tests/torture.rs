//! Every message of RFC 4475, as it is in `torture/`, and what is done with it. Where the RFC leaves a choice, the last
//! column says what was chosen and why. The differential test mutates the same files.

mod kit;

use bytes::Bytes;
use kit::*;
use std::collections::BTreeSet;
use strowger_sip_core::digest::{Authenticator, ServerSettings, Verdict};
use strowger_sip_core::registrar::{Registrar, RegistrarSettings, aor_of};
use strowger_sip_core::*;

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    /// A response with this status, and nothing else.
    Answer(u16),
    /// A call: 100 and an event.
    Call,
    /// A REGISTER that the stack leaves to the registrar, whose answer this is; 404 where To names no address of record.
    Registrar(u16),
    /// Nothing is sent and nothing happens.
    Dropped,
}

use Fate::{Answer, Call, Dropped, Registrar as Register};

const TABLE: &[(&str, &str, Fate, &str)] = &[
    (
        "wsinv",
        "3.1.1.1",
        Answer(481),
        "well formed; its To tag names a dialog that we do not have",
    ),
    (
        "intmeth",
        "3.1.1.2",
        Answer(501),
        "an unknown method is not implemented",
    ),
    ("esc01", "3.1.1.3", Call, "the escaped @ and : belong to the user"),
    (
        "escnull",
        "3.1.1.4",
        Register(200),
        "escaped NULs are characters like others; two different contacts",
    ),
    (
        "esc02",
        "3.1.1.5",
        Answer(501),
        "% escapes nothing in a method: this is no REGISTER",
    ),
    ("lwsdisp", "3.1.1.6", Answer(200), "no space is needed before <"),
    ("longreq", "3.1.1.7", Call, "long values are no fault"),
    (
        "dblreq",
        "3.1.1.8",
        Register(200),
        "what follows the Content-Length of a datagram is ignored",
    ),
    ("semiuri", "3.1.1.9", Answer(200), "a semicolon may be part of the user"),
    ("transports", "3.1.1.10", Answer(200), "only the topmost Via is for us"),
    (
        "mpart01",
        "3.1.1.11",
        Answer(405),
        "well formed, binary body kept; MESSAGE is not supported",
    ),
    (
        "unreason",
        "3.1.1.12",
        Dropped,
        "well formed; it answers nothing that we asked",
    ),
    (
        "noreason",
        "3.1.1.13",
        Dropped,
        "well formed; it answers nothing that we asked",
    ),
    (
        "badinv01",
        "3.1.2.1",
        Answer(400),
        "separators with nothing between them",
    ),
    (
        "clerr",
        "3.1.2.2",
        Answer(400),
        "the datagram ends before the body does",
    ),
    ("ncl", "3.1.2.3", Answer(400), "a negative length"),
    ("scalar02", "3.1.2.4", Answer(400), "CSeq exceeds 31 bits"),
    ("scalarlg", "3.1.2.5", Dropped, "a response whose CSeq exceeds 31 bits"),
    ("quotbal", "3.1.2.6", Answer(400), "a quotation that does not end"),
    ("ltgtruri", "3.1.2.7", Answer(400), "brackets around the Request-URI"),
    ("lwsruri", "3.1.2.8", Answer(400), "a space in the Request-URI"),
    (
        "lwsstart",
        "3.1.2.9",
        Answer(400),
        "several spaces in the request line; repair is allowed, refusal is simpler",
    ),
    ("trws", "3.1.2.10", Answer(400), "spaces behind the version; as before"),
    (
        "escruri",
        "3.1.2.11",
        Call,
        "headers in the Request-URI are never honoured, so they do no harm",
    ),
    (
        "baddate",
        "3.1.2.12",
        Call,
        "Date is not used, so its zone does not matter",
    ),
    (
        "regbadct",
        "3.1.2.13",
        Register(400),
        "a ? without brackets: whose it is cannot be known",
    ),
    (
        "badaspec",
        "3.1.2.14",
        Answer(200),
        "spaces inside the brackets are ignored, as is allowed",
    ),
    (
        "baddn",
        "3.1.2.15",
        Answer(200),
        "From is no list, so the comma can only belong to the name",
    ),
    ("badvers", "3.1.2.16", Answer(505), "version 7.0"),
    ("mismatch01", "3.1.2.17", Answer(400), "CSeq names another method"),
    (
        "mismatch02",
        "3.1.2.18",
        Answer(400),
        "CSeq names another method; 501 would do too",
    ),
    (
        "bigcode",
        "3.1.2.19",
        Dropped,
        "a status of ten digits is no status line",
    ),
    (
        "badbranch",
        "3.2.1",
        Answer(200),
        "a branch of the magic cookie alone is compared in the old way",
    ),
    ("insuf", "3.3.1", Answer(400), "no Call-ID, From and To"),
    ("unkscm", "3.3.2", Answer(416), "nobodyKnowsThisScheme:"),
    ("novelsc", "3.3.3", Answer(416), "soap.beep:"),
    ("unksm2", "3.3.4", Register(404), "isbn: in To names nobody of ours"),
    ("bext01", "3.3.5", Answer(420), "extensions that nobody supports"),
    ("invut", "3.3.6", Answer(415), "application/unknownformat"),
    (
        "regaut01",
        "3.3.7",
        Register(401),
        "credentials of an unknown scheme count as none: a challenge",
    ),
    (
        "multi01",
        "3.3.8",
        Answer(400),
        "two each of CSeq, Call-ID, From and To",
    ),
    ("mcl01", "3.3.9", Answer(400), "two lengths"),
    (
        "bcast",
        "3.3.10",
        Dropped,
        "a response with two Vias was meant for somebody else",
    ),
    (
        "zeromf",
        "3.3.11",
        Answer(200),
        "Max-Forwards concerns proxies; we are the end",
    ),
    (
        "cparam01",
        "3.3.12",
        Register(200),
        "the parameter belongs to the header",
    ),
    ("cparam02", "3.3.13", Register(200), "the parameter belongs to the URI"),
    (
        "regescrt",
        "3.3.14",
        Register(200),
        "headers inside the brackets are kept with the URI",
    ),
    (
        "sdp01",
        "3.3.15",
        Answer(406),
        "no session description is acceptable as an answer",
    ),
    (
        "inv2543",
        "3.4.1",
        Call,
        "no branch, From tag, Contact and Content-Length, as in RFC 2543",
    ),
];

#[expect(clippy::disallowed_methods, reason = "golden files are read by a test")]
fn read(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/torture/{name}.dat", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).unwrap()
}

fn parse(name: &str) -> Message {
    Message::parse(Bytes::from(read(name))).unwrap()
}

/// What a registrar with digest makes of a message that the stack found nothing wrong with.
fn registrar(message: &Message) -> u16 {
    let mut authenticator = Authenticator::new(&[1; 32], ServerSettings::default());
    let has_credentials = message.raw_values(HeaderName::Authorization).next().is_some();
    if has_credentials && authenticator.check(message, |_, _| None, Time(1)) == Verdict::Absent {
        assert_eq!(authenticator.challenge("example.com", false, Time(1)).len(), 3);
        return 401;
    }
    let Some(aor) = aor_of(message) else { return 404 };
    let mut registrar = Registrar::new(&[1; 16], RegistrarSettings::default());
    registrar
        .register(&aor, message, Target::udp(them()), us(), Time(1))
        .status
}

fn fate(name: &str, transport: Transport) -> Fate {
    let mut ua = Ua::with(|c| {
        c.outside = vec![Method::Register];
        c.interfaces[0].transport = transport;
    });
    ua.lenient = true;
    let bytes = Bytes::from(read(name));
    let before = ua.sent.len();
    ua.hear_over(transport, &bytes);
    let sent: Vec<u16> = ua.sent[before..].iter().map(|(_, text)| status(text)).collect();
    match (&sent[..], ua.events.len()) {
        ([100], 1) => Call,
        ([], 0) => Dropped,
        // A stack without a registrar behind it says 405.
        ([405], 0) | ([], 1) if parse(name).method() == Some(Method::Register) => Register(registrar(&parse(name))),
        ([status], 0) => Answer(*status),
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn golden() {
    let mut wrong = Vec::new();
    for (name, section, expected, why) in TABLE {
        for transport in [Transport::Udp, Transport::Tcp] {
            let found = fate(name, transport);
            if found != *expected {
                wrong.push(format!(
                    "{section} {name} over {transport:?}: {found:?}, not {expected:?} ({why})"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn none_is_missing() {
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/torture")).unwrap();
    let files: BTreeSet<String> = files
        .filter_map(|f| {
            f.unwrap()
                .file_name()
                .into_string()
                .unwrap()
                .strip_suffix(".dat")
                .map(str::to_owned)
        })
        .collect();
    let table: BTreeSet<String> = TABLE.iter().map(|(name, ..)| (*name).to_owned()).collect();
    assert_eq!((table.len(), TABLE.len()), (49, 49));
    assert_eq!(files, table);
}

/// A message that is good is also understood, not only let through.
#[test]
fn what_the_valid_ones_say() {
    let wsinv = parse("wsinv");
    assert_eq!(
        (wsinv.cseq().unwrap().number, wsinv.to_tag().unwrap()),
        (9, "1918181833n".into())
    );
    assert_eq!(wsinv.from_tag().unwrap(), "98asjd8");
    assert_eq!(wsinv.via().unwrap().host, b"192.0.2.2");
    assert_eq!(wsinv.list(HeaderName::Via).count(), 3);
    assert_eq!(
        wsinv.value_by_name("NewFangledHeader").unwrap(),
        "newfangled value   continued newfangled value"
    );
    let contact = wsinv.raw_values(HeaderName::Contact).next().unwrap();
    let contact = headers::NameAddr::parse(contact).unwrap();
    assert_eq!(
        (contact.display.as_deref(), contact.param("q")),
        (Some("Quoted string \"\""), Some("0.33"))
    );
    assert_eq!(contact.param("newparam"), Some("newvalue"));
    assert_eq!(wsinv.body().len(), 150);
    let intmeth = parse("intmeth");
    assert_eq!(intmeth.method_name(), b"!interesting-Method0123456789_*+`.%indeed'~");
    assert_eq!(intmeth.from_tag().unwrap(), "_token~1'+`*%!-.");
    assert_eq!(intmeth.call_id(), "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{");
    let to = headers::NameAddr::parse(intmeth.raw_values(HeaderName::To).next().unwrap()).unwrap();
    assert_eq!(to.display.as_deref(), Some("BEL:\x07 NUL:\x00 DEL:\x7f"));
    assert_eq!(
        Uri::parse(&intmeth.request_uri()).unwrap().user(),
        "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"
    );
    let esc01 = parse("esc01");
    let uri = Uri::parse(&esc01.request_uri()).unwrap();
    assert_eq!(
        (uri.user(), uri.user_decoded().as_str(), uri.host()),
        ("sips%3Auser%40example.com", "sips:user@example.com", "example.net")
    );
    assert_eq!(aor_of(&parse("escnull")).unwrap().user(), "null-\0-null");
    assert_eq!(parse("esc02").raw_values(HeaderName::Contact).count(), 2);
    let from = headers::NameAddr::parse(parse("lwsdisp").raw_values(HeaderName::From).next().unwrap()).unwrap();
    assert_eq!(from.display.as_deref(), Some("caller"));
    assert_eq!(parse("longreq").list(HeaderName::Via).count(), 34);
    assert!(parse("dblreq").body().is_empty());
    let uri = Uri::parse(&parse("semiuri").request_uri()).unwrap();
    assert_eq!(
        (uri.user(), uri.host(), uri.param("par")),
        ("user;par=u%40example.net", "example.com", None)
    );
    let mpart01 = parse("mpart01");
    assert!(mpart01.body().len() == 553 && read("mpart01").ends_with(&mpart01.body()));
    assert_eq!(
        parse("unreason").phrase(),
        "= 2**3 * 5**2 но сто девяносто девять - простое"
    );
    assert_eq!(
        (parse("noreason").status(), parse("noreason").phrase()),
        (Some(100), "".into())
    );
    let contact = |name: &str| {
        let message = parse(name);
        let value = message.raw_values(HeaderName::Contact).next().unwrap();
        headers::NameAddr::parse(value).unwrap()
    };
    assert_eq!(contact("cparam01").param("unknownparam"), Some(""));
    assert_eq!(contact("cparam01").uri.param("unknownparam"), None);
    assert_eq!(contact("cparam02").uri.param("unknownparam"), Some(""));
    assert_eq!(contact("regescrt").uri.headers(), "Route=%3Csip:sip.example.com%3E");
    let refused = Ua::new().hear_bytes(them(), &read("bext01"));
    assert_eq!(
        header(&refused[0], "Unsupported"),
        Some("nothingSupportsThis, nothingSupportsThisEither")
    );
    let refused = Ua::new().hear_bytes(them(), &read("invut"));
    assert_eq!(header(&refused[0], "Accept"), Some("application/sdp"));
}

/// Rules of the header level that other stacks were found to break.
mod found_elsewhere {
    use super::*;

    fn with(old: &str, new: &[u8]) -> Vec<u8> {
        let text = invite_from_peer();
        let at = text.find(old).unwrap();
        let mut out = text.as_bytes()[..at].to_vec();
        out.extend_from_slice(new);
        out.extend_from_slice(&text.as_bytes()[at + old.len()..]);
        out
    }

    #[test]
    fn a_line_that_is_no_utf_8_harms_no_other_line() {
        let bytes = with("Max-Forwards: 70", b"Subject: \xff\xfe\x80\r\nMax-Forwards: 70");
        let message = Message::parse(Bytes::from(bytes.clone())).unwrap();
        assert_eq!(message.defect(), None);
        assert_eq!(
            (message.call_id(), message.value(HeaderName::MaxForwards).unwrap()),
            ("c1".into(), "70".into())
        );
        assert_eq!(status(&Ua::new().hear_bytes(them(), &bytes)[0]), 100);
    }

    #[test]
    fn what_continues_a_broken_line_is_not_added_to_another() {
        let bytes = with(
            "Max-Forwards: 70",
            b"Subject: one\r\nBro|ken: x\r\n two\r\nMax-Forwards: 70",
        );
        let message = Message::parse(Bytes::from(bytes)).unwrap();
        assert_eq!(message.defect(), Some(message::Defect::HeaderLine));
        assert_eq!(message.value(HeaderName::Subject).unwrap(), "one");
        assert_eq!(message.value(HeaderName::MaxForwards).unwrap(), "70");
    }

    #[test]
    fn the_first_of_two_branches_counts() {
        let via = headers::Via::parse(b"SIP/2.0/UDP h;branch=z9hG4bKone;x=1;branch=z9hG4bKtwo").unwrap();
        assert_eq!(via.branch, b"z9hG4bKone");
    }

    #[test]
    fn white_space_before_the_colon_of_content_length() {
        let text = request("INFO", "i1", 1, "", "", "").replace("Content-Length: 0", "Content-Length : 3\t") + "abcdef";
        let message = Message::parse(Bytes::from(text)).unwrap();
        assert_eq!((message.defect(), &message.body()[..]), (None, &b"abc"[..]));
    }

    #[test]
    fn an_unknown_method_is_answered_and_the_next_message_too() {
        let mut ua = Ua::new();
        assert_eq!(status(&ua.hear(&request("FOO", "i1", 1, "", "", ""))[0]), 501);
        assert_eq!(status(&ua.hear(&invite_from_peer())[0]), 100);
    }

    #[test]
    fn a_from_without_tag_is_answered() {
        let sent = Ua::new().hear(&invite_from_peer().replace(";tag=theirs", ""));
        assert_eq!(status(&sent[0]), 100);
    }

    #[test]
    fn an_escaped_user_is_written_as_it_came() {
        let uri = "sip:*67%231@example.com";
        assert_eq!(Uri::parse(uri).unwrap().to_string(), uri);
        assert_eq!(Uri::parse(uri).unwrap().user_decoded(), "*67#1");
        assert_eq!(uri::escape_user("*67#1"), "*67%231");
        let sent = Ua::new().hear(&request("OPTIONS", "i1", 1, "", "", "").replace("<sip:us@", "<sip:*67%231@"));
        assert!(header(&sent[0], "To").unwrap().starts_with("<sip:*67%231@192.0.2.1>"));
    }

    #[test]
    fn lengths_that_no_machine_has() {
        for length in [
            "18446744073709551615",
            "18446744073709551616",
            "9999999999999999999999999",
            "-1",
            "0x10",
            "1e3",
            "",
        ] {
            let bytes = with(
                "Content-Length: ",
                format!("Content-Length: {length}\r\nX: ").as_bytes(),
            );
            assert_eq!(status(&Ua::new().hear_bytes(them(), &bytes)[0]), 400, "{length}");
        }
    }

    #[test]
    fn nul_bytes_stay_where_they_are() {
        let bytes = with("Max-Forwards: 70", b"Max-Forwards: 70\r\nX: a\0b");
        let message = Message::parse(Bytes::from(bytes.clone())).unwrap();
        assert_eq!(message.value_by_name("X").unwrap(), "a\0b");
        assert_eq!(status(&Ua::new().hear_bytes(them(), &bytes)[0]), 100);
        let bytes = with("INVITE sip", b"INV\0ITE sip");
        assert!(Message::parse(Bytes::from(bytes)).is_err());
    }

    /// How long that takes is for `make bench` and the attack runs to say.
    #[test]
    fn four_thousand_headers_get_one_answer() {
        let many = with(
            "Max-Forwards: 70",
            format!("Max-Forwards: 70\r\n{}X: y", "X: y\r\n".repeat(4_000)).as_bytes(),
        );
        let heard = Ua::new().hear_bytes(them(), &many);
        assert_eq!(heard.iter().map(|h| status(h)).collect::<Vec<_>>(), [400]);
    }
}
