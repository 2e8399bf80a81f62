//! A telephone whose every message the test says: it registers, calls, and answers step by step, over UDP, TCP or TLS. What
//! the test waits for is taken out of what came; retransmissions are recognised and, where they are requests, answered as
//! before.

use crate::digest::{self, Challenge, Signed, User};
use crate::line::Line;
use crate::msg::{Message, finish, parameter, uri_of};
use crate::party::SOON;
use crate::tls::Identity;
use std::collections::{HashMap, HashSet, VecDeque};
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

/// Longest read, so that a deadline is noticed.
const TICK: Duration = Duration::from_millis(20);

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

enum Wire {
    Udp(UdpSocket),
    Stream(Box<dyn Stream>, Vec<u8>),
}

/// The telephone.
pub struct Phone {
    wire: Wire,
    token: &'static str,
    address: SocketAddr,
    platform: SocketAddr,
    user: User,
    media: UdpSocket,
    /// Describes this port in place of its own: a line has its sound.
    line: Option<u16>,
    inbox: VecDeque<Message>,
    seen: HashSet<String>,
    answers: HashMap<String, String>,
    acks: HashMap<String, String>,
    minted: u32,
    call_id: String,
    cseq: u32,
}

/// One dialog of a telephone.
#[derive(Clone, Debug)]
pub struct Talk {
    /// Call-ID.
    pub call_id: String,
    /// Our From, with its tag.
    pub ours: String,
    /// The far side's To; with its tag once there is one.
    pub theirs: String,
    /// Where requests go.
    pub target: String,
    /// Number of our last request.
    pub cseq: u32,
    /// The INVITE, sent or received.
    pub invite: Message,
}

impl Talk {
    /// The value of a Replaces header that names this dialog as its far side sees it.
    pub fn replaces(&self) -> String {
        format!(
            "{};to-tag={};from-tag={}",
            self.call_id,
            parameter(&self.theirs, "tag").unwrap_or_default(),
            parameter(&self.ours, "tag").unwrap_or_default()
        )
    }
}

impl Phone {
    /// Over UDP.
    pub fn udp(platform: SocketAddr, name: &str, password: &str) -> Phone {
        Phone::udp_at([127, 0, 0, 1].into(), platform, name, password)
    }

    /// Over UDP from this address.
    pub fn udp_at(from: IpAddr, platform: SocketAddr, name: &str, password: &str) -> Phone {
        let socket = UdpSocket::bind((from, 0)).expect("a port on loopback");
        socket.set_read_timeout(Some(TICK)).expect("a timeout above zero");
        let address = socket.local_addr().expect("a bound socket has an address");
        Phone::over(Wire::Udp(socket), "UDP", address, platform, name, password)
    }

    /// Over TCP.
    pub fn tcp(platform: SocketAddr, name: &str, password: &str) -> Phone {
        let socket = TcpStream::connect(platform).expect("the platform listens with TCP");
        let mut phone = Phone::on(socket, platform, name);
        phone.user.password = password.to_owned();
        phone
    }

    /// On a TCP connection that the platform made.
    pub fn on(socket: TcpStream, platform: SocketAddr, name: &str) -> Phone {
        socket.set_nodelay(true).expect("a TCP socket");
        socket.set_read_timeout(Some(TICK)).expect("a timeout above zero");
        let address = socket.local_addr().expect("a connected socket has an address");
        let wire = Wire::Stream(Box::new(socket), Vec::new());
        Phone::over(wire, "TCP", address, platform, name, "")
    }

    /// Over TLS, trusting this certificate.
    pub fn tls(platform: SocketAddr, trusted: &Identity, name: &str, password: &str) -> Phone {
        let stream = trusted.connect(platform);
        stream.sock.set_read_timeout(Some(TICK)).expect("a timeout above zero");
        let address = stream.sock.local_addr().expect("a connected socket has an address");
        let wire = Wire::Stream(Box::new(stream), Vec::new());
        Phone::over(wire, "TLS", address, platform, name, password)
    }

    fn over(
        wire: Wire,
        token: &'static str,
        address: SocketAddr,
        platform: SocketAddr,
        name: &str,
        password: &str,
    ) -> Phone {
        let media = UdpSocket::bind("127.0.0.1:0").expect("a port on loopback");
        Phone {
            wire,
            token,
            address,
            platform,
            user: User {
                name: name.to_owned(),
                password: password.to_owned(),
            },
            media,
            line: None,
            inbox: VecDeque::new(),
            seen: HashSet::new(),
            answers: HashMap::new(),
            acks: HashMap::new(),
            minted: 0,
            call_id: format!("reg-{}-{}", address.port(), std::process::id()),
            cseq: 0,
        }
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its Contact URI.
    pub fn contact(&self) -> String {
        let transport = self.token.to_lowercase();
        format!("sip:{}@{};transport={transport}", self.user.name, self.address)
    }

    /// A number that it has not used yet.
    pub fn mint(&mut self) -> u32 {
        self.minted += 1;
        self.minted
    }

    /// Has the sound of a line from now on. Where the line sends to is said with each call.
    pub fn speaks_by(&mut self, line: &Line) {
        self.line = Some(line.port());
    }

    /// An SDP of this telephone with G.711 A-law; each one has a version of its own.
    pub fn sdp(&mut self, direction: &str) -> String {
        self.sdp_of(&["8 PCMA"], direction)
    }

    /// The same with these codecs, such as `18 G729`.
    pub fn sdp_of(&mut self, codecs: &[&str], direction: &str) -> String {
        let version = self.mint();
        let own = || self.media.local_addr().expect("a bound socket has an address").port();
        let port = self.line.unwrap_or_else(own);
        let types: Vec<&str> = codecs.iter().filter_map(|c| c.split(' ').next()).collect();
        let maps: String = codecs.iter().map(|c| format!("a=rtpmap:{c}/8000\r\n")).collect();
        format!(
            "v=0\r\no=phone {port} {version} IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=audio {port} RTP/AVP {} 101\r\n{maps}a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na={direction}\r\n",
            types.join(" ")
        )
    }

    /// Sends some packets of silence to where a description says.
    ///
    /// # Panics
    /// If the message describes no media.
    pub fn speak(&mut self, described: &Message) {
        let (to, _) = described.media().expect("an SDP");
        for _ in 0..5 {
            let n = self.mint() as u8;
            let mut packet = vec![0x80, 8, 0, n, 0, 0, 0, n, 1, 2, 3, 4];
            packet.extend([0xD5; 160]);
            self.media.send_to(&packet, to).expect("loopback takes a datagram");
        }
    }

    /// Sends bytes as they are.
    pub fn put(&mut self, text: &str) {
        match &mut self.wire {
            Wire::Udp(socket) => {
                let sent = socket.send_to(text.as_bytes(), self.platform);
                sent.expect("loopback takes a datagram");
            }
            Wire::Stream(stream, _) => {
                stream.write_all(text.as_bytes()).expect("the connection is open");
                stream.flush().expect("the connection is open");
            }
        }
    }

    /// Reads once; what is complete goes into the inbox.
    fn read(&mut self) {
        let mut buffer = [0; 65_536];
        let mut whole = Vec::new();
        match &mut self.wire {
            Wire::Udp(socket) => {
                if let Ok((n, from)) = socket.recv_from(&mut buffer)
                    && from == self.platform
                {
                    whole.extend(Message::parse(&buffer[..n]));
                }
            }
            Wire::Stream(stream, rest) => {
                match stream.read(&mut buffer) {
                    Ok(n) => rest.extend_from_slice(&buffer[..n]),
                    Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                    Err(_) => return,
                }
                while let Some(n) = framed(rest) {
                    whole.extend(Message::parse(&rest[..n]));
                    rest.drain(..n);
                }
            }
        }
        for message in whole {
            self.sort(message);
        }
    }

    /// Drops retransmissions, with the answer that they ask for; keeps the rest.
    fn sort(&mut self, message: Message) {
        let status = message.status();
        let key = format!("{} {} {}", message.branch(), message.method(), message.get("CSeq"));
        let again = match status {
            None => self.answers.get(&key),
            Some(200..) => self.acks.get(&format!("{key} {}", message.get("Call-ID"))),
            Some(_) => None,
        };
        if let Some(text) = again.cloned() {
            return self.put(&text);
        }
        let what = format!("{key} {} {} {}", message.first, message.get("To"), message.get("RSeq"));
        if status != Some(100) && self.seen.insert(what) {
            self.inbox.push_back(message);
        }
    }

    /// Waits for a message.
    ///
    /// # Panics
    /// If it does not come in time; what came instead is shown.
    pub fn take_within(&mut self, what: &str, patience: Duration, wanted: impl Fn(&Message) -> bool) -> Message {
        let end = Instant::now() + patience;
        loop {
            if let Some(at) = self.inbox.iter().position(&wanted) {
                return self.inbox.remove(at).expect("it was just found");
            }
            assert!(
                Instant::now() < end,
                "{}: waited {patience:?} in vain for {what}; there came {:?}",
                self.user.name,
                self.inbox.iter().map(|m| (&m.first, m.get("CSeq"))).collect::<Vec<_>>()
            );
            self.read();
        }
    }

    /// Waits for a message that needs no timer.
    pub fn take(&mut self, what: &str, wanted: impl Fn(&Message) -> bool) -> Message {
        self.take_within(what, SOON, wanted)
    }

    /// What has come so far and nobody has asked for; reads until nothing is left.
    pub fn rest(&mut self) -> Vec<String> {
        self.read();
        self.inbox.iter().map(|m| m.first.clone()).collect()
    }

    fn via(&mut self) -> (String, String) {
        let branch = format!("z9hG4bK{}x{}", self.address.port(), self.mint());
        (
            format!("Via: SIP/2.0/{} {};branch={branch};rport\r\n", self.token, self.address),
            branch,
        )
    }

    /// Whatever comes within this time and nobody has asked for.
    pub fn rest_for(&mut self, time: Duration) -> Vec<String> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.read();
        }
        self.inbox.iter().map(|m| m.first.clone()).collect()
    }

    fn send_register(&mut self, name: &str, contacts: &str, signed: Option<&str>) -> String {
        self.cseq += 1;
        let (via, _) = self.via();
        let platform = self.platform;
        let authorization = signed.map_or_else(String::new, |v| format!("Authorization: {v}\r\n"));
        let head = format!(
            "REGISTER sip:{platform} SIP/2.0\r\n{via}From: <sip:{name}@{platform}>;tag=r\r\nTo: <sip:{name}@{platform}>\r\n\
             Call-ID: {}\r\nCSeq: {} REGISTER\r\nMax-Forwards: 70\r\nSupported: path, outbound, gruu\r\n{contacts}{authorization}",
            self.call_id, self.cseq
        );
        self.put(&finish(head, None));
        format!("{} REGISTER", self.cseq)
    }

    /// Sends a REGISTER and waits for nothing.
    pub fn put_register(&mut self, contacts: &str) {
        let name = self.user.name.clone();
        self.send_register(&name, contacts, None);
    }

    /// Sends a REGISTER with these Contact lines, signed if there is a challenge to answer, and gives back the response.
    pub fn register_once(&mut self, contacts: &str, signed: Option<&str>) -> Message {
        let name = self.user.name.clone();
        self.register_for(&name, contacts, signed)
    }

    /// The same for somebody else's address of record.
    pub fn register_other(&mut self, name: &str, contacts: &str, signed: &str) -> Message {
        self.register_for(name, contacts, Some(signed))
    }

    fn register_for(&mut self, name: &str, contacts: &str, signed: Option<&str>) -> Message {
        let cseq = self.send_register(name, contacts, signed);
        self.take("an answer to REGISTER", |m| {
            m.status().is_some() && m.get("CSeq") == cseq
        })
    }

    /// Registers and answers the challenge.
    pub fn register_as(&mut self, contacts: &str) -> Message {
        let first = self.register_once(contacts, None);
        if first.status() != Some(401) {
            return first;
        }
        let challenge = challenges(&first).remove(0);
        let signed = self.sign(&challenge, "REGISTER", "", "auth", 1);
        self.register_once(contacts, Some(&signed))
    }

    /// Registers its Contact for so many seconds.
    ///
    /// # Panics
    /// If that is refused.
    pub fn register(&mut self, seconds: u32, parameters: &str) -> Message {
        let contacts = format!("Contact: <{}>;expires={seconds}{parameters}\r\n", self.contact());
        let answer = self.register_as(&contacts);
        assert_eq!(answer.status(), Some(200), "{answer:?}");
        answer
    }

    /// Signs a request to the platform itself, or to a URI.
    pub fn sign(&self, challenge: &Challenge, method: &str, user: &str, qop: &str, count: u32) -> String {
        let uri = match user {
            "" => format!("sip:{}", self.platform),
            user => format!("sip:{user}@{}", self.platform),
        };
        let request = Signed {
            method,
            uri: &uri,
            body: "",
        };
        digest::answer(challenge, &self.user, request, qop, count)
    }

    /// Calls without credentials: what a carrier does.
    pub fn invite_unsigned(&mut self, to: &str, extra: &str, sdp: &str) -> Talk {
        let uri = format!("sip:{to}@{}", self.platform);
        self.invite_uri_unsigned(&uri, extra, sdp)
    }

    fn invite_uri_unsigned(&mut self, uri: &str, extra: &str, sdp: &str) -> Talk {
        let uri = uri.to_owned();
        let n = self.mint();
        let (name, platform) = (self.user.name.clone(), self.platform);
        let ours = format!("<sip:{name}@{platform}>;tag=u{n}");
        let call_id = format!("call-{}-{n}-{}", self.address.port(), std::process::id());
        let mut talk = Talk {
            call_id,
            ours,
            theirs: format!("<{uri}>"),
            target: uri.clone(),
            cseq: 0,
            invite: Message::default(),
        };
        self.send(&mut talk, "INVITE", extra, Some(sdp));
        talk
    }

    /// Calls; a challenge is answered. `extra` is header lines.
    pub fn invite(&mut self, to: &str, extra: &str, sdp: &str) -> Talk {
        let uri = format!("sip:{to}@{}", self.platform);
        self.invite_uri(&uri, extra, sdp)
    }

    /// Calls a URI; a challenge is answered.
    pub fn invite_uri(&mut self, uri: &str, extra: &str, sdp: &str) -> Talk {
        let mut talk = self.invite_uri_unsigned(uri, extra, sdp);
        let answer = self.take("a challenge", |m| {
            m.get("Call-ID") == talk.call_id && m.status().is_some()
        });
        if !matches!(answer.status(), Some(401 | 407)) {
            self.inbox.push_front(answer);
            return talk;
        }
        self.acknowledge(&talk, &answer);
        let challenge = challenges(&answer).remove(0);
        let request = Signed {
            method: "INVITE",
            uri: &talk.target.clone(),
            body: "",
        };
        let signed = digest::answer(&challenge, &self.user, request, "auth", 1);
        let extra = format!("{extra}Authorization: {signed}\r\n");
        self.send(&mut talk, "INVITE", &extra, Some(sdp));
        talk
    }

    /// Sends a request of a dialog and gives back its branch.
    pub fn send(&mut self, talk: &mut Talk, method: &str, extra: &str, body: Option<&str>) -> String {
        talk.cseq += 1;
        let (via, branch) = self.via();
        let head = format!(
            "{method} {} SIP/2.0\r\n{via}From: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {} {method}\r\nMax-Forwards: 70\r\n\
             Contact: <{}>\r\n{extra}",
            talk.target,
            talk.ours,
            talk.theirs,
            talk.call_id,
            talk.cseq,
            self.contact()
        );
        let text = match extra.contains("Content-Type:") {
            true => {
                let body = body.unwrap_or_default();
                format!("{head}Content-Length: {}\r\n\r\n{body}", body.len())
            }
            false => finish(head, body),
        };
        if method == "INVITE" {
            talk.invite = Message::parse(text.as_bytes()).expect("a well-formed INVITE");
        }
        self.put(&text);
        branch
    }

    /// Sends a request of a dialog and waits for its final response.
    pub fn ask(&mut self, talk: &mut Talk, method: &str, extra: &str, body: Option<&str>) -> Message {
        self.send(talk, method, extra, body);
        let (call_id, cseq) = (talk.call_id.clone(), format!("{} {method}", talk.cseq));
        let answer = self.take(&format!("an answer to {method}"), |m| {
            m.status().is_some_and(|s| s >= 200) && m.get("Call-ID") == call_id && m.get("CSeq") == cseq
        });
        if method == "INVITE" {
            self.acknowledge(talk, &answer);
        }
        answer
    }

    /// Waits for a response to the dialog's INVITE; a final one is acknowledged.
    pub fn response(&mut self, talk: &mut Talk, status: u16) -> Message {
        self.response_within(talk, status, SOON)
    }

    /// The same with a time of the test's own.
    pub fn response_within(&mut self, talk: &mut Talk, status: u16, patience: Duration) -> Message {
        let call_id = talk.call_id.clone();
        let found = self.take_within(&format!("{status} to INVITE"), patience, |m| {
            m.status() == Some(status) && m.method() == "INVITE" && m.get("Call-ID") == call_id
        });
        talk.theirs = found.get("To").to_owned();
        if !found.get("Contact").is_empty() {
            talk.target = uri_of(found.get("Contact")).to_owned();
        }
        if status >= 200 {
            self.acknowledge(talk, &found);
        }
        found
    }

    /// Sends the ACK of a final response.
    pub fn acknowledge(&mut self, talk: &Talk, response: &Message) {
        let accepted = response.status().is_some_and(|s| s < 300);
        let (via, uri) = if accepted {
            (self.via().0, talk.target.clone())
        } else {
            // The ACK of a refusal belongs to the INVITE's transaction (RFC 3261 section 17.1.1.3).
            (
                format!("Via: {}\r\n", talk.invite.get("Via")),
                talk.invite.uri().to_owned(),
            )
        };
        let head = format!(
            "ACK {uri} SIP/2.0\r\n{via}From: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {} ACK\r\nMax-Forwards: 70\r\n",
            talk.ours,
            response.get("To"),
            talk.call_id,
            response.cseq()
        );
        let text = finish(head, None);
        let key = format!("{} INVITE {} {}", response.branch(), response.get("CSeq"), talk.call_id);
        self.acks.insert(key, text.clone());
        self.put(&text);
    }

    /// Gives up a call that has not been answered.
    pub fn cancel(&mut self, talk: &Talk) {
        let invite = &talk.invite;
        let head = format!(
            "CANCEL {} SIP/2.0\r\nVia: {}\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {} CANCEL\r\nMax-Forwards: 70\r\n",
            invite.uri(),
            invite.get("Via"),
            talk.ours,
            invite.get("To"),
            talk.call_id,
            invite.cseq()
        );
        self.put(&finish(head, None));
    }

    /// Waits for a new call.
    pub fn ring(&mut self) -> Message {
        self.take("an INVITE", |m| {
            m.status().is_none() && m.method() == "INVITE" && parameter(m.get("To"), "tag").is_none()
        })
    }

    /// Answers a request; the To tag, where one is needed, is the telephone's for this Call-ID.
    pub fn reply(&mut self, request: &Message, line: &str, extra: &str, body: Option<&str>) {
        let tag = format!("t{}", self.address.port());
        self.reply_tagged(request, line, &tag, extra, body);
    }

    /// The same with a tag of the test's own: a proxy that forks answers one INVITE for several telephones.
    pub fn reply_tagged(&mut self, request: &Message, line: &str, tag: &str, extra: &str, body: Option<&str>) {
        let contact = match request.method() {
            "INVITE" | "UPDATE" => format!("Contact: <{}>\r\n", self.contact()),
            _ => String::new(),
        };
        let text = request.answer(line, Some(tag), &format!("{contact}{extra}"), body);
        let key = format!("{} {} {}", request.branch(), request.method(), request.get("CSeq"));
        self.answers.insert(key, text.clone());
        self.put(&text);
    }

    /// The dialog of a call that came in.
    pub fn talk_of(&self, invite: &Message) -> Talk {
        Talk {
            call_id: invite.get("Call-ID").to_owned(),
            ours: format!("{};tag=t{}", invite.get("To"), self.address.port()),
            theirs: invite.get("From").to_owned(),
            target: uri_of(invite.get("Contact")).to_owned(),
            cseq: 100,
            invite: invite.clone(),
        }
    }

    /// Accepts a call and waits for the ACK.
    pub fn accept(&mut self, invite: &Message) -> Talk {
        let sdp = self.sdp("sendrecv");
        self.reply(invite, "200 OK", "", Some(&sdp));
        let talk = self.talk_of(invite);
        self.request(&talk, "ACK");
        talk
    }

    /// Waits for a request of a dialog.
    pub fn request(&mut self, talk: &Talk, method: &str) -> Message {
        self.request_within(talk, method, SOON)
    }

    /// The same with a time of the test's own.
    pub fn request_within(&mut self, talk: &Talk, method: &str, patience: Duration) -> Message {
        let call_id = talk.call_id.clone();
        self.take_within(&format!("a {method}"), patience, |m| {
            m.status().is_none() && m.method() == method && m.get("Call-ID") == call_id
        })
    }

    /// Waits for a request of a dialog and agrees to it.
    pub fn agree(&mut self, talk: &Talk, method: &str) -> Message {
        let request = self.request(talk, method);
        self.reply(&request, "200 OK", "", None);
        request
    }

    /// Hangs up.
    ///
    /// # Panics
    /// If the BYE is refused.
    pub fn hang_up(&mut self, talk: &mut Talk) {
        assert_eq!(self.ask(talk, "BYE", "", None).status(), Some(200));
    }

    /// Waits until the other side hangs up.
    pub fn hung_up(&mut self, talk: &Talk) {
        self.agree(talk, "BYE");
    }
}

/// The challenges of a 401 or 407, topmost first.
pub fn challenges(response: &Message) -> Vec<Challenge> {
    let www = response.all("WWW-Authenticate");
    www.chain(response.all("Proxy-Authenticate"))
        .filter_map(Challenge::parse)
        .collect()
}

/// Length of the first whole message of a stream; keep-alives before it are dropped.
fn framed(bytes: &mut Vec<u8>) -> Option<usize> {
    let skip = bytes.iter().take_while(|b| b"\r\n".contains(b)).count();
    bytes.drain(..skip);
    let text = String::from_utf8_lossy(bytes);
    let head = text.find("\r\n\r\n")? + 4;
    let length = text[..head]
        .lines()
        .find_map(|l| l.strip_prefix("Content-Length:").or_else(|| l.strip_prefix("l:")))
        .and_then(|v| v.trim().parse::<usize>().ok())
        .unwrap_or(0);
    (bytes.len() >= head + length).then_some(head + length)
}
