//! A SIP node on the `sip` crate alone, without journal, media and resources: it answers calls itself, or passes them on
//! as a back-to-back user agent of two dialogs. Benches measure what signalling costs with it; the take-over tests kill
//! one and let another go on with its dialogs.
//!
//! ```text
//! sip_node LISTEN [--to ADDRESS] [--transport udp|tcp|tls|ws|wss] [--certificate PEM --key PEM]
//!          [--journal FILE] [--session SECONDS]
//! ```
//!
//! Without `--to` it answers. With a journal it appends both dialogs of a call before it answers the caller, and at its
//! start takes over those that the file says are open, and sends each peer an INFO. It prints `ready ADDRESS` when it
//! listens, and ends with its standard input.

use bytes::Bytes;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use strowger_sip::core::{
    AckMode, Command, ConfirmedSnapshot, DialogExtras, DialogHandle, DialogSnapshot, IncomingInvite, Invite, Party,
    SessionTimer, SipEvent, Target, Transport,
};
use strowger_sip::{
    Bind, ClientCertificates, Endpoint, EndpointConfig, EndpointHandle, EventSink, Placement, TlsSettings, Verify,
};

/// What an answering node says.
const SDP: &[u8] =
    b"v=0\r\no=node 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 39996 RTP/AVP 8 101\r\n\
a=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n";

/// Why a node did not start.
pub type Problem = Box<dyn std::error::Error + Send + Sync>;

struct Options {
    listen: SocketAddr,
    transport: Transport,
    tls: Option<Arc<TlsSettings>>,
    to: Option<SocketAddr>,
    journal: Option<PathBuf>,
    session: Option<u32>,
}

fn options(words: &[String]) -> Result<Options, Problem> {
    let after = |name: &str| words.iter().position(|w| w == name).and_then(|i| words.get(i + 1));
    let transport = match after("--transport").map(String::as_str) {
        None | Some("udp") => Transport::Udp,
        Some("tcp") => Transport::Tcp,
        Some("tls") => Transport::Tls,
        Some("ws") => Transport::Ws,
        Some("wss") => Transport::Wss,
        Some(other) => return Err(format!("no transport {other}").into()),
    };
    let tls = after("--certificate").zip(after("--key")).map(|(certificate, key)| {
        Arc::new(TlsSettings {
            certificate: certificate.into(),
            key: key.into(),
            clients: ClientCertificates::Ignored,
            verify: Verify::Off,
        })
    });
    Ok(Options {
        listen: words.first().ok_or("where to listen?")?.parse()?,
        transport,
        tls,
        to: after("--to").map(|to| to.parse()).transpose()?,
        journal: after("--journal").map(PathBuf::from),
        session: after("--session").map(|s| s.parse()).transpose()?,
    })
}

/// Runs a node until its standard input ends.
///
/// # Errors
/// The words are wrong, the address is taken, or the journal cannot be read.
pub fn run(words: &[String]) -> Result<(), Problem> {
    let options = options(words)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let _endpoint = start(&options)?;
        let (done, ended) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            // Whoever started the node holds the other end: when that is gone, so is the reason to live.
            let _ = std::io::stdin().lock().read_to_end(&mut Vec::new());
            let _ = done.send(());
        });
        let _ = ended.await;
        Ok(())
    })
}

fn start(options: &Options) -> Result<EndpointHandle, Problem> {
    let mut config = EndpointConfig::udp(options.listen, seed()?);
    let mut bind = Bind::new(options.transport, options.listen);
    bind.tls.clone_from(&options.tls);
    config.binds = vec![bind];
    config.placement = Placement::Task;
    config.commands = 65_536;
    config.limits.write_queue = 64 << 20;
    config.limits.per_source = 65_536;
    config.stack.product = "strowger-node".into();
    if let Some(seconds) = options.session {
        // A test cannot wait for the 90 s that RFC 4028 has as the least.
        (config.stack.session.expires, config.stack.session.min_se) = (seconds, seconds);
    }
    let (open, file) = match &options.journal {
        Some(path) => (
            read(path)?,
            Some(OpenOptions::new().create(true).append(true).open(path)?),
        ),
        None => (Vec::new(), None),
    };
    let node = Arc::new(Node {
        endpoint: OnceLock::new(),
        to: options.to,
        state: Mutex::new(State {
            legs: HashMap::new(),
            // Handles of a predecessor stay those of its dialogs.
            minted: open.iter().map(|(_, b)| b.handle.0).max().unwrap_or(0),
            file,
        }),
    });
    let endpoint = Endpoint::start(config, node.clone())?;
    let _ = node.endpoint.set(endpoint.clone());
    for (a, b) in open {
        node.take_over(a, b);
    }
    println!("ready {}", endpoint.local_addrs()[0]);
    Ok(endpoint)
}

fn seed() -> Result<[u8; 16], Problem> {
    let mut seed = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut seed)?;
    Ok(seed)
}

/// One side of a call that is passed on.
struct Leg {
    peer: DialogHandle,
    /// A re-INVITE of this side waits for what the other one says.
    asks: bool,
    /// The other side's 2xx to our INVITE waits for the ACK of this one.
    owes_ack: bool,
    /// Our 2xx waits for its ACK: no new INVITE may leave (RFC 3261 section 14.1).
    unacked: bool,
    /// A re-INVITE of the other side that came meanwhile, with its offer.
    later: Option<Option<Bytes>>,
    /// As it will be once it is confirmed; for the journal.
    snapshot: Option<Box<ConfirmedSnapshot>>,
}

impl Leg {
    fn new(peer: DialogHandle, snapshot: Option<Box<ConfirmedSnapshot>>) -> Leg {
        Leg {
            peer,
            asks: false,
            owes_ack: false,
            unacked: false,
            later: None,
            snapshot,
        }
    }
}

struct State {
    legs: HashMap<DialogHandle, Leg>,
    minted: u64,
    file: Option<File>,
}

struct Node {
    endpoint: OnceLock<EndpointHandle>,
    to: Option<SocketAddr>,
    state: Mutex<State>,
}

fn respond(handle: DialogHandle, status: u16, sdp: Option<Bytes>) -> Command {
    Command::Respond {
        handle,
        status,
        reason_phrase: None,
        headers: Vec::new(),
        sdp,
        reliable: false,
    }
}

impl EventSink for Node {
    fn event(&self, handle: DialogHandle, event: SipEvent) {
        match self.to {
            None => self.answer(handle, event),
            Some(to) => self.pass_on(to, handle, event),
        }
    }
}

impl Node {
    fn send(&self, command: Command) {
        if let Some(endpoint) = self.endpoint.get() {
            // A command that is not taken shows as a call that fails.
            let _ = endpoint.send(command);
        }
    }

    fn answer(&self, handle: DialogHandle, event: SipEvent) {
        match event {
            SipEvent::Incoming(_) | SipEvent::ReInviteReceived { .. } => {
                self.send(respond(handle, 200, Some(Bytes::from_static(SDP))));
            }
            _ => {}
        }
    }

    fn pass_on(&self, to: SocketAddr, handle: DialogHandle, event: SipEvent) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let SipEvent::Incoming(incoming) = event {
            let command = state.invite(to, handle, *incoming);
            return self.send(command);
        }
        let Some(leg) = state.legs.get_mut(&handle) else { return };
        let peer = leg.peer;
        let command = match event {
            SipEvent::Provisional { status, sdp, .. } => respond(peer, status, sdp),
            SipEvent::Answered { sdp, snapshot, .. } => {
                leg.snapshot = Some(snapshot);
                state.write_call(peer, handle);
                respond(peer, 200, sdp)
            }
            SipEvent::AckReceived { sdp } => {
                leg.unacked = false;
                if std::mem::take(&mut leg.owes_ack) {
                    Command::Ack { handle: peer, sdp }
                } else if let Some(sdp) = leg.later.take() {
                    Command::ReInvite { handle, sdp }
                } else {
                    return state.write(&json!({ "talking": handle.0 }));
                }
            }
            SipEvent::ReInviteReceived { sdp } => {
                leg.asks = true;
                match state.legs.get_mut(&peer) {
                    Some(other) if other.unacked => {
                        other.later = Some(sdp);
                        return;
                    }
                    _ => Command::ReInvite { handle: peer, sdp },
                }
            }
            SipEvent::ReInviteAnswered { sdp, ack_needed } => match state.legs.get_mut(&peer) {
                Some(other) if other.asks => {
                    other.asks = false;
                    other.owes_ack = ack_needed;
                    other.unacked = true;
                    respond(peer, 200, sdp)
                }
                _ => return,
            },
            SipEvent::ReInviteFailed { status, .. } => match state.legs.get_mut(&peer) {
                Some(other) if other.asks => {
                    other.asks = false;
                    respond(peer, status, None)
                }
                _ => return,
            },
            SipEvent::UpdateReceived { sdp, .. } => Command::Update {
                handle: peer,
                tag: None,
                sdp: Some(sdp),
            },
            SipEvent::UpdateAnswered { sdp, .. } if sdp.is_some() => Command::RespondUpdate {
                handle: peer,
                tag: None,
                status: 200,
                sdp,
            },
            SipEvent::Failed(failure) => {
                state.forget(handle, peer);
                respond(peer, failure.status.max(400), None)
            }
            SipEvent::CancelledByPeer { .. } => {
                state.forget(handle, peer);
                Command::Cancel {
                    handle: peer,
                    reason: None,
                }
            }
            SipEvent::ByeReceived { .. } | SipEvent::Ended { .. } => {
                state.forget(handle, peer);
                Command::Bye {
                    handle: peer,
                    reason: None,
                }
            }
            _ => return,
        };
        drop(state);
        self.send(command);
    }

    /// Goes on with a call of another process.
    fn take_over(&self, a: ConfirmedSnapshot, b: ConfirmedSnapshot) {
        let handles = [a.handle, b.handle];
        {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.legs.insert(a.handle, Leg::new(b.handle, None));
            state.legs.insert(b.handle, Leg::new(a.handle, None));
        }
        for snapshot in [a, b] {
            self.send(Command::Import {
                snapshot: Box::new(DialogSnapshot::Confirmed(snapshot)),
                credentials: None,
            });
        }
        for handle in handles {
            self.send(Command::Info {
                handle,
                content_type: "text/plain".into(),
                body: Bytes::from_static(b"taken over"),
            });
        }
    }
}

impl State {
    /// The second leg of a call that came in.
    fn invite(&mut self, to: SocketAddr, handle: DialogHandle, incoming: IncomingInvite) -> Command {
        self.minted += 1;
        let (n, peer) = (self.minted, DialogHandle(self.minted));
        // The names of the incoming dialog are unguessable already.
        let stem = format!("{}{n:x}", incoming.snapshot.local_tag);
        self.legs.insert(handle, Leg::new(peer, Some(incoming.snapshot)));
        self.legs.insert(peer, Leg::new(handle, None));
        Command::Invite(Box::new(Invite {
            handle: peer,
            call_id: format!("{stem}@node"),
            local_tag: stem.clone(),
            branch_stem: stem,
            request_uri: format!("sip:callee@{to}"),
            to: Party::new(format!("sip:callee@{to}")),
            from: Party::new("sip:node@127.0.0.1"),
            headers: Vec::new(),
            destination: Target {
                transport: incoming.source.transport,
                addr: to,
                flow: None,
            },
            local: None,
            sdp: incoming.sdp,
            credentials: None,
            ack: AckMode::Automatic,
            route: Vec::new(),
            contact_user: None,
            reliable: Default::default(),
        }))
    }

    fn forget(&mut self, one: DialogHandle, other: DialogHandle) {
        self.legs.remove(&one);
        self.legs.remove(&other);
        self.write(&json!({ "ended": one.0 }));
    }

    fn write_call(&mut self, a: DialogHandle, b: DialogHandle) {
        if self.file.is_none() {
            return;
        }
        let data = |handle| {
            self.legs
                .get(&handle)
                .and_then(|leg| leg.snapshot.as_deref())
                .map(encode)
        };
        let line = json!({ "a": data(a), "b": data(b) });
        self.write(&line);
    }

    /// One line on the disk. What the far side may notice leaves afterwards.
    fn write(&mut self, line: &Value) {
        if let Some(file) = &mut self.file {
            let done = writeln!(file, "{line}").and_then(|()| file.sync_data());
            done.expect("the journal takes a line");
        }
    }
}

// ---- the journal ----

/// The calls that a journal says are open.
fn read(path: &Path) -> Result<Vec<(ConfirmedSnapshot, ConfirmedSnapshot)>, Problem> {
    let mut open: Vec<(ConfirmedSnapshot, ConfirmedSnapshot)> = Vec::new();
    let Ok(file) = File::open(path) else {
        return Ok(open);
    };
    for line in BufReader::new(file).lines() {
        // The last line of a process that was killed may be half a line.
        let Ok(value) = serde_json::from_str::<Value>(&line?) else {
            continue;
        };
        if let Some(ended) = value["ended"].as_u64() {
            open.retain(|(a, b)| a.handle.0 != ended && b.handle.0 != ended);
        } else if let (Some(a), Some(b)) = (decode(&value["a"]), decode(&value["b"])) {
            open.push((a, b));
        }
    }
    Ok(open)
}

fn encode(s: &ConfirmedSnapshot) -> Value {
    let extras = &s.extras;
    let session = extras.session.map(|t| json!([t.expires, t.we_refresh]));
    let sdp = extras.local_sdp.as_ref().map(|sdp| String::from_utf8_lossy(sdp));
    json!({
        "handle": s.handle.0, "incoming": s.incoming, "call_id": s.call_id, "local_tag": s.local_tag,
        "remote_tag": s.remote_tag, "local_party": s.local_party, "remote_party": s.remote_party,
        "local_seq": s.local_seq, "remote_seq": s.remote_seq, "remote_target": s.remote_target,
        "route_set": s.route_set, "peer": s.peer.addr.to_string(), "local": s.local.to_string(),
        "branch_stem": s.branch_stem, "session": session, "peer_updates": extras.peer_updates, "sdp": sdp,
    })
}

fn decode(v: &Value) -> Option<ConfirmedSnapshot> {
    let text = |name: &str| v[name].as_str().map(str::to_owned);
    let number = |value: &Value| value.as_u64().and_then(|n| u32::try_from(n).ok());
    let routes = v["route_set"].as_array()?.iter();
    Some(ConfirmedSnapshot {
        handle: DialogHandle(v["handle"].as_u64()?),
        incoming: v["incoming"].as_bool()?,
        call_id: text("call_id")?,
        local_tag: text("local_tag")?,
        remote_tag: text("remote_tag")?,
        local_party: text("local_party")?,
        remote_party: text("remote_party")?,
        local_seq: number(&v["local_seq"])?,
        remote_seq: number(&v["remote_seq"]),
        remote_target: text("remote_target")?,
        route_set: routes.filter_map(|r| r.as_str().map(str::to_owned)).collect(),
        // Connections end with their process; only datagrams outlive it.
        peer: Target::udp(text("peer")?.parse().ok()?),
        local: text("local")?.parse().ok()?,
        branch_stem: text("branch_stem")?,
        extras: DialogExtras {
            session: number(&v["session"][0]).map(|expires| SessionTimer {
                expires,
                we_refresh: v["session"][1] == json!(true),
            }),
            peer_updates: v["peer_updates"] == json!(true),
            contact_user: None,
            local_sdp: text("sdp").map(Bytes::from),
        },
    })
}
