//! A scripted telephone: the test says when it rings, answers, holds or hangs up; it sends its own tone and keeps what it
//! hears.

use crate::line::{EVENT_PT, Line};
use crate::msg::{Message, finish, finish_with, parameter, uri_of, user_of};
use crate::wait;
use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use strowger_media_core::g711::Law;

/// How long the platform may take for a step that needs no timer.
pub const SOON: Duration = Duration::from_secs(8);

/// How a call ended for the party.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The platform sent a CANCEL.
    Cancelled,
    /// The platform sent a BYE.
    Bye,
    /// The party hung up, refused or cancelled.
    ByUs,
    /// The platform refused the party's INVITE.
    Refused(u16),
}

struct Leg {
    call_id: String,
    /// The platform called.
    incoming: bool,
    /// The INVITE, received or sent.
    invite: Message,
    tag: String,
    /// Where requests inside the dialog go, once it is known.
    target: String,
    /// From or To header of the far side, with its tag.
    theirs: String,
    cseq: u32,
    line: Line,
    /// Final response sent or received.
    answered: bool,
    acked: bool,
    ended: Option<(Ended, Instant)>,
    /// Responses to requests of the party, `(method, status)`.
    responses: Vec<(String, u16)>,
    /// Requests of the platform.
    requests: Vec<Message>,
    /// The 200 that waits for its ACK.
    unacked: Option<Unacked>,
}

/// A 200 is sent again until its ACK comes, for 32 s (RFC 3261 section 13.3.1.4).
struct Unacked {
    text: String,
    to: SocketAddr,
    next: Instant,
    interval: Duration,
    until: Instant,
}

#[derive(Default)]
struct State {
    legs: Vec<Leg>,
    /// Last answer to each request, for its retransmissions.
    answers: HashMap<String, String>,
    /// A silent party hears everything and says nothing, not even 100.
    silent: bool,
    options: u32,
}

struct Inner {
    socket: UdpSocket,
    law: Law,
    hz: Option<f32>,
    state: Mutex<State>,
    changed: Condvar,
    stop: AtomicBool,
    minted: AtomicU32,
    /// It describes no telephone events.
    plain: AtomicBool,
}

/// A telephone with one address and any number of calls. Its thread ends when it is dropped.
pub struct Party(Arc<Inner>);

/// One call of a party.
#[derive(Clone)]
pub struct Call {
    inner: Arc<Inner>,
    index: usize,
}

impl Party {
    /// Listens on a free port of the loopback interface. `hz` is the tone that its calls send.
    pub fn start(law: Law, hz: Option<f32>) -> Party {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port on loopback");
        socket
            .set_read_timeout(Some(Duration::from_millis(50)))
            .expect("a timeout above zero");
        let inner = Arc::new(Inner {
            socket,
            law,
            hz,
            state: Mutex::default(),
            changed: Condvar::new(),
            stop: AtomicBool::new(false),
            minted: AtomicU32::new(1),
            plain: AtomicBool::new(false),
        });
        let shared = Arc::clone(&inner);
        std::thread::spawn(move || shared.run());
        Party(inner)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// From now on it answers nothing at all.
    pub fn be_silent(&self) {
        self.0.state().silent = true;
    }

    /// From now on it describes no telephone events: its keys are tones, or INFO.
    pub fn has_no_events(&self) {
        self.0.plain.store(true, Ordering::Relaxed);
    }

    /// OPTIONS that it has answered so far.
    pub fn options(&self) -> u32 {
        self.0.state().options
    }

    /// Calls that the party has seen so far.
    pub fn calls(&self) -> Vec<Call> {
        let n = self.0.state().legs.len();
        (0..n).map(|index| self.call(index)).collect()
    }

    fn call(&self, index: usize) -> Call {
        Call {
            inner: Arc::clone(&self.0),
            index,
        }
    }

    /// Waits for the `n`th call, from 0.
    pub fn nth_call(&self, n: usize) -> Call {
        self.0.wait("an INVITE", SOON, |s| (s.legs.len() > n).then_some(()));
        self.call(n)
    }

    /// Waits for the first call.
    pub fn first_call(&self) -> Call {
        self.nth_call(0)
    }

    /// Calls a number at the platform.
    pub fn dial(&self, platform: SocketAddr, from: &str, to: &str) -> Call {
        let inner = &self.0;
        let line = Line::open(inner.law, inner.hz);
        let n = inner.minted.fetch_add(1, Ordering::Relaxed);
        let me = inner.address();
        let tag = format!("u{n}");
        let sdp = inner.sdp(&line, "sendrecv");
        let text = finish(
            format!(
                "INVITE sip:{to}@{platform} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bKp{n}-{}\r\nFrom: <sip:{from}@{me}>;tag={tag}\r\n\
                 To: <sip:{to}@{platform}>\r\nCall-ID: party-{n}-{}@{me}\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContact: <sip:party@{me}>\r\n",
                me.port(),
                std::process::id()
            ),
            Some(&sdp),
        );
        let invite = Message::parse(text.as_bytes()).expect("a well-formed INVITE");
        let mut state = inner.state();
        state.legs.push(Leg {
            call_id: invite.get("Call-ID").to_owned(),
            incoming: false,
            tag,
            target: invite.uri().to_owned(),
            theirs: invite.get("To").to_owned(),
            cseq: 1,
            line,
            invite,
            answered: false,
            acked: false,
            ended: None,
            responses: Vec::new(),
            requests: Vec::new(),
            unacked: None,
        });
        let index = state.legs.len() - 1;
        drop(state);
        inner.send(&text, platform);
        self.call(index)
    }
}

impl Drop for Party {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Relaxed);
        for leg in &self.0.state().legs {
            leg.line.stop();
        }
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test thread panicked here")
    }

    fn wait<T>(&self, what: &str, patience: Duration, found: impl FnMut(&mut State) -> Option<T>) -> T {
        wait::on(&self.changed, self.state(), what, patience, found)
    }

    fn address(&self) -> SocketAddr {
        self.socket.local_addr().expect("a bound socket has an address")
    }

    fn send(&self, text: &str, to: SocketAddr) {
        self.socket
            .send_to(text.as_bytes(), to)
            .expect("loopback takes a datagram");
    }

    fn sdp(&self, line: &Line, direction: &str) -> String {
        let port = line.port();
        let first = if line.law() == Law::A { "8 PCMA" } else { "0 PCMU" };
        let pt = &first[..1];
        let (more, events) = if !self.plain.load(Ordering::Relaxed) {
            let events = format!("a=rtpmap:{EVENT_PT} telephone-event/8000\r\na=fmtp:{EVENT_PT} 0-15\r\n");
            (format!(" {EVENT_PT}"), events)
        } else {
            (String::new(), String::new())
        };
        format!(
            "v=0\r\no=party {port} {} IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP {pt}{more}\r\n\
             a=rtpmap:{first}/8000\r\n{events}a=ptime:20\r\na={direction}\r\n",
            self.minted.fetch_add(1, Ordering::Relaxed)
        )
    }

    fn contact(&self) -> String {
        format!("Contact: <sip:party@{}>\r\n", self.address())
    }

    fn run(&self) {
        let mut buffer = [0; 8192];
        while !self.stop.load(Ordering::Relaxed) {
            self.send_again();
            if let Ok((n, from)) = self.socket.recv_from(&mut buffer)
                && let Some(message) = Message::parse(&buffer[..n])
            {
                match message.status() {
                    Some(status) => self.response(&message, status, from),
                    None => self.request(message, from),
                }
                self.changed.notify_all();
            }
        }
    }

    fn send_again(&self) {
        let now = Instant::now();
        for leg in &mut self.state().legs {
            let Some(unacked) = &mut leg.unacked else { continue };
            if leg.acked || now >= unacked.until {
                leg.unacked = None;
            } else if now >= unacked.next {
                unacked.interval = (unacked.interval * 2).min(Duration::from_secs(4));
                unacked.next = now + unacked.interval;
                self.send(&unacked.text, unacked.to);
            }
        }
    }

    fn reply(&self, state: &mut State, request: &Message, text: String, to: SocketAddr) {
        self.send(&text, to);
        state
            .answers
            .insert(format!("{} {}", request.branch(), request.method()), text);
    }

    fn request(&self, message: Message, from: SocketAddr) {
        let mut guard = self.state();
        let state = &mut *guard;
        if state.silent {
            return;
        }
        let method = message.method().to_owned();
        if let Some(text) = state.answers.get(&format!("{} {method}", message.branch())) {
            self.send(text, from);
            return;
        }
        if method == "OPTIONS" {
            state.options += 1;
            let text = message.answer("200 OK", Some("options"), "", None);
            self.reply(state, &message, text, from);
            return;
        }
        let known = state.legs.iter().position(|l| l.call_id == message.get("Call-ID"));
        let Some(index) = known else {
            if method == "INVITE" {
                self.new_call(state, message, from);
            } else if method != "ACK" {
                let text = message.answer("481 Call/Transaction Does Not Exist", Some("gone"), "", None);
                self.reply(state, &message, text, from);
            }
            return;
        };
        let leg = &mut state.legs[index];
        leg.requests.push(message.clone());
        let mut answer = None;
        match method.as_str() {
            "ACK" => leg.acked = true,
            "BYE" => {
                leg.ended.get_or_insert((Ended::Bye, Instant::now()));
                leg.line.send_to(None);
                answer = Some(message.answer("200 OK", None, "", None));
            }
            "CANCEL" => {
                answer = Some(message.answer("200 OK", Some(&leg.tag), "", None));
                if !leg.answered {
                    leg.answered = true;
                    leg.ended.get_or_insert((Ended::Cancelled, Instant::now()));
                    let text = leg.invite.answer("487 Request Terminated", Some(&leg.tag), "", None);
                    self.send(&text, from);
                }
            }
            "INVITE" => {
                if let Some((remote, _)) = message.media() {
                    leg.line.send_to(Some(remote));
                }
                let sdp = self.sdp(&leg.line, "sendrecv");
                answer = Some(message.answer("200 OK", None, &self.contact(), Some(&sdp)));
            }
            _ => answer = Some(message.answer("200 OK", None, "", None)),
        }
        if let Some(text) = answer {
            self.reply(state, &message, text, from);
        }
    }

    fn new_call(&self, state: &mut State, invite: Message, from: SocketAddr) {
        let n = self.minted.fetch_add(1, Ordering::Relaxed);
        let line = Line::open(self.law, self.hz);
        let text = invite.answer("100 Trying", None, "", None);
        self.reply(state, &invite, text, from);
        state.legs.push(Leg {
            call_id: invite.get("Call-ID").to_owned(),
            incoming: true,
            tag: format!("p{n}"),
            target: uri_of(invite.get("Contact")).to_owned(),
            theirs: invite.get("From").to_owned(),
            cseq: 0,
            line,
            answered: false,
            acked: false,
            ended: None,
            responses: Vec::new(),
            requests: Vec::new(),
            unacked: None,
            invite,
        });
    }

    fn response(&self, message: &Message, status: u16, from: SocketAddr) {
        let mut state = self.state();
        let Some(leg) = state.legs.iter_mut().find(|l| l.call_id == message.get("Call-ID")) else {
            return;
        };
        leg.responses.push((message.method().to_owned(), status));
        if message.method() != "INVITE" {
            return;
        }
        if let Some((remote, _)) = message.media() {
            leg.line.send_to(Some(remote));
        }
        if status < 200 {
            if !message.get("Contact").is_empty() {
                leg.target = uri_of(message.get("Contact")).to_owned();
            }
            leg.theirs = message.get("To").to_owned();
            return;
        }
        leg.answered = true;
        let (uri, branch) = if status < 300 {
            leg.theirs = message.get("To").to_owned();
            leg.target = uri_of(message.get("Contact")).to_owned();
            (
                leg.target.clone(),
                format!("z9hG4bKack{}", self.minted.fetch_add(1, Ordering::Relaxed)),
            )
        } else {
            // The ACK of a refusal belongs to the INVITE's transaction (RFC 3261 section 17.1.1.3).
            leg.line.send_to(None);
            leg.ended.get_or_insert((Ended::Refused(status), Instant::now()));
            (leg.invite.uri().to_owned(), leg.invite.branch().to_owned())
        };
        let ack = format!(
            "ACK {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {};branch={branch}\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {} ACK\r\nMax-Forwards: 70\r\n",
            self.address(),
            message.get("From"),
            message.get("To"),
            leg.call_id,
            message.cseq()
        );
        self.send(&finish(ack, None), from);
    }
}

impl Call {
    fn with<T>(&self, f: impl FnOnce(&Inner, &mut Leg) -> T) -> T {
        let mut state = self.inner.state();
        f(&self.inner, &mut state.legs[self.index])
    }

    /// Answers the platform's INVITE; `sdp` says whether with media.
    fn respond(&self, line: &str, sdp: bool) {
        let mut state = self.inner.state();
        let leg = &mut state.legs[self.index];
        if let (true, Some((remote, _))) = (sdp, leg.invite.media()) {
            leg.line.send_to(Some(remote));
        }
        let body = sdp.then(|| self.inner.sdp(&leg.line, "sendrecv"));
        let text = leg
            .invite
            .answer(line, Some(&leg.tag), &self.inner.contact(), body.as_deref());
        let key = format!("{} INVITE", leg.invite.branch());
        let peer = sent_by(&leg.invite);
        state.answers.insert(key, text.clone());
        drop(state);
        self.inner.send(&text, peer);
    }

    /// 180.
    pub fn ring(&self) {
        self.respond("180 Ringing", false);
    }

    /// 183 with SDP; the tone is sent from now on.
    pub fn early_media(&self) {
        self.respond("183 Session Progress", true);
    }

    /// 200, sent again until the ACK comes.
    pub fn answer_without_waiting(&self) {
        self.with(|_, leg| leg.answered = true);
        self.respond("200 OK", true);
        let now = Instant::now();
        self.with(|inner, leg| {
            let sdp = inner.sdp(&leg.line, "sendrecv");
            let text = leg
                .invite
                .answer("200 OK", Some(&leg.tag), &inner.contact(), Some(&sdp));
            let interval = Duration::from_millis(500);
            leg.unacked = Some(Unacked {
                text,
                to: sent_by(&leg.invite),
                next: now + interval,
                interval,
                until: now + Duration::from_secs(32),
            });
        });
    }

    /// 200, and waits for the ACK.
    pub fn answer(&self) {
        self.answer_without_waiting();
        self.wait("the ACK", SOON, |leg| leg.acked.then_some(()));
    }

    /// A final response such as `486 Busy Here`.
    pub fn refuse(&self, line: &str) {
        self.with(|_, leg| {
            leg.answered = true;
            leg.line.send_to(None);
            leg.ended.get_or_insert((Ended::ByUs, Instant::now()));
        });
        self.respond(line, false);
    }

    fn inside(&self, method: &str, extra: &str, direction: Option<&str>) {
        self.request(method, extra, |inner, leg| {
            Some(("application/sdp", inner.sdp(&leg.line, direction?)))
        });
    }

    fn request(&self, method: &str, extra: &str, body: impl FnOnce(&Inner, &Leg) -> Option<(&'static str, String)>) {
        let (text, to) = self.with(|inner, leg| {
            leg.cseq += 1;
            let n = inner.minted.fetch_add(1, Ordering::Relaxed);
            let (ours, theirs) = if leg.incoming {
                (format!("{};tag={}", leg.invite.get("To"), leg.tag), leg.theirs.clone())
            } else {
                (leg.invite.get("From").to_owned(), leg.theirs.clone())
            };
            let head = format!(
                "{method} {} SIP/2.0\r\nVia: SIP/2.0/UDP {};branch=z9hG4bKin{n}\r\nFrom: {ours}\r\nTo: {theirs}\r\nCall-ID: {}\r\n\
                 CSeq: {} {method}\r\nMax-Forwards: 70\r\n{}{extra}",
                leg.target,
                inner.address(),
                leg.call_id,
                leg.cseq,
                inner.contact()
            );
            let body = body(inner, leg);
            let body = body.as_ref().map(|(kind, body)| (*kind, body.as_str()));
            (finish_with(head, body), host_of(&leg.target))
        });
        self.inner.send(&text, to);
    }

    /// Reports a key by INFO with `application/dtmf-relay`.
    pub fn info(&self, key: char) {
        let body = format!("Signal={key}\r\nDuration=160\r\n");
        self.request("INFO", "", |_, _| Some(("application/dtmf-relay", body)));
    }

    /// Sends a BYE. Its own call must have been answered: the answer may still be on its way to it.
    pub fn hang_up(&self) {
        self.wait("a dialog", SOON, |leg| {
            (leg.incoming || leg.theirs.contains("tag=")).then_some(())
        });
        self.with(|_, leg| {
            leg.ended.get_or_insert((Ended::ByUs, Instant::now()));
            leg.line.send_to(None);
        });
        self.inside("BYE", "", None);
    }

    /// Sends a re-INVITE with this direction, `sendonly` to hold, and waits for its 200.
    pub fn reinvite(&self, direction: &str) {
        let before = self.accepted("INVITE");
        self.inside("INVITE", "", Some(direction));
        self.wait("the 200 to a re-INVITE", SOON, |leg| {
            let n = leg
                .responses
                .iter()
                .filter(|(m, s)| m == "INVITE" && (200..300).contains(s))
                .count();
            (n > before).then_some(())
        });
    }

    /// Sends a CANCEL for the party's own INVITE.
    pub fn cancel(&self) {
        let (text, to) = self.with(|inner, leg| {
            let i = &leg.invite;
            let head = format!(
                "CANCEL {} SIP/2.0\r\nVia: SIP/2.0/UDP {};branch={}\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: 1 CANCEL\r\nMax-Forwards: 70\r\n",
                i.uri(),
                inner.address(),
                i.branch(),
                i.get("From"),
                i.get("To"),
                leg.call_id
            );
            (finish(head, None), host_of(i.uri()))
        });
        self.inner.send(&text, to);
    }

    fn accepted(&self, method: &str) -> usize {
        self.with(|_, leg| {
            leg.responses
                .iter()
                .filter(|(m, s)| m == method && (200..300).contains(s))
                .count()
        })
    }

    fn wait<T>(&self, what: &str, patience: Duration, mut found: impl FnMut(&mut Leg) -> Option<T>) -> T {
        self.inner.wait(what, patience, |s| found(&mut s.legs[self.index]))
    }

    /// Waits for a response to the party's request.
    pub fn wait_response(&self, method: &str, status: u16, patience: Duration) {
        self.wait(&format!("{status} to {method}"), patience, |leg| {
            leg.responses
                .iter()
                .any(|(m, s)| m == method && *s == status)
                .then_some(())
        });
    }

    /// Waits until the call is over, and says how and when.
    pub fn wait_end(&self, patience: Duration) -> (Ended, Instant) {
        self.wait("the end of a call", patience, |leg| leg.ended)
    }

    /// How it ended, if it has.
    pub fn ended(&self) -> Option<Ended> {
        self.with(|_, leg| leg.ended.map(|(how, _)| how))
    }

    /// Its media.
    pub fn line(&self) -> Line {
        self.with(|_, leg| leg.line.clone())
    }

    /// The number that was called, and the one that was shown.
    pub fn numbers(&self) -> (String, String) {
        self.with(|_, leg| {
            (
                user_of(leg.invite.uri()).to_owned(),
                user_of(uri_of(leg.invite.get("From"))).to_owned(),
            )
        })
    }

    /// Requests of the platform inside the call.
    pub fn requests(&self, method: &str) -> Vec<Message> {
        self.with(|_, leg| leg.requests.iter().filter(|m| m.method() == method).cloned().collect())
    }

    /// The platform's INVITE.
    pub fn invite(&self) -> Message {
        self.with(|_, leg| leg.invite.clone())
    }
}

fn sent_by(request: &Message) -> SocketAddr {
    let via = request.get("Via");
    let host = via.split([' ', ';']).nth(1).unwrap_or_default();
    let mut address: SocketAddr = host.parse().expect("the platform writes addresses on loopback");
    if let Some(port) = parameter(via, "rport").and_then(|p| p.parse().ok()) {
        address.set_port(port);
    }
    address
}

fn host_of(uri: &str) -> SocketAddr {
    let rest = uri.rsplit('@').next().unwrap_or_default().trim_start_matches("sip:");
    let host = rest.split(';').next().unwrap_or_default();
    host.parse()
        .expect("the platform writes addresses with ports on loopback")
}
