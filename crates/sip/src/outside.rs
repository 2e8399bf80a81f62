//! Under which address the outside knows this machine: asked of a STUN server (RFC 8489).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use strowger_sip_core::stun::{self, Kind, Stun, TransactionId};
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The system.
    #[error("the STUN server {server} cannot be asked: {source}")]
    Io {
        /// Which.
        server: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Nothing came back.
    #[error("the STUN server {0} gives no answer")]
    Silent(SocketAddr),
    /// It answered with something else.
    #[error("the STUN server {server} does not say which address it sees{}", .code.map(|c| format!(" (error {c})")).unwrap_or_default())]
    Refused {
        /// Which.
        server: SocketAddr,
        /// Its error code, 300-699, if it gave one.
        code: Option<u16>,
    },
}

/// How long each transmission waits for its answer (RFC 8489 §6.2.1: 500 ms, and then twice as long; fewer of them).
const WAITS: [Duration; 4] = [
    Duration::from_millis(500),
    Duration::from_millis(1000),
    Duration::from_millis(2000),
    Duration::from_millis(2000),
];

/// Asks a server from a local address; the answer is the address and port that it sees. Cancel-safe.
///
/// # Errors
/// [`AskError`].
pub async fn ask_outside(server: SocketAddr, from: IpAddr) -> Result<SocketAddr, AskError> {
    let failed = |source| AskError::Io { server, source };
    let socket = UdpSocket::bind((from, 0)).await.map_err(failed)?;
    socket.connect(server).await.map_err(failed)?;
    let mut id: TransactionId = [0; 12];
    getrandom::fill(&mut id).map_err(|e| failed(io::Error::other(e.to_string())))?;
    let request = stun::request(&id);
    let mut buffer = [0; 1500];
    for wait in WAITS {
        socket.send(&request).await.map_err(failed)?;
        let answer = timeout(wait, async {
            loop {
                let length = socket.recv(&mut buffer).await?;
                if let Ok(message) = Stun::parse(&buffer[..length])
                    && message.id == id
                {
                    return Ok(message);
                }
            }
        });
        let message = match answer.await {
            Ok(answer) => answer.map_err(failed)?,
            Err(_) => continue,
        };
        return match message.kind {
            Kind::Success { mapped: Some(address) } => Ok(address),
            Kind::Error { code } => Err(AskError::Refused {
                server,
                code: Some(code),
            }),
            _ => Err(AskError::Refused { server, code: None }),
        };
    }
    Err(AskError::Silent(server))
}
