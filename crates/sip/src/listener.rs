//! Listening sockets of TCP, TLS, WS and WSS.

use crate::connections::Net;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::sleep;

/// Connections that the kernel may hold until they are accepted.
const BACKLOG: i32 = 1_024;
/// First and longest pause after an error of accept.
const PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// Binds a socket, which [`run`] takes into the runtime it runs in.
pub(crate) fn bind(addr: SocketAddr) -> io::Result<std::net::TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Connections of an earlier process that are in TIME-WAIT do not keep this one from starting.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// True for an error of one connection that was gone before it was accepted, not of the process.
fn is_of_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

/// Accepts until the endpoint ends. While the endpoint is busy the kernel's backlog holds what comes. Without file
/// descriptors or memory accept would fail at once, again and again, so it pauses, longer each time.
pub(crate) async fn run(number: usize, listener: std::net::TcpListener, events: mpsc::Sender<Net>) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "no SIP connections can be accepted"),
    };
    let mut pause = PAUSE.0;
    loop {
        let event = match listener.accept().await {
            Ok((stream, remote)) => {
                pause = PAUSE.0;
                Net::Accepted {
                    listener: number,
                    stream,
                    remote,
                }
            }
            Err(error) if is_of_the_peer(&error) => continue,
            Err(error) => {
                tracing::warn!(%error, "cannot accept SIP connections for a moment");
                sleep(pause).await;
                pause = (pause * 2).min(PAUSE.1);
                Net::AcceptError
            }
        };
        if events.send(event).await.is_err() {
            return;
        }
    }
}
