//! Many agents at telephones and many customers, in one thread on two sockets: for loads. Agents register, ring, answer and
//! hang up by themselves; customers call a number at a rate and leave at a step of the test's choice. Both sides know of one
//! another by the caller's number, so that a customer can leave at the very moment at which its agent's telephone rings.

mod load;

pub use load::{Ended, Leaves, Load, Manner, Outcome, share_ms};

use crate::digest::{self, Challenge, Signed, User};
use crate::msg::{Message, finish, parameter, uri_of, user_of};
use crate::wait;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// A request to which nothing has come is sent again after this.
const REPEAT: Duration = Duration::from_millis(1_000);
/// Times that it is sent before its call counts as lost.
const TRIES: u32 = 12;
/// Sleep of the thread when nothing has come. It does not sleep in its sockets: whoever sends would pay for waking it.
const NAP: Duration = Duration::from_micros(100);
/// Of nobody: nothing is sent there.
const SDP: &str = "v=0\r\no=floor 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 39998 RTP/AVP 8 101\r\n\
                   a=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n";

/// A request that waits for its answer.
struct Sent {
    text: String,
    at: Instant,
    tries: u32,
}

/// A customer's call.
struct Caller {
    begun: Instant,
    leaves: Leaves,
    answered: Option<Instant>,
    rung: bool,
    /// Its agent has answered.
    helped: bool,
    /// Leaves as soon as it can: its own call has not been answered yet.
    wants: bool,
    leaving: bool,
    over: bool,
    /// The dialog's headers and target for requests of ours.
    dialog: String,
    target: String,
    sent: Option<Sent>,
}

/// A call at an agent's telephone.
struct Desk {
    agent: String,
    caller: u64,
    invite: Message,
    answered: bool,
    confirmed: bool,
    over: bool,
    /// The Reason of a CANCEL that crossed its answer.
    told: String,
    sent: Option<Sent>,
}

/// What is due later.
enum Due {
    Answer(String),
    HangUp(String),
    Leave(u64),
}

/// The telephones of agents, and of customers.
pub struct Floor {
    platform: SocketAddr,
    agents: UdpSocket,
    customers: UdpSocket,
    names: Vec<User>,
    manner: Manner,
    run: u32,
    cseq: u32,
    callers: HashMap<u64, Caller>,
    desks: HashMap<String, Desk>,
    open: BTreeSet<u64>,
    open_desks: usize,
    looked: Instant,
    due: BTreeMap<(Instant, u64), Due>,
    minted: u64,
    outcome: Outcome,
}

/// A socket on loopback with room for bursts.
fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port on loopback");
    socket.set_nonblocking(true).expect("a socket can be non-blocking");
    socket
}

impl Floor {
    /// Agents' telephones of these names and passwords, not registered yet, and customers.
    pub fn new(platform: SocketAddr, agents: Vec<User>) -> Floor {
        Floor {
            platform,
            agents: socket(),
            customers: socket(),
            names: agents,
            manner: Manner::default(),
            run: 0,
            cseq: 0,
            callers: HashMap::new(),
            desks: HashMap::new(),
            open: BTreeSet::new(),
            open_desks: 0,
            looked: Instant::now(),
            due: BTreeMap::new(),
            minted: 0,
            outcome: Outcome::default(),
        }
    }

    /// Agents are like this from now on.
    pub fn behave(&mut self, manner: Manner) {
        self.manner = manner;
    }

    fn me(socket: &UdpSocket) -> SocketAddr {
        socket.local_addr().expect("a bound socket has an address")
    }

    fn put(&self, socket: &UdpSocket, text: &str) {
        // What does not fit is lost, and sent again.
        let _ = socket.send_to(text.as_bytes(), self.platform);
    }

    fn take(socket: &UdpSocket) -> Option<Message> {
        let mut buffer = [0; 8_192];
        while let Ok((n, _)) = socket.recv_from(&mut buffer) {
            if let Some(message) = Message::parse(&buffer[..n]) {
                return Some(message);
            }
        }
        None
    }

    // --- registering ---------------------------------------------------------------------------------------------

    fn register_text(&self, n: usize, signed: &str) -> String {
        let (platform, me, name) = (self.platform, Floor::me(&self.agents), &self.names[n].name);
        let cseq = self.cseq;
        let head = format!(
            "REGISTER sip:{platform} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bKr{n}x{cseq}\r\nFrom: <sip:{name}@{platform}>;tag=r{n}\r\n\
             To: <sip:{name}@{platform}>\r\nCall-ID: reg-{n}-{}\r\nCSeq: {cseq} REGISTER\r\nMax-Forwards: 70\r\n\
             Contact: <sip:{name}@{me}>;expires=3600\r\n{signed}",
            me.port()
        );
        finish(head, None)
    }

    /// Registers all agents' telephones.
    ///
    /// # Panics
    /// If one of them is refused or has no answer in time.
    pub fn register(&mut self) {
        let end = Instant::now() + Duration::from_secs(60);
        // Challenged first, then signed; ten at a time, so that no buffer overflows.
        let all: Vec<usize> = (0..self.names.len()).collect();
        for some in all.chunks(10) {
            let mut values: HashMap<usize, String> = some.iter().map(|n| (*n, String::new())).collect();
            for _ in 0..2 {
                self.cseq += 1;
                let mut missing: BTreeSet<usize> = values.keys().copied().collect();
                let mut sent: Option<Instant> = None;
                while !missing.is_empty() {
                    assert!(Instant::now() < end, "telephones {missing:?} are not registered");
                    if sent.is_none_or(|at| at.elapsed() > REPEAT) {
                        for n in &missing {
                            self.put(&self.agents, &self.register_text(*n, &values[n]));
                        }
                        sent = Some(Instant::now());
                    }
                    let Some(answer) = Floor::take(&self.agents) else {
                        wait::pause(NAP);
                        continue;
                    };
                    let n = answer
                        .get("Call-ID")
                        .split('-')
                        .nth(1)
                        .and_then(|n| n.parse::<usize>().ok());
                    let Some(n) = n.filter(|n| answer.cseq() == self.cseq && missing.contains(n)) else {
                        continue;
                    };
                    match answer.status() {
                        Some(200) => {}
                        Some(401) if values[&n].is_empty() => {
                            let challenge = answer.all("WWW-Authenticate").find_map(Challenge::parse);
                            let challenge = challenge.expect("a challenge of Digest");
                            let uri = format!("sip:{}", self.platform);
                            let request = Signed {
                                method: "REGISTER",
                                uri: &uri,
                                body: "",
                            };
                            let signed = digest::answer(&challenge, &self.names[n], request, "auth", 1);
                            values.insert(n, format!("Authorization: {signed}\r\n"));
                        }
                        other => panic!("telephone {} is not registered: {other:?}", self.names[n].name),
                    }
                    missing.remove(&n);
                }
            }
        }
    }

    // --- a load --------------------------------------------------------------------------------------------------

    fn later(&mut self, after: Duration, due: Due) {
        self.minted += 1;
        self.due.insert((Instant::now() + after, self.minted), due);
    }

    /// Plays a load to its end.
    pub fn play(&mut self, load: &Load<'_>) -> Outcome {
        self.begin();
        let begin = Instant::now();
        let mut end = begin + load.patience;
        let mut previous: Option<u64> = None;
        while self.outcome.started < load.calls || !self.idle() {
            if Instant::now() > end {
                break;
            }
            let next = self.outcome.started;
            let due = match load.rate {
                Some(rate) => Some(begin + Duration::from_secs_f64(next as f64 / rate)),
                None => previous
                    .is_none_or(|n| self.callers.get(&n).is_none_or(|c| c.answered.is_some() || c.over))
                    .then(Instant::now),
            };
            if next < load.calls
                && let Some(due) = due.filter(|d| *d <= Instant::now())
            {
                self.outcome.lateness.push(due.elapsed());
                let leaves = load.leaves.get(next as usize % load.leaves.len().max(1));
                previous = Some(self.call(load.number, leaves.copied().unwrap_or(Leaves::Never)));
                end = Instant::now() + load.patience;
                continue;
            }
            self.step();
        }
        self.finish()
    }

    /// Goes on as agents and customers do for a time, whatever happens.
    pub fn rest(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.step();
        }
    }

    /// Begins a run that [`Floor::finish`] ends: numbers of calls begin at 0.
    pub fn begin(&mut self) {
        self.run += 1;
        self.outcome = Outcome::default();
        self.callers.clear();
        self.desks.clear();
        self.open.clear();
        self.open_desks = 0;
        self.due.clear();
        while Floor::take(&self.agents).is_some() || Floor::take(&self.customers).is_some() {}
    }

    fn idle(&self) -> bool {
        self.open.is_empty() && self.open_desks == 0
    }

    /// What came of the run; what is not over is odd.
    pub fn finish(&mut self) -> Outcome {
        let mut outcome = std::mem::take(&mut self.outcome);
        for n in &self.open {
            if let Some(c) = self.callers.get(n) {
                let how = (c.leaves, c.answered.is_some(), c.rung, c.helped, c.leaving);
                outcome.odd.push(format!(
                    "call {n} is not over (leaves, answered, rung, helped, leaving): {how:?}"
                ));
            }
        }
        for desk in self.desks.values().filter(|d| !d.over) {
            outcome.odd.push(format!(
                "call {} is not over at {} (answered: {}, confirmed: {})",
                desk.caller, desk.agent, desk.answered, desk.confirmed
            ));
        }
        outcome
    }

    /// Carries out what is due and takes what has come.
    pub fn step(&mut self) {
        let mut some = false;
        while let Some(first) = self.due.first_entry().filter(|e| e.key().0 <= Instant::now()) {
            let due = first.remove();
            some = true;
            match due {
                Due::Answer(id) => self.answer(&id),
                Due::HangUp(id) => self.hang_up(&id),
                Due::Leave(n) => self.leave(n),
            }
        }
        // A few at a time, so that calls are begun when they are due.
        for _ in 0..8 {
            let at_agents = Floor::take(&self.agents);
            let at_customers = Floor::take(&self.customers);
            if at_agents.is_none() && at_customers.is_none() {
                break;
            }
            some = true;
            if let Some(message) = at_agents {
                self.at_agent(message);
            }
            if let Some(message) = at_customers {
                self.at_customer(&message);
            }
        }
        if self.looked.elapsed() > REPEAT / 10 {
            self.looked = Instant::now();
            self.repeat();
        }
        if !some {
            wait::pause(NAP);
        }
    }

    fn repeat(&mut self) {
        let old = |s: &Option<Sent>| s.as_ref().is_some_and(|s| s.at.elapsed() > REPEAT);
        let mut again = Vec::new();
        let mut lost = Vec::new();
        let customers = self.callers.iter_mut().filter(|(_, c)| old(&c.sent));
        for (n, sent) in customers.filter_map(|(n, c)| Some((*n, c.sent.as_mut()?))) {
            again.push((true, sent.text.clone()));
            (sent.at, sent.tries) = (Instant::now(), sent.tries + 1);
            if sent.tries > TRIES {
                lost.push((Some(n), String::new()));
            }
        }
        let agents = self.desks.iter_mut().filter(|(_, d)| old(&d.sent));
        for (id, sent) in agents.filter_map(|(id, d)| Some((id, d.sent.as_mut()?))) {
            again.push((false, sent.text.clone()));
            (sent.at, sent.tries) = (Instant::now(), sent.tries + 1);
            if sent.tries > TRIES {
                lost.push((None, id.clone()));
            }
        }
        for (customer, text) in again {
            self.outcome.repeated += 1;
            self.put(if customer { &self.customers } else { &self.agents }, &text);
        }
        for (customer, id) in lost {
            match customer {
                Some(n) => self.over(n, Some("nothing came to its requests")),
                None => self.desk_over(&id, "", "nothing came to its requests"),
            }
        }
    }

    // --- customers -----------------------------------------------------------------------------------------------

    /// A customer calls; its number.
    pub fn call(&mut self, number: &str, leaves: Leaves) -> u64 {
        let n = self.outcome.started;
        self.outcome.started += 1;
        let (platform, me, run) = (self.platform, Floor::me(&self.customers), self.run);
        let head = format!(
            "INVITE sip:{number}@{platform} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bKi{run}x{n}x{0}\r\nFrom: <sip:138{n:08}@{me}>;tag=f{n}\r\n\
             To: <sip:{number}@{platform}>\r\nCall-ID: {n}-{run}-{0}\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContact: <sip:floor@{me}>\r\n",
            me.port()
        );
        let text = finish(head, Some(SDP));
        self.put(&self.customers, &text);
        let now = Instant::now();
        let caller = Caller {
            begun: now,
            leaves,
            answered: None,
            rung: false,
            helped: false,
            wants: false,
            leaving: false,
            over: false,
            dialog: String::new(),
            target: String::new(),
            sent: Some(Sent {
                text,
                at: now,
                tries: 1,
            }),
        };
        self.callers.insert(n, caller);
        self.open.insert(n);
        if leaves == Leaves::AtOnce {
            let head = format!(
                "CANCEL sip:{number}@{platform} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bKi{run}x{n}x{0}\r\nFrom: <sip:138{n:08}@{me}>;tag=f{n}\r\n\
                 To: <sip:{number}@{platform}>\r\nCall-ID: {n}-{run}-{0}\r\nCSeq: 1 CANCEL\r\nMax-Forwards: 70\r\n",
                me.port()
            );
            let cancel = finish(head, None);
            self.put(&self.customers, &cancel);
        }
        n
    }

    fn at_customer(&mut self, message: &Message) {
        let mut parts = message.get("Call-ID").split('-');
        let n = parts.next().and_then(|n| n.parse::<u64>().ok());
        let of_this_run = parts.next().and_then(|r| r.parse().ok()) == Some(self.run);
        let Some(n) = n.filter(|n| of_this_run && self.callers.contains_key(n)) else {
            if message.status().is_none() && message.method() != "ACK" {
                self.put(&self.customers, &message.answer("481 Gone", None, "", None));
            }
            return;
        };
        match (message.status(), message.method()) {
            (None, "BYE") => {
                self.put(&self.customers, &message.answer("200 OK", None, "", None));
                let Some(caller) = self.callers.get(&n) else { return };
                let odd = match caller.leaves {
                    _ if caller.leaving || caller.over => None,
                    Leaves::Never if caller.helped => None,
                    leaves => Some(format!("hung up on, {leaves:?}, helped: {}", caller.helped)),
                };
                self.over(n, odd.as_deref());
            }
            (None, "ACK") => {}
            // Hold and the like: nobody holds here, but a far side may refresh.
            (None, "INVITE" | "UPDATE") => self.put(&self.customers, &message.answer("200 OK", None, "", Some(SDP))),
            (None, _) => self.put(&self.customers, &message.answer("200 OK", None, "", None)),
            (Some(100..200), "INVITE") => {
                if let Some(c) = self.callers.get_mut(&n) {
                    c.sent = None;
                }
            }
            (Some(200), "INVITE") => self.accepted(n, message),
            (Some(status @ 300..), "INVITE") => {
                let (platform, me) = (self.platform, Floor::me(&self.customers));
                let branch = message.branch();
                let head = format!(
                    "ACK {} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch={branch}\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: 1 ACK\r\nMax-Forwards: 70\r\n",
                    format_args!("sip:{}@{platform}", user_of(uri_of(message.get("To")))),
                    message.get("From"),
                    message.get("To"),
                    message.get("Call-ID")
                );
                self.put(&self.customers, &finish(head, None));
                let cancelled = status == 487 && self.callers.get(&n).is_some_and(|c| c.leaves == Leaves::AtOnce);
                let odd = (!cancelled).then(|| format!("refused with {}", message.first));
                self.over(n, odd.as_deref());
            }
            (Some(200..), "BYE") => self.over(n, None),
            _ => {}
        }
    }

    fn accepted(&mut self, n: u64, message: &Message) {
        let Some(caller) = self.callers.get_mut(&n) else { return };
        let first = caller.answered.is_none();
        let target = uri_of(message.get("Contact")).to_owned();
        if first {
            let now = Instant::now();
            caller.answered = Some(now);
            caller.sent = None;
            caller.dialog = format!(
                "From: {}\r\nTo: {}\r\nCall-ID: {}\r\n",
                message.get("From"),
                message.get("To"),
                message.get("Call-ID")
            );
            caller.target.clone_from(&target);
            self.outcome.accepted += 1;
            self.outcome.setup.push(now - caller.begun);
            if caller.rung {
                self.outcome.ring_after_answer.push(Duration::ZERO);
            }
        }
        let (leaves, dialog) = (caller.leaves, caller.dialog.clone());
        let wants = caller.wants;
        let me = Floor::me(&self.customers);
        let head = format!(
            "ACK {target} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bKa{}x{n}\r\n{dialog}CSeq: 1 ACK\r\nMax-Forwards: 70\r\n",
            self.run
        );
        self.put(&self.customers, &finish(head, None));
        if first && (wants || matches!(leaves, Leaves::AtOnce | Leaves::Waiting)) {
            self.leave(n);
        }
    }

    fn leave(&mut self, n: u64) {
        let me = Floor::me(&self.customers);
        let run = self.run;
        let Some(caller) = self.callers.get_mut(&n) else { return };
        if caller.leaving || caller.over {
            return;
        }
        caller.wants = true;
        if caller.answered.is_none() {
            return;
        }
        caller.leaving = true;
        let head = format!(
            "BYE {} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bKb{run}x{n}\r\n{}CSeq: 2 BYE\r\nMax-Forwards: 70\r\n",
            caller.target, caller.dialog
        );
        let text = finish(head, None);
        caller.sent = Some(Sent {
            text: text.clone(),
            at: Instant::now(),
            tries: 1,
        });
        self.put(&self.customers, &text);
    }

    fn over(&mut self, n: u64, odd: Option<&str>) {
        let Some(caller) = self.callers.get_mut(&n) else { return };
        caller.sent = None;
        if std::mem::replace(&mut caller.over, true) {
            return;
        }
        self.open.remove(&n);
        match odd {
            None => self.outcome.well += 1,
            Some(odd) => self.outcome.odd.push(format!("call {n}: {odd}")),
        }
    }

    // --- agents --------------------------------------------------------------------------------------------------

    fn at_agent(&mut self, message: Message) {
        let id = message.get("Call-ID").to_owned();
        match (message.status(), message.method()) {
            (None, "INVITE") => self.rings(id, message),
            (None, "ACK") => {
                let (talks, together) = (self.manner.talks, self.manner.together);
                let Some(desk) = self.desks.get_mut(&id) else { return };
                desk.sent = None;
                if !desk.answered || std::mem::replace(&mut desk.confirmed, true) {
                    return;
                }
                let caller = desk.caller;
                let leaves = self.callers.get_mut(&caller).map(|c| {
                    c.helped = true;
                    c.leaves
                });
                match leaves {
                    Some(Leaves::Talking) => self.later(talks, Due::Leave(caller)),
                    // The caller of another run, or one that goes by itself.
                    Some(Leaves::Never) | None if together <= 1 => self.later(talks, Due::HangUp(id)),
                    _ => {}
                }
            }
            (None, "CANCEL") => {
                self.put(&self.agents, &message.answer("200 OK", Some("a"), "", None));
                let Some(desk) = self.desks.get_mut(&id) else { return };
                if desk.answered || desk.over {
                    desk.told = message.get("Reason").to_owned();
                    return;
                }
                let text = desk.invite.answer("487 Request Terminated", Some("a"), "", None);
                let reason = message.get("Reason").to_owned();
                self.put(&self.agents, &text);
                self.desk_over(&id, "CANCEL", &reason);
            }
            (None, "BYE") => {
                self.put(&self.agents, &message.answer("200 OK", None, "", None));
                let reason = message.get("Reason").to_owned();
                self.desk_over(&id, "BYE", &reason);
            }
            (None, _) => self.put(&self.agents, &message.answer("200 OK", Some("a"), "", None)),
            (Some(200..), "BYE") => self.desk_over(&id, "", ""),
            _ => {}
        }
    }

    fn rings(&mut self, id: String, invite: Message) {
        if let Some(desk) = self.desks.get(&id) {
            // Sent again, or a refresh of a talk.
            let line = if desk.answered { "200 OK" } else { "180 Ringing" };
            let text = self.desk_answer(&invite, &desk.agent, line);
            return self.put(&self.agents, &text);
        }
        let agent = user_of(invite.uri()).to_owned();
        let from = user_of(uri_of(invite.get("From")));
        // As it was dialled, or in the form of the platform.
        let digits = from.trim_start_matches("+86").trim_start_matches("138");
        let caller: u64 = digits.parse().unwrap_or(u64::MAX);
        let text = self.desk_answer(&invite, &agent, "180 Ringing");
        self.put(&self.agents, &text);
        let desk = Desk {
            agent,
            caller,
            invite,
            answered: false,
            confirmed: false,
            over: false,
            told: String::new(),
            sent: None,
        };
        self.desks.insert(id.clone(), desk);
        self.open_desks += 1;
        self.outcome.rung.push(caller);
        if let Some(c) = self.callers.get_mut(&caller)
            && !std::mem::replace(&mut c.rung, true)
        {
            self.outcome.to_ring.push(c.begun.elapsed());
            if let Some(answered) = c.answered {
                self.outcome.ring_after_answer.push(answered.elapsed());
            }
            if c.leaves == Leaves::Ringing {
                self.leave(caller);
            }
        }
        let leaves = self.callers.get(&caller).map(|c| c.leaves);
        if self.manner.together > 1 {
            let rings = self
                .desks
                .iter()
                .filter(|(_, d)| d.caller == caller && !d.answered && !d.over);
            let ringing: Vec<String> = rings.map(|(id, _)| id.clone()).collect();
            if ringing.len() >= self.manner.together {
                for id in ringing {
                    self.answer(&id);
                }
            }
        } else if leaves == Some(Leaves::Answering) || self.manner.rings.is_zero() && leaves != Some(Leaves::Ringing) {
            self.answer(&id);
        } else {
            // A telephone whose caller leaves meanwhile is not answered.
            let rings = self.manner.rings.max(Duration::from_millis(200));
            self.later(rings, Due::Answer(id));
        }
    }

    fn desk_answer(&self, invite: &Message, agent: &str, line: &str) -> String {
        let me = Floor::me(&self.agents);
        let contact = format!("Contact: <sip:{agent}@{me}>\r\n");
        let sdp = line.starts_with("200").then_some(SDP);
        invite.answer(line, Some("a"), &contact, sdp)
    }

    fn answer(&mut self, id: &str) {
        let Some(desk) = self.desks.get(id).filter(|d| !d.answered && !d.over) else {
            return;
        };
        let caller = desk.caller;
        let text = self.desk_answer(&desk.invite, &desk.agent, "200 OK");
        self.put(&self.agents, &text);
        if let Some(desk) = self.desks.get_mut(id) {
            desk.answered = true;
            desk.sent = Some(Sent {
                text,
                at: Instant::now(),
                tries: 1,
            });
        }
        if self.callers.get(&caller).is_some_and(|c| c.leaves == Leaves::Answering) {
            self.leave(caller);
        }
    }

    fn hang_up(&mut self, id: &str) {
        let me = Floor::me(&self.agents);
        let Some(desk) = self.desks.get_mut(id).filter(|d| d.confirmed && !d.over) else {
            return;
        };
        let invite = &desk.invite;
        let to = invite.get("To");
        let ours = if parameter(to, "tag").is_some() {
            to.to_owned()
        } else {
            format!("{to};tag=a")
        };
        let head = format!(
            "BYE {} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bKh{}\r\nFrom: {ours}\r\nTo: {}\r\nCall-ID: {id}\r\nCSeq: 1 BYE\r\nMax-Forwards: 70\r\n",
            uri_of(invite.get("Contact")),
            id.chars().filter(char::is_ascii_alphanumeric).collect::<String>(),
            invite.get("From"),
        );
        let text = finish(head, None);
        desk.sent = Some(Sent {
            text: text.clone(),
            at: Instant::now(),
            tries: 1,
        });
        self.put(&self.agents, &text);
    }

    fn desk_over(&mut self, id: &str, by: &str, reason: &str) {
        let Some(desk) = self.desks.get_mut(id) else { return };
        desk.sent = None;
        if std::mem::replace(&mut desk.over, true) {
            return;
        }
        self.open_desks -= 1;
        let ended = Ended {
            agent: desk.agent.clone(),
            by: by.to_owned(),
            reason: if reason.is_empty() {
                desk.told.clone()
            } else {
                reason.to_owned()
            },
        };
        self.outcome.ends.entry(desk.caller).or_default().push(ended);
    }
}
