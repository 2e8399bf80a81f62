//! The far side of a WebRTC leg for tests and measurements: ICE with checks of its own, DTLS as client and SRTP, around a
//! plain RTP peer.

use std::collections::VecDeque;
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use is::stun::StunMessage;

use crate::secure::{Datagram, Identity, LocalCandidate, MAX_OVERHEAD, Peer, WebRtc, mint_credentials};
use crate::{IceCredentials, LocalWebRtc};

/// How long the thread waits for datagrams at a time: far less than a packet's length.
const LOOK: Duration = Duration::from_millis(2);

struct State {
    peer: Option<Peer>,
    outer: Arc<UdpSocket>,
    credentials: IceCredentials,
    stopped: bool,
}

/// A browser's transport. What its plain peer sends to [`Browser::inside`] goes out protected, and what comes in is handed to
/// the peer.
pub struct Browser {
    state: Arc<Mutex<State>>,
    identity: Arc<Identity>,
    inside: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn socket() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").expect("a socket for a test browser")
}

impl Browser {
    /// Around the plain peer at this address.
    ///
    /// # Panics
    /// When the system gives no socket, thread or randomness.
    pub fn start(plain: SocketAddr) -> Browser {
        let inner = socket();
        inner.connect(plain).expect("an address of this machine");
        inner.set_nonblocking(true).expect("a socket can be made non-blocking");
        let inside = inner.local_addr().expect("the address of a bound socket");
        let state = Arc::new(Mutex::new(State {
            peer: None,
            outer: Arc::new(socket()),
            credentials: mint_credentials().expect("random numbers"),
            stopped: false,
        }));
        let thread = std::thread::Builder::new()
            .name("test-browser".into())
            .spawn({
                let state = Arc::clone(&state);
                move || live(&state, &inner)
            })
            .expect("a thread for a test browser");
        Browser {
            state,
            identity: Arc::new(Identity::new().expect("a certificate")),
            inside,
            thread: Some(thread),
        }
    }

    /// Where its plain peer sends to.
    pub fn inside(&self) -> SocketAddr {
        self.inside
    }

    /// Takes the engine's description and begins to connect; returns what the engine is to be configured with.
    ///
    /// # Panics
    /// Without a candidate in the description.
    pub fn meet(&self, theirs: &LocalWebRtc) -> WebRtc {
        let mut state = lock(&self.state);
        let address = state.outer.local_addr().expect("the address of a bound socket");
        let config = Arc::new(towards(state.credentials.clone(), theirs));
        let now = Instant::now();
        match &mut state.peer {
            Some(peer) => peer.reconfigure(config, now),
            None => {
                let candidate = LocalCandidate { address, base: None };
                let peer = Peer::new(config, Arc::clone(&self.identity), &[candidate], false, now);
                state.peer = Some(peer);
            }
        }
        WebRtc {
            local: theirs.credentials.clone(),
            remote: state.credentials.clone(),
            fingerprint: self.identity.fingerprint.clone(),
            // Like a browser that names no address of its own: its checks tell.
            candidates: Vec::new(),
            active: false,
            controlling: false,
        }
    }

    /// Its network changes: another address and new credentials. [`Browser::meet`] comes next.
    ///
    /// # Panics
    /// When the system gives no socket or randomness.
    pub fn move_away(&self) {
        let mut state = lock(&self.state);
        state.outer = Arc::new(socket());
        state.credentials = mint_credentials().expect("random numbers");
        let address = state.outer.local_addr().expect("the address of a bound socket");
        if let Some(peer) = &mut state.peer {
            peer.move_to(address);
        }
    }
}

/// A certificate that many [`Caller`]s share: a measurement is not about making keys.
pub struct Certificate(Arc<Identity>);

impl Certificate {
    /// A new one.
    ///
    /// # Panics
    /// When the system gives no randomness.
    #[allow(clippy::new_without_default, reason = "it costs a key")]
    pub fn new() -> Certificate {
        Certificate(Arc::new(Identity::new().expect("a certificate")))
    }
}

/// A browser's transport without socket and thread, for measurements with thousands of them.
pub struct Caller(Peer);

impl Caller {
    /// Takes the engine's description and begins to connect from this address; returns what the engine is to be configured
    /// with.
    ///
    /// # Panics
    /// When the system gives no randomness.
    pub fn meet(certificate: &Certificate, theirs: &LocalWebRtc, address: SocketAddr) -> (Caller, WebRtc) {
        let own = mint_credentials().expect("random numbers");
        let config = Arc::new(towards(own.clone(), theirs));
        let candidate = LocalCandidate { address, base: None };
        let peer = Peer::new(config, Arc::clone(&certificate.0), &[candidate], false, Instant::now());
        let agreed = WebRtc {
            local: theirs.credentials.clone(),
            remote: own,
            fingerprint: certificate.0.fingerprint.clone(),
            candidates: Vec::new(),
            active: false,
            controlling: false,
        };
        (Caller(peer), agreed)
    }

    /// True once it has keys.
    pub fn is_connected(&self) -> bool {
        self.0.is_connected()
    }

    /// Runs its deadlines and sends what it has to send.
    pub fn poll(&mut self, send: &mut dyn FnMut(SocketAddr, &[u8])) {
        let now = Instant::now();
        if self.0.due().is_some_and(|due| due <= now) {
            self.0.on_time(now);
        }
        self.0.flush(now, send);
        self.0.changes();
    }

    /// Takes a datagram; the length of the RTP packet that it has become, if it is one.
    pub fn arrived(&mut self, datagram: &mut [u8], from: SocketAddr) -> Option<usize> {
        match Datagram::of(datagram)? {
            Datagram::Stun => {
                if let Ok(message) = StunMessage::parse(datagram) {
                    self.0.on_stun(message, from, Instant::now());
                }
                None
            }
            Datagram::Dtls => {
                self.0.on_dtls(datagram, from, Instant::now());
                None
            }
            Datagram::Rtp => self.0.unprotect_rtp(datagram),
            Datagram::Rtcp => None,
        }
    }

    /// Protects the RTP packet of `length` octets at the beginning of a buffer that has room for more; its new length, and
    /// where it goes.
    pub fn protect(&mut self, buffer: &mut [u8], length: usize) -> Option<(usize, SocketAddr)> {
        let to = self.0.destination()?;
        Some((self.0.protect_rtp(buffer, length)?, to))
    }
}

/// What a browser with these credentials makes of the engine's description.
fn towards(own: IceCredentials, theirs: &LocalWebRtc) -> WebRtc {
    let candidates = theirs.candidates.iter().zip(1..);
    WebRtc {
        local: own,
        remote: theirs.credentials.clone(),
        fingerprint: theirs.fingerprint.clone(),
        candidates: candidates
            .map(|(c, n)| {
                format!(
                    "candidate:{n} 1 udp 2130706431 {} {} typ host",
                    c.address.ip(),
                    c.address.port()
                )
            })
            .collect(),
        active: true,
        controlling: true,
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        lock(&self.state).stopped = true;
        if let Some(thread) = self.thread.take() {
            // One that panicked has printed why.
            let _ = thread.join();
        }
    }
}

fn live(state: &Mutex<State>, inner: &UdpSocket) {
    let mut buffer = [0u8; 2048 + MAX_OVERHEAD];
    loop {
        let outer = {
            let state = lock(state);
            if state.stopped {
                return;
            }
            Arc::clone(&state.outer)
        };
        outer.set_read_timeout(Some(LOOK)).expect("a timeout above zero");
        let received = outer.recv_from(&mut buffer);
        let mut state = lock(state);
        let now = Instant::now();
        let Some(peer) = &mut state.peer else { continue };
        if let Ok((length, from)) = received {
            arrived(peer, &mut buffer[..length], from, inner, now);
        }
        while let Ok(length) = inner.recv(&mut buffer[..2048]) {
            if let (Some(length), Some(to)) = (peer.protect_rtp(&mut buffer, length), peer.destination()) {
                // A refused packet is a lost packet, as on any network.
                let _ = outer.send_to(&buffer[..length], to);
            }
        }
        if peer.due().is_some_and(|due| due <= now) {
            peer.on_time(now);
        }
        let mut out = VecDeque::new();
        peer.flush(now, &mut |to, datagram| out.push_back((to, datagram.to_vec())));
        peer.changes();
        for (to, datagram) in out {
            let _ = outer.send_to(&datagram, to);
        }
    }
}

fn arrived(peer: &mut Peer, datagram: &mut [u8], from: SocketAddr, inner: &UdpSocket, now: Instant) {
    match Datagram::of(datagram) {
        Some(Datagram::Stun) => {
            if let Ok(message) = StunMessage::parse(datagram) {
                peer.on_stun(message, from, now);
            }
        }
        Some(Datagram::Dtls) => peer.on_dtls(datagram, from, now),
        Some(Datagram::Rtp) => {
            if let Some(length) = peer.unprotect_rtp(datagram) {
                let _ = inner.send(&datagram[..length]);
            }
        }
        Some(Datagram::Rtcp) | None => {}
    }
}
