//! Export of all messages to a capture server by HEP version 3 over UDP (the protocol of Homer).

use crate::trace::{Direction, Trace, Traced};
use bytes::Bytes;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use strowger_sip_core::Transport;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

/// Longest payload of a packet: what UDP can carry, less than all chunks before it.
const MAX_PAYLOAD: usize = 65_000;
/// Packets that are written before the task yields.
const BURST: usize = 32;

/// Where messages are exported to.
#[derive(Clone)]
pub struct HepSettings {
    /// The capture server.
    pub server: SocketAddr,
    /// Number by which the server knows this process (chunk 12).
    pub agent: u32,
    /// Authentication key (chunk 14); it travels in clear, as all of HEP does.
    pub key: Option<String>,
    /// Messages that may wait; with more, new ones are dropped and counted.
    pub queue: usize,
}

impl fmt::Debug for HepSettings {
    /// Leaves the key out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HepSettings")
            .field("server", &self.server)
            .field("agent", &self.agent)
            .field("queue", &self.queue)
            .finish_non_exhaustive()
    }
}

/// Counters of an exporter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HepStats {
    /// Packets given to the kernel.
    pub sent: u64,
    /// Messages dropped because too many waited, or because they are too long.
    pub dropped: u64,
    /// Packets that the kernel did not take.
    pub errors: u64,
}

#[derive(Default)]
struct Counters {
    sent: AtomicU64,
    dropped: AtomicU64,
    errors: AtomicU64,
}

/// One message until it is a packet.
struct Waiting {
    direction: Direction,
    transport: Transport,
    local: SocketAddr,
    remote: SocketAddr,
    time: SystemTime,
    bytes: Bytes,
}

/// An exporter: hang it into [`EndpointConfig::trace`](crate::EndpointConfig::trace). Its task ends with it.
pub struct Hep {
    queue: mpsc::Sender<Waiting>,
    counters: Arc<Counters>,
}

impl Hep {
    /// Binds a socket and starts the task that sends. Must be called inside a tokio runtime, best one that does not
    /// handle calls.
    ///
    /// # Errors
    /// No socket, or no way to the server.
    pub fn start(settings: HepSettings) -> io::Result<Hep> {
        let any: SocketAddr = if settings.server.is_ipv4() {
            ([0, 0, 0, 0], 0).into()
        } else {
            ([0u16; 8], 0).into()
        };
        let socket = std::net::UdpSocket::bind(any)?;
        socket.connect(settings.server)?;
        socket.set_nonblocking(true)?;
        let socket = UdpSocket::from_std(socket)?;
        let (queue, waiting) = mpsc::channel(settings.queue.max(1));
        let counters = Arc::new(Counters::default());
        tokio::spawn(export(settings, socket, waiting, counters.clone()));
        Ok(Hep { queue, counters })
    }

    /// Counters.
    pub fn stats(&self) -> HepStats {
        HepStats {
            sent: self.counters.sent.load(Ordering::Relaxed),
            dropped: self.counters.dropped.load(Ordering::Relaxed),
            errors: self.counters.errors.load(Ordering::Relaxed),
        }
    }
}

impl Trace for Hep {
    fn message(&self, message: Traced<'_>) {
        let waiting = Waiting {
            direction: message.direction,
            transport: message.transport,
            local: message.local,
            remote: message.remote,
            time: message.time,
            bytes: message.bytes.clone(),
        };
        if waiting.bytes.len() > MAX_PAYLOAD || self.queue.try_send(waiting).is_err() {
            self.counters.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

async fn export(
    settings: HepSettings,
    socket: UdpSocket,
    mut waiting: mpsc::Receiver<Waiting>,
    counters: Arc<Counters>,
) {
    let mut burst = Vec::with_capacity(BURST);
    let mut packet = Vec::new();
    while waiting.recv_many(&mut burst, BURST).await > 0 {
        for message in burst.drain(..) {
            write_packet(&mut packet, &settings, &message);
            let counter = match socket.send(&packet).await {
                Ok(_) => &counters.sent,
                // A server that is away is no reason to stop: it may come back.
                Err(_) => &counters.errors,
            };
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// One chunk: vendor 0 (generic), type, length with this head, value.
fn chunk(packet: &mut Vec<u8>, kind: u16, value: &[u8]) {
    packet.extend_from_slice(&[0, 0]);
    packet.extend_from_slice(&kind.to_be_bytes());
    packet.extend_from_slice(&((value.len() + 6) as u16).to_be_bytes());
    packet.extend_from_slice(value);
}

fn write_packet(packet: &mut Vec<u8>, settings: &HepSettings, message: &Waiting) {
    packet.clear();
    packet.extend_from_slice(b"HEP3\0\0");
    let (source, destination) = match message.direction {
        Direction::In => (message.remote, message.local),
        Direction::Out => (message.local, message.remote),
    };
    // 1: family, 2: IP protocol; 3 to 6: addresses.
    chunk(packet, 1, &[if message.remote.is_ipv4() { 2 } else { 10 }]);
    let tcp = message.transport != Transport::Udp;
    chunk(packet, 2, &[if tcp { 6 } else { 17 }]);
    for (addr, v4, v6) in [(source, 3, 5), (destination, 4, 6)] {
        match addr.ip() {
            IpAddr::V4(ip) => chunk(packet, v4, &ip.octets()),
            IpAddr::V6(ip) => chunk(packet, v6, &ip.octets()),
        }
    }
    chunk(packet, 7, &source.port().to_be_bytes());
    chunk(packet, 8, &destination.port().to_be_bytes());
    let since = message.time.duration_since(UNIX_EPOCH).unwrap_or_default();
    chunk(packet, 9, &(since.as_secs() as u32).to_be_bytes());
    chunk(packet, 10, &since.subsec_micros().to_be_bytes());
    // 11: what the payload is; 1 is SIP.
    chunk(packet, 11, &[1]);
    chunk(packet, 12, &settings.agent.to_be_bytes());
    if let Some(key) = &settings.key {
        let key = key.as_bytes();
        chunk(packet, 14, &key[..key.len().min(256)]);
    }
    chunk(packet, 15, &message.bytes);
    let len = packet.len() as u16;
    packet[4..6].copy_from_slice(&len.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The chunks of a packet by type, with all lengths checked.
    fn chunks(packet: &[u8]) -> Vec<(u16, Vec<u8>)> {
        let n = |at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
        assert_eq!(&packet[..4], b"HEP3");
        assert_eq!(usize::from(n(4)), packet.len());
        let (mut at, mut out) = (6, Vec::new());
        while at < packet.len() {
            let len = usize::from(n(at + 4));
            assert_eq!(n(at), 0);
            out.push((n(at + 2), packet[at + 6..at + len].to_vec()));
            at += len;
        }
        out
    }

    #[tokio::test]
    async fn a_message_becomes_a_packet() {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let settings = HepSettings {
            server: server.local_addr().unwrap(),
            agent: 7,
            key: Some("secret".into()),
            queue: 2,
        };
        assert!(!format!("{settings:?}").contains("secret"));
        let hep = Hep::start(settings).unwrap();
        let bytes = Bytes::from_static(b"OPTIONS sip:a SIP/2.0\r\n\r\n");
        let time = UNIX_EPOCH + std::time::Duration::from_micros(1_700_000_000_000_042);
        let message = |direction, transport, local: &str, remote: &str| {
            hep.message(Traced {
                direction,
                transport,
                local: local.parse().unwrap(),
                remote: remote.parse().unwrap(),
                time,
                bytes: &bytes,
            });
        };
        message(Direction::In, Transport::Udp, "192.0.2.1:5060", "192.0.2.2:5070");
        message(
            Direction::Out,
            Transport::Tls,
            "[2001:db8::1]:5061",
            "[2001:db8::2]:5062",
        );
        // The task has not run yet: the queue is full.
        message(Direction::In, Transport::Udp, "192.0.2.1:5060", "192.0.2.2:5070");
        let mut buffer = [0; 2_000];
        let len = server.recv(&mut buffer).await.unwrap();
        let mut expected: Vec<(u16, Vec<u8>)> = vec![
            (1, vec![2]),
            (2, vec![17]),
            (3, vec![192, 0, 2, 2]),
            (4, vec![192, 0, 2, 1]),
            (7, 5070u16.to_be_bytes().to_vec()),
            (8, 5060u16.to_be_bytes().to_vec()),
            (9, 1_700_000_000u32.to_be_bytes().to_vec()),
            (10, 42u32.to_be_bytes().to_vec()),
            (11, vec![1]),
            (12, vec![0, 0, 0, 7]),
            (14, b"secret".to_vec()),
            (15, bytes.to_vec()),
        ];
        assert_eq!(chunks(&buffer[..len]), expected);
        let len = server.recv(&mut buffer).await.unwrap();
        let v6 = |last: u8| [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last].to_vec();
        expected[0].1 = vec![10];
        expected[1].1 = vec![6];
        expected[2] = (5, v6(1));
        expected[3] = (6, v6(2));
        expected[4].1 = 5061u16.to_be_bytes().to_vec();
        expected[5].1 = 5062u16.to_be_bytes().to_vec();
        assert_eq!(chunks(&buffer[..len]), expected);
        assert_eq!(hep.stats().dropped, 1);
    }
}
