//! Endpoints and bare peers for tests over loopback.
#![allow(dead_code)]

use bytes::Bytes;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use strowger_sip::core::*;
use strowger_sip::*;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(10);

/// A certificate authority and what it has signed, as PEM files in a folder of their own.
pub struct Authority {
    pub folder: tempfile::TempDir,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

impl Authority {
    pub fn new() -> Authority {
        let folder = tempfile::tempdir().unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        std::fs::write(folder.path().join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        let issuer = rcgen::Issuer::new(params, key);
        Authority { folder, issuer }
    }

    pub fn file(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// Writes `<file>.pem` and `<file>.key` for these names.
    pub fn issue(&self, file: &str, names: &[&str]) -> TlsSettings {
        let names = names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(names).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let (pem, key_file) = (self.file(&format!("{file}.pem")), self.file(&format!("{file}.key")));
        std::fs::write(&pem, certificate.pem()).unwrap();
        std::fs::write(&key_file, key.serialize_pem()).unwrap();
        TlsSettings {
            certificate: pem,
            key: key_file,
            clients: ClientCertificates::Ignored,
            verify: Verify::Authorities(self.file("ca.pem")),
        }
    }
}

/// The authority of a test process, and a certificate for loopback.
pub fn loopback_tls() -> Arc<TlsSettings> {
    static TLS: OnceLock<(Authority, Arc<TlsSettings>)> = OnceLock::new();
    let (_, tls) = TLS.get_or_init(|| {
        let authority = Authority::new();
        let tls = Arc::new(authority.issue("loopback", &["127.0.0.1", "::1", "localhost"]));
        (authority, tls)
    });
    tls.clone()
}

struct Sink {
    events: mpsc::Sender<(DialogHandle, SipEvent)>,
    flows: mpsc::Sender<FlowId>,
}

impl EventSink for Sink {
    fn event(&self, handle: DialogHandle, event: SipEvent) {
        self.events.try_send((handle, event)).expect("room for the event");
    }

    fn flow_closed(&self, flow: FlowId) {
        self.flows.try_send(flow).expect("room for the flow");
    }
}

/// An endpoint and what it says.
pub struct Ua {
    pub handle: EndpointHandle,
    events: mpsc::Receiver<(DialogHandle, SipEvent)>,
    flows: mpsc::Receiver<FlowId>,
}

impl Ua {
    pub fn start(
        placement: Placement,
        transport: Transport,
        addr: &str,
        change: impl FnOnce(&mut EndpointConfig),
    ) -> Ua {
        let (events, at_events) = mpsc::channel(4_096);
        let (flows, at_flows) = mpsc::channel(4_096);
        let mut config = EndpointConfig::udp(addr.parse().unwrap(), [1; 16]);
        config.placement = placement;
        config.binds[0].transport = transport;
        config.binds[0].tls = Some(loopback_tls());
        change(&mut config);
        Ua {
            handle: Endpoint::start(config, Arc::new(Sink { events, flows })).unwrap(),
            events: at_events,
            flows: at_flows,
        }
    }

    pub fn addr(&self) -> SocketAddr {
        self.handle.local_addrs()[0]
    }

    pub async fn next(&mut self) -> (DialogHandle, SipEvent) {
        timeout(PATIENCE, self.events.recv())
            .await
            .expect("an event in time")
            .expect("a sink")
    }

    pub async fn flow_closed(&mut self) -> FlowId {
        timeout(PATIENCE, self.flows.recv())
            .await
            .expect("an end in time")
            .expect("a sink")
    }

    /// The counters, once they are as they should become.
    pub async fn settled(&self, wanted: impl Fn(&EndpointStats) -> bool) -> EndpointStats {
        let looking = async {
            loop {
                let stats = self.handle.stats();
                if wanted(&stats) {
                    return stats;
                }
                tokio::task::yield_now().await;
            }
        };
        match timeout(PATIENCE, looking).await {
            Ok(stats) => stats,
            Err(_) => panic!("{:#?}", self.handle.stats()),
        }
    }

    pub fn invite(&self, n: u64, transport: Transport, to: SocketAddr) {
        let param = transport.via_token().to_ascii_lowercase();
        self.handle
            .send(Command::Invite(Box::new(Invite {
                sdp: Some(Bytes::from_static(b"v=0\r\n")),
                ..invite(
                    n,
                    &format!("sip:b@{to};transport={param}"),
                    Target {
                        transport,
                        addr: to,
                        flow: None,
                    },
                )
            })))
            .unwrap();
    }

    pub fn respond(&self, handle: DialogHandle, status: u16) {
        self.handle.send(respond(handle, status)).unwrap();
    }

    pub fn bye(&self, handle: DialogHandle) {
        self.handle.send(Command::Bye { handle, reason: None }).unwrap();
    }
}

/// An OPTIONS request that wants its answer on the connection it came by.
pub fn options(id: &str, lines: &str, body: &str) -> String {
    format!(
        "OPTIONS sip:x@test SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bK{id};rport\r\nMax-Forwards: 70\r\n\
From: <sip:a@test>;tag=1\r\nTo: <sip:b@test>\r\nCall-ID: {id}\r\nCSeq: 1 OPTIONS\r\n{lines}\r\n{body}"
    )
}

/// A masked text frame, with a mask of zeros.
pub fn ws_text(payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x81, 0x80 | 126];
    frame.extend_from_slice(&(payload.len() as u16).to_be_bytes());
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}

/// A port that nobody listens at.
pub async fn closed_port() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// The other end of a connection, byte by byte.
pub struct Peer {
    stream: Box<dyn Stream>,
    read: Vec<u8>,
}

impl Peer {
    pub fn over(stream: impl Stream + 'static) -> Peer {
        Peer {
            stream: Box::new(stream),
            read: Vec::new(),
        }
    }

    pub async fn tcp(addr: SocketAddr) -> Peer {
        Peer::over(TcpStream::connect(addr).await.unwrap())
    }

    /// A TCP connection after the handshake of RFC 7118.
    pub async fn websocket(addr: SocketAddr) -> Peer {
        let mut peer = Peer::tcp(addr).await;
        peer.write(
            b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: sip\r\n\r\n",
        )
        .await;
        let head = peer.until(b"\r\n\r\n").await;
        assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
        peer
    }

    pub async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// False when the other end has closed the connection.
    pub async fn try_write(&mut self, bytes: &[u8]) -> bool {
        // A full window means waiting for the other end to close it.
        self.stream.write_all(bytes).await.is_ok()
    }

    pub async fn read_some(&mut self) -> Vec<u8> {
        if self.read.is_empty() {
            self.fill().await;
        }
        std::mem::take(&mut self.read)
    }

    pub async fn read_exactly(&mut self, len: usize) -> Vec<u8> {
        while self.read.len() < len {
            self.fill().await;
        }
        self.read.drain(..len).collect()
    }

    async fn fill(&mut self) {
        let mut buffer = vec![0; 65_536];
        let n = timeout(PATIENCE, self.stream.read(&mut buffer))
            .await
            .expect("bytes in time")
            .expect("no error");
        assert!(n > 0, "closed after {:?}", String::from_utf8_lossy(&self.read));
        self.read.extend_from_slice(&buffer[..n]);
    }

    pub async fn until(&mut self, end: &[u8]) -> Vec<u8> {
        loop {
            if let Some(at) = self.read.windows(end.len()).position(|w| w == end) {
                return self.read.drain(..at + end.len()).collect();
            }
            self.fill().await;
        }
    }

    /// The status of the next response, which has no body.
    pub async fn status(&mut self) -> u16 {
        let head = String::from_utf8(self.until(b"\r\n\r\n").await).unwrap();
        head.split(' ')
            .nth(1)
            .and_then(|s| s.parse().ok())
            .unwrap_or_else(|| panic!("{head}"))
    }

    /// Waits for the other end to close and returns what it said until then.
    pub async fn closed(&mut self) -> Vec<u8> {
        let mut rest = std::mem::take(&mut self.read);
        // An error is an end, too: a reset.
        let _ = timeout(PATIENCE, self.stream.read_to_end(&mut rest))
            .await
            .expect("an end in time");
        rest
    }
}

pub fn invite(n: u64, uri: &str, destination: Target) -> Invite {
    Invite {
        handle: DialogHandle(n),
        call_id: format!("{n}@test"),
        local_tag: format!("t{n}"),
        branch_stem: format!("s{n}"),
        request_uri: uri.to_owned(),
        to: Party::new(uri),
        from: Party::new("sip:a@test"),
        headers: Vec::new(),
        destination,
        local: None,
        sdp: None,
        credentials: None,
        ack: AckMode::Automatic,
        route: Vec::new(),
        contact_user: None,
        reliable: Default::default(),
    }
}

pub fn respond(handle: DialogHandle, status: u16) -> Command {
    Command::Respond {
        handle,
        status,
        reason_phrase: None,
        headers: Vec::new(),
        sdp: (status == 200).then(|| Bytes::from_static(b"v=0\r\n")),
        reliable: false,
    }
}
