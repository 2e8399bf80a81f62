//! The far side of a WebRTC leg: its ICE agent, its DTLS session and its SRTP contexts. Time and datagrams go in, datagrams
//! come out; the shard owns the socket.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use is::stun::{StunMessage, StunPacket};
use is::{Candidate, IceAgent, IceAgentEvent, IceConnectionState, IceCreds, Protocol};

use super::{Context, Identity, LocalCandidate, MAX_OVERHEAD, MasterKey, Suite, WebRtc};

/// Largest DTLS record that is written.
const DTLS_BUFFER: usize = 2048;
/// Candidates of the far side that are taken; a browser has a handful.
const MAX_CANDIDATES: usize = 32;

/// What has become of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Media can flow.
    Connected,
    /// Checks do not come, or are not answered, any more; it may come back.
    Lost,
    /// A path is there again.
    Found,
    /// The handshake failed: nothing comes of this session.
    Failed(&'static str),
    /// The far side closed the session.
    Closed,
}

/// DTLS, from its beginning to the keys.
enum Dtls {
    /// Waits for a path.
    Waiting,
    /// Under way or done.
    Running(Box<dimpl::Dtls>),
    /// Failed or closed.
    Over,
}

pub(crate) struct Peer {
    config: Arc<WebRtc>,
    identity: Arc<Identity>,
    agent: IceAgent,
    /// What the agent takes for the address at which datagrams arrive.
    local: SocketAddr,
    dtls: Dtls,
    dtls_due: Option<Instant>,
    verified: bool,
    /// Towards the far side, and from it.
    session: Option<Box<(Context, Context)>>,
    /// Where the agent sends.
    nominated: Option<SocketAddr>,
    /// Where the last handshake message came from, until a pair is nominated.
    heard: Option<SocketAddr>,
    lost: bool,
    changes: Vec<Change>,
}

impl Peer {
    pub(crate) fn new(
        config: Arc<WebRtc>,
        identity: Arc<Identity>,
        candidates: &[LocalCandidate],
        lite: bool,
        now: Instant,
    ) -> Peer {
        let mut agent = IceAgent::new(creds(&config.local));
        agent.set_ice_lite(lite);
        agent.set_controlling(config.controlling && !lite);
        let mut local = None;
        for candidate in candidates {
            let base = candidate.base.unwrap_or(candidate.address);
            local.get_or_insert(base);
            // With lite ICE both are host candidates: the translator in front of us maps one onto the other, which the
            // far side does not see.
            let made = match candidate.base {
                Some(base) if !lite => Candidate::server_reflexive(candidate.address, base, Protocol::Udp),
                _ => Candidate::host(candidate.address, Protocol::Udp),
            };
            match made {
                Ok(candidate) => drop(agent.add_local_candidate(candidate)),
                Err(error) => tracing::warn!(%error, "an address of ours is no ICE candidate"),
            }
        }
        let mut peer = Peer {
            identity,
            agent,
            local: local.unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0))),
            dtls: Dtls::Waiting,
            dtls_due: None,
            verified: false,
            session: None,
            nominated: None,
            heard: None,
            lost: false,
            changes: Vec::new(),
            config: Arc::clone(&config),
        };
        peer.meet(&config, now);
        peer
    }

    /// Tells the agent who the far side is.
    fn meet(&mut self, config: &WebRtc, now: Instant) {
        self.agent.set_remote_credentials(creds(&config.remote));
        for line in config.candidates.iter().take(MAX_CANDIDATES) {
            // Names of mDNS cannot be read; the far side's checks tell where it is.
            if let Ok(candidate) = Candidate::from_sdp_string(line) {
                self.agent.add_remote_candidate(candidate);
            }
        }
        self.agent.handle_timeout(now);
    }

    /// Takes over what was agreed anew.
    pub(crate) fn reconfigure(&mut self, config: Arc<WebRtc>, now: Instant) {
        let before = std::mem::replace(&mut self.config, Arc::clone(&config));
        if before.local != config.local || before.remote != config.remote {
            self.agent.ice_restart(creds(&config.local), true);
            self.agent.set_controlling(config.controlling && !self.agent.ice_lite());
            self.meet(&config, now);
        } else if before.candidates != config.candidates {
            self.meet(&config, now);
        }
        if before.fingerprint != config.fingerprint || before.active != config.active {
            self.dtls = Dtls::Waiting;
            self.dtls_due = None;
            self.verified = false;
            self.session = None;
            self.heard = None;
        }
    }

    pub(crate) fn ufrag(&self) -> &str {
        &self.config.local.ufrag
    }

    /// True with a path and keys.
    pub(crate) fn is_connected(&self) -> bool {
        self.session.is_some()
    }

    /// Where media goes to.
    pub(crate) fn destination(&self) -> Option<SocketAddr> {
        self.nominated.or(self.heard)
    }

    /// Our own address has changed. Of the engine it never does; of a browser in tests it may.
    pub(crate) fn move_to(&mut self, address: SocketAddr) {
        let old = std::mem::replace(&mut self.local, address);
        for (address, ours) in [(old, false), (address, true)] {
            match Candidate::host(address, Protocol::Udp) {
                Ok(candidate) if ours => drop(self.agent.add_local_candidate(candidate)),
                Ok(candidate) => drop(self.agent.invalidate_candidate(&candidate)),
                Err(error) => tracing::warn!(%error, "an address of ours is no ICE candidate"),
            }
        }
    }

    /// True if the message answers a check of ours, or is a check for us.
    pub(crate) fn expects(&self, message: &StunMessage<'_>) -> bool {
        self.agent.accepts_message(message)
    }

    /// True if the message belongs to this peer and is genuine: then its source is the far side.
    pub(crate) fn on_stun(&mut self, message: StunMessage<'_>, source: SocketAddr, now: Instant) -> bool {
        let packet = StunPacket {
            proto: Protocol::Udp,
            source,
            destination: self.local,
            message,
        };
        if !self.agent.accepts_message(&packet.message) {
            return false;
        }
        self.agent.handle_packet(now, packet)
    }

    /// A DTLS record from an address that ICE has proved.
    pub(crate) fn on_dtls(&mut self, packet: &[u8], source: SocketAddr, now: Instant) {
        self.heard = Some(source);
        if matches!(self.dtls, Dtls::Waiting) && !self.config.active {
            self.begin_dtls(now);
        }
        if let Dtls::Running(dtls) = &mut self.dtls {
            let taken = dtls.handle_timeout(now).and_then(|()| dtls.handle_packet(packet));
            if taken.is_err() {
                self.fail("the DTLS handshake failed");
            }
        }
    }

    fn begin_dtls(&mut self, now: Instant) {
        let (config, certificate) = (Arc::clone(&self.identity.config), self.identity.certificate.clone());
        let mut dtls = Box::new(dimpl::Dtls::new_12(config, certificate, now));
        dtls.set_active(self.config.active);
        if dtls.handle_timeout(now).is_err() {
            return self.fail("the DTLS handshake failed");
        }
        if self.config.active {
            // Makes it say hello; there is nothing in it that could be wrong.
            let _ = dtls.handle_packet(&[]);
        }
        self.dtls = Dtls::Running(dtls);
    }

    fn fail(&mut self, why: &'static str) {
        self.dtls = Dtls::Over;
        self.dtls_due = None;
        self.session = None;
        self.changes.push(Change::Failed(why));
    }

    /// When [`Peer::on_time`] is due.
    pub(crate) fn due(&mut self) -> Option<Instant> {
        [self.agent.poll_timeout(), self.dtls_due].into_iter().flatten().min()
    }

    pub(crate) fn on_time(&mut self, now: Instant) {
        self.agent.handle_timeout(now);
        if self.dtls_due.is_some_and(|due| due <= now) {
            self.dtls_due = None;
            if let Dtls::Running(dtls) = &mut self.dtls
                && dtls.handle_timeout(now).is_err()
            {
                self.fail("the DTLS handshake failed");
            }
        }
    }

    /// Sends what is to be sent; to be called after every input.
    pub(crate) fn flush(&mut self, now: Instant, send: &mut dyn FnMut(SocketAddr, &[u8])) {
        while let Some(event) = self.agent.poll_event() {
            match event {
                IceAgentEvent::NominatedSend { destination, .. } => self.nominated = Some(destination),
                IceAgentEvent::IceConnectionStateChange(state) => self.path(state),
                IceAgentEvent::IceRestart(_) | IceAgentEvent::DiscoveredRecv { .. } => {}
            }
        }
        while let Some(transmit) = self.agent.poll_transmit() {
            send(transmit.destination, &transmit.contents);
        }
        if self.config.active && self.nominated.is_some() && matches!(self.dtls, Dtls::Waiting) {
            self.begin_dtls(now);
        }
        self.flush_dtls(send);
    }

    fn path(&mut self, state: IceConnectionState) {
        if state.is_disconnected() && !self.lost {
            self.lost = true;
            self.changes.push(Change::Lost);
        } else if state.is_connected() && self.lost {
            self.lost = false;
            self.changes.push(Change::Found);
        }
    }

    fn flush_dtls(&mut self, send: &mut dyn FnMut(SocketAddr, &[u8])) {
        let destination = self.destination();
        let Dtls::Running(dtls) = &mut self.dtls else { return };
        let mut buffer = [0u8; DTLS_BUFFER];
        let mut failed = None;
        loop {
            match dtls.poll_output(&mut buffer) {
                dimpl::Output::Packet(packet) => {
                    if let Some(to) = destination {
                        send(to, packet);
                    }
                }
                dimpl::Output::Timeout(at) => {
                    self.dtls_due = Some(at);
                    break;
                }
                dimpl::Output::PeerCert(certificate) => {
                    self.verified = self.config.fingerprint.is_of(certificate);
                    if !self.verified {
                        failed = Some("the far side's certificate is not the one of its description");
                    }
                }
                dimpl::Output::KeyingMaterial(material, profile) => {
                    let suite = match profile {
                        dimpl::SrtpProfile::AES128_CM_SHA1_80 => Some(Suite::AesCm128Sha1_80),
                        dimpl::SrtpProfile::AEAD_AES_128_GCM => Some(Suite::AeadAes128Gcm),
                        dimpl::SrtpProfile::AEAD_AES_256_GCM => Some(Suite::AeadAes256Gcm),
                        _ => None,
                    };
                    let keys = suite.and_then(|suite| MasterKey::pair_of_dtls(suite, &material));
                    match keys.filter(|_| self.verified) {
                        Some((client, server)) => {
                            let (ours, theirs) = if self.config.active {
                                (client, server)
                            } else {
                                (server, client)
                            };
                            self.session = Some(Box::new((Context::new(&ours), Context::new(&theirs))));
                            self.changes.push(Change::Connected);
                        }
                        None => failed = Some("no SRTP keys came of the DTLS handshake"),
                    }
                }
                dimpl::Output::CloseNotify => {
                    self.changes.push(Change::Closed);
                    self.dtls = Dtls::Over;
                    self.dtls_due = None;
                    return;
                }
                dimpl::Output::BufferTooSmall { .. } => {
                    failed = Some("a DTLS record is larger than a datagram");
                    break;
                }
                // Data channels are not offered.
                _ => {}
            }
        }
        if let Some(why) = failed {
            self.fail(why);
        }
    }

    /// What has happened since the last time.
    pub(crate) fn changes(&mut self) -> std::vec::Drain<'_, Change> {
        self.changes.drain(..)
    }

    /// Protects an RTP packet: `buffer` holds `length` octets of it and [`MAX_OVERHEAD`] more. `None` while there are no keys.
    pub(crate) fn protect_rtp(&mut self, buffer: &mut [u8], length: usize) -> Option<usize> {
        debug_assert!(buffer.len() >= length + MAX_OVERHEAD);
        self.session.as_mut()?.0.protect_rtp(buffer, length)
    }

    pub(crate) fn protect_rtcp(&mut self, buffer: &mut [u8], length: usize) -> Option<usize> {
        self.session.as_mut()?.0.protect_rtcp(buffer, length)
    }

    pub(crate) fn unprotect_rtp(&mut self, packet: &mut [u8]) -> Option<usize> {
        self.session.as_mut()?.1.unprotect_rtp(packet)
    }

    pub(crate) fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Option<usize> {
        self.session.as_mut()?.1.unprotect_rtcp(packet)
    }
}

fn creds(credentials: &super::IceCredentials) -> IceCreds {
    IceCreds {
        ufrag: credentials.ufrag.clone(),
        pass: credentials.pwd.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secure::{Fingerprint, IceCredentials, mint_credentials};
    use std::collections::VecDeque;
    use std::time::Duration;

    /// Two peers with a perfect network between them, in virtual time.
    struct Pair {
        peers: [Peer; 2],
        addresses: [SocketAddr; 2],
        now: Instant,
        changes: [Vec<Change>; 2],
        /// Nothing arrives.
        cut: bool,
    }

    fn config(local: &IceCredentials, remote: &IceCredentials, fingerprint: Fingerprint, active: bool) -> Arc<WebRtc> {
        Arc::new(WebRtc {
            local: local.clone(),
            remote: remote.clone(),
            fingerprint,
            candidates: Vec::new(),
            active,
            controlling: active,
        })
    }

    impl Pair {
        /// The first one has lite ICE and is passive, as we are towards browsers.
        fn new(wrong_certificate: bool) -> Pair {
            let identities = [(); 2].map(|()| Arc::new(Identity::new().unwrap()));
            let [a, b] = [(); 2].map(|()| mint_credentials().unwrap());
            let addresses: [SocketAddr; 2] = ["192.0.2.1:20000".parse().unwrap(), "198.51.100.7:5004".parse().unwrap()];
            let now = Instant::now();
            let candidate = |n: usize| {
                [LocalCandidate {
                    address: addresses[n],
                    base: None,
                }]
            };
            let proof = identities[usize::from(!wrong_certificate)].fingerprint.clone();
            let ours = config(&a, &b, proof, false);
            let mut theirs = (*config(&b, &a, identities[0].fingerprint.clone(), true)).clone();
            theirs.candidates = vec!["candidate:1 1 udp 2130706431 192.0.2.1 20000 typ host".into()];
            let first = Peer::new(ours, Arc::clone(&identities[0]), &candidate(0), true, now);
            let second = Peer::new(Arc::new(theirs), Arc::clone(&identities[1]), &candidate(1), false, now);
            Pair {
                peers: [first, second],
                addresses,
                now,
                changes: [Vec::new(), Vec::new()],
                cut: false,
            }
        }

        fn run(&mut self, time: Duration) {
            let end = self.now + time;
            while self.now < end {
                let mut wire = VecDeque::new();
                for n in [0, 1] {
                    if self.peers[n].due().is_some_and(|due| due <= self.now) {
                        self.peers[n].on_time(self.now);
                    }
                    self.collect(n, &mut wire);
                }
                while let Some((from, packet)) = wire.pop_front() {
                    let to = 1 - from;
                    if !self.cut {
                        self.arrive(to, from, &packet);
                        self.collect(to, &mut wire);
                    }
                }
                self.now += Duration::from_millis(10);
            }
        }

        fn arrive(&mut self, to: usize, from: usize, packet: &[u8]) {
            let peer = &mut self.peers[to];
            match super::super::Datagram::of(packet) {
                Some(super::super::Datagram::Stun) => {
                    let message = StunMessage::parse(packet).unwrap();
                    // After a restart answers to older checks are still on their way.
                    peer.on_stun(message, self.addresses[from], self.now);
                }
                Some(super::super::Datagram::Dtls) => peer.on_dtls(packet, self.addresses[from], self.now),
                other => panic!("{other:?} on the wire"),
            }
        }

        fn collect(&mut self, n: usize, wire: &mut VecDeque<(usize, Vec<u8>)>) {
            let to = self.addresses[1 - n];
            self.peers[n].flush(self.now, &mut |address, packet| {
                assert_eq!(address, to);
                wire.push_back((n, packet.to_vec()));
            });
            self.changes[n].extend(self.peers[n].changes());
        }

        fn talk(&mut self) {
            for (from, to) in [(0, 1), (1, 0)] {
                let plain = [&[0x80, 8, 0, 1, 0, 0, 0, 1, 0, 0, 0, 9][..], &[7; 160]].concat();
                let mut packet = plain.clone();
                packet.resize(plain.len() + MAX_OVERHEAD, 0);
                let length = self.peers[from].protect_rtp(&mut packet, plain.len()).unwrap();
                assert_eq!(self.peers[from].destination(), Some(self.addresses[to]));
                let length = self.peers[to].unprotect_rtp(&mut packet[..length]).unwrap();
                assert_eq!(packet[..length], plain);
            }
        }
    }

    #[test]
    fn two_peers_meet_and_talk() {
        let mut pair = Pair::new(false);
        pair.run(Duration::from_secs(3));
        assert_eq!(pair.changes, [vec![Change::Connected], vec![Change::Connected]]);
        pair.talk();
    }

    #[test]
    fn a_certificate_that_was_not_announced_gets_no_keys() {
        let mut pair = Pair::new(true);
        pair.run(Duration::from_secs(3));
        assert!(
            matches!(pair.changes[0][..], [Change::Failed(_), ..]),
            "{:?}",
            pair.changes
        );
        assert!(!pair.peers[0].is_connected());
        let mut packet = vec![0x80; 200];
        assert_eq!(pair.peers[0].protect_rtp(&mut packet, 100), None);
    }

    #[test]
    fn a_path_that_is_lost_is_told_and_a_restart_finds_another_one() {
        let mut pair = Pair::new(false);
        pair.run(Duration::from_secs(3));
        pair.cut = true;
        pair.run(Duration::from_secs(60));
        assert_eq!(pair.changes[0][1..], [Change::Lost]);
        pair.cut = false;
        pair.addresses[1] = "198.51.100.99:6000".parse().unwrap();
        let [a, b] = [(); 2].map(|()| mint_credentials().unwrap());
        for (n, (local, remote)) in [(0, (&a, &b)), (1, (&b, &a))] {
            let mut config = (*pair.peers[n].config).clone();
            config.local = local.clone();
            config.remote = remote.clone();
            pair.peers[n].reconfigure(Arc::new(config), pair.now);
        }
        let address = pair.addresses[1];
        pair.peers[1].move_to(address);
        pair.run(Duration::from_secs(5));
        assert_eq!(pair.changes[0][2..], [Change::Found], "{:?}", pair.changes);
        pair.talk();
    }

    #[test]
    fn strangers_are_not_heard() {
        let mut pair = Pair::new(false);
        let others = Pair::new(false);
        let config = Arc::clone(&others.peers[1].config);
        let mut stranger = Peer::new(
            config,
            Arc::new(Identity::new().unwrap()),
            &[LocalCandidate {
                address: "203.0.113.5:9".parse().unwrap(),
                base: None,
            }],
            false,
            pair.now,
        );
        stranger.on_time(pair.now);
        let mut heard = 0;
        let (peer, now) = (&mut pair.peers[0], pair.now);
        stranger.flush(now, &mut |_, packet| {
            let message = StunMessage::parse(packet).unwrap();
            heard += 1;
            assert!(!peer.on_stun(message, "203.0.113.5:9".parse().unwrap(), now));
        });
        assert!(heard > 0);
    }
}
