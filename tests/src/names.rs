//! A name server with records of the test's own.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Type of an address record.
pub const A: u16 = 1;
/// Type of a service record (RFC 2782).
pub const SRV: u16 = 33;

/// A record: name, type, data.
pub type Record = (&'static str, u16, Vec<u8>);

/// Answers questions until it is dropped.
pub struct Names {
    /// Where it listens.
    pub address: SocketAddr,
    stop: Arc<AtomicBool>,
}

impl Names {
    /// Serves these records; what is not among them does not exist.
    pub fn serve(records: Vec<Record>) -> Names {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port on loopback");
        socket
            .set_read_timeout(Some(Duration::from_millis(50)))
            .expect("a timeout above zero");
        let address = socket.local_addr().expect("a bound socket has an address");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        std::thread::spawn(move || {
            let mut buffer = [0; 1500];
            while !stopped.load(Ordering::Relaxed) {
                if let Ok((n, from)) = socket.recv_from(&mut buffer) {
                    let answer = answer(&buffer[..n], &records);
                    let _ = answer.map(|a| socket.send_to(&a, from));
                }
            }
        });
        Names { address, stop }
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// A name as DNS writes it.
fn labels(name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for label in name.split('.') {
        out.push(label.len() as u8);
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
    out
}

fn answer(question: &[u8], records: &[Record]) -> Option<Vec<u8>> {
    let rest = question.get(12..)?;
    let end = rest.iter().position(|b| *b == 0)? + 1;
    let asked = rest.get(..end + 4)?;
    let kind = u16::from_be_bytes([asked[end], asked[end + 1]]);
    let name = asked[..end].to_ascii_lowercase();
    let known = records.iter().any(|(n, _, _)| labels(n) == name);
    let found: Vec<_> = records
        .iter()
        .filter(|(n, k, _)| labels(n) == name && *k == kind)
        .collect();
    let mut out = question[..2].to_vec();
    // A recursive answer; 3 is a name that does not exist.
    out.extend([
        0x85,
        if known { 0x80 } else { 0x83 },
        0,
        1,
        0,
        found.len() as u8,
        0,
        0,
        0,
        0,
    ]);
    out.extend_from_slice(asked);
    for (_, kind, data) in found {
        out.extend([0xC0, 12]);
        out.extend(kind.to_be_bytes());
        out.extend([0, 1, 0, 0, 0, 60]);
        out.extend((data.len() as u16).to_be_bytes());
        out.extend_from_slice(data);
    }
    Some(out)
}

/// The data of a service record with weight 1.
pub fn srv(priority: u16, port: u16, target: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for n in [priority, 1, port] {
        out.extend(n.to_be_bytes());
    }
    out.extend(labels(target));
    out
}
