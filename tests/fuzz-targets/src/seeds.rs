//! Inputs to begin with: good messages of each kind, and the torture messages of RFC 4475.

use strowger_sip_core::digest::{Authenticator, Challenge, ServerSettings};
use strowger_sip_core::{Credentials, Time, stun};

macro_rules! torture {
    ($($name:literal)+) => {
        /// The messages of RFC 4475 by name.
        pub const TORTURE: &[(&str, &[u8])] = &[$(($name, include_bytes!(concat!("../../../crates/sip-core/tests/torture/", $name, ".dat")))),+];
    };
}

torture! {
    "badaspec" "badbranch" "baddate" "baddn" "badinv01" "badvers" "bcast" "bext01" "bigcode" "clerr" "cparam01" "cparam02"
    "dblreq" "esc01" "esc02" "escnull" "escruri" "insuf" "intmeth" "inv2543" "invut" "longreq" "ltgtruri" "lwsdisp"
    "lwsruri" "lwsstart" "mcl01" "mismatch01" "mismatch02" "mpart01" "multi01" "ncl" "noreason" "novelsc" "quotbal"
    "regaut01" "regbadct" "regescrt" "scalar02" "scalarlg" "sdp01" "semiuri" "transports" "trws" "unkscm" "unksm2"
    "unreason" "wsinv" "zeromf"
}

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8 0 101\r\n\
                   a=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n";

fn request(method: &str, to_tag: &str, extra: &str, body: &str) -> String {
    format!(
        "{method} sip:us@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.2:5060;branch=z9hG4bKa{method};rport\r\n\
         Max-Forwards: 70\r\nFrom: \"Peer\" <sip:peer@127.0.0.2>;tag=theirs\r\nTo: <sip:us@127.0.0.1>{to_tag}\r\n\
         Call-ID: c1\r\nCSeq: 1 {method}\r\nContact: <sip:peer@127.0.0.2:5060>\r\n{extra}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn own() -> Vec<Vec<u8>> {
    let invite = request(
        "INVITE",
        "",
        "Record-Route: <sip:p@127.0.0.2;lr>\r\nSupported: timer, 100rel, replaces\r\nSession-Expires: 1800;refresher=uac\r\n\
         Content-Type: application/sdp\r\n",
        SDP,
    );
    let response = |status: u16, extra: &str| {
        format!(
            "SIP/2.0 {status} X\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKb\r\nFrom: <sip:us@127.0.0.1>;tag=1\r\n\
             To: <sip:peer@127.0.0.2>;tag=2\r\nCall-ID: c2\r\nCSeq: 1 INVITE\r\n{extra}Content-Length: 0\r\n\r\n"
        )
    };
    let mut out = vec![invite];
    out.extend(["ACK", "BYE", "INFO", "UPDATE", "PRACK", "REFER", "NOTIFY"].map(|m| request(m, ";tag=ours", "", "")));
    out.extend(["OPTIONS", "CANCEL", "REGISTER", "MESSAGE", "SUBSCRIBE", "FOO"].map(|m| request(m, "", "", "")));
    out.push(response(
        183,
        "Require: 100rel\r\nRSeq: 1\r\nContact: <sip:x@127.0.0.2>\r\n",
    ));
    out.push(response(
        302,
        "Contact: <sip:x@h>;q=0.5, <sip:y@h>;q=0.7\r\nReason: Q.850;cause=17;text=\"busy\"\r\n",
    ));
    out.push(response(
        401,
        "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth,auth-int\", algorithm=SHA-256\r\n",
    ));
    out.push(response(503, "Retry-After: 5 (later)\r\nWarning: 399 h \"x\"\r\n"));
    out.into_iter().map(String::into_bytes).collect()
}

pub fn messages() -> Vec<Vec<u8>> {
    own()
        .into_iter()
        .chain(TORTURE.iter().map(|(_, bytes)| bytes.to_vec()))
        .collect()
}

/// Chunks as the target of the stack has them: a length in units of eight, then the datagram.
pub fn streams() -> Vec<Vec<u8>> {
    let chunk = |bytes: &[u8]| {
        let units = bytes.len().div_ceil(8).min(255);
        let mut out = vec![units as u8];
        out.extend_from_slice(&bytes[..bytes.len().min(units * 8)]);
        out.resize(1 + units * 8, b'\n');
        out
    };
    let all = messages();
    let mut out: Vec<Vec<u8>> = all.iter().map(|m| chunk(m)).collect();
    out.push(own().iter().flat_map(|m| chunk(m)).collect());
    out
}

/// Streams behind the length of their pieces: one message each, and all that can stand in one stream.
pub fn pieces() -> Vec<Vec<u8>> {
    let mut out: Vec<Vec<u8>> = messages().iter().map(|m| [&[7], &m[..]].concat()).collect();
    let stream: Vec<u8> = own().iter().flat_map(|m| [&m[..], b"\r\n\r\n"].concat()).collect();
    out.push([&[1], &stream[..]].concat());
    out
}

pub fn uris() -> Vec<Vec<u8>> {
    [
        "sip:alice@example.com",
        "sips:a:b@[2001:db8::1]:5061;transport=tls;lr?subject=x&to=y",
        "tel:+1-201;ext=1",
        "sip:%61@H;X=1\nsip:a@h",
        "sip:*67%231@h;user=phone",
        "sip:h",
        "urn:service:sos",
        "sip:u;p=1@h:65535;ttl=1",
    ]
    .map(|s| s.as_bytes().to_vec())
    .to_vec()
}

pub fn credentials() -> Vec<Vec<u8>> {
    let mut server = Authenticator::new(&[3; 32], ServerSettings::default());
    let challenges = server.challenge("tenant.example", false, Time(1_000_000));
    let who = Credentials {
        username: "alice".into(),
        password: "pw".into(),
    };
    let answers = challenges
        .iter()
        .filter_map(|c| Challenge::parse(c.as_bytes(), false))
        .map(|c| c.answer_body(&who, "REGISTER", "sip:tenant.example", b"", "cn", 1));
    let mut out: Vec<Vec<u8>> = answers.map(String::into_bytes).collect();
    out.extend(challenges.into_iter().map(String::into_bytes));
    out.push(b"Digest username*=UTF-8''J%C3%A4s, realm=\"x\", nonce=\"\", uri=\"sip:h\", response=\"\"".to_vec());
    out.push(b"Basic YTpi".to_vec());
    out
}

pub fn registrations() -> Vec<Vec<u8>> {
    const INSTANCE: &str = "+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000A95A0E128>\";reg-id=1";
    [
        "Contact: <sip:a@10.0.0.1>;expires=3600;q=0.7\0Contact: <sip:a@10.0.0.1>;expires=0\0Contact: *\r\nExpires: 0"
            .to_owned(),
        format!("Supported: path, outbound, gruu\r\nContact: <sip:a@x.invalid;transport=ws>;{INSTANCE}\0\0Expires: 60"),
        format!(
            "Path: <sip:edge;lr;ob>\r\nRequire: path\r\nContact: <sip:a@h>;{INSTANCE}, <sip:b@h>\0Contact: <sip:b@h>"
        ),
        "Contact: <sip:a@h1>, <sip:a@h2>, <sip:a@h3>, <sip:a@h4>, <sip:a@h5>\0Contact: <sip:a@h6>".to_owned(),
    ]
    .map(String::into_bytes)
    .to_vec()
}

pub fn identities() -> Vec<Vec<u8>> {
    [
        "P-Asserted-Identity: \"N\" <sip:+4930@n.example>, <tel:+4930>\r\nPrivacy: id;user",
        "Remote-Party-ID: <sip:+1@n>;party=calling;privacy=full\r\nPrivacy: none",
        "Diversion: \"B\" <sip:b@b>;reason=user-busy;counter=2;privacy=full\r\nDiversion: <sip:c@c>;reason=unconditional",
        "History-Info: <sip:b@b?Privacy=history&Reason=SIP%3Bcause%3D302>;index=1, <sip:c@c;cause=486>;index=1.1;mp=1",
        "P-Preferred-Identity: <sip:x@y>",
    ]
    .map(|s| s.as_bytes().to_vec())
    .to_vec()
}

pub fn descriptions() -> Vec<Vec<u8>> {
    let video = format!(
        "{SDP}a=mid:a\r\nm=video 5000 RTP/AVP 96\r\nc=IN IP6 2001:db8::1\r\na=rtpmap:96 H264/90000\r\na=mid:v\r\n"
    );
    let held = SDP
        .replace("192.0.2.9\r\nt", "0.0.0.0\r\nt")
        .replace("sendrecv", "inactive");
    let off = SDP.replace("audio 4000", "audio 0");
    [SDP.to_owned(), video, held, off].map(String::into_bytes).to_vec()
}

pub fn stun() -> Vec<Vec<u8>> {
    let id = [7; 12];
    let plain = stun::request(&id);
    let mut attribute = plain.clone();
    attribute[3] = 12;
    attribute.extend_from_slice(&[0x80, 0x22, 0, 7, b's', b'o', b'f', b't', b'w', b'r', b'e', 0]);
    let response = stun::respond(&plain, ([192, 0, 2, 1], 5060).into()).unwrap_or_default();
    vec![plain, attribute, response]
}

pub fn packets() -> Vec<Vec<u8>> {
    let mut plain = vec![0x80, 8, 0, 1, 0, 0, 0, 160, 0, 0, 0, 1];
    plain.extend([0xd5; 160]);
    let mut extended = vec![
        0xb1,
        0x80 | 8,
        0,
        1,
        0,
        0,
        0,
        160,
        0,
        0,
        0,
        1,
        0,
        0,
        0,
        2,
        0xbe,
        0xde,
        0,
        1,
        0x10,
        1,
        0,
        0,
    ];
    extended.extend([0xd5, 0xd5, 0, 2]);
    vec![plain, extended]
}

pub fn reports() -> Vec<Vec<u8>> {
    let mut report = vec![0x81, 201, 0, 7, 0, 0, 0, 1, 0, 0, 0, 2];
    report.extend([0; 20]);
    let mut sender = vec![0x80, 200, 0, 6, 0, 0, 0, 1];
    sender.extend([1; 20]);
    sender.extend([0x81, 202, 0, 3, 0, 0, 0, 1, 1, 5, b'c', b'n', b'a', b'm', b'e', 0]);
    sender.extend([0x81, 203, 0, 1, 0, 0, 0, 1]);
    vec![report, sender]
}

pub fn sounds() -> Vec<Vec<u8>> {
    let mut wav =
        b"RIFF\x34\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\x10\0\0\0".to_vec();
    wav.extend([0; 16]);
    vec![wav]
}

pub fn numbers() -> Vec<Vec<u8>> {
    [
        "+8613800138000",
        "010-87654321",
        "95588",
        "008613800138000",
        "+49 30 123456",
        "tel:+1",
    ]
    .map(|s| s.as_bytes().to_vec())
    .to_vec()
}

/// A kind's number and a text of it.
pub fn spoken() -> Vec<Vec<u8>> {
    [
        "02013-07-30",
        "02024-02-29 14:05:09",
        "002:00",
        "1-1203.40",
        "1999999999999.99",
        "2-100020002.000001",
        "2007",
        "3+86 138-0013*8000#A",
    ]
    .map(|s| s.as_bytes().to_vec())
    .to_vec()
}

macro_rules! audio {
    ($($name:literal)+) => { [$(include_bytes!(concat!("../../../crates/speech/tests/files/", $name)).to_vec()),+] };
}

/// The beginnings of files of every kind that is read, and short WAV files.
pub fn audio_files() -> Vec<Vec<u8>> {
    let mut files = audio!["tone.mp3" "stereo.mp3" "vorbis.ogg" "opus.ogg" "opus-stereo.ogg"].to_vec();
    for file in &mut files {
        // With a fifth of their sound, mutations run five times as often.
        file.truncate(1600);
    }
    files.extend(sounds());
    files
}

/// Messages of recognisers, in both protocols.
pub fn transcripts() -> Vec<Vec<u8>> {
    let vosk = include_str!("../../../crates/speech/tests/wire/vosk-zh.jsonl");
    let own = [
        r#"{"type":"final","text":"one two","begin_ms":840,"end_ms":1530}"#,
        r#"{"type":"partial","text":"one"}"#,
        r#"{"type":"error","reason":"no model"}"#,
    ];
    vosk.lines().chain(own).map(|s| s.as_bytes().to_vec()).collect()
}

/// Sizes, each with a Range header.
pub fn ranges() -> Vec<Vec<u8>> {
    let headers = [
        "bytes=0-4",
        "bytes=9-",
        "bytes=-3",
        "bytes=0-1,4-5",
        "bytes=5-99999999999999999999999",
        "a=b",
    ];
    let sizes = [0u64, 1, 10, u64::MAX];
    let pairs = headers
        .iter()
        .flat_map(|h| sizes.map(|s| [&s.to_be_bytes()[..], h.as_bytes()].concat()));
    pairs.collect()
}
