//! One stack, fed with text, for tests of what it says on the wire.
#![allow(dead_code)] // each test file uses a part of it

use bytes::Bytes;
use std::net::SocketAddr;
use strowger_sip_core::*;

pub const SDP: &str =
    "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n";
pub const MS: u64 = 1_000;
pub const S: u64 = 1_000_000;

pub fn us() -> SocketAddr {
    "192.0.2.1:5060".parse().unwrap()
}

pub fn them() -> SocketAddr {
    "192.0.2.9:5070".parse().unwrap()
}

/// A stack at 192.0.2.1:5060 and its peer at 192.0.2.9:5070.
pub struct Ua {
    pub stack: Stack,
    pub now: Time,
    pub sent: Vec<(SocketAddr, String)>,
    pub events: Vec<(DialogHandle, SipEvent)>,
    /// What came in was broken, so what goes out may be.
    pub lenient: bool,
}

impl Ua {
    pub fn new() -> Ua {
        Ua::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut StackConfig)) -> Ua {
        let interface = Interface::new(Transport::Udp, us());
        let mut config = StackConfig::new([3; 16], interface);
        config.product = "test".into();
        change(&mut config);
        Ua {
            stack: Stack::new(config),
            now: Time(S),
            sent: Vec::new(),
            events: Vec::new(),
            lenient: false,
        }
    }

    fn input(&mut self, input: Input) {
        self.stack.handle(input, self.now);
        while let Some(output) = self.stack.poll() {
            match output {
                Output::Send { target, local, bytes } => {
                    assert_eq!(local, us());
                    let text = String::from_utf8(bytes.to_vec()).unwrap();
                    // What we send can be read by ourselves and breaks no rule, unless it echoes a broken request.
                    let defect = Message::parse(bytes).unwrap().defect();
                    let echo = text.starts_with("SIP/2.0 400") || text.starts_with("SIP/2.0 505");
                    assert!(defect.is_none() || echo || self.lenient, "{defect:?} {text}");
                    self.sent.push((target.addr, text));
                }
                Output::Event { handle, event } => self.events.push((handle, event)),
            }
        }
    }

    pub fn command(&mut self, command: Command) {
        self.input(Input::Command(command));
    }

    /// A message from the peer; returns what was sent because of it.
    pub fn hear(&mut self, text: &str) -> Vec<String> {
        self.hear_bytes(them(), text.as_bytes())
    }

    pub fn hear_bytes(&mut self, source: SocketAddr, bytes: &[u8]) -> Vec<String> {
        let before = self.sent.len();
        self.input(Input::Received(Received::udp(
            us(),
            source,
            Bytes::copy_from_slice(bytes),
        )));
        self.sent[before..].iter().map(|(_, text)| text.clone()).collect()
    }

    /// A message from the peer by any transport; a connection has number 1.
    pub fn hear_over(&mut self, transport: Transport, bytes: &[u8]) {
        self.input(Input::Received(Received {
            transport,
            flow: transport.is_reliable().then_some(FlowId(1)),
            ..Received::udp(us(), them(), Bytes::copy_from_slice(bytes))
        }));
    }

    /// Any bytes; what is sent in return is kept without being checked.
    pub fn stack_input(&mut self, bytes: &[u8]) {
        self.lenient = true;
        let received = Received::udp(us(), them(), Bytes::copy_from_slice(bytes));
        self.stack.handle(Input::Received(received), self.now);
        while let Some(output) = self.stack.poll() {
            match output {
                Output::Send { target, bytes, .. } => self
                    .sent
                    .push((target.addr, String::from_utf8_lossy(&bytes).into_owned())),
                Output::Event { handle, event } => self.events.push((handle, event)),
            }
        }
    }

    /// Lets time pass, deadline by deadline.
    pub fn wait(&mut self, micros: u64) {
        let end = self.now.plus(micros);
        while let Some(at) = self.stack.next_deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.input(Input::Tick);
        }
        self.now = end;
    }

    pub fn fail(&mut self, target: Target) {
        self.input(Input::TransportError { target });
    }

    pub fn last(&self) -> &str {
        &self.sent.last().expect("something was sent").1
    }

    pub fn event(&self) -> &SipEvent {
        &self.events.last().expect("an event").1
    }

    /// Nothing is left after all timers have run out.
    pub fn assert_empty_at_last(&mut self) {
        self.wait(100 * S);
        let stats = self.stack.stats();
        assert_eq!((stats.dialogs, stats.transactions, stats.index_entries), (0, 0, 0));
    }
}

pub fn status(text: &str) -> u16 {
    text.strip_prefix("SIP/2.0 ")
        .map_or(0, |rest| rest[..3].parse().unwrap())
}

/// The value of the first header line with this name.
pub fn header<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

pub fn tag(value: &str) -> &str {
    value.split(";tag=").nth(1).expect("a tag").split(';').next().unwrap()
}

/// A request of the peer; `extra` lines end with CRLF.
pub fn request(method: &str, branch: &str, cseq: u32, to_tag: &str, extra: &str, body: &str) -> String {
    let to_tag = if to_tag.is_empty() {
        String::new()
    } else {
        format!(";tag={to_tag}")
    };
    let kind = if body.is_empty() {
        ""
    } else {
        "Content-Type: application/sdp\r\n"
    };
    format!(
        "{method} sip:us@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bK{branch};rport\r\n\
         Max-Forwards: 70\r\nFrom: \"Peer\" <sip:peer@192.0.2.9>;tag=theirs\r\nTo: <sip:us@192.0.2.1>{to_tag}\r\n\
         Call-ID: c1\r\nCSeq: {cseq} {method}\r\nContact: <sip:peer@192.0.2.9:5070>\r\n{extra}{kind}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

pub fn invite_from_peer() -> String {
    request("INVITE", "i1", 1, "", "", SDP)
}

/// A response to a request of ours.
pub fn response(to: &str, status: u16, to_tag: &str, extra: &str, body: &str) -> String {
    let mut out = format!("SIP/2.0 {status} X\r\n");
    for name in ["Via", "From", "Call-ID", "CSeq"] {
        out += &format!("{name}: {}\r\n", header(to, name).unwrap());
    }
    let value = header(to, "To").unwrap();
    out += &if to_tag.is_empty() || value.contains(";tag=") {
        format!("To: {value}\r\n")
    } else {
        format!("To: {value};tag={to_tag}\r\n")
    };
    let kind = if body.is_empty() {
        ""
    } else {
        "Content-Type: application/sdp\r\n"
    };
    out + &format!("{extra}{kind}Content-Length: {}\r\n\r\n{body}", body.len())
}

pub fn our_invite() -> Invite {
    Invite {
        handle: DialogHandle(1),
        call_id: "call@us".into(),
        local_tag: "ours".into(),
        branch_stem: "stem".into(),
        request_uri: "sip:peer@192.0.2.9:5070".into(),
        to: Party::new("sip:peer@192.0.2.9"),
        from: Party {
            display: Some("A \"B\"\r\nEvil: x".into()),
            uri: "sip:us@192.0.2.1".into(),
        },
        headers: vec![("P-Asserted-Identity".into(), "<sip:us@192.0.2.1>\r\nEvil: y".into())],
        destination: Target::udp(them()),
        local: None,
        sdp: Some(Bytes::from_static(SDP.as_bytes())),
        credentials: None,
        ack: AckMode::Automatic,
        route: Vec::new(),
        contact_user: None,
        reliable: Reliable::Off,
    }
}

pub fn respond(handle: DialogHandle, status: u16, sdp: bool) -> Command {
    let sdp = sdp.then(|| Bytes::from_static(SDP.as_bytes()));
    Command::Respond {
        handle,
        status,
        reason_phrase: None,
        headers: Vec::new(),
        sdp,
        reliable: false,
    }
}
